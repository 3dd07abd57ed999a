//! From PMIP reports to the hub's own terms.

use crate::{
    codec::{
        edifact::{
            Header, Interchange, Message, Segments,
            pmip::{self, Code, Investigation, Kind, Party, Range, Report, Unreadable, Value},
        },
        hl7v2::parse_moment,
    },
    domain::{
        entry::Entry,
        ids::Class,
        nhs_number::NhsNumber,
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
        time::Timestamp,
    },
};

/// A number longer than this is no identifier.
const IDENTIFIER_BYTES_MAX: usize = 250;

/// Reads what one message of an interchange says.
///
/// Its identity is the interchange's (sender, recipient, control reference, time of preparation) with the message's
/// reference: a resend has the same, and a sender that begins to count anew does not collide with its past.
///
/// # Errors
/// Why it is rejected.
pub fn translate(header: &Header, message: &Message<'_>) -> Result<Event, Unreadable> {
    let (kind, report) = pmip::read(message)?;
    let sender = format!("{}|{}", header.sender.id, header.recipient.id);
    let (date, time) = &header.prepared;
    let occurred = moment(&report.issued).or_else(|| moment(&report.prepared));
    let mut faults = report.faults.clone();
    if header.test {
        faults.push("unb-test");
    }
    let reading = Reading { kind, report: &report, provider: &header.sender.id };
    Ok(Event {
        kind: message.kind.to_string(),
        class: Class::Clinical,
        source_id: format!("{}/{}@{date}{time}", header.control_reference, message.reference),
        sender,
        occurred,
        nhs_number: NhsNumber::parse(&report.patient.nhs_number),
        identifiers: reading.identifiers(),
        merged: Vec::new(),
        items: reading.items(),
        withdraws: Vec::new(),
        faults,
    })
}

/// Reads a journalled entry again: one message between its interchange's head and tail.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    let segments = Segments::of(entry.raw.as_ref()?).ok()?;
    let (header, message) = Interchange::single(&segments).ok()?;
    translate(&header, &message).ok()
}

struct Reading<'a> {
    kind: Kind,
    report: &'a Report,
    /// Who sent the interchange: two laboratories may number their reports alike.
    provider: &'a str,
}

impl Reading<'_> {
    fn identifiers(&self) -> Vec<Identifier> {
        let patient = &self.report.patient;
        let usable = |value: &str| !value.is_empty() && value.len() <= IDENTIFIER_BYTES_MAX;
        let of_nhs = usable(&patient.nhs_number).then(|| Identifier {
            value: patient.nhs_number.clone(),
            authority: "NHS".to_owned(),
            kind: "NH".to_owned(),
        });
        let local = patient.numbers.iter().filter(|(_, value)| usable(value)).map(|(what, value)| {
            Identifier { value: value.clone(), authority: self.provider.to_owned(), kind: what.clone() }
        });
        of_nhs.into_iter().chain(local).collect()
    }

    fn items(&self) -> Vec<ItemChange> {
        let mut items = vec![self.demographics()];
        let mut keys: Vec<String> = Vec::new();
        for investigation in &self.report.investigations {
            // A heading that says nothing itself is on every test below it.
            let says_something = investigation.value != Value::None
                || !investigation.flag.is_empty()
                || !investigation.text.is_empty()
                || !investigation.comments.is_empty();
            if investigation.sequence.is_empty() || says_something {
                items.push(self.result(investigation, &mut keys));
            }
        }
        items.retain(|item| !item.fields.is_empty());
        items
    }

    fn demographics(&self) -> ItemChange {
        let patient = &self.report.patient;
        let practice = self.report.party(&["MR", "PO"], "ORG").filter(|party| party.who.list == "901");
        let line = |number: usize| patient.address.get(number).cloned().unwrap_or_default();
        let fields = [
            ("family_name", patient.family_name.clone()),
            ("given_name", patient.given_name.clone()),
            ("middle_names", patient.middle_names.clone()),
            ("title", patient.title.clone()),
            ("birth_date", patient.birth_date.clone()),
            ("gender", patient.gender.clone()),
            ("address_line_1", line(0)),
            ("address_line_2", line(1)),
            ("city", patient.address.get(2..).unwrap_or_default().join(", ")),
            ("postcode", patient.postcode.clone()),
            ("general_practice", practice.map(|party| party.who.value.clone()).unwrap_or_default()),
        ];
        ItemChange::new(ItemKind::Demographics, String::new(), set(fields))
    }

    fn result(&self, one: &Investigation, keys: &mut Vec<String>) -> ItemChange {
        let report = self.report;
        let what = if one.code.value.is_empty() { &one.code.name } else { &one.code.value };
        let base = format!("{}|{}|{what}", self.provider, report.id);
        let repeats = keys.iter().filter(|key| **key == base).count();
        let key = if repeats == 0 { base.clone() } else { format!("{base}|{}", repeats + 1) };
        keys.push(base);
        let mut item = ItemChange::new(ItemKind::Result, key, set(self.result_fields(one)));
        item.part_of = format!("{}|{}", self.provider, report.id);
        // STS EN: the laboratory says that it was entered in error.
        item.withdrawn = self.status_at_source(one) == "EN";
        item
    }

    fn result_fields(&self, one: &Investigation) -> Vec<(&'static str, String)> {
        let report = self.report;
        let group = report.group(one).map(|group| group.code.clone()).unwrap_or_default();
        let specimen = report.specimen(one).cloned().unwrap_or_default();
        let collected = if specimen.collected.is_empty() { &one.performed } else { &specimen.collected };
        let (value_type, value, comparator, units) = value(one);
        let provider = |sort| report.party(&["SLA", "SRA"], sort).map(name).unwrap_or_default();
        let author = report.party(&["RRP"], "PRO").map(name);
        let at_source = self.status_at_source(one).to_owned();
        vec![
            ("report_code", group.value.clone()),
            ("report", group.name.clone()),
            ("code", one.code.value.clone()),
            ("code_system", system(&one.code).to_owned()),
            ("name", one.code.name.clone()),
            ("codings", codings(one)),
            ("value_type", value_type.to_owned()),
            ("value", value),
            ("comparator", comparator),
            ("units", units),
            ("reference_range", one.ranges.iter().map(range).collect::<Vec<_>>().join("; ")),
            ("abnormal_flags", flag(&one.flag).to_owned()),
            ("status", status(&at_source).to_owned()),
            ("status_at_source", at_source),
            ("observed", collected.clone()),
            ("received", specimen.received.clone()),
            (
                "specimen",
                if specimen.kind.name.is_empty() { specimen.kind.value } else { specimen.kind.name },
            ),
            ("performer", provider("DPT")),
            ("organisation", provider("ORG")),
            ("author", author.unwrap_or_else(|| provider("PRO"))),
            ("recorded", report.issued.clone()),
            ("note", note(one, &specimen.comments)),
        ]
    }

    fn status_at_source<'s>(&'s self, one: &'s Investigation) -> &'s str {
        // In radiology STS says who has verified the report, not how final it is.
        match (self.kind, one.status.is_empty()) {
            (_, false) => &one.status,
            (Kind::Radiology, true) => "",
            (_, true) => &self.report.status,
        }
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    parse_moment(text.as_bytes())
}

fn set(fields: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(&'static str, FieldChange)> {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name, FieldChange::Set(value))).collect()
}

fn name(party: &Party) -> String {
    if party.who.name.is_empty() { party.who.value.clone() } else { party.who.name.clone() }
}

fn system(code: &Code) -> &'static str {
    match (code.value.as_str(), code.list.as_str()) {
        ("", _) => "",
        (_, "911") => "read-2",
        (_, "921") => "snomed-ct",
        _ => "local",
    }
}

fn codings(one: &Investigation) -> String {
    let line = |code: &Code| format!("{}|{}|{}", system(code), code.value, code.name);
    let test = (!one.code.value.is_empty()).then(|| line(&one.code));
    let result = match &one.value {
        Value::Coded(code) => Some(line(code)),
        _ => None,
    };
    test.into_iter().chain(result).collect::<Vec<_>>().join("\n")
}

/// HL7 value type, value, comparator and unit.
fn value(one: &Investigation) -> (&'static str, String, String, String) {
    let plain = |kind, value| (kind, value, String::new(), String::new());
    match &one.value {
        Value::Numeric(value, comparator, unit) => {
            // Some laboratories put words where a number belongs.
            let kind = if value.parse::<f64>().is_ok() { "NM" } else { "ST" };
            (kind, value.clone(), comparator.clone(), unit.clone())
        }
        Value::Coded(code) => {
            plain("CE", if code.name.is_empty() { code.value.clone() } else { code.name.clone() })
        }
        Value::None if one.text.is_empty() => plain("", String::new()),
        Value::None => plain("TX", one.text.join("\n")),
    }
}

/// HL7 table 0078. What it has no letter for is in words in the note.
fn flag(flag: &str) -> &'static str {
    match flag {
        "HI" => "H",
        "LO" => "L",
        "OR" | "PA" => "A",
        _ => "",
    }
}

/// HL7 table 0085; empty where the source does not say.
fn status(at_source: &str) -> &'static str {
    match at_source {
        "FI" => "F",
        "PR" => "P",
        "CO" | "AM" => "C",
        "CA" => "X",
        "RE" => "I",
        "EN" => "W",
        _ => "",
    }
}

fn range(range: &Range) -> String {
    let mut text = match (range.low.as_str(), range.high.as_str()) {
        ("", "") => String::new(),
        ("", high) => format!("<={high}"),
        (low, "") => format!(">={low}"),
        (low, high) => format!("{low}-{high}"),
    };
    for more in std::iter::once(&range.unit).chain(&range.comments).filter(|more| !more.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&more.replace('\n', " "));
    }
    text
}

fn note(one: &Investigation, of_specimen: &[String]) -> String {
    let in_words = match one.flag.as_str() {
        "OR" => Some("Outside the reference range"),
        "PA" => Some("Potentially abnormal"),
        _ => None,
    };
    // Words beside a number or a code are no less part of the result.
    let beside = if one.value == Value::None { [].iter() } else { one.text.iter() };
    let comments = beside.chain(&one.comments).chain(of_specimen).map(String::as_str);
    in_words.into_iter().chain(comments).collect::<Vec<_>>().join("\n")
}
