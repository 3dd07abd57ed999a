//! BaRS: bookings and referrals that NHS 111, Adastra and others send to this hub's services (FHIR R4).
//!
//! What arrives is recorded as a *request*. No slot is held, and the answer says so.

mod server;
#[cfg(test)]
mod tests;
mod translate;

pub use server::{Bars, BarsOptions};

use crate::{
    codec::{bars, fhir::read_json},
    domain::{entry::Entry, record::Event},
};

/// What [`Received::format`](crate::flow::receive::Received) says of a message.
pub const FORMAT: &str = "bars";

/// What a journalled message says.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    let tree = read_json(entry.raw.as_ref()?).ok()?;
    bars::read(&tree).ok().map(|message| translate::event(&message))
}
