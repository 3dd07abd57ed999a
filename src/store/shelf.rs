//! What has been applied but not yet written, and how it is written.
//!
//! Changes are gathered here first, and those to one key or one item become one. Then numbers given to
//! patients and names go out in one batch with everything that uses them, items in one run, where each
//! patient's items are in batches of [`BATCH_KEYS_MAX`] keys (sled hangs if it needs a page again that it
//! evicted in the same batch), and at last the cursor. A crash in between therefore leaves content newer
//! than the cursor, never older, and applying the same messages again changes nothing: fields keep the
//! newest and identifiers only ever join.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{
    ViewError,
    bodies::Bodies,
    engine::Engine,
    keys::{self, KEY_BYTES_MAX, Room},
    runs::{BLOCK_BYTES_MAX, Chunks, Draft, Items, Place, Runs, decode_chunks, encode_chunks},
    value::{Content, Item},
    wire::{Reader, Writer},
};
use crate::journal::Position;

/// Longest value in sled, in bytes: sixteen on a page stay far below 128 KiB, where sled begins to write
/// files that it neither synchronises nor removes.
pub(super) const VALUE_BYTES_MAX: usize = 4096;
/// Keys in one batch. A batch's pages, about 1 KiB each, fill a small part of sled's cache.
pub(super) const BATCH_KEYS_MAX: usize = 64;
/// What may wait here, in bytes of keys, values and bookkeeping. More means fewer writes and more memory.
pub(super) const PENDING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Keys about identity that may wait here: they go out in one batch, whose pages are all small.
pub(super) const PENDING_IDENTITY_KEYS_MAX: usize = 128;
/// A patient's items in more runs than this are brought together in the next.
const CHUNKS_MAX: usize = 12;
/// Places in one value: at most 40 bytes each, so that it stays below [`VALUE_BYTES_MAX`].
const CHUNKS_IN_VALUE: usize = 64;
/// What a waiting entry or item takes besides its bytes, in bytes, roughly; and a field.
const ENTRY_OVERHEAD_BYTES: usize = 96;
const FIELD_OVERHEAD_BYTES: usize = 176;

/// A key, and its value or that it goes.
type Entry = (Vec<u8>, Option<Vec<u8>>);

/// sled, the runs and content files, and what waits to be written to them.
pub(super) struct Shelf {
    pub(super) engine: Engine,
    pub(super) bodies: Bodies,
    pub(super) runs: Runs,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    said: BTreeMap<u64, Items>,
    pending_bytes: usize,
    pending_identity_keys: usize,
    #[cfg(test)]
    pub(super) batches_until_power_cut: Option<usize>,
}

impl Shelf {
    pub(super) fn new(engine: Engine, bodies: Bodies, runs: Runs) -> Self {
        Self {
            engine,
            bodies,
            runs,
            pending: BTreeMap::new(),
            said: BTreeMap::new(),
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

    /// Adds what a message says of an item.
    pub(super) fn say(&mut self, patient: u64, name: Vec<u8>, item: Item) {
        let items = self.said.entry(patient).or_default();
        match items.get_mut(&name) {
            Some(known) => {
                let before = cost(known);
                known.take_in(item);
                self.pending_bytes = (self.pending_bytes + cost(known)).saturating_sub(before);
            }
            None => {
                self.pending_bytes += name.len() + ENTRY_OVERHEAD_BYTES + cost(&item);
                items.insert(name, item);
            }
        }
    }

    /// All a patient's items: what the runs say, and on top what waits.
    pub(super) fn items(&self, patient: u64) -> Result<Items, ViewError> {
        let mut items = Items::new();
        for (run, place) in self.chunks(patient)? {
            take_in(&mut items, self.runs.get(run, &place)?);
        }
        if let Some(said) = self.said.get(&patient) {
            take_in(&mut items, said.clone());
        }
        Ok(items)
    }

    /// All entries whose keys begin with `prefix`, and at most `limit` of those in sled.
    pub(super) fn scan(&self, prefix: &[u8], limit: usize) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ViewError> {
        let mut found = BTreeMap::new();
        let from = (Bound::Included(prefix.to_vec()), Bound::Unbounded);
        let waiting = || self.pending.range(from.clone()).take_while(|(key, _)| key.starts_with(prefix));
        let going = waiting().filter(|(_, value)| value.is_none()).count();
        self.engine.scan(prefix, limit.saturating_add(going), |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            Ok(())
        })?;
        for (key, value) in waiting() {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found)
    }

    /// Whether so much waits that it should be written.
    pub(super) fn is_full(&self) -> bool {
        PENDING_BYTES_MAX < self.pending_bytes
    }

    /// Whether so many changes of identity wait that they should be written.
    pub(super) fn has_many_identities(&self) -> bool {
        PENDING_IDENTITY_KEYS_MAX < self.pending_identity_keys
    }

    /// Writes what waits about identity, with the numbers given so far.
    pub(super) fn spill_identity(&mut self, head: Vec<u8>) -> Result<(), ViewError> {
        let mut batch: Vec<Entry> = self.pending.extract_if(.., |key, _| is_identity(key)).collect();
        let gone: usize = batch.iter().map(entry_cost).sum();
        self.pending_bytes = self.pending_bytes.saturating_sub(gone);
        self.pending_identity_keys = 0;
        batch.push((keys::HEAD.to_vec(), Some(head)));
        self.write(batch)
    }

    /// Writes everything that waits, the items to run number `run`, then the cursor.
    pub(super) fn spill(&mut self, head: Vec<u8>, run: u64, next: Position) -> Result<(), ViewError> {
        self.spill_identity(head)?;
        let mut entries = self.write_run(run)?;
        entries.extend(std::mem::take(&mut self.pending));
        self.pending_bytes = 0;
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let batch = entries.by_ref().take(BATCH_KEYS_MAX).collect();
            self.write(batch)?;
        }
        self.write(vec![(keys::CURSOR.to_vec(), Some(encode_cursor(next)))])
    }

    /// Writes the items that wait to a run, and says what sled has to know of it: each patient's new place
    /// before the old ones go.
    fn write_run(&mut self, run: u64) -> Result<Vec<Entry>, ViewError> {
        let mut draft = Draft::default();
        let mut gone: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut bodies: BTreeMap<u64, BTreeSet<[u8; 32]>> = BTreeMap::new();
        for (patient, mut items) in std::mem::take(&mut self.said) {
            let chunks = self.chunks(patient)?;
            if CHUNKS_MAX <= chunks.len() {
                let (together, runs) = self.bring_together(&chunks, items)?;
                items = together;
                gone.insert(patient, runs);
            }
            let digests = items.values().flat_map(Item::bodies).map(|body| body.digest);
            bodies.insert(patient, digests.collect());
            draft.add(patient, &items)?;
        }
        let (file, places) = draft.finish()?;
        if !file.is_empty() {
            self.runs.put(run, &file)?;
        }
        let mut entries = Vec::new();
        for (patient, place) in places {
            let digests = bodies.remove(&patient).unwrap_or_default();
            entries.extend(digests.iter().map(|digest| (keys::body(patient, run, digest), Some(Vec::new()))));
            let gone = gone.remove(&patient).unwrap_or_default();
            entries.extend(self.placed(patient, (run, place), &gone)?);
        }
        Ok(entries)
    }

    /// What sled has to know of a patient's new place: one value with all of them, more only for a record too large to
    /// be brought together.
    fn placed(&self, patient: u64, new: (u64, Place), gone: &[u64]) -> Result<Vec<Entry>, ViewError> {
        let mut chunks = self.chunks(patient)?;
        let before = chunks.len().div_ceil(CHUNKS_IN_VALUE);
        chunks.retain(|run, _| !gone.contains(run));
        chunks.extend([new]);
        let mut entries = Vec::new();
        let mut rest = chunks.iter().peekable();
        let mut number = 0;
        while rest.peek().is_some() {
            let value = encode_chunks(rest.by_ref().take(CHUNKS_IN_VALUE));
            entries.push((keys::chunks(patient, number), Some(value)));
            number += 1;
        }
        entries.extend((number..before as u64).map(|number| (keys::chunks(patient, number), None)));
        for run in gone {
            let bodies = self.scan(&keys::bodies(patient, *run), usize::MAX)?;
            entries.extend(bodies.into_keys().map(|key| (key, None)));
        }
        Ok(entries)
    }

    /// A patient's items from several runs with those that wait, and which runs these are.
    fn bring_together(&self, chunks: &Chunks, waiting: Items) -> Result<(Items, Vec<u64>), ViewError> {
        let mut items = Items::new();
        let mut gone = Vec::new();
        let mut bytes = 0;
        for (run, place) in chunks {
            bytes += place.part_bytes();
            // A record so large is left in as many runs as it is in.
            if BLOCK_BYTES_MAX / 4 < bytes {
                break;
            }
            take_in(&mut items, self.runs.get(*run, place)?);
            gone.push(*run);
        }
        take_in(&mut items, waiting);
        Ok((items, gone))
    }

    fn chunks(&self, patient: u64) -> Result<Chunks, ViewError> {
        let found = self.scan(&keys::numbered(Room::Chunk, patient), usize::MAX)?;
        let places: Option<Vec<Chunks>> = found.values().map(|value| decode_chunks(value)).collect();
        let places = places.ok_or(ViewError::Damaged("a place in a run cannot be read"))?;
        Ok(places.into_iter().flatten().collect())
    }

    fn write(&mut self, batch: Vec<Entry>) -> Result<(), ViewError> {
        #[cfg(test)]
        if let Some(left) = &mut self.batches_until_power_cut {
            *left = left.checked_sub(1).ok_or(ViewError::Closed)?;
        }
        debug_assert!(batch.iter().all(|(key, _)| key.len() <= KEY_BYTES_MAX));
        debug_assert!(batch.iter().flat_map(|(_, value)| value).all(|value| value.len() <= VALUE_BYTES_MAX));
        self.engine.write(batch.into_iter())
    }
}

/// Adds what else is known of items.
pub(super) fn take_in(items: &mut Items, others: Items) {
    for (name, item) in others {
        match items.get_mut(&name) {
            Some(known) => known.take_in(item),
            None => {
                items.insert(name, item);
            }
        }
    }
}

fn cost(item: &Item) -> usize {
    let text = |content: &Content| if let Content::Text(text) = content { text.len() } else { 0 };
    let said = item.fields.iter().flat_map(|field| &field.said);
    said.map(|said| FIELD_OVERHEAD_BYTES + text(&said.content)).sum()
}

fn entry_cost((key, value): &Entry) -> usize {
    key.len() + ENTRY_OVERHEAD_BYTES + value.as_ref().map_or(0, Vec::len)
}

fn is_identity(key: &[u8]) -> bool {
    matches!(
        Room::of(key),
        Some(
            Room::Alias | Room::Child | Room::Claim | Room::Doubt | Room::Local | Room::Name | Room::Patient
        )
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
