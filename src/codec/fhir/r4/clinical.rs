//! Allergies, problems and vaccinations.

use serde_json::{Value, json};

use super::{
    ResourceType, moment,
    reading::Told,
    terms::{absent, hl7, one_of, words},
    text::clean,
};

/// The IPS's own code for what a source says in SNOMED CT: added, so that every reader of summaries knows it.
const KNOWN_ABSENT: [(&str, &str); 4] = [
    ("716186003", "no-known-allergies"),
    ("409137002", "no-known-medication-allergies"),
    ("428197003", "no-known-environmental-allergies"),
    ("429625007", "no-known-food-allergies"),
];
/// Codes of the IPS for what is not there.
pub(super) const ABSENT_UNKNOWN: &str = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips";

pub(super) fn allergy(told: &Told<'_>) -> Value {
    let status = clinical_status(told, "allergyintolerance-clinical", &["active", "inactive", "resolved"]);
    let certain = told.code("certainty", &["unconfirmed", "confirmed", "refuted"], "Certainty");
    let (severity, criticality) = severity(told);
    let reaction = told.text("reaction");
    if reaction.is_none() {
        severity.iter().for_each(|severity| told.say("Severity", severity));
    }
    let reaction =
        reaction.map(|reaction| json!([{ "manifestation": [words(Some(reaction))], "severity": severity }]));
    let onset = onset(told);
    told.tell("ended", "Ended");
    let body = json!({
        "clinicalStatus": status,
        "verificationStatus": certain.map(|code| hl7("allergyintolerance-verification", code)),
        "category": categories(told),
        "criticality": criticality,
        "code": coded_or_unknown(with_known_absence(told)),
        "patient": told.reading.subject(),
        "onsetDateTime": onset.0,
        "onsetString": onset.1,
        "recordedDate": told.date_time("recorded", "Recorded"),
        "recorder": told.author(),
        "reaction": reaction,
        "note": told.notes(),
    });
    told.resource(ResourceType::AllergyIntolerance, body, true)
}

/// The status in FHIR's code; in words, and with a mark, if its source uses others or says nothing.
fn clinical_status(told: &Told<'_>, system: &str, codes: &[&'static str]) -> Value {
    match (told.text("status"), one_of(told.text("status"), codes)) {
        (_, Some(code)) => hl7(system, code),
        (Some(text), None) => {
            let mut status = absent("as-text");
            status["text"] = clean(text);
            status
        }
        (None, None) => absent("unknown"),
    }
}

/// How bad reactions are, and how bad they might become; practices write either into one place.
fn severity(told: &Told<'_>) -> (Option<&'static str>, Option<&'static str>) {
    let text = told.text("severity");
    let severity = one_of(text, &["mild", "moderate", "severe"]);
    let criticality = one_of(text, &["low", "high", "unable-to-assess"]);
    if let (Some(text), None, None) = (text, severity, criticality) {
        told.say("Severity", text);
    }
    (severity, criticality)
}

fn categories(told: &Told<'_>) -> Vec<&'static str> {
    const CODES: [&str; 4] = ["food", "medication", "environment", "biologic"];
    let mut codes = Vec::new();
    for text in told.text("category").unwrap_or_default().split(',').map(str::trim) {
        match one_of(Some(text), &CODES) {
            Some(code) if codes.contains(&code) => {}
            Some(code) => codes.push(code),
            None if text.is_empty() => {}
            None => told.say("Category", text),
        }
    }
    codes
}

/// A moment, else the words for it.
fn onset(told: &Told<'_>) -> (Option<String>, Value) {
    match told.text("onset").map(moment::date_time) {
        Some(Some(moment)) => (Some(moment), Value::Null),
        Some(None) => (None, told.string("onset")),
        None => (None, Value::Null),
    }
}

/// The code as received; where a source says in SNOMED CT that there is none, the IPS's code for that beside it.
fn with_known_absence(told: &Told<'_>) -> Value {
    let mut concept = told.concept();
    let is_said = |code: &str| {
        let of_snomed = |coding: &&Value| coding["system"] == crate::codec::fhir::names::SNOMED_CT;
        let codings = concept["coding"].as_array();
        codings.is_some_and(|all| all.iter().filter(of_snomed).any(|coding| coding["code"] == code))
    };
    let known = KNOWN_ABSENT.iter().find(|(code, _)| is_said(code));
    if let (Some((_, code)), Some(codings)) = (known, concept["coding"].as_array_mut()) {
        codings.push(json!({ "system": ABSENT_UNKNOWN, "code": code }));
    }
    concept
}

pub(super) fn condition(told: &Told<'_>) -> Value {
    const CODES: [&str; 6] = ["active", "recurrence", "relapse", "inactive", "remission", "resolved"];
    let status = clinical_status(told, "condition-clinical", &CODES);
    // FHIR takes an end only of what is said to have ended (con-4).
    let is_over = matches!(one_of(told.text("status"), &CODES), Some("inactive" | "remission" | "resolved"));
    let ended = if is_over { told.date_time("ended", "Ended") } else { None };
    if !is_over {
        told.tell("ended", "Ended");
    }
    told.tell("significance", "Significance");
    let onset = onset(told);
    let body = json!({
        "clinicalStatus": status,
        "category": [hl7("condition-category", "problem-list-item")],
        "code": coded_or_unknown(told.concept()),
        "subject": told.reading.subject(),
        "onsetDateTime": onset.0,
        "onsetString": onset.1,
        "abatementDateTime": ended,
        "recordedDate": told.date_time("recorded", "Recorded"),
        "recorder": told.author(),
        "note": told.notes(),
    });
    told.resource(ResourceType::Condition, body, true)
}

const VACCINATION_PROCEDURE: &str =
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-VaccinationProcedure";

pub(super) fn immunization(told: &Told<'_>) -> Value {
    let said = told.text("status").map(|text| text.trim().to_ascii_lowercase());
    let status = match said.as_deref() {
        Some("not-given" | "not-done" | "not given") => "not-done",
        Some("entered-in-error") => "entered-in-error",
        Some("completed") | None => "completed",
        Some(_) => {
            told.tell("status", "Status");
            "completed"
        }
    };
    // FHIR wants a moment or words, of what was not given too.
    let given = told.text("given").and_then(moment::date_time);
    let in_words = told.text("given").unwrap_or("Not said by its source");
    let in_words = given.is_none().then(|| clean(in_words));
    let product = told.text("product");
    let procedure =
        product.map(|_| json!([{ "url": VACCINATION_PROCEDURE, "valueCodeableConcept": told.concept() }]));
    let dose = told.text("dose_sequence");
    let number = dose.and_then(|dose| dose.trim().parse::<u16>().ok()).filter(|number| 0 < *number);
    let dose = dose.map(|dose| match number {
        Some(number) => json!([{ "doseNumberPositiveInt": number }]),
        None => json!([{ "doseNumberString": clean(dose) }]),
    });
    let body = json!({
        "extension": procedure,
        "status": status,
        "vaccineCode": product.map_or_else(|| coded_or_unknown(told.concept()), |product| words(Some(product))),
        "patient": told.reading.subject(),
        "occurrenceDateTime": given,
        "occurrenceString": in_words,
        "recorded": told.date_time("recorded", "Recorded"),
        "lotNumber": told.string("batch_number"),
        "site": words(told.text("site")),
        "route": words(told.text("route")),
        "performer": [{ "actor": told.author() }],
        "note": told.notes(),
        "protocolApplied": dose,
    });
    told.resource(ResourceType::Immunization, body, true)
}

/// A concept where FHIR wants one: with a mark if its source names nothing.
pub(super) fn coded_or_unknown(concept: Value) -> Value {
    super::writer::pruned(concept).unwrap_or_else(|| absent("unknown"))
}
