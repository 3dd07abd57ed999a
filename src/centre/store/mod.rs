//! Where the centre keeps what hubs send: PostgreSQL, or the embedded store.

mod arrivals;
pub mod embedded;
mod naming;
pub mod postgres;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::domain::{
    entry::Receipt,
    ids::{Class, Epoch, HubId, Sequence, SequenceRange},
    time::Timestamp,
};

use super::{entries::StoredEntry, ingest::Checked};

pub use arrivals::{Arrived, Following};

/// A store. Both keep the same promises and pass the same tests.
#[derive(Debug)]
pub enum Store {
    /// The hub's own journal again, in a folder.
    Embedded(embedded::Embedded),
    /// A PostgreSQL database.
    Postgres(postgres::Postgres),
}

/// What became of a batch. Everything it speaks of is durable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committed {
    /// Entries that were not known before.
    pub new: u64,
    /// Entries that were.
    pub duplicates: u64,
    /// Entries whose number another entry had already: the hub's disk was rolled back.
    pub conflicts: u64,
    /// What to tell the hub.
    pub receipt: Receipt,
}

/// The store cannot be used at present: nothing may be acknowledged, and everything tried again.
#[derive(Debug, thiserror::Error)]
#[error("the store is not available: {0}")]
pub struct StoreError(pub String);

/// Why a batch is not durable.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing may be acknowledged; the same batch may succeed later.
    #[error(transparent)]
    Unavailable(StoreError),
    /// The store works, and will never take this batch as it is. It should not come to this: what a store
    /// cannot hold is refused entry by entry before.
    #[error("the store cannot hold the batch: {0}")]
    Unstorable(String),
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this hub's.
    pub hub: Option<HubId>,
    /// Only of this class.
    pub class: Option<Class>,
    /// Only with this identifier of their sender's.
    pub source_id: Option<String>,
}

/// How far acts were read.
#[derive(Clone, Debug, Default)]
pub struct ActCursor {
    /// Of a store with streams: each stream's highest number that was read.
    pub(super) streams: BTreeMap<(HubId, Epoch), Sequence>,
    /// When the newest batch came of all that were looked at.
    pub(super) newest: Timestamp,
    /// Of the embedded store: how many of the acts it holds.
    pub(super) count: usize,
}

impl ActCursor {
    #[cfg(test)]
    pub(in crate::centre) fn note(&mut self, hub: &HubId, epoch: Epoch) {
        self.streams.entry((hub.clone(), epoch)).or_insert(0);
    }

    /// The epochs of a hub's class of bookings.
    pub fn epochs<'a>(&'a self, hub: &'a HubId) -> impl Iterator<Item = Epoch> + 'a {
        self.streams.keys().filter(move |(known, _)| known == hub).map(|(_, epoch)| *epoch)
    }
}

/// What a desk has decided, as it is stored. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct StoredAct {
    /// Whose desk.
    pub hub: HubId,
    /// Of which stream.
    pub epoch: Epoch,
    /// The act's bytes.
    pub raw: Bytes,
    /// When the centre stored it.
    pub received: Timestamp,
}

impl std::fmt::Debug for StoredAct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredAct({}, {} bytes)", self.hub, self.raw.len())
    }
}

/// Acts read in one go.
pub(super) const ACTS_MAX: usize = 2_000;

/// One stream's condition.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct StreamStatus {
    /// Whose.
    pub hub: HubId,
    /// Which class.
    pub class: Class,
    /// Which epoch.
    pub epoch: Epoch,
    /// Everything from 1 to this is here, refused or absent.
    pub through: Sequence,
    /// The highest number here.
    pub highest: Sequence,
    /// What is missing below it; at most [`Receipt::GAPS_MAX`].
    pub gaps: Vec<SequenceRange>,
    /// Entries here.
    pub entries: u64,
    /// Entries that came again. The embedded store counts from its opening.
    pub duplicates: u64,
    /// Entries refused, conflicts included.
    pub refused: u64,
    /// Entries refused because their number was taken. The embedded store counts from its opening.
    pub conflicts: u64,
    /// Numbers that the hub says will never come.
    pub absent: u64,
    /// When the newest batch came.
    pub received_at: Timestamp,
}

/// Why a number's second entry is refused.
pub(super) const CONFLICT: &str = "another entry has this number: the hub's journal was rolled back";

impl Store {
    /// Makes a batch durable. The same batch again changes nothing.
    ///
    /// # Errors
    /// See [`CommitError`]: it may be durable or not.
    pub async fn commit(&self, batch: &Checked, now: Timestamp) -> Result<Committed, CommitError> {
        match self {
            Self::Embedded(store) => store.commit(batch, now).await,
            Self::Postgres(store) => store.commit(batch, now).await,
        }
    }

    /// Every stream's condition.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn streams(&self) -> Result<Vec<StreamStatus>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.streams().await),
            Self::Postgres(store) => store.streams().await,
        }
    }

    /// Gives out entries, oldest first within a stream, until `each` returns false.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn entries(
        &self,
        filter: &Filter,
        each: impl FnMut(StoredEntry) -> bool + Send,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.entries(filter, each),
            Self::Postgres(store) => store.entries(filter, each).await,
        }
    }

    /// The next acts of all desks that were stored since, in the order of each stream; empty if there are none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn acts(&self, cursor: &mut ActCursor, since: Timestamp) -> Result<Vec<StoredAct>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.acts(cursor).await),
            Self::Postgres(store) => store.acts(cursor, since).await,
        }
    }

    /// A place to follow arrivals from: everything until now is passed over.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn follow_from_now(&self) -> Result<Following, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.follow_from_now()),
            Self::Postgres(store) => store.follow_from_now().await,
        }
    }

    /// The next entries with a patient that have arrived since, in the order of each stream; PostgreSQL
    /// gives nothing behind a hole before it is filled ([`Following::whole_until`]). What desks have decided is not among them. Empty if there are none for now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn arrivals(&self, following: &mut Following) -> Result<Vec<Arrived>, StoreError> {
        match self {
            Self::Embedded(store) => store.arrivals(following),
            Self::Postgres(store) => store.arrivals(following).await,
        }
    }

    /// The newest entries of a patient that were stored since, at most so many, the oldest first. What says who holds
    /// the record is not among them, nor what desks have decided.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_patient(
        &self,
        patient: &str,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<Arrived>, StoreError> {
        match self {
            Self::Embedded(store) => store.of_patient(patient, since, most),
            Self::Postgres(store) => store.of_patient(patient, since, most).await,
        }
    }

    /// The hubs that have sent something of a patient.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn hubs_of(&self, patient: &str) -> Result<BTreeSet<HubId>, StoreError> {
        match self {
            Self::Embedded(store) => store.hubs_of(patient),
            Self::Postgres(store) => store.hubs_of(patient).await,
        }
    }

    /// What hubs have said since of whose records they hold, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn opened_since(&self, since: Timestamp) -> Result<Vec<Arrived>, StoreError> {
        match self {
            Self::Embedded(store) => store.opened_since(since),
            Self::Postgres(store) => store.opened_since(since).await,
        }
    }

    /// Gives out what a hub's checkpoints of its audit trail carry, oldest first as far as the store knows, until `each`
    /// returns false.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn checkpoints(
        &self,
        hub: &HubId,
        each: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.checkpoints(hub, each),
            Self::Postgres(store) => store.checkpoints(hub, each).await,
        }
    }

    /// Ends in good order.
    pub async fn close(&self) {
        if let Self::Embedded(store) = self {
            store.close().await;
        }
    }
}
