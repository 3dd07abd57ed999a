//! How operators read moments, ages, counts and sizes: the same words in the portal and on the command line.

use std::{sync::LazyLock, time::Duration};

use jiff::{civil::Date, tz::TimeZone};

use crate::domain::time::Timestamp;

/// The rule for civil time in England since 1996 (2000/84/EC as retained), so that no zone database is needed.
const LONDON: &str = "GMT0BST,M3.5.0/1,M10.5.0/2";

static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::posix(LONDON).unwrap_or(TimeZone::UTC));

/// The time zone in which people here live.
pub fn london() -> TimeZone {
    ZONE.clone()
}

/// A moment in London's civil time: `Today 14:05:09`, `Yesterday 14:05:09` or `3 Nov 2026 14:05:09`.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let (Some((date, time)), Some((today, _))) = (civil(at), civil(now)) else {
        return at.to_string();
    };
    if date == today {
        return format!("Today {time}");
    }
    if Some(date) == today.yesterday().ok() {
        return format!("Yesterday {time}");
    }
    format!("{} {time}", date.strftime("%-d %b %Y"))
}

/// How long ago something was: `just now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 days ago`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let age = now.since(at);
    if age < Duration::from_secs(2) { "just now".to_owned() } else { format!("{} ago", duration(age)) }
}

/// A duration in its largest unit, rounded down: `12 s`, `3 min`, `2 h`, `5 days`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        86_400..172_800 => "1 day".to_owned(),
        _ => format!("{} days", grouped(seconds / 86_400)),
    }
}

/// A count with its thousands apart: `1,204`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if 0 < index && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted: `1 message`, `1,204 messages`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Bytes in the largest binary unit, to a tenth: `512 bytes`, `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if unit <= bytes {
            // The remainder is less than 2^40, so ten times it fits.
            return format!("{}.{} {name}", grouped(bytes / unit), bytes % unit * 10 / unit);
        }
    }
    counted(bytes, "byte", "bytes")
}

/// Text from outside as one safe line: control characters, which could steer a terminal, become `\u{..}`.
pub fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { safe.extend(character.escape_unicode()) } else { safe.push(character) }
    }
    safe
}

fn civil(at: Timestamp) -> Option<(Date, String)> {
    let zoned = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(ZONE.clone());
    Some((zoned.date(), zoned.strftime("%H:%M:%S").to_string()))
}

/// The word for a code of HL7 table 0001, or of the NHS Data Dictionary (PERSON GENDER CODE).
pub fn gender(code: &str) -> &'static str {
    match code.to_ascii_uppercase().as_str() {
        "M" | "1" | "MALE" => "male",
        "F" | "2" | "FEMALE" => "female",
        "O" | "A" | "9" | "OTHER" => "other",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn moments_are_in_londons_civil_time() {
        let winter = at("2026-11-18T14:05:09Z");
        assert_eq!(moment(winter, winter), "Today 14:05:09");
        let summer = at("2026-07-01T23:30:00Z");
        assert_eq!(moment(summer, at("2026-07-02T09:00:00Z")), "Today 00:30:00");
        assert_eq!(moment(winter, at("2026-11-19T00:00:01Z")), "Yesterday 14:05:09");
        assert_eq!(moment(summer, winter), "2 Jul 2026 00:30:00");
    }

    #[test]
    fn summer_time_begins_and_ends_at_one_o_clock_utc() {
        let now = at("2030-01-01T00:00:00Z");
        assert_eq!(moment(at("2026-03-29T00:59:59Z"), now), "29 Mar 2026 00:59:59");
        assert_eq!(moment(at("2026-03-29T01:00:00Z"), now), "29 Mar 2026 02:00:00");
        assert_eq!(moment(at("2026-10-25T00:59:59Z"), now), "25 Oct 2026 01:59:59");
        assert_eq!(moment(at("2026-10-25T01:00:00Z"), now), "25 Oct 2026 01:00:00");
    }

    #[test]
    fn a_moment_no_calendar_knows_is_still_shown() {
        assert_eq!(moment(Timestamp(i64::MAX), Timestamp(0)), format!("{} ms", i64::MAX));
    }

    #[test]
    fn ages_are_in_their_largest_unit() {
        let now = Timestamp(1_000_000_000_000);
        let seconds_ago = |seconds: i64| ago(Timestamp(now.0 - seconds * 1000), now);
        assert_eq!(seconds_ago(-5), "just now");
        assert_eq!(seconds_ago(12), "12 s ago");
        assert_eq!(seconds_ago(180), "3 min ago");
        assert_eq!(seconds_ago(7_300), "2 h ago");
        assert_eq!(seconds_ago(86_400), "1 day ago");
        assert_eq!(seconds_ago(500_000), "5 days ago");
    }

    #[test]
    fn counts_and_sizes_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "message", "messages"), "1 message");
        assert_eq!(
            [0, 1, 1_023, 1_536, u64::MAX].map(size),
            ["0 bytes", "1 byte", "1,023 bytes", "1.5 KiB", "16,777,215.9 TiB"]
        );
    }

    #[test]
    fn a_line_cannot_steer_a_terminal() {
        assert_eq!(line("a\x1b[31m\nb\u{9b}"), "a\\u{1b}[31m\\u{a}b\\u{9b}");
    }
}
