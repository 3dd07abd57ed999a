//! LIS2-A2 records (CLSI LIS02-A2, once ASTM E1394): header, patients, orders, results and comments, with the
//! delimiters that each message declares for itself.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

/// Records of a message that are looked at. The longest seen, a haematology analyser's with its histograms, has
/// under two hundred.
pub const RECORDS_MAX: usize = 10_000;

/// Bytes that the copies of a message's header, one for each of its patients, may have together.
const COPIES_BYTES_MAX: usize = 16 << 20;

/// The bytes are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAMessage {
    /// The first record is not `H`.
    #[error("the message does not begin with a header record")]
    NoHeader,
    /// The header declares no four different delimiters.
    #[error("the header's delimiters cannot be used")]
    BadDelimiters,
    /// More than [`RECORDS_MAX`] records.
    #[error("the message has more than {RECORDS_MAX} records")]
    TooManyRecords,
}

/// What separates what (section 5.4): declared anew by each header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delimiters {
    field: u8,
    repeat: u8,
    component: u8,
    escape: u8,
}

/// A message, read in place.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
    records: Vec<Range<usize>>,
}

/// One record.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

/// One field, or one repetition of it.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Message<'a> {
    /// Reads a message: records end with CR, LF or both.
    ///
    /// # Errors
    /// See [`NotAMessage`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotAMessage> {
        let mut records = Vec::new();
        let mut start = 0;
        for (place, byte) in bytes.iter().enumerate() {
            if matches!(byte, b'\r' | b'\n') {
                if start < place {
                    records.push(start..place);
                }
                start = place + 1;
            }
            if RECORDS_MAX < records.len() {
                return Err(NotAMessage::TooManyRecords);
            }
        }
        if start < bytes.len() {
            records.push(start..bytes.len());
        }
        let header = records.first().and_then(|range| bytes.get(range.clone())).unwrap_or_default();
        let [b'H', field, repeat, component, escape, ..] = *header else {
            return Err(NotAMessage::NoHeader);
        };
        let mut all = [field, repeat, component, escape];
        all.sort_unstable();
        let usable = all.windows(2).all(|pair| pair.first() != pair.last())
            && all.iter().all(|byte| byte.is_ascii_punctuation());
        if !usable {
            return Err(NotAMessage::BadDelimiters);
        }
        Ok(Self { bytes, delimiters: Delimiters { field, repeat, component, escape }, records })
    }

    /// Every record, in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + '_ {
        self.records.iter().map(|range| Record {
            bytes: self.bytes.get(range.clone()).unwrap_or_default(),
            delimiters: self.delimiters,
        })
    }

    /// The header record.
    pub fn header(&self) -> Record<'a> {
        self.records().next().unwrap_or(Record { bytes: b"", delimiters: self.delimiters })
    }

    /// The message as one for each patient: header, that patient's records, terminator. A message with one patient
    /// at most is what it was.
    ///
    /// # Errors
    /// What goes before the first patient is so long that there cannot be a copy of it for each.
    pub fn by_patient(&self, whole: &Bytes) -> Result<Vec<Bytes>, NotAMessage> {
        let starts: Vec<usize> = self.places_of(b'P');
        if starts.len() < 2 {
            return Ok(vec![whole.clone()]);
        }
        let last = self.places_of(b'L').last().copied().unwrap_or(self.records.len());
        let first = starts.first().copied().unwrap_or_default();
        let ends = starts.iter().skip(1).copied().chain([last]);
        let part = |from: usize, to: usize| self.records.get(from..to).unwrap_or_default();
        let copied = part(0, first)
            .iter()
            .chain(part(last, self.records.len()))
            .map(ExactSizeIterator::len)
            .sum::<usize>();
        if COPIES_BYTES_MAX / starts.len() < copied {
            return Err(NotAMessage::TooManyRecords);
        }
        let assemble = |(start, end): (&usize, usize)| {
            let mut out = Vec::new();
            let closing = part(last, self.records.len());
            for range in part(0, first).iter().chain(part(*start, end)).chain(closing) {
                out.extend_from_slice(self.bytes.get(range.clone()).unwrap_or_default());
                out.push(b'\r');
            }
            Bytes::from(out)
        };
        Ok(starts.iter().zip(ends).map(assemble).collect())
    }

    fn places_of(&self, kind: u8) -> Vec<usize> {
        let found = self.records().enumerate().filter(|(_, record)| record.kind() == kind);
        found.map(|(place, _)| place).collect()
    }
}

impl<'a> Record<'a> {
    /// `H`, `P`, `O`, `R`, `C`, `Q`, `S`, `M` or `L`; others are of no standard.
    pub fn kind(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default().to_ascii_uppercase()
    }

    /// A field by its number in the standard, from 1, the record's kind. Empty if it is not there. Of the header,
    /// field 2 is the declaration of the delimiters.
    pub fn field(&self, number: usize) -> Field<'a> {
        let bytes = if self.kind() == b'H' && 1 < number {
            // The declaration is full of delimiters that separate nothing.
            match number {
                2 => self.bytes.get(2..5).unwrap_or_default(),
                _ => self.nth(self.bytes.get(5..).unwrap_or_default(), number - 2),
            }
        } else {
            self.nth(self.bytes, number.saturating_sub(1))
        };
        Field { bytes, delimiters: self.delimiters }
    }

    fn nth(&self, bytes: &'a [u8], place: usize) -> &'a [u8] {
        bytes.split(|byte| *byte == self.delimiters.field).nth(place).unwrap_or_default()
    }
}

impl<'a> Field<'a> {
    /// The bytes as they stand.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Every repetition; one, if the field does not repeat.
    pub fn repetitions(&self) -> impl Iterator<Item = Self> + '_ {
        let delimiters = self.delimiters;
        self.bytes.split(move |byte| *byte == delimiters.repeat).map(move |bytes| Field { bytes, delimiters })
    }

    /// A component of the first repetition, from 1, as text.
    pub fn component(&self, number: usize) -> Cow<'a, str> {
        let first = self.bytes.split(|byte| *byte == self.delimiters.repeat).next().unwrap_or_default();
        let mut components = first.split(|byte| *byte == self.delimiters.component);
        unescape(components.nth(number.saturating_sub(1)).unwrap_or_default(), self.delimiters)
    }

    /// The whole field as text, components and repetitions with their delimiters.
    pub fn text(&self) -> Cow<'a, str> {
        unescape(self.bytes, self.delimiters)
    }
}

/// Undoes escapes (section 5.4.6); one that is unknown, or not closed, stays as it is.
fn unescape(bytes: &[u8], delimiters: Delimiters) -> Cow<'_, str> {
    if !bytes.contains(&delimiters.escape) {
        return decode(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        if *first == delimiters.escape
            && let Some(length) = after.iter().position(|byte| *byte == delimiters.escape)
            && let Some((sequence, behind)) = after.split_at_checked(length)
            && append_escaped(sequence, delimiters, &mut out)
        {
            rest = behind.get(1..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    Cow::Owned(decode(&out).into_owned())
}

fn append_escaped(sequence: &[u8], delimiters: Delimiters, out: &mut Vec<u8>) -> bool {
    match sequence {
        b"F" => out.push(delimiters.field),
        b"R" => out.push(delimiters.repeat),
        b"S" => out.push(delimiters.component),
        b"E" => out.push(delimiters.escape),
        b"H" | b"N" => {}
        [b'X', digits @ ..] if !digits.is_empty() && digits.len().is_multiple_of(2) => {
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let Some(all) = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>() else { return false };
            out.extend(all);
        }
        _ => return false,
    }
    true
}

/// UTF-8 if it is valid, else ISO 8859-1: the standard says ASCII, and instruments print names and µ.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}
