//! A hub put together from its configuration, running, and ended in good order.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    config::{HubConfig, PortalSection},
    flow::{
        alarm::AlarmCode,
        ask::GpSystem,
        book::{BOOKING, FrontDesk},
        count::COUNT,
        disclose::Records,
        hub::{Hub, Identity, Parts},
        operate::Operate,
        send::Outgoing,
        sign_in::SignIn,
        view::{VIEW, ViewKeeper},
    },
    journal::{Journal, Log, Options, Recovery},
    manage::{health, socket::AdminSocket, systemd::Notifier},
    portal,
    sync::{
        backoff::Backoff,
        courier::{Courier, last_will},
        mqtt::{MqttOptions, MqttUplink},
        outbox::Limits,
    },
    sys::{
        clock::{Clock, SystemClock},
        disk::{Disk, RealDisk},
        entropy::Entropy,
        http_server,
        tls::{ClientFiles, OldestProtocol, ServerFiles, ServerTls},
        url::BrokerUrl,
    },
    systems::{analyser::AnalyserThread, translate_entry},
};

use super::{certificates, deliveries, identity_provider};

/// How often the disk is looked after, alarms are judged and the watchdog is fed.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// How often a journal that cannot be read is tried again before damaged segments are set aside.
const OPEN_ATTEMPTS: usize = 3;
const OPEN_AGAIN: Duration = Duration::from_secs(2);
/// How long everything may take to end before it is cut off.
const END_WITHIN: Duration = Duration::from_secs(8);

/// A running hub.
#[derive(Debug)]
pub struct RunningHub {
    /// What edges, and tests, hold on to.
    pub hub: Arc<Hub>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) tasks: JoinSet<()>,
    view: Option<ViewKeeper>,
    pub(super) analysers: Vec<AnalyserThread>,
    /// What the portal is to serve beside its own pages.
    pub(super) beside_portal: Router,
    /// The practices' systems that can be asked.
    pub(super) practices: Vec<Arc<dyn GpSystem>>,
    /// The reception desk.
    pub(super) desk: Option<FrontDesk>,
    /// The patients' records.
    records: Option<Arc<Records>>,
}

impl RunningHub {
    /// Starts a hub: its journal first, then what feeds it, then what empties it.
    ///
    /// # Errors
    /// Another hub has the state folder, the journal's folder cannot be read, a certificate for listening
    /// cannot be used, or the portal's port is taken.
    pub async fn start(config: &HubConfig) -> anyhow::Result<Self> {
        let (clock, disk): (Arc<dyn Clock>, Arc<dyn Disk>) = (Arc::new(SystemClock), Arc::new(RealDisk));
        let state = &config.hub.state;
        disk.create_directory(state).with_context(|| format!("cannot make {}", state.display()))?;
        // First, because it is what keeps a second hub away from the journal.
        let socket = AdminSocket::bind(&socket_path(state), None)?;
        let (log, recovery) = open_journal(&disk, state, config, clock.as_ref()).await?;
        let journal = Journal::start(log, Arc::clone(&clock)).context("cannot start the journal's thread")?;
        let identity = Identity {
            id: config.hub.id.clone(),
            ods: config.hub.ods.clone(),
            name: config.hub.name.clone(),
        };
        let sign_in = SignIn::open(Arc::clone(&disk), Arc::clone(&clock), state);
        let parts = Parts { identity, journal, clock: Arc::clone(&clock), disk, translate: translate_entry };
        let hub = Hub::new(parts, state, &config.centre.broker)
            .with_context(|| format!("cannot open what is kept aside in {}", state.display()))?;
        report(&hub, &recovery);
        match sign_in {
            Ok(sign_in) => {
                identity_provider::attach(config, &sign_in, &clock);
                hub.set_sign_in(sign_in);
            }
            // Messages matter more than pages: the hub runs, and nobody can sign in until this is mended.
            Err(error) => {
                let error = anyhow::Error::new(error);
                tracing::error!(
                    error = format!("{error:#}"),
                    "the accounts cannot be read: nobody can sign in"
                );
            }
        }
        let mut running = Self {
            hub,
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
            view: None,
            analysers: Vec::new(),
            beside_portal: Router::new(),
            practices: Vec::new(),
            desk: None,
            records: None,
        };
        running.start_audit(state, &clock)?;
        running.start_upkeep();
        running.view =
            Some(ViewKeeper::start(&running.hub, &state.join("view")).context("no thread for the view")?);
        running.start_elsewhere(state)?;
        running.start_counting(config)?;
        running.start_practices(config, &clock)?;
        running.start_booking(config, &clock)?;
        running.records = Some(Arc::new(Records::new(
            Arc::clone(&running.hub),
            running.practices.clone(),
            super::booking::organisation(config),
        )?));
        let mailbox = running.start_mesh(config, &clock)?;
        running.start_deliveries(config, mailbox.as_ref(), &clock)?;
        running.start_links(config, &clock)?;
        running.start_courier(config)?;
        let watched = certificates::files(config);
        running.spawn_until_stop(certificates::watch(Arc::clone(&running.hub), watched));
        let operated: Arc<dyn Operate> = Arc::clone(&running.hub) as Arc<dyn Operate>;
        running.spawn_until_stop(socket.serve(operated));
        Ok(running)
    }

    /// Serves the portal of this hub.
    ///
    /// # Errors
    /// Its certificate cannot be used, or its port is taken.
    pub async fn start_portal(&mut self, section: &PortalSection) -> anyhow::Result<()> {
        let hubs: Vec<Arc<dyn Operate>> = vec![Arc::clone(&self.hub) as Arc<dyn Operate>];
        let tls = match (&section.certificate, &section.key) {
            (Some(certificate), Some(key)) => {
                let files = ServerFiles {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    client_ca: None,
                    revocation_list: None,
                };
                Some(ServerTls::load(&files, OldestProtocol::Tls12, Arc::new(SystemClock))?)
            }
            _ => None,
        };
        let listener = TcpListener::bind(section.listen)
            .await
            .with_context(|| format!("the portal cannot listen on {}", section.listen))?;
        tracing::info!(address = %listener.local_addr()?, tls = tls.is_some(), "portal");
        let options = portal::Options { names: section.names.clone(), ..self.portal_options(tls.is_some()) };
        let router = health::router(hubs.clone())
            .merge(mem::take(&mut self.beside_portal))
            .merge(portal::router(hubs, options));
        let stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            if let Err(error) = http_server::serve(listener, tls, router, stop).await {
                tracing::error!(%error, "the portal ended");
            }
        });
        Ok(())
    }

    /// What the portal is told of this hub: who may sign in, and their desk.
    pub(super) fn portal_options(&self, tls: bool) -> portal::Options {
        let hub = self.hub.identity().name.clone();
        let staff = self.hub.accounts().map(|sign_in| portal::Staff {
            sign_in,
            hub,
            tls,
            links: Some(Arc::clone(&self.hub) as Arc<dyn Operate>),
        });
        let desk = self.desk().map(|desk| portal::reception::Desk(Arc::new(desk)));
        portal::Options { names: Vec::new(), staff, desk, records: self.records.clone() }
    }

    /// The patients' records.
    pub fn records(&self) -> Option<Arc<Records>> {
        self.records.clone()
    }

    /// The reception desk.
    pub fn desk(&self) -> Option<FrontDesk> {
        self.desk.clone()
    }

    /// Tells systemd that the hub is ready, and goes on telling it that it lives.
    ///
    /// # Errors
    /// systemd named an address that cannot be used.
    pub fn start_notifying(&mut self) -> anyhow::Result<()> {
        let notifier = Notifier::from_environment().context("NOTIFY_SOCKET cannot be used")?;
        let hubs: Vec<Arc<dyn Operate>> = vec![Arc::clone(&self.hub) as Arc<dyn Operate>];
        notifier.ready();
        self.spawn_until_stop(async move { notifier.watch(&hubs).await });
        Ok(())
    }

    /// Ends the hub: what feeds the journal first, then what empties it, then the journal.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(END_WITHIN, ended).await.is_err() {
            tracing::warn!("some tasks did not end in time: cut off");
            self.tasks.shutdown().await;
        }
        let analysers = mem::take(&mut self.analysers);
        let ended = move || analysers.into_iter().for_each(AnalyserThread::end);
        if tokio::task::spawn_blocking(ended).await.is_err() {
            tracing::warn!("an analyser's thread did not end in order");
        }
        if let Some(view) = self.view.take()
            && tokio::task::spawn_blocking(move || view.end()).await.is_err()
        {
            tracing::warn!("the record view did not end in order");
        }
        self.hub.close().await;
    }

    fn start_upkeep(&mut self) {
        let hub = Arc::clone(&self.hub);
        self.spawn_until_stop(async move {
            let mut ticks = interval(MAINTAIN_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if hub.maintain().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Keeps what other hubs hold of patients whose records are held here.
    fn start_elsewhere(&mut self, state: &Path) -> anyhow::Result<()> {
        let keeper = self.hub.open_elsewhere(&state.join("elsewhere"));
        let keeper = keeper.context("cannot open what is held of patients elsewhere")?;
        self.spawn_until_stop(keeper.run());
        Ok(())
    }

    /// Counts contacts.
    fn start_counting(&mut self, config: &HubConfig) -> anyhow::Result<()> {
        let directory = config.hub.state.join("activity");
        let counter = self.hub.open_counting(&directory, config.counting_terms()?);
        let counter = counter.context("cannot open what has been counted")?;
        self.tasks.spawn(counter.run(self.stop.subscribe()));
        Ok(())
    }

    fn start_courier(&mut self, config: &HubConfig) -> anyhow::Result<()> {
        let centre = &config.centre;
        let url = BrokerUrl::parse(&centre.broker).context("centre.broker")?;
        let files = url.tls.then(|| ClientFiles {
            ca: centre.ca.clone(),
            certificate: centre.certificate.clone(),
            key: centre.key.clone(),
            revocation_list: centre.crl.clone(),
        });
        let options = MqttOptions {
            last_will: last_will(&config.hub.id),
            socket_directory: run_directory(&config.hub.state),
            ..MqttOptions::hub(url, files, &config.hub.id)
        };
        let outgoing = Outgoing::new(Arc::clone(&self.hub)).context("cannot list parked entries")?;
        let uplink = Box::new(MqttUplink::new(options));
        let backoff = Backoff::up_to(Duration::from_secs(centre.reconnect_max_seconds));
        let courier =
            Courier::new(outgoing, uplink, Limits::default(), Entropy::from_system()).with_backoff(backoff);
        self.tasks.spawn(courier.run(self.stop.subscribe()));
        Ok(())
    }

    pub(super) fn spawn_until_stop(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let mut stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}

/// Runs a hub until the operating system asks it to end.
///
/// # Errors
/// It cannot be started.
pub async fn run(config: HubConfig) -> anyhow::Result<()> {
    let mut running = RunningHub::start(&config).await?;
    if let Some(portal) = &config.portal {
        running.start_portal(portal).await?;
    }
    running.start_notifying()?;
    super::asked_to_end().await?;
    tracing::info!("ending");
    if let Ok(notifier) = Notifier::from_environment() {
        notifier.stopping();
    }
    running.end().await;
    Ok(())
}

/// Where a hub's admin socket is.
pub fn socket_path(state: &Path) -> PathBuf {
    run_directory(state).join("polygate.sock")
}

fn run_directory(state: &Path) -> PathBuf {
    state.join("run")
}

async fn open_journal(
    disk: &Arc<dyn Disk>,
    state: &Path,
    config: &HubConfig,
    clock: &dyn Clock,
) -> anyhow::Result<(Log, Recovery)> {
    let directory = state.join("journal");
    let section = &config.journal;
    let mut options = Options {
        capacity_bytes: section.capacity_mib << 20,
        retain_bytes: section.retain_mib << 20,
        floor_bytes: section.floor_mib << 20,
        ballast_bytes: section.ballast_mib << 20,
        consumers: [VIEW, BOOKING, COUNT]
            .map(str::to_owned)
            .into_iter()
            .chain(deliveries::consumers(config))
            .collect(),
        ..Options::default()
    };
    for attempt in 1.. {
        options.salvage = OPEN_ATTEMPTS < attempt;
        let opening =
            Log::open(Arc::clone(disk), &directory, options.clone(), clock.now(), Entropy::from_system());
        match opening {
            Ok(opened) => return Ok(opened),
            Err(error) if options.salvage => {
                return Err(error).with_context(|| {
                    format!("the journal in {} cannot be opened; check the disk", directory.display())
                });
            }
            Err(error) => {
                tracing::error!(%error, attempt, "the journal cannot be read: trying again");
                sleep(OPEN_AGAIN).await;
            }
        }
    }
    anyhow::bail!("the journal cannot be opened")
}

fn report(hub: &Hub, recovery: &Recovery) {
    let Recovery { epoch, clean, existed, torn, damaged_bytes, notes } = recovery;
    tracing::info!(epoch = epoch.0, clean, existed, torn, damaged_bytes, "journal open");
    for note in notes {
        tracing::warn!(note, "the journal was recovered");
    }
    if 0 < *damaged_bytes {
        let text = format!(
            "{damaged_bytes} bytes of acknowledged entries cannot be read back: {}",
            notes.join("; ")
        );
        hub.alarms().raise(AlarmCode::JournalDamaged, "", text, hub.now());
    }
}
