//! Taking messages into the view: whose they are, what they change, what wants repair.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    codec::cbor,
    domain::{
        record::{Event, Identifier},
        time::Timestamp,
    },
    journal::Position,
};

use super::{
    View, ViewError,
    item::{Item, keep_body},
    keys,
};

/// Repairs listed; older ones are forgotten (their messages are not).
const REPAIRS_MAX: u64 = 10_000;
/// A chain of merges longer than this is a circle.
const MERGES_MAX: usize = 64;

/// A message to be taken in.
#[derive(Debug)]
pub struct Applied<'a> {
    /// The configured name of the system it came from.
    pub system: &'a str,
    /// When the hub accepted it: what orders it if its sender gave no time.
    pub received: Timestamp,
    /// What it says.
    pub event: &'a Event,
}

/// A message that was taken in, and that someone should look at.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Repair {
    /// When the hub accepted it.
    pub at: Timestamp,
    /// From which system.
    pub system: String,
    /// The sender's own identifier.
    pub source_id: String,
    /// What is wrong, without content.
    pub problem: String,
}

impl View {
    /// Takes messages in together: all of them and the place they lead to, or none.
    ///
    /// # Errors
    /// sled or the disk failed; nothing has changed.
    pub fn apply(&mut self, messages: &[Applied<'_>], next: Position) -> Result<(), ViewError> {
        let mut changes = Changes { view: self, pending: HashMap::new(), patients: self.patients };
        for message in messages {
            changes.take(message)?;
        }
        let patients = changes.patients;
        let mut batch = sled::Batch::default();
        for (key, value) in changes.pending {
            batch.insert(key, value);
        }
        batch.insert(keys::PATIENTS, &patients.to_be_bytes());
        batch.insert(keys::CURSOR, keys::position(next));
        self.db.apply_batch(batch).map_err(ViewError::Database)?;
        self.patients = patients;
        Ok(())
    }
}

/// Changes not yet in sled; several to one key become one write.
struct Changes<'v> {
    view: &'v View,
    pending: HashMap<Vec<u8>, Vec<u8>>,
    patients: u64,
}

impl Changes<'_> {
    fn take(&mut self, message: &Applied<'_>) -> Result<(), ViewError> {
        let event = message.event;
        if let Err(invalid) = event.nhs_number {
            self.repair(message, &format!("not linked by NHS number: {invalid}"))?;
        }
        let Some(patient) = self.patient(message)? else { return Ok(()) };
        for identifier in &event.identifiers {
            let key = keys::patient_identifier(patient, message.system, identifier);
            if self.get(&key)?.is_none() {
                let value = cbor::encode(&(message.system, identifier)).unwrap_or_default();
                self.pending.insert(key, value);
            }
        }
        self.merge(message, patient)?;
        let at = event.occurred.unwrap_or(message.received);
        for change in &event.items {
            let key = keys::item(patient, change.kind, message.system, &change.key);
            let mut item = match self.get(&key)? {
                Some(bytes) => Item::decode(&bytes).ok_or(ViewError::Unreadable)?,
                None => Item::default(),
            };
            let (disk, directory) = (self.view.disk.as_ref(), &self.view.directory);
            let keep = |text: &str| keep_body(disk, directory, text);
            let changed = item.change(&change.fields, at, &event.source_id, keep).map_err(ViewError::Disk)?;
            if changed {
                self.pending.insert(key, item.encode());
            }
        }
        Ok(())
    }

    /// Whose a message is: by its local identifiers first, else by its NHS number, else someone new.
    ///
    /// The two may disagree. Then the message stays with whom the system means, and someone is told: records
    /// are never joined on a guess.
    fn patient(&mut self, message: &Applied<'_>) -> Result<Option<u64>, ViewError> {
        let event = message.event;
        let local = event.identifiers.iter().filter(|one| !is_nhs(one));
        let mut by_local = None;
        for one in local.clone() {
            let found = self.link(&keys::identifier(message.system, one))?;
            match (by_local, found) {
                (Some(known), Some(found)) if known != found => {
                    self.repair(message, "its local identifiers belong to different patients")?;
                }
                (None, found) => by_local = found,
                _ => {}
            }
        }
        let nhs_key = event.nhs_number.ok().map(|number| keys::nhs_number(&number));
        let by_nhs = match &nhs_key {
            Some(key) => self.link(key)?,
            None => None,
        };
        if let (Some(local), Some(nhs)) = (by_local, by_nhs)
            && local != nhs
        {
            self.repair(message, "its local identifier and its NHS number belong to different patients")?;
        }
        let nameless = event.identifiers.is_empty() && nhs_key.is_none();
        if nameless {
            self.repair(message, "it names no patient at all")?;
            return Ok(None);
        }
        let patient = match by_local.or(by_nhs) {
            Some(patient) => patient,
            None => {
                self.patients += 1;
                self.patients
            }
        };
        for one in local {
            self.link_if_new(keys::identifier(message.system, one), patient)?;
        }
        if let Some(key) = nhs_key {
            self.link_if_new(key, patient)?;
        }
        Ok(Some(patient))
    }

    /// Patients that end here become this one; what comes to them later comes here.
    fn merge(&mut self, message: &Applied<'_>, survivor: u64) -> Result<(), ViewError> {
        for ended in &message.event.merged {
            let key = keys::identifier(message.system, ended);
            match self.link(&key)? {
                Some(patient) if patient != survivor => {
                    self.pending.insert(keys::merged(patient), survivor.to_be_bytes().to_vec());
                    let list = keys::patient_identifier(survivor, message.system, ended);
                    let value = cbor::encode(&(message.system, ended)).unwrap_or_default();
                    self.pending.insert(list, value);
                }
                Some(_) => {}
                // Merged before anything was heard of it.
                None => self.link_if_new(key, survivor)?,
            }
        }
        Ok(())
    }

    /// The patient behind a key, at the end of its merges.
    fn link(&self, key: &[u8]) -> Result<Option<u64>, ViewError> {
        let Some(bytes) = self.get(key)? else { return Ok(None) };
        let mut patient = keys::number(&bytes).ok_or(ViewError::Unreadable)?;
        for _ in 0..MERGES_MAX {
            match self.get(&keys::merged(patient))? {
                Some(bytes) => patient = keys::number(&bytes).ok_or(ViewError::Unreadable)?,
                None => break,
            }
        }
        Ok(Some(patient))
    }

    fn link_if_new(&mut self, key: Vec<u8>, patient: u64) -> Result<(), ViewError> {
        if self.get(&key)?.is_none() {
            self.pending.insert(key, patient.to_be_bytes().to_vec());
        }
        Ok(())
    }

    fn repair(&mut self, message: &Applied<'_>, problem: &str) -> Result<(), ViewError> {
        let number = self.get(keys::REPAIRS)?.and_then(|bytes| keys::number(&bytes)).unwrap_or(0) + 1;
        let repair = Repair {
            at: message.received,
            system: message.system.to_owned(),
            source_id: message.event.source_id.clone(),
            problem: problem.to_owned(),
        };
        self.pending.insert(keys::REPAIRS.to_vec(), number.to_be_bytes().to_vec());
        // The list is a ring: the newest overwrites the oldest.
        self.pending.insert(keys::repair(number % REPAIRS_MAX), cbor::encode(&repair).unwrap_or_default());
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        if let Some(value) = self.pending.get(key) {
            return Ok(Some(value.clone()));
        }
        let found = self.view.db.get(key).map_err(ViewError::Database)?;
        Ok(found.map(|value| value.to_vec()))
    }
}

fn is_nhs(identifier: &Identifier) -> bool {
    identifier.authority == "NHS" || matches!(identifier.kind.as_str(), "NH" | "NHS")
}
