//! The cache against its policy: off by default, gone in time, told by no file name.

use super::{
    super::ending::{BEHIND_MAX, parse_name},
    *,
};
use crate::{
    domain::record::{FieldChange, Identifier, ItemChange, ItemKind},
    sys::{disk::replace_file, sim_disk::SimulatedDisk},
};

const HOUR: Duration = Duration::from_hours(1);
const START: Timestamp = Timestamp(1_800_000_000_000);

fn number(index: usize) -> NhsNumber {
    NhsNumber::parse(["9990000018", "9990000026", "9990000034"][index]).unwrap()
}

fn snapshot(system: &str, patient: usize, as_at: Timestamp) -> Snapshot {
    let fields = vec![("name", FieldChange::Set("Secretitis".to_owned())), ("note", FieldChange::Delete)];
    Snapshot {
        system: system.to_owned(),
        nhs_number: number(patient),
        as_at,
        identifiers: vec![Identifier { value: "L1".into(), authority: "EMIS".into(), kind: "PI".into() }],
        items: vec![ItemChange::new(ItemKind::Problem, "P1".to_owned(), fields)],
        faults: vec!["degraded"],
    }
}

fn policy(keep_for: CacheFor) -> CachePolicy {
    CachePolicy {
        basis: "sharing agreement 7".to_owned(),
        systems: vec!["emis".to_owned(), "vision".to_owned()],
        keep: HOUR * 24,
        keep_for,
    }
}

fn at(hours: u32) -> CacheTime {
    CacheTime { wall: START.plus(HOUR * hours), elapsed: HOUR * hours }
}

fn folder() -> &'static Path {
    Path::new("/cache")
}

fn open(disk: &SimulatedDisk, policy: Option<CachePolicy>, now: CacheTime) -> Cache {
    Cache::open(Arc::new(disk.clone()), folder(), policy, now).unwrap()
}

fn kept(cache: &Cache, patient: usize, now: CacheTime) -> usize {
    cache.read(&number(patient), now).len()
}

fn files(disk: &SimulatedDisk) -> usize {
    let names = disk.list(folder()).unwrap();
    names.iter().filter(|name| parse_name(name).is_some()).count()
}

#[test]
fn nothing_is_kept_without_a_basis() {
    let disk = SimulatedDisk::default();
    let cache = open(&disk, None, at(0));
    let refused = cache.keep(snapshot("emis", 0, START), CacheFor::Arrived, at(0));
    assert!(matches!(refused, Err(CacheError::NotAllowed)));
    for bad in [
        CachePolicy { basis: " ".to_owned(), ..policy(CacheFor::Booked) },
        CachePolicy { keep: HOUR * 24 * 8, ..policy(CacheFor::Booked) },
        CachePolicy { systems: Vec::new(), ..policy(CacheFor::Booked) },
    ] {
        let opened = Cache::open(Arc::new(disk.clone()), folder(), Some(bad), at(0));
        assert!(matches!(opened, Err(CacheError::Policy(_))));
    }
}

#[test]
fn what_is_kept_comes_back_as_at_when_it_was_answered() {
    let disk = SimulatedDisk::default();
    let cache = open(&disk, Some(policy(CacheFor::Booked)), at(0));
    let refused = cache.keep(snapshot("emis", 0, START), CacheFor::AllAsked, at(0));
    assert!(matches!(refused, Err(CacheError::NotAllowed)), "kept for those who are booked only");
    let refused = cache.keep(snapshot("rio", 0, START), CacheFor::Booked, at(0));
    assert!(matches!(refused, Err(CacheError::NotAllowed)), "a system the policy does not name");
    for system in ["emis", "vision"] {
        let ends = cache.keep(snapshot(system, 0, START), CacheFor::Arrived, at(1)).unwrap();
        assert_eq!(ends, START.plus(HOUR * 24), "from the answer, not from its keeping");
    }
    cache.keep(snapshot("emis", 0, at(2).wall), CacheFor::Booked, at(2)).unwrap();
    assert_eq!(files(&disk), 2, "a newer answer replaces the older");
    drop(cache);
    let cache = open(&disk, Some(policy(CacheFor::Booked)), at(3));
    let mut answers = cache.read(&number(0), at(3));
    answers.sort_by(|one, other| one.system.cmp(&other.system));
    assert_eq!(answers[0], Answer::from(snapshot("emis", 0, at(2).wall)));
    assert_eq!((answers[0].as_at, answers[1].as_at), (at(2).wall, START));
    assert_eq!(cache.remaining(&number(0), "vision", at(3)), Some(HOUR * 21));
    assert_eq!(cache.remaining(&number(1), "vision", at(3)), None);
    assert_eq!(kept(&cache, 1, at(3)), 0);
}

#[test]
fn answers_end_in_time_and_on_demand() {
    let disk = SimulatedDisk::default();
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), at(0));
    for patient in 0..3 {
        for system in ["emis", "vision"] {
            cache.keep(snapshot(system, patient, START), CacheFor::AllAsked, at(0)).unwrap();
        }
    }
    assert_eq!(cache.purge(&number(0)).unwrap(), 2);
    assert_eq!(cache.purge_of_system(&number(1), "emis").unwrap(), 1);
    assert_eq!((kept(&cache, 0, at(1)), kept(&cache, 1, at(1)), files(&disk)), (0, 1, 3));
    assert_eq!(kept(&cache, 2, at(24)), 0, "ended before it was swept");
    assert_eq!(cache.sweep(at(24)).unwrap(), 3);
    assert_eq!((files(&disk), cache.count()), (0, 0));
}

#[test]
fn what_ended_while_the_hub_was_off_goes_at_the_start() {
    let disk = SimulatedDisk::default();
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), at(0));
    cache.keep(snapshot("emis", 0, START), CacheFor::AllAsked, at(0)).unwrap();
    cache.keep(snapshot("vision", 0, START), CacheFor::AllAsked, at(0)).unwrap();
    drop(cache);
    let only_emis = CachePolicy { systems: vec!["emis".to_owned()], ..policy(CacheFor::AllAsked) };
    assert_eq!(open(&disk, Some(only_emis.clone()), at(1)).count(), 1, "the policy names it no more");
    let restarted = CacheTime { wall: at(25).wall, elapsed: Duration::ZERO };
    open(&disk, Some(only_emis.clone()), restarted);
    assert_eq!(files(&disk), 0);
    let cache = open(&disk, Some(only_emis), at(26));
    cache.keep(snapshot("emis", 0, at(26).wall), CacheFor::AllAsked, at(26)).unwrap();
    drop(cache);
    open(&disk, None, at(26));
    assert_eq!(disk.list(folder()).unwrap(), Vec::<String>::new(), "switched off, nothing stays");
}

#[test]
fn a_clock_set_back_gives_no_longer_life() {
    let disk = SimulatedDisk::default();
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), at(10));
    cache.keep(snapshot("emis", 0, at(10).wall), CacheFor::AllAsked, at(10)).unwrap();
    cache.sweep(at(12)).unwrap();
    let back = |hours: u32| CacheTime { wall: START, elapsed: HOUR * hours };
    assert_eq!(kept(&cache, 0, back(13)), 0, "unread while the clock is behind");
    let late = cache.keep(snapshot("emis", 1, START), CacheFor::AllAsked, back(14));
    assert!(matches!(late, Err(CacheError::ClockBehind)));
    assert_eq!(kept(&cache, 0, at(15)), 1, "the clock is right again");
    assert_eq!(cache.sweep(back(33)).unwrap(), 0);
    assert_eq!(cache.sweep(back(34)).unwrap(), 1, "24 hours have passed, whatever the clock says");
    let on = CacheTime { wall: START.plus(HOUR), elapsed: HOUR * 35 };
    cache.keep(snapshot("emis", 0, START), CacheFor::AllAsked, on).unwrap();
    let stepped = CacheTime { wall: on.wall, elapsed: on.elapsed + BEHIND_MAX };
    assert_eq!(kept(&cache, 0, stepped), 1, "a step of the time server's is no matter");
    drop(cache);

    let disk = SimulatedDisk::default();
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), at(10));
    cache.keep(snapshot("emis", 0, at(10).wall), CacheFor::AllAsked, at(10)).unwrap();
    cache.sweep(at(20)).unwrap();
    drop(cache);
    let woken = |hours: u32| CacheTime { wall: Timestamp(0), elapsed: HOUR * hours };
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), woken(0));
    assert_eq!((kept(&cache, 0, woken(1)), cache.count()), (0, 1), "kept, and not shown");
    let right = CacheTime { wall: at(30).wall, elapsed: HOUR * 2 };
    assert_eq!(kept(&cache, 0, right), 1);
    drop(cache);
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), woken(0));
    assert_eq!(cache.sweep(woken(14)).unwrap(), 1, "20 hours had passed before, and 14 since");
}

#[test]
fn damage_is_no_answer_and_no_error() {
    let disk = SimulatedDisk::default();
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), at(0));
    cache.keep(snapshot("emis", 0, START), CacheFor::AllAsked, at(0)).unwrap();
    let name = disk.list(folder()).unwrap().into_iter().find(|name| parse_name(name).is_some()).unwrap();
    replace_file(&disk, &folder().join(name), b"not an answer").unwrap();
    assert_eq!((kept(&cache, 0, at(1)), cache.count(), files(&disk)), (0, 0, 0));
}

#[test]
fn neither_names_nor_debug_tell_who_it_is_about() {
    let disk = SimulatedDisk::default();
    let cache = open(&disk, Some(policy(CacheFor::AllAsked)), at(0));
    cache.keep(snapshot("emis", 0, START), CacheFor::AllAsked, at(0)).unwrap();
    let names = disk.list(folder()).unwrap();
    let answers = cache.read(&number(0), at(1));
    let shown = format!("{names:?} {cache:?} {answers:?} {:?}", answers[0].items);
    for secret in ["999000", "emis-", "Secretitis", "L1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let other = open(&SimulatedDisk::default(), Some(policy(CacheFor::AllAsked)), at(0));
    assert_ne!(
        other.files.name(&number(0), "emis"),
        cache.files.name(&number(0), "emis"),
        "another hub names it otherwise"
    );
}
