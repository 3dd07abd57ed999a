//! Booking, the last step: what came of it, what to tell the patient, and what to offer if somebody else was first.

use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;

use crate::{
    domain::booking::{Answer, Appointment, Deed, Done, Offer, OfferKey, RequestId, Standing},
    portal::{
        failure::Failure,
        frame::{Errors, StaffFrame},
        session::Signed,
        view::Mark,
    },
};

use super::{
    Counter, Page,
    check::{carry_out, under_way},
    drafts::DraftId,
    find::Line,
    form::Sent,
    form_shown, marks, new_request,
    offers::{self, OfferView, runs},
    person::Banner,
    practitioner, refusal, request_for, shown, times, to,
    work::{Errand, Work},
};

/// Times that are offered after a lost race.
const NEXT: usize = 3;

/// An appointment that was made.
struct Made {
    id: String,
    when: String,
    full: String,
    length: String,
    service: String,
    place: String,
    address: String,
    room: String,
    clinician: String,
    channel: &'static str,
    telephone: String,
    state: Mark,
    /// Why it is not confirmed, and when it is tried again.
    why: String,
    retry: String,
}

impl Made {
    fn of(appointment: &Appointment, counter: &Counter) -> Self {
        let (why, retry) = match &appointment.standing {
            Standing::Provisional { why, retry, .. } => {
                (why.words().to_owned(), times::moment(*retry, counter.now()))
            }
            Standing::Failed { why } => (why.clone(), String::new()),
            Standing::Firm | Standing::Confirmed(_) | Standing::Cancelled(_) => Default::default(),
        };
        Self {
            id: appointment.id.to_string(),
            when: times::moment(appointment.start, counter.now()),
            full: times::full(appointment.start, appointment.end),
            length: times::length(appointment.end.since(appointment.start)),
            service: appointment.service_name.clone(),
            place: appointment.place.name.clone(),
            address: appointment.place.address.clone(),
            room: appointment.room.clone(),
            clinician: appointment.clinician.as_ref().map(offers::clinician).unwrap_or_default(),
            channel: appointment.channel.name(),
            telephone: appointment.telephone.clone(),
            state: marks::standing(&appointment.standing),
            why,
            retry,
        }
    }
}

#[derive(Template)]
#[template(path = "reception/outcome.html")]
struct OutcomePage {
    frame: StaffFrame,
    draft: DraftId,
    banner: Banner,
    heading: &'static str,
    verdict: Mark,
    is_move: bool,
    certain: bool,
    /// Something of it cannot be had.
    failed: bool,
    made: Vec<Made>,
    /// What it came out of is still on a list.
    clears: bool,
    request: RequestId,
}

#[derive(Template)]
#[template(path = "reception/taken.html")]
struct TakenPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    banner: Banner,
    is_visit: bool,
    request: RequestId,
    next: Vec<OfferView>,
    appointments: Vec<Line>,
}

pub(super) async fn page(State(counter): State<Counter>, signed: Signed, Path(draft): Path<String>) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    if work.sent.is_some() {
        return under_way(&signed, draft);
    }
    match &work.outcome {
        None => to(&format!("/book/{draft}/check")),
        Some(Answer { done: Done::Appointments(made), .. }) => {
            made_shown(&counter, &signed, draft, &work, made)
        }
        Some(answer) => taken_shown(&counter, &signed, draft, &work, answer, Errors::default()).await,
    }
}

fn made_shown(counter: &Counter, signed: &Signed, draft: DraftId, work: &Work, made: &[Appointment]) -> Page {
    let Some(person) = &work.person else { return Err(Failure::Broken) };
    // As they are by now: what was provisional may be confirmed.
    let standing: Vec<Appointment> = made
        .iter()
        .map(|made| counter.reception.appointment(made.id).unwrap_or_else(|| made.clone()))
        .filter(|made| !matches!(work.errand, Errand::Move(old) if old == made.id))
        .collect();
    let certain = standing.iter().all(Appointment::is_confirmed);
    let failed = standing.iter().any(|made| matches!(made.standing, Standing::Failed { .. }));
    let (heading, verdict) = match (certain, failed, matches!(work.errand, Errand::Move(_))) {
        (true, _, false) => ("Booked", mark("good", "good")),
        (true, _, true) => ("Moved", mark("good", "good")),
        (false, true, _) => ("Not booked", mark("bad", "bad")),
        (false, false, _) => ("Asked for, not confirmed yet", mark("attention", "attention")),
    };
    shown(&OutcomePage {
        frame: StaffFrame::new(heading, signed, work.errand.home()),
        draft,
        banner: Banner::of(person, counter.today()),
        heading,
        verdict,
        is_move: matches!(work.errand, Errand::Move(_)),
        certain,
        failed,
        made: standing.iter().map(|made| Made::of(made, counter)).collect(),
        clears: work.waiting.is_some() || work.task.is_some(),
        request: new_request()?,
    })
}

const fn mark(icon: &'static str, tone: &'static str) -> Mark {
    Mark { word: "", icon, tone }
}

async fn taken_shown(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    answer: &Answer,
    errors: Errors,
) -> Page {
    let Some(person) = &work.person else { return Err(Failure::Broken) };
    let next = next_times(counter, signed, work, &answer.next).await;
    let fresh = new_request()?;
    let work = counter.change(signed, draft, |work| {
        work.request = work.request.or(Some(fresh));
        work.next = next.clone();
    })?;
    let appointments = person.nhs_number.map(|number| counter.reception.appointments_of(number));
    let page = TakenPage {
        frame: StaffFrame::new("That time was taken", signed, work.errand.home()).with_errors(&errors),
        errors,
        draft,
        banner: Banner::of(person, counter.today()),
        is_visit: work.errand == Errand::Plan,
        request: work.request.unwrap_or(fresh),
        next: next.iter().filter_map(|run| OfferView::of(run, counter.now())).collect(),
        appointments: appointments.unwrap_or_default().iter().map(|one| Line::of(one, counter)).collect(),
    };
    form_shown(&page, &page.errors)
}

/// The next times that suit; as many adjacent slots as were wanted, which only a new search can tell.
async fn next_times(counter: &Counter, signed: &Signed, work: &Work, next: &[Offer]) -> Vec<Vec<Offer>> {
    let slots = work.wish.as_ref().map_or(1, |wish| wish.slots());
    if slots == 1 || work.errand == Errand::Plan {
        return runs(next, 1).into_iter().take(NEXT).collect();
    }
    let Some(search) = &work.search else { return Vec::new() };
    let found = counter.reception.slots(&practitioner(signed), search).await;
    runs(&found.unwrap_or_default().offers, slots).into_iter().take(NEXT).collect()
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct InsteadForm {
    key: String,
    request: String,
}

/// `POST /book/{draft}/instead`: books one of the next times with one press; only one, whichever are pressed.
pub(super) async fn instead(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<InsteadForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let key: OfferKey = form.key.parse().map_err(|_| Failure::BadForm)?;
    let request: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let run = work.next.iter().find(|run| run.first().is_some_and(|offer| offer.key == key)).cloned();
    let (Some(run), true, false) = (run, work.request == Some(request), work.is_over()) else {
        return to(&format!("/book/{draft}/outcome"));
    };
    let keys = run.iter().map(|offer| offer.key.clone()).collect();
    let work = counter.change(&signed, draft, |work| {
        if !work.is_over() && work.request == Some(request) {
            work.chosen = vec![run];
        }
    })?;
    let deed = match work.errand {
        Errand::Move(appointment) => Deed::Move { appointment, keys },
        _ => match work.parts().and_then(|mut parts| parts.pop()) {
            Some(part) => Deed::Book(part),
            None => return to(&format!("/book/{draft}/details")),
        },
    };
    carry_out(&counter, &signed, draft, request, deed).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ClearForm {
    request: String,
}

/// `POST /book/{draft}/clear`: takes whoever has their slot now off the waiting list, and ends the task.
pub(super) async fn clear(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<ClearForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let page: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let off = work.waiting.map(|waiting| Deed::StopWaiting { waiting, reason: "Booked".to_owned() });
    let done = work.task.map(|task| Deed::FinishTask { task, note: "Booked".to_owned() });
    for (name, deed) in [("waiting", off), ("task", done)] {
        let Some(deed) = deed else { continue };
        let result = counter.perform(&signed, request_for(page, name), deed).await;
        // Somebody else may have done it already: then there is nothing left to do.
        if let Err(refused) = result
            && refused.code != "gone"
        {
            return super::board::refused(&counter, &signed, refusal(&refused, &[], "tasks"));
        }
    }
    counter.change(&signed, draft, |work| (work.waiting, work.task) = (None, None))?;
    to(&format!("/book/{draft}/outcome"))
}
