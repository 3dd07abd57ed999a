//! Opening a log after whatever happened: reading segments and indexes, telling torn tails from damage, setting
//! aside what cannot be read.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
};

use crate::{
    domain::ids::Epoch,
    sys::disk::{Disk, DiskFile, read_up_to},
};

use super::{
    cursors::Cursors,
    index,
    scan::{Scan, scan},
    seen::{Seen, Table},
    segment::{HEADER_BYTES, HEADER_PAGE, Header, Segment, file_name, index_name, number_in},
    window::Window,
};

/// What was found when the log was opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovery {
    /// The epoch that appends go to from here on.
    pub epoch: Epoch,
    /// Whether the log had been closed in good order; a new log counts as such.
    pub clean: bool,
    /// Whether there was a log at all.
    pub existed: bool,
    /// Whether entries that nobody had been told of were cut off.
    pub torn: bool,
    /// Synchronised bytes that are no longer intact.
    pub damaged_bytes: u64,
    /// What an operator should read.
    pub notes: Vec<String>,
}

/// Reads a segment's header; none if there is no valid one.
pub(super) fn read_header(file: &dyn DiskFile) -> io::Result<Option<Header>> {
    let mut page = vec![0; HEADER_PAGE];
    let filled = read_up_to(file, &mut page, 0)?;
    Ok(Header::decode(page.get(..filled).unwrap_or_default()))
}

/// The state of opening a log.
pub(super) struct Opening<'a> {
    disk: &'a dyn Disk,
    directory: &'a Path,
    salvage: bool,
    pub(super) recovery: Recovery,
    pub(super) segments: VecDeque<Segment>,
    pub(super) seen: Seen,
    tables: BTreeMap<u64, Table>,
    pub(super) highest: u64,
    pub(super) last_header: Option<Header>,
}

impl<'a> Opening<'a> {
    pub(super) fn new(disk: &'a dyn Disk, directory: &'a Path, salvage: bool) -> Self {
        let recovery = Recovery { clean: true, ..Recovery::default() };
        Self {
            disk,
            directory,
            salvage,
            recovery,
            segments: VecDeque::new(),
            seen: Seen::default(),
            tables: BTreeMap::new(),
            highest: 0,
            last_header: None,
        }
    }

    pub(super) fn read_segments(&mut self) -> io::Result<()> {
        let names = self.disk.list(self.directory)?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_in(name, "segment")).collect();
        let others = names.iter().filter_map(|name| number_in(name, "index").or(number_in(name, "damaged")));
        self.highest = numbers.iter().copied().chain(others).max().unwrap_or(0);
        numbers.sort_unstable();
        self.recovery.existed = !numbers.is_empty();
        let mut headers = Vec::with_capacity(numbers.len());
        for number in numbers {
            headers.extend(self.read_header(number)?);
        }
        // How far each segment is valid, by the word of those made after it. More than one may speak of
        // the same: an attempt that failed may have left an empty segment behind.
        let mut limits: BTreeMap<u64, u64> = BTreeMap::new();
        for header in &headers {
            let limit = limits.entry(header.previous.segment).or_default();
            *limit = header.previous.offset.max(*limit);
        }
        for (place, header) in headers.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|before| headers.get(before));
            if before.is_some_and(|before| header.previous.segment < before.number)
                && !headers.iter().any(|known| known.number == header.previous.segment)
            {
                self.note_damage(0, format!("segment {} is missing", header.previous.segment));
            }
            let newest = place + 1 == headers.len();
            let read = self.read_segment(header, limits.get(&header.number).copied(), newest);
            self.set_aside_on_error(header.number, read)?;
        }
        self.last_header = headers.last().copied();
        Ok(())
    }

    fn read_header(&mut self, number: u64) -> io::Result<Option<Header>> {
        let path = self.directory.join(file_name(number));
        let read = self.disk.open(&path).and_then(|file| {
            let header = read_header(file.as_ref())?;
            if header.is_some() {
                return Ok((header, 0));
            }
            let length = file.length()?;
            let first = Window::new(file, number).search(HEADER_BYTES, length, |_| true)?;
            Ok((None, first.map_or(0, |_| length)))
        });
        match self.set_aside_on_error(number, read)? {
            Some((Some(header), _)) if header.number == number => Ok(Some(header)),
            Some((None, 0)) => {
                // It was being made when the power went; nothing can have been in it.
                self.disk.remove(&path)?;
                self.recovery.clean = false;
                Ok(None)
            }
            Some((_, bytes)) => {
                self.set_aside(number, &format!("segment {number} has lost its header"))?;
                self.recovery.damaged_bytes += bytes;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn read_segment(&mut self, header: &Header, limit: Option<u64>, newest: bool) -> io::Result<()> {
        let file = self.disk.open(&self.directory.join(file_name(header.number)))?;
        let length = file.length()?;
        let indexed = index::read(self.disk, self.directory, header.number);
        if let Some((segment, table)) = indexed {
            let whole = limit.map_or(segment.length == length, |limit| segment.length == limit);
            if whole && segment.length <= length && segment.epoch == header.epoch {
                self.tables.insert(header.number, table);
                self.segments.push_back(segment);
                return Ok(());
            }
        }
        let sealed = limit.is_some();
        let found = scan(&mut Window::new(file, header.number), limit.unwrap_or(length), sealed)?;
        if newest {
            self.recovery.clean = false;
            self.recovery.torn = found.torn;
        }
        let damaged: u64 = found.holes.iter().map(|(from, to)| to - from).sum();
        if 0 < damaged {
            self.note_damage(damaged, format!("segment {}: {damaged} bytes are damaged", header.number));
        }
        self.index_anew(header, &found);
        Ok(())
    }

    fn index_anew(&mut self, header: &Header, found: &Scan) {
        let mut segment = Segment::new(header);
        (segment.length, segment.spans) = (found.end, found.spans);
        let mut identities = Seen::default();
        for identity in &found.identities {
            identities.insert(identity);
        }
        match index::write(self.disk, self.directory, &segment, &identities.rows()) {
            Ok(table) => drop(self.tables.insert(header.number, table)),
            // Known all the same, until the next start tries again.
            Err(_) => found.identities.iter().for_each(|identity| self.seen.insert(identity)),
        }
        self.segments.push_back(segment);
    }

    pub(super) fn read_tables(&mut self) {
        let names = self.disk.list(self.directory).unwrap_or_default();
        for number in names.iter().filter_map(|name| number_in(name, "index")) {
            if self.tables.contains_key(&number) {
                continue;
            }
            match index::read(self.disk, self.directory, number) {
                Some((_, table)) => drop(self.tables.insert(number, table)),
                None => drop(self.disk.remove(&self.directory.join(index_name(number)))),
            }
        }
        for table in std::mem::take(&mut self.tables).into_values() {
            self.seen.add_table(table);
        }
    }

    pub(super) fn read_cursors(&mut self) -> Cursors {
        match Cursors::load(self.disk, self.directory) {
            Ok(cursors) => cursors.unwrap_or_default(),
            Err(error) => {
                let note = format!("the cursors cannot be read ({error}): what the log holds is sent again");
                self.recovery.notes.push(note);
                Cursors::default()
            }
        }
    }

    fn note_damage(&mut self, bytes: u64, note: String) {
        self.recovery.damaged_bytes += bytes.max(1);
        self.recovery.notes.push(note);
    }

    /// An unreadable segment stops the opening, because it may be readable at the next attempt; once the
    /// caller has given that up it is set aside.
    fn set_aside_on_error<T>(&mut self, number: u64, read: io::Result<T>) -> io::Result<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.salvage => {
                self.set_aside(number, &format!("segment {number} cannot be read ({error})"))?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn set_aside(&mut self, number: u64, why: &str) -> io::Result<()> {
        let (from, to) = (file_name(number), format!("{number:016x}.damaged"));
        self.disk.rename(&self.directory.join(&from), &self.directory.join(&to))?;
        self.note_damage(1, format!("{why}: set aside as {to}"));
        Ok(())
    }
}
