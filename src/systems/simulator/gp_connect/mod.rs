//! A general practice's system that answers over GP Connect, as strictly as the specification lets it.
//!
//! It speaks as EMIS (JSON, blanks, one value where a list belongs) or as Vision (XML), refuses whatever the
//! provider test suite refuses, and can be told to be slow, to fail, to lose answers and to have a wrong clock.

mod booking;
mod chart;
mod check;
mod complaint;
mod entries;
mod patients;
mod sessions;
mod voice;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, Response, StatusCode},
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, time::sleep};

use crate::{
    domain::time::Timestamp,
    sys::{clock::Clock, http_server, tls::ServerTls},
    systems::gp_connect::{Interaction, Profile},
};

use super::people::Person;
use check::Asked;
use complaint::Complaint;
pub use patients::birth_date;

/// The longest request taken, in bytes: an appointment is a few thousand.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// As many people live in the country, as far as this provider's traces go.
const COUNTRY: u64 = 5_000;

/// One practice.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose make it speaks as: its format and its habits.
    pub profile: &'static Profile,
    /// ODS code.
    pub practice: String,
    /// Its name.
    pub name: String,
    /// Its accredited system id.
    pub asid: String,
    /// The first of its people, by number.
    pub first_person: u64,
    /// How many people it has.
    pub people: u64,
}

/// What a practice does wrong on purpose; nothing, at first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Knobs {
    /// How long each answer takes.
    pub delay: Duration,
    /// Every answer has this status, and no resource; 0 answers properly.
    pub status: u16,
    /// By how many seconds its clock is ahead.
    pub skew_seconds: i64,
    /// Deeds that change something are done, and their answers lost.
    pub loses_answers: bool,
    /// So many of the next deeds that would change something are not even heard: the connection breaks off.
    pub deaf_to: u32,
    /// It knows version 1.2 alone, and refuses a question for more.
    pub is_version_1_2: bool,
    /// It answers about the next patient instead.
    pub mixes_up_patients: bool,
}

/// A practice that answers.
#[derive(Debug)]
pub struct Provider {
    options: Options,
    clock: Arc<dyn Clock>,
    state: Mutex<Practice>,
    knobs: Mutex<Knobs>,
}

/// What a practice keeps.
#[derive(Debug, Default)]
struct Practice {
    /// Temporary registrations, by person.
    registered: HashSet<u64>,
    /// By id.
    appointments: BTreeMap<u64, Value>,
    /// Slots that are taken, and by which appointment.
    taken: HashMap<String, u64>,
    /// Trace ids met: each must be new.
    traces: HashSet<String>,
}

impl Provider {
    /// A practice whose people have no appointments yet.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        let (state, knobs) = (Mutex::default(), Mutex::default());
        Self { options, clock, state, knobs }
    }

    /// The path below which it answers everything.
    pub fn base(&self) -> String {
        format!("/{}/STU3/1/gpconnect", self.options.practice)
    }

    /// The path below which it answers as well, as newer versions name it for records.
    pub fn records_base(&self) -> String {
        format!("/{}/STU3/1/gpconnect/structured/fhir", self.options.practice)
    }

    /// Sets what it does wrong.
    pub fn turn(&self, knobs: Knobs) {
        *self.knobs.lock().unwrap_or_else(PoisonError::into_inner) = knobs;
    }

    /// How many appointments stand.
    pub fn booked(&self) -> usize {
        self.state().taken.values().collect::<HashSet<_>>().len()
    }

    /// Its people, those registered for a while left out.
    pub fn people(&self) -> impl Iterator<Item = Person> + use<> {
        let first = self.options.first_person;
        (first..first + self.options.people).map(Person::of)
    }

    /// Answers on `listener` until `stop` changes.
    ///
    /// # Errors
    /// The server failed as a whole.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<ServerTls>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let router = Router::new().fallback(answer).with_state(self);
        http_server::serve(listener, tls, router, stop).await
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let knobs = self.knobs();
        let now = Timestamp(self.clock.now().0.saturating_add(knobs.skew_seconds.saturating_mul(1000)));
        if let Ok(status) = StatusCode::from_u16(knobs.status)
            && knobs.status != 0
        {
            return voice::plain(status, now);
        }
        let done = check::request(self, request, now).and_then(|asked| self.act(&asked, now));
        voice::answer(self.options.profile, request, done, now)
    }

    fn act(&self, asked: &Asked, now: Timestamp) -> Result<Value, Complaint> {
        match asked.interaction {
            Interaction::Capabilities => Ok(capabilities(now)),
            Interaction::FindPatient => patients::find(self, asked),
            Interaction::RegisterPatient => patients::register(self, asked, now),
            Interaction::StructuredRecord => chart::record(self, asked, now),
            Interaction::FreeSlots => sessions::free_slots(self, asked, now),
            Interaction::Book => booking::book(self, asked, now),
            Interaction::PatientAppointments => booking::of_patient(self, asked, now),
            Interaction::ReadAppointment => booking::read(self, asked),
            Interaction::Amend | Interaction::Cancel => booking::change(self, asked, now),
        }
    }

    fn state(&self) -> MutexGuard<'_, Practice> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_deaf(&self) -> bool {
        let mut knobs = self.knobs.lock().unwrap_or_else(PoisonError::into_inner);
        let deaf = 0 < knobs.deaf_to;
        knobs.deaf_to = knobs.deaf_to.saturating_sub(1);
        deaf
    }

    fn knobs(&self) -> Knobs {
        *self.knobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a person is one of the practice's, for good or for a while.
    fn knows(&self, number: u64) -> bool {
        let own = self.options.first_person..self.options.first_person + self.options.people;
        own.contains(&number) || self.state().registered.contains(&number)
    }
}

/// What the practice's system says of itself (FHIR STU3, CapabilityStatement).
fn capabilities(now: Timestamp) -> Value {
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now.to_string(),
        "kind": "instance",
        "fhirVersion": "3.0.1",
        "acceptUnknown": "both",
        "format": ["application/fhir+json", "application/fhir+xml"],
        "rest": [{ "mode": "server" }],
    })
}

async fn answer(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let knobs = provider.knobs();
    let changes = !matches!(head.method.as_str(), "GET") && !head.uri.path().ends_with("getstructuredrecord");
    if changes && provider.is_deaf() {
        return http_server::broken_off();
    }
    let response = provider.answer(&Request::from_parts(head, body));
    sleep(knobs.delay).await;
    if knobs.loses_answers && changes { http_server::broken_off() } else { response.map(Body::from) }
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}
