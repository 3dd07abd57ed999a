//! Systems that keep the book themselves: what they are told, and what is heard of them.

use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::*;
use crate::{
    domain::{
        booking::{Appointment, Attendance, BookWord, SystemWord, WordTime},
        entry::Entry,
        slot::AppointmentStatus,
        time::Timestamp,
    },
    flow::{
        ask::{Asked, AtFault, Outcome, Refusal, Retry, Telling, Told},
        book::reread::Looked,
    },
};

/// A clinic's system that takes what it is told, or is silent.
#[derive(Debug, Default)]
struct Clinic {
    silent: std::sync::atomic::AtomicBool,
    told: Mutex<Vec<Telling>>,
}

impl Clinic {
    fn told(&self) -> Vec<Telling> {
        self.told.lock().unwrap().clone()
    }

    fn silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }
}

impl TakesBookings for Clinic {
    fn name(&self) -> &str {
        "rio"
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> Asked<'a, crate::domain::booking::Reference> {
        self.told.lock().unwrap().push(telling.clone());
        let answer = if self.silent.load(Ordering::SeqCst) {
            Err(Refusal {
                code: "SILENT",
                at_fault: AtFault::Network,
                retry: Retry::After(std::time::Duration::from_secs(1)),
                outcome: Outcome::Unknown,
                words: "No answer.",
                detail: String::new(),
            })
        } else {
            Ok(crate::domain::booking::Reference { id: "F1".to_owned(), ..Default::default() })
        };
        Box::pin(async move { answer })
    }
}

/// Reads the tests' own format: of an item `Appointment|F1|status=…|start=…|name=…`, the start in milliseconds, and as the
/// name a session or our own name for the appointment.
pub(super) fn hears(entry: &Entry) -> Option<SystemWord> {
    let text = String::from_utf8(entry.raw.as_ref()?.to_vec()).ok()?;
    let at: i64 = text.split('|').next()?.parse().ok()?;
    let mut parts = text.lines().find_map(|line| line.strip_prefix("Appointment|"))?.split('|');
    let filler = parts.next()?.to_owned();
    let of = |name: &str| parts.clone().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let (status, name) = (of("status")?, of("name")?);
    let book = if status == "cancelled" { BookWord::Cancelled } else { BookWord::Stands };
    let start = of("start").and_then(|start| start.parse().ok()).map(Timestamp);
    Some(SystemWord {
        system: String::new(),
        when: WordTime { at: Timestamp(at), place: (0, 0) },
        id: AppointmentId(0),
        names: vec![filler.clone(), name.to_owned()],
        filler,
        book: Some(book),
        attendance: (status == "did not attend").then_some(Attendance::DidNotAttend),
        start,
        end: start.map(|start| Timestamp(start.0 + 1_800_000)),
        sessions: vec![name.to_owned()],
        services: Vec::new(),
        person: Person::default(),
        patient: String::new(),
    })
}

fn ground() -> (Ground, Arc<Clinic>) {
    let clinic = Arc::new(Clinic::default());
    let told = vec![Arc::clone(&clinic) as Arc<dyn TakesBookings>];
    (Ground { told, ..Ground::new() }, clinic)
}

/// A message of the clinic's, about a patient and its appointment F1.
fn message(at: i64, family: &str, status: &str, start: Timestamp, name: &str) -> String {
    format!(
        "{}|9990000026|R1\nDemographics||family_name={family}|birth_date=19710203\n\
         Appointment|F1|status={status}|start={}|name={name}",
        NOW.0 + at,
        start.0
    )
}

fn amend(appointment: &Appointment, comment: &str) -> Deed {
    Deed::Amend {
        appointment: appointment.id,
        description: appointment.description.clone(),
        comment: comment.to_owned(),
        needs: appointment.needs.clone(),
    }
}

#[tokio::test]
async fn what_is_told_again_after_a_power_cut_is_told_in_the_same_words() {
    let (ground, clinic) = ground();
    clinic.silent(true);
    let desk = ground.start(true).await;
    let offer = desk.find("wound").await.remove(0);
    let booked = one(&desk.book(1, 0, &offer).await.unwrap()).clone();
    assert!(matches!(booked.standing, Standing::Provisional { .. }));
    ground.later();
    desk.perform(2, amend(&booked, "Side door")).await.unwrap();
    desk.until(|_| 2 <= clinic.told().len()).await;
    desk.cut();
    ground.later();
    clinic.silent(false);
    let desk = ground.start(false).await;
    desk.until(|_| clinic.told().iter().any(|told| told.what == Told::Amended)).await;
    desk.until(|front| front.0.desk().to_tell(booked.id).is_none()).await;
    let told = clinic.told();
    let first = told.first().unwrap();
    let bookings: Vec<_> = told.iter().filter(|told| told.what == Told::Booked).collect();
    assert!(3 <= bookings.len());
    for again in bookings {
        assert_eq!((&again.id, again.at), (&first.id, booked.made));
        assert_eq!(again.appointment.comment, "", "amended since, and told so after it");
    }
    let amended = told.last().unwrap();
    assert_eq!((amended.what, amended.appointment.comment.as_str()), (Told::Amended, "Side door"));
    assert_eq!(amended.at, NOW.plus(std::time::Duration::from_secs(60)), "when it was amended");
    assert_eq!(desk.front.appointment(booked.id).unwrap().comment, "Side door");
}

#[tokio::test]
async fn who_did_not_come_is_told_once_an_answer_was_given() {
    let (ground, clinic) = ground();
    let desk = ground.start(true).await;
    let offer = desk.find("wound").await.remove(0);
    let booked = one(&desk.book(1, 0, &offer).await.unwrap()).clone();
    ground.stage.clock.set(booked.end);
    clinic.silent(true);
    let missed = Deed::Mark { appointment: booked.id, attendance: Attendance::DidNotAttend };
    desk.perform(2, missed).await.unwrap();
    desk.until(|_| clinic.told().len() == 2).await;
    clinic.silent(false);
    ground.later();
    desk.until(|front| front.0.desk().to_tell(booked.id).is_none()).await;
    let told = clinic.told();
    assert_eq!(told.iter().map(|told| told.what).collect::<Vec<_>>()[1..], [Told::DidNotAttend; 2]);
    assert_eq!(told[1], told[2]);
    assert!(told.iter().all(|told| told.id.len() == 20));
}

#[tokio::test]
async fn what_a_clinic_says_is_heard_once_and_a_word_that_does_not_fit_stops_nothing() {
    let (ground, clinic) = ground();
    let rio = ground.stage.hub.add_link("rio", "RiO", "");
    let other = ground.stage.hub.add_link("pas", "PAS", "");
    let desk = ground.start(true).await;
    let offers = desk.find("wound").await;
    let booked = one(&desk.book(1, 0, &offers[0]).await.unwrap()).clone();
    let long = "x".repeat(5 << 20);
    let misfit = message(1, &long, "booked", offers[1].start, "wound-am").replace("|F1|", "|F2|");
    ground.stage.receive(&rio, &[misfit]).await;
    let taken = message(3, "Canaryname", "booked", offers[2].start, "wound-am").replace("|F1|", "|F3|");
    ground.stage.receive(&rio, std::slice::from_ref(&taken)).await;
    ground.stage.receive(&other, &[message(4, "Canaryname", "cancelled", offers[2].start, "wound-am")]).await;
    let key = |number: usize| offers[number].key.clone();
    let gone = |front: &FrontDesk| {
        front.0.desk().appointments().any(|one| one.keys == [key(2)] && one.made_by == "rio")
    };
    desk.until(gone).await;
    let free: Vec<_> = desk.find("wound").await.into_iter().map(|offer| offer.key).collect();
    assert!(free.contains(&key(1)) && !free.contains(&key(2)) && !free.contains(&key(0)));
    assert_eq!(desk.book(5, 1, &offers[2]).await.unwrap().done, Done::Taken);
    let told = clinic.told().len();
    // The clinic says that ours was not attended; the desk says so too, and tells it nothing back.
    let missed = message(9, "Canaryname", "did not attend", offers[0].start, &booked.id.to_string());
    let missed = missed.replace("9990000026", "9990000018");
    ground.stage.receive(&rio, std::slice::from_ref(&missed)).await;
    let attendance = |front: &FrontDesk| front.appointment(booked.id).unwrap().attendance;
    desk.until(|front| attendance(front) == Attendance::DidNotAttend).await;
    let acts = desk.front.0.desk().clone();
    desk.cut();
    // After a power cut all of it is read again, and nothing is put down again.
    let desk = ground.start(false).await;
    desk.until(|front| front.0.desk().ledger().may_sell().is_ok()).await;
    let marker = message(20, "Canaryname", "booked", offers[3].start, "wound-am").replace("|F1|", "|F4|");
    ground.stage.receive(&rio, &[marker]).await;
    desk.until(|front| front.0.desk().appointments().any(|one| one.keys == [key(3)])).await;
    let found = desk.front.0.desk().clone();
    for known in acts.appointments() {
        assert_eq!(found.appointment(known.id), Some(known));
    }
    assert_eq!(found.appointments().count(), acts.appointments().count() + 1);
    assert_eq!(clinic.told().len(), told);
    assert_eq!(desk.front.board(NOW, NOW).tasks, []);
}

#[tokio::test]
async fn an_amendment_is_forwarded_to_the_practice_once() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offer = desk.find("surgery").await.remove(0);
    let booked = one(&desk.book(1, 0, &offer).await.unwrap()).clone();
    ground.surgery.is(Mood::BooksAndHangsUp);
    desk.perform(2, amend(&booked, "Rings before")).await.unwrap();
    desk.until(|_| ground.surgery.amended() == 1).await;
    ground.surgery.is(Mood::Answers);
    ground.later();
    desk.until(|front| front.0.desk().to_tell(booked.id).is_none()).await;
    assert_eq!((ground.surgery.first().comment.as_str(), ground.surgery.amended()), ("Rings before", 1));
    let Standing::Confirmed(reference) = desk.front.appointment(booked.id).unwrap().standing else {
        panic!("not confirmed")
    };
    assert_eq!(reference.version, ground.surgery.first().version);
    // What is needed on the day stays here: practices have no place for it.
    let needs = Needs { interpreter: "Polish".to_owned(), ..Needs::default() };
    let deed = Deed::Amend {
        appointment: booked.id,
        description: "Feet".to_owned(),
        comment: "Rings before".to_owned(),
        needs,
    };
    desk.perform(3, deed).await.unwrap();
    assert!(desk.front.0.desk().to_tell(booked.id).is_none());
    // And one that is over there cannot be amended: people must look.
    ground.surgery.says(AppointmentStatus::Fulfilled);
    desk.perform(4, amend(&booked, "Too late")).await.unwrap();
    desk.until(|front| !front.board(NOW, NOW).tasks.is_empty()).await;
    assert_eq!(desk.front.board(NOW, NOW).tasks[0].kind, TaskKind::Disagreement);
}

#[tokio::test]
async fn what_a_practice_says_when_it_is_read_again_is_so_here() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let offer = desk.find("surgery").await.remove(0);
    let booked = one(&desk.book(1, 0, &offer).await.unwrap()).clone();
    let (stop, mut stopped) = watch::channel(false);
    let mut looked = Looked::default();
    let booking = Arc::clone(&desk.front.0);
    let state = |front: &FrontDesk| front.appointment(booked.id).unwrap();
    ground.surgery.says(AppointmentStatus::Arrived);
    booking.reread(&mut looked, &mut stopped).await;
    assert_eq!(state(&desk.front).attendance, Attendance::Expected, "it was seen a moment ago");
    ground.stage.clock.set(booked.start);
    booking.reread(&mut looked, &mut stopped).await;
    assert_eq!(state(&desk.front).attendance, Attendance::Arrived);
    // What is known better here stays, until the practice says something new.
    let inside = Deed::Mark { appointment: booked.id, attendance: Attendance::In };
    desk.perform(2, inside).await.unwrap();
    for (status, attendance) in [
        (AppointmentStatus::Arrived, Attendance::In),
        (AppointmentStatus::NoShow, Attendance::DidNotAttend),
        (AppointmentStatus::Fulfilled, Attendance::Done),
    ] {
        ground.surgery.says(status);
        ground.stage.clock.set(Timestamp(ground.stage.hub.now().0 + 16 * 60_000));
        booking.reread(&mut looked, &mut stopped).await;
        assert_eq!(state(&desk.front).attendance, attendance, "{status:?}");
    }
    ground.surgery.is(Mood::Silent);
    ground.stage.clock.set(Timestamp(ground.stage.hub.now().0 + 16 * 60_000));
    booking.reread(&mut looked, &mut stopped).await;
    ground.surgery.is(Mood::Answers);
    ground.surgery.says(AppointmentStatus::Cancelled);
    ground.stage.clock.set(Timestamp(ground.stage.hub.now().0 + 16 * 60_000));
    booking.reread(&mut looked, &mut stopped).await;
    assert!(matches!(&state(&desk.front).standing, Standing::Cancelled(cancelled) if cancelled.told));
    drop(stop);
}
