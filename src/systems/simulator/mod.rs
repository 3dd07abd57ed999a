//! Stand-ins for the systems a hub links: for the demonstration, for tests and for measurements.
//!
//! They speak as the real ones do, wait for acknowledgements as the real ones do, and repeat a message
//! under the same identifier until it is accepted.

pub mod adastra;
pub mod analyser;
pub mod bars;
pub mod clinic;
pub mod device;
pub mod gp_connect;
pub mod mesh;
pub mod people;
pub mod receiver;
pub mod sender;
pub mod traffic;
