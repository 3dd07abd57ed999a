//! Pseudonyms: the same patient has the same one for one recipient and purpose, and another for every other.
//!
//! An NHS number is one of a thousand million: without the key, a hash of it is the number. With HMAC-SHA-256 and a key
//! of its own for each recipient and purpose, two recipients cannot put their tables together.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::{
    contact::{Contact, ContactId, LocalId, Patient},
    nhs_number::NhsNumber,
};

/// The secret of which every recipient's key is made; it never leaves the device. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A key of 32 bytes, from the device's secret store.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A pseudonym: 128 bits as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pseudonym([u8; 16]);

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A recipient or a purpose must have a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("recipient and purpose of pseudonyms must be named")]
pub struct Nameless;

/// Makes pseudonyms for one recipient and one purpose. `Debug` shows no key.
#[derive(Clone)]
pub struct Pseudonymiser(Hmac<Sha256>);

impl fmt::Debug for Pseudonymiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonymiser(…)")
    }
}

/// What a pseudonym is of: the same digits as two kinds of number have two pseudonyms.
#[derive(Clone, Copy)]
enum Of {
    NhsNumber = 1,
    LocalId = 2,
    Contact = 3,
}

impl Pseudonymiser {
    /// For a recipient and a purpose, as configuration names them.
    ///
    /// # Errors
    /// If one of them has no name.
    pub fn new(master: &MasterKey, recipient: &str, purpose: &str) -> Result<Self, Nameless> {
        if recipient.trim().is_empty() || purpose.trim().is_empty() {
            return Err(Nameless);
        }
        let mut derive = keyed(&master.0);
        derive.update(b"polygate pseudonym key, version 1");
        part(&mut derive, recipient.as_bytes());
        part(&mut derive, purpose.as_bytes());
        Ok(Self(keyed(&derive.finalize().into_bytes().into())))
    }

    /// Of a patient: by a verified NHS number, else by the first local number, else by an unverified one; none of
    /// somebody of whom nothing is known.
    pub fn patient(&self, patient: &Patient) -> Option<Pseudonym> {
        let local = || patient.local.first().map(|id| self.local(id));
        let unverified = || patient.nhs_number.map(|number| self.nhs_number(number));
        patient.verified().map(|number| self.nhs_number(number)).or_else(local).or_else(unverified)
    }

    /// Of an NHS number.
    pub fn nhs_number(&self, number: NhsNumber) -> Pseudonym {
        self.of(Of::NhsNumber, &[number.as_str().as_bytes()])
    }

    /// Of a contact: its own name is in returns, by which one could be put beside the other.
    pub fn contact(&self, contact: &Contact) -> Pseudonym {
        self.contact_id(contact.id)
    }

    fn contact_id(&self, id: ContactId) -> Pseudonym {
        self.of(Of::Contact, &[&id.bits().to_be_bytes()])
    }

    fn local(&self, id: &LocalId) -> Pseudonym {
        self.of(Of::LocalId, &[id.system.as_bytes(), id.value.as_bytes()])
    }

    fn of(&self, of: Of, parts: &[&[u8]]) -> Pseudonym {
        let mut mac = self.0.clone();
        mac.update(&[of as u8]);
        parts.iter().for_each(|bytes| part(&mut mac, bytes));
        let mut pseudonym = [0; 16];
        pseudonym.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(into, byte)| *into = byte);
        Pseudonym(pseudonym)
    }
}

/// A key shorter than a block is filled with zeros (RFC 2104).
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(into, byte)| *into = *byte);
    Hmac::new(&block.into())
}

/// Length first, so that no two lists of parts are the same bytes.
fn part(mac: &mut Hmac<Sha256>, bytes: &[u8]) {
    mac.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    mac.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::NumberStatus;

    fn maker(recipient: &str, purpose: &str) -> Pseudonymiser {
        Pseudonymiser::new(&MasterKey::new([7; 32]), recipient, purpose).unwrap()
    }

    #[test]
    fn the_keyed_hash_is_that_of_rfc_4231() {
        // Test case 2 has a key of 4 bytes; filled with zeros it is the same key.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mut mac = keyed(&key);
        mac.update(b"what do ya want for nothing?");
        let found: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn each_recipient_and_purpose_has_its_own() {
        let number = NhsNumber::parse("9990000018").unwrap();
        let makers =
            [maker("icb", "waits"), maker("icb", "planning"), maker("icbw", "aits"), maker("x", "waits")];
        let mut found: Vec<_> = makers.iter().map(|maker| maker.nhs_number(number)).collect();
        assert_eq!(found[0], maker("icb", "waits").nhs_number(number));
        assert_ne!(found[0], makers[0].nhs_number(NhsNumber::parse("9990000026").unwrap()));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].to_string().len(), 32);
        assert_eq!(Pseudonymiser::new(&MasterKey::new([7; 32]), " ", "waits").unwrap_err(), Nameless);
    }

    #[test]
    fn a_patient_is_known_by_what_is_most_certain() {
        let maker = maker("icb", "waits");
        let number = NhsNumber::parse("9990000018").ok();
        let id = LocalId { system: "rio".into(), value: "9990000018".into() };
        let verified =
            Patient { nhs_number: number, status: Some(NumberStatus::Verified), local: vec![id.clone()] };
        let unverified = Patient { status: None, ..verified.clone() };
        assert_eq!(maker.patient(&verified), number.map(|number| maker.nhs_number(number)));
        assert_eq!(maker.patient(&unverified), Some(maker.local(&id)));
        assert_ne!(maker.patient(&verified), maker.patient(&unverified), "the same digits, another kind");
        assert_eq!(maker.patient(&Patient::default()), None);
        assert_eq!(format!("{maker:?}{:?}", MasterKey::new([7; 32])), "Pseudonymiser(…)MasterKey(…)");
    }
}
