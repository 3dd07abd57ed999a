//! The client before a receiver that answers late, wrongly, or not at all. What users of other engines complain of is
//! named here: each test fails on an engine that does it.

use std::sync::Arc;

use tokio::{net::TcpListener, task::JoinHandle};

use super::*;
use crate::{
    codec::cbor,
    domain::{
        entry::{Entry, Summary},
        time::{ClockQuality, Timestamp},
    },
    flow::deliver::Position,
    systems::{
        simulator::receiver::{Deed, Receiver},
        translate_entry,
    },
};

struct Bench {
    receiver: Receiver,
    client: Client,
    task: JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bench {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let receiver = Receiver::default();
        let task = tokio::spawn(receiver.clone().run(listener));
        let options = ClientOptions {
            answer: Duration::from_millis(400),
            ..ClientOptions::new(&address, Address::default())
        };
        Self { receiver, client: Client::new(options), task }
    }

    async fn send(&mut self, name: &str) -> Answer {
        self.client.send(&parcel(&message(name))).await
    }

    fn filed(&self) -> Vec<String> {
        self.receiver.filed().into_iter().map(|filed| filed.control_id).collect()
    }
}

fn message(name: &str) -> Vec<u8> {
    format!("MSH|^~\\&|PAS|RQ6|PG|5LC01|20260105||ADT^A31^ADT_A05|{name}|P|2.4\rEVN|A31|20260105\rPID|1||H1^^^RQ6^MR||SMITH\r")
        .into_bytes()
}

fn parcel(raw: &[u8]) -> Parcel {
    let summary = Summary { format: super::super::FORMAT.to_owned(), ..Summary::default() };
    let entry = Entry {
        kind: "ADT^A31".to_owned(),
        system: "pas".to_owned(),
        source_id: "1".to_owned(),
        patient: None,
        at: Timestamp(1_800_000_000_000),
        clock: ClockQuality::Synchronised,
        body: cbor::encode(&summary).unwrap().into(),
        raw: Some(Bytes::copy_from_slice(raw)),
    };
    let event = translate_entry(&entry).unwrap();
    Parcel {
        entry: Arc::new(entry),
        event: Arc::new(event),
        attempt_id: "00112233445566778899aabbccddeeff".to_owned(),
        position: Position::default(),
    }
}

fn again(answer: &Answer) -> &str {
    match answer {
        Answer::Again(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn many_messages_go_over_one_connection_as_they_came() {
    let mut bench = Bench::new().await;
    for name in ["M1", "M2", "M3"] {
        assert_eq!(bench.send(name).await, Answer::Accepted);
    }
    assert_eq!(bench.receiver.connections(), 1);
    let bytes: Vec<Vec<u8>> = bench.receiver.filed().into_iter().map(|filed| filed.bytes).collect();
    assert_eq!(bytes, ["M1", "M2", "M3"].map(message));
}

#[tokio::test]
async fn complaint_a_late_ack_for_one_message_is_taken_as_the_ack_for_the_next() {
    let mut bench = Bench::new().await;
    bench.receiver.shall([Deed::AcceptLate(Duration::from_millis(600)), Deed::Silence]);
    assert_eq!(again(&bench.send("M1").await), "no answer in time");
    // M1's acknowledgement comes while M2 waits for its own, which never comes.
    assert_eq!(again(&bench.send("M2").await), "no answer in time");
    assert_eq!(bench.filed(), ["M1"]);
    assert_eq!(bench.receiver.connections(), 2, "the first connection is of no more use");
    assert_eq!(bench.send("M2").await, Answer::Accepted);
    assert_eq!(bench.filed(), ["M1", "M2"]);
}

#[tokio::test]
async fn complaint_any_aa_is_accepted_without_looking_at_msa_2() {
    let mut bench = Bench::new().await;
    bench.receiver.shall([Deed::Mismatch, Deed::WithoutId]);
    for _ in 0..2 {
        let answer = bench.send("M1").await;
        assert_eq!(again(&answer), "no answer in time, but one that names another message");
    }
    assert_eq!(bench.filed(), [""; 0]);
    assert_eq!(bench.send("M1").await, Answer::Accepted);
}

#[tokio::test]
async fn noise_before_the_right_answer_does_not_matter() {
    let mut bench = Bench::new().await;
    bench.receiver.shall([Deed::AcceptAfterNoise]);
    assert_eq!(bench.send("M1").await, Answer::Accepted);
    assert_eq!(bench.send("M2").await, Answer::Accepted);
}

#[tokio::test]
async fn complaint_a_receiver_that_takes_one_message_for_each_connection_gets_only_one() {
    let mut bench = Bench::new().await;
    bench.receiver.shall_otherwise(Deed::AcceptAndClose);
    for name in ["M1", "M2", "M3", "M4"] {
        assert_eq!(bench.send(name).await, Answer::Accepted);
    }
    assert_eq!(bench.filed(), ["M1", "M2", "M3", "M4"]);
    assert_eq!(bench.receiver.received().len(), 4, "and none twice");
}

#[tokio::test]
async fn complaint_the_ack_is_held_back_until_a_timeout() {
    let mut bench = Bench::new().await;
    bench.client.options.answer = Duration::from_secs(600);
    let began = Instant::now();
    for number in 0..20 {
        assert_eq!(bench.send(&format!("M{number}")).await, Answer::Accepted);
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_the_receiver_says_decides_between_again_and_never() {
    let mut bench = Bench::new().await;
    bench.receiver.shall([Deed::Error(206), Deed::Reject(101), Deed::Error(101), Deed::Close, Deed::Silence]);
    assert_eq!(again(&bench.send("M1").await), "AE 206 Application record locked");
    assert_eq!(bench.send("M1").await, Answer::Stop("AR 101 Required field missing".to_owned()));
    assert_eq!(bench.send("M1").await, Answer::Stop("AE 101 Required field missing".to_owned()));
    // Closed over an open connection: another is worth one attempt at once, and says nothing.
    assert_eq!(again(&bench.send("M1").await), "no answer in time");
    assert_eq!(bench.filed(), [""; 0]);
    assert_eq!(bench.send("M1").await, Answer::Accepted);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_takes_effect_once() {
    let mut bench = Bench::new().await;
    bench.receiver.shall([Deed::AcceptSilently]);
    assert_eq!(again(&bench.send("M1").await), "no answer in time");
    assert_eq!(bench.send("M1").await, Answer::Accepted);
    assert_eq!((bench.filed().len(), bench.receiver.received().len()), (1, 2));
}

#[tokio::test]
async fn a_send_that_is_given_up_takes_its_connection_with_it() {
    let mut bench = Bench::new().await;
    bench.receiver.shall([Deed::AcceptLate(Duration::from_millis(200))]);
    let parcel = parcel(&message("M1"));
    let given_up = timeout(Duration::from_millis(50), bench.client.send(&parcel)).await;
    assert!(given_up.is_err() && bench.client.connection.is_none());
    assert_eq!(bench.send("M2").await, Answer::Accepted);
}

#[tokio::test]
async fn nobody_there_is_again_and_a_message_that_cannot_be_named_is_never() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut client = Client::new(ClientOptions::new(&address, Address::default()));
    assert!(again(&client.send(&parcel(&message("M1"))).await).starts_with("no connection: "));
    let mut unnamed = parcel(&message("M1"));
    let entry = Entry::clone(&unnamed.entry);
    unnamed.entry = Arc::new(Entry { raw: Some(message("").into()), ..entry });
    assert!(matches!(client.send(&unnamed).await, Answer::Stop(_)));
}

#[tokio::test]
async fn large_messages_and_any_bytes_arrive_as_they_came() {
    let mut bench = Bench::new().await;
    let mut raw = message("M1");
    raw.extend_from_slice(b"ZU1|own|\"\"|M\xfcller|\\Zx\\|\\X4142\\|\\H\\b\\N\\|\x1c|\n\r\n");
    raw.extend_from_slice(b"OBX|1|ED|PDF||^application^pdf^Base64^");
    raw.extend(std::iter::repeat_n(b'A', 3 << 20));
    bench.client.options.answer = Duration::from_secs(30);
    assert_eq!(bench.client.send(&parcel(&raw)).await, Answer::Accepted);
    assert_eq!(bench.receiver.filed()[0].bytes, raw);
}

#[cfg(feature = "centre")]
#[tokio::test]
async fn a_system_that_speaks_tls_is_spoken_to_so_and_an_impostor_is_not() {
    use std::sync::Mutex;

    use crate::{
        centre::pki::{self, Issue},
        sys::{
            clock::{Clock as _, SystemClock},
            tls::{OldestProtocol, ServerFiles, ServerTls, SpineFiles},
        },
    };
    let folder = std::env::temp_dir().join(format!("polygate-mllps-{}", std::process::id()));
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
    for directory in [&ours, &theirs] {
        pki::init(directory, SystemClock.now()).unwrap();
        let issue = Issue::new(SystemClock.now());
        pki::issue_broker(directory, &["localhost".to_owned()], false, issue).unwrap();
    }
    let serve = |directory: &std::path::Path| {
        let files = ServerFiles {
            certificate: directory.join("broker.pem"),
            key: directory.join("broker.key"),
            client_ca: None,
            revocation_list: None,
        };
        ServerTls::load(&files, OldestProtocol::Tls12, Arc::new(SystemClock)).unwrap()
    };
    let served = Arc::new(Mutex::new(serve(&ours)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = plain.local_addr().unwrap();
    let receiver = Receiver::default();
    tokio::spawn(receiver.clone().run(plain));
    let tls_now = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls_now.lock().unwrap().clone();
            tokio::spawn(async move {
                let Ok(mut secure) = tls.accept(stream).await else { return };
                let mut behind = TcpStream::connect(behind).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut secure, &mut behind).await);
            });
        }
    });
    let files = SpineFiles { ca: Some(ours.join("ca.pem")), ..SpineFiles::default() };
    let tls = Some(ClientTls::load_for_spine(&files, Arc::new(SystemClock)).unwrap());
    let options = ClientOptions::new(&format!("localhost:{port}"), Address::default());
    let mut client = Client::new(ClientOptions { tls, ..options });
    assert_eq!(client.send(&parcel(&message("M1"))).await, Answer::Accepted);
    *served.lock().unwrap() = serve(&theirs);
    client.connection = None;
    let answer = client.send(&parcel(&message("M2"))).await;
    assert!(again(&answer).starts_with("no connection: "), "{answer:?}");
    assert_eq!(receiver.filed().len(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}
