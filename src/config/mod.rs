//! Configuration: TOML in, checked values out. Every fault is named with its line and column; a value that
//! exists is legal.

mod activity;
mod centre;
mod check;
mod file;
mod hub;
mod identity_provider;
mod links;
mod services;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::domain::ids::HubId;

pub use activity::{ActivityFileError, ActivitySection, CountedService, ReturnsSection};
pub use centre::{BrokerSection, CentreConfig, ConsoleSection, StoreSection};
pub use hub::{CentreSection, HubConfig, HubSection, JournalSection, PortalSection};
pub use identity_provider::IdentityProviderSection;
pub use links::{
    AdastraSection, AnalyserPort, AnalyserProtocol, AnalyserSection, BarsSection, CachingSection,
    ClientTlsSection, GpConnectSection, GpSection, Hl7Section, KeepFor, MeshSection, REGISTERED_PRACTICE,
    RouteSection, TlsSection, Wanted,
};
pub use services::{BookingSection, ClinicianSection, ServiceSection, SessionSection, WalkInSection};

/// A `polygate.toml` to begin with: every key explained, what is optional commented out.
pub fn template(hub: &HubId) -> String {
    include_str!("polygate.toml").replace("HUB-ID", hub.as_str())
}

/// What is wrong with a configuration file: every fault that could be found.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: cannot be read: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It can be read, and is wrong.
    #[error("{}", lines(.0))]
    Faults(Vec<Fault>),
}

/// One fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.reason)
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

/// A path as the file means it: beside the file, unless it is absolute.
fn place<'a>(beside: &Path, paths: impl IntoIterator<Item = &'a mut PathBuf>) {
    for path in paths {
        *path = beside.join(&*path);
    }
}
