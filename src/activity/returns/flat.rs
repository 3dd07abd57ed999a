//! The flat layout of CDS 6.2 outpatients: one line of fixed width for each record.
//!
//! The positions are those that a public reader of such files has. Fields between them are blank; whoever takes the
//! file must say what they expect there.

use std::io;

use super::{
    Item,
    items::Kind,
    record::{Coded, Record},
};

/// What stands in a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// The same in each line.
    Fixed(&'static str),
    /// An item.
    Of(Item),
    /// The first code of a list.
    First(Coded),
}

/// A field, its first column (from 1), and its width.
pub type Column = (Field, usize, usize);

/// Every field, by column.
pub const COLUMNS: [Column; 31] = [
    (Field::Fixed("CDS062"), 1, 6),
    (Field::Of(Item::CdsType), 7, 3),
    // The bulk group: none in net change.
    (Field::Fixed(""), 10, 3),
    (Field::Fixed(super::cds::PROTOCOL), 13, 3),
    (Field::Of(Item::UniqueIdentifier), 16, 35),
    (Field::Of(Item::UpdateType), 51, 1),
    (Field::Of(Item::ApplicableDate), 52, 8),
    (Field::Of(Item::ApplicableTime), 60, 6),
    (Field::Of(Item::ActivityDate), 104, 8),
    (Field::Of(Item::Sender), 112, 12),
    (Field::Of(Item::Pathway), 232, 20),
    (Field::Of(Item::LocalPatient), 284, 10),
    (Field::Of(Item::NumberStatus), 306, 2),
    (Field::Of(Item::NhsNumber), 308, 10),
    (Field::Of(Item::WithheldFlag), 318, 1),
    (Field::Of(Item::BirthDate), 321, 8),
    (Field::Of(Item::Postcode), 998, 8),
    (Field::Of(Item::Gender), 1018, 1),
    (Field::Of(Item::EthnicCategory), 1021, 2),
    (Field::Of(Item::Consultant), 1023, 8),
    (Field::Of(Item::TreatmentFunction), 1034, 3),
    (Field::First(Coded::Diagnoses), 1047, 6),
    (Field::Of(Item::Attended), 1675, 1),
    (Field::Of(Item::FirstAttendance), 1676, 1),
    (Field::Of(Item::Outcome), 1680, 1),
    (Field::Of(Item::AppointmentDate), 1681, 8),
    (Field::Of(Item::AppointmentTime), 1689, 6),
    (Field::Of(Item::Site), 4505, 12),
    (Field::Of(Item::Practice), 4540, 12),
    (Field::Of(Item::Priority), 4552, 1),
    (Field::Of(Item::ReferralReceived), 4556, 8),
];

/// Characters of a line, without its end: up to the last field that is known.
pub const WIDTH: usize = 4563;

/// Writes one line. Each character of a value takes one byte: what is not ASCII becomes `?`, control characters become
/// spaces. A value that is too wide is left blank.
///
/// # Errors
/// If the bytes cannot be written.
pub fn write(out: &mut impl io::Write, record: &Record, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    line.resize(WIDTH, b' ');
    for (field, first, width) in COLUMNS {
        let Some(slot) = line.get_mut(first - 1..first - 1 + width) else { continue };
        match field {
            Field::Fixed(text) => put(slot, text, Kind::Text),
            Field::Of(item) => put(slot, record.get(item), item.kind()),
            Field::First(list) => {
                let code = record.codes(list).first();
                put(slot, code.map(|code| code.as_str()).unwrap_or_default(), Kind::Text);
            }
        }
    }
    line.extend_from_slice(b"\r\n");
    out.write_all(line)
}

fn put(slot: &mut [u8], value: &str, kind: Kind) {
    let is_kept = |character: &char| match kind {
        Kind::Date | Kind::Time => !matches!(character, '-' | ':'),
        _ => true,
    };
    let byte = |character: char| match character {
        control if control.is_control() => b' ',
        other => u8::try_from(other).ok().filter(u8::is_ascii).unwrap_or(b'?'),
    };
    if value.chars().filter(is_kept).count() <= slot.len() {
        slot.iter_mut()
            .zip(value.chars().filter(is_kept))
            .for_each(|(cell, character)| *cell = byte(character));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(record: &Record) -> String {
        let mut out = Vec::new();
        write(&mut out, record, &mut Vec::new()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_fields_overlap() {
        let mut next = 1;
        for (_, first, width) in COLUMNS {
            assert!(next <= first, "{first}");
            next = first + width;
        }
        assert_eq!(next - 1, WIDTH);
    }

    #[test]
    fn fields_stand_at_their_positions() {
        let mut record = Record::default();
        record.set(Item::UniqueIdentifier, "B5LC01X");
        record.set(Item::BirthDate, "1950-02-03");
        record.set(Item::AppointmentTime, "09:30:00");
        let line = line(&record);
        let at = |first: usize, width: usize| line.get(first - 1..first - 1 + width).unwrap().trim_end();
        assert_eq!(line.len(), WIDTH + 2);
        assert_eq!(at(1, 6), "CDS062");
        assert_eq!(at(16, 35), "B5LC01X");
        assert_eq!(at(321, 8), "19500203");
        assert_eq!(at(1689, 6), "093000");
    }

    proptest! {
        #[test]
        fn no_text_moves_a_field(text in any::<String>()) {
            let mut record = Record::default();
            record.set(Item::LocalPatient, &text);
            record.set(Item::Postcode, &text);
            record.set(Item::Attended, "5");
            let line = line(&record);
            prop_assert!(line.is_ascii());
            prop_assert_eq!(line.len(), WIDTH + 2);
            prop_assert_eq!(line.get(1674..1675), Some("5"));
            prop_assert_eq!(line.matches('\n').count(), 1);
        }
    }
}
