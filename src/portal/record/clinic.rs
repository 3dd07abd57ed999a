//! The clinician's list of the day, and the gate before a record: on what ground, and what the patient said.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse as _, Redirect},
};
use serde::Deserialize;

use crate::{
    access::policy::{Ground, GroundKind, Permission, PermissionToView, Plea, Purpose},
    domain::{booking::Attendance, nhs_number::NhsNumber},
    flow::disclose::{Closed, ListRow},
    portal::{
        failure::Failure,
        frame::{Errors, StaffFrame},
        reception::{
            form::{Choice, Sent, characters, plain},
            person::spaced,
            times,
        },
        session::Signed,
    },
};

use super::{Chart, Page, sentence, shown, viewer};

/// Reasons are shown to privacy officers whole.
const REASON_MAX: usize = 500;

#[derive(Template)]
#[template(path = "record/clinic.html")]
struct ListPage {
    frame: StaffFrame,
    errors: Errors,
    heading: String,
    number: String,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    time: String,
    name: String,
    born: String,
    number: String,
    service: String,
    place: String,
    state: &'static str,
    can_open: bool,
}

/// The day's list.
pub(super) async fn list(State(chart): State<Chart>, signed: Signed) -> Page {
    shown(&list_page(&chart, &signed, Errors::default(), String::new()))
}

fn list_page(chart: &Chart, signed: &Signed, errors: Errors, number: String) -> ListPage {
    let today = times::day(chart.records.now());
    let (from, until) = (times::start_of(today), times::start_of(times::next(today)));
    ListPage {
        frame: StaffFrame::new("My list", signed, "/clinic").with_errors(&errors),
        errors,
        heading: times::heading(today, today),
        number,
        rows: chart.records.list(from, until).iter().map(row).collect(),
    }
}

fn row(row: &ListRow) -> Row {
    let place = [row.clinician.as_str(), row.room.as_str()];
    Row {
        id: row.appointment.to_string(),
        time: times::clock(row.start),
        name: name(row),
        born: times::birth(&row.birth_date),
        number: row.nhs_number.map(|number| spaced(&number)).unwrap_or_default(),
        service: row.service.clone(),
        place: place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
        state: match row.attendance {
            Attendance::Expected => "Booked",
            Attendance::Arrived => "Arrived",
            Attendance::Called => "Called",
            Attendance::In => "In",
            Attendance::Done => "Done",
            Attendance::DidNotAttend => "Did not attend",
        },
        can_open: row.nhs_number.is_some(),
    }
}

fn name(row: &ListRow) -> String {
    format!("{}, {}", row.family_name.to_uppercase(), row.given_names)
}

/// A number that was typed on the list.
#[derive(Deserialize)]
pub(super) struct Find {
    number: String,
}

/// The gate before the record of whoever has this number; nothing says whether there is such a patient.
pub(super) async fn find(State(chart): State<Chart>, signed: Signed, Sent(form): Sent<Find>) -> Page {
    match NhsNumber::parse(&form.number) {
        Ok(number) => {
            shown(&GatePage::new(&signed, Whom::Number(number), &Sought::default(), Errors::default()))
        }
        Err(_) => {
            let text = "Enter an NHS number: ten digits, such as 999 000 0018";
            let page = list_page(&chart, &signed, Errors::one("number", text), form.number);
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(page.render()?)).into_response())
        }
    }
}

/// The gate before the record of whoever has an appointment.
pub(super) async fn gate(
    State(chart): State<Chart>,
    signed: Signed,
    Path(appointment): Path<String>,
) -> Page {
    let id = appointment.parse().map_err(|_| Failure::NotFound)?;
    let row = chart.records.row(id).filter(|row| row.nhs_number.is_some()).ok_or(Failure::NotFound)?;
    shown(&GatePage::new(&signed, Whom::Booked(Box::new(row)), &Sought::default(), Errors::default()))
}

enum Whom {
    Booked(Box<ListRow>),
    Number(NhsNumber),
}

#[derive(Template)]
#[template(path = "record/gate.html")]
struct GatePage {
    frame: StaffFrame,
    errors: Errors,
    who: String,
    what: String,
    appointment: String,
    number: String,
    grounds: Vec<Choice>,
    permissions: Vec<Choice>,
    reason: String,
    reason_max: usize,
}

/// The gate's form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sought {
    appointment: String,
    number: String,
    ground: String,
    permission: String,
    reason: String,
}

impl GatePage {
    fn new(signed: &Signed, whom: Whom, sought: &Sought, errors: Errors) -> Self {
        let (who, what, appointment, number) = match whom {
            Whom::Booked(row) => (
                name(&row),
                format!(
                    "{} {}, {}",
                    times::date(times::day(row.start)),
                    times::clock(row.start),
                    row.service
                ),
                row.appointment.to_string(),
                String::new(),
            ),
            Whom::Number(number) => (
                format!("NHS number {}", spaced(&number)),
                String::new(),
                String::new(),
                number.as_str().to_owned(),
            ),
        };
        let chosen = if sought.ground.is_empty() { GroundKind::Relationship.word() } else { &sought.ground };
        let grounds = GroundKind::ALL
            .iter()
            .map(|kind| Choice::new(kind.word(), ground_words(*kind), kind.word() == chosen));
        let permissions = [Permission::Given, Permission::Refused, Permission::CannotBeAsked];
        let permissions = permissions
            .into_iter()
            .map(|kind| Choice::new(kind.word(), permission_words(kind), kind.word() == sought.permission));
        Self {
            frame: StaffFrame::new("Open a record", signed, "/clinic").with_errors(&errors),
            errors,
            who,
            what,
            appointment,
            number,
            grounds: grounds.collect(),
            permissions: permissions.collect(),
            reason: plain(&sought.reason),
            reason_max: REASON_MAX,
        }
    }
}

const fn ground_words(kind: GroundKind) -> &'static str {
    match kind {
        GroundKind::Relationship => "The patient is in our care: booked, arrived, waiting or referred here",
        GroundKind::SelfClaimed => "I care for this patient, and no booking here shows it",
        GroundKind::Emergency => "This is an emergency",
        GroundKind::Legal => "The law demands it",
    }
}

const fn permission_words(kind: Permission) -> &'static str {
    match kind {
        Permission::Given => "Yes",
        Permission::NotAsked => "I have not asked",
        Permission::Refused => "No",
        Permission::CannotBeAsked => "The patient cannot be asked",
    }
}

/// Opens a record, or shows the gate again and says why not.
pub(super) async fn open(State(chart): State<Chart>, signed: Signed, Sent(form): Sent<Sought>) -> Page {
    let whom = if form.appointment.is_empty() {
        Whom::Number(NhsNumber::parse(&form.number).map_err(|_| Failure::BadForm)?)
    } else {
        let id = form.appointment.parse().map_err(|_| Failure::BadForm)?;
        Whom::Booked(Box::new(chart.records.row(id).ok_or(Failure::NotFound)?))
    };
    let number = match &whom {
        Whom::Number(number) => *number,
        Whom::Booked(row) => row.nhs_number.ok_or(Failure::NotFound)?,
    };
    let plea = match plea(&form) {
        Ok(plea) => plea,
        Err(errors) => return again(&signed, whom, &form, errors, StatusCode::UNPROCESSABLE_ENTITY),
    };
    match chart.records.open(&viewer(&signed), number, plea).await {
        Ok(id) => Ok(Redirect::to(&format!("/record/{id}")).into_response()),
        Err(Closed::Refused(refusal)) if refusal.may_plead() => {
            let errors = Errors::one("ground", sentence(&refusal.to_string()));
            again(&signed, whom, &form, errors, StatusCode::FORBIDDEN)
        }
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

fn again(signed: &Signed, whom: Whom, form: &Sought, errors: Errors, status: StatusCode) -> Page {
    let page = GatePage::new(signed, whom, form, errors);
    Ok((status, Html(page.render()?)).into_response())
}

/// What the form pleads; or what is missing in it.
fn plea(form: &Sought) -> Result<Plea, Errors> {
    let mut errors = Errors::default();
    let reason = plain(form.reason.trim());
    if REASON_MAX < characters(&reason) {
        errors.add("reason", format!("Say why in at most {REASON_MAX} characters"));
    }
    let ground = match GroundKind::ALL.iter().find(|kind| kind.word() == form.ground) {
        Some(GroundKind::Relationship) => Ground::Relationship,
        Some(GroundKind::SelfClaimed) => Ground::SelfClaimed { reason: reason.clone() },
        Some(GroundKind::Emergency) => Ground::Emergency { reason: reason.clone() },
        Some(GroundKind::Legal) => Ground::Legal { reason: reason.clone() },
        None => {
            errors.add("ground", "Say on what ground you open the record");
            Ground::Relationship
        }
    };
    let permission = match Permission::ALL.iter().find(|kind| kind.word() == form.permission) {
        Some(Permission::Given) => PermissionToView::Given,
        Some(Permission::Refused) => PermissionToView::Refused,
        Some(Permission::CannotBeAsked) => PermissionToView::CannotBeAsked { reason },
        Some(Permission::NotAsked) | None => {
            errors.add("permission", "Ask the patient whether you may view the record");
            PermissionToView::NotAsked
        }
    };
    if errors.is_empty() {
        Ok(Plea { ground, permission, purpose: Purpose::DirectCare })
    } else {
        Err(errors)
    }
}
