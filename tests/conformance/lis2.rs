//! Analysers: LIS1-A conversations as they come over a line, byte for byte, and the LIS2-A2 records in them.

use std::time::Duration;

use bytes::Bytes;
use polygate::{
    codec::lis2::link::{Action, Conversation, Role, Verdict},
    systems::analyser,
};
use serde_json::{Value, json};

use crate::{
    case::{Case, Outcome},
    event,
};

const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Plays what an instrument sends to a host that takes every message at once.
pub fn read(case: &Case) -> Outcome {
    let now = Duration::ZERO;
    let mut host = Conversation::new(Role::Host, MESSAGE_BYTES_MAX);
    let (mut answers, mut events, mut torn) = (String::new(), Vec::new(), Vec::new());
    // One byte at a time, as slow lines bring them.
    for byte in case.input() {
        host.receive(&[byte], now);
        while let Some(action) = host.next_action() {
            match action {
                Action::Write(bytes) => answers.extend(bytes.iter().map(|byte| letter(*byte))),
                Action::Message(message) => {
                    events.extend(understood(&message));
                    host.decide(Verdict::Taken, now);
                }
                Action::Torn(_, why) => torn.push(why),
                other => panic!("{}", case.says(&format!("{other:?}"))),
            }
        }
    }
    json!({ "answers": answers, "events": events, "torn": torn }).into()
}

fn understood(message: &Bytes) -> Vec<Value> {
    match analyser::by_patient(message) {
        Ok(parts) => parts.iter().map(|(_, event)| event::shown(event)).collect(),
        Err(why) => vec![json!({ "refused": format!("{why:?}") })],
    }
}

/// A for ACK, N for NAK.
fn letter(byte: u8) -> char {
    match byte {
        0x06 => 'A',
        0x15 => 'N',
        other => char::from(other),
    }
}
