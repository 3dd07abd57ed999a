//! kill -9 of everything there is, at random moments under load.

use std::{collections::BTreeSet, thread::sleep, time::Duration};

use polygate::sys::entropy::Entropy;

use crate::{
    setting,
    stage::{CentreProgram, HubProgram, Load, until},
    support::{Directory, issue_all, mosquitto::Mosquitto, postgres::Postgres, program::lasting_port},
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Victim {
    Hub,
    Centre,
    Broker,
    Database,
}

/// Everything that can be killed.
struct Everything {
    hub: HubProgram,
    centre: CentreProgram,
    broker: Option<Mosquitto>,
    broker_port: u16,
    database: Option<Postgres>,
    directory: Directory,
    looks: usize,
}

impl Everything {
    fn start(database: Option<Postgres>) -> Option<Self> {
        let directory = Directory::new();
        issue_all(directory.path(), &["soho"]);
        let broker_port = lasting_port();
        let broker = Mosquitto::start(directory.path(), Some(broker_port))?;
        let store = match &database {
            Some(database) => format!("postgres = \"{}\"", database.url()),
            None => "embedded = \"centre\"".to_owned(),
        };
        let state = directory.path().join("soho");
        let mut hub = HubProgram::prepare(directory.path(), &state, broker_port, "capacity-mib = 512");
        hub.start_and_wait();
        let mut centre = CentreProgram::prepare(directory.path(), broker_port, &store);
        centre.start();
        Some(Self { hub, centre, broker: Some(broker), broker_port, database, directory, looks: 0 })
    }

    fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Hub => self.hub.kill9(),
            Victim::Centre => self.centre.kill9(),
            Victim::Broker => self.broker = None,
            Victim::Database => self.database.iter_mut().for_each(Postgres::kill9),
        }
    }

    fn start_again(&mut self, victim: Victim) {
        match victim {
            Victim::Hub => self.hub.start_and_wait(),
            Victim::Centre => {}
            Victim::Broker => self.broker = Mosquitto::start(self.directory.path(), Some(self.broker_port)),
            Victim::Database => self.database.iter_mut().for_each(Postgres::restart),
        }
        // It may also have ended because its database was away when it started: then it is started again, as
        // systemd would.
        self.centre.start();
    }

    /// Has an operator look into the audit trail, which is a line of it; counts those who were answered.
    fn look(&mut self) {
        for _ in 0..3 {
            self.looks += self.hub.ask(&["audit", "show", "1-1"]).len();
        }
    }

    /// Random rounds of killing one or two of them; returns how often each was killed.
    fn rounds(&mut self, count: u64, entropy: &mut Entropy) -> Vec<(Victim, u64)> {
        let mut victims = vec![Victim::Hub, Victim::Centre, Victim::Broker];
        victims.extend(self.database.is_some().then_some(Victim::Database));
        let mut kills: Vec<(Victim, u64)> = victims.iter().map(|victim| (*victim, 0)).collect();
        for round in 0..count {
            // Everyone has a turn first; then chance decides.
            let turn = usize::try_from(round).unwrap();
            let first = *victims.get(turn).unwrap_or_else(|| entropy.pick(&victims).unwrap());
            let second = *entropy.pick(&victims).unwrap();
            sleep(Duration::from_millis(50 + entropy.below(900)));
            self.look();
            self.kill(first);
            sleep(Duration::from_millis(entropy.below(300)));
            if first != second {
                self.kill(second);
                sleep(Duration::from_millis(entropy.below(300)));
                self.start_again(second);
            }
            self.start_again(first);
            for victim in [Some(first), (first != second).then_some(second)].into_iter().flatten() {
                kills.iter_mut().filter(|(name, _)| *name == victim).for_each(|(_, count)| *count += 1);
            }
        }
        kills
    }
}

#[test]
fn nothing_is_lost_or_doubled_with_the_embedded_store() {
    if let Some(everything) = Everything::start(None) {
        run(everything, setting("POLYGATE_SEED", 1));
    }
}

#[test]
fn nothing_is_lost_or_doubled_with_postgresql() {
    let Some(database) = Postgres::start() else { return };
    if let Some(everything) = Everything::start(Some(database)) {
        run(everything, setting("POLYGATE_SEED", 2));
    }
}

fn run(mut everything: Everything, seed: u64) {
    let mut entropy = Entropy::from_seed(seed);
    let mut load = Load::start(&everything.hub, "", seed, Duration::from_millis(4));
    until("messages are accepted", || 100 < load.accepted.lock().unwrap().len());
    let kills = everything.rounds(setting("POLYGATE_ROUNDS", 12), &mut entropy);
    let repeats = load.finish();
    // A last time, so that nobody still waits from a long row of failures.
    for victim in [Victim::Hub, Victim::Centre] {
        everything.kill(victim);
        everything.start_again(victim);
    }
    let accepted = load.accepted_now();
    let mut missing: BTreeSet<_> = accepted.clone();
    until(&format!("{} messages are at the centre", accepted.len()), || {
        let there = everything.centre.entries();
        missing.retain(|name| !there.contains_key(name));
        sleep(Duration::from_millis(300));
        missing.is_empty()
    });
    until("the hub knows that everything arrived", || {
        everything.hub.ask(&["queue"]).iter().flat_map(queued).sum::<u64>() == 0
    });
    let there = everything.centre.entries();
    let lost: Vec<_> = accepted.iter().filter(|name| !there.contains_key(name)).collect();
    let doubled: Vec<_> = there.iter().filter(|(_, places)| places.len() != 1).collect();
    println!(
        "seed {seed}: {kills:?}; {} accepted, {} at the centre, {} lost, {} doubled, {repeats} repeats",
        accepted.len(),
        there.len(),
        lost.len(),
        doubled.len(),
    );
    let (some_lost, some_doubled) = (&lost[..lost.len().min(5)], &doubled[..doubled.len().min(5)]);
    assert!(lost.is_empty(), "lost {some_lost:?}\n{}\n{}", everything.hub.said(), everything.centre.said());
    assert!(doubled.is_empty(), "doubled {some_doubled:?}\n{}", everything.hub.said());
    nobody_looked_unnoticed(&everything);
}

/// Every look that was answered is on record, nothing in the trail is wrong, and the centre has all of it.
fn nobody_looked_unnoticed(everything: &Everything) {
    let looks = everything.looks;
    let report = &everything.hub.ask(&["audit", "verify"])[0];
    assert_eq!(report["fault_count"], 0, "{report}\n{}", everything.hub.said());
    let lines = everything.hub.ask(&["audit", "export"]);
    let shown = lines.iter().filter(|line| line["deed"] == "audit.show").count();
    println!("{looks} looks answered, {shown} on record, {} lines", lines.len());
    assert!(0 < looks && looks <= shown);
    until("the trail is at the centre", || {
        sleep(Duration::from_millis(300));
        let trail = everything.centre.trail("soho");
        assert_eq!(trail["troubles"].as_array().map(Vec::len), Some(0), "{trail}");
        looks as u64 <= trail["lines"].as_u64().unwrap()
    });
}

/// The entries that one answer of `queue` says wait.
fn queued(answer: &serde_json::Value) -> Vec<u64> {
    let one = |row: &serde_json::Value| row["entries"].as_u64().expect("entries");
    answer.as_array().map_or_else(|| vec![one(answer)], |rows| rows.iter().map(one).collect())
}
