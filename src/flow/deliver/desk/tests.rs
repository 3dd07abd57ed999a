//! A desk on a disk that tears, fails and loses power, before a receiver that takes each message once.

use super::*;
use crate::{
    codec::cbor,
    domain::{
        nhs_number::InvalidNhsNumber,
        record::{Identifier, ItemChange, ItemKind},
        time::ClockQuality,
    },
    flow::deliver::routes::{NoRegistrations, Route, To, What},
    journal::{Append, Lane, Log, Options, Verdict},
    sys::sim_disk::{Fault, FaultKind, SimulatedDisk},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const CONSUMER: &str = "deliver-emis";

/// A message of these patients, named by a number.
fn entry(number: u64, patients: &str) -> Entry {
    Entry {
        kind: "ORU^R01".to_owned(),
        system: "xn".to_owned(),
        source_id: number.to_string(),
        patient: None,
        at: NOW,
        clock: ClockQuality::Synchronised,
        body: Bytes::new(),
        raw: Some(Bytes::copy_from_slice(patients.as_bytes())),
    }
}

fn translate(entry: &Entry) -> Option<Event> {
    let text = String::from_utf8(entry.raw.clone()?.to_vec()).ok()?;
    let identifier =
        |value: &str| Identifier { value: value.to_owned(), authority: String::new(), kind: String::new() };
    Some(Event {
        kind: entry.kind.clone(),
        class: Class::Clinical,
        source_id: entry.source_id.clone(),
        sender: String::new(),
        occurred: None,
        nhs_number: Err(InvalidNhsNumber::Absent),
        identifiers: text.split_whitespace().map(identifier).collect(),
        merged: Vec::new(),
        items: vec![ItemChange::new(ItemKind::Result, entry.source_id.clone(), Vec::new())],
        withdraws: Vec::new(),
        faults: Vec::new(),
    })
}

struct Bench {
    disk: SimulatedDisk,
    log: Log,
    desk: Desk,
    now: Duration,
    entropy: Entropy,
    appended: u64,
    capacity_bytes: u64,
}

impl Bench {
    fn new(disk: SimulatedDisk) -> Self {
        Self::with_capacity(disk, 4 << 20)
    }

    fn with_capacity(disk: SimulatedDisk, capacity_bytes: u64) -> Self {
        let (log, desk) = open(&disk, capacity_bytes).unwrap();
        let entropy = Entropy::from_seed(3);
        Self { disk, log, desk, now: Duration::ZERO, entropy, appended: 0, capacity_bytes }
    }

    /// Appends a message until the journal takes it.
    fn append(&mut self, patients: &str) -> u64 {
        self.appended += 1;
        let payload = Bytes::from(cbor::encode(&entry(self.appended, patients)).unwrap());
        let identity = Some(Identity::of(&[b"xn", &self.appended.to_be_bytes()], &payload));
        for _ in 0..100 {
            let append = Append { lane: Lane::of(Class::Clinical), identity, payload: payload.clone() };
            match self.log.commit(&[append], NOW)[0] {
                Verdict::Committed(_) | Verdict::Duplicate => return self.appended,
                _ => self.log.maintain(Timestamp(NOW.0 + 60_000)),
            }
        }
        panic!("the journal takes nothing");
    }

    fn turn(&mut self, answers: &[(Order, Answer)]) -> io::Result<Vec<(Order, Parcel)>> {
        let turn = self.desk.turn(answers, 2, (self.now, NOW), &mut self.entropy)?;
        self.log.advance(CONSUMER, turn.low);
        Ok(turn.parcels)
    }

    /// The hub ends in good order, and starts again.
    fn restart(&mut self) {
        self.desk.save().unwrap();
        let (elsewhere, _) = open(&SimulatedDisk::default(), 1 << 20).unwrap();
        std::mem::replace(&mut self.log, elsewhere).close();
        (self.log, self.desk) = open(&self.disk, self.capacity_bytes).unwrap();
    }

    /// The power goes, and comes back.
    fn crash(&mut self, dice: &mut Entropy) {
        self.disk = self.disk.after_power_cut(dice);
        (self.log, self.desk) = open(&self.disk, self.capacity_bytes).unwrap();
    }

    fn parked(&self) -> Vec<String> {
        self.desk.parked().into_iter().map(|(_, note, _)| note.source_id).collect()
    }
}

fn open(disk: &SimulatedDisk, capacity_bytes: u64) -> io::Result<(Log, Desk)> {
    let shared_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = Options {
        segment_bytes: 16 << 10,
        capacity_bytes,
        retain_bytes: 0,
        floor_bytes: 0,
        ballast_bytes: 4096,
        consumers: vec![CONSUMER.to_owned()],
        salvage: false,
    };
    let (log, _) =
        Log::open(Arc::clone(&shared_disk), Path::new("/journal"), options, NOW, Entropy::from_seed(5))?;
    let routes = [Route { from: vec![], what: vec![What::Results], to: To::Named("emis".to_owned()) }];
    let tools = Tools {
        shared: log.shared(),
        disk: shared_disk,
        translate,
        registrations: Arc::new(NoRegistrations),
        routes: Routes::to("emis", None, &routes),
        pace: Pace { window: 2, ..Pace::default() },
        consumer: CONSUMER.to_owned(),
        directory: PathBuf::from("/deliver/emis"),
    };
    Ok((log, Desk::open(tools)?))
}

fn number(parcel: &Parcel) -> u64 {
    parcel.entry.source_id.parse().unwrap()
}

fn accept(parcels: &[(Order, Parcel)]) -> Vec<(Order, Answer)> {
    parcels.iter().map(|(order, _)| (*order, Answer::Accepted)).collect()
}

/// Sends everything there is to a receiver that takes all; returns what it got.
fn drain(bench: &mut Bench) -> Vec<u64> {
    let (mut got, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..10_000 {
        let parcels = bench.turn(&answers).unwrap();
        got.extend(parcels.iter().map(|(_, parcel)| number(parcel)));
        if parcels.is_empty() && answers.is_empty() {
            match bench.desk.lanes.deadline() {
                Some(deadline) if bench.now < deadline => bench.now = deadline,
                Some(_) => {}
                None => return got,
            }
        }
        answers = accept(&parcels);
    }
    panic!("it never ends");
}

#[test]
fn a_new_destination_begins_with_what_comes_from_now_on() {
    let disk = SimulatedDisk::default();
    let (mut log, desk) = open(&disk, 1 << 20).unwrap();
    drop(desk);
    disk.remove(Path::new("/deliver/emis/state")).unwrap();
    let payload = Bytes::from(cbor::encode(&entry(1, "a")).unwrap());
    log.commit(&[Append { lane: Lane::of(Class::Clinical), identity: None, payload }], NOW);
    log.close();
    let mut bench = Bench::new(disk);
    bench.appended = 1;
    bench.append("a");
    assert_eq!(drain(&mut bench), [2]);
}

#[test]
fn after_a_clean_restart_nothing_that_was_taken_is_sent_again() {
    let mut bench = Bench::new(SimulatedDisk::default());
    for patient in ["a", "b", "a", "c"] {
        bench.append(patient);
    }
    let parcels = bench.turn(&[]).unwrap();
    assert_eq!(parcels.iter().map(|(_, parcel)| number(parcel)).collect::<Vec<_>>(), [1, 2]);
    let answers = [(parcels[1].0, Answer::Accepted)];
    bench.desk.turn(&answers, 0, (bench.now, NOW), &mut bench.entropy).unwrap();
    bench.restart();
    assert_eq!(drain(&mut bench), [1, 4, 3], "2 is done with; 1 was not answered");
    bench.restart();
    assert_eq!(drain(&mut bench), [0_u64; 0]);
}

#[test]
fn what_is_parked_and_what_waits_behind_it_holds_no_journal_and_survives() {
    let mut bench = Bench::new(SimulatedDisk::default());
    bench.append("poison");
    let parcels = bench.turn(&[]).unwrap();
    bench.turn(&[(parcels[0].0, Answer::Stop("AR 101".to_owned()))]).unwrap();
    for _ in 0..300 {
        bench.append("well");
    }
    bench.append("poison");
    assert_eq!(drain(&mut bench).len(), 300);
    for lane in Class::ALL {
        for stream in bench.log.shared().streams(Lane::of(lane)) {
            bench.log.release(stream.epoch, Lane::of(lane), u64::MAX);
        }
    }
    bench.desk.save().unwrap();
    let parcels = bench.turn(&[]).unwrap();
    assert!(parcels.is_empty());
    bench.log.maintain(Timestamp(NOW.0 + 60_000));
    assert!(bench.log.shared().status().segments <= 2, "{}", bench.log.shared().status().segments);
    bench.restart();
    assert_eq!((bench.parked(), bench.desk.held()), (vec!["1".to_owned()], 1));
    let (order, note, behind) = bench.desk.parked().remove(0);
    assert_eq!((note.parked.as_deref(), behind), (Some("AR 101"), 1));
    assert!(bench.desk.release(order, NOW).unwrap());
    assert!(!bench.desk.release(order, NOW).unwrap(), "it is not parked any more");
    bench.restart();
    assert_eq!(drain(&mut bench), [1, 302]);
    bench.restart();
    assert_eq!(drain(&mut bench), [0_u64; 0]);
}

#[test]
fn a_skipped_message_is_gone_for_good_and_the_next_one_goes() {
    let mut bench = Bench::new(SimulatedDisk::default());
    bench.append("a");
    bench.append("a");
    let parcels = bench.turn(&[]).unwrap();
    bench.turn(&[(parcels[0].0, Answer::Stop("AR 101".to_owned()))]).unwrap();
    assert!(bench.desk.skip(parcels[0].0).unwrap());
    bench.restart();
    assert_eq!(bench.parked(), [""; 0]);
    assert_eq!(drain(&mut bench), [2]);
}

#[test]
fn a_message_sent_again_goes_behind_what_is_there_under_its_own_name() {
    let mut bench = Bench::new(SimulatedDisk::default());
    bench.append("a");
    let parcels = bench.turn(&[]).unwrap();
    let first = parcels[0].1.clone();
    bench.turn(&accept(&parcels)).unwrap();
    bench.append("a");
    bench.desk.resend(&first.attempt_id, Class::Clinical, (*first.entry).clone(), NOW).unwrap();
    bench.append("a");
    bench.restart();
    let mut seen = Vec::new();
    let mut answers = Vec::new();
    while seen.len() < 3 {
        let parcels = bench.turn(&answers).unwrap();
        seen.extend(parcels.iter().map(|(_, parcel)| (number(parcel), parcel.attempt_id.clone())));
        answers = accept(&parcels);
    }
    assert_eq!(seen.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 1, 3]);
    assert_eq!(seen[1].1, first.attempt_id);
    bench.turn(&answers).unwrap();
    bench.restart();
    assert_eq!(drain(&mut bench), [0_u64; 0]);
}

#[test]
fn one_that_is_overtaken_for_long_gets_a_copy_and_lets_the_journal_go() {
    let mut bench = Bench::with_capacity(SimulatedDisk::default(), 16 << 20);
    bench.append("slow");
    let parcels = bench.turn(&[]).unwrap();
    let mut answers = vec![(parcels[0].0, Answer::Again("AE 206".to_owned()))];
    for _ in 0..FINISHED_FEW + 600 {
        bench.append("well");
    }
    let mut got = 0;
    // The clock stands still: the slow one waits.
    loop {
        let parcels = bench.turn(&answers).unwrap();
        got += parcels.len();
        answers = accept(&parcels);
        if parcels.is_empty() && got == FINISHED_FEW + 600 {
            break;
        }
    }
    assert!(bench.desk.finished.len() <= FINISHED_FEW, "{}", bench.desk.finished.len());
    bench.restart();
    assert_eq!(drain(&mut bench), [1]);
}

#[test]
fn a_destination_that_is_down_blocks_no_intake_and_says_what_it_missed() {
    let mut bench = Bench::with_capacity(SimulatedDisk::default(), 128 << 10);
    let parcels = bench.turn(&[]).unwrap();
    assert!(parcels.is_empty());
    for _ in 0..3000 {
        bench.append("a");
        for stream in bench.log.shared().streams(Lane::of(Class::Clinical)) {
            bench.log.release(stream.epoch, Lane::of(Class::Clinical), u64::MAX);
        }
    }
    let got = drain(&mut bench);
    assert!(got.windows(2).all(|pair| pair[0] < pair[1]) && got.last() == Some(&3000));
    assert_eq!(bench.log.shared().overtaken(CONSUMER), 3000 - got.len() as u64);
}

#[test]
fn a_journal_that_was_lost_costs_no_copy() {
    let mut bench = Bench::new(SimulatedDisk::default());
    for _ in 0..200 {
        bench.append("well");
    }
    drain(&mut bench);
    bench.append("poison");
    let parcels = bench.turn(&[]).unwrap();
    bench.turn(&[(parcels[0].0, Answer::Stop("AR 101".to_owned()))]).unwrap();
    bench.restart();
    for name in bench.disk.list(Path::new("/journal")).unwrap() {
        bench.disk.remove(&Path::new("/journal").join(name)).unwrap();
    }
    (bench.log, bench.desk) = open(&bench.disk, 1 << 20).unwrap();
    assert_eq!(bench.parked(), ["201"]);
    bench.append("new");
    assert_eq!(drain(&mut bench), [202]);
    let order = bench.desk.parked()[0].0;
    assert!(bench.desk.release(order, NOW).unwrap());
    assert_eq!(drain(&mut bench), [201]);
}

/// A receiver that takes each message once, and answers as it likes.
#[derive(Default)]
struct Receiver {
    /// What took effect, in order.
    effects: Vec<u64>,
    /// How often a message came that had been answered as taken.
    doubles: BTreeMap<u64, u64>,
    answered: BTreeSet<u64>,
    names: BTreeMap<u64, String>,
}

impl Receiver {
    fn take(&mut self, parcel: &Parcel, poison: bool, dice: &mut Entropy) -> Answer {
        let number = number(parcel);
        let name = self.names.entry(number).or_insert_with(|| parcel.attempt_id.clone());
        assert_eq!(*name, parcel.attempt_id, "it is called the same at every attempt");
        if self.answered.contains(&number) {
            *self.doubles.entry(number).or_default() += 1;
        }
        if poison {
            return Answer::Stop("AR 101".to_owned());
        }
        let again = || Answer::Again("no answer".to_owned());
        match dice.below(6) {
            0 => return again(),
            1 => {
                self.effect(number);
                return again();
            }
            _ => self.effect(number),
        }
        self.answered.insert(number);
        Answer::Accepted
    }

    fn effect(&mut self, number: u64) {
        if !self.effects.contains(&number) {
            self.effects.push(number);
        }
    }
}

/// One life of many crashes and faults. Returns how many messages came again after they had been answered.
fn live(seed: u64) -> u64 {
    let mut dice = Entropy::from_seed(seed);
    let mut bench = Bench::new(SimulatedDisk::default());
    let mut receiver = Receiver::default();
    let mut patients: BTreeMap<u64, String> = BTreeMap::new();
    let (mut flying, mut crashes): (Vec<(Order, Parcel)>, u64) = (Vec::new(), 0);
    let mut answers = Vec::new();
    for step in 0..400 {
        match dice.below(24) {
            0..6 if patients.len() < 60 => {
                let names = format!("p{} p{}", dice.below(9), dice.below(9));
                let number = bench.append(&names);
                patients.insert(number, names);
            }
            6 if step % 3 == 0 => {
                bench.crash(&mut dice);
                crashes += 1;
                flying.clear();
                answers.clear();
            }
            7 => {
                let kind = *dice.pick(&FaultKind::ALL).unwrap();
                bench.disk.inject(Some(Fault { at_call: dice.below(12), kind, sticky: false }));
            }
            8 => {
                let parked: Vec<Order> = bench.desk.parked().into_iter().map(|(order, ..)| order).collect();
                if let Some(order) = dice.pick(&parked) {
                    // If the disk fails now, it is tried again later.
                    drop(bench.desk.release(*order, NOW));
                }
            }
            _ => {
                bench.now += Duration::from_millis(dice.below(3000));
                if let Some(one) = (!flying.is_empty()).then(|| dice.below(flying.len() as u64)) {
                    let (order, parcel) = flying.swap_remove(usize::try_from(one).unwrap());
                    let poison = number(&parcel).is_multiple_of(7) && step < 300;
                    answers.push((order, receiver.take(&parcel, poison, &mut dice)));
                }
                let idle = 2 - flying.len();
                let due = std::mem::take(&mut answers);
                if let Ok(turn) = bench.desk.turn(&due, idle, (bench.now, NOW), &mut bench.entropy) {
                    flying.extend(turn.parcels);
                    bench.log.advance(CONSUMER, turn.low);
                }
            }
        }
    }
    bench.disk.inject(None);
    bench.restart();
    for _ in 0..10_000 {
        for (order, ..) in bench.desk.parked() {
            assert!(bench.desk.release(order, NOW).unwrap());
        }
        let parcels = bench.turn(&answers).unwrap();
        answers = parcels.iter().map(|(order, p)| (*order, receiver.take(p, false, &mut dice))).collect();
        if parcels.is_empty() {
            match bench.desk.lanes.deadline() {
                Some(deadline) => bench.now = bench.now.max(deadline),
                None => break,
            }
        }
    }
    let all: BTreeSet<u64> = receiver.effects.iter().copied().collect();
    assert_eq!(all, patients.keys().copied().collect(), "seed {seed}: every message takes effect");
    assert_eq!(bench.desk.counters.missed, 0, "seed {seed}");
    for (place, later) in receiver.effects.iter().enumerate() {
        for earlier in receiver.effects.iter().skip(place + 1).filter(|earlier| *earlier < later) {
            let share = patients[earlier].split(' ').any(|p| patients[later].split(' ').any(|q| p == q));
            assert!(!share, "seed {seed}: {later} took effect before {earlier}");
        }
    }
    assert!(receiver.doubles.values().all(|count| *count <= crashes), "seed {seed}: {:?}", receiver.doubles);
    receiver.doubles.values().sum()
}

#[test]
fn through_crashes_and_failing_disks_every_message_takes_effect_once_and_in_order() {
    let doubles: u64 = (0..300).map(live).sum();
    assert!(0 < doubles, "the crashes hit nothing");
}
