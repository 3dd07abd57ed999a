//! A batch's way to bytes and back: CBOR, compressed when that pays.

use bytes::Bytes;

use crate::{
    codec::cbor::{self, CborError},
    domain::entry::Batch,
};

/// The content type of a batch as it is.
pub const PLAIN: &str = "application/cbor";
/// The content type of a compressed batch.
pub const COMPRESSED: &str = "application/cbor+zstd";

/// Smaller batches gain nothing worth the time.
const COMPRESS_FROM_BYTES: usize = 512;
/// Level 1 halves HL7 v2 and keeps up with the disk; higher levels gain a few hundredths for several times
/// the time.
const LEVEL: i32 = 1;

/// Encodes a batch; returns its content type and bytes.
///
/// # Errors
/// Only if the encoder fails of itself.
pub fn encode(batch: &Batch) -> Result<(&'static str, Bytes), CborError> {
    let plain = cbor::encode(batch)?;
    if COMPRESS_FROM_BYTES <= plain.len()
        && let Ok(compressed) = zstd::bulk::compress(&plain, LEVEL)
        && compressed.len() < plain.len() / 10 * 9
    {
        return Ok((COMPRESSED, Bytes::from(compressed)));
    }
    Ok((PLAIN, Bytes::from(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        entry::{BatchEntry, WIRE_VERSION},
        ids::{Class, Epoch},
        time::{ClockQuality, Timestamp},
    };

    fn batch(raw: Vec<u8>) -> Batch {
        let entry = BatchEntry {
            seq: 1,
            id: "0".repeat(32),
            kind: "ADT^A01".to_owned(),
            system: "rio".to_owned(),
            source_id: "M1".to_owned(),
            patient: None,
            at: Timestamp(1),
            clock: ClockQuality::Synchronised,
            body: Bytes::from_static(&[0xa0]),
            raw: Some(Bytes::from(raw)),
        };
        Batch {
            v: WIRE_VERSION,
            hub: "north".parse().unwrap(),
            class: Class::Clinical,
            epoch: Epoch(1),
            first: 1,
            entries: vec![entry],
            absent: vec![],
        }
    }

    #[test]
    fn compresses_what_repeats_and_leaves_the_rest() {
        let (kind, bytes) = encode(&batch(b"PID|1||".repeat(1000))).unwrap();
        assert_eq!(kind, COMPRESSED);
        let plain = zstd::bulk::decompress(&bytes, 100_000).unwrap();
        assert_eq!(cbor::decode::<Batch>(&plain, 100_000).unwrap(), batch(b"PID|1||".repeat(1000)));
        let mut entropy = crate::sys::entropy::Entropy::from_seed(1);
        let noise: Vec<u8> = (0..2000).flat_map(|_| entropy.next_u64().to_le_bytes()).collect();
        assert_eq!(encode(&batch(noise)).unwrap().0, PLAIN);
        assert_eq!(encode(&batch(vec![])).unwrap().0, PLAIN);
    }
}
