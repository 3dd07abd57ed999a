//! The embedded store: the hub's own journal again, from which nothing is removed.
//!
//! What is durable is in the log; which numbers each stream has is kept in memory and read from the log when
//! it is opened (about a second for each gigabyte). The log refuses a second entry of the same number by
//! itself, so that two workers cannot both store one.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{
    booking::act::ACT_KIND,
    codec::cbor,
    domain::{
        audit::CHECKPOINT_KIND,
        entry::{Absent, BatchEntry, Receipt, Refused, WIRE_VERSION},
        ids::{Class, Epoch, HubId, Sequence},
        time::Timestamp,
    },
    journal::{
        Append, Identity, Journal, Lane, Log, LogReader, Options, PAYLOAD_BYTES_MAX, Position, Shared,
        Verdict, open_for_reading,
    },
    sys::{clock::Clock, disk::Disk, entropy::Entropy},
};

use super::{
    super::{coverage::Coverage, relay::HELD_MS},
    ACTS_MAX, ActCursor, CONFLICT, Checked, CommitError, Committed, Filter, StoreError, StoredAct,
    StoredEntry, StreamStatus,
    arrivals::Places,
    naming,
};

/// The consumer that is never done: it keeps every segment.
const ARCHIVE: &str = "archive";
/// Refusals of one stream remembered for receipts: more than a hub has in flight.
const REFUSALS_MAX: usize = 1 << 16;
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 4096;

/// An open embedded store.
#[derive(Debug)]
pub struct Embedded {
    pub(super) journal: Journal,
    streams: Mutex<BTreeMap<(HubId, Class, Epoch), Stream>>,
    /// What desks have decided, for the relay: those of the last weeks when the store was opened, and all since.
    acts: Mutex<Vec<StoredAct>>,
    /// Where entries of patients are; filled when it is first asked for.
    pub(super) places: Box<std::sync::Mutex<Places>>,
}

#[derive(Debug, Default)]
struct Stream {
    coverage: Coverage,
    entries: u64,
    duplicates: u64,
    refused_count: u64,
    conflicts: u64,
    absent: u64,
    received: Timestamp,
    refused: BTreeMap<Sequence, String>,
}

/// What one record of the log says; exactly one of the three.
#[derive(Deserialize, Serialize)]
pub(super) struct Stored {
    pub(super) hub: HubId,
    pub(super) class: Class,
    pub(super) epoch: Epoch,
    pub(super) received: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) entry: Option<BatchEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absent: Option<Absent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
}

impl Embedded {
    /// Opens the store in a folder, or makes it. Reads all of it.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(disk: Arc<dyn Disk>, directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = Options {
            capacity_bytes: u64::MAX / 4,
            retain_bytes: u64::MAX,
            consumers: vec![ARCHIVE.to_owned()],
            ..Options::default()
        };
        let entropy = Entropy::from_system();
        let opened = Log::open(disk, directory, options, clock.now(), entropy);
        let (log, recovery) =
            opened.map_err(|error| StoreError(format!("{}: {error}", directory.display())))?;
        for note in &recovery.notes {
            tracing::warn!(%note, "the store was damaged");
        }
        let (streams, acts) = replay(&log.shared(), Timestamp(clock.now().0 - HELD_MS))?;
        let journal = Journal::start(log, clock).map_err(|error| StoreError(error.to_string()))?;
        Ok(Self { journal, streams: Mutex::new(streams), acts: Mutex::new(acts), places: Box::default() })
    }

    /// See [`super::Store::commit`].
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn commit(&self, batch: &Checked, now: Timestamp) -> Result<Committed, CommitError> {
        let mut streams = self.streams.lock().await;
        let key = (batch.hub.clone(), batch.class, batch.epoch);
        let unavailable = |reason: String| CommitError::Unavailable(StoreError(reason));
        let (appends, numbers) = appends(batch, now).map_err(CommitError::Unavailable)?;
        let verdicts = self.journal.append(appends).await.map_err(|error| unavailable(error.to_string()))?;
        if verdicts.contains(&Verdict::WrongSize) {
            return Err(CommitError::Unstorable("an entry is longer than the log's longest".to_owned()));
        }
        if let Some(verdict) = verdicts.iter().find(|verdict| !is_known(verdict)) {
            let reason = self.journal.shared().status().reason;
            return Err(unavailable(format!("the log says {verdict:?}: {reason}")));
        }
        self.keep_acts(batch, &verdicts, now).await;
        let stream = streams.entry(key).or_default();
        stream.received = now;
        let mut committed =
            Committed { new: 0, duplicates: 0, conflicts: 0, receipt: receipt(batch, stream, now) };
        for (number, verdict) in numbers.into_iter().zip(&verdicts) {
            stream.coverage.insert(number, number);
            match verdict {
                Verdict::Conflict => {
                    committed.conflicts += 1;
                    stream.conflicts += u64::from(!stream.refused.contains_key(&number));
                    stream.refuse(Refused { seq: number, reason: CONFLICT.to_owned() });
                }
                Verdict::Duplicate => committed.duplicates += 1,
                _ => committed.new += 1,
            }
        }
        stream.entries += committed.new;
        stream.duplicates += committed.duplicates;
        let others = verdicts.iter().skip(batch.entries.len());
        let told = batch.refused.iter().map(Told::Refused).chain(batch.absent.iter().map(Told::Absent));
        for (told, verdict) in told.zip(others) {
            let new = matches!(verdict, Verdict::Committed(_));
            match told {
                Told::Refused(refused) if new => stream.refuse(refused.clone()),
                Told::Absent(absent) if new => stream.absent += absent.last - absent.first + 1,
                _ => {}
            }
        }
        batch.refused.iter().for_each(|refused| stream.coverage.insert(refused.seq, refused.seq));
        batch.absent.iter().for_each(|absent| stream.coverage.insert(absent.first, absent.last));
        committed.receipt = receipt(batch, stream, now);
        Ok(committed)
    }

    /// See [`super::Store::acts`].
    pub(super) async fn acts(&self, cursor: &mut ActCursor) -> Vec<StoredAct> {
        for (hub, class, epoch) in self.streams.lock().await.keys() {
            if *class == Class::Booking {
                cursor.streams.entry((hub.clone(), *epoch)).or_insert(0);
            }
        }
        let acts = self.acts.lock().await;
        let new: Vec<StoredAct> = acts.iter().skip(cursor.count).take(ACTS_MAX).cloned().collect();
        cursor.count += new.len();
        new
    }

    async fn keep_acts(&self, batch: &Checked, verdicts: &[Verdict], now: Timestamp) {
        if batch.class != Class::Booking {
            return;
        }
        let new =
            batch.entries.iter().zip(verdicts).filter(|(entry, verdict)| {
                entry.kind == ACT_KIND && matches!(verdict, Verdict::Committed(_))
            });
        let acts = new.filter_map(|(entry, _)| {
            let raw = entry.raw.clone()?;
            Some(StoredAct { hub: batch.hub.clone(), epoch: batch.epoch, raw, received: now })
        });
        self.acts.lock().await.extend(acts);
    }

    /// See [`super::Store::streams`].
    pub async fn streams(&self) -> Vec<StreamStatus> {
        let streams = self.streams.lock().await;
        let status = |((hub, class, epoch), stream): (&(HubId, Class, Epoch), &Stream)| StreamStatus {
            hub: hub.clone(),
            class: *class,
            epoch: *epoch,
            through: stream.coverage.through(),
            highest: stream.coverage.highest(),
            gaps: stream.coverage.gaps(Receipt::GAPS_MAX),
            entries: stream.entries,
            duplicates: stream.duplicates,
            refused: stream.refused_count,
            absent: stream.absent,
            conflicts: stream.conflicts,
            received_at: stream.received,
        };
        streams.iter().map(status).collect()
    }

    /// See [`super::Store::entries`].
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn entries(&self, filter: &Filter, each: impl FnMut(StoredEntry) -> bool) -> Result<(), StoreError> {
        list(self.journal.shared(), filter, each)
    }

    /// Lists the entries of a store that another process may have open.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn entries_of(
        disk: Arc<dyn Disk>,
        directory: &Path,
        filter: &Filter,
        each: impl FnMut(StoredEntry) -> bool,
    ) -> Result<(), StoreError> {
        let opened = open_for_reading(disk, directory);
        let shared = opened.map_err(|error| StoreError(format!("{}: {error}", directory.display())))?;
        list(&shared, filter, each)
    }

    /// See [`super::Store::checkpoints`].
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn checkpoints(&self, hub: &HubId, each: impl FnMut(&[u8]) -> bool) -> Result<(), StoreError> {
        checkpoints(self.journal.shared(), hub, each)
    }

    /// The same for a store that another process may have open.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn checkpoints_of(
        disk: Arc<dyn Disk>,
        directory: &Path,
        hub: &HubId,
        each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let opened = open_for_reading(disk, directory);
        let shared = opened.map_err(|error| StoreError(format!("{}: {error}", directory.display())))?;
        checkpoints(&shared, hub, each)
    }

    /// Looks after the log's disk; to be called each second.
    ///
    /// # Errors
    /// The log is closed.
    pub async fn maintain(&self) -> Result<(), StoreError> {
        self.journal.maintain().await.map_err(|error| StoreError(error.to_string()))
    }

    /// Ends in good order.
    pub async fn close(&self) {
        self.journal.close().await;
    }
}

enum Told<'a> {
    Absent(&'a Absent),
    Refused(&'a Refused),
}

impl Stream {
    fn refuse(&mut self, refused: Refused) {
        self.coverage.insert(refused.seq, refused.seq);
        if self.refused.insert(refused.seq, refused.reason).is_none() {
            self.refused_count += 1;
        }
        if REFUSALS_MAX < self.refused.len() {
            self.refused.pop_first();
        }
    }
}

const fn is_known(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Committed(_) | Verdict::Conflict | Verdict::Duplicate)
}

/// The log's records for a batch: its entries first, then what is refused, then what is absent; and the
/// entries' numbers.
fn appends(batch: &Checked, now: Timestamp) -> Result<(Vec<Append>, Vec<u64>), StoreError> {
    let lane = Lane::of(batch.class);
    let (hub, class, epoch) = (&batch.hub, batch.class, batch.epoch.0.to_be_bytes());
    let name = |what: &[u8], number: u64, content: &[u8]| {
        let parts = [what, hub.as_str().as_bytes(), class.name().as_bytes(), &epoch, &number.to_be_bytes()];
        Some(Identity::of(&parts, content))
    };
    let stored = Stored {
        hub: hub.clone(),
        class,
        epoch: batch.epoch,
        received: now,
        entry: None,
        absent: None,
        refused: None,
    };
    let append = |identity, stored: &Stored| {
        let payload = cbor::encode(stored).map_err(|error| StoreError(error.to_string()))?;
        Ok(Append { lane, identity, payload: Bytes::from(payload) })
    };
    let mut appends = Vec::with_capacity(batch.entries.len() + batch.refused.len() + batch.absent.len());
    for entry in &batch.entries {
        // What makes an entry the same is its id: how a later version of the hub encodes it does not matter.
        let identity = name(b"entry", entry.seq, entry.id.as_bytes());
        appends.push(append(identity, &Stored { entry: Some(entry.clone()), ..copy(&stored) })?);
    }
    for refused in &batch.refused {
        let identity = name(b"refused", refused.seq, b"");
        appends.push(append(identity, &Stored { refused: Some(refused.clone()), ..copy(&stored) })?);
    }
    for absent in &batch.absent {
        let identity = name(b"absent", absent.first, &absent.last.to_be_bytes());
        appends.push(append(identity, &Stored { absent: Some(absent.clone()), ..copy(&stored) })?);
    }
    Ok((appends, batch.entries.iter().map(|entry| entry.seq).collect()))
}

fn copy(stored: &Stored) -> Stored {
    Stored { hub: stored.hub.clone(), entry: None, absent: None, refused: None, ..*stored }
}

fn receipt(batch: &Checked, stream: &Stream, now: Timestamp) -> Receipt {
    let confirmed = batch.confirmed.unwrap_or(batch.first - 1);
    let read = |(seq, reason): (&Sequence, &String)| Refused { seq: *seq, reason: reason.clone() };
    let ahead = stream.refused.range(confirmed + 1..).map(read);
    let behind = stream.refused.range(..=confirmed).rev().map(read);
    let (through, gaps) = (stream.coverage.through(), stream.coverage.gaps(Receipt::GAPS_MAX));
    let said = naming::say(through, gaps, ahead, behind);
    Receipt {
        v: WIRE_VERSION,
        hub: batch.hub.clone(),
        class: batch.class,
        epoch: batch.epoch,
        through: said.through,
        gaps: said.gaps,
        at: now,
        refused: said.refused,
    }
}

/// All streams, and the acts that were stored since.
type Replayed = (BTreeMap<(HubId, Class, Epoch), Stream>, Vec<StoredAct>);

fn replay(shared: &Arc<Shared>, since: Timestamp) -> Result<Replayed, StoreError> {
    let mut streams: BTreeMap<(HubId, Class, Epoch), Stream> = BTreeMap::new();
    let mut acts = Vec::new();
    each_stored(shared, |stored| {
        if let Some(entry) = stored.entry.as_ref().filter(|entry| entry.kind == ACT_KIND)
            && let Some(raw) = entry.raw.clone()
            && since <= stored.received
        {
            acts.push(StoredAct {
                hub: stored.hub.clone(),
                epoch: stored.epoch,
                raw,
                received: stored.received,
            });
        }
        let stream = streams.entry((stored.hub, stored.class, stored.epoch)).or_default();
        stream.received = stream.received.max(stored.received);
        if let Some(entry) = stored.entry {
            stream.coverage.insert(entry.seq, entry.seq);
            stream.entries += 1;
        }
        if let Some(refused) = stored.refused {
            stream.refuse(refused);
        }
        if let Some(absent) = stored.absent {
            stream.coverage.insert(absent.first, absent.last);
            stream.absent += absent.last.saturating_sub(absent.first) + 1;
        }
        true
    })?;
    Ok((streams, acts))
}

fn list(
    shared: &Arc<Shared>,
    filter: &Filter,
    mut each: impl FnMut(StoredEntry) -> bool,
) -> Result<(), StoreError> {
    each_stored(shared, |stored| {
        let wanted = filter.hub.as_ref().is_none_or(|hub| *hub == stored.hub)
            && filter.class.is_none_or(|class| class == stored.class);
        let Some(entry) = stored.entry.filter(|_| wanted) else { return true };
        if filter.source_id.as_ref().is_some_and(|wanted| *wanted != entry.source_id) {
            return true;
        }
        each(StoredEntry {
            hub: stored.hub,
            class: stored.class,
            epoch: stored.epoch,
            seq: entry.seq,
            id: entry.id,
            system: entry.system,
            kind: entry.kind,
            source_id: entry.source_id,
            patient: entry.patient,
            received_at: stored.received,
        })
    })
}

fn checkpoints(
    shared: &Arc<Shared>,
    hub: &HubId,
    mut each: impl FnMut(&[u8]) -> bool,
) -> Result<(), StoreError> {
    each_stored(shared, |stored| {
        let entry = stored.entry.filter(|entry| stored.hub == *hub && entry.kind == CHECKPOINT_KIND);
        entry.and_then(|entry| entry.raw).is_none_or(|raw| each(&raw))
    })
}

pub(super) fn each_stored(
    shared: &Arc<Shared>,
    mut each: impl FnMut(Stored) -> bool,
) -> Result<(), StoreError> {
    let mut reader = LogReader::new(Arc::clone(shared), Position::default());
    loop {
        let chunk = reader
            .read(READ_BYTES, READ_ENTRIES)
            .map_err(|error| StoreError(format!("the log cannot be read: {error}")))?;
        if chunk.records.is_empty() && chunk.damaged_bytes == 0 {
            return Ok(());
        }
        for record in chunk.records {
            let Ok(stored) = cbor::decode::<Stored>(&record.payload, PAYLOAD_BYTES_MAX) else { continue };
            if !each(stored) {
                return Ok(());
            }
        }
    }
}
