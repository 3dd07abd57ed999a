//! Entries by patient, in each store: what has arrived since, and what there is of one patient.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, MutexGuard, PoisonError},
};

use tokio_postgres::{Row, types::ToSql};

use crate::{
    booking::act::ACT_KIND,
    codec::cbor,
    domain::{
        contact::{EVIDENCE_KIND, MAPS_KIND},
        elsewhere::{HeldEntry, OPENED_KIND},
        entry::BatchEntry,
        ids::{Class, Epoch, HubId, Sequence},
        time::{ClockQuality, Timestamp},
    },
    journal::{LogReader, PAYLOAD_BYTES_MAX, Position, open_for_reading},
    sys::disk::Disk,
};

use super::{
    StoreError,
    embedded::{Embedded, Stored, each_stored},
    postgres::{Postgres, class_number, class_of, failed, number, unsigned},
};

/// Entries read in one go.
const READ_MAX: i64 = 1_000;
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 4_096;
/// Clocks of workers may differ by this.
const LATELY_MS: i64 = 60_000;

/// An entry with its patient, and when the centre stored it.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The entry, and whose it is.
    pub held: HeldEntry,
    /// When it was stored.
    pub received: Timestamp,
}

/// How far arrivals were followed.
#[derive(Debug, Default)]
pub struct Following {
    /// Of a store with streams: each stream's highest number that was read, and when the newest batch came.
    streams: BTreeMap<(HubId, Class, Epoch), Sequence>,
    newest: Timestamp,
    /// Streams with a hole, and when the oldest entry behind it came: it is read when the hole is filled.
    holes: BTreeMap<(HubId, Class, Epoch), Timestamp>,
    /// Of the embedded store: how far its log was read.
    place: Position,
}

impl Following {
    /// Until when all that has been stored was given out, if everything until `now` has been asked for.
    pub fn whole_until(&self, now: Timestamp) -> Timestamp {
        self.holes.values().copied().fold(now, Timestamp::min)
    }
}

/// Where the embedded store has what of whom, by NHS number.
#[derive(Debug, Default)]
pub(super) struct Places {
    read: Position,
    by_patient: BTreeMap<u64, Vec<Position>>,
    opened: Vec<(Timestamp, Position)>,
}

impl Embedded {
    /// Everything until now is passed over.
    pub(super) fn follow_from_now(&self) -> Following {
        Following { place: self.journal.shared().end(), ..Following::default() }
    }

    /// See [`super::Store::arrivals`].
    pub(super) fn arrivals(&self, following: &mut Following) -> Result<Vec<Arrived>, StoreError> {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), following.place);
        let mut arrived = Vec::new();
        let chunk = reader.read(READ_BYTES, READ_ENTRIES).map_err(unreadable)?;
        following.place = chunk.next;
        arrived.extend(chunk.records.iter().filter_map(|record| arrival(&record.payload)));
        Ok(arrived)
    }

    /// See [`super::Store::of_patient`].
    pub(super) fn of_patient(
        &self,
        patient: &str,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<Arrived>, StoreError> {
        let places = {
            let places = self.places()?;
            patient.parse().ok().and_then(|number: u64| places.by_patient.get(&number)).cloned()
        };
        let mut found = Vec::new();
        for place in places.unwrap_or_default().into_iter().rev() {
            found.extend(
                self.at(place)?.filter(|one| since <= one.received && one.held.entry.kind != OPENED_KIND),
            );
            if most <= found.len() {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// See [`super::Store::hubs_of`].
    pub(super) fn hubs_of(&self, patient: &str) -> Result<BTreeSet<HubId>, StoreError> {
        let found = self.of_patient(patient, Timestamp::default(), usize::MAX)?;
        Ok(found.into_iter().map(|arrived| arrived.held.hub).collect())
    }

    /// See [`super::Store::opened_since`].
    pub(super) fn opened_since(&self, since: Timestamp) -> Result<Vec<Arrived>, StoreError> {
        let places: Vec<Position> = {
            let places = self.places()?;
            let lately = places.opened.iter().filter(|(received, _)| since <= *received);
            lately.map(|(_, place)| *place).collect()
        };
        let found: Result<Vec<Option<Arrived>>, StoreError> =
            places.into_iter().map(|place| self.at(place)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn at(&self, place: Position) -> Result<Option<Arrived>, StoreError> {
        let chunk =
            LogReader::new(Arc::clone(self.journal.shared()), place).read(1, 1).map_err(unreadable)?;
        Ok(chunk.records.first().and_then(|record| arrival(&record.payload)))
    }

    /// Where everything is, as far as the log goes now.
    fn places(&self) -> Result<MutexGuard<'_, Places>, StoreError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), places.read);
        loop {
            let chunk = reader.read(READ_BYTES, READ_ENTRIES).map_err(unreadable)?;
            if chunk.records.is_empty() && chunk.damaged_bytes == 0 {
                return Ok(places);
            }
            for record in &chunk.records {
                places.note(record.position, &record.payload);
            }
            places.read = chunk.next;
        }
    }
}

impl Places {
    fn note(&mut self, place: Position, payload: &[u8]) {
        let Some(arrived) = arrival(payload) else { return };
        if arrived.held.entry.kind == OPENED_KIND {
            self.opened.push((arrived.received, place));
            return;
        }
        let patient = arrived.held.entry.patient.and_then(|patient| patient.parse().ok());
        if let Some(number) = patient {
            self.by_patient.entry(number).or_default().push(place);
        }
    }
}

/// An entry of the log that tells of a patient.
fn arrival(payload: &[u8]) -> Option<Arrived> {
    let stored: Stored = cbor::decode(payload, PAYLOAD_BYTES_MAX).ok()?;
    let (hub, class, epoch, received) = (stored.hub, stored.class, stored.epoch, stored.received);
    let entry = stored.entry.filter(|entry| entry.patient.is_some() && entry.kind != ACT_KIND)?;
    Some(Arrived { held: HeldEntry { hub, class, epoch, entry }, received })
}

fn unreadable(error: std::io::Error) -> StoreError {
    StoreError(format!("the log cannot be read: {error}"))
}

const COLUMNS: &str = "hub, class, epoch, seq, id, system, kind, source_id, patient, \
     (extract(epoch FROM at) * 1000)::bigint, clock_synchronised, body, raw, \
     (extract(epoch FROM received_at) * 1000)::bigint";
const SINCE: &str = "timestamptz 'epoch' + $1::bigint * interval '1 millisecond' <= received_at";

impl Postgres {
    /// Everything until now is passed over.
    pub(super) async fn follow_from_now(&self) -> Result<Following, StoreError> {
        let mut following = Following::default();
        for (place, through) in self.news(&mut following).await? {
            following.streams.insert(place, through);
        }
        Ok(following)
    }

    /// See [`super::Store::arrivals`].
    pub(super) async fn arrivals(&self, following: &mut Following) -> Result<Vec<Arrived>, StoreError> {
        let mut arrived = Vec::new();
        for (place, through) in self.news(following).await? {
            let known = following.streams.get(&place).copied().unwrap_or_default();
            if through <= known {
                continue;
            }
            let query = format!(
                "SELECT {COLUMNS} FROM entry WHERE hub = $1 AND class = $2 AND epoch = $3 AND $4 < seq \
                 AND seq <= $5 AND patient IS NOT NULL AND kind <> $6 ORDER BY seq LIMIT $7"
            );
            let (hub, class, epoch) = (place.0.as_str(), class_number(place.1), number(place.2.0));
            let parameters: &[&(dyn ToSql + Sync)] =
                &[&hub, &class, &epoch, &number(known), &number(through), &ACT_KIND, &READ_MAX];
            let client = self.pool.get().await.map_err(failed)?;
            let rows = client.query(&query, parameters).await.map_err(failed)?;
            let whole = i64::try_from(rows.len()).is_ok_and(|count| count < READ_MAX);
            let last = rows.last().map_or(known, |row| unsigned(row.get(3)));
            following.streams.insert(place, if whole { through } else { last });
            arrived.extend(rows.iter().filter_map(of_row));
        }
        Ok(arrived)
    }

    /// The streams to which something was added lately, and until where they are whole.
    async fn news(
        &self,
        following: &mut Following,
    ) -> Result<Vec<((HubId, Class, Epoch), Sequence)>, StoreError> {
        // Without it, every stream there ever was is looked at each time.
        let lately = following.newest.0.saturating_sub(LATELY_MS);
        let query = format!(
            "SELECT hub, class, epoch, coalesce((SELECT upper(part) - 1 FROM unnest(covered) part \
             WHERE lower(part) <= 1), 0), (extract(epoch FROM received_at) * 1000)::bigint, \
             (SELECT (extract(epoch FROM min(behind.received_at)) * 1000)::bigint FROM entry behind \
             WHERE 1 < (SELECT count(*) FROM unnest(covered)) AND behind.hub = stream.hub \
             AND behind.class = stream.class AND behind.epoch = stream.epoch AND behind.seq > \
             coalesce((SELECT upper(part) - 1 FROM unnest(covered) part WHERE lower(part) <= 1), 0)) \
             FROM stream WHERE {SINCE} ORDER BY hub, class, epoch"
        );
        let client = self.pool.get().await.map_err(failed)?;
        let mut news = Vec::new();
        for row in client.query(&query, &[&lately]).await.map_err(failed)? {
            let (Ok(hub), Some(class)) = (row.get::<_, &str>(0).parse(), class_of(row.get(1))) else {
                continue;
            };
            following.newest = following.newest.max(Timestamp(row.get(4)));
            let place = (hub, class, Epoch(unsigned(row.get(2))));
            match row.get::<_, Option<i64>>(5) {
                Some(behind) => following.holes.insert(place.clone(), Timestamp(behind)),
                None => following.holes.remove(&place),
            };
            news.push((place, unsigned(row.get(3))));
        }
        Ok(news)
    }

    /// See [`super::Store::of_patient`].
    pub(super) async fn of_patient(
        &self,
        patient: &str,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<Arrived>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} FROM entry WHERE {SINCE} AND patient = $2 AND kind <> $3 AND kind <> $4 \
             ORDER BY received_at DESC, seq DESC LIMIT $5"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let client = self.pool.get().await.map_err(failed)?;
        let parameters: &[&(dyn ToSql + Sync)] = &[&since.0, &patient, &ACT_KIND, &OPENED_KIND, &most];
        let rows = client.query(&query, parameters).await.map_err(failed)?;
        let mut found: Vec<Arrived> = rows.iter().filter_map(of_row).collect();
        found.reverse();
        Ok(found)
    }

    /// See [`super::Store::hubs_of`].
    pub(super) async fn hubs_of(&self, patient: &str) -> Result<BTreeSet<HubId>, StoreError> {
        let query = "SELECT DISTINCT hub FROM entry WHERE patient = $1 AND kind <> $2 AND kind <> $3";
        let client = self.pool.get().await.map_err(failed)?;
        let rows = client.query(query, &[&patient, &ACT_KIND, &OPENED_KIND]).await.map_err(failed)?;
        Ok(rows.iter().filter_map(|row| row.get::<_, &str>(0).parse().ok()).collect())
    }

    /// See [`super::Store::opened_since`].
    pub(super) async fn opened_since(&self, since: Timestamp) -> Result<Vec<Arrived>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} FROM entry WHERE {SINCE} AND kind = $2 AND patient IS NOT NULL \
             ORDER BY received_at"
        );
        let client = self.pool.get().await.map_err(failed)?;
        let rows = client.query(&query, &[&since.0, &OPENED_KIND]).await.map_err(failed)?;
        Ok(rows.iter().filter_map(of_row).collect())
    }
}

impl Postgres {
    /// Gives out what hubs have told of contacts, and of their services, in no order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn counted(
        &self,
        mut each: impl FnMut(&HubId, &str, &[u8], Timestamp) + Send,
    ) -> Result<(), StoreError> {
        use futures_util::TryStreamExt;
        let query = "SELECT hub, kind, raw, (extract(epoch FROM at) * 1000)::bigint FROM entry \
                     WHERE class = $1 AND kind IN ($2, $3) AND raw IS NOT NULL";
        let client = self.pool.get().await.map_err(failed)?;
        let class = class_number(Class::Activity);
        let parameters: [&(dyn ToSql + Sync); 3] = [&class, &EVIDENCE_KIND, &MAPS_KIND];
        let rows = client.query_raw(query, parameters).await.map_err(failed)?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            if let Ok(hub) = row.get::<_, &str>(0).parse() {
                each(&hub, row.get(1), row.get(2), Timestamp(row.get(3)));
            }
        }
        Ok(())
    }
}

impl Embedded {
    /// Gives out what hubs have told of contacts; of a store that another process may have open.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn counted_of(
        disk: Arc<dyn Disk>,
        directory: &Path,
        mut each: impl FnMut(&HubId, &str, &[u8], Timestamp),
    ) -> Result<(), StoreError> {
        let opened = open_for_reading(disk, directory);
        let shared = opened.map_err(|error| StoreError(format!("{}: {error}", directory.display())))?;
        each_stored(&shared, |stored| {
            if let Some(entry) =
                stored.entry.filter(|entry| [EVIDENCE_KIND, MAPS_KIND].contains(&entry.kind.as_str()))
                && let Some(raw) = &entry.raw
            {
                each(&stored.hub, &entry.kind, raw, entry.at);
            }
            true
        })
    }
}

fn of_row(row: &Row) -> Option<Arrived> {
    let entry = BatchEntry {
        seq: unsigned(row.get(3)),
        id: row.get(4),
        system: row.get(5),
        kind: row.get(6),
        source_id: row.get(7),
        patient: row.get(8),
        at: Timestamp(row.get(9)),
        clock: if row.get(10) { ClockQuality::Synchronised } else { ClockQuality::Unsynchronised },
        body: row.get::<_, Vec<u8>>(11).into(),
        raw: row.get::<_, Option<Vec<u8>>>(12).map(Into::into),
    };
    let held = HeldEntry {
        hub: row.get::<_, &str>(0).parse().ok()?,
        class: class_of(row.get(1))?,
        epoch: Epoch(unsigned(row.get(2))),
        entry,
    };
    Some(Arrived { held, received: Timestamp(row.get(13)) })
}
