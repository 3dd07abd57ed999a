//! FHIR R4 (4.0.1): the one record of a patient as resources, searches over them, and the patient summary as a document
//! (HL7 International Patient Summary).
//!
//! Nothing is made up on the way. What has no code in FHIR stays in the words of its source; moments are as precise as
//! they were; what systems say differently stays side by side, each with its `meta.source`; what is held back is counted.
//!
//! Resources and their bytes together take at most 16 times the texts of the record, and 16 KiB an item; tests/bounded.rs
//! measures it. Texts beyond what FHIR takes are cut, and say so; documents are given whole, as `Binary`, one at a time.

mod appointment;
mod audit;
mod bundle;
mod capability;
mod clinical;
mod document;
mod encounter;
mod ids;
mod medication;
mod moment;
mod narrative;
mod observation;
mod outcome;
mod patient;
mod provenance;
mod reading;
mod report;
mod resource_type;
mod search;
mod summary;
mod terms;
mod text;
mod writer;

use serde_json::Value;

use crate::domain::record::ItemKind;

pub use audit::{AuditLine, AuditOutcome, audit_event};
pub use bundle::{Page, searchset};
pub use capability::{capability_statement, rest_resources};
pub use document::binary;
pub use ids::Ids;
pub use outcome::{Issue, outcome};
pub use reading::{Reading, Withheld, patient_id};
pub use resource_type::ResourceType;
pub use search::{Fault, PARAMETERS_MAX, Search, Subject};
pub use summary::{Author, summary};
pub use terms::TAGS;
pub use writer::write;

/// All resources of a type that a record comes to, in its order.
pub fn resources(reading: &Reading<'_>, kind: ResourceType) -> Vec<Value> {
    match kind {
        ResourceType::Patient => patient::patients(reading),
        ResourceType::AllergyIntolerance => {
            reading.items(ItemKind::Allergy).map(|told| clinical::allergy(&told)).collect()
        }
        ResourceType::Condition => {
            reading.items(ItemKind::Problem).map(|told| clinical::condition(&told)).collect()
        }
        ResourceType::MedicationStatement => {
            reading.items(ItemKind::Medication).map(|told| medication::statement(&told)).collect()
        }
        ResourceType::Immunization => {
            reading.items(ItemKind::Immunisation).map(|told| clinical::immunization(&told)).collect()
        }
        ResourceType::Observation => observation::observations(reading),
        ResourceType::DiagnosticReport => report::reports(reading),
        ResourceType::DocumentReference => {
            reading.items(ItemKind::Document).map(|told| document::reference(&told)).collect()
        }
        ResourceType::Encounter => {
            reading.items(ItemKind::Encounter).map(|told| encounter::encounter(&told)).collect()
        }
        ResourceType::Appointment => {
            reading.items(ItemKind::Appointment).map(|told| appointment::appointment(&told)).collect()
        }
        ResourceType::ServiceRequest => encounter::requests(reading),
        ResourceType::Provenance => provenance::provenances(reading),
        // Neither follows from a record: the one is of the audit, the other is asked for one by one.
        ResourceType::AuditEvent | ResourceType::Binary => Vec::new(),
    }
}
