//! Laboratory analysers: LIS2-A2 over LIS1-A, and POCT1-A, on serial lines and TCP, one thread a port.

mod intake;
pub mod poct1a;
mod port;
#[cfg(test)]
mod tests;
mod translate;

pub use port::{Analyser, AnalyserOptions, AnalyserThread, Port, Protocol};
pub use translate::{by_patient, is_query, no_information, translate, translate_entry};

/// What [`Received::format`](crate::flow::receive::Received) says of LIS2-A2.
pub const FORMAT: &str = "lis2";
