//! What is booked at a reception desk: slots and who owns them, offers, appointments, walk-ins and waiting people.

mod appointment;
mod desk;
mod names;
mod offer;
mod word;

pub use appointment::{
    Appointment, Attendance, Cancellation, CancelledBy, Change, Needs, Person, Promise, Reference, Standing,
    WhyProvisional,
};
pub use desk::{
    Answer, Board, Deed, Done, Plan, PlanWish, Refused, SlotSearch, SlotsFound, SystemAnswer, Task, TaskKind,
    Ticket, TicketState, VisitPart, WaitingPerson, WalkIn,
};
pub use names::{ActPlace, AppointmentId, HeardThrough, InvalidName, OfferKey, Owner, RequestId, SlotId};
pub use offer::{Channel, Offer, Service, WalkInCard};
pub use word::{BookWord, SystemWord, WordTime};
