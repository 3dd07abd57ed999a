//! A worker of the centre between a broker made of channels and a real store: what it says, and when.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use polygate::{
    centre::{
        store::{Filter, Store, embedded::Embedded, postgres::Postgres},
        worker::{Metrics, Worker},
    },
    codec::cbor,
    domain::{
        entry::{Batch, BatchEntry, Health, Receipt, WIRE_VERSION},
        ids::{Class, Epoch, Sequence},
        time::{ClockQuality, Timestamp},
    },
    sync::{
        batch::{self, PLAIN},
        uplink::{Command, Delivery, Event, Inbound, Limits, Publication, Session, Uplink, UplinkError},
    },
    sys::{clock::SystemClock, disk::RealDisk, entropy::Entropy},
};
use support::{Directory, hub, postgres::Postgres as PostgresServer};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

const TOPIC: &str = "polygate/1/north/up/clinical";
/// Far longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The broker's end of one session.
struct Connection {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    deliveries: u64,
}

/// Gives the worker the sessions that the test makes.
struct SimulatedUplink(mpsc::Receiver<Session>);

impl Uplink for SimulatedUplink {
    fn connect(&mut self) -> Pin<Box<dyn Future<Output = Result<Session, UplinkError>> + Send + '_>> {
        Box::pin(async { self.0.recv().await.ok_or(UplinkError::Requested) })
    }
}

/// A worker at work, and everything around it.
struct Bench {
    sessions: mpsc::Sender<Session>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
}

impl Bench {
    fn new(store: Store) -> Self {
        let (sessions, uplink) = mpsc::channel(1);
        let (store, metrics, stop) = (Arc::new(store), Arc::<Metrics>::default(), watch::Sender::new(false));
        let worker = Worker {
            uplink: Box::new(SimulatedUplink(uplink)),
            store: Arc::clone(&store),
            clock: Arc::new(SystemClock),
            entropy: Entropy::from_system(),
            metrics: Arc::clone(&metrics),
        };
        let worker = tokio::spawn(worker.run(stop.subscribe()));
        Self { sessions, store, metrics, stop, worker }
    }

    fn embedded(directory: &Directory) -> Self {
        let clock = Arc::new(SystemClock);
        Self::new(Store::Embedded(Embedded::open(Arc::new(RealDisk), directory.path(), clock).unwrap()))
    }

    /// The worker connects, at once or again.
    async fn connection(&self) -> Connection {
        let (command_sender, commands) = mpsc::channel(4);
        let (events, event_receiver) = mpsc::channel(4);
        let limits = Limits { packet_bytes_max: 1 << 20, in_flight_max: 4 };
        let session = Session { limits, commands: command_sender, events: event_receiver };
        self.sessions.send(session).await.unwrap();
        Connection { commands, events, deliveries: 0 }
    }

    async fn stored(&self) -> Vec<Sequence> {
        let (mut found, all) = (Vec::new(), Filter::default());
        let taken = self.store.entries(&all, |entry| {
            found.push(entry.seq);
            true
        });
        taken.await.unwrap();
        found
    }

    /// Waits until a counter has reached a value.
    async fn counted(&self, counter: impl Fn(&Metrics) -> u64, value: u64) {
        let counted = async {
            while counter(&self.metrics) < value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, counted).await.unwrap();
    }

    async fn end(self, broker: Connection) {
        drop(broker);
        self.stop.send_replace(true);
        timeout(PATIENCE, self.worker).await.unwrap().unwrap();
        self.store.close().await;
    }
}

impl Connection {
    async fn deliver(&mut self, inbound: Inbound) -> Delivery {
        self.deliveries += 1;
        let delivery = Delivery(self.deliveries);
        self.events.send(Event::Received(delivery, inbound)).await.unwrap();
        delivery
    }

    async fn next(&mut self) -> Command {
        timeout(PATIENCE, self.commands.recv()).await.unwrap().unwrap()
    }

    async fn receipt(&mut self) -> Receipt {
        let Command::Publish(_, publication) = self.next().await else { panic!("no receipt") };
        let Publication { topic, payload, content_type, retain, .. } = publication;
        assert_eq!(
            (topic.as_str(), content_type, retain),
            ("polygate/1/north/receipt/clinical", Some(PLAIN), true)
        );
        cbor::decode(&payload, 1 << 20).unwrap()
    }

    async fn acknowledged(&mut self, expected: Delivery) {
        let Command::Acknowledge(delivery) = self.next().await else { panic!("no acknowledgement") };
        assert_eq!(delivery, expected);
    }
}

fn inbound(topic: &str, payload: Vec<u8>) -> Inbound {
    Inbound {
        topic: topic.to_owned(),
        payload: Bytes::from(payload),
        content_type: Some(PLAIN.to_owned()),
        user_properties: vec![],
        retained: false,
    }
}

fn sent(first: Sequence, last: Sequence) -> Inbound {
    sent_with(first, last, "ADT^A01")
}

fn sent_with(first: Sequence, last: Sequence, kind: &str) -> Inbound {
    let entry = |seq| BatchEntry {
        seq,
        id: format!("{seq:032x}"),
        kind: kind.to_owned(),
        system: "rio".to_owned(),
        source_id: format!("M{seq}"),
        patient: Some("9990000026".to_owned()),
        at: Timestamp(1_800_000_000_000),
        clock: ClockQuality::Synchronised,
        body: Bytes::from_static(&[0xa0]),
        raw: Some(Bytes::from_static(b"MSH|")),
    };
    let batch = Batch {
        v: WIRE_VERSION,
        hub: hub("north"),
        class: Class::Clinical,
        epoch: Epoch(7),
        first,
        entries: (first..=last).map(entry).collect(),
        absent: vec![],
    };
    let (content_type, payload) = batch::encode(&batch).unwrap();
    let content_type = Some(content_type.to_owned());
    Inbound { content_type, ..inbound(TOPIC, payload.to_vec()) }
}

fn unreadable(first: Sequence, last: Sequence) -> Inbound {
    let property = |name: &str, value: u64| (name.to_owned(), value.to_string());
    let user_properties = vec![property("epoch", 7), property("first", first), property("last", last)];
    Inbound { user_properties, ..inbound(TOPIC, b"no CBOR".to_vec()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_then_says_so_then_acknowledges() {
    let directory = Directory::new();
    let bench = Bench::embedded(&directory);
    let mut broker = bench.connection().await;
    for round in 0..2 {
        let delivery = broker.deliver(sent(1, 3)).await;
        let receipt = broker.receipt().await;
        assert_eq!(bench.stored().await, [1, 2, 3], "said before it was stored, or stored twice");
        assert_eq!((receipt.through, receipt.epoch), (3, Epoch(7)));
        broker.acknowledged(delivery).await;
        assert_eq!(bench.metrics.duplicates.load(Ordering::Relaxed), 3 * round);
    }
    let delivery = broker.deliver(sent(6, 6)).await;
    let receipt = broker.receipt().await;
    assert_eq!((receipt.through, receipt.gaps.len()), (3, 1));
    broker.acknowledged(delivery).await;
    assert_eq!(bench.metrics.gaps.load(Ordering::Relaxed), 1);
    bench.end(broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_by_its_number_once_it_is_alone() {
    let directory = Directory::new();
    let bench = Bench::embedded(&directory);
    let mut broker = bench.connection().await;
    // Many at once: nothing is said, so that the hub sends fewer.
    let delivery = broker.deliver(unreadable(1, 2)).await;
    broker.acknowledged(delivery).await;
    let delivery = broker.deliver(unreadable(1, 1)).await;
    let receipt = broker.receipt().await;
    assert_eq!((receipt.through, receipt.refused.len(), receipt.refused[0].seq), (1, 1, 1));
    broker.acknowledged(delivery).await;
    // Nothing to name at all: a topic of nobody's.
    let delivery = broker.deliver(inbound("polygate/1/No Hub/up/clinical", vec![])).await;
    broker.acknowledged(delivery).await;
    assert_eq!(bench.metrics.rejected.load(Ordering::Relaxed), 3);
    bench.end(broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again() {
    let directory = Directory::new();
    let bench = Bench::embedded(&directory);
    let mut first = bench.connection().await;
    let delivery = first.deliver(sent(1, 1)).await;
    first.receipt().await;
    first.acknowledged(delivery).await;
    first.events.send(Event::Closed(UplinkError::Broken("cable".to_owned()))).await.unwrap();
    let mut second = bench.connection().await;
    // Broken off before anything could be said: the batch is stored, and the hub will send it again.
    second.deliver(sent(2, 2)).await;
    drop(second);
    let mut third = bench.connection().await;
    let delivery = third.deliver(sent(2, 3)).await;
    assert_eq!(third.receipt().await.through, 3);
    third.acknowledged(delivery).await;
    assert_eq!(bench.stored().await, [1, 2, 3]);
    bench.counted(|metrics| metrics.connections.load(Ordering::Relaxed), 3).await;
    bench.end(third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn says_goodbye_when_asked_to_stop_and_waits_for_no_answer_for_ever() {
    let directory = Directory::new();
    let bench = Bench::embedded(&directory);
    let mut broker = bench.connection().await;
    bench.counted(|metrics| metrics.connections.load(Ordering::Relaxed), 1).await;
    bench.stop.send_replace(true);
    assert!(matches!(broker.next().await, Command::Disconnect));
    timeout(PATIENCE, bench.worker).await.unwrap().unwrap();
    assert!(broker.commands.recv().await.is_none(), "it goes on after its goodbye");
    bench.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remembers_what_each_hub_says_of_itself() {
    let directory = Directory::new();
    let bench = Bench::embedded(&directory);
    let mut broker = bench.connection().await;
    let health = |id: &str, online| Health {
        v: WIRE_VERSION,
        hub: hub(id),
        online,
        at: None,
        version: String::new(),
        condition: String::new(),
        alarms: vec![],
        queued: vec![],
        records: None,
        heard: None,
    };
    for (topic, health) in [
        ("polygate/1/north/status", health("north", true)),
        ("polygate/1/north/status", health("south", true)),
        ("polygate/1/north/status", health("north", false)),
    ] {
        let delivery = broker.deliver(inbound(topic, cbor::encode(&health).unwrap())).await;
        broker.acknowledged(delivery).await;
    }
    let known = bench.metrics.health.lock().unwrap().clone();
    assert_eq!(known.into_values().collect::<Vec<_>>(), [health("north", false)]);
    bench.end(broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledges_nothing_while_the_database_is_away() {
    let Some(mut server) = PostgresServer::start() else { return };
    let bench = Bench::new(Store::Postgres(Postgres::open(&server.url()).await.unwrap()));
    let mut broker = bench.connection().await;
    let delivery = broker.deliver(sent(1, 2)).await;
    broker.receipt().await;
    broker.acknowledged(delivery).await;
    server.kill9();
    let delivery = broker.deliver(sent(3, 4)).await;
    bench.counted(|metrics| metrics.store_failures.load(Ordering::Relaxed), 2).await;
    assert!(broker.commands.try_recv().is_err(), "it spoke of what is not stored");
    server.restart();
    assert_eq!(broker.receipt().await.through, 4);
    broker.acknowledged(delivery).await;
    assert_eq!(bench.stored().await, [1, 2, 3, 4]);
    bench.end(broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_will_never_take_does_not_stop_the_rest() {
    let Some(server) = PostgresServer::start() else { return };
    let bench = Bench::new(Store::Postgres(Postgres::open(&server.url()).await.unwrap()));
    server.run("ALTER TABLE entry ADD CHECK (kind <> 'BAD')").await;
    let mut broker = bench.connection().await;
    let delivery = broker.deliver(sent_with(1, 2, "BAD")).await;
    broker.acknowledged(delivery).await;
    let delivery = broker.deliver(sent_with(1, 1, "BAD")).await;
    let receipt = broker.receipt().await;
    assert_eq!((receipt.through, receipt.refused.len(), receipt.refused[0].seq), (1, 1, 1));
    broker.acknowledged(delivery).await;
    let delivery = broker.deliver(sent(2, 3)).await;
    assert_eq!(broker.receipt().await.through, 3);
    broker.acknowledged(delivery).await;
    assert_eq!(bench.stored().await, [2, 3]);
    bench.end(broker).await;
}
