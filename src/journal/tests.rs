//! What the log promises, tried on a disk that forgets, tears, fills up and fails.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;

use super::*;
use crate::{
    domain::time::Timestamp,
    sys::{
        entropy::Entropy,
        sim_disk::{Fault, FaultKind, SimulatedDisk},
    },
};

const DIRECTORY: &str = "/journal";
const CLINICAL: Lane = Lane(2);

fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        capacity_bytes: 1 << 20,
        retain_bytes: 0,
        floor_bytes: 0,
        ballast_bytes: 4096,
        consumers: vec![],
        salvage: false,
    }
}

fn open(disk: &SimulatedDisk) -> (Log, Recovery) {
    try_open(disk, options()).unwrap()
}

fn try_open(disk: &SimulatedDisk, options: Options) -> std::io::Result<(Log, Recovery)> {
    let disk = Arc::new(disk.clone());
    Log::open(disk, Path::new(DIRECTORY), options, Timestamp(1_800_000_000_000), Entropy::from_seed(5))
}

/// The message `name`: recognised by it, with a payload that says it.
fn message(name: u64) -> Append {
    let payload = format!("message {name} {}", "x".repeat(usize::try_from(name % 300).unwrap()));
    let identity = Some(Identity::of(&[b"pas", &name.to_be_bytes()], payload.as_bytes()));
    Append { lane: Lane((name % 3) as u8), identity, payload: Bytes::from(payload) }
}

fn name_of(record: &Record) -> u64 {
    let text = std::str::from_utf8(&record.payload).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

fn commit(log: &mut Log, names: impl IntoIterator<Item = u64>) -> Vec<Verdict> {
    let entries: Vec<Append> = names.into_iter().map(message).collect();
    log.commit(&entries, Timestamp(1_800_000_000_000))
}

/// How often each message is in the log, reading everything in order.
fn contents(log: &Log) -> BTreeMap<u64, u64> {
    let mut reader = LogReader::new(log.shared(), Position::default());
    let mut counts = BTreeMap::new();
    loop {
        let chunk = reader.read(1 << 20, 1000).unwrap();
        if chunk.records.is_empty() {
            return counts;
        }
        for record in &chunk.records {
            *counts.entry(name_of(record)).or_default() += 1;
        }
    }
}

fn committed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Committed(_))
}

#[test]
fn every_lane_counts_from_one_without_a_hole() {
    let disk = SimulatedDisk::default();
    let (mut log, recovery) = open(&disk);
    assert!(recovery.clean && !recovery.existed);
    assert!(commit(&mut log, 0..500).iter().all(committed));
    for lane in 0..3 {
        let lane = Lane(lane);
        let mut reader = LaneReader::new(log.shared(), lane, recovery.epoch, 1);
        let mut sequences = Vec::new();
        loop {
            let chunk = reader.read(2000, 7).unwrap();
            assert!(chunk.lost.is_empty());
            if chunk.records.is_empty() {
                break;
            }
            sequences.extend(chunk.records.iter().map(|record| record.placed.sequence));
        }
        let expected: Vec<u64> = (1..=sequences.len() as u64).collect();
        assert_eq!(sequences, expected);
        assert!(160 < sequences.len());
    }
    assert!(1 < log.shared().status().segments);
}

#[test]
fn the_same_message_takes_effect_once_and_another_of_its_name_is_refused() {
    let disk = SimulatedDisk::default();
    let (mut log, _) = open(&disk);
    let verdicts = commit(&mut log, [1, 1, 2]);
    assert!(committed(&verdicts[0]) && verdicts[1] == Verdict::Duplicate && committed(&verdicts[2]));
    commit(&mut log, 10..400);
    let mut other = message(1);
    other.identity = other.identity.map(|identity| Identity { digest: [0; 16], ..identity });
    for reopened in [false, true] {
        assert_eq!(commit(&mut log, [1, 200]), [Verdict::Duplicate, Verdict::Duplicate], "{reopened}");
        assert_eq!(log.commit(std::slice::from_ref(&other), Timestamp(0)), [Verdict::Conflict]);
        if !reopened {
            log.close();
            log = open(&disk).0;
        }
    }
    assert_eq!(contents(&log).get(&1), Some(&1));
}

#[test]
fn a_message_stays_known_through_one_crash_after_another() {
    let disk = SimulatedDisk::default();
    let (mut log, _) = open(&disk);
    let mut known = vec![1, 2, 3];
    assert!(commit(&mut log, known.clone()).iter().all(committed));
    for crash in 0..6 {
        if crash % 3 == 2 {
            log.close();
        }
        log = open(&disk).0;
        let verdicts = commit(&mut log, known.clone());
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Duplicate), "{crash}: {verdicts:?}");
        let more = 10 + crash;
        assert!(committed(&commit(&mut log, [more])[0]));
        known.push(more);
    }
    assert!(contents(&log).values().all(|count| *count == 1));
}

#[test]
fn every_start_begins_an_epoch_and_only_a_crash_needs_recovery() {
    let disk = SimulatedDisk::default();
    let (mut log, first) = open(&disk);
    commit(&mut log, 0..50);
    log.close();
    let (mut log, second) = open(&disk);
    assert!(second.clean && second.existed && first.epoch < second.epoch);
    let Verdict::Committed(placed) = commit(&mut log, [50])[0] else { panic!() };
    assert_eq!((placed.epoch, placed.sequence), (second.epoch, 1));
    drop(log);
    let (mut log, third) = open(&disk);
    assert!(!third.clean && second.epoch < third.epoch && third.damaged_bytes == 0, "{third:?}");
    let Verdict::Committed(placed) = commit(&mut log, [53])[0] else { panic!() };
    assert_eq!((placed.epoch, placed.sequence), (third.epoch, 1));
    assert_eq!(contents(&log).len(), 52);
    assert_eq!(log.shared().streams(CLINICAL).len(), 3);
}

#[test]
fn a_segment_goes_only_when_released_and_consumed() {
    let disk = SimulatedDisk::default();
    let with_view = Options { consumers: vec!["view".to_owned()], ..options() };
    let (mut log, recovery) = try_open(&disk, with_view.clone()).unwrap();
    commit(&mut log, 0..400);
    let before = log.shared().status().segments;
    for lane in 0..3 {
        log.release(recovery.epoch, Lane(lane), u64::MAX);
    }
    log.maintain(Timestamp(1_800_000_100_000));
    assert_eq!(log.shared().status().segments, before, "the view has not seen them");
    log.advance("view", log.shared().end());
    log.maintain(Timestamp(1_800_000_200_000));
    assert_eq!(log.shared().status().segments, 1);
    assert_eq!(commit(&mut log, [3]), [Verdict::Duplicate], "a message is known longer than it is kept");
    log.close();
    let (log, reopened) = try_open(&disk, with_view).unwrap();
    assert!(reopened.clean && reopened.notes.is_empty(), "{reopened:?}");
    assert!(log.shared().streams(CLINICAL).is_empty());
}

#[test]
fn a_consumer_that_is_far_behind_holds_up_nobody_and_learns_what_it_missed() {
    let disk = SimulatedDisk::default();
    let names = || vec!["fast".to_owned(), "slow".to_owned()];
    let bounded = Options { capacity_bytes: 64 << 10, consumers: names(), ..options() };
    let (mut log, recovery) = try_open(&disk, bounded).unwrap();
    for name in 0..2000 {
        assert!(committed(&commit(&mut log, [name])[0]), "message {name}");
        for lane in 0..3 {
            log.release(recovery.epoch, Lane(lane), u64::MAX);
        }
        log.advance("fast", log.shared().end());
    }
    assert_eq!(log.shared().overtaken("fast"), 0);
    let kept = contents(&log).len() as u64;
    assert_eq!(log.shared().overtaken("slow"), 2000 - kept);
}

#[test]
fn a_full_journal_refuses_and_takes_again_once_the_centre_has_confirmed() {
    let disk = SimulatedDisk::default();
    let (mut log, recovery) = try_open(&disk, Options { capacity_bytes: 64 << 10, ..options() }).unwrap();
    let clinical = (0..1000).map(|number| 3 * number + 2);
    let verdicts = commit(&mut log, clinical);
    let taken = verdicts.iter().filter(|verdict| committed(verdict)).count();
    assert!((50..400).contains(&taken), "{taken}");
    assert!(verdicts.iter().all(|verdict| committed(verdict) || *verdict == Verdict::Full));
    assert!(committed(&commit(&mut log, [300])[0]), "room is kept for what is urgent");
    for lane in 0..3 {
        log.release(recovery.epoch, Lane(lane), u64::MAX);
    }
    assert!(committed(&commit(&mut log, [5000])[0]));
}

#[test]
fn a_full_disk_refuses_and_recovers_when_space_returns() {
    let disk = SimulatedDisk::default();
    let (mut log, _) = open(&disk);
    disk.set_capacity(Some(80 << 10));
    let mut taken = Vec::new();
    for name in 0..600 {
        let verdict = commit(&mut log, [name]).remove(0);
        assert!(committed(&verdict) || verdict == Verdict::Full, "{verdict:?}");
        if committed(&verdict) {
            taken.push(name);
        }
    }
    assert!(taken.len() < 600);
    drop(log);
    let (mut log, recovery) = open(&disk);
    assert_eq!(contents(&log).into_keys().collect::<Vec<_>>(), taken, "{recovery:?}");
    disk.set_capacity(None);
    log.maintain(Timestamp(1_800_000_100_000));
    assert!(committed(&log.commit(&[message(9999)], Timestamp(1_800_000_100_000))[0]));
}

#[test]
fn reading_an_empty_journal_from_its_beginning_finds_no_damage() {
    let disk = SimulatedDisk::default();
    let (mut log, _) = open(&disk);
    let mut reader = LogReader::new(Arc::clone(&log.shared()), log.shared().beginning());
    let chunk = reader.read(1 << 20, 100).unwrap();
    assert_eq!((chunk.records.len(), chunk.damaged_bytes, log.shared().status().damaged_bytes), (0, 0, 0));
    commit(&mut log, [1]);
    let mut from_the_front = LogReader::new(Arc::clone(&log.shared()), log.shared().beginning());
    for reader in [&mut reader, &mut from_the_front] {
        assert_eq!(reader.read(1 << 20, 100).unwrap().records.len(), 1);
    }
    assert_eq!(log.shared().status().damaged_bytes, 0);
}

#[test]
fn damage_is_counted_reported_and_survived() {
    let disk = SimulatedDisk::default();
    let (mut log, first) = open(&disk);
    commit(&mut log, 0..20);
    commit(&mut log, 20..40);
    drop(log);
    let segment = Path::new(DIRECTORY).join(segment::file_name(1));
    disk.damage(&segment, 4096 + 30);
    let (mut log, second) = open(&disk);
    assert!(0 < second.damaged_bytes && first.epoch < second.epoch, "{second:?}");
    let found = contents(&log);
    assert_eq!(found.len(), 39, "only the damaged entry is gone");
    assert!(!found.contains_key(&0));
    let chunk = LaneReader::new(log.shared(), Lane(0), first.epoch, 1).read(1 << 20, 100).unwrap();
    assert_eq!(chunk.lost, [crate::domain::ids::SequenceRange { first: 1, last: 1 }]);
    assert!(committed(&commit(&mut log, [0])[0]), "it can be sent again");
}

#[test]
fn a_lost_header_sets_the_segment_aside_and_a_half_made_one_goes() {
    let disk = SimulatedDisk::default();
    let (mut log, _) = open(&disk);
    commit(&mut log, 0..20);
    drop(log);
    let segment = Path::new(DIRECTORY).join(segment::file_name(1));
    disk.damage(&segment, 20);
    assert_eq!(open(&disk).1.damaged_bytes, 0, "the second copy serves");
    disk.damage(&segment, 2048 + 20);
    let (_, recovery) = open(&disk);
    assert!(0 < recovery.damaged_bytes);
    assert!(recovery.notes.iter().any(|note| note.contains("set aside")), "{recovery:?}");
}

/// Commits with power cuts at every moment: after each cut everything acknowledged must be there once.
#[test]
fn power_cuts_lose_nothing_acknowledged() {
    let mut cuts = 0;
    for seed in 0..60 {
        let mut entropy = Entropy::from_seed(seed);
        let mut disk = SimulatedDisk::default();
        let mut acknowledged: Vec<u64> = Vec::new();
        let mut name = 0;
        for _ in 0..6 {
            let (mut log, recovery) = open(&disk);
            assert_eq!(recovery.damaged_bytes, 0, "seed {seed}: {recovery:?}");
            for _ in 0..entropy.below(30) {
                let count = 1 + entropy.below(12);
                let verdicts = commit(&mut log, name..name + count);
                acknowledged.extend((name..).zip(&verdicts).filter(|(_, v)| committed(v)).map(|(n, _)| n));
                name += count;
            }
            // Unacknowledged writes are cut at any sector: the disk dies in the middle of the last commit.
            disk.inject(Some(Fault {
                at_call: entropy.below(2),
                kind: FaultKind::InputOutput,
                sticky: true,
            }));
            commit(&mut log, name..name + 20);
            name += 20;
            disk.inject(None);
            disk = disk.after_power_cut(&mut entropy);
            cuts += 1;
            let (log, recovery) = open(&disk);
            let found = contents(&log);
            let lost: Vec<&u64> = acknowledged.iter().filter(|name| !found.contains_key(name)).collect();
            assert!(lost.is_empty(), "seed {seed}: lost {lost:?}; {recovery:?}");
            assert!(found.values().all(|count| *count == 1), "seed {seed}: doubled");
        }
    }
    assert_eq!(cuts, 360);
}

/// Every call of the whole life of a log fails once, and stickily, in each way: never a false acknowledgement.
#[test]
fn every_failing_call_is_survived() {
    let calls = run_with_fault(None).calls;
    let (mut runs, mut fired) = (0, 0);
    for at_call in 0..calls {
        for kind in FaultKind::ALL {
            for sticky in [false, true] {
                let run = run_with_fault(Some(Fault { at_call, kind, sticky }));
                runs += 1;
                fired += u64::from(0 < run.fired);
            }
        }
    }
    println!(
        "{calls} calls x {} kinds x once and stickily: {runs} runs, {fired} with a fault",
        FaultKind::ALL.len()
    );
    assert_eq!(fired, runs);
}

struct Run {
    calls: u64,
    fired: u64,
}

/// Opens, commits over several segments, releases, crashes, recovers; the fault strikes anywhere in it.
fn run_with_fault(fault: Option<Fault>) -> Run {
    let disk = SimulatedDisk::default();
    disk.inject(fault);
    let mut acknowledged = Vec::new();
    let mut names = 0..u64::MAX;
    for life in 0..3_u64 {
        // As the hub does: three attempts, then without what cannot be read.
        let salvage = |attempt| Options { salvage: attempt == 3, segment_bytes: 8 << 10, ..options() };
        let Some((mut log, _)) = (0..4).find_map(|attempt| try_open(&disk, salvage(attempt)).ok()) else {
            continue;
        };
        for _ in 0..8 {
            let group: Vec<u64> = names.by_ref().take(9).collect();
            let verdicts = commit(&mut log, group.clone());
            acknowledged
                .extend(group.into_iter().zip(verdicts).filter(|(_, v)| committed(v)).map(|(n, _)| n));
        }
        log.maintain(Timestamp(1_800_000_000_000 + 10_000 * i64::try_from(life).unwrap()));
        if life == 1 {
            log.close();
        }
    }
    let calls = disk.calls().len() as u64;
    let fired = disk.faults_fired();
    disk.inject(None);
    let (log, recovery) = open(&disk.after_power_cut(&mut Entropy::from_seed(1)));
    let found = contents(&log);
    let lost: Vec<&u64> = acknowledged.iter().filter(|name| !found.contains_key(name)).collect();
    // A segment that could not be read at four attempts is set aside, said so, and not removed.
    let aside = disk.has_extension(Path::new(DIRECTORY), "damaged");
    assert!(lost.is_empty() || aside, "{fault:?}: lost {lost:?}; {recovery:?}");
    assert!(found.values().all(|count| *count == 1), "{fault:?}: doubled");
    Run { calls, fired }
}
