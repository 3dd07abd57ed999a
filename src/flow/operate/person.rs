//! What operators see of patients: which systems say what sort of thing, and the content only with a [`Reveal`].
//!
//! [`Reveal`]: super::Reveal

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        nhs_number::NhsNumber,
        record::{Identifier, ItemKind},
        time::Timestamp,
    },
    store,
};

/// Cases that are listed at once; if there are so many, there may be more.
pub const CASES_MAX: usize = store::CASES_MAX;

/// Which record to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordQuery {
    /// Whose.
    pub nhs_number: NhsNumber,
    /// Only items of this kind, and what systems say differently about them.
    pub kind: Option<ItemKind>,
}

/// One patient's record: its shape, which has no patient data, and its content. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct RecordDetail {
    /// When it was put together: what ages are measured from.
    pub at: Timestamp,
    /// The kinds that have items.
    pub sections: Vec<SectionShape>,
    /// The kinds that have none. Nobody has said so: [`RecordDetail::notes`] and the systems' links say why.
    pub empty: Vec<ItemKind>,
    /// What systems say differently.
    pub disputes: Vec<DisputeShape>,
    /// What may be missing or old.
    pub notes: Vec<NoteShape>,
    /// Items that their sources have withdrawn, and that are not shown; of all kinds.
    pub withdrawn: u64,
    /// What it says; only with a [`Reveal`](super::Reveal).
    pub content: Option<RecordContent>,
}

impl fmt::Debug for RecordDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordDetail({} sections)", self.sections.len())
    }
}

/// How much of one kind there is.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct SectionShape {
    /// The kind.
    pub kind: ItemKind,
    /// Items; what two systems say alike is one.
    pub items: u64,
    /// Those of them that systems say differently.
    pub disputed: u64,
    /// Who says so.
    pub sources: Vec<SourceShape>,
}

/// How much of one kind one system says.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct SourceShape {
    /// The configured name of the system.
    pub system: String,
    /// From an answer that is kept for a while, not from messages.
    pub cached: bool,
    /// Items.
    pub items: u64,
    /// When the newest of them was said.
    pub newest: Timestamp,
}

/// What systems say differently, without what they say.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct DisputeShape {
    /// A stable code, such as `birth-date` or `result-value`.
    pub about: String,
    /// How often.
    pub count: u64,
    /// Between whom.
    pub systems: Vec<String>,
}

/// What may be missing or old, without the source's words.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct NoteShape {
    /// The system it is about; empty if about all.
    pub system: String,
    /// A stable code, such as `not-linked` or `confidential-items`; `other` if it is none.
    pub code: String,
}

/// What a record says, as far as it fits a reply.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct RecordContent {
    /// The number that joins the systems.
    pub nhs_number: NhsNumber,
    /// What each system calls the patient.
    pub identifiers: Vec<(String, Identifier)>,
    /// What may be missing or old, in the sources' words: system, code and text.
    pub notes: Vec<(String, String, String)>,
    /// What systems say differently.
    pub disputes: Vec<DisputeContent>,
    /// The items, in the order of [`ItemKind::ALL`], newest first.
    pub items: Vec<ItemContent>,
    /// So many things are not shown, for they would be too much.
    pub unshown: u64,
}

/// One disagreement.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct DisputeContent {
    /// As in [`DisputeShape::about`].
    pub about: String,
    /// Who says what; nothing if they do not say.
    pub claims: Vec<(String, String)>,
}

/// One item.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct ItemContent {
    /// What it is.
    pub kind: ItemKind,
    /// Systems say it differently.
    pub disputed: bool,
    /// Who says so, the newest first.
    pub sources: Vec<ItemSource>,
    /// Its fields as received; what is longer than 16 KiB is cut.
    pub fields: BTreeMap<String, String>,
}

/// Who says an item.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct ItemSource {
    /// The configured name of the system.
    pub system: String,
    /// That system's key for it.
    pub key: String,
    /// The sender's identifier of the message; empty for an answer.
    pub source_id: String,
    /// When it was so, by the source's clock; of a cached answer, when it was answered.
    pub said_at: Timestamp,
    /// From an answer that is kept for a while.
    pub cached: bool,
}

/// Names a case in which people must decide who is who: 16 hexadecimal digits, which tell nothing of the patient.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId(String);

/// The text names no case. It does not repeat the text, which may be a patient's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a case is named by its 16 hexadecimal digits, as `polygate match list` shows them")]
pub struct InvalidCaseId;

impl CaseId {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CaseId {
    type Err = InvalidCaseId;

    fn from_str(text: &str) -> Result<Self, InvalidCaseId> {
        let is_one = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_one { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidCaseId) }
    }
}

impl TryFrom<String> for CaseId {
    type Error = InvalidCaseId;

    fn try_from(text: String) -> Result<Self, InvalidCaseId> {
        text.parse()
    }
}

impl From<CaseId> for String {
    fn from(id: CaseId) -> Self {
        id.0
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A case in which people must decide who is who. No patient data.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct CaseSummary {
    /// What to call it, the same until the record view is made anew.
    pub id: String,
    /// Why the number was not followed, a stable code: `number-not-verified` or `two-numbers`.
    pub doubt: String,
    /// When the first message of the person with the number was received.
    pub since: Timestamp,
    /// The system of each person who gave the number and was not linked to it.
    pub persons: Vec<String>,
    /// The system of each person who holds the number.
    pub holders: Vec<String>,
}

/// A case with what is known of each side. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct CaseDetail {
    /// The case.
    pub case: CaseSummary,
    /// Those who gave the number and were not linked to it.
    pub persons: Vec<CasePerson>,
    /// Those who hold the number.
    pub holders: Vec<CasePerson>,
    /// The names of the demographic fields in which any two of them differ, as written.
    pub differing: Vec<String>,
    /// The number; only with a [`Reveal`](super::Reveal).
    pub nhs_number: Option<NhsNumber>,
}

impl fmt::Debug for CaseDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaseDetail").field("case", &self.case).finish_non_exhaustive()
    }
}

/// One person of a case, as one system knows them.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct CasePerson {
    /// The configured name of the system.
    pub system: String,
    /// Whether it says that the number is verified.
    pub verified: bool,
    /// How many items besides demographics it has said of them.
    pub items: u64,
    /// The names of the demographic fields it gives.
    pub fields: Vec<String>,
    /// Who they are; only with a [`Reveal`](super::Reveal).
    pub content: Option<PersonContent>,
}

/// Who one person is, as one system knows them.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct PersonContent {
    /// One of the system's identifiers for them.
    pub identifier: Identifier,
    /// The newest of each demographic field.
    pub demographics: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_named_by_sixteen_digits_and_nothing_else() {
        assert_eq!("0123456789ABCDEF".parse::<CaseId>().map(String::from), Ok("0123456789abcdef".to_owned()));
        for bad in ["", "9990000018", "0123456789abcdeg", "0123456789abcdef0"] {
            let error = bad.parse::<CaseId>().unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
    }
}
