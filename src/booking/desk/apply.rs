//! Taking an act in: what was decided here, or heard from another hub, becomes what the desk knows.

use crate::domain::booking::Owner;

use super::{
    ASKED_MAX, Act, Appointment, AppointmentId, Asked, Attendance, Desk, HubId, KEPT_MS, REQUESTS_MAX,
    Remembered, Said, Standing, TICKETS_MAX, Timestamp, TokenEvent,
};

/// Something that an act should not have said. It is shown to operators; what it touches is sold by nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// In plain words, with slots and without patients.
    pub words: String,
}

/// What became of an act of another hub.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Heard {
    /// It is taken in, with what it should not have said.
    New(Vec<Trouble>),
    /// It was heard before.
    Old,
    /// Something before it is missing: it comes again.
    TooEarly,
}

impl Desk {
    /// Takes in an act of this hub, once it is durable.
    pub fn apply(&mut self, act: &Act) -> Vec<Trouble> {
        let from = self.hub.clone();
        self.spoken = self.spoken.max(act.place.number);
        self.remember(act);
        act.said.iter().filter_map(|said| self.take(&from, act, said)).collect()
    }

    /// Takes in what another hub, or the centre, has decided, if it is the next of its acts. `jump` says that what lies
    /// before cannot be had any more.
    pub fn hear(&mut self, from: &HubId, act: &Act, jump: bool) -> Heard {
        let last = self.heard.get(from).map(|(place, _)| *place);
        match last {
            _ if *from == self.hub => return Heard::Old,
            Some(last) if act.place <= last => return Heard::Old,
            Some(last) if !jump && !last.is_followed_by(act.place) => return Heard::TooEarly,
            None if !jump && act.place.number != 1 => return Heard::TooEarly,
            _ => {}
        }
        self.heard.insert(from.clone(), (act.place, act.at));
        Heard::New(act.said.iter().filter_map(|said| self.take(from, act, said)).collect())
    }

    /// Forgets what has been over for long. Slots before `now` are never sold again, so nothing is lost by it.
    pub fn forget(&mut self, now: Timestamp) {
        let since = Timestamp(now.0.saturating_sub(KEPT_MS));
        self.appointments.retain(|_, appointment| since < appointment.end);
        let appointments = &self.appointments;
        self.attendance.retain(|id, _| appointments.contains_key(id));
        self.unsettled.retain(|id| appointments.contains_key(id));
        self.by_reference.retain(|_, id| appointments.contains_key(id));
        self.tellings.retain(|id, _| appointments.contains_key(id));
        self.first_words.retain(|id, _| appointments.contains_key(id));
        self.said_there.retain(|id, spoken| appointments.contains_key(id) || since < spoken.latest());
        let two_days_ago = Timestamp(now.0.saturating_sub(2 * 24 * 60 * 60 * 1000));
        self.tickets.retain(|_, ticket| two_days_ago < ticket.taken);
        self.elsewhere.forget_before(since);
        self.ledger.forget_before(since);
    }

    fn remember(&mut self, act: &Act) {
        let Some(Asked { id, digest }) = act.request else { return };
        self.asked_of_us.remove(&id);
        let about: Vec<AppointmentId> = act
            .said
            .iter()
            .filter_map(|said| match said {
                Said::Appointment(appointment) | Said::Pending(appointment) => Some(appointment.id),
                Said::Attendance { appointment, .. } => Some(*appointment),
                Said::Waiting(waiting) => Some(waiting.id),
                Said::Ticket(ticket) => Some(ticket.id),
                _ => None,
            })
            .collect();
        if self.requests.insert(id, Remembered { digest, about, taken: act.said.is_empty() }).is_none() {
            self.requests_in_order.push_back(id);
        }
        while REQUESTS_MAX < self.requests_in_order.len() {
            if let Some(oldest) = self.requests_in_order.pop_front() {
                self.requests.remove(&oldest);
            }
        }
    }

    fn take(&mut self, from: &HubId, act: &Act, said: &Said) -> Option<Trouble> {
        match said {
            Said::Token(event) if *from == self.hub => return self.take_own_token(event),
            Said::Token(event) => self.take_word(from, event),
            Said::Appointment(appointment) => return self.take_appointment(from, act, appointment),
            // What is asked of this hub comes as a request, and is answered for here.
            Said::Pending(appointment) if appointment.hub == self.hub && *from != self.hub => {}
            Said::Pending(appointment) => self.take_pending(appointment),
            Said::Attendance { appointment, attendance } => {
                let before = self.appointments.get(appointment).map(|known| known.attendance);
                self.take_attendance(act.at, *appointment, *attendance);
                if let Some(before) = before {
                    self.note_attendance(from, act, *appointment, before);
                }
            }
            Said::Heard { .. } => self.take_heard(from, said),
            Said::Told { appointment, from: of, place } if *from == self.hub => {
                self.strike_out(*appointment, of, *place);
            }
            Said::Told { .. } => {}
            Said::Waiting(waiting) => drop(self.waiting.insert(waiting.id, (**waiting).clone())),
            Said::WaitsNoLonger { waiting } => drop(self.waiting.remove(waiting)),
            // Tickets and tasks are the business of the hub where they are.
            Said::Ticket(ticket) if *from == self.hub => {
                self.tickets.insert(ticket.id, (**ticket).clone());
                while TICKETS_MAX < self.tickets.len() {
                    let oldest =
                        self.tickets.values().min_by_key(|ticket| ticket.taken).map(|ticket| ticket.id);
                    oldest.and_then(|oldest| self.tickets.remove(&oldest));
                }
            }
            Said::Task(task) if *from == self.hub => drop(self.tasks.insert(task.id, (**task).clone())),
            Said::TaskDone { task, .. } if *from == self.hub => drop(self.tasks.remove(task)),
            Said::Catalogue(catalogue) => {
                self.catalogues.insert(from.clone(), (**catalogue).clone());
            }
            Said::Ticket(_) | Said::Task(_) | Said::TaskDone { .. } => {}
            Said::Please { of: Owner::Hub(of), request, deed } if *of == self.hub && *from != self.hub => {
                if !self.requests.contains_key(request) && self.asked_of_us.len() < ASKED_MAX {
                    self.asked_of_us.insert(*request, (from.clone(), (**deed).clone()));
                }
            }
            Said::Please { request, .. } if *from == self.hub => {
                self.pleases.insert(*request);
                while REQUESTS_MAX < self.pleases.len() {
                    self.pleases.pop_first();
                }
            }
            Said::Asking { life } => {
                if *from == self.hub {
                    self.life = Some(*life);
                }
            }
            Said::Allot { .. } | Said::WantBack { .. } | Said::NotGranted { .. } | Said::Known { .. } => {}
            Said::Grant { to, slots } => {
                for (slot, epoch) in slots {
                    self.elsewhere.granted(to, slot, *epoch);
                }
            }
            // What is declined is settled by whoever drives the desk, in an act of its own.
            Said::Please { .. } | Said::Declined { .. } => {}
        }
        None
    }

    fn take_own_token(&mut self, event: &TokenEvent) -> Option<Trouble> {
        self.take_word(&self.hub.clone(), event);
        self.ledger.apply(event).err().map(|contradiction| Trouble { words: contradiction.to_string() })
    }

    /// What any hub's tokens say of who has a slot.
    fn take_word(&mut self, from: &HubId, event: &TokenEvent) {
        match event {
            TokenEvent::Began { .. } | TokenEvent::Held { .. } => {}
            TokenEvent::Confirmed { slots, .. } => {
                slots.iter().for_each(|(slot, epoch)| self.elsewhere.sold(from, slot, *epoch, true));
            }
            TokenEvent::Freed { slots, .. } | TokenEvent::Unlocked { slots, .. } => {
                slots.iter().for_each(|(slot, epoch)| self.elsewhere.sold(from, slot, *epoch, false));
            }
            TokenEvent::Released { slots } => {
                slots.iter().for_each(|(slot, epoch)| self.elsewhere.released(slot, *epoch));
            }
            TokenEvent::Granted { slots } => {
                slots.iter().for_each(|(slot, epoch)| self.elsewhere.granted(from, slot, *epoch));
            }
        }
    }

    fn take_appointment(&mut self, from: &HubId, act: &Act, appointment: &Appointment) -> Option<Trouble> {
        if appointment.hub != *from {
            return Some(Trouble {
                words: format!("{from} has spoken of an appointment that {} answers for", appointment.hub),
            });
        }
        // Whoever answers for it does not know what it is part of at the desk that asked.
        let mut known = appointment.clone();
        if let Some(pending) = self.appointments.get(&appointment.id) {
            known.visit = known.visit.or(pending.visit);
            known.replaces = known.replaces.or(pending.replaces);
        }
        self.note_words(from, act, &known);
        if *from == self.hub {
            self.note_answer(act, &known);
        }
        self.put(&known);
        None
    }

    /// The newest counts, whoever says it.
    pub(super) fn take_attendance(&mut self, at: Timestamp, id: AppointmentId, attendance: Attendance) {
        let newest = self.attendance.entry(id).or_insert((at, attendance));
        if newest.0 <= at {
            *newest = (at, attendance);
        }
        self.show_attendance(id);
    }

    fn take_pending(&mut self, appointment: &Appointment) {
        // What the hub that answers for it has said is not overwritten by what was hoped for.
        let answered = self.appointments.get(&appointment.id).is_some_and(|known| {
            !matches!(known.standing, Standing::Provisional { .. }) && known.hub != self.hub
        });
        if !answered {
            self.put(appointment);
        }
    }

    fn put(&mut self, appointment: &Appointment) {
        let reference = match &appointment.standing {
            Standing::Confirmed(reference) => Some(reference),
            Standing::Cancelled(cancellation) => cancellation.reference.as_ref(),
            Standing::Provisional { .. } | Standing::Firm | Standing::Failed { .. } => None,
        };
        if let Some(reference) = reference.filter(|reference| !reference.id.is_empty()) {
            self.by_reference.insert((appointment.system.clone(), reference.id.clone()), appointment.id);
        }
        self.appointments.insert(appointment.id, appointment.clone());
        self.forget_tellings(appointment.id);
        self.sort_out(appointment.id);
        self.show_attendance(appointment.id);
    }

    /// Whether anything is still to be done for an appointment.
    pub(super) fn sort_out(&mut self, id: AppointmentId) {
        let open = self.appointments.get(&id).is_some_and(|appointment| match &appointment.standing {
            Standing::Provisional { .. } => true,
            Standing::Cancelled(cancellation) => !cancellation.told,
            Standing::Firm | Standing::Confirmed(_) => {
                appointment.replaces.is_some() || self.tellings.contains_key(&id)
            }
            Standing::Failed { .. } => false,
        });
        if open {
            self.unsettled.insert(id);
        } else {
            self.unsettled.remove(&id);
        }
    }

    fn show_attendance(&mut self, id: AppointmentId) {
        if let (Some(appointment), Some((_, attendance))) =
            (self.appointments.get_mut(&id), self.attendance.get(&id))
        {
            appointment.attendance = *attendance;
        }
    }
}
