//! BaRS: bookings and referrals that NHS 111, Adastra and others send to this hub's services (FHIR R4).
//!
//! Services with `bars = true` are booked: the desk does it, and the answer says so once that is durable. Without any such
//! service what arrives is recorded as a *request*; no slot is held, and the answer says so.

mod booking;
mod server;
#[cfg(test)]
mod tests;
mod translate;

pub use booking::Bookable;
pub use server::{Bars, BarsOptions, MESSAGE_BYTES_MAX};

use crate::{
    codec::{bars, fhir::read_json},
    domain::{entry::Entry, record::Event},
};

/// What [`Received::format`](crate::flow::receive::Received) says of a message.
pub const FORMAT: &str = "bars";

/// The same, of one whose booking the desk has carried out.
pub const BOOKED: &str = "bars-booked";

/// What a journalled message says.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    let tree = read_json(entry.raw.as_ref()?).ok()?;
    bars::read(&tree).ok().map(|message| translate::event(&message))
}

/// What a journalled message says whose booking the desk has carried out.
pub fn translate_booked(entry: &Entry) -> Option<Event> {
    let tree = read_json(entry.raw.as_ref()?).ok()?;
    bars::read(&tree).ok().map(|message| translate::event_beside_desk(&message))
}
