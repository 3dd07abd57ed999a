//! An identity provider on loopback that signs real tokens, and errs as it is told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, jwk::Jwk};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    access::{
        Role,
        oidc::{Agreement, Mapping, client::Credential},
    },
    domain::time::Timestamp,
    flow::sign_in::ProviderSettings,
};

const RSA: [&str; 2] = [include_str!("rsa-one.pem"), include_str!("rsa-two.pem")];
const EC: &str = include_str!("ec.pem");
/// The hub's own key at the provider.
const CLIENT_KEY: &str = EC;
/// What the hub is called there.
pub const CLIENT: &str = "hub & sons";
/// The secret, where one is agreed: it must be escaped on its way.
pub const SECRET: &str = "s:cr%t+ü";
/// Where the hub is.
pub const REDIRECT: &str = "http://127.0.0.1:8080/sign-in/callback";

/// With what it signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signer {
    /// With the first RSA key.
    Rs256,
    /// The same with PSS.
    Ps256,
    /// With another RSA key, under another name.
    Rolled,
    /// With the elliptic key.
    Es256,
    /// Not at all.
    None,
    /// With the public key as a shared secret.
    Hs256,
    /// With the second key under the first one's name.
    Stranger,
}

/// How it behaves, and what it saw.
pub struct Manner {
    /// How it signs.
    pub signer: Signer,
    /// What is put into the ID token, over what is right; null takes a claim away.
    pub claims: Value,
    /// What user-info says besides `sub`.
    pub user_info: Value,
    /// What is changed in the discovery document.
    pub document: Value,
    /// What every answer's status is, if it does not work.
    pub broken: Option<u16>,
    /// When.
    pub now: Timestamp,
    /// Addresses that were asked, in order.
    pub asked: Vec<String>,
    codes: HashMap<String, HashMap<String, String>>,
}

/// The provider; ends when it is dropped.
pub struct FakeProvider {
    manner: Arc<Mutex<Manner>>,
    issuer: String,
    task: JoinHandle<()>,
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeProvider {
    /// One that works.
    pub async fn start(now: Timestamp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let manner = Arc::new(Mutex::new(Manner {
            signer: Signer::Rs256,
            claims: json!({}),
            user_info: json!({}),
            document: json!({}),
            broken: None,
            now,
            asked: Vec::new(),
            codes: HashMap::new(),
        }));
        let (own, at) = (Arc::clone(&manner), issuer.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&own), at.clone()));
            }
        });
        Self { manner, issuer, task }
    }

    /// How it behaves.
    pub fn manner(&self) -> MutexGuard<'_, Manner> {
        self.manner.lock().unwrap()
    }

    /// Who it is.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What the hub is told of it: a key for its own, and groups that are roles.
    pub fn settings(&self) -> ProviderSettings {
        let roles = [("desk".to_owned(), Role::Reception), ("R8000".to_owned(), Role::Clinician)];
        ProviderSettings {
            label: "Example sign-in".to_owned(),
            contact: "the Registration Authority".to_owned(),
            agreement: Agreement {
                issuer: self.issuer.clone(),
                client_id: CLIENT.to_owned(),
                redirect: REDIRECT.to_owned(),
                scopes: vec!["openid".to_owned(), "profile".to_owned()],
                acr: Vec::new(),
                user_info: false,
                mapping: Mapping {
                    claim: "groups".to_owned(),
                    organisations: ["5LC01".to_owned()].into(),
                    roles: roles.into(),
                },
            },
            credential: Credential::key(CLIENT_KEY.as_bytes(), "ES256", Some("own".to_owned())).unwrap(),
            tls: None,
        }
    }

    /// What a browser does there: the person signs in, and comes back with these fields of a query.
    pub fn sign_in(&self, address: &str) -> HashMap<String, String> {
        let (endpoint, query) = address.split_once('?').unwrap();
        assert_eq!(endpoint, format!("{}/authorize", self.issuer));
        let asked = fields(query);
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], value);
        }
        let state = asked["state"].clone();
        let code = format!("code of {state}");
        self.manner().codes.insert(code.clone(), asked);
        HashMap::from([("code".to_owned(), code), ("state".to_owned(), state)])
    }
}

async fn serve(mut stream: TcpStream, manner: Arc<Mutex<Manner>>, issuer: String) {
    let mut received = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let Ok(count) = stream.read(&mut buffer).await else { return };
        if count == 0 {
            return;
        }
        received.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8(received.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
        if length <= body.len() {
            break (head.to_owned(), body.to_owned());
        }
    };
    let (status, answer) = manner.lock().unwrap().answer(&issuer, &head, &body);
    let answer = answer.to_string();
    let reply = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
    stream.write_all(reply.as_bytes()).await.unwrap_or_default();
}

impl Manner {
    fn answer(&mut self, issuer: &str, head: &str, body: &str) -> (u16, Value) {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.push(path.clone());
        if let Some(status) = self.broken {
            return (status, json!({}));
        }
        match path.as_str() {
            "/.well-known/openid-configuration" => (200, self.document(issuer)),
            "/keys" => (200, self.keys()),
            "/token" => self.tokens(issuer, head, &fields(body)),
            "/user" if header(head, "authorization") == Some("Bearer access") => {
                let mut info = json!({"sub": "1234"});
                merge(&mut info, &self.user_info);
                (200, info)
            }
            _ => (404, json!({})),
        }
    }

    fn document(&self, issuer: &str) -> Value {
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "userinfo_endpoint": format!("{issuer}/user"),
            "end_session_endpoint": format!("{issuer}/end"),
        });
        merge(&mut document, &self.document);
        document
    }

    fn keys(&self) -> Value {
        let published = |key: &EncodingKey, algorithm, id: &str| {
            let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
            merge(&mut jwk, &json!({"kid": id, "use": "sig", "alg": null}));
            jwk
        };
        let rsa = |which: usize| EncodingKey::from_rsa_pem(RSA[which].as_bytes()).unwrap();
        let elliptic = EncodingKey::from_ec_pem(EC.as_bytes()).unwrap();
        let mut keys = vec![
            json!({"kty": "OKP", "crv": "X25519", "kid": "strange", "x": "AA"}),
            published(&rsa(0), Algorithm::RS256, "rsa"),
            published(&elliptic, Algorithm::ES256, "ec"),
        ];
        if self.signer == Signer::Rolled {
            keys = vec![published(&rsa(1), Algorithm::RS256, "rolled")];
        }
        json!({ "keys": keys })
    }

    /// As a provider must: the code once, only with its verifier, only to its client.
    fn tokens(&mut self, issuer: &str, head: &str, form: &HashMap<String, String>) -> (u16, Value) {
        let refused = (400, json!({"error": "invalid_grant"}));
        if !self.knows_client(issuer, head, form) {
            return (401, json!({"error": "invalid_client"}));
        }
        let Some(asked) = form.get("code").and_then(|code| self.codes.remove(code)) else { return refused };
        let verifier = form.get("code_verifier").map_or("", String::as_str);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        if challenge != asked["code_challenge"] || form["redirect_uri"] != REDIRECT {
            return refused;
        }
        let now = self.now.unix_seconds();
        let mut claims = json!({
            "iss": issuer, "sub": "1234", "aud": CLIENT, "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], "name": "Joy Okafor", "groups": ["desk"],
            "at_hash": URL_SAFE_NO_PAD.encode(&Sha256::digest(b"access")[..16]),
        });
        merge(&mut claims, &self.claims);
        (200, json!({"token_type": "Bearer", "access_token": "access", "id_token": self.sign(&claims)}))
    }

    fn knows_client(&self, issuer: &str, head: &str, form: &HashMap<String, String>) -> bool {
        let basic = "Basic aHViJTIwJTI2JTIwc29uczpzJTNBY3IlMjV0JTJCJUMzJUJD";
        if let Some(header) = header(head, "authorization") {
            return header == basic;
        }
        if let Some(secret) = form.get("client_secret") {
            return secret == SECRET && form["client_id"] == CLIENT;
        }
        let own = Jwk::from_encoding_key(
            &EncodingKey::from_ec_pem(CLIENT_KEY.as_bytes()).unwrap(),
            Algorithm::ES256,
        );
        let mut validation = Validation::new(Algorithm::ES256);
        (validation.validate_exp, validation.leeway) = (false, 0);
        validation.set_audience(&[format!("{issuer}/token")]);
        validation.set_issuer(&[CLIENT]);
        let key = DecodingKey::from_jwk(&own.unwrap()).unwrap();
        let decoded = form.get("client_assertion").map(|word| decode::<Value>(word, &key, &validation));
        let Some(Ok(word)) = decoded else { return false };
        let (now, ends) = (self.now.unix_seconds(), word.claims["exp"].as_u64().unwrap());
        word.claims["sub"] == CLIENT
            && word.header.kid.as_deref() == Some("own")
            && now < ends
            && ends <= now + 300
    }

    fn sign(&self, claims: &Value) -> String {
        let rsa = |which: usize| EncodingKey::from_rsa_pem(RSA[which].as_bytes()).unwrap();
        let header = |algorithm, id: &str| Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
        let (header, key) = match self.signer {
            Signer::Rs256 => (header(Algorithm::RS256, "rsa"), rsa(0)),
            Signer::Ps256 => (header(Algorithm::PS256, "rsa"), rsa(0)),
            Signer::Rolled => (header(Algorithm::RS256, "rolled"), rsa(1)),
            Signer::Stranger => (header(Algorithm::RS256, "rsa"), rsa(1)),
            Signer::Es256 => {
                (header(Algorithm::ES256, "ec"), EncodingKey::from_ec_pem(EC.as_bytes()).unwrap())
            }
            Signer::Hs256 => {
                let public = self.keys()["keys"][1]["n"].as_str().unwrap().to_owned();
                (header(Algorithm::HS256, "rsa"), EncodingKey::from_secret(public.as_bytes()))
            }
            Signer::None => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                return format!("{}.{}.", part(&json!({"alg": "none", "kid": "rsa"})), part(claims));
            }
        };
        encode(&header, claims, &key).unwrap()
    }
}

/// Puts what is in `over` into an object; null takes away.
fn merge(object: &mut Value, over: &Value) {
    let object = object.as_object_mut().unwrap();
    for (name, value) in over.as_object().unwrap() {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The fields of a form or of a query.
pub fn fields(text: &str) -> HashMap<String, String> {
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            if *first == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}
