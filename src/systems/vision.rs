//! INPS Vision in a general practice: GP Connect in XML.

use crate::codec::fhir::Format;

use super::gp_connect::Profile;

/// Vision over GP Connect.
pub static PROFILE: Profile = Profile {
    kind: "Vision",
    format: Format::Xml,
    local_code_systems: &[
        "https://fhir.hl7.org.uk/Id/multilex-drug-codes",
        "https://fhir.hl7.org.uk/Id/resipuk-gemscript-drug-codes",
        "https://fhir.nhs.uk/Id/multilex-drug-codes",
        "https://fhir.nhs.uk/Id/resipuk-gemscript-drug-codes",
    ],
};
