//! What the program says about itself while it runs: the list of its measurements.

pub mod metrics;
