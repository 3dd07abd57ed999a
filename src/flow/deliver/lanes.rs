//! Which message may be sent to a destination now: sans-I/O. Messages, answers and the time go in; what to send next
//! and when to look again come out.
//!
//! Messages that share a patient's key stay in the order they came in, and only one of them is under way at a time;
//! of different patients as many are as the window allows. A message with several keys, such as a merge, waits for
//! what came earlier under each of them. One that is parked keeps what came later under its keys behind it, and
//! nobody else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{domain::ids::Class, sys::entropy::Entropy};

use super::{Answer, Position};

/// A hash of an identifier of a patient's.
pub type Key = [u8; 16];

/// The first wait after a message was not taken.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// So many messages in a row may not be taken before the destination itself is given a rest: one patient's locked
/// record is no reason to keep the others waiting.
const FAILURES_BEFORE_REST: u32 = 3;

/// Where a message stands among those to be sent.
#[derive(
    Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
pub struct Order {
    /// Its place in the journal; for one that an operator sends again, where the journal ended then.
    pub position: Position,
    /// Zero, or which of the operators' repetitions it is.
    pub again: u64,
}

/// How a destination wants to be sent messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// Messages under way at once, each of another patient.
    pub window: usize,
    /// Messages a minute at most; 0 for no limit.
    pub per_minute: u32,
    /// The longest wait before a message is sent again.
    pub wait_max: Duration,
    /// A message that was not taken so often is parked, if others have been taken meanwhile: then it is not the
    /// destination that is ill.
    pub attempts_max: u32,
}

impl Default for Pace {
    /// One message at a time, as MLLP wants it. With a wait of five minutes, 300 attempts last for a day.
    fn default() -> Self {
        Self { window: 1, per_minute: 0, wait_max: Duration::from_secs(300), attempts_max: 300 }
    }
}

/// What an answer means for its message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is done with.
    Done,
    /// It will be sent again.
    Again,
    /// It is parked, for this reason.
    Parked(String),
    /// No such message is under way: an answer that came twice.
    Stray,
}

/// A destination's messages, by patient and order. Moments are durations since any fixed one.
#[derive(Debug)]
pub struct Lanes {
    pace: Pace,
    items: BTreeMap<Order, Item>,
    queues: BTreeMap<Key, BTreeSet<Order>>,
    /// First under all their keys; urgent ones before others.
    ready: BTreeSet<(Class, Order)>,
    waiting: BTreeSet<(Duration, Order)>,
    in_flight: BTreeSet<Order>,
    parked: BTreeSet<Order>,
    failures: u32,
    rests_until: Duration,
    next_send: Duration,
    accepted: u64,
}

#[derive(Debug)]
struct Item {
    class: Class,
    keys: Vec<Key>,
    attempts: u32,
    /// How many messages the destination had taken when this one was first not taken.
    accepted_before: u64,
    /// When it may be sent again, if it was not taken.
    waits_until: Option<Duration>,
    /// Behind a parked one.
    held: bool,
}

impl Lanes {
    /// Lanes without messages.
    pub const fn new(pace: Pace) -> Self {
        Self {
            pace,
            items: BTreeMap::new(),
            queues: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            parked: BTreeSet::new(),
            failures: 0,
            rests_until: Duration::ZERO,
            next_send: Duration::ZERO,
            accepted: 0,
        }
    }

    /// Adds a message. One without keys waits for nobody.
    pub fn add(&mut self, order: Order, class: Class, mut keys: Vec<Key>) {
        keys.sort_unstable();
        keys.dedup();
        let held = keys.iter().any(|key| {
            let queue = self.queues.get(key).into_iter().flatten();
            queue.into_iter().take_while(|earlier| **earlier < order).any(|earlier| self.holds(*earlier))
        });
        for key in &keys {
            self.queues.entry(*key).or_default().insert(order);
        }
        let item = Item { class, keys, attempts: 0, accepted_before: 0, waits_until: None, held };
        self.items.insert(order, item);
        self.consider(order);
    }

    /// The message to be sent now, if there is one; it then is under way.
    pub fn next(&mut self, now: Duration) -> Option<Order> {
        if self.pace.window <= self.in_flight.len() || now < self.rests_until.max(self.next_send) {
            return None;
        }
        while let Some((until, order)) = self.waiting.first().copied()
            && until <= now
        {
            self.withdraw(order);
            self.consider(order);
        }
        let (_, order) = self.ready.pop_first()?;
        self.in_flight.insert(order);
        if let Some(apart) = Duration::from_secs(60).checked_div(self.pace.per_minute) {
            self.next_send = now + apart;
        }
        Some(order)
    }

    /// When [`Lanes::next`] may have something that it has not now, if nothing else happens.
    pub fn deadline(&self) -> Option<Duration> {
        if self.pace.window <= self.in_flight.len() {
            return None;
        }
        let first = match (self.ready.is_empty(), self.waiting.first()) {
            (false, _) => Duration::ZERO,
            (true, Some((until, _))) => *until,
            (true, None) => return None,
        };
        Some(first.max(self.rests_until).max(self.next_send))
    }

    /// What the destination said of a message that is under way.
    pub fn answered(&mut self, order: Order, answer: &Answer, now: Duration, entropy: &mut Entropy) -> Fate {
        if !self.in_flight.remove(&order) {
            return Fate::Stray;
        }
        match answer {
            Answer::Accepted => {
                (self.failures, self.rests_until) = (0, Duration::ZERO);
                self.accepted += 1;
                self.remove(order);
                Fate::Done
            }
            Answer::Stop(reason) => {
                self.failures = 0;
                self.park(order);
                Fate::Parked(reason.clone())
            }
            Answer::Again(reason) => self.not_taken(order, reason, now, entropy),
        }
    }

    fn not_taken(&mut self, order: Order, reason: &str, now: Duration, entropy: &mut Entropy) -> Fate {
        let (accepted, pace) = (self.accepted, self.pace);
        let Some(item) = self.items.get_mut(&order) else { return Fate::Stray };
        if item.attempts == 0 {
            item.accepted_before = accepted;
        }
        item.attempts += 1;
        let attempts = item.attempts;
        if pace.attempts_max <= attempts && item.accepted_before < accepted {
            self.park(order);
            return Fate::Parked(format!("not taken in {attempts} attempts: {reason}"));
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(FAILURES_BEFORE_REST) {
            self.rests_until = now + wait(beyond, pace.wait_max, entropy);
        }
        let until = now + wait(attempts - 1, pace.wait_max, entropy);
        if let Some(item) = self.items.get_mut(&order) {
            item.waits_until = Some(until);
        }
        self.waiting.insert((until, order));
        Fate::Again
    }

    /// Parks a message that is not under way.
    pub fn park(&mut self, order: Order) {
        if self.items.contains_key(&order) {
            self.withdraw(order);
            self.parked.insert(order);
            self.mark_held();
        }
    }

    /// Lets a parked message be sent again.
    pub fn release(&mut self, order: Order) -> bool {
        let was_parked = self.parked.remove(&order);
        if was_parked {
            if let Some(item) = self.items.get_mut(&order) {
                (item.attempts, item.accepted_before) = (0, 0);
            }
            self.mark_held();
            self.consider(order);
        }
        was_parked
    }

    /// Takes a message out: it is done with. What waited for it may go.
    pub fn remove(&mut self, order: Order) {
        let was_parked = self.parked.remove(&order);
        self.withdraw(order);
        self.in_flight.remove(&order);
        let Some(item) = self.items.remove(&order) else { return };
        let mut freed = BTreeSet::new();
        for key in &item.keys {
            let Some(queue) = self.queues.get_mut(key) else { continue };
            queue.remove(&order);
            freed.extend(queue.first());
            if queue.is_empty() {
                self.queues.remove(key);
            }
        }
        if was_parked {
            self.mark_held();
        }
        for order in freed {
            self.consider(order);
        }
    }

    /// How many messages there are.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// How many are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The parked ones.
    pub const fn parked(&self) -> &BTreeSet<Order> {
        &self.parked
    }

    /// How urgent a message is.
    pub fn class(&self, order: Order) -> Option<Class> {
        self.items.get(&order).map(|item| item.class)
    }

    /// The messages that wait behind parked ones.
    pub fn held(&self) -> impl Iterator<Item = Order> + '_ {
        self.items.iter().filter(|(_, item)| item.held).map(|(order, _)| *order)
    }

    /// How many messages wait directly behind one.
    pub fn behind(&self, order: Order) -> usize {
        let Some(item) = self.items.get(&order) else { return 0 };
        let later: BTreeSet<Order> = item
            .keys
            .iter()
            .filter_map(|key| self.queues.get(key))
            .flat_map(|queue| queue.range(order..).copied())
            .filter(|later| *later != order)
            .collect();
        later.len()
    }

    fn holds(&self, order: Order) -> bool {
        self.parked.contains(&order) || self.items.get(&order).is_some_and(|item| item.held)
    }

    /// Makes a message ready if nothing keeps it.
    fn consider(&mut self, order: Order) {
        let Some(item) = self.items.get(&order) else { return };
        let kept =
            self.in_flight.contains(&order) || self.parked.contains(&order) || item.waits_until.is_some();
        let first = |key: &Key| self.queues.get(key).and_then(BTreeSet::first) == Some(&order);
        if !kept && item.keys.iter().all(first) {
            self.ready.insert((item.class, order));
        }
        // One that came in late, before others of its keys, takes their place.
        let later: Vec<Order> = item
            .keys
            .iter()
            .filter_map(|key| self.queues.get(key))
            .filter_map(|queue| queue.range(order..).nth(1).copied())
            .collect();
        for order in later {
            if let Some(item) = self.items.get(&order) {
                self.ready.remove(&(item.class, order));
            }
        }
    }

    /// Takes a message out of those that are ready or wait for their time.
    fn withdraw(&mut self, order: Order) {
        let Some(item) = self.items.get_mut(&order) else { return };
        self.ready.remove(&(item.class, order));
        if let Some(until) = item.waits_until.take() {
            self.waiting.remove(&(until, order));
        }
    }

    /// Works out anew which messages are behind parked ones, in order, since one that is held holds others.
    fn mark_held(&mut self) {
        let mut closed: BTreeSet<Key> = BTreeSet::new();
        for (order, item) in &mut self.items {
            item.held = item.keys.iter().any(|key| closed.contains(key));
            if item.held || self.parked.contains(order) {
                closed.extend(&item.keys);
            }
        }
    }
}

/// Doubles with each failure up to the longest wait; between half of that and all of it, so that a destination that
/// comes back is not called by everyone in the same moment, nor called at once.
fn wait(failures: u32, longest: Duration, entropy: &mut Entropy) -> Duration {
    let ceiling = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures.min(20))).min(longest);
    let half = u64::try_from(ceiling.as_millis() / 2).unwrap_or(u64::MAX);
    Duration::from_millis(half.saturating_add(entropy.below(half.saturating_add(1))))
}

#[cfg(test)]
mod tests;
