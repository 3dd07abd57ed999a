//! The disk as durable code sees it: positioned reads and writes, and the calls that make them last.
//!
//! [`crate::sys::sim_disk`] is its twin, which forgets what was not synchronised and fails on demand.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::Path,
};

/// A file system.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory and its parents; no error if it exists.
    ///
    /// # Errors
    /// The operating system's.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes a file that must not exist, for reading and writing.
    ///
    /// # Errors
    /// The operating system's; `AlreadyExists`.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading.
    ///
    /// # Errors
    /// The operating system's; `NotFound`.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The operating system's; `NotFound`.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Cuts a closed file to `length` bytes.
    ///
    /// # Errors
    /// The operating system's; `NotFound`.
    fn trim(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory last (fsync of the directory).
    ///
    /// # Errors
    /// The operating system's.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// How many bytes an ordinary user may still write on the file system that holds `path`.
    ///
    /// # Errors
    /// The operating system's.
    fn available_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads at an offset; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset; may write fewer bytes than given.
    ///
    /// # Errors
    /// The operating system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes the content last (fdatasync). After an error the file's unsynchronised content is unknown.
    ///
    /// # Errors
    /// The operating system's; never to be retried on the same file.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes content and metadata last (fsync).
    ///
    /// # Errors
    /// The operating system's; never to be retried on the same file.
    fn sync_all(&self) -> io::Result<()>;
    /// Reserves blocks up to `length` bytes, which read as zeros.
    ///
    /// # Errors
    /// The operating system's; `StorageFull`.
    fn allocate(&self, length: u64) -> io::Result<()>;
    /// Cuts or extends the file to `length` bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// The file's length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn length(&self) -> io::Result<u64>;
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// The disk's; `WriteZero` when it takes nothing.
pub fn write_all_at(file: &dyn DiskFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset += written as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset`, as far as the file goes; returns how many bytes it got.
///
/// # Errors
/// The disk's.
pub fn read_up_to(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(buffer.get_mut(filled..).unwrap_or_default(), offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a whole file of at most `bytes_max` bytes.
///
/// # Errors
/// The disk's; `FileTooLarge` beyond the limit.
pub fn read_file(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let length = file.length()?;
    if bytes_max < length {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut content = vec![0; usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?];
    let filled = read_up_to(file.as_ref(), &mut content, 0)?;
    content.truncate(filled);
    Ok(content)
}

/// Replaces a file so that a crash leaves the old content or the new, never a mixture: write beside it,
/// fsync, rename, fsync the directory.
///
/// # Errors
/// The disk's; the old content then stands.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    match disk.remove(beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(beside)?;
    write_all_at(file.as_ref(), content, 0)?;
    file.sync_all()?;
    disk.rename(beside, path)?;
    disk.sync_directory(directory)
}

/// Whether an error says that the disk, or the user's share of it, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::QuotaExceeded | ErrorKind::StorageFull)
}

/// The machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(path)?;
        path.parent().map_or(Ok(()), |parent| self.sync_directory(parent))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = fs::OpenOptions::new().create_new(true).read(true).write(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(fs::File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn trim(&self, path: &Path, length: u64) -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(path)?.set_len(length)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        fs::File::open(path)?.sync_all()
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let status = rustix::fs::statvfs(path)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, length) {
            // tmpfs before 3.5, some network and FUSE file systems: without reservation, but working.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(length),
            other => Ok(other?),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_nothing_beside_it() {
        let directory = std::env::temp_dir().join(format!("polygate-disk-{}", std::process::id()));
        RealDisk.create_directory(&directory).unwrap();
        let path = directory.join("cursors");
        for content in [b"first".as_slice(), b"second, longer"] {
            replace_file(&RealDisk, &path, content).unwrap();
            assert_eq!(read_file(&RealDisk, &path, 100).unwrap(), content);
        }
        assert_eq!(RealDisk.list(&directory).unwrap(), ["cursors"]);
        assert!(read_file(&RealDisk, &path, 3).is_err());
        assert!(0 < RealDisk.available_bytes(&directory).unwrap());
        fs::remove_dir_all(directory).unwrap();
    }
}
