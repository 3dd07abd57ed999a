//! Signing in with the organisation's identity provider: there and back, and what comes of it.
//!
//! Nothing that it gave is kept but who someone is and what they may do: tokens are dropped when they are read.

use std::{
    path::Path,
    sync::{Arc, MutexGuard, PoisonError},
};

use crate::{
    access::{
        federated::Person,
        oidc::{
            Distrust, claims,
            client::{Tokens, authorisation_address, sign_out_address, token_request},
            id_token::{Claims, Expected, verify},
            pending::{Pending, PendingSignIns, Seeds},
            provider::Provider,
        },
        sessions::Token,
    },
    sys::http_once::Question,
};

use super::{
    NOBODY, SignIn, SignInError, fresh,
    provider::{IdentityProvider, ProviderSettings, Reach, good},
    random,
};

/// The deed in the audit trail.
const DEED: &str = "sign-in with the identity provider";

/// Why nobody is signed in by the identity provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// There is none.
    #[error("no identity provider is configured")]
    None,
    /// It does not answer, or does not work.
    #[error("the identity provider cannot be reached")]
    Unreachable,
    /// The answer is to nothing that this browser began here, or it came too late or a second time.
    #[error("this sign-in was not begun here")]
    NotBegunHere,
    /// The provider did not let them in, or they gave up, or it does not take its own code.
    #[error("the identity provider has not signed anybody in")]
    NotSignedIn,
    /// What it says is not to be believed.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// None of their roles is one of this hub's.
    #[error("this person has no role at this hub")]
    NoRole,
    /// An administrator of this hub keeps them out.
    #[error("this person is kept out of this hub")]
    Disabled,
    /// The hub itself cannot.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

/// What a page says of the provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderStatus {
    /// What people call it.
    pub label: String,
    /// Whether it can be reached.
    pub reach: Reach,
}

/// A sign-in that has begun. Not to be shown: its address is half of what ends it.
pub struct Departure {
    /// Where the browser goes.
    pub address: String,
    /// What it must bring back in a cookie.
    pub browser: String,
}

/// What a browser brings back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Return<'a> {
    /// Which sign-in it is.
    pub state: &'a str,
    /// The cookie.
    pub browser: &'a str,
    /// What is exchanged for tokens; none if the provider says why not.
    pub code: Option<&'a str>,
    /// Whose answer it says it is.
    pub issuer: Option<&'a str>,
}

/// Someone who has arrived.
#[derive(Debug)]
pub struct Arrival {
    /// The session.
    pub token: Token,
    /// Where they wanted to go.
    pub next: String,
}

impl SignIn {
    /// Tells the hub of its identity provider; only the first counts. Blocks.
    pub fn attach_provider(&self, settings: ProviderSettings) {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let (disk, clock) = (Arc::clone(&self.disk), Arc::clone(&self.clock));
        if self.provider.set(IdentityProvider::open(settings, disk, clock, directory)).is_err() {
            tracing::warn!("there is an identity provider already: another is left out");
        }
    }

    /// What the sign-in page says of the provider; none without one. Waits a little, if nobody has looked for long.
    pub async fn provider_status(&self) -> Option<ProviderStatus> {
        let provider = self.provider.get()?;
        let label = provider.settings.label.clone();
        Some(ProviderStatus { label, reach: provider.look().await })
    }

    /// What people call the provider; none without one.
    pub fn provider_label(&self) -> Option<&str> {
        self.provider.get().map(|provider| provider.settings.label.as_str())
    }

    /// Whom people ask for a role.
    pub fn provider_contact(&self) -> &str {
        self.provider.get().map_or("", |provider| &provider.settings.contact)
    }

    /// Sends someone to the provider; `before` is the token that the browser has.
    ///
    /// # Errors
    /// There is no provider, or it cannot be reached.
    pub async fn depart(&self, next: &str, before: Option<&str>) -> Result<Departure, ProviderError> {
        let provider = self.provider.get().ok_or(ProviderError::None)?;
        let document = provider.current().await?;
        let seeds = Seeds { state: random()?, browser: random()?, nonce: random()?, verifier: random()? };
        let before = before.map(str::to_owned);
        let begun = self.pending().begin(seeds, next.to_owned(), before, self.began.elapsed());
        let address = authorisation_address(&provider.settings.agreement, &document, &begun);
        Ok(Departure { address, browser: begun.browser })
    }

    /// Takes in someone who comes back from the provider: a session of their own, under a token that nobody knew before,
    /// in place of the one that the browser had.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub async fn arrive(self: &Arc<Self>, back: Return<'_>) -> Result<Arrival, ProviderError> {
        let arrived = self.arrive_unnoted(back).await;
        let outcome = match &arrived {
            Ok(_) => return arrived,
            Err(ProviderError::None | ProviderError::SignIn(_)) => "failed",
            Err(ProviderError::Unreachable) => "the provider cannot be reached",
            Err(ProviderError::NotBegunHere) => "not begun here, or too late",
            Err(ProviderError::NotSignedIn) => "refused by the provider",
            Err(ProviderError::Distrusted(distrust)) => {
                tracing::warn!(error = %distrust, "the identity provider is not believed");
                "the provider is not believed"
            }
            // Noted with whom it was.
            Err(ProviderError::NoRole | ProviderError::Disabled) => return arrived,
        };
        self.note(NOBODY, NOBODY, DEED, outcome);
        arrived
    }

    /// Where a browser goes to end the provider's own session, once its session here has ended.
    pub fn provider_sign_out(&self) -> Option<String> {
        let provider = self.provider.get()?;
        sign_out_address(&provider.settings.agreement, provider.known()?.as_ref())
    }

    async fn arrive_unnoted(self: &Arc<Self>, back: Return<'_>) -> Result<Arrival, ProviderError> {
        let provider = self.provider.get().ok_or(ProviderError::None)?;
        let pending = self.pending().take(back.state, back.browser, self.began.elapsed());
        let pending = pending.ok_or(ProviderError::NotBegunHere)?;
        let document = provider.current().await?;
        if !document.may_have_answered(back.issuer) {
            return Err(Distrust::OtherIssuer.into());
        }
        let code = back.code.ok_or(ProviderError::NotSignedIn)?;
        let claims = self.claims(provider, &document, code, &pending).await?;
        let person = self.person(provider, &claims)?;
        self.admit(person, pending).await
    }

    async fn claims(
        &self,
        provider: &IdentityProvider,
        document: &Provider,
        code: &str,
        pending: &Pending,
    ) -> Result<Claims, ProviderError> {
        let (agreement, credential) = (&provider.settings.agreement, &provider.settings.credential);
        let (proof, now) = ((code, pending.verifier.as_str()), self.clock.now());
        let request = token_request(agreement, document, credential, proof, random()?, now)?;
        let question = Question { form: Some(request.form), authorization: request.authorization };
        let answer = provider.ask_endpoint(&document.token_endpoint, question).await?;
        if answer.status != 200 {
            tracing::warn!(status = answer.status, "the identity provider gives no tokens for its code");
            return Err(ProviderError::NotSignedIn);
        }
        let tokens = Tokens::read(&answer.body)?;
        let expected = Expected {
            agreement,
            nonce: &pending.nonce,
            access_token: &tokens.access_token,
            now: self.clock.now(),
        };
        let keys = provider.keys(document, false).await?;
        let mut claims = match verify(&tokens.id_token, &keys, expected) {
            // It may have begun to sign with another key since.
            Err(Distrust::UnknownKey) => {
                verify(&tokens.id_token, provider.keys(document, true).await?.as_ref(), expected)?
            }
            verified => verified?,
        };
        if agreement.user_info {
            let more = user_info(provider, document, &tokens.access_token).await?;
            if more.get("sub") != claims.get("sub") {
                return Err(Distrust::OtherPerson.into());
            }
            // What is signed is not replaced by what is not.
            more.into_iter().for_each(|(name, value)| {
                claims.entry(name).or_insert(value);
            });
        }
        Ok(claims)
    }

    fn person(&self, provider: &IdentityProvider, claims: &Claims) -> Result<Person, ProviderError> {
        let agreement = &provider.settings.agreement;
        let subject = claims.get("sub").and_then(|subject| subject.as_str());
        let person = Person {
            issuer: agreement.issuer.clone(),
            subject: subject.ok_or(Distrust::Claim("subject"))?.to_owned(),
            name: claims::name(claims).unwrap_or_else(|| format!("{} user", provider.settings.label)),
            roles: claims::roles(claims, &agreement.mapping),
        };
        if person.roles.is_empty() {
            let user = person.user().map_err(SignInError::from)?;
            self.note(user.as_str(), user.as_str(), DEED, "no role at this hub");
            return Err(ProviderError::NoRole);
        }
        Ok(person)
    }

    async fn admit(self: &Arc<Self>, person: Person, pending: Pending) -> Result<Arrival, ProviderError> {
        let user = self.blocking(move |service| service.vouch(person)).await??;
        let is_disabled = self.accounts.load().get(&user).is_none_or(|account| account.is_disabled());
        if is_disabled {
            self.note(user.as_str(), user.as_str(), DEED, "disabled");
            return Err(ProviderError::Disabled);
        }
        self.note(user.as_str(), user.as_str(), DEED, "done");
        let (fresh, now) = (fresh()?, self.began.elapsed());
        let before = pending.before.as_deref().unwrap_or_default();
        Ok(Arrival { token: self.sessions().replace(before, user, fresh, now), next: pending.next })
    }

    /// Puts down the provider's word, durably: roles that cannot be kept are not gone by.
    fn vouch(&self, person: Person) -> Result<crate::access::UserId, SignInError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, after) = self.accounts.load().vouched(person, self.clock.now())?;
        self.save(&after).map_err(SignInError::Disk)?;
        self.accounts.store(Arc::new(after));
        Ok(user)
    }

    fn pending(&self) -> MutexGuard<'_, PendingSignIns> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn user_info(
    provider: &IdentityProvider,
    document: &Provider,
    access_token: &str,
) -> Result<Claims, ProviderError> {
    let address = document.userinfo_endpoint.as_ref().ok_or(Distrust::Lacks("user-info"))?;
    let question = Question { form: None, authorization: Some(format!("Bearer {access_token}")) };
    let answer = provider.ask_endpoint(address, question).await?;
    let malformed = || ProviderError::from(Distrust::Malformed("the user-info answer"));
    serde_json::from_slice(&good(&answer)?.body).map_err(|_| malformed())
}

#[cfg(test)]
mod tests;
