//! A practice's system over mutual TLS, as through the Spine: who shows no certificate is not let in.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

use std::{path::Path, sync::Arc};

use polygate::{
    flow::ask::GpSystem,
    sys::{
        clock::SystemClock,
        entropy::Entropy,
        tls::{ClientTls, OldestProtocol, ServerFiles, ServerTls, SpineFiles},
    },
    systems::{
        gp_connect::{GpConnect, Options, RecordPart},
        simulator::{
            gp_connect::{Options as ProviderOptions, Provider},
            people::Person,
        },
        vision,
    },
};
use support::practice;
use tokio::{net::TcpListener, sync::watch};

fn provider() -> Arc<Provider> {
    let options = ProviderOptions {
        profile: &vision::PROFILE,
        practice: "F86001".to_owned(),
        name: "Grove Park Surgery".to_owned(),
        asid: "200000000116".to_owned(),
        first_person: 0,
        people: 20,
    };
    Arc::new(Provider::new(options, Arc::new(SystemClock)))
}

fn hub(port: u16, provider: &Provider, tls: &ClientTls) -> GpConnect {
    let options = Options {
        name: "vision-grove-park".to_owned(),
        profile: &vision::PROFILE,
        practice: "F86001".to_owned(),
        address: format!("https://localhost:{port}{}", provider.base()),
        records_address: None,
        proxy: None,
        asid: "200000000115".to_owned(),
        practice_asid: "200000000116".to_owned(),
        issuer: "https://hub.example".to_owned(),
        parts: RecordPart::ALL.to_vec(),
        appointments_with_record: true,
        answer_within: Options::ANSWER_WITHIN,
    };
    GpConnect::new(options, Some(tls), Arc::new(SystemClock), Entropy::from_system()).unwrap()
}

fn client(directory: &Path, certificate: bool) -> ClientTls {
    let pair = (directory.join("soho.pem"), directory.join("soho.key"));
    let files = SpineFiles {
        ca: Some(directory.join("ca.pem")),
        certificate_and_key: certificate.then_some(pair),
        revocation_list: None,
    };
    ClientTls::load_for_spine(&files, Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
async fn a_practice_answers_over_mutual_tls_and_nobody_without_a_certificate() {
    let directory = support::Directory::new();
    support::issue_all(directory.path(), &["soho"]);
    let files = ServerFiles {
        certificate: directory.path().join("broker.pem"),
        key: directory.path().join("broker.key"),
        client_ca: Some(directory.path().join("ca.pem")),
        revocation_list: None,
    };
    let tls = ServerTls::load(&files, OldestProtocol::Tls12, Arc::new(SystemClock)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (_stop, stopped) = watch::channel(false);
    let provider = provider();
    tokio::spawn(Arc::clone(&provider).serve(listener, Some(tls), stopped));

    let (who, number) = (practice::requester(), Person::of(8).nhs_number);
    let known = hub(port, &provider, &client(directory.path(), true));
    let record = known.record(&who, number).await.unwrap();
    assert!(10 < record.items.len() && record.faults.is_empty(), "{:?}", record.faults);

    let unknown = hub(port, &provider, &client(directory.path(), false));
    let refusal = unknown.record(&who, number).await.unwrap_err();
    assert!(["NOT_CONNECTED", "NO_ANSWER"].contains(&refusal.code), "{refusal}");
}
