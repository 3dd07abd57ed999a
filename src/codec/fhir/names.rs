//! The names GP Connect gives to identifiers, profiles, extensions and code systems (GP Connect 1.2.7 and 1.6.0).

/// NHS numbers.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
/// Organisations in the ODS.
pub const ODS_CODE: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
/// Users in the SDS.
pub const SDS_USER_ID: &str = "https://fhir.nhs.uk/Id/sds-user-id";
/// A user's role profile in the SDS.
pub const SDS_ROLE_PROFILE_ID: &str = "https://fhir.nhs.uk/Id/sds-role-profile-id";
/// Job roles.
pub const SDS_JOB_ROLE: &str = "https://fhir.nhs.uk/STU3/CodeSystem/CareConnect-SDSJobRoleName-1";
/// Kinds of organisation, such as `gp-practice` or `urgent-care`.
pub const ORGANISATION_TYPE: &str = "https://fhir.nhs.uk/STU3/CodeSystem/GPConnect-OrganisationType-1";
/// Error codes.
pub const SPINE_ERROR: &str = "https://fhir.nhs.uk/STU3/CodeSystem/Spine-ErrorOrWarningCode-1";
/// Why a list is empty.
pub const LIST_EMPTY_REASON: &str = "https://fhir.nhs.uk/STU3/CodeSystem/CareConnect-ListEmptyReasonCode-1";
/// How far an NHS number has been checked: `01` is present and verified.
pub const NHS_NUMBER_STATUS: &str =
    "https://fhir.nhs.uk/STU3/CodeSystem/CareConnect-NHSNumberVerificationStatus-1";
/// SNOMED CT.
pub const SNOMED_CT: &str = "http://snomed.info/sct";
/// Read v2.
pub const READ_2: &str = "http://read.info/readv2";
/// Clinical Terms version 3.
pub const CTV3: &str = "http://read.info/ctv3";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// Units.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// A profile by its short name.
pub fn profile(name: &str) -> String {
    format!("https://fhir.nhs.uk/STU3/StructureDefinition/{name}")
}

/// The last parts of the extensions' names.
pub mod extension {
    /// On an appointment: the organisation that booked, as a reference to a contained one.
    pub const BOOKING_ORGANISATION: &str = "Extension-GPConnect-BookingOrganisation-1";
    /// On a cancelled appointment: why, as text.
    pub const CANCELLATION_REASON: &str = "Extension-GPConnect-AppointmentCancellationReason-1";
    /// On a slot or appointment: `In-person`, `Telephone` or `Video`.
    pub const DELIVERY_CHANNEL: &str = "Extension-GPConnect-DeliveryChannel-2";
    /// On a schedule or appointment: the practitioner's job role.
    pub const PRACTITIONER_ROLE: &str = "Extension-GPConnect-PractitionerRole-1";
    /// On a list: `confidential-items` and the like.
    pub const LIST_WARNING: &str = "Extension-CareConnect-GPC-ListWarningCode-1";
    /// The same, as version 1.5 and later name it.
    pub const LIST_WARNING_CARE_CONNECT: &str = "Extension-CareConnect-ListWarningCode-1";
    /// On a coding: the SNOMED CT description that was chosen.
    pub const DESCRIPTION: &str = "Extension-coding-sctdescid";
    /// On an NHS number: how far it has been checked.
    pub const NHS_NUMBER_STATUS: &str = "Extension-CareConnect-GPC-NHSNumberVerificationStatus-1";
    /// On a patient: how and since when registered.
    pub const REGISTRATION: &str = "Extension-CareConnect-GPC-RegistrationDetails-1";
    /// On a problem: `major` or `minor`.
    pub const PROBLEM_SIGNIFICANCE: &str = "Extension-CareConnect-ProblemSignificance-1";
    /// On an allergy: when and why it ended.
    pub const ALLERGY_END: &str = "Extension-CareConnect-GPC-AllergyIntoleranceEnd-1";
    /// The same, as version 1.5 and later name it.
    pub const ALLERGY_END_CARE_CONNECT: &str = "Extension-CareConnect-AllergyIntoleranceEnd-1";
    /// On a medication request: `acute`, `repeat` and so on.
    pub const PRESCRIPTION_TYPE: &str = "Extension-CareConnect-GPC-PrescriptionType-1";
    /// On a dispensed quantity: in words.
    pub const QUANTITY_TEXT: &str = "Extension-CareConnect-GPC-MedicationQuantityText-1";
    /// On a medication statement: when last issued.
    pub const LAST_ISSUE: &str = "Extension-CareConnect-GPC-MedicationStatementLastIssueDate-1";
    /// The same, as version 1.5 and later name it.
    pub const LAST_ISSUE_CARE_CONNECT: &str = "Extension-CareConnect-MedicationStatementLastIssueDate-1";
    /// On a medication request: why and when stopped.
    pub const STATUS_REASON: &str = "Extension-CareConnect-GPC-MedicationStatusReason-1";
    /// On an immunisation: the code of what was done.
    pub const VACCINATION_PROCEDURE: &str = "Extension-CareConnect-VaccinationProcedure-1";
    /// On an immunisation: when it was recorded.
    pub const DATE_RECORDED: &str = "Extension-CareConnect-DateRecorded-1";
}
