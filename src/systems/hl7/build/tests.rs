//! What is built, field by field; `tests/peers` holds it to hl7apy's strict validation.

use std::sync::Arc;

use super::*;
use crate::{
    codec::hl7v2::Message,
    domain::{
        entry::Entry,
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        time::ClockQuality,
    },
    flow::deliver::Position,
    systems::{hl7, secondary_care},
};

fn set(name: &'static str, value: &str) -> (&'static str, FieldChange) {
    (name, FieldChange::Set(value.to_owned()))
}

fn event(kind: &str, items: Vec<ItemChange>) -> Event {
    let local = |value: &str, kind: &str| Identifier {
        value: value.to_owned(),
        authority: "RQ6".to_owned(),
        kind: kind.to_owned(),
    };
    Event {
        kind: kind.to_owned(),
        class: Class::Clinical,
        source_id: "1".to_owned(),
        sender: "XN|1".to_owned(),
        occurred: Some(Timestamp(1_800_000_000_000)),
        nhs_number: NhsNumber::parse("9990000018"),
        identifiers: vec![local("H1", "MR")],
        merged: Vec::new(),
        items,
        withdraws: Vec::new(),
        faults: Vec::new(),
    }
}

fn built(event: &Event) -> Result<String, String> {
    let entry = Entry {
        kind: event.kind.clone(),
        system: "xn".to_owned(),
        source_id: "1".to_owned(),
        patient: None,
        at: Timestamp(1_800_000_000_000),
        clock: ClockQuality::Synchronised,
        body: bytes::Bytes::new(),
        raw: None,
    };
    let parcel = Parcel {
        entry: Arc::new(entry),
        event: Arc::new(event.clone()),
        attempt_id: "00112233445566778899aabbccddeeff".to_owned(),
        position: Position::default(),
    };
    let address = Address {
        sending_facility: "5LC01".to_owned(),
        receiving: Some(("RIO".to_owned(), "RV5".to_owned())),
        ..Address::default()
    };
    build(&parcel, &address).map(|bytes| String::from_utf8(bytes).unwrap().replace('\r', "\n"))
}

fn ann() -> ItemChange {
    let fields = vec![
        set("family_name", "O'Brien & Søn"),
        set("given_name", "Ann"),
        set("title", "Ms"),
        set("birth_date", "1970-01-31"),
        set("gender", "F"),
        ("address_line_1", FieldChange::Delete),
        set("postcode", "E1 1AA"),
        ("death_date", FieldChange::Delete),
        set("general_practice", "F84006"),
    ];
    ItemChange::new(ItemKind::Demographics, String::new(), fields)
}

const HEADER: &str = "MSH|^~\\&|POLYGATE|5LC01|RIO|RV5|20270115080000+0000||";

#[test]
fn an_analysers_result_becomes_oru_r01() {
    let result = |code: &str, fields: Vec<_>| {
        let mut all =
            vec![set("code", code), set("name", code), set("status", "F"), set("report_code", "FBC")];
        all.extend(fields);
        let mut item = ItemChange::new(ItemKind::Result, code.to_owned(), all);
        item.part_of = "S-77".to_owned();
        item
    };
    let items = vec![
        ann(),
        result(
            "HB",
            vec![
                set("value", "134"),
                set("units", "g/L"),
                set("reference_range", "115-165"),
                set("abnormal_flags", "A HH"),
                set("observed", "2026-11-18T11:06:40+00:00"),
            ],
        ),
        result("CRP", vec![set("value", "5"), set("comparator", "<"), set("note", "Haemolysed\nslightly")]),
        result("FILM", vec![set("value", "Anisocytosis | seen")]),
        result("OLD", vec![("value", FieldChange::Delete)]),
        result("TEXT", vec![set("value", "one\ntwo")]),
    ];
    let expected = format!(
        "{HEADER}ORU^R01^ORU_R01|00112233445566778899|P|2.4|||||GBR|UNICODE UTF-8\n\
         PID|1||9990000018^^^NHS^NH~H1^^^RQ6^MR||O'Brien \\T\\ Søn^Ann^^^Ms||19700131|F|||\"\"^^^^E1 1AA||||||||||||||||||\"\"\n\
         PD1|||F84006\n\
         OBR|1||S-77|FBC^|||20261118110640+0000||||||||||||||||||F\n\
         OBX|1|NM|HB^HB^L||134|g/L|115-165|HH|||F|||20261118110640+0000\nNTE|1||Abnormal flags: HH, A\n\
         OBX|2|SN|CRP^CRP^L||<^5||||||F\n\
         NTE|1||Haemolysed\nNTE|2||slightly\n\
         OBX|3|ST|FILM^FILM^L||Anisocytosis \\F\\ seen||||||F\n\
         OBX|4|ST|OLD^OLD^L||\"\"||||||F\n\
         OBX|5|FT|TEXT^TEXT^L||one\\.br\\two||||||F\n"
    );
    assert_eq!(built(&event("ORU", items)).unwrap(), expected);
}

#[test]
fn identity_becomes_a28_a31_or_a40() {
    let a31 = built(&event("demographics", vec![ann()])).unwrap();
    assert!(a31.starts_with(&format!("{HEADER}ADT^A31^ADT_A05|")), "{a31}");
    assert!(a31.contains("\nEVN|A31|20270115080000+0000||||20270115080000+0000\n"), "{a31}");
    assert!(a31.ends_with("\nPD1|||F84006\nPV1|1|N\n"), "{a31}");
    assert!(built(&event("registration A28", vec![ann()])).unwrap().contains("ADT^A28^ADT_A05"));
    let mut merge = event("merge", vec![ann()]);
    merge.merged =
        vec![Identifier { value: "H2".to_owned(), authority: "RQ6".to_owned(), kind: "MR".to_owned() }];
    let a40 = built(&merge).unwrap();
    assert!(a40.contains("ADT^A40^ADT_A39"), "{a40}");
    assert!(a40.contains("PID|1||H1^^^RQ6^MR~9990000018^^^NHS^NH|"), "in the order of MRG-1: {a40}");
    assert!(a40.ends_with("\nMRG|H2^^^RQ6^MR\n"), "{a40}");
}

#[test]
fn an_appointments_status_becomes_its_event() {
    let appointment = |kind: &str, status: &str| {
        let fields = vec![
            set("status", status),
            set("start", "2026-12-01T09:30:00+00:00"),
            set("end", "2026-12-01T09:40:00+00:00"),
            set("duration", "10"),
            set("service", "Physiotherapy"),
            set("location", "Room 4"),
            set("clinician", "C1234567"),
        ];
        let item = ItemChange::new(ItemKind::Appointment, "A-1".to_owned(), fields);
        built(&event(kind, vec![item])).unwrap()
    };
    for (kind, status, trigger) in [
        ("booking", "booked", "S12"),
        ("booking-rescheduled", "booked", "S13"),
        ("booking-amended", "booked", "S14"),
        ("booking", "arrived", "S14"),
        ("booking", "cancelled", "S15"),
        ("booking", "discontinued", "S16"),
        ("booking", "deleted", "S17"),
        ("booking", "did not attend", "S26"),
    ] {
        let text = appointment(kind, status);
        assert!(text.contains(&format!("||SIU^{trigger}^SIU_S12|")), "{kind} {status}: {text}");
    }
    let text = appointment("booking", "booked");
    let expected = "SCH||A-1||||BOOKED^booked|||10|MIN|^^10^20261201093000+0000^20261201094000+0000|||||POLYGATE||||POLYGATE|||||Booked\n\
        PID|1||9990000018^^^NHS^NH~H1^^^RQ6^MR||^^^^^^U\n\
        RGS|1\nAIS|1||^Physiotherapy|20261201093000+0000\nAIL|1||Room 4|C^Clinic\nAIP|1||C1234567|CLIN^Clinician\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn what_is_built_is_understood_again() {
    let text = built(&event("demographics", vec![ann()])).unwrap().replace('\n', "\r");
    let message = Message::parse(text.as_bytes()).unwrap();
    let read = hl7::translate(&message, &secondary_care::DIALECT).unwrap();
    let fields = &read.items[0].fields;
    assert_eq!(read.nhs_number.unwrap().as_str(), "9990000018");
    assert!(fields.contains(&set("family_name", "O'Brien & Søn")));
    assert!(fields.contains(&("address_line_1", FieldChange::Delete)));
    assert!(fields.contains(&set("general_practice", "F84006")));
}

#[test]
fn what_cannot_be_told_is_not_sent() {
    let mut nobody = event("ORU", vec![ItemChange::new(ItemKind::Result, "1".to_owned(), vec![])]);
    nobody.nhs_number = Err(InvalidNhsNumber::Absent);
    nobody.identifiers.clear();
    assert!(built(&nobody).is_err());
    let letter = ItemChange::new(ItemKind::Document, "1".to_owned(), vec![]);
    assert!(built(&event("letter", vec![letter])).is_err());
}

#[test]
fn moments_keep_their_precision() {
    for (iso, stamp) in [
        ("2026", Some("2026")),
        ("2026-11", Some("202611")),
        ("2026-11-18", Some("20261118")),
        ("2026-11-18T11:06", Some("202611181106")),
        ("2026-11-18T11:06:40", Some("20261118110640")),
        ("2026-11-18T11:06:40Z", Some("20261118110640+0000")),
        ("2026-11-18T11:06:40.125-05:00", Some("20261118110640.125-0500")),
        ("last week", None),
        ("2026-11-18T11:06:40+5", None),
        ("", None),
    ] {
        assert_eq!(hl7_moment(iso).as_deref(), stamp, "{iso}");
    }
}
