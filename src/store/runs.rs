//! Items, many patients' together, compressed, in files that are written once: the runs.
//!
//! sled writes what it holds three to four times over. A run is written once, at a fifth of its size, and
//! what it says of an item need not be all that is known: reading takes together what all runs say, field by
//! field. So sled has only where each patient's part is, and applying a message reads no item at all.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    ViewError,
    value::Item,
    wire::{Reader, Writer},
};
use crate::sys::disk::{Disk, RealDisk, read_up_to, replace_file};

/// Items are compressed together until they are so many bytes: what has to be unpacked to read one patient.
const BLOCK_BYTES: usize = 32 * 1024;
/// zstd's level: 3 is its default, and packs faster than any network here delivers.
const LEVEL: i32 = 3;
/// Longest unpacked block, in bytes: what waits to be written, and one patient's whole record besides.
pub(super) const BLOCK_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One patient's items, by what [`super::keys::item`] calls them.
pub(super) type Items = BTreeMap<Vec<u8>, Item>;

/// Where a patient's items are in a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    /// Where the block begins in the file, and how long it is there and unpacked.
    block: (u64, usize, usize),
    /// Where the patient's part is in the unpacked block, and how long.
    part: (usize, usize),
    /// How many items it has.
    pub(super) items: usize,
}

impl Place {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.block.0).count(self.block.1).count(self.block.2);
        writer.count(self.part.0).count(self.part.1).count(self.items);
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut size = || usize::try_from(reader.number()?).ok();
        let block = (size()? as u64, size()?, size()?);
        let place = Self { block, part: (size()?, size()?), items: size()? };
        (place.block.2 <= BLOCK_BYTES_MAX).then_some(place)
    }

    /// How long the patient's part is, unpacked, in bytes.
    pub(super) fn part_bytes(&self) -> usize {
        self.part.1
    }

    /// How long the run must be at least, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.block.0.saturating_add(self.block.1 as u64)
    }
}

/// Where a patient's items are, by run.
pub(super) type Chunks = BTreeMap<u64, Place>;

/// Some of a patient's places as one value.
pub(super) fn encode_chunks<'a>(chunks: impl Iterator<Item = (&'a u64, &'a Place)>) -> Vec<u8> {
    let mut writer = Writer::default();
    for (run, place) in chunks {
        place.write(writer.number(*run));
    }
    writer.0
}

/// Reads what [`encode_chunks`] wrote.
pub(super) fn decode_chunks(bytes: &[u8]) -> Option<Chunks> {
    let mut reader = Reader(bytes);
    let mut chunks = Chunks::new();
    while reader.end().is_none() {
        chunks.insert(reader.number()?, Place::read(&mut reader)?);
    }
    Some(chunks)
}

/// Patients, and where their items are.
pub(super) type Places = Vec<(u64, Place)>;

/// A run while it is put together.
#[derive(Default)]
pub(super) struct Draft {
    file: Vec<u8>,
    block: Vec<u8>,
    in_block: Vec<(u64, Place)>,
    places: Vec<(u64, Place)>,
}

impl Draft {
    /// Adds a patient's items.
    pub(super) fn add(&mut self, patient: u64, items: &Items) -> Result<(), ViewError> {
        let start = self.block.len();
        let mut writer = Writer(std::mem::take(&mut self.block));
        for (name, item) in items {
            writer.bytes(name).bytes(&item.encode());
        }
        self.block = writer.0;
        let part = (start, self.block.len() - start);
        self.in_block.push((patient, Place { part, items: items.len(), ..Place::default() }));
        if BLOCK_BYTES <= self.block.len() { self.close_block() } else { Ok(()) }
    }

    /// The whole file, and where each patient's items are in it.
    pub(super) fn finish(mut self) -> Result<(Vec<u8>, Places), ViewError> {
        self.close_block()?;
        Ok((self.file, self.places))
    }

    fn close_block(&mut self) -> Result<(), ViewError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packed = pack(&self.block).map_err(ViewError::disk("compressing items"))?;
        let block = (self.file.len() as u64, packed.len(), self.block.len());
        self.places
            .extend(self.in_block.drain(..).map(|(patient, place)| (patient, Place { block, ..place })));
        self.file.extend(packed);
        self.block.clear();
        Ok(())
    }
}

/// With a checksum, so that damage is noticed when the block is unpacked.
fn pack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(bytes)
}

/// The folder of runs.
#[derive(Debug)]
pub(super) struct Runs(pub(super) PathBuf);

impl Runs {
    /// Writes a run durably.
    pub(super) fn put(&self, run: u64, file: &[u8]) -> Result<(), ViewError> {
        replace_file(&RealDisk, &self.path(run), file).map_err(ViewError::disk("writing a run of items"))
    }

    /// Reads a patient's items in a run.
    pub(super) fn get(&self, run: u64, place: &Place) -> Result<Items, ViewError> {
        let damaged = || ViewError::Damaged("a run of items is missing or cannot be read");
        let file = RealDisk.open(&self.path(run)).map_err(|_| damaged())?;
        if file.length().map_err(|_| damaged())? < place.end() {
            return Err(damaged());
        }
        let mut packed = vec![0; place.block.1];
        read_up_to(file.as_ref(), &mut packed, place.block.0).map_err(|_| damaged())?;
        let block = zstd::bulk::decompress(&packed, place.block.2).map_err(|_| damaged())?;
        let part = block.get(place.part.0..).and_then(|rest| rest.get(..place.part.1)).ok_or_else(damaged)?;
        let mut reader = Reader(part);
        let mut items = Items::new();
        while reader.end().is_none() {
            let mut read = || Some((reader.bytes()?.to_vec(), Item::decode(reader.bytes()?)?));
            let (name, item) = read().ok_or_else(damaged)?;
            items.insert(name, item);
        }
        Ok(items)
    }

    /// Whether the file is there and long enough; its blocks are checked when they are read.
    pub(super) fn reaches(&self, run: u64, bytes: u64) -> bool {
        RealDisk.open(&self.path(run)).and_then(|file| file.length()).is_ok_and(|length| bytes <= length)
    }

    /// Removes the runs nothing refers to, and whatever else is there.
    pub(super) fn keep_only(&self, wanted: impl Fn(u64) -> bool) -> Result<(), ViewError> {
        for name in RealDisk.list(&self.0).map_err(ViewError::disk("listing runs of items"))? {
            if !name.parse().is_ok_and(&wanted) {
                RealDisk.remove(&self.0.join(name)).map_err(ViewError::disk("removing a run of items"))?;
            }
        }
        Ok(())
    }

    fn path(&self, run: u64) -> PathBuf {
        self.0.join(run.to_string())
    }
}
