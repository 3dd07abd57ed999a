//! What the fuzz target calls: any bytes at all go in, and nothing may panic or depend on how they come.

use std::time::Duration;

use crate::domain::time::Timestamp;

use super::conversation::{Action, Conversation, Now, Verdict};

/// Longer inputs find nothing that shorter ones do not.
const BYTES_MAX: usize = 64 << 10;

/// A device says these bytes.
///
/// # Panics
/// If what comes of them depends on how the stream is cut.
pub fn fuzz(data: &[u8]) {
    let data = data.get(..data.len().min(BYTES_MAX)).unwrap_or_default();
    let whole = conversation(data, data.len().max(1));
    assert_eq!(whole, conversation(data, 1), "what is received depends on how the stream is cut");
    assert_eq!(whole, conversation(data, 7), "what is received depends on how the stream is cut");
}

fn conversation(data: &[u8], piece_bytes: usize) -> Vec<Action> {
    let now = Now { since: Duration::ZERO, clock: Timestamp(0) };
    let mut hub = Conversation::new(BYTES_MAX / 2);
    let mut all = Vec::new();
    let mut decide = |hub: &mut Conversation| {
        while let Some(action) = hub.next_action() {
            let is_message = matches!(action, Action::Message(..));
            all.push(action);
            if is_message {
                hub.decide(Verdict::Taken, now);
            }
        }
    };
    for piece in data.chunks(piece_bytes) {
        hub.receive(piece, now);
        decide(&mut hub);
    }
    hub.hang_up();
    decide(&mut hub);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
            super::fuzz(&data);
        }

        #[test]
        fn what_looks_like_a_conversation_is_survived(
            text in "(<(HEL|OBS|DST|EOT|ACK)\\.R01>|</(HEL|OBS|DST|EOT|ACK)\\.R01>|<HDR><HDR\\.control_id V=\"[0-9]\"/></HDR>|<SVC><PT><OBS/></PT></SVC>|[a-z<>]){0,30}"
        ) {
            super::fuzz(text.as_bytes());
        }
    }
}
