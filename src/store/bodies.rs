//! Content too large for the tree, in files named by their SHA-256.

use std::{collections::BTreeSet, fmt::Write, io::ErrorKind, path::PathBuf};

use sha2::{Digest, Sha256};

use super::{ViewError, value::BodyReference};
use crate::sys::disk::{Disk, RealDisk, read_file, replace_file};

/// Longest content in one file, in bytes: what the journal takes in one entry.
pub(super) const BODY_BYTES_MAX: u64 = crate::journal::PAYLOAD_BYTES_MAX as u64;

/// The folder of content files.
#[derive(Debug)]
pub(super) struct Bodies(pub(super) PathBuf);

impl Bodies {
    /// Writes content durably, unless it is there already.
    pub(super) fn put(&self, content: &[u8]) -> Result<BodyReference, ViewError> {
        let digest: [u8; 32] = Sha256::digest(content).into();
        let body = BodyReference { digest, bytes: content.len() as u64 };
        let path = self.path(&body);
        let there = RealDisk.open(&path).and_then(|file| file.length());
        if !there.is_ok_and(|length| length == body.bytes) {
            replace_file(&RealDisk, &path, content).map_err(ViewError::disk("writing a content file"))?;
        }
        Ok(body)
    }

    /// Reads content back and checks it against its name.
    pub(super) fn get(&self, body: &BodyReference) -> Result<Vec<u8>, ViewError> {
        let content = read_file(&RealDisk, &self.path(body), BODY_BYTES_MAX)
            .map_err(|_| ViewError::Damaged("a content file is missing or cannot be read"))?;
        if <[u8; 32]>::from(Sha256::digest(&content)) == body.digest {
            Ok(content)
        } else {
            Err(ViewError::Damaged("a content file does not match its name"))
        }
    }

    /// Whether the file is there; its content is checked when it is read.
    pub(super) fn has(&self, digest: &[u8; 32]) -> bool {
        self.0.join(name(digest)).exists()
    }

    /// Removes the files nothing refers to.
    pub(super) fn keep_only(&self, wanted: &BTreeSet<[u8; 32]>) -> Result<(), ViewError> {
        let names: BTreeSet<String> = wanted.iter().map(name).collect();
        for found in RealDisk.list(&self.0).map_err(ViewError::disk("listing content files"))? {
            if names.contains(&found) {
                continue;
            }
            match RealDisk.remove(&self.0.join(found)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(ViewError::disk("removing a content file")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, body: &BodyReference) -> PathBuf {
        self.0.join(name(&body.digest))
    }
}

fn name(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
