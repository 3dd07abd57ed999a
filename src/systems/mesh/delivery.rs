//! Delivery to a practice's mailbox: results as PMIP reports, letters as Kettering.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::{
    codec::kettering::DateOrder,
    flow::deliver::{Answer, Destination, Parcel, Sending},
    sys::blocking::blocking,
};

use super::{
    client::Outgoing,
    ledger::{Fate, Prepared, Recipient, Sent},
    mailbox::Mailbox,
    outgoing::Content,
};

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
    /// Workflow id of screening reports.
    pub screening_workflow: String,
    /// Workflow id of letters.
    pub letter_workflow: String,
    /// Links whose results are radiology reports.
    pub radiology_from: BTreeSet<String>,
    /// The order of day and month that the practice's system reads in letters.
    pub dates: DateOrder,
    /// How long a delivery waits for its NHSACK before it counts as handed over: no longer than nothing, unless the
    /// mailbox is looked into every few seconds. A rejection that comes later raises an alarm.
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
            screening_workflow: "SCRN_BCS_MEDRPT_V4".to_owned(),
            letter_workflow: "OOH_MESSAGE".to_owned(),
            radiology_from: BTreeSet::new(),
            dates: DateOrder::default(),
            patience: Duration::ZERO,
        }
    }
}

/// Delivery to one practice.
#[derive(Debug)]
pub struct PracticeDelivery {
    mailbox: Arc<Mailbox>,
    options: PracticeOptions,
}

impl PracticeDelivery {
    /// Delivery to a practice from our mailbox.
    pub const fn new(mailbox: Arc<Mailbox>, options: PracticeOptions) -> Self {
        Self { mailbox, options }
    }

    async fn deliver(&self, parcel: &Parcel) -> Answer {
        let content = match Content::of(&parcel.entry, &parcel.event, &self.options) {
            Ok(content) => content,
            Err(reason) => return Answer::Stop(reason),
        };
        let partners = (self.options.own_edi.as_str(), self.options.edi.as_str());
        let now = self.mailbox.now();
        let ledger = self.mailbox.ledger();
        let attempt = &parcel.attempt_id;
        let to = Recipient { mailbox: &self.options.mailbox, partners, messages: content.references() };
        let position = (parcel.position.segment, parcel.position.offset);
        let prepared = blocking(|| ledger.prepare(attempt, position, to, now));
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
                let body =
                    content.encode(&self.options, &sent.reference, sent.prepared).map_err(Answer::Stop)?;
                let (workflow, content_type) = content.labels(&self.options);
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
        let awaited = !sent.messages.is_empty();
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
        let content = Content::of(&parcel.entry, &parcel.event, &self.options)?;
        let sent = self.mailbox.ledger().sent(&parcel.attempt_id);
        let (reference, prepared) =
            sent.map_or_else(|| ("0".to_owned(), parcel.entry.at), |sent| (sent.reference, sent.prepared));
        content.encode(&self.options, &reference, prepared)
    }
}
