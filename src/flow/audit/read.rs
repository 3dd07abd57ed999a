//! Reading the trail: lines by number, by patient, by user; and the proof that a line is in it. All of it blocks.

use std::{fmt, io, ops::Range, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    access::audit::{Hash, Line, Record, Seal},
    domain::nhs_number::NhsNumber,
    sys::disk::read_up_to,
};

use super::{
    Audit, Signed,
    segment::{
        Column, FRAME_BYTES_MAX, Frame, Rows, column_part, file_name, index_name, key_of, offset_part,
        patient_key,
    },
    shared::{Index, IndexedLeaves, Segment, Shared},
};

/// A line's name: `INCARNATION-NUMBER`, such as `1-301`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LineId {
    /// Which beginning of the trail.
    pub incarnation: u64,
    /// Its number there, from 1.
    pub number: u64,
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.incarnation, self.number)
    }
}

/// The text names no line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a line of the audit trail is named by its incarnation and number, such as 1-301")]
pub struct InvalidLineId;

impl TryFrom<String> for LineId {
    type Error = InvalidLineId;

    fn try_from(text: String) -> Result<Self, InvalidLineId> {
        text.parse()
    }
}

impl From<LineId> for String {
    fn from(id: LineId) -> Self {
        id.to_string()
    }
}

impl FromStr for LineId {
    type Err = InvalidLineId;

    fn from_str(text: &str) -> Result<Self, InvalidLineId> {
        let (incarnation, number) = text.split_once('-').ok_or(InvalidLineId)?;
        let read =
            |digits: &str| digits.parse::<u64>().ok().filter(|number| 0 < *number).ok_or(InvalidLineId);
        Ok(Self { incarnation: read(incarnation)?, number: read(number)? })
    }
}

/// A line that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its name.
    pub id: LineId,
    /// Its seal.
    pub seal: Seal,
    /// The line.
    pub line: Line,
}

/// Shows that a line is among those that a checkpoint signed, without its words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// Which line.
    pub id: LineId,
    /// Its seal, whose hash is the leaf.
    pub seal: Seal,
    /// The leaf.
    pub leaf: Hash,
    /// The leaf's place in the tree, from 0.
    pub index: u64,
    /// The path to the root.
    pub path: Vec<Hash>,
    /// The checkpoint.
    pub signed: Signed,
}

/// Lines and the checkpoint that signs the last of them, on their way to the centre.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stretch {
    /// The checkpoint.
    pub(super) note: String,
    /// Lines of its incarnation before the first of these.
    pub(super) before: u64,
    /// Records, as they are hashed.
    pub(super) lines: Vec<Vec<u8>>,
}

impl Audit {
    /// One line; none if it is not there, or lost.
    ///
    /// # Errors
    /// The disk's; `InvalidData` if it is damaged.
    pub fn line(&self, id: LineId) -> io::Result<Option<Found>> {
        let Some((segment, row)) = self.place(id) else { return Ok(None) };
        self.shared.line(&segment, row)
    }

    /// Up to `most` lines after one, oldest first, over all incarnations; lost and damaged ones are left out.
    ///
    /// # Errors
    /// The disk's.
    pub fn after(&self, id: LineId, most: usize) -> io::Result<Vec<Found>> {
        let segments = self.segments();
        let mut found = Vec::new();
        for segment in segments.iter().filter(|segment| segment.last_id() > id) {
            let first = if segment.incarnation == id.incarnation {
                usize::try_from(id.number.saturating_sub(segment.before)).unwrap_or(usize::MAX)
            } else {
                0
            };
            let last = segment.count.min(first.saturating_add(most - found.len()));
            found.extend(self.shared.lines(segment, first..last)?);
            if most <= found.len() {
                break;
            }
        }
        Ok(found)
    }

    /// The newest lines about a patient, newest first, at most so many; only those before a line, if one is given.
    ///
    /// # Errors
    /// The disk's.
    pub fn find_by_patient(
        &self,
        patient: &NhsNumber,
        before: Option<LineId>,
        most: usize,
    ) -> io::Result<Vec<Found>> {
        let is_theirs = |line: &Line| line.patient.as_ref() == Some(patient);
        self.find((Column::Patients, patient_key(Some(patient))), before, most, is_theirs)
    }

    /// The newest deeds of a user, newest first, at most so many; only those before a line, if one is given.
    ///
    /// # Errors
    /// The disk's.
    pub fn find_by_user(&self, user: &str, before: Option<LineId>, most: usize) -> io::Result<Vec<Found>> {
        self.find((Column::Users, key_of(user)), before, most, |line| line.user == user)
    }

    /// The proof that a line of this incarnation is among those that the newest checkpoint signed; none if it is not.
    ///
    /// # Errors
    /// The disk's.
    pub fn prove(&self, id: LineId) -> io::Result<Option<Proof>> {
        let Some(found) = self.line(id)? else { return Ok(None) };
        let index = self.shared.index();
        let Some(signed) = index.newest.clone() else { return Ok(None) };
        if signed.checkpoint.incarnation != id.incarnation {
            return Ok(None);
        }
        let leaves = IndexedLeaves { shared: &self.shared, index: &index };
        let path = index.tree.inclusion(id.number - 1, signed.checkpoint.size, &leaves)?;
        let leaf = found.seal.hash();
        Ok(path.map(|path| Proof { id, seal: found.seal, leaf, index: id.number - 1, path, signed }))
    }

    /// The proof that the first lines of this incarnation are the same in two sizes of it; none if either is too large.
    pub(super) fn consistency(&self, old: u64, new: u64) -> io::Result<Option<Vec<Hash>>> {
        let index = self.shared.index();
        index.tree.consistency(old, new, &IndexedLeaves { shared: &self.shared, index: &index })
    }

    /// The root over the first lines of the newest incarnation; none if there are fewer.
    ///
    /// # Errors
    /// The disk's.
    pub fn root_at(&self, size: u64) -> io::Result<Option<Hash>> {
        let index = self.shared.index();
        index.tree.root_at(size, &IndexedLeaves { shared: &self.shared, index: &index })
    }

    /// The first checkpoint behind the lines up to `id`, and the lines between; none if there is none yet.
    pub(super) fn stretch(&self, id: LineId) -> io::Result<Option<Stretch>> {
        let mut stretch = Stretch { note: String::new(), before: id.number, lines: Vec::new() };
        let segments = self.segments();
        let mine = segments.iter().filter(|segment| segment.incarnation == id.incarnation);
        // A checkpoint may open the segment behind that of its last line.
        for segment in mine.filter(|segment| id.number <= segment.before + segment.count as u64) {
            for frame in self.shared.frames(segment)? {
                match frame {
                    Frame::Line(record, _) if id.number < record.seal.number => {
                        stretch.lines.push(record.encode())
                    }
                    Frame::Checkpoint(note) if !stretch.lines.is_empty() => {
                        stretch.note = note;
                        return Ok(Some(stretch));
                    }
                    Frame::Line(..) | Frame::Checkpoint(_) => {}
                }
            }
        }
        Ok(None)
    }

    fn find(
        &self,
        (column, key): (Column, u64),
        before: Option<LineId>,
        most: usize,
        is_meant: impl Fn(&Line) -> bool,
    ) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for segment in self.segments().iter().rev().filter(|segment| segment.begins_before(before)) {
            for row in self.shared.rows_of(segment, column, key)?.into_iter().rev() {
                if most <= found.len() {
                    return Ok(found);
                }
                if segment.id_of(row).is_some_and(|id| before.is_none_or(|before| id < before)) {
                    let line = readable(self.shared.line(segment, row))?.flatten();
                    found.extend(line.filter(|found| is_meant(&found.line)));
                }
            }
        }
        Ok(found)
    }

    fn segments(&self) -> Vec<Segment> {
        self.shared.index().segments.iter().cloned().collect()
    }

    fn place(&self, id: LineId) -> Option<(Segment, usize)> {
        let index: &Index = &self.shared.index();
        let segment = index.segments.iter().find(|segment| segment.holds(id))?;
        Some((segment.clone(), usize::try_from(id.number - segment.before - 1).ok()?))
    }
}

impl Segment {
    fn holds(&self, id: LineId) -> bool {
        let from = self.before + 1;
        self.incarnation == id.incarnation && (from..from + self.count as u64).contains(&id.number)
    }

    fn begins_before(&self, id: Option<LineId>) -> bool {
        id.is_none_or(|id| (self.incarnation, self.before + 1) < (id.incarnation, id.number))
    }

    fn id_of(&self, row: usize) -> Option<LineId> {
        let number = self.before + 1 + u64::try_from(row).ok()?;
        Some(LineId { incarnation: self.incarnation, number })
    }

    const fn last_id(&self) -> LineId {
        LineId { incarnation: self.incarnation, number: self.before + self.count as u64 }
    }
}

impl Shared {
    /// The rows of a segment with a key, oldest first.
    fn rows_of(&self, segment: &Segment, column: Column, key: u64) -> io::Result<Vec<usize>> {
        let places = |keys: &[u64]| -> Vec<usize> {
            keys.iter().enumerate().filter(|(_, known)| **known == key).map(|(row, _)| row).collect()
        };
        if let Some(rows) = &segment.rows {
            let rows: &Arc<Rows> = rows;
            return Ok(places(rows.column(column)));
        }
        let part = column_part(column, segment.count);
        let bytes = self.read_part(&index_name(segment.number), part.from, part.bytes)?;
        let keys: Vec<u64> = bytes.as_chunks().0.iter().map(|key| u64::from_le_bytes(*key)).collect();
        Ok(places(&keys))
    }

    /// The line in a row; none if it is lost.
    fn line(&self, segment: &Segment, row: usize) -> io::Result<Option<Found>> {
        let offset = match &segment.rows {
            Some(rows) => rows.offsets.get(row).copied().unwrap_or(0),
            None => {
                let part = offset_part(row);
                let bytes = self.read_part(&index_name(segment.number), part.from, part.bytes)?;
                bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
            }
        };
        if offset == 0 {
            return Ok(None);
        }
        let file = self.disk.open(&self.directory.join(file_name(segment.number)))?;
        let mut bytes = vec![0; FRAME_BYTES_MAX];
        let length = read_up_to(file.as_ref(), &mut bytes, u64::from(offset))?;
        bytes.truncate(length);
        found_in(segment, Some(&bytes)).map(Some)
    }

    /// Some lines of a segment; those that are lost are left out.
    fn lines(&self, segment: &Segment, rows: Range<usize>) -> io::Result<Vec<Found>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let offsets: Vec<u32> = match &segment.rows {
            Some(known) => known.offsets.get(rows).unwrap_or_default().to_vec(),
            None => {
                let from = offset_part(rows.start).from;
                let bytes = self.read_part(&index_name(segment.number), from, rows.len() * 4)?;
                bytes.as_chunks().0.iter().map(|offset| u32::from_le_bytes(*offset)).collect()
            }
        };
        let length = usize::try_from(segment.length).map_err(io::Error::other)?;
        let bytes = self.read_part(&file_name(segment.number), 0, length)?;
        let there = offsets.into_iter().filter(|offset| *offset != 0);
        let lines = there.map(|offset| {
            readable(found_in(segment, bytes.get(usize::try_from(offset).unwrap_or(length)..)))
        });
        lines.filter_map(Result::transpose).collect()
    }

    /// The frames of a segment, as far as it is valid and whole.
    fn frames(&self, segment: &Segment) -> io::Result<Vec<Frame>> {
        let length = usize::try_from(segment.length).map_err(io::Error::other)?;
        let bytes = self.read_part(&file_name(segment.number), 0, length)?;
        Ok(super::scan::scan(&bytes).frames.into_iter().map(|(_, frame)| frame).collect())
    }
}

/// A damaged line is left out, so that it hides no other: [`Audit::verify`] says where it is.
fn readable<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::error!(%error, "it is left out: polygate audit verify says more");
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// The line that bytes of a segment begin with.
fn found_in(segment: &Segment, bytes: Option<&[u8]>) -> io::Result<Found> {
    match bytes.and_then(Frame::read) {
        Some((Frame::Line(record, _), _)) => {
            let Record { seal, line, .. } = *record;
            Ok(Found { id: LineId { incarnation: segment.incarnation, number: seal.number }, seal, line })
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the audit trail is damaged")),
    }
}
