//! What a mailbox message holds, and what is to be answered: bytes in, values out.

use bytes::Bytes;

use crate::{
    codec::{
        edifact::{
            Header, Interchange, Segments,
            nhsack::{MessageVerdict, NhsAck},
        },
        kettering,
    },
    flow::receive::{Outcome, Received},
};

use super::{letters, translate};

/// What was in a mailbox message.
#[derive(Debug)]
pub enum Opened {
    /// An interchange: each report with its reference, and the acknowledgements of what we sent.
    Interchange(Box<Opening>),
    /// A Kettering letter.
    Letter(Box<Received>),
    /// Nothing that can be taken, and what its sender is to be told.
    Unreadable(Box<Refused>, Option<NhsAck>),
}

/// An interchange.
#[derive(Debug)]
pub struct Opening {
    /// UNB.
    pub header: Header,
    /// Its reports, each by its reference.
    pub reports: Vec<(String, Result<Received, Refused>)>,
    /// What it says of interchanges that were sent.
    pub acknowledgements: Vec<NhsAck>,
}

/// Something refused for good, to be kept aside.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its kind, as far as it could be read.
    pub kind: String,
    /// Its sender's name for it, as far as it could be read.
    pub source_id: String,
    /// Why, without content.
    pub reason: String,
    /// Its bytes.
    pub raw: Bytes,
}

/// Reads a mailbox message. With `tests`, interchanges that call themselves tests are taken like any other.
pub fn open(body: &Bytes, tests: bool) -> Opened {
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    if start.starts_with(b"<") { letter(body) } else { interchange(body, tests) }
}

fn letter(body: &Bytes) -> Opened {
    match kettering::read(body) {
        Ok(letter) => Opened::Letter(Box::new(Received {
            event: letters::translate(&letter),
            format: letters::FORMAT,
            raw: body.clone(),
        })),
        Err(error) => {
            let refused = Refused {
                kind: "ReportMsg".to_owned(),
                source_id: String::new(),
                reason: error.to_string(),
                raw: body.clone(),
            };
            Opened::Unreadable(Box::new(refused), None)
        }
    }
}

fn interchange(body: &Bytes, tests: bool) -> Opened {
    let segments = Segments::of(body);
    let read = segments.as_ref().map_err(|error| (*error).into()).and_then(Interchange::of);
    match read {
        Ok(interchange) => Opened::Interchange(Box::new(opening(body, &interchange, tests))),
        Err(refusal) => {
            let header = refusal.header();
            let refused = Refused {
                kind: header.map(|header| header.application.clone()).unwrap_or_default(),
                source_id: header.map(|header| header.control_reference.clone()).unwrap_or_default(),
                reason: refusal.to_string(),
                raw: body.clone(),
            };
            let asked = header.is_some_and(|header| header.acknowledgement_requested);
            let answer = if asked { NhsAck::of_refusal(&refusal) } else { None };
            Opened::Unreadable(Box::new(refused), answer)
        }
    }
}

fn opening(body: &Bytes, interchange: &Interchange<'_>, tests: bool) -> Opening {
    let header = &interchange.header;
    let mut reports = Vec::new();
    let mut acknowledgements = Vec::new();
    for message in &interchange.messages {
        if let Some(acknowledgement) = NhsAck::read(message).filter(|_| NhsAck::is(message)) {
            acknowledgements.push(acknowledgement);
            continue;
        }
        let raw = Bytes::from(interchange.part(body, message));
        let refused = |reason: String| Refused {
            kind: message.kind.to_string(),
            source_id: format!("{}/{}", header.control_reference, message.reference),
            reason,
            raw: raw.clone(),
        };
        let report = if header.test && !tests {
            Err(refused("it is marked as a test, and this mailbox is live".to_owned()))
        } else {
            translate(header, message).map_err(|error| refused(error.to_string()))
        };
        let received = report.map(|mut event| {
            event.faults.extend(&interchange.faults);
            Received { event, format: super::FORMAT, raw: raw.clone() }
        });
        reports.push((message.reference.clone(), received));
    }
    Opening { header: header.clone(), reports, acknowledgements }
}

/// What an outcome means for the sender of a report: accepted, rejected for this reason, or not decided yet.
pub fn verdict(outcome: Outcome) -> Option<Result<(), &'static str>> {
    match outcome {
        Outcome::Accepted(_) | Outcome::Repeated(_) => Some(Ok(())),
        Outcome::Conflict => Some(Err("another message was sent under this reference before")),
        Outcome::TooLong => Some(Err("the message is longer than this receiver takes")),
        Outcome::Full | Outcome::Failed => None,
    }
}

/// The NHSACK for an interchange whose reports were all decided; none if its sender does not want one, or if there
/// is nothing in it but acknowledgements.
pub fn answer(header: &Header, verdicts: Vec<MessageVerdict>) -> Option<NhsAck> {
    let wanted = header.acknowledgement_requested && !verdicts.is_empty();
    wanted.then(|| NhsAck::of_messages(header, verdicts))
}
