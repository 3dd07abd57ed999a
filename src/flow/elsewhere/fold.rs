//! What entries of other hubs say of one patient, as statements beside those of this hub's own systems.
//!
//! The same rules as in the record view, for one patient and in memory: field by field the message whose event happened
//! last has the word; what was withdrawn stays withdrawn until it is said again; and a number that its sender has not
//! verified joins nobody, unless the demographics are exactly the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        elsewhere::HeldEntry,
        entry::{BatchEntry, Entry},
        matching::{Holder, TRAITS_MAX, Traits, demographic, groups, is_verified},
        nhs_number::NhsNumber,
        one_record::{Notice, Parts, Source, Statement},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
        time::Timestamp,
    },
    flow::hub::Translate,
};

/// The code of the notice of a system whose number for the patient is not verified.
const NOT_LINKED: &str = "not-linked";
/// The demographics by which persons are compared.
const COMPARED: [&str; 5] = ["family_name", "given_name", "birth_date", "gender", "postcode"];

/// Puts what other hubs' systems say of a patient to what is known here. Systems are named `rio at soho`.
pub(super) fn add(parts: &mut Parts, patient: &NhsNumber, entries: Vec<HeldEntry>, translate: Translate) {
    let mut systems: BTreeMap<String, Told> = BTreeMap::new();
    for held in entries {
        let label = format!("{} at {}", held.entry.system, held.hub);
        let Some(entry) = journalled(held.entry) else { continue };
        let Some(event) = translate(&entry).filter(|event| event.nhs_number.as_ref() == Ok(patient)) else {
            continue;
        };
        systems.entry(label).or_default().take(&entry, event);
    }
    let linked = linked(parts, &systems);
    for (label, told) in systems {
        if linked.contains(&label) {
            told.tell(&label, parts);
        } else {
            let (code, text) = (NOT_LINKED.to_owned(), "number-not-verified".to_owned());
            parts.notices.push(Notice { system: label, code, text });
        }
    }
}

/// The systems that mean the same person: with those of this hub, or with whoever has the number for sure.
fn linked(parts: &Parts, systems: &BTreeMap<String, Told>) -> BTreeSet<String> {
    let own = own(parts);
    let here = usize::from(own.is_some());
    let others = systems.values().map(|told| Holder { sure: told.is_sure(), traits: told.traits.clone() });
    let holders: Vec<Holder> = own.into_iter().chain(others).collect();
    let groups = groups(&holders);
    let ours = groups.iter().find(|group| here == 0 || group.contains(&0));
    let places: BTreeSet<usize> = ours.into_iter().flatten().copied().collect();
    let names = systems.keys().enumerate().filter(|(place, _)| places.contains(&(place + here)));
    names.map(|(_, name)| name.clone()).collect()
}

/// The person as this hub's own systems know them; none if they do not.
fn own(parts: &Parts) -> Option<Holder> {
    let told = parts.statements.iter().filter(|one| one.kind == ItemKind::Demographics && !one.withdrawn);
    let answered = parts.answers.iter().flat_map(|answer| &answer.items);
    let answered = answered.filter(|one| one.kind == ItemKind::Demographics && !one.withdrawn);
    let people: Vec<_> = told.map(|one| &one.fields).chain(answered.map(|one| &one.fields)).collect();
    let verified = |fields: &&BTreeMap<String, String>| {
        fields.get("nhs_number_status").and_then(|status| is_verified(status)) == Some(true)
    };
    let traits = people.iter().filter_map(|fields| {
        let said = COMPARED.into_iter().filter_map(|name| Some((name, fields.get(name)?)));
        let said = said.map(|(name, text)| (name, FieldChange::Set(text.clone()))).collect();
        Traits::of(&[ItemChange::new(ItemKind::Demographics, String::new(), said)])
    });
    let holder = Holder { sure: people.iter().any(verified), traits: traits.take(TRAITS_MAX).collect() };
    (!people.is_empty()).then_some(holder)
}

/// What one system at one hub has told of the patient.
#[derive(Default)]
struct Told {
    items: BTreeMap<(ItemKind, String), Item>,
    identifiers: BTreeSet<Identifier>,
    /// When each document or message was withdrawn.
    withdrawn: BTreeMap<String, Timestamp>,
    traits: Vec<Traits>,
    /// What the newest message that tells says of the number.
    verified: Option<(Timestamp, bool)>,
}

#[derive(Default)]
struct Item {
    fields: BTreeMap<&'static str, Said>,
    asserted: Option<Timestamp>,
    withdrawn: Option<Timestamp>,
    part_of: String,
    newest: Option<(Timestamp, Timestamp, String)>,
}

/// What was said of one field, and when it happened and was received.
struct Said {
    when: (Timestamp, Timestamp),
    text: Option<String>,
}

impl Told {
    fn take(&mut self, entry: &Entry, event: Event) {
        let occurred = event.occurred.unwrap_or(entry.at);
        let traits = Traits::of(&event.items).filter(|traits| !self.traits.contains(traits));
        self.traits.extend(traits.filter(|_| self.traits.len() < TRAITS_MAX));
        if let Some(verified) = demographic(&event.items, "nhs_number_status").and_then(is_verified)
            && self.verified.is_none_or(|(before, _)| before <= occurred)
        {
            self.verified = Some((occurred, verified));
        }
        for named in event.withdraws.into_iter().filter(|named| !named.is_empty()) {
            let when = self.withdrawn.entry(named).or_insert(occurred);
            *when = occurred.min(*when);
        }
        self.identifiers.extend(event.identifiers);
        let source = (occurred, entry.at, entry.source_id.as_str());
        for change in event.items {
            let item = self.items.entry((change.kind, change.key.clone())).or_default();
            item.take(change, source);
        }
    }

    fn is_sure(&self) -> bool {
        self.verified.is_some_and(|(_, verified)| verified)
    }

    fn tell(self, label: &str, parts: &mut Parts) {
        parts
            .identifiers
            .extend(self.identifiers.into_iter().map(|identifier| (label.to_owned(), identifier)));
        for ((kind, key), item) in self.items {
            // What stands or falls with a withdrawn message falls, whenever it came.
            let fell = self.withdrawn.contains_key(&item.part_of);
            parts.statements.push(item.statement(kind, key, label, fell));
        }
    }
}

impl Item {
    fn take(&mut self, change: ItemChange, (occurred, received, source_id): (Timestamp, Timestamp, &str)) {
        let said = if change.withdrawn { &mut self.withdrawn } else { &mut self.asserted };
        *said = Some(said.map_or(occurred, |before| before.max(occurred)));
        if self.newest.as_ref().is_none_or(|(at, by, _)| (*at, *by) <= (occurred, received)) {
            self.newest = Some((occurred, received, source_id.to_owned()));
            self.part_of = change.part_of;
        }
        for (name, change) in change.fields {
            let text = match change {
                FieldChange::Set(text) => Some(text),
                FieldChange::Delete => None,
            };
            let said = Said { when: (occurred, received), text };
            match self.fields.get_mut(name) {
                Some(before) if said.when < before.when => {}
                Some(before) => *before = said,
                None => {
                    self.fields.insert(name, said);
                }
            }
        }
    }

    fn statement(self, kind: ItemKind, key: String, label: &str, fell: bool) -> Statement {
        let (said_at, received_at, source_id) = self.newest.unwrap_or_default();
        let fields: BTreeMap<String, String> =
            self.fields.into_iter().filter_map(|(name, said)| Some((name.to_owned(), said.text?))).collect();
        let source = Source {
            system: label.to_owned(),
            key: key.clone(),
            author: fields.get("author").cloned(),
            organisation: fields.get("organisation").cloned(),
            said_at,
            received_at,
            cached: false,
            source_id,
        };
        Statement { kind, key, fields, withdrawn: fell || self.asserted < self.withdrawn, source }
    }
}

/// An entry as its own hub journalled it; none if its patient's number is none.
fn journalled(entry: BatchEntry) -> Option<Entry> {
    let BatchEntry { kind, system, source_id, patient, at, clock, body, raw, .. } = entry;
    let patient = NhsNumber::parse(&patient?).ok();
    Some(Entry { kind, system, source_id, patient, at, clock, body, raw })
}
