//! Patients' records elsewhere in the polysystem: asking the centre for what other hubs hold, keeping it for a while, and
//! putting it beside what is known here.
//!
//! Whoever opens a record here is told to the hubs that have given something of it, and goes into their audit trails; who
//! opens one elsewhere that this hub has given something of goes into this hub's. What comes is kept in files that end
//! ([`crate::store::held`]), and the centre is told how far it is durable: what it has not heard of, it sends again.

mod fold;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use crate::{
    access::audit::{Line, Outcome},
    codec::cbor,
    domain::{
        elsewhere::{
            HELD_MAX_MS, OPENED_FORMAT, OPENED_KIND, Opened, OpenedElsewhere, RecordsDown, RecordsHeard,
            VERSION,
        },
        entry::{Entry, Summary},
        ids::Class,
        nhs_number::NhsNumber,
        one_record::{Notice, Parts},
        time::Timestamp,
    },
    journal::{Append, Identity, Lane, Verdict},
    store::{
        cache::{CacheError, CacheTime},
        held::Held,
    },
};

use super::{
    audit::{AuditStopped, LineId},
    hub::Hub,
    matches::OWN_SYSTEM,
    status::LinkState,
};

/// Messages of the centre that wait to be put on disk. What finds no room is sent again.
const OFFERED_MAX: usize = 32;
/// One message of the centre: what a hub takes in one packet, to spare.
const DOWN_BYTES_MAX: usize = 2 << 20;
/// The centre's tellings that are followed at once: one of each of its processes, and those they had before.
const RUNS_MAX: usize = 8;
/// Answers that are remembered for whoever waits for them.
const ANSWERED_MAX: usize = 1_024;
/// What has been told of others' deeds and is not put down twice.
const TOLD_MAX: usize = 4_096;
/// How often it is looked who is booked, and what has ended.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// For whom records are fetched ahead: those booked until then.
const AHEAD: Duration = Duration::from_hours(48);
/// Whose record has less time left than this is asked for again.
const RENEW_BELOW: Duration = Duration::from_hours(48);
/// Records fetched ahead in one look: the patients of a hub's two days, over a few looks.
const FETCHED_MAX: usize = 200;
/// The deed by which a hub's record goes to another.
const DEED_ELSEWHERE: &str = "record.opened-elsewhere";
/// The deed by which a record is fetched for somebody who is booked.
const DEED_AHEAD: &str = "record.fetch-ahead";
/// The code of notices on how complete what comes from elsewhere is.
pub const NOTICE: &str = "elsewhere";

/// What is held of patients elsewhere, and how it comes.
pub struct Elsewhere {
    held: Held,
    offered: mpsc::Sender<Bytes>,
    heard: watch::Sender<Option<Vec<RecordsHeard>>>,
    answers: watch::Sender<u64>,
    answered: Mutex<VecDeque<String>>,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Elsewhere")
    }
}

/// What takes the centre's messages in, one after another.
pub struct Keeper {
    hub: Arc<Hub>,
    elsewhere: Arc<Elsewhere>,
    offered: mpsc::Receiver<Bytes>,
    told: VecDeque<(crate::domain::ids::HubId, String)>,
    fetched: BTreeMap<NhsNumber, Instant>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// Why a message of the centre is not taken in.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Disk(#[from] CacheError),
    #[error(transparent)]
    Audit(#[from] AuditStopped),
}

impl Hub {
    /// Opens what is held of patients elsewhere in `directory`; once, at the start. Reads and writes the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open_elsewhere(self: &Arc<Self>, directory: &Path) -> Result<Keeper, CacheError> {
        let held = Held::open(Arc::clone(&self.disk), directory, self.cache_time())?;
        // Of which run it was does not matter any more: the centre begins another.
        let heard = held.heard().map(|heard| RecordsHeard { run: 0, number: 0, ..heard });
        self.records_heard.send_replace(Some(heard.into_iter().collect()));
        let (offers, offered) = mpsc::channel(OFFERED_MAX);
        let elsewhere = Arc::new(Elsewhere {
            held,
            offered: offers,
            heard: self.records_heard.clone(),
            answers: watch::Sender::new(0),
            answered: Mutex::default(),
        });
        if self.elsewhere.set(Arc::clone(&elsewhere)).is_err() {
            tracing::warn!("the hub has its records from elsewhere already");
        }
        let (told, fetched) = (VecDeque::new(), BTreeMap::new());
        Ok(Keeper { hub: Arc::clone(self), elsewhere, offered, told, fetched })
    }

    /// Says that somebody here has opened a patient's record, and waits until what others hold of it is here.
    ///
    /// What may be missing after that is in the notices. Nothing is said without the line that is named.
    pub(super) async fn ask_elsewhere(
        &self,
        patient: &NhsNumber,
        opened: Opened,
        within: Duration,
    ) -> Vec<Notice> {
        let Some(elsewhere) = self.elsewhere.get() else { return Vec::new() };
        let line = opened.line.clone();
        let connected = self.centre().state == LinkState::Up;
        if !self.say_opened(patient, &opened).await {
            return vec![notice("unsaid", "")];
        }
        if !connected {
            return vec![notice("offline", "")];
        }
        let mut answers = elsewhere.answers.subscribe();
        let answered = async { while !elsewhere.has_answer(&line) && answers.changed().await.is_ok() {} };
        match timeout(within, answered).await {
            Ok(()) => Vec::new(),
            Err(_) => vec![notice("silent", "")],
        }
    }

    /// Puts what is held of a patient elsewhere to what is known here. Reads the disk.
    pub(super) fn add_elsewhere(&self, patient: &NhsNumber, parts: &mut Parts) -> bool {
        let Some(elsewhere) = self.elsewhere.get() else { return false };
        let Some(record) = elsewhere.held.read(patient, self.cache_time()) else { return false };
        let found = !record.entries.is_empty();
        let as_at = elsewhere.as_at();
        if found && as_at != Timestamp::default() {
            parts.notices.push(notice("as-at", &as_at.to_string()));
        }
        if 0 < record.omitted {
            parts.notices.push(notice("omitted", &record.omitted.to_string()));
        }
        if 0 < record.sealed {
            parts.notices.push(notice("sealed", &record.sealed.to_string()));
        }
        fold::add(parts, patient, record.entries, self.translate);
        found
    }

    /// Makes it durable that this hub holds a record; whether that was possible.
    async fn say_opened(&self, patient: &NhsNumber, opened: &Opened) -> bool {
        let Ok(raw) = cbor::encode(opened) else { return false };
        let now = self.now();
        let summary = Summary { format: OPENED_FORMAT.to_owned(), occurred: Some(now), ..Summary::default() };
        let entry = Entry {
            kind: OPENED_KIND.to_owned(),
            system: OWN_SYSTEM.to_owned(),
            source_id: opened.line.clone(),
            patient: Some(*patient),
            at: now,
            clock: self.clock.quality(),
            body: cbor::encode(&summary).map(Bytes::from).unwrap_or_default(),
            raw: Some(raw.into()),
        };
        let Ok(payload) = cbor::encode(&entry) else { return false };
        let name = [self.identity.id.as_str(), OWN_SYSTEM, OPENED_KIND, &entry.source_id];
        let identity = Some(Identity::of(&name.map(str::as_bytes), &payload));
        // Somebody waits for the answer, as at a desk.
        let append = Append { lane: Lane::of(Class::Booking), identity, payload: payload.into() };
        let verdicts = self.journal.append(vec![append]).await;
        matches!(
            verdicts.as_deref().map(<[Verdict]>::first),
            Ok(Some(Verdict::Committed(_) | Verdict::Duplicate))
        )
    }
}

impl Elsewhere {
    /// Takes a message of the centre; if there is no room now, the centre sends it again.
    pub(super) fn offer(&self, payload: Bytes) {
        if self.offered.try_send(payload).is_err() {
            tracing::debug!("a message on records elsewhere finds no room: it will come again");
        }
    }

    fn has_answer(&self, line: &str) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.iter().any(|known| known == line)
    }

    fn note_answers(&self, down: &RecordsDown) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.extend(down.portions.iter().map(|one| one.answers.clone()).filter(|line| !line.is_empty()));
        let over = answered.len().saturating_sub(ANSWERED_MAX);
        answered.drain(..over);
        drop(answered);
        self.answers.send_modify(|count| *count += 1);
    }

    /// Until when all is durable here that the centre had.
    fn as_at(&self) -> Timestamp {
        let heard = self.heard.borrow();
        heard.iter().flatten().map(|heard| heard.as_at).max().unwrap_or_default()
    }

    /// How a message stands to what was heard before; none if it must not be taken.
    fn next(&self, down: &RecordsDown) -> Option<RecordsHeard> {
        let durable = self.as_at();
        let heard = self.heard.borrow();
        let heard = heard.as_deref().unwrap_or_default();
        let of_run = heard.iter().find(|heard| heard.run == down.run);
        let follows = of_run.map_or(down.number == 1, |heard| heard.number + 1 == down.number);
        // A run that begins behind what is durable here leaves no hole; another one says nothing of how far all is.
        let whole = of_run.is_some_and(|heard| heard.as_at != Timestamp::default()) || down.since <= durable;
        let as_at = if whole { down.as_at } else { Timestamp::default() };
        follows.then_some(RecordsHeard { run: down.run, number: down.number, as_at })
    }
}

impl Keeper {
    /// Goes on until it is dropped.
    pub async fn run(mut self) {
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                payload = self.offered.recv() => match payload {
                    Some(payload) => self.take(&payload).await,
                    None => return,
                },
                () = tokio::time::sleep_until(look_at) => {
                    self.look().await;
                    look_at = Instant::now() + LOOK_EVERY;
                }
            }
        }
    }

    async fn take(&mut self, payload: &[u8]) {
        let Ok(down) = cbor::decode::<RecordsDown>(payload, DOWN_BYTES_MAX) else {
            tracing::warn!("what the centre says of records elsewhere cannot be read: left out");
            return;
        };
        if down.v != VERSION {
            return;
        }
        let Some(heard) = self.elsewhere.next(&down) else { return };
        if let Err(error) = self.keep(&down).await {
            // Not heard: the centre sends it again.
            tracing::warn!(error = &error as &dyn std::error::Error, "records from elsewhere cannot be kept");
            return;
        }
        self.note(heard).await;
        self.elsewhere.note_answers(&down);
    }

    async fn keep(&mut self, down: &RecordsDown) -> Result<(), NotTaken> {
        for opened in &down.opened {
            self.put_down(opened).await?;
        }
        let (elsewhere, portions, now) =
            (Arc::clone(&self.elsewhere), down.portions.clone(), self.hub.cache_time());
        let kept = tokio::task::spawn_blocking(move || {
            portions.into_iter().try_for_each(|portion| keep(&elsewhere.held, portion, now))
        });
        Ok(kept.await.unwrap_or(Ok(()))?)
    }

    /// Puts it down here that a record of which this hub has given something was opened elsewhere.
    async fn put_down(&mut self, told: &OpenedElsewhere) -> Result<(), NotTaken> {
        let key = (told.hub.clone(), told.opened.line.clone());
        if self.told.contains(&key) {
            return Ok(());
        }
        let line = Line {
            at: told.at,
            user: format!("{}/{}", told.hub, told.opened.user),
            name: told.opened.name.clone(),
            roles: told.opened.roles.clone(),
            organisation: told.opened.organisation.clone(),
            deed: DEED_ELSEWHERE.to_owned(),
            outcome: Outcome::Done,
            patient: Some(told.patient),
            handle: told.opened.line.clone(),
            ground: told.opened.ground.clone(),
            ..Line::default()
        };
        self.hub.audit().ok_or(AuditStopped)?.write(line).await?;
        self.told.push_back(key);
        if TOLD_MAX < self.told.len() {
            self.told.pop_front();
        }
        Ok(())
    }

    /// Says to the centre, and for the next start, how far it is durable.
    async fn note(&self, heard: RecordsHeard) {
        let mut runs = self.elsewhere.heard.borrow().clone().unwrap_or_default();
        runs.retain(|known| known.run != heard.run && known.run != 0 || known.as_at > heard.as_at);
        runs.push(heard);
        let over = runs.len().saturating_sub(RUNS_MAX);
        runs.drain(..over);
        let furthest = runs.iter().max_by_key(|known| known.as_at).copied().unwrap_or_default();
        let elsewhere = Arc::clone(&self.elsewhere);
        let noted = tokio::task::spawn_blocking(move || elsewhere.held.note_heard(furthest)).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(error = &error as &dyn std::error::Error, "how far was heard cannot be noted");
        }
        self.elsewhere.heard.send_replace(Some(runs));
    }

    /// Throws away what has ended, and asks for the records of those who are booked.
    async fn look(&mut self) {
        let (hub, elsewhere) = (Arc::clone(&self.hub), Arc::clone(&self.elsewhere));
        let looked = tokio::task::spawn_blocking(move || {
            if let Err(error) = elsewhere.held.sweep(hub.cache_time()) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "ended records could not be removed"
                );
            }
            let booked = hub.booked_patients(AHEAD).unwrap_or_default();
            let wanted = |number: &NhsNumber| {
                let left = elsewhere.held.remaining(number, hub.cache_time());
                left.is_none_or(|left| left < RENEW_BELOW)
            };
            booked.into_iter().map(|one| one.nhs_number).filter(wanted).collect::<Vec<_>>()
        });
        let Ok(wanted) = looked.await else { return };
        self.fetched.retain(|_, at| at.elapsed() < RENEW_BELOW / 2);
        let fetched = &self.fetched;
        let wanted: Vec<NhsNumber> =
            wanted.into_iter().filter(|number| !fetched.contains_key(number)).take(FETCHED_MAX).collect();
        for number in wanted {
            if self.fetch(&number).await.is_err() {
                return;
            }
            self.fetched.insert(number, Instant::now());
        }
    }

    /// Asks for the record of somebody who is booked, on record like anybody else's asking.
    async fn fetch(&self, number: &NhsNumber) -> Result<(), AuditStopped> {
        let hub = &self.hub;
        let line = Line {
            at: hub.now(),
            user: "polygate".to_owned(),
            organisation: hub.identity.ods.clone(),
            deed: DEED_AHEAD.to_owned(),
            patient: Some(*number),
            ground: "booked".to_owned(),
            ..Line::default()
        };
        let written = hub.audit().ok_or(AuditStopped)?.write(line).await?;
        let opened = hub.opened("polygate", "", "", "booked", written.id());
        if !hub.say_opened(number, &opened).await {
            tracing::debug!("a record could not be asked for ahead");
        }
        Ok(())
    }
}

impl Hub {
    /// An [`Opened`] of this hub that begins now.
    pub(super) fn opened(&self, user: &str, name: &str, roles: &str, ground: &str, line: LineId) -> Opened {
        Opened {
            v: VERSION,
            until: self.now().plus(Duration::from_millis(HELD_MAX_MS.unsigned_abs())),
            user: user.to_owned(),
            name: name.to_owned(),
            roles: roles.to_owned(),
            organisation: self.identity.ods.clone(),
            ground: ground.to_owned(),
            line: line.to_string(),
        }
    }
}

/// Keeps a portion. What there is no room for is left out and said: it would find no room the next time either.
fn keep(held: &Held, portion: crate::domain::elsewhere::Portion, now: CacheTime) -> Result<(), CacheError> {
    match held.take(portion, now) {
        Err(error @ CacheError::Disk { .. }) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "a record from elsewhere is not kept");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn notice(what: &str, more: &str) -> Notice {
    let text = if more.is_empty() { what.to_owned() } else { format!("{what} {more}") };
    Notice { system: String::new(), code: NOTICE.to_owned(), text }
}
