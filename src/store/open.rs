//! Opening the view: trusted only if everything fits together, else thrown away and begun anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
};

use serde::{Deserialize, Serialize};

use super::{
    ViewError,
    bodies::Bodies,
    engine::{Engine, is_damage},
    keys::{self, Room},
    runs::{Runs, decode_chunks},
    shelf::{Shelf, decode_cursor, encode_cursor},
    state::{FORMAT, Names, State, Tally, decode_head, encode_head},
    value::{Alias, Claim, Patient},
};
use crate::{
    codec::cbor,
    journal::Position,
    sys::{
        disk::{Disk, RealDisk, read_file, replace_file},
        entropy::Entropy,
    },
};

/// Longest sentinel, in bytes; it is about 80.
const SENTINEL_BYTES_MAX: usize = 1024;

/// What opening found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opened {
    /// The view is new and empty, for this reason. Everything the journal holds is to be applied.
    pub rebuild: Option<RebuildReason>,
}

/// Why a view was begun anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RebuildReason {
    /// There was none.
    #[error("there was no record view")]
    New,
    /// The sentinel is missing or cannot be read, so nothing says what the database should hold.
    #[error("the record view's sentinel is missing or damaged")]
    NoSentinel,
    /// Another version of this program wrote it.
    #[error("the record view has another format")]
    Format,
    /// The database is empty or another than the sentinel names: sled opens so when its snapshot is lost.
    #[error("the record view's database is not the one it should be")]
    AnotherDatabase,
    /// The database ends before what was durable: its tail was cut off.
    #[error("the record view's database has lost its newest part")]
    TailLost,
    /// sled, or what is in it, is damaged.
    #[error("the record view's database is damaged")]
    Damaged,
}

/// What the sentinel file says.
#[derive(Debug, Deserialize, Serialize)]
struct Sentinel {
    format: u64,
    generation: u64,
    through: Position,
}

/// The view's directory.
#[derive(Clone, Debug)]
pub(super) struct Home {
    directory: PathBuf,
}

/// Why a view that is there is not used.
enum Refusal {
    Rebuild(RebuildReason),
    Error(ViewError),
}

impl From<ViewError> for Refusal {
    fn from(error: ViewError) -> Self {
        if is_damage(&error) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the record view cannot be used");
            Self::Rebuild(RebuildReason::Damaged)
        } else {
            Self::Error(error)
        }
    }
}

impl Home {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Opens what is there, or begins anew.
    pub(super) fn open(&self, entropy: &mut Entropy) -> Result<(State, Opened), ViewError> {
        RealDisk.create_directory(&self.directory).map_err(ViewError::disk("creating its directory"))?;
        match self.on_a_thread(Self::examine) {
            Ok(state) => Ok((state, Opened { rebuild: None })),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Rebuild(reason)) => {
                tracing::warn!(%reason, "the record view begins anew and is rebuilt from the journal");
                self.wipe()?;
                let generation = entropy.next_u64();
                match self.on_a_thread(move |home| home.create(generation)) {
                    Ok(state) => Ok((state, Opened { rebuild: Some(reason) })),
                    Err(Refusal::Error(error)) => Err(error),
                    Err(Refusal::Rebuild(_)) => Err(ViewError::Damaged("a new database is damaged at once")),
                }
            }
        }
    }

    /// Says durably what the database is and how far it goes.
    pub(super) fn write_sentinel(&self, generation: u64, through: Position) -> Result<(), ViewError> {
        let sentinel = Sentinel { format: FORMAT, generation, through };
        let bytes =
            cbor::encode(&sentinel).map_err(|_| ViewError::Damaged("the sentinel cannot be encoded"))?;
        replace_file(&RealDisk, &self.sentinel(), &bytes).map_err(ViewError::disk("writing the sentinel"))
    }

    /// Makes the next opening begin anew.
    pub(super) fn distrust(&self) {
        if let Err(error) = self.remove_sentinel() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the record view may be opened damaged");
        }
    }

    /// sled recovers in whatever way it likes, panics included: on a thread of its own.
    fn on_a_thread(
        &self,
        deed: impl FnOnce(&Self) -> Result<State, Refusal> + Send + 'static,
    ) -> Result<State, Refusal> {
        let home = self.clone();
        let started = thread::Builder::new().name("view-open".to_owned()).spawn(move || deed(&home));
        match started.map_err(ViewError::disk("starting a thread"))?.join() {
            Ok(result) => result,
            Err(_) => Err(ViewError::Panicked("opening").into()),
        }
    }

    fn examine(&self) -> Result<State, Refusal> {
        let rebuild = |reason| Err(Refusal::Rebuild(reason));
        let Some(sentinel) = self.read_sentinel()? else {
            let is_new = !self.sled().exists();
            return rebuild(if is_new { RebuildReason::New } else { RebuildReason::NoSentinel });
        };
        if sentinel.format != FORMAT {
            return rebuild(RebuildReason::Format);
        }
        if !self.sled().join("db").exists() || !self.bodies().is_dir() || !self.runs().is_dir() {
            return rebuild(RebuildReason::AnotherDatabase);
        }
        let engine = Engine::open(&self.sled())?;
        engine.synchronise_names()?;
        let head = engine.get(keys::HEAD)?.and_then(|bytes| decode_head(&bytes));
        let cursor = engine.get(keys::CURSOR)?.and_then(|bytes| decode_cursor(&bytes));
        match (head, cursor) {
            (Some((format, ..)), _) if format != FORMAT => rebuild(RebuildReason::Format),
            (Some((_, generation, numbers)), Some(next)) if generation == sentinel.generation => {
                if next < sentinel.through {
                    return rebuild(RebuildReason::TailLost);
                }
                Ok(survey(self.shelf(engine), generation, numbers, next, sentinel.through)?)
            }
            _ => rebuild(RebuildReason::AnotherDatabase),
        }
    }

    /// An empty view, durable when this returns.
    fn create(&self, generation: u64) -> Result<State, Refusal> {
        let create = |path: &Path| {
            RealDisk.create_directory(path).map_err(ViewError::disk("creating the folder of content files"))
        };
        create(&self.bodies())?;
        create(&self.runs())?;
        let engine = Engine::open(&self.sled())?;
        let next = Position::default();
        let entries = [
            (keys::HEAD.to_vec(), Some(encode_head(generation, 1, 1))),
            (keys::CURSOR.to_vec(), Some(encode_cursor(next))),
        ];
        engine.write(entries.into_iter())?;
        engine.flush()?;
        engine.synchronise_names()?;
        self.write_sentinel(generation, next)?;
        Ok(survey(self.shelf(engine), generation, [1, 1], next, next)?)
    }

    /// Removes everything; the sentinel first, so that a half-removed view is not trusted.
    fn wipe(&self) -> Result<(), ViewError> {
        self.remove_sentinel()?;
        for folder in [self.sled(), self.runs(), self.bodies()] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(ViewError::disk("removing what cannot be used")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn remove_sentinel(&self) -> Result<(), ViewError> {
        match RealDisk.remove(&self.sentinel()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ViewError::disk("removing the sentinel")(error))
            }
            _ => RealDisk
                .sync_directory(&self.directory)
                .map_err(ViewError::disk("synchronising its directory")),
        }
    }

    fn read_sentinel(&self) -> Result<Option<Sentinel>, ViewError> {
        match read_file(&RealDisk, &self.sentinel(), SENTINEL_BYTES_MAX as u64) {
            Ok(bytes) => Ok(cbor::decode(&bytes, SENTINEL_BYTES_MAX).ok()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(ViewError::disk("reading the sentinel")(error))
            }
            Err(_) => Ok(None),
        }
    }

    fn sentinel(&self) -> PathBuf {
        self.directory.join("sentinel")
    }

    fn sled(&self) -> PathBuf {
        self.directory.join("sled")
    }

    fn shelf(&self, engine: Engine) -> Shelf {
        Shelf::new(engine, Bodies(self.bodies()), Runs(self.runs()))
    }

    fn runs(&self) -> PathBuf {
        self.directory.join("runs")
    }

    fn bodies(&self) -> PathBuf {
        self.directory.join("bodies")
    }
}

/// Reads every entry once: finds damage now rather than in front of a patient, counts, learns the names,
/// and removes content files that nothing refers to any more.
fn survey(
    shelf: Shelf,
    generation: u64,
    [patient_next, run_next]: [u64; 2],
    next: Position,
    through: Position,
) -> Result<State, ViewError> {
    let mut names = Names::default();
    let mut counts = Tally::default();
    let mut last_number = None;
    let mut repairs_kept = 0;
    let mut wanted = BTreeSet::new();
    let mut runs: BTreeMap<u64, u64> = BTreeMap::new();
    shelf.engine.scan(b"", usize::MAX, |key, value| {
        match Room::of(key).ok_or(ViewError::Damaged("a key of no known kind"))? {
            Room::Name => learn(&mut names, key, value).ok_or(ViewError::Damaged("a name cannot be read")),
            Room::Patient => {
                let patient = Patient::decode(value).ok_or(ViewError::Damaged("a patient cannot be read"))?;
                counts.unnumbered += usize::from(patient.joined_to.is_none() && !patient.numbered);
                Ok(())
            }
            Room::Claim => {
                let damaged = || ViewError::Damaged("a claim to a number cannot be read");
                let number = keys::nhs_number_of(key).ok_or_else(damaged)?;
                counts.numbers += usize::from(last_number.replace(number) != Some(number));
                Claim::decode(value).map(|_| ()).ok_or_else(damaged)
            }
            Room::Alias => {
                Alias::decode(value).map(|_| ()).ok_or(ViewError::Damaged("an identifier cannot be read"))
            }
            Room::Chunk => {
                let chunks = decode_chunks(value);
                for (run, place) in chunks.ok_or(ViewError::Damaged("a place in a run cannot be read"))? {
                    counts.items += place.items;
                    let end = runs.entry(run).or_default();
                    *end = place.end().max(*end);
                }
                Ok(())
            }
            Room::Body => {
                wanted.extend(keys::digest_of(key));
                Ok(())
            }
            Room::Repair => {
                repairs_kept += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    })?;
    if !runs.iter().all(|(run, end)| shelf.runs.reaches(*run, *end)) {
        return Err(ViewError::Damaged("a run of items is missing or cut off"));
    }
    if !wanted.iter().all(|digest| shelf.bodies.has(digest)) {
        return Err(ViewError::Damaged("a content file is missing"));
    }
    shelf.runs.keep_only(|run| runs.contains_key(&run))?;
    shelf.bodies.keep_only(&wanted)?;
    Ok(State { shelf, generation, patient_next, run_next, next, through, names, counts, repairs_kept })
}

fn learn(names: &mut Names, key: &[u8], value: &[u8]) -> Option<()> {
    let number = keys::number(key)?;
    let name = String::from_utf8(value.to_vec()).ok()?;
    names.by_name.insert(name.clone(), number);
    names.by_number.insert(number, name);
    Some(())
}
