//! The audit trail on disk: nothing is disclosed before its line is durable, and nobody can change a line unnoticed.
//!
//! One thread writes. Lines that come together are made durable together, in segment files that only grow; a signed
//! checkpoint follows every minute or thousand lines. After a failure nothing is taken until the trail has been opened
//! and checked again. There is no way to switch it off.

#[cfg(test)]
pub mod fake;
mod key;
mod log;
mod opening;
mod read;
mod scan;
mod segment;
mod shared;
mod ship;
mod sink;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    access::audit::{Checkpoint, Hash, Line, Opened, Signer, Standing, Verify},
    domain::{ids::HubId, time::Timestamp},
    sys::{clock::Clock, counter::Counter, disk::Disk, signing},
};

use shared::Shared;
use writer::Request;

pub use key::FileSigner;
pub use log::{Options, Room};
pub use read::{Found, InvalidLineId, LineId, Proof};
pub use shared::Signed;
pub use verify::{Fault, Report, Verification};

/// Lines that may wait for the writer; each sender waits for its own.
const REQUESTS_MAX: usize = 1024;

/// Opens the key that signs, or makes it.
pub type OpenSigner = Box<dyn Fn() -> io::Result<Arc<dyn Signer>> + Send + Sync>;

/// What a trail is made of.
pub struct Parts {
    /// Whose.
    pub hub: HubId,
    /// Its organisation's ODS code: in whose name a line is that names none.
    pub organisation: String,
    /// On which disk.
    pub disk: Arc<dyn Disk>,
    /// In which folder.
    pub directory: PathBuf,
    /// What stamps, and orders nothing.
    pub clock: Arc<dyn Clock>,
    /// Counts starts outside what a restored disk turns back.
    pub counter: Arc<dyn Counter>,
    /// What signs.
    pub signer: OpenSigner,
    /// What says whether a signature is right.
    pub verify: Verify,
    /// How the disk is used.
    pub options: Options,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("hub", &self.hub)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A line that is durable. Only the trail makes one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    incarnation: u64,
    number: u64,
    hash: Hash,
}

impl Written {
    /// The line's name.
    pub const fn id(&self) -> LineId {
        LineId { incarnation: self.incarnation, number: self.number }
    }

    /// The line's number in its incarnation.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The line's hash.
    pub const fn hash(&self) -> &Hash {
        &self.hash
    }
}

/// The trail takes nothing: nothing may be disclosed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit trail cannot be written: nothing can be shown until it can")]
pub struct AuditStopped;

/// How the trail stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Why it takes nothing; none if it does.
    pub stopped: Option<String>,
    /// What was found damaged or turned back at the start, and made it begin anew.
    pub damage: Vec<String>,
    /// Its room.
    pub room: Room,
    /// Where it stands.
    pub standing: Standing,
    /// Deeds that could not be put on record because too many came while it was stopped.
    pub missed: u64,
}

/// A handle to the trail; clones share it.
#[derive(Clone, Debug)]
pub struct Audit {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    status: Arc<Mutex<Status>>,
    parts: Arc<Parts>,
    /// Held by whoever journals checkpoints: one after another.
    shipping: Arc<tokio::sync::Mutex<()>>,
}

impl Audit {
    /// Opens the trail and puts its writer on a thread of its own. If it cannot be opened, the handle says so to
    /// everyone, and goes on trying. Blocks.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start(parts: Parts) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let parts = Arc::new(parts);
        let shared =
            Arc::new(Shared::new(parts.hub.clone(), Arc::clone(&parts.disk), parts.directory.clone()));
        let status = Arc::new(Mutex::default());
        let audit = Self {
            requests,
            shared: Arc::clone(&shared),
            status: Arc::clone(&status),
            parts: Arc::clone(&parts),
            shipping: Arc::default(),
        };
        writer::start(parts, shared, status, inbox)?;
        Ok(audit)
    }

    /// Puts a line on record. Returns once it is durable.
    ///
    /// # Errors
    /// It is not: what it is about must not be shown or done.
    pub async fn write(&self, line: Line) -> Result<Written, AuditStopped> {
        let (reply, written) = oneshot::channel();
        self.requests.send(Request::Write(Box::new(line), reply)).await.map_err(|_| AuditStopped)?;
        written.await.map_err(|_| AuditStopped)?
    }

    /// As [`Audit::write`], from a thread that may block.
    ///
    /// # Errors
    /// See there.
    pub fn write_blocking(&self, line: Line) -> Result<Written, AuditStopped> {
        let (reply, written) = oneshot::channel();
        self.requests.blocking_send(Request::Write(Box::new(line), reply)).map_err(|_| AuditStopped)?;
        written.blocking_recv().map_err(|_| AuditStopped)?
    }

    /// Signs what is there now, durably: to be called before an emergency access is shown.
    ///
    /// # Errors
    /// It cannot be signed or kept.
    pub async fn checkpoint(&self) -> Result<Signed, AuditStopped> {
        let (reply, signed) = oneshot::channel();
        self.requests.send(Request::Checkpoint(reply)).await.map_err(|_| AuditStopped)?;
        signed.await.map_err(|_| AuditStopped)?
    }

    /// As [`Audit::checkpoint`], from a thread that may block.
    ///
    /// # Errors
    /// See there.
    pub fn checkpoint_blocking(&self) -> Result<Signed, AuditStopped> {
        let (reply, signed) = oneshot::channel();
        self.requests.blocking_send(Request::Checkpoint(reply)).map_err(|_| AuditStopped)?;
        signed.blocking_recv().map_err(|_| AuditStopped)?
    }

    /// Signs what is due, opens the trail again if it has stopped, looks at the room. To be called each second.
    ///
    /// # Errors
    /// The trail is closed.
    pub async fn maintain(&self) -> Result<(), AuditStopped> {
        let (reply, done) = oneshot::channel();
        self.requests.send(Request::Maintain(reply)).await.map_err(|_| AuditStopped)?;
        done.await.map_err(|_| AuditStopped)
    }

    /// Ends the trail in good order: signs what is there, and takes nothing after that.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.requests.send(Request::Close(reply)).await.is_ok() {
            // An error means that the writer is gone, which is what was asked for.
            drop(done.await);
        }
    }

    /// The moment now, by the trail's clock.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.standing = self.shared.index().standing;
        status
    }

    /// Verifies the whole trail as it is now, against what was journalled and another checkpoint, if one is given as a
    /// signed note. Blocks for about a second for each million lines.
    ///
    /// # Errors
    /// A file cannot be read, or the note is not signed with this hub's key.
    pub fn verify(&self, anchor: Option<&str>) -> io::Result<Report> {
        let signer = (self.parts.signer)()?;
        let until = self.shared.index().segments.back().map(|segment| (segment.number, segment.length));
        let parts = &self.parts;
        verify_until(parts.disk.as_ref(), &parts.directory, &parts.hub, signer.as_ref(), (anchor, until))
    }

    /// The newest checkpoint; none before the first.
    pub fn newest_checkpoint(&self) -> Option<Signed> {
        self.shared.index().newest.clone()
    }
}

/// Verifies a trail that is not being written, against what was journalled and another checkpoint, if one is given as a
/// signed note.
///
/// # Errors
/// A file cannot be read, or the note is not signed with this key.
pub fn verify_at_rest(
    disk: &dyn Disk,
    directory: &Path,
    hub: &HubId,
    signer: &dyn Signer,
    anchor: Option<&str>,
) -> io::Result<Report> {
    verify_until(disk, directory, hub, signer, (anchor, None))
}

fn verify_until(
    disk: &dyn Disk,
    directory: &Path,
    hub: &HubId,
    signer: &dyn Signer,
    (anchor, until): (Option<&str>, Option<(u64, u64)>),
) -> io::Result<Report> {
    let (key, verify): (_, Verify) = (signer.key(), signing::verify);
    let mut anchors: Vec<Checkpoint> = ship::anchored(disk, directory, key, verify).into_iter().collect();
    if let Some(note) = anchor {
        let opened = Opened::read(note, key, verify);
        anchors.push(opened.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?.checkpoint);
    }
    verify::verify(&Verification { disk, directory, hub, key, verify, anchors: &anchors, until })
}
