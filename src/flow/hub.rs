//! The hub: what every edge holds a handle to.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{sync::watch, time::Instant};

use crate::{
    domain::{
        booking::HeardThrough,
        elsewhere::RecordsHeard,
        entry::Entry,
        ids::{Class, HubId},
        record::Event,
        time::Timestamp,
    },
    journal::{self, Closed, Journal, Lane, LaneReader},
    store::{View, cache::Cache},
    sys::{clock::Clock, disk::Disk, relay::Relay},
};

use super::{
    alarm::{AlarmCode, Alarms},
    aside::Aside,
    audit::Audit,
    book::BookingDesk,
    count::Counting,
    deliver::Delivery,
    elsewhere::Elsewhere,
    link::Link,
    sign_in::SignIn,
    status::{
        CentreStatus, Condition, HubStatus, LinkState, LinkStrip, QueueStatus, RecentMessage, ViewStatus,
    },
};

/// Messages that could not be taken in: enough to see a pattern, not enough to fill the disk.
const QUARANTINE_ITEMS_MAX: u64 = 10_000;
const QUARANTINE_BYTES_MAX: u64 = 256 << 20;
/// Parked entries are the hub's own responsibility, so they get as much as a class may have.
const PARKED_ITEMS_MAX: u64 = 100_000;
const PARKED_BYTES_MAX: u64 = 1 << 30;

/// How long the alarm about refused senders stands after the last refusal, in milliseconds: senders try again
/// within this, if it is not over.
const REFUSAL_STANDS_MS: u64 = 30_000;

/// Reads a journalled entry's raw bytes as what they say; none if they say nothing about a patient.
pub type Translate = fn(&Entry) -> Option<Event>;

/// Who a hub is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id: the certificate's common name.
    pub id: HubId,
    /// Its ODS code.
    pub ods: String,
    /// Its name.
    pub name: String,
}

/// What a hub needs from the world.
#[derive(Debug)]
pub struct Parts {
    /// Who it is.
    pub identity: Identity,
    /// Its journal, opened.
    pub journal: Journal,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its disk.
    pub disk: Arc<dyn Disk>,
    /// How raw bytes are read.
    pub translate: Translate,
}

/// A running hub. Edges share it.
#[derive(Debug)]
pub struct Hub {
    pub(super) identity: Identity,
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) translate: Translate,
    pub(super) quarantine: Aside,
    pub(super) parked: Aside,
    pub(super) alarms: Alarms,
    started: Timestamp,
    began: Instant,
    /// When the journal last answered, in milliseconds since `began`.
    answered_ms: AtomicU64,
    /// Appends refused for want of room when last looked at, and when that last went up.
    refused_full: AtomicU64,
    refused_ms: AtomicU64,
    /// The demonstration's WAN switch.
    pub(super) wan: OnceLock<Arc<Relay>>,
    links: Mutex<Vec<Arc<Link>>>,
    deliveries: Mutex<Vec<Arc<Delivery>>>,
    recent: Mutex<VecDeque<RecentMessage>>,
    centre: Mutex<CentreStatus>,
    view: Mutex<ViewStatus>,
    /// The record view while it is open.
    pub(super) records: ArcSwapOption<View>,
    /// Kept answers, if there is a cache.
    pub(super) cache: OnceLock<Arc<Cache>>,
    /// The reception desk, if there is one: it holds the hub.
    pub(super) desk: Mutex<Weak<BookingDesk>>,
    /// How far others' bookings were heard; none if nobody here listens.
    pub(super) heard: watch::Sender<Option<HeardThrough>>,
    /// What other hubs hold of patients whose records are held here.
    pub(super) elsewhere: OnceLock<Arc<Elsewhere>>,
    /// How far that is durable, by the centre's tellings; none if nobody here listens.
    pub(super) records_heard: watch::Sender<Option<Vec<RecordsHeard>>>,
    /// Contacts as they are counted.
    pub(super) counting: OnceLock<Arc<Counting>>,
    /// Accounts and sessions, if people can sign in.
    pub(super) sign_in: OnceLock<Arc<SignIn>>,
    /// The audit trail.
    audit: OnceLock<Audit>,
}

impl Hub {
    /// A hub over its parts; `state` is where it keeps things aside.
    ///
    /// # Errors
    /// The folders cannot be made or read.
    pub fn new(parts: Parts, state: &Path, broker: &str) -> io::Result<Arc<Self>> {
        let Parts { identity, journal, clock, disk, translate } = parts;
        let started = clock.now();
        let quarantine = Aside::open(
            Arc::clone(&disk),
            &state.join("quarantine"),
            QUARANTINE_ITEMS_MAX,
            QUARANTINE_BYTES_MAX,
        )?;
        let parked =
            Aside::open(Arc::clone(&disk), &state.join("parked"), PARKED_ITEMS_MAX, PARKED_BYTES_MAX)?;
        let centre = CentreStatus {
            broker: broker.to_owned(),
            state: LinkState::Down,
            since: started,
            detail: "starting".to_owned(),
            last_receipt: None,
            confirmed: 0,
            batches_sent: 0,
            bytes_sent: 0,
            connections: 0,
        };
        Ok(Arc::new(Self {
            identity,
            journal,
            clock,
            disk,
            translate,
            quarantine,
            parked,
            alarms: Alarms::default(),
            started,
            began: Instant::now(),
            answered_ms: AtomicU64::new(0),
            refused_full: AtomicU64::new(0),
            refused_ms: AtomicU64::new(0),
            wan: OnceLock::new(),
            sign_in: OnceLock::new(),
            audit: OnceLock::new(),
            links: Mutex::default(),
            deliveries: Mutex::default(),
            recent: Mutex::default(),
            centre: Mutex::new(centre),
            view: Mutex::default(),
            records: ArcSwapOption::empty(),
            cache: OnceLock::new(),
            desk: Mutex::default(),
            heard: watch::Sender::new(None),
            elsewhere: OnceLock::new(),
            counting: OnceLock::new(),
            records_heard: watch::Sender::new(None),
        }))
    }

    /// Who the hub is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The moment now, by the hub's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The hub's disk.
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// The alarms that stand.
    pub const fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Adds a local system's link; called once for each at the start.
    pub fn add_link(&self, name: &str, kind: &'static str, address: &str) -> Arc<Link> {
        let link = Arc::new(Link::new(name, kind, address, self.now()));
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&link));
        link
    }

    /// Shows a destination to operators.
    pub(super) fn add_delivery(&self, delivery: Arc<Delivery>) {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
    }

    /// The destinations.
    pub(super) fn deliveries(&self) -> Vec<Arc<Delivery>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The link to the centre, to be changed by what serves it.
    pub fn centre(&self) -> MutexGuard<'_, CentreStatus> {
        self.centre.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn view_status(&self) -> MutexGuard<'_, ViewStatus> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what became of a message, for the list of the newest.
    pub(super) fn note(&self, message: RecentMessage) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front(message);
        recent.truncate(HubStatus::RECENT_MAX);
    }

    /// How far others' bookings were heard, as it changes; none if nobody here listens.
    pub fn heard(&self) -> watch::Receiver<Option<HeardThrough>> {
        self.heard.subscribe()
    }

    /// How far what the centre tells of records elsewhere is durable here, as it changes; none if nobody here listens.
    pub fn records_heard(&self) -> watch::Receiver<Option<Vec<RecordsHeard>>> {
        self.records_heard.subscribe()
    }

    /// Whether the journal's writer answers: the hub lives.
    ///
    /// # Errors
    /// The journal is closed.
    pub async fn maintain(&self) -> Result<(), Closed> {
        self.journal.maintain().await?;
        self.answered_ms.store(self.elapsed_ms(), Ordering::Relaxed);
        self.watch_journal();
        self.deliveries().iter().for_each(|delivery| delivery.watch());
        Ok(())
    }

    /// How long ago the journal's writer last answered.
    pub(super) fn silence(&self) -> Duration {
        let answered = self.answered_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.elapsed_ms().saturating_sub(answered))
    }

    /// How long the hub has run, by the monotonic clock.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Gives the hub a WAN switch; once, at the start of a demonstration.
    pub fn set_wan_switch(&self, relay: Arc<Relay>) {
        if self.wan.set(relay).is_err() {
            tracing::warn!("the hub has a WAN switch already");
        }
    }

    /// Gives the hub its accounts, so that operators can look after them; once, at its start.
    pub fn set_sign_in(&self, sign_in: Arc<SignIn>) {
        if self.sign_in.set(sign_in).is_err() {
            tracing::warn!("the hub has its accounts already");
        }
    }

    /// The hub's accounts, if it was given them.
    pub fn accounts(&self) -> Option<Arc<SignIn>> {
        self.sign_in.get().cloned()
    }

    /// Gives the hub its audit trail; once, at its start.
    pub fn set_audit(&self, audit: Audit) {
        if self.audit.set(audit).is_err() {
            tracing::warn!("the hub has its audit trail already");
        }
    }

    /// The hub's audit trail; without one nothing may be disclosed.
    pub fn audit(&self) -> Option<&Audit> {
        self.audit.get()
    }

    /// Ends the audit trail and the journal in good order. Nothing is taken in after this.
    pub async fn close(&self) {
        if let Some(audit) = self.audit() {
            audit.end(self).await;
        }
        self.journal.close().await;
    }

    /// The hub's condition. Reads the disk: call it where blocking is allowed.
    pub fn condition(&self) -> HubStatus {
        let now = self.now();
        let journal = self.journal.shared().status();
        let alarms = self.alarms.standing();
        let condition = match (journal.accepting, alarms.is_empty()) {
            (false, _) => Condition::Refusing,
            (true, false) => Condition::Degraded,
            (true, true) => Condition::Ok,
        };
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner).clone();
        HubStatus {
            hub: self.identity.id.clone(),
            ods: self.identity.ods.clone(),
            name: self.identity.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started: self.started,
            now,
            clock: self.clock.quality(),
            condition,
            alarms,
            links: links.iter().map(|link| link.status()).collect(),
            deliveries: self.deliveries().iter().map(|delivery| delivery.status()).collect(),
            centre: self.centre().clone(),
            queue: Class::ALL.into_iter().map(|class| self.queue(class, &journal, now)).collect(),
            journal,
            view: self.view_status().clone(),
            parked: self.parked.count(),
            quarantined: self.quarantine.count(),
            recent: self.recent.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect(),
        }
    }

    /// What everybody at work should know of the links. Reads memory alone.
    pub fn link_strip(&self) -> LinkStrip {
        let (state, since) = {
            let centre = self.centre();
            (centre.state, centre.since)
        };
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let system = |link: &Arc<Link>| {
            let status = link.status();
            (status.name, status.state, status.since, status.last_message)
        };
        LinkStrip {
            now: self.now(),
            centre: state,
            since,
            queued: self.journal.shared().status().lanes.iter().map(|lane| lane.queued).sum(),
            systems: links.iter().map(system).collect(),
        }
    }

    fn queue(&self, class: Class, journal: &journal::Status, now: Timestamp) -> QueueStatus {
        let entries = journal.lanes.iter().find(|lane| lane.class == class).map_or(0, |lane| lane.queued);
        let oldest = self.oldest(class);
        let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        QueueStatus { class, entries, oldest, oldest_age_seconds: age.as_secs() }
    }

    /// When the oldest entry that the centre has not confirmed was accepted.
    fn oldest(&self, class: Class) -> Option<Timestamp> {
        let (shared, lane) = (self.journal.shared(), Lane::of(class));
        let stream = shared.streams(lane).into_iter().next()?;
        let mut reader = LaneReader::new(Arc::clone(shared), lane, stream.epoch, stream.released + 1);
        let chunk = reader.read(1, 1).ok()?;
        let record = chunk.records.first()?;
        super::receive::decode(&record.payload).map(|entry| entry.at)
    }

    fn watch_journal(&self) {
        let (status, now) = (self.journal.shared().status(), self.now());
        let raise = |stands, code, text: String| self.alarms.set(stands, code, "", text, now);
        let newly_refused =
            self.refused_full.swap(status.refused_full, Ordering::Relaxed) < status.refused_full;
        if !status.accepting {
            raise(true, AlarmCode::JournalRefusing, format!("senders are refused: {}", status.reason));
        } else if newly_refused {
            let text = "messages are refused: there is no more room for their class";
            raise(true, AlarmCode::JournalRefusing, text.to_owned());
            self.refused_ms.store(self.elapsed_ms(), Ordering::Relaxed);
        } else if REFUSAL_STANDS_MS < self.elapsed_ms() - self.refused_ms.load(Ordering::Relaxed) {
            self.alarms.clear(AlarmCode::JournalRefusing, "");
        }
        let nearly = status.capacity_bytes / 10 * 9 < status.used_bytes;
        let megabytes = |bytes: u64| bytes >> 20;
        raise(
            nearly,
            AlarmCode::JournalNearlyFull,
            format!("{} of {} MiB are used", megabytes(status.used_bytes), megabytes(status.capacity_bytes)),
        );
        raise(
            0 < status.damaged_bytes,
            AlarmCode::JournalDamaged,
            "acknowledged entries cannot be read back; the centre is told which".to_owned(),
        );
        let (quarantined, parked) = (self.quarantine.count(), self.parked.count());
        raise(
            0 < quarantined,
            AlarmCode::MessagesQuarantined,
            format!("{quarantined} messages could not be taken in"),
        );
        raise(
            0 < parked,
            AlarmCode::EntriesParked,
            format!("{parked} entries were refused by broker or centre"),
        );
    }
}
