//! What stands under the keys: patients, identifiers and items, each with its bytes.

use std::sync::Arc;

use super::wire::{Reader, Writer};
use crate::domain::{nhs_number::NhsNumber, record::Identifier, time::Timestamp};

/// Who said something, and when it happened.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Stamp {
    pub(super) occurred: Timestamp,
    pub(super) source_id: Arc<str>,
}

impl Stamp {
    fn write(&self, writer: &mut Writer) {
        writer.time(self.occurred).text(&self.source_id);
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { occurred: reader.time()?, source_id: Arc::from(reader.text()?) })
    }
}

/// Content kept in a file beside the tree.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct BodyReference {
    /// SHA-256 of the content, and its name.
    pub(super) digest: [u8; 32],
    /// Its length in bytes.
    pub(super) bytes: u64,
}

impl BodyReference {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.0.extend(self.digest);
        writer.number(self.bytes);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { digest: *reader.fixed(32)?.first_chunk()?, bytes: reader.number()? })
    }
}

/// What a field holds.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Content {
    /// It was withdrawn; kept so that an older message does not bring it back.
    Deleted,
    Text(String),
    Body(BodyReference),
}

/// One field of an item.
#[derive(Clone)]
pub(super) struct Field {
    /// The number of its name.
    pub(super) name: u64,
    pub(super) content: Content,
    pub(super) stamp: Stamp,
}

/// One item of a patient.
#[derive(Clone)]
pub(super) struct Item {
    /// Its own key, if that was too long for the tree's key.
    pub(super) key: Option<String>,
    /// The earliest moment of which a message told of it.
    pub(super) first_seen: Timestamp,
    /// How many messages changed it.
    pub(super) versions: u64,
    /// In the order of their names' numbers.
    pub(super) fields: Vec<Field>,
}

impl Item {
    /// The whole item.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut stamps: Vec<&Stamp> = Vec::new();
        let indices: Vec<usize> = self
            .fields
            .iter()
            .map(|field| match stamps.iter().position(|known| **known == field.stamp) {
                Some(index) => index,
                None => {
                    stamps.push(&field.stamp);
                    stamps.len() - 1
                }
            })
            .collect();
        let mut writer = Writer::default();
        writer.text(self.key.as_deref().unwrap_or_default()).time(self.first_seen).number(self.versions);
        writer.count(stamps.len());
        stamps.iter().for_each(|stamp| stamp.write(&mut writer));
        writer.count(self.fields.len());
        for (field, stamp) in self.fields.iter().zip(indices) {
            writer.number(field.name).count(stamp);
            match &field.content {
                Content::Deleted => writer.number(0),
                Content::Body(body) => {
                    writer.number(1);
                    body.write(&mut writer);
                    &mut writer
                }
                Content::Text(text) => {
                    writer.count(text.len() + 2);
                    writer.0.extend(text.as_bytes());
                    &mut writer
                }
            };
        }
        writer.0
    }

    /// Reads what [`Item::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let key = Some(reader.text()?.to_owned()).filter(|key| !key.is_empty());
        let (first_seen, versions) = (reader.time()?, reader.number()?);
        let stamps = (0..reader.count()?).map(|_| Stamp::read(&mut reader)).collect::<Option<Vec<_>>>()?;
        let count = reader.count()?;
        let fields = (0..count).map(|_| read_field(&mut reader, &stamps)).collect::<Option<Vec<_>>>()?;
        reader.end()?;
        let sorted = fields.is_sorted_by_key(|field| field.name);
        sorted.then_some(Self { key, first_seen, versions, fields })
    }

    /// Takes in what else was said of the item: of each field, what happened last.
    pub(super) fn take_in(&mut self, other: Self) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.versions += other.versions;
        for theirs in other.fields {
            match self.fields.binary_search_by_key(&theirs.name, |field| field.name) {
                Err(index) => self.fields.insert(index, theirs),
                Ok(index) => {
                    if let Some(ours) = self.fields.get_mut(index)
                        && ours.stamp.occurred <= theirs.stamp.occurred
                    {
                        *ours = theirs;
                    }
                }
            }
        }
    }

    /// The content files it refers to.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &BodyReference> {
        self.fields.iter().filter_map(|field| match &field.content {
            Content::Body(body) => Some(body),
            _ => None,
        })
    }
}

fn read_field(reader: &mut Reader<'_>, stamps: &[Stamp]) -> Option<Field> {
    let name = reader.number()?;
    let stamp = stamps.get(usize::try_from(reader.number()?).ok()?)?.clone();
    let content = match reader.number()? {
        0 => Content::Deleted,
        1 => Content::Body(BodyReference::read(reader)?),
        length => {
            let text = reader.fixed(usize::try_from(length - 2).ok()?)?;
            Content::Text(std::str::from_utf8(text).ok()?.to_owned())
        }
    };
    Some(Field { name, content, stamp })
}

/// One patient as far as identifiers alone tell: at most one NHS number.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Patient {
    /// Found to be the same as this one, by identifiers in one message.
    pub(super) same_as: Option<u64>,
    /// Its record is read with this one's: found to be the same, or merged by a message that says so.
    pub(super) joined_to: Option<u64>,
    pub(super) nhs_number: Option<NhsNumber>,
}

impl Patient {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        // Numbers of patients begin at 1, so 0 is none.
        writer.number(self.same_as.unwrap_or(0)).number(self.joined_to.unwrap_or(0));
        writer.0.extend(self.nhs_number.iter().flat_map(|number| number.as_str().bytes()));
        writer.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let same_as = Some(reader.number()?).filter(|number| *number != 0);
        let joined_to = Some(reader.number()?).filter(|number| *number != 0);
        let nhs_number = match reader.0 {
            [] => None,
            digits => Some(NhsNumber::parse(std::str::from_utf8(digits).ok()?).ok()?),
        };
        Some(Self { same_as, joined_to, nhs_number })
    }
}

/// An identifier in a patient's list.
pub(super) struct Alias {
    /// The number of the system's name.
    pub(super) system: u64,
    /// A message merged it into another.
    pub(super) merged: bool,
    pub(super) identifier: Identifier,
}

impl Alias {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(self.system).number(u64::from(self.merged));
        let Identifier { value, authority, kind } = &self.identifier;
        writer.text(authority).text(kind).text(value);
        writer.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (system, merged) = (reader.number()?, reader.number()? != 0);
        let (authority, kind) = (reader.text()?.to_owned(), reader.text()?.to_owned());
        let value = reader.text()?.to_owned();
        reader.end()?;
        Some(Self { system, merged, identifier: Identifier { value, authority, kind } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: u64, content: Content, occurred: i64) -> Field {
        let stamp = Stamp { occurred: Timestamp(occurred), source_id: Arc::from(format!("M{occurred}")) };
        Field { name, content, stamp }
    }

    fn item() -> Item {
        let body = BodyReference { digest: [7; 32], bytes: 70_000 };
        Item {
            key: Some("k".repeat(60)),
            first_seen: Timestamp(-1),
            versions: 3,
            fields: vec![
                field(1, Content::Text(String::new()), 5),
                field(4, Content::Deleted, 6),
                field(9, Content::Body(body), 5),
                field(300, Content::Text("O’Néill".to_owned()), 6),
            ],
        }
    }

    #[test]
    fn an_item_comes_back() {
        let item = item();
        let back = Item::decode(&item.encode()).unwrap();
        assert_eq!(
            (back.key.as_ref(), back.first_seen, back.versions),
            (item.key.as_ref(), Timestamp(-1), 3)
        );
        for (one, other) in item.fields.iter().zip(&back.fields) {
            assert!(one.content == other.content && one.stamp == other.stamp);
        }
        assert_eq!(back.bodies().count(), 1);
    }

    #[test]
    fn damaged_values_are_refused_and_never_panic() {
        let whole = item().encode();
        for length in 0..whole.len() {
            assert!(Item::decode(&whole[..length]).is_none(), "cut at {length}");
        }
        for index in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[index] ^= 1 << bit;
                let _may_or_may_not_decode = Item::decode(&flipped);
            }
        }
        assert_eq!(Patient::decode(b"\x00"), None);
        assert_eq!(Patient::decode(b"\x00\x009990000019"), None);
    }

    #[test]
    fn patients_and_identifiers_come_back() {
        let patient =
            Patient { same_as: Some(3), joined_to: None, nhs_number: NhsNumber::parse("9990000018").ok() };
        assert_eq!(Patient::decode(&patient.encode()), Some(patient));
        let identifier = Identifier { value: "1".into(), authority: "RV5".into(), kind: "MR".into() };
        let alias = Alias { system: 9, merged: true, identifier };
        let back = Alias::decode(&alias.encode()).unwrap();
        assert!(back.system == 9 && back.merged && back.identifier == alias.identifier);
    }
}
