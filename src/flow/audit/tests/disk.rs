//! The trail on a disk that is full, fails at every call, or loses its power at any of them.

use std::time::Duration;

use super::{
    super::{
        AuditStopped, LineId,
        fake::{Bench, line},
        opening::Acknowledged,
        scan, segment,
    },
    files,
};
use crate::{
    access::audit::{Checkpoint, Line},
    sys::{
        entropy::Entropy,
        sim_disk::{Fault as DiskFault, FaultKind, SimulatedDisk},
    },
};

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

/// Handles of lines that were acknowledged, the newest checkpoint, and what the program knows to be durable.
type Lived = (Vec<String>, Option<Checkpoint>, Option<Acknowledged>);

/// Runs a trail through everything it does to a disk; returns the handles of lines that were acknowledged, and the
/// newest checkpoint.
fn life(bench: &Bench) -> Lived {
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
fn nothing_is_lost(bench: &Bench, (acknowledged, anchor, known): &Lived, what: &str) {
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
                let mut lived = life(&bench);
                if at_call % 2 == 0 {
                    // Killed, and started again: it knows nothing from before.
                    lived.2 = None;
                }
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
fn life_until(bench: &Bench, at_call: u64, seed: u64) -> (Lived, SimulatedDisk) {
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
