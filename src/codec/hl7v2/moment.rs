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
    let (digits, offset) = split_offset(value);
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

/// The part before `+hhmm` or `-hhmm`, and that offset in minutes.
fn split_offset(value: &[u8]) -> (&[u8], Option<i32>) {
    let Some((rest, tail)) = value.split_last_chunk::<5>() else { return (value, None) };
    let [sign, digits @ ..] = tail;
    // A date with separators may end in "-0505" too: an offset follows at least an hour.
    let long_enough = 10 <= rest.iter().filter(|byte| byte.is_ascii_digit()).count();
    if !matches!(sign, b'+' | b'-') || !digits.iter().all(u8::is_ascii_digit) || !long_enough {
        return (value, None);
    }
    let [h1, h2, m1, m2] = digits.map(|digit| i32::from(digit - b'0'));
    let minutes = (h1 * 10 + h2) * 60 + m1 * 10 + m2;
    (rest, Some(if *sign == b'-' { -minutes } else { minutes }))
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
            ("20260115235960", "2026-01-15T23:59:59.000Z"),
            ("20260329005959", "2026-03-29T00:59:59.000Z"),
            ("20260329020000", "2026-03-29T01:00:00.000Z"),
            ("20261025015959", "2026-10-25T00:59:59.000Z"),
            ("20261025020000", "2026-10-25T02:00:00.000Z"),
        ] {
            let found = parse_moment(text.as_bytes()).map(|moment| moment.to_string());
            assert_eq!(found.as_deref(), Some(shown), "{text}");
        }
        for bad in ["", "tomorrow", "20261301", "20260230", "2026011525", "+", "+0100", "\"\"", "999"] {
            assert_eq!(parse_moment(bad.as_bytes()), None, "{bad}");
        }
    }
}
