//! How long things last: relationships, roles, views. Each with its reason, and how far it may be changed.

use std::time::Duration;

use crate::domain::time::Timestamp;

use super::asking::{Asker, Basis, Kept, Relationship};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A clock may be so much behind the one that confirmed the roles; more, and it was set back.
pub const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(5 * 60);
/// A reason is not a story: it stands on one audit line.
pub const REASON_CHARACTERS_MAX: usize = 500;

/// The bounds of time and length that the policy goes by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// From 7 days before, so that the clinic can be prepared, to 28 days after, so that letters, results and the
    /// next step can be seen to.
    pub booked: Window,
    /// From the arrival to 28 days after: results of the day come back, and are acted on.
    pub arrived: Window,
    /// While on the list and 28 days after; one that is never closed ends after a year, when lists are to be checked.
    pub waiting_list: Window,
    /// While waiting and a day after: nobody queues overnight.
    pub ticket: Window,
    /// While it is open and 28 days after; one that is never closed ends after 18 weeks, the longest wait that the
    /// NHS allows itself.
    pub referral: Window,
    /// While the register says so; no word of it for 28 days, and it is not believed.
    pub registered: Window,
    /// Roles kept elsewhere are believed for 12 hours: a shift, so that a link that is down does not end care, and a
    /// role that was revoked does not live to the next.
    pub roles_elsewhere: Duration,
    /// Roles kept here are believed for 30 days: they are ended here at once, and are to be looked through monthly.
    pub roles_here: Duration,
    /// One view lasts 30 minutes, a long consultation; then the patient is asked again.
    pub view: Duration,
    /// Emergency access lasts an hour.
    pub emergency: Duration,
    /// Legal access lasts an hour.
    pub legal: Duration,
    /// A reason of fewer characters says nothing.
    pub reason_characters_min: usize,
}

/// When a relationship is current: from `before` its beginning to `after` its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// So long before it begins.
    pub before: Duration,
    /// So long after it has ended.
    pub after: Duration,
    /// One without an end is taken to end so long after its beginning.
    pub open: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let window = |before, after, open| Window { before, after, open };
        Self {
            booked: window(7 * DAY, 28 * DAY, Duration::ZERO),
            arrived: window(Duration::ZERO, 28 * DAY, Duration::ZERO),
            waiting_list: window(Duration::ZERO, 28 * DAY, 365 * DAY),
            ticket: window(Duration::ZERO, DAY, Duration::ZERO),
            referral: window(Duration::ZERO, 28 * DAY, 126 * DAY),
            registered: window(Duration::ZERO, Duration::ZERO, 28 * DAY),
            roles_elsewhere: 12 * HOUR,
            roles_here: 30 * DAY,
            view: 30 * MINUTE,
            emergency: HOUR,
            legal: HOUR,
            reason_characters_min: 10,
        }
    }
}

/// A bound is further than anybody may set it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name} must be {least} to {most}")]
pub struct TooFar {
    /// The field of [`Bounds`].
    pub name: &'static str,
    /// The least, in words.
    pub least: &'static str,
    /// The most, in words.
    pub most: &'static str,
}

impl Bounds {
    /// These bounds, if none is further than a deploying organisation may set it.
    ///
    /// # Errors
    /// Names the first that is.
    pub fn checked(self) -> Result<Self, TooFar> {
        let windows =
            [self.booked, self.arrived, self.waiting_list, self.ticket, self.referral, self.registered];
        let far = |window: &Window| 92 * DAY < window.before.max(window.after) || 400 * DAY < window.open;
        let between = |time: Duration, least, most| least <= time && time <= most;
        let rows = [
            ("a relationship", !windows.iter().any(far), "0", "92 days around it, or 400 days open"),
            ("roles_elsewhere", between(self.roles_elsewhere, MINUTE, 72 * HOUR), "1 minute", "72 hours"),
            ("roles_here", between(self.roles_here, HOUR, 92 * DAY), "1 hour", "92 days"),
            ("view", between(self.view, MINUTE, 12 * HOUR), "1 minute", "12 hours"),
            ("emergency", between(self.emergency, MINUTE, 8 * HOUR), "1 minute", "8 hours"),
            ("legal", between(self.legal, MINUTE, 8 * HOUR), "1 minute", "8 hours"),
            ("reason_characters_min", (10..=100).contains(&self.reason_characters_min), "10", "100"),
        ];
        match rows.into_iter().find(|(_, fits, ..)| !fits) {
            Some((name, _, least, most)) => Err(TooFar { name, least, most }),
            None => Ok(self),
        }
    }

    /// The window of a basis.
    pub const fn window(&self, basis: Basis) -> Window {
        match basis {
            Basis::Booked => self.booked,
            Basis::Arrived => self.arrived,
            Basis::WaitingList => self.waiting_list,
            Basis::Ticket => self.ticket,
            Basis::Referral => self.referral,
            Basis::Registered => self.registered,
        }
    }

    /// Until when a relationship is current, if it is now.
    pub fn current_until(&self, relationship: &Relationship, now: Timestamp) -> Option<Timestamp> {
        let window = self.window(relationship.basis);
        let end =
            relationship.until.unwrap_or_else(|| relationship.since.plus(window.open)).plus(window.after);
        let is_begun = relationship.since <= now.plus(window.before);
        (is_begun && now <= end).then_some(end)
    }

    /// How long roles are believed that are kept there.
    pub const fn roles(&self, kept: Kept) -> Duration {
        match kept {
            Kept::Here => self.roles_here,
            Kept::Elsewhere => self.roles_elsewhere,
        }
    }

    /// Until when someone's roles are believed; none if they no longer are, or if they were confirmed so far in the
    /// future that the clock must have been set back since.
    pub fn roles_until(&self, asker: &Asker, now: Timestamp) -> Option<Timestamp> {
        let end = asker.roles_confirmed.plus(self.roles(asker.roles_kept));
        (now <= end && asker.roles_confirmed <= now.plus(CLOCKS_DIFFER_MAX)).then_some(end)
    }

    /// Whether a reason says something, and not too much.
    pub fn is_reason(&self, reason: &str) -> bool {
        (self.reason_characters_min..=REASON_CHARACTERS_MAX).contains(&reason.trim().chars().count())
    }
}
