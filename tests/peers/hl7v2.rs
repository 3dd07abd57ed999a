//! HL7 v2: python-hl7 and hl7apy as the systems that send to us and that we send to, and hl7apy's strict validation of
//! every message we make.

use std::{net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use polygate::{
    codec::hl7v2::{Acknowledgement, ErrorCode, ErrorLocation, Message, Nack},
    flow::hub::Hub,
    systems::{
        hl7::{Server, ServerOptions},
        secondary_care,
        simulator::traffic::{Traffic, Voice},
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, runtime::Runtime, sync::watch, task::JoinHandle};

use crate::support::{
    hub::{InnerHub, NOW},
    peers,
    program::lasting_port,
};

pub const HL7: &str = "hl7==0.4.5";
pub(crate) const HL7APY: &str = "hl7apy==1.3.5";
/// Every version that there is a strict validation for.
const VERSIONS: [&str; 8] = ["2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1"];

/// A hub with one listener for a hospital system.
struct Listening {
    hub: InnerHub,
    port: u16,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
    runtime: Runtime,
}

impl Listening {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let hub = InnerHub::start();
        let port = lasting_port();
        let (stop, stopped) = watch::channel(false);
        let served = runtime.spawn(serve(Arc::clone(&hub.hub), port, stopped));
        runtime.block_on(async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self { hub, port, stop, served, runtime }
    }

    fn end(self) -> InnerHub {
        self.stop.send_replace(true);
        self.runtime.block_on(self.served).unwrap();
        self.hub
    }
}

async fn serve(hub: Arc<Hub>, port: u16, stop: watch::Receiver<bool>) {
    let options = ServerOptions {
        listen: (Ipv4Addr::LOCALHOST, port).into(),
        message_bytes_max: 16 << 20,
        connections_max: 16,
        idle: Duration::from_secs(60),
        write: Duration::from_secs(60),
    };
    let link = hub.add_link("pas", "hospital", "");
    let server = Server::new(hub, link, secondary_care::DIALECT, options, Server::large_messages());
    server.run(|stream| async { Ok(stream) }, stop).await;
}

fn traffic(voice: Voice, count: usize) -> Vec<(String, String)> {
    let mut traffic = Traffic::new(voice, "P", 50, 7);
    let messages = std::iter::repeat_with(|| traffic.next(NOW)).take(count);
    messages.map(|message| (message.control_id, String::from_utf8(message.bytes).unwrap())).collect()
}

#[test]
fn python_hl7_sends_and_understands_every_answer() {
    let Some(python) = peers::python(&[HL7]) else { return };
    let listening = Listening::start();
    let mut messages = traffic(Voice::SecondaryCare, 200);
    // The same again, another under the same name, and a type that nobody takes.
    messages.push(messages[0].clone());
    messages.push((messages[1].0.clone(), messages[1].1.clone() + "NTE|1||More\r"));
    messages.push((
        "ODD".to_owned(),
        messages[2].1.replacen(&messages[2].0, "ODD", 1).replacen("ADT^", "ZZZ^", 1),
    ));
    let texts: Vec<&str> = messages.iter().map(|(_, text)| text.as_str()).collect();
    let port = listening.port.to_string();
    let answers = peers::ask(&python, "hl7_client.py", &[&port], &json!(texts));
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), messages.len());
    for (place, (answer, (control_id, text))) in answers.iter().zip(&messages).enumerate() {
        let expected = if place < 201 { "AA" } else { "AR" };
        assert_eq!(answer["code"], expected, "{text}: {answer}");
        assert_eq!((&answer["control_id"], &answer["type"]), (&json!(control_id), &json!("ACK")));
        assert_eq!(answer["errors"], u32::from(expected != "AA"));
        assert_eq!(answer["to"], text.split('|').nth(2).unwrap());
    }
    let hub = listening.end();
    assert_eq!((hub.entries().len(), hub.quarantined().len()), (200, 2));
}

#[test]
fn hl7apy_sends_what_it_has_built_and_understands_the_answers() {
    let Some(python) = peers::python(&[HL7APY]) else { return };
    let listening = Listening::start();
    let built = |structure: &str, kind: &str, id: &str, rest: Value| {
        let mut segments = vec![json!([
            "MSH",
            [
                [3, "PAS"],
                [4, "RQ6"],
                [5, "POLYGATE"],
                [6, "5LC01"],
                [7, "20260105101500"],
                [9, kind],
                [10, id],
                [11, "P"],
                [12, "2.4"]
            ]
        ])];
        segments.extend(rest.as_array().unwrap().iter().cloned());
        json!({ "structure": structure, "version": "2.4", "segments": segments })
    };
    let person = json!([
        "PID",
        [[1, "1"], [3, "9990000018^^^NHS^NH"], [5, "Testcase^Orla"], [7, "19700101"], [8, "F"]]
    ]);
    let event = json!(["EVN", [[2, "20260105101400"]]]);
    let visit = json!(["PV1", [[2, "I"], [3, "WARD7"], [19, "V1"]]]);
    let messages = json!([
        built("ADT_A01", "ADT^A01^ADT_A01", "APY-1", json!([event, person, visit])),
        built("ADT_A05", "ADT^A28^ADT_A05", "APY-2", json!([event, person, visit])),
        built("ADT_A01", "ADT^A01^ADT_A01", "APY-1", json!([event, person, visit])),
    ]);
    let port = listening.port.to_string();
    let answers = peers::ask(&python, "hl7apy_client.py", &[&port], &messages);
    let aa = |id: &str| json!({ "code": "AA", "control_id": id });
    assert_eq!(answers, json!([aa("APY-1"), aa("APY-2"), aa("APY-1")]));
    assert_eq!(listening.end().entries().len(), 2);
}

/// Fails with what hl7apy says of the messages that it does not take.
pub(crate) fn hold_strictly(python: &Path, messages: &[String]) {
    assert!(!messages.is_empty());
    let faults = peers::ask(python, "hl7_strict.py", &[], &json!(messages));
    let faults = faults.as_array().unwrap();
    assert_eq!(faults.len(), messages.len());
    let told: Vec<String> = faults
        .iter()
        .zip(messages)
        .filter(|(fault, _)| !fault.is_null())
        .map(|(fault, message)| format!("{fault}\n{}", message.replace('\r', "\n")))
        .collect();
    assert!(
        told.is_empty(),
        "{} of {}:\n{}",
        told.len(),
        messages.len(),
        told[..told.len().min(5)].join("\n")
    );
}

#[test]
fn every_acknowledgement_is_strictly_valid_in_every_version() {
    let Some(python) = peers::python(&[HL7APY]) else { return };
    let mut answers = Vec::new();
    for version in VERSIONS {
        let text = format!("MSH|^~\\&|PAS|RQ6|PG|5LC01|20260105||ADT^A01^ADT_A01|M1|P|{version}\rPID|1||H1");
        let message = Message::parse(text.as_bytes()).unwrap();
        for nack in std::iter::once(None).chain(nacks().into_iter().map(Some)) {
            let answer = Acknowledgement { nack }.encode(Some(&message), NOW, "A1");
            answers.push(String::from_utf8(answer).unwrap());
        }
    }
    hold_strictly(&python, &answers);
}

/// One refusal of each number of table 0357, for good and for now.
fn nacks() -> Vec<Nack> {
    let codes = [
        ErrorCode::SegmentSequence,
        ErrorCode::RequiredFieldMissing,
        ErrorCode::DataType,
        ErrorCode::TableValueNotFound,
        ErrorCode::UnsupportedMessageType,
        ErrorCode::UnsupportedEventCode,
        ErrorCode::UnsupportedProcessingId,
        ErrorCode::UnsupportedVersion,
        ErrorCode::UnknownKey,
        ErrorCode::DuplicateKey,
        ErrorCode::RecordLocked,
        ErrorCode::InternalError,
    ];
    let places = [ErrorLocation::new("MSH", 1, 0), ErrorLocation::new("PID", 1, 3)];
    let each = codes.into_iter().flat_map(|code| places.map(|place| Nack::new(code, place)));
    each.flat_map(|nack| [nack, nack.temporary().saying("No room at present: try again later")]).collect()
}

#[test]
fn everything_the_simulators_say_is_strictly_valid() {
    let Some(python) = peers::python(&[HL7APY]) else { return };
    let mut messages = traffic(Voice::SecondaryCare, 300);
    messages.extend(traffic(Voice::Rio, 300));
    let texts: Vec<String> = messages.into_iter().map(|(_, text)| text).collect();
    hold_strictly(&python, &texts);
}
