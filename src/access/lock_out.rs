//! How wrong attempts lock an account, for longer each time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// So many wrong attempts within [`WINDOW`] lock an account.
pub const ATTEMPTS_MAX: usize = 5;
/// Wrong attempts older than this no longer count.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long the first lock-out lasts; each further one lasts twice as long.
pub const FIRST: Duration = Duration::from_secs(15 * 60);
/// No lock-out lasts longer: guessing 30 passwords a day is hopeless, and so is a clinic without its staff.
pub const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);
/// After so long without a lock-out the next one is a first one again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// One account's wrong attempts.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct LockOut {
    /// When the wrong attempts were that still count; fewer than [`ATTEMPTS_MAX`].
    wrong: Vec<Timestamp>,
    /// The last lock-out, until a right attempt.
    last: Option<Locked>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
struct Locked {
    at: Timestamp,
    until: Timestamp,
}

impl LockOut {
    /// Until when the account is locked, if it is. A clock that was set back unlocks: it must not lock for years.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.last.filter(|last| last.at <= now && now < last.until).map(|last| last.until)
    }

    /// After one more wrong attempt. What is tried while the account is locked does not count.
    #[must_use]
    pub fn wrong(mut self, now: Timestamp) -> Self {
        if self.until(now).is_some() {
            return self;
        }
        self.wrong.retain(|at| *at <= now && now.since(*at) < WINDOW);
        self.wrong.push(now);
        if ATTEMPTS_MAX <= self.wrong.len() {
            let length = self.next_length(now);
            self.last = Some(Locked { at: now, until: now.plus(length) });
            self.wrong.clear();
        }
        self
    }

    fn next_length(&self, now: Timestamp) -> Duration {
        match self.last {
            Some(last) if now.since(last.until) < FORGIVEN_AFTER => {
                (last.until.since(last.at) * 2).clamp(FIRST, LONGEST)
            }
            _ => FIRST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_000_000_000);

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    fn after(attempts: &[u64]) -> LockOut {
        attempts.iter().fold(LockOut::default(), |state, at| state.wrong(START.plus(minutes(*at))))
    }

    #[test]
    fn five_wrong_attempts_within_a_quarter_of_an_hour_lock_for_one() {
        for (attempts, locked_at, locked) in [
            (&[0, 0, 0, 0][..], 0, false),
            (&[0, 0, 0, 0, 0], 0, true),
            (&[0, 0, 0, 0, 0], 14, true),
            (&[0, 0, 0, 0, 0], 15, false),
            (&[0, 3, 6, 9, 14], 14, true),
            (&[0, 3, 6, 9, 15], 15, false),
            (&[0, 4, 8, 12, 16, 18], 18, true),
        ] {
            let until = after(attempts).until(START.plus(minutes(locked_at)));
            assert_eq!(until.is_some(), locked, "{attempts:?} at {locked_at}");
        }
    }

    #[test]
    fn what_is_tried_meanwhile_does_not_lengthen_it() {
        let locked = after(&[0, 0, 0, 0, 0]);
        let tried = after(&[0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(locked, tried);
    }

    #[test]
    fn each_lock_out_is_twice_as_long_up_to_the_longest() {
        let (mut state, mut now) = (LockOut::default(), START);
        let mut lengths = Vec::new();
        for _ in 0..6 {
            for _ in 0..ATTEMPTS_MAX {
                state = state.wrong(now);
            }
            let until = state.until(now).unwrap();
            lengths.push(until.since(now).as_secs() / 60);
            now = until;
        }
        assert_eq!(lengths, [15, 30, 60, 120, 240, 240]);
        now = now.plus(FORGIVEN_AFTER);
        for _ in 0..ATTEMPTS_MAX {
            state = state.wrong(now);
        }
        assert_eq!(state.until(now), Some(now.plus(FIRST)));
    }

    #[test]
    fn a_clock_set_back_does_not_lock_for_years() {
        let locked = after(&[0, 0, 0, 0, 0]);
        let before = Timestamp(0);
        assert_eq!(locked.until(before), None);
        let again = (0..ATTEMPTS_MAX).fold(locked, |state, _| state.wrong(before));
        assert!(again.until(before).is_some_and(|until| until <= before.plus(LONGEST)));
    }
}
