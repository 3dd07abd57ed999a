//! What a receiver says of itself and of what it has taken (BaRS API 1.4.0; FHIR R4, messaging).

use serde_json::{Value, json};

use crate::{
    codec::fhir::Moment,
    domain::{
        booking::{Appointment, Standing},
        time::Timestamp,
    },
};

use super::{
    DEFINITIONS, EVENTS, NHS_NUMBER, REASONS, SERVICE_ID, appointments,
    id::derived,
    message::{Deed, Event, Message, TAKEN},
    query::Include,
};

const CORE_BUNDLE: &str = "https://fhir.nhs.uk/StructureDefinition/BARSBundleMessage";
/// The version of the standard's API.
const VERSION: &str = "1.4.0";
/// What senders are told of a request: it is kept, and nobody has confirmed it.
const KEPT: &str = "The request has been recorded. It does not hold a slot until the service confirms it.";

/// What they are told of an appointment that stands, and of one that does not any more.
const BOOKED: &str = "The appointment is booked.";
const OFF: &str = "The appointment is cancelled.";

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// The hub's name, for people.
    pub name: &'a str,
    /// The service's id in the Directory of Services.
    pub id: &'a str,
    /// Whether slots can be booked here, not only asked for.
    pub books: bool,
}

/// The answer to a message that is durable: a MessageHeader, what became of the focus, and a word on it. `booked` is the
/// appointment that the message made, changed or ended, if it did.
pub fn accepted(
    message: &Message<'_>,
    service: Service<'_>,
    booked: Option<&Appointment>,
    now: Timestamp,
) -> Value {
    let name = |what: &str| format!("urn:uuid:{}", derived(&[what, message.id]));
    let (header, note, moment) = (name("header"), name("note"), now.to_string());
    let us = name("us");
    let end = format!("{SERVICE_ID}|{}", service.id);
    let reason = message.header.at(&["reason", "coding"]).text_of("code").unwrap_or_default();
    let header_resource = json!({
        "resourceType": "MessageHeader",
        "id": bare(&header),
        "eventCoding": { "system": EVENTS, "code": message.event.response() },
        "destination": [{ "endpoint": message.source }],
        "sender": { "reference": us },
        "source": { "name": service.name, "software": "polygate", "endpoint": end },
        "reason": { "coding": [{ "system": REASONS, "code": reason }] },
        "response": { "identifier": message.id, "code": "ok", "details": { "reference": note } },
        "focus": [{ "reference": message.focus_reference }],
    });
    let about = name("patient");
    let (became, word) = match booked {
        None => (focus(message, &moment, &about), KEPT),
        Some(booked) => {
            let mut became = appointments::appointment(booked);
            became["participant"][0]["actor"] = json!({ "reference": about });
            (became, if matches!(booked.standing, Standing::Cancelled(_)) { OFF } else { BOOKED })
        }
    };
    let entry = |full_url: &str, resource: Value| json!({ "fullUrl": full_url, "resource": resource });
    json!({
        "resourceType": "Bundle",
        "id": derived(&["answer", message.id]),
        "meta": { "profile": [CORE_BUNDLE], "lastUpdated": moment },
        "type": "message",
        "timestamp": moment,
        "entry": [
            entry(&header, header_resource),
            entry(message.focus_reference, became),
            entry(&about, patient(message)),
            entry(&us, json!({ "resourceType": "Organization", "id": bare(&us), "name": service.name })),
            entry(&note, told(&note, word)),
        ],
    })
}

/// What this receiver can do: `/metadata`.
pub fn capabilities(service: Service<'_>, now: Timestamp) -> Value {
    let (name, day) = (service.name, now.to_string());
    let supported =
        TAKEN.map(|(name, ..)| json!({ "mode": "receiver", "definition": format!("{DEFINITIONS}{name}") }));
    json!({
        "resourceType": "CapabilityStatement",
        "id": "polygate-bars-receiver",
        "name": "PolygateBarsReceiver",
        "title": format!("BaRS receiver of {name}"),
        "status": "active",
        "date": day.get(..10),
        "version": VERSION,
        "kind": "instance",
        "software": { "name": "polygate", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Takes booking and referral requests for the services of a polyclinic hub" },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "resource": resources(service.books),
            "operation": [{
                "name": "process-message",
                "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
            }],
        }],
        "messaging": [{ "supportedMessage": supported }],
    })
}

fn resources(books: bool) -> Value {
    let mut resources = vec![json!({
        "type": "MessageDefinition",
        "interaction": [{ "code": "search-type" }],
        "searchParam": [{ "name": "context", "type": "token" }],
    })];
    if books {
        resources.push(json!({
            "type": "Slot",
            "interaction": [{ "code": "search-type" }],
            "searchInclude": Include::ALL.map(|(_, words)| words),
            "searchParam": [
                { "name": "status", "type": "token" },
                { "name": "start", "type": "date" },
                { "name": "Schedule.actor:HealthcareService", "type": "reference" },
            ],
        }));
        resources.push(json!({
            "type": "Appointment",
            "interaction": [{ "code": "read" }, { "code": "search-type" }],
            "searchParam": [{ "name": "patient:identifier", "type": "token" }],
        }));
    }
    Value::Array(resources)
}

/// The messages that a service takes: `/MessageDefinition`. `url` is the request's own.
pub fn definitions(service: Service<'_>, url: &str, now: Timestamp) -> Value {
    let entries = TAKEN.map(|(name, event, cancels)| {
        let id = derived(&["definition", name, service.id]);
        json!({ "fullUrl": format!("urn:uuid:{id}"), "resource": definition(service, name, event, cancels, &id) })
    });
    json!({
        "resourceType": "Bundle",
        "id": derived(&["definitions", service.id]),
        "type": "searchset",
        "timestamp": now.to_string(),
        "total": TAKEN.len(),
        "link": [{ "relation": "self", "url": url }],
        "entry": entries,
    })
}

fn definition(service: Service<'_>, name: &str, event: Event, cancels: bool, id: &str) -> Value {
    let (event_code, focus) = (event.request(), event.resource());
    let words = if cancels { "cancelled" } else { "requested" };
    let needed = |kind: &str| json!({ "code": kind, "min": 1, "max": "1" });
    let mut resources = ["MessageHeader", focus, "Patient"].map(needed).to_vec();
    if service.books && event == Event::Booking && !cancels {
        resources.push(json!({ "code": "Slot", "min": 1, "max": "*" }));
    }
    json!({
        "resourceType": "MessageDefinition",
        "id": id,
        "url": format!("{DEFINITIONS}{name}"),
        "title": format!("{focus} {words}"),
        "status": "active",
        "date": "2026-01-01",
        "eventCoding": { "system": EVENTS, "code": event_code },
        "useContext": [{
            "code": { "system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "venue" },
            "valueCodeableConcept": { "coding": [{ "system": SERVICE_ID, "code": service.id }] },
        }],
        "focus": resources,
    })
}

/// What became of the focus: the id by which both sides now know it, and no more settled than it is. What else it says
/// its sender knows.
fn focus(message: &Message<'_>, moment: &str, patient: &str) -> Value {
    let (focus, subject) = (message.focus, json!({ "reference": patient }));
    let status = match (message.event, message.deed) {
        (Event::Booking, Deed::New | Deed::Update) => "pending",
        _ => focus.text_of("status").unwrap_or_default(),
    };
    let meta = json!({ "lastUpdated": moment });
    let time = |name| focus.get(name).moment().map(Moment::as_str);
    match message.event {
        Event::Booking => json!({
            "resourceType": "Appointment", "id": message.focus_id, "meta": meta, "status": status,
            "start": time("start"), "end": time("end"),
            "participant": [{ "actor": subject, "status": "accepted" }],
        }),
        Event::Referral => json!({
            "resourceType": "ServiceRequest", "id": message.focus_id, "meta": meta, "status": status,
            "intent": "plan", "subject": subject,
        }),
    }
}

/// Whom it is about, by the NHS number alone.
fn patient(message: &Message<'_>) -> Value {
    let nhs = message.patient.each("identifier").find(|one| one.text_of("system") == Some(NHS_NUMBER));
    let mut patient = json!({ "resourceType": "Patient" });
    if let Some(number) = nhs.and_then(|one| one.text_of("value")) {
        patient["identifier"] = json!([{ "system": NHS_NUMBER, "value": number }]);
    }
    patient
}

fn told(name: &str, word: &str) -> Value {
    json!({
        "resourceType": "OperationOutcome",
        "id": bare(name),
        "issue": [{ "severity": "information", "code": "informational", "diagnostics": word }],
    })
}

fn bare(name: &str) -> &str {
    name.strip_prefix("urn:uuid:").unwrap_or(name)
}
