//! The funnel: what was booked, what became of it, what was counted where, and what does not add up.
//!
//! Each sum has two sides that are counted apart. What was *booked* is counted of the statements on a contact: somebody said
//! that it was booked, moved, missed or cancelled. What became of it is counted of the contact's state. What was
//! *attended* is counted of the state, where it went of the route, and what the receiver said of the receiver's answer. A
//! difference is a residue, and the contacts that make it are named.
//!
//! A funnel grows by differences: a contact's [`Line`] is taken out as it was and put in as it is. Those of several hubs are
//! added up, and that is the funnel of all contacts, because each contact is counted by one hub.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::{
    contact::{Acceptance, Contact, ContactId, Dataset, Month, SaidKind, State, words::words},
    ids::HubId,
};

use super::{
    maps::Maps,
    route::{Exclusion, Route, route},
};

/// How "did not attend" is counted here, for the page that shows it. The rule is to be confirmed: published rates mostly
/// count both, but that was not seen in an official source.
pub const DID_NOT_ATTEND: &str = "did not attend, without warning (code 3), and came late and could not be seen (code 7); cancellations (2 and 4) are not among them; to be confirmed";

/// So many contacts are named for what does not add up; further ones are counted.
pub const NAMED_MAX: usize = 1_000;

words! {
    /// The sums that must come out.
    pub enum Sum {
        /// Booked = attended + did not attend + cancelled by patient + cancelled by provider + outstanding.
        Booked = "booked",
        /// Came without a booking = attended + not seen + missed + cancelled + closed + outstanding.
        Unbooked = "unbooked",
        /// Attended = routed + excluded.
        Attended = "attended",
        /// Routed = accepted + rejected + awaiting.
        Routed = "routed",
    }
}

/// What a funnel looks at of one contact.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    id: ContactId,
    key: Key,
    said_booked: bool,
    said_unbooked: bool,
    is_withdrawn: bool,
    state: State,
    dataset: Option<Dataset>,
    excluded: Option<Exclusion>,
    answer: Answer,
    statements: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Awaiting,
    Accepted,
    Rejected,
}

/// Where a contact is counted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Key {
    /// In which month.
    pub month: Month,
    /// By which hub.
    pub hub: HubId,
    /// At which service; none if its slot type is not mapped.
    pub service: Option<HubId>,
}

impl Line {
    /// The line of a contact, with what the receiver of its return said.
    pub fn of(contact: &Contact, maps: &Maps, acceptance: &Acceptance) -> Self {
        Self::routed(contact, &route(contact, maps), acceptance)
    }

    /// The line of a contact whose route is known.
    pub fn routed(contact: &Contact, route: &Route, acceptance: &Acceptance) -> Self {
        let said = |wanted: &[SaidKind]| contact.evidence.iter().any(|cited| wanted.contains(&cited.said));
        let walked = said(&[SaidKind::WalkInOpened]);
        let booked = [SaidKind::Booked, SaidKind::Moved, SaidKind::DidNotAttend, SaidKind::Cancelled];
        let otherwise =
            [SaidKind::UrgentCase, SaidKind::CommunityContact, SaidKind::Diagnostic, SaidKind::ResultOnly];
        let own = contact.evidence.iter().filter(|cited| cited.id.hub == contact.hub);
        let is_booked = !walked && (said(&booked) || (contact.start.is_some() && !said(&otherwise)));
        Self {
            id: contact.id,
            key: Key { month: contact.month(), hub: contact.hub.clone(), service: contact.service.clone() },
            said_booked: is_booked,
            said_unbooked: !is_booked,
            is_withdrawn: contact.state == State::Withdrawn,
            state: contact.state,
            dataset: route.dataset,
            excluded: route.excluded,
            answer: match acceptance {
                Acceptance::Awaiting => Answer::Awaiting,
                Acceptance::Accepted => Answer::Accepted,
                Acceptance::Rejected(_) => Answer::Rejected,
            },
            statements: u64::try_from(own.count()).unwrap_or(u64::MAX),
        }
    }

    /// The sums that do not come out for this contact alone.
    fn odd(&self) -> impl Iterator<Item = Sum> {
        let mut cell = Cell::default();
        cell.add(self, 1);
        Sum::ALL.iter().copied().filter(move |sum| cell.residue(*sum) != 0)
    }
}

/// What became of contacts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Outcomes {
    /// How many there were, as statements say.
    pub opened: i64,
    /// Took place.
    pub attended: i64,
    /// Did not come, without warning (code 3).
    pub did_not_attend: i64,
    /// Came, and was not seen (code 7).
    pub not_seen: i64,
    /// Cancelled by the patient.
    pub cancelled_by_patient: i64,
    /// Cancelled by the provider.
    pub cancelled_by_provider: i64,
    /// Closed without being seen.
    pub closed_unseen: i64,
    /// Nothing says what became of them.
    pub outstanding: i64,
}

impl Outcomes {
    fn of(&mut self, state: State) -> Option<&mut i64> {
        Some(match state {
            State::Attended => &mut self.attended,
            State::DidNotAttend => &mut self.did_not_attend,
            State::NotSeen => &mut self.not_seen,
            State::CancelledByPatient => &mut self.cancelled_by_patient,
            State::CancelledByProvider => &mut self.cancelled_by_provider,
            State::ClosedUnseen => &mut self.closed_unseen,
            State::Outstanding => &mut self.outstanding,
            State::Withdrawn => return None,
        })
    }

    /// All that did not attend, as [`DID_NOT_ATTEND`] says.
    pub const fn missed(&self) -> i64 {
        self.did_not_attend + self.not_seen
    }

    const fn sum(&self) -> i64 {
        self.attended
            + self.missed()
            + self.cancelled_by_patient
            + self.cancelled_by_provider
            + self.outstanding
    }

    fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.attended += other.attended;
        self.did_not_attend += other.did_not_attend;
        self.not_seen += other.not_seen;
        self.cancelled_by_patient += other.cancelled_by_patient;
        self.cancelled_by_provider += other.cancelled_by_provider;
        self.closed_unseen += other.closed_unseen;
        self.outstanding += other.outstanding;
    }
}

/// The counts of a month, a service and a hub, or of several.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Cell {
    /// What was booked.
    pub booked: Outcomes,
    /// What was not: walk-ins, cases, community contacts, diagnostics.
    pub unbooked: Outcomes,
    /// Attended, by the return it goes into.
    pub routed: BTreeMap<Dataset, i64>,
    /// Attended, by why it goes into none.
    pub excluded: BTreeMap<Exclusion, i64>,
    /// Of what is routed: taken by the receiver.
    pub accepted: i64,
    /// Of what is routed: refused by the receiver.
    pub rejected: i64,
    /// Of what is routed: not answered yet.
    pub awaiting: i64,
    /// Missed and cancelled contacts that are in a return too, as CDS type 020 has them.
    pub missed_in_returns: i64,
    /// Entered in error: in no sum.
    pub withdrawn: i64,
    /// Statements that contacts rest on, each once: those that were taken by the hub that counts the contact.
    pub statements: i64,
}

impl Cell {
    /// What was attended, booked or not.
    pub const fn attended(&self) -> i64 {
        self.booked.attended + self.unbooked.attended
    }

    /// How much one side of a sum is more than the other.
    pub fn residue(&self, sum: Sum) -> i64 {
        match sum {
            Sum::Booked => self.booked.opened - self.booked.sum(),
            Sum::Unbooked => self.unbooked.opened - self.unbooked.sum() - self.unbooked.closed_unseen,
            Sum::Attended => {
                self.attended() - self.routed.values().sum::<i64>() - self.excluded.values().sum::<i64>()
            }
            Sum::Routed => self.routed.values().sum::<i64>() - self.accepted - self.rejected - self.awaiting,
        }
    }

    /// The share of booked contacts that were missed, of those attended or missed, in thousandths; none if there are
    /// none. See [`DID_NOT_ATTEND`].
    pub fn missed_per_thousand(&self) -> Option<i64> {
        let all = self.booked.attended + self.booked.missed();
        (self.booked.missed() * 1000).checked_div(all)
    }

    fn add(&mut self, line: &Line, by: i64) {
        self.statements += by * i64::try_from(line.statements).unwrap_or(i64::MAX);
        if line.is_withdrawn {
            self.withdrawn += by;
            return;
        }
        self.booked.opened += by * i64::from(line.said_booked);
        self.unbooked.opened += by * i64::from(line.said_unbooked);
        let side = if line.said_booked { &mut self.booked } else { &mut self.unbooked };
        if let Some(count) = side.of(line.state) {
            *count += by;
        }
        if line.state != State::Attended {
            let is_missed = !matches!(line.state, State::Outstanding);
            self.missed_in_returns += by * i64::from(is_missed && line.dataset.is_some());
            return;
        }
        if let Some(dataset) = line.dataset {
            *self.routed.entry(dataset).or_default() += by;
            *match line.answer {
                Answer::Awaiting => &mut self.awaiting,
                Answer::Accepted => &mut self.accepted,
                Answer::Rejected => &mut self.rejected,
            } += by;
        }
        if let Some(excluded) = line.excluded {
            *self.excluded.entry(excluded).or_default() += by;
        }
        self.routed.retain(|_, count| *count != 0);
        self.excluded.retain(|_, count| *count != 0);
    }

    fn merge(&mut self, other: &Self) {
        self.booked.add(&other.booked);
        self.unbooked.add(&other.unbooked);
        for (dataset, count) in &other.routed {
            *self.routed.entry(*dataset).or_default() += count;
        }
        for (excluded, count) in &other.excluded {
            *self.excluded.entry(*excluded).or_default() += count;
        }
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.awaiting += other.awaiting;
        self.missed_in_returns += other.missed_in_returns;
        self.withdrawn += other.withdrawn;
        self.statements += other.statements;
    }
}

/// Counts by month, hub and service.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Funnel {
    /// Contacts of this hub alone are counted; none for those of all.
    only: Option<HubId>,
    #[serde(with = "rows")]
    cells: BTreeMap<Key, Cell>,
    odd: BTreeSet<(Sum, ContactId)>,
}

impl Funnel {
    /// A funnel of one hub's contacts, whatever it hears of others'; or of all.
    pub fn new(only: Option<HubId>) -> Self {
        Self { only, ..Self::default() }
    }

    /// A contact is now `after` and was `before`: either may be none.
    pub fn change(&mut self, before: Option<&Line>, after: Option<&Line>) {
        if let Some(line) = before.filter(|line| self.counts(line)) {
            for sum in line.odd() {
                self.odd.remove(&(sum, line.id));
            }
            if let Some(cell) = self.cells.get_mut(&line.key) {
                cell.add(line, -1);
                if *cell == Cell::default() {
                    self.cells.remove(&line.key);
                }
            }
        }
        if let Some(line) = after.filter(|line| self.counts(line)) {
            self.cells.entry(line.key.clone()).or_default().add(line, 1);
            for sum in line.odd() {
                if self.odd.len() < NAMED_MAX {
                    self.odd.insert((sum, line.id));
                }
            }
        }
    }

    fn counts(&self, line: &Line) -> bool {
        self.only.as_ref().is_none_or(|hub| *hub == line.key.hub)
    }

    /// Adds another hub's funnel to this one.
    pub fn merge(&mut self, other: &Self) {
        if self.only != other.only {
            self.only = None;
        }
        for (key, cell) in &other.cells {
            self.cells.entry(key.clone()).or_default().merge(cell);
        }
        self.odd.extend(other.odd.iter().copied());
        while NAMED_MAX < self.odd.len() {
            self.odd.pop_last();
        }
    }

    /// Every cell.
    pub fn cells(&self) -> impl Iterator<Item = (&Key, &Cell)> {
        self.cells.iter()
    }

    /// The cells that `wanted` wants, as one.
    pub fn total(&self, wanted: impl Fn(&Key) -> bool) -> Cell {
        let mut total = Cell::default();
        for (_, cell) in self.cells.iter().filter(|(key, _)| wanted(key)) {
            total.merge(cell);
        }
        total
    }

    /// The sums that do not come out, and by how much. A residue of one cell is not hidden by that of another.
    pub fn residues(&self) -> Vec<(Key, Sum, i64)> {
        let of = |key: &Key, cell: &Cell| {
            let sums = Sum::ALL.iter().map(|sum| (key.clone(), *sum, cell.residue(*sum)));
            sums.filter(|(_, _, residue)| *residue != 0).collect::<Vec<_>>()
        };
        self.cells.iter().flat_map(|(key, cell)| of(key, cell)).collect()
    }

    /// The contacts that make a residue; at most [`NAMED_MAX`] for all sums together.
    pub fn named(&self, sum: Sum) -> impl Iterator<Item = ContactId> + '_ {
        self.odd.iter().filter(move |(of, _)| *of == sum).map(|(_, id)| *id)
    }
}

/// Cells as rows: not every format has maps with keys of several parts.
mod rows {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Cell, Key};

    pub(super) fn serialize<S: Serializer>(
        cells: &BTreeMap<Key, Cell>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(cells)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Key, Cell>, D::Error> {
        Vec::<(Key, Cell)>::deserialize(deserializer).map(BTreeMap::from_iter)
    }
}

#[cfg(test)]
mod tests;
