//! What is said of a mailbox after each look: its link, and the alarms about outages and deliveries.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use crate::{domain::time::Timestamp, flow::alarm::AlarmCode, sys::blocking::blocking};

use super::{
    super::{
        client::MeshError,
        ledger::{Fate, Sent},
    },
    Mailbox,
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

/// When the mailbox was read. MESH counts days by the wall clock, over restarts of ours too; so must this.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// When it was read last.
    began: Option<Timestamp>,
    /// When that was last noted on disk.
    noted: Option<Timestamp>,
    /// When an outage ended in which messages may have expired.
    ended: Option<Timestamp>,
}

impl Outage {
    /// Read last at this moment, before the hub was started.
    pub(super) fn since(began: Option<Timestamp>) -> Self {
        Self { began, ..Self::default() }
    }
}

impl Mailbox {
    /// Says how a look went: the link, the time it was read, and alarms.
    pub(in crate::systems::mesh) fn report(&self, read: Result<(), MeshError>) {
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
        let raised = self.hub.alarms().standing().into_iter();
        for alarm in raised.filter(|alarm| alarm.code == AlarmCode::DeliveryFailed) {
            troubles.entry(alarm.about).or_default();
        }
        for (mailbox, [rejected, returned, overdue]) in troubles {
            let text = format!("{rejected} rejected, {returned} not collected, {overdue} without an answer");
            let stands = 0 < rejected + returned + overdue;
            self.hub.alarms().set(stands, AlarmCode::DeliveryFailed, &mailbox, text, now);
        }
    }
}
