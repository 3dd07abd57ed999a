//! Keeping the record view up to date: a thread that follows the journal, and makes the view anew when it
//! cannot be used. Nothing waits for it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    domain::{
        entry::Entry,
        matching::{DECISION_KIND, Decision},
        one_record::When,
        record::Event,
    },
    journal::{Closed, LogReader, Position, Record},
    store::{Applied, Opened, RebuildReason, Told, View, ViewError},
    sys::{entropy::Entropy, priority::give_way},
};

use super::{alarm::AlarmCode, book, hub::Hub, matches, receive::decode};

/// The view's name as a consumer of the journal.
pub const VIEW: &str = "view";
/// Taken in together: the more, the fewer writes for a patient with several messages.
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 1000;
const APPLIED_TOGETHER: usize = 32;
/// How often the view is made durable, and after how many bytes of messages at the latest. Seldom, because what
/// comes together is written once; until then the journal keeps what the view is made of.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
const FLUSH_BYTES: usize = 64 << 20;
/// How often to look for more when there is nothing to do.
const IDLE: Duration = Duration::from_millis(200);
/// How long to wait before a view that failed is made anew.
const AGAIN: Duration = Duration::from_secs(5);

/// The thread that keeps the view.
#[derive(Debug)]
pub struct ViewKeeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Why the thread has stopped following.
enum Ended {
    /// The hub ends.
    Asked,
    /// The view is of no more use.
    Failed(String),
}

impl ViewKeeper {
    /// Starts the thread; the view is in `directory`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(hub: &Arc<Hub>, directory: &Path) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let keeping = Keeping {
            hub: Arc::clone(hub),
            directory: directory.to_owned(),
            stop: Arc::clone(&stop),
            entropy: Entropy::from_system(),
        };
        let thread = thread::Builder::new().name(VIEW.to_owned()).spawn(move || keeping.run())?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread, with the view durable as far as it has come. Blocks.
    pub fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.thread.join().is_err() {
            tracing::error!("the record view's thread ended in a panic");
        }
    }
}

struct Keeping {
    hub: Arc<Hub>,
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    entropy: Entropy,
}

impl Keeping {
    fn run(mut self) {
        // Senders wait for the journal; nobody waits for the view.
        give_way();
        loop {
            // sled 0.34 has panics of its own; they cost the view, and the view can be made anew.
            let ended = catch_unwind(AssertUnwindSafe(|| self.follow()))
                .unwrap_or_else(|_| Ended::Failed("its database panicked".to_owned()));
            let Ended::Failed(reason) = ended else { return };
            let text = format!("the record view failed and is opened again: {reason}");
            self.hub.alarms.raise(AlarmCode::ViewFailing, "", text, self.hub.now());
            let until = Instant::now() + AGAIN;
            while Instant::now() < until {
                if self.is_stopped() {
                    return;
                }
                thread::sleep(IDLE);
            }
        }
    }

    fn follow(&mut self) -> Ended {
        match self.follow_to_the_end() {
            Ok(()) => Ended::Asked,
            Err(Failure::Closed) => Ended::Asked,
            Err(Failure::View(error)) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                Ended::Failed(format!("{error}{}", cause.unwrap_or_default()))
            }
            Err(Failure::Journal(error)) => Ended::Failed(format!("the journal cannot be read: {error}")),
        }
    }

    fn follow_to_the_end(&mut self) -> Result<(), Failure> {
        let (view, opened) = View::open(&self.directory, &mut self.entropy)?;
        let view = Arc::new(view);
        let _withdrawn_at_the_end = Offered::to(&self.hub, &view);
        let shared = Arc::clone(self.hub.journal.shared());
        let position = view.position()?;
        self.begin(&opened, &view)?;
        if opened.rebuild.is_none() && position < shared.beginning() {
            let text = "the journal let go of messages before the record view had seen them";
            self.hub.alarms.raise(AlarmCode::ViewFailing, "behind", text, self.hub.now());
        }
        let mut reader = LogReader::new(shared, position);
        let mut flushed_at = Instant::now();
        let (mut dirty, mut bytes) = (true, 0);
        let mut today = 0;
        loop {
            let chunk = reader.read(READ_BYTES, READ_ENTRIES).map_err(Failure::Journal)?;
            let moved = !chunk.records.is_empty() || 0 < chunk.damaged_bytes;
            if moved {
                self.apply(&view, &chunk.records, chunk.next)?;
                bytes += chunk.records.iter().map(|record| record.payload.len()).sum::<usize>();
                dirty = true;
            }
            let day = When::of(self.hub.now()).map_or(0, When::day);
            if today != day {
                // Past appointments stay in the records; who is looked for by day is booked for today or later.
                view.forget_bookings_before(day)?;
                today = day;
            }
            let stopped = self.is_stopped();
            if dirty && (stopped || FLUSH_BYTES <= bytes || FLUSH_EVERY <= flushed_at.elapsed()) {
                let durable = view.flush()?;
                self.hub.journal.advance_blocking(VIEW, durable).map_err(|Closed| Failure::Closed)?;
                (dirty, bytes, flushed_at) = (false, 0, Instant::now());
            }
            if stopped {
                return Ok(());
            }
            if !moved {
                self.caught_up(&view)?;
                thread::sleep(IDLE);
            }
        }
    }

    fn apply(&self, view: &View, records: &[Record], next: Position) -> Result<(), Failure> {
        let read: Vec<(Position, Entry, Understood)> = records
            .iter()
            .filter(|record| record.placed.lane.class().is_some())
            .filter_map(|record| Some((record.position, decode(&record.payload)?)))
            .filter_map(|(position, entry)| Some((position, self.understand(&entry)?, entry)))
            .map(|(position, understood, entry)| (position, entry, understood))
            .collect();
        let applied: Vec<Applied<'_>> = read
            .iter()
            .map(|(position, entry, understood)| Applied {
                system: &entry.system,
                received: entry.at,
                position: *position,
                told: match understood {
                    Understood::Event(event) => Told::Event(event),
                    Understood::Decision(decision) => Told::Decision(decision),
                },
            })
            .collect();
        // A few at a time, so that readers need not wait for all.
        let mut rest = applied.as_slice();
        while let Some((some, later)) = rest.split_at_checked(APPLIED_TOGETHER) {
            view.apply(some, later.first().map_or(next, |applied| applied.position))?;
            rest = later;
        }
        view.apply(rest, next)?;
        let mut status = self.hub.view_status();
        status.applied += records.len() as u64;
        status.caught_up = false;
        Ok(())
    }

    fn understand(&self, entry: &Entry) -> Option<Understood> {
        if entry.kind == DECISION_KIND
            && let Some(decision) = matches::decision_of(entry)
        {
            return Some(Understood::Decision(decision));
        }
        let of_the_desk = book::event_of(entry);
        of_the_desk.or_else(|| (self.hub.translate)(entry)).map(Understood::Event)
    }

    fn begin(&self, opened: &Opened, view: &View) -> Result<(), Failure> {
        let patients = view.counts()?.patients as u64;
        tracing::info!(rebuild = ?opened.rebuild, patients, "record view open");
        self.hub.alarms.clear(AlarmCode::ViewFailing, "");
        let rebuilding = opened.rebuild.is_some_and(|reason| reason != RebuildReason::New);
        let text = "the record view is being made anew from the journal: records may be incomplete";
        self.hub.alarms.set(rebuilding, AlarmCode::ViewRebuilding, "", text, self.hub.now());
        let mut status = self.hub.view_status();
        (status.patients, status.rebuilding, status.caught_up) = (patients, rebuilding, false);
        Ok(())
    }

    fn caught_up(&self, view: &View) -> Result<(), Failure> {
        if self.hub.view_status().caught_up {
            return Ok(());
        }
        let patients = view.counts()?.patients as u64;
        {
            let mut status = self.hub.view_status();
            (status.patients, status.rebuilding, status.caught_up) = (patients, false, true);
        }
        self.hub.alarms.clear(AlarmCode::ViewRebuilding, "");
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// What an entry says.
enum Understood {
    Event(Event),
    Decision(Decision),
}

/// Readers find the view at the hub for as long as this lives.
struct Offered<'a>(&'a Hub);

impl<'a> Offered<'a> {
    fn to(hub: &'a Hub, view: &Arc<View>) -> Self {
        hub.records.store(Some(Arc::clone(view)));
        Self(hub)
    }
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        self.0.records.store(None);
    }
}

enum Failure {
    View(ViewError),
    Journal(io::Error),
    Closed,
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}
