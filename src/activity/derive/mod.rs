//! From statements to contacts: one for each real contact, the same in whatever order, batch and number of times the
//! statements come.
//!
//! How that is so: a [`Ledger`] keeps the *set* of statements, and a contact is a function of that set. Statements that
//! could be about one contact lie in one [bundle](ledger); when one comes, its bundle's contacts are made again, and what
//! differs is told. Nothing is decided by the order of arrival.
//!
//! **Names.** A contact is called after its earliest strong reference by the sources' clocks, never after its patient. Late
//! evidence about it leaves the name alone unless it brings an earlier reference; then, and when two contacts turn out to be
//! one, the other names go on leading to it ([`Contact::also`]). A name under which a contact was sent to somebody is
//! [pinned](Ledger::pin) and stays its name.
//!
//! [`Contact::also`]: crate::domain::contact::Contact::also

mod fold;
mod group;
mod ledger;
mod names;
mod pack;
mod people;
mod shelf;

#[cfg(test)]
mod tests;

pub use fold::{PRECEDENCE, Pin, Pins};
pub use group::{ECHO_MILLISECONDS, MATCHING, MatchingRule};
pub use ledger::{Change, Ledger, Left, Limits, Refused, Taken};
pub use shelf::{Kept, Shelf};
