//! A contact: what is so of one real contact, and why.

use std::{fmt, sync::Arc};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::{ids::HubId, time::Timestamp};

use super::{
    evidence::{EvidenceId, Patient, Reference, SaidKind, SlotType},
    facts::{DecidedFacts, FactName, Precedence},
    id::ContactId,
    month::{Month, local_date},
    words::words,
};

words! {
    /// How it came about.
    pub enum ContactKind {
        /// It was booked.
        Appointment = "appointment",
        /// Somebody walked in.
        WalkIn = "walk-in",
        /// A case of NHS 111 or out-of-hours care.
        UrgentCase = "urgent-case",
        /// A community service's contact that was not booked.
        Community = "community",
        /// A diagnostic that was not booked.
        Diagnostic = "diagnostic",
        /// Nothing but telling a result.
        ResultOnly = "result-only",
    }
}

words! {
    /// What has become of it.
    pub enum State {
        /// It stands, and nothing says what became of it.
        Outstanding = "outstanding",
        /// It took place.
        Attended = "attended",
        /// The patient did not come, and gave no warning.
        DidNotAttend = "did-not-attend",
        /// The patient came, and was not seen: late, or left before.
        NotSeen = "not-seen",
        /// Cancelled by the patient, or on their behalf.
        CancelledByPatient = "cancelled-by-patient",
        /// Cancelled by whoever provides it.
        CancelledByProvider = "cancelled-by-provider",
        /// An urgent case that ended without a consultation.
        ClosedUnseen = "closed-unseen",
        /// It was entered in error: it is kept, and counted nowhere.
        Withdrawn = "withdrawn",
    }
}

/// A piece of evidence of a contact, without its facts. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Cited {
    /// Which.
    pub id: EvidenceId,
    /// What it says.
    pub said: SaidKind,
    /// When, by the source's clock, but never after it was taken.
    pub at: Timestamp,
    /// When it was first taken.
    pub taken: Timestamp,
}

/// About what sources differ.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// What became of it.
    State,
    /// When it was planned to begin.
    Start,
    /// Whose it is.
    Patient,
    /// Which service it is.
    Service,
    /// A fact.
    Fact(FactName),
}

/// That sources differ, and which one is believed. `Debug` shows no value.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// About what.
    pub about: About,
    /// What is believed, in words; may be patient data.
    pub kept: String,
    /// Which evidence says so: its place in [`Contact::evidence`].
    pub kept_by: u16,
    /// What another source says, in words; may be patient data.
    pub other: String,
    /// Which evidence says that.
    pub other_by: u16,
    /// Why the one is believed.
    pub why: Precedence,
}

impl fmt::Debug for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conflict({:?}, {:?})", self.about, self.why)
    }
}

/// One real contact: the same for the same evidence, in whatever order it came. `Debug` shows no patient.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Its name: of its strongest and earliest reference, or the one under which it was first sent to somebody.
    pub id: ContactId,
    /// Other names that lead to it, sorted: of its other references. One that was published before two contacts turned
    /// out to be one is among them.
    pub also: Vec<ContactId>,
    /// Grows with every piece of evidence that could bear on it; the same for the same evidence. It may leave numbers
    /// out.
    pub version: u32,
    /// The hub that counts it: where its service is, else the one that took the evidence.
    pub hub: HubId,
    /// How it came about.
    pub kind: ContactKind,
    /// Whether it was for nothing but telling a result, however it came about: no contact for any return.
    pub result_only: bool,
    /// What became of it.
    pub state: State,
    /// Which evidence decided that: its place in [`Contact::evidence`].
    pub state_by: u16,
    /// Why that one is believed.
    pub state_why: Precedence,
    /// Whether it was cancelled, and no source says by whom: it counts as cancelled by the provider (to be confirmed).
    pub canceller_unsaid: bool,
    /// Whether the patient is known to have come, or to have been called, whatever the state.
    pub arrived: bool,
    /// The service; none if no map knows the slot type.
    pub service: Option<HubId>,
    /// What the slot is in its system's words.
    pub slot_type: SlotType,
    /// The system in whose book it is, as far as known.
    pub owner: Arc<str>,
    /// When it was planned to begin; none if it was not planned.
    pub start: Option<Timestamp>,
    /// When it was first planned to begin, if it was moved.
    pub moved_from: Option<Timestamp>,
    /// The day on which it is counted: of its planned beginning, else of what happened first.
    pub day: Date,
    /// Whose it is.
    pub patient: Patient,
    /// How systems name it, strongest first.
    pub references: Vec<Reference>,
    /// What is known of it.
    pub facts: DecidedFacts,
    /// What it rests on, by the sources' clocks.
    pub evidence: Vec<Cited>,
    /// What sources say differently.
    pub conflicts: Vec<Conflict>,
}

impl Contact {
    /// The month in which it is counted.
    pub fn month(&self) -> Month {
        Month::of(self.day)
    }

    /// Whether it was booked, and so is in the first sum of the funnel.
    pub const fn is_booked(&self) -> bool {
        matches!(self.kind, ContactKind::Appointment)
    }

    /// When it was planned to begin, else when the patient came, was seen or was first spoken of.
    pub fn moment(&self) -> Timestamp {
        let facts = [self.facts.arrived_at, self.facts.seen_at].into_iter().flatten().map(|fact| fact.value);
        let first = self.evidence.iter().map(|cited| cited.at).min();
        self.start.or_else(|| facts.min()).or(first).unwrap_or_default()
    }

    /// The day on which somebody first entered what became of it; none while it is outstanding.
    pub fn captured(&self) -> Option<Date> {
        let by = self.evidence.get(usize::from(self.state_by))?;
        if self.state == State::Outstanding { None } else { local_date(by.taken) }
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, version, kind, state, day, .. } = self;
        write!(f, "Contact({id}, version {version}, {}, {}, {day})", kind.word(), state.word())
    }
}
