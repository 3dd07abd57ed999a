//! How many messages of each format are parsed and mapped in a second, as the record view reads them from the journal.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use polygate::{
    codec::cbor,
    domain::{
        entry::{Entry, Summary},
        time::{ClockQuality, Timestamp},
    },
    systems::{
        simulator::traffic::{Traffic, Voice},
        translate_entry,
    },
};

/// How long each is measured.
const MEASURED: Duration = Duration::from_secs(2);

/// Each format with messages in it: add a line for a format, and a function that makes some.
const TABLE: [(&str, &str, fn() -> Vec<Vec<u8>>); 2] =
    [("hl7v2", "hospital", || traffic(Voice::SecondaryCare)), ("hl7v2", "rio", || traffic(Voice::Rio))];

/// Prints messages and megabytes a second for each line of the table.
pub fn all() {
    for (format, name, make) in TABLE {
        let entries: Vec<Entry> = make().into_iter().map(|raw| entry(format, raw)).collect();
        let bytes: usize = entries.iter().filter_map(|entry| entry.raw.as_ref()).map(|raw| raw.len()).sum();
        let began = Instant::now();
        let mut rounds = 0;
        while began.elapsed() < MEASURED {
            for entry in &entries {
                assert!(
                    black_box(translate_entry(black_box(entry))).is_some(),
                    "{format} {name} is understood"
                );
            }
            rounds += 1;
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("rate_{format}_{name}_per_second {:.0}", (rounds * entries.len()) as f64 / seconds);
        println!("rate_{format}_{name}_mb_per_second {:.1}", (rounds * bytes) as f64 / 1e6 / seconds);
    }
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
