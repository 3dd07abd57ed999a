//! The hub's own accounts: they need no WAN. A value, commands, and what was tried; each gives a new value.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

use super::{
    federated::{FEDERATED_PREFIX, Federated},
    lock_out::LockOut,
    role::Role,
    secret::SecretHash,
};

/// A hub's staff, with room to spare; the file of so many is read and written in one piece.
pub const ACCOUNTS_MAX: usize = 1000;
/// A display name has so many characters at most: it stands in the header of every page.
pub const NAME_CHARACTERS_MAX: usize = 80;
/// So many wrong PINs in a row, and only the password opens: a PIN is short, so it may be guessed at once only.
pub const PIN_ATTEMPTS_MAX: u8 = 5;
/// So long a password that somebody else chose opens: a weekend. Longer it would lie about in messages.
pub const ONE_TIME_LIFE: Duration = Duration::from_secs(72 * 60 * 60);

/// A user's id: 2 to 32 of `a-z`, `0-9` and `-`, starting with a letter or a digit.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (2..=32).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(is_fit);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidUserId) }
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidUserId;

    fn try_from(text: String) -> Result<Self, InvalidUserId> {
        text.parse()
    }
}

impl From<UserId> for String {
    fn from(user: UserId) -> Self {
        user.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no user's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a user's id is 2 to 32 of a-z, 0-9 and -, and does not start with -")]
pub struct InvalidUserId;

/// One person's account.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Account {
    pub(super) name: String,
    pub(super) roles: BTreeSet<Role>,
    /// None if an identity provider vouches for them.
    pub(super) password: Option<SecretHash>,
    pub(super) pin: Option<SecretHash>,
    pub(super) disabled: bool,
    pub(super) must_change: bool,
    pub(super) lock_out: LockOut,
    pub(super) pins_wrong: u8,
    pub(super) added: Timestamp,
    pub(super) password_set: Timestamp,
    /// Whose word it is that they are who they are; none for a local account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) federated: Option<Federated>,
}

impl Account {
    /// The person's name, as pages show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they may do; at least one.
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// Whether they may not sign in until an administrator says so.
    pub fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// Whether the password is one that somebody else chose, good for nothing but choosing another.
    pub fn must_change(&self) -> bool {
        self.must_change
    }

    /// Until when wrong attempts have locked the account, if they have.
    pub fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock_out.until(now)
    }

    /// Whether there is a PIN that opens now.
    pub fn takes_pin(&self) -> bool {
        self.pin.is_some() && self.pins_wrong < PIN_ATTEMPTS_MAX && !self.must_change
    }

    /// Whether a PIN is set, even if only the password opens now.
    pub fn has_pin(&self) -> bool {
        self.pin.is_some()
    }

    /// What an identity provider said of them last; none for a local account.
    pub fn federated(&self) -> Option<&Federated> {
        self.federated.as_ref()
    }

    /// Whether the password is one that somebody else chose, too long ago to open anything.
    pub fn is_one_time_over(&self, now: Timestamp) -> bool {
        self.must_change && ONE_TIME_LIFE <= now.since(self.password_set)
    }

    /// When the account was added.
    pub fn added(&self) -> Timestamp {
        self.added
    }

    /// When the password was set last.
    pub fn password_set(&self) -> Timestamp {
        self.password_set
    }

    fn hash(&self, proof: Proof) -> Option<&SecretHash> {
        match proof {
            Proof::Password => self.password.as_ref(),
            Proof::Pin => self.pin.as_ref(),
        }
    }
}

/// With what someone proves who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// The password.
    Password,
    /// The PIN, within a session that a password opened.
    Pin,
}

/// What is done to accounts.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new account.
    Add {
        /// Whose.
        user: UserId,
        /// The person's name.
        name: String,
        /// What they may do.
        roles: BTreeSet<Role>,
        /// Their password.
        password: SecretHash,
        /// Whether they must choose another at first.
        must_change: bool,
    },
    /// Keep someone out.
    Disable(UserId),
    /// Let someone in again, with a clean sheet.
    Enable(UserId),
    /// End a lock-out.
    Unlock(UserId),
    /// Change what someone may do.
    SetRoles(UserId, BTreeSet<Role>),
    /// Change someone's password; this ends a lock-out.
    SetPassword {
        /// Whose.
        user: UserId,
        /// The new one.
        password: SecretHash,
        /// Whether they must choose another at first.
        must_change: bool,
    },
    /// Set or remove someone's PIN.
    SetPin(UserId, Option<SecretHash>),
}

/// Why a command changes nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The id is taken.
    #[error("there is a user {0} already")]
    Exists(UserId),
    /// Nobody has the id.
    #[error("there is no user {0}")]
    Unknown(UserId),
    /// Without a role nobody can do anything.
    #[error("a user has at least one role")]
    NoRole,
    /// The name is empty, too long, or holds control characters.
    #[error("a name has 1 to {NAME_CHARACTERS_MAX} characters, and no control characters")]
    Name,
    /// Such ids are made of what an identity provider says.
    #[error("ids that begin with {FEDERATED_PREFIX} are for people whom an identity provider knows")]
    Reserved,
    /// What the identity provider says is the identity provider's to change.
    #[error("the identity provider says who {0} is and what they may do: ask there, or disable them here")]
    Federated(UserId),
    /// The limit of accounts is reached.
    #[error("there are {ACCOUNTS_MAX} users, which is the limit")]
    Full,
}

/// What someone tried, after it was compared with the hash.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// As whom.
    pub user: &'a UserId,
    /// With what.
    pub proof: Proof,
    /// What it was compared with.
    pub against: &'a SecretHash,
    /// Whether it matched.
    pub matched: bool,
}

/// What comes of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is them.
    Right,
    /// It is not; `locks` if this was one time too many.
    Wrong {
        /// Whether the account, or its PIN, is locked from now on.
        locks: bool,
    },
    /// Wrong attempts have locked the account; whether this one was right is not said.
    Locked {
        /// Until then.
        until: Timestamp,
    },
    /// There is no PIN that opens now: only the password does.
    NoPin,
    /// An administrator keeps them out.
    Disabled,
    /// The password was for one time and is older than [`ONE_TIME_LIFE`].
    Over,
    /// Nobody has that id, or what was compared with is not the account's any more.
    Unknown,
}

/// All accounts of a hub.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Accounts {
    pub(super) users: BTreeMap<UserId, Account>,
}

impl Accounts {
    /// Everybody, by id.
    pub fn all(&self) -> impl Iterator<Item = (&UserId, &Account)> {
        self.users.iter()
    }

    /// Someone's account.
    pub fn get(&self, user: &UserId) -> Option<&Account> {
        self.users.get(user)
    }

    /// What a secret must be compared with before [`Accounts::tried`].
    pub fn challenge(&self, user: &UserId, proof: Proof) -> Option<&SecretHash> {
        self.get(user)?.hash(proof)
    }

    /// After a command.
    ///
    /// # Errors
    /// It makes no sense; nothing is changed.
    pub fn after(&self, command: Command, now: Timestamp) -> Result<Self, Refusal> {
        match command {
            Command::Add { user, name, roles, password, must_change } => {
                self.with_added(user, &name, roles, password, must_change, now)
            }
            Command::Disable(user) => self.with(user, |account| account.disabled = true),
            Command::Enable(user) => self.with(user, |account| {
                account.disabled = false;
                account.forgive();
            }),
            Command::Unlock(user) => self.with(user, Account::forgive),
            Command::SetRoles(_, roles) if roles.is_empty() => Err(Refusal::NoRole),
            Command::SetRoles(user, roles) => self.with_local(user, |account| account.roles = roles),
            Command::SetPassword { user, password, must_change } => self.with_local(user, |account| {
                account.password = Some(password);
                account.password_set = now;
                account.must_change = must_change;
                account.forgive();
            }),
            Command::SetPin(user, pin) => self.with(user, |account| {
                account.pin = pin;
                account.pins_wrong = 0;
            }),
        }
    }

    /// After an attempt; none if it changes nothing.
    pub fn tried(&self, attempt: Attempt<'_>, now: Timestamp) -> (Verdict, Option<Self>) {
        let Attempt { user, proof, against, matched } = attempt;
        let Some(account) = self.users.get(user) else { return (Verdict::Unknown, None) };
        if account.hash(proof) != Some(against) {
            return (Verdict::Unknown, None);
        }
        if let Some(until) = account.locked_until(now) {
            return (Verdict::Locked { until }, None);
        }
        if proof == Proof::Pin && !account.takes_pin() {
            return (Verdict::NoPin, None);
        }
        if account.disabled {
            return (Verdict::Disabled, None);
        }
        if account.is_one_time_over(now) {
            return (Verdict::Over, None);
        }
        if account.federated.as_ref().is_some_and(|federated| !federated.is_current(now)) {
            return (Verdict::NoPin, None);
        }
        let mut account = account.clone();
        let verdict = account.judge(proof, matched, now);
        let changed = self.users.get(user) != Some(&account);
        (verdict, changed.then(|| self.with_account(user.clone(), account)))
    }

    fn with_added(
        &self,
        user: UserId,
        name: &str,
        roles: BTreeSet<Role>,
        password: SecretHash,
        must_change: bool,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let name = name.trim().to_owned();
        if self.users.contains_key(&user) {
            return Err(Refusal::Exists(user));
        }
        if ACCOUNTS_MAX <= self.users.len() {
            return Err(Refusal::Full);
        }
        if user.as_str().starts_with(FEDERATED_PREFIX) {
            return Err(Refusal::Reserved);
        }
        if roles.is_empty() {
            return Err(Refusal::NoRole);
        }
        if !(1..=NAME_CHARACTERS_MAX).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Refusal::Name);
        }
        let account = Account {
            name,
            roles,
            password: Some(password),
            pin: None,
            disabled: false,
            must_change,
            lock_out: LockOut::default(),
            pins_wrong: 0,
            added: now,
            password_set: now,
            federated: None,
        };
        Ok(self.with_account(user, account))
    }

    fn with(&self, user: UserId, change: impl FnOnce(&mut Account)) -> Result<Self, Refusal> {
        let Some(mut account) = self.users.get(&user).cloned() else { return Err(Refusal::Unknown(user)) };
        change(&mut account);
        Ok(self.with_account(user, account))
    }

    fn with_local(&self, user: UserId, change: impl FnOnce(&mut Account)) -> Result<Self, Refusal> {
        match self.get(&user) {
            Some(account) if account.federated.is_some() => Err(Refusal::Federated(user)),
            _ => self.with(user, change),
        }
    }

    pub(super) fn with_account(&self, user: UserId, account: Account) -> Self {
        let mut users = self.users.clone();
        users.insert(user, account);
        Self { users }
    }
}

impl Account {
    fn forgive(&mut self) {
        self.lock_out = LockOut::default();
        self.pins_wrong = 0;
    }

    fn judge(&mut self, proof: Proof, matched: bool, now: Timestamp) -> Verdict {
        match (proof, matched) {
            (Proof::Password, true) => {
                self.forgive();
                Verdict::Right
            }
            (Proof::Pin, true) => {
                self.pins_wrong = 0;
                Verdict::Right
            }
            (Proof::Password, false) => {
                self.lock_out = std::mem::take(&mut self.lock_out).wrong(now);
                Verdict::Wrong { locks: self.locked_until(now).is_some() }
            }
            (Proof::Pin, false) => {
                self.pins_wrong = self.pins_wrong.saturating_add(1);
                Verdict::Wrong { locks: !self.takes_pin() }
            }
        }
    }
}

#[cfg(test)]
mod tests;
