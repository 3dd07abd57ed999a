//! The message-level door to a broker, so that what decides (the outbox) can be run against a simulated
//! one, and what speaks MQTT can be replaced.
//!
//! One [`Session`] is one connection. Nothing survives it: packet identifiers, windows and whatever was
//! in flight die with it, and the owner sends again what has no receipt (see `docs/protocol.md`).

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Opens connections to one broker, always with the same client identity.
pub trait Uplink: Send + Sync {
    /// Connects, and returns once the broker has accepted the connection and every subscription.
    ///
    /// # Errors
    /// Says which step failed, in words for an operator.
    fn connect(&mut self) -> Pin<Box<dyn Future<Output = Result<Session, UplinkError>> + Send + '_>>;
}

/// One live connection. Dropping it closes the connection.
#[derive(Debug)]
pub struct Session {
    /// What the broker allows on this connection.
    pub limits: Limits,
    /// What to do. Bounded by the window: a full channel means wait.
    pub commands: mpsc::Sender<Command>,
    /// What happened. Ends, after [`Event::Closed`], with the connection.
    pub events: mpsc::Receiver<Event>,
}

/// What the broker's CONNACK allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest packet the broker takes, in bytes, headers included.
    pub packet_bytes_max: usize,
    /// How many publications may await their PUBACK at once.
    pub in_flight_max: u16,
}

/// A publication's name within one session; never used twice in it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// A received message's name within one session, to acknowledge it by.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Delivery(pub u64);

/// What the owner asks of a session.
#[derive(Debug)]
pub enum Command {
    /// Publish at QoS 1; answered by [`Event::Acknowledged`] or [`Event::Refused`], or by the session's end.
    Publish(Ticket, Publication),
    /// Send the PUBACK of a received message: what it says is durable here.
    Acknowledge(Delivery),
    /// Say goodbye (DISCONNECT, so that the last will is not published) and end.
    Disconnect,
}

/// One message to publish.
#[derive(Clone, Eq, PartialEq)]
pub struct Publication {
    /// The topic; never holds patient data.
    pub topic: String,
    /// The bytes.
    pub payload: Bytes,
    /// MQTT 5 content type, such as `application/cbor`.
    pub content_type: Option<&'static str>,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// MQTT 5 user properties; never hold patient data.
    pub user_properties: Vec<(&'static str, String)>,
}

impl std::fmt::Debug for Publication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publication").field("topic", &self.topic).field("bytes", &self.payload.len()).finish()
    }
}

/// What happened on a session.
#[derive(Debug)]
pub enum Event {
    /// The broker took the publication. It says nothing of the centre.
    Acknowledged(Ticket),
    /// The broker refused it, and will refuse it again if it is sent again.
    Refused(Ticket, RefusalReason),
    /// A message came. It is repeated by the broker until it is acknowledged.
    Received(Delivery, Inbound),
    /// The session is over; why, in words for an operator. The last event.
    Closed(UplinkError),
}

/// One received message.
#[derive(Clone)]
pub struct Inbound {
    /// Its topic.
    pub topic: String,
    /// Its bytes; at most what the session's owner announced.
    pub payload: Bytes,
    /// MQTT 5 content type.
    pub content_type: Option<String>,
    /// MQTT 5 user properties.
    pub user_properties: Vec<(String, String)>,
    /// Whether the broker had kept it from before the subscription.
    pub retained: bool,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound").field("topic", &self.topic).field("bytes", &self.payload.len()).finish()
    }
}

/// Why a broker will not take a publication (MQTT 5, section 3.4.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefusalReason {
    /// 0x87: the access list forbids it.
    #[error("the broker's access list forbids it")]
    NotAuthorised,
    /// 0x90: the broker does not take this topic.
    #[error("the broker does not take this topic")]
    TopicNameInvalid,
    /// 0x95, or larger than the CONNACK allows.
    #[error("it is larger than the broker takes")]
    PacketTooLarge,
    /// 0x99: the payload is not what its content type says.
    #[error("the broker finds its payload malformed")]
    PayloadFormatInvalid,
}

/// Why there is no connection, or no longer one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UplinkError {
    /// TCP, TLS or name resolution failed.
    #[error("cannot reach {broker}: {reason}")]
    Unreachable {
        /// Host and port.
        broker: String,
        /// What failed.
        reason: String,
    },
    /// The broker answered, and said no.
    #[error("the broker at {broker} refused the connection: {reason}")]
    Rejected {
        /// Host and port.
        broker: String,
        /// Its reason code in words.
        reason: String,
    },
    /// The certificate, key or CA on disk cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing moved within the deadline: a half-open connection, or a broker that forgets PUBACKs.
    #[error("nothing moved for {seconds} s: {waiting_for}")]
    Stalled {
        /// How long.
        seconds: u64,
        /// For what.
        waiting_for: &'static str,
    },
    /// Another client took over this identity (0x8E).
    #[error(
        "another client took over this hub's identity: is a second box running with the same certificate?"
    )]
    TakenOver,
    /// We ended it.
    #[error("closed on request")]
    Requested,
}
