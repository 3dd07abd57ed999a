//! From a practice's answer to the hub's own terms: every item of the record, with its source's words and codes.

mod clinical;
mod demographics;
mod fields;
mod index;
mod medication;
mod notices;
mod other;
mod results;

use std::collections::HashMap;

use crate::{
    codec::fhir::{
        Allergy, Bundle, Condition, DocumentReference, Element, Encounter, Immunization, List,
        MedicationRequest, MedicationStatement, Observation, Patient, ProcedureRequest, ReferralRequest,
    },
    domain::{
        record::{FieldChange, ItemChange, ItemKind},
        slot::{AppointmentStatus, BookedAppointment},
    },
};

use super::{Profile, local_time};

pub use demographics::identifiers;
use fields::Context;
pub use index::Index;
pub use notices::{not_available, not_supported};

/// No record has more items. A practice's largest come to a few tens of thousands.
const ITEMS_MAX: usize = 200_000;
/// What an answer holds beside items: who, where and how it hangs together.
const STRUCTURE: [&str; 12] = [
    "Patient",
    "Organization",
    "Practitioner",
    "PractitionerRole",
    "Location",
    "HealthcareService",
    "Medication",
    "Specimen",
    "DiagnosticReport",
    "List",
    "OperationOutcome",
    "Device",
];

/// An answer in the hub's terms.
pub struct Mapped<'a> {
    /// Whose record it says it is.
    pub patient: Option<Patient<'a>>,
    /// Everything it holds.
    pub items: Vec<ItemChange>,
    /// What was odd about it, as stable codes.
    pub faults: Vec<&'static str>,
}

/// Reads a record. Nothing in it can make this fail; what is not understood is a fault or left out.
pub fn record<'a>(bundle: Bundle<'a>, profile: &'static Profile) -> Mapped<'a> {
    let context = Context { index: Index::of(bundle), profile, ended: clinical::ended_allergies(bundle) };
    let mut gathered = Gathered::default();
    let patient = bundle.resources().find_map(Patient::of);
    if let Some(patient) = patient {
        gathered.add(demographics::item(patient, &context));
    }
    let reports = results::Reports::of(bundle, &context);
    let prescriptions = medication::Prescriptions::of(bundle);
    for (number, resource) in with_contained(bundle).enumerate() {
        let name = index::name_of(resource);
        let kind = resource.text_of("resourceType").unwrap_or_default();
        let key = name.clone().unwrap_or_else(|| format!("{kind}/-{number}"));
        match item(resource, &key, &context, &reports, &prescriptions) {
            Read::Item(item) => {
                gathered.add(item);
                if name.is_none() {
                    gathered.fault("resource-without-id");
                }
            }
            Read::Nothing => {}
            Read::NotMapped => gathered.fault("resource-not-mapped"),
        }
    }
    for item in reports.without_results(&context) {
        gathered.add(item);
    }
    for notice in notices::items(bundle) {
        gathered.add(notice);
    }
    if bundle.element().each("link").any(|link| link.text_of("relation") == Some("next")) {
        gathered.fault("answer-in-pages");
    }
    Mapped { patient, items: gathered.items, faults: gathered.faults }
}

/// Every resource of an answer, and what its lists hold within themselves: resolved allergies in version 1.2.
fn with_contained(bundle: Bundle<'_>) -> impl Iterator<Item = Element<'_>> {
    let in_lists =
        bundle.resources().filter(|one| List::of(*one).is_some()).flat_map(|list| list.each("contained"));
    bundle.resources().chain(in_lists)
}

/// What a resource turned out to be.
enum Read {
    Item(ItemChange),
    Nothing,
    NotMapped,
}

fn item(
    resource: Element<'_>,
    key: &str,
    context: &Context<'_>,
    reports: &results::Reports<'_>,
    prescriptions: &medication::Prescriptions,
) -> Read {
    let key = || key.to_owned();
    let found =
        Option::or_else(Allergy::of(resource).map(|one| clinical::allergy(one, key(), context)), || {
            Condition::of(resource).map(|one| clinical::problem(one, key(), context))
        })
        .or_else(|| Immunization::of(resource).map(|one| clinical::immunisation(one, key(), context)))
        .or_else(|| Encounter::of(resource).map(|one| clinical::encounter(one, key(), context)))
        .or_else(|| DocumentReference::of(resource).map(|one| other::document(one, key(), context)))
        .or_else(|| ReferralRequest::of(resource).map(|one| other::referral(one, key(), context)));
    if let Some(found) = found {
        return Read::Item(found);
    }
    if let Some(observation) = Observation::of(resource) {
        return reports.observation(observation, key(), context).map_or(Read::Nothing, Read::Item);
    }
    if let Some(statement) = MedicationStatement::of(resource) {
        return Read::Item(medication::statement(statement, key(), context));
    }
    if let Some(request) = MedicationRequest::of(resource) {
        let is_told = prescriptions.is_told(request);
        return if is_told {
            Read::Nothing
        } else {
            Read::Item(medication::request(request, key(), context))
        };
    }
    if let Some(request) = ProcedureRequest::of(resource) {
        let diary = other::diary_entry(request, key(), context);
        return diary.map_or(Read::Nothing, Read::Item);
    }
    let kind = resource.text_of("resourceType").unwrap_or_default();
    if STRUCTURE.contains(&kind) { Read::Nothing } else { Read::NotMapped }
}

/// Items with keys of their own, and faults said once.
#[derive(Default)]
struct Gathered {
    items: Vec<ItemChange>,
    /// For each key where it stands first, and how often it came.
    keys: HashMap<(ItemKind, String), (usize, u64)>,
    faults: Vec<&'static str>,
}

impl Gathered {
    fn fault(&mut self, code: &'static str) {
        if !self.faults.contains(&code) {
            self.faults.push(code);
        }
    }

    /// Two items under one name are both kept: which is right is not ours to say.
    fn add(&mut self, mut item: ItemChange) {
        let place = self.items.len();
        if place == ITEMS_MAX {
            return self.fault("too-many-items");
        }
        let (first, times) = self.keys.entry((item.kind, item.key.clone())).or_insert((place, 0));
        *times += 1;
        if 1 < *times {
            let same = self.items.get(*first) == Some(&item);
            item.key = format!("{}~{times}", item.key);
            self.fault("resource-twice");
            if same {
                return;
            }
        }
        self.items.push(item);
    }
}

/// An appointment as an item of the record.
pub fn appointment(appointment: &BookedAppointment) -> ItemChange {
    let set = |text: &str| FieldChange::Set(text.to_owned());
    let (status, at_source) = match appointment.status {
        AppointmentStatus::Booked => ("booked", "booked"),
        AppointmentStatus::Cancelled => ("cancelled", "cancelled"),
        AppointmentStatus::Arrived => ("arrived", "arrived"),
        AppointmentStatus::Fulfilled => ("attended", "fulfilled"),
        AppointmentStatus::NoShow => ("did not attend", "noshow"),
        AppointmentStatus::Other => ("booked", "other"),
    };
    let minutes = appointment.end.since(appointment.start).as_secs() / 60;
    let fields = [
        ("status", set(status)),
        ("status_at_source", set(at_source)),
        ("start", set(&local_time::moment(appointment.start))),
        ("end", set(&local_time::moment(appointment.end))),
        ("duration", set(&minutes.to_string())),
        ("name", set(&appointment.description)),
        ("note", set(&appointment.comment)),
        ("organisation", set(&appointment.booked_by)),
        ("delivery_channel", set(&appointment.delivery_channel)),
        ("cancellation_reason", set(&appointment.cancellation_reason)),
        ("recorded", set(&appointment.created)),
    ];
    let blank = |field: &FieldChange| matches!(field, FieldChange::Set(text) if text.is_empty());
    let fields = fields.into_iter().filter(|(_, field)| !blank(field)).collect();
    ItemChange::new(ItemKind::Appointment, format!("Appointment/{}", appointment.id), fields)
}

#[cfg(test)]
mod tests;
