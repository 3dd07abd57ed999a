//! Clinical documents of NHS 111 and urgent care: who, when, what was found, and what it replaces or withdraws.
//!
//! Null flavours are absences. What is not understood stays in the document, whose bytes are kept.

use roxmltree::Node;

use crate::codec::xml::{at, attribute, child, children, text, text_at};

/// Traced NHS numbers (root of an id).
const NHS_NUMBER: &str = "2.16.840.1.113883.2.1.4.1";
/// NHS numbers that nobody has traced.
const NHS_NUMBER_UNVERIFIED: &str = "2.16.840.1.113883.2.1.3.2.4.18.23";
/// ODS codes of organisations and sites.
const ODS: [&str; 2] = ["2.16.840.1.113883.2.1.3.2.4.19.1", "2.16.840.1.113883.2.1.3.2.4.19.2"];
/// Sections and coded entries of one document that are read.
const SECTIONS_MAX: usize = 500;
const CODED_MAX: usize = 1000;

/// A document.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct ClinicalDocument {
    /// Its own id.
    pub id: String,
    /// What all its versions have in common; its own id, if it has none.
    pub set_id: String,
    /// Which version it is; 1 if it does not say.
    pub version: u32,
    /// The document that it replaces or withdraws: by what all its versions have in common, else by its own id.
    pub replaces: Option<String>,
    /// Whether that is what all its versions have in common.
    pub replaces_all_versions: bool,
    /// Its title.
    pub title: String,
    /// Its confidentialityCode (HL7 v3 Confidentiality: `N`, `R`, `V`); empty if it has none.
    pub confidentiality: String,
    /// When it was written, ISO 8601.
    pub written: String,
    /// Whom it is about.
    pub patient: Patient,
    /// Who wrote it, and for which organisation.
    pub author: (String, String),
    /// The encounter it reports.
    pub encounter: Encounter,
    /// Its sections: title and text, in order.
    pub sections: Vec<(String, String)>,
    /// What it says in codes.
    pub coded: Vec<Coded>,
}

impl std::fmt::Debug for ClinicalDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClinicalDocument({} version {}, {} sections)", self.id, self.version, self.sections.len())
    }
}

/// Whom a document is about.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Patient {
    /// The NHS number as given; empty if there is none.
    pub nhs_number: String,
    /// Whether it was traced.
    pub verified: bool,
    /// Other numbers: value and authority.
    pub other_ids: Vec<(String, String)>,
    /// Family name, given names, title.
    pub name: (String, String, String),
    /// ISO 8601.
    pub birth_date: String,
    /// As in HL7 table 0001.
    pub gender: String,
    /// Lines of the home address; postcode.
    pub address: (Vec<String>, String),
    /// Telephone.
    pub telephone: String,
    /// ODS code of the registered practice.
    pub practice: String,
}

/// The encounter that a document reports.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Encounter {
    /// Case reference and other ids.
    pub ids: Vec<String>,
    /// ISO 8601.
    pub started: String,
    /// ISO 8601.
    pub ended: String,
    /// Disposition: code and words.
    pub disposition: (String, String),
    /// Where it was.
    pub location: String,
}

/// Something said in codes.
#[derive(Clone, Eq, PartialEq)]
pub struct Coded {
    /// As received.
    pub code: String,
    /// The code system's OID.
    pub system: String,
    /// The words beside it.
    pub display: String,
    /// Its value, if it has one: text or number and unit.
    pub value: String,
    /// When, ISO 8601.
    pub when: String,
}

/// Reads a document.
pub fn read(document: Node<'_, '_>) -> ClinicalDocument {
    let root =
        |name: &str| child(document, name).map(|id| attribute(id, "root").to_owned()).unwrap_or_default();
    let id = root("id");
    let set_id = Some(root("setId")).filter(|set| !set.is_empty()).unwrap_or_else(|| id.clone());
    let version = child(document, "versionNumber").and_then(|node| attribute(node, "value").parse().ok());
    let replaced = at(document, &["relatedDocument", "parentDocument"]);
    let replaced_root = |name: &str| {
        let id = replaced.and_then(|parent| child(parent, name)).map(|id| attribute(id, "root").to_owned());
        id.filter(|id| !id.is_empty())
    };
    let replaced_set = replaced_root("setId");
    let replaces_all_versions = replaced_set.is_some();
    let replaces = replaced_set.or_else(|| replaced_root("id"));
    ClinicalDocument {
        set_id,
        version: version.unwrap_or(1),
        replaces,
        replaces_all_versions,
        title: text_at(document, &["title"]).to_owned(),
        confidentiality: child(document, "confidentialityCode")
            .map(|code| attribute(code, "code").to_owned())
            .unwrap_or_default(),
        written: moment(document, "effectiveTime"),
        patient: at(document, &["recordTarget", "patientRole"]).map(patient).unwrap_or_default(),
        author: author(document),
        encounter: at(document, &["componentOf", "encompassingEncounter"]).map(encounter).unwrap_or_default(),
        sections: sections(document),
        coded: coded(document),
        id,
    }
}

/// `20210803133656+0100` as ISO 8601, as precise as it is; empty if it is no moment.
pub fn iso_8601(stamp: &str) -> String {
    let split = stamp.find(['+', '-']).unwrap_or(stamp.len());
    let (digits, offset) = stamp.split_at(split);
    let digits = digits.split('.').next().unwrap_or_default();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return String::new();
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let Some(year) = part(0, 4) else { return String::new() };
    let mut out = year.to_owned();
    for (separator, from) in [('-', 4), ('-', 6), ('T', 8), (':', 10), (':', 12)] {
        let Some(pair) = part(from, from + 2) else { break };
        out.push(separator);
        out.push_str(pair);
    }
    // An hour alone is no ISO 8601 time.
    if out.len() == 13 {
        out.push_str(":00");
    }
    let offset_digits = offset.get(1..).unwrap_or_default();
    if 13 < out.len() && 2 <= offset_digits.len() && offset_digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let minutes = offset_digits.get(2..4).unwrap_or("00");
        out = format!(
            "{out}{}{}:{minutes}",
            offset.get(..1).unwrap_or_default(),
            offset_digits.get(..2).unwrap_or("00")
        );
    }
    out
}

fn moment(node: Node<'_, '_>, name: &str) -> String {
    child(node, name).map(|time| iso_8601(attribute(time, "value"))).unwrap_or_default()
}

fn patient(role: Node<'_, '_>) -> Patient {
    let mut found = Patient::default();
    for id in children(role, "id") {
        let (root, extension) = (attribute(id, "root"), attribute(id, "extension"));
        match root {
            _ if extension.is_empty() => {}
            NHS_NUMBER => (found.nhs_number, found.verified) = (extension.to_owned(), true),
            NHS_NUMBER_UNVERIFIED if !found.verified => extension.clone_into(&mut found.nhs_number),
            _ => {
                let authority = match attribute(id, "assigningAuthorityName") {
                    "" => root,
                    name => name,
                };
                found.other_ids.push((extension.to_owned(), authority.to_owned()));
            }
        }
    }
    let is_home = |address: &Node<'_, '_>| matches!(attribute(*address, "use"), "H" | "HP" | "");
    let address = children(role, "addr").find(is_home).or_else(|| child(role, "addr"));
    if let Some(address) = address {
        let lines = children(address, "streetAddressLine").map(|line| text(line).to_owned());
        found.address =
            (lines.filter(|line| !line.is_empty()).collect(), text_at(address, &["postalCode"]).to_owned());
    }
    let telephone = children(role, "telecom").map(|telecom| attribute(telecom, "value"));
    found.telephone =
        telephone.filter_map(|value| value.strip_prefix("tel:")).next().unwrap_or_default().to_owned();
    if let Some(person) = child(role, "patient") {
        if let Some(name) = child(person, "name") {
            found.name = names(name);
        }
        found.birth_date = moment(person, "birthTime").chars().take(10).collect();
        found.gender = child(person, "administrativeGenderCode").map(gender).unwrap_or_default();
    }
    found.practice = child(role, "providerOrganization").map(ods_code).unwrap_or_default();
    found
}

/// Family name, given names, title; or the whole name, where it has no parts.
fn names(name: Node<'_, '_>) -> (String, String, String) {
    let parts = |part: &str| {
        children(name, part).map(text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let family = parts("family");
    if family.is_empty() {
        return (text(name).to_owned(), String::new(), String::new());
    }
    (family, parts("given"), parts("prefix"))
}

/// NHS Data Dictionary's PERSON GENDER CODE in the letters of HL7 table 0001.
fn gender(node: Node<'_, '_>) -> String {
    match attribute(node, "code") {
        "1" | "M" => "M",
        "2" | "F" => "F",
        "9" => "O",
        "0" => "U",
        other => other,
    }
    .to_owned()
}

fn ods_code(organisation: Node<'_, '_>) -> String {
    let ids = children(organisation, "id");
    let mut code =
        ids.filter(|id| ODS.contains(&attribute(*id, "root"))).map(|id| attribute(id, "extension"));
    code.find(|code| !code.is_empty()).unwrap_or_default().to_owned()
}

fn author(document: Node<'_, '_>) -> (String, String) {
    let Some(author) = at(document, &["author", "assignedAuthor"]) else { return Default::default() };
    let person = at(author, &["assignedPerson", "name"]).map(|name| {
        let (family, given, title) = names(name);
        [title, given, family].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let organisation = text_at(author, &["representedOrganization", "name"]).to_owned();
    (person.unwrap_or_default(), organisation)
}

fn encounter(node: Node<'_, '_>) -> Encounter {
    let ids = children(node, "id").map(|id| attribute(id, "extension").to_owned());
    let effective = child(node, "effectiveTime");
    let end = |name: &str| effective.map(|time| moment(time, name)).unwrap_or_default();
    let disposition = child(node, "dischargeDispositionCode");
    let said = |name: &str| disposition.map(|code| attribute(code, name).to_owned()).unwrap_or_default();
    let started = Some(end("low")).filter(|low| !low.is_empty());
    Encounter {
        ids: ids.filter(|id| !id.is_empty()).collect(),
        started: started.unwrap_or_else(|| moment(node, "effectiveTime")),
        ended: end("high"),
        disposition: (said("code"), said("displayName")),
        location: text_at(node, &["location", "healthCareFacility", "location", "name"]).to_owned(),
    }
}

fn sections(document: Node<'_, '_>) -> Vec<(String, String)> {
    let all = document.descendants().filter(|node| node.is_element() && node.tag_name().name() == "section");
    let read = |section: Node<'_, '_>| {
        let narrative = child(section, "text").map(narrative).unwrap_or_default();
        let title = text_at(section, &["title"]).to_owned();
        (!narrative.is_empty() || !title.is_empty()).then_some((title, narrative))
    };
    all.filter_map(read).take(SECTIONS_MAX).collect()
}

/// A narrative block as plain text: paragraphs, list items and rows become lines, cells are set apart. Walked
/// without recursion: how deep it is nested is the sender's choice.
fn narrative(block: Node<'_, '_>) -> String {
    let mut out = String::new();
    for node in block.descendants() {
        if node.is_text() {
            let words: Vec<&str> = node.text().unwrap_or_default().split_whitespace().collect();
            if !words.is_empty() {
                if !out.is_empty() && !out.ends_with(['\n', ' ']) {
                    out.push(' ');
                }
                out.push_str(&words.join(" "));
            }
            continue;
        }
        match node.tag_name().name() {
            "paragraph" | "br" | "tr" | "caption" | "list" | "table" | "title" => new_line(&mut out),
            "item" => {
                new_line(&mut out);
                out.push_str("– ");
            }
            "td" | "th" if !out.is_empty() && !out.ends_with('\n') => out.push_str(" | "),
            _ => {}
        }
    }
    out.trim().to_owned()
}

fn new_line(out: &mut String) {
    while out.ends_with(' ') {
        out.pop();
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn coded(document: Node<'_, '_>) -> Vec<Coded> {
    let kinds = ["observation", "act", "procedure", "substanceAdministration", "encounter", "supply"];
    let is_entry = |node: &Node<'_, '_>| node.is_element() && kinds.contains(&node.tag_name().name());
    let read = |node: Node<'_, '_>| {
        let code = child(node, "code")?;
        let value = child(node, "value");
        let of = |node: Option<Node<'_, '_>>, name: &str| node.map(|node| attribute(node, name).to_owned());
        let number = [of(value, "value"), of(value, "unit")].into_iter().flatten();
        let number = number.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let words = of(value, "displayName").filter(|words| !words.is_empty());
        let value_text = value.map(|value| text(value).to_owned()).unwrap_or_default();
        let effective = child(node, "effectiveTime");
        let low = effective.map(|time| moment(time, "low")).unwrap_or_default();
        let one = Coded {
            code: attribute(code, "code").to_owned(),
            system: attribute(code, "codeSystem").to_owned(),
            display: attribute(code, "displayName").to_owned(),
            value: words.unwrap_or(if number.is_empty() { value_text } else { number }),
            when: Some(low).filter(|low| !low.is_empty()).unwrap_or_else(|| moment(node, "effectiveTime")),
        };
        (!one.code.is_empty()).then_some(one)
    };
    document.descendants().filter(is_entry).filter_map(read).take(CODED_MAX).collect()
}
