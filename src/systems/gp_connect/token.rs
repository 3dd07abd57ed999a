//! The token that tells a practice who asks and why: a JSON Web Token without a signature, for audit trails.
//!
//! GP Connect, Cross organisation audit and provenance. It proves nothing, and is accepted nowhere in this hub: the
//! mutual TLS below it is what lets a request in.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    codec::fhir::names,
    domain::{actor::Requester, time::Timestamp},
};

use super::Interaction;

/// How long a token is good for, in seconds (same page: `exp` is now and five minutes).
pub const LIFE_SECONDS: u64 = 300;
/// What stands for an identifier that the user does not have.
const UNKNOWN: &str = "UNK";

/// What a token is made of, beside who asks.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// What is asked.
    pub interaction: Interaction,
    /// The practice's FHIR address, as the directory gives it: `aud`.
    pub audience: &'a str,
    /// This hub's own address: `iss`.
    pub issuer: &'a str,
}

/// A new token; each request has its own.
pub fn token(who: &Requester, purpose: &Purpose<'_>, now: Timestamp) -> String {
    let header = json!({"alg": "none", "typ": "JWT"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    // The signature is empty, and the dot before it must stand.
    format!("{}.{}.", part(&header), part(&claims(who, purpose, now)))
}

fn claims(who: &Requester, purpose: &Purpose<'_>, now: Timestamp) -> Value {
    let issued = now.unix_seconds();
    json!({
        "iss": purpose.issuer,
        "sub": who.practitioner.id,
        "aud": purpose.audience,
        "exp": issued + LIFE_SECONDS,
        "iat": issued,
        "reason_for_request": who.reason.name(),
        "requested_scope": purpose.interaction.scope(),
        "requesting_device": device(who, purpose.issuer),
        "requesting_organization": {
            "resourceType": "Organization",
            "identifier": [{"system": names::ODS_CODE, "value": who.organisation.ods_code}],
            "name": who.organisation.name,
        },
        "requesting_practitioner": practitioner(who, purpose.issuer),
    })
}

fn device(who: &Requester, issuer: &str) -> Value {
    json!({
        "resourceType": "Device",
        "identifier": [{"system": format!("{issuer}/Id/device"), "value": who.device.id}],
        "model": who.device.model,
        "version": who.device.version,
        "url": issuer,
    })
}

fn practitioner(who: &Requester, issuer: &str) -> Value {
    let practitioner = &who.practitioner;
    let or_unknown = |id: &Option<String>| id.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let mut name = json!({"family": practitioner.family_name, "given": [practitioner.given_name]});
    if !practitioner.title.is_empty() {
        name["prefix"] = json!([practitioner.title]);
    }
    json!({
        "resourceType": "Practitioner",
        "id": practitioner.id,
        "identifier": [
            {"system": names::SDS_USER_ID, "value": or_unknown(&practitioner.sds_user_id)},
            {"system": names::SDS_ROLE_PROFILE_ID, "value": or_unknown(&practitioner.sds_role_profile_id)},
            {"system": format!("{issuer}/Id/user"), "value": practitioner.id},
        ],
        "name": [name],
    })
}

/// The claims of a token, if it is one of this sort: three parts, no algorithm, no signature.
///
/// # Errors
/// What is wrong with it, in words for a diagnosis.
pub fn read(token: &str) -> Result<Value, &'static str> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, ""] = parts.as_slice() else {
        return Err("a token has three parts, the last of them empty");
    };
    let decode =
        |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let header = decode(header).ok_or("the token's header is not base64url of JSON")?;
    if header.get("alg") != Some(&json!("none")) {
        return Err("the token's algorithm is not none");
    }
    decode(claims).ok_or("the token's claims are not base64url of JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::gp_connect::tests::requester;

    #[test]
    fn a_token_tells_who_asks_what_for_and_until_when() {
        let purpose = Purpose {
            interaction: Interaction::Book,
            audience: "https://gp.example/A1/STU3/1",
            issuer: "https://hub.example",
        };
        let token = token(&requester(), &purpose, Timestamp(1_795_000_000_500));
        assert!(token.ends_with('.') && token.matches('.').count() == 2);
        let claims = read(&token).unwrap();
        assert_eq!(claims["exp"], 1_795_000_300);
        assert_eq!(claims["iat"], 1_795_000_000);
        assert_eq!(claims["sub"], claims["requesting_practitioner"]["id"]);
        assert_eq!(claims["requested_scope"], "patient/*.write");
        assert_eq!(claims["reason_for_request"], "directcare");
        assert_eq!(claims["aud"], "https://gp.example/A1/STU3/1");
        assert_eq!(claims["requesting_practitioner"]["identifier"][1]["value"], "UNK");
    }

    #[test]
    fn what_is_no_such_token_is_refused() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        let claims = URL_SAFE_NO_PAD.encode("{}");
        for bad in
            ["", "a.b", "a.b.", "a.b.c", &format!("{header}.{claims}."), &format!("{claims}.{claims}.x")]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
