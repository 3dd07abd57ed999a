//! NHS numbers: ten digits with a Modulus 11 check digit (NHS Data Dictionary, NHS NUMBER).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A valid NHS number. Its `Debug` shows no digit.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NhsNumber([u8; 10]);

/// Why a text is not a valid NHS number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvalidNhsNumber {
    /// Nothing was given.
    #[error("no NHS number")]
    Absent,
    /// Other than ten digits, once spaces and hyphens are left out.
    #[error("an NHS number has ten digits")]
    NotTenDigits,
    /// The check digit does not agree with the other nine.
    #[error("the NHS number's check digit is wrong")]
    CheckDigit,
    /// Passes the arithmetic but is a filler: one digit repeated, or 0123456789.
    #[error("the NHS number is a filler, not a number that was issued")]
    Filler,
}

impl NhsNumber {
    /// Reads an NHS number; spaces and hyphens between digits are ignored, as people write 3-3-4.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidNhsNumber> {
        let mut digits = [0_u8; 10];
        let mut count = 0;
        for byte in text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            if !byte.is_ascii_digit() || count == digits.len() {
                return Err(InvalidNhsNumber::NotTenDigits);
            }
            digits[count] = byte;
            count += 1;
        }
        match count {
            0 => return Err(InvalidNhsNumber::Absent),
            10 => {}
            _ => return Err(InvalidNhsNumber::NotTenDigits),
        }
        if digits.iter().all(|digit| *digit == digits[0]) || &digits == b"0123456789" {
            return Err(InvalidNhsNumber::Filler);
        }
        if check_digit(&digits) == Some(digits[9] - b'0') {
            Ok(Self(digits))
        } else {
            Err(InvalidNhsNumber::CheckDigit)
        }
    }

    /// The ten digits without spaces.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Weights 10 to 2 over the first nine digits; 11 less the remainder; 11 counts as 0, 10 as none.
fn check_digit(digits: &[u8; 10]) -> Option<u8> {
    let sum: u32 = (2..=10).rev().zip(digits).map(|(weight, digit)| weight * u32::from(digit - b'0')).sum();
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        digit => u8::try_from(digit).ok(),
    }
}

impl TryFrom<String> for NhsNumber {
    type Error = InvalidNhsNumber;

    fn try_from(text: String) -> Result<Self, InvalidNhsNumber> {
        Self::parse(&text)
    }
}

impl From<NhsNumber> for String {
    fn from(number: NhsNumber) -> Self {
        number.as_str().to_owned()
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_modulus_11() {
        for good in ["9990000018", "999 000 0018", "999-000-0026", "9990000034"] {
            assert!(NhsNumber::parse(good).is_ok(), "{good}: {:?}", NhsNumber::parse(good));
        }
        assert_eq!(NhsNumber::parse("9990000019"), Err(InvalidNhsNumber::CheckDigit));
        assert_eq!(NhsNumber::parse("1234567890"), Err(InvalidNhsNumber::CheckDigit));
    }

    #[test]
    fn refuses_stems_that_have_no_check_digit() {
        let stems = (999_000_000_u32..999_000_200).map(|stem| stem.to_string());
        let without: Vec<String> = stems
            .filter(|stem| (0..=9).all(|digit| NhsNumber::parse(&format!("{stem}{digit}")).is_err()))
            .collect();
        assert!(!without.is_empty(), "one stem in eleven has no valid check digit");
        assert!(without.len() < 40);
    }

    #[test]
    fn refuses_fillers_that_pass_the_arithmetic() {
        for digit in '0'..='9' {
            let text: String = std::iter::repeat_n(digit, 10).collect();
            assert_eq!(NhsNumber::parse(&text), Err(InvalidNhsNumber::Filler));
        }
        assert_eq!(NhsNumber::parse("0123456789"), Err(InvalidNhsNumber::Filler));
    }

    #[test]
    fn says_what_is_wrong_with_the_shape() {
        assert_eq!(NhsNumber::parse(" "), Err(InvalidNhsNumber::Absent));
        for bad in ["999000001", "99900000181", "99900000l8", "９９９", "\u{0}"] {
            assert_eq!(NhsNumber::parse(bad), Err(InvalidNhsNumber::NotTenDigits), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        let shown = format!("{:?}", NhsNumber::parse("9990000018"));
        assert!(!shown.contains('9'), "{shown}");
    }
}
