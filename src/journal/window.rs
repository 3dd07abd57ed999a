//! A buffered view of one segment file, for reading frames one after another.

use std::io;

use crate::sys::disk::{DiskFile, read_up_to};

use super::frame::{self, Frame, HEAD_BYTES, Parsed};

/// Read at once, in bytes: a few hundred small entries. Grows to the size of a larger frame, and shrinks
/// again with the next read.
const READ_BYTES: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Window {
    file: Box<dyn DiskFile>,
    segment: u64,
    buffer: Vec<u8>,
    at: u64,
}

impl Window {
    pub(super) const fn new(file: Box<dyn DiskFile>, segment: u64) -> Self {
        Self { file, segment, buffer: Vec::new(), at: 0 }
    }

    pub(super) const fn segment(&self) -> u64 {
        self.segment
    }

    /// The intact frame at `offset`, if there is one that ends by `limit`.
    pub(super) fn frame(&mut self, offset: u64, limit: u64) -> io::Result<Option<Frame<'_>>> {
        if !self.hold(offset, HEAD_BYTES, limit)? {
            return Ok(None);
        }
        let head = self.from(offset).get(..HEAD_BYTES).unwrap_or_default();
        let Parsed::NeedsBytes(wanted) = frame::parse(head, self.segment) else { return Ok(None) };
        if !self.hold(offset, wanted, limit)? {
            return Ok(None);
        }
        match frame::parse(self.from(offset), self.segment) {
            Parsed::Frame(frame) => Ok(Some(frame)),
            _ => Ok(None),
        }
    }

    /// The first place from `from` on with an intact frame that `wanted` accepts.
    pub(super) fn search(
        &mut self,
        from: u64,
        limit: u64,
        wanted: impl Fn(&Frame<'_>) -> bool,
    ) -> io::Result<Option<u64>> {
        let mut offset = from;
        while offset < limit {
            if self.frame(offset, limit)?.is_some_and(|frame| wanted(&frame)) {
                return Ok(Some(offset));
            }
            offset = frame::next_candidate(offset);
        }
        Ok(None)
    }

    fn from(&self, offset: u64) -> &[u8] {
        let skip = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
        self.buffer.get(skip..).unwrap_or_default()
    }

    /// Makes the buffer hold `count` bytes from `offset`; false if the file or the limit ends before.
    fn hold(&mut self, offset: u64, count: usize, limit: u64) -> io::Result<bool> {
        let end = offset + count as u64;
        if limit < end {
            return Ok(false);
        }
        if self.at <= offset && end <= self.at + self.buffer.len() as u64 {
            return Ok(true);
        }
        let wanted = usize::try_from(limit - offset).unwrap_or(usize::MAX).min(READ_BYTES.max(count));
        self.buffer.resize(wanted, 0);
        self.buffer.shrink_to(READ_BYTES);
        self.at = offset;
        let filled = read_up_to(self.file.as_ref(), &mut self.buffer, offset);
        self.buffer.truncate(*filled.as_ref().unwrap_or(&0));
        Ok(count <= filled?)
    }
}
