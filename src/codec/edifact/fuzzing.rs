//! What the fuzz target calls: any bytes go in; nothing panics, and what was read is written and read alike.

use super::{Header, Interchange, Partner, Segments, Writer, nhsack, pmip};

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
    let partner = || Partner { id: "1".to_owned(), qualifier: String::new() };
    let header = Header {
        sender: partner(),
        recipient: partner(),
        control_reference: "1".to_owned(),
        ..Header::default()
    };
    let mut writer = Writer::new(&header);
    pmip::write(&mut writer, "1", kind, &report);
    let (written, _) = writer.finish();
    // Texts cut to their length can make more segments than are read; a name that was all control characters is gone.
    let Ok(segments) = Segments::of(&written) else { return };
    let again = Interchange::single(&segments).map(|(_, message)| pmip::read(&message));
    let Ok(Ok((_, again))) = again else { return };
    assert_eq!(again.investigations.len(), report.investigations.len(), "a report changes on its way");
    if kind == pmip::Kind::Radiology {
        // A study says its values in words.
        for (one, again) in report.investigations.iter().zip(&again.investigations) {
            let measured = match &one.value {
                pmip::Value::Numeric(value, ..) => {
                    value.contains(|letter: char| letter.is_ascii_alphanumeric())
                }
                _ => false,
            };
            assert!(!measured || !again.text.is_empty(), "a study loses what was measured");
        }
        return;
    }
    let values = |report: &pmip::Report| {
        report.investigations.iter().map(|one| std::mem::discriminant(&one.value)).collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&report), "a result changes on its way");
}
