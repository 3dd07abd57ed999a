//! Adastra: reports of NHS 111 and out-of-hours services as ITK CDA over SOAP, and case exports.

mod case;
mod report;
mod server;
#[cfg(test)]
mod tests;

pub use server::{Adastra, AdastraOptions};

use crate::domain::{entry::Entry, record::Event};

/// What [`Received::format`](crate::flow::receive::Received) says of ITK.
pub const ITK: &str = "itk";
/// Of a case export.
pub const CASE: &str = "adastra-case";

/// What a journalled SOAP message says.
pub fn translate_itk(entry: &Entry) -> Option<Event> {
    report::translate(entry.raw.as_ref()?, None).ok().map(|(event, _)| event)
}

/// What a journalled case export says.
pub fn translate_case(entry: &Entry) -> Option<Event> {
    case::translate(entry.raw.as_ref()?).ok()
}
