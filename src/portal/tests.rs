//! The portal as a browser meets it, over hubs that are not there.

mod provider;
mod staff;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode, header},
};
use tower::ServiceExt as _;

use crate::flow::{
    fake::{self, FakeHub},
    operate::Operate,
    status::HubStatus,
};

use super::{Options, router};

fn portal(statuses: Vec<HubStatus>) -> (Router, Vec<Arc<FakeHub>>) {
    let hubs: Vec<Arc<FakeHub>> = statuses.into_iter().map(|status| Arc::new(FakeHub::new(status))).collect();
    let operated = hubs.iter().map(|hub| Arc::clone(hub) as Arc<dyn Operate>).collect();
    (router(operated, Options::default()), hubs)
}

async fn get(router: &Router, path: &str) -> (Response<Body>, String) {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn send(router: &Router, request: Request<Body>) -> (Response<Body>, String) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8(to_bytes(body, 4 << 20).await.unwrap().to_vec()).unwrap();
    (Response::from_parts(parts, Body::empty()), text)
}

fn switch(form: &'static str) -> Request<Body> {
    Request::post("/wan")
        .header(header::HOST, "127.0.0.1:8080")
        .header(header::ORIGIN, "http://127.0.0.1:8080")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap()
}

#[tokio::test]
async fn every_hub_is_on_the_page_with_its_alarms_and_next_steps() {
    let (router, _) = portal(vec![fake::calm(), fake::troubled()]);
    let (response, page) = get(&router, "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    for text in [
        "Westminster South polyclinic",
        "All is well",
        "Tower Hamlets polyclinic",
        "Needs attention",
        "PG-201",
        "polygate doctor; another program may hold the port",
        "Today 11:06:36",
        "RIO20261118110636",
        "1,204",
        "Delivered to",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(page.matches("<h1").count(), 1);
}

#[tokio::test]
async fn hostile_names_are_only_text() {
    let mut status = fake::calm();
    status.name = "<script>alert(1)</script>".to_owned();
    status.recent[0].kind = "\"><img src=x onerror=alert(1)>".to_owned();
    status.recent[0].source_id = "'--><svg onload=alert(1)>".to_owned();
    status.links[0].detail = "</dl><iframe src=//evil.example>".to_owned();
    let (router, _) = portal(vec![status]);
    for path in ["/", "/live", "/status", "/status/live"] {
        let (_, page) = get(&router, path).await;
        for markup in ["<script>", "<img", "<svg onload", "<iframe"] {
            assert!(!page.contains(markup), "{markup} in {path}");
        }
        assert!(page.contains("&#60;script&#62;alert(1)"), "{path}");
    }
}

#[tokio::test]
async fn pages_hold_nothing_that_their_policy_forbids() {
    let (router, _) = portal(vec![fake::troubled()]);
    let (response, page) = get(&router, "/").await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"));
    assert!(!policy.contains("unsafe"));
    for inline in [" style=", " onclick=", "<style", "javascript:", "http://", "https://"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn pages_are_never_stored_and_assets_are_kept() {
    let (router, _) = portal(vec![fake::calm()]);
    for path in ["/", "/live", "/status", "/api/status", "/api/openapi.json", "/nowhere"] {
        let (response, _) = get(&router, path).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
    let (_, page) = get(&router, "/").await;
    let assets: Vec<&str> = page.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 3);
    for path in assets {
        let (response, _) = get(&router, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    }
}

#[tokio::test]
async fn what_is_not_there_has_a_page_in_the_same_frame() {
    let (router, _) = portal(vec![fake::calm()]);
    for (request, status) in [
        (Request::get("/nowhere").body(Body::empty()).unwrap(), StatusCode::NOT_FOUND),
        (Request::get("/assets/other.css").body(Body::empty()).unwrap(), StatusCode::NOT_FOUND),
        (Request::delete("/").body(Body::empty()).unwrap(), StatusCode::METHOD_NOT_ALLOWED),
        (Request::get("/wan").body(Body::empty()).unwrap(), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (response, page) = send(&router, request).await;
        assert_eq!(response.status(), status);
        assert!(page.contains("header__service") && page.contains("Go to the hub’s status"));
        assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }
}

#[tokio::test]
async fn a_hub_that_fails_to_answer_is_said_to_do_so() {
    let (router, hubs) = portal(vec![fake::calm()]);
    // A call that panicked while it held the lock makes every later call of the fake hub panic.
    let hub = Arc::clone(&hubs[0]);
    let broken = tokio::task::spawn_blocking(move || {
        let _held = hub.status.lock().unwrap();
        panic!("on purpose");
    });
    assert!(broken.await.unwrap_err().is_panic());
    for path in ["/", "/live", "/api/status"] {
        let (response, page) = get(&router, path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.contains("The hub does not answer"));
    }
}

#[tokio::test]
async fn the_switch_cuts_one_hub_and_shows_the_page_again() {
    let (router, hubs) = portal(vec![fake::calm(), fake::troubled()]);
    let (response, _) = send(&router, switch("hub=tower-hamlets&connected=false")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::LOCATION], "/");
    assert_eq!((hubs[0].wan(), hubs[1].wan()), (Some(true), Some(false)));
    let (_, page) = get(&router, "/").await;
    assert!(page.contains("Cut the WAN") && page.contains("Restore the WAN"));
}

#[tokio::test]
async fn the_switch_is_for_our_own_pages_only() {
    let (router, hubs) = portal(vec![fake::calm()]);
    let form = "hub=westminster-south&connected=false";
    for origin in [None, Some("null"), Some("http://evil.example"), Some("http://127.0.0.1:9999")] {
        let mut request = switch(form);
        request.headers_mut().remove(header::ORIGIN);
        if let Some(origin) = origin {
            request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        }
        let (response, _) = send(&router, request).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin:?}");
    }
    assert!(hubs[0].deeds.lock().unwrap().is_empty());
}

#[tokio::test]
async fn forms_that_make_no_sense_change_nothing() {
    let (router, hubs) = portal(vec![fake::calm()]);
    for (form, status) in [
        ("hub=westminster-south&connected=perhaps", StatusCode::BAD_REQUEST),
        ("hub=..%2F&connected=false", StatusCode::BAD_REQUEST),
        ("connected=false", StatusCode::BAD_REQUEST),
        ("hub=elsewhere&connected=false", StatusCode::NOT_FOUND),
    ] {
        let (response, _) = send(&router, switch(form)).await;
        assert_eq!(response.status(), status, "{form}");
    }
    let mut long = switch("");
    *long.body_mut() = Body::from("x".repeat(super::FORM_BYTES_MAX + 1));
    assert_eq!(send(&router, long).await.0.status(), StatusCode::BAD_REQUEST);
    assert!(hubs[0].deeds.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_switch_there_is_none_to_press() {
    let hub: Arc<dyn Operate> = Arc::new(FakeHub::new(fake::calm()).without_switch());
    let router = router(vec![hub], Options::default());
    assert!(!get(&router, "/").await.1.contains("/wan"));
    let (response, _) = send(&router, switch("hub=westminster-south&connected=false")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_status_page_has_no_controls() {
    let (router, _) = portal(vec![fake::calm()]);
    for path in ["/status", "/status/live"] {
        assert!(!get(&router, path).await.1.contains("<form"), "{path}");
    }
}

#[tokio::test]
async fn the_api_says_the_same_as_the_page() {
    let (router, _) = portal(vec![fake::calm(), fake::troubled()]);
    let (response, body) = get(&router, "/api/status").await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document[1]["hub"], "tower-hamlets");
    assert_eq!(document[1]["condition"], "degraded");
    assert_eq!(document[1]["alarms"][0]["code"], "PG-201");
}

#[tokio::test]
async fn every_described_path_of_the_portal_is_served() {
    let (router, _) = portal(vec![fake::calm()]);
    let document: serde_json::Value =
        serde_json::from_str(&get(&router, "/api/openapi.json").await.1).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for path in paths.keys().filter(|path| path.starts_with("/api/")) {
        let request = Request::builder().method(Method::GET).uri(path).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.0.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
#[ignore = "serves the page until it is stopped, for looking at it: PORTAL_LISTEN=127.0.0.1:8080, HUBS=1 or 2"]
async fn serve_for_a_look() {
    let address = std::env::var("PORTAL_LISTEN").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let both = std::env::var("HUBS").is_ok_and(|hubs| hubs == "2");
    let statuses = if both { vec![fake::calm(), fake::troubled()] } else { vec![fake::calm()] };
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    axum::serve(listener, portal(statuses).0).await.unwrap();
}
