//! The demonstration: a whole polysystem on loopback, in one process, with a switch that cuts the WAN.

mod counted;
mod desk;
mod files;
mod practices;
mod systems;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    sync::{RwLock, watch},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    centre::{
        broker::{Broker, BrokerOptions},
        store::Filter,
    },
    config::HubConfig,
    flow::operate::Operate,
    manage::health,
    portal,
    sys::{http_server, relay::Relay},
};

use super::{centre::RunningCentre, hub::RunningHub};
use files::{HUBS, centre_config, hub_config, issue_certificates};
use practices::Practices;
use systems::{Journeys, Shared, Systems};

/// Pauses between a simulated system's messages: at leisure for those who watch, quick for those who count.
const PAUSE_SHOWN: Duration = Duration::from_millis(400);
const PAUSE_HEADLESS: Duration = Duration::from_millis(4);
/// How long the hubs may take to send what has piled up.
const DRAIN_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a headless run found. The first six names are a contract.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Messages that the hubs acknowledged with AA, each sender's control id counted once.
    pub accepted: u64,
    /// Of these, how many the centre has.
    pub at_centre: u64,
    /// Messages that the centre has more than once.
    pub duplicates: u64,
    /// Acknowledged messages that the centre does not have.
    pub lost: u64,
    /// How long the WAN was cut.
    pub outage_seconds: f64,
    /// How long it took from the WAN's return until nothing waited any more.
    pub drain_seconds: f64,
    /// How long messages were sent.
    pub seconds: u64,
    /// Messages that their senders had to send again.
    pub repeats: u64,
    /// The most entries that waited for the centre at once.
    pub queued_max: u64,
    /// Batches sent, repetitions included.
    pub batches: u64,
    /// Bytes of batches sent.
    pub bytes_sent: u64,
    /// How many hubs took part.
    pub hubs: usize,
    /// How long analysers' results took into the record and to the practice.
    pub journeys: Journeys,
    /// Messages that RiO took from the hubs.
    pub delivered_to_rio: u64,
    /// Reports and letters that practices have filed.
    pub filed_at_practices: u64,
    /// Those that came to a practice again, and were filed once.
    pub repeated_at_practices: u64,
}

/// Accepted messages: hub, system and control id.
type Accepted = Arc<Mutex<BTreeSet<(String, String, String)>>>;

struct Polysystem {
    directory: PathBuf,
    broker: Broker,
    centre: RunningCentre,
    hubs: Vec<RunningHub>,
    relays: Vec<Arc<Relay>>,
    practices: Arc<RwLock<Practices>>,
    systems: Vec<Systems>,
    journeys: Arc<Mutex<Journeys>>,
    senders: JoinSet<u64>,
    accepted: Accepted,
    stop_senders: watch::Sender<bool>,
}

/// Runs the demonstration until it is asked to end, with the hubs' portals at `port` and the next if they are free.
///
/// # Errors
/// It cannot be started.
pub async fn show(port: u16) -> anyhow::Result<()> {
    let mut polysystem = Polysystem::start(PAUSE_SHOWN, true).await?;
    let hubs: Vec<Arc<dyn Operate>> =
        polysystem.hubs.iter().map(|running| Arc::clone(&running.hub) as Arc<dyn Operate>).collect();
    let stop = watch::Sender::new(false);
    let (mut serving, mut portals) = (Vec::new(), Vec::new());
    for ((index, running), offset) in polysystem.hubs.iter().enumerate().zip(0..) {
        desk::let_in(running)?;
        let wanted = if port == 0 { 0 } else { port.saturating_add(offset) };
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await {
            Ok(listener) => listener,
            Err(_) => {
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the portal cannot listen")?
            }
        };
        portals.push(listener.local_addr()?);
        // The first shows all hubs, and has the switches; each is its own hub's desk.
        let shown = if index == 0 { hubs.clone() } else { hubs.get(index).cloned().into_iter().collect() };
        let router = health::router(hubs.clone()).merge(portal::router(shown, running.portal_options(false)));
        serving.push(tokio::spawn(http_server::serve(listener, None, router, stop.subscribe())));
    }
    polysystem.introduce(&portals)?;
    super::asked_to_end().await?;
    stop.send_replace(true);
    serving.iter().for_each(tokio::task::JoinHandle::abort);
    polysystem.stop_sending().await;
    polysystem.end().await;
    Ok(())
}

/// Runs the demonstration for some seconds, cuts the WAN in the middle, waits for everything to arrive, counts.
///
/// # Errors
/// It cannot be started.
pub async fn count(seconds: u64) -> anyhow::Result<Summary> {
    let mut polysystem = Polysystem::start(PAUSE_HEADLESS, false).await?;
    let third = Duration::from_secs(seconds.max(3)) / 3;
    sleep(third).await;
    polysystem.set_wan(false);
    let cut = Instant::now();
    let mut queued_max = polysystem.queued_during(third).await;
    polysystem.set_wan(true);
    let (outage, restored) = (cut.elapsed(), Instant::now());
    // What has piled up counts as drained once, while messages still come, nothing waits at one look.
    let mut drain = polysystem.drained_within(third).await.then(|| restored.elapsed());
    queued_max = queued_max.max(polysystem.queued_during(third.saturating_sub(restored.elapsed())).await);
    let repeats = polysystem.stop_sending().await;
    let drained = polysystem.drained_within(DRAIN_WITHIN).await;
    let drain = *drain.get_or_insert_with(|| restored.elapsed());
    let mut summary = polysystem.reconcile().await?;
    summary.outage_seconds = outage.as_secs_f64();
    summary.drain_seconds = drain.as_secs_f64();
    (summary.seconds, summary.repeats, summary.queued_max) = (seconds, repeats, queued_max);
    if !drained {
        tracing::error!("entries still wait after {} s", DRAIN_WITHIN.as_secs());
    }
    polysystem.end().await;
    Ok(summary)
}

impl Polysystem {
    async fn start(pause: Duration, tell: bool) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("polygate-demo-{}", std::process::id()));
        let pki = directory.join("pki");
        issue_certificates(&pki)?;
        let broker = Broker::start(&BrokerOptions::from_pki(&pki)).await?;
        let broker_address = SocketAddr::from(([127, 0, 0, 1], broker.port()));
        let centre =
            RunningCentre::start(&centre_config(&directory, &pki, broker.port()), &directory).await?;
        let ods: Vec<&str> = HUBS.iter().map(|(_, ods, _)| *ods).collect();
        let practices = Practices::start(&pki, &ods).await?;
        let mut polysystem = Self {
            practices: Arc::new(RwLock::new(practices)),
            systems: Vec::new(),
            journeys: Arc::default(),
            directory,
            broker,
            centre,
            hubs: Vec::new(),
            relays: Vec::new(),
            senders: JoinSet::new(),
            accepted: Accepted::default(),
            stop_senders: watch::Sender::new(false),
        };
        let shared = Shared {
            accepted: Arc::clone(&polysystem.accepted),
            stop: polysystem.stop_senders.subscribe(),
            pause,
            tell,
            journeys: Arc::clone(&polysystem.journeys),
            practices: Arc::clone(&polysystem.practices),
        };
        for (seed, (id, ods, name)) in (1..).zip(HUBS) {
            let relay = Arc::new(Relay::start(broker_address).await.context("no port for the WAN")?);
            let mut systems = Systems::prepare(id, seed).await?;
            let path = polysystem.directory.join(format!("{id}.toml"));
            let mut text = hub_config(id, ods, name, &polysystem.directory, relay.address());
            text.push_str(&polysystem.practices.read().await.config(ods, &polysystem.directory)?);
            text.push_str(&systems.config());
            text.push_str(desk::services(polysystem.hubs.len()));
            text.push_str(counted::counted(polysystem.hubs.len()));
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            let running = RunningHub::start(&HubConfig::load(&path)?).await?;
            running.hub.set_wan_switch(Arc::clone(&relay));
            polysystem.relays.push(relay);
            systems.start(&running.hub, &mut polysystem.senders, &shared).await?;
            polysystem.systems.push(systems);
            polysystem.hubs.push(running);
        }
        Ok(polysystem)
    }

    fn set_wan(&self, connected: bool) {
        self.relays.iter().for_each(|relay| relay.set_connected(connected));
    }

    /// Waits, and returns the most entries that waited for the centre meanwhile.
    async fn queued_during(&self, duration: Duration) -> u64 {
        let until = Instant::now() + duration;
        let mut most = 0;
        while Instant::now() < until {
            most = most.max(self.queued());
            sleep(LOOK_EVERY).await;
        }
        most
    }

    fn queued(&self) -> u64 {
        let waiting = |running: &RunningHub| -> u64 {
            let status = tokio::task::block_in_place(|| running.hub.condition());
            status.queue.iter().map(|queue| queue.entries).sum()
        };
        self.hubs.iter().map(waiting).sum()
    }

    /// Stops the simulated systems, each after its last message is accepted; returns how often they repeated.
    async fn stop_sending(&mut self) -> u64 {
        self.stop_senders.send_replace(true);
        let mut repeats = 0;
        while let Some(ended) = self.senders.join_next().await {
            repeats += ended.unwrap_or(0);
        }
        repeats
    }

    async fn drained_within(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        while 0 < self.queued() {
            if until < Instant::now() {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        true
    }

    /// Compares what the senders were told with what the centre has.
    async fn reconcile(&self) -> anyhow::Result<Summary> {
        let mut present: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        let count = |entry: crate::centre::entries::StoredEntry| {
            *present.entry((entry.hub.to_string(), entry.system, entry.source_id)).or_default() += 1;
            true
        };
        self.centre.store.entries(&Filter::default(), count).await?;
        let (filed, repeated) = self.practices.read().await.counts();
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let at_centre = accepted.iter().filter(|name| present.contains_key(name)).count() as u64;
        let mut summary = Summary {
            accepted: accepted.len() as u64,
            at_centre,
            duplicates: present.values().map(|count| count - 1).sum(),
            lost: accepted.len() as u64 - at_centre,
            outage_seconds: 0.0,
            drain_seconds: 0.0,
            seconds: 0,
            repeats: 0,
            queued_max: 0,
            batches: 0,
            bytes_sent: 0,
            hubs: self.hubs.len(),
            journeys: *self.journeys.lock().unwrap_or_else(PoisonError::into_inner),
            delivered_to_rio: self.systems.iter().map(Systems::delivered_to_rio).sum(),
            filed_at_practices: filed,
            repeated_at_practices: repeated,
        };
        for running in &self.hubs {
            let centre = running.hub.centre();
            summary.batches += centre.batches_sent;
            summary.bytes_sent += centre.bytes_sent;
        }
        Ok(summary)
    }

    fn introduce(&self, portals: &[SocketAddr]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "A polysystem is running on this machine: a centre, a broker and two hubs.")?;
        for running in &self.hubs {
            writeln!(out, "\n  {}", running.hub.identity().name)?;
            for link in running.hub.condition().links {
                writeln!(out, "    {:<16} {:<22} {}", link.kind, link.name, link.address)?;
            }
        }
        writeln!(out, "\nThe portals (without sign-in they show no patient data):")?;
        for (running, portal) in self.hubs.iter().zip(portals) {
            writeln!(out, "    {:<34} http://{portal}/", running.hub.identity().name)?;
        }
        let users: Vec<&str> = desk::STAFF.iter().map(|(user, ..)| *user).collect();
        writeln!(out, "Sign in at either:   {} (password: {})", users.join(" or "), desk::PASSWORD)?;
        writeln!(
            out,
            "What the centre has: cargo run --release --bin polycentre -- entries --config {} --json",
            self.directory.join("polycentre.toml").display()
        )?;
        writeln!(out, "\nCut the WAN on the portal and watch the queues; press Ctrl-C to end.")?;
        out.flush()?;
        Ok(())
    }

    async fn end(self) {
        let Self { directory, broker, centre, hubs, systems, practices, .. } = self;
        for running in hubs {
            running.end().await;
        }
        for one in systems {
            one.end().await;
        }
        practices.write().await.end().await;
        centre.end().await;
        broker.stop().await;
        if let Err(error) = std::fs::remove_dir_all(&directory) {
            tracing::warn!(%error, directory = %directory.display(), "the demonstration's files stay behind");
        }
    }
}
