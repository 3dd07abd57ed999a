//! What systems say of appointments, in any order and as often as they like.

use std::collections::BTreeSet;

use jiff::civil::time;
use proptest::prelude::*;

use super::*;
use crate::{
    booking::{
        act::Asked,
        catalogue::{Catalogue, Day, Session},
        desk::{News, Outcome, Work, WorkKind},
        token::{TokenEvent, TokenState},
    },
    domain::{
        booking::{Deed, Offer, OfferKey, Person, Promise, Service, SlotId, VisitPart},
        nhs_number::NhsNumber,
        slot::Place,
    },
};

/// 2026-11-16T09:00:00Z, a Monday.
const NINE: Timestamp = Timestamp(1_794_819_600_000);
const HOUR: i64 = 3_600_000;
const HALF: i64 = HOUR / 2;
/// The evening before.
const NOW: Timestamp = Timestamp(NINE.0 - 15 * HOUR);

fn id(text: &str) -> HubId {
    text.parse().unwrap()
}

fn catalogue() -> Catalogue {
    let service = Service {
        id: id("podiatry"),
        name: "Podiatry".to_owned(),
        words: Vec::new(),
        hub: id("soho"),
        system: "rio".to_owned(),
        organisation: "Community trust".to_owned(),
        telephone: "020 7946 0002".to_owned(),
        walk_in: None,
    };
    let session = Session {
        id: id("feet"),
        service: id("podiatry"),
        days: vec![Day::Monday],
        dates: Vec::new(),
        closed: Vec::new(),
        first: None,
        last: None,
        from: time(9, 0, 0, 0),
        until: time(12, 0, 0, 0),
        minutes: 30,
        places: 1,
        channel: crate::domain::booking::Channel::InPerson,
        clinician: None,
        languages: Vec::new(),
        place: Place { name: "Soho".to_owned(), ..Place::default() },
        room: "4".to_owned(),
        step_free: None,
        equipment: Vec::new(),
        allotments: Vec::new(),
        sell_by_hours: 0,
    };
    Catalogue { services: vec![service], sessions: vec![session] }
}

fn slot(number: i64) -> SlotId {
    SlotId { home: id("soho"), session: id("feet"), start: Timestamp(NINE.0 + number * HALF), place: 1 }
}

fn person(number: usize) -> Person {
    let numbers = ["9990000018", "9990000026", "9990000034"];
    Person {
        nhs_number: NhsNumber::parse(numbers[number]).ok(),
        family_name: "Canaryname".to_owned(),
        ..Person::default()
    }
}

/// A desk, and the acts that have made it.
struct Bench {
    desk: Desk,
    spoken: u64,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { desk: Desk::new(id("soho")), spoken: 0 };
        bench.say(NOW, vec![Said::Token(TokenEvent::Began { incarnation: 1 })]);
        bench.say(NOW, vec![Said::Catalogue(Box::new(catalogue()))]);
        bench.desk.open();
        bench
    }

    fn say(&mut self, at: Timestamp, said: Vec<Said>) {
        let act = Act {
            v: Act::VERSION,
            place: ActPlace::default(),
            request: None,
            at,
            by: "test".to_owned(),
            said,
        };
        self.take(act);
    }

    fn take(&mut self, act: Act) {
        if act.said.is_empty() {
            return;
        }
        self.spoken += 1;
        let act = Act { place: ActPlace { incarnation: 1, number: self.spoken }, ..act };
        assert_eq!(self.desk.apply(&act), Vec::new());
    }

    fn deed(&mut self, now: Timestamp, request: u128, deed: &Deed) {
        let catalogue = catalogue();
        let resolve = move |key: &OfferKey| {
            let OfferKey::Token(slot) = key else { return None };
            crate::booking::search::offer_of(slot, &catalogue, NOW, Promise::BySystem)
        };
        let resolve: &dyn Fn(&OfferKey) -> Option<Offer> = &resolve;
        let situation = Situation { now, by: "sam", desk: &id("soho"), resolve };
        let asked = Asked { id: RequestId(request << 8), digest: 0 };
        let act = self.desk.decide(situation, asked, deed).unwrap();
        self.take(act);
    }

    fn book(&mut self, request: u128, patient: usize, number: i64) -> AppointmentId {
        let part = VisitPart {
            person: person(patient),
            keys: vec![OfferKey::Token(slot(number))],
            description: "Feet".to_owned(),
            comment: String::new(),
            needs: Needs::default(),
        };
        self.deed(NOW, request, &Deed::Book(part));
        AppointmentId(request << 8)
    }

    fn confirm(&mut self, id: AppointmentId) {
        let outcome = Outcome::Booked(Reference { id: id.to_string(), ..Reference::default() });
        self.settle(id, WorkKind::Book, &outcome);
    }

    fn settle(&mut self, id: AppointmentId, kind: WorkKind, outcome: &Outcome) {
        let resolve: &dyn Fn(&OfferKey) -> Option<Offer> = &|_| None;
        let hub = self.desk.hub().clone();
        let situation = Situation { now: NOW, by: "polygate", desk: &hub, resolve };
        let act = self.desk.settle(situation, id, kind, outcome, true);
        self.take(act);
    }

    fn hear(&mut self, word: &SystemWord) {
        let resolve: &dyn Fn(&OfferKey) -> Option<Offer> = &|_| None;
        let hub = self.desk.hub().clone();
        let situation = Situation { now: NOW, by: "rio", desk: &hub, resolve };
        let act = self.desk.heed(situation, word);
        self.take(act);
    }

    fn due(&self) -> Vec<Work> {
        self.desk.work(NOW)
    }

    fn one(&self, id: AppointmentId) -> &Appointment {
        self.desk.appointment(id).unwrap()
    }

    fn has(&self, number: i64) -> Option<AppointmentId> {
        match self.desk.ledger().owned(&slot(number)) {
            TokenState::Sold { appointment, .. } => Some(appointment),
            TokenState::Free { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    fn tasks(&self) -> Vec<(TaskKind, Option<AppointmentId>)> {
        self.desk.tasks().into_iter().map(|task| (task.kind, task.appointment)).collect()
    }
}

/// `F1` at this moment and slot, for this patient.
fn word(at: i64, number: i64, patient: usize) -> SystemWord {
    SystemWord {
        system: "rio".to_owned(),
        when: WordTime { at: Timestamp(NOW.0 - HOUR + at * 1000), place: (1, u64::try_from(at).unwrap()) },
        id: AppointmentId(77),
        names: vec!["F1".to_owned()],
        filler: "F1".to_owned(),
        book: Some(BookWord::Stands),
        attendance: None,
        start: Some(slot(number).start),
        end: Some(Timestamp(slot(number).start.0 + HALF)),
        sessions: vec!["FEET".to_owned()],
        services: Vec::new(),
        person: person(patient),
        patient: "R1".to_owned(),
    }
}

fn of(ours: AppointmentId, word: SystemWord) -> SystemWord {
    SystemWord { names: vec!["F1".to_owned(), ours.to_string()], ..word }
}

fn cancelled(word: SystemWord) -> SystemWord {
    SystemWord { book: Some(BookWord::Cancelled), ..word }
}

fn with(attendance: Attendance, word: SystemWord) -> SystemWord {
    SystemWord { attendance: Some(attendance), ..word }
}

fn came(attendance: Attendance, word: SystemWord) -> SystemWord {
    SystemWord { book: None, start: None, end: None, ..with(attendance, word) }
}

const THEIRS: AppointmentId = AppointmentId(77);

#[test]
fn a_time_that_its_system_gives_away_is_taken_until_it_is_cancelled() {
    let mut bench = Bench::new();
    bench.hear(&word(1, 2, 0));
    assert_eq!(bench.has(2), Some(THEIRS));
    let made = bench.one(THEIRS);
    assert_eq!((made.service_name.as_str(), made.person.family_name.as_str()), ("Podiatry", "Canaryname"));
    assert!(made.is_confirmed() && made.description.is_empty());
    assert!(bench.due().is_empty(), "nobody is told what they said");
    bench.hear(&cancelled(word(2, 2, 0)));
    assert_eq!((bench.has(2), bench.tasks()), (None, Vec::new()));
    assert!(bench.due().is_empty(), "nor that it is cancelled");
    // Another session's, another system's, and what names no session of this hub, is none of the desk's business.
    for other in [
        SystemWord { sessions: vec!["hands".to_owned()], ..word(3, 3, 0) },
        SystemWord { system: "pas".to_owned(), id: AppointmentId(78), ..word(3, 3, 0) },
        SystemWord { id: AppointmentId(78), names: vec!["F2".to_owned()], start: None, ..word(3, 3, 0) },
        SystemWord {
            id: AppointmentId(78),
            names: vec!["F2".to_owned()],
            ..came(Attendance::Arrived, word(3, 3, 0))
        },
    ] {
        let before = bench.spoken;
        bench.hear(&other);
        if other.id == AppointmentId(78) {
            assert_eq!(bench.spoken, before, "{other:?}");
        }
        assert_eq!(bench.has(3), None, "{other:?}");
    }
}

#[test]
fn a_longer_one_takes_every_slot_that_it_touches() {
    let mut bench = Bench::new();
    let long = SystemWord {
        start: Some(Timestamp(slot(1).start.0 + HALF / 3)),
        end: Some(Timestamp(slot(3).start.0 + 60_000)),
        ..word(1, 1, 0)
    };
    bench.hear(&long);
    assert_eq!([0, 1, 2, 3, 4].map(|number| bench.has(number).is_some()), [false, true, true, true, false]);
    let shorter = SystemWord { start: long.start, end: Some(slot(2).start), ..word(2, 1, 0) };
    bench.hear(&shorter);
    assert_eq!([0, 1, 2, 3, 4].map(|number| bench.has(number).is_some()), [false, true, false, false, false]);
}

#[test]
fn a_time_that_was_sold_here_too_is_somebody_to_be_called() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    bench.confirm(ours);
    bench.hear(&word(1, 2, 1));
    assert_eq!(bench.tasks(), [(TaskKind::CallPatient, Some(ours))]);
    assert!(bench.desk.tasks()[0].words.starts_with("Urgent: "));
    assert_eq!((bench.has(2), bench.one(THEIRS).is_confirmed()), (Some(ours), true));
    bench.hear(&word(1, 2, 1));
    assert_eq!(bench.tasks().len(), 1, "called once");
    // Once ours is let go, it is theirs at once, and never offered between.
    let reason = "Rang the clinic".to_owned();
    bench.deed(NOW, 9, &Deed::Cancel { appointment: ours, by: CancelledBy::Provider, reason });
    assert_eq!(bench.has(2), Some(THEIRS));
}

#[test]
fn whoever_is_refused_after_a_clash_is_called_once_and_the_time_is_theirs() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    bench.hear(&word(1, 2, 1));
    let no = Outcome::Refused { words: "Taken.".to_owned() };
    bench.settle(ours, WorkKind::Book, &no);
    assert_eq!((bench.tasks(), bench.one(ours).stands()), (vec![(TaskKind::CallPatient, Some(ours))], false));
    assert_eq!(bench.has(2), Some(THEIRS));
    bench.hear(&word(3, 3, 1));
    assert_eq!((bench.has(2), bench.has(3)), (None, Some(THEIRS)));
    // Refused before the clinic says to whom it has given it: it is not offered meanwhile, and theirs once it says so.
    let again = bench.book(2, 0, 4);
    bench.settle(again, WorkKind::Book, &no);
    assert_eq!(bench.has(4), Some(again));
    bench.hear(&word(4, 4, 1));
    assert_eq!((bench.has(3), bench.has(4)), (None, Some(THEIRS)));
}

#[test]
fn what_is_marked_at_the_desk_after_a_word_counts_and_before_it_does_not() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    bench.confirm(ours);
    let mark = |attendance| Deed::Mark { appointment: ours, attendance };
    let now = |at: i64| Timestamp(NOW.0 - HOUR + at * 1000 + 500);
    bench.deed(now(5), 2, &mark(Attendance::Arrived));
    bench.hear(&of(ours, came(Attendance::DidNotAttend, word(4, 2, 0))));
    assert_eq!(bench.one(ours).attendance, Attendance::Arrived);
    // Of the same second, as far as the clinic says.
    bench.hear(&of(ours, came(Attendance::DidNotAttend, word(5, 2, 0))));
    assert_eq!(bench.one(ours).attendance, Attendance::DidNotAttend);
    bench.deed(now(6), 3, &mark(Attendance::Done));
    assert_eq!(bench.one(ours).attendance, Attendance::Done);
}

#[test]
fn what_it_says_of_ours_is_so_here_and_the_patient_is_told() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    bench.hear(&of(ours, word(1, 2, 0)));
    let reference = Reference { id: "F1".to_owned(), ..Reference::default() };
    assert_eq!(bench.one(ours).standing, Standing::Confirmed(reference), "its word is as good as its answer");
    assert!(bench.due().is_empty() && bench.tasks().is_empty());
    // It is known by either name from now on.
    bench.hear(&came(Attendance::Arrived, word(2, 2, 0)));
    assert_eq!(bench.one(ours).attendance, Attendance::Arrived);
    assert!(bench.due().is_empty(), "what it said is not told back");
    bench.hear(&with(Attendance::Expected, word(3, 4, 0)));
    assert_eq!((bench.has(2), bench.has(4)), (None, Some(ours)));
    assert_eq!((bench.one(ours).start, bench.one(ours).attendance), (slot(4).start, Attendance::Expected));
    assert_eq!(bench.tasks(), [(TaskKind::CallPatient, Some(ours))]);
    bench.hear(&cancelled(word(4, 4, 0)));
    let Standing::Cancelled(cancellation) = &bench.one(ours).standing else { panic!("it stands") };
    assert_eq!((cancellation.by, cancellation.told), (CancelledBy::Provider, true));
    assert_eq!((bench.has(4), bench.tasks().len()), (None, 2));
    assert!(bench.due().is_empty());
}

#[test]
fn a_move_to_a_time_that_was_sold_here_is_somebody_to_be_called() {
    let mut bench = Bench::new();
    let (ours, other) = (bench.book(1, 0, 2), bench.book(2, 1, 4));
    bench.confirm(ours);
    bench.confirm(other);
    bench.hear(&of(ours, word(1, 4, 0)));
    assert_eq!((bench.has(2), bench.has(4), bench.one(ours).start), (None, Some(other), slot(4).start));
    let called: BTreeSet<_> = bench.tasks().into_iter().filter_map(|(_, id)| id).collect();
    assert_eq!(called, BTreeSet::from([ours, other]));
    // Moved out of every session of ours, it has nothing of ours.
    let away = SystemWord { sessions: vec!["hands".to_owned()], ..word(2, 0, 0) };
    bench.hear(&of(ours, away));
    assert_eq!((bench.has(4), bench.has(0), bench.one(ours).keys.len()), (Some(other), None, 0));
}

#[test]
fn another_patients_word_changes_nothing_and_is_looked_into() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    bench.confirm(ours);
    let before = bench.one(ours).clone();
    bench.hear(&of(ours, with(Attendance::DidNotAttend, word(1, 2, 1))));
    let after = Appointment { attendance: before.attendance, ..bench.one(ours).clone() };
    assert_eq!((after, bench.one(ours).attendance), (before, Attendance::Expected));
    assert_eq!(bench.tasks(), [(TaskKind::Disagreement, Some(ours))]);
}

#[test]
fn a_system_that_does_not_repeat_our_name_is_understood_by_patient_and_time() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    let after = |at: i64, word: SystemWord| SystemWord {
        when: WordTime { at: Timestamp(NOW.0 + at), place: (2, 0) },
        ..word
    };
    // Said before the answer came, it might be another of the same patient's.
    bench.hear(&after(0, word(1, 2, 0)));
    assert_eq!(
        (bench.one(THEIRS).is_confirmed(), bench.has(2), bench.tasks()),
        (true, Some(ours), Vec::new())
    );
    bench.confirm(ours);
    assert!(bench.one(ours).is_confirmed() && !bench.one(THEIRS).stands());
    // Said after it, it is understood at once.
    let later = bench.book(2, 1, 5);
    bench.confirm(later);
    let named = |name: &str, word: SystemWord| {
        let names = vec![name.to_owned()];
        SystemWord { id: AppointmentId(79), names, filler: name.to_owned(), ..word }
    };
    bench.hear(&after(1, named("F5", word(1, 5, 1))));
    assert!(bench.desk.appointment(AppointmentId(79)).is_none());
    let Standing::Confirmed(reference) = &bench.one(later).standing else { panic!("not confirmed") };
    assert_eq!(reference.id, "F5");
    bench.hear(&after(1, with(Attendance::DidNotAttend, word(2, 4, 0))));
    assert_eq!((bench.one(ours).attendance, bench.has(4)), (Attendance::DidNotAttend, Some(ours)));
    // Another patient's, and what is named already, is another appointment.
    let other = SystemWord { id: AppointmentId(78), names: vec!["F2".to_owned()], ..word(3, 4, 0) };
    bench.hear(&after(2, SystemWord { filler: "F2".to_owned(), ..other }));
    assert!(bench.desk.appointment(AppointmentId(78)).is_some());
}

#[test]
fn what_was_cancelled_here_and_stands_there_is_looked_into() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    bench.confirm(ours);
    let deed = Deed::Cancel { appointment: ours, by: CancelledBy::Patient, reason: "Cannot come".to_owned() };
    bench.deed(NOW, 2, &deed);
    bench.hear(&of(ours, word(1, 2, 0)));
    assert!(bench.tasks().is_empty(), "an echo of the booking");
    let at = |at: i64| WordTime { at: Timestamp(NOW.0 + at), place: (2, 0) };
    // Said after it was cancelled, but perhaps before the clinic knew.
    bench.hear(&of(ours, SystemWord { when: at(-1), ..word(1, 2, 0) }));
    bench.settle(ours, WorkKind::Cancel, &Outcome::Cancelled);
    assert!(bench.tasks().is_empty() && !bench.one(ours).stands());
    // Said after the clinic has answered: the book is its own, so it stands, and people look.
    bench.hear(&of(ours, SystemWord { when: at(1000), ..word(1, 2, 0) }));
    assert_eq!(bench.tasks(), [(TaskKind::Disagreement, Some(ours))]);
    assert_eq!((bench.one(ours).stands(), bench.has(2)), (true, Some(ours)));
    bench.deed(Timestamp(NOW.0 + 5000), 3, &deed);
    assert_eq!((bench.has(2), bench.due()[0].kind), (None, WorkKind::Cancel));
    bench.hear(&of(ours, SystemWord { when: at(6000), ..word(1, 2, 0) }));
    assert!(!bench.one(ours).stands(), "it has not answered yet");
    bench.deed(NOW, 4, &Deed::FinishTask { task: bench.desk.tasks()[0].id, note: String::new() });
    bench.settle(ours, WorkKind::Cancel, &Outcome::Cancelled);
    assert_eq!(
        bench.tasks(),
        [(TaskKind::Disagreement, Some(ours))],
        "looked into, for it may have been told late"
    );
}

#[test]
fn changes_and_who_came_are_told_once_each_in_the_words_of_the_time() {
    let mut bench = Bench::new();
    let ours = bench.book(1, 0, 2);
    let amend = |comment: &str| Deed::Amend {
        appointment: ours,
        description: "Feet".to_owned(),
        comment: comment.to_owned(),
        needs: Needs::default(),
    };
    bench.deed(NOW, 2, &amend("Side door"));
    let booking = &bench.due()[0];
    assert_eq!((booking.kind, booking.appointment.comment.as_str()), (WorkKind::Book, ""), "as first asked");
    bench.confirm(ours);
    let told = bench.due().remove(0);
    let news = told.news.unwrap();
    assert_eq!(
        (told.kind, news.what, news.appointment.comment.as_str()),
        (WorkKind::Tell, News::Amended, "Side door")
    );
    bench.deed(NOW, 3, &amend("Back door"));
    bench.deed(NOW, 4, &amend("Front door"));
    for attendance in [Attendance::Arrived, Attendance::Called, Attendance::In] {
        bench.deed(NOW, 5 + attendance as u128, &Deed::Mark { appointment: ours, attendance });
    }
    let again = bench.due().remove(0).news.unwrap();
    assert_eq!(again, news, "the same, however often");
    let ok = Outcome::Told(Reference::default());
    let mut heard = Vec::new();
    while let Some(work) = bench.due().pop() {
        let news = work.news.unwrap();
        heard.push((news.what, news.appointment.comment.clone(), news.appointment.attendance));
        bench.settle(ours, WorkKind::Tell, &ok);
    }
    let front = "Front door".to_owned();
    assert_eq!(
        heard,
        [
            (News::Amended, "Side door".to_owned(), Attendance::Expected),
            (News::Amended, front.clone(), Attendance::Expected),
            (News::Attended, front, Attendance::Arrived),
        ]
    );
    // Its echo does not turn back what is known better here.
    bench.hear(&of(ours, with(Attendance::Arrived, word(9, 2, 0))));
    assert_eq!(bench.one(ours).attendance, Attendance::In);
    // What it does not take is looked into, and not told again.
    bench.deed(NOW, 20, &amend("No door"));
    bench.settle(ours, WorkKind::Tell, &Outcome::Refused { words: "No.".to_owned() });
    assert_eq!((bench.tasks(), bench.due().len()), (vec![(TaskKind::Disagreement, Some(ours))], 0));
}

/// What a system may say of one appointment at one moment.
fn words() -> impl Strategy<Value = Vec<SystemWord>> {
    let attendance = prop::sample::select(vec![
        None,
        Some(Attendance::Expected),
        Some(Attendance::Arrived),
        Some(Attendance::Done),
        Some(Attendance::DidNotAttend),
    ]);
    let one = (0..4_u8, 0..4_i64, attendance);
    prop::collection::vec(one, 1..7).prop_map(|all| {
        let words = (1..).zip(all).map(|(at, (sort, number, attendance))| match (sort, attendance) {
            (0, _) => cancelled(word(at, number, 0)),
            (1, Some(attendance)) => came(attendance, word(at, number, 0)),
            (_, attendance) => SystemWord { attendance, ..word(at, number, 0) },
        });
        words.collect()
    })
}

fn state(bench: &Bench, id: AppointmentId) -> String {
    let one = bench.one(id);
    let stands = match &one.standing {
        Standing::Confirmed(reference) => format!("{reference:?}"),
        Standing::Cancelled(cancellation) => format!("{:?} {}", cancellation.by, cancellation.told),
        other => format!("{other:?}"),
    };
    let slots: Vec<_> = (0..6).map(|number| bench.has(number)).collect();
    // Where a cancelled one would have been, nobody asks.
    let times = one.stands().then_some((one.start, one.end, &one.keys));
    format!("{stands} {:?} {slots:?} {times:?}", one.attendance)
}

proptest! {
    #[test]
    fn any_order_and_number_of_the_same_words_ends_in_the_same(
        (words, order) in words().prop_flat_map(|words| {
            let indices = prop::collection::vec(0..words.len(), words.len() * 2);
            let all: Vec<usize> = (0..words.len()).collect();
            (Just(words), (indices, Just(all).prop_shuffle()))
        }),
        places in any::<bool>(),
    ) {
        let (first, rest) = order;
        let mut straight = Bench::new();
        let mut shuffled = Bench::new();
        let ours = straight.book(1, 0, 5);
        prop_assert_eq!(shuffled.book(1, 0, 5), ours);
        straight.confirm(ours);
        shuffled.confirm(ours);
        let about = |word: &SystemWord| if places { of(ours, word.clone()) } else { word.clone() };
        words.iter().for_each(|word| straight.hear(&about(word)));
        first.iter().chain(&rest).for_each(|index| shuffled.hear(&about(&words[*index])));
        if places {
            prop_assert_eq!(state(&straight, ours), state(&shuffled, ours));
        } else {
            // Of one that nobody here has heard of, only what is said of the booking is followed.
            let known = straight.desk.appointment(THEIRS).filter(|one| one.stands());
            let other = shuffled.desk.appointment(THEIRS).filter(|one| one.stands());
            let seen = |one: &Appointment| (one.start, one.end, one.keys.clone());
            prop_assert_eq!(known.map(seen), other.map(seen));
            for number in 0..6 {
                prop_assert_eq!(straight.has(number), shuffled.has(number));
            }
        }
        prop_assert!(straight.desk.tasks().len() <= 4 && shuffled.desk.tasks().len() <= 4);
    }
}
