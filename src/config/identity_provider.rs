//! `[identity-provider]` of `polygate.toml`: who vouches for the staff besides the hub's own accounts.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::{
    access::{
        oidc::{client::can_sign_with, provider::is_protected},
        role::Role,
    },
    sys::http::HttpUrl,
};

use super::file::File;

/// Where the provider sends people back to, at the portal.
const CALLBACK: &str = "/sign-in/callback";
/// Issuers are kept with each account.
const ISSUER_BYTES_MAX: usize = 255;

/// `[identity-provider]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IdentityProviderSection {
    /// What people call it, as the button shows it.
    pub label: String,
    /// Whom to ask for a role, in words.
    #[serde(default = "default_contact")]
    pub contact: String,
    /// The issuer, exactly as the provider writes it.
    pub issuer: String,
    /// What the hub is called there.
    pub client_id: String,
    /// The hub's private key for `private_key_jwt`, as PEM.
    pub client_key: Option<PathBuf>,
    /// What the provider calls that key.
    pub client_key_id: Option<String>,
    /// How it signs.
    #[serde(default = "default_algorithm")]
    pub client_key_algorithm: String,
    /// A file that holds the shared secret, in place of a key.
    pub client_secret: Option<PathBuf>,
    /// `https://` and the portal's name, ending in `/sign-in/callback`.
    pub redirect: String,
    /// What is asked for.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Levels of assurance that are asked for and taken; any without it.
    #[serde(default)]
    pub acr: Vec<String>,
    /// Whether claims are asked for at the user-info endpoint as well.
    #[serde(default)]
    pub user_info: bool,
    /// The claim that says what someone is.
    pub role_claim: String,
    /// Organisations whose roles count; the hub's own ODS code without it.
    #[serde(default)]
    pub organisations: Vec<String>,
    /// What each value of the claim lets people do here.
    pub roles: BTreeMap<String, Role>,
    /// The authorities that vouch for the provider, as PEM; those of the operating system without it.
    pub ca: Option<PathBuf>,
}

const SECTION: &str = "identity-provider";

/// Every fault in what the section says.
pub(super) fn check_identity_provider(
    file: &mut File<'_>,
    section: &IdentityProviderSection,
    has_portal: bool,
) {
    let mut fault = |key: &str, reason: &str| file.fault(SECTION, key, reason);
    if !has_portal {
        fault("label", "nobody can sign in without [portal]");
    }
    if section.label.trim().is_empty() || 40 < section.label.chars().count() {
        fault("label", "1 to 40 characters");
    }
    if HttpUrl::parse(&section.issuer).is_err() || !is_protected(&section.issuer) {
        fault("issuer", "written https://host/path; without TLS only on loopback");
    }
    if ISSUER_BYTES_MAX < section.issuer.len() {
        fault("issuer", "at most 255 bytes");
    }
    if section.client_id.is_empty() {
        fault("client-id", "as the provider gave it");
    }
    if section.client_key.is_some() == section.client_secret.is_some() {
        fault("client-id", "give either client-key or client-secret");
    }
    if !can_sign_with(&section.client_key_algorithm) {
        fault("client-key-algorithm", "RS256, RS384, RS512, PS256 or ES256");
    }
    let at_root =
        section.redirect.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
    if !is_protected(&section.redirect) || at_root != Some(CALLBACK) {
        fault("redirect", "https:// and a name of the portal, ending in /sign-in/callback");
    }
    if !section.scopes.iter().any(|scope| scope == "openid") {
        fault("scopes", "\"openid\" is among them");
    }
    if section.role_claim.is_empty() {
        fault("role-claim", "the name of a claim");
    }
    if section.roles.is_empty() {
        fault("roles", "without a role nobody can sign in");
    }
}

fn default_contact() -> String {
    "whoever looks after your roles there".to_owned()
}

fn default_algorithm() -> String {
    "RS256".to_owned()
}

fn default_scopes() -> Vec<String> {
    vec!["openid".to_owned(), "profile".to_owned()]
}
