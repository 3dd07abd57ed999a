//! What goes to which hub, and what is sent again.

use bytes::Bytes;

use super::*;
use crate::domain::{
    entry::{BatchEntry, WIRE_VERSION},
    ids::{Class, Epoch},
    time::ClockQuality,
};

const NOW: Timestamp = Timestamp(1_795_392_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn hub(name: &str) -> HubId {
    name.parse().unwrap()
}

fn patient() -> NhsNumber {
    NhsNumber::parse("9990000018").unwrap()
}

fn arrived(from: &str, kind: &str, raw: Vec<u8>, received: Timestamp) -> Arrived {
    let entry = BatchEntry {
        seq: 1,
        id: format!("{from}{received:?}"),
        kind: kind.to_owned(),
        system: "rio".to_owned(),
        source_id: format!("line of {from}"),
        patient: Some(patient().as_str().to_owned()),
        at: received,
        clock: ClockQuality::default(),
        body: cbor::encode(&Summary::default()).unwrap().into(),
        raw: Some(raw.into()),
    };
    let held = HeldEntry { hub: hub(from), class: Class::Clinical, epoch: Epoch(1), entry };
    Arrived { held, received }
}

fn opens(from: &str, until: Timestamp, received: Timestamp) -> Arrived {
    let opened = Opened {
        v: VERSION,
        until,
        user: "u1".to_owned(),
        name: "Ada Example".to_owned(),
        roles: "clinician".to_owned(),
        organisation: "5LC01".to_owned(),
        ground: "relationship".to_owned(),
        line: "1.2".to_owned(),
    };
    arrived(from, OPENED_KIND, cbor::encode(&opened).unwrap(), received)
}

fn result(from: &str, received: Timestamp) -> Arrived {
    arrived(from, "ORU^R01", vec![7; 10], received)
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(SECOND * u32::try_from(seconds).unwrap())
}

fn comes(desk: &mut RecordDesk, name: &str, heard: Vec<RecordsHeard>, run: u64, elapsed: u32) {
    let health = Health {
        v: WIRE_VERSION,
        hub: hub(name),
        online: true,
        at: None,
        version: String::new(),
        condition: String::new(),
        alarms: Vec::new(),
        queued: Vec::new(),
        heard: None,
        records: Some(heard),
    };
    desk.note_health(&format!("polygate/1/{name}/status"), &health, run, SECOND * elapsed);
}

/// Everything that is to be done for a hub, in words.
fn todo(desk: &mut RecordDesk, name: &str) -> Vec<String> {
    let next = |desk: &mut RecordDesk| desk.next(&hub(name));
    std::iter::from_fn(|| next(desk))
        .map(|work| match work {
            Work::Whole { since, answers, .. } => format!("whole since {} for {answers:?}", since.0),
            Work::Answer(_, answers) => format!("answer {answers}"),
            Work::Entry(held, _) => format!("entry of {}", held.hub),
            Work::Opened(opened) => format!("opened at {}", opened.hub),
        })
        .collect()
}

fn sends(desk: &mut RecordDesk, name: &str, elapsed: u32) -> Option<RecordsDown> {
    let ready = desk.ready(99, SECOND * elapsed).contains(&hub(name));
    while ready && desk.next(&hub(name)).is_some() {}
    let parcel = Parcel::default();
    ready.then(|| desk.number(&hub(name), parcel, NOW, SECOND * elapsed)).flatten()
}

#[test]
fn a_record_goes_only_to_hubs_that_have_opened_it_and_never_back_to_its_own() {
    let mut desk = RecordDesk::default();
    for name in ["soho", "camden", "barnet"] {
        comes(&mut desk, name, Vec::new(), 1, 0);
        desk.begin(&hub(name), &[], NOW);
    }
    desk.arrived(&result("soho", NOW), NOW);
    assert_eq!(todo(&mut desk, "camden"), [""; 0], "nobody has opened it");
    desk.arrived(&opens("camden", later(3600), NOW), NOW);
    desk.arrived(&result("soho", NOW), NOW);
    desk.arrived(&result("camden", NOW), NOW);
    let asked = "whole since 0 for \"line of camden\"".to_owned();
    assert_eq!(todo(&mut desk, "camden"), [asked, "entry of soho".to_owned()]);
    assert_eq!(todo(&mut desk, "soho"), ["opened at camden"], "and is told who has opened it");
    assert_eq!(todo(&mut desk, "barnet"), ["opened at camden"], "told, if it has given something");
    desk.arrived(&result("soho", later(3601)), later(3601));
    assert_eq!(todo(&mut desk, "camden"), [""; 0], "its time is over");
}

#[test]
fn nobody_holds_a_record_for_more_than_a_week_whatever_they_say() {
    let mut desk = RecordDesk::default();
    desk.arrived(&opens("camden", Timestamp(i64::MAX), NOW), NOW);
    assert_eq!(desk.until(&hub("camden"), &patient()), Some(Timestamp(NOW.0 + HELD_MAX_MS)));
}

#[test]
fn what_somebody_waits_for_goes_first() {
    let mut desk = RecordDesk::default();
    comes(&mut desk, "camden", Vec::new(), 1, 0);
    desk.begin(&hub("camden"), &[], NOW);
    desk.arrived(&opens("camden", later(3600), NOW), NOW);
    todo(&mut desk, "camden");
    desk.arrived(&result("soho", NOW), NOW);
    desk.arrived(&opens("camden", later(3600), NOW), NOW);
    let all = todo(&mut desk, "camden");
    assert_eq!(all, ["whole since 0 for \"line of camden\"", "entry of soho"]);
}

#[test]
fn a_hub_that_comes_back_is_told_from_where_it_has_heard() {
    let mut desk = RecordDesk::default();
    desk.arrived(&opens("camden", later(90_000), NOW), NOW);
    let heard = RecordsHeard { run: 5, number: 9, as_at: later(7200) };
    comes(&mut desk, "camden", vec![heard], 6, 0);
    assert_eq!(desk.beginning(), [(hub("camden"), Timestamp(later(7200).0 - MARGIN_MS))]);
    let told = [opens("soho", later(90_000), later(7000)), opens("soho", later(90_000), later(60))];
    desk.begin(&hub("camden"), &told, later(7300));
    let since = format!("whole since {} for \"\"", later(7200).0 - MARGIN_MS);
    assert_eq!(todo(&mut desk, "camden"), [since, "opened at soho".to_owned()]);
    // Whom it asked for just before it went may never have been answered.
    desk.arrived(&opens("camden", later(90_000), later(7100)), later(7300));
    comes(&mut desk, "camden", vec![heard], 7, 0);
    let mut other = RecordDesk::default();
    other.arrived(&opens("camden", later(90_000), later(7100)), later(7300));
    comes(&mut other, "camden", vec![heard], 7, 0);
    other.begin(&hub("camden"), &[], later(7300));
    assert_eq!(todo(&mut other, "camden"), ["whole since 0 for \"\""]);
}

#[test]
fn what_is_not_heard_is_told_anew_under_another_run() {
    let mut desk = RecordDesk::default();
    comes(&mut desk, "camden", Vec::new(), 1, 0);
    desk.begin(&hub("camden"), &[], NOW);
    desk.looked(NOW);
    let first = sends(&mut desk, "camden", 1).expect("a run begins with a message");
    assert_eq!((first.run, first.number, first.as_at, first.since), (1, 1, NOW, Timestamp(0)));
    assert!(sends(&mut desk, "camden", 2).is_none(), "nothing is new");
    comes(&mut desk, "camden", vec![RecordsHeard { run: 1, number: 1, as_at: NOW }], 2, 3);
    desk.arrived(&opens("camden", later(3600), NOW), NOW);
    assert_eq!(sends(&mut desk, "camden", 4).map(|down| down.number), Some(2));
    assert!(desk.beginning().is_empty());
    assert!(sends(&mut desk, "camden", 30).is_none(), "the second was not heard for long: told anew");
    assert_eq!(desk.beginning(), [(hub("camden"), Timestamp(NOW.0 - MARGIN_MS))]);
    desk.begin(&hub("camden"), &[], NOW);
    let anew = sends(&mut desk, "camden", 31).unwrap();
    assert_eq!((anew.run, anew.number), (99, 1));
}

#[test]
fn a_quiet_hub_that_holds_something_hears_once_a_minute_that_it_is_whole() {
    let mut desk = RecordDesk::default();
    comes(&mut desk, "camden", Vec::new(), 1, 0);
    desk.begin(&hub("camden"), &[], NOW);
    desk.arrived(&opens("camden", later(3600), NOW), NOW);
    let down = sends(&mut desk, "camden", 1).unwrap();
    let heard = RecordsHeard { run: 1, number: down.number, as_at: NOW };
    comes(&mut desk, "camden", vec![heard], 2, 2);
    assert!(sends(&mut desk, "camden", 50).is_none());
    desk.looked(later(70));
    assert_eq!(sends(&mut desk, "camden", 70).map(|down| down.as_at), Some(later(70)));
}

#[test]
fn too_much_to_do_is_looked_at_anew_and_takes_no_memory() {
    let mut desk = RecordDesk::default();
    comes(&mut desk, "camden", Vec::new(), 1, 0);
    desk.begin(&hub("camden"), &[], NOW);
    desk.arrived(&opens("camden", later(3600), NOW), NOW);
    for _ in 0..20 {
        desk.arrived(&arrived("soho", "MDM^T02", vec![0; 600 << 10], NOW), NOW);
    }
    assert!(!desk.beginning().is_empty(), "it begins anew");
    assert_eq!(todo(&mut desk, "camden"), [""; 0]);
}

#[test]
fn entries_too_long_for_a_hub_are_counted_and_left_out() {
    let mut parcel = Parcel::default();
    for bytes in [10, ENTRY_BYTES_MAX, 10] {
        parcel.add(patient(), later(60), arrived("soho", "MDM^T02", vec![0; bytes], NOW).held);
    }
    assert_eq!((parcel.portions[0].entries.len(), parcel.portions[0].omitted), (2, 1));
}

#[test]
fn what_is_sealed_stays_where_it_is_and_is_counted() {
    let mut parcel = Parcel::default();
    let mut sealed = result("soho", NOW).held;
    sealed.entry.body = cbor::encode(&Summary { sealed: true, ..Summary::default() }).unwrap().into();
    let mut unreadable = result("soho", NOW).held;
    unreadable.entry.body = Bytes::from_static(b"nonsense");
    for held in [sealed, unreadable, result("soho", NOW).held] {
        parcel.add(patient(), later(60), held);
    }
    assert_eq!((parcel.portions[0].entries.len(), parcel.portions[0].sealed), (1, 2));
}

#[test]
fn a_condition_under_another_hubs_topic_is_not_believed() {
    let mut desk = RecordDesk::default();
    let health = Health {
        v: WIRE_VERSION,
        hub: hub("camden"),
        online: true,
        at: None,
        version: String::new(),
        condition: String::new(),
        alarms: Vec::new(),
        queued: Vec::new(),
        heard: None,
        records: Some(Vec::new()),
    };
    desk.note_health("polygate/1/soho/status", &health, 1, SECOND);
    assert!(desk.beginning().is_empty());
}
