//! From LIS2-A2 to the hub's own terms: results of analysers, each patient's as an event of its own.

use crate::{
    codec::lis2::record::{Message, NotAMessage, Record},
    domain::{
        entry::Entry,
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
        time::Timestamp,
    },
};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// The kind of an entry that holds results of a patient.
pub const RESULTS: &str = "LIS2^R";
/// Of one that holds results of control material.
pub const CONTROLS: &str = "LIS2^QC";
/// Of one that only asks for orders.
pub const QUERY: &str = "LIS2^Q";

/// Identifiers of a patient that are kept, and how long each may be.
pub(super) const IDENTIFIERS_MAX: usize = 20;
pub(super) const IDENTIFIER_BYTES_MAX: usize = 200;
/// Comments on a patient or an order go with each of its results: no more of them than this.
const COMMENT_ABOVE_BYTES_MAX: usize = 2000;
/// Flags that make a report urgent: beyond panic limits (LIS02-A2, 10.1.8; HL7 table 0078).
const CRITICAL: [&str; 5] = ["LL", "HH", "<", ">", "AA"];

/// Reads one patient's message: what [`Message::by_patient`] made.
///
/// # Errors
/// The bytes are no message.
pub fn translate(raw: &[u8]) -> Result<Event, NotAMessage> {
    let message = Message::parse(raw)?;
    Ok(Reading { message: &message, raw }.event())
}

/// What a journalled entry says.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    translate(entry.raw.as_ref()?).ok()
}

/// Whether a message asks for orders.
pub fn is_query(message: &Message<'_>) -> bool {
    message.records().any(|record| record.kind() == b'Q')
}

/// The answer to a query: a polyclinic's hub holds no orders (LIS02-A2, section 15.1.3, termination code `I`).
pub fn no_information(own_name: &str) -> String {
    format!("H|\\^&|||{own_name}|||||||P|LIS2-A2\rL|1|I\r")
}

struct Reading<'m, 'a> {
    message: &'m Message<'a>,
    raw: &'a [u8],
}

/// What stands above a result.
#[derive(Default)]
struct Above<'a> {
    order: Option<Record<'a>>,
    /// Comments on the patient, and on the order: each result under them is to be read with them.
    of_patient: String,
    of_order: String,
}

/// What a comment is on: the record before it.
#[derive(Clone, Copy)]
enum On {
    Nothing,
    Patient,
    Order,
    Result(usize),
}

impl<'a> Reading<'_, 'a> {
    fn event(&self) -> Event {
        let header = self.message.header();
        let patient = self.message.records().find(|record| record.kind() == b'P');
        let mut faults = Vec::new();
        if !self.message.records().any(|record| record.kind() == b'L') {
            faults.push("lis2-no-terminator");
        }
        let controls = self.is_of_controls();
        let identifiers = patient.filter(|_| !controls).map(|patient| identifiers(&patient));
        let identifiers = identifiers.unwrap_or_default();
        let nhs_number = nhs_number(&identifiers, &mut faults);
        let mut items = Vec::new();
        if !controls {
            items.extend(patient.and_then(|patient| demographics(&patient)));
            self.results(&mut items, &mut faults);
        }
        let kind = match (controls, items.is_empty()) {
            (true, _) => CONTROLS,
            (false, true) if is_query(self.message) => QUERY,
            (false, _) => RESULTS,
        };
        Event {
            kind: kind.to_owned(),
            class: self.class(controls),
            source_id: self.source_id(),
            sender: header.field(5).text().trim().to_owned(),
            occurred: local(&header.field(14).text()).and_then(|(moment, _)| moment),
            nhs_number,
            identifiers,
            merged: Vec::new(),
            items,
            withdraws: Vec::new(),
            faults,
        }
    }

    /// Results of control material say nothing of any patient (H-12 `Q`, or every order's O-12 or O-26 `Q`), nor do
    /// those of training and debugging (H-12 `T` and `D`).
    fn is_of_controls(&self) -> bool {
        let processing = self.message.header().field(12).text().trim().to_ascii_uppercase();
        let mut orders = self.message.records().filter(|record| record.kind() == b'O').peekable();
        let any = orders.peek().is_some();
        matches!(processing.as_str(), "Q" | "T" | "D") || (any && orders.all(|order| is_control(&order)))
    }

    fn class(&self, controls: bool) -> Class {
        let critical = |record: Record<'_>| {
            record.kind() == b'R'
                && record.field(7).repetitions().any(|flag| CRITICAL.contains(&flag.text().trim()))
        };
        match controls {
            true => Class::Telemetry,
            false if self.message.records().any(critical) => Class::Urgent,
            false => Class::Clinical,
        }
    }

    /// H-3 where the instrument numbers its messages, with a digest of the content: some count from 1 each morning,
    /// and an instrument that sends the same again, after a lost answer, means the same.
    fn source_id(&self) -> String {
        let digest = digest(self.raw);
        let number = self.message.header().field(3).text().trim().to_owned();
        if number.is_empty() || 60 < number.len() { digest } else { format!("{number}-{digest}") }
    }

    fn results(&self, items: &mut Vec<ItemChange>, faults: &mut Vec<&'static str>) {
        let mut above = Above::default();
        let mut comment_on = On::Nothing;
        for record in self.message.records() {
            match record.kind() {
                b'P' => {
                    above = Above::default();
                    comment_on = On::Patient;
                }
                b'O' => {
                    above.order = Some(record);
                    above.of_order.clear();
                    comment_on = On::Order;
                }
                b'R' if above.order.as_ref().is_some_and(is_control) => {
                    // In the same message as a patient's, and none of them.
                    faults.push("lis2-controls-among-results");
                    comment_on = On::Nothing;
                }
                b'R' => {
                    if above.order.is_none() {
                        faults.push("lis2-result-without-order");
                    }
                    comment_on = On::Result(items.len());
                    items.push(self.result(&above, &record));
                }
                b'C' => comment(&record.field(4).text(), comment_on, &mut above, items),
                b'H' | b'Q' | b'S' | b'M' | b'L' => comment_on = On::Nothing,
                _ => faults.push("lis2-unknown-record"),
            }
        }
    }

    fn result(&self, above: &Above<'a>, record: &Record<'a>) -> ItemChange {
        let order = above.order;
        let of_order = |field: usize, component: usize| {
            order.map(|order| order.field(field).component(component).trim().to_owned()).unwrap_or_default()
        };
        // A universal test id is `^^^local code^name` (LIS02-A2, section 5.6.1).
        let test = record.field(3);
        let code = [4, 1, 2].map(|place| test.component(place).trim().to_owned());
        let code = code.into_iter().find(|code| !code.is_empty()).unwrap_or_default();
        let name = [5, 2].map(|place| test.component(place).trim().to_owned());
        let name =
            name.into_iter().find(|name| !name.is_empty() && *name != code).unwrap_or_else(|| code.clone());
        let specimen =
            [of_order(3, 1), of_order(4, 1)].into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        let (comparator, value) = comparator(record.field(4).text().trim());
        let observed = [record.field(13).text(), record.field(12).text()];
        let observed = observed.iter().find_map(|text| local(text)).map(|(_, iso)| iso).unwrap_or_default();
        let key = format!("{specimen}|{code}|{observed}|{}", record.field(2).text().trim());
        let flags: Vec<String> =
            record.field(7).repetitions().map(|flag| flag.text().trim().to_owned()).collect();
        let fields = [
            ("code", code.clone()),
            ("code_system", "local".to_owned()),
            ("codings", format!("local|{code}|{name}")),
            ("name", name),
            ("report_code", of_order(5, 4)),
            ("specimen", specimen),
            ("value_type", if value.parse::<f64>().is_ok() { "NM" } else { "ST" }.to_owned()),
            ("comparator", comparator),
            ("value", value),
            ("units", record.field(5).text().trim().to_owned()),
            ("reference_range", record.field(6).text().trim().to_owned()),
            ("abnormal_flags", flags.join("~")),
            ("status", status(record.field(9).text().trim()).to_owned()),
            ("status_at_source", record.field(9).text().trim().to_owned()),
            ("observed", observed),
            ("performer", record.field(11).component(1).trim().to_owned()),
            ("method", record.field(14).text().trim().to_owned()),
        ];
        let mut item = ItemChange::new(ItemKind::Result, key, set(fields));
        note(&mut item, &above.of_patient);
        note(&mut item, &above.of_order);
        item
    }
}

/// LIS02-A2, 10.1.9, in the letters of HL7 table 0085. Instruments that say nothing mean final.
fn status(said: &str) -> &'static str {
    match said.chars().next().unwrap_or('F') {
        'P' | 'I' => "P",
        'C' => "C",
        'X' => "X",
        'S' => "S",
        _ => "F",
    }
}

/// `<5` is a comparator and a number, not text.
pub(super) fn comparator(text: &str) -> (String, String) {
    for sign in ["<=", ">=", "<", ">"] {
        if let Some(rest) = text.strip_prefix(sign)
            && rest.trim().parse::<f64>().is_ok()
        {
            return (sign.to_owned(), rest.trim().to_owned());
        }
    }
    (String::new(), text.to_owned())
}

fn is_control(order: &Record<'_>) -> bool {
    [12, 26].iter().any(|field| order.field(*field).text().trim().eq_ignore_ascii_case("Q"))
}

fn comment(text: &str, on: On, above: &mut Above<'_>, items: &mut [ItemChange]) {
    match on {
        On::Nothing => {}
        On::Patient => append(&mut above.of_patient, text, COMMENT_ABOVE_BYTES_MAX),
        On::Order => append(&mut above.of_order, text, COMMENT_ABOVE_BYTES_MAX),
        On::Result(place) => {
            if let Some(item) = items.get_mut(place) {
                note(item, text);
            }
        }
    }
}

fn note(item: &mut ItemChange, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    let before = item.fields.iter_mut().find(|(name, _)| *name == "note");
    match before {
        Some((_, FieldChange::Set(note))) => append(note, text, usize::MAX),
        _ => item.fields.push(("note", FieldChange::Set(text.trim().to_owned()))),
    }
}

/// Adds a line, if it leaves the whole below the limit.
fn append(lines: &mut String, line: &str, bytes_max: usize) {
    let line = line.trim();
    if line.is_empty() || bytes_max.saturating_sub(lines.len()) <= line.len() {
        return;
    }
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push_str(line);
}

fn identifiers(patient: &Record<'_>) -> Vec<Identifier> {
    // P-3 is the practice's number, P-4 the laboratory's, P-5 a third.
    let kinds = [(3, "PT"), (4, "PI"), (5, "XX")];
    let mut found = Vec::new();
    for (field, kind) in kinds {
        for repetition in patient.field(field).repetitions() {
            let value = repetition.component(1).trim().to_owned();
            if value.is_empty() || IDENTIFIER_BYTES_MAX < value.len() || found.len() == IDENTIFIERS_MAX {
                continue;
            }
            found.push(identifier(value, kind));
        }
    }
    found
}

/// A number that has an NHS number's form and check digit is one: analysers do not say whose numbers they carry.
pub(super) fn identifier(value: String, kind: &str) -> Identifier {
    let (authority, kind) = if NhsNumber::parse(&value).is_ok() { ("NHS", "NH") } else { ("", kind) };
    Identifier { value, authority: authority.to_owned(), kind: kind.to_owned() }
}

pub(super) fn nhs_number(
    identifiers: &[Identifier],
    faults: &mut Vec<&'static str>,
) -> Result<NhsNumber, InvalidNhsNumber> {
    let mut numbers = identifiers.iter().filter_map(|one| NhsNumber::parse(&one.value).ok());
    let first = numbers.next().ok_or(InvalidNhsNumber::Absent)?;
    if numbers.any(|other| other != first) {
        // Whose results these are is for people to say.
        faults.push("several-nhs-numbers");
        return Err(InvalidNhsNumber::Absent);
    }
    Ok(first)
}

/// What tells a message from every other: 64 bits of its SHA-256.
pub(super) fn digest(raw: &[u8]) -> String {
    Sha256::digest(raw).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn demographics(patient: &Record<'_>) -> Option<ItemChange> {
    let name = patient.field(6);
    let birth_date = local(&patient.field(8).text()).map(|(_, iso)| iso.chars().take(10).collect::<String>());
    let fields = set([
        ("family_name", name.component(1).trim().to_owned()),
        ("given_name", name.component(2).trim().to_owned()),
        ("birth_date", birth_date.unwrap_or_default()),
        ("gender", patient.field(9).text().trim().to_owned()),
    ]);
    (!fields.is_empty()).then(|| ItemChange::new(ItemKind::Demographics, String::new(), fields))
}

pub(super) fn set<const N: usize>(fields: [(&'static str, String); N]) -> Vec<(&'static str, FieldChange)> {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name, FieldChange::Set(value))).collect()
}

/// `YYYYMMDD[HHMM[SS]]` as a moment and as ISO 8601, as precise as it is.
fn local(text: &str) -> Option<(Option<Timestamp>, String)> {
    let digits: &str = text.trim();
    if !digits.is_ascii() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let mut iso = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    if let (Some(hour), Some(minute)) = (part(8, 10), part(10, 12)) {
        iso = format!("{iso}T{hour}:{minute}");
        if let Some(second) = part(12, 14) {
            iso = format!("{iso}:{second}");
        }
    }
    Some((crate::codec::hl7v2::parse_moment(digits.as_bytes()), iso))
}

/// Each patient's message of a transmission.
///
/// # Errors
/// The bytes are no message.
pub fn by_patient(whole: &Bytes) -> Result<Vec<(Bytes, Event)>, NotAMessage> {
    let message = Message::parse(whole)?;
    let parts = message.by_patient(whole)?;
    parts.into_iter().map(|part| translate(&part).map(|event| (part, event))).collect()
}
