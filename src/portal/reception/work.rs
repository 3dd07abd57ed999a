//! What the desk has in hand: one errand for one patient, step by step, until it is done or left.

use std::sync::Arc;

use crate::domain::{
    booking::{
        Answer, Appointment, AppointmentId, Done, Offer, OfferKey, Person, Plan, RequestId, SlotSearch,
        SlotsFound, VisitPart,
    },
    time::Timestamp,
};

use super::{details::DetailsForm, drafts::Shed, visit::VisitForm, wish::WishForm};
use crate::flow::reception::PeopleFound;

/// What the patient was looked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Errand {
    /// Only to look at what is booked.
    #[default]
    Look,
    /// To book.
    Book,
    /// To book several services in one visit.
    Plan,
    /// To wait for a slot.
    Wait,
    /// To give a ticket.
    Queue,
    /// To move this appointment.
    Move(AppointmentId),
}

impl Errand {
    /// What a form says; moving begins elsewhere.
    pub fn of(word: &str) -> Self {
        match word {
            "book" => Self::Book,
            "plan" => Self::Plan,
            "wait" => Self::Wait,
            "queue" => Self::Queue,
            _ => Self::Look,
        }
    }

    /// The word in forms.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Book | Self::Move(_) => "book",
            Self::Plan => "plan",
            Self::Wait => "wait",
            Self::Queue => "queue",
        }
    }

    /// The page in the navigation under which it is done.
    pub const fn home(self) -> &'static str {
        match self {
            Self::Look => "/patients",
            Self::Book | Self::Move(_) => "/book",
            Self::Plan => "/plan",
            Self::Wait => "/waiting",
            Self::Queue => "/queue",
        }
    }

    /// What the page on which the patient is looked for is called.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Look => "Find a patient",
            Self::Book | Self::Move(_) => "Book an appointment: who is it for?",
            Self::Plan => "Plan a visit: who is it for?",
            Self::Wait => "Waiting list: who waits?",
            Self::Queue => "Walk-in queue: who is here?",
        }
    }
}

/// One errand in hand.
#[derive(Clone, Default)]
pub(super) struct Work {
    pub errand: Errand,
    /// What was typed to find the patient.
    pub asked: String,
    pub found: PeopleFound,
    pub person: Option<Person>,
    pub wish: Option<WishForm>,
    pub search: Option<SlotSearch>,
    pub visit: Option<VisitForm>,
    pub slots: Option<(Timestamp, Arc<SlotsFound>)>,
    pub plans: Option<Arc<Vec<Plan>>>,
    /// What was chosen: one run of adjacent slots for each service.
    pub chosen: Vec<Vec<Offer>>,
    pub details: Option<DetailsForm>,
    /// The appointment that is to be moved.
    pub moving: Option<Box<Appointment>>,
    /// Whoever waits for this, on the list.
    pub waiting: Option<AppointmentId>,
    /// The task out of which it came.
    pub task: Option<AppointmentId>,
    /// The request that the page to check carries: the same until something in it changes.
    pub request: Option<RequestId>,
    /// The request that is being carried out.
    pub sent: Option<RequestId>,
    pub outcome: Option<Answer>,
    /// What was offered after a lost race.
    pub next: Vec<Vec<Offer>>,
}

impl Work {
    /// Work for a patient who is known.
    pub fn for_person(errand: Errand, person: Person) -> Self {
        Self { errand, person: Some(person), ..Self::default() }
    }

    /// Whether it is booked, or being booked: nothing in it may change any more.
    pub fn is_over(&self) -> bool {
        self.sent.is_some() || self.outcome.as_ref().is_some_and(|answer| answer.done != Done::Taken)
    }

    /// Chooses times. What was checked before is to be checked again.
    pub fn choose(&mut self, chosen: Vec<Vec<Offer>>) {
        if !self.is_over() {
            self.chosen = chosen;
            self.change();
        }
    }

    /// Something that is to be booked has changed: it is another request from now on.
    pub fn change(&mut self) {
        self.request = None;
        self.outcome = None;
    }

    /// What is chosen, as the keys of one appointment.
    pub fn keys(&self) -> Vec<OfferKey> {
        self.chosen.iter().flatten().map(|offer| offer.key.clone()).collect()
    }

    /// What is to be booked; none until every step is done.
    pub fn parts(&self) -> Option<Vec<VisitPart>> {
        let person = self.person.as_ref()?;
        let details = self.details.as_ref()?.read().ok()?;
        let part = |run: &Vec<Offer>| VisitPart {
            person: person.clone(),
            keys: run.iter().map(|offer| offer.key.clone()).collect(),
            description: details.description.clone(),
            comment: details.comment.clone(),
            needs: details.needs.clone(),
        };
        (!self.chosen.is_empty()).then(|| self.chosen.iter().map(part).collect())
    }
}

impl Shed for Work {
    fn is_large(&self) -> bool {
        self.slots.is_some() || self.plans.is_some()
    }

    fn shed(&mut self) {
        self.slots = None;
        self.plans = None;
    }
}
