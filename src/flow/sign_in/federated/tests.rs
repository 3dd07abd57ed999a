//! There and back with a provider on loopback that signs real tokens, and every way in which it must not work.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    access::{Role, Secret, oidc::client::Credential},
    flow::sign_in::fake::{
        Bench, PIN, bench, over,
        provider::{FakeProvider, SECRET, Signer, fields},
    },
};

/// A hub and its provider.
struct Pair {
    bench: Bench,
    provider: FakeProvider,
}

async fn pair() -> Pair {
    pair_with(|_| ()).await
}

async fn pair_with(change: impl FnOnce(&mut ProviderSettings)) -> Pair {
    let bench = bench();
    let provider = FakeProvider::start(bench.sign_in.now()).await;
    let mut settings = provider.settings();
    change(&mut settings);
    bench.sign_in.attach_provider(settings);
    Pair { bench, provider }
}

impl Pair {
    async fn depart(&self) -> Departure {
        self.bench.sign_in.depart("/book?day=1", None).await.unwrap()
    }

    async fn come_back(
        &self,
        departure: &Departure,
        back: &HashMap<String, String>,
    ) -> Result<Arrival, ProviderError> {
        let field = |name: &str| back.get(name).map(String::as_str);
        let state = field("state").unwrap_or_default();
        let back = Return { state, browser: &departure.browser, code: field("code"), issuer: field("iss") };
        self.bench.sign_in.arrive(back).await
    }

    /// The whole way of someone.
    async fn there_and_back(&self) -> Result<Arrival, ProviderError> {
        let departure = self.depart().await;
        let back = self.provider.sign_in(&departure.address);
        self.come_back(&departure, &back).await
    }

    async fn distrust(&self) -> Distrust {
        match self.there_and_back().await.unwrap_err() {
            ProviderError::Distrusted(distrust) => distrust,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn who_the_provider_vouches_for_is_signed_in_with_the_roles_it_says() {
    let pair = pair().await;
    let visit = |token: &Token| pair.bench.sign_in.visit(token.as_str()).unwrap();
    let arrival = pair.there_and_back().await.unwrap();
    assert_eq!(arrival.next, "/book?day=1");
    let first = visit(&arrival.token);
    assert_eq!((first.name.as_str(), first.roles), ("Joy Okafor", vec![Role::Reception]));
    assert!(first.federated && !first.must_change && first.user.as_str().starts_with("oidc-"));
    let noted = format!("{} sign-in with the identity provider: done", first.user);
    assert_eq!(pair.bench.notes.take(), [noted]);
    pair.provider.manner().claims = json!({"groups": ["desk", "S8000:G8000:R8000"]});
    let second = visit(&pair.there_and_back().await.unwrap().token);
    assert_eq!((second.user, second.roles), (first.user, vec![Role::Reception, Role::Clinician]));
}

#[tokio::test]
async fn every_algorithm_that_is_taken_and_every_way_to_say_who_the_hub_is() {
    let secret =
        |settings: &mut ProviderSettings| settings.credential = Credential::Secret(SECRET.to_owned());
    for (posted, signer) in [(false, Signer::Ps256), (true, Signer::Es256)] {
        let pair = pair_with(secret).await;
        pair.provider.manner().signer = signer;
        if posted {
            let document = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
            pair.provider.manner().document = document;
        }
        assert!(pair.there_and_back().await.is_ok(), "{signer:?}");
    }
    let wrong = pair_with(|settings| settings.credential = Credential::Secret("guess".to_owned())).await;
    assert!(matches!(wrong.there_and_back().await, Err(ProviderError::NotSignedIn)));
}

#[tokio::test]
async fn a_token_that_is_not_this_sign_ins_is_not_believed() {
    let pair = pair().await;
    let now = pair.bench.sign_in.now().unix_seconds();
    for (claims, distrust) in [
        (json!({"nonce": "another"}), Distrust::Claim("nonce")),
        (json!({"nonce": null}), Distrust::Claim("nonce")),
        (json!({"aud": "another"}), Distrust::Claim("audience")),
        (json!({"aud": ["another", "third"]}), Distrust::Claim("audience")),
        (json!({"aud": ["hub & sons", "another"]}), Distrust::Claim("audience")),
        (json!({"azp": "another"}), Distrust::Claim("audience")),
        (json!({"aud": null}), Distrust::Claim("audience")),
        (json!({"iss": "https://evil.example"}), Distrust::Claim("issuer")),
        (json!({"exp": now - 60}), Distrust::Moment),
        (json!({"exp": null}), Distrust::Claim("expiry")),
        (json!({"iat": now + 90}), Distrust::Moment),
        (json!({"iat": now - 700}), Distrust::Moment),
        (json!({"nbf": now + 90}), Distrust::Moment),
        (json!({"at_hash": "AAAA"}), Distrust::Claim("at_hash")),
        (json!({"at_hash": 7}), Distrust::Claim("at_hash")),
        (json!({"sub": null}), Distrust::Claim("subject")),
        (json!({"sub": "x".repeat(256)}), Distrust::Claim("subject")),
    ] {
        pair.provider.manner().claims = claims.clone();
        assert_eq!(pair.distrust().await, distrust, "{claims}");
    }
    for good in [
        json!({"exp": now - 59}),
        json!({"iat": now + 60}),
        json!({"at_hash": null}),
        json!({"aud": ["hub & sons", "x"], "azp": "hub & sons"}),
    ] {
        pair.provider.manner().claims = good.clone();
        assert!(pair.there_and_back().await.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn a_token_that_its_key_has_not_signed_is_not_believed() {
    for (signer, distrust) in [
        (Signer::None, Distrust::Algorithm),
        (Signer::Hs256, Distrust::Algorithm),
        (Signer::Stranger, Distrust::Signature),
    ] {
        let pair = pair().await;
        pair.provider.manner().signer = signer;
        assert_eq!(pair.distrust().await, distrust, "{signer:?}");
        let noted = ["(unknown) sign-in with the identity provider: the provider is not believed"];
        assert_eq!(pair.bench.notes.take(), noted);
    }
}

#[tokio::test]
async fn keys_are_kept_and_asked_for_again_when_one_is_missing() {
    let pair = pair().await;
    let times = || pair.provider.manner().asked.iter().filter(|path| *path == "/keys").count();
    pair.there_and_back().await.unwrap();
    pair.there_and_back().await.unwrap();
    assert_eq!(times(), 1);
    pair.provider.manner().signer = Signer::Rolled;
    pair.there_and_back().await.unwrap();
    pair.there_and_back().await.unwrap();
    assert_eq!(times(), 2);
    // The first key is published no longer: what it signs is not believed, and is asked after once a sign-in.
    pair.provider.manner().signer = Signer::Rs256;
    pair.there_and_back().await.unwrap();
    assert_eq!(times(), 3);
}

#[tokio::test]
async fn an_answer_counts_once_in_the_browser_that_began_and_in_time() {
    let pair = pair().await;
    let (departure, stranger) = (pair.depart().await, pair.depart().await);
    let back = pair.provider.sign_in(&departure.address);
    for (browser, state) in [
        (stranger.browser.as_str(), back["state"].as_str()),
        (&departure.browser, "another"),
        ("", &back["state"]),
        (&departure.browser, ""),
    ] {
        let answer = Return { state, browser, code: Some(&back["code"]), issuer: None };
        let arrived = pair.bench.sign_in.arrive(answer).await;
        assert!(matches!(arrived, Err(ProviderError::NotBegunHere)), "{arrived:?}");
    }
    let arrival = pair.come_back(&departure, &back).await.unwrap();
    let again = pair.come_back(&departure, &back).await;
    assert!(matches!(again, Err(ProviderError::NotBegunHere)));
    assert!(pair.bench.sign_in.visit(arrival.token.as_str()).is_some());
    // The code in another sign-in: the provider has given tokens for it already.
    let mut replayed = pair.provider.sign_in(&stranger.address);
    replayed.insert("code".to_owned(), back["code"].clone());
    assert!(matches!(pair.come_back(&stranger, &replayed).await, Err(ProviderError::NotSignedIn)));
}

#[tokio::test]
async fn somebody_elses_code_is_worth_nothing() {
    let pair = pair().await;
    let (victim, attacker) = (pair.depart().await, pair.depart().await);
    let stolen = pair.provider.sign_in(&victim.address);
    let mut back = pair.provider.sign_in(&attacker.address);
    back.insert("code".to_owned(), stolen["code"].clone());
    assert!(matches!(pair.come_back(&attacker, &back).await, Err(ProviderError::NotSignedIn)), "PKCE");
}

#[tokio::test]
async fn another_issuers_answer_and_a_refusal_sign_nobody_in() {
    let pair = pair().await;
    let departure = pair.depart().await;
    let mut back = pair.provider.sign_in(&departure.address);
    back.insert("iss".to_owned(), "https://evil.example".to_owned());
    let mixed = pair.come_back(&departure, &back).await.unwrap_err();
    assert!(matches!(mixed, ProviderError::Distrusted(Distrust::OtherIssuer)));
    let departure = pair.depart().await;
    let mut back = pair.provider.sign_in(&departure.address);
    back.remove("code");
    assert!(matches!(pair.come_back(&departure, &back).await, Err(ProviderError::NotSignedIn)));
}

#[tokio::test]
async fn nobody_without_a_role_here_or_kept_out_here_gets_in() {
    let pair = pair().await;
    pair.provider.manner().claims = json!({"groups": ["finance"]});
    assert!(matches!(pair.there_and_back().await, Err(ProviderError::NoRole)));
    assert!(pair.bench.sign_in.users().is_empty(), "nobody is made an account for nothing");
    pair.provider.manner().claims = json!({});
    let arrival = pair.there_and_back().await.unwrap();
    let user = pair.bench.sign_in.visit(arrival.token.as_str()).unwrap().user;
    pair.bench.sign_in.disable_user(user.clone(), "uid 7").unwrap();
    assert!(pair.bench.sign_in.visit(arrival.token.as_str()).is_none());
    assert!(matches!(pair.there_and_back().await, Err(ProviderError::Disabled)));
    let notes = pair.bench.notes.take();
    assert_eq!(notes.last().unwrap(), &format!("{user} sign-in with the identity provider: disabled"));
    assert!(matches!(pair.bench.sign_in.reset_password(user, None, "uid 7"), Err(SignInError::Command(_))));
}

#[tokio::test]
async fn a_level_of_assurance_that_was_asked_for_is_insisted_on() {
    let pair =
        pair_with(|settings| settings.agreement.acr = vec!["AAL3".to_owned(), "AAL2".to_owned()]).await;
    let departure = pair.depart().await;
    assert_eq!(fields(departure.address.split_once('?').unwrap().1)["acr_values"], "AAL3 AAL2");
    for (acr, taken) in [(json!("AAL2"), true), (json!("AAL1"), false), (Value::Null, false)] {
        pair.provider.manner().claims = json!({ "acr": acr });
        assert_eq!(pair.there_and_back().await.is_ok(), taken, "{acr}");
    }
}

#[tokio::test]
async fn user_info_adds_claims_of_the_same_person_and_replaces_none() {
    let pair = pair_with(|settings| settings.agreement.user_info = true).await;
    pair.provider.manner().claims = json!({"groups": null});
    pair.provider.manner().user_info = json!({"groups": ["desk"], "name": "Somebody Else"});
    let arrival = pair.there_and_back().await.unwrap();
    assert_eq!(pair.bench.sign_in.visit(arrival.token.as_str()).unwrap().name, "Joy Okafor");
    pair.provider.manner().user_info = json!({"sub": "9999", "groups": ["desk"]});
    assert_eq!(pair.distrust().await, Distrust::OtherPerson);
}

#[tokio::test]
async fn while_the_provider_is_down_sessions_go_on_and_local_accounts_sign_in() {
    let pair = pair().await;
    pair.bench.add("ann", "Ann Lee", &[Role::Reception]);
    let before = pair.there_and_back().await.unwrap();
    let departure = pair.depart().await;
    let back = pair.provider.sign_in(&departure.address);
    pair.provider.manner().broken = Some(503);
    assert!(matches!(pair.come_back(&departure, &back).await, Err(ProviderError::Unreachable)));
    assert!(matches!(pair.bench.sign_in.depart("/", None).await, Err(ProviderError::Unreachable)));
    let since = pair.bench.sign_in.now();
    let status = pair.bench.sign_in.provider_status().await.unwrap();
    assert_eq!(
        status,
        ProviderStatus { label: "Example sign-in".to_owned(), reach: Reach::Unreachable { since } }
    );
    assert!(pair.bench.sign_in.visit(before.token.as_str()).is_some());
    pair.bench.enter("ann").await;
    pair.provider.manner().broken = None;
    assert!(pair.there_and_back().await.is_ok());
    assert_eq!(pair.bench.sign_in.provider_status().await.unwrap().reach, Reach::Reached);
}

#[tokio::test]
async fn after_a_restart_while_it_is_down_the_hub_knows_what_it_knew() {
    let Pair { bench, provider } = pair().await;
    assert_eq!(bench.sign_in.provider_sign_out(), None, "nothing is known before anybody asked");
    bench.sign_in.depart("/", None).await.unwrap();
    let after = over(bench.disk.clone());
    after.sign_in.attach_provider(provider.settings());
    provider.manner().broken = Some(502);
    let out = after.sign_in.provider_sign_out().unwrap();
    assert!(out.starts_with(&format!("{}/end?client_id=hub%20%26%20sons&", provider.issuer())), "{out}");
    assert!(out.ends_with("8080%2Fsign-in"), "{out}");
    assert!(matches!(after.sign_in.provider_status().await.unwrap().reach, Reach::Unreachable { .. }));
    assert!(matches!(after.sign_in.depart("/", None).await, Err(ProviderError::Unreachable)));
}

#[tokio::test]
async fn roles_are_over_after_a_shift_whatever_opened_the_screen() {
    let pair = pair().await;
    let (sign_in, clock) = (&pair.bench.sign_in, &pair.bench.clock);
    pair.bench.add("ann", "Ann Lee", &[Role::Reception]);
    let arrival = pair.there_and_back().await.unwrap();
    let token = arrival.token.as_str();
    let user = sign_in.visit(token).unwrap().user;
    sign_in.change_pin(token, Secret::new(""), Some(Secret::new(PIN))).await.unwrap();
    let shared = pair.bench.enter("ann").await;
    let switched = sign_in.switch(&shared, user.as_str(), Secret::new(PIN)).await.unwrap();
    assert_eq!(sign_in.visit(switched.as_str()).unwrap().user, user);
    clock.set(sign_in.now().plus(Duration::from_secs(12 * 3600)));
    assert!(sign_in.visit(token).is_none() && sign_in.visit(switched.as_str()).is_none());
    let shared = pair.bench.enter("ann").await;
    assert!(sign_in.switch(&shared, user.as_str(), Secret::new(PIN)).await.is_err());
}

#[tokio::test]
async fn the_session_that_the_browser_had_ends_and_keeps_the_same_persons_form() {
    let pair = pair().await;
    let sign_in = &pair.bench.sign_in;
    let first = pair.there_and_back().await.unwrap();
    sign_in.lock(first.token.as_str());
    let form = crate::access::sessions::KeptForm { path: "/book".to_owned(), body: b"a=b".to_vec() };
    sign_in.keep_form(first.token.as_str(), form);
    let departure = sign_in.depart("/", Some(first.token.as_str())).await.unwrap();
    let back = pair.provider.sign_in(&departure.address);
    let second = pair.come_back(&departure, &back).await.unwrap();
    assert_ne!(first.token, second.token);
    assert!(sign_in.visit(first.token.as_str()).is_none());
    assert!(sign_in.take_form(second.token.as_str()).is_some());
}
