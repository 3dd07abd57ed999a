//! One destination's desk: what it is to get out of the journal, what has been done about it, and what was put aside.
//! Plain calls over a journal and a disk; no thread, no clock, no socket.
//!
//! **Invariants.** The snapshot's place moves past a message only when it is done with or copied into the folder.
//! What the destination has taken is in the snapshot, durably, before the next message goes out: after a crash at
//! most what was under way is sent once more, under the same name.

mod copies;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    domain::{entry::Entry, ids::Class, record::Event, time::Timestamp},
    flow::{
        aside::{Aside, Kept},
        hub::Translate,
        receive::decode,
    },
    journal::{Identity, LogReader, Record, Shared},
    sys::{disk::Disk, entropy::Entropy},
};
use bytes::Bytes;

use copies::{Copy, note_of};
pub(super) use copies::{Note, name_of};

use super::{
    Answer, Parcel, Position,
    lanes::{Fate, Key, Lanes, Order, Pace},
    routes::{Registrations, Routes, Wanted},
    state::Snapshot,
};

/// Messages known and not yet done with, without those put aside. A few hundred bytes each: 5 MiB at most. What comes
/// after them waits in the journal.
const PENDING_MAX: usize = 10_000;
/// Messages done with while earlier ones are not: after so many the earlier ones, if they are few, get copies of their
/// own, so that they keep neither the journal nor a list that is written with every answer.
const FINISHED_FEW: usize = 500;
/// The same, however many the earlier ones are: a list of this length takes 300 KiB.
const FINISHED_MAX: usize = 8_000;
/// How many of those overtaken are few, and are copied in one go.
const OVERTAKEN_AT_ONCE: usize = 64;
/// Copies of what is parked, of what waits behind it and of what many others have overtaken.
const COPIES_MAX: u64 = 10_000;
const COPIES_BYTES_MAX: u64 = 256 << 20;
/// Read at once, in bytes and entries.
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 256;

const SNAPSHOT: &str = "state";

/// What a desk works with.
pub(super) struct Tools {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) translate: Translate,
    pub(super) registrations: Arc<dyn Registrations>,
    pub(super) routes: Routes,
    pub(super) pace: Pace,
    /// The journal's name for this destination.
    pub(super) consumer: String,
    /// Where this destination's snapshot and copies are.
    pub(super) directory: PathBuf,
}

/// What has happened at a desk since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counters {
    pub(super) accepted: u64,
    pub(super) again: u64,
    pub(super) parked: u64,
    /// Messages that the journal had to let go of before they were delivered.
    pub(super) missed: u64,
}

/// What a turn at the desk leads to.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What is to be sent now.
    pub(super) parcels: Vec<(Order, Parcel)>,
    /// Where the journal may go on without this destination.
    pub(super) low: Position,
    /// Whether the journal may have more at once.
    pub(super) more: bool,
    /// When there may be something to send, if nothing else happens.
    pub(super) deadline: Option<Duration>,
}

/// See the module.
pub(super) struct Desk {
    tools: Tools,
    folder: Aside,
    lanes: Lanes,
    reader: LogReader,
    /// Everything before this is in the lanes, done with, or not for this destination.
    read: Position,
    /// When what is in the lanes out of the journal was taken in.
    pending: BTreeMap<Position, Timestamp>,
    copies: BTreeMap<Order, Note>,
    finished: BTreeSet<Position>,
    discarded: BTreeSet<Order>,
    /// Something was done with that is not in the snapshot yet.
    unsaved: bool,
    saved_low: Position,
    resent: u64,
    pub(super) counters: Counters,
    /// Why nothing more is read, if something keeps it; empty otherwise.
    pub(super) held_up: &'static str,
}

impl Desk {
    /// Opens a desk where it was left; a new one begins with what comes from now on.
    pub(super) fn open(tools: Tools) -> io::Result<Self> {
        let directory = tools.directory.clone();
        tools.disk.create_directory(&directory)?;
        let folder = Aside::open(Arc::clone(&tools.disk), &directory, COPIES_MAX, COPIES_BYTES_MAX)?;
        let (snapshot, is_same_journal) = recall(&tools, &directory)?;
        let mut desk = Self {
            lanes: Lanes::new(tools.pace),
            reader: LogReader::new(Arc::clone(&tools.shared), snapshot.low),
            read: snapshot.low,
            pending: BTreeMap::new(),
            copies: BTreeMap::new(),
            finished: snapshot.finished,
            discarded: snapshot.discarded,
            unsaved: true,
            saved_low: snapshot.low,
            resent: 0,
            counters: Counters::default(),
            held_up: "",
            folder,
            tools,
        };
        if !is_same_journal {
            desk.rename_copies()?;
        }
        desk.load_copies()?;
        desk.save()?;
        Ok(desk)
    }

    /// One turn: takes answers in, makes durable what they mean, reads on in the journal, and gives out at most
    /// `idle` messages to be sent.
    ///
    /// # Errors
    /// The disk's. No answer is lost by it, nothing is given out, and the next turn tries again.
    pub(super) fn turn(
        &mut self,
        answers: &[(Order, Answer)],
        idle: usize,
        (now, at): (Duration, Timestamp),
        entropy: &mut Entropy,
    ) -> io::Result<Turn> {
        let mut failed = None;
        for (order, answer) in answers {
            failed = self.answered(*order, answer, (now, at), entropy).err().or(failed);
        }
        if self.unsaved {
            self.save()?;
        }
        failed.map_or(Ok(()), Err)?;
        let more = self.fill()?;
        self.copy_the_held(at)?;
        let parcels = std::iter::from_fn(|| self.next(now)).take(idle).collect();
        Ok(Turn { parcels, low: self.saved_low, more, deadline: self.lanes.deadline() })
    }

    /// Takes in what the journal has for this destination, some hundred messages at most. Returns whether there may
    /// be more at once.
    fn fill(&mut self) -> io::Result<bool> {
        self.held_up = "";
        if PENDING_MAX <= self.pending.len() {
            self.held_up = "too many messages wait already; the rest waits in the journal";
            return Ok(false);
        }
        if FINISHED_FEW < self.finished.len() {
            if !self.copy_the_overtaken()? {
                self.held_up = "the folder of parked messages is full; the rest waits in the journal";
                return Ok(false);
            }
            if FINISHED_MAX * 2 < self.finished.len() {
                return Ok(true);
            }
        }
        let chunk = self.reader.read(READ_BYTES, READ_ENTRIES).inspect_err(|_| {
            // What it had read before it failed is lost to it.
            self.reader = LogReader::new(Arc::clone(&self.tools.shared), self.read);
        })?;
        let more = !chunk.records.is_empty() || 0 < chunk.damaged_bytes;
        for record in &chunk.records {
            if !self.consider(record) {
                self.held_up = "it is not known yet where a patient is registered";
                self.reader = LogReader::new(Arc::clone(&self.tools.shared), record.position);
                self.read = record.position;
                return Ok(false);
            }
        }
        self.read = chunk.next;
        Ok(more)
    }

    /// Puts a message into the lanes if it is for this destination; false if that cannot be told yet.
    fn consider(&mut self, record: &Record) -> bool {
        let position = record.position;
        let order = Order { position, again: 0 };
        let (Some(class), false, false) = (
            record.placed.lane.class(),
            self.finished.contains(&position),
            self.copies.contains_key(&order) || self.discarded.contains(&order),
        ) else {
            return true;
        };
        let Some(entry) = decode(&record.payload) else { return true };
        let Some(event) = (self.tools.translate)(&entry) else { return true };
        let registrations = self.tools.registrations.as_ref();
        match self.tools.routes.wants(&entry.system, &event, position, registrations) {
            Wanted::No => true,
            Wanted::NotYet => false,
            Wanted::Yes => {
                self.pending.insert(position, entry.at);
                self.lanes.add(order, class, keys(&entry, &event));
                true
            }
        }
    }

    /// The message to be sent now, if there is one.
    fn next(&mut self, now: Duration) -> Option<(Order, Parcel)> {
        while let Some(order) = self.lanes.next(now) {
            match self.parcel(order) {
                Ok(Some(parcel)) => return Some((order, parcel)),
                Ok(None) => {
                    tracing::error!(
                        consumer = self.tools.consumer,
                        "a message is gone before it was delivered"
                    );
                    self.counters.missed += 1;
                    self.finish(order);
                }
                Err(error) => {
                    // The disk may do better later; until then this message keeps its place.
                    let answer = Answer::Again(format!("it cannot be read: {error}"));
                    let mut entropy = Entropy::from_seed(order.position.offset);
                    self.lanes.answered(order, &answer, now, &mut entropy);
                    return None;
                }
            }
        }
        None
    }

    /// What the destination said of a message.
    ///
    /// # Errors
    /// It is parked, and its copy cannot be written: it stays in the journal, and is parked for as long as the hub
    /// runs.
    fn answered(
        &mut self,
        order: Order,
        answer: &Answer,
        (now, at): (Duration, Timestamp),
        entropy: &mut Entropy,
    ) -> io::Result<Fate> {
        let fate = self.lanes.answered(order, answer, now, entropy);
        match &fate {
            Fate::Done => {
                self.counters.accepted += 1;
                self.finish(order);
            }
            Fate::Again => self.counters.again += 1,
            Fate::Stray => {}
            Fate::Parked(reason) => {
                self.counters.parked += 1;
                self.put_aside(order, at, Some(reason.clone()))?;
                self.copy_the_held(at)?;
            }
        }
        Ok(fate)
    }

    /// Makes durable what has been done with. Returns where the journal may go on without this destination.
    ///
    /// # Errors
    /// The disk's: nothing must be sent until this succeeds.
    pub(super) fn save(&mut self) -> io::Result<Position> {
        let first = self.pending.first_key_value().map(|(position, _)| *position);
        let low = first.map_or(self.read, |first| first.min(self.read));
        if !self.unsaved && low == self.saved_low {
            return Ok(low);
        }
        self.finished = self.finished.split_off(&low);
        let snapshot = Snapshot { low, finished: self.finished.clone(), discarded: self.discarded.clone() };
        snapshot.store(self.tools.disk.as_ref(), &self.tools.directory.join(SNAPSHOT))?;
        (self.unsaved, self.saved_low) = (false, low);
        let discarded = &mut self.discarded;
        let folder = &self.folder;
        discarded.retain(|order| match folder.remove(&name_of(*order)) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
        Ok(low)
    }

    pub(super) const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The parked messages, oldest first, each with how many wait behind it.
    pub(super) fn parked(&self) -> Vec<(Order, Note, usize)> {
        let note = |order| self.copies.get(order).cloned().unwrap_or_else(Note::unreadable);
        self.lanes.parked().iter().map(|order| (*order, note(order), self.lanes.behind(*order))).collect()
    }

    /// How many messages wait for a decision about an earlier one of their patient.
    pub(super) fn held(&self) -> usize {
        self.lanes.held().count()
    }

    /// When the oldest message that is not done with was taken in, without those that wait for a decision.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.pending.first_key_value().map(|(_, at)| *at)
    }

    /// What would be sent of a message.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn parcel(&self, order: Order) -> io::Result<Option<Parcel>> {
        let (id, entry) = if self.has_copy(order) {
            let Some(copy) = self.folder.read::<Copy>(&name_of(order))? else { return Ok(None) };
            (copy.id, copy.entry)
        } else {
            let Some((id, entry)) = self.read_back(order.position)? else { return Ok(None) };
            (id, entry)
        };
        Ok((self.tools.translate)(&entry).map(|event| parcel(id, entry, event, order.position)))
    }

    fn read_back(&self, position: Position) -> io::Result<Option<(String, Entry)>> {
        let mut reader = LogReader::new(Arc::clone(&self.tools.shared), position);
        let chunk = reader.read(1, 1)?;
        let record = chunk.records.into_iter().find(|record| record.position == position);
        Ok(record.and_then(|record| Some((id_of(&record), decode(&record.payload)?))))
    }

    /// Lets a parked message be sent again; false if there is none such.
    ///
    /// # Errors
    /// The disk's: it stays parked.
    pub(super) fn release(&mut self, order: Order, at: Timestamp) -> io::Result<bool> {
        if !self.lanes.parked().contains(&order) {
            return Ok(false);
        }
        self.put_aside(order, at, None)?;
        self.lanes.release(order);
        Ok(true)
    }

    /// Gives a parked message up; false if there is none such.
    ///
    /// # Errors
    /// The disk's: it may come back after a restart.
    pub(super) fn skip(&mut self, order: Order) -> io::Result<bool> {
        if !self.lanes.parked().contains(&order) {
            return Ok(false);
        }
        self.lanes.remove(order);
        self.finish(order);
        self.save()?;
        Ok(true)
    }

    /// Sends a message to this destination once more, or for the first time, behind everything that is in the
    /// journal now.
    ///
    /// # Errors
    /// The disk's, or the folder is full.
    pub(super) fn resend(&mut self, id: &str, class: Class, entry: Entry, at: Timestamp) -> io::Result<()> {
        let end = self.tools.shared.end();
        let position = Position { offset: end.offset.saturating_sub(1), ..end };
        self.resent += 1;
        let order = Order { position, again: self.resent };
        let event = (self.tools.translate)(&entry).ok_or(io::ErrorKind::InvalidData)?;
        let keys = keys(&entry, &event);
        let copy = Copy { at, order, id: id.to_owned(), class, parked: None, entry };
        match self.folder.replace(&name_of(order), &copy)? {
            Kept::No => return Err(io::ErrorKind::QuotaExceeded.into()),
            Kept::Yes => {}
        }
        self.copies.insert(order, note_of(&copy));
        self.lanes.add(order, class, keys);
        Ok(())
    }

    /// A message is done with.
    fn finish(&mut self, order: Order) {
        self.lanes.remove(order);
        self.unsaved = true;
        if self.copies.remove(&order).is_some_and(|note| note.filed) {
            self.discarded.insert(order);
        }
        if order.again == 0 {
            self.pending.remove(&order.position);
            self.finished.insert(order.position);
        }
    }
}

/// Where a destination goes on: from its snapshot; if that is damaged, from where the journal knows it was, which may
/// repeat messages and loses none. Also whether it is still the same journal.
fn recall(tools: &Tools, directory: &Path) -> io::Result<(Snapshot, bool)> {
    let (beginning, end) = (tools.shared.beginning(), tools.shared.end());
    let known = tools.shared.consumer(&tools.consumer);
    let at = |low| Snapshot { low, ..Snapshot::default() };
    let snapshot = match Snapshot::load(tools.disk.as_ref(), &directory.join(SNAPSHOT)) {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) if known == Position::default() => at(end),
        Ok(None) => at(known),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::error!(
                consumer = tools.consumer,
                "how far delivery had come is lost: some may come twice"
            );
            at(known)
        }
        Err(error) => return Err(error),
    };
    // A journal that ends earlier is another journal: it was lost, or put back from an older copy.
    let is_same_journal = snapshot.low <= end;
    Ok((if is_same_journal { snapshot } else { at(beginning) }, is_same_journal))
}

/// What keeps a patient's messages in order: the NHS number and every identifier, of merged patients too.
fn keys(entry: &Entry, event: &Event) -> Vec<Key> {
    let number = event.nhs_number.ok().map(|number| Identity::of(&[b"nhs", number.as_str().as_bytes()], b""));
    let identifiers = event.identifiers.iter().chain(&event.merged).map(|identifier| {
        let issuer = if identifier.authority.is_empty() { &entry.system } else { &identifier.authority };
        Identity::of(&[b"local", issuer.as_bytes(), identifier.value.as_bytes()], b"")
    });
    number.into_iter().chain(identifiers).map(|identity| identity.key).collect()
}

fn parcel(attempt_id: String, entry: Entry, event: Event, position: Position) -> Parcel {
    Parcel { entry: Arc::new(entry), event: Arc::new(event), attempt_id, position }
}

fn id_of(record: &Record) -> String {
    let place = || {
        let Position { segment, offset } = record.position;
        Identity::of(&[&segment.to_be_bytes(), &offset.to_be_bytes()], &Bytes::new())
    };
    record.identity.unwrap_or_else(place).id()
}

#[cfg(test)]
mod tests;
