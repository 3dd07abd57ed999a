//! The centre's half: keeps what hubs send, answers with receipts, and issues certificates.

#[cfg(feature = "demo")]
pub mod broker;
pub mod pki;
