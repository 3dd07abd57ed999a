//! A destination as the hub and its operators hold it: its desk, its standing, and what may be decided about it.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use crate::{
    domain::{entry::Entry, ids::Class, time::Timestamp},
    flow::{alarm::AlarmCode, hub::Hub, status::DeliveryStatus, status::LinkState},
};

use super::{
    Answer, Destination, Parcel,
    desk::{Desk, Note, Tools, name_of},
    lanes::{Order, Pace},
    round::Round,
    routes::{Registrations, Route, Routes},
};

/// A destination that has taken nothing for this long, and refuses or does not answer, is down.
const DOWN_AFTER: Duration = Duration::from_secs(60);

/// Makes a destination: one for each message that may be under way, and one for previews.
pub type Make = Box<dyn Fn() -> Box<dyn Destination> + Send + Sync>;

/// How a destination is to be served.
pub struct Options {
    /// The configured name of the system: what it sent itself is never sent back to it.
    pub name: String,
    /// The kind of system, as people name it.
    pub kind: &'static str,
    /// Where it is reached, for operators.
    pub address: String,
    /// Its ODS code, if it is a practice.
    pub ods: Option<String>,
    /// All routes; those that do not lead here are left aside.
    pub routes: Vec<Route>,
    /// How it wants to be sent messages.
    pub pace: Pace,
    /// Where patients are registered.
    pub registrations: Arc<dyn Registrations>,
    /// Makes its connections.
    pub make: Make,
}

/// A destination that is being served. Operators and its task share it.
pub struct Delivery {
    pub(super) hub: Arc<Hub>,
    pub(super) name: String,
    kind: &'static str,
    address: String,
    pub(super) consumer: String,
    pub(super) window: usize,
    pub(super) make: Make,
    previewer: Mutex<Box<dyn Destination>>,
    desk: Mutex<Desk>,
    status: Mutex<Standing>,
    wake: Notify,
    began: Instant,
}

/// What operators see, kept apart from the desk, which may be at the disk.
#[derive(Debug, Default)]
struct Standing {
    last_accepted: Option<Timestamp>,
    /// Since when nothing was taken though it was sent, and why.
    failing: Option<(Timestamp, String)>,
    queued: u64,
    in_flight: u64,
    parked: u64,
    held: u64,
    oldest: Option<Timestamp>,
    accepted: u64,
    again: u64,
    missed: u64,
    held_up: String,
}

/// A parked message as operators see it.
#[derive(Clone, Debug)]
pub struct ParkedMessage {
    /// Its file's name, under which operators' commands name it.
    pub name: String,
    /// How urgent it is.
    pub class: Class,
    /// What kind, such as `ORU^R01`.
    pub kind: String,
    /// From which system.
    pub system: String,
    /// The sender's own identifier.
    pub source_id: String,
    /// Why it is parked.
    pub reason: String,
    /// When it was parked.
    pub at: Timestamp,
    /// How many messages of its patient wait behind it.
    pub behind: u64,
    order: Order,
}

/// The journal's name for a destination, for [`Options::consumers`](crate::journal::Options).
pub fn consumer(name: &str) -> String {
    format!("deliver-{name}")
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({})", self.name)
    }
}

impl Delivery {
    /// Opens a destination where it was left, and shows it to operators. To be called before anything is taken in,
    /// with [`consumer`] among the journal's consumers. `state` is the hub's folder. Reads the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(hub: &Arc<Hub>, state: &Path, options: Options) -> io::Result<Arc<Self>> {
        let Options { name, kind, address, ods, routes, pace, registrations, make } = options;
        let parent = state.join("deliver");
        hub.disk.create_directory(&parent)?;
        let tools = Tools {
            shared: Arc::clone(hub.journal.shared()),
            disk: Arc::clone(&hub.disk),
            translate: hub.translate,
            registrations,
            routes: Routes::to(&name, ods.as_deref(), &routes),
            pace,
            consumer: consumer(&name),
            directory: parent.join(&name),
        };
        let desk = Desk::open(tools)?;
        let delivery = Arc::new(Self {
            hub: Arc::clone(hub),
            consumer: consumer(&name),
            name,
            kind,
            address,
            window: pace.window,
            previewer: Mutex::new(make()),
            make,
            desk: Mutex::new(desk),
            status: Mutex::default(),
            wake: Notify::new(),
            began: Instant::now(),
        });
        delivery.note(&delivery.desk());
        hub.add_delivery(Arc::clone(&delivery));
        Ok(delivery)
    }

    /// Delivers until `stop` changes; then waits a little for what is under way.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut commits = self.hub.journal.shared().commits();
        let mut round = Round::new(&self);
        while !*stop.borrow() {
            commits.mark_unchanged();
            let wait = round.turn().await;
            tokio::select! {
                Some(ended) = round.flying.join_next_with_id(), if !round.flying.is_empty() => round.landed(ended),
                Ok(()) = commits.changed() => {}
                () = self.wake.notified() => {}
                () = sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        round.end().await;
    }

    /// The configured name of the system.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parked messages, oldest first.
    pub fn parked(&self) -> Vec<ParkedMessage> {
        self.desk().parked().into_iter().map(parked_message).collect()
    }

    /// Lets a parked message be sent again; false if there is none of that name. Writes to disk.
    ///
    /// # Errors
    /// The disk's: it stays parked.
    pub fn release(&self, parked: &ParkedMessage) -> io::Result<bool> {
        let done = self.desk().release(parked.order, self.hub.now());
        self.wake.notify_one();
        done
    }

    /// Gives a parked message up; false if there is none of that name. Writes to disk.
    ///
    /// # Errors
    /// The disk's: it may come back after a restart.
    pub fn skip(&self, parked: &ParkedMessage) -> io::Result<bool> {
        let done = self.desk().skip(parked.order);
        self.wake.notify_one();
        done
    }

    /// Sends a message once more, or for the first time, behind everything taken in so far. Writes to disk.
    ///
    /// # Errors
    /// The disk's, or too much is parked already.
    pub fn resend(&self, id: &str, class: Class, entry: Entry) -> io::Result<()> {
        let done = self.desk().resend(id, class, entry, self.hub.now());
        self.wake.notify_one();
        done
    }

    /// A parked message as it was taken in. Reads the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn parcel(&self, parked: &ParkedMessage) -> io::Result<Option<Parcel>> {
        self.desk().parcel(parked.order)
    }

    /// What would be sent.
    ///
    /// # Errors
    /// Why nothing can be made of it for this destination.
    pub fn preview(&self, parcel: &Parcel) -> Result<Bytes, String> {
        self.previewer.lock().unwrap_or_else(PoisonError::into_inner).preview(parcel)
    }

    /// The destination for operators.
    pub fn status(&self) -> DeliveryStatus {
        let now = self.hub.now();
        let standing = self.standing();
        let failing = standing.failing.as_ref();
        let state = match failing {
            Some((since, _)) if DOWN_AFTER <= now.since(*since) => LinkState::Down,
            Some(_) => LinkState::Waiting,
            None if standing.last_accepted.is_some() => LinkState::Up,
            None => LinkState::Waiting,
        };
        let oldest_age_seconds = standing.oldest.map_or(0, |oldest| now.since(oldest).as_secs());
        DeliveryStatus {
            name: self.name.clone(),
            kind: self.kind,
            address: self.address.clone(),
            state,
            detail: failing.map_or_else(|| standing.held_up.clone(), |(_, reason)| reason.clone()),
            queued: standing.queued,
            in_flight: standing.in_flight,
            parked: standing.parked,
            held: standing.held,
            oldest: standing.oldest,
            oldest_age_seconds,
            last_accepted: standing.last_accepted,
            accepted: standing.accepted,
            again: standing.again,
            missed: standing.missed,
        }
    }

    /// Raises and clears this destination's alarms. To be called each second.
    pub(in crate::flow) fn watch(&self) {
        let (status, now, alarms) = (self.status(), self.hub.now(), self.hub.alarms());
        let text = format!("nothing can be delivered to {}: {}", status.address, status.detail);
        alarms.set(status.state == LinkState::Down, AlarmCode::DestinationDown, &self.name, text, now);
        let text = format!(
            "{} messages are parked, {} more of the same patients wait behind them",
            status.parked, status.held
        );
        alarms.set(0 < status.parked, AlarmCode::DeliveryParked, &self.name, text, now);
        let missed = status.missed + self.hub.journal.shared().overtaken(&self.consumer);
        let text =
            format!("up to {missed} messages were not delivered: the journal had no room left to wait");
        alarms.set(0 < missed, AlarmCode::DeliveryMissed, &self.name, text, now);
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why nothing is read for it for now.
    pub(super) fn is_held_up_by(&self, reason: String) {
        self.standing().held_up = reason;
    }

    pub(super) fn is_held_up(&self) -> bool {
        !self.standing().held_up.is_empty()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what operators are to see of the desk.
    pub(super) fn note(&self, desk: &Desk) {
        let (lanes, counters) = (desk.lanes(), desk.counters);
        let count = |number: usize| number as u64;
        let mut standing = self.standing();
        standing.queued = count(lanes.count().saturating_sub(lanes.parked().len()));
        standing.in_flight = count(lanes.in_flight());
        standing.parked = count(lanes.parked().len());
        standing.held = count(desk.held());
        standing.oldest = desk.oldest();
        standing.accepted = counters.accepted;
        standing.again = counters.again;
        standing.missed = counters.missed;
        desk.held_up.clone_into(&mut standing.held_up);
    }

    pub(super) fn heard(&self, answers: &[(Order, Answer)]) {
        let now = self.hub.now();
        let mut standing = self.standing();
        for (_, answer) in answers {
            match answer {
                Answer::Accepted => (standing.last_accepted, standing.failing) = (Some(now), None),
                Answer::Stop(_) => standing.failing = None,
                Answer::Again(reason) => {
                    let since = standing.failing.as_ref().map_or(now, |(since, _)| *since);
                    standing.failing = Some((since, reason.clone()));
                }
            }
        }
    }
}

fn parked_message((order, note, behind): (Order, Note, usize)) -> ParkedMessage {
    ParkedMessage {
        name: name_of(order),
        class: note.class,
        kind: note.kind,
        system: note.system,
        source_id: note.source_id,
        reason: note.parked.unwrap_or_default(),
        at: note.at,
        behind: behind as u64,
        order,
    }
}

#[cfg(test)]
mod tests;
