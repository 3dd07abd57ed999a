//! Every rule a sender can break, what a report says, and the listener end to end.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::Request;
use tokio::sync::watch;

use super::*;
use crate::{
    codec::itk::{Addressed, Broken},
    domain::{
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
        sim_disk::SimulatedDisk,
    },
    systems::{
        simulator::{adastra::SimulatedAdastra, people::Person},
        translate_entry,
    },
};

const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn addressed() -> Addressed {
    Addressed { to: vec!["5LC01".to_owned()], ..Addressed::default() }
}

fn adastra() -> SimulatedAdastra {
    SimulatedAdastra::new("RX701", "5LC01", 3)
}

fn field<'a>(item: &'a ItemChange, name: &str) -> &'a str {
    let found = item.fields.iter().find(|(of, _)| *of == name);
    match found {
        Some((_, FieldChange::Set(value))) => value,
        _ => "",
    }
}

#[test]
fn each_rule_is_held_against_who_breaks_it() {
    let good = adastra().report(&Person::of(1), "F86001", NOW).body;
    assert!(report::translate(good.as_bytes(), Some(&addressed())).is_ok());
    let changes = [
        ("<soap:Envelope", "<soap:Envelop", Broken::NotSoap),
        ("<wsa:MessageID>", "<wsa:MessageID/><wsa:Other>", Broken::NotSoap),
        ("wsa:MessageID", "wsa:MessageNumber", Broken::MessageId),
        ("wsa:Action", "wsa:Deed", Broken::Action),
        ("Report-v2-0</wsa:Action>", "Report-v3-0</wsa:Action>", Broken::ActionIsNotService),
        ("wsa:To>", "wsa:Too>", Broken::To),
        ("addressing/anonymous", "addressing/none", Broken::ReplyTo),
        ("wsu:Timestamp>", "wsu:Stamp>", Broken::Timestamp),
        ("<wsu:Created>2", "<wsu:Created>x", Broken::TimestampInvalid),
        ("<wsu:Created>2", "<wsu:Created>3", Broken::TimestampInvalid),
        ("wsse:Username>", "wsse:User>", Broken::Username),
        (
            "</soap:Header>",
            "<x:Y xmlns:x=\"u\" soap:mustUnderstand=\"1\"/></soap:Header>",
            Broken::MustUnderstand,
        ),
        ("itk:DistributionEnvelope", "itk:Envelope", Broken::Envelope),
        ("trackingid=\"", "trackingid=\"\" was=\"", Broken::TrackingId),
        ("urn:nhs-uk:identity:ods:", "urn:nhs-uk:identity:sds:", Broken::AuditIdentity),
        ("addressing:ods:5LC01", "addressing:ods:5LC02", Broken::NotAddressed),
        ("<itk:manifest count=\"1\"", "<itk:manifest count=\"2\"", Broken::ManifestCount),
        ("<itk:payloads count=\"1\"", "<itk:payloads count=\"0\"", Broken::PayloadCount),
        ("<itk:payload id=\"uuid_", "<itk:payload id=\"other_", Broken::Ids),
        ("profileid=\"urn:nhs-en:profile:nhs111CDADocument-v2-0\"", "", Broken::ProfileMissing),
        ("nhs111CDADocument-v2-0\"", "nhs111CDADocument-v9-0\"", Broken::ProfileUnknown),
        ("ClinicalDocument", "Document", Broken::NoDocument),
        (
            "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><id ",
            "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><ident ",
            Broken::DocumentId,
        ),
    ];
    for (from, to, expected) in changes {
        assert!(good.contains(from), "{from}");
        let bad = good.replace(from, to);
        let error = report::translate(bad.as_bytes(), Some(&addressed())).expect_err(from);
        assert_eq!(error.broken, expected, "{from} -> {to}");
    }
    let elsewhere = Addressed { endpoints: vec!["https://other.example/".to_owned()], ..addressed() };
    assert_eq!(report::translate(good.as_bytes(), Some(&elsewhere)).unwrap_err().broken, Broken::ToOther);
    let two = good.replace(
        "<itk:manifest count=\"1\">",
        "<itk:manifest count=\"2\"><itk:manifestitem id=\"x\" profileid=\"urn:nhs-en:profile:nhs111CDADocument-v2-0\"/>",
    );
    assert_eq!(report::translate(two.as_bytes(), Some(&addressed())).unwrap_err().broken, Broken::Counts);
}

#[test]
fn a_report_says_who_when_and_what_and_may_be_withdrawn() {
    let (mut adastra, person) = (adastra(), Person::of(1));
    let sent = adastra.report(&person, "F86001", NOW);
    let (event, reference) = report::translate(sent.body.as_bytes(), Some(&addressed())).unwrap();
    assert_eq!((event.kind.as_str(), event.source_id.as_str()), ("ITK^Report", sent.id.as_str()));
    assert_eq!(event.nhs_number, Ok(person.nhs_number));
    assert!(event.faults.is_empty() && !reference.essence.is_empty());
    let of = |kind| event.items.iter().find(|item| item.kind == kind).unwrap();
    assert_eq!(field(of(ItemKind::Demographics), "general_practice"), "F86001");
    assert_eq!(field(of(ItemKind::Demographics), "nhs_number_status"), "NSTS01");
    assert_eq!(field(of(ItemKind::Document), "created"), "2026-11-18T11:06:40");
    let content = field(of(ItemKind::Document), "content");
    assert!(
        content.contains("Patient’s reported condition\n") && content.contains("– Call back"),
        "{content}"
    );
    assert_eq!(field(of(ItemKind::Observation), "code_system"), "snomed-ct");
    assert!(!field(of(ItemKind::Referral), "disposition").is_empty());
    let parts = event.items.iter().filter(|item| item.kind != ItemKind::Demographics);
    assert!(parts.map(|item| &item.part_of).all(|part_of| *part_of == sent.set_id));
    let withdrawal = adastra.nullify(&sent, &person, NOW);
    let (event, _) = report::translate(withdrawal.body.as_bytes(), Some(&addressed())).unwrap();
    assert_eq!((event.kind.as_str(), event.withdraws), ("ITK^Nullification", vec![sent.set_id]));
}

#[test]
fn a_later_version_leaves_nothing_of_an_earlier_one_in_its_entries() {
    let sent = adastra().report(&Person::of(1), "F86001", NOW);
    let second = sent.body.replace("<versionNumber value=\"1\"", "<versionNumber value=\"2\"");
    let (first, second) = [&sent.body, &second]
        .map(|body| report::translate(body.as_bytes(), Some(&addressed())).unwrap().0)
        .into();
    assert!(first.occurred < second.occurred, "versions of one moment are in order");
    for (one, other) in first.items.iter().zip(&second.items) {
        assert_eq!((one.kind, &one.key), (other.kind, &other.key));
    }
    let coded =
        |event: &Event| event.items.iter().find(|item| item.kind == ItemKind::Observation).unwrap().clone();
    assert!(coded(&first).fields.iter().all(|(name, _)| *name != "value"));
    assert!(
        coded(&second).fields.contains(&("value", FieldChange::Delete)),
        "an earlier value is no longer said"
    );
}

#[test]
fn a_withdrawal_that_names_no_set_says_so() {
    let (mut adastra, person) = (adastra(), Person::of(1));
    let sent = adastra.report(&person, "F86001", NOW);
    let withdrawal = adastra.nullify(&sent, &person, NOW).body;
    let set = format!("<setId root=\"{}\"/>", sent.set_id);
    assert!(withdrawal.contains(&set));
    let (event, _) = report::translate(withdrawal.replace(&set, "").as_bytes(), Some(&addressed())).unwrap();
    assert_eq!((event.withdraws, event.faults), (vec![sent.set_id], vec!["itk-nullifies-without-set"]));
}

#[test]
fn what_is_journalled_is_understood_again_whoever_it_was_for() {
    let sent = SimulatedAdastra::new("RX701", "ELSEWHERE", 3).report(&Person::of(1), "F86001", NOW);
    assert!(report::translate(sent.body.as_bytes(), Some(&addressed())).is_err());
    assert!(report::translate(sent.body.as_bytes(), None).is_ok());
}

#[test]
fn a_case_tells_of_its_appointment_consultation_and_codes() {
    let mut adastra = adastra();
    let sent = adastra.case(&Person::of(2), "F86001", NOW);
    let event = case::translate(sent.body.as_bytes()).unwrap();
    assert!(event.source_id.starts_with(&sent.id) && event.faults.is_empty(), "{event:?}");
    let of = |kind| event.items.iter().find(|item| item.kind == kind).unwrap();
    assert_eq!(field(of(ItemKind::Appointment), "status"), "arrived");
    assert_eq!(field(of(ItemKind::Encounter), "clinician"), "Dr Example");
    assert_eq!(field(of(ItemKind::Observation), "code_system"), "SNOMED CT");
    assert_eq!(event.occurred, Some(NOW));
    for (said, expected) in
        [("None", "booked"), ("DidNotAttend", "did not attend"), ("Cancelled", "cancelled"), ("Gone", "")]
    {
        let body = sent.body.replace("<status>Arrived", &format!("<status>{said}"));
        let event = case::translate(body.as_bytes()).unwrap();
        let appointment = event.items.iter().find(|item| item.kind == ItemKind::Appointment).unwrap();
        assert_eq!(field(appointment, "status"), expected);
        assert_eq!(event.faults.is_empty(), !expected.is_empty(), "an unknown status is said to be one");
    }
    assert_eq!(case::translate(b"<other/>").unwrap_err(), case::NotACase::OtherDocument);
    assert!(case::translate(b"<!DOCTYPE a><adastraCaseDataExport/>").is_err());
}

struct Bench {
    hub: Arc<Hub>,
    journal: Journal,
    link: Arc<Link>,
    client: HttpClient,
    _stop: watch::Sender<bool>,
}

impl Bench {
    async fn start() -> Self {
        let disk = SimulatedDisk::default();
        let options =
            Options { capacity_bytes: 256 << 20, floor_bytes: 0, ballast_bytes: 4096, ..Options::default() };
        let directory = Path::new("/state/journal");
        let (log, _) =
            Log::open(Arc::new(disk.clone()), directory, options, NOW, Entropy::from_seed(1)).unwrap();
        let clock = Arc::new(SimulatedClock::new(NOW));
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let identity =
            Identity { id: "soho".parse().unwrap(), ods: "5LC01".to_owned(), name: "Soho".to_owned() };
        let parts = Parts {
            identity,
            journal: journal.clone(),
            clock,
            disk: Arc::new(disk),
            translate: translate_entry,
        };
        let hub = Hub::new(parts, Path::new("/state"), "nowhere").unwrap();
        let link = hub.add_link("adastra", "Adastra", "");
        let options = AdastraOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            addressed: addressed(),
            message_bytes_max: 1 << 20,
        };
        let stop = watch::Sender::new(false);
        let listener = Adastra::new(Arc::clone(&hub), Arc::clone(&link), options, Entropy::from_seed(2));
        tokio::spawn(listener.run(stop.subscribe()));
        while !link.status().address.contains("127.") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let url = HttpUrl::parse(&format!("http://{}", link.status().address)).unwrap();
        let client = HttpClient::new(url, None, HttpLimits::default());
        Self { hub, journal, link, client, _stop: stop }
    }

    async fn post(&self, path: &str, body: &str) -> (u16, String) {
        let request = Request::post(path).body(Bytes::from(body.to_owned())).unwrap();
        let answer = self.client.send(request).await.unwrap();
        (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
    }

    fn entries(&self) -> usize {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), Position::default());
        reader.read(64 << 20, 10_000).unwrap().records.len()
    }

    fn quarantined(&self) -> usize {
        let filter = MessageFilter { quarantined: true, limit: 100, ..MessageFilter::default() };
        self.hub.find_messages(filter).unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn ok_is_said_once_it_is_durable_and_a_repetition_is_told_by_its_envelope() {
    let (bench, mut adastra) = (Bench::start().await, adastra());
    let sent = adastra.report(&Person::of(1), "F86001", NOW);
    let (status, answer) = bench.post(sent.path, &sent.body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(&format!("OK:{}", sent.id)), "{answer}");
    // The same message again, in SOAP that is new, as senders write it.
    let again = sent.body.replace("<wsu:Created>2026", "<wsu:Created>2025");
    assert_ne!(again, sent.body);
    assert_eq!(bench.post(sent.path, &again).await.0, 200);
    assert_eq!((bench.entries(), bench.link.status().repeated), (1, 1));
    let other = sent.body.replace("NHS 111 Report", "Another report");
    let (status, answer) = bench.post(sent.path, &other).await;
    assert_eq!(status, 500);
    assert!(answer.contains("soap:Client") && answer.contains(">1000<"), "{answer}");
    let case = adastra.case(&Person::of(2), "F86001", NOW);
    for _ in 0..2 {
        assert_eq!(bench.post(case.path, &case.body).await.0, 200);
    }
    assert_eq!(bench.entries(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn faults_say_whose_they_are_and_what_is_refused_for_good_is_kept_aside() {
    let (bench, mut adastra) = (Bench::start().await, adastra());
    let sent = adastra.report(&Person::of(1), "F86001", NOW);
    let bad = sent.body.replace("<itk:payload id=\"uuid_", "<itk:payload id=\"");
    let (status, answer) = bench.post("/itk", &bad).await;
    assert_eq!(status, 500);
    assert!(
        answer.contains("soap:Client") && answer.contains("Payload IDs do not map to Manifest IDs"),
        "{answer}"
    );
    assert!(answer.contains("2.16.840.1.113883.2.1.3.2.4.17.268"));
    assert_eq!(bench.post("/itk", "<not-soap").await.0, 500);
    assert_eq!(bench.post("/case-data-export", "<a/>").await.0, 400);
    assert_eq!((bench.quarantined(), bench.entries()), (3, 0));
    assert_eq!(bench.post("/itk", &"x".repeat((1 << 20) + 1)).await.0, 500);
    bench.journal.close().await;
    let (status, answer) = bench.post(sent.path, &sent.body).await;
    assert_eq!(status, 500);
    assert!(
        answer.contains("soap:Server") && answer.contains(">2100<"),
        "an OK although the store failed: {answer}"
    );
    let case = adastra.case(&Person::of(2), "F86001", NOW);
    assert_eq!(bench.post(case.path, &case.body).await.0, 503);
}

#[test]
fn public_messages_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/itk-cda-nhs111");
    if !folder.is_dir() {
        eprintln!("skipped: no ../shared/fixtures");
        return;
    }
    let mut pending = vec![folder];
    let mut read = 0;
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                let raw = std::fs::read(&path).unwrap();
                if !raw.windows(20).any(|window| window == b"DistributionEnvelope") {
                    continue;
                }
                // Templates of the public test suite stand for times, ids and addresses.
                match report::translate(&raw, None) {
                    Ok((event, _)) => {
                        assert!(event.items.iter().any(|item| item.kind == ItemKind::Document), "{path:?}");
                        read += 1;
                    }
                    Err(error) => eprintln!("{}: {}", path.display(), error.broken),
                }
            }
        }
    }
    eprintln!("public ITK messages read: {read}");
    assert!(3 <= read, "{read}");
}
