//! The writer's side of the trail: groups of lines made durable together, checkpoints, segments, and the space they need.

use std::{io, path::PathBuf, sync::Arc};

use tokio::time::Instant;

use crate::{
    access::audit::{Checkpoint, Line, Moment, Record, Signer, Standing, Tree, record::genesis},
    sys::{
        counter::Counted,
        disk::{Disk, DiskFile, is_full, replace_file, write_all_at},
        entropy,
    },
};

use super::{
    Parts, Written,
    opening::{Acknowledged, Opening},
    segment::{HEADER_BYTES, Header, Rows, checkpoint_frame, file_name, index_name, line_frame},
    shared::{Segment, Shared, Signed},
};

const BALLAST: &str = "ballast";

/// How the trail uses the disk.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A segment's size in bytes, reserved when it is made.
    pub segment_bytes: u64,
    /// Set aside in bytes, and given back a segment at a time when the disk is full: so much can be audited still.
    pub ballast_bytes: u64,
    /// Free space in bytes below which operators are warned, and no ballast is laid.
    pub floor_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, ballast_bytes: 32 << 20, floor_bytes: 64 << 20 }
    }
}

/// The trail's room on the disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Room {
    /// Bytes that can be written whatever else fills the disk.
    pub reserved_bytes: u64,
    /// Whether the reserve is being used up, or the disk is nearly full.
    pub is_short: bool,
}

/// The open trail. After an error it must be dropped and opened again: nobody knows what the file holds then.
#[derive(Debug)]
pub(super) struct Log {
    shared: Arc<Shared>,
    signer: Arc<dyn Signer>,
    parts: Arc<Parts>,
    active: Active,
    start: u64,
    began: Instant,
    /// What damage or a turned-back disk alone explains, found when it was opened.
    pub(super) damage: Vec<String>,
    /// What a crash explains.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
struct Active {
    file: Box<dyn DiskFile>,
    number: u64,
    allocated: u64,
    length: u64,
}

impl Log {
    /// Opens the trail, or begins it; `acknowledged` is what must be there, if this program has written before.
    ///
    /// # Errors
    /// The disk's. Nothing may be disclosed until it succeeds.
    pub(super) fn open(
        parts: &Arc<Parts>,
        shared: &Arc<Shared>,
        acknowledged: Option<Acknowledged>,
    ) -> io::Result<Self> {
        let (disk, directory) = (parts.disk.as_ref(), parts.directory.clone());
        disk.create_directory(&directory)?;
        let signer = (parts.signer)()?;
        let counted = parts.counter.read()?;
        let (key, verify, hub) = (signer.key(), parts.verify, &parts.hub);
        let opening = Opening { disk, directory, hub, key, verify, acknowledged };
        let found = opening.read(counted)?;
        let (before, highest) = (found.index.standing, found.highest);
        let counter = match counted {
            Counted::Number(number) => number,
            Counted::Missing | Counted::Foreign => 0,
        };
        // A start that ended before the counter was set has written no line: its number is used again.
        let is_unfinished = before.counter == counter + 1 && found.damage.is_empty();
        let start = if is_unfinished { before.counter } else { before.counter.max(counter) + 1 };
        let mut index = found.index;
        let previous = index.segments.back().cloned();
        if before.incarnation == 0 || !found.damage.is_empty() {
            let incarnation = start.max(before.incarnation + 1);
            index.standing = Standing { incarnation, counter: start, size: 0 };
            index.last = genesis(&parts.hub, incarnation);
            index.tree = Tree::default();
            index.newest = None;
        }
        index.standing.counter = start;
        *shared.index_mut() = index;
        let (parts, shared) = (Arc::clone(parts), Arc::clone(shared));
        let active = make_first_segment(&parts, &shared, (highest + 1, start), previous.as_ref())?;
        let log = Self {
            shared,
            signer,
            parts,
            active,
            start,
            began: Instant::now(),
            damage: found.damage,
            notes: found.notes,
        };
        log.parts.counter.set(start)?;
        log.seal_earlier();
        log.keep_ballast();
        Ok(log)
    }

    /// What is durable.
    pub(super) fn acknowledged(&self) -> Acknowledged {
        let standing = self.shared.index().standing;
        Acknowledged { standing, segment: self.active.number, length: self.active.length }
    }

    /// Makes lines durable together, in order.
    ///
    /// # Errors
    /// The disk's: none of them counts.
    pub(super) fn commit(&mut self, lines: Vec<Line>) -> io::Result<Vec<Written>> {
        let (standing, mut last) = {
            let index = self.shared.index();
            (index.standing, index.last)
        };
        let moment = self.moment();
        let mut frames = Vec::with_capacity(lines.len());
        for (mut line, number) in lines.into_iter().zip(standing.size + 1..) {
            if line.organisation.is_empty() {
                line.organisation.clone_from(&self.parts.organisation);
            }
            let salt = entropy::secret()?.first_chunk().copied().unwrap_or_default();
            let record = Record::seal(line, number, standing.size, moment, last, salt);
            let hash = record.seal.hash();
            frames.push((line_frame(&record, &hash), record, hash));
            last = hash;
        }
        let bytes: usize = frames.iter().map(|(frame, ..)| frame.len()).sum();
        self.make_room(bytes as u64)?;
        let mut written = Vec::with_capacity(frames.len());
        let mut rows = Rows::default();
        let mut group = Vec::with_capacity(bytes);
        for (frame, record, hash) in frames {
            let offset = self.active.length + group.len() as u64;
            rows.push(u32::try_from(offset).map_err(io::Error::other)?, &record.line, hash);
            group.extend_from_slice(&frame);
            written.push(Written { incarnation: standing.incarnation, number: record.seal.number, hash });
        }
        self.append(&group)?;
        self.publish(&rows);
        Ok(written)
    }

    /// Signs what is there, and makes that durable.
    ///
    /// # Errors
    /// The key's or the disk's.
    pub(super) fn checkpoint(&mut self) -> io::Result<Signed> {
        let moment = self.moment();
        let checkpoint = {
            let index = self.shared.index();
            Checkpoint {
                hub: self.shared.hub.clone(),
                incarnation: index.standing.incarnation,
                size: index.standing.size,
                root: index.tree.root(),
                counter: self.start,
                time: moment.wall,
                clock: moment.clock,
            }
        };
        let note = checkpoint.sign(self.signer.as_ref()).map_err(io::Error::other)?;
        let frame = checkpoint_frame(&note);
        self.make_room(frame.len() as u64)?;
        self.append(&frame)?;
        let signed = Signed { checkpoint, note };
        let mut index = self.shared.index_mut();
        if let Some(segment) = index.segments.back_mut() {
            segment.length = self.active.length;
        }
        index.newest = Some(signed.clone());
        Ok(signed)
    }

    /// Lines that no checkpoint has signed yet.
    pub(super) fn unsigned(&self) -> u64 {
        let index = self.shared.index();
        index.standing.size - index.newest.as_ref().map_or(0, |newest| newest.checkpoint.size)
    }

    /// How much room there is; lays the ballast again where there is enough.
    pub(super) fn room(&self) -> Room {
        let ballast = self.keep_ballast();
        let options = &self.parts.options;
        let available = self.parts.disk.available_bytes(&self.parts.directory).unwrap_or(0);
        let is_short = ballast < options.ballast_bytes || available < options.floor_bytes;
        Room { reserved_bytes: ballast + self.active.allocated - self.active.length, is_short }
    }

    /// Ends in good order.
    pub(super) fn close(self) {
        let newest = self.shared.index().segments.back().cloned();
        drop(self.active);
        if let Some(segment) = newest {
            seal(&self.shared, &segment);
        }
    }

    fn moment(&self) -> Moment {
        let clock = &self.parts.clock;
        let elapsed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment { start: self.start, elapsed_ms, wall: clock.now(), clock: clock.quality() }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all_at(self.active.file.as_ref(), bytes, self.active.length)?;
        self.active.file.sync_data()?;
        self.active.length += bytes.len() as u64;
        Ok(())
    }

    /// Durable lines become visible.
    fn publish(&self, rows: &Rows) {
        let mut index = self.shared.index_mut();
        rows.hashes.iter().for_each(|hash| index.tree.push(*hash));
        index.standing.size += rows.len() as u64;
        index.last = rows.hashes.last().copied().unwrap_or(index.last);
        if let Some(segment) = index.segments.back_mut() {
            // Copied only while somebody reads them.
            let shown = Arc::make_mut(segment.rows.get_or_insert_default());
            shown.extend(rows);
            segment.count = shown.len();
            segment.length = self.active.length;
        }
    }

    /// Goes on in a new segment if so many bytes do not fit.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        if self.active.length + bytes <= self.active.allocated {
            return Ok(());
        }
        let previous = self.shared.index().segments.back().cloned();
        let made =
            make_segment(&self.parts, &self.shared, (self.active.number + 1, self.start), previous.as_ref())?;
        self.active = made;
        if let Some(previous) = previous {
            seal(&self.shared, &previous);
        }
        Ok(())
    }

    /// Gives the segments of earlier starts their indexes, and their unused blocks back.
    fn seal_earlier(&self) {
        let newest = self.active.number;
        let unsealed: Vec<Segment> = {
            let index = self.shared.index();
            index.segments.iter().filter(|s| s.rows.is_some() && s.number != newest).cloned().collect()
        };
        unsealed.iter().for_each(|segment| seal(&self.shared, segment));
    }

    /// Lays the ballast where there is room for it; returns its bytes.
    fn keep_ballast(&self) -> u64 {
        let (disk, wanted) = (self.parts.disk.as_ref(), self.parts.options.ballast_bytes);
        let path = self.parts.directory.join(BALLAST);
        let laid = disk.open(&path).and_then(|file| file.length()).unwrap_or(0);
        let available = disk.available_bytes(&self.parts.directory).unwrap_or(0);
        if laid == wanted || available < wanted + self.parts.options.floor_bytes {
            return laid;
        }
        // None there is no error: the next line makes it.
        drop(disk.remove(&path));
        let made = disk.create(&path).and_then(|file| {
            file.allocate(wanted)?;
            file.sync_all()
        });
        if made.is_ok() {
            return wanted;
        }
        drop(disk.remove(&path));
        0
    }
}

/// The first segment of a start, with whatever may be free for it on a full disk.
fn make_first_segment(
    parts: &Parts,
    shared: &Shared,
    numbers: (u64, u64),
    previous: Option<&Segment>,
) -> io::Result<Active> {
    if let Some(previous) = previous {
        // What was reserved and never written; and what a crash tore, which is kept aside.
        let path = parts.directory.join(file_name(previous.number));
        if previous.length < parts.disk.open(&path)?.length()? {
            parts.disk.trim(&path, previous.length)?;
        }
    }
    make_segment(parts, shared, numbers, previous)
}

/// Makes a segment of this number, in this start, durable, header and name, before anything goes into it. On a full
/// disk the ballast gives way.
fn make_segment(
    parts: &Parts,
    shared: &Shared,
    (number, start): (u64, u64),
    previous: Option<&Segment>,
) -> io::Result<Active> {
    let header = {
        let index = shared.index();
        Header {
            number,
            incarnation: index.standing.incarnation,
            start,
            before: index.standing.size,
            previous_length: previous.map_or(0, |segment| segment.length),
            last: index.last,
            root: index.tree.root(),
        }
    };
    let mut made = try_segment(parts, &header);
    while made.as_ref().is_err_and(is_full) && shrink_ballast(parts)? {
        made = try_segment(parts, &header);
    }
    let file = made?;
    let (length, allocated) = (HEADER_BYTES as u64, parts.options.segment_bytes);
    shared.index_mut().segments.push_back(Segment {
        number: header.number,
        incarnation: header.incarnation,
        before: header.before,
        count: 0,
        length,
        rows: Some(Arc::default()),
    });
    Ok(Active { file, number: header.number, allocated, length })
}

fn try_segment(parts: &Parts, header: &Header) -> io::Result<Box<dyn DiskFile>> {
    let path = parts.directory.join(file_name(header.number));
    let made = parts.disk.create(&path).and_then(|file| {
        file.allocate(parts.options.segment_bytes)?;
        write_all_at(file.as_ref(), &header.encode(), 0)?;
        file.sync_all()?;
        parts.disk.sync_directory(&parts.directory)?;
        Ok(file)
    });
    if made.is_err() {
        // If it stays behind it has no whole header, or no lines: the next opening deals with it.
        drop(parts.disk.remove(&path));
    }
    made
}

/// Gives one segment's worth of the ballast back; false if there is none left.
fn shrink_ballast(parts: &Parts) -> io::Result<bool> {
    let path: PathBuf = parts.directory.join(BALLAST);
    let Ok(laid) = parts.disk.open(&path).and_then(|file| file.length()) else { return Ok(false) };
    let left = laid.saturating_sub(parts.options.segment_bytes);
    if left == 0 {
        parts.disk.remove(&path)?;
    } else {
        parts.disk.trim(&path, left)?;
    }
    tracing::warn!(left_bytes = left, "the disk is full: the audit trail uses its reserve");
    Ok(true)
}

/// Gives a segment that will not grow its index, and its unused blocks back. Both save time and space only: a failure
/// makes the next start slower.
fn seal(shared: &Shared, segment: &Segment) {
    let Some(rows) = &segment.rows else { return };
    let (disk, directory): (&dyn Disk, _) = (shared.disk.as_ref(), &shared.directory);
    if let Err(error) = disk.trim(&directory.join(file_name(segment.number)), segment.length) {
        tracing::debug!(%error, "a segment of the audit trail cannot be trimmed");
    }
    let index = rows.encode(segment.number, segment.length);
    match replace_file(disk, &directory.join(index_name(segment.number)), &index) {
        Ok(()) => {
            let mut index = shared.index_mut();
            let sealed = index.segments.iter_mut().rev().find(|known| known.number == segment.number);
            if let Some(sealed) = sealed {
                sealed.rows = None;
            }
        }
        Err(error) => tracing::warn!(%error, "an index of the audit trail cannot be written"),
    }
}
