//! gzip (RFC 1952), bounded: what some partners send their messages in.

use std::io::Read;

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

/// Why bytes could not be unpacked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GzipError {
    /// They are no gzip, or end in the middle.
    #[error("it is no whole gzip")]
    Malformed,
    /// There is more in them than is taken.
    #[error("unpacked, it is longer than {0} bytes")]
    TooLong(usize),
}

/// Unpacks one gzip member after another.
///
/// # Errors
/// See [`GzipError`]; no more than `bytes_max` and one are ever unpacked.
pub fn unpack(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, GzipError> {
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut out = Vec::new();
    let mut reader = MultiGzDecoder::new(packed).take(most.saturating_add(1));
    reader.read_to_end(&mut out).map_err(|_| GzipError::Malformed)?;
    if bytes_max < out.len() { Err(GzipError::TooLong(bytes_max)) } else { Ok(out) }
}

/// Packs bytes as one member.
pub fn pack(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; if it did, nothing would be unpacked from what is returned.
    match std::io::Write::write_all(&mut encoder, plain) {
        Ok(()) => encoder.finish().unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_follow_one_another_and_bombs_are_stopped() {
        let text = vec![b'a'; 100_000];
        let packed = pack(&text);
        assert!(packed.len() < 1000);
        assert_eq!(unpack(&packed, 100_000), Ok(text.clone()));
        assert_eq!(unpack(&packed, 99_999), Err(GzipError::TooLong(99_999)));
        assert_eq!(unpack(&[pack(b"one "), pack(b"two")].concat(), 100), Ok(b"one two".to_vec()));
        assert_eq!(unpack(&packed[..packed.len() - 9], 1 << 20), Err(GzipError::Malformed));
        assert_eq!(unpack(b"plain", 100), Err(GzipError::Malformed));
    }
}
