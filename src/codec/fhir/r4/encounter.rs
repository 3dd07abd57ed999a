//! Stays, attendances and consultations; referrals, and what is due.

use serde_json::{Value, json};

use crate::domain::record::ItemKind;

use super::{
    Reading, ResourceType,
    observation::is_due,
    reading::Told,
    terms::{absent, one_of, words},
    text::clean,
};

const CLASSES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

pub(super) fn encounter(told: &Told<'_>) -> Value {
    told.tell("outcome", "Outcome");
    told.tell("recorded", "Recorded");
    let kind = match super::writer::pruned(told.concept()) {
        Some(concept) => concept,
        None => words(told.text("type")),
    };
    let body = json!({
        "status": encounter_status(told),
        "class": class(told),
        "type": [kind],
        "subject": told.reading.subject(),
        "participant": [{ "individual": told.named("clinician") }],
        "period": {
            "start": told.date_time("started", "Started").or_else(|| told.date_time("admitted", "Admitted")),
            "end": told.date_time("ended", "Ended").or_else(|| told.date_time("discharged", "Discharged")),
        },
        "location": [told.text("location").map(|_| json!({ "location": told.named("location") }))],
        "serviceProvider": told.named("organisation"),
    });
    told.resource(ResourceType::Encounter, body, false)
}

fn encounter_status(told: &Told<'_>) -> &'static str {
    const CODES: [&str; 9] = [
        "planned",
        "arrived",
        "triaged",
        "in-progress",
        "onleave",
        "finished",
        "cancelled",
        "entered-in-error",
        "unknown",
    ];
    let text = told.text("status");
    if let Some(code) = one_of(text, &CODES) {
        return code;
    }
    // What triggered a hospital system's message (HL7 v2, table 0003).
    match text.unwrap_or_default() {
        "admitted"
        | "transferred"
        | "registered"
        | "returned from leave"
        | "discharge cancelled"
        | "transfer cancelled"
        | "transfer pending"
        | "pending transfer cancelled"
        | "discharge pending"
        | "pending discharge cancelled"
        | "leave cancelled" => "in-progress",
        "discharged" => "finished",
        "pre-admitted" | "admission pending" => "planned",
        "admission cancelled" | "pending admission cancelled" | "pre-admission cancelled" => "cancelled",
        "on leave" | "return from leave cancelled" => "onleave",
        _ => {
            told.tell("status", "Status");
            "unknown"
        }
    }
}

/// HL7 table 0004 in the codes that FHIR wants; what has none is told in words.
fn class(told: &Told<'_>) -> Value {
    let text = told.text("patient_class").map(str::trim);
    let code = match text.unwrap_or_default().to_ascii_uppercase().as_str() {
        "I" | "IMP" => "IMP",
        "O" | "AMB" => "AMB",
        "E" | "EMER" => "EMER",
        "P" | "PRENC" => "PRENC",
        "HH" => "HH",
        "VR" => "VR",
        _ => {
            told.tell("patient_class", "Class");
            return absent("unknown");
        }
    };
    json!({ "system": CLASSES, "code": code })
}

/// Referrals and urgent-care cases, and what is due.
pub(super) fn requests(reading: &Reading<'_>) -> Vec<Value> {
    let referrals = reading.items(ItemKind::Referral).map(|told| referral(&told));
    let due = reading.items(ItemKind::Observation).filter(is_due);
    referrals.chain(due.map(|told| diary_entry(&told))).collect()
}

fn referral(told: &Told<'_>) -> Value {
    told.tell("disposition", "Disposition");
    told.tell("received", "Received");
    told.tell("ended", "Ended");
    let priority = told.code("priority", &["routine", "urgent", "asap", "stat"], "Priority");
    let body = json!({
        "status": request_status(told),
        "intent": "order",
        "priority": priority,
        "code": words(told.text("service").or_else(|| told.text("name"))),
        "subject": told.reading.subject(),
        "authoredOn": told.date_time("recorded", "Recorded"),
        "requester": told.author(),
        "reasonCode": [reason(told)],
        "note": told.notes(),
    });
    told.resource(ResourceType::ServiceRequest, body, true)
}

/// Why: the codes of the item, and the reason in words.
fn reason(told: &Told<'_>) -> Value {
    let mut reason = told.concept();
    if let Some(text) = told.text("reason") {
        reason["text"] = clean(text);
    }
    reason
}

fn diary_entry(told: &Told<'_>) -> Value {
    let body = json!({
        "status": request_status(told),
        "intent": "plan",
        "code": told.concept(),
        "subject": told.reading.subject(),
        "occurrenceDateTime": told.date_time("observed", "Due"),
        "authoredOn": told.date_time("recorded", "Recorded"),
        "requester": told.author(),
        "note": told.notes(),
    });
    told.resource(ResourceType::ServiceRequest, body, true)
}

fn request_status(told: &Told<'_>) -> &'static str {
    const CODES: [&str; 7] =
        ["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"];
    let text = told.text("status");
    if let Some(code) = one_of(text, &CODES) {
        return code;
    }
    match one_of(text, &["due", "suspended", "cancelled"]) {
        Some("due") => "active",
        Some("suspended") => "on-hold",
        Some(_) => "revoked",
        None => {
            told.tell("status", "Status");
            "unknown"
        }
    }
}
