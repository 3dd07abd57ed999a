//! Hospital systems that run clinics in the hub: HL7 v2 over MLLP, ADT, SIU and ORU.

use super::hl7::Dialect;

/// What hospital systems send.
pub const DIALECT: Dialect =
    Dialect { kind: "Secondary care", message_types: &["ADT", "SIU", "ORU"], processing: Some('P') };
