//! HL7 version 2 messages on bytes: borrowed, lazy, tolerant (HL7 v2.4, chapter 2).
//!
//! [`Message::parse`] finds the segments and no more; fields, repetitions, components and subcomponents are
//! found when they are asked for, and values are unescaped and decoded only then. What is not asked for is
//! never touched, so that whatever a sender meant by it is still there in the bytes that are kept.
//!
//! Segments may end in CR, LF or CRLF, mixed; a byte order mark and blank lines are skipped; any delimiters
//! are taken from MSH-1 and MSH-2; unknown segments are segments like any other.

mod ack;
mod charset;
mod escape;
mod header;
mod moment;

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

pub use ack::{AckCode, Acknowledgement, ErrorCode, ErrorLocation, Nack};
pub use charset::Charset;
pub use escape::{escape, unescape};
pub use header::{Header, HeaderFault};
pub use moment::{iso_8601, parse_moment};

/// No message needs more: a report has a few hundred segments, a scanned document in lines some thousands. Without a
/// limit, 16 MiB of the shortest segments would take many times that once they are found and understood.
pub const SEGMENTS_MAX: usize = 20_000;

/// The five characters that structure a message (HL7 v2.4, section 2.8). Zero: the sender uses none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delimiters {
    /// MSH-1.
    pub field: u8,
    /// The first character of MSH-2.
    pub component: u8,
    /// The second.
    pub repetition: u8,
    /// The third.
    pub escape: u8,
    /// The fourth.
    pub subcomponent: u8,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self { field: b'|', component: b'^', repetition: b'~', escape: b'\\', subcomponent: b'&' }
    }
}

/// Why bytes are no HL7 v2 message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// There is nothing but white space.
    #[error("the message is empty")]
    Empty,
    /// The first segment is something else.
    #[error("the message does not begin with an MSH segment")]
    NoHeader,
    /// The first segment is a batch's.
    #[error("this is a batch (FHS or BHS): send its messages one by one")]
    Batch,
    /// MSH-1 or MSH-2 make no sense: letters, digits, or one character with two meanings.
    #[error("the delimiters in MSH-1 and MSH-2 cannot be used")]
    BadDelimiters,
    /// A second header: a sender that puts several messages into one frame waits for one answer, and would take it
    /// for all of them.
    #[error("there is more than one message in it")]
    SeveralMessages,
    /// Two bytes a character: HL7 v2's delimiters, and the bytes that frame a message, are one byte each.
    #[error("the message is in UTF-16")]
    Utf16,
    /// More than [`SEGMENTS_MAX`].
    #[error("the message has more than {SEGMENTS_MAX} segments")]
    TooManySegments,
}

/// A message, borrowed from the bytes that came.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    delimiters: Delimiters,
    charset: Charset,
    segments: Vec<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Finds a message's segments.
    ///
    /// # Errors
    /// The bytes are no HL7 v2 message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let wide = [b"\xff\xfe".as_slice(), b"\xfe\xff", b"M\0S\0", b"\0M\0S"];
        if wide.iter().any(|mark| bytes.starts_with(mark)) {
            return Err(ParseError::Utf16);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let bytes = bytes.trim_ascii_start();
        let header_end = memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
        let delimiters = delimiters_of(bytes.get(..header_end).unwrap_or_default())?;
        let mut message = Self { delimiters, charset: Charset::Absent, segments: Vec::with_capacity(16) };
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (segment, after) = rest.split_at(end);
            if !segment.trim_ascii().is_empty() {
                if message.segments.len() == SEGMENTS_MAX {
                    return Err(ParseError::TooManySegments);
                }
                let begins_anew =
                    |start: &[u8]| start.starts_with(b"MSH") && start.get(3) == Some(&delimiters.field);
                if !message.segments.is_empty() && begins_anew(segment.trim_ascii_start()) {
                    return Err(ParseError::SeveralMessages);
                }
                message.segments.push(segment);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        message.charset = message
            .segment("MSH")
            .map_or(Charset::Absent, |header| Charset::of(header.field(18).repetition(1).bytes()));
        Ok(message)
    }

    /// The message's delimiters.
    pub const fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The message's character set, by MSH-18.
    pub const fn charset(&self) -> Charset {
        self.charset
    }

    /// Every segment in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + '_ {
        self.segments.iter().map(|bytes| Segment { bytes, delimiters: self.delimiters })
    }

    /// The first segment of a name.
    pub fn segment(&self, name: &str) -> Option<Segment<'a>> {
        self.segments().find(|segment| segment.name() == name.as_bytes())
    }

    /// A value as text: unescaped, decoded by MSH-18. What cannot be decoded becomes U+FFFD; the bytes
    /// themselves stay as they are.
    pub fn text<'b>(&self, value: &'b [u8]) -> Cow<'b, str> {
        match unescape(value, &self.delimiters) {
            Cow::Borrowed(bytes) => self.charset.decode(bytes),
            Cow::Owned(bytes) => Cow::Owned(self.charset.decode(&bytes).into_owned()),
        }
    }
}

/// One segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Segment<'a> {
    /// Its three-letter name; shorter if the sender was careless.
    pub fn name(&self) -> &'a [u8] {
        let end = memchr(self.delimiters.field, self.bytes).unwrap_or(self.bytes.len());
        self.bytes.get(..end).unwrap_or_default().trim_ascii()
    }

    /// Its bytes as they came.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The field of a number, from 1, as the standard counts: MSH-1 is the separator itself.
    pub fn field(&self, number: usize) -> Field<'a> {
        let bytes = match (self.is_header(), number) {
            (true, 1) => self.bytes.get(3..4).unwrap_or_default(),
            (true, _) => nth(self.bytes, self.delimiters.field, number.saturating_sub(1)),
            (false, _) => nth(self.bytes, self.delimiters.field, number),
        };
        Field { bytes, delimiters: self.delimiters }
    }

    /// Its fields from the first on; in a header from MSH-3 on.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let delimiters = self.delimiters;
        let first = if self.is_header() { 2 } else { 1 };
        parts(self.bytes, delimiters.field).skip(first).map(move |bytes| Field { bytes, delimiters })
    }

    fn is_header(&self) -> bool {
        self.bytes.starts_with(b"MSH")
    }
}

/// What a sender says of a value (HL7 v2.4, section 2.10).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// Nothing: leave what is known as it is.
    Absent,
    /// `""`: delete what is known.
    Delete,
    /// It is this, still escaped.
    Set(&'a [u8]),
}

/// A field, or one repetition of it.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Field<'a> {
    /// Its bytes as they came.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What it says as a whole.
    pub fn value(&self) -> Value<'a> {
        value(self.bytes)
    }

    /// Its repetitions; one empty one if there is nothing.
    pub fn repetitions(&self) -> impl Iterator<Item = Self> + use<'a> {
        let delimiters = self.delimiters;
        parts(self.bytes, delimiters.repetition).map(move |bytes| Self { bytes, delimiters })
    }

    /// The repetition of a number, from 1; empty if there is none.
    pub fn repetition(&self, number: usize) -> Self {
        Self { bytes: nth(self.bytes, self.delimiters.repetition, number.saturating_sub(1)), ..*self }
    }

    /// The component of a number, from 1, of this repetition (the first, if it has several).
    pub fn component(&self, number: usize) -> Component<'a> {
        let first = nth(self.bytes, self.delimiters.repetition, 0);
        let bytes = nth(first, self.delimiters.component, number.saturating_sub(1));
        Component { bytes, delimiters: self.delimiters }
    }
}

/// A component.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Component<'a> {
    /// Its bytes as they came.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What it says.
    pub fn value(&self) -> Value<'a> {
        value(self.bytes)
    }

    /// The subcomponent of a number, from 1.
    pub fn subcomponent(&self, number: usize) -> Self {
        Self { bytes: nth(self.bytes, self.delimiters.subcomponent, number.saturating_sub(1)), ..*self }
    }
}

fn value(bytes: &[u8]) -> Value<'_> {
    match bytes {
        b"" => Value::Absent,
        b"\"\"" => Value::Delete,
        set => Value::Set(set),
    }
}

/// The part of a number, from 0; empty if there is none. A delimiter of zero divides nothing.
fn nth(bytes: &[u8], delimiter: u8, number: usize) -> &[u8] {
    if delimiter == 0 {
        return if number == 0 { bytes } else { &[] };
    }
    let mut from = 0;
    let mut ends = memchr_iter(delimiter, bytes);
    for _ in 0..number {
        match ends.next() {
            Some(end) => from = end + 1,
            None => return &[],
        }
    }
    bytes.get(from..ends.next().unwrap_or(bytes.len())).unwrap_or_default()
}

fn parts(bytes: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let divides = delimiter != 0;
    bytes.split(move |byte| divides && *byte == delimiter)
}

fn delimiters_of(header: &[u8]) -> Result<Delimiters, ParseError> {
    if header.is_empty() {
        return Err(ParseError::Empty);
    }
    if header.starts_with(b"FHS") || header.starts_with(b"BHS") {
        return Err(ParseError::Batch);
    }
    let rest = header.strip_prefix(b"MSH").ok_or(ParseError::NoHeader)?;
    let (&field, rest) = rest.split_first().ok_or(ParseError::BadDelimiters)?;
    let encoding = nth(rest, field, 0);
    // Some senders write the escape character twice, as their programming language wants it.
    let doubled = matches!(encoding, [_, _, one, other, _] if one == other);
    let given = |place: usize| encoding.get(place).copied().unwrap_or(0);
    let found = Delimiters {
        field,
        component: given(0),
        repetition: given(1),
        escape: given(2),
        subcomponent: given(if doubled { 4 } else { 3 }),
    };
    let all = [found.field, found.component, found.repetition, found.escape, found.subcomponent];
    let used: Vec<u8> = all.into_iter().filter(|byte| *byte != 0).collect();
    let usable = used.iter().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_alphanumeric());
    let distinct =
        used.iter().enumerate().all(|(place, byte)| !used.iter().skip(place + 1).any(|other| other == byte));
    // A fifth encoding character, for truncation, came with version 2.7; more than that is no MSH-2.
    if found.component == 0 || 5 < encoding.len() || !usable || !distinct {
        return Err(ParseError::BadDelimiters);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMISSION: &[u8] = b"MSH|^~\\&|RIO|RV5|POLYGATE|5LC01|20260101||ADT^A01^ADT_A01|M1|P|2.4\r\
        PID|1||1001^^^RV5^MR~9990000018^^^NHS^NH||O\\T\\B^Ann^^\"\"||\"\"\rZU1|own|thing\r";

    #[test]
    fn finds_fields_components_and_repetitions_as_the_standard_counts() {
        let message = Message::parse(ADMISSION).unwrap();
        let header = message.segment("MSH").unwrap();
        assert_eq!(header.field(1).bytes(), b"|");
        assert_eq!(header.field(2).bytes(), b"^~\\&");
        assert_eq!(header.field(9).component(2).bytes(), b"A01");
        assert_eq!(header.field(12).bytes(), b"2.4");
        assert_eq!(header.field(13).bytes(), b"");
        let pid = message.segment("PID").unwrap();
        let authorities: Vec<&[u8]> = pid.field(3).repetitions().map(|id| id.component(4).bytes()).collect();
        assert_eq!(authorities, [b"RV5", b"NHS"]);
        assert_eq!(message.text(pid.field(5).component(1).bytes()), "O&B");
        assert_eq!(pid.field(5).component(4).value(), Value::Delete);
        assert_eq!((pid.field(7).value(), pid.field(8).value()), (Value::Delete, Value::Absent));
        assert_eq!(message.segment("ZU1").unwrap().field(2).bytes(), b"thing");
    }

    #[test]
    fn line_ends_marks_and_blank_lines_do_not_matter() {
        let expected: Vec<Vec<u8>> =
            Message::parse(ADMISSION).unwrap().segments().map(|s| s.bytes().to_vec()).collect();
        for end in ["\n", "\r\n", "\r\r", "\n\r\n"] {
            let text = String::from_utf8_lossy(ADMISSION).replace('\r', end);
            let marked = [b"\xef\xbb\xbf\r\n".as_slice(), text.as_bytes()].concat();
            let found: Vec<Vec<u8>> =
                Message::parse(&marked).unwrap().segments().map(|s| s.bytes().to_vec()).collect();
            assert_eq!(found, expected, "{end:?}");
        }
    }

    #[test]
    fn any_delimiters_will_do_and_nonsense_will_not() {
        let message = Message::parse(b"MSH$%*!@$APP$FAC\rPID$1$$A%B@C*D").unwrap();
        let field = message.segment("PID").unwrap().field(3);
        assert_eq!(field.component(2).subcomponent(2).bytes(), b"C");
        assert_eq!(field.repetition(2).component(1).bytes(), b"D");
        assert!(Message::parse(b"MSH|^~\\&#|A").is_ok(), "the truncation character of 2.7");
        let doubled = Message::parse(b"MSH|^~\\\\&|A").unwrap().delimiters();
        assert_eq!(doubled, Delimiters::default());
        let short = Message::parse(b"MSH|^|A\rPID|a~b^c").unwrap();
        assert_eq!(short.segment("PID").unwrap().field(1).component(1).bytes(), b"a~b");
        for (bytes, error) in [
            (b"".as_slice(), ParseError::Empty),
            (b" \r\n ", ParseError::Empty),
            (b"PID|1", ParseError::NoHeader),
            (b"BHS|^~\\&|", ParseError::Batch),
            (b"MSH", ParseError::BadDelimiters),
            (b"MSH|", ParseError::BadDelimiters),
            (b"MSH|^^\\&|", ParseError::BadDelimiters),
            (b"MSHA^~\\&A", ParseError::BadDelimiters),
            (b"MSH|^~\\&toolong|", ParseError::BadDelimiters),
            (b"MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\rPID|2", ParseError::SeveralMessages),
            (b"\xff\xfeM\0S\0H\0|\0", ParseError::Utf16),
            (b"M\0S\0H\0|\0", ParseError::Utf16),
        ] {
            assert_eq!(Message::parse(bytes).map(|_| ()), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn segments_are_counted() {
        let text = |count: usize| [ADMISSION, &b"Z\r\r".repeat(count)].concat();
        assert!(Message::parse(&text(SEGMENTS_MAX - 3)).is_ok());
        assert_eq!(Message::parse(&text(SEGMENTS_MAX - 2)).map(|_| ()), Err(ParseError::TooManySegments));
    }

    #[test]
    fn a_large_observation_is_borrowed_and_found_at_once() {
        let mut bytes = ADMISSION.to_vec();
        bytes.extend_from_slice(b"OBX|1|ED|PDF||^application^pdf^Base64^");
        bytes.extend(std::iter::repeat_n(b'A', 600_000));
        let message = Message::parse(&bytes).unwrap();
        let content = message.segment("OBX").unwrap().field(5).component(5);
        assert_eq!(content.bytes().len(), 600_000);
        assert!(matches!(message.text(content.bytes()), Cow::Borrowed(_)));
    }
}
