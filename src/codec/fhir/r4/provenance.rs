//! Where it comes from that more than one system says one thing: all of them, with who said it and when.

use serde_json::{Value, json};

use crate::domain::record::ItemKind;

use super::{
    Reading, ResourceType, moment,
    observation::is_due,
    reading::{Told, reference},
    text::clean,
    writer::pruned,
};

/// One for each item that several systems say alike; a resource names the newest of them alone.
pub(super) fn provenances(reading: &Reading<'_>) -> Vec<Value> {
    let items = ItemKind::ALL.into_iter().flat_map(|kind| reading.items(kind));
    items.filter(|told| 1 < told.item.sources.len()).filter_map(|told| provenance(reading, &told)).collect()
}

fn provenance(reading: &Reading<'_>, told: &Told<'_>) -> Option<Value> {
    let agents: Vec<Value> = told
        .item
        .sources
        .iter()
        .map(|source| {
            let said = [source.author.as_deref(), source.organisation.as_deref()];
            let said: Vec<&str> = said.into_iter().flatten().map(str::trim).filter(|said| !said.is_empty()).collect();
            let words = if said.is_empty() { source.system.clone() } else { format!("{} ({})", said.join(", "), source.system) };
            let system = json!({ "system": reading.system_uri(&source.system), "value": reading.ids().of(&["source", &source.system, &source.key]) });
            json!({
                "type": { "text": moment::of(source.said_at).map(|moment| format!("Said so at {moment}")) },
                "who": { "identifier": system, "display": clean(&words) },
            })
        })
        .collect();
    let newest = told.item.sources.iter().map(|source| source.said_at).max()?;
    pruned(json!({
        "resourceType": ResourceType::Provenance.name(),
        "id": reading.ids().of(&["provenance", told.id]),
        "target": [reference(resource_type(told)?, told.id)],
        "occurredDateTime": moment::of(newest),
        "recorded": moment::of(reading.record.at)?,
        "agent": agents,
    }))
}

/// What an item of a kind comes to; none of what comes to no resource.
pub(super) fn resource_type(told: &Told<'_>) -> Option<ResourceType> {
    Some(match told.item.kind {
        ItemKind::Allergy => ResourceType::AllergyIntolerance,
        ItemKind::Problem => ResourceType::Condition,
        ItemKind::Medication => ResourceType::MedicationStatement,
        ItemKind::Immunisation => ResourceType::Immunization,
        ItemKind::Result => ResourceType::Observation,
        ItemKind::Observation if is_due(told) => ResourceType::ServiceRequest,
        ItemKind::Observation => ResourceType::Observation,
        ItemKind::Encounter => ResourceType::Encounter,
        ItemKind::Appointment => ResourceType::Appointment,
        ItemKind::Referral => ResourceType::ServiceRequest,
        ItemKind::Document => ResourceType::DocumentReference,
        ItemKind::Demographics => ResourceType::Patient,
        ItemKind::Notice => return None,
    })
}
