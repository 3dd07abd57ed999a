//! Booking, the second and third step: what is needed, and which of the times that were found.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;

use crate::{
    domain::booking::{OfferKey, SlotSearch, SlotsFound},
    portal::{
        failure::Failure,
        frame::{Errors, StaffFrame},
        session::Signed,
    },
};

use super::{
    Counter, Page,
    drafts::DraftId,
    form::{Choice, Sent},
    form_shown,
    offers::{Found, SystemView, run_from, runs},
    person::Banner,
    practitioner, refusal, times, to,
    wish::WishForm,
    work::{Errand, Work},
};

/// What was found is shown again for so long when somebody comes back to it; then it is looked for anew.
const FRESH: Duration = Duration::from_secs(30);

#[derive(Template)]
#[template(path = "reception/need.html")]
struct NeedPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    banner: Banner,
    services: Vec<Choice>,
    form: WishForm,
}

pub(super) async fn need_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let form = work.wish.clone().unwrap_or_else(|| WishForm::new(counter.today()));
    need_shown(&counter, &signed, draft, &work, Errors::default(), form)
}

fn need_shown(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    errors: Errors,
    form: WishForm,
) -> Page {
    let Some(person) = &work.person else { return to(&format!("/patients/{draft}")) };
    let page = NeedPage {
        frame: StaffFrame::new("What is needed?", signed, "/book").with_errors(&errors),
        errors,
        draft,
        banner: Banner::of(person, counter.today()),
        services: form.services(&counter.services()),
        form,
    };
    form_shown(&page, &page.errors)
}

pub(super) async fn need(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<WishForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    let practice = work.person.as_ref().map(|person| person.practice.clone()).unwrap_or_default();
    match form.read(counter.today(), &counter.services(), &practice) {
        Ok(search) => {
            counter.change(&signed, draft, |work| {
                work.slots = None;
                work.wish = Some(form);
                work.search = Some(search);
            })?;
            to(&format!("/book/{draft}/slots"))
        }
        Err(errors) => need_shown(&counter, &signed, draft, &work, errors, form),
    }
}

#[derive(Template)]
#[template(path = "reception/slots.html")]
struct SlotsPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    banner: Banner,
    is_move: bool,
    found: Found,
    more: bool,
    systems: Vec<SystemView>,
    wanted: String,
}

pub(super) async fn slots_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    slots_shown(&counter, &signed, draft, &work, Errors::default()).await
}

async fn slots_shown(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    mut errors: Errors,
) -> Page {
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    let (Some(person), Some(search), Some(wish)) = (&work.person, &work.search, &work.wish) else {
        return to(&format!("/book/{draft}/need"));
    };
    let found = match found(counter, signed, draft, work, search).await? {
        Ok(found) => found,
        Err(refused) => {
            errors = refused;
            Arc::default()
        }
    };
    let now = counter.now();
    let page = SlotsPage {
        frame: StaffFrame::new("Choose a time", signed, "/book").with_errors(&errors),
        errors,
        draft,
        banner: Banner::of(person, counter.today()),
        is_move: matches!(work.errand, Errand::Move(_)),
        found: Found::new(&runs(&found.offers, wish.slots()), now),
        more: found.more,
        systems: found.systems.iter().map(|answer| SystemView::of(answer, now)).collect(),
        wanted: wanted(counter, search, wish),
    };
    form_shown(&page, &page.errors)
}

/// What was found for this work: a moment ago, or now.
async fn found(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    search: &SlotSearch,
) -> Result<Result<Arc<SlotsFound>, Errors>, Failure> {
    let now = counter.now();
    if let Some((at, found)) = &work.slots
        && now.since(*at) < FRESH
    {
        return Ok(Ok(Arc::clone(found)));
    }
    let search = SlotSearch { from: search.from.max(now), ..search.clone() };
    match counter.reception.slots(&practitioner(signed), &search).await {
        Ok(found) => {
            let found = Arc::new(found);
            counter.change(signed, draft, |work| work.slots = Some((now, Arc::clone(&found))))?;
            Ok(Ok(found))
        }
        Err(refused) => Ok(Err(refusal(&refused, &[], "change"))),
    }
}

/// What is looked for, in a line.
fn wanted(counter: &Counter, search: &SlotSearch, wish: &WishForm) -> String {
    let service = search.service.as_ref().and_then(|id| {
        let services = counter.reception.services();
        services.into_iter().find(|service| service.id == *id).map(|service| service.name)
    });
    let day = |text: &str| times::read(text).map(times::date).unwrap_or_default();
    let mut parts = vec![
        service.unwrap_or_else(|| format!("“{}”", search.need)),
        format!("{} to {}", day(&wish.from), day(&wish.until)),
    ];
    parts.extend(search.channel.map(|channel| channel.name().to_owned()));
    if !search.gender.is_empty() {
        parts.push(format!("{} clinician", search.gender));
    }
    if !search.language.is_empty() {
        parts.push(search.language.clone());
    }
    if search.step_free {
        parts.push("step-free".to_owned());
    }
    if 1 < wish.slots() {
        parts.push(format!("{} slots together", wish.slots()));
    }
    parts.join(", ")
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SlotForm {
    key: String,
}

pub(super) async fn choose(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<SlotForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    let key: OfferKey = form.key.parse().map_err(|_| Failure::BadForm)?;
    let (Some(search), Some(wish)) = (&work.search, &work.wish) else {
        return to(&format!("/book/{draft}/need"));
    };
    // What was shown is chosen from, however old it is: whether it is still to be had, booking it says.
    let found = match &work.slots {
        Some((_, found)) => Ok(Arc::clone(found)),
        None => found(&counter, &signed, draft, &work, search).await?,
    };
    let run = found.ok().and_then(|found| run_from(&found.offers, &key, wish.slots()));
    let Some(run) = run else {
        let errors = Errors::one("times", "That time is no longer offered. Choose another one");
        counter.change(&signed, draft, |work| work.slots = None)?;
        let (draft, work) = counter.work(&signed, &draft.to_string())?;
        return slots_shown(&counter, &signed, draft, &work, errors).await;
    };
    counter.change(&signed, draft, |work| work.choose(vec![run]))?;
    match work.errand {
        Errand::Move(_) => to(&format!("/book/{draft}/check")),
        _ => to(&format!("/book/{draft}/details")),
    }
}
