//! What the desk knows of who is cared for here: the clinician's list, and what makes a relationship.

use crate::{
    access::policy::{Basis, RELATIONSHIPS_MAX, Relationship},
    domain::{
        booking::{Appointment, AppointmentId, Attendance, TicketState},
        nhs_number::NhsNumber,
        time::Timestamp,
    },
    flow::disclose::ListRow,
};

use super::BookingDesk;

/// Rows of one list; no hub sees more people in a day.
const LIST_MAX: usize = 2_000;

impl BookingDesk {
    /// What joins a patient and this hub, the newest first.
    pub(in crate::flow) fn relationships(&self, number: NhsNumber) -> Vec<Relationship> {
        let desk = self.desk();
        let is = |known: Option<NhsNumber>| known == Some(number);
        let mut all: Vec<Relationship> = desk
            .appointments()
            .filter(|one| is(one.person.nhs_number) && one.stands() && desk.is_here(one))
            .map(|one| Relationship { basis: basis(one.attendance), since: one.start, until: Some(one.end) })
            .collect();
        let waiting = desk.waiting().into_iter().filter(|one| is(one.person.nhs_number));
        all.extend(waiting.map(|one| Relationship {
            basis: Basis::WaitingList,
            since: one.since,
            until: None,
        }));
        let tickets = desk.tickets().into_iter().filter(|ticket| is(ticket.walk_in.person.nhs_number));
        let here =
            tickets.filter(|ticket| !matches!(ticket.state, TicketState::DidNotAttend | TicketState::Left));
        all.extend(here.map(|ticket| Relationship {
            basis: Basis::Ticket,
            since: ticket.taken,
            until: if ticket.state == TicketState::Waiting { None } else { ticket.called },
        }));
        all.sort_by_key(|one| std::cmp::Reverse(one.since));
        all.truncate(RELATIONSHIPS_MAX);
        all
    }

    /// Who is booked at this hub in a window, by time.
    pub(in crate::flow) fn list(&self, from: Timestamp, until: Timestamp) -> Vec<ListRow> {
        let desk = self.desk();
        let within = |one: &&Appointment| from <= one.start && one.start < until;
        let mut rows: Vec<ListRow> = desk
            .appointments()
            .filter(within)
            .filter(|one| one.stands() && desk.is_here(one))
            .map(row)
            .collect();
        rows.sort_by_key(|row| (row.start, row.appointment));
        rows.truncate(LIST_MAX);
        rows
    }

    /// One appointment of such a list.
    pub(in crate::flow) fn row(&self, id: AppointmentId) -> Option<ListRow> {
        let desk = self.desk();
        desk.appointment(id).filter(|one| one.stands() && desk.is_here(one)).map(row)
    }
}

fn row(one: &Appointment) -> ListRow {
    ListRow {
        appointment: one.id,
        start: one.start,
        service: one.service_name.clone(),
        clinician: one.clinician.as_ref().map(|clinician| clinician.name.clone()).unwrap_or_default(),
        room: one.room.clone(),
        family_name: one.person.family_name.clone(),
        given_names: one.person.given_names.clone(),
        birth_date: one.person.birth_date.clone(),
        nhs_number: one.person.nhs_number,
        attendance: one.attendance,
    }
}

const fn basis(attendance: Attendance) -> Basis {
    match attendance {
        Attendance::Expected | Attendance::DidNotAttend => Basis::Booked,
        Attendance::Arrived | Attendance::Called | Attendance::In | Attendance::Done => Basis::Arrived,
    }
}
