//! What the hub does, one file per deed. The only room that joins journal, store and engines; edges speak
//! to nothing else.

pub mod alarm;
pub mod status;
