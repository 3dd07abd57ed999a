//! What became of each contact in a return, and the sums that must come out.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::activity::codes::derived::NoCode;

use super::Item;

/// Why a contact that was routed to a return is not in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Omission {
    /// Its record is sealed: it never leaves.
    Sealed,
    /// The patient is restricted: nothing about them leaves.
    Restricted,
    /// The patient has opted out of secondary use. Only where the return is one.
    OptedOut,
    /// It was entered in error.
    Withdrawn,
    /// A code does not follow from its facts.
    NoCode(NoCode),
    /// An item that must be there is not known.
    Missing(Item),
    /// It is not counted in the period of the return.
    OtherPeriod,
    /// It was routed to another data set.
    OtherReturn,
    /// The price list has no price for it.
    NoPrice,
    /// It was for nothing but telling a result.
    ResultOnly,
    /// It did not take place, and so is not paid for.
    NotAttended,
    /// Another patient has the same local number, or another's referral the same: rows would name both.
    Ambiguous(Item),
    /// A contact of this name was taken before.
    Twice,
}

impl Omission {
    /// The reason in a word, for files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Restricted => "restricted",
            Self::OptedOut => "opted-out",
            Self::Withdrawn => "withdrawn",
            Self::NoCode(_) => "no-code",
            Self::Missing(_) => "missing-item",
            Self::OtherPeriod => "other-period",
            Self::OtherReturn => "other-return",
            Self::NoPrice => "no-price",
            Self::ResultOnly => "result-only",
            Self::NotAttended => "not-attended",
            Self::Ambiguous(_) => "ambiguous",
            Self::Twice => "twice",
        }
    }
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed => f.write_str("its record is sealed"),
            Self::Restricted => f.write_str("the patient is restricted"),
            Self::OptedOut => f.write_str("the patient has opted out of secondary use"),
            Self::Withdrawn => f.write_str("it was entered in error"),
            Self::NoCode(why) => write!(f, "{why}"),
            Self::Missing(item) => write!(f, "{} is not known", item.name()),
            Self::OtherPeriod => f.write_str("it is counted in another period"),
            Self::OtherReturn => f.write_str("it was routed to another data set"),
            Self::NoPrice => f.write_str("the price list has no price for it"),
            Self::ResultOnly => f.write_str("it was for nothing but telling a result"),
            Self::NotAttended => f.write_str("it did not take place, and is not paid for"),
            Self::Ambiguous(item) => write!(f, "{} names another patient too", item.name()),
            Self::Twice => f.write_str("a contact of this name was taken before"),
        }
    }
}

impl From<NoCode> for Omission {
    fn from(why: NoCode) -> Self {
        Self::NoCode(why)
    }
}

/// What became of a contact that was put into a return.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disposition {
    /// It is in the files.
    Written,
    /// The receiver has it already as it is.
    Unchanged,
    /// It is not in the return.
    Omitted(Omission),
}

/// The sums of a built return.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Totals {
    /// Contacts that were put in.
    pub taken: u64,
    /// Of them, those that took place: what the funnel says was routed here.
    pub attended: u64,
    /// Contacts in the files.
    pub written: u64,
    /// Contacts that the receiver has already as they are.
    pub unchanged: u64,
    /// Contacts that are not in the return, by [`Omission::word`].
    pub omitted: BTreeMap<String, u64>,
    /// Records that are taken back: of contacts that are no longer in the return.
    pub deleted: u64,
    /// Items that are known but that their definition has no room for, by name.
    pub left_out: BTreeMap<String, u64>,
    /// Contacts in the return, written or unchanged, by ATTENDED OR DID NOT ATTEND CODE; empty code for none.
    pub by_attendance: BTreeMap<String, u64>,
    /// What they cost, in pence; only in a contract's return.
    pub pence: i64,
}

/// Sums that do not come out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Untied {
    /// Within the return itself.
    #[error("{taken} contacts were taken, and {accounted} are accounted for")]
    Inside {
        /// [`Totals::taken`].
        taken: u64,
        /// Written, unchanged and omitted.
        accounted: u64,
    },
    /// Between funnel and return.
    #[error("{routed} contacts that took place were routed to it, and {attended} were taken")]
    Funnel {
        /// What the funnel says.
        routed: u64,
        /// [`Totals::attended`].
        attended: u64,
    },
}

impl Totals {
    /// Counts a contact.
    pub(super) fn count(&mut self, disposition: Disposition, attended: &str) {
        self.taken += 1;
        match disposition {
            Disposition::Written => self.written += 1,
            Disposition::Unchanged => self.unchanged += 1,
            Disposition::Omitted(why) => {
                *self.omitted.entry(why.word().to_owned()).or_default() += 1;
                return;
            }
        }
        *self.by_attendance.entry(attended.to_owned()).or_default() += 1;
    }

    /// Contacts that the receiver has once it has taken the files.
    pub const fn in_return(&self) -> u64 {
        self.written + self.unchanged
    }

    /// Contacts that are not in the return.
    pub fn omitted(&self) -> u64 {
        self.omitted.values().sum()
    }

    /// Whether every contact is accounted for, once, and those that took place are as many as the funnel has `routed`
    /// to the return. A contract's is held to the sum of what is priced.
    ///
    /// # Errors
    /// Says which sum does not come out.
    pub fn ties(&self, routed: u64) -> Result<(), Untied> {
        let accounted = self.in_return() + self.omitted();
        if self.taken != accounted || self.by_attendance.values().sum::<u64>() != self.in_return() {
            return Err(Untied::Inside { taken: self.taken, accounted });
        }
        if self.attended != routed {
            return Err(Untied::Funnel { routed, attended: self.attended });
        }
        Ok(())
    }
}
