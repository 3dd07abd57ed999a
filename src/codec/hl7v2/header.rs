//! What the MSH segment says (HL7 v2.4, section 2.16.9), as far as routing and answering need it.

use crate::domain::time::Timestamp;

use super::{ErrorCode, ErrorLocation, Message, Nack, parse_moment};

/// A message control id longer than this is refused; ITK allows 20, HL7 v2.7 allows 199.
pub const CONTROL_ID_BYTES_MAX: usize = 199;

/// A sender's name longer than this is refused; HL7 allows 227 for a whole HD, and what is kept of a message
/// names its sender.
pub const SENDER_BYTES_MAX: usize = 250;

/// A message's header, as text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// MSH-3.1.
    pub sending_application: String,
    /// MSH-4.1.
    pub sending_facility: String,
    /// MSH-7.
    pub sent: Option<Timestamp>,
    /// MSH-9.1, such as `ADT`.
    pub kind: String,
    /// MSH-9.2, such as `A01`; empty if absent.
    pub trigger: String,
    /// MSH-9.3, such as `ADT_A01`; empty if absent.
    pub structure: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-11.1, such as `P`; empty if absent.
    pub processing_id: String,
    /// MSH-12.1; `2.4` if absent.
    pub version: String,
    /// What is odd about it, and no reason to refuse it.
    pub faults: Vec<HeaderFault>,
}

/// An oddity that is recorded and tolerated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderFault {
    /// MSH-7 is absent or no time.
    NoTime,
    /// MSH-11 is absent.
    NoProcessingId,
    /// MSH-12 is absent.
    NoVersion,
    /// MSH-18 names a character set that this program does not know.
    UnknownCharset,
}

impl HeaderFault {
    /// A stable code without content.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoTime => "msh-7-no-time",
            Self::NoProcessingId => "msh-11-absent",
            Self::NoVersion => "msh-12-absent",
            Self::UnknownCharset => "msh-18-unknown-character-set",
        }
    }
}

impl Header {
    /// Reads a message's header.
    ///
    /// # Errors
    /// What the sender is to be told: no control id or message type, or a version that is not 2.1 to 2.8.
    pub fn read(message: &Message<'_>) -> Result<Self, Nack> {
        let missing = |field| Nack::new(ErrorCode::RequiredFieldMissing, ErrorLocation::new("MSH", 1, field));
        let header = message.segment("MSH").ok_or_else(|| missing(1))?;
        let text = |field: usize, component: usize| {
            message.text(header.field(field).component(component).bytes()).trim().to_owned()
        };
        // The whole field: it has no components, and what looks like one is part of the name.
        let control_id = message.text(header.field(10).bytes()).trim().to_owned();
        if control_id.is_empty() {
            return Err(missing(10));
        }
        if CONTROL_ID_BYTES_MAX < control_id.len() || control_id.contains('\0') {
            return Err(Nack::new(ErrorCode::DataType, ErrorLocation::new("MSH", 1, 10)));
        }
        let kind = text(9, 1);
        if kind.is_empty() {
            return Err(missing(9));
        }
        let (sending_application, sending_facility) = (text(3, 1), text(4, 1));
        for (field, name) in [(3, &sending_application), (4, &sending_facility)] {
            if SENDER_BYTES_MAX < name.len() {
                return Err(Nack::new(ErrorCode::DataType, ErrorLocation::new("MSH", 1, field)));
            }
        }
        let mut faults = Vec::new();
        let sent = parse_moment(header.field(7).component(1).bytes());
        let mut note = |odd: bool, fault| {
            if odd {
                faults.push(fault)
            }
        };
        note(sent.is_none(), HeaderFault::NoTime);
        note(text(11, 1).is_empty(), HeaderFault::NoProcessingId);
        note(message.charset() == super::Charset::Unknown, HeaderFault::UnknownCharset);
        let version = text(12, 1);
        note(version.is_empty(), HeaderFault::NoVersion);
        let version = if version.is_empty() { "2.4".to_owned() } else { version };
        let supported = version.strip_prefix("2.").and_then(|minor| minor.bytes().next());
        if !supported.is_some_and(|minor| (b'1'..=b'8').contains(&minor)) {
            return Err(Nack::new(ErrorCode::UnsupportedVersion, ErrorLocation::new("MSH", 1, 12)));
        }
        Ok(Self {
            sending_application,
            sending_facility,
            sent,
            kind,
            trigger: text(9, 2),
            structure: text(9, 3),
            control_id,
            processing_id: text(11, 1),
            version,
            faults,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Header, Nack> {
        Header::read(&Message::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn reads_a_header_and_tolerates_what_it_can() {
        let header = read("MSH|^~\\&|RIO^1|RV5|P|5LC01|20260101120000||ADT^A01^ADT_A01|M1|P|2.4").unwrap();
        assert_eq!((header.kind.as_str(), header.trigger.as_str()), ("ADT", "A01"));
        assert_eq!((header.sending_application.as_str(), header.control_id.as_str()), ("RIO", "M1"));
        assert!(header.faults.is_empty());
        let careless = read("MSH|^~\\&|A|B|||||ADT^A28|7||||||||KLINGON").unwrap();
        let odd = read("MSH|^~\\&|A|B|||20260101||ADT^A28|7^1~2|P|2.4").unwrap();
        assert_eq!(odd.control_id, "7^1~2", "or two messages would share a name");
        assert_eq!(careless.version, "2.4");
        assert_eq!(careless.faults.len(), 4, "{:?}", careless.faults);
    }

    #[test]
    fn names_what_it_cannot_do_without() {
        for (text, code, field) in [
            ("MSH|^~\\&|A|B|||20260101||ADT^A01||P|2.4", ErrorCode::RequiredFieldMissing, 10),
            ("MSH|^~\\&|A|B|||20260101|||M1|P|2.4", ErrorCode::RequiredFieldMissing, 9),
            ("MSH|^~\\&|A|B|||20260101||ADT^A01|M1|P|3.0", ErrorCode::UnsupportedVersion, 12),
            ("MSH|^~\\&|A|B|||20260101||ADT^A01|M1|P|2.9", ErrorCode::UnsupportedVersion, 12),
        ] {
            let nack = read(text).unwrap_err();
            assert_eq!((nack.code, nack.location.field), (code, field), "{text}");
        }
        let long = format!("MSH|^~\\&|A|B|||20260101||ADT^A01|{}|P|2.4", "x".repeat(200));
        assert_eq!(read(&long).unwrap_err().code, ErrorCode::DataType);
        let sender = format!("MSH|^~\\&|A|{}|||20260101||ADT^A01|M1|P|2.4", "x".repeat(251));
        assert_eq!(read(&sender).unwrap_err().location.field, 4);
    }
}
