//! Adastra's Case Data Export: one out-of-hours case, with its consultations, appointment, codes and notes
//! (namespace `http://www.adastra.com/dataExport`).

use roxmltree::Node;

use crate::{
    codec::{
        hl7v2::parse_moment,
        xml::{self, XmlError, at, attribute, child, children, text, text_at},
    },
    domain::{
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
    },
};

use super::report::set;

/// The kind of an entry with a case.
pub const KIND: &str = "Adastra^Case";

/// Elements, attributes and pieces of text of one case.
const NODES_MAX: u32 = 200_000;
/// Consultations, and codes of each, that are read.
const CONSULTATIONS_MAX: usize = 200;
const CODES_MAX: usize = 200;

/// Why bytes are no case.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotACase {
    /// No XML, or far too large.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another document.
    #[error("it is no adastraCaseDataExport")]
    OtherDocument,
    /// Nobody could tell one case from another.
    #[error("it has no adastraCaseReference")]
    NoReference,
}

/// Reads a case.
///
/// # Errors
/// See [`NotACase`].
pub fn translate(raw: &[u8]) -> Result<Event, NotACase> {
    let decoded = xml::decode(raw);
    let tree = xml::parse(&decoded, NODES_MAX)?;
    let case = tree.root_element();
    if case.tag_name().name() != "adastraCaseDataExport" {
        return Err(NotACase::OtherDocument);
    }
    let reference = text_at(case, &["adastraCaseReference"]);
    if reference.is_empty() {
        return Err(NotACase::NoReference);
    }
    Ok(Case { case, reference }.event(raw))
}

struct Case<'a, 'input> {
    case: Node<'a, 'input>,
    reference: &'a str,
}

impl<'a, 'input> Case<'a, 'input> {
    fn event(&self, raw: &[u8]) -> Event {
        let mut faults = Vec::new();
        let patient = child(self.case, "patient");
        let number =
            patient.map(|patient| text_at(patient, &["nationalNumber", "number"])).unwrap_or_default();
        let nhs_number =
            if number.is_empty() { Err(InvalidNhsNumber::Absent) } else { NhsNumber::parse(number) };
        let mut items: Vec<ItemChange> = patient.map(demographics).into_iter().collect();
        items.push(self.referral());
        items.extend(self.appointment(&mut faults));
        for (place, consultation) in children(self.case, "consultation").take(CONSULTATIONS_MAX).enumerate() {
            self.consultation(place + 1, consultation, &mut items);
        }
        for (place, note) in children(self.case, "specialNote").take(CODES_MAX).enumerate() {
            let fields = set([
                ("section", "special note".to_owned()),
                ("note", text_at(note, &["text"]).to_owned()),
                ("ended", text_at(note, &["reviewDate"]).to_owned()),
            ]);
            items.push(self.part(ItemKind::Notice, format!("{}|note|{}", self.reference, place + 1), fields));
        }
        Event {
            kind: KIND.to_owned(),
            class: Class::Clinical,
            source_id: format!("{}-{}", self.reference, digest(raw)),
            sender: "Adastra".to_owned(),
            occurred: self.occurred(),
            nhs_number,
            identifiers: identifiers(number, text_at(self.case, &["adastraCaseNumber"])),
            merged: Vec::new(),
            items,
            withdraws: Vec::new(),
            faults,
        }
    }

    /// The newest moment the export knows of: what orders one export of a case after another.
    fn occurred(&self) -> Option<crate::domain::time::Timestamp> {
        let ends = children(self.case, "consultation").map(|one| text_at(one, &["endTime"]));
        let own = ["completedDate", "activeDate"].map(|name| text_at(self.case, &[name]));
        ends.chain(own).filter_map(|text| parse_moment(text.replace(['T', 'Z'], " ").trim().as_bytes())).max()
    }

    fn part(&self, kind: ItemKind, key: String, fields: Vec<(&'static str, FieldChange)>) -> ItemChange {
        ItemChange { kind, key, part_of: String::new(), withdrawn: false, fields }
    }

    fn referral(&self) -> ItemChange {
        let words = |path: &[&str]| text_at(self.case, path).to_owned();
        let outcomes: Vec<&str> =
            children(self.case, "outcome").map(|one| text_at(one, &["description"])).collect();
        let fields = set([
            ("reason", words(&["presentingCondition", "symptoms"])),
            ("note", words(&["presentingCondition", "comments"])),
            ("priority", words(&["priority", "description"])),
            ("service", words(&["caseType", "description"])),
            ("status", words(&["caseStatus"]).to_lowercase()),
            ("status_at_source", words(&["caseStatus"])),
            ("received", words(&["activeDate"])),
            ("ended", words(&["completedDate"])),
            ("disposition", outcomes.join("; ")),
        ]);
        self.part(ItemKind::Referral, self.reference.to_owned(), fields)
    }

    fn appointment(&self, faults: &mut Vec<&'static str>) -> Option<ItemChange> {
        let appointment = child(self.case, "latestAppointment")?;
        let said = text_at(appointment, &["status"]);
        let status = match said {
            "None" => "booked",
            "Arrived" => "arrived",
            "DidNotAttend" => "did not attend",
            "Cancelled" => "cancelled",
            _ => {
                faults.push("adastra-appointment-status");
                ""
            }
        };
        let fields = set([
            ("start", text_at(appointment, &["appointmentTime"]).to_owned()),
            ("location", text_at(appointment, &["location"]).to_owned()),
            ("service", text_at(self.case, &["caseType", "description"]).to_owned()),
            ("status", status.to_owned()),
            ("status_at_source", said.to_owned()),
        ]);
        Some(self.part(ItemKind::Appointment, self.reference.to_owned(), fields))
    }

    fn consultation(&self, number: usize, consultation: Node<'a, 'input>, items: &mut Vec<ItemChange>) {
        let words = |path: &[&str]| text_at(consultation, path).to_owned();
        let started = words(&["startTime"]);
        // A case may be exported again with more consultations in it: when one began names it, not its place.
        let key = match started.as_str() {
            "" => format!("{}|{number}", self.reference),
            started => format!("{}|{started}", self.reference),
        };
        let outcomes = children(consultation, "eventOutcome").map(|one| text_at(one, &["description"]));
        let clinician = words(&["consultationBy", "name"]);
        let fields = set([
            ("type", "out of hours".to_owned()),
            ("started", started.clone()),
            ("ended", words(&["endTime"])),
            ("clinician", clinician.clone()),
            ("author", clinician.clone()),
            ("location", words(&["location"])),
            ("outcome", outcomes.collect::<Vec<_>>().join("; ")),
            ("note", [words(&["summary"]), words(&["medicalHistory"])].join("\n").trim().to_owned()),
        ]);
        items.push(self.part(ItemKind::Encounter, key.clone(), fields));
        for (place, code) in children(consultation, "clinicalCode").take(CODES_MAX).enumerate() {
            let system = match attribute(code, "codeScheme") {
                "" => "local".to_owned(),
                scheme => scheme.to_owned(),
            };
            let (value, name) = (text_at(code, &["code"]), text_at(code, &["description"]));
            let fields = set([
                ("code", value.to_owned()),
                ("code_system", system.clone()),
                ("name", name.to_owned()),
                ("codings", format!("{system}|{value}|{name}")),
                ("observed", started.clone()),
                ("author", clinician.clone()),
            ]);
            items.push(self.part(ItemKind::Observation, format!("{key}|{}", place + 1), fields));
        }
    }
}

fn identifiers(number: &str, case_number: &str) -> Vec<Identifier> {
    let one = |value: &str, authority: &str, kind: &str| {
        (!value.is_empty()).then(|| Identifier {
            value: value.to_owned(),
            authority: authority.to_owned(),
            kind: kind.to_owned(),
        })
    };
    [one(number, "NHS", "NH"), one(case_number, "Adastra case", "VN")].into_iter().flatten().collect()
}

fn demographics(patient: Node<'_, '_>) -> ItemChange {
    let words = |path: &[&str]| text_at(patient, path).to_owned();
    let is_home = |address: &Node<'_, '_>| attribute(*address, "addressType") == "Home";
    let home = children(patient, "address").find(is_home);
    let line = |name: &str| home.map(|home| text_at(home, &[name]).to_owned()).unwrap_or_default();
    let exact =
        at(patient, &["dateOfBirth"]).is_some_and(|date| attribute(date, "dataOfBirthType") == "Exact");
    let status =
        at(patient, &["nationalNumber"]).map(|number| match attribute(number, "nationalNumberStatus") {
            "Confirmed" => "NSTS01",
            _ => "NSTS02",
        });
    let phone = children(patient, "phone").next().map(|phone| text_at(phone, &["number"]).to_owned());
    let gender = match text_at(patient, &["gender"]) {
        "Male" => "M",
        "Female" => "F",
        "Unknown" => "U",
        other => other,
    };
    let fields = set([
        ("family_name", words(&["lastName"])),
        ("given_name", words(&["firstName"])),
        // An age alone is no date of birth.
        ("birth_date", if exact { words(&["dateOfBirth", "dobValue"]) } else { String::new() }),
        ("gender", gender.to_owned()),
        ("address_line_1", line("line1")),
        ("address_line_2", [line("line2"), line("locality")].join(" ").trim().to_owned()),
        ("city", line("town")),
        ("county", line("county")),
        ("postcode", line("postcode")),
        ("telephone", phone.unwrap_or_default()),
        ("general_practice", words(&["gpRegistration", "surgeryNationalCode"])),
        ("nhs_number_status", status.unwrap_or_default().to_owned()),
    ]);
    ItemChange::new(ItemKind::Demographics, String::new(), fields)
}

fn digest(raw: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(raw).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The case's own reference, for the quarantine, where there is one.
pub(super) fn reference(raw: &[u8]) -> String {
    let decoded = xml::decode(raw);
    let tree = xml::parse(&decoded, NODES_MAX).ok();
    let found = tree.as_ref().and_then(|tree| child(tree.root_element(), "adastraCaseReference").map(text));
    found.unwrap_or_default().chars().take(60).collect()
}
