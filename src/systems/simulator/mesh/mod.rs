//! Stand-ins around MESH: a server of mailboxes, a practice behind one of them, and a laboratory behind another.

pub mod laboratory;
pub mod practice;
mod server;
pub mod store;

pub use server::serve;
pub use store::{MeshServer, Stored};
