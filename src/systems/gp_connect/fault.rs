//! Everything that can go wrong between us and a practice, who can put it right, and what to say at the desk.
//!
//! Spine's codes and their statuses: GP Connect, Error handling guidance, and the value set
//! `Spine-ErrorOrWarningCode-1`. The proxy's answers carry no Spine code: same page, Spine Security Proxy errors.

use std::time::Duration;

use crate::{
    codec::fhir::{Element, OperationOutcome},
    flow::ask::{AtFault, Outcome, Refusal, Retry},
};

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each is named after its code, and the table below says what it means")]
pub enum Fault {
    InvalidIdentifierSystem,
    InvalidIdentifierValue,
    InvalidNhsNumber,
    InvalidPatientDemographics,
    InvalidOdsCode,
    BadRequest,
    MessageNotWellFormed,
    InvalidCodeSystem,
    InvalidCodeValue,
    InvalidValue,
    InvalidElement,
    ConflictingValues,
    MissingOrInvalidHeader,
    RequestUnmatched,
    AuthorCredentialsError,
    NoPatientConsent,
    NoOrganisationalConsent,
    NonAuthoritative,
    AccessDenied,
    AccessDeniedTls,
    AsidCheckFailed,
    PatientSensitive,
    NoRelationship,
    PatientNotFound,
    OrganisationNotFound,
    PractitionerNotFound,
    NoRecordFound,
    DuplicateRejected,
    FhirConstraintViolation,
    FlagAlreadySet,
    InvalidRequestState,
    InvalidRequestType,
    InvalidResource,
    InvalidParameter,
    ReferenceNotFound,
    InternalServerError,
    NotImplemented,
    ProxyBadRequest,
    ProxyForbidden,
    ProxyMethodNotAllowed,
    ProxyNotAcceptable,
    ProxyUnsupportedMediaType,
    EndpointVaries,
    EndpointUnreachable,
    BadGateway,
    GatewayTimeout,
    Unavailable,
    TooManyRequests,
    Unauthorised,
    UnexpectedStatus,
    NotConnected,
    NoAnswer,
    AnswerTooLong,
    UnreadableAnswer,
    AnotherPatient,
    ClockDiffers,
}

/// What is known of a fault.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which fault.
    pub fault: Fault,
    /// Its stable code: Spine's own, or ours where Spine has none.
    pub code: &'static str,
    /// The HTTP status it comes with; 0 if it is found here.
    pub status: u16,
    /// Who can put it right.
    pub at_fault: AtFault,
    /// When asking again may help, if the request does no harm twice.
    pub retry: Retry,
    /// Whether the system may have acted all the same.
    pub outcome: Outcome,
    /// What to say at the desk.
    pub words: &'static str,
}

impl Fault {
    /// What is known of it.
    pub fn row(self) -> &'static Row {
        // The table is in the order of the variants, which a test checks.
        TABLE.get(self as usize).unwrap_or(&UNEXPECTED)
    }

    /// The fault of a Spine code. Suppliers write some with spaces, and the proxy adds to some.
    pub fn of_code(code: &str) -> Option<Self> {
        let code = code.trim().replace([' ', '-'], "_").to_ascii_uppercase();
        match code.as_str() {
            "NO_ORGANISATION_CONSENT" => return Some(Self::NoOrganisationalConsent),
            "ACCESS_DENIED_SSL" => return Some(Self::AccessDeniedTls),
            other if other.starts_with("ASID_CHECK_FAILED") => return Some(Self::AsidCheckFailed),
            _ => {}
        }
        TABLE.iter().find(|row| row.code == code && row.status != 0).map(|row| row.fault)
    }

    /// The fault of an answer that is no success.
    pub fn of_answer(status: u16, outcome: Option<OperationOutcome<'_>>) -> Self {
        let issues = || outcome.into_iter().flat_map(OperationOutcome::issues);
        let coded = issues().flat_map(|issue| issue.details().codings()).find_map(|one| one.code());
        if let Some(fault) = coded.and_then(Self::of_code) {
            return fault;
        }
        // The proxy writes what it means into the display of a code that repeats the status.
        let said = |word: &str| {
            issues().any(|issue| {
                let displays = issue.details().codings().filter_map(|coding| coding.display());
                let texts = [issue.diagnostics(), issue.details().element().get("text").text()];
                texts.into_iter().flatten().chain(displays).any(|text| text.contains(word))
            })
        };
        let spoken = [
            ("ASID_CHECK_FAILED", Self::AsidCheckFailed),
            ("FOT_CHECK_FAILED", Self::AsidCheckFailed),
            ("_VARIES_FROM_TARGETURL_", Self::EndpointVaries),
            ("ERROR_COMMUNICATING_TO_ENDPOINT_URL", Self::EndpointUnreachable),
        ];
        if let Some((_, fault)) = spoken.into_iter().find(|(word, _)| said(word)) {
            return fault;
        }
        Self::of_status(status)
    }

    const fn of_status(status: u16) -> Self {
        match status {
            400 => Self::ProxyBadRequest,
            401 => Self::Unauthorised,
            403 => Self::ProxyForbidden,
            404 => Self::NoRecordFound,
            405 => Self::ProxyMethodNotAllowed,
            406 => Self::ProxyNotAcceptable,
            409 | 412 => Self::FhirConstraintViolation,
            415 => Self::ProxyUnsupportedMediaType,
            422 => Self::InvalidResource,
            429 => Self::TooManyRequests,
            500 => Self::InternalServerError,
            501 => Self::NotImplemented,
            502 => Self::BadGateway,
            503 => Self::Unavailable,
            504 => Self::GatewayTimeout,
            _ => Self::UnexpectedStatus,
        }
    }

    /// Whether a token that has run out at the other end looks like this.
    pub const fn may_be_the_clock(self) -> bool {
        matches!(
            self,
            Self::BadRequest
                | Self::ProxyBadRequest
                | Self::ProxyForbidden
                | Self::Unauthorised
                | Self::AccessDenied
                | Self::AuthorCredentialsError
                | Self::MissingOrInvalidHeader
                | Self::RequestUnmatched
        )
    }

    /// As others see it. `detail` says what happened where, without patient data.
    pub fn refusal(self, detail: String) -> Refusal {
        let Row { code, at_fault, retry, outcome, words, .. } = *self.row();
        Refusal { code, at_fault, retry, outcome, words, detail }
    }
}

/// The outcome within an answer's body, if there is one.
pub fn outcome_of(body: &serde_json::Value) -> Option<OperationOutcome<'_>> {
    OperationOutcome::of(Element::of(body))
}

/// A system that is busy or restarting is asked again after this long.
const SHORTLY: Retry = Retry::After(Duration::from_secs(30));
/// A system that is down, or a network that is, after this long.
const LATER: Retry = Retry::After(Duration::from_secs(300));
const LOOK_AGAIN: Retry = Retry::AfterFreshLook;
const NEVER: Retry = Retry::Never;

const OUR_DEFECT: &str = "This hub asked in a way the practice's system does not take. Ring the practice, and \
                          tell the hub's support.";
const THEIR_DEFECT: &str =
    "The practice's system failed. Try again in a minute; if it fails again, ring the practice.";
const UNREACHABLE: &str = "The practice's system cannot be reached just now. Try again in a few minutes, or ring \
                           the practice.";
const NOT_SET_UP: &str =
    "This hub is not set up to ask this practice. Ring the practice, and tell the hub's support.";

static UNEXPECTED: Row =
    row(Fault::UnexpectedStatus, "UNEXPECTED_STATUS", 0, AtFault::System, NEVER, THEIR_DEFECT);

const fn row(
    fault: Fault,
    code: &'static str,
    status: u16,
    at_fault: AtFault,
    retry: Retry,
    words: &'static str,
) -> Row {
    Row { fault, code, status, at_fault, retry, outcome: Outcome::NotDone, words }
}

/// A fault that leaves open whether the system has acted.
const fn open(
    fault: Fault,
    code: &'static str,
    status: u16,
    at_fault: AtFault,
    retry: Retry,
    words: &'static str,
) -> Row {
    Row { fault, code, status, at_fault, retry, outcome: Outcome::Unknown, words }
}

/// One row for each fault, in the order of [`Fault`].
#[rustfmt::skip]
pub static TABLE: [Row; 56] = [
    row(Fault::InvalidIdentifierSystem, "INVALID_IDENTIFIER_SYSTEM", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::InvalidIdentifierValue, "INVALID_IDENTIFIER_VALUE", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::InvalidNhsNumber, "INVALID_NHS_NUMBER", 400, AtFault::Asker, NEVER,
        "The practice's system does not take this NHS number. Check it with the patient."),
    row(Fault::InvalidPatientDemographics, "INVALID_PATIENT_DEMOGRAPHICS", 400, AtFault::Asker, NEVER,
        "Name, date of birth or NHS number do not match the national record. Check them with the patient."),
    row(Fault::InvalidOdsCode, "INVALID_ODS_CODE", 400, AtFault::Hub, NEVER, NOT_SET_UP),
    row(Fault::BadRequest, "BAD_REQUEST", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::MessageNotWellFormed, "MESSAGE_NOT_WELL_FORMED", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::InvalidCodeSystem, "INVALID_CODE_SYSTEM", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::InvalidCodeValue, "INVALID_CODE_VALUE", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::InvalidValue, "INVALID_VALUE", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::InvalidElement, "INVALID_ELEMENT", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::ConflictingValues, "CONFLICTING_VALUES", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::MissingOrInvalidHeader, "MISSING_OR_INVALID_HEADER", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::RequestUnmatched, "REQUEST_UNMATCHED", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::AuthorCredentialsError, "AUTHOR_CREDENTIALS_ERROR", 403, AtFault::Asker, NEVER,
        "The practice's system does not know your smartcard role. Sign in with your smartcard, or ask your manager."),
    row(Fault::NoPatientConsent, "NO_PATIENT_CONSENT", 403, AtFault::Decision, NEVER,
        "The patient has told their practice not to share this record. Appointments can still be booked."),
    row(Fault::NoOrganisationalConsent, "NO_ORGANISATIONAL_CONSENT", 403, AtFault::Decision, NEVER,
        "The practice has not agreed to share with this hub. Ring the practice."),
    row(Fault::NonAuthoritative, "NON_AUTHORITATIVE", 403, AtFault::Asker, NEVER,
        "This practice is not the patient's registered practice. Look up where the patient is registered."),
    row(Fault::AccessDenied, "ACCESS_DENIED", 403, AtFault::Decision, NEVER,
        "The practice's system does not let this hub in. Ring the practice, and tell the hub's support."),
    row(Fault::AccessDeniedTls, "ACCESS_DENIED_TLS", 403, AtFault::Hub, NEVER, NOT_SET_UP),
    row(Fault::AsidCheckFailed, "ASID_CHECK_FAILED", 403, AtFault::Hub, NEVER, NOT_SET_UP),
    row(Fault::PatientSensitive, "PATIENT_SENSITIVE", 403, AtFault::Decision, NEVER,
        "The practice holds no record of this patient that it can share with this hub."),
    row(Fault::NoRelationship, "NO_RELATIONSHIP", 403, AtFault::Decision, NEVER,
        "This hub has no recorded reason to see this patient's record. Record one first."),
    row(Fault::PatientNotFound, "PATIENT_NOT_FOUND", 404, AtFault::Asker, NEVER,
        "The practice holds no record of this patient that it can share with this hub."),
    row(Fault::OrganisationNotFound, "ORGANISATION_NOT_FOUND", 404, AtFault::Hub, NEVER, NOT_SET_UP),
    row(Fault::PractitionerNotFound, "PRACTITIONER_NOT_FOUND", 404, AtFault::Asker, LOOK_AGAIN,
        "The practice no longer lists this clinician. Search again."),
    row(Fault::NoRecordFound, "NO_RECORD_FOUND", 404, AtFault::Asker, LOOK_AGAIN,
        "The practice's system does not find this any more. Search again."),
    row(Fault::DuplicateRejected, "DUPLICATE_REJECTED", 409, AtFault::Asker, LOOK_AGAIN,
        "Somebody else has just taken this time. Choose another."),
    row(Fault::FhirConstraintViolation, "FHIR_CONSTRAINT_VIOLATION", 409, AtFault::Asker, LOOK_AGAIN,
        "The appointment was changed by somebody else meanwhile. Look at it again, then decide."),
    row(Fault::FlagAlreadySet, "FLAG_ALREADY_SET", 409, AtFault::Asker, LOOK_AGAIN,
        "This was already done. Look again."),
    row(Fault::InvalidRequestState, "INVALID_REQUEST_STATE", 409, AtFault::Asker, LOOK_AGAIN,
        "This can no longer be done to the appointment as it is. Look at it again."),
    row(Fault::InvalidRequestType, "INVALID_REQUEST_TYPE", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::InvalidResource, "INVALID_RESOURCE", 422, AtFault::Hub, LOOK_AGAIN,
        "The practice's system does not take this as it is. Check the time is still to come and search again; \
         if it is refused again, ring the practice."),
    row(Fault::InvalidParameter, "INVALID_PARAMETER", 422, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::ReferenceNotFound, "REFERENCE_NOT_FOUND", 422, AtFault::Asker, LOOK_AGAIN,
        "The practice's system no longer knows this patient, place or time by the names it gave. Search again."),
    open(Fault::InternalServerError, "INTERNAL_SERVER_ERROR", 500, AtFault::System, SHORTLY, THEIR_DEFECT),
    row(Fault::NotImplemented, "NOT_IMPLEMENTED", 501, AtFault::System, NEVER,
        "The practice's system cannot do this. Ring the practice."),
    row(Fault::ProxyBadRequest, "PROXY_BAD_REQUEST", 400, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::ProxyForbidden, "PROXY_FORBIDDEN", 403, AtFault::Hub, NEVER, NOT_SET_UP),
    row(Fault::ProxyMethodNotAllowed, "PROXY_METHOD_NOT_ALLOWED", 405, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::ProxyNotAcceptable, "PROXY_NOT_ACCEPTABLE", 406, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::ProxyUnsupportedMediaType, "PROXY_UNSUPPORTED_MEDIA_TYPE", 415, AtFault::Hub, NEVER, OUR_DEFECT),
    row(Fault::EndpointVaries, "ENDPOINT_VARIES_FROM_DIRECTORY", 400, AtFault::Hub, NEVER, NOT_SET_UP),
    open(Fault::EndpointUnreachable, "ERROR_COMMUNICATING_TO_ENDPOINT_URL", 502, AtFault::System, LATER, UNREACHABLE),
    open(Fault::BadGateway, "BAD_GATEWAY", 502, AtFault::Network, LATER, UNREACHABLE),
    open(Fault::GatewayTimeout, "GATEWAY_TIMEOUT", 504, AtFault::System, SHORTLY, UNREACHABLE),
    open(Fault::Unavailable, "SERVICE_UNAVAILABLE", 503, AtFault::System, SHORTLY, UNREACHABLE),
    row(Fault::TooManyRequests, "TOO_MANY_REQUESTS", 429, AtFault::Hub, SHORTLY,
        "The practice's system is being asked too often. Try again in a minute."),
    row(Fault::Unauthorised, "UNAUTHORISED", 401, AtFault::Hub, NEVER, NOT_SET_UP),
    open(Fault::UnexpectedStatus, "UNEXPECTED_STATUS", 0, AtFault::System, NEVER, THEIR_DEFECT),
    row(Fault::NotConnected, "NOT_CONNECTED", 0, AtFault::Network, LATER, UNREACHABLE),
    open(Fault::NoAnswer, "NO_ANSWER", 0, AtFault::Network, SHORTLY, UNREACHABLE),
    open(Fault::AnswerTooLong, "ANSWER_TOO_LONG", 0, AtFault::System, NEVER,
        "The practice's answer is too large to take in. Ring the practice."),
    open(Fault::UnreadableAnswer, "UNREADABLE_ANSWER", 0, AtFault::System, NEVER, THEIR_DEFECT),
    open(Fault::AnotherPatient, "ANOTHER_PATIENT", 0, AtFault::System, NEVER,
        "The practice's system answered about somebody else, and nothing of it is shown. Ring the practice."),
    row(Fault::ClockDiffers, "CLOCK_DIFFERS", 0, AtFault::Hub, NEVER,
        "The hub's clock and the practice's differ, so the practice refuses. Ring the practice, and tell the \
         hub's support."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn answer(status: u16, body: &Value) -> Fault {
        Fault::of_answer(status, outcome_of(body))
    }

    #[test]
    fn the_table_is_in_the_order_of_the_faults_and_says_something_of_each() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.fault as usize, index, "{}", row.code);
            assert_eq!(row.fault.row().code, row.code);
            assert!(row.words.ends_with('.') && 20 < row.words.len(), "{}", row.code);
            assert!(TABLE.iter().filter(|other| other.code == row.code).count() == 1, "{}", row.code);
        }
    }

    #[test]
    fn each_spine_code_is_known_whatever_its_system_is_called() {
        let systems = [
            "https://fhir.nhs.uk/STU3/CodeSystem/Spine-ErrorOrWarningCode-1",
            "https://fhir.nhs.uk/STU3/ValueSet/Spine-ErrorOrWarningCode-1",
            "http://fhir.nhs.net/ValueSet/gpconnect-error-or-warning-code-1",
            "",
        ];
        for row in TABLE.iter().filter(|row| row.status != 0) {
            for system in systems {
                let body = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid",
                    "details": {"coding": [{"system": system, "code": row.code}]}}]});
                assert_eq!(answer(row.status, &body), row.fault, "{}", row.code);
            }
            let refusal = row.fault.refusal("here".to_owned());
            assert_eq!((refusal.code, refusal.at_fault, refusal.retry), (row.code, row.at_fault, row.retry));
        }
    }

    #[test]
    fn spellings_met_in_the_field_are_known() {
        for (code, fault) in [
            ("ACCESS DENIED", Fault::AccessDenied),
            ("ACCESS_DENIED_SSL", Fault::AccessDeniedTls),
            ("NO_ORGANISATION_CONSENT", Fault::NoOrganisationalConsent),
            ("ASID_CHECK_FAILED_SENDER", Fault::AsidCheckFailed),
            ("patient_not_found", Fault::PatientNotFound),
        ] {
            assert_eq!(Fault::of_code(code), Some(fault), "{code}");
        }
        assert_eq!(Fault::of_code("NOT_CONNECTED"), None, "what we find ourselves, nobody may tell us");
        assert_eq!(Fault::of_code("BREW_FAILED"), None);
    }

    #[test]
    fn the_proxy_is_understood_without_spine_codes() {
        for (status, code, diagnostics, fault) in [
            (400, "invalid", "x", Fault::ProxyBadRequest),
            (403, "forbidden", "x", Fault::ProxyForbidden),
            (403, "forbidden", "ASID_CHECK_FAILED: sender", Fault::AsidCheckFailed),
            (405, "not-supported", "x", Fault::ProxyMethodNotAllowed),
            (415, "not-supported", "x", Fault::ProxyUnsupportedMediaType),
            (500, "exception", "x", Fault::InternalServerError),
            (502, "transient", "ERROR_COMMUNICATING_TO_ENDPOINT_URL", Fault::EndpointUnreachable),
            (502, "transient", "x", Fault::BadGateway),
            (504, "transient", "x", Fault::GatewayTimeout),
            (412, "conflict", "x", Fault::FhirConstraintViolation),
        ] {
            let body = json!({"resourceType": "OperationOutcome",
                "issue": [{"severity": "error", "code": code, "diagnostics": diagnostics}]});
            assert_eq!(answer(status, &body), fault, "{status}");
        }
        assert_eq!(Fault::of_answer(418, None), Fault::UnexpectedStatus);
        for (status, display, fault) in [
            (403, "ASID_CHECK_FAILED_MESSAGESENDER_1", Fault::AsidCheckFailed),
            (403, "FOT_CHECK_FAILED_MESSAGESENDER_1_MESSAGERECEIVER_2", Fault::AsidCheckFailed),
            (400, "ENDPOINT_https://a_CPAID_S0_VARIES_FROM_TARGETURL_https://b", Fault::EndpointVaries),
            (502, "ERROR_COMMUNICATING_TO_ENDPOINT_URL_https://a", Fault::EndpointUnreachable),
        ] {
            let body = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x",
                "details": {"coding": [{"code": status.to_string(), "display": display}]}}]});
            assert_eq!(answer(status, &body), fault, "{display}");
        }
    }

    #[test]
    fn only_what_may_have_been_acted_on_is_unknown() {
        for row in &TABLE {
            let may = row.status >= 500 && row.status != 501 || row.status == 0;
            let certain = matches!(row.fault, Fault::NotConnected | Fault::ClockDiffers);
            assert_eq!(row.outcome == Outcome::Unknown, may && !certain, "{}", row.code);
        }
    }

    #[test]
    fn a_sensitive_patient_reads_as_an_unknown_one() {
        assert_eq!(Fault::PatientSensitive.row().words, Fault::PatientNotFound.row().words);
    }
}
