//! The desk's pages as a browser meets them, over a desk in memory.

mod booking;
mod day;
mod look;
mod people;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use tower::ServiceExt as _;

use crate::{
    access::role::Role,
    domain::booking::{Deed, Refused},
    flow::{
        fake as hub,
        operate::Operate,
        reception::Reception,
        sign_in::fake::{Bench, bench},
    },
    portal::{Options, Staff, router},
};

use super::{Desk, fake::FakeDesk};

const ORIGIN: &str = "http://127.0.0.1:8080";

/// Someone signed in at the desk.
struct Browser {
    router: Router,
    desk: Arc<FakeDesk>,
    bench: Bench,
    cookie: String,
    csrf: String,
}

/// A page, or where the browser is sent.
struct Got {
    status: StatusCode,
    location: String,
    page: String,
}

impl Got {
    /// The page was shown, whole and legal.
    fn shown(self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{} {}", self.location, self.page);
        self.legal()
    }

    /// The form was shown again with its errors.
    fn again(self) -> String {
        assert_eq!(self.status, StatusCode::UNPROCESSABLE_ENTITY, "{} {}", self.location, self.page);
        assert!(self.page.contains("<title>Error: "), "the title says so first");
        assert!(self.page.contains("There is a problem") && self.page.contains("autofocus"));
        for target in self.page.split("<li><a href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(
                self.page.contains(&format!("id=\"{target}\"")),
                "an error leads to {target}, which is not there"
            );
        }
        self.legal()
    }

    fn to(self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.page);
        self.location
    }

    fn legal(self) -> String {
        let page = self.page;
        assert_eq!(page.matches("<h1").count(), 1, "one heading");
        for inline in [" style=", " onclick=", "<style", "javascript:", "http://", "https://"] {
            assert!(!page.contains(inline), "{inline}");
        }
        let mut ids: Vec<&str> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(all, ids.len(), "an id stands twice: {page}");
        page
    }
}

impl Browser {
    async fn new() -> Self {
        let bench = bench();
        bench.add("amy", "Amy Lee", &[Role::Reception]);
        bench.add("ben", "Ben Shah", &[Role::Reception]);
        bench.add("sam", "Sam Reed", &[Role::Analyst]);
        let desk = Arc::new(FakeDesk::new());
        let sign_in = Arc::clone(&bench.sign_in);
        let staff = Staff { sign_in, hub: "Soho polyclinic".to_owned(), tls: false, links: None };
        let options = Options {
            staff: Some(staff),
            desk: Some(Desk(Arc::clone(&desk) as Arc<dyn Reception>)),
            ..Options::default()
        };
        let hubs: Vec<Arc<dyn Operate>> = vec![Arc::new(hub::FakeHub::new(hub::calm()))];
        let router = router(hubs, options);
        let mut browser = Self { router, desk, bench, cookie: String::new(), csrf: String::new() };
        browser.enter("amy").await;
        browser
    }

    async fn enter(&mut self, user: &str) {
        let token = self.bench.enter(user).await;
        self.csrf = self.bench.sign_in.visit(&token).unwrap().csrf;
        self.cookie = format!("polygate={token}");
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Request::get(path), String::new()).await
    }

    /// Sends a form; each value is escaped here.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        let csrf = ("csrf", self.csrf.as_str());
        let fields = fields.iter().chain(std::iter::once(&csrf));
        let pairs: Vec<String> = fields.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let request = Request::post(path)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, pairs.join("&")).await
    }

    async fn send(&self, request: axum::http::request::Builder, body: String) -> Got {
        let request = request
            .header(header::HOST, "127.0.0.1:8080")
            .header(header::COOKIE, &self.cookie)
            .body(Body::from(body))
            .unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let location = parts.headers.get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        let page = String::from_utf8(to_bytes(body, 4 << 20).await.unwrap().to_vec()).unwrap();
        Got { status: parts.status, location: location.unwrap_or_default(), page }
    }

    /// Looks for somebody and chooses the first, for an errand; gives where it goes on.
    async fn choose(&self, errand: &str) -> String {
        let results = self.post("/patients", &[("words", "Okafor"), ("errand", errand)]).await.to();
        self.post(&format!("{results}/choose"), &[("who", "0")]).await.to()
    }

    /// The same, with podiatry needed and the first time chosen; gives the draft's address.
    async fn choose_time(&self) -> String {
        let need = self.choose("book").await;
        let draft = need.trim_end_matches("/need").to_owned();
        let slots =
            self.post(&need, &[("service", "podiatry"), ("from", "2026-11-23"), ("until", "2026-12-06")]);
        let slots = slots.await.to();
        let key = value(&self.get(&slots).await.shown(), "key");
        assert_eq!(self.post(&slots, &[("key", &key)]).await.to(), format!("{draft}/details"));
        draft
    }

    /// The same, with details; gives the draft's address and the request on the page to check.
    async fn check(&self, details: &[(&str, &str)]) -> (String, String) {
        let draft = self.choose_time().await;
        let check = self.post(&format!("{draft}/details"), details).await.to();
        let request = value(&self.get(&check).await.shown(), "request");
        (draft, request)
    }

    /// The deeds that were done, and forgets them.
    fn deeds(&self) -> Vec<Deed> {
        std::mem::take(&mut self.desk.state().deeds)
    }

    fn refuse(&self, code: &'static str, words: &str, field: &'static str) {
        self.desk.state().refuse = Some(Refused { code, words: words.to_owned(), field });
    }
}

/// The value of the first field of this name.
fn value(page: &str, name: &str) -> String {
    let after = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let after = after.unwrap_or_else(|| panic!("no {name} in {page}"));
    after.split('"').next().unwrap().replace("&#38;", "&")
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
