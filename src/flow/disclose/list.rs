//! A clinician's list of the day, and who has seen a patient.

use crate::{
    access::{audit::Outcome, policy::Relationship},
    domain::{
        booking::{AppointmentId, Attendance},
        nhs_number::NhsNumber,
        time::Timestamp,
    },
    flow::{audit::Found, hub::Hub},
};

use super::Records;

/// A patient who is booked here. Its `Debug` shows nobody.
#[derive(Clone, Eq, PartialEq)]
pub struct ListRow {
    /// The appointment.
    pub appointment: AppointmentId,
    /// When.
    pub start: Timestamp,
    /// Which service.
    pub service: String,
    /// With whom; may be empty.
    pub clinician: String,
    /// Which room; may be empty.
    pub room: String,
    /// The patient's family name.
    pub family_name: String,
    /// Their given names.
    pub given_names: String,
    /// `YYYY-MM-DD`; may be empty.
    pub birth_date: String,
    /// Their number, if it is known.
    pub nhs_number: Option<NhsNumber>,
    /// Where they are.
    pub attendance: Attendance,
}

impl std::fmt::Debug for ListRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListRow({:?})", self.appointment)
    }
}

/// A deed that is on record about a patient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ViewerRow {
    /// The line's name in the trail.
    pub line: String,
    /// When.
    pub at: Timestamp,
    /// Who, as their name was then.
    pub name: String,
    /// The account's id.
    pub user: String,
    /// In which roles.
    pub roles: String,
    /// For which organisation.
    pub organisation: String,
    /// What was done or tried, as a stable word.
    pub deed: String,
    /// Whether it was allowed and done.
    pub outcome: Outcome,
    /// On what ground.
    pub ground: String,
    /// Why, in their own words.
    pub reason: String,
}

impl From<Found> for ViewerRow {
    fn from(found: Found) -> Self {
        let line = found.line;
        Self {
            line: found.id.to_string(),
            at: line.at,
            name: line.name,
            user: line.user,
            roles: line.roles,
            organisation: line.organisation,
            deed: line.deed,
            outcome: line.outcome,
            ground: line.ground,
            reason: line.reason,
        }
    }
}

impl Records {
    /// Who is booked at this hub in a window, by time; cancelled ones are left out.
    pub fn list(&self, from: Timestamp, until: Timestamp) -> Vec<ListRow> {
        self.hub.booked_between(from, until)
    }

    /// One of them.
    pub fn row(&self, appointment: AppointmentId) -> Option<ListRow> {
        self.hub.booked(appointment)
    }
}

impl Hub {
    pub(super) fn related(&self, number: &NhsNumber) -> Vec<Relationship> {
        self.booking_desk().map(|desk| desk.relationships(*number)).unwrap_or_default()
    }

    fn booked_between(&self, from: Timestamp, until: Timestamp) -> Vec<ListRow> {
        self.booking_desk().map(|desk| desk.list(from, until)).unwrap_or_default()
    }

    fn booked(&self, appointment: AppointmentId) -> Option<ListRow> {
        self.booking_desk().ok()?.row(appointment)
    }
}
