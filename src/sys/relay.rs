//! A TCP relay that can be cut: the wide area network of demonstrations and tests.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
};

/// Connections relayed at once; a demonstration has a handful.
const CONNECTIONS_MAX: usize = 256;

/// A relay from a port of its own to a target. Dropping it ends it and every connection.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    connected: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Listens on a free port of loopback and relays to `target`.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let connected = watch::Sender::new(true);
        let accepting = tokio::spawn(accept(listener, target, connected.subscribe()));
        Ok(Self { address, connected, accepting })
    }

    /// Where to connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the way is open.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Cuts the way, or opens it again. Cutting ends every connection, and refuses new ones.
    pub fn set_connected(&self, connected: bool) {
        self.connected.send_replace(connected);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.connected.send_replace(false);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, connected: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((from, _)) = listener.accept().await else { continue };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let mut connected = connected.clone();
        if !*connected.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            tokio::select! {
                ended = relay(from, target) => if let Err(error) = ended {
                    tracing::trace!(%error, "a relayed connection broke");
                },
                _ = connected.wait_for(|connected| !connected) => {}
            }
            drop(slot);
        });
    }
}

async fn relay(mut from: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut to = TcpStream::connect(target).await?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    copy_bidirectional(&mut from, &mut to).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn relays_until_it_is_cut_and_again_after() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = echo.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        let relay = Relay::start(target).await.unwrap();
        for round in 0..2 {
            let mut stream = TcpStream::connect(relay.address()).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"ping", "round {round}");
            relay.set_connected(false);
            assert!(!matches!(stream.read(&mut answer).await, Ok(1..)), "cut");
            let mut refused = TcpStream::connect(relay.address()).await.unwrap();
            assert!(!matches!(refused.read(&mut answer).await, Ok(1..)), "still cut");
            relay.set_connected(true);
        }
    }
}
