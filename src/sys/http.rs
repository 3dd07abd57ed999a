//! HTTP/1.1 to the systems we ask and deliver to: one host, one connection kept, limits on everything.

use std::{fmt, io, net::IpAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Uri,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_LENGTH, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Mutex,
    time::timeout,
};

use super::tls::{ClientTls, explain};

/// Where a service is: `https://host:port/base`, or `http://` on loopback for trials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// What all paths begin with, without a slash at its end; may be empty.
    pub base: String,
}

/// The text is no service's address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HttpUrlError {
    /// Another scheme, no host, a query, or a port out of range.
    #[error("a service is written https://host:port/path")]
    Malformed,
    /// Unencrypted, and not on this machine.
    #[error("without TLS only a service on loopback is allowed: write https://")]
    Unprotected,
}

impl HttpUrl {
    /// Reads an address. The port is 443 with TLS and 80 without, unless given.
    ///
    /// # Errors
    /// See [`HttpUrlError`].
    pub fn parse(text: &str) -> Result<Self, HttpUrlError> {
        let uri: Uri = text.parse().map_err(|_| HttpUrlError::Malformed)?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpUrlError::Malformed),
        };
        let authority = uri.authority().ok_or(HttpUrlError::Malformed)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let spelt_wrong = authority.as_str().contains('@') || uri.query().is_some();
        if host.is_empty() || port == 0 || spelt_wrong {
            return Err(HttpUrlError::Malformed);
        }
        let loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !tls && !loopback {
            return Err(HttpUrlError::Unprotected);
        }
        Ok(Self { host, port, tls, base: uri.path().trim_end_matches('/').to_owned() })
    }

    /// Host and port as the `Host` header has them.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base)
    }
}

/// How long to wait, and for how much.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// From the request's first byte to the answer's last.
    pub answer: Duration,
    /// The longest answer taken, in bytes.
    pub body_bytes_max: usize,
}

impl Default for HttpLimits {
    /// 10 s, 30 s and 16 MiB: the longest message the hub keeps.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), answer: Duration::from_secs(30), body_bytes_max: 16 << 20 }
    }
}

/// No answer. Whether the other end has acted on the request is unknown unless it never connected.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing was sent.
    #[error("no connection to {0}: {1}")]
    NotConnected(String, String),
    /// It may have been acted on.
    #[error("no answer from {0}: {1}")]
    NoAnswer(String, String),
    /// Something answered, at greater length than we take.
    #[error("the answer of {0} is longer than {1} bytes")]
    TooLong(String, usize),
}

/// A client of one service. One request at a time goes over its connection; others wait.
#[derive(Debug)]
pub struct HttpClient {
    url: HttpUrl,
    tls: Option<ClientTls>,
    limits: HttpLimits,
    kept: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl HttpClient {
    /// A client; connects at the first request. `tls` is used if the address says so.
    pub fn new(url: HttpUrl, tls: Option<ClientTls>, limits: HttpLimits) -> Self {
        Self { url, tls, limits, kept: Mutex::new(None) }
    }

    /// Whom it asks.
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// Sends a request whose URI is a path and query below the base, and reads the whole answer.
    ///
    /// A request is sent once: whether to send it again is for those to decide who know what it does.
    ///
    /// # Errors
    /// See [`HttpError`]. An answer of any status is an answer.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let path = format!("{}{}", self.url.base, request.uri());
        *request.uri_mut() = path.parse().map_err(|_| self.not_connected("the path cannot be used"))?;
        let host = HeaderValue::from_str(&self.url.authority())
            .map_err(|_| self.not_connected("the host name cannot be used"))?;
        request.headers_mut().insert(HOST, host);
        let mut kept = self.kept.lock().await;
        let mut sender = match still_open(kept.take()).await {
            Some(sender) => sender,
            None => timeout(self.limits.connect, self.connect())
                .await
                .map_err(|_| self.not_connected("not within the time allowed"))?
                .map_err(|error| self.not_connected(&explain(&error)))?,
        };
        let answer = timeout(self.limits.answer, self.exchange(&mut sender, request.map(Full::new)))
            .await
            .map_err(|_| self.no_answer("not within the time allowed"))??;
        *kept = Some(sender);
        Ok(answer)
    }

    async fn exchange(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, HttpError> {
        let failed = |error: hyper::Error| self.no_answer(&error.to_string());
        let (head, mut body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        let most = self.limits.body_bytes_max;
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| most < length) {
            return Err(HttpError::TooLong(self.url.authority(), most));
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(failed)?;
            let data = frame.data_ref().map_or(b"".as_slice(), |data| data);
            if most < whole.len() + data.len() {
                return Err(HttpError::TooLong(self.url.authority(), most));
            }
            whole.extend_from_slice(data);
        }
        Ok(Response::from_parts(head, whole.freeze()))
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.url.host.as_str(), self.url.port)).await?;
        stream.set_nodelay(true)?;
        match (self.url.tls, &self.tls) {
            (false, _) => begin(stream).await,
            (true, Some(tls)) => begin(tls.connect(&self.url.host, stream).await?).await,
            (true, None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS is not configured")),
        }
    }

    fn not_connected(&self, reason: &str) -> HttpError {
        HttpError::NotConnected(self.url.authority(), reason.to_owned())
    }

    fn no_answer(&self, reason: &str) -> HttpError {
        HttpError::NoAnswer(self.url.authority(), reason.to_owned())
    }
}

async fn still_open(kept: Option<SendRequest<Full<Bytes>>>) -> Option<SendRequest<Full<Bytes>>> {
    let mut sender = kept?;
    sender.ready().await.is_ok().then_some(sender)
}

async fn begin<S>(stream: S) -> io::Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an HTTP connection ended");
        }
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    #[test]
    fn addresses_are_read_and_the_unprotected_refused() {
        for (text, shown) in [
            ("https://gp.example/E1/STU3/", "https://gp.example:443/E1/STU3"),
            (
                "https://127.0.0.1:9443/E87001/STU3/1/gpconnect",
                "https://127.0.0.1:9443/E87001/STU3/1/gpconnect",
            ),
            ("http://[::1]:9", "http://[::1]:9"),
        ] {
            assert_eq!(HttpUrl::parse(text).map(|url| url.to_string()).as_deref(), Ok(shown), "{text}");
        }
        assert_eq!(HttpUrl::parse("http://10.0.0.1/"), Err(HttpUrlError::Unprotected));
        for text in ["", "ftp://a", "https://", "gp.example", "https://u@h/", "https://h/?q", "https://h:0"] {
            assert_eq!(HttpUrl::parse(text), Err(HttpUrlError::Malformed), "{text}");
        }
    }

    /// Answers each connection's requests with the given bytes, one for each read.
    async fn server(answers: &'static [&'static str]) -> HttpClient {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut answers = answers.iter();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|count| 0 < count) {
                    let Some(answer) = answers.next() else { return };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains("Connection: close") {
                        break;
                    }
                }
            }
        });
        let limits = HttpLimits { body_bytes_max: 8, ..HttpLimits::default() };
        HttpClient::new(HttpUrl::parse(&format!("http://127.0.0.1:{port}/base")).unwrap(), None, limits)
    }

    fn get() -> Request<Bytes> {
        Request::get("/x?y=1").body(Bytes::new()).unwrap()
    }

    #[tokio::test]
    async fn a_connection_is_kept_and_replaced_when_it_is_gone() {
        let client = server(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain",
        ])
        .await;
        assert_eq!(client.send(get()).await.unwrap().body(), "ok");
        assert_eq!(client.send(get()).await.unwrap().status(), 404);
        assert_eq!(client.send(get()).await.unwrap().body(), "again");
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused_announced_or_not() {
        let client = server(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"]).await;
        assert!(matches!(client.send(get()).await, Err(HttpError::TooLong(..))));
        let client = server(&[
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n",
        ])
        .await;
        assert!(matches!(client.send(get()).await, Err(HttpError::TooLong(..))));
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_nobody_answering() {
        let client = server(&["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n1"]).await;
        assert!(matches!(client.send(get()).await, Err(HttpError::NoAnswer(..) | HttpError::TooLong(..))));
        let gone =
            HttpClient::new(HttpUrl::parse("http://127.0.0.1:1").unwrap(), None, HttpLimits::default());
        assert!(matches!(gone.send(get()).await, Err(HttpError::NotConnected(..))));
    }
}
