//! The keys of the view's one tree: a letter for what it is, then the shortest bytes that keep the order.
//!
//! No key holds an identifier in the clear, and none is longer than [`KEY_BYTES_MAX`], so that sixteen
//! entries, which is what sled puts on a page, stay far below the size at which it writes blob files.

use sha2::{Digest, Sha256};

use crate::domain::{
    nhs_number::NhsNumber,
    record::{Identifier, ItemKind},
};
use crate::journal::Position;

/// Longest key, in bytes: letter, patient, kind, system, mark, and an item's own key or its hash.
pub(super) const KEY_BYTES_MAX: usize = 64;
/// An item's own key stands in the tree's key up to this many bytes; a longer one is hashed.
pub(super) const ITEM_KEY_BYTES_MAX: usize = 24;

/// A document's identifier up to this many bytes is kept as it is; a UUID has 36.
const PART_BYTES_MAX: usize = 64;
/// Ten digits as a number.
const NHS_NUMBER_BYTES: usize = 5;
/// Of the hash of each part of a term by which people are found: one in sixteen million is another's.
const SOUGHT_HASH_BYTES: usize = 3;

/// Format, generation and the next free patient number: written with every batch of identity changes.
pub(super) const HEAD: &[u8] = b"m0";
/// Where the consumer continues: written last.
pub(super) const CURSOR: &[u8] = b"m1";

/// What an entry is, by the first byte of its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Room {
    /// A listed identifier of a patient.
    Alias = b'a',
    /// A patient whose record was joined to another's, below the other.
    Child = b'c',
    /// An NHS number that needs people to decide who holds it.
    Doubt = b'd',
    /// A person's claim to an NHS number.
    Claim = b'h',
    /// From a local identifier to a patient.
    Local = b'i',
    /// Head and cursor.
    Meta = b'm',
    /// The short number of a field's or system's name.
    Name = b'n',
    /// A day on which a person has, or had, an appointment.
    Booked = b'o',
    /// A patient.
    Patient = b'p',
    /// A term by which a person is found, hashed.
    Sought = b's',
    /// The terms by which a person is found.
    Terms = b't',
    /// Something for people to repair.
    Repair = b'r',
    /// A content file that a patient's items in one run refer to.
    Body = b'b',
    /// Where in a run a patient's items are.
    Chunk = b'k',
    /// A document or message of a system that was withdrawn.
    Withdrawal = b'w',
    /// A contradiction about who somebody is.
    Disagreement = b'x',
}

impl Room {
    const ALL: [Self; 16] = [
        Self::Alias,
        Self::Child,
        Self::Doubt,
        Self::Claim,
        Self::Local,
        Self::Meta,
        Self::Name,
        Self::Booked,
        Self::Patient,
        Self::Repair,
        Self::Sought,
        Self::Terms,
        Self::Body,
        Self::Chunk,
        Self::Withdrawal,
        Self::Disagreement,
    ];

    /// What an entry with this key is.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        let first = key.first()?;
        Self::ALL.into_iter().find(|room| room.letter() == *first)
    }

    /// The first byte of its keys.
    pub(super) const fn letter(self) -> u8 {
        self as u8
    }
}

/// The key of the entry of `room` for a number.
pub(super) fn numbered(room: Room, number: u64) -> Vec<u8> {
    let mut key = vec![room.letter()];
    push_number(&mut key, number);
    key
}

/// The number in a key made by [`numbered`].
pub(super) fn number(key: &[u8]) -> Option<u64> {
    split_number(key.get(1..)?).map(|(number, _)| number)
}

/// The key of a local identifier, which means something only within its system.
pub(super) fn local(system: &str, identifier: &Identifier) -> Vec<u8> {
    let mut key = vec![Room::Local.letter()];
    key.extend(identifier_hash(system, identifier));
    key
}

/// A number that orders persons by their identifiers, and not by who came first.
pub(super) fn anchor(system: &str, identifier: &Identifier) -> u64 {
    identifier_hash(system, identifier).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The beginning of the keys of an NHS number's claims, or the key of its doubt.
pub(super) fn nhs_number(room: Room, number: &NhsNumber) -> Vec<u8> {
    let digits: u64 = number.as_str().parse().unwrap_or_default();
    let mut key = vec![room.letter()];
    key.extend(digits.to_be_bytes().into_iter().skip(8 - NHS_NUMBER_BYTES));
    key
}

/// The number in a key that begins as [`nhs_number`] makes it.
pub(super) fn nhs_number_of(key: &[u8]) -> Option<NhsNumber> {
    let digits = key.get(1..=NHS_NUMBER_BYTES)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    NhsNumber::parse(&format!("{digits:010}")).ok()
}

/// The key of a person's claim to an NHS number.
pub(super) fn claim(number: &NhsNumber, patient: u64) -> Vec<u8> {
    let mut key = nhs_number(Room::Claim, number);
    push_number(&mut key, patient);
    key
}

/// The person, from a key made by [`claim`].
pub(super) fn claimant_of(key: &[u8]) -> Option<u64> {
    split_number(key.get(1 + NHS_NUMBER_BYTES..)?).map(|(number, _)| number)
}

/// The key that says that a person has an appointment on a day (`20260105`).
pub(super) fn booked(day: u32, patient: u64) -> Vec<u8> {
    let mut key = vec![Room::Booked.letter()];
    key.extend(day.to_be_bytes());
    push_number(&mut key, patient);
    key
}

/// The beginning of the keys made by [`booked`] for a day.
pub(super) fn booked_on(day: u32) -> Vec<u8> {
    booked(day, 0).into_iter().take(5).collect()
}

/// Day and person, from a key made by [`booked`].
pub(super) fn booking_of(key: &[u8]) -> Option<(u32, u64)> {
    let day = u32::from_be_bytes(*key.get(1..)?.first_chunk()?);
    Some((day, split_number(key.get(5..)?)?.0))
}

/// The key that says that a person is found by a term of a kind, from [`sought_by`] of its parts.
pub(super) fn sought(mut by: Vec<u8>, person: u64) -> Vec<u8> {
    push_number(&mut by, person);
    by
}

/// The beginning of the keys of persons with a term of a kind: hashes of its parts, each longer than the one before, so
/// that one key is found by whichever of them is known. Few bytes of each, for whoever is found is compared again.
pub(super) fn sought_by<'a>(kind: u8, parts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut key = vec![Room::Sought.letter(), kind];
    key.extend(parts.flat_map(|part| hash(&[&[kind], part.as_bytes()]).into_iter().take(SOUGHT_HASH_BYTES)));
    key
}

/// The person, from a key made by [`sought`] of so many parts.
pub(super) fn sought_person(key: &[u8], parts: usize) -> Option<u64> {
    split_number(key.get(2 + SOUGHT_HASH_BYTES * parts..)?).map(|(number, _)| number)
}

/// The key of what says that a document or message of a system was withdrawn.
pub(super) fn withdrawal(system: u64, part: &str) -> Vec<u8> {
    let mut key = numbered(Room::Withdrawal, system);
    key.extend(hash(&[part.as_bytes()]));
    key
}

/// A document's or message's identifier as it is kept with each version: itself, or its hash if it is long.
pub(super) fn part(identifier: &str) -> String {
    if identifier.len() <= PART_BYTES_MAX {
        return identifier.to_owned();
    }
    let digits = hash(&[identifier.as_bytes()]).map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", digits.concat())
}

/// The key of an identifier in a patient's list.
pub(super) fn alias(patient: u64, system: &str, identifier: &Identifier) -> Vec<u8> {
    let mut key = numbered(Room::Alias, patient);
    key.extend(identifier_hash(system, identifier));
    key
}

/// The key that says `child` is below `parent`.
pub(super) fn child(parent: u64, child: u64) -> Vec<u8> {
    let mut key = numbered(Room::Child, parent);
    push_number(&mut key, child);
    key
}

/// The patient below, from a key made by [`child`].
pub(super) fn child_of(key: &[u8]) -> Option<u64> {
    let rest = key.get(1..)?;
    let (_, rest) = split_number(rest)?;
    split_number(rest).map(|(number, _)| number)
}

/// The key of a contradiction, the same for the same contradiction.
pub(super) fn disagreement(patient: u64, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = numbered(Room::Disagreement, patient);
    key.extend(hash(parts));
    key
}

/// The key of something to repair: in the order of the log, and the same when it is replayed.
pub(super) fn repair(position: Position, kind: u8) -> Vec<u8> {
    let mut key = numbered(Room::Repair, position.segment);
    push_number(&mut key, position.offset);
    key.push(kind);
    key
}

/// The key of where in runs a patient's items are; `number` is zero but for very large records.
pub(super) fn chunks(patient: u64, number: u64) -> Vec<u8> {
    let mut key = numbered(Room::Chunk, patient);
    push_number(&mut key, number);
    key
}

/// The key of a content file that a patient's items in one run refer to.
pub(super) fn body(patient: u64, run: u64, digest: &[u8; 32]) -> Vec<u8> {
    let mut key = bodies(patient, run);
    key.extend(digest);
    key
}

/// The beginning of the keys made by [`body`].
pub(super) fn bodies(patient: u64, run: u64) -> Vec<u8> {
    let mut key = numbered(Room::Body, patient);
    push_number(&mut key, run);
    key
}

/// The digest, from a key made by [`body`].
pub(super) fn digest_of(key: &[u8]) -> Option<[u8; 32]> {
    key.last_chunk().copied()
}

/// What an item is called among its patient's: kind, system, and its own key or the hash of it.
pub(super) fn item(kind: ItemKind, system: u64, key: &str) -> Vec<u8> {
    let mut bytes = vec![kind_byte(kind)];
    push_number(&mut bytes, system);
    if is_short(key) {
        bytes.push(0);
        bytes.extend(key.as_bytes());
    } else {
        bytes.push(1);
        bytes.extend(hash(&[key.as_bytes()]));
    }
    bytes
}

/// Whether an item's own key stands in the tree's key.
pub(super) fn is_short(key: &str) -> bool {
    key.len() <= ITEM_KEY_BYTES_MAX
}

/// What an item's key says.
#[derive(Debug)]
pub(super) struct ItemName {
    pub(super) kind: ItemKind,
    pub(super) system: u64,
    /// Its own key, if it was short enough.
    pub(super) key: Option<String>,
}

/// Reads a key made by [`item`].
pub(super) fn item_name(key: &[u8]) -> Option<ItemName> {
    let (kind, rest) = key.split_first()?;
    let (system, rest) = split_number(rest)?;
    let (mark, rest) = rest.split_first()?;
    let key = match mark {
        0 => Some(String::from_utf8(rest.to_vec()).ok()?),
        _ => None,
    };
    Some(ItemName { kind: kind_of(*kind)?, system, key })
}

fn kind_byte(kind: ItemKind) -> u8 {
    match kind {
        ItemKind::Demographics => 0,
        ItemKind::Encounter => 1,
        ItemKind::Appointment => 2,
        ItemKind::Result => 3,
        ItemKind::Problem => 4,
        ItemKind::Medication => 5,
        ItemKind::Allergy => 6,
        ItemKind::Immunisation => 7,
        ItemKind::Document => 8,
        ItemKind::Referral => 9,
        ItemKind::Observation => 10,
        ItemKind::Notice => 11,
    }
}

fn kind_of(byte: u8) -> Option<ItemKind> {
    match byte {
        0 => Some(ItemKind::Demographics),
        1 => Some(ItemKind::Encounter),
        2 => Some(ItemKind::Appointment),
        3 => Some(ItemKind::Result),
        4 => Some(ItemKind::Problem),
        5 => Some(ItemKind::Medication),
        6 => Some(ItemKind::Allergy),
        7 => Some(ItemKind::Immunisation),
        8 => Some(ItemKind::Document),
        9 => Some(ItemKind::Referral),
        10 => Some(ItemKind::Observation),
        11 => Some(ItemKind::Notice),
        _ => None,
    }
}

fn identifier_hash(system: &str, identifier: &Identifier) -> [u8; 16] {
    hash(&[
        system.as_bytes(),
        identifier.authority.as_bytes(),
        identifier.kind.as_bytes(),
        identifier.value.as_bytes(),
    ])
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// One byte for how many follow, then the number without leading zeros: short, and in numeric order.
fn push_number(key: &mut Vec<u8>, number: u64) {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    key.push(u8::try_from(digits.len()).unwrap_or(8));
    key.extend(digits);
}

fn split_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (digits, rest) = rest.split_at_checked(usize::from(*length)).filter(|_| *length <= 8)?;
    Some((digits.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_order_and_come_back() {
        let numbers = [0, 1, 255, 256, 65_535, 65_536, u64::from(u32::MAX), u64::MAX];
        let keys: Vec<Vec<u8>> = numbers.iter().map(|number| numbered(Room::Patient, *number)).collect();
        assert!(keys.is_sorted());
        for (number, key) in numbers.iter().zip(&keys) {
            assert_eq!(split_number(&key[1..]), Some((*number, &[][..])));
        }
        assert_eq!(split_number(&[9, 0]), None);
        assert_eq!(split_number(&[2, 0]), None);
    }

    #[test]
    fn no_key_is_long_and_long_item_keys_are_hashed() {
        let long = "k".repeat(5000);
        let keys = [
            item(ItemKind::Result, u64::MAX, &long),
            item(ItemKind::Result, u64::MAX, &"k".repeat(ITEM_KEY_BYTES_MAX)),
            repair(Position { segment: u64::MAX, offset: u64::MAX }, 255),
            disagreement(u64::MAX, &[long.as_bytes()]),
            body(u64::MAX, u64::MAX, &[255; 32]),
            claim(&NhsNumber::parse("9990000018").unwrap(), u64::MAX),
            withdrawal(u64::MAX, &long),
            sought(sought_by(255, [long.as_str(); 3].into_iter()), u64::MAX),
        ];
        assert!(keys.iter().all(|key| key.len() <= KEY_BYTES_MAX));
        assert!(item_name(&keys[0]).unwrap().key.is_none());
        assert_eq!(item_name(&keys[1]).unwrap().key, Some("k".repeat(ITEM_KEY_BYTES_MAX)));
    }

    #[test]
    fn every_room_has_a_letter_of_its_own() {
        for room in Room::ALL {
            assert_eq!(Room::of(&[room.letter(), 1]), Some(room));
        }
        let number = NhsNumber::parse("9990000018").unwrap();
        assert_eq!(nhs_number_of(&claim(&number, 7)), Some(number));
        assert_eq!(booking_of(&booked(20_260_105, 300)), Some((20_260_105, 300)));
        assert!(booked(20_260_105, 300).starts_with(&booked_on(20_260_105)));
        assert_eq!(claimant_of(&claim(&number, 70_000)), Some(70_000));
        let by = sought_by(b'n', ["ca", "cana"].into_iter());
        assert!(by.starts_with(&sought_by(b'n', ["ca"].into_iter())));
        assert_eq!(sought_person(&sought(by, 70_000), 2), Some(70_000));
        assert_eq!((part("D1"), part(&"d".repeat(65)).len()), ("D1".to_owned(), 39));
        assert_eq!(Room::of(b"z"), None);
        assert_eq!(child_of(&child(70_000, 3)), Some(3));
    }
}
