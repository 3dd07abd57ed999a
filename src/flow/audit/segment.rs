//! The trail's files as bytes: the page that a segment begins with, the frames in it, and the index beside it.

use sha2::{Digest as _, Sha256};

use crate::{
    access::audit::{
        Hash, Line, Record, checkpoint::NOTE_BYTES_MAX, record::RECORD_BYTES_MAX, tree::leaf_hash,
    },
    domain::nhs_number::NhsNumber,
};

/// Where a segment's first frame begins.
pub(super) const HEADER_BYTES: usize = 4096;
const HEADER_MAGIC: &[u8; 8] = b"PGATEAUD";
const HEADER_FIELDS: usize = 7;

pub(super) const FRAME_MAGIC: &[u8; 4] = b"pgA1";
const KIND_LINE: u8 = 1;
const KIND_CHECKPOINT: u8 = 2;
/// Magic, kind and length before what a frame holds.
const FRAME_HEAD: usize = 4 + 1 + 4;
const FRAME_SUM: usize = 32;
/// The longest frame.
pub(super) const FRAME_BYTES_MAX: usize = FRAME_HEAD + FRAME_SUM + RECORD_BYTES_MAX;
/// No frame of a line is shorter: head, seal, salt, an empty line, hash.
pub(super) const LINE_FRAME_BYTES_MIN: usize = 200;
const _: () = assert!(NOTE_BYTES_MAX <= RECORD_BYTES_MAX, "a note must fit where a record does");

/// What a segment says of itself, and of what stands before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// Its number, from 1, without a hole.
    pub(super) number: u64,
    /// Which beginning of the trail its lines belong to.
    pub(super) incarnation: u64,
    /// Which start of the program wrote it.
    pub(super) start: u64,
    /// Lines of the incarnation before this segment.
    pub(super) before: u64,
    /// How far the segment before it is valid; what stands behind that was never acknowledged.
    pub(super) previous_length: u64,
    /// The hash of the last line before it.
    pub(super) last: Hash,
    /// The tree's root over the lines before it.
    pub(super) root: Hash,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = HEADER_MAGIC.to_vec();
        let fields = [1, self.number, self.incarnation, self.start, self.before, self.previous_length, 0];
        let fields: [u64; HEADER_FIELDS] = fields;
        fields.iter().for_each(|field| page.extend_from_slice(&field.to_le_bytes()));
        page.extend_from_slice(&self.last);
        page.extend_from_slice(&self.root);
        let sum: Hash = Sha256::digest(&page).into();
        page.extend_from_slice(&sum);
        page.resize(HEADER_BYTES, 0);
        page
    }

    /// Reads a page that [`Header::encode`] made, and no other.
    pub(super) fn decode(page: &[u8]) -> Option<Self> {
        let number = |index: usize| {
            let from = 8 + 8 * index;
            page.get(from..from + 8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
        };
        let hash = |index: usize| -> Option<Hash> {
            let from = 8 + 8 * HEADER_FIELDS + 32 * index;
            page.get(from..from + 32)?.first_chunk().copied()
        };
        let read = Self {
            number: number(1)?,
            incarnation: number(2)?,
            start: number(3)?,
            before: number(4)?,
            previous_length: number(5)?,
            last: hash(0)?,
            root: hash(1)?,
        };
        (read.encode() == page).then_some(read)
    }
}

/// What a frame holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Frame {
    /// A line, and its hash.
    Line(Box<Record>, Hash),
    /// A signed note.
    Checkpoint(String),
}

/// A line as a frame.
pub(super) fn line_frame(record: &Record, hash: &Hash) -> Vec<u8> {
    frame(KIND_LINE, &record.encode(), hash)
}

/// A checkpoint as a frame.
pub(super) fn checkpoint_frame(note: &str) -> Vec<u8> {
    frame(KIND_CHECKPOINT, note.as_bytes(), &leaf_hash(note.as_bytes()))
}

fn frame(kind: u8, held: &[u8], sum: &Hash) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_HEAD + held.len() + FRAME_SUM);
    bytes.extend_from_slice(FRAME_MAGIC);
    bytes.push(kind);
    bytes.extend_from_slice(&u32::try_from(held.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(held);
    bytes.extend_from_slice(sum);
    bytes
}

impl Frame {
    /// The frame that bytes begin with, and its length; none if they begin with none that is whole and unchanged.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let head = bytes.get(..FRAME_HEAD)?;
        let (magic, rest) = head.split_at_checked(FRAME_MAGIC.len())?;
        let (kind, length) = rest.split_first()?;
        let length = usize::try_from(u32::from_le_bytes(*length.first_chunk()?)).ok()?;
        if magic != FRAME_MAGIC || RECORD_BYTES_MAX < length {
            return None;
        }
        let (held, sum) = bytes.get(FRAME_HEAD..FRAME_HEAD + length + FRAME_SUM)?.split_at_checked(length)?;
        let frame = match *kind {
            KIND_LINE => {
                let record = Record::decode(held).ok()?;
                let hash = record.seal.hash();
                (hash == sum).then(|| Self::Line(Box::new(record), hash))?
            }
            KIND_CHECKPOINT => {
                let note = std::str::from_utf8(held).ok()?;
                (leaf_hash(held) == sum).then(|| Self::Checkpoint(note.to_owned()))?
            }
            _ => return None,
        };
        Some((frame, FRAME_HEAD + length + FRAME_SUM))
    }
}

/// What is known of each line of a segment without reading it. Line `i` has number `before + 1 + i`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Rows {
    /// Where its frame begins; 0 if the line is lost.
    pub(super) offsets: Vec<u32>,
    /// The patient it is about, as [`key_of`] their number; 0 if it is about none.
    pub(super) patients: Vec<u64>,
    /// Whose deed it is, as [`key_of`] the account.
    pub(super) users: Vec<u64>,
    /// Its hash.
    pub(super) hashes: Vec<Hash>,
}

/// Which lines to look for: by the first eight bytes of a hash. Two may share them; the line itself decides.
pub(super) fn key_of(text: &str) -> u64 {
    let hash: Hash = Sha256::digest(text.as_bytes()).into();
    hash.first_chunk().map_or(1, |bytes| u64::from_le_bytes(*bytes)).max(1)
}

/// The key of a patient, or 0.
pub(super) fn patient_key(patient: Option<&NhsNumber>) -> u64 {
    patient.map_or(0, |patient| key_of(patient.as_str()))
}

const INDEX_MAGIC: &[u8; 8] = b"PGATEAIX";
/// Magic, segment, its valid length, count.
const INDEX_HEAD: usize = 8 + 3 * 8;
const ROW_BYTES: usize = 4 + 8 + 8 + 32;

/// A column of an index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Patients,
    Users,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn push(&mut self, offset: u32, line: &Line, hash: Hash) {
        self.offsets.push(offset);
        self.patients.push(patient_key(line.patient.as_ref()));
        self.users.push(key_of(&line.user));
        self.hashes.push(hash);
    }

    /// Adds the rows of lines that follow.
    pub(super) fn extend(&mut self, rows: &Self) {
        self.offsets.extend_from_slice(&rows.offsets);
        self.patients.extend_from_slice(&rows.patients);
        self.users.extend_from_slice(&rows.users);
        self.hashes.extend_from_slice(&rows.hashes);
    }

    /// A line that cannot be read.
    pub(super) fn push_lost(&mut self) {
        self.offsets.push(0);
        self.patients.push(0);
        self.users.push(0);
        self.hashes.push([0; 32]);
    }

    pub(super) fn column(&self, column: Column) -> &[u64] {
        match column {
            Column::Patients => &self.patients,
            Column::Users => &self.users,
        }
    }

    /// The index file of a segment that is valid up to `length`.
    pub(super) fn encode(&self, segment: u64, length: u64) -> Vec<u8> {
        let mut bytes = INDEX_MAGIC.to_vec();
        bytes.reserve(INDEX_HEAD + self.len() * ROW_BYTES + 4);
        for number in [segment, length, self.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.offsets.iter().for_each(|offset| bytes.extend_from_slice(&offset.to_le_bytes()));
        for column in [&self.patients, &self.users] {
            column.iter().for_each(|key| bytes.extend_from_slice(&key.to_le_bytes()));
        }
        self.hashes.iter().for_each(|hash| bytes.extend_from_slice(hash));
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads an index file; none if it is damaged, or of another segment or length.
    pub(super) fn decode(bytes: &[u8], segment: u64, length: u64) -> Option<Self> {
        let (content, sum) = bytes.split_last_chunk::<4>()?;
        let (head, body) = content.split_at_checked(INDEX_HEAD)?;
        let (magic, numbers) = head.split_first_chunk::<8>()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let [of, until, count] = numbers else { return None };
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let is_of_this = u64::from_le_bytes(*of) == segment && u64::from_le_bytes(*until) == length;
        let is_whole = crc32c::crc32c(content) == u32::from_le_bytes(*sum);
        if magic != INDEX_MAGIC || !is_of_this || !is_whole || count.checked_mul(ROW_BYTES)? != body.len() {
            return None;
        }
        let (offsets, rest) = body.split_at_checked(count * 4)?;
        let (patients, rest) = rest.split_at_checked(count * 8)?;
        let (users, hashes) = rest.split_at_checked(count * 8)?;
        Some(Self {
            offsets: offsets.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect(),
            patients: patients.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect(),
            users: users.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect(),
            hashes: hashes.as_chunks().0.to_vec(),
        })
    }
}

/// Where an index file of `count` rows has a part: offset and length in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) from: u64,
    pub(super) bytes: usize,
}

/// Where the keys of a column are in an index file of so many rows.
pub(super) fn column_part(column: Column, count: usize) -> Part {
    let before = match column {
        Column::Patients => 4,
        Column::Users => 4 + 8,
    };
    Part { from: (INDEX_HEAD + count * before) as u64, bytes: count * 8 }
}

/// Where a row's offset is.
pub(super) fn offset_part(row: usize) -> Part {
    Part { from: (INDEX_HEAD + row * 4) as u64, bytes: 4 }
}

/// Where the hashes of rows `row..row + some` are.
pub(super) fn hash_part(row: usize, some: usize, count: usize) -> Part {
    Part { from: (INDEX_HEAD + count * 20 + row * 32) as u64, bytes: some * 32 }
}

/// The segment's file name.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:08x}.lines")
}

/// The name of the index beside it.
pub(super) fn index_name(number: u64) -> String {
    format!("{number:08x}.index")
}

/// The name under which bytes are kept that were no line.
pub(super) fn torn_name(number: u64) -> String {
    format!("{number:08x}.torn")
}

/// Reads a name made by [`file_name`].
pub(super) fn number_in(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".lines")?;
    u64::from_str_radix(stem, 16).ok().filter(|number| file_name(*number) == name)
}
