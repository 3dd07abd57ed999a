//! What happened to patients, as commissioners count it: what sources state, and the contacts that come of it.
//!
//! [`Evidence`] is one statement by one source. A [`Contact`] is one real contact, with every fact that is known of it
//! and which evidence decided that fact. How the one comes of the other is `activity::derive`'s.

mod code;
mod dataset;
mod evidence;
mod facts;
mod fold;
mod id;
mod month;
pub(crate) mod words;

#[cfg(test)]
mod tests;

pub use code::{Code, InvalidCode};
pub use dataset::{Acceptance, Dataset};
pub use evidence::{
    CaseStatus, Evidence, EvidenceId, LocalId, NumberStatus, Patient, Reference, ReferenceKind, Said,
    SaidKind, Shape, SlotType,
};
pub use facts::{
    CODES_MAX, ConsultationType, Decided, DecidedFacts, FactName, FactValue, Facts, Mechanism,
    OutcomeOfAttendance, Precedence, Priority, Profession, Punctuality,
};
pub use fold::{About, Cited, Conflict, Contact, ContactKind, State};
pub use id::{ContactId, InvalidContactId};
pub use month::{InvalidMonth, Month, local_date};

/// The kind of the entries that tell the centre statements; their bytes are a CBOR array of [`Evidence`].
pub const EVIDENCE_KIND: &str = "activity.evidence";
/// The format of their bytes.
pub const EVIDENCE_FORMAT: &str = "activity-evidence";
/// The kind of the entries that tell the centre what services and slot types are; the newest of a hub counts.
pub const MAPS_KIND: &str = "activity.maps";
/// The format of their bytes.
pub const MAPS_FORMAT: &str = "activity-maps";
