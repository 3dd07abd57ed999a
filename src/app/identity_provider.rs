//! The hub's identity provider, put together from its section of the configuration.

use std::{fs, sync::Arc};

use anyhow::Context as _;

use crate::{
    access::oidc::{Agreement, Mapping, client::Credential},
    config::{HubConfig, IdentityProviderSection},
    flow::sign_in::{ProviderSettings, SignIn},
    sys::{
        clock::Clock,
        tls::{ClientTls, SpineFiles},
    },
};

/// Tells the accounts of the provider, if there is one. What cannot be used is said in the log: messages and local
/// accounts do not wait for it. Blocks.
pub(super) fn attach(config: &HubConfig, sign_in: &SignIn, clock: &Arc<dyn Clock>) {
    let Some(section) = &config.identity_provider else { return };
    match settings(section, clock) {
        Ok(settings) => sign_in.attach_provider(settings),
        Err(error) => tracing::error!(
            error = format!("{error:#}"),
            "[identity-provider] cannot be used: only local accounts sign in"
        ),
    }
}

fn settings(section: &IdentityProviderSection, clock: &Arc<dyn Clock>) -> anyhow::Result<ProviderSettings> {
    let tls = if section.issuer.starts_with("https://") {
        let files = SpineFiles { ca: section.ca.clone(), ..SpineFiles::default() };
        Some(ClientTls::load_for_spine(&files, Arc::clone(clock))?)
    } else {
        None
    };
    Ok(ProviderSettings {
        label: section.label.clone(),
        contact: section.contact.clone(),
        agreement: Agreement {
            issuer: section.issuer.clone(),
            client_id: section.client_id.clone(),
            redirect: section.redirect.clone(),
            scopes: section.scopes.clone(),
            acr: section.acr.clone(),
            user_info: section.user_info,
            mapping: Mapping {
                claim: section.role_claim.clone(),
                organisations: section.organisations.iter().cloned().collect(),
                roles: section.roles.clone(),
            },
        },
        credential: credential(section)?,
        tls,
    })
}

fn credential(section: &IdentityProviderSection) -> anyhow::Result<Credential> {
    if let Some(path) = &section.client_key {
        let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let id = section.client_key_id.clone();
        return Credential::key(&pem, &section.client_key_algorithm, id).with_context(|| {
            format!("{}: no private key for {}, as PEM", path.display(), section.client_key_algorithm)
        });
    }
    let path = section.client_secret.as_ref().context("neither client-key nor client-secret is given")?;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(!text.trim().is_empty(), "{} is empty", path.display());
    Ok(Credential::Secret(text.trim().to_owned()))
}
