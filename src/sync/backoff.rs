//! How long to wait before connecting again: sans-I/O.

use std::time::Duration;

/// The first wait is at most this.
const FIRST: Duration = Duration::from_secs(1);
/// No wait is longer than this, unless configured otherwise.
const LONGEST: Duration = Duration::from_secs(300);
/// A connection that lasted this long was a good one. Shorter ones count as failures, so that a broker that
/// accepts and throws out is not called upon at once, again and again.
const STABLE: Duration = Duration::from_secs(300);

/// Exponential back-off with full jitter: a thousand hubs must not come back in the same second.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    failures: u32,
    connected_at: Option<Duration>,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Backoff {
    /// A back-off whose waits grow to `longest`.
    pub const fn up_to(longest: Duration) -> Self {
        Self { failures: 0, connected_at: None, longest }
    }

    /// A connection was made. Moments are durations since any fixed one.
    pub fn connected(&mut self, now: Duration) {
        self.connected_at = Some(now);
    }

    /// The connection was lost, or could not be made. Returns how long to wait; `random` is any number.
    pub fn failed(&mut self, now: Duration, random: u64) -> Duration {
        let lasted = self.connected_at.take().map_or(Duration::ZERO, |since| now.saturating_sub(since));
        self.failures = if STABLE <= lasted { 0 } else { self.failures };
        let ceiling = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.longest);
        self.failures = (self.failures + 1).min(20);
        let milliseconds = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(random % milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_starts_over_after_a_stable_connection() {
        let mut backoff = Backoff::default();
        let mut ceiling = |lasted: Option<u64>| {
            if lasted.is_some() {
                backoff.connected(Duration::ZERO);
            }
            let now = Duration::from_secs(lasted.unwrap_or(0));
            (0..200).map(|random| backoff.clone().failed(now, random * 7919)).max().unwrap();
            backoff.failed(now, u64::MAX).as_secs()
        };
        let waits: Vec<u64> = (0..11).map(|_| ceiling(None)).collect();
        assert!(waits.iter().all(|wait| *wait <= 300), "{waits:?}");
        assert!(ceiling(Some(10)) <= 300, "ten seconds are not stable");
        assert_eq!(ceiling(Some(301)), 0);
    }

    #[test]
    fn the_ceiling_doubles_to_five_minutes() {
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let waits =
                (0..4000).map(|random| Backoff { ..backoff }.failed(Duration::ZERO, random * 104_729));
            let longest = waits.max().unwrap();
            assert!(longest.as_secs_f64() > f64::from(expected) * 0.9, "{longest:?} of {expected}");
            assert!(longest.as_secs_f64() <= f64::from(expected));
            backoff.failed(Duration::ZERO, 0);
        }
    }
}
