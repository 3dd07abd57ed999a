//! What the fuzz target calls: any bytes go in; nothing panics, and what was read is written and read alike.

use super::{Header, Interchange, Segments, Writer, nhsack, pmip};

/// Reads bytes as an interchange, as a single message, and as whatever is in them.
///
/// # Panics
/// If segments overlap, or a report is not the same after it was written and read again.
pub fn edifact(data: &[u8]) {
    let Ok(segments) = Segments::of(data) else { return };
    let mut at = 0;
    for segment in &segments.list {
        assert!(
            at <= segment.start && segment.start <= segment.end && segment.end <= data.len(),
            "segments overlap"
        );
        at = segment.end;
        for element in segment.elements() {
            drop(element.texts(super::Charset::Latin1));
        }
    }
    if let Ok((_, message)) = Interchange::single(&segments) {
        report(&message);
    }
    let Ok(interchange) = Interchange::of(&segments) else { return };
    drop(nhsack::read_all(&interchange));
    for message in &interchange.messages {
        let part = interchange.part(data, message);
        let again = Segments::of(&part);
        assert!(again.is_ok_and(|again| Interchange::single(&again).is_ok()), "a message alone is not one");
        report(message);
    }
}

fn report(message: &super::Message<'_>) {
    let Ok((kind, report)) = pmip::read(message) else { return };
    let written = |report: &pmip::Report| {
        let mut writer = Writer::new(&Header::default());
        pmip::write(&mut writer, "1", kind, report);
        writer.finish().0
    };
    let once = written(&report);
    let Ok(segments) = Segments::of(&once) else { return };
    let Ok((_, again)) = Interchange::single(&segments) else { return };
    let Ok((_, again)) = pmip::read(&again) else { return };
    assert_eq!(again.investigations.len(), report.investigations.len(), "a report changes on its way");
    assert_eq!(again.specimens.len(), report.specimens.len(), "a report changes on its way");
}
