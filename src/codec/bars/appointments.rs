//! Appointments as senders may read them: when, where, for whom, and whether they stand. Nothing clinical.

use serde_json::{Value, json};

use crate::domain::{
    booking::{Appointment, Attendance, OfferKey, Standing},
    time::Timestamp,
};

use super::{
    CHANNEL, NHS_NUMBER,
    id::derived,
    slot_id::{appointment_id, slot_reference},
    slots::{entry, searchset},
};

/// An appointment. What the desk has written beside it stays there.
pub fn appointment(appointment: &Appointment) -> Value {
    let slots = appointment.keys.iter().filter_map(|key| match key {
        OfferKey::Token(slot) => Some(slot_reference(slot)),
        OfferKey::System { .. } => None,
    });
    let slots: Vec<Value> = slots.collect();
    let mut resource = json!({
        "resourceType": "Appointment",
        "id": appointment_id(appointment.id),
        "meta": { "lastUpdated": changed(appointment).to_string() },
        "extension": [{ "url": CHANNEL, "valueCode": appointment.channel.name() }],
        "status": status(appointment),
        "serviceType": [{ "text": appointment.service_name }],
        "start": appointment.start.to_string(),
        "end": appointment.end.to_string(),
        "created": appointment.made.to_string(),
        "participant": participants(appointment),
    });
    if !slots.is_empty() {
        resource["slot"] = Value::Array(slots);
    }
    if let Standing::Cancelled(cancellation) = &appointment.standing {
        resource["cancelationReason"] = json!({ "text": cancellation.reason });
    }
    resource
}

/// The answer to a search for a patient's appointments, without what was asked: it names the patient.
pub fn appointments(found: &[Appointment], url: &str, now: Timestamp) -> Value {
    let told = found.iter().map(|one| {
        let name = format!("urn:uuid:{}", appointment_id(one.id));
        entry(&name, "match", appointment(one))
    });
    let ids: Vec<String> = found.iter().map(|one| appointment_id(one.id)).collect();
    let id = derived(&["appointments", &ids.join(","), &now.to_string()]);
    searchset(&id, found.len(), url, told.collect(), now)
}

/// FHIR's word for where it stands (R4, AppointmentStatus).
fn status(appointment: &Appointment) -> &'static str {
    match (&appointment.standing, appointment.attendance) {
        (Standing::Cancelled(_) | Standing::Failed { .. }, _) => "cancelled",
        (Standing::Provisional { .. }, _) => "pending",
        (_, Attendance::Expected) => "booked",
        (_, Attendance::Arrived) => "arrived",
        (_, Attendance::Called | Attendance::In) => "checked-in",
        (_, Attendance::Done) => "fulfilled",
        (_, Attendance::DidNotAttend) => "noshow",
    }
}

fn changed(appointment: &Appointment) -> Timestamp {
    appointment.changes.last().map_or(appointment.made, |change| change.at)
}

fn participants(appointment: &Appointment) -> Value {
    let mut patient = json!({ "type": "Patient" });
    if let Some(number) = &appointment.person.nhs_number {
        patient["identifier"] = json!({ "system": NHS_NUMBER, "value": number.as_str() });
    } else {
        patient["display"] = json!("A patient without an NHS number");
    }
    let mut participants = vec![json!({ "actor": patient, "status": "accepted" })];
    let mut add = |kind: &str, name: &str| {
        if !name.is_empty() {
            participants.push(json!({ "actor": { "type": kind, "display": name }, "status": "accepted" }));
        }
    };
    add("Location", &appointment.place.name);
    add("Practitioner", appointment.clinician.as_ref().map_or("", |clinician| clinician.name.as_str()));
    Value::Array(participants)
}
