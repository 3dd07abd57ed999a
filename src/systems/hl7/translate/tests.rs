//! What each kind of message says.

use super::*;
use crate::domain::nhs_number::InvalidNhsNumber;
use crate::systems::{
    rio, secondary_care,
    simulator::traffic::{Traffic, Voice},
};

fn event(text: &str) -> Result<Event, Nack> {
    translate(&Message::parse(text.as_bytes()).unwrap(), &secondary_care::DIALECT)
}

fn message(kind: &str, body: &str) -> String {
    format!(
        "MSH|^~\\&|PAS|RQ6|PG|5LC01|20260105100000||{kind}|M1|P|2.4\rEVN|A01|20260105095900||||20260105090000\r{body}"
    )
}

const PID: &str =
    "PID|1||H1^^^RQ6^MR~999 000 0018^^^NHS^NH||SMITH^Ann^^^Ms||19700101|F|||1 High St^^London^^E1 1AA";

#[test]
fn an_admission_says_who_where_and_when() {
    let event =
        event(&message("ADT^A01^ADT_A01", &format!("{PID}\rPV1|1|I|W1^2^3||||C1^Jones||||||||||||V9")))
            .unwrap();
    assert_eq!(
        (event.kind.as_str(), event.class, event.sender.as_str()),
        ("ADT^A01", Class::Clinical, "PAS|RQ6")
    );
    assert_eq!(event.nhs_number.unwrap().as_str(), "9990000018");
    assert_eq!(event.identifiers.len(), 2);
    assert_eq!(event.occurred.unwrap().to_string(), "2026-01-05T09:00:00.000Z", "EVN-6 before EVN-2");
    let encounter = event.items.iter().find(|item| item.kind == ItemKind::Encounter).unwrap();
    assert_eq!(encounter.key, "V9");
    assert!(encounter.fields.contains(&("status", FieldChange::Set("admitted".to_owned()))));
    assert!(event.faults.is_empty(), "{:?}", event.faults);
}

#[test]
fn two_quotes_delete_and_nothing_leaves_alone() {
    let event = event(&message("ADT^A31", "PID|1||H1^^^RQ6^MR||SMITH^\"\"||\"\"")).unwrap();
    let fields = &event.items[0].fields;
    assert!(fields.contains(&("given_name", FieldChange::Delete)));
    assert!(fields.contains(&("birth_date", FieldChange::Delete)));
    assert!(!fields.iter().any(|(name, _)| *name == "gender"));
}

#[test]
fn numbers_that_cannot_be_used_are_said_and_lose_nothing() {
    for (pid, expected) in [
        ("PID|1||H1^^^RQ6^MR", InvalidNhsNumber::Absent),
        ("PID|1||9990000019^^^NHS^NH", InvalidNhsNumber::CheckDigit),
        ("PID|1||0000000000^^^NHS^NH", InvalidNhsNumber::Filler),
        ("PID|1||99900^^^NHS", InvalidNhsNumber::NotTenDigits),
    ] {
        assert_eq!(event(&message("ADT^A28", pid)).unwrap().nhs_number, Err(expected), "{pid}");
    }
    for pid in ["PID|1|9990000018|H1", "PID|1||9990000018^^^^NH", "PID|1||9990000018^06^^NHS^NI"] {
        assert!(event(&message("ADT^A28", pid)).unwrap().nhs_number.is_ok(), "{pid}");
    }
}

#[test]
fn a_panic_value_is_urgent_and_corrections_meet_their_result() {
    let report = |flag: &str, status: &str| {
        let text = message(
            "ORU^R01",
            &format!(
                "{PID}\rOBR|1|P1|F1|UE^Urea\rOBX|1|NM|K^Potassium^L||7.1|mmol/L|3.5-5.3|{flag}|||{status}"
            ),
        );
        event(&text).unwrap()
    };
    let (first, corrected) = (report("HH", "F"), report("H", "C"));
    assert_eq!((first.class, corrected.class), (Class::Urgent, Class::Clinical));
    let key =
        |event: &Event| event.items.iter().find(|item| item.kind == ItemKind::Result).unwrap().key.clone();
    assert_eq!(key(&first), key(&corrected));
}

#[test]
fn a_merge_names_whom_it_ends() {
    let event = event(&message("ADT^A40^ADT_A39", &format!("{PID}\rMRG|H2^^^RQ6^MR"))).unwrap();
    assert_eq!(event.merged[0].value, "H2");
}

#[test]
fn what_is_not_for_us_is_refused_with_the_tables_code() {
    let code = |text: &str| event(text).unwrap_err().code;
    assert_eq!(code(&message("MDM^T02", PID)), ErrorCode::UnsupportedMessageType);
    assert_eq!(code(&message("ADT^A99", PID)), ErrorCode::UnsupportedEventCode);
    assert_eq!(code(&message("ADT^A01", "ZZZ|1")), ErrorCode::SegmentSequence);
    assert_eq!(code(&message("ADT^A40", PID)), ErrorCode::SegmentSequence);
    let result = message("ORU^R01", PID);
    let from_rio = translate(&Message::parse(result.as_bytes()).unwrap(), &rio::DIALECT);
    assert_eq!(from_rio.unwrap_err().code, ErrorCode::UnsupportedMessageType);
}

#[test]
fn everything_the_simulators_say_is_understood() {
    for (voice, dialect) in [(Voice::Rio, rio::DIALECT), (Voice::SecondaryCare, secondary_care::DIALECT)] {
        let mut traffic = Traffic::new(voice, "T", 100, 9);
        for second in 0..400 {
            let sent = traffic.next(Timestamp(1_800_000_000_000 + second * 1000));
            let event = translate(&Message::parse(&sent.bytes).unwrap(), &dialect).unwrap();
            assert_eq!(event.source_id, sent.control_id);
            assert!(event.nhs_number.is_ok() && event.faults.is_empty(), "{:?}", event.faults);
            assert!(!event.items.is_empty());
        }
    }
}
