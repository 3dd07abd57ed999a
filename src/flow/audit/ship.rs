//! Checkpoints on their way to the centre, in the journal like everything else; and the alarms about the trail.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    access::audit::{Checkpoint, KeyName, Opened, Verify, VerifyingKey},
    codec::cbor,
    domain::{
        audit::{CHECKPOINT_FORMAT, CHECKPOINT_KIND, Parcel},
        entry::{Entry, Summary},
        ids::Class,
    },
    flow::{alarm::AlarmCode, hub::Hub, matches::OWN_SYSTEM},
    journal::{Append, Identity, Lane, Verdict},
    sys::disk::{Disk, read_file, replace_file},
};

use super::{Audit, AuditStopped, LineId, read::Stretch};

/// How often the trail is looked after.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// Checkpoints that are journalled in one go: after an hour in which the journal took nothing, six turns.
const PARCELS_MAX: usize = 10;
const ANCHORED: &str = "anchored";
const ANCHORED_BYTES_MAX: u64 = 4 << 10;

impl Audit {
    /// Looks after the trail for as long as the hub runs: signs, opens it again, raises alarms, and journals what was
    /// signed.
    pub async fn run(self, hub: Arc<Hub>) {
        let mut ticks = interval(MAINTAIN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.maintain().await.is_err() {
                return;
            }
            self.watch(&hub);
            self.ship(&hub).await;
        }
    }

    /// Ends the trail: signs what is there, and journals it.
    pub async fn end(&self, hub: &Hub) {
        self.close().await;
        self.ship(hub).await;
    }

    /// Signs what is there, and journals that at once: to be called before an emergency access is shown.
    ///
    /// # Errors
    /// It cannot be signed or kept.
    pub async fn checkpoint_and_ship(&self, hub: &Hub) -> Result<(), AuditStopped> {
        self.checkpoint().await?;
        self.ship(hub).await;
        Ok(())
    }

    fn watch(&self, hub: &Hub) {
        let (status, now) = (self.status(), hub.now());
        let raise = |stands, code, text: String| hub.alarms().set(stands, code, "", text, now);
        let stopped = status.stopped.clone().unwrap_or_default();
        raise(
            status.stopped.is_some(),
            AlarmCode::AuditStopped,
            format!("nothing is shown of any record: {stopped}"),
        );
        let kibibytes = status.room.reserved_bytes >> 10;
        raise(
            status.room.is_short,
            AlarmCode::AuditNearlyFull,
            format!("the disk is nearly full; {kibibytes} KiB are reserved for the audit trail"),
        );
        raise(!status.damage.is_empty(), AlarmCode::AuditDamaged, status.damage.join("; "));
    }

    /// Journals the checkpoints that are not yet, a few at a time. A failure is tried again with the next call.
    async fn ship(&self, hub: &Hub) {
        let _in_order = self.shipping.lock().await;
        for _ in 0..PARCELS_MAX {
            let audit = self.clone();
            let next = tokio::task::spawn_blocking(move || audit.next_parcel()).await;
            let (parcel, checkpoint) = match next {
                Ok(Ok(Some(next))) => next,
                Ok(Ok(None)) => return,
                Ok(Err(error)) => {
                    return tracing::warn!(%error, "a checkpoint cannot be made ready for the centre");
                }
                Err(error) => {
                    return tracing::warn!(%error, "a checkpoint cannot be made ready for the centre");
                }
            };
            if !self.journal(hub, &parcel, &checkpoint).await {
                return;
            }
            let (audit, note) = (self.clone(), parcel.note);
            let kept = tokio::task::spawn_blocking(move || audit.set_anchored(&note)).await;
            if !matches!(kept, Ok(Ok(()))) {
                // It is journalled again, which the journal knows.
                return tracing::warn!("which checkpoint was journalled cannot be kept");
            }
        }
    }

    async fn journal(&self, hub: &Hub, parcel: &Parcel, checkpoint: &Checkpoint) -> bool {
        let Some(append) = append_of(hub, parcel, checkpoint) else { return false };
        match hub.journal.append(vec![append]).await.as_deref() {
            // Another parcel with the same checkpoint: the file that says how far we were was lost.
            Ok([Verdict::Committed(_) | Verdict::Duplicate | Verdict::Conflict]) => true,
            Ok(verdicts) => {
                tracing::warn!(?verdicts, "the journal does not take a checkpoint of the audit trail yet");
                false
            }
            Err(_) => false,
        }
    }

    /// The next checkpoint of this incarnation that is not journalled, with its lines.
    fn next_parcel(&self) -> io::Result<Option<(Parcel, Checkpoint)>> {
        let Some(newest) = self.newest_checkpoint() else { return Ok(None) };
        let incarnation = newest.checkpoint.incarnation;
        let key = (self.parts.signer)()?.key().clone();
        let anchored = self.anchored().filter(|anchored| anchored.incarnation == incarnation);
        let size = anchored.map_or(0, |anchored| anchored.size);
        if newest.checkpoint.size <= size {
            return Ok(None);
        }
        let Some(Stretch { note, before, lines }) = self.stretch(LineId { incarnation, number: size })?
        else {
            return Ok(None);
        };
        let opened = Opened::read(&note, &key, self.parts.verify).map_err(io::Error::other)?;
        let proof = self.consistency(before, opened.checkpoint.size)?.unwrap_or_default();
        let parcel = Parcel {
            v: Parcel::VERSION,
            key: KeyName::of(&self.parts.hub, &key).to_string(),
            note,
            before,
            proof: proof.iter().map(|hash| hash.to_vec().into()).collect(),
            lines: lines.into_iter().map(Into::into).collect(),
        };
        Ok(Some((parcel, opened.checkpoint)))
    }

    /// The newest checkpoint that was journalled; none if that is not known.
    pub(super) fn anchored(&self) -> Option<Checkpoint> {
        let signer = (self.parts.signer)().ok()?;
        anchored(self.parts.disk.as_ref(), &self.parts.directory, signer.key(), self.parts.verify)
    }

    fn set_anchored(&self, note: &str) -> io::Result<()> {
        replace_file(self.parts.disk.as_ref(), &self.anchored_path(), note.as_bytes())
    }

    fn anchored_path(&self) -> PathBuf {
        self.parts.directory.join(ANCHORED)
    }
}

/// The newest checkpoint of a trail that was journalled, as its folder says.
pub(super) fn anchored(
    disk: &dyn Disk,
    directory: &Path,
    key: &VerifyingKey,
    verify: Verify,
) -> Option<Checkpoint> {
    let bytes = read_file(disk, &directory.join(ANCHORED), ANCHORED_BYTES_MAX).ok()?;
    let note = String::from_utf8(bytes).ok()?;
    Some(Opened::read(&note, key, verify).ok()?.checkpoint)
}

/// The same for the same checkpoint: it may be journalled twice, and counts once.
fn append_of(hub: &Hub, parcel: &Parcel, checkpoint: &Checkpoint) -> Option<Append> {
    let summary = Summary {
        format: CHECKPOINT_FORMAT.to_owned(),
        sender: OWN_SYSTEM.to_owned(),
        occurred: Some(checkpoint.time),
        ..Summary::default()
    };
    let entry = Entry {
        kind: CHECKPOINT_KIND.to_owned(),
        system: OWN_SYSTEM.to_owned(),
        source_id: LineId { incarnation: checkpoint.incarnation, number: checkpoint.size }.to_string(),
        patient: None,
        at: checkpoint.time,
        clock: checkpoint.clock,
        body: cbor::encode(&summary).map(Bytes::from).unwrap_or_default(),
        raw: Some(cbor::encode(parcel).ok()?.into()),
    };
    let payload = cbor::encode(&entry).ok()?;
    let name = [hub.identity().id.as_str(), OWN_SYSTEM, CHECKPOINT_KIND, &entry.source_id];
    let identity = Some(Identity::of(&name.map(str::as_bytes), &payload));
    Some(Append { lane: Lane::of(Class::Activity), identity, payload: payload.into() })
}
