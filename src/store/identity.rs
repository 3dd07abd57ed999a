//! Who a message is about: finds, makes and joins patients by the identifiers messages list.
//!
//! Two forests over patients' numbers. `same_as` joins what identifiers in one message show to be one
//! patient, and never two that have different NHS numbers: that is a disagreement for people to settle.
//! `joined_to` adds the merges that a message orders; records are read along it. Only roots are ever
//! joined, so neither has a cycle.

use super::{
    DisagreementKind, RepairKind, ViewError,
    keys::{self, Room},
    state::{Message, State},
    value::{Alias, Patient},
};
use crate::domain::{
    nhs_number::NhsNumber,
    record::{Event, Identifier},
};

/// Identifiers of one message that are looked at, listed and merged alike; more have not been seen and
/// would make the batch of identity changes large.
pub const IDENTIFIERS_MAX: usize = 24;
/// Longest identifier, in bytes of its value, authority and kind together; HL7 v2.4 allows 250 for a CX.
pub const IDENTIFIER_BYTES_MAX: usize = 512;
/// Steps to a root. Each is a merge somebody ordered, so more are damage.
const STEPS_MAX: usize = 100_000;

/// Which of the two forests.
#[derive(Clone, Copy, Debug)]
enum Forest {
    SameAs,
    JoinedTo,
}

impl State {
    /// The patient a message is about, if it says so at all.
    pub(super) fn identify(&mut self, message: &Message<'_>) -> Result<Option<u64>, ViewError> {
        let event = message.event;
        let locals = self.usable(message, &event.identifiers);
        let known = self.first_known(message, &locals)?;
        let by_number = match &event.nhs_number {
            Ok(number) => self.by_nhs_number(number)?,
            Err(reason) => {
                self.repair(message, RepairKind::NoNhsNumber(*reason));
                None
            }
        };
        let patient = match known.or(by_number) {
            Some(patient) => patient,
            None if locals.is_empty() && event.nhs_number.is_err() => {
                self.repair(message, RepairKind::NoIdentifier);
                return Ok(None);
            }
            None => self.new_patient(None),
        };
        if let Ok(number) = event.nhs_number {
            self.claim(message, patient, number, by_number)?;
        }
        for identifier in &locals {
            self.attach(message, patient, identifier)?;
        }
        self.merge(message, patient)?;
        Ok(Some(patient))
    }

    /// The patient an NHS number leads to.
    pub(super) fn by_nhs_number(&self, number: &NhsNumber) -> Result<Option<u64>, ViewError> {
        self.number_at(&keys::nhs_number(number))
    }

    /// The patient a local identifier leads to.
    pub(super) fn by_local(&self, system: &str, identifier: &Identifier) -> Result<Option<u64>, ViewError> {
        self.number_at(&keys::local(system, identifier))
    }

    /// The patient whose record is read for this one.
    pub(super) fn root(&self, patient: u64) -> Result<u64, ViewError> {
        Ok(self.root_in(Forest::JoinedTo, patient)?.0)
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

    /// Joins a patient to the NHS number a message gives it, or notes why not.
    fn claim(
        &mut self,
        message: &Message<'_>,
        patient: u64,
        number: NhsNumber,
        holder: Option<u64>,
    ) -> Result<(), ViewError> {
        if let Some(holder) = holder {
            if !self.join_same(patient, holder)? {
                self.disagree(message, patient, DisagreementKind::NhsNumberOfAnother, number.as_str())?;
            }
            return Ok(());
        }
        let (root, mut value) = self.root_in(Forest::SameAs, patient)?;
        if value.nhs_number.is_some() {
            return self.disagree(message, patient, DisagreementKind::SecondNhsNumber, number.as_str());
        }
        value.nhs_number = Some(number);
        self.put_patient(root, &value);
        self.put_number(keys::nhs_number(&number), root);
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
            None => {
                self.list(message, patient, identifier, false);
                Ok(())
            }
        }
    }

    /// Does what MRG says: the patients it names are read with this one from now on.
    fn merge(&mut self, message: &Message<'_>, survivor: u64) -> Result<(), ViewError> {
        let event: &Event = message.event;
        for number in event.merged.iter().filter(|identifier| is_national(identifier)) {
            let Ok(number) = NhsNumber::parse(&number.value) else { continue };
            let merged = match self.by_nhs_number(&number)? {
                Some(patient) => patient,
                None => {
                    let patient = self.new_patient(Some(number));
                    self.put_number(keys::nhs_number(&number), patient);
                    patient
                }
            };
            self.join_merged(message, survivor, merged)?;
        }
        for identifier in self.usable(message, &event.merged) {
            let merged = match self.by_local(message.system, identifier)? {
                Some(patient) => patient,
                None => self.new_patient(None),
            };
            if !event.identifiers.contains(identifier) {
                self.list(message, merged, identifier, true);
            }
            self.join_merged(message, survivor, merged)?;
        }
        Ok(())
    }

    fn join_merged(&mut self, message: &Message<'_>, survivor: u64, merged: u64) -> Result<(), ViewError> {
        let numbers = (self.root_in(Forest::SameAs, survivor)?.1, self.root_in(Forest::SameAs, merged)?.1);
        if let (Some(one), Some(other)) = (numbers.0.nhs_number, numbers.1.nhs_number)
            && one != other
        {
            self.repair(message, RepairKind::NhsNumbersMerged);
        }
        self.join_records(survivor, merged)
    }

    /// Joins two patients that one message shows to be the same. False if their NHS numbers differ.
    fn join_same(&mut self, one: u64, other: u64) -> Result<bool, ViewError> {
        let (one, one_value) = self.root_in(Forest::SameAs, one)?;
        let (other, other_value) = self.root_in(Forest::SameAs, other)?;
        if one == other {
            return Ok(true);
        }
        let (root, below) = match (one_value.nhs_number, other_value.nhs_number) {
            (Some(_), Some(_)) => return Ok(false),
            (Some(_), None) => (one, other),
            (None, Some(_)) => (other, one),
            (None, None) => (one.min(other), one.max(other)),
        };
        let mut value = self.patient(below)?;
        value.same_as = Some(root);
        self.put_patient(below, &value);
        self.join_records(root, below)?;
        Ok(true)
    }

    fn join_records(&mut self, root: u64, below: u64) -> Result<(), ViewError> {
        let (root, _) = self.root_in(Forest::JoinedTo, root)?;
        let (below, mut value) = self.root_in(Forest::JoinedTo, below)?;
        if root != below {
            value.joined_to = Some(root);
            self.put_patient(below, &value);
            self.shelf.put(keys::child(root, below), Some(Vec::new()));
            self.counts.patients = self.counts.patients.saturating_sub(1);
        }
        Ok(())
    }

    fn root_in(&self, forest: Forest, mut patient: u64) -> Result<(u64, Patient), ViewError> {
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

    fn new_patient(&mut self, nhs_number: Option<NhsNumber>) -> u64 {
        let patient = self.patient_next;
        self.patient_next += 1;
        self.put_patient(patient, &Patient { nhs_number, ..Patient::default() });
        self.counts.patients += 1;
        patient
    }

    fn list(&mut self, message: &Message<'_>, patient: u64, identifier: &Identifier, merged: bool) {
        let system = self.number_of_name(message.system);
        let alias = Alias { system, merged, identifier: identifier.clone() };
        self.shelf.put(keys::alias(patient, message.system, identifier), Some(alias.encode()));
        self.put_number(keys::local(message.system, identifier), patient);
    }

    fn put_patient(&mut self, patient: u64, value: &Patient) {
        self.shelf.put(keys::numbered(Room::Patient, patient), Some(value.encode()));
    }
}

/// Whether an identifier is an NHS number, which [`Event::nhs_number`] speaks of.
fn is_national(identifier: &Identifier) -> bool {
    identifier.kind == "NH" || identifier.authority == "NHS"
}
