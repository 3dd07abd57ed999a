//! The desk's acts in the journal: made durable before they count, read again at a start, and put together in one file
//! now and then, so that a start need not read all.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::{
    booking::{
        act::{ACT_BYTES_MAX, ACT_FORMAT, ACT_KIND, Act, Down, Said},
        desk::{Desk, Heard, Trouble},
        token::TokenEvent,
    },
    codec::cbor,
    domain::{
        entry::{Entry, Summary},
        ids::{Class, HubId},
        nhs_number::NhsNumber,
    },
    flow::{hub::Hub, matches::OWN_SYSTEM, obey::FromCentre, receive::decode},
    journal::{Append, Identity, Lane, LogReader, PAYLOAD_BYTES_MAX, Position, Record, Verdict},
    sys::disk::{read_file, replace_file},
};

use super::{BookingDesk, Options, practice::Practices};

/// The desk's name as a consumer of the journal.
pub const BOOKING: &str = "booking";
/// 200,000 appointments of 1,500 bytes, and as much again.
const DESK_BYTES_MAX: u64 = 600 << 20;
/// Acts after which the desk is written out: at 1,500 bytes each, a start reads 8 MB.
const ACTS_BETWEEN: u64 = 5_000;
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 1_000;
const FILE: &str = "desk.cbor";

/// What the one who writes keeps.
#[derive(Debug)]
pub(super) struct Writer {
    file: PathBuf,
    acts: u64,
    /// Acts may be missing from what was read at the start.
    pub(super) damaged: bool,
    /// What follows what the centre says, and how far it has come.
    pub(super) follower: LogReader,
    pub(super) followed: Position,
    /// How far what systems say was heard.
    pub(super) listened: Position,
}

/// The desk as it is kept in its file.
#[derive(Serialize, Deserialize)]
struct Kept {
    v: u8,
    /// This hub's acts before here are in the desk, and must not be taken in again.
    own: Position,
    /// What was heard before here is in the desk; taken in again it does no harm.
    heard: Position,
    /// What systems had said before here was heard; none in the file of a program that did not listen.
    #[serde(default)]
    listened: Option<Position>,
    desk: Desk,
}

/// The file of an older program is not read: the journal is read instead, as far as it goes.
const KEPT_VERSION: u8 = 1;

impl BookingDesk {
    /// Opens the desk: what its file holds, and all acts in the journal since. Reads the disk.
    ///
    /// # Errors
    /// The folder cannot be made, or the journal cannot be read.
    pub fn open(hub: &Arc<Hub>, options: Options) -> io::Result<(Arc<Self>, Vec<Told>)> {
        hub.disk.create_directory(&options.directory)?;
        let file = options.directory.join(FILE);
        let shared = Arc::clone(hub.journal.shared());
        let (mut desk, own, position, listened) = match read(hub, &file) {
            Some(Kept { own, heard, listened, desk, .. }) => {
                (desk, own, own.min(heard), listened.unwrap_or(heard))
            }
            None => {
                let beginning = shared.beginning();
                (Desk::new(hub.identity.id.clone()), Position::default(), beginning, beginning)
            }
        };
        let mut heard = Vec::new();
        let mut reader = LogReader::new(shared, position);
        let mut followed = position;
        let (mut acts, mut damaged) = (0, position < hub.journal.shared().beginning());
        loop {
            let chunk = reader.read(READ_BYTES, READ_ENTRIES)?;
            if chunk.records.is_empty() && chunk.damaged_bytes == 0 {
                break;
            }
            followed = chunk.next;
            damaged |= 0 < chunk.damaged_bytes;
            for record in &chunk.records {
                match understood(record) {
                    Some(Read::Own(_)) if record.position < own => continue,
                    Some(Read::Own(act)) => drop(desk.apply(&act)),
                    // What was heard since may have been left unanswered.
                    Some(Read::Down(down)) => {
                        for (act, _) in take_down(&mut desk, &down) {
                            heard.push(Told { from: down.from.clone(), act });
                        }
                    }
                    None => continue,
                }
                acts += 1;
            }
        }
        let practices = Practices::new(options.practices);
        let booking = Arc::new(Self {
            hub: Arc::clone(hub),
            desk: RwLock::new(desk),
            writer: tokio::sync::Mutex::new(Writer {
                file,
                acts,
                damaged,
                follower: reader,
                followed,
                listened,
            }),
            practices,
            told: options.told,
            hears: options.hears,
            organisation: options.organisation,
            catalogue: options.catalogue,
            first: options.first,
            counter: options.counter,
            under_way: Mutex::default(),
            waiting: Mutex::default(),
            wake: Notify::new(),
            changed: watch::Sender::new(0),
        });
        *hub.desk.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&booking);
        Ok((booking, heard))
    }

    /// Makes an act durable, then takes it in. The writer is the caller's from deciding to here.
    pub(super) async fn commit(&self, writer: &mut Writer, act: Act) -> Result<Act, NotCommitted> {
        if act.said.is_empty() && act.request.is_none() {
            return Ok(act);
        }
        let begins =
            |said: &Said| matches!(said, Said::Asking { .. } | Said::Token(TokenEvent::Began { .. }));
        if self.desk().ledger().incarnation() == 0 && !act.said.iter().any(begins) {
            return Err(NotCommitted::NotBegun);
        }
        let act = Act { place: self.desk().next_place(&act), ..act };
        let append = self.append_of(&act)?;
        let verdicts = self.hub.journal.append(vec![append]).await;
        match verdicts.as_deref().map(<[Verdict]>::first) {
            Ok(Some(Verdict::Committed(_) | Verdict::Duplicate)) => {}
            Ok(Some(Verdict::Full)) => return Err(NotCommitted::Full),
            // It may be there after a restart: then it holds, and until then nobody else is sold the same.
            _ => {
                self.doubt(&act);
                return Err(NotCommitted::Failed);
            }
        }
        self.take_in(&act);
        writer.acts += 1;
        if ACTS_BETWEEN <= writer.acts {
            self.write_out(writer).await;
        }
        Ok(act)
    }

    /// Writes the desk out, so that the journal may let go of what it is made of.
    pub(super) async fn write_out(&self, writer: &mut Writer) {
        let (disk, file) = (Arc::clone(&self.hub.disk), writer.file.clone());
        // The writer is held: this hub's acts before here are in the desk.
        let (own, heard) = (self.hub.journal.shared().end(), writer.followed);
        let listened = if self.told.is_empty() { heard } else { writer.listened };
        let kept = Kept { v: KEPT_VERSION, own, heard, listened: Some(listened), desk: self.desk().clone() };
        let written = tokio::task::spawn_blocking(move || {
            let bytes = cbor::encode(&kept).map_err(io::Error::other)?;
            replace_file(disk.as_ref(), &file, &bytes)
        });
        match written.await {
            Ok(Ok(())) => {
                writer.acts = 0;
                if self.hub.journal.advance(BOOKING, own.min(heard).min(listened)).await.is_err() {
                    tracing::debug!("the journal is closed");
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the desk cannot be written out; the journal keeps its acts")
            }
            Err(error) => {
                tracing::warn!(%error, "the desk cannot be written out; the journal keeps its acts")
            }
        }
    }

    fn append_of(&self, act: &Act) -> Result<Append, NotCommitted> {
        let raw = cbor::encode(act).map_err(|_| NotCommitted::TooLong)?;
        if ACT_BYTES_MAX < raw.len() {
            return Err(NotCommitted::TooLong);
        }
        // The writer is held: no other act has this place in the journal, whatever the clock says.
        let Position { segment, offset } = self.hub.journal.shared().end();
        let source_id = act.request.map_or_else(
            || format!("{}-{:x}-{segment:x}.{offset:x}", self.desk().ledger().incarnation(), act.at.0),
            |request| request.id.to_string(),
        );
        let summary = Summary {
            format: ACT_FORMAT.to_owned(),
            sender: act.by.clone(),
            occurred: Some(act.at),
            ..Summary::default()
        };
        let entry = Entry {
            kind: ACT_KIND.to_owned(),
            system: OWN_SYSTEM.to_owned(),
            source_id,
            patient: self.patient_of(act),
            at: act.at,
            clock: self.hub.clock.quality(),
            body: cbor::encode(&summary).map(Bytes::from).unwrap_or_default(),
            raw: Some(raw.into()),
        };
        let payload = cbor::encode(&entry).map_err(|_| NotCommitted::TooLong)?;
        let name = [self.hub.identity.id.as_str(), OWN_SYSTEM, ACT_KIND, &entry.source_id];
        let identity = Some(Identity::of(&name.map(str::as_bytes), &payload));
        Ok(Append { lane: Lane::of(Class::Booking), identity, payload: payload.into() })
    }

    /// The one patient that an act is about.
    fn patient_of(&self, act: &Act) -> Option<NhsNumber> {
        let desk = self.desk();
        let mut numbers = act.said.iter().filter_map(|said| match said {
            Said::Appointment(appointment) | Said::Pending(appointment) => {
                Some(appointment.person.nhs_number)
            }
            Said::Attendance { appointment, .. } | Said::Heard { appointment, .. } => {
                desk.appointment(*appointment).map(|known| known.person.nhs_number)
            }
            _ => None,
        });
        let first = numbers.next()??;
        numbers.all(|other| other == Some(first)).then_some(first)
    }

    /// After a failed write nobody knows whether the act will be there after a restart: its slots are nobody's.
    fn doubt(&self, act: &Act) {
        let mut desk = self.desk.write().unwrap_or_else(PoisonError::into_inner);
        for said in &act.said {
            if let Said::Token(event) = said {
                desk.doubt(event);
            }
        }
    }
}

/// Why an act is not durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NotCommitted {
    /// There is no room.
    #[error("the disk has no room for it")]
    Full,
    /// The disk failed.
    #[error("the disk failed")]
    Failed,
    /// It is too long.
    #[error("it is too long")]
    TooLong,
    /// Until it has begun, its acts could not be told from those of an earlier desk.
    #[error("the desk has not begun: the centre has not said yet whether this hub had an earlier box")]
    NotBegun,
}

/// What an entry of the journal is to the desk.
enum Read {
    Own(Box<Act>),
    Down(Down),
}

/// An act of another hub, or of the centre.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whose.
    pub(super) from: HubId,
    /// What it says.
    pub(super) act: Act,
}

fn understood(record: &Record) -> Option<Read> {
    if record.placed.lane == Lane::DOWN {
        return down_in(record).map(Read::Down);
    }
    if record.placed.lane != Lane::of(Class::Booking) {
        return None;
    }
    let entry = decode(&record.payload)?;
    if entry.kind != ACT_KIND || entry.system != OWN_SYSTEM {
        return None;
    }
    act_of(&entry.raw?).map(|act| Read::Own(Box::new(act)))
}

/// What the centre has said of others' bookings in an entry, if it is of that kind.
pub(super) fn down_in(record: &Record) -> Option<Down> {
    if record.placed.lane != Lane::DOWN {
        return None;
    }
    let from_centre: FromCentre = cbor::decode(&record.payload, PAYLOAD_BYTES_MAX).ok()?;
    if from_centre.kind != BOOKING {
        return None;
    }
    let down: Option<Down> = cbor::decode(&from_centre.payload, ACT_BYTES_MAX).ok();
    let known = down.filter(|down| down.v == Act::VERSION);
    if known.is_none() {
        tracing::warn!("what the centre says of bookings cannot be read: left out");
    }
    known
}

/// Takes in others' acts; returns those that are new, with what they should not have said.
pub(super) fn take_down(desk: &mut Desk, down: &Down) -> Vec<(Act, Vec<Trouble>)> {
    let mut new = Vec::new();
    let mut jump = down.jump;
    for act in down.acts.iter().filter_map(|bytes| act_of(bytes)) {
        match desk.hear(&down.from, &act, jump) {
            Heard::New(troubles) => new.push((act, troubles)),
            Heard::Old => {}
            Heard::TooEarly => break,
        }
        jump = false;
    }
    new
}

/// An act from its bytes; none if it is of a version that this program does not know.
pub(super) fn act_of(bytes: &[u8]) -> Option<Act> {
    let act: Act = cbor::decode(bytes, ACT_BYTES_MAX).ok()?;
    (act.v == Act::VERSION).then_some(act)
}

fn read(hub: &Hub, file: &Path) -> Option<Kept> {
    let bytes = match read_file(hub.disk.as_ref(), file, DESK_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!(%error, file = %file.display(), "the desk's file cannot be read");
            return None;
        }
    };
    let most = usize::try_from(DESK_BYTES_MAX).unwrap_or(usize::MAX);
    let kept = cbor::decode::<Kept>(&bytes, most).ok().filter(|kept| kept.v == KEPT_VERSION);
    if kept.is_none() {
        tracing::error!(file = %file.display(), "the desk's file is of no version that this program knows");
    }
    kept.filter(|kept| *kept.desk.hub() == hub.identity.id)
}
