//! Each rule of matching and of precedence, by an example.

use crate::domain::{
    booking::CancelledBy,
    contact::{About, ContactKind, FactName, Mechanism, Precedence},
};

use super::*;

#[test]
fn what_two_systems_tell_of_one_appointment_is_one_contact() {
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -2000), "A1"),
        filler(say("emis", "1", Said::Booked, -1990), "E1"),
        filler(say("emis", "2", Said::Attended, 20), "E1"),
        filler(say("rio", "2", Said::Attended, 25), "A1"),
    ]);
    let contact = only(&ledger);
    assert_eq!((contact.state, contact.evidence.len()), (State::Attended, 4));
    assert_eq!(contact.state_why, Precedence::Agreed);
    assert_eq!(contact.conflicts, []);
    assert_eq!(contact.service.unwrap().as_str(), "podiatry");
}

#[test]
fn two_appointments_of_one_day_stay_two() {
    let mut later = filler(say("rio", "2", Said::Booked, -1000), "A2");
    later.start = Some(at(240));
    let ledger = taken([filler(say("rio", "1", Said::Booked, -2000), "A1"), later]);
    assert_eq!(states(&ledger), [State::Outstanding; 2]);
}

#[test]
fn two_names_of_one_kind_from_one_system_are_two_contacts_even_at_one_time() {
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -2000), "A1"),
        filler(say("rio", "2", Said::Booked, -1999), "A2"),
        filler(say("emis", "1", Said::Booked, -1998), "E1"),
    ]);
    assert_eq!(all(&ledger).len(), 2);
}

#[test]
fn another_service_at_the_same_time_is_another_contact() {
    let mut diet = filler(say("emis", "1", Said::Booked, -1000), "E1");
    diet.slot_type.clinic = "Minor".into();
    assert_eq!(all(&taken([filler(say("rio", "1", Said::Booked, -2000), "A1"), diet])).len(), 2);
}

#[test]
fn another_patient_at_the_same_time_is_another_contact() {
    let mut other = filler(say("emis", "1", Said::Booked, -1000), "E1");
    other.patient = patient(1);
    assert_eq!(all(&taken([filler(say("rio", "1", Said::Booked, -2000), "A1"), other])).len(), 2);
}

#[test]
fn booked_again_after_a_cancellation_stays_two() {
    let cancelled = Said::Cancelled(Some(CancelledBy::Patient));
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -3000), "A1"),
        filler(say("emis", "1", Said::Booked, -2990), "E1"),
        filler(say("rio", "2", cancelled.clone(), -2000), "A1"),
        filler(say("rio", "3", Said::Booked, -1995), "A2"),
        filler(say("emis", "2", cancelled, -1990), "E1"),
        filler(say("emis", "3", Said::Booked, -1985), "E2"),
        filler(say("rio", "4", Said::Attended, 20), "A2"),
    ]);
    assert_eq!(states(&ledger), [State::Attended, State::CancelledByPatient]);
    assert!(ledger.contacts().all(|contact| contact.conflicts.is_empty()));
    assert!(ledger.contacts().any(|contact| contact.evidence.len() == 3));
}

#[test]
fn booked_in_another_system_after_a_cancellation_stays_two() {
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -3000), "A1"),
        filler(say("rio", "2", Said::Cancelled(Some(CancelledBy::Provider)), -2000), "A1"),
        filler(say("emis", "1", Said::Booked, -1000), "E1"),
    ]);
    assert_eq!(states(&ledger), [State::Outstanding, State::CancelledByProvider]);
}

#[test]
fn a_booking_that_a_second_system_tells_of_after_its_cancellation_is_one() {
    let cancelled = Said::Cancelled(Some(CancelledBy::Patient));
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -3000), "A1"),
        filler(say("rio", "2", cancelled.clone(), -2990), "A1"),
        filler(say("emis", "1", Said::Booked, -2900), "E1"),
        filler(say("emis", "2", cancelled, -2890), "E1"),
    ]);
    assert_eq!(only(&ledger).state, State::CancelledByPatient);
}

#[test]
fn moved_under_its_own_name_is_one() {
    let mut moved = filler(say("rio", "2", Said::Moved, -1000), "A1");
    moved.start = Some(at(24 * 60));
    let contact = only(&taken([filler(say("rio", "1", Said::Booked, -2000), "A1"), moved]));
    assert_eq!(contact.start, Some(at(24 * 60)));
    assert_eq!(contact.moved_from, Some(at(0)));
    assert_eq!(contact.day.to_string(), "2026-11-03");
}

#[test]
fn moved_by_booking_anew_and_cancelling_is_one_and_keeps_its_name() {
    let old = filler(say("emis", "1", Said::Booked, -2000), "E1");
    let before = only(&taken([old.clone()])).id;
    let mut new = filler(say("emis", "2", Said::Moved, -1000), "E2");
    new.start = Some(at(120));
    new.replaces = vec![reference(ReferenceKind::Filler, "emis", "E1")];
    let cancelled = filler(say("emis", "3", Said::Cancelled(Some(CancelledBy::Patient)), -999), "E1");
    let mut attended = filler(say("emis", "4", Said::Attended, 130), "E2");
    attended.start = Some(at(120));
    let contact = only(&taken([old, new, cancelled, attended]));
    assert_eq!((contact.state, contact.start, contact.id), (State::Attended, Some(at(120)), before));
    assert_eq!(contact.conflicts, []);
}

#[test]
fn a_name_used_again_for_another_patient_is_another_contact_and_the_first_keeps_it() {
    let first = filler(say("emis", "1", Said::Booked, -3000), "SLOT");
    let cancelled = filler(say("emis", "2", Said::Cancelled(Some(CancelledBy::Patient)), -2000), "SLOT");
    let name = only(&taken([first.clone(), cancelled.clone()])).id;
    let mut second = filler(say("emis", "3", Said::Booked, -1000), "SLOT");
    second.patient = patient(1);
    let mut seen = filler(say("emis", "4", Said::Attended, 10), "SLOT");
    seen.patient = Patient::default();
    let ledger = taken([first, cancelled, second, seen]);
    assert_eq!(states(&ledger), [State::Attended, State::CancelledByPatient]);
    assert_eq!(ledger.contact(name).unwrap().state, State::CancelledByPatient);
}

#[test]
fn a_patient_put_right_is_no_second_contact() {
    let wrong = filler(say("rio", "1", Said::Booked, -3000), "A1");
    let mut right = filler(say("rio", "2", Said::Amended, -2000), "A1");
    right.patient = patient(1);
    let contact = only(&taken([wrong, right]));
    assert_eq!(contact.patient.nhs_number, patient(1).nhs_number);
}

#[test]
fn an_attendance_without_a_time_goes_to_the_only_appointment_of_the_day() {
    let mut seen = named(say("pas", "1", Said::Attended, 30), ReferenceKind::Visit, "pas", "V1");
    seen.start = None;
    seen.service = "podiatry".parse().ok();
    let booked = filler(say("rio", "1", Said::Booked, -2000), "A1");
    assert_eq!(only(&taken([booked.clone(), seen.clone()])).state, State::Attended);
    let mut other = filler(say("rio", "2", Said::Booked, -2000), "A2");
    other.start = Some(at(200));
    let ledger = taken([booked, seen, other]);
    assert_eq!(states(&ledger), [State::Outstanding, State::Outstanding, State::Attended]);
}

#[test]
fn somebody_who_walks_in_beside_an_appointment_is_a_second_contact() {
    let mut walked = named(say("hub", "1", Said::WalkInOpened, 30), ReferenceKind::Ticket, "hub", "A12");
    walked.start = None;
    walked.service = "podiatry".parse().ok();
    let mut seen = named(say("hub", "2", Said::Attended, 40), ReferenceKind::Ticket, "hub", "A12");
    seen.start = None;
    let ledger = taken([filler(say("rio", "1", Said::Booked, -2000), "A1"), walked, seen]);
    let kinds: Vec<ContactKind> = all(&ledger).values().map(|contact| contact.kind).collect();
    assert_eq!(kinds.len(), 2);
    assert!(kinds.contains(&ContactKind::WalkIn));
}

#[test]
fn the_owner_of_the_slot_is_believed_and_the_difference_stays_visible() {
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -2000), "A1"),
        filler(say("emis", "1", Said::Booked, -1990), "E1"),
        filler(say("rio", "2", Said::Attended, 20), "A1"),
        filler(say("emis", "2", Said::DidNotAttend, 60), "E1"),
    ]);
    let contact = only(&ledger);
    assert_eq!((contact.state, contact.state_why), (State::Attended, Precedence::Owner));
    let conflict = contact.conflicts.iter().find(|conflict| conflict.about == About::State).unwrap();
    assert_eq!((conflict.kept.as_str(), conflict.other.as_str()), ("attended", "did-not-attend"));
}

#[test]
fn the_desk_is_believed_before_a_system_that_does_not_own_the_slot() {
    let mut desk = named(say("hub", "1", Said::DidNotAttend, 40), ReferenceKind::Appointment, "hub", "77");
    desk.references.push(reference(ReferenceKind::Filler, "rio", "A1"));
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -2000), "A1"),
        filler(say("emis", "1", Said::Attended, 60), "E1"),
        desk,
    ]);
    let contact = only(&ledger);
    assert_eq!((contact.state, contact.state_why), (State::DidNotAttend, Precedence::Desk));
}

#[test]
fn where_no_map_says_whose_it_is_the_system_that_named_it_is_believed_and_not_the_desk() {
    let unmapped = |mut statement: Evidence| {
        statement.slot_type.clinic = "X".into();
        filler(statement, "A1")
    };
    let mut desk = say("hub", "1", Said::Booked, -2000);
    desk.references = vec![reference(ReferenceKind::Filler, "rio", "A1")];
    desk.slot_type.clinic = "X".into();
    let mut moved = unmapped(say("rio", "2", Said::Moved, -1000));
    moved.start = Some(at(24 * 60));
    let contact = only(&taken([desk, unmapped(say("rio", "1", Said::Booked, -1990)), moved]));
    assert_eq!((contact.service.clone(), contact.start), (None, Some(at(24 * 60))));
    assert_eq!(contact.owner.as_ref(), "rio");
}

#[test]
fn a_correction_by_the_same_system_counts_and_what_only_changes_words_does_not_undo_it() {
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -2000), "A1"),
        filler(say("rio", "2", Said::DidNotAttend, 20), "A1"),
        filler(say("rio", "3", Said::Attended, 30), "A1"),
        filler(say("rio", "4", Said::Amended, 40), "A1"),
    ]);
    assert_eq!(only(&ledger).state, State::Attended);
}

#[test]
fn who_cancelled_is_learnt_from_whoever_says_it() {
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -2000), "A1"),
        filler(say("rio", "2", Said::Cancelled(None), -100), "A1"),
        filler(say("emis", "1", Said::Booked, -1990), "E1"),
        filler(say("emis", "2", Said::Cancelled(Some(CancelledBy::Patient)), -90), "E1"),
    ]);
    let contact = only(&ledger);
    assert_eq!((contact.state, contact.conflicts.len()), (State::CancelledByPatient, 0));
}

#[test]
fn facts_are_the_owners_and_a_fact_taken_back_is_gone() {
    let mut first = filler(say("rio", "1", Said::Booked, -2000), "A1");
    first.facts.mechanism = Some(Mechanism::FaceToFace);
    first.facts.clinician = "C1".parse().ok();
    let mut other = filler(say("emis", "1", Said::Booked, -1990), "E1");
    other.facts.mechanism = Some(Mechanism::Telephone);
    other.facts.practice = "D82809".parse().ok();
    let mut later = filler(say("rio", "2", Said::Amended, -1000), "A1");
    later.cleared = vec![FactName::Clinician];
    let contact = only(&taken([first, other, later]));
    let mechanism = contact.facts.mechanism.unwrap();
    assert_eq!((mechanism.value, mechanism.why), (Mechanism::FaceToFace, Precedence::Owner));
    assert_eq!(contact.evidence[usize::from(mechanism.by)].id.system.as_ref(), "rio");
    assert_eq!(contact.facts.practice.unwrap().why, Precedence::Only);
    assert!(contact.facts.clinician.is_none());
}

#[test]
fn a_clock_that_runs_ahead_does_not_silence_what_is_said_later() {
    let mut ahead = filler(say("rio", "2", Said::DidNotAttend, 20), "A1");
    ahead.at = at(100_000);
    let ledger = taken([ahead, filler(say("rio", "3", Said::Attended, 30), "A1")]);
    assert_eq!(only(&ledger).state, State::Attended);
}

#[test]
fn what_was_entered_in_error_is_kept_and_marked() {
    let ledger = taken([
        filler(say("rio", "1", Said::Booked, -2000), "A1"),
        filler(say("rio", "2", Said::Withdrawn, -1000), "A1"),
    ]);
    assert_eq!(only(&ledger).state, State::Withdrawn);
}

#[test]
fn a_call_to_tell_a_result_is_marked_however_it_came_about() {
    let mut called = filler(say("rio", "2", Said::ResultOnly, 5), "A1");
    called.facts.mechanism = Some(Mechanism::Telephone);
    let contact = only(&taken([filler(say("rio", "1", Said::Booked, -2000), "A1"), called]));
    assert!(contact.result_only && contact.kind == ContactKind::Appointment);
}

#[test]
fn an_endless_day_is_refused_and_memory_has_an_end() {
    let limits = Limits { statements_max: 3, bundle_max: 2 };
    let mut ledger = Ledger::new(maps(), limits);
    for entry in ["1", "2"] {
        assert!(ledger.take(filler(say("rio", entry, Said::Amended, 0), "A1")).is_ok());
    }
    assert_eq!(ledger.take(filler(say("rio", "3", Said::Amended, 0), "A1")), Err(Refused::Bundle(2)));
    let mut other = filler(say("rio", "4", Said::Booked, 0), "A2");
    other.patient = patient(1);
    assert!(ledger.take(other.clone()).is_ok());
    other = filler(say("rio", "5", Said::Booked, 0), "A3");
    other.patient = patient(2);
    assert_eq!(ledger.take(other), Err(Refused::Full(3)));
}
