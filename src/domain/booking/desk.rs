//! What a reception desk asks for and does, and what it is answered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{ids::HubId, time::Timestamp};

use super::{
    appointment::{Appointment, Attendance, CancelledBy, Needs, Person},
    names::{AppointmentId, OfferKey},
    offer::{Channel, Offer},
};

/// What is looked for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct SlotSearch {
    /// The service's id; none for any whose name or words contain `need`.
    pub service: Option<HubId>,
    /// The need in words, such as `foot`; empty for any.
    pub need: String,
    /// The earliest beginning.
    pub from: Timestamp,
    /// The latest end; at most two weeks after `from`.
    pub until: Timestamp,
    /// How it is to take place; none for any.
    pub channel: Option<Channel>,
    /// The clinician's gender, `male` or `female`; empty for any.
    pub gender: String,
    /// A language the clinician speaks; empty for any.
    pub language: String,
    /// Only what can be reached without steps.
    pub step_free: bool,
    /// The patient's practice, ODS code, whose own sessions come first among equals; may be empty.
    pub practice: String,
}

/// What was found, best first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SlotsFound {
    /// By suitability, then time; at most [`SlotsFound::OFFERS_MAX`].
    pub offers: Vec<Offer>,
    /// Whether there were more.
    pub more: bool,
    /// Each system asked, and how it answered.
    pub systems: Vec<SystemAnswer>,
}

impl SlotsFound {
    /// More is never read: narrow the search instead.
    pub const OFFERS_MAX: usize = 500;
}

/// How a system answered a search.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SystemAnswer {
    /// Its configured name.
    pub system: String,
    /// Since when its slots are known; none if they are not known at all.
    pub seen: Option<Timestamp>,
    /// What is wrong, in plain words; empty if it answered.
    pub trouble: String,
}

/// Something to be done at the desk. Carried out once for each [`super::RequestId`]. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Book one slot, or several adjacent ones of one session.
    Book(VisitPart),
    /// Book several services in one visit, all or nothing.
    BookVisit(Vec<VisitPart>),
    /// Book another time, and cancel this one once that is confirmed.
    Move {
        /// Which.
        appointment: AppointmentId,
        /// To where.
        keys: Vec<OfferKey>,
    },
    /// Change its words.
    Amend {
        /// Which.
        appointment: AppointmentId,
        /// The label; at most 100 characters.
        description: String,
        /// The comment; at most 500 characters.
        comment: String,
        /// What the patient needs on the day.
        needs: Needs,
    },
    /// Cancel.
    Cancel {
        /// Which.
        appointment: AppointmentId,
        /// By whom.
        by: CancelledBy,
        /// Why; not empty, at most 100 characters.
        reason: String,
    },
    /// Say where the patient is.
    Mark {
        /// Which.
        appointment: AppointmentId,
        /// Where.
        attendance: Attendance,
    },
    /// Put somebody on the waiting list.
    Wait(WaitingPerson),
    /// Take them off it.
    StopWaiting {
        /// Which entry.
        waiting: AppointmentId,
        /// Why; at most 100 characters.
        reason: String,
    },
    /// Give somebody who walked in a ticket.
    TakeTicket(WalkIn),
    /// Call the next ticket of a service.
    CallNext {
        /// Which service.
        service: HubId,
        /// To which room; may be empty.
        room: String,
    },
    /// Say what became of a ticket.
    MarkTicket {
        /// Which.
        ticket: AppointmentId,
        /// What.
        state: TicketState,
    },
    /// Say that a task is done.
    FinishTask {
        /// Which.
        task: AppointmentId,
        /// What was done; at most 500 characters; may be empty.
        note: String,
    },
    /// Try a provisional booking again now.
    TryAgain {
        /// Which.
        appointment: AppointmentId,
    },
}

/// One service of a visit, or the whole of a booking. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct VisitPart {
    /// For whom.
    pub person: Person,
    /// What: adjacent slots of one session.
    pub keys: Vec<OfferKey>,
    /// A label; at most 100 characters.
    pub description: String,
    /// A comment; at most 500 characters; may be empty.
    pub comment: String,
    /// What the patient needs on the day.
    pub needs: Needs,
}

/// Somebody who waits for a slot. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct WaitingPerson {
    /// The entry's name.
    pub id: AppointmentId,
    /// Who.
    pub person: Person,
    /// For what, when and how. Its window is what suits them.
    pub wish: SlotSearch,
    /// 1 urgent, 2 soon, 3 routine.
    pub priority: u8,
    /// Since when.
    pub since: Timestamp,
    /// Whether they would come at short notice.
    pub short_notice: bool,
    /// Who put them there.
    pub by: String,
}

/// Somebody who walked in. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct WalkIn {
    /// Who; may be empty where the service sees people without a name.
    pub person: Person,
    /// For which service.
    pub service: HubId,
    /// What the patient needs on the day.
    pub needs: Needs,
}

/// A ticket of the walk-in queue. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The ticket's name.
    pub id: AppointmentId,
    /// What the display shows, such as `P12`.
    pub number: String,
    /// Who and for what.
    pub walk_in: WalkIn,
    /// Where it is called to.
    pub area: HubId,
    /// When it was taken.
    pub taken: Timestamp,
    /// What became of it.
    pub state: TicketState,
    /// The room it was called to; may be empty.
    pub room: String,
    /// When it was called last.
    pub called: Option<Timestamp>,
}

/// What became of a ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TicketState {
    /// They wait.
    Waiting,
    /// They were called.
    Called,
    /// With the clinician.
    In,
    /// Seen.
    Done,
    /// Called and not there.
    DidNotAttend,
    /// They said that they go.
    Left,
}

/// What people must do, because software must not or cannot. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub id: AppointmentId,
    /// Since when.
    pub since: Timestamp,
    /// What.
    pub kind: TaskKind,
    /// Whom it is about.
    pub person: Person,
    /// In plain words, without the patient's name.
    pub words: String,
    /// The appointment it is about.
    pub appointment: Option<AppointmentId>,
    /// What was freed, for somebody who waits.
    pub freed: Vec<OfferKey>,
}

/// Sorts of tasks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// A provisional booking could not be had: tell the patient, offer another.
    CallPatient,
    /// A move was half done: both appointments stand, or nobody knows.
    Repair,
    /// A slot was freed that suits somebody who waits.
    OfferFreed,
    /// The slot's own system says something else than was booked here.
    Disagreement,
}

/// What visits are looked for. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PlanWish {
    /// The services, each with its own wishes; all windows are the same.
    pub services: Vec<SlotSearch>,
    /// From the first beginning to the last end, in minutes.
    pub within_minutes: u16,
    /// Between two services, at least, in minutes.
    pub gap_minutes: u16,
}

/// A visit that would suit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// One offer for each service, in the order of time.
    pub parts: Vec<Offer>,
    /// Waiting between them, in minutes.
    pub idle_minutes: u32,
}

/// What the board of a day shows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Board {
    /// The day's appointments by time, cancelled ones included.
    pub appointments: Vec<Appointment>,
    /// What people must do, oldest first.
    pub tasks: Vec<Task>,
    /// Provisional bookings of any day, oldest first.
    pub provisional: Vec<Appointment>,
    /// Why this hub may not sell its own slots now; empty if it may.
    pub held: String,
}

/// What became of a [`Deed`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// These appointments are now as shown: booked (firmly, confirmed or provisionally: see their standing), moved,
    /// amended, cancelled or marked.
    Appointments(Vec<Appointment>),
    /// Somebody else was first.
    Taken,
    /// On the list, or off it.
    Waiting(Box<WaitingPerson>),
    /// The ticket as it is now.
    Ticket(Box<Ticket>),
    /// Nobody waits.
    NobodyWaits,
    /// The task is done.
    TaskDone,
}

/// What came of it, and what to offer instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// What became of it.
    pub done: Done,
    /// After a lost race: the next three that suit.
    pub next: Vec<Offer>,
}

/// Why a deed was not done. Nothing has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// A stable code, such as `reason-missing`.
    pub code: &'static str,
    /// In plain words: what, why, and what to do.
    pub words: String,
    /// The field of the form it is about; empty if none.
    pub field: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Refused {}
