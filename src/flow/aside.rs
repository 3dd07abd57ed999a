//! A folder of things kept aside for an operator: one small CBOR file each, bounded in number and bytes.
//!
//! Used twice: for messages that could not be taken in (quarantine) and for entries that the broker or the
//! centre refused (parked).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::cbor,
    journal::PAYLOAD_BYTES_MAX,
    sys::disk::{Disk, read_file, replace_file},
};

/// A file holds one message and a few words about it.
const FILE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + (64 << 10);
const EXTENSION: &str = ".cbor";

/// A bounded folder of CBOR files.
#[derive(Debug)]
pub struct Aside {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    items_max: u64,
    bytes_max: u64,
    items: AtomicU64,
    bytes: AtomicU64,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// It is durable in the folder, now or from before.
    Yes,
    /// The folder is full.
    No,
}

impl Aside {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: Arc<dyn Disk>, directory: &Path, items_max: u64, bytes_max: u64) -> io::Result<Self> {
        disk.create_directory(directory)?;
        let (mut items, mut bytes) = (0, 0);
        for name in disk.list(directory)? {
            if name.ends_with(EXTENSION) {
                items += 1;
                bytes += disk.open(&directory.join(name))?.length()?;
            }
        }
        let directory = directory.to_owned();
        let (items, bytes) = (AtomicU64::new(items), AtomicU64::new(bytes));
        Ok(Self { disk, directory, items_max, bytes_max, items, bytes })
    }

    /// How many items there are.
    pub fn count(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    /// Keeps an item durably under a name; one of that name that is there already stays.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep<T: Serialize>(&self, name: &str, item: &T) -> io::Result<Kept> {
        let path = self.path(name);
        if self.disk.open(&path).is_ok() {
            return Ok(Kept::Yes);
        }
        let content = cbor::encode(item).map_err(|_| io::ErrorKind::InvalidData)?;
        let full = self.items_max <= self.count()
            || self.bytes_max < self.bytes.load(Ordering::Relaxed) + content.len() as u64;
        if full {
            return Ok(Kept::No);
        }
        replace_file(self.disk.as_ref(), &path, &content)?;
        self.items.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        Ok(Kept::Yes)
    }

    /// Keeps an item durably under a name, instead of one that is there already.
    ///
    /// # Errors
    /// The disk's; what was there then stands.
    pub fn replace<T: Serialize>(&self, name: &str, item: &T) -> io::Result<Kept> {
        let path = self.path(name);
        let Ok(file) = self.disk.open(&path) else { return self.keep(name, item) };
        let before = file.length()?;
        let content = cbor::encode(item).map_err(|_| io::ErrorKind::InvalidData)?;
        replace_file(self.disk.as_ref(), &path, &content)?;
        self.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_sub(before.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
        Ok(Kept::Yes)
    }

    /// Reads one item; none if there is none of that name, or it cannot be read.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.read(name).ok().flatten()
    }

    /// Reads one item; none if there is none of that name, or it is damaged.
    ///
    /// # Errors
    /// The disk's: it may be there all the same.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match read_file(self.disk.as_ref(), &self.path(name), FILE_BYTES_MAX as u64) {
            Ok(content) => Ok(cbor::decode(&content, FILE_BYTES_MAX).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every item's name, sorted.
    ///
    /// # Errors
    /// The disk's.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let names = self.disk.list(&self.directory)?;
        let mut names: Vec<String> =
            names.iter().filter_map(|name| name.strip_suffix(EXTENSION)).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Removes an item.
    ///
    /// # Errors
    /// The disk's; `NotFound`.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let length = self.disk.open(&path)?.length()?;
        self.disk.remove(&path)?;
        self.disk.sync_directory(&self.directory)?;
        self.items.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(length.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        // Names are made by the hub from numbers and hashes; a separator from elsewhere must not get out.
        self.directory.join(format!("{}{EXTENSION}", name.replace(['/', '\\', '.'], "_")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sim_disk::SimulatedDisk;

    #[test]
    fn keeps_each_item_once_within_its_bounds() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::default());
        let aside = Aside::open(Arc::clone(&disk), Path::new("/q"), 2, 100).unwrap();
        assert_eq!(aside.keep("a", &"first").unwrap(), Kept::Yes);
        assert_eq!(aside.keep("a", &"again").unwrap(), Kept::Yes);
        assert_eq!(aside.keep("b", &"x".repeat(99)).unwrap(), Kept::No, "too many bytes");
        assert_eq!(aside.keep("../b", &"second").unwrap(), Kept::Yes);
        assert_eq!(aside.keep("c", &"third").unwrap(), Kept::No, "too many items");
        assert_eq!(aside.get::<String>("a").as_deref(), Some("first"));
        let reopened = Aside::open(disk, Path::new("/q"), 2, 100).unwrap();
        assert_eq!((reopened.count(), reopened.names().unwrap().len()), (2, 2));
        reopened.remove("a").unwrap();
        assert_eq!((reopened.count(), reopened.get::<String>("a")), (1, None));
    }
}
