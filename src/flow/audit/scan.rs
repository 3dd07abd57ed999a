//! Reading a segment's bytes: the frames from its beginning, and what still stands behind the first hole.

use super::segment::{FRAME_MAGIC, Frame, HEADER_BYTES};

/// What is in a segment.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Whole frames without a hole from the header on, each with where it begins.
    pub(super) frames: Vec<(usize, Frame)>,
    /// Where they end.
    pub(super) end: usize,
    /// Whole frames behind the hole.
    pub(super) behind: Vec<(usize, Frame)>,
    /// Where the last byte is that is not zero, if that is behind the end.
    pub(super) torn_to: usize,
}

/// Reads all of a segment.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut found = Scan { end: HEADER_BYTES, ..Scan::default() };
    while let Some((frame, length)) = bytes.get(found.end..).and_then(Frame::read) {
        found.frames.push((found.end, frame));
        found.end += length;
    }
    let rest = bytes.get(found.end..).unwrap_or_default();
    let dirty = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    found.torn_to = found.end + dirty;
    let mut at = found.end + 1;
    while at < found.torn_to {
        match bytes.get(at..found.torn_to).and_then(Frame::read) {
            Some((frame, length)) => {
                found.behind.push((at, frame));
                at += length;
            }
            None => at = next_magic(bytes, at + 1).unwrap_or(found.torn_to),
        }
    }
    found
}

/// Where a frame may begin next.
fn next_magic(bytes: &[u8], from: usize) -> Option<usize> {
    Some(from + memchr::memmem::find(bytes.get(from..)?, FRAME_MAGIC)?)
}

impl Scan {
    /// The lines of an incarnation that are proven to have been durable before something in here was written.
    pub(super) fn proven(&self) -> u64 {
        let through = |frame: &Frame| match frame {
            Frame::Line(record, _) => record.seal.durable,
            Frame::Checkpoint(note) => {
                crate::access::audit::checkpoint::claimed(note).map_or(0, |checkpoint| checkpoint.size)
            }
        };
        self.frames.iter().chain(&self.behind).map(|(_, frame)| through(frame)).max().unwrap_or(0)
    }
}
