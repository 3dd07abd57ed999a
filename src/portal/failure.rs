//! What a browser sees when there is no page: the same frame, plain words and a way back.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

use crate::flow::operate::NoAnswer;

use super::Frame;

/// Why there is no page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    NotFound,
    WrongMethod,
    BadForm,
    ForeignForm,
    StaleForm,
    NotInHand,
    NoSuchSwitch,
    NoAnswer,
    Broken,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    heading: &'static str,
    text: &'static str,
}

impl Failure {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotFound => {
                (StatusCode::NOT_FOUND, "Page not found", "If you typed the address, check that it is right.")
            }
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "This page cannot do that",
                "The address is right, but not for what was asked of it.",
            ),
            Self::BadForm => (
                StatusCode::BAD_REQUEST,
                "The form could not be read",
                "Go back, load the page again, and send the form once more.",
            ),
            Self::ForeignForm => (
                StatusCode::FORBIDDEN,
                "The form did not come from this page",
                "For safety, forms are taken only from the portal’s own pages, under its own address.",
            ),
            Self::StaleForm => (
                StatusCode::FORBIDDEN,
                "The form is out of date",
                "Nothing was changed. Somebody signed in or out since the page was loaded: go back, load the page \
                 again, and send the form once more.",
            ),
            Self::NotInHand => (
                StatusCode::GONE,
                "This is no longer in hand",
                "Work that is left alone for two hours is forgotten, and so is all of it when the hub starts again. \
                 If it was booked before, it stands: find the patient to see it. Otherwise begin again.",
            ),
            Self::NoSuchSwitch => (
                StatusCode::NOT_FOUND,
                "There is no such switch",
                "Only the demonstration has a switch for the WAN.",
            ),
            Self::NoAnswer => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The hub does not answer",
                "The portal runs, but the hub behind it does not answer. Next step: polygate doctor",
            ),
            Self::Broken => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The page could not be made",
                "This is a fault in the program. Messages are not affected. Next step: polygate doctor",
            ),
        }
    }
}

impl From<NoAnswer> for Failure {
    fn from(NoAnswer: NoAnswer) -> Self {
        Self::NoAnswer
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "page could not be made");
        Self::Broken
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, heading, text) = self.parts();
        let page = ErrorPage { frame: Frame::new(heading, "Hub portal"), heading, text };
        match page.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(error) => {
                tracing::error!(%error, "error page could not be made");
                (status, heading).into_response()
            }
        }
    }
}
