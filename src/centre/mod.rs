//! The centre's half: takes what hubs send, makes it durable, answers with receipts.
//!
//! **Invariant.** A receipt is published only for what the store has said is durable, and a delivery is
//! acknowledged to the broker only after its receipt. Correctness comes from (hub, class, epoch, number),
//! never from the broker: any number of workers may share the work, and any message may come twice.

pub mod activity;
pub mod audit;
#[cfg(feature = "demo")]
pub mod broker;
pub mod coverage;
pub mod entries;
pub mod ingest;
pub mod pki;
pub mod records;
pub mod relay;
pub mod store;
pub mod worker;
