//! The pages to be looked at: served until stopped, with somebody signed in and work in hand.

use axum::{extract::Request, middleware::map_request};

use super::*;

#[tokio::test]
#[ignore = "serves the pages until it is stopped, for looking at them: PORTAL_LISTEN=127.0.0.1:8080"]
async fn serve_for_a_look() {
    let address = std::env::var("PORTAL_LISTEN").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let browser = Browser::new().await;
    let (check, _) = browser.check(&[("description", "Foot check"), ("interpreter", "Igbo")]).await;
    let (booked, request) = browser.check(&[]).await;
    browser.post(&format!("{booked}/check"), &[("request", &request)]).await.to();
    let visit = browser.choose("plan").await;
    let form = [("services", "podiatry"), ("services", "phlebotomy"), ("from", "2026-11-23")];
    let rest = [("until", "2026-12-01"), ("within", "180"), ("gap", "10")];
    let plans = browser.post(&visit, &[form.as_slice(), &rest].concat()).await.to();
    let (taken, request) = browser.check(&[]).await;
    let lost = browser.desk.state().offers[0].key.clone();
    browser.desk.state().taken.push(lost);
    browser.post(&format!("{taken}/check"), &[("request", &request)]).await.to();
    let results = browser.post("/patients", &[("words", "okafor")]).await.to();
    for path in [
        format!("{check}/need"),
        format!("{check}/slots"),
        format!("{check}/details"),
        format!("{check}/check"),
        format!("{booked}/outcome"),
        format!("{taken}/outcome"),
        visit,
        plans,
        format!("{results}/new"),
        results,
        browser.choose("look").await,
        browser.choose("wait").await,
        browser.choose("queue").await,
    ] {
        println!("{path}");
    }
    let cookie: axum::http::HeaderValue = browser.cookie.parse().unwrap();
    let signed_in = map_request(move |mut request: Request| {
        let cookie = cookie.clone();
        async move {
            request.headers_mut().insert(header::COOKIE, cookie);
            request
        }
    });
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    println!("http://{}/reception", listener.local_addr().unwrap());
    axum::serve(listener, browser.router.clone().layer(signed_in)).await.unwrap();
}
