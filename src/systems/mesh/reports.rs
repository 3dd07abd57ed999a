//! Events with results as PMIP reports: what an analyser or a hospital laboratory found, for a practice to file.

use sha2::{Digest, Sha256};

use crate::{
    codec::edifact::pmip::{Code, Investigation, Kind, Link, Party, Patient, Range, Report, Specimen, Value},
    domain::record::{Event, ItemChange, ItemKind},
};

use super::letters::field;

/// Characters of a report's or specimen's number (RFF, C506).
const NUMBER_CHARACTERS_MAX: usize = 35;

/// Results of one event: no order has more, and whoever must file them reads them one by one.
const RESULTS_MAX: usize = 2_000;

/// Who sends reports, and to whom.
#[derive(Clone, Debug)]
pub struct Correspondents {
    /// The hub's ODS code.
    pub from: String,
    /// Its name.
    pub from_name: String,
    /// The practice's ODS code.
    pub to: String,
}

/// The reports an event makes: one for each that its source reported.
///
/// # Errors
/// Why none can be made of it, without content.
pub fn reports(event: &Event, kind: Kind, correspondents: &Correspondents) -> Result<Vec<Report>, String> {
    let patient = patient(event)?;
    if RESULTS_MAX < event.items.len() {
        return Err(format!("it has more than {RESULTS_MAX} items"));
    }
    let mut reports: Vec<(String, Vec<&ItemChange>)> = Vec::new();
    for item in event.items.iter().filter(|item| item.kind == ItemKind::Result) {
        let number = report_number(event, item);
        match reports.iter_mut().find(|(known, _)| *known == number) {
            Some((_, items)) => items.push(item),
            None => reports.push((number, vec![item])),
        }
    }
    if reports.is_empty() {
        return Err("there is no result in it".to_owned());
    }
    let issued = event.occurred.map(super::local_time).unwrap_or_default();
    let make = |(number, items): (String, Vec<&ItemChange>)| {
        let recorded = items.first().map(|item| field(item, "recorded")).filter(|text| !text.is_empty());
        let mut report = Report {
            prepared: issued.clone(),
            id: number,
            issued: recorded.map_or_else(|| issued.clone(), str::to_owned),
            status: "UN".to_owned(),
            parties: parties(kind, correspondents, &items),
            patient: patient.clone(),
            ..Report::default()
        };
        fill(&mut report, kind, &items);
        report
    };
    Ok(reports.into_iter().map(make).collect())
}

/// The source's own number for the report, by which a correction meets what it corrects.
fn report_number(event: &Event, item: &ItemChange) -> String {
    let order = item.key.split('|').next().unwrap_or_default();
    let whole = if !item.part_of.is_empty() {
        &item.part_of
    } else if !order.is_empty() {
        order
    } else {
        &event.source_id
    };
    number(whole)
}

/// A number that fits: a long one is cut, and told apart by a digest of the whole.
fn number(whole: &str) -> String {
    if whole.chars().count() <= NUMBER_CHARACTERS_MAX {
        return whole.to_owned();
    }
    let digest = Sha256::digest(whole.as_bytes());
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let head: String = whole.chars().take(NUMBER_CHARACTERS_MAX - 13).collect();
    format!("{head}-{digest}")
}

fn patient(event: &Event) -> Result<Patient, String> {
    let told = event.items.iter().find(|item| item.kind == ItemKind::Demographics);
    let of = |name: &str| told.map(|item| field(item, name).to_owned()).unwrap_or_default();
    let nhs_number = event.nhs_number.map(|number| number.as_str().to_owned()).unwrap_or_default();
    if nhs_number.is_empty() && of("family_name").is_empty() {
        return Err("it names no patient".to_owned());
    }
    let lines = ["address_line_1", "address_line_2", "city", "county"].map(of);
    Ok(Patient {
        nhs_number,
        numbers: Vec::new(),
        family_name: of("family_name"),
        given_name: of("given_name"),
        middle_names: of("middle_names"),
        title: of("title"),
        birth_date: of("birth_date"),
        gender: of("gender"),
        address: lines.into_iter().filter(|line| !line.is_empty()).collect(),
        postcode: of("postcode"),
    })
}

fn parties(kind: Kind, who: &Correspondents, items: &[&ItemChange]) -> Vec<Party> {
    let party = |role: &str, sort: &str, value: &str, list: &str, name: &str| Party {
        role: role.to_owned(),
        sort: sort.to_owned(),
        who: Code { value: value.to_owned(), list: list.to_owned(), name: name.to_owned() },
    };
    let provider = if kind == Kind::Radiology { "SRA" } else { "SLA" };
    let performer = items.iter().map(|item| field(item, "performer")).find(|name| !name.is_empty());
    let organisation = items.iter().map(|item| field(item, "organisation")).find(|name| !name.is_empty());
    let organisation = organisation.unwrap_or(&who.from_name);
    vec![
        party("PO", "ORG", &who.to, "901", ""),
        party("MR", "ORG", &who.to, "901", ""),
        party(provider, "DPT", "", "", performer.unwrap_or(&who.from_name)),
        party(provider, "ORG", &who.from, "903", organisation),
    ]
}

fn fill(report: &mut Report, kind: Kind, items: &[&ItemChange]) {
    let mut groups: Vec<(String, String)> = Vec::new();
    for item in items {
        let specimen = specimen_of(report, item);
        let mut one = investigation(item);
        let heading = (field(item, "report_code").to_owned(), field(item, "report").to_owned());
        let is_grouped = kind != Kind::Radiology && heading != (String::new(), String::new());
        one.link = if is_grouped {
            let known = groups.iter().position(|group| *group == heading);
            let number = known.unwrap_or_else(|| {
                groups.push(heading.clone());
                report.investigations.push(group_heading(&heading, groups.len(), &specimen));
                groups.len() - 1
            });
            Link::Group((number + 1).to_string())
        } else {
            Link::Specimen(specimen)
        };
        report.investigations.push(one);
    }
}

fn group_heading((code, name): &(String, String), number: usize, specimen: &str) -> Investigation {
    Investigation {
        code: Code { name: if name.is_empty() { code.clone() } else { name.clone() }, ..Code::default() },
        sequence: number.to_string(),
        link: Link::Specimen(specimen.to_owned()),
        ..Investigation::default()
    }
}

/// The number of the specimen that a result is of; added if it is new.
fn specimen_of(report: &mut Report, item: &ItemChange) -> String {
    let known = |text: &str| if text.is_empty() { "Not stated".to_owned() } else { text.to_owned() };
    let wanted = Specimen {
        kind: Code { name: known(field(item, "specimen")), ..Code::default() },
        collected: field(item, "observed").to_owned(),
        received: field(item, "received").to_owned(),
        ..Specimen::default()
    };
    let same = |one: &Specimen| {
        (&one.kind, &one.collected, &one.received) == (&wanted.kind, &wanted.collected, &wanted.received)
    };
    if let Some(found) = report.specimens.iter().find(|one| same(one)) {
        return found.sequence.clone();
    }
    let sequence = (report.specimens.len() + 1).to_string();
    report.specimens.push(Specimen { sequence: sequence.clone(), ..wanted });
    sequence
}

fn investigation(item: &ItemChange) -> Investigation {
    let (code, name) = (field(item, "code"), field(item, "name"));
    let words = if name.is_empty() { code } else { name };
    let (value, text) = value(item);
    let (flag, critical) = flag(field(item, "abnormal_flags"));
    let note = field(item, "note");
    let comments = critical.into_iter().chain((!note.is_empty()).then(|| note.to_owned()));
    Investigation {
        // A code of a list that the practice does not have would be taken for another: only Read codes go as codes.
        code: match field(item, "code_system") {
            "read-2" => Code { value: code.to_owned(), list: "911".to_owned(), name: words.to_owned() },
            _ => Code { name: words.to_owned(), ..Code::default() },
        },
        sequence: String::new(),
        status: status(item).to_owned(),
        value,
        flag: flag.to_owned(),
        text,
        comments: comments.collect(),
        ranges: range(field(item, "reference_range")).into_iter().collect(),
        link: Link::None,
        performed: field(item, "observed").to_owned(),
    }
}

/// A number with comparator and unit, or text.
fn value(item: &ItemChange) -> (Value, Vec<String>) {
    let (whole, units) = (field(item, "value").trim(), field(item, "units"));
    if whole.is_empty() {
        return (Value::None, Vec::new());
    }
    let (comparator, rest) = match field(item, "comparator") {
        "" => split_comparator(whole),
        given => (given, whole),
    };
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
    if is_plain && rest.parse::<f64>().is_ok() {
        return (Value::Numeric(rest.to_owned(), comparator.to_owned(), units.to_owned()), Vec::new());
    }
    let text = if units.is_empty() { whole.to_owned() } else { format!("{whole} {units}") };
    (Value::None, vec![text])
}

fn split_comparator(text: &str) -> (&str, &str) {
    for comparator in [">=", "<=", ">", "<"] {
        if let Some(rest) = text.strip_prefix(comparator) {
            return (comparator, rest.trim_start());
        }
    }
    ("", text)
}

/// HL7 table 0078, and words for what the four flags of PMIP cannot say.
fn flag(flags: &str) -> (&'static str, Option<String>) {
    let first = flags.split('~').next().unwrap_or_default();
    let critical = |words: &str| Some(format!("{words} ({first}): the source marks this as critical"));
    match first {
        "" | "N" => ("", None),
        "H" | ">" => ("HI", None),
        "L" | "<" => ("LO", None),
        "HH" => ("HI", critical("Critically high")),
        "LL" => ("LO", critical("Critically low")),
        "AA" => ("PA", critical("Very abnormal")),
        "A" => ("PA", None),
        other => ("", Some(format!("Flag at source: {other}"))),
    }
}

/// HL7 table 0085, or what the source itself said in PMIP's terms.
fn status(item: &ItemChange) -> &'static str {
    if item.withdrawn {
        return "EN";
    }
    match field(item, "status") {
        "F" => "FI",
        "P" | "R" | "S" => "PR",
        "C" => "CO",
        "X" => "CA",
        "I" => "RE",
        "W" | "D" => "EN",
        _ => "UN",
    }
}

/// `low-high`, `>=low`, `<=high`, or words.
fn range(text: &str) -> Option<Range> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let number = |text: &str| text.trim().parse::<f64>().is_ok().then(|| text.trim().to_owned());
    // A minus before the first number is a sign.
    let dash = text.char_indices().skip(1).find(|(_, character)| *character == '-').map(|(at, _)| at);
    let limits = dash.and_then(|at| Some((number(text.get(..at)?)?, number(text.get(at + 1..)?)?)));
    if let Some((low, high)) = limits {
        return Some(Range { low, high, ..Range::default() });
    }
    match split_comparator(text) {
        // Only limits that are in the range themselves can be said as limits.
        (">=", rest) if number(rest).is_some() => Some(Range { low: rest.to_owned(), ..Range::default() }),
        ("<=", rest) if number(rest).is_some() => Some(Range { high: rest.to_owned(), ..Range::default() }),
        _ => Some(Range { comments: vec![text.to_owned()], ..Range::default() }),
    }
}
