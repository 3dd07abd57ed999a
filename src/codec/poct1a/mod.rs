//! POCT1-A, the device messaging layer of point-of-care analysers (CLSI POCT1-A2): XML messages on a stream without
//! any framing, each acknowledged by its control id.

pub mod conversation;
#[doc(hidden)]
pub mod fuzzing;
pub mod message;
pub mod split;
