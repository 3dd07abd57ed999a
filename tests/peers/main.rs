//! What programs that share no code with us make of what we say, and we of what they say.
//!
//! Each test names its peer, which `tests/peers/prepare` installs; where that cannot be, it is skipped.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test tells by panicking")]

#[path = "../support/chart.rs"]
mod chart;
#[path = "../support/mod.rs"]
mod support;

mod bars;
mod bars_schema;
mod built;
mod edifact;
mod facade;
mod fhir;
mod hl7v2;
mod mesh;
mod oidc;
mod returns;
mod sender;
mod xml;
