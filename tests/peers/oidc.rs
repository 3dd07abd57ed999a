//! OpenID Connect: a provider over Authlib, which checks who the hub is and signs what the hub must believe.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hyper::{Request, header};
use polygate::{
    access::{
        Role,
        oidc::{Agreement, Mapping, client::Credential},
    },
    flow::sign_in::{ProviderError, ProviderSettings, Return, SignIn},
    sys::{
        clock::SystemClock,
        http::{HttpClient, HttpLimits, HttpUrl},
        sim_disk::SimulatedDisk,
    },
};
use serde_json::{Value, json};

use crate::support::{
    Directory, peers,
    program::{Program, lasting_port},
};

const REQUIREMENT: &str = "oidc-provider-mock==0.3.4";
const REDIRECT: &str = "http://127.0.0.1:8080/sign-in/callback";

/// The provider, with one person, for clients that have registered.
struct Provider {
    issuer: String,
    http: HttpClient,
    _program: Program,
    _directory: Directory,
}

impl Provider {
    fn start() -> Option<Self> {
        let python = peers::python(&[REQUIREMENT])?;
        let (port, directory) = (lasting_port(), Directory::new());
        let person = json!({"sub": "1234", "name": "Joy Okafor", "groups": ["desk"]}).to_string();
        let (python, number) = (python.display().to_string(), port.to_string());
        let arguments = [
            "-B",
            "-m",
            "oidc_provider_mock",
            "--port",
            &number,
            "--require-registration",
            "true",
            "--require-nonce",
            "true",
            "--user-claims",
            &person,
        ];
        let program = Program::start(Path::new(&python), &arguments, &directory.path().join("provider.log"));
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let issuer = format!("http://127.0.0.1:{port}");
        let http = HttpClient::new(HttpUrl::parse(&issuer).unwrap(), None, HttpLimits::default());
        Some(Self { issuer, http, _program: program, _directory: directory })
    }

    /// Registers a hub; gives its id and secret.
    async fn register(&self) -> (String, String) {
        let form = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic"});
        let request = Request::post("/oauth2/clients").header(header::CONTENT_TYPE, "application/json");
        let answer = self.http.send(request.body(form.to_string().into()).unwrap()).await.unwrap();
        let registered: Value = serde_json::from_slice(answer.body()).unwrap();
        let text = |name: &str| registered[name].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// What a person does there; gives the query with which their browser is sent back.
    async fn sign_in(&self, address: &str) -> Vec<(String, String)> {
        let request = Request::post(address.strip_prefix(&self.issuer).unwrap())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from_static(b"sub=1234"));
        let answer = self.http.send(request.unwrap()).await.unwrap();
        let back = answer.headers()[header::LOCATION].to_str().unwrap();
        let query = back.strip_prefix(REDIRECT).unwrap().strip_prefix('?').unwrap();
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn hub(&self, client: String, secret: String, user_info: bool) -> Arc<SignIn> {
        let disk = Arc::new(SimulatedDisk::default());
        let hub = SignIn::open(disk, Arc::new(SystemClock), Path::new("state")).unwrap();
        hub.attach_provider(ProviderSettings {
            label: "Example sign-in".to_owned(),
            contact: "whoever looks after roles".to_owned(),
            agreement: Agreement {
                issuer: self.issuer.clone(),
                client_id: client,
                redirect: REDIRECT.to_owned(),
                scopes: vec!["openid".to_owned(), "profile".to_owned()],
                acr: Vec::new(),
                user_info,
                mapping: Mapping {
                    claim: "groups".to_owned(),
                    organisations: [].into(),
                    roles: [("desk".to_owned(), Role::Reception)].into(),
                },
            },
            credential: Credential::Secret(secret),
            tls: None,
        });
        hub
    }
}

/// There and back; gives the session's token and the code.
async fn arrive(provider: &Provider, hub: &Arc<SignIn>) -> Result<(String, String), ProviderError> {
    let departure = hub.depart("/", None).await?;
    let back = provider.sign_in(&departure.address).await;
    let field =
        |name: &str| back.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()).unwrap();
    let (state, code) = (field("state"), field("code"));
    let answer = Return { state: &state, browser: &departure.browser, code: Some(&code), issuer: None };
    Ok((hub.arrive(answer).await?.token.as_str().to_owned(), code))
}

#[tokio::test]
async fn a_provider_of_others_signs_people_in() {
    let Some(provider) = Provider::start() else { return };
    for user_info in [false, true] {
        let (client, secret) = provider.register().await;
        let hub = provider.hub(client, secret, user_info);
        let (token, code) = arrive(&provider, &hub).await.unwrap();
        let visitor = hub.visit(&token).unwrap();
        assert_eq!((visitor.name.as_str(), visitor.roles), ("Joy Okafor", vec![Role::Reception]));
        assert!(hub.provider_sign_out().unwrap().starts_with(&provider.issuer));
        // Its code is good once.
        let departure = hub.depart("/", None).await.unwrap();
        let state = departure.address.split("state=").nth(1).unwrap().split('&').next().unwrap();
        let again = Return { state, browser: &departure.browser, code: Some(&code), issuer: None };
        assert!(matches!(hub.arrive(again).await, Err(ProviderError::NotSignedIn)));
    }
}

#[tokio::test]
async fn a_provider_of_others_does_not_take_a_wrong_secret() {
    let Some(provider) = Provider::start() else { return };
    let (client, _) = provider.register().await;
    let hub = provider.hub(client, "guess".to_owned(), false);
    assert!(matches!(arrive(&provider, &hub).await, Err(ProviderError::NotSignedIn)));
}
