//! What a receiver holds of us: which records, as of which digest. The next version says what differs from it.

use std::{collections::BTreeMap, io};

use jiff::civil::{Date, DateTime};

use crate::{
    activity::codes::csv::{self, CsvError},
    domain::contact::{ContactId, Dataset},
};

/// What is known of a record that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It was sent.
    Sent,
    /// The receiver took it.
    Accepted,
    /// The receiver did not: what they hold of it is not known, and it is sent again.
    Rejected,
}

impl Standing {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Sent, "sent"), (Self::Accepted, "accepted"), (Self::Rejected, "rejected")];

    const fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

/// One record that a receiver holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Held {
    /// As which data set.
    pub dataset: Dataset,
    /// The day on which it is counted.
    pub day: Date,
    /// The first half of the SHA-256 of its body.
    pub digest: [u8; 16],
    /// What became of it.
    pub standing: Standing,
}

/// Every record that the receiver of one return holds, over all periods: a contact that was moved into another month
/// is the same record there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holding {
    /// By contact.
    pub records: BTreeMap<ContactId, Held>,
    /// The moment, by London's clocks, with which the last version said that it applies; none before the first.
    pub applies: Option<DateTime>,
}

/// Why a file does not say what a receiver holds.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeldError {
    /// It is no such table.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// A value that cannot be what its column says.
    #[error("line {0}: a value is not what its column says")]
    Value(usize),
}

const COLUMNS: [&str; 5] = ["contact", "data-set", "day", "digest", "standing"];
/// The row that has [`Holding::applies`] in place of a day.
const APPLIES: &str = "applies";

impl Holding {
    /// Writes it as CSV: no patient, only names of contacts and digests.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        csv::write(out, COLUMNS)?;
        let applies = self.applies.map(|applies| applies.to_string()).unwrap_or_default();
        csv::write(out, [APPLIES, "", &applies, "", ""])?;
        for (id, held) in &self.records {
            let (id, day) = (id.to_string(), held.day.to_string());
            let digest = super::files::hexadecimal(&held.digest);
            csv::write(out, [&*id, held.dataset.word(), &*day, &*digest, held.standing.word()])?;
        }
        Ok(())
    }

    /// Reads what [`Holding::write`] wrote.
    ///
    /// # Errors
    /// Says on which line what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, HeldError> {
        let mut holding = Self::default();
        for (line, cells) in csv::read(bytes, &COLUMNS)? {
            let [id, dataset, day, digest, standing] = cells.as_slice() else { continue };
            if id == APPLIES {
                holding.applies = if day.is_empty() {
                    None
                } else {
                    Some(day.parse().map_err(|_| HeldError::Value(line))?)
                };
                continue;
            }
            let held = held(dataset, day, digest, standing).ok_or(HeldError::Value(line))?;
            let id = id.parse().map_err(|_| HeldError::Value(line))?;
            if holding.records.insert(id, held).is_some() {
                return Err(HeldError::Value(line));
            }
        }
        Ok(holding)
    }
}

fn held(dataset: &str, day: &str, digest: &str, standing: &str) -> Option<Held> {
    let standing = Standing::ALL.iter().find(|(_, word)| *word == standing)?.0;
    if digest.len() != 32 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digest = u128::from_str_radix(digest, 16).ok()?.to_be_bytes();
    Some(Held { dataset: Dataset::of(dataset)?, day: day.parse().ok()?, digest, standing })
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn reads_back_as_it_was_written() {
        let held =
            |standing| Held { dataset: Dataset::Cds020, day: date(2026, 5, 4), digest: [0x0f; 16], standing };
        let holding = Holding {
            records: BTreeMap::from([
                (ContactId::of(1), held(Standing::Accepted)),
                (ContactId::of(7), held(Standing::Rejected)),
            ]),
            applies: Some(datetime(2026, 6, 3, 12, 0, 0, 0)),
        };
        let mut bytes = Vec::new();
        holding.write(&mut bytes).unwrap();
        assert_eq!(Holding::read(&bytes), Ok(holding));
        let text = String::from_utf8(bytes).unwrap().replace("accepted", "liked");
        assert_eq!(Holding::read(text.as_bytes()), Err(HeldError::Value(3)));
    }
}
