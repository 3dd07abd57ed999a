//! How far a destination has come, on disk: a small snapshot, replaced as a whole.

use std::{collections::BTreeSet, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    codec::cbor,
    sys::disk::{Disk, read_file, replace_file},
};

use super::{Position, lanes::Order};

/// Some thousands of places out of order take less.
const FILE_BYTES_MAX: usize = 4 << 20;

/// What a restart must know so that nothing is sent twice and nothing is left out.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Snapshot {
    /// Everything in the journal before this is done with, or has a copy of its own beside this file.
    pub(super) low: Position,
    /// What is done with from there on.
    pub(super) finished: BTreeSet<Position>,
    /// Copies that are done with, and may still be there.
    pub(super) discarded: BTreeSet<Order>,
}

impl Snapshot {
    /// Reads it back; none if there is none yet.
    ///
    /// # Errors
    /// The disk's; `InvalidData` if it is not what was written.
    pub(super) fn load(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let content = match read_file(disk, path, FILE_BYTES_MAX as u64) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let (checksum, payload) = content.split_first_chunk::<4>().ok_or_else(damaged)?;
        if u32::from_le_bytes(*checksum) != crc32c::crc32c(payload) {
            return Err(damaged());
        }
        cbor::decode(payload, FILE_BYTES_MAX).map(Some).map_err(|_| damaged())
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// The disk's; what was there before then stands.
    pub(super) fn store(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let payload = cbor::encode(self).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut content = crc32c::crc32c(&payload).to_le_bytes().to_vec();
        content.extend_from_slice(&payload);
        replace_file(disk, path, &content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sim_disk::SimulatedDisk;

    #[test]
    fn read_back_and_damage_shows() {
        let (disk, path) = (SimulatedDisk::default(), Path::new("/d/emis"));
        disk.create_directory(Path::new("/d")).unwrap();
        assert_eq!(Snapshot::load(&disk, path).unwrap(), None);
        let place = |offset| Position { segment: 3, offset };
        let order = Order { position: place(7), again: 2 };
        let snapshot = Snapshot {
            low: place(4096),
            finished: BTreeSet::from([place(5000), place(6000)]),
            discarded: BTreeSet::from([order]),
        };
        snapshot.store(&disk, path).unwrap();
        assert_eq!(Snapshot::load(&disk, path).unwrap(), Some(snapshot));
        disk.damage(path, 12);
        assert!(Snapshot::load(&disk, path).is_err());
    }
}
