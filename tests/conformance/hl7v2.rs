//! HL7 v2 over MLLP: what a hub answers, what it keeps, and what it understands.

use std::{collections::BTreeMap, path::Path};

use polygate::{
    domain::entry::Entry,
    systems::{hl7::Dialect, rio, secondary_care, translate_entry},
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{
    case::{Case, Outcome},
    event, shared,
    shared::{Verdict, Verdicts},
    support::hub::InnerHub,
};

const ADT: [&str; 25] = [
    "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A14", "A15", "A16", "A21",
    "A22", "A25", "A26", "A27", "A28", "A31", "A38", "A40", "A52", "A53",
];
const SIU: [&str; 7] = ["S12", "S13", "S14", "S15", "S16", "S17", "S26"];
/// The numbers of table 0357.
const NUMBERS: [&str; 12] =
    ["100", "101", "102", "103", "200", "201", "202", "203", "204", "205", "206", "207"];

/// Sends a case's messages over one connection, each framed, to the link that the case names.
pub fn read(case: &Case) -> Outcome {
    let link = case.setting("link").unwrap_or_else(|| "secondary-care".to_owned());
    let dialect = if link == "rio" { rio::DIALECT } else { secondary_care::DIALECT };
    let inputs = case.inputs();
    let talk = Talk::hold(&link, dialect, &inputs);
    let answers: Vec<Value> = talk.answers.iter().map(|answer| shown(answer)).collect();
    let mut quarantined: Vec<String> =
        talk.hub.quarantined().into_iter().map(|found| format!("{} {}", found.kind, found.reason)).collect();
    quarantined.sort();
    let entries = talk.hub.entries();
    for entry in &entries {
        let raw = entry.raw.as_ref().expect("the bytes as they came");
        assert!(inputs.iter().any(|input| input == raw), "{}", case.says("other bytes were kept than came"));
    }
    let events: Vec<Value> = entries.iter().map(understood).collect();
    Outcome {
        value: json!({ "answers": answers, "events": events, "quarantined": quarantined }),
        outputs: vec![("ack.hl7", talk.answers.concat())],
    }
}

fn understood(entry: &Entry) -> Value {
    translate_entry(entry).map_or(Value::Null, |event| event::shown(&event))
}

/// One connection's messages and answers.
struct Talk {
    answers: Vec<Vec<u8>>,
    hub: InnerHub,
}

impl Talk {
    fn hold(link: &str, dialect: Dialect, messages: &[Vec<u8>]) -> Self {
        let mut hub = InnerHub::start();
        let link = hub.link(link);
        let mut answers = Vec::new();
        runtime().block_on(async {
            for message in messages {
                let stream = [&[0x0b], message.as_slice(), &[0x1c, 0x0d]].concat();
                answers.extend(hub.answer_hl7(&link, &dialect, &stream).await);
            }
        });
        assert_eq!(answers.len(), messages.len(), "one answer each");
        Self { answers, hub }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// An acknowledgement, read without the product's help.
fn shown(answer: &[u8]) -> Value {
    let text = String::from_utf8_lossy(answer);
    let segments: Vec<&str> = text.split('\r').collect();
    let separator = char::from(answer[3]);
    let msa: Vec<&str> =
        segments.iter().find(|segment| segment.starts_with("MSA")).unwrap().split(separator).collect();
    let component = char::from(answer[4]);
    let err = segments.iter().find(|segment| segment.starts_with("ERR"));
    // ERR-3 from version 2.5 on; before, and up to 2.6, MSA-6 as well.
    let in_err = err.and_then(|err| err.split(separator).nth(3));
    let code = msa.get(6).copied().or(in_err).and_then(|field| field.split(component).next());
    let code = code.unwrap_or_default();
    assert_eq!(err.is_some(), msa[1] != "AA", "a refusal has an ERR segment, and nothing else has one");
    json!({
        "code": msa[1],
        "control_id": msa[2],
        "error": NUMBERS.contains(&code).then_some(code),
        "err": err,
    })
}

/// Sends every public example to a hub: what we support is taken and understood, what we do not is refused by
/// name. Some of the examples have another's control id and say something else: those are refused as well.
pub fn judge(folder: &Path) -> Verdicts {
    // Public examples say T and D as often as P.
    let for_trials = Dialect { processing: None, ..secondary_care::DIALECT };
    let mut hub = InnerHub::start();
    let link = hub.link("pas");
    let runtime = runtime();
    let mut first: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut verdicts = Verdicts::new();
    for file in shared::files(folder) {
        let bytes = shared::bytes(folder, &file);
        let stream = [&[0x0b], bytes.as_slice(), &[0x1c, 0x0d]].concat();
        let kept = hub.entries().len();
        let answers = runtime.block_on(hub.answer_hl7(&link, &for_trials, &stream));
        let example = Example::read(&bytes);
        let is_first = *first.entry(example.name.clone()).or_insert_with(|| bytes.clone()) == bytes;
        let entry = hub.entries().into_iter().nth(kept);
        let faults = example.faults(&bytes, is_first, &answers, entry.as_ref());
        let verdict = if faults.is_empty() { Verdict::Right } else { Verdict::Wrong(faults.join("; ")) };
        verdicts.insert(file, verdict);
    }
    verdicts
}

/// What an example says, read without the product's help.
struct Example {
    control_id: String,
    /// Who calls it so: MSH-3, MSH-4 and MSH-10.
    name: String,
    supported: bool,
    /// CX.1 of each repetition of PID-3.
    identifiers: Vec<String>,
    /// PID-5.1.1.
    family_name: String,
    /// OBX-5 of each observation that follows an OBR, where it is one plain value.
    values: Vec<String>,
}

impl Example {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let segments: Vec<&str> = text.split(['\r', '\n']).collect();
        let separator = char::from(text.as_bytes()[3]);
        let header: Vec<&str> = segments[0].split(separator).collect();
        let of = |fields: &[&str], number: usize| fields.get(number).copied().unwrap_or_default().to_owned();
        let component = of(&header, 1).chars().next().unwrap_or('^');
        let part = |field: &str, place: usize| {
            field.split(component).nth(place).unwrap_or_default().trim().to_owned()
        };
        let head = |number: usize, place| part(&of(&header, number - 1), place);
        let named = |name: &str| segments.iter().find(|segment| segment.starts_with(name));
        let pid: Vec<&str> = named("PID").map_or_else(Vec::new, |segment| segment.split(separator).collect());
        let (kind, trigger) = (head(9, 0), head(9, 1));
        let spoken = match kind.as_str() {
            "ADT" => ADT.contains(&trigger.as_str()),
            "SIU" => SIU.contains(&trigger.as_str()),
            "ORU" => trigger == "R01",
            _ => false,
        };
        let reported = segments.iter().skip_while(|segment| !segment.starts_with("OBR"));
        let values = reported
            .filter(|segment| segment.starts_with("OBX") && kind == "ORU")
            .map(|segment| of(&segment.split(separator).collect::<Vec<_>>(), 5).trim().to_owned())
            .filter(|value| !value.is_empty() && !value.contains(['\\', '^', '~', '&', '"']))
            .collect();
        Self {
            control_id: of(&header, 9),
            name: [head(3, 0), head(4, 0), head(10, 0)].join("|"),
            supported: spoken
                && !pid.is_empty()
                && (trigger != "A40" || named("MRG").is_some())
                && !head(10, 0).is_empty(),
            identifiers: of(&pid, 3).split('~').map(|one| part(one, 0)).filter(|it| !it.is_empty()).collect(),
            family_name: part(&of(&pid, 5), 0).split('&').next().unwrap_or_default().to_owned(),
            values,
        }
    }

    fn faults(
        &self,
        bytes: &[u8],
        is_first: bool,
        answers: &[Vec<u8>],
        entry: Option<&Entry>,
    ) -> Vec<String> {
        let [answer] = answers else { return vec![format!("{} answers", answers.len())] };
        let answer = shown(answer);
        let mut faults = Vec::new();
        let mut expect = |what: &str, is_so: bool| {
            if !is_so {
                faults.push(format!("{what} (answered {answer})"));
            }
        };
        let taken = self.supported && is_first;
        expect("its control id comes back", answer["control_id"] == self.control_id.as_str());
        expect("AA or AR as supported", answer["code"] == if taken { "AA" } else { "AR" });
        expect("kept if taken, and only then", entry.is_some() == taken);
        let number = answer["error"].as_str();
        let right_number = match (self.supported, is_first) {
            (true, true) => number.is_none(),
            (true, false) => number == Some("205"),
            (false, _) => number.is_some(),
        };
        expect("the number of table 0357", right_number);
        let Some(entry) = entry else { return faults };
        expect("the bytes as they came", entry.raw.as_deref() == Some(bytes));
        let event = understood(entry);
        let has = |value: &str| {
            event["items"].as_array().is_some_and(|items| items.iter().any(|it| it["set"]["value"] == value))
        };
        let read: Vec<&str> = event["identifiers"].as_array().map_or_else(Vec::new, |all| {
            all.iter().filter_map(|one| one.as_str()?.split('|').next()).collect()
        });
        expect("every identifier of PID-3", read == self.identifiers);
        let family_name = event["items"][0]["set"]["family_name"].as_str().unwrap_or_default();
        expect("the family name", family_name == self.family_name);
        for value in &self.values {
            expect("every observed value", has(value));
        }
        faults
    }
}
