//! The centre put together from its configuration, running, and ended in good order.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Json, Router, http::StatusCode, routing::get};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use crate::{
    centre::{
        activity::{Checked, Gathered},
        audit::{Trail, Trouble},
        records::Records,
        relay::Relay,
        store::{Filter, Store, StoreError, embedded::Embedded, postgres::Postgres},
        worker::{Metrics, Worker},
    },
    config::{BrokerSection, CentreConfig, StoreSection},
    domain::{contact::Month, ids::HubId},
    sync::mqtt::{MqttOptions, MqttUplink},
    sys::{
        clock::{Clock, SystemClock},
        disk::RealDisk,
        entropy::Entropy,
        tls::ClientFiles,
        url::BrokerUrl,
    },
};

/// How long workers may take to end before they are cut off.
const END_WITHIN: Duration = Duration::from_secs(8);
/// How often the embedded store's disk is looked after.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// How often, and how long apart, a database that does not answer is tried before the centre gives up.
const OPEN_ATTEMPTS: usize = 30;
const OPEN_AGAIN: Duration = Duration::from_secs(2);
/// Workers share these: each message goes to one of them.
const BATCHES: &str = "$share/centre/polygate/1/+/up/+";
/// One worker listens to the hubs' condition.
const CONDITIONS: &str = "polygate/1/+/status";

/// A running centre.
#[derive(Debug)]
pub struct RunningCentre {
    /// Where hubs' entries are.
    pub store: Arc<Store>,
    /// What its workers count.
    pub metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl RunningCentre {
    /// Starts a centre: its store first, then its workers.
    ///
    /// # Errors
    /// The store cannot be opened, or the console's port is taken.
    pub async fn start(config: &CentreConfig, socket_directory: &Path) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(open_store(&config.store, &clock).await?);
        let mut running =
            Self { store, metrics: Arc::default(), stop: watch::Sender::new(false), tasks: JoinSet::new() };
        // Keeps several centres on one broker apart, wherever they run.
        let process = Entropy::from_system().below(1 << 40);
        for number in 0..config.broker.workers {
            let options = worker_options(&config.broker, process, number, socket_directory)?;
            let worker = Worker {
                uplink: Box::new(MqttUplink::new(options)),
                store: Arc::clone(&running.store),
                clock: Arc::clone(&clock),
                entropy: Entropy::from_system(),
                metrics: Arc::clone(&running.metrics),
            };
            running.tasks.spawn(worker.run(running.stop.subscribe()));
        }
        running.start_relay(config, process, socket_directory, &clock)?;
        running.start_records(config, process, socket_directory, &clock)?;
        running.start_upkeep();
        if let Some(console) = &config.console {
            running.start_console(console.listen).await?;
        }
        Ok(running)
    }

    /// Ends the centre: its workers first, then its store.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(END_WITHIN, ended).await.is_err() {
            tracing::warn!("some workers did not end in time: cut off");
            self.tasks.shutdown().await;
        }
        self.store.close().await;
    }

    /// Carries bookings between hubs.
    fn start_relay(
        &mut self,
        config: &CentreConfig,
        process: u64,
        socket_directory: &Path,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let options = options(&config.broker, &format!("{process:x}-relay"), vec![CONDITIONS.to_owned()])?;
        let relay = Relay {
            uplink: Box::new(MqttUplink::new(MqttOptions {
                socket_directory: socket_directory.to_owned(),
                ..options
            })),
            store: Arc::clone(&self.store),
            clock: Arc::clone(clock),
            entropy: Entropy::from_system(),
            metrics: Arc::clone(&self.metrics),
        };
        self.tasks.spawn(relay.run(self.stop.subscribe()));
        Ok(())
    }

    /// Carries records between hubs.
    fn start_records(
        &mut self,
        config: &CentreConfig,
        process: u64,
        socket_directory: &Path,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let options = options(&config.broker, &format!("{process:x}-records"), vec![CONDITIONS.to_owned()])?;
        let records = Records {
            uplink: Box::new(MqttUplink::new(MqttOptions {
                socket_directory: socket_directory.to_owned(),
                ..options
            })),
            store: Arc::clone(&self.store),
            clock: Arc::clone(clock),
            entropy: Entropy::from_system(),
            metrics: Arc::clone(&self.metrics),
        };
        self.tasks.spawn(records.run(self.stop.subscribe()));
        Ok(())
    }

    fn start_upkeep(&mut self) {
        let (store, mut stop) = (Arc::clone(&self.store), self.stop.subscribe());
        self.tasks.spawn(async move {
            let mut ticks = interval(MAINTAIN_EVERY);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = stop.changed() => return,
                }
                if let Store::Embedded(embedded) = store.as_ref()
                    && embedded.maintain().await.is_err()
                {
                    return;
                }
            }
        });
    }

    async fn start_console(&mut self, listen: std::net::SocketAddr) -> anyhow::Result<()> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("the console cannot listen on {listen}"))?;
        let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
        let streams = Arc::clone(&store);
        let router = Router::new()
            .route("/healthz", get(move || health(Arc::clone(&store))))
            .route("/metrics", get(move || exposition(Arc::clone(&metrics))))
            .route("/api/streams", get(move || stream_list(Arc::clone(&streams))));
        let mut stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the console ended");
            }
        });
        Ok(())
    }
}

/// Runs a centre until the operating system asks it to end.
///
/// # Errors
/// It cannot be started.
pub async fn run(config: CentreConfig) -> anyhow::Result<()> {
    let running = RunningCentre::start(&config, &std::env::temp_dir()).await?;
    super::asked_to_end().await?;
    tracing::info!("ending");
    running.end().await;
    Ok(())
}

/// Lists what a centre has received, whether it runs or not; `each` returns false to stop.
///
/// # Errors
/// The store cannot be read.
pub async fn entries(
    section: &StoreSection,
    filter: &Filter,
    mut each: impl FnMut(String) -> bool + Send,
) -> Result<(), StoreError> {
    let line = move |entry: crate::centre::entries::StoredEntry| each(entry.to_json());
    match (&section.postgres, &section.embedded) {
        (Some(url), _) => Postgres::open(url).await?.entries(filter, line).await,
        (None, Some(directory)) => Embedded::entries_of(Arc::new(RealDisk), directory, filter, line),
        (None, None) => Err(StoreError("none is configured".to_owned())),
    }
}

/// Verifies all that a centre has received of a hub's audit trail, whether it runs or not.
///
/// # Errors
/// The store cannot be read.
pub async fn verify_trail(section: &StoreSection, hub: &HubId) -> Result<(Trail, Vec<Trouble>), StoreError> {
    let (mut trail, mut troubles) = (Trail::new(hub.clone()), Vec::new());
    let each = |raw: &[u8]| {
        troubles.extend(trail.take(raw));
        true
    };
    match (&section.postgres, &section.embedded) {
        (Some(url), _) => Postgres::open(url).await?.checkpoints(hub, each).await?,
        (None, Some(directory)) => Embedded::checkpoints_of(Arc::new(RealDisk), directory, hub, each)?,
        (None, None) => return Err(StoreError("none is configured".to_owned())),
    }
    troubles.extend(trail.settle());
    Ok((trail, troubles))
}

/// Counts a month of all hubs of what has come, whether the centre runs or not.
///
/// # Errors
/// The store cannot be read.
pub async fn check_activity(section: &StoreSection, month: Month) -> Result<Checked, StoreError> {
    let mut gathered = Gathered::default();
    let each = |hub: &HubId, kind: &str, raw: &[u8], at| gathered.take(hub, kind, raw, at);
    match (&section.postgres, &section.embedded) {
        (Some(url), _) => Postgres::open(url).await?.counted(each).await?,
        (None, Some(directory)) => Embedded::counted_of(Arc::new(RealDisk), directory, each)?,
        (None, None) => return Err(StoreError("none is configured".to_owned())),
    }
    Ok(gathered.check(month))
}

async fn open_store(section: &StoreSection, clock: &Arc<dyn Clock>) -> anyhow::Result<Store> {
    match (&section.postgres, &section.embedded) {
        (Some(url), _) => open_postgres(url).await,
        (None, Some(directory)) => {
            Ok(Store::Embedded(Embedded::open(Arc::new(RealDisk), directory, Arc::clone(clock))?))
        }
        (None, None) => anyhow::bail!("no store is configured"),
    }
}

/// Opens the database; waits for one that is still starting, as it may after a power cut.
async fn open_postgres(url: &str) -> anyhow::Result<Store> {
    for _ in 1..OPEN_ATTEMPTS {
        match Postgres::open(url).await {
            Ok(store) => return Ok(Store::Postgres(store)),
            Err(error) => tracing::warn!(%error, "trying again"),
        }
        sleep(OPEN_AGAIN).await;
    }
    Ok(Store::Postgres(Postgres::open(url).await?))
}

fn worker_options(
    broker: &BrokerSection,
    process: u64,
    number: usize,
    socket_directory: &Path,
) -> anyhow::Result<MqttOptions> {
    let mut subscriptions = vec![BATCHES.to_owned()];
    if number == 0 {
        subscriptions.push(CONDITIONS.to_owned());
    }
    let options = options(broker, &format!("{process:x}-{number}"), subscriptions)?;
    Ok(MqttOptions { socket_directory: socket_directory.to_owned(), ..options })
}

fn options(broker: &BrokerSection, name: &str, subscriptions: Vec<String>) -> anyhow::Result<MqttOptions> {
    let url = BrokerUrl::parse(&broker.url).context("broker.url")?;
    let files = url.tls.then(|| ClientFiles {
        ca: broker.ca.clone(),
        certificate: broker.certificate.clone(),
        key: broker.key.clone(),
        revocation_list: broker.crl.clone(),
    });
    Ok(MqttOptions::centre(url, files, name, subscriptions))
}

async fn health(store: Arc<Store>) -> (StatusCode, &'static str) {
    match store.streams().await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}

async fn stream_list(store: Arc<Store>) -> Result<Json<Vec<crate::centre::store::StreamStatus>>, StatusCode> {
    store.streams().await.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

async fn exposition(metrics: Arc<Metrics>) -> String {
    use std::{fmt::Write, sync::atomic::Ordering};
    let counters = [
        ("batches", "Batches stored", &metrics.batches),
        ("entries", "Entries stored that were not known before", &metrics.entries),
        ("duplicates", "Entries that came again", &metrics.duplicates),
        ("gaps", "Receipts that named a gap", &metrics.gaps),
        ("conflicts", "Numbers that two entries claimed", &metrics.conflicts),
        ("refused", "Entries refused as malformed", &metrics.refused),
        ("rejected", "Batches that could not be read", &metrics.rejected),
        (
            "audit_troubles",
            "Checkpoints of audit trails that contradict earlier ones",
            &metrics.audit_troubles,
        ),
        ("store_failures", "Attempts that the store failed", &metrics.store_failures),
        ("connections", "Connections to the broker", &metrics.connections),
    ];
    let mut text = String::new();
    for (name, help, counter) in counters {
        let value = counter.load(Ordering::Relaxed);
        let written = write!(
            text,
            "# TYPE polycentre_{name} counter\n# HELP polycentre_{name} {help}.\npolycentre_{name}_total {value}\n"
        );
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    text + "# EOF\n"
}
