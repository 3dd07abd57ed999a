//! Serving HTTP: plain or over TLS, with a limit on connections, until it is told to stop.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    http::Response,
    serve::Listener,
};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::tls::{ServerStream, ServerTls};

/// Connections that have spoken TLS and wait to be taken.
const READY_MAX: usize = 64;
/// How long a client may take over its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After a failed accept (no descriptors left, most likely) things need a moment to improve.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `router` on `listener` until `stop` changes.
///
/// # Errors
/// The server failed as a whole.
pub async fn serve(
    listener: TcpListener,
    tls: Option<ServerTls>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let stopped = async move {
        // An error means that whoever could stop us is gone, which is a stop too.
        drop(stop.wait_for(|stop| *stop).await);
    };
    match tls {
        None => axum::serve(listener, router).with_graceful_shutdown(stopped).await,
        Some(tls) => {
            let secured = Secured::new(listener, tls)?;
            axum::serve(secured, router).with_graceful_shutdown(stopped).await
        }
    }
}

/// An answer whose body breaks off, as networks do: the client learns nothing of what was done. For simulators.
pub fn broken_off() -> Response<Body> {
    Response::new(Body::new(BrokenOff))
}

struct BrokenOff;

impl HttpBody for BrokenOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::BrokenPipe))))
    }
}

/// A listener whose handshakes do not hold up one another.
struct Secured {
    address: SocketAddr,
    ready: mpsc::Receiver<(ServerStream<TcpStream>, SocketAddr)>,
}

impl Secured {
    fn new(listener: TcpListener, tls: ServerTls) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(READY_MAX);
        tokio::spawn(async move {
            while !sender.is_closed() {
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "an HTTP connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let Ok(place) = sender.clone().try_reserve_owned() else { continue };
                let tls = tls.clone();
                tokio::spawn(async move {
                    match timeout(HANDSHAKE, tls.accept(stream)).await {
                        Ok(Ok(stream)) => drop(place.send((stream, peer))),
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                        Err(_) => tracing::debug!(%peer, "no TLS in time"),
                    }
                });
            }
        });
        Ok(Self { address, ready })
    }
}

impl Listener for Secured {
    type Io = ServerStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task ends only with this listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
