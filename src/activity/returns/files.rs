//! The files of a return as they are written: counted and sealed with their SHA-256 on the way.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Where files come to be. Whoever implements it never opens one that is there already.
pub trait Files {
    /// A file under way.
    type File: io::Write;

    /// Begins a file of a name that no file has yet. Names hold nothing of any patient.
    ///
    /// # Errors
    /// If it cannot be made, or is there already.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Ends a file: from here on it is durable.
    ///
    /// # Errors
    /// If it cannot be made so.
    fn close(&mut self, name: &str, file: Self::File) -> io::Result<()>;
}

/// A file of a built return.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuiltFile {
    /// Its name.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Records in it: messages, lines without their heading.
    pub rows: u64,
}

/// Files in memory, for tests and for what is small.
#[derive(Debug, Default)]
pub struct InMemory {
    /// What was written, by name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Files for InMemory {
    type File = Vec<u8>;

    fn create(&mut self, name: &str) -> io::Result<Vec<u8>> {
        if self.files.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        self.files.insert(name.to_owned(), Vec::new());
        Ok(Vec::new())
    }

    fn close(&mut self, name: &str, file: Vec<u8>) -> io::Result<()> {
        self.files.insert(name.to_owned(), file);
        Ok(())
    }
}

/// A file under way, with what is to be said of it. Small writes are put together.
#[derive(Debug)]
pub(super) struct Tally<F: io::Write> {
    out: io::BufWriter<F>,
    digest: Sha256,
    name: String,
    bytes: u64,
    pub(super) rows: u64,
}

/// What is put together before it goes to the file.
const BUFFER_BYTES: usize = 64 * 1024;

impl<F: io::Write> Tally<F> {
    pub(super) fn create(files: &mut impl Files<File = F>, name: String) -> io::Result<Self> {
        let out = io::BufWriter::with_capacity(BUFFER_BYTES, files.create(&name)?);
        Ok(Self { out, digest: Sha256::new(), name, bytes: 0, rows: 0 })
    }

    pub(super) fn close(self, files: &mut impl Files<File = F>) -> io::Result<BuiltFile> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        files.close(&self.name, file)?;
        let sha256 = hexadecimal(&self.digest.finalize());
        Ok(BuiltFile { name: self.name, bytes: self.bytes, sha256, rows: self.rows })
    }
}

impl<F: io::Write> io::Write for Tally<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.digest.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_is_sealed_with_what_is_in_it_and_never_written_again() {
        let mut files = InMemory::default();
        let mut tally = Tally::create(&mut files, "a.csv".to_owned()).unwrap();
        tally.write_all(b"ab").unwrap();
        tally.write_all(b"c").unwrap();
        let built = tally.close(&mut files).unwrap();
        // The first test vector of FIPS 180-2.
        assert_eq!(built.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((built.bytes, files.files["a.csv"].as_slice()), (3, b"abc".as_slice()));
        let again = Tally::create(&mut files, "a.csv".to_owned()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
