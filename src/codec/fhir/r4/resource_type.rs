//! The types of resources that are given, and by what they are searched.

/// A type of resource.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "they are FHIR's own names")]
pub enum ResourceType {
    Patient,
    AllergyIntolerance,
    MedicationStatement,
    Condition,
    Observation,
    DiagnosticReport,
    DocumentReference,
    Immunization,
    Encounter,
    Appointment,
    ServiceRequest,
    Provenance,
    AuditEvent,
    Binary,
}

/// A search parameter: how its values are written, and where the element is that it looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) sort: Sort,
    /// The element.
    pub(super) element: &'static str,
}

/// How values of a search parameter are written (R4, section 3.1.1.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sort {
    Token,
    Date,
}

const fn token(name: &'static str, element: &'static str) -> Parameter {
    Parameter { name, sort: Sort::Token, element }
}

const fn date(name: &'static str, element: &'static str) -> Parameter {
    Parameter { name, sort: Sort::Date, element }
}

impl ResourceType {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Patient,
        Self::AllergyIntolerance,
        Self::MedicationStatement,
        Self::Condition,
        Self::Observation,
        Self::DiagnosticReport,
        Self::DocumentReference,
        Self::Immunization,
        Self::Encounter,
        Self::Appointment,
        Self::ServiceRequest,
        Self::Provenance,
        Self::AuditEvent,
        Self::Binary,
    ];

    /// FHIR's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::AllergyIntolerance => "AllergyIntolerance",
            Self::MedicationStatement => "MedicationStatement",
            Self::Condition => "Condition",
            Self::Observation => "Observation",
            Self::DiagnosticReport => "DiagnosticReport",
            Self::DocumentReference => "DocumentReference",
            Self::Immunization => "Immunization",
            Self::Encounter => "Encounter",
            Self::Appointment => "Appointment",
            Self::ServiceRequest => "ServiceRequest",
            Self::Provenance => "Provenance",
            Self::AuditEvent => "AuditEvent",
            Self::Binary => "Binary",
        }
    }

    /// The type of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it can be searched for; others are read by their ids.
    pub const fn is_searched(self) -> bool {
        !matches!(self, Self::Binary)
    }

    /// By what it is searched, beside whose it is, `_id` and `_lastUpdated`.
    pub(super) const fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Patient | Self::Binary => &[],
            Self::AllergyIntolerance => &ALLERGY,
            Self::MedicationStatement => &MEDICATION,
            Self::Condition => &CONDITION,
            Self::Observation | Self::DiagnosticReport => &RESULT,
            Self::DocumentReference => &DOCUMENT,
            Self::Immunization => &IMMUNIZATION,
            Self::Encounter => &ENCOUNTER,
            Self::Appointment => &APPOINTMENT,
            Self::ServiceRequest => &REQUEST,
            Self::Provenance => &PROVENANCE,
            Self::AuditEvent => &AUDIT,
        }
    }
}

const ALLERGY: [Parameter; 4] = [
    token("category", "category"),
    token("clinical-status", "clinicalStatus"),
    token("code", "code"),
    date("date", "recordedDate"),
];
const MEDICATION: [Parameter; 3] = [
    token("code", "medicationCodeableConcept"),
    token("status", "status"),
    date("effective", "effectivePeriod"),
];
const CONDITION: [Parameter; 5] = [
    token("category", "category"),
    token("clinical-status", "clinicalStatus"),
    token("code", "code"),
    date("onset-date", "onsetDateTime"),
    date("recorded-date", "recordedDate"),
];
const RESULT: [Parameter; 4] = [
    token("category", "category"),
    token("code", "code"),
    token("status", "status"),
    date("date", "effectiveDateTime"),
];
const DOCUMENT: [Parameter; 3] = [token("type", "type"), token("status", "status"), date("date", "date")];
const IMMUNIZATION: [Parameter; 3] =
    [token("vaccine-code", "vaccineCode"), token("status", "status"), date("date", "occurrenceDateTime")];
const ENCOUNTER: [Parameter; 4] =
    [token("class", "class"), token("status", "status"), token("type", "type"), date("date", "period")];
const APPOINTMENT: [Parameter; 2] = [token("status", "status"), date("date", "start")];
const REQUEST: [Parameter; 4] = [
    token("code", "code"),
    token("status", "status"),
    date("authored", "authoredOn"),
    date("occurrence", "occurrenceDateTime"),
];
const PROVENANCE: [Parameter; 1] = [date("recorded", "recorded")];
const AUDIT: [Parameter; 4] =
    [token("action", "action"), token("outcome", "outcome"), token("type", "type"), date("date", "recorded")];
