//! A mailbox: looked into at intervals; what lies in it becomes durable here before MESH may forget it.

mod standing;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use crate::{
    codec::edifact::nhsack::{MessageVerdict, NhsAck},
    domain::time::Timestamp,
    flow::{
        hub::Hub,
        link::Link,
        receive::{Outcome, Quarantined, Received},
    },
    sys::blocking::blocking,
};

use super::{
    client::{Delivered, MeshClient, MeshError, NonDelivery, Outgoing},
    incoming::{self, Opened, Opening, Refused},
    ledger::{Fate, Ledger},
};

use standing::Outage;

/// How often the mailbox is validated (MESH API, "Validate a mailbox").
const HANDSHAKE_EVERY: Duration = Duration::from_secs(24 * 3600);
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
    /// When mailbox and password were last shown to be right.
    shaken: Mutex<Option<Instant>>,
    outage: Mutex<Outage>,
    /// Whether the last look succeeded.
    is_up: AtomicBool,
    settled: Notify,
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
        let outage = Outage::since(ledger.last_read());
        Arc::new(Self {
            hub,
            link,
            client,
            ledger,
            options,
            left: Mutex::default(),
            shaken: Mutex::default(),
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
        self.shake_hands().await?;
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

    /// MESH wants a handshake before other requests, and one a day.
    async fn shake_hands(&self) -> Result<(), MeshError> {
        let (now, last) = (Instant::now(), *self.shaken());
        if last.is_none_or(|last| HANDSHAKE_EVERY <= now - last) {
            self.client.handshake().await?;
            *self.shaken() = Some(now);
        }
        Ok(())
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
        let number = blocking(|| self.ledger.answer_number(&delivered.id, &from.id, &to.id));
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

    fn shaken(&self) -> MutexGuard<'_, Option<Instant>> {
        self.shaken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_left(&self, id: &str) -> bool {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// A message too long to keep stays for MESH to give back; that it was there is kept, for people to see.
    fn leave(&self, id: &str) {
        drop(self.set_aside(&Refused {
            kind: "MESH message".to_owned(),
            source_id: id.to_owned(),
            reason: "it is longer than this receiver takes, and was left for MESH to give back".to_owned(),
            raw: Bytes::copy_from_slice(id.as_bytes()),
        }));
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if LEFT_MAX <= left.len() {
            left.clear();
        }
        left.insert(id.to_owned());
    }
}
