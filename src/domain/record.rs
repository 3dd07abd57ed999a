//! What a message says about a patient, in the hub's own terms: identifiers, merges, and items whose
//! fields are set, deleted or left alone.
//!
//! Every item keeps, for each field, when its source said so. A message that comes late therefore
//! repairs nothing that a newer one has already said, and order of arrival does not matter.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    ids::Class,
    nhs_number::{InvalidNhsNumber, NhsNumber},
    time::Timestamp,
};

/// One identifier of a patient: HL7 CX.1, CX.4 and CX.5. Its `Debug` shows no value.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Identifier {
    /// CX.1, the number itself.
    pub value: String,
    /// CX.4, who issued it, such as `NHS` or `RV5`.
    pub authority: String,
    /// CX.5, what sort it is, such as `NH`, `MR` or `PI`.
    pub kind: String,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({}, {})", self.authority, self.kind)
    }
}

/// What one message tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its kind, such as `ADT^A01`.
    pub kind: String,
    /// How urgent it is.
    pub class: Class,
    /// The sender's own message identifier.
    pub source_id: String,
    /// Who the sender says it is: MSH-3 and MSH-4, joined by `|`.
    pub sender: String,
    /// When it happened, by the sender's clock (EVN-6, else EVN-2, else MSH-7): what orders it.
    pub occurred: Option<Timestamp>,
    /// The patient's NHS number, or why there is none to use.
    pub nhs_number: Result<NhsNumber, InvalidNhsNumber>,
    /// Every identifier the message lists for the patient.
    pub identifiers: Vec<Identifier>,
    /// Patients whose record now belongs to this one (A40, MRG-1).
    pub merged: Vec<Identifier>,
    /// What it says of each item.
    pub items: Vec<ItemChange>,
    /// What was odd about it, as stable codes without content.
    pub faults: Vec<&'static str>,
}

/// What a record consists of.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// Who the patient is, as one system sees it.
    Demographics,
    /// A stay or an attendance.
    Encounter,
    /// A booked slot.
    Appointment,
    /// One observation of a report.
    Result,
}

/// What one message says of one item.
#[derive(Clone, Eq, PartialEq)]
pub struct ItemChange {
    /// Which part of the record.
    pub kind: ItemKind,
    /// Its source's own key, unique within system and kind.
    pub key: String,
    /// The fields it speaks of; all others stay as they are.
    pub fields: Vec<(&'static str, FieldChange)>,
}

impl fmt::Debug for ItemChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ItemChange({:?}, {} fields)", self.kind, self.fields.len())
    }
}

/// What a message says of one field.
#[derive(Clone, Eq, PartialEq)]
pub enum FieldChange {
    /// `""`: the value is withdrawn (HL7 v2.4, section 2.10).
    Delete,
    /// The value is this.
    Set(String),
}
