//! Every contact counted once: what sources state becomes contacts, and contacts become returns.

pub mod codes;
pub mod derive;
pub mod document;
pub mod funnel;
pub mod maps;
pub mod privacy;
pub mod quality;
pub mod returns;
pub mod route;
pub mod summary;
