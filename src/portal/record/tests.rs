//! The clinicians' pages as a browser meets them, over a hub on a simulated disk.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use tower::ServiceExt as _;

use crate::{
    access::role::Role,
    domain::{actor::Organisation, record::ItemKind},
    flow::{
        audit::fake::Bench as Trail,
        book::tests::{Ground, Running},
        disclose::Records,
        fake as hub,
        operate::Operate,
        sign_in::fake::{Bench, bench},
    },
    portal::{Options, Staff, router},
};

const ORIGIN: &str = "http://127.0.0.1:8080";
const PAGES: [&str; 7] = ["", "/all", "/results", "/timeline", "/disagreements", "/viewers", "/print"];
/// A document, not a page.
const DOCUMENT: &str = "/summary.json";

/// Somebody at a browser, and the hub behind it.
struct Browser {
    router: Router,
    bench: Bench,
    cookie: String,
    csrf: String,
    _desk: Running,
    _ground: Ground,
    _trail: Trail,
}

impl Browser {
    async fn new() -> Self {
        let (ground, trail, bench) = (Ground::new(), Trail::new("soho"), bench());
        bench.add("amara", "Amara Okafor", &[Role::Clinician]);
        bench.add("ben", "Ben Shah", &[Role::Clinician]);
        bench.add("rowan", "Rowan Lee", &[Role::Reception]);
        bench.add("sam", "Sam Reed", &[Role::Analyst]);
        bench.add("alex", "Alex Reed", &[Role::Administrator]);
        ground.stage.hub.set_audit(trail.start());
        let desk = ground.start(true).await;
        let offer = desk.find("feet").await.remove(0);
        desk.book(1, 0, &offer).await.unwrap();
        let rio = ground.stage.hub.add_link("rio", "RiO", "");
        let said = "1|9990000018|R1\nDemographics||family_name=Canaryname|given_name=Ada|birth_date=19710203|gender=female|\
                    nhs_number_status=NSTS01\n\
                    Allergy|a1|name=<script>alert(1)</script>\n\
                    Result|r1|name=Potassium|value=5.4|units=mmol/L|abnormal_flags=H|observed=2026-01-05T09:30:00\n\
                    Result|r2|name=Potassium|value=4.1|units=mmol/L|observed=2026-01-04T09:30:00";
        ground.stage.receive(&rio, &[said.to_owned()]).await;
        let organisation = Organisation {
            ods_code: "5LC01".to_owned(),
            name: "Soho".to_owned(),
            kind: String::new(),
            telephone: String::new(),
        };
        let records =
            Arc::new(Records::new(Arc::clone(&ground.stage.hub), Vec::new(), organisation).unwrap());
        ground.stage.until(|hub| hub.knows_kinds(0, &[ItemKind::Result, ItemKind::Appointment])).await;
        let staff = Staff {
            sign_in: Arc::clone(&bench.sign_in),
            hub: "Soho polyclinic".to_owned(),
            tls: false,
            links: None,
        };
        let options = Options { staff: Some(staff), records: Some(records), ..Options::default() };
        let hubs: Vec<Arc<dyn Operate>> = vec![Arc::new(hub::FakeHub::new(hub::calm()))];
        let mut browser = Self {
            router: router(hubs, options),
            bench,
            cookie: String::new(),
            csrf: String::new(),
            _desk: desk,
            _ground: ground,
            _trail: trail,
        };
        browser.enter("amara").await;
        browser
    }

    async fn enter(&mut self, user: &str) {
        let token = self.bench.enter(user).await;
        self.csrf = self.bench.sign_in.visit(&token).unwrap().csrf;
        self.cookie = format!("polygate={token}");
    }

    async fn get(&self, path: &str) -> (StatusCode, String, String) {
        self.send(Request::get(path), String::new()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String, String) {
        let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let csrf = ("csrf", self.csrf.as_str());
        let pairs: Vec<String> = fields
            .iter()
            .chain(std::iter::once(&csrf))
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let request = Request::post(path)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, pairs.join("&")).await
    }

    async fn send(
        &self,
        request: axum::http::request::Builder,
        body: String,
    ) -> (StatusCode, String, String) {
        let request = request
            .header(header::HOST, "127.0.0.1:8080")
            .header(header::COOKIE, &self.cookie)
            .body(Body::from(body))
            .unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        assert_eq!(parts.headers[header::CACHE_CONTROL], "no-store");
        let location = parts
            .headers
            .get(header::LOCATION)
            .map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        let page = String::from_utf8(to_bytes(body, 4 << 20).await.unwrap().to_vec()).unwrap();
        (parts.status, location, page)
    }

    /// Opens the record of whoever is booked; gives its address.
    async fn open(&self) -> String {
        let form = [("number", "9990000018"), ("ground", "relationship"), ("permission", "given")];
        let (status, location, page) = self.post("/records/open", &form).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{page}");
        location
    }
}

#[tokio::test]
async fn a_clinician_opens_a_record_from_the_gate_and_reads_every_page() {
    let browser = Browser::new().await;
    let (status, _, gate) = browser.post("/clinic/find", &[("number", "999 000 0018")]).await;
    assert_eq!(
        (status, gate.contains("Canaryname")),
        (StatusCode::OK, false),
        "the gate names nobody by a number"
    );
    let record = browser.open().await;
    assert!(!record.contains("9990000018"), "no address holds anything of a patient");
    for page in PAGES {
        let (status, _, text) = browser.get(&format!("{record}{page}")).await;
        assert_eq!(status, StatusCode::OK, "{page}: {text}");
        assert_eq!(text.matches("<h1").count(), 1, "{page}");
        assert!(!text.contains("<script>alert"), "{page}");
        assert!(page == "/viewers" || text.contains("CANARYNAME"), "{page}");
    }
    let (_, _, results) = browser.get(&format!("{record}/results")).await;
    assert!(results.contains("Potassium") && results.contains("High") && results.contains("<polyline"));
    let (_, _, summary) = browser.get(&record).await;
    assert!(summary.contains("&#60;script&#62;") && summary.contains("rio, "), "{summary}");
    let (_, _, viewers) = browser.get(&format!("{record}/viewers")).await;
    assert!(viewers.contains("Amara Okafor") && viewers.contains("record.print"));
    let (status, _, document) = browser.get(&format!("{record}/summary.json")).await;
    assert_eq!((status, document.starts_with('{')), (StatusCode::OK, true));
    let (status, location, _) = browser.post(&format!("{record}/close"), &[]).await;
    assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "/clinic"));
    assert_eq!(browser.get(&record).await.0, StatusCode::GONE);
}

#[tokio::test]
async fn the_gate_asks_for_what_is_missing_and_keeps_what_was_typed() {
    let browser = Browser::new().await;
    let missing = [("number", "9990000018"), ("ground", "emergency"), ("reason", "Canaryreason, collapsed")];
    let (status, _, page) = browser.post("/records/open", &missing).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("Ask the patient") && page.contains("Canaryreason") && page.contains("Error: "));
    // Somebody of whom nothing shows a relationship is answered like somebody who is not there.
    let unknown = [("number", "9990000026"), ("ground", "relationship"), ("permission", "given")];
    let (status, _, page) = browser.post("/records/open", &unknown).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(page.contains("No patient found"), "{page}");
    let (status, _, page) = browser.post("/clinic/find", &[("number", "123")]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("ten digits"));
}

#[tokio::test]
async fn no_page_is_shown_to_another_user_or_another_role_or_nobody() {
    let mut browser = Browser::new().await;
    let record = browser.open().await;
    browser.enter("ben").await;
    for page in PAGES.into_iter().chain([DOCUMENT]) {
        let (status, _, text) = browser.get(&format!("{record}{page}")).await;
        assert_eq!((status, text.contains("CANARYNAME")), (StatusCode::GONE, false), "{page}");
    }
    for user in ["rowan", "sam", "alex"] {
        browser.enter(user).await;
        let form = [("number", "9990000018"), ("ground", "relationship"), ("permission", "given")];
        assert_eq!(browser.post("/records/open", &form).await.0, StatusCode::FORBIDDEN, "{user}");
        for page in PAGES.iter().map(|page| format!("{record}{page}")).chain(["/clinic".to_owned()]) {
            let (status, _, text) = browser.get(&page).await;
            assert_eq!(
                (status, text.contains("CANARYNAME")),
                (StatusCode::FORBIDDEN, false),
                "{user} {page}"
            );
        }
    }
    browser.cookie = String::new();
    for page in PAGES {
        let (status, location, _) = browser.get(&format!("{record}{page}")).await;
        assert!(status == StatusCode::SEE_OTHER && location.starts_with("/sign-in"), "{page}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_made_opens_nothing() {
    let browser = Browser::new().await;
    for id in ["0", "00000000000000000000000000000000", "%2e%2e%2fetc", "9990000018"] {
        let (status, ..) = browser.get(&format!("/record/{id}")).await;
        assert!(matches!(status, StatusCode::GONE | StatusCode::NOT_FOUND), "{id}: {status}");
    }
    assert_eq!(browser.get("/clinic/9990000018").await.0, StatusCode::NOT_FOUND);
}
