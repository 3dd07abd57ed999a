//! What the system in whose book an appointment is must still be told of it, besides that it was made or cancelled: in
//! order, each as it was when it happened, so that what is told again is told in the same words.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    Act, ActPlace, Appointment, AppointmentId, Attendance, Desk, HubId, Needs, OWN_BOOK, OfferKey, Outcome,
    Said, Situation, Standing, TaskKind, Timestamp, decide::note,
};
use crate::domain::booking::Reference;

/// Something that an appointment's own system is to be told.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ToTell {
    /// What has happened.
    pub what: News,
    /// At which hub it was put down.
    pub from: HubId,
    /// In which of that hub's acts.
    pub place: ActPlace,
    /// When.
    pub at: Timestamp,
    /// The appointment as it was then.
    pub appointment: Box<Appointment>,
}

/// Sorts of news.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// Its words were changed.
    Amended,
    /// The patient came, was seen, or did not come.
    Attended,
}

/// What is said of an appointment in words.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Words {
    description: String,
    comment: String,
    needs: Needs,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words(…)")
    }
}

/// What others know of where a patient is: on the way, here, seen, or not come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    Expected,
    Here,
    Done,
    DidNotAttend,
}

impl Seen {
    pub(super) const fn of(attendance: Attendance) -> Self {
        match attendance {
            Attendance::Expected => Self::Expected,
            Attendance::Arrived | Attendance::Called | Attendance::In => Self::Here,
            Attendance::Done => Self::Done,
            Attendance::DidNotAttend => Self::DidNotAttend,
        }
    }
}

impl Desk {
    /// What the appointment's system is to be told next.
    pub fn to_tell(&self, id: AppointmentId) -> Option<&ToTell> {
        self.tellings.get(&id)?.front()
    }

    /// Before an appointment is put down anew: whether its words have changed, and must be told.
    pub(super) fn note_words(&mut self, from: &HubId, act: &Act, new: &Appointment) {
        let Some(old) = self.appointments.get(&new.id) else { return };
        let told = new.system != OWN_BOOK && self.own(new) && old.stands() && new.stands();
        if !told || is_said_alike(old, new) {
            return;
        }
        if matches!(old.standing, Standing::Provisional { .. }) {
            // It is asked for in the words of the first attempt, and amended once it is there.
            let words = Words::of(old);
            self.first_words.entry(new.id).or_insert(words);
        }
        self.push(from, act, News::Amended, new.clone());
    }

    /// Once attendance is taken in: whether others see a difference, and must be told.
    pub(super) fn note_attendance(&mut self, from: &HubId, act: &Act, id: AppointmentId, before: Attendance) {
        let Some(appointment) = self.appointments.get(&id) else { return };
        // Practices' systems say who came, and are not told.
        let told = appointment.system != OWN_BOOK && !is_practices(appointment);
        let differs = Seen::of(appointment.attendance) != Seen::of(before);
        if told && differs && self.own(appointment) && appointment.stands() {
            self.push(from, act, News::Attended, appointment.clone());
        }
    }

    fn push(&mut self, from: &HubId, act: &Act, what: News, appointment: Appointment) {
        let id = appointment.id;
        let queue: &mut VecDeque<ToTell> = self.tellings.entry(id).or_default();
        // The first may be on its way. Behind it only the newest of each sort is worth telling, so there are three at most.
        let mut place = 0;
        queue.retain(|waiting| {
            place += 1;
            place == 1 || waiting.what != what
        });
        let appointment = Box::new(appointment);
        queue.push_back(ToTell { what, from: from.clone(), place: act.place, at: act.at, appointment });
        self.sort_out(id);
    }

    /// Its system has answered.
    pub(super) fn strike_out(&mut self, id: AppointmentId, from: &HubId, place: ActPlace) {
        if let Some(queue) = self.tellings.get_mut(&id) {
            queue.retain(|waiting| waiting.from != *from || waiting.place != place);
            if queue.is_empty() {
                self.tellings.remove(&id);
            }
        }
        self.sort_out(id);
    }

    /// What does not stand is told of no more; what is booked has been asked for in its first words.
    pub(super) fn forget_tellings(&mut self, id: AppointmentId) {
        let standing = self.appointments.get(&id).filter(|appointment| appointment.stands());
        if standing.is_none() {
            self.tellings.remove(&id);
        }
        if !standing.is_some_and(|one| matches!(one.standing, Standing::Provisional { .. })) {
            self.first_words.remove(&id);
        }
    }

    /// The appointment as it is asked for: in the words that it was first asked for in.
    pub(super) fn as_first_asked(&self, appointment: &Appointment) -> Appointment {
        let Some(words) = self.first_words.get(&appointment.id) else { return appointment.clone() };
        let Words { description, comment, needs } = words.clone();
        Appointment { description, comment, needs, ..appointment.clone() }
    }

    /// What to put down of an answer to what was told.
    pub(super) fn told(
        &self,
        situation: Situation<'_>,
        appointment: &Appointment,
        outcome: &Outcome,
    ) -> Vec<Said> {
        let Some(ToTell { what, from, place, appointment: then, .. }) = self.to_tell(appointment.id) else {
            return Vec::new();
        };
        let told = Said::Told { appointment: appointment.id, from: from.clone(), place: *place };
        match outcome {
            Outcome::Again { .. } => Vec::new(),
            Outcome::Told(reference) => {
                let mut said = vec![told];
                said.extend(renamed(appointment, reference).map(|one| Said::Appointment(Box::new(one))));
                said
            }
            Outcome::Refused { words } => {
                let mut changed = appointment.clone();
                note(&mut changed, situation, "Its system has not taken a change");
                let mut said = vec![told, Said::Appointment(Box::new(changed))];
                let missed = then.attendance == Attendance::DidNotAttend;
                // Who came is for the clinic to see; who did not, and what was changed, they would never know.
                if *what == News::Amended || missed {
                    let change =
                        if missed { "that the patient did not attend" } else { "what was changed here" };
                    let text = format!(
                        "{} has not taken {change}: {words} Change it there, or phone {}.",
                        appointment.system, appointment.telephone
                    );
                    let key = appointment.id.0.rotate_left(7) ^ u128::from(place.number);
                    let (kind, id) = (TaskKind::Disagreement, Some(appointment.id));
                    said.extend(self.task(situation, key, kind, &appointment.person, &text, id));
                }
                said
            }
            Outcome::Booked(_) | Outcome::Cancelled => Vec::new(),
        }
    }
}

impl Words {
    fn of(appointment: &Appointment) -> Self {
        let Appointment { description, comment, needs, .. } = appointment;
        Self { description: description.clone(), comment: comment.clone(), needs: needs.clone() }
    }
}

/// The appointment under the version that its system has given it since; none if that is the same.
fn renamed(appointment: &Appointment, reference: &Reference) -> Option<Appointment> {
    let Standing::Confirmed(known) = &appointment.standing else { return None };
    let newer = Reference { version: reference.version.clone(), ..known.clone() };
    let changed = !newer.version.is_empty() && newer != *known;
    changed.then(|| Appointment { standing: Standing::Confirmed(newer), ..appointment.clone() })
}

/// Whether two states of an appointment say the same to its system. Practices keep a label and a comment, and nothing of
/// what is needed on the day.
fn is_said_alike(old: &Appointment, new: &Appointment) -> bool {
    let words = old.description == new.description && old.comment == new.comment;
    words && (is_practices(new) || (old.needs == new.needs && old.person == new.person))
}

/// Whether it is in a practice's book.
pub(super) fn is_practices(appointment: &Appointment) -> bool {
    appointment.keys.iter().any(|key| matches!(key, OfferKey::System { .. }))
}
