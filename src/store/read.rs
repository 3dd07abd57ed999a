//! A patient's record as the view has it: every system's items, each field with who said it and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    Disagreement, PatientId, ViewError,
    keys::{self, Room},
    state::State,
    value::{Alias, Content, Item},
};
use crate::domain::{
    nhs_number::NhsNumber,
    record::{Identifier, ItemKind},
    time::Timestamp,
};

/// Patients joined to one record that are read; a filler used as an identifier may join very many.
pub const JOINED_MAX: usize = 1_000;
/// Items of one record that are read.
pub const ITEMS_MAX: usize = 20_000;

/// Everything known of one patient. Its `Debug` shows numbers of things only.
#[derive(Clone, Eq, PartialEq)]
pub struct PatientRecord {
    /// Whose it is, after all merges.
    pub patient: PatientId,
    /// Normally one; more after a merge that was ordered.
    pub nhs_numbers: BTreeSet<NhsNumber>,
    /// Local identifiers, by system.
    pub identifiers: BTreeSet<KnownIdentifier>,
    /// The items, by kind.
    pub items: BTreeMap<ItemKind, Vec<RecordItem>>,
    /// What is contradictory about who this is.
    pub disagreements: Vec<Disagreement>,
    /// There is more than [`JOINED_MAX`] or [`ITEMS_MAX`] allow to be read.
    pub truncated: bool,
}

impl PatientRecord {
    /// The identifiers that a message merged into others.
    pub fn merged_from(&self) -> impl Iterator<Item = &KnownIdentifier> {
        self.identifiers.iter().filter(|known| known.merged)
    }
}

impl fmt::Debug for PatientRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientRecord")
            .field("patient", &self.patient)
            .field("nhs_numbers", &self.nhs_numbers.len())
            .field("identifiers", &self.identifiers.len())
            .field("items", &self.items.values().map(Vec::len).sum::<usize>())
            .field("disagreements", &self.disagreements.len())
            .finish_non_exhaustive()
    }
}

/// A local identifier of a patient.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KnownIdentifier {
    /// The system that uses it.
    pub system: String,
    /// The identifier.
    pub identifier: Identifier,
    /// A message merged it into another (A40).
    pub merged: bool,
}

/// One item of a record. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
pub struct RecordItem {
    /// The system it comes from.
    pub system: String,
    /// That system's key for it.
    pub key: String,
    /// The earliest moment of which a message told of it.
    pub first_seen: Timestamp,
    /// The latest moment at which any field was said; if it has none, as [`RecordItem::first_seen`].
    pub last_changed: Timestamp,
    /// How many messages changed it, in the order they came; the same messages in another order may give another number.
    pub versions: u64,
    /// Its fields, by name.
    pub fields: BTreeMap<String, FieldValue>,
}

impl fmt::Debug for RecordItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordItem({} fields)", self.fields.len())
    }
}

/// What one field says. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
pub struct FieldValue {
    /// The value; `None` if it was withdrawn.
    pub value: Option<String>,
    /// When it was so, by the sender's clock, else by this hub's on receipt.
    pub occurred: Timestamp,
    /// The sender's identifier of the message that said so, at most 64 bytes of it.
    pub source_id: String,
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldValue({:?})", self.occurred)
    }
}

impl State {
    /// Reads a record.
    pub(super) fn record(&self, patient: PatientId) -> Result<Option<PatientRecord>, ViewError> {
        if self.shelf.get(&keys::numbered(Room::Patient, patient.0))?.is_none() {
            return Ok(None);
        }
        let root = self.root(patient.0)?;
        let (joined, mut truncated) = self.joined(root)?;
        let mut record = PatientRecord {
            patient: PatientId(root),
            nhs_numbers: BTreeSet::new(),
            identifiers: BTreeSet::new(),
            items: BTreeMap::new(),
            disagreements: Vec::new(),
            truncated: false,
        };
        let mut items = BTreeMap::new();
        for patient in joined {
            record.nhs_numbers.extend(self.patient(patient)?.nhs_number);
            self.read_identifiers(patient, &mut record)?;
            truncated |= self.read_items(patient, &mut items)?;
            for bytes in self.shelf.scan(&keys::numbered(Room::Disagreement, patient), ITEMS_MAX)?.values() {
                record.disagreements.push(self.disagreement(bytes)?);
            }
        }
        for ((kind, _, _), item) in items {
            record.items.entry(kind).or_default().push(item);
        }
        record.disagreements.sort();
        record.truncated = truncated;
        Ok(Some(record))
    }

    /// The patients whose records are one, and whether there are more.
    fn joined(&self, root: u64) -> Result<(BTreeSet<u64>, bool), ViewError> {
        let mut joined = BTreeSet::from([root]);
        let mut open = vec![root];
        while let Some(patient) = open.pop() {
            for key in self.shelf.scan(&keys::numbered(Room::Child, patient), JOINED_MAX)?.keys() {
                let child = keys::child_of(key).ok_or(ViewError::Damaged("a join cannot be read"))?;
                if JOINED_MAX <= joined.len() {
                    return Ok((joined, true));
                }
                if joined.insert(child) {
                    open.push(child);
                }
            }
        }
        Ok((joined, false))
    }

    fn read_identifiers(&self, patient: u64, record: &mut PatientRecord) -> Result<(), ViewError> {
        for bytes in self.shelf.scan(&keys::numbered(Room::Alias, patient), ITEMS_MAX)?.values() {
            let alias = Alias::decode(bytes).ok_or(ViewError::Damaged("an identifier cannot be read"))?;
            let system = self.name(alias.system)?.to_owned();
            let Alias { merged, identifier, .. } = alias;
            record.identifiers.insert(KnownIdentifier { system, identifier, merged });
        }
        Ok(())
    }

    /// Adds a patient's items to those read; true if there are too many.
    fn read_items(
        &self,
        patient: u64,
        items: &mut BTreeMap<(ItemKind, String, String), RecordItem>,
    ) -> Result<bool, ViewError> {
        let found = self.shelf.items(patient)?;
        for (key, item) in &found {
            if ITEMS_MAX <= items.len() {
                return Ok(true);
            }
            let name = keys::item_name(key).ok_or(ViewError::Damaged("an item's key cannot be read"))?;
            let own = name.key.or_else(|| item.key.clone()).unwrap_or_default();
            let read = self.read_item(name.system, own, item)?;
            match items.entry((name.kind, read.system.clone(), read.key.clone())) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(read);
                }
                std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().take_in(read),
            }
        }
        Ok(false)
    }

    fn read_item(&self, system: u64, key: String, item: &Item) -> Result<RecordItem, ViewError> {
        let mut fields = BTreeMap::new();
        for field in &item.fields {
            let value = match &field.content {
                Content::Deleted => None,
                Content::Text(text) => Some(text.clone()),
                Content::Body(body) => {
                    let bytes = self.shelf.bodies.get(body)?;
                    Some(
                        String::from_utf8(bytes)
                            .map_err(|_| ViewError::Damaged("a content file is no text"))?,
                    )
                }
            };
            let (occurred, source_id) = (field.stamp.occurred, field.stamp.source_id.to_string());
            fields.insert(self.name(field.name)?.to_owned(), FieldValue { value, occurred, source_id });
        }
        Ok(RecordItem {
            system: self.name(system)?.to_owned(),
            key,
            first_seen: item.first_seen,
            last_changed: item.fields.iter().map(|f| f.stamp.occurred).max().unwrap_or(item.first_seen),
            versions: item.versions,
            fields,
        })
    }
}

impl RecordItem {
    /// Takes in the same item as it is known under another of the patient's identifiers.
    fn take_in(&mut self, other: Self) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.versions += other.versions;
        for (name, theirs) in other.fields {
            match self.fields.get(&name) {
                Some(ours) if (theirs.occurred, &theirs.source_id) <= (ours.occurred, &ours.source_id) => {}
                _ => {
                    self.fields.insert(name, theirs);
                }
            }
        }
        self.last_changed = self.fields.values().map(|field| field.occurred).max().unwrap_or(self.first_seen);
    }
}
