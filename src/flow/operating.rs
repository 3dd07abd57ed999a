//! What operators ask of a hub, done: the hub's side of [`Operate`].

mod person;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    codec::cbor,
    domain::{
        entry::{Entry, Summary},
        ids::Class,
        nhs_number::NhsNumber,
        time::ClockQuality,
    },
    journal::{LogReader, Position, Record},
};

use super::{
    audit::Audit,
    book::{HeldSlots, Unlocking},
    count::Counting,
    hub::Hub,
    operate::{
        CaseDetail, CaseId, CaseSummary, Check, CheckState, FoundMessage, MessageDetail, MessageFilter,
        MessageId, MessageState, Operate, OperateError, ParkedEntry, Preview, RecordDetail, RecordQuery,
        Resend, Reveal, Step, printable,
    },
    receive::{Quarantined, decode},
    send::{Parked, name_of},
    sign_in::SignIn,
    status::{DeliveryStatus, HubStatus, LinkState, LinkStrip},
};

/// Read at once when looking for messages, in bytes and entries.
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 4096;
/// A summary is a hundred bytes or so.
const SUMMARY_BYTES_MAX: usize = 64 << 10;

impl Operate for Hub {
    fn status(&self) -> HubStatus {
        self.condition()
    }

    fn journal_silence(&self) -> Duration {
        self.silence()
    }

    fn find_messages(&self, filter: MessageFilter) -> Result<Vec<FoundMessage>, OperateError> {
        if !(1..=MessageFilter::LIMIT_MAX).contains(&filter.limit) {
            return Err(OperateError::Invalid(format!("a limit is 1 to {}", MessageFilter::LIMIT_MAX)));
        }
        if filter.quarantined {
            return self.find_quarantined(&filter);
        }
        let mut found = VecDeque::new();
        self.each_message(|record, entry| {
            if matches(&filter, record, entry) {
                found.push_front(self.found(record, entry));
                found.truncate(filter.limit);
            }
            true
        })?;
        Ok(found.into())
    }

    fn show_message(&self, id: &MessageId, reveal: Option<&Reveal>) -> Result<MessageDetail, OperateError> {
        let Some((record, entry)) = self.message(id)? else { return self.show_quarantined(id, reveal) };
        let message = self.found(&record, &entry);
        let content = self.reveal(&message, reveal, entry.raw.as_ref().unwrap_or(&entry.body));
        let mut journey = vec![Step {
            at: Some(entry.at),
            what: format!("accepted from {}, durable before it was acknowledged", entry.system),
        }];
        journey.push(match message.state {
            MessageState::Confirmed => Step { at: None, what: "confirmed: durable at the centre".to_owned() },
            MessageState::Parked => Step { at: None, what: format!("parked: {}", message.reason) },
            _ => Step { at: None, what: "waiting for the centre".to_owned() },
        });
        Ok(MessageDetail { message, clock: entry.clock, journey, content })
    }

    fn parked(&self) -> Vec<ParkedEntry> {
        self.list_parked()
    }

    fn parked_show(&self, number: u64, reveal: Option<&Reveal>) -> Result<Preview, OperateError> {
        self.show_parked(number, reveal)
    }

    fn parked_release(&self, number: u64, by: &str) -> Result<(), OperateError> {
        self.release_parked(number, by)
    }

    fn parked_skip(&self, number: u64, reason: &str, by: &str) -> Result<(), OperateError> {
        if reason.trim().is_empty() {
            return Err(OperateError::Invalid("say why the entry is given up".to_owned()));
        }
        self.skip_parked(number, reason, by)
    }

    fn resend(&self, resend: &Resend, by: &str) -> Result<Preview, OperateError> {
        self.send_to_one(resend, by)
    }

    fn record_show(
        &self,
        query: &RecordQuery,
        reveal: Option<&Reveal>,
        by: &str,
    ) -> Result<RecordDetail, OperateError> {
        self.show_record(query, reveal, by)
    }

    fn record_purge(&self, number: &NhsNumber, reason: &str, by: &str) -> Result<usize, OperateError> {
        self.purge_record(number, reason, by)
    }

    fn match_list(&self) -> Result<Vec<CaseSummary>, OperateError> {
        self.list_cases()
    }

    fn match_show(&self, id: &CaseId, reveal: Option<&Reveal>) -> Result<CaseDetail, OperateError> {
        self.show_case(id, reveal)
    }

    fn match_decide(&self, id: &CaseId, link: bool, reason: &str, by: &str) -> Result<(), OperateError> {
        self.decide_match(id.as_str(), link, by, reason)
    }

    fn held_slots(&self) -> Result<Vec<HeldSlots>, OperateError> {
        self.held_slots()
    }

    fn unlock_slots(&self, unlocking: &Unlocking, by: &str) -> Result<usize, OperateError> {
        self.unlock_slots(unlocking, by)
    }

    fn doctor(&self) -> Vec<Check> {
        let status = self.condition();
        let mut checks = vec![self.check_journal(&status), self.check_centre(&status), check_clock(&status)];
        for link in &status.links {
            let (state, next_step) = match link.state {
                LinkState::Up => (CheckState::Ok, String::new()),
                LinkState::Waiting => {
                    (CheckState::Warn, format!("have {} connect to {}", link.name, link.address))
                }
                LinkState::Down => (CheckState::Failed, "free the port, or change `listen`".to_owned()),
            };
            let detail = format!("{} at {}: {} {}", link.kind, link.address, link.state.word(), link.detail);
            checks.push(Check {
                name: link.name.clone(),
                state,
                detail: detail.trim().to_owned(),
                next_step,
            });
        }
        checks.extend(status.deliveries.iter().map(check_delivery));
        for alarm in status.alarms {
            let state = if alarm.code.is_serious() { CheckState::Failed } else { CheckState::Warn };
            let name = format!("alarm {}", alarm.code.code());
            checks.push(Check { name, state, detail: alarm.text, next_step: alarm.next_step.to_owned() });
        }
        checks
    }

    fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.get().map(AsRef::as_ref)
    }

    fn link_strip(&self) -> Option<LinkStrip> {
        Some(Self::link_strip(self))
    }

    fn counting(&self) -> Option<Arc<Counting>> {
        Self::counting(self)
    }

    fn audit(&self) -> Option<&Audit> {
        Self::audit(self)
    }

    fn wan(&self) -> Option<bool> {
        self.wan.get().map(|relay| relay.is_connected())
    }

    fn set_wan(&self, connected: bool) -> Result<(), OperateError> {
        match self.wan.get() {
            Some(relay) => relay.set_connected(connected),
            None => {
                return Err(OperateError::NotAvailable("only a demonstration has a WAN switch".to_owned()));
            }
        }
        Ok(())
    }
}

impl Hub {
    /// Reads every entry of the local systems that the journal holds, oldest first.
    fn each_message(&self, mut each: impl FnMut(&Record, &Entry) -> bool) -> Result<(), OperateError> {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), Position::default());
        loop {
            let chunk = reader.read(READ_BYTES, READ_ENTRIES).map_err(|error| OperateError::Failed {
                what: "reading the journal".to_owned(),
                source: error.into(),
            })?;
            if chunk.records.is_empty() && chunk.damaged_bytes == 0 {
                return Ok(());
            }
            for record in &chunk.records {
                let local = record.placed.lane.class().is_some();
                if let Some(entry) = decode(&record.payload).filter(|_| local)
                    && !each(record, &entry)
                {
                    return Ok(());
                }
            }
        }
    }

    /// The newest message of a name.
    pub(super) fn message(&self, id: &MessageId) -> Result<Option<(Record, Entry)>, OperateError> {
        let mut found = None;
        self.each_message(|record, entry| {
            let named = match id {
                MessageId::Id(id) => record.identity.is_some_and(|identity| identity.id() == *id),
                MessageId::Source { system, source_id } => {
                    entry.system == *system && entry.source_id == *source_id
                }
            };
            if named {
                found = Some((record.clone(), entry.clone()));
            }
            true
        })?;
        Ok(found)
    }

    fn found(&self, record: &Record, entry: &Entry) -> FoundMessage {
        let (placed, class) = (record.placed, record.placed.lane.class());
        let name = class.map(|class| name_of(class, placed.epoch, placed.sequence)).unwrap_or_default();
        let parked: Option<Parked> = self.parked.get(&name);
        let confirmed = placed.sequence <= self.journal.shared().released(placed.epoch, placed.lane);
        let state = match (&parked, confirmed) {
            (Some(_), _) => MessageState::Parked,
            (None, true) => MessageState::Confirmed,
            (None, false) => MessageState::Waiting,
        };
        FoundMessage {
            id: record.identity.map(|identity| identity.id()).unwrap_or_default(),
            at: entry.at,
            system: entry.system.clone(),
            kind: entry.kind.clone(),
            source_id: entry.source_id.clone(),
            state,
            class,
            epoch: Some(placed.epoch),
            seq: Some(placed.sequence),
            size_bytes: entry.raw.as_ref().map_or(entry.body.len(), bytes::Bytes::len) as u64,
            reason: parked.map(|parked| parked.reason).or_else(|| unlinked(entry)).unwrap_or_default(),
        }
    }

    fn find_quarantined(&self, filter: &MessageFilter) -> Result<Vec<FoundMessage>, OperateError> {
        let names = self.quarantine.names().map_err(|error| OperateError::Failed {
            what: "listing the quarantine".to_owned(),
            source: error.into(),
        })?;
        let mut found: Vec<FoundMessage> = names
            .iter()
            .filter_map(|name| Some(quarantined(name, &self.quarantine.get::<Quarantined>(name)?)))
            .filter(|message| {
                equal(filter.system.as_ref(), &message.system)
                    && equal(filter.kind.as_ref(), &message.kind)
                    && equal(filter.source_id.as_ref(), &message.source_id)
                    && filter.since.is_none_or(|since| since <= message.at)
                    && filter.until.is_none_or(|until| message.at < until)
            })
            .collect();
        found.sort_by_key(|message| std::cmp::Reverse(message.at));
        found.truncate(filter.limit);
        Ok(found)
    }

    fn show_quarantined(
        &self,
        id: &MessageId,
        reveal: Option<&Reveal>,
    ) -> Result<MessageDetail, OperateError> {
        let not_found = || OperateError::NotFound(format!("message {id}"));
        let names = self.quarantine.names().unwrap_or_default();
        let named = |name: &&String| match id {
            MessageId::Id(id) => *name == id,
            MessageId::Source { system, source_id } => {
                let item: Option<Quarantined> = self.quarantine.get(name);
                item.is_some_and(|item| item.system == *system && item.source_id == *source_id)
            }
        };
        let name = names.iter().find(named).ok_or_else(not_found)?;
        let item: Quarantined = self.quarantine.get(name).ok_or_else(not_found)?;
        let message = quarantined(name, &item);
        let content = self.reveal(&message, reveal, &item.raw);
        let journey =
            vec![Step { at: Some(item.at), what: format!("refused and kept aside: {}", item.reason) }];
        Ok(MessageDetail { message, clock: ClockQuality::default(), journey, content })
    }

    /// A message's content, for whoever gave a reason; that they did goes on record first.
    fn reveal(&self, message: &FoundMessage, reveal: Option<&Reveal>, content: &[u8]) -> Option<String> {
        let reveal = reveal?;
        tracing::warn!(
            by = reveal.by,
            reason = reveal.reason,
            id = message.id,
            source_id = message.source_id,
            "a message's content was shown"
        );
        Some(printable(content))
    }

    fn check_journal(&self, status: &HubStatus) -> Check {
        let journal = &status.journal;
        let detail = format!(
            "{} MiB of {} used, {} MiB free on the disk, {} failed commits",
            journal.used_bytes >> 20,
            journal.capacity_bytes >> 20,
            journal.available_bytes >> 20,
            journal.failed_commits
        );
        let (state, next_step) = if journal.accepting {
            (CheckState::Ok, "")
        } else {
            (CheckState::Failed, "free disk space; it goes on by itself")
        };
        Check { name: "journal".to_owned(), state, detail, next_step: next_step.to_owned() }
    }

    fn check_centre(&self, status: &HubStatus) -> Check {
        let centre = &status.centre;
        let waiting: u64 = status.queue.iter().map(|queue| queue.entries).sum();
        let detail =
            format!("{}: {} {}; {waiting} entries wait", centre.broker, centre.state.word(), centre.detail);
        let (state, next_step) = match centre.state {
            LinkState::Up | LinkState::Waiting => (CheckState::Ok, ""),
            LinkState::Down => {
                (CheckState::Warn, "check the network and the broker; entries are kept meanwhile")
            }
        };
        Check { name: "centre".to_owned(), state, detail, next_step: next_step.to_owned() }
    }
}

fn check_delivery(delivery: &DeliveryStatus) -> Check {
    let DeliveryStatus { kind, address, queued, parked, detail, .. } = delivery;
    let (state, next_step) = match (delivery.state, parked) {
        (LinkState::Down, _) => (CheckState::Failed, "check the system and the network to it"),
        (_, 1..) => (CheckState::Warn, "polygate parked list"),
        _ => (CheckState::Ok, ""),
    };
    let word = delivery.state.word();
    let detail = format!("{kind} at {address}: {word} {detail}; {queued} wait, {parked} parked");
    let name = format!("delivery to {}", delivery.name);
    Check { name, state, detail: detail.replace(" ;", ";"), next_step: next_step.to_owned() }
}

fn check_clock(status: &HubStatus) -> Check {
    let (state, detail, next_step) = match status.clock {
        ClockQuality::Synchronised => (CheckState::Ok, "synchronised", ""),
        ClockQuality::Unsynchronised => (CheckState::Warn, "not synchronised", "check the time server"),
    };
    Check { name: "clock".to_owned(), state, detail: detail.to_owned(), next_step: next_step.to_owned() }
}

fn matches(filter: &MessageFilter, record: &Record, entry: &Entry) -> bool {
    let class: Option<Class> = record.placed.lane.class();
    equal(filter.system.as_ref(), &entry.system)
        && equal(filter.kind.as_ref(), &entry.kind)
        && equal(filter.source_id.as_ref(), &entry.source_id)
        && filter.class.is_none_or(|wanted| Some(wanted) == class)
        && filter.since.is_none_or(|since| since <= entry.at)
        && filter.until.is_none_or(|until| entry.at < until)
        && (!filter.unlinked || unlinked(entry).is_some())
}

/// Why an entry is linked to nobody, if it is not.
fn unlinked(entry: &Entry) -> Option<String> {
    let summary: Summary = cbor::decode(&entry.body, SUMMARY_BYTES_MAX).ok()?;
    Some(format!("linked to nobody: {}", summary.unlinked?))
}

fn equal(wanted: Option<&String>, found: &String) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

fn quarantined(name: &str, item: &Quarantined) -> FoundMessage {
    FoundMessage {
        id: name.to_owned(),
        at: item.at,
        system: item.system.clone(),
        kind: item.kind.clone(),
        source_id: item.source_id.clone(),
        state: MessageState::Quarantined,
        class: None,
        epoch: None,
        seq: None,
        size_bytes: item.raw.len() as u64,
        reason: item.reason.clone(),
    }
}
