//! One record of a patient from what all systems say: a pure function of their statements.
//!
//! What two systems say of one thing is folded to one item with both as sources, if it is the same beyond doubt
//! ([`fold`]). What they say differently stays as it is, item beside item, and is listed as a [`Disagreement`]. Nothing
//! is averaged, preferred or left out; withdrawn items are counted, and the record as it was has them.

mod disagree;
mod fold;
mod normal;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub use normal::{Flag, Range, When};

use super::{
    nhs_number::NhsNumber,
    record::{FieldChange, Identifier, ItemChange, ItemKind, Snapshot},
    time::Timestamp,
};

/// The version of this model: what a reader of its serialised form must know.
pub const VERSION: u8 = 1;

/// What one system says of one thing. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
pub struct Statement {
    /// What it is.
    pub kind: ItemKind,
    /// The system's key for it, made to differ where it uses one key for two things: of statements with one, the newest
    /// has the word.
    pub key: String,
    /// Its fields as received, by the names of [`ItemKind`].
    pub fields: BTreeMap<String, String>,
    /// Its source has withdrawn it.
    pub withdrawn: bool,
    /// Where it is from.
    pub source: Source,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({:?}, {}, {} fields)", self.kind, self.source.system, self.fields.len())
    }
}

/// Where a statement is from. Its `Debug` shows the system and the moments.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Source {
    /// The configured name of the system.
    pub system: String,
    /// That system's key for it.
    pub key: String,
    /// Who said so, as received.
    pub author: Option<String>,
    /// For whom they work, as received.
    pub organisation: Option<String>,
    /// When it was so, by the source's clock; of a cached answer, when it was answered.
    pub said_at: Timestamp,
    /// When this hub received it.
    pub received_at: Timestamp,
    /// It is from an answer that is kept for a while, and shows what was true then.
    pub cached: bool,
    /// The sender's identifier of the message; empty for an answer.
    pub source_id: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {:?}, {:?})", self.system, self.said_at, self.received_at)
    }
}

impl Source {
    /// How old it is: since it was said, or since it was answered.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.said_at)
    }
}

/// One coded entry, as received.
#[derive(Clone, Eq, PartialEq, Serialize)]
pub struct Coding {
    /// `snomed-ct`, `read-2`, `ctv3`, `loinc`, `local`, or the URI or OID as received.
    pub system: String,
    /// The code.
    pub code: String,
    /// Its text.
    pub display: String,
}

impl fmt::Debug for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coding({})", self.system)
    }
}

/// A result's flag and range in one form; the fields have them as received.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interpretation {
    /// The flag, if one is known.
    pub flag: Option<Flag>,
    /// The source gave no flag: it follows from value and range.
    pub from_range: bool,
    /// The range, if it could be read.
    pub range: Option<Range>,
}

/// One thing in the record. Its `Debug` shows no content.
#[derive(Clone, PartialEq, Serialize)]
pub struct OneItem {
    /// What it is.
    pub kind: ItemKind,
    /// Its fields as received: those of its first source, and those that only other sources gave.
    pub fields: BTreeMap<String, String>,
    /// Its coded entries as received, those of all sources.
    pub codings: Vec<Coding>,
    /// Who says so, the newest first.
    pub sources: Vec<Source>,
    /// Of a result or an observation.
    pub interpretation: Option<Interpretation>,
    /// It is in a [`Disagreement`].
    pub disputed: bool,
}

impl fmt::Debug for OneItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneItem({:?}, {} fields, {:?})", self.kind, self.fields.len(), self.sources)
    }
}

/// What systems say differently.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dispute {
    /// The family name.
    FamilyName,
    /// The first given name.
    GivenName,
    /// The birth date.
    BirthDate,
    /// The gender.
    Gender,
    /// The postcode.
    Postcode,
    /// The registered practice.
    GeneralPractice,
    /// One system says that the patient has died, and another does not.
    Death,
    /// One allergy with different severity, certainty or status.
    Allergy,
    /// One result of one moment with different values.
    ResultValue,
}

impl Dispute {
    /// What kind of item it is about.
    const fn kind(self) -> ItemKind {
        match self {
            Self::Allergy => ItemKind::Allergy,
            Self::ResultValue => ItemKind::Result,
            Self::FamilyName
            | Self::GivenName
            | Self::BirthDate
            | Self::Gender
            | Self::Postcode
            | Self::GeneralPractice
            | Self::Death => ItemKind::Demographics,
        }
    }
}

/// Something that systems say differently. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq, Serialize)]
pub struct Disagreement {
    /// About what.
    pub about: Dispute,
    /// Who says what.
    pub claims: Vec<DisputedClaim>,
}

impl fmt::Debug for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disagreement({:?}, {} claims)", self.about, self.claims.len())
    }
}

/// One system's side of a disagreement. Its `Debug` shows the system.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct DisputedClaim {
    /// The system.
    pub system: String,
    /// Its key for the item.
    pub key: String,
    /// What it says, as received; empty if it does not say.
    pub value: String,
    /// When it said so.
    pub said_at: Timestamp,
}

impl fmt::Debug for DisputedClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisputedClaim({})", self.system)
    }
}

/// What the reader of a record must know of its completeness.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Notice {
    /// The system it is about; empty if about all.
    pub system: String,
    /// A stable code, such as `confidential-items`, `as-at` or `not-linked`.
    pub code: String,
    /// The words of the source, or a moment.
    pub text: String,
}

/// Who the patient is. Its `Debug` shows no content.
#[derive(Clone, PartialEq, Serialize)]
pub struct OneIdentity {
    /// The number that joins the systems.
    pub nhs_number: Option<NhsNumber>,
    /// What each system calls the patient.
    pub identifiers: Vec<(String, Identifier)>,
    /// The demographics to show first: of a system that has the number verified, and of those the newest. What other
    /// systems say differently is in [`OneRecord::disagreements`]; all of them are in the section.
    pub demographics: BTreeMap<String, String>,
    /// Whose they are; none if no system gave any.
    pub source: Option<Source>,
}

impl fmt::Debug for OneIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneIdentity({} identifiers, {:?})", self.identifiers.len(), self.source)
    }
}

/// One patient's record from all systems. Its `Debug` shows no content.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneRecord {
    /// [`VERSION`].
    pub version: u8,
    /// When it was put together: what [`Source::age`] is measured from.
    pub at: Timestamp,
    /// Who it is about.
    pub identity: OneIdentity,
    /// The items, in the order of [`ItemKind::ALL`], newest first; kinds without any are left out.
    pub sections: Vec<(ItemKind, Vec<OneItem>)>,
    /// What may be missing or old.
    pub notices: Vec<Notice>,
    /// What systems say differently.
    pub disagreements: Vec<Disagreement>,
    /// Items that their sources have withdrawn, and that are not shown.
    pub withdrawn_count: usize,
}

impl OneRecord {
    /// The items of a kind.
    pub fn section(&self, kind: ItemKind) -> &[OneItem] {
        self.sections.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, items)| items)
    }
}

/// What a system answered when it was asked for a whole record, as it is kept for a while: a [`Snapshot`] whose names
/// are its own. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The configured name of the system.
    pub system: String,
    /// Whose record.
    pub nhs_number: NhsNumber,
    /// When it answered, by the hub's clock.
    pub as_at: Timestamp,
    /// Every identifier it gave for the patient.
    pub identifiers: Vec<Identifier>,
    /// All it holds.
    pub items: Vec<AnswerItem>,
    /// What was odd about the answer, as stable codes without content.
    pub faults: Vec<String>,
}

/// One item of an [`Answer`].
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct AnswerItem {
    /// What it is.
    pub kind: ItemKind,
    /// The system's key for it.
    pub key: String,
    /// Its source has withdrawn it.
    pub withdrawn: bool,
    /// Its fields.
    pub fields: BTreeMap<String, String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {:?}, {} items)", self.system, self.as_at, self.items.len())
    }
}

impl fmt::Debug for AnswerItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnswerItem({:?}, {} fields)", self.kind, self.fields.len())
    }
}

impl From<Snapshot> for Answer {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { system, nhs_number, as_at, identifiers, items, faults } = snapshot;
        let set = |(name, change): (&'static str, FieldChange)| match change {
            FieldChange::Set(text) => Some((name.to_owned(), text)),
            FieldChange::Delete => None,
        };
        let item = |item: ItemChange| AnswerItem {
            kind: item.kind,
            key: item.key,
            withdrawn: item.withdrawn,
            fields: item.fields.into_iter().filter_map(set).collect(),
        };
        let items = items.into_iter().map(item).collect();
        let faults = faults.into_iter().map(str::to_owned).collect();
        Self { system, nhs_number, as_at, identifiers, items, faults }
    }
}

/// What a record is put together from.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The number that joins the systems.
    pub nhs_number: Option<NhsNumber>,
    /// What each system calls the patient.
    pub identifiers: Vec<(String, Identifier)>,
    /// What messages said.
    pub statements: Vec<Statement>,
    /// What was answered and is still kept.
    pub answers: Vec<Answer>,
    /// What is known of the record's completeness.
    pub notices: Vec<Notice>,
}

/// Puts a record together.
pub fn assemble(parts: Parts, now: Timestamp) -> OneRecord {
    let Parts { nhs_number, mut identifiers, mut statements, answers, mut notices } = parts;
    for answer in answers {
        let Answer { system, as_at, identifiers: given, items, faults, .. } = answer;
        notices.push(notice(&system, "as-at", &as_at.to_string()));
        notices.extend(faults.iter().map(|fault| notice(&system, fault, "")));
        identifiers.extend(given.into_iter().map(|identifier| (system.clone(), identifier)));
        statements.extend(items.into_iter().map(|item| answered(&system, as_at, item)));
    }
    identifiers.sort();
    identifiers.dedup();
    let told = statements.len();
    statements.retain(|statement| !statement.withdrawn);
    let withdrawn_count = told - statements.len();
    for told in statements.iter().filter(|statement| statement.kind == ItemKind::Notice) {
        let words = |name: &str| told.fields.get(name).cloned().unwrap_or_default();
        let (code, text) = (words("code"), words("name"));
        let text = if text.is_empty() { words("section") } else { text };
        notices.push(Notice { system: told.source.system.clone(), code, text });
    }
    notices.sort();
    notices.dedup();
    let mut disagreements = disagree::demographics(&statements);
    let (mut items, disputes) = fold::fold(statements);
    disagreements.extend(disputes);
    disagreements.sort_by(|one, other| (one.about, &one.claims).cmp(&(other.about, &other.claims)));
    mark(&mut items, &disagreements);
    let identity = identity(nhs_number, identifiers, &items);
    OneRecord {
        version: VERSION,
        at: now,
        identity,
        sections: sections(items),
        notices,
        disagreements,
        withdrawn_count,
    }
}

fn notice(system: &str, code: &str, text: &str) -> Notice {
    Notice { system: system.to_owned(), code: code.to_owned(), text: text.to_owned() }
}

/// One item of an answer as a statement.
fn answered(system: &str, as_at: Timestamp, item: AnswerItem) -> Statement {
    let AnswerItem { kind, key, withdrawn, fields } = item;
    let source = Source {
        system: system.to_owned(),
        key: key.clone(),
        author: fields.get("author").cloned(),
        organisation: fields.get("organisation").cloned(),
        said_at: as_at,
        received_at: as_at,
        cached: true,
        source_id: String::new(),
    };
    Statement { kind, key, fields, withdrawn, source }
}

fn identity(
    nhs_number: Option<NhsNumber>,
    identifiers: Vec<(String, Identifier)>,
    items: &[OneItem],
) -> OneIdentity {
    let verified = |item: &OneItem| {
        let status = item.fields.get("nhs_number_status");
        status.and_then(|status| super::matching::is_verified(status)) == Some(true)
    };
    let people = items.iter().filter(|item| item.kind == ItemKind::Demographics);
    let shown = people.max_by_key(|item| (verified(item), item.sources.first().map(|source| source.said_at)));
    OneIdentity {
        nhs_number,
        identifiers,
        demographics: shown.map(|item| item.fields.clone()).unwrap_or_default(),
        source: shown.and_then(|item| item.sources.first().cloned()),
    }
}

/// Marks the items that a disagreement is about. One system may use one key for things of two kinds.
fn mark(items: &mut [OneItem], disagreements: &[Disagreement]) {
    let mut disputed = std::collections::BTreeSet::new();
    for disagreement in disagreements {
        let kind = disagreement.about.kind();
        let claims = disagreement.claims.iter();
        disputed.extend(claims.map(|claim| (kind, claim.system.as_str(), claim.key.as_str())));
    }
    for item in items {
        let names =
            item.sources.iter().map(|source| (item.kind, source.system.as_str(), source.key.as_str()));
        item.disputed = names.into_iter().any(|name| disputed.contains(&name));
    }
}

/// The fields that say when something was, the first that is there, by kind.
const fn dated_by(kind: ItemKind) -> &'static [&'static str] {
    match kind {
        ItemKind::Result | ItemKind::Observation | ItemKind::Notice => &["observed", "recorded"],
        ItemKind::Appointment => &["start"],
        ItemKind::Encounter => &["started", "admitted", "recorded"],
        ItemKind::Problem | ItemKind::Allergy => &["onset", "recorded"],
        ItemKind::Medication => &["last_issued", "started", "recorded"],
        ItemKind::Immunisation => &["given", "recorded"],
        ItemKind::Document => &["created", "recorded"],
        ItemKind::Referral => &["received", "recorded"],
        ItemKind::Demographics => &[],
    }
}

fn sections(items: Vec<OneItem>) -> Vec<(ItemKind, Vec<OneItem>)> {
    let mut by_kind: BTreeMap<ItemKind, Vec<(Option<When>, OneItem)>> = BTreeMap::new();
    for item in items {
        let when = dated_by(item.kind).iter().find_map(|name| item.fields.get(*name));
        let when = when.and_then(|text| When::parse(text));
        by_kind.entry(item.kind).or_default().push((when, item));
    }
    let order = ItemKind::ALL.into_iter().filter_map(|kind| Some((kind, by_kind.remove(&kind)?)));
    let sorted = order.map(|(kind, mut items)| {
        let name = |item: &OneItem| item.fields.get("name").or(item.fields.get("code")).cloned();
        items.sort_by_cached_key(|(when, item)| {
            (std::cmp::Reverse(*when), name(item), item.sources.first().cloned())
        });
        (kind, items.into_iter().map(|(_, item)| item).collect())
    });
    sorted.collect()
}
