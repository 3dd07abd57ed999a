//! What counting keeps over a restart: files of statements, and last of all the one that says which of them count.
//!
//! Months that are put away have files of their own, which are read again only if something late bears on them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    activity::derive::{Kept, Ledger, Limits, Shelf},
    activity::maps::Maps,
    codec::cbor,
    domain::contact::{Evidence, Month},
    journal::Position,
    sys::disk::{Disk, read_file, replace_file},
};

/// Statements of one file: some 20 MB unpacked.
const PART_STATEMENTS: usize = 50_000;
/// One file, packed or unpacked, in bytes: a part, or what is known besides statements (who is who, and the months).
const FILE_BYTES_MAX: usize = 256 << 20;
const LEVEL: i32 = 3;
const VERSION: u8 = 1;
const MANIFEST: &str = "manifest";

/// Which files count.
#[derive(Serialize, Deserialize)]
struct Manifest {
    v: u8,
    /// Names the files.
    generation: u64,
    parts: usize,
    /// Up to where the journal is in it.
    position: (u64, u64),
    kept: Kept,
}

/// A month that is put away.
#[derive(Serialize, Deserialize)]
struct Shelved {
    v: u8,
    statements: Vec<Evidence>,
    pins: crate::activity::derive::Pins,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Keep {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    generation: u64,
}

impl Keep {
    /// Opens the folder, and reads the ledger as it was kept; a new one if nothing was, or if it cannot be believed.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        maps: Arc<Maps>,
    ) -> io::Result<(Self, Ledger, Option<Position>)> {
        disk.create_directory(directory)?;
        let mut keep = Self { disk, directory: directory.to_owned(), generation: 0 };
        match keep.load(&maps)? {
            Some((ledger, position)) => Ok((keep, ledger, Some(position))),
            None => Ok((keep, Ledger::new(maps, Limits::default()), None)),
        }
    }

    fn load(&mut self, maps: &Arc<Maps>) -> io::Result<Option<(Ledger, Position)>> {
        let Some(manifest) = self.read::<Manifest>(MANIFEST)?.filter(|found| found.v == VERSION) else {
            return Ok(None);
        };
        self.generation = manifest.generation;
        let mut statements = Vec::new();
        for part in 0..manifest.parts {
            let Some(some) = self.read::<Vec<Evidence>>(&part_name(manifest.generation, part))? else {
                return Ok(None);
            };
            statements.extend(some);
        }
        let ledger = Ledger::restore(Arc::clone(maps), Limits::default(), manifest.kept, statements);
        let ledger = ledger.map_err(|refused| io::Error::other(refused.to_string()))?;
        let (segment, offset) = manifest.position;
        Ok(Some((ledger, Position { segment, offset })))
    }

    /// Keeps the ledger as it is now; what was kept before counts until this is whole.
    ///
    /// # Errors
    /// The disk fails: what was kept before still counts.
    pub(super) fn save(&mut self, ledger: &Ledger, position: Position) -> io::Result<()> {
        let generation = self.generation + 1;
        let (mut parts, mut some) = (0, Vec::with_capacity(PART_STATEMENTS));
        for statement in ledger.statements() {
            some.push(statement);
            if some.len() == PART_STATEMENTS {
                self.write(&part_name(generation, parts), &some)?;
                parts += 1;
                some.clear();
            }
        }
        if !some.is_empty() {
            self.write(&part_name(generation, parts), &some)?;
            parts += 1;
        }
        let position = (position.segment, position.offset);
        let manifest = Manifest { v: VERSION, generation, parts, position, kept: ledger.kept() };
        self.write(MANIFEST, &manifest)?;
        self.generation = generation;
        self.sweep()
    }

    /// Keeps a month that is put away, with what was put away of it before.
    ///
    /// # Errors
    /// The disk fails, or what was put away before cannot be read: then nothing may be put away.
    pub(super) fn shelve(&self, shelf: Shelf) -> io::Result<()> {
        let month = shelf.month();
        let mut whole = shelf;
        if let Some(before) = self.shelf(month)? {
            whole.add(before);
        }
        let statements = whole.statements().collect();
        self.write(&shelf_name(month), &Shelved { v: VERSION, statements, pins: whole.pins().clone() })
    }

    /// A month that was put away; none if it was not.
    ///
    /// # Errors
    /// The disk fails, or the file cannot be believed.
    pub(super) fn shelf(&self, month: Month) -> io::Result<Option<Shelf>> {
        let name = shelf_name(month);
        let found = self.read::<Shelved>(&name)?;
        match found {
            Some(found) if found.v == VERSION => Ok(Some(Shelf::new(month, found.statements, found.pins))),
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "of another version")),
            None if self.is_there(&name)? => Err(io::Error::new(io::ErrorKind::InvalidData, "damaged")),
            None => Ok(None),
        }
    }

    fn is_there(&self, name: &str) -> io::Result<bool> {
        Ok(self.disk.list(&self.directory)?.iter().any(|found| found == name))
    }

    /// Removes files of other generations.
    fn sweep(&self) -> io::Result<()> {
        let own = format!("{:016x}-", self.generation);
        for name in self.disk.list(&self.directory)? {
            let is_part =
                name.len() == part_name(0, 0).len() && name.contains('-') && !name.starts_with("20");
            if is_part && !name.starts_with(&own) {
                self.disk.remove(&self.directory.join(&name))?;
            }
        }
        Ok(())
    }

    /// None if there is no such file, or it cannot be believed.
    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.directory.join(name);
        let packed = match read_file(self.disk.as_ref(), &path, FILE_BYTES_MAX as u64) {
            Ok(packed) => packed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = zstd::zstd_safe::get_frame_content_size(&packed).ok().flatten();
        let length = length.and_then(|length| usize::try_from(length).ok());
        let bytes = length
            .filter(|length| *length <= FILE_BYTES_MAX)
            .and_then(|length| zstd::bulk::decompress(&packed, length).ok());
        let found = bytes.and_then(|bytes| cbor::decode(&bytes, FILE_BYTES_MAX).ok());
        if found.is_none() {
            tracing::error!(file = %path.display(), "a file of counted contacts cannot be believed");
        }
        Ok(found)
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let bytes = cbor::encode(value).map_err(|error| io::Error::other(error.to_string()))?;
        if FILE_BYTES_MAX < bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        replace_file(self.disk.as_ref(), &self.directory.join(name), &compressor.compress(&bytes)?)
    }
}

fn part_name(generation: u64, part: usize) -> String {
    format!("{generation:016x}-{part:04}")
}

fn shelf_name(month: Month) -> String {
    format!("month-{month}")
}
