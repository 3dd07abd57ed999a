//! The practice's sessions: every working day for two weeks, in the morning and in the afternoon.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    codec::fhir::{Moment, names, names::extension},
    domain::time::Timestamp,
    systems::gp_connect::local_time,
};

use super::{
    Provider,
    check::Asked,
    complaint::{Complaint, parameter},
    patients::bundle,
};

const DAY: Duration = Duration::from_secs(86_400);
const SLOT: Duration = Duration::from_secs(600);
/// Slots in a session: two hours.
const SLOTS: u64 = 12;
/// Sessions are planned this far ahead.
const DAYS: u64 = 21;
/// Hour of the day at which each session begins, and how it is held.
const SESSIONS: [(u64, &str, &str); 3] = [
    (9, "In-person", "General consultation"),
    (14, "Telephone", "Telephone consultation"),
    (18, "In-person", "Extended access"),
];

/// A time that can be booked, found by its id: `20261123-0-3` is the fourth of that day's first session.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) schedule: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    session: usize,
}

impl Slot {
    fn of(day: &str, session: usize, number: u64) -> Option<Self> {
        let (hour, ..) = SESSIONS.get(session)?;
        let start = local_time::start_of_day(day)?
            .plus(Duration::from_secs(hour * 3600) + SLOT * u32::try_from(number).ok()?);
        let compact = day.replace('-', "");
        Some(Self {
            id: format!("{compact}-{session}-{number}"),
            schedule: format!("{compact}-{session}"),
            start,
            end: start.plus(SLOT),
            session,
        })
    }

    /// The slot of an id, if there is such a session.
    pub(super) fn find(id: &str) -> Option<Self> {
        let mut parts = id.splitn(3, '-');
        let compact = parts.next().filter(|text| text.len() == 8)?;
        let day = format!("{}-{}-{}", compact.get(..4)?, compact.get(4..6)?, compact.get(6..)?);
        let session = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok().filter(|number| *number < SLOTS)?;
        Self::of(&day, session, number)
    }

    pub(super) fn channel(&self) -> &'static str {
        SESSIONS.get(self.session).map_or("", |session| session.1)
    }

    pub(super) fn service(&self) -> &'static str {
        SESSIONS.get(self.session).map_or("", |session| session.2)
    }

    fn resource(&self) -> Value {
        json!({
            "resourceType": "Slot",
            "id": self.id,
            "meta": {"versionId": "1", "profile": [names::profile("GPConnect-Slot-1")]},
            "extension": [{"url": names::profile(extension::DELIVERY_CHANNEL), "valueCode": self.channel()}],
            "serviceType": [{"text": self.service()}],
            "schedule": {"reference": format!("Schedule/{}", self.schedule)},
            "status": "free",
            "start": local_time::moment(self.start),
            "end": local_time::moment(self.end),
        })
    }
}

pub(super) fn free_slots(provider: &Provider, asked: &Asked, now: Timestamp) -> Result<Value, Complaint> {
    let from = boundary(asked, "start", "ge")?;
    let until = boundary(asked, "end", "le")?;
    if until < from || DAY * 14 < until.since(from) {
        return Err(parameter("start and end must be in order, and no more than two weeks apart"));
    }
    if asked.values("status").collect::<Vec<_>>() != ["free"] {
        return Err(parameter("status must be free"));
    }
    if !asked.values("_include").any(|include| include == "Slot:schedule") {
        return Err(parameter("_include=Slot:schedule is missing"));
    }
    if asked.values("searchFilter").any(|filter| !filter.contains('|')) {
        return Err(parameter("a search filter is written system|code"));
    }
    let taken = provider.state().taken.clone();
    let slots = all(now).filter(|slot| from <= slot.start && slot.end <= until && now < slot.start);
    let free: Vec<Slot> = slots.filter(|slot| !taken.contains_key(&slot.id)).collect();
    let mut entries: Vec<Value> = free.iter().map(|slot| json!({"resource": slot.resource()})).collect();
    let mut schedules: Vec<&Slot> = Vec::new();
    for slot in &free {
        if schedules.last().is_none_or(|last| last.schedule != slot.schedule) {
            schedules.push(slot);
        }
    }
    entries.extend(schedules.iter().map(|slot| json!({"resource": schedule(slot)})));
    if !free.is_empty() {
        let wants = |what: &str| asked.values("_include:recurse").any(|include| include == what);
        let also = [
            ("Schedule:actor:Practitioner", practitioner()),
            ("Schedule:actor:Location", location(provider)),
            // Known issue: the organisation comes even if it is not asked for.
            ("", organisation(provider)),
        ];
        let also = also.into_iter().filter(|(what, _)| what.is_empty() || wants(what));
        entries.extend(also.map(|(_, resource)| json!({"resource": resource})));
    }
    Ok(bundle(entries))
}

fn all(now: Timestamp) -> impl Iterator<Item = Slot> {
    let days = (0..DAYS).map(move |ahead| local_time::day(now.plus(DAY * u32::try_from(ahead).unwrap_or(0))));
    let sessions = days.flat_map(|day| (0..SESSIONS.len()).map(move |session| (day.clone(), session)));
    sessions.flat_map(|(day, session)| (0..SLOTS).filter_map(move |number| Slot::of(&day, session, number)))
}

fn boundary(asked: &Asked, name: &str, prefix: &str) -> Result<Timestamp, Complaint> {
    let [value] = asked.values(name).collect::<Vec<_>>()[..] else {
        return Err(parameter(&format!("{name} is needed once")));
    };
    let text =
        value.strip_prefix(prefix).ok_or_else(|| parameter(&format!("{name} needs the prefix {prefix}")))?;
    let moment = Moment::parse(text).and_then(Moment::timestamp);
    // Without a time the whole day is meant.
    let last = if prefix == "le" { DAY } else { Duration::ZERO };
    moment
        .or_else(|| Some(local_time::start_of_day(text)?.plus(last)))
        .ok_or_else(|| parameter(&format!("{name} is no moment with an offset")))
}

fn schedule(slot: &Slot) -> Value {
    let end = slot.start.plus(SLOT * u32::try_from(SLOTS).unwrap_or(0));
    json!({
        "resourceType": "Schedule",
        "id": slot.schedule,
        "meta": {"versionId": "1", "profile": [names::profile("GPConnect-Schedule-1")]},
        "extension": [{
            "url": names::profile(extension::PRACTITIONER_ROLE),
            "valueCodeableConcept": {"coding": [{
                "system": names::SDS_JOB_ROLE, "code": "R0260", "display": "General Medical Practitioner",
            }]},
        }],
        "serviceCategory": {"text": "General practice appointments"},
        "actor": [{"reference": "Location/l1"}, {"reference": "Practitioner/g1"}],
        "planningHorizon": {"start": local_time::moment(slot.start), "end": local_time::moment(end)},
    })
}

pub(super) fn practitioner() -> Value {
    json!({
        "resourceType": "Practitioner",
        "id": "g1",
        "meta": {"versionId": "1", "profile": [names::profile("CareConnect-GPC-Practitioner-1")]},
        "identifier": [{"system": names::SDS_USER_ID, "value": "555000111222"}],
        "name": [{"use": "official", "family": "Okafor", "given": ["Ngozi"], "prefix": ["Dr"]}],
        "gender": "female",
    })
}

pub(super) fn location(provider: &Provider) -> Value {
    json!({
        "resourceType": "Location",
        "id": "l1",
        "meta": {"versionId": "1", "profile": [names::profile("CareConnect-GPC-Location-1")]},
        "status": "active",
        "name": provider.options.name,
        "telecom": [{"system": "phone", "value": "020 7946 0456", "use": "work"}],
        "address": {"line": ["1 Grove Park"], "city": "London", "postalCode": "W1A 1AA"},
        "managingOrganization": {"reference": format!("Organization/{}", provider.options.practice)},
    })
}

pub(super) fn organisation(provider: &Provider) -> Value {
    json!({
        "resourceType": "Organization",
        "id": provider.options.practice,
        "meta": {"versionId": "1", "profile": [names::profile("CareConnect-GPC-Organization-1")]},
        "identifier": [{"system": names::ODS_CODE, "value": provider.options.practice}],
        "name": provider.options.name,
        "telecom": [{"system": "phone", "value": "020 7946 0456", "use": "work"}],
        "address": [{"line": ["1 Grove Park"], "city": "London", "postalCode": "W1A 1AA"}],
    })
}
