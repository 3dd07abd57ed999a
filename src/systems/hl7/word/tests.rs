//! Messages as RiO and hospital systems write them, and what the desk hears in them.

use super::*;
use crate::{
    domain::time::ClockQuality,
    flow::ask::Told,
    systems::hl7::{
        Address,
        scheduling::tests::{appointment, telling},
        siu,
    },
};

fn entry(kind: &str, text: &str) -> Entry {
    let control_id = "1";
    let raw = format!("MSH|^~\\&|RIO|RV5|||20260715120000||{kind}|{control_id}|P|2.4\r{text}\r");
    Entry {
        kind: kind.to_owned(),
        system: "rio".to_owned(),
        source_id: control_id.to_owned(),
        patient: None,
        at: Timestamp(0),
        clock: ClockQuality::default(),
        body: bytes::Bytes::new(),
        raw: Some(raw.into()),
    }
}

fn heard(kind: &str, text: &str) -> Option<SystemWord> {
    word_of(&entry(kind, text))
}

#[test]
fn every_event_says_whether_it_stands_and_who_came() {
    use Attendance::{Arrived, DidNotAttend, Done, Expected};
    use BookWord::{Cancelled, Stands};
    let schedule = |status: &str| format!("SCH|P1|F1{}{status}", "|".repeat(23));
    for (kind, status, expected) in [
        ("SIU^S12", "", (Some(Stands), None)),
        ("SIU^S13", "Booked", (Some(Stands), Some(Expected))),
        ("SIU^S14", "", (Some(Stands), None)),
        ("SIU^S14", "Started", (Some(Stands), Some(Arrived))),
        ("SIU^S14", "Complete", (Some(Stands), Some(Done))),
        ("SIU^S14", "Cancelled", (Some(Cancelled), None)),
        ("SIU^S15", "", (Some(Cancelled), None)),
        ("SIU^S17", "", (Some(Cancelled), None)),
        ("SIU^S26", "", (Some(Stands), Some(DidNotAttend))),
    ] {
        let word = heard(kind, &schedule(status)).unwrap();
        assert_eq!((word.book, word.attendance), expected, "{kind} {status}");
        assert_eq!(
            (word.filler.as_str(), word.names.as_slice()),
            ("F1", ["F1", "P1"].map(str::to_owned).as_slice())
        );
    }
    for (kind, expected) in [
        ("ADT^A04", Some(Arrived)),
        ("ADT^A01", Some(Arrived)),
        ("ADT^A03", Some(Done)),
        ("ADT^A11", Some(Expected)),
    ] {
        let word = heard(kind, &format!("PV1|1|O{}F1", "|".repeat(17))).unwrap();
        assert_eq!((word.book, word.attendance), (None, expected), "{kind}");
        assert_eq!(word.names, ["F1"]);
    }
    for (kind, text) in [
        ("ADT^A05", "PV1|1|O|||||||||||||||||F1"),
        ("ADT^A04", "PV1|1|O"),
        ("SIU^S12", "SCH||"),
        ("SIU^S12", "PV1|1"),
        ("ORU^R01", "SCH|P1|F1"),
    ] {
        assert_eq!(heard(kind, text), None, "{kind} {text}");
    }
}

#[test]
fn times_and_codes_are_found_where_senders_write_them() {
    let nine = parse_moment(b"20260715090000+0100").unwrap();
    let until = |minutes: i64| Timestamp(nine.0 + minutes * 60_000);
    for (text, end) in [
        ("SCH|P1|F1|||S5||||||^^M20^20260715090000+0100^20260715092000+0100\rAIG|1|A|S1", until(20)),
        ("SCH|P1|F1|||S5||||30|MIN|^^^202607150900\rAIG|1|A|S1", until(30)),
        ("SCH|P1|F1|||S5\rAIS|1|A|X|20260715090000+0100|||1|H\rAIG|1|A|S1", until(60)),
    ] {
        let word = heard("SIU^S12", text).unwrap();
        assert_eq!((word.start, word.end), (Some(nine), Some(end)), "{text}");
        assert_eq!(word.sessions, ["S5", "S1"]);
        assert_eq!(word.when.at, parse_moment(b"20260715120000").unwrap());
    }
    let word = heard("SIU^S12", "SCH|P1|F1\rAIS|1|A|X^Feet\rAIG|1|A|S1\rAIG|2|A|S2").unwrap();
    assert_eq!(
        (word.sessions, word.services),
        (vec!["S1".to_owned(), "S2".to_owned()], vec!["X".to_owned(), "Feet".to_owned()])
    );
    assert_eq!((word.start, word.end), (None, None));
}

#[test]
fn what_we_tell_is_heard_as_what_it_was_about() {
    let made = appointment();
    for (what, book) in [
        (Told::Booked, BookWord::Stands),
        (Told::Cancelled, BookWord::Cancelled),
        (Told::DidNotAttend, BookWord::Stands),
    ] {
        let raw = siu(&telling(what, made.clone()), &Address::default()).unwrap();
        let word = word_of(&Entry { raw: Some(raw.into()), ..entry("SIU^S12", "") }).unwrap();
        assert_eq!(word.names, [made.id.to_string()]);
        assert_eq!((word.start, word.end, word.book), (Some(made.start), Some(made.end), Some(book)));
        assert_eq!(word.sessions, ["feet-wed", "feet-wed"]);
        assert!(word.services.contains(&"podiatry".to_owned()));
    }
}
