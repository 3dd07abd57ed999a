//! Laboratories, radiology departments and practices, over MESH: PMIP reports in and out with their NHSACK, and
//! Kettering letters.

mod authorisation;
mod client;
mod translate;

pub use authorisation::Credentials;
pub use client::{Delivered, MESSAGE_BYTES_MAX, MeshClient, MeshError, NonDelivery, Outgoing, Tracked};
pub use translate::{translate, translate_entry};

/// What [`Received::format`](crate::flow::receive::Received) says of PMIP EDIFACT.
pub const FORMAT: &str = "pmip";
