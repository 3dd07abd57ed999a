//! BaRS, NHS England's booking and referral standard (FHIR R4; BaRS API 1.4.0): what senders send, the rules it is held
//! to, and what a receiver answers.
//!
//! The tree is read by [`fhir::read_json`](super::fhir::read_json), within its limits; JSON is the same in every version
//! of FHIR.

mod answer;
mod appointments;
pub mod fuzzing;
mod headers;
mod id;
mod message;
mod outcome;
mod query;
mod slot_id;
mod slots;

pub use answer::{Service, accepted, capabilities, definitions};
pub use appointments::{appointment, appointments};
pub use headers::{HEADERS_MIRRORED, Heard, heard, is_acceptable};
pub use id::is_uuid;
pub use message::{Deed, Event, Message, RESOURCES_MAX, essence, read};
pub use outcome::Refusal;
pub use query::{Include, SlotsWanted, patient_wanted};
pub use slot_id::{
    SESSION_CHARACTERS_MAX, SlotNamed, appointment_id, appointment_of, request_of, slot_id, slot_name,
    slot_of,
};
pub use slots::slots;

/// NHS numbers.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
/// Services in the Directory of Services.
pub const SERVICE_ID: &str = "https://fhir.nhs.uk/Id/dos-service-id";
/// What messages are about.
const EVENTS: &str = "https://fhir.nhs.uk/CodeSystem/message-events-bars";
/// Why they are sent.
const REASONS: &str = "https://fhir.nhs.uk/CodeSystem/message-reason-bars";
/// How something takes place.
const CHANNEL: &str = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-DeliveryChannel";
/// Where the definitions of messages are.
const DEFINITIONS: &str = "https://fhir.nhs.uk/MessageDefinition/";
