//! The systems in the building: one file or folder each, named as people name them.
//!
//! **Invariant.** An edge acknowledges only with the [`Durable`](crate::flow::receive::Durable) that `flow`
//! gave it, and knows no other edge.

pub mod adastra;
pub mod analyser;
pub mod bars;
pub mod emis;
pub mod gp_connect;
pub mod hl7;
pub mod mesh;
pub mod rio;
pub mod secondary_care;
pub mod simulator;
mod understand;
pub mod vision;

pub use understand::translate_entry;
