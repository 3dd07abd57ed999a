//! What was withdrawn stays withdrawn, in whatever order it comes, and what it was stays to be seen.

use super::*;

fn document(moment: i64, part_of: &str, key: &str, ward: &str) -> Event {
    let mut event = with(event(moment, None, &["A"]), key, &[("ward", ward)]);
    event.items[0].part_of = part_of.to_owned();
    event
}

fn nullify(moment: i64, part_of: &str) -> Event {
    Event { withdraws: vec![part_of.to_owned()], ..event(moment, None, &[]) }
}

fn item_withdrawn(moment: i64, key: &str) -> Event {
    let mut event = with(event(moment, None, &["A"]), key, &[]);
    event.items[0].withdrawn = true;
    event
}

/// See [`wards`].
type Ward = (String, Option<String>, Option<String>, Vec<(Option<String>, bool)>);

/// Of each item: its key, its ward now, who withdrew it, and what its ward has been.
fn wards(view: &View) -> Vec<Ward> {
    let record = record_of(view, "A");
    let items = &record.items[&ItemKind::Encounter];
    let shown = items.iter().map(|item| {
        let ward = item.fields.get("ward");
        let history = ward.into_iter().flat_map(|ward| &ward.history);
        (
            item.key.clone(),
            ward.and_then(|ward| ward.value.clone()),
            item.withdrawn.as_ref().map(|source| source.source_id.clone()),
            history.map(|version| (version.value.clone(), version.withdrawn)).collect(),
        )
    });
    shown.collect()
}

fn in_every_order(events: &[Event]) -> Vec<Ward> {
    let mut agreed = None;
    for order in permutations(events.len()) {
        let home = Temporary::new();
        let (view, _) = open(&home.0);
        for index in &order {
            apply(&view, &events[*index..=*index]);
            view.flush().unwrap();
        }
        assert_eq!(
            view.repairs().unwrap().newest.iter().filter(|r| r.kind == RepairKind::NoIdentifier).count(),
            0
        );
        drop(view);
        let found = wards(&open(&home.0).0);
        assert_eq!(*agreed.get_or_insert_with(|| found.clone()), found, "{order:?}");
    }
    agreed.unwrap()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn a_nullified_document_takes_what_it_said_with_it_whichever_comes_first() {
    let long = "d".repeat(200);
    let found = in_every_order(&[
        document(1, "D1", "E1", "Ash"),
        document(2, "D2", "E1", "Beech"),
        document(3, &long, "E1", "Cedar"),
        document(4, "D1", "E2", "Elm"),
        nullify(5, "D1"),
        nullify(6, &long),
        nullify(7, "D9"),
    ]);
    assert_eq!(
        found,
        [
            (
                "E1".to_owned(),
                text("Beech"),
                None,
                vec![(text("Cedar"), true), (text("Beech"), false), (text("Ash"), true)]
            ),
            ("E2".to_owned(), text("Elm"), text("M5"), vec![(text("Elm"), true)]),
        ]
    );
}

#[test]
fn another_systems_document_of_the_same_name_is_another_document() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    apply(&view, &[document(1, "D1", "E1", "Ash")]);
    tell(&view, "pas", Told::Event(&nullify(2, "D1")));
    assert_eq!(wards(&view)[0].2, None);
}

#[test]
fn an_item_is_withdrawn_until_its_source_says_it_again() {
    let said = |moment| with(event(moment, None, &["A"]), "E1", &[("ward", "Ash")]);
    let withdrawn = in_every_order(&[said(1), said(2), item_withdrawn(3, "E1"), said(3)]);
    assert_eq!(withdrawn[0].2, text("M3"), "of one moment, the withdrawal counts");
    let again = in_every_order(&[said(1), item_withdrawn(3, "E1"), said(4)]);
    assert_eq!((again[0].1.clone(), again[0].2.clone()), (text("Ash"), None));
}

#[test]
fn what_was_known_at_a_moment_can_be_told() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let told = [(10, 100, "Ash"), (30, 110, "Beech"), (20, 120, "Cedar"), (40, 130, "Ash")];
    for (offset, (occurred, received, ward)) in (0..).zip(told) {
        let event = with(event(occurred, None, &["A"]), "E1", &[("ward", ward)]);
        let applied = Applied {
            system: "rio",
            received: Timestamp(received),
            position: place(offset),
            told: Told::Event(&event),
        };
        view.apply(&[applied], place(offset + 1)).unwrap();
    }
    let record = record_of(&view, "A");
    let ward = &record.items[&ItemKind::Encounter][0].fields["ward"];
    let known = |moment| ward.known_at(Timestamp(moment)).and_then(|version| version.value.as_deref());
    assert_eq!(
        [known(99), known(100), known(110), known(125), known(130)],
        [None, Some("Ash"), Some("Beech"), Some("Beech"), Some("Ash")]
    );
    assert_eq!((ward.received, ward.occurred), (Timestamp(130), Timestamp(40)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn withdrawals_depend_on_no_order(
        (events, shuffled) in prop::collection::vec((0..5_usize, 0..3_usize, 0..3_usize, 0..4_usize), 1..20)
            .prop_map(|drawn| (1..).zip(drawn).map(|(moment, (what, part, key, ward))| {
                let (part, key) = (["", "D1", "D2"][part], ["E1", "E2", "E3"][key]);
                match what {
                    0 => nullify(moment, part),
                    1 => item_withdrawn(moment, key),
                    _ => document(moment, part, key, ["", "Ash", "Beech", "Cedar"][ward]),
                }
            }).collect::<Vec<_>>())
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
    ) {
        let homes = (Temporary::new(), Temporary::new());
        let (one, _) = open(&homes.0.0);
        let anchor = with(event(0, None, &["A"]), "E0", &[("ward", "Oak")]);
        apply(&one, std::slice::from_ref(&anchor));
        apply(&one, &events);
        let (two, _) = open(&homes.1.0);
        for part in shuffled.chunks(3) {
            apply(&two, part);
            two.flush().unwrap();
        }
        apply(&two, &[anchor]);
        prop_assert_eq!(plain(&[record_of(&one, "A")]), plain(&[record_of(&two, "A")]));
    }
}
