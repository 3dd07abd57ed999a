//! The PostgreSQL store (14 or newer). Loopback or a Unix socket: TLS to the database is not spoken.
//!
//! Each stream has one row, locked while a batch is committed, so that any number of workers and processes
//! agree on what is there. A commit is synchronous whatever the server's default; a server that runs with
//! `fsync = off` cannot be defended against, and is complained about when the store is opened. Statements are
//! prepared once for each connection, so that a pooler in between must pass sessions, not transactions.

use std::{pin::pin, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction};
use tokio::time::timeout;
use tokio_postgres::{Error, IsolationLevel, NoTls, Row, types::ToSql};

use crate::booking::act::ACT_KIND;
use crate::domain::{
    audit::CHECKPOINT_KIND,
    entry::{AbsentReason, Receipt, Refused, WIRE_VERSION},
    ids::{Class, Epoch, HubId, Sequence, SequenceRange},
    time::{ClockQuality, Timestamp},
};

use super::{
    ACTS_MAX, ActCursor, CONFLICT, Checked, CommitError, Committed, Filter, StoreError, StoredAct,
    StoredEntry, StreamStatus, naming,
};

/// Connections kept: one for each worker and a few for questions.
const CONNECTIONS_MAX: usize = 16;
/// How long to wait for a connection, new or free.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a commit may take before its connection is given up: the largest batch on a slow disk, behind
/// another of the same stream. Longer than what the server is told below, so that its reasons are heard.
const COMMIT_WITHIN: Duration = Duration::from_secs(90);
/// Any number that is always the same: only one process migrates at a time.
const MIGRATION_LOCK: i64 = 0x706f_6c79;
const MIGRATIONS: [&str; 2] = [include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];
/// A server may be set up to answer before it has written, which would make every receipt a lie; if it waits
/// for its standby to apply as well, it may. A centre that has stopped or vanished in the middle of a commit
/// must not hold a stream for ever.
const SETTINGS: &str = "\
    SELECT set_config('synchronous_commit', 'on', true) \
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply'); \
    SET LOCAL lock_timeout = '20s'; SET LOCAL statement_timeout = '60s'; \
    SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// A PostgreSQL store.
#[derive(Debug)]
pub struct Postgres {
    pub(super) pool: Pool,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// The URL is wrong, the server cannot be reached, or the schema is newer than this program.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let config: tokio_postgres::Config = url
            .parse()
            .map_err(|_| StoreError("the database is written postgres://user@host/database".to_owned()))?;
        let manager =
            Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_WITHIN))
            .create_timeout(Some(CONNECT_WITHIN))
            .build()
            .map_err(failed)?;
        let store = Self { pool };
        store.migrate().await?;
        store.complain().await?;
        Ok(store)
    }

    /// Says so if the server's own settings undo what receipts promise.
    async fn complain(&self) -> Result<(), StoreError> {
        let client = self.pool.get().await.map_err(failed)?;
        let query =
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'";
        for row in client.query(query, &[]).await.map_err(failed)? {
            let setting: String = row.get(0);
            tracing::error!(
                setting,
                "the database runs with a setting off that durability needs: receipts are not to be trusted"
            );
        }
        Ok(())
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut client = self.pool.get().await.map_err(failed)?;
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.map_err(failed)?;
        transaction
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS schema_migration \
                 (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
            )
            .await
            .map_err(failed)?;
        let row = transaction
            .query_one("SELECT coalesce(max(version), 0) FROM schema_migration", &[])
            .await
            .map_err(failed)?;
        let present = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
        if MIGRATIONS.len() < present {
            let text = format!("its schema is version {present}, this program knows {}", MIGRATIONS.len());
            return Err(StoreError(text));
        }
        for (version, migration) in (1_i32..).zip(MIGRATIONS).skip(present) {
            transaction.batch_execute(migration).await.map_err(failed)?;
            let recorded = "INSERT INTO schema_migration (version) VALUES ($1)";
            transaction.execute(recorded, &[&version]).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// See [`super::Store::commit`].
    ///
    /// # Errors
    /// The database cannot be reached, or said no.
    pub async fn commit(&self, batch: &Checked, now: Timestamp) -> Result<Committed, CommitError> {
        let mut client = self.pool.get().await.map_err(|error| CommitError::Unavailable(failed(error)))?;
        let failure = match timeout(COMMIT_WITHIN, attempt(&mut client, batch, now)).await {
            Ok(Ok(committed)) => return Ok(committed),
            Ok(Err(error)) if is_about_the_data(&error) => CommitError::Unstorable(failed(error).0),
            Ok(Err(error)) => CommitError::Unavailable(failed(error)),
            Err(_) => CommitError::Unavailable(StoreError("the database does not answer".to_owned())),
        };
        // Whatever ails the connection or its prepared statements, the next attempt has a new one.
        drop(Object::take(client));
        Err(failure)
    }

    /// See [`super::Store::streams`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn streams(&self) -> Result<Vec<StreamStatus>, StoreError> {
        let client = self.pool.get().await.map_err(failed)?;
        let query = "SELECT hub, class, epoch, entries, duplicates, refused, absent, \
                     ARRAY(SELECT lower(part) FROM unnest(covered) part), \
                     ARRAY(SELECT upper(part) FROM unnest(covered) part), conflicts, \
                     (extract(epoch FROM received_at) * 1000)::bigint \
                     FROM stream ORDER BY hub, class, epoch";
        let rows = client.query(query, &[]).await.map_err(failed)?;
        Ok(rows.iter().filter_map(stream_status).collect())
    }

    /// See [`super::Store::entries`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn entries(
        &self,
        filter: &Filter,
        mut each: impl FnMut(StoredEntry) -> bool + Send,
    ) -> Result<(), StoreError> {
        use futures_util::TryStreamExt;
        let client = self.pool.get().await.map_err(failed)?;
        let query = "SELECT hub, class, epoch, seq, id, system, kind, source_id, patient, \
                     (extract(epoch FROM received_at) * 1000)::bigint FROM entry \
                     WHERE ($1::text IS NULL OR hub = $1) AND ($2::smallint IS NULL OR class = $2) \
                     AND ($3::text IS NULL OR source_id = $3) ORDER BY hub, class, epoch, seq";
        let hub = filter.hub.as_ref().map(HubId::as_str);
        let class = filter.class.map(class_number);
        let parameters: [&(dyn ToSql + Sync); 3] = [&hub, &class, &filter.source_id];
        let rows = client.query_raw(query, parameters).await.map_err(failed)?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            if let Some(entry) = stored_entry(&row)
                && !each(entry)
            {
                break;
            }
        }
        Ok(())
    }

    /// See [`super::Store::checkpoints`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn checkpoints(
        &self,
        hub: &HubId,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<(), StoreError> {
        use futures_util::TryStreamExt;
        let client = self.pool.get().await.map_err(failed)?;
        let query = "SELECT raw FROM entry WHERE hub = $1 AND class = $2 AND kind = $3 AND raw IS NOT NULL \
                     ORDER BY epoch, seq";
        let (hub, class) = (hub.as_str(), class_number(Class::Activity));
        let parameters: [&(dyn ToSql + Sync); 3] = [&hub, &class, &CHECKPOINT_KIND];
        let rows = client.query_raw(query, parameters).await.map_err(failed)?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            if !each(row.get(0)) {
                break;
            }
        }
        Ok(())
    }

    /// See [`super::Store::acts`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) async fn acts(
        &self,
        cursor: &mut ActCursor,
        since: Timestamp,
    ) -> Result<Vec<StoredAct>, StoreError> {
        let client = self.pool.get().await.map_err(failed)?;
        let mut found = Vec::new();
        // Workers' clocks may differ by this; without it, every stream there ever was is looked at each time.
        let lately = Timestamp(cursor.newest.0.saturating_sub(60_000));
        let query = "SELECT hub, epoch, coalesce((SELECT upper(part) - 1 FROM unnest(covered) part \
                     WHERE lower(part) <= 1), 0), (extract(epoch FROM received_at) * 1000)::bigint FROM stream \
                     WHERE class = $1 AND timestamptz 'epoch' + $2::bigint * interval '1 millisecond' \
                     <= received_at ORDER BY hub, epoch";
        let class = class_number(Class::Booking);
        for stream in client.query(query, &[&class, &lately.0]).await.map_err(failed)? {
            let Ok(hub) = stream.get::<_, &str>(0).parse::<HubId>() else { continue };
            let (epoch, through) = (Epoch(unsigned(stream.get(1))), unsigned(stream.get(2)));
            let place = (hub.clone(), epoch);
            cursor.newest = cursor.newest.max(Timestamp(stream.get(3)));
            let known = *cursor.streams.entry(place.clone()).or_insert(0);
            if through <= known {
                continue;
            }
            let query = "SELECT seq, raw, (extract(epoch FROM received_at) * 1000)::bigint FROM entry \
                         WHERE hub = $1 AND class = $2 AND epoch = $3 AND $4 < seq AND seq <= $5 AND kind = $6 \
                         AND raw IS NOT NULL AND timestamptz 'epoch' + $7::bigint * interval '1 millisecond' \
                         <= received_at ORDER BY seq LIMIT $8";
            let epoch_number = number(epoch.0);
            let limit = i64::try_from(ACTS_MAX).unwrap_or(i64::MAX);
            let parameters: Parameters<'_> = &[
                &hub.as_str(),
                &class,
                &epoch_number,
                &number(known),
                &number(through),
                &ACT_KIND,
                &since.0,
                &limit,
            ];
            let rows = client.query(query, parameters).await.map_err(failed)?;
            let whole = rows.len() < ACTS_MAX;
            let last = rows.last().map_or(known, |row| unsigned(row.get(0)));
            // What is no act is passed over; there may be more acts if there were as many as fit.
            cursor.streams.insert(place, if whole { through } else { last });
            found.extend(rows.iter().map(|row| StoredAct {
                hub: hub.clone(),
                epoch,
                raw: row.get::<_, Vec<u8>>(1).into(),
                received: Timestamp(row.get(2)),
            }));
        }
        Ok(found)
    }
}

/// Commits a batch in one transaction.
async fn attempt(client: &mut Object, batch: &Checked, now: Timestamp) -> Result<Committed, Error> {
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await?;
    let committed = Committing { transaction: &transaction, batch, now }.run().await?;
    transaction.commit().await?;
    Ok(committed)
}

/// What a transaction adds to its stream's counts.
#[derive(Default)]
struct Counts {
    new: u64,
    duplicates: u64,
    refused: u64,
    conflicts: u64,
    absent: u64,
}

/// One batch in one transaction.
struct Committing<'a> {
    transaction: &'a Transaction<'a>,
    batch: &'a Checked,
    now: Timestamp,
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Committing<'_> {
    async fn run(&self) -> Result<Committed, Error> {
        self.transaction.batch_execute(SETTINGS).await?;
        self.lock().await?;
        let sent = self.batch.entries.len() as u64;
        let new = self.insert_entries().await?;
        let conflicts = if new < sent { self.conflicts().await? } else { Vec::new() };
        let duplicates = sent - new - conflicts.len() as u64;
        let malformed = self.batch.refused.iter().map(|one| (number(one.seq), one.reason.as_str()));
        let malformed = self.insert_refused(malformed.unzip()).await?;
        let second = conflicts.iter().map(|seq| (*seq, CONFLICT)).unzip();
        let second = self.insert_refused(second).await?;
        let absent = self.insert_absent().await?;
        let counts = Counts { new, duplicates, refused: malformed + second, conflicts: second, absent };
        let receipt = self.cover(&counts).await?;
        Ok(Committed { new, duplicates, conflicts: conflicts.len() as u64, receipt })
    }

    fn key(&self) -> (&str, i16, i64) {
        (self.batch.hub.as_str(), class_number(self.batch.class), number(self.batch.epoch.0))
    }

    async fn execute(&self, statement: &str, parameters: Parameters<'_>) -> Result<u64, Error> {
        let prepared = self.transaction.prepare_cached(statement).await?;
        self.transaction.execute(&prepared, parameters).await
    }

    async fn query(&self, statement: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        let prepared = self.transaction.prepare_cached(statement).await?;
        self.transaction.query(&prepared, parameters).await
    }

    /// Locks the stream's row until the transaction ends; makes it if it is the stream's first batch.
    async fn lock(&self) -> Result<(), Error> {
        let (hub, class, epoch) = self.key();
        let lock = "SELECT 1 FROM stream WHERE hub = $1 AND class = $2 AND epoch = $3 FOR UPDATE";
        if self.query(lock, &[&hub, &class, &epoch]).await?.is_empty() {
            let make = "INSERT INTO stream (hub, class, epoch) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            self.execute(make, &[&hub, &class, &epoch]).await?;
            self.query(lock, &[&hub, &class, &epoch]).await?;
        }
        Ok(())
    }

    /// Returns how many were not there.
    async fn insert_entries(&self) -> Result<u64, Error> {
        let entries = &self.batch.entries;
        if entries.is_empty() {
            return Ok(0);
        }
        let (hub, class, epoch) = self.key();
        let numbers: Vec<i64> = entries.iter().map(|entry| number(entry.seq)).collect();
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let systems: Vec<&str> = entries.iter().map(|entry| entry.system.as_str()).collect();
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        let names: Vec<&str> = entries.iter().map(|entry| entry.source_id.as_str()).collect();
        let patients: Vec<Option<&str>> = entries.iter().map(|entry| entry.patient.as_deref()).collect();
        let moments: Vec<i64> = entries.iter().map(|entry| entry.at.0).collect();
        let clocks: Vec<bool> =
            entries.iter().map(|entry| entry.clock == ClockQuality::Synchronised).collect();
        let bodies: Vec<&[u8]> = entries.iter().map(|entry| entry.body.as_ref()).collect();
        let raws: Vec<Option<&[u8]>> = entries.iter().map(|entry| entry.raw.as_deref()).collect();
        let insert = "INSERT INTO entry (hub, class, epoch, seq, id, system, kind, source_id, patient, at, \
                      clock_synchronised, body, raw, received_at) \
                      SELECT $1, $2, $3, seq, id, system, kind, source_id, patient, \
                      timestamptz 'epoch' + at * interval '1 millisecond', clock, body, raw, \
                      timestamptz 'epoch' + $14::bigint * interval '1 millisecond' \
                      FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], \
                      $10::bigint[], $11::boolean[], $12::bytea[], $13::bytea[]) \
                      AS new (seq, id, system, kind, source_id, patient, at, clock, body, raw) \
                      ON CONFLICT (hub, class, epoch, seq) DO NOTHING";
        let parameters: Parameters<'_> = &[
            &hub,
            &class,
            &epoch,
            &numbers,
            &ids,
            &systems,
            &kinds,
            &names,
            &patients,
            &moments,
            &clocks,
            &bodies,
            &raws,
            &self.now.0,
        ];
        self.execute(insert, parameters).await
    }

    /// Numbers that another entry has.
    async fn conflicts(&self) -> Result<Vec<i64>, Error> {
        let (hub, class, epoch) = self.key();
        let numbers: Vec<i64> = self.batch.entries.iter().map(|entry| number(entry.seq)).collect();
        let ids: Vec<&str> = self.batch.entries.iter().map(|entry| entry.id.as_str()).collect();
        let query = "SELECT entry.seq FROM entry JOIN unnest($4::bigint[], $5::text[]) AS sent (seq, id) \
                     ON entry.seq = sent.seq WHERE hub = $1 AND class = $2 AND epoch = $3 AND entry.id <> sent.id";
        let rows = self.query(query, &[&hub, &class, &epoch, &numbers, &ids]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Returns how many were not known to be refused.
    async fn insert_refused(&self, (numbers, reasons): (Vec<i64>, Vec<&str>)) -> Result<u64, Error> {
        if numbers.is_empty() {
            return Ok(0);
        }
        let (hub, class, epoch) = self.key();
        let insert = "INSERT INTO refusal (hub, class, epoch, seq, reason) \
                      SELECT $1, $2, $3, seq, reason FROM unnest($4::bigint[], $5::text[]) AS new (seq, reason) \
                      ON CONFLICT DO NOTHING";
        self.execute(insert, &[&hub, &class, &epoch, &numbers, &reasons]).await
    }

    /// How many numbers are now known to be absent that were not before.
    async fn insert_absent(&self) -> Result<u64, Error> {
        let (hub, class, epoch) = self.key();
        let mut total: u64 = 0;
        for absent in &self.batch.absent {
            let reason = match absent.reason {
                AbsentReason::Damaged => "damaged",
                AbsentReason::Parked => "parked",
            };
            let insert = "INSERT INTO absence (hub, class, epoch, first, last, reason) \
                          VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            let (first, last) = (number(absent.first), number(absent.last));
            let rows = self.execute(insert, &[&hub, &class, &epoch, &first, &last, &reason]).await?;
            total = total.saturating_add(rows * (absent.last - absent.first + 1));
        }
        Ok(total)
    }

    /// Notes what is covered now, and says so.
    async fn cover(&self, counts: &Counts) -> Result<Receipt, Error> {
        let (hub, class, epoch) = self.key();
        let (first, behind) = (number(self.batch.first), number(self.batch.last + 1));
        let Counts { new, duplicates, refused, conflicts, absent } = *counts;
        let [new, duplicates, refused, conflicts, absent] =
            [new, duplicates, refused, conflicts, absent].map(number);
        let update = "UPDATE stream SET covered = covered + int8multirange(int8range($4, $5)), \
                      entries = entries + $6, duplicates = duplicates + $7, refused = refused + $8, \
                      conflicts = conflicts + $9, absent = absent + $10, \
                      received_at = timestamptz 'epoch' + $11::bigint * interval '1 millisecond' \
                      WHERE hub = $1 AND class = $2 AND epoch = $3 \
                      RETURNING ARRAY(SELECT lower(part) FROM unnest(covered) part), \
                      ARRAY(SELECT upper(part) FROM unnest(covered) part)";
        let parameters: Parameters<'_> = &[
            &hub,
            &class,
            &epoch,
            &first,
            &behind,
            &new,
            &duplicates,
            &refused,
            &conflicts,
            &absent,
            &self.now.0,
        ];
        let rows = self.query(update, parameters).await?;
        let bounds = |column| rows.first().map(|row| row.get::<usize, Vec<i64>>(column)).unwrap_or_default();
        let (through, _, gaps) = ranges(&bounds(0), &bounds(1));
        let (ahead, behind) = self.refusals().await?;
        let said = naming::say(through, gaps, ahead, behind);
        Ok(Receipt {
            v: WIRE_VERSION,
            hub: self.batch.hub.clone(),
            class: self.batch.class,
            epoch: self.batch.epoch,
            through: said.through,
            gaps: said.gaps,
            at: self.now,
            refused: said.refused,
        })
    }

    /// Refusals above what the hub has confirmed, ascending, and below it, descending; some of each.
    async fn refusals(&self) -> Result<(Vec<Refused>, Vec<Refused>), Error> {
        let (hub, class, epoch) = self.key();
        let confirmed = number(self.batch.confirmed.unwrap_or(self.batch.first - 1));
        let room = i64::try_from(Receipt::REFUSED_MAX).unwrap_or(i64::MAX - 1);
        let read = |row: &Row| Refused { seq: unsigned(row.get(0)), reason: row.get(1) };
        let ahead = "SELECT seq, reason FROM refusal WHERE hub = $1 AND class = $2 AND epoch = $3 \
                     AND $4 < seq ORDER BY seq LIMIT $5";
        let ahead = self.query(ahead, &[&hub, &class, &epoch, &confirmed, &(room + 1)]).await?;
        let behind = "SELECT seq, reason FROM refusal WHERE hub = $1 AND class = $2 AND epoch = $3 \
                      AND seq <= $4 ORDER BY seq DESC LIMIT $5";
        let behind = self.query(behind, &[&hub, &class, &epoch, &confirmed, &room]).await?;
        Ok((ahead.iter().map(read).collect(), behind.iter().map(read).collect()))
    }
}

/// Through, highest and gaps of a multirange given by its lower and (excluded) upper bounds.
fn ranges(lowers: &[i64], uppers: &[i64]) -> (Sequence, Sequence, Vec<SequenceRange>) {
    let mut coverage = super::super::coverage::Coverage::default();
    for (lower, upper) in lowers.iter().zip(uppers) {
        coverage.insert(unsigned(*lower), unsigned(*upper).saturating_sub(1));
    }
    (coverage.through(), coverage.highest(), coverage.gaps(Receipt::GAPS_MAX))
}

fn stream_status(row: &Row) -> Option<StreamStatus> {
    let (through, highest, gaps) = ranges(&row.get::<_, Vec<i64>>(7), &row.get::<_, Vec<i64>>(8));
    Some(StreamStatus {
        hub: row.get::<_, &str>(0).parse().ok()?,
        class: class_of(row.get(1))?,
        epoch: Epoch(unsigned(row.get(2))),
        through,
        highest,
        gaps,
        entries: unsigned(row.get(3)),
        duplicates: unsigned(row.get(4)),
        refused: unsigned(row.get(5)),
        absent: unsigned(row.get(6)),
        conflicts: unsigned(row.get(9)),
        received_at: Timestamp(row.get(10)),
    })
}

fn stored_entry(row: &Row) -> Option<StoredEntry> {
    Some(StoredEntry {
        hub: row.get::<_, &str>(0).parse().ok()?,
        class: class_of(row.get(1))?,
        epoch: Epoch(unsigned(row.get(2))),
        seq: unsigned(row.get(3)),
        id: row.get(4),
        system: row.get(5),
        kind: row.get(6),
        source_id: row.get(7),
        patient: row.get(8),
        received_at: Timestamp(row.get(9)),
    })
}

pub(super) fn class_number(class: Class) -> i16 {
    i16::try_from(class.index()).unwrap_or(i16::MAX)
}

pub(super) fn class_of(number: i16) -> Option<Class> {
    Class::ALL.get(usize::try_from(number).ok()?).copied()
}

/// Checked batches hold numbers below 2^53 only.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Whether the server finds fault with the values themselves (SQLSTATE classes 22, 23 and 54), so that it will
/// find it again.
fn is_about_the_data(error: &Error) -> bool {
    let code = error.code().map_or("", |code| code.code());
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

/// The driver's own words and its sources'. Of the server's answer only its code and first line: details and
/// hints quote values.
pub(super) fn failed(error: impl std::error::Error + 'static) -> StoreError {
    let mut text = String::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = next {
        let said = match cause.downcast_ref::<tokio_postgres::error::DbError>() {
            Some(answer) => format!("{} {}: {}", answer.severity(), answer.code().code(), answer.message()),
            None => cause.to_string(),
        };
        // Some of these repeat their source in their own words; then the source alone is enough.
        let repeated = cause.source().is_some_and(|source| said.ends_with(&source.to_string()));
        if !repeated {
            text = if text.is_empty() { said } else { format!("{text}: {said}") };
        }
        next = cause.source();
    }
    StoreError(text)
}
