//! The page for those who are signed in, and whose role the page they want is not for.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

use crate::access::role::Role;

use super::{
    failure::Failure,
    frame::StaffFrame,
    session::{Door, Signed},
};

/// Names beyond these help nobody.
const NAMED_MAX: usize = 5;

#[derive(Template)]
#[template(path = "forbidden.html")]
struct ForbiddenPage {
    frame: StaffFrame,
    needed: Vec<Role>,
    own: Vec<Role>,
    administrators: Vec<String>,
}

/// The page: which role is needed, and whom to ask.
pub(super) fn page(door: &Door, signed: &Signed, needed: &[Role]) -> Response {
    let users = door.sign_in.users().into_iter();
    let administrators = users.filter(|row| !row.disabled && row.roles.contains(&Role::Administrator));
    let page = ForbiddenPage {
        frame: StaffFrame::new("This page is for another role", signed, ""),
        needed: needed.to_vec(),
        own: signed.visitor.roles.clone(),
        administrators: administrators.take(NAMED_MAX).map(|row| row.name).collect(),
    };
    match page.render() {
        Ok(html) => (StatusCode::FORBIDDEN, Html(html)).into_response(),
        Err(error) => Failure::from(error).into_response(),
    }
}
