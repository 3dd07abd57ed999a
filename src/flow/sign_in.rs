//! Signing in at the hub: accounts on disk, sessions in memory, and who did what handed to the audit trail.
//!
//! Works without the WAN. Hashing takes tens of milliseconds and 19 MiB, so few are computed at once and the rest
//! wait for a bounded time. Sessions end with the program: people sign in again after a restart.

#[cfg(test)]
pub mod fake;
mod federated;
mod manage;
mod own;
mod provider;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};

use crate::{
    access::{
        accounts::{Accounts, Attempt, Command, Proof, Refusal, UserId, Verdict},
        oidc::pending::PendingSignIns,
        role::Role,
        secret::{Cost, HashFailed, Memory, Secret, SecretHash, Unfit, UnfitPin},
        sessions::{Fresh, KeptForm, Seen, Sessions, Token},
    },
    codec::cbor,
    domain::time::Timestamp,
    sys::{
        clock::Clock,
        disk::{Disk, read_file, replace_file},
        entropy,
    },
};

pub use federated::{Arrival, Departure, ProviderError, ProviderStatus, Return};
pub use manage::{NewUser, UserRow};
pub use provider::{ProviderSettings, Reach};

use provider::IdentityProvider;

/// A thousand accounts take about half of it.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Secrets that are hashed at once: 38 MiB, which are kept, and half the processors of a small machine.
const HASHING_MAX: usize = 2;
/// People who may wait for that; a shift that starts together is not more.
const WAITING_MAX: usize = 64;
/// Longer than this nobody waits at a sign-in page.
const PATIENCE: Duration = Duration::from_secs(8);
/// A refusal takes so long at least, whatever was wrong: an attempt at an account that exists is written to the
/// disk, and strangers must not learn from the time it takes who works here.
const REFUSAL_TAKES: Duration = Duration::from_millis(400);
/// Whoever is not known by an id: what was typed there may have been a password.
const NOBODY: &str = "(unknown)";

/// What is noted about every deed with accounts and sessions. No secrets, no patient data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditNote {
    /// When.
    pub at: Timestamp,
    /// Whose account.
    pub user: String,
    /// Who did it: the user's id, or an operator such as `uid 1000`.
    pub by: String,
    /// The name of whoever did it at that time; empty if they have no account.
    pub name: String,
    /// Their roles at that time, comma-separated.
    pub roles: String,
    /// What was done or tried.
    pub deed: &'static str,
    /// What came of it.
    pub outcome: &'static str,
}

/// Where such notes are kept.
pub trait AuditSink: Send + Sync {
    /// Takes a note. Must not block for longer than a write takes.
    fn note(&self, note: AuditNote);
}

/// Why nobody is signed in, or nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong, unknown, disabled or locked: which of them is not said to whoever asks.
    #[error("the user name or the password is not right, or the account is locked")]
    Refused(Denied),
    /// There is no session that could be gone on with.
    #[error("the session is over")]
    NoSession,
    /// Too many sign in at once.
    #[error("too many people are signing in at once")]
    Busy,
    /// The new password will not do.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The new PIN will not do.
    #[error(transparent)]
    UnfitPin(#[from] UnfitPin),
    /// The new password is the old one.
    #[error("the new password is the one you have")]
    Same,
    /// Someone without a password here sets a PIN too long after the identity provider vouched for them.
    #[error("sign in again first: a PIN is set within 10 minutes of that")]
    NotFresh,
    /// The command makes no sense.
    #[error(transparent)]
    Command(#[from] Refusal),
    /// The accounts cannot be read at the start: the disk fails, or the file is damaged, which no crash does.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The accounts could not be written; nothing is changed.
    #[error("the accounts could not be kept")]
    Disk(#[source] io::Error),
    /// The kernel gives no random numbers, or the program is broken.
    #[error("signing in does not work: {0}")]
    Broken(&'static str),
}

/// Why a proof was not taken; shown only to people whose session says who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// It was wrong; `last` if it was one time too many.
    Wrong {
        /// Whether only waiting, or the password, helps now.
        last: bool,
    },
    /// Wrong attempts have locked the account.
    Locked {
        /// Until then.
        until: Timestamp,
    },
    /// Only the password opens.
    NoPin,
    /// Nobody who may sign in.
    Unknown,
}

/// Someone at a page, as their session and their account say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Visitor {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// What their session's forms carry.
    pub csrf: String,
    /// Whether nothing may be shown until they prove again who they are.
    pub locked: bool,
    /// Whether they must choose another password before anything else.
    pub must_change: bool,
    /// Whether a PIN opens the locked screen.
    pub takes_pin: bool,
    /// Whether they have set a PIN.
    pub has_pin: bool,
    /// Whether an identity provider vouches for them: they have no password here.
    pub federated: bool,
}

/// The hub's accounts and sessions. The portal and the admin socket share it.
pub struct SignIn {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    cost: Cost,
    /// What a secret is compared with when there is nobody of that name: it takes as long as with somebody.
    decoy: SecretHash,
    /// What hashing has taken and will take again; at most [`HASHING_MAX`] are kept.
    memories: Mutex<Vec<Memory>>,
    accounts: ArcSwap<Accounts>,
    /// Held by whoever changes the accounts, until they are on disk.
    writing: Mutex<()>,
    sessions: Mutex<Sessions>,
    began: Instant,
    waiting: Arc<Semaphore>,
    hashing: Arc<Semaphore>,
    audit: OnceLock<Arc<dyn AuditSink>>,
    provider: OnceLock<Arc<IdentityProvider>>,
    pending: Mutex<PendingSignIns>,
}

impl SignIn {
    /// Reads the accounts in `{state}/access`; there are none at first. Blocks.
    ///
    /// # Errors
    /// [`SignInError::Unreadable`]: the caller says so and goes on without.
    pub fn open(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, state: &Path) -> Result<Arc<Self>, SignInError> {
        Self::open_at_cost(disk, clock, state, Cost::STANDARD)
    }

    /// The same with another cost of hashing: tests cannot wait for the standard one.
    ///
    /// # Errors
    /// Those of [`SignIn::open`].
    pub(crate) fn open_at_cost(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        state: &Path,
        cost: Cost,
    ) -> Result<Arc<Self>, SignInError> {
        let directory = state.join("access");
        let path = directory.join("accounts.cbor");
        let accounts = match disk.create_directory(&directory).and_then(|()| read(disk.as_ref(), &path)) {
            Ok(accounts) => accounts,
            Err(source) => return Err(SignInError::Unreadable { path, source }),
        };
        Ok(Arc::new(Self {
            decoy: SecretHash::of(&Secret::new(""), salt()?, cost, &mut Memory::default())?,
            memories: Mutex::default(),
            disk,
            clock,
            path,
            cost,
            accounts: ArcSwap::from_pointee(accounts),
            writing: Mutex::default(),
            sessions: Mutex::default(),
            began: Instant::now(),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            hashing: Arc::new(Semaphore::new(HASHING_MAX)),
            audit: OnceLock::new(),
            provider: OnceLock::new(),
            pending: Mutex::default(),
        }))
    }

    /// Hands every later note to `sink` as well as to the log; only the first sink counts.
    pub fn attach_audit(&self, sink: Arc<dyn AuditSink>) {
        if self.audit.set(sink).is_err() {
            tracing::warn!("sign-in has an audit trail already: another is left out");
        }
    }

    /// Now, by the clock that stamps.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who a browser's token stands for; this counts as use of the session.
    pub fn visit(&self, token: &str) -> Option<Visitor> {
        let seen = self.sessions().visit(token, self.began.elapsed())?;
        self.visitor(seen)
    }

    /// The same for a page that refreshes itself, which is no use of the session.
    pub fn glance(&self, token: &str) -> Option<Visitor> {
        let seen = self.sessions().glance(token, self.began.elapsed())?;
        self.visitor(seen)
    }

    fn visitor(&self, seen: Seen) -> Option<Visitor> {
        let accounts = self.accounts.load();
        let account = accounts.get(&seen.user).filter(|account| !account.is_disabled())?;
        let now = self.clock.now();
        if account.federated().is_some_and(|word| !word.is_current(now)) {
            return None;
        }
        Some(Visitor {
            name: account.name().to_owned(),
            roles: account.roles().iter().copied().collect(),
            csrf: seen.csrf,
            locked: seen.locked,
            must_change: account.must_change(),
            takes_pin: account.takes_pin(),
            has_pin: account.has_pin(),
            federated: account.federated().is_some(),
            user: seen.user,
        })
    }

    /// Signs someone in with a password; `before` is the token that the browser had, which is worth nothing from
    /// now on.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(
        self: &Arc<Self>,
        user: &str,
        password: Secret,
        before: Option<&str>,
    ) -> Result<Token, SignInError> {
        let user = self.prove("sign-in", user, password, Proof::Password).await?;
        let (fresh, now) = (fresh()?, self.began.elapsed());
        let mut sessions = self.sessions();
        if let Some(before) = before {
            sessions.close(before);
        }
        Ok(sessions.open(user, fresh, now))
    }

    /// Goes on with a locked session, with its user's PIN or password.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn unlock(
        self: &Arc<Self>,
        token: &str,
        secret: Secret,
        proof: Proof,
    ) -> Result<Token, SignInError> {
        let visitor = self.visit(token).ok_or(SignInError::NoSession)?;
        let user = self.prove("unlock", visitor.user.as_str(), secret, proof).await?;
        match proof {
            Proof::Pin => self.renew(token, user),
            Proof::Password => Ok(self.sessions().replace(token, user, fresh()?, self.began.elapsed())),
        }
    }

    /// Puts another person in front of a shared screen, with their PIN.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn switch(
        self: &Arc<Self>,
        token: &str,
        user: &str,
        pin: Secret,
    ) -> Result<Token, SignInError> {
        self.visit(token).ok_or(SignInError::NoSession)?;
        let user = self.prove("switch", user, pin, Proof::Pin).await?;
        self.renew(token, user)
    }

    /// Locks a session, as if nobody had touched it for long.
    pub fn lock(&self, token: &str) {
        self.sessions().lock(token);
    }

    /// Ends a session.
    pub fn sign_out(&self, token: &str) {
        let visitor = self.visit(token);
        self.sessions().close(token);
        if let Some(visitor) = visitor {
            self.note(visitor.user.as_str(), visitor.user.as_str(), "sign-out", "done");
        }
    }

    /// Keeps a form that came while its session was locked.
    pub fn keep_form(&self, token: &str, form: KeptForm) {
        self.sessions().keep(token, form);
    }

    /// Hands out the form that was kept, once.
    pub fn take_form(&self, token: &str) -> Option<KeptForm> {
        self.sessions().take_kept(token)
    }

    /// Whether a form is kept for this session.
    pub fn has_form(&self, token: &str) -> bool {
        self.sessions().has_kept(token)
    }

    fn renew(&self, token: &str, user: UserId) -> Result<Token, SignInError> {
        let fresh = fresh()?;
        self.sessions().renew(token, user, fresh, self.began.elapsed()).ok_or(SignInError::NoSession)
    }

    /// Compares a secret with an account's, and counts the attempt.
    async fn prove(
        self: &Arc<Self>,
        deed: &'static str,
        user: &str,
        secret: Secret,
        proof: Proof,
    ) -> Result<UserId, SignInError> {
        let began = Instant::now();
        let user: Option<UserId> = user.trim().to_ascii_lowercase().parse().ok();
        let proved = self.hashing(move |service| service.prove_blocking(deed, user, &secret, proof)).await?;
        if proved.is_err() {
            sleep_until(began + REFUSAL_TAKES).await;
        }
        proved
    }

    fn prove_blocking(
        &self,
        deed: &'static str,
        user: Option<UserId>,
        secret: &Secret,
        proof: Proof,
    ) -> Result<UserId, SignInError> {
        let challenged = user.and_then(|user| {
            let hash = self.accounts.load().challenge(&user, proof).cloned()?;
            Some((user, hash))
        });
        let Some((user, against)) = challenged else {
            self.with_memory(|memory| self.decoy.matches(secret, memory));
            self.note(NOBODY, NOBODY, deed, "unknown");
            return Err(SignInError::Refused(Denied::Unknown));
        };
        let matched = self.with_memory(|memory| against.matches(secret, memory));
        let verdict = self.count(Attempt { user: &user, proof, against: &against, matched });
        let (outcome, answer) = match verdict {
            Verdict::Right => ("done", Ok(())),
            Verdict::Wrong { locks: false } => ("wrong", Err(Denied::Wrong { last: false })),
            Verdict::Wrong { locks: true } => ("wrong, and locked", Err(Denied::Wrong { last: true })),
            Verdict::Locked { until } => ("locked", Err(Denied::Locked { until })),
            Verdict::NoPin => ("no PIN", Err(Denied::NoPin)),
            Verdict::Disabled => ("disabled", Err(Denied::Unknown)),
            Verdict::Over => ("one-time password too old", Err(Denied::Unknown)),
            Verdict::Unknown => ("changed meanwhile", Err(Denied::Unknown)),
        };
        self.note(user.as_str(), user.as_str(), deed, outcome);
        answer.map(|()| user).map_err(SignInError::Refused)
    }

    /// Counts an attempt. What cannot be written counts all the same until the program ends: a full disk must
    /// neither keep the staff out nor let guessing in.
    fn count(&self, attempt: Attempt<'_>) -> Verdict {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (verdict, changed) = self.accounts.load().tried(attempt, self.clock.now());
        if let Some(changed) = changed {
            if let Err(error) = self.save(&changed) {
                tracing::error!(%error, "an attempt to sign in is counted, and could not be written");
            }
            self.accounts.store(Arc::new(changed));
        }
        verdict
    }

    /// Does a command, durably; `by` is who asked.
    fn command(&self, command: Command, user: &str, deed: &'static str, by: &str) -> Result<(), SignInError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let after = self.accounts.load().after(command, self.clock.now())?;
        if let Err(error) = self.save(&after) {
            self.note(user, by, deed, "could not be written");
            return Err(SignInError::Disk(error));
        }
        self.accounts.store(Arc::new(after));
        self.note(user, by, deed, "done");
        Ok(())
    }

    fn save(&self, accounts: &Accounts) -> io::Result<()> {
        let content = cbor::encode(accounts).map_err(|_| io::ErrorKind::InvalidData)?;
        if FILE_BYTES_MAX < content.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        replace_file(self.disk.as_ref(), &self.path, &content)
    }

    async fn hash(self: &Arc<Self>, secret: Secret) -> Result<SecretHash, SignInError> {
        self.hashing(move |service| service.hash_blocking(&secret)).await?
    }

    fn hash_blocking(&self, secret: &Secret) -> Result<SecretHash, SignInError> {
        let salt = salt()?;
        Ok(self.with_memory(|memory| SecretHash::of(secret, salt, self.cost, memory))?)
    }

    fn with_memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        let memories = || self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = memories().pop().unwrap_or_default();
        let done = work(&mut memory);
        let mut memories = memories();
        if memories.len() < HASHING_MAX {
            memories.push(memory);
        }
        done
    }

    /// Does what hashes, when it is its turn.
    async fn hashing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, SignInError> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| SignInError::Busy)?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.hashing).acquire_owned()).await;
        let turn = turn.map_err(|_| SignInError::Busy)?.map_err(|_| SignInError::Busy)?;
        // The thread hands its turn on, not the caller: who hangs up meanwhile has not ended the work.
        let held = (place, turn);
        let work = move |service: &Self| {
            let done = work(service);
            drop(held);
            done
        };
        self.blocking(work).await
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, SignInError> {
        let service = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&service)).await;
        done.map_err(|_| SignInError::Broken("a thread failed"))
    }

    fn note(&self, user: &str, by: &str, deed: &'static str, outcome: &'static str) {
        tracing::info!(user, by, deed, outcome, "access");
        if let Some(audit) = self.audit.get() {
            let (at, accounts) = (self.clock.now(), self.accounts.load());
            let account = by.parse().ok().and_then(|by: UserId| accounts.get(&by));
            let roles: Vec<&str> =
                account.iter().flat_map(|account| account.roles()).map(|role| role.name()).collect();
            audit.note(AuditNote {
                at,
                user: user.to_owned(),
                by: by.to_owned(),
                name: account.map(|account| account.name().to_owned()).unwrap_or_default(),
                roles: roles.join(","),
                deed,
                outcome,
            });
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("path", &self.path).finish_non_exhaustive()
    }
}

impl From<HashFailed> for SignInError {
    fn from(HashFailed: HashFailed) -> Self {
        Self::Broken("hashing failed")
    }
}

/// The accounts in a file; none if there is no file.
fn read(disk: &dyn Disk, path: &Path) -> io::Result<Accounts> {
    match read_file(disk, path, FILE_BYTES_MAX as u64) {
        Ok(bytes) => cbor::decode(&bytes, FILE_BYTES_MAX)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Accounts::default()),
        Err(error) => Err(error),
    }
}

fn random() -> Result<[u8; 32], SignInError> {
    entropy::secret().map_err(|_| SignInError::Broken("the kernel gives no random numbers"))
}

fn fresh() -> Result<Fresh, SignInError> {
    Ok(Fresh { token: random()?, csrf: random()? })
}

fn salt() -> Result<[u8; 16], SignInError> {
    random()?.first_chunk().copied().ok_or(SignInError::Broken("no salt"))
}
