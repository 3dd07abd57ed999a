//! How many messages of each format are parsed and mapped in a second, as the record view reads them from the journal.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use polygate::{
    codec::{cbor, fhir},
    domain::{
        entry::{Entry, Summary},
        time::{ClockQuality, Timestamp},
    },
    systems::{
        adastra, analyser, bars, mesh,
        simulator::traffic::{Traffic, Voice},
        translate_entry,
    },
};

/// How long each is measured.
const MEASURED: Duration = Duration::from_secs(2);

/// Each format with messages in it: add a line for a format, and a function that makes some. What is not traffic is a case
/// of the conformance suite, again and again.
const TABLE: [(&str, &str, fn() -> Vec<Vec<u8>>); 9] = [
    ("hl7v2", "hospital", || traffic(Voice::SecondaryCare)),
    ("hl7v2", "rio", || traffic(Voice::Rio)),
    (mesh::FORMAT, "laboratory", || {
        case(include_bytes!("../../../tests/conformance/edifact/panel-with-group/input.edi"))
    }),
    (mesh::letters::FORMAT, "letter", || {
        case(include_bytes!("../../../tests/conformance/kettering/apostrophe/input.xml"))
    }),
    (adastra::ITK, "report", || case(include_bytes!("../../../tests/conformance/adastra/report/input.xml"))),
    (adastra::CASE, "case", || {
        case(include_bytes!("../../../tests/conformance/adastra/case-arrived/input.xml"))
    }),
    (bars::FORMAT, "booking", || {
        case(include_bytes!("../../../tests/conformance/bars/booking-new/input.json"))
    }),
    (analyser::FORMAT, "analyser", || case(ANALYSER)),
    (GP_CONNECT, "record", || {
        case(include_bytes!("../../../tests/conformance/gp-connect/record-of-each-kind/input.json"))
    }),
];

/// Practices' answers are not journalled; they are read from FHIR to the hub's own terms.
const GP_CONNECT: &str = "gp-connect";
/// A message of records, as the link layer has put it together.
const ANALYSER: &[u8] = b"H|\\^&|||XN-550|||||||P|LIS2-A2|20260105093000\rP|1||9990000018||SMITH^ANN||19710203|F\rO|1|S-1||^^^CBC|R\r\
R|1|^^^WBC|6.6|10*9/L|4 to 11|N||F||||20260105093000\rR|2|^^^HGB|132|g/L|115 to 165|N||F||||20260105093000\rL|1|N\r";

/// Prints messages and megabytes a second for each line of the table.
pub fn all() {
    for (format, name, make) in TABLE {
        let entries: Vec<Entry> = make().into_iter().map(|raw| entry(format, raw)).collect();
        let bytes: usize = entries.iter().filter_map(|entry| entry.raw.as_ref()).map(|raw| raw.len()).sum();
        let began = Instant::now();
        let mut rounds = 0;
        while began.elapsed() < MEASURED {
            for entry in &entries {
                assert!(understood(format, black_box(entry)), "{format} {name} is understood");
            }
            rounds += 1;
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("rate_{format}_{name}_per_second {:.0}", (rounds * entries.len()) as f64 / seconds);
        println!("rate_{format}_{name}_mb_per_second {:.1}", (rounds * bytes) as f64 / 1e6 / seconds);
    }
}

/// Reads a message and maps it.
fn understood(format: &str, entry: &Entry) -> bool {
    if format == GP_CONNECT {
        let Some(raw) = entry.raw.as_ref() else { return false };
        return fhir::read(raw).is_ok_and(|value| black_box(value).is_object());
    }
    black_box(translate_entry(entry)).is_some()
}

fn case(message: &[u8]) -> Vec<Vec<u8>> {
    vec![message.to_vec(); 100]
}

fn entry(format: &str, raw: Vec<u8>) -> Entry {
    let summary = Summary { format: format.to_owned(), ..Summary::default() };
    Entry {
        kind: String::new(),
        system: "bench".to_owned(),
        source_id: String::new(),
        patient: None,
        at: Timestamp(0),
        clock: ClockQuality::default(),
        body: cbor::encode(&summary).expect("a summary").into(),
        raw: Some(raw.into()),
    }
}

fn traffic(voice: Voice) -> Vec<Vec<u8>> {
    let mut traffic = Traffic::new(voice, "RATE", 500, 7);
    (0..1000).map(|_| traffic.next(Timestamp(1_767_600_000_000)).bytes.to_vec()).collect()
}
