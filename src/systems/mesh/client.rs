//! The MESH API as a mailbox uses it (Message Exchange for Social Care and Health, API version 2).

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use crate::{
    codec::gzip,
    sys::{
        clock::Clock,
        entropy::Entropy,
        http::{HttpClient, HttpError},
    },
};

use super::authorisation::Credentials;

/// The longest message taken: the hub keeps no longer one.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Pages of an inbox read in one look: with 500 a page, more than MESH lets a mailbox fall behind.
const PAGES_MAX: usize = 20;
/// Chunks of one message: MESH cuts at 100 MB, senders at 20 MB and less.
const CHUNKS_MAX: usize = 64;
const ACCEPT: &str = "application/vnd.mesh.v2+json";
/// What is kept of another's words.
const WORDS_CHARACTERS_MAX: usize = 200;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// The recipient's mailbox.
    pub to: &'a str,
    /// What it is, such as `PATH_MEDRPT_V3`.
    pub workflow: &'a str,
    /// Our name for it, the same at every attempt.
    pub local_id: &'a str,
    /// Media type.
    pub content_type: &'a str,
    /// The bytes.
    pub body: Bytes,
}

/// What lies in a mailbox.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// MESH's name for it.
    pub id: String,
    /// The sender's mailbox.
    pub from: String,
    /// What it is.
    pub workflow: String,
    /// The sender's name for it; of a report, ours for what was not delivered.
    pub local_id: String,
    /// A report of MESH's own that what we sent was not delivered.
    pub report: Option<NonDelivery>,
    /// The bytes, unpacked; empty for a report.
    pub body: Bytes,
}

/// What MESH says of what it did not deliver.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NonDelivery {
    /// The code: 14 if nobody collected it in five days.
    pub code: String,
    /// The words.
    pub description: String,
    /// MESH's name for what was not delivered.
    pub linked_id: String,
}

/// What MESH says of what we sent.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Tracked {
    /// MESH's name for it.
    #[serde(alias = "messageId", default)]
    pub message_id: String,
    /// `Accepted`, `Acknowledged`, `Error` or `Undeliverable`.
    #[serde(default)]
    pub status: String,
}

/// Why MESH did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer other than success.
    #[error("MESH answered {status}{words}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its words, shortened, after a colon.
        words: String,
    },
    /// Success, in terms that are not MESH's.
    #[error("MESH's answer cannot be understood: {0}")]
    Malformed(&'static str),
    /// A message that cannot be taken.
    #[error("the message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
}

impl MeshError {
    /// Whether the same request will be refused again, whoever asks: it is about this message.
    pub fn is_permanent(&self) -> bool {
        let Self::Refused { status, .. } = self else { return matches!(self, Self::TooLong) };
        let passing = [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::LOCKED,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        status.is_client_error() && !passing.contains(status)
    }

    /// Whether what was sent may have arrived all the same.
    pub const fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Http(HttpError::NoAnswer(..) | HttpError::TooLong(..)) | Self::Malformed(_))
    }
}

/// A mailbox.
#[derive(Debug)]
pub struct MeshClient {
    http: HttpClient,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    entropy: Mutex<Entropy>,
}

#[derive(Deserialize)]
struct Inbox {
    messages: Vec<String>,
    #[serde(default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    next: Option<String>,
}

impl MeshClient {
    /// A mailbox, reached through `http`, whose address ends with `/messageexchange`.
    pub fn new(http: HttpClient, credentials: Credentials, clock: Arc<dyn Clock>) -> Self {
        Self { http, credentials, clock, entropy: Mutex::new(Entropy::from_system()) }
    }

    /// The mailbox's name.
    pub fn mailbox(&self) -> &str {
        &self.credentials.mailbox
    }

    /// The server's address.
    pub fn address(&self) -> String {
        self.http.url().to_string()
    }

    /// Shows that mailbox and password are right.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn handshake(&self) -> Result<(), MeshError> {
        self.ask(Method::GET, "", &[], Bytes::new()).await.map(drop)
    }

    /// The names of all messages not acknowledged, oldest first.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn inbox(&self) -> Result<Vec<String>, MeshError> {
        let mut found: Vec<String> = Vec::new();
        let mut path = "/inbox".to_owned();
        for _ in 0..PAGES_MAX {
            let answer = self.ask(Method::GET, &path, &[], Bytes::new()).await?;
            let page: Inbox =
                serde_json::from_slice(answer.body()).map_err(|_| MeshError::Malformed("the inbox"))?;
            found.extend(page.messages);
            // The link is a path from the server's root; only what it continues from is believed.
            match page.links.next.as_deref().and_then(|next| next.split_once("continue_from=")) {
                Some((_, rest)) => {
                    let key: String = rest.chars().take_while(|character| is_query(*character)).collect();
                    path = format!("/inbox?continue_from={key}");
                }
                None => break,
            }
        }
        Ok(found)
    }

    /// One message, all of its chunks; none if it is gone.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn get(&self, id: &str) -> Result<Option<Delivered>, MeshError> {
        let encoding = [("Accept-Encoding", "gzip")];
        let path = format!("/inbox/{}", escaped(id));
        let first = match self.ask(Method::GET, &path, &encoding, Bytes::new()).await {
            Ok(first) => first,
            Err(MeshError::Refused { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. }) => {
                return Ok(None);
            }
            Err(MeshError::Http(HttpError::TooLong(..))) => return Err(MeshError::TooLong),
            Err(error) => return Err(error),
        };
        let headers = first.headers().clone();
        let mut whole = BytesMut::from(first.body().as_ref());
        let chunks = chunks(&text(&headers, "mex-chunk-range"))?;
        for number in 2..=chunks {
            let path = format!("{path}/{number}");
            let chunk = self.ask(Method::GET, &path, &encoding, Bytes::new()).await?;
            if MESSAGE_BYTES_MAX < whole.len() + chunk.body().len() {
                return Err(MeshError::TooLong);
            }
            whole.extend_from_slice(chunk.body());
        }
        let body = match is_packed(&headers, &whole) {
            false => whole.freeze(),
            true => match gzip::unpack(&whole, MESSAGE_BYTES_MAX) {
                Ok(plain) => Bytes::from(plain),
                Err(gzip::GzipError::TooLong(_)) => return Err(MeshError::TooLong),
                // Kept as it came: what it is, is for whoever reads it to find out.
                Err(gzip::GzipError::Malformed) => whole.freeze(),
            },
        };
        Ok(Some(Delivered { id: id.to_owned(), body, ..described(&headers) }))
    }

    /// Tells MESH that a message is safe here: it need not be kept any longer.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn acknowledge(&self, id: &str) -> Result<(), MeshError> {
        let path = format!("/inbox/{}/status/acknowledged", escaped(id));
        match self.ask(Method::PUT, &path, &[], Bytes::new()).await {
            // Gone: somebody has acknowledged it before.
            Ok(_) | Err(MeshError::Refused { status: StatusCode::GONE, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a message; returns MESH's name for it.
    ///
    /// # Errors
    /// See [`MeshError`], and [`MeshError::may_have_arrived`].
    pub async fn send(&self, message: Outgoing<'_>) -> Result<String, MeshError> {
        let headers = [
            ("Mex-From", self.mailbox()),
            ("Mex-To", message.to),
            ("Mex-WorkflowID", message.workflow),
            ("Mex-LocalID", message.local_id),
            ("Mex-Chunk-Range", "1:1"),
            ("Content-Type", message.content_type),
            ("Mex-Content-Type", message.content_type),
        ];
        #[derive(Deserialize)]
        struct Sent {
            #[serde(alias = "messageID")]
            message_id: String,
        }
        let answer = self.ask(Method::POST, "/outbox", &headers, message.body).await?;
        let sent: Sent = serde_json::from_slice(answer.body())
            .map_err(|_| MeshError::Malformed("what it calls the message"))?;
        Ok(sent.message_id)
    }

    /// What became of what we sent under a name of ours; none if it never arrived.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn track(&self, local_id: &str) -> Result<Option<Tracked>, MeshError> {
        let path = format!("/outbox/tracking/{}", escaped(local_id));
        match self.ask(Method::GET, &path, &[("Accept", "application/json")], Bytes::new()).await {
            Ok(answer) => {
                let tracked = serde_json::from_slice(answer.body());
                Ok(Some(tracked.map_err(|_| MeshError::Malformed("what became of a message"))?))
            }
            Err(MeshError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            // Sent more than once: it has arrived.
            Err(MeshError::Refused { status: StatusCode::MULTIPLE_CHOICES, .. }) => {
                Ok(Some(Tracked::default()))
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Bytes>, MeshError> {
        let authorisation = {
            let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
            self.credentials.header(self.clock.now(), &mut entropy)
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/{}{path}", escaped(self.mailbox())))
            .header("Authorization", authorisation)
            .header("Mex-ClientVersion", concat!("polygate==", env!("CARGO_PKG_VERSION")))
            .header("Mex-OSName", std::env::consts::OS)
            .header("Mex-OSVersion", "1")
            .header("Mex-OSArchitecture", std::env::consts::ARCH);
        if !headers.iter().any(|(name, _)| *name == "Accept") {
            request = request.header("Accept", ACCEPT);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|_| MeshError::Malformed("a header of ours"))?;
        let answer = self.http.send(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(MeshError::Refused { status: answer.status(), words: words(answer.body()) })
    }
}

/// What MESH says in its error body, versions 1 and 2, in one line.
fn words(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = value.get("detail").map_or(&value, |detail| detail.get(0).unwrap_or(detail));
    let part = |names: [&str; 2]| {
        names.into_iter().find_map(|name| detail.get(name)?.as_str()).unwrap_or_default().to_owned()
    };
    let said = format!("{} {}", part(["code", "errorCode"]), part(["msg", "errorDescription"]));
    let said: String = said.trim().chars().filter(|c| !c.is_control()).take(WORDS_CHARACTERS_MAX).collect();
    if said.is_empty() { said } else { format!(": {said}") }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    value.unwrap_or_default()
}

/// Whether the bytes are gzip: by the encoding, or because the sender's own client packed them and says so.
fn is_packed(headers: &HeaderMap, body: &[u8]) -> bool {
    let by_sender = text(headers, "mex-content-compressed").eq_ignore_ascii_case("y");
    let encoded = text(headers, "content-encoding").eq_ignore_ascii_case("gzip");
    encoded || (by_sender && body.starts_with(&[0x1f, 0x8b]))
}

/// How many chunks there are, by `number:count`.
fn chunks(range: &str) -> Result<usize, MeshError> {
    let Some((_, count)) = range.split_once(':') else { return Ok(1) };
    match count.trim().parse() {
        Ok(count @ 0..=CHUNKS_MAX) => Ok(count),
        Ok(_) => Err(MeshError::TooLong),
        Err(_) => Err(MeshError::Malformed("the number of chunks")),
    }
}

fn described(headers: &HeaderMap) -> Delivered {
    let report = text(headers, "mex-messagetype").eq_ignore_ascii_case("report").then(|| NonDelivery {
        code: text(headers, "mex-statuscode"),
        description: text(headers, "mex-statusdescription").chars().take(WORDS_CHARACTERS_MAX).collect(),
        linked_id: text(headers, "mex-linkedmsgid"),
    });
    Delivered {
        id: String::new(),
        from: text(headers, "mex-from"),
        workflow: text(headers, "mex-workflowid"),
        local_id: text(headers, "mex-localid"),
        report,
        body: Bytes::new(),
    }
}

const fn is_query(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '=' | '%' | '.' | '~')
}

/// One segment of a path (RFC 3986, section 3.3).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
