//! Every contact counted once: what sources state becomes contacts, and contacts become returns.

pub mod derive;
pub mod maps;
pub mod route;
