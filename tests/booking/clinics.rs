//! A hub with a clinic that keeps its own book, told of appointments over HL7 v2, and telling of them.

use std::{fs, time::Duration};

use polygate::{
    app::hub::RunningHub,
    codec::mllp::Frame,
    config::HubConfig,
    domain::booking::{
        Appointment, AppointmentId, Attendance, CancelledBy, Deed, Done, Needs, Offer, RequestId, Standing,
        TaskKind,
    },
    flow::{book::FrontDesk, reception::Reception},
    systems::{
        hl7, rio,
        simulator::{
            clinic::{Clinic, Manner, State},
            people::Person as Somebody,
            traffic::Message,
        },
    },
};

use crate::{
    ADA, BEN, PATIENCE, book, offers, one, receptionist, standing, support::Directory, until, until_offered,
};

/// A hub alone, with a clinic that keeps its own book and is told of appointments over HL7 v2.
struct Clinics {
    hub: Option<RunningHub>,
    clinic: Clinic,
    directory: Directory,
}

const CLINICS: &str = r#"
[hub]
id = "soho"
ods = "5LC01"
name = "Soho"
state = "state"
[centre]
broker = "mqtt://localhost:1"
[booking]
first-box = true
[[service]]
id = "podiatry"
name = "Podiatry"
system = "rio"
telephone = "020 7946 0001"
[[session]]
id = "feet"
service = "podiatry"
days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
from = "09:00"
until = "12:00"
minutes = 30
[[rio]]
name = "rio"
listen = "127.0.0.1:0"
"#;

impl Clinics {
    async fn prepare() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clinic = Clinic::default();
        tokio::spawn(clinic.clone().run(listener));
        let directory = Directory::new();
        fs::write(directory.path().join("hub.toml"), format!("{CLINICS}deliver = \"{address}\"\n")).unwrap();
        let mut clinics = Self { hub: None, clinic, directory };
        clinics.start().await;
        clinics
    }

    async fn start(&mut self) {
        let config = HubConfig::load(&self.directory.path().join("hub.toml")).unwrap();
        self.hub = Some(RunningHub::start(&config).await.unwrap());
    }

    fn desk(&self) -> FrontDesk {
        self.hub.as_ref().unwrap().desk().unwrap()
    }

    /// The clinic says something, and is answered AA.
    async fn says(&self, message: Option<Message>) {
        let hub = &self.hub.as_ref().unwrap().hub;
        let link = hub.add_link("rio", "RiO", "");
        let frame = Frame::Message(message.unwrap().bytes.into());
        let answers = hl7::answer(hub, &link, &rio::DIALECT, vec![frame], &mut || "1".to_owned()).await;
        let answer = String::from_utf8(answers[0].clone()).unwrap();
        assert!(answer.contains("MSA|AA|"), "{answer}");
    }

    /// What it was sent under a letter: the messages' own names begin with one.
    fn sent(&self, letter: &str) -> Vec<String> {
        let messages = self.clinic.messages().into_iter().map(|bytes| String::from_utf8(bytes).unwrap());
        let named = |text: &String| text.split('|').nth(9).is_some_and(|name| name.starts_with(letter));
        messages.filter(named).collect()
    }

    fn held(&self, appointment: &Appointment) -> State {
        let id = appointment.id.to_string();
        self.clinic.book().into_iter().find(|held| held.placer == id).unwrap().state
    }
}

async fn deed(desk: &FrontDesk, request: u128, deed: Deed) {
    desk.perform(&receptionist(), RequestId(request << 8), deed).await.unwrap();
}

async fn until_free(desk: &FrontDesk, offer: &Offer, free: bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while offers(desk).await.iter().any(|found| found.key == offer.key) != free {
        assert!(tokio::time::Instant::now() < deadline, "free is not {free} in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clinic_is_told_what_happens_at_the_desk_and_the_desk_what_happens_there() {
    let clinics = Clinics::prepare().await;
    let (desk, clinic) = (clinics.desk(), &clinics.clinic);
    let offered = until_offered(&desk).await;
    clinic.shall(Manner::Names);
    let booked = one(book(&desk, 1, ADA, &offered[0]).await);
    assert!(booked.is_confirmed(), "{:?}", booked.standing);
    assert!(clinics.sent("B")[0].contains("SIU^S12"));
    // Changes and arrivals go there.
    let amend = Deed::Amend {
        appointment: booked.id,
        description: "Feet".to_owned(),
        comment: "Side door".to_owned(),
        needs: Needs { interpreter: "Polish".to_owned(), ..Needs::default() },
    };
    deed(&desk, 2, amend).await;
    let change = until("the change is told", || clinics.sent("W").pop()).await;
    assert!(change.contains("SIU^S14") && change.contains("Side door") && change.contains("Polish"));
    deed(&desk, 3, Deed::Mark { appointment: booked.id, attendance: Attendance::Arrived }).await;
    until("the arrival is told", || (clinics.held(&booked) == State::Arrived).then_some(())).await;
    // The clinic says that the patient did not come after all, then that they did.
    let id = booked.id.to_string();
    clinics.says(clinic.misses(&id, desk.now())).await;
    until("missed", || desk_shows(&desk, booked.id, Attendance::DidNotAttend)).await;
    clinics.says(clinic.arrives(&id, desk.now())).await;
    until("came", || desk_shows(&desk, booked.id, Attendance::Arrived)).await;
    assert!(clinics.sent("N").is_empty(), "what it said is not told back");
    // It moves it, and cancels it: the time is free, and the patient is to be told.
    clinics.says(clinic.moves(&id, offered[2].start, desk.now())).await;
    until_free(&desk, &offered[0], true).await;
    until_free(&desk, &offered[2], false).await;
    clinics.says(clinic.cancels(&id, desk.now())).await;
    until_free(&desk, &offered[2], true).await;
    let tasks = desk.board(booked.start, booked.end).tasks;
    assert!(tasks.iter().all(|task| task.kind == TaskKind::CallPatient) && tasks.len() == 2, "{tasks:?}");
    assert!(clinics.sent("C").is_empty());
    clinics.hub.unwrap().end().await;
}

fn desk_shows(desk: &FrontDesk, id: AppointmentId, attendance: Attendance) -> Option<()> {
    desk.appointment(id).filter(|one| one.attendance == attendance).map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_time_that_the_clinic_gives_away_is_not_sold_and_a_clash_is_called() {
    let clinics = Clinics::prepare().await;
    let (desk, clinic) = (clinics.desk(), &clinics.clinic);
    let offered = until_offered(&desk).await;
    let half_an_hour = Duration::from_secs(1800);
    let own = clinic.books("feet", offered[1].start, half_an_hour, &Somebody::of(1), desk.now());
    clinics.says(own).await;
    until_free(&desk, &offered[1], false).await;
    assert_eq!(book(&desk, 1, ADA, &offered[1]).await.done, Done::Taken);
    // Who comes to it is said at the desk, and told in the clinic's own words for it.
    let theirs = desk.board(offered[1].start, offered[1].end).appointments.remove(0);
    deed(&desk, 9, Deed::Mark { appointment: theirs.id, attendance: Attendance::Arrived }).await;
    until("told", || clinic.book().iter().find(|held| held.state == State::Arrived).map(|_| ())).await;
    clinics.says(clinic.cancels("F1", desk.now())).await;
    until_free(&desk, &offered[1], true).await;
    // What it writes in another way its own book does not find taken.
    let sold = one(book(&desk, 2, BEN, &offered[3]).await);
    assert!(sold.is_confirmed(), "{:?}", sold.standing);
    let twice = clinic.books("FEET", offered[3].start, half_an_hour, &Somebody::of(2), desk.now());
    clinics.says(twice).await;
    let task = until("somebody is to be called", || {
        desk.board(sold.start, sold.end).tasks.into_iter().find(|task| task.appointment == Some(sold.id))
    })
    .await;
    assert_eq!((task.kind, task.person.nhs_number), (TaskKind::CallPatient, sold.person.nhs_number));
    let shown = desk.board(sold.start, sold.end).appointments;
    assert!(shown.len() == 2 && shown.iter().all(Appointment::is_confirmed), "both are seen: {shown:?}");
    // Whoever is called away leaves the time to the other.
    let cancel =
        Deed::Cancel { appointment: sold.id, by: CancelledBy::Provider, reason: "Two at once".to_owned() };
    deed(&desk, 3, cancel).await;
    until("it is cancelled there", || (clinics.held(&sold) == State::Cancelled).then_some(())).await;
    until_free(&desk, &offered[3], false).await;
    clinics.hub.unwrap().end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_booking_that_is_sent_again_is_the_same_bytes_whatever_happened_between() {
    let mut clinics = Clinics::prepare().await;
    let desk = clinics.desk();
    let offered = until_offered(&desk).await;
    clinics.clinic.shall(Manner::Mute);
    let booked = one(book(&desk, 1, ADA, &offered[0]).await);
    assert!(matches!(booked.standing, Standing::Provisional { .. }));
    let amend = Deed::Amend {
        appointment: booked.id,
        description: "Feet again".to_owned(),
        comment: "Side door".to_owned(),
        needs: Needs::default(),
    };
    deed(&desk, 2, amend).await;
    clinics.hub.take().unwrap().end().await;
    clinics.clinic.shall(Manner::Answers);
    clinics.start().await;
    let desk = clinics.desk();
    until("it may sell", || desk.board(booked.start, booked.end).held.is_empty().then_some(())).await;
    // Unless its pause is over already, and it was tried again by itself.
    let again = Deed::TryAgain { appointment: booked.id };
    let _tried_already = desk.perform(&receptionist(), RequestId(3 << 8), again).await;
    until("it is confirmed", || standing(&desk, booked.id, |one| matches!(one, Standing::Confirmed(_))))
        .await;
    until("the change is told after it", || clinics.sent("W").pop()).await;
    let sent = clinics.sent("B");
    assert!(2 <= sent.len() && sent.iter().all(|again| *again == sent[0]), "{sent:#?}");
    assert!(!sent[0].contains("Side door"));
    assert_eq!(clinics.clinic.book().len(), 1);
    clinics.hub.unwrap().end().await;
}
