//! sled behind a wall: every call is caught if it panics, and nothing is called durable on sled's word.
//!
//! sled 0.34.7 writes with `sync_file_range`, which neither extends the file durably nor empties the
//! drive's cache, so [`Engine::flush`] synchronises the file itself, through a descriptor opened before
//! the first write, which therefore is told of every failed write-back.

use std::{
    fs,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
    time::Duration,
};

use super::ViewError;
use crate::sys::disk::{Disk, DiskFile, RealDisk};

/// sled's page cache, in bytes: small, for the whole hub is to stay below 25 MiB, and large enough that
/// no page of a batch of [`super::shelf::BATCH_KEYS_MAX`] is evicted while the batch is written.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// How often sled tidies its file, in milliseconds. Durability does not depend on it.
const TIDY_MILLISECONDS: u64 = 30_000;
/// How long to wait for a failed sled to let go of its file before going on without it.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// How often to try to open a file that is locked, and how long to wait between: sled's own threads may
/// hold it a moment longer than whoever closed it.
const OPEN_ATTEMPTS: usize = 20;
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// An open sled.
pub(super) struct Engine {
    db: Option<sled::Db>,
    file: Box<dyn DiskFile>,
    directory: PathBuf,
}

impl Engine {
    /// Opens or creates sled in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, ViewError> {
        RealDisk.create_directory(directory).map_err(ViewError::disk("creating the folder"))?;
        remove_half_written_snapshots(directory)?;
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(TIDY_MILLISECONDS));
        let db = open_patiently(&config)?;
        let file = RealDisk.open(&directory.join("db")).map_err(ViewError::disk("opening sled's file"))?;
        Ok(Self { db: Some(db), file, directory: directory.to_owned() })
    }

    /// The value under a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        let db = self.db()?;
        guarded("reading", || Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    /// Calls `each` for the first `limit` entries whose keys begin with `prefix`, in order.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        limit: usize,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        let db = self.db()?;
        let mut entries = guarded("scanning", || Ok(db.scan_prefix(prefix)))?;
        for _ in 0..limit {
            let Some((key, value)) = guarded("scanning", || entries.next().transpose())? else { break };
            each(&key, &value)?;
        }
        Ok(())
    }

    /// Writes entries all or none, after everything written before.
    pub(super) fn write(
        &self,
        entries: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), ViewError> {
        let mut batch = sled::Batch::default();
        for (key, value) in entries {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let db = self.db()?;
        guarded("writing", || db.apply_batch(batch))
    }

    /// Makes everything written durable.
    pub(super) fn flush(&self) -> Result<(), ViewError> {
        let db = self.db()?;
        guarded("flushing", || db.flush())?;
        self.file.sync_all().map_err(ViewError::disk("synchronising sled's file"))
    }

    /// Makes the names of sled's files durable, once, after it was created.
    pub(super) fn synchronise_names(&self) -> Result<(), ViewError> {
        let failed = || ViewError::disk("synchronising sled's folder");
        let configuration = RealDisk.open(&self.directory.join("conf")).map_err(failed())?;
        configuration.sync_all().map_err(failed())?;
        RealDisk.sync_directory(&self.directory.join("blobs")).map_err(failed())?;
        RealDisk.sync_directory(&self.directory).map_err(failed())
    }

    fn db(&self) -> Result<&sled::Db, ViewError> {
        self.db.as_ref().ok_or(ViewError::Closed)
    }
}

impl Drop for Engine {
    /// sled may hang or panic while it closes, so it does so on a thread that nobody has to wait for.
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        let (done, closed) = sync_channel(1);
        let close = move || {
            let closed = catch_unwind(AssertUnwindSafe(|| drop(db)));
            if closed.is_err() {
                tracing::warn!("the record view's sled panicked while it closed");
            }
            // Nobody listens once the patience has ended.
            let _listened = done.send(());
        };
        let started = thread::Builder::new().name("view-close".to_owned()).spawn(close);
        if started.is_err() || closed.recv_timeout(CLOSE_PATIENCE).is_err() {
            tracing::warn!("the record view's sled did not close in time");
        }
    }
}

fn open_patiently(config: &sled::Config) -> Result<sled::Db, ViewError> {
    for _ in 1..OPEN_ATTEMPTS {
        match guarded("opening", || config.open()) {
            Err(ViewError::Sled { source: sled::Error::Io(error), .. }) if is_locked(&error) => {
                thread::sleep(OPEN_PAUSE);
            }
            other => return other,
        }
    }
    guarded("opening", || config.open())
}

/// Whether throwing the view away can help: not if the disk is full, or somebody else has it open.
pub(super) fn is_damage(error: &ViewError) -> bool {
    match error {
        ViewError::Panicked(_) | ViewError::Damaged(_) => true,
        ViewError::Sled { source: sled::Error::Io(error), .. } => {
            !crate::sys::disk::is_full(error)
                && !is_locked(error)
                && error.kind() != ErrorKind::PermissionDenied
        }
        ViewError::Sled { .. } => true,
        ViewError::Disk { .. } | ViewError::Closed => false,
    }
}

/// sled says so in words only.
fn is_locked(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

fn guarded<T>(what: &'static str, deed: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, ViewError> {
    match catch_unwind(AssertUnwindSafe(deed)) {
        Ok(result) => result.map_err(|source| ViewError::Sled { what, source }),
        Err(_) => Err(ViewError::Panicked(what)),
    }
}

/// A snapshot that a power cut left half written makes sled refuse to open; the one before is still there.
fn remove_half_written_snapshots(directory: &Path) -> Result<(), ViewError> {
    for name in RealDisk.list(directory).map_err(ViewError::disk("listing sled's folder"))? {
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(directory.join(name))
                .map_err(ViewError::disk("removing a half-written snapshot"))?;
        }
    }
    Ok(())
}
