//! What went other than asked, and what an answer leaves out, in FHIR's form.

use serde_json::{Value, json};

use crate::domain::record::ItemKind;

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

/// What a reader of these kinds must know: what is held back, what sources say is missing, and who says other things.
/// Of all kinds if none is named.
pub(super) fn of_reading(reading: &Reading<'_>, kinds: &[ItemKind]) -> Vec<Issue> {
    let is_about = |kind: Option<ItemKind>| kinds.is_empty() || kind.is_none_or(|kind| kinds.contains(&kind));
    let withheld = reading.withheld.iter().filter(|one| is_about(one.kind));
    let mut issues: Vec<Issue> =
        withheld.map(|one| Issue::information("suppressed", withheld_words(one))).collect();
    let notices = reading.record.notices.iter().filter(|notice| notice.code != "as-at");
    let notices = notices.filter(|notice| section_kind(&notice.text).is_none_or(|kind| is_about(Some(kind))));
    issues.extend(notices.map(|notice| {
        let whose = if notice.system.is_empty() { "All" } else { &notice.system };
        let code = if notice.code == "confidential-items" { "suppressed" } else { "incomplete" };
        let issue = Issue::information(code, format!("{whose}: {}: {}", notice.code, notice.text));
        Issue { severity: "warning", ..issue }
    }));
    issues
}

/// How much of what is held back, and why; never what.
pub(super) fn withheld_words(one: &Withheld) -> String {
    let count = one.count.map_or_else(|| "An unknown number".to_owned(), |count| count.to_string());
    let kind = one.kind.map_or("any", ItemKind::name);
    let whose = if one.system.is_empty() { "several systems" } else { &one.system };
    format!("{count} withheld (kind: {kind}) of {whose}: {}", one.reason.words())
}

/// Which kind of items a practice's name for a section means; none if it is about no one kind.
pub(super) fn section_kind(section: &str) -> Option<ItemKind> {
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
