//! What follows from what a system says of an appointment in its own book: the desk's appointment goes the same way, and
//! a time that it has given to somebody is not sold here.
//!
//! Of what it says of the booking, and of what it says of the patient's coming, the latest counts, in whatever order it
//! comes and however often.

use serde::{Deserialize, Serialize};

use super::{
    Act, ActPlace, Appointment, AppointmentId, Attendance, Desk, HubId, OWN_BOOK, RequestId, Said, Situation,
    Standing, TaskKind, Timestamp,
    claim::Claim,
    decide::note,
    tell::{Seen, is_practices},
};
use crate::booking::act::Came;
use crate::domain::booking::{
    BookWord, Cancellation, CancelledBy, Needs, Reference, SystemWord, WhyProvisional, WordTime,
};

/// What a system was last heard to say of an appointment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Spoken {
    /// Its latest word on whether and when it takes place.
    book: WordTime,
    /// Whether that was that it is cancelled.
    cancelled: bool,
    /// Whether it was such a word that ended it here, and nobody at a desk.
    ended: bool,
    /// When it has answered to a cancellation at a desk.
    answered: Timestamp,
    /// Its latest word on the patient's coming.
    attended: WordTime,
    attendance: Option<Attendance>,
    /// Since when that is so, against what is said at desks.
    since: Timestamp,
}

impl Spoken {
    pub(super) fn latest(&self) -> Timestamp {
        self.book.at.max(self.attended.at)
    }
}

impl Desk {
    /// The appointment here that a system's word is about.
    pub fn meant(&self, word: &SystemWord) -> Option<&Appointment> {
        let by_name = |name: &String| {
            let ours = name.to_ascii_lowercase().parse().ok();
            let theirs = || self.by_reference.get(&(word.system.clone(), name.clone())).copied();
            let known =
                |id: AppointmentId| self.appointments.get(&id).filter(|one| one.system == word.system);
            ours.and_then(known).or_else(|| theirs().and_then(known))
        };
        let meant = word.names.iter().find_map(by_name).or_else(|| self.appointments.get(&word.id));
        meant.filter(|one| self.own(one)).or_else(|| self.not_named_yet(word))
    }

    /// One of this desk's that its system does not name as this hub does, and whose name there is not known yet: for the
    /// same patient at the same time.
    fn not_named_yet(&self, word: &SystemWord) -> Option<&Appointment> {
        let (Some(BookWord::Stands), Some(start)) = (word.book, word.start) else { return None };
        let number = word.person.nhs_number?;
        let is_it = |one: &&Appointment| {
            let unnamed =
                matches!(&one.standing, Standing::Confirmed(known) if known.id == one.id.to_string());
            // What was said before it was asked for is about another.
            let theirs = one.system == word.system && self.own(one) && unnamed && one.made <= word.when.at;
            theirs && one.person.nhs_number == Some(number) && minute(one.start) == minute(start)
        };
        let within = self.concerns(word).then(|| self.appointments.values());
        within.and_then(|mut all| all.find(is_it))
    }

    /// What an appointment's system was last heard to say of the patient's coming.
    pub fn last_said(&self, id: AppointmentId) -> Option<Attendance> {
        self.said_there.get(&id)?.attendance
    }

    /// What to put down of a system's word: nothing if it is old, or about nothing that this desk books.
    pub fn heed(&self, situation: Situation<'_>, word: &SystemWord) -> Act {
        let said = match self.meant(word) {
            Some(known) => self.heed_of(situation, known, word),
            None => self.heed_of_theirs(situation, word),
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

    /// Its system has taken an appointment, and does not say how it names it: if it has said so before the answer came, and
    /// was not understood then, the two are one.
    pub(super) fn named(&self, new: &Appointment, given: &Reference) -> (Reference, Vec<Said>) {
        let same = |one: &&Appointment| {
            let there = one.system == new.system && made_there(one) && one.stands();
            let number = new.person.nhs_number;
            there && number.is_some() && one.person.nhs_number == number && one.start == new.start
        };
        let twin = self.appointments.values().find(same).filter(|_| given.id == new.id.to_string());
        let Some(Standing::Confirmed(known)) = twin.map(|twin| &twin.standing) else {
            return (given.clone(), Vec::new());
        };
        let ended = twin.map(|twin| {
            let cancelled = Standing::Cancelled(Cancellation {
                by: CancelledBy::Provider,
                reason: "The same as one made here".to_owned(),
                at: new.made,
                told: true,
                reference: None,
            });
            Said::Appointment(Box::new(Appointment { standing: cancelled, ..twin.clone() }))
        });
        (known.clone(), ended.into_iter().collect())
    }

    /// Takes in that something was heard.
    pub(super) fn take_heard(&mut self, from: &HubId, said: &Said) {
        let Said::Heard { appointment, when, book, attendance } = said else { return };
        let stands = self.appointments.get(appointment).is_some_and(Appointment::stands);
        if *from == self.hub {
            let spoken = self.said_there.entry(*appointment).or_default();
            if let Some(book) = book {
                (spoken.book, spoken.cancelled) = (*when, *book == BookWord::Cancelled);
                spoken.ended = *book == BookWord::Cancelled && (spoken.ended || stands);
            }
            if let Some(came) = attendance {
                spoken.attended = *when;
                (spoken.attendance, spoken.since) = (Some(came.attendance), came.since);
            }
        }
        if let Some(came) = attendance.filter(|came| came.shown) {
            self.take_attendance(came.since, *appointment, came.attendance);
        }
    }

    /// Before an appointment is put down anew: whether its system has answered to its cancellation.
    pub(super) fn note_answer(&mut self, act: &Act, new: &Appointment) {
        let told = |one: &Appointment| match &one.standing {
            Standing::Cancelled(cancellation) => Some(cancellation.told),
            _ => None,
        };
        let before = self.appointments.get(&new.id).and_then(told);
        if before == Some(false) && told(new) == Some(true) {
            self.said_there.entry(new.id).or_default().answered = act.at;
        }
    }

    /// What a system was last heard to say of an appointment's standing.
    pub(super) fn is_cancelled_there(&self, id: AppointmentId) -> bool {
        self.said_there.get(&id).is_some_and(|spoken| spoken.cancelled)
    }

    /// What of a word is new.
    fn newly(&self, id: AppointmentId, now: Timestamp, word: &SystemWord) -> Option<Said> {
        let spoken = self.said_there.get(&id).copied().unwrap_or_default();
        let book = word.book.filter(|_| spoken.book < word.when);
        let attendance = word.attendance.filter(|_| spoken.attended < word.when).map(|attendance| {
            let since = until_the_end(word.when.at).max(spoken.since).min(now);
            let newest = self.attendance.get(&id).is_none_or(|(known, _)| *known <= since);
            // What is called or with the clinician here has arrived there: the finer word stays.
            let known = self.appointments.get(&id).map(|known| Seen::of(known.attendance));
            let differs = known.unwrap_or(Seen::Expected) != Seen::of(attendance);
            Came { attendance, since, shown: newest && differs }
        });
        let new = book.is_some() || attendance.is_some();
        new.then_some(Said::Heard { appointment: id, when: word.when, book, attendance })
    }

    fn heed_of(&self, situation: Situation<'_>, known: &Appointment, word: &SystemWord) -> Vec<Said> {
        let Some(heard) = self.newly(known.id, situation.now, word) else { return Vec::new() };
        let Said::Heard { book, attendance, .. } = heard else { return Vec::new() };
        if another(known, word) {
            // Nothing that the right patient's messages say is made old by it.
            let words = format!(
                "{} says of this appointment that it is another patient's. Nothing was changed here: phone {}, and \
                 tell the IT team.",
                known.system, known.telephone
            );
            return self.disagree(situation, known, 11, &words);
        }
        let mut said = vec![heard];
        let attendance = attendance.filter(|came| came.shown).map(|came| came.attendance);
        let attendance = attendance.unwrap_or(known.attendance);
        let known = &Appointment { attendance, ..known.clone() };
        said.extend(match (book, &known.standing) {
            (Some(BookWord::Cancelled), Standing::Cancelled(_) | Standing::Failed { .. }) => Vec::new(),
            (Some(BookWord::Cancelled), _) => self.cancelled_there(situation, known),
            (_, Standing::Cancelled(cancellation)) => {
                self.stands_after_all(situation, known, cancellation, book, word)
            }
            (Some(BookWord::Stands), Standing::Failed { .. }) => {
                let words = format!(
                    "{} has this appointment after all, although it could not be had before. Make sure that the patient \
                     knows, or have it cancelled: phone {}.",
                    known.system, known.telephone
                );
                self.disagree(situation, known, 12, &words)
            }
            (None, Standing::Failed { .. }) => Vec::new(),
            _ => self.stands_there(situation, known, book, word),
        });
        said
    }

    /// It stands there, as it stands here: perhaps newly, perhaps at another time.
    fn stands_there(
        &self,
        situation: Situation<'_>,
        known: &Appointment,
        book: Option<BookWord>,
        word: &SystemWord,
    ) -> Vec<Said> {
        let mut changed = known.clone();
        let asked = match &known.standing {
            Standing::Provisional { why, .. } => *why != WhyProvisional::OwnedElsewhere,
            _ => false,
        };
        let unnamed = match &known.standing {
            Standing::Confirmed(reference) => reference.id == known.id.to_string(),
            _ => false,
        };
        if asked || (unnamed && !word.filler.is_empty()) {
            let id = if word.filler.is_empty() { known.id.to_string() } else { word.filler.clone() };
            let before = match &known.standing {
                Standing::Confirmed(reference) => reference.clone(),
                _ => Reference::default(),
            };
            changed.standing = Standing::Confirmed(Reference { id, ..before });
        }
        if asked {
            note(&mut changed, situation, "Confirmed by its system");
        }
        let (start, end) = times(known, word);
        let moved =
            book.is_some() && (minute(start) != minute(known.start) || minute(end) != minute(known.end));
        let mut said = Vec::new();
        if moved {
            said.extend(self.moved_there(situation, &mut changed, word, (start, end)));
        } else if changed.standing != known.standing {
            said.push(Said::Appointment(Box::new(changed)));
        }
        if asked {
            said.extend(self.let_go_replaced(situation, known));
        }
        said
    }

    fn moved_there(
        &self,
        situation: Situation<'_>,
        changed: &mut Appointment,
        word: &SystemWord,
        (start, end): (Timestamp, Timestamp),
    ) -> Vec<Said> {
        let before = (changed.start, changed.end);
        let claim = self.claim(changed.id, word, (start, end), Some(changed));
        (changed.start, changed.end) = (start, end);
        changed.keys = claim.keys.clone();
        if let Some(service) = &claim.service {
            (changed.service, changed.service_name) = (service.id.clone(), service.name.clone());
        }
        note(changed, situation, "Its system has given it another time");
        let mut said = claim.tokens.clone();
        said.push(Said::Appointment(Box::new(changed.clone())));
        said.extend(self.double_booked(situation, changed, &claim));
        if minute(before.0) != minute(start) && !made_there(changed) && situation.now < end {
            let words = format!(
                "{} was given another time by {}. Make sure that the patient knows.",
                changed.service_name, changed.organisation
            );
            said.extend(self.call(situation, changed, 9, &words));
        }
        said
    }

    fn cancelled_there(&self, situation: Situation<'_>, known: &Appointment) -> Vec<Said> {
        let request = RequestId(known.id.0.rotate_left(6));
        let reason = "Cancelled in its own system";
        let mut said = self.let_go(situation, request, known, CancelledBy::Provider, reason);
        for word in &mut said {
            if let Said::Appointment(changed) = word
                && changed.id == known.id
            {
                **changed = knows(changed);
            }
        }
        if !made_there(known) && situation.now < known.end {
            let words = format!(
                "{} was cancelled by {}. Tell the patient and offer another time.",
                known.service_name, known.organisation
            );
            said.extend(self.call(situation, known, 8, &words));
        }
        said
    }

    /// It was cancelled, and its system says that it stands.
    fn stands_after_all(
        &self,
        situation: Situation<'_>,
        known: &Appointment,
        cancellation: &Cancellation,
        book: Option<BookWord>,
        word: &SystemWord,
    ) -> Vec<Said> {
        let spoken = self.said_there.get(&known.id).copied().unwrap_or_default();
        let seen = word.attendance.map_or(Seen::Expected, Seen::of);
        let stands = book == Some(BookWord::Stands) || matches!(seen, Seen::Here | Seen::Done);
        // What it said before it was told, or could know, says nothing.
        if !stands || !cancellation.told || (!spoken.ended && word.when.at <= cancellation.at) {
            return Vec::new();
        }
        let mut said = Vec::new();
        // It has ended it itself, or has answered that it is ended, and thinks again since.
        let anew = spoken.ended || spoken.answered < word.when.at;
        if book == Some(BookWord::Stands) && anew {
            said.extend(self.stands_again(situation, known, cancellation, word));
        }
        if !spoken.ended {
            said.extend(self.stands_although_cancelled(situation, known));
        } else if !made_there(known) && situation.now < known.end {
            let words = format!(
                "{} was cancelled, and stands again at {}. Make sure that the patient knows.",
                known.service_name, known.organisation
            );
            said.extend(self.call(situation, known, 9, &words));
        }
        said
    }

    /// When a system has answered to a cancellation: whether it has said since then that the appointment stands.
    pub(super) fn stood_meanwhile(&self, situation: Situation<'_>, cancelled: &Appointment) -> Vec<Said> {
        let Standing::Cancelled(cancellation) = &cancelled.standing else { return Vec::new() };
        let since = |spoken: &&Spoken| cancellation.at < spoken.book.at && !spoken.cancelled;
        let stood = self.said_there.get(&cancelled.id).filter(since);
        stood.map_or_else(Vec::new, |_| self.stands_although_cancelled(situation, cancelled))
    }

    fn stands_although_cancelled(&self, situation: Situation<'_>, known: &Appointment) -> Vec<Said> {
        let words = format!(
            "{} says that this appointment stands, although it was cancelled here. Phone {}.",
            known.system, known.telephone
        );
        self.disagree(situation, known, 10, &words)
    }

    fn stands_again(
        &self,
        situation: Situation<'_>,
        known: &Appointment,
        cancellation: &Cancellation,
        word: &SystemWord,
    ) -> Vec<Said> {
        let mut changed = known.clone();
        let before = cancellation.reference.clone().unwrap_or_default();
        let id = [&word.filler, &before.id].into_iter().find(|id| !id.is_empty());
        let id = id.cloned().unwrap_or_else(|| known.id.to_string());
        changed.standing = Standing::Confirmed(Reference { id, ..before });
        let (start, end) = times(known, word);
        let claim = self.claim(known.id, word, (start, end), Some(known));
        (changed.start, changed.end, changed.keys) = (start, end, claim.keys.clone());
        note(&mut changed, situation, "Stands again in its system");
        let mut said = claim.tokens.clone();
        said.push(Said::Appointment(Box::new(changed.clone())));
        said.extend(self.double_booked(situation, &changed, &claim));
        said
    }

    /// Of an appointment that nobody made here: it is put down if it takes what this desk sells.
    fn heed_of_theirs(&self, situation: Situation<'_>, word: &SystemWord) -> Vec<Said> {
        let id = word.id;
        let heard = self.newly(id, situation.now, word);
        let Some(heard @ Said::Heard { book: Some(book), .. }) = heard else { return Vec::new() };
        if book == BookWord::Cancelled {
            // Its booking may come later, and is not to be believed then.
            let over = word.start.is_some_and(|start| start <= situation.now);
            return if self.concerns(word) && !over { vec![heard] } else { Vec::new() };
        }
        let Some(start) = word.start else { return Vec::new() };
        let end = word.end.filter(|end| start < *end).unwrap_or(start);
        let claim = self.claim(id, word, (start, end), None);
        let (Some(service), Some(session)) = (&claim.service, &claim.session) else { return Vec::new() };
        let end = end.max(claim.end);
        if end <= situation.now || super::APPOINTMENTS_MAX <= self.appointments.len() {
            return Vec::new();
        }
        let mut appointment = Appointment {
            id,
            person: word.person.clone(),
            service: service.id.clone(),
            service_name: service.name.clone(),
            keys: claim.keys.clone(),
            system: word.system.clone(),
            hub: self.hub.clone(),
            start,
            end,
            channel: session.channel,
            clinician: session.clinician.clone(),
            place: session.place.clone(),
            room: session.room.clone(),
            organisation: service.organisation.clone(),
            telephone: service.telephone.clone(),
            // What its system says it is for may be clinical.
            description: String::new(),
            comment: String::new(),
            needs: Needs::default(),
            standing: Standing::Confirmed(theirs(word)),
            attendance: word.attendance.unwrap_or_default(),
            made: situation.now,
            made_by: word.system.clone(),
            made_at: self.hub.clone(),
            visit: None,
            replaces: None,
            changes: Vec::new(),
        };
        note(&mut appointment, situation, "Made in its own system");
        let mut said = vec![heard];
        said.extend(claim.tokens.iter().cloned());
        said.push(Said::Appointment(Box::new(appointment.clone())));
        said.extend(self.double_booked(situation, &appointment, &claim));
        said
    }

    /// Those to whom this desk had sold a time that its system has given to somebody else are called.
    fn double_booked(&self, situation: Situation<'_>, new: &Appointment, claim: &Claim<'_>) -> Vec<Said> {
        let mut said = Vec::new();
        if situation.now < new.end {
            let number = new.person.nhs_number;
            let same = |other: &Appointment| number.is_some() && other.person.nhs_number == number;
            for other in claim.sold_to.iter().filter(|other| !made_there(other) && !same(other)) {
                let words = format!(
                    "Urgent: {} has given the time of this appointment to another patient too. Phone {}, then tell the \
                     patient and offer another time.",
                    other.system, other.telephone
                );
                // The name of the task that a refusal makes: whoever is to be called is called once.
                said.extend(self.call(situation, other, 2, &words));
            }
            if claim.elsewhere {
                let words = format!(
                    "{} has given a time to a patient that another hub or the centre may sell, or that is held. Ring \
                     them, so that it is not sold again.",
                    new.system
                );
                said.extend(self.disagree(situation, new, 13, &words));
            }
        }
        said
    }

    fn call(&self, situation: Situation<'_>, about: &Appointment, turn: u32, words: &str) -> Vec<Said> {
        let key = about.id.0.rotate_left(turn);
        self.task(situation, key, TaskKind::CallPatient, &about.person, words, Some(about.id))
    }

    fn disagree(&self, situation: Situation<'_>, about: &Appointment, turn: u32, words: &str) -> Vec<Said> {
        let key = about.id.0.rotate_left(turn);
        self.task(situation, key, TaskKind::Disagreement, &about.person, words, Some(about.id))
    }
}

/// Whether the system in whose book it is has made it.
pub(super) fn made_there(appointment: &Appointment) -> bool {
    appointment.system != OWN_BOOK && appointment.made_by == appointment.system && !is_practices(appointment)
}

/// The same, with its cancellation known to its system.
fn knows(appointment: &Appointment) -> Appointment {
    let mut changed = appointment.clone();
    if let Standing::Cancelled(cancellation) = &mut changed.standing {
        cancellation.told = true;
    }
    changed
}

/// How a system names what it has made itself.
fn theirs(word: &SystemWord) -> Reference {
    let id = if word.filler.is_empty() { word.names.first().cloned() } else { Some(word.filler.clone()) };
    Reference { id: id.unwrap_or_default(), version: String::new(), patient: word.patient.clone() }
}

/// Whether a word names another patient than the appointment that it is about.
fn another(known: &Appointment, word: &SystemWord) -> bool {
    match (known.person.nhs_number, word.person.nhs_number) {
        (Some(known), Some(said)) => known != said,
        _ => false,
    }
}

/// When it takes place, as a word has it; what is not said stays.
fn times(known: &Appointment, word: &SystemWord) -> (Timestamp, Timestamp) {
    let start = word.start.unwrap_or(known.start);
    let as_long = start.plus(known.end.since(known.start));
    (start, word.end.filter(|end| start < *end).unwrap_or(as_long))
}

/// The end of the second, or of the minute, that a moment names: systems leave out what is finer, and what was said at a desk
/// in that time was not said after it.
const fn until_the_end(at: Timestamp) -> Timestamp {
    let rest = if at.0 % 60_000 == 0 {
        59_999
    } else if at.0 % 1000 == 0 {
        999
    } else {
        0
    };
    Timestamp(at.0.saturating_add(rest))
}

/// Systems write times to the minute.
const fn minute(at: Timestamp) -> i64 {
    at.0.div_euclid(60_000)
}

#[cfg(test)]
mod tests;
