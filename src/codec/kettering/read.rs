//! From XML to a letter.

use roxmltree::{Document, Node, ParsingOptions};

use crate::codec::xml::{decode, has_short_tags};

use super::{
    Coded, Letter, Party, Patient, SERVICE_EVENT_TYPES, Text,
    dates::{order_of, parse, parse_alone},
};

/// Elements, attributes and pieces of text of one letter: real ones have some hundred.
const NODES_MAX: u32 = 50_000;

/// Why bytes are no letter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KetteringError {
    /// Not well-formed, or too large.
    #[error("it is not well-formed XML, or larger than a letter is")]
    Malformed,
    /// It declares entities, which no letter does: a bomb, or a way to read files.
    #[error("it declares entities")]
    Entities,
    /// Another document.
    #[error("it is no ReportMsg")]
    NotALetter,
    /// Without it nobody can tell two letters apart.
    #[error("it has no MsgId")]
    NoMessageId,
    /// Nobody could file it.
    #[error("it has neither text nor coded entries")]
    Empty,
}

/// Reads a letter.
///
/// # Errors
/// See [`KetteringError`].
pub fn read(bytes: &[u8]) -> Result<Letter, KetteringError> {
    let text = decode(bytes);
    let root = text.find("<ReportMsg").ok_or(KetteringError::NotALetter)?;
    if text.get(..root).unwrap_or_default().contains("<!ENTITY") {
        return Err(KetteringError::Entities);
    }
    if !has_short_tags(&text) {
        return Err(KetteringError::Malformed);
    }
    let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|_| KetteringError::Malformed)?;
    let report = document.root_element();
    if !report.has_tag_name("ReportMsg") {
        return Err(KetteringError::NotALetter);
    }
    let letter = Reader { report }.letter();
    if letter.message_id.is_empty() {
        return Err(KetteringError::NoMessageId);
    }
    if letter.texts.is_empty() && letter.coded.is_empty() {
        return Err(KetteringError::Empty);
    }
    Ok(letter)
}

/// The elements of a name below a node, without those inside one another: what they hold is then never more than
/// the document.
fn outermost<'a, 'input>(below: Node<'a, 'input>, name: &str) -> Vec<Node<'a, 'input>> {
    let mut found = Vec::new();
    let mut inside_until = 0;
    for node in below.descendants() {
        let id = node.id().get_usize();
        if inside_until <= id && node.has_tag_name(name) {
            inside_until = id + node.descendants().count();
            found.push(node);
        }
    }
    found
}

struct Reader<'a, 'input> {
    report: Node<'a, 'input>,
}

impl<'a, 'input> Reader<'a, 'input> {
    fn letter(&self) -> Letter {
        let report = self.report;
        let clinical = child(report, "ClinicalReport").unwrap_or(report);
        let matching = child(report, "PatientMatchingInfo").unwrap_or(report);
        let (issued, event) = (text(report, "MsgIssueDate"), self.event_date(clinical));
        let (created, born) = (text(clinical, "DocCreationDate"), text(matching, "BirthDate"));
        let all = [&issued, &event, &created, &born];
        let order = order_of(all.iter().map(|text| text.as_str()));
        let date = |text: &str| order.map_or_else(|| parse_alone(text), |order| parse(text, order));
        let mut faults = Vec::new();
        let unclear = |text: &String| !text.is_empty() && date(text).is_none();
        if all.into_iter().any(unclear) {
            faults.push("date-unclear");
        }
        let service_event_type = self.anywhere("ServiceEventType");
        if !service_event_type.is_empty() && !SERVICE_EVENT_TYPES.contains(&service_event_type.as_str()) {
            faults.push("service-event-type-unknown");
        }
        Letter {
            message_id: text(report, "MsgId"),
            issued: date(&issued).unwrap_or_default(),
            sender: text(report, "MsgSender"),
            recipient: text(report, "MsgRecipient"),
            patient: patient(matching, date(&born).unwrap_or_default()),
            to: self.party("ServiceRequester"),
            from: self.party("ServiceProvider"),
            report_id: text(clinical, "ReportID"),
            report_type: text(clinical, "ReportType"),
            report_code: text(clinical, "ReportCode"),
            contributor: text(clinical, "ReportContributor"),
            service_event_type,
            event_date: date(&event).unwrap_or_default(),
            created: date(&created).unwrap_or_default(),
            texts: self.texts(),
            coded: self.coded(),
            faults,
        }
    }

    /// The event's own date, or the related date of role 82, which is where Vision looks.
    fn event_date(&self, clinical: Node<'a, 'input>) -> String {
        let own = text(clinical, "EventDate");
        if !own.is_empty() {
            return own;
        }
        let related = outermost(self.report, "RelDate").into_iter();
        let of_event = |node: &Node<'_, '_>| {
            node.attributes().any(|attribute| attribute.value() == "82")
                || node.children().any(|child| child.text().is_some_and(|text| text.trim() == "82"))
        };
        let mut dates =
            related.filter(of_event).flat_map(|node| node.descendants()).filter_map(|node| node.text());
        dates.find(|text| 8 <= text.trim().len()).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    fn anywhere(&self, name: &str) -> String {
        let found = self.report.descendants().find(|node| node.has_tag_name(name));
        found.map(content).unwrap_or_default()
    }

    fn party(&self, role: &str) -> Party {
        let agent = child(self.report, role).map(|node| text(node, "IdValue")).unwrap_or_default();
        let parties = self.report.descendants().filter(|node| node.has_tag_name("Party"));
        let mut mine = parties.filter(|node| node.attribute("AgentId") == Some(agent.as_str()));
        let Some(node) = mine.next() else { return Party::default() };
        let coded = |name: &str| {
            let found = child(node, name);
            let sort = found.and_then(|found| found.attribute("IdType")).unwrap_or_default();
            (found.map(content).unwrap_or_default(), sort.to_owned())
        };
        Party {
            organisation: coded("OrgCode"),
            organisation_name: text(node, "OrgName"),
            department: text(node, "DepartmentName"),
            person: coded("HcpCode"),
            person_name: text(node, "HcpName"),
        }
    }

    fn texts(&self) -> Vec<Text> {
        let texts = outermost(self.report, "TextItem").into_iter().map(|item| Text {
            markup: text(item, "TextMarkupIndicator"),
            block: child(item, "TextBlock").map(whole).unwrap_or_default(),
        });
        texts.filter(|text| !text.block.trim().is_empty()).collect()
    }

    fn coded(&self) -> Vec<Coded> {
        let coded = outermost(self.report, "ClinicalCode").into_iter().map(|node| {
            let (long, short) = (text(node, "Term60"), text(node, "Term30"));
            let part = |name| node.attribute(name).unwrap_or_default();
            Coded {
                code: text(node, "CodeName"),
                scheme: format!("{} {}", part("Type"), part("Schema")).trim().to_owned(),
                term: if long.is_empty() { short } else { long },
                value: (text(node, "Value1"), text(node, "Unit1")),
            }
        });
        coded.filter(|coded| !coded.code.is_empty() || !coded.term.is_empty()).collect()
    }
}

fn patient(node: Node<'_, '_>, birth_date: String) -> Patient {
    let mut patient =
        Patient { birth_date, gender: gender(&text(node, "Sex")).to_owned(), ..Patient::default() };
    for id in outermost(node, "Id") {
        let (sort, value) = (text(id, "IdType"), text(id, "IdValue"));
        if sort.eq_ignore_ascii_case("nhs") || sort.eq_ignore_ascii_case("nhsnumber") {
            patient.nhs_number = value;
        } else if !value.is_empty() {
            patient.numbers.push((sort, value));
        }
    }
    // CU is the name in use; others are former ones and aliases.
    let names: Vec<_> = node.children().filter(|node| node.has_tag_name("PersonName_s")).collect();
    let current = names.iter().find(|name| text(**name, "PersonNameType") == "CU").or_else(|| names.first());
    if let Some(name) = current.and_then(|name| child(*name, "StructPersonName")) {
        patient.family_name = text(name, "FamilyName");
        patient.given_name = text(name, "GivenName");
        patient.title = text(name, "Title");
    }
    let mut addresses = node.children().filter(|node| node.tag_name().name().starts_with("Address"));
    if let Some(address) = addresses.next() {
        patient.postcode = text(address, "PostCode");
        let lines = address.descendants().filter(|node| {
            node.is_element()
                && !node.has_tag_name("PostCode")
                && !node.children().any(|node| node.is_element())
        });
        patient.address = lines.map(content).filter(|line| !line.is_empty()).collect();
    }
    patient
}

fn gender(code: &str) -> &'static str {
    match code {
        "1" | "M" => "M",
        "2" | "F" => "F",
        "0" => "U",
        "9" => "O",
        _ => "",
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn text(node: Node<'_, '_>, name: &str) -> String {
    child(node, name).map(content).unwrap_or_default()
}

/// An element's text in one line.
fn content(node: Node<'_, '_>) -> String {
    whole(node).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An element's text as it is, pieces between comments and sections together.
fn whole(node: Node<'_, '_>) -> String {
    node.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()
}
