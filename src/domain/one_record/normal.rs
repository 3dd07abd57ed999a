//! The same thing in one form: moments, numbers, units, reference ranges and abnormal flags. Whatever is in doubt stays
//! as it was, so that it is equal to nothing else.

use serde::Serialize;

use crate::domain::time::Timestamp;

/// A moment as precise as its source gave it, on the clock of the place.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct When {
    /// Year, month and day as one number; month and day are zero where they are not given.
    date: u32,
    /// Minutes since midnight, and seconds; none if only a date was given.
    time: Option<(u32, u32)>,
    /// The clock's difference from UTC, in minutes, if it was given.
    offset: Option<i32>,
}

impl When {
    /// Reads ISO 8601 (`2026-01-05T09:30:00+00:00`, `2026-01`) and HL7 v2 (`202601050930`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, clock) = match text.split_once(['T', ' ']) {
            Some((date, clock)) => (date.to_owned(), clock),
            None if text.contains('-') && text.get(4..5) == Some("-") => (text.to_owned(), ""),
            None => (text.get(..8.min(text.len()))?.to_owned(), text.get(8.min(text.len())..)?),
        };
        let date = date.replace('-', "");
        if ![4, 6, 8].contains(&date.len()) {
            return None;
        }
        let date: u32 = format!("{date:0<8}").parse().ok()?;
        let (clock, offset) = offset(clock)?;
        let clock = clock.split('.').next()?.replace(':', "");
        let time = match clock.len() {
            0 => None,
            4 | 6 => {
                let part = |at: usize| match clock.get(at..at + 2) {
                    Some(digits) => digits.parse::<u32>().ok(),
                    None => (clock.len() <= at).then_some(0),
                };
                let (hour, minute, second) = (part(0)?, part(2)?, part(4)?);
                (hour < 24 && minute < 60 && second < 61).then_some(Some((hour * 60 + minute, second)))?
            }
            _ => return None,
        };
        Some(Self { date, time, offset: offset.filter(|_| time.is_some()) })
    }

    /// The moment of a clock, in UTC; none beyond the calendar.
    pub fn of(moment: Timestamp) -> Option<Self> {
        Self::parse(&moment.to_string())
    }

    /// Whether it is precise to the day at least.
    pub const fn is_day(self) -> bool {
        !self.date.is_multiple_of(100)
    }

    /// Whether it has a time of day.
    pub const fn has_time(self) -> bool {
        self.time.is_some()
    }

    /// The day alone.
    pub const fn day(self) -> u32 {
        self.date
    }

    /// Whether both are the same moment for sure. A day is not the same as a time on it, nor an hour on a clock
    /// of unknown place the same as another place's.
    pub fn is_same(self, other: Self) -> bool {
        match (self.time, other.time, self.offset, other.offset) {
            (None, None, ..) => self.date == other.date && self.is_day(),
            (Some(one), Some(two), Some(here), Some(there)) if here != there => {
                // Within one day: across midnight it is left in doubt.
                let utc = |(minutes, seconds): (u32, u32), offset: i32| {
                    (i64::from(minutes) - i64::from(offset), seconds)
                };
                self.date == other.date && utc(one, here) == utc(two, there)
            }
            (Some(one), Some(two), ..) => self.date == other.date && one == two,
            _ => false,
        }
    }
}

/// Splits `+01:00`, `+0100` or `Z` off a time of day.
fn offset(clock: &str) -> Option<(&str, Option<i32>)> {
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, Some(0)));
    }
    let Some(at) = clock.find(['+', '-']) else { return Some((clock, None)) };
    let (clock, zone) = clock.split_at_checked(at)?;
    let digits = zone.get(1..)?.replace(':', "");
    let minutes: i32 = digits.get(..2)?.parse::<i32>().ok()? * 60 + digits.get(2..4)?.parse::<i32>().ok()?;
    Some((clock, Some(if zone.starts_with('-') { -minutes } else { minutes })))
}

/// A decimal number without what does not change it: `+07.20` is `7.2`. Other texts with single spaces, in lower case.
pub fn value(text: &str) -> String {
    decimal(text.trim()).unwrap_or_else(|| words(text))
}

/// Lower case, single spaces.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn decimal(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || digits.trim_matches('.').is_empty() {
        return None;
    }
    let whole = Some(whole.trim_start_matches('0')).filter(|digits| !digits.is_empty()).unwrap_or("0");
    let part = part.trim_end_matches('0');
    let sign = if whole == "0" && part.is_empty() { "" } else { sign };
    Some(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

/// Units with one spelling for what has several: the litre, the micro sign and powers of ten. Case is kept, for `mU` is
/// not `MU`.
pub fn units(text: &str) -> String {
    let mut units: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    units = units.replace(['\u{b5}', '\u{3bc}'], "u");
    for power in ["x10*", "x10^", "10*", "*10^"] {
        units = units.replace(power, "10^");
    }
    match units.strip_suffix("/l") {
        Some(above) => format!("{above}/L"),
        None => units,
    }
}

/// An abnormal flag, whatever its source called it (HL7 table 0078; PMIP; FHIR v2-0078).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// Within the range.
    Normal,
    /// Not normal, in no said direction.
    Abnormal,
    /// Below the range.
    Low,
    /// Above the range.
    High,
    /// Not normal, and dangerous.
    CriticalAbnormal,
    /// Dangerously low.
    CriticalLow,
    /// Dangerously high.
    CriticalHigh,
}

/// The gravest of the flags in a field; none if there is none that is known.
pub fn flag(text: &str) -> Option<Flag> {
    let known = |word: &str| match word.trim().to_ascii_uppercase().as_str() {
        "N" | "NORMAL" => Some(Flag::Normal),
        "A" | "ABNORMAL" | "PA" => Some(Flag::Abnormal),
        "L" | "LO" | "LOW" | "LU" => Some(Flag::Low),
        "H" | "HI" | "HIGH" | "HU" => Some(Flag::High),
        "AA" => Some(Flag::CriticalAbnormal),
        "LL" | "<" => Some(Flag::CriticalLow),
        "HH" | ">" => Some(Flag::CriticalHigh),
        _ => None,
    };
    text.split(['~', ',', ';', ' ', '\n']).filter_map(known).max()
}

/// A reference range. The text as received stays beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Range {
    /// The least normal value, if there is one.
    pub low: Option<f64>,
    /// The greatest normal value, if there is one.
    pub high: Option<f64>,
    /// Whether the bound itself is not normal any more (`<5`).
    pub exclusive: bool,
}

/// Reads `3.5 - 5.3`, `3.5-5.3`, `< 5`, `<=5`, `>60`; none if there is anything else in it.
pub fn range(text: &str) -> Option<Range> {
    let text = text.trim().replace('\u{2013}', "-");
    let number = |text: &str| decimal(text.trim())?.parse::<f64>().ok();
    for (sign, exclusive) in [("<=", false), ("\u{2264}", false), ("<", true)] {
        if let Some(bound) = text.strip_prefix(sign) {
            return Some(Range { low: None, high: Some(number(bound)?), exclusive });
        }
    }
    for (sign, exclusive) in [(">=", false), ("\u{2265}", false), (">", true)] {
        if let Some(bound) = text.strip_prefix(sign) {
            return Some(Range { low: Some(number(bound)?), high: None, exclusive });
        }
    }
    // The first character may be the sign of a negative bound.
    let dash = text.char_indices().skip(1).find(|(_, character)| *character == '-')?.0;
    let (low, high) = text.split_at_checked(dash)?;
    let (low, high) = (number(low)?, number(high.strip_prefix('-')?)?);
    (low <= high).then_some(Range { low: Some(low), high: Some(high), exclusive: false })
}

impl Range {
    /// Where a value lies; none if it is no plain number.
    pub fn place(&self, value: &str) -> Option<Flag> {
        let value: f64 = decimal(value.trim())?.parse().ok()?;
        let beyond = |bound: Option<f64>, is_beyond: fn(f64, f64) -> bool| {
            bound.is_some_and(|bound| {
                is_beyond(value, bound) || (self.exclusive && value.total_cmp(&bound).is_eq())
            })
        };
        Some(if beyond(self.low, |value, low| value < low) {
            Flag::Low
        } else if beyond(self.high, |value, high| high < value) {
            Flag::High
        } else {
            Flag::Normal
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_the_same_only_for_sure() {
        let same = |one: &str, other: &str| {
            let (one, other) = (When::parse(one).unwrap(), When::parse(other).unwrap());
            assert_eq!(one.is_same(other), other.is_same(one));
            one.is_same(other)
        };
        assert!(same("2026-01-05T09:30:00+00:00", "202601050930"));
        assert!(same("2026-01-05T09:30:00Z", "20260105093000.123+0000"));
        assert!(same("2026-06-05T10:30:00+01:00", "2026-06-05T09:30:00Z"));
        assert!(same("2026-01-05", "20260105"));
        assert!(!same("2026-01-05", "2026-01-05T00:00:00"));
        assert!(!same("2026-06-05T10:30:00+01:00", "2026-06-05T09:30:00"), "a clock of unknown place");
        assert!(!same("2026-01-05T09:30:00", "2026-01-05T09:30:25"));
        assert!(!same("2026", "2026") && !same("2026-01", "2026-01"), "any day of it");
        for bad in [
            "",
            "yesterday",
            "2026-01-05T25:00",
            "20260",
            "2026-01-05T09",
            "２０２６",
            "é26-01-05",
            "2026-01-05Té9:0",
        ] {
            assert_eq!(When::parse(bad), None, "{bad}");
        }
        assert!(When::parse("2025-12-31") < When::parse("2026"));
    }

    #[test]
    fn numbers_and_units_have_one_spelling() {
        assert_eq!([value("+07.20"), value("7.2"), value("-0.0"), value(".50")], ["7.2", "7.2", "0", "0.5"]);
        assert_eq!([value("Not  Detected"), value("1.2.3"), value(".")], ["not detected", "1.2.3", "."]);
        assert_eq!(
            [units("mmol/l"), units("\u{b5}mol/ L"), units("x10*9/l")],
            ["mmol/L", "umol/L", "10^9/L"]
        );
        assert_ne!(units("mU/L"), units("MU/L"));
    }

    #[test]
    fn flags_and_ranges_are_read_or_left_alone() {
        assert_eq!(
            (flag("H~HH"), flag("n"), flag("resistant"), flag("")),
            (Some(Flag::CriticalHigh), Some(Flag::Normal), None, None)
        );
        let place = |range_text: &str, value: &str| range(range_text)?.place(value);
        assert_eq!(place("3.5 - 5.3", "5.4"), Some(Flag::High));
        assert_eq!(place("3.5-5.3", "5.30"), Some(Flag::Normal));
        assert_eq!(place("-2 - 2", "-2.1"), Some(Flag::Low));
        assert_eq!((place("<5", "5"), place("\u{2264} 5", "5")), (Some(Flag::High), Some(Flag::Normal)));
        assert_eq!(place(">=60", "59"), Some(Flag::Low));
        assert_eq!(place("3.5-5.3", "<3"), None);
        for odd in ["", "3.5", "5-3", "see text", "M: 3-5; F: 2-4", "3-5-7"] {
            assert_eq!(range(odd), None, "{odd}");
        }
    }
}
