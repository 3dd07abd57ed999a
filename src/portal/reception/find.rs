//! Finding whom an errand is for: one box, people who may be meant, a form for somebody whom no list has.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use serde::Deserialize;

use crate::{
    domain::booking::{Appointment, Person},
    flow::reception::PersonFound,
    portal::{
        failure::Failure,
        frame::{Errors, StaffFrame},
        session::Signed,
        view::Mark,
    },
};

use super::{
    Counter, Page, asked,
    drafts::DraftId,
    form::Sent,
    form_shown, marks, offers,
    person::{Banner, PersonForm},
    refusal, shown, times, to,
    work::{Errand, Work},
};

#[derive(Template)]
#[template(path = "reception/find.html")]
struct FindPage {
    frame: StaffFrame,
    errors: Errors,
    errand: Errand,
    words: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct FindForm {
    words: String,
    errand: String,
}

pub(super) async fn look(signed: Signed) -> Page {
    empty(&signed, Errand::Look)
}

pub(super) async fn book(signed: Signed) -> Page {
    empty(&signed, Errand::Book)
}

pub(super) async fn plan(signed: Signed) -> Page {
    empty(&signed, Errand::Plan)
}

pub(super) async fn wait(signed: Signed) -> Page {
    empty(&signed, Errand::Wait)
}

pub(super) async fn queue(signed: Signed) -> Page {
    empty(&signed, Errand::Queue)
}

fn empty(signed: &Signed, errand: Errand) -> Page {
    find_page(signed, Errors::default(), errand, String::new())
}

fn find_page(signed: &Signed, errors: Errors, errand: Errand, words: String) -> Page {
    let frame = StaffFrame::new(errand.heading(), signed, errand.home()).with_errors(&errors);
    let page = FindPage { frame, errors, errand, words };
    form_shown(&page, &page.errors)
}

/// `POST /patients`: what is typed stays out of addresses.
pub(super) async fn search(
    State(counter): State<Counter>,
    signed: Signed,
    Sent(form): Sent<FindForm>,
) -> Page {
    let errand = Errand::of(&form.errand);
    let search = match asked::read(&form.words) {
        Ok(search) => search,
        Err(unclear) => {
            return find_page(&signed, Errors::one("words", unclear.to_string()), errand, form.words);
        }
    };
    match counter.reception.people(&search).await {
        Ok(found) => {
            let draft =
                counter.begin(&signed, Work { errand, asked: form.words, found, ..Work::default() })?;
            to(&format!("/patients/{draft}"))
        }
        Err(refused) => find_page(&signed, refusal(&refused, &[], "words"), errand, form.words),
    }
}

/// Somebody who may be meant.
struct Hit {
    banner: Banner,
    systems: String,
    fit: Mark,
    verified: Mark,
}

#[derive(Template)]
#[template(path = "reception/results.html")]
struct ResultsPage {
    frame: StaffFrame,
    draft: DraftId,
    errand: Errand,
    words: String,
    hits: Vec<Hit>,
    more: bool,
}

pub(super) async fn results(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let today = counter.today();
    let hit = |found: &PersonFound| Hit {
        banner: Banner::of(&found.person, today),
        systems: found.systems.iter().map(|name| source(name)).collect::<Vec<_>>().join(", "),
        fit: match found.exact {
            true => Mark { word: "Everything you entered fits", icon: "good", tone: "good" },
            false => Mark { word: "Part of what you entered fits", icon: "attention", tone: "attention" },
        },
        verified: match found.verified {
            _ if found.person.nhs_number.is_none() => {
                Mark { word: "NHS number not known", icon: "attention", tone: "attention" }
            }
            true => Mark { word: "NHS number verified", icon: "good", tone: "good" },
            false => Mark { word: "NHS number not verified", icon: "attention", tone: "waiting" },
        },
    };
    shown(&ResultsPage {
        frame: StaffFrame::new("Choose the patient", &signed, work.errand.home()),
        draft,
        errand: work.errand,
        words: work.asked.clone(),
        hits: work.found.people.iter().map(hit).collect(),
        more: work.found.more,
    })
}

/// Where something is known, for people.
fn source(system: &str) -> String {
    if system == "desk" { "this desk’s bookings".to_owned() } else { offers::system(system) }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ChooseForm {
    who: String,
}

pub(super) async fn choose(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<ChooseForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let who =
        form.who.parse().ok().and_then(|who: usize| work.found.people.get(who)).ok_or(Failure::BadForm)?;
    chosen(&counter, &signed, draft, &work, who.person.clone())
}

/// Goes on with the errand for this person, as new work: what was entered for somebody else is not theirs.
fn chosen(counter: &Counter, signed: &Signed, draft: DraftId, work: &Work, person: Person) -> Page {
    let known = work.person.as_ref() == Some(&person) && !work.is_over();
    if known {
        return to(&first_step(work.errand, draft));
    }
    if work.person.is_none() {
        counter.change(signed, draft, |work| work.person = Some(person))?;
        return to(&first_step(work.errand, draft));
    }
    let other = Work {
        asked: work.asked.clone(),
        found: work.found.clone(),
        ..Work::for_person(work.errand, person)
    };
    let draft = counter.begin(signed, other)?;
    to(&first_step(work.errand, draft))
}

/// The page with which an errand goes on once its patient is known.
pub(super) fn first_step(errand: Errand, draft: DraftId) -> String {
    match errand {
        Errand::Look => format!("/patients/{draft}/person"),
        Errand::Book | Errand::Move(_) => format!("/book/{draft}/need"),
        Errand::Plan => format!("/plan/{draft}"),
        Errand::Wait => format!("/waiting/new/{draft}"),
        Errand::Queue => format!("/queue/new/{draft}"),
    }
}

#[derive(Template)]
#[template(path = "reception/new_person.html")]
struct NewPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    form: PersonForm,
}

pub(super) async fn new_page(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let search = asked::read(&work.asked).unwrap_or_default();
    // What was typed to find them is not asked for again; which part of a name is which, people say.
    let known = Person {
        nhs_number: search.nhs_number,
        family_name: search.name,
        birth_date: search.birth_date,
        postcode: search.postcode,
        telephone: search.telephone,
        ..Person::default()
    };
    new_person_page(&signed, work.errand, Errors::default(), draft, PersonForm::of(&known))
}

fn new_person_page(
    signed: &Signed,
    errand: Errand,
    errors: Errors,
    draft: DraftId,
    form: PersonForm,
) -> Page {
    let frame =
        StaffFrame::new("Somebody who is not in the list", signed, errand.home()).with_errors(&errors);
    let page = NewPage { frame, errors, draft, form };
    form_shown(&page, &page.errors)
}

pub(super) async fn new(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<PersonForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    match form.read(counter.today()) {
        Ok(person) => chosen(&counter, &signed, draft, &work, person),
        Err(errors) => new_person_page(&signed, work.errand, errors, draft, form),
    }
}

/// An appointment in a list.
pub(super) struct Line {
    pub id: String,
    pub when: String,
    pub service: String,
    pub place: String,
    pub state: Mark,
}

impl Line {
    pub fn of(appointment: &Appointment, counter: &Counter) -> Self {
        Self {
            id: appointment.id.to_string(),
            when: times::moment(appointment.start, counter.now()),
            service: appointment.service_name.clone(),
            place: appointment.place.name.clone(),
            state: marks::state(appointment),
        }
    }
}

#[derive(Template)]
#[template(path = "reception/person.html")]
struct PersonPage {
    frame: StaffFrame,
    draft: DraftId,
    banner: Banner,
    practice: String,
    has_number: bool,
    appointments: Vec<Line>,
}

pub(super) async fn person(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let Some(person) = &work.person else { return to(&format!("/patients/{draft}")) };
    let appointments = person.nhs_number.map(|number| counter.reception.appointments_of(number));
    shown(&PersonPage {
        // A title stands in the browser's history: it names nobody.
        frame: StaffFrame::new("Patient", &signed, "/patients"),
        draft,
        banner: Banner::of(person, counter.today()),
        practice: person.practice.clone(),
        has_number: person.nhs_number.is_some(),
        appointments: appointments.unwrap_or_default().iter().map(|one| Line::of(one, &counter)).collect(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrandForm {
    errand: String,
}

/// `POST /patients/{draft}/errand`: something new for the patient of this work.
pub(super) async fn begin(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<ErrandForm>,
) -> Result<Response, Failure> {
    let (_, work) = counter.work(&signed, &draft)?;
    let person = work.person.clone().ok_or(Failure::BadForm)?;
    let errand = Errand::of(&form.errand);
    let draft = counter.begin(&signed, Work::for_person(errand, person))?;
    to(&first_step(errand, draft))
}
