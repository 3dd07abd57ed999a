//! A sender of bookings and referrals over BaRS, as Adastra and NHS 111 are: about invented people, understanding the
//! answers, sending again until a message is taken.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{Request, http::request::Builder};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    codec::bars::{NHS_NUMBER, SERVICE_ID},
    domain::time::Timestamp,
    sys::{entropy::Entropy, http::HttpClient},
};

use super::people::Person;

/// How long to wait before a message is sent again.
const PAUSE: Duration = Duration::from_millis(200);
/// Where messages are sent.
const PATH: &str = "/fhir/r4/$process-message";
const ODS_CODE: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
const VERIFICATION: &str =
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus";
const PATHWAYS_DX: &str = "https://fhir.nhs.uk/CodeSystem/pathways-dx-codes";

/// A message that was made.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The Bundle's id.
    pub id: String,
    /// The service it is for.
    pub service: String,
    /// The message.
    pub body: Value,
}

/// A free slot, as a receiver tells of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slot {
    /// Its id there.
    pub id: String,
    /// Its name in the Bundle that told of it.
    pub name: String,
    /// When it begins, as it was told.
    pub start: String,
    /// When it ends, as it was told.
    pub end: String,
}

/// What became of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Taken {
    /// It is recorded, under the receiver's own id for the booking or referral.
    Recorded(String),
    /// It had been taken before, and its answer was lost.
    Already,
    /// The receiver will never take it: HTTP status, code.
    Refused(u16, String),
}

/// Rules that a sender can break.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// No MessageHeader.
    NoHeader,
    /// A definition that does not exist.
    UnknownDefinition,
    /// Nobody it is about.
    NoPatient,
    /// It ends before it starts.
    TimesSwapped,
    /// For a service that is not the header's.
    OtherService,
}

impl Fault {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::NoHeader, Self::UnknownDefinition, Self::NoPatient, Self::TimesSwapped, Self::OtherService];
}

/// One sender.
#[derive(Debug)]
pub struct SimulatedReferrer {
    own: String,
    service: String,
    entropy: Entropy,
}

impl SimulatedReferrer {
    /// A sender of the organisation with the ODS code `own`, which books into `service`, an id of the Directory of
    /// Services; the same for the same seed.
    pub fn new(own: &str, service: &str, seed: u64) -> Self {
        Self { own: own.to_owned(), service: service.to_owned(), entropy: Entropy::from_seed(seed) }
    }

    /// Asks for an appointment of 15 minutes for a person registered at `practice`.
    pub fn booking(&mut self, person: &Person, practice: &str, start: Timestamp, now: Timestamp) -> Sent {
        let slot = self.some_slot(start);
        self.booking_of(&slot, person, practice, now)
    }

    /// Books a slot that was found.
    pub fn booking_of(&mut self, slot: &Slot, person: &Person, practice: &str, now: Timestamp) -> Sent {
        self.appointment(person, practice, slot, now, ("new", "booked", None))
    }

    /// Moves what was booked, under the id that the receiver gave it, to another slot that was found.
    pub fn move_to(
        &mut self,
        slot: &Slot,
        id: &str,
        person: &Person,
        practice: &str,
        now: Timestamp,
    ) -> Sent {
        self.appointment(person, practice, slot, now, ("update", "booked", Some(id)))
    }

    /// Asks for another time for what was asked before, under the id that the receiver gave it.
    pub fn rebooking(
        &mut self,
        id: &str,
        person: &Person,
        practice: &str,
        start: Timestamp,
        now: Timestamp,
    ) -> Sent {
        let slot = self.some_slot(start);
        self.move_to(&slot, id, person, practice, now)
    }

    /// Calls an appointment off.
    pub fn cancellation(
        &mut self,
        id: &str,
        person: &Person,
        practice: &str,
        start: Timestamp,
        now: Timestamp,
    ) -> Sent {
        let slot = self.some_slot(start);
        self.appointment(person, practice, &slot, now, ("update", "cancelled", Some(id)))
    }

    /// Refers a person registered at `practice`.
    pub fn referral(&mut self, person: &Person, practice: &str, now: Timestamp) -> Sent {
        let (request, patient, plan) = (self.name(), self.name(), self.name());
        let focus = json!({
            "resourceType": "ServiceRequest", "meta": { "lastUpdated": now.to_string() },
            "basedOn": [{ "reference": plan }], "status": "active", "intent": "plan", "priority": "urgent",
            "category": [{ "coding": [{
                "system": "https://fhir.nhs.uk/CodeSystem/message-category-servicerequest",
                "code": "referral", "display": "Transfer of Care" }] }],
            "subject": { "reference": patient }, "authoredOn": now.to_string(),
        });
        let outcome = json!({ "coding": [{
            "system": PATHWAYS_DX, "code": "Dx07", "display": "To be seen by a primary care service within 12 hours" }] });
        let plan_resource = json!({
            "resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": { "reference": patient },
            "activity": [{ "outcomeCodeableConcept": [outcome, { "text": "Assessed by telephone: earache since yesterday" }] }],
        });
        let definition = "bars-message-servicerequest-request-referral";
        let about = [(plan, plan_resource)];
        self.message(
            ("servicerequest-request", "new", definition),
            (request, focus),
            about,
            (patient, person, practice),
            now,
        )
    }

    /// A booking that breaks a rule.
    pub fn faulty(&mut self, fault: Fault, person: &Person, start: Timestamp, now: Timestamp) -> Sent {
        let mut sent = self.booking(person, "Y99901", start, now);
        let entries = &mut sent.body["entry"];
        match fault {
            Fault::NoHeader => drop(entries.as_array_mut().map(|entries| entries.remove(0))),
            Fault::UnknownDefinition => {
                entries[0]["resource"]["definition"] = json!("https://fhir.nhs.uk/MessageDefinition/none")
            }
            Fault::NoPatient => entries[1]["resource"]["participant"] = json!([]),
            Fault::TimesSwapped => {
                let appointment = &mut entries[1]["resource"];
                let (start, end) = (appointment["start"].take(), appointment["end"].take());
                (appointment["start"], appointment["end"]) = (end, start);
            }
            Fault::OtherService => {
                entries[0]["resource"]["destination"][0]["endpoint"] = json!(format!("{SERVICE_ID}|1"));
            }
        }
        sent
    }

    /// Sends a message until it is taken or refused for good; gives up only when the future is dropped. Returns also
    /// how often it had to be sent again.
    pub async fn deliver(&mut self, client: &HttpClient, sent: &Sent) -> (Taken, u64) {
        let correlation = self.uuid();
        let mut repeats = 0;
        loop {
            let request = self.request(sent, &correlation);
            if let Some(request) = request
                && let Ok(answer) = client.send(request).await
                && let Some(taken) = taken(answer.status().as_u16(), answer.body())
            {
                return (taken, repeats);
            }
            tracing::debug!("not taken: trying again");
            repeats += 1;
            sleep(PAUSE).await;
        }
    }

    /// A slot that was agreed upon otherwise, of 15 minutes.
    fn some_slot(&mut self, start: Timestamp) -> Slot {
        let end = start.plus(Duration::from_secs(15 * 60)).to_string();
        Slot { id: String::new(), name: self.name(), start: start.to_string(), end }
    }

    /// The free slots of the service that begin within a window; none if the receiver does not tell of any.
    pub async fn free_slots(&mut self, client: &HttpClient, from: Timestamp, until: Timestamp) -> Vec<Slot> {
        let path = format!(
            "/fhir/r4/Slot?status=free&start=ge{from}&start=le{until}&_include=Slot:schedule\
             &_include=Schedule:actor:HealthcareService"
        );
        let Some(request) = self.get(&path) else { return Vec::new() };
        let Ok(answer) = client.send(request).await else { return Vec::new() };
        let bundle: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
        let slots = entries.iter().filter(|entry| entry["resource"]["resourceType"] == "Slot");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let slots = slots.map(|entry| Slot {
            id: text(&entry["resource"]["id"]),
            name: text(&entry["fullUrl"]),
            start: text(&entry["resource"]["start"]),
            end: text(&entry["resource"]["end"]),
        });
        slots.collect()
    }

    /// A question as it is asked, with its headers; none if the path is none.
    pub fn get(&mut self, path: &str) -> Option<Request<Bytes>> {
        let (correlation, service) = (self.uuid(), self.service.clone());
        self.with_headers(Request::get(path), &service, &correlation).body(Bytes::new()).ok()
    }

    /// A message as it is posted, with its headers; none if an id cannot stand in one.
    pub fn request(&mut self, sent: &Sent, correlation: &str) -> Option<Request<Bytes>> {
        let request = self.with_headers(Request::post(PATH), &sent.service, correlation);
        request
            .header("content-type", "application/fhir+json; version=1.4.0")
            .header("use-context", "a1t1|booked|booking-request|new")
            .body(Bytes::from(sent.body.to_string()))
            .ok()
    }

    fn with_headers(&mut self, request: Builder, service: &str, correlation: &str) -> Builder {
        let encoded = |value: Value| STANDARD.encode(value.to_string());
        let who = |kind: &str, value: &str| {
            encoded(json!({ "resourceType": kind, "identifier": [{ "system": ODS_CODE, "value": value }] }))
        };
        request
            .header("accept", "application/fhir+json; version=1.4.0")
            .header("x-request-id", self.uuid())
            .header("x-correlation-id", correlation)
            .header("nhsd-target-identifier", encoded(json!({ "system": SERVICE_ID, "value": service })))
            .header("nhsd-end-user-organisation", who("Organization", &self.own))
            .header("nhsd-requesting-software", who("Device", "adastra"))
    }

    fn appointment(
        &mut self,
        person: &Person,
        practice: &str,
        slot: &Slot,
        now: Timestamp,
        (reason, status, id): (&str, &str, Option<&str>),
    ) -> Sent {
        let (focus, patient) = (self.name(), self.name());
        let mut appointment = json!({
            "resourceType": "Appointment", "meta": { "lastUpdated": now.to_string() }, "status": status,
            "description": "Earache since yesterday", "start": slot.start, "end": slot.end,
            "slot": [{ "reference": slot.name }], "created": now.to_string(),
            "participant": [{ "actor": { "reference": patient }, "status": "accepted" }],
        });
        if let Some(id) = id {
            appointment["id"] = json!(id);
        }
        let mut slot_resource = json!({
            "resourceType": "Slot", "schedule": { "reference": "Schedule/1" }, "status": "busy",
            "start": slot.start, "end": slot.end,
        });
        if !slot.id.is_empty() {
            slot_resource["id"] = json!(slot.id);
        }
        let definition = match status {
            "cancelled" => "bars-message-booking-request-cancelled",
            _ => "bars-message-booking-request",
        };
        let about = [(slot.name.clone(), slot_resource)];
        self.message(
            ("booking-request", reason, definition),
            (focus, appointment),
            about,
            (patient, person, practice),
            now,
        )
    }

    fn message<const N: usize>(
        &mut self,
        (event, reason, definition): (&str, &str, &str),
        focus: (String, Value),
        about: [(String, Value); N],
        (patient, person, practice): (String, &Person, &str),
        now: Timestamp,
    ) -> Sent {
        let (header, sender, surgery, id) = (self.name(), self.name(), self.name(), self.uuid());
        let header_resource = json!({
            "resourceType": "MessageHeader",
            "eventCoding": { "system": "https://fhir.nhs.uk/CodeSystem/message-events-bars", "code": event },
            "destination": [{ "endpoint": format!("{SERVICE_ID}|{}", self.service) }],
            "sender": { "reference": sender },
            "source": { "name": "Out-of-hours service", "software": "Adastra", "endpoint": format!("{SERVICE_ID}|2{}", self.own) },
            "reason": { "coding": [{ "system": "https://fhir.nhs.uk/CodeSystem/message-reason-bars", "code": reason }] },
            "focus": [{ "reference": focus.0 }],
            "definition": format!("https://fhir.nhs.uk/MessageDefinition/{definition}"),
        });
        let organisation = |code: &str, name: &str| json!({ "resourceType": "Organization", "identifier": [{ "system": ODS_CODE, "value": code }], "name": name });
        let patient_resource = patient_resource(person, &surgery);
        let others = [
            (patient, patient_resource),
            (surgery, organisation(practice, "Registered practice")),
            (sender, organisation(&self.own, "Out-of-hours service")),
        ];
        let entries = [(header, header_resource), focus].into_iter().chain(others).chain(about);
        let entries: Vec<Value> =
            entries.map(|(name, resource)| json!({ "fullUrl": name, "resource": resource })).collect();
        let body = json!({
            "resourceType": "Bundle", "id": id, "meta": { "lastUpdated": now.to_string() },
            "type": "message", "timestamp": now.to_string(), "entry": entries,
        });
        Sent { id, service: self.service.clone(), body }
    }

    fn name(&mut self) -> String {
        format!("urn:uuid:{}", self.uuid())
    }

    fn uuid(&mut self) -> String {
        let hex = format!("{:016x}{:016x}", self.entropy.next_u64(), self.entropy.next_u64());
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
    }
}

/// What an answer means; none if the message is to be sent again.
fn taken(status: u16, body: &[u8]) -> Option<Taken> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = || body["issue"][0]["details"]["coding"][0]["code"].as_str().unwrap_or_default().to_owned();
    match status {
        200 => body["entry"][1]["resource"]["id"].as_str().map(|id| Taken::Recorded(id.to_owned())),
        409 if body["issue"][0]["code"] == "duplicate" => Some(Taken::Already),
        400..=499 if !matches!(status, 408 | 429) => Some(Taken::Refused(status, code())),
        501 => Some(Taken::Refused(status, code())),
        _ => None,
    }
}

fn patient_resource(person: &Person, surgery: &str) -> Value {
    let born = &person.birth_date;
    let born = [born.get(..4), born.get(4..6), born.get(6..8)].map(Option::unwrap_or_default).join("-");
    json!({
        "resourceType": "Patient",
        "identifier": [{
            "extension": [{ "url": VERIFICATION, "valueCodeableConcept": { "coding": [{
                "system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus",
                "code": "number-present-and-verified" }] } }],
            "system": NHS_NUMBER, "value": person.nhs_number.as_str(),
        }],
        "name": [{ "use": "official", "family": person.family_name, "given": [person.given_name] }],
        "gender": if person.sex == "F" { "female" } else { "male" },
        "birthDate": born,
        "address": [{ "use": "home", "line": [person.address], "city": "London", "postalCode": "E17 1AA" }],
        "generalPractitioner": [{ "reference": surgery }],
    })
}
