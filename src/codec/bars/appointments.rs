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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        booking::{AppointmentId, Cancellation, CancelledBy, Channel, Needs, Person, SlotId, WhyProvisional},
        nhs_number::NhsNumber,
        slot::Place,
    };

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn booked() -> Appointment {
        let slot = SlotId {
            home: "soho".parse().unwrap(),
            session: "feet-am".parse().unwrap(),
            start: NOW,
            place: 1,
        };
        Appointment {
            id: AppointmentId(7),
            person: Person {
                nhs_number: NhsNumber::parse("9990000018").ok(),
                family_name: "Canaryname".to_owned(),
                telephone: "020 7946 0999".to_owned(),
                ..Person::default()
            },
            service: "feet".parse().unwrap(),
            service_name: "Podiatry".to_owned(),
            keys: vec![OfferKey::Token(slot)],
            system: "hub".to_owned(),
            hub: "soho".parse().unwrap(),
            start: NOW,
            end: Timestamp(NOW.0 + 1_800_000),
            channel: Channel::InPerson,
            clinician: None,
            place: Place { name: "Soho".to_owned(), ..Place::default() },
            room: String::new(),
            organisation: "Soho".to_owned(),
            telephone: String::new(),
            description: "Canaryword".to_owned(),
            comment: "Canaryword".to_owned(),
            needs: Needs { adjustments: "Canaryword".to_owned(), ..Needs::default() },
            standing: Standing::Firm,
            attendance: Attendance::Expected,
            made: NOW,
            made_by: "reception-1".to_owned(),
            made_at: "soho".parse().unwrap(),
            visit: None,
            replaces: None,
            changes: Vec::new(),
        }
    }

    #[test]
    fn an_appointment_tells_when_and_where_and_for_which_number_and_no_more() {
        let resource = appointment(&booked());
        assert_eq!(resource["id"], "00000000-0000-0000-0000-000000000007");
        assert_eq!(resource["slot"][0]["reference"], "Slot/feet-am.mwm0nk74.1");
        assert_eq!(resource["participant"][0]["actor"]["identifier"]["value"], "9990000018");
        let text = resource.to_string();
        for secret in ["Canary", "7946", "reception-1"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let nameless = Appointment { person: Person::default(), keys: Vec::new(), ..booked() };
        let resource = appointment(&nameless);
        assert!(resource["participant"][0]["actor"]["display"].is_string() && resource.get("slot").is_none());
    }

    #[test]
    fn each_standing_has_its_word() {
        let cancellation = Cancellation {
            by: CancelledBy::Patient,
            reason: "Cannot come".to_owned(),
            at: NOW,
            told: true,
            reference: None,
        };
        let provisional =
            Standing::Provisional { why: WhyProvisional::OwnedElsewhere, attempts: 0, retry: NOW };
        for (standing, attendance, expected) in [
            (Standing::Firm, Attendance::Expected, "booked"),
            (Standing::Firm, Attendance::Arrived, "arrived"),
            (Standing::Firm, Attendance::In, "checked-in"),
            (Standing::Firm, Attendance::Done, "fulfilled"),
            (Standing::Firm, Attendance::DidNotAttend, "noshow"),
            (provisional, Attendance::Expected, "pending"),
            (Standing::Failed { why: String::new() }, Attendance::Expected, "cancelled"),
            (Standing::Cancelled(cancellation), Attendance::Arrived, "cancelled"),
        ] {
            let one = Appointment { standing, attendance, ..booked() };
            assert_eq!(appointment(&one)["status"], expected);
        }
    }

    #[test]
    fn a_search_that_finds_nothing_has_no_entries() {
        let bundle = appointments(&[], "/fhir/r4/Appointment", NOW);
        assert_eq!((&bundle["total"], bundle.get("entry")), (&json!(0), None));
        assert_eq!(appointments(&[booked()], "", NOW)["entry"][0]["search"]["mode"], "match");
    }
}
