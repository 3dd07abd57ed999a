//! Delivery to a practice's mailbox: results as PMIP reports, letters as Kettering.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::{
    codec::{
        edifact::{Header, Partner, Writer, pmip, pmip::Kind},
        kettering::{self, DateOrder, Letter, Party},
    },
    domain::{
        record::{Event, ItemKind},
        time::Timestamp,
    },
    flow::deliver::{Answer, Destination, Parcel, Sending},
};

use super::{
    client::Outgoing,
    ledger::{Fate, Prepared, Sent},
    letters,
    mailbox::{Mailbox, blocking},
    reports::{self, Correspondents},
};

const EDIFACT_MEDIA_TYPE: &str = "application/edifact";
const KETTERING_MEDIA_TYPE: &str = "application/xml";

/// A practice, and how it is reached.
#[derive(Clone, Debug)]
pub struct PracticeOptions {
    /// Its mailbox.
    pub mailbox: String,
    /// Its ODS code.
    pub ods: String,
    /// Its EDI code: UNB's recipient. Its mailbox, where it has none.
    pub edi: String,
    /// Our EDI code: UNB's sender. Our mailbox, where we have none.
    pub own_edi: String,
    /// Our ODS code and name.
    pub own: (String, String),
    /// Workflow id of pathology reports.
    pub pathology_workflow: String,
    /// Workflow id of radiology reports.
    pub radiology_workflow: String,
    /// Workflow id of letters.
    pub letter_workflow: String,
    /// Links whose results are radiology reports.
    pub radiology_from: BTreeSet<String>,
    /// The order of day and month that the practice's system reads in letters.
    pub dates: DateOrder,
    /// How long a delivery waits for its NHSACK before it counts as handed over. A rejection that comes later raises
    /// an alarm.
    pub patience: Duration,
}

impl PracticeOptions {
    /// A practice with what is usual.
    pub fn new(mailbox: &str, ods: &str, own_mailbox: &str, own: (&str, &str)) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            ods: ods.to_owned(),
            edi: mailbox.to_owned(),
            own_edi: own_mailbox.to_owned(),
            own: (own.0.to_owned(), own.1.to_owned()),
            pathology_workflow: "PATH_MEDRPT_V3".to_owned(),
            radiology_workflow: "RAD_MEDRPT_V4".to_owned(),
            letter_workflow: "OOH_MESSAGE".to_owned(),
            radiology_from: BTreeSet::new(),
            dates: DateOrder::default(),
            patience: Duration::from_secs(2),
        }
    }
}

/// Delivery to one practice.
#[derive(Debug)]
pub struct PracticeDelivery {
    mailbox: Arc<Mailbox>,
    options: PracticeOptions,
}

/// What a parcel becomes.
enum Content {
    Reports(Kind, Vec<pmip::Report>),
    Letter(Box<Letter>),
}

impl Content {
    /// Messages in the interchange; a letter is one.
    const fn messages(&self) -> usize {
        match self {
            Self::Reports(_, reports) => reports.len(),
            Self::Letter(_) => 1,
        }
    }
}

impl PracticeDelivery {
    /// Delivery to a practice from our mailbox.
    pub const fn new(mailbox: Arc<Mailbox>, options: PracticeOptions) -> Self {
        Self { mailbox, options }
    }

    async fn deliver(&self, parcel: &Parcel) -> Answer {
        let content = match self.content(&parcel.entry.system, &parcel.event) {
            Ok(content) => content,
            Err(reason) => return Answer::Stop(reason),
        };
        let partners = (self.options.own_edi.as_str(), self.options.edi.as_str());
        let now = self.mailbox.now();
        let ledger = self.mailbox.ledger();
        let (attempt, to) = (&parcel.attempt_id, &self.options.mailbox);
        let prepared = blocking(|| ledger.prepare(attempt, to, partners, content.messages(), now));
        let (sent, is_new) = match prepared {
            Ok(Prepared::New(sent)) => (sent, true),
            Ok(Prepared::Known(sent)) => (sent, false),
            Ok(Prepared::TooMany) => {
                return Answer::Again("too many deliveries wait for an NHSACK".to_owned());
            }
            Err(error) => return unwritten(&error),
        };
        if sent.fate == Fate::Prepared
            && let Err(answer) = self.hand_over(attempt, &sent, is_new, &content).await
        {
            return answer;
        }
        self.wait(attempt).await
    }

    /// Gives a parcel to MESH, unless MESH has it already from an attempt whose answer was lost.
    async fn hand_over(
        &self,
        attempt: &str,
        sent: &Sent,
        is_new: bool,
        content: &Content,
    ) -> Result<(), Answer> {
        let client = self.mailbox.client();
        let again = |error: super::MeshError| Answer::Again(error.to_string());
        let found = match if is_new { Ok(None) } else { client.track(attempt).await } {
            Ok(found) => found,
            // It cannot be found out. A report that comes twice under one reference is recognised; one that never
            // comes is not.
            Err(error) if error.is_permanent() => None,
            Err(error) => return Err(again(error)),
        };
        let message_id = match found {
            Some(tracked) => tracked.message_id,
            None => {
                let body = self.encode(content, sent).map_err(Answer::Stop)?;
                let (workflow, content_type) = self.labels(content);
                let to = &self.options.mailbox;
                let outgoing = Outgoing { to, workflow, local_id: attempt, content_type, body };
                match client.send(outgoing).await {
                    Ok(message_id) => message_id,
                    Err(error) if error.is_permanent() => {
                        self.settle(attempt, Fate::NotDelivered(error.to_string()));
                        return Err(Answer::Stop(error.to_string()));
                    }
                    Err(error) => return Err(again(error)),
                }
            }
        };
        let awaited = matches!(content, Content::Reports(..));
        let now = self.mailbox.now();
        blocking(|| self.mailbox.ledger().at_mesh(attempt, &message_id, awaited, now))
            .map_err(|error| unwritten(&error))
    }

    /// Waits for the NHSACK as long as patience lasts.
    async fn wait(&self, attempt: &str) -> Answer {
        let until = Instant::now() + self.options.patience;
        loop {
            let settled = self.mailbox.settled();
            match self.mailbox.ledger().sent(attempt).map(|sent| sent.fate) {
                Some(Fate::Rejected(words) | Fate::NotDelivered(words)) => return Answer::Stop(words),
                Some(Fate::Accepted | Fate::Delivered) | None => return Answer::Accepted,
                Some(Fate::Prepared) => return Answer::Again("MESH does not have it yet".to_owned()),
                Some(Fate::Awaited) => {}
            }
            // MESH has it durably, and the ledger waits on: others need not.
            if timeout_at(until, settled).await.is_err() {
                return Answer::Accepted;
            }
        }
    }

    fn settle(&self, attempt: &str, fate: Fate) {
        let now = self.mailbox.now();
        if let Err(error) = blocking(|| self.mailbox.ledger().settle(attempt, fate, now)) {
            tracing::error!(%error, "the mailbox's memory cannot be written");
        }
    }

    fn content(&self, system: &str, event: &Event) -> Result<Content, String> {
        if event.items.iter().any(|item| item.kind == ItemKind::Result) {
            let is_radiology =
                event.kind.starts_with("NHSRSR") || self.options.radiology_from.contains(system);
            let kind = if is_radiology { Kind::Radiology } else { Kind::Pathology };
            let correspondents = Correspondents {
                from: self.options.own.0.clone(),
                from_name: self.options.own.1.clone(),
                to: self.options.ods.clone(),
            };
            return Ok(Content::Reports(kind, reports::reports(event, kind, &correspondents)?));
        }
        letters::letter(event).map(|letter| Content::Letter(Box::new(letter)))
    }

    fn labels(&self, content: &Content) -> (&str, &'static str) {
        match content {
            Content::Reports(Kind::Radiology, _) => (&self.options.radiology_workflow, EDIFACT_MEDIA_TYPE),
            Content::Reports(..) => (&self.options.pathology_workflow, EDIFACT_MEDIA_TYPE),
            Content::Letter(_) => (&self.options.letter_workflow, KETTERING_MEDIA_TYPE),
        }
    }

    /// The bytes: the same at every attempt, since number and time of preparation are.
    fn encode(&self, content: &Content, sent: &Sent) -> Result<Bytes, String> {
        match content {
            Content::Reports(kind, reports) => {
                self.interchange(*kind, reports, &sent.reference, sent.prepared)
            }
            Content::Letter(letter) => Ok(self.letter(letter, &sent.reference, sent.prepared)),
        }
    }

    fn interchange(
        &self,
        kind: Kind,
        reports: &[pmip::Report],
        reference: &str,
        prepared: Timestamp,
    ) -> Result<Bytes, String> {
        let (local, digits) = (super::local_time(prepared), super::local_digits(prepared));
        let partner = |id: &str| Partner { id: id.to_owned(), qualifier: "80".to_owned() };
        let mut writer = Writer::new(&Header {
            syntax: "UNOC".to_owned(),
            version: "3".to_owned(),
            sender: partner(&self.options.own_edi),
            recipient: partner(&self.options.edi),
            prepared: (
                digits.get(2..8).unwrap_or_default().to_owned(),
                digits.get(8..12).unwrap_or_default().to_owned(),
            ),
            control_reference: reference.to_owned(),
            application: kind.names().0.to_owned(),
            acknowledgement_requested: true,
            test: false,
        });
        for (at, report) in reports.iter().enumerate() {
            let report = pmip::Report { prepared: local.clone(), ..report.clone() };
            pmip::write(&mut writer, &(at + 1).to_string(), kind, &report);
        }
        match writer.finish() {
            (bytes, 0) => Ok(Bytes::from(bytes)),
            // A letter left out of a name or a dose is worse than a report that people must send by other means.
            (_, lost) => {
                Err(format!("{lost} of its characters cannot be said in ISO 8859-1, which EDIFACT is in"))
            }
        }
    }

    fn letter(&self, letter: &Letter, reference: &str, prepared: Timestamp) -> Bytes {
        let letter = Letter {
            message_id: format!("{}-{}-{}-{reference}", self.options.own_edi, self.options.edi, prepared.0),
            issued: super::local_time(prepared),
            sender: self.options.own.0.clone(),
            recipient: self.options.ods.clone(),
            to: Party { organisation: (self.options.ods.clone(), "PRA".to_owned()), ..Party::default() },
            from: Party {
                organisation: (self.options.own.0.clone(), "Provider".to_owned()),
                organisation_name: self.options.own.1.clone(),
                ..Party::default()
            },
            ..letter.clone()
        };
        Bytes::from(kettering::write(&letter, self.options.dates))
    }
}

fn unwritten(error: &io::Error) -> Answer {
    Answer::Again(format!("the mailbox's memory cannot be written: {error}"))
}

impl Destination for PracticeDelivery {
    fn send<'a>(&'a mut self, parcel: &'a Parcel) -> Sending<'a> {
        Box::pin(self.deliver(parcel))
    }

    /// With the reference 0 and the time at which the message was taken in, if it has not been sent yet.
    fn preview(&self, parcel: &Parcel) -> Result<Bytes, String> {
        let content = self.content(&parcel.entry.system, &parcel.event)?;
        let sent = self.mailbox.ledger().sent(&parcel.attempt_id);
        let (reference, prepared) =
            sent.map_or_else(|| ("0".to_owned(), parcel.entry.at), |sent| (sent.reference, sent.prepared));
        match &content {
            Content::Reports(kind, reports) => self.interchange(*kind, reports, &reference, prepared),
            Content::Letter(letter) => Ok(self.letter(letter, &reference, prepared)),
        }
    }
}
