//! One journal record on disk: length, checksum, sequence, group, lane, identity, payload.
//!
//! | offset | bytes | field |
//! |-------:|------:|-------|
//! | 0 | 4 | payload length in bytes, 1 to [`PAYLOAD_BYTES_MAX`] |
//! | 4 | 4 | CRC32C over the segment's number and every other byte of the frame, padding aside |
//! | 8 | 8 | sequence within lane and epoch |
//! | 16 | 4 | offset in the segment where the group commit that wrote this frame began |
//! | 20 | 1 | lane |
//! | 21 | 1 | 1 if an identity follows, else 0 |
//! | 22 | 2 | zero |
//! | 24 | 32 | the identity's key and digest, if any |
//! | then | | payload, then zeros up to a multiple of eight |
//!
//! All numbers are little-endian. The segment's number is part of the checksum, so that a frame that a
//! faulty disk puts into another file is not believed. The group's start tells a torn write from damage:
//! a group is written only after the one before it has been synchronised, so a broken frame followed by a
//! good one of a *later* group was broken after it had been acknowledged.

use super::{Identity, Lane};

/// Bytes before identity and payload.
pub(super) const HEAD_BYTES: usize = 24;
/// Bytes of an identity.
pub(super) const IDENTITY_BYTES: usize = 32;
/// The largest payload, in bytes: a 16 MiB message (the MLLP limit) and 64 KiB for what the hub adds.
pub const PAYLOAD_BYTES_MAX: usize = (16 << 20) + (64 << 10);

/// Frames begin at multiples of this, so that a search for the next good one is quick.
const ALIGNMENT: usize = 8;

/// A frame found in a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Frame<'a> {
    pub(super) lane: Lane,
    pub(super) sequence: u64,
    pub(super) group_start: u32,
    pub(super) identity: Option<Identity>,
    pub(super) payload: &'a [u8],
    /// Bytes the frame takes, padding included.
    pub(super) size: usize,
}

/// What stands at a place in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Parsed<'a> {
    /// A whole, intact frame.
    Frame(Frame<'a>),
    /// It may be a frame, but the buffer must hold this many bytes to tell.
    NeedsBytes(usize),
    /// No frame.
    Nothing,
}

/// Bytes a frame takes, padding included.
pub(super) fn size(payload_bytes: usize, has_identity: bool) -> usize {
    let identity = if has_identity { IDENTITY_BYTES } else { 0 };
    (HEAD_BYTES + identity + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Appends one frame to `buffer`. The payload is at most [`PAYLOAD_BYTES_MAX`] long.
pub(super) fn encode(
    buffer: &mut Vec<u8>,
    segment: u64,
    group_start: u32,
    (lane, sequence): (Lane, u64),
    identity: Option<&Identity>,
    payload: &[u8],
) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let start = buffer.len();
    buffer.extend_from_slice(&length);
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&sequence.to_le_bytes());
    buffer.extend_from_slice(&group_start.to_le_bytes());
    buffer.extend_from_slice(&[lane.0, u8::from(identity.is_some()), 0, 0]);
    if let Some(identity) = identity {
        buffer.extend_from_slice(&identity.key);
        buffer.extend_from_slice(&identity.digest);
    }
    buffer.extend_from_slice(payload);
    let checksum = checksum(segment, &length, &buffer[start + 8..]).to_le_bytes();
    buffer[start + 4..start + 8].copy_from_slice(&checksum);
    buffer.resize(start + size(payload.len(), identity.is_some()), 0);
}

/// Reads what stands at the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8], segment: u64) -> Parsed<'_> {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Parsed::NeedsBytes(HEAD_BYTES) };
    let length = le_u32(&head[0..4]) as usize;
    let [lane, has_identity, zero, zero_too] = [head[20], head[21], head[22], head[23]];
    let plausible = (1..=PAYLOAD_BYTES_MAX).contains(&length)
        && usize::from(lane) < Lane::COUNT
        && has_identity < 2
        && zero == 0
        && zero_too == 0;
    if !plausible {
        return Parsed::Nothing;
    }
    let size = size(length, has_identity == 1);
    let payload_at = if has_identity == 1 { HEAD_BYTES + IDENTITY_BYTES } else { HEAD_BYTES };
    let end = payload_at + length;
    let Some(checked) = bytes.get(8..end) else { return Parsed::NeedsBytes(size) };
    if checksum(segment, &head[0..4], checked) != le_u32(&head[4..8]) {
        return Parsed::Nothing;
    }
    let identity = bytes.get(HEAD_BYTES..payload_at).and_then(Identity::from_bytes);
    Parsed::Frame(Frame {
        lane: Lane(lane),
        sequence: le_u64(&head[8..16]),
        group_start: le_u32(&head[16..20]),
        identity,
        payload: bytes.get(payload_at..end).unwrap_or_default(),
        size,
    })
}

/// The next place after `offset` where a frame may begin.
pub(super) const fn next_candidate(offset: u64) -> u64 {
    offset + ALIGNMENT as u64
}

fn checksum(segment: u64, length: &[u8], rest: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), length);
    crc32c::crc32c_append(head, rest)
}

fn le_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn le_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(identity: Option<Identity>) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode(&mut buffer, 9, 4096, (Lane(2), 77), identity.as_ref(), b"a payload of some length");
        buffer
    }

    #[test]
    fn reads_back_what_it_wrote() {
        for identity in [None, Some(Identity { key: [7; 16], digest: [9; 16] })] {
            let bytes = sample(identity);
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            let Parsed::Frame(frame) = parse(&bytes, 9) else { panic!("no frame") };
            assert_eq!((frame.lane, frame.sequence, frame.group_start), (Lane(2), 77, 4096));
            assert_eq!((frame.identity, frame.payload), (identity, b"a payload of some length".as_slice()));
            assert_eq!(frame.size, bytes.len());
        }
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let bytes = sample(Some(Identity { key: [1; 16], digest: [2; 16] }));
        let content = HEAD_BYTES + IDENTITY_BYTES + 24;
        for bit in 0..content * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(parse(&damaged, 9), Parsed::Frame(_)), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_segment_is_not_believed() {
        assert_eq!(parse(&sample(None), 10), Parsed::Nothing);
    }

    #[test]
    fn every_cut_needs_more_bytes() {
        let bytes = sample(None);
        for cut in 0..HEAD_BYTES + 24 {
            assert!(matches!(parse(&bytes[..cut], 9), Parsed::NeedsBytes(_)), "{cut}");
        }
    }
}
