//! From HL7 v2 to the hub's own terms: ADT, SIU and ORU^R01.

use crate::{
    codec::hl7v2::{ErrorCode, ErrorLocation, Field, Header, Message, Nack, Segment, Value, parse_moment},
    domain::{
        entry::Entry,
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
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
}

const ADT: [&str; 12] = ["A01", "A02", "A03", "A04", "A05", "A08", "A11", "A12", "A13", "A28", "A31", "A40"];
const SIU: [&str; 7] = ["S12", "S13", "S14", "S15", "S16", "S17", "S26"];
/// An identifier longer than this is none; HL7 allows 20 to 250.
const IDENTIFIER_BYTES_MAX: usize = 250;
/// No message names more of a patient's identifiers, nor merges more patients at once.
const IDENTIFIERS_MAX: usize = 64;
/// Panic values and very abnormal ones (HL7 table 0078): someone must act now.
const CRITICAL: [&[u8]; 3] = [b"AA", b"HH", b"LL"];

/// Reads what a message says.
///
/// # Errors
/// What the sender is to be told when this message is not for us.
pub fn translate(message: &Message<'_>, dialect: &Dialect) -> Result<Event, Nack> {
    let header = Header::read(message)?;
    let refuse = |code| Err(Nack::new(code, ErrorLocation::new("MSH", 1, 9)));
    if !dialect.message_types.contains(&header.kind.as_str()) {
        return refuse(ErrorCode::UnsupportedMessageType);
    }
    let supported = match header.kind.as_str() {
        "ADT" => ADT.contains(&header.trigger.as_str()),
        "SIU" => SIU.contains(&header.trigger.as_str()),
        "ORU" => header.trigger == "R01",
        _ => return refuse(ErrorCode::UnsupportedMessageType),
    };
    if !supported {
        return refuse(ErrorCode::UnsupportedEventCode);
    }
    let Some(pid) = message.segment("PID") else {
        return Err(Nack::new(ErrorCode::SegmentSequence, ErrorLocation::new("PID", 1, 0)));
    };
    if header.trigger == "A40" && message.segment("MRG").is_none() {
        return Err(Nack::new(ErrorCode::SegmentSequence, ErrorLocation::new("MRG", 1, 0)));
    }
    Ok(Reading { message, header }.event(&pid))
}

/// Reads a journalled entry again, for the record view; none if it is not HL7 v2 or no longer understood.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    let any = Dialect { kind: "", message_types: &["ADT", "ORU", "SIU"] };
    translate(&Message::parse(entry.raw.as_ref()?).ok()?, &any).ok()
}

struct Reading<'m, 'a> {
    message: &'m Message<'a>,
    header: Header,
}

impl<'a> Reading<'_, 'a> {
    fn event(self, pid: &Segment<'a>) -> Event {
        let mut faults: Vec<&'static str> = self.header.faults.iter().map(|fault| fault.code()).collect();
        let identifiers = self.identifiers(&pid.field(3));
        let nhs_number = self.nhs_number(pid, &identifiers);
        if identifiers.is_empty() {
            faults.push("pid-3-no-identifier");
        }
        let merged = if self.header.trigger == "A40" { self.merged(&mut faults) } else { Vec::new() };
        let mut items = vec![self.demographics(pid)];
        match self.header.kind.as_str() {
            "ADT" => items.extend(self.encounter(&mut faults)),
            "SIU" => items.extend(self.appointment(&mut faults)),
            _ => items.extend(self.results(&mut faults)),
        }
        items.retain(|item| !item.fields.is_empty());
        Event {
            class: self.class(),
            kind: format!("{}^{}", self.header.kind, self.header.trigger),
            source_id: self.header.control_id.clone(),
            sender: format!("{}|{}", self.header.sending_application, self.header.sending_facility),
            occurred: self.occurred(),
            nhs_number,
            identifiers,
            merged,
            items,
            withdraws: Vec::new(),
            faults,
        }
    }

    /// EVN-6, the moment it happened; else EVN-2, the moment it was recorded; else MSH-7.
    fn occurred(&self) -> Option<Timestamp> {
        let event = self.message.segment("EVN");
        let at = |field| event.and_then(|event| parse_moment(event.field(field).component(1).bytes()));
        at(6).or_else(|| at(2)).or(self.header.sent)
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

    fn identifiers(&self, field: &Field<'a>) -> Vec<Identifier> {
        let identifier = |repetition: Field<'a>| {
            let value = self.text(repetition.component(1).bytes());
            let usable = !value.is_empty() && value != "\"\"" && value.len() <= IDENTIFIER_BYTES_MAX;
            usable.then(|| Identifier {
                value,
                authority: self.text(repetition.component(4).subcomponent(1).bytes()),
                kind: self.text(repetition.component(5).bytes()),
            })
        };
        field.repetitions().filter_map(identifier).take(IDENTIFIERS_MAX).collect()
    }

    /// The NHS number is the identifier that says so, by its authority or its type; some senders put it into
    /// PID-2 instead.
    fn nhs_number(
        &self,
        pid: &Segment<'a>,
        identifiers: &[Identifier],
    ) -> Result<NhsNumber, InvalidNhsNumber> {
        let says_so = |one: &&Identifier| {
            one.authority == "NHS" || matches!(one.kind.as_str(), "NH" | "NHS" | "NHSNMBR")
        };
        let listed = identifiers.iter().find(says_so);
        match listed {
            Some(one) => NhsNumber::parse(&one.value),
            None => NhsNumber::parse(&self.text(pid.field(2).component(1).bytes()))
                .map_err(|_| InvalidNhsNumber::Absent),
        }
    }

    fn merged(&self, faults: &mut Vec<&'static str>) -> Vec<Identifier> {
        let mut merges = self.message.segments().filter(|segment| segment.name() == b"MRG");
        let first = merges.next().map_or_else(Vec::new, |merge| self.identifiers(&merge.field(1)));
        if merges.next().is_some() {
            faults.push("mrg-several");
        }
        first
    }

    fn demographics(&self, pid: &Segment<'a>) -> ItemChange {
        let (name, address) = (pid.field(5), pid.field(11));
        let whole = |number: usize| pid.field(number).repetition(1).value();
        let part = |number: usize| pid.field(number).component(1).value();
        let fields = [
            ("family_name", name.component(1).subcomponent(1).value()),
            ("given_name", name.component(2).value()),
            ("middle_names", name.component(3).value()),
            ("title", name.component(5).value()),
            ("birth_date", part(7)),
            ("gender", part(8)),
            ("address_line_1", address.component(1).subcomponent(1).value()),
            ("address_line_2", address.component(2).value()),
            ("city", address.component(3).value()),
            ("county", address.component(4).value()),
            ("postcode", address.component(5).value()),
            ("telephone", whole(13)),
            ("language", part(15)),
            ("ethnic_category", part(22)),
            ("death_date", part(29)),
            ("death_indicator", part(30)),
            ("nhs_number_status", part(32)),
        ];
        let mut item = self.item(ItemKind::Demographics, String::new(), &fields);
        let practice = self.message.segment("PD1").map(|segment| segment.field(3).component(3).value());
        item.fields.extend(practice.and_then(|value| self.change("general_practice", value)));
        item
    }

    fn encounter(&self, faults: &mut Vec<&'static str>) -> Option<ItemChange> {
        let visit = self.message.segment("PV1")?;
        let key = self.text(visit.field(19).component(1).bytes());
        if key.is_empty() {
            // Class N, not applicable (table 0004): the structure wants the segment, and there is no stay.
            if visit.field(2).component(1).bytes() != b"N" {
                faults.push("pv1-19-absent");
            }
            return None;
        }
        let fields = [
            ("patient_class", visit.field(2).value()),
            ("location", visit.field(3).component(1).value()),
            ("clinician", visit.field(7).component(1).value()),
            ("clinician_name", visit.field(7).component(2).value()),
            ("admitted", visit.field(44).component(1).value()),
            ("discharged", visit.field(45).component(1).value()),
        ];
        let mut item = self.item(ItemKind::Encounter, key, &fields);
        let status = match self.header.trigger.as_str() {
            "A01" => "admitted",
            "A02" => "transferred",
            "A03" => "discharged",
            "A04" => "registered",
            "A05" => "pre-admitted",
            "A11" => "admission cancelled",
            "A12" => "transfer cancelled",
            "A13" => "discharge cancelled",
            _ => return Some(item),
        };
        item.fields.push(("status", FieldChange::Set(status.to_owned())));
        Some(item)
    }

    fn appointment(&self, faults: &mut Vec<&'static str>) -> Option<ItemChange> {
        let schedule = self.message.segment("SCH")?;
        let (placer, filler) = (schedule.field(1).component(1), schedule.field(2).component(1));
        let of_filler = self.text(filler.bytes());
        let key = if of_filler.is_empty() { self.text(placer.bytes()) } else { of_filler };
        if key.is_empty() {
            faults.push("sch-1-and-2-absent");
            return None;
        }
        let service = self.message.segment("AIS");
        let location = self.message.segment("AIL");
        let clinician = self.message.segment("AIP");
        let of = |segment: Option<Segment<'a>>, field: usize, component: usize| {
            segment.map_or(Value::Absent, |segment| segment.field(field).component(component).value())
        };
        let start = schedule.field(11).component(4).value();
        let start = if start == Value::Absent { of(service, 4, 1) } else { start };
        let fields = [
            ("placer_id", placer.value()),
            ("filler_id", filler.value()),
            ("start", start),
            ("duration", schedule.field(9).value()),
            ("duration_units", schedule.field(10).component(1).value()),
            ("reason", schedule.field(7).component(2).value()),
            ("type", schedule.field(8).component(1).value()),
            ("service", of(service, 3, 2)),
            ("location", of(location, 3, 1)),
            ("clinician", of(clinician, 3, 1)),
            ("status_at_source", schedule.field(25).component(1).value()),
        ];
        let mut item = self.item(ItemKind::Appointment, key, &fields);
        let status = match self.header.trigger.as_str() {
            "S15" => "cancelled",
            "S16" => "discontinued",
            "S17" => "deleted",
            "S26" => "did not attend",
            _ => "booked",
        };
        item.fields.push(("status", FieldChange::Set(status.to_owned())));
        Some(item)
    }

    fn results(&self, faults: &mut Vec<&'static str>) -> Vec<ItemChange> {
        let mut report: Option<Segment<'a>> = None;
        let mut order = String::new();
        let mut items = Vec::new();
        for segment in self.message.segments() {
            match segment.name() {
                b"OBR" => {
                    let filler = self.text(segment.field(3).component(1).bytes());
                    let placer = self.text(segment.field(2).component(1).bytes());
                    order = if filler.is_empty() { placer } else { filler };
                    if order.is_empty() {
                        // Once: the faults of a message are kept with it, within a limit.
                        if !faults.contains(&"obr-2-and-3-absent") {
                            faults.push("obr-2-and-3-absent");
                        }
                        order = format!("{}:{}", self.header.control_id, items.len());
                    }
                    report = Some(segment);
                }
                b"OBX" => items.extend(report.map(|report| self.result(&order, &report, &segment))),
                _ => {}
            }
        }
        items
    }

    fn result(&self, order: &str, report: &Segment<'a>, observation: &Segment<'a>) -> ItemChange {
        let code = observation.field(3);
        let key = format!(
            "{order}|{}|{}|{}",
            self.text(report.field(4).component(1).bytes()),
            self.text(code.component(1).bytes()),
            self.text(observation.field(4).bytes()),
        );
        let own = observation.field(14).component(1).value();
        let observed = if own == Value::Absent { report.field(7).component(1).value() } else { own };
        let fields = [
            ("report_code", report.field(4).component(1).value()),
            ("report", report.field(4).component(2).value()),
            ("code", code.component(1).value()),
            ("name", code.component(2).value()),
            ("value_type", observation.field(2).value()),
            ("value", observation.field(5).value()),
            ("units", observation.field(6).component(1).value()),
            ("reference_range", observation.field(7).value()),
            ("abnormal_flags", observation.field(8).value()),
            ("status", observation.field(11).value()),
            ("observed", observed),
        ];
        self.item(ItemKind::Result, key, &fields)
    }

    fn item(&self, kind: ItemKind, key: String, fields: &[(&'static str, Value<'a>)]) -> ItemChange {
        let fields = fields.iter().filter_map(|(name, value)| self.change(name, *value)).collect();
        ItemChange::new(kind, key, fields)
    }

    fn change(&self, name: &'static str, value: Value<'a>) -> Option<(&'static str, FieldChange)> {
        match value {
            Value::Absent => None,
            Value::Delete => Some((name, FieldChange::Delete)),
            Value::Set(bytes) => {
                let text = self.text(bytes);
                (!text.is_empty()).then_some((name, FieldChange::Set(text)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::{
        rio, secondary_care,
        simulator::traffic::{Traffic, Voice},
    };

    fn event(text: &str) -> Result<Event, Nack> {
        translate(&Message::parse(text.as_bytes()).unwrap(), &secondary_care::DIALECT)
    }

    fn message(kind: &str, body: &str) -> String {
        format!(
            "MSH|^~\\&|PAS|RQ6|PG|5LC01|20260105100000||{kind}|M1|P|2.4\rEVN|A01|20260105095900||||20260105090000\r{body}"
        )
    }

    const PID: &str =
        "PID|1||H1^^^RQ6^MR~999 000 0018^^^NHS^NH||SMITH^Ann^^^Ms||19700101|F|||1 High St^^London^^E1 1AA";

    #[test]
    fn an_admission_says_who_where_and_when() {
        let event =
            event(&message("ADT^A01^ADT_A01", &format!("{PID}\rPV1|1|I|W1^2^3||||C1^Jones||||||||||||V9")))
                .unwrap();
        assert_eq!(
            (event.kind.as_str(), event.class, event.sender.as_str()),
            ("ADT^A01", Class::Clinical, "PAS|RQ6")
        );
        assert_eq!(event.nhs_number.unwrap().as_str(), "9990000018");
        assert_eq!(event.identifiers.len(), 2);
        assert_eq!(event.occurred.unwrap().to_string(), "2026-01-05T09:00:00.000Z", "EVN-6 before EVN-2");
        let encounter = event.items.iter().find(|item| item.kind == ItemKind::Encounter).unwrap();
        assert_eq!(encounter.key, "V9");
        assert!(encounter.fields.contains(&("status", FieldChange::Set("admitted".to_owned()))));
        assert!(event.faults.is_empty(), "{:?}", event.faults);
    }

    #[test]
    fn two_quotes_delete_and_nothing_leaves_alone() {
        let event = event(&message("ADT^A31", "PID|1||H1^^^RQ6^MR||SMITH^\"\"||\"\"")).unwrap();
        let fields = &event.items[0].fields;
        assert!(fields.contains(&("given_name", FieldChange::Delete)));
        assert!(fields.contains(&("birth_date", FieldChange::Delete)));
        assert!(!fields.iter().any(|(name, _)| *name == "gender"));
    }

    #[test]
    fn numbers_that_cannot_be_used_are_said_and_lose_nothing() {
        for (pid, expected) in [
            ("PID|1||H1^^^RQ6^MR", InvalidNhsNumber::Absent),
            ("PID|1||9990000019^^^NHS^NH", InvalidNhsNumber::CheckDigit),
            ("PID|1||0000000000^^^NHS^NH", InvalidNhsNumber::Filler),
            ("PID|1||99900^^^NHS", InvalidNhsNumber::NotTenDigits),
        ] {
            assert_eq!(event(&message("ADT^A28", pid)).unwrap().nhs_number, Err(expected), "{pid}");
        }
        for pid in ["PID|1|9990000018|H1", "PID|1||9990000018^^^^NH", "PID|1||9990000018^06^^NHS^NI"] {
            assert!(event(&message("ADT^A28", pid)).unwrap().nhs_number.is_ok(), "{pid}");
        }
    }

    #[test]
    fn a_panic_value_is_urgent_and_corrections_meet_their_result() {
        let report = |flag: &str, status: &str| {
            let text = message(
                "ORU^R01",
                &format!(
                    "{PID}\rOBR|1|P1|F1|UE^Urea\rOBX|1|NM|K^Potassium^L||7.1|mmol/L|3.5-5.3|{flag}|||{status}"
                ),
            );
            event(&text).unwrap()
        };
        let (first, corrected) = (report("HH", "F"), report("H", "C"));
        assert_eq!((first.class, corrected.class), (Class::Urgent, Class::Clinical));
        let key = |event: &Event| {
            event.items.iter().find(|item| item.kind == ItemKind::Result).unwrap().key.clone()
        };
        assert_eq!(key(&first), key(&corrected));
    }

    #[test]
    fn a_merge_names_whom_it_ends() {
        let event = event(&message("ADT^A40^ADT_A39", &format!("{PID}\rMRG|H2^^^RQ6^MR"))).unwrap();
        assert_eq!(event.merged[0].value, "H2");
    }

    #[test]
    fn what_is_not_for_us_is_refused_with_the_tables_code() {
        let code = |text: &str| event(text).unwrap_err().code;
        assert_eq!(code(&message("MDM^T02", PID)), ErrorCode::UnsupportedMessageType);
        assert_eq!(code(&message("ADT^A99", PID)), ErrorCode::UnsupportedEventCode);
        assert_eq!(code(&message("ADT^A01", "ZZZ|1")), ErrorCode::SegmentSequence);
        assert_eq!(code(&message("ADT^A40", PID)), ErrorCode::SegmentSequence);
        let result = message("ORU^R01", PID);
        let from_rio = translate(&Message::parse(result.as_bytes()).unwrap(), &rio::DIALECT);
        assert_eq!(from_rio.unwrap_err().code, ErrorCode::UnsupportedMessageType);
    }

    #[test]
    fn everything_the_simulators_say_is_understood() {
        for (voice, dialect) in [(Voice::Rio, rio::DIALECT), (Voice::SecondaryCare, secondary_care::DIALECT)]
        {
            let mut traffic = Traffic::new(voice, "T", 100, 9);
            for second in 0..400 {
                let sent = traffic.next(Timestamp(1_800_000_000_000 + second * 1000));
                let event = translate(&Message::parse(&sent.bytes).unwrap(), &dialect).unwrap();
                assert_eq!(event.source_id, sent.control_id);
                assert!(event.nhs_number.is_ok() && event.faults.is_empty(), "{:?}", event.faults);
                assert!(!event.items.is_empty());
            }
        }
    }
}
