//! One system's two local numbers of one patient: what it says under each is shown, and nothing hides behind a key.

use super::*;

fn known_as(occurred: i64, local: &str, family: &str) -> Event {
    let mut event = event(occurred, Some(number(0)), &[local]);
    event.items = vec![demographics(&[("nhs_number_status", "NSTS01"), ("family_name", family)])];
    with(event, "E1", &[("ward", family)])
}

fn said(record: &PatientRecord, kind: ItemKind, name: &str) -> Vec<String> {
    let values = record.items[&kind].iter().filter_map(|item| item.fields[name].value.clone());
    let mut values: Vec<String> = values.collect();
    values.sort();
    values
}

#[test]
fn two_local_numbers_with_one_nhs_number_both_say_what_they_say() {
    let events = [known_as(10, "A", "Canary"), known_as(20, "B", "Finch")];
    let read = |order: [usize; 2]| {
        let home = Temporary::new();
        let (view, _) = open(&home.0);
        order.iter().for_each(|index| apply(&view, std::slice::from_ref(&events[*index])));
        comparable(record_of(&view, "A"))
    };
    let record = read([0, 1]);
    assert_eq!(said(&record, ItemKind::Demographics, "family_name"), ["Canary", "Finch"]);
    assert_eq!(said(&record, ItemKind::Encounter, "ward"), ["Canary", "Finch"]);
    assert_eq!(record, read([1, 0]), "the order of arrival decides nothing");
}

#[test]
fn what_the_system_itself_joined_stays_one_item_with_its_newest_word() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    apply(&view, &[known_as(10, "A", "Canary"), known_as(20, "B", "Finch"), merge(30, "B", "A")]);
    let record = record_of(&view, "B");
    assert_eq!(said(&record, ItemKind::Demographics, "family_name"), ["Finch"]);
    assert_eq!(said(&record, ItemKind::Encounter, "ward"), ["Finch"]);
}

#[test]
fn messages_without_a_local_number_correct_what_they_said_before_though_the_name_changed() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    for (occurred, family) in [(10, "Canary"), (20, "Finch")] {
        let mut event = known_as(occurred, "A", family);
        event.identifiers.clear();
        let fields = [
            ("nhs_number_status", "NSTS01"),
            ("family_name", family),
            ("birth_date", "19710203"),
            ("gender", "F"),
        ];
        event.items[0] = demographics(&fields);
        apply(&view, &[event]);
    }
    let patient = view.find_by_nhs_number(&number(0)).unwrap().unwrap();
    let record = view.record(patient).unwrap().unwrap();
    assert_eq!(said(&record, ItemKind::Encounter, "ward"), ["Finch"]);
}
