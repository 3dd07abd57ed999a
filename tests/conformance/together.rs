//! What must hold across protocols: one person is one person, whichever system speaks of them.

use std::fs;

use bytes::Bytes;
use polygate::{
    codec::{
        edifact::{Interchange, Segments},
        fhir::{Bundle, Element, read},
        hl7v2::Message,
    },
    domain::{
        entry::Entry,
        matching::Traits,
        record::ItemChange,
        time::{ClockQuality, Timestamp},
    },
    systems::{adastra, analyser, bars, emis, gp_connect, hl7, mesh, secondary_care},
};

use crate::{
    case,
    gp_connect::{Deed, Trial},
    support::canned::Canned,
};

fn input(case: &str) -> Vec<u8> {
    let folder = case::root().join(case);
    let path = case::paths(&folder).into_iter().find(|path| path.file_stem().is_some_and(|it| it == "input"));
    fs::read(path.unwrap()).unwrap()
}

fn entry(raw: Vec<u8>) -> Entry {
    Entry {
        kind: String::new(),
        system: "one".to_owned(),
        source_id: "1".to_owned(),
        patient: None,
        at: Timestamp(0),
        clock: ClockQuality::Synchronised,
        body: Bytes::new(),
        raw: Some(raw.into()),
    }
}

/// What each protocol says of Orla Testcase, born on 1 January 1970, whose NHS number is 999 000 0018.
fn told() -> Vec<(&'static str, Vec<ItemChange>)> {
    let admission = input("hl7v2/adt-a01-admission");
    let admission = hl7::translate(&Message::parse(&admission).unwrap(), &secondary_care::DIALECT).unwrap();
    let report = input("edifact/full-acceptance");
    let segments = Segments::of(&report).unwrap();
    let interchange = Interchange::of(&segments).unwrap();
    let report = mesh::translate(&interchange.header, &interchange.messages[0]).unwrap();
    let contact = adastra::translate_itk(&entry(input("adastra/report"))).unwrap();
    let export = adastra::translate_case(&entry(input("adastra/case-arrived"))).unwrap();
    let booked = bars::translate_entry(&entry(input("bars/booking-new"))).unwrap();
    let line = input("lis2/message-in-one-frame");
    let start = line.iter().position(|byte| *byte == b'H').unwrap();
    let end = line.iter().position(|byte| *byte == 0x03).unwrap();
    let counted = analyser::by_patient(&Bytes::copy_from_slice(&line[start..end])).unwrap().remove(0).1;
    let record = read(&input("gp-connect/record-of-each-kind")).unwrap();
    let record = gp_connect::map::record(Bundle::of(Element::of(&record)).unwrap(), &emis::PROFILE);
    for event in [&admission, &report, &contact, &export, &booked, &counted] {
        assert_eq!(event.nhs_number.unwrap().as_str(), "9990000018", "{}", event.kind);
    }
    vec![
        ("HL7 v2", admission.items),
        ("PMIP", report.items),
        ("ITK", contact.items),
        ("Adastra's export", export.items),
        ("BaRS", booked.items),
        ("LIS2", counted.items),
        ("GP Connect", record.items),
    ]
}

#[test]
fn one_person_is_one_person_in_every_protocol() {
    let told = told();
    let traits: Vec<(&str, Traits)> = told
        .iter()
        .map(|(who, items)| (*who, Traits::of(items).unwrap_or_else(|| panic!("{who} says too little"))))
        .collect();
    for (one, of_one) in &traits {
        for (other, of_other) in &traits {
            assert!(of_one.agree(of_other), "{one} and {other} speak of different people");
        }
    }
}

/// A practice's record of 30 MB with its attachments: refused by a name of its own, and never cut short.
#[test]
fn a_record_longer_than_any_message_is_refused_and_not_cut() {
    let text = String::from_utf8(input("gp-connect/record-of-each-kind")).unwrap();
    let (head, tail) = text.trim_end().rsplit_once(']').unwrap();
    let attachment =
        format!(",{{\"resource\":{{\"resourceType\":\"Binary\",\"content\":\"{}\"}}}}", "A".repeat(30 << 20));
    let answer = Canned {
        status: 200,
        media_type: "application/fhir+json",
        headers: String::new(),
        body: format!("{head}{attachment}]{tail}").into_bytes(),
    };
    let refusal = Trial::of(Deed::Record, answer.body).hold().0.unwrap_err();
    assert_eq!(refusal.code, "ANSWER_TOO_LONG", "{refusal}");
}

/// Ten thousand faults, or a sender's name without end, once made a message that was accepted and never read again.
#[test]
fn whatever_is_accepted_is_understood_again() {
    use polygate::systems::translate_entry;
    use tokio::runtime::Builder;

    use crate::support::hub::InnerHub;

    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut hub = InnerHub::start();
    let link = hub.link("pas");
    let header = |facility: &str, id: &str| {
        format!("MSH|^~\\&|LAB|{facility}|PG|5LC01|20260105101500||ORU^R01|{id}|P|2.4\rPID|1||H1^^^RQ6^MR\r")
    };
    let many = header("RQ6", "MANY") + &"OBR|1|||A^B\rOBX|1|NM|C^D||1\r".repeat(9000);
    let long = header(&"x".repeat(100_000), "LONG");
    for (message, expected) in [(many, "MSA|AA|MANY"), (long, "MSA|AR|LONG")] {
        let stream = [&[0x0b], message.as_bytes(), &[0x1c, 0x0d]].concat();
        let answers = runtime.block_on(hub.answer_hl7(&link, &secondary_care::DIALECT, &stream));
        let answer = String::from_utf8_lossy(&answers[0]).into_owned();
        assert!(answer.contains(expected), "{answer}");
    }
    let entries = hub.entries();
    assert_eq!(entries.len(), 1);
    assert!(translate_entry(&entries[0]).is_some_and(|event| 9000 <= event.items.len()));
}
