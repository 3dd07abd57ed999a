//! What was refused for good, and what operators may do about it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::domain::{ids::Class, time::Timestamp};

use super::{InvalidMessageId, MessageId, Reveal};

/// An entry that waits for a decision.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct ParkedEntry {
    /// What to call it in `parked show`, `release`, `skip` and `resend`.
    pub number: u64,
    /// Who refused it: [`CENTRE`], or a system by its configured name.
    pub destination: String,
    /// Its class.
    pub class: Class,
    /// What kind, such as `ADT^A31`.
    pub kind: String,
    /// From which system.
    pub system: String,
    /// The sender's own identifier.
    pub source_id: String,
    /// Why it was refused.
    pub reason: String,
    /// When it was parked.
    pub at: Timestamp,
    /// How many messages of its patient wait behind it. The centre takes others meanwhile.
    pub behind: u64,
}

/// What [`ParkedEntry::destination`] says of the centre.
pub const CENTRE: &str = "centre";

/// A message to be sent to one system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resend {
    /// Which: a parked entry's number, or a message's name.
    pub what: ResendWhat,
    /// To which system, by its configured name.
    pub to: String,
    /// Leave to see its content.
    pub reveal: Option<Reveal>,
    /// Whether it is to be sent; else it is only looked at.
    pub confirmed: bool,
}

/// Names what is to be sent again.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResendWhat {
    /// A parked entry.
    Parked(u64),
    /// Any message the journal still has.
    Message(MessageId),
}

impl FromStr for ResendWhat {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        // A number has up to ten digits; a message's name of digits alone has 32.
        match text.parse() {
            Ok(number) if text.len() < 32 => Ok(Self::Parked(number)),
            _ => text.parse().map(Self::Message),
        }
    }
}

impl TryFrom<String> for ResendWhat {
    type Error = InvalidMessageId;

    fn try_from(text: String) -> Result<Self, InvalidMessageId> {
        text.parse()
    }
}

impl From<ResendWhat> for String {
    fn from(what: ResendWhat) -> Self {
        match what {
            ResendWhat::Parked(number) => number.to_string(),
            ResendWhat::Message(id) => id.to_string(),
        }
    }
}

/// What would be sent.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct Preview {
    /// To whom.
    pub destination: String,
    /// What kind, such as `ADT^A31`.
    pub kind: String,
    /// From which system.
    pub system: String,
    /// The sender's own identifier.
    pub source_id: String,
    /// How long it would be, in bytes.
    pub size_bytes: u64,
    /// Why nothing can be made of it for this destination; empty otherwise.
    pub fault: String,
    /// What would be sent, as [`printable`] shows it; only with a [`Reveal`].
    pub content: Option<String>,
}

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview").field("destination", &self.destination).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again_is_a_number_or_a_message() {
        let parse = |text: &str| text.parse::<ResendWhat>();
        assert_eq!(parse("4294967295"), Ok(ResendWhat::Parked(4_294_967_295)));
        let digits = "01234567890123456789012345678901";
        assert_eq!(parse(digits), Ok(ResendWhat::Message(MessageId::Id(digits.to_owned()))));
        let source = MessageId::Source { system: "rio".to_owned(), source_id: "7".to_owned() };
        assert_eq!(parse("rio/7"), Ok(ResendWhat::Message(source)));
        assert_eq!(parse("rio"), Err(InvalidMessageId));
    }
}
