//! The MESH API over HTTP, as far as mailboxes use it.

use std::{collections::HashMap, io, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bytes::Bytes;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};

use crate::sys::http_server;

use super::store::{MeshServer, Standing, Stored};

/// The largest body taken: MESH asks for chunks beyond 20 MB from outside its own network.
const BODY_BYTES_MAX: usize = 20 << 20;
/// Messages listed at once.
const PAGE: usize = 500;

type Server = State<Arc<MeshServer>>;

/// Serves mailboxes on a port until `stop` changes.
///
/// # Errors
/// The server's.
pub async fn serve(
    listener: TcpListener,
    server: Arc<MeshServer>,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    http_server::serve(listener, None, router(server), stop).await
}

fn router(server: Arc<MeshServer>) -> Router {
    let mailbox = Router::new()
        .route("/{mailbox}", get(handshake).post(handshake))
        .route("/{mailbox}/inbox", get(inbox))
        .route("/{mailbox}/inbox/{id}", get(first_chunk))
        .route("/{mailbox}/inbox/{id}/{chunk}", get(later_chunk))
        .route("/{mailbox}/inbox/{id}/status/acknowledged", put(acknowledge))
        .route("/{mailbox}/outbox", post(send))
        .route("/{mailbox}/outbox/{id}/{chunk}", post(send_chunk))
        .route("/{mailbox}/outbox/tracking", get(track_id))
        .route("/{mailbox}/outbox/tracking/{local_id}", get(track_local));
    Router::new()
        .nest("/messageexchange", mailbox)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&server), authorised))
        .with_state(server)
}

async fn authorised(State(server): Server, request: Request, next: Next) -> Response {
    let mailbox = request.uri().path().split('/').nth(2).unwrap_or_default().to_owned();
    let header = header(request.headers(), "authorization");
    if server.authorises(&mailbox, &header) {
        next.run(request).await
    } else {
        fault(StatusCode::FORBIDDEN, "Invalid Authentication Token", "")
    }
}

async fn handshake() -> StatusCode {
    StatusCode::OK
}

async fn inbox(
    State(server): Server,
    Path(mailbox): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let all = server.inbox(&mailbox);
    let from = query
        .get("continue_from")
        .and_then(|from| all.iter().position(|id| id == from))
        .map_or(0, |at| at + 1);
    let page: Vec<&String> = all.iter().skip(from).take(PAGE).collect();
    let mut links = json!({ "self": format!("/messageexchange/{mailbox}/inbox") });
    if let Some(last) = page.last().filter(|_| from + page.len() < all.len()) {
        links["next"] = json!(format!("/messageexchange/{mailbox}/inbox?continue_from={last}"));
    }
    Json(json!({ "messages": page, "links": links, "approx_inbox_count": all.len() })).into_response()
}

async fn first_chunk(State(server): Server, Path((mailbox, id)): Path<(String, String)>) -> Response {
    chunk(&server, &mailbox, &id, 1)
}

async fn later_chunk(
    State(server): Server,
    Path((mailbox, id, number)): Path<(String, String, usize)>,
) -> Response {
    chunk(&server, &mailbox, &id, number)
}

fn chunk(server: &MeshServer, mailbox: &str, id: &str, number: usize) -> Response {
    let Some(message) = server.get(id) else {
        return fault(StatusCode::NOT_FOUND, "Message does not exist", "20");
    };
    if message.to != mailbox {
        return fault(StatusCode::FORBIDDEN, "Not your message", "");
    }
    if !matches!(message.standing, Standing::Accepted | Standing::Acknowledged) {
        return fault(StatusCode::GONE, "Message no longer available for download", "");
    }
    let count = message.chunks.len();
    let body = message.chunks.get(number.wrapping_sub(1)).cloned();
    let Some(body) = body else { return fault(StatusCode::NOT_FOUND, "No such chunk", "20") };
    let status = if number < count { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("mex-from", &message.from);
    set("mex-to", &message.to);
    set("mex-workflowid", &message.workflow);
    set("mex-localid", &message.local_id);
    set("mex-messageid", &message.id);
    set("mex-chunk-range", &format!("{number}:{count}"));
    set("content-type", &message.content_type);
    set("content-encoding", &message.encoding);
    match &message.report_on {
        None => set("mex-messagetype", "DATA"),
        Some(linked) => {
            set("mex-messagetype", "REPORT");
            set("mex-linkedmsgid", linked);
            set("mex-statuscode", "14");
            set("mex-statusdescription", "Message not collected by recipient after 5 days");
        }
    }
    (status, headers, body).into_response()
}

async fn acknowledge(State(server): Server, Path((mailbox, id)): Path<(String, String)>) -> Response {
    if server.acknowledge(&mailbox, &id) {
        StatusCode::OK.into_response()
    } else {
        fault(StatusCode::NOT_FOUND, "Message does not exist", "20")
    }
}

async fn send(
    State(server): Server,
    Path(mailbox): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let to = header(&headers, "mex-to").to_ascii_uppercase();
    let workflow = header(&headers, "mex-workflowid");
    if !server.has(&to) {
        return fault(StatusCode::EXPECTATION_FAILED, "Unregistered to address", "12");
    }
    if workflow.is_empty() {
        return fault(StatusCode::BAD_REQUEST, "Workflow ID missing", "06");
    }
    if body.is_empty() {
        return fault(StatusCode::EXPECTATION_FAILED, "Data file is missing or inaccessible.", "02");
    }
    let expected =
        header(&headers, "mex-chunk-range").split_once(':').and_then(|(_, count)| count.parse().ok());
    let id = server.put(Stored {
        content_type: header(&headers, "content-type"),
        encoding: header(&headers, "content-encoding"),
        chunks_expected: expected.unwrap_or(1),
        ..Stored::new(&mailbox, &to, &workflow, &header(&headers, "mex-localid"), body)
    });
    (StatusCode::ACCEPTED, Json(json!({ "message_id": id }))).into_response()
}

async fn send_chunk(
    State(server): Server,
    Path((mailbox, id, number)): Path<(String, String, usize)>,
    body: Bytes,
) -> Response {
    if server.put_chunk(&mailbox, &id, number, body) {
        StatusCode::ACCEPTED.into_response()
    } else {
        fault(StatusCode::EXPECTATION_FAILED, "InvalidHeaderChunks", "")
    }
}

async fn track_id(
    State(server): Server,
    Path(mailbox): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let wanted = query.get("messageID").and_then(|id| server.get(id)).filter(|one| one.from == mailbox);
    tracked(wanted.into_iter().collect())
}

async fn track_local(State(server): Server, Path((mailbox, local_id)): Path<(String, String)>) -> Response {
    tracked(server.sent_as(&mailbox, &local_id))
}

fn tracked(found: Vec<Stored>) -> Response {
    match &found[..] {
        [] => fault(StatusCode::NOT_FOUND, "Message does not exist", "20"),
        [one] => {
            let body = json!({
                "messageId": one.id, "localId": one.local_id, "workflowId": one.workflow,
                "recipient": one.to, "status": one.standing.word(),
            });
            Json(body).into_response()
        }
        _ => StatusCode::MULTIPLE_CHOICES.into_response(),
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_owned()
}

fn fault(status: StatusCode, words: &str, code: &str) -> Response {
    (status, Json(json!({ "detail": [{ "event": "SEND", "code": code, "msg": words }] }))).into_response()
}
