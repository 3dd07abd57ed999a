//! What each kind of message says of contacts, by an example.

use super::*;
use crate::domain::{ids::Class, nhs_number::NhsNumber, time::ClockQuality};

const TAKEN: Timestamp = Timestamp(1_795_000_000_000);
const ID: &str = "00000000000000000000000000000007";

fn entry() -> Entry {
    Entry {
        kind: String::new(),
        system: "pas".to_owned(),
        source_id: "M1".to_owned(),
        patient: None,
        at: TAKEN,
        clock: ClockQuality::default(),
        body: bytes::Bytes::new(),
        raw: None,
    }
}

fn set(fields: &[(&'static str, &str)]) -> Vec<(&'static str, FieldChange)> {
    fields.iter().map(|(name, text)| (*name, FieldChange::Set((*text).to_owned()))).collect()
}

fn event(kind: &str, items: Vec<ItemChange>) -> Event {
    let number = |value: &str, authority: &str, kind: &str| Identifier {
        value: value.to_owned(),
        authority: authority.to_owned(),
        kind: kind.to_owned(),
    };
    let who = set(&[
        ("nhs_number_status", "NSTS01"),
        ("birth_date", "1971-02-03"),
        ("gender", "F"),
        ("postcode", "SW1A 1AA"),
        ("general_practice", "E87001"),
    ]);
    let mut all = vec![ItemChange::new(ItemKind::Demographics, String::new(), who)];
    all.extend(items);
    Event {
        kind: kind.to_owned(),
        class: Class::Clinical,
        source_id: "M1".to_owned(),
        sender: "PAS|RQ6".to_owned(),
        occurred: Some(Timestamp(TAKEN.0 - 1000)),
        nhs_number: Ok(NhsNumber::parse("9990000018").unwrap()),
        identifiers: vec![number("9990000018", "NHS", "NH"), number("H1", "RQ6", "MR")],
        merged: Vec::new(),
        items: all,
        withdraws: Vec::new(),
        faults: Vec::new(),
    }
}

fn told(event: &Event) -> Vec<Evidence> {
    statements(&"soho".parse().unwrap(), &entry(), event, "abc")
}

fn appointment(fields: &[(&'static str, &str)]) -> ItemChange {
    ItemChange::new(ItemKind::Appointment, "F1".to_owned(), set(fields))
}

fn names(evidence: &Evidence) -> Vec<String> {
    evidence
        .references
        .iter()
        .map(|one| format!("{} {} {}", one.kind.word(), one.issuer, one.value))
        .collect()
}

#[test]
fn a_schedule_message_says_what_happens_to_which_appointment_and_whose() {
    let booked = appointment(&[
        ("placer_id", "P9"),
        ("filler_id", "F1"),
        ("start", "2026-11-18T11:00:00"),
        ("duration", "20"),
        ("location", "CLIN7"),
        ("service", "New podiatry"),
        ("status", "booked"),
    ]);
    let found = told(&event("SIU^S12", vec![booked]));
    assert_eq!(found.len(), 1);
    let one = &found[0];
    assert_eq!((one.said.clone(), one.at), (Said::Booked, Timestamp(TAKEN.0 - 1000)));
    assert_eq!(names(one), ["placer pas@soho P9", "filler pas@soho F1"]);
    assert_eq!(one.start.map(|at| at.to_string()).as_deref(), Some("2026-11-18T11:00:00.000Z"));
    assert_eq!((&*one.slot_type.clinic, &*one.slot_type.slot), ("CLIN7", "New podiatry"));
    assert_eq!(one.patient.verified().unwrap().as_str(), "9990000018");
    assert_eq!(one.patient.local.len(), 1, "the NHS number is no local one");
    assert_eq!(one.facts.gender.unwrap().as_str(), "2");
    assert_eq!((one.facts.duration_minutes, one.facts.practice.unwrap().as_str()), (Some(20), "E87001"));
    assert_eq!((one.id.entry.as_ref(), one.id.part), ("abc", 0));
}

#[test]
fn london_time_is_meant_where_no_offset_is_given() {
    let summer = appointment(&[("start", "2026-07-01T09:00:00"), ("status", "booked")]);
    let found = told(&event("SIU^S12", vec![summer]));
    assert_eq!(found[0].start.map(|at| at.to_string()).as_deref(), Some("2026-07-01T08:00:00.000Z"));
    let day = appointment(&[("start", "2026-07-01"), ("status", "booked")]);
    let found = told(&event("SIU^S12", vec![day]));
    assert_eq!((found[0].start, found[0].day), (None, "2026-07-01".parse().ok()));
}

#[test]
fn an_appointment_under_the_polysystems_own_name_is_known_by_it() {
    let ours = appointment(&[("placer_id", ID), ("filler_id", "F1"), ("status", "arrived")]);
    let found = told(&event("SIU^S14", vec![ours]));
    assert_eq!(found[0].said, Said::Arrived);
    assert_eq!(names(&found[0]), [format!("appointment hub {ID}"), "filler pas@soho F1".to_owned()]);
}

#[test]
fn every_status_says_one_thing_and_what_is_not_sure_says_nothing() {
    for (kind, status, said) in [
        ("SIU^S13", "booked", Some(Said::Moved)),
        ("SIU^S14", "booked", Some(Said::Amended)),
        ("SIU^S14", "attended", Some(Said::Attended)),
        ("SIU^S15", "cancelled", Some(Said::Cancelled(None))),
        ("SIU^S16", "discontinued", Some(Said::Cancelled(Some(CancelledBy::Provider)))),
        ("SIU^S17", "deleted", Some(Said::Withdrawn)),
        ("SIU^S26", "did not attend", Some(Said::DidNotAttend)),
        ("SIU^S12", "provisional", None),
        ("ORU^R01", "booked", None),
        ("BaRS^booking-request", "booked", None),
    ] {
        let found = told(&event(kind, vec![appointment(&[("status", status)])]));
        assert_eq!(found.first().map(|one| one.said.clone()), said, "{kind} {status}");
    }
}

#[test]
fn emergency_attendances_count_and_stays_and_clinics_visits_do_not() {
    let visit = |class: &str, status: &str| {
        let fields = [
            ("patient_class", class),
            ("status", status),
            ("started", "2026-11-18T10:00:00"),
            ("ended", "2026-11-18T10:40:00"),
        ];
        event("ADT^A03", vec![ItemChange::new(ItemKind::Encounter, "V9".to_owned(), set(&fields))])
    };
    let found = told(&visit("E", "discharged"));
    assert_eq!(
        (found[0].said.clone(), names(&found[0])),
        (Said::Attended, vec!["visit pas@soho V9".to_owned()])
    );
    assert_eq!(
        found[0].facts.concluded_at.map(|at| at.to_string()).as_deref(),
        Some("2026-11-18T10:40:00.000Z")
    );
    assert_eq!(told(&visit("I", "discharged")).len(), 0);
    assert_eq!(told(&visit("O", "registered")).len(), 0);
    assert_eq!(told(&visit("E", "registered"))[0].said, Said::WalkInOpened);
    assert_eq!(told(&visit("E", "admission cancelled"))[0].said, Said::Withdrawn);
}

#[test]
fn merged_patients_are_told_as_such() {
    let old = Identifier { value: "H2".to_owned(), authority: "RQ6".to_owned(), kind: "MR".to_owned() };
    let merged = Event { merged: vec![old], ..event("ADT^A40", Vec::new()) };
    let found = told(&merged);
    let Said::PatientMerged(away) = &found[0].said else { panic!("{:?}", found[0].said.kind()) };
    assert_eq!(away.local.iter().map(|one| &*one.value).collect::<Vec<_>>(), ["H2"]);
    assert_eq!(found.len(), 1);
}

fn case(status: &str, more: Vec<ItemChange>) -> Vec<ItemChange> {
    let fields = [("status", status), ("received", "2026-11-17T22:10:00Z"), ("service", "Out of hours")];
    let mut items = vec![ItemChange::new(ItemKind::Referral, "C42".to_owned(), set(&fields))];
    items.extend(more);
    items
}

#[test]
fn an_urgent_case_is_one_contact_however_far_it_has_come() {
    let seen = [("started", "2026-11-17T23:00:00Z"), ("ended", "2026-11-17T23:20:00Z")];
    let seen = ItemChange::new(ItemKind::Encounter, "C42|1".to_owned(), set(&seen));
    for (status, more, expected) in [
        ("open", vec![], CaseStatus::Open),
        ("completed", vec![], CaseStatus::Closed),
        ("completed", vec![seen.clone()], CaseStatus::Consulted),
        ("open", vec![appointment(&[("status", "arrived")])], CaseStatus::Begun),
        ("open", vec![appointment(&[("status", "did not attend")])], CaseStatus::NotReached),
        ("cancelled", vec![seen], CaseStatus::Cancelled),
    ] {
        let found = told(&event("Adastra^Case", case(status, more)));
        assert_eq!(found.len(), 1, "{status}");
        assert_eq!(found[0].said, Said::UrgentCase(expected), "{status}");
        assert_eq!(names(&found[0]), ["case pas@soho C42"]);
    }
}

#[test]
fn a_report_is_withdrawn_by_its_own_name() {
    let letter = ItemChange {
        part_of: "DOC-1".to_owned(),
        ..ItemChange::new(ItemKind::Document, "DOC-1".to_owned(), set(&[("title", "Report")]))
    };
    let report = told(&event("ITK^Report", case("", vec![letter])));
    assert_eq!(names(&report[0]), ["case pas@soho C42", "case pas@soho DOC-1"]);
    let withdrawn = Event { withdraws: vec!["DOC-1".to_owned()], ..event("ITK^Nullification", Vec::new()) };
    let found = told(&withdrawn);
    assert_eq!(
        (found[0].said.clone(), names(&found[0])),
        (Said::Withdrawn, vec!["case pas@soho DOC-1".to_owned()])
    );
}
