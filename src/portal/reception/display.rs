//! The display in a waiting room, for everybody to see: ticket numbers and rooms, and not a name.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse as _},
};

use crate::{
    domain::{
        booking::{Ticket, TicketState},
        ids::HubId,
    },
    portal::{assets, failure::Failure},
};

use super::{Counter, Page, times};

/// Numbers that are shown at once: more are not read from across a room.
const CALLED_MAX: usize = 6;
/// Numbers that are named as next.
const NEXT_MAX: usize = 8;

struct Called {
    number: String,
    room: String,
}

#[derive(Template)]
#[template(path = "reception/display.html")]
struct DisplayPage {
    stylesheet: &'static str,
    script: &'static str,
    icon: &'static str,
    path: String,
    area: String,
    called: Vec<Called>,
    next: Vec<String>,
    clock: String,
    /// Changes whenever somebody is called, again too: then the sound is played.
    call: String,
}

/// `GET /display/{area}`.
pub(super) async fn page(State(counter): State<Counter>, Path(area): Path<String>) -> Page {
    let area: HubId = area.parse().map_err(|_| Failure::NotFound)?;
    let services = counter.reception.services();
    let is_known = |service: &crate::domain::booking::Service| {
        service.walk_in.as_ref().is_some_and(|card| card.area == area)
    };
    if !services.iter().any(is_known) {
        return Err(Failure::NotFound);
    }
    let tickets = counter.reception.tickets();
    let here = |state: TicketState| {
        let area = &area;
        tickets.iter().filter(move |ticket| ticket.area == *area && ticket.state == state)
    };
    let mut called: Vec<&Ticket> = here(TicketState::Called).collect();
    called.sort_by_key(|ticket| std::cmp::Reverse((ticket.called, ticket.id)));
    let page = DisplayPage {
        stylesheet: &assets::RECEPTION_STYLESHEET.path,
        script: &assets::RECEPTION_SCRIPT.path,
        icon: &assets::ICON.path,
        path: format!("/display/{area}"),
        area: titled(&area),
        call: called
            .first()
            .map(|ticket| format!("{} {}", ticket.number, ticket.called.unwrap_or(ticket.taken)))
            .unwrap_or_default(),
        called: called
            .into_iter()
            .take(CALLED_MAX)
            .map(|ticket| Called { number: ticket.number.clone(), room: ticket.room.clone() })
            .collect(),
        next: here(TicketState::Waiting).take(NEXT_MAX).map(|ticket| ticket.number.clone()).collect(),
        clock: times::clock(counter.now()),
    };
    Ok(Html(page.render()?).into_response())
}

/// An area's id as words: `ground-floor` as `Ground floor`.
fn titled(area: &HubId) -> String {
    let words = area.as_str().replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
