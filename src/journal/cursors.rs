//! How far the centre and the hub's own consumers have come, kept beside the log.
//!
//! Losing this file loses no entry: everything still in the log is sent and consumed again, and takes effect
//! once.

use std::{collections::BTreeMap, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    codec::cbor,
    domain::ids::Epoch,
    sys::disk::{Disk, read_file, replace_file},
};

use super::Position;

/// Thousands of epochs' worth.
const FILE_BYTES_MAX: usize = 1 << 20;
const FILE: &str = "cursors";

/// What is durable elsewhere, and what has been consumed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Cursors {
    /// For each epoch and lane: everything through this sequence is released.
    pub(super) released: BTreeMap<(Epoch, u8), u64>,
    /// For each consumer: where it goes on.
    pub(super) consumers: BTreeMap<String, Position>,
}

#[derive(Deserialize, Serialize)]
struct OnDisk {
    released: Vec<(Epoch, u8, u64)>,
    consumers: BTreeMap<String, Position>,
}

impl Cursors {
    pub(super) fn load(disk: &dyn Disk, directory: &Path) -> io::Result<Option<Self>> {
        let content = match read_file(disk, &directory.join(FILE), FILE_BYTES_MAX as u64) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let (checksum, payload) = content.split_first_chunk::<4>().ok_or_else(damaged)?;
        if u32::from_le_bytes(*checksum) != crc32c::crc32c(payload) {
            return Err(damaged());
        }
        let stored: OnDisk = cbor::decode(payload, FILE_BYTES_MAX).map_err(|_| damaged())?;
        let released =
            stored.released.into_iter().map(|(epoch, lane, through)| ((epoch, lane), through)).collect();
        Ok(Some(Self { released, consumers: stored.consumers }))
    }

    pub(super) fn store(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        let released =
            self.released.iter().map(|((epoch, lane), through)| (*epoch, *lane, *through)).collect();
        let payload = cbor::encode(&OnDisk { released, consumers: self.consumers.clone() })
            .map_err(|_| io::ErrorKind::InvalidData)?;
        let mut content = crc32c::crc32c(&payload).to_le_bytes().to_vec();
        content.extend_from_slice(&payload);
        replace_file(disk, &directory.join(FILE), &content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sim_disk::SimulatedDisk;

    #[test]
    fn read_back_and_damage_shows() {
        let (disk, directory) = (SimulatedDisk::default(), Path::new("/j"));
        assert_eq!(Cursors::load(&disk, directory).unwrap(), None);
        let mut cursors = Cursors::default();
        cursors.released.insert((Epoch(5), 2), 77);
        cursors.consumers.insert("view".to_owned(), Position { segment: 3, offset: 4096 });
        cursors.store(&disk, directory).unwrap();
        assert_eq!(Cursors::load(&disk, directory).unwrap(), Some(cursors));
        disk.damage(&directory.join(FILE), 9);
        assert!(Cursors::load(&disk, directory).is_err());
    }
}
