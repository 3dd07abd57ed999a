//! A hub with a reception desk and a BaRS receiver that books at it, on a simulated disk.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use hyper::Request;
use jiff::civil::time;
use polygate::{
    booking::catalogue::{Catalogue, Day, Session},
    domain::{
        actor::{Organisation, Practitioner},
        booking::{Channel, Offer, OfferKey, Owner, Promise, Service, SlotSearch},
        slot::{Clinician, Place},
    },
    flow::{
        book::{BookingDesk, FrontDesk, Options},
        reception::Reception,
    },
    sys::{
        counter::{Counted, Counter},
        http::{HttpClient, HttpLimits, HttpUrl},
        http_server,
    },
    systems::bars::{Bars, BarsOptions, Bookable},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

use super::hub::{InnerHub, NOW};

/// The hub's one id in the Directory of Services.
pub const SERVICE: &str = "2000011147";
/// The longest message it takes, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A counter in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<Option<u64>>);

impl Counter for Memory {
    fn read(&self) -> std::io::Result<Counted> {
        Ok(self.0.lock().unwrap().map_or(Counted::Missing, Counted::Number))
    }

    fn set(&self, number: u64) -> std::io::Result<()> {
        *self.0.lock().unwrap() = Some(number);
        Ok(())
    }
}

/// The hub, served.
pub struct BarsDesk {
    /// Itself.
    pub hub: InnerHub,
    /// Its desk.
    pub front: FrontDesk,
    /// Where its receiver listens.
    pub port: u16,
    /// A connection to it.
    pub client: HttpClient,
    _stop: watch::Sender<bool>,
}

impl BarsDesk {
    /// A hub with podiatry, which senders may book, and blood tests, which they may not. Of podiatry's sessions one is in
    /// the hub's hands, two people at a time; of the second the centre has every place, and of the third, on Saturdays,
    /// one of two.
    pub async fn start() -> Self {
        let hub = InnerHub::start();
        let options = Options {
            catalogue: Catalogue {
                services: vec![service("feet", "Podiatry"), service("blood", "Blood test")],
                sessions: vec![
                    Session { places: 2, ..session("feet-am", "feet", 9) },
                    session("blood-am", "blood", 9),
                    Session {
                        days: vec![Day::Saturday],
                        until: time(9, 30, 0, 0),
                        places: 2,
                        allotments: vec![(Owner::Centre, 1)],
                        sell_by_hours: 1,
                        ..session("feet-shared", "feet", 9)
                    },
                    Session {
                        allotments: vec![(Owner::Centre, 4)],
                        sell_by_hours: 1,
                        ..session("feet-lent", "feet", 14)
                    },
                ],
            },
            practices: Vec::new(),
            told: Vec::new(),
            hears: |_| None,
            organisation: Organisation {
                ods_code: "5LC01".to_owned(),
                name: "Soho".to_owned(),
                kind: String::new(),
                telephone: String::new(),
            },
            directory: PathBuf::from("/state/booking"),
            first: true,
            counter: Arc::new(Memory::default()),
        };
        let (desk, heard) = BookingDesk::open(&hub.hub, options).unwrap();
        let front = FrontDesk(Arc::clone(&desk));
        let mut changes = desk.changes();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(desk.run(heard, stopped.clone()));
        while front.services().is_empty() || !front.board(front.now(), front.now()).held.is_empty() {
            changes.changed().await.unwrap();
        }
        while lent(&front).await.is_none_or(|promise| promise == Promise::Firm) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let bookable =
            Bookable::new(Arc::new(front.clone()), "soho".parse().unwrap(), vec!["feet".parse().unwrap()]);
        let options = BarsOptions {
            services: vec![SERVICE.to_owned()],
            name: "Soho".to_owned(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            booking: Some(bookable),
        };
        let router = Bars::new(Arc::clone(&hub.hub), hub.link("bars"), options).router();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(http_server::serve(listener, None, router, stopped));
        Self { hub, front, port, client: connect(port), _stop: stop }
    }

    /// A connection of its own.
    pub fn connect(&self) -> HttpClient {
        connect(self.port)
    }

    /// What a request is answered: status and body.
    pub async fn ask(&self, request: Request<Bytes>) -> (u16, Value) {
        let answer = self.client.send(request).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }
}

/// The error's code and the issue's, of an operation outcome.
pub fn code(body: &Value) -> (&str, &str) {
    assert_eq!(body["resourceType"], "OperationOutcome", "{body}");
    let issue = &body["issue"][0];
    (issue["details"]["coding"][0]["code"].as_str().unwrap(), issue["code"].as_str().unwrap())
}

/// What a slot of the session is worth that the centre has, once it has it.
async fn lent(front: &FrontDesk) -> Option<Promise> {
    let who = Practitioner {
        id: "test".to_owned(),
        sds_user_id: None,
        sds_role_profile_id: None,
        job_role: String::new(),
        family_name: String::new(),
        given_name: String::new(),
        title: String::new(),
    };
    let until = NOW.plus(Duration::from_secs(14 * 24 * 3600));
    let offers =
        front.slots(&who, &SlotSearch { from: NOW, until, ..SlotSearch::default() }).await.unwrap().offers;
    let is_lent =
        |offer: &Offer| matches!(&offer.key, OfferKey::Token(slot) if slot.session.as_str() == "feet-lent");
    offers.into_iter().find(is_lent).map(|offer| offer.promise)
}

fn connect(port: u16) -> HttpClient {
    let url = HttpUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    HttpClient::new(url, None, HttpLimits::default())
}

fn service(id: &str, name: &str) -> Service {
    Service {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        words: Vec::new(),
        hub: "soho".parse().unwrap(),
        system: "hub".to_owned(),
        organisation: "Soho".to_owned(),
        telephone: "020 7946 0000".to_owned(),
        walk_in: None,
    }
}

fn session(id: &str, service: &str, from: i8) -> Session {
    Session {
        id: id.parse().unwrap(),
        service: service.parse().unwrap(),
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
        clinician: Some(Clinician {
            id: String::new(),
            name: "Joan Example".to_owned(),
            gender: "female".to_owned(),
            role: "Podiatrist".to_owned(),
        }),
        languages: Vec::new(),
        place: Place {
            name: "Soho".to_owned(),
            address: "1 Example Street, London".to_owned(),
            ..Place::default()
        },
        room: "4".to_owned(),
        step_free: Some(true),
        equipment: Vec::new(),
        allotments: Vec::new(),
        sell_by_hours: 24,
    }
}
