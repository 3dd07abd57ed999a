//! What an identity provider says of itself (OpenID Connect Discovery 1.0, section 3).

use std::net::IpAddr;

use serde::Deserialize;

use super::Distrust;

/// The longest discovery document taken, in bytes: real ones have less than 8 KiB.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 10;

/// A discovery document, checked.
#[derive(Clone, Debug, Deserialize)]
pub struct Provider {
    issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: String,
    /// Where a code is exchanged for tokens.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where more claims are.
    pub userinfo_endpoint: Option<String>,
    /// Where people sign out.
    pub end_session_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether its answers name their issuer (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Provider {
    /// Where the document of this issuer is.
    pub fn document_address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads a document that must be this issuer's.
    ///
    /// # Errors
    /// See [`Distrust`].
    pub fn read(document: &[u8], issuer: &str) -> Result<Self, Distrust> {
        if DOCUMENT_BYTES_MAX < document.len() {
            return Err(Distrust::Malformed("the discovery document"));
        }
        let provider: Self =
            serde_json::from_slice(document).map_err(|_| Distrust::Malformed("the discovery document"))?;
        if provider.issuer != issuer {
            return Err(Distrust::OtherIssuer);
        }
        let own = [&provider.authorization_endpoint, &provider.token_endpoint, &provider.jwks_uri];
        let optional = provider.userinfo_endpoint.iter().chain(&provider.end_session_endpoint);
        if !own.into_iter().chain(optional).all(|address| is_protected(address)) {
            return Err(Distrust::Unprotected);
        }
        let methods = provider.code_challenge_methods_supported.as_ref();
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(Distrust::Lacks("PKCE with S256"));
        }
        Ok(provider)
    }

    /// Whether a client's secret goes into the `Authorization` header: so it is unless the provider says otherwise
    /// (Discovery 1.0, section 3, `token_endpoint_auth_methods_supported`).
    pub fn takes_basic(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
    }

    /// Whether an answer may have come from this provider, by the issuer it names (RFC 9207, section 2.4).
    pub fn may_have_answered(&self, issuer: Option<&str>) -> bool {
        match issuer {
            Some(issuer) => issuer == self.issuer,
            None => !self.authorization_response_iss_parameter_supported,
        }
    }
}

/// Whether an address is with TLS, or on this machine.
pub fn is_protected(address: &str) -> bool {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(rest) = address.strip_prefix("https://") {
        return is_plain(rest) && !rest.starts_with('/');
    }
    let Some(rest) = address.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback && is_plain(rest) && !authority.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example/oidc";

    fn document(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let mut document = serde_json::json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token",
            "jwks_uri": "https://id.example/keys",
            "something_new": [1, 2],
        });
        change(&mut document);
        document.to_string().into_bytes()
    }

    #[test]
    fn a_document_is_read_and_knows_its_defaults() {
        let provider = Provider::read(&document(|_| ()), ISSUER).unwrap();
        assert!(provider.takes_basic() && provider.may_have_answered(None));
        assert!(provider.may_have_answered(Some(ISSUER)) && !provider.may_have_answered(Some("https://x")));
        let strict = document(|all| {
            all["token_endpoint_auth_methods_supported"] = serde_json::json!(["client_secret_post"]);
            all["authorization_response_iss_parameter_supported"] = true.into();
        });
        let strict = Provider::read(&strict, ISSUER).unwrap();
        assert!(!strict.takes_basic() && !strict.may_have_answered(None));
        assert_eq!(
            Provider::document_address("https://id.example/oidc/"),
            "https://id.example/oidc/.well-known/openid-configuration"
        );
    }

    #[test]
    fn anothers_document_and_unprotected_addresses_are_refused() {
        let read =
            |change: fn(&mut serde_json::Value)| Provider::read(&document(change), ISSUER).unwrap_err();
        assert_eq!(read(|all| all["issuer"] = "https://id.example/oidc/".into()), Distrust::OtherIssuer);
        assert_eq!(
            read(|all| all["token_endpoint"] = "http://id.example/token".into()),
            Distrust::Unprotected
        );
        assert_eq!(read(|all| all["end_session_endpoint"] = "javascript:x".into()), Distrust::Unprotected);
        let plain =
            |all: &mut serde_json::Value| all["code_challenge_methods_supported"] = vec!["plain"].into();
        assert_eq!(read(plain), Distrust::Lacks("PKCE with S256"));
        assert_eq!(read(|all| all["jwks_uri"] = 7.into()), Distrust::Malformed("the discovery document"));
    }

    #[test]
    fn only_this_machine_does_without_tls() {
        for good in ["https://id.example", "http://127.0.0.1:9/x", "http://[::1]:9/", "http://localhost"] {
            assert!(is_protected(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "https:///x",
            "http://10.0.0.1",
            "http://localhost@evil.example/",
            "ftp://a",
            "https://a b",
        ] {
            assert!(!is_protected(bad), "{bad}");
        }
    }
}
