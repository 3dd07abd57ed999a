//! The journal on its own thread: any number of tasks submit, one thread commits what has come in together.

use std::{sync::Arc, thread};

use tokio::sync::{mpsc, oneshot};

use crate::{
    domain::ids::{Epoch, Sequence},
    sys::clock::Clock,
};

use super::{Append, Lane, Log, Position, Shared, Verdict};

/// Submissions that may wait for the writer. A sender waits for its own, so this bounds senders, not memory:
/// that is bounded by the number of connections and the message size each may have.
const SUBMISSIONS_MAX: usize = 1024;
/// A group commit takes no more than this many entries, so that the first of them does not wait for long.
const GROUP_ENTRIES_MAX: usize = 4096;
/// Nor more than this many bytes.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// The journal has been closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the journal is closed")]
pub struct Closed;

/// A handle to the writer thread; clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Request {
    Append(Vec<Append>, oneshot::Sender<Vec<Verdict>>),
    Release(Epoch, Lane, Sequence),
    Advance(String, Position),
    Maintain(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

impl Journal {
    /// Puts a log on a thread of its own.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start(log: Log, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel(SUBMISSIONS_MAX);
        let shared = log.shared();
        thread::Builder::new().name("journal".to_owned()).spawn(move || write(log, inbox, clock.as_ref()))?;
        Ok(Self { requests, shared })
    }

    /// Appends entries together. Their order is kept; each gets its own verdict, in the same order.
    ///
    /// # Errors
    /// The journal is closed: nothing is known to be durable.
    pub async fn append(&self, entries: Vec<Append>) -> Result<Vec<Verdict>, Closed> {
        let (reply, verdicts) = oneshot::channel();
        self.requests.send(Request::Append(entries, reply)).await.map_err(|_| Closed)?;
        verdicts.await.map_err(|_| Closed)
    }

    /// Says that everything of a lane's epoch through a sequence is durable elsewhere.
    ///
    /// # Errors
    /// The journal is closed.
    pub async fn release(&self, epoch: Epoch, lane: Lane, through: Sequence) -> Result<(), Closed> {
        self.requests.send(Request::Release(epoch, lane, through)).await.map_err(|_| Closed)
    }

    /// Says that a consumer needs nothing before `position` any more.
    ///
    /// # Errors
    /// The journal is closed.
    pub async fn advance(&self, consumer: &str, position: Position) -> Result<(), Closed> {
        self.requests.send(Request::Advance(consumer.to_owned(), position)).await.map_err(|_| Closed)
    }

    /// As [`Journal::advance`], from a thread that may block.
    ///
    /// # Errors
    /// The journal is closed.
    pub fn advance_blocking(&self, consumer: &str, position: Position) -> Result<(), Closed> {
        self.requests.blocking_send(Request::Advance(consumer.to_owned(), position)).map_err(|_| Closed)
    }

    /// Frees what may be freed, looks at the disk's free space, stores cursors. To be called each second.
    ///
    /// # Errors
    /// The journal is closed.
    pub async fn maintain(&self) -> Result<(), Closed> {
        let (reply, done) = oneshot::channel();
        self.requests.send(Request::Maintain(reply)).await.map_err(|_| Closed)?;
        done.await.map_err(|_| Closed)
    }

    /// Ends the writer in good order, so that the next start needs no recovery.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.requests.send(Request::Close(reply)).await.is_ok() {
            // An error here means that the writer is gone, which is what was asked for.
            drop(done.await);
        }
    }

    /// What readers see.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// The writer thread: takes what is there, commits it with one synchronisation, answers everyone.
fn write(mut log: Log, mut inbox: mpsc::Receiver<Request>, clock: &dyn Clock) {
    let mut entries = Vec::new();
    let mut replies: Vec<(usize, oneshot::Sender<Vec<Verdict>>)> = Vec::new();
    while let Some(first) = inbox.blocking_recv() {
        let mut request = Some(first);
        let mut bytes = 0;
        let mut other = None;
        while let Some(next) = request {
            match next {
                Request::Append(mut appends, reply) => {
                    bytes += appends.iter().map(|append| append.payload.len()).sum::<usize>();
                    replies.push((appends.len(), reply));
                    entries.append(&mut appends);
                }
                control => other = Some(control),
            }
            let full = other.is_some() || GROUP_BYTES_MAX <= bytes || GROUP_ENTRIES_MAX <= entries.len();
            request = if full { None } else { inbox.try_recv().ok() };
        }
        if !replies.is_empty() {
            let mut verdicts = log.commit(&entries, clock.now()).into_iter();
            entries.clear();
            for (count, reply) in replies.drain(..) {
                // A sender that has gone away will ask again, and be told that it is a duplicate.
                drop(reply.send(verdicts.by_ref().take(count).collect()));
            }
        }
        match other {
            Some(Request::Release(epoch, lane, through)) => log.release(epoch, lane, through),
            Some(Request::Advance(consumer, position)) => log.advance(&consumer, position),
            Some(Request::Maintain(reply)) => {
                log.maintain(clock.now());
                answer(reply);
            }
            Some(Request::Close(reply)) => {
                log.close();
                answer(reply);
                return;
            }
            Some(Request::Append(..)) | None => {}
        }
    }
    log.close();
}

/// Whoever asked may have gone away; then nobody needs the answer.
fn answer(reply: oneshot::Sender<()>) {
    if reply.send(()).is_err() {
        tracing::debug!("nobody waited for the journal's answer");
    }
}
