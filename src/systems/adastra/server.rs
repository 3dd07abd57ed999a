//! The listener: SOAP at `/` and any other path, case exports at `/case-data-export`, answered once durable.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{
    codec::itk::{self, Addressed, ItkError},
    flow::{
        alarm::AlarmCode,
        hub::Hub,
        link::Link,
        receive::{Outcome, Quarantined, Received},
    },
    sys::{entropy::Entropy, http_server, tls::ServerTls},
};

use super::{CASE, ITK, case, report};

/// How long to wait before trying again to open a port.
const BIND_AGAIN: Duration = Duration::from_secs(5);
/// A sender that takes longer over its request is cut off.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Requests in hand at once: with 16 MiB each and a tree of it, the memory they may take is bounded.
const REQUESTS_MAX: usize = 4;

/// How the listener is to behave.
#[derive(Clone, Debug)]
pub struct AdastraOptions {
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// Under TLS, if given.
    pub tls: Option<ServerTls>,
    /// Whom messages may be addressed to.
    pub addressed: Addressed,
    /// The longest message taken, in bytes.
    pub message_bytes_max: usize,
}

/// One Adastra system's listener.
#[derive(Debug)]
pub struct Adastra {
    hub: Arc<Hub>,
    link: Arc<Link>,
    options: AdastraOptions,
    requests: Semaphore,
    entropy: Mutex<Entropy>,
}

impl Adastra {
    /// A listener for a link.
    pub fn new(hub: Arc<Hub>, link: Arc<Link>, options: AdastraOptions, entropy: Entropy) -> Arc<Self> {
        let requests = Semaphore::new(REQUESTS_MAX);
        Arc::new(Self { hub, link, options, requests, entropy: Mutex::new(entropy) })
    }

    /// Opens the port, and keeps trying while it cannot be opened; then serves until `stop` changes.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let router = Router::new()
            .route("/case-data-export", post(take_case))
            .fallback(take_soap)
            .with_state(Arc::clone(&self));
        while !*stop.borrow() {
            match TcpListener::bind(self.options.listen).await {
                Ok(listener) => {
                    let address = listener.local_addr().unwrap_or(self.options.listen).to_string();
                    tracing::info!(link = self.link.name(), address, "listening for ITK over SOAP");
                    self.link.listening(&address, self.hub.now());
                    self.hub.alarms().clear(AlarmCode::ListenerDown, self.link.name());
                    let tls = self.options.tls.clone();
                    if let Err(error) = http_server::serve(listener, tls, router.clone(), stop.clone()).await
                    {
                        self.is_down(&error);
                    }
                }
                Err(error) => self.is_down(&error),
            }
            tokio::select! {
                () = sleep(BIND_AGAIN) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn is_down(&self, error: &std::io::Error) {
        let (text, now) = (format!("{} cannot be served: {error}", self.options.listen), self.hub.now());
        self.link.down(&text, now);
        self.hub.alarms().raise(AlarmCode::ListenerDown, self.link.name(), text, now);
    }

    /// The request's body, if it is short enough and comes soon enough.
    async fn body(&self, body: Body) -> Result<Bytes, StatusCode> {
        match timeout(READ_WITHIN, to_bytes(body, self.options.message_bytes_max)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    }

    /// A name for an answer.
    async fn new_id(&self) -> String {
        let mut entropy = self.entropy.lock().await;
        let (high, low) = (entropy.next_u64(), entropy.next_u64());
        let hex = format!("{high:016X}{low:016X}");
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
    }

    async fn soap(&self, raw: Bytes) -> Response {
        let id = self.new_id().await;
        let (event, reference) = match report::translate(&raw, Some(&self.options.addressed)) {
            Ok(read) => read,
            Err(ItkError { broken, message_id, tracking_id }) => {
                self.keep_aside(raw, ITK, &tracking_id, &broken.to_string()).await;
                return fault(&itk::fault(&id, &message_id, &tracking_id, true, &broken.to_string()));
            }
        };
        let received = Received { event, format: ITK, raw: raw.clone() };
        let essence = reference.essence.clone();
        let outcomes = self.hub.receive_essence(&self.link, vec![(essence, received)]).await;
        let (message, tracking) = (reference.message_id.as_str(), reference.tracking_id.as_str());
        let permanent = |text: &str| fault(&itk::fault(&id, message, tracking, true, text));
        match outcomes.first() {
            Some(Outcome::Accepted(_) | Outcome::Repeated(_)) => {
                xml(StatusCode::OK, itk::accepted(&id, &reference.service, message, tracking))
            }
            Some(Outcome::Conflict) => {
                let text = "Another message with this trackingid was accepted before";
                self.keep_aside(raw, ITK, tracking, text).await;
                permanent(text)
            }
            Some(Outcome::TooLong) => permanent("The message is longer than this receiver takes"),
            Some(Outcome::Full | Outcome::Failed) | None => {
                let text = "The message could not be made durable: send it again later";
                fault(&itk::fault(&id, message, tracking, false, text))
            }
        }
    }

    async fn case(&self, raw: Bytes) -> Response {
        let event = match case::translate(&raw) {
            Ok(event) => event,
            Err(error) => {
                let reference = case::reference(&raw);
                self.keep_aside(raw, CASE, &reference, &error.to_string()).await;
                return plain(StatusCode::BAD_REQUEST, &format!("not taken: {error}"));
            }
        };
        let received = Received { event, format: CASE, raw };
        match self.hub.receive(&self.link, vec![received]).await.first() {
            Some(Outcome::Accepted(_) | Outcome::Repeated(_)) => plain(StatusCode::OK, "accepted"),
            Some(Outcome::TooLong) => plain(StatusCode::PAYLOAD_TOO_LARGE, "longer than this receiver takes"),
            // A digest of the export is part of its name: another of the same name has not been seen.
            _ => plain(StatusCode::SERVICE_UNAVAILABLE, "not durable: send it again later"),
        }
    }

    async fn keep_aside(&self, raw: Bytes, kind: &str, source_id: &str, reason: &str) {
        self.link.answered(0, 0, 1, self.hub.now());
        let item = Quarantined {
            at: self.hub.now(),
            system: self.link.name().to_owned(),
            kind: kind.to_owned(),
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

async fn take_soap(State(adastra): State<Arc<Adastra>>, request: Request) -> Response {
    if request.method() != axum::http::Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "messages are sent with POST");
    }
    let Ok(_place) = adastra.requests.acquire().await else { return unavailable() };
    match adastra.body(request.into_body()).await {
        Ok(raw) => adastra.soap(raw).await,
        Err(StatusCode::REQUEST_TIMEOUT) => unavailable(),
        Err(_) => {
            let id = adastra.new_id().await;
            adastra.link.answered(0, 0, 1, adastra.hub.now());
            fault(&itk::fault(&id, "", "", true, "The message is longer than this receiver takes"))
        }
    }
}

async fn take_case(State(adastra): State<Arc<Adastra>>, request: Request) -> Response {
    let Ok(_place) = adastra.requests.acquire().await else { return unavailable() };
    match adastra.body(request.into_body()).await {
        Ok(raw) => adastra.case(raw).await,
        Err(status) => plain(status, "the request's body was not taken"),
    }
}

fn unavailable() -> Response {
    plain(StatusCode::SERVICE_UNAVAILABLE, "not taken: send it again later")
}

/// A SOAP 1.1 fault is an HTTP 500 (section 6.2), whoever is at fault.
fn fault(body: &str) -> Response {
    xml(StatusCode::INTERNAL_SERVER_ERROR, body.to_owned())
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/xml; charset=utf-8")], body).into_response()
}

fn plain(status: StatusCode, words: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{words}\n")).into_response()
}
