//! What the fuzz targets call: any bytes at all go in, and nothing may panic or disagree with itself.

use crate::domain::entry::{Batch, Entry, Receipt};

use super::{
    cbor,
    hl7v2::{Header, Message},
    mllp::Deframer,
};

/// Small enough that a fuzzer gets round often, large enough for every branch.
const BYTES_MAX: usize = 1 << 16;

/// Frames come out the same however the stream is cut.
///
/// # Panics
/// If they do not.
pub fn mllp(data: &[u8]) {
    let frames = |pieces: usize| {
        let mut deframer = Deframer::new(1 << 10);
        let mut count = 0;
        for piece in data.chunks(pieces.max(1)) {
            deframer.push(piece);
            while deframer.next_frame().is_some() {
                count += 1;
            }
        }
        count
    };
    assert_eq!(frames(data.len()), frames(7), "the frames depend on how the stream is cut");
}

/// A message is read to its last subcomponent.
pub fn hl7v2(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    drop(Header::read(&message));
    for segment in message.segments() {
        for field in segment.fields() {
            for repetition in field.repetitions() {
                for component in 1..4 {
                    drop(message.text(repetition.component(component).subcomponent(1).bytes()));
                }
            }
        }
    }
}

/// What decodes encodes to something that decodes to the same.
///
/// # Panics
/// If it does not.
pub fn cbor(data: &[u8]) {
    if let Ok(batch) = cbor::decode::<Batch>(data, BYTES_MAX) {
        let again = cbor::encode(&batch).and_then(|bytes| cbor::decode::<Batch>(&bytes, BYTES_MAX * 4));
        assert_eq!(again.ok(), Some(batch), "a batch changes on its way");
    }
    if let Ok(receipt) = cbor::decode::<Receipt>(data, BYTES_MAX) {
        let again = cbor::encode(&receipt).and_then(|bytes| cbor::decode::<Receipt>(&bytes, BYTES_MAX * 4));
        assert_eq!(again.ok(), Some(receipt), "a receipt changes on its way");
    }
    if let Ok(entry) = cbor::decode::<Entry>(data, BYTES_MAX) {
        let again = cbor::encode(&entry).and_then(|bytes| cbor::decode::<Entry>(&bytes, BYTES_MAX * 4));
        assert_eq!(again.ok(), Some(entry), "an entry changes on its way");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
            super::mllp(&data);
            super::hl7v2(&data);
            super::cbor(&data);
        }

        #[test]
        fn what_looks_like_a_message_is_survived(text in "MSH[|^~&\\\\A-C\\r\\n\"]{0,80}") {
            super::hl7v2(text.as_bytes());
        }
    }
}
