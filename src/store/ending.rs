//! Files of patients that end: one for each patient and thing, gone in time, told by no name.
//!
//! A file's name is the patient's number and the thing's name under a keyed hash, and the moment when it ends; no name tells
//! who it is about. Files are compressed, and written beside and renamed. They are not encrypted by themselves: the
//! appliance's disk is (LUKS), and a key beside them would protect nothing.
//!
//! **Time.** A file ends when the clock says so. A clock set back gives it no longer life: while the hub runs, time
//! goes on by the monotonic clock, and the latest moment it has reached is kept in `reached`. If the clock is behind
//! that at a start, nothing is read until it has caught up, and what would have ended by the time that has passed since is
//! removed. A clock set forward ends files early.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{
    domain::{nhs_number::NhsNumber, time::Timestamp},
    sys::{
        disk::{Disk, read_file, replace_file},
        entropy,
    },
};

/// zstd's default level.
const LEVEL: i32 = 3;
/// How often the moment reached is written down.
const REACHED_EVERY: Duration = Duration::from_secs(60);
/// How far the wall clock may be behind the moment reached and still be right: steps by which time servers correct it.
pub(super) const BEHIND_MAX: Duration = Duration::from_secs(600);
/// Length of a name: patient, thing, end, and two dashes.
const NAME_LENGTH: usize = 32 + 1 + 16 + 1 + 16;

/// The clocks, read together.
#[derive(Clone, Copy, Debug)]
pub struct CacheTime {
    /// By the wall clock.
    pub wall: Timestamp,
    /// Since any fixed moment of this run, by the monotonic clock.
    pub elapsed: Duration,
}

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The policy has no basis, keeps too long or names no system.
    #[error("the cache's policy is not complete: {0}")]
    Policy(&'static str),
    /// The policy does not allow it.
    #[error("the cache's policy does not allow it")]
    NotAllowed,
    /// There are as many as there may be already, or it is too long.
    #[error("the cache has no room for it")]
    Full,
    /// The clock is behind the moment it had reached.
    #[error("the clock has been set back, and nothing is kept until it has caught up")]
    ClockBehind,
    /// It cannot be encoded.
    #[error("what is to be kept cannot be encoded")]
    Encoding,
    /// The disk.
    #[error("cache: {what}")]
    Disk {
        /// What was being done.
        what: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl CacheError {
    fn disk(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { what, source }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Files.
    pub(super) files: usize,
    /// Bytes of one file, unpacked.
    pub(super) bytes: usize,
}

/// The files of one folder. Calls read and write the disk.
pub(super) struct Endings {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    most: Most,
    /// Something may be kept: without, there is not even a key.
    open: bool,
    key: [u8; 32],
    kept: Mutex<Kept>,
}

/// Hashes of patient and thing.
type Name = (u128, u64);

/// What is there, and how late it is.
#[derive(Debug)]
struct Kept {
    ends: BTreeMap<Name, Timestamp>,
    /// The latest moment there has been, and when by the monotonic clock that was.
    reached: (Timestamp, Duration),
    /// When that was last written down.
    noted: Duration,
    /// How often something was purged: what was being written meanwhile may have been meant.
    purges: u64,
}

impl Endings {
    /// Opens a folder for the named things, and throws away what has ended and what is not of them. Of none: everything.
    ///
    /// # Errors
    /// The disk fails: then what should go may still be there.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        things: &[&str],
        most: Most,
        now: CacheTime,
    ) -> Result<Self, CacheError> {
        disk.create_directory(directory).map_err(CacheError::disk("creating its folder"))?;
        let open = !things.is_empty();
        let key = if open { read_key(disk.as_ref(), directory)? } else { [0; 32] };
        let kept =
            Kept { ends: BTreeMap::new(), reached: (now.wall, now.elapsed), noted: now.elapsed, purges: 0 };
        let endings = Self { directory: directory.to_owned(), disk, most, open, key, kept: Mutex::new(kept) };
        endings.take_stock(things, now)?;
        endings.sweep(now)?;
        Ok(endings)
    }

    /// How many files there are.
    pub(super) fn count(&self) -> usize {
        self.lock().ends.len()
    }

    /// Keeps bytes of a patient until `ends`, instead of what was kept of the same thing before.
    ///
    /// # Errors
    /// There is no room, the clock was set back, it was purged meanwhile, or the disk fails.
    pub(super) fn keep(
        &self,
        (patient, thing): (&NhsNumber, &str),
        ends: Timestamp,
        bytes: &[u8],
        now: CacheTime,
    ) -> Result<(), CacheError> {
        let name = self.name(patient, thing);
        let purges = self.admit(name, now)?;
        let packed = self.pack(bytes)?;
        // Readers do not wait for the disk.
        replace_file(self.disk.as_ref(), &self.path(name, ends), &packed)
            .map_err(CacheError::disk("writing an answer"))?;
        let mut kept = self.lock();
        if kept.purges != purges {
            drop(kept);
            self.remove(name, ends)?;
            return Err(CacheError::NotAllowed);
        }
        if let Some(before) = kept.ends.insert(name, ends)
            && before != ends
        {
            self.remove(name, before)?;
        }
        Ok(())
    }

    /// Whether there is room and the clock is right; how often something was purged until now.
    fn admit(&self, name: Name, now: CacheTime) -> Result<u64, CacheError> {
        let mut kept = self.lock();
        kept.go_on(now);
        if kept.is_clock_behind(now) {
            return Err(CacheError::ClockBehind);
        }
        if self.most.files <= kept.ends.len() && !kept.ends.contains_key(&name) {
            return Err(CacheError::Full);
        }
        Ok(kept.purges)
    }

    /// What is kept of a patient and has not ended, as `understand` reads it of the bytes and their end. What it does not
    /// understand is thrown away.
    pub(super) fn read<T>(
        &self,
        patient: &NhsNumber,
        now: CacheTime,
        understand: impl Fn(&[u8], Timestamp) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for (name, ends) in self.standing(patient, now) {
            match self.read_one(name, ends).and_then(|bytes| understand(&bytes, ends)) {
                Some(one) => found.push(one),
                None => self.forget_damaged(name, ends),
            }
        }
        found
    }

    /// A patient's files that have not ended.
    fn standing(&self, patient: &NhsNumber, now: CacheTime) -> Vec<(Name, Timestamp)> {
        let mut kept = self.lock();
        kept.go_on(now);
        if kept.is_clock_behind(now) {
            return Vec::new();
        }
        let late = kept.reached.0;
        self.of_patient(&kept, patient).into_iter().filter(|(_, ends)| late < *ends).collect()
    }

    /// Throws away what cannot be read, unless it was replaced or purged in the meantime.
    fn forget_damaged(&self, name: Name, ends: Timestamp) {
        let mut kept = self.lock();
        if kept.ends.get(&name) != Some(&ends) {
            return;
        }
        tracing::warn!("something that is kept for a while cannot be read and is thrown away");
        kept.ends.remove(&name);
        if let Err(error) = self.remove(name, ends) {
            tracing::warn!(error = &error as &dyn std::error::Error, "a damaged file cannot be removed");
        }
    }

    /// How much longer something of a patient is kept; none if nothing is.
    pub(super) fn remaining(&self, patient: &NhsNumber, thing: &str, now: CacheTime) -> Option<Duration> {
        let mut kept = self.lock();
        kept.go_on(now);
        let ends = kept.ends.get(&self.name(patient, thing)).copied()?;
        (kept.reached.0 < ends).then(|| ends.since(kept.reached.0))
    }

    /// Throws away what is kept of a patient; says how many files.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub(super) fn purge(&self, patient: &NhsNumber) -> Result<usize, CacheError> {
        let mut kept = self.lock();
        kept.purges += 1;
        let found = self.of_patient(&kept, patient);
        self.remove_all(&mut kept, found)
    }

    /// Throws away one thing of a patient.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub(super) fn purge_of(&self, patient: &NhsNumber, thing: &str) -> Result<usize, CacheError> {
        let mut kept = self.lock();
        kept.purges += 1;
        let name = self.name(patient, thing);
        let found = kept.ends.get(&name).map(|ends| (name, *ends)).into_iter().collect();
        self.remove_all(&mut kept, found)
    }

    /// Throws away what has ended; says how many files. To be called once a minute or so.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub(super) fn sweep(&self, now: CacheTime) -> Result<usize, CacheError> {
        let mut kept = self.lock();
        kept.go_on(now);
        let late = kept.reached.0;
        let found = kept.ends.iter().filter(|(_, ends)| **ends <= late).map(|(name, ends)| (*name, *ends));
        let found = found.collect();
        let count = self.remove_all(&mut kept, found)?;
        if kept.ends.is_empty() {
            // There is nothing whose life a clock could lengthen.
            kept.reached = (now.wall, now.elapsed);
        }
        if self.open && (0 < count || kept.noted + REACHED_EVERY <= now.elapsed) {
            self.note_reached(&mut kept, now)?;
        }
        Ok(count)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_patient(&self, kept: &Kept, patient: &NhsNumber) -> Vec<(Name, Timestamp)> {
        let patient = self.name(patient, "").0;
        let range = kept.ends.range((patient, 0)..=(patient, u64::MAX));
        range.map(|(name, ends)| (*name, *ends)).collect()
    }

    fn remove_all(&self, kept: &mut Kept, found: Vec<(Name, Timestamp)>) -> Result<usize, CacheError> {
        for (name, ends) in &found {
            self.remove(*name, *ends)?;
            kept.ends.remove(name);
        }
        if !found.is_empty() {
            self.disk.sync_directory(&self.directory).map_err(CacheError::disk("removing answers"))?;
        }
        Ok(found.len())
    }

    fn remove(&self, name: Name, ends: Timestamp) -> Result<(), CacheError> {
        match self.disk.remove(&self.path(name, ends)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(CacheError::disk("removing an answer")(error))
            }
            _ => Ok(()),
        }
    }

    fn read_one(&self, name: Name, ends: Timestamp) -> Option<Vec<u8>> {
        let most = self.most.bytes;
        let packed = read_file(self.disk.as_ref(), &self.path(name, ends), most as u64).ok()?;
        // Known from its head, so that a small file takes little memory.
        let length = zstd::zstd_safe::get_frame_content_size(&packed).ok()??;
        let length = usize::try_from(length).ok().filter(|length| *length <= most)?;
        zstd::bulk::decompress(&packed, length).ok()
    }

    fn pack(&self, bytes: &[u8]) -> Result<Vec<u8>, CacheError> {
        if self.most.bytes < bytes.len() {
            return Err(CacheError::Full);
        }
        let mut compressor =
            zstd::bulk::Compressor::new(LEVEL).map_err(CacheError::disk("compressing an answer"))?;
        compressor.include_checksum(true).map_err(CacheError::disk("compressing an answer"))?;
        compressor.compress(bytes).map_err(CacheError::disk("compressing an answer"))
    }

    /// Finds out what is there, and removes what is not wanted.
    fn take_stock(&self, things: &[&str], now: CacheTime) -> Result<(), CacheError> {
        let mut kept = self.lock();
        let wanted: Vec<u64> = things.iter().map(|thing| self.thing(thing)).collect();
        for found in self.disk.list(&self.directory).map_err(CacheError::disk("listing answers"))? {
            match parse_name(&found).filter(|(name, _)| wanted.contains(&name.1)) {
                Some((name, ends)) => {
                    // Of two, a crash left the older behind.
                    if let Some(before) = kept.ends.insert(name, ends) {
                        let (newer, older) = (before.max(ends), before.min(ends));
                        kept.ends.insert(name, newer);
                        self.remove(name, older)?;
                    }
                }
                None if self.open && ["key", "reached"].contains(&found.as_str()) => {}
                None => {
                    let removed = self.disk.remove(&self.directory.join(&found));
                    removed.map_err(CacheError::disk("removing what is not wanted"))?;
                }
            }
        }
        self.disk.sync_directory(&self.directory).map_err(CacheError::disk("removing answers"))?;
        if let Ok(bytes) = read_file(self.disk.as_ref(), &self.directory.join("reached"), 64)
            && let Ok(text) = String::from_utf8(bytes)
            && let Ok(reached) = text.trim().parse()
        {
            kept.reached = (now.wall.max(Timestamp(reached)), now.elapsed);
        }
        Ok(())
    }

    fn note_reached(&self, kept: &mut Kept, now: CacheTime) -> Result<(), CacheError> {
        let text = kept.reached.0.0.to_string();
        replace_file(self.disk.as_ref(), &self.directory.join("reached"), text.as_bytes())
            .map_err(CacheError::disk("noting the moment reached"))?;
        kept.noted = now.elapsed;
        Ok(())
    }

    pub(super) fn name(&self, patient: &NhsNumber, thing: &str) -> Name {
        let digest = self.keyed(&[b"patient", patient.as_str().as_bytes()]);
        (digest.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes)), self.thing(thing))
    }

    fn thing(&self, thing: &str) -> u64 {
        let digest = self.keyed(&[b"system", thing.as_bytes()]);
        digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// Hashed with the key inside and outside, as HMAC does (RFC 2104), so that nobody without it can try all numbers.
    fn keyed(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = Sha256::new().chain_update(self.key.map(|byte| byte ^ 0x36)).chain_update([0x36; 32]);
        for part in parts {
            inner.update((part.len() as u64).to_be_bytes());
            inner.update(part);
        }
        let outer = Sha256::new().chain_update(self.key.map(|byte| byte ^ 0x5c)).chain_update([0x5c; 32]);
        outer.chain_update(inner.finalize()).finalize().into()
    }

    fn path(&self, name: Name, ends: Timestamp) -> PathBuf {
        self.directory.join(format!("{:032x}-{:016x}-{:016x}", name.0, name.1, ends.0.cast_unsigned()))
    }
}

impl Kept {
    /// Whether the wall clock has been set back, so that nobody can say how late it is.
    fn is_clock_behind(&self, now: CacheTime) -> bool {
        BEHIND_MAX < self.reached.0.since(now.wall)
    }

    /// Time goes on, whatever the wall clock says.
    fn go_on(&mut self, now: CacheTime) {
        let (moment, at) = self.reached;
        let onward = moment.plus(now.elapsed.saturating_sub(at));
        self.reached = (onward.max(now.wall), now.elapsed.max(at));
    }
}

pub(super) fn parse_name(text: &str) -> Option<(Name, Timestamp)> {
    let mut parts = text.split('-').filter(|_| text.len() == NAME_LENGTH);
    let (patient, system, ends) = (parts.next()?, parts.next()?, parts.next()?);
    let name = (u128::from_str_radix(patient, 16).ok()?, u64::from_str_radix(system, 16).ok()?);
    Some((name, Timestamp(u64::from_str_radix(ends, 16).ok()?.cast_signed())))
}

/// The key of the names, made at first; another one would only make the old files unreadable.
fn read_key(disk: &dyn Disk, directory: &Path) -> Result<[u8; 32], CacheError> {
    let path = directory.join("key");
    match read_file(disk, &path, 32) {
        Ok(bytes) if bytes.len() == 32 => Ok(bytes.first_chunk().copied().unwrap_or_default()),
        Err(error) if error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::FileTooLarge => {
            Err(CacheError::disk("reading the key of its names")(error))
        }
        _ => {
            let key = entropy::secret().map_err(CacheError::disk("making the key of its names"))?;
            replace_file(disk, &path, &key).map_err(CacheError::disk("writing the key of its names"))?;
            Ok(key)
        }
    }
}
