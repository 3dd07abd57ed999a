//! What went other than asked, and what an answer leaves out, in FHIR's form.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::{
    one_record::{Notice, OneItem, Source},
    record::ItemKind,
};

use super::{Reading, Withheld, text::clean, writer::pruned};

/// One thing to say. No content of a record is ever in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issue {
    /// `fatal`, `error`, `warning` or `information`.
    pub severity: &'static str,
    /// FHIR's code for it (R4, issue-type).
    pub code: &'static str,
    /// In words.
    pub words: String,
}

impl Issue {
    /// A request that is not done.
    pub fn error(code: &'static str, words: impl Into<String>) -> Self {
        Self { severity: "error", code, words: words.into() }
    }

    fn information(code: &'static str, words: String) -> Self {
        Self { severity: "information", code, words }
    }
}

/// An OperationOutcome of these issues; it says that all is well if there are none.
pub fn outcome(issues: &[Issue]) -> Value {
    let mut issues: Vec<Value> = issues
        .iter()
        .map(|issue| {
            json!({
                "severity": issue.severity,
                "code": issue.code,
                "details": { "text": clean(&issue.words) },
            })
        })
        .collect();
    if issues.is_empty() {
        issues.push(json!({ "severity": "information", "code": "informational", "details": { "text": "All is well" } }));
    }
    pruned(json!({ "resourceType": "OperationOutcome", "issue": issues })).unwrap_or_default()
}

/// What a source said of its own completeness.
pub(super) struct Remark {
    /// In words: whose, what, and of which section.
    pub(super) words: String,
    /// What kind of items it is about; none if about any.
    kind: Option<ItemKind>,
    /// It says that something is kept back.
    pub(super) is_withheld: bool,
    /// It says no more than that a section is empty.
    pub(super) is_emptiness: bool,
}

impl Remark {
    /// Whether it is about items of a kind.
    pub(super) fn is_about(&self, kind: ItemKind) -> bool {
        self.kind.is_none_or(|of| of == kind)
    }

    fn new(system: &str, code: &str, section: &str, text: &str) -> Self {
        let said = [code, section, text].map(str::trim).into_iter().filter(|part| !part.is_empty());
        let whose = if system.is_empty() { "All systems" } else { system };
        Self {
            words: format!("{whose}: {}", said.collect::<Vec<_>>().join("; ")),
            kind: section_kind(section),
            is_withheld: code == "confidential-items",
            is_emptiness: code == "no-content-recorded",
        }
    }
}

/// What sources said, each with the section that it is about, and what the hub knows of the record beside that.
pub(super) fn remarks(reading: &Reading<'_>) -> Vec<Remark> {
    let told = reading.record.section(ItemKind::Notice);
    let field = |item: &OneItem, name: &str| item.fields.get(name).cloned().unwrap_or_default();
    let of_sources = told.iter().flat_map(|item| {
        let named = |source: &Source| {
            let [code, section, name] = ["code", "section", "name"].map(|name| field(item, name));
            Remark::new(&source.system, &code, &section, &name)
        };
        item.sources.iter().map(named)
    });
    // Those of the sources are among the record's, without their sections.
    let known: BTreeSet<(String, &str)> = told
        .iter()
        .flat_map(|item| item.sources.iter().map(|source| (field(item, "code"), source.system.as_str())))
        .collect();
    let is_told = |notice: &Notice| known.contains(&(notice.code.clone(), notice.system.as_str()));
    let others = reading.record.notices.iter();
    let others = others.filter(|notice| notice.code != "as-at" && !is_told(notice));
    let others = others.map(|notice| {
        let section = if section_kind(&notice.text).is_some() { notice.text.as_str() } else { "" };
        let text = if section.is_empty() { notice.text.as_str() } else { "" };
        Remark::new(&notice.system, &notice.code, section, text)
    });
    of_sources.chain(others).collect()
}

/// What a reader of these kinds must know: what is held back, and what sources say is missing. Of all kinds if none is
/// named.
pub(super) fn of_reading(reading: &Reading<'_>, kinds: &[ItemKind]) -> Vec<Issue> {
    let is_about = |kind: Option<ItemKind>| kinds.is_empty() || kind.is_none_or(|kind| kinds.contains(&kind));
    let withheld = reading.withheld.iter().filter(|one| is_about(one.kind));
    let mut issues: Vec<Issue> =
        withheld.map(|one| Issue::information("suppressed", withheld_words(one))).collect();
    let remarks = remarks(reading).into_iter().filter(|remark| is_about(remark.kind) && !remark.is_emptiness);
    issues.extend(remarks.map(|remark| {
        let code = if remark.is_withheld { "suppressed" } else { "incomplete" };
        Issue { severity: "warning", code, words: remark.words }
    }));
    issues
}

/// How much of what is held back, and why; never what.
pub(super) fn withheld_words(one: &Withheld) -> String {
    let count = one.count.map_or_else(|| "An unknown number of".to_owned(), |count| count.to_string());
    let kind = one.kind.map(|kind| format!(" of kind {}", kind.name())).unwrap_or_default();
    let whose = if one.system.is_empty() { String::new() } else { format!(" of {}", one.system) };
    format!("{count} items{kind}{whose}: {}", one.why)
}

/// Which kind of items a practice's name for a section means; none if it is about no one kind.
fn section_kind(section: &str) -> Option<ItemKind> {
    let plain = section.to_ascii_lowercase();
    const WORDS: [(&str, ItemKind); 10] = [
        ("allerg", ItemKind::Allergy),
        ("problem", ItemKind::Problem),
        ("medication", ItemKind::Medication),
        ("immunisation", ItemKind::Immunisation),
        ("immunization", ItemKind::Immunisation),
        ("investigation", ItemKind::Result),
        ("consultation", ItemKind::Encounter),
        ("document", ItemKind::Document),
        ("referral", ItemKind::Referral),
        ("uncategorised", ItemKind::Observation),
    ];
    WORDS.iter().find(|(word, _)| plain.contains(word)).map(|(_, kind)| *kind)
}
