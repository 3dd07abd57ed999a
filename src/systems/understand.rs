//! Reading again what the journal holds: each entry says in its body which format its bytes are in.

use crate::{
    codec::cbor,
    domain::{
        entry::{Entry, Summary},
        record::Event,
    },
};

use super::{adastra, analyser, bars, hl7, mesh};

/// A summary is a few hundred bytes; the longest kind, sender and faults make it no more than this.
const SUMMARY_BYTES_MAX: usize = 64 << 10;

/// What a journalled entry says; none if it says nothing about a patient, or is in no format we know.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    let summary: Summary = cbor::decode(&entry.body, SUMMARY_BYTES_MAX).ok()?;
    match summary.format.as_str() {
        adastra::ITK => adastra::translate_itk(entry),
        adastra::CASE => adastra::translate_case(entry),
        analyser::FORMAT => analyser::translate_entry(entry),
        analyser::poct1a::FORMAT => analyser::poct1a::translate_entry(entry),
        bars::FORMAT => bars::translate_entry(entry),
        bars::BOOKED => bars::translate_booked(entry),
        hl7::FORMAT => hl7::translate_entry(entry),
        mesh::FORMAT => mesh::translate_entry(entry),
        mesh::letters::FORMAT => mesh::letters::translate_entry(entry),
        _ => None,
    }
}
