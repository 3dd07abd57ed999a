//! Reading the view. Whoever shows it to people asks the policy first; this room only finds.

use crate::{
    codec::cbor,
    domain::{
        nhs_number::NhsNumber,
        record::{Identifier, ItemKind},
    },
};

use super::{View, ViewError, apply::Repair, item::Item, keys};

/// A patient within this view; another after it has been made anew.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PatientId(u64);

/// What the view has of a patient.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PatientRecord {
    /// Each with the system that lists it.
    pub identifiers: Vec<(String, Identifier)>,
    /// Each with its system; patients merged into this one included.
    pub items: Vec<StoredItem>,
}

/// One item of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredItem {
    /// Which part of the record.
    pub kind: ItemKind,
    /// From which system.
    pub system: String,
    /// Its fields.
    pub item: Item,
}

impl View {
    /// The patient with an NHS number.
    ///
    /// # Errors
    /// sled failed.
    pub fn find_by_nhs_number(&self, number: &NhsNumber) -> Result<Option<PatientId>, ViewError> {
        self.follow(&keys::nhs_number(number))
    }

    /// The patient whom a system knows by an identifier.
    ///
    /// # Errors
    /// sled failed.
    pub fn find_by_identifier(
        &self,
        system: &str,
        identifier: &Identifier,
    ) -> Result<Option<PatientId>, ViewError> {
        self.follow(&keys::identifier(system, identifier))
    }

    /// Everything of a patient, with everything of those merged into them.
    ///
    /// # Errors
    /// sled failed, or a value cannot be read.
    pub fn record(&self, patient: PatientId) -> Result<PatientRecord, ViewError> {
        let mut record = PatientRecord::default();
        for one in self.with_merged(patient)? {
            let prefix = keys::of_patient(one);
            for entry in self.db.scan_prefix(&prefix) {
                let (key, value) = entry.map_err(ViewError::Database)?;
                let rest = key.get(prefix.len()..).unwrap_or_default();
                let kind = match rest.first() {
                    Some(b'i') => {
                        let listed = cbor::decode(&value, 4096).map_err(|_| ViewError::Unreadable)?;
                        record.identifiers.push(listed);
                        continue;
                    }
                    Some(b'D') => ItemKind::Demographics,
                    Some(b'E') => ItemKind::Encounter,
                    Some(b'A') => ItemKind::Appointment,
                    _ => ItemKind::Result,
                };
                let system = rest.get(1..).unwrap_or_default().split(|byte| *byte == 0).next();
                let system = String::from_utf8_lossy(system.unwrap_or_default()).into_owned();
                let item = Item::decode(&value).ok_or(ViewError::Unreadable)?;
                record.items.push(StoredItem { kind, system, item });
            }
        }
        Ok(record)
    }

    /// Messages that someone should look at, and how many there have been altogether.
    ///
    /// # Errors
    /// sled failed.
    pub fn repairs(&self) -> Result<(Vec<Repair>, u64), ViewError> {
        let total = self.db.get(keys::REPAIRS).map_err(ViewError::Database)?;
        let total = total.and_then(|bytes| keys::number(&bytes)).unwrap_or(0);
        let mut repairs = Vec::new();
        for entry in self.db.scan_prefix(b"r") {
            let (_, value) = entry.map_err(ViewError::Database)?;
            repairs.push(cbor::decode(&value, 4096).map_err(|_| ViewError::Unreadable)?);
        }
        Ok((repairs, total))
    }

    fn follow(&self, key: &[u8]) -> Result<Option<PatientId>, ViewError> {
        let get = |key: &[u8]| {
            let found = self.db.get(key).map_err(ViewError::Database)?;
            found.map(|bytes| keys::number(&bytes).ok_or(ViewError::Unreadable)).transpose()
        };
        let Some(mut patient) = get(key)? else { return Ok(None) };
        // A chain this long would be a circle.
        for _ in 0..64 {
            match get(&keys::merged(patient))? {
                Some(into) => patient = into,
                None => break,
            }
        }
        Ok(Some(PatientId(patient)))
    }

    /// A patient and all who were merged into them.
    fn with_merged(&self, patient: PatientId) -> Result<Vec<u64>, ViewError> {
        let mut merges = Vec::new();
        for entry in self.db.scan_prefix(b"g") {
            let (key, value) = entry.map_err(ViewError::Database)?;
            let from = key.get(1..).and_then(keys::number).ok_or(ViewError::Unreadable)?;
            merges.push((from, keys::number(&value).ok_or(ViewError::Unreadable)?));
        }
        let mut all = vec![patient.0];
        let mut place = 0;
        while let Some(into) = all.get(place).copied() {
            for (from, _) in merges.iter().filter(|(_, target)| *target == into) {
                if !all.contains(from) {
                    all.push(*from);
                }
            }
            place += 1;
        }
        Ok(all)
    }
}
