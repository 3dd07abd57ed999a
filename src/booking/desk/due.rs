//! What is still to be done for appointments with the systems and hubs that answer for them, and what comes of it.

use std::{collections::BTreeSet, time::Duration};

use crate::domain::booking::{CancelledBy, Deed, OfferKey, Person, Reference, TaskKind, WhyProvisional};

use super::{
    Act, Appointment, AppointmentId, Desk, HubId, RequestId, SOMEBODY_WAS_FIRST, Said, Situation, SlotId,
    Standing, TASKS_MAX, Task, Timestamp, ToTell,
    decide::{OWN_BOOK, note},
};
use crate::booking::act::ActPlace;

/// The first pause before a system that does not answer is tried again; doubled each time.
const AGAIN_FIRST: Duration = Duration::from_secs(15);
/// The longest pause: whoever waits for a confirmation looks every quarter of an hour.
const AGAIN_MOST: Duration = Duration::from_secs(15 * 60);
/// Pieces of work handed out at once: each is a question to a system, and they are asked one after another.
const WORK_MAX: usize = 100;

/// Something to be done outside the desk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Work {
    /// For which appointment, as it is now; what is to be booked, in the words in which it was first asked for.
    pub appointment: Appointment,
    /// What.
    pub kind: WorkKind,
    /// What its system is to be told, if that is it.
    pub news: Option<ToTell>,
}

/// Sorts of work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WorkKind {
    /// Book it in its system's own book.
    Book,
    /// Cancel it there.
    Cancel,
    /// Tell it there what has changed.
    Tell,
    /// The slots that were asked of the centre are this hub's now: confirm it.
    Confirm,
    /// It is sure, so the one it takes the place of is let go.
    LetGo,
    /// Its time has come, and nobody has confirmed it.
    GiveUp,
}

/// What came of a piece of work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Its system has it, under this name.
    Booked(Reference),
    /// It does not stand there any more.
    Cancelled,
    /// Its system knows of what it was told, and has it under this name and version; empty if it does not say.
    Told(Reference),
    /// Its system says no, for good.
    Refused {
        /// Why, in plain words.
        words: String,
    },
    /// Try again later.
    Again {
        /// Why.
        why: WhyProvisional,
    },
}

impl Desk {
    /// What is to be done now, most urgent first; at most 100 pieces.
    pub fn work(&self, now: Timestamp) -> Vec<Work> {
        self.work_besides(now, &BTreeSet::new())
    }

    /// The same, and none of it for those that are `waiting`.
    pub fn work_besides(&self, now: Timestamp, waiting: &BTreeSet<AppointmentId>) -> Vec<Work> {
        let unsettled = self.unsettled.iter().filter(|id| !waiting.contains(id));
        let mut due: Vec<(&Appointment, WorkKind)> = unsettled
            .filter_map(|id| self.appointments.get(id))
            .filter_map(|appointment| Some((appointment, self.work_for(appointment, now)?)))
            .collect();
        due.sort_by_key(|(appointment, _)| (appointment.start, appointment.id));
        due.truncate(WORK_MAX);
        let work = due.into_iter().map(|(appointment, kind)| {
            let news = if kind == WorkKind::Tell { self.to_tell(appointment.id).cloned() } else { None };
            Work { appointment: self.as_first_asked(appointment), kind, news }
        });
        work.collect()
    }

    /// Requests of other hubs that wait for this one's answer.
    pub fn asked_of_us(&self) -> Vec<(RequestId, HubId, Deed)> {
        let asked = self.asked_of_us.iter();
        asked.map(|(request, (hub, deed))| (*request, hub.clone(), deed.clone())).collect()
    }

    fn work_for(&self, appointment: &Appointment, now: Timestamp) -> Option<WorkKind> {
        match &appointment.standing {
            Standing::Provisional { .. } if appointment.start <= now => {
                (appointment.made_at == self.hub || self.own(appointment)).then_some(WorkKind::GiveUp)
            }
            Standing::Firm | Standing::Confirmed(_) => {
                let old = appointment.replaces.and_then(|old| self.appointments.get(&old));
                let to_let_go = old.is_some_and(|old| {
                    let asked = self.pleases.contains(&cancelling(appointment, old));
                    appointment.made_at == self.hub && old.stands() && !asked
                });
                let to_tell = self.own(appointment) && self.to_tell(appointment.id).is_some();
                to_let_go.then_some(WorkKind::LetGo).or(to_tell.then_some(WorkKind::Tell))
            }
            _ if !self.own(appointment) => None,
            Standing::Provisional { why: WhyProvisional::OwnedElsewhere, .. } => {
                // Given to this hub: confirmed now, or found sold to somebody else who was here first.
                let slots = slots_of(appointment);
                let here = slots.iter().all(|slot| self.seller(slot).as_ref() == Some(&self.hub));
                here.then_some(WorkKind::Confirm)
            }
            Standing::Provisional { retry, .. } => (*retry <= now).then_some(WorkKind::Book),
            Standing::Cancelled(cancellation) if !cancellation.told => Some(WorkKind::Cancel),
            _ => None,
        }
    }

    /// What to put down of an outcome. `announced` says that whoever asked is still there and will be told, so that no
    /// task is needed.
    pub fn settle(
        &self,
        situation: Situation<'_>,
        id: AppointmentId,
        kind: WorkKind,
        outcome: &Outcome,
        announced: bool,
    ) -> Act {
        let said = match self.appointments.get(&id) {
            Some(appointment) => match kind {
                WorkKind::Book => self.booked(situation, appointment, outcome, announced),
                WorkKind::Cancel => self.cancelled(situation, appointment, outcome),
                WorkKind::Tell => self.told(situation, appointment, outcome),
                WorkKind::Confirm => self.confirmed_here(situation, appointment),
                WorkKind::LetGo => self.let_go_replaced(situation, appointment),
                WorkKind::GiveUp => {
                    let words = "Nobody had confirmed it when its time came.";
                    self.failed(situation, appointment, words, false)
                }
            },
            None => Vec::new(),
        };
        Act {
            v: Act::VERSION,
            place: ActPlace::default(),
            request: None,
            at: situation.now,
            by: situation.by.to_owned(),
            said,
        }
    }

    /// What to put down when another hub, or the centre, has said no to a request of this desk.
    pub fn declined(&self, situation: Situation<'_>, request: RequestId, words: &str) -> Act {
        let id = AppointmentId(request.0);
        let pending = self.appointments.get(&id).filter(|pending| {
            pending.made_at == self.hub && matches!(pending.standing, Standing::Provisional { .. })
        });
        let said = match pending {
            Some(pending) => self.failed(situation, pending, words, false),
            None => {
                let words = format!("Another hub could not do what was asked of it: {words}");
                self.task(situation, request.0, TaskKind::Disagreement, &Person::default(), &words, None)
            }
        };
        Act {
            v: Act::VERSION,
            place: ActPlace::default(),
            request: None,
            at: situation.now,
            by: situation.by.to_owned(),
            said,
        }
    }

    /// What to put down when the centre cannot give slots that appointments here wait for.
    pub fn not_granted(&self, situation: Situation<'_>, keys: &[OfferKey]) -> Act {
        let waits = |appointment: &&Appointment| {
            let why = matches!(
                appointment.standing,
                Standing::Provisional { why: WhyProvisional::OwnedElsewhere, .. }
            );
            why && self.own(appointment) && appointment.keys.iter().any(|key| keys.contains(key))
        };
        let waiting = self.unsettled.iter().filter_map(|id| self.appointments.get(id)).filter(waits);
        let said = waiting
            .flat_map(|appointment| self.failed(situation, appointment, SOMEBODY_WAS_FIRST, false))
            .collect();
        Act {
            v: Act::VERSION,
            place: ActPlace::default(),
            request: None,
            at: situation.now,
            by: situation.by.to_owned(),
            said,
        }
    }

    fn booked(
        &self,
        situation: Situation<'_>,
        appointment: &Appointment,
        outcome: &Outcome,
        announced: bool,
    ) -> Vec<Said> {
        let mut changed = appointment.clone();
        match (outcome, &mut changed.standing) {
            (Outcome::Booked(reference), Standing::Cancelled(cancellation)) => {
                // It was cancelled here while its system was being asked: that one must hear of it.
                cancellation.reference = Some(reference.clone());
                cancellation.told = false;
                vec![Said::Appointment(Box::new(changed))]
            }
            (Outcome::Booked(reference), Standing::Provisional { .. }) => {
                let (reference, mut said) = self.named(appointment, reference);
                changed.standing = Standing::Confirmed(reference);
                note(&mut changed, situation, "Confirmed by its system");
                said.push(Said::Appointment(Box::new(changed)));
                said.extend(self.let_go_replaced(situation, appointment));
                said
            }
            (Outcome::Refused { words }, Standing::Provisional { .. }) => {
                self.failed(situation, appointment, words, announced)
            }
            (Outcome::Again { why: now_why }, Standing::Provisional { why, attempts, retry }) => {
                let pause = AGAIN_FIRST.saturating_mul(1_u32 << (*attempts).min(10)).min(AGAIN_MOST);
                *why = *now_why;
                *attempts = attempts.saturating_add(1);
                *retry = situation.now.plus(pause);
                vec![Said::Appointment(Box::new(changed))]
            }
            _ => Vec::new(),
        }
    }

    /// The second half of a move: the new appointment is sure, so the old one is let go.
    pub(super) fn let_go_replaced(&self, situation: Situation<'_>, new: &Appointment) -> Vec<Said> {
        let old = new.replaces.and_then(|old| self.appointments.get(&old)).filter(|old| old.stands());
        old.map_or_else(Vec::new, |old| {
            let name = cancelling(new, old);
            self.let_go(situation, name, old, CancelledBy::Patient, "Moved to another time")
        })
    }

    fn cancelled(&self, situation: Situation<'_>, appointment: &Appointment, outcome: &Outcome) -> Vec<Said> {
        let mut changed = appointment.clone();
        let Standing::Cancelled(cancellation) = &mut changed.standing else { return Vec::new() };
        cancellation.told = true;
        match outcome {
            // What it has cancelled itself, it need not cancel again.
            Outcome::Refused { .. } if self.is_cancelled_there(appointment.id) => {
                vec![Said::Appointment(Box::new(changed))]
            }
            Outcome::Cancelled => {
                note(&mut changed, situation, "Its system has cancelled it too");
                let mut said = vec![Said::Appointment(Box::new(changed))];
                said.extend(self.stood_meanwhile(situation, appointment));
                said
            }
            Outcome::Refused { words } => {
                note(&mut changed, situation, "Its system does not cancel it");
                let moved = self.appointments.values().any(|new| new.replaces == Some(appointment.id));
                let half = if moved { "It was moved, and now stands twice: " } else { "" };
                let words = format!(
                    "{half}{} does not cancel the appointment that was cancelled here: {words} Cancel it there, or \
                     phone {}.",
                    appointment.system, appointment.telephone
                );
                let mut said = vec![Said::Appointment(Box::new(changed))];
                let (key, person) = (appointment.id.0.rotate_left(3), &appointment.person);
                let kind = if moved { TaskKind::Repair } else { TaskKind::Disagreement };
                said.extend(self.task(situation, key, kind, person, &words, Some(appointment.id)));
                said
            }
            Outcome::Booked(_) | Outcome::Told(_) | Outcome::Again { .. } => Vec::new(),
        }
    }

    fn confirmed_here(&self, situation: Situation<'_>, appointment: &Appointment) -> Vec<Said> {
        match self.ledger.confirm(appointment.id, &slots_of(appointment)) {
            Ok(token) => {
                let mut changed = appointment.clone();
                changed.standing = if appointment.system == OWN_BOOK {
                    Standing::Firm
                } else {
                    let why = WhyProvisional::NotAcknowledged;
                    Standing::Provisional { why, attempts: 0, retry: situation.now }
                };
                note(&mut changed, situation, "The slot was given to this hub");
                let mut said = vec![Said::Token(token), Said::Appointment(Box::new(changed))];
                if appointment.system == OWN_BOOK {
                    said.extend(self.let_go_replaced(situation, appointment));
                }
                said
            }
            Err(refusal) => self.failed(situation, appointment, &refusal.to_string(), false),
        }
    }

    /// It could not be had: the patient is to be told, and the rest of an all-or-nothing visit is let go.
    fn failed(
        &self,
        situation: Situation<'_>,
        appointment: &Appointment,
        words: &str,
        announced: bool,
    ) -> Vec<Said> {
        let mut changed = appointment.clone();
        changed.standing = Standing::Failed { why: words.to_owned() };
        note(&mut changed, situation, "Could not be had");
        let changed = Box::new(changed);
        let mut said =
            vec![if self.own(appointment) { Said::Appointment(changed) } else { Said::Pending(changed) }];
        said.extend(self.left_to_another(appointment));
        let rest = self.appointments.values().filter(|other| {
            appointment.visit.is_some()
                && other.visit == appointment.visit
                && other.id != appointment.id
                && other.stands()
        });
        let request = RequestId(appointment.id.0.rotate_left(5));
        for other in rest {
            let reason = "Part of a visit that could not be had";
            let name = RequestId(request.0 ^ other.id.0);
            said.extend(self.let_go(situation, name, other, CancelledBy::Provider, reason));
        }
        if !announced {
            let kept = if appointment.replaces.is_some() { " The earlier appointment stands." } else { "" };
            let text = format!(
                "{} could not be booked: {words} Tell the patient and offer another time.{kept}",
                appointment.service_name
            );
            let (key, person) = (appointment.id.0.rotate_left(2), &appointment.person);
            let id = Some(appointment.id);
            said.extend(self.task(situation, key, TaskKind::CallPatient, person, &text, id));
        }
        said
    }

    pub(super) fn task(
        &self,
        situation: Situation<'_>,
        key: u128,
        kind: TaskKind,
        person: &Person,
        words: &str,
        appointment: Option<AppointmentId>,
    ) -> Vec<Said> {
        let id = AppointmentId(key);
        // A task too many is still better than a patient whom nobody calls: only doubles are left out.
        if self.tasks.contains_key(&id) || TASKS_MAX.saturating_mul(2) <= self.tasks.len() {
            return Vec::new();
        }
        vec![Said::Task(Box::new(Task {
            id,
            since: situation.now,
            kind,
            person: person.clone(),
            words: words.to_owned(),
            appointment,
            freed: Vec::new(),
        }))]
    }
}

/// The name under which the old appointment's hub is asked to cancel it.
fn cancelling(new: &Appointment, old: &Appointment) -> RequestId {
    RequestId(new.id.0 ^ old.id.0)
}

/// The slots of an appointment that are sold by tokens.
pub(super) fn slots_of(appointment: &Appointment) -> Vec<SlotId> {
    let slots = appointment.keys.iter().filter_map(|key| match key {
        OfferKey::Token(slot) => Some(slot.clone()),
        OfferKey::System { .. } => None,
    });
    slots.collect()
}
