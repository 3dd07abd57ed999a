//! The log itself: opening and recovering, committing groups, changing segments, freeing space.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    domain::{
        ids::{Epoch, Sequence},
        time::Timestamp,
    },
    sys::{
        disk::{Disk, DiskFile, is_full, write_all_at},
        entropy::Entropy,
    },
};

use super::{
    Append, Identity, Lane, PAYLOAD_BYTES_MAX, Placed, Position, Shared, Verdict, frame, index,
    opening::{Opening, Recovery},
    quota,
    scan::scan,
    seen::{Known, Seen},
    segment::{HEADER_BYTES, Header, Segment, file_name},
    shared::Index,
    window::Window,
};

/// How the log uses the disk.
#[derive(Clone, Debug)]
pub struct Options {
    /// A segment's size, reserved when it is made; one larger message gets a larger segment.
    pub segment_bytes: u64,
    /// What all segments together may take.
    pub capacity_bytes: u64,
    /// Released segments are kept up to this much, so that views can be rebuilt from them.
    pub retain_bytes: u64,
    /// Free space of the file system that the log leaves to everyone else.
    pub floor_bytes: u64,
    /// Space set aside at the start, given back when the disk is full so that the hub can still work.
    pub ballast_bytes: u64,
    /// Who must have seen an entry before its segment may go.
    pub consumers: Vec<String>,
    /// Go on without segments that cannot be read, after setting them aside, instead of refusing to open.
    pub salvage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            capacity_bytes: 8 << 30,
            retain_bytes: 1 << 30,
            floor_bytes: 128 << 20,
            ballast_bytes: 64 << 20,
            consumers: Vec::new(),
            salvage: false,
        }
    }
}

/// How long to wait before trying again to make a segment.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often cursors are stored at most; losing the newest costs a repetition that has no effect.
const CURSORS_EVERY: Duration = Duration::from_secs(5);
const BALLAST: &str = "ballast";

/// The durable log. Not shared: one owner calls it, readers use [`Shared`].
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    options: Options,
    active: Option<Active>,
    seen: Seen,
    next: [Sequence; Lane::COUNT],
    epoch: Epoch,
    number: u64,
    usage: Usage,
    entropy: Entropy,
    now: Timestamp,
    retry_at: Timestamp,
    cursors_stored: Timestamp,
    cursors_dirty: bool,
    out_of_space: bool,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Active {
    number: u64,
    file: Box<dyn DiskFile>,
    allocated: u64,
    length: u64,
}

/// What the segments take, kept beside the index so that admission is arithmetic.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    lanes: [u64; Lane::COUNT],
    total: u64,
    capacity: u64,
}

/// Entries encoded and not yet synchronised.
#[derive(Debug, Default)]
struct Group {
    bytes: Vec<u8>,
    staged: Vec<Staged>,
    first_verdict: usize,
}

#[derive(Debug)]
struct Staged {
    verdict: usize,
    placed: Placed,
    bytes: u64,
    identity: Option<Identity>,
}

impl Log {
    /// Opens the log in `directory`, or makes it.
    ///
    /// A log whose newest segment cannot be made (a full disk) opens all the same: it gives out what it
    /// holds and refuses appends until there is room.
    ///
    /// # Errors
    /// The directory or a segment cannot be read; with [`Options::salvage`] only the directory.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: Options,
        now: Timestamp,
        entropy: Entropy,
    ) -> io::Result<(Self, Recovery)> {
        disk.create_directory(directory)?;
        let mut opening = Opening::new(disk.as_ref(), directory, options.salvage);
        opening.read_segments()?;
        opening.read_tables();
        let cursors = opening.read_cursors();
        let Opening { mut recovery, segments, seen, highest, last_header, .. } = opening;
        let index = Index { segments, cursors, ..Index::default() };
        let shared = Arc::new(Shared::new(Arc::clone(&disk), directory.to_owned(), index));
        let mut log = Self {
            shared,
            options,
            active: None,
            seen,
            next: [1; Lane::COUNT],
            epoch: Epoch::default(),
            number: highest,
            usage: Usage::default(),
            entropy,
            now,
            retry_at: now,
            cursors_stored: now,
            cursors_dirty: false,
            out_of_space: false,
            buffer: Vec::new(),
        };
        // A new one at every start, even after a good end: whoever restored this folder from a copy would otherwise
        // give numbers that the centre knows to other entries.
        log.epoch = last_header.map(|header| header.epoch).unwrap_or_default();
        log.begin_epoch();
        log.recount();
        log.refresh_space();
        log.keep_ballast();
        if let Err(error) = log.start_segment(0) {
            recovery.notes.push(format!("no new segment can be made ({error}): appends are refused for now"));
            log.stop_accepting(&error);
        }
        recovery.epoch = log.epoch;
        log.shared.index_mut().status.damaged_bytes = recovery.damaged_bytes;
        Ok((log, recovery))
    }

    /// What readers see.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Appends entries and makes them durable together; one verdict each, in the same order.
    pub fn commit(&mut self, entries: &[Append], now: Timestamp) -> Vec<Verdict> {
        self.now = now;
        let mut verdicts = Vec::with_capacity(entries.len());
        let mut group = Group { bytes: std::mem::take(&mut self.buffer), ..Group::default() };
        for entry in entries {
            let verdict = self.stage(entry, &mut group, &mut verdicts);
            if verdict == Verdict::Full {
                self.shared.index_mut().status.refused_full += 1;
            }
            verdicts.push(verdict);
        }
        self.flush(&mut group, &mut verdicts);
        group.bytes.shrink_to(1 << 20);
        self.buffer = group.bytes;
        verdicts
    }

    /// Everything of a lane's epoch through a sequence is durable elsewhere.
    pub fn release(&mut self, epoch: Epoch, lane: Lane, through: Sequence) {
        let mut index = self.shared.index_mut();
        let last = index.segments.iter().filter(|s| s.epoch == epoch).map(|s| s.span(lane).last).max();
        let through = through.min(last.unwrap_or(0));
        if index.released(epoch, lane) < through {
            index.cursors.released.insert((epoch, lane.0), through);
            self.cursors_dirty = true;
        }
    }

    /// A consumer needs nothing before `position` any more.
    pub fn advance(&mut self, consumer: &str, position: Position) {
        let mut index = self.shared.index_mut();
        if index.cursors.consumers.get(consumer).is_none_or(|before| *before != position) {
            index.cursors.consumers.insert(consumer.to_owned(), position);
            self.cursors_dirty = true;
        }
    }

    /// Looks after the disk: free space, ballast, cursors, segments that may go, a segment that is missing.
    pub fn maintain(&mut self, now: Timestamp) {
        self.now = now;
        self.refresh_space();
        if self.cursors_dirty && CURSORS_EVERY <= now.since(self.cursors_stored) {
            // A failure is tried again with the next call; nothing depends on it but repetitions.
            drop(self.store_cursors());
        }
        self.collect(false);
        if self.active.is_none() {
            self.reopen(0);
        }
        self.keep_ballast();
    }

    /// Ends in good order: the next opening needs no recovery and goes on in the same epoch.
    pub fn close(mut self) {
        drop(self.store_cursors());
        if self.active.take().is_some() {
            let newest = self.shared.index().segments.back().cloned();
            if let Some(segment) = newest {
                self.seal(&segment);
            }
        }
    }

    fn stage(&mut self, entry: &Append, group: &mut Group, verdicts: &mut [Verdict]) -> Verdict {
        if entry.payload.is_empty() || PAYLOAD_BYTES_MAX < entry.payload.len() {
            return Verdict::WrongSize;
        }
        let known =
            entry.identity.as_ref().map(|identity| self.seen.find(self.shared.disk.as_ref(), identity));
        match known {
            None | Some(Ok(Known::Not)) => {}
            Some(Ok(Known::Same)) => return Verdict::Duplicate,
            Some(Ok(Known::Other)) => return Verdict::Conflict,
            Some(Err(_)) => return Verdict::Failed,
        }
        let size = frame::size(entry.payload.len(), entry.identity.is_some());
        if self.active.is_none() && !self.reopen(size as u64) {
            return if self.out_of_space { Verdict::Full } else { Verdict::Failed };
        }
        if !self.admits(entry.lane, size as u64) {
            return Verdict::Full;
        }
        if !self.fits(group, size as u64) {
            self.flush(group, verdicts);
            if !self.fits(group, size as u64)
                && let Err(error) = self.roll(size as u64)
            {
                return if is_full(&error) { Verdict::Full } else { Verdict::Failed };
            }
        }
        self.encode(entry, size as u64, group, verdicts.len())
    }

    fn encode(&mut self, entry: &Append, size: u64, group: &mut Group, verdict: usize) -> Verdict {
        let Some(active) = &self.active else { return Verdict::Failed };
        let lane = entry.lane.index();
        let placed = Placed { lane: entry.lane, epoch: self.epoch, sequence: self.next[lane] };
        let group_start = u32::try_from(active.length).unwrap_or(u32::MAX);
        let place = (entry.lane, placed.sequence);
        frame::encode(
            &mut group.bytes,
            active.number,
            group_start,
            place,
            entry.identity.as_ref(),
            &entry.payload,
        );
        self.next[lane] += 1;
        self.usage.lanes[lane] += size;
        self.usage.total += size;
        if let Some(identity) = &entry.identity {
            self.seen.insert(identity);
        }
        group.staged.push(Staged { verdict, placed, bytes: size, identity: entry.identity });
        Verdict::Committed(placed)
    }

    /// Writes and synchronises the group. If that fails, none of it counts, and the file is given up.
    fn flush(&mut self, group: &mut Group, verdicts: &mut [Verdict]) {
        if let (Some(active), false) = (&mut self.active, group.staged.is_empty()) {
            let written = write_all_at(active.file.as_ref(), &group.bytes, active.length)
                .and_then(|()| active.file.sync_data());
            match written {
                Ok(()) => {
                    active.length += group.bytes.len() as u64;
                    self.publish(group);
                }
                Err(error) => self.give_up(group, verdicts, &error),
            }
        }
        group.bytes.clear();
        group.staged.clear();
        group.first_verdict = verdicts.len();
    }

    fn publish(&self, group: &Group) {
        let mut index = self.shared.index_mut();
        if let Some(segment) = index.segments.back_mut() {
            for staged in &group.staged {
                segment.spans[staged.placed.lane.index()].add(staged.placed.sequence, staged.bytes);
            }
            segment.length += group.bytes.len() as u64;
        }
        index.status.commits += 1;
        index.status.appended_entries += group.staged.len() as u64;
        index.status.appended_bytes += group.bytes.len() as u64;
        drop(index);
        self.shared.commits.send_modify(|count| *count += 1);
    }

    /// After a failed write or synchronisation nobody knows what the file holds behind its last good commit,
    /// and the kernel may have dropped the pages: never try again on it. Read back what was acknowledged,
    /// leave the rest behind, and go on in another file under another epoch.
    fn give_up(&mut self, group: &Group, verdicts: &mut [Verdict], error: &io::Error) {
        for staged in &group.staged {
            if let Some(verdict) = verdicts.get_mut(staged.verdict) {
                *verdict = Verdict::Failed;
            }
            if let Some(identity) = &staged.identity {
                self.seen.remove(identity);
            }
        }
        // A repetition within this group was judged by what has now failed.
        for verdict in verdicts.iter_mut().skip(group.first_verdict) {
            if matches!(verdict, Verdict::Conflict | Verdict::Duplicate) {
                *verdict = Verdict::Failed;
            }
        }
        self.active = None;
        let damaged = self.verify_newest();
        self.recount();
        {
            let status = &mut self.shared.index_mut().status;
            status.failed_commits += 1;
            status.damaged_bytes += damaged;
        }
        self.begin_epoch();
        self.stop_accepting(error);
        self.retry_at = self.now;
        self.reopen(0);
    }

    /// How many acknowledged bytes of the newest segment are not intact.
    fn verify_newest(&self) -> u64 {
        let Some(segment) = self.shared.index().segments.back().cloned() else { return 0 };
        let path = self.path(&file_name(segment.number));
        let reread = self
            .shared
            .disk
            .open(&path)
            .and_then(|file| scan(&mut Window::new(file, segment.number), segment.length, true));
        reread.map_or(0, |found| found.holes.iter().map(|(from, to)| to - from).sum())
    }

    fn fits(&self, group: &Group, size: u64) -> bool {
        let used = |active: &Active| active.length + group.bytes.len() as u64 + size;
        self.active.as_ref().is_some_and(|active| used(active) <= active.allocated)
    }

    fn admits(&mut self, lane: Lane, size: u64) -> bool {
        let admitted = |usage: &Usage| quota::admits(lane, size, &usage.lanes, usage.total, usage.capacity);
        admitted(&self.usage) || {
            self.collect(true);
            admitted(&self.usage)
        }
    }

    /// Goes on in a new segment of the same epoch.
    fn roll(&mut self, size: u64) -> io::Result<()> {
        self.start_segment(size)
    }

    /// Tries to make a segment where there is none, not more often than [`RETRY_AFTER`].
    fn reopen(&mut self, size: u64) -> bool {
        if self.now < self.retry_at {
            return false;
        }
        match self.start_segment(size) {
            Ok(()) => true,
            Err(error) => {
                self.retry_at = self.now.plus(RETRY_AFTER);
                self.stop_accepting(&error);
                false
            }
        }
    }

    /// Makes the next segment durable, header and name, before anything goes into it; then seals the one
    /// before. On a full disk what may go goes, the ballast last.
    fn start_segment(&mut self, size: u64) -> io::Result<()> {
        let mut made = self.make_segment(size);
        if made.as_ref().is_err_and(is_full) {
            self.collect(true);
            self.drop_ballast();
            made = self.make_segment(size);
        }
        let (active, header) = made?;
        let mut index = self.shared.index_mut();
        let before = index.segments.back().cloned();
        index.segments.push_back(Segment::new(&header));
        index.status.accepting = true;
        index.status.epoch = self.epoch.0;
        drop(index);
        self.usage.total += HEADER_BYTES;
        self.active = Some(active);
        if let Some(before) = before {
            self.seal(&before);
        }
        Ok(())
    }

    fn make_segment(&mut self, size: u64) -> io::Result<(Active, Header)> {
        self.number += 1;
        let header = Header {
            number: self.number,
            epoch: self.epoch,
            created: self.now,
            previous: self.shared.end(),
            next_sequences: self.next,
        };
        let path = self.path(&file_name(self.number));
        let allocated = self.options.segment_bytes.max(HEADER_BYTES + size);
        let made = self.shared.disk.create(&path).and_then(|file| {
            file.allocate(allocated)?;
            write_all_at(file.as_ref(), &header.encode(), 0)?;
            file.sync_all()?;
            self.shared.disk.sync_directory(&self.shared.directory)?;
            Ok(Active { number: self.number, file, allocated, length: HEADER_BYTES })
        });
        if made.is_err() {
            // If it stays behind it is empty, and opening the log removes it.
            drop(self.shared.disk.remove(&path));
        }
        Ok((made?, header))
    }

    /// Gives a segment that will not grow its index, and its unused blocks back. Both only save time and
    /// space, so a failure is no more than a slower next start.
    fn seal(&mut self, segment: &Segment) {
        let (disk, directory) = (self.shared.disk.as_ref(), &self.shared.directory);
        drop(disk.trim(&directory.join(file_name(segment.number)), segment.length));
        // The one that opening the log found has its index, and its identities are not among the active ones.
        if self.seen.has_table(segment.number) {
            return;
        }
        if let Ok(table) = index::write(disk, directory, segment, &self.seen.rows()) {
            self.seen.seal(table);
        }
    }

    /// Removes segments from the old end that nobody needs: those beyond what is retained, or all of them
    /// when room is wanted.
    fn collect(&mut self, room_wanted: bool) {
        loop {
            let front = {
                let index = self.shared.index();
                let sealed = usize::from(self.active.is_some()) < index.segments.len();
                let front = index.segments.front().filter(|_| sealed);
                // A consumer that has fallen behind does not get senders refused: what it misses is at the
                // centre, and it is told.
                let consumers = if room_wanted { &[] } else { self.options.consumers.as_slice() };
                front.filter(|segment| index.is_done_with(segment, consumers)).cloned()
            };
            let Some(front) = front else { break };
            if !room_wanted && self.usage.total <= self.options.retain_bytes {
                break;
            }
            // The segment may go only once it is durable that it may.
            if self.cursors_dirty && self.store_cursors().is_err() {
                break;
            }
            match self.shared.disk.remove(&self.path(&file_name(front.number))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => break,
                _ => {}
            }
            let mut index = self.shared.index_mut();
            index.note_overtaken(&front, &self.options.consumers);
            index.segments.pop_front();
            drop(index);
            self.recount();
        }
        self.expire();
    }

    fn expire(&mut self) {
        let oldest = self.shared.index().segments.front().map_or(u64::MAX, |segment| segment.number);
        for table in self.seen.expire(oldest) {
            // An index that stays behind is read at the next start, and expires again.
            drop(self.shared.disk.remove(&table.path));
        }
    }

    fn store_cursors(&mut self) -> io::Result<()> {
        let cursors = {
            let mut index = self.shared.index_mut();
            let oldest = index.segments.front().map(|segment| segment.epoch).unwrap_or_default();
            index.cursors.released.retain(|(epoch, _), _| oldest <= *epoch);
            index.cursors.clone()
        };
        cursors.store(self.shared.disk.as_ref(), &self.shared.directory)?;
        self.cursors_dirty = false;
        self.cursors_stored = self.now;
        Ok(())
    }

    fn recount(&mut self) {
        let index = self.shared.index();
        let mut lanes = [0; Lane::COUNT];
        for lane in Lane::all() {
            lanes[lane.index()] = index.lane_bytes(lane);
        }
        self.usage = Usage { lanes, total: index.used_bytes(), capacity: self.usage.capacity };
    }

    fn refresh_space(&mut self) {
        if let Ok(available) = self.shared.disk.available_bytes(&self.shared.directory) {
            let free = available.saturating_sub(self.options.floor_bytes);
            // What the active segment has reserved is no longer free, but is still to be used.
            let reserved = self.active.as_ref().map_or(0, |active| active.allocated - active.length);
            self.usage.capacity = self.options.capacity_bytes.min(self.usage.total + free + reserved);
            let status = &mut self.shared.index_mut().status;
            status.capacity_bytes = self.usage.capacity;
            status.available_bytes = available;
        }
    }

    fn stop_accepting(&mut self, error: &io::Error) {
        self.out_of_space = is_full(error);
        let status = &mut self.shared.index_mut().status;
        status.accepting = self.active.is_some();
        status.reason =
            if self.out_of_space { "the disk is full".to_owned() } else { format!("disk error: {error}") };
    }

    fn keep_ballast(&self) {
        let (disk, path, bytes) = (&self.shared.disk, self.path(BALLAST), self.options.ballast_bytes);
        let room = self.options.floor_bytes + 2 * bytes;
        let available = self.shared.index().status.available_bytes;
        if bytes == 0 || available < room || disk.open(&path).is_ok() {
            return;
        }
        let made = disk.create(&path).and_then(|file| {
            file.allocate(bytes)?;
            file.sync_all()
        });
        if made.is_err() {
            drop(disk.remove(&path));
        }
    }

    fn drop_ballast(&self) {
        let removed = self.shared.disk.remove(&self.path(BALLAST));
        if removed.is_ok() {
            drop(self.shared.disk.sync_directory(&self.shared.directory));
        }
    }

    /// Seconds since 1970 and twenty random bits, so that a hub that has lost its disk and its clock does
    /// not repeat an epoch; always greater than the one before.
    fn begin_epoch(&mut self) {
        let stamp = (self.now.unix_seconds() & 0x1_ffff_ffff) << 20 | self.entropy.below(1 << 20);
        self.epoch = Epoch(stamp.max(self.epoch.0 + 1));
        self.next = [1; Lane::COUNT];
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shared.directory.join(name)
    }
}
