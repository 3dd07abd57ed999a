//! The MLLP listener: connections, their limits and their timeouts.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{
    codec::mllp::{Deframer, Frame},
    flow::{alarm::AlarmCode, hub::Hub, link::Link},
};

use super::{session::respond, translate::Dialect};

/// Messages answered together: those that one read brought. More wait in the socket.
const FRAMES_MAX: usize = 256;
/// A connection whose message outgrows this needs one of [`LARGE_MESSAGES_MAX`] permits to go on.
const LARGE_FROM_BYTES: usize = 256 << 10;
/// Large messages being received at once, over all links: with 16 MiB each, 64 MiB at most.
const LARGE_MESSAGES_MAX: usize = 4;
/// A frame that lacks nothing but its last byte is taken as it is after this: its sender waits for an answer.
const LAST_BYTE: Duration = Duration::from_millis(500);
/// How long to wait before trying again to open a port.
const BIND_AGAIN: Duration = Duration::from_secs(5);

/// How a listener is to behave.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// The longest message taken, in bytes.
    pub message_bytes_max: usize,
    /// Connections served at once.
    pub connections_max: usize,
    /// A connection that is silent for this long is closed.
    pub idle: Duration,
    /// A sender that does not take its answer for this long is cut off.
    pub write: Duration,
}

/// One link's listener.
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    link: Arc<Link>,
    dialect: Dialect,
    options: ServerOptions,
    large: Arc<Semaphore>,
    answers: AtomicU64,
}

impl Server {
    /// A listener for a link. `large` is shared by all listeners; see [`Server::large_messages`].
    pub fn new(
        hub: Arc<Hub>,
        link: Arc<Link>,
        dialect: Dialect,
        options: ServerOptions,
        large: Arc<Semaphore>,
    ) -> Arc<Self> {
        Arc::new(Self { hub, link, dialect, options, large, answers: AtomicU64::new(0) })
    }

    /// The permits for large messages that all listeners share.
    pub fn large_messages() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(LARGE_MESSAGES_MAX))
    }

    /// Opens the port, and keeps trying while it cannot be opened; then serves until `stop` changes.
    /// `secure` makes a stream of an accepted connection, such as TLS.
    pub async fn run<S, F, Fut>(self: Arc<Self>, secure: F, mut stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
    {
        let secure = Arc::new(secure);
        let slots = Arc::new(Semaphore::new(self.options.connections_max));
        while !*stop.borrow() {
            match TcpListener::bind(self.options.listen).await {
                Ok(listener) => {
                    self.opened(&listener);
                    let for_connections = stop.clone();
                    tokio::select! {
                        () = self.accept(&listener, &secure, &slots, &for_connections) => {}
                        _ = stop.changed() => return,
                    }
                }
                Err(error) => self.not_opened(&error),
            }
            tokio::select! {
                () = sleep(BIND_AGAIN) => {}
                _ = stop.changed() => return,
            }
        }
    }

    fn opened(&self, listener: &TcpListener) {
        let address = listener.local_addr().unwrap_or(self.options.listen);
        tracing::info!(link = self.link.name(), %address, "listening for HL7 v2 over MLLP");
        self.link.listening(&address.to_string(), self.hub.now());
        self.hub.alarms().clear(AlarmCode::ListenerDown, self.link.name());
    }

    fn not_opened(&self, error: &io::Error) {
        let (now, listen) = (self.hub.now(), self.options.listen);
        let text = format!("{listen} cannot be opened: {error}");
        self.link.down(&text, now);
        self.hub.alarms().raise(AlarmCode::ListenerDown, self.link.name(), text, now);
    }

    async fn accept<S, F, Fut>(
        self: &Arc<Self>,
        listener: &TcpListener,
        secure: &Arc<F>,
        slots: &Arc<Semaphore>,
        stop: &watch::Receiver<bool>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
    {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most often: waiting lets some connections end.
                    tracing::warn!(%error, link = self.link.name(), "a connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
                tracing::warn!(link = self.link.name(), %peer, "too many connections: turned away");
                continue;
            };
            let (server, secure, mut stop) = (Arc::clone(self), Arc::clone(secure), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = server.connection(stream, peer, secure.as_ref()) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
                drop(slot);
            });
        }
    }

    async fn connection<S, F, Fut>(&self, stream: TcpStream, peer: SocketAddr, secure: &F)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        F: Fn(TcpStream) -> Fut,
        Fut: Future<Output = io::Result<S>>,
    {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let link = self.link.name();
        match timeout(self.options.write, secure(stream)).await {
            Ok(Ok(mut stream)) => {
                self.link.connected(self.hub.now());
                // Counted down even if serving it panics.
                let _connected = Connected(self);
                if let Err(error) = self.serve(&mut stream).await {
                    tracing::debug!(link, %peer, %error, "connection ended");
                }
            }
            Ok(Err(error)) => tracing::warn!(link, %peer, %error, "no secure connection"),
            Err(_) => tracing::warn!(link, %peer, "no secure connection in time"),
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<()> {
        let mut deframer = Deframer::new(self.options.message_bytes_max);
        let mut out = BytesMut::new();
        let mut large: Option<OwnedSemaphorePermit> = None;
        let started = self.hub.now().0;
        let mut next_id = || format!("{started:x}-{:x}", self.answers.fetch_add(1, Ordering::Relaxed));
        loop {
            let lacks_last_byte = deframer.lacks_last_byte();
            let patience = if lacks_last_byte { LAST_BYTE.min(self.options.idle) } else { self.options.idle };
            let read = timeout(patience, stream.read_buf(deframer.buffer())).await;
            // Only in silence: a read that ends just there may have the byte on its way.
            if read.is_err()
                && let Some(frame) = deframer.end_frame()
            {
                respond(&self.hub, &self.link, &self.dialect, vec![frame], &mut next_id, &mut out).await;
                timeout(self.options.write, stream.write_all(&out)).await??;
                out.clear();
                continue;
            }
            let Ok(count) = read else {
                let whole = deframer.is_between_frames();
                tracing::info!(link = self.link.name(), whole, "silent for too long: closed");
                return Ok(());
            };
            if count? == 0 {
                return Ok(());
            }
            loop {
                let frames: Vec<Frame> =
                    std::iter::from_fn(|| deframer.next_frame()).take(FRAMES_MAX).collect();
                if frames.is_empty() {
                    break;
                }
                respond(&self.hub, &self.link, &self.dialect, frames, &mut next_id, &mut out).await;
                timeout(self.options.write, stream.write_all(&out)).await??;
                out.clear();
            }
            if deframer.held_bytes() <= LARGE_FROM_BYTES {
                large = None;
            } else if large.is_none() {
                large = Arc::clone(&self.large).acquire_owned().await.ok();
            }
        }
    }
}

struct Connected<'a>(&'a Server);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.link.disconnected(self.0.hub.now());
    }
}
