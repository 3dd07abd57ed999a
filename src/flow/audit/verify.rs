//! Verifying the whole trail, from its files alone: every bit of every line, their order, every signature, and what was
//! signed and is kept elsewhere.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    access::audit::{
        Checkpoint, Contradiction, Hash, Moment, Opened, Standing, Tree, Verify, VerifyingKey,
        record::genesis,
    },
    domain::ids::HubId,
    sys::disk::{Disk, read_file},
};

use super::{
    opening::{FILE_BYTES_MAX, is_of},
    read::LineId,
    scan::scan,
    segment::{Frame, HEADER_BYTES, Header, Rows, file_name, index_name, number_in},
    shared::Signed,
};

/// More faults than this are counted, and not described.
const FAULTS_MAX: usize = 100;

/// Something that is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Fault {
    /// Behind which line: `INCARNATION-NUMBER`, number 0 at the beginning.
    pub behind: String,
    /// What is wrong.
    pub what: String,
}

/// What verifying found.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Report {
    /// Lines that were verified.
    pub lines: u64,
    /// Checkpoints that were verified.
    pub checkpoints: u64,
    /// Beginnings of the trail.
    pub incarnations: u64,
    /// The newest line.
    pub newest: String,
    /// Lines behind the newest checkpoint: nobody has signed them yet.
    pub unsigned: u64,
    /// The first line that is damaged or lost, or whose successors are; none if nothing is wrong.
    pub first_bad: Option<String>,
    /// How many faults there are.
    pub fault_count: u64,
    /// The first of them.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.fault_count == 0
    }
}

/// What is verified, and against what.
#[derive(Clone, Copy, Debug)]
pub struct Verification<'a> {
    /// On which disk.
    pub disk: &'a dyn Disk,
    /// In which folder.
    pub directory: &'a Path,
    /// Whose trail.
    pub hub: &'a HubId,
    /// The key that signs it.
    pub key: &'a VerifyingKey,
    /// What says whether a signature is right.
    pub verify: Verify,
    /// Checkpoints that are kept elsewhere, their signatures verified.
    pub anchors: &'a [Checkpoint],
    /// How far a trail that is being written is durable: segment and bytes. All of it, if none.
    pub until: Option<(u64, u64)>,
}

/// Verifies a trail. Memory: one segment. Time: about a second for each gigabyte and million lines.
///
/// # Errors
/// A file cannot be read at all.
pub fn verify(what: &Verification<'_>) -> io::Result<Report> {
    let mut numbers: Vec<u64> =
        what.disk.list(what.directory)?.iter().filter_map(|name| number_in(name)).collect();
    numbers.sort_unstable();
    numbers.retain(|number| what.until.is_none_or(|(newest, _)| *number <= newest));
    let mut pass = Pass::new(*what);
    for (place, number) in numbers.iter().enumerate() {
        if *number != place as u64 + 1 && (place == 0 || numbers.get(place - 1) != Some(&(number - 1))) {
            pass.fault(format!("segment {} is missing", number - 1));
        }
        pass.segment(*number)?;
    }
    if let Some((newest, _)) = what.until
        && numbers.last() != Some(&newest)
    {
        pass.fault(format!("segment {newest} is missing"));
    }
    Ok(pass.end())
}

/// One way through the files.
#[derive(Clone)]
pub(super) struct Pass<'a> {
    what: Verification<'a>,
    pub(super) report: Report,
    standing: Standing,
    tree: Tree,
    last: Hash,
    moment: Moment,
    signed: u64,
    previous_length: u64,
    anchors: Vec<(Checkpoint, Option<Hash>)>,
    /// Sizes of incarnations that ended.
    ended: Vec<(u64, u64)>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(what: Verification<'a>) -> Self {
        Self {
            what,
            report: Report::default(),
            standing: Standing::default(),
            tree: Tree::default(),
            last: [0; 32],
            moment: Moment::default(),
            signed: 0,
            previous_length: 0,
            anchors: what.anchors.iter().map(|anchor| (anchor.clone(), None)).collect(),
            ended: Vec::new(),
        }
    }

    fn fault(&mut self, text: String) {
        self.report.fault_count += 1;
        let Standing { incarnation, size, .. } = self.standing;
        let bad = LineId { incarnation, number: size.saturating_add(1) };
        self.report.first_bad.get_or_insert_with(|| bad.to_string());
        if self.report.faults.len() < FAULTS_MAX {
            let behind = LineId { incarnation: self.standing.incarnation, number: self.standing.size };
            self.report.faults.push(Fault { behind: behind.to_string(), what: text });
        }
    }

    fn segment(&mut self, number: u64) -> io::Result<()> {
        let read = |name: String| read_file(self.what.disk, &self.what.directory.join(name), FILE_BYTES_MAX);
        let mut bytes = read(file_name(number))?;
        // An index that is not there is made at the next start.
        let index = match read(index_name(number)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some((_, length)) = self.what.until.filter(|(newest, _)| *newest == number) {
            if (bytes.len() as u64) < length {
                self.fault(format!("segment {number} is shorter than what was acknowledged"));
            }
            bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        self.take(number, &bytes, index.as_deref());
        Ok(())
    }

    /// Takes in a segment's bytes, and those of its index.
    pub(super) fn take(&mut self, number: u64, bytes: &[u8], index: Option<&[u8]>) {
        let header = bytes.get(..HEADER_BYTES).and_then(Header::decode);
        match header.filter(|header| header.number == number) {
            Some(header) => self.header(&header),
            None => self.fault(format!("the head of segment {number} is damaged")),
        }
        let scan = scan(bytes);
        let mut rows = Rows::default();
        for (offset, frame) in &scan.frames {
            self.frame(*offset, frame, &mut rows);
        }
        if scan.end < scan.torn_to {
            let torn = scan.torn_to - scan.end;
            self.fault(format!("segment {number}: {torn} bytes are no line, or a damaged one"));
        } else if self.what.until.is_some_and(|until| until.0 == number && (scan.end as u64) < until.1) {
            self.fault(format!("segment {number} ends before what was acknowledged"));
        }
        for (offset, frame) in &scan.behind {
            self.frame(*offset, frame, &mut rows);
        }
        if index.is_some_and(|index| index != rows.encode(number, scan.end as u64)) {
            self.fault(format!("the index of segment {number} is damaged"));
        }
        self.previous_length = scan.end as u64;
    }

    fn header(&mut self, header: &Header) {
        if self.standing.incarnation < header.incarnation {
            self.ended.push((self.standing.incarnation, self.standing.size));
            self.standing =
                Standing { incarnation: header.incarnation, counter: self.standing.counter, size: 0 };
            self.tree = Tree::default();
            self.last = genesis(self.what.hub, header.incarnation);
            self.signed = 0;
            self.report.incarnations += 1;
        }
        let follows = header.incarnation == self.standing.incarnation
            && header.before == self.standing.size
            && header.last == self.last
            && header.root == self.tree.root()
            && self.standing.counter <= header.start;
        if !follows {
            let text = format!("segment {} does not go on where the one before ends", header.number);
            self.fault(text);
        }
        if header.previous_length != self.previous_length {
            self.fault(format!("segment {} does not end where the next one says", header.number - 1));
        }
        self.standing.counter = header.start;
    }

    fn frame(&mut self, offset: usize, frame: &Frame, rows: &mut Rows) {
        match frame {
            Frame::Line(record, hash) => {
                let seal = &record.seal;
                if seal.number != self.standing.size.saturating_add(1) || seal.previous != self.last {
                    self.fault(format!("line {} does not follow the line before it", seal.number));
                }
                let now = (seal.moment.start, seal.moment.elapsed_ms);
                let in_order = (self.moment.start, self.moment.elapsed_ms) <= now
                    && seal.moment.start == self.standing.counter
                    && seal.durable < seal.number;
                if !in_order {
                    self.fault(format!("line {} is out of order", seal.number));
                }
                self.moment = seal.moment;
                rows.push(u32::try_from(offset).unwrap_or(0), &record.line, *hash);
                self.tree.push(*hash);
                self.last = *hash;
                self.standing.size = seal.number;
                self.report.lines += 1;
                self.meet_anchors();
            }
            Frame::Checkpoint(note) => match Opened::read(note, self.what.key, self.what.verify) {
                Ok(Opened { checkpoint }) => {
                    let signed = Signed { checkpoint, note: String::new() };
                    if signed.checkpoint.hub != *self.what.hub
                        || !is_of(&signed, self.standing, &self.tree.root())
                    {
                        self.fault("the checkpoint is not about the lines before it".to_owned());
                    }
                    self.signed = self.standing.size;
                    self.report.checkpoints += 1;
                }
                Err(error) => self.fault(format!("the checkpoint: {error}")),
            },
        }
    }

    fn meet_anchors(&mut self) {
        let (standing, tree) = (self.standing, &self.tree);
        for (anchor, root) in &mut self.anchors {
            if anchor.incarnation == standing.incarnation && anchor.size == standing.size {
                *root = Some(tree.root());
            }
        }
    }

    fn end(mut self) -> Report {
        self.ended.push((self.standing.incarnation, self.standing.size));
        for (anchor, root) in std::mem::take(&mut self.anchors) {
            if let Err(contradiction) = self.compare(&anchor, root) {
                self.fault(contradiction.to_string());
            }
        }
        let newest = LineId { incarnation: self.standing.incarnation, number: self.standing.size };
        self.report.newest = newest.to_string();
        self.report.unsigned = self.standing.size.saturating_sub(self.signed);
        self.report
    }

    fn compare(&self, anchor: &Checkpoint, root: Option<Hash>) -> Result<(), Contradiction> {
        if anchor.hub != *self.what.hub {
            return Err(Contradiction::OtherHub);
        }
        let size = self.ended.iter().find(|(incarnation, _)| *incarnation == anchor.incarnation);
        anchor.holds_for(self.standing, |_| root.ok_or(size.map_or(0, |(_, size)| *size)))
    }
}
