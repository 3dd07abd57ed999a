//! FHIR STU3 as GP Connect uses it: JSON and XML read within limits into one tree, narrow views of it, and writing.
//!
//! Providers send empty strings, single values where a list belongs, and references to nothing. A strict model
//! would refuse whole records for that; the views of this room see what is there and pass over what is not.

mod budget;
mod element;
pub mod fuzzing;
mod json;
pub mod names;
mod number;
pub mod r4;
mod schema;
mod types;
mod views;
mod xml;
mod xml_writer;

pub use element::{Element, Moment};
pub use json::read_json;
pub use types::{CodeableConcept, Coding, Identifier, Period, Quantity, Reference};
pub use views::{
    Allergy, Appointment, Bundle, Condition, DiagnosticReport, DocumentReference, Encounter,
    HealthcareService, Immunization, Issue, List, Location, Medication, MedicationRequest,
    MedicationStatement, Observation, OperationOutcome, Organization, Patient, Practitioner,
    PractitionerRole, ProcedureRequest, ReferralRequest, Schedule, Slot, Specimen,
};
pub use xml::read_xml;
pub use xml_writer::write_xml;

use serde_json::Value;

/// The longest document taken, in bytes: the longest message the hub keeps.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// How deep parts may lie within parts. The deepest of GP Connect's profiles reaches 14.
pub const DEPTH_MAX: usize = 64;
/// What a document may take once read, in bytes by estimate. A tree takes about ten times its text;
/// a crafted document of 16 MiB would take over a gigabyte.
pub const MEMORY_BYTES_MAX: usize = 192 << 20;

/// A document that is not read. No content is quoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FhirError {
    /// Longer than [`DOCUMENT_BYTES_MAX`].
    #[error("the document is longer than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    /// Parts within parts beyond [`DEPTH_MAX`].
    #[error("the document is nested deeper than {DEPTH_MAX} levels, at byte {0}")]
    TooDeep(usize),
    /// More parts than [`MEMORY_BYTES_MAX`] allows for.
    #[error("the document has too many parts to be held, at byte {0}")]
    TooLarge(usize),
    /// A name twice in one object: readers would disagree about what it says.
    #[error("one object has a name twice, at byte {0}")]
    DuplicateName(usize),
    /// Neither well-formed JSON nor well-formed XML.
    #[error("the document is not well formed at byte {at}: {reason}")]
    Malformed {
        /// Where, from the document's first byte.
        at: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A document type declaration, which could define entities (FHIR STU3, section 2.6.2).
    #[error("the document has a document type declaration, which FHIR forbids")]
    DocumentType,
    /// Bytes that are no UTF-8 (FHIR STU3, section 2.6.1).
    #[error("the document is not in UTF-8, at byte {0}")]
    NotUtf8(usize),
    /// No resource: an empty document, or one of something else.
    #[error("the document is no FHIR resource")]
    NoResource,
}

/// The two ways FHIR is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `application/fhir+json`.
    Json,
    /// `application/fhir+xml`.
    Xml,
}

impl Format {
    /// Its media type, for `Accept` and `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json",
            Self::Xml => "application/fhir+xml",
        }
    }

    /// Which one a `Content-Type` names, older names and plain JSON and XML included; none if neither.
    pub fn of_media_type(text: &str) -> Option<Self> {
        let bare = text.split(';').next().map_or("", str::trim).to_ascii_lowercase();
        match bare.as_str() {
            "application/fhir+json" | "application/json+fhir" | "application/json" => Some(Self::Json),
            "application/fhir+xml" | "application/xml+fhir" | "application/xml" | "text/xml" => {
                Some(Self::Xml)
            }
            _ => None,
        }
    }

    /// Which one a document is in, by its first character: some proxies answer in another than they say.
    pub fn of_document(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace())? {
            b'{' => Some(Self::Json),
            b'<' => Some(Self::Xml),
            _ => None,
        }
    }
}

/// UTF-8 with a mark, as some Windows systems write it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a resource in either format.
///
/// # Errors
/// See [`FhirError`].
pub fn read(bytes: &[u8]) -> Result<Value, FhirError> {
    match Format::of_document(bytes) {
        Some(Format::Json) => read_json(bytes),
        Some(Format::Xml) => read_xml(bytes),
        None => Err(FhirError::NoResource),
    }
}

/// Writes a resource.
pub fn write(resource: &Value, format: Format) -> Vec<u8> {
    match format {
        Format::Json => resource.to_string().into_bytes(),
        Format::Xml => write_xml(resource),
    }
}

/// The document's text without its mark, if it is short enough.
fn text_of(bytes: &[u8]) -> Result<&str, FhirError> {
    if DOCUMENT_BYTES_MAX < bytes.len() {
        return Err(FhirError::TooLong);
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| FhirError::NotUtf8(error.valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_name_and_by_sight() {
        for (name, format) in [
            ("application/fhir+json;charset=utf-8", Some(Format::Json)),
            ("application/json+fhir", Some(Format::Json)),
            ("Application/FHIR+XML; charset=UTF-8", Some(Format::Xml)),
            ("text/xml", Some(Format::Xml)),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Format::of_media_type(name), format, "{name}");
        }
        assert_eq!(Format::of_document(b"\xef\xbb\xbf \n{"), Some(Format::Json));
        assert_eq!(Format::of_document(b"<?xml"), Some(Format::Xml));
        assert_eq!(Format::of_document(b"Service Unavailable"), None);
        assert_eq!(read(b"  "), Err(FhirError::NoResource));
    }

    #[test]
    fn what_is_written_reads_back_in_both_formats() {
        let slot = serde_json::json!({
            "resourceType": "Slot", "id": "7",
            "extension": [{"url": "urn:x", "valueCode": "In-person"}],
            "serviceType": [{"text": "GP & nurse <both>"}],
            "schedule": {"reference": "Schedule/1"}, "status": "free", "overbooked": false,
            "start": "2026-11-23T09:00:00+00:00", "end": "2026-11-23T09:10:00+00:00"
        });
        for format in [Format::Json, Format::Xml] {
            assert_eq!(read(&write(&slot, format)), Ok(slot.clone()), "{format:?}");
        }
    }
}
