//! The hub's condition as operators see it: the document behind `polygate status --json`, the portal's first
//! page, the metrics and the health answers. It never holds patient data.

use serde::Serialize;

use crate::{
    domain::{
        ids::{Class, HubId},
        time::{ClockQuality, Timestamp},
    },
    journal,
};

use super::alarm::Alarm;

/// Everything about a hub that may be shown without sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct HubStatus {
    /// Its id.
    pub hub: HubId,
    /// Its ODS code.
    pub ods: String,
    /// Its name.
    pub name: String,
    /// The program's version.
    pub version: &'static str,
    /// Since when it runs.
    pub started: Timestamp,
    /// The moment this was made.
    pub now: Timestamp,
    /// How far its clock is to be trusted.
    pub clock: ClockQuality,
    /// `ok`, `degraded` (an alarm stands) or `refusing` (senders are turned away).
    pub condition: Condition,
    /// Every alarm that stands.
    pub alarms: Vec<Alarm>,
    /// The local systems' links.
    pub links: Vec<LinkStatus>,
    /// The systems that messages are delivered to.
    pub deliveries: Vec<DeliveryStatus>,
    /// The link to the centre.
    pub centre: CentreStatus,
    /// What waits for the centre, most urgent first.
    pub queue: Vec<QueueStatus>,
    /// The journal.
    pub journal: journal::Status,
    /// The record view.
    pub view: ViewStatus,
    /// Entries refused by the broker or the centre, waiting for a decision.
    pub parked: u64,
    /// Messages that could not be taken in, kept aside.
    pub quarantined: u64,
    /// The newest messages, newest first; at most [`HubStatus::RECENT_MAX`].
    pub recent: Vec<RecentMessage>,
}

impl HubStatus {
    /// How many messages [`HubStatus::recent`] holds.
    pub const RECENT_MAX: usize = 20;
}

/// A hub's condition in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// All is well.
    Ok,
    /// It works, and something needs looking after.
    Degraded,
    /// Senders are refused.
    Refusing,
}

impl Condition {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Refusing => "refusing",
        }
    }
}

/// A link's state in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Connected, or heard from.
    Up,
    /// Listening, and nobody is connected.
    Waiting,
    /// It does not work.
    Down,
}

impl LinkState {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Waiting => "waiting",
            Self::Down => "down",
        }
    }
}

/// One local system's link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// The configured name, such as `rio`.
    pub name: String,
    /// The kind of system, such as `RiO`.
    pub kind: &'static str,
    /// Where it listens or connects to.
    pub address: String,
    /// Its state.
    pub state: LinkState,
    /// Since when.
    pub since: Timestamp,
    /// Why it is down; empty otherwise.
    pub detail: String,
    /// Connections now.
    pub connections: u64,
    /// Messages acknowledged as accepted since the start, repetitions included.
    pub accepted: u64,
    /// Of these, repetitions of messages accepted before.
    pub repeated: u64,
    /// Messages refused since the start.
    pub refused: u64,
    /// When the newest message came.
    pub last_message: Option<Timestamp>,
}

/// One system that messages are delivered to. Counts are since the start.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryStatus {
    /// The configured name, such as `rio`.
    pub name: String,
    /// The kind of system, such as `RiO`.
    pub kind: &'static str,
    /// Where it is reached.
    pub address: String,
    /// `up` if it took the last message, `down` if it has taken nothing for a minute of trying.
    pub state: LinkState,
    /// Why it takes nothing, or why nothing more is read for it; empty otherwise.
    pub detail: String,
    /// Messages known to be for it that it does not have yet, without parked ones; what the journal holds beyond
    /// 10,000 of them is not counted.
    pub queued: u64,
    /// Of these, under way.
    pub in_flight: u64,
    /// Messages it refused for good, each of which keeps its patient's lane.
    pub parked: u64,
    /// Of those queued, behind parked ones.
    pub held: u64,
    /// When the oldest of those queued was taken in, without those put aside behind parked ones.
    pub oldest: Option<Timestamp>,
    /// How long ago that was, in seconds.
    pub oldest_age_seconds: u64,
    /// When it last took a message.
    pub last_accepted: Option<Timestamp>,
    /// Messages it took.
    pub accepted: u64,
    /// Attempts that it refused for the time being, or did not answer.
    pub again: u64,
    /// Messages that were gone before they could be delivered.
    pub missed: u64,
}

/// The link to the centre.
#[derive(Clone, Debug, Serialize)]
pub struct CentreStatus {
    /// The broker's URL.
    pub broker: String,
    /// Its state.
    pub state: LinkState,
    /// Since when.
    pub since: Timestamp,
    /// Why it is down; empty otherwise.
    pub detail: String,
    /// When the newest receipt came.
    pub last_receipt: Option<Timestamp>,
    /// Entries confirmed since the start.
    pub confirmed: u64,
    /// Batches sent since the start, repetitions included.
    pub batches_sent: u64,
    /// Bytes of batches sent since the start.
    pub bytes_sent: u64,
    /// Connections made since the start.
    pub connections: u64,
}

/// What everybody at work should know of the hub's links, as it is known without looking at the disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkStrip {
    /// When this was so.
    pub now: Timestamp,
    /// The link to the centre.
    pub centre: LinkState,
    /// Since when it is like that.
    pub since: Timestamp,
    /// Entries that wait for the centre.
    pub queued: u64,
    /// The local systems: name, state, since when, and when the newest message came.
    pub systems: Vec<(String, LinkState, Timestamp, Option<Timestamp>)>,
}

/// What waits for the centre in one class.
#[derive(Clone, Debug, Serialize)]
pub struct QueueStatus {
    /// The class.
    pub class: Class,
    /// Entries not confirmed.
    pub entries: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
    /// How long ago that was, in seconds.
    pub oldest_age_seconds: u64,
}

/// The record view.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ViewStatus {
    /// Patients it holds.
    pub patients: u64,
    /// Whether it has yet to catch up with the journal after being made anew.
    pub rebuilding: bool,
    /// Entries applied since the start.
    pub applied: u64,
    /// Whether everything accepted is in it.
    pub caught_up: bool,
}

/// One message, as far as it may be shown without sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct RecentMessage {
    /// When it came.
    pub at: Timestamp,
    /// From which system.
    pub system: String,
    /// What kind, such as `ADT^A01`.
    pub kind: String,
    /// The sender's own identifier for it.
    pub source_id: String,
    /// What became of it: `accepted`, `repeated` or `refused`.
    pub outcome: &'static str,
}
