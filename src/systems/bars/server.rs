//! The receiver: a router for `/fhir/r4`, which answers 200 once a message is durable.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::Value;
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use crate::{
    codec::{
        bars::{
            self, Deed, Event, HEADERS_MIRRORED, Heard, Message, Refusal, Service, SlotsWanted, essence,
            heard, patient_wanted,
        },
        fhir::{self, Moment},
    },
    domain::time::Timestamp,
    flow::{
        hub::Hub,
        link::Link,
        receive::{Outcome, Quarantined, Received},
    },
};

use super::{
    BOOKED, FORMAT,
    booking::{Bookable, is_overtaken, organisation},
    translate,
};

/// The longest message a hub should take, in bytes: forty times the longest published example, and each takes up to
/// eighteen times as much memory while it is read.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Where the standard's addresses begin.
const BASE: &str = "/fhir/r4";
/// A sender that takes longer over its request is cut off.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Messages in hand at once: each may take as much memory as `fhir::MEMORY_BYTES_MAX`.
const REQUESTS_MAX: usize = 2;
/// Searches in hand at once: each goes through every session of a hub.
const SEARCHES_MAX: usize = 2;
/// How long a request waits for its turn before its sender is asked to slow down.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// When a sender that was refused for now should come again, in seconds.
const RETRY_AFTER_SECONDS: &str = "30";
/// Requests whose newest change is remembered. The oldest are forgotten; what then comes late is still put in order by
/// the record, only its sender is not told.
const REMEMBERED_MAX: usize = 10_000;
/// The media type of answers.
const JSON: &str = "application/fhir+json; version=1.4.0";

/// How the receiver is to behave.
#[derive(Clone, Debug)]
pub struct BarsOptions {
    /// The services it stands for: ids in the Directory of Services (`[bars] services`).
    pub services: Vec<String>,
    /// The hub's name, for people.
    pub name: String,
    /// The longest message taken, in bytes; see [`MESSAGE_BYTES_MAX`].
    pub message_bytes_max: usize,
    /// What can be booked; none if what arrives is recorded as requests.
    pub booking: Option<Bookable>,
}

/// The receiver of one hub.
#[derive(Debug)]
pub struct Bars {
    hub: Arc<Hub>,
    link: Arc<Link>,
    options: BarsOptions,
    requests: Arc<Semaphore>,
    searches: Semaphore,
    newest: Mutex<Newest>,
}

impl Bars {
    /// A receiver for a link.
    pub fn new(hub: Arc<Hub>, link: Arc<Link>, options: BarsOptions) -> Arc<Self> {
        let (requests, searches) = (Arc::new(Semaphore::new(REQUESTS_MAX)), Semaphore::new(SEARCHES_MAX));
        Arc::new(Self { hub, link, options, requests, searches, newest: Mutex::default() })
    }

    /// What answers below `/fhir/r4`. It has no limit on connections and asks nobody who they are: whoever serves it
    /// must, with TLS that asks for the proxy's certificate.
    pub fn router(self: &Arc<Self>) -> Router {
        let inner = Router::new().fallback(any(answer)).with_state(Arc::clone(self));
        self.link.listening(BASE, self.hub.now());
        Router::new().nest(BASE, inner)
    }

    async fn ask(self: &Arc<Self>, parts: &Parts, body: Body) -> Result<Value, Refusal> {
        let known = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        if !bars::is_acceptable(accept) {
            return Err(Refusal::not_acceptable("Answers are application/fhir+json of version 1"));
        }
        let (path, query) = (parts.uri.path().trim_matches('/'), parts.uri.query().unwrap_or_default());
        if let (Some(bookable), &Method::GET, Some(wanted)) =
            (&self.options.booking, &parts.method, Wanted::of(path))
        {
            let heard = heard(known, &self.options.services)?;
            return self.tell(bookable, &heard, wanted, query).await;
        }
        match (&parts.method, path) {
            (&Method::GET, "metadata") => {
                let services = self.options.services.first();
                let id = services.map(String::as_str).unwrap_or_default();
                Ok(bars::capabilities(self.service(id), self.hub.now()))
            }
            (&Method::GET, "MessageDefinition") => {
                let heard = heard(known, &self.options.services)?;
                if !query.split('&').any(|one| one.starts_with("context=")) {
                    return Err(Refusal::required("The parameter context is missing"));
                }
                let url = format!("{BASE}{}", parts.uri);
                Ok(bars::definitions(self.service(&heard.service), &url, self.hub.now()))
            }
            (&Method::POST, "$process-message") => {
                let heard = heard(known, &self.options.services)?;
                self.process(heard, &parts.headers, body).await
            }
            (method, path) => Err(elsewhere(method, path, self.options.booking.is_some())),
        }
    }

    /// Answers who looks before booking. Who asked is logged, and never for whom.
    async fn tell(
        &self,
        bookable: &Bookable,
        heard: &Heard,
        wanted: Wanted<'_>,
        query: &str,
    ) -> Result<Value, Refusal> {
        let now = self.hub.now();
        match wanted {
            Wanted::Slots => {
                let wanted = SlotsWanted::read(query, now)?;
                let Ok(Ok(_turn)) = timeout(TURN_WITHIN, self.searches.acquire()).await else {
                    return Err(Refusal::throttled("More searches at once than this receiver takes"));
                };
                let (offers, more) = bookable.slots(heard, &wanted).await?;
                let (service, url) = (self.service(&heard.service), format!("{BASE}/Slot"));
                Ok(bars::slots(&wanted, &offers, more, service, &url, now))
            }
            Wanted::Appointments => {
                let found = bookable.appointments_of(patient_wanted(query)?);
                tracing::info!(by = organisation(heard), count = found.len(), "appointments told over BaRS");
                Ok(bars::appointments(&found, &format!("{BASE}/Appointment"), now))
            }
            Wanted::Appointment(id) => {
                let found = bookable.appointment(id)?;
                tracing::info!(by = organisation(heard), appointment = %found.id, "appointment told over BaRS");
                Ok(bars::appointment(&found))
            }
        }
    }

    fn service<'a>(&'a self, id: &'a str) -> Service<'a> {
        Service { name: &self.options.name, id, books: self.options.booking.is_some() }
    }

    async fn process(
        self: &Arc<Self>,
        heard: Heard,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Value, Refusal> {
        let media =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if fhir::Format::of_media_type(media) != Some(fhir::Format::Json) {
            return Err(Refusal::not_supported("The body's Content-Type is not application/fhir+json"));
        }
        let turn = timeout(TURN_WITHIN, Arc::clone(&self.requests).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Refusal::throttled("More messages at once than this receiver takes"));
        };
        let raw = match timeout(READ_WITHIN, to_bytes(body, self.options.message_bytes_max)).await {
            Ok(Ok(raw)) => raw,
            Ok(Err(_)) => {
                return Err(Refusal::too_long("The body is longer than this receiver takes, or broke off"));
            }
            Err(_) => return Err(Refusal::timeout("The body did not come in time")),
        };
        // Carried to its end even if the sender has gone: what is booked and what is kept belong together.
        let bars = Arc::clone(self);
        let taking = tokio::spawn(async move {
            let _turn = turn;
            bars.take_or_keep_aside(&heard, raw).await
        });
        taking.await.unwrap_or(Err(Refusal::unavailable("The receiver failed: send it again later")))
    }

    async fn take_or_keep_aside(&self, heard: &Heard, raw: Bytes) -> Result<Value, Refusal> {
        match self.take(heard, raw.clone()).await {
            Ok(answer) => Ok(answer),
            Err(Untaken { refusal, source_id, counted }) => {
                if !counted {
                    self.link.answered(0, 0, 1, self.hub.now());
                }
                // A repetition was kept at its first time, and what may come again will. Who lost a race did no wrong.
                if !refusal.is_temporary() && refusal.issue != "duplicate" && !is_overtaken(refusal) {
                    self.keep_aside(raw, source_id, refusal.says).await;
                }
                Err(refusal)
            }
        }
    }

    async fn take(&self, heard: &Heard, raw: Bytes) -> Result<Value, Untaken> {
        let untaken =
            |refusal, source_id: &str| Untaken { refusal, source_id: source_id.to_owned(), counted: false };
        let tree = fhir::read_json(&raw).map_err(|error| untaken(error.into(), ""))?;
        let source_id = fhir::Element::of(&tree).text_of("id").unwrap_or_default();
        let message = bars::read(&tree).map_err(|refusal| untaken(refusal, source_id))?;
        if !message.is_for(&heard.service) {
            let says = "MessageHeader.destination and NHSD-Target-Identifier name different services";
            return Err(untaken(Refusal::invariant(says), source_id));
        }
        // Held until it is durable, so that of two changes of one request the later is not told that it is stale.
        let mut newest = self.newest.lock().await;
        let changed = message.changed().and_then(Moment::timestamp);
        if newest.is_stale(&message, changed) {
            return Err(untaken(
                Refusal::conflict("A newer change of this request was taken before"),
                source_id,
            ));
        }
        // First what is asked, then the message: who asks again after a failure between them finds it done.
        let booked = match (&self.options.booking, message.event) {
            (Some(bookable), Event::Booking) => {
                let done = bookable.act(heard, &message).await;
                Some(done.map_err(|refusal| untaken(refusal, source_id))?)
            }
            _ => None,
        };
        let (event, format) = match booked {
            Some(_) => (translate::event_beside_desk(&message), BOOKED),
            None => (translate::event(&message), FORMAT),
        };
        let received = Received { event, format, raw };
        let outcomes = self.hub.receive_essence(&self.link, vec![(essence(&tree).into(), received)]).await;
        let outcome = outcomes.first().copied().unwrap_or(Outcome::Failed);
        if !matches!(outcome, Outcome::Accepted(_)) {
            return Err(Untaken { counted: true, ..untaken(refused(outcome), source_id) });
        }
        newest.remember(&message, changed);
        Ok(bars::accepted(&message, self.service(&heard.service), booked.as_ref(), self.hub.now()))
    }

    async fn keep_aside(&self, raw: Bytes, source_id: String, reason: &str) {
        let item = Quarantined {
            at: self.hub.now(),
            system: self.link.name().to_owned(),
            kind: FORMAT.to_owned(),
            source_id: source_id.chars().take(60).collect(),
            reason: reason.to_owned(),
            raw,
        };
        let hub = Arc::clone(&self.hub);
        if tokio::task::spawn_blocking(move || hub.quarantine(&item)).await.is_err() {
            tracing::error!("a message could not be kept aside");
        }
    }
}

/// What is looked for before something is booked or changed.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Slots,
    Appointments,
    Appointment(&'a str),
}

impl<'a> Wanted<'a> {
    fn of(path: &'a str) -> Option<Self> {
        match path.split_once('/') {
            None if path == "Slot" => Some(Self::Slots),
            None if path == "Appointment" => Some(Self::Appointments),
            Some(("Appointment", id)) => Some(Self::Appointment(id)),
            _ => None,
        }
    }
}

/// A message that was not taken.
struct Untaken {
    refusal: Refusal,
    /// The Bundle's id, where there is one.
    source_id: String,
    /// Whether the link's counters know.
    counted: bool,
}

/// The newest change of each request that was taken since the start.
#[derive(Debug, Default)]
struct Newest {
    changed: BTreeMap<String, Timestamp>,
    order: VecDeque<String>,
}

impl Newest {
    fn is_stale(&self, message: &Message<'_>, changed: Option<Timestamp>) -> bool {
        let known = self.changed.get(&message.focus_id);
        message.deed != Deed::New && known.zip(changed).is_some_and(|(known, changed)| changed < *known)
    }

    fn remember(&mut self, message: &Message<'_>, changed: Option<Timestamp>) {
        let Some(changed) = changed else { return };
        if self.changed.insert(message.focus_id.clone(), changed).is_none() {
            self.order.push_back(message.focus_id.clone());
        }
        if REMEMBERED_MAX < self.order.len()
            && let Some(oldest) = self.order.pop_front()
        {
            self.changed.remove(&oldest);
        }
    }
}

/// What is not taken, for good or for now.
fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Accepted(_) | Outcome::Repeated(_) => {
            Refusal::duplicate("This message has been taken already: nothing more is to be done")
        }
        Outcome::Conflict => Refusal::conflict("Another message with this Bundle.id was taken before"),
        Outcome::TooLong => Refusal::too_long("The message is longer than this receiver takes"),
        Outcome::Full => Refusal::unavailable("There is no room for the message now: send it again later"),
        Outcome::Failed => Refusal::unavailable("The message could not be made durable: send it again later"),
    }
}

/// Addresses of the standard that this receiver does not serve, and those that are none.
fn elsewhere(method: &Method, path: &str, books: bool) -> Refusal {
    let kind = path.split('/').next().unwrap_or_default();
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    match kind {
        "metadata" | "MessageDefinition" => Refusal::method("This address takes GET"),
        "Slot" if books => Refusal::method("This address takes GET"),
        "Appointment" if books && (*method == Method::HEAD || !known.contains(method)) => {
            Refusal::method("This address takes GET")
        }
        "$process-message" => Refusal::method("This address takes POST"),
        "Appointment" | "ServiceRequest" if [Method::GET, Method::HEAD].contains(method) => {
            Refusal::not_implemented("Requests cannot be read back from this receiver")
        }
        "Appointment" | "ServiceRequest" => Refusal::not_implemented(
            "Bookings and referrals are sent, changed and cancelled with $process-message",
        ),
        "Slot" => Refusal::not_implemented("This receiver takes requests, and publishes no slots"),
        "DocumentReference" | "HealthcareService" | "Endpoint" => {
            Refusal::not_implemented("This receiver keeps no registry")
        }
        _ => Refusal::not_found("There is nothing at this address"),
    }
}

async fn answer(State(bars): State<Arc<Bars>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answered = bars.ask(&parts, body).await;
    let known = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let mut response = match answered {
        Ok(value) => (StatusCode::OK, value.to_string()).into_response(),
        Err(refusal) => refuse(refusal, known("x-request-id").unwrap_or_default(), parts.uri.path()),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for name in HEADERS_MIRRORED {
        if let Some(value) = parts.headers.get(name)
            && known(name).is_some_and(bars::is_uuid)
        {
            headers.insert(name, value.clone());
        }
    }
    response
}

fn refuse(refusal: Refusal, request: &str, path: &str) -> Response {
    tracing::debug!(code = refusal.code, issue = refusal.issue, says = refusal.says, "BaRS request refused");
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, refusal.outcome(request).to_string()).into_response();
    let more = match refusal.status {
        429 | 503 => Some((header::RETRY_AFTER, RETRY_AFTER_SECONDS)),
        // RFC 9110, section 15.5.6.
        405 if path.ends_with("$process-message") => Some((header::ALLOW, "POST")),
        405 => Some((header::ALLOW, "GET")),
        _ => None,
    };
    if let Some((name, value)) = more {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
