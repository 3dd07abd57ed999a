//! The trail against every flipped bit, cut end, spliced file, turned-back clock and disk.

mod disk;

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    fake::{Bench, FOLDER, NOW, line, patient, verify_disk},
    key::FileSigner,
    log::Log,
    segment::{HEADER_BYTES, file_name, index_name},
    shared::Shared,
    verify::Pass,
    *,
};
use crate::{
    access::audit::{Checkpoint, tree::leaf_hash, verify_consistency, verify_inclusion},
    domain::time::Timestamp,
    sys::{
        disk::{RealDisk, read_file, write_all_at},
        entropy::Entropy,
        signing::FileKey,
        sim_disk::SimulatedDisk,
    },
};

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
async fn a_damaged_line_hides_no_other() {
    let bench = Bench::new("north");
    let audit = bench.start();
    for number in 0..40 {
        audit.write(line(number)).await.unwrap();
    }
    bench.disk.damage(&Path::new(FOLDER).join(file_name(1)), HEADER_BYTES + 6_000);
    assert_eq!(audit.after(LineId::default(), 100).unwrap().len(), 40);
    let found = (0..4).map(|number| audit.find_by_patient(&patient(number), None, 100).unwrap().len());
    assert_eq!(found.sum::<usize>(), 39);
    let report = audit.verify(None).unwrap();
    let bad: LineId = report.first_bad.unwrap().parse().unwrap();
    assert_eq!(audit.line(bad).unwrap_err().kind(), io::ErrorKind::InvalidData);
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
    let began = tokio::time::Instant::now();
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
    let began = tokio::time::Instant::now();
    let log = Log::open(&parts, &shared, None).unwrap();
    println!("opened in {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30));
    drop(log);
    let began = tokio::time::Instant::now();
    assert!(verify_disk(&RealDisk, &folder, &bench.hub, bench.signer.key(), &[]).is_sound());
    println!("verified in {:?}", began.elapsed());
    std::fs::remove_dir_all(&folder).unwrap();
}
