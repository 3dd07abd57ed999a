//! A hub's services and sessions, and the times that they make.

use std::collections::BTreeSet;

use jiff::{
    ToSpan,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::domain::{
    booking::{Channel, Owner, Service, SlotId},
    ids::HubId,
    slot::{Clinician, Place},
    time::Timestamp,
};

/// Services of one hub.
pub const SERVICES_MAX: usize = 200;
/// Sessions of one hub.
pub const SESSIONS_MAX: usize = 2_000;
/// Times of one session on one day: five minutes each, from morning to night.
pub const TIMES_MAX: usize = 200;
/// Places at one time of a session: a large group.
pub const PLACES_MAX: u16 = 100;
/// Days looked at in one go.
const DAYS_MAX: i64 = 370;

/// What a hub offers.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Its services, each once; at most [`SERVICES_MAX`].
    pub services: Vec<Service>,
    /// Their sessions; at most [`SESSIONS_MAX`].
    pub sessions: Vec<Session>,
}

/// A clinic that takes place again and again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id, unique at its hub, and never used for another clinic: slots are named after it.
    pub id: HubId,
    /// The service that it is of.
    pub service: HubId,
    /// On which days of the week.
    pub days: Vec<Day>,
    /// On which dates besides, `YYYY-MM-DD`.
    pub dates: Vec<Date>,
    /// Dates on which it does not take place.
    pub closed: Vec<Date>,
    /// The first date; none for any.
    pub first: Option<Date>,
    /// The last date; none for any.
    pub last: Option<Date>,
    /// When it begins, London time.
    pub from: Time,
    /// When it ends, London time.
    pub until: Time,
    /// How long one slot is, in minutes: 5 to 480.
    pub minutes: u16,
    /// How many people may come at the same time; 1 to [`PLACES_MAX`].
    pub places: u16,
    /// How it takes place.
    pub channel: Channel,
    /// With whom; none if not said.
    pub clinician: Option<Clinician>,
    /// Languages spoken besides English, as names.
    pub languages: Vec<String>,
    /// Where.
    pub place: Place,
    /// Which room; may be empty.
    pub room: String,
    /// Whether it can be reached without steps.
    pub step_free: Option<bool>,
    /// Equipment that can be in one place only.
    pub equipment: Vec<String>,
    /// How many places of each day others may sell.
    pub allotments: Vec<(Owner, u16)>,
    /// Places that others have not sold are given back so many hours before.
    pub sell_by_hours: u16,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

/// One time of a session.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SlotTime {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

impl Catalogue {
    /// A session by id.
    pub fn session(&self, id: &HubId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == *id)
    }

    /// A service by id.
    pub fn service(&self, id: &HubId) -> Option<&Service> {
        self.services.iter().find(|service| service.id == *id)
    }

    /// The system in whose book a session is.
    pub fn system_of(&self, session: &HubId) -> Option<&str> {
        Some(self.service(&self.session(session)?.service)?.system.as_str())
    }
}

impl Session {
    /// The times that lie wholly within a window, in order.
    ///
    /// Sessions are written in London time. On the night when clocks go back, an hour that comes twice is used once, the
    /// first time; when they go forward, times in the hour that does not exist are left out.
    pub fn times(&self, from: Timestamp, until: Timestamp) -> Vec<SlotTime> {
        let london = TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC);
        let date = |moment: Timestamp| {
            jiff::Timestamp::from_millisecond(moment.0)
                .ok()
                .map(|moment| moment.to_zoned(london.clone()).date())
        };
        let (Some(first), Some(last)) = (date(from), date(until)) else { return Vec::new() };
        let mut times = BTreeSet::new();
        let days =
            (0..DAYS_MAX).map_while(|day| first.checked_add(day.days()).ok().filter(|date| *date <= last));
        for date in days.filter(|date| self.takes_place(*date)) {
            times.extend(
                self.of_day(date, &london).into_iter().filter(|time| from <= time.start && time.end <= until),
            );
        }
        times.into_iter().collect()
    }

    /// The one time that begins then, if there is one.
    pub fn time_at(&self, start: Timestamp) -> Option<SlotTime> {
        let end = Timestamp(start.0.checked_add(i64::from(self.minutes) * 60_000)?);
        self.times(start, end).into_iter().find(|time| time.start == start)
    }

    /// Whether a slot's name is one of this session's.
    pub fn has(&self, slot: &SlotId) -> bool {
        slot.session == self.id
            && (1..=self.places).contains(&slot.place)
            && self.time_at(slot.start).is_some()
    }

    fn takes_place(&self, date: Date) -> bool {
        let within =
            self.first.is_none_or(|first| first <= date) && self.last.is_none_or(|last| date <= last);
        let on = self.days.contains(&Day::of(date.weekday())) || self.dates.contains(&date);
        within && on && !self.closed.contains(&date)
    }

    fn of_day(&self, date: Date, london: &TimeZone) -> Vec<SlotTime> {
        let length = i64::from(self.minutes.max(1)) * 60_000;
        let mut times = Vec::new();
        let mut at = date.to_datetime(self.from);
        let end = date.to_datetime(self.until);
        while at < end && times.len() < TIMES_MAX {
            let zoned = london.to_ambiguous_zoned(at);
            let exists = !matches!(zoned.offset(), jiff::tz::AmbiguousOffset::Gap { .. });
            if exists && let Ok(zoned) = zoned.compatible() {
                let start = Timestamp(zoned.timestamp().as_millisecond());
                times.push(SlotTime { start, end: Timestamp(start.0.saturating_add(length)) });
            }
            let Ok(next) = at.checked_add(i64::from(self.minutes.max(1)).minutes()) else { break };
            at = next;
            if end < at {
                times.pop();
            }
        }
        times
    }
}

impl Day {
    /// The day of a calendar's weekday.
    pub const fn of(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}
