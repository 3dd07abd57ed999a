//! Reports: the results that came as one, together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::record::ItemKind;

use super::{
    Reading, ResourceType, moment,
    reading::{Told, reference},
    terms::{hl7, result_status},
    text::{clean, code},
    writer::pruned,
};

/// What results of one report have in common.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key<'a> {
    system: &'a str,
    /// The order, where the source's keys begin with it; else what else is the same of one report.
    order: Option<&'a str>,
    report: [Option<&'a str>; 2],
    others: [Option<&'a str>; 4],
}

/// The reports of a record, in the order of their first results. Results without a report's name stand by themselves.
pub(super) fn reports(reading: &Reading<'_>) -> Vec<Value> {
    let results: Vec<Told<'_>> = reading.items(ItemKind::Result).collect();
    let mut groups: Vec<(Key<'_>, Vec<&Told<'_>>)> = Vec::new();
    let mut places: BTreeMap<Key<'_>, usize> = BTreeMap::new();
    for told in &results {
        let Some(key) = key(told) else { continue };
        let place = *places.entry(key.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, results)) => results.push(told),
            None => groups.push((key, vec![told])),
        }
    }
    groups.iter().filter_map(|(key, results)| report(reading, key, results)).collect()
}

fn key<'a>(told: &Told<'a>) -> Option<Key<'a>> {
    let report = [told.text("report_code"), told.text("report")];
    let source = told.item.sources.first()?;
    if report == [None, None] {
        return None;
    }
    // `order|report code|…`, as hospital systems' results are known.
    let parts: Vec<&str> = source.key.splitn(3, '|').collect();
    let order = match parts.as_slice() {
        [order, code, _] if !order.is_empty() && Some(*code) == report[0] => Some(*order),
        _ => None,
    };
    let others = match order {
        Some(_) => [None; 4],
        None => ["observed", "specimen", "received", "performer"].map(|name| told.text(name)),
    };
    Some(Key { system: &source.system, order, report, others })
}

fn report(reading: &Reading<'_>, key: &Key<'_>, results: &[&Told<'_>]) -> Option<Value> {
    let first = results.first()?;
    let id = reading.ids().of(&["report", first.id]);
    let same = |name: &str| {
        let said = first.text(name)?;
        results.iter().all(|told| told.text(name) == Some(said)).then_some(said)
    };
    let newest =
        results.iter().filter_map(|told| told.item.sources.first()).max_by_key(|source| source.said_at);
    let is_laboratory = results.iter().any(|told| told.text("specimen").is_some());
    let category = is_laboratory.then(|| hl7("v2-0074", "LAB"));
    let shown = |name| same(name).map(|text| json!([{ "display": clean(text) }]));
    pruned(json!({
        "resourceType": ResourceType::DiagnosticReport.name(),
        "id": id,
        "meta": reading.meta(newest, results.iter().any(|told| told.item.disputed)),
        "status": status(results),
        "category": [category],
        "code": {
            "coding": [{ "code": key.report[0].map(code) }],
            "text": key.report[1].or(key.report[0]).map(clean),
        },
        "subject": reading.subject(),
        "effectiveDateTime": same("observed").and_then(moment::date_time),
        "issued": same("recorded").and_then(moment::instant),
        "performer": shown("performer"),
        "specimen": shown("specimen"),
        "result": results.iter().map(|told| reference(ResourceType::Observation, told.id)).collect::<Vec<_>>(),
    }))
}

/// As far as the least final of its results.
fn status(results: &[&Told<'_>]) -> &'static str {
    let all: Vec<&str> = results.iter().map(|told| result_status(told.text("status"))).collect();
    let any = |status: &str| all.contains(&status);
    let every = |status: &[&str]| all.iter().all(|one| status.contains(one));
    if every(&["cancelled"]) {
        "cancelled"
    } else if every(&["entered-in-error"]) {
        "entered-in-error"
    } else if every(&["registered"]) {
        "registered"
    } else if every(&["preliminary"]) {
        "preliminary"
    } else if any("preliminary") || any("registered") {
        "partial"
    } else if any("unknown") {
        "unknown"
    } else if any("corrected") {
        "corrected"
    } else if any("amended") || any("entered-in-error") || any("cancelled") {
        "amended"
    } else {
        "final"
    }
}
