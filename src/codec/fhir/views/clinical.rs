//! Views of what a patient has, takes and was seen for.

use crate::codec::fhir::{CodeableConcept, Element, Moment, Period, Quantity, Reference, names::extension};

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
