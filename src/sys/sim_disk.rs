//! A disk in memory that forgets what was not synchronised, tears writes, fills up and fails on demand.
//!
//! It models a journalling file system: creations, renames and removals last in the order they were made,
//! all of them once the directory is synchronised; file content lasts by sectors of 512 bytes, in any
//! order, until the file is synchronised. After a failed synchronisation the unsynchronised content is
//! dropped and later calls succeed, which is what Linux does and why they must not be believed.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    disk::{Disk, DiskFile},
    entropy::Entropy,
};

/// What disks write at once, in bytes.
const SECTOR_BYTES: usize = 512;

/// A simulated disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The number of the first call that fails, counted from 0.
    pub at_call: u64,
    /// How it fails.
    pub kind: FaultKind,
    /// Whether every later call of the same kind of operation fails too.
    pub sticky: bool,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// EIO. A synchronisation that fails so drops what it should have kept.
    InputOutput,
    /// ENOSPC.
    Full,
    /// A write or read that stops half-way, and says so.
    Short,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::InputOutput, Self::Full, Self::Short];
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    files: Vec<Content>,
    capacity_bytes: Option<u64>,
    calls: u64,
    call_names: Vec<&'static str>,
    fault: Option<Fault>,
    stuck: Option<(&'static str, FaultKind)>,
    faults_fired: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Put(PathBuf, usize),
    Remove(PathBuf),
}

#[derive(Clone, Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

impl SimulatedDisk {
    /// Makes calls fail from here on; counts calls from 0 again.
    pub fn inject(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        state.fault = fault;
        state.calls = 0;
        state.call_names.clear();
        state.stuck = None;
        state.faults_fired = 0;
    }

    /// The names of the calls since [`SimulatedDisk::inject`], in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().call_names.clone()
    }

    /// How many calls have failed since [`SimulatedDisk::inject`].
    pub fn faults_fired(&self) -> u64 {
        self.lock().faults_fired
    }

    /// How much fits on the disk; without a limit unless set.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity_bytes = bytes;
    }

    /// The disk as it may be found after the power went: a new disk, this one stays as it is.
    #[must_use]
    pub fn after_power_cut(&self, entropy: &mut Entropy) -> Self {
        let state = self.lock();
        let mut names = state.durable_names.clone();
        let kept = usize::try_from(entropy.below(state.pending_names.len() as u64 + 1)).unwrap_or(0);
        for change in state.pending_names.iter().take(kept) {
            change.apply(&mut names);
        }
        let files: Vec<Content> =
            state.files.iter().map(|content| content.after_power_cut(entropy)).collect();
        Self(Arc::new(Mutex::new(State {
            durable_names: names.clone(),
            names,
            files,
            capacity_bytes: state.capacity_bytes,
            ..State::default()
        })))
    }

    /// Flips one bit of a file's content.
    pub fn damage(&self, path: &Path, offset: usize) {
        let mut state = self.lock();
        if let Some(content) = state.names.get(path).copied().and_then(|id| state.files.get_mut(id)) {
            for bytes in [&mut content.live, &mut content.durable] {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte ^= 0x10;
                }
            }
        }
    }

    /// Whether a file of this extension is in the directory.
    pub fn has_extension(&self, directory: &Path, extension: &str) -> bool {
        let state = self.lock();
        let mut files = state.names.keys().filter(|file| file.parent() == Some(directory));
        files.any(|file| file.extension().is_some_and(|found| found == extension))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Put(path, id) => names.insert(path.clone(), *id),
            Self::Remove(path) => names.remove(path),
        };
    }
}

impl Content {
    fn after_power_cut(&self, entropy: &mut Entropy) -> Self {
        let mut durable = self.durable.clone();
        for (offset, bytes) in &self.pending {
            let first = offset / SECTOR_BYTES;
            for sector in first..=(offset + bytes.len()) / SECTOR_BYTES {
                if entropy.below(2) == 0 {
                    continue;
                }
                let from = (sector * SECTOR_BYTES).max(*offset);
                let to = ((sector + 1) * SECTOR_BYTES).min(offset + bytes.len());
                if let (true, Some(part)) = (from < to, bytes.get(from - offset..to - offset)) {
                    put(&mut durable, from, part);
                }
            }
        }
        Self { live: durable.clone(), durable, pending: Vec::new() }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(target) = content.get_mut(offset..end) {
        target.copy_from_slice(bytes);
    }
}

impl State {
    /// Counts a call and says whether it must fail.
    fn enter(&mut self, name: &'static str) -> Option<FaultKind> {
        let call = self.calls;
        self.calls += 1;
        self.call_names.push(name);
        let sticky = self.stuck.filter(|(stuck, _)| *stuck == name).map(|(_, kind)| kind);
        let struck = self.fault.filter(|fault| fault.at_call == call);
        if let Some(fault) = struck.filter(|fault| fault.sticky) {
            self.stuck = Some((name, fault.kind));
        }
        let kind = sticky.or(struck.map(|fault| fault.kind));
        self.faults_fired += u64::from(kind.is_some());
        kind
    }

    /// As [`State::enter`], for calls that have no half-way.
    fn enter_whole(&mut self, name: &'static str) -> io::Result<()> {
        match self.enter(name) {
            None => Ok(()),
            Some(FaultKind::Full) => Err(ErrorKind::StorageFull.into()),
            Some(FaultKind::InputOutput | FaultKind::Short) => Err(io::Error::from_raw_os_error(5)),
        }
    }

    fn used_bytes(&self) -> u64 {
        self.names
            .values()
            .filter_map(|id| self.files.get(*id))
            .map(|content| content.live.len() as u64)
            .sum()
    }

    fn room_for(&self, more: u64) -> io::Result<()> {
        match self.capacity_bytes {
            Some(capacity) if capacity < self.used_bytes() + more => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }
}

impl Disk for SimulatedDisk {
    fn create_directory(&self, _path: &Path) -> io::Result<()> {
        self.lock().enter_whole("create_directory")
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.lock();
        state.enter_whole("list")?;
        let names = state.names.keys().filter(|file| file.parent() == Some(path));
        Ok(names.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.enter_whole("create")?;
        if state.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.room_for(1)?;
        let id = state.files.len();
        state.files.push(Content::default());
        state.change(NameChange::Put(path.to_owned(), id));
        Ok(Box::new(SimulatedFile { disk: self.clone(), id }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.enter_whole("open")?;
        let id = *state.names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), id }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.enter_whole("rename")?;
        let id = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
        state.change(NameChange::Put(to.to_owned(), id));
        state.change(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.enter_whole("remove")?;
        if !state.names.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn trim(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.enter_whole("trim")?;
        let id = *state.names.get(path).ok_or(ErrorKind::NotFound)?;
        let length = usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?;
        if let Some(content) = state.files.get_mut(id) {
            content.live.truncate(length);
        }
        Ok(())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.enter_whole("sync_directory")?;
        state.durable_names = state.names.clone();
        state.pending_names.clear();
        Ok(())
    }

    fn available_bytes(&self, _path: &Path) -> io::Result<u64> {
        let mut state = self.lock();
        state.enter_whole("available_bytes")?;
        Ok(state.capacity_bytes.unwrap_or(u64::MAX / 2).saturating_sub(state.used_bytes()))
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    id: usize,
}

impl SimulatedFile {
    fn with<T>(&self, name: &'static str, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut state = self.disk.lock();
        state.enter_whole(name)?;
        state.files.get_mut(self.id).map(act).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn synchronise(&self, name: &'static str) -> io::Result<()> {
        let mut state = self.disk.lock();
        let outcome = state.enter_whole(name);
        let content = state.files.get_mut(self.id).ok_or(ErrorKind::NotFound)?;
        content.pending.clear();
        if outcome.is_ok() {
            content.durable = content.live.clone();
        }
        outcome
    }

    fn resize(&self, name: &'static str, length: u64, shrink: bool) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?;
        let mut state = self.disk.lock();
        state.enter_whole(name)?;
        let now = state.files.get(self.id).map_or(0, |content| content.live.len());
        if now < length {
            state.room_for((length - now) as u64)?;
        }
        let content = state.files.get_mut(self.id).ok_or(ErrorKind::NotFound)?;
        if now < length || shrink {
            content.live.resize(length, 0);
        }
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        let fault = state.enter("read_at");
        if matches!(fault, Some(FaultKind::InputOutput | FaultKind::Full)) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let content = state.files.get(self.id).ok_or(ErrorKind::NotFound)?;
        let rest = content.live.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let wanted = if fault.is_some() { buffer.len().div_ceil(2) } else { buffer.len() };
        let count = wanted.min(rest.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..count), rest.get(..count)) {
            target.copy_from_slice(source);
        }
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge)?;
        let mut state = self.disk.lock();
        let bytes = match state.enter("write_at") {
            None => bytes,
            Some(FaultKind::Short) => bytes.get(..bytes.len() / 2).unwrap_or_default(),
            Some(FaultKind::Full) => return Err(ErrorKind::StorageFull.into()),
            Some(FaultKind::InputOutput) => return Err(io::Error::from_raw_os_error(5)),
        };
        let now = state.files.get(self.id).map_or(0, |content| content.live.len());
        state.room_for((offset + bytes.len()).saturating_sub(now) as u64)?;
        let content = state.files.get_mut(self.id).ok_or(ErrorKind::NotFound)?;
        put(&mut content.live, offset, bytes);
        content.pending.push((offset, bytes.to_vec()));
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.synchronise("sync_data")
    }

    fn sync_all(&self) -> io::Result<()> {
        self.synchronise("sync_all")
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.resize("allocate", length, false)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.resize("truncate", length, true)
    }

    fn length(&self) -> io::Result<u64> {
        self.with("length", |content| content.live.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk::{read_file, replace_file, write_all_at};

    fn path() -> &'static Path {
        Path::new("/journal/1")
    }

    #[test]
    fn a_power_cut_keeps_what_was_synchronised_and_may_tear_the_rest() {
        let disk = SimulatedDisk::default();
        let file = disk.create(path()).unwrap();
        write_all_at(file.as_ref(), &[1; 1024], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_directory(Path::new("/journal")).unwrap();
        write_all_at(file.as_ref(), &[2; 2048], 1024).unwrap();
        let lengths: Vec<usize> = (0..64)
            .map(|seed| {
                let after = disk.after_power_cut(&mut Entropy::from_seed(seed));
                let content = read_file(&after, path(), 1 << 20).unwrap();
                assert_eq!(content[..1024], [1; 1024]);
                content.len()
            })
            .collect();
        assert!(lengths.contains(&1024) && lengths.contains(&3072), "{lengths:?}");
    }

    #[test]
    fn a_name_lasts_once_its_directory_is_synchronised() {
        let disk = SimulatedDisk::default();
        replace_file(&disk, path(), b"one").unwrap();
        let after = disk.after_power_cut(&mut Entropy::from_seed(1));
        assert_eq!(read_file(&after, path(), 10).unwrap(), b"one");
        disk.remove(path()).unwrap();
        let kept =
            (0..64).filter(|seed| disk.after_power_cut(&mut Entropy::from_seed(*seed)).open(path()).is_ok());
        assert!((1..64).contains(&kept.count()));
    }

    #[test]
    fn a_failed_synchronisation_drops_the_pages_and_later_ones_lie() {
        let disk = SimulatedDisk::default();
        let file = disk.create(path()).unwrap();
        disk.sync_directory(Path::new("/journal")).unwrap();
        write_all_at(file.as_ref(), b"payload", 0).unwrap();
        disk.inject(Some(Fault { at_call: 0, kind: FaultKind::InputOutput, sticky: false }));
        assert!(file.sync_data().is_err());
        let after = disk.after_power_cut(&mut Entropy::from_seed(3));
        assert_eq!(read_file(&after, path(), 10).unwrap(), b"");
    }
}
