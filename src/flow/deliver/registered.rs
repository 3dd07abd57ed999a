//! Where patients are registered, as the record view has it.

use std::sync::Arc;

use crate::{
    domain::{nhs_number::NhsNumber, record::ItemKind},
    flow::hub::Hub,
    store::PatientRecord,
};

use super::{
    Position,
    routes::{Registration, Registrations},
};

/// What the systems have told of each patient's practice: of several, the newest word counts.
#[derive(Debug)]
pub struct Registered(Arc<Hub>);

impl Registered {
    /// As this hub's record view has it.
    pub const fn new(hub: Arc<Hub>) -> Self {
        Self(hub)
    }
}

impl Registrations for Registered {
    fn of(&self, patient: &NhsNumber, position: Position) -> Registration {
        let found = self.0.in_view(|view| {
            if view.position()? <= position {
                return Ok(None);
            }
            let record = match view.find_by_nhs_number(patient)? {
                Some(patient) => view.record(patient)?,
                None => None,
            };
            Ok(Some(record.as_ref().and_then(practice)))
        });
        match found {
            Ok(Some(Some(practice))) => Registration::At(practice),
            Ok(Some(None)) => Registration::Unknown,
            // A view that is behind, closed or being made anew knows soon.
            Ok(None) | Err(_) => Registration::NotYet,
        }
    }
}

/// The newest word of any system that has not withdrawn it; none if that was to delete it.
fn practice(record: &PatientRecord) -> Option<String> {
    let demographics = record.items.get(&ItemKind::Demographics)?;
    let said = demographics.iter().filter(|item| item.withdrawn.is_none());
    let fields = said.filter_map(|item| item.fields.get("general_practice"));
    fields.max_by_key(|field| (field.occurred, field.received))?.value.clone()
}
