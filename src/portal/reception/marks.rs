//! States at the desk as word, icon and tone: nothing is said by colour alone (WCAG 2.2, 1.4.1).

use crate::{
    domain::booking::{Appointment, Attendance, Needs, Promise, Standing, TaskKind, TicketState},
    portal::view::Mark,
};

const fn mark(word: &'static str, icon: &'static str, tone: &'static str) -> Mark {
    Mark { word, icon, tone }
}

/// Where an appointment is: what ended it or holds it up first, then where the patient is.
pub(super) fn state(appointment: &Appointment) -> Mark {
    match (&appointment.standing, appointment.attendance) {
        (Standing::Cancelled(_), _) => mark("Cancelled", "bad", "waiting"),
        (Standing::Failed { .. }, _) => mark("Not booked", "bad", "bad"),
        (Standing::Provisional { .. }, Attendance::Expected) => mark("Provisional", "attention", "attention"),
        (_, attendance) => attended(attendance),
    }
}

/// Where a patient is on the day.
pub(super) const fn attended(attendance: Attendance) -> Mark {
    match attendance {
        Attendance::Expected => mark("Booked", "waiting", "waiting"),
        Attendance::Arrived => mark("Arrived", "good", "good"),
        Attendance::Called => mark("Called", "repeated", "info"),
        Attendance::In => mark("In", "repeated", "info"),
        Attendance::Done => mark("Done", "good", "waiting"),
        Attendance::DidNotAttend => mark("Did not attend", "bad", "bad"),
    }
}

/// Whether it stands, whoever is where.
pub(super) const fn standing(standing: &Standing) -> Mark {
    match standing {
        Standing::Firm => mark("Confirmed", "good", "good"),
        Standing::Confirmed(_) => mark("Confirmed by its system", "good", "good"),
        Standing::Provisional { .. } => mark("Provisional", "attention", "attention"),
        Standing::Failed { .. } => mark("Not booked", "bad", "bad"),
        Standing::Cancelled(_) => mark("Cancelled", "bad", "waiting"),
    }
}

/// What booking an offer would be worth.
pub(super) const fn promise(promise: &Promise) -> Mark {
    match promise {
        Promise::Firm => mark("Firm", "good", "good"),
        Promise::BySystem => mark("Confirmed by its system", "good", "info"),
        Promise::Provisional(_) => mark("Provisional", "attention", "attention"),
    }
}

/// What became of a ticket.
pub(super) const fn ticket(state: TicketState) -> Mark {
    match state {
        TicketState::Waiting => mark("Waiting", "waiting", "waiting"),
        TicketState::Called => mark("Called", "repeated", "info"),
        TicketState::In => mark("In", "repeated", "info"),
        TicketState::Done => mark("Done", "good", "good"),
        TicketState::DidNotAttend => mark("Not there", "bad", "bad"),
        TicketState::Left => mark("Left", "bad", "waiting"),
    }
}

/// What sort of thing there is to do.
pub(super) const fn task(kind: TaskKind) -> Mark {
    match kind {
        TaskKind::CallPatient => mark("Call the patient", "attention", "bad"),
        TaskKind::Repair => mark("Repair a move", "bad", "bad"),
        TaskKind::OfferFreed => mark("Freed slot to offer", "good", "good"),
        TaskKind::Disagreement => mark("Systems disagree", "attention", "attention"),
    }
}

/// One need as icon and text.
pub(super) struct Need {
    pub icon: &'static str,
    pub word: String,
}

/// What a patient needs on the day; a reminder is not for the day.
pub(super) fn needs(needs: &Needs) -> Vec<Need> {
    let mut shown = Vec::new();
    if !needs.interpreter.is_empty() {
        shown.push(Need { icon: "interpreter", word: format!("Interpreter: {}", needs.interpreter) });
    }
    if needs.transport {
        shown.push(Need { icon: "transport", word: "Transport".to_owned() });
    }
    if !needs.adjustments.is_empty() {
        shown.push(Need { icon: "adjustment", word: needs.adjustments.clone() });
    }
    shown
}
