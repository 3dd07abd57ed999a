//! The record view: what all systems said of each patient, kept in sled, and rebuilt from the journal when lost.
//!
//! This is the only room that names sled. sled 0.34.7 is fast and small, but loses what it calls flushed
//! when the power fails, opens empty without a word when its snapshot is gone, and fails for good when the
//! disk is full. So nothing here is the truth: [`View::open`] finds out whether what is there can be
//! trusted and otherwise begins anew, and the caller applies the journal from [`View::position`].
//!
//! The directory holds `sled/` (identifiers, joins, and where to find the rest), `runs/` (items, compressed,
//! in files written once), `bodies/` (content over 1 KiB, named by its SHA-256) and `sentinel`, a small file
//! that says which database should be there and how far it durably goes.
//!
//! **How identity works.** A local identifier counts only within the system that sent it: those in one message join,
//! unless that would join two people with different NHS numbers, and an ordered merge (A40) joins what its system has
//! of the two, whatever their numbers. Persons of different systems are one patient if they hold the same NHS number,
//! by the rules of [`crate::domain::matching`]; what those leave in doubt waits for people ([`View::matches`]), whose
//! decisions come through the journal like messages. The same messages and decisions in any order and any number of
//! times give the same record.
//!
//! **Where order matters.** If a message lists the local identifiers of two people of its system, they are joined if it
//! comes before their messages that have numbers, and refused and listed for repair if after: either way a person with
//! two numbers of one standing is linked to nobody else's record until people decide, so nothing is mixed across
//! systems. Of more than eight values of one field, eight NHS numbers or eight demographics of one person, the
//! rest is not kept.
//!
//! **Withdrawals.** A document or message withdrawn by its identifier takes everything with it that only it has said,
//! even if it comes later; an item withdrawn by itself is so until a later message says it anew. What was withdrawn is
//! marked, and its history stays: of each field the newest eight values, each with who said it first and last.
//!
//! **Limits.** Nothing that one system joined is ever unjoined: a wrong link is repaired at its source and by a rebuild.
//! What the journal no longer holds, a rebuild does not bring back, decisions included. A run goes, at the next
//! opening, when every patient in it has been written anew in a later one; a run with one quiet patient stays. The
//! note of a withdrawn document stays for ever, in about a hundred bytes.

mod bodies;
pub mod cache;
mod ending;
mod engine;
pub mod find;
pub mod held;
mod identity;
mod items;
mod keys;
mod open;
mod people;
mod read;
mod repair;
mod runs;
mod shelf;
mod state;
#[cfg(test)]
mod tests;
mod value;
mod wire;

use std::{
    fmt, io,
    path::Path,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

pub use find::{PeopleFound, PeopleQuery};
pub use identity::{IDENTIFIER_BYTES_MAX, IDENTIFIERS_MAX};
pub use open::{Opened, RebuildReason};
pub use people::{
    BOOKED_MAX, CASES_MAX, MatchCase, MatchDetail, MatchDoubt, MatchPerson, Matches, PersonDetail,
};
pub use read::{
    FieldValue, ITEMS_MAX, JOINED_MAX, KnownIdentifier, PatientRecord, RecordItem, Source, Version,
};
pub use repair::{Disagreement, DisagreementKind, Repair, RepairKind, Repairs};

use crate::{
    domain::{
        matching::Decision,
        nhs_number::NhsNumber,
        record::{Event, Identifier},
        time::Timestamp,
    },
    journal::Position,
    sys::entropy::Entropy,
};
use open::Home;
use state::State;

/// A patient's number in this view. Another view, or this one rebuilt, may number otherwise: never keep it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PatientId(u64);

/// What the journal tells the view.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// What a message says.
    Event(&'a Event),
    /// What people decided.
    Decision(&'a Decision),
}

/// One entry of the journal to be applied. Its `Debug` shows what [`Event`]'s shows.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// The configured name of the system it came from: the scope of its identifiers and keys.
    pub system: &'a str,
    /// When this hub took it in; orders it if the event does not say when it happened.
    pub received: Timestamp,
    /// Where it stands in the journal.
    pub position: Position,
    /// What it says.
    pub told: Told<'a>,
}

/// How much the view holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Patients: NHS numbers somebody gave, and persons without one, those joined counted once.
    pub patients: usize,
    /// Items that are written; one that changed at several times may count for each until they are brought
    /// together.
    pub items: usize,
}

/// Why the view cannot do something. After any but [`ViewError::Disk`] on opening it stays closed: open it again.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// An earlier error closed the view.
    #[error("the record view is closed since an earlier error")]
    Closed,
    /// The operating system refused.
    #[error("record view: {what}")]
    Disk {
        /// What was being done.
        what: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// sled refused. If the disk was full, it refuses for good until it is opened again.
    #[error("record view: sled failed while {what}")]
    Sled {
        /// What was being done.
        what: &'static str,
        /// What it said.
        #[source]
        source: sled::Error,
    },
    /// sled panicked.
    #[error("record view: sled panicked while {0}")]
    Panicked(&'static str),
    /// What is stored is not what was written.
    #[error("record view: {0}")]
    Damaged(&'static str),
}

impl ViewError {
    fn disk(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { what, source }
    }
}

/// The open record view. Any number of readers, one consumer that applies the journal.
pub struct View {
    home: Home,
    /// `None` once an error has closed it.
    state: RwLock<Option<State>>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("home", &self.home).finish_non_exhaustive()
    }
}

impl View {
    /// Opens the view in `directory`, or makes a new one if there is none that can be trusted.
    ///
    /// Reads the whole database once. `entropy` names a new database.
    ///
    /// # Errors
    /// The directory cannot be used, the disk is full, or another process has the view open. Damage is no
    /// error: it is thrown away.
    pub fn open(directory: &Path, entropy: &mut Entropy) -> Result<(Self, Opened), ViewError> {
        let home = Home::new(directory);
        let (state, opened) = home.open(entropy)?;
        Ok((Self { home, state: RwLock::new(Some(state)) }, opened))
    }

    /// Where the consumer continues; [`Position::default`] is before everything.
    ///
    /// # Errors
    /// The view is closed.
    pub fn position(&self) -> Result<Position, ViewError> {
        self.read(|state| Ok(state.next))
    }

    /// Applies messages in the order of the journal; `next` is the place behind the last of them.
    ///
    /// Readers see them at once. They are durable after [`View::flush`]; after a crash the view continues
    /// from an earlier position, and applying messages again is harmless.
    ///
    /// # Errors
    /// The view is closed from now on.
    pub fn apply(&self, messages: &[Applied<'_>], next: Position) -> Result<(), ViewError> {
        self.change(|state, _| {
            messages.iter().try_for_each(|message| state.apply(message))?;
            state.next = next;
            Ok(())
        })
    }

    /// Makes all that was applied durable, and says through where: only that may be told to the journal.
    ///
    /// Writes nothing if nothing was applied. Seldom is better, for changes that wait become fewer writes:
    /// after some megabytes of the journal or some minutes, and before the hub stops.
    ///
    /// # Errors
    /// The view is closed from now on.
    pub fn flush(&self) -> Result<Position, ViewError> {
        self.change(|state, home| {
            if state.through != state.next {
                state.spill()?;
                state.shelf.engine.flush()?;
                home.write_sentinel(state.generation, state.next)?;
                state.through = state.next;
            }
            Ok(state.through)
        })
    }

    /// The patient with an NHS number.
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn find_by_nhs_number(&self, number: &NhsNumber) -> Result<Option<PatientId>, ViewError> {
        self.read(|state| Ok(state.holding(number)?.main.into_iter().min().map(PatientId)))
    }

    /// The patient with an identifier of a system.
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn find_by_identifier(
        &self,
        system: &str,
        identifier: &Identifier,
    ) -> Result<Option<PatientId>, ViewError> {
        self.read(|state| {
            let found = state.by_local(system, identifier)?;
            found.map(|patient| state.whole(patient).map(|whole| PatientId(whole.patient))).transpose()
        })
    }

    /// Patients whom all that is asked fits, at most `limit`; none if nothing is asked. Looks at the fewest it can, at
    /// most [`find::CANDIDATES_MAX`] of them, and says when there may be more.
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn find_people(&self, query: &PeopleQuery, limit: usize) -> Result<PeopleFound, ViewError> {
        self.read(|state| state.find_people(query, limit))
    }

    /// A patient's record, or `None` if there is no such patient.
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn record(&self, patient: PatientId) -> Result<Option<PatientRecord>, ViewError> {
        self.read(|state| state.record(patient))
    }

    /// How much there is.
    ///
    /// # Errors
    /// The view is closed.
    pub fn counts(&self) -> Result<Counts, ViewError> {
        self.read(|state| Ok(state.counts.counts()))
    }

    /// Who has, or had, an appointment on a day (`20260105`), at most [`BOOKED_MAX`]: their records tell more.
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn booked(&self, day: u32) -> Result<Vec<PatientId>, ViewError> {
        self.read(|state| state.booked(day))
    }

    /// Forgets who had an appointment before a day; their records keep the appointments.
    ///
    /// # Errors
    /// The view is closed from now on.
    pub fn forget_bookings_before(&self, day: u32) -> Result<(), ViewError> {
        self.change(|state, _| state.forget_bookings_before(day))
    }

    /// What people have to decide about who is who: persons who gave an NHS number and were not linked to it, the least
    /// number first, at most [`CASES_MAX`].
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn matches(&self) -> Result<Matches, ViewError> {
        self.read(State::matches)
    }

    /// One case for people to decide, with what each side's systems say; none if there is no such case any more.
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn match_detail(&self, id: &str) -> Result<Option<MatchDetail>, ViewError> {
        self.read(|state| state.match_detail(id))
    }

    /// What people should repair at its source, newest first; the newest 10,000 are kept.
    ///
    /// # Errors
    /// The view is closed, from now on if it was not before.
    pub fn repairs(&self) -> Result<Repairs, ViewError> {
        self.read(State::repairs)
    }

    fn read<T>(&self, deed: impl FnOnce(&State) -> Result<T, ViewError>) -> Result<T, ViewError> {
        let result = deed(self.state_read().as_ref().ok_or(ViewError::Closed)?);
        result.inspect_err(|error| self.close(error))
    }

    fn change<T>(
        &self,
        deed: impl FnOnce(&mut State, &Home) -> Result<T, ViewError>,
    ) -> Result<T, ViewError> {
        let result = deed(self.state_write().as_mut().ok_or(ViewError::Closed)?, &self.home);
        result.inspect_err(|error| self.close(error))
    }

    /// Throws the state away. If what is stored is damaged, the next [`View::open`] shall not trust it.
    fn close(&self, error: &ViewError) {
        let state = self.state_write().take();
        if state.is_some() {
            tracing::warn!(error = error as &dyn std::error::Error, "the record view is closed");
            if engine::is_damage(error) {
                self.home.distrust();
            }
        }
    }

    fn state_read(&self) -> RwLockReadGuard<'_, Option<State>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_write(&self) -> RwLockWriteGuard<'_, Option<State>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
