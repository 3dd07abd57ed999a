//! Every deed, from the hub's words to the simulated practice's and back, in both voices.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch};

use super::{NOW, requester};
use crate::{
    domain::{
        record::{FieldChange, ItemChange, ItemKind, Snapshot},
        slot::{Amendment, AppointmentStatus, Booking, FreeSlot, PatientAtSystem, Registration, SlotQuery},
    },
    flow::ask::{AtFault, GpSystem, Outcome, Refusal},
    sys::{clock::SimulatedClock, entropy::Entropy, http::HttpUrl},
    systems::{
        emis,
        gp_connect::{GpConnect, Options, Profile, RecordPart},
        simulator::{
            gp_connect::{Knobs, Options as ProviderOptions, Provider, birth_date},
            people::Person,
        },
        vision,
    },
};

const VOICES: [&Profile; 2] = [&emis::PROFILE, &vision::PROFILE];

/// A practice, the hub's way to it, and what ends it.
struct Pair {
    provider: Arc<Provider>,
    hub: GpConnect,
    clock: Arc<SimulatedClock>,
    _stop: watch::Sender<bool>,
}

impl Pair {
    async fn new(profile: &'static Profile) -> Self {
        Self::with(profile, Duration::from_secs(10), false).await
    }

    async fn with(profile: &'static Profile, answer_within: Duration, proxied: bool) -> Self {
        let clock = Arc::new(SimulatedClock::new(NOW));
        let options = ProviderOptions {
            profile,
            practice: "E87001".to_owned(),
            name: "Grove Park Surgery".to_owned(),
            asid: "200000000116".to_owned(),
            first_person: 0,
            people: 100,
        };
        let provider = Arc::new(Provider::new(options, Arc::clone(&clock) as Arc<_>));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(Arc::clone(&provider).serve(listener, None, stopped));
        let here = format!("http://127.0.0.1:{port}");
        let host = if proxied { "https://gp.example" } else { &here };
        let options = Options {
            name: "grove-park".to_owned(),
            profile,
            practice: "E87001".to_owned(),
            address: format!("{host}{}", provider.base()),
            records_address: Some(format!("{host}{}/", provider.records_base())),
            proxy: proxied.then(|| HttpUrl::parse(&here).unwrap()),
            asid: "200000000115".to_owned(),
            practice_asid: "200000000116".to_owned(),
            issuer: "https://hub.example".to_owned(),
            parts: RecordPart::ALL.to_vec(),
            appointments_with_record: false,
            answer_within,
        };
        let hub = GpConnect::new(options, None, Arc::clone(&clock) as Arc<_>, Entropy::from_seed(7)).unwrap();
        Self { provider, hub, clock, _stop: stop }
    }

    async fn record(&self, person: u64) -> Result<Snapshot, Refusal> {
        self.hub.record(&requester(), Person::of(person).nhs_number).await
    }

    async fn patient(&self, person: u64) -> PatientAtSystem {
        self.hub.find_patient(&requester(), Person::of(person).nhs_number).await.unwrap()
    }

    async fn slots(&self) -> Vec<FreeSlot> {
        let until = NOW.plus(Duration::from_secs(14 * 86_400));
        let query = SlotQuery { from: NOW, until, filters: vec![("urn:x".to_owned(), "Dx1".to_owned())] };
        self.hub.slots(&requester(), &query).await.unwrap()
    }

    async fn booking(&self, person: u64, slots: &[usize]) -> Booking {
        let free = self.slots().await;
        Booking {
            patient: self.patient(person).await,
            slots: slots.iter().map(|index| free[*index].clone()).collect(),
            description: "Dressing".to_owned(),
            comment: "Ground floor & \"quiet\"\nplease".to_owned(),
        }
    }
}

fn field<'a>(item: &'a ItemChange, name: &str) -> Option<&'a str> {
    item.fields.iter().find_map(|(field, change)| match change {
        FieldChange::Set(value) if *field == name => Some(value.as_str()),
        _ => None,
    })
}

#[tokio::test]
async fn a_record_comes_with_everything_in_it_from_both() {
    for profile in VOICES {
        let pair = Pair::new(profile).await;
        let snapshot = pair.record(8).await.unwrap();
        assert_eq!((snapshot.as_at, snapshot.faults.len()), (NOW, 0), "{:?}", snapshot.faults);
        let kinds: BTreeSet<ItemKind> = snapshot.items.iter().map(|item| item.kind).collect();
        let expected = ItemKind::ALL.into_iter().filter(|kind| *kind != ItemKind::Appointment);
        let expected: BTreeSet<ItemKind> = expected.filter(|kind| *kind != ItemKind::Referral).collect();
        assert_eq!(kinds, expected, "{}", profile.kind);
        let find = |key: &str| snapshot.items.iter().find(|item| item.key == key).unwrap();
        let potassium = find("Observation/x-potassium-8");
        for (name, value) in [
            ("value", "5.9"),
            ("units", "mmol/L"),
            ("reference_range", "3.5 - 5.3"),
            ("abnormal_flags", "H"),
            ("report", "Urea and electrolytes"),
            ("specimen", "Venous blood"),
            ("received", "2026-11-16T13:40:00+00:00"),
            ("status", "F"),
            ("code", "1000651000000109"),
            ("author", "Dr Ngozi Okafor"),
            ("organisation", "Grove Park Surgery"),
        ] {
            assert_eq!(field(potassium, name), Some(value), "{}: {name}", profile.kind);
        }
        let medicine = find("MedicationStatement/medicine-8");
        assert_eq!(field(medicine, "prescription_type"), Some("repeat"));
        assert_eq!(field(medicine, "last_issued"), Some("2026-11-02"));
        let demographics = find("");
        assert_eq!(field(demographics, "nhs_number_status"), Some("NSTS01"));
        assert_eq!(field(demographics, "general_practice"), Some("E87001"));
        let resolved = find("AllergyIntolerance/old-allergy-8");
        assert_eq!(
            (field(resolved, "status"), field(resolved, "ended")),
            (Some("resolved"), Some("2021-03-01"))
        );
        let read = field(find("Condition/problem-8"), "codings").unwrap().contains("readv2");
        assert_eq!(read, profile.kind == "EMIS", "EMIS sends Read codes beside");
    }
}

#[tokio::test]
async fn what_is_missing_from_a_record_is_said_with_its_section() {
    let pair = Pair::new(&vision::PROFILE).await;
    let notices = |snapshot: Snapshot| -> Vec<String> {
        let notices = snapshot.items.into_iter().filter(|item| item.kind == ItemKind::Notice);
        notices.map(|item| item.key).collect()
    };
    let of_ten = notices(pair.record(10).await.unwrap());
    assert_eq!(of_ten, ["Problems|confidential-items", "Outbound referral|no-content-recorded"]);
    let of_eleven = notices(pair.record(11).await.unwrap());
    assert_eq!(of_eleven, ["Investigations and results|data-awaiting-filing"]);
    assert_eq!(notices(pair.record(5).await.unwrap()).len(), 9, "everything is in transit");
}

#[tokio::test]
async fn records_that_are_not_to_be_seen_are_refused() {
    let pair = Pair::new(&emis::PROFILE).await;
    for (person, code, at_fault) in [
        (48, "NO_PATIENT_CONSENT", AtFault::Decision),
        (49, "PATIENT_NOT_FOUND", AtFault::Asker),
        (200, "PATIENT_NOT_FOUND", AtFault::Asker),
    ] {
        let refusal = pair.record(person).await.unwrap_err();
        assert_eq!((refusal.code, refusal.at_fault), (code, at_fault), "{person}");
        assert!(!refusal.to_string().contains(Person::of(person).nhs_number.as_str()), "{refusal}");
    }
    pair.provider.turn(Knobs { mixes_up_patients: true, ..Knobs::default() });
    assert_eq!(pair.record(8).await.unwrap_err().code, "ANOTHER_PATIENT");
    let found = pair.hub.find_patient(&requester(), Person::of(8).nhs_number).await;
    assert_eq!(found.unwrap_err().code, "ANOTHER_PATIENT");
}

#[tokio::test]
async fn a_practice_on_an_older_version_gives_what_it_knows() {
    let pair = Pair::new(&vision::PROFILE).await;
    pair.provider.turn(Knobs { is_version_1_2: true, ..Knobs::default() });
    let snapshot = pair.record(8).await.unwrap();
    assert!(snapshot.items.iter().any(|item| item.kind == ItemKind::Allergy));
    let unsupported: Vec<&str> = snapshot
        .items
        .iter()
        .filter(|item| field(item, "code") == Some("not-supported"))
        .filter_map(|item| field(item, "section"))
        .collect();
    assert_eq!(unsupported.len(), 7);
    assert!(unsupported.contains(&"problems") && unsupported.contains(&"investigations"));
}

#[tokio::test]
async fn an_appointment_is_booked_read_amended_and_cancelled() {
    for profile in VOICES {
        let pair = Pair::new(profile).await;
        let who = requester();
        let free = pair.slots().await;
        assert_eq!(free.first().map(|slot| slot.id.as_str()), Some("20261123-0-0"), "today's first");
        let practitioner = free[0].practitioner.clone().unwrap();
        assert_eq!((practitioner.name.as_str(), practitioner.gender.as_str()), ("Dr Ngozi Okafor", "female"));
        assert_eq!(free[0].location.address, "1 Grove Park, London, W1A 1AA");
        let booking = pair.booking(3, &[1, 0]).await;
        let booked = pair.hub.book(&who, &booking).await.unwrap();
        assert_eq!((booked.start, booked.end), (booking.slots[1].start, booking.slots[0].end));
        assert_eq!(booked.comment, booking.comment);
        assert_eq!(booked.booked_by, "5LC01");
        assert_eq!(pair.slots().await.len(), free.len() - 2);
        let listed = pair.hub.appointments(&who, &booking.patient, "2026-11-24").await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&booked));
        let amendment = Amendment { description: None, comment: Some("Interpreter booked".to_owned()) };
        let amended = pair.hub.amend(&who, &booking.patient, &booked, &amendment).await.unwrap();
        assert_eq!((amended.version.as_str(), amended.comment.as_str()), ("2", "Interpreter booked"));
        assert_eq!(amended.description, "Dressing");
        let stale = pair.hub.amend(&who, &booking.patient, &booked, &amendment).await.unwrap_err();
        assert_eq!(stale.code, "FHIR_CONSTRAINT_VIOLATION");
        let cancelled = pair.hub.cancel(&who, &booking.patient, &amended, "Patient is better").await.unwrap();
        assert_eq!(cancelled.status, AppointmentStatus::Cancelled);
        assert_eq!(cancelled.cancellation_reason, "Patient is better");
        assert_eq!(pair.slots().await.len(), free.len(), "the time is free again");
        let twice = pair.hub.cancel(&who, &booking.patient, &cancelled, "again").await.unwrap_err();
        assert_eq!(twice.code, "NOT_BOOKED");
        assert_eq!(pair.hub.read(&who, &booking.patient, &booked.id).await.unwrap(), cancelled);
    }
}

#[tokio::test]
async fn a_time_is_sold_once_and_the_second_is_told_so() {
    let pair = Pair::new(&emis::PROFILE).await;
    let (one, other) = (pair.booking(3, &[0]).await, pair.booking(4, &[0]).await);
    pair.hub.book(&requester(), &one).await.unwrap();
    let refusal = pair.hub.book(&requester(), &other).await.unwrap_err();
    assert_eq!((refusal.code, refusal.outcome), ("DUPLICATE_REJECTED", Outcome::NotDone));
    assert!(refusal.words.contains("Choose another"));
    let again = pair.hub.book(&requester(), &one).await.unwrap();
    assert_eq!(again.id, "1", "asked twice, booked once");
    assert_eq!(pair.provider.booked(), 1);
}

#[tokio::test]
async fn what_was_done_though_its_answer_was_lost_is_found_again() {
    for profile in VOICES {
        let pair = Pair::new(profile).await;
        let who = requester();
        let booking = pair.booking(3, &[0]).await;
        pair.provider.turn(Knobs { loses_answers: true, ..Knobs::default() });
        let booked = pair.hub.book(&who, &booking).await.unwrap();
        assert_eq!(pair.provider.booked(), 1);
        let amendment = Amendment { description: Some("Stitches".to_owned()), comment: None };
        let amended = pair.hub.amend(&who, &booking.patient, &booked, &amendment).await.unwrap();
        assert_eq!((amended.description.as_str(), amended.version.as_str()), ("Stitches", "2"));
        let cancelled = pair.hub.cancel(&who, &booking.patient, &amended, "moved").await.unwrap();
        assert_eq!((cancelled.status, pair.provider.booked()), (AppointmentStatus::Cancelled, 0));
        let registered = pair.hub.register(&who, &registration(300)).await.unwrap();
        assert_eq!(registered.nhs_number, Person::of(300).nhs_number);
    }
}

#[tokio::test]
async fn a_booking_that_was_never_heard_is_made_again_but_not_for_ever() {
    let pair = Pair::new(&vision::PROFILE).await;
    let booking = pair.booking(3, &[0]).await;
    pair.provider.turn(Knobs { deaf_to: 2, ..Knobs::default() });
    let refusal = pair.hub.book(&requester(), &booking).await.unwrap_err();
    assert_eq!((refusal.code, refusal.outcome), ("NOT_BOOKED_AFTER_ALL", Outcome::NotDone));
    pair.provider.turn(Knobs { deaf_to: 1, ..Knobs::default() });
    assert!(pair.hub.book(&requester(), &booking).await.is_ok());
    assert_eq!(pair.provider.booked(), 1);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_found_out_is_said_to_be_unknown() {
    let pair = Pair::with(&emis::PROFILE, Duration::from_millis(300), false).await;
    let booking = pair.booking(3, &[0]).await;
    pair.provider.turn(Knobs { delay: Duration::from_secs(2), ..Knobs::default() });
    let refusal = pair.hub.book(&requester(), &booking).await.unwrap_err();
    assert_eq!((refusal.code, refusal.outcome), ("OUTCOME_UNKNOWN", Outcome::Unknown));
    pair.provider.turn(Knobs::default());
    let booked = pair.hub.book(&requester(), &booking).await.unwrap();
    assert_eq!((booked.id.as_str(), pair.provider.booked()), ("1", 1), "found, not booked again");
}

#[tokio::test]
async fn clocks_that_differ_are_named_as_the_cause() {
    let pair = Pair::new(&emis::PROFILE).await;
    assert!(pair.record(8).await.is_ok() && pair.hub.complaints().is_empty());
    pair.provider.turn(Knobs { skew_seconds: 400, ..Knobs::default() });
    let refusal = pair.record(8).await.unwrap_err();
    assert_eq!((refusal.code, refusal.at_fault), ("CLOCK_DIFFERS", AtFault::Hub));
    assert!(refusal.detail.contains("400 seconds ahead"), "{refusal}");
    assert!(pair.hub.complaints()[0].contains("check time"), "{:?}", pair.hub.complaints());
    pair.provider.turn(Knobs { skew_seconds: -90, ..Knobs::default() });
    assert_eq!(pair.record(8).await.unwrap().faults, ["clock-differs"]);
}

fn registration(person: u64) -> Registration {
    let person = Person::of(person);
    Registration {
        nhs_number: person.nhs_number,
        family_name: person.family_name.to_owned(),
        given_names: vec![person.given_name.to_owned()],
        birth_date: birth_date(&person),
        gender: "female".to_owned(),
        address_lines: vec![person.address],
        postcode: "W1A 1AA".to_owned(),
        telephone: "020 7946 0999".to_owned(),
    }
}

#[tokio::test]
async fn a_patient_of_elsewhere_is_registered_for_a_while_and_booked() {
    for profile in VOICES {
        let pair = Pair::new(profile).await;
        let who = requester();
        let number = Person::of(300).nhs_number;
        assert_eq!(pair.hub.find_patient(&who, number).await.unwrap_err().code, "PATIENT_NOT_FOUND");
        let wrong = Registration { birth_date: "1900-01-01".to_owned(), ..registration(300) };
        let refusal = pair.hub.register(&who, &wrong).await.unwrap_err();
        assert_eq!(refusal.code, "INVALID_PATIENT_DEMOGRAPHICS");
        let patient = pair.hub.register(&who, &registration(300)).await.unwrap();
        assert_eq!(patient.registration, "T");
        assert_eq!(
            pair.hub.register(&who, &registration(300)).await.unwrap().id,
            patient.id,
            "already there"
        );
        let booking = Booking { patient, ..pair.booking(3, &[5]).await };
        assert!(pair.hub.book(&who, &booking).await.is_ok());
    }
}

#[tokio::test]
async fn the_proxy_is_asked_with_the_whole_address() {
    let pair = Pair::with(&emis::PROFILE, Duration::from_secs(10), true).await;
    assert!(pair.record(8).await.is_ok());
    assert_eq!(pair.patient(3).await.id, "p3");
}

#[tokio::test]
async fn failures_of_the_practice_and_the_way_there_are_told_apart() {
    let pair = Pair::new(&emis::PROFILE).await;
    let booking = pair.booking(3, &[0]).await;
    for (status, code, outcome) in [
        (500, "INTERNAL_SERVER_ERROR", Outcome::Unknown),
        (502, "BAD_GATEWAY", Outcome::Unknown),
        (503, "SERVICE_UNAVAILABLE", Outcome::Unknown),
        (504, "GATEWAY_TIMEOUT", Outcome::Unknown),
        (415, "PROXY_UNSUPPORTED_MEDIA_TYPE", Outcome::NotDone),
        (401, "UNAUTHORISED", Outcome::NotDone),
        (418, "UNEXPECTED_STATUS", Outcome::Unknown),
    ] {
        pair.provider.turn(Knobs { status, ..Knobs::default() });
        let refusal = pair.record(8).await.unwrap_err();
        assert_eq!((refusal.code, refusal.outcome), (code, outcome), "{status}");
        let booked = pair.hub.book(&requester(), &booking).await.unwrap_err();
        assert_eq!(booked.outcome, outcome, "{status}: nobody can say, unless it was refused");
    }
    assert_eq!(pair.provider.booked(), 0);
    pair.provider.turn(Knobs { status: 503, ..Knobs::default() });
    assert_eq!(pair.record(8).await.unwrap_err().code, "SERVICE_UNAVAILABLE");
    assert_eq!(pair.hub.contact().failed.map(|failed| failed.0), Some(NOW));
    pair.provider.turn(Knobs::default());
    pair.clock.set(NOW.plus(Duration::from_secs(1)));
    assert_eq!(pair.record(49).await.unwrap_err().code, "PATIENT_NOT_FOUND");
    assert_eq!(pair.hub.contact().is_up(), Some(true), "a refusal is an answer");
}

#[tokio::test]
async fn appointments_to_come_are_part_of_the_record_if_wanted() {
    let mut pair = Pair::new(&emis::PROFILE).await;
    let booking = pair.booking(3, &[0]).await;
    pair.hub.book(&requester(), &booking).await.unwrap();
    pair.hub.options.appointments_with_record = true;
    let snapshot = pair.record(3).await.unwrap();
    let item = snapshot.items.iter().find(|item| item.kind == ItemKind::Appointment).unwrap();
    for (name, value) in [
        ("status", "booked"),
        ("start", "2026-11-23T09:00:00+00:00"),
        ("duration", "10"),
        ("delivery_channel", "In-person"),
    ] {
        assert_eq!(field(item, name), Some(value));
    }
}

#[tokio::test]
async fn the_practice_checks_what_the_hub_would_never_send() {
    let pair = Pair::new(&emis::PROFILE).await;
    let who = requester();
    let mut nameless = requester();
    nameless.practitioner.id.clear();
    let number = Person::of(3).nhs_number;
    assert_eq!(pair.hub.find_patient(&nameless, number).await.unwrap_err().code, "BAD_REQUEST");
    let missing = pair.hub.read(&who, &pair.patient(3).await, "../../etc?x").await.unwrap_err();
    assert_eq!(missing.code, "NO_RECORD_FOUND");
    let dots = pair.hub.read(&who, &pair.patient(3).await, "..").await.unwrap_err();
    assert_eq!((dots.code, dots.outcome), ("NO_RECORD_FOUND", Outcome::NotDone));
    let past = pair.booking(3, &[0]).await;
    pair.clock.set(past.slots[0].start);
    assert_eq!(pair.hub.book(&who, &past).await.unwrap_err().code, "IN_THE_PAST");
}
