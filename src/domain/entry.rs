//! What a hub keeps and sends: entries, the batches that carry them, and the centre's receipts.
//!
//! These are the wire types of `docs/protocol.md`; [`crate::codec::cbor`] turns them into bytes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    booking::HeardThrough,
    elsewhere::RecordsHeard,
    ids::{Class, Epoch, HubId, Sequence, SequenceRange},
    nhs_number::{InvalidNhsNumber, NhsNumber},
    time::{ClockQuality, Timestamp},
};

/// The newest version of [`Batch`] and [`Receipt`] this program writes, and the only one it reads.
pub const WIRE_VERSION: u8 = 1;

/// One accepted event: what the journal keeps and the centre receives.
///
/// Stored under names of one letter, because a disk has only so many writes in it; the wire has
/// [`BatchEntry`]. `Debug` shows neither bodies nor patients.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The event's kind in its sender's own terms, such as `ADT^A01`.
    #[serde(rename = "k")]
    pub kind: String,
    /// The configured name of the system it came from, such as `rio`.
    #[serde(rename = "s")]
    pub system: String,
    /// The sender's own message identifier: MSH-10 for HL7 v2.
    #[serde(rename = "i")]
    pub source_id: String,
    /// The patient's NHS number, where the event carries a valid one.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<NhsNumber>,
    /// When the hub accepted it, by the hub's clock.
    #[serde(rename = "a")]
    pub at: Timestamp,
    /// How far that clock was to be trusted.
    #[serde(rename = "c", default, skip_serializing_if = "ClockQuality::is_default")]
    pub clock: ClockQuality,
    /// A short CBOR map that says what the event is (see `docs/protocol.md`), without its content.
    #[serde(rename = "b", with = "byte_string")]
    pub body: Bytes,
    /// The bytes as they came, unless the body is all there was.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none", with = "optional_byte_string")]
    pub raw: Option<Bytes>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .field("system", &self.system)
            .field("source_id", &self.source_id)
            .field("at", &self.at)
            .field("raw_bytes", &self.raw.as_ref().map_or(0, Bytes::len))
            .finish_non_exhaustive()
    }
}

/// What an entry's body says: enough to route and count it without its content.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What `raw` is: `hl7v2`.
    pub format: String,
    /// Who the sender says it is: MSH-3 and MSH-4, joined by `|`.
    pub sender: String,
    /// When it happened, by the sender's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred: Option<Timestamp>,
    /// Why it is not linked to a patient, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlinked: Option<InvalidNhsNumber>,
    /// What was odd about it, as stable codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Its source has sealed something in it, or the patient is not to be shown to anybody: it goes to no other hub.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

/// A hub's condition as the centre sees it (topic `polygate/1/{hub}/status`, retained, and the last will).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// [`WIRE_VERSION`].
    pub v: u8,
    /// Whose.
    pub hub: HubId,
    /// False in the last will, and when the hub says goodbye.
    pub online: bool,
    /// When it was written; absent in the last will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The program's version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `ok`, `degraded` or `refusing`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Codes of the alarms that stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// Entries not confirmed, by class, most urgent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<u64>,
    /// How far the hub has heard what other hubs and the centre say of bookings; absent if it does not listen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<HeardThrough>,
    /// How far the hub has taken in what the centre tells of records elsewhere, by run; absent if it does not listen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<RecordsHeard>>,
}

/// One entry as it travels: [`Entry`] with its number and a name that is the same at every attempt.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct BatchEntry {
    /// Its number within the batch's class and epoch.
    pub seq: Sequence,
    /// 32 hexadecimal digits; equal for equal (hub, system, sender, source_id).
    pub id: String,
    /// See [`Entry::kind`].
    pub kind: String,
    /// See [`Entry::system`].
    pub system: String,
    /// See [`Entry::source_id`].
    pub source_id: String,
    /// See [`Entry::patient`]. Text, so that one bad number refuses one entry and not its batch.
    #[serde(default)]
    pub patient: Option<String>,
    /// See [`Entry::at`].
    pub at: Timestamp,
    /// See [`Entry::clock`].
    pub clock: ClockQuality,
    /// See [`Entry::body`].
    #[serde(with = "byte_string")]
    pub body: Bytes,
    /// See [`Entry::raw`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_byte_string")]
    pub raw: Option<Bytes>,
}

impl std::fmt::Debug for BatchEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEntry")
            .field("seq", &self.seq)
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Entries of one class and epoch on their way to the centre (topic `polygate/1/{hub}/up/{class}`).
///
/// `first..=last number covered` is contiguous: each number is either in `entries` or in `absent`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// [`WIRE_VERSION`].
    pub v: u8,
    /// The sender; must equal the hub in the topic.
    pub hub: HubId,
    /// The class; must equal the class in the topic.
    pub class: Class,
    /// The epoch all numbers belong to.
    pub epoch: Epoch,
    /// The lowest number the batch speaks of.
    pub first: Sequence,
    /// The entries, by ascending number.
    pub entries: Vec<BatchEntry>,
    /// Numbers that exist but will never be sent, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
}

/// Numbers the centre must not wait for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Absent {
    /// The lowest number of the range.
    pub first: Sequence,
    /// The highest number of the range.
    pub last: Sequence,
    /// Why they will not come.
    pub reason: AbsentReason,
}

/// Why a number will never be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AbsentReason {
    /// The hub's disk gave back something else than was written. Reported as a loss.
    Damaged,
    /// Refused by the broker or the centre, and kept at the hub for an operator.
    Parked,
}

/// The centre's word that everything up to `through` is durable there
/// (topic `polygate/1/{hub}/receipt/{class}`, retained).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`WIRE_VERSION`].
    pub v: u8,
    /// Whose entries.
    pub hub: HubId,
    /// Which class.
    pub class: Class,
    /// Which epoch.
    pub epoch: Epoch,
    /// Every number from 1 to this one is durable, refused or absent. Zero: none yet.
    pub through: Sequence,
    /// Ranges the centre lacks below the highest number it has; at most [`Receipt::GAPS_MAX`].
    #[serde(default)]
    pub gaps: Vec<SequenceRange>,
    /// When the centre wrote this.
    pub at: Timestamp,
    /// Entries the centre refused: those above the batch's `confirmed` first, lowest first, then older ones where
    /// there is room; at most [`Receipt::REFUSED_MAX`]. `through` passes none that is unnamed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

impl Receipt {
    /// More gaps than this are named in later receipts, once these are filled.
    pub const GAPS_MAX: usize = 64;
    /// More are named in later receipts, once the hub has confirmed these.
    pub const REFUSED_MAX: usize = 256;
}

/// One entry the centre will not take.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub seq: Sequence,
    /// What is wrong with it, without its content.
    pub reason: String,
}

/// `Bytes` as a CBOR byte string (major type 2), not an array of numbers.
pub mod byte_string {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer};

    /// Writes a byte string.
    ///
    /// # Errors
    /// The serialiser's own.
    pub fn serialize<S: Serializer>(value: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(value)
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// The deserialiser's own.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(deserializer).map(Bytes::from)
    }
}

/// [`byte_string`] for a value that may be absent.
pub mod optional_byte_string {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a byte string, or null.
    ///
    /// # Errors
    /// The serialiser's own.
    pub fn serialize<S: Serializer>(value: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => serializer.serialize_bytes(bytes),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a byte string, or null.
    ///
    /// # Errors
    /// The deserialiser's own.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        let bytes = Option::<serde_bytes::ByteBuf>::deserialize(deserializer)?;
        Ok(bytes.map(|bytes| Bytes::from(bytes.into_vec())))
    }
}
