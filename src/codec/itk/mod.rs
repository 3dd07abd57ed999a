//! ITK 2.2 over SOAP 1.1: the envelope with every rule a receiver must hold its sender to, the answers, and the CDA
//! documents that it carries (ITK Web Services Transport; ITK Distribution Envelope; NHS 111 CDA, POCD_MT200001GB02).

pub mod cda;
mod envelope;
mod reply;

pub use envelope::{Addressed, Broken, Distribution, ItkError, NODES_MAX, PROFILES, Profile, read};
pub use reply::{accepted, fault};
