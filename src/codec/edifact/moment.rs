//! Dates and times (DTM, C507): `20260105:102` to `2026-01-05`, as precise as the sender was.

use jiff::civil::{Date, Time};

/// Reads a value under its format qualifier (code list 2379); none if there is no moment in it.
///
/// Times are local, as NHS senders mean them, and carry no offset.
pub fn read(value: &str, format: &str) -> Option<String> {
    let length = match format {
        "602" => 4,
        "610" => 6,
        "102" => 8,
        "203" => 12,
        "204" => 14,
        _ => value.len(),
    };
    if value.len() != length || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| value.get(from..to).and_then(|digits| digits.parse::<i8>().ok());
    let year = value.get(..4)?;
    let date = Date::new(year.parse().ok()?, part(4, 6).unwrap_or(1), part(6, 8).unwrap_or(1)).ok()?;
    let time = Time::new(part(8, 10).unwrap_or(0), part(10, 12).unwrap_or(0), part(12, 14).unwrap_or(0), 0);
    time.ok()?;
    match length {
        4 => Some(year.to_owned()),
        6 => Some(format!("{year}-{:02}", date.month())),
        8 => Some(date.to_string()),
        12 => Some(format!("{date}T{}:{}", value.get(8..10)?, value.get(10..12)?)),
        14 => Some(format!("{date}T{}:{}:{}", value.get(8..10)?, value.get(10..12)?, value.get(12..14)?)),
        _ => None,
    }
}

/// Writes an ISO 8601 moment, or an HL7 one, as value and format qualifier; none if it has no date.
///
/// An offset is left out: the digits are the local ones.
pub fn write(moment: &str) -> Option<(String, &'static str)> {
    let local = without_offset(moment);
    let digits: String = local.chars().filter(char::is_ascii_digit).collect();
    let (length, format) = match digits.len() {
        14.. => (14, "204"),
        12.. => (12, "203"),
        8.. => (8, "102"),
        6.. => (6, "610"),
        4.. => (4, "602"),
        _ => return None,
    };
    let digits = digits.get(..length)?.to_owned();
    read(&digits, format).map(|_| (digits, format))
}

/// A moment without seconds, which PMIP does not know.
pub fn write_minutes(moment: &str) -> Option<(String, &'static str)> {
    match write(moment)? {
        (digits, "204") => Some((digits.get(..12)?.to_owned(), "203")),
        other => Some(other),
    }
}

fn without_offset(moment: &str) -> &str {
    let end = moment.char_indices().position(|(at, character)| {
        character == 'Z' || character == '.' || character == '+' || (character == '-' && 10 < at)
    });
    end.and_then(|end| moment.get(..end)).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_precisely_as_they_were_given() {
        for (value, format, shown) in [
            ("20260105", "102", "2026-01-05"),
            ("202601051407", "203", "2026-01-05T14:07"),
            ("20260105140759", "204", "2026-01-05T14:07:59"),
            ("2026", "602", "2026"),
            ("202601", "610", "2026-01"),
            ("202601051407", "", "2026-01-05T14:07"),
        ] {
            assert_eq!(read(value, format).as_deref(), Some(shown), "{value}:{format}");
        }
        for (value, format) in [
            ("20261301", "102"),
            ("2026010", "102"),
            ("20260105", "203"),
            ("today", "102"),
            ("", ""),
            ("é", "602"),
        ] {
            assert_eq!(read(value, format), None, "{value}:{format}");
        }
    }

    #[test]
    fn moments_are_written_from_iso_8601_and_from_hl7() {
        for (moment, value, format) in [
            ("2026-01-05", "20260105", "102"),
            ("2026-01-05T14:07+01:00", "202601051407", "203"),
            ("2026-01-05T14:07:09.250Z", "20260105140709", "204"),
            ("20260105140709-0500", "20260105140709", "204"),
            ("20260105", "20260105", "102"),
            ("2026-01", "202601", "610"),
        ] {
            assert_eq!(write(moment), Some((value.to_owned(), format)), "{moment}");
        }
        assert_eq!(write_minutes("20260105140709"), Some(("202601051407".to_owned(), "203")));
        assert_eq!(write("no moment"), None);
    }
}
