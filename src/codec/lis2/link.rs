//! The conversation of LIS1-A (CLSI LIS01-A2, section 6) from either end: bytes and the time go in; bytes to write,
//! whole messages and the next deadline come out.
//!
//! **What is acknowledged when.** The frame that completes a message (its last record is `L`, and it ends with
//! `ETX`) is answered only once the message's fate is known: `ACK` when it is durable, `NAK` when it is to be sent
//! again. Frames before it are answered at once. An answer that comes too late to be one is not given: the sender has
//! begun anew, and would take it for the answer to what it sent since. If our last `ACK` is lost, the sender sends the whole message again;
//! that the two are one is for the receiver's identities to find.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};

use super::frame::{ACK, ENQ, EOT, Frame, Framer, NAK, TEXT_BYTES_MAX, Token, encode};

/// A sender waits so long for an answer (section 6.5.2.1).
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// An answer later than this may meet a sender that has given up.
const ANSWER_USEFUL_WITHIN: Duration = Duration::from_secs(14);
/// A receiver waits so long for a frame or the end (section 6.5.2.2).
const FRAME_WITHIN: Duration = Duration::from_secs(30);
/// A refused enquiry is repeated after this (section 6.2.4).
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// When both ends enquire at once the instrument goes on after this; the other end waits longer (section 6.2.7.1).
const CONTENTION_INSTRUMENT: Duration = Duration::from_secs(1);
const CONTENTION_HOST: Duration = Duration::from_secs(20);
/// A frame is sent at most so often (section 6.5.1.2): the first time and five repetitions.
const FRAME_ATTEMPTS_MAX: u32 = 6;
/// Enquiries that nobody answers before a message is given up for now.
const ENQUIRIES_MAX: u32 = 6;
/// Bytes that may wait behind a message whose fate is not known. An instrument sends nothing then; noise may.
const PENDING_BYTES_MAX: usize = 4096;

/// Which end this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The computer system, which gives way.
    Host,
    /// The instrument, which has priority.
    Instrument,
}

/// How a sender cuts messages into frames: three habits are about, and receivers must bear them all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// Each record in a frame of its own, as the standard shows it.
    RecordAFrame,
    /// The whole message in one frame, as far as a frame may be long.
    MessageAFrame,
    /// Each record in a frame that is numbered 1.
    NumbersRestart,
}

/// What is to become of a message that was handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is durable.
    Taken,
    /// It could not be made durable: the sender shall send it again.
    Later,
}

/// What is to be done.
#[derive(Clone, Eq, PartialEq)]
pub enum Action {
    /// Write these bytes.
    Write(Bytes),
    /// A message is whole. Nothing more happens until [`Conversation::decide`] says what became of it.
    Message(Bytes),
    /// A message ended in the middle: what came of it, and why.
    Torn(Bytes, &'static str),
    /// What was to be sent was accepted to its last frame.
    Sent,
    /// It was not, and must be sent again from its beginning.
    NotSent(&'static str),
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(bytes) => write!(f, "Write({} bytes)", bytes.len()),
            Self::Message(bytes) => write!(f, "Message({} bytes)", bytes.len()),
            Self::Torn(bytes, reason) => write!(f, "Torn({} bytes, {reason})", bytes.len()),
            Self::Sent => write!(f, "Sent"),
            Self::NotSent(reason) => write!(f, "NotSent({reason})"),
        }
    }
}

/// One end of a line.
#[derive(Debug)]
pub struct Conversation {
    role: Role,
    message_bytes_max: usize,
    frame_text_bytes_max: usize,
    framer: Framer,
    state: State,
    pending: BytesMut,
    outgoing: Option<Outgoing>,
    deadline: Option<Duration>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
enum State {
    Neutral,
    Receiving(Incoming),
    /// A whole message is out for a verdict; what came of the transfer before its last frame, and when that came.
    Deciding(Incoming, Frame, Duration),
    /// We have enquired.
    Enquired,
    /// A frame of ours waits for its answer.
    Offered,
    /// We wait before we enquire again.
    Waiting,
}

/// A transfer coming in.
#[derive(Debug, Default)]
struct Incoming {
    received: BytesMut,
    /// The newest accepted frame.
    newest: Option<Frame>,
    /// Something was too long: what follows is no message's beginning.
    refusing: bool,
}

/// A message going out.
#[derive(Debug)]
struct Outgoing {
    frames: Vec<Bytes>,
    next: usize,
    attempts: u32,
    enquiries: u32,
}

impl Conversation {
    /// An end of an idle line. `message_bytes_max`: the longest message taken.
    pub fn new(role: Role, message_bytes_max: usize) -> Self {
        Self {
            role,
            message_bytes_max,
            frame_text_bytes_max: TEXT_BYTES_MAX,
            framer: Framer::default(),
            state: State::Neutral,
            pending: BytesMut::new(),
            outgoing: None,
            deadline: None,
            actions: VecDeque::new(),
        }
    }

    /// Sends frames with at most so many bytes of text: 240 for an old instrument (E1381-91), 64,000 unless told.
    pub fn limit_sent_frames(&mut self, text_bytes_max: usize) {
        self.frame_text_bytes_max = text_bytes_max.clamp(1, TEXT_BYTES_MAX);
    }

    /// Bytes that the line brought. What is to be done comes from [`Conversation::next_action`].
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
        for (place, byte) in bytes.iter().enumerate() {
            if matches!(self.state, State::Deciding(..)) {
                let rest = bytes.get(place..).unwrap_or_default();
                let room = PENDING_BYTES_MAX.saturating_sub(self.pending.len()).min(rest.len());
                self.pending.extend_from_slice(rest.get(..room).unwrap_or_default());
                return;
            }
            if let Some(token) = self.framer.push(*byte) {
                self.take(token, now);
            }
        }
    }

    /// What became of the message that was handed out last.
    pub fn decide(&mut self, verdict: Verdict, now: Duration) {
        let State::Deciding(mut incoming, frame, since) = std::mem::replace(&mut self.state, State::Neutral)
        else {
            return;
        };
        let gave_up = self.pending.iter().any(|byte| matches!(*byte, ENQ | EOT));
        let answers = !gave_up && now < since + ANSWER_USEFUL_WITHIN;
        if answers {
            self.write(&[if verdict == Verdict::Taken { ACK } else { NAK }]);
        }
        if verdict == Verdict::Taken {
            incoming = Incoming { newest: Some(frame), ..Incoming::default() };
        }
        self.state = State::Receiving(incoming);
        self.deadline = Some(now + FRAME_WITHIN);
        let pending = std::mem::take(&mut self.pending);
        self.receive(&pending, now);
    }

    /// Sends a message, records with their line ends, as soon as the line is free. One at a time: false if another
    /// is still on its way.
    pub fn send(&mut self, message: &[u8], framing: Framing, now: Duration) -> bool {
        if self.outgoing.is_some() {
            return false;
        }
        let frames = frames(message, framing, self.frame_text_bytes_max);
        self.outgoing = Some(Outgoing { frames, next: 0, attempts: 0, enquiries: 0 });
        if matches!(self.state, State::Neutral) {
            self.enquire(now);
        }
        true
    }

    /// Looks whether a deadline has passed.
    pub fn tick(&mut self, now: Duration) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        match std::mem::replace(&mut self.state, State::Neutral) {
            State::Neutral | State::Deciding(..) => {}
            State::Receiving(incoming) => {
                self.framer.reset();
                self.torn(incoming, "nothing came for 30 seconds");
                self.enquire_if_wanted(now);
            }
            State::Enquired => {
                self.write(&[EOT]);
                self.try_again(BUSY_WAIT, "nobody answers the enquiry", now);
            }
            State::Offered => {
                self.write(&[EOT]);
                self.give_up("a frame was not answered");
            }
            State::Waiting => self.enquire(now),
        }
    }

    /// When [`Conversation::tick`] is to be called, if nothing comes before.
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// What is to be done next, in order.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The line is gone: what was under way is over.
    pub fn hang_up(&mut self) {
        self.framer.reset();
        self.deadline = None;
        self.pending.clear();
        if let State::Receiving(incoming) = std::mem::replace(&mut self.state, State::Neutral) {
            self.torn(incoming, "the line was closed");
        }
        if self.outgoing.take().is_some() {
            self.actions.push_back(Action::NotSent("the line was closed"));
        }
    }

    fn take(&mut self, token: Token, now: Duration) {
        match std::mem::replace(&mut self.state, State::Neutral) {
            State::Receiving(incoming) => self.take_receiving(incoming, token, now),
            State::Enquired => self.take_enquired(&token, now),
            State::Offered => self.take_offered(&token, now),
            waiting @ (State::Neutral | State::Waiting) => match token {
                Token::Enquiry => self.begin(now),
                _ => self.state = waiting,
            },
            deciding @ State::Deciding(..) => self.state = deciding,
        }
    }

    fn begin(&mut self, now: Duration) {
        self.write(&[ACK]);
        self.state = State::Receiving(Incoming::default());
        self.deadline = Some(now + FRAME_WITHIN);
    }

    fn take_receiving(&mut self, mut incoming: Incoming, token: Token, now: Duration) {
        match token {
            Token::Frame(frame) => return self.take_frame(incoming, frame, now),
            Token::Damaged(_) => self.write(&[NAK]),
            Token::Enquiry => {
                self.torn(std::mem::take(&mut incoming), "the sender began anew");
                return self.begin(now);
            }
            Token::End => {
                self.deadline = None;
                self.torn(incoming, "the transfer ended before its last record");
                return self.enquire_if_wanted(now);
            }
            Token::Accepted | Token::Refused => {}
        }
        self.state = State::Receiving(incoming);
        self.deadline = Some(now + FRAME_WITHIN);
    }

    fn take_frame(&mut self, mut incoming: Incoming, frame: Frame, now: Duration) {
        self.deadline = Some(now + FRAME_WITHIN);
        if incoming.refusing {
            self.write(&[NAK]);
        } else if incoming.newest.as_ref() == Some(&frame) {
            // Our answer to it was lost: the same frame again is no news.
            self.write(&[ACK]);
        } else if !in_order(incoming.newest.as_ref(), &frame) {
            self.write(&[NAK]);
        } else if self.message_bytes_max < incoming.received.len() + frame.text.len() {
            self.torn(std::mem::take(&mut incoming), "it is longer than this receiver takes");
            incoming.refusing = true;
            self.write(&[NAK]);
        } else if begins_a_record(&incoming, &frame.text) {
            incoming.received.extend_from_slice(b"\r");
            return self.take_frame(incoming, frame, now);
        } else if frame.last && ends_a_message(&incoming.received, &frame.text) {
            let whole = [&incoming.received[..], &frame.text[..]].concat();
            self.actions.push_back(Action::Message(Bytes::from(whole)));
            self.deadline = None;
            self.state = State::Deciding(incoming, frame, now);
            return;
        } else {
            incoming.received.extend_from_slice(&frame.text);
            incoming.newest = Some(frame);
            self.write(&[ACK]);
        }
        self.state = State::Receiving(incoming);
    }

    fn take_enquired(&mut self, token: &Token, now: Duration) {
        match token {
            Token::Accepted => self.offer(now),
            Token::Refused => self.try_again(BUSY_WAIT, "the receiver is busy", now),
            Token::Enquiry => {
                // Both want to send (section 6.2.7.1). The crossed enquiry is not answered; the next one is.
                let wait = match self.role {
                    Role::Host => CONTENTION_HOST,
                    Role::Instrument => CONTENTION_INSTRUMENT,
                };
                self.try_again(wait, "both ends enquire", now);
            }
            _ => self.state = State::Enquired,
        }
    }

    fn take_offered(&mut self, token: &Token, now: Duration) {
        let Some(outgoing) = &mut self.outgoing else { return };
        match token {
            // An EOT in place of an ACK accepts too, and asks to be let in (section 6.5.3).
            Token::Accepted | Token::End => {
                (outgoing.next, outgoing.attempts) = (outgoing.next + 1, 0);
                self.offer(now);
            }
            Token::Refused | Token::Damaged(_) => self.offer(now),
            Token::Enquiry | Token::Frame(_) => self.state = State::Offered,
        }
    }

    /// Sends the next frame, or ends the transfer.
    fn offer(&mut self, now: Duration) {
        let Some(outgoing) = &mut self.outgoing else { return };
        let Some(frame) = outgoing.frames.get(outgoing.next).cloned() else {
            self.outgoing = None;
            (self.state, self.deadline) = (State::Neutral, None);
            self.write(&[EOT]);
            return self.actions.push_back(Action::Sent);
        };
        if outgoing.attempts == FRAME_ATTEMPTS_MAX {
            self.write(&[EOT]);
            return self.give_up("a frame was refused six times");
        }
        outgoing.attempts += 1;
        self.actions.push_back(Action::Write(frame));
        (self.state, self.deadline) = (State::Offered, Some(now + ANSWER_WITHIN));
    }

    fn enquire_if_wanted(&mut self, now: Duration) {
        if self.outgoing.is_some() {
            self.enquire(now);
        }
    }

    fn enquire(&mut self, now: Duration) {
        self.write(&[ENQ]);
        (self.state, self.deadline) = (State::Enquired, Some(now + ANSWER_WITHIN));
    }

    fn try_again(&mut self, wait: Duration, reason: &'static str, now: Duration) {
        let Some(outgoing) = &mut self.outgoing else { return };
        outgoing.enquiries += 1;
        if ENQUIRIES_MAX <= outgoing.enquiries {
            return self.give_up(reason);
        }
        (self.state, self.deadline) = (State::Waiting, Some(now + wait));
    }

    fn give_up(&mut self, reason: &'static str) {
        self.outgoing = None;
        (self.state, self.deadline) = (State::Neutral, None);
        self.actions.push_back(Action::NotSent(reason));
    }

    fn torn(&mut self, incoming: Incoming, reason: &'static str) {
        if !incoming.received.is_empty() {
            self.actions.push_back(Action::Torn(incoming.received.freeze(), reason));
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.actions.push_back(Action::Write(Bytes::copy_from_slice(bytes)));
    }
}

/// Frames follow each other 1 … 7, 0, 1 …; instruments are about that begin each of theirs with 1.
fn in_order(newest: Option<&Frame>, frame: &Frame) -> bool {
    let expected = newest.map_or(1, |newest| (newest.number + 1) % 8);
    let restarts = frame.number == 1 && newest.is_some_and(|newest| newest.last);
    frame.number == expected || restarts
}

/// Whether a record begins in a frame of its own although the one before did not end with CR: some leave it out.
fn begins_a_record(incoming: &Incoming, text: &[u8]) -> bool {
    let ended = incoming.newest.as_ref().is_some_and(|newest| newest.last);
    let unterminated = incoming.received.last().is_some_and(|byte| !matches!(byte, b'\r' | b'\n'));
    let looks_like_one = matches!(text, [b'H' | b'P' | b'O' | b'R' | b'C' | b'Q' | b'S' | b'M' | b'L', delimiter, ..]
        if incoming.received.get(1) == Some(delimiter));
    ended && unterminated && looks_like_one
}

/// Whether a message is whole with this text: its last record, which begins a line, is `L`.
fn ends_a_message(received: &[u8], text: &[u8]) -> bool {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let trimmed = |bytes: &[u8]| bytes.iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1);
    let text = text.get(..trimmed(text)).unwrap_or_default();
    match text.iter().rposition(is_end) {
        Some(before) => text.get(before + 1) == Some(&b'L'),
        None => text.first() == Some(&b'L') && received.last().is_none_or(is_end),
    }
}

/// A message in frames; what is too long for one is continued in the next.
fn frames(message: &[u8], framing: Framing, text_bytes_max: usize) -> Vec<Bytes> {
    let texts: Vec<&[u8]> = match framing {
        Framing::MessageAFrame => vec![message],
        _ => message.split_inclusive(|byte| *byte == b'\r').collect(),
    };
    let mut frames = Vec::new();
    for text in texts {
        let mut pieces = text.chunks(text_bytes_max.max(1)).peekable();
        while let Some(piece) = pieces.next() {
            let number = match framing {
                Framing::NumbersRestart => 1,
                _ => u8::try_from((frames.len() + 1) % 8).unwrap_or_default(),
            };
            let mut out = BytesMut::new();
            encode(number, piece, pieces.peek().is_none(), &mut out);
            frames.push(out.freeze());
        }
    }
    frames
}

#[cfg(test)]
mod tests;
