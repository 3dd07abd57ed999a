//! The visit planner: several services on one day, close together, booked all or not at all.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use jiff::civil::Date;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    domain::{
        booking::{Plan, PlanWish, Service, SlotSearch},
        time::Timestamp,
    },
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
    offers::OfferView,
    person::Banner,
    practitioner, refusal, times, to,
    wish::{WishForm, services_to_choose},
    work::Work,
};

/// What a visit may hold.
const SERVICES: std::ops::RangeInclusive<usize> = 2..=6;
/// The longest visit, in minutes: a day's opening hours.
const WITHIN_MINUTES_MAX: u16 = 12 * 60;
/// The longest pause to keep between two services, in minutes.
const GAP_MINUTES_MAX: u16 = 120;

/// The form; the services come as often as they are ticked.
#[derive(Clone, Default)]
pub(super) struct VisitForm {
    pub services: Vec<String>,
    pub wish: WishForm,
    pub within: String,
    pub gap: String,
}

impl VisitForm {
    fn new(today: Date) -> Self {
        Self {
            services: Vec::new(),
            wish: WishForm::new(today),
            within: "180".to_owned(),
            gap: "10".to_owned(),
        }
    }

    /// The fields as they were sent; those of no name here are left out.
    fn of(fields: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "services" if form.services.len() <= *SERVICES.end() => form.services.push(value),
                "from" => form.wish.from = value,
                "until" => form.wish.until = value,
                "gender" => form.wish.gender = value,
                "language" => form.wish.language = value,
                "step-free" => form.wish.step_free = value,
                "within" => form.within = value,
                "gap" => form.gap = value,
                _ => {}
            }
        }
        form
    }

    fn services(&self, services: &[Service]) -> Vec<Choice> {
        let mut choices = services_to_choose(services, "");
        for choice in &mut choices {
            choice.chosen = self.services.contains(&choice.value);
        }
        choices
    }

    /// What it says, or what is wrong with it.
    fn read(&self, today: Date, services: &[Service], practice: &str) -> Result<PlanWish, Errors> {
        let mut errors = Errors::default();
        let mut chosen: Vec<&String> = Vec::new();
        for service in &self.services {
            if !chosen.contains(&service) {
                chosen.push(service);
            }
        }
        if !SERVICES.contains(&chosen.len()) {
            errors.add("services", format!("Choose {} to {} services", SERVICES.start(), SERVICES.end()));
        }
        let minutes =
            |text: &str, most: u16| text.trim().parse().ok().filter(|minutes: &u16| *minutes <= most);
        let within = minutes(&self.within, WITHIN_MINUTES_MAX).filter(|minutes| 0 < *minutes);
        if within.is_none() {
            errors.add("within", format!("Enter the longest stay in minutes, 1 to {WITHIN_MINUTES_MAX}"));
        }
        let gap = minutes(&self.gap, GAP_MINUTES_MAX);
        if gap.is_none() {
            errors.add("gap", format!("Enter the time between services in minutes, 0 to {GAP_MINUTES_MAX}"));
        }
        let mut searches: Vec<SlotSearch> = Vec::with_capacity(chosen.len());
        if errors.is_empty() {
            for service in chosen {
                let wish = WishForm { service: service.clone(), ..self.wish.clone() };
                searches.push(wish.read(today, services, practice).map_err(rehung)?);
            }
        } else {
            self.wish.read_window(today, &mut errors);
        }
        let (Some(within_minutes), Some(gap_minutes), true) = (within, gap, errors.is_empty()) else {
            return Err(errors);
        };
        Ok(PlanWish { services: searches, within_minutes, gap_minutes })
    }
}

/// Errors of one service's wish, at the fields of this page.
fn rehung(errors: Errors) -> Errors {
    let mut rehung = Errors::default();
    for (field, text) in errors.all() {
        rehung.add(if *field == "service" { "services" } else { field }, text.clone());
    }
    rehung
}

#[derive(Template)]
#[template(path = "reception/visit.html")]
struct VisitPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    banner: Banner,
    services: Vec<Choice>,
    form: VisitForm,
}

pub(super) async fn page(State(counter): State<Counter>, signed: Signed, Path(draft): Path<String>) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let form = work.visit.clone().unwrap_or_else(|| VisitForm::new(counter.today()));
    visit_shown(&counter, &signed, draft, &work, Errors::default(), form)
}

fn visit_shown(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    errors: Errors,
    form: VisitForm,
) -> Page {
    let Some(person) = &work.person else { return to(&format!("/patients/{draft}")) };
    let page = VisitPage {
        frame: StaffFrame::new("Plan a visit", signed, "/plan").with_errors(&errors),
        errors,
        draft,
        banner: Banner::of(person, counter.today()),
        services: form.services(&counter.services()),
        form,
    };
    form_shown(&page, &page.errors)
}

pub(super) async fn look(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(fields): Sent<Vec<(String, String)>>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    let form = VisitForm::of(fields);
    let practice = work.person.as_ref().map(|person| person.practice.clone()).unwrap_or_default();
    if let Err(errors) = form.read(counter.today(), &counter.services(), &practice) {
        return visit_shown(&counter, &signed, draft, &work, errors, form);
    }
    counter.change(&signed, draft, |work| {
        work.visit = Some(form);
        work.plans = None;
    })?;
    to(&format!("/plan/{draft}/plans"))
}

/// A visit that would suit.
struct PlanView {
    key: String,
    day: String,
    time: String,
    stay: String,
    idle: String,
    parts: Vec<OfferView>,
    provisional: bool,
}

impl PlanView {
    fn of(plan: &Plan, now: Timestamp) -> Option<Self> {
        let (first, last) = (plan.parts.first()?, plan.parts.last()?);
        let parts: Vec<OfferView> =
            plan.parts.iter().filter_map(|part| OfferView::of(std::slice::from_ref(part), now)).collect();
        Some(Self {
            key: key(plan),
            day: times::heading(times::day(first.start), times::day(now)),
            time: format!("{} to {}", times::clock(first.start), times::clock(last.end)),
            stay: times::length(last.end.since(first.start)),
            idle: format!("{} min", plan.idle_minutes),
            provisional: parts.iter().any(|part| !part.why.is_empty()),
            parts,
        })
    }
}

/// A name for a plan that stays the same when plans are looked for anew.
fn key(plan: &Plan) -> String {
    let mut digest = Sha256::new();
    for part in &plan.parts {
        digest.update(part.key.to_string());
        digest.update([0]);
    }
    let half: u128 = digest.finalize().first_chunk().copied().map_or(0, u128::from_be_bytes);
    format!("{half:032x}")
}

#[derive(Template)]
#[template(path = "reception/plans.html")]
struct PlansPage {
    frame: StaffFrame,
    errors: Errors,
    draft: DraftId,
    banner: Banner,
    plans: Vec<PlanView>,
}

pub(super) async fn plans(State(counter): State<Counter>, signed: Signed, Path(draft): Path<String>) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    plans_shown(&counter, &signed, draft, &work, Errors::default()).await
}

async fn plans_shown(
    counter: &Counter,
    signed: &Signed,
    draft: DraftId,
    work: &Work,
    mut errors: Errors,
) -> Page {
    if work.is_over() {
        return to(&format!("/book/{draft}/outcome"));
    }
    let (Some(person), Some(form)) = (&work.person, &work.visit) else {
        return to(&format!("/plan/{draft}"));
    };
    let now = counter.now();
    let plans = match form.read(counter.today(), &counter.services(), &person.practice) {
        Err(_) => return to(&format!("/plan/{draft}")),
        Ok(mut wish) => {
            for search in &mut wish.services {
                search.from = search.from.max(now);
            }
            counter.reception.plans(&practitioner(signed), &wish).await
        }
    };
    let plans = plans.unwrap_or_else(|refused| {
        errors = refusal(&refused, &[], "change");
        Vec::new()
    });
    let plans = Arc::new(plans);
    counter.change(signed, draft, |work| work.plans = Some(Arc::clone(&plans)))?;
    let page = PlansPage {
        frame: StaffFrame::new("Choose a visit", signed, "/plan").with_errors(&errors),
        errors,
        draft,
        banner: Banner::of(person, counter.today()),
        plans: plans.iter().filter_map(|plan| PlanView::of(plan, now)).collect(),
    };
    form_shown(&page, &page.errors)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PlanForm {
    plan: String,
}

pub(super) async fn choose(
    State(counter): State<Counter>,
    signed: Signed,
    Path(draft): Path<String>,
    Sent(form): Sent<PlanForm>,
) -> Page {
    let (draft, work) = counter.work(&signed, &draft)?;
    if form.plan.is_empty() {
        return Err(Failure::BadForm);
    }
    let plan =
        work.plans.as_ref().and_then(|plans| plans.iter().find(|plan| key(plan) == form.plan).cloned());
    let Some(plan) = plan else {
        let errors = Errors::one("plans", "That visit is no longer offered. Choose another one");
        return plans_shown(&counter, &signed, draft, &work, errors).await;
    };
    let runs = plan.parts.into_iter().map(|offer| vec![offer]).collect();
    counter.change(&signed, draft, |work| work.choose(runs))?;
    to(&format!("/book/{draft}/details"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::reception::fake;

    fn form(fields: &[(&str, &str)]) -> VisitForm {
        let today = times::day(fake::NOW).to_string();
        let mut all =
            vec![("from", today.as_str()), ("until", today.as_str()), ("within", "180"), ("gap", "10")];
        all.extend(fields);
        VisitForm::of(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn read(fields: &[(&str, &str)]) -> Result<PlanWish, Errors> {
        form(fields).read(times::day(fake::NOW), &fake::services(), "")
    }

    #[test]
    fn a_visit_has_two_to_six_services() {
        let two = [("services", "podiatry"), ("services", "phlebotomy")];
        let wish = read(&two).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!((wish.services.len(), wish.within_minutes, wish.gap_minutes), (2, 180, 10));
        assert_eq!(wish.services[0].from, wish.services[1].from);
        for few in [&two[..1], &[], &[two[0], two[0]]] {
            assert!(read(few).err().is_some_and(|errors| errors.of("services").is_some()));
        }
        let many: Vec<(&str, &str)> = (0..50).map(|_| ("services", "podiatry")).collect();
        assert_eq!(form(&many).services.len(), 7, "what is sent is bounded");
    }

    #[test]
    fn what_makes_no_sense_is_said_at_its_field() {
        let two = [("services", "podiatry"), ("services", "phlebotomy")];
        for (field, value) in
            [("within", "0"), ("within", "x"), ("gap", "-1"), ("gap", "121"), ("until", "2020-01-01")]
        {
            let mut fields = two.to_vec();
            fields.push((field, value));
            let errors = read(&fields).err().unwrap_or_default();
            assert!(errors.of(field).is_some(), "{field}={value}: {errors:?}");
        }
        let unknown = read(&[("services", "podiatry"), ("services", "nowhere")]).err().unwrap_or_default();
        assert!(unknown.of("services").is_some());
    }
}
