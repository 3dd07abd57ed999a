//! What a system says of an appointment in its own book, as far as a reception desk follows it: nothing clinical.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

use super::{appointment::Attendance, appointment::Person, names::AppointmentId};

/// What a system says of one appointment in its book. `Debug` shows no patient.
#[derive(Clone, Eq, PartialEq)]
pub struct SystemWord {
    /// The system's configured name.
    pub system: String,
    /// Which of its words this is.
    pub when: WordTime,
    /// The name that the appointment has here if that system has made it itself.
    pub id: AppointmentId,
    /// How it is named by either side, in any order: this hub's own name for it, and the system's.
    pub names: Vec<String>,
    /// How the system names it; empty if it does not say.
    pub filler: String,
    /// Whether it stands; none if it is not said, because only the patient's coming is.
    pub book: Option<BookWord>,
    /// Where the patient is; none if it is not said.
    pub attendance: Option<Attendance>,
    /// When it begins, if it is said.
    pub start: Option<Timestamp>,
    /// When it ends, if it is said.
    pub end: Option<Timestamp>,
    /// Codes of what it takes: sessions, places.
    pub sessions: Vec<String>,
    /// Codes or names of its service.
    pub services: Vec<String>,
    /// For whom.
    pub person: Person,
    /// The patient's number at that system; empty if it does not say.
    pub patient: String,
}

impl fmt::Debug for SystemWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, when, book, attendance, .. } = self;
        write!(f, "SystemWord({system}, {when:?}, {book:?}, {attendance:?})")
    }
}

/// Whether an appointment stands in its system's book.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BookWord {
    /// It stands.
    Stands,
    /// It does not stand any more.
    Cancelled,
}

/// Which of two words of a system counts: the later one, and of two of one moment the one that came later. A word that
/// comes again has the time that it had.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct WordTime {
    /// When it was said, by the system's clock, but never after it came here: a clock that runs ahead would otherwise
    /// silence all that is said later.
    pub at: Timestamp,
    /// Where it stands in the hub's journal.
    pub place: (u64, u64),
}
