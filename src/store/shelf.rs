//! What has been applied but not yet written to sled, and how it is written.
//!
//! sled writes every changed value once by itself and again with its whole page, so changes are gathered
//! here first and those to one key become one. They go out in batches of [`BATCH_KEYS_MAX`] keys: sled
//! hangs if it needs a page again that it evicted in the same batch. Only the last batch has the cursor.
//! A crash between batches therefore leaves content newer than the cursor, never older, and applying the
//! same messages again changes nothing: fields keep the newest, identifiers only ever join, and numbers
//! given to patients and names are in the first batch, with everything that uses them there.

use std::{collections::BTreeMap, ops::Bound};

use super::{
    ViewError,
    bodies::Bodies,
    engine::Engine,
    keys::{self, KEY_BYTES_MAX, Room},
    value::BodyReference,
    wire::{Reader, Writer},
};
use crate::journal::Position;

/// Longest value in sled, in bytes: sixteen on a page stay far below 128 KiB, where sled begins to write
/// files that it neither synchronises nor removes.
pub(super) const VALUE_BYTES_MAX: usize = 4096;
/// Keys in one batch. A batch's pages, about 4 KiB each, fill an eighth of sled's cache.
pub(super) const BATCH_KEYS_MAX: usize = 64;
/// What may wait here, in bytes of keys, values and bookkeeping. More means fewer writes and more memory.
pub(super) const PENDING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Keys about identity that may wait here: they go out in one batch, whose pages are all small.
pub(super) const PENDING_IDENTITY_KEYS_MAX: usize = 128;
/// What a waiting entry takes besides its key and value, in bytes, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 96;

/// sled, the content files, and what waits to be written to them.
pub(super) struct Shelf {
    pub(super) engine: Engine,
    pub(super) bodies: Bodies,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pending_bytes: usize,
    pending_identity_keys: usize,
    #[cfg(test)]
    pub(super) batches_until_power_cut: Option<usize>,
}

impl Shelf {
    pub(super) fn new(engine: Engine, bodies: Bodies) -> Self {
        Self {
            engine,
            bodies,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            pending_identity_keys: 0,
            #[cfg(test)]
            batches_until_power_cut: None,
        }
    }

    /// The newest value under a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match self.pending.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.engine.get(key),
        }
    }

    /// Sets or removes the value under a key.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let identity = is_identity(&key);
        let cost = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let (key_bytes, value_bytes) = (key.len(), cost(&value));
        match self.pending.insert(key, value) {
            Some(before) => self.pending_bytes = self.pending_bytes.saturating_sub(cost(&before)),
            None => {
                self.pending_bytes += key_bytes + ENTRY_OVERHEAD_BYTES;
                self.pending_identity_keys += usize::from(identity);
            }
        }
        self.pending_bytes += value_bytes;
    }

    /// All entries whose keys begin with `prefix`, and at most `limit` of those in sled.
    pub(super) fn scan(&self, prefix: &[u8], limit: usize) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ViewError> {
        let mut found = BTreeMap::new();
        self.engine.scan(prefix, |key, value| {
            if found.len() < limit {
                found.insert(key.to_vec(), value.to_vec());
            }
            Ok(())
        })?;
        let from = (Bound::Included(prefix.to_vec()), Bound::Unbounded);
        for (key, value) in self.pending.range(from).take_while(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found)
    }

    /// Packs an item's bytes so that they fit under a key: in a file, if they are too many.
    pub(super) fn pack(&self, bytes: &[u8]) -> Result<Vec<u8>, ViewError> {
        let mut writer = Writer::default();
        if bytes.len() < VALUE_BYTES_MAX {
            writer.0.push(0);
            writer.0.extend(bytes);
        } else {
            writer.0.push(1);
            self.bodies.put(bytes)?.write(&mut writer);
        }
        Ok(writer.0)
    }

    /// Whether so much waits that it should be written.
    pub(super) fn is_full(&self) -> bool {
        PENDING_BYTES_MAX < self.pending_bytes || PENDING_IDENTITY_KEYS_MAX < self.pending_identity_keys
    }

    /// Writes everything that waits, then the cursor.
    pub(super) fn spill(&mut self, head: Vec<u8>, next: Position) -> Result<(), ViewError> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        self.pending_identity_keys = 0;
        let (mut identity, other): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|(key, _)| is_identity(key));
        if !identity.is_empty() {
            identity.push((keys::HEAD.to_vec(), Some(head)));
            self.write(identity)?;
        }
        let mut rest = other.into_iter().peekable();
        while rest.peek().is_some() {
            let batch = rest.by_ref().take(BATCH_KEYS_MAX).collect();
            self.write(batch)?;
        }
        self.write(vec![(keys::CURSOR.to_vec(), Some(encode_cursor(next)))])
    }

    fn write(&mut self, batch: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<(), ViewError> {
        #[cfg(test)]
        if let Some(left) = &mut self.batches_until_power_cut {
            *left = left.checked_sub(1).ok_or(ViewError::Closed)?;
        }
        debug_assert!(batch.iter().all(|(key, _)| key.len() <= KEY_BYTES_MAX));
        debug_assert!(batch.iter().flat_map(|(_, value)| value).all(|value| value.len() <= VALUE_BYTES_MAX));
        self.engine.write(batch.into_iter())
    }
}

/// The bytes of an item as [`Shelf::pack`] was given them.
pub(super) fn unpack(bodies: &Bodies, packed: &[u8]) -> Result<Vec<u8>, ViewError> {
    match packed.split_first() {
        Some((0, bytes)) => Ok(bytes.to_vec()),
        _ => match whole_body(packed) {
            Some(body) => bodies.get(&body),
            None => Err(ViewError::Damaged("an item is neither in place nor in a file")),
        },
    }
}

/// The file that holds a whole item, if one does.
pub(super) fn whole_body(packed: &[u8]) -> Option<BodyReference> {
    let mut reader = Reader(packed);
    let body = (reader.byte()? == 1).then(|| BodyReference::read(&mut reader))??;
    reader.end().map(|()| body)
}

fn is_identity(key: &[u8]) -> bool {
    matches!(
        Room::of(key),
        Some(Room::Alias | Room::Child | Room::NhsNumber | Room::Local | Room::Name | Room::Patient)
    )
}

pub(super) fn encode_cursor(next: Position) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.number(next.segment).number(next.offset);
    writer.0
}

pub(super) fn decode_cursor(bytes: &[u8]) -> Option<Position> {
    let mut reader = Reader(bytes);
    let next = Position { segment: reader.number()?, offset: reader.number()? };
    reader.end().map(|()| next)
}
