//! Logical ids that tell nothing: a keyed digest of what they stand for.

use sha2::{Digest, Sha256};

/// SHA-256 works on blocks of this many bytes.
const BLOCK_BYTES: usize = 64;
/// Digest bytes that make an id: 160 bits, which never meet by chance.
const ID_BYTES: usize = 20;

/// Makes ids out of a secret of the hub's. Without the secret nobody can try all NHS numbers, of which there are few,
/// to find whose id one is. Its `Debug` does not show the secret.
#[derive(Clone)]
pub struct Ids {
    secret: [u8; 32],
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids(…)")
    }
}

impl Ids {
    /// Ids under a secret, which must outlive restarts: ids are the same as long as it is.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The id of what these names stand for: 32 characters of `a`–`z` and `2`–`7`.
    pub fn of(&self, names: &[&str]) -> String {
        let digest = self.digest(names);
        base32(digest.get(..ID_BYTES).unwrap_or_default())
    }

    /// A UUID of what these names stand for (RFC 9562, version 8), as `urn:uuid:…`.
    pub fn uuid_urn(&self, names: &[&str]) -> String {
        let mut bytes = [0_u8; 16];
        bytes.iter_mut().zip(self.digest(names)).for_each(|(to, from)| *to = from);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
        format!("urn:uuid:{}", parts.join("-"))
    }

    /// The keyed digest of the names, each with its length before it.
    fn digest(&self, names: &[&str]) -> [u8; 32] {
        let mut message = Vec::with_capacity(names.iter().map(|name| name.len() + 8).sum());
        for name in names {
            message.extend(name.len().to_be_bytes());
            message.extend(name.as_bytes());
        }
        hmac(&self.secret, &message)
    }
}

/// HMAC-SHA-256 (RFC 2104) under a key that is shorter than a block.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// RFC 4648, section 6, in lower case and without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while 5 <= bits {
            bits -= 5;
            let place = usize::try_from(held >> bits & 31).unwrap_or(0);
            text.push(char::from(ALPHABET[place]));
        }
        held &= (1 << bits) - 1;
    }
    if 0 < bits {
        let place = usize::try_from(held << (5 - bits) & 31).unwrap_or(0);
        text.push(char::from(ALPHABET[place]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "my"), ("fo", "mzxq"), ("foob", "mzxw6yq"), ("foobar", "mzxw6ytboi")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_digest_is_that_of_rfc_4231() {
        // Test case 2. A shorter key is padded with zeros, so that this is the same.
        let mut key = [0_u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let digest = hmac(&key, b"what do ya want for nothing?");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn ids_are_stable_and_differ_by_secret_and_by_name() {
        let (one, other) = (Ids::new([1; 32]), Ids::new([2; 32]));
        assert_eq!(one.of(&["a", "bc"]), one.of(&["a", "bc"]));
        assert_ne!(one.of(&["a", "bc"]), one.of(&["ab", "c"]));
        assert_ne!(one.of(&["a"]), other.of(&["a"]));
        assert_eq!((one.of(&["a"]).len(), one.uuid_urn(&["a"]).len()), (32, 45));
        assert_eq!(format!("{one:?}"), "Ids(…)");
    }
}
