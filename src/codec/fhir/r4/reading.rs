//! One reading of a record: what all its resources share, and what each says of itself.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Map, Value, json};

use crate::{
    codec::fhir::names,
    domain::{
        nhs_number::NhsNumber,
        one_record::{OneItem, OneRecord, Source},
        record::ItemKind,
    },
};

use super::{
    ResourceType,
    ids::Ids,
    moment, terms,
    text::{clean, division, escaped},
    writer::pruned,
};

/// Something that a reading does not show: how much of it, and never what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Withheld {
    /// Of what kind; none if of any.
    pub kind: Option<ItemKind>,
    /// Whose, as the configuration names systems; empty if of several.
    pub system: String,
    /// How many items; none if nobody knows.
    pub count: Option<usize>,
    /// Why, in words that tell nothing of what it is.
    pub why: &'static str,
}

/// A record that is read as FHIR: what the permit leaves of it, and how much that is not.
#[derive(Debug)]
pub struct Reading<'a> {
    /// What may be shown.
    pub record: &'a OneRecord,
    /// What is held back: counted, and told in every answer.
    pub withheld: &'a [Withheld],
    /// Where this facade is, without a slash at its end.
    pub base: &'a str,
    ids: &'a Ids,
    /// The patient's id.
    patient: String,
    /// Of each kind the ids of its items, in the record's order.
    items: BTreeMap<ItemKind, Vec<String>>,
}

impl<'a> Reading<'a> {
    /// A reading of a record at an address.
    pub fn new(record: &'a OneRecord, withheld: &'a [Withheld], base: &'a str, ids: &'a Ids) -> Self {
        let patient = match (&record.identity.nhs_number, &record.identity.source) {
            (Some(number), _) => patient_id(number, ids),
            (None, Some(source)) => ids.of(&["patient", &source.system, &source.key]),
            (None, None) => ids.of(&["patient"]),
        };
        let items =
            record.sections.iter().map(|(kind, items)| (*kind, item_ids(*kind, items, ids))).collect();
        Self { record, withheld, base, ids, patient, items }
    }

    /// The id of the patient's resource.
    pub fn patient_id(&self) -> &str {
        &self.patient
    }

    /// The patient as the subject of a resource.
    pub(super) fn subject(&self) -> Value {
        reference(ResourceType::Patient, &self.patient)
    }

    /// The ids that this reading gives.
    pub(super) const fn ids(&self) -> &Ids {
        self.ids
    }

    /// The items of a kind, each with its id.
    pub(super) fn items(&self, kind: ItemKind) -> impl Iterator<Item = Told<'_>> {
        let ids = self.items.get(&kind).map_or(&[][..], Vec::as_slice);
        let items = self.record.section(kind).iter().zip(ids);
        items.map(|(item, id)| Told { reading: self, item, id, more: RefCell::default() })
    }

    /// Whether anything of a kind is held back; of any kind, if none is named.
    pub(super) fn is_withheld(&self, kind: Option<ItemKind>) -> bool {
        self.withheld.iter().any(|one| kind.is_none() || one.kind.is_none() || one.kind == kind)
    }

    /// The name of a system as a URI.
    pub(super) fn system_uri(&self, system: &str) -> String {
        format!("{}/systems/{}", self.base, terms::encoded(system))
    }

    /// What a resource says of itself: whose it is, since when, and how far it is to be trusted.
    pub(super) fn meta(&self, source: Option<&Source>, is_disputed: bool) -> Value {
        let mut tags = Vec::new();
        if let Some(source) = source.filter(|source| source.cached) {
            let minutes = source.age(self.record.at).as_secs() / 60;
            let age = format!("Answered {} minutes before this was put together, and kept since", minutes);
            tags.push(json!({ "system": terms::TAGS, "code": "cached", "display": age }));
        }
        if is_disputed {
            let words = "Systems say different things of this";
            tags.push(json!({ "system": terms::TAGS, "code": "disputed", "display": words }));
        }
        json!({
            "source": source.map(|source| self.system_uri(&source.system)),
            "lastUpdated": source.and_then(|source| moment::of(source.said_at)),
            "tag": tags,
        })
    }
}

/// The id of a patient's resource: what `identifier=https://fhir.nhs.uk/Id/nhs-number|…` finds.
pub fn patient_id(number: &NhsNumber, ids: &Ids) -> String {
    ids.of(&["patient", names::NHS_NUMBER, number.as_str()])
}

/// A reference to a resource of ours.
pub(super) fn reference(kind: ResourceType, id: &str) -> Value {
    json!({ "reference": format!("{}/{id}", kind.name()) })
}

/// The label of what shows less than there is.
pub(super) fn redacted() -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
    json!([{ "system": system, "code": "REDACTED", "display": "redacted" }])
}

/// Ids of items by what their sources call them. An item of several sources is known by the first of them in the order
/// of names, so that it keeps its id whoever spoke last; of items under one name all but the first are numbered.
fn item_ids(kind: ItemKind, items: &[OneItem], ids: &Ids) -> Vec<String> {
    let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let named = items.iter().map(|item| {
        let names = item.sources.iter().map(|source| (source.system.as_str(), source.key.as_str()));
        let (system, key) = names.min().unwrap_or_default();
        let time = times.entry((system, key)).or_default();
        *time += 1;
        match *time {
            1 => ids.of(&[kind.name(), system, key]),
            time => ids.of(&[kind.name(), system, key, &time.to_string()]),
        }
    });
    named.collect()
}

/// One item on its way to a resource.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) reading: &'a Reading<'a>,
    pub(super) item: &'a OneItem,
    pub(super) id: &'a str,
    /// What has no place of its own in the resource.
    more: RefCell<Vec<String>>,
}

impl<'a> Told<'a> {
    /// A field as received; none if blank.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.item.fields.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    /// A field as a string.
    pub(super) fn string(&self, name: &str) -> Value {
        self.text(name).map_or(Value::Null, clean)
    }

    /// A field as a `dateTime`; one that is none is told in words.
    pub(super) fn date_time(&self, name: &str, called: &str) -> Option<String> {
        let text = self.text(name)?;
        let read = moment::date_time(text);
        if read.is_none() {
            self.say(called, text);
        }
        read
    }

    /// A field as a code out of a list; one that is none of them is told in words.
    pub(super) fn code(&self, name: &str, codes: &[&'static str], called: &str) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = terms::one_of(Some(text), codes);
        if found.is_none() {
            self.say(called, text);
        }
        found
    }

    /// A field that has no place of its own, told in words.
    pub(super) fn tell(&self, name: &str, called: &str) {
        if let Some(text) = self.text(name) {
            self.say(called, text);
        }
    }

    /// Words that have no place of their own.
    pub(super) fn say(&self, called: &str, text: &str) {
        self.more.borrow_mut().push(format!("{called}: {}", text.trim()));
    }

    /// Who said it, and for whom, as far as known.
    pub(super) fn author(&self) -> Value {
        let said = [self.text("author"), self.text("organisation")];
        let said: Vec<&str> = said.into_iter().flatten().map(str::trim).collect();
        if said.is_empty() { Value::Null } else { json!({ "display": clean(&said.join(", ")) }) }
    }

    /// A field as a reference to somebody or something of which only the name is known.
    pub(super) fn named(&self, name: &str) -> Value {
        json!({ "display": self.string(name) })
    }

    /// What it is.
    pub(super) fn concept(&self) -> Value {
        terms::concept(self.item, self.reading.base)
    }

    /// The notes of its source, and all that was told in words.
    pub(super) fn notes(&self) -> Value {
        let note = self.text("note").map(|note| json!({ "text": clean(note) }));
        let more = self.more.borrow();
        let more = more.iter().map(|text| json!({ "text": clean(text) }));
        note.into_iter().chain(more).collect()
    }

    /// All that was told in words, one after another.
    pub(super) fn comment(&self) -> Value {
        clean(&self.more.borrow().join("\n"))
    }

    /// The resource, finished; what was told in words since goes into the narrative, if it takes no notes.
    pub(super) fn resource(&self, kind: ResourceType, body: Value, takes_notes: bool) -> Value {
        let meta = self.reading.meta(self.item.sources.first(), self.item.disputed);
        let mut members = Map::new();
        members.insert("resourceType".to_owned(), json!(kind.name()));
        members.insert("id".to_owned(), json!(self.id));
        members.insert("meta".to_owned(), meta);
        if !takes_notes {
            members.insert("text".to_owned(), self.narrative());
        }
        if let Value::Object(body) = body {
            members.extend(body);
        }
        pruned(Value::Object(members)).unwrap_or_default()
    }

    /// Notes for resources that have no element for them.
    fn narrative(&self) -> Value {
        let more = self.more.borrow();
        let lines = self.text("note").into_iter().chain(more.iter().map(String::as_str));
        let paragraphs: String = lines.map(|line| format!("<p>{}</p>", escaped(line))).collect();
        if paragraphs.is_empty() {
            return Value::Null;
        }
        json!({ "status": "additional", "div": division(&paragraphs) })
    }
}
