//! The returns that commissioners get: contacts go in one by one, files come out, and each is counted.
//!
//! Nothing here reads a clock or names a directory: whoever builds gives the moments and opens the files.

mod answers;
mod build;
pub mod cds;
mod contract;
mod csds;
pub mod ecds;
mod files;
pub mod flat;
mod held;
mod items;
pub mod layout;
mod net_change;
mod omission;
mod prices;
pub mod record;
mod settings;
mod shelf;
pub mod xml;

pub use self::{
    answers::{Answer, AnswerFault, Answers},
    build::{Builder, Built, Job},
    contract::ContractBuilder,
    csds::{CommunityBuilder, TABLES, TableFault, check_tables},
    files::{BuiltFile, Files, InMemory},
    held::{Held, HeldError, Holding, Standing},
    items::{Item, Kind},
    net_change::NetChangeBuilder,
    omission::{Disposition, Omission, Totals, Untied},
    prices::{Charge, ChargeKind, Pence, Prices},
    settings::{InvalidSettings, Requirements, Settings},
    shelf::{Build, Shelf, ShelfError, Version},
};

use serde::{Deserialize, Serialize};

use crate::{activity::route::Route, domain::contact::Dataset};

/// A return that is built here; the others are submitted by those who run their systems.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum ReturnKind {
    /// CDS 6.2 types 020 and 021: XML interchange by net change, the flat layout, and both versions' codes beside.
    #[serde(rename = "cds-6.2-outpatient")]
    Outpatient,
    /// ECDS version 4: XML interchange by net change.
    #[serde(rename = "ecds-4")]
    EmergencyCare,
    /// CSDS: one CSV file for each table, whole each time.
    #[serde(rename = "csds")]
    CommunityServices,
    /// ACM and PLCM: two CSV files, whole each time.
    #[serde(rename = "contract")]
    Contract,
}

impl ReturnKind {
    /// Every return.
    pub const ALL: [Self; 4] =
        [Self::Outpatient, Self::EmergencyCare, Self::CommunityServices, Self::Contract];

    /// Its name, in files too.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Outpatient => "cds-6.2-outpatient",
            Self::EmergencyCare => "ecds-4",
            Self::CommunityServices => "csds",
            Self::Contract => "contract",
        }
    }

    /// The return of a name; none if there is none.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether contacts that are routed to a data set are in it. The contract has whatever has a price.
    pub const fn takes(self, dataset: Dataset) -> bool {
        match self {
            Self::Outpatient => matches!(dataset, Dataset::Cds020 | Dataset::Cds021),
            Self::EmergencyCare => matches!(dataset, Dataset::Ecds),
            Self::CommunityServices => matches!(dataset, Dataset::Csds),
            Self::Contract => !matches!(dataset, Dataset::Cds021),
        }
    }

    /// As which data set a contact goes into this return, by its route; none if it does not.
    pub fn wants(self, route: &Route) -> Option<Dataset> {
        let is_wanted = self != Self::Contract || route.contract;
        route.dataset.filter(|dataset| is_wanted && self.takes(*dataset))
    }

    /// Whether a version says only what is new since an earlier one.
    pub const fn is_net_change(self) -> bool {
        matches!(self, Self::Outpatient | Self::EmergencyCare)
    }
}
