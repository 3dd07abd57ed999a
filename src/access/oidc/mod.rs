//! OpenID Connect as values: what is asked of an identity provider, what it answers, and what that is worth.
//!
//! Nothing here fetches, waits or reads a clock; [`crate::flow::sign_in`] does. The authorisation code flow with PKCE
//! and no other (OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9700).

pub mod claims;
pub mod client;
pub mod id_token;
pub mod keys;
pub mod pending;
pub mod provider;

use std::collections::{BTreeMap, BTreeSet};

use super::role::Role;

/// The hub's agreement with an identity provider, as it is configured.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// Who issues tokens, exactly as its discovery document and its tokens say.
    pub issuer: String,
    /// What the hub is called there.
    pub client_id: String,
    /// Where it sends people back to, exactly as it was told.
    pub redirect: String,
    /// What is asked for; `openid` is among it.
    pub scopes: Vec<String>,
    /// Levels of assurance that are asked for and taken, the dearest first; any if there is none.
    pub acr: Vec<String>,
    /// Whether claims are asked for at the user-info endpoint as well.
    pub user_info: bool,
    /// How claims become roles.
    pub mapping: Mapping,
}

/// How claims become roles.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The claim that says what someone is.
    pub claim: String,
    /// Organisations whose roles count, where the claim names organisations (`org_code`).
    pub organisations: BTreeSet<String>,
    /// What each value, or the last part of a code such as `S8000:G8000:R8000`, lets people do here.
    pub roles: BTreeMap<String, Role>,
}

/// Why an identity provider's word is not taken. Holds nothing that it said.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Distrust {
    /// A document is no JSON, or lacks what it must have.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// The discovery document is another issuer's.
    #[error("the discovery document is of another issuer")]
    OtherIssuer,
    /// An address without TLS that is not on this machine.
    #[error("an address in the discovery document is without TLS")]
    Unprotected,
    /// It does what this hub needs not.
    #[error("the identity provider does not offer {0}")]
    Lacks(&'static str),
    /// Signed with something else than RS256, PS256 or ES256.
    #[error("the ID token is not signed with RS256, PS256 or ES256")]
    Algorithm,
    /// No key of the provider's is the one that the token names.
    #[error("the ID token names a key that the identity provider does not publish")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the ID token's signature is wrong")]
    Signature,
    /// A claim is missing or not what it must be.
    #[error("the ID token's {0} is not what it must be")]
    Claim(&'static str),
    /// It is over, or not yet good: of the clocks one is wrong, or somebody kept it.
    #[error("the ID token is over or not good yet: compare the clocks")]
    Moment,
    /// User-info is of somebody else.
    #[error("the user-info answer is of another person")]
    OtherPerson,
    /// The client's own key does not sign.
    #[error("the hub's key for the identity provider does not sign")]
    OwnKey,
}
