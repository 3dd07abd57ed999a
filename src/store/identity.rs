//! Who a message is about: finds, makes and joins persons by the identifiers messages list.
//!
//! Two forests over persons' numbers, each person as one system knows them. `same_as` joins what local identifiers in
//! one message show to be one person. `joined_to` adds the merges that a message orders; records are read along it.
//! Only roots are ever joined, so neither has a cycle. What joins persons of different systems is not stored: it
//! follows from their claims to NHS numbers whenever a record is read, see [`super::people`].

use super::{
    DisagreementKind, RepairKind, ViewError,
    keys::{self, Room},
    state::{Message, State},
    value::{ALIASES_BYTES_MAX, Alias, Claim, Patient},
};
use crate::domain::{
    matching::{self, TRAITS_MAX, Traits},
    nhs_number::NhsNumber,
    record::{Event, Identifier},
};

/// Identifiers of one message that are looked at, listed and merged alike; more have not been seen and
/// would make the batch of identity changes large.
pub const IDENTIFIERS_MAX: usize = 24;
/// Longest identifier, in bytes of its value, authority and kind together; HL7 v2.4 allows 250 for a CX.
pub const IDENTIFIER_BYTES_MAX: usize = 512;
/// NHS numbers of one person that are kept: more than two are a mistake whatever they are.
const NUMBERS_MAX: usize = 8;
/// Steps to a root. Each is a merge somebody ordered, so more are damage.
const STEPS_MAX: usize = 100_000;

/// Which of the two forests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forest {
    SameAs,
    JoinedTo,
}

impl State {
    /// The person a message is about, if it says so at all.
    pub(super) fn identify(&mut self, message: &Message<'_>) -> Result<Option<u64>, ViewError> {
        let event = message.event;
        let locals = self.usable(message, &event.identifiers);
        let traits = Traits::of(&event.items);
        let only_withdraws = event.items.is_empty() && !event.withdraws.is_empty();
        if let Err(reason) = event.nhs_number
            && !only_withdraws
        {
            self.repair(message, RepairKind::NoNhsNumber(reason));
        }
        let patient = match (self.first_known(message, &locals)?, &event.nhs_number) {
            (Some(known), _) => known,
            (None, _) if !locals.is_empty() => self.new_patient(),
            (None, Ok(number)) => self.person(message.system, &matching::nameless(number, traits))?,
            (None, Err(_)) if only_withdraws => return Ok(None),
            (None, Err(_)) => {
                self.repair(message, RepairKind::NoIdentifier);
                return Ok(None);
            }
        };
        for identifier in &locals {
            self.attach(message, patient, identifier)?;
        }
        self.merge(message, patient)?;
        if let Ok(number) = event.nhs_number {
            self.give_number(message, patient, number)?;
        }
        if let Some(traits) = traits {
            self.give_traits(patient, traits)?;
        }
        Ok(Some(patient))
    }

    /// The person with an identifier, made if there is none yet.
    pub(super) fn person(&mut self, system: &str, identifier: &Identifier) -> Result<u64, ViewError> {
        if let Some(known) = self.by_local(system, identifier)? {
            return Ok(known);
        }
        let patient = self.new_patient();
        self.list(system, patient, identifier, false)?;
        Ok(patient)
    }

    /// The patient a local identifier leads to.
    pub(super) fn by_local(&self, system: &str, identifier: &Identifier) -> Result<Option<u64>, ViewError> {
        self.number_at(&keys::local(system, identifier))
    }

    /// The stored patient.
    pub(super) fn patient(&self, patient: u64) -> Result<Patient, ViewError> {
        let bytes = self.shelf.get(&keys::numbered(Room::Patient, patient))?;
        let bytes = bytes.ok_or(ViewError::Damaged("an identifier leads to no patient"))?;
        Patient::decode(&bytes).ok_or(ViewError::Damaged("a patient cannot be read"))
    }

    fn usable<'a>(&mut self, message: &Message<'_>, listed: &'a [Identifier]) -> Vec<&'a Identifier> {
        let fits = |identifier: &Identifier| {
            identifier.value.len() + identifier.authority.len() + identifier.kind.len()
                <= IDENTIFIER_BYTES_MAX
        };
        let mut locals: Vec<&Identifier> = Vec::new();
        let given =
            listed.iter().filter(|identifier| !identifier.value.is_empty() && !is_national(identifier));
        for identifier in given {
            if IDENTIFIERS_MAX <= locals.len() || !fits(identifier) {
                self.repair(message, RepairKind::IdentifierUnusable);
            } else if !locals.contains(&identifier) {
                locals.push(identifier);
            }
        }
        locals
    }

    fn first_known(&self, message: &Message<'_>, locals: &[&Identifier]) -> Result<Option<u64>, ViewError> {
        for identifier in locals {
            if let Some(patient) = self.by_local(message.system, identifier)? {
                return Ok(Some(patient));
            }
        }
        Ok(None)
    }

    /// Keeps that a message gives a person an NHS number, and notes it if it is not the only one.
    fn give_number(
        &mut self,
        message: &Message<'_>,
        patient: u64,
        number: NhsNumber,
    ) -> Result<(), ViewError> {
        let (_, value) = self.root_in(Forest::SameAs, patient)?;
        if !value.numbers.is_empty() && !value.numbers.contains(&number) {
            let taken = !self.claims(&number)?.is_empty();
            let kind =
                if taken { DisagreementKind::NhsNumberOfAnother } else { DisagreementKind::SecondNhsNumber };
            self.disagree(message, patient, kind, number.as_str())?;
        }
        let status = matching::demographic(&message.event.items, "nhs_number_status");
        let status = status.and_then(matching::is_verified);
        let stamp = (message.stamp.occurred, message.stamp.received);
        let status = status.map(|verified| (stamp, verified));
        self.claim(patient, number, Claim { status, decided: None, since: message.received })
    }

    /// Adds to what is known of a person's claim to a number.
    pub(super) fn claim(&mut self, patient: u64, number: NhsNumber, claim: Claim) -> Result<(), ViewError> {
        let (root, mut value) = self.root_in(Forest::SameAs, patient)?;
        let claims = self.claims(&number)?;
        self.counts.numbers += usize::from(claims.is_empty());
        let known = claims.get(&root).copied();
        let mut told = claim;
        if let Some(known) = known {
            told.take_in(known);
        }
        if known.is_some_and(|known| known == told) {
            return Ok(());
        }
        self.shelf.put(keys::claim(&number, root), Some(told.encode()));
        if known.is_none() {
            if let Err(place) = value.numbers.binary_search(&number) {
                value.numbers.insert(place, number);
                value.numbers.truncate(NUMBERS_MAX);
            }
            self.put_patient(root, &value);
            self.mark_numbered(root)?;
        }
        self.review(&value.numbers)
    }

    fn mark_numbered(&mut self, patient: u64) -> Result<(), ViewError> {
        let (root, mut value) = self.root_in(Forest::JoinedTo, patient)?;
        if !value.numbered {
            value.numbered = true;
            self.put_patient(root, &value);
            self.counts.unnumbered = self.counts.unnumbered.saturating_sub(1);
        }
        Ok(())
    }

    /// Keeps the demographics a message gives of a person.
    fn give_traits(&mut self, patient: u64, traits: Traits) -> Result<(), ViewError> {
        let (root, mut value) = self.root_in(Forest::SameAs, patient)?;
        if add_traits(&mut value.traits, &[traits]) {
            self.put_patient(root, &value);
            self.review(&value.numbers)?;
        }
        Ok(())
    }

    /// Adds a local identifier to a patient, or joins the patient that has it, or notes why not.
    fn attach(
        &mut self,
        message: &Message<'_>,
        patient: u64,
        identifier: &Identifier,
    ) -> Result<(), ViewError> {
        match self.by_local(message.system, identifier)? {
            Some(holder) if self.join_same(patient, holder)? => Ok(()),
            Some(_) => {
                self.disagree(message, patient, DisagreementKind::IdentifierOfAnother, &identifier.value)
            }
            None => self.list(message.system, patient, identifier, false),
        }
    }

    /// Does what MRG says: the patients it names are read with this one from now on.
    fn merge(&mut self, message: &Message<'_>, survivor: u64) -> Result<(), ViewError> {
        let event: &Event = message.event;
        let national = event.merged.iter().filter(|identifier| is_national(identifier));
        let foreign = |identifier: &Identifier| {
            NhsNumber::parse(&identifier.value).is_ok_and(|number| Ok(number) != event.nhs_number)
        };
        if national.into_iter().any(foreign) {
            // One system's word does not make two NHS numbers one person everywhere.
            self.repair(message, RepairKind::NhsNumbersMerged);
        }
        for identifier in self.usable(message, &event.merged) {
            let merged = match self.by_local(message.system, identifier)? {
                Some(patient) => patient,
                None => self.new_patient(),
            };
            if !event.identifiers.contains(identifier) {
                self.list(message.system, merged, identifier, true)?;
            }
            self.join_merged(message, survivor, merged)?;
        }
        Ok(())
    }

    fn join_merged(&mut self, message: &Message<'_>, survivor: u64, merged: u64) -> Result<(), ViewError> {
        let numbers = (self.root_in(Forest::SameAs, survivor)?.1, self.root_in(Forest::SameAs, merged)?.1);
        if contradict(&numbers.0, &numbers.1) {
            self.repair(message, RepairKind::NhsNumbersMerged);
        }
        self.join_records(survivor, merged)
    }

    /// Joins two persons that one message shows to be the same. False if their NHS numbers differ.
    fn join_same(&mut self, one: u64, other: u64) -> Result<bool, ViewError> {
        let (one, one_value) = self.root_in(Forest::SameAs, one)?;
        let (other, other_value) = self.root_in(Forest::SameAs, other)?;
        if one == other {
            return Ok(true);
        }
        if contradict(&one_value, &other_value) {
            return Ok(false);
        }
        let (root, below) = (one.min(other), one.max(other));
        let (mut above, mut value) =
            if root == one { (one_value, other_value) } else { (other_value, one_value) };
        value.same_as = Some(root);
        above.numbers.extend(&value.numbers);
        above.numbers.sort_unstable();
        above.numbers.dedup();
        above.numbers.truncate(NUMBERS_MAX);
        add_traits(&mut above.traits, &value.traits);
        above.anchor = above.anchor.min(value.anchor);
        self.put_patient(below, &value);
        self.put_patient(root, &above);
        self.join_records(root, below)?;
        self.review(&above.numbers)?;
        Ok(true)
    }

    fn join_records(&mut self, root: u64, below: u64) -> Result<(), ViewError> {
        let (root, mut above) = self.root_in(Forest::JoinedTo, root)?;
        let (below, mut value) = self.root_in(Forest::JoinedTo, below)?;
        if root != below {
            if !(above.numbered && value.numbered) {
                self.counts.unnumbered = self.counts.unnumbered.saturating_sub(1);
            }
            value.joined_to = Some(root);
            self.put_patient(below, &value);
            if value.numbered && !above.numbered {
                above.numbered = true;
                self.put_patient(root, &above);
            }
            self.shelf.put(keys::child(root, below), Some(Vec::new()));
        }
        Ok(())
    }

    pub(super) fn root_in(&self, forest: Forest, mut patient: u64) -> Result<(u64, Patient), ViewError> {
        for _ in 0..STEPS_MAX {
            let value = self.patient(patient)?;
            let above = match forest {
                Forest::SameAs => value.same_as,
                Forest::JoinedTo => value.joined_to,
            };
            match above {
                None => return Ok((patient, value)),
                Some(above) => patient = above,
            }
        }
        Err(ViewError::Damaged("patients are joined in a circle"))
    }

    fn new_patient(&mut self) -> u64 {
        let patient = self.patient_next;
        self.patient_next += 1;
        self.put_patient(patient, &Patient { anchor: u64::MAX, ..Patient::default() });
        self.counts.unnumbered += 1;
        patient
    }

    fn list(
        &mut self,
        system: &str,
        patient: u64,
        identifier: &Identifier,
        merged: bool,
    ) -> Result<(), ViewError> {
        let alias = Alias { system: self.number_of_name(system), merged, identifier: identifier.clone() };
        self.put_number(keys::local(system, identifier), patient);
        let mut value = self.patient(patient)?;
        let same = |known: &&mut Alias| known.system == alias.system && known.identifier == alias.identifier;
        let used: usize = value.aliases.iter().map(|alias| alias.encode().len()).sum();
        if let Some(known) = value.aliases.iter_mut().find(same) {
            known.merged = merged;
        } else if !value.has_more_aliases && used + alias.encode().len() <= ALIASES_BYTES_MAX {
            value.aliases.push(alias);
        } else {
            self.shelf.put(keys::alias(patient, system, identifier), Some(alias.encode()));
            value.has_more_aliases = true;
        }
        self.put_patient(patient, &value);
        let (root, mut value) = self.root_in(Forest::SameAs, patient)?;
        let anchor = keys::anchor(system, identifier);
        if anchor < value.anchor {
            value.anchor = anchor;
            self.put_patient(root, &value);
        }
        Ok(())
    }

    fn put_patient(&mut self, patient: u64, value: &Patient) {
        self.shelf.put(keys::numbered(Room::Patient, patient), Some(value.encode()));
    }
}

/// Whether an identifier is an NHS number, which [`Event::nhs_number`] speaks of.
fn is_national(identifier: &Identifier) -> bool {
    identifier.kind == "NH" || identifier.authority == "NHS"
}

/// Whether two persons have NHS numbers, and not the same.
fn contradict(one: &Patient, other: &Patient) -> bool {
    !one.numbers.is_empty() && !other.numbers.is_empty() && one.numbers != other.numbers
}

/// Adds demographics to those known, in order; of too many the first stay, whichever came first. True if that
/// changed anything.
fn add_traits(known: &mut Vec<Traits>, others: &[Traits]) -> bool {
    let before = known.clone();
    known.extend(others);
    known.sort_unstable();
    known.dedup();
    known.truncate(TRAITS_MAX);
    *known != before
}
