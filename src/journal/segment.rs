//! Segment files: names, the header that each begins with, and what the journal remembers of each.

use crate::domain::{ids::Epoch, time::Timestamp};

use super::{Lane, Position};

/// Where a segment's first frame begins. A whole page, so that writing frames never touches the header's.
pub(super) const HEADER_BYTES: u64 = HEADER_PAGE as u64;
/// The same, for buffers.
pub(super) const HEADER_PAGE: usize = 4096;

const MAGIC: &[u8; 8] = b"PGATEJNL";
const FORMAT: u32 = 1;
/// The header is written twice, in different sectors: without it a segment's entries have no epoch.
const COPY_AT: usize = HEADER_PAGE / 2;
const FIELDS_BYTES: usize = 8 + 4 + 4 + 8 * 6 + 8 * Lane::COUNT;

/// What a segment file says of itself, and of the one before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) number: u64,
    pub(super) epoch: Epoch,
    pub(super) created: Timestamp,
    /// The segment before this one, and how far it is valid; whatever stands behind that was never
    /// acknowledged and must not be read. Zeros in the first segment of a journal.
    pub(super) previous: Position,
    /// The sequence that the next entry of each lane gets.
    pub(super) next_sequences: [u64; Lane::COUNT],
}

impl Header {
    /// The header's page.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(HEADER_PAGE);
        page.extend_from_slice(MAGIC);
        page.extend_from_slice(&FORMAT.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        let created = u64::from_le_bytes(self.created.0.to_le_bytes());
        for field in [self.number, self.epoch.0, created, self.previous.segment, self.previous.offset, 0] {
            page.extend_from_slice(&field.to_le_bytes());
        }
        for sequence in self.next_sequences {
            page.extend_from_slice(&sequence.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&page);
        page.extend_from_slice(&checksum.to_le_bytes());
        let copy = page.clone();
        page.resize(COPY_AT, 0);
        page.extend_from_slice(&copy);
        page.resize(HEADER_PAGE, 0);
        page
    }

    /// Reads a header's page, from either copy; none if both are damaged, or of another format.
    pub(super) fn decode(page: &[u8]) -> Option<Self> {
        Self::decode_copy(page).or_else(|| Self::decode_copy(page.get(COPY_AT..)?))
    }

    fn decode_copy(page: &[u8]) -> Option<Self> {
        let fields = page.get(..FIELDS_BYTES)?;
        let checksum = page.get(FIELDS_BYTES..)?.first_chunk::<4>()?;
        let known = fields.starts_with(MAGIC) && fields.get(8..12)? == FORMAT.to_le_bytes();
        if !known || crc32c::crc32c(fields) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let number_at = |index: usize| {
            let from = 16 + 8 * index;
            fields.get(from..from + 8)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
        };
        let mut next_sequences = [0; Lane::COUNT];
        for (lane, sequence) in next_sequences.iter_mut().enumerate() {
            *sequence = number_at(6 + lane)?;
        }
        Some(Self {
            number: number_at(0)?,
            epoch: Epoch(number_at(1)?),
            created: Timestamp(i64::from_le_bytes(number_at(2)?.to_le_bytes())),
            previous: Position { segment: number_at(3)?, offset: number_at(4)? },
            next_sequences,
        })
    }
}

/// One lane's entries within one segment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub(super) struct Span {
    /// The first sequence; 0 if there is none.
    pub(super) first: u64,
    /// The last sequence; 0 if there is none.
    pub(super) last: u64,
    /// Bytes of frames.
    pub(super) bytes: u64,
}

impl Span {
    pub(super) const fn is_empty(&self) -> bool {
        self.last == 0
    }

    pub(super) fn add(&mut self, sequence: u64, bytes: u64) {
        if self.first == 0 {
            self.first = sequence;
        }
        self.last = sequence;
        self.bytes += bytes;
    }
}

/// What the journal remembers of a segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) epoch: Epoch,
    /// How far the file is valid: everything before has been synchronised.
    pub(super) length: u64,
    pub(super) spans: [Span; Lane::COUNT],
}

impl Segment {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            number: header.number,
            epoch: header.epoch,
            length: HEADER_BYTES,
            spans: [Span::default(); Lane::COUNT],
        }
    }

    pub(super) fn span(&self, lane: Lane) -> &Span {
        &self.spans[lane.index()]
    }

    pub(super) const fn end(&self) -> Position {
        Position { segment: self.number, offset: self.length }
    }
}

/// The segment's file name.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// The name of the index beside a sealed segment.
pub(super) fn index_name(number: u64) -> String {
    format!("{number:016x}.index")
}

/// Reads a name made by [`file_name`] or [`index_name`].
pub(super) fn number_in(name: &str, extension: &str) -> Option<u64> {
    let stem = name.strip_suffix(extension)?.strip_suffix('.')?;
    (stem.len() == 16).then(|| u64::from_str_radix(stem, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_damage_shows() {
        let header = Header {
            number: 3,
            epoch: Epoch(1 << 50),
            created: Timestamp(-5),
            previous: Position { segment: 2, offset: 8192 },
            next_sequences: [1, 2, 3, 4, 5, 6, 7, 8],
        };
        let page = header.encode();
        assert_eq!(page.len() as u64, HEADER_BYTES);
        assert_eq!(Header::decode(&page), Some(header));
        for byte in 0..FIELDS_BYTES + 4 {
            let mut damaged = page.clone();
            damaged[byte] ^= 1;
            assert_eq!(Header::decode(&damaged), Some(header), "byte {byte}: the copy serves");
            damaged[COPY_AT + byte] ^= 1;
            assert_eq!(Header::decode(&damaged), None, "byte {byte}");
        }
        for cut in 0..FIELDS_BYTES + 4 {
            assert_eq!(Header::decode(&page[..cut]), None);
        }
    }

    #[test]
    fn names_sort_as_numbers_and_read_back() {
        assert!(file_name(9) < file_name(10) && file_name(255) < file_name(256));
        assert_eq!(number_in(&file_name(4711), "segment"), Some(4711));
        assert_eq!(number_in(&index_name(4711), "segment"), None);
        assert_eq!(number_in("cursors", "segment"), None);
    }
}
