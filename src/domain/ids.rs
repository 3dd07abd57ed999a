//! Names that cross the wire: hubs, message classes, epochs and sequence numbers.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// A hub's identity: the common name of its certificate, and one level of its MQTT topics.
///
/// 1 to [`HubId::LENGTH_MAX`] characters of `a-z`, `0-9` and `-`, beginning and ending with a letter
/// or digit, so that it is safe as a file name, a topic level and a certificate's common name.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubId(Arc<str>);

impl HubId {
    /// X.509 limits a common name to 64 characters (RFC 5280, appendix A, ub-common-name).
    pub const LENGTH_MAX: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HubId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let edges = !text.starts_with('-') && !text.ends_with('-');
        if text.is_empty() || Self::LENGTH_MAX < text.len() || !edges || !text.bytes().all(legal) {
            return Err(InvalidId);
        }
        Ok(Self(Arc::from(text)))
    }
}

impl TryFrom<String> for HubId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<HubId> for String {
    fn from(id: HubId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a legal id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an id is 1 to 64 characters of a-z, 0-9 and '-', and neither begins nor ends with '-'")]
pub struct InvalidId;

/// How urgent an entry is: its share of the disk and its turn on the wire. Most urgent first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Critical results and alarms.
    Urgent,
    /// Appointments, and the tokens behind them.
    Booking,
    /// Demographics, encounters and ordinary results.
    Clinical,
    /// Contacts and returns for commissioners.
    Activity,
    /// Letters, reports and other large bodies.
    Document,
    /// Health and measurements of the hub itself.
    Telemetry,
}

impl Class {
    /// Every class, most urgent first.
    pub const ALL: [Self; 6] =
        [Self::Urgent, Self::Booking, Self::Clinical, Self::Activity, Self::Document, Self::Telemetry];

    /// Position in [`Class::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class's name in topics, commands and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Booking => "booking",
            Self::Clinical => "clinical",
            Self::Activity => "activity",
            Self::Document => "document",
            Self::Telemetry => "telemetry",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        Self::ALL.into_iter().find(|class| class.name() == text).ok_or(UnknownClass)
    }
}

/// The text names no class.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a class is one of urgent, booking, clinical, activity, document, telemetry")]
pub struct UnknownClass;

/// One unbroken life of a hub's journal. Sequence numbers begin at 1 in each epoch.
///
/// A new epoch begins at every start and after every failure of the disk, so that no sequence number is
/// ever used for two entries, whatever was lost, restored or rolled back. Greater than every earlier epoch of the same journal; fits in 53 bits,
/// so that JSON readers keep it exactly.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// An entry's place within its class and epoch: 1, 2, 3 and so on without a hole.
pub type Sequence = u64;

/// An inclusive range of sequence numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct SequenceRange {
    /// The first number in the range.
    pub first: Sequence,
    /// The last number in the range.
    pub last: Sequence,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_ids_are_safe_as_topic_file_and_common_name() {
        for good in ["a", "westminster-south", "5lc01", &"x".repeat(64)] {
            assert!(good.parse::<HubId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a/b", "a+b", "a#", "a b", "é", "..", &"x".repeat(65)] {
            assert!(bad.parse::<HubId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn class_names_read_back() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), index);
            assert_eq!(class.name().parse(), Ok(class));
        }
        assert_eq!("Urgent".parse::<Class>(), Err(UnknownClass));
    }
}
