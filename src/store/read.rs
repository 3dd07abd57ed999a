//! A patient's record as the view has it: every system's items, each field with who said it and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use super::{
    Disagreement, MatchDoubt, PatientId, ViewError,
    identity::Forest,
    keys::{self, Room},
    people::{Holding, Whole},
    runs::Items,
    shelf::take_in,
    state::State,
    value::{Alias, Content, Field, Item, Said, Stamp},
};
use crate::domain::{
    matching::NAMELESS,
    nhs_number::NhsNumber,
    record::{Identifier, ItemKind},
    time::Timestamp,
};

/// Patients joined to one record that are read; a filler used as an identifier may join very many.
pub const JOINED_MAX: usize = 1_000;
/// Items of one record that are read.
pub const ITEMS_MAX: usize = 20_000;

/// Everything known of one patient. Its `Debug` shows numbers of things only.
#[derive(Clone, Eq, PartialEq)]
pub struct PatientRecord {
    /// Whose it is, after all merges.
    pub patient: PatientId,
    /// The number that joins its systems, if one does.
    pub nhs_number: Option<NhsNumber>,
    /// One of them has it for sure: verified by its sender, or decided by people. Only then may others be asked about
    /// it.
    pub is_sure: bool,
    /// Normally the same; more if a system merged persons with different numbers among its own.
    pub nhs_numbers: BTreeSet<NhsNumber>,
    /// Local identifiers, by system.
    pub identifiers: BTreeSet<KnownIdentifier>,
    /// The items, by kind.
    pub items: BTreeMap<ItemKind, Vec<RecordItem>>,
    /// What is contradictory about who this is.
    pub disagreements: Vec<Disagreement>,
    /// Systems whose records of this number were not taken in, for people have to decide first.
    pub apart: Vec<(String, MatchDoubt)>,
    /// There is more than [`JOINED_MAX`] or [`ITEMS_MAX`] allow to be read.
    pub truncated: bool,
}

impl PatientRecord {
    /// The identifiers that a message merged into others.
    pub fn merged_from(&self) -> impl Iterator<Item = &KnownIdentifier> {
        self.identifiers.iter().filter(|known| known.merged)
    }
}

impl fmt::Debug for PatientRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientRecord")
            .field("patient", &self.patient)
            .field("nhs_numbers", &self.nhs_numbers.len())
            .field("identifiers", &self.identifiers.len())
            .field("items", &self.items.values().map(Vec::len).sum::<usize>())
            .field("disagreements", &self.disagreements.len())
            .field("apart", &self.apart.len())
            .finish_non_exhaustive()
    }
}

/// A local identifier of a patient.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KnownIdentifier {
    /// The system that uses it.
    pub system: String,
    /// The identifier.
    pub identifier: Identifier,
    /// A message merged it into another (A40).
    pub merged: bool,
}

/// One item of a record. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
pub struct RecordItem {
    /// The system it comes from.
    pub system: String,
    /// That system's key for it.
    pub key: String,
    /// Which of its system's persons whom only the NHS number joins it is of, from 0: a system may know a patient under
    /// two local numbers, and use one key in both.
    pub person: usize,
    /// The earliest moment of which a message told of it.
    pub first_seen: Timestamp,
    /// The latest moment at which any field was said; if it has none, as [`RecordItem::first_seen`].
    pub last_changed: Timestamp,
    /// How many messages changed it, in the order they came; the same messages in another order may give another number.
    pub versions: u64,
    /// Who last said that it was withdrawn, if it is: itself, or each document that told of it. Its fields are still
    /// what they were.
    pub withdrawn: Option<Source>,
    /// Its fields, by name.
    pub fields: BTreeMap<String, FieldValue>,
}

impl fmt::Debug for RecordItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordItem({} fields)", self.fields.len())
    }
}

/// Which message said something, and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// When it was so, by the sender's clock, else by this hub's on receipt.
    pub occurred: Timestamp,
    /// When this hub took it in.
    pub received: Timestamp,
    /// The sender's identifier of the message that said so, at most 64 bytes of it.
    pub source_id: String,
}

/// What one field says. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
pub struct FieldValue {
    /// The value; `None` if it was withdrawn.
    pub value: Option<String>,
    /// When it was so, by the sender's clock, else by this hub's on receipt.
    pub occurred: Timestamp,
    /// When this hub took it in.
    pub received: Timestamp,
    /// The sender's identifier of the message that said so, at most 64 bytes of it.
    pub source_id: String,
    /// What it has been, newest first, this value included; at most eight, one for each value and document.
    pub history: Vec<Version>,
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldValue({:?}, {} versions)", self.occurred, self.history.len())
    }
}

/// One value a field had. Its `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
pub struct Version {
    /// The value; `None` if that was that it is withdrawn.
    pub value: Option<String>,
    /// Who said so first.
    pub first: Source,
    /// Who said so last.
    pub last: Source,
    /// The document or message that said so was withdrawn.
    pub withdrawn: bool,
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({:?} to {:?})", self.first.occurred, self.last.occurred)
    }
}

impl FieldValue {
    /// What this hub knew the field to be at a moment, by when it took messages in: the newest value it had been told
    /// by then, withdrawals of documents aside. `None` if nothing had been said that is still kept.
    pub fn known_at(&self, moment: Timestamp) -> Option<&Version> {
        let told = |version: &&Version| version.first.received <= moment;
        let said = |version: &Version| {
            if version.last.received <= moment { version.last.occurred } else { version.first.occurred }
        };
        self.history.iter().filter(told).max_by_key(|version| said(version))
    }
}

/// A record's items by kind.
pub(super) type ItemsByKind = BTreeMap<ItemKind, Vec<RecordItem>>;

impl State {
    /// Reads a record.
    pub(super) fn record(&self, patient: PatientId) -> Result<Option<PatientRecord>, ViewError> {
        if self.shelf.get(&keys::numbered(Room::Patient, patient.0))?.is_none() {
            return Ok(None);
        }
        let Whole { patient, persons, number, sure, truncated } = self.whole(patient.0)?;
        let (items, cut) = self.read_items(&persons)?;
        let mut record = PatientRecord {
            patient: PatientId(patient),
            nhs_number: number,
            is_sure: sure,
            nhs_numbers: number.into_iter().collect(),
            identifiers: BTreeSet::new(),
            items,
            disagreements: Vec::new(),
            apart: Vec::new(),
            truncated: truncated || cut,
        };
        for person in &persons {
            record.nhs_numbers.extend(self.number_of(self.root_in(Forest::SameAs, *person)?.0)?);
            for Alias { system, merged, identifier } in self.aliases(*person)? {
                if identifier.kind != NAMELESS {
                    let system = self.name(system)?.to_owned();
                    record.identifiers.insert(KnownIdentifier { system, identifier, merged });
                }
            }
            for bytes in self.shelf.scan(&keys::numbered(Room::Disagreement, *person), ITEMS_MAX)?.values() {
                record.disagreements.push(self.disagreement(bytes)?);
            }
        }
        record.disagreements.sort();
        if let Some(number) = number {
            record.apart = self.apart(&number, &persons)?;
        }
        Ok(Some(record))
    }

    /// The systems and reasons of those who gave a number and are not among these persons.
    fn apart(
        &self,
        number: &NhsNumber,
        persons: &BTreeSet<u64>,
    ) -> Result<Vec<(String, MatchDoubt)>, ViewError> {
        let Holding { main, apart, .. } = self.holding(number)?;
        let mut found = BTreeSet::new();
        let groups = apart.into_iter().chain([(main, MatchDoubt::Unverified)]);
        for (root, doubt) in
            groups.flat_map(|(group, doubt)| group.into_iter().map(move |root| (root, doubt)))
        {
            if !persons.contains(&root) {
                for alias in self.aliases(root)?.into_iter().take(1) {
                    found.insert((self.name(alias.system)?.to_owned(), doubt));
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The patients whose records are one, and whether there are more.
    pub(super) fn joined(&self, root: u64) -> Result<(BTreeSet<u64>, bool), ViewError> {
        let mut joined = BTreeSet::from([root]);
        let mut open = vec![root];
        while let Some(patient) = open.pop() {
            for key in self.shelf.scan(&keys::numbered(Room::Child, patient), JOINED_MAX)?.keys() {
                let child = keys::child_of(key).ok_or(ViewError::Damaged("a join cannot be read"))?;
                if JOINED_MAX <= joined.len() {
                    return Ok((joined, true));
                }
                if joined.insert(child) {
                    open.push(child);
                }
            }
        }
        Ok((joined, false))
    }

    /// The identifiers that are listed for a person.
    pub(super) fn aliases(&self, person: u64) -> Result<Vec<Alias>, ViewError> {
        let mut value = self.patient(person)?;
        if value.has_more_aliases {
            for bytes in self.shelf.scan(&keys::numbered(Room::Alias, person), ITEMS_MAX)?.values() {
                let alias = Alias::decode(bytes);
                value.aliases.push(alias.ok_or(ViewError::Damaged("an identifier cannot be read"))?);
            }
        }
        Ok(value.aliases)
    }

    /// The items of persons as one record's, and whether there are more.
    ///
    /// What a system itself joined is one: there the newest word on a key counts. Where only the NHS number joins, one
    /// key names two things, and both are shown.
    pub(super) fn read_items(&self, persons: &BTreeSet<u64>) -> Result<(ItemsByKind, bool), ViewError> {
        let mut items = ItemsByKind::new();
        let (mut left, mut truncated) = (ITEMS_MAX, false);
        for (person, joined) in self.joined_persons(persons)? {
            let mut found = Items::new();
            for one in joined {
                if left <= found.len() {
                    truncated = true;
                    break;
                }
                take_in(&mut found, self.shelf.items(one)?);
            }
            truncated |= left < found.len();
            let taken: Items = found.into_iter().take(left).collect();
            left -= taken.len();
            for (kind, read) in self.read_found(taken, person)? {
                items.entry(kind).or_default().extend(read);
            }
        }
        for items in items.values_mut() {
            items.sort_by(|one, other| {
                (&one.system, &one.key, one.person).cmp(&(&other.system, &other.key, other.person))
            });
        }
        Ok((items, truncated))
    }

    /// Persons by system, those together whom it joined, in an order that is not that of arrival. Those of messages
    /// without a local number are of its first person: nothing says that they are another.
    fn joined_persons(&self, persons: &BTreeSet<u64>) -> Result<Vec<(usize, Vec<u64>)>, ViewError> {
        let mut named: BTreeMap<(u64, u64), (u64, Vec<u64>)> = BTreeMap::new();
        let mut nameless: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for person in persons {
            let value = self.patient(*person)?;
            let first = value.aliases.first();
            let system = first.map_or(u64::MAX, |alias| alias.system);
            if first.is_some_and(|alias| alias.identifier.kind == NAMELESS) {
                nameless.entry(system).or_default().push(*person);
                continue;
            }
            let (root, _) = self.root_in(Forest::JoinedTo, *person)?;
            let (least, all) = named.entry((system, root)).or_insert((u64::MAX, Vec::new()));
            *least = value.anchor.min(*least);
            all.push(*person);
        }
        let mut systems: BTreeMap<u64, Vec<(u64, Vec<u64>)>> = BTreeMap::new();
        for ((system, _), person) in named {
            systems.entry(system).or_default().push(person);
        }
        for (system, persons) in nameless {
            let known = systems.entry(system).or_default();
            known.sort();
            match known.first_mut() {
                Some((_, first)) => first.extend(persons),
                None => known.push((0, persons)),
            }
        }
        let each = systems.into_values().flat_map(|mut known| {
            known.sort();
            known.into_iter().enumerate().map(|(place, (_, persons))| (place, persons))
        });
        Ok(each.collect())
    }

    pub(super) fn read_found(&self, found: Items, person: usize) -> Result<ItemsByKind, ViewError> {
        let mut withdrawals = Withdrawals { state: self, known: BTreeMap::new() };
        let mut items = ItemsByKind::new();
        for (key, item) in found {
            let name = keys::item_name(&key).ok_or(ViewError::Damaged("an item's key cannot be read"))?;
            let own = name.key.or_else(|| item.key.clone()).unwrap_or_default();
            let read = self.read_item((name.system, own, person), item, &mut withdrawals)?;
            items.entry(name.kind).or_default().push(read);
        }
        Ok(items)
    }

    fn read_item(
        &self,
        (system, key, person): (u64, String, usize),
        item: Item,
        withdrawals: &mut Withdrawals<'_>,
    ) -> Result<RecordItem, ViewError> {
        let withdrawn = withdrawals.of_item(system, &item)?;
        let (first_seen, versions) = (item.first_seen, item.versions);
        let mut fields = BTreeMap::new();
        let mut last_changed = None;
        for Field { name, said } in item.fields {
            let mut history = Vec::with_capacity(said.len());
            for Said { content, first, last } in said {
                let gone = withdrawals.of_part(system, &last.part)?.is_some();
                let value = self.text(content)?;
                history.push(Version { value, first: first.into(), last: last.into(), withdrawn: gone });
            }
            last_changed = last_changed.max(history.iter().map(|version| version.last.occurred).max());
            if let Some(value) = current(history, withdrawn.is_some()) {
                fields.insert(self.name(name)?.to_owned(), value);
            }
        }
        let last_changed = last_changed.unwrap_or(first_seen);
        let system = self.name(system)?.to_owned();
        Ok(RecordItem { system, key, person, first_seen, last_changed, versions, withdrawn, fields })
    }

    fn text(&self, content: Content) -> Result<Option<String>, ViewError> {
        Ok(match content {
            Content::Deleted => None,
            Content::Text(text) => Some(text),
            Content::Body(body) => {
                let text = String::from_utf8(self.shelf.bodies.get(&body)?);
                Some(text.map_err(|_| ViewError::Damaged("a content file is no text"))?)
            }
        })
    }
}

/// What a field says now: the newest that was not withdrawn with its document, or of a withdrawn item the newest. If
/// only withdrawn documents told of it, it says nothing, and what they said stays to be seen.
fn current(history: Vec<Version>, whole: bool) -> Option<FieldValue> {
    let standing = history.iter().find(|version| whole || !version.withdrawn);
    let Source { occurred, received, source_id } = standing.or(history.first())?.last.clone();
    let value = standing.and_then(|version| version.value.clone());
    Some(FieldValue { value, occurred, received, source_id, history })
}

/// Looks each document up once.
struct Withdrawals<'a> {
    state: &'a State,
    known: BTreeMap<(u64, Arc<str>), Option<Stamp>>,
}

impl Withdrawals<'_> {
    fn of_part(&mut self, system: u64, part: &Arc<str>) -> Result<Option<Stamp>, ViewError> {
        if part.is_empty() {
            return Ok(None);
        }
        let name = (system, Arc::clone(part));
        if let Some(known) = self.known.get(&name) {
            return Ok(known.clone());
        }
        let found = self.state.withdrawal_at(&keys::withdrawal(system, part))?;
        self.known.insert(name, found.clone());
        Ok(found)
    }

    /// Who withdrew an item: by a word of its own that no later assertion takes back, or with every document that told
    /// of it.
    fn of_item(&mut self, system: u64, item: &Item) -> Result<Option<Source>, ViewError> {
        let mut newest_standing = None;
        let mut with_documents = None;
        for asserted in &item.asserted {
            match self.of_part(system, &asserted.part)? {
                Some(withdrawal) => with_documents = with_documents.max(Some(withdrawal)),
                None => newest_standing = newest_standing.max(Some(asserted.occurred)),
            }
        }
        let own =
            item.withdrawn.as_ref().filter(|own| newest_standing.is_none_or(|newest| newest <= own.occurred));
        let stamp = match (own, newest_standing) {
            (Some(own), _) => Some(own.clone()),
            (None, None) => with_documents,
            (None, Some(_)) => None,
        };
        Ok(stamp.map(Source::from))
    }
}

impl From<Stamp> for Source {
    fn from(stamp: Stamp) -> Self {
        Self { occurred: stamp.occurred, received: stamp.received, source_id: stamp.source_id.to_string() }
    }
}
