//! Whose contacts never leave, and whose are not used for anything but their care and what the law demands.

use std::{collections::BTreeSet, fmt};

use crate::{
    activity::{
        codes::{LoadError, csv},
        returns::Omission,
    },
    domain::{contact::Contact, nhs_number::NhsNumber},
};

/// Why a contact stays where it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bar {
    /// Its record is sealed.
    Sealed,
    /// The patient is restricted.
    Restricted,
    /// The patient has opted out of secondary use.
    OptedOut,
}

impl From<Bar> for Omission {
    fn from(bar: Bar) -> Self {
        match bar {
            Bar::Sealed => Self::Sealed,
            Bar::Restricted => Self::Restricted,
            Bar::OptedOut => Self::OptedOut,
        }
    }
}

/// Restricted patients, and those who have opted out: lists that are loaded. `Debug` shows nobody.
#[derive(Clone, Default)]
pub struct Barred {
    restricted: BTreeSet<NhsNumber>,
    opted_out: BTreeSet<NhsNumber>,
}

impl fmt::Debug for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Barred({} restricted, {} opted out)", self.restricted.len(), self.opted_out.len())
    }
}

impl Barred {
    /// Loads restricted patients from a CSV file with the column `nhs number`. Says how many.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load_restricted(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        self.restricted = numbers(file)?;
        Ok(self.restricted.len())
    }

    /// Loads those who have opted out of secondary use (national data opt-out) from a CSV file with the column
    /// `nhs number`. Says how many.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load_opted_out(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        self.opted_out = numbers(file)?;
        Ok(self.opted_out.len())
    }

    /// Whether a contact may not leave at all, for whatever purpose.
    pub fn from_leaving(&self, contact: &Contact) -> Option<Bar> {
        if contact.facts.sealed.is_some_and(|fact| fact.value) {
            return Some(Bar::Sealed);
        }
        // Whether the number is verified or not: where there is doubt, nothing leaves.
        let is_restricted =
            contact.patient.nhs_number.is_some_and(|number| self.restricted.contains(&number));
        is_restricted.then_some(Bar::Restricted)
    }

    /// Whether a contact may not be used for anything but care and statutory returns: in an analyst's view, a table, a
    /// dashboard that leaves the hub.
    pub fn from_secondary_use(&self, contact: &Contact) -> Option<Bar> {
        let opted_out = contact.patient.nhs_number.is_some_and(|number| self.opted_out.contains(&number));
        self.from_leaving(contact).or(opted_out.then_some(Bar::OptedOut))
    }
}

fn numbers(file: &[u8]) -> Result<BTreeSet<NhsNumber>, LoadError> {
    let number = |(line, cells): csv::Row| {
        let text = cells.into_iter().next().unwrap_or_default();
        NhsNumber::parse(&text).map_err(|_| LoadError::Value { line, what: "it is not an NHS number" })
    };
    csv::read(file, &["nhs number"])?.into_iter().map(number).collect()
}
