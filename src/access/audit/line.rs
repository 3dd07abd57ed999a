//! One line of the audit trail: who did what to whose record, when, in which role, and why.

use std::fmt;

use crate::domain::{nhs_number::NhsNumber, time::Timestamp};

use super::{
    Hash,
    bytes::{Reader, Writer},
};

/// The form of [`Line::encode`].
const VERSION: u8 = 1;
/// Names, roles, device: longer than any that is real, in bytes.
pub const FIELD_BYTES_MAX: usize = 256;
/// The user's own words: 500 characters of up to four bytes.
pub const REASON_BYTES_MAX: usize = 2_000;
/// A line at its longest: ten fields, the reason, and fixed parts; to spare.
pub const LINE_BYTES_MAX: usize = 8 << 10;

/// One deed that is on record. No clinical content. Its `Debug` shows neither patient nor reason.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Line {
    /// When, by the clock of whoever did it.
    pub at: Timestamp,
    /// Who: the account's id, an operator such as `uid 1000`, or `polygate` itself.
    pub user: String,
    /// Their name at that time.
    pub name: String,
    /// Their roles at that time, comma-separated.
    pub roles: String,
    /// Their national job role, such as `R8000`; empty if unknown.
    pub job_role: String,
    /// Their organisation's ODS code.
    pub organisation: String,
    /// From which device.
    pub device: String,
    /// What they did or tried, as a stable word such as `record.view`.
    pub deed: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Whose record, if it was about one.
    pub patient: Option<NhsNumber>,
    /// What of theirs: a permit, an appointment, a message, an account.
    pub handle: String,
    /// On what ground it was allowed or refused.
    pub ground: String,
    /// Why, in the user's own words.
    pub reason: String,
    /// The digest of what was shown.
    pub shown: Option<Hash>,
    /// The request's trace id.
    pub trace: String,
}

/// What came of a deed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outcome {
    /// It was done.
    #[default]
    Done,
    /// It was not allowed.
    Refused,
    /// It was allowed, and did not succeed.
    Failed,
}

impl Outcome {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Line {
    /// The line's bytes, the same for the same line. Fields beyond their limits are cut, and end with `…`.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer(Vec::with_capacity(256));
        writer.byte(VERSION);
        writer.signed(self.at.0);
        writer.byte(match self.outcome {
            Outcome::Done => 0,
            Outcome::Refused => 1,
            Outcome::Failed => 2,
        });
        match &self.patient {
            Some(patient) => writer.text(patient.as_str()),
            None => writer.text(""),
        }
        for (text, bytes_max) in self.texts() {
            writer.text(&shortened(text, bytes_max));
        }
        match &self.shown {
            Some(shown) => {
                writer.byte(1);
                writer.array(shown);
            }
            None => writer.byte(0),
        }
        writer.0
    }

    /// Reads what [`Line::encode`] wrote, and nothing else: one line has one form.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if LINE_BYTES_MAX < bytes.len() || reader.byte()? != VERSION {
            return None;
        }
        let at = Timestamp(reader.signed()?);
        let outcome = match reader.byte()? {
            0 => Outcome::Done,
            1 => Outcome::Refused,
            2 => Outcome::Failed,
            _ => return None,
        };
        let patient = match reader.text()? {
            "" => None,
            digits => Some(NhsNumber::parse(digits).ok().filter(|number| number.as_str() == digits)?),
        };
        let mut line = Self { at, outcome, patient, ..Self::default() };
        for (text, bytes_max) in line.texts_mut() {
            let read = reader.text()?;
            if bytes_max < read.len() {
                return None;
            }
            read.clone_into(text);
        }
        line.shown = match reader.byte()? {
            0 => None,
            1 => Some(reader.array()?),
            _ => return None,
        };
        reader.0.is_empty().then_some(line)
    }

    /// The fields of text in the order in which they are written.
    fn texts(&self) -> [(&String, usize); 11] {
        [
            (&self.user, FIELD_BYTES_MAX),
            (&self.name, FIELD_BYTES_MAX),
            (&self.roles, FIELD_BYTES_MAX),
            (&self.job_role, FIELD_BYTES_MAX),
            (&self.organisation, FIELD_BYTES_MAX),
            (&self.device, FIELD_BYTES_MAX),
            (&self.deed, FIELD_BYTES_MAX),
            (&self.handle, FIELD_BYTES_MAX),
            (&self.ground, FIELD_BYTES_MAX),
            (&self.reason, REASON_BYTES_MAX),
            (&self.trace, FIELD_BYTES_MAX),
        ]
    }

    fn texts_mut(&mut self) -> [(&mut String, usize); 11] {
        [
            (&mut self.user, FIELD_BYTES_MAX),
            (&mut self.name, FIELD_BYTES_MAX),
            (&mut self.roles, FIELD_BYTES_MAX),
            (&mut self.job_role, FIELD_BYTES_MAX),
            (&mut self.organisation, FIELD_BYTES_MAX),
            (&mut self.device, FIELD_BYTES_MAX),
            (&mut self.deed, FIELD_BYTES_MAX),
            (&mut self.handle, FIELD_BYTES_MAX),
            (&mut self.ground, FIELD_BYTES_MAX),
            (&mut self.reason, REASON_BYTES_MAX),
            (&mut self.trace, FIELD_BYTES_MAX),
        ]
    }
}

/// A text of at most so many bytes; a cut one says that it was cut.
fn shortened(text: &str, bytes_max: usize) -> String {
    const CUT: char = '…';
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut short = String::with_capacity(bytes_max);
    for character in text.chars() {
        if bytes_max < short.len() + character.len_utf8() + CUT.len_utf8() {
            break;
        }
        short.push(character);
    }
    short.push(CUT);
    short
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("at", &self.at)
            .field("user", &self.user)
            .field("deed", &self.deed)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
