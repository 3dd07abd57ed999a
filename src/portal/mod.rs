//! The hub's web pages and their JSON: the status for everybody, and pages for the staff who sign in.
//!
//! Pages work without JavaScript; with it, their parts refresh each second. Nothing is loaded from elsewhere.

mod api;
mod assets;
mod failure;
mod forbidden;
mod frame;
mod origin;
mod path;
mod provider;
pub mod reception;
mod record;
mod session;
mod sign_in;
mod strip;
#[cfg(test)]
mod tests;
mod users;
mod view;

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, header},
    middleware::map_response,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use crate::{
    domain::ids::HubId,
    flow::{
        disclose::Records,
        operate::{NoAnswer, Operate, ask},
    },
};

use failure::Failure;
use frame::Errors;
use session::Door;
use view::HubView;

pub use session::Staff;

/// The longest form has two short fields.
const FORM_BYTES_MAX: usize = 4 << 10;
/// Whoever looks at a page gives up about then; the page says that the hub does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages load only what this portal serves, run nothing that is written into them, and are in nobody's frame.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// What the portal is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// DNS names under which browsers may send forms, besides `localhost` and plain IP addresses.
    pub names: Vec<String>,
    /// Who may sign in; nobody can without.
    pub staff: Option<Staff>,
    /// The reception desk; its pages are there only where people can sign in.
    pub desk: Option<reception::Desk>,
    /// The patients' records; their pages are there only where people can sign in.
    pub records: Option<Arc<Records>>,
}

/// The portal of one hub, or of all hubs of a demonstration. Has a fallback, so merge others into it.
pub fn router(hubs: Vec<Arc<dyn Operate>>, options: Options) -> Router {
    let names: Arc<[String]> = Arc::from(options.names);
    let door = options.staff.map(|staff| Door::new(staff, Arc::clone(&names)));
    let staff_pages =
        door.as_ref().map_or_else(Router::new, |door| sign_in::pages(door).merge(users::pages(door)));
    let desk_pages =
        door.as_ref().zip(options.desk.as_ref()).map(|(door, desk)| reception::routes(desk, door));
    let record_pages =
        door.as_ref().zip(options.records.as_ref()).map(|(door, records)| record::routes(records, door));
    let hubs = Hubs { all: Arc::from(hubs), names, door };
    Router::new()
        .merge(staff_pages)
        .merge(desk_pages.unwrap_or_default().with_state(()))
        .merge(record_pages.unwrap_or_default().with_state(()))
        .route("/", get(live_page))
        .route("/live", get(live_parts))
        .route("/status", get(status_page))
        .route("/status/live", get(status_parts))
        .route("/wan", post(set_wan))
        .route("/api/status", get(api::status))
        .route("/api/openapi.json", get(api::description))
        .route("/assets/{name}", get(asset))
        .fallback(|| async { Failure::NotFound })
        .method_not_allowed_fallback(|| async { Failure::WrongMethod })
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(map_response(harden))
        .with_state(hubs)
}

/// The hubs behind the portal.
#[derive(Clone)]
struct Hubs {
    all: Arc<[Arc<dyn Operate>]>,
    names: Arc<[String]>,
    door: Option<Door>,
}

impl Hubs {
    async fn ask_all<T: Send + 'static>(
        &self,
        question: impl Fn(&dyn Operate) -> T + Clone + Send + 'static,
    ) -> Result<Vec<T>, NoAnswer> {
        let mut answers = Vec::with_capacity(self.all.len());
        for hub in self.all.iter() {
            answers.push(ask(hub, PATIENCE, question.clone()).await?);
        }
        Ok(answers)
    }

    async fn views(&self, controls: Controls) -> Result<Vec<HubView>, NoAnswer> {
        let statuses = self.ask_all(|hub| (hub.status(), hub.wan())).await?;
        let switch = |wan: Option<bool>| if controls == Controls::Shown { wan } else { None };
        Ok(statuses.iter().map(|(status, wan)| HubView::new(status, switch(*wan))).collect())
    }

    fn page(&self, refresh: &'static str, hubs: Vec<HubView>) -> Result<Html<String>, Failure> {
        let (title, place) = match hubs.as_slice() {
            [hub] => (format!("Status of {}", hub.name), hub.name.clone()),
            many => (format!("Status of {} hubs", many.len()), format!("{} hubs", many.len())),
        };
        let frame = Frame { sign_in: self.door.is_some(), ..Frame::new(&title, &place) };
        let heading = if hubs.len() == 1 { "Hub status" } else { "Hubs’ status" };
        let page = LivePage { frame, script: &assets::SCRIPT.path, heading, refresh, hubs };
        Ok(Html(page.render()?))
    }
}

/// Whether a page has things to press.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Controls {
    Shown,
    Hidden,
}

/// What every page has around its content.
struct Frame {
    title: String,
    place: String,
    home: &'static str,
    stylesheet: &'static str,
    icon: &'static str,
    /// Whether to offer signing in.
    sign_in: bool,
}

impl Frame {
    fn new(title: &str, place: &str) -> Self {
        Self {
            sign_in: false,
            title: format!("{title} – polygate"),
            place: place.to_owned(),
            home: "/",
            stylesheet: &assets::STYLESHEET.path,
            icon: &assets::ICON.path,
        }
    }

    /// The frame of a page with a form: if it has errors, the title says so first.
    fn titled(title: &str, place: &str, errors: &Errors) -> Self {
        let error = if errors.is_empty() { "" } else { "Error: " };
        Self::new(&format!("{error}{title}"), place)
    }
}

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    frame: Frame,
    script: &'static str,
    heading: &'static str,
    refresh: &'static str,
    hubs: Vec<HubView>,
}

#[derive(Template)]
#[template(path = "fragment.html")]
struct LiveParts {
    hubs: Vec<HubView>,
}

/// The form behind the demonstration's switch.
#[derive(Deserialize)]
struct WanForm {
    hub: HubId,
    connected: bool,
}

/// `GET /`: everybody's status page; those who are signed in begin at their own.
async fn live_page(State(hubs): State<Hubs>, headers: HeaderMap) -> Result<Response, Failure> {
    if let Some((visitor, _)) = hubs.door.as_ref().and_then(|door| door.visitor(&headers)) {
        return Ok(Redirect::to(frame::home(&visitor)).into_response());
    }
    let page = hubs.page("/live", hubs.views(Controls::Shown).await?)?;
    Ok(page.into_response())
}

async fn live_parts(State(hubs): State<Hubs>) -> Result<Html<String>, Failure> {
    Ok(Html(LiveParts { hubs: hubs.views(Controls::Shown).await? }.render()?))
}

async fn status_page(State(hubs): State<Hubs>) -> Result<Html<String>, Failure> {
    hubs.page("/status/live", hubs.views(Controls::Hidden).await?)
}

async fn status_parts(State(hubs): State<Hubs>) -> Result<Html<String>, Failure> {
    Ok(Html(LiveParts { hubs: hubs.views(Controls::Hidden).await? }.render()?))
}

/// `POST /wan`: cuts or restores the demonstration's WAN, then shows the page again.
async fn set_wan(
    State(hubs): State<Hubs>,
    headers: HeaderMap,
    form: Result<Form<WanForm>, FormRejection>,
) -> Result<Redirect, Failure> {
    if !origin::is_own(&headers, &hubs.names) {
        return Err(Failure::ForeignForm);
    }
    let Ok(Form(WanForm { hub: id, connected })) = form else { return Err(Failure::BadForm) };
    for hub in hubs.all.iter() {
        if ask(hub, PATIENCE, |hub| hub.status().hub).await? == id {
            let done = ask(hub, PATIENCE, move |hub| hub.set_wan(connected)).await?;
            return done.map(|()| Redirect::to("/")).map_err(|_| Failure::NoSuchSwitch);
        }
    }
    Err(Failure::NoSuchSwitch)
}

async fn asset(name: axum::extract::Path<String>) -> Result<Response, Failure> {
    assets::get(name).await.ok_or(Failure::NotFound)
}

/// Every answer of the portal says how browsers must treat it; only assets may be kept.
async fn harden(response: Response) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: with that, browsers say `Origin: null` for our own forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
