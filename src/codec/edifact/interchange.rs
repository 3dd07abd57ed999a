//! Interchanges: who sends what to whom (UNB … UNZ), and the messages in them (UNH … UNT).

use std::fmt;

use super::segment::{Charset, Segment, Segments, Service, TooManySegments};

/// Messages of one interchange: laboratories send some hundred.
pub const MESSAGES_MAX: usize = 5_000;
/// UNA with UNB, and UNZ: both go with every message that is kept, so that neither may be long.
const ENDS_BYTES_MAX: usize = 1024;

/// One trading partner (UNB, S002 and S003).
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Partner {
    /// Identification: fifteen digits for the NHS, the EDI code or mailbox.
    pub id: String,
    /// Qualifier, `80` where senders give one.
    pub qualifier: String,
}

impl fmt::Display for Partner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.qualifier.is_empty() {
            f.write_str(&self.id)
        } else {
            write!(f, "{}:{}", self.id, self.qualifier)
        }
    }
}

/// UNB.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// Syntax identifier, such as `UNOC`.
    pub syntax: String,
    /// Syntax version, such as `3`.
    pub version: String,
    /// Who sends.
    pub sender: Partner,
    /// Who receives.
    pub recipient: Partner,
    /// Date and time of preparation as given, `YYMMDD` and `HHMM`.
    pub prepared: (String, String),
    /// Control reference: with sender, recipient and time of preparation, the interchange's name.
    pub control_reference: String,
    /// Application reference, such as `MEDRPT` or `NHSACK`.
    pub application: String,
    /// Element 9 is 1: the sender wants an NHSACK.
    pub acknowledgement_requested: bool,
    /// Element 11 is 1: it is a test and must not be filed.
    pub test: bool,
}

impl Header {
    /// The character set of the interchange.
    pub fn charset(&self) -> Charset {
        Charset::of(self.syntax.as_bytes())
    }

    fn read(segment: &Segment<'_>) -> Self {
        let syntax = segment.element(1);
        let charset = syntax.components().next().map(Charset::of).unwrap_or_default();
        let text = |element, component| segment.text(element, component, charset).trim().to_owned();
        let partner = |element| Partner { id: text(element, 1), qualifier: text(element, 2) };
        Self {
            syntax: text(1, 1),
            version: text(1, 2),
            sender: partner(2),
            recipient: partner(3),
            prepared: (text(4, 1), text(4, 2)),
            control_reference: text(5, 1),
            application: text(7, 1),
            acknowledgement_requested: text(9, 1) == "1",
            test: text(11, 1) == "1",
        }
    }
}

/// What UNH says a message is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MessageType {
    /// Message type, such as `MEDRPT`, `NHSRSR` or `NHSACK`.
    pub name: String,
    /// Version, such as `0` or `D`.
    pub version: String,
    /// Release, `1`.
    pub release: String,
    /// Agency, `RT` or `NH`.
    pub agency: String,
    /// Association assigned code, such as `NHS003`. Alone it names nothing: `NHS002` is two kinds of report.
    pub association: String,
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.association)
    }
}

/// One message of an interchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// Its reference, unique in the interchange.
    pub reference: String,
    /// What it is.
    pub kind: MessageType,
    /// Its segments, UNH first and UNT last.
    pub segments: &'a [Segment<'a>],
    /// How its text is read.
    pub charset: Charset,
    /// What is wrong with it as a whole, if it cannot be believed.
    pub broken: Option<&'static str>,
    /// What is odd about it, as stable codes.
    pub faults: Vec<&'static str>,
}

impl Message<'_> {
    /// Where its bytes are in the whole.
    pub fn span(&self) -> std::ops::Range<usize> {
        let start = self.segments.first().map_or(0, |first| first.start);
        start..self.segments.last().map_or(start, |last| last.end)
    }
}

/// Why an interchange cannot be taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Nobody can be told: sender, recipient or control reference are not to be read.
    #[error("the interchange's header cannot be read: {0}")]
    Header(&'static str),
    /// `IRI`: it is not whole.
    #[error("the interchange cannot be read: {1}")]
    Interchange(Box<Header>, &'static str),
    /// `IRM`: where its messages begin and end cannot be told.
    #[error("the messages cannot be read: {1}")]
    Messages(Box<Header>, &'static str),
}

impl Refusal {
    /// The header, where there is one to answer to.
    pub fn header(&self) -> Option<&Header> {
        match self {
            Self::Header(_) => None,
            Self::Interchange(header, _) | Self::Messages(header, _) => Some(header),
        }
    }

    /// Why, in words without content.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Header(reason) | Self::Interchange(_, reason) | Self::Messages(_, reason) => reason,
        }
    }
}

/// An interchange whose limits are sound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interchange<'a> {
    /// UNB.
    pub header: Header,
    /// Its messages, in order.
    pub messages: Vec<Message<'a>>,
    /// Where UNA and UNB are in the whole.
    pub head: std::ops::Range<usize>,
    /// Where UNZ is in the whole.
    pub tail: std::ops::Range<usize>,
    /// What is odd about it, as stable codes.
    pub faults: Vec<&'static str>,
}

impl<'a> Interchange<'a> {
    /// Reads an interchange parted into segments.
    ///
    /// # Errors
    /// See [`Refusal`]. A message that is wrong in itself is no refusal: see [`Message::broken`].
    pub fn of(segments: &'a Segments<'a>) -> Result<Self, Refusal> {
        let (header, rest) = head(segments)?;
        let refused = |reason| Refusal::Interchange(Box::new(header.clone()), reason);
        let Some((trailer, inside)) = rest.split_last().filter(|(last, _)| last.tag() == b"UNZ") else {
            return Err(refused("UNZ is missing: it is cut off"));
        };
        if trailer.text(2, 1, header.charset()).trim() != header.control_reference {
            return Err(refused("UNZ has another control reference than UNB"));
        }
        let messages = messages(inside, header.charset())
            .map_err(|reason| Refusal::Messages(Box::new(header.clone()), reason))?;
        if MESSAGES_MAX < messages.len() {
            return Err(refused("it has too many messages"));
        }
        let groups = inside.iter().filter(|segment| segment.tag() == b"UNG").count();
        let expected = if groups == 0 { messages.len() } else { groups };
        if messages.is_empty() {
            return Err(refused("there is no message in it"));
        }
        if trailer.text(1, 1, header.charset()).trim().parse() != Ok(expected) {
            return Err(refused("UNZ counts another number of messages"));
        }
        let mut faults = Vec::new();
        if segments.service == Service::Broken {
            faults.push("una-broken");
        }
        let unb_end = segments.list.first().map_or(0, |unb| unb.end);
        if ENDS_BYTES_MAX < unb_end || ENDS_BYTES_MAX < trailer.end - trailer.start {
            return Err(refused("UNB or UNZ is too long"));
        }
        Ok(Self { header, messages, head: 0..unb_end, tail: trailer.start..trailer.end, faults })
    }

    /// Reads an entry made of one message with the interchange's own head and tail, as [`Interchange::part`]
    /// made it; also a message without either, as examples come.
    ///
    /// # Errors
    /// There is not one whole message in it.
    pub fn single(segments: &'a Segments<'a>) -> Result<(Header, Message<'a>), Refusal> {
        let (header, rest) = match head(segments) {
            Ok((header, rest)) => (header, rest),
            Err(_) => (Header::default(), segments.list.as_slice()),
        };
        let inside = match rest.split_last() {
            Some((last, inside)) if last.tag() == b"UNZ" => inside,
            _ => rest,
        };
        let found = messages(inside, header.charset()).map_err(Refusal::Header)?;
        match <[Message<'a>; 1]>::try_from(found) {
            Ok([one]) => Ok((header, one)),
            Err(_) => Err(Refusal::Header("there is not exactly one message")),
        }
    }

    /// One message's bytes between the bytes of UNA, UNB and UNZ: what is kept of it. UNZ still counts all.
    pub fn part(&self, whole: &[u8], message: &Message<'_>) -> Vec<u8> {
        [&whole[self.head.clone()], &whole[message.span()], &whole[self.tail.clone()]].concat()
    }
}

impl From<TooManySegments> for Refusal {
    fn from(_: TooManySegments) -> Self {
        Self::Header("it has too many segments")
    }
}

fn head<'a>(segments: &'a Segments<'a>) -> Result<(Header, &'a [Segment<'a>]), Refusal> {
    let Some((first, rest)) = segments.list.split_first().filter(|(first, _)| first.tag() == b"UNB") else {
        return Err(Refusal::Header("it does not begin with UNB"));
    };
    let header = Header::read(first);
    if header.sender.id.is_empty() || header.recipient.id.is_empty() {
        return Err(Refusal::Header("UNB names no sender or no recipient"));
    }
    if header.control_reference.is_empty() {
        return Err(Refusal::Header("UNB has no control reference"));
    }
    Ok((header, rest))
}

/// Pairs UNH with UNT. If they do not pair, nobody can say which segment speaks of whom.
fn messages<'a>(inside: &'a [Segment<'a>], charset: Charset) -> Result<Vec<Message<'a>>, &'static str> {
    let mut found = Vec::new();
    let mut open: Option<usize> = None;
    for (at, segment) in inside.iter().enumerate() {
        match (segment.tag(), open) {
            (b"UNH", Some(_)) => return Err("a message begins before the last has ended"),
            (b"UNH", None) => open = Some(at),
            (b"UNT", Some(from)) => {
                found.push(message(&inside[from..=at], charset));
                open = None;
            }
            (b"UNG" | b"UNE", None) => {}
            (b"UNB" | b"UNZ" | b"UNG" | b"UNE", _) => return Err("an interchange begins inside another"),
            (_, None) => return Err("there are segments outside messages"),
            (_, Some(_)) => {}
        }
    }
    if open.is_some() {
        return Err("the last message has no end");
    }
    Ok(found)
}

fn message<'a>(segments: &'a [Segment<'a>], charset: Charset) -> Message<'a> {
    let text = |segment: Option<&Segment<'_>>, element, component| {
        segment.map(|one| one.text(element, component, charset).trim().to_owned()).unwrap_or_default()
    };
    let (first, last) = (segments.first(), segments.last());
    let reference = text(first, 1, 1);
    let broken = if reference.is_empty() {
        Some("UNH has no reference")
    } else if text(last, 2, 1) != reference {
        Some("UNT has another reference than UNH")
    } else {
        None
    };
    // Senders miscount: the message is whole all the same if both its ends name it.
    let miscounted = text(last, 1, 1).parse() != Ok(segments.len());
    let kind = MessageType {
        name: text(first, 2, 1),
        version: text(first, 2, 2),
        release: text(first, 2, 3),
        agency: text(first, 2, 4),
        association: text(first, 2, 5),
    };
    let faults = if miscounted { vec!["unt-count"] } else { Vec::new() };
    Message { reference, kind, segments, charset, broken, faults }
}
