//! Signing in and what it guards, as a browser meets it.

use std::time::Duration;

use axum::{
    Form, Router,
    http::{HeaderMap, HeaderName},
    routing::get as route,
};

use crate::{
    access::role::Role,
    flow::sign_in::fake::{Bench, PASSWORD, PIN, bench},
    portal::session::{Demand, Door, Signed},
};

use super::{super::Staff, *};

const HOST: &str = "127.0.0.1:8080";
const ORIGIN: &str = "http://127.0.0.1:8080";

/// What a browser keeps between requests.
struct Browser {
    router: Router,
    cookie: Option<String>,
    referer: Option<String>,
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    page: String,
}

impl Got {
    fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.page);
        self.headers[header::LOCATION].to_str().unwrap()
    }

    fn csrf(&self) -> String {
        let after = self.page.split("name=\"csrf\" value=\"").nth(1).unwrap();
        after.split('"').next().unwrap().to_owned()
    }
}

impl Browser {
    fn at(bench: &Bench) -> Self {
        Self::over(bench, false)
    }

    fn over(bench: &Bench, tls: bool) -> Self {
        let sign_in = Arc::clone(&bench.sign_in);
        let staff = Staff { sign_in, hub: "Westminster South polyclinic".to_owned(), tls, links: None };
        let hub: Arc<dyn Operate> = Arc::new(FakeHub::new(fake::calm()));
        let options = Options { staff: Some(staff.clone()), ..Options::default() };
        // A page with a form, as those of reception will be.
        let door = Door::new(staff, Arc::from(Vec::new()));
        let echo = route(|signed: Signed| async move { format!("at {}", signed.visitor.user) })
            .post(|Form(form): Form<Vec<(String, String)>>| async move { format!("{form:?}") });
        let book = Router::new().route("/book", echo);
        let book = door.only(Demand::Roles(&[Role::Reception, Role::Clinician]), book);
        Self { router: router(vec![hub], options).merge(book), cookie: None, referer: None }
    }

    async fn get(&mut self, path: &str) -> Got {
        self.go(Request::get(path), String::new()).await
    }

    async fn post(&mut self, path: &str, form: &str) -> Got {
        let request = Request::post(path)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.go(request, form.to_owned()).await
    }

    async fn go(&mut self, request: axum::http::request::Builder, body: String) -> Got {
        let mut request = request.header(header::HOST, HOST).body(Body::from(body)).unwrap();
        let mut add = |name: HeaderName, value: &Option<String>| {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        };
        add(header::COOKIE, &self.cookie);
        add(header::REFERER, &self.referer);
        let (response, page) = send(&self.router, request).await;
        if let Some(cookie) = response.headers().get(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        Got { status: response.status(), headers: response.headers().clone(), page }
    }

    async fn sign_in(&mut self, user: &str) -> Got {
        self.post("/sign-in", &format!("user={user}&password={}", PASSWORD.replace(' ', "+"))).await
    }

    async fn csrf(&mut self) -> String {
        self.get("/account").await.csrf()
    }
}

fn staffed() -> Bench {
    let bench = bench();
    bench.add("joy", "Joy Okafor", &[Role::Reception]);
    bench.add("ann", "Ann Lee", &[Role::Administrator]);
    bench.add("sam", "Sam Reed", &[Role::Analyst]);
    bench.notes.take();
    bench
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_signed_in_is_asked_to_and_comes_back() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    let asked = browser.get("/book?step=2&day=2026-11-18").await;
    let to = asked.location().to_owned();
    assert_eq!(to, "/sign-in?next=/book%3Fstep%3D2%26day%3D2026-11-18");
    let page = browser.get(&to).await;
    assert!(page.page.contains("Local accounts work without the WAN"));
    assert!(page.page.contains(r#"autocomplete="current-password""#));
    assert!(page.page.contains(r#"name="next" value="/book?step=2&#38;day=2026-11-18""#), "{}", page.page);
    let form = "user=joy&password=kettle+heron+quay&next=%2Fbook%3Fstep%3D2%26day%3D2026-11-18";
    assert_eq!(browser.post("/sign-in", form).await.location(), "/book?step=2&day=2026-11-18");
    assert_eq!(browser.get("/book").await.page, "at joy");
}

#[tokio::test(start_paused = true)]
async fn everybody_begins_at_their_roles_home_and_strangers_at_the_status_page() {
    let bench = staffed();
    for (user, home) in [("joy", "/reception"), ("ann", "/admin"), ("sam", "/account")] {
        let mut browser = Browser::at(&bench);
        let stranger = browser.get("/").await;
        assert_eq!(stranger.status, StatusCode::OK);
        assert!(stranger.page.contains("Hub status") && stranger.page.contains("href=\"/sign-in\""));
        assert_eq!(browser.sign_in(user).await.location(), home);
        assert_eq!(browser.get("/").await.location(), home);
        assert_eq!(browser.get("/status").await.status, StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_browser_is_sent_to_no_other_site() {
    let bench = staffed();
    for next in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "%2F%2Fevil.example", "javascript:x"]
    {
        let mut browser = Browser::at(&bench);
        let form = format!("user=joy&password=kettle+heron+quay&next={next}");
        assert_eq!(browser.post("/sign-in", &form).await.location(), "/reception", "{next}");
        let locked = browser.get(&format!("/locked?next={next}")).await;
        assert_eq!(locked.location(), "/");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_unknown_disabled_and_locked_look_alike() {
    let bench = staffed();
    bench.sign_in.disable_user("sam".parse().unwrap(), "uid 7").unwrap();
    let mut browser = Browser::at(&bench);
    let mut pages = Vec::new();
    for user in ["joy", "nobody", "sam", "joy", "joy", "joy", "joy", "joy"] {
        let refused = browser.post("/sign-in", &format!("user={user}&password=guess")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.page.contains("There is a problem"));
        assert!(refused.page.contains("<title>Error: Sign in"));
        assert!(!refused.page.contains("guess"));
        pages.push(refused.page.replace(&format!("value=\"{user}\""), ""));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1);
    assert_eq!(browser.sign_in("joy").await.status, StatusCode::UNPROCESSABLE_ENTITY, "locked by now");
    assert!(browser.cookie.is_none());
}

#[tokio::test(start_paused = true)]
async fn empty_fields_are_named_and_linked() {
    let bench = staffed();
    let refused = Browser::at(&bench).post("/sign-in", "user=&password=").await;
    for text in
        ["href=\"#user\">Enter your user name", "href=\"#password\">Enter your password", "aria-invalid"]
    {
        assert!(refused.page.contains(text), "{text}");
    }
    assert!(bench.notes.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_gets_a_token_of_its_own_and_the_old_one_is_worth_nothing() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    let planted = "polygate=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    browser.cookie = Some(planted.clone());
    browser.sign_in("joy").await;
    let first = browser.cookie.clone().unwrap();
    assert_ne!(first, planted);
    browser.sign_in("joy").await;
    let second = browser.cookie.replace(first.clone()).unwrap();
    assert_ne!(first, second);
    assert!(browser.get("/book").await.location().starts_with("/sign-in"));
    browser.cookie = Some(second);
    assert_eq!(browser.get("/book").await.page, "at joy");
}

#[tokio::test(start_paused = true)]
async fn the_cookie_is_for_this_host_and_no_script() {
    let bench = staffed();
    for (tls, name, secure) in [(false, "polygate=", false), (true, "__Host-polygate=", true)] {
        let got = Browser::over(&bench, tls).sign_in("joy").await;
        let cookie = got.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.starts_with(name), "{cookie}");
        assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(cookie.contains("; Secure"), secure);
        assert!(!cookie.contains("Domain"));
    }
    let mut browser = Browser::over(&bench, true);
    browser.sign_in("joy").await;
    browser.cookie = browser.cookie.map(|cookie| cookie.replace("__Host-", ""));
    assert!(browser.get("/book").await.location().starts_with("/sign-in"));
}

#[tokio::test(start_paused = true)]
async fn signing_out_ends_the_session_here_and_for_the_browser() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let token = browser.cookie.clone();
    let csrf = browser.csrf().await;
    assert_eq!(browser.get("/sign-out").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let out = browser.post("/sign-out", &format!("csrf={csrf}")).await;
    assert_eq!(out.location(), "/sign-in");
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    browser.cookie = token;
    assert!(browser.get("/book").await.location().starts_with("/sign-in"));
}

#[tokio::test(start_paused = true)]
async fn a_form_without_the_sessions_own_token_changes_nothing() {
    let bench = staffed();
    let mut other = Browser::at(&bench);
    other.sign_in("joy").await;
    let foreign = other.csrf().await;
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let csrf = browser.csrf().await;
    for wrong in ["", "csrf=", "csrf=x", &format!("csrf={foreign}"), &format!("csrf={csrf}x"), "{}"] {
        for path in ["/book", "/sign-out", "/lock", "/switch-user", "/account/password", "/account/pin"] {
            let refused = browser.post(path, wrong).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path} {wrong}");
            assert!(refused.page.contains("The form is out of date"));
        }
    }
    let taken = browser.post("/book", &format!("slot=7&csrf={csrf}")).await;
    assert!(taken.page.starts_with(r#"[("slot", "7")"#), "{}", taken.page);
}

#[tokio::test(start_paused = true)]
async fn a_form_from_elsewhere_is_refused_even_with_the_token() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let csrf = browser.csrf().await;
    let form = || format!("csrf={csrf}&user=joy&password=kettle+heron+quay");
    for path in ["/book", "/sign-out", "/account/password", "/sign-in"] {
        for origin in [None, Some("null"), Some("http://evil.example")] {
            let mut request =
                Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(origin) = origin {
                request = request.header(header::ORIGIN, origin);
            }
            let refused = browser.go(request, form()).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path} {origin:?}");
            assert!(refused.page.contains("did not come from this page"));
        }
    }
    assert_eq!(browser.get("/book").await.page, "at joy");
}

#[tokio::test(start_paused = true)]
async fn a_form_that_is_too_long_is_refused_and_a_long_one_passes() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let csrf = browser.csrf().await;
    let long = browser.post("/book", &format!("csrf={csrf}&comment={}", "x".repeat(60 << 10))).await;
    assert_eq!(long.status, StatusCode::OK);
    let longer = browser.post("/book", &format!("csrf={csrf}&comment={}", "x".repeat(64 << 10))).await;
    assert_eq!(longer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn the_wrong_role_is_told_which_is_needed_and_whom_to_ask() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("sam").await;
    let csrf = browser.csrf().await;
    for refused in [browser.get("/book").await, browser.post("/book", &format!("csrf={csrf}")).await] {
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        for text in
            ["<strong>Reception</strong> or <strong>Clinician</strong>", "Sam Reed", "Analyst", "ask Ann Lee"]
        {
            assert!(refused.page.contains(text), "{text}");
        }
        assert_eq!(refused.page.matches("<h1").count(), 1);
    }
    assert_eq!(browser.get("/admin").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_taken_away_is_gone_at_the_next_page() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let analyst = [Role::Analyst].into_iter().collect();
    bench.sign_in.set_roles("joy".parse().unwrap(), analyst, "uid 7").unwrap();
    assert_eq!(browser.get("/book").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn an_idle_screen_is_locked_and_keeps_what_is_sent() {
    let bench = staffed();
    bench.give_pin("joy").await;
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let csrf = browser.csrf().await;
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(browser.get("/book").await.location(), "/locked?next=/book");
    browser.referer = Some(format!("{ORIGIN}/book?step=4"));
    let sent = browser.post("/book", &format!("csrf={csrf}&comment=by+bus+%3Cb%3E&slot=7")).await;
    assert_eq!(sent.location(), "/locked?next=/book%3Fstep%3D4");
    let locked = browser.get("/locked?next=/book").await;
    assert!(locked.page.contains("Joy Okafor") && locked.page.contains("is kept here"));
    assert!(!locked.page.contains("by bus"), "a locked screen shows nothing that was typed");
    let wrong = browser.post("/locked", &format!("csrf={csrf}&pin=1111&next=/book")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.page.contains("This is not your PIN"));
    let before = browser.cookie.clone();
    let open = browser.post("/locked", &format!("csrf={csrf}&pin={PIN}&next=/book")).await;
    assert_eq!(open.status, StatusCode::OK);
    assert_ne!(browser.cookie, before);
    assert!(open.page.contains("name=\"comment\" value=\"by bus &#60;b&#62;\""), "{}", open.page);
    assert!(open.page.contains("action=\"/book\"") && !open.page.contains(&csrf));
    let again = browser.post("/book", &format!("csrf={}&slot=7", open.csrf())).await;
    assert_eq!(again.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_form_is_not_kept_by_a_locked_screen() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(browser.post("/book", "csrf=x&slot=7").await.status, StatusCode::FORBIDDEN);
    assert!(!browser.get("/locked").await.page.contains("is kept here"));
}

#[tokio::test(start_paused = true)]
async fn a_spent_pin_leaves_the_password() {
    let bench = staffed();
    bench.give_pin("joy").await;
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let csrf = browser.csrf().await;
    assert_eq!(browser.post("/lock", &format!("csrf={csrf}")).await.location(), "/locked?next=/");
    for _ in 0..5 {
        browser.post("/locked", &format!("csrf={csrf}&pin=1111")).await;
    }
    let spent = browser.post("/locked", &format!("csrf={csrf}&pin={PIN}")).await;
    assert!(spent.page.contains("enter your password") && !spent.page.contains("id=\"pin\""));
    let open = browser.post("/locked", &format!("csrf={csrf}&password=kettle+heron+quay&next=/book")).await;
    assert_eq!(open.location(), "/book");
}

#[tokio::test(start_paused = true)]
async fn a_shared_screen_changes_hands_with_a_pin() {
    let bench = staffed();
    bench.give_pin("ann").await;
    let mut browser = Browser::at(&bench);
    assert!(browser.get("/switch-user").await.location().starts_with("/sign-in"));
    browser.sign_in("joy").await;
    let csrf = browser.csrf().await;
    let before = browser.cookie.clone();
    let refused = browser.post("/switch-user", &format!("csrf={csrf}&user=ann&pin=1111")).await;
    assert!(refused.page.contains("is not right") && refused.page.contains("value=\"ann\""));
    let switched = browser.post("/switch-user", &format!("csrf={csrf}&user=ann&pin={PIN}")).await;
    assert_eq!(switched.location(), "/admin");
    assert_ne!(browser.cookie, before);
    assert_eq!(browser.post("/lock", &format!("csrf={csrf}")).await.status, StatusCode::FORBIDDEN);
    browser.cookie = before;
    assert!(browser.get("/book").await.location().starts_with("/sign-in"));
}

#[tokio::test(start_paused = true)]
async fn a_password_that_others_chose_opens_only_the_page_that_changes_it() {
    let bench = staffed();
    let made = bench.sign_in.reset_password("joy".parse().unwrap(), None, "uid 7").unwrap().unwrap();
    let mut browser = Browser::at(&bench);
    let form = format!("user=joy&password={}&next=/book", made.reveal());
    assert_eq!(browser.post("/sign-in", &form).await.location(), "/book");
    for path in ["/book", "/account", "/account/pin"] {
        assert!(browser.get(path).await.location().starts_with("/account/password?next="), "{path}");
    }
    let csrf = browser.get("/account/password").await.csrf();
    let change = |new: &str| format!("csrf={csrf}&current={}&new={new}", made.reveal());
    let weak = browser.post("/account/password", &change("joy-okafor-joy")).await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(weak.page.contains("A password does not hold your user name"), "{}", weak.page);
    assert!(!weak.page.contains("joy-okafor-joy"));
    let changed = browser.post("/account/password", &change("lampe+vert+chien")).await;
    assert_eq!(changed.location(), "/reception");
    assert_eq!(browser.get("/book").await.page, "at joy");
}

#[tokio::test(start_paused = true)]
async fn a_pin_is_set_and_removed_with_the_password() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("joy").await;
    let csrf = browser.csrf().await;
    for (pin, password, text) in [
        ("1234", "kettle+heron+quay", "not digits in a row"),
        ("12", "kettle+heron+quay", "4 to 8 digits"),
        ("2580", "guess", "This is not your password"),
    ] {
        let form = format!("csrf={csrf}&deed=set&current={password}&pin={pin}");
        let refused = browser.post("/account/pin", &form).await;
        assert!(refused.page.contains(text), "{text}");
    }
    for (deed, has) in [("set", true), ("remove", false)] {
        let form = format!("csrf={csrf}&deed={deed}&current=kettle+heron+quay&pin=2580");
        assert_eq!(browser.post("/account/pin", &form).await.location(), "/account");
        let user = bench.sign_in.users().into_iter().find(|row| row.user.as_str() == "joy").unwrap();
        assert_eq!(user.pin, has);
    }
}

#[tokio::test(start_paused = true)]
async fn administrators_let_people_in_and_keep_them_out() {
    let bench = staffed();
    let mut browser = Browser::at(&bench);
    browser.sign_in("ann").await;
    let page = browser.get("/admin").await;
    assert!(page.page.contains("Joy Okafor") && page.page.contains("Disable"));
    let csrf = page.csrf();
    bench.notes.take();
    let deed = |user: &str, deed: &str| format!("csrf={csrf}&user={user}&deed={deed}");
    assert_eq!(browser.post("/admin", &deed("joy", "disable")).await.location(), "/admin");
    assert_eq!(Browser::at(&bench).sign_in("joy").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.post("/admin", &deed("joy", "enable")).await.location(), "/admin");
    assert_eq!(Browser::at(&bench).sign_in("joy").await.location(), "/reception");
    assert!(browser.post("/admin", &deed("ann", "disable")).await.page.contains("Ask another administrator"));
    assert!(browser.post("/admin", &deed("nobody", "disable")).await.page.contains("not there any more"));
    assert_eq!(bench.notes.take()[0], "joy disable: done");
}

#[tokio::test(start_paused = true)]
async fn every_page_has_one_heading_a_way_past_the_header_and_nothing_inline() {
    let bench = staffed();
    bench.give_pin("ann").await;
    let mut browser = Browser::at(&bench);
    browser.sign_in("ann").await;
    let mut stranger = Browser::at(&bench);
    stranger.sign_in("sam").await;
    for path in
        ["/sign-in", "/switch-user", "/account", "/account/password", "/account/pin", "/admin", "/locked"]
    {
        if path == "/locked" {
            let csrf = browser.csrf().await;
            browser.post("/lock", &format!("csrf={csrf}")).await;
        }
        let got = browser.get(path).await;
        let page = &got.page;
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        assert!(page.contains("href=\"#content\"") && page.contains("<html lang=\"en-GB\">"), "{path}");
        for inline in [" style=", " onclick=", "<style", "<script", "http://", "https://"] {
            assert!(!page.contains(inline), "{inline} in {path}");
        }
        assert_eq!(got.headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
    let forbidden = stranger.get("/admin").await;
    assert!(forbidden.headers.contains_key(header::CONTENT_SECURITY_POLICY));
}

#[tokio::test(start_paused = true)]
async fn without_accounts_there_is_nothing_to_sign_in_to() {
    let (router, _) = portal(vec![fake::calm()]);
    assert_eq!(get(&router, "/sign-in").await.0.status(), StatusCode::NOT_FOUND);
    assert!(!get(&router, "/").await.1.contains("/sign-in"));
}
