//! Point-of-care devices over sockets against a hub.

use super::*;
use crate::{
    domain::record::ItemChange,
    systems::{analyser::poct1a, simulator::device::PointOfCareDevice},
};

fn device(bench: &Bench) -> PointOfCareDevice {
    let stream = TcpStream::connect(bench.address()).unwrap();
    PointOfCareDevice::new(stream, "4711", NOW, PATIENCE).unwrap()
}

fn listening(bench: &Bench) -> AnalyserThread {
    bench.speaking(Protocol::Poct1a, Port::Listen("127.0.0.1:0".parse().unwrap()))
}

fn field(item: &ItemChange, name: &str) -> String {
    let found = item.fields.iter().find(|(of, _)| *of == name).map(|(_, change)| change.clone());
    match found {
        Some(FieldChange::Set(text)) => text,
        _ => String::new(),
    }
}

fn message(body: &str) -> String {
    format!("<OBS.R01><HDR><HDR.control_id V=\"3\"/></HDR>{body}</OBS.R01>")
}

#[test]
fn a_device_is_asked_for_what_it_has_and_each_observation_lands_once() {
    let bench = Bench::new(64 << 20);
    let thread = listening(&bench);
    let mut meter = device(&bench);
    meter.introduce(5).unwrap();
    let services: Vec<String> = (0..5).map(|number| meter.measure(&Person::of(number))).collect();
    for service in &services {
        assert!(meter.deliver(service).unwrap());
    }
    assert!(meter.end().unwrap());
    let results = bench.results();
    assert_eq!((results.len(), distinct(&results)), (15, 15));
    thread.end();
}

#[test]
fn the_same_message_again_on_a_new_connection_is_the_same_message() {
    let bench = Bench::new(64 << 20);
    let thread = listening(&bench);
    for _ in 0..2 {
        // The first connection dies before the device has read its answer.
        let mut meter = device(&bench);
        meter.introduce(1).unwrap();
        let service = meter.measure(&Person::of(1));
        assert!(meter.deliver(&service).unwrap());
    }
    assert_eq!(bench.results().len(), 3);
    thread.end();
}

#[test]
fn what_is_not_durable_is_answered_ae_and_never_aa() {
    let bench = Bench::new(64 << 20);
    let thread = listening(&bench);
    let mut meter = device(&bench);
    meter.introduce(1).unwrap();
    bench.runtime.block_on(bench.journal.close());
    let service = meter.measure(&Person::of(1));
    assert!(!meter.deliver(&service).unwrap(), "an AA although the store failed");
    thread.end();
}

#[test]
fn a_connection_cut_in_a_message_keeps_what_had_come_aside() {
    let bench = Bench::new(64 << 20);
    let thread = listening(&bench);
    let mut stream = TcpStream::connect(bench.address()).unwrap();
    stream.write_all(b"<OBS.R01><HDR><HDR.control").unwrap();
    drop(stream);
    while bench.quarantined() == 0 {
        sleep(Duration::from_millis(5));
    }
    thread.end();
}

#[test]
fn an_observation_is_a_result_with_range_flag_and_notes() {
    let raw = message(
        "<SVC><SVC.role_cd V=\"OBS\"/><SVC.observation_dttm V=\"2026-11-18T11:06:40+00:00\"/><PT><PT.patient_id \
         V=\"999 000 0018\"/><PT.name V=\"\"><GIV V=\"Ann\"/><FAM V=\"SMITH\"/></PT.name><OBS><OBS.observation_id \
         V=\"14749-6\" SN=\"LN\" DN=\"Glucose\"/><OBS.value V=\"&gt;33.3\" U=\"mmol/L\"/><OBS.status_cd V=\"A\"/>\
         <OBS.interpretation_cd V=\"HH\"/><OBS.normal_lo-hi_limit V=\"[3.9;7.8]\"/><NTE><NTE.text V=\"Repeat\"/></NTE>\
         </OBS><OBS><OBS.observation_id V=\"X\"/><OBS.qualitative_value V=\"NEG\"/><OBS.status_cd V=\"R\"/></OBS></PT>\
         <OPR><OPR.operator_id V=\"N1\"/></OPR><NTE><NTE.text V=\"Capillary\"/></NTE></SVC>",
    );
    let event = poct1a::translate(raw.as_bytes(), "ACME|Meter|1").unwrap();
    assert_eq!((event.kind.as_str(), event.class), (poct1a::RESULTS, Class::Urgent));
    assert_eq!(event.nhs_number.unwrap().as_str(), "9990000018");
    assert_eq!(event.sender, "ACME|Meter|1");
    let results: Vec<_> = event.items.iter().filter(|item| item.kind == ItemKind::Result).collect();
    for (name, expected) in [
        ("code", "14749-6"),
        ("code_system", "loinc"),
        ("name", "Glucose"),
        ("comparator", ">"),
        ("value", "33.3"),
        ("units", "mmol/L"),
        ("reference_range", "3.9 to 7.8"),
        ("abnormal_flags", "HH"),
        ("status", "F"),
        ("observed", "2026-11-18T11:06:40+00:00"),
        ("performer", "N1"),
        ("note", "Capillary\nRepeat"),
    ] {
        assert_eq!(field(results[0], name), expected, "{name}");
    }
    assert_eq!((field(results[1], "value"), field(results[1], "status")), ("NEG".to_owned(), "X".to_owned()));
}

#[test]
fn controls_are_nobodys_and_no_patient_gets_anothers() {
    let observation = "<OBS><OBS.observation_id V=\"GLU\"/><OBS.value V=\"5\"/></OBS>";
    let control = message(&format!("<SVC><SVC.role_cd V=\"LQC\"/><CTC>{observation}</CTC></SVC>"));
    let event = poct1a::translate(control.as_bytes(), "").unwrap();
    assert_eq!(
        (event.kind.as_str(), event.class, event.items.len()),
        (poct1a::CONTROLS, Class::Telemetry, 0)
    );
    let of = |number: &str| format!("<PT><PT.patient_id V=\"{number}\"/>{observation}</PT>");
    let (ann, ben) = (of("9990000018"), of("9990000026"));
    let raw = bytes::Bytes::from(message(&format!("<SVC>{ann}</SVC><SVC>{ben}</SVC>")));
    let read = crate::codec::poct1a::message::read(&raw).unwrap();
    let parts = poct1a::by_patient(&raw, &read, "").unwrap();
    let numbers: Vec<_> =
        parts.iter().map(|(_, event)| event.nhs_number.unwrap().as_str().to_owned()).collect();
    assert_eq!(numbers, ["9990000018", "9990000026"]);
    assert!(parts.iter().all(|(_, event)| event.items.len() == 1));
    assert_ne!(parts[0].1.source_id, parts[1].1.source_id);
    let both = message(&format!("<SVC>{ann}{ben}</SVC>"));
    let event = poct1a::translate(both.as_bytes(), "").unwrap();
    assert_eq!(event.nhs_number, Err(InvalidNhsNumber::Absent));
    assert!(event.items.is_empty() && event.faults == ["poct1a-several-patients"], "{event:?}");
}
