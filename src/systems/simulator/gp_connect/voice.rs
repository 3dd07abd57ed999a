//! How the practice's system writes: EMIS in JSON with its habits, Vision in XML.

use axum::http::{
    Request, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, DATE, ETAG, HeaderValue, LOCATION,
    },
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    codec::{
        fhir::{self, Format},
        gzip,
    },
    domain::time::Timestamp,
    systems::gp_connect::Profile,
};

use super::complaint::Complaint;

/// Answers shorter than this are sent as they are, in bytes.
const PACKED_FROM_BYTES: usize = 4096;

/// The answer to a request, in the supplier's own format whatever was asked for, if it accepts both.
pub(super) fn answer(
    profile: &Profile,
    request: &Request<Bytes>,
    done: Result<Value, Complaint>,
    now: Timestamp,
) -> Response<Bytes> {
    let created = request.method() == "POST" && request.uri().path().ends_with("/Appointment");
    let (status, mut resource) = match done {
        Ok(resource) => (if created { StatusCode::CREATED } else { StatusCode::OK }, resource),
        Err(complaint) => (complaint.status, complaint.resource()),
    };
    let version = resource.pointer("/meta/versionId").and_then(Value::as_str).map(str::to_owned);
    let location = resource.get("id").and_then(Value::as_str).map(|id| format!("Appointment/{id}"));
    if profile.format == Format::Json {
        with_habits(&mut resource);
    }
    let plain = fhir::write(&resource, profile.format);
    let asks_for_gzip = request.headers().get(ACCEPT_ENCODING).is_some_and(|value| value == "gzip");
    let packs = asks_for_gzip && PACKED_FROM_BYTES < plain.len();
    let body = if packs { gzip::pack(&plain) } else { plain };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let media = format!("{};charset=utf-8", profile.format.media_type());
    let etag = version.map(|version| format!("W/\"{version}\""));
    let location = location.filter(|_| created && status == StatusCode::CREATED);
    let encoding = packs.then(|| "gzip".to_owned());
    for (name, value) in
        [(CONTENT_TYPE, Some(media)), (ETAG, etag), (LOCATION, location), (CONTENT_ENCODING, encoding)]
    {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    stamp(&mut response, now);
    response
}

/// An answer without a resource.
pub(super) fn plain(status: StatusCode, now: Timestamp) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    stamp(&mut response, now);
    response
}

/// `Date`, by the practice's own clock.
fn stamp(response: &mut Response<Bytes>, now: Timestamp) {
    let moment = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment);
    if let Some(value) = text.ok().and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(DATE, value);
    }
}

/// Blanks where others leave things out, and a single value where a list belongs.
fn with_habits(resource: &mut Value) {
    let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(entries) = resource.get_mut("entry").and_then(Value::as_array_mut) {
        for entry in entries {
            entry.get_mut("resource").map(with_habits);
        }
    }
    match kind.as_str() {
        "Observation" => {
            resource.as_object_mut().map(|members| members.entry("comment").or_insert_with(|| json!("")));
        }
        "Location" | "Organization" => {
            if let Some(telecom) = resource.get_mut("telecom")
                && let Some(only) =
                    telecom.as_array().filter(|all| all.len() == 1).and_then(|all| all.first())
            {
                *telecom = only.clone();
            }
        }
        "AllergyIntolerance" => {
            resource
                .as_object_mut()
                .map(|members| members.entry("note").or_insert_with(|| json!([{"text": ""}])));
        }
        _ => {}
    }
}
