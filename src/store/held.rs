//! Entries of other hubs about patients whose records are held here: for a while, and gone in time.
//!
//! One file a patient ([`super::ending`]). What is in it can be had again from the centre.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    codec::cbor,
    domain::{
        elsewhere::{HELD_MAX_MS, HeldEntry, Portion, RecordsHeard},
        nhs_number::NhsNumber,
        time::Timestamp,
    },
    sys::disk::{Disk, read_file, replace_file},
};

use super::ending::{CacheError, CacheTime, Endings, Most};

/// Patients of whom something is held: those of a large hub's week.
pub const PATIENTS_MAX: usize = 50_000;
/// Entries of one patient; of more, the oldest are left out, and counted.
pub const ENTRIES_MAX: usize = 2_000;
/// One patient's entries, unpacked, in bytes.
const HELD_BYTES_MAX: usize = 16 << 20;
/// The same, before entries are left out: what the form itself takes is below the difference.
const ENTRIES_BYTES_MAX: usize = 12 << 20;
const HEARD_BYTES_MAX: u64 = 1 << 10;
/// The one thing that is kept of a patient.
const THING: &str = "entries";
const VERSION: u8 = 1;

/// What is held of one patient. `Debug` shows no content.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct HeldRecord {
    /// In the order in which they came.
    pub entries: Vec<HeldEntry>,
    /// Entries that are left out.
    pub omitted: u32,
    /// Entries that stay where they are, for they are sealed.
    #[serde(default)]
    pub sealed: u32,
}

/// What a file holds.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    ends: Timestamp,
    patient: NhsNumber,
    record: HeldRecord,
}

/// The held entries. Calls read and write the disk.
pub struct Held {
    disk: Arc<dyn Disk>,
    heard_file: PathBuf,
    files: Endings,
    /// One change at a time: a portion is put to what is there.
    writing: Mutex<()>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    /// Opens what is held in `directory`; throws away what has ended.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(disk: Arc<dyn Disk>, directory: &Path, now: CacheTime) -> Result<Self, CacheError> {
        let most = Most { files: PATIENTS_MAX, bytes: HELD_BYTES_MAX };
        let files = Endings::open(Arc::clone(&disk), &directory.join("patients"), &[THING], most, now)?;
        Ok(Self { disk, heard_file: directory.join("heard"), files, writing: Mutex::default() })
    }

    /// How far the centre's telling is durable here; none if nothing is known of it.
    pub fn heard(&self) -> Option<RecordsHeard> {
        let bytes = read_file(self.disk.as_ref(), &self.heard_file, HEARD_BYTES_MAX).ok()?;
        cbor::decode(&bytes, 1 << 10).ok()
    }

    /// Notes how far the centre's telling is durable here.
    ///
    /// # Errors
    /// The disk fails.
    pub fn note_heard(&self, heard: RecordsHeard) -> Result<(), CacheError> {
        let bytes = cbor::encode(&heard).map_err(|_| CacheError::Encoding)?;
        replace_file(self.disk.as_ref(), &self.heard_file, &bytes)
            .map_err(|source| CacheError::Disk { what: "noting what was heard", source })
    }

    /// Puts a portion to what is held of its patient. The same portion again changes nothing but the end.
    ///
    /// # Errors
    /// There is no room, the clock was set back, or the disk fails.
    pub fn take(&self, portion: Portion, now: CacheTime) -> Result<(), CacheError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Portion { patient, until, entries, omitted, sealed, .. } = portion;
        let before = self.files.remaining(&patient, THING, now);
        let longest = now.wall.plus(Duration::from_millis(HELD_MAX_MS.unsigned_abs()));
        let ends = before.map_or(until, |left| until.max(now.wall.plus(left))).min(longest);
        let mut record = self.read(&patient, now).unwrap_or_default();
        let count = record.entries.len();
        for entry in entries {
            if !record.entries.iter().any(|held| held.hub == entry.hub && held.entry.id == entry.entry.id) {
                record.entries.push(entry);
            }
        }
        let is_old = before.is_some_and(|left| ends <= now.wall.plus(left));
        let is_less = omitted <= record.omitted && sealed <= record.sealed;
        if is_old && record.entries.len() == count && is_less {
            return Ok(());
        }
        record.sealed = record.sealed.max(sealed);
        record.omitted = record.omitted.max(omitted);
        record.limit();
        let stored = Stored { v: VERSION, ends, patient, record };
        let bytes = cbor::encode(&stored).map_err(|_| CacheError::Encoding)?;
        self.files.keep((&patient, THING), ends, &bytes, now)
    }

    /// What is held of a patient; none if nothing is.
    pub fn read(&self, patient: &NhsNumber, now: CacheTime) -> Option<HeldRecord> {
        let mut found = self.files.read(patient, now, |bytes, ends| {
            let stored: Stored = cbor::decode(bytes, HELD_BYTES_MAX).ok()?;
            let whole = stored.v == VERSION && stored.ends == ends && stored.patient == *patient;
            whole.then_some(stored.record)
        });
        found.pop()
    }

    /// How much longer something is held of a patient; none if nothing is.
    pub fn remaining(&self, patient: &NhsNumber, now: CacheTime) -> Option<Duration> {
        self.files.remaining(patient, THING, now)
    }

    /// Of how many patients something is held.
    pub fn count(&self) -> usize {
        self.files.count()
    }

    /// Throws away what is held of a patient.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub fn purge(&self, patient: &NhsNumber) -> Result<usize, CacheError> {
        self.files.purge(patient)
    }

    /// Throws away what has ended. To be called once a minute or so.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub fn sweep(&self, now: CacheTime) -> Result<usize, CacheError> {
        self.files.sweep(now)
    }
}

impl HeldRecord {
    /// Leaves out the oldest of too many.
    fn limit(&mut self) {
        self.entries.sort_by_key(|held| held.entry.at);
        let bytes =
            |held: &HeldEntry| held.entry.body.len() + held.entry.raw.as_ref().map_or(0, bytes::Bytes::len);
        let mut total: usize = self.entries.iter().map(bytes).sum();
        let mut over = self.entries.len().saturating_sub(ENTRIES_MAX);
        total -= self.entries.iter().take(over).map(bytes).sum::<usize>();
        for held in self.entries.iter().skip(over) {
            if total <= ENTRIES_BYTES_MAX {
                break;
            }
            total -= bytes(held);
            over += 1;
        }
        self.entries.drain(..over);
        self.omitted = self.omitted.saturating_add(u32::try_from(over).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests;
