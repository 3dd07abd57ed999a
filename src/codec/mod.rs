//! Bytes to protocol messages and back, without I/O. Every codec has a fuzz target.

pub mod bars;
pub mod cbor;
pub mod edifact;
pub mod fhir;
#[doc(hidden)]
pub mod fuzz;
pub mod gzip;
pub mod hl7v2;
pub mod itk;
pub mod kettering;
pub mod lis2;
pub mod mllp;
pub mod poct1a;
pub mod xml;
