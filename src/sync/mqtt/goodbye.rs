//! Finds the DISCONNECT that rumqttc loses.
//!
//! A DISCONNECT may end after its reason code (MQTT 5, section 3.14.2.2.1). rumqttc 0.25.1 then waits for a
//! property length that never comes, and the reason, "another client took over" above all, is lost. So the bytes are watched on their way through the tunnel: packet by packet, headers only.

use std::sync::{Arc, OnceLock};

use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;

/// The first byte of a DISCONNECT.
const DISCONNECT: u8 = 0xe0;

/// Where a watch leaves the reason it saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Goodbye(Arc<OnceLock<u8>>);

impl Goodbye {
    /// Why the broker ended the connection, if it said so.
    pub(super) fn reason(&self) -> Option<DisconnectReasonCode> {
        self.0.get().and_then(|code| DisconnectReasonCode::try_from(*code).ok())
    }

    /// What is to see every byte from the broker, in order.
    pub(super) fn watch(&self) -> impl FnMut(&[u8]) + Send + 'static {
        let (found, mut place) = (Arc::clone(&self.0), Place::First);
        move |bytes| {
            let mut rest = bytes;
            while let Some((&byte, after)) = rest.split_first() {
                (place, rest) = match place {
                    Place::First => (Place::Length { first: byte, length: 0, shift: 0 }, after),
                    Place::Length { first, length, shift } => {
                        (length_digit(first, length, shift, byte), after)
                    }
                    Place::Body { first: DISCONNECT, left } => {
                        // The reason code is the body's first byte; a second DISCONNECT cannot come.
                        found.get_or_init(|| byte);
                        (left_after(left, 1), after)
                    }
                    Place::Body { left, .. } => {
                        let taken = left.min(rest.len());
                        (left_after(left, taken), rest.split_at_checked(taken).unwrap_or_default().1)
                    }
                };
            }
        }
    }
}

/// Where in a packet the next byte is.
#[derive(Clone, Copy)]
enum Place {
    First,
    Length { first: u8, length: usize, shift: u32 },
    Body { first: u8, left: usize },
}

/// One digit of the remaining length (MQTT 5, section 1.5.5). A fifth digit is malformed: rumqttc ends the
/// connection over it, and what is found afterwards does not matter.
fn length_digit(first: u8, length: usize, shift: u32, digit: u8) -> Place {
    let length = length | (usize::from(digit & 0x7f) << shift);
    match (digit & 0x80 != 0 && shift < 21, length) {
        (true, length) => Place::Length { first, length, shift: shift + 7 },
        (false, 0) => Place::First,
        (false, left) => Place::Body { first, left },
    }
}

fn left_after(left: usize, taken: usize) -> Place {
    match left.saturating_sub(taken) {
        0 => Place::First,
        // Only the first byte of a DISCONNECT's body is its reason.
        left => Place::Body { first: 0, left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found when the bytes come in pieces of this size.
    fn found(bytes: &[u8], piece: usize) -> Option<DisconnectReasonCode> {
        let goodbye = Goodbye::default();
        let mut watch = goodbye.watch();
        bytes.chunks(piece).for_each(&mut watch);
        goodbye.reason()
    }

    #[test]
    fn finds_short_and_long_ones_however_they_are_cut() {
        let mut publish = vec![0x32, 0x80, 0x02];
        publish.extend([0xe0; 256]);
        for disconnect in [&[0xe0, 1, 0x8e][..], &[0xe0, 2, 0x8e, 0], &[0xe0, 5, 0x8e, 3, 0x1f, 0, 0]] {
            let stream = [&publish, &[0xd0, 0][..], disconnect].concat();
            for piece in 1..stream.len() {
                assert_eq!(found(&stream, piece), Some(DisconnectReasonCode::SessionTakenOver), "{piece}");
            }
        }
        assert_eq!(found(&publish, 7), None, "what looks like one inside a message is none");
        assert_eq!(found(&[0xe0, 0], 1), None, "without a reason");
    }
}
