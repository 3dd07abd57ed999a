//! Booking over BaRS, from a search to a cancellation, at a desk whose journal is real and whose disk is not.

use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use polygate::{
    app::hub::RunningHub,
    codec::bars::{Deed as Asked, appointment_of, read},
    config::HubConfig,
    domain::{
        actor::Practitioner,
        booking::{
            Appointment, AppointmentId, Attendance, Board, CancelledBy, Deed, Done, Needs, Offer, OfferKey,
            Person as Patient, RequestId, SlotSearch, Standing, VisitPart,
        },
        time::Timestamp,
    },
    flow::{
        operate::{MessageFilter, Operate},
        reception::Reception,
    },
    sys::http::{HttpClient, HttpLimits, HttpUrl},
    systems::simulator::{
        bars::{Sent, SimulatedReferrer, Slot, Taken},
        people::Person,
    },
};
use serde_json::{Value, json};

use crate::{
    SOHO,
    support::{
        Directory,
        bars_desk::{BarsDesk, MESSAGE_BYTES_MAX, SERVICE, code},
        hub::NOW,
        issue_all, now,
        program::lasting_port,
    },
};

const PRACTICE: &str = "F86001";
const DAY: u64 = 24 * 60;
const CORRELATION: &str = "9562466f-c982-4bd5-bb0e-255e9f5e6689";

fn later(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(minutes * 60))
}

fn referrer() -> SimulatedReferrer {
    SimulatedReferrer::new("RX701", SERVICE, 3)
}

/// A desk, a sender, and what the sender found.
struct Ground {
    desk: BarsDesk,
    sender: SimulatedReferrer,
    slots: Vec<Slot>,
}

impl Ground {
    async fn start() -> Self {
        let (desk, mut sender) = (BarsDesk::start().await, referrer());
        let slots = sender.free_slots(&desk.client, NOW, later(7 * DAY)).await;
        Self { desk, sender, slots }
    }

    async fn free(&mut self) -> Vec<Slot> {
        self.sender.free_slots(&self.desk.client, NOW, later(7 * DAY)).await
    }

    async fn post(&mut self, sent: &Sent) -> (u16, Value) {
        let request = self.sender.request(sent, CORRELATION).unwrap();
        self.desk.ask(request).await
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        let request = self.sender.get(&format!("/fhir/r4{path}")).unwrap();
        self.desk.ask(request).await
    }

    /// Books, and returns the appointment's id.
    async fn book(&mut self, slot: &Slot, person: u64) -> String {
        let sent = self.sender.booking_of(slot, &Person::of(person), PRACTICE, NOW);
        let (taken, _) = self.sender.deliver(&self.desk.client, &sent).await;
        let Taken::Recorded(id) = taken else { panic!("{taken:?}") };
        id
    }

    fn board(&self) -> Board {
        self.desk.front.board(NOW, later(14 * DAY))
    }

    /// The appointments that stand.
    fn booked(&self) -> Vec<Appointment> {
        self.board().appointments.into_iter().filter(Appointment::stands).collect()
    }

    fn at_desk(&self, id: &str) -> Appointment {
        self.desk.front.appointment(appointment_of(id).unwrap()).unwrap()
    }

    /// Has the desk do what a message asks, without the message.
    async fn book_at_desk(&self, session: &str, start: &str, sent: &Sent) -> Appointment {
        let id = appointment_of(&read(&sent.body).unwrap().focus_id).unwrap();
        let search = SlotSearch { from: NOW, until: later(7 * DAY), ..SlotSearch::default() };
        let offers = self.desk.front.slots(&reception(), &search).await.unwrap().offers;
        let is_meant = |offer: &Offer| {
            let key = matches!(&offer.key, OfferKey::Token(slot) if slot.session.as_str() == session);
            key && offer.start.to_string() == start
        };
        let offer = offers.into_iter().find(is_meant).unwrap();
        let deed = Deed::Book(part(&Person::of(1), offer.key));
        self.desk.front.perform(&reception(), RequestId(id.0), deed).await.unwrap();
        self.desk.front.appointment(id).unwrap()
    }

    async fn cancel_at_desk(&self, appointment: AppointmentId) {
        let deed = Deed::Cancel { appointment, by: CancelledBy::Provider, reason: "Test".to_owned() };
        self.desk.front.perform(&reception(), RequestId(appointment.0 ^ 1), deed).await.unwrap();
    }

    /// Messages of senders in the journal.
    fn kept(&self) -> usize {
        self.desk.hub.entries().iter().filter(|entry| entry.system == "bars").count()
    }
}

fn focus(answer: &Value) -> &Value {
    assert_eq!(answer["entry"][0]["resource"]["response"]["code"], "ok", "{answer}");
    &answer["entry"][1]["resource"]
}

fn part(person: &Person, key: OfferKey) -> VisitPart {
    VisitPart {
        person: Patient {
            nhs_number: Some(person.nhs_number),
            family_name: person.family_name.to_owned(),
            ..Patient::default()
        },
        keys: vec![key],
        description: String::new(),
        comment: String::new(),
        needs: Needs::default(),
    }
}

fn reception() -> Practitioner {
    Practitioner {
        id: "reception-1".to_owned(),
        sds_user_id: None,
        sds_role_profile_id: None,
        job_role: String::new(),
        family_name: "Example".to_owned(),
        given_name: "Sam".to_owned(),
        title: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_is_found_booked_read_and_cancelled_and_sold_once() {
    let mut ground = Ground::start().await;
    let slot = ground.slots[0].clone();
    let first = ground.sender.booking_of(&slot, &Person::of(1), PRACTICE, NOW);
    let (status, answer) = ground.post(&first).await;
    assert_eq!((status, &focus(&answer)["status"]), (200, &json!("booked")), "{answer}");
    let id = focus(&answer)["id"].as_str().unwrap().to_owned();
    let known = ground.at_desk(&id);
    assert_eq!((known.standing, known.made_by.as_str()), (Standing::Firm, "BaRS RX701"));
    assert_eq!(known.person.nhs_number, Some(Person::of(1).nhs_number));

    let (status, told) = ground.get(&format!("/Appointment/{id}")).await;
    assert_eq!((status, &told["start"], &told["status"]), (200, &json!(slot.start), &json!("booked")));
    let number = Person::of(1).nhs_number;
    let by_number =
        format!("/Appointment?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C{}", number.as_str());
    let (status, bundle) = ground.get(&by_number).await;
    assert_eq!((status, &bundle["total"], &bundle["entry"][0]["resource"]), (200, &json!(1), &told));
    assert!(!bundle["link"].to_string().contains(number.as_str()), "{}", bundle["link"]);

    // The answer was lost, and the message comes again; then another's for the same slot.
    let (status, answer) = ground.post(&first).await;
    assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "duplicate")));
    let second = ground.sender.booking_of(&slot, &Person::of(2), PRACTICE, NOW);
    let (status, answer) = ground.post(&second).await;
    assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "conflict")));
    assert_eq!((ground.booked().len(), ground.kept()), (1, 1), "one effect, and one message");
    assert!(ground.desk.hub.quarantined().is_empty(), "who lost a race did no wrong");

    let gone = ground.sender.cancellation(&id, &Person::of(1), PRACTICE, later(60), later(1));
    let (status, answer) = ground.post(&gone).await;
    assert_eq!((status, &focus(&answer)["status"]), (200, &json!("cancelled")), "{answer}");
    assert_eq!(code(&ground.post(&gone).await.1), ("REC_CONFLICT", "duplicate"));
    assert_eq!(ground.free().await, ground.slots, "it is free again");
    assert_eq!(ground.post(&second).await.0, 200);
    let (status, answer) = ground.post(&first).await;
    assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "conflict")), "a booking that was cancelled");
    assert_eq!(ground.booked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_hub_holds_is_told_and_booked() {
    let mut ground = Ground::start().await;
    let of = |session: &str| ground.slots.iter().filter(|slot| slot.id.starts_with(session)).count();
    let (own, shared) = (of("feet-am."), of("feet-shared."));
    assert_eq!((own, shared), (5 * 4, 1), "five mornings of four times, each time once, and Saturday");
    assert_eq!(own + shared, ground.slots.len(), "{:?}", ground.slots);
    // The desk sees more: what is another's to sell, and what is not for senders.
    let all = SlotSearch { from: NOW, until: later(7 * DAY), ..SlotSearch::default() };
    let all = ground.desk.front.slots(&reception(), &all).await.unwrap().offers;
    for (session, expected) in [("feet-lent", 409), ("blood-am", 409)] {
        let offer = all
            .iter()
            .find(|offer| matches!(&offer.key, OfferKey::Token(slot) if slot.session.as_str() == session));
        let offer = offer.unwrap();
        let OfferKey::Token(slot) = &offer.key else { panic!("{:?}", offer.key) };
        let slot = Slot {
            id: polygate::codec::bars::slot_id(slot),
            name: polygate::codec::bars::slot_name(slot),
            start: offer.start.to_string(),
            end: offer.end.to_string(),
        };
        let sent = ground.sender.booking_of(&slot, &Person::of(1), PRACTICE, NOW);
        let (status, answer) = ground.post(&sent).await;
        assert_eq!((status, code(&answer).0), (expected, "REC_CONFLICT"), "{session}");
    }
    assert!(ground.board().appointments.is_empty() && ground.board().provisional.is_empty());
    for wanted in [SERVICE, "feet"] {
        let path = format!(
            "/Slot?status=free&start=ge{NOW}&start=le{}&Schedule.actor:HealthcareService={wanted}&_include=Slot:schedule",
            later(14 * DAY)
        );
        assert_eq!(ground.get(&path).await.1["total"], 10 * 4 + 2, "{wanted}");
    }
    for wanted in ["status=busy", "status=free&schedule.actor:healthcareservice=blood"] {
        let path = format!("/Slot?{wanted}&start=ge{NOW}&start=le{}&_include=Slot:schedule", later(DAY));
        let (status, bundle) = ground.get(&path).await;
        assert_eq!((status, &bundle["total"]), (200, &json!(0)), "{wanted}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_has_gone_elsewhere_is_not_promised_and_nothing_of_it_stays() {
    let mut ground = Ground::start().await;
    let offered = ground.slots.iter().find(|slot| slot.id.starts_with("feet-shared.")).unwrap().clone();
    let (time, place) = offered.id.rsplit_once('.').unwrap();
    assert_eq!(place, "1");
    let gone = Slot { id: format!("{time}.2"), ..offered.clone() };
    let sent = ground.sender.booking_of(&gone, &Person::of(1), PRACTICE, NOW);
    for _ in 0..2 {
        let (status, answer) = ground.post(&sent).await;
        assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "conflict")));
    }
    let board = ground.board();
    assert!(board.provisional.is_empty() && board.tasks.is_empty() && ground.booked().is_empty());
    // A move to it leaves the appointment where it was.
    let id = ground.book(&offered, 2).await;
    let moved = ground.sender.move_to(&gone, &id, &Person::of(2), PRACTICE, later(1));
    let (status, answer) = ground.post(&moved).await;
    assert_eq!((status, code(&answer).0), (409, "REC_CONFLICT"));
    assert_eq!(ground.at_desk(&id).standing, Standing::Firm);
    assert!(ground.board().provisional.is_empty());
    // Nor does the attempt stand in the way of the next, by whose appointment the first id is meant from then on.
    let free = ground.slots[0].clone();
    let moved = ground.sender.move_to(&free, &id, &Person::of(2), PRACTICE, later(2));
    assert_eq!(ground.post(&moved).await.0, 200);
    let gone = ground.sender.cancellation(&id, &Person::of(2), PRACTICE, later(60), later(3));
    let (status, answer) = ground.post(&gone).await;
    assert_eq!((status, &focus(&answer)["start"]), (200, &json!(free.start)), "{answer}");
    assert!(ground.booked().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_booked_can_be_moved_and_is_known_by_its_first_id() {
    let mut ground = Ground::start().await;
    let (from, to, person) = (ground.slots[0].clone(), ground.slots[5].clone(), Person::of(1));
    let id = ground.book(&from, 1).await;
    let sent = ground.sender.move_to(&to, &id, &person, PRACTICE, later(1));
    let (status, answer) = ground.post(&sent).await;
    assert_eq!((status, &focus(&answer)["start"]), (200, &json!(to.start)), "{answer}");
    let new = focus(&answer)["id"].as_str().unwrap().to_owned();
    assert_eq!(code(&ground.post(&sent).await.1), ("REC_CONFLICT", "duplicate"));
    let booked = ground.booked();
    assert_eq!((booked.len(), booked[0].id), (1, appointment_of(&new).unwrap()));
    assert!(ground.free().await.contains(&from), "the old time is free again");

    // The same time again, with nothing changed but the patient's own details: there is nothing to move.
    let same = ground.sender.move_to(&to, &new, &person, PRACTICE, later(2));
    assert_eq!(ground.post(&same).await.0, 200);
    assert_eq!(ground.booked(), booked);
    // Whoever still has the first id means the appointment that it has become.
    let gone = ground.sender.cancellation(&id, &person, PRACTICE, later(60), later(3));
    let (status, answer) = ground.post(&gone).await;
    assert_eq!((status, &focus(&answer)["id"]), (200, &json!(new)), "{answer}");
    assert!(ground.booked().is_empty());
    let late = ground.sender.move_to(&from, &id, &person, PRACTICE, later(4));
    assert_eq!(code(&ground.post(&late).await.1), ("REC_CONFLICT", "conflict"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_cannot_be_had_leaves_the_appointment_as_it_is() {
    let mut ground = Ground::start().await;
    let (mine, other) = (ground.slots[0].clone(), ground.slots[1].clone());
    let id = ground.book(&mine, 1).await;
    ground.book(&other, 2).await;
    let sent = ground.sender.move_to(&other, &id, &Person::of(1), PRACTICE, later(1));
    let (status, answer) = ground.post(&sent).await;
    assert_eq!((status, code(&answer)), (409, ("REC_CONFLICT", "conflict")));
    assert_eq!(ground.at_desk(&id).standing, Standing::Firm);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_senders_at_once_one_gets_the_slot() {
    let ground = Ground::start().await;
    let slot = &ground.slots[3];
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..12 {
        let mut sender = SimulatedReferrer::new("RX701", SERVICE, 100 + number);
        let sent = sender.booking_of(slot, &Person::of(number), PRACTICE, NOW);
        let client = ground.desk.connect();
        asking.spawn(async move { sender.deliver(&client, &sent).await.0 });
    }
    let taken = asking.join_all().await;
    let won = taken.iter().filter(|taken| matches!(taken, Taken::Recorded(_))).count();
    let lost = taken.iter().filter(|taken| **taken == Taken::Refused(409, "REC_CONFLICT".to_owned())).count();
    assert_eq!((won, lost, ground.booked().len()), (1, 11, 1), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_carried_out_and_not_kept_is_answered_when_it_comes_again() {
    let mut ground = Ground::start().await;
    let slot = ground.slots[0].clone();
    let sent = ground.sender.booking_of(&slot, &Person::of(1), PRACTICE, NOW);
    // The power went between the desk's act and the message: the desk knows, and the message is not kept.
    let made = ground.book_at_desk("feet-am", &slot.start, &sent).await;
    assert_eq!(made.standing, Standing::Firm);
    let (status, answer) = ground.post(&sent).await;
    assert_eq!((status, &focus(&answer)["status"]), (200, &json!("booked")), "{answer}");
    assert_eq!((ground.booked().len(), ground.kept()), (1, 1));

    // Or before the desk let go of what it could not promise.
    let lent = "2026-11-19T14:00:00.000Z".to_owned();
    let end = "2026-11-19T14:30:00.000Z".to_owned();
    let sent =
        ground.sender.booking_of(&Slot { start: lent.clone(), end, ..slot }, &Person::of(1), PRACTICE, NOW);
    let made = ground.book_at_desk("feet-lent", &lent, &sent).await;
    assert!(matches!(made.standing, Standing::Provisional { .. }));
    assert_eq!(code(&ground.post(&sent).await.1), ("REC_CONFLICT", "conflict"));
    assert!(ground.board().provisional.is_empty());
    assert_eq!((ground.booked().len(), ground.kept()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_booked_that_the_disk_does_not_hold() {
    let mut ground = Ground::start().await;
    let sent = ground.sender.booking_of(&ground.slots[0].clone(), &Person::of(1), PRACTICE, NOW);
    ground.desk.hub.disk.set_capacity(Some(0));
    let (status, answer) = ground.post(&sent).await;
    assert_eq!((status, code(&answer)), (503, ("REC_SERVICE_UNAVAILABLE", "transient")));
    assert!(ground.booked().is_empty() && ground.desk.hub.quarantined().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_may_be_named_as_the_bundle_named_it_or_by_its_address() {
    let mut ground = Ground::start().await;
    let (by_name, by_address) = (ground.slots[0].clone(), ground.slots[1].clone());
    let bare = Slot { id: String::new(), ..by_name };
    let sent = ground.sender.booking_of(&bare, &Person::of(1), PRACTICE, NOW);
    assert_eq!(ground.post(&sent).await.0, 200);
    assert_eq!(code(&ground.post(&sent).await.1), ("REC_CONFLICT", "duplicate"));
    let other = ground.sender.booking_of(&bare, &Person::of(2), PRACTICE, NOW);
    assert_eq!(code(&ground.post(&other).await.1), ("REC_CONFLICT", "conflict"));
    let mut sent = ground.sender.booking_of(&by_address, &Person::of(2), PRACTICE, NOW);
    let address = format!("https://hub.example/fhir/r4/Slot/{}", by_address.id);
    sent.body["entry"][1]["resource"]["slot"] = json!([{ "reference": address }]);
    assert_eq!(ground.post(&sent).await.0, 200);
    // Two that follow each other are one appointment.
    let [one, two] = [&ground.slots[4], &ground.slots[5]];
    let both = Slot { end: two.end.clone(), ..one.clone() };
    let mut sent = ground.sender.booking_of(&both, &Person::of(3), PRACTICE, NOW);
    let slots = [one, two].map(|slot| json!({ "reference": format!("Slot/{}", slot.id) }));
    sent.body["entry"][1]["resource"]["slot"] = json!(slots);
    let (status, answer) = ground.post(&sent).await;
    assert_eq!(
        (status, &focus(&answer)["slot"]),
        (
            200,
            &json!(slots.map(|mut slot| {
                slot["type"] = json!("Slot");
                slot
            }))
        ),
        "{answer}"
    );
}

/// What is changed in a booking, and what it is answered.
type Change<'a> = (&'a str, Value, (u16, &'a str, &'a str));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_booked_is_said_in_the_standards_codes() {
    let mut ground = Ground::start().await;
    let slot = ground.slots[0].clone();
    let appointment = "/entry/1/resource";
    let number = "/entry/2/resource/identifier/0/value";
    let changes: [Change<'_>; 10] = [
        ("slot", json!([]), (400, "REC_BAD_REQUEST", "required")),
        ("slot", json!([{ "reference": "Slot/none-of-ours" }]), (404, "REC_NOT_FOUND", "not-found")),
        ("slot", json!([{ "reference": "Slot/feet-am.zzz.1" }]), (400, "REC_BAD_REQUEST", "invariant")),
        (
            "slot",
            json!([{ "reference": "urn:uuid:11111111-2222-4333-8444-555555555555" }]),
            (409, "REC_CONFLICT", "conflict"),
        ),
        ("end", json!("2026-11-19T10:00:00Z"), (400, "REC_BAD_REQUEST", "invariant")),
        ("end", json!("9998-12-31T00:00:00Z"), (400, "REC_BAD_REQUEST", "invariant")),
        ("start", json!("2026-11-19T08:00:00Z"), (400, "REC_BAD_REQUEST", "invariant")),
        (number, json!("9990000019"), (400, "REC_BAD_REQUEST", "value")),
        ("/entry/2/resource/name", json!([]), (400, "REC_BAD_REQUEST", "required")),
        (
            "/entry/2/resource/name/0/family",
            json!("x".repeat(101)),
            (422, "REC_UNPROCESSABLE_ENTITY", "too-long"),
        ),
    ];
    for (path, value, (status, error, issue)) in changes {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{appointment}/{path}") };
        let mut sent = ground.sender.booking_of(&slot, &Person::of(1), PRACTICE, NOW);
        let shown = format!("{path} = {value}");
        *sent.body.pointer_mut(&path).unwrap() = value;
        let (found, answer) = ground.post(&sent).await;
        assert_eq!((found, code(&answer)), (status, (error, issue)), "{shown}");
    }
    assert!(ground.board().appointments.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appointment_is_changed_only_for_its_patient_and_only_while_they_are_expected() {
    let mut ground = Ground::start().await;
    let slot = ground.slots[0].clone();
    let id = ground.book(&slot, 1).await;
    let others = ground.sender.cancellation(&id, &Person::of(2), PRACTICE, later(60), later(1));
    let (status, answer) = ground.post(&others).await;
    assert_eq!((status, code(&answer)), (422, ("REC_UNPROCESSABLE_ENTITY", "business-rule")));
    for unknown in ["11111111-2222-4333-8444-555555555555", "1"] {
        let sent = ground.sender.cancellation(unknown, &Person::of(1), PRACTICE, later(60), later(2));
        assert_eq!(code(&ground.post(&sent).await.1), ("REC_NOT_FOUND", "not-found"));
        assert_eq!(code(&ground.get(&format!("/Appointment/{unknown}")).await.1).0, "REC_NOT_FOUND");
    }
    let mark = Deed::Mark { appointment: appointment_of(&id).unwrap(), attendance: Attendance::Arrived };
    ground.desk.front.perform(&reception(), RequestId(7), mark).await.unwrap();
    let sent = ground.sender.cancellation(&id, &Person::of(1), PRACTICE, later(60), later(3));
    assert_eq!(code(&ground.post(&sent).await.1), ("REC_CONFLICT", "conflict"));
    assert_eq!(ground.get(&format!("/Appointment/{id}")).await.1["status"], "arrived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_senders_may_not_see_are_not_there() {
    let mut ground = Ground::start().await;
    let search = SlotSearch {
        service: Some("blood".parse().unwrap()),
        from: NOW,
        until: later(7 * DAY),
        ..SlotSearch::default()
    };
    let offer = ground.desk.front.slots(&reception(), &search).await.unwrap().offers.remove(0);
    let part = part(&Person::of(1), offer.key);
    let done = ground.desk.front.perform(&reception(), RequestId(9), Deed::Book(part)).await.unwrap().done;
    assert!(matches!(done, Done::Appointments(_)));
    let id = polygate::codec::bars::appointment_id(AppointmentId(9));
    assert_eq!(ground.get(&format!("/Appointment/{id}")).await.0, 404);
    let number = Person::of(1).nhs_number;
    let path =
        format!("/Appointment?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C{}", number.as_str());
    assert_eq!(ground.get(&path).await.1["total"], 0);
    let sent = ground.sender.cancellation(&id, &Person::of(1), PRACTICE, later(60), later(1));
    assert_eq!(ground.post(&sent).await.0, 404);
    assert_eq!(ground.booked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_patient_calls_is_kept_and_not_shown_at_the_desk() {
    let mut ground = Ground::start().await;
    let slot = ground.slots[0].clone();
    let sent = ground.sender.booking_of(&slot, &Person::of(1), PRACTICE, NOW);
    assert_eq!(sent.body["entry"][1]["resource"]["description"], "Earache since yesterday");
    assert_eq!(read(&sent.body).unwrap().deed, Asked::New);
    ground.post(&sent).await;
    let booked = ground.booked().remove(0);
    assert_eq!((booked.description.as_str(), booked.comment.as_str()), ("Booked over BaRS by RX701", ""));
    let entries = ground.desk.hub.entries();
    let said = entries.iter().filter_map(polygate::systems::translate_entry);
    let items: Vec<_> = said.flat_map(|event| event.items).map(|item| item.kind).collect();
    assert_eq!(
        items,
        [polygate::domain::record::ItemKind::Demographics],
        "the desk tells of the appointment itself"
    );
    let raw = entries.iter().find(|entry| entry.system == "bars").and_then(|entry| entry.raw.clone());
    assert!(String::from_utf8_lossy(&raw.unwrap()).contains("Earache"), "what came is kept as it came");
    let filter = MessageFilter { limit: 100, ..MessageFilter::default() };
    let found = format!("{:?}", ground.desk.hub.hub.find_messages(filter));
    assert!(!found.contains(Person::of(1).nhs_number.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_break_the_rules_are_answered_with_outcomes() {
    let mut ground = Ground::start().await;
    let slot = ground.slots[0].clone();
    let good = ground.sender.booking_of(&slot, &Person::of(1), PRACTICE, NOW);
    let text = good.body.to_string();
    let long = "x".repeat(MESSAGE_BYTES_MAX + 1);
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let bodies: [(&[u8], u16); 9] = [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[1]", 400),
        (b"\xff\xfe", 400),
        (b"{\"resourceType\":\"Bundle\",\"type\":\"message\",\"entry\":7}", 400),
        (text.get(..text.len() / 2).unwrap().as_bytes(), 400),
        (long.as_bytes(), 422),
        (deep.as_bytes(), 422),
    ];
    for (body, expected) in bodies {
        let (parts, _) = ground.sender.request(&good, CORRELATION).unwrap().into_parts();
        let (status, answer) =
            ground.desk.ask(Request::from_parts(parts, Bytes::copy_from_slice(body))).await;
        assert_eq!(status, expected, "{} bytes", body.len());
        assert!(code(&answer).0.starts_with("REC_"));
    }
    for media in
        ["", "text/plain", "application/xml", "application/fhir+xml", "\u{7f}x", "multipart/form-data"]
    {
        let (mut parts, body) = ground.sender.request(&good, CORRELATION).unwrap().into_parts();
        match media.parse() {
            Ok(media) => drop(parts.headers.insert("content-type", media)),
            Err(_) => drop(parts.headers.remove("content-type")),
        }
        let (status, answer) = ground.desk.ask(Request::from_parts(parts, body)).await;
        assert_eq!((status, code(&answer).0), (422, "REC_UNPROCESSABLE_ENTITY"), "{media}");
    }
    let free = format!("/Slot?status=free&start=ge{NOW}&start=le{}&_include=Slot:schedule", later(DAY));
    for path in [free.as_str(), "/Appointment/1", "/Appointment?patient:identifier=x", "/$process-message"] {
        for header in [
            "x-request-id",
            "x-correlation-id",
            "nhsd-target-identifier",
            "nhsd-end-user-organisation",
            "nhsd-requesting-software",
        ] {
            let request = match path {
                "/$process-message" => ground.sender.request(&good, CORRELATION),
                path => ground.sender.get(&format!("/fhir/r4{path}")),
            };
            let (mut parts, body) = request.unwrap().into_parts();
            parts.headers.remove(header);
            let (status, answer) = ground.desk.ask(Request::from_parts(parts, body)).await;
            assert_eq!((status, code(&answer)), (400, ("REC_BAD_REQUEST", "required")), "{path} {header}");
        }
    }
    for (method, path, expected) in [
        ("POST", "/Slot", 405),
        ("DELETE", "/Slot/1", 405),
        ("POST", "/Appointment", 501),
        ("PUT", "/Appointment/1", 501),
        ("GET", "/Slot", 400),
        ("GET", "/Appointment", 400),
        ("GET", "/Appointment/", 400),
        ("GET", "/Appointment/%00", 404),
        ("GET", "/ServiceRequest", 501),
    ] {
        let (mut parts, body) = ground.sender.get(&format!("/fhir/r4{path}")).unwrap().into_parts();
        parts.method = method.parse().unwrap();
        let (status, answer) = ground.desk.ask(Request::from_parts(parts, body)).await;
        assert_eq!(status, expected, "{method} {path}: {}", code(&answer).0);
    }
    assert!(ground.board().appointments.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_says_of_itself_is_what_it_does() {
    let mut ground = Ground::start().await;
    let (status, capabilities) = ground.get("/metadata").await;
    assert_eq!(status, 200);
    let resources = capabilities["rest"][0]["resource"].as_array().unwrap();
    let kinds: Vec<&str> = resources.iter().filter_map(|one| one["type"].as_str()).collect();
    assert_eq!(kinds, ["MessageDefinition", "Slot", "Appointment"]);
    let (_, definitions) = ground.get("/MessageDefinition?context=x").await;
    let first = &definitions["entry"][0]["resource"];
    assert_eq!(first["focus"][3], json!({ "code": "Slot", "min": 1, "max": "*" }));
}

/// Any part of a message may be wrong: what comes back says so, and the receiver goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_any_part_changed_are_answered() {
    let mut ground = Ground::start().await;
    let (slot, person) = (ground.slots[3].clone(), Person::of(1));
    let id = ground.book(&ground.slots[0].clone(), 1).await;
    let stands = appointment_of(&id).unwrap();
    let mut answered = [0, 0];
    for kind in 0..3 {
        let make = |ground: &mut Ground| match kind {
            0 => ground.sender.booking_of(&slot, &Person::of(2), PRACTICE, NOW),
            1 => ground.sender.move_to(&slot, &id, &person, PRACTICE, later(1)),
            _ => ground.sender.cancellation(&id, &person, PRACTICE, later(60), later(2)),
        };
        let mut places = Vec::new();
        paths(&make(&mut ground).body, String::new(), &mut places);
        for (place, value) in places.iter().flat_map(|place| wrong().map(|value| (place, value))) {
            let mut sent = make(&mut ground);
            let shown = format!("{place} = {value}");
            *sent.body.pointer_mut(place).unwrap() = value;
            let (status, answer) = ground.post(&sent).await;
            assert!(status == 200 || (400..500).contains(&status), "{shown}: {status} {answer}");
            let kind = if status == 200 { "Bundle" } else { "OperationOutcome" };
            assert_eq!(answer["resourceType"], kind, "{shown}");
            answered[usize::from(status != 200)] += 1;
            // What is taken although something of it is not understood takes effect once; then the slot is freed.
            let booked: Vec<_> = ground.booked().into_iter().filter(|one| one.id != stands).collect();
            assert!(booked.len() <= 1, "{shown}");
            for one in booked {
                ground.cancel_at_desk(one.id).await;
            }
        }
    }
    assert!(answered.iter().all(|count| 500 < *count), "{answered:?}");
}

/// What stands where something else belongs.
fn wrong() -> [Value; 7] {
    [json!(null), json!(""), json!(7), json!([]), json!({}), json!("9".repeat(70)), json!("é\u{0}")]
}

fn paths(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            paths(value, format!("{at}/{name}"), found);
        }),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(place, value)| paths(value, format!("{at}/{place}"), found));
        }
        _ => {}
    }
    if !at.is_empty() {
        found.push(at);
    }
}

/// The hub as it is configured: its own port, its own clock, no centre within reach.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hub_serves_it_as_it_is_configured() {
    let directory = Directory::new();
    issue_all(directory.path(), &["soho"]);
    let port = lasting_port();
    let text = format!(
        "[hub]\nid = \"soho\"\nods = \"5LC01\"\nname = \"Soho\"\nstate = \"soho\"\n[centre]\n\
         broker = \"mqtts://localhost:1\"\nca = \"ca.pem\"\ncertificate = \"soho.pem\"\nkey = \"soho.key\"\n\
         [booking]\nfirst-box = true\n[bars]\nservices = [\"{SERVICE}\"]\nlisten = \"127.0.0.1:{port}\"\n{SOHO}",
    );
    let text = text.replace("telephone = \"020 7946 0001\"", "telephone = \"020 7946 0001\"\nbars = true");
    let file = directory.path().join("soho.toml");
    std::fs::write(&file, text).unwrap();
    let hub = RunningHub::start(&HubConfig::load(&file).unwrap()).await.unwrap();
    let url = HttpUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let (client, mut sender) = (HttpClient::new(url, None, HttpLimits::default()), referrer());
    let (now, mut slots) = (now(), Vec::new());
    while slots.is_empty() {
        slots = sender.free_slots(&client, now, now.plus(Duration::from_secs(7 * 24 * 3600))).await;
    }
    let sent = sender.booking_of(&slots[0], &Person::of(1), PRACTICE, now);
    let (taken, _) = sender.deliver(&client, &sent).await;
    let Taken::Recorded(id) = taken else { panic!("{taken:?}") };
    let booked = hub.desk().unwrap().appointment(appointment_of(&id).unwrap()).unwrap();
    assert_eq!(booked.standing, Standing::Firm);
    hub.end().await;
    // The power comes back: the appointment is there, and its slot is not free.
    let hub = RunningHub::start(&HubConfig::load(&file).unwrap()).await.unwrap();
    let (taken, _) = sender.deliver(&client, &sent).await;
    assert_eq!(taken, Taken::Already);
    let other = sender.booking_of(&slots[0], &Person::of(2), PRACTICE, now);
    assert_eq!(sender.deliver(&client, &other).await.0, Taken::Refused(409, "REC_CONFLICT".to_owned()));
    hub.end().await;
}
