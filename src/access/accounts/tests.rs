//! What commands and attempts make of accounts.

use super::*;
use crate::access::{
    lock_out,
    secret::{Cost, Memory, Secret},
};

const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn hash(text: &str) -> SecretHash {
    SecretHash::of(
        &Secret::new(text),
        [7; 16],
        Cost { memory_kib: 8, passes: 1, lanes: 1 },
        &mut Memory::default(),
    )
    .unwrap()
}

fn joy() -> UserId {
    "joy".parse().unwrap()
}

fn add(user: &str, name: &str, roles: &[Role]) -> Command {
    Command::Add {
        user: user.parse().unwrap(),
        name: name.to_owned(),
        roles: roles.iter().copied().collect(),
        password: hash("right password"),
        must_change: false,
    }
}

fn accounts() -> Accounts {
    let accounts = Accounts::default().after(add("joy", "Joy Okafor", &[Role::Reception]), NOW).unwrap();
    accounts.after(Command::SetPin(joy(), Some(hash("2580"))), NOW).unwrap()
}

/// One attempt, as the service makes it: looks up, compares, tells.
fn attempt(accounts: &mut Accounts, proof: Proof, text: &str, now: Timestamp) -> Verdict {
    let user = joy();
    let Some(against) = accounts.challenge(&user, proof).cloned() else { return Verdict::Unknown };
    let matched = against.matches(&Secret::new(text), &mut Memory::default());
    let (verdict, changed) = accounts.tried(Attempt { user: &user, proof, against: &against, matched }, now);
    if let Some(changed) = changed {
        *accounts = changed;
    }
    verdict
}

#[test]
fn ids_are_plain_words() {
    for good in ["jo", "joy-okafor", "9lives", &"a".repeat(32)] {
        assert!(good.parse::<UserId>().is_ok(), "{good}");
    }
    for bad in ["", "j", "-joy", "Joy", "joy okafor", "joy/..", "jöy", &"a".repeat(33)] {
        assert_eq!(bad.parse::<UserId>(), Err(InvalidUserId), "{bad}");
    }
}

#[test]
fn an_account_has_a_name_a_role_and_an_id_of_its_own() {
    let none = Accounts::default();
    assert_eq!(accounts().after(add("joy", "Another", &[Role::Analyst]), NOW), Err(Refusal::Exists(joy())));
    assert_eq!(none.after(add("joy", "Joy", &[]), NOW), Err(Refusal::NoRole));
    for name in ["", "   ", "Joy\u{1b}[2J", &"x".repeat(81)] {
        assert_eq!(none.after(add("joy", name, &[Role::Reception]), NOW), Err(Refusal::Name));
    }
    assert_eq!(none.after(Command::Disable(joy()), NOW), Err(Refusal::Unknown(joy())));
    assert_eq!(accounts().after(Command::SetRoles(joy(), BTreeSet::new()), NOW), Err(Refusal::NoRole));
}

#[test]
fn there_is_a_limit_of_accounts() {
    let mut full = Accounts::default();
    let account = accounts().get(&joy()).cloned().unwrap();
    for number in 0..ACCOUNTS_MAX {
        full = full.with_account(format!("user-{number}").parse().unwrap(), account.clone());
    }
    assert_eq!(full.after(add("joy", "Joy", &[Role::Reception]), NOW), Err(Refusal::Full));
}

#[test]
fn the_fifth_wrong_password_locks_and_then_the_right_one_is_not_told_apart() {
    let mut accounts = accounts();
    for _ in 0..4 {
        assert_eq!(attempt(&mut accounts, Proof::Password, "guess", NOW), Verdict::Wrong { locks: false });
    }
    assert_eq!(attempt(&mut accounts, Proof::Password, "guess", NOW), Verdict::Wrong { locks: true });
    let until = NOW.plus(lock_out::FIRST);
    for text in ["guess", "right password"] {
        assert_eq!(attempt(&mut accounts, Proof::Password, text, NOW), Verdict::Locked { until });
    }
    assert_eq!(attempt(&mut accounts, Proof::Pin, "2580", NOW), Verdict::Locked { until });
    assert_eq!(attempt(&mut accounts, Proof::Password, "right password", until), Verdict::Right);
}

#[test]
fn a_right_password_wipes_the_slate() {
    let mut accounts = accounts();
    for _ in 0..3 {
        for _ in 0..4 {
            attempt(&mut accounts, Proof::Password, "guess", NOW);
        }
        assert_eq!(attempt(&mut accounts, Proof::Password, "right password", NOW), Verdict::Right);
    }
}

#[test]
fn an_attempt_that_changes_nothing_is_not_written() {
    let accounts = accounts();
    let against = hash("right password");
    let right = Attempt { user: &joy(), proof: Proof::Password, against: &against, matched: true };
    assert_eq!(accounts.tried(right, NOW), (Verdict::Right, None));
}

#[test]
fn five_wrong_pins_leave_only_the_password() {
    let mut accounts = accounts();
    for _ in 0..4 {
        assert_eq!(attempt(&mut accounts, Proof::Pin, "1111", NOW), Verdict::Wrong { locks: false });
    }
    assert_eq!(attempt(&mut accounts, Proof::Pin, "1111", NOW), Verdict::Wrong { locks: true });
    let later = NOW.plus(Duration::from_secs(86_400));
    assert_eq!(attempt(&mut accounts, Proof::Pin, "2580", later), Verdict::NoPin);
    assert_eq!(attempt(&mut accounts, Proof::Password, "right password", later), Verdict::Right);
    assert_eq!(attempt(&mut accounts, Proof::Pin, "2580", later), Verdict::Right);
}

#[test]
fn a_password_that_was_changed_meanwhile_opens_nothing() {
    let mut accounts = accounts();
    let before = hash("right password");
    let change = Command::SetPassword { user: joy(), password: hash("another one"), must_change: false };
    accounts = accounts.after(change, NOW).unwrap();
    let stale = Attempt { user: &joy(), proof: Proof::Password, against: &before, matched: true };
    assert_eq!(accounts.tried(stale, NOW), (Verdict::Unknown, None));
    assert_eq!(attempt(&mut accounts, Proof::Password, "another one", NOW), Verdict::Right);
}

#[test]
fn who_is_disabled_stays_out_until_enabled() {
    let mut accounts = accounts().after(Command::Disable(joy()), NOW).unwrap();
    assert_eq!(attempt(&mut accounts, Proof::Password, "right password", NOW), Verdict::Disabled);
    assert_eq!(attempt(&mut accounts, Proof::Pin, "2580", NOW), Verdict::Disabled);
    accounts = accounts.after(Command::Enable(joy()), NOW).unwrap();
    assert_eq!(attempt(&mut accounts, Proof::Password, "right password", NOW), Verdict::Right);
}

#[test]
fn a_one_time_password_takes_no_pin_beside_it() {
    let reset = Command::SetPassword { user: joy(), password: hash("one-time"), must_change: true };
    let mut accounts = accounts().after(reset, NOW).unwrap();
    assert!(accounts.get(&joy()).unwrap().must_change());
    assert_eq!(attempt(&mut accounts, Proof::Pin, "2580", NOW), Verdict::NoPin);
}

#[test]
fn a_one_time_password_opens_for_72_hours() {
    let reset = Command::SetPassword { user: joy(), password: hash("one-time"), must_change: true };
    let mut accounts = accounts().after(reset, NOW).unwrap();
    let after = |hours: u64| NOW.plus(Duration::from_secs(3600 * hours));
    assert_eq!(attempt(&mut accounts, Proof::Password, "one-time", after(71)), Verdict::Right);
    for text in ["one-time", "guess"] {
        assert_eq!(attempt(&mut accounts, Proof::Password, text, after(72)), Verdict::Over);
    }
    let chosen = Command::SetPassword { user: joy(), password: hash("own choice"), must_change: false };
    accounts = accounts.after(chosen, NOW).unwrap();
    assert_eq!(attempt(&mut accounts, Proof::Password, "own choice", after(10_000)), Verdict::Right);
}

#[test]
fn no_local_account_looks_like_a_providers() {
    let added = Accounts::default().after(add("oidc-joy", "Joy", &[Role::Reception]), NOW);
    assert_eq!(added, Err(Refusal::Reserved));
}

#[test]
fn an_administrator_ends_a_lock_out() {
    let mut accounts = accounts();
    for _ in 0..5 {
        attempt(&mut accounts, Proof::Password, "guess", NOW);
    }
    accounts = accounts.after(Command::Unlock(joy()), NOW).unwrap();
    assert_eq!(attempt(&mut accounts, Proof::Password, "right password", NOW), Verdict::Right);
}
