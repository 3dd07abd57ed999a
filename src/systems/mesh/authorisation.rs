//! The `Authorization` header of MESH: a keyed hash over mailbox, nonce, count, password and time (MESH API,
//! "Authorization header").

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{domain::time::Timestamp, sys::entropy::Entropy};

const BLOCK_BYTES: usize = 64;

/// A mailbox with what proves that it is ours. `Debug` shows no secret.
#[derive(Clone)]
pub struct Credentials {
    /// The mailbox, such as `X26HC001`.
    pub mailbox: String,
    /// Its password.
    pub password: String,
    /// The environment's shared key.
    pub shared_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.mailbox)
    }
}

impl Credentials {
    /// A header that nobody has sent before: the nonce is drawn anew for each.
    pub fn header(&self, now: Timestamp, entropy: &mut Entropy) -> String {
        let nonce = format!("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64());
        self.header_of(&nonce, "0", &minutes(now))
    }

    fn header_of(&self, nonce: &str, count: &str, minutes: &str) -> String {
        let Self { mailbox, password, shared_key } = self;
        let signed = format!("{mailbox}:{nonce}:{count}:{password}:{minutes}");
        let hash = hmac_sha256(shared_key.as_bytes(), signed.as_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("NHSMESH {mailbox}:{nonce}:{count}:{minutes}:{hash}")
    }

    /// Whether a header is one that this mailbox would make. For the simulated mailbox server.
    pub fn accepts(&self, header: &str) -> bool {
        let Some(rest) = header.strip_prefix("NHSMESH ") else { return false };
        let parts: Vec<&str> = rest.split(':').collect();
        let [mailbox, nonce, count, minutes, _] = parts[..] else { return false };
        mailbox == self.mailbox && self.header_of(nonce, count, minutes) == header
    }
}

/// `YYYYMMDDHHMM`, UTC.
fn minutes(now: Timestamp) -> String {
    now.to_string().chars().filter(char::is_ascii_digit).take(12).collect()
}

/// HMAC (RFC 2104) over SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK_BYTES];
    if BLOCK_BYTES < key.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn agrees_with_rfc_4231() {
        for (key, message, expected) in [
            (
                vec![0x0b; 20],
                b"Hi There".to_vec(),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac_sha256(&key, &message)), expected);
        }
    }

    #[test]
    fn a_header_is_ours_once_and_shows_no_secret() {
        let credentials = Credentials {
            mailbox: "X26HC001".to_owned(),
            password: "pass".to_owned(),
            shared_key: "key".to_owned(),
        };
        let mut entropy = Entropy::from_seed(1);
        let now = Timestamp(1_795_000_000_123);
        let (one, other) = (credentials.header(now, &mut entropy), credentials.header(now, &mut entropy));
        assert_ne!(one, other, "no nonce twice");
        assert!(one.starts_with("NHSMESH X26HC001:") && one.contains(":0:202611181106:"), "{one}");
        assert!(credentials.accepts(&one) && !one.contains("pass"));
        let stranger = Credentials { password: "other".to_owned(), ..credentials.clone() };
        assert!(!stranger.accepts(&one) && !credentials.accepts("NHSMESH x") && !credentials.accepts(""));
        assert_eq!(format!("{credentials:?}"), "Credentials(X26HC001)");
    }
}
