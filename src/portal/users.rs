//! The administrators' page of accounts: who may do what, who is locked, and letting people in or keeping them out.
//!
//! Accounts are added, and passwords given, with `polygate user`, on the hub itself.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    Form, Router,
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use crate::{
    access::{accounts::UserId, role::Role},
    domain::time::Timestamp,
    flow::{
        sign_in::{SignInError, UserRow},
        words,
    },
};

use super::{
    failure::Failure,
    frame::{Errors, StaffFrame},
    session::{Demand, Door, Signed},
};

/// The pages of this file.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(door: &Door) -> Router<S> {
    let pages = Router::new().route("/admin", get(list).post(change)).with_state(door.clone());
    door.only(Demand::Roles(&[Role::Administrator]), pages)
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: StaffFrame,
    errors: Errors,
    users: Vec<UserView>,
}

struct UserView {
    user: String,
    name: String,
    roles: String,
    tag: &'static str,
    tone: &'static str,
    detail: String,
    /// What may be done: the word that is sent, and the button's.
    deed: Option<(&'static str, &'static str)>,
}

#[derive(Deserialize)]
struct Change {
    user: UserId,
    deed: Deed,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Deed {
    Unlock,
    Disable,
    Enable,
}

async fn list(State(door): State<Door>, signed: Signed) -> Result<Response, Failure> {
    answer(&door, &signed, Errors::default()).await
}

async fn answer(door: &Door, signed: &Signed, errors: Errors) -> Result<Response, Failure> {
    let now = door.sign_in.now();
    let own = &signed.visitor.user;
    let page = UsersPage {
        frame: StaffFrame::new("Accounts", signed, "/admin").with_errors(&errors),
        users: door.sign_in.users().iter().map(|row| view(row, own, now)).collect(),
        errors,
    };
    Ok(Html(page.render()?).into_response())
}

async fn change(State(door): State<Door>, signed: Signed, form: Form<Change>) -> Result<Response, Failure> {
    let Form(Change { user, deed }) = form;
    if user == signed.visitor.user {
        let errors = Errors::one("accounts", "Ask another administrator to change your own account");
        return answer(&door, &signed, errors).await;
    }
    let (sign_in, by) = (door.sign_in.clone(), signed.visitor.user.to_string());
    let work = move || match deed {
        Deed::Unlock => sign_in.unlock_user(user, &by),
        Deed::Disable => sign_in.disable_user(user, &by),
        Deed::Enable => sign_in.enable_user(user, &by),
    };
    match tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Broken)? {
        Ok(()) => Ok(Redirect::to("/admin").into_response()),
        Err(SignInError::Command(_)) => {
            answer(&door, &signed, Errors::one("accounts", "This account is not there any more")).await
        }
        Err(error) => {
            tracing::error!(%error, "an account could not be changed");
            Err(Failure::Broken)
        }
    }
}

fn view(row: &UserRow, own: &UserId, now: Timestamp) -> UserView {
    let (tag, tone, detail, deed) = match row.locked_until {
        _ if row.disabled => ("Disabled", "waiting", String::new(), ("enable", "Enable")),
        Some(until) => {
            let detail = format!("until {}, after wrong passwords", words::moment(until, now));
            ("Locked", "bad", detail, ("unlock", "Unlock"))
        }
        None if row.must_change => {
            ("New password", "attention", "has to choose one".to_owned(), ("disable", "Disable"))
        }
        None => ("Active", "good", String::new(), ("disable", "Disable")),
    };
    UserView {
        user: row.user.to_string(),
        name: row.name.clone(),
        roles: titles(&row.roles),
        tag,
        tone,
        detail,
        deed: (row.user != *own).then_some(deed),
    }
}

fn titles(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(|role| role.title()).collect::<Vec<_>>().join(", ")
}
