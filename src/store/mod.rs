//! The record view: what the journal's messages come to, patient by patient. The only user of sled.
//!
//! sled loses what it has acknowledged when the power goes, may silently open empty, and leaks large values
//! (measured: its `flush` calls no `fsync`). So it holds nothing that cannot be made again from the journal:
//! changes and the place in the journal they lead to are written in one batch; a mark outside sled tells
//! whether what was opened is what was closed; whatever is wrong with it, it is thrown away and made anew.
//! Values stay under 8 KiB; longer texts are files of their own, named by their content.

mod apply;
mod item;
mod keys;
mod read;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    journal::Position,
    sys::{
        disk::{Disk, read_file, replace_file},
        entropy::Entropy,
    },
};

pub use apply::{Applied, Repair};
pub use item::{FieldValue, Item};
pub use read::{PatientId, PatientRecord, StoredItem};

/// The format of keys and values; another one found on disk is thrown away.
const FORMAT: u64 = 1;
/// sled's own page cache. The view is small; the operating system caches the rest.
const CACHE_BYTES: u64 = 4 << 20;
const MARK: &str = "generation";
const MARK_BYTES_MAX: u64 = 64;

/// An open view. One owner writes; readers are clones of what is inside sled.
#[derive(Debug)]
pub struct View {
    db: sled::Db,
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    patients: u64,
}

/// How a view was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// As it was left.
    Whole,
    /// There was none.
    New,
    /// It was there, and could not be used: it has been made anew, empty.
    Discarded,
}

/// The view cannot be used: throw it away.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// sled failed.
    #[error("the record view's database failed")]
    Database(#[source] sled::Error),
    /// A value in it is not what was written.
    #[error("the record view holds something unreadable")]
    Unreadable,
    /// The disk failed.
    #[error("the record view cannot be written")]
    Disk(#[source] io::Error),
}

impl View {
    /// Opens the view in a folder, and makes it anew if it cannot be believed.
    ///
    /// # Errors
    /// Not even an empty view can be made.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        entropy: &mut Entropy,
    ) -> Result<(Self, Found), ViewError> {
        let existed = directory.exists();
        if existed && let Some(view) = Self::open_whole(&disk, directory) {
            return Ok((view, Found::Whole));
        }
        if existed {
            std::fs::remove_dir_all(directory).map_err(ViewError::Disk)?;
        }
        let view = Self::make(disk, directory, entropy.next_u64())?;
        Ok((view, if existed { Found::Discarded } else { Found::New }))
    }

    /// Where the journal's reader goes on.
    ///
    /// # Errors
    /// sled failed.
    pub fn position(&self) -> Result<Position, ViewError> {
        let bytes = self.db.get(keys::CURSOR).map_err(ViewError::Database)?;
        bytes
            .map_or(Ok(Position::default()), |bytes| keys::read_position(&bytes).ok_or(ViewError::Unreadable))
    }

    /// Makes everything applied durable, and returns the place it leads to: only now may the journal let go
    /// of what is before it.
    ///
    /// # Errors
    /// sled or the disk failed.
    pub fn flush(&self) -> Result<Position, ViewError> {
        let position = self.position()?;
        self.db.flush().map_err(ViewError::Database)?;
        // sled's flush leaves the bytes to the kernel; these calls make them last.
        for name in ["db", "conf"] {
            let file = self.disk.open(&self.directory.join(name)).map_err(ViewError::Disk)?;
            file.sync_all().map_err(ViewError::Disk)?;
        }
        self.disk.sync_directory(&self.directory).map_err(ViewError::Disk)?;
        Ok(position)
    }

    /// Patients in the view.
    pub const fn patients(&self) -> u64 {
        self.patients
    }

    fn open_whole(disk: &Arc<dyn Disk>, directory: &Path) -> Option<Self> {
        let mark = read_file(disk.as_ref(), &directory.join(MARK), MARK_BYTES_MAX).ok()?;
        // A snapshot that sled was making when the power went would keep it from opening (sled #1527).
        for name in disk.list(directory).ok()?.iter().filter(|name| name.ends_with(".generating")) {
            disk.remove(&directory.join(name)).ok()?;
        }
        let db = open_database(directory).ok()?;
        let whole = db.get(keys::GENERATION).ok()?.is_some_and(|found| found == mark)
            && db.get(keys::FORMAT).ok()?.is_some_and(|found| found == FORMAT.to_be_bytes());
        let patients = keys::number(&db.get(keys::PATIENTS).ok()??)?;
        whole.then(|| Self { db, disk: Arc::clone(disk), directory: directory.to_owned(), patients })
    }

    fn make(disk: Arc<dyn Disk>, directory: &Path, generation: u64) -> Result<Self, ViewError> {
        disk.create_directory(&directory.join(item::BODIES)).map_err(ViewError::Disk)?;
        let db = open_database(directory).map_err(ViewError::Database)?;
        let mut batch = sled::Batch::default();
        batch.insert(keys::GENERATION, &generation.to_be_bytes());
        batch.insert(keys::FORMAT, &FORMAT.to_be_bytes());
        batch.insert(keys::PATIENTS, &0_u64.to_be_bytes());
        db.apply_batch(batch).map_err(ViewError::Database)?;
        let view = Self { db, disk, directory: directory.to_owned(), patients: 0 };
        view.flush()?;
        // Last, so that a view without its mark is one that was never whole.
        let mark = directory.join(MARK);
        replace_file(view.disk.as_ref(), &mark, &generation.to_be_bytes()).map_err(ViewError::Disk)?;
        Ok(view)
    }
}

/// Opens sled on a thread of its own: a damaged database makes some of its versions panic, and that must
/// cost no more than the view.
fn open_database(directory: &Path) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new()
        .path(directory)
        .cache_capacity(CACHE_BYTES)
        .mode(sled::Mode::LowSpace)
        .flush_every_ms(None);
    let opening = std::thread::Builder::new().name("view-open".to_owned()).spawn(move || config.open());
    let failed = |text: &str| sled::Error::ReportableBug(text.to_owned());
    opening.map_err(sled::Error::Io)?.join().unwrap_or_else(|_| Err(failed("it panicked while opening")))
}
