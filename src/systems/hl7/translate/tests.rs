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
            if event.kind.starts_with("SIU") {
                let times = ["start", "duration", "status_at_source"];
                assert!(times.iter().all(|name| field(&event, ItemKind::Appointment, name).is_some()));
            }
        }
    }
}

/// A field's value; two quotes if it is deleted.
fn of_item(item: &ItemChange, name: &str) -> Option<String> {
    item.fields.iter().find(|(field, _)| *field == name).map(|(_, change)| match change {
        FieldChange::Set(value) => value.clone(),
        FieldChange::Delete => "\"\"".to_owned(),
    })
}

fn field(event: &Event, kind: ItemKind, name: &str) -> Option<String> {
    of_item(event.items.iter().find(|item| item.kind == kind)?, name)
}

fn set_to(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn moments_are_iso_8601_and_as_precise_as_they_came() {
    let visit =
        format!("PV1|1|I|W1||||C1||||||||||||V9{}202601050900|20260106101500+0000", "|".repeat(44 - 19));
    let pid = "PID|1||H1^^^RQ6^MR||SMITH||1970||||||||||||||||||||||2026-01-05 23:59:01";
    let stay = event(&message("ADT^A03^ADT_A03", &format!("{pid}\r{visit}"))).unwrap();
    let of = |kind, name| field(&stay, kind, name);
    assert_eq!(of(ItemKind::Demographics, "birth_date"), set_to("1970"));
    assert_eq!(of(ItemKind::Demographics, "death_date"), set_to("2026-01-05T23:59:01"));
    assert_eq!(of(ItemKind::Encounter, "started"), set_to("2026-01-05T09:00"));
    assert_eq!(of(ItemKind::Encounter, "ended"), set_to("2026-01-06T10:15:00+00:00"));
    assert!(stay.faults.is_empty(), "{:?}", stay.faults);
    let rubbish = event(&message("ADT^A28", "PID|1||H1||SMITH||+^D")).unwrap();
    assert_eq!(field(&rubbish, ItemKind::Demographics, "birth_date"), None);
    assert_eq!(rubbish.faults, ["moment-not-understood"]);
    let odd = event(&message("ADT^A28", "PID|1||H1||SMITH||31/01/1970")).unwrap();
    assert_eq!(field(&odd, ItemKind::Demographics, "birth_date"), set_to("31/01/1970"));
}

#[test]
fn a_discharge_that_is_cancelled_leaves_no_end() {
    let stay = event(&message("ADT^A13^ADT_A01", &format!("{PID}\rPV1|1|I|W1||||||||||||||||V9"))).unwrap();
    assert_eq!(field(&stay, ItemKind::Encounter, "ended"), set_to("\"\""));
}

#[test]
fn the_structure_must_fit_the_event_or_is_noted() {
    for (kind, faults) in [
        ("ADT^A04^ADT_A01", 0),
        ("ADT^A04", 0),
        ("ADT^A04^ADT_A04", 1),
        ("ADT^A31^ADT_A05", 0),
        ("ADT^A12^ADT_A09", 0),
        ("ADT^A12^ADT_A12", 0),
        ("ADT^A52^ADT_A52", 0),
    ] {
        let found = event(&message(kind, PID)).unwrap().faults.len();
        assert_eq!(found, faults, "{kind}");
    }
}

#[test]
fn a_test_message_on_a_production_link_is_refused() {
    let sent =
        |processing: &str| format!("MSH|^~\\&|PAS|RQ6|PG|5LC01|20260105||ADT^A31|M1|{processing}|2.4\r{PID}");
    let on = |link: Option<char>, processing: &str| {
        let dialect = Dialect { processing: link, ..rio::DIALECT };
        translate(&Message::parse(sent(processing).as_bytes()).unwrap(), &dialect).map(|_| ())
    };
    for processing in ["P", "P^T", ""] {
        assert!(on(Some('P'), processing).is_ok(), "{processing}");
    }
    for (link, processing) in [('P', "T"), ('P', "D"), ('P', "p"), ('T', "P"), ('T', "D")] {
        let nack = on(Some(link), processing).unwrap_err();
        assert_eq!((nack.code, nack.location.field), (ErrorCode::UnsupportedProcessingId, 11));
    }
    assert!(on(Some('T'), "T").is_ok() && on(None, "D").is_ok());
}

#[test]
fn queries_are_refused_as_a_type_that_is_not_supported() {
    for kind in ["QBP^Q21^QBP_Q21", "QBP^Q22", "QRY^A19", "QBP^ZV1"] {
        let text = message(kind, "QPD|Q21|1|9990000018");
        let nack = translate(&Message::parse(text.as_bytes()).unwrap(), &rio::DIALECT).unwrap_err();
        assert_eq!(nack.code, ErrorCode::UnsupportedMessageType, "{kind}");
    }
}

#[test]
fn a_number_with_its_status_beside_it_is_read() {
    let beside = event(&message("ADT^A28", "PID|1||9990000018^06^^NHS^NI||SMITH")).unwrap();
    assert_eq!(beside.nhs_number.unwrap().as_str(), "9990000018");
    assert_eq!(field(&beside, ItemKind::Demographics, "nhs_number_status"), set_to("NSTS06"));
    let own = format!("PID|1||9990000018^06^^NHS^NH{}NSTS01", "|".repeat(32 - 3));
    let own = event(&message("ADT^A28", &own)).unwrap();
    assert_eq!(field(&own, ItemKind::Demographics, "nhs_number_status"), set_to("NSTS01"));
}

#[test]
fn an_appointment_says_when_how_long_and_why_not() {
    let schedule = |trigger: &str, status: &str| {
        let text = format!(
            "SCH|P1|F1||||CAN^Patient asked||FOLLOWUP|1|HR|^^60^202602010930^20260201103000+0000||||||||||||||{status}\r{PID}\rRGS|1\rAIS|1||PHYSIO^Physiotherapy|20260201093000"
        );
        event(&message(&format!("SIU^{trigger}^SIU_S12"), &text)).unwrap()
    };
    let booked = schedule("S12", "Booked");
    let of = |event: &Event, name| field(event, ItemKind::Appointment, name);
    assert_eq!(of(&booked, "start"), set_to("2026-02-01T09:30"));
    assert_eq!(of(&booked, "end"), set_to("2026-02-01T10:30:00+00:00"));
    assert_eq!(of(&booked, "duration"), set_to("60"));
    assert_eq!((of(&booked, "cancellation_reason"), of(&booked, "status")), (None, set_to("booked")));
    let cancelled = schedule("S15", "Cancelled");
    assert_eq!(of(&cancelled, "cancellation_reason"), set_to("Patient asked"));
    for (trigger, at_source, status) in [
        ("S13", "Booked", "booked"),
        ("S14", "Arrived", "arrived"),
        ("S14", "Pending", "provisional"),
        ("S16", "Dc", "discontinued"),
        ("S17", "Deleted", "deleted"),
    ] {
        assert_eq!(of(&schedule(trigger, at_source), "status"), set_to(status), "{trigger}");
    }
    assert_eq!(of(&schedule("S26", "Booked"), "status"), set_to("did not attend"));
}

#[test]
fn values_are_read_by_their_type_and_notes_stay_with_them() {
    let report = event(&message(
        "ORU^R01",
        &format!(
            "{PID}\rOBR|1|P1|F1|UE^Urea|||202601050800|||||||202601050900|BLD&Blood\rNTE|1||of the report\r\
             OBX|1|SN|CRP^C-reactive protein^LN^X^Y^L||<^5|mg/L\rNTE|1||first~second\rNTE|2||third\r\
             OBX|2|CE|SEX^Sex||M^Male^L\rOBX|3|TX|FILM^Film||line one~line two\\.br\\three\rOBX|4|NM|K||\"\""
        ),
    ))
    .unwrap();
    let results: Vec<&ItemChange> =
        report.items.iter().filter(|item| item.kind == ItemKind::Result).collect();
    let of = |number: usize, name: &str| of_item(results[number], name);
    assert_eq!((of(0, "comparator"), of(0, "value")), (set_to("<"), set_to("5")));
    assert_eq!(of(0, "note"), set_to("first\nsecond\nthird"));
    assert_eq!((of(0, "code_system"), of(0, "specimen")), (set_to("loinc"), set_to("Blood")));
    assert_eq!(of(0, "codings"), set_to("loinc|CRP|C-reactive protein\nlocal|X|Y"));
    assert_eq!(
        (of(0, "observed"), of(0, "received")),
        (set_to("2026-01-05T08:00"), set_to("2026-01-05T09:00"))
    );
    assert_eq!((of(1, "value"), of(1, "note")), (set_to("Male"), None));
    assert_eq!(of(2, "value"), set_to("line one\nline two\nthree"));
    assert_eq!(of(3, "value"), set_to("\"\""));
}

#[test]
fn a_scanned_letter_in_a_report_is_a_document() {
    let report = event(&message(
        "ORU^R01",
        &format!("{PID}\rOBR|1|P1|F1|LET^Letters\rOBX|1|ED|PDF^Discharge letter||^application^pdf^Base64^QUJD||||||F"),
    ))
    .unwrap();
    let of = |name| field(&report, ItemKind::Document, name);
    assert_eq!((of("title"), of("media_type")), (set_to("Discharge letter"), set_to("application/pdf")));
    assert_eq!((of("encoding"), of("content")), (set_to("base64"), set_to("QUJD")));
}

#[test]
fn allergies_and_diagnoses_are_listed_and_what_is_confidential_is_marked() {
    let body = format!(
        "{PID}\rPD1||||||||||||Y\rPV1|1|I|||||||||||||||||V9\r\
         AL1|1|DA|91936005^Allergy to penicillin^SCT|SV|Rash~Wheeze|20190401\rAL1|2|FA\r\
         DG1|1||I10^Essential hypertension^I10||20260104|W||||||||||J7||Y\rDG1|2|||Sprain of ankle||F"
    );
    let event = event(&message("ADT^A01^ADT_A01", &body)).unwrap();
    let of = |kind| event.items.iter().filter(move |item| item.kind == kind).collect::<Vec<_>>();
    let set = |text: &str| FieldChange::Set(text.to_owned());
    let allergies = of(ItemKind::Allergy);
    assert_eq!(allergies.len(), 1);
    assert_eq!(allergies[0].key, "AL1|91936005");
    for field in [
        ("name", set("Allergy to penicillin")),
        ("code_system", set("snomed-ct")),
        ("category", set("medication")),
        ("severity", set("severe")),
        ("reaction", set("Rash\nWheeze")),
        ("onset", set("2019-04-01")),
    ] {
        assert!(allergies[0].fields.contains(&field), "{}", field.0);
    }
    let problems = of(ItemKind::Problem);
    let keys: Vec<&str> = problems.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["DG1|V9|I10", "DG1|V9|Sprain of ankle"]);
    assert!(problems[0].fields.contains(&("confidentiality", set("R"))));
    assert!(problems[0].fields.contains(&("clinician", set("J7"))));
    assert!(!problems[1].fields.iter().any(|(name, _)| *name == "confidentiality"));
    assert!(of(ItemKind::Demographics)[0].fields.contains(&("confidentiality", set("R"))));
    assert_eq!(event.faults, ["entry-without-code-or-words"]);
}
