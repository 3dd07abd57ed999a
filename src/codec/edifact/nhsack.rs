//! NHSACK NHS001: what became of an interchange and of each of its messages.

use super::{
    interchange::{Header, Interchange, Message, MessageType, Partner, Refusal},
    writer::Writer,
};

/// The longest reason written: five components of 70 characters make one FTX (C108).
const REASON_CHARACTERS_MAX: usize = 350;
/// Characters in one component of FTX (C108, element 4440).
const TEXT_CHARACTERS_MAX: usize = 70;

/// What became of an interchange (NIR, code after the partners).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// `IAF`: accepted, all of its messages.
    Accepted,
    /// `IAP`: accepted in part.
    Partly,
    /// `IRA`: every message is rejected.
    AllRejected,
    /// `IRI`: the interchange cannot be read.
    InterchangeRejected,
    /// `IRM`: where its messages begin and end cannot be told.
    MessagesRejected,
}

impl Verdict {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Accepted, "IAF"),
        (Self::Partly, "IAP"),
        (Self::AllRejected, "IRA"),
        (Self::InterchangeRejected, "IRI"),
        (Self::MessagesRejected, "IRM"),
    ];

    /// The code on the wire.
    pub fn code(self) -> &'static str {
        Self::ALL.iter().find(|(verdict, _)| *verdict == self).map_or("IRI", |(_, code)| code)
    }

    fn of(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, listed)| *listed == code).map(|(verdict, _)| *verdict)
    }
}

/// What became of one message (NMR): `MA`, or `MR` with a reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageVerdict {
    /// UNH's reference.
    pub reference: String,
    /// Why it is rejected; none if it is accepted.
    pub rejected: Option<String>,
}

/// An acknowledgement's content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NhsAck {
    /// The control reference of the interchange that is acknowledged.
    pub interchange: String,
    /// Its sender and its recipient, as its own UNB named them.
    pub partners: (Partner, Partner),
    /// What became of it.
    pub verdict: Verdict,
    /// Why, for a verdict on the whole.
    pub reason: Option<String>,
    /// What became of each message; none for a verdict on the whole.
    pub messages: Vec<MessageVerdict>,
}

impl NhsAck {
    /// Acknowledges an interchange that could be parted into messages.
    pub fn of_messages(header: &Header, messages: Vec<MessageVerdict>) -> Self {
        let rejected = messages.iter().filter(|message| message.rejected.is_some()).count();
        let verdict = match rejected {
            0 => Verdict::Accepted,
            all if all == messages.len() => Verdict::AllRejected,
            _ => Verdict::Partly,
        };
        Self { verdict, messages, ..Self::about(header) }
    }

    /// Acknowledges an interchange that could not; none if there is nobody to answer.
    pub fn of_refusal(refusal: &Refusal) -> Option<Self> {
        let (header, verdict) = match refusal {
            Refusal::Header(_) => return None,
            Refusal::Interchange(header, _) => (header, Verdict::InterchangeRejected),
            Refusal::Messages(header, _) => (header, Verdict::MessagesRejected),
        };
        Some(Self { verdict, reason: Some(refusal.to_string()), ..Self::about(header) })
    }

    fn about(header: &Header) -> Self {
        Self {
            interchange: header.control_reference.clone(),
            partners: (header.sender.clone(), header.recipient.clone()),
            verdict: Verdict::Accepted,
            reason: None,
            messages: Vec::new(),
        }
    }

    /// Writes it as an interchange back. `sequence` is the next number from us to them; `now` is local time,
    /// `YYYYMMDD` and `HHMM`; `application` is UNB's application reference, `NHSACK` unless a partner wants
    /// another.
    pub fn encode(&self, sequence: u32, now: (&str, &str), application: &str) -> Vec<u8> {
        let (to, from) = &self.partners;
        let mut writer = Writer::new(&Header {
            syntax: "UNOC".to_owned(),
            version: "3".to_owned(),
            sender: from.clone(),
            recipient: to.clone(),
            prepared: (now.0.get(2..).unwrap_or_default().to_owned(), now.1.to_owned()),
            control_reference: sequence.to_string(),
            application: application.to_owned(),
            ..Header::default()
        });
        writer.begin("1", &kind());
        writer.segment("BGM", &[&["AKR"]]);
        writer.segment("DTM", &[&["137", now.0, "102"]]);
        writer.segment(
            "NIR",
            &[
                &["SIR", &self.interchange],
                &[&to.id, &to.qualifier],
                &[&from.id, &from.qualifier],
                &[self.verdict.code()],
            ],
        );
        write_reason(&mut writer, self.reason.as_deref());
        for message in &self.messages {
            let verdict = if message.rejected.is_some() { "MR" } else { "MA" };
            writer.segment("NMR", &[&["AGO", &message.reference], &[verdict]]);
            write_reason(&mut writer, message.rejected.as_deref());
        }
        writer.finish().0
    }

    /// Whether a message is an acknowledgement.
    pub fn is(message: &Message<'_>) -> bool {
        message.kind.name == "NHSACK"
    }

    /// Reads one; none if it does not say what it acknowledges, or what became of that.
    pub fn read(message: &Message<'_>) -> Option<Self> {
        let charset = message.charset;
        let mut found: Option<Self> = None;
        for segment in message.segments {
            let text = |element, component| segment.text(element, component, charset).trim().to_owned();
            let partner = |element| Partner { id: text(element, 1), qualifier: text(element, 2) };
            match segment.tag() {
                b"NIR" => {
                    found = Some(Self {
                        interchange: text(1, 2),
                        partners: (partner(2), partner(3)),
                        verdict: Verdict::of(&text(4, 1))?,
                        reason: None,
                        messages: Vec::new(),
                    });
                }
                b"NMR" => {
                    let rejected = (text(2, 1) != "MA").then(String::new);
                    found.as_mut()?.messages.push(MessageVerdict { reference: text(1, 2), rejected });
                }
                b"FTX" => found.as_mut()?.add_reason(&segment.element(4).texts(charset).concat()),
                _ => {}
            }
        }
        found.filter(|ack| !ack.interchange.is_empty())
    }

    /// What became of one message of the interchange: the reason if it is rejected. None if it is not said.
    pub fn on(&self, reference: &str) -> Option<Result<(), String>> {
        let why = |reason: Option<&String>| {
            let reason = reason.map(|text| text.trim()).filter(|text| !text.is_empty());
            format!("{}: {}", self.verdict.code(), reason.unwrap_or("no reason given"))
        };
        match self.verdict {
            Verdict::InterchangeRejected | Verdict::MessagesRejected => Some(Err(why(self.reason.as_ref()))),
            _ => match self.messages.iter().find(|message| message.reference == reference) {
                Some(MessageVerdict { rejected: Some(reason), .. }) => Some(Err(why(Some(reason)))),
                Some(_) => Some(Ok(())),
                None if self.verdict == Verdict::Accepted => Some(Ok(())),
                None if self.verdict == Verdict::AllRejected => Some(Err(why(self.reason.as_ref()))),
                None => None,
            },
        }
    }

    fn add_reason(&mut self, text: &str) {
        let target = match self.messages.last_mut() {
            Some(message) => message.rejected.get_or_insert_default(),
            None => self.reason.get_or_insert_default(),
        };
        target.push_str(text);
    }
}

/// Every acknowledgement in an interchange.
pub fn read_all(interchange: &Interchange<'_>) -> Vec<NhsAck> {
    interchange.messages.iter().filter(|message| NhsAck::is(message)).filter_map(NhsAck::read).collect()
}

fn kind() -> MessageType {
    let text = |text: &str| text.to_owned();
    MessageType {
        name: text("NHSACK"),
        version: text("D"),
        release: text("1"),
        agency: text("NH"),
        association: text("NHS001"),
    }
}

fn write_reason(writer: &mut Writer, reason: Option<&str>) {
    let Some(reason) = reason else { return };
    let parts = parts(reason, TEXT_CHARACTERS_MAX, REASON_CHARACTERS_MAX);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    writer.segment("FTX", &[&["ERD"], &[], &[], &parts]);
}

/// A text cut into pieces of `each` characters, `most` in all.
pub(super) fn parts(text: &str, each: usize, most: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().take(most).collect();
    characters.chunks(each).map(|piece| piece.iter().collect()).collect()
}
