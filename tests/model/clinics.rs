//! A desk and a clinic that keeps its own book, from a seed: both book, move and cancel, over a way that loses answers, delays
//! and reorders words, with power cuts; and then both must say the same, and nothing is free that the clinic has given away.

use std::{collections::BTreeMap, time::Duration};

use polygate::{
    booking::{
        act::{Act, ActPlace, Asked, Said},
        catalogue::{Catalogue, Day, Session},
        desk::{Desk, Outcome, Situation, ToTell, Work, WorkKind},
        search,
        token::{TokenState, Witness},
    },
    domain::{
        booking::{
            Appointment, AppointmentId, Attendance, BookWord, CancelledBy, Channel, Deed, Needs, OfferKey,
            Person, Promise, Reference, RequestId, Service, SlotId, Standing, SystemWord, TaskKind,
            VisitPart, WhyProvisional, WordTime,
        },
        ids::HubId,
        nhs_number::NhsNumber,
        slot::Place,
        time::Timestamp,
    },
    sys::entropy::Entropy,
};

/// 5 January 2026, 08:00, a Monday.
const BEGIN: Timestamp = Timestamp(1_767_600_000_000);
/// Ten o'clock on Tuesday: all is booked ahead.
const FIRST: Timestamp = Timestamp(BEGIN.0 + 26 * 3_600_000);
const HALF_HOUR: Duration = Duration::from_secs(1800);
const SLOTS: u64 = 6;
const STEPS: usize = 150;
const REST: usize = 1_000;

/// What happened, so that nothing is not taken for all well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub confirmed: u64,
    pub refused: u64,
    pub theirs: u64,
    pub clashes: u64,
    pub cuts: u64,
    pub told: u64,
}

/// One appointment in the clinic's book.
#[derive(Clone, Debug)]
struct Held {
    placer: String,
    filler: String,
    slot: u64,
    /// None if it stands; else whether the clinic has cancelled it, and may think again.
    cancelled: Option<bool>,
    patient: usize,
}

struct Clinics {
    random: Entropy,
    now: Timestamp,
    journal: Vec<Act>,
    desk: Desk,
    book: Vec<Held>,
    answers: BTreeMap<String, Outcome>,
    /// What was sent under a name: the same every time.
    sent: BTreeMap<String, String>,
    /// Words on their way, and those that the hub's journal has, in the order in which they came.
    under_way: Vec<SystemWord>,
    came: Vec<SystemWord>,
    heard: usize,
    counts: Counts,
}

fn id(text: &str) -> HubId {
    text.parse().unwrap()
}

fn catalogue() -> Catalogue {
    let session = Session {
        id: id("feet"),
        service: id("podiatry"),
        days: vec![Day::Tuesday],
        dates: Vec::new(),
        closed: Vec::new(),
        first: None,
        last: None,
        from: jiff::civil::time(10, 0, 0, 0),
        until: jiff::civil::time(13, 0, 0, 0),
        minutes: 30,
        places: 1,
        channel: Channel::InPerson,
        clinician: None,
        languages: Vec::new(),
        place: Place::default(),
        room: String::new(),
        step_free: None,
        equipment: Vec::new(),
        allotments: Vec::new(),
        sell_by_hours: 0,
    };
    let service = Service {
        id: id("podiatry"),
        name: "Podiatry".to_owned(),
        words: Vec::new(),
        hub: id("soho"),
        system: "rio".to_owned(),
        organisation: String::new(),
        telephone: String::new(),
        walk_in: None,
    };
    Catalogue { services: vec![service], sessions: vec![session] }
}

fn start(slot: u64) -> Timestamp {
    FIRST.plus(HALF_HOUR * u32::try_from(slot).unwrap())
}

fn slot(number: u64) -> SlotId {
    SlotId { home: id("soho"), session: id("feet"), start: start(number), place: 1 }
}

fn person(number: usize) -> Person {
    let numbers = ["9990000018", "9990000026", "9990000034", "9990000042"];
    let nhs_number = NhsNumber::parse(numbers[number % 4]).ok();
    Person { nhs_number, family_name: "Canaryname".to_owned(), ..Person::default() }
}

impl Clinics {
    fn new(seed: u64) -> Self {
        let mut clinics = Self {
            random: Entropy::from_seed(seed),
            now: BEGIN,
            journal: Vec::new(),
            desk: Desk::new(id("soho")),
            book: Vec::new(),
            answers: BTreeMap::new(),
            sent: BTreeMap::new(),
            under_way: Vec::new(),
            came: Vec::new(),
            heard: 0,
            counts: Counts::default(),
        };
        clinics.begin();
        clinics.say(vec![Said::Catalogue(Box::new(catalogue()))]);
        clinics
    }

    fn begin(&mut self) {
        let known = Witness::Number(self.desk.ledger().incarnation());
        let events = self.desk.ledger().begin(known, false, true, self.now).unwrap();
        self.say(events.into_iter().map(Said::Token).collect());
        self.desk.open();
    }

    fn say(&mut self, said: Vec<Said>) {
        let (place, by) = (ActPlace::default(), "polygate".to_owned());
        self.commit(Act { v: Act::VERSION, place, request: None, at: self.now, by, said });
    }

    fn commit(&mut self, act: Act) {
        if act.said.is_empty() {
            return;
        }
        let act = Act { place: self.desk.next_place(&act), ..act };
        assert_eq!(self.desk.apply(&act), []);
        self.journal.push(act);
    }

    fn with_desk<T>(&self, by: &str, decide: impl FnOnce(&Desk, Situation<'_>) -> T) -> T {
        let catalogue = catalogue();
        let resolve = |key: &OfferKey| match key {
            OfferKey::Token(slot) => search::offer_of(slot, &catalogue, self.now, Promise::BySystem),
            OfferKey::System { .. } => None,
        };
        let hub = id("soho");
        decide(&self.desk, Situation { now: self.now, by, desk: &hub, resolve: &resolve })
    }

    /// The desk is what its journal makes of it; what was heard is read again from the beginning.
    fn power_cut(&mut self) {
        self.desk = Desk::new(id("soho"));
        for act in &self.journal {
            self.desk.apply(act);
        }
        self.heard = 0;
        self.counts.cuts += 1;
        self.begin();
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.random.below(below.max(1) as u64)).unwrap()
    }

    fn step(&mut self, faults: bool) {
        self.now = self.now.plus(Duration::from_secs(1 + self.random.below(20)));
        if faults {
            if self.chance(4) {
                self.power_cut();
            }
            if self.chance(40) {
                self.somebody_asks();
            }
            if self.chance(30) {
                self.now = self.now.plus(Duration::from_secs(1));
                self.clinic_acts();
            }
        }
        while !self.under_way.is_empty() && self.chance(50) {
            let index = self.index(self.under_way.len());
            let mut word = self.under_way.remove(index);
            word.when.place = (1, self.came.len() as u64);
            self.came.push(word);
        }
        while self.heard < self.came.len() && self.chance(70) {
            let word = self.came[self.heard].clone();
            let act = self.with_desk("rio", |desk, situation| desk.heed(situation, &word));
            self.commit(act);
            self.heard += 1;
        }
        for work in self.desk.work(self.now) {
            self.do_one(&work, faults);
        }
    }

    fn somebody_asks(&mut self) {
        let request =
            RequestId(u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64()));
        let standing: Vec<AppointmentId> =
            self.desk.appointments().filter(|one| one.stands()).map(|one| one.id).collect();
        let some = standing.get(self.index(standing.len())).copied();
        let keys = vec![OfferKey::Token(slot(self.random.below(SLOTS)))];
        let patient = self.index(4);
        let deed = match (self.index(10), some) {
            (0..=3, _) | (_, None) => Deed::Book(VisitPart {
                person: person(patient),
                keys,
                description: String::new(),
                comment: String::new(),
                needs: Needs::default(),
            }),
            (4 | 5, Some(appointment)) => Deed::Move { appointment, keys },
            (6, Some(appointment)) => {
                let reason = "Cannot come".to_owned();
                Deed::Cancel { appointment, by: CancelledBy::Patient, reason }
            }
            (7, Some(appointment)) => Deed::Mark { appointment, attendance: Attendance::Arrived },
            (_, Some(appointment)) => Deed::Amend {
                appointment,
                description: String::new(),
                comment: format!("{}", request.0 % 100),
                needs: Needs::default(),
            },
        };
        let asked = Asked { id: request, digest: 0 };
        if let Ok(act) = self.with_desk("sam", |desk, situation| desk.decide(situation, asked, &deed)) {
            self.commit(act);
        }
    }

    /// Whether the clinic has given a time to nobody.
    fn is_open(&self, slot: u64) -> bool {
        !self.book.iter().any(|held| held.slot == slot && held.cancelled.is_none())
    }

    fn clinic_acts(&mut self) {
        let some = self.index(self.book.len());
        let slot = self.random.below(SLOTS);
        let sort = self.index(8);
        let mut attendance = None;
        let index = if sort <= 2 || self.book.is_empty() {
            if !self.is_open(slot) {
                return;
            }
            let filler = format!("F{}", self.book.len());
            let patient = self.index(4);
            self.book.push(Held { placer: String::new(), filler, slot, cancelled: None, patient });
            self.counts.theirs += 1;
            self.book.len() - 1
        } else {
            let (open, here) = (self.is_open(slot), self.book[some].slot);
            let open_again = self.is_open(here);
            let held = &mut self.book[some];
            match (sort, held.cancelled) {
                (3 | 4, None) if open => held.slot = slot,
                (5, None) => held.cancelled = Some(true),
                (6, None) => attendance = Some(Attendance::Arrived),
                // What it has cancelled itself, and now and then what the hub has, stands again.
                (7, Some(own)) if open_again && (own || slot == 0) => held.cancelled = None,
                _ => return,
            }
            some
        };
        self.says(index, attendance);
    }

    fn says(&mut self, index: usize, attendance: Option<Attendance>) {
        let held = self.book[index].clone();
        let names = [held.filler.clone(), held.placer].into_iter().filter(|name| !name.is_empty());
        self.under_way.push(SystemWord {
            system: "rio".to_owned(),
            when: WordTime { at: self.now, place: (0, 0) },
            id: AppointmentId(0xf000 + index as u128),
            names: names.collect(),
            filler: held.filler,
            book: Some(if held.cancelled.is_some() { BookWord::Cancelled } else { BookWord::Stands }),
            attendance,
            start: Some(start(held.slot)),
            end: Some(start(held.slot).plus(HALF_HOUR)),
            sessions: vec!["feet".to_owned()],
            services: Vec::new(),
            person: person(held.patient),
            patient: String::new(),
        });
    }

    fn do_one(&mut self, work: &Work, faults: bool) {
        let one = &work.appointment;
        let outcome = match (work.kind, &work.news) {
            (WorkKind::Book | WorkKind::Cancel | WorkKind::Tell, _) if faults && self.chance(25) => {
                Outcome::Again { why: WhyProvisional::SystemSilent }
            }
            (WorkKind::Book, _) => self.answer(format!("B{}", one.id), one, |clinics| clinics.takes(one)),
            (WorkKind::Cancel, _) => {
                let Standing::Cancelled(cancellation) = &one.standing else { panic!("{one:?} stands") };
                let name = format!("C{} {}", one.id, cancellation.at);
                self.answer(name, one, |clinics| clinics.lets_go(one))
            }
            (WorkKind::Tell, Some(news)) => {
                let ToTell { from, place, appointment, .. } = news;
                let name = format!("T{from}{place:?}");
                self.answer(name, appointment, |_| Outcome::Told(Reference::default()))
            }
            _ => Outcome::Cancelled,
        };
        // The answer is lost, or the power goes before it is put down.
        if faults && self.chance(15) {
            return;
        }
        let (id, kind) = (one.id, work.kind);
        let act =
            self.with_desk("polygate", |desk, situation| desk.settle(situation, id, kind, &outcome, false));
        self.commit(act);
    }

    fn answer(
        &mut self,
        name: String,
        said: &Appointment,
        act: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let text = format!("{:?} {:?} {} {:?}", said.start, said.keys, said.comment, said.made);
        let first = self.sent.entry(name.clone()).or_insert_with(|| text.clone());
        assert_eq!(*first, text, "{name} is told again in other words");
        if let Some(answer) = self.answers.get(&name) {
            return answer.clone();
        }
        self.counts.told += 1;
        let answer = act(self);
        self.answers.insert(name, answer.clone());
        answer
    }

    fn takes(&mut self, one: &Appointment) -> Outcome {
        let number = (0..SLOTS).find(|number| start(*number) == one.start).unwrap();
        if !self.is_open(number) {
            self.counts.refused += 1;
            return Outcome::Refused { words: "Taken.".to_owned() };
        }
        let patient = (0..4).find(|number| person(*number) == one.person).unwrap();
        let filler = format!("F{}", self.book.len());
        let placer = one.id.to_string();
        self.book.push(Held { placer, filler: filler.clone(), slot: number, cancelled: None, patient });
        self.counts.confirmed += 1;
        if self.chance(50) {
            self.says(self.book.len() - 1, None);
        }
        Outcome::Booked(Reference { id: filler, ..Reference::default() })
    }

    fn lets_go(&mut self, one: &Appointment) -> Outcome {
        let id = one.id.to_string();
        let filler = match &one.standing {
            Standing::Cancelled(cancellation) => {
                cancellation.reference.as_ref().map(|known| known.id.clone())
            }
            _ => None,
        };
        let theirs = |held: &&mut Held| held.placer == id || Some(&held.filler) == filler.as_ref();
        if let Some(held) = self.book.iter_mut().find(theirs) {
            held.cancelled = Some(false);
        }
        Outcome::Cancelled
    }

    /// For whoever looks into one seed.
    fn tell_all(&self) {
        for word in &self.came {
            println!("{} {:?} {:?} {word:?}", word.filler, word.names, word.start);
        }
        for act in &self.journal {
            println!("{:?} {} {} {:?}", act.place, act.at, act.by, act.said);
        }
        for one in self.desk.appointments() {
            println!("{} {:?} {:?} {:?}", one.id, one.start, one.standing, one.changes);
        }
        println!("{:#?}", self.book);
    }

    fn is_at_rest(&self) -> bool {
        let settled = self.desk.work(self.now.plus(Duration::from_secs(3600))).is_empty();
        settled && self.under_way.is_empty() && self.heard == self.came.len()
    }

    /// Whether people are to look at an appointment of which desk and clinic do not say the same.
    fn is_looked_into(&self, one: &Appointment) -> bool {
        let about = |task: &&polygate::domain::booking::Task| {
            task.appointment == Some(one.id) && task.kind == TaskKind::Disagreement
        };
        self.desk.tasks().iter().any(about)
    }

    fn check_the_end(&mut self, seed: u64) {
        let is_it = |held: &Held, one: &Appointment| match &one.standing {
            Standing::Confirmed(reference) => reference.id == held.filler,
            Standing::Cancelled(cancellation) => {
                cancellation.reference.as_ref().is_some_and(|reference| reference.id == held.filler)
            }
            _ => false,
        };
        let mut open: Vec<u64> = (0..SLOTS).collect();
        for held in self.book.iter().filter(|held| held.cancelled.is_none()) {
            let known = self.desk.appointments().find(|one| is_it(held, one));
            let looked_into = known.is_some_and(|one| self.is_looked_into(one));
            let same = known.is_some_and(|one| one.stands() && one.start == start(held.slot));
            assert!(same || looked_into, "seed {seed}: {held:?} {known:?}");
            if same {
                open.retain(|slot| *slot != held.slot);
            }
        }
        for one in self.desk.appointments().filter(|one| one.stands()) {
            let held = self.book.iter().find(|held| is_it(held, one) && held.cancelled.is_none());
            assert!(held.is_some() || self.is_looked_into(one), "seed {seed}: in nobody's book: {one:?}");
        }
        for number in 0..SLOTS {
            let given = !open.contains(&number);
            match self.desk.ledger().owned(&slot(number)) {
                TokenState::Free { .. } => assert!(!given, "seed {seed}: {number} is offered and given away"),
                TokenState::Sold { appointment, .. } => {
                    let buyer = self.desk.appointment(appointment).unwrap();
                    let refused = matches!(buyer.standing, Standing::Failed { .. });
                    let right = given == buyer.stands() && (given || refused);
                    assert!(right || self.is_looked_into(buyer), "seed {seed}: {number}: {buyer:?}");
                }
                other => panic!("seed {seed}: {number} is {other:?}"),
            }
        }
        let urgent = self.desk.tasks().into_iter().filter(|task| task.words.starts_with("Urgent"));
        self.counts.clashes += urgent.count() as u64;
        for one in self.desk.appointments().filter(|one| matches!(one.standing, Standing::Failed { .. })) {
            let calls = |task: &&polygate::domain::booking::Task| {
                task.appointment == Some(one.id) && task.kind == TaskKind::CallPatient
            };
            assert!(self.desk.tasks().iter().any(calls), "seed {seed}: nobody calls {one:?}");
        }
    }
}

/// Runs one seed to its end.
pub fn run(seed: u64) -> Counts {
    let mut clinics = Clinics::new(seed);
    for _ in 0..STEPS {
        clinics.step(true);
    }
    for _ in 0..REST {
        clinics.step(false);
        if clinics.is_at_rest() {
            if std::env::var_os("POLYGATE_SEED").is_some() {
                clinics.tell_all();
            }
            clinics.check_the_end(seed);
            return clinics.counts;
        }
    }
    panic!("seed {seed}: not at rest after {REST} steps without a fault");
}
