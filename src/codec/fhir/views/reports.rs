//! Views of what was asked for, found and written about a patient.

use crate::codec::fhir::{CodeableConcept, Element, Moment, Period, Reference};

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
