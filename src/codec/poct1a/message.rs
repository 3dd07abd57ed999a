//! Messages of POCT1-A: what devices say, read; what a hub says, written. Values are in `V` attributes, or, as some
//! devices have it, in an element's text.

use bytes::Bytes;
use roxmltree::Node;

use crate::{
    codec::xml::{self, XmlError, attribute, child, children, text},
    domain::time::Timestamp,
};

/// Elements, attributes and texts of a message. A day's results of a busy device have some thousands.
const NODES_MAX: u32 = 500_000;
/// Observations of a message that are looked at.
pub const OBSERVATIONS_MAX: usize = 10_000;

/// Bytes that the copies of what surrounds a message's services may have together.
const COPIES_BYTES_MAX: usize = 16 << 20;

/// The bytes are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAMessage {
    /// It cannot be read at all.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Without `HDR.control_id` it cannot be answered.
    #[error("the message has no control id")]
    NoControlId,
    /// More than [`OBSERVATIONS_MAX`].
    #[error("the message has more than {OBSERVATIONS_MAX} observations")]
    TooManyObservations,
}

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its root element, such as `OBS.R01`.
    pub kind: String,
    /// `HDR.control_id`: what its acknowledgement names.
    pub control_id: String,
    /// `HDR.creation_dttm`.
    pub created: String,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// `HEL.R01`: a device introduces itself.
    Hello(Device),
    /// `DST.R01`: how many observations and events it has; none where it does not say.
    Status {
        /// `DST.new_observations_qty`.
        observations: Option<u64>,
        /// `DST.new_events_qty`.
        events: Option<u64>,
    },
    /// `OBS.R01` and `OBS.R02`.
    Observations(Vec<Service>),
    /// `EVS.R01`: so many events of the device itself.
    Events(usize),
    /// `EOT.R01`: it has no more of what it was asked for.
    EndOfTopic,
    /// `END.R01`: it ends the conversation.
    End,
    /// `KPA.R01`: it is still there.
    KeepAlive,
    /// `ACK.R01`.
    Acknowledgement {
        /// `AA`, not `AE`.
        accepted: bool,
        /// Of which message: its control id.
        of: String,
    },
    /// `ESC.R01`: it cannot do what it was asked.
    Escape,
    /// Another message.
    Other,
}

/// `DEV`: who a device is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device {
    /// `DEV.device_id`, often its network address.
    pub id: String,
    /// `DEV.vendor_id`, else `DEV.manufacturer_name`.
    pub vendor: String,
    /// `DEV.model_id`, else `DEV.device_name`.
    pub model: String,
    /// `DEV.serial_id`.
    pub serial: String,
    /// `DSC.directives_supported_cd`, all of them.
    pub directives: Vec<String>,
}

/// One `PT` or `CTC` of a `SVC`: whose specimen, or which control material, and what was found. Its `Debug` shows none
/// of it.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Service {
    /// `SVC.role_cd`: `OBS` for a patient's; `LQC`, `EQC`, `CVR`, `CAL`, `PRF` for others.
    pub role: String,
    /// `SVC.observation_dttm`.
    pub observed: String,
    /// `SVC.sequence_nbr`.
    pub sequence: String,
    /// `SVC.reason_cd`: `NEW`, `RES` for what was sent before, `EDT` for what was changed.
    pub reason: String,
    /// `PT`, if it is a patient's.
    pub patient: Option<Patient>,
    /// What was found.
    pub observations: Vec<Observation>,
    /// `OPR.operator_id`.
    pub operator: String,
    /// `ORD.order_id`.
    pub order: String,
    /// `ORD.universal_service_id`.
    pub service: String,
    /// `SPC.specimen_id`.
    pub specimen: String,
    /// `SPC.type_cd`.
    pub specimen_type: String,
    /// `NTE.text` of the whole.
    pub notes: Vec<String>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({}, {} observations)", self.role, self.observations.len())
    }
}

/// `PT`.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Patient {
    /// `PT.patient_id`, and others that look like it.
    pub ids: Vec<String>,
    /// `FAM`.
    pub family_name: String,
    /// `GIV`.
    pub given_name: String,
    /// `PT.birth_date`.
    pub birth_date: String,
    /// `PT.gender_cd`.
    pub gender: String,
    /// `PT.location`.
    pub location: String,
}

/// `OBS`.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Observation {
    /// `OBS.observation_id`.
    pub code: String,
    /// Its `SN`: `LN` is LOINC.
    pub system: String,
    /// Its `DN`.
    pub name: String,
    /// `OBS.value`.
    pub value: String,
    /// Its `U`.
    pub units: String,
    /// `OBS.qualitative_value`.
    pub qualitative: String,
    /// `OBS.method_cd`: `M` measured, `C` calculated, `D` default, `E` entered, `I` input.
    pub method: String,
    /// `OBS.status_cd`: `A` accepted, `D` discarded, `R` rejected.
    pub status: String,
    /// `OBS.interpretation_cd`, HL7 table 0078.
    pub interpretation: String,
    /// `OBS.normal_lo-hi_limit`, such as `[80;120]`.
    pub normal: String,
    /// `NTE.text`, each.
    pub notes: Vec<String>,
}

/// Reads a message.
///
/// # Errors
/// See [`NotAMessage`].
pub fn read(bytes: &[u8]) -> Result<Message, NotAMessage> {
    let decoded = xml::decode(bytes);
    let document = xml::parse(without_document_type(&decoded), NODES_MAX)?;
    let root = document.root_element();
    let header = child(root, "HDR");
    let of_header = |name: &str| header.map(|header| value(header, name)).unwrap_or_default();
    let control_id = of_header("HDR.control_id");
    if control_id.is_empty() {
        return Err(NotAMessage::NoControlId);
    }
    let kind = root.tag_name().name().to_owned();
    let body = body(root, &kind)?;
    Ok(Message { kind, control_id, created: of_header("HDR.creation_dttm"), body })
}

/// A message about several patients as one for each `SVC`: all of it but the others.
///
/// # Errors
/// See [`NotAMessage`]; or what surrounds the services is so long that there cannot be a copy of it for each.
pub fn by_service(bytes: &[u8]) -> Result<Vec<Bytes>, NotAMessage> {
    let decoded = xml::decode(bytes);
    let text = without_document_type(&decoded);
    let document = xml::parse(text, NODES_MAX)?;
    let ranges: Vec<_> = children(document.root_element(), "SVC").map(|service| service.range()).collect();
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(Vec::new()) };
    // What is cut out is written as UTF-8: a declaration of another encoding would no longer be true.
    let start = document.root_element().range().start;
    let before = text.get(start..first.start).unwrap_or_default();
    let after = text.get(last.end..).unwrap_or_default();
    if COPIES_BYTES_MAX / ranges.len() < before.len() + after.len() {
        return Err(NotAMessage::TooManyObservations);
    }
    let part = |range: &std::ops::Range<usize>| {
        Bytes::from([before, text.get(range.clone()).unwrap_or_default(), after].concat())
    };
    Ok(ranges.iter().map(part).collect())
}

fn body(root: Node<'_, '_>, kind: &str) -> Result<Body, NotAMessage> {
    let inside = |name: &str| child(root, name);
    Ok(match kind {
        "HEL.R01" => Body::Hello(inside("DEV").map(device).unwrap_or_default()),
        "DST.R01" => {
            let count = |name: &str| inside("DST").and_then(|status| value(status, name).parse().ok());
            Body::Status {
                observations: count("DST.new_observations_qty"),
                events: count("DST.new_events_qty"),
            }
        }
        "OBS.R01" | "OBS.R02" => Body::Observations(services(root)?),
        "EVS.R01" => Body::Events(children(root, "EVT").count()),
        "EOT.R01" => Body::EndOfTopic,
        "END.R01" => Body::End,
        "KPA.R01" => Body::KeepAlive,
        "ESC.R01" => Body::Escape,
        "ACK.R01" => {
            let of = |names: [&str; 2]| {
                let found = inside("ACK").map(|ack| names.map(|name| value(ack, name)));
                found.into_iter().flatten().find(|value| !value.is_empty()).unwrap_or_default()
            };
            Body::Acknowledgement {
                accepted: of(["ACK.type_cd", "ACK.type_id"]) == "AA",
                of: of(["ACK.ack_control_id", "ACK.control_id"]),
            }
        }
        _ => Body::Other,
    })
}

/// A child's `V`, else its text.
fn value(node: Node<'_, '_>, name: &str) -> String {
    let Some(found) = child(node, name) else { return String::new() };
    let said = attribute(found, "V");
    (if said.is_empty() { text(found) } else { said }).to_owned()
}

fn device(node: Node<'_, '_>) -> Device {
    let first = |names: [&str; 2]| {
        names.map(|name| value(node, name)).into_iter().find(|said| !said.is_empty()).unwrap_or_default()
    };
    let capabilities = child(node, "DSC").map(|capabilities| {
        let supported = children(capabilities, "DSC.directives_supported_cd");
        supported.map(|one| attribute(one, "V").to_owned()).take(100).collect()
    });
    Device {
        id: value(node, "DEV.device_id"),
        vendor: first(["DEV.vendor_id", "DEV.manufacturer_name"]),
        model: first(["DEV.model_id", "DEV.device_name"]),
        serial: value(node, "DEV.serial_id"),
        directives: capabilities.unwrap_or_default(),
    }
}

fn services(root: Node<'_, '_>) -> Result<Vec<Service>, NotAMessage> {
    let mut found = Vec::new();
    let mut observations = 0;
    for service in children(root, "SVC") {
        let whose = service.children().filter(|node| matches!(node.tag_name().name(), "PT" | "CTC"));
        for one in whose {
            let one = read_service(service, one);
            observations += one.observations.len();
            found.push(one);
            if OBSERVATIONS_MAX < observations.max(found.len()) {
                return Err(NotAMessage::TooManyObservations);
            }
        }
    }
    Ok(found)
}

fn read_service(service: Node<'_, '_>, whose: Node<'_, '_>) -> Service {
    // Order and specimen stand beside the patient, or in it.
    let beside = |element: &str, name: &str| {
        let places = [Some(service), Some(whose), child(whose, "ORD"), child(service, "ORD")];
        let found = places.into_iter().flatten().filter_map(|place| child(place, element));
        found.map(|node| value(node, name)).find(|said| !said.is_empty()).unwrap_or_default()
    };
    Service {
        role: value(service, "SVC.role_cd"),
        observed: value(service, "SVC.observation_dttm"),
        sequence: value(service, "SVC.sequence_nbr"),
        reason: value(service, "SVC.reason_cd"),
        patient: (whose.tag_name().name() == "PT").then(|| patient(whose)),
        observations: children(whose, "OBS").take(OBSERVATIONS_MAX + 1).map(observation).collect(),
        operator: beside("OPR", "OPR.operator_id"),
        order: beside("ORD", "ORD.order_id"),
        service: beside("ORD", "ORD.universal_service_id"),
        specimen: beside("SPC", "SPC.specimen_id"),
        specimen_type: beside("SPC", "SPC.type_cd"),
        notes: notes(service),
    }
}

fn patient(node: Node<'_, '_>) -> Patient {
    let name = child(node, "PT.name");
    let part = |of: &str| {
        let found = name.and_then(|name| child(name, of));
        found.map(|part| attribute(part, "V").to_owned()).unwrap_or_default()
    };
    let ids = children(node, "PT.patient_id").map(|id| {
        let said = attribute(id, "V");
        (if said.is_empty() { text(id) } else { said }).to_owned()
    });
    Patient {
        ids: ids.filter(|id| !id.is_empty()).take(20).collect(),
        family_name: part("FAM"),
        given_name: part("GIV"),
        birth_date: value(node, "PT.birth_date"),
        gender: value(node, "PT.gender_cd"),
        location: value(node, "PT.location"),
    }
}

fn observation(node: Node<'_, '_>) -> Observation {
    let of = |element: &str, name: &str| {
        child(node, element).map(|found| attribute(found, name).to_owned()).unwrap_or_default()
    };
    Observation {
        code: value(node, "OBS.observation_id"),
        system: of("OBS.observation_id", "SN"),
        name: of("OBS.observation_id", "DN"),
        value: value(node, "OBS.value"),
        units: of("OBS.value", "U"),
        qualitative: value(node, "OBS.qualitative_value"),
        method: value(node, "OBS.method_cd"),
        status: value(node, "OBS.status_cd"),
        interpretation: value(node, "OBS.interpretation_cd"),
        normal: value(node, "OBS.normal_lo-hi_limit"),
        notes: notes(node),
    }
}

fn notes(node: Node<'_, '_>) -> Vec<String> {
    let all = children(node, "NTE").map(|note| value(note, "NTE.text"));
    all.filter(|note| !note.is_empty()).take(100).collect()
}

/// Some devices name their document type, which says nothing and is refused elsewhere. One with declarations of its
/// own stays, and is refused.
fn without_document_type(text: &str) -> &str {
    let Some((_, from)) = text.split_once("<!DOCTYPE") else { return text };
    match from.split_once('>') {
        Some((declared, rest)) if !declared.contains(['[', '<']) && rest.trim_start().starts_with('<') => {
            rest
        }
        _ => text,
    }
}

/// What every message of ours begins with.
fn header(kind: &str, control_id: u64, now: Timestamp) -> String {
    format!(
        "<HDR><HDR.message_type V=\"{kind}\"/><HDR.control_id V=\"{control_id}\"/><HDR.version_id V=\"POCT1\"/>\
         <HDR.creation_dttm V=\"{now}\"/></HDR>"
    )
}

/// `ACK.R01`: `AA`, or `AE` with the reason in words.
pub fn acknowledgement(control_id: u64, now: Timestamp, of: &str, refused: Option<&str>) -> String {
    let kind = if refused.is_some() { "AE" } else { "AA" };
    let note = refused.map(|why| format!("<ACK.note_txt V=\"{}\"/>", xml::escape(why)));
    format!(
        "<ACK.R01>{}<ACK><ACK.type_cd V=\"{kind}\"/><ACK.ack_control_id V=\"{}\"/>{}</ACK></ACK.R01>",
        header("ACK.R01", control_id, now),
        xml::escape(of),
        note.unwrap_or_default()
    )
}

/// `REQ.R01`: asks for all new observations (`ROBS`) or events (`RDEV`).
pub fn request(control_id: u64, now: Timestamp, what: &str) -> String {
    format!(
        "<REQ.R01>{}<REQ><REQ.request_cd V=\"{what}\"/></REQ></REQ.R01>",
        header("REQ.R01", control_id, now)
    )
}

/// `DTV.R01`: tells the device to send what it measures from here on as it measures it.
pub fn start_continuous(control_id: u64, now: Timestamp) -> String {
    format!(
        "<DTV.R01>{}<DTV><DTV.command_cd V=\"START_CONTINUOUS\"/></DTV></DTV.R01>",
        header("DTV.R01", control_id, now)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    #[test]
    fn devices_introduce_themselves_and_say_what_they_have() {
        let hello = "<?xml version=\"1.0\"?>\n<!DOCTYPE HEL.R01 SYSTEM \"x.dtd\"><HEL.R01><HDR><HDR.control_id V=\"7\"/>\
            <HDR.creation_dttm V=\"2026-11-18T11:06:40+00:00\"/></HDR><DEV><DEV.device_id V=\"\">A^B</DEV.device_id>\
            <DEV.manufacturer_name V=\"ACME\"/><DEV.serial_id V=\"9\"/><DSC><DSC.directives_supported_cd \
            V=\"START_CONTINUOUS\"/></DSC></DEV></HEL.R01>";
        let read = read(hello.as_bytes()).unwrap();
        assert_eq!((read.kind.as_str(), read.control_id.as_str()), ("HEL.R01", "7"));
        let Body::Hello(device) = read.body else { panic!("{read:?}") };
        assert_eq!(
            (device.id.as_str(), device.vendor.as_str(), device.serial.as_str()),
            ("A^B", "ACME", "9")
        );
        assert_eq!(device.directives, ["START_CONTINUOUS"]);
        let status = "<DST.R01><HDR><HDR.control_id>8</HDR.control_id></HDR><DST>\
            <DST.new_observations_qty V=\"3\"/></DST></DST.R01>";
        let read = super::read(status.as_bytes()).unwrap();
        assert_eq!(read.body, Body::Status { observations: Some(3), events: None });
    }

    #[test]
    fn what_we_write_reads_back() {
        let ack = acknowledgement(5, NOW, "a\"<b", Some("no & why"));
        let read = read(ack.as_bytes()).unwrap();
        assert_eq!(read.control_id, "5");
        assert_eq!(read.body, Body::Acknowledgement { accepted: false, of: "a\"<b".to_owned() });
        let ack = super::read(acknowledgement(6, NOW, "4", None).as_bytes()).unwrap();
        assert_eq!(ack.body, Body::Acknowledgement { accepted: true, of: "4".to_owned() });
        for ours in [request(7, NOW, "ROBS"), start_continuous(7, NOW)] {
            assert_eq!(super::read(ours.as_bytes()).unwrap().body, Body::Other);
        }
    }

    #[test]
    fn what_cannot_be_answered_or_hides_something_is_no_message() {
        assert_eq!(read(b"<HEL.R01/>"), Err(NotAMessage::NoControlId));
        let bomb = "<!DOCTYPE A [<!ENTITY b \"bb\">]><A><HDR><HDR.control_id V=\"&b;\"/></HDR></A>";
        assert_eq!(read(bomb.as_bytes()), Err(NotAMessage::Xml(XmlError::Malformed)));
        assert!(matches!(read(b"<A><B></A>"), Err(NotAMessage::Xml(_))));
        let service = "<SVC><PT><OBS/></PT></SVC>".repeat(OBSERVATIONS_MAX + 1);
        let many = format!("<OBS.R01><HDR><HDR.control_id V=\"1\"/></HDR>{service}</OBS.R01>");
        assert_eq!(read(many.as_bytes()), Err(NotAMessage::TooManyObservations));
    }
}
