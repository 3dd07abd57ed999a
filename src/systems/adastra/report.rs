//! From an ITK message to the hub's own terms: a document, the urgent-care case, and what it says in codes.

use bytes::Bytes;

use crate::{
    codec::{
        hl7v2::parse_moment,
        itk::{
            Addressed, Broken, ItkError, NODES_MAX, Profile,
            cda::{self, ClinicalDocument, Coded},
        },
        xml,
    },
    domain::{
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
        time::Timestamp,
    },
};

/// The kind of an entry with a report.
pub const REPORT: &str = "ITK^Report";
/// Of one that withdraws a report.
pub const NULLIFICATION: &str = "ITK^Nullification";

/// What the answer to a message refers to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference {
    /// wsa:MessageID.
    pub message_id: String,
    /// The tracking id.
    pub tracking_id: String,
    /// The service.
    pub service: String,
    /// By which a repetition is known: the distribution envelope. The SOAP around it is new at each attempt.
    pub essence: Bytes,
}

/// Reads a message and holds it to the rules, where `addressed` says whom it may be for; a journalled one has been.
///
/// # Errors
/// The rule that it breaks.
pub fn translate(raw: &[u8], addressed: Option<&Addressed>) -> Result<(Event, Reference), ItkError> {
    let text = xml::decode(raw);
    let tree = xml::parse(&text, NODES_MAX)?;
    let lenient;
    let addressed = match addressed {
        Some(addressed) => addressed,
        None => {
            lenient = Addressed { to: all_addresses(&tree), security_optional: true, ..Addressed::default() };
            &lenient
        }
    };
    let message = crate::codec::itk::read(&tree, addressed)?;
    let envelope = xml::at(tree.root_element(), &["Body", "DistributionEnvelope"]);
    let essence = envelope.and_then(|envelope| text.get(envelope.range())).unwrap_or(&text);
    let reference = Reference {
        message_id: message.message_id.to_owned(),
        tracking_id: message.tracking_id.to_owned(),
        service: message.service.to_owned(),
        essence: Bytes::copy_from_slice(essence.as_bytes()),
    };
    let documents: Vec<(Profile, ClinicalDocument)> =
        message.documents.iter().map(|(profile, node)| (*profile, cda::read(*node))).collect();
    let event = event(&documents, message.tracking_id, message.sender).map_err(|broken| ItkError {
        broken,
        message_id: reference.message_id.clone(),
        tracking_id: reference.tracking_id.clone(),
    })?;
    Ok((event, reference))
}

fn all_addresses(tree: &roxmltree::Document<'_>) -> Vec<String> {
    let addresses = tree.descendants().filter(|node| node.tag_name().name() == "address");
    let code = |uri: &str| {
        uri.strip_prefix("urn:nhs-uk:addressing:ods:").unwrap_or(uri).split(':').next().map(str::to_owned)
    };
    addresses.filter_map(|node| code(xml::attribute(node, "uri"))).collect()
}

fn event(
    documents: &[(Profile, ClinicalDocument)],
    tracking_id: &str,
    sender: &str,
) -> Result<Event, Broken> {
    let mut faults = Vec::new();
    let about = documents.iter().find(|(profile, _)| *profile == Profile::Report).or(documents.first());
    let Some((_, first)) = about else { return Err(Broken::NoDocument) };
    let of_others = |(profile, one): &(Profile, ClinicalDocument)| {
        *profile == Profile::Report && one.patient.nhs_number != first.patient.nhs_number
    };
    // One message is one patient's: which of two it should be filed under nobody can say.
    if documents.iter().any(of_others) {
        return Err(Broken::SeveralPatients);
    }
    let nhs_number = match first.patient.nhs_number.as_str() {
        "" => Err(InvalidNhsNumber::Absent),
        number => NhsNumber::parse(number),
    };
    let mut items = vec![demographics(first)];
    let mut withdraws = Vec::new();
    for (profile, document) in documents {
        match profile {
            Profile::Nullification => match &document.replaces {
                Some(withdrawn) => {
                    withdraws.push(withdrawn.clone());
                    // What a report is filed under is its set, which is its own id only if it names no other.
                    if !document.replaces_all_versions {
                        faults.push("itk-nullifies-without-set");
                    }
                }
                None => faults.push("itk-nullifies-nothing"),
            },
            Profile::Report => {
                if let Some(replaced) = document.replaces.as_ref().filter(|set| **set != document.set_id) {
                    withdraws.push(replaced.clone());
                }
                report(document, &mut items);
            }
        }
    }
    let is_report = documents.iter().any(|(profile, _)| *profile == Profile::Report);
    Ok(Event {
        kind: if is_report { REPORT } else { NULLIFICATION }.to_owned(),
        class: Class::Clinical,
        source_id: tracking_id.to_owned(),
        sender: sender.to_owned(),
        occurred: occurred(first),
        nhs_number,
        identifiers: identifiers(first),
        merged: Vec::new(),
        items,
        withdraws,
        faults,
    })
}

/// A later version must win whatever its clock says, so versions of one moment are set a millisecond apart.
fn occurred(document: &ClinicalDocument) -> Option<Timestamp> {
    let written = parse_moment(document.written.replace(':', "").as_bytes())?;
    Some(Timestamp(written.0 + i64::from(document.version.min(1000))))
}

fn identifiers(document: &ClinicalDocument) -> Vec<Identifier> {
    let patient = &document.patient;
    let nhs = (!patient.nhs_number.is_empty()).then(|| Identifier {
        value: patient.nhs_number.clone(),
        authority: "NHS".to_owned(),
        kind: "NH".to_owned(),
    });
    let others = patient.other_ids.iter().map(|(value, authority)| Identifier {
        value: value.clone(),
        authority: authority.clone(),
        kind: "PI".to_owned(),
    });
    nhs.into_iter().chain(others).collect()
}

fn demographics(document: &ClinicalDocument) -> ItemChange {
    let patient = &document.patient;
    let line = |number: usize| patient.address.0.get(number).cloned().unwrap_or_default();
    let verified = if patient.verified { "NSTS01" } else { "NSTS02" };
    let fields = [
        ("family_name", patient.name.0.clone()),
        ("given_name", patient.name.1.clone()),
        ("title", patient.name.2.clone()),
        ("birth_date", patient.birth_date.clone()),
        ("gender", patient.gender.clone()),
        ("address_line_1", line(0)),
        ("address_line_2", line(1)),
        ("city", line(2)),
        ("county", line(3)),
        ("postcode", patient.address.1.clone()),
        ("telephone", patient.telephone.clone()),
        ("general_practice", patient.practice.clone()),
        ("nhs_number_status", if patient.nhs_number.is_empty() { "" } else { verified }.to_owned()),
    ];
    ItemChange::new(ItemKind::Demographics, String::new(), set(fields))
}

/// A document with everything that stands and falls with it.
fn report(document: &ClinicalDocument, items: &mut Vec<ItemChange>) {
    let encounter = &document.encounter;
    let (author, organisation) = &document.author;
    let content = document.sections.iter().map(|(title, text)| match title.as_str() {
        "" => text.clone(),
        title => format!("{title}\n{text}"),
    });
    let common = |kind: ItemKind, key: String, fields: Vec<(&'static str, FieldChange)>| ItemChange {
        kind,
        key,
        part_of: document.set_id.clone(),
        withdrawn: false,
        fields: fields
            .into_iter()
            .chain(set([("confidentiality", document.confidentiality.clone())]))
            .collect(),
    };
    let letter = said(
        document,
        [
            ("title", document.title.clone()),
            ("type", "NHS 111 report".to_owned()),
            ("created", document.written.clone()),
            ("author", author.clone()),
            ("organisation", organisation.clone()),
            ("media_type", "text/plain".to_owned()),
            ("encoding", "text".to_owned()),
            ("content", content.collect::<Vec<_>>().join("\n\n")),
            ("status", format!("version {}", document.version)),
        ],
    );
    items.push(common(ItemKind::Document, document.set_id.clone(), letter));
    let case = encounter.ids.first().cloned().unwrap_or_else(|| document.set_id.clone());
    let referral = said(
        document,
        [
            ("service", encounter.location.clone()),
            ("disposition", encounter.disposition.1.clone()),
            ("code", encounter.disposition.0.clone()),
            ("received", document.written.clone()),
            ("organisation", organisation.clone()),
        ],
    );
    items.push(common(ItemKind::Referral, case.clone(), referral));
    let contact = said(
        document,
        [
            ("type", "urgent care".to_owned()),
            ("started", encounter.started.clone()),
            ("ended", encounter.ended.clone()),
            ("outcome", encounter.disposition.1.clone()),
            ("clinician", author.clone()),
            ("organisation", organisation.clone()),
        ],
    );
    items.push(common(ItemKind::Encounter, case, contact));
    for (number, coded) in document.coded.iter().enumerate() {
        let key = format!("{}|{}", document.set_id, number + 1);
        items.push(common(ItemKind::Observation, key, observation(document, coded)));
    }
}

fn observation(document: &ClinicalDocument, coded: &Coded) -> Vec<(&'static str, FieldChange)> {
    let system = match coded.system.as_str() {
        "2.16.840.1.113883.2.1.3.2.4.15" | "2.16.840.1.113883.6.96" => "snomed-ct",
        "2.16.840.1.113883.2.1.6.2" | "2.16.840.1.113883.2.1.3.2.4.14" => "read-2",
        "2.16.840.1.113883.6.1" => "loinc",
        other => other,
    };
    said(
        document,
        [
            ("code", coded.code.clone()),
            ("code_system", system.to_owned()),
            ("name", coded.display.clone()),
            ("codings", format!("{system}|{}|{}", coded.code, coded.display)),
            ("value", coded.value.clone()),
            ("observed", coded.when.clone()),
        ],
    )
}

/// A version after the first says all there is to say: what it does not, an earlier one said in vain. Else a value of
/// the one would stand beside a code of the other.
fn said<const N: usize>(
    document: &ClinicalDocument,
    fields: [(&'static str, String); N],
) -> Vec<(&'static str, FieldChange)> {
    let change = |value: String| if value.is_empty() { FieldChange::Delete } else { FieldChange::Set(value) };
    match document.version {
        0 | 1 => set(fields),
        _ => fields.into_iter().map(|(name, value)| (name, change(value))).collect(),
    }
}

/// Fields that say something.
pub(super) fn set<const N: usize>(fields: [(&'static str, String); N]) -> Vec<(&'static str, FieldChange)> {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name, FieldChange::Set(value))).collect()
}
