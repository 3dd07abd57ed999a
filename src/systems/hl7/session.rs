//! What to answer: frames in, durable, acknowledgements out in the same order.

use bytes::{Bytes, BytesMut};

use crate::{
    codec::{
        hl7v2::{Acknowledgement, ErrorCode, ErrorLocation, Header, Message, Nack, ParseError},
        mllp::{self, Frame},
    },
    flow::{
        hub::Hub,
        link::Link,
        receive::{Durable, Outcome, Quarantined, Received},
    },
    sys::blocking::blocking,
};

use super::translate::{Dialect, translate};

const WHOLE_MESSAGE: ErrorLocation = ErrorLocation::new("MSH", 1, 0);

/// A frame's way to its answer.
enum Pending {
    /// It is to be committed; its answer depends on what comes of it.
    Submitted(Bytes),
    /// It is refused for what it is.
    Refused(Bytes, Nack),
}

/// Commits what a connection has brought, and writes the answers, in order and framed, to `out`.
///
/// An answer AA is written only for a message that is durable.
pub async fn respond(
    hub: &Hub,
    link: &Link,
    dialect: &Dialect,
    frames: Vec<Frame>,
    next_id: &mut impl FnMut() -> String,
    out: &mut BytesMut,
) {
    for answer in answer(hub, link, dialect, frames, next_id).await {
        mllp::encode(&answer, out);
    }
}

/// Commits messages, and gives the answer to each, in order, without framing: for whatever carries them. A frame that
/// ended in the middle gets none.
pub async fn answer(
    hub: &Hub,
    link: &Link,
    dialect: &Dialect,
    frames: Vec<Frame>,
    next_id: &mut impl FnMut() -> String,
) -> Vec<Vec<u8>> {
    let mut pending = Vec::with_capacity(frames.len());
    let mut submitted = Vec::with_capacity(frames.len());
    for frame in frames {
        match frame {
            Frame::Message(raw) => match understand(&raw, dialect) {
                Ok(event) => {
                    submitted.push(Received { event, format: super::FORMAT, raw: raw.clone() });
                    pending.push(Pending::Submitted(raw));
                }
                Err(nack) => pending.push(Pending::Refused(raw, nack)),
            },
            Frame::TooLong(head) => {
                let nack = Nack::new(ErrorCode::InternalError, WHOLE_MESSAGE);
                let nack = nack.saying("The message is longer than this receiver takes");
                pending.push(Pending::Refused(head, nack));
            }
            Frame::Torn => tracing::info!(link = link.name(), "a message ended in the middle: not answered"),
        }
    }
    let mut outcomes = hub.receive(link, submitted).await.into_iter();
    let mut answers = Vec::with_capacity(pending.len());
    for one in pending {
        let (raw, verdict) = match one {
            Pending::Submitted(raw) => {
                let outcome = outcomes.next().unwrap_or(Outcome::Failed);
                (raw, answer_to(outcome))
            }
            Pending::Refused(raw, nack) => {
                link.answered(0, 0, 1, hub.now());
                (raw, Err(nack))
            }
        };
        let message = Message::parse(&raw).ok();
        let acknowledgement = Acknowledgement { nack: verdict.err() };
        if let Err(nack) = verdict
            && keeps_aside(&nack)
        {
            keep_aside(hub, link, &raw, message.as_ref(), &nack).await;
        }
        answers.push(acknowledgement.encode(message.as_ref(), hub.now(), &next_id()));
    }
    answers
}

fn understand(raw: &[u8], dialect: &Dialect) -> Result<crate::domain::record::Event, Nack> {
    let message = Message::parse(raw).map_err(|error| {
        let refused = Nack::new(ErrorCode::SegmentSequence, WHOLE_MESSAGE);
        match error {
            ParseError::Empty => refused.saying("The message is empty"),
            ParseError::NoHeader => refused.saying("The message does not begin with MSH"),
            ParseError::SeveralMessages => refused.saying("Several messages in one: send them one by one"),
            ParseError::Utf16 => Nack::new(ErrorCode::DataType, ErrorLocation::new("MSH", 1, 18))
                .saying("UTF-16 is not supported: send UTF-8"),
            ParseError::Batch => refused.saying("Batches are not supported: send messages one by one"),
            ParseError::BadDelimiters => Nack::new(ErrorCode::DataType, ErrorLocation::new("MSH", 1, 2))
                .saying("The delimiters in MSH-1 and MSH-2 cannot be used"),
            ParseError::TooManySegments => Nack::new(ErrorCode::InternalError, WHOLE_MESSAGE)
                .saying("The message has more segments than this receiver takes"),
        }
    })?;
    translate(&message, dialect)
}

fn answer_to(outcome: Outcome) -> Result<Durable, Nack> {
    let internal = Nack::new(ErrorCode::InternalError, WHOLE_MESSAGE);
    match outcome {
        Outcome::Accepted(durable) | Outcome::Repeated(durable) => Ok(durable),
        Outcome::Conflict => Err(Nack::new(ErrorCode::DuplicateKey, ErrorLocation::new("MSH", 1, 10))
            .saying("Another message with this control id was accepted before")),
        Outcome::Full => Err(internal.temporary().saying("No room at present: try again later")),
        Outcome::TooLong => Err(internal.saying("The message is longer than this receiver takes")),
        Outcome::Failed => Err(internal.temporary().saying("It could not be made durable: try again")),
    }
}

/// What is refused for good is kept, so that someone can see what was wrong; what is refused for now comes
/// again.
const fn keeps_aside(nack: &Nack) -> bool {
    matches!(nack.ack, crate::codec::hl7v2::AckCode::Reject)
}

async fn keep_aside(hub: &Hub, link: &Link, raw: &Bytes, message: Option<&Message<'_>>, nack: &Nack) {
    let header = message.and_then(|message| Header::read(message).ok());
    let header_text = |field: usize| {
        let segment = message.and_then(|message| message.segment("MSH"));
        let bytes = segment.map_or(b"".as_slice(), |segment| segment.field(field).bytes());
        message.map(|message| message.text(bytes).chars().take(40).collect::<String>()).unwrap_or_default()
    };
    let kind = header.as_ref().map_or_else(|| header_text(9), |h| format!("{}^{}", h.kind, h.trigger));
    let item = Quarantined {
        at: hub.now(),
        system: link.name().to_owned(),
        kind,
        source_id: header.map_or_else(|| header_text(10), |header| header.control_id),
        reason: format!("{} {}", nack.code.number(), nack.text),
        raw: raw.clone(),
    };
    blocking(|| hub.quarantine(&item));
}
