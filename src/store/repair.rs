//! What the view cannot settle by itself and lists for people.

use std::fmt;

use crate::domain::{nhs_number::InvalidNhsNumber, time::Timestamp};

/// What is wrong with a message as far as identity goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RepairKind {
    /// It has no usable NHS number, so other systems' records of this patient are not found.
    NoNhsNumber(InvalidNhsNumber),
    /// It has no identifier at all: nothing of it is in any record.
    NoIdentifier,
    /// It has an identifier that is too long, or too many of them.
    IdentifierUnusable,
    /// Its NHS number is another patient's than its local identifier.
    NhsNumberOfAnother,
    /// Its patient is known by another NHS number.
    SecondNhsNumber,
    /// One of its local identifiers is that of a patient with another NHS number.
    IdentifierOfAnother,
    /// It merged two patients with different NHS numbers.
    NhsNumbersMerged,
}

impl RepairKind {
    const ALL: [Self; 10] = [
        Self::NoNhsNumber(InvalidNhsNumber::Absent),
        Self::NoNhsNumber(InvalidNhsNumber::NotTenDigits),
        Self::NoNhsNumber(InvalidNhsNumber::CheckDigit),
        Self::NoNhsNumber(InvalidNhsNumber::Filler),
        Self::NoIdentifier,
        Self::IdentifierUnusable,
        Self::NhsNumberOfAnother,
        Self::SecondNhsNumber,
        Self::IdentifierOfAnother,
        Self::NhsNumbersMerged,
    ];

    /// Its stable code in lists and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoNhsNumber(InvalidNhsNumber::Absent) => "nhs-number-absent",
            Self::NoNhsNumber(InvalidNhsNumber::NotTenDigits) => "nhs-number-not-ten-digits",
            Self::NoNhsNumber(InvalidNhsNumber::CheckDigit) => "nhs-number-check-digit",
            Self::NoNhsNumber(InvalidNhsNumber::Filler) => "nhs-number-filler",
            Self::NoIdentifier => "no-identifier",
            Self::IdentifierUnusable => "identifier-unusable",
            Self::NhsNumberOfAnother => "nhs-number-of-another",
            Self::SecondNhsNumber => "second-nhs-number",
            Self::IdentifierOfAnother => "identifier-of-another",
            Self::NhsNumbersMerged => "nhs-numbers-merged",
        }
    }

    /// Its place in [`RepairKind::ALL`]: part of the stored format.
    pub(super) fn byte(self) -> u8 {
        let place = Self::ALL.into_iter().position(|kind| kind == self);
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// One thing to repair.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repair {
    /// What is wrong.
    pub kind: RepairKind,
    /// The system whose message it is.
    pub system: String,
    /// The message's identifier, as its sender calls it.
    pub source_id: String,
    /// When this hub took it in.
    pub received: Timestamp,
}

/// The newest things to repair.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Repairs {
    /// Newest first.
    pub newest: Vec<Repair>,
    /// How many are listed.
    pub count: usize,
    /// Older ones are no longer listed.
    pub more: bool,
}

/// A contradiction about who a patient is. Nothing was joined because of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DisagreementKind {
    /// A message gave this patient's local identifier with an NHS number that is another patient's.
    NhsNumberOfAnother,
    /// A message gave this patient an NHS number other than the known one.
    SecondNhsNumber,
    /// A message about this patient listed a local identifier of a patient with another NHS number.
    IdentifierOfAnother,
}

impl DisagreementKind {
    /// Its stable code in lists and logs.
    pub const fn code(self) -> &'static str {
        self.repair().code()
    }

    pub(super) const fn repair(self) -> RepairKind {
        match self {
            Self::NhsNumberOfAnother => RepairKind::NhsNumberOfAnother,
            Self::SecondNhsNumber => RepairKind::SecondNhsNumber,
            Self::IdentifierOfAnother => RepairKind::IdentifierOfAnother,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::NhsNumberOfAnother, Self::SecondNhsNumber, Self::IdentifierOfAnother]
            .into_iter()
            .find(|kind| kind.repair().byte() == byte)
    }
}

/// Who contradicted what is known. Its `Debug` does not show the claim.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Disagreement {
    /// When the message's event happened: the earliest, if several messages say the same.
    pub occurred: Timestamp,
    /// What is contradictory.
    pub kind: DisagreementKind,
    /// The system that says so.
    pub system: String,
    /// Its message's identifier.
    pub source_id: String,
    /// The number or identifier that does not fit.
    pub claim: String,
}

impl fmt::Debug for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disagreement({:?}, {}, {:?})", self.kind, self.system, self.occurred)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_from_its_byte_and_has_a_code_of_its_own() {
        let mut codes = std::collections::BTreeSet::new();
        for kind in RepairKind::ALL {
            assert_eq!(RepairKind::from_byte(kind.byte()), Some(kind));
            assert!(codes.insert(kind.code()));
        }
        assert_eq!(RepairKind::from_byte(200), None);
        let kind = DisagreementKind::SecondNhsNumber;
        assert_eq!(DisagreementKind::from_byte(kind.repair().byte()), Some(kind));
    }
}
