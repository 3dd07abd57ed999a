//! From when to when a code is valid.

use jiff::civil::Date;

/// The days on which a code may be used, both ends included; an end that is not known is open.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Validity {
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub to: Option<Date>,
}

/// Why a code cannot be used on a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotValid {
    /// No list has it.
    #[error("the list has no such code")]
    Unknown,
    /// It came later.
    #[error("the code is valid from {0} only")]
    NotYet(Date),
    /// It was retired before.
    #[error("the code was retired after {0}")]
    Retired(Date),
}

impl Validity {
    /// As far back and as far on as anybody knows.
    pub const ALWAYS: Self = Self { from: None, to: None };

    /// From a day on.
    pub const fn since(from: Date) -> Self {
        Self { from: Some(from), to: None }
    }

    /// Up to a day, and not after it.
    pub const fn until(to: Date) -> Self {
        Self { from: None, to: Some(to) }
    }

    /// Whether it is valid on a day.
    ///
    /// # Errors
    /// Says whether it is not yet valid, or no longer.
    pub fn check(self, on: Date) -> Result<(), NotValid> {
        match (self.from, self.to) {
            (Some(from), _) if on < from => Err(NotValid::NotYet(from)),
            (_, Some(to)) if to < on => Err(NotValid::Retired(to)),
            _ => Ok(()),
        }
    }

    /// Whether both are valid on some day.
    pub fn overlaps(self, other: Self) -> bool {
        let begins_before = |one: Self, end: Option<Date>| match (one.from, end) {
            (Some(from), Some(to)) => from <= to,
            _ => true,
        };
        begins_before(self, other.to) && begins_before(other, self.to)
    }

    /// Of two dates as text, each of which may be empty.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn parse(from: &str, to: &str) -> Result<Self, &'static str> {
        let date = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text.parse::<Date>().map(Some).map_err(|_| "a date is written YYYY-MM-DD"),
        };
        let valid = Self { from: date(from)?, to: date(to)? };
        match (valid.from, valid.to) {
            (Some(from), Some(to)) if to < from => Err("it ends before it begins"),
            _ => Ok(valid),
        }
    }
}
