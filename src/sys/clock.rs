//! The wall clock: the only file that reads it.

use std::{
    fmt,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::domain::time::{ClockQuality, Timestamp};

/// Tells the time of day. Order and deadlines never depend on it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// How far [`Clock::now`] is to be trusted.
    fn quality(&self) -> ClockQuality;
}

/// The machine's own clock.
#[derive(Debug, Default)]
pub struct SystemClock;

/// systemd-timesyncd makes this file once it has heard from a time server (systemd-timesyncd.service(8)).
const SYNCHRONISED_MARK: &str = "/run/systemd/timesync/synchronized";

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn quality(&self) -> ClockQuality {
        if Path::new(SYNCHRONISED_MARK).exists() {
            ClockQuality::Synchronised
        } else {
            ClockQuality::Unsynchronised
        }
    }
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct SimulatedClock(AtomicI64);

impl SimulatedClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Shows `now` from here on, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn quality(&self) -> ClockQuality {
        ClockQuality::Synchronised
    }
}
