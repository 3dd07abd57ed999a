//! What is held of patients elsewhere: put together, told once, gone in time.

use bytes::Bytes;

use super::*;
use crate::{
    domain::{
        entry::BatchEntry,
        ids::{Class, Epoch},
        time::ClockQuality,
    },
    sys::sim_disk::SimulatedDisk,
};

const HOUR: Duration = Duration::from_hours(1);
const START: Timestamp = Timestamp(1_800_000_000_000);

fn number() -> NhsNumber {
    NhsNumber::parse("9990000018").unwrap()
}

fn at(hours: u32) -> CacheTime {
    CacheTime { wall: START.plus(HOUR * hours), elapsed: HOUR * hours }
}

fn open(disk: &SimulatedDisk, now: CacheTime) -> Held {
    Held::open(Arc::new(disk.clone()), Path::new("/held"), now).unwrap()
}

fn entry(seq: u64, bytes: usize) -> HeldEntry {
    let entry = BatchEntry {
        seq,
        id: format!("{seq:032x}"),
        kind: "ORU^R01".to_owned(),
        system: "rio".to_owned(),
        source_id: seq.to_string(),
        patient: Some("9990000018".to_owned()),
        at: Timestamp(START.0 + i64::try_from(seq).unwrap()),
        clock: ClockQuality::default(),
        body: Bytes::from_static(b"\xa0"),
        raw: Some(Bytes::from(vec![7; bytes])),
    };
    HeldEntry { hub: "soho".parse().unwrap(), class: Class::Clinical, epoch: Epoch(1), entry }
}

fn portion(until: u32, entries: Vec<HeldEntry>) -> Portion {
    Portion {
        patient: number(),
        until: at(until).wall,
        entries,
        omitted: 0,
        sealed: 0,
        answers: String::new(),
    }
}

#[test]
fn portions_are_put_together_and_each_entry_is_held_once() {
    let disk = SimulatedDisk::default();
    let held = open(&disk, at(0));
    held.take(portion(10, vec![entry(2, 10), entry(1, 10)]), at(0)).unwrap();
    held.take(portion(5, vec![entry(2, 10), entry(3, 10)]), at(1)).unwrap();
    let record = held.read(&number(), at(1)).unwrap();
    assert_eq!(record.entries, [entry(1, 10), entry(2, 10), entry(3, 10)]);
    assert_eq!(held.remaining(&number(), at(1)), Some(HOUR * 9), "an earlier end does not shorten it");
    drop(held);
    let held = open(&disk, at(9));
    assert_eq!(held.read(&number(), at(9)).unwrap().entries.len(), 3);
    assert_eq!(held.read(&number(), at(10)), None, "ended");
    assert_eq!((held.sweep(at(10)).unwrap(), held.count()), (1, 0));
}

#[test]
fn nothing_is_held_for_more_than_a_week_whatever_is_said() {
    let disk = SimulatedDisk::default();
    let held = open(&disk, at(0));
    held.take(portion(24 * 365, vec![entry(1, 10)]), at(0)).unwrap();
    assert_eq!(held.remaining(&number(), at(0)), Some(HOUR * 24 * 7));
}

#[test]
fn of_too_many_or_too_long_ones_the_oldest_are_left_out_and_counted() {
    let disk = SimulatedDisk::default();
    let held = open(&disk, at(0));
    let many: Vec<HeldEntry> = (0..ENTRIES_MAX as u64 + 7).map(|seq| entry(seq, 10)).collect();
    held.take(portion(10, many), at(0)).unwrap();
    let record = held.read(&number(), at(0)).unwrap();
    assert_eq!((record.entries.len(), record.omitted), (ENTRIES_MAX, 7));
    assert_eq!(record.entries[0].entry.seq, 7);
    let long: Vec<HeldEntry> = (5000..5013).map(|seq| entry(seq, (1 << 20) - 1)).collect();
    held.take(portion(10, long), at(0)).unwrap();
    let record = held.read(&number(), at(0)).unwrap();
    assert_eq!(record.entries.len(), 12, "twelve of a mebibyte are within the limit");
    assert_eq!(record.entries[0].entry.seq, 5001);
}

#[test]
fn how_far_was_heard_outlives_a_restart() {
    let disk = SimulatedDisk::default();
    let heard = RecordsHeard { run: 7, number: 3, as_at: START };
    assert_eq!(open(&disk, at(0)).heard(), None);
    open(&disk, at(0)).note_heard(heard).unwrap();
    assert_eq!(open(&disk, at(0)).heard(), Some(heard));
}

#[test]
fn neither_names_nor_debug_tell_who_it_is_about() {
    let disk = SimulatedDisk::default();
    let held = open(&disk, at(0));
    let portion = portion(10, vec![entry(1, 10)]);
    let said = format!("{held:?} {portion:?} {:?}", portion.entries);
    held.take(portion, at(0)).unwrap();
    let names = disk.list(Path::new("/held/patients")).unwrap().join(" ");
    assert!(!format!("{said} {names}").contains("9990000018"));
}
