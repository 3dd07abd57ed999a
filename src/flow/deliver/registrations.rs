//! Where patients are registered, by the one record: what any system last said.

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

/// Asks the record view, once it has come up to the message that is to be delivered.
#[derive(Debug)]
pub struct RecordedRegistrations(Arc<Hub>);

impl RecordedRegistrations {
    /// Of this hub's record.
    pub fn new(hub: &Arc<Hub>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(hub)))
    }
}

impl Registrations for RecordedRegistrations {
    fn of(&self, patient: &NhsNumber, position: Position) -> Registration {
        let found = self.0.in_view(|view| {
            if view.position()? <= position {
                return Ok(Registration::NotYet);
            }
            let record = match view.find_by_nhs_number(patient)? {
                Some(known) => view.record(known)?,
                None => None,
            };
            Ok(record.and_then(|record| practice(&record)).map_or(Registration::Unknown, Registration::At))
        });
        // A view that is not open yet, or fails, is made anew: what is to be delivered waits for it.
        found.unwrap_or(Registration::NotYet)
    }
}

/// What was said last of the patient's practice, by whichever system; none if it was withdrawn.
fn practice(record: &PatientRecord) -> Option<String> {
    let demographics = record.items.get(&ItemKind::Demographics)?;
    let said = demographics.iter().filter(|item| item.withdrawn.is_none());
    let fields = said.filter_map(|item| item.fields.get("general_practice"));
    fields.max_by_key(|field| (field.occurred, field.received))?.value.clone()
}
