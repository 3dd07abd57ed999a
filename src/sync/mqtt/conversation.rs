//! The task that serves one open connection: the owner's commands in, rumqttc's events out.
//!
//! It never waits for the owner while rumqttc waits for it, and holds at most a stated number of everything.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use rumqttc::{
    Outgoing,
    v5::{
        Event as ClientEvent, Incoming,
        mqttbytes::{
            QoS,
            v5::{PubAck, PubAckReason, Publish, PublishProperties},
        },
    },
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Link, RECEIVE_MAX,
    driver::{End, Notice},
    window::Window,
    words,
};
use crate::sync::uplink::{
    Command, Delivery, Event, Inbound, Limits, Publication, RefusalReason, Session, Ticket, UplinkError,
};

/// Strings in MQTT are at most this long (MQTT 5, section 1.5.4); rumqttc would cut the length short.
const STRING_BYTES_MAX: usize = 65_535;
/// Fewer bytes than this within the PUBACK deadline are pings and acknowledgements, not a batch on its way.
const PROGRESS_BYTES: u64 = 4096;

/// One open connection's state.
pub(super) struct Conversation {
    link: Link,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    packet_bytes_max: usize,
    window: Window,
    /// Publications the window has no room for yet; at most as many as the window takes.
    waiting: VecDeque<(Ticket, Publication)>,
    /// Events the owner has not taken yet; at most [`Conversation::events_max`].
    outbox: VecDeque<Event>,
    /// Received and not acknowledged, by delivery; at most [`RECEIVE_MAX`].
    unacknowledged: HashMap<u64, u16>,
    deliveries: u64,
    sent_bytes: u64,
    leaving: Leaving,
}

/// What woke the conversation.
#[expect(clippy::large_enum_variant, reason = "few exist at a time, and a box for each packet costs more")]
enum Next {
    Room,
    OwnerGone,
    Command(Command),
    Notice(Notice),
    Deadline,
}

/// How far a goodbye has come.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Leaving {
    No,
    Asked,
    Said,
}

impl Conversation {
    /// Begins to serve. `early` came before the subscription was confirmed.
    pub(super) fn start(link: Link, window: Window, packet_bytes_max: usize, early: Vec<Publish>) -> Session {
        let in_flight_max = u16::try_from(window.size()).unwrap_or(u16::MAX);
        let (command_sender, commands) = mpsc::channel(window.size());
        let (events, event_receiver) = mpsc::channel(window.size() + usize::from(RECEIVE_MAX));
        let mut conversation = Self {
            sent_bytes: link.tunnel.sent_bytes(),
            link,
            commands,
            events,
            packet_bytes_max,
            window,
            waiting: VecDeque::new(),
            outbox: VecDeque::new(),
            unacknowledged: HashMap::new(),
            deliveries: 0,
            leaving: Leaving::No,
        };
        tokio::spawn(async move {
            let ended = match early.into_iter().try_for_each(|publish| conversation.received(publish)) {
                Ok(()) => conversation.talk().await,
                Err(error) => error,
            };
            conversation.finish(ended).await;
        });
        let limits = Limits { packet_bytes_max, in_flight_max };
        Session { limits, commands: command_sender, events: event_receiver }
    }

    /// Every outstanding publication and delivery may have an event; beyond that rumqttc is not read.
    fn events_max(&self) -> usize {
        2 * self.window.size() + usize::from(RECEIVE_MAX)
    }

    async fn talk(&mut self) -> UplinkError {
        loop {
            if let Err(error) = self.submit() {
                return error;
            }
            let listening = self.outbox.len() < self.events_max();
            let obeying = self.waiting.len() < self.window.size() && self.leaving == Leaving::No;
            let deadline = self.window.deadline().filter(|_| listening);
            let next = tokio::select! {
                permit = self.events.reserve(), if !self.outbox.is_empty() => {
                    permit.map_or(Next::OwnerGone, |_| Next::Room)
                }
                () = self.events.closed() => Next::OwnerGone,
                command = self.commands.recv(), if obeying => command.map_or(Next::OwnerGone, Next::Command),
                notice = self.link.driver.next(), if listening => Next::Notice(notice),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Next::Deadline,
            };
            let done = match next {
                Next::Room => self.tell(),
                Next::OwnerGone => Err(UplinkError::Requested),
                Next::Command(command) => self.obey(command),
                Next::Notice(notice) => self.heed(notice),
                Next::Deadline => self.check(),
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    /// Ends the connection first, so that it is gone when the owner hears of it.
    async fn finish(self, ended: UplinkError) {
        let Self { link, events, outbox, commands, .. } = self;
        drop((link, commands));
        for event in outbox.into_iter().chain([Event::Closed(ended)]) {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }

    /// Hands over what there is room for.
    fn submit(&mut self) -> Result<(), UplinkError> {
        while self.window.has_room() {
            let Some((ticket, publication)) = self.waiting.pop_front() else { break };
            let (topic, retain) = (publication.topic, publication.retain);
            let properties = properties(publication.content_type, publication.user_properties);
            self.link
                .client
                .try_publish_with_properties(topic, QoS::AtLeastOnce, retain, publication.payload, properties)
                .map_err(|_| full())?;
            self.window.submitted(ticket, Instant::now());
        }
        if self.leaving == Leaving::Asked && self.waiting.is_empty() {
            self.leaving = Leaving::Said;
            self.link.client.try_disconnect().map_err(|_| full())?;
        }
        Ok(())
    }

    /// Gives the owner the next event, for which there is room.
    fn tell(&mut self) -> Result<(), UplinkError> {
        let Some(event) = self.outbox.pop_front() else { return Ok(()) };
        self.events.try_send(event).map_err(|_| UplinkError::Requested)
    }

    fn obey(&mut self, command: Command) -> Result<(), UplinkError> {
        match command {
            Command::Disconnect => self.leaving = Leaving::Asked,
            Command::Publish(ticket, publication) => match self.unfit(&publication) {
                Some(reason) => self.outbox.push_back(Event::Refused(ticket, reason)),
                None => self.waiting.push_back((ticket, publication)),
            },
            Command::Acknowledge(delivery) => {
                if let Some(packet_id) = self.unacknowledged.remove(&delivery.0) {
                    let mut received = Publish::new("", QoS::AtLeastOnce, Bytes::new(), None);
                    received.pkid = packet_id;
                    self.link.client.try_ack(&received).map_err(|_| full())?;
                }
            }
        }
        Ok(())
    }

    /// What the broker would refuse, or rumqttc would break the connection over, again and again.
    fn unfit(&self, publication: &Publication) -> Option<RefusalReason> {
        let topic = &publication.topic;
        let illegal = |character: char| matches!(character, '+' | '#' | '\0');
        if topic.is_empty() || STRING_BYTES_MAX < topic.len() || topic.contains(illegal) {
            return Some(RefusalReason::TopicNameInvalid);
        }
        let user_properties = publication.user_properties.clone();
        let too_long = |(_, value): &(&str, String)| STRING_BYTES_MAX < value.len();
        let long = user_properties.iter().any(too_long);
        let properties = properties(publication.content_type, user_properties);
        let mut packet = Publish::new(topic, QoS::AtLeastOnce, publication.payload.clone(), Some(properties));
        packet.pkid = 1;
        (long || self.packet_bytes_max < packet.size()).then_some(RefusalReason::PacketTooLarge)
    }

    fn heed(&mut self, notice: Notice) -> Result<(), UplinkError> {
        match notice {
            Notice::Ended(end) => Err(self.over(end)),
            Notice::Event(ClientEvent::Outgoing(Outgoing::Publish(packet_id))) => {
                let broken = |_| UplinkError::Broken("packet identifiers are out of step".to_owned());
                self.window.sent(packet_id).map_err(broken)
            }
            Notice::Event(ClientEvent::Incoming(Incoming::PubAck(answer))) => self.answered(&answer),
            Notice::Event(ClientEvent::Incoming(Incoming::Publish(publish))) => self.received(publish),
            Notice::Event(_) => Ok(()),
        }
    }

    fn answered(&mut self, answer: &PubAck) -> Result<(), UplinkError> {
        let unasked = || UplinkError::Broken("the broker acknowledged what was not sent".to_owned());
        let ticket = self.window.answered(answer.pkid, Instant::now()).ok_or_else(unasked)?;
        self.outbox.push_back(match answer.reason {
            // That nobody listens is the centre's trouble: without a receipt the owner sends again.
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Event::Acknowledged(ticket),
            PubAckReason::NotAuthorized => Event::Refused(ticket, RefusalReason::NotAuthorised),
            PubAckReason::TopicNameInvalid => Event::Refused(ticket, RefusalReason::TopicNameInvalid),
            PubAckReason::PayloadFormatInvalid => Event::Refused(ticket, RefusalReason::PayloadFormatInvalid),
            PubAckReason::QuotaExceeded
            | PubAckReason::ImplementationSpecificError
            | PubAckReason::UnspecifiedError
            | PubAckReason::PacketIdentifierInUse => {
                let reason = format!("the broker cannot take messages now ({:?})", answer.reason);
                return Err(UplinkError::Broken(reason));
            }
        });
        Ok(())
    }

    fn received(&mut self, publish: Publish) -> Result<(), UplinkError> {
        if publish.qos == QoS::AtLeastOnce {
            // Some brokers repeat what we have not acknowledged yet within the connection.
            if self.unacknowledged.values().any(|packet_id| *packet_id == publish.pkid) {
                return Ok(());
            }
            if usize::from(RECEIVE_MAX) <= self.unacknowledged.len() {
                return Err(UplinkError::Broken(words::RECEIVE_MAX_EXCEEDED.to_owned()));
            }
        }
        let topic = String::from_utf8(publish.topic.to_vec())
            .map_err(|_| UplinkError::Broken("the broker sent a topic that is not UTF-8".to_owned()))?;
        self.deliveries += 1;
        if publish.qos == QoS::AtLeastOnce {
            self.unacknowledged.insert(self.deliveries, publish.pkid);
        }
        let properties = publish.properties.unwrap_or_default();
        let inbound = Inbound {
            topic,
            payload: publish.payload,
            content_type: properties.content_type,
            user_properties: properties.user_properties,
            retained: publish.retain,
        };
        self.outbox.push_back(Event::Received(Delivery(self.deliveries), inbound));
        Ok(())
    }

    /// Nothing was answered within the deadline: a stall, unless a large batch is still going out.
    fn check(&mut self) -> Result<(), UplinkError> {
        let sent_bytes = self.link.tunnel.sent_bytes();
        let moved = sent_bytes.saturating_sub(std::mem::replace(&mut self.sent_bytes, sent_bytes));
        if moved < PROGRESS_BYTES {
            let seconds = self.window.patience().as_secs();
            return Err(UplinkError::Stalled { seconds, waiting_for: "the broker's PUBACK" });
        }
        self.window.moved(Instant::now());
        Ok(())
    }

    fn over(&self, end: End) -> UplinkError {
        match end {
            End::Disconnected => UplinkError::Requested,
            End::Error(error) => error,
            End::Rejected(guess) | End::Broken(guess) => self.link.why(guess),
        }
    }
}

fn full() -> UplinkError {
    UplinkError::Broken("the MQTT client takes no more".to_owned())
}

fn properties(content_type: Option<&str>, user_properties: Vec<(&str, String)>) -> PublishProperties {
    let owned = user_properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    PublishProperties {
        content_type: content_type.map(str::to_owned),
        user_properties: owned,
        ..PublishProperties::default()
    }
}
