//! Whether an ID token is to be believed (OpenID Connect Core 1.0, section 3.1.3.7).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::domain::time::Timestamp;

use super::{
    Agreement, Distrust,
    keys::{ALGORITHMS, Keys},
};

/// So far the provider's clock and this one may be apart.
pub const LEEWAY: Duration = Duration::from_secs(60);
/// A token that was made longer ago was not made for this sign-in.
pub const AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// The longest token taken, in bytes: it stands in one answer with others.
const TOKEN_BYTES_MAX: usize = 32 << 10;
/// OpenID Connect Core 1.0, section 2, `sub`.
const SUBJECT_BYTES_MAX: usize = 255;

/// Claims by name.
pub type Claims = Map<String, Value>;

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// With whom it was agreed what.
    pub agreement: &'a Agreement,
    /// What was sent along when the sign-in began.
    pub nonce: &'a str,
    /// The access token that came with it.
    pub access_token: &'a str,
    /// When.
    pub now: Timestamp,
}

/// The claims of a token, once everything is as it must be.
///
/// # Errors
/// See [`Distrust`]; [`Distrust::UnknownKey`] asks for newer keys.
pub fn verify(token: &str, keys: &Keys, expected: Expected<'_>) -> Result<Claims, Distrust> {
    let claims = signed(token, keys)?;
    let Expected { agreement, nonce, access_token, now } = expected;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(agreement.issuer.as_str()) {
        return Err(Distrust::Claim("issuer"));
    }
    check_audience(&claims, &agreement.client_id)?;
    check_moments(&claims, now)?;
    if text("nonce") != Some(nonce) {
        return Err(Distrust::Claim("nonce"));
    }
    if claims.contains_key("at_hash") && text("at_hash") != Some(half_hash(access_token).as_str()) {
        return Err(Distrust::Claim("at_hash"));
    }
    let is_fit = |subject: &str| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) && subject.is_ascii();
    if !text("sub").is_some_and(is_fit) {
        return Err(Distrust::Claim("subject"));
    }
    if !agreement.acr.is_empty() && !text("acr").is_some_and(|acr| agreement.acr.iter().any(|own| own == acr))
    {
        return Err(Distrust::Claim("level of assurance"));
    }
    Ok(claims)
}

fn signed(token: &str, keys: &Keys) -> Result<Claims, Distrust> {
    if TOKEN_BYTES_MAX < token.len() {
        return Err(Distrust::Malformed("the ID token"));
    }
    // A header that names no algorithm known to the library, `none` above all, is not read at all.
    let header = decode_header(token).map_err(|_| Distrust::Algorithm)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Distrust::Algorithm);
    }
    // The library's own checks of claims read the system's clock; ours follow in `verify`.
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let mut failure = Distrust::UnknownKey;
    for key in keys.fitting(header.kid.as_deref(), header.alg) {
        match decode::<Claims>(token, key, &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            Err(error) => {
                failure = match error.kind() {
                    ErrorKind::InvalidSignature => Distrust::Signature,
                    _ => Distrust::Malformed("the ID token"),
                };
            }
        }
    }
    Err(failure)
}

fn check_audience(claims: &Claims, client: &str) -> Result<(), Distrust> {
    let is_own = |value: &Value| value.as_str() == Some(client);
    let (own, several) = match claims.get("aud") {
        Some(Value::Array(all)) => (all.iter().any(is_own), 1 < all.len()),
        Some(one) => (is_own(one), false),
        None => (false, false),
    };
    let party = claims.get("azp");
    let party_fits = party.map_or(!several, is_own);
    if own && party_fits { Ok(()) } else { Err(Distrust::Claim("audience")) }
}

fn check_moments(claims: &Claims, now: Timestamp) -> Result<(), Distrust> {
    // NumericDate may have a fraction (RFC 7519, section 2): it is cut off.
    let seconds = |name: &str| {
        let value = claims.get(name)?;
        value.as_u64().or_else(|| {
            value.as_f64().map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs())
        })
    };
    let (now, leeway) = (now.unix_seconds(), LEEWAY.as_secs());
    let ends = seconds("exp").ok_or(Distrust::Claim("expiry"))?;
    let made = seconds("iat").ok_or(Distrust::Claim("moment of issue"))?;
    let begins = seconds("nbf").unwrap_or(made);
    let good = now < ends.saturating_add(leeway)
        && made <= now.saturating_add(leeway)
        && begins <= now.saturating_add(leeway)
        && now.saturating_sub(made) <= (AGE_MAX + LEEWAY).as_secs();
    if good { Ok(()) } else { Err(Distrust::Moment) }
}

/// All algorithms taken here are with SHA-256 (section 3.1.3.6).
fn half_hash(access_token: &str) -> String {
    let hash = Sha256::digest(access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or_default())
}
