//! One whole record among 100,000 patients of 30 items each: how long it takes to read, and how much memory that needs.
//! Filling and reading are two runs, so that memory is that of a hub after a restart.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use polygate::{
    domain::{
        ids::Class,
        nhs_number::NhsNumber,
        one_record,
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind, Snapshot},
        time::Timestamp,
    },
    flow::read::parts,
    journal::Position,
    store::{
        Applied, Told, View,
        cache::{Cache, CacheFor, CachePolicy, CacheTime},
    },
    sys::{disk::RealDisk, entropy::Entropy},
};

/// A fixed moment, for the clock has no part in this.
const NOW: Timestamp = Timestamp(1_767_600_000_000);
/// Messages of a patient: their items lie in as many runs, as those of somebody who is ill for a while do.
const MESSAGES: i64 = 6;
/// Read in one measurement: enough for a 99th percentile, few enough to be read from everywhere.
const READ: usize = 20_000;

/// The `index`-th number of the test range that has a check digit.
fn number(index: u64) -> Option<NhsNumber> {
    (0..10).find_map(|digit| NhsNumber::parse(&format!("{}{digit}", 999_000_000 + index)).ok())
}

/// Numbers of so many patients.
fn numbers(patients: usize) -> Vec<NhsNumber> {
    (0..).filter_map(number).take(patients).collect()
}

fn item(kind: ItemKind, key: String, fields: &[(&'static str, String)]) -> ItemChange {
    let fields = fields.iter().map(|(name, text)| (*name, FieldChange::Set(text.clone()))).collect();
    ItemChange::new(kind, key, fields)
}

fn demographics(patient: usize) -> ItemChange {
    item(
        ItemKind::Demographics,
        String::new(),
        &[
            ("family_name", format!("Testington{}", patient % 997)),
            ("given_name", format!("Alexandra{}", patient % 89)),
            ("birth_date", format!("19{:02}0203", patient % 100)),
            ("gender", "F".to_owned()),
            ("address_line_1", format!("{} Invented Gardens", patient % 300)),
            ("city", "London".to_owned()),
            ("postcode", format!("W{}A 1AA", patient % 14)),
            ("telephone", format!("020 7946 {:04}", patient % 10_000)),
            ("general_practice", "E87001".to_owned()),
            ("nhs_number_status", "NSTS01".to_owned()),
        ],
    )
}

/// Five results, appointments or others of one message.
fn five(patient: usize, message: i64) -> Vec<ItemChange> {
    let key = |which: usize| format!("{message}.{patient}.{which}");
    let day = |which: usize| format!("2026-01-{:02}T09:{:02}:00", 1 + message, which);
    let result = |which: usize| {
        item(
            ItemKind::Result,
            key(which),
            &[
                ("codings", format!("snomed-ct|10{which}651000000109|Serum analyte {which}")),
                ("name", format!("Serum analyte {which}")),
                ("value", format!("{}.{}", 3 + patient % 5, message)),
                ("units", "mmol/L".to_owned()),
                ("reference_range", "3.5 - 5.3".to_owned()),
                ("observed", day(which)),
                ("status", "F".to_owned()),
                ("performer", "Pathology".to_owned()),
            ],
        )
    };
    let other = |which: usize| {
        let kinds = [
            ItemKind::Appointment,
            ItemKind::Encounter,
            ItemKind::Problem,
            ItemKind::Medication,
            ItemKind::Allergy,
        ];
        item(
            kinds[which],
            key(which),
            &[
                ("start", format!("2025-12-{:02}T09:00:00", 1 + patient % 28)),
                ("status", "booked".to_owned()),
                ("codings", format!("snomed-ct|2{which}9000|Something {which}")),
                ("name", format!("Something that was found in patient {patient}")),
                ("clinician", "Dr Test".to_owned()),
            ],
        )
    };
    (0..5).map(|which| if message < 4 { result(which) } else { other(which) }).collect()
}

fn event(patient: usize, nhs_number: NhsNumber, message: i64) -> Event {
    let mut items = five(patient, message);
    // As nearly every message has them; what does not change is stored once for each run.
    items.push(demographics(patient));
    let value = format!("M{patient:07}");
    Event {
        kind: "TEST".to_owned(),
        class: Class::Clinical,
        source_id: format!("{message}-{patient}"),
        sender: "BENCH".to_owned(),
        occurred: Some(Timestamp(NOW.0 + message)),
        nhs_number: Ok(nhs_number),
        identifiers: vec![Identifier { value, authority: "RV5".to_owned(), kind: "MR".to_owned() }],
        merged: Vec::new(),
        items,
        withdraws: Vec::new(),
        faults: Vec::new(),
    }
}

fn cache(folder: &Path, now: CacheTime) -> Cache {
    let policy = CachePolicy {
        basis: "benchmark".to_owned(),
        systems: vec!["emis".to_owned()],
        keep: Duration::from_hours(24),
        keep_for: CacheFor::AllAsked,
    };
    Cache::open(Arc::new(RealDisk), &folder.join("cache"), Some(policy), now).expect("a cache")
}

const fn time() -> CacheTime {
    CacheTime { wall: NOW, elapsed: Duration::ZERO }
}

/// Fills `folder` with so many patients, each known to so many systems, and with a cached answer of 30 items for each of `cached`.
pub fn fill(folder: &str, patients: usize, systems: usize, cached: usize) {
    let folder = Path::new(folder);
    let numbers = numbers(patients);
    let (view, _) = View::open(&folder.join("view"), &mut Entropy::from_seed(1)).expect("a view");
    let began = Instant::now();
    let mut offset = 0;
    for message in 0..MESSAGES {
        for (patient, number) in numbers.iter().enumerate() {
            let event = event(patient, *number, message);
            let system =
                ["rio", "pas", "lab"][usize::try_from(message).expect("small") % systems.clamp(1, 3)];
            let position = Position { segment: 1, offset };
            offset += 1;
            let applied = Applied { system, received: NOW, position, told: Told::Event(&event) };
            view.apply(&[applied], Position { segment: 1, offset }).expect("applied");
        }
        view.flush().expect("flushed");
    }
    crate::report(
        "record_applied_per_second",
        numbers.len() * usize::try_from(MESSAGES).expect("small"),
        began,
    );
    let counts = view.counts().expect("counts");
    println!("record_patients {}\nrecord_items {}", counts.patients, counts.items);
    let cache = cache(folder, time());
    let began = Instant::now();
    for (patient, number) in numbers.iter().enumerate().take(cached) {
        let mut items: Vec<ItemChange> = (0..MESSAGES).flat_map(|message| five(patient, message)).collect();
        items.push(demographics(patient));
        let snapshot = Snapshot {
            system: "emis".to_owned(),
            nhs_number: *number,
            as_at: NOW,
            identifiers: Vec::new(),
            items,
            faults: Vec::new(),
        };
        cache.keep(snapshot, CacheFor::AllAsked, time()).expect("kept");
    }
    crate::report("record_cached_per_second", cached, began);
}

/// Reads records of random patients in `folder`.
pub fn read(folder: &str, patients: usize) {
    let folder = Path::new(folder);
    let numbers = numbers(patients);
    let before = resident();
    let began = Instant::now();
    let (view, opened) = View::open(&folder.join("view"), &mut Entropy::from_seed(2)).expect("a view");
    assert_eq!(opened.rebuild, None, "the view is as it was filled");
    let cache = cache(folder, time());
    println!("record_open_seconds {:.2}", began.elapsed().as_secs_f64());
    let mut entropy = Entropy::from_seed(3);
    let mut taken: Vec<Duration> = Vec::with_capacity(READ);
    let mut items = 0;
    for _ in 0..READ {
        let number = entropy.pick(&numbers).expect("patients");
        let began = Instant::now();
        let answers = cache.read(number, time());
        let patient = view.find_by_nhs_number(number).expect("readable").expect("known");
        let mut parts = parts(view.record(patient).expect("readable").expect("known"));
        parts.answers = answers;
        let record = one_record::assemble(parts, NOW);
        taken.push(began.elapsed());
        items += record.sections.iter().map(|(_, items)| items.len()).sum::<usize>();
    }
    taken.sort();
    let at = |part: usize| taken[(taken.len() - 1) * part / 1000].as_secs_f64() * 1e3;
    println!("record_items_each {:.1}", items as f64 / READ as f64);
    println!("record_p50_ms {:.3}\nrecord_p99_ms {:.3}\nrecord_max_ms {:.3}", at(500), at(990), at(1000));
    println!("record_resident_mib {:.1}\nrecord_resident_before_mib {:.1}", resident(), before);
}

/// This process's resident memory, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
