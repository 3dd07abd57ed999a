//! HL7 v2 that we send: python-hl7 and hl7apy as the systems that receive it.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use polygate::{
    codec::hl7v2::Message,
    domain::{entry::Entry, time::ClockQuality},
    flow::deliver::{Answer, Destination, Parcel, Position},
    systems::{
        hl7::{Address, Client, ClientOptions, translate},
        secondary_care,
        simulator::traffic::{Traffic, Voice},
    },
};

use crate::{
    hl7v2::{HL7, HL7APY},
    support::{
        Directory,
        hub::NOW,
        peers,
        program::{Program, lasting_port},
    },
};

/// A server of `tests/peers`, and the file to which it writes what it has received.
struct Peer {
    port: u16,
    directory: Directory,
    _program: Program,
}

impl Peer {
    fn start(requirement: &str, script: &str) -> Option<Self> {
        let python = peers::python(&[requirement])?;
        let (port, directory) = (lasting_port(), Directory::new());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        let received = directory.path().join("received");
        fs::write(&received, "").unwrap();
        let arguments =
            ["-B", &script.display().to_string(), &port.to_string(), &received.display().to_string()];
        let program = Program::start(&python, &arguments, &directory.path().join("log"));
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { port, directory, _program: program })
    }

    fn received(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("received")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn client(&self) -> Client {
        Client::new(ClientOptions::new(&format!("127.0.0.1:{}", self.port), Address::default()))
    }
}

/// A message as a hub would pass it on.
fn parcel(raw: &str) -> Parcel {
    let event = translate(&Message::parse(raw.as_bytes()).unwrap(), &secondary_care::DIALECT).unwrap();
    let entry = Entry {
        kind: event.kind.clone(),
        system: "pas".to_owned(),
        source_id: event.source_id.clone(),
        patient: event.nhs_number.ok(),
        at: NOW,
        clock: ClockQuality::Synchronised,
        body: Bytes::new(),
        raw: Some(Bytes::copy_from_slice(raw.as_bytes())),
    };
    let attempt_id = format!("{:0>32}", event.source_id.to_lowercase().replace('-', ""));
    Parcel { entry: Arc::new(entry), event: Arc::new(event), attempt_id, position: Position::default() }
}

fn messages(count: usize) -> Vec<(String, String)> {
    let mut traffic = Traffic::new(Voice::SecondaryCare, "S", 40, 11);
    let made = std::iter::repeat_with(|| traffic.next(NOW)).take(count);
    made.map(|message| (message.control_id, String::from_utf8(message.bytes).unwrap())).collect()
}

#[tokio::test]
async fn python_hl7_takes_what_we_send_and_its_refusals_are_understood() {
    let Some(peer) = Peer::start(HL7, "hl7_server.py") else { return };
    let mut client = peer.client();
    let mut expected = Vec::new();
    for (control_id, text) in messages(100) {
        assert_eq!(client.send(&parcel(&text)).await, Answer::Accepted, "{text}");
        expected.push(control_id);
    }
    let (control_id, text) = &messages(1)[0];
    let named = |name: &str| text.replacen(&format!("|{control_id}|"), &format!("|{name}|"), 1);
    let error = client.send(&parcel(&named("ODD-E"))).await;
    assert!(matches!(error, Answer::Again(_)), "AE: again later: {error:?}");
    let reject = client.send(&parcel(&named("ODD-R"))).await;
    assert!(matches!(reject, Answer::Stop(_)), "AR: never: {reject:?}");
    assert_eq!(client.send(&parcel(&named("AFTER"))).await, Answer::Accepted);
    expected.extend(["ODD-E", "ODD-R", "AFTER"].map(str::to_owned));
    assert_eq!(peer.received(), expected, "each once, in order");
}

#[tokio::test]
async fn hl7apy_takes_what_we_send_though_it_hangs_up_after_each() {
    let Some(peer) = Peer::start(HL7APY, "hl7apy_server.py") else { return };
    let mut client = peer.client();
    let mut expected = Vec::new();
    for (control_id, text) in messages(40) {
        assert_eq!(client.send(&parcel(&text)).await, Answer::Accepted, "{text}");
        expected.push(format!("{control_id} AA"));
    }
    assert_eq!(peer.received(), expected, "each once, in order, and strictly valid");
}
