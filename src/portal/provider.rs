//! To the organisation's identity provider and back: the two addresses a browser takes, and what it sees there.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{AppendHeaders, Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use crate::flow::{
    sign_in::{ProviderError, ProviderStatus, Reach, Return, SignInError},
    words,
};

use super::{
    Frame,
    failure::Failure,
    path::LocalPath,
    session::Door,
    sign_in::{carry_on, going},
};

/// As long as a sign-in may take at the provider.
const COOKIE_SECONDS: u64 = crate::access::oidc::pending::PATIENCE.as_secs();

/// The pages of this file.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(door: &Door) -> Router<S> {
    Router::new()
        .route("/sign-in/provider", get(depart))
        .route("/sign-in/callback", get(arrive))
        .with_state(door.clone())
}

/// The provider as the sign-in page shows it.
pub(super) struct ProviderView {
    pub label: String,
    /// Since when it cannot be reached, in words.
    pub unreachable_since: Option<String>,
    /// Where its button leads.
    pub address: String,
}

impl ProviderView {
    /// The view of it, with the page to go on to.
    pub async fn of(door: &Door, next: &LocalPath) -> Option<Self> {
        let ProviderStatus { label, reach } = door.sign_in.provider_status().await?;
        let unreachable_since = match reach {
            Reach::Reached => None,
            Reach::Unreachable { since } => Some(words::moment(since, door.sign_in.now())),
        };
        Some(Self { label, unreachable_since, address: address(next) })
    }
}

/// Where the button leads.
pub(super) fn address(next: &LocalPath) -> String {
    format!("/sign-in/provider?next={}", super::path::encoded(next.as_str()))
}

#[derive(Template)]
#[template(path = "onward.html")]
struct OnwardPage {
    frame: Frame,
    heading: &'static str,
    label: &'static str,
    to: String,
}

/// A page that goes on by itself. A redirection would not do: browsers send a `SameSite=Strict` cookie only if one of our
/// own pages leads on, and keep to `form-action` in what a form redirects to.
pub(super) fn onward(
    hub: &str,
    heading: &'static str,
    label: &'static str,
    to: String,
) -> Result<Response, Failure> {
    let page = OnwardPage { frame: Frame::new(heading, hub), heading, label, to };
    Ok(Html(page.render()?).into_response())
}

#[derive(Deserialize)]
struct Departing {
    #[serde(default)]
    next: String,
}

/// `GET /sign-in/provider`: off to the provider. Only from our own pages: nobody else has a reason to begin.
async fn depart(
    State(door): State<Door>,
    headers: HeaderMap,
    Query(query): Query<Departing>,
) -> Result<Response, Failure> {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    let next = LocalPath::or_home(&query.next);
    match door.sign_in.depart(next.as_str(), door.token(&headers)).await {
        Ok(departure) => {
            let cookie = [(header::SET_COOKIE, door.provider_cookie(&departure.browser, COOKIE_SECONDS))];
            Ok((cookie, Redirect::to(&departure.address)).into_response())
        }
        Err(error) => refusal(&door, &error),
    }
}

/// What a provider sends a browser back with (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Default, Deserialize)]
struct Arriving {
    #[serde(default)]
    state: String,
    code: Option<String>,
    iss: Option<String>,
}

/// `GET /sign-in/callback`: back from the provider. Whatever comes of it, the cookie has done its work.
async fn arrive(
    State(door): State<Door>,
    headers: HeaderMap,
    query: Result<Query<Arriving>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query.unwrap_or_default();
    let back = Return {
        state: &query.state,
        browser: door.provider_token(&headers).unwrap_or_default(),
        code: query.code.as_deref(),
        issuer: query.iss.as_deref(),
    };
    let over: [(HeaderName, HeaderValue); 1] = [(header::SET_COOKIE, door.provider_cookie("", 0))];
    let response = match door.sign_in.arrive(back).await {
        Ok(arrival) => {
            let next = LocalPath::or_home(&arrival.next);
            let cookie = AppendHeaders([(header::SET_COOKIE, door.cookie(&arrival.token))]);
            match carry_on(&door, &arrival.token).await? {
                Some(page) => (cookie, page).into_response(),
                None => {
                    let to = going(&door, &arrival.token, &next);
                    (cookie, onward(&door.hub, "You are signed in", "Carry on", to)?).into_response()
                }
            }
        }
        // Another browser, or the same answer once more: the sign-in that has begun here is not disturbed.
        Err(error @ ProviderError::NotBegunHere) => return refusal(&door, &error),
        Err(error) => refusal(&door, &error)?,
    };
    Ok((AppendHeaders(over), response).into_response())
}

#[derive(Template)]
#[template(path = "provider_error.html")]
struct ErrorPage {
    frame: Frame,
    heading: &'static str,
    text: String,
}

/// Why nobody is signed in, in plain words, and what to do.
fn refusal(door: &Door, error: &ProviderError) -> Result<Response, Failure> {
    let Some(label) = door.sign_in.provider_label() else { return Err(Failure::NotFound) };
    let contact = door.sign_in.provider_contact();
    let (status, heading, text) = match error {
        ProviderError::None => return Err(Failure::NotFound),
        ProviderError::Unreachable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "National sign-in unavailable",
            format!(
                "{label} cannot be reached. Local accounts still work: sign in with your user name and password at \
                 {}.",
                door.hub
            ),
        ),
        ProviderError::NotBegunHere => (
            StatusCode::BAD_REQUEST,
            "This sign-in cannot be finished",
            "It was begun in another browser, took longer than 10 minutes, or is finished already. Begin again."
                .to_owned(),
        ),
        ProviderError::NotSignedIn => (
            StatusCode::FORBIDDEN,
            "You are not signed in",
            format!("{label} did not sign you in. Try again, or ask {contact}."),
        ),
        ProviderError::Distrusted(_) => (
            StatusCode::BAD_GATEWAY,
            "You are not signed in",
            format!(
                "What {label} answered cannot be relied on, so nobody was signed in. Tell an administrator of {}; \
                 local accounts still work.",
                door.hub
            ),
        ),
        ProviderError::NoRole => (
            StatusCode::FORBIDDEN,
            "You have no role here",
            format!(
                "{label} knows you, and none of your roles is one for {}. Ask {contact} for the role that your work \
                 needs.",
                door.hub
            ),
        ),
        ProviderError::Disabled => (
            StatusCode::FORBIDDEN,
            "You are kept out",
            format!("An administrator of {} has disabled your account. Ask them.", door.hub),
        ),
        ProviderError::SignIn(SignInError::Command(_)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "There is no room for your account",
            format!("Tell an administrator of {}; local accounts still work.", door.hub),
        ),
        ProviderError::SignIn(error) => {
            tracing::error!(%error, "signing in with the identity provider");
            return Err(Failure::Broken);
        }
    };
    let page = ErrorPage { frame: Frame::new(heading, &door.hub), heading, text };
    Ok((status, Html(page.render()?)).into_response())
}
