//! BaRS, NHS England's booking and referral standard (FHIR R4; BaRS API 1.4.0): what senders send, the rules it is held
//! to, and what a receiver answers.
//!
//! The tree is read by [`fhir::read_json`](super::fhir::read_json), within its limits; JSON is the same in every version
//! of FHIR.

mod answer;
pub mod fuzzing;
mod headers;
mod id;
mod message;
mod outcome;

pub use answer::{Service, accepted, capabilities, definitions};
pub use headers::{HEADERS_MIRRORED, Heard, heard, is_acceptable};
pub use message::{Deed, Event, Message, RESOURCES_MAX, essence, read};
pub use outcome::Refusal;

/// NHS numbers.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
/// Services in the Directory of Services.
pub const SERVICE_ID: &str = "https://fhir.nhs.uk/Id/dos-service-id";
/// What messages are about.
const EVENTS: &str = "https://fhir.nhs.uk/CodeSystem/message-events-bars";
/// Why they are sent.
const REASONS: &str = "https://fhir.nhs.uk/CodeSystem/message-reason-bars";
/// Where the definitions of messages are.
const DEFINITIONS: &str = "https://fhir.nhs.uk/MessageDefinition/";
