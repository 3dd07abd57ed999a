//! EDIFACT: pydifact reads every interchange that we write.

use polygate::codec::edifact::{
    Header, Interchange, Partner, Segments, Writer,
    nhsack::{MessageVerdict, NhsAck},
    pmip::{self, Kind},
};
use serde_json::{Value, json};

use crate::support::peers;

const PYDIFACT: &str = "pydifact==0.2.3";

fn header(reference: &str) -> Header {
    let partner = |id: &str| Partner { id: id.to_owned(), qualifier: "80".to_owned() };
    Header {
        syntax: "UNOC".to_owned(),
        version: "3".to_owned(),
        sender: partner("000000004400009"),
        recipient: partner("000000024600009"),
        prepared: ("260105".to_owned(), "1015".to_owned()),
        control_reference: reference.to_owned(),
        application: "MEDRPT".to_owned(),
        acknowledgement_requested: true,
        test: false,
    }
}

/// What pydifact makes of each interchange: sender, recipient, reference, and of each message its reference, type
/// and segments.
fn read(interchanges: &[Vec<u8>]) -> Option<Vec<Value>> {
    let python = peers::python(&[PYDIFACT])?;
    // Latin-1: each byte is a character.
    let texts: Vec<String> =
        interchanges.iter().map(|bytes| bytes.iter().map(|byte| char::from(*byte)).collect()).collect();
    let read = peers::ask(&python, "edifact_read.py", &[], &json!(texts));
    Some(read.as_array().unwrap().clone())
}

#[test]
fn pydifact_reads_every_report_that_we_write() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/edifact");
    let mut written = Vec::new();
    let mut expected = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let bytes = std::fs::read(folder.unwrap().path().join("input.edi")).unwrap();
        let segments = Segments::of(&bytes).unwrap();
        let Ok(interchange) = Interchange::of(&segments) else { continue };
        let reports: Vec<(Kind, pmip::Report)> =
            interchange.messages.iter().filter_map(|message| pmip::read(message).ok()).collect();
        if reports.is_empty() {
            continue;
        }
        let reference = (written.len() + 1).to_string();
        let mut writer = Writer::new(&header(&reference));
        for (number, (kind, report)) in reports.iter().enumerate() {
            pmip::write(&mut writer, &(number + 1).to_string(), *kind, report);
        }
        let (bytes, lost) = writer.finish();
        assert_eq!(lost, 0, "every character can be said");
        let names: Vec<&str> =
            reports.iter().map(|(_, report)| report.patient.family_name.as_str()).collect();
        expected.push((reference, json!(names)));
        written.push(bytes);
    }
    assert!(8 <= written.len());
    let Some(found) = read(&written) else { return };
    for ((reference, names), found) in expected.iter().zip(&found) {
        assert_eq!(found["error"], Value::Null, "interchange {reference}: {found}");
        assert_eq!(found["sender"], json!(["000000004400009", "80"]));
        assert_eq!(found["reference"], json!(reference));
        let messages = found["messages"].as_array().unwrap();
        let families: Vec<&Value> = messages.iter().map(|message| &message["family_name"]).collect();
        assert_eq!(json!(families), *names);
        for message in messages {
            assert_eq!(message["counted"], message["segments"], "UNT counts what is there: {message}");
        }
        assert_eq!(found["counted"], json!(messages.len()), "and UNZ");
    }
}

#[test]
fn pydifact_reads_every_acknowledgement_that_we_write() {
    let verdict = |reference: &str, rejected: Option<&str>| MessageVerdict {
        reference: reference.to_owned(),
        rejected: rejected.map(str::to_owned),
    };
    let long = "It's wrong: half + half? ".repeat(30);
    let acks = [
        (NhsAck::of_messages(&header("1"), vec![verdict("1", None)]), "IAF", vec!["MA"]),
        (
            NhsAck::of_messages(&header("2"), vec![verdict("1", None), verdict("2", Some(&long))]),
            "IAP",
            vec!["MA", "MR"],
        ),
        (NhsAck::of_messages(&header("3"), vec![verdict("1", Some("?"))]), "IRA", vec!["MR"]),
    ];
    let written: Vec<Vec<u8>> =
        acks.iter().map(|(ack, ..)| ack.encode(7, ("20261118", "1106"), "NHSACK")).collect();
    let Some(found) = read(&written) else { return };
    for ((_, verdict, messages), found) in acks.iter().zip(&found) {
        assert_eq!(found["error"], Value::Null, "{verdict}: {found}");
        assert_eq!(found["sender"], json!(["000000024600009", "80"]), "the roles are swapped");
        let message = &found["messages"][0];
        assert_eq!(message["type"], json!(["NHSACK", "D", "1", "NH", "NHS001"]));
        assert_eq!(message["counted"], message["segments"]);
        assert_eq!((&message["verdict"], &message["verdicts"]), (&json!(verdict), &json!(messages)));
    }
    let reason = found[1]["messages"][0]["reasons"][0].as_str().unwrap();
    assert!(300 < reason.len() && long.starts_with(reason), "{reason}");
}
