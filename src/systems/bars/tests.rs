//! What messages say, each rule, and the receiver end to end over HTTP.

use std::{path::Path, sync::Arc, time::Duration};

use axum::Router;
use bytes::Bytes;
use hyper::Request;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::*;
use crate::{
    codec::bars::{Refusal, read},
    domain::{
        ids::Class,
        record::{FieldChange, ItemChange, ItemKind},
        time::Timestamp,
    },
    flow::{
        hub::{Hub, Identity, Parts},
        link::Link,
        operate::{MessageFilter, Operate},
    },
    journal::{Journal, Log, LogReader, Options, Position},
    sys::{
        clock::SimulatedClock,
        entropy::Entropy,
        http::{HttpClient, HttpLimits, HttpUrl},
        http_server,
        sim_disk::SimulatedDisk,
    },
    systems::{
        simulator::{
            bars::{Fault, Sent, SimulatedReferrer, Taken},
            people::Person,
        },
        translate_entry,
    },
};

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const SERVICE: &str = "2000011147";

fn later(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(minutes * 60))
}

fn referrer() -> SimulatedReferrer {
    SimulatedReferrer::new("RX701", SERVICE, 3)
}

fn booking() -> Sent {
    referrer().booking(&Person::of(1), "F86001", later(60), NOW)
}

fn field<'a>(item: &'a ItemChange, name: &str) -> &'a str {
    let found = item.fields.iter().find(|(of, _)| *of == name);
    match found {
        Some((_, FieldChange::Set(value))) => value,
        _ => "",
    }
}

fn told(sent: &Sent) -> Event {
    translate::event(&read(&sent.body).unwrap())
}

fn of(event: &Event, kind: ItemKind) -> &ItemChange {
    event.items.iter().find(|item| item.kind == kind).unwrap()
}

#[test]
fn a_booking_is_a_request_until_somebody_books() {
    let event = told(&booking());
    assert_eq!((event.kind.as_str(), event.class), ("BaRS^booking-new", Class::Booking));
    assert_eq!((event.nhs_number, event.occurred), (Ok(Person::of(1).nhs_number), Some(NOW)));
    let appointment = of(&event, ItemKind::Appointment);
    assert_eq!(
        (field(appointment, "status"), field(appointment, "status_at_source")),
        ("requested", "booked")
    );
    assert_eq!(field(appointment, "start"), later(60).to_string());
    let demographics = of(&event, ItemKind::Demographics);
    assert_eq!(
        (field(demographics, "general_practice"), field(demographics, "nhs_number_status")),
        ("F86001", "NSTS01")
    );
    let mut unverified = booking();
    unverified.body["entry"][2]["resource"]["identifier"][0]["extension"] = json!([]);
    assert_eq!(field(of(&told(&unverified), ItemKind::Demographics), "nhs_number_status"), "NSTS02");
}

#[test]
fn changes_and_cancellations_are_of_the_same_appointment() {
    let (mut referrer, person) = (referrer(), Person::of(1));
    let first = told(&referrer.booking(&person, "F86001", later(60), NOW));
    let key = &of(&first, ItemKind::Appointment).key;
    let moved = told(&referrer.rebooking(key, &person, "F86001", later(120), later(1)));
    let gone = told(&referrer.cancellation(key, &person, "F86001", later(120), later(2)));
    assert_eq!((moved.kind.as_str(), gone.kind.as_str()), ("BaRS^booking-update", "BaRS^booking-cancelled"));
    assert_eq!([&moved, &gone].map(|event| &of(event, ItemKind::Appointment).key), [key, key]);
    assert_eq!(field(of(&gone, ItemKind::Appointment), "status"), "cancelled");
    let mut wrong = referrer.cancellation(key, &person, "F86001", later(120), later(3));
    wrong.body["entry"][1]["resource"]["status"] = json!("entered-in-error");
    assert!(of(&told(&wrong), ItemKind::Appointment).withdrawn);
}

#[test]
fn a_referral_tells_its_disposition() {
    let event = told(&referrer().referral(&Person::of(2), "F86001", NOW));
    assert_eq!((event.kind.as_str(), event.class), ("BaRS^referral-new", Class::Clinical));
    let referral = of(&event, ItemKind::Referral);
    assert_eq!(
        (field(referral, "code"), field(referral, "priority"), field(referral, "status")),
        ("Dx07", "urgent", "requested")
    );
    assert!(field(referral, "note").contains("earache"));
}

/// A path of names and numbers, what is put there, and the status, code and issue it must be answered with.
type Change = (&'static str, Value, (u16, &'static str));

fn set(tree: &mut Value, path: &str, value: Value) {
    let (parent, last) = path.rsplit_once('/').unwrap();
    let parent = tree.pointer_mut(parent).unwrap_or_else(|| panic!("{path}"));
    match (parent, value) {
        (Value::Object(members), Value::Null) => drop(members.remove(last)),
        (Value::Object(members), value) => drop(members.insert(last.to_owned(), value)),
        (Value::Array(values), value) => values[last.parse::<usize>().unwrap()] = value,
        _ => panic!("{path}"),
    }
}

#[test]
fn each_rule_is_held_against_who_breaks_it() {
    let header = "/entry/0/resource";
    let focus = "/entry/1/resource";
    let at =
        |base: &str, rest: &str| -> &'static str { Box::leak(format!("{base}/{rest}").into_boxed_str()) };
    let system = |name: &str| format!("https://fhir.nhs.uk/CodeSystem/{name}");
    let definition = |name: &str| json!(format!("https://fhir.nhs.uk/MessageDefinition/{name}"));
    let changes: Vec<Change> = vec![
        ("/resourceType", json!("Parameters"), (400, "structure")),
        ("/type", json!("batch"), (400, "structure")),
        ("/id", Value::Null, (400, "required")),
        ("/id", json!("a b"), (400, "value")),
        ("/entry", json!([]), (400, "invariant")),
        ("/entry/0", json!({}), (400, "invariant")),
        (at(header, "eventCoding"), Value::Null, (400, "required")),
        (at(header, "eventCoding/system"), json!("urn:x"), (400, "value")),
        (at(header, "eventCoding/code"), json!("booking-response"), (422, "not-supported")),
        (at(header, "eventCoding/code"), json!("servicerequest-request"), (400, "invariant")),
        (at(header, "definition"), Value::Null, (400, "required")),
        (at(header, "definition"), definition("bars-message-booking"), (422, "not-supported")),
        (at(header, "definition"), definition("bars-message-booking-request-cancelled"), (400, "invariant")),
        (
            at(header, "definition"),
            definition("bars-message-servicerequest-request-validation"),
            (422, "not-supported"),
        ),
        (at(header, "reason"), Value::Null, (400, "required")),
        (at(header, "reason/coding/0/system"), json!(system("other")), (400, "value")),
        (at(header, "reason/coding/0/code"), json!("delete"), (400, "value")),
        (at(header, "reason/coding/0/code"), json!("update"), (400, "required")),
        (at(header, "source/endpoint"), Value::Null, (400, "required")),
        (at(header, "source/endpoint"), json!("x".repeat(2000)), (400, "value")),
        (at(header, "focus"), json!([]), (400, "invariant")),
        (at(header, "focus/0/reference"), json!("urn:uuid:0"), (400, "invariant")),
        (at(focus, "status"), Value::Null, (400, "required")),
        (at(focus, "status"), json!("arrived"), (400, "value")),
        (at(focus, "status"), json!("cancelled"), (400, "invariant")),
        (at(focus, "participant"), json!([]), (400, "required")),
        (at(focus, "start"), Value::Null, (400, "required")),
        (at(focus, "start"), json!("2026-11-18T12:00:00"), (400, "value")),
        (at(focus, "start"), json!("2099-11-18T12:00:00Z"), (400, "invariant")),
    ];
    assert!(read(&booking().body).is_ok());
    for (path, value, expected) in changes {
        let mut body = booking().body;
        let shown = format!("{path} = {value}");
        set(&mut body, path, value);
        let refusal: Refusal = read(&body).expect_err(&shown);
        assert_eq!((refusal.status, refusal.issue), expected, "{shown}: {refusal}");
    }
}

#[test]
fn two_people_two_of_one_name_and_too_many_are_refused() {
    let with = |change: fn(&mut Vec<Value>)| {
        let mut body = booking().body;
        change(body["entry"].as_array_mut().unwrap());
        read(&body).unwrap_err()
    };
    let two = with(|entries| {
        entries.push(json!({ "fullUrl": "urn:x", "resource": { "resourceType": "Patient" } }))
    });
    assert!(two.says.contains("more than one Patient"));
    let same = with(|entries| entries.push(entries[2].clone()));
    assert!(same.says.contains("same fullUrl"));
    let many = with(|entries| entries.resize(1001, json!({ "resource": { "resourceType": "Flag" } })));
    assert_eq!((many.status, many.issue), (422, "too-long"));
}

/// A hub with a receiver.
struct Bench {
    hub: Arc<Hub>,
    journal: Journal,
    link: Arc<Link>,
    client: HttpClient,
    disk: SimulatedDisk,
    _stop: watch::Sender<bool>,
}

impl Bench {
    async fn start() -> Self {
        let disk = SimulatedDisk::default();
        let clock = Arc::new(SimulatedClock::new(NOW));
        let options =
            Options { capacity_bytes: 64 << 20, floor_bytes: 0, ballast_bytes: 4096, ..Options::default() };
        let (log, _) = Log::open(
            Arc::new(disk.clone()),
            Path::new("/state/journal"),
            options,
            NOW,
            Entropy::from_seed(1),
        )
        .unwrap();
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let identity =
            Identity { id: "soho".parse().unwrap(), ods: "5LC01".to_owned(), name: "Soho".to_owned() };
        let disk_of_hub = Arc::new(disk.clone());
        let parts = Parts {
            identity,
            journal: journal.clone(),
            clock,
            disk: disk_of_hub,
            translate: translate_entry,
        };
        let hub = Hub::new(parts, Path::new("/state"), "nowhere").unwrap();
        let link = hub.add_link("bars", "BaRS", "");
        let options = BarsOptions {
            services: vec![SERVICE.to_owned()],
            name: "Soho".to_owned(),
            message_bytes_max: 1 << 20,
            booking: None,
        };
        // As the app does: beside pages that have a fallback of their own.
        let pages = Router::new().fallback(|| async { "a page" });
        let router = Bars::new(Arc::clone(&hub), Arc::clone(&link), options).router().merge(pages);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = HttpUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let stop = watch::Sender::new(false);
        tokio::spawn(http_server::serve(listener, None, router, stop.subscribe()));
        let client = HttpClient::new(url, None, HttpLimits::default());
        Self { hub, journal, link, client, disk, _stop: stop }
    }

    async fn send(&self, request: Request<Bytes>) -> (u16, Value) {
        let answer = self.client.send(request).await.unwrap();
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        (answer.status().as_u16(), body)
    }

    async fn post(&self, sent: &Sent) -> (u16, Value) {
        self.send(referrer().request(sent, "9562466f-c982-4bd5-bb0e-255e9f5e6689").unwrap()).await
    }

    fn events(&self) -> Vec<Event> {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), Position::default());
        let records = reader.read(64 << 20, 10_000).unwrap().records;
        let entry = |payload: &Bytes| crate::codec::cbor::decode::<Entry>(payload, 1 << 20).unwrap();
        records.iter().map(|record| translate_entry(&entry(&record.payload)).unwrap()).collect()
    }

    fn quarantined(&self) -> usize {
        let filter = MessageFilter { quarantined: true, limit: 100, ..MessageFilter::default() };
        self.hub.find_messages(filter).unwrap().len()
    }
}

fn code(body: &Value) -> (&str, &str) {
    let issue = &body["issue"][0];
    (issue["details"]["coding"][0]["code"].as_str().unwrap(), issue["code"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_is_recorded_once_and_its_answer_promises_no_slot() {
    let (bench, mut referrer) = (Bench::start().await, referrer());
    let sent = referrer.booking(&Person::of(1), "F86001", later(60), NOW);
    let (status, answer) = bench.post(&sent).await;
    assert_eq!(status, 200, "{answer}");
    let (header, focus) = (&answer["entry"][0]["resource"], &answer["entry"][1]["resource"]);
    assert_eq!(
        (&header["response"]["identifier"], &header["response"]["code"]),
        (&json!(sent.id), &json!("ok"))
    );
    assert_eq!((&focus["resourceType"], &focus["status"]), (&json!("Appointment"), &json!("pending")));
    let note = answer["entry"][4]["resource"]["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(note.contains("does not hold a slot"), "{note}");
    assert_eq!(bench.events()[0].items[1].key, focus["id"].as_str().unwrap());

    // The answer was lost; the sender stamps the message anew.
    let mut again = sent.clone();
    again.body["timestamp"] = json!("2026-11-18T12:00:00Z");
    again.body["meta"]["lastUpdated"] = json!("2026-11-18T12:00:00Z");
    let (status, answer) = bench.post(&again).await;
    assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "duplicate")));
    let mut other = sent.clone();
    other.body["entry"][1]["resource"]["description"] = json!("Something else");
    let (status, answer) = bench.post(&other).await;
    assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "conflict")));
    let status = bench.link.status();
    assert_eq!((bench.events().len(), bench.quarantined()), (1, 1));
    assert_eq!((status.accepted, status.repeated, status.refused), (2, 1, 1), "accepted counts repetitions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_change_that_is_older_than_one_taken_is_told_so() {
    let (bench, mut referrer, person) = (Bench::start().await, referrer(), Person::of(1));
    let sent = referrer.booking(&person, "F86001", later(60), NOW);
    let (taken, repeats) = referrer.deliver(&bench.client, &sent).await;
    let Taken::Recorded(id) = taken else { panic!("{taken:?}") };
    assert_eq!(repeats, 0);
    let newer = referrer.cancellation(&id, &person, "F86001", later(60), later(5));
    assert_eq!(bench.post(&newer).await.0, 200);
    let older = referrer.rebooking(&id, &person, "F86001", later(90), later(3));
    let (status, answer) = bench.post(&older).await;
    assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "conflict")));
    assert_eq!(bench.events().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_acknowledged_that_the_disk_does_not_hold() {
    let (bench, mut referrer) = (Bench::start().await, referrer());
    bench.disk.set_capacity(Some(0));
    let sent = referrer.booking(&Person::of(1), "F86001", later(60), NOW);
    let (status, answer) = bench.post(&sent).await;
    assert_eq!(
        (status, code(&answer)),
        (503, ("REC_SERVICE_UNAVAILABLE", "transient")),
        "200 although the store failed"
    );
    assert_eq!(bench.quarantined(), 0, "what may come again is not kept aside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn faulty_messages_are_refused_and_kept_aside() {
    let (bench, mut referrer) = (Bench::start().await, referrer());
    for fault in Fault::ALL {
        let sent = referrer.faulty(fault, &Person::of(1), later(60), NOW);
        let (taken, _) = referrer.deliver(&bench.client, &sent).await;
        let Taken::Refused(status, code) = taken else { panic!("{fault:?}: {taken:?}") };
        let expected = if fault == Fault::UnknownDefinition { 422 } else { 400 };
        assert_eq!((status, code.get(..4)), (expected, Some("REC_")), "{fault:?}");
    }
    assert_eq!((bench.quarantined(), bench.events().len()), (Fault::ALL.len(), 0));
    let mut deep = booking();
    deep.body = serde_json::from_str(&format!("{}{}", "[".repeat(120), "]".repeat(120))).unwrap();
    assert_eq!(code(&bench.post(&deep).await.1), ("REC_UNPROCESSABLE_ENTITY", "too-long"));
    let mut long = booking();
    long.body["note"] = json!("x".repeat(1 << 20));
    assert_eq!(code(&bench.post(&long).await.1), ("REC_UNPROCESSABLE_ENTITY", "too-long"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn addresses_answer_what_the_standard_says() {
    let bench = Bench::start().await;
    let correlation = "9562466f-c982-4bd5-bb0e-255e9f5e6689";
    let like = |method: &str, path: &str, without: &str, accept: &str| {
        let (mut parts, _) = referrer().request(&booking(), correlation).unwrap().into_parts();
        parts.method = method.parse().unwrap();
        parts.uri = format!("/fhir/r4{path}").parse().unwrap();
        parts.headers.remove(without);
        parts.headers.insert("accept", accept.parse().unwrap());
        Request::from_parts(parts, Bytes::new())
    };
    let json_ = "application/fhir+json";
    for (method, path, expected) in [
        ("GET", "/metadata", (200, "")),
        ("GET", "/MessageDefinition?context=x", (200, "")),
        ("GET", "/MessageDefinition", (400, "REC_BAD_REQUEST")),
        ("POST", "/metadata", (405, "SEND_METHOD_NOT_ALLOWED")),
        ("GET", "/$process-message", (405, "SEND_METHOD_NOT_ALLOWED")),
        ("GET", "/Appointment/1", (501, "REC_NOT_IMPLEMENTED")),
        ("PATCH", "/Appointment/1", (501, "REC_NOT_IMPLEMENTED")),
        ("DELETE", "/ServiceRequest/1", (501, "REC_NOT_IMPLEMENTED")),
        ("GET", "/Slot?status=free", (501, "REC_NOT_IMPLEMENTED")),
        ("GET", "/Endpoint", (501, "REC_NOT_IMPLEMENTED")),
        ("GET", "/Patient", (404, "REC_NOT_FOUND")),
        ("GET", "", (404, "REC_NOT_FOUND")),
        ("POST", "/$process-message", (400, "REC_BAD_REQUEST")),
    ] {
        let (status, body) = bench.send(like(method, path, "none", json_)).await;
        let found = body["issue"][0]["details"]["coding"][0]["code"].as_str().unwrap_or_default();
        assert_eq!((status, found), expected, "{method} {path}: {body}");
    }
    let (status, body) = bench.send(like("POST", "/$process-message", "x-request-id", json_)).await;
    assert_eq!((status, code(&body)), (400, ("REC_BAD_REQUEST", "required")));
    assert_eq!(bench.send(like("GET", "/metadata", "none", "application/fhir+xml")).await.0, 406);
    let answer = bench.client.send(like("GET", "/metadata", "none", json_)).await.unwrap();
    assert_eq!(answer.headers()["x-correlation-id"], correlation);
    assert_eq!(answer.headers()["content-type"], "application/fhir+json; version=1.4.0");
}
