//! What the hub does, one file per deed. The only room that joins journal, store and engines; edges speak
//! to nothing else.

pub mod alarm;
#[cfg(test)]
pub mod fake;
pub mod operate;
pub mod status;
pub mod words;
