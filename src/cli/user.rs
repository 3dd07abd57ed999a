//! `polygate user`: who may sign in at the portal. Passwords come from standard input, never from arguments, which
//! every user of the machine can read.

use std::io::{self, Read as _};

use clap::Subcommand;

use crate::{
    access::{
        accounts::UserId,
        role::Role,
        secret::{PASSWORD_BYTES_MAX, Secret},
    },
    manage::users::UserRequest,
};

use super::Asked;

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// List them
    List(Asked),
    /// Add one; without --password-stdin a one-time password is made up and shown once
    Add {
        #[command(flatten)]
        asked: Asked,
        /// The user name: 2 to 32 of a-z, 0-9 and -
        user: UserId,
        /// The person's name, as pages show it
        #[arg(long)]
        name: String,
        /// What they may do: reception, clinician, analyst or administrator; may be repeated
        #[arg(long, required = true)]
        role: Vec<Role>,
        /// Read the password, which they must change, from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Keep one out, and sign them out everywhere
    Disable {
        #[command(flatten)]
        asked: Asked,
        /// The user name
        user: UserId,
    },
    /// Let one in again
    Enable {
        #[command(flatten)]
        asked: Asked,
        /// The user name
        user: UserId,
    },
    /// Give one another password, which ends a lock-out too
    Password {
        #[command(flatten)]
        asked: Asked,
        /// The user name
        user: UserId,
        /// Read the password, which they must change, from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// End a lock-out after wrong passwords
    Unlock {
        #[command(flatten)]
        asked: Asked,
        /// The user name
        user: UserId,
    },
    /// Say what one may do, instead of what they might before
    Role {
        #[command(flatten)]
        asked: Asked,
        /// The user name
        user: UserId,
        /// reception, clinician, analyst or administrator; may be repeated
        #[arg(long, required = true)]
        role: Vec<Role>,
    },
}

impl User {
    /// How to ask, and what; reads standard input if it holds a password.
    pub(super) fn request(self) -> io::Result<(Asked, UserRequest)> {
        Ok(match self {
            Self::List(asked) => (asked, UserRequest::List),
            Self::Add { asked, user, name, role, password_stdin } => {
                let (roles, password) = (role.into_iter().collect(), given(password_stdin)?);
                (asked, UserRequest::Add { user, name, roles, password })
            }
            Self::Disable { asked, user } => (asked, UserRequest::Disable { user }),
            Self::Enable { asked, user } => (asked, UserRequest::Enable { user }),
            Self::Password { asked, user, password_stdin } => {
                (asked, UserRequest::Password { user, password: given(password_stdin)? })
            }
            Self::Unlock { asked, user } => (asked, UserRequest::Unlock { user }),
            Self::Role { asked, user, role } => {
                (asked, UserRequest::Role { user, roles: role.into_iter().collect() })
            }
        })
    }
}

fn given(password_stdin: bool) -> io::Result<Option<Secret>> {
    if password_stdin { read_password(io::stdin().lock()).map(Some) } else { Ok(None) }
}

/// The first line, without its end; what is longer than any password may be stays too long.
fn read_password(input: impl io::Read) -> io::Result<Secret> {
    let mut text = String::new();
    input.take(PASSWORD_BYTES_MAX as u64 * 2).read_to_string(&mut text)?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (input, expected) in [("a b \n", "a b "), ("a\r\nb\n", "a"), ("", ""), ("a", "a")] {
            assert_eq!(read_password(input.as_bytes()).unwrap(), Secret::new(expected));
        }
        assert!(read_password(&b"\xff\n"[..]).is_err());
    }
}
