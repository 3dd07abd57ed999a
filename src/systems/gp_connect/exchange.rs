//! One request and its answer: address, headers, token, what a failure means, and how far the clocks differ.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::http::{
    HeaderMap, Request, Response,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, ETAG, IF_MATCH},
};
use bytes::Bytes;
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    codec::{
        fhir::{self, Format},
        gzip,
    },
    domain::{actor::Requester, time::Timestamp},
    flow::ask::{AtFault, Contact, Refusal},
    sys::{
        clock::Clock,
        entropy::Entropy,
        http::{HttpClient, HttpError, HttpLimits, HttpUrl},
        tls::ClientTls,
    },
};

use super::{
    Interaction, Options, OptionsError,
    fault::{Fault, outcome_of},
    token::{Purpose, token},
};

/// A question that does no harm twice is asked this often before it counts as unanswered: a kept connection
/// may have gone quietly.
const ATTEMPTS_MAX: u32 = 2;
/// Questions to one practice that wait for one another; more are turned away, for whoever asked has given up by
/// the time they would be asked.
const WAITING_MAX: usize = 8;
/// Clocks that differ by less are taken as equal: `Date` counts whole seconds, and answers take time.
const SKEW_SECONDS_BORNE: i64 = 30;
/// From here on a refused token is put down to the clocks.
const SKEW_SECONDS_SUSPECT: i64 = 60;
/// No difference has been seen yet.
const SKEW_UNKNOWN: i64 = i64::MIN;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Which deed.
    pub interaction: Interaction,
    /// Path and query below the practice's address, percent-encoded, from its slash.
    pub path: &'a str,
    /// What is sent.
    pub body: Option<&'a Value>,
    /// The version that must still stand.
    pub version: Option<&'a str>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The resource.
    pub body: Value,
    /// Its version, if the answer's headers say.
    pub version: Option<String>,
}

/// The way to one practice.
#[derive(Debug)]
pub struct Exchange {
    name: String,
    format: Format,
    issuer: String,
    asids: (String, String),
    /// For appointments and patients.
    appointments: Route,
    /// For records, which take long: a slow one holds up no booking.
    records: Route,
    clock: Arc<dyn Clock>,
    entropy: Mutex<Entropy>,
    skew_seconds: AtomicI64,
    contact: Mutex<Contact>,
}

#[derive(Debug)]
struct Route {
    client: HttpClient,
    /// Whose turn it is: a token is made only when it can be used at once.
    turn: tokio::sync::Mutex<()>,
    places: Semaphore,
    patience: Duration,
    /// What the path begins with: the practice's address, if the proxy is asked.
    prefix: String,
    audience: String,
}

impl Route {
    fn new(options: &Options, address: &HttpUrl, text: &str, tls: Option<&ClientTls>) -> Self {
        let limits = HttpLimits { answer: options.answer_within, ..HttpLimits::default() };
        let audience = text.trim_end_matches('/').to_owned();
        let (url, prefix) = match &options.proxy {
            Some(proxy) => (proxy.clone(), format!("/{audience}")),
            None => (address.clone(), String::new()),
        };
        Self {
            client: HttpClient::new(url, tls.cloned(), limits),
            turn: tokio::sync::Mutex::new(()),
            places: Semaphore::new(WAITING_MAX),
            patience: options.answer_within,
            prefix,
            audience,
        }
    }
}

impl Exchange {
    /// A way to the practice of `options`; connects at the first question.
    ///
    /// # Errors
    /// An address is none.
    pub fn new(
        options: &Options,
        tls: Option<&ClientTls>,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
    ) -> Result<Self, OptionsError> {
        let address = |text: &str| HttpUrl::parse(text).map_err(OptionsError::Address);
        let records = options.records_address.as_ref().unwrap_or(&options.address);
        Ok(Self {
            name: options.name.clone(),
            format: options.profile.format,
            issuer: options.issuer.trim_end_matches('/').to_owned(),
            asids: (options.asid.clone(), options.practice_asid.clone()),
            appointments: Route::new(options, &address(&options.address)?, &options.address, tls),
            records: Route::new(options, &address(records)?, records, tls),
            clock,
            entropy: Mutex::new(entropy),
            skew_seconds: AtomicI64::new(SKEW_UNKNOWN),
            contact: Mutex::default(),
        })
    }

    /// The hub's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// By how many seconds the practice's clock is ahead of ours (behind, if negative), if that is more than
    /// can be borne.
    pub fn skew(&self) -> Option<i64> {
        let seconds = self.skew_seconds.load(Ordering::Relaxed);
        (seconds != SKEW_UNKNOWN && SKEW_SECONDS_BORNE < seconds.abs()).then_some(seconds)
    }

    /// Asks, and reads the answer. Only what changes nothing is asked again when no answer comes.
    ///
    /// # Errors
    /// The refusal says whether the practice's system may have acted.
    pub async fn ask(&self, who: &Requester, question: Question<'_>) -> Result<Answer, Refusal> {
        let route = match question.interaction {
            Interaction::StructuredRecord => &self.records,
            _ => &self.appointments,
        };
        let busy = || self.refuse(question, Fault::TooManyRequests, 0);
        let _place = route.places.try_acquire().map_err(|_| busy())?;
        let _turn = timeout(route.patience, route.turn.lock()).await.map_err(|_| busy())?;
        let attempts = if question.interaction.is_safe() { ATTEMPTS_MAX } else { 1 };
        let mut failure = (Fault::NotConnected, String::new());
        for _ in 0..attempts {
            match self.once(who, question, route).await {
                Ok(response) => return self.noted(self.read(question, &response)),
                Err(HttpError::NotConnected(_, reason)) => failure = (Fault::NotConnected, reason),
                Err(HttpError::NoAnswer(_, reason)) => failure = (Fault::NoAnswer, reason),
                Err(HttpError::TooLong(..)) => {
                    return self.noted(Err(self.refuse(question, Fault::AnswerTooLong, 0)));
                }
            }
        }
        let mut refusal = self.refuse(question, failure.0, 0);
        refusal.detail.extend([": ", &failure.1]);
        self.noted(Err(refusal))
    }

    /// When the practice answered, and how it failed to. What it refuses of its own is an answer.
    fn noted(&self, answer: Result<Answer, Refusal>) -> Result<Answer, Refusal> {
        let mut contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Err(refusal) if matches!(refusal.at_fault, AtFault::Network | AtFault::System) => {
                contact.failed = Some((self.clock.now(), refusal.to_string()));
            }
            _ => contact.answered = Some(self.clock.now()),
        }
        drop(contact);
        answer
    }

    /// How asking has gone lately.
    pub fn contact(&self) -> Contact {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn once(
        &self,
        who: &Requester,
        question: Question<'_>,
        route: &Route,
    ) -> Result<Response<Bytes>, HttpError> {
        let sent = self.clock.now();
        let request = self
            .request(who, question, route, sent)
            .map_err(|error| HttpError::NotConnected(self.name.clone(), error.to_string()))?;
        let response = route.client.send(request).await?;
        self.compare_clocks(response.headers(), sent);
        Ok(response)
    }

    fn request(
        &self,
        who: &Requester,
        question: Question<'_>,
        route: &Route,
        now: Timestamp,
    ) -> Result<Request<Bytes>, axum::http::Error> {
        let purpose =
            Purpose { interaction: question.interaction, audience: &route.audience, issuer: &self.issuer };
        let media = format!("{};charset=utf-8", self.format.media_type());
        let mut request = Request::builder()
            .method(question.interaction.method())
            .uri(format!("{}{}", route.prefix, question.path))
            .header(ACCEPT, &media)
            .header(ACCEPT_ENCODING, "gzip")
            .header(AUTHORIZATION, format!("Bearer {}", token(who, &purpose, now)))
            .header("Ssp-TraceID", self.trace_id())
            .header("Ssp-InteractionID", question.interaction.id());
        for (name, asid) in [("Ssp-From", &self.asids.0), ("Ssp-To", &self.asids.1)] {
            if !asid.is_empty() {
                request = request.header(name, asid);
            }
        }
        if let Some(version) = question.version {
            request = request.header(IF_MATCH, format!("W/\"{version}\""));
        }
        let Some(body) = question.body else { return request.body(Bytes::new()) };
        request
            .header(CONTENT_TYPE, &media)
            .header("Prefer", "return=representation")
            .body(Bytes::from(fhir::write(body, self.format)))
    }

    /// A UUID of version 4 (RFC 9562, section 5.4).
    fn trace_id(&self) -> String {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        let (high, low) = (entropy.next_u64(), entropy.next_u64());
        let whole = (u128::from(high) << 64) | u128::from(low);
        let marked = (whole & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{marked:032x}");
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    fn read(&self, question: Question<'_>, response: &Response<Bytes>) -> Result<Answer, Refusal> {
        let status = response.status().as_u16();
        let packed = response.headers().get(CONTENT_ENCODING).is_some_and(|value| value == "gzip");
        let unpacked =
            if packed { gzip::unpack(response.body(), fhir::DOCUMENT_BYTES_MAX) } else { Ok(Vec::new()) };
        let Ok(unpacked) = unpacked else {
            return Err(self.refuse(question, Fault::UnreadableAnswer, status));
        };
        let body = fhir::read(if packed { &unpacked } else { response.body() });
        let outcome = body.as_ref().ok().and_then(outcome_of);
        if !response.status().is_success() {
            let fault = Fault::of_answer(status, outcome);
            let clocks_part = self.skew().is_some_and(|seconds| SKEW_SECONDS_SUSPECT <= seconds.abs());
            let fault = if clocks_part && fault.may_be_the_clock() { Fault::ClockDiffers } else { fault };
            return Err(self.refuse(question, fault, status));
        }
        if status != question.interaction.success() || outcome.is_some() {
            return Err(self.refuse(question, Fault::UnexpectedStatus, status));
        }
        let body = body.map_err(|error| {
            tracing::warn!(system = self.name, %error, "a practice's answer cannot be read");
            self.refuse(question, Fault::UnreadableAnswer, status)
        })?;
        let header = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
        Ok(Answer { body, version: header.and_then(version_of).map(str::to_owned) })
    }

    /// A refusal of this question.
    pub fn refuse(&self, question: Question<'_>, fault: Fault, status: u16) -> Refusal {
        let deed = question.interaction;
        let answered = if status == 0 { String::new() } else { format!(" answered {status}") };
        let clocks = match (fault, self.skew()) {
            (Fault::ClockDiffers, Some(seconds)) => format!("; {}", skew_words(seconds)),
            _ => String::new(),
        };
        fault.refusal(format!("{deed:?} at {}{answered}{clocks}", self.name))
    }

    /// The practice's clock against ours at the middle of the exchange. An exchange that took long says little.
    fn compare_clocks(&self, headers: &HeaderMap, sent: Timestamp) {
        let received = self.clock.now();
        let took = received.since(sent);
        let text = headers.get(DATE).and_then(|value| value.to_str().ok());
        let Some(theirs) = text.and_then(|text| jiff::fmt::rfc2822::parse(text).ok()) else { return };
        let middle = sent.plus(took / 2);
        let ahead = theirs.timestamp().as_second().saturating_sub(middle.0.div_euclid(1000));
        if took < Duration::from_secs(10) {
            self.skew_seconds.store(ahead, Ordering::Relaxed);
        }
    }
}

/// Clocks that differ, in words for an operator.
pub fn skew_words(seconds: i64) -> String {
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    format!(
        "its clock is {} seconds {direction} this hub's: tokens are good for five minutes only; check time \
         synchronisation here first, then tell the practice's supplier",
        seconds.abs()
    )
}

/// What an `ETag` such as `W/"23"` holds.
fn version_of(etag: &str) -> Option<&str> {
    let quoted = etag.trim().strip_prefix("W/").unwrap_or(etag.trim());
    quoted.strip_prefix('"')?.strip_suffix('"').filter(|version| !version.is_empty())
}

/// A text within a path or query: everything but letters, digits and `-._~` as `%XX` (RFC 3986, section 2).
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_from_weak_and_strong_tags() {
        assert_eq!(version_of("W/\"23\""), Some("23"));
        assert_eq!(version_of("\"23\""), Some("23"));
        assert_eq!(version_of("23"), None);
        assert_eq!(version_of("W/\"\""), None);
    }

    #[test]
    fn what_means_something_in_a_query_is_encoded() {
        assert_eq!(encoded("a|b+01:00 é~"), "a%7Cb%2B01%3A00%20%C3%A9~");
    }

    #[test]
    fn clocks_that_differ_are_put_into_words() {
        assert!(skew_words(400).starts_with("its clock is 400 seconds ahead of this hub's"));
        assert!(skew_words(-90).starts_with("its clock is 90 seconds behind this hub's"));
    }
}
