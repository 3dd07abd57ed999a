//! Fetching tomorrow's patients' records today, so that they are there when the line to the practice is not.
//!
//! What to ask is decided by [`plan`], a pure function; [`Prefetch`] asks, seldom enough to be no burden, and keeps the
//! answers as the policy allows. A practice that does not give a record any more ends what is kept of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::{
    domain::{
        actor::Requester,
        nhs_number::NhsNumber,
        one_record::When,
        record::{ItemKind, Snapshot},
        time::Timestamp,
    },
    store::{
        PatientRecord, View, ViewError,
        cache::{Cache, CacheError, CacheFor},
    },
};

use super::{
    ask::{AtFault, GpSystem, Refusal, Retry},
    hub::Hub,
    operate::OperateError,
};

/// How often it is looked who is booked, and what has ended is thrown away.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Asked in one look at most: the rest comes with the next.
const ASKED_MAX: usize = 500;
/// How long to leave a system in peace about a patient it refused for good.
const REFUSED_FOR: Duration = Duration::from_hours(6);
/// Refusals that are remembered.
const REFUSALS_MAX: usize = 10_000;

/// Somebody who is booked. Its `Debug` shows no number.
#[derive(Clone, Eq, PartialEq)]
pub struct BookedPatient {
    /// Their number, which is sure.
    pub nhs_number: NhsNumber,
    /// ODS code of their registered practice; empty if not known.
    pub practice: String,
    /// When they are booked, the earliest.
    pub start: When,
    /// They have arrived.
    pub arrived: bool,
}

impl fmt::Debug for BookedPatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BookedPatient({:?})", self.start)
    }
}

/// Something to ask. Its `Debug` shows no number.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct ToAsk {
    /// When it is needed.
    pub start: When,
    /// Whom to ask: a system's configured name.
    pub system: String,
    /// About whom.
    pub nhs_number: NhsNumber,
    /// What allows to keep the answer.
    pub reason: CacheFor,
}

impl fmt::Debug for ToAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToAsk({}, {:?})", self.system, self.start)
    }
}

/// What to ask now, the soonest needed first: of each booked patient, the system of their practice, unless what it
/// answered is kept for more than half its time yet, or `leave` says to leave it in peace. `practices` has the systems'
/// names by their practices' codes; `remaining` says how much longer an answer is kept.
pub fn plan(
    booked: &[BookedPatient],
    practices: &BTreeMap<String, String>,
    keep: Duration,
    remaining: impl Fn(&NhsNumber, &str) -> Option<Duration>,
    leave: impl Fn(&NhsNumber, &str) -> bool,
) -> Vec<ToAsk> {
    let mut wanted = BTreeSet::new();
    for patient in booked {
        let Some(system) = practices.get(&patient.practice) else { continue };
        let is_fresh = remaining(&patient.nhs_number, system).is_some_and(|left| keep / 2 < left);
        if !is_fresh && !leave(&patient.nhs_number, system) {
            let reason = if patient.arrived { CacheFor::Arrived } else { CacheFor::Booked };
            let (start, system, nhs_number) = (patient.start, system.clone(), patient.nhs_number);
            wanted.insert(ToAsk { start, system, nhs_number, reason });
        }
    }
    let mut asked = BTreeSet::new();
    let first = wanted.into_iter().filter(|ask| asked.insert((ask.system.clone(), ask.nhs_number)));
    first.take(ASKED_MAX).collect()
}

/// What the prefetching is configured with: `[cache] prefetch = true` and `prefetch-per-minute`, beside the policy's
/// `basis`, `systems`, `hours` and `for`.
#[derive(Clone, Debug)]
pub struct Options {
    /// In whose name it is asked: the polyclinic's own, as the policy's basis allows.
    pub requester: Requester,
    /// Records asked for in a minute, at most; 1 to 600.
    pub per_minute: u32,
    /// How far ahead appointments are looked for; a day and a half has tomorrow in it at any hour.
    pub ahead: Duration,
}

/// Asks for the records of those who are booked.
#[derive(Debug)]
pub struct Prefetch {
    hub: Arc<Hub>,
    cache: Arc<Cache>,
    systems: Vec<Arc<dyn GpSystem>>,
    options: Options,
    refused: BTreeMap<(NhsNumber, String), Instant>,
}

impl Prefetch {
    /// For a hub whose cache is open ([`Hub::open_cache`]); asks those of `systems` that the policy names.
    pub fn new(hub: Arc<Hub>, cache: Arc<Cache>, systems: Vec<Arc<dyn GpSystem>>, options: Options) -> Self {
        Self { hub, cache, systems, options, refused: BTreeMap::new() }
    }

    /// Goes on until `stop` says true. Without a policy or a system nothing is asked, and only what has ended is removed.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = self.look() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Looks once who is booked, and asks for what is wanted.
    async fn look(&mut self) {
        let (hub, cache) = (Arc::clone(&self.hub), Arc::clone(&self.cache));
        let ahead = self.options.ahead;
        let asks = !self.systems.is_empty() && cache.policy().is_some();
        let looked = tokio::task::spawn_blocking(move || {
            if let Err(error) = cache.sweep(hub.cache_time()) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "ended answers could not be removed"
                );
            }
            if asks { hub.booked_patients(ahead) } else { Ok(Vec::new()) }
        });
        // If not, the record view is being opened: the next look will find it.
        let Ok(Ok(booked)) = looked.await else { return };
        for ask in self.wanted(&booked) {
            self.ask(&ask).await;
            tokio::time::sleep(Duration::from_secs(60) / self.options.per_minute.clamp(1, 600)).await;
        }
    }

    fn wanted(&mut self, booked: &[BookedPatient]) -> Vec<ToAsk> {
        let Some(policy) = self.cache.policy() else { return Vec::new() };
        let now = Instant::now();
        self.refused.retain(|_, until| now < *until);
        let named =
            self.systems.iter().filter(|system| policy.systems.iter().any(|name| name == system.name()));
        let practices =
            named.map(|system| (system.practice().to_owned(), system.name().to_owned())).collect();
        let time = self.hub.cache_time();
        let allowed: Vec<BookedPatient> = booked
            .iter()
            .filter(|patient| patient.arrived || CacheFor::Booked <= policy.keep_for)
            .cloned()
            .collect();
        plan(
            &allowed,
            &practices,
            policy.keep,
            |number, system| self.cache.remaining(number, system, time),
            |number, system| self.refused.contains_key(&(*number, system.to_owned())),
        )
    }

    async fn ask(&mut self, ask: &ToAsk) {
        let system = self.systems.iter().find(|system| system.name() == ask.system).cloned();
        let Some(system) = system else { return };
        let answer = system.record(&self.options.requester, ask.nhs_number).await;
        let kept = match answer {
            Ok(snapshot) => self.keep(snapshot, ask.reason).await,
            Err(refusal) => self.refused(ask, &refusal).await,
        };
        if let Err(error) = kept {
            tracing::warn!(system = ask.system, error = &error as &dyn std::error::Error, "the cache failed");
        }
    }

    async fn keep(&self, snapshot: Snapshot, reason: CacheFor) -> Result<(), CacheError> {
        let (hub, cache) = (Arc::clone(&self.hub), Arc::clone(&self.cache));
        let keeping = move || cache.keep(snapshot, reason, hub.cache_time()).map(|_ends| ());
        tokio::task::spawn_blocking(keeping).await.unwrap_or(Ok(()))
    }

    /// Leaves the system in peace for as long as it says; if it does not give the record any more, neither does the hub.
    async fn refused(&mut self, ask: &ToAsk, refusal: &Refusal) -> Result<(), CacheError> {
        tracing::info!(system = ask.system, code = refusal.code, "a record was not given");
        let wait = match refusal.retry {
            Retry::After(wait) => wait.max(LOOK_EVERY),
            Retry::Never | Retry::AfterFreshLook => REFUSED_FOR,
        };
        if self.refused.len() < REFUSALS_MAX {
            self.refused.insert((ask.nhs_number, ask.system.clone()), Instant::now() + wait);
        }
        if !ends_relationship(refusal) {
            return Ok(());
        }
        let (cache, number, system) = (Arc::clone(&self.cache), ask.nhs_number, ask.system.clone());
        let purging = move || cache.purge_of_system(&number, &system).map(|_count| ());
        tokio::task::spawn_blocking(purging).await.unwrap_or(Ok(()))
    }
}

/// Whether a refusal says that this hub may not have the record any more: the patient or practice said no, or the
/// patient is not, or no longer, one whose record is given.
pub fn ends_relationship(refusal: &Refusal) -> bool {
    refusal.at_fault == AtFault::Decision || refusal.code == "PATIENT_NOT_FOUND"
}

impl Hub {
    /// Those who are booked or have arrived from today until `ahead` from now, with a number that is sure. Reads the disk.
    ///
    /// # Errors
    /// The record view is not open.
    pub fn booked_patients(&self, ahead: Duration) -> Result<Vec<BookedPatient>, OperateError> {
        let now = self.now();
        let days = days(now, now.plus(ahead));
        self.in_view(|view| booked(view, &days))
    }
}

fn booked(view: &View, days: &[u32]) -> Result<Vec<BookedPatient>, ViewError> {
    let mut found = Vec::new();
    for day in days {
        for patient in view.booked(*day)? {
            if let Some(record) = view.record(patient)? {
                found.extend(booking(&record, *day));
            }
        }
    }
    Ok(found)
}

/// The earliest appointment of a day that stands.
fn booking(record: &PatientRecord, day: u32) -> Option<BookedPatient> {
    let nhs_number = record.nhs_number.filter(|_| record.is_sure)?;
    let appointments =
        record.items.get(&ItemKind::Appointment)?.iter().filter(|item| item.withdrawn.is_none());
    let standing = appointments.filter_map(|item| {
        let text = |name: &str| item.fields.get(name).and_then(|field| field.value.as_deref());
        let arrived = matches!(text("status"), Some("arrived"));
        let start = When::parse(text("start")?).filter(|start| start.day() == day)?;
        (arrived || text("status") == Some("booked")).then_some((start, arrived))
    });
    let standing: Vec<(When, bool)> = standing.collect();
    let start = standing.iter().map(|(start, _)| *start).min()?;
    let people = record.items.get(&ItemKind::Demographics).into_iter().flatten();
    let practice = people
        .filter_map(|item| item.fields.get("general_practice"))
        .filter_map(|field| Some((field.occurred, field.value.clone()?)))
        .max();
    Some(BookedPatient {
        nhs_number,
        practice: practice.map(|(_, code)| code).unwrap_or_default(),
        start,
        arrived: standing.iter().any(|(_, arrived)| *arrived),
    })
}

/// The days from one moment to another, as `20260105`, by UTC: at most an hour off in summer, and the window is longer.
fn days(from: Timestamp, until: Timestamp) -> Vec<u32> {
    let day_ms = 86_400_000;
    let numbers = (from.0.div_euclid(day_ms)..=until.0.div_euclid(day_ms)).take(31);
    numbers.filter_map(|number| When::of(Timestamp(number * day_ms)).map(When::day)).collect()
}

#[cfg(test)]
mod tests;
