//! The hub's end of a POCT1-A conversation: bytes and the time go in; bytes to write, messages to make durable and
//! the next deadline come out.
//!
//! A device says who it is (`HEL`) and what it has (`DST`); the hub asks for it (`REQ`), takes each message and
//! acknowledges it by its control id (`AA`, or `AE` if the device must keep it); the device says when that was all
//! (`EOT`). Then the hub lets it send what it measures as it measures it, if it can (`START_CONTINUOUS`). Observations
//! and events are acknowledged only once their fate is known. An acknowledgement names its message, so that a late
//! one is never taken for another's.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use crate::domain::time::Timestamp;

use super::{
    message::{Body, Device, Message, acknowledgement, read, request, start_continuous},
    split::{Piece, Splitter},
};

/// A message that has begun ends within this.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// A device answers a request within this, or is not asked again until it says anew what it has.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Bytes that may wait behind a message whose fate is not known. Devices wait for each acknowledgement.
const PENDING_BYTES_MAX: usize = 256 << 10;
const CONTINUOUS: &str = "START_CONTINUOUS";

/// What became of a message that was handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is durable.
    Taken,
    /// It could not be made durable: the device must keep it, and send it again.
    Later,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Write these bytes.
    Write(Bytes),
    /// Observations or events: nothing more happens until [`Conversation::decide`] says what became of them.
    Message(Bytes, Box<Message>),
    /// Something was refused, or came apart: what of it there is, and why.
    Refused(Bytes, &'static str),
    /// The device said who it is.
    Introduced(Device),
    /// The device did not do what it was asked.
    NotDone(&'static str),
}

/// What a conversation is told of the time.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since the conversation began.
    pub since: Duration,
    /// By the hub's clock.
    pub clock: Timestamp,
}

/// One device's conversation.
#[derive(Debug)]
pub struct Conversation {
    splitter: Splitter,
    device: Device,
    /// The control id of the message that is out for a verdict.
    deciding: Option<String>,
    pending: VecDeque<u8>,
    /// What is to be asked for, the first of it already.
    topics: VecDeque<&'static str>,
    asked: bool,
    continuous: bool,
    control_id: u64,
    rest_by: Option<Duration>,
    answer_by: Option<Duration>,
    actions: VecDeque<Action>,
}

impl Conversation {
    /// A conversation on a new connection. `message_bytes_max`: the longest message taken.
    pub fn new(message_bytes_max: usize) -> Self {
        Self {
            splitter: Splitter::new(message_bytes_max),
            device: Device::default(),
            deciding: None,
            pending: VecDeque::new(),
            topics: VecDeque::new(),
            asked: false,
            continuous: false,
            control_id: 0,
            rest_by: None,
            answer_by: None,
            actions: VecDeque::new(),
        }
    }

    /// Bytes that came. What is to be done comes from [`Conversation::next_action`].
    pub fn receive(&mut self, bytes: &[u8], now: Now) {
        for (place, byte) in bytes.iter().enumerate() {
            if self.deciding.is_some() {
                let rest = bytes.get(place..).unwrap_or_default();
                let room = PENDING_BYTES_MAX.saturating_sub(self.pending.len()).min(rest.len());
                return self.pending.extend(rest.get(..room).unwrap_or_default());
            }
            match self.splitter.push(*byte) {
                Some(Piece::Message(raw)) => self.take(raw, now),
                Some(Piece::TooLong(head)) => {
                    self.refuse(head, "it is longer than this receiver takes");
                }
                Some(Piece::Torn(torn)) => self.refuse(torn, "another message began in its midst"),
                None => {}
            }
        }
        self.rest_by = self.splitter.is_inside().then_some(now.since + REST_WITHIN);
    }

    /// What became of the message that was handed out last.
    pub fn decide(&mut self, verdict: Verdict, now: Now) {
        let Some(of) = self.deciding.take() else { return };
        let refused = match verdict {
            Verdict::Taken => None,
            Verdict::Later => Some("It could not be made durable: send it again"),
        };
        self.acknowledge(&of, refused, now);
        let pending: Vec<u8> = self.pending.drain(..).collect();
        self.receive(&pending, now);
    }

    /// Looks whether a deadline has passed.
    pub fn tick(&mut self, now: Now) {
        if self.rest_by.is_some_and(|by| by <= now.since) {
            self.rest_by = None;
            let torn = self.splitter.reset();
            self.refuse(torn, "its rest did not come for 30 seconds");
        }
        if self.deciding.is_none() && self.answer_by.is_some_and(|by| by <= now.since) {
            self.actions.push_back(Action::NotDone("a request was not answered for 60 seconds"));
            self.topic_ended(now);
        }
    }

    /// When [`Conversation::tick`] is to be called, if nothing comes before.
    pub fn deadline(&self) -> Option<Duration> {
        [self.rest_by, self.answer_by].into_iter().flatten().min()
    }

    /// What is to be done next, in order.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The connection is gone.
    pub fn hang_up(&mut self) {
        let torn = self.splitter.reset();
        self.refuse(torn, "the connection was closed in its midst");
    }

    /// Who the device said it is.
    pub const fn device(&self) -> &Device {
        &self.device
    }

    fn take(&mut self, raw: Bytes, now: Now) {
        let Ok(message) = read(&raw) else {
            return self.refuse(raw, "it is no POCT1-A message that can be read");
        };
        let of = message.control_id.clone();
        match &message.body {
            Body::Observations(_) | Body::Events(_) => {
                self.answer_by = self.asked.then_some(now.since + ANSWER_WITHIN);
                self.deciding = Some(of);
                self.actions.push_back(Action::Message(raw, Box::new(message)));
            }
            Body::Hello(device) => {
                self.device = device.clone();
                (self.asked, self.continuous, self.answer_by) = (false, false, None);
                self.topics.clear();
                self.acknowledge(&of, None, now);
                self.actions.push_back(Action::Introduced(device.clone()));
            }
            Body::Status { observations, events } => {
                self.acknowledge(&of, None, now);
                self.status(*observations, *events, now);
            }
            Body::EndOfTopic => {
                self.acknowledge(&of, None, now);
                self.topic_ended(now);
            }
            Body::End => {
                self.acknowledge(&of, None, now);
                (self.asked, self.continuous, self.answer_by) = (false, false, None);
                self.topics.clear();
            }
            Body::KeepAlive => self.acknowledge(&of, None, now),
            Body::Acknowledgement { accepted: true, .. } => {}
            Body::Acknowledgement { .. } | Body::Escape => {
                self.actions.push_back(Action::NotDone("the device refused what it was asked"));
                if self.asked {
                    self.topic_ended(now);
                }
            }
            Body::Other => {
                self.acknowledge(&of, Some("This kind of message is not supported"), now);
                self.refuse(raw, "this kind of message is not supported");
            }
        }
    }

    fn status(&mut self, observations: Option<u64>, events: Option<u64>, now: Now) {
        let wanted = [("ROBS", observations != Some(0)), ("RDEV", events.is_some_and(|count| 0 < count))];
        for (topic, wanted) in wanted {
            if wanted && !self.topics.contains(&topic) {
                self.topics.push_back(topic);
            }
        }
        if !self.asked {
            self.ask(now);
        }
    }

    fn topic_ended(&mut self, now: Now) {
        if std::mem::take(&mut self.asked) {
            self.topics.pop_front();
        }
        self.answer_by = None;
        self.ask(now);
    }

    /// Asks for the next topic; if there is none, lets the device send on its own.
    fn ask(&mut self, now: Now) {
        let id = self.next_control_id();
        if let Some(topic) = self.topics.front().copied() {
            (self.asked, self.answer_by) = (true, Some(now.since + ANSWER_WITHIN));
            self.write(&request(id, now.clock, topic));
        } else if !self.continuous && self.device.directives.iter().any(|one| one == CONTINUOUS) {
            self.continuous = true;
            self.write(&start_continuous(id, now.clock));
        }
    }

    fn acknowledge(&mut self, of: &str, refused: Option<&str>, now: Now) {
        let id = self.next_control_id();
        self.write(&acknowledgement(id, now.clock, of, refused));
    }

    const fn next_control_id(&mut self) -> u64 {
        self.control_id += 1;
        self.control_id
    }

    fn refuse(&mut self, bytes: Bytes, reason: &'static str) {
        if !bytes.is_empty() {
            self.actions.push_back(Action::Refused(bytes, reason));
        }
    }

    fn write(&mut self, text: &str) {
        self.actions.push_back(Action::Write(Bytes::copy_from_slice(text.as_bytes())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { since: Duration::from_secs(seconds), clock: Timestamp(1_795_000_000_000) }
    }

    fn said(kind: &str, control_id: u32, body: &str) -> Vec<u8> {
        format!("<{kind}><HDR><HDR.control_id V=\"{control_id}\"/></HDR>{body}</{kind}>").into_bytes()
    }

    const OBSERVATION: &str =
        "<SVC><SVC.role_cd V=\"OBS\"/><PT><OBS><OBS.observation_id V=\"GLU\"/></OBS></PT></SVC>";

    /// What was done: `ACK AA 3`, `REQ ROBS`, `message`, …
    fn done(conversation: &mut Conversation) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(action) = conversation.next_action() {
            all.push(match action {
                Action::Write(bytes) => {
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    let between = |from: &str| {
                        let rest = text.split_once(from).map(|(_, rest)| rest).unwrap_or_default();
                        rest.split('"').next().unwrap().to_owned()
                    };
                    let codes = [
                        "ACK.type_cd V=\"",
                        "ACK.ack_control_id V=\"",
                        "REQ.request_cd V=\"",
                        "DTV.command_cd V=\"",
                    ];
                    let said = codes.map(between).into_iter().filter(|said| !said.is_empty());
                    said.collect::<Vec<_>>().join(" ")
                }
                Action::Message(..) => "message".to_owned(),
                Action::Refused(bytes, _) => format!("refused {}", bytes.len()),
                Action::Introduced(_) => "introduced".to_owned(),
                Action::NotDone(_) => "not done".to_owned(),
            });
        }
        all
    }

    #[test]
    fn everything_a_device_has_is_asked_for_and_acknowledged_by_its_control_id() {
        let mut hub = Conversation::new(1 << 20);
        let directives = "<DEV><DSC><DSC.directives_supported_cd V=\"START_CONTINUOUS\"/></DSC></DEV>";
        hub.receive(&said("HEL.R01", 1, directives), at(0));
        assert_eq!(done(&mut hub), ["AA 1", "introduced"]);
        let has = "<DST><DST.new_observations_qty V=\"1\"/><DST.new_events_qty V=\"1\"/></DST>";
        hub.receive(&said("DST.R01", 2, has), at(0));
        assert_eq!(done(&mut hub), ["AA 2", "ROBS"]);
        hub.receive(&said("ACK.R01", 3, "<ACK><ACK.type_cd V=\"AA\"/></ACK>"), at(0));
        hub.receive(&said("OBS.R01", 4, OBSERVATION), at(0));
        assert_eq!(done(&mut hub), ["message"]);
        hub.decide(Verdict::Taken, at(1));
        assert_eq!(done(&mut hub), ["AA 4"]);
        hub.receive(&said("EOT.R01", 5, ""), at(1));
        assert_eq!(done(&mut hub), ["AA 5", "RDEV"]);
        hub.receive(&said("EVS.R01", 6, "<EVT/>"), at(1));
        hub.decide(Verdict::Taken, at(1));
        hub.receive(&said("EOT.R01", 7, ""), at(1));
        assert_eq!(done(&mut hub), ["message", "AA 6", "AA 7", "START_CONTINUOUS"]);
        hub.receive(&said("OBS.R01", 8, OBSERVATION), at(500));
        hub.decide(Verdict::Taken, at(500));
        hub.receive(&said("KPA.R01", 9, ""), at(500));
        hub.receive(&said("END.R01", 10, ""), at(500));
        assert_eq!(done(&mut hub), ["message", "AA 8", "AA 9", "AA 10"]);
        assert_eq!(hub.deadline(), None);
    }

    #[test]
    fn nothing_is_acknowledged_before_its_fate_is_known_nor_accepted_if_it_failed() {
        let mut hub = Conversation::new(1 << 20);
        let two = [said("OBS.R01", 1, OBSERVATION), said("OBS.R01", 2, OBSERVATION)].concat();
        hub.receive(&two, at(0));
        hub.tick(at(1000));
        assert_eq!(done(&mut hub), ["message"], "one at a time");
        hub.decide(Verdict::Later, at(1000));
        assert_eq!(done(&mut hub), ["AE 1", "message"], "an AA although the store failed");
        hub.decide(Verdict::Taken, at(1000));
        assert_eq!(done(&mut hub), ["AA 2"]);
    }

    #[test]
    fn a_request_nobody_answers_is_given_up_and_the_next_is_made() {
        let mut hub = Conversation::new(1 << 20);
        let has = "<DST><DST.new_events_qty V=\"1\"/></DST>";
        hub.receive(&said("DST.R01", 1, has), at(0));
        assert_eq!(done(&mut hub), ["AA 1", "ROBS"]);
        assert_eq!(hub.deadline(), Some(ANSWER_WITHIN));
        hub.tick(at(60));
        assert_eq!(done(&mut hub), ["not done", "RDEV"]);
        hub.receive(&said("ESC.R01", 2, ""), at(61));
        assert_eq!(done(&mut hub), ["not done"]);
        assert_eq!(hub.deadline(), None);
    }

    #[test]
    fn what_is_torn_unreadable_or_unknown_is_kept_and_never_accepted() {
        let mut hub = Conversation::new(1 << 10);
        hub.receive(b"<OBS.R01><HDR>", at(0));
        assert_eq!(hub.deadline(), Some(REST_WITHIN));
        hub.tick(at(30));
        hub.receive(b"<A><B></A>x</B>", at(31));
        hub.receive(&said("XYZ.R01", 9, ""), at(31));
        hub.receive(&vec![b'<'; 2000], at(31));
        hub.receive(b"<OBS.R01>", at(32));
        hub.hang_up();
        let all = done(&mut hub);
        assert_eq!(all.first().map(String::as_str), Some("refused 14"));
        assert!(all.contains(&"AE 9".to_owned()) && !all.iter().any(|one| one.starts_with("AA")), "{all:?}");
    }
}
