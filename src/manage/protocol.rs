//! What travels over the admin socket: one request and one reply, each a line of JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    access::Secret,
    domain::{ids::HubId, nhs_number::NhsNumber, record::ItemKind, time::Timestamp},
    flow::operate::{CaseId, MessageFilter, MessageId, OperateError, ResendWhat},
};

use super::{activity::ActivityRequest, audits::AuditRequest, users::UserRequest};

/// Longest request, in bytes with its newline: a filter with long names takes less than 2 KiB.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Longest reply a client takes, in bytes: a message's content of 1 MiB as JSON at its worst, and to spare.
pub const REPLY_BYTES_MAX: usize = 16 << 20;

/// What an operator asks of a hub.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AdminRequest {
    /// Its condition.
    Status,
    /// What waits for the centre.
    Queue,
    /// Checks of everything it depends on.
    Doctor,
    /// Messages that match.
    MessageFind {
        /// Which.
        filter: MessageFilter,
    },
    /// One message's way through the hub.
    MessageShow {
        /// Which.
        id: MessageId,
        /// Why its content is needed, if it is; goes on record.
        reveal: Option<String>,
    },
    /// Entries that wait for a decision.
    ParkedList,
    /// What would be sent of a parked entry.
    ParkedShow {
        /// Which.
        number: u64,
        /// Why its content is needed, if it is; goes on record.
        reveal: Option<String>,
    },
    /// Send a parked entry once more.
    ParkedRelease {
        /// Which.
        number: u64,
    },
    /// Give a parked entry up.
    ParkedSkip {
        /// Which.
        number: u64,
        /// Why; goes on record.
        reason: String,
    },
    /// Send a message to one system, or only say what would be sent.
    ParkedResend {
        /// Which.
        what: ResendWhat,
        /// To which system.
        to: String,
        /// Why its content is needed, if it is; goes on record.
        reveal: Option<String>,
        /// Whether it is to be sent.
        confirmed: bool,
    },
    /// Look after the portal's users.
    User(UserRequest),
    /// What is counted for commissioners.
    Activity(ActivityRequest),
    /// Look into the audit trail.
    Audit(AuditRequest),
    /// One patient's record from all systems.
    RecordShow {
        /// Whose.
        nhs_number: NhsNumber,
        /// Only items of this kind.
        kind: Option<ItemKind>,
        /// Why its content is needed, if it is; goes on record.
        reveal: Option<String>,
    },
    /// Throw away what practices answered about a patient and is kept.
    RecordPurge {
        /// Whose.
        nhs_number: NhsNumber,
        /// Why; goes on record.
        reason: String,
    },
    /// Cases in which people must decide who is who.
    MatchList,
    /// One case.
    MatchShow {
        /// Which.
        id: CaseId,
        /// Why it is needed to see who it is about, if it is; goes on record.
        reveal: Option<String>,
    },
    /// Decide a case.
    MatchDecide {
        /// Which.
        id: CaseId,
        /// Whether its persons are linked to the holders of their number, or kept apart from it.
        link: bool,
        /// Why; goes on record.
        reason: String,
    },
    /// The slots that the desk holds.
    SlotsHeld,
    /// Let held slots be sold again.
    SlotsUnlock {
        /// Of which session.
        session: HubId,
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
        /// The second person.
        second: String,
        /// Their password.
        password: Secret,
        /// What shows that they are free; goes on record.
        reason: String,
    },
    /// Connect or cut the demonstration's WAN.
    Wan {
        /// Whether it shall be connected.
        connected: bool,
    },
}

/// A hub's reply: `{"ok": …}` or `{"error": …}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// What was asked for.
    Ok(Value),
    /// Why there is nothing.
    Error(Fault),
}

/// Why a request was not fulfilled.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Fault {
    /// In one word.
    pub kind: FaultKind,
    /// In a sentence, with its causes.
    pub message: String,
    /// What to do; empty if there is nothing to advise.
    pub next_step: String,
}

/// A fault in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// What was named is not there.
    NotFound,
    /// It does not fit the present state.
    Conflict,
    /// The request makes no sense.
    Invalid,
    /// This hub does not offer it.
    NotAvailable,
    /// The hub tried and failed.
    Failed,
    /// The asker may not.
    Refused,
    /// Too many ask at once, or the hub does not answer.
    Busy,
}

impl Fault {
    /// A fault without advice.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), next_step: String::new() }
    }

    /// The same fault with advice.
    #[must_use]
    pub fn then(mut self, next_step: &str) -> Self {
        next_step.clone_into(&mut self.next_step);
        self
    }
}

impl From<OperateError> for Fault {
    fn from(error: OperateError) -> Self {
        let (kind, next_step) = match &error {
            OperateError::NotFound(_) => {
                (FaultKind::NotFound, "polygate message find, or polygate parked list")
            }
            OperateError::Conflict(_) => (FaultKind::Conflict, ""),
            OperateError::Invalid(_) => (FaultKind::Invalid, ""),
            OperateError::NotAvailable(_) => (FaultKind::NotAvailable, ""),
            OperateError::Failed { .. } => (FaultKind::Failed, "polygate doctor"),
        };
        Self::new(kind, chain(&error)).then(next_step)
    }
}

/// An error and its causes, from the outside in.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
