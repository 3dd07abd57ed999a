//! Counting contacts: what is journalled becomes statements, statements become contacts, and the centre is told the
//! statements, so that it makes the same contacts of them.
//!
//! A task follows the journal with a cursor of its own; nothing waits for it. Each entry's statements go on to the centre as
//! an entry of class `activity`, named after the entry that they came of: told again after a restart, it is the same entry.
//! What has been counted is kept every few hours; until then the journal keeps what it is made of.

mod books;
mod desk;
mod keep;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use crate::{
    activity::{
        derive::{Change, Ledger, Refused, Taken},
        maps::{Maps, ToldMaps, day_of},
        quality::rules::rule,
        returns::{Answers, Build},
    },
    booking::act::ACT_KIND,
    codec::cbor,
    domain::{
        contact::{
            Contact, ContactId, EVIDENCE_FORMAT, EVIDENCE_KIND, Evidence, MAPS_FORMAT, MAPS_KIND, Month,
        },
        entry::{Entry, Summary},
        ids::Class,
        time::{ClockQuality, Timestamp},
    },
    journal::{Append, Identity, Lane, LogReader, Position, Record, Verdict},
    sys::{blocking::blocking, clock::Clock},
};

use super::{alarm::AlarmCode, book, hub::Hub, matches::OWN_SYSTEM, receive::decode};
use books::Books;
use keep::Keep;

pub use crate::activity::{
    returns::{ReturnKind, Version},
    summary::MonthSummary,
};
pub use books::{Account, BookError, Entry as ContactEntry, Terms};

/// Counting's name as a consumer of the journal.
pub const COUNT: &str = "count";
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 1_000;
const IDLE: Duration = Duration::from_millis(200);
/// How long to wait after the journal or the disk has refused something.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is kept at the latest, and after how many new statements: a restart reads the journal from there, and
/// each time the whole is written.
const KEEP_EVERY: Duration = Duration::from_hours(6);
const KEEP_STATEMENTS: usize = 100_000;
/// Months before this one that stay open: those for which returns are still corrected as a rule.
const MONTHS_OPEN: i32 = 3;

/// What is counted. The pages and the admin socket read it.
pub struct Counting {
    terms: Terms,
    clock: Arc<dyn Clock>,
    /// Where its files are, for people.
    folder: PathBuf,
    inner: Mutex<Inner>,
    /// Files are built one after another; counting goes on meanwhile.
    books: Mutex<Books>,
}

struct Inner {
    ledger: Ledger,
    keep: Keep,
    /// Statements that could not be taken, by why, since the start.
    refused: u64,
    caught_up: bool,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

/// How counting stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CountStatus {
    /// Open statements.
    pub statements: usize,
    /// Statements that could not be taken since the start.
    pub refused: u64,
    /// It has read all that is journalled.
    pub caught_up: bool,
}

/// The task.
pub struct Counter {
    hub: Arc<Hub>,
    counting: Arc<Counting>,
    position: Position,
    kept: (Instant, usize),
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counter")
    }
}

/// Why a chunk is read again later.
#[derive(Debug, thiserror::Error)]
enum NotCounted {
    #[error("the journal takes nothing")]
    Journal,
    #[error("what was put away cannot be opened again")]
    Shelf(#[source] io::Error),
}

impl Hub {
    /// Opens what has been counted in `directory`; once, at the start. Reads the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open_counting(self: &Arc<Self>, directory: &Path, terms: Terms) -> io::Result<Counter> {
        let (keep, ledger, position) =
            Keep::open(Arc::clone(&self.disk), directory, Arc::clone(&terms.maps))?;
        let books = Books::open(Arc::clone(&self.disk), &directory.join("returns"))?;
        let beginning = self.journal.shared().beginning();
        if position.is_none_or(|position| position < beginning) && beginning != Position::default() {
            let text = "the journal let go of messages before their contacts were counted";
            self.alarms.raise(AlarmCode::CountIncomplete, "", text, self.now());
        }
        let statements = ledger.open_statements();
        let inner = Inner { ledger, keep, refused: 0, caught_up: false };
        let counting = Arc::new(Counting {
            terms,
            clock: Arc::clone(&self.clock),
            folder: directory.join("returns"),
            inner: Mutex::new(inner),
            books: Mutex::new(books),
        });
        if self.counting.set(Arc::clone(&counting)).is_err() {
            tracing::warn!("the hub counts already");
        }
        let position = position.unwrap_or(beginning);
        Ok(Counter { hub: Arc::clone(self), counting, position, kept: (Instant::now(), statements) })
    }

    /// What is counted, if anything is.
    pub fn counting(&self) -> Option<Arc<Counting>> {
        self.counting.get().cloned()
    }
}

impl Counting {
    /// How it stands.
    pub fn status(&self) -> CountStatus {
        let inner = self.lock();
        let (statements, refused) = (inner.ledger.open_statements(), inner.refused);
        CountStatus { statements, refused, caught_up: inner.caught_up }
    }

    /// The contact to which a name leads.
    pub fn contact(&self, id: ContactId) -> Option<Contact> {
        self.lock().ledger.contact(id)
    }

    /// The contacts of a month, by day and name. A month that was put away is opened again.
    ///
    /// # Errors
    /// What was put away cannot be read.
    pub fn month(&self, month: Month) -> io::Result<Vec<Contact>> {
        let mut inner = self.lock();
        if inner.ledger.closed_months().any(|closed| closed == month) {
            inner.reopen(&BTreeSet::from([month]))?;
        }
        let mut contacts: Vec<Contact> =
            inner.ledger.contacts().filter(|contact| contact.month() == month).collect();
        drop(inner);
        contacts.sort_by_key(|contact| (contact.day, contact.id));
        Ok(contacts)
    }

    /// The moment now, by the hub's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where the files of returns are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a rule of data quality is about, in words; empty if there is no such rule.
    pub fn rule(&self, id: &str) -> &'static str {
        rule(id).map_or("", |rule| rule.what)
    }

    /// One contact of an open month, with what is to be said of it.
    pub fn entry(&self, id: ContactId, now: Timestamp) -> Option<ContactEntry> {
        let contact = self.contact(id)?;
        let answered = self.books().answered.clone();
        books::entries(vec![contact], &self.terms, &answered, now).pop()
    }

    /// What services and slot types are.
    pub fn maps(&self) -> &Maps {
        &self.terms.maps
    }

    /// The contacts of a month, each with where it is counted, what is wrong with it and what its receiver said. Takes
    /// some seconds for a hundred thousand.
    ///
    /// # Errors
    /// What was put away cannot be read.
    pub fn entries(&self, month: Month, now: Timestamp) -> io::Result<Vec<ContactEntry>> {
        let contacts = self.month(month)?;
        let answered = self.books().answered.clone();
        Ok(books::entries(contacts, &self.terms, &answered, now))
    }

    /// A month as it adds up.
    ///
    /// # Errors
    /// What was put away cannot be read.
    pub fn account(&self, month: Month, now: Timestamp) -> io::Result<Account> {
        Ok(books::account(month, &self.entries(month, now)?))
    }

    /// Builds the next version of every return into which something of the month goes, or of those that are named.
    ///
    /// # Errors
    /// See [`BookError`]; what was built before it stays.
    pub fn build(&self, month: Month, kinds: &[ReturnKind], now: Timestamp) -> Result<Vec<Build>, BookError> {
        let entries = self.entries(month, now)?;
        let wanted = if kinds.is_empty() { books::kinds(&entries) } else { kinds.iter().copied().collect() };
        let contacts: Vec<Contact> = entries.into_iter().map(|entry| entry.contact).collect();
        let mut books = self.books();
        wanted.into_iter().map(|kind| books.build((month, kind), &self.terms, &contacts, now)).collect()
    }

    /// Every version that was built, in the order of building.
    pub fn builds(&self) -> Vec<Build> {
        self.books().builds().to_vec()
    }

    /// A file that was built; none of that name.
    ///
    /// # Errors
    /// The disk fails.
    pub fn file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.books().file(name)
    }

    /// Notes that a version was submitted.
    ///
    /// # Errors
    /// There is no such version, a later one was submitted, or the disk fails.
    pub fn submitted(&self, build: (Month, ReturnKind, Version), now: Timestamp) -> Result<(), BookError> {
        let sent = self.books().submitted(build, now)?;
        // Under these names the receiver knows them: they stay theirs.
        let mut inner = self.lock();
        for id in sent {
            // What follows is in the ledger.
            drop(inner.ledger.pin(id, now));
        }
        Ok(())
    }

    /// Takes a receiver's report of what it accepted and what it did not.
    ///
    /// # Errors
    /// It is no such table, or the disk fails; lines that cannot be taken are in the result.
    pub fn answer(&self, kind: ReturnKind, report: &[u8]) -> Result<Answers, BookError> {
        self.books().answer(kind, report, &self.terms)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes a statement; months that it bears on are opened first.
    fn take(&mut self, statement: Evidence) -> io::Result<Vec<Change>> {
        // Opened once, they are open.
        for _ in 0..2 {
            match self.ledger.take(statement.clone()) {
                Ok(Taken::Changed(changes)) => return Ok(changes),
                Ok(Taken::Repeated) => return Ok(Vec::new()),
                Ok(Taken::Closed(months)) => self.reopen(&months)?,
                Err(refused) => {
                    self.note(refused);
                    return Ok(Vec::new());
                }
            }
        }
        Ok(Vec::new())
    }

    fn reopen(&mut self, months: &BTreeSet<Month>) -> io::Result<()> {
        for month in months {
            if let Some(shelf) = self.keep.shelf(*month)? {
                tracing::info!(%month, "a month is opened again");
                self.ledger.reopen(shelf).map_err(|refused| io::Error::other(refused.to_string()))?;
            }
        }
        Ok(())
    }

    fn note(&mut self, refused: Refused) {
        self.refused += 1;
        if self.refused.is_power_of_two() {
            tracing::error!(%refused, count = self.refused, "a statement cannot be counted");
        }
    }
}

impl Counter {
    /// Goes on until `stop` says true, and keeps what it has counted.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while self.tell_maps().await.is_err() {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
        while !*stop.borrow() {
            let wait = self.step().await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        self.keep().await;
    }

    /// Counts what is there; how long to wait then.
    async fn step(&mut self) -> Duration {
        let shared = Arc::clone(self.hub.journal.shared());
        let mut reader = LogReader::new(shared, self.position);
        let chunk = match blocking(|| reader.read(READ_BYTES, READ_ENTRIES)) {
            Ok(chunk) => chunk,
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be followed: counting waits");
                return AGAIN;
            }
        };
        let moved = !chunk.records.is_empty() || 0 < chunk.damaged_bytes;
        if moved {
            if let Err(error) = self.count(&chunk.records).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "contacts are counted later");
                return AGAIN;
            }
            self.position = chunk.next;
        }
        self.counting.lock().caught_up = !moved;
        let grown = self.counting.status().statements.abs_diff(self.kept.1);
        if KEEP_STATEMENTS <= grown || KEEP_EVERY <= self.kept.0.elapsed() {
            self.keep().await;
        }
        if moved { Duration::ZERO } else { IDLE }
    }

    /// Counts entries, and tells the centre what they say before the next are read.
    async fn count(&self, records: &[Record]) -> Result<(), NotCounted> {
        let told: Vec<(Identity, Vec<Evidence>)> =
            blocking(|| records.iter().filter_map(|record| statements_in(&self.hub, record)).collect());
        let appends = told.iter().filter_map(|(of, statements)| self.entry(*of, statements)).collect();
        self.tell(appends).await?;
        let mut inner = self.counting.lock();
        for statement in told.into_iter().flat_map(|(_, statements)| statements) {
            inner.take(statement).map_err(NotCounted::Shelf)?;
        }
        Ok(())
    }

    /// Tells the centre what services and slot types are here, unless it was told just that.
    async fn tell_maps(&self) -> Result<(), NotCounted> {
        let maps = self.counting.maps();
        let told = ToldMaps {
            v: 1,
            services: maps.services().cloned().collect(),
            rows: maps.rows().cloned().collect(),
        };
        let raw = cbor::encode(&told).unwrap_or_default();
        let of = Identity::of(&[MAPS_KIND.as_bytes(), &raw], &raw);
        let entry = self.activity_entry(MAPS_KIND, MAPS_FORMAT, of, (self.hub.now(), self.hub.now()), raw);
        self.tell(entry.into_iter().collect()).await
    }

    async fn tell(&self, appends: Vec<Append>) -> Result<(), NotCounted> {
        if appends.is_empty() {
            return Ok(());
        }
        let verdicts = self.hub.journal.append(appends).await.map_err(|_| NotCounted::Journal)?;
        let known = |verdict: &Verdict| {
            matches!(
                verdict,
                Verdict::Committed(_) | Verdict::Duplicate | Verdict::Conflict | Verdict::WrongSize
            )
        };
        if verdicts.iter().all(known) { Ok(()) } else { Err(NotCounted::Journal) }
    }

    /// The entry that tells the centre.
    fn entry(&self, of: Identity, statements: &[Evidence]) -> Option<Append> {
        let first = statements.first()?;
        let raw = cbor::encode(&statements).ok()?;
        self.activity_entry(EVIDENCE_KIND, EVIDENCE_FORMAT, of, (first.at, first.taken), raw)
    }

    fn activity_entry(
        &self,
        kind: &str,
        format: &str,
        of: Identity,
        (occurred, taken): (Timestamp, Timestamp),
        raw: Vec<u8>,
    ) -> Option<Append> {
        let summary = Summary {
            format: format.to_owned(),
            sender: OWN_SYSTEM.to_owned(),
            occurred: Some(occurred),
            ..Summary::default()
        };
        let entry = Entry {
            kind: kind.to_owned(),
            system: OWN_SYSTEM.to_owned(),
            source_id: of.id(),
            // Whose it is stands inside; the centre's relay of records has no use for it.
            patient: None,
            at: taken,
            clock: ClockQuality::default(),
            body: cbor::encode(&summary).map(Bytes::from).ok()?,
            raw: Some(raw.into()),
        };
        let payload = cbor::encode(&entry).map(Bytes::from).ok()?;
        let name = [self.hub.identity.id.as_str(), OWN_SYSTEM, kind, &entry.source_id];
        // The same told again is the same, whenever it is told.
        let identity = Some(Identity::of(&name.map(str::as_bytes), entry.raw.as_deref().unwrap_or_default()));
        Some(Append { lane: Lane::of(Class::Activity), identity, payload })
    }

    /// Puts away old months, and keeps the whole; then the journal may let go.
    async fn keep(&mut self) {
        let (counting, position) = (Arc::clone(&self.counting), self.position);
        let oldest = Month::at(self.hub.now()).map(oldest_open);
        let kept = tokio::task::spawn_blocking(move || counting.lock().keep_all(oldest, position)).await;
        self.kept = (Instant::now(), self.counting.status().statements);
        match kept {
            Ok(Ok(())) => {
                self.hub.alarms.clear(AlarmCode::CountFailing, "");
                if self.hub.journal.advance(COUNT, position).await.is_err() {
                    tracing::debug!("the journal has ended");
                }
            }
            Ok(Err(error)) => {
                let text = format!("what is counted cannot be kept: {error}");
                self.hub.alarms.raise(AlarmCode::CountFailing, "", text, self.hub.now());
            }
            Err(_) => tracing::error!("keeping what is counted has failed"),
        }
    }
}

impl Inner {
    fn keep_all(&mut self, oldest: Option<Month>, position: Position) -> io::Result<()> {
        let months: BTreeSet<Month> = self.ledger.statements().map(|one| Month::of(day_of(&one))).collect();
        for month in months.into_iter().filter(|month| oldest.is_some_and(|oldest| *month < oldest)) {
            if let Some(shelf) = self.ledger.put_away(month) {
                self.keep.shelve(shelf)?;
            }
        }
        self.keep.save(&self.ledger, position)
    }
}

/// The oldest month that stays open.
fn oldest_open(now: Month) -> Month {
    Month::of(now.first_day().saturating_sub(jiff::Span::new().months(MONTHS_OPEN)))
}

/// What an entry of the journal says of contacts, and which entry it is; none if nothing.
fn statements_in(hub: &Hub, record: &Record) -> Option<(Identity, Vec<Evidence>)> {
    record.placed.lane.class()?;
    let identity = record.identity?;
    let entry = decode(&record.payload)?;
    let statements = if entry.system == OWN_SYSTEM {
        let act = (entry.kind == ACT_KIND).then(|| book::act_in(&entry)).flatten()?;
        desk::statements(&hub.identity.id, &act, entry.at)
    } else {
        // Most messages are results, which say nothing here: they are not read at all.
        let event = record::may_tell(&entry.kind).then(|| (hub.translate)(&entry)).flatten()?;
        record::statements(&hub.identity.id, &entry, &event, &identity.id())
    };
    (!statements.is_empty()).then_some((identity, statements))
}
