//! RiO: community and mental health. Speaks the ITK subset of HL7 v2.4 over MLLP: ADT and SIU.

use super::hl7::Dialect;

/// What RiO sends. Results do not come from it.
pub const DIALECT: Dialect = Dialect { kind: "RiO", message_types: &["ADT", "SIU"], processing: Some('P') };
