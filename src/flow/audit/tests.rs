//! The trail against every flipped bit, cut end, spliced file, turned-back clock and disk, and every failing call.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    log::Log,
    opening::Acknowledged,
    segment::{HEADER_BYTES, file_name, index_name},
    verify::Pass,
    *,
};
use crate::{
    access::audit::{
        Checkpoint, Outcome, VerifyingKey, tree::leaf_hash, verify_consistency, verify_inclusion,
    },
    domain::{nhs_number::NhsNumber, time::Timestamp},
    sys::{
        clock::SimulatedClock,
        counter::Counted,
        disk::{RealDisk, read_file, write_all_at},
        entropy::Entropy,
        signing::FileKey,
        sim_disk::{Fault as DiskFault, FaultKind, SimulatedDisk},
    },
};

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const FOLDER: &str = "/state/audit";

/// A counter outside the disk, as a TPM's would be.
#[derive(Debug, Default)]
struct Outside(Mutex<Option<u64>>);

impl Counter for Outside {
    fn read(&self) -> io::Result<Counted> {
        Ok(self.0.lock().unwrap().map_or(Counted::Missing, Counted::Number))
    }

    fn set(&self, number: u64) -> io::Result<()> {
        *self.0.lock().unwrap() = Some(number);
        Ok(())
    }
}

/// A trail with what it stands on.
struct Bench {
    hub: HubId,
    disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    counter: Arc<Outside>,
    signer: Arc<dyn Signer>,
    options: Options,
}

impl Bench {
    fn new(hub: &str) -> Self {
        Self {
            hub: hub.parse().unwrap(),
            disk: SimulatedDisk::default(),
            clock: Arc::new(SimulatedClock::new(NOW)),
            counter: Arc::default(),
            signer: Arc::new(FileSigner::new(FileKey::fleeting().unwrap())),
            options: Options { segment_bytes: 64 << 10, ballast_bytes: 256 << 10, floor_bytes: 64 << 10 },
        }
    }

    fn parts(&self) -> Parts {
        let signer = Arc::clone(&self.signer);
        Parts {
            hub: self.hub.clone(),
            disk: Arc::new(self.disk.clone()),
            directory: PathBuf::from(FOLDER),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            counter: Arc::clone(&self.counter) as Arc<dyn Counter>,
            signer: Box::new(move || Ok(Arc::clone(&signer))),
            verify: signing::verify,
            options: self.options,
        }
    }

    fn start(&self) -> Audit {
        Audit::start(self.parts()).unwrap()
    }

    /// The log alone, without its thread.
    fn open(&self, acknowledged: Option<Acknowledged>) -> io::Result<Log> {
        let parts = Arc::new(self.parts());
        let shared =
            Arc::new(Shared::new(parts.hub.clone(), Arc::clone(&parts.disk), parts.directory.clone()));
        Log::open(&parts, &shared, acknowledged)
    }

    fn verify(&self, anchors: &[Checkpoint]) -> Report {
        verify_disk(&self.disk, Path::new(FOLDER), &self.hub, self.signer.key(), anchors)
    }

    /// The disk as it is now, with its own counter and clock.
    fn copy(&self, disk: SimulatedDisk) -> Self {
        Self {
            hub: self.hub.clone(),
            disk,
            clock: Arc::new(SimulatedClock::new(NOW)),
            counter: Arc::new(Outside(Mutex::new(*self.counter.0.lock().unwrap()))),
            signer: Arc::clone(&self.signer),
            options: self.options,
        }
    }
}

fn verify_disk(
    disk: &dyn Disk,
    directory: &Path,
    hub: &HubId,
    key: &VerifyingKey,
    anchors: &[Checkpoint],
) -> Report {
    let what = Verification { disk, directory, hub, key, verify: signing::verify, anchors, until: None };
    verify::verify(&what).unwrap()
}

fn patient(number: usize) -> NhsNumber {
    let digits = ["9990000018", "9990000026", "9990000034", "9990000042"];
    NhsNumber::parse(digits[number % digits.len()]).unwrap()
}

fn line(number: usize) -> Line {
    Line {
        at: NOW,
        user: format!("user-{}", number % 7),
        name: "Amara Okafor".to_owned(),
        roles: "clinician".to_owned(),
        deed: "record.view".to_owned(),
        outcome: Outcome::Done,
        patient: Some(patient(number)),
        handle: format!("p-{number}"),
        reason: "she is here".to_owned(),
        ..Line::default()
    }
}

/// A closed log of so many lines, with checkpoints.
fn written(bench: &Bench, lines: usize) -> Checkpoint {
    let mut log = bench.open(None).unwrap();
    let mut newest = None;
    for first in (0..lines).step_by(5) {
        log.commit((first..lines.min(first + 5)).map(line).collect()).unwrap();
        if first % 200 == 0 {
            newest = Some(log.checkpoint().unwrap());
        }
    }
    newest = log.checkpoint().ok().or(newest);
    log.close();
    newest.unwrap().checkpoint
}

#[tokio::test]
async fn lines_are_numbered_found_and_proven() {
    let bench = Bench::new("north");
    let audit = bench.start();
    for number in 0..600 {
        let written = audit.write(line(number)).await.unwrap();
        assert_eq!(written.number(), number as u64 + 2, "the start itself is line 1");
    }
    let signed = audit.checkpoint().await.unwrap();
    assert_eq!(signed.checkpoint.size, 601);
    let theirs = audit.find_by_patient(&patient(2), None, 1_000).unwrap();
    assert_eq!(theirs.len(), 150);
    assert!(theirs.iter().all(|found| found.line.patient == Some(patient(2))));
    assert!(theirs.windows(2).all(|pair| pair[1].id < pair[0].id), "newest first");
    assert_eq!(audit.find_by_patient(&patient(2), None, 3).unwrap(), theirs[..3]);
    let older = audit.find_by_patient(&patient(2), Some(theirs[2].id), 4).unwrap();
    assert_eq!(older, theirs[3..7]);
    assert_eq!(audit.find_by_user("user-3", None, 1_000).unwrap().len(), 86);
    assert_eq!(audit.find_by_user("nobody", None, 10).unwrap(), []);
    for number in [1, 2, 255, 256, 257, 400, 601] {
        let id = LineId { incarnation: 1, number };
        assert_eq!(audit.line(id).unwrap().unwrap().id, id);
        let proof = audit.prove(id).unwrap().unwrap();
        let Checkpoint { size, root, .. } = proof.signed.checkpoint;
        assert!(verify_inclusion(&proof.leaf, proof.index, size, &proof.path, &root));
        assert_eq!(leaf_hash(&proof.seal.encode()), proof.leaf);
    }
    assert_eq!(audit.line(LineId { incarnation: 1, number: 602 }).unwrap(), None);
    let some = audit.after(LineId { incarnation: 1, number: 300 }, 40).unwrap();
    let numbers: Vec<u64> = some.iter().map(|found| found.id.number).collect();
    assert_eq!(numbers, (301..341).collect::<Vec<u64>>());
    let grown = audit.write(line(0)).await.unwrap();
    assert_eq!(audit.prove(grown.id()).unwrap(), None, "nobody has signed it yet");
    let next = audit.checkpoint().await.unwrap().checkpoint;
    let proof = audit.consistency(601, 602).unwrap().unwrap();
    assert!(verify_consistency(601, 602, &signed.checkpoint.root, &next.root, &proof));
    audit.close().await;
    assert_eq!(audit.write(line(1)).await, Err(AuditStopped));
    let report = bench.verify(&[signed.checkpoint, next]);
    assert!(report.is_sound() && report.lines == 602, "{report:?}");
}

#[tokio::test]
async fn a_restart_goes_on_where_it_ended_however_it_ended() {
    let bench = Bench::new("north");
    let mut lines = 0;
    for round in 0..6 {
        let audit = bench.start();
        lines += 1;
        for number in 0..150 {
            lines += 1;
            assert_eq!(audit.write(line(number)).await.unwrap().number(), lines);
        }
        assert_eq!(audit.status().damage, Vec::<String>::new());
        assert_eq!(audit.find_by_patient(&patient(1), None, 10_000).unwrap().len(), 38 * (round + 1));
        if round % 2 == 0 {
            audit.close().await;
        } else {
            // As if killed: the thread goes with the last handle, but nothing was closed by us.
            drop(audit);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let report = bench.verify(&[]);
    assert!(report.is_sound() && report.lines == lines && report.incarnations == 1, "{report:?}");
}

/// All files of a log: number, lines, index.
fn files(disk: &SimulatedDisk) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
    let read = |name: String| read_file(disk, &Path::new(FOLDER).join(name), 1 << 30).unwrap();
    let count = disk.list(Path::new(FOLDER)).unwrap().iter().filter(|name| name.ends_with(".lines")).count();
    (1..=count as u64).map(|number| (number, read(file_name(number)), read(index_name(number)))).collect()
}

#[test]
fn every_flipped_bit_of_a_thousand_lines_is_detected() {
    let mut bench = Bench::new("north");
    bench.options.segment_bytes = 7 << 10;
    written(&bench, 1_000);
    let every_bit = std::env::var_os("POLYGATE_AUDIT_EVERY_BIT").is_some();
    let files = files(&bench.disk);
    let what = Verification {
        disk: &bench.disk,
        directory: Path::new(FOLDER),
        hub: &bench.hub,
        key: bench.signer.key(),
        verify: signing::verify,
        anchors: &[],
        until: None,
    };
    // The verifier as it is before each segment: it reads them one after another, so that a flip in one is noticed
    // there or never.
    let mut before = vec![Pass::new(what)];
    for (number, lines, index) in &files {
        let mut pass = before.last().unwrap().clone();
        pass.take(*number, lines, Some(index));
        assert!(pass.report.is_sound(), "{:?}", pass.report);
        before.push(pass);
    }
    assert_eq!(before.last().unwrap().report.lines, 1_000);
    let flips = std::sync::atomic::AtomicU64::new(0);
    let work = |((number, lines, index), before): (&(u64, Vec<u8>, Vec<u8>), &Pass<'_>)| {
        for at in 0..lines.len() + index.len() {
            // Most of a header's page is zeros, which are compared like all else.
            let is_padding = (300..HEADER_BYTES).contains(&at) && at % 16 != 0;
            let bits = match (every_bit, is_padding) {
                (true, _) => 0..8,
                (false, true) => continue,
                (false, false) => at % 8..at % 8 + 1,
            };
            for bit in bits {
                let (mut lines, mut index) = (lines.clone(), index.clone());
                match lines.get_mut(at) {
                    Some(byte) => *byte ^= 1 << bit,
                    None => index[at - lines.len()] ^= 1 << bit,
                }
                let mut pass = before.clone();
                pass.take(*number, &lines, Some(&index));
                assert!(!pass.report.is_sound(), "segment {number}: byte {at}, bit {bit}");
                flips.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    };
    let work = &work;
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let share = files.iter().zip(&before).skip(worker).step_by(4);
            scope.spawn(move || share.for_each(work));
        }
    });
    println!("{flips:?} flips, every one detected");
    assert!(300_000 < flips.into_inner());
}

#[test]
fn any_end_cut_off_behind_an_anchor_is_detected() {
    let bench = Bench::new("north");
    let mut log = bench.open(None).unwrap();
    log.commit((0..300).map(line).collect()).unwrap();
    let anchor = log.checkpoint().unwrap().checkpoint;
    log.commit((300..400).map(line).collect()).unwrap();
    log.close();
    assert!(bench.verify(std::slice::from_ref(&anchor)).is_sound());
    let files = files(&bench.disk);
    // Whole frames cut off, one after another, as someone would who knows the format: no byte is out of place.
    for keep in 0..400_usize {
        let disk = SimulatedDisk::default();
        let mut lines_left = keep;
        for (number, bytes, _) in &files {
            let scan = scan::scan(bytes);
            let mut end = HEADER_BYTES;
            for (offset, frame) in &scan.frames {
                if let segment::Frame::Line(..) = frame {
                    if lines_left == 0 {
                        break;
                    }
                    lines_left -= 1;
                }
                let next = scan.frames.iter().map(|(offset, _)| *offset).find(|next| offset < next);
                end = next.unwrap_or(scan.end);
            }
            put(&disk, &file_name(*number), &bytes[..end]);
            if end < scan.end {
                break;
            }
        }
        let report = verify_disk(
            &disk,
            Path::new(FOLDER),
            &bench.hub,
            bench.signer.key(),
            std::slice::from_ref(&anchor),
        );
        assert_eq!(report.is_sound(), 300 <= keep, "{keep} lines kept: {report:?}");
    }
}

fn put(disk: &SimulatedDisk, name: &str, bytes: &[u8]) {
    let file = disk.create(&Path::new(FOLDER).join(name)).unwrap();
    write_all_at(file.as_ref(), bytes, 0).unwrap();
    file.sync_all().unwrap();
    disk.sync_directory(Path::new(FOLDER)).unwrap();
}

#[test]
fn two_hubs_logs_spliced_are_detected() {
    let (north, south) = (Bench::new("north"), Bench::new("south"));
    let anchor = written(&north, 800);
    written(&south, 800);
    let (ours, theirs) = (files(&north.disk), files(&south.disk));
    assert!(3 < ours.len() && ours.len() == theirs.len());
    let check = |files: Vec<&(u64, Vec<u8>, Vec<u8>)>, anchors: &[Checkpoint]| {
        let disk = SimulatedDisk::default();
        for (number, lines, index) in files {
            put(&disk, &file_name(*number), lines);
            put(&disk, &index_name(*number), index);
        }
        verify_disk(&disk, Path::new(FOLDER), &north.hub, north.signer.key(), anchors)
    };
    assert!(check(ours.iter().collect(), std::slice::from_ref(&anchor)).is_sound());
    for at in 0..ours.len() {
        let mut spliced: Vec<_> = ours.iter().collect();
        spliced[at] = &theirs[at];
        assert!(!check(spliced, &[]).is_sound(), "segment {at} of another hub");
        let spliced = ours.iter().take(at).chain(theirs.iter().skip(at)).collect();
        assert!(!check(spliced, &[]).is_sound(), "another hub's from segment {at} on");
    }
    assert!(!check(theirs.iter().collect(), &[]).is_sound(), "all of another hub's");
    let mut without: Vec<_> = ours.iter().collect();
    without.remove(1);
    assert!(!check(without, &[]).is_sound(), "a segment is gone");
}

#[tokio::test]
async fn a_clock_turned_back_changes_no_order() {
    let bench = Bench::new("north");
    let audit = bench.start();
    for number in 0..200 {
        let moment = if number % 2 == 0 { 0 } else { NOW.0 - 1_000_000 * number };
        bench.clock.set(Timestamp(moment));
        audit.write(line(usize::try_from(number).unwrap())).await.unwrap();
        if number == 100 {
            audit.checkpoint().await.unwrap();
        }
    }
    let all = audit.after(LineId::default(), 1_000).unwrap();
    let handles: Vec<String> = all.iter().skip(1).map(|found| found.line.handle.clone()).collect();
    assert_eq!(handles, (0..200).map(|number| format!("p-{number}")).collect::<Vec<_>>());
    let moments = all.iter().map(|found| (found.seal.moment.start, found.seal.moment.elapsed_ms));
    assert!(moments.is_sorted());
    audit.close().await;
    let audit = bench.start();
    audit.close().await;
    assert!(bench.verify(&[]).is_sound());
}

#[test]
fn an_old_copy_of_the_disk_is_noticed_by_counter_and_by_anchor() {
    let bench = Bench::new("north");
    let image = |bench: &Bench| bench.disk.after_power_cut(&mut Entropy::from_seed(1));
    written(&bench, 100);
    let old = image(&bench);
    let anchor = written(&bench, 100);
    let anchored = Standing { incarnation: 1, counter: 2, size: 200 };
    assert_eq!((anchor.incarnation, anchor.counter, anchor.size), (1, 2, 200));
    // The counter outside the disk says that there was another start.
    let restored = bench.copy(old);
    let log = restored.open(None).unwrap();
    assert!(log.damage[0].contains("turned back"), "{:?}", log.damage);
    log.close();
    let standing = restored.verify(&[]);
    assert_eq!((standing.incarnations, standing.newest.as_str()), (2, "3-0"), "{standing:?}");
    // Where the counter was put back with the disk, only what is kept elsewhere tells.
    let restored = bench.copy(image(&bench));
    let mut old = restored.open(None).unwrap();
    assert_eq!(old.damage, Vec::<String>::new());
    old.commit((0..300).map(line).collect()).unwrap();
    old.close();
    assert!(restored.verify(std::slice::from_ref(&anchor)).is_sound(), "it goes on from the anchor");
    let later = Checkpoint { counter: 9, ..anchor.clone() };
    assert!(!restored.verify(&[later]).is_sound());
    let other = Checkpoint { root: [1; 32], ..anchor };
    assert!(!restored.verify(&[other]).is_sound());
    assert!(anchored.size == 200);
}

#[test]
fn a_full_disk_uses_the_reserve_and_then_stops() {
    let bench = Bench::new("north");
    let mut log = bench.open(None).unwrap();
    assert!(!log.room().is_short);
    // Everybody else fills the disk to the last byte.
    let used: u64 = bench.options.ballast_bytes + bench.options.segment_bytes;
    bench.disk.set_capacity(Some(used));
    let mut durable = 0;
    while log.commit((0..10).map(line).collect()).is_ok() {
        durable += 10;
        assert!(durable < 10_000, "a disk has an end");
    }
    let per_line = (bench.options.ballast_bytes + bench.options.segment_bytes) / durable;
    println!("{durable} lines in the reserve, {per_line} bytes each");
    assert!(500 < durable, "the reserve is there to be used: {durable}");
    let known = log.acknowledged();
    assert_eq!(known.standing.size, durable);
    drop(log);
    // Full still: nothing is taken, nothing is lost.
    assert!(bench.open(Some(known)).is_err());
    bench.disk.set_capacity(None);
    let mut log = bench.open(Some(known)).unwrap();
    assert_eq!((log.damage.clone(), log.acknowledged().standing.size), (Vec::new(), durable));
    log.commit(vec![line(1)]).unwrap();
    log.close();
    assert!(bench.verify(&[]).is_sound());
}

/// Runs a trail through everything it does to a disk; returns the handles of lines that were acknowledged, and the
/// newest checkpoint.
fn life(bench: &Bench) -> (Vec<String>, Option<Checkpoint>, Option<Acknowledged>) {
    let (mut acknowledged, mut anchor, mut known) = (Vec::new(), None, None);
    for round in 0..3_usize {
        let Ok(mut log) = bench.open(known) else { continue };
        known = Some(log.acknowledged());
        for group in 0..6_usize {
            let lines: Vec<Line> = (0..6).map(|number| line(round * 1_000 + group * 100 + number)).collect();
            let handles: Vec<String> = lines.iter().map(|line| line.handle.clone()).collect();
            if log.commit(lines).is_err() {
                break;
            }
            acknowledged.extend(handles);
            known = Some(log.acknowledged());
            if group % 2 == 1 {
                let Ok(signed) = log.checkpoint() else { break };
                anchor = Some(signed.checkpoint);
                known = Some(log.acknowledged());
            }
        }
        if round == 1 {
            log.close();
            known = None;
        }
    }
    (acknowledged, anchor, known)
}

/// Everything that was acknowledged is there, in order, and verifies.
fn nothing_is_lost(
    bench: &Bench,
    (acknowledged, anchor, known): &(Vec<String>, Option<Checkpoint>, Option<Acknowledged>),
    what: &str,
) {
    let log = bench.open(*known).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(log.damage, Vec::<String>::new(), "{what}");
    log.close();
    let report = bench.verify(anchor.as_slice());
    assert!(report.is_sound(), "{what}: {report:?}");
    let mut there = Vec::new();
    for (_, lines, _) in files(&bench.disk) {
        for (_, frame) in scan::scan(&lines).frames {
            if let segment::Frame::Line(record, _) = frame {
                there.push(record.line.handle);
            }
        }
    }
    let mut rest = there.iter();
    for handle in acknowledged {
        assert!(rest.any(|there| there == handle), "{what}: {handle} is lost");
    }
}

#[test]
fn no_failing_call_loses_an_acknowledged_line() {
    let bench = Bench::new("north");
    life(&bench);
    let calls = bench.disk.calls().len() as u64;
    let mut fired = 0;
    for kind in FaultKind::ALL {
        for sticky in [false, true] {
            for at_call in 0..calls {
                let bench = Bench::new("north");
                bench.disk.inject(Some(DiskFault { at_call, kind, sticky }));
                let lived = life(&bench);
                fired += bench.disk.faults_fired();
                bench.disk.inject(None);
                let what = format!("{kind:?} at call {at_call} of {calls}, sticky {sticky}");
                nothing_is_lost(&bench, &lived, &what);
            }
        }
    }
    println!("{calls} calls, {fired} faults");
    assert!(100 < calls && calls * 3 < fired);
}

#[test]
fn no_power_cut_loses_an_acknowledged_line() {
    let bench = Bench::new("north");
    life(&bench);
    let calls = bench.disk.calls().len() as u64;
    for at_call in 0..calls {
        for seed in 0..4 {
            let bench = Bench::new("north");
            // From this call on nothing works any more: the power is gone.
            let (mut lived, cut) = life_until(&bench, at_call, seed);
            let after = bench.copy(cut);
            // Another program starts: it knows nothing from before.
            lived.2 = None;
            nothing_is_lost(&after, &lived, &format!("power cut at call {at_call}, seed {seed}"));
        }
    }
}

/// A life whose disk fails in everything from a call on; and the disk as it is found after that.
fn life_until(
    bench: &Bench,
    at_call: u64,
    seed: u64,
) -> ((Vec<String>, Option<Checkpoint>, Option<Acknowledged>), SimulatedDisk) {
    bench.disk.inject(Some(DiskFault { at_call, kind: FaultKind::InputOutput, sticky: true }));
    let mut acknowledged = Vec::new();
    let mut anchor = None;
    'rounds: for round in 0..3_usize {
        let Ok(mut log) = bench.open(None) else { break };
        for group in 0..6_usize {
            let lines: Vec<Line> = (0..6).map(|number| line(round * 1_000 + group * 100 + number)).collect();
            let handles: Vec<String> = lines.iter().map(|line| line.handle.clone()).collect();
            if log.commit(lines).is_err() {
                break 'rounds;
            }
            acknowledged.extend(handles);
            if group % 2 == 1 {
                let Ok(signed) = log.checkpoint() else { break 'rounds };
                anchor = Some(signed.checkpoint);
            }
            if 0 < bench.disk.faults_fired() {
                break 'rounds;
            }
        }
        if round == 1 {
            log.close();
        }
    }
    let cut = bench.disk.after_power_cut(&mut Entropy::from_seed(seed));
    ((acknowledged, anchor, None), cut)
}

#[tokio::test]
async fn a_failing_disk_stops_disclosure_until_it_is_mended() {
    let bench = Bench::new("north");
    let audit = bench.start();
    audit.write(line(1)).await.unwrap();
    bench.disk.inject(Some(DiskFault { at_call: 0, kind: FaultKind::InputOutput, sticky: true }));
    assert_eq!(audit.write(line(2)).await, Err(AuditStopped));
    assert_eq!(audit.write(line(3)).await, Err(AuditStopped));
    assert!(audit.status().stopped.is_some());
    audit.note_line(line(4));
    bench.disk.inject(None);
    assert_eq!(audit.write(line(5)).await, Err(AuditStopped), "the disk has a pause");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    audit.maintain().await.unwrap();
    assert_eq!(audit.status().stopped, None);
    let written = audit.write(line(6)).await.unwrap();
    assert_eq!(written.id().incarnation, 1);
    let there = audit.after(LineId::default(), 100).unwrap();
    let handles: Vec<&str> = there.iter().map(|found| found.line.handle.as_str()).collect();
    assert_eq!(handles, ["", "p-1", "", "p-4", "p-6"]);
    audit.close().await;
    assert!(bench.verify(&[]).is_sound());
}

#[tokio::test]
async fn damage_of_an_acknowledged_line_begins_the_trail_anew_and_keeps_the_rest_readable() {
    let bench = Bench::new("north");
    let audit = bench.start();
    for number in 0..40 {
        audit.write(line(number)).await.unwrap();
    }
    drop(audit);
    std::thread::sleep(Duration::from_millis(20));
    // In the middle of the newest segment, which has no index yet if the program was killed.
    drop(bench.disk.remove(&Path::new(FOLDER).join(index_name(1))));
    bench.disk.damage(&Path::new(FOLDER).join(file_name(1)), HEADER_BYTES + 6_000);
    let audit = bench.start();
    let status = audit.status();
    assert_eq!(status.damage.len(), 1, "{status:?}");
    assert_eq!(status.standing.incarnation, 2);
    assert_eq!(audit.write(line(99)).await.unwrap().id().to_string(), "2-2");
    let seen = audit.find_by_patient(&patient(1), None, 100).unwrap();
    assert!(9 <= seen.len(), "one line is lost, and not those behind it: {}", seen.len());
    audit.close().await;
    let audit = bench.start();
    assert_eq!(audit.status().damage, Vec::<String>::new(), "it is known by now");
    assert_eq!(audit.status().standing.incarnation, 2);
    audit.close().await;
    let report = bench.verify(&[]);
    assert!(!report.is_sound() && report.faults[0].behind.starts_with("1-"), "{report:?}");
}

#[tokio::test]
async fn a_trail_whose_key_is_gone_begins_anew() {
    let mut bench = Bench::new("north");
    let audit = bench.start();
    audit.close().await;
    bench.signer = Arc::new(FileSigner::new(FileKey::fleeting().unwrap()));
    let audit = bench.start();
    assert_eq!(audit.status().standing.incarnation, 2);
    audit.close().await;
}

/// A million lines on a real disk: how long a start takes, and what it costs in bytes. Run it by name.
#[test]
#[ignore = "takes a minute and 500 MB of disk"]
fn a_million_lines_open_in_seconds() {
    let folder = std::env::temp_dir().join(format!("polygate-audit-{}", std::process::id()));
    let bench = Bench::new("north");
    let signer = Arc::clone(&bench.signer);
    let parts = Arc::new(Parts {
        disk: Arc::new(RealDisk),
        directory: folder.clone(),
        options: Options::default(),
        signer: Box::new(move || Ok(Arc::clone(&signer))),
        ..bench.parts()
    });
    let shared = Arc::new(Shared::new(parts.hub.clone(), Arc::clone(&parts.disk), folder.clone()));
    let mut log = Log::open(&parts, &shared, None).unwrap();
    let began = std::time::Instant::now();
    for group in 0..4_000 {
        log.commit((group * 250..(group + 1) * 250).map(line).collect()).unwrap();
        if group % 4 == 3 {
            log.checkpoint().unwrap();
        }
    }
    println!("written in {:?}", began.elapsed());
    log.close();
    let bytes: u64 =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("{} bytes a line", (bytes - parts.options.ballast_bytes) / 1_000_000);
    let began = std::time::Instant::now();
    let log = Log::open(&parts, &shared, None).unwrap();
    println!("opened in {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30));
    drop(log);
    let began = std::time::Instant::now();
    assert!(verify_disk(&RealDisk, &folder, &bench.hub, bench.signer.key(), &[]).is_sound());
    println!("verified in {:?}", began.elapsed());
    std::fs::remove_dir_all(&folder).unwrap();
}
