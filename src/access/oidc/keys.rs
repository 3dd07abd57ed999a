//! The keys that an identity provider publishes (RFC 7517), as far as they verify what it signs here.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::Distrust;

/// The longest key set taken, in bytes.
pub const KEYS_BYTES_MAX: usize = 256 << 10;
/// So many keys of a set are looked at: providers publish the one in use, the one before and the next.
const KEYS_MAX: usize = 64;

/// The algorithms that are taken: asymmetric, at least 128 bits, and what providers use. `none` and those with a shared
/// secret are no algorithms here: with them, whoever knows the public key could sign.
pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256];

/// A key set.
#[derive(Clone)]
pub struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    elliptic: bool,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a key set; keys that are for something else, or of another kind, are left out.
    ///
    /// # Errors
    /// It is no key set.
    pub fn read(document: &[u8]) -> Result<Self, Distrust> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let malformed = Distrust::Malformed("the key set");
        if KEYS_BYTES_MAX < document.len() {
            return Err(malformed);
        }
        let Set { keys } = serde_json::from_slice(document).map_err(|_| malformed)?;
        Ok(Self(keys.into_iter().take(KEYS_MAX).filter_map(Key::read).collect()))
    }

    /// The keys that a token may have been signed with: the one it names, or all that fit if it names none.
    pub(super) fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&DecodingKey> {
        let elliptic = algorithm == Algorithm::ES256;
        let name = format!("{algorithm:?}");
        let fits = |key: &&Key| {
            key.elliptic == elliptic
                && key.algorithm.as_ref().is_none_or(|own| *own == name)
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        self.0.iter().filter(fits).map(|key| &key.key).collect()
    }
}

impl Key {
    fn read(published: Value) -> Option<Self> {
        let published: Published = serde_json::from_value(published).ok()?;
        if published.purpose.as_ref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let (elliptic, key) = match (published.kty.as_str(), published.crv.as_deref()) {
            ("RSA", None) => (false, DecodingKey::from_rsa_components(&published.n?, &published.e?).ok()?),
            ("EC", Some("P-256")) => {
                (true, DecodingKey::from_ec_components(&published.x?, &published.y?).ok()?)
            }
            _ => return None,
        };
        Some(Self { id: published.kid, algorithm: published.alg, elliptic, key })
    }
}
