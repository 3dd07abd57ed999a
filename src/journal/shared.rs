//! What readers and the writer both see: which segments there are, how far each is valid, what is released.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use serde::Serialize;
use tokio::sync::watch;

use crate::{
    domain::ids::{Class, Epoch, Sequence},
    sys::disk::Disk,
};

use super::{Lane, Position, cursors::Cursors, segment::Segment};

/// More damage than this is counted no further; the disk is beyond counting.
const DAMAGE_MAX: usize = 10_000;

/// The readers' half of a journal.
#[derive(Debug)]
pub struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    index: RwLock<Index>,
    /// Counts commits; consumers wait for it to change.
    pub(super) commits: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By ascending number; the last is the active one, if there is one.
    pub(super) segments: VecDeque<Segment>,
    pub(super) cursors: Cursors,
    pub(super) status: Status,
    /// Where damage has been found since the start, so that it is counted once.
    pub(super) damage: BTreeSet<Position>,
    /// For each consumer, entries in segments that had to go before it was past them, since the start.
    pub(super) overtaken: BTreeMap<String, u64>,
}

/// The journal's condition, for operators.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Status {
    /// Whether appends are taken.
    pub accepting: bool,
    /// Why not, or what was last wrong; empty if nothing ever was.
    pub reason: String,
    /// The epoch that appends go to.
    pub epoch: u64,
    /// Bytes that all segments take.
    pub used_bytes: u64,
    /// Bytes that they may take now, given the configured capacity and the disk's free space.
    pub capacity_bytes: u64,
    /// Bytes of the file system that an ordinary user may still write.
    pub available_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Appends refused for want of room since the start.
    pub refused_full: u64,
    /// Commits that the disk failed since the start.
    pub failed_commits: u64,
    /// Synchronised bytes found damaged when the journal was opened, and places found damaged since.
    pub damaged_bytes: u64,
    /// Bytes appended since the start.
    pub appended_bytes: u64,
    /// Entries appended since the start.
    pub appended_entries: u64,
    /// `fdatasync` calls for commits since the start.
    pub commits: u64,
    /// Each class, most urgent first.
    pub lanes: Vec<LaneStatus>,
}

/// One class's condition.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LaneStatus {
    /// Which class.
    pub class: Class,
    /// Entries that the centre has not confirmed.
    pub queued: u64,
    /// Bytes of segments' frames, released ones included until their segment goes.
    pub bytes: u64,
}

/// One epoch's entries of one lane, as far as they are still here and not released.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stream {
    /// Which epoch.
    pub epoch: Epoch,
    /// The last sequence.
    pub last: Sequence,
    /// Everything through this one is released.
    pub released: Sequence,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, directory: PathBuf, index: Index) -> Self {
        Self { disk, directory, index: RwLock::new(index), commits: watch::Sender::new(0) }
    }

    /// A view that changes with every commit, for consumers to wait on.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// The lane's epochs that still have entries to be released, oldest first.
    pub fn streams(&self, lane: Lane) -> Vec<Stream> {
        let index = self.index();
        let mut lasts: BTreeMap<Epoch, Sequence> = BTreeMap::new();
        for segment in &index.segments {
            let span = segment.span(lane);
            if !span.is_empty() {
                lasts.insert(segment.epoch, span.last);
            }
        }
        let stream = |(epoch, last)| Stream { epoch, last, released: index.released(epoch, lane) };
        lasts.into_iter().map(stream).filter(|stream| stream.released < stream.last).collect()
    }

    /// How far a lane's epoch is released.
    pub fn released(&self, epoch: Epoch, lane: Lane) -> Sequence {
        self.index().released(epoch, lane)
    }

    /// The last sequence of a lane's epoch that is in the log.
    pub fn last(&self, epoch: Epoch, lane: Lane) -> Sequence {
        let index = self.index();
        let spans = index.segments.iter().filter(|segment| segment.epoch == epoch).map(|s| s.span(lane).last);
        spans.max().unwrap_or(0)
    }

    /// Where a consumer goes on; at the oldest entry if it has never been here.
    pub fn consumer(&self, name: &str) -> Position {
        self.index().cursors.consumers.get(name).copied().unwrap_or_default()
    }

    /// How many entries, at most, had to go since the start before a consumer had seen them, because room was
    /// wanted for new ones. The centre has them.
    pub fn overtaken(&self, consumer: &str) -> u64 {
        self.index().overtaken.get(consumer).copied().unwrap_or(0)
    }

    /// Where the oldest entry is that is still here.
    pub fn beginning(&self) -> Position {
        let first = self.index().segments.front().map(|segment| segment.number);
        first.map_or_else(Position::default, |segment| Position { segment, offset: 0 })
    }

    /// Just behind the newest entry.
    pub fn end(&self) -> Position {
        self.index().segments.back().map(Segment::end).unwrap_or_default()
    }

    /// A reader has come upon a place that is no longer what was written. The segment's index goes, so that the
    /// next start reads the segment itself and no longer takes a lost message for one that is safe.
    pub(super) fn note_damage(&self, place: Position) {
        let mut index = self.index_mut();
        if DAMAGE_MAX <= index.damage.len() || !index.damage.insert(place) {
            return;
        }
        index.status.damaged_bytes += 1;
        drop(index);
        let path = self.directory.join(super::segment::index_name(place.segment));
        if let Err(error) = self.disk.remove(&path) {
            tracing::debug!(%error, "the index of a damaged segment stays");
        }
    }

    /// The journal's condition now.
    pub fn status(&self) -> Status {
        let index = self.index();
        let lane = |class: Class| {
            let lane = Lane::of(class);
            LaneStatus { class, queued: index.queued(lane), bytes: index.lane_bytes(lane) }
        };
        Status {
            used_bytes: index.used_bytes(),
            segments: index.segments.len() as u64,
            lanes: Class::ALL.into_iter().map(lane).collect(),
            ..index.status.clone()
        }
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    pub(super) fn released(&self, epoch: Epoch, lane: Lane) -> Sequence {
        self.cursors.released.get(&(epoch, lane.0)).copied().unwrap_or(0)
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    pub(super) fn lane_bytes(&self, lane: Lane) -> u64 {
        self.segments.iter().map(|segment| segment.span(lane).bytes).sum()
    }

    /// Whether everything in the segment is released and behind every consumer.
    pub(super) fn is_done_with(&self, segment: &Segment, consumers: &[String]) -> bool {
        let released = Class::ALL.into_iter().map(Lane::of).all(|lane| {
            let span = segment.span(lane);
            span.is_empty() || span.last <= self.released(segment.epoch, lane)
        });
        released
            && consumers.iter().all(|name| {
                self.cursors.consumers.get(name).is_some_and(|position| segment.end() <= *position)
            })
    }

    /// Notes who of the consumers was not past a segment that goes.
    pub(super) fn note_overtaken(&mut self, segment: &Segment, consumers: &[String]) {
        let entries: u64 = Class::ALL
            .into_iter()
            .map(|class| segment.span(Lane::of(class)))
            .filter(|span| !span.is_empty())
            .map(|span| span.last - span.first + 1)
            .sum();
        for name in consumers {
            let past = self.cursors.consumers.get(name).is_some_and(|position| segment.end() <= *position);
            if !past {
                *self.overtaken.entry(name.clone()).or_default() += entries;
            }
        }
    }

    fn queued(&self, lane: Lane) -> u64 {
        let spans = self.segments.iter().map(|segment| (segment.epoch, segment.span(lane)));
        let count = |(epoch, span): (Epoch, &super::segment::Span)| {
            let from = span.first.max(self.released(epoch, lane) + 1);
            if span.is_empty() || span.last < from { 0 } else { span.last - from + 1 }
        };
        spans.map(count).sum()
    }
}
