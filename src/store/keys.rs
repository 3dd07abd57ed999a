//! Keys: one tree, a letter for each kind, so that one batch changes everything together.

use sha2::{Digest, Sha256};

use crate::{
    domain::{
        nhs_number::NhsNumber,
        record::{Identifier, ItemKind},
    },
    journal::Position,
};

pub(super) const CURSOR: &[u8] = b"m/cursor";
pub(super) const FORMAT: &[u8] = b"m/format";
pub(super) const GENERATION: &[u8] = b"m/generation";
pub(super) const PATIENTS: &[u8] = b"m/patients";
pub(super) const REPAIRS: &[u8] = b"m/repairs";

/// Longer parts are hashed: sled keeps keys in memory.
const PART_BYTES_MAX: usize = 64;

/// Which patient has an NHS number.
pub(super) fn nhs_number(number: &NhsNumber) -> Vec<u8> {
    [b"n", number.as_str().as_bytes()].concat()
}

/// Which patient has a local identifier. Scoped by system: two systems may issue the same number.
pub(super) fn identifier(system: &str, identifier: &Identifier) -> Vec<u8> {
    let parts = [system, &identifier.authority, &identifier.kind, &identifier.value];
    let mut key = b"i".to_vec();
    parts.iter().for_each(|part| push(&mut key, part));
    key
}

/// Into whom a patient was merged.
pub(super) fn merged(patient: u64) -> Vec<u8> {
    [b"g".as_slice(), &patient.to_be_bytes()].concat()
}

/// Everything of one patient begins so.
pub(super) fn of_patient(patient: u64) -> Vec<u8> {
    [b"p".as_slice(), &patient.to_be_bytes()].concat()
}

/// One identifier of a patient's, for listing.
pub(super) fn patient_identifier(patient: u64, system: &str, one: &Identifier) -> Vec<u8> {
    let mut key = of_patient(patient);
    key.push(b'i');
    for part in [system, &one.authority, &one.kind, &one.value] {
        push(&mut key, part);
    }
    key
}

/// One item of a patient's record.
pub(super) fn item(patient: u64, kind: ItemKind, system: &str, name: &str) -> Vec<u8> {
    let mut key = of_patient(patient);
    key.push(match kind {
        ItemKind::Demographics => b'D',
        ItemKind::Encounter => b'E',
        ItemKind::Appointment => b'A',
        ItemKind::Result => b'R',
    });
    push(&mut key, system);
    push(&mut key, name);
    key
}

/// One message that wants repair, by the order they came in.
pub(super) fn repair(number: u64) -> Vec<u8> {
    [b"r".as_slice(), &number.to_be_bytes()].concat()
}

pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

pub(super) fn position(position: Position) -> Vec<u8> {
    [position.segment.to_be_bytes(), position.offset.to_be_bytes()].concat()
}

pub(super) fn read_position(bytes: &[u8]) -> Option<Position> {
    let (segment, offset) = bytes.split_first_chunk()?;
    Some(Position { segment: u64::from_be_bytes(*segment), offset: number(offset)? })
}

/// A part and its end. A part that is long, or holds the end, is replaced by its hash.
fn push(key: &mut Vec<u8>, part: &str) {
    if PART_BYTES_MAX < part.len() || part.contains('\0') {
        key.push(1);
        key.extend_from_slice(&Sha256::digest(part.as_bytes()));
    } else {
        key.extend_from_slice(part.as_bytes());
    }
    key.push(0);
}
