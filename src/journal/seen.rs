//! Which messages have been accepted before: what makes a sender's second attempt harmless.
//!
//! The active segment's identities are in memory; each sealed segment has its own in a sorted table on
//! disk with a Bloom filter in memory. A table outlives its segment, so that a sender may repeat a message
//! long after the centre has it.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
};

use crate::sys::disk::{Disk, DiskFile, read_up_to};

use super::Identity;

/// How many identities are remembered at least, beyond those of entries still in the journal: some weeks
/// of a busy hub's traffic, 64 MB on disk and 4 MB of filters in memory.
pub(super) const REMEMBERED_MIN: u64 = 2_000_000;

/// And never in more tables than this, so that a lookup stays short where segments hold few, large messages.
const TABLES_MAX: usize = 4096;

/// Bits of filter per identity; with eight probes about one false alarm in 1,700 looks at a table.
const FILTER_BITS_PER_IDENTITY: usize = 16;
const FILTER_PROBES: u64 = 8;
const ROW_BYTES: usize = 32;
/// How many rows the last step of a search reads at once.
const ROWS_PER_READ: u64 = 64;

/// What is known of an identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Known {
    /// Nothing.
    Not,
    /// The same message.
    Same,
    /// Another message under the same name.
    Other,
}

/// The tables, oldest first, and the identities not yet in one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    active: HashMap<[u8; 16], [u8; 16]>,
    tables: VecDeque<Table>,
}

/// One sealed segment's identities on disk.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) segment: u64,
    pub(super) path: PathBuf,
    pub(super) rows_at: u64,
    pub(super) rows: u64,
    pub(super) filter: Filter,
}

impl Seen {
    /// Looks an identity up.
    pub(super) fn find(&self, disk: &dyn Disk, identity: &Identity) -> io::Result<Known> {
        if let Some(digest) = self.active.get(&identity.key) {
            return Ok(if *digest == identity.digest { Known::Same } else { Known::Other });
        }
        // Newest first: most repetitions come within seconds of the first attempt.
        for table in self.tables.iter().rev().filter(|table| table.filter.may_hold(&identity.key)) {
            if let Some(digest) = table.find(disk, &identity.key)? {
                return Ok(if digest == identity.digest { Known::Same } else { Known::Other });
            }
        }
        Ok(Known::Not)
    }

    /// Remembers an identity of the active segment.
    pub(super) fn insert(&mut self, identity: &Identity) {
        self.active.insert(identity.key, identity.digest);
    }

    /// Forgets an identity whose commit failed.
    pub(super) fn remove(&mut self, identity: &Identity) {
        self.active.remove(&identity.key);
    }

    /// The active segment's identities, sorted, as rows of a table; they stay known as active.
    pub(super) fn rows(&self) -> Vec<u8> {
        let mut sorted: Vec<(&[u8; 16], &[u8; 16])> = self.active.iter().collect();
        sorted.sort_unstable();
        sorted.into_iter().flat_map(|(key, digest)| key.iter().chain(digest).copied()).collect()
    }

    /// Replaces the active identities by the table that now holds them.
    pub(super) fn seal(&mut self, table: Table) {
        self.active = HashMap::new();
        self.add_table(table);
    }

    /// Adds a table found on disk.
    pub(super) fn add_table(&mut self, table: Table) {
        self.tables.push_back(table);
    }

    /// Whether a segment's identities are in a table already.
    pub(super) fn has_table(&self, segment: u64) -> bool {
        self.tables.iter().rev().any(|table| table.segment == segment)
    }

    /// Takes out tables of removed segments, oldest first, that are beyond what must be remembered.
    pub(super) fn expire(&mut self, oldest_segment: u64) -> Vec<Table> {
        let mut expired = Vec::new();
        let mut rows: u64 = self.tables.iter().map(|table| table.rows).sum();
        while let Some(front) = self.tables.front() {
            let needed =
                rows - front.rows < REMEMBERED_MIN && 0 < front.rows && self.tables.len() <= TABLES_MAX;
            if oldest_segment <= front.segment || needed {
                break;
            }
            rows -= front.rows;
            expired.extend(self.tables.pop_front());
        }
        expired
    }
}

impl Table {
    fn find(&self, disk: &dyn Disk, key: &[u8; 16]) -> io::Result<Option<[u8; 16]>> {
        let file = disk.open(&self.path)?;
        let (mut low, mut high) = (0, self.rows);
        while ROWS_PER_READ < high - low {
            let middle = low + (high - low) / 2;
            let row = self.read(file.as_ref(), middle, 1)?;
            if key.as_slice() < row.get(..16).unwrap_or_default() { high = middle } else { low = middle }
        }
        let rows = self.read(file.as_ref(), low, high - low)?;
        let row = rows.chunks_exact(ROW_BYTES).find(|row| row.starts_with(key));
        Ok(row.and_then(|row| row.last_chunk().copied()))
    }

    fn read(&self, file: &dyn DiskFile, first: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut rows = vec![0; usize::try_from(count).unwrap_or(0) * ROW_BYTES];
        let filled = read_up_to(file, &mut rows, self.rows_at + first * ROW_BYTES as u64)?;
        if filled < rows.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(rows)
    }
}

/// A Bloom filter over keys that are themselves uniform hashes.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter(Vec<u8>);

impl Filter {
    /// A filter over sorted or unsorted rows.
    pub(super) fn over(rows: &[u8]) -> Self {
        let count = rows.len() / ROW_BYTES;
        let mut bits = vec![0; (count * FILTER_BITS_PER_IDENTITY).div_ceil(8)];
        for row in rows.chunks_exact(ROW_BYTES) {
            for (byte, mask) in probes(row, bits.len()) {
                bits[byte] |= mask;
            }
        }
        Self(bits)
    }

    /// A filter read from disk.
    pub(super) const fn from_bytes(bits: Vec<u8>) -> Self {
        Self(bits)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn may_hold(&self, key: &[u8; 16]) -> bool {
        !self.0.is_empty() && probes(key, self.0.len()).all(|(byte, mask)| self.0[byte] & mask != 0)
    }
}

fn probes(key: &[u8], bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let half = |from: usize| {
        key.get(from..).and_then(<[u8]>::first_chunk).map_or(0, |half| u64::from_le_bytes(*half))
    };
    let (start, step) = (half(0), half(8) | 1);
    (0..FILTER_PROBES).map(move |probe| {
        let bit = start.wrapping_add(probe.wrapping_mul(step)) % (bytes as u64 * 8);
        (usize::try_from(bit / 8).unwrap_or(0), 1 << (bit % 8))
    })
}

/// Where a table is kept, for the index that holds it.
pub(super) fn table(segment: u64, directory: &Path, rows_at: u64, rows: u64, filter: Filter) -> Table {
    Table { segment, path: directory.join(super::segment::index_name(segment)), rows_at, rows, filter }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{disk::write_all_at, entropy::Entropy, sim_disk::SimulatedDisk};

    fn identity(entropy: &mut Entropy) -> Identity {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&entropy.next_u64().to_le_bytes());
        }
        Identity::from_bytes(&bytes).unwrap()
    }

    fn seal(seen: &mut Seen, disk: &SimulatedDisk, segment: u64) {
        let rows = seen.rows();
        let filter = Filter::over(&rows);
        let table = table(segment, Path::new("/j"), 5, rows.len() as u64 / 32, filter);
        write_all_at(disk.create(&table.path).unwrap().as_ref(), &rows, 5).unwrap();
        seen.seal(table);
    }

    #[test]
    fn knows_what_it_has_seen_active_or_sealed_and_nothing_else() {
        let (disk, mut seen, mut entropy) =
            (SimulatedDisk::default(), Seen::default(), Entropy::from_seed(1));
        let known: Vec<Identity> = (0..1500).map(|_| identity(&mut entropy)).collect();
        for (index, one) in known.iter().enumerate() {
            seen.insert(one);
            if index % 500 == 400 {
                seal(&mut seen, &disk, index as u64);
            }
        }
        for one in &known {
            assert_eq!(seen.find(&disk, one).unwrap(), Known::Same);
            let other = Identity { digest: [0; 16], ..*one };
            assert_eq!(seen.find(&disk, &other).unwrap(), Known::Other);
        }
        for _ in 0..2000 {
            assert_eq!(seen.find(&disk, &identity(&mut entropy)).unwrap(), Known::Not);
        }
    }

    #[test]
    fn the_filter_seldom_cries_wolf() {
        let mut entropy = Entropy::from_seed(2);
        let row = |one: Identity| one.key.into_iter().chain(one.digest);
        let rows: Vec<u8> = (0..10_000).flat_map(|_| row(identity(&mut entropy))).collect();
        let filter = Filter::over(&rows);
        let alarms = (0..20_000).filter(|_| filter.may_hold(&identity(&mut entropy).key)).count();
        assert!(alarms < 40, "{alarms} false alarms in 20,000");
    }
}
