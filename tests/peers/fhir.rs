//! FHIR: fhir.resources takes everything that we send.

use std::time::Duration;

use polygate::{
    codec::fhir::read,
    domain::{
        nhs_number::NhsNumber,
        slot::{Amendment, Booking, FreeSlot, Place, Registration, SlotQuery},
        time::Timestamp,
    },
    flow::ask::GpSystem,
    systems::{emis, gp_connect::Profile, vision},
};
use serde_json::{Value, json};

use crate::support::{
    canned::{Asked, Canned, Server},
    hub::NOW,
    peers, practice,
};

const REQUIREMENT: &str = "fhir.resources==8.3.0";

/// Fails with what fhir.resources says of the resources that it does not take.
pub fn hold_to(version: &str, resources: &[Value]) {
    assert!(!resources.is_empty());
    let Some(python) = peers::python(&[REQUIREMENT]) else { return };
    let faults = peers::ask(&python, "fhir_check.py", &[version], &json!(resources));
    let faults: Vec<(&Value, &Value)> =
        faults.as_array().unwrap().iter().zip(resources).filter(|(fault, _)| !fault.is_null()).collect();
    assert!(faults.is_empty(), "{} of {}: {:#?}", faults.len(), resources.len(), faults.first());
}

fn after(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(minutes * 60))
}

fn slot() -> FreeSlot {
    FreeSlot {
        id: "1".to_owned(),
        schedule: "Schedule/9".to_owned(),
        start: after(60),
        end: after(70),
        service: "General".to_owned(),
        session: "Surgery".to_owned(),
        delivery_channel: "In-person".to_owned(),
        location: Place { id: "3".to_owned(), ..Place::default() },
        practitioner: None,
    }
}

/// An appointment as the practice keeps it.
fn kept() -> Value {
    let organisation = json!({
        "resourceType": "Organization", "id": "1", "name": "Soho polyclinic",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "5LC01"}],
        "telecom": [{"system": "phone", "value": "020 7946 0001"}],
    });
    let by = "https://fhir.nhs.uk/STU3/StructureDefinition/Extension-GPConnect-BookingOrganisation-1";
    json!({
        "resourceType": "Appointment", "id": "9", "meta": {"versionId": "7"}, "status": "booked",
        "contained": [organisation], "extension": [{"url": by, "valueReference": {"reference": "#1"}}],
        "description": "Dressing", "start": "2026-11-18T12:06:40+00:00", "end": "2026-11-18T12:16:40+00:00",
        "slot": [{"reference": "Slot/1"}], "created": "2026-11-18T11:00:00+00:00",
        "participant": [
            {"actor": {"reference": "Patient/1"}, "status": "accepted"},
            {"actor": {"reference": "Location/3"}, "status": "accepted"},
        ],
    })
}

/// Every question that can be asked of a practice, as it was sent.
async fn questions(profile: &'static Profile) -> Vec<Asked> {
    let body = kept().to_string().into_bytes();
    let canned = Canned {
        status: 200,
        media_type: "application/fhir+json",
        headers: "ETag: W/\"7\"\r\n".to_owned(),
        body,
    };
    let server = Server::start(canned);
    let practice = practice::at(server.port, profile, NOW);
    let number = NhsNumber::parse("9990000018").unwrap();
    let (who, patient) = (practice::requester(), practice::patient("1", number));
    let window = SlotQuery { from: after(0), until: after(60 * 24 * 7), filters: Vec::new() };
    let registration = Registration {
        nhs_number: number,
        family_name: "O'Testcase & Söhne".to_owned(),
        given_names: vec!["Orla".to_owned(), "Mary".to_owned()],
        birth_date: "1970-01-01".to_owned(),
        gender: "female".to_owned(),
        address_lines: vec!["1 Invented Road".to_owned()],
        postcode: "W1T 4ZZ".to_owned(),
        telephone: "020 7946 0002".to_owned(),
    };
    let booking = Booking {
        patient: patient.clone(),
        slots: vec![slot()],
        description: "Dressing <left> \"knee\"".to_owned(),
        comment: "Needs a ground floor room".to_owned(),
    };
    // What comes of them is another test's affair: the answer is the same to all.
    drop(practice.record(&who, number).await);
    drop(practice.find_patient(&who, number).await);
    drop(practice.register(&who, &registration).await);
    drop(practice.slots(&who, &window).await);
    drop(practice.book(&who, &booking).await);
    let appointment = practice.read(&who, &patient, "9").await.unwrap();
    let amendment = Amendment { description: Some("Dressing, both knees".to_owned()), comment: None };
    drop(practice.amend(&who, &patient, &appointment, &amendment).await);
    drop(practice.cancel(&who, &patient, &appointment, "Better now").await);
    server.asked()
}

#[tokio::test]
async fn everything_that_we_ask_practices_in_json_is_stu3() {
    let asked = questions(&emis::PROFILE).await;
    let sent: Vec<Value> = asked
        .iter()
        .filter(|one| !one.body.is_empty())
        .map(|one| serde_json::from_slice(&one.body).unwrap())
        .collect();
    let kinds: Vec<&str> = sent.iter().filter_map(|one| one["resourceType"].as_str()).collect();
    assert_eq!(kinds, ["Parameters", "Parameters", "Appointment", "Appointment", "Appointment"]);
    hold_to("STU3", &sent);
}

#[tokio::test]
async fn what_we_ask_in_xml_says_the_same() {
    let bodies = |asked: &[Asked]| -> Vec<Value> {
        let sent = asked.iter().filter(|one| !one.body.is_empty());
        sent.map(|one| read(&one.body).unwrap()).collect()
    };
    let (json, xml) = (questions(&emis::PROFILE).await, questions(&vision::PROFILE).await);
    assert!(xml.iter().filter(|one| !one.body.is_empty()).all(|one| one.body.starts_with(b"<")));
    assert_eq!(bodies(&json), bodies(&xml));
    hold_to("STU3", &bodies(&xml));
}

#[tokio::test]
async fn every_token_names_who_asks_in_resources_of_stu3() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut named = Vec::new();
    for one in questions(&emis::PROFILE).await {
        let token = one.header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!((parts.len(), parts[2]), (3, ""), "no signature, and the dot before it");
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let (from, to) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        assert_eq!((from, to - from), (NOW.unix_seconds(), 300));
        for claim in ["requesting_device", "requesting_organization", "requesting_practitioner"] {
            named.push(claims[claim].clone());
        }
    }
    hold_to("STU3", &named);
}
