//! What an analyser's line brings, made durable or kept aside; and what is answered then.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    codec::{
        lis2::{
            link::{self, Framing, Role},
            record::Message,
        },
        poct1a::conversation as poct1a_conversation,
    },
    domain::record::Event,
    flow::{
        hub::Hub,
        link::Link,
        receive::{Outcome, Quarantined, Received},
    },
};

use super::{by_patient, is_query, no_information, poct1a};

/// Where an analyser's messages go.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) hub: Arc<Hub>,
    pub(super) link: Arc<Link>,
    /// Where the journal's answers are waited for.
    pub(super) runtime: Handle,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It is durable: in the journal, or kept aside where people see it.
    Taken,
    /// It is not.
    Later,
}

impl Intake {
    /// Makes the parts of a message durable, or says that they could not be.
    fn commit(&self, parts: Vec<(Bytes, Event)>, format: &'static str) -> Verdict {
        let raws: Vec<Bytes> = parts.iter().map(|(raw, _)| raw.clone()).collect();
        let received = parts.into_iter().map(|(raw, event)| Received { event, format, raw });
        let outcomes = self.runtime.block_on(self.hub.receive(&self.link, received.collect()));
        let mut verdict = Verdict::Taken;
        for (raw, outcome) in raws.iter().zip(outcomes) {
            let one = match outcome {
                Outcome::Accepted(_) | Outcome::Repeated(_) => Verdict::Taken,
                Outcome::Full | Outcome::Failed => Verdict::Later,
                Outcome::Conflict => {
                    self.kept(raw, format, "another message with this number was accepted before")
                }
                Outcome::TooLong => self.kept(raw, format, "it is longer than this receiver takes"),
            };
            if one == Verdict::Later {
                verdict = one;
            }
        }
        verdict
    }

    /// Keeps what would come again for ever where people see it, so that it need not.
    fn kept(&self, raw: &Bytes, format: &'static str, reason: &str) -> Verdict {
        if self.keep_aside(raw.clone(), format, reason) { Verdict::Taken } else { Verdict::Later }
    }

    fn keep_aside(&self, raw: Bytes, format: &'static str, reason: &str) -> bool {
        self.link.answered(0, 0, 1, self.hub.now());
        self.hub.keep_aside(&Quarantined {
            at: self.hub.now(),
            system: self.link.name().to_owned(),
            kind: format.to_uppercase(),
            source_id: String::new(),
            reason: reason.to_owned(),
            raw,
        })
    }
}

/// A protocol that an analyser speaks, from the hub's end.
pub(super) trait Speaker {
    /// Bytes that came.
    fn receive(&mut self, bytes: &[u8], intake: &Intake);
    /// What is to be written next; blocks while messages are made durable.
    fn next_write(&mut self, intake: &Intake) -> Option<Bytes>;
    /// The line is gone.
    fn hang_up(&mut self, intake: &Intake);
}

/// LIS1-A and LIS2-A2.
#[derive(Debug)]
pub(super) struct Lis2 {
    conversation: link::Conversation,
    began: Instant,
}

impl Lis2 {
    /// On an idle line.
    pub(super) fn new(message_bytes_max: usize) -> Self {
        Self { conversation: link::Conversation::new(Role::Host, message_bytes_max), began: Instant::now() }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn message(&mut self, bytes: &Bytes, intake: &Intake) {
        let verdict = match by_patient(bytes) {
            Ok(parts) => intake.commit(parts, super::FORMAT),
            Err(error) => intake.kept(bytes, super::FORMAT, &error.to_string()),
        };
        let now = self.now();
        let decided = match verdict {
            Verdict::Taken => link::Verdict::Taken,
            Verdict::Later => link::Verdict::Later,
        };
        self.conversation.decide(decided, now);
        if verdict == Verdict::Taken && Message::parse(bytes).is_ok_and(|message| is_query(&message)) {
            let answer = no_information(intake.hub.identity().id.as_str());
            if !self.conversation.send(answer.as_bytes(), Framing::RecordAFrame, now) {
                tracing::info!(link = intake.link.name(), "an analyser asks before it took the last answer");
            }
        }
    }
}

impl Speaker for Lis2 {
    fn receive(&mut self, bytes: &[u8], _: &Intake) {
        let now = self.now();
        self.conversation.receive(bytes, now);
        self.conversation.tick(now);
    }

    fn next_write(&mut self, intake: &Intake) -> Option<Bytes> {
        loop {
            match self.conversation.next_action()? {
                link::Action::Write(bytes) => return Some(bytes),
                link::Action::Message(bytes) => self.message(&bytes, intake),
                link::Action::Torn(bytes, reason) => drop(intake.keep_aside(bytes, super::FORMAT, reason)),
                link::Action::Sent => {
                    tracing::debug!(link = intake.link.name(), "an analyser took an answer")
                }
                link::Action::NotSent(reason) => {
                    tracing::info!(link = intake.link.name(), reason, "an analyser did not take an answer");
                }
            }
        }
    }

    fn hang_up(&mut self, intake: &Intake) {
        self.conversation.hang_up();
        while let Some(action) = self.conversation.next_action() {
            if let link::Action::Torn(bytes, reason) = action {
                intake.keep_aside(bytes, super::FORMAT, reason);
            }
        }
    }
}

/// POCT1-A.
#[derive(Debug)]
pub(super) struct Poct1a {
    conversation: poct1a_conversation::Conversation,
    began: Instant,
}

impl Poct1a {
    /// On a new connection.
    pub(super) fn new(message_bytes_max: usize) -> Self {
        let conversation = poct1a_conversation::Conversation::new(message_bytes_max);
        Self { conversation, began: Instant::now() }
    }

    fn now(&self, intake: &Intake) -> poct1a_conversation::Now {
        poct1a_conversation::Now { since: self.began.elapsed(), clock: intake.hub.now() }
    }
}

impl Speaker for Poct1a {
    fn receive(&mut self, bytes: &[u8], intake: &Intake) {
        let now = self.now(intake);
        self.conversation.receive(bytes, now);
        self.conversation.tick(now);
    }

    fn next_write(&mut self, intake: &Intake) -> Option<Bytes> {
        use poct1a_conversation::{Action, Verdict as Decided};
        loop {
            match self.conversation.next_action()? {
                Action::Write(bytes) => return Some(bytes),
                Action::Message(raw, message) => {
                    let sender = poct1a::sender(self.conversation.device());
                    let verdict = match poct1a::by_patient(&raw, &message, &sender) {
                        Ok(parts) => intake.commit(parts, poct1a::FORMAT),
                        Err(error) => intake.kept(&raw, poct1a::FORMAT, &error.to_string()),
                    };
                    let decided = match verdict {
                        Verdict::Taken => Decided::Taken,
                        Verdict::Later => Decided::Later,
                    };
                    self.conversation.decide(decided, self.now(intake));
                }
                Action::Refused(bytes, reason) => drop(intake.keep_aside(bytes, poct1a::FORMAT, reason)),
                Action::Introduced(device) => {
                    tracing::info!(
                        link = intake.link.name(),
                        device = poct1a::sender(&device),
                        "a device introduced itself"
                    );
                }
                Action::NotDone(reason) => tracing::info!(link = intake.link.name(), reason, "a device"),
            }
        }
    }

    fn hang_up(&mut self, intake: &Intake) {
        self.conversation.hang_up();
        while let Some(action) = self.conversation.next_action() {
            if let poct1a_conversation::Action::Refused(bytes, reason) = action {
                intake.keep_aside(bytes, poct1a::FORMAT, reason);
            }
        }
    }
}
