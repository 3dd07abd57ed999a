//! MESH: NHS England's own sandbox, with our client at its mailboxes.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use polygate::{
    codec::edifact::{Interchange, Segments, nhsack},
    flow::deliver::{Answer, Destination, Parcel, Position},
    sys::{
        clock::{Clock, SystemClock},
        disk::RealDisk,
        http::{HttpClient, HttpLimits, HttpUrl},
        sim_disk::SimulatedDisk,
    },
    systems::{
        mesh::{
            Credentials, Fate, Ledger, Mailbox, MailboxOptions, MeshClient, MeshError, Outgoing,
            PracticeDelivery, PracticeOptions,
        },
        simulator::{
            mesh::{laboratory::Laboratory, practice::SimulatedPractice},
            people::Person,
        },
        translate_entry,
    },
};

use crate::support::{
    Directory,
    hub::InnerHub,
    peers,
    program::{Program, lasting_port},
};

const REQUIREMENT: &str = "mesh-sandbox==1.0.137";

/// A sandbox that checks who asks, with its mailboxes X26ABC1 to X26ABC3.
struct Sandbox {
    port: u16,
    _program: Program,
    _directory: Directory,
}

impl Sandbox {
    fn start() -> Option<Self> {
        let python = peers::python(&[REQUIREMENT])?;
        let port = lasting_port();
        let directory = Directory::new();
        let arguments = [
            "ENV=local",
            "AUTH_MODE=full",
            "SHARED_KEY=TestKey",
            "STORE_MODE=memory",
            &python.display().to_string(),
            "-B",
            "-m",
            "uvicorn",
            "mesh_sandbox.api:app",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ];
        let program =
            Program::start(Path::new("/usr/bin/env"), &arguments, &directory.path().join("sandbox.log"));
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { port, _program: program, _directory: directory })
    }

    fn client(&self, mailbox: &str, password: &str) -> MeshClient {
        let url = HttpUrl::parse(&format!("http://127.0.0.1:{}/messageexchange", self.port)).unwrap();
        let http = HttpClient::new(url, None, HttpLimits::default());
        let credentials = Credentials {
            mailbox: mailbox.to_owned(),
            password: password.to_owned(),
            shared_key: "TestKey".to_owned(),
        };
        MeshClient::new(http, credentials, Arc::new(SystemClock))
    }
}

fn report<'a>(local_id: &'a str, body: &[u8]) -> Outgoing<'a> {
    Outgoing {
        to: "X26ABC2",
        workflow: "PATH_MEDRPT_V3",
        local_id,
        content_type: "application/edifact",
        body: Bytes::copy_from_slice(body),
    }
}

#[tokio::test]
async fn the_sandbox_takes_keeps_and_hands_out_what_we_send() {
    let Some(sandbox) = Sandbox::start() else { return };
    let (sender, recipient) = (sandbox.client("X26ABC1", "password"), sandbox.client("X26ABC2", "password"));
    sender.handshake().await.unwrap();
    recipient.handshake().await.unwrap();
    assert!(recipient.inbox().await.unwrap().is_empty());

    let body: Vec<u8> = (0..=255_u8).cycle().take(100_000).collect();
    let first = sender.send(report("attempt-1", &body)).await.unwrap();
    let second = sender.send(report("attempt-2", b"UNB+UNOC:3'")).await.unwrap();
    assert_eq!(recipient.inbox().await.unwrap(), [first.clone(), second.clone()], "oldest first");
    let tracked = sender.track("attempt-1").await.unwrap().unwrap();
    assert_eq!(tracked.message_id, first);
    assert_eq!(sender.track("never-sent").await.unwrap(), None);

    let got = recipient.get(&first).await.unwrap().unwrap();
    assert_eq!((got.id.as_str(), got.from.as_str()), (first.as_str(), "X26ABC1"));
    assert_eq!((got.workflow.as_str(), got.local_id.as_str()), ("PATH_MEDRPT_V3", "attempt-1"));
    assert!(got.report.is_none() && got.body == body, "the bytes that were sent");
    assert_eq!(recipient.inbox().await.unwrap().len(), 2, "reading takes nothing away");

    recipient.acknowledge(&first).await.unwrap();
    recipient.acknowledge(&first).await.unwrap();
    assert_eq!(recipient.inbox().await.unwrap(), std::slice::from_ref(&second));
    assert!(recipient.get("20260101000000000000_000000").await.unwrap().is_none(), "no such message");
    let tracked = sender.track("attempt-1").await.unwrap().unwrap();
    assert!(tracked.status.eq_ignore_ascii_case("acknowledged"), "{tracked:?}");
}

#[tokio::test]
async fn who_is_not_known_is_refused_and_may_ask_again() {
    let Some(sandbox) = Sandbox::start() else { return };
    for (mailbox, password) in [("X26ABC1", "wrong"), ("NOBODY", "password")] {
        let refused = sandbox.client(mailbox, password).inbox().await.unwrap_err();
        assert!(matches!(refused, MeshError::Refused { .. }), "{refused}");
        assert!(!refused.is_permanent(), "a password may be put right: {refused}");
        assert!(!refused.may_have_arrived());
    }
    // A recipient that does not exist: this message will never get there.
    let sender = sandbox.client("X26ABC1", "password");
    let lost = sender.send(Outgoing { to: "NOBODY", ..report("lost", b"x") }).await.unwrap_err();
    assert!(lost.is_permanent(), "{lost}");
}

#[tokio::test]
async fn an_inbox_of_many_pages_is_read_whole() {
    let Some(sandbox) = Sandbox::start() else { return };
    let (sender, recipient) = (sandbox.client("X26ABC1", "password"), sandbox.client("X26ABC2", "password"));
    let mut sent = Vec::new();
    // The sandbox gives 500 a page.
    for number in 0..510 {
        sent.push(sender.send(report(&format!("m{number}"), b"x")).await.unwrap());
    }
    assert_eq!(recipient.inbox().await.unwrap(), sent);
}

#[tokio::test]
async fn the_sandboxs_own_report_says_what_was_not_delivered() {
    let Some(sandbox) = Sandbox::start() else { return };
    let sender = sandbox.client("X26ABC1", "password");
    let lost = sender.send(report("attempt-1", b"x")).await.unwrap();
    let told = serde_json::json!({
        "mailbox_id": "X26ABC1", "code": "14", "description": "Message not collected by recipient after 5 days",
        "workflow_id": "PATH_MEDRPT_V3", "local_id": "attempt-1", "linked_message_id": lost,
    });
    let url = HttpUrl::parse(&format!("http://127.0.0.1:{}", sandbox.port)).unwrap();
    let request = axum::http::Request::post("/messageexchange/admin/report")
        .header("Content-Type", "application/json")
        .body(Bytes::from(told.to_string()))
        .unwrap();
    let answer = HttpClient::new(url, None, HttpLimits::default()).send(request).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let [id] = sender.inbox().await.unwrap().try_into().unwrap();
    let found = sender.get(&id).await.unwrap().unwrap();
    let said = found.report.unwrap();
    assert_eq!((said.code.as_str(), said.linked_id.as_str()), ("14", lost.as_str()));
    assert!(said.description.contains("not collected") && found.body.is_empty(), "{said:?}");
    assert_eq!(found.local_id, "attempt-1");
}

#[tokio::test]
async fn a_report_goes_from_laboratory_to_practice_and_both_answers_come_back() {
    let Some(sandbox) = Sandbox::start() else { return };
    let hub = InnerHub::start();
    let disk = SimulatedDisk::default();
    let ledger = Ledger::open(Arc::new(disk), Path::new("/mesh.json").to_owned()).unwrap();
    let client = sandbox.client("X26ABC1", "password");
    let link = hub.link("mesh");
    let mailbox = Mailbox::new(Arc::clone(&hub.hub), link, client, ledger, MailboxOptions::default());
    let laboratory = sandbox.client("X26ABC3", "password");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let practice = SimulatedPractice::new(sandbox.client("X26ABC2", "password"), clock, Duration::ZERO);

    let body = Laboratory::new("800000000000001", "800000000000002", 3).report(
        &Person::of(5),
        "E87001",
        SystemClock.now(),
    );
    laboratory.send(Outgoing { to: "X26ABC1", body, ..report("lab-1", b"") }).await.unwrap();
    mailbox.look().await.unwrap();
    let entry = hub.entries().remove(0);
    let answer = laboratory.inbox().await.unwrap().remove(0);
    let answer = laboratory.get(&answer).await.unwrap().unwrap();
    assert_eq!(answer.workflow, "PATH_MEDRPT_V3_ACK");
    let segments = Segments::of(&answer.body).unwrap();
    let acks = nhsack::read_all(&Interchange::of(&segments).unwrap());
    assert_eq!((acks.len(), acks[0].verdict.code()), (1, "IAF"));

    let event = Arc::new(translate_entry(&entry).unwrap());
    let attempt_id = "0123456789abcdef0123456789abcdef".to_owned();
    let parcel = Parcel {
        entry: Arc::new(entry),
        event,
        attempt_id: attempt_id.clone(),
        position: Position::default(),
    };
    let options = PracticeOptions::new("X26ABC2", "E87001", "X26ABC1", ("5LC01", "Soho"));
    let mut delivery = PracticeDelivery::new(Arc::clone(&mailbox), options);
    assert_eq!(delivery.send(&parcel).await, Answer::Accepted);
    practice.collect().await.unwrap();
    mailbox.look().await.unwrap();
    assert_eq!(mailbox.ledger().sent(&attempt_id).unwrap().fate, Fate::Accepted);
    let filed = practice.filed().remove(0);
    assert_eq!((filed.kind, filed.nhs_number.as_str()), ("pathology", Person::of(5).nhs_number.as_str()));
}

/// One report in an interchange, which asks for an acknowledgement.
fn interchange(reference: &str) -> Vec<u8> {
    let path = "tests/conformance/edifact/full-acceptance/input.edi";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    assert!(text.contains("+301+") && text.contains("UNZ+1+301'"));
    text.replace("+301+", &format!("+{reference}+"))
        .replace("UNZ+1+301'", &format!("UNZ+1+{reference}'"))
        .into_bytes()
}

/// A report is taken, made durable, and answered; what is on a foreign workflow, and what is longer than anything a hub
/// keeps, hold up nobody behind them.
#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_full_of_odd_things_is_read_to_its_end() {
    let Some(sandbox) = Sandbox::start() else { return };
    let (laboratory, directory) = (sandbox.client("X26ABC1", "password"), Directory::new());
    let hub = InnerHub::start();
    let ledger = Ledger::open(Arc::new(RealDisk), directory.path().join("ledger")).unwrap();
    let ours = sandbox.client("X26ABC2", "password");
    let mailbox =
        Mailbox::new(Arc::clone(&hub.hub), hub.link("mesh"), ours, ledger, MailboxOptions::default());

    let huge = vec![b'x'; 30 << 20];
    laboratory.send(report("huge", &huge)).await.unwrap();
    laboratory.send(Outgoing { workflow: "SOMETHING_ELSE", ..report("foreign", b"hello") }).await.unwrap();
    laboratory.send(report("first", &interchange("301"))).await.unwrap();
    laboratory.send(report("nonsense", b"this is no EDIFACT")).await.unwrap();
    laboratory.send(report("second", &interchange("302"))).await.unwrap();
    laboratory.send(report("first again", &interchange("301"))).await.unwrap();
    mailbox.look().await.unwrap();

    let kept: Vec<String> = hub.entries().into_iter().map(|entry| entry.source_id).collect();
    assert_eq!(kept, ["301/1@2601051015", "302/1@2601051015"], "each report once, in order");
    assert!(hub.quarantined().iter().any(|found| found.kind.contains("PATH") || !found.reason.is_empty()));
    let tracked = async |name: &str| laboratory.track(name).await.unwrap().unwrap().status.to_lowercase();
    for name in ["first", "second", "first again", "foreign", "nonsense"] {
        assert_eq!(tracked(name).await, "acknowledged", "{name}");
    }
    assert_eq!(tracked("huge").await, "accepted", "it stays, expires, and its sender hears of it");

    let answers = laboratory.inbox().await.unwrap();
    let mut verdicts = Vec::new();
    for id in &answers {
        let answer = laboratory.get(id).await.unwrap().unwrap();
        assert_eq!((answer.from.as_str(), answer.workflow.as_str()), ("X26ABC2", "PATH_MEDRPT_V3_ACK"));
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        verdicts.push((text.contains("SIR:301+"), text.contains("SIR:302+"), text.contains("+IAF'")));
    }
    assert_eq!(verdicts, [(true, false, true), (false, true, true), (true, false, true)]);
}
