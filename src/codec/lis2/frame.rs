//! LIS1-A frames (CLSI LIS01-A2, once ASTM E1381): text in numbered frames with a checksum, and the single
//! characters around them.

use bytes::{Bytes, BytesMut};

/// Start of text: a frame begins.
pub const STX: u8 = 0x02;
/// End of text: the frame ends a record or a message.
pub const ETX: u8 = 0x03;
/// End of transmission: the sender gives the line back.
pub const EOT: u8 = 0x04;
/// Enquiry: somebody wants to send.
pub const ENQ: u8 = 0x05;
/// The frame, or the enquiry, is accepted.
pub const ACK: u8 = 0x06;
/// It is not.
pub const NAK: u8 = 0x15;
/// End of transmission block: the frame is continued in the next.
pub const ETB: u8 = 0x17;

/// The longest text of a frame (CLSI LIS01-A2, section 6.3.1.2): E1381-91 had 240.
pub const TEXT_BYTES_MAX: usize = 64_000;
/// Frame number, terminator, two checksum digits: what is held besides the text until a frame is whole.
const AROUND_TEXT_BYTES: usize = 4;

/// What the line brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Token {
    /// [`ENQ`].
    Enquiry,
    /// [`EOT`].
    End,
    /// [`ACK`].
    Accepted,
    /// [`NAK`].
    Refused,
    /// A frame whose checksum is right.
    Frame(Frame),
    /// What should have been a frame, and why it is none.
    Damaged(&'static str),
}

/// A frame whose checksum is right. Its `Debug` shows no text.
#[derive(Clone, Eq, PartialEq)]
pub struct Frame {
    /// 0 to 7.
    pub number: u8,
    /// What it carries, without terminator.
    pub text: Bytes,
    /// Ended by [`ETX`], not [`ETB`].
    pub last: bool,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({}, {} bytes, last: {})", self.number, self.text.len(), self.last)
    }
}

/// Writes a frame: number 0 to 7, text without any of the control characters above.
pub fn encode(number: u8, text: &[u8], last: bool, out: &mut BytesMut) {
    let (digit, terminator) = (b'0' + number % 8, if last { ETX } else { ETB });
    out.extend_from_slice(&[STX, digit]);
    out.extend_from_slice(text);
    out.extend_from_slice(&[terminator]);
    let sum = checksum(digit, text, terminator);
    out.extend_from_slice(format!("{sum:02X}\r\n").as_bytes());
}

/// The sum, modulo 256, from frame number to terminator (LIS01-A2, section 6.3.3).
fn checksum(digit: u8, text: &[u8], terminator: u8) -> u8 {
    text.iter().fold(digit.wrapping_add(terminator), |sum, byte| sum.wrapping_add(*byte))
}

/// Cuts what the line brings into [`Token`]s. Holds at most one frame.
#[derive(Debug, Default)]
pub struct Framer {
    /// From the frame number on, while a frame is coming in.
    frame: Option<BytesMut>,
    /// How many characters of the checksum are still to come, once the terminator is there.
    checksum_left: Option<usize>,
    /// Bytes of frames that grew too long, and of noise between frames.
    pub ignored_bytes: u64,
}

impl Framer {
    /// Whether a frame has begun and not ended.
    pub const fn is_inside(&self) -> bool {
        self.frame.is_some()
    }

    /// Forgets a frame that has begun.
    pub fn reset(&mut self) {
        (self.frame, self.checksum_left) = (None, None);
    }

    /// Takes one byte; says what it completes.
    pub fn push(&mut self, byte: u8) -> Option<Token> {
        let Some(frame) = &mut self.frame else { return self.between(byte) };
        if let Some(left) = self.checksum_left {
            frame.extend_from_slice(&[byte]);
            self.checksum_left = Some(left - 1);
            return (left == 1).then(|| self.whole());
        }
        match byte {
            ETX | ETB => {
                frame.extend_from_slice(&[byte]);
                self.checksum_left = Some(2);
                None
            }
            STX => {
                // The sender has begun anew: one answer for what are two frames to us and one to it. An answer each
                // would be taken for the next frame's, and the last frame be accepted before it is durable.
                self.ignored_bytes += frame.len() as u64;
                frame.clear();
                None
            }
            ENQ | EOT => {
                self.reset();
                self.between(byte)
            }
            _ if TEXT_BYTES_MAX + AROUND_TEXT_BYTES <= frame.len() => {
                self.ignored_bytes += frame.len() as u64;
                self.reset();
                Some(Token::Damaged("a frame is longer than 64,000 bytes"))
            }
            _ => {
                frame.extend_from_slice(&[byte]);
                None
            }
        }
    }

    fn between(&mut self, byte: u8) -> Option<Token> {
        match byte {
            STX => self.frame = Some(BytesMut::new()),
            ENQ => return Some(Token::Enquiry),
            EOT => return Some(Token::End),
            ACK => return Some(Token::Accepted),
            NAK => return Some(Token::Refused),
            b'\r' | b'\n' => {}
            _ => self.ignored_bytes += 1,
        }
        None
    }

    fn whole(&mut self) -> Token {
        let whole = self.frame.take().unwrap_or_default().freeze();
        self.checksum_left = None;
        let Some((content, said)) = whole.split_at_checked(whole.len().saturating_sub(2)) else {
            return Token::Damaged("a frame is too short");
        };
        let ([digit, text @ .., terminator], Some(said)) = (content, hexadecimal(said)) else {
            return Token::Damaged("a frame's checksum is not two hexadecimal digits");
        };
        if !(b'0'..=b'7').contains(digit) {
            return Token::Damaged("a frame's number is not 0 to 7");
        }
        if checksum(*digit, text, *terminator) != said {
            return Token::Damaged("a frame's checksum is wrong");
        }
        let text = whole.slice(1..1 + text.len());
        Token::Frame(Frame { number: *digit - b'0', text, last: *terminator == ETX })
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    // `from_str_radix` would take a sign for a digit.
    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
