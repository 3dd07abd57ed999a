//! EDIFACT on bytes: service characters, segments, elements and components (ISO 9735, syntax version 3).

use std::{borrow::Cow, fmt};

/// No interchange seen has more than a few thousand; this bounds memory to some 4 MiB whatever comes.
pub const SEGMENTS_MAX: usize = 100_000;
/// No element has more than five components of text; this bounds the memory that one of 16 MiB of `:` takes.
const COMPONENTS_MAX: usize = 1000;
/// How far into the bytes a broken service string is looked for its end.
const BROKEN_SERVICE_BYTES_MAX: usize = 16;

/// The characters that part segments, elements and components (UNA, ISO 9735 section 7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delimiters {
    /// Between the components of an element, `:`.
    pub component: u8,
    /// Between elements, `+`.
    pub element: u8,
    /// Makes the next character an ordinary one, `?`; none if UNA gives a space.
    pub release: Option<u8>,
    /// Ends a segment, `'`.
    pub terminator: u8,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self { component: b':', element: b'+', release: Some(b'?'), terminator: b'\'' }
    }
}

/// What UNA said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// There was none: the characters are those of level A.
    Absent,
    /// It was as it should be.
    Given,
    /// It had the wrong length or characters that cannot be used: those of level A are taken.
    Broken,
}

/// One segment as it came. Its `Debug` shows the tag alone.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
    /// Where it begins in the whole.
    pub start: usize,
    /// Where what follows its terminator begins.
    pub end: usize,
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({})", String::from_utf8_lossy(&self.tag()[..self.tag().len().min(3)]))
    }
}

impl<'a> Segment<'a> {
    /// All its bytes, without what parts segments.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What it is: three capitals, or `S01` to `S20` before a section of a PMIP message.
    pub fn tag(&self) -> &'a [u8] {
        let separator = |byte: &u8| *byte == self.delimiters.element || *byte == self.delimiters.component;
        let end = self.bytes.iter().position(separator).unwrap_or(self.bytes.len());
        self.bytes[..end].trim_ascii()
    }

    /// An element, counted from 1 after the tag; empty if it is absent.
    pub fn element(&self, number: usize) -> Element<'a> {
        let bytes = self.elements().nth(number).map_or(b"".as_slice(), |element| element.bytes);
        Element { bytes, delimiters: self.delimiters }
    }

    /// All elements, the tag first.
    pub fn elements(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let delimiters = self.delimiters;
        split(self.bytes, delimiters.element, delimiters.release)
            .map(move |bytes| Element { bytes, delimiters })
    }

    /// A component's text, both counted from 1; empty if it is absent.
    pub fn text(&self, element: usize, component: usize, charset: Charset) -> String {
        self.element(element).text(component, charset)
    }
}

/// One element of a segment.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Element<'a> {
    /// Its bytes, release characters included.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its components' bytes, release characters included.
    pub fn components(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        split(self.bytes, self.delimiters.component, self.delimiters.release)
    }

    /// A component's text, counted from 1; empty if it is absent.
    pub fn text(&self, component: usize, charset: Charset) -> String {
        let bytes = self.components().nth(component.wrapping_sub(1)).unwrap_or_default();
        plain(bytes, self.delimiters.release, charset)
    }

    /// The text of every component, of the first [`COMPONENTS_MAX`].
    pub fn texts(&self, charset: Charset) -> Vec<String> {
        self.components()
            .take(COMPONENTS_MAX)
            .map(|bytes| plain(bytes, self.delimiters.release, charset))
            .collect()
    }
}

/// How bytes are read as text, by the syntax identifier in UNB (ISO 9735, code list 0001).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Charset {
    /// `UNOA`, `UNOB`, `UNOC` and whatever is not known: ISO 8859-1, of which the first two are a part.
    #[default]
    Latin1,
    /// `UNOY`, and `UNOW` as some write it: UTF-8, where the bytes are; else ISO 8859-1.
    Utf8,
}

impl Charset {
    /// The character set a syntax identifier names.
    pub fn of(syntax: &[u8]) -> Self {
        if matches!(syntax, b"UNOY" | b"UNOW") { Self::Utf8 } else { Self::Latin1 }
    }

    fn decode(self, bytes: &[u8]) -> String {
        let latin1 = || bytes.iter().map(|byte| char::from(*byte)).collect();
        match self {
            Self::Latin1 => latin1(),
            Self::Utf8 => std::str::from_utf8(bytes).map_or_else(|_| latin1(), str::to_owned),
        }
    }
}

/// Release characters taken away; line ends too, since no EDIFACT character set has them and some senders fold
/// their lines.
fn plain(bytes: &[u8], release: Option<u8>, charset: Charset) -> String {
    let is_plain = |byte: &u8| !matches!(byte, b'\r' | b'\n') && Some(*byte) != release;
    if bytes.iter().all(is_plain) {
        return charset.decode(bytes);
    }
    let mut kept: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut escaped = false;
    for byte in bytes {
        if !escaped && Some(*byte) == release {
            escaped = true;
        } else if !matches!(byte, b'\r' | b'\n') {
            kept.push(*byte);
            escaped = false;
        }
    }
    charset.decode(&kept)
}

/// The parts of `bytes` between unreleased separators: one at least.
fn split(bytes: &[u8], separator: u8, release: Option<u8>) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let whole = rest?;
        match find(whole, separator, release) {
            Some(at) => {
                rest = Some(&whole[at + 1..]);
                Some(&whole[..at])
            }
            None => rest.take(),
        }
    })
}

/// Where the first unreleased `wanted` is.
fn find(bytes: &[u8], wanted: u8, release: Option<u8>) -> Option<usize> {
    let Some(release) = release else { return memchr::memchr(wanted, bytes) };
    let mut from = 0;
    while let Some(found) = memchr::memchr2(wanted, release, bytes.get(from..)?) {
        let at = from + found;
        if bytes[at] == wanted {
            return Some(at);
        }
        from = at + 2;
    }
    None
}

/// The bytes as segments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Segments<'a> {
    /// In order; empty ones and white space between them left out.
    pub list: Vec<Segment<'a>>,
    /// What parts them.
    pub delimiters: Delimiters,
    /// What UNA said of that.
    pub service: Service,
    /// Where the first segment after UNA begins.
    pub body: usize,
}

/// More than [`SEGMENTS_MAX`] segments.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {SEGMENTS_MAX} segments")]
pub struct TooManySegments;

impl<'a> Segments<'a> {
    /// Parts bytes into segments. The last may lack its terminator.
    ///
    /// # Errors
    /// There are too many.
    pub fn of(bytes: &'a [u8]) -> Result<Self, TooManySegments> {
        let (delimiters, service, body) = service(bytes);
        let mut list = Vec::new();
        let mut at = body;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = find(rest, delimiters.terminator, delimiters.release).unwrap_or(rest.len());
            let start = at + rest[..length].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let end = (at + length + 1).min(bytes.len());
            let own = bytes[start..at + length].trim_ascii_end();
            // What trims a released last space away is no segment that we make or meet.
            if !own.is_empty() {
                if SEGMENTS_MAX <= list.len() {
                    return Err(TooManySegments);
                }
                list.push(Segment { bytes: own, delimiters, start, end });
            }
            at = end;
        }
        Ok(Self { list, delimiters, service, body })
    }
}

/// The service characters, and where the segments begin.
fn service(bytes: &[u8]) -> (Delimiters, Service, usize) {
    let unmarked = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.len() - unmarked.trim_ascii_start().len();
    let Some(after) = bytes[start..].strip_prefix(b"UNA") else {
        return (Delimiters::default(), Service::Absent, start);
    };
    if let Some([component, element, _, release, _, terminator]) = after.first_chunk::<6>().copied() {
        let release = (release != b' ').then_some(release);
        let given = Delimiters { component, element, release, terminator };
        let next = after[6..].trim_ascii_start();
        if usable(given) && (next.starts_with(b"UNB") || next.starts_with(b"UNH") || next.is_empty()) {
            return (given, Service::Given, start + 9);
        }
    }
    let window = &after[..after.len().min(BROKEN_SERVICE_BYTES_MAX)];
    let skipped = memchr::memmem::find(window, b"UNB").or_else(|| memchr::memmem::find(window, b"UNH"));
    (Delimiters::default(), Service::Broken, start + 3 + skipped.unwrap_or(0))
}

fn usable(delimiters: Delimiters) -> bool {
    let Delimiters { component, element, release, terminator } = delimiters;
    let all = [Some(component), Some(element), release, Some(terminator)];
    let plain = |byte: u8| !byte.is_ascii_punctuation();
    let distinct = all.iter().enumerate().all(|(at, one)| !all[..at].contains(one));
    distinct && !all.iter().flatten().any(|byte| plain(*byte))
}

/// Text as it is written: service characters released, and nothing that ISO 8859-1 cannot say.
///
/// Typographic signs become what a typewriter had, and letters of Latin Extended-A lose their marks; any other character outside ISO 8859-1 becomes `?`. The second
/// value is how many of those there were, so that a caller can refuse to send them.
pub fn released(text: &str, delimiters: Delimiters) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(text.len());
    let mut lost = 0;
    let push = |byte: u8, out: &mut Vec<u8>| {
        let special = [delimiters.component, delimiters.element, delimiters.terminator].contains(&byte);
        if let Some(release) = delimiters.release
            && (special || byte == release)
        {
            out.push(release);
        }
        out.push(byte);
    };
    for character in text.chars() {
        match typewriter(character) {
            Cow::Borrowed("") if !character.is_control() => {
                lost += 1;
                push(b'?', &mut out);
            }
            plain => {
                plain.chars().filter_map(|plain| u8::try_from(plain).ok()).for_each(|b| push(b, &mut out))
            }
        }
    }
    (out, lost)
}

/// Latin Extended-A (U+0100 to U+017F) without its marks: what British systems print of most names from elsewhere.
const UNMARKED: &str = "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL\
                        lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

/// A character in ISO 8859-1; empty if there is none for it, and for control characters.
fn typewriter(character: char) -> Cow<'static, str> {
    let plain = match character {
        '\t' | '\n' | '\r' => " ",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        '\u{2018}' | '\u{2019}' | '\u{02bc}' => "'",
        '\u{201c}' | '\u{201d}' => "\"",
        '\u{2026}' => "...",
        '\u{2264}' => "<=",
        '\u{2265}' => ">=",
        '\u{03bc}' => "\u{b5}",
        '\u{2022}' => "*",
        '\u{2009}' | '\u{202f}' => " ",
        '\u{218}' => "S",
        '\u{219}' => "s",
        '\u{21a}' => "T",
        '\u{21b}' => "t",
        '\u{100}'..='\u{17f}' => {
            let at = usize::try_from(u32::from(character) - 0x100).unwrap_or(0);
            UNMARKED.get(at..=at).unwrap_or_default()
        }
        _ if character.is_control() || 0xff < u32::from(character) => "",
        _ => return Cow::Owned(character.to_string()),
    };
    Cow::Borrowed(plain)
}
