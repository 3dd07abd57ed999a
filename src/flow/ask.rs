//! Asking the general practices' systems: for records and free slots, and to book, amend and cancel.
//!
//! Whoever asks must hold a reason to: who may see what is decided before a system is asked, never here.

use std::{error::Error, fmt, future::Future, pin::Pin, time::Duration};

use crate::domain::{
    actor::Requester,
    booking::{Appointment, Reference},
    nhs_number::NhsNumber,
    record::Snapshot,
    slot::{Amendment, BookedAppointment, Booking, FreeSlot, PatientAtSystem, Registration, SlotQuery},
    time::Timestamp,
};

/// An answer to come. What books, amends, cancels or registers must be driven to its end even if whoever asked has
/// gone: dropped half-way, it leaves nobody who knows what was done. Spawn it.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// A general practice's system, whoever made it.
pub trait GpSystem: fmt::Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// ODS code of the practice that uses it.
    fn practice(&self) -> &str;

    /// All it holds of a patient.
    fn record<'a>(&'a self, who: &'a Requester, patient: NhsNumber) -> Asked<'a, Snapshot>;

    /// The patient as it knows them.
    fn find_patient<'a>(&'a self, who: &'a Requester, patient: NhsNumber) -> Asked<'a, PatientAtSystem>;

    /// Registers a patient of another practice for a while, so that they can be booked.
    fn register<'a>(&'a self, who: &'a Requester, patient: &'a Registration) -> Asked<'a, PatientAtSystem>;

    /// What is free.
    fn slots<'a>(&'a self, who: &'a Requester, query: &'a SlotQuery) -> Asked<'a, Vec<FreeSlot>>;

    /// Books. If no answer comes, the patient's appointments are read back before anything is said; a refusal
    /// whose outcome is [`Outcome::Unknown`] must be cleared up before anything is tried again.
    fn book<'a>(&'a self, who: &'a Requester, booking: &'a Booking) -> Asked<'a, BookedAppointment>;

    /// A patient's appointments from today until a day (`YYYY-MM-DD`), cancelled ones included.
    fn appointments<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        until: &'a str,
    ) -> Asked<'a, Vec<BookedAppointment>>;

    /// One appointment.
    fn read<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        id: &'a str,
    ) -> Asked<'a, BookedAppointment>;

    /// Changes an appointment's words. Refused if it has changed since it was read.
    fn amend<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        appointment: &'a BookedAppointment,
        amendment: &'a Amendment,
    ) -> Asked<'a, BookedAppointment>;

    /// Cancels an appointment. Refused if it has changed since it was read.
    fn cancel<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        appointment: &'a BookedAppointment,
        reason: &'a str,
    ) -> Asked<'a, BookedAppointment>;

    /// What an operator should know about this system now, such as a clock that differs; empty if nothing.
    fn complaints(&self) -> Vec<String>;

    /// When it last answered, and when and how it last failed to.
    fn contact(&self) -> Contact {
        Contact::default()
    }
}

/// A system in whose book appointments are made by telling it: RiO and hospital systems over HL7 v2 (SIU).
pub trait TakesBookings: fmt::Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Tells it, and waits for its acknowledgement. The same telling twice has one effect there, because both have the
    /// same message identifier. A refusal whose outcome is [`Outcome::Unknown`] may be told again.
    fn tell<'a>(&'a self, telling: &'a Telling) -> Asked<'a, Reference>;

    /// When it last answered, and when and how it last failed to.
    fn contact(&self) -> Contact {
        Contact::default()
    }
}

/// What a system is told of an appointment in its book. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Telling {
    /// What has happened.
    pub what: Told,
    /// The appointment as it is now.
    pub appointment: Appointment,
    /// The same at every attempt, and another for every other telling: at most 20 characters of `A-Z`, `a-z`, `0-9`
    /// and `-`, fit for MSH-10.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
}

/// What happened to an appointment (HL7 v2.4, chapter 10: trigger events).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// It was made: S12.
    Booked,
    /// Its words were changed: S14.
    Amended,
    /// It was cancelled: S15.
    Cancelled,
    /// The patient did not attend: S26.
    DidNotAttend,
}

/// How asking a system has gone lately, for the list of links.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contact {
    /// When it last answered anything, by the hub's clock: a refusal of its own is an answer.
    pub answered: Option<Timestamp>,
    /// When no answer of its own came last, and why: code and detail, without patient data.
    pub failed: Option<(Timestamp, String)>,
}

impl Contact {
    /// Whether it answered when it was last asked; none if it never was.
    pub fn is_up(&self) -> Option<bool> {
        match (self.answered, self.failed.as_ref().map(|failed| failed.0)) {
            (None, None) => None,
            (answered, failed) => Some(failed < answered),
        }
    }
}

/// Who can put it right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AtFault {
    /// This hub: a defect, or its configuration.
    Hub,
    /// The person asking: choose or enter something else.
    Asker,
    /// The patient or the practice has said no.
    Decision,
    /// The other system, or its practice's configuration.
    System,
    /// The network or the Spine between.
    Network,
}

/// When asking again may help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Never, as it stands.
    Never,
    /// After this long, unchanged. Said only of what has not been acted on, or does no harm twice.
    After(Duration),
    /// After looking again: what was asked for has changed meanwhile.
    AfterFreshLook,
}

/// Whether the other system has acted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It has not.
    NotDone,
    /// It may have.
    Unknown,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// A stable code, such as `PATIENT_NOT_FOUND`.
    pub code: &'static str,
    /// Who can put it right.
    pub at_fault: AtFault,
    /// When asking again may help.
    pub retry: Retry,
    /// Whether the other system has acted.
    pub outcome: Outcome,
    /// What to say at the reception desk: plain, and true.
    pub words: &'static str,
    /// For operators: what happened where, without patient data.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_up_if_it_answered_last() {
        let contact = |answered: Option<i64>, failed: Option<i64>| Contact {
            answered: answered.map(Timestamp),
            failed: failed.map(|at| (Timestamp(at), String::new())),
        };
        for (answered, failed, up) in [
            (None, None, None),
            (Some(1), None, Some(true)),
            (None, Some(1), Some(false)),
            (Some(2), Some(1), Some(true)),
            (Some(1), Some(2), Some(false)),
        ] {
            assert_eq!(contact(answered, failed).is_up(), up);
        }
    }
}
