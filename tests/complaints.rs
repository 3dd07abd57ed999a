//! What users of other integration engines complain of: each test fails on an engine that does it.
//!
//! What concerns one connection alone is beside it (`src/systems/hl7/client/tests.rs`), what concerns the order within
//! a patient's lane in `src/flow/deliver/lanes/tests.rs`.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use polygate::{
    flow::{
        deliver::{
            Delivery, Options, Pace,
            routes::{NoRegistrations, Route, To, What},
        },
        operate::Operate,
    },
    sys::sim_disk::{Fault, FaultKind},
    systems::{
        hl7::{Address, Client, ClientOptions, Server, ServerOptions},
        secondary_care,
        simulator::receiver::{Deed, Receiver},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout},
};

use support::{hub::InnerHub, program::lasting_port};

const PATIENCE: Duration = Duration::from_secs(30);

fn message(name: &str, patient: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|PAS|RQ6|PG|5LC01|20260105||ADT^A31^ADT_A05|{name}|P|2.4\rEVN|A31|20260105\rPID|1||{patient}^^^RQ6^MR||Testcase\r"
    )
    .into_bytes()
}

/// A hub that takes HL7 v2 from a hospital, and may deliver it to a community system.
struct Hospital {
    hub: InnerHub,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Hospital {
    async fn start(message_bytes_max: usize) -> Self {
        let hub = InnerHub::start();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
        let options = ServerOptions {
            listen: address,
            message_bytes_max,
            connections_max: 8,
            idle: Duration::from_secs(600),
            write: PATIENCE,
        };
        let link = hub.link("pas");
        let large = Server::large_messages();
        let server = Server::new(Arc::clone(&hub.hub), link, secondary_care::DIALECT, options, large);
        let stop = watch::Sender::new(false);
        tokio::spawn(server.run(|stream: TcpStream| async { Ok(stream) }, stop.subscribe()));
        Self { hub, address, stop }
    }

    async fn connect(&self) -> TcpStream {
        let until = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(self.address).await {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Delivers what comes to a receiver, whose answers are waited for no longer than `answer`.
    fn deliver_to(&self, receiver: &SocketAddr, answer: Duration, pace: Pace) -> Arc<Delivery> {
        let address = receiver.to_string();
        let options = Options {
            name: "rio".to_owned(),
            kind: "RiO",
            address: address.clone(),
            ods: None,
            routes: vec![Route {
                from: Vec::new(),
                what: vec![What::Demographics],
                to: To::Named("rio".to_owned()),
            }],
            pace,
            registrations: Arc::new(NoRegistrations),
            make: Box::new(move || {
                let options = ClientOptions { answer, ..ClientOptions::new(&address, Address::default()) };
                Box::new(Client::new(options))
            }),
        };
        let delivery = Delivery::open(&self.hub.hub, Path::new("/state"), options).unwrap();
        tokio::spawn(Arc::clone(&delivery).run(self.stop.subscribe()));
        delivery
    }
}

async fn receiver() -> (Receiver, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = Receiver::default();
    tokio::spawn(receiver.clone().run(listener));
    (receiver, address)
}

async fn send(stream: &mut TcpStream, message: &[u8]) {
    let framed = [&[0x0b], message, &[0x1c, 0x0d]].concat();
    stream.write_all(&framed).await.unwrap();
}

/// The MSA segment of the next answer; none if none comes in this time.
async fn answer(stream: &mut TcpStream, patience: Duration) -> Option<String> {
    let mut bytes = Vec::new();
    let reading = async {
        while !bytes.ends_with(&[0x1c, 0x0d]) {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the connection was closed");
        }
    };
    timeout(patience, reading).await.ok()?;
    let text = String::from_utf8(bytes).unwrap();
    text.split('\r').find(|segment| segment.starts_with("MSA")).map(str::to_owned)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn filed(receiver: &Receiver) -> Vec<String> {
    receiver.filed().into_iter().map(|filed| filed.control_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_positive_ack_although_the_store_failed() {
    let hospital = Hospital::start(1 << 20).await;
    let mut stream = hospital.connect().await;
    for kind in [FaultKind::InputOutput, FaultKind::Full] {
        for at_call in 0..4 {
            hospital.hub.disk.inject(Some(Fault { at_call, kind, sticky: true }));
            let name = format!("{kind:?}{at_call}");
            send(&mut stream, &message(&name, "H1")).await;
            let msa = answer(&mut stream, PATIENCE).await.unwrap();
            hospital.hub.disk.inject(None);
            let kept = hospital.hub.entries().iter().any(|entry| entry.source_id == name);
            assert_eq!(msa.starts_with("MSA|AA|"), kept, "{msa}");
            if !kept {
                assert!(msa.starts_with(&format!("MSA|AE|{name}|")) && msa.contains("|207"), "{msa}");
            }
        }
    }
    hospital.hub.disk.inject(Some(Fault { at_call: 0, kind: FaultKind::InputOutput, sticky: true }));
    send(&mut stream, &message("LAST", "H1")).await;
    assert!(answer(&mut stream, PATIENCE).await.unwrap().starts_with("MSA|AE|LAST|"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_or_oversize_message_is_dropped_with_the_connection_and_without_a_word() {
    let hospital = Hospital::start(4096).await;
    let mut stream = hospital.connect().await;
    let mut oversize = message("BIG", "H1");
    oversize.extend(std::iter::repeat_n(b'x', 100_000));
    let cases: [(&[u8], &str); 5] = [
        (&oversize, "MSA|AR|BIG|"),
        (b"this is no HL7", "MSA|AR||"),
        (b"MSH|^~\\&|PAS|RQ6|||2026||ZZZ^Z99|ODD|P|2.4\rPID|1", "MSA|AR|ODD|"),
        (b"MSH|^~\\&|PAS|RQ6|||2026||ADT^A31|TEST|T|2.4\rPID|1", "MSA|AR|TEST|"),
        (b"MSH|^~\\&|PAS|RQ6|||2026||ADT^A31||P|2.4\rPID|1", "MSA|AR||"),
    ];
    for (bytes, expected) in cases {
        send(&mut stream, bytes).await;
        let msa = answer(&mut stream, PATIENCE).await.unwrap();
        assert!(msa.starts_with(expected), "{msa}");
    }
    send(&mut stream, &message("GOOD", "H1")).await;
    assert_eq!(answer(&mut stream, PATIENCE).await.unwrap(), "MSA|AA|GOOD", "on the same connection");
    assert_eq!(hospital.hub.quarantined().len(), 5, "what was refused can be looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ack_waits_for_a_receive_timeout() {
    let hospital = Hospital::start(1 << 20).await;
    let mut stream = hospital.connect().await;
    let began = Instant::now();
    for number in 0..50 {
        let name = format!("M{number}");
        send(&mut stream, &message(&name, "H1")).await;
        assert_eq!(answer(&mut stream, PATIENCE).await.unwrap(), format!("MSA|AA|{name}"));
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    // A sender that forgets the last byte of the frame waits for its answer too.
    stream.write_all(&[&[0x0b], message("SHORT", "H1").as_slice(), &[0x1c]].concat()).await.unwrap();
    assert_eq!(answer(&mut stream, PATIENCE).await.unwrap(), "MSA|AA|SHORT");
    send(&mut stream, &message("NEXT", "H1")).await;
    assert_eq!(answer(&mut stream, PATIENCE).await.unwrap(), "MSA|AA|NEXT");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_timeout_with_queueing_sends_thousands_of_duplicates() {
    let hospital = Hospital::start(1 << 20).await;
    let (receiver, address) = receiver().await;
    // It files everything, and its answers are lost.
    receiver.shall_otherwise(Deed::AcceptSilently);
    let delivery = hospital.deliver_to(&address, Duration::from_millis(50), Pace::default());
    let mut stream = hospital.connect().await;
    for number in 0..40 {
        send(&mut stream, &message(&format!("M{number}"), &format!("H{number}"))).await;
        answer(&mut stream, PATIENCE).await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    let sent = receiver.received().len();
    assert!((1..=12).contains(&sent), "{sent} messages in five seconds to one that answers nothing");
    receiver.shall_otherwise(Deed::Accept);
    until("all are there", || delivery.status().accepted == 40).await;
    let mut names = filed(&receiver);
    names.sort();
    names.dedup();
    assert_eq!((names.len(), receiver.filed().len()), (40, 40), "each takes effect once");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_nack_the_next_message_overtakes() {
    let hospital = Hospital::start(1 << 20).await;
    let (receiver, address) = receiver().await;
    receiver.shall([Deed::Error(206), Deed::Accept, Deed::Reject(101)]);
    let delivery = hospital.deliver_to(&address, PATIENCE, Pace::default());
    let mut stream = hospital.connect().await;
    for (name, patient) in [("A1", "A"), ("A2", "A"), ("B1", "B"), ("A3", "A"), ("C1", "C"), ("C2", "C")] {
        send(&mut stream, &message(name, patient)).await;
        assert_eq!(answer(&mut stream, PATIENCE).await.unwrap(), format!("MSA|AA|{name}"));
    }
    until("one is parked and the others settled", || {
        let status = delivery.status();
        status.parked == 1 && status.queued == status.held
    })
    .await;
    let parked = hospital.hub.hub.parked().remove(0);
    assert!(parked.reason.starts_with("AR 101"), "{}", parked.reason);
    let patient: String = parked.source_id.chars().take(1).collect();
    let settled = filed(&receiver);
    let of = |names: &[String], patient: &str| -> Vec<String> {
        names.iter().filter(|name| name.starts_with(patient)).cloned().collect()
    };
    let later = of(&settled, &patient);
    assert!(later.iter().all(|name| *name < parked.source_id), "{later:?} overtook {}", parked.source_id);
    receiver.shall_otherwise(Deed::Accept);
    let hub = Arc::clone(&hospital.hub.hub);
    tokio::task::spawn_blocking(move || hub.parked_release(parked.number, "uid 7")).await.unwrap().unwrap();
    until("all are there", || receiver.filed().len() == 6).await;
    let all = filed(&receiver);
    assert_eq!(of(&all, "A"), ["A1", "A2", "A3"]);
    assert_eq!(of(&all, "B"), ["B1"]);
    assert_eq!(of(&all, "C"), ["C1", "C2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pace_for_everyone_throttles_senders() {
    let hospital = Hospital::start(1 << 20).await;
    let (receiver, address) = receiver().await;
    let slow = Pace { per_minute: 60, ..Pace::default() };
    let delivery = hospital.deliver_to(&address, PATIENCE, slow);
    let mut stream = hospital.connect().await;
    let began = Instant::now();
    for number in 0..100 {
        send(&mut stream, &message(&format!("M{number}"), &format!("H{number}"))).await;
        assert!(answer(&mut stream, PATIENCE).await.unwrap().starts_with("MSA|AA|"));
    }
    let taken_in = began.elapsed();
    until("the receiver has three", || 3 <= receiver.filed().len()).await;
    assert!(Duration::from_secs(2) <= began.elapsed(), "one a second is what the destination bears");
    assert!(taken_in < Duration::from_secs(20), "and no sender feels it: {taken_in:?}");
    assert!(90 <= delivery.status().queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn null_z_segments_and_odd_bytes_do_not_survive_the_hop() {
    let hospital = Hospital::start(1 << 20).await;
    let (receiver, address) = receiver().await;
    hospital.deliver_to(&address, PATIENCE, Pace::default());
    let mut stream = hospital.connect().await;
    let mut raw = message("M1", "H1");
    raw.extend_from_slice(
        b"PD1|||\"\"^^\"\"\rZU1|own|\"\"|M\xfcller \xff|\\Zx\\|\\X4142\\|\\H\\b\\N\\|\\\r\nZU9\n",
    );
    send(&mut stream, &raw).await;
    answer(&mut stream, PATIENCE).await.unwrap();
    until("it is there", || receiver.filed().len() == 1).await;
    assert_eq!(receiver.filed()[0].bytes, raw);
}
