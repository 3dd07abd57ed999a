//! What is acknowledged is kept and arrives once: tried with kills, power cuts, failing disks, a bad WAN, and
//! whatever senders send.
//!
//! `POLYGATE_ROUNDS` sets how many kills and power cuts there are, `POLYGATE_SEEDS` how many runs each drill
//! has, `POLYGATE_SEED` where they begin.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test tells by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod drills;
mod faults;
mod inside;
mod kills;
mod power_cut;
mod stage;
mod wan;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}
