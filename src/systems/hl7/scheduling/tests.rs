//! What is told of an appointment, read back by the hub's own reader.

use proptest::prelude::*;

use super::*;
use crate::{
    codec::hl7v2::Message,
    domain::{
        booking::{AppointmentId, Needs, SlotId, WhyProvisional},
        nhs_number::NhsNumber,
        record::{Event, FieldChange, ItemKind},
        slot::{Clinician, Place},
    },
    systems::{hl7::translate::translate, rio},
};

/// 2026-07-15T08:30:00Z: half past nine in London.
const START: Timestamp = Timestamp(1_784_104_200_000);
const MINUTE: i64 = 60_000;

pub(in crate::systems::hl7) fn appointment() -> Appointment {
    Appointment {
        id: AppointmentId(0x00ab_cdef),
        person: Person {
            nhs_number: NhsNumber::parse("9990000018").ok(),
            family_name: "O'Brien".to_owned(),
            given_names: "Ann Mary".to_owned(),
            title: "Ms".to_owned(),
            birth_date: "1970-01-31".to_owned(),
            gender: "female".to_owned(),
            address: "1 High Street, London".to_owned(),
            postcode: "E1 1AA".to_owned(),
            telephone: "020 7946 0001".to_owned(),
            practice: "F84006".to_owned(),
        },
        service: "podiatry".parse().unwrap(),
        service_name: "Podiatry".to_owned(),
        keys: vec![OfferKey::Token(SlotId {
            home: "soho".parse().unwrap(),
            session: "feet-wed".parse().unwrap(),
            start: START,
            place: 1,
        })],
        system: "rio".to_owned(),
        hub: "soho".parse().unwrap(),
        start: START,
        end: Timestamp(START.0 + 20 * MINUTE),
        channel: Channel::InPerson,
        clinician: Some(Clinician {
            id: "C1234567".to_owned(),
            name: "Ada Okafor".to_owned(),
            gender: "female".to_owned(),
            role: "Podiatrist".to_owned(),
        }),
        place: Place { id: "SOHO".to_owned(), name: "Soho Centre".to_owned(), ..Place::default() },
        room: "4".to_owned(),
        organisation: "Central London Community".to_owned(),
        telephone: "020 7946 0002".to_owned(),
        description: "Foot check".to_owned(),
        comment: String::new(),
        needs: Needs::default(),
        standing: Standing::Provisional {
            why: WhyProvisional::NotAcknowledged,
            attempts: 0,
            retry: Timestamp::default(),
        },
        attendance: Attendance::Expected,
        made: Timestamp(START.0 - 3_600_000),
        made_by: "jo".to_owned(),
        made_at: "soho".parse().unwrap(),
        visit: None,
        replaces: None,
        changes: Vec::new(),
    }
}

pub(in crate::systems::hl7) fn telling(what: Told, appointment: Appointment) -> Telling {
    Telling { what, at: appointment.made, appointment, id: "B0000000000000abcdef".to_owned() }
}

fn confirmed(appointment: Appointment, filler: &str) -> Appointment {
    let reference = Reference { id: filler.to_owned(), version: String::new(), patient: "R77".to_owned() };
    Appointment { standing: Standing::Confirmed(reference), ..appointment }
}

fn cancelled(appointment: Appointment, by: CancelledBy, reason: &str) -> Appointment {
    let cancellation = Cancellation {
        by,
        reason: reason.to_owned(),
        at: START,
        told: false,
        reference: Some(Reference { id: "F9".to_owned(), ..Reference::default() }),
    };
    Appointment { standing: Standing::Cancelled(cancellation), ..appointment }
}

fn text(telling: &Telling) -> String {
    let address = Address { sending_facility: "5LC01".to_owned(), ..Address::default() };
    String::from_utf8(siu(telling, &address).unwrap()).unwrap()
}

fn read(text: &str) -> Event {
    translate(&Message::parse(text.as_bytes()).unwrap(), &rio::DIALECT).unwrap()
}

fn field(event: &Event, kind: ItemKind, name: &str) -> String {
    let item = event.items.iter().find(|item| item.kind == kind).unwrap();
    match item.fields.iter().find(|(field, _)| *field == name) {
        Some((_, FieldChange::Set(value))) => value.clone(),
        _ => String::new(),
    }
}

#[test]
fn a_booking_is_written_whole() {
    let found = text(&telling(Told::Booked, appointment())).replace('\r', "\n");
    let id = AppointmentId(0x00ab_cdef);
    assert_eq!(
        found,
        format!(
            "MSH|^~\\&|POLYGATE|5LC01|||20260715073000+0000||SIU^S12^SIU_S12|B0000000000000abcdef|P|2.4|||||GBR|UNICODE UTF-8\n\
             SCH|{id}^POLYGATE||||feet-wed^Podiatry^L|BOOKED^Booked^L|^Foot check|Normal|20|MIN|^^M20^20260715093000+0100^20260715095000+0100|jo^soho||||^Central London Community|^WPN^PH^^^^^^020 7946 0002|||jo^soho||^^^5LC01|||Booked\n\
             PID|1||9990000018^^^NHS^NH||O'Brien^Ann Mary^^^Ms^^L||19700131|F|||1 High Street, London^^^^E1 1AA||^PRN^PH^^^^^^020 7946 0001\n\
             PD1|||F84006\n\
             PV1|1|O|SOHO^4^^^^^^^Soho Centre\n\
             RGS|1|A\n\
             AIS|1|A|podiatry^Podiatry^L|20260715093000+0100|||20|MIN\n\
             AIG|1|A|feet-wed^Podiatry^L|CLINIC^Clinic session^L||||20260715093000+0100|||20|MIN\n\
             AIL|1|A|SOHO^4^^^^^^^Soho Centre|C^Clinic\n\
             AIP|1|A|C1234567^Ada Okafor|CLIN^Podiatrist^L\n"
        )
    );
}

#[test]
fn our_own_reader_finds_the_same_appointment() {
    for (what, made, trigger, status) in [
        (Told::Booked, appointment(), "S12", "booked"),
        (Told::Amended, confirmed(appointment(), "F9"), "S14", "booked"),
        (Told::Cancelled, cancelled(appointment(), CancelledBy::Patient, "Cannot come"), "S15", "cancelled"),
        (Told::DidNotAttend, confirmed(appointment(), "F9"), "S26", "did not attend"),
    ] {
        let event = read(&text(&telling(what, made)));
        let of = |name| field(&event, ItemKind::Appointment, name);
        assert_eq!(event.kind, format!("SIU^{trigger}"));
        assert_eq!(event.faults, Vec::<&str>::new());
        assert_eq!(event.nhs_number.unwrap().as_str(), "9990000018");
        assert_eq!(of("placer_id"), AppointmentId(0x00ab_cdef).to_string());
        assert_eq!(of("filler_id"), if what == Told::Booked { "" } else { "F9" });
        assert_eq!(
            (of("start"), of("end")),
            ("2026-07-15T09:30:00+01:00".into(), "2026-07-15T09:50:00+01:00".into())
        );
        assert_eq!((of("duration"), of("service")), ("20".into(), "Podiatry".into()));
        assert_eq!((of("location"), of("clinician")), ("SOHO".into(), "C1234567".into()));
        assert_eq!(of("status"), status);
        let why = if what == Told::Cancelled { "Cannot come" } else { "" };
        assert_eq!(of("cancellation_reason"), why);
        let person = |name| field(&event, ItemKind::Demographics, name);
        assert_eq!((person("birth_date"), person("gender")), ("1970-01-31".into(), "F".into()));
        assert_eq!((person("postcode"), person("telephone")), ("E1 1AA".into(), "020 7946 0001".into()));
    }
}

#[test]
fn whoever_has_no_code_is_named_in_words() {
    let mut nameless = appointment();
    nameless.clinician = Some(Clinician { name: "Ada Okafor".to_owned(), ..Clinician::default() });
    nameless.place.id.clear();
    let event = read(&text(&telling(Told::Booked, nameless)));
    assert_eq!(field(&event, ItemKind::Appointment, "clinician"), "Ada Okafor");
    assert_eq!(field(&event, ItemKind::Appointment, "location"), "Soho Centre");
}

#[test]
fn attendance_is_told_in_the_words_of_table_0278() {
    for (attendance, status) in [
        (Attendance::Expected, "booked"),
        (Attendance::Arrived, "arrived"),
        (Attendance::In, "arrived"),
        (Attendance::Done, "attended"),
        (Attendance::DidNotAttend, "did not attend"),
    ] {
        let event = read(&text(&telling(Told::Amended, Appointment { attendance, ..appointment() })));
        assert_eq!(field(&event, ItemKind::Appointment, "status"), status);
    }
}

#[test]
fn what_the_patient_needs_is_noted_line_by_line() {
    let mut made = appointment();
    made.channel = Channel::Telephone;
    made.comment = "Side door\nring | twice".to_owned();
    made.needs = Needs {
        interpreter: "Polish".to_owned(),
        transport: true,
        adjustments: "Step-free".to_owned(),
        reminder: "07700 900001".to_owned(),
    };
    let found = text(&telling(Told::Booked, made));
    let notes: Vec<&str> = found.split('\r').filter(|segment| segment.starts_with("NTE")).collect();
    assert_eq!(
        notes,
        [
            "NTE|1||By: Telephone",
            "NTE|2||Side door",
            "NTE|3||ring \\F\\ twice",
            "NTE|4||Interpreter needed: Polish",
            "NTE|5||Transport: needed",
            "NTE|6||Adjustments: Step-free",
        ]
    );
    assert!(!found.contains("07700"), "reminders are the hub's own affair");
}

#[test]
fn a_first_telling_stays_the_same_whatever_becomes_of_the_appointment() {
    let first = text(&telling(Told::Booked, appointment()));
    let arrived = Appointment { attendance: Attendance::Arrived, ..appointment() };
    assert_eq!(text(&telling(Told::Booked, arrived)), first);
    let mut tried = appointment();
    tried.standing = Standing::Provisional { why: WhyProvisional::OutcomeUnknown, attempts: 3, retry: START };
    assert_eq!(text(&telling(Told::Booked, tried)), first);
}

#[test]
fn nobody_is_guessed_at_and_no_name_is_cut() {
    let mut made = appointment();
    made.person.nhs_number = None;
    let address = Address::default();
    assert_eq!(siu(&telling(Told::Booked, made.clone()), &address), Err(Untellable::NoNumber));
    let known = text(&telling(Told::Amended, confirmed(made, "F9")));
    assert!(known.contains("\rPID|1||R77^^^rio^PI|"), "{known}");
    for id in ["", "a|b", "012345678901234567890"] {
        let bad = Telling { id: id.to_owned(), ..telling(Told::Booked, appointment()) };
        assert_eq!(siu(&bad, &address), Err(Untellable::NoControlId), "{id}");
    }
}

proptest! {
    #[test]
    fn any_words_come_back_as_they_were(words in "[^\\p{Cc}]{1,80}", lines in "[a-z|^~&\\\\\r\n]{1,40}") {
        let words = words.trim().to_owned();
        prop_assume!(!words.is_empty() && words != "\"\"");
        let mut made = appointment();
        made.service_name = words.clone();
        made.person.family_name = words.clone();
        made.place = Place { id: words.clone(), name: lines.clone(), ..Place::default() };
        made.comment = lines.clone();
        made.needs.adjustments = lines;
        made.clinician = Some(Clinician { id: words.clone(), ..Clinician::default() });
        let found = text(&telling(Told::Booked, made));
        prop_assert!(!found.contains('\n'));
        let known = ["MSH", "SCH", "NTE", "PID", "PD1", "PV1", "RGS", "AIS", "AIG", "AIL", "AIP"];
        let message = Message::parse(found.as_bytes()).unwrap();
        prop_assert!(message.segments().all(|one| known.iter().any(|name| name.as_bytes() == one.name())));
        let event = read(&found);
        for name in ["service", "location", "clinician"] {
            prop_assert_eq!(field(&event, ItemKind::Appointment, name), words.clone());
        }
        prop_assert_eq!(field(&event, ItemKind::Demographics, "family_name"), words);
    }
}
