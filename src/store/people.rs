//! Which persons of which systems are one patient, found anew at each reading from their claims to NHS numbers.
//!
//! Nothing of this is stored but the claims, the demographics and people's decisions, each of which only grows or keeps
//! the newest; so the order in which messages came cannot matter, and a decision takes effect at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sha2::{Digest, Sha256};

use super::{
    PatientId, RecordItem, ViewError,
    identity::Forest,
    keys::{self, Room},
    state::State,
    value::{Alias, Claim},
};
use crate::domain::{
    matching::{self, DECISION_PERSONS_MAX, Decision, Holder, PersonName, Standing},
    nhs_number::NhsNumber,
    record::ItemKind,
    time::Timestamp,
};

/// Persons with one NHS number that are looked at; each but a few is a typing error.
const CLAIMANTS_MAX: usize = 256;
/// Cases that are listed at once: more than people decide in a week.
pub const CASES_MAX: usize = 1000;

/// People who are booked on one day that are found: ten times what a polyclinic sees.
pub const BOOKED_MAX: usize = 5000;

/// Why a person who gave an NHS number was not linked to it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum MatchDoubt {
    /// Their number is not verified, and their demographics are not exactly those of the number's holder.
    Unverified,
    /// Their messages gave two NHS numbers, of which neither is better.
    TwoNumbers,
}

impl MatchDoubt {
    /// Its stable code in lists and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unverified => "number-not-verified",
            Self::TwoNumbers => "two-numbers",
        }
    }
}

/// One case for people to decide. Its `Debug` shows no number.
#[derive(Clone, Eq, PartialEq)]
pub struct MatchCase {
    /// 16 hexadecimal digits, the same until the view is made anew; they tell nothing of the patient.
    pub id: String,
    /// The number that was given.
    pub nhs_number: NhsNumber,
    /// Why it was not followed.
    pub doubt: MatchDoubt,
    /// When the first message of the person with the number was received.
    pub since: Timestamp,
    /// The persons who gave it and were not linked: one patient among themselves.
    pub persons: Vec<MatchPerson>,
    /// Those who hold the number.
    pub holders: Vec<MatchPerson>,
}

impl fmt::Debug for MatchCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchCase({}, {}, {} persons)", self.id, self.doubt.code(), self.persons.len())
    }
}

/// One person of a case, as one system knows them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MatchPerson {
    /// What a decision calls them.
    pub name: PersonName,
    /// Whether their system says that the number is verified.
    pub verified: bool,
    /// Where their record is.
    pub patient: PatientId,
}

/// The cases for people to decide.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Matches {
    /// At most [`CASES_MAX`].
    pub cases: Vec<MatchCase>,
    /// There are more.
    pub more: bool,
}

/// A case with what is known of each side.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MatchDetail {
    /// The case.
    pub case: MatchCase,
    /// Each of [`MatchCase::persons`].
    pub persons: Vec<PersonDetail>,
    /// Each of [`MatchCase::holders`].
    pub holders: Vec<PersonDetail>,
}

/// What one system says of a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PersonDetail {
    /// Who.
    pub person: MatchPerson,
    /// Their demographics.
    pub demographics: Vec<RecordItem>,
    /// How many other items there are.
    pub items: usize,
}

/// Who holds an NHS number, as persons' roots.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// The patient who is found by it.
    pub(super) main: Vec<u64>,
    /// One of them has it for sure.
    pub(super) sure: bool,
    /// Those whom people should look at.
    pub(super) apart: Vec<(Vec<u64>, MatchDoubt)>,
}

/// The persons that make up one record.
#[derive(Debug)]
pub(super) struct Whole {
    /// Names the record.
    pub(super) patient: u64,
    /// All of them, those below others too.
    pub(super) persons: BTreeSet<u64>,
    /// The number that joins them, if one does.
    pub(super) number: Option<NhsNumber>,
    /// It is sure of one of them: verified, or decided by people.
    pub(super) sure: bool,
    /// There are more than are read.
    pub(super) truncated: bool,
}

impl State {
    /// Who has a claim to a number, by root, with all that is known of it.
    pub(super) fn claims(&self, number: &NhsNumber) -> Result<BTreeMap<u64, Claim>, ViewError> {
        let mut claims: BTreeMap<u64, Claim> = BTreeMap::new();
        for (key, value) in self.shelf.scan(&keys::nhs_number(Room::Claim, number), CLAIMANTS_MAX)? {
            let claim = keys::claimant_of(&key).zip(Claim::decode(&value));
            let (person, claim) = claim.ok_or(ViewError::Damaged("a claim to a number cannot be read"))?;
            let (root, _) = self.root_in(Forest::SameAs, person)?;
            claims.entry(root).and_modify(|known| known.take_in(claim)).or_insert(claim);
        }
        Ok(claims)
    }

    /// Who holds a number.
    pub(super) fn holding(&self, number: &NhsNumber) -> Result<Holding, ViewError> {
        let mut held = Vec::new();
        let mut apart = Vec::new();
        for (root, claim) in self.claims(number)? {
            let value = self.patient(root)?;
            match self.standing(root, &value.numbers, number, &claim)? {
                standing @ (Standing::Sure | Standing::Unsure) => {
                    let sure = standing == Standing::Sure;
                    held.push(((claim.since, value.anchor), root, Holder { sure, traits: value.traits }));
                }
                Standing::Torn => apart.push((vec![root], MatchDoubt::TwoNumbers)),
                Standing::Outdone | Standing::Apart => {}
            }
        }
        held.sort_by_key(|(place, ..)| *place);
        let roots: Vec<u64> = held.iter().map(|(_, root, _)| *root).collect();
        let holders: Vec<Holder> = held.into_iter().map(|(.., holder)| holder).collect();
        let sure = holders.iter().any(|holder| holder.sure);
        let groups = matching::groups(&holders);
        let mut groups = groups
            .into_iter()
            .map(|group| group.into_iter().filter_map(|at| roots.get(at).copied()).collect());
        let main = groups.next().unwrap_or_default();
        apart.extend(groups.map(|group| (group, MatchDoubt::Unverified)));
        Ok(Holding { main, sure, apart })
    }

    fn standing(
        &self,
        root: u64,
        numbers: &[NhsNumber],
        number: &NhsNumber,
        claim: &Claim,
    ) -> Result<Standing, ViewError> {
        let mut others = Vec::new();
        for other in numbers.iter().filter(|other| *other != number) {
            others.extend(self.claims(other)?.get(&root).map(Claim::plain));
        }
        Ok(matching::standing(claim.plain(), &others))
    }

    /// The number a person's record goes by, if there is one that counts.
    pub(super) fn number_of(&self, root: u64) -> Result<Option<NhsNumber>, ViewError> {
        let value = self.patient(root)?;
        for number in &value.numbers {
            if let Some(claim) = self.claims(number)?.get(&root)
                && let Standing::Sure | Standing::Unsure =
                    self.standing(root, &value.numbers, number, claim)?
            {
                return Ok(Some(*number));
            }
        }
        Ok(None)
    }

    /// The persons whose items are read as one record with a person's.
    pub(super) fn whole(&self, person: u64) -> Result<Whole, ViewError> {
        let (root, _) = self.root_in(Forest::SameAs, person)?;
        let (mut persons, mut truncated) = self.tree(root)?;
        let mut number = self.number_of(root)?;
        if number.is_none() {
            // Merged by their own system: a number that only one of them has is the number of all.
            let mut numbers = BTreeSet::new();
            for other in &persons {
                numbers.extend(self.number_of(self.root_in(Forest::SameAs, *other)?.0)?);
            }
            number = if numbers.len() == 1 { numbers.pop_first() } else { None };
        }
        let Some(number) = number else {
            return Ok(Whole { patient: root, persons, number: None, sure: false, truncated });
        };
        let Holding { main, apart, sure } = self.holding(&number)?;
        let mains = main.clone();
        let groups = std::iter::once(main).chain(apart.into_iter().map(|(group, _)| group));
        let own: Vec<Vec<u64>> =
            groups.filter(|group| group.iter().any(|holder| persons.contains(holder))).collect();
        let group = own.iter().find(|group| group.contains(&root)).or(own.first());
        for holder in group.into_iter().flatten() {
            let (more, cut) = self.tree(*holder)?;
            persons.extend(more);
            truncated |= cut;
        }
        let patient = group.and_then(|group| group.iter().min()).copied().unwrap_or(root);
        let sure = sure && group == Some(&mains);
        Ok(Whole { patient, persons, number: Some(number), sure, truncated })
    }

    fn tree(&self, person: u64) -> Result<(BTreeSet<u64>, bool), ViewError> {
        self.joined(self.root_in(Forest::JoinedTo, person)?.0)
    }

    /// Notes whether people have to decide about these numbers, after something changed that matters to them.
    pub(super) fn review(&mut self, numbers: &[NhsNumber]) -> Result<(), ViewError> {
        for number in numbers {
            let key = keys::nhs_number(Room::Doubt, number);
            let (before, doubt) = (self.shelf.get(&key)?.is_some(), !self.holding(number)?.apart.is_empty());
            if before != doubt {
                self.shelf.put(key, doubt.then(Vec::new));
            }
        }
        Ok(())
    }

    /// Takes in what people decided.
    pub(super) fn decide(&mut self, decision: &Decision) -> Result<(), ViewError> {
        for name in decision.persons.iter().take(DECISION_PERSONS_MAX) {
            let person = self.person(&name.system, &name.identifier)?;
            let decided = Some((decision.at, decision.link));
            self.claim(person, decision.nhs_number, Claim { status: None, decided, since: decision.at })?;
        }
        Ok(())
    }

    /// Those who have, or had, an appointment on a day.
    pub(super) fn booked(&self, day: u32) -> Result<Vec<PatientId>, ViewError> {
        let mut found = BTreeSet::new();
        for key in self.shelf.scan(&keys::booked_on(day), BOOKED_MAX)?.keys() {
            let (_, person) = keys::booking_of(key).ok_or(ViewError::Damaged("a booking cannot be read"))?;
            found.insert(PatientId(self.whole(person)?.patient));
        }
        Ok(found.into_iter().collect())
    }

    /// The cases for people to decide.
    pub(super) fn matches(&self) -> Result<Matches, ViewError> {
        let mut found = Matches::default();
        for key in self.shelf.scan(&[Room::Doubt.letter()], CASES_MAX)?.keys() {
            let number = keys::nhs_number_of(key).ok_or(ViewError::Damaged("a doubt cannot be read"))?;
            found.cases.extend(self.cases(&number)?);
            if CASES_MAX <= found.cases.len() {
                found.cases.truncate(CASES_MAX);
                found.more = true;
                break;
            }
        }
        Ok(found)
    }

    fn cases(&self, number: &NhsNumber) -> Result<Vec<MatchCase>, ViewError> {
        let Holding { main, apart, .. } = self.holding(number)?;
        let claims = self.claims(number)?;
        let persons = |roots: &[u64]| -> Result<Vec<MatchPerson>, ViewError> {
            roots.iter().map(|root| self.match_person(*root, claims.get(root))).collect()
        };
        let holders = persons(&main)?;
        let mut cases = Vec::new();
        for (group, doubt) in apart {
            let since = group.iter().filter_map(|root| claims.get(root)).map(|claim| claim.since).min();
            cases.push(MatchCase {
                id: self.case_id(number, &group)?,
                nhs_number: *number,
                doubt,
                since: since.unwrap_or_default(),
                persons: persons(&group)?,
                holders: holders.clone(),
            });
        }
        Ok(cases)
    }

    fn case_id(&self, number: &NhsNumber, group: &[u64]) -> Result<String, ViewError> {
        let mut anchor = u64::MAX;
        for root in group {
            anchor = anchor.min(self.patient(*root)?.anchor);
        }
        // With the view's secret number, or ten digits could be guessed from it.
        let digest = Sha256::new()
            .chain_update(self.generation.to_be_bytes())
            .chain_update(number.as_str())
            .chain_update(anchor.to_be_bytes())
            .finalize();
        Ok(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    fn match_person(&self, root: u64, claim: Option<&Claim>) -> Result<MatchPerson, ViewError> {
        let mut names = BTreeSet::new();
        for person in self.tree(root)?.0 {
            if self.root_in(Forest::SameAs, person)?.0 != root {
                continue;
            }
            for alias in self.aliases(person)? {
                let Alias { system, identifier, .. } = alias;
                names.insert(PersonName { system: self.name(system)?.to_owned(), identifier });
            }
        }
        let name = names.pop_first().ok_or(ViewError::Damaged("a person has no identifier"))?;
        let verified = claim.is_some_and(|claim| claim.plain().verified);
        Ok(MatchPerson { name, verified, patient: PatientId(root) })
    }

    /// A case with what each side's systems say.
    pub(super) fn match_detail(&self, id: &str) -> Result<Option<MatchDetail>, ViewError> {
        let Some(case) = self.matches()?.cases.into_iter().find(|case| case.id == id) else {
            return Ok(None);
        };
        let details = |persons: &[MatchPerson]| -> Result<Vec<PersonDetail>, ViewError> {
            persons.iter().map(|person| self.person_detail(person)).collect()
        };
        let (persons, holders) = (details(&case.persons)?, details(&case.holders)?);
        Ok(Some(MatchDetail { case, persons, holders }))
    }

    fn person_detail(&self, person: &MatchPerson) -> Result<PersonDetail, ViewError> {
        let (persons, _) = self.tree(person.patient.0)?;
        let (mut items, _) = self.read_items(&persons)?;
        let demographics = items.remove(&ItemKind::Demographics).unwrap_or_default();
        let items = items.values().map(Vec::len).sum();
        Ok(PersonDetail { person: person.clone(), demographics, items })
    }
}
