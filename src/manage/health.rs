//! The answers to `/healthz`, `/readyz` and `/metrics`, for load balancers, monitoring and systemd's watchdog.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::flow::operate::{Operate, ask};

use super::metrics;

/// A journal whose writer has not answered for so long hangs: a slow disk's longest stall is shorter, and a
/// sender's patience ends about then.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Probes give up before those who ask do.
const PATIENCE: Duration = Duration::from_secs(5);
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

type Hubs = Arc<[Arc<dyn Operate>]>;

/// The probes of the hubs in this process. To be merged into the portal's router.
pub fn router(hubs: Vec<Arc<dyn Operate>>) -> Router {
    let hubs: Hubs = Arc::from(hubs);
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(hubs)
}

/// Whether the program does its work: the journal's writer answers. False means that a restart may help.
pub fn is_alive(hub: &dyn Operate) -> bool {
    hub.journal_silence() <= SILENCE_MAX
}

/// The body of `/healthz` and `/readyz`.
#[derive(Debug, Serialize)]
struct Probe {
    status: &'static str,
    hubs: Vec<HubProbe>,
}

#[derive(Debug, Serialize)]
struct HubProbe {
    hub: String,
    ok: bool,
    detail: String,
}

async fn healthz(State(hubs): State<Hubs>) -> Response {
    let mut probes = Vec::with_capacity(hubs.len());
    for hub in hubs.iter() {
        // Silence is asked for directly: it must be told while everything that may block does.
        let silence = hub.journal_silence();
        let ok = silence <= SILENCE_MAX;
        let detail = if ok {
            "the journal answers".to_owned()
        } else {
            format!("the journal has not answered for {} s", silence.as_secs())
        };
        // A hub that hangs may not even tell its name.
        let named = if ok { ask(hub, PATIENCE, |hub| hub.status().hub.to_string()).await.ok() } else { None };
        probes.push(HubProbe { hub: named.unwrap_or_default(), ok, detail });
    }
    answer(probes)
}

async fn readyz(State(hubs): State<Hubs>) -> Response {
    let mut probes = Vec::with_capacity(hubs.len());
    for hub in hubs.iter() {
        let probe = match ask(hub, PATIENCE, |hub| hub.status()).await {
            Ok(status) => {
                let alive = is_alive(hub.as_ref());
                let ok = alive && status.journal.accepting;
                let detail = match (alive, ok) {
                    (_, true) => "messages are taken in".to_owned(),
                    (false, _) => "the journal does not answer".to_owned(),
                    (true, false) => format!("messages are refused: {}", status.journal.reason),
                };
                HubProbe { hub: status.hub.to_string(), ok, detail }
            }
            Err(error) => HubProbe { hub: String::new(), ok: false, detail: error.to_string() },
        };
        probes.push(probe);
    }
    answer(probes)
}

async fn exposition(State(hubs): State<Hubs>) -> Response {
    let mut statuses = Vec::with_capacity(hubs.len());
    for hub in hubs.iter() {
        match ask(hub, PATIENCE, |hub| (hub.status(), hub.journal_silence())).await {
            Ok(status) => statuses.push(status),
            Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        }
    }
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    match metrics::exposition(statuses) {
        Ok(text) => {
            ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, NO_STORE)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn answer(hubs: Vec<HubProbe>) -> Response {
    let ok = hubs.iter().all(|hub| hub.ok);
    let (code, status) =
        if ok { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "failing") };
    (code, [(header::CACHE_CONTROL, NO_STORE)], Json(Probe { status, hubs })).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;

    use super::*;
    use crate::flow::fake::{self, FakeHub};

    async fn get(hub: &Arc<FakeHub>, path: &str) -> (u16, String) {
        let router = router(vec![Arc::clone(hub) as Arc<dyn Operate>]);
        let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let code = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_hub_that_takes_messages_is_healthy_and_ready() {
        let hub = Arc::new(FakeHub::new(fake::calm()));
        let (code, body) = get(&hub, "/healthz").await;
        let expected = r#"{"status":"ok","hubs":[{"hub":"westminster-south","ok":true,"detail":"the journal answers"}]}"#;
        assert_eq!((code, body.as_str()), (200, expected));
        assert_eq!(get(&hub, "/readyz").await.0, 200);
    }

    #[tokio::test]
    async fn a_full_hub_is_healthy_but_not_ready() {
        let mut status = fake::calm();
        status.journal.accepting = false;
        status.journal.reason = "the disk is full".to_owned();
        let hub = Arc::new(FakeHub::new(status));
        assert_eq!(get(&hub, "/healthz").await.0, 200);
        let (code, body) = get(&hub, "/readyz").await;
        assert_eq!(code, 503);
        assert!(body.contains("messages are refused: the disk is full"), "{body}");
    }

    #[tokio::test]
    async fn a_journal_that_hangs_is_neither() {
        let hub = Arc::new(FakeHub::new(fake::calm()));
        hub.silence_seconds.store(10, Ordering::SeqCst);
        assert_eq!(get(&hub, "/healthz").await.0, 200);
        hub.silence_seconds.store(11, Ordering::SeqCst);
        let (code, body) = get(&hub, "/healthz").await;
        assert_eq!(code, 503);
        assert!(body.contains("has not answered for 11 s"), "{body}");
        assert_eq!(get(&hub, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn metrics_are_open_metrics() {
        let hub = Arc::new(FakeHub::new(fake::calm()));
        let (code, body) = get(&hub, "/metrics").await;
        assert_eq!(code, 200);
        assert!(body.ends_with("# EOF\n"));
    }
}
