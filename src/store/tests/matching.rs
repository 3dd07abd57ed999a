//! Who is linked to whom: verified numbers, exact demographics, people's decisions, and nothing else.

use super::*;
use crate::domain::matching::Decision;

const ADA: [(&str, &str); 5] = [
    ("family_name", "Tester"),
    ("given_name", "Ada"),
    ("birth_date", "19710203"),
    ("gender", "F"),
    ("postcode", "W1A 1AA"),
];
const BOB: [(&str, &str); 5] = [
    ("family_name", "Tester"),
    ("given_name", "Bob"),
    ("birth_date", "19710203"),
    ("gender", "M"),
    ("postcode", "W1A 1AA"),
];

/// A message with an encounter of its own, from a system about one of its people.
fn said(
    moment: i64,
    status: &str,
    number: NhsNumber,
    local: &[&str],
    person: &[(&'static str, &str)],
) -> Event {
    let mut fields = person.to_vec();
    fields.push(("nhs_number_status", status));
    let mut event = event(moment, Some(number), local);
    event.items = vec![demographics(&fields)];
    with(event, &format!("E{moment}"), &[("ward", "Ash")])
}

/// The encounters' keys by number, and of each case its reason, persons and holders.
type Seen = (Vec<Vec<String>>, Vec<(MatchDoubt, usize, usize)>);

/// Which encounters are read with each number, and what waits for people.
fn seen(view: &View) -> Seen {
    let keys = |index| {
        let Some(patient) = view.find_by_nhs_number(&number(index)).unwrap() else { return Vec::new() };
        let record = view.record(patient).unwrap().unwrap();
        let mut keys: Vec<_> =
            record.items[&ItemKind::Encounter].iter().map(|item| item.key.clone()).collect();
        keys.sort();
        keys
    };
    let cases = view.matches().unwrap().cases;
    let mut cases: Vec<_> =
        cases.iter().map(|case| (case.doubt, case.persons.len(), case.holders.len())).collect();
    cases.sort();
    ((0..3).map(keys).collect(), cases)
}

/// Applies in every order of a sample, with a reopening in the middle, and says what all agree on.
fn in_any_order(messages: &[(&str, Event)]) -> Seen {
    let mut agreed = None;
    for order in permutations(messages.len()) {
        let home = Temporary::new();
        let (mut view, _) = open(&home.0);
        for (count, index) in order.iter().enumerate() {
            if count == messages.len() / 2 {
                view.flush().unwrap();
                drop(view);
                view = open(&home.0).0;
            }
            let (system, event) = &messages[*index];
            tell(&view, system, Told::Event(event));
        }
        let patients = view.counts().unwrap().patients;
        view.flush().unwrap();
        let found = seen(&view);
        drop(view);
        let (view, _) = open(&home.0);
        assert_eq!(seen(&view), found);
        assert_eq!(view.counts().unwrap().patients, patients, "counted anew");
        assert_eq!(*agreed.get_or_insert_with(|| found.clone()), found, "{order:?}");
    }
    agreed.unwrap()
}

#[test]
fn one_person_through_many_systems_is_one_record() {
    let (records, cases) = in_any_order(&[
        ("rio", said(1, "NSTS01", number(0), &["R1"], &ADA)),
        ("pas", said(2, "NSTS01", number(0), &["P1"], &[])),
        ("emis", said(3, "Number present and verified", number(0), &[], &[])),
        ("lab", said(4, "", number(0), &[], &ADA)),
        ("lab", said(5, "", number(0), &["H7"], &ADA[..4])),
        (
            "adastra",
            said(
                6,
                "NSTS02",
                number(0),
                &["C1"],
                &[ADA[0], ("given_name", "ADA"), ("birth_date", "1971-02-03"), ("gender", "female")],
            ),
        ),
    ]);
    assert_eq!(records[0], ["E1", "E2", "E3", "E4", "E5", "E6"]);
    assert_eq!(cases, []);
}

#[test]
fn a_number_that_is_not_verified_never_links_by_itself() {
    let (records, cases) = in_any_order(&[
        ("rio", said(1, "NSTS01", number(0), &["R1"], &ADA)),
        ("lab", said(2, "NSTS02", number(0), &["H1"], &BOB)),
        ("lab", said(3, "", number(0), &[], &BOB)),
        ("lab", said(4, "", number(0), &[], &[])),
        ("adastra", said(5, "02", number(0), &["C1"], &[])),
    ]);
    assert_eq!(records[0], ["E1"]);
    let unverified = |persons| (MatchDoubt::Unverified, persons, 1);
    assert_eq!(cases, [unverified(1), unverified(1), unverified(2)], "Bob is one person to his laboratory");
}

#[test]
fn the_newest_word_on_a_number_counts_and_a_verified_number_beats_another() {
    let (records, cases) = in_any_order(&[
        ("rio", said(1, "NSTS01", number(0), &["R1"], &ADA)),
        ("pas", said(2, "NSTS01", number(0), &["P1"], &BOB)),
        ("pas", said(3, "NSTS05", number(0), &["P1"], &BOB)),
        ("lab", said(4, "", number(0), &["H1"], &BOB)),
        ("lab", said(5, "NSTS01", number(1), &["H1"], &BOB)),
        ("emis", said(6, "01", number(1), &[], &[])),
    ]);
    assert_eq!(records, [vec!["E1"], vec!["E4", "E5", "E6"], vec![]]);
    assert_eq!(cases, [(MatchDoubt::Unverified, 1, 1)], "the number's trace was called back");
}

#[test]
fn two_verified_numbers_of_one_person_are_none() {
    let (records, cases) = in_any_order(&[
        ("rio", said(1, "NSTS01", number(0), &["R1"], &ADA)),
        ("pas", said(2, "NSTS01", number(0), &["P1"], &ADA)),
        ("pas", said(3, "NSTS01", number(1), &["P1"], &ADA)),
        ("emis", said(4, "01", number(1), &[], &BOB)),
    ]);
    assert_eq!(records, [vec!["E1"], vec!["E4"], vec![]]);
    assert_eq!(cases, [(MatchDoubt::TwoNumbers, 1, 1), (MatchDoubt::TwoNumbers, 1, 1)]);
}

fn decide(view: &View, case: &MatchCase, link: bool, at: i64) -> Decision {
    let both = case.persons.iter().chain(case.holders.iter().filter(|_| link));
    let decision = Decision {
        v: Decision::VERSION,
        nhs_number: case.nhs_number,
        persons: both.map(|person| person.name.clone()).collect(),
        link,
        by: "uid 1000".to_owned(),
        reason: "spoke to the ward".to_owned(),
        at: Timestamp(at),
    };
    tell(view, "hub", Told::Decision(&decision));
    decision
}

#[test]
fn people_link_and_keep_apart_and_may_think_again() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let rio = said(1, "NSTS01", number(0), &["R1"], &ADA);
    let lab = said(2, "", number(0), &[], &BOB);
    tell(&view, "rio", Told::Event(&rio));
    tell(&view, "lab", Told::Event(&lab));
    let case = view.matches().unwrap().cases.remove(0);
    assert_eq!(case.since, Timestamp(5));
    let detail = view.match_detail(&case.id).unwrap().unwrap();
    assert_eq!(detail.persons[0].demographics[0].fields["given_name"].value.as_deref(), Some("Bob"));
    assert_eq!((detail.persons[0].items, detail.holders[0].person.name.system.as_str()), (1, "rio"));
    let shown = format!("{case:?} {detail:?}");
    assert!(!shown.contains("Bob") && !shown.contains("999") && !shown.contains("R1"), "{shown}");

    let link = decide(&view, &case, true, 10);
    assert_eq!(seen(&view), (vec![vec!["E1".to_owned(), "E2".to_owned()], vec![], vec![]], vec![]));
    let apart = decide(&view, &case, false, 20);
    assert_eq!(seen(&view), (vec![vec!["E1".to_owned()], vec![], vec![]], vec![]));
    assert_eq!(view.match_detail(&case.id).unwrap(), None);
    decide(&view, &case, true, 15);
    assert_eq!(seen(&view).0[0], ["E1"], "the later decision counts");

    let other = Temporary::new();
    let (rebuilt, _) = open(&other.0);
    for told in [Told::Decision(&apart), Told::Event(&lab), Told::Decision(&link), Told::Event(&rio)] {
        let rio = matches!(told, Told::Event(event) if event.source_id == "M1");
        tell(&rebuilt, if rio { "rio" } else { "lab" }, told);
    }
    assert_eq!(seen(&rebuilt), seen(&view), "a view made anew keeps to what was decided");
}

#[test]
fn two_who_are_not_verified_are_linked_by_a_decision_about_both() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    tell(&view, "rio", Told::Event(&said(1, "", number(0), &["R1"], &ADA)));
    tell(&view, "lab", Told::Event(&said(2, "", number(0), &["L1"], &BOB)));
    let found = seen(&view);
    assert_eq!((found.0[0].len(), found.1.len()), (1, 1));
    let case = view.matches().unwrap().cases.remove(0);
    decide(&view, &case, true, 10);
    assert_eq!(seen(&view), (vec![vec!["E1".to_owned(), "E2".to_owned()], vec![], vec![]], vec![]));
}

#[test]
fn a_person_of_two_numbers_gets_the_one_people_choose() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    tell(&view, "pas", Told::Event(&said(1, "NSTS01", number(0), &["P1"], &ADA)));
    tell(&view, "pas", Told::Event(&said(2, "NSTS01", number(1), &["P1"], &ADA)));
    tell(&view, "emis", Told::Event(&said(3, "01", number(1), &[], &ADA)));
    let cases = view.matches().unwrap().cases;
    assert_eq!(cases.len(), 2);
    let case = cases.iter().find(|case| case.nhs_number == number(0)).unwrap();
    decide(&view, case, false, 10);
    assert_eq!(seen(&view), (vec![vec![], vec!["E1".into(), "E2".into(), "E3".into()], vec![]], vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_is_linked_depends_on_no_order(
        (messages, shuffled) in prop::collection::vec(
            (0..3_usize, 0..3_usize, 0..3_usize, 0..2_usize, 0..3_usize), 1..12,
        ).prop_flat_map(|drawn| (Just(drawn.clone()), Just((0..drawn.len()).collect::<Vec<_>>()).prop_shuffle())
            .prop_map(|(drawn, order)| (drawn, order))),
        flush_every in 1..6_usize,
    ) {
        let systems = ["rio", "pas", "lab"];
        let people: [&[(&'static str, &str)]; 3] = [&ADA, &BOB, &[]];
        let made: Vec<(&str, Event)> = (1..).zip(messages).map(|(moment, (system, local, status, which, person))| {
            let locals: &[&str] = [&["A"][..], &["B"], &[]][local];
            let status = ["NSTS01", "NSTS02", ""][status];
            // Of a local identifier, one number: contradictions within a system are settled by who came first.
            let which = if locals.is_empty() { which } else { local };
            (systems[system], said(moment, status, number(which), locals, people[person]))
        }).collect();
        let homes = (Temporary::new(), Temporary::new());
        let (one, _) = open(&homes.0.0);
        made.iter().for_each(|(system, event)| tell(&one, system, Told::Event(event)));
        let (two, _) = open(&homes.1.0);
        for (count, index) in shuffled.iter().enumerate() {
            tell(&two, made[*index].0, Told::Event(&made[*index].1));
            if count % flush_every == 0 {
                two.flush().unwrap();
            }
        }
        two.flush().unwrap();
        prop_assert_eq!(seen(&one), seen(&two));
        prop_assert_eq!(one.counts().unwrap().patients, two.counts().unwrap().patients);
    }
}
