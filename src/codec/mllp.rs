//! MLLP: HL7 v2 messages on a stream of bytes (HL7 Version 2.3.1 Implementation Support Guide, appendix C;
//! MLLP release 1).
//!
//! A frame is `0x0B`, the message, `0x1C 0x0D`. Real senders also put line ends between frames, forget the
//! last `0x0D`, or die in the middle of a frame and begin another; none of that costs a message. A `0x1C`
//! that is followed by neither `0x0D` nor the next frame's start belongs to the message.

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2};

/// The largest message taken unless configured otherwise, in bytes: a scanned letter as base64 in an OBX is
/// under a megabyte, and a thousand of the largest still fit into memory one at a time.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// How much of a message that is too long is kept, so that its sender can be told which one was refused.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// A buffer larger than this is given back once it is empty.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

const START: u8 = 0x0b;
const END: u8 = 0x1c;
const LAST: u8 = 0x0d;

/// What the stream held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// A whole message, without its framing.
    Message(Bytes),
    /// A message longer than allowed: its beginning. The rest is skipped as it comes.
    TooLong(Bytes),
    /// A message that ended in the middle, because another began.
    Torn,
}

/// Takes a stream apart. Memory is bounded by the message limit and what is pushed at once.
#[derive(Debug)]
pub struct Deframer {
    buffer: BytesMut,
    state: State,
    message_bytes_max: usize,
    /// How far into the buffer there is certainly no end.
    searched: usize,
    garbage_bytes: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Looking for a frame's start.
    Between,
    /// The buffer begins with a message's content.
    Inside,
    /// Skipping the rest of a message that is too long.
    Skipping,
}

impl Deframer {
    /// A deframer for messages of at most `message_bytes_max` bytes.
    pub fn new(message_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            state: State::Between,
            message_bytes_max,
            searched: 0,
            garbage_bytes: 0,
        }
    }

    /// The buffer to read the stream into, at its end.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.is_empty() && BUFFER_BYTES_KEPT < self.buffer.capacity() {
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(16 << 10);
        &mut self.buffer
    }

    /// Adds bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer().extend_from_slice(bytes);
    }

    /// The next frame, if it has come whole.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            match self.state {
                State::Between => self.find_start()?,
                State::Inside => return self.find_end(),
                State::Skipping => self.skip()?,
            }
        }
    }

    /// Whether the stream stands between two frames.
    pub const fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// Whether all of a message has come but the very last byte of its frame. Some senders never send that one, and
    /// wait: whoever reads the stream decides for how long, and then calls [`Deframer::end_frame`].
    pub fn lacks_last_byte(&self) -> bool {
        let fits = self.buffer.len() <= self.message_bytes_max + 1;
        self.state == State::Inside && fits && self.buffer.last() == Some(&END)
    }

    /// Takes the message that [`Deframer::lacks_last_byte`] speaks of. If the byte comes after all, it stands between
    /// frames, where line ends do not matter.
    pub fn end_frame(&mut self) -> Option<Frame> {
        self.lacks_last_byte().then(|| self.take(self.buffer.len() - 1, 1))
    }

    /// Bytes that wait for the rest of their frame.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes between frames so far that were neither frames nor line ends.
    pub const fn garbage_bytes(&self) -> u64 {
        self.garbage_bytes
    }

    fn find_start(&mut self) -> Option<()> {
        let start = memchr(START, &self.buffer);
        let skipped = start.unwrap_or(self.buffer.len());
        let garbage = self.buffer.iter().take(skipped).filter(|byte| !matches!(byte, b'\r' | b'\n')).count();
        self.garbage_bytes += garbage as u64;
        self.buffer.advance(skipped);
        start?;
        self.buffer.advance(1);
        (self.state, self.searched) = (State::Inside, 0);
        Some(())
    }

    fn find_end(&mut self) -> Option<Frame> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr2(END, START, rest).map(|place| self.searched + place) else {
                self.searched = self.buffer.len();
                return self.refuse_if_too_long();
            };
            if self.message_bytes_max < found {
                return self.refuse_if_too_long();
            }
            if self.buffer.get(found) == Some(&START) {
                self.buffer.advance(found + 1);
                self.searched = 0;
                return Some(Frame::Torn);
            }
            match self.buffer.get(found + 1) {
                // The next byte decides whether this is the end.
                None => {
                    self.searched = found;
                    return self.refuse_if_too_long();
                }
                Some(&LAST) => return Some(self.take(found, 2)),
                Some(&START) => return Some(self.take(found, 1)),
                Some(_) => self.searched = found + 1,
            }
        }
    }

    fn take(&mut self, length: usize, framing: usize) -> Frame {
        let message = self.buffer.split_to(length).freeze();
        self.buffer.advance(framing);
        (self.state, self.searched) = (State::Between, 0);
        Frame::Message(message)
    }

    fn refuse_if_too_long(&mut self) -> Option<Frame> {
        if self.buffer.len() <= self.message_bytes_max + 1 {
            return None;
        }
        let head = Bytes::copy_from_slice(self.buffer.get(..HEAD_BYTES_MAX).unwrap_or(&self.buffer));
        (self.state, self.searched) = (State::Skipping, 0);
        Some(Frame::TooLong(head))
    }

    fn skip(&mut self) -> Option<()> {
        let mut from = 0;
        while let Some(place) = memchr2(END, START, self.buffer.get(from..).unwrap_or_default()) {
            let found = from + place;
            let next = self.buffer.get(found + 1).copied();
            if self.buffer.get(found) == Some(&START) {
                // The sender gave up and began anew: that frame is to be read.
                self.buffer.advance(found);
                self.state = State::Between;
                return Some(());
            }
            match next {
                None => {
                    self.buffer.advance(found);
                    return None;
                }
                Some(LAST | START) => {
                    self.buffer.advance(found + 1);
                    self.state = State::Between;
                    return Some(());
                }
                Some(_) => from = found + 1,
            }
        }
        self.buffer.clear();
        None
    }
}

/// Puts a message between a frame's start and end.
pub fn encode(message: &[u8], into: &mut BytesMut) {
    into.reserve(message.len() + 3);
    into.extend_from_slice(&[START]);
    into.extend_from_slice(message);
    into.extend_from_slice(&[END, LAST]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(deframer: &mut Deframer) -> Vec<Frame> {
        std::iter::from_fn(|| deframer.next_frame()).collect()
    }

    fn all(stream: &[u8]) -> (Vec<Frame>, u64) {
        let mut deframer = Deframer::new(100);
        deframer.push(stream);
        let found = frames(&mut deframer);
        (found, deframer.garbage_bytes())
    }

    fn message(text: &str) -> Frame {
        Frame::Message(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn reads_what_senders_really_send() {
        let cases: &[(&[u8], Vec<Frame>, u64)] = &[
            (b"\x0bone\x1c\r\x0btwo\x1c\r", vec![message("one"), message("two")], 0),
            (b"\r\n\x0bone\x1c\r\r\n\x0btwo\x1c\r", vec![message("one"), message("two")], 0),
            (b"GET /\x0bone\x1c\r", vec![message("one")], 5),
            (b"\x0bone\x1c\x0btwo\x1c\r", vec![message("one"), message("two")], 0),
            (b"\x0bdies\x0btwo\x1c\r", vec![Frame::Torn, message("two")], 0),
            (b"\x0bfile\x1cseparator\x1c\r", vec![message("file\x1cseparator")], 0),
            (b"\x0b\x1c\r", vec![message("")], 0),
            (b"\x0bnot yet\x1c", vec![], 0),
        ];
        for (stream, expected, garbage) in cases {
            assert_eq!(all(stream), (expected.clone(), *garbage), "{stream:?}");
        }
    }

    #[test]
    fn a_message_too_long_is_named_skipped_and_followed_by_the_next() {
        let long = [b"\x0bMSH|".as_slice(), &[b'x'; 500], b"\x1c\r\x0bnext\x1c\r"].concat();
        for piece in [1, 7, 50, 1000] {
            let mut deframer = Deframer::new(100);
            let mut found = Vec::new();
            for part in long.chunks(piece) {
                deframer.push(part);
                found.extend(frames(&mut deframer));
                assert!(deframer.buffer.len() <= 102 + piece);
            }
            let [Frame::TooLong(head), next] = &found[..] else { panic!("{piece}: {found:?}") };
            assert!(head.starts_with(b"MSH|"));
            assert_eq!(*next, message("next"));
        }
    }

    #[test]
    fn a_message_of_exactly_the_limit_is_taken() {
        let mut deframer = Deframer::new(100);
        for (length, taken) in [(100, true), (101, false)] {
            let mut stream = BytesMut::new();
            encode(&vec![b'x'; length], &mut stream);
            deframer.push(&stream);
            let found = frames(&mut deframer);
            assert_eq!(matches!(found[..], [Frame::Message(_)]), taken, "{length}");
        }
    }

    #[test]
    fn complaint_a_sender_that_forgets_the_last_byte_waits_for_ever() {
        let mut deframer = Deframer::new(100);
        deframer.push(b"\x0bone");
        assert!(!deframer.lacks_last_byte() && deframer.end_frame().is_none());
        deframer.push(b"\x1c");
        assert_eq!(deframer.next_frame(), None, "the byte may be on its way");
        assert!(deframer.lacks_last_byte());
        assert_eq!(deframer.end_frame(), Some(message("one")));
        deframer.push(b"\r\x0btwo\x1c\r");
        assert_eq!(frames(&mut deframer), [message("two")]);
        assert_eq!(deframer.garbage_bytes(), 0);
    }

    proptest! {
        #[test]
        fn every_way_to_split_the_stream_gives_the_same_frames(
            stream in proptest::collection::vec(
                prop_oneof![Just(0x0b_u8), Just(0x1c), Just(0x0d), Just(b'a'), any::<u8>()], 0..300),
            cut in 0_usize..300,
        ) {
            let whole = all(&stream);
            let mut deframer = Deframer::new(100);
            let mut found = Vec::new();
            for part in [&stream[..cut.min(stream.len())], &stream[cut.min(stream.len())..]] {
                deframer.push(part);
                found.extend(frames(&mut deframer));
            }
            let without_heads = |frames: Vec<Frame>| -> Vec<Frame> {
                frames.into_iter().map(|frame| match frame {
                    Frame::TooLong(_) => Frame::TooLong(Bytes::new()),
                    other => other,
                }).collect()
            };
            prop_assert_eq!(without_heads(found), without_heads(whole.0));
            let mut bytewise = Deframer::new(100);
            let mut found = Vec::new();
            for byte in &stream {
                bytewise.push(&[*byte]);
                found.extend(frames(&mut bytewise));
            }
            prop_assert_eq!(without_heads(found), without_heads(all(&stream).0));
        }
    }
}
