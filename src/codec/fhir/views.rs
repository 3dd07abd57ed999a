//! Views of the resources GP Connect uses. Each looks at what is there; none demands anything.

use super::{
    CodeableConcept, Element, Identifier, Moment, Period, Quantity, Reference, names, names::extension,
};

macro_rules! resource {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(Element<'a>);

        impl<'a> $name<'a> {
            /// The resource type's name.
            pub const KIND: &'static str = $kind;

            /// A view of a resource, if it is of this type.
            pub fn of(element: Element<'a>) -> Option<Self> {
                (element.text_of("resourceType") == Some(Self::KIND)).then_some(Self(element))
            }

            /// The resource itself.
            pub const fn element(self) -> Element<'a> {
                self.0
            }

            /// Its id at its server.
            pub fn id(self) -> Option<&'a str> {
                self.0.text_of("id")
            }
        }
    };
}

macro_rules! parts {
    ($name:ident { $($(#[$doc:meta])* $method:ident: $of:ident($field:literal);)+ }) => {
        impl<'a> $name<'a> {
            $($(#[$doc])* pub fn $method(self) -> $of<'a> { $of::of(self.0.get($field)) })+
        }
    };
}

macro_rules! texts {
    ($name:ident { $($(#[$doc:meta])* $method:ident: $field:literal;)+ }) => {
        impl<'a> $name<'a> {
            $($(#[$doc])* pub fn $method(self) -> Option<&'a str> { self.0.text_of($field) })+
        }
    };
}

resource! {
    /// Resources together: an answer.
    Bundle, "Bundle"
}

impl<'a> Bundle<'a> {
    /// Each resource in it.
    pub fn resources(self) -> impl Iterator<Item = Element<'a>> {
        self.0.each("entry").map(|entry| entry.get("resource")).filter(|resource| resource.is_present())
    }

    /// Each resource with the address it is referred to by.
    pub fn entries(self) -> impl Iterator<Item = (Option<&'a str>, Element<'a>)> {
        let pair = |entry: Element<'a>| (entry.text_of("fullUrl"), entry.get("resource"));
        self.0.each("entry").map(pair).filter(|(_, resource)| resource.is_present())
    }
}

resource! {
    /// A person under care.
    Patient, "Patient"
}

impl<'a> Patient<'a> {
    /// Every identifier.
    pub fn identifiers(self) -> impl Iterator<Item = Identifier<'a>> {
        self.0.each("identifier").map(Identifier::of)
    }

    /// The NHS number as text, and how far it has been checked (`01` is present and verified).
    pub fn nhs_number(self) -> (Option<&'a str>, Option<&'a str>) {
        let found = self.identifiers().find(|one| one.system() == Some(names::NHS_NUMBER));
        let Some(identifier) = found else { return (None, None) };
        let status = identifier.element().extension(extension::NHS_NUMBER_STATUS);
        (identifier.value(), CodeableConcept::of(status.get("valueCodeableConcept")).any_code())
    }

    /// The name in official use, else the usual one, else the first.
    pub fn name(self) -> Element<'a> {
        let using = |way: &str| self.0.each("name").find(|name| name.text_of("use") == Some(way));
        using("official").or_else(|| using("usual")).unwrap_or_else(|| self.0.get("name"))
    }

    /// The home address, else the first that is not an old one.
    pub fn address(self) -> Element<'a> {
        let home = self.0.each("address").find(|address| address.text_of("use") == Some("home"));
        let current = || self.0.each("address").find(|address| address.text_of("use") != Some("old"));
        home.or_else(current).unwrap_or_else(|| self.0.get("no-address"))
    }

    /// When born.
    pub fn birth_date(self) -> Option<Moment<'a>> {
        self.0.get("birthDate").moment()
    }
}

texts! { Patient {
    /// `male`, `female`, `other` or `unknown`.
    gender: "gender";
} }
parts! { Patient {
    /// The organisation whose record it is.
    managing_organisation: Reference("managingOrganization");
} }

resource! {
    /// An organisation.
    Organization, "Organization"
}

impl<'a> Organization<'a> {
    /// Its ODS code.
    pub fn ods_code(self) -> Option<&'a str> {
        self.0.each("identifier").find_map(|one| Identifier::of(one).value_in(names::ODS_CODE))
    }

    /// A telephone number.
    pub fn telephone(self) -> Option<&'a str> {
        telephone(self.0)
    }
}

texts! { Organization {
    /// Its name.
    name: "name";
} }

resource! {
    /// Somebody who gives care.
    Practitioner, "Practitioner"
}

impl Practitioner<'_> {
    /// The name as one says it: `Dr David McAvenue`.
    pub fn full_name(self) -> Option<String> {
        human_name(self.0.get("name"))
    }
}

texts! { Practitioner {
    /// `male`, `female`, `other` or `unknown`.
    gender: "gender";
} }

resource! {
    /// What somebody does where.
    PractitionerRole, "PractitionerRole"
}
parts! { PractitionerRole {
    /// Who.
    practitioner: Reference("practitioner");
    /// Where.
    organisation: Reference("organization");
    /// As what.
    role: CodeableConcept("code");
} }

resource! {
    /// An allergy or intolerance.
    Allergy, "AllergyIntolerance"
}
texts! { Allergy {
    /// `active`, `inactive` or `resolved`.
    clinical_status: "clinicalStatus";
    /// `unconfirmed`, `confirmed`, `refuted` or `entered-in-error`.
    verification_status: "verificationStatus";
    /// `low`, `high` or `unable-to-assess`.
    criticality: "criticality";
} }
parts! { Allergy {
    /// To what.
    code: CodeableConcept("code");
    /// Who said so.
    asserter: Reference("asserter");
    /// Who wrote it down.
    recorder: Reference("recorder");
} }

impl<'a> Allergy<'a> {
    /// When and why it ended.
    pub fn end(self) -> (Option<Moment<'a>>, Option<&'a str>) {
        let end = self.0.extension(extension::ALLERGY_END);
        let end = if end.is_present() { end } else { self.0.extension(extension::ALLERGY_END_CARE_CONNECT) };
        let part = |name: &str| end.each("extension").find(|part| part.text_of("url") == Some(name));
        let date = part("endDate").and_then(|part| part.get("valueDateTime").moment());
        (date, part("reasonEnded").and_then(|part| part.text_of("valueString")))
    }

    /// What it did.
    pub fn reactions(self) -> impl Iterator<Item = Element<'a>> {
        self.0.each("reaction")
    }
}

resource! {
    /// A medicine as a product.
    Medication, "Medication"
}
parts! { Medication {
    /// Which.
    code: CodeableConcept("code");
} }

resource! {
    /// A medicine someone takes or took.
    MedicationStatement, "MedicationStatement"
}
texts! { MedicationStatement {
    /// `active`, `completed`, `intended`, `entered-in-error`, `stopped` or `on-hold`.
    status: "status";
} }
parts! { MedicationStatement {
    /// Which, if given as a code.
    concept: CodeableConcept("medicationCodeableConcept");
    /// Which, if given as a resource.
    medication: Reference("medicationReference");
    /// From when to when.
    effective: Period("effectivePeriod");
    /// The authorisation it comes from.
    based_on: Reference("basedOn");
    /// Who told of it.
    source: Reference("informationSource");
} }

impl<'a> MedicationStatement<'a> {
    /// When last issued.
    pub fn last_issued(self) -> Option<Moment<'a>> {
        let own = self.0.extension(extension::LAST_ISSUE);
        let own = if own.is_present() { own } else { self.0.extension(extension::LAST_ISSUE_CARE_CONNECT) };
        own.get("valueDateTime").moment().or_else(|| own.get("valueDate").moment())
    }
}

resource! {
    /// A prescription: the authorisation (`plan`) or one issue of it (`order`).
    MedicationRequest, "MedicationRequest"
}
texts! { MedicationRequest {
    /// `active`, `completed`, `stopped`, `entered-in-error` and others.
    status: "status";
    /// `plan` or `order`.
    intent: "intent";
} }
parts! { MedicationRequest {
    /// Which, if given as a code.
    concept: CodeableConcept("medicationCodeableConcept");
    /// Which, if given as a resource.
    medication: Reference("medicationReference");
    /// The authorisation an issue belongs to.
    based_on: Reference("basedOn");
    /// Who wrote it down.
    recorder: Reference("recorder");
} }

impl<'a> MedicationRequest<'a> {
    /// Who asked for it.
    pub fn requester(self) -> Reference<'a> {
        Reference::of(self.0.at(&["requester", "agent"]))
    }

    /// `acute`, `repeat`, `repeat-dispensing` or `delayed-prescribing`, as coded.
    pub fn prescription_type(self) -> CodeableConcept<'a> {
        CodeableConcept::of(self.0.extension(extension::PRESCRIPTION_TYPE).get("valueCodeableConcept"))
    }

    /// How much is dispensed at a time.
    pub fn quantity(self) -> Option<String> {
        let quantity = self.0.at(&["dispenseRequest", "quantity"]);
        let words = quantity.extension(extension::QUANTITY_TEXT).text_of("valueString").map(str::to_owned);
        Quantity::of(quantity).words().or(words)
    }

    /// For which time it is good.
    pub fn validity(self) -> Period<'a> {
        Period::of(self.0.at(&["dispenseRequest", "validityPeriod"]))
    }
}

resource! {
    /// A problem or diagnosis.
    Condition, "Condition"
}
texts! { Condition {
    /// `active`, `inactive` and others.
    clinical_status: "clinicalStatus";
    /// `provisional`, `confirmed`, `entered-in-error` and others.
    verification_status: "verificationStatus";
} }
parts! { Condition {
    /// What it is.
    code: CodeableConcept("code");
    /// Who said so.
    asserter: Reference("asserter");
    /// In which consultation.
    context: Reference("context");
} }

impl<'a> Condition<'a> {
    /// `major` or `minor`.
    pub fn significance(self) -> Option<&'a str> {
        self.0.extension(extension::PROBLEM_SIGNIFICANCE).text_of("valueCode")
    }
}

resource! {
    /// A consultation.
    Encounter, "Encounter"
}
texts! { Encounter {
    /// `finished` and others.
    status: "status";
} }
parts! { Encounter {
    /// What sort.
    kind: CodeableConcept("type");
    /// From when to when.
    period: Period("period");
    /// Whose.
    service_provider: Reference("serviceProvider");
} }

impl<'a> Encounter<'a> {
    /// Who took part, with the code of their part: `PPRF` performed, `REC` recorded.
    pub fn participants(self) -> impl Iterator<Item = (Option<&'a str>, Reference<'a>)> {
        self.0.each("participant").map(|one| {
            (CodeableConcept::of(one.get("type")).any_code(), Reference::of(one.get("individual")))
        })
    }

    /// Where.
    pub fn location(self) -> Reference<'a> {
        Reference::of(self.0.at(&["location", "location"]))
    }
}

resource! {
    /// Something measured, seen or said.
    Observation, "Observation"
}
texts! { Observation {
    /// `final`, `preliminary`, `amended`, `entered-in-error` and others.
    status: "status";
    /// In words.
    comment: "comment";
} }
parts! { Observation {
    /// What was looked at.
    code: CodeableConcept("code");
    /// High, low and so on.
    interpretation: CodeableConcept("interpretation");
    /// Who did it.
    performer: Reference("performer");
    /// On what.
    specimen: Reference("specimen");
    /// How.
    method: CodeableConcept("method");
    /// In which consultation.
    context: Reference("context");
} }

impl<'a> Observation<'a> {
    /// When it held.
    pub fn effective(self) -> Option<Moment<'a>> {
        let period = Period::of(self.0.get("effectivePeriod"));
        self.0.get("effectiveDateTime").moment().or_else(|| period.start())
    }

    /// What belongs to it: members of a group, or what it was derived from.
    pub fn related(self, kind: &'static str) -> impl Iterator<Item = Reference<'a>> {
        let of_kind = self.0.each("related").filter(move |related| related.text_of("type") == Some(kind));
        of_kind.map(|related| Reference::of(related.get("target")))
    }
}

resource! {
    /// A laboratory's report.
    DiagnosticReport, "DiagnosticReport"
}
texts! { DiagnosticReport {
    /// `final`, `preliminary` and others.
    status: "status";
    /// In words.
    conclusion: "conclusion";
} }
parts! { DiagnosticReport {
    /// Of what.
    code: CodeableConcept("code");
} }

impl<'a> DiagnosticReport<'a> {
    /// Its observations.
    pub fn results(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("result").map(Reference::of)
    }

    /// What they were made on.
    pub fn specimens(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("specimen").map(Reference::of)
    }

    /// Who answers for it.
    pub fn performer(self) -> Reference<'a> {
        Reference::of(self.0.at(&["performer", "actor"]))
    }
}

resource! {
    /// What was taken from the patient.
    Specimen, "Specimen"
}
parts! { Specimen {
    /// Blood, urine and so on.
    kind: CodeableConcept("type");
} }

impl<'a> Specimen<'a> {
    /// When it reached the laboratory.
    pub fn received(self) -> Option<Moment<'a>> {
        self.0.get("receivedTime").moment()
    }

    /// When it was taken.
    pub fn collected(self) -> Option<Moment<'a>> {
        let collection = self.0.get("collection");
        let period = Period::of(collection.get("collectedPeriod"));
        collection.get("collectedDateTime").moment().or_else(|| period.start())
    }
}

resource! {
    /// A vaccination, given or not.
    Immunization, "Immunization"
}
texts! { Immunization {
    /// `completed` or `entered-in-error`.
    status: "status";
    /// The batch.
    lot_number: "lotNumber";
} }
parts! { Immunization {
    /// With what.
    vaccine: CodeableConcept("vaccineCode");
    /// Where on the body.
    site: CodeableConcept("site");
    /// Which way.
    route: CodeableConcept("route");
    /// Where.
    location: Reference("location");
} }

impl<'a> Immunization<'a> {
    /// Whether it was *not* given.
    pub fn was_not_given(self) -> bool {
        self.0.get("notGiven").is_true()
    }

    /// The code of what was done.
    pub fn procedure(self) -> CodeableConcept<'a> {
        CodeableConcept::of(self.0.extension(extension::VACCINATION_PROCEDURE).get("valueCodeableConcept"))
    }

    /// Who took part.
    pub fn practitioner(self) -> Reference<'a> {
        Reference::of(self.0.at(&["practitioner", "actor"]))
    }
}

resource! {
    /// Which resources answer which part of the question, and what is missing from them.
    List, "List"
}
texts! { List {
    /// What it lists, in words.
    title: "title";
} }
parts! { List {
    /// What it lists.
    code: CodeableConcept("code");
    /// Why it is empty.
    empty_reason: CodeableConcept("emptyReason");
} }

impl<'a> List<'a> {
    /// Codes such as `confidential-items`.
    pub fn warnings(self) -> impl Iterator<Item = &'a str> {
        let of = move |name| self.0.extensions(name).filter_map(|one| one.text_of("valueCode"));
        of(extension::LIST_WARNING).chain(of(extension::LIST_WARNING_CARE_CONNECT))
    }

    /// What it says in words.
    pub fn notes(self) -> impl Iterator<Item = &'a str> {
        self.0.each("note").filter_map(|note| note.text_of("text"))
    }

    /// What it lists.
    pub fn items(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("entry").map(|entry| Reference::of(entry.get("item")))
    }
}

resource! {
    /// A letter, a report or a scan.
    DocumentReference, "DocumentReference"
}
texts! { DocumentReference {
    /// `current`, `superseded` or `entered-in-error`.
    status: "status";
    /// In words.
    description: "description";
} }
parts! { DocumentReference {
    /// What sort.
    kind: CodeableConcept("type");
    /// Who wrote it.
    author: Reference("author");
    /// Who keeps it.
    custodian: Reference("custodian");
} }

impl<'a> DocumentReference<'a> {
    /// The document, or where it is.
    pub fn attachment(self) -> Element<'a> {
        self.0.at(&["content", "attachment"])
    }
}

resource! {
    /// A referral to elsewhere.
    ReferralRequest, "ReferralRequest"
}
texts! { ReferralRequest {
    /// `active`, `completed` and others.
    status: "status";
    /// `routine`, `urgent`, `asap` or `stat`.
    priority: "priority";
    /// In words.
    description: "description";
} }
parts! { ReferralRequest {
    /// Why.
    reason: CodeableConcept("reasonCode");
    /// For what.
    service: CodeableConcept("serviceRequested");
    /// To which specialty.
    specialty: CodeableConcept("specialty");
} }

resource! {
    /// Something asked for: a test, or a diary entry.
    ProcedureRequest, "ProcedureRequest"
}
texts! { ProcedureRequest {
    /// `active`, `completed` and others.
    status: "status";
    /// `order`, or `plan` for a diary entry.
    intent: "intent";
} }
parts! { ProcedureRequest {
    /// What.
    code: CodeableConcept("code");
} }

resource! {
    /// An appointment.
    Appointment, "Appointment"
}
texts! { Appointment {
    /// `booked`, `cancelled` and others.
    status: "status";
    /// A short label.
    description: "description";
    /// In more words.
    comment: "comment";
    /// When it was booked, as written.
    created: "created";
} }

impl<'a> Appointment<'a> {
    /// The current version, for `If-Match`.
    pub fn version(self) -> Option<&'a str> {
        self.0.at(&["meta", "versionId"]).text()
    }

    /// The slots it fills.
    pub fn slots(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("slot").map(Reference::of)
    }

    /// The participant of a type, such as `Patient`.
    pub fn participant(self, kind: &'static str) -> Option<Reference<'a>> {
        let actors = self.0.each("participant").map(|one| Reference::of(one.get("actor")));
        actors.into_iter().find(|actor| actor.id_of(kind).is_some())
    }

    /// Who booked.
    pub fn booking_organisation(self) -> Option<Organization<'a>> {
        let extension = self.0.extension(extension::BOOKING_ORGANISATION);
        let target = Reference::of(extension.get("valueReference")).target()?.strip_prefix('#')?;
        let contained = self.0.each("contained").filter_map(Organization::of);
        contained.into_iter().find(|organisation| organisation.id() == Some(target))
    }

    /// Why it was cancelled.
    pub fn cancellation_reason(self) -> Option<&'a str> {
        self.0.extension(extension::CANCELLATION_REASON).text_of("valueString")
    }
}

resource! {
    /// A time that can be booked.
    Slot, "Slot"
}
texts! { Slot {
    /// `free`, `busy` and others.
    status: "status";
} }
parts! { Slot {
    /// What for.
    service: CodeableConcept("serviceType");
    /// In which schedule.
    schedule: Reference("schedule");
} }

resource! {
    /// Somebody's session.
    Schedule, "Schedule"
}
parts! { Schedule {
    /// What sort.
    category: CodeableConcept("serviceCategory");
} }

impl<'a> Schedule<'a> {
    /// Who and where.
    pub fn actors(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("actor").map(Reference::of)
    }

    /// The practitioner's job role.
    pub fn role(self) -> CodeableConcept<'a> {
        CodeableConcept::of(self.0.extension(extension::PRACTITIONER_ROLE).get("valueCodeableConcept"))
    }
}

resource! {
    /// A place.
    Location, "Location"
}
texts! { Location {
    /// Its name.
    name: "name";
} }
parts! { Location {
    /// Whose it is.
    managing_organisation: Reference("managingOrganization");
} }

impl Location<'_> {
    /// The address in one line.
    pub fn address(self) -> Option<String> {
        let address = self.0.get("address");
        let lines = address.each("line").filter_map(Element::text);
        let rest = ["city", "district", "postalCode"].into_iter().filter_map(|name| address.text_of(name));
        let words: Vec<&str> = lines.chain(rest).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

resource! {
    /// A service.
    HealthcareService, "HealthcareService"
}
texts! { HealthcareService {
    /// Its name.
    name: "name";
} }

resource! {
    /// What went wrong, or was not done.
    OperationOutcome, "OperationOutcome"
}

/// One thing that went wrong.
#[derive(Clone, Copy)]
pub struct Issue<'a>(Element<'a>);

impl<'a> OperationOutcome<'a> {
    /// Everything that went wrong.
    pub fn issues(self) -> impl Iterator<Item = Issue<'a>> {
        self.0.each("issue").map(Issue)
    }
}

impl<'a> Issue<'a> {
    /// `fatal`, `error`, `warning` or `information`.
    pub fn severity(self) -> Option<&'a str> {
        self.0.text_of("severity")
    }

    /// FHIR's own code, such as `not-found`.
    pub fn code(self) -> Option<&'a str> {
        self.0.text_of("code")
    }

    /// Spine's code, such as `PATIENT_NOT_FOUND`.
    pub fn details(self) -> CodeableConcept<'a> {
        CodeableConcept::of(self.0.get("details"))
    }

    /// For engineers. May quote the request, and so a patient: never log it.
    pub fn diagnostics(self) -> Option<&'a str> {
        self.0.text_of("diagnostics")
    }
}

/// A name as one says it: its text, or its parts.
fn human_name(name: Element<'_>) -> Option<String> {
    let parts = ["prefix", "given", "family"].into_iter().flat_map(|part| name.each(part));
    let words: Vec<&str> = parts.filter_map(Element::text).collect();
    let text = name.text_of("text").map(str::to_owned);
    if words.is_empty() { text } else { Some(words.join(" ")) }
}

fn telephone(element: Element<'_>) -> Option<&str> {
    let phones = element.each("telecom").filter(|one| one.text_of("system") == Some("phone"));
    phones.into_iter().find_map(|one| one.text_of("value"))
}
