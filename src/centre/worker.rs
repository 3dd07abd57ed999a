//! One of the centre's workers: receives batches, has them stored, publishes receipts, acknowledges.
//!
//! One batch is one commit: a hub's batches are large already, and the database groups the workers' commits.
//! A receipt is handed over before the delivery is acknowledged, but its own PUBACK is not waited for: a hub
//! that misses a receipt sends again, and is told again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    codec::cbor,
    domain::{
        audit::CHECKPOINT_KIND,
        entry::{Health, Receipt},
        ids::HubId,
    },
    sync::{
        backoff::Backoff,
        batch::PLAIN,
        uplink::{Command, Event, Inbound, Publication, Session, Ticket, Uplink, UplinkError},
    },
    sys::{clock::Clock, entropy::Entropy},
};

use super::{
    audit::Trails,
    ingest::{self, Checked},
    store::{CommitError, Committed, Store},
};

/// How long to wait before a store that failed is tried again, the first time; doubles with each time.
const STORE_AGAIN: Duration = Duration::from_millis(250);
/// The longest such wait: a database that has been restarted is to be used soon.
const STORE_AGAIN_MAX: Duration = Duration::from_secs(8);
/// How long the broker may take to end a session.
const GOODBYE: Duration = Duration::from_secs(2);
/// A hub's health is a few hundred bytes.
const HEALTH_BYTES_MAX: usize = 64 << 10;
/// Hubs whose health is remembered; London has a few hundred.
const HUBS_MAX: usize = 10_000;

/// What all workers count, since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Batches stored.
    pub batches: AtomicU64,
    /// Entries that were not known before.
    pub entries: AtomicU64,
    /// Entries that were.
    pub duplicates: AtomicU64,
    /// Numbers that two entries claimed.
    pub conflicts: AtomicU64,
    /// Entries refused as malformed.
    pub refused: AtomicU64,
    /// Batches that could not be read, or that the store can never take.
    pub rejected: AtomicU64,
    /// Receipts that named a gap.
    pub gaps: AtomicU64,
    /// Attempts that the store failed.
    pub store_failures: AtomicU64,
    /// Connections to the broker.
    pub connections: AtomicU64,
    /// Checkpoints of hubs' audit trails that contradict what was seen before.
    pub audit_troubles: AtomicU64,
    /// Hubs' audit trails.
    pub trails: Trails,
    /// What each hub last said of itself.
    pub health: Mutex<BTreeMap<HubId, Health>>,
}

/// A worker.
pub struct Worker {
    /// Its way to the broker, with its subscriptions.
    pub uplink: Box<dyn Uplink>,
    /// Where batches go.
    pub store: Arc<Store>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// For back-off.
    pub entropy: Entropy,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

impl Worker {
    /// Works until `stop` changes.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (mut backoff, began) = (Backoff::default(), Instant::now());
        while !*stop.borrow() {
            let connected = tokio::select! {
                connected = self.uplink.connect() => connected,
                _ = stop.changed() => return,
            };
            let ended = match connected {
                Ok(session) => {
                    tracing::info!("connected to the broker");
                    self.metrics.connections.fetch_add(1, Ordering::Relaxed);
                    backoff.connected(began.elapsed());
                    self.serve(session, &mut stop).await
                }
                Err(error) => error,
            };
            if *stop.borrow() {
                return;
            }
            let wait = backoff.failed(began.elapsed(), self.entropy.next_u64());
            tracing::warn!(error = %ended, wait_seconds = wait.as_secs_f32(), "no connection to the broker");
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.changed() => return,
            }
        }
    }

    async fn serve(&self, mut session: Session, stop: &mut watch::Receiver<bool>) -> UplinkError {
        let mut tickets = 0;
        loop {
            let event = tokio::select! {
                event = session.events.recv() => event,
                _ = stop.changed() => {
                    say_goodbye(&mut session).await;
                    return UplinkError::Requested;
                }
            };
            match event {
                Some(Event::Received(delivery, inbound)) => {
                    let answered = tokio::select! {
                        receipt = self.take(&inbound) => receipt,
                        _ = stop.changed() => return UplinkError::Requested,
                    };
                    if let Some(publication) = answered.as_ref().and_then(publication) {
                        tickets += 1;
                        if session
                            .commands
                            .send(Command::Publish(Ticket(tickets), publication))
                            .await
                            .is_err()
                        {
                            continue;
                        }
                    }
                    if session.commands.send(Command::Acknowledge(delivery)).await.is_err() {
                        tracing::debug!("the session ended before a batch could be acknowledged");
                    }
                }
                Some(Event::Acknowledged(_)) => {}
                Some(Event::Refused(_, reason)) => tracing::error!(%reason, "the broker refuses receipts"),
                Some(Event::Closed(error)) => return error,
                None => return UplinkError::Broken("the session ended without a word".to_owned()),
            }
        }
    }

    /// Has a message stored; returns what the hub is to be told. While the store fails it waits, and takes
    /// nothing else: the broker keeps the rest.
    async fn take(&self, inbound: &Inbound) -> Option<Receipt> {
        if inbound.topic.ends_with("/status") {
            self.note_health(inbound);
            return None;
        }
        let read = ingest::read(&inbound.topic, inbound.content_type.as_deref(), &inbound.payload);
        let batch = match read {
            Ok(batch) => batch,
            Err(rejection) => {
                self.metrics.rejected.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(topic = inbound.topic, error = %rejection, "a batch cannot be read");
                ingest::refuse_single(&inbound.topic, &inbound.user_properties, &rejection)?
            }
        };
        let batch = Checked { confirmed: ingest::confirmed(&inbound.user_properties), ..batch };
        let reason = match self.commit(&batch).await {
            Ok(committed) => {
                self.see_checkpoints(&batch).await;
                return Some(self.count(&batch, committed));
            }
            Err(reason) => reason,
        };
        self.metrics.rejected.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            topic = inbound.topic,
            first = batch.first,
            last = batch.last,
            reason,
            "a batch is left"
        );
        let batch = ingest::refuse_unstorable(batch)?;
        let committed = self.commit(&batch).await.ok()?;
        Some(self.count(&batch, committed))
    }

    /// Compares checkpoints of the hub's audit trail with those before. What is wrong is said here, and changes nothing
    /// of what is stored: it is evidence.
    async fn see_checkpoints(&self, batch: &Checked) {
        for entry in batch.entries.iter().filter(|entry| entry.kind == CHECKPOINT_KIND) {
            let raw = entry.raw.as_deref().unwrap_or_default();
            for trouble in self.metrics.trails.see(&self.store, &batch.hub, raw).await {
                self.metrics.audit_troubles.fetch_add(1, Ordering::Relaxed);
                tracing::error!(hub = %batch.hub, %trouble, "a hub's audit trail is not what it was");
            }
        }
    }

    /// Waits for a store that is away; returns why, if it is there and will never take the batch.
    async fn commit(&self, batch: &Checked) -> Result<Committed, String> {
        let mut wait = STORE_AGAIN;
        loop {
            match self.store.commit(batch, self.clock.now()).await {
                Ok(committed) => return Ok(committed),
                Err(CommitError::Unstorable(reason)) => return Err(reason),
                Err(error @ CommitError::Unavailable(_)) => {
                    self.metrics.store_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "a batch could not be stored: trying again");
                    sleep(wait).await;
                    wait = (wait * 2).min(STORE_AGAIN_MAX);
                }
            }
        }
    }

    fn count(&self, batch: &Checked, committed: Committed) -> Receipt {
        let count = |counter: &AtomicU64, more| counter.fetch_add(more, Ordering::Relaxed);
        count(&self.metrics.batches, 1);
        count(&self.metrics.entries, committed.new);
        count(&self.metrics.duplicates, committed.duplicates);
        count(&self.metrics.conflicts, committed.conflicts);
        count(&self.metrics.refused, batch.refused.len() as u64);
        count(&self.metrics.gaps, u64::from(!committed.receipt.gaps.is_empty()));
        committed.receipt
    }

    fn note_health(&self, inbound: &Inbound) {
        let Ok(health) = cbor::decode::<Health>(&inbound.payload, HEALTH_BYTES_MAX) else { return };
        if inbound.topic.split('/').nth(2) != Some(health.hub.as_str()) {
            return;
        }
        let mut known = self.metrics.health.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < HUBS_MAX || known.contains_key(&health.hub) {
            known.insert(health.hub.clone(), health);
        }
    }
}

async fn say_goodbye(session: &mut Session) {
    let ended = async {
        if session.commands.send(Command::Disconnect).await.is_ok() {
            while session.events.recv().await.is_some() {}
        }
    };
    if timeout(GOODBYE, ended).await.is_err() {
        tracing::debug!("the broker did not take the goodbye in time");
    }
}

/// A receipt on its way. Retained, so that a hub that connects later has it at once. With several workers an
/// older one may overtake a newer one; a hub takes from each what is news to it.
fn publication(receipt: &Receipt) -> Option<Publication> {
    Some(Publication {
        topic: format!("polygate/{}/{}/receipt/{}", receipt.v, receipt.hub, receipt.class),
        payload: Bytes::from(cbor::encode(receipt).ok()?),
        content_type: Some(PLAIN),
        retain: true,
        user_properties: Vec::new(),
    })
}
