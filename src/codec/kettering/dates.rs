//! Dates whose writers disagree on whether day or month comes first.

use jiff::civil::{Date, Time};

/// Which of day and month comes first after the year.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DateOrder {
    /// CCYYDDMM, as Vision describes it.
    #[default]
    DayMonth,
    /// CCYYMMDD.
    MonthDay,
}

/// Which orders a date can be in.
fn orders(text: &str) -> Vec<DateOrder> {
    [DateOrder::DayMonth, DateOrder::MonthDay]
        .into_iter()
        .filter(|order| parse(text, *order).is_some())
        .collect()
}

/// The order that every date of a letter agrees with and one at least decides; none if they leave it open, or if
/// they contradict one another.
pub(super) fn order_of<'a>(texts: impl Iterator<Item = &'a str>) -> Option<DateOrder> {
    let mut decided = None;
    for text in texts {
        if let [only] = orders(text)[..] {
            if decided.is_some_and(|before| before != only) {
                return None;
            }
            decided = Some(only);
        }
    }
    decided
}

/// A date or a date and time (`CCYY` and four digits, then `HHMM` or `HHMMSS`), in an order. Times are local.
pub(super) fn parse(text: &str, order: DateOrder) -> Option<String> {
    let digits = text.trim();
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<i8>().ok());
    let (first, second) = (part(4, 6)?, part(6, 8)?);
    let (day, month) = match order {
        DateOrder::DayMonth => (first, second),
        DateOrder::MonthDay => (second, first),
    };
    let date = Date::new(digits.get(..4)?.parse().ok()?, month, day).ok()?;
    if digits.len() == 8 {
        return Some(date.to_string());
    }
    let time = Time::new(part(8, 10)?, part(10, 12)?, part(12, 14).unwrap_or(0), 0).ok()?;
    let seconds = digits.get(12..14).map(|seconds| format!(":{seconds}")).unwrap_or_default();
    Some(format!("{date}T{:02}:{:02}{seconds}", time.hour(), time.minute()))
}

/// The same, in whatever order gives a date, if only one does or both give the same.
pub(super) fn parse_alone(text: &str) -> Option<String> {
    let mut found: Vec<String> = orders(text).into_iter().filter_map(|order| parse(text, order)).collect();
    found.dedup();
    match <[String; 1]>::try_from(found) {
        Ok([one]) => Some(one),
        Err(_) => None,
    }
}

/// An ISO 8601 moment in an order: a date, or a date with hours and minutes.
pub(super) fn write(moment: &str, order: DateOrder) -> String {
    let digits: String = moment.chars().filter(char::is_ascii_digit).take(12).collect();
    let (Some(year), Some(month), Some(day)) = (digits.get(..4), digits.get(4..6), digits.get(6..8)) else {
        return String::new();
    };
    let time = digits.get(8..12).unwrap_or_default();
    match order {
        DateOrder::DayMonth => format!("{year}{day}{month}{time}"),
        DateOrder::MonthDay => format!("{year}{month}{day}{time}"),
    }
}
