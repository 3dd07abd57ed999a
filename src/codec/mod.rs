//! Bytes to protocol messages and back, without I/O. Every codec has a fuzz target.

pub mod cbor;
