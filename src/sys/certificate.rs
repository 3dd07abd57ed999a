//! Reads what the rest of the box needs of an X.509 certificate: whose it is, and until when it is good.
//!
//! rustls checks signatures, chains and validity, and shows neither subject nor dates; a certificate library
//! brings a dozen crates. These are the two fields, read by hand from DER (RFC 5280, section 4.1). Nothing
//! here decides about trust.

use std::fmt;

use crate::domain::time::Timestamp;

/// Whose a certificate is, and until when it is good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The subject's common name: a hub's id, `centre`, or a host's name.
    pub common_name: String,
    /// The first moment it is good.
    pub not_before: Timestamp,
    /// The last moment it is good.
    pub not_after: Timestamp,
}

/// The certificate cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// Not DER, or not a certificate.
    #[error("it is not an X.509 certificate")]
    Malformed,
    /// The subject has no common name.
    #[error("its subject has no common name")]
    NoCommonName,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (until {})", self.common_name, self.not_after)
    }
}

/// DER tags (X.690) that occur on the way to the two fields.
mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const UTF8_STRING: u8 = 0x0c;
    pub(super) const PRINTABLE_STRING: u8 = 0x13;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const VERSION: u8 = 0xa0;
}

/// id-at-commonName, 2.5.4.3 (RFC 5280, appendix A).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

impl Identity {
    /// Reads a certificate's DER bytes.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn of_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (certificate, _) = element(der, tag::SEQUENCE)?;
        let (to_be_signed, _) = element(certificate, tag::SEQUENCE)?;
        let rest = element(to_be_signed, tag::VERSION).map_or(to_be_signed, |(_, rest)| rest);
        let (_serial, rest) = element(rest, tag::INTEGER)?;
        let (_algorithm, rest) = element(rest, tag::SEQUENCE)?;
        let (_issuer, rest) = element(rest, tag::SEQUENCE)?;
        let (validity, rest) = element(rest, tag::SEQUENCE)?;
        let (subject, _) = element(rest, tag::SEQUENCE)?;
        let (not_before, validity) = time(validity)?;
        let (not_after, _) = time(validity)?;
        Ok(Self { common_name: common_name(subject)?, not_before, not_after })
    }
}

/// The value of the element at the front, which must have this tag, and what comes after it.
fn element(bytes: &[u8], expected: u8) -> Result<(&[u8], &[u8]), IdentityError> {
    let (found, value, rest) = any_element(bytes)?;
    if found == expected { Ok((value, rest)) } else { Err(IdentityError::Malformed) }
}

/// The tag and value of the element at the front, and what comes after it.
fn any_element(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), IdentityError> {
    let malformed = IdentityError::Malformed;
    let (&tag, rest) = bytes.split_first().ok_or(malformed)?;
    let (&first, rest) = rest.split_first().ok_or(malformed)?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Longer than four bytes of length is no certificate.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(malformed)?;
            (digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return Err(malformed),
    };
    let (value, rest) = rest.split_at_checked(length).ok_or(malformed)?;
    Ok((tag, value, rest))
}

fn common_name(mut subject: &[u8]) -> Result<String, IdentityError> {
    while !subject.is_empty() {
        let (mut names, rest) = element(subject, tag::SET)?;
        subject = rest;
        while !names.is_empty() {
            let (name, rest) = element(names, tag::SEQUENCE)?;
            names = rest;
            let (kind, value) = element(name, tag::OBJECT_IDENTIFIER)?;
            if kind == COMMON_NAME {
                return text(value);
            }
        }
    }
    Err(IdentityError::NoCommonName)
}

fn text(value: &[u8]) -> Result<String, IdentityError> {
    match any_element(value)? {
        (tag::UTF8_STRING | tag::PRINTABLE_STRING, text, _) => {
            String::from_utf8(text.to_vec()).map_err(|_| IdentityError::Malformed)
        }
        _ => Err(IdentityError::Malformed),
    }
}

/// A UTCTime or GeneralizedTime, always in UTC and with seconds (RFC 5280, section 4.1.2.5).
fn time(bytes: &[u8]) -> Result<(Timestamp, &[u8]), IdentityError> {
    let (tag, digits, rest) = any_element(bytes)?;
    let digits = std::str::from_utf8(digits).map_err(|_| IdentityError::Malformed)?;
    let full = match tag {
        // Two-digit years from 50 on are in the twentieth century.
        tag::UTC_TIME if digits >= "50" => format!("19{digits}"),
        tag::UTC_TIME => format!("20{digits}"),
        tag::GENERALIZED_TIME => digits.to_owned(),
        _ => return Err(IdentityError::Malformed),
    };
    let moment = jiff::fmt::strtime::parse("%Y%m%d%H%M%SZ", &full)
        .and_then(|parsed| parsed.to_datetime())
        .and_then(|moment| moment.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|_| IdentityError::Malformed)?;
    Ok((Timestamp(moment.timestamp().as_millisecond()), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Wraps bytes as a DER element.
    fn der(tag: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        let mut bytes = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        bytes.extend_from_slice(value);
        bytes
    }

    fn certificate(subject: &[u8], not_after: (u8, &str)) -> Vec<u8> {
        let validity =
            [der(tag::UTC_TIME, b"500101000000Z"), der(not_after.0, not_after.1.as_bytes())].concat();
        let parts = [
            der(tag::VERSION, &der(tag::INTEGER, &[2])),
            der(tag::INTEGER, &[1]),
            der(tag::SEQUENCE, &[]),
            der(tag::SEQUENCE, &[]),
            der(tag::SEQUENCE, &validity),
            der(tag::SEQUENCE, subject),
        ];
        der(tag::SEQUENCE, &der(tag::SEQUENCE, &parts.concat()))
    }

    fn named(name: &str) -> Vec<u8> {
        let organisation =
            [der(tag::OBJECT_IDENTIFIER, &[0x55, 4, 10]), der(tag::UTF8_STRING, b"NHS")].concat();
        let common =
            [der(tag::OBJECT_IDENTIFIER, COMMON_NAME), der(tag::UTF8_STRING, name.as_bytes())].concat();
        [organisation, common].map(|name| der(tag::SET, &der(tag::SEQUENCE, &name))).concat()
    }

    #[test]
    fn reads_name_and_dates() {
        let bytes = certificate(&named("westminster-south"), (tag::GENERALIZED_TIME, "20501231235959Z"));
        let identity = Identity::of_certificate(&bytes).unwrap();
        assert_eq!(identity.common_name, "westminster-south");
        assert_eq!(identity.not_before.to_string(), "1950-01-01T00:00:00.000Z");
        assert_eq!(identity.not_after.to_string(), "2050-12-31T23:59:59.000Z");
        let soon = certificate(&named("h"), (tag::UTC_TIME, "270102030405Z"));
        let soon = Identity::of_certificate(&soon).unwrap();
        assert_eq!(soon.not_after.to_string(), "2027-01-02T03:04:05.000Z");
    }

    #[test]
    fn says_what_is_missing() {
        let nameless = certificate(&[], (tag::UTC_TIME, "270102030405Z"));
        assert_eq!(Identity::of_certificate(&nameless), Err(IdentityError::NoCommonName));
        let dateless = certificate(&named("h"), (tag::UTC_TIME, "270102"));
        assert_eq!(Identity::of_certificate(&dateless), Err(IdentityError::Malformed));
        assert_eq!(Identity::of_certificate(b"-----BEGIN"), Err(IdentityError::Malformed));
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200, at in 0_usize..200) {
            let good = certificate(&named("hub"), (tag::UTC_TIME, "270102030405Z"));
            let mut damaged = good.clone();
            damaged[at % good.len()] ^= 0x41;
            damaged.truncate(cut);
            drop(Identity::of_certificate(&damaged));
            bytes.insert(0, tag::SEQUENCE);
            drop(Identity::of_certificate(&bytes));
        }
    }
}
