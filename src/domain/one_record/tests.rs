//! The one record against the rules: what is folded, what stays apart, what is listed.

use proptest::prelude::*;

use super::*;

fn statement(kind: ItemKind, system: &str, key: &str, fields: &[(&str, &str)]) -> Statement {
    let fields: BTreeMap<String, String> =
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let source = Source {
        system: system.to_owned(),
        key: key.to_owned(),
        author: fields.get("author").cloned(),
        organisation: None,
        said_at: Timestamp(1_000),
        received_at: Timestamp(2_000),
        cached: false,
        source_id: "M1".to_owned(),
    };
    Statement { kind, key: key.to_owned(), fields, withdrawn: false, source }
}

fn record(statements: &[Statement]) -> OneRecord {
    assemble(Parts { statements: statements.to_vec(), ..Parts::default() }, Timestamp(9_000))
}

const POTASSIUM: [(&str, &str); 6] = [
    ("codings", "snomed-ct|1000651000000109|Serum potassium\nlocal|K|K"),
    ("name", "Potassium"),
    ("value", "5.40"),
    ("units", "mmol/l"),
    ("observed", "2026-01-05T09:30:00+00:00"),
    ("reference_range", "3.5-5.3"),
];

type Fields = Vec<(&'static str, &'static str)>;

fn but(fields: &[(&'static str, &'static str)], name: &'static str, text: &'static str) -> Fields {
    let mut fields: Fields = fields.to_vec();
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some(field) => field.1 = text,
        None => fields.push((name, text)),
    }
    fields
}

#[test]
fn one_result_from_two_systems_is_one_item_with_both_as_sources() {
    let other = [
        ("code", "1000651000000109"),
        ("code_system", "snomed-ct"),
        ("value", "5.4"),
        ("units", "mmol/L"),
        ("observed", "202601050930"),
        ("status", "F"),
        ("author", "Dr Test"),
    ];
    let found = record(&[
        statement(ItemKind::Result, "lab", "1", &POTASSIUM),
        statement(ItemKind::Result, "emis", "Observation/7", &other),
    ]);
    let items = found.section(ItemKind::Result);
    assert_eq!(items.len(), 1);
    let systems: Vec<&str> = items[0].sources.iter().map(|source| source.system.as_str()).collect();
    assert_eq!(systems, ["emis", "lab"]);
    assert_eq!(items[0].sources[0].author.as_deref(), Some("Dr Test"));
    assert_eq!(items[0].sources[0].age(found.at), Duration::from_secs(8));
    assert_eq!(items[0].codings.len(), 3, "each coding as received");
    let said = items[0].interpretation.as_ref().unwrap();
    assert_eq!((said.flag, said.from_range), (Some(Flag::High), true));
    assert_eq!(items[0].fields["reference_range"], "3.5-5.3");
    assert_eq!(found.disagreements, []);
}

#[test]
fn results_in_doubt_stay_apart_and_contrary_values_are_listed() {
    let lab = statement(ItemKind::Result, "lab", "1", &POTASSIUM);
    for (name, text, contrary) in [
        ("value", "5.6", true),
        ("units", "mg/L", false),
        ("observed", "2026-01-05T09:31:00+00:00", false),
        ("observed", "2026-01-05", false),
        ("codings", "local|K|K", false),
        ("codings", "", false),
        ("value", "", false),
    ] {
        let other = statement(ItemKind::Result, "emis", "7", &but(&POTASSIUM, name, text));
        let found = record(&[lab.clone(), other]);
        let items = found.section(ItemKind::Result);
        assert_eq!(items.len(), 2, "{name} {text}");
        assert_eq!(found.disagreements.len(), usize::from(contrary), "{name} {text}");
        assert_eq!(items.iter().filter(|item| item.disputed).count(), if contrary { 2 } else { 0 });
    }
    let specimen = |text| but(&POTASSIUM, "specimen", text);
    let found = record(&[
        statement(ItemKind::Result, "lab", "1", &specimen("blood")),
        statement(ItemKind::Result, "rio", "2", &specimen("urine")),
        statement(ItemKind::Result, "emis", "3", &POTASSIUM),
    ]);
    assert_eq!(found.section(ItemKind::Result).len(), 3, "it could be either");
    let twice = record(&[lab, statement(ItemKind::Result, "lab", "2", &POTASSIUM)]);
    assert_eq!(twice.section(ItemKind::Result).len(), 2, "a system that lists two has two");
}

#[test]
fn medication_allergies_immunisations_problems_and_documents_fold_by_their_rules() {
    type Pairs = &'static [(&'static str, &'static str)];
    const CODED: (&str, &str) = ("codings", "snomed-ct|1|Something");
    let table: [(ItemKind, Pairs, Pairs); 5] = [
        (
            ItemKind::Medication,
            &[CODED, ("started", "2026-01-05"), ("dose", "One  Daily")],
            &[("dose", "two daily"), ("started", "2026-01-06"), ("started", ""), ("dose", "")],
        ),
        (
            ItemKind::Allergy,
            &[CODED, ("severity", "severe"), ("status", "active")],
            &[("codings", "snomed-ct|2|Other"), ("severity", "")],
        ),
        (
            ItemKind::Immunisation,
            &[CODED, ("given", "2026-01-05T09:00:00"), ("batch_number", "B1")],
            &[("given", "2026-01-06"), ("batch_number", "B2"), ("given", "2026-01")],
        ),
        (
            ItemKind::Problem,
            &[CODED, ("onset", "2026-01-05"), ("status", "active")],
            &[("onset", ""), ("status", "inactive")],
        ),
        (
            ItemKind::Document,
            &[("content", "Dear Doctor"), ("media_type", "text/plain"), ("created", "2026-01-05")],
            &[("content", "Dear doctor"), ("created", "2026-01-07"), ("content", "")],
        ),
    ];
    for (kind, fields, others) in table {
        let one = statement(kind, "emis", "1", fields);
        let same = record(&[one.clone(), statement(kind, "rio", "2", fields)]);
        assert_eq!(same.section(kind).len(), 1, "{kind:?}");
        assert_eq!(same.section(kind)[0].sources.len(), 2);
        for (name, text) in others {
            let found = record(&[one.clone(), statement(kind, "rio", "2", &but(fields, name, text))]);
            assert_eq!(found.section(kind).len(), 2, "{kind:?} {name} {text}");
            assert_eq!(found.disagreements, [], "{kind:?} {name} {text}");
        }
    }
    let encounter = [CODED, ("started", "2026-01-05T09:00:00")];
    let own = ["emis", "rio"].map(|system| statement(ItemKind::Encounter, system, "1", &encounter));
    assert_eq!(record(&own).section(ItemKind::Encounter).len(), 2);
}

#[test]
fn an_allergy_of_two_severities_is_a_disagreement_and_both_are_shown() {
    let allergy = |system, severity, status| {
        let fields =
            [("codings", "snomed-ct|91936005|Penicillin"), ("severity", severity), ("status", status)];
        statement(ItemKind::Allergy, system, "1", &fields)
    };
    let found = record(&[
        allergy("emis", "severe", "active"),
        allergy("rio", "mild", "active"),
        allergy("pas", "severe", "active"),
    ]);
    assert_eq!(found.section(ItemKind::Allergy).len(), 2);
    assert!(found.disagreements.iter().all(|found| found.about == Dispute::Allergy));
    assert_eq!(found.disagreements.len(), 2);
    assert_eq!(found.disagreements[0].claims[0].value, "active, severe");
    let resolved = record(&[allergy("emis", "severe", "active"), allergy("rio", "severe", "resolved")]);
    assert_eq!((resolved.section(ItemKind::Allergy).len(), resolved.disagreements.len()), (2, 1));
}

#[test]
fn demographics_that_differ_are_listed_and_never_merged() {
    let person = |system, at, fields: &[(&str, &str)]| {
        let mut person = statement(ItemKind::Demographics, system, "", fields);
        person.source.said_at = Timestamp(at);
        person
    };
    let rio = [
        ("family_name", "O'Tester"),
        ("given_name", "Ada Jane"),
        ("birth_date", "19710203"),
        ("gender", "F"),
    ];
    let emis = [
        ("family_name", "OTester"),
        ("given_name", "Ada"),
        ("birth_date", "1971-02-03"),
        ("gender", "female"),
        ("nhs_number_status", "NSTS01"),
    ];
    let alike = record(&[person("rio", 20, &rio), person("emis", 10, &emis)]);
    assert_eq!(alike.disagreements, []);
    assert_eq!(alike.section(ItemKind::Demographics).len(), 2);
    assert_eq!(alike.identity.demographics["family_name"], "OTester", "verified before newer");
    let differ = record(&[
        person("rio", 20, &but(&rio, "birth_date", "19710204")),
        person("emis", 10, &but(&emis, "death_date", "2026-01-01")),
    ]);
    let about: Vec<Dispute> = differ.disagreements.iter().map(|found| found.about).collect();
    assert_eq!(about, [Dispute::BirthDate, Dispute::Death]);
    assert!(differ.section(ItemKind::Demographics).iter().all(|item| item.disputed));
}

#[test]
fn a_disagreement_marks_nothing_else_that_has_its_key() {
    let differing = |date: &'static str| [("birth_date", date)];
    let found = record(&[
        statement(ItemKind::Demographics, "one", "7", &differing("1971-02-03")),
        statement(ItemKind::Appointment, "one", "7", &[("status", "booked")]),
        statement(ItemKind::Demographics, "other", "", &differing("1971-02-04")),
    ]);
    assert!(found.section(ItemKind::Demographics).iter().all(|item| item.disputed));
    assert!(!found.section(ItemKind::Appointment)[0].disputed);
}

#[test]
fn what_lost_its_code_on_the_way_is_never_the_same_nor_in_dispute() {
    for (kind, code, display, one, other) in [
        (ItemKind::Allergy, "196461000000101", "", "Penicillin", "Aspirin"),
        (ItemKind::Allergy, "196471000000108", "", "Nuts", "Latex"),
        (ItemKind::Medication, "196421000000109", "", "Warfarin 1mg tablets", "Aspirin 75mg tablets"),
        (ItemKind::Problem, "1", "Transfer-degraded plan", "Review", "Referral"),
    ] {
        let codings =
            format!("http://snomed.info/sct|{code}|{display}\nhttp://snomed.info/sct#description|46|");
        let fields = |name, status| {
            [
                ("name", name),
                ("code", code),
                ("code_system", "snomed-ct"),
                ("codings", &codings),
                ("started", "2020-01-01"),
                ("onset", "2020-01-01"),
                ("status", status),
            ]
        };
        for status in ["active", "inactive"] {
            let found = record(&[
                statement(kind, "emis", "1", &fields(one, "active")),
                statement(kind, "vision", "2", &fields(other, status)),
            ]);
            assert_eq!((found.section(kind).len(), found.disagreements.len()), (2, 0), "{one}, {other}");
        }
        // A code of its own beside it still tells.
        let own = format!("{codings}\nhttps://fhir.example/drugs|77|{one}");
        let mut both = fields(one, "active");
        both[3].1 = &own;
        let found = record(&[statement(kind, "emis", "1", &both), statement(kind, "vision", "2", &both)]);
        assert_eq!(found.section(kind).len(), 1);
    }
}

#[test]
fn the_newest_word_of_one_system_counts_and_withdrawn_items_are_counted() {
    let number = NhsNumber::parse("9990000018").unwrap();
    let item = |value: &str| {
        ItemChange::new(
            ItemKind::Problem,
            "P1".to_owned(),
            vec![("name", FieldChange::Set(value.to_owned()))],
        )
    };
    let snapshot = Snapshot {
        system: "emis".to_owned(),
        nhs_number: number,
        as_at: Timestamp(5_000),
        identifiers: Vec::new(),
        items: vec![item("Asthma"), ItemChange { withdrawn: true, key: "P2".to_owned(), ..item("Error") }],
        faults: vec!["degraded"],
    };
    let parts = Parts {
        nhs_number: Some(number),
        statements: vec![statement(ItemKind::Problem, "emis", "P1", &[("name", "Old"), ("note", "older")])],
        answers: vec![snapshot.into()],
        ..Parts::default()
    };
    let found = assemble(parts, Timestamp(9_000));
    let items = found.section(ItemKind::Problem);
    assert_eq!((items.len(), items[0].fields["name"].as_str(), found.withdrawn_count), (1, "Asthma", 1));
    assert!(items[0].sources[0].cached && !items[0].fields.contains_key("note"));
    assert_eq!(items[0].sources[0].age(found.at), Duration::from_secs(4));
    let codes: Vec<&str> = found.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert_eq!(codes, ["as-at", "degraded"]);
    assert_eq!(found.notices[0].text, "1970-01-01T00:00:05.000Z");
}

#[test]
fn sections_come_in_order_and_the_newest_first() {
    let result =
        |key, observed| statement(ItemKind::Result, "lab", key, &[("name", key), ("observed", observed)]);
    let found = record(&[
        result("old", "20250105"),
        result("undated", ""),
        result("new", "2026-01-05T09:00:00Z"),
        statement(ItemKind::Allergy, "emis", "A", &[]),
        statement(ItemKind::Notice, "emis", "N", &[("code", "confidential-items"), ("section", "Problems")]),
    ]);
    let kinds: Vec<ItemKind> = found.sections.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [ItemKind::Notice, ItemKind::Allergy, ItemKind::Result]);
    let names: Vec<&str> =
        found.section(ItemKind::Result).iter().map(|item| item.fields["name"].as_str()).collect();
    assert_eq!(names, ["new", "old", "undated"]);
    assert_eq!(found.notices[0].code, "confidential-items");
}

#[test]
fn debug_shows_nothing_of_a_patient() {
    let secret =
        [("family_name", "Secretname"), ("codings", "snomed-ct|99999|Secretcode"), ("author", "Dr Secret")];
    let person = statement(ItemKind::Demographics, "rio", "KEY77", &secret);
    let found = record(&[
        person.clone(),
        statement(ItemKind::Demographics, "emis", "KEY77", &[("family_name", "Other")]),
    ]);
    let shown = format!("{person:?} {found:?} {:?} {:?}", found.disagreements, found.sections);
    for secret in ["Secret", "KEY77", "99999"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let values = ["", "1", "2"];
    (0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize, any::<bool>()).prop_map(
        move |(system, key, value, moment, specimen, allergy)| {
            let kind = if allergy { ItemKind::Allergy } else { ItemKind::Result };
            let moment = ["2026-01-05T09:30:00Z", "2026-01-05T09:30:00", "2026-01-05"][moment];
            let fields = [
                ("codings", ["snomed-ct|1|A", "snomed-ct|1|A\nloinc|2|B", "loinc|2|B"][key]),
                ("value", values[value]),
                ("severity", values[value]),
                ("observed", moment),
                ("specimen", values[specimen]),
            ];
            statement(kind, ["emis", "rio", "lab"][system], ["a", "b", "c"][key], &fields)
        },
    )
}

proptest! {
    #[test]
    fn a_record_depends_on_no_order_and_loses_nothing(
        (statements, shuffled) in prop::collection::vec(any_statement(), 0..12).prop_flat_map(|mut statements| {
            statements.sort_by(|one, other| (one.kind, &one.source).cmp(&(other.kind, &other.source)));
            statements.dedup_by(|one, other| one.kind == other.kind && one.source == other.source);
            (Just(statements.clone()), Just(statements).prop_shuffle())
        })
    ) {
        let found = record(&statements);
        prop_assert_eq!(&found, &record(&shuffled));
        let sources: usize = found.sections.iter().flat_map(|(_, items)| items).map(|item| item.sources.len()).sum();
        prop_assert_eq!(sources, statements.len());
        for item in found.sections.iter().flat_map(|(_, items)| items) {
            let systems: std::collections::BTreeSet<&str> =
                item.sources.iter().map(|source| source.system.as_str()).collect();
            prop_assert_eq!(systems.len(), item.sources.len());
        }
    }
}
