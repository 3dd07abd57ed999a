//! The pages of an open record.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Redirect},
};

use crate::{
    access::{
        audit::Outcome,
        policy::{Deed, GroundKind},
    },
    domain::{
        booking::Person,
        one_record::{Disagreement, Dispute},
    },
    flow::{disclose::Shown, words::gender},
    portal::{
        frame::StaffFrame,
        reception::{person::Banner, times},
        session::Signed,
    },
};

use super::{
    Chart, Page, named,
    panel::{self, Item, Panel},
    results::{self, Results},
    shown, viewer,
};

/// What stands around every page of a record.
struct Around {
    id: String,
    banner: Banner,
    until: String,
    ground: &'static str,
    notices: Vec<String>,
    disputes: usize,
    at: &'static str,
}

impl Around {
    fn new(id: &str, shown: &Shown, at: &'static str) -> Self {
        let demographics = &shown.record.identity.demographics;
        let field = |name: &str| demographics.get(name).cloned().unwrap_or_default();
        let birth = field("birth_date");
        let digits: String = birth.chars().filter(char::is_ascii_digit).take(8).collect();
        let birth_date = match (digits.get(..4), digits.get(4..6), digits.get(6..8)) {
            (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
            _ => birth,
        };
        let person = Person {
            nhs_number: Some(shown.patient),
            family_name: field("family_name"),
            given_names: field("given_name"),
            title: field("title"),
            birth_date,
            gender: gender(&field("gender")).to_owned(),
            ..Person::default()
        };
        Self {
            id: id.to_owned(),
            banner: Banner::of(&person, times::day(shown.record.at)),
            until: panel::until(shown),
            ground: match shown.ground {
                GroundKind::Relationship => "because the patient is in our care",
                GroundKind::SelfClaimed => "because you said that you care for the patient",
                GroundKind::Emergency => "because this is an emergency",
                GroundKind::Legal => "because the law demands it",
            },
            notices: panel::notices(shown),
            disputes: shown.record.disagreements.len(),
            at,
        }
    }
}

fn frame(signed: &Signed, title: &str) -> StaffFrame {
    StaffFrame::new(title, signed, "/clinic")
}

#[derive(Template)]
#[template(path = "record/panels.html")]
struct PanelsPage {
    frame: StaffFrame,
    around: Around,
    heading: &'static str,
    panels: Vec<Panel>,
}

/// The snapshot.
pub(super) async fn summary(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    match chart.records.view(&viewer(&signed), named(&id)?, Deed::ViewSummary).await {
        Ok(record) => shown(&PanelsPage {
            frame: frame(&signed, "Summary"),
            around: Around::new(&id, &record, "summary"),
            heading: "Summary",
            panels: panel::summary(&record),
        }),
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

/// All sections.
pub(super) async fn all(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    match chart.records.view(&viewer(&signed), named(&id)?, Deed::ViewRecord).await {
        Ok(record) => shown(&PanelsPage {
            frame: frame(&signed, "Full record"),
            around: Around::new(&id, &record, "all"),
            heading: "Full record",
            panels: panel::all(&record),
        }),
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

#[derive(Template)]
#[template(path = "record/print.html")]
struct PrintPage {
    frame: StaffFrame,
    around: Around,
    panels: Vec<Panel>,
    printed: String,
    by: String,
}

/// The snapshot on paper: what is sensitive stays behind.
pub(super) async fn print(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    match chart.records.view(&viewer(&signed), named(&id)?, Deed::Print).await {
        Ok(record) => shown(&PrintPage {
            frame: frame(&signed, "Summary to print"),
            around: Around::new(&id, &record, "print"),
            panels: panel::summary(&record),
            printed: format!(
                "{} {}",
                times::date(times::day(record.record.at)),
                times::clock(record.record.at)
            ),
            by: signed.visitor.name.clone(),
        }),
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

#[derive(Template)]
#[template(path = "record/results.html")]
struct ResultsPage {
    frame: StaffFrame,
    around: Around,
    results: Results,
}

/// Results by test and date.
pub(super) async fn results(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    match chart.records.view(&viewer(&signed), named(&id)?, Deed::ViewResults).await {
        Ok(record) => shown(&ResultsPage {
            frame: frame(&signed, "Results"),
            around: Around::new(&id, &record, "results"),
            results: results::of(&record.record),
        }),
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

#[derive(Template)]
#[template(path = "record/timeline.html")]
struct TimelinePage {
    frame: StaffFrame,
    around: Around,
    days: Vec<(String, Vec<(&'static str, Item)>)>,
}

/// Everything by time.
pub(super) async fn timeline(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    match chart.records.view(&viewer(&signed), named(&id)?, Deed::ViewTimeline).await {
        Ok(record) => shown(&TimelinePage {
            frame: frame(&signed, "Timeline"),
            around: Around::new(&id, &record, "timeline"),
            days: panel::timeline(&record),
        }),
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

#[derive(Template)]
#[template(path = "record/disagreements.html")]
struct DisagreementsPage {
    frame: StaffFrame,
    around: Around,
    disputes: Vec<(&'static str, Vec<Claim>)>,
}

struct Claim {
    system: String,
    value: String,
    said: String,
}

/// What systems say differently, side by side.
pub(super) async fn disagreements(
    State(chart): State<Chart>,
    signed: Signed,
    Path(id): Path<String>,
) -> Page {
    match chart.records.view(&viewer(&signed), named(&id)?, Deed::ViewDisagreements).await {
        Ok(record) => shown(&DisagreementsPage {
            frame: frame(&signed, "Disagreements"),
            around: Around::new(&id, &record, "disagreements"),
            disputes: record.record.disagreements.iter().map(dispute).collect(),
        }),
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

fn dispute(disagreement: &Disagreement) -> (&'static str, Vec<Claim>) {
    let title = match disagreement.about {
        Dispute::FamilyName => "Family name",
        Dispute::GivenName => "Given name",
        Dispute::BirthDate => "Date of birth",
        Dispute::Gender => "Gender",
        Dispute::Postcode => "Postcode",
        Dispute::GeneralPractice => "Registered practice",
        Dispute::Death => "Whether the patient has died",
        Dispute::Allergy => "Allergy",
        Dispute::ResultValue => "Result",
    };
    let claims = disagreement.claims.iter().map(|claim| Claim {
        system: claim.system.clone(),
        value: if claim.value.is_empty() { "Does not say".to_owned() } else { claim.value.clone() },
        said: times::date(times::day(claim.said_at)),
    });
    (title, claims.collect())
}

#[derive(Template)]
#[template(path = "record/viewers.html")]
struct ViewersPage {
    frame: StaffFrame,
    id: String,
    rows: Vec<ViewerLine>,
}

struct ViewerLine {
    at: String,
    who: String,
    organisation: String,
    what: String,
    outcome: &'static str,
    ground: String,
    reason: String,
}

/// Who has seen the patient.
pub(super) async fn viewers(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    let rows = match chart.records.viewers(&viewer(&signed), named(&id)?).await {
        Ok(rows) => rows,
        Err(closed) => return Chart::closed(&signed, &closed),
    };
    let rows = rows.into_iter().map(|row| ViewerLine {
        at: format!("{} {}", times::date(times::day(row.at)), times::clock(row.at)),
        who: format!("{} ({}, {})", row.name, row.user, row.roles),
        organisation: row.organisation,
        what: row.deed,
        outcome: match row.outcome {
            Outcome::Done => "Done",
            Outcome::Refused => "Refused",
            Outcome::Failed => "Failed",
        },
        ground: row.ground,
        reason: row.reason,
    });
    shown(&ViewersPage { frame: frame(&signed, "Who has viewed"), id, rows: rows.collect() })
}

/// The summary as a document for another place: FHIR R4, an International Patient Summary.
pub(super) async fn export(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    match chart.records.export(&viewer(&signed), named(&id)?).await {
        Ok(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, "application/fhir+json"),
                // The name says nothing of the patient: browsers keep lists of what was fetched.
                (header::CONTENT_DISPOSITION, "attachment; filename=\"summary.json\""),
            ];
            Ok((headers, bytes).into_response())
        }
        Err(closed) => Chart::closed(&signed, &closed),
    }
}

/// Closes the record.
pub(super) async fn close(State(chart): State<Chart>, signed: Signed, Path(id): Path<String>) -> Page {
    chart.records.close(&viewer(&signed), named(&id)?);
    Ok(Redirect::to("/clinic").into_response())
}
