//! A hub and a centre with a bad WAN and a bad broker between them, in simulated time; and a hub that fills up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use polygate::{
    centre::{
        store::{Filter, Store, embedded::Embedded},
        worker::{Metrics, Worker},
    },
    flow::{operate::Operate, send::Outgoing},
    journal::Options,
    sync::{courier::Courier, outbox::Limits},
    sys::{
        clock::{Clock, SimulatedClock},
        disk::RealDisk,
        entropy::Entropy,
        sim_disk::SimulatedDisk,
    },
    systems::simulator::traffic::{Message, Traffic, Voice},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    inside::{Life, NOW},
    setting,
    stage::PATIENCE,
    support::Directory,
    wan::{Counts, Manners, Side, Wan},
};

const HOUR: Duration = Duration::from_secs(3600);
/// How much simulated time everything may take to arrive.
const DRAIN_WITHIN: Duration = Duration::from_secs(60 * 24 * 3600);
const WORKERS: usize = 2;

/// A hub, two workers and a broker between them.
struct Drill {
    life: Life,
    disk: SimulatedDisk,
    wan: Wan,
    store: Arc<Store>,
    traffic: Traffic,
    entropy: Entropy,
    sent: Vec<Message>,
    accepted: BTreeSet<String>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    began: Instant,
    _directory: Directory,
}

impl Drill {
    fn start(seed: u64, manners: Manners, options: &Options) -> Self {
        let (disk, directory) = (SimulatedDisk::default(), Directory::new());
        let life = Life::start(&disk, options).unwrap();
        let wan = Wan::new(seed, manners);
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(NOW));
        let embedded = Embedded::open(Arc::new(RealDisk), directory.path(), Arc::clone(&clock)).unwrap();
        let mut drill = Self {
            life,
            disk,
            wan,
            store: Arc::new(Store::Embedded(embedded)),
            traffic: Traffic::new(Voice::SecondaryCare, "M", 50, seed),
            entropy: Entropy::from_seed(seed),
            sent: Vec::new(),
            accepted: BTreeSet::new(),
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
            began: Instant::now(),
            _directory: directory,
        };
        drill.start_tasks(seed, &clock);
        drill
    }

    fn start_tasks(&mut self, seed: u64, clock: &Arc<dyn Clock>) {
        let outgoing = Outgoing::new(Arc::clone(&self.life.hub)).unwrap();
        let courier =
            Courier::new(outgoing, self.wan.door(Side::Hub), Limits::default(), Entropy::from_seed(seed));
        self.tasks.spawn(courier.run(self.stop.subscribe()));
        for number in 0..WORKERS {
            let worker = Worker {
                uplink: self.wan.door(Side::Worker(number)),
                store: Arc::clone(&self.store),
                clock: Arc::clone(clock),
                entropy: Entropy::from_seed(seed + 1),
                metrics: Arc::new(Metrics::default()),
            };
            self.tasks.spawn(worker.run(self.stop.subscribe()));
        }
    }

    /// A few messages, some of which may not be accepted.
    async fn send_some(&mut self) {
        for _ in 0..=self.entropy.below(8) {
            self.sent.push(self.traffic.next(NOW));
        }
        self.send_again().await;
        let pause = self.entropy.below(20_000);
        sleep(Duration::from_millis(pause)).await;
        self.look_after().await;
    }

    /// Sends whatever was not accepted yet; returns how many are still not.
    async fn send_again(&mut self) -> usize {
        let waiting: Vec<&Message> =
            self.sent.iter().filter(|message| !self.accepted.contains(&message.control_id)).collect();
        let count = waiting.len();
        let accepted = self.life.send(&waiting).await;
        let left = count - accepted.len();
        self.accepted.extend(accepted);
        left
    }

    /// What the hub does each second.
    async fn look_after(&self) {
        self.life.set_clock(self.began.elapsed());
        self.life.hub.maintain().await.unwrap();
    }

    /// The hub is cut off for hours while messages come.
    async fn outage(&mut self) {
        self.wan.set_up(false);
        for _ in 0..10 {
            sleep(HOUR / 4).await;
            self.send_some().await;
        }
        self.wan.set_up(true);
    }

    fn queued(&self) -> u64 {
        self.life.hub.condition().queue.iter().map(|queue| queue.entries).sum()
    }

    /// Waits until nothing waits for the centre.
    async fn drain(&self) {
        let until = Instant::now() + DRAIN_WITHIN;
        while 0 < self.queued() {
            let status = self.life.hub.condition();
            assert!(Instant::now() < until, "still waiting: {:?} {:?}", status.queue, self.wan.counts());
            sleep(Duration::from_secs(5)).await;
            self.look_after().await;
        }
    }

    /// Ends everything, and checks that every accepted message is at the centre once, but for those parked.
    async fn reconcile(mut self, what: &str) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let count = |entry: polygate::centre::entries::StoredEntry| {
            *counts.entry(entry.source_id).or_default() += 1;
            true
        };
        self.store.entries(&Filter::default(), count).await.unwrap();
        let parked: BTreeSet<String> =
            self.life.hub.parked().into_iter().map(|entry| entry.source_id).collect();
        let arrived: BTreeSet<String> = counts.keys().cloned().collect();
        let expected: BTreeSet<String> = self.accepted.difference(&parked).cloned().collect();
        let lost: Vec<_> = expected.difference(&arrived).take(5).collect();
        let strange: Vec<_> = arrived.difference(&expected).take(5).collect();
        assert!(lost.is_empty() && strange.is_empty(), "{what}: lost {lost:?}, not accepted {strange:?}");
        assert!(counts.values().all(|count| *count == 1), "{what}: doubled");
        self.life.hub.close().await;
        self.store.close().await;
    }
}

fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        capacity_bytes: 16 << 20,
        retain_bytes: 0,
        floor_bytes: 0,
        ballast_bytes: 4096,
        ..Options::default()
    }
}

/// Runs one kind of broker with several seeds.
fn with_many_seeds(name: &'static str, manners: &Manners) {
    let first = setting("POLYGATE_SEED", 1);
    let seeds = setting("POLYGATE_SEEDS", 6);
    let (mut messages, mut connections, mut lost, mut doubled) = (0, 0, 0, 0);
    for seed in first..first + seeds {
        let manners = manners.clone();
        let (accepted, counts) = in_simulated_time(move || with_seed(name, manners, seed));
        messages += accepted;
        (connections, lost, doubled) =
            (connections + counts.connections, lost + counts.lost, doubled + counts.doubled);
    }
    println!(
        "{name}: {seeds} seeds, {messages} messages, {connections} connections, {lost} lost and {doubled} doubled on the way"
    );
}

/// Returns how many messages were accepted, and what happened to them.
async fn with_seed(name: &str, manners: Manners, seed: u64) -> (usize, Counts) {
    let refuses = manners.refuses.clone();
    let mut drill = Drill::start(seed, manners, &options());
    for round in 0..24 {
        match round {
            8 | 16 => drill.outage().await,
            _ => drill.send_some().await,
        }
    }
    assert_eq!(drill.accepted.len(), drill.sent.len(), "a hub without a WAN accepts all the same");
    drill.drain().await;
    let parked: Vec<String> = drill.life.hub.parked().into_iter().map(|entry| entry.source_id).collect();
    assert_eq!(parked, Vec::from_iter(refuses), "{name}, seed {seed}");
    let outcome = (drill.accepted.len(), drill.wan.counts());
    drill.reconcile(&format!("{name}, seed {seed}")).await;
    outcome
}

/// Runs it in a time that leaps from one deadline to the next; fails if it stands still instead.
fn in_simulated_time<F: Future<Output = T>, T: Send + 'static>(
    work: impl FnOnce() -> F + Send + 'static,
) -> T {
    let (done, outcome) = sync_channel(1);
    let running = std::thread::Builder::new().name("drill".to_owned()).spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        done.send(runtime.block_on(work())).unwrap();
    });
    let running = running.unwrap();
    match outcome.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => panic!("simulated time stands still: something spins"),
        Err(RecvTimeoutError::Disconnected) => std::panic::resume_unwind(running.join().unwrap_err()),
    }
}

#[test]
fn a_good_broker_and_hours_without_a_wan() {
    with_many_seeds("a good broker", &Manners::default());
}

#[test]
fn a_broker_that_never_acknowledges() {
    with_many_seeds("never acknowledges", &Manners { never_acknowledges: true, ..Manners::default() });
}

#[test]
fn a_broker_that_overtakes_itself() {
    with_many_seeds("out of order", &Manners { delay: Duration::from_secs(20), ..Manners::default() });
}

#[test]
fn a_broker_that_forgets_its_sessions() {
    with_many_seeds("forgets", &Manners { forgets: true, hangs_up: 10, ..Manners::default() });
}

#[test]
fn a_broker_that_drops_what_it_acknowledged() {
    with_many_seeds("drops", &Manners { loses: 40, ..Manners::default() });
}

#[test]
fn a_broker_that_doubles() {
    with_many_seeds("doubles", &Manners { doubles: 60, delay: Duration::from_secs(5), ..Manners::default() });
}

#[test]
fn a_broker_that_refuses_one_message() {
    let refuses = Some("M37".to_owned());
    with_many_seeds("refuses", &Manners { refuses, ..Manners::default() });
}

#[test]
fn a_connection_that_goes_half_open() {
    with_many_seeds("half-open", &Manners { goes_half_open: 15, ..Manners::default() });
}

#[test]
fn everything_at_once() {
    let manners = Manners {
        loses: 20,
        doubles: 20,
        delay: Duration::from_secs(10),
        hangs_up: 5,
        goes_half_open: 5,
        forgets: true,
        refuses: Some("M37".to_owned()),
        ..Manners::default()
    };
    with_many_seeds("everything at once", &manners);
}

#[test]
fn a_full_window_is_waited_for_in_peace() {
    in_simulated_time(|| async {
        // Every connection goes dead with its first message, and is given up only after receipts are overdue.
        let manners = Manners { goes_half_open: 60, ..Manners::default() };
        let mut drill = Drill::start(9, manners, &options());
        drill.traffic = Traffic::new(Voice::SecondaryCare, "L", 50, 9).padded_to(30_000);
        drill.wan.set_up(false);
        while drill.sent.len() < 150 {
            drill.send_some().await;
        }
        drill.wan.set_up(true);
        drill.drain().await;
        drill.reconcile("a full window").await;
    });
}

/// Fills the hub while it is cut off, and sees it take everything once the centre has confirmed.
async fn fill(mut drill: Drill, what: &str) {
    drill.wan.set_up(false);
    let mut refused = 0;
    for _ in 0..200 {
        drill.send_some().await;
        refused = drill.sent.len() - drill.accepted.len();
        if 40 < refused {
            break;
        }
    }
    assert!(
        40 < refused && 20 < drill.accepted.len(),
        "{what}: {refused} refused, {} accepted",
        drill.accepted.len()
    );
    drill.look_after().await;
    drill.wan.set_up(true);
    let until = Instant::now() + DRAIN_WITHIN;
    while 0 < drill.send_again().await {
        assert!(Instant::now() < until, "{what}: refused for ever: {:?}", drill.life.hub.condition().journal);
        sleep(Duration::from_secs(10)).await;
        drill.look_after().await;
    }
    drill.drain().await;
    println!("{what}: {refused} refused at first, {} accepted in the end", drill.accepted.len());
    drill.reconcile(what).await;
}

#[test]
fn a_full_journal_refuses_and_takes_again_by_itself() {
    for seed in 1..=setting("POLYGATE_SEEDS", 6) {
        let small = Options { segment_bytes: 16 << 10, capacity_bytes: 160 << 10, ..options() };
        in_simulated_time(move || async move {
            fill(Drill::start(seed, Manners::default(), &small), "full journal").await
        });
    }
}

#[test]
fn a_full_disk_refuses_and_takes_again_by_itself() {
    for seed in 1..=setting("POLYGATE_SEEDS", 6) {
        let small = Options { segment_bytes: 16 << 10, ..options() };
        in_simulated_time(move || async move {
            let drill = Drill::start(seed, Manners::default(), &small);
            drill.disk.set_capacity(Some(160 << 10));
            fill(drill, "full disk").await;
        });
    }
}
