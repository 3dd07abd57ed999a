//! The identity provider, as far as this hub knows it: what it says of itself, its keys, and whether it can be reached.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::{
    access::oidc::{
        Agreement, Distrust,
        client::{ANSWER_BYTES_MAX, Credential},
        keys::{KEYS_BYTES_MAX, Keys},
        provider::{DOCUMENT_BYTES_MAX, Provider},
    },
    domain::time::Timestamp,
    sys::{
        clock::Clock,
        disk::{Disk, read_file, replace_file},
        http::HttpLimits,
        http_once::{Answer, Question, ask},
        tls::ClientTls,
    },
};

use super::ProviderError;

/// Whoever waits at a sign-in page waits no longer than this for a connection, and as long again for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What the provider says of itself, and its keys, are gone by for so long.
const FRESH_FOR: Duration = Duration::from_secs(60 * 60);
/// Whoever looks at the sign-in page makes the hub look whether the provider is there, so often at most.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A page waits so long for that, and then shows what was known.
const PAGE_WAITS: Duration = Duration::from_secs(2);

/// What the hub is told of its identity provider at its start.
#[derive(Debug)]
pub struct ProviderSettings {
    /// What people call it.
    pub label: String,
    /// Whom to ask for a role, in words.
    pub contact: String,
    /// What was agreed.
    pub agreement: Agreement,
    /// How the hub proves who it is.
    pub credential: Credential,
    /// Whom it trusts; none for a provider on this machine.
    pub tls: Option<ClientTls>,
}

/// Whether the provider can be reached, as of the last attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// It answered, or nobody has asked yet.
    Reached,
    /// It does not answer.
    Unreachable {
        /// The first attempt that failed.
        since: Timestamp,
    },
}

/// The provider.
pub(super) struct IdentityProvider {
    pub settings: ProviderSettings,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    known: Mutex<Known>,
    /// Held by whoever asks: nobody else need ask at the same time.
    asking: Arc<tokio::sync::Mutex<()>>,
}

struct Known {
    provider: Option<Arc<Provider>>,
    keys: Option<(Arc<Keys>, Instant)>,
    reach: Reach,
    /// When it was asked last, and when it answered last.
    asked: Option<Instant>,
    answered: Option<Instant>,
}

impl IdentityProvider {
    /// Begins with what the provider said of itself before this program was started. Blocks.
    pub fn open(
        settings: ProviderSettings,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        directory: &Path,
    ) -> Arc<Self> {
        let path = directory.join("identity-provider.json");
        let kept = read_file(disk.as_ref(), &path, DOCUMENT_BYTES_MAX as u64).ok();
        let provider = kept.and_then(|kept| Provider::read(&kept, &settings.agreement.issuer).ok());
        let known = Known {
            provider: provider.map(Arc::new),
            keys: None,
            reach: Reach::Reached,
            asked: None,
            answered: None,
        };
        Arc::new(Self { settings, disk, clock, path, known: Mutex::new(known), asking: Arc::default() })
    }

    /// What is known of it, however old.
    pub fn known(&self) -> Option<Arc<Provider>> {
        self.lock().provider.clone()
    }

    /// Whether it is there, for a page: looks if nobody has for a while, and does not wait long.
    pub async fn look(self: &Arc<Self>) -> Reach {
        let is_recent = self.lock().asked.is_some_and(|asked| asked.elapsed() < LOOK_EVERY);
        if !is_recent && let Ok(turn) = Arc::clone(&self.asking).try_lock_owned() {
            let own = Arc::clone(self);
            let looking = tokio::spawn(async move {
                let looked = own.discover().await;
                drop(turn);
                looked.map(drop)
            });
            // What it finds is kept; if it takes longer, the next page shows it.
            if timeout(PAGE_WAITS, looking).await.is_err() {
                tracing::debug!("the identity provider is slow");
            }
        }
        self.lock().reach
    }

    /// What it says of itself, asked anew if that is old or it did not answer last time.
    pub async fn current(&self) -> Result<Arc<Provider>, ProviderError> {
        if let Some(provider) = self.fresh() {
            return Ok(provider);
        }
        let _turn = self.asking.lock().await;
        match self.fresh() {
            Some(provider) => Ok(provider),
            None => self.discover().await,
        }
    }

    /// Its keys; asked for anew if those at hand are old, or `newer` ones are wanted because one is missing.
    pub async fn keys(&self, provider: &Provider, newer: bool) -> Result<Arc<Keys>, ProviderError> {
        let kept = self.lock().keys.clone().filter(|(_, at)| !newer && at.elapsed() < FRESH_FOR);
        if let Some((keys, _)) = kept {
            return Ok(keys);
        }
        let answer = self.ask(&provider.jwks_uri, KEYS_BYTES_MAX, Question::default()).await?;
        let keys = Arc::new(Keys::read(&good(&answer)?.body)?);
        self.lock().keys = Some((Arc::clone(&keys), Instant::now()));
        Ok(keys)
    }

    /// Asks one of its endpoints.
    pub async fn ask_endpoint(&self, address: &str, question: Question) -> Result<Answer, ProviderError> {
        self.ask(address, ANSWER_BYTES_MAX, question).await
    }

    fn fresh(&self) -> Option<Arc<Provider>> {
        let known = self.lock();
        let fresh = known.answered.is_some_and(|at| at.elapsed() < FRESH_FOR);
        known.provider.clone().filter(|_| fresh && known.reach == Reach::Reached)
    }

    async fn discover(&self) -> Result<Arc<Provider>, ProviderError> {
        let address = Provider::document_address(&self.settings.agreement.issuer);
        let answer = self.ask(&address, DOCUMENT_BYTES_MAX, Question::default()).await?;
        let read = good(&answer)
            .and_then(|answer| Ok(Provider::read(&answer.body, &self.settings.agreement.issuer)?));
        let provider = Arc::new(read.inspect_err(|_| self.fails())?);
        self.lock().provider = Some(Arc::clone(&provider));
        self.lock().answered = Some(Instant::now());
        let (disk, path) = (Arc::clone(&self.disk), self.path.clone());
        let written = tokio::task::spawn_blocking(move || {
            let same = read_file(disk.as_ref(), &path, DOCUMENT_BYTES_MAX as u64)
                .is_ok_and(|kept| kept == answer.body);
            if same { Ok(()) } else { replace_file(disk.as_ref(), &path, &answer.body) }
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "what the identity provider says of itself could not be kept");
        }
        Ok(provider)
    }

    async fn ask(
        &self,
        address: &str,
        bytes_max: usize,
        question: Question,
    ) -> Result<Answer, ProviderError> {
        let limits = HttpLimits { connect: ANSWER_WITHIN, answer: ANSWER_WITHIN, body_bytes_max: bytes_max };
        let asked = ask(address, self.settings.tls.clone(), limits, question).await;
        self.lock().asked = Some(Instant::now());
        match asked {
            Ok(answer) if answer.status < 500 => {
                self.lock().reach = Reach::Reached;
                Ok(answer)
            }
            Ok(answer) => {
                tracing::warn!(status = answer.status, "the identity provider does not work");
                self.fails();
                Err(ProviderError::Unreachable)
            }
            Err(error) => {
                tracing::warn!(%error, "the identity provider cannot be reached");
                self.fails();
                Err(ProviderError::Unreachable)
            }
        }
    }

    fn fails(&self) {
        let now = self.clock.now();
        let mut known = self.lock();
        if known.reach == Reach::Reached {
            known.reach = Reach::Unreachable { since: now };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityProvider").field("label", &self.settings.label).finish_non_exhaustive()
    }
}

/// A document, if that is what was answered.
pub(super) fn good(answer: &Answer) -> Result<&Answer, ProviderError> {
    match answer.status {
        200 => Ok(answer),
        _ => Err(ProviderError::Distrusted(Distrust::Malformed("what the identity provider answered"))),
    }
}
