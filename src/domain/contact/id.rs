//! The name of a contact: short enough for every return, and saying nothing of the patient.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A contact's name, for ever: 100 bits as 20 characters of `0-9` and `A-Z` without I, L, O and U.
///
/// It fits CARE CONTACT IDENTIFIER (an20) as it is, CDS UNIQUE IDENTIFIER (an35) behind an organisation code, and
/// ATTENDANCE IDENTIFIER (an12) as [`ContactId::short`].
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContactId(u128);

/// The text names no contact.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a contact's name is {} characters of 0-9 and A-Z without I, L, O and U", ContactId::LENGTH)]
pub struct InvalidContactId;

/// Crockford's digits of base 32: none is mistaken for another.
const DIGITS: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl ContactId {
    /// Characters of a name.
    pub const LENGTH: usize = 20;
    /// Characters of [`ContactId::short`]: 60 bits, so that among ten million contacts two are alike with a chance of
    /// 1 in 23,000; the ledger's `quality` check names them if ever they are.
    pub const SHORT_LENGTH: usize = 12;
    const BITS: u32 = 100;

    /// The name with these bits; those above the hundredth are dropped.
    pub const fn of(bits: u128) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    /// The first 12 characters, for fields that hold no more.
    pub fn short(self) -> String {
        let mut text = self.to_string();
        text.truncate(Self::SHORT_LENGTH);
        text
    }

    /// The hundred bits.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..Self::BITS / 5).rev() {
            let digit = usize::try_from((self.0 >> (place * 5)) & 31).unwrap_or_default();
            f.write_str(std::str::from_utf8(&DIGITS[digit..=digit]).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContactId {
    type Err = InvalidContactId;

    fn from_str(text: &str) -> Result<Self, InvalidContactId> {
        if text.len() != Self::LENGTH {
            return Err(InvalidContactId);
        }
        text.bytes()
            .try_fold(0_u128, |bits, byte| {
                let digit = DIGITS.iter().position(|digit| *digit == byte)?;
                Some((bits << 5) | u128::try_from(digit).ok()?)
            })
            .map(Self)
            .ok_or(InvalidContactId)
    }
}

impl TryFrom<String> for ContactId {
    type Error = InvalidContactId;

    fn try_from(text: String) -> Result<Self, InvalidContactId> {
        text.parse()
    }
}

impl From<ContactId> for String {
    fn from(id: ContactId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_as_it_is_written_and_in_no_other_way() {
        for bits in [0, 1, 31, 32, u128::MAX, 0x1234_5678_9ABC_DEF0_1234_5678] {
            let id = ContactId::of(bits);
            assert_eq!(id.to_string().len(), ContactId::LENGTH);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.short().len(), ContactId::SHORT_LENGTH);
        }
        for text in ["", "0", &"0".repeat(21), "0000000000000000000I", "0000000000000000000a"] {
            assert_eq!(text.parse::<ContactId>(), Err(InvalidContactId), "{text}");
        }
    }
}
