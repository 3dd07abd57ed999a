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
    /// Documents or messages withdrawn by it, such as an ITK nullification: every item whose
    /// [`ItemChange::part_of`] is one of these, from the same system, is withdrawn.
    pub withdraws: Vec<String>,
    /// What was odd about it, as stable codes without content.
    pub faults: Vec<&'static str>,
}

/// What a record consists of.
///
/// The names of fields are the same whichever system speaks. All kinds may have `code`, `code_system`
/// (`snomed-ct`, `read-2`, `ctv3`, `loinc`, `local`, or the URI or OID as received), `name` (the text shown),
/// `codings` (every coding as received, one a line, `system|code|display`), `status`, `status_at_source`,
/// `author`, `organisation`, `recorded` and `note`. Moments are ISO 8601, as precise as the source was and never
/// more so, with an offset where it gave one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// Who the patient is, as one system sees it: `family_name`, `given_name`, `birth_date`, `gender`,
    /// `postcode`, `general_practice` (ODS code), `nhs_number_status` (table 0445, `NSTS01` = verified) …
    Demographics,
    /// A stay, an attendance or a consultation: `patient_class`, `location`, `clinician`, `started`, `ended`,
    /// `type`, `outcome`.
    Encounter,
    /// A booked slot: `start`, `end`, `duration` (minutes), `service`, `location`, `clinician`,
    /// `delivery_channel`, `cancellation_reason`; `status` is `provisional`, `booked`, `arrived`, `attended`,
    /// `cancelled`, `did not attend`, `discontinued` or `deleted`.
    Appointment,
    /// One observation of a report: `report_code`, `report`, `value_type`, `value`, `comparator`, `units`,
    /// `reference_range`, `abnormal_flags` (HL7 table 0078), `observed`, `received`, `specimen`, `method`,
    /// `performer`; `status` as HL7 table 0085.
    Result,
    /// A problem or diagnosis: `significance`, `onset`, `ended`.
    Problem,
    /// A medicine: `dose`, `quantity`, `prescription_type`, `started`, `ended`, `last_issued`.
    Medication,
    /// An allergy or intolerance: `category`, `severity`, `certainty`, `reaction`, `onset`, `ended`.
    Allergy,
    /// A vaccination: `given`, `product`, `batch_number`, `site`, `route`, `dose_sequence`.
    Immunisation,
    /// A letter, a report or a scan: `title`, `type`, `created`, `media_type`, `encoding` (`text` or `base64`)
    /// and `content`.
    Document,
    /// A referral or an urgent-care case: `service`, `reason`, `priority`, `disposition`, `received`.
    Referral,
    /// Something else that a source said in code or words: `observed`, `value`, `units`.
    Observation,
    /// What a source said of its own completeness, such as `confidential-items`: `section`, `observed`.
    Notice,
}

impl ItemKind {
    /// All kinds, in the order a record shows them.
    pub const ALL: [Self; 12] = [
        Self::Demographics,
        Self::Notice,
        Self::Allergy,
        Self::Problem,
        Self::Medication,
        Self::Result,
        Self::Observation,
        Self::Immunisation,
        Self::Encounter,
        Self::Appointment,
        Self::Referral,
        Self::Document,
    ];

    /// Its name, as it is serialised.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demographics => "demographics",
            Self::Encounter => "encounter",
            Self::Appointment => "appointment",
            Self::Result => "result",
            Self::Problem => "problem",
            Self::Medication => "medication",
            Self::Allergy => "allergy",
            Self::Immunisation => "immunisation",
            Self::Document => "document",
            Self::Referral => "referral",
            Self::Observation => "observation",
            Self::Notice => "notice",
        }
    }
}

/// What one message says of one item.
#[derive(Clone, Eq, PartialEq)]
pub struct ItemChange {
    /// Which part of the record.
    pub kind: ItemKind,
    /// Its source's own key, unique within system and kind.
    pub key: String,
    /// The document or message it stands or falls with; empty if with none.
    pub part_of: String,
    /// Whether the source has withdrawn it (entered in error, deleted). Its history stays.
    pub withdrawn: bool,
    /// The fields it speaks of; all others stay as they are.
    pub fields: Vec<(&'static str, FieldChange)>,
}

impl ItemChange {
    /// An item that stands by itself and is not withdrawn.
    pub const fn new(kind: ItemKind, key: String, fields: Vec<(&'static str, FieldChange)>) -> Self {
        Self { kind, key, part_of: String::new(), withdrawn: false, fields }
    }
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

/// What a system answered when it was asked for a patient's whole record: it replaces what that system answered
/// before. Never journalled; kept only as far as the caching policy allows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// The configured name of the system that answered.
    pub system: String,
    /// Whose record.
    pub nhs_number: NhsNumber,
    /// When it answered, by the hub's clock: shown wherever the record is.
    pub as_at: Timestamp,
    /// Every identifier it gave for the patient.
    pub identifiers: Vec<Identifier>,
    /// All it holds, notices included.
    pub items: Vec<ItemChange>,
    /// What was odd about the answer, as stable codes without content.
    pub faults: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_called_as_it_is_serialised() {
        for kind in ItemKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
