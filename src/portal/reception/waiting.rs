//! Who waits for a slot: the list, putting somebody on it, taking them off, and looking for a slot for them.

use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use crate::{
    domain::{
        booking::{AppointmentId, Deed, RequestId, SlotSearch, TaskKind, WaitingPerson},
        time::Timestamp,
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
    drafts::DraftId,
    form::{Choice, Sent, characters},
    form_shown, named, new_request,
    offers::ago,
    person::{self, Banner, LINE_CHARACTERS_MAX},
    refusal,
    tasks::{self, TaskView},
    times, to,
    wish::WishForm,
    work::{Errand, Work},
};

/// How soon, as the list orders them.
const PRIORITIES: [(&str, &str); 3] = [("1", "Urgent"), ("2", "Soon"), ("3", "Routine")];
/// Somebody may wait for so many days; the list is looked through more often than that.
const DAYS_MAX: u16 = 366;

/// Somebody on the list.
struct Row {
    id: String,
    name: String,
    born: String,
    number: String,
    telephone: String,
    service: String,
    wishes: String,
    priority: Mark,
    since: String,
    by: String,
}

impl Row {
    fn of(waiting: &WaitingPerson, counter: &Counter) -> Self {
        let now = counter.now();
        Self {
            id: waiting.id.to_string(),
            name: person::name(&waiting.person),
            born: person::born(&waiting.person, times::day(now)),
            number: person::number(&waiting.person),
            telephone: waiting.person.telephone.clone(),
            service: service_name(counter, &waiting.wish),
            wishes: wishes(waiting),
            priority: match waiting.priority {
                1 => Mark { word: "Urgent", icon: "attention", tone: "bad" },
                2 => Mark { word: "Soon", icon: "waiting", tone: "attention" },
                _ => Mark { word: "Routine", icon: "waiting", tone: "waiting" },
            },
            since: format!("{}, {}", times::date(times::day(waiting.since)), ago(waiting.since, now)),
            by: waiting.by.clone(),
        }
    }
}

fn service_name(counter: &Counter, wish: &SlotSearch) -> String {
    let Some(id) = &wish.service else { return format!("“{}”", wish.need) };
    let services = counter.reception.services();
    services
        .into_iter()
        .find(|service| service.id == *id)
        .map_or_else(|| id.to_string(), |service| service.name)
}

fn wishes(waiting: &WaitingPerson) -> String {
    let wish = &waiting.wish;
    let last = times::day(Timestamp(wish.until.0.saturating_sub(1)));
    let mut parts = vec![format!("{} to {}", times::date(times::day(wish.from)), times::date(last))];
    parts.extend(wish.channel.map(|channel| channel.name().to_owned()));
    if !wish.gender.is_empty() {
        parts.push(format!("{} clinician", wish.gender));
    }
    if !wish.language.is_empty() {
        parts.push(wish.language.clone());
    }
    if wish.step_free {
        parts.push("step-free".to_owned());
    }
    if waiting.short_notice {
        parts.push("at short notice too".to_owned());
    }
    parts.join(", ")
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    done: String,
}

#[derive(Template)]
#[template(path = "reception/waiting.html")]
struct WaitingPage {
    frame: StaffFrame,
    notice: &'static str,
    request: RequestId,
    rows: Vec<Row>,
    freed: Vec<TaskView>,
}

pub(super) async fn page(
    State(counter): State<Counter>,
    signed: Signed,
    Query(query): Query<ListQuery>,
) -> Page {
    let today = counter.today();
    let board = counter.reception.board(times::start_of(today), times::start_of(times::next(today)));
    let freed = board.tasks.iter().filter(|task| task.kind == TaskKind::OfferFreed);
    super::shown(&WaitingPage {
        frame: StaffFrame::new("Waiting list", &signed, "/waiting"),
        notice: board::notice(&query.done),
        request: new_request()?,
        rows: counter.reception.waiting().iter().map(|waiting| Row::of(waiting, &counter)).collect(),
        freed: freed.map(|task| TaskView::of(task, &counter)).collect(),
    })
}

fn known(counter: &Counter, id: &str) -> Result<WaitingPerson, Failure> {
    let id: AppointmentId = named(id)?;
    counter.reception.waiting().into_iter().find(|waiting| waiting.id == id).ok_or(Failure::NotFound)
}

/// `POST /waiting/{id}/book`: looks for a slot, with what is known of their wishes.
pub(super) async fn book(State(counter): State<Counter>, signed: Signed, Path(id): Path<String>) -> Page {
    let waiting = known(&counter, &id)?;
    let work = Work { waiting: Some(waiting.id), ..Work::for_person(Errand::Book, waiting.person.clone()) };
    tasks::begin(&counter, &signed, work, Some(&waiting), &[]).await
}

#[derive(Template)]
#[template(path = "reception/remove.html")]
struct RemovePage {
    frame: StaffFrame,
    errors: Errors,
    request: RequestId,
    banner: Banner,
    row: Row,
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RemoveForm {
    request: String,
    reason: String,
}

pub(super) async fn remove_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
) -> Page {
    remove_shown(&counter, &signed, &known(&counter, &id)?, Errors::default(), String::new())
}

fn remove_shown(
    counter: &Counter,
    signed: &Signed,
    waiting: &WaitingPerson,
    errors: Errors,
    reason: String,
) -> Page {
    let page = RemovePage {
        frame: StaffFrame::new("Take somebody off the waiting list", signed, "/waiting").with_errors(&errors),
        errors,
        request: new_request()?,
        banner: Banner::of(&waiting.person, counter.today()),
        row: Row::of(waiting, counter),
        reason,
    };
    form_shown(&page, &page.errors)
}

pub(super) async fn remove(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<RemoveForm>,
) -> Page {
    let request: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    // Pressed twice, they are off the list by the second time.
    let Ok(waiting) = known(&counter, &id) else { return to("/waiting?done=removed") };
    let errors = match characters(&form.reason) {
        0 => Errors::one("reason", "Say why they are taken off the list"),
        length if LINE_CHARACTERS_MAX < length => Errors::one(
            "reason",
            format!("Shorten this to {LINE_CHARACTERS_MAX} characters: it has {length}"),
        ),
        _ => Errors::default(),
    };
    if !errors.is_empty() {
        return remove_shown(&counter, &signed, &waiting, errors, form.reason);
    }
    let deed = Deed::StopWaiting { waiting: waiting.id, reason: form.reason.trim().to_owned() };
    match counter.perform(&signed, request, deed).await {
        Ok(_) => to("/waiting?done=removed"),
        Err(refused) => {
            remove_shown(&counter, &signed, &waiting, refusal(&refused, &[], "reason"), form.reason)
        }
    }
}

/// The form of somebody who is to wait.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct WaitForm {
    request: String,
    priority: String,
    short_notice: String,
    #[serde(flatten)]
    wish: WishForm,
}

#[derive(Template)]
#[template(path = "reception/wait.html")]
struct AddPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    request: String,
    banner: Banner,
    services: Vec<Choice>,
    priorities: Vec<Choice>,
    short_notice: bool,
    form: WishForm,
}

pub(super) async fn add_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let today = counter.today();
    let until = times::later(today, 6 * 7).to_string();
    let wish = WishForm { until, ..WishForm::new(today) };
    let form = WaitForm { priority: "3".to_owned(), wish, ..WaitForm::default() };
    add_shown(&counter, &signed, draft, &work, Errors::default(), form)
}

fn add_shown(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    errors: Errors,
    form: WaitForm,
) -> Page {
    let Some(person) = &work.person else { return to(&format!("/patients/{draft}")) };
    let priority = |(value, label): (&str, &str)| Choice::new(value, label, form.priority == value);
    let page = AddPage {
        frame: StaffFrame::new("Put somebody on the waiting list", signed, "/waiting").with_errors(&errors),
        errors,
        draft,
        request: new_request()?.to_string(),
        banner: Banner::of(person, counter.today()),
        services: form.wish.services(&counter.services()),
        priorities: PRIORITIES.into_iter().map(priority).collect(),
        short_notice: form.short_notice == "yes",
        form: form.wish,
    };
    form_shown(&page, &page.errors)
}

pub(super) async fn add(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<WaitForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let request: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let Some(person) = work.person.clone() else { return to(&format!("/patients/{draft}")) };
    let wish = read(&form, &counter, &person.practice);
    let priority = PRIORITIES.iter().position(|(value, _)| *value == form.priority);
    let (wish, priority) = match (wish, priority.and_then(|place| u8::try_from(place + 1).ok())) {
        (Ok(wish), Some(priority)) => (wish, priority),
        (wish, priority) => {
            let mut errors = wish.err().unwrap_or_default();
            if priority.is_none() {
                errors.add("priority", "Choose urgent, soon or routine");
            }
            return add_shown(&counter, &signed, draft, &work, errors, form);
        }
    };
    // The desk says when and by whom: sent twice, this must be the same both times.
    let waiting = WaitingPerson {
        id: AppointmentId(request.0),
        person,
        wish,
        priority,
        since: Timestamp(0),
        short_notice: form.short_notice == "yes",
        by: String::new(),
    };
    match counter.perform(&signed, request, Deed::Wait(waiting)).await {
        Ok(_) => to("/waiting?done=waiting"),
        Err(refused) => {
            let errors = refusal(&refused, &["priority", "need"], "service");
            add_shown(&counter, &signed, draft, &work, errors, form)
        }
    }
}

/// A wish to wait for: its window may be wider than a search's.
fn read(form: &WaitForm, counter: &Counter, practice: &str) -> Result<SlotSearch, Errors> {
    let today = counter.today();
    let narrow = WishForm { until: form.wish.from.clone(), ..form.wish.clone() };
    let mut wish = narrow.read(today, &counter.services(), practice)?;
    let first = times::read(&form.wish.from).unwrap_or(today);
    let Some(last) = times::read(&form.wish.until) else {
        return Err(Errors::one("until", "Enter a date that exists, such as 2026-11-23"));
    };
    if last < first || times::later(first, DAYS_MAX) < last {
        return Err(Errors::one("until", "Enter a day that is not before the first one, and within a year"));
    }
    wish.until = times::start_of(times::next(last));
    Ok(wish)
}
