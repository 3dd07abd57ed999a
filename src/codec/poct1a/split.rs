//! Where one XML message on a stream ends: with its root element, and nothing else says so.

use bytes::{Bytes, BytesMut};

/// How much of a message that is too long is kept, so that people can see which one it was.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Longer names are no message's.
const NAME_BYTES_MAX: usize = 16;
const CDATA: &[u8] = b"[CDATA[";
const COMMENT: &[u8] = b"--";

/// What the stream held.
#[derive(Clone, Eq, PartialEq)]
pub enum Piece {
    /// A document from its first `<` to the end of its root element.
    Message(Bytes),
    /// A document longer than allowed: its beginning. The rest is skipped as it comes.
    TooLong(Bytes),
    /// A document in the midst of which another began: its beginning.
    Torn(Bytes),
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, bytes) = match self {
            Self::Message(bytes) => ("Message", bytes),
            Self::TooLong(bytes) => ("TooLong", bytes),
            Self::Torn(bytes) => ("Torn", bytes),
        };
        write!(f, "{name}({} bytes)", bytes.len())
    }
}

/// Cuts a stream into documents. Holds at most one, of the allowed length.
#[derive(Debug)]
pub struct Splitter {
    message_bytes_max: usize,
    held: BytesMut,
    state: State,
    depth: u64,
    /// Where in `held` the newest `<` is.
    mark: usize,
    too_long: bool,
    /// Bytes between documents that were neither space nor part of one.
    pub ignored_bytes: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Before a document, or in an element's content.
    Text,
    /// Behind `<`.
    Open,
    /// Behind `<!`, and so many bytes of what follows.
    Bang { length: usize, kind: Kind },
    /// In a comment, with so many of `--` there.
    Comment { end: usize },
    /// In a CDATA section, with so many of `]]` there.
    Cdata { end: usize },
    /// In a processing instruction of a name so far `xml`, behind `?` or not.
    Instruction { length: usize, is_declaration: bool, question: bool },
    /// In a document type: in quotes or not, and in its internal subset or not.
    DocumentType { quote: Option<u8>, subset: bool },
    /// In a start tag or an end tag.
    Tag { closing: bool, quote: Option<u8>, slash: bool, named: bool },
}

/// What begins with `<!`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Unknown,
    Comment,
    Cdata,
}

impl Splitter {
    /// A splitter of documents of at most so many bytes.
    pub fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            held: BytesMut::new(),
            state: State::Text,
            depth: 0,
            mark: 0,
            too_long: false,
            ignored_bytes: 0,
        }
    }

    /// Whether a document has begun and not ended.
    pub fn is_inside(&self) -> bool {
        !self.held.is_empty()
    }

    /// Forgets what has begun, and gives it back.
    pub fn reset(&mut self) -> Bytes {
        (self.state, self.depth, self.mark) = (State::Text, 0, 0);
        let held = std::mem::take(&mut self.held).freeze();
        if std::mem::take(&mut self.too_long) { Bytes::new() } else { held }
    }

    /// Takes one byte; says what it completes.
    pub fn push(&mut self, byte: u8) -> Option<Piece> {
        if self.held.is_empty() && byte != b'<' {
            self.ignored_bytes += u64::from(!byte.is_ascii_whitespace());
            return None;
        }
        if byte == b'<' && self.state == State::Text {
            self.mark = self.held.len();
        }
        if self.message_bytes_max <= self.held.len() {
            return self.skip(byte);
        }
        self.held.extend_from_slice(&[byte]);
        let done = self.step(byte);
        match done {
            Step::On => None,
            Step::End => Some(Piece::Message(self.reset())),
            Step::NotADocument => {
                self.ignored_bytes += self.reset().len() as u64;
                None
            }
            Step::Anew(from) => self.begin_anew(from),
        }
    }

    /// Goes on through a document that is too long, of which nothing more is kept.
    fn skip(&mut self, byte: u8) -> Option<Piece> {
        let piece = (!self.too_long).then(|| {
            let head = self.held.get(..HEAD_BYTES_MAX.min(self.held.len())).unwrap_or_default();
            Piece::TooLong(Bytes::copy_from_slice(head))
        });
        self.too_long = true;
        if matches!(self.step(byte), Step::End | Step::NotADocument) {
            self.reset();
        }
        piece
    }

    /// Another document began in this one: its sender gave up in the middle.
    fn begin_anew(&mut self, from: usize) -> Option<Piece> {
        let next = self.held.split_off(from.min(self.held.len()));
        let torn = self.reset();
        let mut replayed = None;
        for byte in next {
            // What began anew is a tag's name and no more: it completes nothing.
            replayed = self.push(byte).or(replayed);
        }
        replayed.or(Some(Piece::Torn(torn)))
    }

    fn step(&mut self, byte: u8) -> Step {
        match self.state {
            State::Text => {
                if byte == b'<' {
                    self.state = State::Open;
                } else if self.depth == 0 && !byte.is_ascii_whitespace() && byte != 0xef {
                    return Step::NotADocument;
                }
            }
            State::Open => return self.opened(byte),
            State::Bang { length, kind } => return self.behind_bang(byte, length, kind),
            State::Comment { end } => self.comment(byte, end),
            State::Cdata { end } => self.cdata(byte, end),
            State::Instruction { .. } => return self.instruction(byte),
            State::DocumentType { quote, subset } => self.document_type(byte, quote, subset),
            State::Tag { .. } => return self.tag(byte),
        }
        Step::On
    }

    fn opened(&mut self, byte: u8) -> Step {
        self.state = match byte {
            b'!' => State::Bang { length: 0, kind: Kind::Unknown },
            b'?' => State::Instruction { length: 0, is_declaration: true, question: false },
            b'/' if self.depth == 0 => return Step::NotADocument,
            b'/' => State::Tag { closing: true, quote: None, slash: false, named: true },
            _ if byte.is_ascii_alphabetic() || byte == b'_' || byte == b':' || 0x80 <= byte => {
                State::Tag { closing: false, quote: None, slash: false, named: false }
            }
            _ if self.depth == 0 => return Step::NotADocument,
            _ => State::Text,
        };
        Step::On
    }

    fn behind_bang(&mut self, byte: u8, length: usize, kind: Kind) -> Step {
        let kind = match (length, byte) {
            (0, b'-') => Kind::Comment,
            (0, b'[') => Kind::Cdata,
            _ => kind,
        };
        let wanted = match kind {
            Kind::Comment => COMMENT,
            Kind::Cdata => CDATA,
            Kind::Unknown => b"",
        };
        self.state = match wanted.get(length) {
            Some(expected) if *expected != byte && self.depth == 0 => return Step::NotADocument,
            Some(expected) if *expected != byte => State::Text,
            Some(_) if length + 1 < wanted.len() => State::Bang { length: length + 1, kind },
            Some(_) if kind == Kind::Comment => State::Comment { end: 0 },
            Some(_) => State::Cdata { end: 0 },
            None => State::DocumentType { quote: None, subset: false },
        };
        Step::On
    }

    const fn comment(&mut self, byte: u8, end: usize) {
        self.state = match (byte, end) {
            (b'-', 0 | 1) => State::Comment { end: end + 1 },
            (b'-', _) => State::Comment { end: 2 },
            (b'>', 2) => State::Text,
            _ => State::Comment { end: 0 },
        };
    }

    const fn cdata(&mut self, byte: u8, end: usize) {
        self.state = match (byte, end) {
            (b']', 0 | 1) => State::Cdata { end: end + 1 },
            (b']', _) => State::Cdata { end: 2 },
            (b'>', 2) => State::Text,
            _ => State::Cdata { end: 0 },
        };
    }

    /// A declaration, `<?xml `, stands at the beginning of a document only.
    fn instruction(&mut self, byte: u8) -> Step {
        let State::Instruction { length, is_declaration, question } = self.state else { return Step::On };
        let expected = b"xml".get(length).copied();
        let is_declaration = is_declaration && expected.is_none_or(|expected| expected == byte);
        let begins = length == 3 && is_declaration && byte.is_ascii_whitespace();
        if begins && 0 < self.mark {
            return Step::Anew(self.mark);
        }
        self.state = match (question, byte) {
            (true, b'>') => State::Text,
            _ => State::Instruction {
                length: (length + 1).min(NAME_BYTES_MAX),
                is_declaration,
                question: byte == b'?',
            },
        };
        Step::On
    }

    const fn document_type(&mut self, byte: u8, quote: Option<u8>, subset: bool) {
        self.state = match (quote, byte) {
            (Some(open), _) if open == byte => State::DocumentType { quote: None, subset },
            (Some(_), _) => State::DocumentType { quote, subset },
            (None, b'"' | b'\'') => State::DocumentType { quote: Some(byte), subset },
            (None, b'[') => State::DocumentType { quote, subset: true },
            (None, b']') => State::DocumentType { quote, subset: false },
            (None, b'>') if !subset => State::Text,
            _ => State::DocumentType { quote, subset },
        };
    }

    fn tag(&mut self, byte: u8) -> Step {
        let State::Tag { closing, quote, slash, named } = self.state else { return Step::On };
        let ends_name = byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
        if !named && ends_name && 0 < self.depth && self.is_a_messages_name() {
            return Step::Anew(self.mark);
        }
        let named = named || ends_name;
        self.state = match (quote, byte) {
            (Some(open), _) if open == byte => State::Tag { closing, quote: None, slash: false, named },
            (Some(_), _) => self.state,
            (None, b'"' | b'\'') => State::Tag { closing, quote: Some(byte), slash: false, named },
            (None, b'>') => {
                self.state = State::Text;
                return self.tag_ended(closing, slash);
            }
            _ => State::Tag { closing, quote, slash: byte == b'/', named },
        };
        Step::On
    }

    const fn tag_ended(&mut self, closing: bool, empty: bool) -> Step {
        if closing {
            self.depth = self.depth.saturating_sub(1);
        } else if !empty {
            self.depth = self.depth.saturating_add(1);
        }
        if self.depth == 0 { Step::End } else { Step::On }
    }

    /// `HEL.R01` and its like are roots: inside of another message they are its successor's beginning.
    fn is_a_messages_name(&self) -> bool {
        let Some(name) = self.held.get(self.mark + 1..).and_then(|tag| tag.get(..7)) else { return false };
        let behind = self.held.get(self.mark + 8);
        let ends = behind.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
        let [a, b, c, b'.', b'R', d, e] = name else { return false };
        ends && [a, b, c].iter().all(|byte| byte.is_ascii_uppercase())
            && [d, e].iter().all(|byte| byte.is_ascii_digit())
    }
}

/// What a byte did.
enum Step {
    On,
    End,
    NotADocument,
    Anew(usize),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(stream: &[u8], piece_bytes: usize) -> (Vec<Piece>, u64) {
        let mut splitter = Splitter::new(200);
        let pieces = stream.chunks(piece_bytes).flatten().filter_map(|byte| splitter.push(*byte)).collect();
        (pieces, splitter.ignored_bytes)
    }

    fn message(text: &str) -> Piece {
        Piece::Message(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn torn(text: &str) -> Piece {
        Piece::Torn(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_message_ends_with_its_root_whatever_is_inside() {
        for one in [
            "<HEL.R01/>",
            "<HEL.R01 a='/>'/>",
            "<A><B/><C>text</C></A>",
            "<A b=\"</A>\" c='>'><!-- </A> -- > ---></A>",
            "<A><![CDATA[</A>]]]></A>",
            "<A><![CDATA[ ]] ]> </A> ]]><?p </A> ? > ?></A>",
            "<?xml version=\"1.0\"?><!-- < --><!DOCTYPE A SYSTEM \"a>b\" [<!ELEMENT A ANY>]>\r\n<A></A>",
            "<A><HEL.R011/><HEL.R0/></A>",
            "<A/ ><B/></A>",
        ] {
            let stream = format!("\u{feff}\r\n{one}\0\n{one}");
            let (pieces, ignored) = split(stream.as_bytes(), 1000);
            assert_eq!(pieces, [message(one), message(one)], "{one}");
            assert_eq!(ignored, 4, "the byte order mark and the zero byte");
        }
    }

    #[test]
    fn what_was_begun_in_the_midst_of_another_is_not_lost_in_it() {
        let (pieces, _) = split(b"<HEL.R01><HDR><HDR.con<DST.R01><X/></DST.R01><A/>", 1000);
        // A tag in a tag is not seen as one, but the closing tags are: this is how far a cut can reach.
        assert_eq!(pieces.len(), 0, "{pieces:?}");
        let (pieces, _) = split(b"<HEL.R01><HDR><OBS.R02 x='1'></OBS.R02>", 1000);
        assert_eq!(pieces, [torn("<HEL.R01><HDR>"), message("<OBS.R02 x='1'></OBS.R02>")]);
        let (pieces, _) = split(b"<HEL.R01><HDR> <?xml version='1.0'?><A/>", 1000);
        assert_eq!(pieces, [torn("<HEL.R01><HDR> "), message("<?xml version='1.0'?><A/>")]);
        let (pieces, ignored) = split(b"noise </A> <A/>", 1000);
        assert_eq!((pieces, ignored), (vec![message("<A/>")], 9));
    }

    #[test]
    fn a_message_that_is_too_long_is_named_skipped_and_followed_by_the_next() {
        let long = format!("<A>{}<B></B></A><C/>", "x".repeat(1000));
        for piece_bytes in [1, 7, 5000] {
            let (pieces, _) = split(long.as_bytes(), piece_bytes);
            assert_eq!(pieces.len(), 2);
            assert!(matches!(&pieces[0], Piece::TooLong(head) if head.len() == 200));
            assert_eq!(pieces[1], message("<C/>"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_the_same_however_they_come(
            text in "(<[A-C]|<HEL\\.R01|<OBS\\.R01|</|>|/>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?xml |\\?>|[ a'\"-]){0,80}",
            piece_bytes in 1_usize..9,
        ) {
            prop_assert_eq!(split(text.as_bytes(), piece_bytes), split(text.as_bytes(), 10_000));
            let mut splitter = Splitter::new(50);
            let mut out = 0;
            for byte in text.bytes() {
                if let Some(Piece::Message(bytes) | Piece::TooLong(bytes) | Piece::Torn(bytes)) = splitter.push(byte) {
                    out += bytes.len();
                }
                prop_assert!(splitter.held.len() <= 50);
            }
            prop_assert!(out <= text.len());
        }
    }
}
