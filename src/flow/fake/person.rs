//! The patient whom a hub that is not there knows, and the case it has.

use std::collections::BTreeMap;

use crate::{
    domain::{
        nhs_number::NhsNumber,
        record::{Identifier, ItemKind},
        time::Timestamp,
    },
    flow::operate::{
        CaseDetail, CasePerson, CaseSummary, DisputeContent, DisputeShape, ItemContent, ItemSource,
        NoteShape, PersonContent, RecordContent, RecordDetail, SectionShape, SourceShape,
    },
};

use super::NOW;

/// The only patient.
pub(super) fn number() -> NhsNumber {
    NhsNumber::parse("9990000018").unwrap()
}

fn before(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

/// Their record: a result that a hospital and a practice say differently, and two who know their name.
pub(super) fn record(kind: Option<ItemKind>, revealed: bool) -> RecordDetail {
    let source = |system: &str, cached, items, seconds| SourceShape {
        system: system.to_owned(),
        cached,
        items,
        newest: before(seconds),
    };
    let section = |kind, items, disputed, sources| SectionShape { kind, items, disputed, sources };
    let mut sections = vec![
        section(
            ItemKind::Demographics,
            2,
            0,
            vec![source("emis", true, 1, 7_200), source("pas", false, 1, 60)],
        ),
        section(
            ItemKind::Result,
            1_204,
            2,
            vec![source("emis", true, 4, 7_200), source("pas", false, 1_203, 60)],
        ),
    ];
    sections.retain(|section| kind.is_none_or(|kind| kind == section.kind));
    let is_there = |kind: &ItemKind| [ItemKind::Demographics, ItemKind::Result].contains(kind);
    let asked = ItemKind::ALL.into_iter().filter(|known| kind.is_none_or(|kind| kind == *known));
    let note = |system: &str, code: &str| NoteShape { system: system.to_owned(), code: code.to_owned() };
    RecordDetail {
        at: NOW,
        sections,
        empty: asked.filter(|kind| !is_there(kind)).collect(),
        disputes: vec![DisputeShape {
            about: "result-value".to_owned(),
            count: 1,
            systems: vec!["emis".to_owned(), "pas".to_owned()],
        }],
        notes: vec![note("", "incomplete"), note("emis", "confidential-items")],
        withdrawn: 3,
        content: revealed.then(content),
    }
}

fn content() -> RecordContent {
    let identifier =
        Identifier { value: "H7".to_owned(), authority: "RYJ".to_owned(), kind: "MR".to_owned() };
    let fields = [("name", "Potassium"), ("note", "twice\n\u{1b}[2J"), ("value", "5.4")];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    RecordContent {
        nhs_number: number(),
        identifiers: vec![("pas".to_owned(), identifier)],
        notes: vec![("emis".to_owned(), "confidential-items".to_owned(), "Withheld".to_owned())],
        disputes: vec![DisputeContent {
            about: "result-value".to_owned(),
            claims: vec![("emis".to_owned(), "4.5".to_owned()), ("pas".to_owned(), "5.4".to_owned())],
        }],
        items: vec![ItemContent {
            kind: ItemKind::Result,
            disputed: true,
            sources: vec![ItemSource {
                system: "pas".to_owned(),
                key: "LAB|7".to_owned(),
                source_id: "P-9".to_owned(),
                said_at: before(60),
                cached: false,
            }],
            fields: BTreeMap::from(fields),
        }],
        unshown: 1,
    }
}

/// The only case.
pub(super) fn case() -> CaseSummary {
    CaseSummary {
        id: "00112233445566aa".to_owned(),
        doubt: "number-not-verified".to_owned(),
        since: before(90_000),
        persons: vec!["lab".to_owned()],
        holders: vec!["pas".to_owned(), "rio".to_owned()],
    }
}

/// The only case with what is known of each side.
pub(super) fn case_detail(revealed: bool) -> CaseDetail {
    let person = |system: &str, verified, items, given: &str| CasePerson {
        system: system.to_owned(),
        verified,
        items,
        fields: vec!["family_name".to_owned(), "given_name".to_owned()],
        content: revealed.then(|| PersonContent {
            identifier: Identifier {
                value: "R7".to_owned(),
                authority: "RYJ".to_owned(),
                kind: "MR".to_owned(),
            },
            demographics: BTreeMap::from([
                ("family_name".to_owned(), "Canaryname".to_owned()),
                ("given_name".to_owned(), given.to_owned()),
            ]),
        }),
    };
    CaseDetail {
        case: case(),
        persons: vec![person("lab", false, 3, "Bob")],
        holders: vec![person("pas", false, 1_204, "Ada"), person("rio", true, 12, "Ada")],
        differing: vec!["given_name".to_owned()],
        nhs_number: revealed.then(number),
    }
}
