//! The index beside each sealed segment: what is in it, so that opening a journal need not read it all.
//!
//! An index is a convenience: one that is missing, damaged or of another length than its segment is made
//! anew from the segment.

use std::{io, path::Path};

use crate::{
    domain::ids::Epoch,
    sys::disk::{Disk, read_up_to, replace_file},
};

use super::{
    Lane,
    seen::{Filter, Table, table},
    segment::{Segment, Span, index_name},
};

const MAGIC: &[u8; 8] = b"PGATEIDX";
const FORMAT: u64 = 1;
/// Magic, checksum, and the fields that `fields` lists.
const HEAD_BYTES: usize = 8 + 4 + 8 * FIELDS;
const FIELDS: usize = 6 + 3 * Lane::COUNT;
/// Far more than a segment's filter takes (16 bits for each frame of at least 64 bytes).
const FILTER_BYTES_MAX: u64 = 16 << 20;

/// Writes the index of a segment that will not grow any more.
pub(super) fn write(disk: &dyn Disk, directory: &Path, segment: &Segment, rows: &[u8]) -> io::Result<Table> {
    let filter = Filter::over(rows);
    let row_count = rows.len() as u64 / 32;
    let mut content = Vec::with_capacity(HEAD_BYTES + filter.as_bytes().len() + rows.len());
    content.extend_from_slice(MAGIC);
    content.extend_from_slice(&[0; 4]);
    let mut fields = vec![
        FORMAT,
        segment.number,
        segment.epoch.0,
        segment.length,
        row_count,
        filter.as_bytes().len() as u64,
    ];
    fields.extend(segment.spans.iter().flat_map(|span| [span.first, span.last, span.bytes]));
    content.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    content.extend_from_slice(filter.as_bytes());
    let rows_at = content.len() as u64;
    let checksum = crc32c::crc32c(&content[12..]).to_le_bytes();
    content[8..12].copy_from_slice(&checksum);
    content.extend_from_slice(rows);
    replace_file(disk, &directory.join(index_name(segment.number)), &content)?;
    Ok(table(segment.number, directory, rows_at, row_count, filter))
}

/// Reads an index; none if there is none that can be believed.
pub(super) fn read(disk: &dyn Disk, directory: &Path, number: u64) -> Option<(Segment, Table)> {
    let file = disk.open(&directory.join(index_name(number))).ok()?;
    let mut head = [0; HEAD_BYTES];
    if read_up_to(file.as_ref(), &mut head, 0).ok()? < HEAD_BYTES || !head.starts_with(MAGIC) {
        return None;
    }
    let field = |index: usize| {
        head.get(12 + 8 * index..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
    };
    let (row_count, filter_bytes) = (field(4), field(5));
    if field(0) != FORMAT || field(1) != number || FILTER_BYTES_MAX < filter_bytes {
        return None;
    }
    let mut filter = vec![0; usize::try_from(filter_bytes).ok()?];
    if read_up_to(file.as_ref(), &mut filter, HEAD_BYTES as u64).ok()? < filter.len() {
        return None;
    }
    let rows_at = HEAD_BYTES as u64 + filter_bytes;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&head[12..]), &filter);
    let whole = file.length().ok()? == rows_at + row_count.checked_mul(32)?;
    if head.get(8..12)? != checksum.to_le_bytes() || !whole {
        return None;
    }
    let mut spans = [Span::default(); Lane::COUNT];
    for (lane, span) in spans.iter_mut().enumerate() {
        let at = 6 + 3 * lane;
        *span = Span { first: field(at), last: field(at + 1), bytes: field(at + 2) };
    }
    let segment = Segment { number, epoch: Epoch(field(2)), length: field(3), spans };
    Some((segment, table(number, directory, rows_at, row_count, Filter::from_bytes(filter))))
}
