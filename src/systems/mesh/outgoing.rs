//! What a practice is sent: a report or letter as it came, if it came as one; else one made of what its source said.

use bytes::Bytes;

use crate::{
    codec::{
        edifact::{Charset, Delimiters, Header, Interchange, Partner, Segments, Writer, pmip, pmip::Kind},
        kettering::{self, Letter, Party},
    },
    domain::{
        entry::Entry,
        record::{Event, ItemKind},
        time::Timestamp,
    },
};

use super::{
    delivery::PracticeOptions,
    letters,
    mailbox::EDIFACT_MEDIA_TYPE,
    reports::{self, Correspondents},
};

const KETTERING_MEDIA_TYPE: &str = "application/xml";

/// What a parcel becomes.
pub(super) enum Content {
    /// Reports made of results.
    Reports(Kind, Vec<pmip::Report>),
    /// A report that came as PMIP: its segments stay as they are.
    Message(Box<Passed>),
    /// A letter made of documents.
    Letter(Box<Letter>),
    /// A letter that came as one.
    LetterAsItCame(Bytes),
}

/// A PMIP message on its way through.
pub(super) struct Passed {
    kind: Kind,
    header: Header,
    reference: String,
    bytes: Vec<u8>,
}

impl Content {
    /// What an entry becomes for this practice.
    ///
    /// # Errors
    /// Why nothing can be made of it, without content.
    pub(super) fn of(entry: &Entry, event: &Event, options: &PracticeOptions) -> Result<Self, String> {
        if let Some(raw) = &entry.raw {
            if let Some(passed) = Passed::of(raw) {
                return Ok(Self::Message(Box::new(passed)));
            }
            if raw.trim_ascii_start().starts_with(b"<") && kettering::read(raw).is_ok() {
                return Ok(Self::LetterAsItCame(raw.clone()));
            }
        }
        if event.items.iter().any(|item| item.kind == ItemKind::Result) {
            let is_radiology = options.radiology_from.contains(&entry.system);
            let kind = if is_radiology { Kind::Radiology } else { Kind::Pathology };
            let correspondents = Correspondents {
                from: options.own.0.clone(),
                from_name: options.own.1.clone(),
                to: options.ods.clone(),
            };
            return Ok(Self::Reports(kind, reports::reports(event, kind, &correspondents)?));
        }
        letters::letter(event).map(|letter| Self::Letter(Box::new(letter)))
    }

    /// The references of the messages that an NHSACK must answer; letters have no NHSACK.
    pub(super) fn references(&self) -> Vec<String> {
        match self {
            Self::Reports(_, reports) => (1..=reports.len()).map(|number| number.to_string()).collect(),
            Self::Message(passed) => vec![passed.reference.clone()],
            Self::Letter(_) | Self::LetterAsItCame(_) => Vec::new(),
        }
    }

    /// Workflow id and media type.
    pub(super) fn labels<'a>(&self, options: &'a PracticeOptions) -> (&'a str, &'static str) {
        let kind = match self {
            Self::Reports(kind, _) => *kind,
            Self::Message(passed) => passed.kind,
            Self::Letter(_) | Self::LetterAsItCame(_) => {
                return (&options.letter_workflow, KETTERING_MEDIA_TYPE);
            }
        };
        let workflow = match kind {
            Kind::Radiology => &options.radiology_workflow,
            Kind::Screening => &options.screening_workflow,
            Kind::Pathology | Kind::PathologyOlder => &options.pathology_workflow,
        };
        (workflow, EDIFACT_MEDIA_TYPE)
    }

    /// The bytes: the same at every attempt, since reference and time of preparation are.
    ///
    /// # Errors
    /// It cannot be said in the character set it must be said in.
    pub(super) fn encode(
        &self,
        options: &PracticeOptions,
        reference: &str,
        prepared: Timestamp,
    ) -> Result<Bytes, String> {
        match self {
            Self::Reports(kind, reports) => {
                let mut writer = Writer::new(&header(options, *kind, reference, prepared));
                for (at, report) in reports.iter().enumerate() {
                    let report = pmip::Report { prepared: super::local_time(prepared), ..report.clone() };
                    pmip::write(&mut writer, &(at + 1).to_string(), *kind, &report);
                }
                match writer.finish() {
                    (bytes, 0) => Ok(Bytes::from(bytes)),
                    // A letter left out of a name or a dose is worse than a report that people send by other means.
                    (_, lost) => {
                        Err(format!("{lost} of its characters cannot be said in ISO 8859-1, as EDIFACT must"))
                    }
                }
            }
            Self::Message(passed) => {
                let Header { syntax, version, .. } = passed.header.clone();
                let mut writer = Writer::new(&Header {
                    syntax,
                    version,
                    ..header(options, passed.kind, reference, prepared)
                });
                writer.copy(&passed.bytes);
                Ok(Bytes::from(writer.finish().0))
            }
            Self::Letter(letter) => Ok(made_letter(letter, options, reference, prepared)),
            Self::LetterAsItCame(bytes) => Ok(bytes.clone()),
        }
    }
}

impl Passed {
    /// A message that can be put between another UNB and UNZ as it is.
    fn of(raw: &[u8]) -> Option<Self> {
        let segments = Segments::of(raw).ok().filter(|found| found.delimiters == Delimiters::default())?;
        let (header, message) = Interchange::single(&segments).ok()?;
        let (kind, _) = pmip::read(&message).ok()?;
        let mut bytes = raw.get(message.span())?.to_vec();
        if bytes.last() != Some(&b'\'') {
            let end = bytes.trim_ascii_end().len();
            bytes.truncate(end);
            bytes.push(b'\'');
        }
        let is_plain = header.charset() == Charset::Latin1 && !header.syntax.is_empty();
        is_plain.then(|| Self { kind, header, reference: message.reference.clone(), bytes })
    }
}

fn header(options: &PracticeOptions, kind: Kind, reference: &str, prepared: Timestamp) -> Header {
    let digits = super::local_digits(prepared);
    let partner = |id: &str| Partner { id: id.to_owned(), qualifier: "80".to_owned() };
    Header {
        syntax: "UNOC".to_owned(),
        version: "3".to_owned(),
        sender: partner(&options.own_edi),
        recipient: partner(&options.edi),
        prepared: (
            digits.get(2..8).unwrap_or_default().to_owned(),
            digits.get(8..12).unwrap_or_default().to_owned(),
        ),
        control_reference: reference.to_owned(),
        application: kind.names().0.to_owned(),
        acknowledgement_requested: true,
        test: false,
    }
}

fn made_letter(letter: &Letter, options: &PracticeOptions, reference: &str, prepared: Timestamp) -> Bytes {
    let letter = Letter {
        message_id: format!("{}-{}-{}-{reference}", options.own_edi, options.edi, prepared.0),
        issued: super::local_time(prepared),
        sender: options.own.0.clone(),
        recipient: options.ods.clone(),
        to: Party { organisation: (options.ods.clone(), "PRA".to_owned()), ..Party::default() },
        from: Party {
            organisation: (options.own.0.clone(), "Provider".to_owned()),
            organisation_name: options.own.1.clone(),
            ..Party::default()
        },
        ..letter.clone()
    };
    Bytes::from(kettering::write(&letter, options.dates))
}
