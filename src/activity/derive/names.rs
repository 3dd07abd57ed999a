//! Names made of what statements carry: contacts' names, and the keys by which bundles are found.

use sha2::{Digest, Sha256};

use crate::domain::contact::{ContactId, Evidence, EvidenceId, Reference};

/// Sixty-four bits of some texts, the same for ever and everywhere (FNV-1a, then SplitMix64's finish). Two alike by
/// chance make statements be looked at together, and nothing more: what is one contact is decided by the texts.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let mut state: u64 = 0xCBF2_9CE4_8422_2325;
    for part in parts {
        let length = part.len() as u64;
        for byte in length.to_le_bytes().iter().chain(part.iter()) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// The name that a reference gives a contact. Nothing of the patient goes into it, so nothing can be found in it.
pub(super) fn of_reference(reference: &Reference) -> ContactId {
    let Reference { kind, issuer, value } = reference;
    digest(&[b"reference", kind.word().as_bytes(), issuer.as_bytes(), value.as_bytes()])
}

/// The name that a statement gives a contact which nothing else names; also of a name used again for somebody else.
pub(super) fn of_statement(id: &EvidenceId) -> ContactId {
    let EvidenceId { hub, system, entry, part } = id;
    digest(&[b"statement", hub.as_str().as_bytes(), system.as_bytes(), entry.as_bytes(), &part.to_le_bytes()])
}

/// Every name that a statement gives a contact.
pub(super) fn of(statement: &Evidence) -> impl Iterator<Item = ContactId> + '_ {
    let references = statement.references.iter().chain(&statement.replaces);
    references.map(of_reference).chain([of_statement(&statement.id)])
}

/// The key under which the bundle with a contact of this name is found.
pub(super) fn key(id: ContactId) -> u64 {
    let low = id.bits() & u128::from(u64::MAX);
    u64::try_from(low).unwrap_or_default()
}

fn digest(parts: &[&[u8]]) -> ContactId {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut bits = [0; 16];
    for (bit, byte) in bits.iter_mut().zip(digest.iter()) {
        *bit = *byte;
    }
    ContactId::of(u128::from_le_bytes(bits))
}
