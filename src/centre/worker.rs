//! One of the centre's workers: receives batches, has them stored, publishes receipts, acknowledges.

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
    time::{Instant, sleep},
};

use crate::{
    codec::cbor,
    domain::{
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

use super::{ingest, store::Store};

/// How long to wait before a store that failed is tried again.
const STORE_AGAIN: Duration = Duration::from_millis(500);
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
    /// Batches that could not be read.
    pub rejected: AtomicU64,
    /// Attempts that the store failed.
    pub store_failures: AtomicU64,
    /// Connections to the broker.
    pub connections: AtomicU64,
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
                    let goodbye = session.commands.send(Command::Disconnect).await;
                    while goodbye.is_ok() && session.events.recv().await.is_some() {}
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
        self.metrics.refused.fetch_add(batch.refused.len() as u64, Ordering::Relaxed);
        loop {
            match self.store.commit(&batch, self.clock.now()).await {
                Ok(committed) => {
                    let count = |counter: &AtomicU64, more| counter.fetch_add(more, Ordering::Relaxed);
                    count(&self.metrics.batches, 1);
                    count(&self.metrics.entries, committed.new);
                    count(&self.metrics.duplicates, committed.duplicates);
                    count(&self.metrics.conflicts, committed.conflicts);
                    return Some(committed.receipt);
                }
                Err(error) => {
                    self.metrics.store_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "a batch could not be stored: trying again");
                    sleep(STORE_AGAIN).await;
                }
            }
        }
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
