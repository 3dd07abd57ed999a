//! The search index: it follows what demographics say now, whatever came first, and its work is bounded.

use super::*;

fn named(occurred: i64, local: &str, fields: &[(&'static str, &str)]) -> Event {
    Event { items: vec![demographics(fields)], ..event(occurred, None, &[local]) }
}

fn asked(name: &str) -> PeopleQuery {
    PeopleQuery { name: name.to_owned(), ..PeopleQuery::default() }
}

fn count(view: &View, name: &str) -> usize {
    view.find_people(&asked(name), 50).unwrap().patients.len()
}

/// The index's entries, by the first letter of their keys.
fn entries(view: &View) -> [usize; 2] {
    view.flush().unwrap();
    let state = view.state_read();
    let shelf = &state.as_ref().unwrap().shelf;
    [b's', b't'].map(|letter| shelf.scan(&[letter], usize::MAX).unwrap().len())
}

#[test]
fn old_terms_go_and_the_order_of_arrival_decides_nothing() {
    let first: &[_] = &[("family_name", "Canary"), ("given_name", "Ada"), ("telephone", "020 7946 0123")];
    let events = [
        named(10, "A", first),
        named(20, "A", &[("family_name", "Finch")]),
        named(30, "A", &[("family_name", "Wren"), ("postcode", "W1A 1AA")]),
    ];
    for order in permutations(3) {
        let home = Temporary::new();
        let (view, _) = open(&home.0);
        for (place, index) in order.iter().enumerate() {
            apply(&view, std::slice::from_ref(&events[*index]));
            if place == 1 {
                view.flush().unwrap();
            }
        }
        assert_eq!(["can", "finch", "wr", "ada w", "w a"].map(|name| count(&view, name)), [0, 0, 1, 1, 0]);
        // Wren, Ada, telephone and postcode; and one value.
        assert_eq!(entries(&view), [4, 1], "{order:?}");
        let nothing = with(named(40, "A", &[]), "E", &[]);
        let mut gone = nothing;
        gone.items[0].withdrawn = true;
        apply(&view, &[gone]);
        assert_eq!(entries(&view), [0, 0]);
    }
}

#[test]
fn all_of_a_patients_systems_count_together_and_a_reopened_view_finds_the_same() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let fields = |more: (&'static str, &str)| demographics(&[("nhs_number_status", "NSTS01"), more]);
    let one = Event { items: vec![fields(("family_name", "Canary"))], ..event(1, Some(number(0)), &["A"]) };
    let other = Event { items: vec![fields(("postcode", "W1A 1AA"))], ..event(2, Some(number(0)), &["B"]) };
    tell(&view, "rio", Told::Event(&one));
    tell(&view, "pas", Told::Event(&other));
    let query = PeopleQuery { postcode: "w1a1aa".to_owned(), ..asked("canary") };
    let found = view.find_people(&query, 50).unwrap();
    assert_eq!(found.patients, Vec::from_iter(view.find_by_nhs_number(&number(0)).unwrap()));
    view.flush().unwrap();
    drop(view);
    let (view, opened) = open(&home.0);
    assert_eq!((opened.rebuild, view.find_people(&query, 50).unwrap()), (None, found));
    assert_eq!(view.find_people(&PeopleQuery::default(), 50).unwrap(), PeopleFound::default());
}

#[test]
fn no_more_are_looked_at_than_is_stated_and_it_is_said() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let many = find::CANDIDATES_MAX + 5;
    for index in 0..many {
        let postcode = format!("W1A {index}");
        let fields = [("family_name", "Canary"), ("postcode", postcode.as_str())];
        apply(&view, &[named(1, &index.to_string(), &fields)]);
    }
    let found = view.find_people(&asked("canary"), many).unwrap();
    assert_eq!((found.patients.len(), found.more), (find::CANDIDATES_MAX, true));
    let found = view.find_people(&asked("canary"), 50).unwrap();
    assert_eq!((found.patients.len(), found.more), (50, true));
    let last = PeopleQuery { postcode: format!("W1A {}", many - 1), ..asked("canary") };
    let found = view.find_people(&last, 50).unwrap();
    assert_eq!((found.patients.len(), found.more), (1, false), "the rarest term leads");
}

#[test]
fn names_are_compared_as_people_write_them() {
    let folded = ["O'Tést", "ØRSTED", "Łukasz", "Strauß", "N\u{303}un\u{303}ez"].map(find::folded);
    assert_eq!(folded, ["otest", "orsted", "lukasz", "strauss", "nunez"]);
    assert_eq!(find::words("Ada Smith-Jones"), ["ada", "jones", "smith", "smithjones"]);
    assert_eq!(find::telephone("+44 (0)20 7946 0123"), find::telephone("02079460123"));
    assert_eq!(find::telephone("999"), None);
}
