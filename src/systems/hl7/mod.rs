//! What RiO and hospital systems have in common: HL7 v2 in over MLLP, understood, committed, acknowledged;
//! and out over MLLP, until it is acknowledged.

mod ack_policy;
mod booking;
mod build;
mod client;
mod outgoing;
mod scheduling;
mod server;
mod session;
mod translate;
mod word;

pub use ack_policy::{AckPolicy, Meaning, Received as Acknowledged, read_acknowledgement};
pub use booking::SiuBooking;
pub use client::{Client, ClientOptions};
pub use outgoing::{Address, Outgoing};
pub use scheduling::{Untellable, siu};
pub use server::{Server, ServerOptions};
pub use session::{answer, respond};
pub use translate::{Dialect, translate, translate_entry};
pub use word::word_of;

/// What [`Received::format`](crate::flow::receive::Received) says of HL7 v2.
pub const FORMAT: &str = "hl7v2";
