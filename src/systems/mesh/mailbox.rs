//! A mailbox: looked into at intervals; what lies in it becomes durable here before MESH may forget it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::{
    codec::edifact::nhsack::{MessageVerdict, NhsAck},
    domain::time::Timestamp,
    flow::{
        alarm::AlarmCode,
        hub::Hub,
        link::Link,
        receive::{Outcome, Quarantined, Received},
    },
};

use super::{
    client::{Delivered, MeshClient, MeshError, NonDelivery, Outgoing},
    incoming::{self, Opened, Opening, Refused},
    ledger::{Fate, Ledger, Sent},
};

/// MESH gives a message back to its sender after five days.
const EXPIRY: Duration = Duration::from_secs(5 * 24 * 3600);
/// A mailbox unread for this long raises an alarm: four days are left to do something.
const UNREAD_ALARM: Duration = Duration::from_secs(24 * 3600);
/// How long an alarm about what may have expired stands after the mailbox is read again.
const EXPIRED_STANDS: Duration = Duration::from_secs(24 * 3600);
/// How long a rejected or uncollected delivery is counted by the alarm about it: somebody has seen it by then.
const FAILED_STANDS: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often the ledger notes that the mailbox was read: each note is a synchronised write.
const NOTE_READ_EVERY: Duration = Duration::from_secs(60);
/// Messages that cannot be taken at all and are left to expire, so that their senders hear of it.
const LEFT_MAX: usize = 1_000;
/// What may be sent to the quarantine in place of a report of MESH that has no body.
const NOTE_BYTES_MAX: usize = 4096;
/// What EDIFACT is as a media type (RFC 1767).
pub(super) const EDIFACT_MEDIA_TYPE: &str = "application/edifact";

/// How a mailbox is served.
#[derive(Clone, Debug)]
pub struct MailboxOptions {
    /// How often to look. NHS England asks for at most every five minutes.
    pub poll: Duration,
    /// Workflow ids of what is taken. Their acknowledgements, with `_ACK` behind, are taken as well.
    pub workflows: BTreeSet<String>,
    /// Whether interchanges marked as tests are taken like any other.
    pub tests: bool,
    /// UNB's application reference in an NHSACK.
    pub acknowledgement_application: String,
    /// How long an NHSACK may take before an alarm says that it is overdue.
    pub acknowledgement: Duration,
}

impl Default for MailboxOptions {
    fn default() -> Self {
        let workflows = [
            "PATH_MEDRPT_V3",
            "SCRN_BCS_MEDRPT_V4",
            "RAD_MEDRPT_V4",
            "OOH_ADASTRA",
            "OOH_MESSAGE",
            "OOH_DMS",
        ];
        Self {
            poll: Duration::from_secs(300),
            workflows: workflows.map(str::to_owned).into(),
            tests: false,
            acknowledgement_application: "NHSACK".to_owned(),
            acknowledgement: Duration::from_secs(2 * 24 * 3600),
        }
    }
}

/// This hub's mailbox. Deliveries share it with what looks into it.
#[derive(Debug)]
pub struct Mailbox {
    hub: Arc<Hub>,
    link: Arc<Link>,
    client: MeshClient,
    ledger: Ledger,
    options: MailboxOptions,
    /// Messages left where they are, for this run.
    left: Mutex<BTreeSet<String>>,
    /// When the mailbox was read last, and when an outage ended in which messages may have expired.
    outage: Mutex<Outage>,
    /// Whether the last look succeeded.
    is_up: AtomicBool,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Outage {
    began: Option<Timestamp>,
    noted: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// What may be done with a mailbox message.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Taken {
    /// It is durable here: MESH may forget it.
    Safe,
    /// It stays, and is taken again at the next look.
    Later(String),
}

impl Mailbox {
    /// A mailbox. `link` is what its messages come in by.
    pub fn new(
        hub: Arc<Hub>,
        link: Arc<Link>,
        client: MeshClient,
        ledger: Ledger,
        options: MailboxOptions,
    ) -> Arc<Self> {
        let outage = Outage { began: ledger.last_read(), ..Outage::default() };
        Arc::new(Self {
            hub,
            link,
            client,
            ledger,
            options,
            left: Mutex::default(),
            outage: Mutex::new(outage),
            is_up: AtomicBool::new(false),
            settled: Notify::new(),
        })
    }

    /// What was sent from here, and what became of it.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) const fn client(&self) -> &MeshClient {
        &self.client
    }

    pub(super) fn now(&self) -> Timestamp {
        self.hub.now()
    }

    /// Returns when something that was sent may have been settled.
    pub(super) fn settled(&self) -> tokio::sync::futures::Notified<'_> {
        self.settled.notified()
    }

    /// Looks into the mailbox at intervals until `stop` changes.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                read = self.look() => self.report(read),
                _ = stop.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = sleep(self.options.poll) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Looks into the mailbox once, to its end.
    ///
    /// # Errors
    /// Why it could not be read to its end. What came before that is taken all the same.
    pub async fn look(&self) -> Result<(), MeshError> {
        let mut failed = None;
        for id in self.client.inbox().await? {
            if self.is_left(&id) {
                continue;
            }
            match self.client.get(&id).await {
                Ok(Some(delivered)) => match self.take(&delivered).await {
                    Taken::Safe => self.client.acknowledge(&id).await?,
                    Taken::Later(reason) => {
                        tracing::warn!(
                            link = self.link.name(),
                            message = id,
                            reason,
                            "a message stays in the mailbox"
                        );
                    }
                },
                Ok(None) => {}
                // One message that cannot be had must not hold up those behind it.
                Err(error @ (MeshError::TooLong | MeshError::Refused { .. } | MeshError::Malformed(_))) => {
                    tracing::error!(link = self.link.name(), message = id, %error, "a message cannot be fetched");
                    if matches!(error, MeshError::TooLong) {
                        self.leave(&id);
                    } else {
                        failed = Some(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Says how a look went: the link, the time it was read, and alarms.
    pub(super) fn report(&self, read: Result<(), MeshError>) {
        let now = self.now();
        match read {
            Ok(()) => {
                if !self.is_up.swap(true, Ordering::Relaxed) {
                    self.link.connected(now);
                }
                self.note_read(now);
            }
            Err(error) => {
                tracing::warn!(link = self.link.name(), %error, "the mailbox cannot be read");
                if self.is_up.swap(false, Ordering::Relaxed) {
                    self.link.disconnected(now);
                }
                self.link.down(&error.to_string(), now);
            }
        }
        self.watch_outage(now);
        self.watch_deliveries(now);
    }

    fn note_read(&self, now: Timestamp) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if outage.began.is_some_and(|began| EXPIRY < now.since(began)) {
            outage.ended = Some(now);
        }
        outage.began = Some(now);
        if outage.noted.is_none_or(|noted| NOTE_READ_EVERY <= now.since(noted)) {
            outage.noted = Some(now);
            if let Err(error) = blocking(|| self.ledger.was_read(now)) {
                tracing::error!(%error, link = self.link.name(), "the mailbox's memory cannot be written");
            }
        }
    }

    fn watch_outage(&self, now: Timestamp) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *outage.began.get_or_insert(now);
        let unread = now.since(began);
        let text = if EXPIRY < unread {
            format!("not read since {began}: messages go back to their senders undelivered")
        } else {
            format!("not read since {began}: after five days messages go back to their senders")
        };
        let ended = outage.ended.filter(|ended| now.since(*ended) < EXPIRED_STANDS);
        match ended {
            Some(ended) if unread < UNREAD_ALARM => {
                let text = format!(
                    "it had not been read for over five days until {ended}: messages may have gone back"
                );
                self.hub.alarms().raise(AlarmCode::MailboxUnread, self.link.name(), text, now);
            }
            _ => self.hub.alarms().set(
                UNREAD_ALARM <= unread,
                AlarmCode::MailboxUnread,
                self.link.name(),
                text,
                now,
            ),
        }
    }

    /// One alarm for each recipient that rejects, does not collect, or does not answer.
    fn watch_deliveries(&self, now: Timestamp) {
        let mut troubles: BTreeMap<String, [usize; 3]> = BTreeMap::new();
        for delivery in self.ledger.deliveries() {
            let Sent { mailbox, fate, since, .. } = delivery.sent;
            let counts = troubles.entry(mailbox).or_default();
            let is_new = now.since(since) < FAILED_STANDS;
            match fate {
                Fate::Rejected(_) if is_new => counts[0] += 1,
                Fate::NotDelivered(_) if is_new => counts[1] += 1,
                Fate::Awaited if self.options.acknowledgement < now.since(since) => counts[2] += 1,
                _ => {}
            }
        }
        let standing = self.hub.alarms().standing().into_iter();
        for alarm in standing.filter(|alarm| alarm.code == AlarmCode::DeliveryFailed) {
            troubles.entry(alarm.about).or_default();
        }
        for (mailbox, [rejected, returned, overdue]) in troubles {
            let text = format!("{rejected} rejected, {returned} not collected, {overdue} without an answer");
            let stands = 0 < rejected + returned + overdue;
            self.hub.alarms().set(stands, AlarmCode::DeliveryFailed, &mailbox, text, now);
        }
    }

    async fn take(&self, delivered: &Delivered) -> Taken {
        if let Some(report) = &delivered.report {
            return self.not_delivered(delivered, report);
        }
        let workflow = delivered.workflow.strip_suffix("_ACK").unwrap_or(&delivered.workflow);
        if !self.options.workflows.contains(workflow) {
            let refused = Refused {
                kind: delivered.workflow.clone(),
                source_id: delivered.id.clone(),
                reason: "its workflow id is not one that this mailbox takes".to_owned(),
                raw: delivered.body.clone(),
            };
            return self.set_aside(&refused);
        }
        match incoming::open(&delivered.body, self.options.tests) {
            Opened::Letter(received) => self.take_letter(*received).await,
            Opened::Interchange(opening) => self.take_interchange(delivered, *opening).await,
            Opened::Unreadable(refused, answer) => match self.set_aside(&refused) {
                Taken::Safe => self.answer(delivered, answer).await,
                later => later,
            },
        }
    }

    async fn take_letter(&self, letter: Received) -> Taken {
        let refused = |reason: &str| Refused {
            kind: letter.event.kind.clone(),
            source_id: letter.event.source_id.clone(),
            reason: reason.to_owned(),
            raw: letter.raw.clone(),
        };
        let (conflict, too_long) =
            (refused("another letter had this MsgId before"), refused("it is too long"));
        match self.hub.receive(&self.link, vec![letter]).await.first() {
            Some(Outcome::Accepted(_) | Outcome::Repeated(_)) => Taken::Safe,
            Some(Outcome::Conflict) => self.set_aside(&conflict),
            Some(Outcome::TooLong) => self.set_aside(&too_long),
            _ => Taken::Later("it could not be made durable".to_owned()),
        }
    }

    async fn take_interchange(&self, delivered: &Delivered, opening: Opening) -> Taken {
        let Opening { header, reports, acknowledgements } = opening;
        for acknowledgement in &acknowledgements {
            if let later @ Taken::Later(_) = self.acknowledged(delivered, acknowledgement) {
                return later;
            }
        }
        let mut verdicts: Vec<MessageVerdict> = Vec::with_capacity(reports.len());
        let mut submitted = Vec::new();
        let mut raws = Vec::new();
        for (reference, report) in reports {
            let rejected = match report {
                Ok(received) => {
                    let raw = received.raw.clone();
                    raws.push((
                        verdicts.len(),
                        raw,
                        received.event.kind.clone(),
                        received.event.source_id.clone(),
                    ));
                    submitted.push(received);
                    None
                }
                Err(refused) => {
                    self.link.answered(0, 0, 1, self.now());
                    if let later @ Taken::Later(_) = self.set_aside(&refused) {
                        return later;
                    }
                    Some(refused.reason)
                }
            };
            verdicts.push(MessageVerdict { reference, rejected });
        }
        let outcomes = self.hub.receive(&self.link, submitted).await;
        for (outcome, (place, raw, kind, source_id)) in outcomes.into_iter().zip(raws) {
            match incoming::verdict(outcome) {
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    let reason = reason.to_owned();
                    let refused = Refused { kind, source_id, reason: reason.clone(), raw };
                    if let later @ Taken::Later(_) = self.set_aside(&refused) {
                        return later;
                    }
                    verdicts[place].rejected = Some(reason);
                }
                None => return Taken::Later("a report could not be made durable".to_owned()),
            }
        }
        self.answer(delivered, incoming::answer(&header, verdicts)).await
    }

    /// Sends an NHSACK. Until it is sent the message stays, so that it is sent again.
    async fn answer(&self, delivered: &Delivered, answer: Option<NhsAck>) -> Taken {
        let Some(answer) = answer else { return Taken::Safe };
        let (to, from) = &answer.partners;
        let number =
            blocking(|| self.ledger.answer_number(&delivered.id, &from.to_string(), &to.to_string()));
        let Ok(number) = number else {
            return Taken::Later("the mailbox's memory cannot be written".to_owned());
        };
        let digits = super::local_digits(self.now());
        let moment = (digits.get(..8).unwrap_or_default(), digits.get(8..12).unwrap_or_default());
        let body = answer.encode(number, moment, &self.options.acknowledgement_application);
        let (workflow, local_id) = (format!("{}_ACK", delivered.workflow), format!("ack-{}", delivered.id));
        let outgoing = Outgoing {
            to: &delivered.from,
            workflow: &workflow,
            local_id: &local_id,
            content_type: EDIFACT_MEDIA_TYPE,
            body: Bytes::from(body),
        };
        match self.client.send(outgoing).await {
            Ok(_) => Taken::Safe,
            Err(error) if error.is_permanent() => {
                // Its reports are safe here; that their sender cannot be told is for people to sort out.
                tracing::error!(link = self.link.name(), %error, to = delivered.from, "an NHSACK cannot be sent");
                Taken::Safe
            }
            Err(error) => Taken::Later(format!("its NHSACK cannot be sent: {error}")),
        }
    }

    /// What a recipient says of something that was sent. It is matched by mailbox, partners and reference together,
    /// and never by anything less.
    fn acknowledged(&self, delivered: &Delivered, acknowledgement: &NhsAck) -> Taken {
        let (from, to) = &acknowledgement.partners;
        let partners = (from.id.as_str(), to.id.as_str());
        let found = self.ledger.matching(&delivered.from, partners, &acknowledgement.interchange);
        let Some((attempt, sent)) = found else {
            return self.set_aside(&Refused {
                kind: "NHSACK:NHS001".to_owned(),
                source_id: delivered.id.clone(),
                reason: "it acknowledges nothing that was sent from here".to_owned(),
                raw: delivered.body.clone(),
            });
        };
        let verdicts = sent.messages.iter().map(|reference| acknowledgement.on(reference));
        let mut fate = Fate::Accepted;
        for verdict in verdicts {
            match verdict {
                Some(Ok(())) => {}
                Some(Err(words)) => {
                    fate = Fate::Rejected(words);
                    break;
                }
                None => {
                    fate = Fate::Rejected("its NHSACK does not say what became of each message".to_owned())
                }
            }
        }
        self.settle(&attempt, fate)
    }

    /// MESH's own report that something was not delivered.
    fn not_delivered(&self, delivered: &Delivered, report: &NonDelivery) -> Taken {
        let words = format!("MESH {}: {}", report.code, report.description);
        match self.ledger.named(&report.linked_id, &delivered.local_id) {
            Some((attempt, _)) => self.settle(&attempt, Fate::NotDelivered(words)),
            None => {
                let raw: String = words.chars().take(NOTE_BYTES_MAX).collect();
                self.set_aside(&Refused {
                    kind: "MESH report".to_owned(),
                    source_id: delivered.id.clone(),
                    reason: "something was not delivered that is not known here".to_owned(),
                    raw: Bytes::from(raw),
                })
            }
        }
    }

    fn settle(&self, attempt: &str, fate: Fate) -> Taken {
        if let Fate::Rejected(words) | Fate::NotDelivered(words) = &fate {
            tracing::error!(link = self.link.name(), attempt, words, "a delivery failed");
        }
        match blocking(|| self.ledger.settle(attempt, fate, self.now())) {
            Ok(()) => {
                self.settled.notify_waiters();
                Taken::Safe
            }
            Err(error) => Taken::Later(format!("the mailbox's memory cannot be written: {error}")),
        }
    }

    /// Keeps something aside. Only what is durable there may leave the mailbox.
    fn set_aside(&self, refused: &Refused) -> Taken {
        let item = Quarantined {
            at: self.now(),
            system: self.link.name().to_owned(),
            kind: refused.kind.clone(),
            source_id: refused.source_id.clone(),
            reason: refused.reason.clone(),
            raw: refused.raw.clone(),
        };
        if blocking(|| self.hub.keep_aside(&item)) {
            Taken::Safe
        } else {
            Taken::Later("it cannot be kept aside: the quarantine is full or the disk fails".to_owned())
        }
    }

    fn is_left(&self, id: &str) -> bool {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn leave(&self, id: &str) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if LEFT_MAX <= left.len() {
            left.clear();
        }
        left.insert(id.to_owned());
    }
}

/// Runs what writes to disk where the runtime lets others go on meanwhile.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
