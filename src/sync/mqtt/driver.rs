//! The task that polls rumqttc's event loop: `poll` is not cancelled and continued, and every poll has an end.

use std::time::Duration;

use rumqttc::{
    Outgoing,
    v5::{ConnectionError, Event as ClientEvent, EventLoop, Incoming, StateError},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{error::Elapsed, timeout},
};

use super::words;
use crate::sync::uplink::UplinkError;

/// How many events rumqttc may be ahead of us: enough to keep it busy, and little memory.
const NOTICES_MAX: usize = 64;
/// Beyond twice the keep-alive: a PINGREQ, and its answer, have had all the time they need.
const SLACK: Duration = Duration::from_secs(5);

/// What the event loop did, or that it is over.
#[expect(clippy::large_enum_variant, reason = "few exist at a time, and a box for each packet costs more")]
#[derive(Debug)]
pub(super) enum Notice {
    Event(ClientEvent),
    Ended(End),
}

/// Why an event loop is over.
#[derive(Debug)]
pub(super) enum End {
    /// CONNECT was refused: why, in words.
    Rejected(String),
    /// The connection is gone. The tunnel may know better.
    Broken(String),
    /// Something definite.
    Error(UplinkError),
    /// DISCONNECT has been sent.
    Disconnected,
}

/// The running task. Dropping it drops the event loop, and with it the connection.
#[derive(Debug)]
pub(super) struct Driver {
    notices: mpsc::Receiver<Notice>,
    task: JoinHandle<()>,
}

impl Driver {
    pub(super) fn spawn(event_loop: EventLoop, keep_alive: Duration) -> Self {
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        Self { notices, task: tokio::spawn(drive(event_loop, keep_alive, sender)) }
    }

    /// The next notice. May be cancelled.
    pub(super) async fn next(&mut self) -> Notice {
        let gone = || Notice::Ended(End::Broken("the MQTT client stopped".to_owned()));
        self.notices.recv().await.unwrap_or_else(gone)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drive(mut event_loop: EventLoop, keep_alive: Duration, notices: mpsc::Sender<Notice>) {
    let mut patience = keep_alive.saturating_mul(2).saturating_add(SLACK);
    loop {
        let notice = match timeout(patience, event_loop.poll()).await {
            Ok(Ok(event)) => {
                if let ClientEvent::Incoming(Incoming::ConnAck(_)) = event {
                    patience = agree_keep_alive(&mut event_loop, keep_alive);
                }
                match event {
                    ClientEvent::Outgoing(Outgoing::Disconnect) => Notice::Ended(End::Disconnected),
                    // The bug guard of a livelock: see `Window`, which never lets identifiers collide.
                    ClientEvent::Outgoing(Outgoing::AwaitAck(_)) => {
                        Notice::Ended(End::Broken("packet identifiers collided".to_owned()))
                    }
                    event => Notice::Event(event),
                }
            }
            Ok(Err(error)) => Notice::Ended(end(error, keep_alive)),
            Err(Elapsed { .. }) => Notice::Ended(stalled(patience)),
        };
        let over = matches!(notice, Notice::Ended(_));
        if notices.send(notice).await.is_err() || over {
            return;
        }
    }
}

/// The broker may ask for another keep-alive. Zero means none to it, and "at once, always" to rumqttc.
fn agree_keep_alive(event_loop: &mut EventLoop, ours: Duration) -> Duration {
    if event_loop.options.keep_alive().is_zero() {
        event_loop.options.set_keep_alive(ours);
    }
    let slowest = event_loop.options.keep_alive().max(ours);
    slowest.saturating_mul(2).saturating_add(SLACK)
}

fn stalled(after: Duration) -> End {
    End::Error(UplinkError::Stalled { seconds: after.as_secs(), waiting_for: "any answer of the broker" })
}

/// rumqttc's errors in words. Some of its variants carry whole packets, which must not reach a log.
fn end(error: ConnectionError, keep_alive: Duration) -> End {
    let broken = |words: &str| End::Broken(words.to_owned());
    match error {
        ConnectionError::ConnectionRefused(code) => End::Rejected(words::connection(code)),
        // The reason has been seen on its way in.
        ConnectionError::MqttState(StateError::ServerDisconnect { .. }) => broken("the broker ended it"),
        ConnectionError::MqttState(StateError::AwaitPingResp) => stalled(keep_alive.saturating_mul(2)),
        ConnectionError::MqttState(StateError::Unsolicited(_)) => {
            broken("the broker acknowledged what was not sent")
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => {
            End::Broken(format!("the broker's packet cannot be read: {error}"))
        }
        ConnectionError::MqttState(StateError::ConnectionAborted | StateError::Io(_))
        | ConnectionError::Io(_) => broken("the broker hung up"),
        ConnectionError::MqttState(StateError::OutgoingPacketTooLarge { .. }) => {
            broken("a packet of ours is larger than the broker takes")
        }
        ConnectionError::Timeout(_) => stalled(keep_alive.saturating_mul(2)),
        ConnectionError::NotConnAck(_) => broken("the broker answered CONNECT with something else"),
        ConnectionError::MqttState(_) => broken("the broker broke the protocol"),
        ConnectionError::RequestsDone => broken("the MQTT client stopped"),
    }
}
