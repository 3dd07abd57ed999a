//! What an operator must know: each alarm has a stable code, a cause in words and a next step.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

use crate::domain::time::Timestamp;

/// The alarms a hub can raise. `docs/operations.md` has a section for each.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum AlarmCode {
    /// The journal takes nothing: senders are refused.
    #[serde(rename = "PG-101")]
    JournalRefusing,
    /// Less than a tenth of the journal's capacity is left.
    #[serde(rename = "PG-102")]
    JournalNearlyFull,
    /// Synchronised bytes were found damaged.
    #[serde(rename = "PG-103")]
    JournalDamaged,
    /// The centre knows entries that this hub's journal does not: it was rolled back or lost its tail.
    #[serde(rename = "PG-104")]
    JournalRolledBack,
    /// No connection to the centre.
    #[serde(rename = "PG-201")]
    CentreUnreachable,
    /// Connected, but the centre has confirmed nothing for too long.
    #[serde(rename = "PG-202")]
    ReceiptsOverdue,
    /// Entries that the broker or the centre refused wait for a decision.
    #[serde(rename = "PG-203")]
    EntriesParked,
    /// Another box uses this hub's certificate.
    #[serde(rename = "PG-204")]
    IdentityTakenOver,
    /// A certificate cannot be used, or ends soon.
    #[serde(rename = "PG-205")]
    Certificate,
    /// A system's port cannot be opened.
    #[serde(rename = "PG-301")]
    ListenerDown,
    /// Messages that could not be taken in are kept aside.
    #[serde(rename = "PG-302")]
    MessagesQuarantined,
    /// Nothing can be delivered to a system.
    #[serde(rename = "PG-303")]
    DestinationDown,
    /// Messages that a system refused for good wait for a decision, and later ones of the same patients behind them.
    #[serde(rename = "PG-304")]
    DeliveryParked,
    /// The journal had to let go of messages before they were delivered to a system.
    #[serde(rename = "PG-305")]
    DeliveryMissed,
    /// This hub's slots are not sold: an earlier box, or a restored disk, may have sold them.
    #[serde(rename = "PG-306")]
    SlotsHeld,
    /// Two acts about one slot cannot both be; nobody sells it until people have looked.
    #[serde(rename = "PG-307")]
    BookingContradiction,
    /// A mailbox has not been read for so long that what lies in it may be lost.
    #[serde(rename = "PG-310")]
    MailboxUnread,
    /// A report or letter was rejected or never collected after it was handed over, or nothing is heard of it.
    #[serde(rename = "PG-311")]
    DeliveryFailed,
    /// The record view is being rebuilt: records may be incomplete until it is done.
    #[serde(rename = "PG-401")]
    ViewRebuilding,
    /// The record view cannot be written.
    #[serde(rename = "PG-402")]
    ViewFailing,
    /// The audit trail cannot be written: nothing is shown of any record.
    #[serde(rename = "PG-403")]
    AuditStopped,
    /// The room that is reserved for the audit trail is being used up, or soon will be.
    #[serde(rename = "PG-404")]
    AuditNearlyFull,
    /// Lines of the audit trail are damaged, or the disk was turned back.
    #[serde(rename = "PG-405")]
    AuditDamaged,
    /// The journal let go of messages before their contacts were counted: months may be short.
    #[serde(rename = "PG-406")]
    CountIncomplete,
    /// What is counted cannot be kept; the journal keeps what it is made of.
    #[serde(rename = "PG-407")]
    CountFailing,
    /// The clock is not synchronised.
    #[serde(rename = "PG-501")]
    ClockUnsynchronised,
}

impl AlarmCode {
    /// The code as the manual lists it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::JournalRefusing => "PG-101",
            Self::JournalNearlyFull => "PG-102",
            Self::JournalDamaged => "PG-103",
            Self::JournalRolledBack => "PG-104",
            Self::CentreUnreachable => "PG-201",
            Self::ReceiptsOverdue => "PG-202",
            Self::EntriesParked => "PG-203",
            Self::IdentityTakenOver => "PG-204",
            Self::Certificate => "PG-205",
            Self::ListenerDown => "PG-301",
            Self::MessagesQuarantined => "PG-302",
            Self::DestinationDown => "PG-303",
            Self::DeliveryParked => "PG-304",
            Self::DeliveryMissed => "PG-305",
            Self::SlotsHeld => "PG-306",
            Self::BookingContradiction => "PG-307",
            Self::MailboxUnread => "PG-310",
            Self::DeliveryFailed => "PG-311",
            Self::ViewRebuilding => "PG-401",
            Self::ViewFailing => "PG-402",
            Self::AuditStopped => "PG-403",
            Self::AuditNearlyFull => "PG-404",
            Self::AuditDamaged => "PG-405",
            Self::CountIncomplete => "PG-406",
            Self::CountFailing => "PG-407",
            Self::ClockUnsynchronised => "PG-501",
        }
    }

    /// What to do first, as one command or one deed.
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::JournalRefusing | Self::JournalNearlyFull => {
                "polygate queue; then free disk space or restore the link to the centre"
            }
            Self::JournalDamaged => "polygate doctor; replace the disk if it goes on",
            Self::JournalRolledBack => "polygate queue; ask the centre for `polycentre entries` of this hub",
            Self::CentreUnreachable => "polygate doctor",
            Self::ReceiptsOverdue => "check that polycentre runs and can write to its store",
            Self::EntriesParked => "polygate parked list",
            Self::IdentityTakenOver => "stop the other box, or issue this one a certificate of its own",
            Self::Certificate => "replace the files named; no restart is needed",
            Self::ListenerDown => "polygate doctor; another program may hold the port",
            Self::MessagesQuarantined => "polygate message find --quarantined",
            Self::DestinationDown => "check the system and the network to it; messages are kept meanwhile",
            Self::DeliveryParked => "polygate parked list",
            Self::DeliveryMissed => "polygate message find; then polygate parked resend those it must have",
            Self::SlotsHeld => "polygate booking held; see \"Slots that are held\" in the manual",
            Self::BookingContradiction => "see \"Slots that are held\" in the manual",
            Self::MailboxUnread => {
                "polygate doctor; then ask senders what came back to them as not delivered"
            }
            Self::DeliveryFailed => {
                "polygate message find --quarantined; then tell the recipient by other means"
            }
            Self::ViewRebuilding => "wait; polygate status shows how far it is",
            Self::ViewFailing => "check free disk space",
            Self::AuditStopped | Self::AuditNearlyFull => "free disk space, or replace the disk if it fails",
            Self::AuditDamaged => "polygate audit verify; tell whoever answers for information governance",
            Self::CountIncomplete => "polycentre activity check; the centre has what this hub has let go of",
            Self::CountFailing => "check free disk space",
            Self::ClockUnsynchronised => "check the time server",
        }
    }

    /// Whether senders or staff are affected now, rather than soon.
    pub const fn is_serious(self) -> bool {
        !matches!(
            self,
            Self::AuditNearlyFull
                | Self::CentreUnreachable
                | Self::ClockUnsynchronised
                | Self::CountFailing
                | Self::CountIncomplete
                | Self::DestinationDown
                | Self::EntriesParked
                | Self::JournalNearlyFull
                | Self::MessagesQuarantined
                | Self::ViewRebuilding
        )
    }
}

/// One alarm that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Alarm {
    /// Which.
    pub code: AlarmCode,
    /// What it is about, where more than one thing can raise it: a system's name, a file. Else empty.
    pub about: String,
    /// Since when.
    pub since: Timestamp,
    /// What is wrong, without patient data.
    pub text: String,
    /// What to do.
    pub next_step: &'static str,
}

/// The alarms that stand. Each is logged when it is raised and when it is cleared, not in between.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<BTreeMap<(AlarmCode, String), Alarm>>);

impl Alarms {
    /// Raises an alarm, or changes its text; the moment it was first raised stays.
    pub fn raise(&self, code: AlarmCode, about: &str, text: impl Into<String>, now: Timestamp) {
        let text = text.into();
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (code, about.to_owned());
        if let Some(alarm) = standing.get_mut(&key) {
            alarm.text = text;
            return;
        }
        tracing::warn!(code = code.code(), about, %text, "alarm raised");
        let alarm = Alarm { code, about: about.to_owned(), since: now, text, next_step: code.next_step() };
        standing.insert(key, alarm);
    }

    /// Clears an alarm, if it stands.
    pub fn clear(&self, code: AlarmCode, about: &str) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.remove(&(code, about.to_owned())).is_some() {
            tracing::info!(code = code.code(), about, "alarm cleared");
        }
    }

    /// Raises or clears, as `stands` says.
    pub fn set(&self, stands: bool, code: AlarmCode, about: &str, text: impl Into<String>, now: Timestamp) {
        if stands { self.raise(code, about, text, now) } else { self.clear(code, about) }
    }

    /// Every alarm that stands, by code.
    pub fn standing(&self) -> Vec<Alarm> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
