//! Signing in over a disk that fails and forgets, with a clock that is set.

use std::time::Duration;

use super::{fake::*, *};
use crate::{
    access::lock_out,
    sys::{
        disk::write_all_at,
        entropy::Entropy,
        sim_disk::{Fault, FaultKind, SimulatedDisk},
    },
};

fn joy() -> Bench {
    let bench = bench();
    bench.add("joy", "Joy Okafor", &[Role::Reception]);
    bench.notes.take();
    bench
}

async fn try_password(bench: &Bench, user: &str, password: &str) -> Result<Token, SignInError> {
    bench.sign_in.sign_in(user, Secret::new(password), None).await
}

fn denied<T: fmt::Debug>(answer: Result<T, SignInError>) -> Denied {
    match answer.unwrap_err() {
        SignInError::Refused(denied) => denied,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_signs_in_is_who_they_are() {
    let bench = joy();
    let token = try_password(&bench, " Joy ", PASSWORD).await.unwrap();
    let signed = bench.sign_in.visit(token.as_str()).unwrap();
    assert_eq!((signed.user.as_str(), signed.name.as_str()), ("joy", "Joy Okafor"));
    assert_eq!((signed.roles, signed.locked, signed.must_change), (vec![Role::Reception], false, false));
    bench.sign_in.sign_out(token.as_str());
    assert_eq!(bench.sign_in.visit(token.as_str()), None);
    assert_eq!(bench.notes.take(), ["joy sign-in: done", "joy sign-out: done"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_typed_as_a_name_is_noted_nowhere() {
    let bench = joy();
    for typed in ["ann", "my secret pass phrase", "kettleheronquay"] {
        assert_eq!(denied(try_password(&bench, typed, PASSWORD).await), Denied::Unknown);
    }
    assert_eq!(bench.notes.take(), ["(unknown) sign-in: unknown"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_takes_as_long_whoever_is_named() {
    let bench = joy();
    bench.sign_in.disable_user("joy".parse().unwrap(), "uid 7").unwrap();
    bench.add("ann", "Ann Lee", &[Role::Reception]);
    for user in ["ann", "joy", "nobody", "no such user"] {
        let began = Instant::now();
        assert!(try_password(&bench, user, "guess").await.is_err());
        assert_eq!(began.elapsed(), REFUSAL_TAKES, "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_lock_and_time_or_an_administrator_unlocks() {
    let bench = joy();
    for last in [false, false, false, false, true] {
        assert_eq!(denied(try_password(&bench, "joy", "guess").await), Denied::Wrong { last });
    }
    let until = bench.clock.now().plus(lock_out::FIRST);
    assert_eq!(denied(try_password(&bench, "joy", PASSWORD).await), Denied::Locked { until });
    assert_eq!(bench.notes.take()[4..], ["joy sign-in: wrong, and locked", "joy sign-in: locked"]);
    assert_eq!(bench.sign_in.users()[0].locked_until, Some(until));
    // The lock-out outlives the program.
    let again = over(bench.disk.clone());
    assert_eq!(denied(try_password(&again, "joy", PASSWORD).await), Denied::Locked { until });
    again.sign_in.unlock_user("joy".parse().unwrap(), "uid 7").unwrap();
    assert!(try_password(&again, "joy", PASSWORD).await.is_ok());
    bench.clock.set(until);
    assert!(try_password(&bench, "joy", PASSWORD).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn guesses_that_were_made_at_once_count_one_by_one() {
    let bench = joy();
    let guesses: Vec<_> = (0..12)
        .map(|_| {
            let service = Arc::clone(&bench.sign_in);
            tokio::spawn(async move { service.sign_in("joy", Secret::new("guess"), None).await })
        })
        .collect();
    let mut wrong = 0;
    for guess in guesses {
        wrong += usize::from(matches!(denied(guess.await.unwrap()), Denied::Wrong { .. }));
    }
    assert_eq!(wrong, lock_out::ATTEMPTS_MAX);
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_hashing_is_kept_and_bounded() {
    let bench = joy();
    let entering: Vec<_> = (0..12)
        .map(|_| {
            let service = Arc::clone(&bench.sign_in);
            tokio::spawn(async move { service.sign_in("joy", Secret::new(PASSWORD), None).await })
        })
        .collect();
    for entered in entering {
        assert!(entered.await.unwrap().is_ok());
    }
    let kept = bench.sign_in.memories.lock().unwrap().len();
    assert!((1..=HASHING_MAX).contains(&kept), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn more_than_a_shift_at_once_is_told_to_wait() {
    let bench = joy();
    let all = bench.sign_in.waiting.available_permits();
    let held = bench.sign_in.waiting.try_acquire_many(u32::try_from(all).unwrap()).unwrap();
    assert!(matches!(try_password(&bench, "joy", PASSWORD).await, Err(SignInError::Busy)));
    drop(held);
    assert!(try_password(&bench, "joy", PASSWORD).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_their_turn() {
    let bench = joy();
    let _held = bench.sign_in.hashing.try_acquire_many(2).unwrap();
    assert!(matches!(try_password(&bench, "joy", PASSWORD).await, Err(SignInError::Busy)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_screen_opens_again_for_the_same_person_alone() {
    let bench = joy();
    bench.add("ann", "Ann Lee", &[Role::Reception]);
    bench.give_pin("joy").await;
    let token = bench.enter("joy").await;
    tokio::time::advance(Duration::from_secs(601)).await;
    assert!(bench.sign_in.visit(&token).unwrap().locked);
    let wrong = bench.sign_in.unlock(&token, Secret::new("1111"), Proof::Pin).await;
    assert_eq!(denied(wrong), Denied::Wrong { last: false });
    assert!(bench.sign_in.visit(&token).unwrap().locked);
    let opened = bench.sign_in.unlock(&token, Secret::new(PIN), Proof::Pin).await.unwrap();
    assert_eq!(bench.sign_in.visit(&token), None, "the old token is worth nothing");
    let signed = bench.sign_in.visit(opened.as_str()).unwrap();
    assert_eq!((signed.user.as_str(), signed.locked), ("joy", false));
}

#[tokio::test(start_paused = true)]
async fn a_form_that_was_kept_does_not_turn_up_after_signing_in_anew() {
    let bench = joy();
    let token = bench.enter("joy").await;
    bench.sign_in.lock(&token);
    bench.sign_in.keep_form(&token, KeptForm { path: "/book".to_owned(), body: b"slot=7".to_vec() });
    let anew = bench.sign_in.sign_in("joy", Secret::new(PASSWORD), Some(&token)).await.unwrap();
    assert!(!bench.sign_in.has_form(anew.as_str()));
    assert_eq!(bench.sign_in.visit(&token), None);
}

#[tokio::test(start_paused = true)]
async fn a_shared_screen_is_switched_with_a_pin() {
    let bench = joy();
    bench.add("ann", "Ann Lee", &[Role::Administrator]);
    bench.give_pin("ann").await;
    let token = bench.enter("joy").await;
    let no_pin = bench.sign_in.switch(&token, "joy", Secret::new(PIN)).await;
    assert_eq!(denied(no_pin), Denied::Unknown);
    let switched = bench.sign_in.switch(&token, "ann", Secret::new(PIN)).await.unwrap();
    assert_eq!(bench.sign_in.visit(&token), None);
    assert_eq!(bench.sign_in.visit(switched.as_str()).unwrap().user.as_str(), "ann");
    let stranger = bench.sign_in.switch("no session", "ann", Secret::new(PIN)).await;
    assert!(matches!(stranger, Err(SignInError::NoSession)));
}

#[tokio::test(start_paused = true)]
async fn a_password_is_changed_by_who_knows_it_and_ends_every_session() {
    let bench = joy();
    let (one, two) = (bench.enter("joy").await, bench.enter("joy").await);
    let change = |current: &str, new: &str| {
        let (current, new) = (Secret::new(current), Secret::new(new));
        let (service, token) = (Arc::clone(&bench.sign_in), one.clone());
        async move { service.change_password(&token, current, new).await }
    };
    assert_eq!(denied(change("guess", "lampe vert chien").await), Denied::Wrong { last: false });
    assert!(matches!(change(PASSWORD, "short").await, Err(SignInError::Unfit(Unfit::Short))));
    assert!(matches!(change(PASSWORD, PASSWORD).await, Err(SignInError::Same)));
    let opened = change(PASSWORD, "lampe vert chien").await.unwrap();
    assert_eq!([&one, &two].map(|token| bench.sign_in.visit(token)), [None, None]);
    assert!(bench.sign_in.visit(opened.as_str()).is_some());
    assert!(try_password(&bench, "joy", PASSWORD).await.is_err());
    assert!(try_password(&bench, "joy", "lampe vert chien").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_one_time_password_is_made_shown_once_and_must_be_changed() {
    let bench = joy();
    let token = bench.enter("joy").await;
    let made = bench.sign_in.reset_password("joy".parse().unwrap(), None, "uid 7").unwrap().unwrap();
    assert_eq!(made.reveal().len(), 19);
    assert_eq!(bench.sign_in.visit(&token), None);
    let opened = try_password(&bench, "joy", made.reveal()).await.unwrap();
    assert!(bench.sign_in.visit(opened.as_str()).unwrap().must_change);
    let new = Secret::new("lampe vert chien");
    let changed = bench.sign_in.change_password(opened.as_str(), made, new).await.unwrap();
    assert!(!bench.sign_in.visit(changed.as_str()).unwrap().must_change);
}

#[tokio::test(start_paused = true)]
async fn who_is_disabled_is_out_at_once() {
    let bench = joy();
    let token = bench.enter("joy").await;
    bench.sign_in.disable_user("joy".parse().unwrap(), "uid 7").unwrap();
    assert_eq!(bench.sign_in.visit(&token), None);
    assert_eq!(denied(try_password(&bench, "joy", PASSWORD).await), Denied::Unknown);
    assert_eq!(bench.notes.take()[1..], ["joy disable: done", "joy sign-in: disabled"]);
}

#[tokio::test(start_paused = true)]
async fn accounts_outlive_a_power_cut_at_any_moment() {
    for seed in 0..50 {
        let bench = joy();
        let cut = over(bench.disk.after_power_cut(&mut Entropy::from_seed(seed)));
        assert!(try_password(&cut, "joy", PASSWORD).await.is_ok(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_being_written_is_ignored() {
    let bench = joy();
    let torn = bench.disk.create("state/access/accounts.cbor.new".as_ref()).unwrap();
    write_all_at(torn.as_ref(), b"\xa1eusers\xa3", 0).unwrap();
    let again = over(bench.disk.clone());
    assert!(try_password(&again, "joy", PASSWORD).await.is_ok());
    again.add("ann", "Ann Lee", &[Role::Reception]);
    assert_eq!(over(again.disk.clone()).sign_in.users().len(), 2);
}

#[test]
fn a_change_that_cannot_be_written_is_not_made() {
    let bench = joy();
    for at_call in 0..8 {
        bench.disk.inject(Some(Fault { at_call, kind: FaultKind::InputOutput, sticky: false }));
        let done = bench.sign_in.disable_user("joy".parse().unwrap(), "uid 7");
        let failed = 0 < bench.disk.faults_fired();
        bench.disk.inject(None);
        assert_eq!(done.is_err(), failed, "call {at_call}");
        assert_eq!(bench.sign_in.users()[0].disabled, !failed, "call {at_call}");
        bench.sign_in.enable_user("joy".parse().unwrap(), "uid 7").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_neither_keeps_the_staff_out_nor_lets_guessing_in() {
    let bench = joy();
    bench.disk.set_capacity(Some(0));
    assert_eq!(denied(try_password(&bench, "joy", "guess").await), Denied::Wrong { last: false });
    assert!(try_password(&bench, "joy", PASSWORD).await.is_ok());
    for _ in 0..5 {
        assert!(try_password(&bench, "joy", "guess").await.is_err());
    }
    assert!(matches!(denied(try_password(&bench, "joy", PASSWORD).await), Denied::Locked { .. }));
}

#[test]
fn a_damaged_file_is_said_and_not_replaced() {
    let disk = SimulatedDisk::default();
    over(disk.clone()).add("joy", "Joy Okafor", &[Role::Reception]);
    disk.damage("state/access/accounts.cbor".as_ref(), 0);
    let clock = Arc::new(crate::sys::clock::SimulatedClock::default());
    let opened = SignIn::open(Arc::new(disk.clone()), clock, "state".as_ref());
    let error = opened.unwrap_err();
    assert_eq!(error.to_string(), "state/access/accounts.cbor cannot be read");
    assert!(
        matches!(error, SignInError::Unreadable { source, .. } if source.kind() == io::ErrorKind::InvalidData)
    );
    assert!(disk.open("state/access/accounts.cbor".as_ref()).is_ok());
}
