//! Who sends a request, and whether they may: the one place where pages for staff are guarded.
//!
//! Pages are put behind [`Door::only`]; what reaches them has a session, the role they ask for, and, if it
//! changes anything, came from one of our own forms. They learn who it is with the extractor [`Signed`].

use std::sync::Arc;

use axum::{
    Form, Router,
    body::{Body, Bytes, to_bytes},
    extract::{DefaultBodyLimit, FromRequest as _, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    access::{
        role::Role,
        sessions::{KeptForm, Token, is_own_form},
    },
    flow::{
        operate::Operate,
        sign_in::{SignIn, Visitor},
        status::LinkStrip,
    },
};

use super::{
    failure::Failure,
    forbidden, origin,
    path::{LocalPath, encoded},
};

/// The longest form of the staff’s pages: so that a letter pasted into a comment of 500 characters (6 KiB when each is
/// escaped) comes back with a word about its length, and is not lost.
const FORM_BYTES_MAX: usize = 64 << 10;
/// What pages say with requests that no hand is behind (`portal.js`).
const REFRESH: HeaderName = HeaderName::from_static("x-polygate-refresh");
/// With TLS: browsers take such a cookie only for this host, and only over TLS (RFC 6265bis, section 4.1.3.2).
const COOKIE_TLS: &str = "__Host-polygate";
/// On loopback, where there is no TLS.
const COOKIE_PLAIN: &str = "polygate";
/// The same two for a sign-in that is at the identity provider now.
const PROVIDER_TLS: &str = "__Host-polygate-sign-in";
const PROVIDER_PLAIN: &str = "polygate-sign-in";

/// What the portal must know to let people in.
#[derive(Clone, Debug)]
pub struct Staff {
    /// The accounts and sessions.
    pub sign_in: Arc<SignIn>,
    /// The hub's name, as pages show it.
    pub hub: String,
    /// Whether browsers reach the portal over TLS.
    pub tls: bool,
    /// Whose links are shown on every page; none if they are not.
    pub links: Option<Arc<dyn Operate>>,
}

/// Someone who is signed in, as pages see them.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    /// Who, and what they may do.
    pub visitor: Visitor,
    /// The hub's name.
    pub hub: Arc<str>,
    token: Arc<str>,
    links: Option<Arc<dyn Operate>>,
}

impl Signed {
    /// Someone whose session has just been opened.
    pub fn new(visitor: Visitor, door: &Door, token: &Token) -> Self {
        let (hub, token) = (Arc::clone(&door.hub), Arc::from(token.as_str()));
        Self { visitor, hub, token, links: door.links.clone() }
    }

    /// How the hub's links are.
    pub fn link_strip(&self) -> Option<LinkStrip> {
        self.links.as_ref().and_then(|links| links.link_strip())
    }

    /// The token by which the browser is known.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl<S: Sync> FromRequestParts<S> for Signed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match parts.extensions.get::<Self>() {
            Some(signed) => Ok(signed.clone()),
            None => {
                tracing::error!(path = parts.uri.path(), "a page asks who is signed in and is not guarded");
                Err(Failure::Broken)
            }
        }
    }
}

/// What a page asks of whoever wants it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Demand {
    /// A session, even if its screen is locked.
    Session,
    /// A session that is not locked.
    Unlocked,
    /// The same, and a password of their own.
    Settled,
    /// The same, and one of these roles.
    Roles(&'static [Role]),
}

/// The guard of the staff's pages.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub sign_in: Arc<SignIn>,
    pub hub: Arc<str>,
    names: Arc<[String]>,
    tls: bool,
    links: Option<Arc<dyn Operate>>,
}

impl Door {
    /// The guard; `names` are the host names under which forms are taken.
    pub fn new(staff: Staff, names: Arc<[String]>) -> Self {
        let Staff { sign_in, hub, tls, links } = staff;
        Self { sign_in, hub: Arc::from(hub), names, tls, links }
    }

    /// The same pages, for those who meet the demand alone.
    pub fn only<S: Clone + Send + Sync + 'static>(&self, demand: Demand, pages: Router<S>) -> Router<S> {
        let guard = Guard { door: self.clone(), demand };
        pages.route_layer(from_fn_with_state(guard, admit)).route_layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
    }

    /// Whether a form comes from one of our own pages.
    pub fn is_own(&self, headers: &HeaderMap) -> bool {
        origin::is_own(headers, &self.names)
    }

    /// Who sends the request, if its cookie says so.
    pub fn visitor(&self, headers: &HeaderMap) -> Option<(Visitor, Arc<str>)> {
        let token = self.token(headers)?;
        let visitor = match headers.contains_key(REFRESH) {
            true => self.sign_in.glance(token)?,
            false => self.sign_in.visit(token)?,
        };
        Some((visitor, Arc::from(token)))
    }

    /// The token in the request's cookie.
    pub fn token<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie_value(headers, self.cookie_name())
    }

    /// What a browser was given when it left for the identity provider.
    pub fn provider_token<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie_value(headers, self.provider_cookie_name())
    }

    /// The header that gives it that, for so many seconds. Not `Strict`: it must come along when the provider sends the
    /// browser back.
    pub fn provider_cookie(&self, value: &str, seconds: u64) -> HeaderValue {
        let end = format!("; Max-Age={seconds}");
        self.header_of(self.provider_cookie_name(), value, "Lax", &end)
    }

    const fn provider_cookie_name(&self) -> &'static str {
        if self.tls { PROVIDER_TLS } else { PROVIDER_PLAIN }
    }

    /// The header that gives a browser its token.
    pub fn cookie(&self, token: &Token) -> HeaderValue {
        self.cookie_header(token.as_str(), "")
    }

    /// The header that takes it away.
    pub fn no_cookie(&self) -> HeaderValue {
        self.cookie_header("", "; Max-Age=0")
    }

    fn cookie_header(&self, value: &str, end: &str) -> HeaderValue {
        self.header_of(self.cookie_name(), value, "Strict", end)
    }

    fn header_of(&self, name: &str, value: &str, same_site: &str, end: &str) -> HeaderValue {
        let secure = if self.tls { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{end}");
        // A token is letters, digits, `-` and `_`: this does not fail.
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn cookie_name(&self) -> &'static str {
        if self.tls { COOKIE_TLS } else { COOKIE_PLAIN }
    }
}

#[derive(Clone)]
struct Guard {
    door: Door,
    demand: Demand,
}

#[derive(Deserialize)]
struct OwnForm {
    csrf: String,
}

async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request).await {
        Ok(request) => next.run(request).await,
        Err(response) => *response,
    }
}

impl Guard {
    /// The request with who sent it, or the answer to it.
    async fn check(&self, request: Request) -> Result<Request, Box<Response>> {
        let wanted = page_wanted(&request);
        let Some((visitor, token)) = self.door.visitor(request.headers()) else {
            return turn("/sign-in", &wanted);
        };
        let (request, body) = self.own_form(request, &visitor).await?;
        if visitor.locked && self.demand != Demand::Session {
            if let Some(body) = body {
                let form = KeptForm { path: request.uri().path().to_owned(), body: body.to_vec() };
                self.door.sign_in.keep_form(&token, form);
            }
            return turn("/locked", &wanted);
        }
        if visitor.must_change && matches!(self.demand, Demand::Settled | Demand::Roles(_)) {
            return turn("/account/password", &wanted);
        }
        let links = self.door.links.clone();
        let signed = Signed { visitor, hub: Arc::clone(&self.door.hub), token, links };
        if let Demand::Roles(needed) = self.demand
            && !needed.iter().any(|role| signed.visitor.roles.contains(role))
        {
            return Err(Box::new(forbidden::page(&self.door, &signed, needed)));
        }
        let mut request = request;
        request.extensions_mut().insert(signed);
        Ok(request)
    }

    /// Reads what would change something, and lets it pass if it is a form of this very session.
    async fn own_form(
        &self,
        request: Request,
        visitor: &Visitor,
    ) -> Result<(Request, Option<Bytes>), Box<Response>> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok((request, None));
        }
        if !self.door.is_own(request.headers()) {
            return refuse(Failure::ForeignForm);
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, FORM_BYTES_MAX).await else { return refuse(Failure::BadForm) };
        let copy = Request::from_parts(parts.clone(), Body::from(body.clone()));
        match Form::<OwnForm>::from_request(copy, &()).await {
            Ok(Form(form)) if is_own_form(&visitor.csrf, &form.csrf) => {
                Ok((Request::from_parts(parts, Body::from(body.clone())), Some(body)))
            }
            _ => refuse(Failure::StaleForm),
        }
    }
}

fn cookie_value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim())
}

fn refuse<T>(failure: Failure) -> Result<T, Box<Response>> {
    Err(Box::new(failure.into_response()))
}

fn turn<T>(to: &str, wanted: &LocalPath) -> Result<T, Box<Response>> {
    let address = format!("{to}?next={}", encoded(wanted.as_str()));
    Err(Box::new(Redirect::to(&address).into_response()))
}

/// The page to come back to: the one asked for, or the one whose form was sent.
fn page_wanted(request: &Request) -> LocalPath {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let asked = request.uri().path_and_query().map_or("/", |path| path.as_str());
        return LocalPath::or_home(asked);
    }
    page_behind(request.headers())
}

/// The page whose form was sent, as the browser says.
pub(super) fn page_behind(headers: &HeaderMap) -> LocalPath {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let from = text(header::REFERER).zip(text(header::ORIGIN));
    let page = from.and_then(|(page, origin)| page.strip_prefix(origin));
    LocalPath::or_home(page.unwrap_or("/"))
}

/// A form's fields, in order.
pub(super) async fn fields(body: Bytes) -> Option<Vec<(String, String)>> {
    let form = Request::post("/")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .ok()?;
    Form::from_request(form, &()).await.ok().map(|Form(fields)| fields)
}
