//! Laboratories, radiology departments and practices, over MESH: PMIP reports in and out with their NHSACK, and
//! Kettering letters.

mod authorisation;
mod client;
mod delivery;
pub mod incoming;
mod ledger;
pub mod letters;
mod mailbox;
mod outgoing;
pub mod reports;
mod translate;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{codec::hl7v2::parse_moment, domain::time::Timestamp};

pub use authorisation::Credentials;
pub use client::{Delivered, MESSAGE_BYTES_MAX, MeshClient, MeshError, NonDelivery, Outgoing, Tracked};
pub use delivery::{PracticeDelivery, PracticeOptions};
pub use ledger::{AWAITED_MAX, Delivery, Fate, Ledger, Prepared, Recipient, Sent};
pub use mailbox::{Mailbox, MailboxOptions};
pub use translate::{translate, translate_entry};

/// What [`Received::format`](crate::flow::receive::Received) says of PMIP EDIFACT.
pub const FORMAT: &str = "pmip";

/// A moment as London's clocks show it, ISO 8601 without offset: what EDIFACT and Kettering mean by a time.
fn local_time(moment: Timestamp) -> String {
    let digits = |at: Timestamp| at.to_string().chars().take(19).collect::<String>();
    let (winter, summer) = (digits(moment), digits(moment.plus(Duration::from_secs(3600))));
    let whole_seconds = Timestamp(moment.0.div_euclid(1000) * 1000);
    if parse_moment(summer.as_bytes()) == Some(whole_seconds) { summer } else { winter }
}

/// The same as digits, `YYYYMMDDHHMMSS`.
pub fn local_digits(moment: Timestamp) -> String {
    local_time(moment).chars().filter(char::is_ascii_digit).collect()
}
