//! The reception desk's pages: the day's board, finding people, booking step by step, visits, the waiting list, the
//! walk-in queue and its displays.
//!
//! They see what [`Reception`] says and nothing else, so nothing clinical. No address holds anything of a patient:
//! work in hand has random names. Every deed carries a request made with the page, so pressing twice does it once.

mod appointment;
mod asked;
mod board;
mod book;
mod check;
mod details;
mod display;
mod drafts;
#[cfg(test)]
pub(super) mod fake;
mod find;
pub(super) mod form;
mod marks;
mod offers;
mod outcome;
pub(super) mod person;
mod queue;
mod tasks;
#[cfg(test)]
mod tests;
pub(super) mod times;
mod visit;
mod waiting;
mod wish;
mod work;

use std::{fmt, sync::Arc};

use askama::Template;
use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use crate::{
    access::role::Role,
    domain::{
        actor::Practitioner,
        booking::{Answer, AppointmentId, Deed, Refused, RequestId, Service},
        time::Timestamp,
    },
    flow::reception::Reception,
};

use super::{
    failure::Failure,
    frame::Errors,
    session::{Demand, Door, Signed},
};
use drafts::{DraftId, Drafts, NoSuchDraft};
use work::Work;

/// The desk behind the pages, as the portal is given it.
#[derive(Clone)]
pub struct Desk(pub Arc<dyn Reception>);

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

/// The pages of the desk: guarded by `door`, but for the displays in waiting rooms.
pub(super) fn routes(desk: &Desk, door: &Door) -> Router {
    let counter = Counter { reception: Arc::clone(&desk.0), drafts: Arc::default() };
    let pages = day_pages().merge(errand_pages()).merge(appointment_pages()).with_state(counter.clone());
    let displays = Router::new().route("/display/{area}", get(display::page)).with_state(counter);
    door.only(Demand::Roles(&[Role::Reception]), pages).merge(displays)
}

fn day_pages() -> Router<Counter> {
    Router::new()
        .route("/reception", get(board::page))
        .route("/day-list", get(board::day_list))
        .route("/provisional", get(board::provisional))
        .route("/tasks/{id}/finish", post(tasks::finish))
        .route("/tasks/{id}/book", post(tasks::book))
        .route("/waiting", get(waiting::page))
        .route("/waiting/{id}/book", post(waiting::book))
        .route("/waiting/{id}/remove", get(waiting::remove_page).post(waiting::remove))
        .route("/queue", get(queue::page))
        .route("/queue/call", post(queue::call))
        .route("/queue/nameless", get(queue::nameless))
        .route("/tickets/{id}", get(queue::ticket_page))
        .route("/tickets/{id}/mark", post(queue::mark))
}

fn errand_pages() -> Router<Counter> {
    Router::new()
        .route("/patients", get(find::look).post(find::search))
        .route("/book", get(find::book))
        .route("/plan", get(find::plan))
        .route("/waiting/add", get(find::wait))
        .route("/queue/add", get(find::queue))
        .route("/patients/{draft}", get(find::results))
        .route("/patients/{draft}/choose", post(find::choose))
        .route("/patients/{draft}/new", get(find::new_page).post(find::new))
        .route("/patients/{draft}/person", get(find::person))
        .route("/patients/{draft}/errand", post(find::begin))
        .route("/book/{draft}/need", get(book::need_page).post(book::need))
        .route("/book/{draft}/slots", get(book::slots_page).post(book::choose))
        .route("/book/{draft}/details", get(check::details_page).post(check::details))
        .route("/book/{draft}/check", get(check::page).post(check::confirm))
        .route("/book/{draft}/instead", post(outcome::instead))
        .route("/book/{draft}/outcome", get(outcome::page))
        .route("/book/{draft}/clear", post(outcome::clear))
        .route("/plan/{draft}", get(visit::page).post(visit::look))
        .route("/plan/{draft}/plans", get(visit::plans).post(visit::choose))
        .route("/waiting/new/{draft}", get(waiting::add_page).post(waiting::add))
        .route("/queue/new/{draft}", get(queue::add_page).post(queue::add))
}

fn appointment_pages() -> Router<Counter> {
    Router::new()
        .route("/appointments/{id}", get(appointment::page))
        .route("/appointments/{id}/mark", post(appointment::mark))
        .route("/appointments/{id}/again", post(appointment::again))
        .route("/appointments/{id}/amend", get(appointment::amend_page).post(appointment::amend))
        .route("/appointments/{id}/cancel", get(appointment::cancel_page).post(appointment::cancel))
        .route("/appointments/{id}/move", get(appointment::move_page).post(appointment::begin_move))
        .route("/appointments/{id}/slip", get(appointment::slip))
}

/// A page, a redirection, or why there is neither.
type Page = Result<Response, Failure>;

/// What every page of the desk works with.
#[derive(Clone)]
struct Counter {
    reception: Arc<dyn Reception>,
    drafts: Arc<Drafts<Work>>,
}

impl Counter {
    fn now(&self) -> Timestamp {
        self.reception.now()
    }

    fn today(&self) -> Date {
        times::day(self.now())
    }

    /// Services by name.
    fn services(&self) -> Vec<Service> {
        let mut services = self.reception.services();
        services.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        services
    }

    /// Somebody's work in hand.
    fn work(&self, signed: &Signed, draft: &str) -> Result<(DraftId, Arc<Work>), Failure> {
        let id: DraftId = draft.parse()?;
        Ok((id, self.drafts.get(id, user(signed), self.now())?))
    }

    /// The same, after a change.
    fn change<R>(
        &self,
        signed: &Signed,
        id: DraftId,
        change: impl FnOnce(&mut Work) -> R,
    ) -> Result<Arc<Work>, Failure> {
        Ok(self.drafts.change(id, user(signed), self.now(), change)?)
    }

    /// New work.
    fn begin(&self, signed: &Signed, work: Work) -> Result<DraftId, Failure> {
        self.drafts.add(user(signed), self.now(), work).map_err(|error| {
            tracing::error!(%error, "no random name for work in hand");
            Failure::Broken
        })
    }

    /// Does something at the desk.
    async fn perform(&self, signed: &Signed, request: RequestId, deed: Deed) -> Result<Answer, Refused> {
        self.reception.perform(&practitioner(signed), request, deed).await
    }
}

impl From<NoSuchDraft> for Failure {
    fn from(NoSuchDraft: NoSuchDraft) -> Self {
        Self::NotInHand
    }
}

fn user(signed: &Signed) -> &str {
    signed.visitor.user.as_str()
}

/// Whoever is signed in, as audit trails name them.
fn practitioner(signed: &Signed) -> Practitioner {
    let name = signed.visitor.name.trim();
    let (given, family) = name.rsplit_once(' ').unwrap_or(("", name));
    Practitioner {
        id: user(signed).to_owned(),
        sds_user_id: None,
        sds_role_profile_id: None,
        job_role: String::new(),
        family_name: family.to_owned(),
        given_name: given.to_owned(),
        title: String::new(),
    }
}

/// A request's name, for a page that is shown now.
fn new_request() -> Result<RequestId, Failure> {
    drafts::random().map(RequestId).map_err(|error| {
        tracing::error!(%error, "no random name for a request");
        Failure::Broken
    })
}

/// The request of one button on a page with many: the same each time that it is pressed.
fn request_for(page: RequestId, button: &str) -> RequestId {
    let digest = Sha256::new().chain_update(page.to_string()).chain_update(button).finalize();
    RequestId(digest.first_chunk().copied().map_or(page.0, u128::from_be_bytes))
}

/// The name in an address.
fn named(id: &str) -> Result<AppointmentId, Failure> {
    id.parse().map_err(|_| Failure::NotFound)
}

/// When a page was printed, for whoever reads it on another day.
fn printed(counter: &Counter) -> String {
    format!("{} {}", times::date(counter.today()), times::clock(counter.now()))
}

fn shown(page: &impl Template) -> Page {
    Ok(Html(page.render()?).into_response())
}

/// A page with a form, again if it has errors.
fn form_shown(page: &impl Template, errors: &Errors) -> Page {
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Html(page.render()?)).into_response())
}

fn to(path: &str) -> Page {
    Ok(Redirect::to(path).into_response())
}

/// What the desk refused, at the field that it is about, if the page has it.
fn refusal(refused: &Refused, fields: &[&'static str], otherwise: &'static str) -> Errors {
    let field = fields.iter().find(|field| **field == refused.field).copied().unwrap_or(otherwise);
    Errors::one(field, refused.words.clone())
}
