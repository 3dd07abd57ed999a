//! Adastra: ITK over SOAP and case exports, as posted to a hub's listener.

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::Request;
use polygate::{
    codec::itk::Addressed,
    sys::{
        entropy::Entropy,
        http::{HttpClient, HttpLimits, HttpUrl},
    },
    systems::{
        adastra::{Adastra, AdastraOptions},
        translate_entry,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, runtime::Builder, sync::watch};

use crate::{
    case::{Case, Outcome},
    event, shared,
    shared::{Verdict, Verdicts},
    support::{hub::InnerHub, program::lasting_port},
};

const OURS: &str = "5LC01";

/// Posts messages to a hub's listener, one after another; each path and message.
fn post(messages: &[(&str, Vec<u8>)], to: &[&str], security_optional: bool) -> Value {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let hub = InnerHub::start();
    let (port, (stop, stopped)) = (lasting_port(), watch::channel(false));
    let to = to.iter().map(|code| (*code).to_owned()).collect();
    let options = AdastraOptions {
        listen: (Ipv4Addr::LOCALHOST, port).into(),
        tls: None,
        addressed: Addressed { to, endpoints: Vec::new(), security_optional },
        message_bytes_max: 16 << 20,
    };
    let adastra = Adastra::new(Arc::clone(&hub.hub), hub.link("adastra"), options, Entropy::from_seed(1));
    let served = runtime.spawn(adastra.run(stopped));
    let answers: Vec<Value> = runtime.block_on(async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let url = HttpUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let client = HttpClient::new(url, None, HttpLimits::default());
        let mut answers = Vec::new();
        for (path, message) in messages {
            let request = Request::builder().method("POST").uri(*path).header("Content-Type", "text/xml");
            let answer = client.send(request.body(Bytes::from(message.clone())).unwrap()).await.unwrap();
            answers.push(shown(answer.status().as_u16(), &String::from_utf8_lossy(answer.body())));
        }
        answers
    });
    stop.send_replace(true);
    runtime.block_on(served).unwrap();
    let entries = hub.entries();
    let events: Vec<Value> = entries
        .iter()
        .map(|entry| translate_entry(entry).map_or(Value::Null, |one| event::shown(&one)))
        .collect();
    json!({ "answers": answers, "events": events, "quarantined": hub.quarantined().len() })
}

/// An answer, read without the product's help.
fn shown(status: u16, body: &str) -> Value {
    json!({
        "status": status,
        "ok": between(body, "OK:", "<"),
        "fault": between(body, "<faultcode>", "<"),
        "code": between(body, "ErrorCode", "</").and_then(|rest| rest.split('>').nth(1).map(str::to_owned)),
        "text": between(body, "ErrorText>", "<"),
    })
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found.to_owned())
}

/// Posts a case's messages to us, the organisation 5LC01. What does not begin as SOAP does is a case export.
pub fn read(case: &Case) -> Outcome {
    let inputs = case.inputs();
    let path = |input: &Vec<u8>| {
        let is_soap = String::from_utf8_lossy(input).contains(":Envelope");
        if is_soap { "/syncsoap" } else { "/case-data-export" }
    };
    let messages: Vec<(&str, Vec<u8>)> = inputs.iter().map(|input| (path(input), input.clone())).collect();
    post(&messages, &[OURS], false).into()
}

fn verdict(faults: Vec<String>) -> Verdict {
    if faults.is_empty() { Verdict::Right } else { Verdict::Wrong(faults.join("; ")) }
}

/// Reports of NHS 111 by several makers: each is taken, answered with its tracking id, and about whom it is about.
pub fn judge_reports(folder: &Path) -> Verdicts {
    let files = shared::files(folder);
    let mut verdicts = Verdicts::new();
    for file in &files {
        let verdict = match file.as_str() {
            _ if file.ends_with(".md") => Verdict::Oracle,
            _ if file.ends_with(".json") => Verdict::Oracle,
            _ if file.ends_with("SoapItkOkResponseTemplate.xml") => Verdict::Oracle,
            _ => verdict(report_faults(folder, file)),
        };
        verdicts.insert(file.clone(), verdict);
    }
    verdicts
}

fn report_faults(folder: &Path, file: &str) -> Vec<String> {
    let bytes = shared::bytes(folder, file);
    let text = filled_in(&String::from_utf8_lossy(&bytes));
    let bytes = text.clone().into_bytes();
    // Addressed to whomever the example is addressed to; some have nobody.
    let uris = text.split("address uri=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let codes: Vec<&str> = uris.map(|uri| uri.rsplit(':').next().unwrap_or(uri)).collect();
    let outcome = post(&[("/syncsoap", bytes)], &codes, true);
    let answer = &outcome["answers"][0];
    let tracking = between(&text, "trackingid=\"", "\"").unwrap();
    let mut faults = Vec::new();
    if answer["status"] != 200 || answer["ok"] != tracking.as_str() {
        return vec![format!("answered {answer}")];
    }
    let event = &outcome["events"][0];
    let patient = text.split("<patientRole").nth(1).or(text.split(":patientRole").nth(1)).unwrap_or_default();
    let family = between(patient, "family>", "<").unwrap_or_default();
    let demographics = &event["items"][0]["set"];
    if demographics["family_name"] != family.trim() {
        faults.push(format!("another family name: {}", demographics["family_name"]));
    }
    if event["source_id"] != tracking.as_str() {
        faults.push("it has another name".to_owned());
    }
    if !event["items"].as_array().unwrap().iter().any(|item| item["kind"] == "document") {
        faults.push("the document itself is in no item".to_owned());
    }
    faults.extend(oracle_faults(folder, file, demographics));
    faults
}

/// What the suite that an example is from fills in before it sends it.
fn filled_in(text: &str) -> String {
    let text = text.replace("@@certficate-created-date-time@@", "2026-01-05T10:15:00");
    let text = text.replace("@@certificate-created-date-time@@", "2026-01-05T10:15:00");
    let text = text.replace("@@certificate-expires-date-time@@", "2026-01-05T10:20:00");
    text.replace("@@nhs-number@@", "9990000018")
}

/// The FHIR that another program made of the same report.
fn oracle_faults(folder: &Path, file: &str, demographics: &Value) -> Vec<String> {
    let stem = file.rsplit('/').next().unwrap().replace("-itk-request.xml", "").replace("-request.xml", "");
    let stem = stem.trim_end_matches(".xml");
    let oracles = shared::files(folder).into_iter().filter(|other| other.ends_with(".json"));
    let mut faults = Vec::new();
    for oracle in oracles.filter(|other| other.contains(&format!("/{stem}"))) {
        let bundle: Value = serde_json::from_slice(&shared::bytes(folder, &oracle)).unwrap();
        let resources = bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
        for patient in resources.filter(|one| one["resourceType"] == "Patient") {
            let same = patient["name"][0]["family"] == demographics["family_name"]
                && patient["birthDate"] == demographics["birth_date"]
                && patient["address"][0]["postalCode"] == demographics["postcode"];
            if !same {
                faults.push(format!("{oracle} shows another patient than {demographics}"));
            }
        }
    }
    faults
}

/// The rules of the distribution envelope, and what is no affair of a hub's.
pub fn judge_envelopes(folder: &Path) -> Verdicts {
    const TEMPLATE: &str = "OneOneOne/reciever/tests/input_xmls/base_input.mustache";
    let template = String::from_utf8(shared::bytes(folder, TEMPLATE)).unwrap();
    let judged = shared::files(folder).into_iter().map(|file| {
        let expected = || String::from_utf8(shared::bytes(folder, &file)).unwrap();
        let verdict = match file.as_str() {
            TEMPLATE => Verdict::Oracle,
            _ if file.starts_with("OneOneOne/") => verdict(envelope_faults(&template, &file, &expected())),
            _ if file.starts_with("nhais-adaptor/") => {
                Verdict::NotRead("NHAIS: registrations with practices")
            }
            _ => Verdict::NotRead("ebXML: asynchronous messages to and from the Spine"),
        };
        (file.clone(), verdict)
    });
    judged.collect()
}

/// Breaks the rule that an expected answer is about, and compares the answers.
fn envelope_faults(template: &str, file: &str, expected: &str) -> Vec<String> {
    let service = "urn:nhs-itk:services:201005:SendNHS111Report-v2-0";
    let (mut action, mut manifest_count, mut payload_count) = (service, 1, 1);
    let (mut manifests, mut payloads) = (vec!["uuid-1"], vec!["uuid-1"]);
    match file.rsplit('/').next().unwrap() {
        "basic_success_response.xml" => {}
        "basic_fault_response.xml" => action = "",
        "invalid_action_service_values_response.xml" => action = "urn:nhs-itk:services:201005:Other",
        "invalid_manifest_instances.xml" => manifest_count = 2,
        "manifest_not_equal_to_payload_count.xml" => {
            (manifest_count, manifests) = (2, vec!["uuid-1", "uuid-2"]);
        }
        "payloadID_does_not_match_manifestID.xml" => payloads = vec!["uuid-9"],
        other => return vec![format!("nobody knows how to provoke {other}")],
    }
    payload_count = payload_count.max(payloads.len());
    let values = BTreeMap::from([
        ("action", action.to_owned()),
        ("service", service.to_owned()),
        ("manifestCount", manifest_count.to_string()),
        ("payloadCount", payload_count.to_string()),
    ]);
    let text = rendered(template, &values, &[("manifests", manifests), ("payloads", payloads)]);
    let outcome = post(&[("/syncsoap", text.into_bytes())], &[OURS], false);
    let answer = &outcome["answers"][0];
    let told = shown(200, expected);
    let same_fault = |own: &Value, other: &Value| {
        let bare = |value: &Value| value.as_str().map(|text| text.trim_start_matches("soap:").to_owned());
        bare(own) == bare(other)
    };
    // Its harness says its own name where receivers say OK.
    let accepted = between(expected, "TEST_HARNESS_ID:", "</itk:SimpleMessageResponse>");
    let accepted = accepted.map(|id| json!(id.trim())).unwrap_or_default();
    let same = same_fault(&answer["fault"], &told["fault"]) && answer["code"] == told["code"];
    if same && answer["ok"] == accepted {
        Vec::new()
    } else {
        vec![format!("expected {told}, answered {answer}")]
    }
}

/// A template with its values and lists filled in; each payload gets a document.
fn rendered(template: &str, values: &BTreeMap<&str, String>, lists: &[(&str, Vec<&str>)]) -> String {
    let mut text = template.to_owned();
    for (name, ids) in lists {
        let (open, close) = (format!("{{{{#{name}}}}}"), format!("{{{{/{name}}}}}"));
        let (before, rest) = text.split_once(&open).unwrap();
        let (inside, after) = rest.split_once(&close).unwrap();
        let all: String = ids.iter().map(|id| inside.replace("{{id}}", id)).collect();
        text = format!("{before}{all}{after}");
    }
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    let document = "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><id root=\"D-1\"/></ClinicalDocument>";
    let mut out = String::new();
    for (place, piece) in text.split("<itk:payload id=").enumerate() {
        match piece.split_once("/>") {
            Some((id, rest)) if 0 < place => {
                out.push_str(&format!("<itk:payload id={id}>{document}</itk:payload>{rest}"));
            }
            _ => out.push_str(piece),
        }
    }
    out
}
