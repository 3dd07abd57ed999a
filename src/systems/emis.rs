//! EMIS Web in a general practice: GP Connect in JSON, with blanks where others leave things out.

use crate::codec::fhir::Format;

use super::gp_connect::Profile;

/// EMIS over GP Connect.
pub static PROFILE: Profile = Profile {
    kind: "EMIS",
    format: Format::Json,
    local_code_systems: &[
        "https://fhir.hl7.org.uk/Id/emis-drug-codes",
        "https://fhir.hl7.org.uk/Id/egton-codes",
        "https://fhir.nhs.uk/Id/emis-drug-codes",
        "https://fhir.nhs.uk/Id/egton-codes",
    ],
};
