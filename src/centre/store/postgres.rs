//! The PostgreSQL store. Loopback or a Unix socket: TLS to the database is not spoken.
//!
//! Each stream has one row, locked while a batch is committed, so that any number of workers and processes
//! agree on what is there. A commit is synchronous whatever the server's default; a server that runs with
//! `fsync = off` cannot be defended against.

use std::pin::pin;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Transaction};
use tokio_postgres::{NoTls, Row};

use crate::domain::{
    entry::{AbsentReason, Receipt, Refused, WIRE_VERSION},
    ids::{Class, Epoch, HubId, Sequence, SequenceRange},
    time::{ClockQuality, Timestamp},
};

use super::{CONFLICT, Checked, Committed, Filter, StoreError, StoredEntry, StreamStatus};

/// Connections kept: one for each worker and a few for questions.
const CONNECTIONS_MAX: usize = 16;
/// Any number that is always the same: only one process migrates at a time.
const MIGRATION_LOCK: i64 = 0x706f_6c79;
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001.sql")];

/// A PostgreSQL store.
#[derive(Debug)]
pub struct Postgres {
    pool: Pool,
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
        let pool = Pool::builder(manager).max_size(CONNECTIONS_MAX).build().map_err(failed)?;
        let store = Self { pool };
        store.migrate().await?;
        Ok(store)
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
    pub async fn commit(&self, batch: &Checked, now: Timestamp) -> Result<Committed, StoreError> {
        let mut client = self.pool.get().await.map_err(failed)?;
        let transaction = client.transaction().await.map_err(failed)?;
        let committed = Committing { transaction: &transaction, batch, now }.run().await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(committed)
    }

    /// See [`super::Store::streams`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn streams(&self) -> Result<Vec<StreamStatus>, StoreError> {
        let client = self.pool.get().await.map_err(failed)?;
        let query = "SELECT hub, class, epoch, entries, duplicates, refused, absent, \
                     ARRAY(SELECT lower(part) FROM unnest(covered) part), \
                     ARRAY(SELECT upper(part) FROM unnest(covered) part) \
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
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&hub, &class, &filter.source_id];
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
}

/// One batch in one transaction.
struct Committing<'a> {
    transaction: &'a Transaction<'a>,
    batch: &'a Checked,
    now: Timestamp,
}

impl Committing<'_> {
    async fn run(&self) -> Result<Committed, tokio_postgres::Error> {
        // A server may be set up to answer before it has written; that would make every receipt a lie.
        self.transaction.batch_execute("SET LOCAL synchronous_commit = on").await?;
        let (hub, class, epoch) = self.key();
        let make = "INSERT INTO stream (hub, class, epoch) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.transaction.execute(make, &[&hub, &class, &epoch]).await?;
        let lock = "SELECT 1 FROM stream WHERE hub = $1 AND class = $2 AND epoch = $3 FOR UPDATE";
        self.transaction.execute(lock, &[&hub, &class, &epoch]).await?;
        let new = self.insert_entries().await?;
        let conflicts = self.conflicts().await?;
        let duplicates = self.batch.entries.len() as u64 - new - conflicts.len() as u64;
        let refused = self.insert_refused(&conflicts).await?;
        let absent = self.insert_absent().await?;
        let receipt = self.cover(new, duplicates, refused, absent).await?;
        Ok(Committed { new, duplicates, conflicts: conflicts.len() as u64, receipt })
    }

    fn key(&self) -> (&str, i16, i64) {
        (self.batch.hub.as_str(), class_number(self.batch.class), number(self.batch.epoch.0))
    }

    async fn insert_entries(&self) -> Result<u64, tokio_postgres::Error> {
        let entries = &self.batch.entries;
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
                      timestamptz 'epoch' + $14 * interval '1 millisecond' \
                      FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], \
                      $10::bigint[], $11::boolean[], $12::bytea[], $13::bytea[]) \
                      AS new (seq, id, system, kind, source_id, patient, at, clock, body, raw) \
                      ON CONFLICT (hub, class, epoch, seq) DO NOTHING";
        let received = self.now.0 as f64;
        self.transaction
            .execute(
                insert,
                &[
                    &hub, &class, &epoch, &numbers, &ids, &systems, &kinds, &names, &patients, &moments,
                    &clocks, &bodies, &raws, &received,
                ],
            )
            .await
    }

    /// Numbers that another entry has.
    async fn conflicts(&self) -> Result<Vec<i64>, tokio_postgres::Error> {
        let (hub, class, epoch) = self.key();
        let numbers: Vec<i64> = self.batch.entries.iter().map(|entry| number(entry.seq)).collect();
        let ids: Vec<&str> = self.batch.entries.iter().map(|entry| entry.id.as_str()).collect();
        let query = "SELECT entry.seq FROM entry JOIN unnest($4::bigint[], $5::text[]) AS sent (seq, id) \
                     ON entry.seq = sent.seq WHERE hub = $1 AND class = $2 AND epoch = $3 AND entry.id <> sent.id";
        let rows = self.transaction.query(query, &[&hub, &class, &epoch, &numbers, &ids]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn insert_refused(&self, conflicts: &[i64]) -> Result<u64, tokio_postgres::Error> {
        let (hub, class, epoch) = self.key();
        let refused = &self.batch.refused;
        let numbers: Vec<i64> =
            refused.iter().map(|one| number(one.seq)).chain(conflicts.iter().copied()).collect();
        let reasons: Vec<&str> =
            refused.iter().map(|one| one.reason.as_str()).chain(conflicts.iter().map(|_| CONFLICT)).collect();
        let insert = "INSERT INTO refusal (hub, class, epoch, seq, reason) \
                      SELECT $1, $2, $3, seq, reason FROM unnest($4::bigint[], $5::text[]) AS new (seq, reason) \
                      ON CONFLICT DO NOTHING";
        self.transaction.execute(insert, &[&hub, &class, &epoch, &numbers, &reasons]).await
    }

    /// How many numbers are now known to be absent that were not before.
    async fn insert_absent(&self) -> Result<u64, tokio_postgres::Error> {
        let (hub, class, epoch) = self.key();
        let mut total = 0;
        for absent in &self.batch.absent {
            let reason = match absent.reason {
                AbsentReason::Damaged => "damaged",
                AbsentReason::Parked => "parked",
            };
            let insert = "INSERT INTO absence (hub, class, epoch, first, last, reason) \
                          VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            let (first, last) = (number(absent.first), number(absent.last));
            let rows =
                self.transaction.execute(insert, &[&hub, &class, &epoch, &first, &last, &reason]).await?;
            total += rows * (absent.last - absent.first + 1);
        }
        Ok(total)
    }

    async fn cover(
        &self,
        new: u64,
        duplicates: u64,
        refused: u64,
        absent: u64,
    ) -> Result<Receipt, tokio_postgres::Error> {
        let (hub, class, epoch) = self.key();
        let (first, behind) = (number(self.batch.first), number(self.batch.last + 1));
        let [new, duplicates, refused, absent] = [new, duplicates, refused, absent].map(number);
        let update = "UPDATE stream SET covered = covered + int8multirange(int8range($4, $5)), \
                      entries = entries + $6, duplicates = duplicates + $7, refused = refused + $8, \
                      absent = absent + $9 WHERE hub = $1 AND class = $2 AND epoch = $3 \
                      RETURNING ARRAY(SELECT lower(part) FROM unnest(covered) part), \
                      ARRAY(SELECT upper(part) FROM unnest(covered) part)";
        let row = self
            .transaction
            .query_one(update, &[&hub, &class, &epoch, &first, &behind, &new, &duplicates, &refused, &absent])
            .await?;
        let (through, _, gaps) = ranges(&row.get::<_, Vec<i64>>(0), &row.get::<_, Vec<i64>>(1));
        let newest = "SELECT seq, reason FROM refusal WHERE hub = $1 AND class = $2 AND epoch = $3 \
                      ORDER BY seq DESC LIMIT $4";
        let limit = i64::try_from(Receipt::REFUSED_MAX).unwrap_or(i64::MAX);
        let rows = self.transaction.query(newest, &[&hub, &class, &epoch, &limit]).await?;
        let refused =
            rows.iter().map(|row| Refused { seq: unsigned(row.get(0)), reason: row.get(1) }).collect();
        Ok(Receipt {
            v: WIRE_VERSION,
            hub: self.batch.hub.clone(),
            class: self.batch.class,
            epoch: self.batch.epoch,
            through,
            gaps,
            at: self.now,
            refused,
        })
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

fn class_number(class: Class) -> i16 {
    i16::try_from(class.index()).unwrap_or(i16::MAX)
}

fn class_of(number: i16) -> Option<Class> {
    Class::ALL.get(usize::try_from(number).ok()?).copied()
}

/// Checked batches hold numbers below 2^53 only.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The driver's own words and its source's, without the statement's values.
fn failed(error: impl std::error::Error) -> StoreError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    StoreError(text)
}
