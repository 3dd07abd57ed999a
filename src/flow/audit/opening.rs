//! Opening the trail: what its files hold, what a crash tore, and what nobody but damage or a turned-back disk explains.

use std::{io, path::PathBuf, sync::Arc};

use crate::{
    access::audit::{Hash, Opened, Standing, Tree, Verify, VerifyingKey, record::genesis},
    domain::ids::HubId,
    sys::{
        counter::Counted,
        disk::{Disk, read_file, read_up_to, replace_file},
    },
};

use super::{
    scan::{Scan, scan},
    segment::{Frame, HEADER_BYTES, Header, Rows, file_name, index_name, number_in, torn_name},
    shared::{Index, Segment, Signed},
};

/// The longest file that is read as a segment or an index, in bytes: several times the largest that is made.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is known to be durable from before a failure in the same program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Acknowledged {
    pub(super) standing: Standing,
    pub(super) segment: u64,
    pub(super) length: u64,
}

/// What opening found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) index: Index,
    /// The highest number that a segment file has.
    pub(super) highest: u64,
    /// What damage or a turned-back disk alone explains, in the newest incarnation.
    pub(super) damage: Vec<String>,
    /// What a crash explains.
    pub(super) notes: Vec<String>,
}

/// Reads the trail's files.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) directory: PathBuf,
    pub(super) hub: &'a HubId,
    pub(super) key: &'a VerifyingKey,
    pub(super) verify: Verify,
    pub(super) acknowledged: Option<Acknowledged>,
}

/// A segment whose header was read.
struct Headed {
    header: Header,
    /// How far the next header says that it is valid; none for the last.
    valid: Option<u64>,
}

impl Opening<'_> {
    /// Reads everything. Memory: one segment at a time, besides the index.
    pub(super) fn read(&self, counted: Counted) -> io::Result<Found> {
        let mut found = Found::default();
        let headed = self.headers(&mut found)?;
        for segment in &headed {
            self.take_header(&segment.header, &mut found);
            self.take_segment(segment, &mut found)?;
        }
        self.find_newest_checkpoint(&mut found)?;
        self.compare_acknowledged(&mut found);
        compare_counter(counted, &mut found);
        Ok(found)
    }

    fn headers(&self, found: &mut Found) -> io::Result<Vec<Headed>> {
        let mut numbers: Vec<u64> =
            self.disk.list(&self.directory)?.iter().filter_map(|name| number_in(name)).collect();
        numbers.sort_unstable();
        let newest = numbers.last().copied();
        found.highest = newest.unwrap_or(0);
        let mut headed: Vec<Headed> = Vec::with_capacity(numbers.len());
        for number in numbers {
            let path = self.directory.join(file_name(number));
            let file = self.disk.open(&path)?;
            let mut page = vec![0; HEADER_BYTES];
            let length = read_up_to(file.as_ref(), &mut page, 0)?;
            page.truncate(length);
            match Header::decode(&page).filter(|header| header.number == number) {
                Some(header) => {
                    if let Some(before) =
                        headed.last_mut().filter(|before| before.header.number + 1 == number)
                    {
                        before.valid = Some(header.previous_length);
                    }
                    headed.push(Headed { header, valid: None });
                }
                // Made and never finished: nothing is written behind a header that is not durable.
                None if Some(number) == newest && self.is_unfinished(number)? => {
                    self.disk.remove(&path)?;
                    found.highest = headed.last().map_or(0, |before| before.header.number);
                    found.notes.push(format!("segment {number} was never finished, and is removed"));
                }
                None => found.damage.push(format!("the head of segment {number} is damaged")),
            }
        }
        Ok(headed)
    }

    fn is_unfinished(&self, number: u64) -> io::Result<bool> {
        let scan = scan(&self.whole(&file_name(number))?);
        Ok(scan.frames.is_empty() && scan.behind.is_empty())
    }

    fn take_header(&self, header: &Header, found: &mut Found) {
        let index = &mut found.index;
        let standing = index.standing;
        let begins = standing.incarnation < header.incarnation;
        if begins {
            // What was wrong before was known when this incarnation began.
            found.damage.clear();
            index.tree = Tree::default();
            index.last = genesis(self.hub, header.incarnation);
            index.newest = None;
            index.standing = Standing { incarnation: header.incarnation, counter: header.start, size: 0 };
        }
        let expected = index.segments.back().map_or(1, |segment| segment.number + 1);
        if header.number != expected && !begins {
            found.damage.push(format!("segments {expected} to {} are missing", header.number - 1));
        }
        let follows = header.incarnation == index.standing.incarnation
            && header.before == index.standing.size
            && header.last == index.last
            && header.root == index.tree.root()
            && standing.counter <= header.start;
        if !follows {
            found.damage.push(format!("segment {} does not go on where the one before ends", header.number));
        }
        index.standing.counter = index.standing.counter.max(header.start);
    }

    /// Takes in a segment's lines: from its index, or else by reading all of it. The newest is always read.
    fn take_segment(&self, headed: &Headed, found: &mut Found) -> io::Result<()> {
        let Header { number, incarnation, before, .. } = headed.header;
        let mut segment = Segment { number, incarnation, before, count: 0, length: 0, rows: None };
        let indexed = headed.valid.and_then(|valid| {
            let bytes =
                read_file(self.disk, &self.directory.join(index_name(number)), FILE_BYTES_MAX).ok()?;
            Rows::decode(&bytes, number, valid).map(|rows| (rows, valid))
        });
        if let Some((rows, valid)) = indexed {
            (segment.count, segment.length) = (rows.len(), valid);
            for hash in &rows.hashes {
                found.index.tree.push(*hash);
            }
            found.index.last = rows.hashes.last().copied().unwrap_or(found.index.last);
            found.index.standing.size += rows.len() as u64;
        } else {
            let (rows, length) = self.take_scanned(headed, found)?;
            (segment.count, segment.length) = (rows.len(), length);
            segment.rows = Some(Arc::new(rows));
        }
        found.index.segments.push_back(segment);
        Ok(())
    }

    fn take_scanned(&self, headed: &Headed, found: &mut Found) -> io::Result<(Rows, u64)> {
        let number = headed.header.number;
        let file = self.disk.open(&self.directory.join(file_name(number)))?;
        // What a killed program wrote may be in memory only.
        file.sync_all()?;
        let mut bytes = self.whole(&file_name(number))?;
        let known = self.acknowledged.filter(|known| known.segment == number).map(|known| known.length);
        let limit = headed.valid.or(known);
        if let Some(limit) = limit {
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        let scan = scan(&bytes);
        let mut rows = Rows::default();
        for (offset, frame) in &scan.frames {
            self.take_frame(number, *offset, frame, &mut rows, found);
        }
        let size = found.index.standing.size;
        let is_cut_short = limit.is_some_and(|limit| (scan.end as u64) < limit);
        if is_cut_short || size < scan.proven() {
            found.damage.push(format!("segment {number} is damaged behind line {size}"));
            take_behind(&scan, headed.header.before, &mut rows);
            return Ok((rows, bytes.len() as u64));
        }
        if scan.end < scan.torn_to {
            let torn = bytes.get(scan.end..scan.torn_to).unwrap_or_default();
            found
                .notes
                .push(format!("{} bytes behind line {size} were no line, and are kept aside", torn.len()));
            if let Err(error) = replace_file(self.disk, &self.directory.join(torn_name(number)), torn) {
                tracing::warn!(%error, "what a crash tore cannot be kept aside");
            }
        }
        Ok((rows, scan.end as u64))
    }

    fn take_frame(&self, number: u64, offset: usize, frame: &Frame, rows: &mut Rows, found: &mut Found) {
        let index = &mut found.index;
        match frame {
            Frame::Line(record, hash) => {
                let follows =
                    record.seal.number == index.standing.size + 1 && record.seal.previous == index.last;
                if !follows {
                    found.damage.push(format!(
                        "a line of segment {number} does not follow line {}",
                        index.standing.size
                    ));
                }
                rows.push(u32::try_from(offset).unwrap_or(0), &record.line, *hash);
                index.tree.push(*hash);
                index.last = *hash;
                index.standing.size += 1;
            }
            Frame::Checkpoint(note) => match self.checkpoint(note) {
                Some(signed) if is_of(&signed, index.standing, &index.tree.root()) => {
                    index.newest = Some(signed)
                }
                _ => found.damage.push(format!(
                    "the checkpoint behind line {} of segment {number} is not about these lines",
                    index.standing.size
                )),
            },
        }
    }

    fn checkpoint(&self, note: &str) -> Option<Signed> {
        let opened = Opened::read(note, self.key, self.verify).ok()?;
        let checkpoint = opened.checkpoint;
        (checkpoint.hub == *self.hub).then(|| Signed { checkpoint, note: note.to_owned() })
    }

    /// Looks back for the newest checkpoint, where the newest segment holds none.
    fn find_newest_checkpoint(&self, found: &mut Found) -> io::Result<()> {
        let standing = found.index.standing;
        if found.index.newest.is_some() || standing.size == 0 {
            return Ok(());
        }
        let segments = found.index.segments.iter().rev();
        for segment in segments.take_while(|segment| segment.incarnation == standing.incarnation) {
            let mut bytes = self.whole(&file_name(segment.number))?;
            bytes.truncate(usize::try_from(segment.length).unwrap_or(usize::MAX));
            let frames = scan(&bytes).frames;
            let newest = frames.into_iter().rev().find_map(|(_, frame)| match frame {
                Frame::Checkpoint(note) => Some(note),
                Frame::Line(..) => None,
            });
            if let Some(note) = newest {
                found.index.newest = self.checkpoint(&note);
                if found.index.newest.is_none() {
                    found.damage.push("the newest checkpoint is not signed with this hub's key".to_owned());
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn compare_acknowledged(&self, found: &mut Found) {
        let Some(known) = self.acknowledged else { return };
        let now = found.index.standing;
        let (is, was) = ((now.incarnation, now.size), (known.standing.incarnation, known.standing.size));
        if is < was {
            let text = format!("{} lines were durable, and {} can be read back", was.1, is.1);
            found.damage.push(text);
        }
    }

    fn whole(&self, name: &str) -> io::Result<Vec<u8>> {
        read_file(self.disk, &self.directory.join(name), FILE_BYTES_MAX)
    }
}

/// Whether a checkpoint is about exactly what stands before it.
pub(super) fn is_of(signed: &Signed, standing: Standing, root: &Hash) -> bool {
    let checkpoint = &signed.checkpoint;
    checkpoint.incarnation == standing.incarnation
        && checkpoint.size == standing.size
        && checkpoint.root == *root
        && checkpoint.counter <= standing.counter
}

/// Lines behind a hole can still be read, though they prove nothing any more.
fn take_behind(scan: &Scan, before: u64, rows: &mut Rows) {
    let most = scan.torn_to / super::segment::LINE_FRAME_BYTES_MIN;
    for (offset, frame) in &scan.behind {
        let Frame::Line(record, hash) = frame else { continue };
        let place = record.seal.number.checked_sub(before + 1).and_then(|place| usize::try_from(place).ok());
        let Some(place) = place.filter(|place| rows.len() <= *place && *place < most) else { continue };
        while rows.len() < place {
            rows.push_lost();
        }
        rows.push(u32::try_from(*offset).unwrap_or(0), &record.line, *hash);
    }
}

/// The counter is set after a start's first segment is durable: it is never ahead of what the segments say, and at
/// most one start behind.
fn compare_counter(counted: Counted, found: &mut Found) {
    let newest = found.index.standing.counter;
    let is_first = found.index.segments.is_empty();
    let wrong = match counted {
        Counted::Missing if is_first => return,
        // The very first start ended before the counter was set.
        Counted::Missing if newest == 1 && found.index.standing.size == 0 => return,
        Counted::Number(number) if number == newest || number + 1 == newest => return,
        Counted::Missing => "the counter of starts is gone".to_owned(),
        Counted::Foreign => "the counter of starts was copied here".to_owned(),
        Counted::Number(number) => {
            format!("the counter of starts says {number}, and the trail {newest}: the disk was turned back")
        }
    };
    found.damage.push(wrong);
}
