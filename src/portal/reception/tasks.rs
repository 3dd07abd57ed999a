//! What people at the desk must do because software must not: on the board until somebody says that it is done.

use axum::extract::{Path, State};
use serde::Deserialize;

use crate::{
    domain::{
        booking::{Deed, OfferKey, RequestId, SlotSearch, Task, TaskKind, WaitingPerson},
        slot::SEARCH_MAX,
    },
    portal::{failure::Failure, frame::Errors, session::Signed, view::Mark},
};

use super::{
    Counter, Page, board,
    form::Sent,
    marks, named,
    offers::ago,
    person, practitioner, refusal, request_for, times, to,
    wish::WishForm,
    work::{Errand, Work},
};

/// A task as the board shows it.
pub(super) struct TaskView {
    pub id: String,
    pub mark: Mark,
    pub name: String,
    pub telephone: String,
    pub words: String,
    pub since: String,
    /// The appointment to look at; none where the task is about somebody who waits.
    pub appointment: Option<String>,
    pub offers: bool,
}

impl TaskView {
    pub fn of(task: &Task, counter: &Counter) -> Self {
        let offers = task.kind == TaskKind::OfferFreed;
        Self {
            id: task.id.to_string(),
            mark: marks::task(task.kind),
            name: person::name(&task.person),
            telephone: task.person.telephone.clone(),
            words: task.words.clone(),
            since: ago(task.since, counter.now()),
            appointment: task.appointment.filter(|_| !offers).map(|id| id.to_string()),
            offers,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct FinishForm {
    request: String,
    note: String,
}

/// `POST /tasks/{id}/finish`.
pub(super) async fn finish(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<FinishForm>,
) -> Page {
    let task = named(&id)?;
    let page: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let deed = Deed::FinishTask { task, note: super::form::plain(&form.note) };
    match counter.perform(&signed, request_for(page, &id), deed).await {
        Ok(_) => to("/reception?done=task"),
        Err(refused) => board::refused(&counter, &signed, refusal(&refused, &[], "tasks")),
    }
}

/// `POST /tasks/{id}/book`: a freed slot, filled in for whoever waits for one; nothing is booked by this.
pub(super) async fn book(State(counter): State<Counter>, signed: Signed, Path(id): Path<String>) -> Page {
    let task = named(&id)?;
    let today = counter.today();
    let board = counter.reception.board(times::start_of(today), times::start_of(times::next(today)));
    let Some(task) = board.tasks.into_iter().find(|known| known.id == task) else {
        let errors = Errors::one("tasks", "Somebody has done this task already");
        return board::refused(&counter, &signed, errors);
    };
    let waiting = counter.reception.waiting();
    let waiting = waiting.into_iter().find(|waiting| Some(waiting.id) == task.appointment);
    let work = Work {
        task: Some(task.id),
        waiting: waiting.as_ref().map(|waiting| waiting.id),
        ..Work::for_person(Errand::Book, task.person.clone())
    };
    begin(&counter, &signed, work, waiting.as_ref(), &task.freed).await
}

/// Begins a booking for somebody who waits: at the details if the freed slots are still there, else with what there is.
pub(super) async fn begin(
    counter: &Counter,
    signed: &Signed,
    mut work: Work,
    waiting: Option<&WaitingPerson>,
    freed: &[OfferKey],
) -> Page {
    let (now, today) = (counter.now(), counter.today());
    let wish = waiting.map(|waiting| waiting.wish.clone());
    let form = wish.as_ref().map_or_else(|| WishForm::new(today), |wish| WishForm::of(wish, today));
    // A wish may be for months; a search is for two weeks of it at a time.
    let search =
        form.read(today, &counter.services(), &work.person.clone().unwrap_or_default().practice).ok();
    if let Some(keys) = (!freed.is_empty()).then_some(freed) {
        let start = starts(keys).unwrap_or(now);
        let near = SlotSearch {
            from: now.max(start),
            until: now.max(start).plus(SEARCH_MAX),
            service: wish.as_ref().and_then(|wish| wish.service.clone()),
            ..SlotSearch::default()
        };
        let found = counter.reception.slots(&practitioner(signed), &near).await.unwrap_or_default();
        let offer = |key: &OfferKey| found.offers.iter().find(|offer| offer.key == *key).cloned();
        if let Some(run) = keys.iter().map(offer).collect::<Option<Vec<_>>>() {
            work.chosen = vec![run];
        }
    }
    work.wish = Some(form);
    work.search = search;
    let next = match (work.chosen.is_empty(), work.search.is_some()) {
        (false, _) => "details",
        (true, true) => "slots",
        (true, false) => "need",
    };
    let draft = counter.begin(signed, work)?;
    to(&format!("/book/{draft}/{next}"))
}

/// When the first of these slots begins, where their names say so.
fn starts(keys: &[OfferKey]) -> Option<crate::domain::time::Timestamp> {
    keys.iter()
        .filter_map(|key| match key {
            OfferKey::Token(slot) => Some(slot.start),
            OfferKey::System { .. } => None,
        })
        .min()
}
