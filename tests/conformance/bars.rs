//! BaRS: bookings and referrals as posted to a hub's receiver.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::Request;
use polygate::{
    codec::bars::Refusal,
    sys::{
        http::{HttpClient, HttpLimits, HttpUrl},
        http_server,
    },
    systems::{
        bars::{Bars, BarsOptions, MESSAGE_BYTES_MAX},
        translate_entry,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Builder, sync::watch};

use crate::{
    case::{Case, Outcome},
    event,
    shared::{self, Verdict, Verdicts},
    support::hub::InnerHub,
};

const OURS: &str = "2000011147";
const SERVICE_ID: &str = "https://fhir.nhs.uk/Id/dos-service-id";

/// Posts messages for a service to a hub's receiver, one after another.
fn post(messages: &[Vec<u8>], service: &str) -> Value {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let hub = InnerHub::start();
    let options = BarsOptions {
        services: vec![service.to_owned()],
        name: "Soho".to_owned(),
        message_bytes_max: MESSAGE_BYTES_MAX,
        booking: None,
    };
    let router = Bars::new(Arc::clone(&hub.hub), hub.link("bars"), options).router();
    let answers: Vec<Value> = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = HttpUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(http_server::serve(listener, None, router, stopped));
        let client = HttpClient::new(url, None, HttpLimits::default());
        let mut answers = Vec::new();
        for message in messages {
            let answer = client.send(request(service, message)).await.unwrap();
            let body = serde_json::from_slice(answer.body()).unwrap();
            answers.push(shown(answer.status().as_u16(), &body));
        }
        drop(client);
        stop.send_replace(true);
        served.await.unwrap().unwrap();
        answers
    });
    let entries = hub.entries();
    let events: Vec<Value> = entries
        .iter()
        .map(|entry| translate_entry(entry).map_or(Value::Null, |one| event::shown(&one)))
        .collect();
    json!({ "answers": answers, "events": events, "quarantined": hub.quarantined().len() })
}

fn request(service: &str, message: &[u8]) -> Request<Bytes> {
    let encoded = |value: Value| STANDARD.encode(value.to_string());
    let who = |kind: &str| encoded(json!({ "resourceType": kind, "identifier": [{ "value": "ODS99" }] }));
    Request::post("/fhir/r4/$process-message")
        .header("content-type", "application/fhir+json;version=1.4.0")
        .header("x-request-id", "11111111-2222-4333-8444-555555555555")
        .header("x-correlation-id", "11111111-2222-4333-8444-555555555556")
        .header("nhsd-target-identifier", encoded(json!({ "system": SERVICE_ID, "value": service })))
        .header("nhsd-end-user-organisation", who("Organization"))
        .header("nhsd-requesting-software", who("Device"))
        .body(Bytes::copy_from_slice(message))
        .unwrap()
}

/// An answer: what became of the request, or why nothing did.
fn shown(status: u16, body: &Value) -> Value {
    let issue = &body["issue"][0];
    let (header, focus) = (&body["entry"][0]["resource"], &body["entry"][1]["resource"]);
    match status {
        200 => json!({
            "status": status, "event": header["eventCoding"]["code"], "to": header["response"]["identifier"],
            "id": focus["id"], "resource": focus["resourceType"], "became": focus["status"],
        }),
        _ => json!({
            "status": status, "code": issue["details"]["coding"][0]["code"], "issue": issue["code"],
            "text": issue["diagnostics"],
        }),
    }
}

/// Posts a case's messages to us.
pub fn read(case: &Case) -> Outcome {
    post(&case.inputs(), OURS).into()
}

/// The standard's own examples: requests are sent to us, and outcomes held against ours.
pub fn judge(folder: &Path) -> Verdicts {
    let judged = shared::files(folder).into_iter().map(|file| {
        let verdict = match file.as_str() {
            _ if file.ends_with("/POST-body.json") && file.contains("process_message") => {
                taken(folder, &file)
            }
            _ if file.contains("process_message/request/") => taken(folder, &file),
            _ if file.contains("OperationOutcome/REC/") => same_outcome(folder, &file),
            _ if file.contains("document_reference")
                || file.contains("Endpoint")
                || file.contains("HealthcareService") =>
            {
                Verdict::NotRead("registries, which hubs do not keep")
            }
            _ if file.contains("OperationOutcome/") => Verdict::NotRead("faults of senders and of the proxy"),
            _ if file.contains("appointment/")
                || file.contains("service_request/")
                || file.contains("slots/") =>
            {
                Verdict::NotRead("slots and appointments that other receivers tell, which are no request")
            }
            _ if file.ends_with(".yaml") => Verdict::Oracle,
            _ => Verdict::NotRead("answers of other receivers, which are no request"),
        };
        (file, verdict)
    });
    judged.collect()
}

/// Requests that we take are taken and said to be about whom they are; all others are refused for what they are.
fn taken(folder: &Path, file: &str) -> Verdict {
    let bytes = shared::bytes(folder, file);
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let header = &body["entry"][0]["resource"];
    let service =
        header["destination"][0]["endpoint"].as_str().unwrap().rsplit('|').next().unwrap().to_owned();
    let outcome = post(&[bytes], &service);
    let answer = &outcome["answers"][0];
    let definition = header["definition"].as_str().unwrap_or_default();
    let is_request = header["eventCoding"]["code"].as_str().unwrap().ends_with("-request");
    if !is_request || definition.contains("validation") {
        let is_refused = answer["status"] == 422 && answer["issue"] == "not-supported";
        return if is_refused { Verdict::Right } else { Verdict::Wrong(format!("answered {answer}")) };
    }
    let resources = || body["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
    let of = |kind: &str| resources().find(|one| one["resourceType"] == kind).unwrap();
    let event = &outcome["events"][0];
    let (demographics, request) = (&event["items"][0]["set"], &event["items"][1]["set"]);
    let same = answer["status"] == 200
        && demographics["family_name"] == of("Patient")["name"][0]["family"]
        && event["nhs_number"] == of("Patient")["identifier"][0]["value"]
        && request["start"] == of("Appointment")["start"]
        && request["status"] == "requested";
    if same { Verdict::Right } else { Verdict::Wrong(format!("answered {answer}, understood {event}")) }
}

/// An outcome that we give is the standard's, but for its words and ids.
fn same_outcome(folder: &Path, file: &str) -> Verdict {
    let example: Value = serde_json::from_slice(&shared::bytes(folder, file)).unwrap();
    let status: u16 = file.rsplit('/').next().unwrap().split('-').next().unwrap().parse().unwrap();
    let ours = [
        Refusal::required(""),
        Refusal::value(""),
        Refusal::invariant(""),
        Refusal::not_supported(""),
        Refusal::too_costly(""),
        Refusal::not_acceptable(""),
        Refusal::not_found(""),
        Refusal::not_implemented(""),
        Refusal::timeout(""),
        Refusal::duplicate(""),
        Refusal::conflict(""),
        Refusal::unavailable(""),
    ];
    let issue = &example["issue"][0];
    let same = ours.into_iter().find(|one| one.status == status && issue["code"] == one.issue);
    let Some(same) = same else {
        return Verdict::NotRead("outcomes that this receiver has no cause to give");
    };
    let mut outcome = same.outcome("");
    for (name, value) in [("id", &example["id"]), ("meta", &example["meta"])] {
        outcome[name] = value.clone();
    }
    outcome["issue"][0]["diagnostics"] = issue["diagnostics"].clone();
    if outcome == example { Verdict::Right } else { Verdict::Wrong(format!("we say {outcome}")) }
}
