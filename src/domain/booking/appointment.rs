//! An appointment as the reception desk holds it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{
    ids::HubId,
    nhs_number::NhsNumber,
    slot::{Clinician, Place},
    time::Timestamp,
};

use super::{
    names::{AppointmentId, OfferKey},
    offer::Channel,
};

/// What a booking is worth.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// This hub holds the slot: it is booked once it is said.
    Firm,
    /// The slot's own system answers, and confirms.
    BySystem,
    /// It is asked for, and may be refused: say so to the patient.
    Provisional(WhyProvisional),
}

/// Why a booking is not confirmed yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyProvisional {
    /// The system in whose book it is does not answer, or says that it cannot just now.
    SystemSilent,
    /// Another hub, or the centre, owns the slot, and must answer first.
    OwnedElsewhere,
    /// The system takes bookings as messages, and has not acknowledged this one.
    NotAcknowledged,
    /// The slot's own system may have acted, and must be looked at.
    OutcomeUnknown,
}

impl WhyProvisional {
    /// The reason in plain words, as a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SystemSilent => "The system in whose book it is does not answer, or cannot just now.",
            Self::OwnedElsewhere => "Another hub or the centre has this slot and must answer first.",
            Self::NotAcknowledged => "The system has not yet said that it has the booking.",
            Self::OutcomeUnknown => "The connection was lost while booking; the system is being asked again.",
        }
    }
}

/// Whether an appointment stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// This hub held the slot and has sold it to this patient.
    Firm,
    /// The slot's own system, or the hub that owns it, has confirmed.
    Confirmed(Reference),
    /// Not confirmed yet.
    Provisional {
        /// Why.
        why: WhyProvisional,
        /// How often it has been tried.
        attempts: u32,
        /// When it is tried next.
        retry: Timestamp,
    },
    /// It could not be had. The patient must be told: a task says so.
    Failed {
        /// Why, in plain words.
        why: String,
    },
    /// It is cancelled.
    Cancelled(Cancellation),
}

/// How the owner of a slot names an appointment.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Its id there.
    pub id: String,
    /// Its version there, needed to change it; may be empty.
    pub version: String,
    /// The patient's id there; may be empty.
    pub patient: String,
}

/// That it is cancelled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Cancellation {
    /// By whom.
    pub by: CancelledBy,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Whether its own system knows.
    pub told: bool,
    /// How its own system names it, if it had confirmed it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// Who cancelled (NHS Data Dictionary, ATTENDED OR DID NOT ATTEND CODE: 2 and 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelledBy {
    /// The patient, or on their behalf.
    Patient,
    /// Whoever provides the service.
    Provider,
}

/// Where a patient is on the day.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attendance {
    /// Not here yet.
    #[default]
    Expected,
    /// At the desk or in the waiting room.
    Arrived,
    /// Called.
    Called,
    /// With the clinician.
    In,
    /// Seen.
    Done,
    /// Did not attend.
    DidNotAttend,
}

impl Attendance {
    /// All of them, in the order they come.
    pub const ALL: [Self; 6] =
        [Self::Expected, Self::Arrived, Self::Called, Self::In, Self::Done, Self::DidNotAttend];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expected => "Booked",
            Self::Arrived => "Arrived",
            Self::Called => "Called",
            Self::In => "In",
            Self::Done => "Done",
            Self::DidNotAttend => "Did not attend",
        }
    }
}

/// For whom something is booked: demographics, nothing clinical. `Debug` shows nothing.
#[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// The NHS number; none if not known.
    pub nhs_number: Option<NhsNumber>,
    /// Family name.
    pub family_name: String,
    /// Given names.
    pub given_names: String,
    /// `Ms`, `Dr` and so on; may be empty.
    pub title: String,
    /// `YYYY-MM-DD`; may be empty.
    pub birth_date: String,
    /// `male`, `female`, `other` or `unknown`.
    pub gender: String,
    /// Home address in one line; may be empty.
    pub address: String,
    /// Its postcode; may be empty.
    pub postcode: String,
    /// Where they can be reached; may be empty.
    pub telephone: String,
    /// ODS code of the practice they are registered with; may be empty.
    pub practice: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

/// What a patient needs on the day: administrative, nothing clinical. `Debug` shows nothing.
#[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// An interpreter's language; empty if none is needed.
    pub interpreter: String,
    /// Whether transport is needed.
    pub transport: bool,
    /// Reasonable adjustments, in words; may be empty.
    pub adjustments: String,
    /// Where to send a reminder; empty if none is wanted.
    pub reminder: String,
}

impl fmt::Debug for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Needs(…)")
    }
}

/// One thing that happened to an appointment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// By which user, or `polygate`.
    pub by: String,
    /// What, in plain words without patient data.
    pub what: String,
}

/// An appointment. `Debug` shows no patient and no words.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Appointment {
    /// Its name in the polysystem.
    pub id: AppointmentId,
    /// For whom.
    pub person: Person,
    /// The service's id.
    pub service: HubId,
    /// What it is, in words.
    pub service_name: String,
    /// What was taken: one slot, or several adjacent ones.
    pub keys: Vec<OfferKey>,
    /// The system in whose book it is: `hub`, or a link's configured name.
    pub system: String,
    /// The hub that answers for it: it has the slot's token, or reaches the system in whose book it is. Only this hub
    /// changes it; others ask it to.
    pub hub: HubId,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// How it takes place.
    pub channel: Channel,
    /// With whom; none if not said.
    pub clinician: Option<Clinician>,
    /// Where.
    pub place: Place,
    /// Which room; may be empty.
    pub room: String,
    /// Who provides it.
    pub organisation: String,
    /// Whom to phone.
    pub telephone: String,
    /// A label; at most 100 characters.
    pub description: String,
    /// A comment; at most 500 characters; may be empty.
    pub comment: String,
    /// What the patient needs on the day.
    pub needs: Needs,
    /// Whether it stands.
    pub standing: Standing,
    /// Where the patient is on the day.
    pub attendance: Attendance,
    /// When it was made, and when attendance was last said.
    pub made: Timestamp,
    /// The user who made it.
    pub made_by: String,
    /// The hub at whose desk it was made.
    pub made_at: HubId,
    /// The visit that it is part of.
    pub visit: Option<AppointmentId>,
    /// The appointment it takes the place of, once it is confirmed.
    pub replaces: Option<AppointmentId>,
    /// What happened to it, oldest first; at most [`Appointment::CHANGES_MAX`], the oldest go first.
    pub changes: Vec<Change>,
}

impl Appointment {
    /// Nobody reads more.
    pub const CHANGES_MAX: usize = 50;

    /// Whether the slot is this patient's now.
    pub const fn is_confirmed(&self) -> bool {
        matches!(self.standing, Standing::Firm | Standing::Confirmed(_))
    }

    /// Whether it is neither cancelled nor failed.
    pub const fn stands(&self) -> bool {
        !matches!(self.standing, Standing::Cancelled(_) | Standing::Failed { .. })
    }
}

impl fmt::Debug for Appointment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Appointment({}, {}, {:?})", self.id, self.service, self.attendance)
    }
}
