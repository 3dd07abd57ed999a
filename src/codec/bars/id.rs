//! Ids that follow from what came: a message that comes twice is given the same ones.

use sha2::{Digest, Sha256};

/// A UUID made of names (RFC 9562, version 8).
pub(super) fn derived(names: &[&str]) -> String {
    let mut digest = Sha256::new();
    for name in names {
        digest.update(name.len().to_be_bytes());
        digest.update(name.as_bytes());
    }
    let digest = digest.finalize();
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
}

/// Whether text is a UUID, in either case.
pub fn is_uuid(text: &str) -> bool {
    let is_right = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

/// Whether text is an id as FHIR has them (R4, section 2.24): at most 64 characters of a few kinds.
pub(super) fn is_fhir_id(text: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_ids_and_never_the_same_one() {
        let one = derived(&["a", "bc"]);
        assert!(is_uuid(&one), "{one}");
        assert_eq!(one, derived(&["a", "bc"]));
        assert_ne!(one, derived(&["ab", "c"]));
        for bad in
            ["", "c1ab3fba", "c1ab3fba-6bae-4ba4-b257-5a87c44d4a9g", "c1ab3fba-6bae-4ba4-b2575-a87c44d4a91"]
        {
            assert!(!is_uuid(bad), "{bad}");
        }
    }
}
