//! What stands under the keys: patients, identifiers and items, each with its bytes.

use std::sync::Arc;

use super::wire::{Reader, Writer};
use crate::domain::{
    matching::{self, Traits},
    nhs_number::NhsNumber,
    record::Identifier,
    time::Timestamp,
};

/// Who said something, when it happened, when it was received, and what it stands or falls with.
///
/// The order is that of who has the word: what happened last; of what happened at one moment, what this hub took in
/// last, and then the message's own name, so that the order of arrival decides nothing.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Stamp {
    pub(super) occurred: Timestamp,
    pub(super) received: Timestamp,
    pub(super) source_id: Arc<str>,
    /// The document or message it is part of, as [`super::keys::part`] calls it; empty if of none.
    pub(super) part: Arc<str>,
}

impl Stamp {
    pub(super) fn write(&self, writer: &mut Writer) {
        // What is received soon after it happened takes few bytes.
        let delay = Timestamp(self.received.0.wrapping_sub(self.occurred.0));
        writer.time(self.occurred).time(delay).text(&self.source_id).text(&self.part);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (occurred, delay) = (reader.time()?, reader.time()?);
        let received = Timestamp(occurred.0.wrapping_add(delay.0));
        Some(Self {
            occurred,
            received,
            source_id: Arc::from(reader.text()?),
            part: Arc::from(reader.text()?),
        })
    }
}

/// Content kept in a file beside the tree.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
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
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Content {
    /// It was withdrawn; kept so that an older message does not bring it back.
    Deleted,
    Text(String),
    Body(BodyReference),
}

/// How many versions of a field, and assertions of an item, are kept: the newest, one for each value and document.
/// More would be found by asking the source; the bound keeps one item far below a block of a run.
pub(super) const VERSIONS_KEPT: usize = 8;

/// One value of a field, by one document: when it was first and last said.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) content: Content,
    pub(super) first: Stamp,
    pub(super) last: Stamp,
}

impl Said {
    fn rank(&self) -> (&Stamp, &Content) {
        (&self.last, &self.content)
    }
}

/// One field of an item.
#[derive(Clone)]
pub(super) struct Field {
    /// The number of its name.
    pub(super) name: u64,
    /// Newest first, never empty, at most [`VERSIONS_KEPT`].
    pub(super) said: Vec<Said>,
}

impl Field {
    pub(super) fn new(name: u64, content: Content, stamp: &Stamp) -> Self {
        Self { name, said: vec![Said { content, first: stamp.clone(), last: stamp.clone() }] }
    }

    /// Takes in what else was said of the field. The result does not depend on the order, except that a value which
    /// had fallen out of the newest and comes back may seem to have been said later for the first time.
    fn take_in(&mut self, other: Self) {
        for theirs in other.said {
            let same =
                |ours: &&mut Said| ours.content == theirs.content && ours.last.part == theirs.last.part;
            match self.said.iter_mut().find(same) {
                Some(ours) => {
                    if theirs.first < ours.first {
                        ours.first = theirs.first;
                    }
                    if ours.last < theirs.last {
                        ours.last = theirs.last;
                    }
                }
                None => self.said.push(theirs),
            }
        }
        self.said.sort_by(|one, other| other.rank().cmp(&one.rank()));
        self.said.truncate(VERSIONS_KEPT);
    }
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
    /// When each document last said that it is so, newest first, at most [`VERSIONS_KEPT`].
    pub(super) asserted: Vec<Stamp>,
    /// When it was last said to be withdrawn.
    pub(super) withdrawn: Option<Stamp>,
    /// In the order of their names' numbers.
    pub(super) fields: Vec<Field>,
}

impl Item {
    /// The whole item.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut stamps = Stamps::default();
        let asserted: Vec<usize> = self.asserted.iter().map(|stamp| stamps.number(stamp)).collect();
        let withdrawn = self.withdrawn.as_ref().map_or(0, |stamp| stamps.number(stamp) + 1);
        let said = self.fields.iter().flat_map(|field| &field.said);
        let indices: Vec<[usize; 2]> =
            said.map(|said| [stamps.number(&said.first), stamps.number(&said.last)]).collect();
        let mut writer = Writer::default();
        writer.text(self.key.as_deref().unwrap_or_default()).time(self.first_seen).number(self.versions);
        writer.count(stamps.0.len());
        stamps.0.iter().for_each(|stamp| stamp.write(&mut writer));
        writer.count(asserted.len());
        asserted.into_iter().for_each(|index| {
            writer.count(index);
        });
        writer.count(withdrawn).count(self.fields.len());
        let mut indices = indices.into_iter();
        for field in &self.fields {
            writer.number(field.name).count(field.said.len());
            for (said, [first, last]) in field.said.iter().zip(&mut indices) {
                writer.count(first).count(last);
                write_content(&said.content, &mut writer);
            }
        }
        writer.0
    }

    /// Reads what [`Item::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let key = Some(reader.text()?.to_owned()).filter(|key| !key.is_empty());
        let (first_seen, versions) = (reader.time()?, reader.number()?);
        let stamps = (0..reader.count()?).map(|_| Stamp::read(&mut reader)).collect::<Option<Vec<_>>>()?;
        let at = |number: u64| stamps.get(usize::try_from(number).ok()?).cloned();
        let asserted = (0..reader.count()?).map(|_| at(reader.number()?)).collect::<Option<Vec<_>>>()?;
        let withdrawn = match reader.number()? {
            0 => None,
            number => Some(at(number - 1)?),
        };
        let count = reader.count()?;
        let fields = (0..count).map(|_| read_field(&mut reader, &stamps)).collect::<Option<Vec<_>>>()?;
        reader.end()?;
        let sorted = fields.is_sorted_by_key(|field| field.name);
        sorted.then_some(Self { key, first_seen, versions, asserted, withdrawn, fields })
    }

    /// Takes in what else was said of the item, in whatever order.
    pub(super) fn take_in(&mut self, other: Self) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.versions = self.versions.saturating_add(other.versions);
        for theirs in other.asserted {
            match self.asserted.iter_mut().find(|ours| ours.part == theirs.part) {
                Some(ours) if *ours < theirs => *ours = theirs,
                Some(_) => {}
                None => self.asserted.push(theirs),
            }
        }
        self.asserted.sort_by(|one, other| other.cmp(one));
        self.asserted.truncate(VERSIONS_KEPT);
        self.withdrawn = self.withdrawn.take().max(other.withdrawn);
        for theirs in other.fields {
            match self.fields.binary_search_by_key(&theirs.name, |field| field.name) {
                Err(index) => self.fields.insert(index, theirs),
                Ok(index) => {
                    if let Some(ours) = self.fields.get_mut(index) {
                        ours.take_in(theirs);
                    }
                }
            }
        }
    }

    /// The content files it refers to.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &BodyReference> {
        self.fields.iter().flat_map(|field| &field.said).filter_map(|said| match &said.content {
            Content::Body(body) => Some(body),
            _ => None,
        })
    }
}

/// The different stamps of one item: most of its fields share one.
#[derive(Default)]
struct Stamps<'a>(Vec<&'a Stamp>);

impl<'a> Stamps<'a> {
    fn number(&mut self, stamp: &'a Stamp) -> usize {
        match self.0.iter().position(|known| *known == stamp) {
            Some(index) => index,
            None => {
                self.0.push(stamp);
                self.0.len() - 1
            }
        }
    }
}

fn write_content(content: &Content, writer: &mut Writer) {
    match content {
        Content::Deleted => {
            writer.number(0);
        }
        Content::Body(body) => {
            writer.number(1);
            body.write(writer);
        }
        Content::Text(text) => {
            writer.count(text.len() + 2);
            writer.0.extend(text.as_bytes());
        }
    }
}

fn read_field(reader: &mut Reader<'_>, stamps: &[Stamp]) -> Option<Field> {
    let name = reader.number()?;
    let count = reader.count().filter(|count| (1..=VERSIONS_KEPT).contains(count))?;
    let said = (0..count).map(|_| read_said(reader, stamps)).collect::<Option<Vec<_>>>()?;
    Some(Field { name, said })
}

fn read_said(reader: &mut Reader<'_>, stamps: &[Stamp]) -> Option<Said> {
    let mut stamp = || stamps.get(usize::try_from(reader.number()?).ok()?).cloned();
    let (first, last) = (stamp()?, stamp()?);
    let content = match reader.number()? {
        0 => Content::Deleted,
        1 => Content::Body(BodyReference::read(reader)?),
        length => {
            let text = reader.fixed(usize::try_from(length - 2).ok()?)?;
            Content::Text(std::str::from_utf8(text).ok()?.to_owned())
        }
    };
    Some(Said { content, first, last })
}

/// One person as one system knows them, by its local identifiers, or by the number and demographics of messages that
/// have none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Patient {
    /// Found to be the same as this one, by identifiers in one message.
    pub(super) same_as: Option<u64>,
    /// Its record is read with this one's: found to be the same, or merged by a message that says so.
    pub(super) joined_to: Option<u64>,
    /// At the root of joined persons: one of them has an NHS number, right or wrong.
    pub(super) numbered: bool,
    /// The least of [`super::keys::anchor`] of its identifiers.
    pub(super) anchor: u64,
    /// The NHS numbers its messages gave, normally one, in order: see [`Claim`].
    pub(super) numbers: Vec<NhsNumber>,
    /// The demographics its messages gave, in order, at most [`matching::TRAITS_MAX`].
    pub(super) traits: Vec<Traits>,
    /// Its first identifiers, as many as fit into [`ALIASES_BYTES_MAX`].
    pub(super) aliases: Vec<Alias>,
    /// There are more, in entries of their own.
    pub(super) has_more_aliases: bool,
}

/// Identifiers that stand in the person's own value, in bytes: one or two, as nearly everybody has.
pub(super) const ALIASES_BYTES_MAX: usize = 512;

impl Patient {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        // Numbers of patients begin at 1, so 0 is none.
        writer.number(self.same_as.unwrap_or(0)).number(self.joined_to.unwrap_or(0));
        writer.number(u64::from(self.numbered)).number(self.anchor).count(self.numbers.len());
        writer.0.extend(self.numbers.iter().flat_map(|number| number.as_str().bytes()));
        writer.count(self.traits.len());
        writer.0.extend(self.traits.iter().flat_map(|traits| traits.to_bytes()));
        writer.number(u64::from(self.has_more_aliases)).count(self.aliases.len());
        self.aliases.iter().for_each(|alias| alias.write(&mut writer));
        writer.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let same_as = Some(reader.number()?).filter(|number| *number != 0);
        let joined_to = Some(reader.number()?).filter(|number| *number != 0);
        let (numbered, anchor) = (reader.number()? != 0, reader.number()?);
        let count = reader.count()?;
        let mut number = || NhsNumber::parse(std::str::from_utf8(reader.fixed(10)?).ok()?).ok();
        let numbers = (0..count).map(|_| number()).collect::<Option<Vec<_>>>()?;
        let count = reader.count()?;
        let mut traits = || Traits::from_bytes(reader.fixed(Traits::BYTES)?);
        let traits = (0..count).map(|_| traits()).collect::<Option<Vec<_>>>()?;
        let has_more_aliases = reader.number()? != 0;
        let count = reader.count()?;
        let aliases = (0..count).map(|_| Alias::read(&mut reader)).collect::<Option<Vec<_>>>()?;
        reader.end()?;
        Some(Self { same_as, joined_to, numbered, anchor, numbers, traits, aliases, has_more_aliases })
    }
}

/// What is known of one person's claim to one NHS number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Claim {
    /// What the newest message that tells says: verified or not; and when that was, and when it was received.
    pub(super) status: Option<((Timestamp, Timestamp), bool)>,
    /// What people decided last, and when: linked or kept apart.
    pub(super) decided: Option<(Timestamp, bool)>,
    /// When the first message with it was received.
    pub(super) since: Timestamp,
}

impl Claim {
    /// Takes in what else is known, in whatever order.
    pub(super) fn take_in(&mut self, other: Self) {
        // Of two words of one moment, the doubtful one counts: `false` is less, so it is turned round.
        let cautious = |word: ((Timestamp, Timestamp), bool)| (word.0, !word.1);
        if self.status.map(cautious) < other.status.map(cautious) {
            self.status = other.status;
        }
        let cautious = |word: (Timestamp, bool)| (word.0, !word.1);
        if self.decided.map(cautious) < other.decided.map(cautious) {
            self.decided = other.decided;
        }
        self.since = self.since.min(other.since);
    }

    /// What matching needs of it.
    pub(super) fn plain(&self) -> matching::Claim {
        matching::Claim {
            verified: self.status.is_some_and(|(_, verified)| verified),
            decided: self.decided.map(|(_, linked)| linked),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        let three = |word: Option<bool>| word.map_or(0, |word| 1 + u64::from(word));
        writer.time(self.since).number(three(self.status.map(|(_, word)| word)));
        if let Some(((occurred, received), _)) = self.status {
            writer.time(occurred).time(received);
        }
        writer.number(three(self.decided.map(|(_, word)| word)));
        if let Some((at, _)) = self.decided {
            writer.time(at);
        }
        writer.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let since = reader.time()?;
        let status = match reader.number()? {
            0 => None,
            word => Some(((reader.time()?, reader.time()?), word == 2)),
        };
        let decided = match reader.number()? {
            0 => None,
            word => Some((reader.time()?, word == 2)),
        };
        reader.end()?;
        Some(Self { status, decided, since })
    }
}

/// An identifier in a patient's list.
#[derive(Clone, Debug, Eq, PartialEq)]
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
        self.write(&mut writer);
        writer.0
    }

    fn write(&self, writer: &mut Writer) {
        writer.number(self.system).number(u64::from(self.merged));
        let Identifier { value, authority, kind } = &self.identifier;
        writer.text(authority).text(kind).text(value);
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let alias = Self::read(&mut reader)?;
        reader.end().map(|()| alias)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (system, merged) = (reader.number()?, reader.number()? != 0);
        let (authority, kind) = (reader.text()?.to_owned(), reader.text()?.to_owned());
        let value = reader.text()?.to_owned();
        Some(Self { system, merged, identifier: Identifier { value, authority, kind } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(occurred: i64) -> Stamp {
        Stamp {
            occurred: Timestamp(occurred),
            received: Timestamp(occurred + 2),
            source_id: Arc::from(format!("M{occurred}")),
            part: Arc::from(if occurred == 6 { "D6" } else { "" }),
        }
    }

    fn item() -> Item {
        let body = BodyReference { digest: [7; 32], bytes: 70_000 };
        let mut item = Item {
            key: Some("k".repeat(60)),
            first_seen: Timestamp(-1),
            versions: 3,
            asserted: vec![stamp(6), stamp(5)],
            withdrawn: Some(stamp(9)),
            fields: vec![
                Field::new(1, Content::Text(String::new()), &stamp(5)),
                Field::new(4, Content::Deleted, &stamp(6)),
                Field::new(9, Content::Body(body), &stamp(5)),
                Field::new(300, Content::Text("O’Néill".to_owned()), &stamp(6)),
            ],
        };
        item.fields[1].take_in(Field::new(4, Content::Text("A".to_owned()), &stamp(-3)));
        item
    }

    #[test]
    fn an_item_comes_back() {
        let item = item();
        let back = Item::decode(&item.encode()).unwrap();
        assert_eq!(
            (back.key.as_ref(), back.first_seen, back.versions),
            (item.key.as_ref(), Timestamp(-1), 3)
        );
        assert!(back.asserted == item.asserted && back.withdrawn == item.withdrawn);
        for (one, other) in item.fields.iter().zip(&back.fields) {
            assert_eq!((one.name, one.said.len()), (other.name, other.said.len()));
            for (one, other) in one.said.iter().zip(&other.said) {
                assert!(one.rank() == other.rank() && one.first == other.first);
            }
        }
        assert_eq!(back.bodies().count(), 1);
    }

    #[test]
    fn a_field_keeps_the_newest_values_and_when_each_was_said() {
        let text = |value: i64| Content::Text(value.to_string());
        let mut field = Field::new(1, text(0), &stamp(0));
        for moment in 1..20 {
            field.take_in(Field::new(1, text(moment % 10), &stamp(moment)));
        }
        assert_eq!(field.said.len(), VERSIONS_KEPT);
        assert!(field.said[0].content == text(9) && field.said[0].last == stamp(19));
        assert!(field.said[7].content == text(2) && field.said[7].last == stamp(12));
        field.take_in(Field::new(1, text(9), &stamp(3)));
        assert!(field.said[0].first == stamp(3) && field.said[0].last == stamp(19));
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
        assert_eq!(Patient::decode(b"\x00\x00\x00\x00\x019990000019\x00\x00\x00"), None);
    }

    #[test]
    fn patients_claims_and_identifiers_come_back() {
        let patient = Patient {
            same_as: Some(3),
            joined_to: None,
            numbered: true,
            anchor: u64::MAX,
            numbers: NhsNumber::parse("9990000018").into_iter().collect(),
            traits: vec![Traits::from_bytes(&[3; Traits::BYTES]).unwrap()],
            aliases: vec![Alias {
                system: 9,
                merged: false,
                identifier: Identifier { value: "é".into(), authority: String::new(), kind: "PI".into() },
            }],
            has_more_aliases: true,
        };
        assert_eq!(Patient::decode(&patient.encode()), Some(patient));
        let claim = Claim {
            status: Some(((Timestamp(4), Timestamp(5)), true)),
            decided: Some((Timestamp(9), false)),
            since: Timestamp(3),
        };
        assert_eq!(Claim::decode(&claim.encode()), Some(claim));
        assert_eq!(Claim::decode(&Claim::default().encode()), Some(Claim::default()));
        let identifier = Identifier { value: "1".into(), authority: "RV5".into(), kind: "MR".into() };
        let alias = Alias { system: 9, merged: true, identifier };
        let back = Alias::decode(&alias.encode()).unwrap();
        assert!(back.system == 9 && back.merged && back.identifier == alias.identifier);
    }
}
