//! Signing in with the organisation's identity provider, as a browser meets it.

use crate::{
    access::role::Role,
    flow::sign_in::fake::{Bench, PASSWORD, bench, provider::FakeProvider},
};

use super::{super::Staff, *};

/// A browser that keeps cookies as browsers do, strict ones from other sites' links.
struct Browser {
    router: Router,
    cookies: std::collections::BTreeMap<String, (String, bool)>,
}

struct Got {
    status: StatusCode,
    location: String,
    set: Vec<String>,
    page: String,
}

fn staff(bench: &Bench, tls: bool) -> Staff {
    Staff {
        sign_in: Arc::clone(&bench.sign_in),
        hub: "Westminster South polyclinic".to_owned(),
        tls,
        links: None,
    }
}

async fn hub() -> (Bench, FakeProvider) {
    let bench = bench();
    let provider = FakeProvider::start(bench.sign_in.now()).await;
    bench.sign_in.attach_provider(provider.settings());
    (bench, provider)
}

impl Browser {
    fn at(bench: &Bench, tls: bool) -> Self {
        let hub: Arc<dyn Operate> = Arc::new(FakeHub::new(fake::calm()));
        let options = Options { staff: Some(staff(bench, tls)), ..Options::default() };
        Self { router: router(vec![hub], options), cookies: Default::default() }
    }

    async fn get(&mut self, path: &str, from_elsewhere: bool) -> Got {
        let site = if from_elsewhere { "cross-site" } else { "same-origin" };
        self.go(Request::get(path).header("sec-fetch-site", site), String::new(), from_elsewhere).await
    }

    async fn post(&mut self, path: &str, form: String) -> Got {
        let request = Request::post(path)
            .header(header::ORIGIN, "http://127.0.0.1:8080")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.go(request, form, false).await
    }

    async fn go(&mut self, request: axum::http::request::Builder, body: String, from_elsewhere: bool) -> Got {
        let sent = self.cookies.iter().filter(|(_, (_, strict))| !(from_elsewhere && *strict));
        let sent: Vec<String> = sent.map(|(name, (value, _))| format!("{name}={value}")).collect();
        let request = request.header(header::HOST, "127.0.0.1:8080").header(header::COOKIE, sent.join("; "));
        let (response, page) = send(&self.router, request.body(Body::from(body)).unwrap()).await;
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
        let set: Vec<String> = response.headers().get_all(header::SET_COOKIE).iter().map(text).collect();
        for cookie in &set {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap().to_owned();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), (value, cookie.contains("SameSite=Strict")));
            }
        }
        let location = response.headers().get(header::LOCATION).map(text).unwrap_or_default();
        Got { status: response.status(), location, set, page }
    }

    /// Leaves for the provider, signs in there, and comes back; gives the address as well.
    async fn there_and_back(&mut self, provider: &FakeProvider, next: &str) -> (String, Got) {
        let off = self.get(&format!("/sign-in/provider?next={next}"), false).await;
        assert_eq!(off.status, StatusCode::SEE_OTHER, "{}", off.page);
        let back = provider.sign_in(&off.location);
        let address =
            format!("/sign-in/callback?code={}&state={}", back["code"].replace(' ', "+"), back["state"]);
        let got = self.get(&address, true).await;
        (address, got)
    }
}

#[tokio::test]
async fn the_button_leads_there_and_back_to_the_page_that_was_wanted() {
    let (bench, provider) = hub().await;
    let mut browser = Browser::at(&bench, false);
    let page = browser.get("/sign-in?next=/account", false).await.page;
    assert!(
        page.contains("Sign in with Example sign-in") && page.contains("Sign in with a local account"),
        "{page}"
    );
    assert!(page.contains(r#"href="/sign-in/provider?next=/account""#), "{page}");
    let (_, back) = browser.there_and_back(&provider, "/account").await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.page);
    // A redirection would come without the strict cookie: the page itself leads on.
    assert!(back.page.contains(r#"http-equiv="refresh" content="0; url=/account""#), "{}", back.page);
    assert_eq!(back.set.len(), 2, "{:?}", back.set);
    let account = browser.get("/account", false).await.page;
    assert!(account.contains("Joy Okafor") && account.contains("None here"), "{account}");
    assert!(browser.cookies.keys().eq(["polygate"]));
}

#[tokio::test]
async fn cookies_are_this_hosts_alone() {
    let (bench, _provider) = hub().await;
    let off = Browser::at(&bench, true).get("/sign-in/provider", false).await;
    let cookie = &off.set[0];
    assert!(cookie.starts_with("__Host-polygate-sign-in="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"), "{cookie}");
}

#[tokio::test]
async fn a_session_that_somebody_planted_is_not_the_one_that_is_signed_in() {
    let (bench, provider) = hub().await;
    bench.add("joy", "Joy Okafor", &[Role::Reception]);
    let planted = bench.enter("joy").await;
    let mut browser = Browser::at(&bench, false);
    browser.cookies.insert("polygate".to_owned(), (planted.clone(), true));
    browser.there_and_back(&provider, "/").await;
    assert_ne!(browser.cookies["polygate"].0, planted);
    assert!(bench.sign_in.visit(&planted).is_none());
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let (bench, provider) = hub().await;
    for next in ["//evil.example", "https:%2F%2Fevil.example", "%5C%5Cevil.example", "/%0d%0aevil:1"] {
        let mut browser = Browser::at(&bench, false);
        let (_, back) = browser.there_and_back(&provider, next).await;
        assert!(!back.page.contains("evil") && back.page.contains("url=/reception"), "{next}: {}", back.page);
    }
}

#[tokio::test]
async fn nothing_begins_from_elsewhere_and_nothing_ends_twice_or_in_another_browser() {
    let (bench, provider) = hub().await;
    let mut browser = Browser::at(&bench, false);
    let lured = browser.get("/sign-in/provider", true).await;
    assert_eq!((lured.location.as_str(), lured.set.len()), ("/sign-in", 0));
    let off = browser.get("/sign-in/provider", false).await;
    let back = provider.sign_in(&off.location);
    let address =
        format!("/sign-in/callback?code={}&state={}", back["code"].replace(' ', "+"), back["state"]);
    let mut victim = Browser::at(&bench, false);
    let other = victim.get(&address, true).await;
    assert_eq!((other.status, victim.cookies.len()), (StatusCode::BAD_REQUEST, 0));
    assert!(other.page.contains("Begin again"), "{}", other.page);
    assert_eq!(browser.get(&address, true).await.status, StatusCode::OK);
    assert_eq!(browser.get(&address, true).await.status, StatusCode::BAD_REQUEST);
    assert!(browser.get("/account", false).await.page.contains("Joy Okafor"));
    assert_eq!(browser.get("/sign-in/callback?state=a&state=b", true).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let (bench, provider) = hub().await;
    let mut browser = Browser::at(&bench, false);
    provider.manner().claims = serde_json::json!({"groups": []});
    let (_, back) = browser.there_and_back(&provider, "/").await;
    assert_eq!(back.status, StatusCode::FORBIDDEN);
    assert!(back.page.contains("Ask the Registration Authority for the role"), "{}", back.page);
    provider.manner().claims = serde_json::json!({"nonce": "another"});
    let (_, back) = browser.there_and_back(&provider, "/").await;
    assert_eq!(back.status, StatusCode::BAD_GATEWAY);
    assert!(back.page.contains("local accounts still work"), "{}", back.page);
    let off = browser.get("/sign-in/provider", false).await;
    let state = provider.sign_in(&off.location)["state"].clone();
    let back = browser.get(&format!("/sign-in/callback?error=access_denied&state={state}"), true).await;
    assert_eq!(back.status, StatusCode::FORBIDDEN);
    assert!(browser.cookies.is_empty(), "nobody is signed in");
}

#[tokio::test]
async fn while_the_provider_is_down_the_page_says_so_and_local_accounts_work() {
    let (bench, provider) = hub().await;
    bench.add("joy", "Joy Okafor", &[Role::Reception]);
    provider.manner().broken = Some(503);
    let mut browser = Browser::at(&bench, false);
    let page = browser.get("/sign-in", false).await.page;
    assert!(
        page.contains("National sign-in unavailable: Example sign-in has not been reached since"),
        "{page}"
    );
    assert!(page.contains("Local accounts still work"));
    let off = browser.get("/sign-in/provider", false).await;
    assert_eq!((off.status, off.set.len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert!(off.page.contains("Local accounts still work"), "{}", off.page);
    let form = format!("user=joy&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(browser.post("/sign-in", form).await.location, "/reception");
}

#[tokio::test]
async fn signing_out_leads_to_the_providers_own_sign_out() {
    let (bench, provider) = hub().await;
    let mut browser = Browser::at(&bench, false);
    browser.there_and_back(&provider, "/account").await;
    let page = browser.get("/account", false).await.page;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let out = browser.post("/sign-out", format!("csrf={csrf}")).await;
    assert!(out.page.contains(&format!("url={}/end?client_id=", provider.issuer())), "{}", out.page);
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.get("/account", false).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn without_a_provider_there_is_no_button_and_no_way() {
    let bench = bench();
    let mut browser = Browser::at(&bench, false);
    assert!(!browser.get("/sign-in", false).await.page.contains("/sign-in/provider"));
    for path in ["/sign-in/provider", "/sign-in/callback?code=a&state=b"] {
        assert_eq!(browser.get(path, false).await.status, StatusCode::NOT_FOUND);
    }
}
