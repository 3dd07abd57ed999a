//! Accounts of people whom an identity provider vouches for: made and renewed by its word at each sign-in.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::time::Timestamp;

use super::{
    accounts::{ACCOUNTS_MAX, Account, Accounts, Refusal, UserId},
    lock_out::LockOut,
    role::Role,
    sessions::LIFE_MAX,
};

/// What the ids of such accounts begin with; no local account's does.
pub const FEDERATED_PREFIX: &str = "oidc-";
/// So long the provider's word on someone's roles is gone by, and no session outlasts it: whoever leaves the
/// organisation is out within a shift, even if the provider cannot be asked.
pub const WORD_LIFE: Duration = LIFE_MAX;
/// A clock that was set back by more than this ends the provider's word: how old it is, nobody knows then.
const CLOCK_BACK_MAX: Duration = Duration::from_secs(5 * 60);
/// The longest issuer and subject kept, in bytes; a thousand of both fit into the file of accounts.
const WHO_BYTES_MAX: usize = 255;

/// The provider's word.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Federated {
    issuer: String,
    subject: String,
    signed_in: Timestamp,
}

impl Federated {
    /// When the provider was asked last.
    pub fn signed_in(&self) -> Timestamp {
        self.signed_in
    }

    /// Whether its word may still be gone by.
    pub fn is_current(&self, now: Timestamp) -> bool {
        now.since(self.signed_in) < WORD_LIFE && self.signed_in.since(now) <= CLOCK_BACK_MAX
    }
}

/// Someone, as a provider says that they are.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who says so.
    pub issuer: String,
    /// What they are called there, for ever.
    pub subject: String,
    /// Their name, as pages show it.
    pub name: String,
    /// What they may do here; at least one.
    pub roles: BTreeSet<Role>,
}

impl Person {
    /// Their id at this hub: says nothing of who they are, and is the same each time.
    ///
    /// # Errors
    /// Issuer or subject is longer than any.
    pub fn user(&self) -> Result<UserId, Refusal> {
        if self.issuer.len() > WHO_BYTES_MAX || self.subject.len() > WHO_BYTES_MAX {
            return Err(Refusal::Name);
        }
        // The length keeps the two apart: no other issuer and subject make the same text.
        let who = format!("{}:{}{}", self.issuer.len(), self.issuer, self.subject);
        let mut id = FEDERATED_PREFIX.to_owned();
        for byte in Sha256::digest(who.as_bytes()).iter().take(13) {
            // Writing to a string does not fail.
            write!(id, "{byte:02x}").unwrap_or_default();
        }
        id.parse().map_err(|_| Refusal::Name)
    }
}

impl Accounts {
    /// After a provider has vouched for someone: their account is made, or what it says is made new.
    ///
    /// # Errors
    /// They have no role, no name, or there is no room.
    pub fn vouched(&self, person: Person, now: Timestamp) -> Result<(UserId, Self), Refusal> {
        let user = person.user()?;
        if person.roles.is_empty() {
            return Err(Refusal::NoRole);
        }
        let Person { issuer, subject, name, roles } = person;
        let word = Federated { issuer, subject, signed_in: now };
        let account = match self.get(&user) {
            Some(known) => Account { name, roles, federated: Some(word), ..known.clone() },
            None => Account {
                name,
                roles,
                password: None,
                pin: None,
                disabled: false,
                must_change: false,
                lock_out: LockOut::default(),
                pins_wrong: 0,
                added: now,
                password_set: now,
                federated: Some(word),
            },
        };
        let roomy = if self.get(&user).is_some() { self.clone() } else { self.with_room(now)? };
        Ok((user.clone(), roomy.with_account(user, account)))
    }

    /// Forgets whoever has not been here for longest, if there is no room: the provider knows them still. Whoever is
    /// kept out stays known.
    fn with_room(&self, now: Timestamp) -> Result<Self, Refusal> {
        if self.users.len() < ACCOUNTS_MAX {
            return Ok(self.clone());
        }
        let leaving = |(user, account): (&UserId, &Account)| {
            let word =
                account.federated.as_ref().filter(|word| !account.disabled && !word.is_current(now))?;
            Some((word.signed_in, user.clone()))
        };
        let (_, user) = self.users.iter().filter_map(leaving).min().ok_or(Refusal::Full)?;
        let mut roomy = self.clone();
        roomy.users.remove(&user);
        Ok(roomy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::accounts::Command;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn person(issuer: &str, subject: &str, roles: &[Role]) -> Person {
        Person {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            name: "Joy Okafor".to_owned(),
            roles: roles.iter().copied().collect(),
        }
    }

    fn hours(count: u64) -> Duration {
        Duration::from_secs(3600 * count)
    }

    #[test]
    fn an_id_is_the_persons_alone_and_says_nothing() {
        let id = |issuer, subject| person(issuer, subject, &[]).user().unwrap();
        assert_eq!(id("https://a", "1"), id("https://a", "1"));
        assert_ne!(id("https://a", "1"), id("https://a", "2"));
        assert_ne!(id("https://a1", "2"), id("https://a", "12"));
        assert_eq!(id("https://a", "1").as_str().len(), 31);
    }

    #[test]
    fn roles_are_those_of_the_last_sign_in() {
        let who = |roles| person("https://a", "1", roles);
        let (user, accounts) = Accounts::default().vouched(who(&[Role::Reception]), NOW).unwrap();
        let accounts = accounts.after(Command::Disable(user.clone()), NOW).unwrap();
        let later = NOW.plus(hours(1));
        let (same, accounts) = accounts.vouched(who(&[Role::Clinician]), later).unwrap();
        let account = accounts.get(&user).unwrap();
        assert_eq!((same, account.roles().iter().copied().collect()), (user.clone(), vec![Role::Clinician]));
        assert!(account.is_disabled(), "the hub's own word stands");
        assert_eq!(accounts.vouched(who(&[]), later).unwrap_err(), Refusal::NoRole);
        let roles = Command::SetRoles(user.clone(), [Role::Administrator].into());
        assert_eq!(accounts.after(roles, later), Err(Refusal::Federated(user)));
    }

    #[test]
    fn a_word_is_good_for_a_shift_and_not_by_a_clock_set_back() {
        let (user, accounts) =
            Accounts::default().vouched(person("https://a", "1", &[Role::Analyst]), NOW).unwrap();
        let word = accounts.get(&user).unwrap().federated().unwrap();
        assert!(word.is_current(NOW.plus(hours(11))) && !word.is_current(NOW.plus(hours(12))));
        assert!(word.is_current(Timestamp(NOW.0 - 60_000)) && !word.is_current(Timestamp(NOW.0 - 600_000)));
    }

    #[test]
    fn room_is_made_of_whoever_has_been_away_longest() {
        let mut accounts = Accounts::default();
        for number in 0..ACCOUNTS_MAX {
            let at = NOW.plus(Duration::from_secs(u64::try_from(number).unwrap()));
            accounts =
                accounts.vouched(person("https://a", &number.to_string(), &[Role::Analyst]), at).unwrap().1;
        }
        let newcomer = || person("https://a", "new", &[Role::Analyst]);
        assert_eq!(accounts.vouched(newcomer(), NOW.plus(hours(2))).unwrap_err(), Refusal::Full);
        let after = accounts.vouched(newcomer(), NOW.plus(hours(20))).unwrap().1;
        assert_eq!(after.all().count(), ACCOUNTS_MAX);
        assert!(after.get(&person("https://a", "0", &[]).user().unwrap()).is_none());
        assert!(after.get(&person("https://a", "1", &[]).user().unwrap()).is_some());
    }
}
