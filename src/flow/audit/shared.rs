//! What the writer and the readers of the trail share: which segments there are, and what each line is about.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    access::audit::{
        Checkpoint, Hash, Standing, Tree,
        tree::{Leaves, TILE_LEAVES},
    },
    domain::ids::HubId,
    sys::disk::{Disk, read_up_to},
};

use super::segment::{Rows, hash_part, index_name};

/// A segment, as far as it is valid.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) incarnation: u64,
    /// Lines of its incarnation before it.
    pub(super) before: u64,
    /// Lines in it.
    pub(super) count: usize,
    /// Valid bytes.
    pub(super) length: u64,
    /// What is known of its lines, where that is not in an index file: in the newest segment, and where none could be
    /// written.
    pub(super) rows: Option<Arc<Rows>>,
}

/// A checkpoint with its signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As a signed note.
    pub note: String,
}

/// Everything that is known in memory: about 200 bytes for each segment, and two hashes for 256 lines.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) segments: VecDeque<Segment>,
    /// Of the newest incarnation.
    pub(super) tree: Tree,
    pub(super) last: Hash,
    pub(super) standing: Standing,
    /// The newest checkpoint of the newest incarnation.
    pub(super) newest: Option<Signed>,
}

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hub: HubId,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    index: RwLock<Index>,
}

impl Shared {
    pub(super) fn new(hub: HubId, disk: Arc<dyn Disk>, directory: PathBuf) -> Self {
        Self { hub, disk, directory, index: RwLock::default() }
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaf hashes as they lie in segments' indexes.
pub(super) struct IndexedLeaves<'a> {
    pub(super) shared: &'a Shared,
    pub(super) index: &'a Index,
}

impl Leaves for IndexedLeaves<'_> {
    type Error = io::Error;

    fn tile(&self, tile: u64) -> io::Result<Vec<Hash>> {
        let (from, to) = (tile * TILE_LEAVES, (tile + 1) * TILE_LEAVES);
        let incarnation = self.index.standing.incarnation;
        let mut hashes = Vec::new();
        for segment in self.index.segments.iter().filter(|segment| segment.incarnation == incarnation) {
            let end = segment.before + segment.count as u64;
            let (first, last) = (from.max(segment.before), to.min(end));
            if first < last {
                let row = usize::try_from(first - segment.before).map_err(io::Error::other)?;
                let some = usize::try_from(last - first).map_err(io::Error::other)?;
                hashes.extend(self.shared.hashes(segment, row, some)?);
            }
        }
        Ok(hashes)
    }
}

impl Shared {
    fn hashes(&self, segment: &Segment, row: usize, some: usize) -> io::Result<Vec<Hash>> {
        if let Some(rows) = &segment.rows {
            return Ok(rows.hashes.iter().skip(row).take(some).copied().collect());
        }
        let part = hash_part(row, some, segment.count);
        let bytes = self.read_part(&index_name(segment.number), part.from, part.bytes)?;
        Ok(bytes.as_chunks().0.to_vec())
    }

    /// Exactly so many bytes of a file.
    pub(super) fn read_part(&self, name: &str, from: u64, count: usize) -> io::Result<Vec<u8>> {
        let file = self.disk.open(&self.directory.join(name))?;
        let mut bytes = vec![0; count];
        if read_up_to(file.as_ref(), &mut bytes, from)? < count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}
