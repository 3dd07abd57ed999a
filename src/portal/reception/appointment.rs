//! One appointment: what it is, what happened to it, and how to move, change or cancel it.

use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use crate::{
    domain::{
        booking::{Appointment, Attendance, CancelledBy, Deed, Done, RequestId, SlotSearch, Standing},
        slot::{COMMENT_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX, SEARCH_MAX},
    },
    portal::{
        failure::Failure,
        frame::{Errors, StaffFrame},
        path::LocalPath,
        session::Signed,
        view::Mark,
    },
};

use super::{
    Counter, Page, board,
    details::DetailsForm,
    form::{Choice, Sent, characters, plain},
    form_shown,
    marks::{self, Need},
    named, new_request, offers,
    person::{Banner, LINE_CHARACTERS_MAX},
    printed, refusal, request_for, shown, times, to,
    wish::WishForm,
    work::{Errand, Work},
};

/// The fields of the form of words, as the desk names them.
const WORDS: [&str; 5] = ["description", "comment", "interpreter", "adjustments", "reminder-number"];

/// An appointment in words.
pub(super) struct View {
    pub id: String,
    pub banner: Banner,
    /// By its distance from today; empty on paper, which is read on another day.
    pub when: String,
    pub full: String,
    pub length: String,
    pub service: String,
    pub channel: &'static str,
    pub clinician: String,
    pub place: String,
    pub address: String,
    pub room: String,
    pub organisation: String,
    pub telephone: String,
    pub system: String,
    pub description: String,
    pub comment: String,
    pub needs: Vec<Need>,
    pub reminder: String,
    pub standing: Mark,
    /// What its standing means, in sentences.
    pub standing_text: String,
    pub attendance: Mark,
    pub made: String,
    pub stands: bool,
    pub is_provisional: bool,
}

impl View {
    pub fn of(appointment: &Appointment, counter: &Counter) -> Self {
        let now = counter.now();
        Self {
            id: appointment.id.to_string(),
            banner: Banner::of(&appointment.person, counter.today()),
            when: times::moment(appointment.start, now),
            full: times::full(appointment.start, appointment.end),
            length: times::length(appointment.end.since(appointment.start)),
            service: appointment.service_name.clone(),
            channel: appointment.channel.name(),
            clinician: appointment.clinician.as_ref().map(offers::clinician).unwrap_or_default(),
            place: appointment.place.name.clone(),
            address: appointment.place.address.clone(),
            room: appointment.room.clone(),
            organisation: appointment.organisation.clone(),
            telephone: appointment.telephone.clone(),
            system: offers::system(&appointment.system),
            description: appointment.description.clone(),
            comment: appointment.comment.clone(),
            needs: marks::needs(&appointment.needs),
            reminder: appointment.needs.reminder.clone(),
            standing: marks::standing(&appointment.standing),
            standing_text: standing_text(&appointment.standing, counter),
            attendance: marks::attended(appointment.attendance),
            made: format!("{}, by {}", times::moment(appointment.made, now), appointment.made_by),
            stands: appointment.stands(),
            is_provisional: matches!(appointment.standing, Standing::Provisional { .. }),
        }
    }
}

fn standing_text(standing: &Standing, counter: &Counter) -> String {
    let now = counter.now();
    match standing {
        Standing::Firm | Standing::Confirmed(_) => String::new(),
        Standing::Provisional { why, retry, .. } => {
            let retry = if *retry <= now { "now".to_owned() } else { times::moment(*retry, now) };
            format!("{} It is tried again: {retry}.", why.words())
        }
        Standing::Failed { why } => format!("{why} Tell the patient, and offer another time."),
        Standing::Cancelled(cancellation) => {
            let by = match cancellation.by {
                CancelledBy::Patient => "the patient",
                CancelledBy::Provider => "the service",
            };
            let told = if cancellation.told { "" } else { " Its own system has not been told yet." };
            let at = times::moment(cancellation.at, now);
            format!("Cancelled by {by}, {at}: {}.{told}", cancellation.reason)
        }
    }
}

struct History {
    at: String,
    by: String,
    what: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DoneQuery {
    done: String,
}

#[derive(Template)]
#[template(path = "reception/appointment.html")]
struct AppointmentPage {
    frame: StaffFrame,
    errors: Errors,
    notice: &'static str,
    request: RequestId,
    path: String,
    view: View,
    states: Vec<Choice>,
    changes: Vec<History>,
    /// The appointment that this one takes the place of.
    replaces: Option<String>,
}

pub(super) async fn page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Query(query): Query<DoneQuery>,
) -> Page {
    page_shown(&counter, &signed, &known(&counter, &id)?, Errors::default(), board::notice(&query.done))
}

fn known(counter: &Counter, id: &str) -> Result<Appointment, Failure> {
    counter.reception.appointment(named(id)?).ok_or(Failure::NotFound)
}

fn page_shown(
    counter: &Counter,
    signed: &Signed,
    appointment: &Appointment,
    errors: Errors,
    notice: &'static str,
) -> Page {
    let history = |change: &crate::domain::booking::Change| History {
        at: times::moment(change.at, counter.now()),
        by: change.by.clone(),
        what: change.what.clone(),
    };
    let state = |attendance: Attendance, word: &str| {
        Choice::new(word, attendance.name(), appointment.attendance == attendance)
    };
    let page = AppointmentPage {
        frame: StaffFrame::new("Appointment", signed, "/reception").with_errors(&errors),
        errors,
        notice,
        request: new_request()?,
        path: format!("/appointments/{}", appointment.id),
        view: View::of(appointment, counter),
        states: ["expected", "arrived", "called", "in", "done", "did-not-attend"]
            .into_iter()
            .filter_map(|word| board::attendance(word).map(|attendance| state(attendance, word)))
            .collect(),
        changes: appointment.changes.iter().rev().map(history).collect(),
        replaces: appointment.replaces.map(|id| id.to_string()),
    };
    form_shown(&page, &page.errors)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MarkForm {
    request: String,
    to: String,
    back: String,
}

/// `POST /appointments/{id}/mark`: says where the patient is, from the board or from the appointment's own page.
pub(super) async fn mark(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<MarkForm>,
) -> Page {
    let appointment = known(&counter, &id)?;
    let page: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let attendance = board::attendance(&form.to).ok_or(Failure::BadForm)?;
    let back = LocalPath::or_home(&form.back);
    let at_board = back.as_str().starts_with("/reception");
    let deed = Deed::Mark { appointment: appointment.id, attendance };
    match counter.perform(&signed, request_for(page, &format!("{id} {}", form.to)), deed).await {
        // Back to the row that was worked on, not to the top of the page.
        Ok(_) if at_board => to(&format!("{}#row-{id}", back.as_str())),
        Ok(_) => to(&format!("/appointments/{id}")),
        Err(refused) if at_board => {
            let errors = refusal(&refused, &[], "board");
            board::refused_at(&counter, &signed, back.as_str(), errors)
        }
        Err(refused) => page_shown(&counter, &signed, &appointment, refusal(&refused, &[], "to"), ""),
    }
}

/// `POST /appointments/{id}/again`: tries a provisional booking again now.
pub(super) async fn again(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<MarkForm>,
) -> Page {
    let appointment = known(&counter, &id)?;
    let page: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let deed = Deed::TryAgain { appointment: appointment.id };
    let in_tray = form.back == "/provisional";
    match counter.perform(&signed, request_for(page, &id), deed).await {
        Ok(_) if in_tray => to("/provisional?done=again"),
        Ok(_) => to(&format!("/appointments/{id}?done=again")),
        Err(refused) if in_tray => {
            board::provisional_shown(&counter, &signed, refusal(&refused, &[], "provisional"), "")
        }
        Err(refused) => page_shown(&counter, &signed, &appointment, refusal(&refused, &[], "again"), ""),
    }
}

#[derive(Template)]
#[template(path = "reception/amend.html")]
struct AmendPage {
    frame: StaffFrame,
    errors: Errors,
    request: String,
    view: View,
    description_max: usize,
    comment_max: usize,
    form: DetailsForm,
}

pub(super) async fn amend_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
) -> Page {
    let appointment = known(&counter, &id)?;
    let form = DetailsForm::of(&appointment.description, &appointment.comment, &appointment.needs);
    amend_shown(&counter, &signed, &appointment, Errors::default(), form)
}

fn amend_shown(
    counter: &Counter,
    signed: &Signed,
    appointment: &Appointment,
    errors: Errors,
    form: DetailsForm,
) -> Page {
    if !appointment.stands() {
        return gone(counter, signed, appointment);
    }
    let page = AmendPage {
        frame: StaffFrame::new("Change an appointment", signed, "/reception").with_errors(&errors),
        errors,
        request: new_request()?.to_string(),
        view: View::of(appointment, counter),
        description_max: DESCRIPTION_CHARACTERS_MAX,
        comment_max: COMMENT_CHARACTERS_MAX,
        form,
    };
    form_shown(&page, &page.errors)
}

fn gone(counter: &Counter, signed: &Signed, appointment: &Appointment) -> Page {
    let errors = Errors::one("standing", "This appointment does not stand any more: it cannot be changed");
    page_shown(counter, signed, appointment, errors, "")
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AmendForm {
    request: String,
    #[serde(flatten)]
    details: DetailsForm,
}

pub(super) async fn amend(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<AmendForm>,
) -> Page {
    let appointment = known(&counter, &id)?;
    let request: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let details = match form.details.read() {
        Ok(details) => details,
        Err(errors) => return amend_shown(&counter, &signed, &appointment, errors, form.details),
    };
    let deed = Deed::Amend {
        appointment: appointment.id,
        description: details.description,
        comment: details.comment,
        needs: details.needs,
    };
    match counter.perform(&signed, request, deed).await {
        Ok(answer) => to(&format!("/appointments/{id}?done={}", said(&answer.done, "amended"))),
        Err(refused) => {
            let errors = refusal(&refused, &WORDS, "description");
            amend_shown(&counter, &signed, &appointment, errors, form.details)
        }
    }
}

/// What to say of a change: another hub may have to make it.
fn said(done: &Done, word: &'static str) -> &'static str {
    let changed = |one: &Appointment| match word {
        "cancelled" => matches!(one.standing, Standing::Cancelled(_)),
        _ => true,
    };
    match done {
        Done::Appointments(appointments) if appointments.iter().any(changed) => word,
        _ => "asked",
    }
}

#[derive(Template)]
#[template(path = "reception/cancel.html")]
struct CancelPage {
    frame: StaffFrame,
    errors: Errors,
    request: String,
    view: View,
    reason: String,
    by: Vec<Choice>,
    reason_max: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CancelForm {
    request: String,
    reason: String,
    by: String,
}

pub(super) async fn cancel_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
) -> Page {
    cancel_shown(&counter, &signed, &known(&counter, &id)?, Errors::default(), &CancelForm::default())
}

fn cancel_shown(
    counter: &Counter,
    signed: &Signed,
    appointment: &Appointment,
    errors: Errors,
    form: &CancelForm,
) -> Page {
    if !appointment.stands() {
        return gone(counter, signed, appointment);
    }
    let who = [("patient", "The patient, or somebody on their behalf"), ("provider", "The service")];
    let page = CancelPage {
        frame: StaffFrame::new("Cancel an appointment", signed, "/reception").with_errors(&errors),
        errors,
        request: new_request()?.to_string(),
        view: View::of(appointment, counter),
        reason: form.reason.clone(),
        by: who.map(|(value, label)| Choice::new(value, label, form.by == value)).into(),
        reason_max: LINE_CHARACTERS_MAX,
    };
    form_shown(&page, &page.errors)
}

pub(super) async fn cancel(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<CancelForm>,
) -> Page {
    let appointment = known(&counter, &id)?;
    let request: RequestId = form.request.parse().map_err(|_| Failure::BadForm)?;
    let by = match form.by.as_str() {
        "patient" => Some(CancelledBy::Patient),
        "provider" => Some(CancelledBy::Provider),
        _ => None,
    };
    let mut errors = Errors::default();
    if by.is_none() {
        errors.add("by", "Choose who cancels");
    }
    match characters(&form.reason) {
        0 => errors.add("reason", "Say why it is cancelled"),
        length if LINE_CHARACTERS_MAX < length => {
            errors
                .add("reason", format!("Shorten this to {LINE_CHARACTERS_MAX} characters: it has {length}"));
        }
        _ => {}
    }
    let Some(by) = by.filter(|_| errors.is_empty()) else {
        return cancel_shown(&counter, &signed, &appointment, errors, &form);
    };
    let deed =
        Deed::Cancel { appointment: appointment.id, by, reason: plain(&form.reason).trim().to_owned() };
    match counter.perform(&signed, request, deed).await {
        Ok(answer) => to(&format!("/appointments/{id}?done={}", said(&answer.done, "cancelled"))),
        Err(refused) => {
            let errors = refusal(&refused, &["reason", "by"], "reason");
            cancel_shown(&counter, &signed, &appointment, errors, &form)
        }
    }
}

#[derive(Template)]
#[template(path = "reception/move.html")]
struct MovePage {
    frame: StaffFrame,
    errors: Errors,
    view: View,
    form: WishForm,
}

pub(super) async fn move_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
) -> Page {
    let appointment = known(&counter, &id)?;
    let today = counter.today();
    let from = times::start_of(today);
    let wish = SlotSearch {
        service: Some(appointment.service.clone()),
        from,
        until: from.plus(SEARCH_MAX),
        channel: Some(appointment.channel),
        ..SlotSearch::default()
    };
    let slots = appointment.keys.len().to_string();
    move_shown(
        &counter,
        &signed,
        &appointment,
        Errors::default(),
        WishForm { slots, ..WishForm::of(&wish, today) },
    )
}

fn move_shown(
    counter: &Counter,
    signed: &Signed,
    appointment: &Appointment,
    errors: Errors,
    form: WishForm,
) -> Page {
    if !appointment.stands() {
        return gone(counter, signed, appointment);
    }
    let page = MovePage {
        frame: StaffFrame::new("Move an appointment", signed, "/reception").with_errors(&errors),
        errors,
        view: View::of(appointment, counter),
        form,
    };
    form_shown(&page, &page.errors)
}

/// `POST /appointments/{id}/move`: looks for another time; the appointment stands until that is confirmed.
pub(super) async fn begin_move(
    State(counter): State<Counter>,
    signed: Signed,
    Path(id): Path<String>,
    Sent(form): Sent<WishForm>,
) -> Page {
    let appointment = known(&counter, &id)?;
    let form = WishForm { service: appointment.service.to_string(), ..form };
    match form.read(counter.today(), &counter.services(), &appointment.person.practice) {
        Ok(search) => {
            let work = Work {
                wish: Some(form),
                search: Some(search),
                moving: Some(Box::new(appointment.clone())),
                ..Work::for_person(Errand::Move(appointment.id), appointment.person)
            };
            let draft = counter.begin(&signed, work)?;
            to(&format!("/book/{draft}/slots"))
        }
        Err(errors) => move_shown(&counter, &signed, &appointment, errors, form),
    }
}

#[derive(Template)]
#[template(path = "reception/slip.html")]
struct SlipPage {
    frame: StaffFrame,
    view: View,
    printed: String,
}

/// `GET /appointments/{id}/slip`: what the patient takes home.
pub(super) async fn slip(State(counter): State<Counter>, signed: Signed, Path(id): Path<String>) -> Page {
    let appointment = known(&counter, &id)?;
    shown(&SlipPage {
        frame: StaffFrame::new("Appointment slip", &signed, "/reception"),
        view: View { when: String::new(), ..View::of(&appointment, &counter) },
        printed: printed(&counter),
    })
}
