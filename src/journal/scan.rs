//! Reading a whole segment after a restart: how far it is valid, what is in it, and what is broken.

use std::io;

use super::{
    Identity, Lane,
    segment::{HEADER_BYTES, Span},
    window::Window,
};

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Just behind the last entry that may be read.
    pub(super) end: u64,
    pub(super) spans: [Span; Lane::COUNT],
    pub(super) identities: Vec<Identity>,
    /// Ranges of bytes that were synchronised and are no longer intact.
    pub(super) holes: Vec<(u64, u64)>,
    /// Bytes behind `end` that were written but never acknowledged.
    pub(super) torn: bool,
}

/// Reads a segment up to `limit`.
///
/// A sealed segment's limit is known, and everything before it was synchronised: whatever is not intact is
/// a hole. An unsealed one ends where nothing valid of a later group follows: what is broken there was
/// being written when the power went, and nobody was told that it was safe.
pub(super) fn scan(window: &mut Window, limit: u64, sealed: bool) -> io::Result<Scan> {
    let mut found = Scan { end: HEADER_BYTES, ..Scan::default() };
    loop {
        let offset = found.end;
        if let Some(frame) = window.frame(offset, limit)? {
            found.spans[frame.lane.index()].add(frame.sequence, frame.size as u64);
            found.identities.extend(frame.identity);
            found.end = offset + frame.size as u64;
            continue;
        }
        let from = super::frame::next_candidate(offset);
        let damaged =
            sealed || window.search(from, limit, |frame| offset < u64::from(frame.group_start))?.is_some();
        if !damaged {
            found.torn = window.search(from, limit, |_| true)?.is_some();
            return Ok(found);
        }
        match window.search(from, limit, |_| true)? {
            Some(next) => {
                found.holes.push((offset, next));
                found.end = next;
            }
            None => {
                if offset < limit {
                    found.holes.push((offset, limit));
                }
                found.end = limit;
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        journal::{frame, segment::HEADER_PAGE},
        sys::{
            disk::{Disk, write_all_at},
            sim_disk::SimulatedDisk,
        },
    };

    /// Three groups of three entries each; returns the bytes behind the header and each entry's offset.
    fn sample() -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for group in 0..3 {
            let group_start = u32::try_from(HEADER_PAGE + bytes.len()).unwrap();
            for entry in 0..3 {
                offsets.push(bytes.len());
                let sequence = group * 3 + entry + 1;
                frame::encode(&mut bytes, 1, group_start, (Lane(2), sequence), None, &[7; 100]);
            }
        }
        (bytes, offsets)
    }

    fn scan_of(bytes: &[u8], sealed: bool) -> Scan {
        let disk = SimulatedDisk::default();
        let file = disk.create(Path::new("/1")).unwrap();
        write_all_at(file.as_ref(), bytes, HEADER_BYTES).unwrap();
        file.truncate(HEADER_BYTES + 65536).unwrap();
        let limit = HEADER_BYTES + if sealed { bytes.len() as u64 } else { 65536 };
        scan(&mut Window::new(disk.open(Path::new("/1")).unwrap(), 1), limit, sealed).unwrap()
    }

    #[test]
    fn an_intact_segment_is_whole() {
        let (bytes, _) = sample();
        for sealed in [false, true] {
            let found = scan_of(&bytes, sealed);
            assert_eq!(found.end, HEADER_BYTES + bytes.len() as u64);
            assert_eq!((found.spans[2].first, found.spans[2].last), (1, 9));
            assert!(found.holes.is_empty() && !found.torn);
        }
    }

    #[test]
    fn a_torn_last_group_is_cut_and_is_no_damage() {
        let (mut bytes, offsets) = sample();
        bytes[offsets[7] + 50] ^= 1;
        let found = scan_of(&bytes, false);
        assert_eq!(found.end, HEADER_BYTES + offsets[7] as u64);
        assert_eq!(found.spans[2].last, 7);
        assert!(found.holes.is_empty() && found.torn);
    }

    #[test]
    fn a_broken_entry_with_a_later_group_behind_it_is_damage() {
        let (mut bytes, offsets) = sample();
        bytes[offsets[4] + 50] ^= 1;
        let found = scan_of(&bytes, false);
        assert_eq!(found.holes, [(HEADER_BYTES + offsets[4] as u64, HEADER_BYTES + offsets[5] as u64)]);
        assert_eq!(found.end, HEADER_BYTES + bytes.len() as u64);
    }

    #[test]
    fn in_a_sealed_segment_even_the_last_entry_is_damage() {
        let (mut bytes, offsets) = sample();
        bytes[offsets[8] + 50] ^= 1;
        let found = scan_of(&bytes, true);
        assert_eq!(found.holes, [(HEADER_BYTES + offsets[8] as u64, HEADER_BYTES + bytes.len() as u64)]);
    }
}
