//! Following the log: one lane of one epoch by sequence, or everything in the order of writing.
//!
//! Readers see only what has been synchronised, need no lock while they read, and may be any number.

use std::{collections::VecDeque, io, path::Path, sync::Arc};

use bytes::Bytes;

use crate::{
    domain::ids::{Epoch, Sequence, SequenceRange},
    sys::disk::Disk,
};

use super::{
    Lane, Placed, Position, Record,
    frame::{Frame, next_candidate},
    scan::scan,
    segment::{HEADER_BYTES, Header, Segment, file_name, number_in},
    shared::{Index, Shared},
    window::Window,
};

/// Entries of one lane.
#[derive(Debug, Default)]
pub struct LaneChunk {
    /// Intact entries by ascending sequence.
    pub records: Vec<Record>,
    /// Sequences that the log once held and does not give back.
    pub lost: Vec<SequenceRange>,
}

/// Entries of all lanes.
#[derive(Debug, Default)]
pub struct LogChunk {
    /// Intact entries in the order of writing.
    pub records: Vec<Record>,
    /// Where to go on.
    pub next: Position,
    /// Bytes skipped because they are damaged.
    pub damaged_bytes: u64,
}

/// Follows one lane of one epoch.
#[derive(Debug)]
pub struct LaneReader {
    shared: Arc<Shared>,
    lane: Lane,
    epoch: Epoch,
    next: Sequence,
    place: Position,
    window: Option<Window>,
}

impl LaneReader {
    /// Begins at `next`.
    pub const fn new(shared: Arc<Shared>, lane: Lane, epoch: Epoch, next: Sequence) -> Self {
        let place = Position { segment: 0, offset: 0 };
        Self { shared, lane, epoch, next, place, window: None }
    }

    /// The sequence that comes next.
    pub const fn next(&self) -> Sequence {
        self.next
    }

    /// The epoch it follows.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Goes to another sequence of the same lane and epoch.
    pub fn seek(&mut self, next: Sequence) {
        if next < self.next {
            self.place = Position::default();
        }
        self.next = next;
    }

    /// Reads on: until there is nothing more, or the entries together reach `bytes_max` or `entries_max`.
    /// At least one entry if there is one, however large.
    ///
    /// # Errors
    /// The disk's; reading may be tried again.
    pub fn read(&mut self, bytes_max: usize, entries_max: usize) -> io::Result<LaneChunk> {
        let mut chunk = LaneChunk::default();
        let mut bytes = 0;
        while bytes < bytes_max && chunk.records.len() < entries_max {
            let Some(segment) = self.segment_of_next() else { break };
            let span = *segment.span(self.lane);
            if self.next < span.first {
                chunk.lost.push(SequenceRange { first: self.next, last: span.first - 1 });
                self.next = span.first;
            }
            if self.place.segment != segment.number {
                self.place = Position { segment: segment.number, offset: HEADER_BYTES };
            }
            if !open_window(&mut self.window, &self.shared, segment.number)? {
                continue;
            }
            self.read_one(&segment, &mut chunk, &mut bytes)?;
        }
        Ok(chunk)
    }

    /// Takes the next frame of the segment, whichever lane it is of.
    fn read_one(&mut self, segment: &Segment, chunk: &mut LaneChunk, bytes: &mut usize) -> io::Result<()> {
        let Some(window) = self.window.as_mut() else { return Ok(()) };
        let span = segment.span(self.lane);
        let at = self.place;
        let Some(frame) = window.frame(at.offset, segment.length)? else {
            self.shared.note_damage(at);
            match window.search(next_candidate(at.offset), segment.length, |_| true)? {
                Some(offset) => self.place.offset = offset,
                None => {
                    chunk.lost.push(SequenceRange { first: self.next, last: span.last });
                    self.next = span.last + 1;
                }
            }
            return Ok(());
        };
        self.place.offset += frame.size as u64;
        if frame.lane != self.lane || frame.sequence < self.next {
            return Ok(());
        }
        if self.next < frame.sequence {
            chunk.lost.push(SequenceRange { first: self.next, last: frame.sequence - 1 });
        }
        self.next = frame.sequence + 1;
        *bytes += frame.payload.len();
        chunk.records.push(record(&frame, segment, at));
        Ok(())
    }

    fn segment_of_next(&self) -> Option<Segment> {
        let index = self.shared.index();
        let holds_next =
            |segment: &&Segment| segment.epoch == self.epoch && self.next <= segment.span(self.lane).last;
        index.segments.iter().find(holds_next).cloned()
    }
}

/// Follows everything.
#[derive(Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
    place: Position,
    window: Option<Window>,
}

impl LogReader {
    /// Begins at `place`, or at the oldest entry behind it that is still there.
    pub const fn new(shared: Arc<Shared>, place: Position) -> Self {
        Self { shared, place, window: None }
    }

    /// Reads on: until there is nothing more, or the entries together reach `bytes_max` or `entries_max`.
    ///
    /// # Errors
    /// The disk's; reading may be tried again.
    pub fn read(&mut self, bytes_max: usize, entries_max: usize) -> io::Result<LogChunk> {
        let mut chunk = LogChunk::default();
        let mut bytes = 0;
        while bytes < bytes_max && chunk.records.len() < entries_max {
            let Some(segment) = self.segment() else { break };
            if !open_window(&mut self.window, &self.shared, segment.number)? {
                continue;
            }
            let Some(window) = self.window.as_mut() else { break };
            let at = self.place;
            if let Some(frame) = window.frame(at.offset, segment.length)? {
                self.place.offset += frame.size as u64;
                bytes += frame.payload.len();
                chunk.records.push(record(&frame, &segment, at));
                continue;
            }
            self.shared.note_damage(at);
            let found = window.search(next_candidate(at.offset), segment.length, |_| true)?;
            self.place.offset = found.unwrap_or(segment.length);
            chunk.damaged_bytes += self.place.offset - at.offset;
        }
        chunk.next = self.place;
        Ok(chunk)
    }

    /// The segment that holds the next entry; moves over to it if the current one is used up.
    fn segment(&mut self) -> Option<Segment> {
        let index = self.shared.index();
        let segment = index.segments.iter().find(|segment| {
            self.place.segment < segment.number && HEADER_BYTES < segment.length
                || self.place.segment == segment.number
                    && self.place.offset.max(HEADER_BYTES) < segment.length
        })?;
        if self.place.segment != segment.number {
            self.place = Position { segment: segment.number, offset: HEADER_BYTES };
        }
        self.place.offset = self.place.offset.max(HEADER_BYTES);
        Some(segment.clone())
    }
}

/// Makes `window` one over the segment; false if the segment has been removed meanwhile.
fn open_window(window: &mut Option<Window>, shared: &Shared, segment: u64) -> io::Result<bool> {
    if window.as_ref().is_some_and(|window| window.segment() == segment) {
        return Ok(true);
    }
    match shared.disk.open(&shared.directory.join(file_name(segment))) {
        Ok(file) => {
            *window = Some(Window::new(file, segment));
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Removed since the index was read, or gone from the disk: if the index still lists it, it is lost.
            let listed = shared.index().segments.iter().any(|known| known.number == segment);
            if listed { Err(error) } else { Ok(false) }
        }
        Err(error) => Err(error),
    }
}

fn record(frame: &Frame<'_>, segment: &Segment, position: Position) -> Record {
    Record {
        placed: Placed { lane: frame.lane, epoch: segment.epoch, sequence: frame.sequence },
        identity: frame.identity,
        position,
        next: Position { offset: position.offset + frame.size as u64, ..position },
        payload: Bytes::copy_from_slice(frame.payload),
    }
}

/// Opens another process's journal for reading as it stands, without changing anything on disk.
///
/// # Errors
/// The directory or a segment cannot be read.
pub fn open_for_reading(disk: Arc<dyn Disk>, directory: &Path) -> io::Result<Arc<Shared>> {
    let mut numbers: Vec<u64> =
        disk.list(directory)?.iter().filter_map(|name| number_in(name, "segment")).collect();
    numbers.sort_unstable();
    let mut found: Vec<(Header, Segment)> = Vec::new();
    for number in numbers {
        let Ok(file) = disk.open(&directory.join(file_name(number))) else { continue };
        let Some(header) = super::opening::read_header(file.as_ref())? else { continue };
        let length = file.length()?;
        if let Some((_, before)) =
            found.last_mut().filter(|(before, _)| before.number == header.previous.segment)
        {
            before.length = before.length.min(header.previous.offset);
        }
        let mut segment = Segment::new(&header);
        segment.length = length;
        found.push((header, segment));
    }
    let last = found.len().saturating_sub(1);
    let mut segments = VecDeque::with_capacity(found.len());
    for (place, (_, mut segment)) in found.into_iter().enumerate() {
        let file = disk.open(&directory.join(file_name(segment.number)))?;
        let found = scan(&mut Window::new(file, segment.number), segment.length, place != last)?;
        (segment.length, segment.spans) = (found.end, found.spans);
        segments.push_back(segment);
    }
    let index = Index { segments, ..Index::default() };
    Ok(Arc::new(Shared::new(disk, directory.to_owned(), index)))
}
