//! A private way to one broker: TCP and TLS of our own, offered to the MQTT client as a Unix socket.
//!
//! The client's own TLS would bring a second, outdated certificate verifier into the box, and has no
//! `TCP_USER_TIMEOUT`; see `docs/decisions/0003-own-tls-tunnel-under-rumqttc.md`. One tunnel is one
//! connection: dialled first, so that errors name the step that failed, then handed over, then forgotten.

use std::{
    fs::{DirBuilder, remove_dir, remove_file},
    io,
    net::SocketAddr,
    os::fd::AsFd,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream, lookup_host},
    time::{sleep, timeout},
};

use super::{
    tls::{self, ClientTls},
    url::BrokerUrl,
};

/// One direction's buffer: a few TLS records, so that a large batch needs few system calls.
const BUFFER_BYTES: usize = 64 << 10;
/// The kernel gives up on a connection whose data stays unacknowledged this long. Half-open connections
/// would otherwise live for a quarter of an hour.
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is probed after this long, then this often, this many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);
/// How long one address may take to answer, so that a dead one does not use up the time of the next.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How long the client has to come and fetch its end. It is in the same process.
const FETCH_DEADLINE: Duration = Duration::from_secs(10);
/// After our goodbye the broker has this long to hang up. Closing earlier resets the connection while the
/// goodbye may still be unread, and the broker would then publish the last will.
const LINGER: Duration = Duration::from_secs(2);
/// A TLS 1.3 server judges our certificate when we may already speak. Speaking at once can turn its refusal into
/// a bare reset, with the reason lost: so it gets this long to refuse first.
const HEARING: Duration = Duration::from_millis(100);
/// `sun_path` holds 108 bytes, the closing NUL included (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// There is no way to the broker, or no longer one.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The name does not resolve.
    #[error("the name {host} cannot be resolved: check the name and this network's DNS")]
    Name {
        /// The name.
        host: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// Without TLS, and not on this machine.
    #[error("{address} is not on this machine, and without TLS nothing leaves it: write mqtts://")]
    Unprotected {
        /// Where the name led.
        address: SocketAddr,
    },
    /// TCP failed.
    #[error("TCP to {address}: {reason}")]
    Tcp {
        /// The last address tried.
        address: SocketAddr,
        /// Why, in words.
        reason: String,
    },
    /// TLS failed.
    #[error("{0}")]
    Tls(String),
    /// A step took too long.
    #[error("{step} took longer than {seconds} s")]
    Deadline {
        /// Which step.
        step: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// The private socket could not be made.
    #[error("the private socket in {directory} cannot be made: {reason}", directory = directory.display())]
    Socket {
        /// Where.
        directory: PathBuf,
        /// Why, in words.
        reason: String,
    },
}

/// Sees every byte from the broker, in order.
pub type Watch = Box<dyn FnMut(&[u8]) + Send>;

/// One dialled connection, waiting for its client or serving it.
#[derive(Debug)]
pub struct Tunnel {
    socket: PrivateSocket,
    state: Arc<State>,
}

/// What a tunnel tells of itself while it runs.
#[derive(Debug, Default)]
struct State {
    failure: OnceLock<String>,
    sent_bytes: AtomicU64,
}

impl Tunnel {
    /// Dials the broker, and waits for the client on a Unix socket in a directory of its own (mode 0700) in
    /// `directory`. TLS is spoken where `url` says so; `deadline` is for the name, and again for TLS. `watch` sees
    /// what the broker sends.
    ///
    /// # Errors
    /// Names the step that failed.
    pub async fn open(
        url: &BrokerUrl,
        tls: Option<&ClientTls>,
        directory: &Path,
        deadline: Duration,
        watch: Watch,
    ) -> Result<Self, TunnelError> {
        let stream = dial(url, deadline).await?;
        let state = Arc::new(State::default());
        let (socket, listener) = PrivateSocket::bind(directory)?;
        match tls.filter(|_| url.tls) {
            None => spawn(listener, stream, Arc::clone(&state), (watch, Duration::ZERO)),
            Some(tls) => {
                let shaken = within(deadline, "the TLS handshake", tls.connect(&url.host, stream)).await?;
                let stream = shaken.map_err(|error| TunnelError::Tls(tls::explain(&error)))?;
                spawn(listener, stream, Arc::clone(&state), (watch, HEARING));
            }
        }
        Ok(Self { socket, state })
    }

    /// Where the client connects to, once.
    pub fn path(&self) -> &Path {
        &self.socket.path
    }

    /// The client has its end: the socket's name is of no more use to anybody.
    pub fn hide(&mut self) {
        self.socket.remove();
    }

    /// Why the broker's end failed, in words; none while it works and after an orderly end.
    pub fn failure(&self) -> Option<&str> {
        self.state.failure.get().map(String::as_str)
    }

    /// How many bytes of the client's have gone out so far.
    pub fn sent_bytes(&self) -> u64 {
        self.state.sent_bytes.load(Ordering::Relaxed)
    }
}

async fn within<T>(
    deadline: Duration,
    step: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, TunnelError> {
    let seconds = deadline.as_secs();
    timeout(deadline, work).await.map_err(|_| TunnelError::Deadline { step, seconds })
}

async fn dial(url: &BrokerUrl, deadline: Duration) -> Result<TcpStream, TunnelError> {
    let name = |source| TunnelError::Name { host: url.host.clone(), source };
    let found = within(deadline, "resolving the name", lookup_host((url.host.as_str(), url.port))).await?;
    let mut failure = name(io::ErrorKind::NotFound.into());
    for address in found.map_err(name)? {
        if !url.tls && !address.ip().is_loopback() {
            return Err(TunnelError::Unprotected { address });
        }
        match within(CONNECT_DEADLINE, "connecting over TCP", TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                return match prepare(&stream) {
                    Ok(()) => Ok(stream),
                    Err(error) => Err(TunnelError::Tcp { address, reason: error.to_string() }),
                };
            }
            Ok(Err(error)) => failure = TunnelError::Tcp { address, reason: explain(&error) },
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "refused: is the broker running, and is the port right?".to_owned()
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "no route: is the network up?".to_owned()
        }
        io::ErrorKind::TimedOut => "no answer: is a firewall in between?".to_owned(),
        _ => error.to_string(),
    }
}

/// Notices within the minute that the other end of a connection is gone, and sends without waiting for more.
///
/// # Errors
/// The system's.
pub fn prepare(stream: &impl AsFd) -> io::Result<()> {
    let (idle, every, count) = KEEPALIVE;
    sockopt::set_tcp_nodelay(stream, true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, every)?;
    sockopt::set_tcp_keepcnt(stream, count)?;
    let milliseconds = u32::try_from(USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(stream, milliseconds)?)
}

/// A Unix socket's name, removed with its directory at the end.
#[derive(Debug)]
struct PrivateSocket {
    directory: PathBuf,
    path: PathBuf,
    present: bool,
}

impl PrivateSocket {
    fn bind(within: &Path) -> Result<(Self, UnixListener), TunnelError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = |error: &dyn std::fmt::Display| TunnelError::Socket {
            directory: within.to_owned(),
            reason: error.to_string(),
        };
        let directory = within.join(format!("uplink-{}-{number}", std::process::id()));
        let path = directory.join("mqtt");
        if SOCKET_PATH_BYTES_MAX < path.as_os_str().len() {
            return Err(socket(&"its path is too long for a socket"));
        }
        // What an earlier process with this number left behind. Anything else in the way is an error below.
        drop(remove_file(&path).and_then(|()| remove_dir(&directory)));
        DirBuilder::new().mode(0o700).create(&directory).map_err(|error| socket(&error))?;
        let name = Self { directory, path, present: true };
        let listener = UnixListener::bind(&name.path).map_err(|error| socket(&error))?;
        Ok((name, listener))
    }

    fn remove(&mut self) {
        if std::mem::take(&mut self.present)
            && let Err(error) = remove_file(&self.path).and_then(|()| remove_dir(&self.directory))
        {
            tracing::debug!(%error, path = %self.path.display(), "a private socket was not removed");
        }
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Serves the client when it comes, until either end goes.
fn spawn<S>(listener: UnixListener, remote: S, state: Arc<State>, inward: (Watch, Duration))
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    tokio::spawn(async move {
        if let Ok(Ok((local, _))) = timeout(FETCH_DEADLINE, listener.accept()).await {
            drop(listener);
            join(local, remote, &state, inward).await;
        }
    });
}

/// Copies both ways until either end goes, and then lets the other go.
async fn join<S: AsyncRead + AsyncWrite>(
    mut local: UnixStream,
    remote: S,
    state: &State,
    (mut watch, hearing): (Watch, Duration),
) {
    let (mut remote_reader, mut remote_writer) = tokio::io::split(remote);
    let (mut local_reader, mut local_writer) = local.split();
    let count = |bytes: &[u8]| {
        state.sent_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    };
    let outward = async {
        sleep(hearing).await;
        copy(&mut local_reader, &mut remote_writer, count).await
    };
    let inward = copy(&mut remote_reader, &mut local_writer, &mut watch);
    let ended = tokio::select! {
        // What the broker says at the end is its reason: it is read before a failed write is noticed.
        biased;
        ended = inward => match ended {
            Ok(()) => Ok(Ended::Remote),
            Err(Side::Reading(error)) => Err(Broken::Remote(error)),
            Err(Side::Writing(error)) => Err(Broken::Local(error)),
        },
        ended = outward => match ended {
            Ok(()) => Ok(Ended::Local),
            Err(Side::Reading(error)) => Err(Broken::Local(error)),
            Err(Side::Writing(error)) => Err(Broken::Remote(error)),
        },
    };
    match ended {
        Ok(Ended::Local) => {
            let farewell = async {
                remote_writer.shutdown().await?;
                tokio::io::copy(&mut remote_reader, &mut tokio::io::sink()).await
            };
            if let Ok(Err(error)) = timeout(LINGER, farewell).await {
                tracing::debug!(reason = tls::explain(&error), "the broker did not wait for the goodbye");
            }
        }
        Ok(Ended::Remote) => {}
        Err(Broken::Local(error)) => tracing::debug!(%error, "the MQTT client has gone"),
        // Said before the client's end closes, so that whoever is told of the end finds the reason.
        Err(Broken::Remote(error)) => drop(state.failure.set(tls::explain(&error))),
    }
}

enum Ended {
    Local,
    Remote,
}

/// Which end of the tunnel an error came from.
enum Broken {
    Local(io::Error),
    Remote(io::Error),
}

/// Which side of one direction an error came from.
enum Side {
    Reading(io::Error),
    Writing(io::Error),
}

/// Copies one direction to its end. `see` is shown what is passed on.
async fn copy(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    mut see: impl FnMut(&[u8]),
) -> Result<(), Side> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = reader.read(&mut buffer).await.map_err(Side::Reading)?;
        if length == 0 {
            return Ok(());
        }
        let bytes = buffer.get(..length).unwrap_or_default();
        see(bytes);
        writer.write_all(bytes).await.map_err(Side::Writing)?;
        writer.flush().await.map_err(Side::Writing)?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    fn url(port: u16) -> BrokerUrl {
        BrokerUrl { host: "127.0.0.1".to_owned(), port, tls: false }
    }

    /// A tunnel, its client's end, and the broker's end.
    async fn tunnel() -> (Tunnel, UnixStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = url(listener.local_addr().unwrap().port());
        let directory = std::env::temp_dir();
        let (opened, accepted) =
            tokio::join!(Tunnel::open(&url, None, &directory, DEADLINE, Box::new(|_| {})), listener.accept());
        let tunnel = opened.unwrap();
        let client = UnixStream::connect(tunnel.path()).await.unwrap();
        (tunnel, client, accepted.unwrap().0)
    }

    #[tokio::test]
    async fn carries_both_ways_and_ends_with_either_end() {
        let (tunnel, mut client, mut broker) = tunnel().await;
        let large: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let mut got = vec![0; large.len()];
        let (sent, read) = tokio::join!(client.write_all(&large), broker.read_exact(&mut got));
        assert!(sent.is_ok() && read.is_ok() && got == large);
        assert_eq!(tunnel.sent_bytes(), large.len() as u64);
        broker.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        drop(broker);
        assert_eq!(client.read(&mut answer).await.unwrap(), 0, "the broker's end is the client's end");
        assert_eq!(tunnel.failure(), None, "an orderly end");
    }

    #[tokio::test]
    async fn what_the_client_said_last_still_arrives() {
        let (_tunnel, mut client, mut broker) = tunnel().await;
        client.write_all(b"goodbye").await.unwrap();
        drop(client);
        let mut said = Vec::new();
        broker.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"goodbye");
    }

    #[tokio::test]
    async fn a_reset_is_a_failure_with_a_reason() {
        let (tunnel, mut client, broker) = tunnel().await;
        // Closing without lingering sends a reset.
        sockopt::set_socket_linger(&broker, Some(Duration::ZERO)).unwrap();
        drop(broker);
        let mut end = [0; 1];
        assert!(matches!(client.read(&mut end).await, Ok(0) | Err(_)));
        assert!(tunnel.failure().is_some_and(|reason| reason.contains("reset")), "{:?}", tunnel.failure());
    }

    #[tokio::test]
    async fn the_private_socket_is_ours_alone_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let (mut tunnel, _client, _broker) = tunnel().await;
        let directory = tunnel.path().parent().unwrap().to_owned();
        assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        tunnel.hide();
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn nothing_leaves_this_machine_without_tls() {
        let url = BrokerUrl { host: "192.0.2.1".to_owned(), port: 1883, tls: false };
        let opened = Tunnel::open(&url, None, &std::env::temp_dir(), DEADLINE, Box::new(|_| {})).await;
        assert!(matches!(opened, Err(TunnelError::Unprotected { .. })));
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_said_to_be() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = url(listener.local_addr().unwrap().port());
        let long = std::env::temp_dir().join("x".repeat(120));
        let opened = Tunnel::open(&url, None, &long, DEADLINE, Box::new(|_| {})).await;
        assert!(opened.unwrap_err().to_string().contains("too long"));
    }
}
