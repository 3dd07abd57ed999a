//! A counter that a restored disk does not turn back unnoticed.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

/// What a counter says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    /// It was set to this last.
    Number(u64),
    /// There is none.
    Missing,
    /// It was copied here, or is damaged.
    Foreign,
}

/// Counts outside what a backup restores.
pub trait Counter: fmt::Debug + Send + Sync {
    /// What it says. Blocks.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> io::Result<Counted>;

    /// Sets it, durably. Blocks.
    ///
    /// # Errors
    /// It cannot be set, or is not durable.
    fn set(&self, number: u64) -> io::Result<()>;
}

/// A counter in a file that knows which file it is: a copy of it, as a backup by files makes one, is another file and
/// is recognised. An image of the whole disk that is put back is not: only a counter in a TPM would notice that.
#[derive(Clone, Debug)]
pub struct FileCounter {
    path: PathBuf,
}

/// `number inode check`, each as 16 hexadecimal digits: one sector, written in place.
const FILE_BYTES: usize = 50;

impl FileCounter {
    /// A counter in this file, whose folder is there.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn content(number: u64, inode: u64) -> String {
        let check = number.rotate_left(32) ^ inode ^ 0x706f_6c79_6761_7465;
        format!("{number:016x} {inode:016x} {check:016x}")
    }
}

impl Counter for FileCounter {
    fn read(&self) -> io::Result<Counted> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Counted::Missing),
            Err(error) => return Err(error),
        };
        let inode = file.metadata()?.ino();
        let mut text = String::new();
        let read = file.take(FILE_BYTES as u64 + 1).read_to_string(&mut text);
        if read.is_err() {
            return Ok(Counted::Foreign);
        }
        let number = text.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Ok(match number {
            Some(number) if text == Self::content(number, inode) => Counted::Number(number),
            _ => Counted::Foreign,
        })
    }

    fn set(&self, number: u64) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
        let inode = file.metadata()?.ino();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(Self::content(number, inode).as_bytes())?;
        file.set_len(FILE_BYTES as u64)?;
        file.sync_all()?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_recognised_and_damage_too() {
        let folder = std::env::temp_dir().join(format!("polygate-counter-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let counter = FileCounter::new(folder.join("counter"));
        assert_eq!(counter.read().unwrap(), Counted::Missing);
        for number in [1, 7, u64::MAX] {
            counter.set(number).unwrap();
            assert_eq!(counter.read().unwrap(), Counted::Number(number));
        }
        std::fs::copy(folder.join("counter"), folder.join("restored")).unwrap();
        assert_eq!(FileCounter::new(folder.join("restored")).read().unwrap(), Counted::Foreign);
        std::fs::write(folder.join("counter"), "0000").unwrap();
        assert_eq!(counter.read().unwrap(), Counted::Foreign);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
