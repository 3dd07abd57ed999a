//! Booking, the fourth and fifth step: details, and a last look before it is done.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse as _},
};
use serde::Deserialize;

use crate::{
    domain::{
        booking::{Deed, Done, RequestId},
        slot::{COMMENT_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX},
    },
    portal::{
        failure::Failure,
        frame::{Errors, StaffFrame},
        session::Signed,
    },
};

use super::{
    Counter, Page,
    details::DetailsForm,
    drafts::DraftId,
    form::Sent,
    form_shown,
    marks::{self, Need},
    new_request,
    offers::OfferView,
    person::Banner,
    practitioner, refusal, times, to, user,
    work::{Errand, Work},
};

#[derive(Template)]
#[template(path = "reception/details.html")]
struct DetailsPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    banner: Banner,
    times: Vec<OfferView>,
    description_max: usize,
    comment_max: usize,
    form: DetailsForm,
}

pub(super) async fn details_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let telephone = work.person.as_ref().map(|person| person.telephone.clone()).unwrap_or_default();
    let first = DetailsForm { reminder_number: telephone, ..DetailsForm::default() };
    let form = work.details.clone().unwrap_or(first);
    details_shown(&counter, &signed, draft, &work, Errors::default(), form)
}

fn details_shown(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    errors: Errors,
    form: DetailsForm,
) -> Page {
    let Some(person) = work.person.as_ref().filter(|_| !work.chosen.is_empty()) else {
        return to(&format!("/book/{draft}/slots"));
    };
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    let page = DetailsPage {
        frame: StaffFrame::new("Details of the booking", signed, work.errand.home()).with_errors(&errors),
        errors,
        draft,
        banner: Banner::of(person, counter.today()),
        times: views(counter, work),
        description_max: DESCRIPTION_CHARACTERS_MAX,
        comment_max: COMMENT_CHARACTERS_MAX,
        form,
    };
    form_shown(&page, &page.errors)
}

fn views(counter: &Counter, work: &Work) -> Vec<OfferView> {
    work.chosen.iter().filter_map(|run| OfferView::of(run, counter.now())).collect()
}

pub(super) async fn details(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<DetailsForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    if let Err(errors) = form.read() {
        return details_shown(&counter, &signed, draft, &work, errors, form);
    }
    counter.change(&signed, draft, |work| {
        if !work.is_over() {
            work.details = Some(form);
            work.change();
        }
    })?;
    to(&format!("/book/{draft}/check"))
}

#[derive(Template)]
#[template(path = "reception/check.html")]
struct CheckPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    request: RequestId,
    banner: Banner,
    times: Vec<OfferView>,
    is_visit: bool,
    /// When the appointment is that is to be moved; none unless one is.
    moved_from: Option<String>,
    provisional: bool,
    description: String,
    comment: String,
    needs: Vec<Need>,
    reminder: String,
}

pub(super) async fn page(State(counter): State<Counter>, signed: Signed, Path(draft): Path<String>) -> Page {
    let (draft, _) = counter.work(&signed, &draft)?;
    check_shown(&counter, &signed, draft, Errors::default())
}

fn check_shown(counter: &Counter, signed: &Signed, draft: DraftId, errors: Errors) -> Page {
    let fresh = new_request()?;
    // Looked at twice, it is still the same booking: the request stays until something in it changes.
    let work = counter.change(signed, draft, |work| work.request = work.request.or(Some(fresh)))?;
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    let Some(person) = work.person.as_ref().filter(|_| !work.chosen.is_empty()) else {
        return to(&format!("/book/{draft}/slots"));
    };
    let details = match (&work.moving, &work.details) {
        (Some(old), _) => DetailsForm::of(&old.description, &old.comment, &old.needs),
        (None, Some(details)) => details.clone(),
        (None, None) => return to(&format!("/book/{draft}/details")),
    };
    let Ok(details) = details.read() else { return to(&format!("/book/{draft}/details")) };
    let times = views(counter, &work);
    let page = CheckPage {
        frame: StaffFrame::new("Check before booking", signed, work.errand.home()).with_errors(&errors),
        errors,
        draft,
        request: work.request.unwrap_or(fresh),
        banner: Banner::of(person, counter.today()),
        is_visit: matches!(work.errand, Errand::Plan),
        moved_from: work.moving.as_ref().map(|old| times::moment(old.start, counter.now())),
        provisional: times.iter().any(|time| !time.why.is_empty()),
        times,
        description: details.description,
        comment: details.comment,
        needs: marks::needs(&details.needs),
        reminder: details.needs.reminder,
    };
    form_shown(&page, &page.errors)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfirmForm {
    request: String,
}

/// `POST /book/{draft}/check`: books, once for each request, however often it is pressed.
pub(super) async fn confirm(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<ConfirmForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let request: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    let stale = Errors::one("confirm", "The booking was changed since this page was shown. Check it again");
    if work.request != Some(request) {
        return check_shown(&counter, &signed, draft, stale);
    }
    let Some(deed) = deed(&work) else { return to(&format!("/book/{draft}/details")) };
    carry_out(&counter, &signed, draft, request, deed).await
}

/// What the work comes to; none until every step is done.
fn deed(work: &Work) -> Option<Deed> {
    if let Errand::Move(appointment) = work.errand {
        let keys = work.keys();
        return (!keys.is_empty()).then_some(Deed::Move { appointment, keys });
    }
    let mut parts = work.parts()?;
    if work.errand == Errand::Plan { Some(Deed::BookVisit(parts)) } else { parts.pop().map(Deed::Book) }
}

/// Does it, and notes in the draft what came of it even if the browser has gone meanwhile.
pub(super) async fn carry_out(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    request: RequestId,
    deed: Deed,
) -> Page {
    let mut is_ours = false;
    counter.change(signed, draft, |work| {
        // Only one page's request is carried out at a time: two windows cannot book twice.
        if !work.is_over() && work.request == Some(request) {
            work.sent = Some(request);
            is_ours = true;
        }
    })?;
    if !is_ours {
        return to(&format!("/book/{draft}/outcome"));
    }
    let (reception, drafts) = (counter.reception.clone(), counter.drafts.clone());
    let (who, owner) = (practitioner(signed), user(signed).to_owned());
    let done = tokio::spawn(async move {
        let result = reception.perform(&who, request, deed).await;
        let answer = result.as_ref().ok().cloned();
        let noted = drafts.change(draft, &owner, reception.now(), |work| {
            work.sent = None;
            if let Some(answer) = answer {
                // Whatever is chosen after a lost race is another request.
                if answer.done == Done::Taken {
                    work.request = None;
                }
                work.outcome = Some(answer);
            }
        });
        if noted.is_err() {
            tracing::warn!("a booking was answered after its draft had gone");
        }
        result
    });
    match done.await {
        Ok(Ok(_)) => to(&format!("/book/{draft}/outcome")),
        Ok(Err(refused)) => check_shown(counter, signed, draft, refusal(&refused, &[], "confirm")),
        Err(_) => {
            let page = check_shown(
                counter,
                signed,
                draft,
                Errors::one(
                    "confirm",
                    "The hub failed to do this. Look whether it is booked before you try again",
                ),
            )?;
            Ok((StatusCode::INTERNAL_SERVER_ERROR, page).into_response())
        }
    }
}

#[derive(Template)]
#[template(path = "reception/under_way.html")]
struct UnderWayPage {
    frame: StaffFrame,
    draft: DraftId,
}

/// The page while a booking is being made: it asks again by itself.
pub(super) fn under_way(signed: &Signed, draft: DraftId) -> Page {
    let frame = StaffFrame::new("Booking…", signed, "/book");
    Ok(Html(UnderWayPage { frame, draft }.render()?).into_response())
}
