//! Calendar months as returns have them, in London's time.

use std::{fmt, str::FromStr, sync::OnceLock};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// A month, as `YYYY-MM`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

/// The text is no month.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a month is written YYYY-MM")]
pub struct InvalidMonth;

impl Month {
    /// The month that a day is in.
    pub fn of(date: Date) -> Self {
        Self { year: date.year(), month: date.month() }
    }

    /// The month that a moment is in, in London; none for moments that no calendar has.
    pub fn at(moment: Timestamp) -> Option<Self> {
        local_date(moment).map(Self::of)
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        Date::new(self.year, self.month, 1).unwrap_or(Date::MIN)
    }

    /// Its last day.
    pub fn last_day(self) -> Date {
        self.first_day().last_of_month()
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1 },
            month => Self { year: self.year, month: month + 1 },
        }
    }
}

/// The day that a moment is on, in London; none for moments that no calendar has.
pub fn local_date(moment: Timestamp) -> Option<Date> {
    static LONDON: OnceLock<jiff::tz::TimeZone> = OnceLock::new();
    let zone =
        LONDON.get_or_init(|| jiff::tz::TimeZone::get("Europe/London").unwrap_or(jiff::tz::TimeZone::UTC));
    Some(zone.to_datetime(jiff::Timestamp::from_millisecond(moment.0).ok()?).date())
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = InvalidMonth;

    fn from_str(text: &str) -> Result<Self, InvalidMonth> {
        let date: Date = format!("{text}-01").parse().map_err(|_| InvalidMonth)?;
        let month = Self::of(date);
        if month.to_string() == text { Ok(month) } else { Err(InvalidMonth) }
    }
}

impl TryFrom<String> for Month {
    type Error = InvalidMonth;

    fn try_from(text: String) -> Result<Self, InvalidMonth> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_the_month_of_londons_clocks() {
        // 2026-06-30T23:30:00Z is half past midnight on 1 July in London.
        let moment = Timestamp(1_782_862_200_000);
        assert_eq!(Month::at(moment).unwrap().to_string(), "2026-07");
        assert_eq!("2026-12".parse::<Month>().unwrap().next().to_string(), "2027-01");
        assert_eq!("2026-02".parse::<Month>().unwrap().last_day().to_string(), "2026-02-28");
        assert!(Month::at(Timestamp(i64::MAX)).is_none());
        for text in ["", "2026", "2026-13", "2026-1", "26-01", "2026-01-01"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
