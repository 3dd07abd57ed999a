//! A hub's services and sessions, and the times that they make.

use std::sync::LazyLock;

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone},
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
const MINUTE_MS: i64 = 60_000;

static LONDON: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC));

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
    /// The times that lie wholly within a window, in order; see [`Session::on`].
    pub fn times(&self, from: Timestamp, until: Timestamp) -> Vec<SlotTime> {
        let times = dates(from, until).flat_map(|date| self.on(date));
        times.filter(|time| from <= time.start && time.end <= until).collect()
    }

    /// The times that begin on a date, in order; none if it does not take place. At most [`TIMES_MAX`].
    ///
    /// Sessions are written in London time. On the night when clocks go back, an hour that comes twice is used once, the
    /// first time; when they go forward, times in the hour that does not exist are left out, and so is what would begin
    /// before the one that spans that hour has ended.
    pub fn on(&self, date: Date) -> Vec<SlotTime> {
        let mut times: Vec<SlotTime> = Vec::new();
        if !self.takes_place(date) {
            return times;
        }
        // Other hubs' catalogues are taken as they come: zero minutes would never end.
        let minutes = i64::from(self.minutes.max(1));
        let (mut at, until) = (date.to_datetime(self.from), date.to_datetime(self.until));
        for _ in 0..TIMES_MAX {
            let Some(next) = at.checked_add(minutes.minutes()).ok().filter(|next| *next <= until) else {
                break;
            };
            let after_the_last = |start| times.last().is_none_or(|last| last.end <= start);
            if let Some(start) = first_moment(at).filter(|start| after_the_last(*start)) {
                times.push(SlotTime { start, end: Timestamp(start.0.saturating_add(minutes * MINUTE_MS)) });
            }
            at = next;
        }
        times
    }

    /// The one time that begins then, if there is one.
    pub fn time_at(&self, start: Timestamp) -> Option<SlotTime> {
        let end = Timestamp(start.0.checked_add(i64::from(self.minutes) * MINUTE_MS)?);
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
}

/// The dates in London from one moment to another, both included; at most 370.
pub fn dates(from: Timestamp, until: Timestamp) -> impl Iterator<Item = Date> {
    let ends = date_of(from).zip(date_of(until));
    (0..DAYS_MAX).map_while(move |day| {
        let (first, last) = ends?;
        first.checked_add(day.days()).ok().filter(|date| *date <= last)
    })
}

/// The date in London at a moment; none beyond the year 9999.
pub fn date_of(moment: Timestamp) -> Option<Date> {
    let moment = jiff::Timestamp::from_millisecond(moment.0).ok()?;
    Some(LONDON.to_datetime(moment).date())
}

/// The first moment at which clocks in London show a time; none if they leave it out.
fn first_moment(at: DateTime) -> Option<Timestamp> {
    let ambiguous = LONDON.to_ambiguous_timestamp(at);
    if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return None;
    }
    Some(Timestamp(ambiguous.earlier().ok()?.as_millisecond()))
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

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    /// A clinic on one night, in slots of so many minutes.
    fn on_the_night(night: Date, from: Time, until: Time, minutes: u16) -> Session {
        Session {
            id: "night".parse().unwrap(),
            service: "walk-in".parse().unwrap(),
            days: Vec::new(),
            dates: vec![night],
            closed: Vec::new(),
            first: None,
            last: None,
            from,
            until,
            minutes,
            places: 1,
            channel: Channel::InPerson,
            clinician: None,
            languages: Vec::new(),
            place: Place::default(),
            room: String::new(),
            step_free: None,
            equipment: Vec::new(),
            allotments: Vec::new(),
            sell_by_hours: 24,
        }
    }

    fn utc(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    /// When slots begin and end, in UTC, as `HH:MM-HH:MM`.
    fn said(times: &[SlotTime]) -> Vec<String> {
        let clock = |moment: Timestamp| moment.to_string().chars().skip(11).take(5).collect::<String>();
        times.iter().map(|time| format!("{}-{}", clock(time.start), clock(time.end))).collect()
    }

    const AUTUMN: Date = date(2026, 10, 25);
    const SPRING: Date = date(2027, 3, 28);

    #[test]
    fn the_hour_that_comes_twice_is_used_once() {
        let session = on_the_night(AUTUMN, time(0, 30, 0, 0), time(3, 0, 0, 0), 30);
        // 00:30, 01:00 and 01:30 by summer time, then 02:00 and 02:30 by winter time.
        let expected = ["23:30-00:00", "00:00-00:30", "00:30-01:00", "02:00-02:30", "02:30-03:00"];
        assert_eq!(said(&session.on(AUTUMN)), expected);
        let half_past_one = on_the_night(AUTUMN, time(1, 30, 0, 0), time(2, 0, 0, 0), 30);
        assert_eq!(said(&half_past_one.on(AUTUMN)), ["00:30-01:00"]);
    }

    #[test]
    fn the_hour_that_does_not_exist_is_left_out() {
        let session = on_the_night(SPRING, time(0, 30, 0, 0), time(3, 0, 0, 0), 30);
        // 00:30 by winter time; then 02:00, which is an hour later by summer time, and 02:30.
        assert_eq!(said(&session.on(SPRING)), ["00:30-01:00", "01:00-01:30", "01:30-02:00"]);
        let half_past_one = on_the_night(SPRING, time(1, 30, 0, 0), time(2, 0, 0, 0), 30);
        assert_eq!(half_past_one.on(SPRING), []);
        let mut weekly = half_past_one;
        (weekly.dates, weekly.days) = (Vec::new(), vec![Day::Sunday]);
        let times = weekly.times(utc("2027-03-21T00:00:00Z"), utc("2027-04-05T00:00:00Z"));
        let days: Vec<String> =
            times.iter().map(|time| time.start.to_string().chars().take(16).collect()).collect();
        assert_eq!(days, ["2027-03-21T01:30", "2027-04-04T00:30"]);
    }

    #[test]
    fn nobody_is_in_two_slots_at_once_on_any_night() {
        for night in [AUTUMN, SPRING, date(2026, 11, 23)] {
            for minutes in [5, 7, 20, 45, 50, 60, 90, 480] {
                for start in [time(0, 0, 0, 0), time(0, 25, 0, 0), time(1, 10, 0, 0)] {
                    let times = on_the_night(night, start, time(10, 0, 0, 0), minutes).on(night);
                    // A whole day's slot may begin in the hour that does not exist.
                    assert!(!times.is_empty() || minutes == 480, "{night} {start} {minutes}");
                    assert!(
                        times.windows(2).all(|pair| pair[0].end <= pair[1].start),
                        "{night} {start} {minutes}"
                    );
                    let long = i64::from(minutes) * MINUTE_MS;
                    assert!(times.iter().all(|time| time.end.0 - time.start.0 == long), "{night} {minutes}");
                }
            }
        }
    }

    #[test]
    fn a_last_slot_that_does_not_fit_is_no_slot() {
        // Also where the one before it is in the hour that does not exist.
        let session = on_the_night(SPRING, time(0, 0, 0, 0), time(2, 10, 0, 0), 60);
        assert_eq!(said(&session.on(SPRING)), ["00:00-01:00"]);
    }

    #[test]
    fn a_window_takes_what_lies_wholly_within() {
        let day = date(2026, 7, 6);
        let session = on_the_night(day, time(9, 0, 0, 0), time(10, 0, 0, 0), 20);
        // Nine in London is eight in UTC in summer.
        let within = |from, until| said(&session.times(utc(from), utc(until)));
        let all = ["08:00-08:20", "08:20-08:40", "08:40-09:00"];
        assert_eq!(within("2026-07-06T08:00:00Z", "2026-07-06T09:00:00Z"), all);
        assert_eq!(within("2026-07-06T08:00:01Z", "2026-07-06T08:59:59Z"), all[1..2]);
        assert_eq!(within("2026-07-06T09:00:00Z", "2026-07-06T08:00:00Z"), [""; 0]);
        assert_eq!(session.times(Timestamp(i64::MIN), Timestamp(i64::MAX)), []);
        assert!(session.time_at(utc("2026-07-06T08:20:00Z")).is_some());
        assert!(session.time_at(utc("2026-07-06T08:21:00Z")).is_none());
    }

    #[test]
    fn it_takes_place_on_its_days_and_dates_and_not_when_closed() {
        let mut session = on_the_night(date(2026, 11, 28), time(9, 0, 0, 0), time(10, 0, 0, 0), 60);
        session.days = vec![Day::Monday];
        session.closed = vec![date(2026, 11, 30)];
        (session.first, session.last) = (Some(date(2026, 11, 20)), Some(date(2026, 12, 7)));
        let times = session.times(utc("2026-11-01T00:00:00Z"), utc("2026-12-31T00:00:00Z"));
        let days: Vec<String> =
            times.iter().map(|time| time.start.to_string().chars().take(10).collect()).collect();
        assert_eq!(days, ["2026-11-23", "2026-11-28", "2026-12-07"]);
    }

    #[test]
    fn what_another_hub_says_without_sense_is_bounded() {
        let night = date(2026, 11, 23);
        let session = on_the_night(night, time(0, 0, 0, 0), time(23, 59, 0, 0), 0);
        assert_eq!(session.on(night).len(), TIMES_MAX);
        assert_eq!(on_the_night(night, time(9, 0, 0, 0), time(8, 0, 0, 0), 5).on(night), []);
    }
}
