//! What operators may ask of a hub and do to it: the one door for the portal, the admin socket and the probes.
//!
//! Calls may block on the disk; callers on an async runtime wrap them in `spawn_blocking`.

mod parked;
mod person;

use std::{error::Error, fmt, fmt::Write as _, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::domain::{
    ids::{Class, Epoch, Sequence},
    nhs_number::NhsNumber,
    time::{ClockQuality, Timestamp},
};

pub use parked::{CENTRE, ParkedEntry, Preview, Resend, ResendWhat};
pub use person::{
    CASES_MAX, CaseDetail, CaseId, CasePerson, CaseSummary, DisputeContent, DisputeShape, InvalidCaseId,
    ItemContent, ItemSource, NoteShape, PersonContent, RecordContent, RecordDetail, RecordQuery,
    SectionShape, SourceShape,
};

use super::{
    audit::Audit,
    book::{HeldSlots, Unlocking},
    count::Counting,
    sign_in::SignIn,
    status::{HubStatus, LinkStrip},
};

/// A hub, as its operators see it.
pub trait Operate: Send + Sync {
    /// Its condition. Called each second by every open page, so it should not read the disk.
    fn status(&self) -> HubStatus;

    /// How long ago the journal's writer thread last answered. Must not block: it is what tells that
    /// everything else does.
    fn journal_silence(&self) -> Duration;

    /// Looks for messages, newest first. Reads the disk.
    ///
    /// # Errors
    /// The filter is not sensible, or the disk fails.
    fn find_messages(&self, filter: MessageFilter) -> Result<Vec<FoundMessage>, OperateError>;

    /// Shows one message's way through the hub; its content only with a [`Reveal`], which is put on record.
    ///
    /// # Errors
    /// There is no such message, more than one, or the disk fails.
    fn show_message(&self, id: &MessageId, reveal: Option<&Reveal>) -> Result<MessageDetail, OperateError>;

    /// What the centre or a system refused for good and waits for a decision, oldest first. Reads the disk.
    fn parked(&self) -> Vec<ParkedEntry>;

    /// Shows what would be sent of a parked entry; its content only with a [`Reveal`], which is put on record.
    ///
    /// # Errors
    /// There is no such entry, or the disk fails.
    fn parked_show(&self, number: u64, reveal: Option<&Reveal>) -> Result<Preview, OperateError>;

    /// Sends a parked entry once more, and then what waits behind it; `by` is who asked.
    ///
    /// # Errors
    /// There is no such entry, or the journal or the disk does not take it.
    fn parked_release(&self, number: u64, by: &str) -> Result<(), OperateError>;

    /// Gives a parked entry up for good; what waits behind it goes on. `reason` and `by` go on record.
    ///
    /// # Errors
    /// There is no such entry, or the decision cannot be kept.
    fn parked_skip(&self, number: u64, reason: &str, by: &str) -> Result<(), OperateError>;

    /// Sends a message to one system, once more or for the first time; or only says what would be sent.
    ///
    /// # Errors
    /// There is no such message or system, or the disk fails.
    fn resend(&self, resend: &Resend, by: &str) -> Result<Preview, OperateError>;

    /// Shows one patient's record from all systems; its content only with a [`Reveal`], which is put on record. `by` is
    /// who asked. Reads the disk.
    ///
    /// # Errors
    /// Nothing is known of such a patient, or the record view is not open.
    fn record_show(
        &self,
        query: &RecordQuery,
        reveal: Option<&Reveal>,
        by: &str,
    ) -> Result<RecordDetail, OperateError>;

    /// Throws away what practices answered about a patient and is kept; says how many answers that were. `reason` and
    /// `by` go on record.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    fn record_purge(&self, number: &NhsNumber, reason: &str, by: &str) -> Result<usize, OperateError>;

    /// The cases in which people must decide who is who, at most [`CASES_MAX`]. Reads the disk.
    ///
    /// # Errors
    /// The record view is not open.
    fn match_list(&self) -> Result<Vec<CaseSummary>, OperateError>;

    /// Shows one case; who it is about only with a [`Reveal`], which is put on record. Reads the disk.
    ///
    /// # Errors
    /// There is no such case, or the record view is not open.
    fn match_show(&self, id: &CaseId, reveal: Option<&Reveal>) -> Result<CaseDetail, OperateError>;

    /// Decides a case: links its persons to the holders of its number, or keeps them apart from it. `reason` and `by`
    /// go on record. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// There is no such case, or the journal does not take the decision.
    fn match_decide(&self, id: &CaseId, link: bool, reason: &str, by: &str) -> Result<(), OperateError>;

    /// The slots that this hub holds, by session.
    ///
    /// # Errors
    /// It has no desk.
    fn held_slots(&self) -> Result<Vec<HeldSlots>, OperateError> {
        Err(OperateError::NotAvailable("this hub has no reception desk".to_owned()))
    }

    /// Lets held slots be sold again, on two people's word. Blocks.
    ///
    /// # Errors
    /// See [`super::hub::Hub::unlock_slots`].
    fn unlock_slots(&self, _unlocking: &Unlocking, _by: &str) -> Result<usize, OperateError> {
        Err(OperateError::NotAvailable("this hub has no reception desk".to_owned()))
    }

    /// Checks everything the hub depends on. May take seconds.
    fn doctor(&self) -> Vec<Check>;

    /// The hub's accounts; none where nobody can sign in.
    fn sign_in(&self) -> Option<&SignIn> {
        None
    }

    /// The hub's audit trail; none where nothing is disclosed.
    fn audit(&self) -> Option<&Audit> {
        None
    }

    /// What everybody at work should know of the links; none where there are none. Does not block.
    fn link_strip(&self) -> Option<LinkStrip> {
        None
    }

    /// Contacts as they are counted; none where nothing is.
    fn counting(&self) -> Option<Arc<Counting>> {
        None
    }

    /// Whether the demonstration's WAN switch is on; nothing where there is no switch.
    fn wan(&self) -> Option<bool> {
        None
    }

    /// Connects or cuts the demonstration's WAN.
    ///
    /// # Errors
    /// There is no switch.
    fn set_wan(&self, connected: bool) -> Result<(), OperateError> {
        let deed = if connected { "connecting the WAN" } else { "cutting the WAN" };
        Err(OperateError::NotAvailable(format!("{deed} is for the demonstration only")))
    }
}

impl fmt::Debug for dyn Operate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operate")
    }
}

/// Which messages to look for; a field that is not set matches all.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageFilter {
    /// The configured name of the system.
    pub system: Option<String>,
    /// The kind, such as `ADT^A01`.
    pub kind: Option<String>,
    /// The sender's own identifier.
    pub source_id: Option<String>,
    /// Accepted at this moment or later.
    pub since: Option<Timestamp>,
    /// Accepted before this moment.
    pub until: Option<Timestamp>,
    /// The class.
    pub class: Option<Class>,
    /// Those that could not be taken in and were kept aside, instead of those accepted.
    pub quarantined: bool,
    /// Only those that carry no valid NHS number and want repair at their source.
    pub unlinked: bool,
    /// At most so many; 1 to [`MessageFilter::LIMIT_MAX`].
    pub limit: usize,
}

impl MessageFilter {
    /// More than this nobody reads on a screen, and the answer would have no bound.
    pub const LIMIT_MAX: usize = 1000;
}

impl Default for MessageFilter {
    fn default() -> Self {
        Self {
            system: None,
            kind: None,
            source_id: None,
            since: None,
            until: None,
            class: None,
            quarantined: false,
            unlinked: false,
            limit: 100,
        }
    }
}

/// One message that was found. No patient data.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct FoundMessage {
    /// 32 hexadecimal digits; for a quarantined message, of its bytes' hash.
    pub id: String,
    /// When it came.
    pub at: Timestamp,
    /// From which system.
    pub system: String,
    /// What kind; empty if that could not be read.
    pub kind: String,
    /// The sender's own identifier; empty if that could not be read.
    pub source_id: String,
    /// Where it is now.
    pub state: MessageState,
    /// Its class, unless it was kept aside.
    pub class: Option<Class>,
    /// Its epoch, unless it was kept aside.
    pub epoch: Option<Epoch>,
    /// Its number, unless it was kept aside.
    pub seq: Option<Sequence>,
    /// Its length as it came, in bytes.
    pub size_bytes: u64,
    /// Why it is parked or quarantined, or linked to nobody; empty otherwise.
    pub reason: String,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Durable here, and not yet confirmed by the centre.
    Waiting,
    /// Durable at the centre.
    Confirmed,
    /// Refused by the broker or the centre, and kept for a decision.
    Parked,
    /// It could not be taken in, and was kept aside.
    Quarantined,
}

impl MessageState {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Confirmed => "confirmed",
            Self::Parked => "parked",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Names one message: its 32 hexadecimal digits, or `SYSTEM/SOURCE_ID`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum MessageId {
    /// The hub's own name for it.
    Id(String),
    /// The sender's name for it.
    Source {
        /// The configured name of the system.
        system: String,
        /// The sender's own identifier.
        source_id: String,
    },
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Id(text.to_ascii_lowercase()));
        }
        match text.split_once('/') {
            Some((system, source_id)) if !system.is_empty() && !source_id.is_empty() => {
                Ok(Self::Source { system: system.to_owned(), source_id: source_id.to_owned() })
            }
            _ => Err(InvalidMessageId),
        }
    }
}

impl TryFrom<String> for MessageId {
    type Error = InvalidMessageId;

    fn try_from(text: String) -> Result<Self, InvalidMessageId> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Source { system, source_id } => write!(f, "{system}/{source_id}"),
        }
    }
}

/// The text names no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a message is named by its 32 hexadecimal digits or as SYSTEM/SOURCE_ID, for example rio/MSG00001")]
pub struct InvalidMessageId;

/// Leave to see a message's content, and what goes on record about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reveal {
    /// Why it is needed, in the operator's words; not empty.
    pub reason: String,
    /// Who asked, such as `uid 1000`.
    pub by: String,
}

/// One message's envelope and way through the hub.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct MessageDetail {
    /// The envelope.
    pub message: FoundMessage,
    /// How far the clock was to be trusted that stamped [`FoundMessage::at`].
    pub clock: ClockQuality,
    /// What happened to it, in order.
    pub journey: Vec<Step>,
    /// The content as [`printable`] shows it; only with a [`Reveal`].
    pub content: Option<String>,
}

impl fmt::Debug for MessageDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageDetail").field("message", &self.message).finish_non_exhaustive()
    }
}

/// One thing that happened to a message.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Step {
    /// When, where that is known.
    pub at: Option<Timestamp>,
    /// What, without patient data.
    pub what: String,
}

/// One thing that was checked.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Check {
    /// What, in a few words.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// What was found.
    pub detail: String,
    /// What to do; empty if there is nothing to do.
    pub next_step: String,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// It works, and needs looking after.
    Warn,
    /// It does not work.
    Failed,
}

/// Why a deed was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The operator named something that is not there.
    #[error("{0} was not found")]
    NotFound(String),
    /// The operator's name fits more than one thing, or the deed does not fit its state.
    #[error("{0}")]
    Conflict(String),
    /// The request makes no sense as it is.
    #[error("{0}")]
    Invalid(String),
    /// This hub does not offer it.
    #[error("{0}")]
    NotAvailable(String),
    /// The hub tried and failed.
    #[error("{what} failed")]
    Failed {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Calls that may be under way together: a hub that hangs must not take every thread of the runtime with it.
const CALLS_MAX: usize = 32;

static CALLS: Semaphore = Semaphore::const_new(CALLS_MAX);

/// The hub did not answer in time, or failed while answering.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the hub does not answer")]
pub struct NoAnswer;

/// Asks a hub from async code, on a thread that may block, and waits no longer than `patience`.
///
/// # Errors
/// There was no answer in time. A deed may be done nevertheless.
pub async fn ask<T: Send + 'static>(
    hub: &Arc<dyn Operate>,
    patience: Duration,
    deed: impl FnOnce(&dyn Operate) -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let hub = Arc::clone(hub);
    let call = async move {
        let permit = CALLS.acquire().await.map_err(|_| NoAnswer)?;
        let call = move || {
            let answer = deed(hub.as_ref());
            drop(permit);
            answer
        };
        tokio::task::spawn_blocking(call).await.map_err(|_| NoAnswer)
    };
    tokio::time::timeout(patience, call).await.unwrap_or(Err(NoAnswer))
}

/// Content beyond this is not shown: nobody reads more than this on a terminal.
const CONTENT_BYTES_MAX: usize = 1 << 20;

/// A message's bytes as text that is safe on a terminal: carriage returns (HL7 v2 segment ends) become
/// newlines, other control characters and bytes that are not UTF-8 become `\x..`.
pub fn printable(content: &[u8]) -> String {
    let shown = content.get(..CONTENT_BYTES_MAX).unwrap_or(content);
    let mut text = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\r' | '\n' => text.push('\n'),
                '\t' => text.push('\t'),
                other if other.is_control() => text.extend(other.escape_unicode()),
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            write!(text, "\\x{byte:02x}").unwrap_or_default();
        }
    }
    if shown.len() < content.len() {
        write!(text, "\n[{} more bytes are not shown]", content.len() - shown.len()).unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_digits_or_system_and_source() {
        let digits = "0123456789ABCDEF0123456789abcdef";
        assert_eq!(digits.parse(), Ok(MessageId::Id(digits.to_lowercase())));
        let source = MessageId::Source { system: "rio".to_owned(), source_id: "A/1".to_owned() };
        assert_eq!("rio/A/1".parse(), Ok(source.clone()));
        assert_eq!(source.to_string(), "rio/A/1");
        for bad in ["", "rio", "/1", "rio/"] {
            assert_eq!(bad.parse::<MessageId>(), Err(InvalidMessageId), "{bad}");
        }
    }

    #[test]
    fn content_cannot_steer_a_terminal() {
        assert_eq!(printable(b"MSH|^~\\&|\rPID|\x1b[2J\xff"), "MSH|^~\\&|\nPID|\\u{1b}[2J\\xff");
        let long = printable(&vec![b'a'; CONTENT_BYTES_MAX + 5]);
        assert!(long.ends_with("[5 more bytes are not shown]"));
    }

    #[tokio::test]
    async fn a_hub_that_panics_is_no_answer() {
        let hub: Arc<dyn Operate> = Arc::new(crate::flow::fake::FakeHub::new(crate::flow::fake::calm()));
        let patience = Duration::from_secs(60);
        assert_eq!(ask(&hub, patience, |_| panic!("broken")).await, Err::<(), _>(NoAnswer));
        assert_eq!(ask(&hub, patience, |hub| hub.wan()).await, Ok(Some(true)));
        let hang = |_: &dyn Operate| std::thread::sleep(Duration::from_millis(50));
        assert_eq!(ask(&hub, Duration::ZERO, hang).await, Err(NoAnswer));
    }

    #[test]
    fn what_has_no_wan_switch_says_so() {
        let hub = crate::flow::fake::FakeHub::new(crate::flow::fake::calm());
        assert!(matches!(hub.without_switch().set_wan(false), Err(OperateError::NotAvailable(_))));
    }
}
