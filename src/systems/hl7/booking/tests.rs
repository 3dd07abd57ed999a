//! The hub tells a clinic that keeps its own book: what is booked there, once, and what is said at the desk.

use tokio::{net::TcpListener, task::JoinHandle};

use super::*;
use crate::{
    codec::hl7v2::Message as Parsed,
    domain::{
        booking::{Appointment, AppointmentId},
        record::{FieldChange, ItemKind},
        time::Timestamp,
    },
    sys::clock::SimulatedClock,
    systems::{
        hl7::{
            scheduling::tests::{appointment, telling},
            translate,
        },
        rio,
        simulator::{
            clinic::{Clinic, Manner, State},
            people::Person,
            receiver::{Deed, Receiver},
            traffic::Message,
        },
    },
};

const NOW: Timestamp = Timestamp(1_795_000_000_000);

struct Bench<S> {
    system: S,
    booking: SiuBooking,
    task: JoinHandle<()>,
}

impl<S> Drop for Bench<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen() -> (TcpListener, SiuBooking) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ClientOptions {
        answer: Duration::from_millis(300),
        ..ClientOptions::for_bookings(&listener.local_addr().unwrap().to_string(), Address::default())
    };
    (listener, SiuBooking::new("rio", options, Arc::new(SimulatedClock::new(NOW))))
}

async fn clinic() -> Bench<Clinic> {
    let (listener, booking) = listen().await;
    let system = Clinic::default();
    let task = tokio::spawn(system.clone().run(listener));
    Bench { system, booking, task }
}

async fn receiver(deeds: impl IntoIterator<Item = Deed>) -> Bench<Receiver> {
    let (listener, booking) = listen().await;
    let system = Receiver::default();
    system.shall(deeds);
    let task = tokio::spawn(system.clone().run(listener));
    Bench { system, booking, task }
}

fn booked(number: u128) -> Telling {
    let made = Appointment { id: AppointmentId(number), ..appointment() };
    Telling { id: format!("B{number:019x}"), ..telling(Told::Booked, made) }
}

fn then(what: Told, before: &Telling) -> Telling {
    Telling { what, id: format!("{what:?}-1"), ..before.clone() }
}

#[tokio::test]
async fn a_booking_is_taken_and_told_again_has_one_effect() {
    let bench = clinic().await;
    let first = booked(1);
    let reference = bench.booking.tell(&first).await.unwrap();
    assert_eq!(reference.id, first.appointment.id.to_string(), "the clinic has not said how it names it");
    assert_eq!(bench.booking.tell(&first).await.unwrap(), reference);
    let book = bench.system.book();
    assert_eq!(book.len(), 1);
    assert_eq!((book[0].resource.as_str(), book[0].start), ("feet-wed", first.appointment.start));
    assert_eq!((book[0].end, book[0].state), (first.appointment.end, State::Booked));
    assert_eq!(bench.system.received().len(), 2);
    assert_eq!(bench.booking.contact(), Contact { answered: Some(NOW), failed: None });
    assert_eq!(bench.booking.name(), "rio");
}

#[tokio::test]
async fn a_clinic_that_names_the_appointment_is_quoted() {
    let bench = clinic().await;
    bench.system.shall(Manner::Names);
    assert_eq!(bench.booking.tell(&booked(1)).await.unwrap().id, "F1");
}

#[tokio::test]
async fn a_taken_time_is_refused_for_good_whoever_took_it() {
    let bench = clinic().await;
    bench.booking.tell(&booked(1)).await.unwrap();
    let mut later = booked(2);
    later.appointment.start = later.appointment.end;
    later.appointment.end = later.appointment.start.plus(Duration::from_secs(600));
    let own = bench.system.books(
        "feet-wed",
        later.appointment.start,
        Duration::from_secs(600),
        &Person::of(1),
        NOW,
    );
    assert!(own.is_some());
    for telling in [booked(3), later] {
        let refusal = bench.booking.tell(&telling).await.unwrap_err();
        assert_eq!((refusal.code, refusal.outcome), ("SIU_REFUSED", Outcome::NotDone));
        assert_eq!((refusal.retry, refusal.at_fault), (Retry::Never, AtFault::Decision));
        assert_eq!(refusal.words, REFUSED);
        assert_eq!(refusal.detail, "rio: AE 204 Unknown key identifier at AIS^1^4");
    }
    assert_eq!(bench.system.book().len(), 2);
    assert!(bench.booking.contact().failed.is_none(), "a no is an answer");
}

#[tokio::test]
async fn a_lost_answer_leaves_it_open_and_telling_again_books_once() {
    let bench = clinic().await;
    for manner in [Manner::Deaf, Manner::Mute] {
        bench.system.shall(manner);
        let refusal = bench.booking.tell(&booked(1)).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.outcome, refusal.retry),
            ("SIU_NO_ANSWER", Outcome::Unknown, AGAIN)
        );
        let (at, why) = bench.booking.contact().failed.unwrap();
        assert_eq!((at, why.as_str()), (NOW, "SIU_NO_ANSWER: rio: no answer in time"));
    }
    bench.system.shall(Manner::Answers);
    bench.booking.tell(&booked(1)).await.unwrap();
    assert_eq!(bench.system.book().len(), 1);
    assert_eq!(bench.system.received().len(), 3);
}

#[tokio::test]
async fn a_cancellation_frees_the_time_and_a_missed_one_is_noted() {
    let bench = clinic().await;
    let first = booked(1);
    bench.booking.tell(&first).await.unwrap();
    bench.booking.tell(&then(Told::Cancelled, &first)).await.unwrap();
    assert_eq!(bench.system.book()[0].state, State::Cancelled);
    let second = booked(2);
    bench.booking.tell(&second).await.unwrap();
    bench.booking.tell(&then(Told::DidNotAttend, &second)).await.unwrap();
    assert_eq!(bench.system.book()[1].state, State::DidNotAttend);
    let unknown = Telling { id: "X".to_owned(), ..then(Told::Cancelled, &booked(3)) };
    let refusal = bench.booking.tell(&unknown).await.unwrap_err();
    assert_eq!((refusal.words, refusal.outcome), (CANCELLATION_REFUSED, Outcome::NotDone));
}

#[tokio::test]
async fn answers_mean_what_their_numbers_say() {
    for (deed, code, outcome, retry) in [
        (Deed::Error(207), "SIU_NOT_NOW", Outcome::NotDone, AGAIN),
        (Deed::Reject(206), "SIU_NOT_NOW", Outcome::NotDone, AGAIN),
        (Deed::Error(205), "SIU_DUPLICATE", Outcome::Unknown, AGAIN),
        (Deed::Reject(201), "SIU_NOT_UNDERSTOOD", Outcome::NotDone, Retry::Never),
        (Deed::Error(999), "SIU_REFUSED", Outcome::NotDone, Retry::Never),
        (Deed::Reject(999), "SIU_REFUSED", Outcome::NotDone, Retry::Never),
        (Deed::Mismatch, "SIU_NO_ANSWER", Outcome::Unknown, AGAIN),
        (Deed::WithoutId, "SIU_NO_ANSWER", Outcome::Unknown, AGAIN),
        (Deed::Close, "SIU_NO_ANSWER", Outcome::Unknown, AGAIN),
    ] {
        let bench = receiver([deed.clone()]).await;
        let refusal = bench.booking.tell(&booked(1)).await.unwrap_err();
        assert_eq!((refusal.code, refusal.outcome, refusal.retry), (code, outcome, retry), "{deed:?}");
        assert!(refusal.words.ends_with('.'));
        bench.booking.tell(&booked(1)).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_waits_behind_a_silent_one_does_not_wait_as_long_again() {
    let bench = receiver([]).await;
    bench.system.shall_otherwise(Deed::Silence);
    let (one, two, three) = (booked(1), booked(2), booked(3));
    let answers =
        tokio::join!(bench.booking.tell(&one), bench.booking.tell(&two), bench.booking.tell(&three));
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(answer.unwrap_err().outcome, Outcome::Unknown);
    }
    assert_eq!(bench.system.received(), std::slice::from_ref(&one.id), "the others were not sent");
    bench.system.shall_otherwise(Deed::Accept);
    bench.booking.tell(&two).await.unwrap();
}

#[tokio::test]
async fn one_connection_carries_one_telling_at_a_time() {
    let bench = receiver([Deed::AcceptLate(Duration::from_millis(50))]).await;
    let (one, two) = (booked(1), booked(2));
    let (first, second) = tokio::join!(bench.booking.tell(&one), bench.booking.tell(&two));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(bench.system.connections(), 1);
    assert_eq!(bench.system.received(), [one.id, two.id]);
}

#[tokio::test]
async fn a_patient_whom_it_could_only_guess_at_is_not_told_of() {
    let bench = receiver([]).await;
    let mut nobody = booked(1);
    nobody.appointment.person.nhs_number = None;
    let refusal = bench.booking.tell(&nobody).await.unwrap_err();
    assert_eq!((refusal.code, refusal.at_fault), ("SIU_NO_NUMBER", AtFault::Asker));
    assert_eq!((refusal.outcome, refusal.retry), (Outcome::NotDone, Retry::Never));
    assert!(bench.system.received().is_empty());
}

#[tokio::test]
async fn what_the_clinic_says_of_its_book_is_understood_here() {
    let bench = clinic().await;
    let first = booked(1);
    bench.booking.tell(&first).await.unwrap();
    let placer = first.appointment.id.to_string();
    let start = first.appointment.end;
    let own = bench.system.books("feet-wed", start, Duration::from_secs(1200), &Person::of(1), NOW).unwrap();
    let arrived = bench.system.arrives(&placer, NOW).unwrap();
    let missed = bench.system.misses("F2", NOW).unwrap();
    let said = |message: &Message| {
        let event = translate(&Parsed::parse(&message.bytes).unwrap(), &rio::DIALECT).unwrap();
        assert_eq!(event.faults, Vec::<&str>::new());
        assert_eq!(event.source_id, message.control_id);
        let item = event.items.into_iter().find(|item| item.kind != ItemKind::Demographics).unwrap();
        let set = |name| match item.fields.iter().find(|(field, _)| *field == name) {
            Some((_, FieldChange::Set(value))) => value.clone(),
            _ => String::new(),
        };
        (event.kind, set("filler_id"), set("status"), set("duration"), event.nhs_number.unwrap())
    };
    let (theirs, ours) = (Person::of(1).nhs_number, first.appointment.person.nhs_number.unwrap());
    let expect = |kind: &str, filler: &str, status: &str, minutes: &str, who| {
        (kind.to_owned(), filler.to_owned(), status.to_owned(), minutes.to_owned(), who)
    };
    assert_eq!(said(&own), expect("SIU^S12", "F2", "booked", "20", theirs));
    assert_eq!(said(&arrived), expect("ADT^A04", "", "registered", "", ours));
    assert_eq!(said(&missed), expect("SIU^S26", "F2", "did not attend", "20", theirs));
    let states: Vec<State> = bench.system.book().into_iter().map(|held| held.state).collect();
    assert_eq!(states, [State::Arrived, State::DidNotAttend]);
    assert!(bench.system.arrives("nobody", NOW).is_none());
}
