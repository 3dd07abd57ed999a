//! A short code as national lists and local tables have it, held in place.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A code of 1 to [`Code::LENGTH_MAX`] printable ASCII characters without spaces at its ends: a treatment function, an
/// ODS code, a SNOMED CT identifier, a postcode. It is not said here whether any list has it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code {
    length: u8,
    bytes: [u8; Self::LENGTH_MAX],
}

/// The text cannot be a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a code is 1 to {} printable ASCII characters", Code::LENGTH_MAX)]
pub struct InvalidCode;

impl Code {
    /// The longest is a pathway identifier or a local reference of 20; a SNOMED CT identifier has up to 18.
    pub const LENGTH_MAX: usize = 23;

    /// The code as text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl FromStr for Code {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        let text = text.trim();
        let legal = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let mut bytes = [0; Self::LENGTH_MAX];
        if text.is_empty() || !legal {
            return Err(InvalidCode);
        }
        bytes.get_mut(..text.len()).ok_or(InvalidCode)?.copy_from_slice(text.as_bytes());
        Ok(Self { length: u8::try_from(text.len()).map_err(|_| InvalidCode)?, bytes })
    }
}

impl TryFrom<String> for Code {
    type Error = InvalidCode;

    fn try_from(text: String) -> Result<Self, InvalidCode> {
        text.parse()
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A postcode is a code too: `Debug` shows only how long it is.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({} characters)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_as_it_was_written() {
        for text in ["653", "5LC01", "SW1A 1AA", "1324681000000101", &"9".repeat(Code::LENGTH_MAX)] {
            assert_eq!(text.parse::<Code>().unwrap().as_str(), text);
        }
        assert_eq!(" 320 ".parse::<Code>().unwrap().as_str(), "320");
        for text in ["", "  ", "é", "a\u{0}", &"9".repeat(Code::LENGTH_MAX + 1)] {
            assert!(text.parse::<Code>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_postcode() {
        assert_eq!(format!("{:?}", "SW1A 1AA".parse::<Code>().unwrap()), "Code(8 characters)");
    }
}
