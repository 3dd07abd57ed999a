//! EDIFACT as the NHS uses it (ISO 9735 syntax version 3; PMIP message guidelines): pathology, screening and
//! radiology reports to practices, and the NHSACK that answers them.
//!
//! Bytes are parted without being changed, so that what is not understood is kept as it came. Nothing here panics on
//! any input, and memory is bounded by [`SEGMENTS_MAX`] besides the input itself.

mod interchange;
pub mod moment;
pub mod nhsack;
pub mod pmip;
mod segment;
mod writer;

#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod tests;

pub use interchange::{Header, Interchange, Message, MessageType, Partner, Refusal};
pub use segment::{
    Charset, Delimiters, Element, SEGMENTS_MAX, Segment, Segments, Service, TooManySegments, released,
};
pub use writer::Writer;
