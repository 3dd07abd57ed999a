//! Who is one person: which numbers of which systems belong together, as far as statements say so.
//!
//! Two things are kept apart. *Together* is generous: numbers that were ever named in one breath are looked at together,
//! so that nothing that could be one contact is missed. *Who* is strict: a local number stands for an NHS number only if
//! it was named with that one alone, and two NHS numbers are one person only if a system said that it merged them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::domain::contact::{Evidence, Month, NumberStatus, Patient, Said};

use super::names::hash;

/// A number of a person, hashed; NHS numbers are odd, others even.
pub(super) type Number = u64;
/// What is known to be one person, strictly.
pub(super) type Who = u64;
/// A person's place in the list.
pub(super) type PersonNumber = u32;

/// A local number that is named with more NHS numbers than this is a filler; further ones say nothing new.
const TIES_OF_NUMBER_MAX: usize = 8;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
enum Tie {
    /// Named in one breath.
    Together(Number, Number),
    /// A system has merged them.
    Merged(Number, Number),
}

/// Numbers that were named together, and where their contacts are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Person {
    /// The number by which the person was first known.
    first: Number,
    /// Sorted. Lists, and not sets, of which even a small one takes hundreds of bytes: most persons have one number.
    ties: Vec<Tie>,
    /// Months put away that hold something of this person, sorted.
    shelved: Vec<Month>,
    /// (service and day, bundle), open ones.
    #[serde(skip)]
    blocks: Vec<(u64, u32)>,
}

/// Everybody.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct People {
    numbers: HashMap<Number, PersonNumber>,
    persons: Vec<Person>,
}

/// Whether a number, or who it stands for, is an NHS number.
pub(super) const fn is_nhs(number: Number) -> bool {
    number & 1 == 1
}

/// The usable numbers of a patient, the NHS number first.
fn numbers(patient: &Patient) -> Vec<Number> {
    let is_doubtful = matches!(patient.status, Some(NumberStatus::NoMatch | NumberStatus::NeedsResolving));
    let nhs = patient.nhs_number.filter(|_| !is_doubtful);
    let nhs = nhs.map(|number| hash(&[b"nhs", number.as_str().as_bytes()]) | 1);
    let local =
        patient.local.iter().map(|id| hash(&[b"local", id.system.as_bytes(), id.value.as_bytes()]) & !1);
    nhs.into_iter().chain(local).collect()
}

impl People {
    /// Those of whom a statement says something new: that numbers of theirs belong together.
    fn learns(&self, statement: &Evidence) -> Vec<&Person> {
        let (all, ties) = said(statement);
        let persons: BTreeSet<PersonNumber> =
            all.iter().filter_map(|n| self.numbers.get(n).copied()).collect();
        let persons: Vec<&Person> = persons.into_iter().filter_map(|person| self.person(person)).collect();
        let is_known = |tie: &Tie| persons.iter().any(|person| person.ties.binary_search(tie).is_ok());
        if ties.iter().all(is_known) { Vec::new() } else { persons }
    }

    /// The months put away that would have to be opened for what a statement says of numbers.
    pub(super) fn wants(&self, statement: &Evidence) -> BTreeSet<Month> {
        self.learns(statement).iter().flat_map(|person| person.shelved.iter().copied()).collect()
    }

    /// The bundles whose contacts must be made again for what a statement says of numbers.
    pub(super) fn about(&self, statement: &Evidence) -> BTreeSet<u32> {
        self.learns(statement)
            .iter()
            .flat_map(|person| person.blocks.iter().map(|(_, bundle)| *bundle))
            .collect()
    }

    /// Bundles that have something of a person in a block.
    pub(super) fn in_block(&self, person: PersonNumber, block: u64) -> Vec<u32> {
        let blocks = self.person(person).map(|person| person.blocks.as_slice()).unwrap_or_default();
        blocks.iter().filter(|(other, _)| *other == block).map(|(_, bundle)| *bundle).collect()
    }

    /// Takes in what a statement says of numbers; the bundles that may be one with others now.
    pub(super) fn take(&mut self, statement: &Evidence) -> BTreeSet<u32> {
        let (all, ties) = said(statement);
        let mut joined = BTreeSet::new();
        for number in all {
            self.person_of(number);
        }
        for tie in ties {
            let (Tie::Together(one, other) | Tie::Merged(one, other)) = tie;
            let (a, b) = (self.person_of(one), self.person_of(other));
            let is_merge = matches!(tie, Tie::Merged(..));
            let is_filler = !is_merge && self.is_filler(other, one);
            let keep = if a == b || is_filler { b } else { self.join(a, b, &mut joined) };
            let Some(person) = self.person_mut(keep) else { continue };
            let named = |tie: &&Tie| matches!(tie, Tie::Together(_, local) if *local == other);
            let is_full = !is_merge && TIES_OF_NUMBER_MAX <= person.ties.iter().filter(named).count();
            if !is_full {
                insert(&mut person.ties, tie);
            }
        }
        joined
    }

    /// Whether a local number is already named with an NHS number that is not this one.
    fn is_filler(&self, local: Number, nhs: Number) -> bool {
        if !is_nhs(nhs) || is_nhs(local) {
            return false;
        }
        let person = self.numbers.get(&local).and_then(|person| self.person(*person));
        person.is_some_and(|person| {
            let merged = Merged::of(&person.ties);
            let nhs = merged.first(nhs);
            person.ties.iter().any(
                |tie| matches!(tie, Tie::Together(one, other) if *other == local && is_nhs(*one) && merged.first(*one) != nhs),
            )
        })
    }

    /// Two are looked at as one from now on; the number of that one.
    fn join(&mut self, a: PersonNumber, b: PersonNumber, joined: &mut BTreeSet<u32>) -> PersonNumber {
        let (keep, lose) = (a.min(b), a.max(b));
        let Some(lost) = self.person_mut(lose).map(std::mem::take) else { return keep };
        for person in self.numbers_of(&lost, lose) {
            self.numbers.insert(person, keep);
        }
        let Some(person) = self.person_mut(keep) else { return keep };
        for (block, bundle) in &lost.blocks {
            let is_shared = person.blocks.iter().any(|(other, of)| other == block && of != bundle);
            joined.extend(is_shared.then_some(*bundle));
        }
        person.blocks.extend(lost.blocks);
        person.blocks.sort_unstable();
        person.blocks.dedup();
        for tie in lost.ties {
            insert(&mut person.ties, tie);
        }
        for month in lost.shelved {
            insert(&mut person.shelved, month);
        }
        keep
    }

    /// The numbers that lead to a person.
    fn numbers_of(&self, person: &Person, number: PersonNumber) -> Vec<Number> {
        let tied: BTreeSet<Number> = person
            .ties
            .iter()
            .flat_map(|tie| match tie {
                Tie::Together(one, other) | Tie::Merged(one, other) => [*one, *other],
            })
            .chain([person.first])
            .filter(|tied| self.numbers.get(tied) == Some(&number))
            .collect();
        tied.into_iter().collect()
    }

    fn person(&self, number: PersonNumber) -> Option<&Person> {
        self.persons.get(usize::try_from(number).ok()?)
    }

    fn person_mut(&mut self, number: PersonNumber) -> Option<&mut Person> {
        self.persons.get_mut(usize::try_from(number).ok()?)
    }

    fn person_of(&mut self, number: Number) -> PersonNumber {
        if let Some(person) = self.numbers.get(&number) {
            return *person;
        }
        let person = PersonNumber::try_from(self.persons.len()).unwrap_or(PersonNumber::MAX);
        self.persons.push(Person { first: number, ..Person::default() });
        self.numbers.insert(number, person);
        person
    }

    /// Notes that a bundle has something of a person in a block.
    pub(super) fn note(&mut self, person: PersonNumber, block: u64, bundle: u32) {
        let Some(person) = self.person_mut(person) else { return };
        if !person.blocks.contains(&(block, bundle)) {
            person.blocks.reserve_exact(1);
            person.blocks.push((block, bundle));
        }
    }

    /// Every place that named `lost` names `kept`.
    pub(super) fn renamed(&mut self, person: PersonNumber, lost: u32, kept: u32) {
        let Some(person) = self.person_mut(person) else { return };
        for (_, bundle) in &mut person.blocks {
            if *bundle == lost {
                *bundle = kept;
            }
        }
        person.blocks.sort_unstable();
        person.blocks.dedup();
    }

    /// A bundle is put away with a month.
    pub(super) fn shelve(&mut self, person: PersonNumber, bundle: u32, month: Month) {
        let Some(person) = self.person_mut(person) else { return };
        person.blocks.retain(|(_, of)| *of != bundle);
        person.blocks.shrink_to_fit();
        insert(&mut person.shelved, month);
    }

    /// A month is open again.
    pub(super) fn reopened(&mut self, month: Month) {
        for person in &mut self.persons {
            person.shelved.retain(|other| *other != month);
        }
    }

    /// The person whom a statement names, without taking anything in.
    pub(super) fn find(&self, patient: &Patient) -> Option<PersonNumber> {
        numbers(patient).iter().find_map(|number| self.numbers.get(number)).copied()
    }

    /// Strictly who is meant; none if nobody is named.
    pub(super) fn who(&self, patient: &Patient) -> Option<Who> {
        let numbers = numbers(patient);
        let of = |number: Number| -> Option<(Who, bool)> {
            let person = self.person(*self.numbers.get(&number)?)?;
            Some(strictly(&person.ties, number))
        };
        let mut all = numbers.iter().filter_map(|number| of(*number));
        let first = all.next()?;
        // A local number that leads to an NHS number says more than one that does not.
        if first.1 { Some(first.0) } else { Some(all.find(|(_, is_nhs)| *is_nhs).unwrap_or(first).0) }
    }
}

/// Puts a value in its place, unless it is there.
fn insert<T: Ord>(sorted: &mut Vec<T>, value: T) {
    if let Err(place) = sorted.binary_search(&value) {
        sorted.reserve_exact(1);
        sorted.insert(place, value);
    }
}

/// What a statement says of numbers: all of them, and which belong together.
fn said(statement: &Evidence) -> (Vec<Number>, Vec<Tie>) {
    let mut all = numbers(&statement.patient);
    let mut ties = Vec::new();
    if let Some((first, others)) = all.split_first() {
        ties.extend(others.iter().map(|other| Tie::Together(*first, *other)));
    }
    if let Said::PatientMerged(retired) = &statement.said {
        let retired = numbers(retired);
        for (one, other) in all.iter().flat_map(|one| retired.iter().map(move |other| (*one, *other))) {
            // Lists of local numbers and of NHS numbers are merged each with its like.
            if is_nhs(one) == is_nhs(other) {
                ties.push(Tie::Merged(one, other));
            }
        }
        if let Some((first, others)) = retired.split_first() {
            ties.extend(others.iter().map(|other| Tie::Together(*first, *other)));
        }
        all.extend(retired);
    }
    (all, ties)
}

/// The first of each set of merged numbers.
struct Merged(BTreeMap<Number, Number>);

impl Merged {
    fn of(ties: &[Tie]) -> Self {
        let mut first: BTreeMap<Number, Number> = BTreeMap::new();
        let pairs = ties.iter().filter_map(|tie| match tie {
            Tie::Merged(one, other) if one != other => Some((*one, *other)),
            _ => None,
        });
        for (one, other) in pairs {
            let (one, other) = (Self::in_map(&first, one), Self::in_map(&first, other));
            first.insert(one.max(other), one.min(other));
        }
        Self(first)
    }

    fn in_map(first: &BTreeMap<Number, Number>, mut number: Number) -> Number {
        while let Some(next) = first.get(&number).filter(|next| **next != number) {
            number = *next;
        }
        number
    }

    fn first(&self, number: Number) -> Number {
        Self::in_map(&self.0, number)
    }
}

/// Strictly who a number stands for, and whether that is an NHS number.
fn strictly(ties: &[Tie], number: Number) -> (Who, bool) {
    let merged = Merged::of(ties);
    let own = merged.first(number);
    if is_nhs(number) {
        return (own, true);
    }
    let mut nhs = BTreeSet::new();
    let mut local = BTreeSet::from([own]);
    // Local numbers that were named together without an NHS number are one; two rounds reach what chains there are.
    for _ in 0..2 {
        for tie in ties {
            let Tie::Together(one, other) = tie else { continue };
            let (one, other) = (merged.first(*one), merged.first(*other));
            if is_nhs(one) && local.contains(&other) {
                nhs.insert(one);
            } else if !is_nhs(one) && (local.contains(&one) || local.contains(&other)) {
                local.extend([one, other]);
            }
        }
    }
    match (nhs.len(), nhs.first()) {
        (1, Some(nhs)) => (*nhs, true),
        (0, _) => (local.first().copied().unwrap_or(own), false),
        _ => (own, false),
    }
}
