//! Records that systems answered with, kept for a while under a stated policy, and thrown away in time.
//!
//! GP Connect answers carry `Cache-Control: no-store`. So nothing is kept unless the configuration states on what basis
//! it is ([`CachePolicy::basis`]), and then only for whom and for as long as it says. Answers are never journalled and
//! never leave the hub. How files end, and what a clock set back does, is in [`super::ending`].

use std::{fmt, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    codec::cbor,
    domain::{nhs_number::NhsNumber, one_record::Answer, record::Snapshot, time::Timestamp},
    sys::disk::Disk,
};

use super::ending::{Endings, Most};

pub use super::ending::{CacheError, CacheTime};

/// Longest life of an answer: a policy that wants more wants a copy of the practice's records.
pub const KEEP_MAX: Duration = Duration::from_hours(7 * 24);
/// Answers kept at once: the patients of a large hub's catchment, and what their index takes in memory (10 MiB).
pub const ANSWERS_MAX: usize = 150_000;
/// Longest answer, unpacked, in bytes: a GP record with its documents as text.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Whose answers are kept.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum CacheFor {
    /// Those who have arrived here, or are being seen.
    Arrived,
    /// Those who are booked here as well.
    Booked,
    /// Everybody whose record somebody here was permitted to ask for.
    AllAsked,
}

/// On what terms answers are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CachePolicy {
    /// The governance basis, in words, such as the data sharing agreement's number. Not empty.
    pub basis: String,
    /// The configured names of the systems whose answers are kept.
    pub systems: Vec<String>,
    /// How long; at most [`KEEP_MAX`].
    pub keep: Duration,
    /// Whose.
    pub keep_for: CacheFor,
}

/// The kept answers. Calls read and write the disk.
pub struct Cache {
    policy: Option<CachePolicy>,
    files: Endings,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// What a file holds.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    ends: Timestamp,
    answer: Answer,
}

impl Cache {
    /// Opens the cache in `directory`, and throws away what has ended, what is of systems that the policy does not name,
    /// and without a policy everything.
    ///
    /// # Errors
    /// The policy is not complete, or the disk fails: then what should go may still be there.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        policy: Option<CachePolicy>,
        now: CacheTime,
    ) -> Result<Self, CacheError> {
        if let Some(policy) = &policy {
            check(policy)?;
        }
        let systems = policy.iter().flat_map(|policy| &policy.systems);
        let systems: Vec<&str> = systems.map(String::as_str).collect();
        let most = Most { files: ANSWERS_MAX, bytes: ANSWER_BYTES_MAX };
        let files = Endings::open(disk, directory, &systems, most, now)?;
        Ok(Self { policy, files })
    }

    /// The policy; none if nothing is kept.
    pub const fn policy(&self) -> Option<&CachePolicy> {
        self.policy.as_ref()
    }

    /// How many answers there are.
    pub fn count(&self) -> usize {
        self.files.count()
    }

    /// Keeps an answer instead of what the same system answered before, if the policy allows it for one of whom
    /// `reason` is true; says when it ends.
    ///
    /// # Errors
    /// The policy does not allow it, there is no room, the clock was set back, or the disk fails.
    pub fn keep(
        &self,
        snapshot: Snapshot,
        reason: CacheFor,
        now: CacheTime,
    ) -> Result<Timestamp, CacheError> {
        let policy = self.policy.as_ref().ok_or(CacheError::NotAllowed)?;
        if policy.keep_for < reason || !policy.systems.contains(&snapshot.system) {
            return Err(CacheError::NotAllowed);
        }
        let (patient, system) = (snapshot.nhs_number, snapshot.system.clone());
        // From when it was answered, or from now if that is said to be later.
        let ends = snapshot.as_at.min(now.wall).plus(policy.keep);
        let stored = Stored { v: 1, ends, answer: snapshot.into() };
        let bytes = cbor::encode(&stored).map_err(|_| CacheError::Encoding)?;
        self.files.keep((&patient, &system), ends, &bytes, now)?;
        Ok(ends)
    }

    /// What is kept of a patient and has not ended. What cannot be read is thrown away.
    pub fn read(&self, patient: &NhsNumber, now: CacheTime) -> Vec<Answer> {
        self.files.read(patient, now, |bytes, ends| {
            let stored: Stored = cbor::decode(bytes, ANSWER_BYTES_MAX).ok()?;
            let whole = stored.v == 1 && stored.ends == ends && stored.answer.nhs_number == *patient;
            whole.then_some(stored.answer)
        })
    }

    /// How much longer what a system answered of a patient is kept; none if nothing is.
    pub fn remaining(&self, patient: &NhsNumber, system: &str, now: CacheTime) -> Option<Duration> {
        self.files.remaining(patient, system, now)
    }

    /// Throws away what is kept of a patient, for there is no legitimate relationship any more; says how many answers.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub fn purge(&self, patient: &NhsNumber) -> Result<usize, CacheError> {
        self.files.purge(patient)
    }

    /// Throws away what one system answered of a patient, for it does not give it any more.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub fn purge_of_system(&self, patient: &NhsNumber, system: &str) -> Result<usize, CacheError> {
        self.files.purge_of(patient, system)
    }

    /// Throws away what has ended; says how many answers. To be called once a minute or so.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub fn sweep(&self, now: CacheTime) -> Result<usize, CacheError> {
        self.files.sweep(now)
    }
}

fn check(policy: &CachePolicy) -> Result<(), CacheError> {
    if policy.basis.trim().is_empty() {
        return Err(CacheError::Policy("it states no basis"));
    }
    if policy.keep.is_zero() || KEEP_MAX < policy.keep {
        return Err(CacheError::Policy("answers are kept for more than nothing and at most a week"));
    }
    if policy.systems.is_empty() {
        return Err(CacheError::Policy("it names no system"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
