//! The thread that writes the trail: takes what is there, makes it durable at once, answers everyone.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::access::audit::{Line, Outcome};

use super::{AuditStopped, Parts, Signed, Status, Written, log::Log, opening::Acknowledged, shared::Shared};

/// Lines that share one synchronisation: with the longest lines, 2 MiB, which fit in one segment.
const GROUP_LINES_MAX: usize = 256;
/// A checkpoint follows after so many lines, so that with the next group they are a thousand at most.
const UNSIGNED_LINES_MAX: u64 = 1_000 - GROUP_LINES_MAX as u64;
/// A checkpoint follows after so long, if there are new lines.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// After a failure the disk is left alone for so long, then twice as long, and so on: each try leaves a file behind.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// Whoever has mended the disk waits no longer than this.
const REOPEN_AFTER_MAX: Duration = Duration::from_secs(30);
/// Deeds of people signing in, kept in memory while the trail is stopped: about 2 MB.
const BACKLOG_MAX: usize = 5_000;
/// Who the trail itself is in its lines.
const ITSELF: &str = "polygate";

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Request {
    Write(Box<Line>, oneshot::Sender<Result<Written, AuditStopped>>),
    /// A line that nobody waits for.
    Note(Box<Line>),
    Checkpoint(oneshot::Sender<Result<Signed, AuditStopped>>),
    Maintain(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Writer {
    parts: Arc<Parts>,
    shared: Arc<Shared>,
    status: Arc<Mutex<Status>>,
    log: Option<Log>,
    acknowledged: Option<Acknowledged>,
    failed: Option<Instant>,
    pause: Duration,
    /// When a checkpoint was signed last; none since the trail was opened: then one is due, for whatever was left.
    signed: Option<Instant>,
    backlog: VecDeque<Line>,
}

type Waiting = oneshot::Sender<Result<Written, AuditStopped>>;

/// Opens the trail, then starts the thread.
pub(super) fn start(
    parts: Arc<Parts>,
    shared: Arc<Shared>,
    status: Arc<Mutex<Status>>,
    inbox: mpsc::Receiver<Request>,
) -> io::Result<()> {
    let mut writer = Writer {
        parts,
        shared,
        status,
        log: None,
        acknowledged: None,
        failed: None,
        pause: Duration::ZERO,
        signed: None,
        backlog: VecDeque::new(),
    };
    writer.open();
    thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(inbox))?;
    Ok(())
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let (mut lines, mut waiting): (Vec<Line>, Vec<Option<Waiting>>) = (Vec::new(), Vec::new());
        while let Some(first) = inbox.blocking_recv() {
            let (mut request, mut other) = (Some(first), None);
            while let Some(next) = request {
                match next {
                    Request::Write(line, reply) => {
                        lines.push(*line);
                        waiting.push(Some(reply));
                    }
                    Request::Note(line) => {
                        lines.push(*line);
                        waiting.push(None);
                    }
                    control => other = Some(control),
                }
                let is_full = other.is_some() || GROUP_LINES_MAX <= lines.len();
                request = if is_full { None } else { inbox.try_recv().ok() };
            }
            if !lines.is_empty() {
                self.write(mem::take(&mut lines), mem::take(&mut waiting));
            }
            match other {
                Some(Request::Checkpoint(reply)) => answer(reply, self.checkpoint()),
                Some(Request::Maintain(reply)) => {
                    self.maintain();
                    answer(reply, ());
                }
                Some(Request::Close(reply)) => {
                    self.close();
                    answer(reply, ());
                    return;
                }
                Some(Request::Write(..) | Request::Note(_)) | None => {}
            }
        }
        self.close();
    }

    /// Makes a group durable and answers those who wait.
    fn write(&mut self, lines: Vec<Line>, waiting: Vec<Option<Waiting>>) {
        self.reopen();
        // Nobody is told that these failed: they are written when the trail can be.
        let unattended: Vec<Line> = lines
            .iter()
            .zip(&waiting)
            .filter(|(_, waiting)| waiting.is_none())
            .map(|(line, _)| line.clone())
            .collect();
        match self.log.as_mut().map(|log| log.commit(lines)) {
            Some(Ok(written)) => {
                self.acknowledged = self.log.as_ref().map(Log::acknowledged);
                self.pause = Duration::ZERO;
                for (written, waiting) in written.into_iter().zip(waiting) {
                    if let Some(reply) = waiting {
                        answer(reply, Ok(written));
                    }
                }
                if self.log.as_ref().is_some_and(|log| UNSIGNED_LINES_MAX <= log.unsigned()) {
                    // If it fails the trail has stopped, and says so to whoever comes next.
                    drop(self.checkpoint());
                }
            }
            failed => {
                if let Some(Err(error)) = failed {
                    self.stop(&error);
                }
                self.put_by(unattended);
                for reply in waiting.into_iter().flatten() {
                    answer(reply, Err(AuditStopped));
                }
            }
        }
    }

    fn checkpoint(&mut self) -> Result<Signed, AuditStopped> {
        self.reopen();
        let log = self.log.as_mut().ok_or(AuditStopped)?;
        match log.checkpoint() {
            Ok(signed) => {
                self.acknowledged = self.log.as_ref().map(Log::acknowledged);
                self.signed = Some(Instant::now());
                Ok(signed)
            }
            Err(error) => {
                self.stop(&error);
                Err(AuditStopped)
            }
        }
    }

    fn maintain(&mut self) {
        self.reopen();
        self.write_backlog();
        let is_due = self.signed.is_none_or(|signed| CHECKPOINT_EVERY <= signed.elapsed())
            && self.log.as_ref().is_some_and(|log| 0 < log.unsigned());
        if is_due {
            drop(self.checkpoint());
        }
        if let Some(log) = &self.log {
            let room = log.room();
            self.status().room = room;
        }
    }

    /// Opens the trail again, if it has stopped and the disk has had its pause.
    fn reopen(&mut self) {
        let is_due = self.failed.is_none_or(|failed| self.pause <= failed.elapsed());
        if self.log.is_none() && is_due {
            self.open();
        }
    }

    fn open(&mut self) {
        let mut log = match Log::open(&self.parts, &self.shared, self.acknowledged) {
            Ok(log) => log,
            Err(error) => return self.stop(&error),
        };
        for damage in &log.damage {
            tracing::error!(%damage, "the audit trail begins anew");
        }
        for note in &log.notes {
            tracing::warn!(%note, "the audit trail was recovered");
        }
        let deed = if log.damage.is_empty() { "audit.start" } else { "audit.begin-anew" };
        let found = log.damage.iter().chain(&log.notes).cloned().collect::<Vec<_>>().join("; ");
        let line = self.own_line(deed, found);
        let damage = mem::take(&mut log.damage);
        self.acknowledged = Some(log.acknowledged());
        match log.commit(vec![line]) {
            Ok(_) => {
                self.acknowledged = Some(log.acknowledged());
                let room = log.room();
                self.log = Some(log);
                self.failed = None;
                self.signed = None;
                let mut status = self.status();
                status.stopped = None;
                status.damage.extend(damage);
                status.room = room;
            }
            Err(error) => self.stop(&error),
        }
    }

    /// What was put by while the trail was stopped, and how much was not.
    fn write_backlog(&mut self) {
        let missed = mem::take(&mut self.status().missed);
        if 0 < missed {
            let line = self.own_line("audit.missed", format!("{missed} deeds are not on record"));
            self.backlog.push_back(line);
        }
        while self.log.is_some() && !self.backlog.is_empty() {
            let some = self.backlog.len().min(GROUP_LINES_MAX);
            let lines: Vec<Line> = self.backlog.drain(..some).collect();
            let nobody = lines.iter().map(|_| None).collect();
            self.write(lines, nobody);
        }
    }

    fn put_by(&mut self, lines: Vec<Line>) {
        for line in lines {
            if self.backlog.len() < BACKLOG_MAX {
                self.backlog.push_back(line);
            } else {
                self.status().missed += 1;
            }
        }
    }

    fn stop(&mut self, error: &io::Error) {
        self.log = None;
        self.failed = Some(Instant::now());
        self.pause = (self.pause * 2).clamp(REOPEN_AFTER, REOPEN_AFTER_MAX);
        let reason = error.to_string();
        let mut status = self.status();
        if status.stopped.is_none() {
            tracing::error!(%reason, "the audit trail cannot be written: nothing is disclosed");
        }
        status.stopped = Some(reason);
    }

    fn close(&mut self) {
        self.write_backlog();
        if self.log.as_ref().is_some_and(|log| 0 < log.unsigned()) {
            drop(self.checkpoint());
        }
        if let Some(log) = self.log.take() {
            log.close();
        }
        self.status().stopped = Some("the hub ends".to_owned());
    }

    fn own_line(&self, deed: &str, reason: String) -> Line {
        Line {
            at: self.parts.clock.now(),
            user: ITSELF.to_owned(),
            name: format!("{ITSELF} {}", env!("CARGO_PKG_VERSION")),
            deed: deed.to_owned(),
            outcome: Outcome::Done,
            reason,
            ..Line::default()
        }
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever asked may have gone away; then nobody needs the answer.
fn answer<T>(reply: oneshot::Sender<T>, answer: T) {
    if reply.send(answer).is_err() {
        tracing::debug!("nobody waited for the audit trail's answer");
    }
}
