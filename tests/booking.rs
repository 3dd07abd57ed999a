//! Two hubs, a broker and a centre as they are in production: what one desk books, the other knows, and no slot is sold
//! twice whatever is cut off.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

#[path = "booking/activity.rs"]
mod activity;

#[path = "booking/records.rs"]
mod records;

#[path = "booking/bars.rs"]
mod bars;

use std::{fmt::Write as _, fs, sync::Arc, time::Duration};

use polygate::{
    app::{centre::RunningCentre, hub::RunningHub},
    centre::broker::{Broker, BrokerOptions},
    codec::mllp::Frame,
    config::{CentreConfig, HubConfig},
    domain::{
        actor::Practitioner,
        booking::{
            Answer, Appointment, AppointmentId, Attendance, CancelledBy, Deed, Done, Needs, Offer, Person,
            Promise, RequestId, SlotSearch, Standing, TaskKind, VisitPart, WaitingPerson,
        },
        nhs_number::NhsNumber,
    },
    flow::{book::FrontDesk, reception::Reception},
    sys::relay::Relay,
    systems::{
        hl7, rio,
        simulator::{
            clinic::{Clinic, Manner, State},
            people::Person as Somebody,
            traffic::Message,
        },
    },
};
use support::{Directory, issue_all};

const PATIENCE: Duration = Duration::from_secs(30);

/// A polysystem of two hubs, each with a WAN that can be cut.
struct Ground {
    hubs: Vec<RunningHub>,
    wans: Vec<Arc<Relay>>,
    centre: Option<RunningCentre>,
    directory: Directory,
    _broker: Broker,
}

const SOHO: &str = r#"
[[service]]
id = "podiatry"
name = "Podiatry"
telephone = "020 7946 0001"
[[session]]
id = "feet"
service = "podiatry"
days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
from = "09:00"
until = "12:00"
minutes = 30
"#;

impl Ground {
    async fn prepare() -> Self {
        let directory = Directory::new();
        issue_all(directory.path(), &["soho", "camden"]);
        let broker = Broker::start(&BrokerOptions::from_pki(directory.path())).await.unwrap();
        let mut ground =
            Self { hubs: Vec::new(), wans: Vec::new(), centre: None, directory, _broker: broker };
        let broker = std::net::SocketAddr::from(([127, 0, 0, 1], ground._broker.port()));
        for (id, more) in [("soho", SOHO), ("camden", "")] {
            let wan = Arc::new(Relay::start(broker).await.unwrap());
            ground.write(id, wan.address().port(), more);
            ground.wans.push(wan);
        }
        ground.start_centre().await;
        for id in ["soho", "camden"] {
            ground.hubs.push(ground.start(id).await);
        }
        ground.write_centre();
        for desk in [ground.soho(), ground.camden()] {
            let open = || Some(()).filter(|()| desk.board(desk.now(), desk.now()).held.is_empty());
            until("the desk is open", open).await;
        }
        ground
    }

    fn write(&self, id: &str, port: u16, more: &str) {
        let mut text = String::new();
        write!(
            text,
            "[hub]\nid = \"{id}\"\nods = \"5LC01\"\nname = \"{id}\"\nstate = \"{id}\"\n\n[centre]\n\
             broker = \"mqtts://localhost:{port}\"\nca = \"ca.pem\"\ncertificate = \"{id}.pem\"\nkey = \"{id}.key\"\n\
             reconnect-max-seconds = 1\n[booking]\nfirst-box = {first}\n{more}",
            // One is told by its people, the other by the centre.
            first = id == "soho"
        )
        .unwrap();
        fs::write(self.directory.path().join(format!("{id}.toml")), text).unwrap();
    }

    fn write_centre(&self) {
        let text = format!(
            "[broker]\nurl = \"mqtts://localhost:{}\"\nca = \"ca.pem\"\ncertificate = \"centre.pem\"\n\
             key = \"centre.key\"\n[store]\nembedded = \"store\"\n",
            self._broker.port()
        );
        fs::write(self.directory.path().join("polycentre.toml"), text).unwrap();
    }

    async fn start_centre(&mut self) {
        self.write_centre();
        let config = CentreConfig::load(&self.directory.path().join("polycentre.toml")).unwrap();
        self.centre = Some(RunningCentre::start(&config, self.directory.path()).await.unwrap());
    }

    async fn start(&self, id: &str) -> RunningHub {
        let config = HubConfig::load(&self.directory.path().join(format!("{id}.toml"))).unwrap();
        RunningHub::start(&config).await.unwrap()
    }

    fn soho(&self) -> FrontDesk {
        self.hubs[0].desk().unwrap()
    }

    fn camden(&self) -> FrontDesk {
        self.hubs[1].desk().unwrap()
    }

    async fn end(mut self) {
        for hub in self.hubs.drain(..) {
            hub.end().await;
        }
        if let Some(centre) = self.centre.take() {
            centre.end().await;
        }
    }
}

fn receptionist() -> Practitioner {
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

async fn offers(desk: &FrontDesk) -> Vec<Offer> {
    let from = desk.now();
    let until = from.plus(Duration::from_secs(13 * 24 * 3600));
    let search = SlotSearch { need: "podiatry".to_owned(), from, until, ..SlotSearch::default() };
    desk.slots(&receptionist(), &search).await.unwrap().offers
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: not in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_offered(desk: &FrontDesk) -> Vec<Offer> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = offers(desk).await;
        if !found.is_empty() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "nothing is offered in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn book(desk: &FrontDesk, request: u128, patient: &str, offer: &Offer) -> Answer {
    let part = VisitPart {
        person: Person {
            nhs_number: Some(NhsNumber::parse(patient).unwrap()),
            family_name: "Canaryname".to_owned(),
            ..Person::default()
        },
        keys: vec![offer.key.clone()],
        description: "Feet".to_owned(),
        comment: String::new(),
        needs: Needs::default(),
    };
    desk.perform(&receptionist(), RequestId(request << 8), Deed::Book(part)).await.unwrap()
}

fn one(answer: Answer) -> Appointment {
    let Done::Appointments(mut appointments) = answer.done else { panic!("{:?}", answer.done) };
    appointments.remove(0)
}

fn standing(desk: &FrontDesk, id: AppointmentId, holds: fn(&Standing) -> bool) -> Option<Appointment> {
    desk.appointment(id).filter(|appointment| holds(&appointment.standing))
}

const ADA: &str = "9990000018";
const BEN: &str = "9990000026";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_desk_books_at_another_hub_and_both_know_of_it() {
    let ground = Ground::prepare().await;
    let (soho, camden) = (ground.soho(), ground.camden());
    let offered = until_offered(&camden).await;
    assert!(matches!(offered[0].promise, Promise::Provisional(_)), "another hub's slot must be asked for");
    let asked = one(book(&camden, 1, ADA, &offered[0]).await);
    let id = asked.id;
    until("confirmed at the desk that asked", || {
        standing(&camden, id, |standing| matches!(standing, Standing::Firm))
    })
    .await;
    let at_home = until("known where it takes place", || soho.appointment(id)).await;
    assert_eq!((at_home.hub.as_str(), at_home.made_at.as_str()), ("soho", "camden"));
    assert!(offers(&soho).await.iter().all(|offer| offer.key != offered[0].key), "it is sold");
    // The patient arrives, and both see it; then camden cancels the next one, which soho carries out.
    let mark = Deed::Mark { appointment: id, attendance: Attendance::Arrived };
    soho.perform(&receptionist(), RequestId(2 << 8), mark).await.unwrap();
    until("arrived", || camden.appointment(id).filter(|one| one.attendance == Attendance::Arrived)).await;
    let cancel = Deed::Cancel { appointment: id, by: CancelledBy::Patient, reason: "Cannot come".to_owned() };
    camden.perform(&receptionist(), RequestId(3 << 8), cancel).await.unwrap();
    for desk in [&soho, &camden] {
        until("cancelled", || standing(desk, id, |standing| matches!(standing, Standing::Cancelled(_))))
            .await;
    }
    until("free again", || {
        tokio::task::block_in_place(|| {
            let found = tokio::runtime::Handle::current().block_on(offers(&soho));
            found.iter().any(|offer| offer.key == offered[0].key).then_some(())
        })
    })
    .await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_off_desks_sell_no_slot_twice_and_the_loser_becomes_a_task() {
    let mut ground = Ground::prepare().await;
    let (soho, camden) = (ground.soho(), ground.camden());
    let offered = until_offered(&camden).await;
    ground.wans.iter().for_each(|wan| wan.set_connected(false));
    // With the WAN down the home hub goes on, firmly; the other can only ask.
    let won = one(book(&soho, 1, ADA, &offered[0]).await);
    assert_eq!(won.standing, Standing::Firm);
    let lost = one(book(&camden, 2, BEN, &offered[0]).await);
    let had = one(book(&camden, 3, BEN, &offered[1]).await);
    for asked in [&lost, &had] {
        assert!(matches!(asked.standing, Standing::Provisional { .. }));
    }
    // The centre is started anew meanwhile, and a hub: nothing of it is forgotten.
    ground.centre.take().unwrap().end().await;
    ground.hubs.remove(1).end().await;
    ground.start_centre().await;
    let again = ground.start("camden").await;
    ground.hubs.push(again);
    let camden = ground.camden();
    ground.wans.iter().for_each(|wan| wan.set_connected(true));
    until("the one that was free", || {
        standing(&camden, had.id, |standing| matches!(standing, Standing::Firm))
    })
    .await;
    until("the one that was sold", || {
        standing(&camden, lost.id, |standing| matches!(standing, Standing::Failed { .. }))
    })
    .await;
    let day = camden.board(won.start, won.end);
    let task = day.tasks.iter().find(|task| task.appointment == Some(lost.id)).unwrap();
    assert_eq!(task.kind, TaskKind::CallPatient);
    until("the winner is known there too", || {
        standing(&camden, won.id, |standing| *standing == Standing::Firm)
    })
    .await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_box_in_place_of_a_lost_one_sells_nothing_of_what_that_one_sold() {
    let mut ground = Ground::prepare().await;
    let offer = until_offered(&ground.soho()).await.remove(0);
    let sold = one(book(&ground.soho(), 1, "9990000018", &offer).await);
    until("the other desk knows of it", || {
        standing(&ground.camden(), sold.id, |standing| *standing == Standing::Firm)
    })
    .await;
    // Its disk is lost. People put in another box with the same name, and forget what first-box = true means.
    ground.hubs.remove(0).end().await;
    fs::remove_dir_all(ground.directory.path().join("soho")).unwrap();
    let new = ground.start("soho").await;
    ground.hubs.insert(0, new);
    let soho = ground.soho();
    // The centre says that there was an earlier one: every time is held.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while soho.services().is_empty() || !offers(&soho).await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "it goes on selling");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What it does from now on follows what the lost one did, for everybody.
    let waiting = WaitingPerson {
        id: AppointmentId(0),
        person: sold.person.clone(),
        wish: SlotSearch::default(),
        priority: 2,
        since: soho.now(),
        short_notice: false,
        by: String::new(),
    };
    soho.perform(&receptionist(), RequestId(9 << 8), Deed::Wait(waiting)).await.unwrap();
    until("the other desk hears it", || Some(()).filter(|()| !ground.camden().waiting().is_empty())).await;
    ground.end().await;
}

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
