//! The versions of returns that were built: none is ever written over, and each says what it rests on.

use serde::{Deserialize, Serialize};

use crate::domain::{contact::Month, time::Timestamp};

use super::{Built, BuiltFile, ReturnKind, Totals};

/// Which version of a return of a month, from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u32);

impl Version {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// Its number, from 1.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// One version of one return.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Build {
    /// Of which month.
    pub period: Month,
    /// Which return.
    pub kind: ReturnKind,
    /// Which version.
    pub version: Version,
    /// When it was built.
    pub built: Timestamp,
    /// When somebody said that it was submitted; none until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Timestamp>,
    /// The control reference of its interchange; none if it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<super::cds::ControlReference>,
    /// Its files.
    pub files: Vec<BuiltFile>,
    /// Its sums.
    pub totals: Totals,
}

/// Every version that was built, in the order of building. As JSON it is the manifest beside the files.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shelf {
    builds: Vec<Build>,
}

/// Why a version cannot be put on the shelf.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShelfError {
    /// It is there, or a later one is.
    #[error("version {0} of this return is there already")]
    Taken(u32),
    /// No such version was built.
    #[error("there is no version {0} of this return")]
    Unknown(u32),
    /// A later version was submitted before it.
    #[error("a later version of this return was submitted already")]
    Late,
}

impl Shelf {
    /// Every version, in the order of building.
    pub fn builds(&self) -> &[Build] {
        &self.builds
    }

    /// The version that a return of a month is built as next.
    pub fn next_version(&self, period: Month, kind: ReturnKind) -> Version {
        let of = self.builds.iter().filter(|build| build.period == period && build.kind == kind);
        of.map(|build| build.version).max().map_or(Version::FIRST, |last| Version(last.0.saturating_add(1)))
    }

    /// The control reference of the next interchange: one after that of the last that was built.
    pub fn next_control(&self) -> super::cds::ControlReference {
        let last = self.builds.iter().rev().find_map(|build| build.control);
        last.map_or(super::cds::ControlReference::FIRST, super::cds::ControlReference::next)
    }

    /// The version of a return by net change, of whichever month, that its receiver heard of last: the next is built on
    /// what it says they hold (its file `_held.csv`). None before the first.
    pub fn basis(&self, kind: ReturnKind) -> Option<&Build> {
        self.builds.iter().rfind(|build| build.kind == kind && build.submitted.is_some())
    }

    /// Puts a built return on the shelf.
    ///
    /// # Errors
    /// If its version is not the next one.
    pub fn add(&mut self, job: &super::Job<'_>, built: &Built) -> Result<&Build, ShelfError> {
        if job.version != self.next_version(job.period, job.kind) {
            return Err(ShelfError::Taken(job.version.0));
        }
        self.builds.push(Build {
            period: job.period,
            kind: job.kind,
            version: job.version,
            built: job.now,
            submitted: None,
            control: job.kind.is_net_change().then_some(job.control),
            files: built.files.clone(),
            totals: built.totals.clone(),
        });
        self.builds.last().ok_or(ShelfError::Unknown(job.version.0))
    }

    /// Notes that a version was submitted. Versions of a net change are submitted in the order in which they were built.
    ///
    /// # Errors
    /// If there is no such version, or a later one was submitted.
    pub fn submitted(
        &mut self,
        period: Month,
        kind: ReturnKind,
        version: Version,
        at: Timestamp,
    ) -> Result<(), ShelfError> {
        let is_it = |build: &Build| (build.period, build.kind, build.version) == (period, kind, version);
        let place = self.builds.iter().position(is_it).ok_or(ShelfError::Unknown(version.0))?;
        let later = self.builds.iter().skip(place + 1);
        let is_late = later.filter(|build| build.kind == kind).any(|build| build.submitted.is_some());
        if kind.is_net_change() && is_late {
            return Err(ShelfError::Late);
        }
        if let Some(build) = self.builds.get_mut(place) {
            build.submitted.get_or_insert(at);
        }
        Ok(())
    }
}
