//! From a report to segments.

use super::{Code, Investigation, Kind, Link, Party, Patient, Range, Report, Specimen, Value};
use crate::codec::edifact::{interchange::MessageType, moment, nhsack::parts, writer::Writer};

/// Components of one FTX (C108).
const TEXTS_MAX: usize = 5;
/// Characters in each: one less than there may be, since a full component is taken for one that was cut within a word.
const LINE_CHARACTERS_MAX: usize = 69;
/// Characters of a name in one component of NAD (C080), and components.
const NAME_CHARACTERS_MAX: usize = 35;
const NAMES_MAX: usize = 5;
/// Lines of an address in ADR (C090), and characters in each.
const ADDRESS_LINES_MAX: usize = 5;
const ADDRESS_CHARACTERS_MAX: usize = 35;

/// Writes one report as a message.
pub fn write(writer: &mut Writer, reference: &str, kind: Kind, report: &Report) {
    let (name, association, document) = kind.names();
    let text = str::to_owned;
    let radiology = kind == Kind::Radiology;
    let (version, agency) = if radiology { ("D", "NH") } else { ("0", "RT") };
    writer.begin(
        reference,
        &MessageType {
            name: text(name),
            version: text(version),
            release: text("1"),
            agency: text(agency),
            association: text(association),
        },
    );
    writer.segment("BGM", &[&[document]]);
    date(writer, "137", &report.prepared);
    for one in &report.parties {
        if !radiology {
            writer.segment("S01", &[&["01"]]);
        }
        party(writer, one);
    }
    if radiology {
        studies(writer, report)
    } else {
        pathology(writer, kind, report)
    }
    writer.end();
}

fn pathology(writer: &mut Writer, kind: Kind, report: &Report) {
    writer.segment("S02", &[&["02"]]);
    writer.segment("GIS", &[&["N"]]);
    writer.segment("RFF", &[&["SRI", &report.id]]);
    writer.segment("STS", &[&[], &[if report.status.is_empty() { "UN" } else { &report.status }]]);
    date(writer, "ISR", &report.issued);
    writer.segment("S06", &[&["06"]]);
    numbers(writer, &report.patient);
    address(writer, &report.patient, "");
    writer.segment("S07", &[&["07"]]);
    patient(writer, &report.patient, "");
    person(writer, &report.patient);
    if !report.clinical_information.is_empty() {
        writer.segment("S10", &[&["10"]]);
        writer.segment("CIN", &[&["UN"]]);
        words(writer, "CID", &report.clinical_information);
    }
    for one in &report.specimens {
        specimen(writer, one);
    }
    for one in &report.investigations {
        investigation(writer, kind, one);
    }
}

fn studies(writer: &mut Writer, report: &Report) {
    writer.segment("S02", &[&["02"]]);
    writer.segment("RFF", &[&["SRI", &report.id]]);
    date(writer, "ISR", &report.issued);
    writer.segment("S05", &[&["05"]]);
    patient(writer, &report.patient, "US");
    numbers(writer, &report.patient);
    address(writer, &report.patient, "CU");
    person(writer, &report.patient);
    for one in &report.investigations {
        writer.segment("S10", &[&["10"]]);
        code(writer, "INV", "RS", &one.code);
        writer.segment("S11", &[&["11"]]);
        if !one.status.is_empty() {
            writer.segment("STS", &[&[], &[&one.status]]);
        }
        date(writer, "AIC", &one.performed);
        // A study has words and no values; what was measured all the same must not be lost on the way.
        words(writer, "RIT", &measured(one).into_iter().chain(one.text.iter().cloned()).collect::<Vec<_>>());
        words(writer, "SPC", &one.comments);
    }
}

/// A value in words, with its flag.
fn measured(one: &Investigation) -> Option<String> {
    let value = match &one.value {
        Value::None => return None,
        Value::Numeric(value, comparator, unit) => format!("{comparator}{value} {unit}"),
        Value::Coded(code) => format!("{} {}", code.value, code.name),
    };
    let flag = if one.flag.is_empty() { String::new() } else { format!(" ({})", one.flag) };
    Some(format!("{}{flag}", value.trim()))
}

fn date(writer: &mut Writer, what: &str, moment: &str) {
    if let Some((value, format)) = moment::write_minutes(moment) {
        writer.segment("DTM", &[&[what, &value, format]]);
    }
}

fn code(writer: &mut Writer, tag: &str, what: &str, code: &Code) {
    writer.segment(tag, &[&[what], &[&code.value, &code.list, "", &code.name]]);
}

fn party(writer: &mut Writer, party: &Party) {
    let names = parts(&party.who.name, NAME_CHARACTERS_MAX, NAME_CHARACTERS_MAX * NAMES_MAX);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    writer.segment("NAD", &[&[&party.role], &[&party.who.value, &party.who.list], &[], &names]);
    if !party.sort.is_empty() {
        writer.segment("SPR", &[&[&party.sort]]);
    }
}

fn numbers(writer: &mut Writer, patient: &Patient) {
    for (what, value) in &patient.numbers {
        writer.segment("RFF", &[&[what, value]]);
    }
}

fn address(writer: &mut Writer, patient: &Patient, kind: &str) {
    if patient.address.is_empty() && patient.postcode.is_empty() {
        return;
    }
    let cut = |line: &String| line.chars().take(ADDRESS_CHARACTERS_MAX).collect::<String>();
    let lines: Vec<String> = patient.address.iter().map(cut).take(ADDRESS_LINES_MAX).collect();
    let mut parts = if lines.is_empty() { Vec::new() } else { vec!["US"] };
    parts.extend(lines.iter().map(String::as_str));
    let kind: &[&str] = if kind.is_empty() { &[] } else { &["", "", kind] };
    writer.segment("ADR", &[kind, &parts, &[], &[&patient.postcode]]);
}

fn patient(writer: &mut Writer, patient: &Patient, form: &str) {
    let number: &[&str] = if patient.nhs_number.is_empty() { &[] } else { &[&patient.nhs_number, "OPI"] };
    let named = [
        ("SU", &patient.family_name),
        ("FO", &patient.given_name),
        ("MI", &patient.middle_names),
        ("TI", &patient.title),
    ];
    let names: Vec<[&str; 2]> = named
        .iter()
        .filter(|(_, name)| !name.is_empty())
        .map(|(what, name)| [*what, name.as_str()])
        .collect();
    let mut elements: Vec<&[&str]> = vec![&["PAT"], number];
    let form = [form];
    elements.push(&form);
    elements.push(&[]);
    elements.extend(names.iter().map(<[&str; 2]>::as_slice));
    writer.segment("PNA", &elements);
}

fn person(writer: &mut Writer, patient: &Patient) {
    date(writer, "329", &patient.birth_date);
    let sex = match patient.gender.as_str() {
        "M" => "1",
        "F" => "2",
        "U" => "0",
        "O" => "9",
        _ => return,
    };
    writer.segment("PDI", &[&[sex]]);
}

/// Free text: lines of seventy characters, five to a segment.
fn words(writer: &mut Writer, what: &str, texts: &[String]) {
    for text in texts {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            lines.extend(wrapped(line));
        }
        for group in lines.chunks(TEXTS_MAX) {
            let group: Vec<&str> = group.iter().map(String::as_str).collect();
            writer.segment("FTX", &[&[what], &[], &[], &group]);
        }
    }
}

/// A line in pieces of a component each, parted between words; within a word only if it is longer than a component.
fn wrapped(line: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let characters: Vec<char> = line.chars().collect();
    let mut rest = characters.as_slice();
    while LINE_CHARACTERS_MAX < rest.len() {
        let words = rest[..=LINE_CHARACTERS_MAX].iter().rposition(|character| *character == ' ');
        // A space among those that indent the line is no place to part it.
        let (end, next) = match words.filter(|at| rest[..*at].iter().any(|character| *character != ' ')) {
            Some(at) => (at, at + 1),
            None => (LINE_CHARACTERS_MAX, LINE_CHARACTERS_MAX),
        };
        pieces.push(rest[..end].iter().collect());
        rest = &rest[next..];
    }
    // An empty component at the end would be left out, and with it a line that the author left free.
    if !rest.is_empty() || pieces.is_empty() {
        let last: String = rest.iter().collect();
        pieces.push(if last.is_empty() { " ".to_owned() } else { last });
    }
    pieces
}

fn specimen(writer: &mut Writer, specimen: &Specimen) {
    writer.segment("S16", &[&["16"]]);
    writer.segment("SEQ", &[&[], &[&specimen.sequence]]);
    code(writer, "SPC", "TSP", &specimen.kind);
    if !specimen.fasting.is_empty() {
        writer.segment("SPC", &[&["FS"], &[&specimen.fasting]]);
    }
    for (what, value) in [("RTI", &specimen.requester_id), ("STI", &specimen.id)] {
        if !value.is_empty() {
            writer.segment("RFF", &[&[what, value]]);
        }
    }
    if !specimen.volume.0.is_empty() {
        writer.segment("QTY", &[&["SVO", &specimen.volume.0], &["", "", "", &specimen.volume.1]]);
    }
    date(writer, "SCO", &specimen.collected);
    date(writer, "SRI", &specimen.received);
    words(writer, "SPC", &specimen.comments);
}

fn investigation(writer: &mut Writer, kind: Kind, one: &Investigation) {
    writer.segment("GIS", &[&["N"]]);
    code(writer, "INV", "MQ", &one.code);
    if !one.sequence.is_empty() {
        writer.segment("SEQ", &[&[], &[&one.sequence]]);
    }
    let flag = [one.flag.as_str()];
    match &one.value {
        Value::None if one.flag.is_empty() => {}
        Value::None => writer.segment("RSL", &[&[], &[], &[], &[], &flag]),
        Value::Numeric(value, comparator, unit) => {
            let comparator = comparator_code(comparator);
            let unit = ["", "", "", unit.as_str()];
            let unit: &[&str] = if kind == Kind::PathologyOlder { &unit[3..] } else { &unit };
            writer.segment("RSL", &[&["NV"], &[value, comparator], &[], unit, &flag]);
        }
        Value::Coded(code) => {
            let coded = ["", "", &code.value, &code.list, "", &code.name];
            writer.segment("RSL", &[&["CV"], &coded, &[], &[], &flag]);
        }
    }
    if !one.status.is_empty() {
        writer.segment("STS", &[&[], &[&one.status]]);
    }
    words(writer, "RIT", &one.text);
    words(writer, "SPC", &one.comments);
    match &one.link {
        Link::None => {}
        Link::Specimen(number) => writer.segment("RFF", &[&["ASL", number]]),
        Link::Group(number) => writer.segment("RFF", &[&["ARL", number]]),
    }
    for range in &one.ranges {
        write_range(writer, range);
    }
}

fn write_range(writer: &mut Writer, range: &Range) {
    writer.segment("S20", &[&["20"]]);
    if !range.low.is_empty() || !range.high.is_empty() {
        writer.segment("RND", &[&["U"], &[&range.low], &[&range.high], &["", "", "", &range.unit]]);
    }
    words(writer, "RPD", &range.comments);
}

fn comparator_code(comparator: &str) -> &str {
    match comparator {
        ">=" => "5",
        ">" => "6",
        "<" => "7",
        "<=" => "8",
        other => other,
    }
}
