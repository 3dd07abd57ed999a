//! Records across hubs: what a hub has opened goes to it from what others have sent, and goes on coming; and whoever has
//! given something of it is told who has opened it.
//!
//! The entries in the store are the truth, and this holds nothing that is not made again from them: a new connection, or
//! another process, begins a new run for each hub from the moment that the hub says it has heard.

pub mod desk;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
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
        elsewhere::HELD_MAX_MS,
        entry::{Health, WIRE_VERSION},
        ids::HubId,
        nhs_number::NhsNumber,
        time::Timestamp,
    },
    sync::{
        backoff::Backoff,
        batch::PLAIN,
        uplink::{Command, Event, Publication, Session, Ticket, Uplink, UplinkError},
    },
    sys::{clock::Clock, entropy::Entropy},
};

use super::{
    relay::say_goodbye,
    store::{Following, Store, StoreError},
    worker::Metrics,
};
use desk::{ENTRIES_MAX, Parcel, RecordDesk, Work};

/// How often the store is looked at: a change reaches other hubs within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A hub's health is a few hundred bytes, and how far it has heard a few hundred hubs.
const HEALTH_BYTES_MAX: usize = 64 << 10;
/// Messages to one hub in one look: others wait meanwhile.
const MESSAGES_MAX: usize = 4;

/// The relay of records of one process.
pub struct Records {
    /// Its way to the broker, subscribed to the hubs' conditions.
    pub uplink: Box<dyn Uplink>,
    /// Where entries are.
    pub store: Arc<Store>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// For back-off, and to name runs.
    pub entropy: Entropy,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// The hubs that have given something, by patient, for as long as one look takes.
type Given = BTreeMap<NhsNumber, BTreeSet<HubId>>;

/// What is known as long as a connection stands.
struct Serving {
    desk: RecordDesk,
    following: Following,
    began: Instant,
}

impl Records {
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
                    backoff.connected(began.elapsed());
                    self.serve(session, &mut stop).await
                }
                Err(error) => error,
            };
            if *stop.borrow() {
                return;
            }
            let wait = backoff.failed(began.elapsed(), self.entropy.next_u64());
            tracing::warn!(error = %ended, wait_seconds = wait.as_secs_f32(), "the relay of records has no connection");
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.changed() => return,
            }
        }
    }

    async fn serve(&mut self, mut session: Session, stop: &mut watch::Receiver<bool>) -> UplinkError {
        let mut serving = None;
        let mut waiting = Vec::new();
        let mut tickets = 0;
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                event = session.events.recv() => match event {
                    Some(Event::Received(delivery, inbound)) => {
                        waiting.push((inbound.topic.clone(), inbound.payload.clone()));
                        if session.commands.send(Command::Acknowledge(delivery)).await.is_err() {
                            tracing::debug!("the session ended before a condition could be acknowledged");
                        }
                        continue;
                    }
                    Some(Event::Acknowledged(_)) => continue,
                    Some(Event::Refused(_, reason)) => {
                        tracing::error!(%reason, "the broker refuses what is for a hub");
                        continue;
                    }
                    Some(Event::Closed(error)) => return error,
                    None => return UplinkError::Broken("the session ended without a word".to_owned()),
                },
                () = tokio::time::sleep_until(look_at) => {}
                _ = stop.changed() => {
                    say_goodbye(&mut session).await;
                    return UplinkError::Requested;
                }
            }
            look_at = Instant::now() + LOOK_EVERY;
            let looked = self.look(&mut serving, &mut waiting).await;
            let publications = match looked {
                Ok(publications) => publications,
                Err(error) => {
                    self.metrics.store_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "the relay of records cannot read the store: trying again");
                    serving = None;
                    continue;
                }
            };
            for publication in publications {
                tickets += 1;
                if session.commands.try_send(Command::Publish(Ticket(tickets), publication)).is_err() {
                    // The window is full: what was not sent is not heard of, and sent again.
                    break;
                }
            }
        }
    }

    /// Takes in what is new, and says what is to be sent.
    async fn look(
        &mut self,
        serving: &mut Option<Serving>,
        waiting: &mut Vec<(String, Bytes)>,
    ) -> Result<Vec<Publication>, StoreError> {
        if serving.is_none() {
            *serving = Some(self.begin().await?);
        }
        let Some(serving) = serving else { return Ok(Vec::new()) };
        let elapsed = serving.began.elapsed();
        for (topic, payload) in waiting.drain(..) {
            if let Ok(health) = cbor::decode::<Health>(&payload, HEALTH_BYTES_MAX) {
                serving.desk.note_health(&topic, &health, self.entropy.next_u64(), elapsed);
            }
        }
        let now = self.clock.now();
        loop {
            let arrivals = self.store.arrivals(&mut serving.following).await?;
            if arrivals.is_empty() {
                break;
            }
            arrivals.iter().for_each(|arrived| serving.desk.arrived(arrived, now));
        }
        for (hub, since) in serving.desk.beginning() {
            let opened = self.store.opened_since(since.max(Timestamp(now.0 - HELD_MAX_MS))).await?;
            serving.desk.begin(&hub, &opened, now);
        }
        serving.desk.looked(serving.following.whole_until(now));
        let (mut publications, mut given) = (Vec::new(), Given::new());
        for hub in serving.desk.ready(self.entropy.next_u64(), elapsed) {
            for _ in 0..MESSAGES_MAX {
                let (parcel, more) = self.pack(&mut serving.desk, &hub, &mut given).await?;
                publications.extend(publication(&mut serving.desk, &hub, parcel, now, elapsed));
                if !more || !serving.desk.ready(self.entropy.next_u64(), elapsed).contains(&hub) {
                    break;
                }
            }
        }
        Ok(publications)
    }

    /// Who holds what, and a place to follow what comes.
    async fn begin(&self) -> Result<Serving, StoreError> {
        // The place first: what is said in between is read twice, and not missed.
        let following = self.store.follow_from_now().await?;
        let now = self.clock.now();
        let mut desk = RecordDesk::default();
        for opened in self.store.opened_since(Timestamp(now.0 - HELD_MAX_MS)).await? {
            desk.arrived(&opened, now);
        }
        Ok(Serving { desk, following, began: Instant::now() })
    }

    /// Puts together the next message to a hub; and whether there is more.
    async fn pack(
        &self,
        desk: &mut RecordDesk,
        hub: &HubId,
        given: &mut Given,
    ) -> Result<(Parcel, bool), StoreError> {
        let mut parcel = Parcel::default();
        while !parcel.is_full() {
            let Some(work) = desk.next(hub) else { return Ok((parcel, false)) };
            match work {
                Work::Entry(entry, patient) => {
                    if let Some(until) = desk.until(hub, &patient) {
                        parcel.add(patient, until, *entry);
                    }
                }
                Work::Answer(patient, answers) => {
                    if let Some(until) = desk.until(hub, &patient) {
                        parcel.portion(patient, until).answers = answers;
                    }
                }
                Work::Opened(opened) => {
                    if self.has_given(hub, &opened.patient, given).await? {
                        parcel.tell(*opened);
                    }
                }
                Work::Whole { patient, since, answers } => {
                    self.pack_whole(desk, hub, &mut parcel, (patient, since, answers)).await?;
                }
            }
        }
        Ok((parcel, true))
    }

    /// Puts in what others have of a patient; what does not fit comes in the next message, and then the answer is whole.
    async fn pack_whole(
        &self,
        desk: &mut RecordDesk,
        hub: &HubId,
        parcel: &mut Parcel,
        (patient, since, answers): (NhsNumber, Timestamp, String),
    ) -> Result<(), StoreError> {
        let Some(until) = desk.until(hub, &patient) else { return Ok(()) };
        let found = self.store.of_patient(patient.as_str(), since, ENTRIES_MAX + 1).await?;
        let too_many = found.len().saturating_sub(ENTRIES_MAX);
        let others =
            found.into_iter().skip(too_many).map(|arrived| arrived.held).filter(|held| held.hub != *hub);
        let mut rest = Vec::new();
        for held in others {
            if parcel.is_full() {
                rest.push(held);
            } else {
                parcel.add(patient, until, held);
            }
        }
        let portion = parcel.portion(patient, until);
        portion.omitted += u32::try_from(too_many).unwrap_or(u32::MAX);
        if rest.is_empty() {
            portion.answers = answers;
            return Ok(());
        }
        // The last first, so that the first is done first; the answer is said with the last.
        if !answers.is_empty() {
            desk.put_back(hub, Work::Answer(patient, answers));
        }
        for held in rest.into_iter().rev() {
            desk.put_back(hub, Work::Entry(Box::new(held), patient));
        }
        Ok(())
    }

    /// Whether a hub has given something of a patient. Every hub is asked for in turn: the store is asked once.
    async fn has_given(
        &self,
        hub: &HubId,
        patient: &NhsNumber,
        given: &mut Given,
    ) -> Result<bool, StoreError> {
        if !given.contains_key(patient) {
            given.insert(*patient, self.store.hubs_of(patient.as_str()).await?);
        }
        Ok(given.get(patient).is_some_and(|hubs| hubs.contains(hub)))
    }
}

fn publication(
    desk: &mut RecordDesk,
    hub: &HubId,
    parcel: Parcel,
    now: Timestamp,
    elapsed: Duration,
) -> Option<Publication> {
    // What others have opened bears on few hubs.
    if parcel.is_empty() && !desk.must_speak(hub, elapsed) {
        return None;
    }
    let down = desk.number(hub, parcel, now, elapsed)?;
    Some(Publication {
        topic: format!("polygate/{WIRE_VERSION}/{hub}/down/record"),
        payload: Bytes::from(cbor::encode(&down).ok()?),
        content_type: Some(PLAIN),
        retain: false,
        user_properties: Vec::new(),
    })
}
