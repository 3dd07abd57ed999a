//! Deciding what a deed comes to: an act to be made durable, or a refusal that changes nothing.

use crate::domain::{
    booking::{
        Attendance, Cancellation, CancelledBy, Change, Deed, Needs, Offer, OfferKey, Owner, Person, Promise,
        Refused, TaskKind, TicketState, VisitPart, WalkIn, WhyProvisional,
    },
    slot::{COMMENT_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX},
};

use super::{
    APPOINTMENTS_MAX, Act, Appointment, AppointmentId, Asked, Desk, HubId, RequestId, Said, SlotId, Standing,
    TASKS_MAX, Task, Ticket, Timestamp, TokenEvent, WAITING_MAX, WaitingPerson,
};
pub use crate::booking::search::OWN_BOOK;
use crate::booking::{act::ActPlace, token::TokenState};

/// Slots that one appointment may fill.
const KEYS_MAX: usize = 16;
/// Services in one visit.
const PARTS_MAX: usize = 6;
/// A reason, a name or a need is a line.
const LINE_CHARACTERS_MAX: usize = 100;
/// Waiting people that are named for one freed slot: whoever phones gives up after a few.
const NAMED_MAX: usize = 3;

/// What stands behind a key: the offer it was shown as; none if it is no longer known.
pub type Resolve<'a> = &'a dyn Fn(&OfferKey) -> Option<Offer>;

/// What a decision depends on besides the desk.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// By the hub's clock.
    pub now: Timestamp,
    /// The user who asks, or another hub's name.
    pub by: &'a str,
    /// The hub at whose desk they are.
    pub desk: &'a HubId,
    /// What stands behind keys.
    pub resolve: Resolve<'a>,
}

impl std::fmt::Debug for Situation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Situation({}, {})", self.now, self.by)
    }
}

/// A part of a visit that cannot be had.
enum NotBooked {
    /// Somebody else was first.
    Taken,
    /// It cannot be asked for like that.
    Refused(Refused),
}

impl From<Refused> for NotBooked {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Desk {
    /// What a deed comes to. An act without a word means that somebody else was first.
    ///
    /// # Errors
    /// What is asked for cannot be done, in words for the desk.
    pub fn decide(&self, situation: Situation<'_>, request: Asked, deed: &Deed) -> Result<Act, Refused> {
        let said = match deed {
            Deed::Book(part) => self.book(situation, request.id, std::slice::from_ref(part), None),
            Deed::BookVisit(parts) => self.book(situation, request.id, parts, Some(visit_name(request.id))),
            Deed::Move { appointment, keys } => self.reschedule(situation, request.id, *appointment, keys),
            Deed::Amend { appointment, description, comment, needs } => {
                self.amend(situation, request.id, deed, *appointment, (description, comment, needs))
            }
            Deed::Cancel { appointment, by, reason } => {
                self.cancel(situation, request.id, deed, *appointment, *by, reason)
            }
            Deed::Mark { appointment, attendance } => self.mark(situation, *appointment, *attendance),
            Deed::Wait(waiting) => self.wait(situation, request.id, waiting),
            Deed::StopWaiting { waiting, reason } => self.stop_waiting(*waiting, reason),
            Deed::TakeTicket(walk_in) => self.take_ticket(situation, request.id, walk_in),
            Deed::CallNext { service, room } => self.call_next(situation, service, room),
            Deed::MarkTicket { ticket, state } => self.mark_ticket(*ticket, *state),
            Deed::FinishTask { task, note } => self.finish_task(*task, note),
            Deed::TryAgain { appointment } => self.try_again(situation, *appointment),
        }?;
        Ok(Act {
            v: Act::VERSION,
            place: ActPlace::default(),
            request: Some(request),
            at: situation.now,
            by: situation.by.to_owned(),
            said,
        })
    }

    fn book(
        &self,
        situation: Situation<'_>,
        request: RequestId,
        parts: &[VisitPart],
        visit: Option<AppointmentId>,
    ) -> Result<Vec<Said>, Refused> {
        if parts.is_empty() || PARTS_MAX < parts.len() {
            let words = format!("Choose 1 to {PARTS_MAX} services for one visit.");
            return Err(refused("parts", words, "services"));
        }
        if APPOINTMENTS_MAX <= self.appointments.len() + parts.len() {
            let words = "This hub holds as many appointments as it can. Call the IT team.".to_owned();
            return Err(refused("desk-full", words, ""));
        }
        let mut said = Vec::new();
        let mut taken: Vec<&OfferKey> = Vec::new();
        for (number, part) in (0_u128..).zip(parts) {
            if part.keys.iter().any(|key| taken.contains(&key)) {
                let words = "One time was chosen twice in this visit. Choose another for one of them.";
                return Err(refused("same-slot", words.to_owned(), "keys"));
            }
            taken.extend(&part.keys);
            let id = AppointmentId(request.0.wrapping_add(number));
            match self.book_part(situation, id, part, visit, None) {
                Ok(words) => said.extend(words),
                Err(NotBooked::Taken) => return Ok(Vec::new()),
                Err(NotBooked::Refused(refused)) => return Err(refused),
            }
        }
        Ok(said)
    }

    fn book_part(
        &self,
        situation: Situation<'_>,
        id: AppointmentId,
        part: &VisitPart,
        visit: Option<AppointmentId>,
        replaces: Option<AppointmentId>,
    ) -> Result<Vec<Said>, NotBooked> {
        check_person(&part.person)?;
        check_words(&part.description, &part.comment, &part.needs)?;
        let offers = self.offers(situation, &part.keys)?;
        let (Some(first), Some(last)) = (offers.first(), offers.last()) else { return Err(NotBooked::Taken) };
        let mut appointment = Appointment {
            id,
            person: part.person.clone(),
            service: first.service.clone(),
            service_name: first.service_name.clone(),
            keys: part.keys.clone(),
            system: first.system.clone(),
            hub: self.hub.clone(),
            start: first.start,
            end: last.end,
            channel: first.channel,
            clinician: first.clinician.clone(),
            place: first.place.clone(),
            room: first.room.clone(),
            organisation: first.organisation.clone(),
            telephone: first.telephone.clone(),
            description: part.description.trim().to_owned(),
            comment: part.comment.trim().to_owned(),
            needs: part.needs.clone(),
            standing: Standing::Firm,
            attendance: Attendance::Expected,
            made: situation.now,
            made_by: situation.by.to_owned(),
            made_at: situation.desk.clone(),
            visit,
            replaces,
            changes: Vec::new(),
        };
        let slots: Vec<SlotId> = part.keys.iter().filter_map(token_of).cloned().collect();
        let provisional = |why| Standing::Provisional { why, attempts: 0, retry: situation.now };
        if slots.is_empty() {
            appointment.standing = provisional(WhyProvisional::NotAcknowledged);
            note(&mut appointment, situation, "Asked for");
            return Ok(vec![Said::Appointment(Box::new(appointment))]);
        }
        if let Some(owner) = self.owner_elsewhere(&slots)? {
            // What was asked of this hub is not passed on: it might come round for ever.
            if *situation.desk != self.hub {
                let words = "The time has gone to another hub meanwhile. Look again.".to_owned();
                return Err(refused("moved", words, "keys").into());
            }
            // Only the hub that has the slot can promise it: it is asked, and answers for it.
            appointment.standing = provisional(WhyProvisional::OwnedElsewhere);
            if let Owner::Hub(hub) = &owner {
                appointment.hub = hub.clone();
            }
            note(&mut appointment, situation, "Asked for at the hub that has the slot");
            let deed = Box::new(Deed::Book(part.clone()));
            // Each part of a visit under its own name: the appointment's, which the owner makes of it again.
            let request = RequestId(id.0);
            return Ok(match owner {
                Owner::Hub(_) => {
                    vec![Said::Pending(Box::new(appointment)), Said::Please { of: owner, request, deed }]
                }
                Owner::Centre => {
                    vec![Said::Appointment(Box::new(appointment)), Said::Please { of: owner, request, deed }]
                }
            });
        }
        let token = self.ledger.confirm(id, &slots).map_err(|refusal| not_sold(&refusal))?;
        if first.system != OWN_BOOK {
            appointment.standing = provisional(WhyProvisional::NotAcknowledged);
        }
        note(&mut appointment, situation, "Booked");
        Ok(vec![Said::Token(token), Said::Appointment(Box::new(appointment))])
    }

    /// What stands behind keys: adjacent times of one session, all to come, in order.
    fn offers(&self, situation: Situation<'_>, keys: &[OfferKey]) -> Result<Vec<Offer>, NotBooked> {
        if keys.is_empty() || KEYS_MAX < keys.len() {
            let words = format!("Choose 1 to {KEYS_MAX} adjacent times.");
            return Err(refused("keys", words, "keys").into());
        }
        let mut offers = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(offer) = (situation.resolve)(key) else { return Err(NotBooked::Taken) };
            if offer.start <= situation.now {
                let words = "That time has begun already. Choose a later one.".to_owned();
                return Err(refused("past", words, "keys").into());
            }
            offers.push(offer);
        }
        let pairs = offers.iter().zip(offers.iter().skip(1));
        let together = |(one, next): (&Offer, &Offer)| {
            one.end == next.start
                && one.service == next.service
                && one.system == next.system
                && one.channel == next.channel
                && same_session(&one.key, &next.key)
        };
        if !pairs.into_iter().all(together) {
            let words = "Several times can be booked together only if they follow each other in one session.";
            return Err(refused("not-adjacent", words.to_owned(), "keys").into());
        }
        Ok(offers)
    }

    /// Who must be asked, if not this hub; all slots must be sold by the same.
    fn owner_elsewhere(&self, slots: &[SlotId]) -> Result<Option<Owner>, NotBooked> {
        if slots.iter().any(|slot| self.is_sold_elsewhere(slot)) {
            return Err(NotBooked::Taken);
        }
        let owners: Vec<Owner> =
            slots.iter().map(|slot| self.seller(slot).map_or(Owner::Centre, Owner::Hub)).collect();
        let Some(first) = owners.first() else { return Ok(None) };
        if owners.iter().any(|owner| owner != first) {
            let words = "These times are sold by different hubs and cannot be booked as one.".to_owned();
            return Err(refused("different-owners", words, "keys").into());
        }
        Ok(Some(first.clone()).filter(|owner| *owner != Owner::Hub(self.hub.clone())))
    }

    fn reschedule(
        &self,
        situation: Situation<'_>,
        request: RequestId,
        id: AppointmentId,
        keys: &[OfferKey],
    ) -> Result<Vec<Said>, Refused> {
        let old = self.standing_one(id)?;
        if old.keys == keys {
            let words = "That is the time it is booked for already. Choose another.".to_owned();
            return Err(refused("same-slot", words, "keys"));
        }
        let part = VisitPart {
            person: old.person.clone(),
            keys: keys.to_vec(),
            description: old.description.clone(),
            comment: old.comment.clone(),
            needs: old.needs.clone(),
        };
        let new = AppointmentId(request.0);
        let mut said = match self.book_part(situation, new, &part, old.visit, Some(id)) {
            Ok(said) => said,
            Err(NotBooked::Taken) => return Ok(Vec::new()),
            Err(NotBooked::Refused(refused)) => return Err(refused),
        };
        let confirmed = said.iter().any(|said| {
            matches!(said, Said::Appointment(appointment) if appointment.id == new && appointment.is_confirmed())
        });
        // The old one is let go only once the new one is sure; else when its owner has confirmed it.
        if confirmed {
            let name = RequestId(new.0 ^ old.id.0);
            said.extend(self.let_go(situation, name, old, CancelledBy::Patient, "Moved to another time"));
        }
        Ok(said)
    }

    /// Words that end an appointment: its token is free again, and its own system is told by whoever drives the desk.
    pub(super) fn let_go(
        &self,
        situation: Situation<'_>,
        request: RequestId,
        old: &Appointment,
        by: CancelledBy,
        reason: &str,
    ) -> Vec<Said> {
        if !self.own(old) {
            let deed = Deed::Cancel { appointment: old.id, by, reason: reason.to_owned() };
            let of = Owner::Hub(old.hub.clone());
            return vec![Said::Please { of, request, deed: Box::new(deed) }];
        }
        let mut said = Vec::new();
        let mut handed_on = Vec::new();
        if let Ok(token) = self.ledger.free(old.id) {
            if let TokenEvent::Freed { slots, .. } = &token {
                handed_on = self.handed_on(old.id, slots);
            }
            said.push(Said::Token(token));
        }
        let mut cancelled = old.clone();
        let reference = match &old.standing {
            Standing::Confirmed(reference) => Some(reference.clone()),
            _ => None,
        };
        // A slot of our own needs no telling. Whether another system was asked already, only it can say: the power may
        // have gone between its answer and our journal.
        let told = old.system == OWN_BOOK;
        cancelled.standing = Standing::Cancelled(Cancellation {
            by,
            reason: reason.to_owned(),
            at: situation.now,
            told,
            reference,
        });
        note(&mut cancelled, situation, "Cancelled");
        if handed_on.is_empty() {
            said.extend(self.named_waiters(situation, request, old));
        }
        said.extend(handed_on);
        said.push(Said::Appointment(Box::new(cancelled)));
        said
    }

    /// A freed slot names those who wait for such a one, in order, and books nobody.
    fn named_waiters(&self, situation: Situation<'_>, request: RequestId, old: &Appointment) -> Vec<Said> {
        if old.start <= situation.now {
            return Vec::new();
        }
        let suits = |wish: &WaitingPerson| {
            let window = wish.wish.from <= old.start && old.end <= wish.wish.until;
            let service = wish.wish.service.as_ref().is_none_or(|service| *service == old.service);
            let channel = wish.wish.channel.is_none_or(|channel| channel == old.channel);
            let gender = old.clinician.as_ref().map_or("", |clinician| clinician.gender.as_str());
            let fits = wish.wish.gender.is_empty() || wish.wish.gender == gender;
            window && service && channel && fits && wish.person.nhs_number != old.person.nhs_number
        };
        let room = TASKS_MAX.saturating_sub(self.tasks.len());
        let waiting = self.waiting().into_iter().filter(|person| suits(person)).take(NAMED_MAX.min(room));
        let named = (1_u128..).zip(waiting).map(|(place, person)| {
            Said::Task(Box::new(Task {
                id: AppointmentId(request.0 ^ old.id.0.rotate_left(1) ^ (place << 64)),
                since: situation.now,
                kind: TaskKind::OfferFreed,
                person: person.person.clone(),
                words: format!(
                    "A slot for {} is free again. Number {place} of those who wait for such a one.",
                    old.service_name
                ),
                appointment: Some(person.id),
                freed: old.keys.clone(),
            }))
        });
        named.collect()
    }

    fn amend(
        &self,
        situation: Situation<'_>,
        request: RequestId,
        deed: &Deed,
        id: AppointmentId,
        (description, comment, needs): (&String, &String, &Needs),
    ) -> Result<Vec<Said>, Refused> {
        let old = self.standing_one(id)?;
        check_words(description, comment, needs)?;
        if !self.own(old) {
            return Ok(self.ask_owner(old, request, deed));
        }
        let mut amended = old.clone();
        amended.description = description.trim().to_owned();
        amended.comment = comment.trim().to_owned();
        amended.needs = needs.clone();
        note(&mut amended, situation, "Amended");
        Ok(vec![Said::Appointment(Box::new(amended))])
    }

    fn cancel(
        &self,
        situation: Situation<'_>,
        request: RequestId,
        deed: &Deed,
        id: AppointmentId,
        by: CancelledBy,
        reason: &str,
    ) -> Result<Vec<Said>, Refused> {
        let old = self.standing_one(id)?;
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(refused("reason-missing", "Say why it is cancelled.".to_owned(), "reason"));
        }
        check_line(reason, "reason")?;
        if old.end <= situation.now {
            let words = "It is over and cannot be cancelled. Say that the patient did not attend instead.";
            return Err(refused("over", words.to_owned(), ""));
        }
        if !self.own(old) {
            return Ok(self.ask_owner(old, request, deed));
        }
        Ok(self.let_go(situation, request, old, by, reason))
    }

    fn ask_owner(&self, old: &Appointment, request: RequestId, deed: &Deed) -> Vec<Said> {
        let of = Owner::Hub(old.hub.clone());
        vec![Said::Please { of, request, deed: Box::new(deed.clone()) }]
    }

    fn mark(
        &self,
        situation: Situation<'_>,
        id: AppointmentId,
        attendance: Attendance,
    ) -> Result<Vec<Said>, Refused> {
        let old = self.standing_one(id)?;
        if attendance == Attendance::DidNotAttend && situation.now < old.start {
            let words = "It has not begun yet: nobody can have missed it.".to_owned();
            return Err(refused("too-early", words, ""));
        }
        Ok(vec![Said::Attendance { appointment: old.id, attendance }])
    }

    fn wait(
        &self,
        situation: Situation<'_>,
        request: RequestId,
        waiting: &WaitingPerson,
    ) -> Result<Vec<Said>, Refused> {
        check_person(&waiting.person)?;
        if WAITING_MAX <= self.waiting.len() {
            let words = format!("The waiting list is full: it holds {WAITING_MAX} people.");
            return Err(refused("list-full", words, ""));
        }
        if !(1..=3).contains(&waiting.priority) {
            return Err(refused("priority", "Choose urgent, soon or routine.".to_owned(), "priority"));
        }
        check_line(&waiting.wish.need, "need")?;
        let waiting = WaitingPerson {
            id: AppointmentId(request.0),
            since: situation.now,
            by: situation.by.to_owned(),
            ..waiting.clone()
        };
        Ok(vec![Said::Waiting(Box::new(waiting))])
    }

    fn stop_waiting(&self, waiting: AppointmentId, reason: &str) -> Result<Vec<Said>, Refused> {
        check_line(reason, "reason")?;
        if !self.waiting.contains_key(&waiting) {
            return Err(gone("This person is no longer on the waiting list."));
        }
        Ok(vec![Said::WaitsNoLonger { waiting }])
    }

    fn take_ticket(
        &self,
        situation: Situation<'_>,
        request: RequestId,
        walk_in: &WalkIn,
    ) -> Result<Vec<Said>, Refused> {
        let services = self.catalogues.get(&self.hub).into_iter().flat_map(|catalogue| &catalogue.services);
        let service = services.into_iter().find(|service| service.id == walk_in.service);
        let Some(card) = service.and_then(|service| service.walk_in.as_ref()) else {
            let words = "This service sees nobody without an appointment.".to_owned();
            return Err(refused("no-walk-in", words, "service"));
        };
        check_words("", "", &walk_in.needs)?;
        let today = self.tickets.values().filter(|ticket| {
            situation.now.0 - ticket.taken.0 < 20 * 60 * 60 * 1000 && ticket.number.starts_with(card.letter)
        });
        let highest = today.filter_map(|ticket| ticket.number.get(1..)?.parse::<u32>().ok()).max();
        let ticket = Ticket {
            id: AppointmentId(request.0),
            number: format!("{}{}", card.letter, highest.unwrap_or(0) + 1),
            walk_in: walk_in.clone(),
            area: card.area.clone(),
            taken: situation.now,
            state: TicketState::Waiting,
            room: String::new(),
            called: None,
        };
        Ok(vec![Said::Ticket(Box::new(ticket))])
    }

    fn call_next(&self, situation: Situation<'_>, service: &HubId, room: &str) -> Result<Vec<Said>, Refused> {
        check_line(room, "room")?;
        let waiting = self
            .tickets()
            .into_iter()
            .find(|ticket| ticket.state == TicketState::Waiting && ticket.walk_in.service == *service);
        let Some(next) = waiting else {
            return Err(refused("nobody-waits", "Nobody waits for this service.".to_owned(), ""));
        };
        let mut called = next.clone();
        called.state = TicketState::Called;
        called.room = room.trim().to_owned();
        called.called = Some(situation.now);
        Ok(vec![Said::Ticket(Box::new(called))])
    }

    fn mark_ticket(&self, ticket: AppointmentId, state: TicketState) -> Result<Vec<Said>, Refused> {
        let known = self.tickets.get(&ticket).ok_or_else(|| gone("This ticket is not of today."))?;
        let mut marked = known.clone();
        marked.state = state;
        Ok(vec![Said::Ticket(Box::new(marked))])
    }

    fn finish_task(&self, task: AppointmentId, note: &str) -> Result<Vec<Said>, Refused> {
        if COMMENT_CHARACTERS_MAX < note.chars().count() {
            return Err(too_long("note", COMMENT_CHARACTERS_MAX));
        }
        if !self.tasks.contains_key(&task) {
            return Err(gone("Somebody has done this task already."));
        }
        Ok(vec![Said::TaskDone { task, note: note.trim().to_owned() }])
    }

    fn try_again(&self, situation: Situation<'_>, id: AppointmentId) -> Result<Vec<Said>, Refused> {
        let old = self.standing_one(id)?;
        let Standing::Provisional { why, attempts, .. } = &old.standing else {
            return Err(refused("confirmed", "It is confirmed already.".to_owned(), ""));
        };
        if !self.own(old) {
            let words = "The hub that has the slot was asked, and will answer once it is reached.".to_owned();
            return Err(refused("asked", words, ""));
        }
        let mut again = old.clone();
        again.standing = Standing::Provisional { why: *why, attempts: *attempts, retry: situation.now };
        Ok(vec![Said::Appointment(Box::new(again))])
    }

    fn standing_one(&self, id: AppointmentId) -> Result<&Appointment, Refused> {
        let known = self.appointments.get(&id).ok_or_else(|| gone("This appointment is not known here."))?;
        if known.stands() {
            return Ok(known);
        }
        Err(gone("This appointment does not stand any more. Look at it again."))
    }

    /// What a slot of a session of ours, or of another hub's, is worth now; none if it is not to be had.
    pub fn promise(&self, slot: &SlotId, own_book: bool) -> Option<Promise> {
        if self.seller(slot).is_some_and(|seller| seller == self.hub) {
            let free = matches!(self.ledger.owned(slot), TokenState::Free { .. });
            return free.then_some(if own_book { Promise::Firm } else { Promise::BySystem });
        }
        let sold = self.is_sold_elsewhere(slot);
        (!sold).then_some(Promise::Provisional(WhyProvisional::OwnedElsewhere))
    }
}

/// The visit that a request makes.
const fn visit_name(request: RequestId) -> AppointmentId {
    AppointmentId(request.0.rotate_left(64))
}

const fn token_of(key: &OfferKey) -> Option<&SlotId> {
    match key {
        OfferKey::Token(slot) => Some(slot),
        OfferKey::System { .. } => None,
    }
}

fn same_session(one: &OfferKey, other: &OfferKey) -> bool {
    match (one, other) {
        (OfferKey::Token(one), OfferKey::Token(other)) => {
            (&one.home, &one.session) == (&other.home, &other.session)
        }
        (
            OfferKey::System { system, schedule, .. },
            OfferKey::System { system: other_system, schedule: other_schedule, .. },
        ) => (system, schedule) == (other_system, other_schedule),
        _ => false,
    }
}

fn not_sold(refusal: &crate::booking::token::Refusal) -> NotBooked {
    if refusal.is_taken() {
        return NotBooked::Taken;
    }
    NotBooked::Refused(refused("held", refusal.to_string(), "keys"))
}

/// Puts down what happened; the oldest goes if there is too much.
pub(super) fn note(appointment: &mut Appointment, situation: Situation<'_>, what: &str) {
    let change = Change { at: situation.now, by: situation.by.to_owned(), what: what.to_owned() };
    appointment.changes.push(change);
    let excess = appointment.changes.len().saturating_sub(Appointment::CHANGES_MAX);
    appointment.changes.drain(..excess);
}

fn check_person(person: &Person) -> Result<(), Refused> {
    let lines = [
        (&person.family_name, "family-name"),
        (&person.given_names, "given-names"),
        (&person.title, "title"),
        (&person.postcode, "postcode"),
        (&person.telephone, "telephone"),
    ];
    for (line, field) in lines {
        check_line(line, field)?;
    }
    if COMMENT_CHARACTERS_MAX < person.address.chars().count() {
        return Err(too_long("address", COMMENT_CHARACTERS_MAX));
    }
    if person.family_name.trim().is_empty() {
        return Err(refused("family-name", "Enter the family name.".to_owned(), "family-name"));
    }
    if person.nhs_number.is_none() && person.birth_date.is_empty() {
        let words = "Enter the NHS number, or the date of birth if it is not known.".to_owned();
        return Err(refused("identity", words, "birth-date"));
    }
    Ok(())
}

fn check_words(description: &str, comment: &str, needs: &Needs) -> Result<(), Refused> {
    for (text, field, most) in [
        (description, "description", DESCRIPTION_CHARACTERS_MAX),
        (comment, "comment", COMMENT_CHARACTERS_MAX),
        (needs.interpreter.as_str(), "interpreter", LINE_CHARACTERS_MAX),
        (needs.adjustments.as_str(), "adjustments", COMMENT_CHARACTERS_MAX),
        (needs.reminder.as_str(), "reminder", LINE_CHARACTERS_MAX),
    ] {
        if most < text.trim().chars().count() {
            return Err(too_long(field, most));
        }
    }
    Ok(())
}

fn check_line(text: &str, field: &'static str) -> Result<(), Refused> {
    if LINE_CHARACTERS_MAX < text.trim().chars().count() {
        return Err(too_long(field, LINE_CHARACTERS_MAX));
    }
    Ok(())
}

fn too_long(field: &'static str, most: usize) -> Refused {
    refused("too-long", format!("Shorten this to {most} characters; nothing is cut off by itself."), field)
}

fn gone(words: &str) -> Refused {
    refused("gone", words.to_owned(), "")
}

const fn refused(code: &'static str, words: String, field: &'static str) -> Refused {
    Refused { code, words, field }
}
