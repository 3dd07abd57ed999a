//! Two hubs, a broker and a centre as they are in production: what one desk books, the other knows, and no slot is sold
//! twice whatever is cut off.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

#[path = "booking/bars.rs"]
mod bars;
#[path = "booking/clinics.rs"]
mod clinics;

use std::{fmt::Write as _, fs, sync::Arc, time::Duration};

use polygate::{
    app::{centre::RunningCentre, hub::RunningHub},
    centre::broker::{Broker, BrokerOptions},
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
