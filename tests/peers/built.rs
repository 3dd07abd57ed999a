//! HL7 v2 that we build out of what other protocols said: held to hl7apy's strict validation.

use std::sync::Arc;

use bytes::Bytes;
use polygate::{
    domain::{
        booking::{
            Appointment, AppointmentId, Attendance, Cancellation, CancelledBy, Channel, Needs, OfferKey,
            Person, Reference, Standing,
        },
        entry::Entry,
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
        slot::{Clinician, Place},
        time::{ClockQuality, Timestamp},
    },
    flow::{
        ask::{Telling, Told},
        deliver::{Parcel, Position},
    },
    systems::hl7::{Address, Outgoing, siu},
};

use crate::{
    hl7v2::{HL7APY, hold_strictly},
    support::{hub::NOW, peers},
};

/// Text with everything in it that has a meaning in HL7 v2.
const AWKWARD: &str = "Søn & O'Brien | ^caret~ \\F\\ back";

fn set(name: &'static str, value: &str) -> (&'static str, FieldChange) {
    (name, FieldChange::Set(value.to_owned()))
}

fn delete(name: &'static str) -> (&'static str, FieldChange) {
    (name, FieldChange::Delete)
}

fn identifier(value: &str, kind: &str) -> Identifier {
    Identifier { value: value.to_owned(), authority: "RQ6".to_owned(), kind: kind.to_owned() }
}

fn event(kind: &str, items: Vec<ItemChange>) -> Event {
    Event {
        kind: kind.to_owned(),
        class: Class::Clinical,
        source_id: "1".to_owned(),
        sender: "XN|1".to_owned(),
        occurred: Some(NOW),
        nhs_number: NhsNumber::parse("9990000018"),
        identifiers: vec![identifier("H1", "MR")],
        merged: Vec::new(),
        items,
        withdraws: Vec::new(),
        faults: Vec::new(),
    }
}

fn people() -> [ItemChange; 3] {
    let whole = vec![
        set("family_name", AWKWARD),
        set("given_name", "Ann"),
        set("middle_names", "Mary"),
        set("title", "Ms"),
        set("birth_date", "1970-01-31"),
        set("gender", "F"),
        set("address_line_1", "1 High St"),
        set("city", "London"),
        set("postcode", "E1 1AA"),
        set("telephone", "020 7946 0001"),
        set("language", "en"),
        set("ethnic_category", "A"),
        set("death_date", "2026-01-31T09:30:00+00:00"),
        set("death_indicator", "Y"),
        set("nhs_number_status", "NSTS01"),
        set("general_practice", "F84006"),
    ];
    // Two quotes for a telephone number are HL7's own way to delete it, and hl7apy takes them for a bad number.
    let deletable = whole.iter().filter(|(name, _)| *name != "telephone");
    let deleted = deletable.map(|(name, _)| delete(name)).collect();
    let item = |fields| ItemChange::new(ItemKind::Demographics, String::new(), fields);
    [item(whole), item(deleted), item(vec![set("family_name", "Testcase")])]
}

fn results() -> Vec<ItemChange> {
    let of = |number: usize, fields: Vec<(&'static str, FieldChange)>| {
        let mut all = vec![set("report_code", "FBC"), set("report", "Full blood count"), set("code", "HB")];
        all.extend(fields);
        ItemChange::new(ItemKind::Result, number.to_string(), all)
    };
    let mut withdrawn = of(9, vec![set("value", "1")]);
    withdrawn.withdrawn = true;
    vec![
        of(
            1,
            vec![
                set("name", AWKWARD),
                set("value", "134"),
                set("units", "g/L"),
                set("reference_range", "115-165"),
                set("abnormal_flags", "HH A"),
                set("status", "F"),
                set("observed", "2026-01-31T09:30:00Z"),
                set("received", "2026-01-31T10:30"),
                set("recorded", "2026-01-31T11:30:00"),
                set("specimen", "Blood"),
                set("performer", "XN-550"),
                set("method", "Flow cytometry"),
                set("note", "first line\nsecond | line"),
            ],
        ),
        of(2, vec![set("value", "5"), set("comparator", "<=")]),
        of(3, vec![set("value", AWKWARD)]),
        // One line of less than 200 characters: hl7apy holds every OBX-5 to the type ST, whatever OBX-2 says.
        of(4, vec![set("value", &"text ".repeat(39))]),
        of(5, vec![delete("value")]),
        of(6, vec![set("report_code", "UE"), set("value", "-1.5")]),
        of(7, vec![]),
        withdrawn,
        ItemChange::new(ItemKind::Result, "bare".to_owned(), vec![set("value", "positive")]),
    ]
}

fn appointment(status: &str, whole: bool) -> ItemChange {
    let mut fields = vec![set("status", status), set("start", "2026-12-01T09:30:00+00:00")];
    if whole {
        fields.extend([
            set("end", "2026-12-01T09:40:00+00:00"),
            set("duration", "10"),
            set("service", AWKWARD),
            set("location", "Room 4"),
            set("clinician", "C1234567"),
            set("cancellation_reason", "Patient asked"),
            set("note", "Bring glasses"),
        ]);
    }
    ItemChange::new(ItemKind::Appointment, "A-1".to_owned(), fields)
}

fn events() -> Vec<Event> {
    let mut all = Vec::new();
    for person in people() {
        all.push(event("demographics", vec![person.clone()]));
        all.push(event("registration A28", vec![person.clone()]));
        let mut merge = event("merge", vec![person.clone()]);
        merge.merged = vec![identifier("H2", "MR"), identifier("H3", "PI")];
        all.push(merge);
        let mut items = vec![person];
        items.extend(results());
        all.push(event("results", items));
    }
    let mut unnumbered = event("results", results());
    unnumbered.nhs_number = Err(InvalidNhsNumber::Absent);
    all.push(unnumbered);
    for status in ["booked", "arrived", "attended", "cancelled", "discontinued", "deleted", "did not attend"]
    {
        for whole in [true, false] {
            all.push(event("booking", vec![appointment(status, whole)]));
        }
    }
    all.push(event("booking-rescheduled", vec![appointment("booked", true)]));
    all.push(event("booking-amended", vec![appointment("booked", true)]));
    all
}

/// An appointment as the desk holds it: with everything that can be said, or with nothing that need not be.
fn at_the_desk(whole: bool, standing: Standing) -> Appointment {
    let words = |text: &str| if whole { text.to_owned() } else { String::new() };
    let schedule =
        OfferKey::System { system: "rio".to_owned(), schedule: AWKWARD.to_owned(), slot: String::new() };
    Appointment {
        id: AppointmentId(u128::MAX),
        person: Person {
            nhs_number: NhsNumber::parse("9990000018").ok(),
            family_name: words(AWKWARD),
            given_names: words("Ann Mary"),
            title: words("Ms"),
            birth_date: words("1970-01-31"),
            gender: words("female"),
            address: words("1 High St, London"),
            postcode: words("E1 1AA"),
            telephone: words("020 7946 0001"),
            practice: words("F84006"),
        },
        service: "podiatry".parse().unwrap(),
        service_name: words(AWKWARD),
        keys: whole.then_some(schedule).into_iter().collect(),
        system: "rio".to_owned(),
        hub: "soho".parse().unwrap(),
        start: NOW,
        end: Timestamp(NOW.0 + if whole { 1_200_000 } else { 90_000 }),
        channel: if whole { Channel::Video } else { Channel::InPerson },
        clinician: whole.then(|| Clinician {
            id: "C1234567".to_owned(),
            name: AWKWARD.to_owned(),
            role: "Podiatrist".to_owned(),
            ..Clinician::default()
        }),
        place: Place { id: words("SOHO"), name: words(AWKWARD), ..Place::default() },
        room: words("4"),
        organisation: words("Central London Community"),
        telephone: words("020 7946 0002"),
        description: words("Foot check"),
        comment: words("first line\nsecond | line"),
        needs: Needs {
            interpreter: words("Polish"),
            transport: whole,
            adjustments: words(AWKWARD),
            reminder: String::new(),
        },
        standing,
        attendance: Attendance::Expected,
        made: NOW,
        made_by: words("jo"),
        made_at: "soho".parse().unwrap(),
        visit: whole.then_some(AppointmentId(7)),
        replaces: None,
        changes: Vec::new(),
    }
}

/// What happens to appointments at the desk, told to the system in whose book they are.
fn told(address: &Address) -> Vec<String> {
    let reference = Reference { id: "F9".to_owned(), version: String::new(), patient: "R77".to_owned() };
    let cancelled = Cancellation {
        by: CancelledBy::Patient,
        reason: AWKWARD.to_owned(),
        at: NOW,
        told: false,
        reference: Some(reference.clone()),
    };
    let mut all = Vec::new();
    for whole in [true, false] {
        for (what, standing) in [
            (Told::Booked, Standing::Firm),
            (Told::Amended, Standing::Confirmed(reference.clone())),
            (Told::Cancelled, Standing::Cancelled(cancelled.clone())),
            (Told::DidNotAttend, Standing::Confirmed(reference.clone())),
        ] {
            let appointment = at_the_desk(whole, standing);
            let telling = Telling { what, appointment, id: format!("T-{}", all.len()), at: NOW };
            all.push(String::from_utf8(siu(&telling, address).unwrap()).unwrap());
        }
    }
    all
}

fn address() -> Address {
    Address {
        sending_facility: "5LC01".to_owned(),
        receiving: Some(("RIO".to_owned(), "RV5".to_owned())),
        ..Address::default()
    }
}

#[test]
fn what_the_desk_tells_is_strictly_valid() {
    let Some(python) = peers::python(&[HL7APY]) else { return };
    hold_strictly(&python, &told(&address()));
}

#[test]
fn everything_we_build_is_strictly_valid() {
    let Some(python) = peers::python(&[HL7APY]) else { return };
    let address = address();
    let outgoing = Outgoing::new(address);
    let built: Vec<String> = events()
        .into_iter()
        .enumerate()
        .map(|(number, event)| {
            let entry = Entry {
                kind: event.kind.clone(),
                system: "xn".to_owned(),
                source_id: "1".to_owned(),
                patient: event.nhs_number.ok(),
                at: NOW,
                clock: ClockQuality::Synchronised,
                body: Bytes::new(),
                raw: None,
            };
            let parcel = Parcel {
                entry: Arc::new(entry),
                event: Arc::new(event),
                attempt_id: format!("{number:032x}"),
                position: Position::default(),
            };
            String::from_utf8(outgoing.message(&parcel).unwrap().to_vec()).unwrap()
        })
        .collect();
    assert!(20 < built.len());
    hold_strictly(&python, &built);
}
