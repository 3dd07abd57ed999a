//! Invented contacts as returns get them.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use polygate::{
    activity::returns::{Requirements, Settings},
    domain::{
        contact::{
            Code, ConsultationType, Contact, ContactId, ContactKind, Dataset, Decided, LocalId, Mechanism,
            NumberStatus, OutcomeOfAttendance, Patient, Precedence, Priority, Punctuality, SlotType, State,
        },
        nhs_number::NhsNumber,
        time::Timestamp,
    },
};

/// 2026-06-03T12:00:00Z, when May is reported.
pub const NOW: Timestamp = Timestamp(1_780_488_000_000);
const HOUR: i64 = 3_600_000;
/// 2026-05-04T08:00:00Z.
const MAY_4: i64 = 1_777_881_600_000;

pub fn settings() -> Settings {
    Settings {
        provider: code("5LC01"),
        interchange_sender: code("110000000001"),
        interchange_receiver: code("110000000002"),
        sender: code("5LC0100"),
        recipient: code("08Y00"),
        copy_recipients: vec![code("09A00")],
        is_production: false,
        location_type: code("B02"),
        local_issuers: BTreeMap::from([("rio".into(), code("RV300"))]),
        requirements: Requirements::standard(),
    }
}

pub fn code(text: &str) -> Code {
    text.parse().unwrap()
}

pub fn fact<T>(value: T) -> Option<Decided<T>> {
    Some(Decided { value, by: 0, why: Precedence::Only })
}

/// A podiatry appointment that was kept, on a day of May 2026, of one of four people.
pub fn contact(number: u32) -> Contact {
    let day = 4 + number % 20;
    let start = Timestamp(MAY_4 + i64::from(number % 20) * 24 * HOUR + i64::from(number % 8) * HOUR / 2);
    let numbers = ["9990000018", "9990000026", "9990000034", "9990000042"];
    let person = numbers[usize::try_from(number).unwrap() % numbers.len()];
    let patient = Patient {
        nhs_number: NhsNumber::parse(person).ok(),
        status: Some(NumberStatus::Verified),
        local: vec![LocalId { system: "rio".into(), value: format!("R{}", number % 4).into() }],
    };
    let mut contact = Contact {
        id: ContactId::of(u128::from(number) << 88 | u128::from(number) << 30 | 0xC0FFEE),
        also: Vec::new(),
        version: 1,
        hub: "soho".parse().unwrap(),
        kind: ContactKind::Appointment,
        state: State::Attended,
        state_by: 0,
        state_why: Precedence::Only,
        canceller_unsaid: false,
        arrived: true,
        result_only: false,
        service: "podiatry".parse().ok(),
        slot_type: SlotType { clinic: "FOOT1".into(), slot: "NEW".into() },
        owner: "rio".into(),
        start: Some(start),
        moved_from: None,
        day: Date::new(2026, 5, i8::try_from(day).unwrap()).unwrap(),
        patient,
        references: Vec::new(),
        facts: Default::default(),
        evidence: Vec::new(),
        conflicts: Vec::new(),
    };
    administrative(&mut contact, number);
    contact
}

fn administrative(contact: &mut Contact, number: u32) {
    let facts = &mut contact.facts;
    facts.mechanism = fact(Mechanism::FaceToFace);
    facts.consultation = fact(ConsultationType::Initial);
    facts.priority = fact(Priority::Routine);
    facts.outcome = fact(OutcomeOfAttendance::AnotherGiven);
    facts.clinician = fact(code("C1234567"));
    facts.main_specialty = fact(code("960"));
    facts.treatment_function = fact(code("653"));
    facts.staff_type = fact(code("03"));
    facts.team = fact(code("FOOTTEAM"));
    facts.clinic = fact(code("FOOT1"));
    facts.service_requested = fact(code("1"));
    facts.referral_source = fact(code("03"));
    facts.referral_received = fact(date(2026, 4, 20));
    facts.referral = fact(code(&format!("SR{}", number % 4)));
    facts.referring_organisation = fact(code("Y99901"));
    facts.administrative_category = fact(code("01"));
    facts.duration_minutes = fact(30);
    facts.site = fact(code("5LC0101"));
    facts.commissioner = fact(code("07W00"));
    facts.point_of_delivery = fact(code("OPFASPCL"));
    facts.practice = fact(code("Y99901"));
    facts.postcode = fact(code("ZZ99 3WZ"));
    facts.residence = fact(code("07W"));
    facts.birth_date = fact(date(1950, 2, i8::try_from(1 + number % 4).unwrap()));
    facts.gender = fact(code("2"));
    facts.ethnic_category = fact(code("A"));
    facts.pathway = fact(code(&format!("PP{number:018}")));
    facts.pathway_issuer = fact(code("X09"));
    facts.treatment_status = fact(code("10"));
    facts.treatment_start = fact(date(2026, 4, 20));
}

/// One contact of each kind that an outpatient return meets, with where it was routed.
pub fn outpatients() -> Vec<(Contact, Dataset)> {
    let mut all: Vec<(Contact, Dataset)> = (0..10).map(|number| (contact(number), Dataset::Cds020)).collect();
    let of =
        |all: &mut Vec<(Contact, Dataset)>, place: usize, change: fn(&mut Contact)| change(&mut all[place].0);
    of(&mut all, 1, |contact| {
        contact.facts.mechanism = fact(Mechanism::Video);
        contact.facts.consultation = fact(ConsultationType::FollowUp);
        contact.patient.status = Some(NumberStatus::TraceRequired);
        contact.facts.procedures = fact(vec![code("X624"), code("S532")]);
        contact.facts.diagnoses = fact(vec![code("E115"), code("M201")]);
    });
    of(&mut all, 2, |contact| contact.facts.withheld_reason = fact(code("03")));
    of(&mut all, 3, |contact| contact.state = State::DidNotAttend);
    of(&mut all, 4, |contact| contact.state = State::CancelledByProvider);
    of(&mut all, 5, |contact| {
        contact.facts.punctuality = fact(Punctuality::LateSeen);
        contact.patient.nhs_number = None;
        contact.patient.local = vec![LocalId { system: "desk".into(), value: "<O'Neil&\"".into() }];
    });
    of(&mut all, 6, |contact| contact.facts.mechanism = fact(Mechanism::Email));
    of(&mut all, 7, |contact| contact.facts.sealed = fact(true));
    of(&mut all, 8, |contact| contact.facts.commissioner = None);
    all[9].0.state = State::Outstanding;
    all[9].0.day = date(2026, 6, 20);
    all[9].0.start = Some(Timestamp(MAY_4 + 47 * 24 * HOUR));
    all[9].1 = Dataset::Cds021;
    all
}

/// Walk-ins of an urgent treatment centre.
pub fn walk_ins() -> Vec<(Contact, Dataset)> {
    let walk_in = |number: u32| {
        let mut contact = contact(number);
        let arrived = contact.start.take().unwrap();
        contact.kind = ContactKind::WalkIn;
        let facts = &mut contact.facts;
        facts.arrived_at = fact(arrived);
        facts.assessed_at = fact(Timestamp(arrived.0 + HOUR / 4));
        facts.seen_at = fact(Timestamp(arrived.0 + HOUR));
        facts.left_at = fact(Timestamp(arrived.0 + 2 * HOUR));
        facts.department_type = fact(code("03"));
        facts.arrival_mode = fact(code("1048031000000100"));
        facts.attendance_category = fact(code("1"));
        facts.acuity = fact(code("1077241000000103"));
        facts.chief_complaint = fact(code("125605004"));
        facts.diagnoses = fact(vec![code("125605004"), code("44465007")]);
        facts.investigations = fact(vec![code("168537006")]);
        facts.procedures = fact(vec![code("274474001")]);
        facts.discharge_status = fact(code("182992009"));
        (contact, Dataset::Ecds)
    };
    (20..24).map(walk_in).collect()
}

/// Contacts of community services.
pub fn community() -> Vec<(Contact, Dataset)> {
    let mut all: Vec<(Contact, Dataset)> = (30..38).map(|number| (contact(number), Dataset::Csds)).collect();
    all[1].0.facts.procedures = fact(vec![code("229070002"), code("385763009")]);
    all[2].0.facts.referral = None;
    all[3].0.facts.mechanism = fact(Mechanism::Email);
    // Another system's patient, of the same number as one of the first's.
    all[4].0.patient.local =
        vec![LocalId { system: "emis".into(), value: all[0].0.patient.local[0].value.clone() }];
    all[4].0.facts.referral = fact(code("SR9"));
    all
}
