//! Giving entries to the centre: what is still to be sent, in batches; what is confirmed; what is parked.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    domain::{
        entry::{Absent, AbsentReason, BatchEntry, Entry},
        ids::{Class, Epoch, Sequence},
        time::Timestamp,
    },
    journal::{Closed, Lane, LaneReader, Record, Stream},
};

use super::{
    alarm::AlarmCode,
    aside::Kept,
    hub::{Hub, Identity},
    receive::decode,
};

/// The way out of the journal. One owner: the room that talks to the centre.
#[derive(Debug)]
pub struct Outgoing {
    hub: Arc<Hub>,
    readers: [Option<LaneReader>; Class::ALL.len()],
    parked: BTreeSet<(Class, Epoch, Sequence)>,
    /// How far each class's epochs have been confirmed since the start: the journal hears of it a little later.
    confirmed: BTreeMap<(Class, Epoch), Sequence>,
}

/// A run of one class's entries, ready to be sent.
#[derive(Debug, Default)]
pub struct Portion {
    /// Just behind the last number it covers; equal to the first asked for if there is nothing.
    pub next: Sequence,
    /// The entries.
    pub entries: Vec<BatchEntry>,
    /// Numbers that will never be sent.
    pub absent: Vec<Absent>,
}

/// An entry that the broker or the centre refused, kept for an operator.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Parked {
    /// When it was parked.
    pub at: Timestamp,
    /// Its class.
    pub class: Class,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its number.
    pub sequence: Sequence,
    /// Why, in the refuser's words.
    pub reason: String,
    /// The entry.
    pub entry: Entry,
}

impl Outgoing {
    /// The way out of a hub's journal.
    ///
    /// # Errors
    /// The parked entries cannot be listed.
    pub fn new(hub: Arc<Hub>) -> io::Result<Self> {
        let names = hub.parked.names()?;
        let parked = names.iter().filter_map(|name| number_of(name)).collect();
        Ok(Self { hub, readers: Default::default(), parked, confirmed: BTreeMap::new() })
    }

    /// Who the hub is.
    pub fn identity(&self) -> &Identity {
        self.hub.identity()
    }

    /// The hub, for its alarms and its link to the centre.
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Changes with every commit.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.hub.journal.shared().commits()
    }

    /// The class's epochs that have entries which the centre has not confirmed, oldest first.
    pub fn streams(&self, class: Class) -> Vec<Stream> {
        self.hub.journal.shared().streams(Lane::of(class))
    }

    /// Reads entries from `first` on, up to the limits; at least one if there is one. Reads the disk: call
    /// it where blocking is allowed.
    ///
    /// # Errors
    /// The disk's; it may be tried again.
    pub fn read(
        &mut self,
        (class, epoch, first): (Class, Epoch, Sequence),
        bytes_max: usize,
        entries_max: usize,
    ) -> io::Result<Portion> {
        let slot = &mut self.readers[class.index()];
        let mut reader = slot.take().filter(|reader| reader.epoch() == epoch).unwrap_or_else(|| {
            LaneReader::new(Arc::clone(self.hub.journal.shared()), Lane::of(class), epoch, first)
        });
        reader.seek(first);
        let chunk = reader.read(bytes_max, entries_max)?;
        let mut portion = Portion { next: reader.next(), ..Portion::default() };
        for range in chunk.lost {
            portion.absent.push(Absent {
                first: range.first,
                last: range.last,
                reason: AbsentReason::Damaged,
            });
        }
        for record in chunk.records {
            let sequence = record.placed.sequence;
            let reason = if self.parked.contains(&(class, epoch, sequence)) {
                AbsentReason::Parked
            } else if let Some(entry) = travelling(&record) {
                portion.entries.push(entry);
                continue;
            } else {
                AbsentReason::Damaged
            };
            portion.absent.push(Absent { first: sequence, last: sequence, reason });
        }
        portion.absent.sort_unstable_by_key(|absent| absent.first);
        self.readers[class.index()] = Some(reader);
        Ok(portion)
    }

    /// Everything of a class's epoch through a number is durable at the centre. Returns how many entries that
    /// is news of.
    ///
    /// # Errors
    /// The journal is closed.
    pub async fn confirm(&mut self, class: Class, epoch: Epoch, through: Sequence) -> Result<u64, Closed> {
        let (lane, shared) = (Lane::of(class), self.hub.journal.shared());
        let last = shared.last(epoch, lane);
        let known = through.min(last);
        let before = self.confirmed.entry((class, epoch)).or_insert_with(|| shared.released(epoch, lane));
        let newly = known.saturating_sub(*before);
        *before = known.max(*before);
        if last < through && 0 < last {
            self.hub.alarms.raise(
                AlarmCode::JournalRolledBack,
                class.name(),
                format!("the centre has {class} entries through {through}, this journal ends at {last}"),
                self.hub.now(),
            );
        }
        if 0 < newly {
            self.hub.journal.release(epoch, lane, known).await?;
            self.parked.retain(|(of, at, number)| (*of, *at) != (class, epoch) || known < *number);
        }
        Ok(newly)
    }

    /// Keeps an entry aside that will not be taken, durably, before anything else is done about it.
    /// Reads and writes the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// The disk's, or the folder is full: the entry then stays in the journal.
    pub fn park(
        &mut self,
        (class, epoch, sequence): (Class, Epoch, Sequence),
        reason: &str,
    ) -> io::Result<()> {
        let shared = Arc::clone(self.hub.journal.shared());
        let lane = Lane::of(class);
        let done =
            self.confirmed.get(&(class, epoch)).copied().unwrap_or_else(|| shared.released(epoch, lane));
        // Receipts name the newest refusals again and again; what was released has been parked, and decided.
        if sequence <= done || !self.parked.insert((class, epoch, sequence)) {
            return Ok(());
        }
        let chunk = LaneReader::new(shared, lane, epoch, sequence).read(1, 1)?;
        let record = chunk.records.into_iter().find(|record| record.placed.sequence == sequence);
        let Some(entry) = record.and_then(|record| decode(&record.payload)) else { return Ok(()) };
        let at = self.hub.now();
        tracing::warn!(%class, epoch = epoch.0, sequence, reason, "entry refused: parked");
        let parked = Parked { at, class, epoch, sequence, reason: reason.to_owned(), entry };
        match self.hub.parked.keep(&name_of(class, epoch, sequence), &parked)? {
            Kept::Yes => Ok(()),
            Kept::No => {
                self.parked.remove(&(class, epoch, sequence));
                Err(io::ErrorKind::QuotaExceeded.into())
            }
        }
    }
}

/// The name of a parked entry's file.
pub(super) fn name_of(class: Class, epoch: Epoch, sequence: Sequence) -> String {
    format!("{:016x}-{class}-{sequence:016x}", epoch.0)
}

fn number_of(name: &str) -> Option<(Class, Epoch, Sequence)> {
    let mut parts = name.split('-');
    let epoch = Epoch(u64::from_str_radix(parts.next()?, 16).ok()?);
    let class = parts.next()?.parse().ok()?;
    Some((class, epoch, u64::from_str_radix(parts.next()?, 16).ok()?))
}

fn travelling(record: &Record) -> Option<BatchEntry> {
    let entry = decode(&record.payload)?;
    Some(BatchEntry {
        seq: record.placed.sequence,
        id: record.identity?.id(),
        kind: entry.kind,
        system: entry.system,
        source_id: entry.source_id,
        patient: entry.patient.map(String::from),
        at: entry.at,
        clock: entry.clock,
        body: entry.body,
        raw: entry.raw,
    })
}
