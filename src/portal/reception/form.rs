//! What the desk's forms have in common: choices, and how a form arrives.

use axum::{
    Form,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use crate::portal::failure::Failure;

/// One thing that may be chosen.
pub(in crate::portal) struct Choice {
    pub value: String,
    pub label: String,
    pub chosen: bool,
}

impl Choice {
    pub fn new(value: impl Into<String>, label: impl Into<String>, chosen: bool) -> Self {
        Self { value: value.into(), label: label.into(), chosen }
    }
}

/// A form as it was sent; one that cannot be read is answered with a page that says so.
pub(in crate::portal) struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Form::from_request(request, state).await.map(|Form(form)| Self(form)).map_err(|_| Failure::BadForm)
    }
}

/// How long a text is, in characters as people count them: browsers send a line's end as two.
pub(in crate::portal) fn characters(text: &str) -> usize {
    plain(text).trim().chars().count()
}

/// A text with one character at the end of a line.
pub(in crate::portal) fn plain(text: &str) -> String {
    text.replace("\r\n", "\n")
}
