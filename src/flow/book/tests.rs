//! A desk over a simulated disk and a practice that does as it is told: what is said at the desk holds, whatever fails.

use jiff::civil::time;

use super::*;
use crate::{
    booking::{
        act::{ActPlace, Down, Said},
        catalogue::{Day, Session},
        centre::CentreDesk,
    },
    codec::cbor,
    domain::{
        booking::{
            Answer, CancelledBy, Channel, Deed, Done, Needs, Offer, Person, Promise, Refused, RequestId,
            Service, SlotSearch, Standing, TaskKind, VisitPart, WaitingPerson,
        },
        ids::HubId,
        record::ItemKind,
        slot::{Place, SEARCH_MAX},
    },
    flow::{
        read::{
            Purpose, Reason,
            tests::{NOW, Stage, number},
        },
        reception::{PersonSearch, Reception},
    },
    sys::counter::Counted,
};

mod practice;
mod systems;

use practice::{Mood, Surgery};

/// A counter in memory, which can be turned back like a disk.
#[derive(Debug, Default)]
struct Memory(Mutex<Option<u64>>);

impl Memory {
    fn remove(&self) {
        *self.0.lock().unwrap() = None;
    }
}

impl Counter for Memory {
    fn read(&self) -> std::io::Result<Counted> {
        Ok(self.0.lock().unwrap().map_or(Counted::Missing, Counted::Number))
    }

    fn set(&self, number: u64) -> std::io::Result<()> {
        *self.0.lock().unwrap() = Some(number);
        Ok(())
    }
}

fn id(text: &str) -> HubId {
    text.parse().unwrap()
}

fn session(name: &str, service: &str, from: i8) -> Session {
    Session {
        id: id(name),
        service: id(service),
        days: vec![Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday],
        dates: Vec::new(),
        closed: Vec::new(),
        first: None,
        last: None,
        from: time(from, 0, 0, 0),
        until: time(from + 2, 0, 0, 0),
        minutes: 30,
        places: 1,
        channel: Channel::InPerson,
        clinician: None,
        languages: Vec::new(),
        place: Place { name: "Soho".to_owned(), ..Place::default() },
        room: "4".to_owned(),
        step_free: Some(true),
        equipment: Vec::new(),
        allotments: Vec::new(),
        sell_by_hours: 24,
    }
}

fn service(name: &str, words: &str) -> Service {
    Service {
        id: id(name),
        name: words.to_owned(),
        words: Vec::new(),
        hub: id("soho"),
        system: "hub".to_owned(),
        organisation: "Soho".to_owned(),
        telephone: "020 7946 0000".to_owned(),
        walk_in: None,
    }
}

pub(crate) struct Ground {
    pub(crate) stage: Stage,
    surgery: Arc<Surgery>,
    told: Vec<Arc<dyn TakesBookings>>,
    counter: Arc<Memory>,
}

/// A desk that runs.
pub(crate) struct Running {
    pub(crate) front: FrontDesk,
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self { stage: Stage::new(), surgery: Arc::default(), told: Vec::new(), counter: Arc::default() }
    }

    fn options(&self, first: bool) -> Options {
        Options {
            catalogue: self.catalogue(),
            practices: vec![Arc::clone(&self.surgery) as Arc<dyn GpSystem>],
            told: self.told.clone(),
            hears: systems::hears,
            organisation: Organisation {
                ods_code: "5LC01".to_owned(),
                name: "Soho".to_owned(),
                kind: String::new(),
                telephone: String::new(),
            },
            directory: PathBuf::from("/state/booking"),
            first,
            counter: Arc::clone(&self.counter) as Arc<dyn Counter>,
        }
    }

    /// What is in the hub's own book; and in a clinic's, if there is one.
    fn catalogue(&self) -> Catalogue {
        let mut catalogue = Catalogue {
            services: vec![service("feet", "Podiatry"), service("blood", "Blood test")],
            sessions: vec![session("feet-am", "feet", 9), session("blood-am", "blood", 9)],
        };
        if let Some(told) = self.told.first() {
            catalogue.services.push(Service { system: told.name().to_owned(), ..service("wound", "Wounds") });
            catalogue.sessions.push(session("wound-am", "wound", 9));
        }
        catalogue
    }

    /// A minute passes.
    fn later(&self) {
        let now = self.stage.hub.now();
        self.stage.clock.set(now.plus(std::time::Duration::from_secs(60)));
    }

    pub(crate) async fn start(&self, first: bool) -> Running {
        let (desk, heard) = BookingDesk::open(&self.stage.hub, self.options(first)).unwrap();
        let (front, stop) = (FrontDesk(Arc::clone(&desk)), tokio::sync::watch::Sender::new(false));
        let task = tokio::spawn(desk.run(heard, stop.subscribe()));
        let running = Running { front, stop, task };
        // It is open, or has asked whether it is the first of its hub.
        let known =
            |desk: &Desk| desk.catalogues().contains_key(&id("soho")) || (!first && desk.life().is_some());
        running.until(|front| known(&front.0.desk())).await;
        running
    }
}

impl Running {
    pub(super) async fn until(&self, mut holds: impl FnMut(&FrontDesk) -> bool) {
        while !holds(&self.front) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Under which name it has asked whether it is the first.
    fn life(&self) -> u64 {
        self.front.0.desk().life().unwrap()
    }

    pub(crate) async fn find(&self, service: &str) -> Vec<Offer> {
        let search = SlotSearch {
            service: Some(id(service)),
            from: NOW,
            until: NOW.plus(SEARCH_MAX),
            ..SlotSearch::default()
        };
        self.front.slots(&BookingDesk::itself(), &search).await.unwrap().offers
    }

    pub(crate) async fn perform(&self, request: u128, deed: Deed) -> Result<Answer, Refused> {
        self.front.perform(&BookingDesk::itself(), RequestId(request << 8), deed).await
    }

    pub(crate) async fn book(&self, request: u128, patient: usize, offer: &Offer) -> Result<Answer, Refused> {
        self.perform(request, Deed::Book(part(patient, offer))).await
    }

    /// As a power cut ends it: nothing is written out.
    fn cut(self) {
        self.task.abort();
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

fn person(patient: usize) -> Person {
    Person {
        nhs_number: Some(number(patient)),
        family_name: "Canaryname".to_owned(),
        given_names: format!("Ada {patient}"),
        birth_date: "1971-02-03".to_owned(),
        gender: "female".to_owned(),
        ..Person::default()
    }
}

fn part(patient: usize, offer: &Offer) -> VisitPart {
    VisitPart {
        person: person(patient),
        keys: vec![offer.key.clone()],
        description: "Feet".to_owned(),
        comment: String::new(),
        needs: Needs::default(),
    }
}

pub(crate) fn one(answer: &Answer) -> &crate::domain::booking::Appointment {
    let Done::Appointments(appointments) = &answer.done else { panic!("{:?}", answer.done) };
    &appointments[0]
}

#[tokio::test]
async fn a_slot_is_sold_once_and_a_request_is_carried_out_once() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("feet").await;
    assert_eq!((offers[0].promise.clone(), offers[0].free), (Promise::Firm, 1));
    let booked = desk.book(1, 0, &offers[0]).await.unwrap();
    assert_eq!(one(&booked).standing, Standing::Firm);
    let again = desk.book(1, 0, &offers[0]).await.unwrap();
    assert_eq!(one(&again).id, one(&booked).id, "the same request has the same answer");
    let misused = desk.book(1, 1, &offers[0]).await.unwrap_err();
    assert_eq!(misused.code, "request-used");
    let lost = desk.book(2, 1, &offers[0]).await.unwrap();
    assert_eq!(lost.done, Done::Taken);
    assert_eq!(lost.next.len(), 3, "the next three are offered");
    assert_eq!(lost.next[0].start, offers[1].start);
    assert!(desk.find("feet").await.iter().all(|offer| offer.key != offers[0].key));
}

#[tokio::test]
async fn a_firm_booking_waits_for_the_disk_once() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("feet").await;
    // What is only there once, such as the first of the desk's entries in this epoch, is not counted.
    desk.book(1, 0, &offers[0]).await.unwrap();
    let waits = || ground.stage.disk.calls().iter().filter(|call| call.starts_with("sync")).count();
    for (request, offer) in (2..).zip(&offers[1..4]) {
        let before = waits();
        assert_eq!(one(&desk.book(request, 1, offer).await.unwrap()).standing, Standing::Firm);
        assert_eq!(waits() - before, 1);
    }
}

#[tokio::test]
async fn many_at_once_for_one_slot_and_only_one_has_it() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offer = desk.find("feet").await.remove(0);
    let mut tasks = tokio::task::JoinSet::new();
    for request in 1..=40_u128 {
        let (front, deed) =
            (desk.front.clone(), Deed::Book(part(usize::try_from(request).unwrap() % 4, &offer)));
        tasks.spawn(async move {
            front.perform(&BookingDesk::itself(), RequestId(request << 8), deed).await.unwrap().done
        });
    }
    let done = tasks.join_all().await;
    let booked = done.iter().filter(|done| matches!(done, Done::Appointments(_))).count();
    assert_eq!((booked, done.iter().filter(|done| **done == Done::Taken).count()), (1, 39));
}

#[tokio::test]
async fn what_was_said_at_the_desk_is_so_after_a_power_cut() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("feet").await;
    let booked = desk.book(1, 0, &offers[0]).await.unwrap();
    desk.cut();
    let desk = ground.start(false).await;
    desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
    assert_eq!(desk.front.appointment(one(&booked).id).as_ref(), Some(one(&booked)));
    assert_eq!(desk.book(2, 1, &offers[0]).await.unwrap().done, Done::Taken);
    assert_eq!(one(&desk.book(1, 0, &offers[0]).await.unwrap()).id, one(&booked).id);
    // And from its file, once it was written out.
    desk.end().await;
    let desk = ground.start(false).await;
    desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
    assert_eq!(desk.book(3, 1, &offers[0]).await.unwrap().done, Done::Taken);
    assert_eq!(one(&desk.book(4, 1, &offers[1]).await.unwrap()).standing, Standing::Firm);
}

#[tokio::test]
async fn a_desk_that_was_turned_back_sells_nothing_that_it_may_have_sold() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("feet").await;
    desk.end().await;
    // A later life of this desk sold slots, and then its disk was put back.
    ground.counter.set(7).unwrap();
    let desk = ground.start(false).await;
    desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
    let refused = desk.book(1, 0, &offers[0]).await.unwrap_err();
    assert_eq!(refused.code, "held");
    assert!(desk.find("feet").await.is_empty());
    assert!(ground.stage.hub.alarms.standing().iter().any(|alarm| alarm.code == AlarmCode::SlotsHeld));
}

#[tokio::test(flavor = "multi_thread")]
async fn held_slots_are_sold_again_on_the_word_of_two_people() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("feet").await;
    desk.end().await;
    ground.counter.set(7).unwrap();
    let desk = ground.start(false).await;
    desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
    let hub = Arc::clone(&ground.stage.hub);
    let bench = crate::flow::sign_in::fake::bench();
    bench.add("alex", "Alex Example", &[crate::access::Role::Administrator]);
    bench.add("sam", "Sam Example", &[crate::access::Role::Reception]);
    hub.set_sign_in(Arc::clone(&bench.sign_in));
    let held = hub.held_slots().unwrap();
    assert_eq!(held.iter().map(|held| held.session.as_str()).collect::<Vec<_>>(), ["feet-am", "blood-am"]);
    let unlocking = |second: &str, password: &str| Unlocking {
        session: id("feet-am"),
        from: NOW,
        until: NOW.plus(SEARCH_MAX),
        second: second.to_owned(),
        password: crate::access::Secret::new(password),
        reason: "The clinic's paper shows nobody".to_owned(),
    };
    let right = crate::flow::sign_in::fake::PASSWORD;
    for (second, password, by, wrong) in [
        ("alex", "not the password", "uid 0", "the second person"),
        ("sam", right, "uid 0", "role"),
        ("alex", right, "alex", "two different people"),
    ] {
        let (hub, unlocking) = (Arc::clone(&hub), unlocking(second, password));
        let refused = tokio::task::spawn_blocking(move || hub.unlock_slots(&unlocking, by)).await.unwrap();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(wrong), "{second}: {refused}");
    }
    assert!(desk.find("feet").await.is_empty());
    let (unlocked, all) = (unlocking("alex", right), Arc::clone(&hub));
    let count =
        tokio::task::spawn_blocking(move || all.unlock_slots(&unlocked, "uid 0")).await.unwrap().unwrap();
    assert_eq!(count, offers.len());
    assert_eq!(one(&desk.book(1, 0, &offers[0]).await.unwrap()).standing, Standing::Firm);
    assert!(desk.find("blood").await.is_empty(), "of another session nobody said anything");
}

#[tokio::test]
async fn a_new_desk_sells_nothing_before_somebody_says_that_it_is_the_first() {
    let ground = Ground::new();
    let desk = ground.start(false).await;
    assert!(desk.find("feet").await.is_empty());
    let board = desk.front.board(NOW, NOW);
    assert!(board.held.contains("earlier"), "{}", board.held);
    let ticket = Deed::Wait(waiting());
    assert_eq!(
        desk.perform(1, ticket).await.unwrap_err().code,
        "not-durable",
        "its acts would be taken for others'"
    );
    // What the centre has told an earlier box of this hub, and now says again, is not for this one.
    let life = desk.life();
    hear(&ground, 1, Said::Known { of: id("soho"), life: life ^ 1, incarnation: 0 }).await;
    // A restart does not ask again, for the answer may be on its way.
    desk.end().await;
    let desk = ground.start(false).await;
    desk.until(|front| front.0.desk().heard(&id("centre")).is_some()).await;
    assert_eq!((desk.life(), desk.front.0.desk().ledger().may_sell().is_ok()), (life, false));
    // The centre says that it has never heard of one.
    hear(&ground, 2, Said::Known { of: id("soho"), life, incarnation: 0 }).await;
    desk.until(|front| front.0.desk().catalogues().contains_key(&id("soho"))).await;
    let offer = desk.find("feet").await.remove(0);
    assert_eq!(one(&desk.book(2, 0, &offer).await.unwrap()).standing, Standing::Firm);
}

#[tokio::test]
async fn a_box_in_place_of_a_lost_one_holds_what_that_one_may_have_sold() {
    for told_that_it_is_the_first in [false, true] {
        let ground = Ground::new();
        let desk = ground.start(told_that_it_is_the_first).await;
        assert_eq!(desk.front.0.desk().ledger().may_sell().is_ok(), told_that_it_is_the_first);
        let incarnation = 1_700_000_000;
        hear(&ground, 1, Said::Known { of: id("soho"), life: desk.life(), incarnation }).await;
        desk.until(|front| incarnation < front.0.desk().ledger().incarnation()).await;
        desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
        desk.until(|front| front.0.desk().catalogues().contains_key(&id("soho"))).await;
        assert!(desk.find("feet").await.is_empty(), "every time is held");
        let alarms = &ground.stage.hub.alarms;
        desk.until(|_| alarms.standing().iter().any(|alarm| alarm.code == AlarmCode::SlotsHeld)).await;
        // Told again after a restart, it changes nothing.
        desk.end().await;
        let desk = ground.start(false).await;
        desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
        assert_eq!(desk.front.0.desk().ledger().incarnation(), incarnation + 2);
    }
}

#[tokio::test]
async fn a_copy_of_a_disk_that_had_asked_does_not_take_the_answer_for_its_own() {
    let ground = Ground::new();
    let desk = ground.start(false).await;
    let life = desk.life();
    desk.end().await;
    // The copy lies on another disk, where no counter was ever set.
    ground.counter.remove();
    let desk = ground.start(false).await;
    hear(&ground, 1, Said::Known { of: id("soho"), life, incarnation: 0 }).await;
    desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
    desk.until(|front| front.0.desk().catalogues().contains_key(&id("soho"))).await;
    assert!(desk.find("feet").await.is_empty(), "every time is held");
}

fn waiting() -> WaitingPerson {
    WaitingPerson {
        id: AppointmentId(0),
        person: person(1),
        wish: SlotSearch {
            service: Some(id("feet")),
            from: NOW,
            until: NOW.plus(SEARCH_MAX),
            ..SlotSearch::default()
        },
        priority: 2,
        since: NOW,
        short_notice: true,
        by: String::new(),
    }
}

async fn hear(ground: &Ground, number: u64, said: Said) {
    let act = Act {
        v: Act::VERSION,
        place: ActPlace { incarnation: 1, number },
        request: None,
        at: NOW,
        by: String::new(),
        said: vec![said],
    };
    let acts = vec![serde_bytes::ByteBuf::from(cbor::encode(&act).unwrap())];
    let down = Down { v: Act::VERSION, from: id(CentreDesk::NAME), jump: false, acts };
    ground.stage.hub.take_from_centre(BOOKING, cbor::encode(&down).unwrap().into()).await.unwrap();
}

#[tokio::test]
async fn a_move_frees_the_old_slot_and_names_who_waits_for_it() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("feet").await;
    let old = one(&desk.book(1, 0, &offers[0]).await.unwrap()).clone();
    desk.perform(2, Deed::Wait(waiting())).await.unwrap();
    let deed = Deed::Move { appointment: old.id, keys: vec![offers[1].key.clone()] };
    let moved = desk.perform(3, deed).await.unwrap();
    let Done::Appointments(both) = &moved.done else { panic!("{moved:?}") };
    assert_eq!(both[0].standing, Standing::Firm);
    assert!(matches!(&both[1].standing, Standing::Cancelled(cancelled) if cancelled.told));
    let tasks = desk.front.board(NOW, NOW).tasks;
    assert_eq!((tasks.len(), tasks[0].kind), (1, TaskKind::OfferFreed));
    assert_eq!(tasks[0].freed, [offers[0].key.clone()]);
    assert_eq!(one(&desk.book(4, 1, &offers[0]).await.unwrap()).standing, Standing::Firm, "it is free again");
}

#[tokio::test]
async fn what_is_too_long_or_missing_is_said_and_nothing_is_cut_off() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offer = desk.find("feet").await.remove(0);
    let with = |change: fn(&mut VisitPart)| {
        let mut part = part(0, &offer);
        change(&mut part);
        Deed::Book(part)
    };
    let cases = [
        (with(|part| part.description = "x".repeat(101)), "too-long", "description"),
        (with(|part| part.comment = "é".repeat(501)), "too-long", "comment"),
        (with(|part| part.person.family_name.clear()), "family-name", "family-name"),
        (with(|part| part.keys.clear()), "keys", "keys"),
    ];
    for (request, (deed, code, field)) in (1..).zip(cases) {
        let refused = desk.perform(request, deed).await.unwrap_err();
        assert_eq!((refused.code, refused.field), (code, field));
    }
    let fits = with(|part| part.comment = "é".repeat(500));
    let booked = one(&desk.perform(9, fits).await.unwrap()).clone();
    assert_eq!(booked.comment.chars().count(), 500);
    let without = Deed::Cancel { appointment: booked.id, by: CancelledBy::Patient, reason: " ".to_owned() };
    assert_eq!(desk.perform(10, without).await.unwrap_err().code, "reason-missing");
}

#[tokio::test]
async fn a_practice_confirms_or_says_that_somebody_was_first() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("surgery").await;
    assert_eq!(offers[0].promise, Promise::BySystem);
    let booked = desk.book(1, 0, &offers[0]).await.unwrap();
    assert!(matches!(one(&booked).standing, Standing::Confirmed(_)), "{:?}", one(&booked).standing);
    ground.surgery.is(Mood::Taken);
    let lost = desk.book(2, 1, &offers[1]).await.unwrap();
    assert_eq!(lost.done, Done::Taken);
    assert!(desk.front.board(NOW, NOW).tasks.is_empty(), "whoever asked was told");
    ground.surgery.is(Mood::Answers);
    let cancel = Deed::Cancel {
        appointment: one(&booked).id,
        by: CancelledBy::Patient,
        reason: "Feels better".to_owned(),
    };
    let cancelled = desk.perform(3, cancel).await.unwrap();
    assert!(matches!(&one(&cancelled).standing, Standing::Cancelled(cancelled) if cancelled.told));
    assert_eq!(ground.surgery.booked(), 0);
}

#[tokio::test]
async fn with_a_silent_practice_a_booking_is_provisional_and_ends_confirmed_or_as_a_task() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offers = desk.find("surgery").await;
    ground.surgery.is(Mood::Silent);
    ground.later();
    let again = desk.find("surgery").await;
    assert!(matches!(again[0].promise, Promise::Provisional(_)), "older slots, and it says so");
    let first = one(&desk.book(1, 0, &offers[0]).await.unwrap()).clone();
    let second = one(&desk.book(2, 1, &offers[1]).await.unwrap()).clone();
    assert!(matches!(first.standing, Standing::Provisional { .. }), "{:?}", first.standing);
    assert_eq!(desk.front.board(NOW, NOW).provisional.len(), 2);
    ground.surgery.is(Mood::Answers);
    ground.surgery.give_away(&second);
    ground.later();
    let settled = |front: &FrontDesk, id| {
        !matches!(front.appointment(id).unwrap().standing, Standing::Provisional { .. })
    };
    desk.until(|front| settled(front, first.id) && settled(front, second.id)).await;
    assert!(desk.front.appointment(first.id).unwrap().is_confirmed());
    let tasks = desk.front.board(NOW, NOW).tasks;
    assert_eq!(
        (tasks.len(), tasks[0].kind, tasks[0].appointment),
        (1, TaskKind::CallPatient, Some(second.id))
    );
}

#[tokio::test]
async fn a_connection_lost_while_booking_books_once() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offer = desk.find("surgery").await.remove(0);
    ground.surgery.is(Mood::BooksAndHangsUp);
    let booked = one(&desk.book(1, 0, &offer).await.unwrap()).clone();
    assert!(matches!(booked.standing, Standing::Provisional { .. }));
    desk.cut();
    ground.surgery.is(Mood::Answers);
    ground.later();
    let desk = ground.start(false).await;
    desk.until(|front| front.appointment(booked.id).unwrap().is_confirmed()).await;
    assert_eq!(ground.surgery.booked(), 1);
}

#[tokio::test]
async fn a_visit_is_had_whole_or_not_at_all() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let (feet, surgery) = (desk.find("feet").await, desk.find("surgery").await);
    ground.surgery.is(Mood::Taken);
    let visit = Deed::BookVisit(vec![part(0, &feet[0]), part(0, &surgery[0])]);
    let lost = desk.perform(1, visit).await.unwrap();
    assert_eq!(lost.done, Done::Taken);
    desk.until(|front| front.0.desk().appointments().all(|appointment| !appointment.stands())).await;
    assert_eq!(desk.find("feet").await[0].key, feet[0].key, "what was held for the visit is free again");
    ground.surgery.is(Mood::Answers);
    let visit = Deed::BookVisit(vec![part(0, &feet[0]), part(0, &surgery[0])]);
    let had = desk.perform(2, visit).await.unwrap();
    let Done::Appointments(both) = &had.done else { panic!("{had:?}") };
    assert!(both.len() == 2 && both.iter().all(crate::domain::booking::Appointment::is_confirmed));
}

#[tokio::test]
async fn an_appointment_is_in_the_patients_record_and_finds_the_patient() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offer = desk.find("feet").await.remove(0);
    desk.book(1, 0, &offer).await.unwrap();
    let purpose = Purpose { by: "test".to_owned(), reason: Reason::Demonstration };
    let found = ground
        .stage
        .until(|hub| {
            let record = hub.one_record(&number(0), &purpose).ok()?;
            (!record.section(ItemKind::Appointment).is_empty()).then_some(record)
        })
        .await;
    assert_eq!(found.section(ItemKind::Appointment)[0].sources[0].system, "hub");
    let search = PersonSearch { name: "canary ada".to_owned(), ..PersonSearch::default() };
    let people = desk.front.people(&search).await.unwrap().people;
    assert_eq!((people.len(), people[0].person.nhs_number), (1, Some(number(0))));
    assert_eq!(desk.front.people(&PersonSearch::default()).await.unwrap_err().code, "search-empty");
}
