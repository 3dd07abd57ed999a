//! What the desk's pages, other systems' bookings and commands ask of the hub: one door to booking, whoever knocks.

use std::{future::Future, pin::Pin};

use crate::domain::{
    actor::Practitioner,
    booking::{
        Answer, Appointment, AppointmentId, Board, Deed, Person, Plan, PlanWish, Refused, RequestId, Service,
        SlotSearch, SlotsFound, Ticket, WaitingPerson,
    },
    ids::HubId,
    nhs_number::NhsNumber,
    time::Timestamp,
};

/// An answer to come. A deed is carried to its end even if whoever asked has gone.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// By what a person is looked for. At least one must be said. `Debug` shows nothing.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct PersonSearch {
    /// The whole NHS number.
    pub nhs_number: Option<NhsNumber>,
    /// Any part of the names, at least two letters.
    pub name: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// A telephone number, as digits.
    pub telephone: String,
    /// A postcode, spaces or not.
    pub postcode: String,
}

impl std::fmt::Debug for PersonSearch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonSearch(…)")
    }
}

/// A person who may be the one looked for: demographics alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PersonFound {
    /// Who.
    pub person: Person,
    /// The systems that say so.
    pub systems: Vec<String>,
    /// Whether the NHS number is verified (NSTS01) by at least one of them.
    pub verified: bool,
    /// Whether everything that was asked for fits exactly.
    pub exact: bool,
}

/// Those who may be meant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PeopleFound {
    /// Exact ones first; at most 50.
    pub people: Vec<PersonFound>,
    /// There may be more than these: whoever asks should say more about whom they mean.
    pub more: bool,
}

/// Everything a reception desk needs. Shared by pages, by BaRS and by tests.
pub trait Reception: Send + Sync {
    /// Services of the whole polysystem, by name.
    fn services(&self) -> Vec<Service>;

    /// People who may be meant. Never picks one.
    fn people<'a>(&'a self, search: &'a PersonSearch) -> Answering<'a, Result<PeopleFound, Refused>>;

    /// What can be booked.
    fn slots<'a>(
        &'a self,
        who: &'a Practitioner,
        search: &'a SlotSearch,
    ) -> Answering<'a, Result<SlotsFound, Refused>>;

    /// Visits that would suit, best first; at most 20.
    fn plans<'a>(
        &'a self,
        who: &'a Practitioner,
        wish: &'a PlanWish,
    ) -> Answering<'a, Result<Vec<Plan>, Refused>>;

    /// Does something, once for each request.
    fn perform<'a>(
        &'a self,
        who: &'a Practitioner,
        request: RequestId,
        deed: Deed,
    ) -> Answering<'a, Result<Answer, Refused>>;

    /// A day's board, `from` inclusive to `until` exclusive.
    fn board(&self, from: Timestamp, until: Timestamp) -> Board;

    /// One appointment.
    fn appointment(&self, id: AppointmentId) -> Option<Appointment>;

    /// A person's appointments that are not over, by time.
    fn appointments_of(&self, nhs_number: NhsNumber) -> Vec<Appointment>;

    /// Who waits for slots, by priority, then since when.
    fn waiting(&self) -> Vec<WaitingPerson>;

    /// Today's tickets, by when they were taken.
    fn tickets(&self) -> Vec<Ticket>;

    /// Estimated wait for whoever takes a ticket for this service now, in minutes.
    fn estimated_wait_minutes(&self, service: &HubId) -> u32;

    /// The moment now, by the hub's clock.
    fn now(&self) -> Timestamp;
}
