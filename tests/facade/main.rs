//! The record as FHIR R4: what is given for an invented patient, held to FHIR's rules and to what was given before.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test tells by panicking")]

#[path = "../support/chart.rs"]
mod chart;
mod given;
mod hostile;
mod rules;
mod searching;
