//! The clinicians' pages: the day's list, the gate before a record, and the record itself.
//!
//! An address names an open record by a random name that is worth nothing to anybody but whoever opened it. Each page
//! is decided on and put on record anew by [`Records`]; pages see what it shows and nothing else.

mod clinic;
mod pages;
mod panel;
mod results;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
    routing::{get, post},
};

use crate::{
    access::role::Role,
    flow::disclose::{Closed, OpenId, Records, Viewer},
};

use super::{
    failure::Failure,
    frame::StaffFrame,
    session::{Demand, Door, Signed},
};

/// The pages, for clinicians alone.
pub(super) fn routes(records: &Arc<Records>, door: &Door) -> Router {
    let pages = Router::new()
        .route("/clinic", get(clinic::list))
        .route("/clinic/find", post(clinic::find))
        .route("/clinic/{appointment}", get(clinic::gate))
        .route("/records/open", post(clinic::open))
        .route("/record/{id}", get(pages::summary))
        .route("/record/{id}/all", get(pages::all))
        .route("/record/{id}/results", get(pages::results))
        .route("/record/{id}/timeline", get(pages::timeline))
        .route("/record/{id}/disagreements", get(pages::disagreements))
        .route("/record/{id}/viewers", get(pages::viewers))
        .route("/record/{id}/print", get(pages::print))
        .route("/record/{id}/summary.json", get(pages::export))
        .route("/record/{id}/close", post(pages::close))
        .with_state(Chart { records: Arc::clone(records) });
    door.only(Demand::Roles(&[Role::Clinician]), pages)
}

/// What every page works with.
#[derive(Clone)]
struct Chart {
    records: Arc<Records>,
}

type Page = Result<Response, Failure>;

/// Why a record is not shown, as a page.
#[derive(Template)]
#[template(path = "record/closed.html")]
struct ClosedPage {
    frame: StaffFrame,
    heading: &'static str,
    text: String,
}

impl Chart {
    fn closed(signed: &Signed, closed: &Closed) -> Page {
        let (status, heading) = match closed {
            Closed::Refused(_) => (StatusCode::FORBIDDEN, "This is not shown to you"),
            Closed::Over => (StatusCode::GONE, "This record is closed"),
            Closed::Audit(_) | Closed::Alert => {
                tracing::error!(error = %closed, "a record is not shown");
                (StatusCode::SERVICE_UNAVAILABLE, "Records cannot be shown just now")
            }
            Closed::TooMany | Closed::Failed(_) => {
                tracing::error!(error = %closed, "a record is not shown");
                (StatusCode::SERVICE_UNAVAILABLE, "The record cannot be read just now")
            }
        };
        let page = ClosedPage {
            frame: StaffFrame::new(heading, signed, "/record"),
            heading,
            text: sentence(&closed.to_string()),
        };
        Ok((status, Html(page.render()?)).into_response())
    }
}

fn viewer(signed: &Signed) -> Viewer {
    let visitor = &signed.visitor;
    Viewer {
        user: visitor.user.as_str().to_owned(),
        name: visitor.name.clone(),
        roles: visitor.roles.clone(),
        device: String::new(),
    }
}

fn named(id: &str) -> Result<OpenId, Failure> {
    id.parse().map_err(|_| Failure::NotFound)
}

fn shown(page: &impl Template) -> Page {
    Ok(Html(page.render()?).into_response())
}

/// Error texts begin with a small letter and end without a stop; people read sentences.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(characters).chain(['.']).collect()
}
