//! `polygate booking`: slots that the desk holds, and how two people let them be sold again.

use std::io::{self, Read as _};

use clap::Subcommand;

use crate::{
    access::secret::{PASSWORD_BYTES_MAX, Secret},
    domain::{ids::HubId, time::Timestamp},
    manage::protocol::AdminRequest,
};

use super::{Asked, moment};

#[derive(Debug, Subcommand)]
pub(super) enum Booking {
    /// List the slots that this hub holds, by session
    Held(Asked),
    /// Let held slots be sold again: you and an administrator of the portal, who types their password into standard input
    Unlock {
        #[command(flatten)]
        asked: Asked,
        /// The session, as `booking held` shows it
        session: HubId,
        /// From when, such as 2026-01-31T09:00:00Z
        #[arg(long, value_parser = moment)]
        from: Timestamp,
        /// Until when
        #[arg(long, value_parser = moment)]
        until: Timestamp,
        /// The second person's user name
        #[arg(long, value_name = "USER")]
        second: String,
        /// What shows that nobody was sold these; it goes on record
        #[arg(long)]
        reason: String,
    },
}

impl Booking {
    /// Whom to ask, and what.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(super) fn request(self) -> io::Result<(Asked, AdminRequest)> {
        match self {
            Self::Held(asked) => Ok((asked, AdminRequest::SlotsHeld)),
            Self::Unlock { asked, session, from, until, second, reason } => {
                let mut text = String::new();
                io::stdin().lock().take(PASSWORD_BYTES_MAX as u64 * 2).read_to_string(&mut text)?;
                let password = Secret::new(text.lines().next().unwrap_or_default());
                let request = AdminRequest::SlotsUnlock { session, from, until, second, password, reason };
                Ok((asked, request))
            }
        }
    }
}
