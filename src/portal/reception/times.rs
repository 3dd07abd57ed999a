//! Moments, days and ages as the desk reads and writes them: London's civil time, `Today 14:05`, `dd-Mmm-yyyy`.

use std::time::Duration;

use jiff::{ToSpan as _, Unit, civil::Date};

use crate::{domain::time::Timestamp, flow::words::london};

/// A moment: `Today 14:05`, `Tomorrow 09:00`, `Yesterday 16:40` or `18-Nov-2026 14:05`.
pub(in crate::portal) fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{} {}", near(day(at), day(now)).unwrap_or_else(|| date(day(at))), clock(at))
}

/// The time of day: `14:05`.
pub(in crate::portal) fn clock(at: Timestamp) -> String {
    let zoned = jiff::Timestamp::from_millisecond(at.0).map(|moment| moment.to_zoned(london()));
    zoned.map_or_else(|_| at.to_string(), |zoned| zoned.strftime("%H:%M").to_string())
}

/// The day on which a moment falls; the first of 1970 for one that no calendar knows.
pub(in crate::portal) fn day(at: Timestamp) -> Date {
    let zoned = jiff::Timestamp::from_millisecond(at.0).map(|moment| moment.to_zoned(london()));
    zoned.map_or(jiff::civil::date(1970, 1, 1), |zoned| zoned.date())
}

/// When a day begins.
pub(in crate::portal) fn start_of(day: Date) -> Timestamp {
    day.to_zoned(london()).map_or(Timestamp(0), |zoned| Timestamp(zoned.timestamp().as_millisecond()))
}

/// The day after, or the same at the end of the calendar.
pub(in crate::portal) fn next(day: Date) -> Date {
    day.tomorrow().unwrap_or(day)
}

/// So many days later, or the same at the end of the calendar.
pub(super) fn later(day: Date, days: u16) -> Date {
    day.checked_add(i64::from(days).days()).unwrap_or(day)
}

/// A date: `18-Nov-2026`.
pub(in crate::portal) fn date(day: Date) -> String {
    day.strftime("%d-%b-%Y").to_string()
}

/// A day as a heading: `Today, Monday 23-Nov-2026`.
pub(in crate::portal) fn heading(day: Date, today: Date) -> String {
    let text = plain(day);
    near(day, today).map_or(text.clone(), |near| format!("{near}, {text}"))
}

/// A time in full, as it is said and printed: `Monday 23-Nov-2026, 11:00 to 11:20`.
pub(super) fn full(start: Timestamp, end: Timestamp) -> String {
    format!("{}, {} to {}", plain(day(start)), clock(start), clock(end))
}

/// A day that says nothing of today: `Monday 23-Nov-2026`.
pub(in crate::portal) fn plain(day: Date) -> String {
    format!("{} {}", day.strftime("%A"), date(day))
}

/// How long: `45 min`, `2 h`, `1 h 15 min`.
pub(in crate::portal) fn length(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A date as forms and systems write it, `YYYY-MM-DD`.
pub(super) fn read(text: &str) -> Option<Date> {
    text.trim().parse().ok()
}

/// A date of birth as systems write it, for people: `18-Nov-1950`; as it came if it is no whole date.
pub(in crate::portal) fn birth(text: &str) -> String {
    read(text).map_or_else(|| text.to_owned(), date)
}

/// An age as clinical systems show it (NHS Common User Interface, Patient Banner): days, weeks, months, years.
pub(in crate::portal) fn age(birth: &str, today: Date) -> Option<String> {
    let born = read(birth)?;
    let days = born.until(today).ok()?.get_days();
    let span = born.until((Unit::Year, today)).ok()?;
    let (years, months) = (span.get_years(), span.get_months());
    Some(match (years, months) {
        _ if days < 0 => return None,
        _ if days < 28 => format!("{days}d"),
        (0, _) => format!("{}w", days / 7),
        (1, months) => format!("{}m", 12 + months),
        (2..18, months) => format!("{years}y {months}m"),
        _ => format!("{years}y"),
    })
}

fn near(day: Date, today: Date) -> Option<String> {
    let words =
        [(Some(today), "Today"), (today.tomorrow().ok(), "Tomorrow"), (today.yesterday().ok(), "Yesterday")];
    words.into_iter().find(|(known, _)| *known == Some(day)).map(|(_, word)| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn moments_say_the_day_by_its_distance() {
        let now = at("2026-07-01T08:00:00Z");
        for (text, shown) in [
            ("2026-07-01T13:05:59Z", "Today 14:05"),
            ("2026-07-01T23:30:00Z", "Tomorrow 00:30"),
            ("2026-06-30T08:00:00Z", "Yesterday 09:00"),
            ("2026-11-18T14:05:00Z", "18-Nov-2026 14:05"),
        ] {
            assert_eq!(moment(at(text), now), shown);
        }
        assert_eq!(heading(day(now), day(now)), "Today, Wednesday 01-Jul-2026");
    }

    #[test]
    fn a_day_is_as_long_as_summer_time_makes_it() {
        let change = read("2026-03-29").unwrap();
        assert_eq!(start_of(next(change)).since(start_of(change)), Duration::from_secs(23 * 3600));
        assert_eq!(day(start_of(change)), change);
        assert_eq!(later(change, 14), read("2026-04-12").unwrap());
    }

    #[test]
    fn ages_are_as_precise_as_they_matter() {
        let today = read("2026-11-23").unwrap();
        for (born, shown) in [
            ("2026-11-23", Some("0d")),
            ("2026-11-01", Some("22d")),
            ("2026-10-01", Some("7w")),
            ("2025-10-01", Some("13m")),
            ("2013-03-10", Some("13y 8m")),
            ("1950-11-24", Some("75y")),
            ("2027-01-01", None),
            ("1950", None),
        ] {
            assert_eq!(age(born, today).as_deref(), shown, "{born}");
        }
    }

    #[test]
    fn lengths_read_well() {
        assert_eq!(
            [15, 60, 75].map(|minutes| length(Duration::from_secs(minutes * 60))),
            ["15 min", "1 h", "1 h 15 min"]
        );
    }
}
