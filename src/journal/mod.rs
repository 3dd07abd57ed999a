//! The durable log: what is in it survives crashes and power cuts, and everything else can be rebuilt from it.
//!
//! [`Log`] is the log itself: plain calls over a [`Disk`](crate::sys::disk::Disk), no thread, no clock.
//! [`Journal`] puts it on one writer thread, which commits whatever has come in with one `fdatasync`.
//! Entries go to a [`Lane`] each, with contiguous sequences from 1 in every epoch; [`LaneReader`] follows
//! one lane, [`LogReader`] all of them in the order they were written.
//!
//! **Invariants.** [`Verdict::Committed`] is said only after `fdatasync` returned well. A file whose write or
//! synchronisation failed is never written again. No sequence is used twice within an epoch, and a new epoch
//! begins at every start and after every failure of the disk. A segment is removed only when every lane's
//! entries in it are released and every consumer is past it.

mod cursors;
mod frame;
mod handle;
mod index;
mod log;
mod opening;
mod quota;
mod reader;
mod scan;
mod seen;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod window;

use bytes::Bytes;

use crate::domain::ids::{Class, Epoch, Sequence};

pub use frame::PAYLOAD_BYTES_MAX;
pub use handle::{Closed, Journal};
pub use log::{Log, Options};
pub use opening::Recovery;
pub use reader::{LaneChunk, LaneReader, LogChunk, LogReader, open_for_reading};
pub use shared::{LaneStatus, Shared, Status, Stream};

/// A stream of entries with sequences of its own: one for each class, and one for what the centre sends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lane(u8);

impl Lane {
    /// How many lanes there are.
    pub const COUNT: usize = 8;
    /// What came from the centre: never sent back, removed once every consumer is past it.
    pub const DOWN: Self = Self(6);
    const SPARE: Self = Self(7);

    /// The lane of a class.
    pub const fn of(class: Class) -> Self {
        Self(class as u8)
    }

    /// The lane's class, if it is one's.
    pub fn class(self) -> Option<Class> {
        Class::ALL.get(self.index()).copied()
    }

    const fn index(self) -> usize {
        self.0 as usize
    }

    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(Self)
    }
}

/// A place in the log, in the order of writing.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// Bytes from the segment's beginning.
    pub offset: u64,
}

/// What makes two messages the same: the same key is the same name, the same digest the same content.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// A hash of who sent it and what the sender calls it.
    pub key: [u8; 16],
    /// A hash of the bytes.
    pub digest: [u8; 16],
}

impl Identity {
    /// Hashes a name, given in parts, and content: the first halves of SHA-256.
    pub fn of(name: &[&[u8]], content: &[u8]) -> Self {
        use sha2::{Digest, Sha256};
        let mut key = Sha256::new();
        for part in name {
            key.update((part.len() as u64).to_le_bytes());
            key.update(part);
        }
        let half = |hash: &[u8]| hash.first_chunk().copied().unwrap_or_default();
        Self { key: half(&key.finalize()), digest: half(&Sha256::digest(content)) }
    }

    /// The key as 32 hexadecimal digits: an entry's `id` on the wire.
    pub fn id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.key))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self { key: *bytes.get(..16)?.first_chunk()?, digest: *bytes.get(16..)?.first_chunk()? })
    }
}

/// An entry to be appended.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where to.
    pub lane: Lane,
    /// What it is recognised by when it comes again; without one it is always new.
    pub identity: Option<Identity>,
    /// 1 to [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: Bytes,
}

/// What became of an entry to be appended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is durable.
    Committed(Placed),
    /// The same message is durable already, from an earlier attempt.
    Duplicate,
    /// Another message of the same name is durable already.
    Conflict,
    /// There is no room for its lane.
    Full,
    /// The payload is empty or longer than [`PAYLOAD_BYTES_MAX`].
    WrongSize,
    /// The disk failed. It may or may not be there after a restart; it was not acknowledged.
    Failed,
}

/// Where an entry was put.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Its lane.
    pub lane: Lane,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its sequence.
    pub sequence: Sequence,
}

/// An entry read back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Where it was put.
    pub placed: Placed,
    /// What it is recognised by.
    pub identity: Option<Identity>,
    /// Where it stands in the log.
    pub position: Position,
    /// The place just behind it: where a consumer that has dealt with it goes on.
    pub next: Position,
    /// What was appended.
    pub payload: Bytes,
}
