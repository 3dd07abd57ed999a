//! The view against a model of the rules, against damage, and against crashes at every batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use proptest::prelude::*;

use super::*;
use crate::domain::{
    ids::Class,
    nhs_number::InvalidNhsNumber,
    record::{FieldChange, ItemChange, ItemKind},
};

mod damage;
mod finding;
mod linked;
mod matching;
mod volume;
mod withdrawal;

/// A directory that goes when the test ends.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("polygate-view-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _left_behind_if_this_fails = fs::remove_dir_all(&self.0);
    }
}

fn open(directory: &Path) -> (View, Opened) {
    View::open(directory, &mut Entropy::from_seed(7)).unwrap()
}

fn number(index: usize) -> NhsNumber {
    let text = ["9990000018", "9990000026", "9990000034"][index % 3];
    NhsNumber::parse(text).unwrap()
}

fn identifier(value: &str) -> Identifier {
    Identifier { value: value.to_owned(), authority: "RV5".to_owned(), kind: "MR".to_owned() }
}

/// A message from `rio` about the patient with these identifiers; a number is verified.
fn event(occurred: i64, nhs_number: Option<NhsNumber>, locals: &[&str]) -> Event {
    Event {
        kind: "ADT^A08".to_owned(),
        class: Class::Clinical,
        source_id: format!("M{occurred}"),
        sender: "RIO|RV5".to_owned(),
        occurred: Some(Timestamp(occurred)),
        nhs_number: nhs_number.ok_or(InvalidNhsNumber::Absent),
        identifiers: locals.iter().map(|value| identifier(value)).collect(),
        merged: Vec::new(),
        items: nhs_number.map(|_| demographics(&[("nhs_number_status", "NSTS01")])).into_iter().collect(),
        withdraws: Vec::new(),
        faults: Vec::new(),
    }
}

fn demographics(fields: &[(&'static str, &str)]) -> ItemChange {
    let set = |(name, value): &(&'static str, &str)| (*name, FieldChange::Set((*value).to_owned()));
    ItemChange::new(ItemKind::Demographics, String::new(), fields.iter().map(set).collect())
}

fn merge(occurred: i64, survivor: &str, merged: &str) -> Event {
    Event { merged: vec![identifier(merged)], ..event(occurred, None, &[survivor]) }
}

fn with(mut event: Event, key: &str, fields: &[(&'static str, &str)]) -> Event {
    let change = |value: &str| match value {
        "" => FieldChange::Delete,
        value => FieldChange::Set(value.to_owned()),
    };
    let fields = fields.iter().map(|(name, value)| (*name, change(value))).collect();
    let item = ItemChange::new(ItemKind::Encounter, key.to_owned(), fields);
    event.items.push(item);
    event
}

fn place(count: u64) -> Position {
    Position { segment: 1, offset: count }
}

fn apply(view: &View, events: &[Event]) {
    events.iter().for_each(|event| tell(view, "rio", Told::Event(event)));
}

fn tell(view: &View, system: &str, told: Told<'_>) {
    let offset = view.position().unwrap().offset;
    let applied = Applied { system, received: Timestamp(5), position: place(offset), told };
    view.apply(&[applied], place(offset + 1)).unwrap();
}

fn record_of(view: &View, local: &str) -> PatientRecord {
    let patient = view.find_by_identifier("rio", &identifier(local)).unwrap().unwrap();
    view.record(patient).unwrap().unwrap()
}

fn value(record: &PatientRecord, name: &str) -> Option<String> {
    let item = &record.items[&ItemKind::Encounter][0];
    item.fields.get(name).and_then(|field| field.value.clone())
}

#[test]
fn a_late_message_fills_gaps_and_overrides_nothing_newer() {
    let home = Temporary::new();
    let (view, opened) = open(&home.0);
    assert_eq!(opened.rebuild, Some(RebuildReason::New));
    assert_eq!(view.position().unwrap(), Position::default());
    let on = |occurred| event(occurred, Some(number(0)), &["A"]);
    apply(
        &view,
        &[
            with(on(20), "E1", &[("ward", "Beech")]),
            with(on(10), "E1", &[("ward", "Ash"), ("consultant", "Dr Test")]),
            with(on(30), "E1", &[("bay", "")]),
            with(on(25), "E1", &[("bay", "4")]),
        ],
    );
    let record = record_of(&view, "A");
    assert_eq!(value(&record, "ward").as_deref(), Some("Beech"));
    assert_eq!(value(&record, "consultant").as_deref(), Some("Dr Test"));
    assert_eq!(value(&record, "bay"), None);
    let item = &record.items[&ItemKind::Encounter][0];
    assert_eq!(item.fields["bay"].occurred, Timestamp(30));
    assert_eq!(item.fields["consultant"].source_id, "M10");
    assert_eq!(
        (item.first_seen, item.last_changed, item.system.as_str()),
        (Timestamp(10), Timestamp(30), "rio")
    );
    assert_eq!(view.counts().unwrap().patients, 1);
}

#[test]
fn a_message_without_a_moment_counts_from_its_receipt() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let none = Event { occurred: None, ..event(0, None, &["A"]) };
    apply(
        &view,
        &[
            with(event(4, None, &["A"]), "E1", &[("ward", "Ash")]),
            with(none.clone(), "E1", &[("ward", "Beech")]),
            with(event(6, None, &["A"]), "E2", &[("ward", "Oak")]),
            with(none, "E2", &[("ward", "Elm")]),
        ],
    );
    let items = &record_of(&view, "A").items[&ItemKind::Encounter];
    let wards: Vec<_> = items.iter().map(|item| item.fields["ward"].value.as_deref()).collect();
    assert_eq!(wards, [Some("Beech"), Some("Oak")]);
}

#[test]
fn nhs_numbers_join_local_identifiers_and_contradictions_join_nothing() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    apply(
        &view,
        &[
            event(1, None, &["A"]),
            event(2, Some(number(0)), &["B"]),
            event(3, Some(number(0)), &["A"]),
            event(4, Some(number(1)), &["C"]),
        ],
    );
    let found = view.find_by_nhs_number(&number(0)).unwrap();
    assert_eq!(found, view.find_by_identifier("rio", &identifier("A")).unwrap());
    assert_eq!(found, view.find_by_identifier("rio", &identifier("B")).unwrap());
    assert_eq!(view.find_by_identifier("pas", &identifier("A")).unwrap(), None);
    assert_eq!(view.counts().unwrap().patients, 2);
    apply(
        &view,
        &[
            with(event(5, Some(number(1)), &["A"]), "E1", &[("ward", "Ash")]),
            event(6, Some(number(2)), &["A"]),
            event(7, None, &["A", "C"]),
        ],
    );
    assert_eq!(view.counts().unwrap().patients, 3);
    let record = record_of(&view, "A");
    assert_eq!(record.nhs_number, None, "three verified numbers are none");
    assert_eq!(record.nhs_numbers, BTreeSet::new());
    assert_eq!(value(&record, "ward").as_deref(), Some("Ash"));
    let kinds: Vec<_> = record.disagreements.iter().map(|found| found.kind).collect();
    use DisagreementKind as K;
    assert_eq!(kinds, [K::NhsNumberOfAnother, K::SecondNhsNumber, K::IdentifierOfAnother]);
    assert_eq!(record.disagreements[0].claim, number(1).as_str());
    assert_eq!(record_of(&view, "C").disagreements, []);
    assert_eq!(view.find_by_nhs_number(&number(2)).unwrap(), None);
    assert_eq!(
        view.find_by_nhs_number(&number(0)).unwrap(),
        view.find_by_identifier("rio", &identifier("B")).unwrap()
    );
    assert_eq!(record_of(&view, "B").apart, [("rio".to_owned(), MatchDoubt::TwoNumbers)]);
}

#[test]
fn what_cannot_be_linked_is_listed_for_repair() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let long = "x".repeat(IDENTIFIER_BYTES_MAX);
    let many: Vec<String> = (0..=IDENTIFIERS_MAX).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    apply(
        &view,
        &[
            event(1, None, &[]),
            event(2, None, &["A"]),
            event(3, Some(number(0)), &[&long]),
            event(4, Some(number(1)), &many),
        ],
    );
    let repairs = view.repairs().unwrap();
    let kinds: Vec<_> = repairs.newest.iter().map(|repair| repair.kind.code()).collect();
    assert_eq!(
        kinds,
        [
            "identifier-unusable",
            "identifier-unusable",
            "nhs-number-absent",
            "no-identifier",
            "nhs-number-absent",
        ]
    );
    assert_eq!((repairs.newest[2].source_id.as_str(), repairs.newest[2].received), ("M2", Timestamp(5)));
    assert_eq!((repairs.count, repairs.more), (5, false));
    assert_eq!(record_of(&view, "0").identifiers.len(), IDENTIFIERS_MAX);
}

#[test]
fn repairs_are_bounded_to_the_newest() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let events: Vec<Event> = (0..12_000).map(|occurred| event(occurred, None, &["A"])).collect();
    apply(&view, &events);
    view.flush().unwrap();
    let repairs = view.repairs().unwrap();
    assert_eq!((repairs.count, repairs.newest.len()), (10_000, 10_000));
    assert_eq!(
        (repairs.newest[0].source_id.as_str(), repairs.newest[9_999].source_id.as_str()),
        ("M11999", "M2000")
    );
}

#[test]
fn merges_come_in_any_order_and_go_round_in_no_circle() {
    let events = [
        with(event(1, Some(number(0)), &["A"]), "E1", &[("ward", "Ash")]),
        with(event(2, Some(number(1)), &["B"]), "E2", &[("ward", "Beech")]),
        merge(3, "B", "A"),
        merge(4, "C", "B"),
        with(event(5, None, &["A"]), "E3", &[("ward", "Elm")]),
        merge(6, "A", "C"),
    ];
    let mut seen: Option<PatientRecord> = None;
    for order in permutations(events.len()) {
        let home = Temporary::new();
        let (view, _) = open(&home.0);
        let arranged: Vec<Event> = order.iter().map(|index| events[*index].clone()).collect();
        apply(&view, &arranged);
        let record = comparable(record_of(&view, "A"));
        let other = PatientRecord {
            nhs_number: record.nhs_number,
            is_sure: record.is_sure,
            ..comparable(record_of(&view, "C"))
        };
        assert_eq!(other, record);
        for index in 0..2 {
            let patient = view.find_by_nhs_number(&number(index)).unwrap().unwrap();
            let found = view.record(patient).unwrap().unwrap();
            assert_eq!(found.nhs_number, Some(number(index)));
            assert_eq!(
                found.items[&ItemKind::Encounter].len(),
                3,
                "one system's merge is read with both numbers"
            );
        }
        assert_eq!(record.items[&ItemKind::Encounter].len(), 3);
        assert_eq!(record.nhs_numbers.len(), 2);
        assert_eq!(record.merged_from().count(), 3);
        assert_eq!(*seen.get_or_insert_with(|| record.clone()), record, "{order:?}");
    }
}

/// Every seventh order of so many things, and the given one.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for next in 0..count {
        all = all
            .iter()
            .flat_map(|order: &Vec<usize>| {
                (0..=order.len()).map(|at| {
                    let mut longer = order.clone();
                    longer.insert(at, next);
                    longer
                })
            })
            .collect();
    }
    all.into_iter().step_by(37).collect()
}

/// Without what depends on the order of arrival: numbers of patients and of versions.
fn comparable(mut record: PatientRecord) -> PatientRecord {
    record.patient = PatientId(0);
    record.items.values_mut().flatten().for_each(|item| item.versions = 0);
    record
}

#[test]
fn large_values_go_to_files_and_nothing_in_sled_is_over_the_limit() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let letter = "é".repeat(100_000);
    let key = "k".repeat(6_000);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let line = "x".repeat(1_000);
    let many: Vec<(&'static str, &str)> = names.iter().map(|name| (*name, line.as_str())).collect();
    apply(
        &view,
        &[
            with(event(1, None, &["A"]), &key, &[("text", &letter)]),
            with(event(2, None, &["B"]), "E2", &many),
        ],
    );
    view.flush().unwrap();
    {
        let state = view.state_read();
        let engine = &state.as_ref().unwrap().shelf.engine;
        let mut longest = (0, 0);
        engine
            .scan(b"", usize::MAX, |key, value| {
                longest = (longest.0.max(key.len()), longest.1.max(value.len()));
                Ok(())
            })
            .unwrap();
        assert!(longest.0 <= keys::KEY_BYTES_MAX && longest.1 <= shelf::VALUE_BYTES_MAX, "{longest:?}");
    }
    drop(view);
    assert_eq!(fs::read_dir(home.0.join("bodies")).unwrap().count(), 1);
    let (view, opened) = open(&home.0);
    assert_eq!(opened.rebuild, None);
    assert_eq!(value(&record_of(&view, "A"), "text").as_deref(), Some(letter.as_str()));
    assert_eq!(record_of(&view, "A").items[&ItemKind::Encounter][0].key, key);
    assert_eq!(value(&record_of(&view, "B"), "h").as_deref(), Some(line.as_str()));
    for moment in 3..20 {
        let text = if moment < 19 { moment.to_string() } else { String::new() };
        apply(&view, &[with(event(moment, None, &["A"]), &key, &[("text", &text)])]);
        view.flush().unwrap();
    }
    drop(view);
    let (view, opened) = open(&home.0);
    assert_eq!(opened.rebuild, None);
    assert_eq!(fs::read_dir(home.0.join("bodies")).unwrap().count(), 0, "what nothing refers to is gone");
    let runs = fs::read_dir(home.0.join("runs")).unwrap().count();
    assert!(runs < 10, "runs whose items were brought together are gone: {runs} left");
    assert_eq!(value(&record_of(&view, "A"), "text"), None);
    assert_eq!(record_of(&view, "A").items[&ItemKind::Encounter][0].versions, 18);
    assert_eq!(value(&record_of(&view, "B"), "h").as_deref(), Some(line.as_str()));
}

#[test]
fn those_booked_on_a_day_are_found() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let book = |moment, local: &str, start: &str| {
        let mut event = event(moment, None, &[local]);
        let start = vec![("start", FieldChange::Set(start.to_owned()))];
        event.items.push(ItemChange::new(ItemKind::Appointment, format!("S{moment}"), start));
        event
    };
    apply(
        &view,
        &[
            book(1, "A", "2026-01-06T09:00:00"),
            book(2, "A", "202601061000"),
            book(3, "B", "20260106"),
            book(4, "C", "2026-01-07T09:00:00"),
            book(5, "D", "2026-01"),
        ],
    );
    let found = view.booked(20_260_106).unwrap();
    let whose = ["A", "B"].map(|local| view.find_by_identifier("rio", &identifier(local)).unwrap().unwrap());
    assert_eq!(found, whose);
    view.forget_bookings_before(20_260_107).unwrap();
    view.flush().unwrap();
    drop(view);
    let (view, _) = open(&home.0);
    assert_eq!((view.booked(20_260_106).unwrap().len(), view.booked(20_260_107).unwrap().len()), (0, 1));
}

#[test]
fn debug_shows_nothing_of_a_patient() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    apply(
        &view,
        &[
            with(event(1, Some(number(0)), &["LOCAL77"]), "E1", &[("ward", "Secretward")]),
            event(2, Some(number(1)), &["LOCAL77"]),
        ],
    );
    let record = record_of(&view, "LOCAL77");
    let item = &record.items[&ItemKind::Encounter][0];
    let shown = format!(
        "{view:?} {record:?} {item:?} {:?} {:?} {:?} {:?}",
        item.fields,
        record.identifiers,
        record.disagreements,
        view.repairs().unwrap()
    );
    for secret in ["LOCAL77", "Secretward", "999000"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

const FIELDS: [&str; 5] = ["ward", "bay", "consultant", "status", "reason"];

/// Messages about three people who contradict nobody: each person has identifiers and one NHS number of
/// their own. Each message has a moment of its own.
fn messages() -> impl Strategy<Value = Vec<Event>> {
    let fields = prop::collection::btree_map(0..FIELDS.len(), 0..4_usize, 0..FIELDS.len());
    let one = (0..3_usize, any::<bool>(), 1..4_usize, 0..3_usize, fields, 0..8_usize);
    prop::collection::vec(one, 1..40)
        .prop_map(|drawn| (1..).zip(drawn).map(|(occurred, drawn)| message(occurred, drawn)).collect())
}

type Drawn = (usize, bool, usize, usize, BTreeMap<usize, usize>, usize);

fn message(occurred: i64, (person, numbered, mask, key, fields, merging): Drawn) -> Event {
    let locals: Vec<String> =
        (0..2).filter(|bit| mask >> bit & 1 == 1).map(|bit| format!("P{person}-{bit}")).collect();
    let locals: Vec<&str> = locals.iter().map(String::as_str).collect();
    let values = ["", "one", "two", "three"];
    let fields: Vec<_> = fields.into_iter().map(|(name, value)| (FIELDS[name], values[value])).collect();
    let event = event(occurred, numbered.then(|| number(person)), &locals);
    let merged = if merging == 0 { vec![identifier(&format!("P{person}-old"))] } else { Vec::new() };
    Event { merged, ..with(event, &format!("P{person}-E{key}"), &fields) }
}

/// What the rules say each field of each item must be: the newest by moment, in a plain map.
fn expected(events: &[Event]) -> BTreeMap<(String, String), (i64, Option<String>)> {
    let mut model = BTreeMap::new();
    for event in events {
        let occurred = event.occurred.unwrap().0;
        for item in event.items.iter().filter(|item| item.kind == ItemKind::Encounter) {
            for (name, change) in &item.fields {
                let value = match change {
                    FieldChange::Delete => None,
                    FieldChange::Set(text) => Some(text.clone()),
                };
                let place = model.entry((item.key.clone(), (*name).to_owned())).or_insert((-1, None));
                if place.0 <= occurred {
                    *place = (occurred, value);
                }
            }
        }
    }
    model
}

fn all_records(view: &View) -> Vec<PatientRecord> {
    let mut found = BTreeSet::new();
    for person in 0..3 {
        for bit in ["0", "1", "old"] {
            let local = identifier(&format!("P{person}-{bit}"));
            found.extend(view.find_by_identifier("rio", &local).unwrap());
        }
    }
    let mut records: Vec<_> =
        found.into_iter().map(|patient| comparable(view.record(patient).unwrap().unwrap())).collect();
    records.sort_by_key(|record| record.identifiers.clone());
    records
}

/// Everything a record says, in a form that shows where two differ.
fn plain(records: &[PatientRecord]) -> Vec<String> {
    let mut lines = Vec::new();
    for (which, record) in records.iter().enumerate() {
        let numbers = record.nhs_numbers.iter().map(NhsNumber::as_str);
        lines.extend(numbers.map(|number| format!("{which} number {number}")));
        for known in &record.identifiers {
            lines.push(format!("{which} identifier {} merged {}", known.identifier.value, known.merged));
        }
        for item in record.items.values().flatten() {
            let Source { occurred, source_id, .. } = item.withdrawn.clone().unwrap_or(Source {
                occurred: Timestamp(-1),
                received: Timestamp(0),
                source_id: String::new(),
            });
            lines.push(format!(
                "{which} {} {} {} withdrawn {occurred} {source_id}",
                item.key, item.first_seen, item.last_changed
            ));
            for (name, field) in &item.fields {
                lines.push(format!(
                    "{which} {} {name} {:?} {} {}",
                    item.key, field.value, field.occurred, field.source_id
                ));
                for version in &field.history {
                    lines.push(format!(
                        "{which} {} {name} was {:?} {:?} {:?} {}",
                        item.key, version.value, version.first, version.last, version.withdrawn
                    ));
                }
            }
        }
    }
    lines
}

fn actual(records: &[PatientRecord]) -> BTreeMap<(String, String), (i64, Option<String>)> {
    let items = records.iter().flat_map(|record| record.items.get(&ItemKind::Encounter)).flatten();
    let mut newest = BTreeMap::new();
    // Identifiers that no message has joined are two patients, who may both have the item.
    for item in items {
        for (name, field) in &item.fields {
            let place = newest.entry((item.key.clone(), name.clone())).or_insert((-1, None));
            if place.0 <= field.occurred.0 {
                *place = (field.occurred.0, field.value.clone());
            }
        }
    }
    newest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_and_any_repetition_give_the_same_records(
        (events, other) in messages().prop_flat_map(|events| {
            let shuffled = Just(events.clone()).prop_shuffle();
            let again = prop::sample::subsequence(events.clone(), 0..=events.len());
            let both = (shuffled, again).prop_map(|(mut all, again)| { all.extend(again); all });
            (Just(events), both.prop_shuffle())
        }),
        flush_every in 1..20_usize,
    ) {
        let (one_home, other_home) = (Temporary::new(), Temporary::new());
        let (one, _) = open(&one_home.0);
        apply(&one, &events);
        let (two, _) = open(&other_home.0);
        for part in other.chunks(flush_every) {
            apply(&two, part);
            two.flush().unwrap();
        }
        drop(two);
        let (two, opened) = open(&other_home.0);
        prop_assert_eq!(opened.rebuild, None);
        let records = all_records(&one);
        prop_assert_eq!(plain(&records), plain(&all_records(&two)));
        prop_assert_eq!(one.counts().unwrap().patients, two.counts().unwrap().patients);
        prop_assert_eq!(actual(&records), expected(&events));
    }

    #[test]
    fn contradictions_never_join_two_nhs_numbers(
        drawn in prop::collection::vec((0..4_usize, 1..16_usize), 1..30),
    ) {
        let home = Temporary::new();
        let (view, _) = open(&home.0);
        let names = ["A", "B", "C", "D"];
        let events: Vec<Event> = (1..).zip(drawn).map(|(occurred, (which, mask))| {
            let locals: Vec<&str> = (0..4).filter(|bit| mask >> bit & 1 == 1).map(|bit| names[bit]).collect();
            event(occurred, (which < 3).then(|| number(which)), &locals)
        }).collect();
        apply(&view, &events);
        for name in names {
            if let Some(patient) = view.find_by_identifier("rio", &identifier(name)).unwrap() {
                prop_assert!(view.record(patient).unwrap().unwrap().nhs_numbers.len() <= 1);
            }
        }
        let claimed: BTreeSet<_> = events.iter().filter_map(|event| event.nhs_number.ok()).collect();
        let known = (0..3).filter(|index| view.find_by_nhs_number(&number(*index)).unwrap().is_some()).count();
        prop_assert!(known == claimed.len() || !view.matches().unwrap().cases.is_empty());
    }
}
