//! Names of slots, offers, appointments and requests, as they cross the wire and stand in forms.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::domain::{ids::HubId, time::Timestamp};

/// One place in one time of one session: what a token is about.
///
/// As text `hub/session@start#place`, with the start in milliseconds since 1970; the hub is the one where the clinic
/// happens.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlotId {
    /// Where the clinic happens, and so who owns the slot first.
    pub home: HubId,
    /// The session in that hub's configuration.
    pub session: HubId,
    /// When the slot begins.
    pub start: Timestamp,
    /// Which of the places at that time, from 1.
    pub place: u16,
}

/// Who may sell a slot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The centre.
    Centre,
    /// This hub.
    Hub(HubId),
}

macro_rules! hexadecimal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let legal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                if text.len() != 32 || !text.bytes().all(legal) {
                    return Err(InvalidName);
                }
                u128::from_str_radix(text, 16).map(Self).map_err(|_| InvalidName)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

hexadecimal! {
    /// An appointment's name in the polysystem, random, as 32 hexadecimal digits: it says nothing of the patient.
    AppointmentId
}
hexadecimal! {
    /// A request's name, chosen once by whoever asks: the same request twice has one effect.
    RequestId
}

/// What exactly is offered: either a token's slot, or a slot in another system's own book.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OfferKey {
    /// A slot that is sold by whoever has its token.
    Token(SlotId),
    /// A slot that its own system sells.
    System {
        /// The system's configured name.
        system: String,
        /// The system's id of the session.
        schedule: String,
        /// The system's id of the slot.
        slot: String,
    },
}

/// Where an act stands among its desk's: by incarnation, then by number.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ActPlace {
    /// The ledger's incarnation.
    pub incarnation: u64,
    /// The desk's how manieth act.
    pub number: u64,
}

impl ActPlace {
    /// Where a desk's question stands that it asks before its first act: in no order with any other.
    pub const QUESTION: Self = Self { incarnation: 0, number: 0 };

    /// Whether an act here is the next after this one: nothing lies between, as far as anybody can know.
    pub const fn is_followed_by(self, next: Self) -> bool {
        if self.incarnation == next.incarnation {
            return next.number == self.number + 1;
        }
        self.incarnation < next.incarnation && next.number <= self.number + 1
    }
}

/// How far a hub has heard others' acts: said in its condition, so that the centre sends what comes after.
pub type HeardThrough = BTreeMap<HubId, ActPlace>;

/// The text is no such name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a name that polygate has made")]
pub struct InvalidName;

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}#{}", self.home, self.session, self.start.0, self.place)
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SlotId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (home, rest) = text.split_once('/').ok_or(InvalidName)?;
        let (session, rest) = rest.split_once('@').ok_or(InvalidName)?;
        let (start, place) = rest.split_once('#').ok_or(InvalidName)?;
        let slot = Self {
            home: home.parse().map_err(|_| InvalidName)?,
            session: session.parse().map_err(|_| InvalidName)?,
            start: Timestamp(start.parse().map_err(|_| InvalidName)?),
            place: place.parse().map_err(|_| InvalidName)?,
        };
        // One name for one slot: neither `+1` nor `01`.
        if slot.to_string() == text { Ok(slot) } else { Err(InvalidName) }
    }
}

impl TryFrom<String> for SlotId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<SlotId> for String {
    fn from(slot: SlotId) -> Self {
        slot.to_string()
    }
}

impl fmt::Display for OfferKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(slot) => write!(f, "token|{slot}"),
            Self::System { system, schedule, slot } => {
                let escaped = |text: &str| text.replace('\\', "\\\\").replace('|', "\\p");
                write!(f, "system|{}|{}|{}", escaped(system), escaped(schedule), escaped(slot))
            }
        }
    }
}

impl FromStr for OfferKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let unescaped = |text: &str| {
            let mut plain = String::new();
            let mut characters = text.chars();
            while let Some(character) = characters.next() {
                plain.push(match (character, character == '\\') {
                    (_, true) => match characters.next() {
                        Some('\\') => '\\',
                        Some('p') => '|',
                        _ => return Err(InvalidName),
                    },
                    (character, false) => character,
                });
            }
            Ok(plain)
        };
        match text.split('|').collect::<Vec<_>>().as_slice() {
            ["token", slot] => slot.parse().map(Self::Token),
            ["system", system, schedule, slot] => Ok(Self::System {
                system: unescaped(system)?,
                schedule: unescaped(schedule)?,
                slot: unescaped(slot)?,
            }),
            _ => Err(InvalidName),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_in_no_other_way() {
        for text in ["token|soho/feet-mon@1795000000000#2", r"system|emis|sched\p1|slot\\9"] {
            assert_eq!(text.parse::<OfferKey>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "token|soho/feet@+5#1",
            "token|soho/feet@5#01",
            "token|/feet@5#1",
            "token|soho/feet@5#70000",
            "system|a|b",
            r"system|a|b|c\x",
        ] {
            assert!(text.parse::<OfferKey>().is_err(), "{text}");
        }
        let id = AppointmentId(7);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("+0000000000000000000000000000007".parse::<AppointmentId>().is_err());
    }
}
