//! From HL7 v2 to the hub's own terms: ADT, SIU and ORU^R01.

mod clinical;
mod encounter;
mod events;
mod patient;
mod results;
mod schedule;

use crate::{
    codec::hl7v2::{ErrorCode, ErrorLocation, Header, Message, Nack, Segment, Value, iso_8601, parse_moment},
    domain::{
        entry::Entry,
        ids::Class,
        record::{Event, FieldChange, ItemChange, ItemKind},
        time::Timestamp,
    },
};

/// What one kind of system sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dialect {
    /// The kind of system, as people name it.
    pub kind: &'static str,
    /// MSH-9.1 of the messages it may send.
    pub message_types: &'static [&'static str],
    /// MSH-11 of the messages it may send: `P`, `T` or `D`; none for any. A message without MSH-11 is taken.
    pub processing: Option<char>,
}

/// Panic values and very abnormal ones (HL7 table 0078): someone must act now.
const CRITICAL: [&[u8]; 3] = [b"AA", b"HH", b"LL"];

/// Reads what a message says.
///
/// # Errors
/// What the sender is to be told when this message is not for us.
pub fn translate(message: &Message<'_>, dialect: &Dialect) -> Result<Event, Nack> {
    let header = Header::read(message)?;
    let refuse = |code, field| Err(Nack::new(code, ErrorLocation::new("MSH", 1, field)));
    if let Some(processing) = dialect.processing
        && !header.processing_id.is_empty()
        && !header.processing_id.chars().eq([processing])
    {
        return refuse(ErrorCode::UnsupportedProcessingId, 11);
    }
    if !dialect.message_types.contains(&header.kind.as_str()) {
        return refuse(ErrorCode::UnsupportedMessageType, 9);
    }
    if events::structures(&header.kind, &header.trigger).is_none() {
        return refuse(ErrorCode::UnsupportedEventCode, 9);
    }
    let Some(pid) = message.segment("PID") else {
        return Err(Nack::new(ErrorCode::SegmentSequence, ErrorLocation::new("PID", 1, 0)));
    };
    if header.trigger == "A40" && message.segment("MRG").is_none() {
        return Err(Nack::new(ErrorCode::SegmentSequence, ErrorLocation::new("MRG", 1, 0)));
    }
    Ok(Reading { message, header, faults: Vec::new() }.event(&pid))
}

/// Reads a journalled entry again, for the record view; none if it is not HL7 v2 or no longer understood.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    let any = Dialect { kind: "", message_types: &["ADT", "ORU", "SIU"], processing: None };
    translate(&Message::parse(entry.raw.as_ref()?).ok()?, &any).ok()
}

pub(super) use events::appointment_status;
pub(super) use schedule::minutes;

/// EVN-6, the moment it happened; else EVN-2, the moment it was recorded; else MSH-7.
pub(super) fn occurred(message: &Message<'_>, header: &Header) -> Option<Timestamp> {
    let event = message.segment("EVN");
    let at = |field| event.and_then(|event| parse_moment(event.field(field).component(1).bytes()));
    at(6).or_else(|| at(2)).or(header.sent)
}

/// A message while it is read.
struct Reading<'m, 'a> {
    message: &'m Message<'a>,
    header: Header,
    faults: Vec<&'static str>,
}

impl<'a> Reading<'_, 'a> {
    fn event(mut self, pid: &Segment<'a>) -> Event {
        self.faults = self.header.faults.iter().map(|fault| fault.code()).collect();
        let structure = self.header.structure.as_str();
        let expected = events::structures(&self.header.kind, &self.header.trigger).unwrap_or_default();
        if !structure.is_empty() && !expected.contains(&structure) {
            self.faults.push("msh-9-structure-unexpected");
        }
        let identifiers = self.identifiers(&pid.field(3));
        let nhs_number = self.nhs_number(pid, &identifiers);
        if identifiers.is_empty() {
            self.faults.push("pid-3-no-identifier");
        }
        let merged = if self.header.trigger == "A40" { self.merged() } else { Vec::new() };
        let mut items = vec![self.demographics(pid)];
        match self.header.kind.as_str() {
            "ADT" => {
                items.extend(self.encounter());
                items.extend(self.clinical());
            }
            "SIU" => items.extend(self.appointment()),
            _ => items.extend(self.results()),
        }
        items.retain(|item| !item.fields.is_empty());
        Event {
            class: self.class(),
            kind: format!("{}^{}", self.header.kind, self.header.trigger),
            source_id: self.header.control_id.clone(),
            sender: format!("{}|{}", self.header.sending_application, self.header.sending_facility),
            occurred: occurred(self.message, &self.header),
            nhs_number,
            identifiers,
            merged,
            items,
            withdraws: Vec::new(),
            faults: self.faults,
        }
    }

    fn class(&self) -> Class {
        let critical = |segment: &Segment<'_>| {
            segment.name() == b"OBX"
                && segment.field(8).repetitions().any(|flag| CRITICAL.contains(&flag.component(1).bytes()))
        };
        match self.header.kind.as_str() {
            "SIU" => Class::Booking,
            "ORU" if self.message.segments().any(|segment| critical(&segment)) => Class::Urgent,
            _ => Class::Clinical,
        }
    }

    fn text(&self, bytes: &[u8]) -> String {
        self.message.text(bytes).trim().to_owned()
    }

    fn fault(&mut self, code: &'static str) {
        if !self.faults.contains(&code) {
            self.faults.push(code);
        }
    }

    fn item(&self, kind: ItemKind, key: String, fields: &[(&'static str, Value<'a>)]) -> ItemChange {
        let fields = fields.iter().filter_map(|(name, value)| self.change(name, *value)).collect();
        ItemChange::new(kind, key, fields)
    }

    fn change(&self, name: &'static str, value: Value<'a>) -> Option<(&'static str, FieldChange)> {
        match value {
            Value::Absent => None,
            Value::Delete => Some((name, FieldChange::Delete)),
            Value::Set(bytes) => set(name, self.text(bytes)),
        }
    }

    /// A moment as ISO 8601. One that is none stays as it came if there is anything of a date in it.
    fn moment(&mut self, name: &'static str, value: Value<'a>) -> Option<(&'static str, FieldChange)> {
        let Value::Set(bytes) = value else { return self.change(name, value) };
        if let Some(moment) = iso_8601(bytes) {
            return set(name, moment);
        }
        self.fault("moment-not-understood");
        bytes.iter().any(u8::is_ascii_digit).then(|| self.change(name, value)).flatten()
    }
}

/// A field that is set, unless there is nothing to set it to.
fn set(name: &'static str, value: String) -> Option<(&'static str, FieldChange)> {
    (!value.is_empty()).then_some((name, FieldChange::Set(value)))
}

#[cfg(test)]
mod tests;
