//! The open view's state: what is on the shelf, the names known by number, and the counts.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Applied, Counts, Disagreement, DisagreementKind, Repair, RepairKind, Repairs, Told, ViewError,
    keys::{self, Room},
    shelf::Shelf,
    value::Stamp,
    wire::{Reader, Writer},
};
use crate::{domain::record::Event, domain::time::Timestamp, journal::Position};

/// The number of this layout of keys and values. Another number in the head means: rebuild.
pub(super) const FORMAT: u64 = 3;
/// Newest things to repair that are kept.
pub(super) const REPAIRS_KEPT: usize = 10_000;
/// How many more may gather before the oldest are removed, so that each removal is worth its scan.
const REPAIRS_SLACK: usize = 1_000;
/// Days of appointments forgotten at once: more go the next time.
const BOOKINGS_FORGOTTEN: usize = 10_000;
/// Longest sender's message identifier that is kept, in bytes; HL7 v2.4 allows 20 for MSH-10.
pub(super) const SOURCE_ID_BYTES_MAX: usize = 64;

/// What the view knows while it is open.
pub(super) struct State {
    pub(super) shelf: Shelf,
    pub(super) generation: u64,
    pub(super) patient_next: u64,
    pub(super) run_next: u64,
    /// Where the consumer continues.
    pub(super) next: Position,
    /// The cursor as it is durably known.
    pub(super) through: Position,
    pub(super) names: Names,
    pub(super) counts: Tally,
    pub(super) repairs_kept: usize,
}

/// What is counted, and what it is counted from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// NHS numbers that somebody gave.
    pub(super) numbers: usize,
    /// Persons, those joined counted once, of whom none has an NHS number.
    pub(super) unnumbered: usize,
    pub(super) items: usize,
}

impl Tally {
    pub(super) const fn counts(self) -> Counts {
        Counts { patients: self.numbers + self.unnumbered, items: self.items }
    }
}

/// Names of systems and fields, by number: they are few, and would be half of every value.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) by_number: BTreeMap<u64, String>,
    pub(super) by_name: BTreeMap<String, u64>,
}

/// A message while it is applied.
#[derive(Clone)]
pub(super) struct Message<'a> {
    pub(super) system: &'a str,
    pub(super) event: &'a Event,
    pub(super) received: Timestamp,
    pub(super) position: Position,
    pub(super) stamp: Stamp,
}

impl<'a> Message<'a> {
    fn new(applied: &Applied<'a>, event: &'a Event) -> Self {
        let source_id = Arc::from(shortened(&event.source_id));
        let received = applied.received;
        let occurred = event.occurred.unwrap_or(received);
        let stamp = Stamp { occurred, received, source_id, part: Arc::from("") };
        Self { system: applied.system, event, received, position: applied.position, stamp }
    }
}

impl State {
    /// Applies one message.
    pub(super) fn apply(&mut self, applied: &Applied<'_>) -> Result<(), ViewError> {
        match applied.told {
            Told::Event(event) => self.tell(&Message::new(applied, event))?,
            Told::Decision(decision) => self.decide(decision)?,
        }
        if self.shelf.is_full() {
            // Content may run ahead of the cursor, so the cursor stays where the last call left it.
            self.spill()?;
        } else if self.shelf.has_many_identities() {
            self.shelf.spill_identity(self.head())?;
        }
        Ok(())
    }

    /// Forgets on which days before `day` people had appointments.
    pub(super) fn forget_bookings_before(&mut self, day: u32) -> Result<(), ViewError> {
        let found = self.shelf.scan(&[Room::Booked.letter()], BOOKINGS_FORGOTTEN)?;
        let past = found.into_keys().take_while(|key| keys::booking_of(key).is_some_and(|(of, _)| of < day));
        past.for_each(|key| self.shelf.put(key, None));
        Ok(())
    }

    fn tell(&mut self, message: &Message<'_>) -> Result<(), ViewError> {
        self.withdraw(message)?;
        if let Some(patient) = self.identify(message)? {
            for change in &message.event.items {
                self.change(message, patient, change)?;
            }
            self.index(patient, &message.event.items)?;
        }
        Ok(())
    }

    /// Hands everything that waits to sled and to the next run.
    pub(super) fn spill(&mut self) -> Result<(), ViewError> {
        self.trim_repairs()?;
        let run = self.run_next;
        self.run_next += 1;
        self.shelf.spill(self.head(), run, self.next)
    }

    fn head(&self) -> Vec<u8> {
        encode_head(self.generation, self.patient_next, self.run_next)
    }

    /// The number of a name, a new one if it has none yet.
    pub(super) fn number_of_name(&mut self, name: &str) -> u64 {
        if let Some(number) = self.names.by_name.get(name) {
            return *number;
        }
        let number = self.names.by_number.last_key_value().map_or(0, |(last, _)| last + 1);
        self.names.by_number.insert(number, name.to_owned());
        self.names.by_name.insert(name.to_owned(), number);
        self.shelf.put(keys::numbered(Room::Name, number), Some(name.as_bytes().to_vec()));
        number
    }

    /// The name of a number.
    pub(super) fn name(&self, number: u64) -> Result<&str, ViewError> {
        let name = self.names.by_number.get(&number);
        name.map(String::as_str).ok_or(ViewError::Damaged("a name's number is unknown"))
    }

    /// Stores a patient's number under a key.
    pub(super) fn put_number(&mut self, key: Vec<u8>, number: u64) {
        let mut writer = Writer::default();
        writer.number(number);
        self.shelf.put(key, Some(writer.0));
    }

    /// The patient's number under a key.
    pub(super) fn number_at(&self, key: &[u8]) -> Result<Option<u64>, ViewError> {
        let Some(bytes) = self.shelf.get(key)? else { return Ok(None) };
        let number =
            Reader(&bytes).number().ok_or(ViewError::Damaged("a patient's number cannot be read"))?;
        Ok(Some(number))
    }

    /// Lists something for people to repair.
    pub(super) fn repair(&mut self, message: &Message<'_>, kind: RepairKind) {
        let system = self.number_of_name(message.system);
        let mut writer = Writer::default();
        writer.number(system).time(message.received).text(&message.stamp.source_id);
        self.shelf.put(keys::repair(message.position, kind.byte()), Some(writer.0));
        self.repairs_kept += 1;
    }

    /// Notes a contradiction, in the patient's record and for people to repair. The first to say so stays.
    pub(super) fn disagree(
        &mut self,
        message: &Message<'_>,
        patient: u64,
        kind: DisagreementKind,
        claim: &str,
    ) -> Result<(), ViewError> {
        self.repair(message, kind.repair());
        let system = self.number_of_name(message.system);
        let parts = [&[kind.repair().byte()][..], message.system.as_bytes(), claim.as_bytes()];
        let key = keys::disagreement(patient, &parts);
        let before = self.shelf.get(&key)?.and_then(|bytes| Reader(&bytes).time());
        if before.is_none_or(|before| message.stamp.occurred < before) {
            let mut writer = Writer::default();
            writer.time(message.stamp.occurred).number(system).number(kind.repair().byte().into());
            writer.text(&message.stamp.source_id).text(claim);
            self.shelf.put(key, Some(writer.0));
        }
        Ok(())
    }

    /// Reads what [`State::disagree`] wrote.
    pub(super) fn disagreement(&self, bytes: &[u8]) -> Result<Disagreement, ViewError> {
        let mut reader = Reader(bytes);
        let mut read = || {
            let (occurred, system, kind) = (reader.time()?, reader.number()?, reader.number()?);
            let kind = DisagreementKind::from_byte(u8::try_from(kind).ok()?)?;
            Some((occurred, system, kind, reader.text()?.to_owned(), reader.text()?.to_owned()))
        };
        let (occurred, system, kind, source_id, claim) =
            read().ok_or(ViewError::Damaged("a disagreement cannot be read"))?;
        Ok(Disagreement { kind, system: self.name(system)?.to_owned(), source_id, occurred, claim })
    }

    /// The newest things to repair, newest first.
    pub(super) fn repairs(&self) -> Result<Repairs, ViewError> {
        let found = self.shelf.scan(&[Room::Repair.letter()], usize::MAX)?;
        let count = found.len().min(REPAIRS_KEPT);
        let newest = found.iter().rev().take(REPAIRS_KEPT).map(|(key, value)| self.read_repair(key, value));
        Ok(Repairs { newest: newest.collect::<Result<_, _>>()?, count, more: REPAIRS_KEPT < found.len() })
    }

    fn read_repair(&self, key: &[u8], bytes: &[u8]) -> Result<Repair, ViewError> {
        let mut reader = Reader(bytes);
        let mut read = || {
            let kind = RepairKind::from_byte(*key.last()?)?;
            Some((kind, reader.number()?, reader.time()?, reader.text()?.to_owned()))
        };
        let (kind, system, received, source_id) =
            read().ok_or(ViewError::Damaged("a thing to repair cannot be read"))?;
        Ok(Repair { kind, system: self.name(system)?.to_owned(), source_id, received })
    }

    fn trim_repairs(&mut self) -> Result<(), ViewError> {
        if self.repairs_kept <= REPAIRS_KEPT + REPAIRS_SLACK {
            return Ok(());
        }
        let found = self.shelf.scan(&[Room::Repair.letter()], usize::MAX)?;
        let surplus = found.len().saturating_sub(REPAIRS_KEPT);
        self.repairs_kept = found.len() - surplus;
        found.into_keys().take(surplus).for_each(|key| self.shelf.put(key, None));
        Ok(())
    }
}

/// The beginning of a text, at most [`SOURCE_ID_BYTES_MAX`] bytes long.
fn shortened(text: &str) -> &str {
    let end = (0..=SOURCE_ID_BYTES_MAX.min(text.len())).rev().find(|index| text.is_char_boundary(*index));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

pub(super) fn encode_head(generation: u64, patient_next: u64, run_next: u64) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.number(FORMAT).number(generation).number(patient_next).number(run_next);
    writer.0
}

/// Format, generation and the next patient's and run's numbers.
pub(super) fn decode_head(bytes: &[u8]) -> Option<(u64, u64, [u64; 2])> {
    let mut reader = Reader(bytes);
    Some((reader.number()?, reader.number()?, [reader.number()?, reader.number()?]))
}
