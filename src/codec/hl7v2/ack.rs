//! Acknowledgements in original mode (HL7 v2.4, section 2.12.1): AA once it is safe, AE or AR with the reason.
//!
//! Enhanced mode (MSH-15 and MSH-16) is answered in original mode too: ITK says that these fields are not
//! supported, and an original-mode AA promises more than an accept acknowledgement would.

use std::borrow::Cow;

use crate::domain::time::Timestamp;

use super::{Delimiters, Message, escape};

/// MSA-1 (HL7 table 0008).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AckCode {
    /// AA: taken.
    Accept,
    /// AE: not taken this time; the sender may try again.
    Error,
    /// AR: not taken, and trying again will not help.
    Reject,
}

impl AckCode {
    const fn text(self) -> &'static str {
        match self {
            Self::Accept => "AA",
            Self::Error => "AE",
            Self::Reject => "AR",
        }
    }
}

/// Why a message was not taken (HL7 table 0357).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorCode {
    /// 100: the segments are not in the order the structure wants.
    SegmentSequence,
    /// 101: a required field is missing.
    RequiredFieldMissing,
    /// 102: a field holds something of another data type.
    DataType,
    /// 103: a value is not in its table.
    TableValueNotFound,
    /// 200: the message type is not supported.
    UnsupportedMessageType,
    /// 201: the event code is not supported.
    UnsupportedEventCode,
    /// 202: the processing id is not supported.
    UnsupportedProcessingId,
    /// 203: the version is not supported.
    UnsupportedVersion,
    /// 204: the identifier is not known.
    UnknownKey,
    /// 205: the identifier is in use for something else.
    DuplicateKey,
    /// 206: temporarily not possible.
    RecordLocked,
    /// 207: an error of the receiver's own.
    InternalError,
}

impl ErrorCode {
    /// Every code of table 0357 that says what is wrong.
    pub const ALL: [Self; 12] = [
        Self::SegmentSequence,
        Self::RequiredFieldMissing,
        Self::DataType,
        Self::TableValueNotFound,
        Self::UnsupportedMessageType,
        Self::UnsupportedEventCode,
        Self::UnsupportedProcessingId,
        Self::UnsupportedVersion,
        Self::UnknownKey,
        Self::DuplicateKey,
        Self::RecordLocked,
        Self::InternalError,
    ];

    /// The code in table 0357.
    pub const fn number(self) -> u16 {
        match self {
            Self::SegmentSequence => 100,
            Self::RequiredFieldMissing => 101,
            Self::DataType => 102,
            Self::TableValueNotFound => 103,
            Self::UnsupportedMessageType => 200,
            Self::UnsupportedEventCode => 201,
            Self::UnsupportedProcessingId => 202,
            Self::UnsupportedVersion => 203,
            Self::UnknownKey => 204,
            Self::DuplicateKey => 205,
            Self::RecordLocked => 206,
            Self::InternalError => 207,
        }
    }

    /// The code of a number in table 0357.
    pub fn of_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// The code's text in table 0357.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SegmentSequence => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEventCode => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersion => "Unsupported version id",
            Self::UnknownKey => "Unknown key identifier",
            Self::DuplicateKey => "Duplicate key identifier",
            Self::RecordLocked => "Application record locked",
            Self::InternalError => "Application internal error",
        }
    }
}

/// Where in a message an error is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorLocation {
    /// The segment's name.
    pub segment: &'static str,
    /// Which of that name, from 1.
    pub occurrence: u16,
    /// The field, from 1; 0 for the segment as a whole.
    pub field: u16,
}

impl ErrorLocation {
    /// A place in a message.
    pub const fn new(segment: &'static str, occurrence: u16, field: u16) -> Self {
        Self { segment, occurrence, field }
    }
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nack {
    /// Whether trying again may help.
    pub ack: AckCode,
    /// What is wrong.
    pub code: ErrorCode,
    /// Where.
    pub location: ErrorLocation,
    /// What an operator at the other end should read; without content of the message.
    pub text: &'static str,
}

impl Nack {
    /// A rejection in table 0357's own words.
    pub const fn new(code: ErrorCode, location: ErrorLocation) -> Self {
        Self { ack: AckCode::Reject, code, location, text: code.text() }
    }

    /// With other words.
    #[must_use]
    pub const fn saying(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// As an error after which the sender may try again.
    #[must_use]
    pub const fn temporary(self) -> Self {
        Self { ack: AckCode::Error, ..self }
    }
}

/// An answer to a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Acknowledgement {
    /// None: taken.
    pub nack: Option<Nack>,
}

impl Acknowledgement {
    /// The answer's bytes. `message` is what is answered; none if it could not be read at all. `control_id`
    /// is the answer's own MSH-10.
    pub fn encode(&self, message: Option<&Message<'_>>, now: Timestamp, control_id: &str) -> Vec<u8> {
        let delimiters = message.map_or_else(Delimiters::default, Message::delimiters);
        let mut answer = Answer { delimiters, bytes: Vec::with_capacity(320) };
        let header = message.and_then(|message| message.segment("MSH"));
        let raw = |field: usize| header.map_or(b"".as_slice(), |header| header.field(field).bytes());
        let version = if raw(12).is_empty() { b"2.4" } else { raw(12) };
        let trigger = header.map_or(b"".as_slice(), |header| header.field(9).component(2).bytes());
        answer.bytes.extend_from_slice(b"MSH");
        answer.field(&delimiters_as_sent(header.map(|header| header.field(2).bytes())));
        for swapped in [5, 6, 3, 4] {
            answer.field(raw(swapped));
        }
        answer.field(stamp(now).as_bytes());
        answer.field(b"");
        answer.kind(trigger, version);
        answer.field(&escape(control_id.as_bytes(), &delimiters));
        answer.field(if raw(11).is_empty() { b"P" } else { raw(11) });
        answer.field(version);
        if !raw(18).is_empty() {
            for value in [b"".as_slice(), b"", b"", b"", b"", raw(18)] {
                answer.field(value);
            }
        }
        answer.bytes.extend_from_slice(b"\rMSA");
        answer.field(self.nack.map_or(AckCode::Accept, |nack| nack.ack).text().as_bytes());
        answer.field(raw(10));
        if let Some(nack) = self.nack {
            answer.refusal(&nack, version);
        }
        answer.bytes.push(b'\r');
        answer.bytes
    }
}

struct Answer {
    delimiters: Delimiters,
    bytes: Vec<u8>,
}

impl Answer {
    fn field(&mut self, value: &[u8]) {
        self.bytes.push(self.delimiters.field);
        self.bytes.extend_from_slice(value);
    }

    fn text(&self, text: &'static str) -> Cow<'static, [u8]> {
        escape(text.as_bytes(), &self.delimiters)
    }

    fn joined(&self, delimiter: u8, parts: &[&[u8]]) -> Vec<u8> {
        let delimiter = if delimiter == 0 { b' ' } else { delimiter };
        parts.join(&delimiter)
    }

    /// MSH-9: `ACK` with the trigger, and from version 2.3.1 on the structure.
    fn kind(&mut self, trigger: &[u8], version: &[u8]) {
        let old = version.starts_with(b"2.1") || version.starts_with(b"2.2") || version == b"2.3";
        let kind = match (trigger.is_empty(), old) {
            (true, _) => b"ACK".to_vec(),
            (false, true) => self.joined(self.delimiters.component, &[b"ACK", trigger]),
            (false, false) => self.joined(self.delimiters.component, &[b"ACK", trigger, b"ACK"]),
        };
        self.field(&kind);
    }

    /// MSA-3, MSA-6 and the ERR segment, in the layout of the message's version.
    fn refusal(&mut self, nack: &Nack, version: &[u8]) {
        let number = nack.code.number().to_string();
        let (text, name) = (self.text(nack.text), self.text(nack.code.text()));
        let coded =
            |answer: &Self, delimiter| answer.joined(delimiter, &[number.as_bytes(), &name, b"HL70357"]);
        let (occurrence, field) = (nack.location.occurrence.to_string(), nack.location.field.to_string());
        let field = if nack.location.field == 0 { "" } else { &field };
        let mut place: Vec<&[u8]> =
            vec![nack.location.segment.as_bytes(), occurrence.as_bytes(), field.as_bytes()];
        let code = coded(self, self.delimiters.component);
        // MSA-3 and MSA-6 were withdrawn with version 2.7: what they said is in ERR alone.
        if is_before(b'7', version) {
            for value in [&text, b"".as_slice(), b"", &code] {
                self.field(value);
            }
        }
        self.bytes.extend_from_slice(b"\rERR");
        if is_before(b'5', version) {
            let code = coded(self, self.delimiters.subcomponent);
            place.push(&code);
            let described = self.joined(self.delimiters.component, &place);
            self.field(&described);
        } else {
            place.truncate(if field.is_empty() { 2 } else { 3 });
            let place = self.joined(self.delimiters.component, &place);
            self.field(b"");
            self.field(&place);
            self.field(&code);
            self.field(b"E");
            for value in [b"".as_slice(), b"", b""] {
                self.field(value);
            }
            self.field(&text);
        }
    }
}

/// Whether a version is older than 2.`minor`.
fn is_before(minor: u8, version: &[u8]) -> bool {
    version.get(2).is_some_and(|own| (b'1'..minor).contains(own))
}

fn delimiters_as_sent(sent: Option<&[u8]>) -> Vec<u8> {
    sent.filter(|sent| !sent.is_empty()).unwrap_or(b"^~\\&").to_vec()
}

fn stamp(now: Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    digits + "+0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn answer(message: &str, nack: Option<Nack>) -> String {
        let parsed = Message::parse(message.as_bytes()).ok();
        let bytes = Acknowledgement { nack }.encode(parsed.as_ref(), NOW, "A1");
        String::from_utf8(bytes).unwrap().replace('\r', "\n")
    }

    #[test]
    fn accepts_with_everything_echoed_and_swapped() {
        let message = "MSH|^~\\&|RIO|RV5|PG|5LC01|20260101||ADT^A01^ADT_A01|M-1|T|2.4||||||8859/1";
        assert_eq!(
            answer(message, None),
            "MSH|^~\\&|PG|5LC01|RIO|RV5|20261118110640+0000||ACK^A01^ACK|A1|T|2.4||||||8859/1\nMSA|AA|M-1\n"
        );
    }

    #[test]
    fn refuses_in_the_layout_of_the_messages_version() {
        let nack = Nack::new(ErrorCode::UnsupportedEventCode, ErrorLocation::new("MSH", 1, 9));
        let message = |version: &str| format!("MSH|^~\\&|A|B|C|D|2026||ADT^A99|7|P|{version}");
        let old = answer(&message("2.3"), Some(nack));
        assert!(old.contains("||ACK^A99|A1|P|2.3\n"), "{old}");
        assert!(
            old.ends_with(
                "MSA|AR|7|Unsupported event code|||201^Unsupported event code^HL70357\nERR|MSH^1^9^201&Unsupported event code&HL70357\n"
            ),
            "{old}"
        );
        let new = answer(&message("2.5.1"), Some(nack.temporary().saying("try again")));
        assert!(
            new.ends_with(
                "MSA|AE|7|try again|||201^Unsupported event code^HL70357\nERR||MSH^1^9|201^Unsupported event code^HL70357|E||||try again\n"
            ),
            "{new}"
        );
    }

    #[test]
    fn other_delimiters_are_kept_and_nothing_at_all_gets_an_answer_too() {
        let nack = Nack::new(ErrorCode::SegmentSequence, ErrorLocation::new("MSH", 1, 0));
        let other = answer("MSH$%*!@$A$B$C$D$2026$$ADT%A01$9$P$2.4", Some(nack));
        assert!(other.starts_with("MSH$%*!@$C$D$A$B$"), "{other}");
        assert!(other.contains("ERR$MSH%1%%100@Segment sequence error@HL70357"), "{other}");
        let nothing = answer("no message", Some(nack));
        assert!(nothing.starts_with("MSH|^~\\&|||||"), "{nothing}");
        assert!(nothing.contains("\nMSA|AR||"), "{nothing}");
    }

    #[test]
    fn every_code_of_the_table_has_its_number() {
        let numbers: Vec<u16> = ErrorCode::ALL.into_iter().map(ErrorCode::number).collect();
        assert_eq!(numbers, [100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207]);
    }
}
