//! The patient summary: a document after HL7's International Patient Summary (IPS 1.1 and 2.0).
//!
//! Problems, allergies and medicines are always there. Where a record has none of them, an entry says that there is no
//! information, and the section says why; that somebody has no allergies is said only where a source said it. FHIR lets
//! a section have entries or an `emptyReason` and not both (cmp-2): the sections that must have entries say why in
//! words, the others in code.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    codec::fhir::names,
    domain::{record::ItemKind, time::Timestamp},
};

use super::{
    Reading, ResourceType,
    bundle::full_url,
    clinical::{self, ABSENT_UNKNOWN},
    medication, moment,
    narrative::{cautions, narrative, paragraph, table},
    observation, outcome, patient, provenance,
    reading::{Told, redacted},
    terms::{absent, hl7, is_vital_sign, one_of},
    text::clean,
    writer::pruned,
};

/// Results of a summary, the newest: all are to be had by searching.
const RESULTS_MAX: usize = 200;
/// Vital signs of a summary, the newest.
const VITAL_SIGNS_MAX: usize = 50;
const COMPOSITION: &str = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips";
const BUNDLE: &str = "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips";

/// Who makes the document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Author {
    /// The organisation, for people.
    pub name: String,
    /// Its ODS code.
    pub organisation: String,
}

/// What a section is called.
struct Heading {
    title: &'static str,
    /// LOINC, and its display.
    code: (&'static str, &'static str),
    kind: ItemKind,
    /// Of the sections that must be there: the IPS's code for having no information.
    no_information: Option<&'static str>,
    /// It is there even if there is nothing in it.
    is_always: bool,
}

/// The sections in their order: see [`sections`] for what is in each.
const HEADINGS: [Heading; 7] = [
    Heading {
        title: "Allergies and intolerances",
        code: ("48765-2", "Allergies and adverse reactions Document"),
        kind: ItemKind::Allergy,
        no_information: Some("no-allergy-info"),
        is_always: true,
    },
    Heading {
        title: "Problems",
        code: ("11450-4", "Problem list - Reported"),
        kind: ItemKind::Problem,
        no_information: Some("no-problem-info"),
        is_always: true,
    },
    Heading {
        title: "Medication",
        code: ("10160-0", "History of Medication use Narrative"),
        kind: ItemKind::Medication,
        no_information: Some("no-medication-info"),
        is_always: true,
    },
    Heading {
        title: "Immunisations",
        code: ("11369-6", "History of Immunization Narrative"),
        kind: ItemKind::Immunisation,
        no_information: None,
        is_always: true,
    },
    Heading {
        title: "Results",
        code: ("30954-2", "Relevant diagnostic tests/laboratory data Narrative"),
        kind: ItemKind::Result,
        no_information: None,
        is_always: true,
    },
    Heading {
        title: "Past problems",
        code: ("11348-0", "History of Past illness Narrative"),
        kind: ItemKind::Problem,
        no_information: None,
        is_always: false,
    },
    Heading {
        title: "Vital signs",
        code: ("8716-3", "Vital signs"),
        kind: ItemKind::Observation,
        no_information: None,
        is_always: false,
    },
];

/// A section and what is in it.
struct Section<'a> {
    heading: &'static Heading,
    items: Vec<Told<'a>>,
    /// Of its kind, those beyond the limit or over.
    left_out: usize,
}

/// The summary of what a reading shows, as a Bundle of type `document`.
pub fn summary(reading: &Reading<'_>, author: &Author, now: Timestamp) -> Value {
    let sections = sections(reading);
    let mut resources: Vec<Value> = patient::patients(reading);
    let organisation = organisation(reading, author);
    let by = reference_to(&organisation);
    resources.push(organisation);
    let mut parts = Vec::new();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for section in &sections {
        let (part, entries) = part(reading, section);
        parts.push(part);
        ids.extend(section.items.iter().map(|told| told.id));
        resources.extend(entries);
    }
    let mut origins = provenance::provenances(reading);
    origins.retain(|one| {
        let target = one["target"][0]["reference"].as_str().and_then(|target| target.split_once('/'));
        target.is_some_and(|(_, id)| ids.contains(id))
    });
    resources.extend(origins);
    let composition = composition(reading, &by, now, parts, &sections);
    let about = format!("{}/{}", reading.patient_id(), now.0);
    let entries = std::iter::once(composition).chain(resources);
    let entries = entries.map(|one| json!({ "fullUrl": full_url(reading.base, &one), "resource": one }));
    pruned(json!({
        "resourceType": "Bundle",
        "meta": { "profile": [BUNDLE], "security": reading.is_withheld(None).then(redacted) },
        "identifier": { "system": "urn:ietf:rfc:3986", "value": reading.ids().uuid_urn(&["summary", &about]) },
        "type": "document",
        "timestamp": moment::of(now),
        "entry": entries.collect::<Vec<_>>(),
    }))
    .unwrap_or_default()
}

fn composition(
    reading: &Reading<'_>,
    author: &Value,
    now: Timestamp,
    parts: Vec<Value>,
    sections: &[Section<'_>],
) -> Value {
    let about = format!("{}/{}", reading.patient_id(), now.0);
    let held = |section: &Section<'_>| (section.heading.kind, section.left_out);
    let mut left_out: Vec<(ItemKind, usize)> = sections.iter().map(held).collect();
    // Of observations only vital signs have a section.
    let elsewhere = [ItemKind::Encounter, ItemKind::Appointment, ItemKind::Referral, ItemKind::Document];
    left_out.extend(elsewhere.map(|kind| (kind, reading.record.section(kind).len())));
    left_out.retain(|(_, count)| 0 < *count);
    let day = now.to_string();
    json!({
        "resourceType": "Composition",
        "id": reading.ids().of(&["composition", &about]),
        "meta": { "profile": [COMPOSITION], "security": reading.is_withheld(None).then(redacted) },
        "text": narrative(&cautions(reading, &left_out)),
        "identifier": { "system": "urn:ietf:rfc:3986", "value": reading.ids().uuid_urn(&["composition", &about]) },
        "status": "final",
        "type": { "coding": [{ "system": names::LOINC, "code": "60591-5", "display": "Patient summary Document" }] },
        "subject": reading.subject(),
        "date": moment::of(now),
        "author": [author],
        "title": format!("Patient summary as of {}", day.get(..10).unwrap_or_default()),
        "confidentiality": "N",
        "custodian": author,
        "section": parts,
    })
}

fn reference_to(resource: &Value) -> Value {
    let part = |name: &str| resource[name].as_str().unwrap_or_default();
    json!({ "reference": format!("{}/{}", part("resourceType"), part("id")) })
}

fn organisation(reading: &Reading<'_>, author: &Author) -> Value {
    let name = clean(&author.name);
    json!({
        "resourceType": "Organization",
        "id": reading.ids().of(&["organisation", &author.organisation, &author.name]),
        "identifier": [{ "system": names::ODS_CODE, "value": clean(&author.organisation) }],
        "name": if name.is_null() { json!("A polyclinic's hub") } else { name },
    })
}

/// What is in each section. Medicines that have ended, old results and observations that are no vital signs are counted.
fn sections<'a>(reading: &'a Reading<'a>) -> Vec<Section<'a>> {
    let all = |kind: ItemKind| reading.items(kind).collect::<Vec<_>>();
    let has_status =
        |told: &Told<'_>, statuses: &[&'static str]| one_of(told.text("status"), statuses).is_some();
    let over = ["inactive", "remission", "resolved"];
    let (past, problems) = all(ItemKind::Problem).into_iter().partition(|told| has_status(told, &over));
    let ended = ["completed", "stopped", "not-taken", "cancelled", "entered-in-error"];
    let (ended, medicines): (Vec<_>, Vec<_>) =
        all(ItemKind::Medication).into_iter().partition(|told| has_status(told, &ended));
    let seen = all(ItemKind::Observation).into_iter().filter(|told| !observation::is_due(told));
    let (signs, others): (Vec<_>, Vec<_>) =
        seen.partition(|told| is_vital_sign(&told.item.codings, reading.base));
    let newest = |mut items: Vec<Told<'a>>, most: usize| {
        let left_out = items.len().saturating_sub(most);
        items.truncate(most);
        (items, left_out)
    };
    let (results, results_left_out) = newest(all(ItemKind::Result), RESULTS_MAX);
    let (signs, signs_left_out) = newest(signs, VITAL_SIGNS_MAX);
    let filled = [
        (all(ItemKind::Allergy), 0),
        (problems, 0),
        (medicines, ended.len()),
        (all(ItemKind::Immunisation), 0),
        (results, results_left_out),
        (past, 0),
        (signs, signs_left_out + others.len()),
    ];
    let sections =
        HEADINGS.iter().zip(filled).map(|(heading, (items, left_out))| Section { heading, items, left_out });
    let is_there = |section: &Section<'_>| {
        section.heading.is_always || !section.items.is_empty() || 0 < section.left_out
    };
    sections.filter(is_there).collect()
}

/// A section of the composition, and the resources it names.
fn part(reading: &Reading<'_>, section: &Section<'_>) -> (Value, Vec<Value>) {
    let why = why_missing(reading, section.heading.kind);
    let mut blocks = Vec::new();
    let mut resources: Vec<Value> = section.items.iter().map(resource).collect();
    let mut reason = Value::Null;
    if section.items.is_empty() {
        blocks.push(paragraph("No information."));
        match section.heading.no_information {
            Some(code) => resources.push(no_information(reading, section.heading.kind, code, &why)),
            None => reason = empty_reason(&why),
        }
    } else {
        blocks.push(table(&section.items));
    }
    if 0 < section.left_out {
        blocks.push(paragraph(&format!("{} more are not in this summary.", section.left_out)));
    }
    blocks.extend(why.words.iter().map(|words| paragraph(words)));
    let (code, display) = section.heading.code;
    let part = json!({
        "title": section.heading.title,
        "code": { "coding": [{ "system": names::LOINC, "code": code, "display": display }] },
        "text": narrative(&blocks),
        "entry": resources.iter().map(reference_to).collect::<Vec<_>>(),
        "emptyReason": reason,
    });
    (part, resources)
}

fn resource(told: &Told<'_>) -> Value {
    match told.item.kind {
        ItemKind::Allergy => clinical::allergy(told),
        ItemKind::Problem => clinical::condition(told),
        ItemKind::Medication => medication::statement(told),
        ItemKind::Immunisation => clinical::immunization(told),
        _ => observation::observation(told),
    }
}

/// Why a section has less than there may be.
struct Why {
    words: Vec<String>,
    is_withheld: bool,
}

fn why_missing(reading: &Reading<'_>, kind: ItemKind) -> Why {
    let withheld = reading.withheld.iter().filter(|one| one.kind.is_none_or(|of| of == kind));
    let mut words: Vec<String> = withheld.map(outcome::withheld_words).collect();
    let mut is_withheld = !words.is_empty();
    let is_empty = reading.record.section(kind).is_empty();
    for remark in outcome::remarks(reading).into_iter().filter(|remark| remark.is_about(kind)) {
        is_withheld |= remark.is_withheld;
        // Of what other systems fill it is no news that one has nothing.
        words.extend((is_empty || !remark.is_emptiness).then_some(remark.words));
    }
    if words.is_empty() && is_empty {
        words.push("No system said anything of it; that does not mean that there is none.".to_owned());
    }
    Why { words, is_withheld }
}

/// HL7's code for why a list is empty. That there is nothing is never one of them: nobody here knows.
fn empty_reason(why: &Why) -> Value {
    let code = if why.is_withheld { "withheld" } else { "unavailable" };
    let mut reason = hl7("list-empty-reason", code);
    reason["text"] = clean(&why.words.join("; "));
    reason
}

/// An entry that says that there is no information, and why.
fn no_information(reading: &Reading<'_>, kind: ItemKind, code: &str, why: &Why) -> Value {
    let concept = json!({ "coding": [{ "system": ABSENT_UNKNOWN, "code": code }] });
    let notes = json!([{ "text": clean(&why.words.join("; ")) }]);
    let id = reading.ids().of(&["no information", reading.patient_id(), kind.name()]);
    let mut entry = match kind {
        ItemKind::Allergy => json!({
            "resourceType": ResourceType::AllergyIntolerance.name(),
            "clinicalStatus": hl7("allergyintolerance-clinical", "active"),
            "code": concept,
            "patient": reading.subject(),
        }),
        ItemKind::Medication => json!({
            "resourceType": ResourceType::MedicationStatement.name(),
            "status": "unknown",
            "medicationCodeableConcept": concept,
            "subject": reading.subject(),
            "effectivePeriod": absent("unknown"),
        }),
        _ => json!({
            "resourceType": ResourceType::Condition.name(),
            "clinicalStatus": hl7("condition-clinical", "active"),
            "code": concept,
            "subject": reading.subject(),
        }),
    };
    entry["id"] = json!(id);
    entry["note"] = notes;
    if why.is_withheld {
        entry["meta"] = json!({ "security": redacted() });
    }
    entry
}
