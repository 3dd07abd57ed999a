//! What a receiver says of itself and of what it has taken (BaRS API 1.4.0; FHIR R4, messaging).

use serde_json::{Value, json};

use crate::{codec::fhir::Element, domain::time::Timestamp};

use super::{
    DEFINITIONS, EVENTS, REASONS, SERVICE_ID,
    id::derived,
    message::{Deed, Event, Message, TAKEN},
};

const CORE_BUNDLE: &str = "https://fhir.nhs.uk/StructureDefinition/BARSBundleMessage";
/// The version of the standard's API.
const VERSION: &str = "1.4.0";
/// What senders are told of a request: it is kept, and nobody has confirmed it.
const KEPT: &str = "The request has been recorded. It does not hold a slot until the service confirms it.";

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// The hub's name, for people.
    pub name: &'a str,
    /// The service's id in the Directory of Services.
    pub id: &'a str,
}

/// The answer to a message that is durable: a MessageHeader, what became of the focus, and a word on it.
pub fn accepted(message: &Message<'_>, service: Service<'_>, now: Timestamp) -> Value {
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
        "response": { "identifier": fhir_id(message.id), "code": "ok", "details": { "reference": note } },
        "focus": [{ "reference": message.focus_reference }],
    });
    let patient = message.patient.value().clone();
    let (patient_name, reference) = (name("patient"), patient_reference(message));
    let entry = |full_url: &str, resource: Value| json!({ "fullUrl": full_url, "resource": resource });
    json!({
        "resourceType": "Bundle",
        "id": derived(&["answer", message.id]),
        "meta": { "profile": [CORE_BUNDLE], "lastUpdated": moment },
        "type": "message",
        "timestamp": moment,
        "entry": [
            entry(&header, header_resource),
            entry(message.focus_reference, focus(message, &moment)),
            entry(reference.unwrap_or(&patient_name), patient),
            entry(&us, json!({ "resourceType": "Organization", "id": bare(&us), "name": service.name })),
            entry(&note, kept(&note)),
        ],
    })
}

/// What this receiver can do: `/metadata`.
pub fn capabilities(name: &str, now: Timestamp) -> Value {
    let day = now.to_string();
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
            "resource": [{
                "type": "MessageDefinition",
                "interaction": [{ "code": "search-type" }],
                "searchParam": [{ "name": "context", "type": "token" }],
            }],
            "operation": [{
                "name": "process-message",
                "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
            }],
        }],
        "messaging": [{ "supportedMessage": supported }],
    })
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
        "focus": [
            { "code": "MessageHeader", "min": 1, "max": "1" },
            { "code": focus, "min": 1, "max": "1" },
            { "code": "Patient", "min": 1, "max": "1" },
        ],
    })
}

/// What became of the focus: as it came, with the id by which both sides now know it, and no more settled than it is.
fn focus(message: &Message<'_>, moment: &str) -> Value {
    let mut focus = message.focus.value().clone();
    if let Some(members) = focus.as_object_mut() {
        members.insert("id".to_owned(), json!(message.focus_id));
        let meta = members.entry("meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("lastUpdated".to_owned(), json!(moment));
        }
        if message.event == Event::Booking && matches!(message.deed, Deed::New | Deed::Update) {
            members.insert("status".to_owned(), json!("pending"));
        }
    }
    focus
}

/// The name under which the focus speaks of the patient.
fn patient_reference<'a>(message: &Message<'a>) -> Option<&'a str> {
    let is_it = |one: &Element<'a>| {
        message.find(*one).is_some_and(|found| std::ptr::eq(found.value(), message.patient.value()))
    };
    let actors = message.focus.each("participant").map(|one| one.get("actor"));
    let named = [message.focus.get("subject")].into_iter().chain(actors).find(is_it);
    named.and_then(|one| one.text_of("reference"))
}

fn kept(name: &str) -> Value {
    json!({
        "resourceType": "OperationOutcome",
        "id": bare(name),
        "issue": [{ "severity": "information", "code": "informational", "diagnostics": KEPT }],
    })
}

fn bare(name: &str) -> &str {
    name.strip_prefix("urn:uuid:").unwrap_or(name)
}

/// An id as FHIR has them: 64 characters of a few kinds. Others are given what follows from them.
fn fhir_id(text: &str) -> String {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if text.len() <= 64 && text.bytes().all(is_right) { text.to_owned() } else { derived(&["id", text]) }
}
