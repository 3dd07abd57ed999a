//! What keeps people unknown in what analysts get, and whole in what nobody may get.

mod analyst;
mod barred;
mod elimination;
mod pattern;
mod pseudonym;
mod release;
mod suppress;

#[cfg(test)]
mod tests;

pub use self::{
    analyst::AnalystView,
    barred::{Bar, Barred},
    pseudonym::{MasterKey, Nameless, Pseudonym, Pseudonymiser},
    release::{CELLS_MAX, Release, ReleaseError, Table},
    suppress::{Rule, SafeTable, Shown, suppress},
};
