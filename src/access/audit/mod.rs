//! The audit trail as plain values: its lines, the seal each carries, the tree over them, and signed checkpoints.
//!
//! A line is sealed: its number, what stood before it and a commitment to its words go into one SHA-256 hash, which
//! names the line in the chain and is its leaf in an RFC 6962 tree. A checkpoint signs the tree's root, so that one
//! signature speaks for every line before it, and a proof of a few hashes shows that nothing signed earlier has changed.
//! [`crate::flow::audit`] keeps all this on disk.

mod bytes;
pub mod checkpoint;
pub mod line;
pub mod record;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod witness;

pub use checkpoint::{Checkpoint, KeyName, Opened, SignFailed, Signer, Verify, VerifyingKey};
pub use line::{Line, Outcome};
pub use record::{Damage, Moment, Record, Seal};
pub use tree::{Tree, root_of_consistency, verify_consistency, verify_inclusion};
pub use witness::{Contradiction, Standing, Witness};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// A hash as 64 hexadecimal digits.
pub fn hexadecimal(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a fuzzer calls: any bytes go in, nothing panics, and what is read is written as it came.
///
/// # Panics
/// If it is not.
pub fn fuzz(data: &[u8]) {
    if let Some(line) = Line::decode(data) {
        assert_eq!(line.encode(), data, "a line has two forms");
    }
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode(), data, "a record has two forms");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let checkpoint = Checkpoint::parse(text);
        assert!(checkpoint.is_none_or(|checkpoint| checkpoint.text() == text), "a checkpoint has two forms");
        assert!(KeyName::parse(text).is_none_or(|key| key.to_string() == text), "a key has two forms");
        drop(checkpoint::claimed(text));
    }
}
