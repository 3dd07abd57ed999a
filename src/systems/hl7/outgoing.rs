//! What goes out to a system that takes HL7 v2: a message that came as HL7 v2 as it came, byte for byte; anything else
//! built anew from what it says.

use bytes::Bytes;

use crate::{
    codec::hl7v2::{Message, escape},
    flow::deliver::Parcel,
};

use super::build::build;

/// Whom outgoing messages are from and to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// MSH-3 of what we build.
    pub sending_application: String,
    /// MSH-4 of what we build: the hub's ODS code.
    pub sending_facility: String,
    /// MSH-5 and MSH-6. With these, forwarded messages are readdressed to them; without, they stay addressed as they
    /// came, and what we build is addressed to nobody.
    pub receiving: Option<(String, String)>,
    /// MSH-11 of what we build: `P`, or `T` or `D` towards a system for trials.
    pub processing: char,
    /// MSH-21 of what we build, where the receiver wants a profile named, as ITK does.
    pub profile: Option<String>,
}

impl Default for Address {
    fn default() -> Self {
        Self {
            sending_application: "POLYGATE".to_owned(),
            sending_facility: String::new(),
            receiving: None,
            processing: 'P',
            profile: None,
        }
    }
}

/// Makes messages for one receiver.
#[derive(Clone, Debug)]
pub struct Outgoing {
    address: Address,
}

impl Outgoing {
    /// For a receiver of this address.
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// What is to be sent of a parcel: the same bytes each time.
    ///
    /// # Errors
    /// Why nothing can be made of it, in words without patient data.
    pub fn message(&self, parcel: &Parcel) -> Result<Bytes, String> {
        let raw = parcel.entry.raw.as_ref();
        // Only HL7 v2 begins so, and what the hub took in as HL7 v2 can be read.
        let Some(raw) = raw.filter(|raw| Message::parse(raw).is_ok()) else {
            return build(parcel, &self.address).map(Bytes::from);
        };
        if memchr::memmem::find(raw, b"\x1c\x0d").is_some() || raw.contains(&0x0b) {
            return Err("it holds the bytes that end a message on the wire".to_owned());
        }
        Ok(match &self.address.receiving {
            Some((application, facility)) => readdress(raw, application, facility),
            None => raw.clone(),
        })
    }
}

/// The same message with another MSH-5 and MSH-6; every other byte stays.
fn readdress(raw: &Bytes, application: &str, facility: &str) -> Bytes {
    let Ok(message) = Message::parse(raw) else { return raw.clone() };
    let delimiters = message.delimiters();
    let Some(start) = memchr::memmem::find(raw, b"MSH") else { return raw.clone() };
    let header = raw.get(start..).unwrap_or_default();
    let end = header.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(header.len());
    let (header, rest) = header.split_at(end);
    let mut fields: Vec<&[u8]> = header.split(|byte| *byte == delimiters.field).collect();
    let (application, facility) =
        (escape(application.as_bytes(), &delimiters), escape(facility.as_bytes(), &delimiters));
    // The name and MSH-2 come first, so that MSH-5 is the fifth of these.
    let wanted = fields.len().max(6);
    fields.resize(wanted, b"");
    for (place, value) in [(4, &application), (5, &facility)] {
        if let Some(field) = fields.get_mut(place) {
            *field = value;
        }
    }
    let mut bytes = raw.get(..start).unwrap_or_default().to_vec();
    bytes.extend_from_slice(&fields.join(&delimiters.field));
    bytes.extend_from_slice(rest);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readdressed_message_differs_in_two_fields_only() {
        let raw = Bytes::from_static(
            b"\xef\xbb\xbfMSH|^~\\&|RIO|RV5|OLD|WHO|2026||ADT^A31^ADT_A05|1|P|2.4|||||||\"\"\r\nPID|1||1^^^RV5^MR||M\xfcller\\Zx\\\\X41\\^\"\"\nZU1|own~~|\"\"|\\H\\b\\N\\\r",
        );
        let got = readdress(&raw, "P|S", "RQ6");
        let expected = String::from_utf8_lossy(&raw).replace("|OLD|WHO|", "|P\\F\\S|RQ6|");
        assert_eq!(String::from_utf8_lossy(&got), expected);
        let tail = |bytes: &Bytes| bytes.windows(4).position(|w| w == b"\nPID").map(|at| bytes.slice(at..));
        assert_eq!(tail(&got), tail(&raw));
    }

    #[test]
    fn short_headers_and_other_delimiters_are_readdressed_too() {
        let short = readdress(&Bytes::from_static(b"MSH|^~\\&|A\rPID|1"), "PAS", "RQ6");
        assert_eq!(short, "MSH|^~\\&|A||PAS|RQ6\rPID|1");
        let other = readdress(&Bytes::from_static(b"MSH$%*!@$A$B$C$D$2026"), "P%", "R");
        assert_eq!(other, "MSH$%*!@$A$B$P!S!$R$2026");
    }
}
