//! What a fuzz target calls: any bytes at all go in, and nothing may panic or depend on how they come.

use std::time::Duration;

use super::{
    link::{Action, Conversation, Role, Verdict},
    record::Message,
};

/// Behind a message that is not decided only so much may wait.
const BYTES_MAX: usize = 4096;

/// An instrument says these bytes.
///
/// # Panics
/// If what comes of them depends on how the line cuts it.
pub fn fuzz(data: &[u8]) {
    let data = data.get(..data.len().min(BYTES_MAX)).unwrap_or_default();
    for verdict in [Verdict::Taken, Verdict::Later] {
        let whole = conversation(data, data.len().max(1), verdict);
        assert_eq!(whole, conversation(data, 1, verdict), "what is received depends on how the line cuts it");
        for action in &whole {
            if let Action::Message(bytes) | Action::Torn(bytes, _) = action {
                records(bytes);
            }
        }
    }
    records(data);
}

/// What is written is left out: a host that hears that its sender gave up answers less.
fn conversation(data: &[u8], piece_bytes: usize, verdict: Verdict) -> Vec<Action> {
    let now = Duration::ZERO;
    let mut host = Conversation::new(Role::Host, BYTES_MAX / 2);
    let mut all = Vec::new();
    for piece in data.chunks(piece_bytes) {
        host.receive(piece, now);
        while let Some(action) = host.next_action() {
            match action {
                Action::Write(_) => {}
                Action::Message(_) => {
                    all.push(action);
                    host.decide(verdict, now);
                }
                other => all.push(other),
            }
        }
    }
    host.hang_up();
    all.extend(std::iter::from_fn(|| host.next_action()));
    all
}

fn records(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    for record in message.records() {
        for number in 1..40 {
            let field = record.field(number);
            drop(field.text());
            for repetition in field.repetitions() {
                drop((1..6).map(|place| repetition.component(place)).collect::<Vec<_>>());
            }
        }
    }
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
            text in "([\u{1}-\u{6}\u{15}\u{17}]|\u{5}\u{2}1L\u{3}80|\u{2}1H\\|\\\\\\^&\r\u{3}E5|[HPORCL]\\|[0-9]|[\r\n]){0,60}"
        ) {
            super::fuzz(text.as_bytes());
        }
    }
}
