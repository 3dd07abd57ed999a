//! What hubs tell each other of patients through the centre: who holds whose record and why, what others have sent of them,
//! and how far that has come.
//!
//! These are wire types of `docs/protocol.md`. A record goes to a hub only while an [`Opened`] of that hub stands for the
//! patient, and whoever gave anything to it is told who opened it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    entry::BatchEntry,
    ids::{Class, Epoch, HubId},
    nhs_number::NhsNumber,
    time::Timestamp,
};

/// The kind of the entries that say that a hub holds a patient's record from now on; their bytes are an [`Opened`] as CBOR.
pub const OPENED_KIND: &str = "record.opened";
/// The format of their bytes.
pub const OPENED_FORMAT: &str = "record-opened";
/// An [`Opened`] is a few hundred bytes; the longest names and grounds make it no more than this.
pub const OPENED_BYTES_MAX: usize = 16 << 10;
/// The version of these types that this program writes, and the only one it reads.
pub const VERSION: u8 = 1;
/// Longest time for which one [`Opened`] lets a hub hold a record, in milliseconds: a week, as cached answers.
pub const HELD_MAX_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// That somebody at a hub has opened a patient's record, or that the hub fetches it ahead for a booked patient. The patient
/// is the entry's. `Debug` shows nothing.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// [`VERSION`].
    pub v: u8,
    /// Until when the hub may hold what it gets; never more than [`HELD_MAX_MS`] after it was said.
    pub until: Timestamp,
    /// The user's id at the asking hub; `polygate` if it was fetched ahead.
    pub user: String,
    /// Their name.
    pub name: String,
    /// Their roles, by comma.
    pub roles: String,
    /// The asking organisation's ODS code.
    pub organisation: String,
    /// On what ground, in the words of the policy.
    pub ground: String,
    /// The line of the asking hub's audit trail.
    pub line: String,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(…)")
    }
}

/// One entry of another hub. `Debug` shows no content.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct HeldEntry {
    /// The hub that took it in.
    pub hub: HubId,
    /// Its class there.
    pub class: Class,
    /// Its epoch there.
    pub epoch: Epoch,
    /// The entry as that hub sent it.
    pub entry: BatchEntry,
}

/// Entries of one patient, from other hubs. `Debug` shows no patient.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// Whose.
    pub patient: NhsNumber,
    /// Until when they may be held.
    pub until: Timestamp,
    /// The entries; none if others have nothing (more) of the patient.
    pub entries: Vec<HeldEntry>,
    /// Entries of other hubs that are left out, for they are too long or too many.
    pub omitted: u32,
    /// Entries of other hubs that stay there, for their sources have sealed them.
    #[serde(default)]
    pub sealed: u32,
    /// The `source_id` of the [`Opened`] that this answers; empty if it was not asked for now. It is with the last portion of
    /// an answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answers: String,
}

impl fmt::Debug for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Portion({} entries)", self.entries.len())
    }
}

/// That a record of which this hub has given something was opened at another. `Debug` shows no patient.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct OpenedElsewhere {
    /// At which hub.
    pub hub: HubId,
    /// Whose.
    pub patient: NhsNumber,
    /// When, by that hub's clock.
    pub at: Timestamp,
    /// By whom.
    pub opened: Opened,
}

impl fmt::Debug for OpenedElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenedElsewhere({})", self.hub)
    }
}

/// What the centre tells a hub of its patients elsewhere (topic `polygate/1/{hub}/down/record`).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RecordsDown {
    /// [`VERSION`].
    pub v: u8,
    /// One telling of the centre's; another one begins whenever the centre or its connection does.
    pub run: u64,
    /// Its number in the run, from 1 without a hole.
    pub number: u64,
    /// With this message the hub has all that the centre had received by this moment (the centre's clock) of the patients
    /// whose records the hub holds.
    pub as_at: Timestamp,
    /// The earliest moment for which the messages of this run are whole: zero if for all there is.
    pub since: Timestamp,
    /// Entries of other hubs.
    pub portions: Vec<Portion>,
    /// Who has opened records elsewhere.
    pub opened: Vec<OpenedElsewhere>,
}

/// How far a hub has taken in what [`RecordsDown`] told, for the centre.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct RecordsHeard {
    /// The run that it hears.
    pub run: u64,
    /// The last number of the run that is durable, with all before it.
    pub number: u64,
    /// [`RecordsDown::as_at`] of what is durable without a hole; zero if nothing is.
    pub as_at: Timestamp,
}
