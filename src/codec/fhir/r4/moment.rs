//! Moments as FHIR writes them, never more precise than their source was (R4, section 2.24, dateTime).
//!
//! FHIR wants an offset with each time of day. A source in London that gives none means the clock on its wall; in the
//! hour that comes twice each autumn nobody knows which one it means, and the day alone is told. Seconds that a source
//! did not give are zero, as FHIR says.

use std::{ops::Range, sync::LazyLock};

use jiff::{civil, tz::TimeZone};

use crate::domain::time::Timestamp;

static LONDON: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC));

/// A moment as received, taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Parts<'a> {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    /// Hour, minute, second, and the digits behind it.
    time: Option<(i8, i8, i8, &'a str)>,
    /// Minutes from UTC.
    offset: Option<i32>,
}

/// A `dateTime`; none if the text is no moment.
pub(super) fn date_time(text: &str) -> Option<String> {
    let parts = parse(text)?;
    let day = day_of(&parts);
    let (Some(time), Some(date)) = (parts.time, civil_date(&parts)) else { return Some(day) };
    Some(with_time(date, time, parts.offset).unwrap_or(day))
}

/// A `date`: the day of a moment, or the month or year.
pub(super) fn date(text: &str) -> Option<String> {
    Some(day_of(&parse(text)?))
}

/// An `instant`; none if the text is not that precise.
pub(super) fn instant(text: &str) -> Option<String> {
    date_time(text).filter(|moment| moment.contains('T'))
}

/// An `instant` of a clock; none beyond the calendar.
pub(super) fn of(moment: Timestamp) -> Option<String> {
    instant(&moment.to_string())
}

/// The `instant` some minutes after another; none if the text is no number of minutes.
pub(super) fn after(instant: &str, minutes: &str) -> Option<String> {
    let minutes: i64 = minutes.trim().parse::<u16>().ok()?.into();
    let (start, _) = span(instant)?;
    let seconds = offset(instant.get(instant.len().checked_sub(6)?..)?)? * 60;
    let zone = TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?);
    let end = jiff::Timestamp::from_millisecond(start + minutes * 60_000).ok()?.to_zoned(zone);
    Some(end.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// The span of milliseconds since 1970 that a moment as FHIR writes it may stand for, its end excluded.
pub(super) fn span(text: &str) -> Option<(i64, i64)> {
    let parts = parse(text)?;
    let date = civil::Date::new(parts.year, parts.month.unwrap_or(1), parts.day.unwrap_or(1)).ok()?;
    let start_of = |date: civil::Date| Some(date.to_zoned(LONDON.clone()).ok()?.timestamp().as_millisecond());
    let Some((hour, minute, second, fraction)) = parts.time else {
        let after = match (parts.month, parts.day) {
            (None, _) => date.checked_add(jiff::Span::new().years(1)),
            (_, None) => date.checked_add(jiff::Span::new().months(1)),
            _ => date.tomorrow(),
        };
        return Some((start_of(date)?, start_of(after.ok()?)?));
    };
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let local = date.at(hour, minute, second.min(59), 0);
    let zone = match parts.offset {
        Some(minutes) => TimeZone::fixed(jiff::tz::Offset::from_seconds(minutes * 60).ok()?),
        None => LONDON.clone(),
    };
    let start = local.to_zoned(zone).ok()?.timestamp().as_millisecond() + digits.parse::<i64>().ok()?;
    Some((start, start + if fraction.is_empty() { 1000 } else { 1 }))
}

fn day_of(parts: &Parts<'_>) -> String {
    let Parts { year, month, day, .. } = *parts;
    match (month, day) {
        (Some(month), Some(day)) => format!("{year:04}-{month:02}-{day:02}"),
        (Some(month), None) => format!("{year:04}-{month:02}"),
        (None, _) => format!("{year:04}"),
    }
}

fn civil_date(parts: &Parts<'_>) -> Option<civil::Date> {
    civil::Date::new(parts.year, parts.month?, parts.day?).ok()
}

fn with_time(date: civil::Date, time: (i8, i8, i8, &str), offset: Option<i32>) -> Option<String> {
    let (hour, minute, second, fraction) = time;
    let minutes = match offset {
        Some(minutes) => minutes,
        None => {
            let local = date.at(hour, minute, second.min(59), 0);
            let zoned = LONDON.to_ambiguous_zoned(local).unambiguous().ok()?;
            zoned.offset().seconds() / 60
        }
    };
    let (sign, away) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
    let point = if fraction.is_empty() { "" } else { "." };
    // A leap second is told as the second before: many readers know no other.
    let second = second.min(59);
    Some(format!(
        "{date}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{sign}{:02}:{:02}",
        away / 60,
        away % 60
    ))
}

/// Reads ISO 8601 (`2026-01-05T09:30:00.5+01:00`, `2026-01`) and HL7 v2 (`202601050930+0100`).
fn parse(text: &str) -> Option<Parts<'_>> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    let is_dashed = text.get(4..5) == Some("-");
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, clock),
        None if is_dashed => (text, ""),
        None => text.split_at_checked(8.min(text.len()))?,
    };
    let digits = date.replace('-', "");
    let is_right = [4, 6, 8].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    // `2026-0105` is nobody's way of writing.
    if !is_right || (is_dashed && date.len() != digits.len() + (digits.len() - 4) / 2) {
        return None;
    }
    let number = |range: Range<usize>| digits.get(range).and_then(|digits| digits.parse::<i8>().ok());
    let (month, day) = (number(4..6), number(6..8));
    let year: i16 = digits.get(..4)?.parse().ok()?;
    // Some write what they do not know as zeros.
    let month = month.filter(|month| *month != 0);
    let day = day.filter(|day| *day != 0 && month.is_some());
    civil::Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok().filter(|_| 0 < year)?;
    let (time, offset) = if clock.is_empty() || day.is_none() { (None, None) } else { time(clock)? };
    Some(Parts { year, month, day, time, offset })
}

type Time<'a> = (Option<(i8, i8, i8, &'a str)>, Option<i32>);

fn time(clock: &str) -> Option<Time<'_>> {
    let (clock, offset) = match clock.find(['Z', '+', '-']) {
        None => (clock, None),
        Some(at) => {
            let (clock, zone) = clock.split_at_checked(at)?;
            (clock, Some(offset(zone)?))
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let digits = clock.replace(':', "");
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(&digits) || !is_digits(fraction) || 9 < fraction.len() {
        return None;
    }
    let part = |range: Range<usize>| digits.get(range).and_then(|digits| digits.parse::<i8>().ok());
    match digits.len() {
        // An hour without minutes: FHIR cannot say that.
        0 | 2 => Some((None, None)),
        4 | 6 => {
            let (hour, minute) = (part(0..2)?, part(2..4)?);
            let second = if digits.len() == 6 { part(4..6)? } else { 0 };
            let is_right = hour < 24 && minute < 60 && second < 61;
            is_right.then_some((Some((hour, minute, second, fraction)), offset))
        }
        _ => None,
    }
}

/// `Z`, `+01:00` or `+0100`, in minutes.
fn offset(zone: &str) -> Option<i32> {
    if zone == "Z" {
        return Some(0);
    }
    let digits = zone.get(1..)?.replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    let away = hours * 60 + minutes;
    // FHIR: up to fourteen hours.
    (minutes < 60 && away <= 14 * 60).then_some(if zone.starts_with('-') { -away } else { away })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_no_more_precise_than_their_source() {
        for (text, moment) in [
            ("2026", Some("2026")),
            ("202601", Some("2026-01")),
            ("2026-01-05", Some("2026-01-05")),
            ("20260105", Some("2026-01-05")),
            ("19850000", Some("1985")),
            ("2026010509", Some("2026-01-05")),
            ("202601050930", Some("2026-01-05T09:30:00+00:00")),
            ("2026-07-05T09:30:00", Some("2026-07-05T09:30:00+01:00")),
            ("2026-07-05 09:30", Some("2026-07-05T09:30:00+01:00")),
            ("20260705093000.123-0500", Some("2026-07-05T09:30:00.123-05:00")),
            ("2026-07-05T08:30:00Z", Some("2026-07-05T08:30:00+00:00")),
            ("2026-10-25T01:30:00", Some("2026-10-25")),
            ("2026-03-29T01:30:00", Some("2026-03-29")),
            ("2026-12-31T23:59:60Z", Some("2026-12-31T23:59:59+00:00")),
            ("2026-02-30", None),
            ("2026-0105", None),
            ("0000", None),
            ("2026-01-05T25:00:00Z", None),
            ("2026-01-05T09:00:00+15:00", None),
            ("about 1990", None),
            ("２０２６", None),
            ("", None),
        ] {
            assert_eq!(date_time(text).as_deref(), moment, "{text}");
        }
        assert_eq!(instant("2026-01-05"), None);
        assert_eq!(date("202601050930").as_deref(), Some("2026-01-05"));
        assert_eq!(of(Timestamp(0)).as_deref(), Some("1970-01-01T00:00:00.000+00:00"));
        assert_eq!(of(Timestamp(i64::MAX)), None);
    }

    #[test]
    fn an_end_follows_from_a_length() {
        let end = after("2026-07-05T09:55:00+01:00", "10");
        assert_eq!(end.as_deref(), Some("2026-07-05T10:05:00+01:00"));
        assert_eq!(after("2026-07-05T09:55:00+01:00", "soon"), None);
        assert_eq!(after("2026", "10"), None);
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for text in ["2026", "2026-01", "2026-07-05", "2026-07-05T09:30:00.5+01:00"] {
            assert_eq!(date_time(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_moment_stands_for_as_long_as_it_is_imprecise() {
        let long = |text: &str| span(text).map(|(from, to)| to - from);
        assert_eq!(long("2026-01-05T09:30:00Z"), Some(1000));
        assert_eq!(long("2026-01-05T09:30:00.5Z"), Some(1));
        assert_eq!(long("2026-01-05"), Some(86_400_000));
        assert_eq!(long("2026-03-29"), Some(23 * 3_600_000), "the day of summer time");
        assert_eq!(long("2026-02"), Some(28 * 86_400_000));
        assert_eq!(
            span("1970").map(|(from, _)| from),
            Some(-3_600_000),
            "London kept summer time that winter"
        );
        assert_eq!(span("yesterday"), None);
    }
}
