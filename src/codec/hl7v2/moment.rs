//! Time stamps (HL7 v2.4, section 2.8.42, TS): a prefix of `YYYYMMDDHHMMSS.SSSS`, with or without an offset.

use crate::domain::time::Timestamp;

/// Nobody in a record was born before; what looks like an earlier year is no date.
const YEAR_MIN: i16 = 1850;

/// Reads a time stamp's first component.
///
/// Without an offset it is United Kingdom local time, as every sender here means it. Separators that some
/// senders write (`2025-05-05 23:23:32`) are skipped. Missing parts count as the beginning of the period.
/// None if there is no date in it.
pub fn parse_moment(value: &[u8]) -> Option<Timestamp> {
    let (digits, offset) = split_offset(value)?;
    let digits: Vec<u8> = digits.iter().copied().filter(u8::is_ascii_digit).take(17).collect();
    let part = |from: usize, length: usize, otherwise: i8| -> Option<i8> {
        match digits.get(from..from + length) {
            None => Some(otherwise),
            Some(part) => std::str::from_utf8(part).ok()?.parse().ok(),
        }
    };
    let year: i16 = std::str::from_utf8(digits.get(..4)?).ok()?.parse().ok()?;
    if year < YEAR_MIN {
        return None;
    }
    let date = jiff::civil::Date::new(year, part(4, 2, 1)?, part(6, 2, 1)?).ok()?;
    // A leap second is written as 60; it is the last millisecond of its minute here.
    let second = part(12, 2, 0)?.min(59);
    let time = jiff::civil::Time::new(part(8, 2, 0)?, part(10, 2, 0)?, second, 0).ok()?;
    let local = date.to_datetime(time);
    let as_utc = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    let offset = offset.unwrap_or_else(|| if is_summer_time(local) { 60 } else { 0 });
    Some(Timestamp(as_utc - i64::from(offset) * 60_000 + i64::from(milliseconds(&digits))))
}

/// A time stamp as ISO 8601: as precise as it came, with an offset if it came with one. None if there is no date in it.
pub fn iso_8601(value: &[u8]) -> Option<String> {
    parse_moment(value)?;
    let (stamp, offset) = split_offset(value)?;
    let (whole, fraction) = split_fraction(stamp);
    let digits: String =
        whole.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
    let mut iso = String::with_capacity(32);
    for (place, (from, to)) in [(0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)].into_iter().enumerate() {
        let Some(part) = digits.get(from..to) else { break };
        iso.push_str(["", "-", "-", "T", ":", ":"].get(place).copied().unwrap_or_default());
        // A leap second is written as 60, which many readers refuse.
        iso.push_str(if place == 5 && part == "60" { "59" } else { part });
    }
    let fraction: String =
        fraction.iter().take_while(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
    if 14 <= digits.len() && !fraction.is_empty() {
        iso.push('.');
        iso.push_str(&fraction);
    }
    if let Some(minutes) = offset {
        let sign = if minutes < 0 { '-' } else { '+' };
        iso.push_str(&format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60));
    }
    Some(iso)
}

/// The part before the fraction of a second, and the fraction.
fn split_fraction(stamp: &[u8]) -> (&[u8], &[u8]) {
    // With separators such as 05.05.2025 the first point is none of a fraction; that one follows fourteen digits.
    let point = stamp.iter().rposition(|byte| *byte == b'.');
    match point.and_then(|point| stamp.split_at_checked(point)) {
        Some((whole, fraction)) if 14 <= whole.iter().filter(|byte| byte.is_ascii_digit()).count() => {
            (whole, fraction.get(1..).unwrap_or_default())
        }
        _ => (stamp, &[]),
    }
}

/// The part before the offset, and the offset in minutes: `+hhmm` as HL7 v2 has it, `+hh:mm`, `+hh` or `Z` as senders
/// that know ISO 8601 write it. None if the offset is none that exists.
fn split_offset(value: &[u8]) -> Option<(&[u8], Option<i32>)> {
    let value = value.trim_ascii();
    if let Some(rest) = value.strip_suffix(b"Z") {
        return Some((rest, Some(0)));
    }
    // A date with separators may end in "-0505" too: an offset follows at least an hour.
    let sign = value.iter().rposition(|byte| matches!(byte, b'+' | b'-'));
    let Some((rest, tail)) = sign.and_then(|sign| value.split_at_checked(sign)) else {
        return Some((value, None));
    };
    let has_hour = 10 <= rest.iter().filter(|byte| byte.is_ascii_digit()).count();
    let [sign, tail @ ..] = tail else { return Some((value, None)) };
    if !has_hour {
        return Some((value, None));
    }
    let digits: Vec<i32> =
        tail.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| i32::from(byte - b'0')).collect();
    let separators = tail.len() - digits.len();
    let (hours, minutes) = match (digits.as_slice(), separators, tail.get(2)) {
        ([h1, h2, m1, m2], 0, _) | ([h1, h2, m1, m2], 1, Some(b':')) => (h1 * 10 + h2, m1 * 10 + m2),
        ([h1, h2], 0, _) => (h1 * 10 + h2, 0),
        _ => return None,
    };
    // The line islands are fourteen hours ahead; nobody is further.
    if 14 < hours || 59 < minutes {
        return None;
    }
    let minutes = hours * 60 + minutes;
    Some((rest, Some(if *sign == b'-' { -minutes } else { minutes })))
}

fn milliseconds(digits: &[u8]) -> u32 {
    let fraction = digits.get(14..).unwrap_or_default();
    let digit = |place: usize| fraction.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    digit(0) * 100 + digit(1) * 10 + digit(2)
}

/// British Summer Time: from 01:00 GMT on the last Sunday of March to 01:00 GMT on the last Sunday of October
/// (Summer Time Act 1972, as amended in 2002). The hour that comes twice in October counts as the first.
fn is_summer_time(local: jiff::civil::DateTime) -> bool {
    let last_sunday = |month: i8| {
        let last = jiff::civil::Date::new(local.year(), month, 31).ok()?;
        let back = i64::from(last.weekday().to_sunday_zero_offset());
        last.checked_sub(jiff::Span::new().days(back)).ok()
    };
    let (Some(march), Some(october)) = (last_sunday(3), last_sunday(10)) else { return false };
    march.at(1, 0, 0, 0) <= local && local < october.at(2, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_senders_write() {
        for (text, shown) in [
            ("20260115", "2026-01-15T00:00:00.000Z"),
            ("202601", "2026-01-01T00:00:00.000Z"),
            ("2026", "2026-01-01T00:00:00.000Z"),
            ("20260115093000", "2026-01-15T09:30:00.000Z"),
            ("20260715093000", "2026-07-15T08:30:00.000Z"),
            ("20260715093000+0000", "2026-07-15T09:30:00.000Z"),
            ("20260715093000.1239-0500", "2026-07-15T14:30:00.123Z"),
            ("202607150930+0100", "2026-07-15T08:30:00.000Z"),
            ("2025-05-05 23:23:32", "2025-05-05T22:23:32.000Z"),
            ("2026-07-15T09:30:00+01:00", "2026-07-15T08:30:00.000Z"),
            ("2026-07-15T09:30:00.5Z", "2026-07-15T09:30:00.500Z"),
            ("20260715093000-05", "2026-07-15T14:30:00.000Z"),
            ("20260115235960", "2026-01-15T23:59:59.000Z"),
            ("20260329005959", "2026-03-29T00:59:59.000Z"),
            ("20260329020000", "2026-03-29T01:00:00.000Z"),
            ("20261025015959", "2026-10-25T00:59:59.000Z"),
            ("20261025020000", "2026-10-25T02:00:00.000Z"),
        ] {
            let found = parse_moment(text.as_bytes()).map(|moment| moment.to_string());
            assert_eq!(found.as_deref(), Some(shown), "{text}");
        }
        for bad in [
            "20260715093000+9900",
            "20260715093000+1",
            "2026071509+0060",
            "",
            "tomorrow",
            "20261301",
            "20260230",
            "2026011525",
            "+",
            "+0100",
            "\"\"",
            "999",
        ] {
            assert_eq!(parse_moment(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn iso_is_as_precise_as_what_came() {
        for (text, iso) in [
            ("2026", "2026"),
            ("202601", "2026-01"),
            ("20260115", "2026-01-15"),
            ("202601150930", "2026-01-15T09:30"),
            ("20260715093000", "2026-07-15T09:30:00"),
            ("20260715093000.1239-0500", "2026-07-15T09:30:00.1239-05:00"),
            ("20260715093000+0000", "2026-07-15T09:30:00+00:00"),
            ("2025-05-05 23:23:32", "2025-05-05T23:23:32"),
            ("2026-07-15T09:30:00Z", "2026-07-15T09:30:00+00:00"),
            ("20260115235960", "2026-01-15T23:59:59"),
        ] {
            assert_eq!(iso_8601(text.as_bytes()).as_deref(), Some(iso), "{text}");
        }
        for bad in ["+", "\"\"", "UNKNOWN", "20261301"] {
            assert_eq!(iso_8601(bad.as_bytes()), None, "{bad}");
        }
    }
}
