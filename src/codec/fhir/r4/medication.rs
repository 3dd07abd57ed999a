//! Medicines.

use serde_json::{Value, json};

use super::{
    ResourceType,
    clinical::coded_or_unknown,
    reading::Told,
    terms::{absent, one_of},
    text::clean,
};

const LAST_ISSUE: &str =
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-MedicationStatementLastIssueDate";

pub(super) fn statement(told: &Told<'_>) -> Value {
    let issued = told.date_time("last_issued", "Last issued");
    told.tell("quantity", "Quantity");
    told.tell("prescription_type", "Prescription type");
    let (start, end) = (told.date_time("started", "Started"), told.date_time("ended", "Ended"));
    let period = match (&start, &end) {
        (None, None) => absent("unknown"),
        _ => json!({ "start": start, "end": end }),
    };
    let body = json!({
        "extension": issued.map(|issued| json!([{ "url": LAST_ISSUE, "valueDateTime": issued }])),
        "status": status(told),
        "medicationCodeableConcept": coded_or_unknown(told.concept()),
        "subject": told.reading.subject(),
        "effectivePeriod": period,
        "dateAsserted": told.date_time("recorded", "Recorded"),
        "informationSource": told.author(),
        "dosage": [{ "text": told.text("dose").map(clean) }],
        "note": told.notes(),
    });
    told.resource(ResourceType::MedicationStatement, body, true)
}

fn status(told: &Told<'_>) -> &'static str {
    const CODES: [&str; 8] =
        ["active", "completed", "entered-in-error", "intended", "stopped", "on-hold", "unknown", "not-taken"];
    let text = told.text("status");
    if let Some(code) = one_of(text, &CODES) {
        return code;
    }
    // Of a prescription (STU3, MedicationRequest).
    match one_of(text, &["cancelled", "draft"]) {
        Some("cancelled") => "stopped",
        Some(_) => "intended",
        None => {
            told.tell("status", "Status");
            "unknown"
        }
    }
}
