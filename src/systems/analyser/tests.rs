//! Instruments on pseudo-terminals and sockets against a hub: nothing acknowledged is lost, nothing doubled,
//! whatever the line does.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    thread::sleep,
    time::Duration,
};

use tokio::runtime::Runtime;

use super::{
    translate::{CONTROLS, RESULTS},
    *,
};
use crate::{
    codec::lis2::{
        frame::{ACK, ENQ, NAK},
        link::Framing,
    },
    domain::{
        ids::Class,
        nhs_number::InvalidNhsNumber,
        record::{FieldChange, ItemChange, ItemKind},
        time::Timestamp,
    },
    flow::{
        hub::{Hub, Identity, Parts},
        link::Link,
        operate::{MessageFilter, Operate},
    },
    journal::{Journal, Log, LogReader, Options, PAYLOAD_BYTES_MAX, Position},
    sys::{
        clock::SimulatedClock,
        entropy::Entropy,
        serial::{LineParity, LineSettings, PseudoTerminal, pseudo_terminal},
        sim_disk::SimulatedDisk,
    },
    systems::{
        simulator::{
            analyser::{Disturbance, Instrument},
            people::Person,
        },
        translate_entry,
    },
};
use std::sync::Arc;

mod devices;

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: LineSettings =
    LineSettings { baud: 9600, data_bits: 8, parity: LineParity::None, stop_bits: 1 };

struct Bench {
    runtime: Runtime,
    hub: Arc<Hub>,
    journal: Journal,
    link: Arc<Link>,
    disk: SimulatedDisk,
}

impl Bench {
    fn new(capacity_bytes: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let disk = SimulatedDisk::default();
        let options = Options { capacity_bytes, floor_bytes: 0, ballast_bytes: 4096, ..Options::default() };
        let directory = Path::new("/state/journal");
        let (log, _) =
            Log::open(Arc::new(disk.clone()), directory, options, NOW, Entropy::from_seed(1)).unwrap();
        let clock = Arc::new(SimulatedClock::new(NOW));
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let identity =
            Identity { id: "soho".parse().unwrap(), ods: "5LC01".to_owned(), name: "Soho".to_owned() };
        let parts = Parts {
            identity,
            journal: journal.clone(),
            clock,
            disk: Arc::new(disk.clone()),
            translate: translate_entry,
        };
        let hub = Hub::new(parts, Path::new("/state"), "nowhere").unwrap();
        let link = hub.add_link("xn", "Analyser", "");
        Self { runtime, hub, journal, link, disk }
    }

    fn start(&self, port: Port) -> AnalyserThread {
        self.speaking(Protocol::Lis2, port)
    }

    fn speaking(&self, protocol: Protocol, port: Port) -> AnalyserThread {
        let options = AnalyserOptions { port, protocol, message_bytes_max: 1 << 20 };
        let runtime = self.runtime.handle().clone();
        Analyser::start(Arc::clone(&self.hub), Arc::clone(&self.link), options, runtime).unwrap()
    }

    fn on_a_line(&self, framing: Framing) -> (AnalyserThread, Instrument<PseudoTerminal>) {
        let (end, path) = pseudo_terminal().unwrap();
        let thread = self.start(Port::Device { path, settings: SETTINGS, identity: None });
        self.wait_until_up();
        (thread, Instrument::new(end, "xn", framing, 7))
    }

    /// Where it listens, once it does.
    fn address(&self) -> String {
        loop {
            let address = self.link.status().address;
            if address.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0) {
                return address;
            }
            sleep(Duration::from_millis(5));
        }
    }

    fn wait_until_up(&self) {
        while self.link.status().connections == 0 {
            sleep(Duration::from_millis(5));
        }
    }

    /// The results in the journal: the specimen and code of each, as often as it is there.
    fn results(&self) -> Vec<String> {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), Position::default());
        let records = reader.read(64 << 20, 10_000).unwrap().records;
        let entries = records.iter().map(|record| {
            crate::codec::cbor::decode::<crate::domain::entry::Entry>(&record.payload, PAYLOAD_BYTES_MAX)
                .unwrap()
        });
        let events = entries.filter_map(|entry| translate_entry(&entry));
        let items = events.flat_map(|event| event.items);
        items.filter(|item| item.kind == ItemKind::Result).map(|item| item.key).collect()
    }

    fn quarantined(&self) -> usize {
        let filter = MessageFilter { quarantined: true, limit: 100, ..MessageFilter::default() };
        self.hub.find_messages(filter).unwrap().len()
    }
}

fn distinct(keys: &[String]) -> usize {
    keys.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_report_is_each_patients_results_with_ranges_flags_and_moments() {
    let raw = "H|\\^&|17||XN-550^1|||||||P|LIS2-A2|20261118110640\r\
               P|1|999 000 0018|LAB1||SMITH^Ann||19700101|F\r\
               O|1|S77||^^^FBC|R|20261118\r\
               R|1|^^^WBC^White cells|<0.5|10*9/L|4 to 11|LL\\A||F||Op^X|20261118100000|20261118105900|XN\r\
               C|1|I|Smear &F& repeat|G\rR|2|^^^PLT|clumped||||\rL|1|N\r";
    let event = translate(raw.as_bytes()).unwrap();
    assert_eq!((event.kind.as_str(), event.class), ("LIS2^R", Class::Urgent));
    assert_eq!(event.nhs_number.unwrap().as_str(), "9990000018");
    assert!(event.source_id.starts_with("17-") && event.faults.is_empty(), "{event:?}");
    let results: Vec<_> = event.items.iter().filter(|item| item.kind == ItemKind::Result).collect();
    let field = |place: usize, name: &str| {
        results[place].fields.iter().find(|(of, _)| *of == name).map(|(_, change)| match change {
            FieldChange::Set(text) => text.clone(),
            FieldChange::Delete => "deleted".to_owned(),
        })
    };
    for (name, expected) in [
        ("code", "WBC"),
        ("name", "White cells"),
        ("comparator", "<"),
        ("value", "0.5"),
        ("units", "10*9/L"),
        ("reference_range", "4 to 11"),
        ("abnormal_flags", "LL~A"),
        ("status", "F"),
        ("observed", "2026-11-18T10:59:00"),
        ("specimen", "S77"),
        ("note", "Smear | repeat"),
        ("performer", "Op"),
    ] {
        assert_eq!(field(0, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(
        (field(1, "value").as_deref(), field(1, "value_type").as_deref()),
        (Some("clumped"), Some("ST"))
    );
    assert_eq!(field(1, "note"), None);
}

#[test]
fn controls_queries_and_unknown_patients_are_told_apart() {
    let kind = |body: &str| {
        let event = translate(format!("H|@^\\|||GX\r{body}L|1|N\r").as_bytes()).unwrap();
        (event.kind, event.nhs_number.is_ok(), event.items.len())
    };
    assert_eq!(kind("P|1\rO|1|QC1||^^^T|R||||||Q\rR|1|^^^T|5\r"), ("LIS2^QC".to_owned(), false, 0));
    assert_eq!(kind("Q|1|^S1||ALL\r"), ("LIS2^Q".to_owned(), false, 0));
    assert_eq!(kind("P|1||4711\rO|1|S1||^^^T\rR|1|^^^T|5\r"), ("LIS2^R".to_owned(), false, 1));
    let two = "H|\\^&|||X\rP|1|9990000018\rO|1|A\rR|1|^^^T|1\rP|2|9990000026\rO|1|B\rR|1|^^^T|2\rL|1|N\r";
    let parts = by_patient(&bytes::Bytes::from_static(two.as_bytes())).unwrap();
    let numbers: Vec<_> =
        parts.iter().map(|(_, event)| event.nhs_number.unwrap().as_str().to_owned()).collect();
    assert_eq!(numbers, ["9990000018", "9990000026"], "each patient's results are an entry of their own");
    assert!(parts.iter().all(|(raw, _)| raw.starts_with(b"H|") && raw.ends_with(b"L|1|N\r")));
    assert_ne!(parts[0].1.source_id, parts[1].1.source_id);
}

#[test]
fn every_habit_lands_each_result_once_over_a_serial_line() {
    let habits = [Framing::RecordAFrame, Framing::MessageAFrame, Framing::NumbersRestart];
    for (framing, delimiters) in habits.into_iter().flat_map(|one| [(one, "\\^&"), (one, "@^\\")]) {
        let bench = Bench::new(64 << 20);
        let (thread, mut instrument) = bench.on_a_line(framing);
        instrument.declare(delimiters);
        for number in 0..10 {
            let report = instrument.measure(&Person::of(number), NOW);
            assert!(instrument.deliver(&report, PATIENCE).unwrap());
            // An instrument whose last answer was lost sends all of it again.
            assert!(instrument.deliver(&report, PATIENCE).unwrap());
        }
        let results = bench.results();
        assert_eq!((results.len(), distinct(&results)), (70, 70), "{framing:?}");
        thread.end();
    }
}

#[test]
fn over_a_bad_line_what_was_acknowledged_is_there_once() {
    let bench = Bench::new(64 << 20);
    let (thread, mut instrument) = bench.on_a_line(Framing::RecordAFrame);
    instrument.disturb(Disturbance { lost_per_mille: 0, changed_per_mille: 3 });
    for number in 0..30 {
        let report = instrument.measure(&Person::of(number), NOW);
        assert!(instrument.deliver(&report, PATIENCE).unwrap());
    }
    let results = bench.results();
    assert_eq!((results.len(), distinct(&results)), (210, 210));
    thread.end();
}

#[test]
fn a_line_hung_up_in_a_frame_keeps_what_had_come_aside_and_says_that_it_is_down() {
    let bench = Bench::new(64 << 20);
    let (thread, mut instrument) = bench.on_a_line(Framing::RecordAFrame);
    let line = instrument.line();
    line.write_all(&[ENQ]).unwrap();
    let mut answer = [0; 8];
    line.read_within(&mut answer, PATIENCE).unwrap();
    let mut frame = bytes::BytesMut::new();
    crate::codec::lis2::frame::encode(1, b"H|\\^&\r", true, &mut frame);
    line.write_all(&frame).unwrap();
    line.read_within(&mut answer, PATIENCE).unwrap();
    assert_eq!(answer[0], ACK);
    line.write_all(&frame[..5]).unwrap();
    drop(instrument);
    while bench.quarantined() == 0 || bench.link.status().connections != 0 {
        sleep(Duration::from_millis(5));
    }
    while bench.hub.alarms().standing().is_empty() {
        sleep(Duration::from_millis(5));
    }
    assert!(bench.results().is_empty());
    thread.end();
}

#[test]
fn noise_between_transfers_is_no_news() {
    let bench = Bench::new(64 << 20);
    let (thread, mut instrument) = bench.on_a_line(Framing::RecordAFrame);
    let line = instrument.line();
    let mut noise: Vec<u8> = [NAK, ACK].repeat(500);
    noise.extend_from_slice(b"noise\x00\xff\x021H|\\^&");
    line.write_all(&noise).unwrap();
    let report = instrument.measure(&Person::of(1), NOW);
    assert!(instrument.deliver(&report, PATIENCE).unwrap());
    assert_eq!(bench.results().len(), 7);
    thread.end();
}

#[test]
fn a_disk_without_room_is_refused_and_never_acknowledged() {
    let bench = Bench::new(64 << 20);
    let (thread, mut instrument) = bench.on_a_line(Framing::MessageAFrame);
    bench.disk.set_capacity(Some(0));
    let report = instrument.measure(&Person::of(1), NOW);
    let mut frame = bytes::BytesMut::new();
    crate::codec::lis2::frame::encode(1, &report.message, true, &mut frame);
    let line = instrument.line();
    let mut answer = [0; 8];
    line.write_all(&[ENQ]).unwrap();
    line.read_within(&mut answer, PATIENCE).unwrap();
    for _ in 0..3 {
        line.write_all(&frame).unwrap();
        line.read_within(&mut answer, PATIENCE).unwrap();
        assert_eq!(answer[0], NAK, "an ACK although there was no room");
    }
    thread.end();
}

#[test]
fn a_closed_journal_is_refused_and_never_acknowledged() {
    let bench = Bench::new(64 << 20);
    let (thread, mut instrument) = bench.on_a_line(Framing::MessageAFrame);
    bench.runtime.block_on(bench.journal.close());
    let report = instrument.measure(&Person::of(1), NOW);
    let line = instrument.line();
    line.write_all(&[ENQ]).unwrap();
    let mut answer = [0; 8];
    line.read_within(&mut answer, PATIENCE).unwrap();
    let mut frame = bytes::BytesMut::new();
    crate::codec::lis2::frame::encode(1, &report.message, true, &mut frame);
    line.write_all(&frame).unwrap();
    line.read_within(&mut answer, PATIENCE).unwrap();
    assert_eq!(answer[0], NAK, "an ACK although the store failed");
    thread.end();
}

#[test]
fn over_a_socket_it_works_both_ways_round() {
    let bench = Bench::new(64 << 20);
    let listening = bench.start(Port::Listen("127.0.0.1:0".parse().unwrap()));
    let address = loop {
        let address = bench.link.status().address;
        if address.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0) {
            break address;
        }
        sleep(Duration::from_millis(5));
    };
    let mut instrument =
        Instrument::new(TcpStream::connect(&address).unwrap(), "tcp", Framing::RecordAFrame, 1);
    let report = instrument.measure(&Person::of(1), NOW);
    assert!(instrument.deliver(&report, PATIENCE).unwrap());
    listening.end();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dialling = bench.start(Port::Connect(listener.local_addr().unwrap().to_string()));
    let (stream, _) = listener.accept().unwrap();
    let mut instrument = Instrument::new(stream, "tcp", Framing::NumbersRestart, 2);
    let report = instrument.measure(&Person::of(2), NOW);
    assert!(instrument.deliver(&report, PATIENCE).unwrap());
    assert_eq!(bench.results().len(), 14);
    dialling.end();
}

#[test]
fn a_query_is_answered_that_nothing_is_known() {
    let bench = Bench::new(64 << 20);
    let listening = bench.start(Port::Listen("127.0.0.1:0".parse().unwrap()));
    while !bench.link.status().address.contains(':') || bench.link.status().address.ends_with(":0") {
        sleep(Duration::from_millis(5));
    }
    let mut stream = TcpStream::connect(bench.link.status().address).unwrap();
    let query = b"H|\\^&|||X\rQ|1|^S1||ALL\rL|1|N\r";
    let mut frame = bytes::BytesMut::new();
    crate::codec::lis2::frame::encode(1, query, true, &mut frame);
    let expect = |stream: &mut TcpStream, out: &[u8], count: usize| {
        stream.write_all(out).unwrap();
        let mut answer = vec![0; count];
        stream.read_exact(&mut answer).unwrap();
        answer
    };
    assert_eq!(expect(&mut stream, &[ENQ], 1), [ACK]);
    assert_eq!(expect(&mut stream, &frame, 1), [ACK]);
    assert_eq!(expect(&mut stream, &[0x04], 1), [ENQ], "after the end the hub wants to answer");
    let header = expect(&mut stream, &[ACK], 3);
    assert_eq!(header, b"\x021H");
    listening.end();
}

#[test]
fn another_device_under_the_name_is_not_read() {
    let bench = Bench::new(64 << 20);
    let (_end, path) = pseudo_terminal().unwrap();
    let wanted = Some("usb-0403:6001:A1:1-1".to_owned());
    let thread = bench.start(Port::Device { path, settings: SETTINGS, identity: wanted });
    while bench.hub.alarms().standing().is_empty() {
        sleep(Duration::from_millis(5));
    }
    assert!(bench.link.status().detail.contains("nothing is read from it"), "{}", bench.link.status().detail);
    thread.end();
}

#[test]
fn an_analyser_that_dials_again_without_having_hung_up_is_served() {
    let bench = Bench::new(64 << 20);
    let listening = bench.start(Port::Listen("127.0.0.1:0".parse().unwrap()));
    let dead = TcpStream::connect(bench.address()).unwrap();
    bench.wait_until_up();
    let mut instrument =
        Instrument::new(TcpStream::connect(bench.address()).unwrap(), "tcp", Framing::RecordAFrame, 1);
    let report = instrument.measure(&Person::of(1), NOW);
    assert!(instrument.deliver(&report, PATIENCE).unwrap(), "behind a connection that is dead");
    drop(dead);
    listening.end();
}

#[test]
fn comments_go_with_what_they_are_on_and_controls_with_nobody() {
    let raw = "H|\\^&|||X\rP|1|9990000018\rC|1|I|Fasting\rO|1|A||^^^T\rC|1|I|Haemolysed\rR|1|^^^T|1\rC|1|I|Again\r\
               O|2|QC||^^^T|||||||Q\rR|1|^^^T|99\rO|3|B||^^^U\rR|1|^^^U|2\rL|1|N\r";
    let event = translate(raw.as_bytes()).unwrap();
    assert_eq!((event.kind.as_str(), &event.faults[..]), (RESULTS, &["lis2-controls-among-results"][..]));
    let of = |item: &ItemChange, name: &str| {
        let found = item.fields.iter().find(|(of, _)| *of == name).map(|(_, change)| change.clone());
        match found {
            Some(FieldChange::Set(text)) => text,
            _ => String::new(),
        }
    };
    let results: Vec<_> = event.items.iter().map(|item| (of(item, "value"), of(item, "note"))).collect();
    let expected = [("1", "Fasting\nHaemolysed\nAgain"), ("2", "Fasting")];
    assert_eq!(results, expected.map(|(value, note)| (value.to_owned(), note.to_owned())));
    for (header, orders) in [("T", ""), ("P", "O|1|A||^^^T|||||||Q\r")] {
        let raw = format!("H|\\^&|||X|||||||{header}\rP|1|9990000018\r{orders}R|1|^^^T|1\rL|1|N\r");
        let event = translate(raw.as_bytes()).unwrap();
        assert_eq!((event.kind.as_str(), event.class, event.items.len()), (CONTROLS, Class::Telemetry, 0));
        assert_eq!(event.nhs_number, Err(InvalidNhsNumber::Absent));
    }
    let two = translate(b"H|\\^&\rP|1|9990000018|9990000026\rO|1|A\rR|1|^^^T|1\rL|1\r").unwrap();
    assert_eq!(
        (two.nhs_number, &two.faults[..]),
        (Err(InvalidNhsNumber::Absent), &["several-nhs-numbers"][..])
    );
}

#[test]
fn a_header_that_would_be_copied_too_often_is_refused() {
    let patients = "P|1\rO|1|A\rR|1|^^^T|1\r".repeat(100);
    let raw = format!("H|\\^&|{}\r{patients}L|1|N\r", "x".repeat(1 << 20));
    assert!(by_patient(&bytes::Bytes::from(raw)).is_err());
}
