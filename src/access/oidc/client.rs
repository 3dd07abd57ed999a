//! What the hub says to an identity provider, and how it proves there who it is.

use std::{fmt, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

use super::{Agreement, Distrust, pending::Begun, provider::Provider};

/// The longest answer of a token endpoint or of user-info taken, in bytes.
pub const ANSWER_BYTES_MAX: usize = 128 << 10;
/// What a client's assertion is good for: one request, and clocks that are a little apart.
const ASSERTION_LIFE: Duration = Duration::from_secs(120);
/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How the hub proves who it is.
#[derive(Clone)]
pub enum Credential {
    /// With its own key (`private_key_jwt`): nothing that can be stolen is sent.
    Key {
        /// The private key.
        key: EncodingKey,
        /// How it signs.
        algorithm: Algorithm,
        /// What the provider calls the key, if it must be told.
        id: Option<String>,
    },
    /// With a shared secret.
    Secret(String),
}

impl Credential {
    /// A private key in PEM; `algorithm` is RS256, RS384, RS512, PS256 or ES256.
    ///
    /// # Errors
    /// The PEM holds no such key, or the algorithm is another.
    pub fn key(pem: &[u8], algorithm: &str, id: Option<String>) -> Result<Self, Distrust> {
        let algorithm = signing_algorithm(algorithm).ok_or(Distrust::OwnKey)?;
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
            _ => EncodingKey::from_rsa_pem(pem),
        };
        Ok(Self::Key { key: key.map_err(|_| Distrust::OwnKey)?, algorithm, id })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key { .. } => "Key(…)",
            Self::Secret(_) => "Secret(…)",
        })
    }
}

/// The algorithm of that name, if a client may sign with it.
fn signing_algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "ES256" => Algorithm::ES256,
        _ => return None,
    })
}

/// Whether a client may sign with the algorithm of that name.
pub fn can_sign_with(name: &str) -> bool {
    signing_algorithm(name).is_some()
}

/// A form for the token endpoint, and what goes into `Authorization`.
pub struct TokenRequest {
    /// URL-encoded.
    pub form: String,
    /// The header's value, if there is one.
    pub authorization: Option<String>,
}

/// What a token endpoint gave.
#[derive(Deserialize)]
pub struct Tokens {
    /// Who signed in, signed.
    pub id_token: String,
    /// What opens user-info.
    pub access_token: String,
}

impl Tokens {
    /// Reads a token endpoint's answer.
    ///
    /// # Errors
    /// It is not one.
    pub fn read(answer: &[u8]) -> Result<Self, Distrust> {
        serde_json::from_slice(answer).map_err(|_| Distrust::Malformed("the answer with the tokens"))
    }
}

/// Where a browser is sent to sign in.
pub fn authorisation_address(agreement: &Agreement, provider: &Provider, begun: &Begun) -> String {
    let (scope, acr) = (agreement.scopes.join(" "), agreement.acr.join(" "));
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", &agreement.client_id),
        ("redirect_uri", &agreement.redirect),
        ("scope", &scope),
        ("state", &begun.state),
        ("nonce", &begun.nonce),
        ("code_challenge", &begun.challenge),
        ("code_challenge_method", "S256"),
    ];
    if !acr.is_empty() {
        fields.push(("acr_values", &acr));
    }
    with_query(&provider.authorization_endpoint, &fields)
}

/// Where a browser is sent to end the provider's own session, if it can be (OpenID Connect RP-Initiated Logout 1.0,
/// section 2). By the client's id: the hub keeps no ID token that could be a hint.
pub fn sign_out_address(agreement: &Agreement, provider: &Provider) -> Option<String> {
    let back = agreement.redirect.strip_suffix("/callback")?;
    let fields = [("client_id", agreement.client_id.as_str()), ("post_logout_redirect_uri", back)];
    provider.end_session_endpoint.as_ref().map(|endpoint| with_query(endpoint, &fields))
}

/// What exchanges a code for tokens.
///
/// # Errors
/// The hub's own key does not sign.
pub fn token_request(
    agreement: &Agreement,
    provider: &Provider,
    credential: &Credential,
    (code, verifier): (&str, &str),
    random: [u8; 32],
    now: Timestamp,
) -> Result<TokenRequest, Distrust> {
    let client = agreement.client_id.as_str();
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", agreement.redirect.as_str()),
        ("code_verifier", verifier),
    ];
    let signed;
    let mut authorization = None;
    match credential {
        Credential::Key { key, algorithm, id } => {
            signed = assertion((key, *algorithm, id.clone()), client, &provider.token_endpoint, random, now)?;
            fields.extend([
                ("client_id", client),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", signed.as_str()),
            ]);
        }
        // RFC 6749, section 2.3.1: both are URL-encoded first.
        Credential::Secret(secret) if provider.takes_basic() => {
            let both = format!("{}:{}", encoded(client), encoded(secret));
            authorization = Some(format!("Basic {}", STANDARD.encode(both)));
        }
        Credential::Secret(secret) => fields.extend([("client_id", client), ("client_secret", secret)]),
    }
    Ok(TokenRequest { form: query(&fields), authorization })
}

/// A client's word for itself (RFC 7523, section 3).
fn assertion(
    (key, algorithm, id): (&EncodingKey, Algorithm, Option<String>),
    client: &str,
    audience: &str,
    random: [u8; 32],
    now: Timestamp,
) -> Result<String, Distrust> {
    #[derive(Serialize)]
    struct Assertion<'a> {
        iss: &'a str,
        sub: &'a str,
        aud: &'a str,
        jti: String,
        iat: u64,
        exp: u64,
    }
    let claims = Assertion {
        iss: client,
        sub: client,
        aud: audience,
        jti: URL_SAFE_NO_PAD.encode(random),
        iat: now.unix_seconds(),
        exp: now.plus(ASSERTION_LIFE).unix_seconds(),
    };
    let header = Header { kid: id, ..Header::new(algorithm) };
    encode(&header, &claims, key).map_err(|_| Distrust::OwnKey)
}

fn with_query(address: &str, fields: &[(&str, &str)]) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{}", query(fields))
}

fn query(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

/// As in forms and in queries: everything but unreserved characters is escaped (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}
