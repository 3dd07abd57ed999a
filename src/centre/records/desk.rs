//! Whose records go to which hub: decided in memory, by what hubs have opened and what they have heard.
//!
//! Values only: moments come in, and what is to be read and sent goes out.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    centre::store::Arrived,
    codec::cbor,
    domain::{
        elsewhere::{
            HELD_MAX_MS, HeldEntry, OPENED_BYTES_MAX, OPENED_KIND, Opened, OpenedElsewhere, Portion,
            RecordsDown, RecordsHeard, VERSION,
        },
        entry::{Health, Summary},
        ids::HubId,
        nhs_number::NhsNumber,
        time::Timestamp,
    },
};

/// Hubs that are sent to; London has a few hundred.
const HUBS_MAX: usize = 10_000;
/// Patients whose records one hub may hold: what a hub has files for.
pub const HOLDINGS_MAX: usize = 50_000;
/// A summary is a few hundred bytes; the longest kind, sender and faults make it no more than this.
const SUMMARY_BYTES_MAX: usize = 64 << 10;
/// Things to be done for one hub; with more, everything it holds is looked at anew.
const TODO_MAX: usize = 60_000;
/// The same, in bytes of entries.
const TODO_BYTES_MAX: usize = 8 << 20;
/// Messages on their way to one hub that it has not said it has heard.
const UNHEARD_MAX: u64 = 8;
/// What has not been heard for so long is sent again, under a new run.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// Bytes of entries in one message: far below what hubs take in one packet.
pub const DOWN_BYTES_MAX: usize = 256 << 10;
/// A longer entry is left out: it would not fit a hub's packet of 1 MiB.
pub const ENTRY_BYTES_MAX: usize = 700 << 10;
/// Entries of one patient that are sent; of more, the oldest are left out.
pub const ENTRIES_MAX: usize = 2_000;
/// How far clocks of workers may differ, and a transaction may take: so much is read again.
const MARGIN_MS: i64 = 5 * 60 * 1000;
/// A hub that holds records and has nothing new hears so often that this is so.
const STILL_EVERY: Duration = Duration::from_secs(60);

/// Something to be done for one hub.
#[derive(Clone, Debug)]
pub enum Work {
    /// Its patient's entries from other hubs, since a moment of the store.
    Whole {
        /// Whose.
        patient: NhsNumber,
        /// Zero for all.
        since: Timestamp,
        /// The asking's `source_id`; empty if nobody waits.
        answers: String,
    },
    /// That all of it has been sent, to whoever waits for it.
    Answer(NhsNumber, String),
    /// One new entry.
    Entry(Box<HeldEntry>, NhsNumber),
    /// Somebody has opened a record of which it may have given something.
    Opened(Box<OpenedElsewhere>),
}

/// All hubs that are there.
#[derive(Debug, Default)]
pub struct RecordDesk {
    /// Until when each hub may hold whose record, and when it last said so (by the store).
    holdings: BTreeMap<HubId, BTreeMap<NhsNumber, Holding>>,
    hearers: BTreeMap<HubId, Hearer>,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    until: Timestamp,
    asked: Timestamp,
}

/// One hub that is there.
#[derive(Debug)]
struct Hearer {
    run: u64,
    /// From when on this run tells all.
    since: Timestamp,
    sent: u64,
    heard: u64,
    /// When something was last sent, or heard.
    moved: Duration,
    /// Until when everything the store had is sent or to be done.
    as_at: Timestamp,
    todo: VecDeque<Work>,
    /// Bytes of the entries among it.
    todo_bytes: usize,
    /// The latest moment that it has said it has heard.
    known: Timestamp,
    /// [`RecordDesk::take`] has put in all that the hub holds.
    begun: bool,
}

/// What a message is made of; the runner reads what [`Work::Whole`] asks for.
#[derive(Debug, Default)]
pub struct Parcel {
    /// Entries by patient.
    pub portions: Vec<Portion>,
    /// Who has opened what.
    pub opened: Vec<OpenedElsewhere>,
    bytes: usize,
}

impl RecordDesk {
    /// Takes in a hub's condition. `run` names a telling that begins with it, if one does.
    pub fn note_health(&mut self, topic: &str, health: &Health, run: u64, elapsed: Duration) {
        if topic.split('/').nth(2) != Some(health.hub.as_str()) {
            return;
        }
        let (true, Some(heard)) = (health.online, &health.records) else {
            // What was on its way to a hub that has gone is sent again when it is back.
            self.hearers.remove(&health.hub);
            return;
        };
        let known = heard.iter().map(|heard| heard.as_at).max().unwrap_or_default();
        if let Some(hearer) = self.hearers.get_mut(&health.hub) {
            hearer.hear(heard, elapsed);
        } else if self.hearers.len() < HUBS_MAX {
            self.hearers.insert(health.hub.clone(), Hearer::new(run, known, elapsed));
        }
    }

    /// Takes in what has arrived in the store, as it stood at `now`. `elsewhere` says which hubs are told.
    pub fn arrived(&mut self, arrived: &Arrived, now: Timestamp) {
        let (held, received) = (&arrived.held, arrived.received);
        let Some(patient) = patient_of(held) else { return };
        if held.entry.kind == OPENED_KIND {
            self.opened(held, patient, received, now);
            return;
        }
        for (hub, hearer) in self.hearers.iter_mut().filter(|(hub, _)| **hub != held.hub) {
            let holds = self.holdings.get(hub).and_then(|holdings| holdings.get(&patient));
            if hearer.begun && holds.is_some_and(|holding| now < holding.until) {
                hearer.put(Work::Entry(Box::new(held.clone()), patient));
            }
        }
    }

    fn opened(&mut self, held: &HeldEntry, patient: NhsNumber, received: Timestamp, now: Timestamp) {
        let Some(opened) = opened_in(held) else { return };
        let longest = Timestamp(received.0.saturating_add(HELD_MAX_MS));
        let until = opened.until.min(longest);
        if now < until {
            let holdings = self.holdings.entry(held.hub.clone()).or_default();
            if HOLDINGS_MAX <= holdings.len() && !holdings.contains_key(&patient) {
                tracing::error!(hub = %held.hub, "a hub asks for more records than a hub holds: not given");
                return;
            }
            let holding = holdings.entry(patient).or_insert(Holding { until, asked: received });
            (holding.until, holding.asked) = (holding.until.max(until), holding.asked.max(received));
            if let Some(hearer) = self.hearers.get_mut(&held.hub).filter(|hearer| hearer.begun) {
                let answers = held.entry.source_id.clone();
                // Somebody waits: before whatever else there is to do.
                hearer.todo.push_front(Work::Whole { patient, since: Timestamp::default(), answers });
            }
        }
        let told = OpenedElsewhere { hub: held.hub.clone(), patient, at: held.entry.at, opened };
        for (_, hearer) in self.hearers.iter_mut().filter(|(hub, _)| **hub != held.hub) {
            if hearer.begun {
                hearer.put(Work::Opened(Box::new(told.clone())));
            }
        }
    }

    /// Hubs that have come, and since when they must be told who has opened what.
    pub fn beginning(&self) -> Vec<(HubId, Timestamp)> {
        let new = self.hearers.iter().filter(|(_, hearer)| !hearer.begun);
        new.map(|(hub, hearer)| (hub.clone(), hearer.since)).collect()
    }

    /// Begins to tell a hub that has come: all it holds, as far as it has not heard it, and what was opened since.
    pub fn begin(&mut self, hub: &HubId, opened: &[Arrived], now: Timestamp) {
        let Some(hearer) = self.hearers.get_mut(hub) else { return };
        hearer.begun = true;
        for (patient, holding) in self.holdings.get(hub).into_iter().flatten() {
            if holding.until <= now {
                continue;
            }
            // What was asked for after the last that it has heard may never have been answered.
            let new = hearer.since <= holding.asked;
            let since = if new { Timestamp::default() } else { hearer.since };
            hearer.put(Work::Whole { patient: *patient, since, answers: String::new() });
        }
        let since = hearer.since;
        for arrived in opened.iter().filter(|one| one.held.hub != *hub && since <= one.received) {
            if let (Some(patient), Some(opened)) = (patient_of(&arrived.held), opened_in(&arrived.held)) {
                let (hub, at) = (arrived.held.hub.clone(), arrived.held.entry.at);
                hearer.put(Work::Opened(Box::new(OpenedElsewhere { hub, patient, at, opened })));
            }
        }
    }

    /// Everything that the store had at `now` has been taken in.
    pub fn looked(&mut self, now: Timestamp) {
        for hearer in self.hearers.values_mut().filter(|hearer| hearer.begun && hearer.todo.is_empty()) {
            hearer.as_at = now;
        }
        for holdings in self.holdings.values_mut() {
            holdings.retain(|_, holding| now < holding.until);
        }
    }

    /// Hubs that a message could be sent to now.
    pub fn ready(&mut self, run: u64, elapsed: Duration) -> Vec<HubId> {
        let mut ready = Vec::new();
        for (hub, hearer) in &mut self.hearers {
            if hearer.is_stuck(elapsed) {
                tracing::debug!(%hub, "a hub does not hear of records: told anew");
                *hearer = Hearer::new(run, hearer.known, elapsed);
                continue;
            }
            let waits = !hearer.todo.is_empty() || hearer.must_hear(self.holdings.get(hub), elapsed);
            if hearer.begun && waits && hearer.sent - hearer.heard < UNHEARD_MAX {
                ready.push(hub.clone());
            }
        }
        ready
    }

    /// Whether a hub is told even if there is nothing to tell: the first message of a run, and once a minute that all is
    /// whole.
    pub fn must_speak(&self, hub: &HubId, elapsed: Duration) -> bool {
        let hearer = self.hearers.get(hub);
        hearer.is_some_and(|hearer| hearer.must_hear(self.holdings.get(hub), elapsed))
    }

    /// The next thing to do for a hub.
    pub fn next(&mut self, hub: &HubId) -> Option<Work> {
        let hearer = self.hearers.get_mut(hub)?;
        let work = hearer.todo.pop_front()?;
        hearer.todo_bytes = hearer.todo_bytes.saturating_sub(work.bytes());
        Some(work)
    }

    /// Puts something back that is to be done first.
    pub fn put_back(&mut self, hub: &HubId, work: Work) {
        if let Some(hearer) = self.hearers.get_mut(hub) {
            hearer.todo_bytes += work.bytes();
            hearer.todo.push_front(work);
        }
    }

    /// Until when a hub may hold a patient's record; none if it may not.
    pub fn until(&self, hub: &HubId, patient: &NhsNumber) -> Option<Timestamp> {
        self.holdings.get(hub)?.get(patient).map(|holding| holding.until)
    }

    /// Numbers a message to a hub; none if the hub has gone.
    pub fn number(
        &mut self,
        hub: &HubId,
        parcel: Parcel,
        now: Timestamp,
        elapsed: Duration,
    ) -> Option<RecordsDown> {
        let hearer = self.hearers.get_mut(hub)?;
        hearer.sent += 1;
        hearer.moved = elapsed;
        if hearer.todo.is_empty() {
            hearer.as_at = hearer.as_at.max(now);
        }
        Some(RecordsDown {
            v: VERSION,
            run: hearer.run,
            number: hearer.sent,
            as_at: hearer.as_at,
            since: hearer.since,
            portions: parcel.portions,
            opened: parcel.opened,
        })
    }
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Entry(held, _) => length(held),
            _ => 0,
        }
    }
}

impl Hearer {
    fn new(run: u64, known: Timestamp, elapsed: Duration) -> Self {
        let since = Timestamp(known.0.saturating_sub(MARGIN_MS).max(0));
        Self {
            run,
            since,
            sent: 0,
            heard: 0,
            moved: elapsed,
            as_at: since,
            todo: VecDeque::new(),
            todo_bytes: 0,
            known,
            begun: false,
        }
    }

    fn hear(&mut self, heard: &[RecordsHeard], elapsed: Duration) {
        self.known = heard.iter().map(|heard| heard.as_at).max().unwrap_or_default().max(self.known);
        let number = heard.iter().find(|heard| heard.run == self.run).map_or(0, |heard| heard.number);
        if self.heard < number {
            (self.heard, self.moved) = (number.min(self.sent), elapsed);
        }
    }

    fn must_hear(&self, holdings: Option<&BTreeMap<NhsNumber, Holding>>, elapsed: Duration) -> bool {
        let holds = holdings.is_some_and(|holdings| !holdings.is_empty());
        self.sent == 0 || (holds && STILL_EVERY <= elapsed.saturating_sub(self.moved))
    }

    fn put(&mut self, work: Work) {
        self.todo_bytes += work.bytes();
        self.todo.push_back(work);
        if TODO_MAX < self.todo.len() || TODO_BYTES_MAX < self.todo_bytes {
            // Everything is looked at anew: the store has it all.
            (self.begun, self.todo_bytes) = (false, 0);
            self.todo.clear();
        }
    }

    fn is_stuck(&self, elapsed: Duration) -> bool {
        self.heard < self.sent && AGAIN_AFTER <= elapsed.saturating_sub(self.moved)
    }
}

impl Parcel {
    /// Whether no more should be put to it.
    pub const fn is_full(&self) -> bool {
        DOWN_BYTES_MAX <= self.bytes
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.portions.is_empty() && self.opened.is_empty()
    }

    /// Puts an entry to its patient's portion.
    pub fn add(&mut self, patient: NhsNumber, until: Timestamp, entry: HeldEntry) {
        let length = length(&entry);
        let sealed = is_sealed(&entry);
        let portion = self.portion(patient, until);
        if sealed {
            portion.sealed += 1;
        } else if ENTRY_BYTES_MAX < length {
            portion.omitted += 1;
        } else {
            portion.entries.push(entry);
            self.bytes += length;
        }
    }

    /// The patient's portion, made if there is none yet.
    pub fn portion(&mut self, patient: NhsNumber, until: Timestamp) -> &mut Portion {
        let known = self.portions.iter().position(|portion| portion.patient == patient);
        let place = known.unwrap_or_else(|| {
            let answers = String::new();
            self.portions.push(Portion {
                patient,
                until,
                entries: Vec::new(),
                omitted: 0,
                sealed: 0,
                answers,
            });
            self.bytes += 100;
            self.portions.len() - 1
        });
        &mut self.portions[place]
    }

    /// Puts in who has opened a record.
    pub fn tell(&mut self, opened: OpenedElsewhere) {
        self.bytes += 400;
        self.opened.push(opened);
    }
}

/// An entry's bytes on the wire, nearly.
pub fn length(held: &HeldEntry) -> usize {
    let entry = &held.entry;
    200 + entry.body.len() + entry.raw.as_ref().map_or(0, bytes::Bytes::len)
}

/// Whether an entry stays where it is. One whose summary cannot be read stays too.
fn is_sealed(held: &HeldEntry) -> bool {
    cbor::decode::<Summary>(&held.entry.body, SUMMARY_BYTES_MAX).map_or(true, |summary| summary.sealed)
}

fn patient_of(held: &HeldEntry) -> Option<NhsNumber> {
    NhsNumber::parse(held.entry.patient.as_deref()?).ok()
}

fn opened_in(held: &HeldEntry) -> Option<Opened> {
    let opened: Opened = cbor::decode(held.entry.raw.as_ref()?, OPENED_BYTES_MAX).ok()?;
    (opened.v == VERSION).then_some(opened)
}

#[cfg(test)]
mod tests;
