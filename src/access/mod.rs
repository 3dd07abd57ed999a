//! Who works at this hub and may do what: accounts, their secrets and their sessions, as plain values.
//!
//! Nothing here reads a clock, a disk or a random number: `now` and entropy come in, new values go out.
//! [`crate::flow::sign_in`] keeps the accounts on disk and the sessions in memory.

pub mod accounts;
pub mod audit;
pub mod federated;
pub mod lock_out;
pub mod oidc;
pub mod policy;
pub mod role;
pub mod secret;
pub mod sessions;

pub use accounts::{Account, Accounts, Command, Refusal, UserId};
pub use role::Role;
pub use secret::{Cost, Secret, SecretHash};
pub use sessions::{Seen, Sessions};
