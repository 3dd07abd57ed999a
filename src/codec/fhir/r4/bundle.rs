//! Answers to searches.

use serde_json::{Value, json};

use crate::domain::{record::ItemKind, time::Timestamp};

use super::{
    Reading, ResourceType, Search, moment,
    outcome::{of_reading, outcome},
    provenance,
    reading::redacted,
    resources,
    writer::pruned,
};

/// One page of what was found.
#[derive(Debug)]
pub struct Page<'a> {
    /// What was asked.
    pub search: &'a Search,
    /// Where: `https://…/fhir/r4`.
    pub base: &'a str,
    /// When it was answered.
    pub at: Timestamp,
}

/// What a search of a record found: a Bundle of type `searchset` with one page of it, links to this page and the next,
/// and an outcome of what is held back or was ignored.
pub fn searchset(reading: &Reading<'_>, page: &Page<'_>) -> Value {
    let search = page.search;
    let found: Vec<Value> =
        resources(reading, search.kind()).into_iter().filter(|one| search.takes(one)).collect();
    let (found, linked): (Vec<Value>, Vec<Value>) = match search.kind() {
        // What other systems say of the patient comes along with the patient.
        ResourceType::Patient => {
            let is_first = |one: &Value| one["id"] == reading.patient_id();
            let (found, others): (Vec<Value>, Vec<Value>) = found.into_iter().partition(is_first);
            let others = if found.is_empty() { Vec::new() } else { others };
            (found, others)
        }
        _ => (found, Vec::new()),
    };
    let total = found.len();
    let mut shown: Vec<Value> = found.into_iter().skip(search.offset()).take(search.count()).collect();
    let is_target = |one: &Value| {
        let target = one["target"][0]["reference"].as_str().unwrap_or_default();
        shown.iter().any(|shown| target.split_once('/').is_some_and(|(_, id)| shown["id"] == id))
    };
    let mut included = if search.with_provenance() { provenance::provenances(reading) } else { Vec::new() };
    included.retain(is_target);
    included.extend(linked);
    let mut issues = of_reading(reading, kinds(search.kind()));
    issues.extend(search.ignored());
    let entry = |mode: &str| {
        let mode = mode.to_owned();
        move |resource: Value| entry(page.base, &mode, resource)
    };
    let mut entries: Vec<Value> = shown.drain(..).map(entry("match")).collect();
    entries.extend(included.into_iter().map(entry("include")));
    if !issues.is_empty() {
        entries.push(json!({ "resource": outcome(&issues), "search": { "mode": "outcome" } }));
    }
    let is_withheld = kinds(search.kind()).iter().any(|kind| reading.is_withheld(Some(*kind)));
    let mut links = vec![
        json!({ "relation": "self", "url": search.link(page.base, reading.patient_id(), search.offset()) }),
    ];
    let next = search.offset().saturating_add(search.count());
    if 0 < search.count() && next < total {
        links.push(json!({ "relation": "next", "url": search.link(page.base, reading.patient_id(), next) }));
    }
    pruned(json!({
        "resourceType": "Bundle",
        "meta": { "lastUpdated": moment::of(page.at), "security": is_withheld.then(redacted) },
        "type": "searchset",
        "timestamp": moment::of(page.at),
        "total": total,
        "link": links,
        "entry": entries,
    }))
    .unwrap_or_default()
}

fn entry(base: &str, mode: &str, resource: Value) -> Value {
    json!({ "fullUrl": full_url(base, &resource), "resource": resource, "search": { "mode": mode } })
}

/// Where a resource is to be had.
pub(super) fn full_url(base: &str, resource: &Value) -> String {
    let part = |name: &str| resource[name].as_str().unwrap_or_default();
    format!("{base}/{}/{}", part("resourceType"), part("id"))
}

/// The kinds of items that come to a type of resource.
pub(super) const fn kinds(kind: ResourceType) -> &'static [ItemKind] {
    match kind {
        ResourceType::Patient => &[ItemKind::Demographics],
        ResourceType::AllergyIntolerance => &[ItemKind::Allergy],
        ResourceType::MedicationStatement => &[ItemKind::Medication],
        ResourceType::Condition => &[ItemKind::Problem],
        ResourceType::Observation => &[ItemKind::Result, ItemKind::Observation],
        ResourceType::DiagnosticReport => &[ItemKind::Result],
        ResourceType::DocumentReference | ResourceType::Binary => &[ItemKind::Document],
        ResourceType::Immunization => &[ItemKind::Immunisation],
        ResourceType::Encounter => &[ItemKind::Encounter],
        ResourceType::Appointment => &[ItemKind::Appointment],
        ResourceType::ServiceRequest => &[ItemKind::Referral, ItemKind::Observation],
        ResourceType::Provenance => &ItemKind::ALL,
        ResourceType::AuditEvent => &[],
    }
}
