//! Carrying entries to the centre: the loop that joins the outbox, the journal and a session with a broker.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    codec::cbor,
    domain::{
        booking::HeardThrough,
        entry::{Batch, Health, Receipt, WIRE_VERSION},
        ids::Class,
    },
    flow::{
        alarm::AlarmCode,
        send::Outgoing,
        status::{HubStatus, LinkState},
    },
    sys::{blocking::blocking, entropy::Entropy},
};

use super::{
    backoff::Backoff,
    batch,
    outbox::{AfterRefusal, Limits, Outbox, Plan},
    uplink::{Command, Event, Inbound, Publication, RefusalReason, Session, Ticket, Uplink, UplinkError},
};

/// How often the hub says how it is.
const HEALTH_EVERY: Duration = Duration::from_secs(30);
/// How soon it says what it has heard: several at once.
const HEARD_WITHIN: Duration = Duration::from_millis(200);
/// Unconfirmed repetitions from which the centre counts as silent.
const SILENT_REPEATS: u32 = 2;
/// A receipt with every list at its limit takes about 40 kB.
const RECEIPT_BYTES_MAX: usize = 256 << 10;
/// How long to wait for the goodbye to go out.
const GOODBYE: Duration = Duration::from_secs(2);
/// What a packet takes besides the payload: topic, properties and headers.
const PACKET_OVERHEAD_BYTES: usize = 1024;

/// The courier of one hub.
pub struct Courier {
    outgoing: Outgoing,
    uplink: Box<dyn Uplink>,
    outbox: Outbox,
    entropy: Entropy,
    backoff: Backoff,
    began: Instant,
    tickets: u64,
}

impl Courier {
    /// A courier for a hub's way out.
    pub fn new(outgoing: Outgoing, uplink: Box<dyn Uplink>, limits: Limits, entropy: Entropy) -> Self {
        let (outbox, began) = (Outbox::new(limits), Instant::now());
        Self { outgoing, uplink, outbox, entropy, backoff: Backoff::default(), began, tickets: 0 }
    }

    /// With another back-off than the usual one.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Works until `stop` changes. Connects again, with back-off, whenever the connection is lost.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut backoff = self.backoff;
        while !*stop.borrow() {
            let connected = tokio::select! {
                connected = self.uplink.connect() => connected,
                _ = stop.changed() => return,
            };
            let ended = match connected {
                Ok(session) => {
                    backoff.connected(self.elapsed());
                    self.serve(session, &mut stop).await
                }
                Err(error) => error,
            };
            self.link_is_down(&ended);
            if *stop.borrow() {
                return;
            }
            let random = self.entropy.next_u64();
            let wait = backoff.failed(self.elapsed(), random);
            tracing::info!(error = %ended, wait_seconds = wait.as_secs_f32(), "no connection to the centre");
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.changed() => return,
            }
        }
    }

    /// Serves one session to its end.
    async fn serve(&mut self, mut session: Session, stop: &mut watch::Receiver<bool>) -> UplinkError {
        self.link_is_up();
        self.outbox.connected();
        let batch_bytes_max = session.limits.packet_bytes_max.saturating_sub(PACKET_OVERHEAD_BYTES);
        let window = usize::from(session.limits.in_flight_max);
        let mut commits = self.outgoing.commits();
        let mut heard = self.outgoing.hub().heard();
        let mut records = self.outgoing.hub().records_heard();
        let mut health_at = Instant::now();
        let ended = loop {
            if let Err(error) = self.pump(&session.commands, batch_bytes_max, window).await {
                break UplinkError::Broken(format!("the journal cannot be read: {error}"));
            }
            if health_at <= Instant::now() {
                self.say_health(&session.commands, true);
                health_at = Instant::now() + HEALTH_EVERY;
            }
            // While nothing can be sent, a deadline that has passed is no reason to wake: a PUBACK is.
            let may_send = self.outbox.in_flight() < window && 0 < session.commands.capacity();
            let deadline = self.outbox.deadline().filter(|_| may_send);
            let deadline = deadline.map_or(health_at, |at| health_at.min(self.began + at));
            tokio::select! {
                event = session.events.recv() => match event {
                    Some(Event::Closed(error)) => break error,
                    Some(event) => {
                        if let Err(error) = self.handle(event, &session.commands).await {
                            break error;
                        }
                    }
                    None => break UplinkError::Broken("the session ended without a word".to_owned()),
                },
                changed = commits.changed() => if changed.is_err() { break UplinkError::Requested },
                // The centre sends on once it knows what has arrived.
                Ok(()) = heard.changed() => health_at = health_at.min(Instant::now() + HEARD_WITHIN),
                Ok(()) = records.changed() => health_at = health_at.min(Instant::now() + HEARD_WITHIN),
                () = sleep_until(deadline) => {}
                _ = stop.changed() => {
                    self.say_goodbye(&mut session).await;
                    break UplinkError::Requested;
                }
            }
        };
        self.outbox.disconnected();
        ended
    }

    /// Sends what the outbox wants sent, as far as the session takes it without waiting.
    async fn pump(
        &mut self,
        commands: &mpsc::Sender<Command>,
        bytes_max: usize,
        window: usize,
    ) -> io::Result<()> {
        for class in Class::ALL {
            let streams = self.outgoing.streams(class).into_iter();
            self.outbox
                .set_streams(class, streams.map(|stream| (stream.epoch, stream.last, stream.released)));
        }
        while self.outbox.in_flight() < window {
            let Ok(permit) = commands.try_reserve() else { break };
            let now = self.elapsed();
            let Some(plan) = self.outbox.plan(now) else { break };
            let Some((publication, last, bytes)) = self.load(&plan, bytes_max)? else { break };
            self.tickets += 1;
            let ticket = Ticket(self.tickets);
            self.outbox.sent(ticket, &plan, last, bytes, now);
            {
                let mut centre = self.outgoing.hub().centre();
                centre.batches_sent += 1;
                centre.bytes_sent += publication.payload.len() as u64;
            }
            permit.send(Command::Publish(ticket, publication));
            // Compressing takes a while: let PUBACKs and receipts in between.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Reads and encodes one batch: the publication, its last number, and its entries' bytes.
    fn load(&mut self, plan: &Plan, bytes_max: usize) -> io::Result<Option<(Publication, u64, usize)>> {
        let place = (plan.class, plan.epoch, plan.first);
        let limit = plan.bytes_max.min(bytes_max);
        let portion = blocking(|| self.outgoing.read(place, limit, plan.entries_max))?;
        if portion.next <= plan.first {
            return Ok(None);
        }
        let hub = self.outgoing.identity().id.clone();
        let topic = format!("polygate/{WIRE_VERSION}/{hub}/up/{}", plan.class);
        let last = portion.next - 1;
        let size = |raw: &Option<Bytes>| raw.as_ref().map_or(0, Bytes::len);
        let bytes = portion.entries.iter().map(|entry| entry.body.len() + size(&entry.raw)).sum();
        let streams = self.outgoing.streams(plan.class).into_iter();
        // So that the centre names again every refusal that this hub has not kept aside yet, and no other.
        let confirmed =
            streams.filter(|stream| stream.epoch == plan.epoch).map(|stream| stream.released).max();
        let confirmed = confirmed.unwrap_or(plan.first - 1);
        let user_properties = vec![
            ("epoch", plan.epoch.0.to_string()),
            ("first", plan.first.to_string()),
            ("last", last.to_string()),
            ("confirmed", confirmed.to_string()),
        ];
        let batch = Batch {
            v: WIRE_VERSION,
            hub,
            class: plan.class,
            epoch: plan.epoch,
            first: plan.first,
            entries: portion.entries,
            absent: portion.absent,
        };
        let (content_type, payload) =
            blocking(|| batch::encode(&batch)).map_err(|_| io::ErrorKind::InvalidData)?;
        let content_type = Some(content_type);
        Ok(Some((Publication { topic, payload, content_type, retain: false, user_properties }, last, bytes)))
    }

    async fn handle(&mut self, event: Event, commands: &mpsc::Sender<Command>) -> Result<(), UplinkError> {
        match event {
            Event::Acknowledged(ticket) => self.outbox.acknowledged(ticket),
            Event::Refused(ticket, reason) => return self.refused(ticket, reason),
            Event::Received(delivery, inbound) => {
                self.received(&inbound).await?;
                // What it says is durable, or of no use: either way the broker need not keep it.
                if commands.send(Command::Acknowledge(delivery)).await.is_err() {
                    tracing::debug!("the session ended before a message could be acknowledged");
                }
            }
            Event::Closed(error) => return Err(error),
        }
        Ok(())
    }

    fn refused(&mut self, ticket: Ticket, reason: RefusalReason) -> Result<(), UplinkError> {
        match reason {
            // The entry is not at fault: someone must mend the broker, and then everything goes on.
            RefusalReason::NotAuthorised | RefusalReason::TopicNameInvalid => {
                let broker = self.outgoing.hub().centre().broker.clone();
                return Err(UplinkError::Rejected { broker, reason: reason.to_string() });
            }
            RefusalReason::PacketTooLarge | RefusalReason::PayloadFormatInvalid => {}
        }
        if let Some(AfterRefusal::Park(class, epoch, sequence)) = self.outbox.refused(ticket) {
            self.park((class, epoch, sequence), &reason.to_string())?;
        }
        Ok(())
    }

    /// What came from the centre.
    async fn received(&mut self, inbound: &Inbound) -> Result<(), UplinkError> {
        let mut levels = inbound.topic.split('/').skip(3);
        match levels.next() {
            Some("receipt") => self.receipt(inbound).await,
            Some("down") => {
                let kind = levels.next().unwrap_or_default();
                let outgoing = &self.outgoing;
                outgoing.hub().take_from_centre(kind, inbound.payload.clone()).await.map_err(|_| closed())
            }
            _ => Ok(()),
        }
    }

    async fn receipt(&mut self, inbound: &Inbound) -> Result<(), UplinkError> {
        let receipt: Receipt = match cbor::decode(&inbound.payload, RECEIPT_BYTES_MAX) {
            Ok(receipt) => receipt,
            Err(error) => {
                tracing::warn!(%error, topic = inbound.topic, "a receipt cannot be read");
                return Ok(());
            }
        };
        if receipt.v != WIRE_VERSION || receipt.hub != self.outgoing.identity().id {
            return Ok(());
        }
        for refused in &receipt.refused {
            self.park((receipt.class, receipt.epoch, refused.seq), &refused.reason)?;
        }
        let confirmed = self.outgoing.confirm(receipt.class, receipt.epoch, receipt.through).await;
        let newly = confirmed.map_err(|_| closed())?;
        let now = self.elapsed();
        self.outbox.receipt(&receipt, now);
        let hub = self.outgoing.hub();
        let moment = hub.now();
        hub.alarms().clear(AlarmCode::ReceiptsOverdue, "");
        let mut centre = hub.centre();
        centre.last_receipt = Some(moment);
        centre.confirmed += newly;
        Ok(())
    }

    fn park(
        &mut self,
        place: (Class, crate::domain::ids::Epoch, u64),
        reason: &str,
    ) -> Result<(), UplinkError> {
        blocking(|| self.outgoing.park(place, reason))
            .map_err(|error| UplinkError::Broken(format!("a refused entry cannot be kept aside: {error}")))
    }

    fn say_health(&mut self, commands: &mpsc::Sender<Command>, online: bool) {
        let status = blocking(|| self.outgoing.hub().condition());
        if SILENT_REPEATS <= self.outbox.repeats() {
            let hub = self.outgoing.hub();
            let text = "connected to the broker, but the centre confirms nothing";
            hub.alarms().raise(AlarmCode::ReceiptsOverdue, "", text, status.now);
        }
        let heard = self.outgoing.hub().heard().borrow().clone();
        let records = self.outgoing.hub().records_heard().borrow().clone();
        let health = Health { records, ..health(&status, heard, online) };
        let Ok(payload) = cbor::encode(&health) else { return };
        self.tickets += 1;
        let publication = Publication {
            topic: format!("polygate/{WIRE_VERSION}/{}/status", status.hub),
            payload: Bytes::from(payload),
            content_type: Some(batch::PLAIN),
            retain: true,
            user_properties: Vec::new(),
        };
        // Not tracked: the next one comes soon, and nothing depends on it.
        if commands.try_send(Command::Publish(Ticket(self.tickets), publication)).is_err() {
            tracing::debug!("the window is full: health is said later");
        }
    }

    async fn say_goodbye(&mut self, session: &mut Session) {
        self.say_health(&session.commands, false);
        let ended = async {
            if session.commands.send(Command::Disconnect).await.is_ok() {
                while session.events.recv().await.is_some() {}
            }
        };
        if timeout(GOODBYE, ended).await.is_err() {
            tracing::debug!("the broker did not take the goodbye in time");
        }
    }

    fn link_is_up(&self) {
        let hub = self.outgoing.hub();
        let now = hub.now();
        hub.alarms().clear(AlarmCode::CentreUnreachable, "");
        hub.alarms().clear(AlarmCode::IdentityTakenOver, "");
        hub.alarms().clear(AlarmCode::Certificate, "");
        let mut centre = hub.centre();
        centre.connections += 1;
        if centre.state != LinkState::Up {
            (centre.state, centre.since) = (LinkState::Up, now);
            centre.detail.clear();
        }
    }

    fn link_is_down(&self, error: &UplinkError) {
        let hub = self.outgoing.hub();
        let now = hub.now();
        let text = error.to_string();
        if *error == UplinkError::TakenOver {
            hub.alarms().raise(AlarmCode::IdentityTakenOver, "", text.clone(), now);
        }
        if matches!(error, UplinkError::Credentials(_)) {
            hub.alarms().raise(AlarmCode::Certificate, "", text.clone(), now);
        }
        if *error != UplinkError::Requested {
            hub.alarms().raise(AlarmCode::CentreUnreachable, "", text.clone(), now);
        }
        let mut centre = hub.centre();
        if centre.state != LinkState::Down {
            (centre.state, centre.since) = (LinkState::Down, now);
        }
        centre.detail = text;
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The last will, for the uplink's options: what the broker says of a hub that has gone without a word.
pub fn last_will(hub: &crate::domain::ids::HubId) -> Option<Publication> {
    let health = Health {
        v: WIRE_VERSION,
        hub: hub.clone(),
        online: false,
        at: None,
        version: String::new(),
        condition: String::new(),
        alarms: Vec::new(),
        queued: Vec::new(),
        heard: None,
        records: None,
    };
    Some(Publication {
        topic: format!("polygate/{WIRE_VERSION}/{hub}/status"),
        payload: Bytes::from(cbor::encode(&health).ok()?),
        content_type: Some(batch::PLAIN),
        retain: true,
        user_properties: Vec::new(),
    })
}

fn health(status: &HubStatus, heard: Option<HeardThrough>, online: bool) -> Health {
    Health {
        v: WIRE_VERSION,
        hub: status.hub.clone(),
        online,
        at: Some(status.now),
        version: status.version.to_owned(),
        condition: status.condition.word().to_owned(),
        alarms: status.alarms.iter().map(|alarm| alarm.code.code().to_owned()).collect(),
        queued: status.queue.iter().map(|queue| queue.entries).collect(),
        heard,
        records: None,
    }
}

fn closed() -> UplinkError {
    UplinkError::Broken("the journal is closed".to_owned())
}
