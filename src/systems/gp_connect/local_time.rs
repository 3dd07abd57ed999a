//! Local time as GP Connect wants it: the clock on the wall in London, with its offset.

use std::sync::LazyLock;

use jiff::{Zoned, tz::TimeZone};

use crate::domain::time::Timestamp;

/// Summer time runs from the last Sunday in March to the last in October, at 01:00 UTC (Summer Time Act 1972,
/// amended 2002). Written out, so that it does not hang on what the machine has installed.
static LONDON: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0/2").unwrap_or(TimeZone::UTC));

fn zoned(moment: Timestamp) -> Zoned {
    jiff::Timestamp::from_millisecond(moment.0).unwrap_or_default().to_zoned(LONDON.clone())
}

/// `2026-07-01T09:30:00+01:00`; milliseconds only if there are any.
pub fn moment(moment: Timestamp) -> String {
    let zoned = zoned(moment);
    let milliseconds = zoned.millisecond();
    if milliseconds == 0 {
        zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    } else {
        zoned.strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
    }
}

/// The same moment without its milliseconds, which searches must not have.
pub const fn whole_second(moment: Timestamp) -> Timestamp {
    Timestamp(moment.0 - moment.0.rem_euclid(1000))
}

/// `2026-07-01`.
pub fn day(moment: Timestamp) -> String {
    zoned(moment).strftime("%Y-%m-%d").to_string()
}

/// The moment a local day begins; none if it is no day.
pub fn start_of_day(day: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = day.parse().ok()?;
    Some(Timestamp(day.to_zoned(LONDON.clone()).ok()?.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn the_offset_is_that_of_the_day() {
        for (utc, local) in [
            ("2026-01-15T09:30:00Z", "2026-01-15T09:30:00+00:00"),
            ("2026-07-01T08:30:00Z", "2026-07-01T09:30:00+01:00"),
            ("2026-03-29T00:59:59Z", "2026-03-29T00:59:59+00:00"),
            ("2026-03-29T01:00:00Z", "2026-03-29T02:00:00+01:00"),
            ("2026-10-25T00:59:59Z", "2026-10-25T01:59:59+01:00"),
            ("2026-10-25T01:00:00Z", "2026-10-25T01:00:00+00:00"),
            ("2026-10-25T01:00:00.25Z", "2026-10-25T01:00:00.250+00:00"),
        ] {
            assert_eq!(moment(at(utc)), local);
        }
        assert_eq!(day(at("2026-06-30T23:30:00Z")), "2026-07-01");
        assert_eq!(start_of_day("2026-07-01"), Some(at("2026-06-30T23:00:00Z")));
        assert_eq!(start_of_day("1st July"), None);
    }
}
