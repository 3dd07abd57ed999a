//! What administrators do with accounts, over the admin socket or a page. Blocks: on hashing and on the disk.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    access::{
        accounts::{Command, UserId},
        role::Role,
        secret::{Secret, SecretHash},
    },
    domain::time::Timestamp,
};

use super::{SignIn, SignInError, random};

/// 80 random bits in groups that can be read out: nobody guesses one in the hours it lives.
const ONE_TIME_GROUPS: usize = 4;
/// Crockford's letters and digits: none is mistaken for another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A user as an administrator sees them.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct UserRow {
    /// Their id.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Until when wrong attempts have locked the account.
    pub locked_until: Option<Timestamp>,
    /// Whether they have yet to choose a password of their own.
    pub must_change: bool,
    /// Whether they have a PIN.
    pub pin: bool,
    /// When the account was added.
    pub added: Timestamp,
    /// When the password was set last.
    pub password_set: Timestamp,
    /// Whether it is a one-time password that opens no longer.
    #[serde(default)]
    pub one_time_over: bool,
    /// Whether an identity provider vouches for them.
    #[serde(default)]
    pub federated: bool,
}

/// Someone to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Their id.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// Their password; made up if there is none.
    pub password: Option<Secret>,
    /// Whether they must choose another at first.
    pub must_change: bool,
}

impl SignIn {
    /// Everybody, by id.
    pub fn users(&self) -> Vec<UserRow> {
        let now = self.clock.now();
        let accounts = self.accounts.load();
        let row = |(user, account): (&UserId, &crate::access::Account)| UserRow {
            user: user.clone(),
            name: account.name().to_owned(),
            roles: account.roles().clone(),
            disabled: account.is_disabled(),
            locked_until: account.locked_until(now),
            must_change: account.must_change(),
            pin: account.has_pin(),
            added: account.added(),
            password_set: account.password_set(),
            one_time_over: account.is_one_time_over(now),
            federated: account.federated().is_some(),
        };
        accounts.all().map(row).collect()
    }

    /// Adds someone; gives their password if it was made up, to be told to them once.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub fn add_user(&self, new: NewUser, by: &str) -> Result<Option<Secret>, SignInError> {
        let NewUser { user, name, roles, password, must_change } = new;
        let (hash, shown) = self.chosen_or_made(&user, &name, password)?;
        let id = user.as_str().to_owned();
        let must_change = must_change || shown.is_some();
        let command = Command::Add { user, name, roles, password: hash, must_change };
        self.command(command, &id, "add user", by).map(|()| shown)
    }

    /// Gives someone another password, which they must change when they sign in; ends their sessions and any
    /// lock-out. Gives the password if it was made up.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub fn reset_password(
        &self,
        user: UserId,
        password: Option<Secret>,
        by: &str,
    ) -> Result<Option<Secret>, SignInError> {
        let name = self.accounts.load().get(&user).map(|account| account.name().to_owned());
        let (password, shown) = self.chosen_or_made(&user, &name.unwrap_or_default(), password)?;
        let command = Command::SetPassword { user: user.clone(), password, must_change: true };
        self.command(command, user.as_str(), "reset password", by)?;
        self.sessions().close_all_of(&user);
        Ok(shown)
    }

    /// Keeps someone out, from now on: their sessions end.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub fn disable_user(&self, user: UserId, by: &str) -> Result<(), SignInError> {
        self.command(Command::Disable(user.clone()), user.as_str(), "disable", by)?;
        self.sessions().close_all_of(&user);
        Ok(())
    }

    /// Lets someone in again.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub fn enable_user(&self, user: UserId, by: &str) -> Result<(), SignInError> {
        self.command(Command::Enable(user.clone()), user.as_str(), "enable", by)
    }

    /// Ends someone's lock-out.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub fn unlock_user(&self, user: UserId, by: &str) -> Result<(), SignInError> {
        self.command(Command::Unlock(user.clone()), user.as_str(), "end lock-out", by)
    }

    /// Changes what someone may do, from their next page on.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub fn set_roles(&self, user: UserId, roles: BTreeSet<Role>, by: &str) -> Result<(), SignInError> {
        self.command(Command::SetRoles(user.clone(), roles), user.as_str(), "set roles", by)
    }

    fn chosen_or_made(
        &self,
        user: &UserId,
        name: &str,
        chosen: Option<Secret>,
    ) -> Result<(SecretHash, Option<Secret>), SignInError> {
        let (secret, shown) = match chosen {
            Some(chosen) => {
                chosen.check_password(user, name)?;
                (chosen, None)
            }
            None => {
                let made = one_time_password()?;
                (made.clone(), Some(made))
            }
        };
        Ok((self.hash_blocking(&secret)?, shown))
    }
}

fn one_time_password() -> Result<Secret, SignInError> {
    let random = random()?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map_or('0', char::from);
    let groups: Vec<String> =
        random.chunks(4).take(ONE_TIME_GROUPS).map(|group| group.iter().map(letter).collect()).collect();
    Ok(Secret::new(groups.join("-")))
}
