//! Signing in, out and over to a colleague; the locked screen; one's own password and PIN.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State, rejection::FormRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use crate::{
    access::{
        accounts::Proof,
        role::Role,
        secret::{PASSWORD_CHARACTERS_MIN, PIN_DIGITS_MAX, PIN_DIGITS_MIN, Secret},
        sessions::{KeptForm, Token},
    },
    domain::time::Timestamp,
    flow::{
        sign_in::{Denied, SignInError},
        words,
    },
};

use super::{
    Frame,
    failure::Failure,
    frame::{Errors, StaffFrame, home},
    path::{LocalPath, encoded},
    provider::{self, ProviderView, onward},
    session::{Demand, Door, Signed, fields},
};

/// The pages of this file.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(door: &Door) -> Router<S> {
    let open = Router::new().route("/sign-in", get(sign_in_page).post(sign_in)).with_state(door.clone());
    let session = Router::new()
        .route("/sign-out", post(sign_out))
        .route("/lock", post(lock))
        .route("/locked", get(locked_page).post(unlock))
        .route("/switch-user", get(switch_page).post(switch))
        .with_state(door.clone());
    let unlocked = Router::new()
        .route("/account/password", get(password_page).post(change_password))
        .with_state(door.clone());
    let settled = Router::new()
        .route("/account", get(account_page))
        .route("/account/pin", get(pin_page).post(change_pin))
        .with_state(door.clone());
    open.merge(provider::pages(door))
        .merge(door.only(Demand::Session, session))
        .merge(door.only(Demand::Unlocked, unlocked))
        .merge(door.only(Demand::Settled, settled))
}

/// A page, a redirection, or why there is neither.
type Answer = Result<Response, Failure>;

#[derive(Deserialize)]
struct NextQuery {
    #[serde(default)]
    next: String,
}

impl NextQuery {
    fn path(&self) -> LocalPath {
        LocalPath::or_home(&self.next)
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    errors: Errors,
    hub: String,
    /// Who is signed in already.
    person: Option<String>,
    provider: Option<ProviderView>,
    user: String,
    next: String,
}

#[derive(Deserialize)]
struct SignInForm {
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

async fn sign_in_page(
    State(door): State<Door>,
    headers: HeaderMap,
    Query(query): Query<NextQuery>,
) -> Answer {
    sign_in_answer(&door, &headers, Errors::default(), String::new(), &query.path()).await
}

async fn sign_in(
    State(door): State<Door>,
    headers: HeaderMap,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Answer {
    if !door.is_own(&headers) {
        return Err(Failure::ForeignForm);
    }
    let Ok(Form(form)) = form else { return Err(Failure::BadForm) };
    let next = LocalPath::or_home(&form.next);
    let mut errors = Errors::default();
    if form.user.trim().is_empty() {
        errors.add("user", "Enter your user name");
    }
    if form.password.is_empty() {
        errors.add("password", "Enter your password");
    }
    if !errors.is_empty() {
        return sign_in_answer(&door, &headers, errors, form.user, &next).await;
    }
    let password = Secret::new(form.password);
    match door.sign_in.sign_in(&form.user, password, door.token(&headers)).await {
        Ok(token) => Ok(enter(&door, &token, &next)),
        // Which of them it is, is not said: it would tell strangers who works here.
        Err(SignInError::Refused(_)) => {
            let errors =
                Errors::one("user", "The user name or the password is not right, or the account is locked");
            sign_in_answer(&door, &headers, errors, form.user, &next).await
        }
        Err(error) => {
            let errors = Errors::one("user", told(error)?);
            let page = sign_in_answer(&door, &headers, errors, form.user, &next).await?;
            Ok((StatusCode::SERVICE_UNAVAILABLE, page).into_response())
        }
    }
}

async fn sign_in_answer(
    door: &Door,
    headers: &HeaderMap,
    errors: Errors,
    user: String,
    next: &LocalPath,
) -> Answer {
    let page = SignInPage {
        frame: Frame::titled("Sign in", &door.hub, &errors),
        hub: door.hub.to_string(),
        person: door.visitor(headers).map(|(visitor, _)| visitor.name),
        provider: ProviderView::of(door, next).await,
        user,
        next: next.as_str().to_owned(),
        errors,
    };
    let status = status_of(&page.errors);
    Ok((status, Html(page.render()?)).into_response())
}

async fn sign_out(State(door): State<Door>, signed: Signed) -> Answer {
    door.sign_in.sign_out(signed.token());
    let cookie = [(header::SET_COOKIE, door.no_cookie())];
    // On a shared screen the next person must not be signed in as this one by a click.
    let elsewhere = door.sign_in.provider_sign_out().filter(|_| signed.visitor.federated);
    match elsewhere {
        Some(to) => {
            Ok((cookie, onward(&door.hub, "You are signed out here", "Sign out there too", to)?)
                .into_response())
        }
        None => Ok((cookie, Redirect::to("/sign-in")).into_response()),
    }
}

async fn lock(State(door): State<Door>, signed: Signed, headers: HeaderMap) -> Redirect {
    door.sign_in.lock(signed.token());
    let page = super::session::page_behind(&headers);
    Redirect::to(&format!("/locked?next={}", encoded(page.as_str())))
}

#[derive(Template)]
#[template(path = "locked.html")]
struct LockedPage {
    frame: Frame,
    errors: Errors,
    person: String,
    takes_pin: bool,
    keeps_form: bool,
    /// The provider's name and address, for someone whom it vouches for.
    provider: Option<(String, String)>,
    csrf: String,
    next: String,
}

#[derive(Template)]
#[template(path = "carry_on.html")]
struct CarryOnPage {
    frame: StaffFrame,
    path: String,
    fields: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct UnlockForm {
    #[serde(default)]
    pin: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

async fn locked_page(State(door): State<Door>, signed: Signed, Query(query): Query<NextQuery>) -> Answer {
    if !signed.visitor.locked {
        return Ok(Redirect::to(query.path().as_str()).into_response());
    }
    locked_answer(&door, &signed, Errors::default(), &query.path())
}

fn locked_answer(door: &Door, signed: &Signed, errors: Errors, next: &LocalPath) -> Answer {
    // The account may have changed since the request was let in: the PIN may be spent by now.
    let takes_pin = door.sign_in.visit(signed.token()).is_some_and(|visitor| visitor.takes_pin);
    let label = door.sign_in.provider_label().filter(|_| signed.visitor.federated);
    let page = LockedPage {
        provider: label.map(|label| (label.to_owned(), provider::address(next))),
        frame: Frame::titled("Screen locked", &signed.hub, &errors),
        person: signed.visitor.name.clone(),
        takes_pin,
        keeps_form: door.sign_in.has_form(signed.token()),
        csrf: signed.visitor.csrf.clone(),
        next: next.as_str().to_owned(),
        errors,
    };
    let status = status_of(&page.errors);
    Ok((status, Html(page.render()?)).into_response())
}

async fn unlock(State(door): State<Door>, signed: Signed, Form(form): Form<UnlockForm>) -> Answer {
    let next = LocalPath::or_home(&form.next);
    let (proof, field, typed) = if form.password.is_empty() {
        (Proof::Pin, "pin", form.pin)
    } else {
        (Proof::Password, "password", form.password)
    };
    if typed.is_empty() {
        let field = if signed.visitor.takes_pin { "pin" } else { "password" };
        let errors = Errors::one(field, "Enter your PIN or your password");
        return locked_answer(&door, &signed, errors, &next);
    }
    match door.sign_in.unlock(signed.token(), Secret::new(typed), proof).await {
        Ok(token) => match carry_on(&door, &token).await? {
            Some(page) => Ok(([(header::SET_COOKIE, door.cookie(&token))], page).into_response()),
            None => Ok(enter(&door, &token, &next)),
        },
        Err(error) => {
            let takes_pin = door.sign_in.visit(signed.token()).is_some_and(|visitor| visitor.takes_pin);
            let field = if takes_pin { field } else { "password" };
            let errors = Errors::one(field, denied(error, proof, door.sign_in.now())?);
            locked_answer(&door, &signed, errors, &next)
        }
    }
}

/// After the screen is open again: the form that was sent meanwhile, if one was.
pub(super) async fn carry_on(door: &Door, token: &Token) -> Result<Option<Html<String>>, Failure> {
    let kept = door.sign_in.take_form(token.as_str());
    let visitor = door.sign_in.visit(token.as_str());
    let (Some(KeptForm { path, body }), Some(visitor)) = (kept, visitor) else { return Ok(None) };
    let signed = Signed::new(visitor, door, token);
    let typed = fields(body.into()).await.unwrap_or_default();
    let page = CarryOnPage {
        frame: StaffFrame::new("Carry on", &signed, &path),
        path,
        fields: typed.into_iter().filter(|(name, _)| name != "csrf").collect(),
    };
    Ok(Some(Html(page.render()?)))
}

#[derive(Template)]
#[template(path = "switch_user.html")]
struct SwitchPage {
    frame: Frame,
    errors: Errors,
    person: String,
    csrf: String,
    user: String,
}

#[derive(Deserialize)]
struct SwitchForm {
    #[serde(default)]
    user: String,
    #[serde(default)]
    pin: String,
}

async fn switch_page(signed: Signed) -> Answer {
    switch_answer(&signed, Errors::default(), String::new())
}

fn switch_answer(signed: &Signed, errors: Errors, user: String) -> Answer {
    let page = SwitchPage {
        frame: Frame::titled("Switch user", &signed.hub, &errors),
        person: signed.visitor.name.clone(),
        csrf: signed.visitor.csrf.clone(),
        user,
        errors,
    };
    let status = status_of(&page.errors);
    Ok((status, Html(page.render()?)).into_response())
}

async fn switch(State(door): State<Door>, signed: Signed, Form(form): Form<SwitchForm>) -> Answer {
    let mut errors = Errors::default();
    if form.user.trim().is_empty() {
        errors.add("user", "Enter your user name");
    }
    if form.pin.is_empty() {
        errors.add("pin", "Enter your PIN");
    }
    if !errors.is_empty() {
        return switch_answer(&signed, errors, form.user);
    }
    match door.sign_in.switch(signed.token(), &form.user, Secret::new(form.pin)).await {
        Ok(token) => Ok(enter(&door, &token, &LocalPath::or_home("/"))),
        Err(SignInError::Refused(_)) => {
            let errors = Errors::one(
                "user",
                "The user name or the PIN is not right, or only the password opens: sign in with your password",
            );
            switch_answer(&signed, errors, form.user)
        }
        Err(error) => switch_answer(&signed, Errors::one("user", told(error)?), form.user),
    }
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: StaffFrame,
    user: String,
    person: String,
    roles: Vec<Role>,
    has_pin: bool,
    takes_pin: bool,
    federated: bool,
}

async fn account_page(signed: Signed) -> Answer {
    let visitor = &signed.visitor;
    let page = AccountPage {
        frame: StaffFrame::new("Your account", &signed, "/account"),
        user: visitor.user.to_string(),
        person: visitor.name.clone(),
        roles: visitor.roles.clone(),
        has_pin: visitor.has_pin,
        takes_pin: visitor.takes_pin,
        federated: visitor.federated,
    };
    Ok(Html(page.render()?).into_response())
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    frame: StaffFrame,
    errors: Errors,
    user: String,
    must_change: bool,
    hint: String,
}

#[derive(Deserialize)]
struct PasswordForm {
    #[serde(default)]
    current: String,
    #[serde(default)]
    new: String,
}

async fn password_page(signed: Signed) -> Answer {
    password_answer(&signed, Errors::default())
}

fn password_answer(signed: &Signed, errors: Errors) -> Answer {
    let page = PasswordPage {
        frame: StaffFrame::new("Change your password", signed, "/account/password").with_errors(&errors),
        user: signed.visitor.user.to_string(),
        must_change: signed.visitor.must_change,
        hint: format!(
            "At least {PASSWORD_CHARACTERS_MIN} characters. Three or four words that do not belong together are \
             good; signs and digits are not needed."
        ),
        errors,
    };
    let status = status_of(&page.errors);
    Ok((status, Html(page.render()?)).into_response())
}

async fn change_password(State(door): State<Door>, signed: Signed, Form(form): Form<PasswordForm>) -> Answer {
    let (current, new) = (Secret::new(form.current), Secret::new(form.new));
    match door.sign_in.change_password(signed.token(), current, new).await {
        Ok(token) => Ok(enter(&door, &token, &LocalPath::or_home("/"))),
        Err(error @ (SignInError::Unfit(_) | SignInError::Same)) => {
            password_answer(&signed, Errors::one("new", sentence(&error.to_string())))
        }
        Err(error) => {
            let text = denied(error, Proof::Password, door.sign_in.now())?;
            password_answer(&signed, Errors::one("current", text))
        }
    }
}

#[derive(Template)]
#[template(path = "pin.html")]
struct PinPage {
    frame: StaffFrame,
    errors: Errors,
    user: String,
    has_pin: bool,
    federated: bool,
    hint: String,
}

#[derive(Deserialize)]
struct PinForm {
    #[serde(default)]
    current: String,
    #[serde(default)]
    pin: String,
    /// The button that was pressed.
    #[serde(default)]
    deed: String,
}

async fn pin_page(signed: Signed) -> Answer {
    pin_answer(&signed, Errors::default())
}

fn pin_answer(signed: &Signed, errors: Errors) -> Answer {
    let page = PinPage {
        frame: StaffFrame::new("Your PIN", signed, "/account/pin").with_errors(&errors),
        user: signed.visitor.user.to_string(),
        has_pin: signed.visitor.has_pin,
        federated: signed.visitor.federated,
        hint: format!("{PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits, not all the same and not in a row"),
        errors,
    };
    let status = status_of(&page.errors);
    Ok((status, Html(page.render()?)).into_response())
}

async fn change_pin(State(door): State<Door>, signed: Signed, Form(form): Form<PinForm>) -> Answer {
    let pin = (form.deed != "remove").then(|| Secret::new(form.pin));
    match door.sign_in.change_pin(signed.token(), Secret::new(form.current), pin).await {
        Ok(()) => Ok(Redirect::to("/account").into_response()),
        Err(error @ (SignInError::UnfitPin(_) | SignInError::NotFresh)) => {
            pin_answer(&signed, Errors::one("pin", sentence(&error.to_string())))
        }
        Err(error) => {
            let text = denied(error, Proof::Password, door.sign_in.now())?;
            pin_answer(&signed, Errors::one("current", text))
        }
    }
}

/// Gives the browser its token and sends it to the page.
fn enter(door: &Door, token: &Token, next: &LocalPath) -> Response {
    let to = going(door, token, next);
    let cookie: [(HeaderName, HeaderValue); 1] = [(header::SET_COOKIE, door.cookie(token))];
    (cookie, Redirect::to(&to)).into_response()
}

/// The page that was wanted; `/` is everybody's own home.
pub(super) fn going(door: &Door, token: &Token, next: &LocalPath) -> String {
    if next.as_str() != "/" {
        return next.as_str().to_owned();
    }
    door.sign_in.visit(token.as_str()).map_or("/", |visitor| home(&visitor)).to_owned()
}

/// Why a proof was not taken, for someone whose session says who they are.
fn denied(error: SignInError, proof: Proof, now: Timestamp) -> Result<String, Failure> {
    let SignInError::Refused(denied) = error else { return told(error) };
    Ok(match (denied, proof) {
        (Denied::Wrong { last: false }, Proof::Pin) => "This is not your PIN".to_owned(),
        (Denied::Wrong { last: false }, Proof::Password) => "This is not your password".to_owned(),
        (Denied::Wrong { last: true } | Denied::NoPin, Proof::Pin) => {
            "Your PIN does not open this screen now: enter your password".to_owned()
        }
        (Denied::Wrong { last: true }, Proof::Password) => {
            "This was one wrong password too many: your account is locked. Ask an administrator, or wait"
                .to_owned()
        }
        (Denied::Locked { until }, _) => format!(
            "Your account is locked until {} after too many wrong passwords. Ask an administrator, or wait",
            words::moment(until, now)
        ),
        (Denied::NoPin | Denied::Unknown, _) => {
            "This account cannot sign in. Ask an administrator".to_owned()
        }
    })
}

/// What went wrong, for people; or a page that says that nothing works.
fn told(error: SignInError) -> Result<String, Failure> {
    match error {
        SignInError::Busy => {
            Ok("Many people are signing in at this moment: try again in a few seconds".to_owned())
        }
        SignInError::NoSession => Err(Failure::StaleForm),
        error => {
            tracing::error!(%error, "signing in");
            Err(Failure::Broken)
        }
    }
}

/// The text with a capital letter.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect()
}

/// A form with errors was understood, and not accepted (RFC 9110, section 15.5.21).
fn status_of(errors: &Errors) -> StatusCode {
    if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
}
