//! What a practice says is missing from its answer: an empty panel must explain itself.

use crate::{
    codec::fhir::{Bundle, Issue, List, OperationOutcome},
    domain::record::{FieldChange, ItemChange, ItemKind},
    systems::gp_connect::RecordPart,
};

/// The warnings of GP Connect 1.6.0, List, with the words for them, and words by which a note without the
/// code is known.
const WARNINGS: [(&str, &str, &str); 3] = [
    (
        "confidential-items",
        "Items excluded due to confidentiality and/or patient preferences.",
        "excluded due to confidentiality",
    ),
    (
        "data-in-transit",
        "Patient record transfer from previous GP practice not yet complete; earlier information may be missing.",
        "transfer from previous gp practice",
    ),
    (
        "data-awaiting-filing",
        "Patient data may be incomplete as there is data supplied by a third party awaiting review before \
         becoming available.",
        "awaiting review before becoming available",
    ),
];

/// Every notice of an answer: from its lists, and from what it says it does not support.
pub(super) fn items(bundle: Bundle<'_>) -> Vec<ItemChange> {
    let lists = bundle.resources().filter_map(List::of).flat_map(of_list);
    let outcomes = bundle.resources().filter_map(OperationOutcome::of);
    let issues = outcomes.flat_map(OperationOutcome::issues).map(of_issue);
    lists.chain(issues).collect()
}

fn of_list(list: List<'_>) -> Vec<ItemChange> {
    let section = list.title().or_else(|| list.code().words()).unwrap_or_default();
    let observed = list.element().get("date").moment().map(|date| date.as_str()).unwrap_or_default();
    let notes: Vec<&str> = list.notes().collect();
    let note = notes.join("\n");
    let mut codes: Vec<&str> = list.warnings().collect();
    let lower = note.to_lowercase();
    for (code, _, known_by) in WARNINGS {
        if lower.contains(known_by) && !codes.contains(&code) {
            codes.push(code);
        }
    }
    let empty = list.items().next().is_none().then(|| list.empty_reason());
    let reason = empty.and_then(|reason| reason.any_code().or_else(|| reason.words()));
    let mut found: Vec<ItemChange> =
        codes.into_iter().map(|code| notice(code, words_of(code), section, observed, &note)).collect();
    found.extend(reason.map(|reason| {
        let code = if is_no_content(reason) { "no-content-recorded" } else { reason };
        notice(code, "Nothing is recorded here.", section, observed, &note)
    }));
    found
}

fn words_of(code: &str) -> &str {
    WARNINGS.iter().find(|(known, ..)| *known == code).map_or(code, |(_, words, _)| words)
}

/// Providers write `no-content-recorded`, `noContent` and `No Content Recorded`.
fn is_no_content(reason: &str) -> bool {
    let letters: String = reason.chars().filter(char::is_ascii_alphabetic).collect();
    letters.to_ascii_lowercase().starts_with("nocontent")
}

/// A practice that does not know a part of the question says so in its answer (version compatibility).
fn of_issue(issue: Issue<'_>) -> ItemChange {
    let texts = [issue.details().words(), issue.diagnostics()];
    let said: Vec<&str> = texts.into_iter().flatten().collect();
    let plain = |text: &str| text.replace(' ', "").to_lowercase();
    let all = plain(&said.join(" "));
    let part = RecordPart::ALL.into_iter().find(|part| all.contains(&plain(part.name())));
    match part {
        Some(part) => not_supported(part.name()),
        None => {
            let code = issue.details().any_code().or(issue.code()).unwrap_or("warning");
            notice(code, "The practice's system has a remark about its answer.", "", "", "")
        }
    }
}

/// The practice's system does not give this part of records.
pub fn not_supported(section: &str) -> ItemChange {
    notice("not-supported", "The practice's system does not give this part of the record.", section, "", "")
}

/// The practice's system gave the record, but not this.
pub fn not_available(section: &str) -> ItemChange {
    notice("not-available", "The practice's system did not give this part now.", section, "", "")
}

fn notice(code: &str, name: &str, section: &str, observed: &str, note: &str) -> ItemChange {
    let fields = [
        ("code", code),
        ("code_system", "gp-connect"),
        ("name", name),
        ("section", section),
        ("observed", observed),
        ("note", note),
    ];
    let set = fields.into_iter().filter(|(_, text)| !text.is_empty());
    let set = set.map(|(field, text)| (field, FieldChange::Set(text.to_owned()))).collect();
    ItemChange::new(ItemKind::Notice, format!("{section}|{code}"), set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fhir::Element;
    use serde_json::{Value, json};

    fn of(list: &Value) -> Vec<String> {
        let found = of_list(List::of(Element::of(list)).unwrap());
        found.into_iter().map(|item| item.key).collect()
    }

    #[test]
    fn each_warning_becomes_a_notice_of_its_section() {
        for (code, words, _) in WARNINGS {
            let coded = json!({"resourceType": "List", "title": "Problems", "extension": [
                {"url": "https://x/Extension-CareConnect-GPC-ListWarningCode-1", "valueCode": code}]});
            assert_eq!(of(&coded), [format!("Problems|{code}")]);
            let noted = json!({"resourceType": "List", "title": "Problems", "note": [{"text": words}]});
            assert_eq!(of(&noted), [format!("Problems|{code}")], "known by its words alone");
        }
    }

    #[test]
    fn an_empty_list_says_why() {
        for reason in ["no-content-recorded", "noContent", "No Content Recorded"] {
            let list = json!({"resourceType": "List", "title": "Allergies",
                "emptyReason": {"coding": [{"code": reason}]}});
            assert_eq!(of(&list), ["Allergies|no-content-recorded"]);
        }
        let full = json!({"resourceType": "List", "title": "Allergies",
            "entry": [{"item": {"reference": "AllergyIntolerance/1"}}]});
        assert!(of(&full).is_empty());
    }

    #[test]
    fn a_part_that_is_not_known_is_named() {
        let body = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "not-supported",
            "details": {"coding": [{"code": "NOT_IMPLEMENTED"}], "text": "includeDiaryEntries is an unrecognised parameter"}}]});
        let outcome = OperationOutcome::of(Element::of(&body)).unwrap();
        let keys: Vec<String> = outcome.issues().map(|issue| of_issue(issue).key).collect();
        assert_eq!(keys, ["diary entries|not-supported"]);
    }
}
