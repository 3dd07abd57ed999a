//! PMIP EDIFACT: reports from laboratories and radiology departments, and the NHSACK that answers them.

use std::path::Path;

use polygate::{
    codec::edifact::{
        Interchange, Message, Segments,
        nhsack::{self, MessageVerdict, NhsAck},
    },
    systems::mesh,
};
use serde_json::{Value, json};

use crate::{
    case::{Case, Outcome},
    event, shared,
    shared::{Verdict, Verdicts},
};

/// When answers are written: local date and time.
const NOW: (&str, &str) = ("20261118", "1106");

/// Reads an interchange, and answers it as number 7 to its sender.
pub fn read(case: &Case) -> Outcome {
    let report = Report::of(&case.input());
    let ack = report.ack.as_ref().map(|ack| ack.encode(7, NOW, "NHSACK"));
    let events: Vec<Value> = report
        .messages
        .iter()
        .map(|message| match message {
            Ok(event) => event.clone(),
            Err(reason) => json!({ "rejected": reason }),
        })
        .collect();
    Outcome {
        value: json!({
            "verdict": report.ack.as_ref().map(|ack| ack.verdict.code()),
            "asks": report.asks,
            "events": events,
            "acknowledges": report.acknowledges,
        }),
        outputs: ack.map(|bytes| ("ack.edi", bytes)).into_iter().collect(),
    }
}

/// What became of an interchange.
struct Report {
    /// The answer; none if there is nobody to answer.
    ack: Option<NhsAck>,
    /// Whether the sender asks for it.
    asks: bool,
    /// What each message says, or why it is rejected.
    messages: Vec<Result<Value, String>>,
    /// What the interchange's own acknowledgements say.
    acknowledges: Vec<Value>,
}

impl Report {
    fn of(bytes: &[u8]) -> Self {
        let nothing = Self { ack: None, asks: false, messages: Vec::new(), acknowledges: Vec::new() };
        let Ok(segments) = Segments::of(bytes) else { return nothing };
        let interchange = match Interchange::of(&segments) {
            Ok(interchange) => interchange,
            Err(refusal) => {
                let asks = refusal.header().is_some_and(|header| header.acknowledgement_requested);
                return Self { ack: NhsAck::of_refusal(&refusal), asks, ..nothing };
            }
        };
        let of_reports = || interchange.messages.iter().filter(|message| !NhsAck::is(message));
        let understood = |message: &Message<'_>| {
            let event = mesh::translate(&interchange.header, message).map_err(|why| why.to_string())?;
            Ok(event::shown(&event))
        };
        let messages: Vec<Result<Value, String>> = of_reports().map(understood).collect();
        let verdicts = of_reports().zip(&messages).map(|(message, understood)| MessageVerdict {
            reference: message.reference.clone(),
            rejected: understood.as_ref().err().cloned(),
        });
        let acks = nhsack::read_all(&interchange);
        let acknowledges = acks.iter().map(|ack| {
            let of = |message: &MessageVerdict| json!([message.reference, message.rejected]);
            json!({
                "interchange": ack.interchange,
                "verdict": ack.verdict.code(),
                "reason": ack.reason,
                "messages": ack.messages.iter().map(of).collect::<Vec<_>>(),
            })
        });
        Self {
            ack: Some(NhsAck::of_messages(&interchange.header, verdicts.collect())),
            asks: interchange.header.acknowledgement_requested,
            acknowledges: acknowledges.collect(),
            messages,
        }
    }
}

/// Reads every public example. What must become of it is in its name; what a report says is compared with the FHIR
/// that another program made of it, and with the numbers in its own bytes.
pub fn judge(folder: &Path) -> Verdicts {
    let files = shared::files(folder);
    let mut verdicts = Verdicts::new();
    for file in &files {
        let bytes = shared::bytes(folder, file);
        let faults = match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "json" => {
                verdicts.insert(file.clone(), Verdict::Oracle);
                continue;
            }
            "txt" => acknowledgement_faults(file, &bytes),
            _ if bytes.starts_with(b"UNH") => fragment_faults(&bytes),
            _ => interchange_faults(folder, &files, file, &bytes),
        };
        let verdict = if faults.is_empty() { Verdict::Right } else { Verdict::Wrong(faults.join("; ")) };
        verdicts.insert(file.clone(), verdict);
    }
    verdicts
}

/// What the NHSACK must say of an interchange, by its file's name.
fn expected_verdict(file: &str) -> &'static str {
    let name = file.rsplit('/').next().unwrap();
    for code in ["IAF", "IAP", "IRA", "IRI", "IRM"] {
        if name.contains(&format!("_{code}")) {
            return code;
        }
    }
    match name {
        _ if name.contains("interchange_parsing_failure") => "IRI",
        _ if name.contains("partial_acceptance") => "IAP",
        _ if file.contains("failure_uat_data") => "IRA",
        _ => "IAF",
    }
}

fn interchange_faults(folder: &Path, files: &[String], file: &str, bytes: &[u8]) -> Vec<String> {
    let report = Report::of(bytes);
    let mut faults = Vec::new();
    let verdict = report.ack.as_ref().map(|ack| ack.verdict.code());
    if verdict != Some(expected_verdict(file)) {
        let reasons: Vec<&String> = report.messages.iter().filter_map(|one| one.as_ref().err()).collect();
        faults.push(format!("expected {}, found {verdict:?} {reasons:?}", expected_verdict(file)));
    }
    let asks = String::from_utf8_lossy(bytes).contains("++MEDRPT++1'");
    if report.asks != asks {
        faults.push(format!("expected that it asks for an acknowledgement: {asks}"));
    }
    faults.extend(report.messages.iter().flatten().flat_map(|event| missing_numbers(event, bytes)));
    let stem = file.strip_suffix(".edifact.dat").unwrap().replace("/edifact/", "/fhir/");
    let accepted: Vec<&Value> = report.messages.iter().flatten().collect();
    // Of the only one that is accepted, or of the second of those that are.
    for (ending, number) in [(".fhir.json", 1), (".1.fhir.json", 1), ("_msg2.fhir.json", 2)] {
        let oracle = format!("{stem}{ending}");
        if !files.contains(&oracle) {
            continue;
        }
        let bundle: Value = serde_json::from_slice(&shared::bytes(folder, &oracle)).unwrap();
        match accepted.get(number - 1) {
            Some(event) => faults.extend(differing(event, &bundle)),
            None => {
                faults.push(format!("message {number} was not accepted, and {oracle} shows what it says"))
            }
        }
    }
    faults
}

/// A message alone, without an interchange about it.
fn fragment_faults(bytes: &[u8]) -> Vec<String> {
    let segments = Segments::of(bytes).unwrap();
    let (header, message) = match Interchange::single(&segments) {
        Ok(found) => found,
        Err(refusal) => return vec![refusal.to_string()],
    };
    match mesh::translate(&header, &message) {
        Ok(event) => missing_numbers(&event::shown(&event), bytes),
        Err(why) => vec![why.to_string()],
    }
}

fn acknowledgement_faults(file: &str, bytes: &[u8]) -> Vec<String> {
    let report = Report::of(bytes);
    let [ack] = report.acknowledges.as_slice() else { return vec!["it holds no one NHSACK".to_owned()] };
    let expected = match expected_verdict(file) {
        "IAP" => json!([["1", null], ["2", "This is a failed message."], ["3", null]]),
        "IRI" => json!([]),
        _ => json!([["1", null], ["2", null], ["3", null]]),
    };
    let right = ack["verdict"] == expected_verdict(file)
        && ack["interchange"] == "1015"
        && ack["messages"] == expected
        && (ack["verdict"] != "IRI" || ack["reason"] == "Interchange could not be processed.");
    if right { Vec::new() } else { vec![format!("read as {ack}")] }
}

/// Numbers that the bytes give for a result (RSL+NV), read without the product's help, and that are in no item, of
/// one message after another.
fn missing_numbers(event: &Value, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let reference =
        event["source_id"].as_str().unwrap().split(['/', '@']).nth(1).unwrap_or_default().to_owned();
    let messages = text.split("UNH+").skip(1);
    let mine: Vec<&str> = messages.filter(|message| message.starts_with(&format!("{reference}+"))).collect();
    let [mine] = mine.as_slice() else { return Vec::new() };
    let given: Vec<&str> =
        mine.split("RSL+NV+").skip(1).filter_map(|rest| rest.split(['+', ':', '\'']).next()).collect();
    let items = event["items"].as_array().unwrap();
    let found: Vec<&str> = items
        .iter()
        .filter(|item| item["kind"] == "result")
        .filter_map(|item| item["set"]["value"].as_str())
        .filter_map(|value| value.lines().next())
        .collect();
    let missing = given.iter().filter(|number| !number.is_empty() && !found.contains(number));
    missing.map(|number| format!("the result {number} of message {reference} is in no item")).collect()
}

/// Where an event differs from the FHIR that another program made of the same message.
fn differing(event: &Value, bundle: &Value) -> Vec<String> {
    let resources: Vec<&Value> =
        bundle["entry"].as_array().unwrap().iter().map(|one| &one["resource"]).collect();
    let of_kind = |kind: &'static str| resources.iter().filter(move |one| one["resourceType"] == kind);
    let mut faults = Vec::new();
    let items = event["items"].as_array().unwrap();
    let demographics = &items[0]["set"];
    for patient in of_kind("Patient") {
        let family = patient["name"][0]["family"].as_str().unwrap_or_default();
        if demographics["family_name"].as_str().unwrap_or_default() != family {
            faults.push("another family name".to_owned());
        }
        let born = patient["birthDate"].as_str().unwrap_or_default();
        if !demographics["birth_date"].as_str().unwrap_or_default().starts_with(born) {
            faults.push("another date of birth".to_owned());
        }
    }
    for observation in of_kind("Observation") {
        let code = &observation["code"]["coding"][0]["code"];
        let name =
            observation["code"]["coding"][0]["display"].as_str().or(observation["code"]["text"].as_str());
        let value = &observation["valueQuantity"]["value"];
        let Some(number) = value.as_f64() else { continue };
        let is_same = |item: &&Value| {
            let set = &item["set"];
            let own = set["value"].as_str().and_then(|text| text.lines().next()?.parse::<f64>().ok());
            (code.is_null() || set["code"] == *code)
                && (name.is_none() || set["name"].as_str() == name)
                && own.is_some_and(|own| (own - number).abs() < 1e-9)
                && set["units"] == observation["valueQuantity"]["unit"]
        };
        if !items.iter().any(|item| is_same(&item)) {
            faults.push(format!("no item says {code} {name:?} {value}"));
        }
    }
    faults
}
