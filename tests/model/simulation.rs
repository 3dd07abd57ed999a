//! Whole polysystems from a seed: three desks and the centre book, move, cancel and plan visits over a network that loses,
//! repeats and delays, with power cuts and a practice that is silent or hangs up; and then everything must come to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use polygate::{
    booking::{
        act::{Act, Asked, Said},
        catalogue::{Catalogue, Day, Session},
        centre::CentreDesk,
        desk::{Desk, Outcome, SOMEBODY_WAS_FIRST, Situation, Work, WorkKind},
        search,
        token::Witness,
    },
    domain::{
        booking::{
            Appointment, AppointmentId, CancelledBy, Channel, Deed, Needs, Offer, OfferKey, Owner, Person,
            Promise, Reference, RequestId, Service, SlotId, Standing, TaskKind, VisitPart, WhyProvisional,
        },
        ids::HubId,
        nhs_number::NhsNumber,
        slot::Place,
        time::Timestamp,
    },
    sys::entropy::Entropy,
};

const HUBS: [&str; 3] = ["soho", "hackney", "brent"];
/// 5 January 2026, 08:00, a Monday.
const BEGIN: Timestamp = Timestamp(1_767_600_000_000);
/// Steps until the faults stop, and until all must be at rest.
const STEPS: usize = 220;
const REST: usize = 4_000;
const PRACTICE: &str = "surgery";
const PRACTICE_SLOTS: i64 = 6;

/// One hub: its journal is what it has decided and heard, in order; the desk is made of that alone.
struct Hub {
    id: HubId,
    journal: Vec<Entry>,
    desk: Desk,
    counter: u64,
    connected: bool,
}

#[derive(Clone)]
enum Entry {
    Own(Act),
    Heard(HubId, Act),
}

/// What the practice has in its book, and how it behaves.
#[derive(Default)]
struct Practice {
    booked: BTreeMap<String, AppointmentId>,
    silent: bool,
}

struct Polysystem {
    random: Entropy,
    now: Timestamp,
    hubs: Vec<Hub>,
    /// The centre's store: all acts it has, by desk, and its own.
    store: BTreeMap<HubId, Vec<Act>>,
    centre: CentreDesk,
    practice: Practice,
    /// What patients were told is theirs, and nobody has cancelled since.
    told: BTreeMap<AppointmentId, SlotSet>,
    counts: Counts,
}

type SlotSet = Vec<OfferKey>;

/// What happened, so that a simulation in which nothing happens is not taken for one in which all is well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub booked: u64,
    pub provisional: u64,
    pub taken: u64,
    pub cancelled: u64,
    pub cuts: u64,
    pub granted: u64,
    pub tasks: u64,
}

fn id(text: &str) -> HubId {
    text.parse().unwrap()
}

fn catalogue(hub: usize) -> Catalogue {
    let name = format!("{}-clinic", HUBS[hub]);
    let session = Session {
        id: id(&name),
        service: id(&name),
        days: vec![Day::Monday, Day::Tuesday],
        dates: Vec::new(),
        closed: Vec::new(),
        first: None,
        last: None,
        from: jiff::civil::time(10, 0, 0, 0),
        until: jiff::civil::time(12, 0, 0, 0),
        minutes: 30,
        places: 1,
        channel: Channel::InPerson,
        clinician: None,
        languages: Vec::new(),
        place: Place::default(),
        room: String::new(),
        step_free: None,
        equipment: Vec::new(),
        allotments: vec![
            (Owner::Hub(id(HUBS[(hub + 1) % 3])), 1),
            (Owner::Centre, u16::try_from(hub % 2).unwrap()),
        ],
        sell_by_hours: 1,
    };
    let service = Service {
        id: id(&name),
        name,
        words: Vec::new(),
        hub: id(HUBS[hub]),
        system: "hub".to_owned(),
        organisation: String::new(),
        telephone: String::new(),
        walk_in: None,
    };
    Catalogue { services: vec![service], sessions: vec![session] }
}

/// What stands behind a key, as `flow::book` finds it.
fn resolve(desk: &Desk, now: Timestamp, key: &OfferKey) -> Option<Offer> {
    match key {
        OfferKey::Token(slot) => {
            let catalogue = desk.catalogues().get(&slot.home)?;
            search::offer_of(slot, catalogue, now, desk.promise(slot, true).unwrap_or(Promise::Firm))
        }
        OfferKey::System { slot, .. } => {
            let start = Timestamp(slot.parse().ok()?);
            Some(Offer {
                key: key.clone(),
                service: id(PRACTICE),
                service_name: String::new(),
                session: String::new(),
                start,
                end: start.plus(Duration::from_secs(600)),
                channel: Channel::InPerson,
                clinician: None,
                languages: Vec::new(),
                place: Place::default(),
                room: String::new(),
                step_free: None,
                organisation: String::new(),
                telephone: String::new(),
                system: PRACTICE.to_owned(),
                seen: now,
                promise: Promise::BySystem,
                free: 1,
            })
        }
    }
}

impl Hub {
    fn new(index: usize) -> Self {
        let desk = Desk::new(id(HUBS[index]));
        let mut hub = Self { id: id(HUBS[index]), journal: Vec::new(), desk, counter: 0, connected: true };
        hub.begin(BEGIN, true);
        let said = vec![Said::Catalogue(Box::new(catalogue(index)))];
        hub.commit(act(BEGIN, said));
        hub
    }

    fn begin(&mut self, now: Timestamp, first: bool) {
        let witness = if self.counter == 0 { Witness::Missing } else { Witness::Number(self.counter) };
        let events = self.desk.ledger().begin(witness, false, first, now).unwrap();
        self.commit(act(now, events.into_iter().map(Said::Token).collect()));
        self.counter = self.desk.ledger().incarnation();
        self.desk.open();
    }

    /// Durable first, then taken in.
    fn commit(&mut self, act: Act) {
        if act.said.is_empty() && act.request.is_none() {
            return;
        }
        let act = Act { place: self.desk.next_place(&act), ..act };
        self.journal.push(Entry::Own(act.clone()));
        let troubles = self.desk.apply(&act);
        assert_eq!(troubles, [], "{} contradicts itself", self.id);
    }

    fn decide(&mut self, now: Timestamp, by: &HubId, request: Asked, deed: &Deed) -> Decided {
        let desk = &self.desk;
        let resolve = |key: &OfferKey| resolve(desk, now, key);
        let situation = Situation { now, by: "somebody", desk: by, resolve: &resolve };
        match desk.decide(situation, request, deed) {
            Ok(act) if act.said.is_empty() => Decided::Taken,
            Ok(act) => Decided::Act(act),
            Err(refused) => Decided::Refused(refused.words),
        }
    }

    /// All in memory is gone.
    fn power_cut(&mut self, now: Timestamp) {
        self.desk = Desk::new(self.id.clone());
        for entry in &self.journal {
            match entry {
                Entry::Own(act) => drop(self.desk.apply(act)),
                Entry::Heard(from, act) => drop(self.desk.hear(from, act, false)),
            }
        }
        self.begin(now, false);
        // What was heard and perhaps not answered is answered again.
        let heard: Vec<(HubId, Act)> = self
            .journal
            .iter()
            .filter_map(|entry| match entry {
                Entry::Heard(from, act) => Some((from.clone(), act.clone())),
                Entry::Own(_) => None,
            })
            .collect();
        for (from, act) in heard {
            self.answer(&from, &act, now);
        }
    }

    /// As `flow::book::drive` answers what it has heard.
    fn answer(&mut self, from: &HubId, heard: &Act, now: Timestamp) {
        for said in &heard.said {
            match said {
                Said::Grant { to, slots } if from.as_str() == CentreDesk::NAME && *to == self.id => {
                    if let Some(event) = self.desk.ledger().grant(slots) {
                        self.commit(act(now, vec![Said::Token(event)]));
                    }
                }
                Said::NotGranted { to, keys } if *to == self.id => {
                    self.settle(now, |desk, situation| desk.not_granted(situation, keys));
                }
                Said::Declined { request, words } if self.desk.has_asked(*request) => {
                    self.settle(now, |desk, situation| desk.declined(situation, *request, words));
                }
                _ => {}
            }
        }
    }

    fn settle(&mut self, now: Timestamp, decide: impl FnOnce(&Desk, Situation<'_>) -> Act) {
        let desk = &self.desk;
        let resolve = |key: &OfferKey| resolve(desk, now, key);
        let own = self.id.clone();
        let act = decide(desk, Situation { now, by: "polygate", desk: &own, resolve: &resolve });
        self.commit(act);
    }

    fn answer_hubs(&mut self, now: Timestamp) {
        for (request, hub, deed) in self.desk.asked_of_us() {
            let asked = Asked { id: request, digest: 0 };
            let words = match self.decide(now, &hub, asked, &deed) {
                Decided::Act(act) => {
                    self.commit(act);
                    continue;
                }
                Decided::Taken => SOMEBODY_WAS_FIRST.to_owned(),
                Decided::Refused(words) => words,
            };
            let declined = vec![Said::Declined { request, words }];
            self.commit(Act { request: Some(asked), ..act(now, declined) });
        }
    }
}

enum Decided {
    Act(Act),
    Taken,
    Refused(String),
}

fn act(at: Timestamp, said: Vec<Said>) -> Act {
    let place = polygate::booking::act::ActPlace::default();
    Act { v: Act::VERSION, place, request: None, at, by: "polygate".to_owned(), said }
}

impl Polysystem {
    fn new(seed: u64) -> Self {
        Self {
            random: Entropy::from_seed(seed),
            now: BEGIN,
            hubs: (0..3).map(Hub::new).collect(),
            store: BTreeMap::new(),
            centre: CentreDesk::default(),
            practice: Practice::default(),
            told: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.random.below(below as u64)).unwrap()
    }

    fn step(&mut self, faults: bool) {
        self.now = self.now.plus(Duration::from_secs(1 + self.random.below(20)));
        if faults {
            if self.chance(8) {
                let hub = self.index(3);
                self.hubs[hub].connected = !self.hubs[hub].connected;
            }
            if self.chance(5) {
                self.practice.silent = !self.practice.silent;
            }
            if self.chance(4) {
                let (hub, now) = (self.index(3), self.now);
                self.hubs[hub].power_cut(now);
                self.counts.cuts += 1;
            }
            self.somebody_asks();
        }
        for hub in 0..3 {
            if self.chance(60) {
                self.carry_up(hub);
            }
            if self.chance(60) {
                self.carry_down(hub, faults);
            }
            let now = self.now;
            self.hubs[hub].answer_hubs(now);
            if self.chance(20) {
                let said = self.hubs[hub].desk.allotments_due(now);
                self.hubs[hub].commit(act(now, said));
            }
            self.work(hub, faults);
        }
        self.centre_decides();
        self.check();
    }

    fn somebody_asks(&mut self) {
        let hub = self.index(3);
        let request =
            RequestId(u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64()));
        let deed = match self.index(10) {
            0..=4 => self.booking(hub),
            5 => Deed::BookVisit(vec![self.part(hub), self.part(hub)]),
            6 | 7 => {
                let Some(appointment) = self.some_appointment(hub) else { return };
                let keys = self.part(hub).keys;
                Deed::Move { appointment, keys }
            }
            _ => {
                let Some(appointment) = self.some_appointment(hub) else { return };
                let reason = "Cannot come".to_owned();
                Deed::Cancel { appointment, by: CancelledBy::Patient, reason }
            }
        };
        // The form is sent twice now and then.
        let times = 1 + usize::from(self.chance(20));
        for _ in 0..times {
            let asked = Asked { id: request, digest: 0 };
            if self.hubs[hub].desk.remembered(&asked).unwrap().is_some() {
                continue;
            }
            let (now, own) = (self.now, self.hubs[hub].id.clone());
            match self.hubs[hub].decide(now, &own, asked, &deed) {
                Decided::Act(act) => {
                    self.count(&act);
                    self.hubs[hub].commit(act);
                }
                Decided::Taken => self.counts.taken += 1,
                Decided::Refused(_) => {}
            }
        }
    }

    fn booking(&mut self, hub: usize) -> Deed {
        Deed::Book(self.part(hub))
    }

    fn part(&mut self, hub: usize) -> VisitPart {
        let keys = if self.chance(25) {
            let number = i64::try_from(self.index(usize::try_from(PRACTICE_SLOTS).unwrap())).unwrap();
            let start = BEGIN.0 + 48 * 3_600_000 + number * 600_000;
            vec![OfferKey::System {
                system: PRACTICE.to_owned(),
                schedule: "am".to_owned(),
                slot: start.to_string(),
            }]
        } else {
            let home = if self.chance(50) { hub } else { self.index(3) };
            let session = &catalogue(home).sessions[0];
            let times = session.times(self.now, BEGIN.plus(Duration::from_secs(40 * 3600)));
            let chosen = times.get(self.index(times.len().max(1))).map_or(BEGIN, |time| time.start);
            vec![OfferKey::Token(SlotId {
                home: id(HUBS[home]),
                session: session.id.clone(),
                start: chosen,
                place: 1,
            })]
        };
        let numbers = ["9990000018", "9990000026", "9990000034", "9990000042"];
        let number = numbers[self.index(numbers.len())];
        VisitPart {
            person: Person {
                nhs_number: Some(NhsNumber::parse(number).unwrap()),
                family_name: "Canaryname".to_owned(),
                ..Person::default()
            },
            keys,
            description: String::new(),
            comment: String::new(),
            needs: Needs::default(),
        }
    }

    fn some_appointment(&mut self, hub: usize) -> Option<AppointmentId> {
        let standing: Vec<AppointmentId> =
            self.hubs[hub].desk.appointments().filter(|one| one.stands()).map(|one| one.id).collect();
        let index = self.index(standing.len().max(1));
        standing.get(index).copied()
    }

    fn count(&mut self, act: &Act) {
        for said in &act.said {
            match said {
                Said::Appointment(one) if one.is_confirmed() => self.counts.booked += 1,
                Said::Appointment(one) | Said::Pending(one)
                    if matches!(one.standing, Standing::Provisional { .. }) =>
                {
                    self.counts.provisional += 1;
                }
                Said::Appointment(one) if matches!(one.standing, Standing::Cancelled(_)) => {
                    self.counts.cancelled += 1;
                }
                _ => {}
            }
        }
    }

    /// What the hub's journal holds and the centre does not: in order, as far as it gets.
    fn carry_up(&mut self, hub: usize) {
        if !self.hubs[hub].connected {
            return;
        }
        let some = 1 + self.index(4);
        let known = self.store.entry(self.hubs[hub].id.clone()).or_default();
        let own: Vec<&Act> = self.hubs[hub]
            .journal
            .iter()
            .filter_map(|entry| match entry {
                Entry::Own(act) => Some(act),
                Entry::Heard(..) => None,
            })
            .collect();
        let new: Vec<Act> = own.into_iter().skip(known.len()).take(some).cloned().collect();
        known.extend(new);
    }

    /// What others have said and the hub has not heard; repeated, and out of order, now and then.
    fn carry_down(&mut self, hub: usize, faults: bool) {
        if !self.hubs[hub].connected {
            return;
        }
        let heard = self.hubs[hub].desk.heard_through();
        let others: Vec<HubId> =
            self.store.keys().filter(|from| **from != self.hubs[hub].id).cloned().collect();
        for from in others {
            let last = heard.get(&from).copied().unwrap_or_default();
            let acts = &self.store[&from];
            let mut some: Vec<Act> = acts.iter().filter(|act| last < act.place).take(3).cloned().collect();
            if faults && self.chance(20) {
                some.reverse();
            }
            if faults && self.chance(20) {
                let old = self.index(self.store[&from].len());
                some.extend(self.store[&from].get(old).cloned());
            }
            for act in some {
                let now = self.now;
                let hub = &mut self.hubs[hub];
                if let polygate::booking::desk::Heard::New(troubles) = hub.desk.hear(&from, &act, false) {
                    assert_eq!(troubles, []);
                    hub.journal.push(Entry::Heard(from.clone(), act.clone()));
                    hub.answer(&from, &act, now);
                }
            }
        }
    }

    fn centre_decides(&mut self) {
        for hub in HUBS.map(id) {
            let taken = self.centre.taken(&hub);
            let next = self.store.get(&hub).into_iter().flatten().find(|act| taken < act.place).cloned();
            let Some(next) = next else { continue };
            let answer = self.centre.answer(&hub, &next, self.now);
            let answer = (!answer.said.is_empty()).then_some(answer);
            self.centre.apply(&hub, &next, answer.as_ref());
            if let Some(answer) = answer {
                self.counts.granted +=
                    answer.said.iter().filter(|said| matches!(said, Said::Grant { .. })).count() as u64;
                self.store.entry(id(CentreDesk::NAME)).or_default().push(answer);
            }
        }
    }

    fn work(&mut self, hub: usize, faults: bool) {
        for Work { appointment, kind, .. } in self.hubs[hub].desk.work(self.now) {
            let outcome = match kind {
                WorkKind::Book => self.practice_books(&appointment, faults),
                WorkKind::Cancel => self.practice_cancels(&appointment),
                WorkKind::Tell => Outcome::Told(Reference::default()),
                _ => Outcome::Cancelled,
            };
            // The power may go between the practice's answer and the desk's journal.
            if faults && self.chance(5) {
                let now = self.now;
                self.hubs[hub].power_cut(now);
                self.counts.cuts += 1;
                return;
            }
            let now = self.now;
            self.hubs[hub]
                .settle(now, |desk, situation| desk.settle(situation, appointment.id, kind, &outcome, false));
        }
    }

    fn practice_books(&mut self, appointment: &Appointment, faults: bool) -> Outcome {
        if self.practice.silent {
            return Outcome::Again { why: WhyProvisional::SystemSilent };
        }
        let OfferKey::System { slot, .. } = &appointment.keys[0] else { panic!("no slot of a practice") };
        let buyer = *self.practice.booked.entry(slot.clone()).or_insert(appointment.id);
        if buyer != appointment.id {
            return Outcome::Refused { words: SOMEBODY_WAS_FIRST.to_owned() };
        }
        // It hangs up after it has booked.
        if faults && self.chance(20) {
            return Outcome::Again { why: WhyProvisional::OutcomeUnknown };
        }
        Outcome::Booked(Reference { id: slot.clone(), ..Reference::default() })
    }

    fn practice_cancels(&mut self, appointment: &Appointment) -> Outcome {
        if self.practice.silent {
            return Outcome::Again { why: WhyProvisional::SystemSilent };
        }
        self.practice.booked.retain(|_, buyer| *buyer != appointment.id);
        Outcome::Cancelled
    }

    /// After every step: nobody was told of a slot that somebody else was told of.
    fn check(&mut self) {
        self.told.clear();
        let mut sold: BTreeMap<OfferKey, AppointmentId> = BTreeMap::new();
        for hub in &self.hubs {
            for one in hub.desk.appointments().filter(|one| one.hub == hub.id && one.is_confirmed()) {
                for key in &one.keys {
                    if let Some(other) = sold.insert(key.clone(), one.id) {
                        assert_eq!(other, one.id, "{key} is sold twice");
                    }
                }
                self.told.insert(one.id, one.keys.clone());
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let settled = self.hubs.iter().all(|hub| {
            hub.desk.work(self.now.plus(Duration::from_secs(3600))).is_empty()
                && hub.desk.asked_of_us().is_empty()
                && hub.desk.appointments().all(|one| !matches!(one.standing, Standing::Provisional { .. }))
        });
        let heard = self.hubs.iter().all(|hub| {
            let heard = hub.desk.heard_through();
            let own = hub.journal.iter().filter(|entry| matches!(entry, Entry::Own(_))).count();
            let known = self.store.get(&hub.id).map_or(0, Vec::len);
            own == known
                && self.store.iter().filter(|(from, _)| **from != hub.id).all(|(from, acts)| {
                    acts.last().is_none_or(|act| heard.get(from).is_some_and(|place| *place == act.place))
                })
        });
        settled && heard
    }

    /// What still waits.
    fn unrest(&self) -> String {
        let mut text = String::new();
        for hub in &self.hubs {
            let due: Vec<String> = hub
                .desk
                .work(self.now.plus(Duration::from_secs(3600)))
                .iter()
                .map(|work| format!("{:?} of {:?}", work.kind, work.appointment))
                .collect();
            let waiting: Vec<String> = hub
                .desk
                .appointments()
                .filter(|one| matches!(one.standing, Standing::Provisional { .. }))
                .map(|one| {
                    let of = |key: &OfferKey| match key {
                        OfferKey::Token(slot) => {
                            format!("{slot}: {:?} {:?}", hub.desk.seller(slot), hub.desk.ledger().owned(slot))
                        }
                        OfferKey::System { slot, .. } => slot.clone(),
                    };
                    let keys: Vec<String> = one.keys.iter().map(of).collect();
                    format!("{} of {} made at {}: {:?} {keys:?}", one.id, one.hub, one.made_at, one.standing)
                })
                .collect();
            text += &format!(
                "\n{}: due {due:?}; provisional {waiting:?}; asked {:?}; heard {:?}",
                hub.id,
                hub.desk.asked_of_us().len(),
                hub.desk.heard_through()
            );
        }
        for (from, acts) in &self.store {
            text +=
                &format!("\n{from}: {} acts, the last {:?}", acts.len(), acts.last().map(|act| act.place));
            if std::env::var_os("POLYGATE_SEED").is_some() {
                for act in acts {
                    text += &format!("\n    {:?} {} {:?}", act.place, act.by, act.said);
                }
            }
        }
        text
    }

    /// Once faults have stopped, everything comes to rest, and all desks say the same.
    fn check_the_end(&mut self, seed: u64) {
        let mut all: BTreeSet<AppointmentId> = BTreeSet::new();
        for hub in &self.hubs {
            all.extend(hub.desk.appointments().map(|one| one.id));
            self.counts.tasks += hub.desk.tasks().len() as u64;
        }
        for one in all {
            let seen: BTreeSet<String> = self
                .hubs
                .iter()
                .filter_map(|hub| hub.desk.appointment(one))
                .map(|known| match &known.standing {
                    Standing::Firm | Standing::Confirmed(_) => "stands".to_owned(),
                    Standing::Cancelled(_) => "cancelled".to_owned(),
                    Standing::Failed { .. } => "failed".to_owned(),
                    Standing::Provisional { .. } => "provisional".to_owned(),
                })
                .collect();
            assert!(seen.len() == 1, "seed {seed}: desks disagree about {one}: {seen:?}");
            let failed = seen.contains("failed");
            let tasks = self.hubs.iter().flat_map(|hub| hub.desk.tasks());
            let named =
                tasks.filter(|task| task.appointment == Some(one) && task.kind == TaskKind::CallPatient);
            assert!(
                !failed || 0 < named.count(),
                "seed {seed}: nobody calls the patient of {:?}",
                self.hubs
                    .iter()
                    .filter_map(|hub| hub.desk.appointment(one))
                    .map(|one| (&one.hub, &one.made_at, &one.standing, &one.changes))
                    .collect::<Vec<_>>()
            );
        }
        for (slot, buyer) in &self.practice.booked {
            let known = self
                .hubs
                .iter()
                .any(|hub| hub.desk.appointment(*buyer).is_some_and(Appointment::is_confirmed));
            assert!(known, "seed {seed}: the practice has {slot} for nobody");
        }
    }
}

/// Runs one seed to its end.
pub fn run(seed: u64) -> Counts {
    let mut polysystem = Polysystem::new(seed);
    for _ in 0..STEPS {
        polysystem.step(true);
    }
    polysystem.hubs.iter_mut().for_each(|hub| hub.connected = true);
    polysystem.practice.silent = false;
    for _ in 0..REST {
        polysystem.step(false);
        if polysystem.is_at_rest() {
            polysystem.check_the_end(seed);
            return polysystem.counts;
        }
    }
    panic!("seed {seed}: not at rest after {REST} steps without a fault: {}", polysystem.unrest());
}
