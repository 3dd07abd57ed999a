//! POCT1-A: conversations of point-of-care analysers as they come over a stream, byte for byte.

use std::time::Duration;

use polygate::codec::poct1a::{
    conversation::{Action, Conversation, Now, Verdict},
    message::{Body, Message, Service},
};
use serde_json::{Value, json};

use crate::{
    case::{Case, Outcome},
    support::hub::NOW,
};

/// Plays what a device says to a hub that takes everything at once.
pub fn read(case: &Case) -> Outcome {
    let now = Now { since: Duration::ZERO, clock: NOW };
    let mut hub = Conversation::new(16 << 20);
    let (mut answers, mut messages, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let (mut devices, mut not_done) = (Vec::new(), Vec::new());
    // One byte at a time: there is no framing but the root element's own end.
    for byte in case.input() {
        hub.receive(&[byte], now);
        while let Some(action) = hub.next_action() {
            match action {
                Action::Write(bytes) => answers.push(answer(&String::from_utf8_lossy(&bytes))),
                Action::Message(_, message) => {
                    messages.push(shown(&message));
                    hub.decide(Verdict::Taken, now);
                }
                Action::Refused(_, why) => refused.push(why),
                Action::Introduced(device) => devices.push(format!("{device:?}")),
                Action::NotDone(what) => not_done.push(what),
            }
        }
    }
    hub.hang_up();
    json!({
        "answers": answers,
        "messages": messages,
        "refused": refused,
        "devices": devices.len(),
        "not_done": not_done,
    })
    .into()
}

/// What we said: the root element, what an acknowledgement says of which message, or what is asked for.
fn answer(text: &str) -> String {
    let root = text.split('<').find(|part| part.starts_with(|c: char| c.is_ascii_uppercase()));
    let root = root.and_then(|part| part.split(['>', ' ', '/']).next()).unwrap_or_default();
    let value = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name} V=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let said =
        [value("ACK.type_cd"), value("ACK.ack_control_id"), value("REQ.request_cd"), value("DTV.command_cd")];
    let said: Vec<String> = said.into_iter().flatten().collect();
    [&[root.to_owned()], said.as_slice()].concat().join(" ")
}

fn shown(message: &Message) -> Value {
    let services = match &message.body {
        Body::Observations(services) => services.iter().map(service).collect(),
        Body::Events(count) => json!(count),
        _ => Value::Null,
    };
    json!({ "kind": message.kind, "control_id": message.control_id, "services": services })
}

fn service(service: &Service) -> Value {
    let results: Vec<Value> = service
        .observations
        .iter()
        .map(|one| json!([one.code, one.value, one.units, one.interpretation]))
        .collect();
    json!({
        "role": service.role,
        "patient": service.patient.as_ref().map(|patient| patient.ids.clone()),
        "results": results,
    })
}
