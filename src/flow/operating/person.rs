//! Patients as operators see them: the shape of a record and of a case, and the content for whoever gave a reason.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    domain::{
        nhs_number::NhsNumber,
        one_record::{Disagreement, Dispute, Notice, OneItem, OneRecord},
        record::ItemKind,
    },
    flow::{
        hub::Hub,
        operate::{
            CaseDetail, CaseId, CasePerson, CaseSummary, DisputeContent, DisputeShape, ItemContent,
            ItemSource, NoteShape, OperateError, PersonContent, RecordContent, RecordDetail, RecordQuery,
            Reveal, SectionShape, SourceShape,
        },
        read::{Purpose, Reason},
    },
    store::{MatchCase, MatchPerson, PersonDetail},
};

/// Content that is shown of one record, in bytes of JSON: a reply has 16 MiB, and the shape is far under one.
const CONTENT_BYTES_MAX: usize = 12 << 20;
/// Longest field that is shown whole, in bytes: what is longer is a document, and nothing for a terminal.
const FIELD_BYTES_MAX: usize = 16 << 10;
/// A longer code is none.
const CODE_BYTES_MAX: usize = 48;

impl Hub {
    pub(super) fn show_record(
        &self,
        query: &RecordQuery,
        reveal: Option<&Reveal>,
        by: &str,
    ) -> Result<RecordDetail, OperateError> {
        let purpose = Purpose { by: by.to_owned(), reason: Reason::Administration };
        let mut record = self.one_record(&query.nhs_number, &purpose)?;
        if let Some(kind) = query.kind {
            record.sections.retain(|(known, _)| *known == kind);
            record.disagreements.retain(|disagreement| kind_of(disagreement.about) == kind);
        }
        let content = reveal.map(|reveal| {
            tracing::warn!(by = reveal.by, reason = reveal.reason, "a record's content was shown");
            content(query.nhs_number, &record)
        });
        Ok(RecordDetail { content, ..shape(&record, query.kind) })
    }

    pub(super) fn purge_record(
        &self,
        number: &NhsNumber,
        reason: &str,
        by: &str,
    ) -> Result<usize, OperateError> {
        let count = self.purge_answers(number, by).map_err(|error| OperateError::Failed {
            what: "throwing away what is kept of practices' answers".to_owned(),
            source: error.into(),
        })?;
        tracing::warn!(by, reason, count, "an operator had cached answers thrown away");
        Ok(count)
    }

    pub(super) fn list_cases(&self) -> Result<Vec<CaseSummary>, OperateError> {
        Ok(self.matches()?.cases.iter().map(summary).collect())
    }

    pub(super) fn show_case(&self, id: &CaseId, reveal: Option<&Reveal>) -> Result<CaseDetail, OperateError> {
        let found = self.show_match(id.as_str())?;
        if let Some(reveal) = reveal {
            tracing::warn!(
                by = reveal.by,
                reason = reveal.reason,
                case = id.as_str(),
                "the persons of a case were shown"
            );
        }
        let sides = |side: &[PersonDetail]| side.iter().map(|one| person(one, reveal.is_some())).collect();
        Ok(CaseDetail {
            case: summary(&found.case),
            persons: sides(&found.persons),
            holders: sides(&found.holders),
            differing: differing(found.persons.iter().chain(&found.holders)),
            nhs_number: reveal.map(|_| found.case.nhs_number),
        })
    }
}

/// What a record is like, without anything it says.
fn shape(record: &OneRecord, kind: Option<ItemKind>) -> RecordDetail {
    let asked = ItemKind::ALL.into_iter().filter(|known| kind.is_none_or(|kind| kind == *known));
    let notes: BTreeSet<NoteShape> = record.notices.iter().map(note).collect();
    RecordDetail {
        at: record.at,
        sections: record.sections.iter().map(|(kind, items)| section(*kind, items)).collect(),
        empty: asked.filter(|kind| record.section(*kind).is_empty()).collect(),
        disputes: disputes(&record.disagreements),
        notes: notes.into_iter().collect(),
        withdrawn: record.withdrawn_count as u64,
        content: None,
    }
}

fn section(kind: ItemKind, items: &[OneItem]) -> SectionShape {
    let mut sources: BTreeMap<(&str, bool), SourceShape> = BTreeMap::new();
    for item in items {
        let mut counted = BTreeSet::new();
        for source in &item.sources {
            let shape = sources.entry((&source.system, source.cached)).or_insert_with(|| SourceShape {
                system: source.system.clone(),
                cached: source.cached,
                items: 0,
                newest: source.said_at,
            });
            shape.newest = shape.newest.max(source.said_at);
            // What one system says twice is one item.
            shape.items += u64::from(counted.insert((&source.system, source.cached)));
        }
    }
    SectionShape {
        kind,
        items: items.len() as u64,
        disputed: items.iter().filter(|item| item.disputed).count() as u64,
        sources: sources.into_values().collect(),
    }
}

fn disputes(disagreements: &[Disagreement]) -> Vec<DisputeShape> {
    let mut about: BTreeMap<Dispute, (u64, BTreeSet<&str>)> = BTreeMap::new();
    for disagreement in disagreements {
        let (count, systems) = about.entry(disagreement.about).or_default();
        *count += 1;
        systems.extend(disagreement.claims.iter().map(|claim| claim.system.as_str()));
    }
    let shapes = about.into_iter().map(|(about, (count, systems))| DisputeShape {
        about: code_of(about).to_owned(),
        count,
        systems: systems.into_iter().map(str::to_owned).collect(),
    });
    shapes.collect()
}

/// A note without its text. Sources give codes too, and a code that is none may be anything.
fn note(notice: &Notice) -> NoteShape {
    let is_code = notice.code.len() <= CODE_BYTES_MAX
        && notice.code.starts_with(|first: char| first.is_ascii_lowercase())
        && notice.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let code = if is_code { notice.code.clone() } else { "other".to_owned() };
    NoteShape { system: notice.system.clone(), code }
}

const fn kind_of(about: Dispute) -> ItemKind {
    match about {
        Dispute::Allergy => ItemKind::Allergy,
        Dispute::ResultValue => ItemKind::Result,
        Dispute::FamilyName
        | Dispute::GivenName
        | Dispute::BirthDate
        | Dispute::Gender
        | Dispute::Postcode
        | Dispute::GeneralPractice
        | Dispute::Death => ItemKind::Demographics,
    }
}

/// As it is serialised.
const fn code_of(about: Dispute) -> &'static str {
    match about {
        Dispute::FamilyName => "family-name",
        Dispute::GivenName => "given-name",
        Dispute::BirthDate => "birth-date",
        Dispute::Gender => "gender",
        Dispute::Postcode => "postcode",
        Dispute::GeneralPractice => "general-practice",
        Dispute::Death => "death",
        Dispute::Allergy => "allergy",
        Dispute::ResultValue => "result-value",
    }
}

/// How much more content fits.
struct Room {
    left_bytes: usize,
    unshown: u64,
}

impl Room {
    /// Gives a thing back if it fits; counts it if not.
    fn keep<T: Serialize>(&mut self, thing: T) -> Option<T> {
        // With the comma behind it.
        let left =
            serde_json::to_vec(&thing).ok().and_then(|json| self.left_bytes.checked_sub(json.len() + 1));
        if let Some(left) = left {
            self.left_bytes = left;
            return Some(thing);
        }
        self.unshown += 1;
        None
    }
}

/// What a record says, as far as there is room.
fn content(nhs_number: NhsNumber, record: &OneRecord) -> RecordContent {
    let mut room = Room { left_bytes: CONTENT_BYTES_MAX, unshown: 0 };
    let identifiers = record.identity.identifiers.iter().filter_map(|known| room.keep(known.clone()));
    let identifiers = identifiers.collect();
    let notes = record
        .notices
        .iter()
        .filter_map(|notice| room.keep((notice.system.clone(), cut(&notice.code), cut(&notice.text))));
    let notes = notes.collect();
    let disputes = record.disagreements.iter().filter_map(|disagreement| {
        let claims = disagreement.claims.iter().map(|claim| (claim.system.clone(), cut(&claim.value)));
        let about = code_of(disagreement.about).to_owned();
        room.keep(DisputeContent { about, claims: claims.collect() })
    });
    let disputes = disputes.collect();
    let items = record.sections.iter().flat_map(|(_, items)| items).filter_map(|one| room.keep(item(one)));
    let items = items.collect();
    RecordContent { nhs_number, identifiers, notes, disputes, items, unshown: room.unshown }
}

fn item(one: &OneItem) -> ItemContent {
    let sources = one.sources.iter().map(|source| ItemSource {
        system: source.system.clone(),
        key: cut(&source.key),
        source_id: cut(&source.source_id),
        said_at: source.said_at,
        cached: source.cached,
    });
    ItemContent {
        kind: one.kind,
        disputed: one.disputed,
        sources: sources.collect(),
        fields: one.fields.iter().map(|(name, value)| (name.clone(), cut(value))).collect(),
    }
}

fn cut(text: &str) -> String {
    let shown = text.get(..text.floor_char_boundary(FIELD_BYTES_MAX)).unwrap_or_default();
    if shown.len() == text.len() {
        return text.to_owned();
    }
    format!("{shown} [{} more bytes are not shown]", text.len() - shown.len())
}

fn summary(case: &MatchCase) -> CaseSummary {
    let systems = |side: &[MatchPerson]| side.iter().map(|person| person.name.system.clone()).collect();
    CaseSummary {
        id: case.id.clone(),
        doubt: case.doubt.code().to_owned(),
        since: case.since,
        persons: systems(&case.persons),
        holders: systems(&case.holders),
    }
}

fn person(detail: &PersonDetail, revealed: bool) -> CasePerson {
    let demographics = newest(detail);
    CasePerson {
        system: detail.person.name.system.clone(),
        verified: detail.person.verified,
        items: detail.items as u64,
        fields: demographics.keys().map(|name| (*name).to_owned()).collect(),
        content: revealed.then(|| PersonContent {
            identifier: detail.person.name.identifier.clone(),
            demographics: demographics
                .into_iter()
                .map(|(name, value)| (name.to_owned(), cut(value)))
                .collect(),
        }),
    }
}

/// The newest value of each demographic field; what was withdrawn is none.
fn newest(detail: &PersonDetail) -> BTreeMap<&str, &str> {
    let items = detail.demographics.iter().filter(|item| item.withdrawn.is_none());
    let mut fields: Vec<_> = items.flat_map(|item| &item.fields).collect();
    fields.sort_by_key(|(_, field)| (field.occurred, field.received));
    let mut newest = BTreeMap::new();
    for (name, field) in fields {
        match field.value.as_deref() {
            Some(value) => newest.insert(name.as_str(), value),
            None => newest.remove(name.as_str()),
        };
    }
    newest
}

/// The fields of which two persons say something different, as written but for case and blanks around.
fn differing<'a>(persons: impl Iterator<Item = &'a PersonDetail>) -> Vec<String> {
    let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in persons.flat_map(newest) {
        values.entry(name).or_default().insert(value.trim().to_uppercase());
    }
    let differing = values.into_iter().filter(|(_, values)| 1 < values.len());
    differing.map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        one_record::{Parts, Source, Statement, assemble},
        time::Timestamp,
    };

    fn statement(kind: ItemKind, key: usize, fields: &[(&str, &str)]) -> Statement {
        let source = Source {
            system: "pas".to_owned(),
            key: key.to_string(),
            author: None,
            organisation: None,
            said_at: Timestamp(1),
            received_at: Timestamp(2),
            cached: false,
            source_id: "P-1".to_owned(),
        };
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Statement { kind, key: key.to_string(), fields, withdrawn: false, source }
    }

    fn record(statements: Vec<Statement>) -> OneRecord {
        assemble(Parts { statements, ..Parts::default() }, Timestamp(3))
    }

    #[test]
    fn whatever_a_record_holds_its_content_fits_a_reply_and_the_rest_is_counted() {
        let number = NhsNumber::parse("9990000018").unwrap();
        // Control characters take six bytes in JSON.
        let long = "\u{1}".repeat(FIELD_BYTES_MAX + 7);
        for (value, count) in [(long.as_str(), 300), ("5.4", 20_000)] {
            let statements = (0..count).map(|key| statement(ItemKind::Document, key, &[("content", value)]));
            let record = record(statements.collect());
            let shown = content(number, &record);
            assert_eq!(shown.items.len() as u64 + shown.unshown, count as u64);
            let detail = RecordDetail { content: Some(shown), ..shape(&record, None) };
            let bytes = serde_json::to_vec(&detail).unwrap().len();
            assert!(bytes < 13 << 20, "{bytes}");
            let shown = detail.content.unwrap();
            assert_eq!(0 < shown.unshown, count == 300);
            let cut = shown.items[0].fields["content"].ends_with("[7 more bytes are not shown]");
            assert_eq!(cut, count == 300);
        }
    }

    #[test]
    fn a_shape_has_no_word_of_a_source() {
        let notice = [("code", "Canaryname is away"), ("name", "Canaryname")];
        let known = [("code", "confidential-items"), ("name", "Canaryname")];
        let record = record(vec![
            statement(ItemKind::Notice, 1, &notice),
            statement(ItemKind::Notice, 2, &known),
            statement(ItemKind::Allergy, 3, &[("name", "Canarynut")]),
        ]);
        let shape = shape(&record, Some(ItemKind::Allergy));
        assert!(!serde_json::to_string(&shape).unwrap().contains("Canary"));
        let codes: Vec<&str> = shape.notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!(codes, ["confidential-items", "other"]);
        assert_eq!(shape.empty, []);
    }

    #[test]
    fn what_is_cut_is_cut_between_characters() {
        let text = "é".repeat(FIELD_BYTES_MAX);
        let shown = cut(&text);
        assert!(
            shown.ends_with(&format!(" [{FIELD_BYTES_MAX} more bytes are not shown]")),
            "{}",
            shown.len()
        );
        assert_eq!(cut("short"), "short");
    }
}
