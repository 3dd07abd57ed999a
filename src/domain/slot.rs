//! Appointments at other systems: what is free, what is asked for, and what was booked.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{nhs_number::NhsNumber, time::Timestamp};

/// The longest label of an appointment, in characters (GP Connect 1.2.7, Book an appointment).
pub const DESCRIPTION_CHARACTERS_MAX: usize = 100;
/// The longest comment on an appointment, in characters (same).
pub const COMMENT_CHARACTERS_MAX: usize = 500;
/// The widest window a search for free slots may have (GP Connect 1.2.7, Search for free slots).
pub const SEARCH_MAX: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A window in which free slots are wanted. A slot counts if it lies wholly within.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotQuery {
    /// From when.
    pub from: Timestamp,
    /// Until when; at most [`SEARCH_MAX`] later.
    pub until: Timestamp,
    /// Further filters, `(system, code)`. Providers pass over those they do not know.
    pub filters: Vec<(String, String)>,
}

/// A time that can be booked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FreeSlot {
    /// Its id at its system.
    pub id: String,
    /// The session it is part of, by its id. Only slots of one session are adjacent.
    pub schedule: String,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// What for, in the practice's words.
    pub service: String,
    /// The session's sort, in the practice's words, and the service's name if it has one.
    pub session: String,
    /// `In-person`, `Telephone` or `Video`; empty if not said.
    pub delivery_channel: String,
    /// Where.
    pub location: Place,
    /// With whom; none if not said.
    pub practitioner: Option<Clinician>,
}

/// Where an appointment takes place.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Its id at its system.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address in one line.
    pub address: String,
    /// Whose it is.
    pub organisation: String,
}

/// With whom an appointment is: consumers must show the role, the name and the gender.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Clinician {
    /// Their id at their system.
    pub id: String,
    /// Their name.
    pub name: String,
    /// `male`, `female`, `other` or `unknown`; empty if not said.
    pub gender: String,
    /// What they work as.
    pub role: String,
}

/// A patient as a system of others holds them. `Debug` shows neither name nor number.
#[derive(Clone, Eq, PartialEq)]
pub struct PatientAtSystem {
    /// Their id at that system.
    pub id: String,
    /// Whose number.
    pub nhs_number: NhsNumber,
    /// Their name there, as one says it.
    pub name: String,
    /// Their date of birth there, as precise as given.
    pub birth_date: String,
    /// `male`, `female`, `other` or `unknown`.
    pub gender: String,
    /// `T` for a temporary registration, `R` for a regular one; empty if not said.
    pub registration: String,
}

impl fmt::Debug for PatientAtSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatientAtSystem({})", self.registration)
    }
}

/// What a system is told to register a patient as a temporary one. `Debug` shows nothing.
#[derive(Clone, Eq, PartialEq)]
pub struct Registration {
    /// The traced and verified number.
    pub nhs_number: NhsNumber,
    /// Family name.
    pub family_name: String,
    /// Given names.
    pub given_names: Vec<String>,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// `male`, `female`, `other` or `unknown`.
    pub gender: String,
    /// Home address by lines; may be empty.
    pub address_lines: Vec<String>,
    /// Its postcode; may be empty.
    pub postcode: String,
    /// A telephone number; may be empty.
    pub telephone: String,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration(…)")
    }
}

/// What is to be booked. `Debug` shows no words.
#[derive(Clone, Eq, PartialEq)]
pub struct Booking {
    /// For whom, as found at the system.
    pub patient: PatientAtSystem,
    /// One slot or several adjacent ones, in any order.
    pub slots: Vec<FreeSlot>,
    /// A label; at most [`DESCRIPTION_CHARACTERS_MAX`].
    pub description: String,
    /// A comment; at most [`COMMENT_CHARACTERS_MAX`]; may be empty.
    pub comment: String,
}

impl fmt::Debug for Booking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Booking({} slots)", self.slots.len())
    }
}

/// An appointment as its system holds it. `Debug` shows no words.
#[derive(Clone, Eq, PartialEq)]
pub struct BookedAppointment {
    /// Its id at its system.
    pub id: String,
    /// Its version, needed to change it.
    pub version: String,
    /// The patient's id at that system.
    pub patient: String,
    /// Whether it stands.
    pub status: AppointmentStatus,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// The slots it fills, by id.
    pub slots: Vec<String>,
    /// Its label.
    pub description: String,
    /// Its comment.
    pub comment: String,
    /// When it was booked, as its system says.
    pub created: String,
    /// ODS code of the organisation that booked it; empty if not said.
    pub booked_by: String,
    /// `In-person`, `Telephone` or `Video`; empty if not said.
    pub delivery_channel: String,
    /// Why it was cancelled; empty if it was not.
    pub cancellation_reason: String,
}

impl fmt::Debug for BookedAppointment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BookedAppointment({}, version {}, {:?})", self.id, self.version, self.status)
    }
}

/// Whether an appointment stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppointmentStatus {
    /// It stands.
    Booked,
    /// It was cancelled.
    Cancelled,
    /// It stands, and the patient has come.
    Arrived,
    /// It has taken place.
    Fulfilled,
    /// The patient did not come.
    NoShow,
    /// Something else, such as proposed.
    Other,
}

/// What may be changed in an appointment without booking another.
#[derive(Clone, Eq, PartialEq)]
pub struct Amendment {
    /// The new label; none leaves it.
    pub description: Option<String>,
    /// The new comment; none leaves it.
    pub comment: Option<String>,
}

impl fmt::Debug for Amendment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Amendment(…)")
    }
}
