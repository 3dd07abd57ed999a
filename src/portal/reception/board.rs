//! The day at the desk: everybody who is booked, what is to be done, what is not confirmed; and the same on paper.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::Uri,
};
use jiff::civil::Date;
use serde::Deserialize;

use crate::{
    domain::{
        booking::{Appointment, Attendance, RequestId, Service, Standing},
        time::Timestamp,
    },
    flow::words,
    portal::{
        frame::{Errors, StaffFrame},
        path::encoded,
        session::Signed,
        view::Mark,
    },
};

use super::{
    Counter, Page,
    form::Choice,
    form_shown,
    marks::{self, Need},
    new_request,
    offers::{ago, clinician, system},
    person, shown,
    tasks::TaskView,
    times,
};

/// What the board is asked to show; nothing of a patient.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct BoardQuery {
    day: String,
    service: String,
    room: String,
    state: String,
    done: String,
}

impl BoardQuery {
    fn day(&self, today: Date) -> Date {
        times::read(&self.day).unwrap_or(today)
    }

    /// The board's address with another day.
    fn path(&self, day: Date, today: Date) -> String {
        let day = if day == today { String::new() } else { day.to_string() };
        let fields =
            [("day", &day), ("service", &self.service), ("room", &self.room), ("state", &self.state)];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { "/reception".to_owned() } else { format!("/reception?{}", pairs.join("&")) }
    }

    /// The query of an address of the board.
    fn of(path: &str) -> Self {
        let uri = path.parse::<Uri>().unwrap_or_default();
        Query::try_from_uri(&uri).map(|Query(query)| query).unwrap_or_default()
    }

    fn wants(&self, appointment: &Appointment) -> bool {
        let state = match self.state.as_str() {
            "" => true,
            "open" => appointment.stands() && appointment.attendance < Attendance::Done,
            "provisional" => matches!(appointment.standing, Standing::Provisional { .. }),
            "cancelled" => !appointment.stands(),
            state => appointment.stands() && attendance(state) == Some(appointment.attendance),
        };
        let service = self.service.is_empty() || self.service == appointment.service.as_str();
        let room = self.room.is_empty() || self.room == appointment.room;
        state && service && room
    }

    fn states(&self) -> Vec<Choice> {
        [
            ("", "All"),
            ("open", "Still to be seen"),
            ("expected", "Booked"),
            ("arrived", "Arrived"),
            ("called", "Called"),
            ("in", "In"),
            ("done", "Done"),
            ("did-not-attend", "Did not attend"),
            ("provisional", "Provisional"),
            ("cancelled", "Cancelled or not booked"),
        ]
        .map(|(value, label)| Choice::new(value, label, self.state == value))
        .into()
    }
}

/// A word of a form for where a patient is.
pub(super) fn attendance(word: &str) -> Option<Attendance> {
    Some(match word {
        "expected" => Attendance::Expected,
        "arrived" => Attendance::Arrived,
        "called" => Attendance::Called,
        "in" => Attendance::In,
        "done" => Attendance::Done,
        "did-not-attend" => Attendance::DidNotAttend,
        _ => return None,
    })
}

/// A button on a row.
pub(super) struct Action {
    pub word: &'static str,
    pub label: &'static str,
    /// The key that presses it while the row has the focus.
    pub key: &'static str,
}

/// One appointment on the board.
pub(super) struct Row {
    pub id: String,
    pub time: String,
    pub until: String,
    pub name: String,
    pub born: String,
    pub number: String,
    pub has_number: bool,
    pub telephone: String,
    pub service: String,
    pub label: String,
    pub clinician: String,
    pub room: String,
    pub state: Mark,
    pub needs: Vec<Need>,
    pub actions: Vec<Action>,
    pub is_over: bool,
}

impl Row {
    pub fn of(appointment: &Appointment, now: Timestamp) -> Self {
        let room = [appointment.room.as_str(), appointment.place.name.as_str()];
        Self {
            id: appointment.id.to_string(),
            time: times::clock(appointment.start),
            until: times::clock(appointment.end),
            name: person::name(&appointment.person),
            born: person::born(&appointment.person, times::day(now)),
            number: person::number(&appointment.person),
            has_number: appointment.person.nhs_number.is_some(),
            telephone: appointment.person.telephone.clone(),
            service: appointment.service_name.clone(),
            label: appointment.description.clone(),
            clinician: appointment.clinician.as_ref().map(clinician).unwrap_or_default(),
            room: room.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
            state: marks::state(appointment),
            needs: marks::needs(&appointment.needs),
            actions: actions(appointment, now),
            is_over: !appointment.stands() || Attendance::Done <= appointment.attendance,
        }
    }
}

/// What may come next for a patient. Nobody arrives on another day, and nobody has missed what has not begun.
fn actions(appointment: &Appointment, now: Timestamp) -> Vec<Action> {
    if !appointment.stands() || times::day(now) < times::day(appointment.start) {
        return Vec::new();
    }
    let arrive = Action { word: "arrived", label: "Arrive", key: "a" };
    let call = |label| Action { word: "called", label, key: "c" };
    let enter = Action { word: "in", label: "In", key: "" };
    let done = Action { word: "done", label: "Done", key: "" };
    let missed = || Action { word: "did-not-attend", label: "DNA", key: "d" };
    let mut actions = match appointment.attendance {
        Attendance::Expected => vec![arrive],
        Attendance::Arrived => vec![call("Call"), enter],
        Attendance::Called => vec![enter, call("Call again")],
        Attendance::In => vec![done],
        Attendance::Done | Attendance::DidNotAttend => Vec::new(),
    };
    let waited_for = matches!(appointment.attendance, Attendance::Expected | Attendance::Called);
    if waited_for && appointment.start <= now {
        actions.push(missed());
    }
    actions
}

#[derive(Template)]
#[template(path = "reception/board.html")]
struct BoardPage {
    frame: StaffFrame,
    errors: Errors,
    request: RequestId,
    /// The board's own address: rows come back to it, and it refreshes from it.
    path: String,
    day: Date,
    heading: String,
    before: (String, String),
    after: (String, String),
    is_today: bool,
    services: Vec<Choice>,
    rooms: Vec<Choice>,
    states: Vec<Choice>,
    count: String,
    held: String,
    notice: &'static str,
    rows: Vec<Row>,
    tasks: Vec<TaskView>,
    provisional: String,
}

pub(super) async fn page(
    State(counter): State<Counter>,
    signed: Signed,
    Query(query): Query<BoardQuery>,
) -> Page {
    board_shown(&counter, &signed, &query, Errors::default())
}

/// The board, with what was refused.
pub(super) fn refused(counter: &Counter, signed: &Signed, errors: Errors) -> Page {
    board_shown(counter, signed, &BoardQuery::default(), errors)
}

/// The board at this address, with what was refused.
pub(super) fn refused_at(counter: &Counter, signed: &Signed, path: &str, errors: Errors) -> Page {
    board_shown(counter, signed, &BoardQuery::of(path), errors)
}

fn board_shown(counter: &Counter, signed: &Signed, query: &BoardQuery, errors: Errors) -> Page {
    let (now, today) = (counter.now(), counter.today());
    let day = query.day(today);
    let board = counter.reception.board(times::start_of(day), times::start_of(times::next(day)));
    let rows: Vec<Row> =
        board.appointments.iter().filter(|one| query.wants(one)).map(|one| Row::of(one, now)).collect();
    let beside = |day: Date| (query.path(day, today), times::heading(day, today));
    let page = BoardPage {
        frame: StaffFrame::new("Board", signed, "/reception").with_errors(&errors),
        errors,
        request: new_request()?,
        path: query.path(day, today),
        day,
        heading: times::heading(day, today),
        before: beside(day.yesterday().unwrap_or(day)),
        after: beside(times::next(day)),
        is_today: day == today,
        services: services_of(&board.appointments, &counter.services(), &query.service),
        rooms: rooms_of(&board.appointments, &query.room),
        states: query.states(),
        count: counted(rows.len(), board.appointments.len()),
        held: board.held,
        notice: notice(&query.done),
        rows,
        tasks: board.tasks.iter().map(|task| TaskView::of(task, counter)).collect(),
        provisional: words::counted(
            board.provisional.len() as u64,
            "provisional booking",
            "provisional bookings",
        ),
    };
    form_shown(&page, &page.errors)
}

fn counted(shown: usize, all: usize) -> String {
    let all_counted = words::counted(all as u64, "appointment", "appointments");
    if shown == all { all_counted } else { format!("{shown} of {all_counted}") }
}

/// What was done, as an address says it: one of our own words, so that nobody else's stand on the page.
pub(super) fn notice(done: &str) -> &'static str {
    match done {
        "task" => "The task is done.",
        "cancelled" => "The appointment is cancelled.",
        "asked" => "The hub that has the slot has been asked to do this.",
        "amended" => "The appointment is changed.",
        "again" => "It has been tried again.",
        "waiting" => "They are on the waiting list.",
        "removed" => "They are off the waiting list.",
        "nobody" => "Nobody waits for this service.",
        _ => "",
    }
}

fn services_of(appointments: &[Appointment], services: &[Service], chosen: &str) -> Vec<Choice> {
    let mut known: Vec<(&str, &str)> =
        services.iter().map(|service| (service.name.as_str(), service.id.as_str())).collect();
    known.extend(appointments.iter().map(|one| (one.service_name.as_str(), one.service.as_str())));
    known.sort_unstable();
    let mut choices = vec![Choice::new("", "All services", chosen.is_empty())];
    for (name, id) in known {
        if !choices.iter().any(|choice| choice.value == id) {
            choices.push(Choice::new(id, name, chosen == id));
        }
    }
    choices
}

fn rooms_of(appointments: &[Appointment], chosen: &str) -> Vec<Choice> {
    let mut rooms: Vec<&str> = appointments.iter().map(|one| one.room.as_str()).collect();
    rooms.push(chosen);
    rooms.sort_unstable();
    rooms.dedup();
    let named = rooms.into_iter().filter(|room| !room.is_empty());
    let all = Choice::new("", "All rooms", chosen.is_empty());
    std::iter::once(all).chain(named.map(|room| Choice::new(room, room, room == chosen))).collect()
}

/// One service's part of the printed list.
struct Clinic {
    service: String,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "reception/day_list.html")]
struct DayListPage {
    frame: StaffFrame,
    heading: String,
    board: String,
    printed: String,
    clinics: Vec<Clinic>,
}

/// `GET /day-list`: the day on paper, for when screens fail: who stands, by service.
pub(super) async fn day_list(
    State(counter): State<Counter>,
    signed: Signed,
    Query(query): Query<BoardQuery>,
) -> Page {
    let (now, today) = (counter.now(), counter.today());
    let day = query.day(today);
    let board = counter.reception.board(times::start_of(day), times::start_of(times::next(day)));
    let mut clinics: Vec<Clinic> = Vec::new();
    let wanted = board.appointments.iter().filter(|one| one.stands() && query.wants(one));
    for appointment in wanted {
        let row = Row::of(appointment, now);
        match clinics.iter_mut().find(|clinic| clinic.service == row.service) {
            Some(clinic) => clinic.rows.push(row),
            None => clinics.push(Clinic { service: row.service.clone(), rows: vec![row] }),
        }
    }
    clinics.sort_by(|one, other| one.service.cmp(&other.service));
    shown(&DayListPage {
        frame: StaffFrame::new("Day list", &signed, "/reception"),
        heading: times::plain(day),
        board: query.path(day, today),
        printed: super::printed(&counter),
        clinics,
    })
}

/// A booking that is not confirmed.
struct Unsure {
    row: Row,
    when: String,
    system: String,
    why: &'static str,
    since: String,
    attempts: String,
    retry: String,
}

#[derive(Template)]
#[template(path = "reception/provisional.html")]
struct ProvisionalPage {
    frame: StaffFrame,
    errors: Errors,
    notice: &'static str,
    request: RequestId,
    rows: Vec<Unsure>,
}

/// `GET /provisional`: everything that its owner has not confirmed, oldest first.
pub(super) async fn provisional(
    State(counter): State<Counter>,
    signed: Signed,
    Query(query): Query<BoardQuery>,
) -> Page {
    provisional_shown(&counter, &signed, Errors::default(), notice(&query.done))
}

/// The same, with what was refused.
pub(super) fn provisional_shown(
    counter: &Counter,
    signed: &Signed,
    errors: Errors,
    notice: &'static str,
) -> Page {
    let (now, today) = (counter.now(), counter.today());
    let board = counter.reception.board(times::start_of(today), times::start_of(times::next(today)));
    let rows = board.provisional.iter().filter_map(|appointment| {
        let Standing::Provisional { why, attempts, retry } = &appointment.standing else { return None };
        Some(Unsure {
            row: Row::of(appointment, now),
            when: times::moment(appointment.start, now),
            system: system(&appointment.system),
            why: why.words(),
            since: ago(appointment.made, now),
            attempts: words::counted(u64::from(*attempts), "time", "times"),
            retry: if *retry <= now { "now".to_owned() } else { times::moment(*retry, now) },
        })
    });
    let page = ProvisionalPage {
        rows: rows.collect(),
        frame: StaffFrame::new("Provisional bookings", signed, "/provisional").with_errors(&errors),
        errors,
        notice,
        request: new_request()?,
    };
    form_shown(&page, &page.errors)
}
