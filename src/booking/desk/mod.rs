//! What a hub's desk knows: appointments, who waits, tickets, tasks and tokens, made of acts alone, so that the same acts
//! in the same order always make the same desk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::{
    booking::{
        Appointment, AppointmentId, Attendance, Deed, Done, Needs, OfferKey, RequestId, SlotId, Standing,
        Task, TaskKind, Ticket, WaitingPerson,
    },
    ids::HubId,
    time::Timestamp,
};

use super::{
    act::{Act, ActPlace, Asked, HeardThrough, Said},
    catalogue::Catalogue,
    token::{HubLedger, TokenEvent, TokenState},
};

mod allot;
mod apply;
mod claim;
mod decide;
mod due;
mod elsewhere;
mod heed;
mod tell;

use elsewhere::Elsewhere;
use heed::Spoken;
use tell::Words;

pub use apply::{Heard, Trouble};
pub use decide::{OWN_BOOK, Resolve, Situation};
pub use due::{Outcome, Work, WorkKind};
pub use tell::{News, ToTell};

/// Appointments known at once, of all hubs; a hub books some 500 a day, and they are kept for 35 days after.
pub const APPOINTMENTS_MAX: usize = 200_000;
/// Requests remembered, so that the same one again has no second effect: days of work of 200 receptionists.
pub const REQUESTS_MAX: usize = 50_000;
/// People on the waiting list.
pub const WAITING_MAX: usize = 10_000;
/// Tickets kept, of two days.
pub const TICKETS_MAX: usize = 10_000;
/// Tasks open at once. More are never done; the oldest stay.
pub const TASKS_MAX: usize = 10_000;
/// Requests of other hubs that wait at once. More get no answer, and become tasks where they were asked.
pub const ASKED_MAX: usize = 1_000;
/// Why a booking failed that somebody else was quicker with: the only reason for which another time helps.
pub const SOMEBODY_WAS_FIRST: &str = "Somebody else was given that time.";
/// How long what is over is kept at the desk.
pub const KEPT_MS: i64 = 35 * 24 * 60 * 60 * 1000;

/// A desk. `Debug` is not derived over patients: its parts show none.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    hub: HubId,
    ledger: HubLedger,
    appointments: BTreeMap<AppointmentId, Appointment>,
    /// Where patients are, and when that was said: the newest counts, whoever said it.
    attendance: BTreeMap<AppointmentId, (Timestamp, Attendance)>,
    waiting: BTreeMap<AppointmentId, WaitingPerson>,
    tickets: BTreeMap<AppointmentId, Ticket>,
    tasks: BTreeMap<AppointmentId, Task>,
    /// Appointments for which something is still to be done.
    unsettled: BTreeSet<AppointmentId>,
    /// What other hubs have asked of this one, until it is carried out.
    asked_of_us: BTreeMap<RequestId, (HubId, Deed)>,
    /// What this desk has asked of others.
    pleases: BTreeSet<RequestId>,
    requests: BTreeMap<RequestId, Remembered>,
    requests_in_order: VecDeque<RequestId>,
    catalogues: BTreeMap<HubId, Catalogue>,
    /// How many acts this desk has put down.
    spoken: u64,
    /// Under which name it has asked whether it is the first, if it has.
    #[serde(default)]
    life: Option<u64>,
    /// How far each other hub, and the centre, was heard, and when by its own clock.
    heard: BTreeMap<HubId, (ActPlace, Timestamp)>,
    /// What was said of slots that move between hubs, this hub's own words included.
    elsewhere: Elsewhere,
    /// How other systems name appointments that are in their books.
    #[serde(default)]
    by_reference: BTreeMap<(String, String), AppointmentId>,
    /// What those systems were last heard to say of each.
    #[serde(default)]
    said_there: BTreeMap<AppointmentId, Spoken>,
    /// What they are still to be told.
    #[serde(default)]
    tellings: BTreeMap<AppointmentId, VecDeque<ToTell>>,
    /// The words in which appointments were asked for that were amended before they were confirmed.
    #[serde(default)]
    first_words: BTreeMap<AppointmentId, Words>,
}

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Remembered {
    digest: u64,
    about: Vec<AppointmentId>,
    taken: bool,
}

impl Desk {
    /// A desk that knows nothing yet.
    pub fn new(hub: HubId) -> Self {
        Self {
            ledger: HubLedger::new(hub.clone()),
            hub,
            appointments: BTreeMap::new(),
            attendance: BTreeMap::new(),
            waiting: BTreeMap::new(),
            tickets: BTreeMap::new(),
            tasks: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            asked_of_us: BTreeMap::new(),
            pleases: BTreeSet::new(),
            requests: BTreeMap::new(),
            requests_in_order: VecDeque::new(),
            catalogues: BTreeMap::new(),
            spoken: 0,
            life: None,
            heard: BTreeMap::new(),
            elsewhere: Elsewhere::default(),
            by_reference: BTreeMap::new(),
            said_there: BTreeMap::new(),
            tellings: BTreeMap::new(),
            first_words: BTreeMap::new(),
        }
    }

    /// Whose it is.
    pub const fn hub(&self) -> &HubId {
        &self.hub
    }

    /// The tokens.
    pub const fn ledger(&self) -> &HubLedger {
        &self.ledger
    }

    /// All hubs' catalogues, this one's included.
    pub const fn catalogues(&self) -> &BTreeMap<HubId, Catalogue> {
        &self.catalogues
    }

    /// When another hub was last heard, by its own clock.
    pub fn heard(&self, hub: &HubId) -> Option<Timestamp> {
        self.heard.get(hub).map(|(_, at)| *at)
    }

    /// How far others were heard.
    pub fn heard_through(&self) -> HeardThrough {
        self.heard.iter().map(|(hub, (place, _))| (hub.clone(), *place)).collect()
    }

    /// Where the next act stands, if it is this one.
    pub fn next_place(&self, act: &Act) -> ActPlace {
        if act.said.iter().any(|said| matches!(said, Said::Asking { .. })) {
            return ActPlace::QUESTION;
        }
        let began = act.said.iter().filter_map(|said| match said {
            Said::Token(TokenEvent::Began { incarnation }) => Some(*incarnation),
            _ => None,
        });
        let incarnation = began.max().unwrap_or(0).max(self.ledger.incarnation());
        ActPlace { incarnation, number: self.spoken + 1 }
    }

    /// Under which name this desk has asked whether it is the first of its hub, if it has.
    pub const fn life(&self) -> Option<u64> {
        self.life
    }

    /// One appointment.
    pub fn appointment(&self, id: AppointmentId) -> Option<&Appointment> {
        self.appointments.get(&id)
    }

    /// All of them.
    pub fn appointments(&self) -> impl Iterator<Item = &Appointment> {
        self.appointments.values()
    }

    /// Who waits, by priority, then since when.
    pub fn waiting(&self) -> Vec<&WaitingPerson> {
        let mut waiting: Vec<_> = self.waiting.values().collect();
        waiting.sort_by_key(|person| (person.priority, person.since, person.id));
        waiting
    }

    /// The tickets, by when they were taken.
    pub fn tickets(&self) -> Vec<&Ticket> {
        let mut tickets: Vec<_> = self.tickets.values().collect();
        tickets.sort_by_key(|ticket| (ticket.taken, ticket.id));
        tickets
    }

    /// What people must do, oldest first.
    pub fn tasks(&self) -> Vec<&Task> {
        let mut tasks: Vec<_> = self.tasks.values().collect();
        tasks.sort_by_key(|task| (task.since, task.id));
        tasks
    }

    /// Who sells a slot, as far as this hub knows: none if the centre does. What its own ledger says comes first.
    pub fn seller(&self, slot: &SlotId) -> Option<HubId> {
        match self.ledger.owned(slot) {
            TokenState::Elsewhere { .. } => self.elsewhere.owner(slot).filter(|owner| *owner != self.hub),
            _ => Some(self.hub.clone()),
        }
    }

    /// Whether another hub has said that it has sold a slot.
    pub fn is_sold_elsewhere(&self, slot: &SlotId) -> bool {
        self.elsewhere.is_sold(slot) && self.seller(slot).as_ref() != Some(&self.hub)
    }

    /// What became of a request that was carried out before.
    ///
    /// # Errors
    /// The name was used for something else.
    pub fn remembered(&self, request: &Asked) -> Result<Option<Done>, NameUsed> {
        let Some(remembered) = self.requests.get(&request.id) else { return Ok(None) };
        if remembered.digest != request.digest {
            return Err(NameUsed);
        }
        let one = remembered.about.first();
        let done = if remembered.taken {
            Done::Taken
        } else if let Some(ticket) = one.and_then(|id| self.tickets.get(id)) {
            Done::Ticket(Box::new(ticket.clone()))
        } else if let Some(waiting) = one.and_then(|id| self.waiting.get(id)) {
            Done::Waiting(Box::new(waiting.clone()))
        } else if remembered.about.is_empty() {
            Done::TaskDone
        } else {
            let known = remembered.about.iter().filter_map(|id| self.appointments.get(id));
            Done::Appointments(known.cloned().collect())
        };
        Ok(Some(done))
    }

    /// Whether this desk has asked something of others under this name.
    pub fn has_asked(&self, request: RequestId) -> bool {
        self.pleases.contains(&request)
    }

    /// The appointments that an act speaks of.
    pub fn about(&self, act: &Act) -> Vec<AppointmentId> {
        let about = act.said.iter().filter_map(|said| match said {
            Said::Appointment(appointment) | Said::Pending(appointment) => Some(appointment.id),
            _ => None,
        });
        about.collect()
    }

    /// Whether an appointment takes place at this hub, or was made at its desk.
    pub fn is_here(&self, appointment: &Appointment) -> bool {
        let home = |key: &OfferKey| matches!(key, OfferKey::Token(slot) if slot.home == self.hub);
        self.own(appointment) || appointment.made_at == self.hub || appointment.keys.iter().any(home)
    }

    /// See [`HubLedger::doubt`].
    pub fn doubt(&mut self, event: &TokenEvent) {
        self.ledger.doubt(event);
    }

    /// The counter outside the disk says the same as the ledger: it may sell.
    pub fn open(&mut self) {
        self.ledger.open();
    }

    fn own(&self, appointment: &Appointment) -> bool {
        appointment.hub == self.hub
    }
}

/// A request's name was used for something else before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NameUsed;
