//! Sending HL7 v2 over MLLP: one persistent connection, one message at a time, and no answer taken for another
//! message's (HL7 v2.4, section 2.12; ITK HL7 v2 Message Specifications, section on MLLP).
//!
//! An acknowledgement counts if its MSA-2 is the MSH-10 of what was sent. After a time without it the connection is
//! closed, so that one which comes late has nowhere to come to. What else a receiver says is read and left aside.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    codec::{
        hl7v2::Message,
        mllp::{self, Deframer, Frame},
    },
    flow::deliver::{Answer, Destination, Parcel, Sending},
    sys::tls::{ClientTls, explain},
};

use super::{
    ack_policy::{AckPolicy, Received, read_acknowledgement},
    outgoing::{Address, Outgoing},
};

/// An acknowledgement is a few hundred bytes; one with a long text may have some thousand.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// More acknowledgements of other messages than this, and the receiver is not to be understood.
const STRANGERS_MAX: usize = 64;

/// How a system is sent messages.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// `host:port`.
    pub address: String,
    /// TLS towards it, if it speaks it.
    pub tls: Option<ClientTls>,
    /// How long a connection may take to be made, TLS included.
    pub connect: Duration,
    /// How long a message may take to be written.
    pub write: Duration,
    /// How long to wait for an acknowledgement.
    pub answer: Duration,
    /// What its acknowledgements mean.
    pub policy: AckPolicy,
    /// Whom messages are from and to.
    pub addressing: Address,
}

impl ClientOptions {
    /// As for deliveries, but for a booking that somebody waits for: 5 seconds to connect and to write, 20 to
    /// acknowledge. Less than the desk's own patience, so that it hears why.
    pub fn for_bookings(address: &str, addressing: Address) -> Self {
        Self {
            connect: Duration::from_secs(5),
            write: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            policy: AckPolicy::of_bookings(),
            ..Self::new(address, addressing)
        }
    }

    /// How most systems want it: 10 seconds to connect, 30 to write, 30 to acknowledge.
    pub fn new(address: &str, addressing: Address) -> Self {
        Self {
            address: address.to_owned(),
            tls: None,
            connect: Duration::from_secs(10),
            write: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            policy: AckPolicy::default(),
            addressing,
        }
    }
}

/// One connection to a system that takes HL7 v2 over MLLP, made when it is needed.
pub struct Client {
    options: ClientOptions,
    outgoing: Outgoing,
    /// None while there is none, and while it is in use: whoever drops a send drops the connection.
    connection: Option<Connection>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    deframer: Deframer,
}

/// Why there was no acknowledgement.
enum Silence {
    /// The connection had ended before: another may do.
    Stale(io::Error),
    /// In words for operators.
    Because(String),
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.options.address)
    }
}

impl Client {
    /// A client that is not connected yet.
    pub fn new(options: ClientOptions) -> Self {
        let outgoing = Outgoing::new(options.addressing.clone());
        Self { options, outgoing, connection: None }
    }

    async fn deliver(&mut self, parcel: &Parcel) -> Answer {
        let message = match self.outgoing.message(parcel) {
            Ok(message) => message,
            Err(reason) => return Answer::Stop(reason),
        };
        let control_id = control_id(&message);
        if control_id.is_empty() {
            return Answer::Stop("it has no control id that an acknowledgement could name".to_owned());
        }
        match self.ask(&message, &control_id).await {
            Ok(acknowledgement) => self.options.policy.answer(&acknowledgement),
            Err(silence) => Answer::Again(silence),
        }
    }

    /// Sends a message of this control id and waits for its acknowledgement; in words for operators, why there is none.
    pub(super) async fn ask(&mut self, message: &[u8], control_id: &[u8]) -> Result<Received, String> {
        // A connection that was left open may have ended meanwhile; then another is worth one attempt at once.
        let reused = match self.connection.take() {
            Some(mut connection) => connection.is_usable().await.then_some(connection),
            None => None,
        };
        let was_reused = reused.is_some();
        let outcome = match self.exchange(reused, message, control_id).await {
            Err(Silence::Stale(_)) if was_reused => self.exchange(None, message, control_id).await,
            outcome => outcome,
        };
        outcome.map_err(|silence| match silence {
            Silence::Stale(error) => format!("no answer: {}", explain(&error)),
            Silence::Because(reason) => reason,
        })
    }

    /// What its acknowledgements mean.
    pub(super) const fn policy(&self) -> &AckPolicy {
        &self.options.policy
    }

    async fn exchange(
        &mut self,
        connection: Option<Connection>,
        message: &[u8],
        control_id: &[u8],
    ) -> Result<Received, Silence> {
        let mut connection = match connection {
            Some(connection) => connection,
            None => connect(&self.options).await.map_err(Silence::Because)?,
        };
        let mut framed = BytesMut::new();
        mllp::encode(message, &mut framed);
        match timeout(self.options.write, connection.write(&framed)).await {
            Err(_) => return Err(Silence::Because("it does not take the message in time".to_owned())),
            Ok(written) => written.map_err(Silence::Stale)?,
        }
        let until = Instant::now() + self.options.answer;
        let answer = connection.answer_to(control_id, until).await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

impl Destination for Client {
    fn send<'a>(&'a mut self, parcel: &'a Parcel) -> Sending<'a> {
        Box::pin(self.deliver(parcel))
    }

    fn preview(&self, parcel: &Parcel) -> Result<Bytes, String> {
        self.outgoing.message(parcel)
    }
}

impl Connection {
    /// Whether the connection still stands, and has nothing half-said on it. What came unasked is left aside.
    async fn is_usable(&mut self) -> bool {
        loop {
            match timeout(Duration::ZERO, self.stream.read_buf(self.deframer.buffer())).await {
                Err(_) => return self.deframer.is_between_frames(),
                Ok(Ok(count)) if 0 < count => while self.deframer.next_frame().is_some() {},
                Ok(_) => return false,
            }
        }
    }

    async fn write(&mut self, framed: &[u8]) -> io::Result<()> {
        self.stream.write_all(framed).await?;
        self.stream.flush().await
    }

    async fn answer_to(&mut self, control_id: &[u8], until: Instant) -> Result<Received, Silence> {
        let mut strangers = 0;
        loop {
            while let Some(frame) = self.deframer.next_frame() {
                let Frame::Message(bytes) = frame else { continue };
                match read_acknowledgement(&bytes).filter(|found| found.names(control_id)) {
                    Some(acknowledgement) => return Ok(acknowledgement),
                    None => strangers += 1,
                }
                if STRANGERS_MAX <= strangers {
                    let reason = format!("no answer, but {strangers} that name other messages");
                    return Err(Silence::Because(reason));
                }
            }
            match timeout_at(until, self.stream.read_buf(self.deframer.buffer())).await {
                Ok(Ok(0)) => return Err(Silence::Stale(io::ErrorKind::UnexpectedEof.into())),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Silence::Stale(error)),
                Err(_) if strangers == 0 => return Err(Silence::Because("no answer in time".to_owned())),
                Err(_) => {
                    let reason = "no answer in time, but one that names another message";
                    return Err(Silence::Because(reason.to_owned()));
                }
            }
        }
    }
}

async fn connect(options: &ClientOptions) -> Result<Connection, String> {
    let connecting = async {
        let stream = TcpStream::connect(&options.address).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &options.tls else { return Ok(Box::new(stream) as Box<dyn Stream>) };
        let host = options.address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        io::Result::Ok(Box::new(tls.connect(host, stream).await?) as Box<dyn Stream>)
    };
    match timeout(options.connect, connecting).await {
        Ok(Ok(stream)) => Ok(Connection { stream, deframer: Deframer::new(ANSWER_BYTES_MAX) }),
        Ok(Err(error)) => Err(format!("no connection: {}", explain(&error))),
        Err(_) => Err("no connection in time".to_owned()),
    }
}

/// MSH-10 as it stands; empty if there is none.
fn control_id(message: &[u8]) -> Vec<u8> {
    let Ok(message) = Message::parse(message) else { return Vec::new() };
    let header = message.segment("MSH");
    header.map(|header| header.field(10).bytes().trim_ascii().to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
