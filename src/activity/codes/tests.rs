//! Every code on its first and last day, and which code a contact's facts give in either version.

use jiff::civil::date;

use crate::domain::contact::{ConsultationType, Mechanism, Punctuality, State};

use super::{derived::*, *};

#[test]
fn every_code_is_valid_from_its_first_day_to_its_last() {
    let lists = CodeLists::standard();
    let mut dated = 0;
    for list in List::ALL {
        assert!(!lists.list(*list).is_empty());
        for entry in lists.list(*list) {
            let check = |on: Date| lists.check(*list, &entry.code, on).is_ok();
            let what = format!("{} {}", list.word(), entry.code);
            let first = entry.valid.from.unwrap_or(date(1948, 7, 5));
            let last = entry.valid.to.unwrap_or(date(2100, 1, 1));
            assert!(check(first) && check(last), "{what}");
            if let Some(from) = entry.valid.from {
                assert!(!check(from.yesterday().unwrap()), "{what}");
            }
            if let Some(to) = entry.valid.to {
                assert!(!check(to.tomorrow().unwrap()), "{what}");
            }
            dated += usize::from(entry.valid != Validity::ALWAYS);
        }
    }
    assert_eq!(dated, 5 + 3 + 6, "those whose days are known");
}

#[test]
fn no_list_has_a_code_twice_for_one_day() {
    let lists = CodeLists::standard();
    for list in List::ALL {
        let entries = lists.list(*list);
        for (number, entry) in entries.iter().enumerate() {
            let alike = |other: &&Entry| other.code == entry.code && other.valid.overlaps(entry.valid);
            assert_eq!(
                entries.iter().skip(number).filter(alike).count(),
                1,
                "{} {}",
                list.word(),
                entry.code
            );
        }
    }
}

#[test]
fn a_retired_code_says_when_it_was_retired() {
    let lists = CodeLists::standard();
    let check = |code, on| lists.check(List::TreatmentFunction, code, on).map(|entry| &*entry.meaning);
    assert_eq!(check("653", date(2026, 5, 1)), Ok("podiatry"));
    assert_eq!(check("510", date(2026, 5, 1)), Err(NotValid::Retired(date(2004, 3, 31))));
    assert_eq!(check("111", date(2021, 3, 31)), Err(NotValid::NotYet(date(2021, 4, 1))));
    assert_eq!(check("111", date(2021, 4, 1)), Ok("orthopaedics"));
    assert_eq!(check("999", date(2026, 5, 1)), Err(NotValid::Unknown));
    assert_eq!(lists.check(List::MainSpecialty, "500", date(2026, 5, 1)), Err(NotValid::Unknown));
    assert!(lists.check(List::LocationType, "B02", date(2026, 5, 1)).unwrap().confirmed);
}

#[test]
fn a_loaded_list_takes_the_place_of_the_one_built_in() {
    let mut lists = CodeLists::standard();
    let file = "list,code,meaning,valid-from,valid-to\n\
                priority-type,1,Routine,2020-01-01,2020-12-31\npriority-type,1,In turn,2021-01-01,\n";
    assert_eq!(lists.load(file.as_bytes()), Ok(2));
    assert_eq!(lists.check(List::Priority, "1", date(2020, 12, 31)).unwrap().meaning, "Routine");
    assert_eq!(lists.check(List::Priority, "1", date(2021, 1, 1)).unwrap().meaning, "In turn");
    assert_eq!(lists.check(List::Priority, "2", date(2021, 1, 1)), Err(NotValid::Unknown));
    assert!(lists.check(List::Outcome, "1", date(2021, 1, 1)).is_ok(), "others stay");
    for (row, said) in [
        ("colour,1,x,,", "line 2: there is no such list"),
        ("priority-type,,x,,", "line 2: a code has letters and digits"),
        ("priority-type,1,x,2021-01-01,2020-01-01", "line 2: it ends before it begins"),
        (
            "priority-type,1,x,,\npriority-type,1,y,,",
            "line 3: the code is in the list twice for the same days",
        ),
    ] {
        let file = format!("list,code,meaning,valid-from,valid-to\n{row}\n");
        assert_eq!(lists.load(file.as_bytes()).unwrap_err().to_string(), said);
    }
}

#[test]
fn first_attendance_follows_from_type_and_mechanism() {
    use ConsultationType::{ClockStop, FollowUp, Initial};
    let code =
        |consultation, mechanism| first_attendance(consultation, mechanism).map(|derived| derived.code);
    let face = Some(Mechanism::FaceToFace);
    assert_eq!(code(Some(Initial), face), Ok("1"));
    assert_eq!(code(Some(FollowUp), face), Ok("2"));
    for remote in [Mechanism::Telephone, Mechanism::Telemedicine, Mechanism::Video, Mechanism::TalkType] {
        assert_eq!(code(Some(Initial), Some(remote)), Ok("3"));
        assert_eq!(code(Some(FollowUp), Some(remote)), Ok("4"));
    }
    assert_eq!(code(Some(ClockStop), None), Ok("5"));
    for message in [
        Mechanism::Email,
        Mechanism::TextMessage,
        Mechanism::InstantMessage,
        Mechanism::MessageBoard,
        Mechanism::ChatRoom,
        Mechanism::Other,
    ] {
        assert_eq!(code(Some(Initial), Some(message)), Err(NoCode::NotInVersion));
        assert_eq!(consultation_medium_used(Some(message)), Err(NoCode::NotInVersion));
        assert!(consultation_mechanism(Some(message)).is_ok());
    }
    assert_eq!(code(None, face), Err(NoCode::NoConsultationType));
    assert_eq!(code(Some(Initial), None), Err(NoCode::NoMechanism));
}

#[test]
fn attendance_follows_from_the_state() {
    let code = |state, punctuality, to_come| {
        attended_or_did_not_attend(state, punctuality, to_come).map(|derived| derived.code)
    };
    assert_eq!(code(State::Attended, None, false), Ok("5"));
    assert_eq!(code(State::Attended, Some(Punctuality::LateSeen), false), Ok("6"));
    assert_eq!(code(State::NotSeen, Some(Punctuality::LateNotSeen), false), Ok("7"));
    assert_eq!(code(State::CancelledByPatient, None, true), Ok("2"));
    assert_eq!(code(State::DidNotAttend, None, false), Ok("3"));
    assert_eq!(code(State::CancelledByProvider, None, false), Ok("4"));
    assert_eq!(code(State::Outstanding, None, true), Ok("0"));
    assert_eq!(code(State::Outstanding, None, false), Err(NoCode::NoOutcome));
    assert_eq!(code(State::Withdrawn, None, false), Err(NoCode::NoAppointment));
    assert_eq!(attendance_status(State::Outstanding, None, true), Err(NoCode::Future));
    assert_eq!(attendance_status(State::Attended, None, false).map(|derived| derived.code), Ok("5"));
}

#[test]
fn every_derived_code_is_in_its_list() {
    let lists = CodeLists::standard();
    let on = date(2026, 5, 1);
    let valid = |list, code: Code| code.map_or(true, |derived| lists.check(list, derived.code, on).is_ok());
    for mechanism in Mechanism::ALL.iter().copied().map(Some) {
        assert!(valid(List::Medium, consultation_medium_used(mechanism)));
        assert!(valid(List::Mechanism, consultation_mechanism(mechanism)));
        for consultation in ConsultationType::ALL.iter().copied().map(Some) {
            assert!(valid(List::FirstAttendance, first_attendance(consultation, mechanism)));
            assert!(valid(List::ConsultationType, consultation_type(consultation)));
        }
    }
    for state in State::ALL {
        for punctuality in Punctuality::ALL.iter().copied().map(Some).chain([None]) {
            for to_come in [false, true] {
                assert!(valid(List::Attended, attended_or_did_not_attend(*state, punctuality, to_come)));
                assert!(valid(List::AttendanceStatus, attendance_status(*state, punctuality, to_come)));
            }
        }
    }
}
