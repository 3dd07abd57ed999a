//! Every call to the disk fails, once and stickily, while messages come in, are answered, and are recovered:
//! bytes in, bytes out, through the journal's own thread.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use polygate::{
    journal::{LogReader, Options, Position, open_for_reading},
    sys::{
        entropy::Entropy,
        sim_disk::{Fault, FaultKind, SimulatedDisk},
    },
    systems::simulator::traffic::{Message, Traffic, Voice},
};
use tokio::runtime::Runtime;

use crate::inside::{Life, NOW, STATE, contents};

const LIVES: u64 = 3;
const MESSAGES_EACH_LIFE: usize = 24;
const MESSAGES_TOGETHER: usize = 4;

/// Small, so that a life has several segments.
fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        capacity_bytes: 1 << 20,
        retain_bytes: 0,
        floor_bytes: 0,
        ballast_bytes: 4096,
        ..Options::default()
    }
}

/// What one whole run came to.
struct Run {
    /// Calls to the disk in each life.
    calls: Vec<u64>,
    fired: u64,
    /// A segment that could not be read at four attempts was set aside, and said so.
    set_aside: bool,
}

/// Lives in which the disk may fail in one, each ended by a power cut or, one of them, in good order; then one
/// more in which all is well.
fn run(runtime: &Runtime, seed: u64, strike: Option<(u64, Fault)>) -> Run {
    let mut entropy = Entropy::from_seed(seed);
    let mut disk = SimulatedDisk::default();
    let mut traffic = Traffic::new(Voice::SecondaryCare, "M", 20, seed);
    let mut messages: Vec<Message> = Vec::new();
    let mut accepted = BTreeSet::new();
    let (mut calls, mut fired) = (Vec::new(), 0);
    for life in 0..=LIVES {
        let fault = strike.filter(|(of, _)| *of == life).map(|(_, fault)| fault);
        disk.inject(fault);
        messages.extend((0..MESSAGES_EACH_LIFE).map(|_| traffic.next(NOW)));
        let lived = Life::start(&disk, &options());
        if let Some(mut lived) = lived {
            runtime.block_on(async {
                live(&mut lived, &messages, &mut accepted).await;
                if life == 1 {
                    lived.hub.close().await;
                }
            });
            calls.push(disk.calls().len() as u64);
            fired += disk.faults_fired();
            // The power goes while the journal's thread still waits for more.
            disk = disk.after_power_cut(&mut entropy);
            drop(lived);
        } else {
            assert!(fault.is_some(), "a healthy disk, and the hub does not start");
            calls.push(disk.calls().len() as u64);
            fired += disk.faults_fired();
            disk = disk.after_power_cut(&mut entropy);
        }
        let set_aside = disk.has_extension(&Path::new(STATE).join("journal"), "damaged");
        check(&disk, &accepted, set_aside, &format!("seed {seed}, life {life}, {strike:?}"));
    }
    let set_aside = disk.has_extension(&Path::new(STATE).join("journal"), "damaged");
    assert_eq!(accepted.len(), messages.len(), "{strike:?}: in the last life everything is accepted");
    Run { calls, fired, set_aside }
}

/// Sends whatever was not accepted yet, twice over, as senders do.
async fn live(life: &mut Life, messages: &[Message], accepted: &mut BTreeSet<String>) {
    for _ in 0..2 {
        let waiting: Vec<&Message> =
            messages.iter().filter(|it| !accepted.contains(&it.control_id)).collect();
        for together in waiting.chunks(MESSAGES_TOGETHER) {
            accepted.extend(life.send(together).await);
        }
        assert!(life.journal.maintain().await.is_ok());
    }
    // One that was accepted comes once more: it is accepted again, without effect, or cannot be for now.
    if let Some(message) = messages.iter().find(|it| accepted.contains(&it.control_id)) {
        drop(life.send(&[message]).await);
    }
}

/// Everything accepted is in the journal, and nothing is twice.
fn check(disk: &SimulatedDisk, accepted: &BTreeSet<String>, set_aside: bool, what: &str) {
    // A copy, so that looking changes nothing.
    let copy = disk.after_power_cut(&mut Entropy::from_seed(0));
    let directory = Path::new(STATE).join("journal");
    let found = match open_for_reading(Arc::new(copy), &directory) {
        Ok(shared) => contents(LogReader::new(shared, Position::default())),
        Err(error) => panic!("{what}: {error}"),
    };
    let lost: Vec<&String> = accepted.iter().filter(|name| !found.contains_key(*name)).collect();
    assert!(lost.is_empty() || set_aside, "{what}: lost {lost:?}");
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty() || set_aside, "{what}: doubled {doubled:?}");
}

#[test]
fn every_failing_call_between_bytes_in_and_bytes_out_is_survived() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls = run(&runtime, 1, None).calls;
    let (mut runs, mut fired, mut set_aside) = (0_u64, 0_u64, 0_u64);
    for life in 0..LIVES {
        for at_call in 0..calls[usize::try_from(life).unwrap()] {
            for kind in FaultKind::ALL {
                for sticky in [false, true] {
                    let run = run(&runtime, 1, Some((life, Fault { at_call, kind, sticky })));
                    runs += 1;
                    fired += u64::from(0 < run.fired);
                    set_aside += u64::from(run.set_aside);
                }
            }
        }
    }
    let sites: u64 = calls.iter().take(3).sum();
    println!(
        "{sites} calls x {} kinds x once and stickily: {runs} runs, {fired} with a fault, {set_aside} set something aside",
        FaultKind::ALL.len(),
    );
    assert_eq!(fired, runs);
}
