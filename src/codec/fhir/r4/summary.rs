//! The patient summary: a document after HL7's International Patient Summary (IPS 1.1 and 2.0).
//!
//! Problems, allergies and medicines are always there. Where a record has none of them, an entry says that there is no
//! information, and the section says why; that somebody has no allergies is said only where a source said it. FHIR lets
//! a section have entries or an `emptyReason` and not both (cmp-2): the sections that must have entries say why in
//! words, the others in code.

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

/// A section: what it is called, and what is in it.
struct Section<'a> {
    title: &'static str,
    /// LOINC, and its display.
    code: (&'static str, &'static str),
    kind: ItemKind,
    items: Vec<Told<'a>>,
    /// Of its kind, those beyond the limit or over.
    left_out: usize,
    /// Of the sections that must be there: the IPS's code for having no information.
    no_information: Option<&'static str>,
    /// It is there even if there is nothing in it.
    is_always: bool,
}

/// The summary of what a reading shows, as a Bundle of type `document`.
pub fn summary(reading: &Reading<'_>, author: &Author, now: Timestamp) -> Value {
    let sections = sections(reading);
    let mut resources: Vec<Value> = patient::patients(reading);
    let organisation = organisation(reading, author);
    let by = reference_to(&organisation);
    resources.push(organisation);
    let mut parts = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    for section in &sections {
        let (part, entries) = part(reading, section);
        parts.push(part);
        ids.extend(section.items.iter().map(|told| told.id));
        resources.extend(entries);
    }
    let mut origins = provenance::provenances(reading);
    origins.retain(|one| {
        let target = one["target"][0]["reference"].as_str().and_then(|target| target.split_once('/'));
        target.is_some_and(|(_, id)| ids.contains(&id))
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
    let held = |section: &Section<'_>| (section.kind, section.left_out);
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

fn sections<'a>(reading: &'a Reading<'a>) -> Vec<Section<'a>> {
    let all = |kind: ItemKind| reading.items(kind).collect::<Vec<_>>();
    let is_past =
        |told: &Told<'_>| one_of(told.text("status"), &["inactive", "remission", "resolved"]).is_some();
    let (past, problems) = all(ItemKind::Problem).into_iter().partition(is_past);
    let ended = ["completed", "stopped", "not-taken", "cancelled", "entered-in-error"];
    let (ended, medicines): (Vec<_>, Vec<_>) =
        all(ItemKind::Medication).into_iter().partition(|told| one_of(told.text("status"), &ended).is_some());
    let mut results = all(ItemKind::Result);
    let is_vital = |told: &Told<'_>| is_vital_sign(&told.item.codings, reading.base);
    let (mut signs, others): (Vec<_>, Vec<_>) =
        all(ItemKind::Observation).into_iter().filter(|told| !observation::is_due(told)).partition(is_vital);
    let results_left_out = results.len().saturating_sub(RESULTS_MAX);
    results.truncate(RESULTS_MAX);
    let signs_left_out = signs.len().saturating_sub(VITAL_SIGNS_MAX) + others.len();
    signs.truncate(VITAL_SIGNS_MAX);
    let section = |title, code, kind, items, left_out, no_information, is_always| Section {
        title,
        code,
        kind,
        items,
        left_out,
        no_information,
        is_always,
    };
    let mut sections = vec![
        section(
            "Allergies and intolerances",
            ("48765-2", "Allergies and adverse reactions Document"),
            ItemKind::Allergy,
            all(ItemKind::Allergy),
            0,
            Some("no-allergy-info"),
            true,
        ),
        section(
            "Problems",
            ("11450-4", "Problem list - Reported"),
            ItemKind::Problem,
            problems,
            0,
            Some("no-problem-info"),
            true,
        ),
        section(
            "Medication",
            ("10160-0", "History of Medication use Narrative"),
            ItemKind::Medication,
            medicines,
            ended.len(),
            Some("no-medication-info"),
            true,
        ),
        section(
            "Immunisations",
            ("11369-6", "History of Immunization note"),
            ItemKind::Immunisation,
            all(ItemKind::Immunisation),
            0,
            None,
            true,
        ),
        section(
            "Results",
            ("30954-2", "Relevant diagnostic tests/laboratory data note"),
            ItemKind::Result,
            results,
            results_left_out,
            None,
            true,
        ),
        section(
            "Past problems",
            ("11348-0", "History of Past illness note"),
            ItemKind::Problem,
            past,
            0,
            None,
            false,
        ),
        section(
            "Vital signs",
            ("8716-3", "Vital signs note"),
            ItemKind::Observation,
            signs,
            signs_left_out,
            None,
            false,
        ),
    ];
    sections.retain(|section| section.is_always || !section.items.is_empty() || 0 < section.left_out);
    sections
}

/// A section of the composition, and the resources it names.
fn part(reading: &Reading<'_>, section: &Section<'_>) -> (Value, Vec<Value>) {
    let why = why_missing(reading, section.kind);
    let mut blocks = Vec::new();
    let mut resources: Vec<Value> = section.items.iter().map(resource).collect();
    let mut reason = Value::Null;
    if section.items.is_empty() {
        blocks.push(paragraph("No information."));
        match section.no_information {
            Some(code) => resources.push(no_information(reading, section.kind, code, &why)),
            None => reason = empty_reason(&why),
        }
    } else {
        blocks.push(table(&section.items));
    }
    if 0 < section.left_out {
        blocks.push(paragraph(&format!("{} more are not in this summary.", section.left_out)));
    }
    blocks.extend(why.words.iter().map(|words| paragraph(words)));
    let (code, display) = section.code;
    let part = json!({
        "title": section.title,
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
    for notice in reading.record.notices.iter().filter(|notice| notice.code != "as-at") {
        if outcome::section_kind(&notice.text).is_none_or(|of| of == kind) {
            is_withheld |= notice.code == "confidential-items";
            words.push(format!("{}: {}: {}", notice.system, notice.code, notice.text));
        }
    }
    if words.is_empty() && reading.record.section(kind).is_empty() {
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
