//! How much sled writes and how long it takes for a hundred thousand messages of a hub.

use std::collections::VecDeque;

use super::*;

/// Bytes this process has handed to the kernel for writing.
fn written_bytes() -> u64 {
    let counters = fs::read_to_string("/proc/self/io").unwrap();
    let line = counters.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    line.parse().unwrap()
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn nhs_number_of(patient: u64) -> Option<NhsNumber> {
    (0..10).find_map(|digit| NhsNumber::parse(&format!("{}{digit}", 999_000_000 + patient)).ok())
}

const DEMOGRAPHICS: [(&str, &str); 14] = [
    ("family_name", "Testington"),
    ("given_name", "Alexandra"),
    ("title", "Ms"),
    ("birth_date", "19710203"),
    ("sex", "F"),
    ("line", "12 Invented Gardens"),
    ("city", "London"),
    ("postcode", "W1A 1AA"),
    ("telephone", "020 7946 0123"),
    ("mobile", "07700 900123"),
    ("gp", "G9999998"),
    ("practice", "E87001"),
    ("ethnicity", "A"),
    ("language", "en"),
];
const ENCOUNTER: [&str; 8] = ["class", "ward", "bay", "bed", "consultant", "specialty", "admitted", "status"];
const RESULT: [&str; 6] = ["code", "name", "value", "unit", "range", "status"];

fn item(kind: ItemKind, key: String, fields: Vec<(&'static str, String)>) -> ItemChange {
    let fields = fields.into_iter().map(|(name, value)| (name, FieldChange::Set(value))).collect();
    ItemChange::new(kind, key, fields)
}

/// Two ADT messages in five, a fifth appointments, two fifths results with five observations each; all
/// with the patient's demographics, which change once in twenty times.
fn made_up(count: i64, patient: u64, entropy: &mut Entropy) -> Event {
    let mut demographics: Vec<(&'static str, String)> =
        DEMOGRAPHICS.iter().map(|(name, value)| (*name, format!("{value}{}", patient % 7))).collect();
    if entropy.below(20) == 0 {
        demographics[8].1 = format!("020 7946 {:04}", entropy.below(1_000));
    }
    let mut items = vec![item(ItemKind::Demographics, format!("M{patient:07}"), demographics)];
    match entropy.below(5) {
        0 | 1 => {
            let fields = ENCOUNTER.map(|name| (name, format!("{name}{}", entropy.below(9)))).to_vec();
            items.push(item(ItemKind::Encounter, format!("V{}", patient * 4 + entropy.below(4)), fields));
        }
        2 => {
            let fields = ENCOUNTER.map(|name| (name, format!("{name}{}", entropy.below(9)))).to_vec();
            items.push(item(ItemKind::Appointment, format!("S{count}"), fields));
        }
        _ => {
            for observation in 0..5 {
                let fields = RESULT.map(|name| (name, format!("{name}{}", entropy.below(99)))).to_vec();
                items.push(item(ItemKind::Result, format!("F{count}.{observation}"), fields));
            }
        }
    }
    let local = format!("M{patient:07}");
    let base = event(1_795_000_000_000 + count * 700, nhs_number_of(patient), &[&local]);
    Event { items, source_id: format!("RIO{count:09}"), ..base }
}

/// About what such a message is on the wire: names, separators and header besides its values.
fn wire_bytes(event: &Event) -> u64 {
    let length = |change: &FieldChange| match change {
        FieldChange::Delete => 2,
        FieldChange::Set(text) => text.len() as u64 + 3,
    };
    let items = event.items.iter().map(|item| {
        20 + item.key.len() as u64 + item.fields.iter().map(|(_, change)| length(change)).sum::<u64>()
    });
    160 + items.sum::<u64>()
}

struct Measured {
    accepted: u64,
    written: u64,
    resident: u64,
    file: u64,
}

/// Applies messages about `patients`, of whom `recent` in a hundred are again one of the last 200 seen.
fn measure(messages: i64, patients: u64, recent: u64, flush_every_bytes: u64) -> Measured {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    let mut entropy = Entropy::from_seed(11);
    let mut last = VecDeque::from([0]);
    let (mut accepted, mut since_flush) = (0, 0);
    let written = written_bytes();
    for count in 0..messages {
        let patient = if entropy.below(100) < recent {
            last[usize::try_from(entropy.below(last.len() as u64)).unwrap()]
        } else {
            entropy.below(patients)
        };
        last.push_back(patient);
        last.truncate(200);
        if last.len() == 200 {
            last.pop_front();
        }
        let event = made_up(count, patient, &mut entropy);
        let bytes = wire_bytes(&event);
        accepted += bytes;
        since_flush += bytes;
        apply(&view, &[event]);
        if flush_every_bytes < since_flush {
            view.flush().unwrap();
            since_flush = 0;
        }
    }
    view.flush().unwrap();
    let written = written_bytes() - written;
    let file = fs::metadata(home.0.join("sled/db")).unwrap().len();
    let resident = resident_bytes();
    drop(view);
    Measured { accepted, written, resident, file }
}

#[test]
#[ignore = "measures for itself: run alone, in release, with --nocapture"]
fn writes_for_a_hundred_thousand_messages() {
    for recent in [0, 80] {
        for megabytes in [1, 16] {
            let found = measure(100_000, 5_000, recent, megabytes << 20);
            let Measured { accepted, written, resident, file } = found;
            println!(
                "{recent} % recent, flushed every {megabytes} MiB: accepted {accepted} B, written {written} B, \
                 {} B a message, {:.2} per byte, resident {resident} B, sled's file {file} B",
                written / 100_000,
                written as f64 / accepted as f64
            );
            assert!(written < accepted, "the view writes less than it is told");
        }
    }
}
