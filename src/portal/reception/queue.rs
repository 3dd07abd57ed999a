//! People who walked in: tickets, whose turn it is, and how long it takes.

use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use crate::{
    domain::{
        booking::{Deed, Done, Needs, Person, RequestId, Service, Ticket, TicketState, WalkIn},
        ids::HubId,
    },
    portal::{
        failure::Failure,
        frame::{Errors, StaffFrame},
        session::Signed,
        view::Mark,
    },
};

use super::{
    Counter, Page, board,
    form::{Choice, Sent, characters},
    form_shown,
    marks::{self, Need},
    named, new_request,
    person::{self, Banner, LINE_CHARACTERS_MAX},
    refusal, request_for, shown, times, to,
};

/// A ticket in the queue.
struct Row {
    id: String,
    number: String,
    name: String,
    born: String,
    taken: String,
    waited: String,
    room: String,
    state: Mark,
    needs: Vec<Need>,
    actions: Vec<(&'static str, &'static str)>,
}

impl Row {
    fn of(ticket: &Ticket, counter: &Counter) -> Self {
        let (now, person) = (counter.now(), &ticket.walk_in.person);
        let named = !person.family_name.is_empty();
        Self {
            id: ticket.id.to_string(),
            number: ticket.number.clone(),
            name: if named { person::name(person) } else { "No name given".to_owned() },
            born: if named { person::born(person, times::day(now)) } else { String::new() },
            taken: times::clock(ticket.taken),
            waited: match ticket.state {
                TicketState::Waiting => times::length(now.since(ticket.taken)),
                _ => ticket.called.map(|at| times::length(at.since(ticket.taken))).unwrap_or_default(),
            },
            room: ticket.room.clone(),
            state: marks::ticket(ticket.state),
            needs: marks::needs(&ticket.walk_in.needs),
            actions: actions(ticket.state),
        }
    }
}

/// What may come next of a ticket.
fn actions(state: TicketState) -> Vec<(&'static str, &'static str)> {
    match state {
        TicketState::Waiting => vec![("left", "Left")],
        TicketState::Called => vec![("in", "In"), ("did-not-attend", "Not there")],
        TicketState::In => vec![("done", "Done")],
        TicketState::DidNotAttend | TicketState::Left => vec![("waiting", "Back in the queue")],
        TicketState::Done => Vec::new(),
    }
}

fn ticket_state(word: &str) -> Option<TicketState> {
    Some(match word {
        "waiting" => TicketState::Waiting,
        "in" => TicketState::In,
        "done" => TicketState::Done,
        "did-not-attend" => TicketState::DidNotAttend,
        "left" => TicketState::Left,
        _ => return None,
    })
}

/// One service's queue.
struct Queue {
    id: String,
    name: String,
    area: String,
    waiting: usize,
    estimate: String,
    rows: Vec<Row>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct QueueQuery {
    done: String,
}

#[derive(Template)]
#[template(path = "reception/queue.html")]
struct QueuePage {
    frame: StaffFrame,
    errors: Errors,
    notice: &'static str,
    request: RequestId,
    queues: Vec<Queue>,
}

pub(super) async fn page(
    State(counter): State<Counter>,
    signed: Signed,
    Query(query): Query<QueueQuery>,
) -> Page {
    queue_shown(&counter, &signed, Errors::default(), board::notice(&query.done))
}

fn queue_shown(counter: &Counter, signed: &Signed, errors: Errors, notice: &'static str) -> Page {
    let tickets = counter.reception.tickets();
    let queue = |service: Service| {
        let card = service.walk_in?;
        let theirs: Vec<&Ticket> = tickets.iter().filter(|one| one.walk_in.service == service.id).collect();
        let waits = |ticket: &&&Ticket| ticket.state == TicketState::Waiting;
        let over = |ticket: &&Ticket| {
            matches!(ticket.state, TicketState::Done | TicketState::DidNotAttend | TicketState::Left)
        };
        // Those who are here first, in their order; then those who are not any more.
        let (past, present): (Vec<&Ticket>, Vec<&Ticket>) = theirs.iter().copied().partition(over);
        Some(Queue {
            id: service.id.to_string(),
            name: service.name,
            area: card.area.to_string(),
            waiting: theirs.iter().filter(waits).count(),
            estimate: estimate(counter, &service.id),
            rows: present.into_iter().chain(past).map(|ticket| Row::of(ticket, counter)).collect(),
        })
    };
    let page = QueuePage {
        frame: StaffFrame::new("Walk-in queue", signed, "/queue").with_errors(&errors),
        errors,
        notice,
        request: new_request()?,
        queues: counter.services().into_iter().filter_map(queue).collect(),
    };
    form_shown(&page, &page.errors)
}

fn estimate(counter: &Counter, service: &HubId) -> String {
    match counter.reception.estimated_wait_minutes(service) {
        0 => "none".to_owned(),
        minutes => {
            format!("about {}", times::length(std::time::Duration::from_secs(u64::from(minutes) * 60)))
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CallForm {
    request: String,
    service: String,
    room: String,
}

/// `POST /queue/call`: calls whoever is next, once however often it is pressed.
pub(super) async fn call(State(counter): State<Counter>, signed: Signed, Sent(form): Sent<CallForm>) -> Page {
    let page: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let service: HubId = form.service.parse().map_err(|_| Failure::BadForm)?;
    if LINE_CHARACTERS_MAX < characters(&form.room) {
        let errors = Errors::one("queue", format!("Shorten the room to {LINE_CHARACTERS_MAX} characters"));
        return queue_shown(&counter, &signed, errors, "");
    }
    let about = format!("{service} {}", form.room);
    let deed = Deed::CallNext { service, room: form.room.trim().to_owned() };
    match counter.perform(&signed, request_for(page, &about), deed).await {
        Ok(answer) => match answer.done {
            Done::Ticket(ticket) => to(&format!("/queue#ticket-{}", ticket.id)),
            _ => to("/queue?done=nobody"),
        },
        Err(refused) if refused.code == "nobody-waits" => to("/queue?done=nobody"),
        Err(refused) => queue_shown(&counter, &signed, refusal(&refused, &[], "queue"), ""),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MarkForm {
    request: String,
    to: String,
}

/// `POST /tickets/{id}/mark`: says what became of a ticket.
pub(super) async fn mark(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<MarkForm>,
) -> Page {
    let ticket = named(&id)?;
    let page: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let state = ticket_state(&form.to).ok_or(Failure::BadForm)?;
    let deed = Deed::MarkTicket { ticket, state };
    match counter.perform(&signed, request_for(page, &format!("{id} {}", form.to)), deed).await {
        Ok(_) => to(&format!("/queue#ticket-{id}")),
        Err(refused) => queue_shown(&counter, &signed, refusal(&refused, &[], "queue"), ""),
    }
}

/// The form of somebody who walked in.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct WalkInForm {
    request: String,
    service: String,
    interpreter: String,
    transport: String,
    adjustments: String,
}

#[derive(Template)]
#[template(path = "reception/walk_in.html")]
struct AddPage {
    frame: StaffFrame,
    errors: Errors,
    action: String,
    request: String,
    /// Who; none where a ticket is given without a name.
    banner: Option<Banner>,
    services: Vec<Choice>,
    form: WalkInForm,
}

/// `GET /queue/nameless`: a ticket for somebody whose name is not asked.
pub(super) async fn nameless(State(counter): State<Counter>, signed: Signed) -> Page {
    let draft =
        counter.begin(&signed, super::Work::for_person(super::work::Errand::Queue, Person::default()))?;
    to(&format!("/queue/new/{draft}"))
}

pub(super) async fn add_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let Some(person) = &work.person else { return to(&format!("/patients/{draft}")) };
    add_shown(&counter, &signed, &draft.to_string(), person, Errors::default(), WalkInForm::default())
}

fn add_shown(
    counter: &Counter,
    signed: &Signed,
    draft: &str,
    person: &Person,
    errors: Errors,
    form: WalkInForm,
) -> Page {
    let walk_in = counter.services().into_iter().filter(|service| service.walk_in.is_some());
    let option = |service: Service| {
        let wait = estimate(counter, &service.id);
        let chosen = service.id.as_str() == form.service;
        Choice::new(service.id.to_string(), format!("{} (wait: {wait})", service.name), chosen)
    };
    let page = AddPage {
        frame: StaffFrame::new("Give a ticket", signed, "/queue").with_errors(&errors),
        errors,
        action: format!("/queue/new/{draft}"),
        request: new_request()?.to_string(),
        banner: (!person.family_name.is_empty()).then(|| Banner::of(person, counter.today())),
        services: walk_in.map(option).collect(),
        form,
    };
    form_shown(&page, &page.errors)
}

pub(super) async fn add(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<WalkInForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let draft = draft.to_string();
    let Some(person) = &work.person else { return to(&format!("/patients/{draft}")) };
    let request: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let mut errors = Errors::default();
    let service = form.service.parse::<HubId>().ok();
    if service.is_none() {
        errors.add("service", "Choose a service");
    }
    for (id, text, most) in [("interpreter", &form.interpreter, 100), ("adjustments", &form.adjustments, 500)]
    {
        if most < characters(text) {
            errors.add(id, format!("Shorten this to {most} characters"));
        }
    }
    let Some(service) = service.filter(|_| errors.is_empty()) else {
        return add_shown(&counter, &signed, &draft, person, errors, form);
    };
    let needs = Needs {
        interpreter: form.interpreter.trim().to_owned(),
        transport: form.transport == "yes",
        adjustments: form.adjustments.trim().to_owned(),
        reminder: String::new(),
    };
    let deed = Deed::TakeTicket(WalkIn { person: person.clone(), service, needs });
    match counter.perform(&signed, request, deed).await {
        Ok(answer) => match answer.done {
            Done::Ticket(ticket) => to(&format!("/tickets/{}", ticket.id)),
            _ => to("/queue"),
        },
        Err(refused) => {
            let errors = refusal(&refused, &["interpreter", "adjustments"], "service");
            add_shown(&counter, &signed, &draft, person, errors, form)
        }
    }
}

#[derive(Template)]
#[template(path = "reception/ticket.html")]
struct TicketPage {
    frame: StaffFrame,
    number: String,
    service: String,
    estimate: String,
    taken: String,
    area: String,
}

/// `GET /tickets/{id}`: the ticket, to say and to print; no name stands on it.
pub(super) async fn ticket_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
) -> Page {
    let id = named(&id)?;
    let ticket = counter.reception.tickets().into_iter().find(|ticket| ticket.id == id);
    let ticket = ticket.ok_or(Failure::NotFound)?;
    let service = counter.services().into_iter().find(|service| service.id == ticket.walk_in.service);
    shown(&TicketPage {
        frame: StaffFrame::new("Ticket", &signed, "/queue"),
        number: ticket.number.clone(),
        service: service.map_or_else(|| ticket.walk_in.service.to_string(), |service| service.name),
        estimate: ahead(&counter, &ticket),
        taken: times::moment(ticket.taken, counter.now()),
        area: ticket.area.to_string(),
    })
}

/// How long whoever has this ticket will wait, by how many are before them.
fn ahead(counter: &Counter, ticket: &Ticket) -> String {
    let tickets = counter.reception.tickets();
    let before = tickets.iter().filter(|other| {
        other.state == TicketState::Waiting
            && other.walk_in.service == ticket.walk_in.service
            && other.taken < ticket.taken
    });
    match before.count() {
        0 => "Next".to_owned(),
        1 => "One person before this one".to_owned(),
        count => format!("{count} people before this one"),
    }
}
