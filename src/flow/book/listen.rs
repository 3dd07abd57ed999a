//! Following what systems say of appointments in their books: from the journal, with a place of its own, so that each word
//! is heard whatever stops in between; and from practices, which say it only when they are asked.

use crate::{
    domain::{
        booking::{AppointmentId, Person, SystemWord, WordTime},
        entry::Entry,
        record::{Event, FieldChange, ItemKind},
        time::Timestamp,
    },
    flow::receive::decode,
    journal::{Identity, LogReader, Position, Record},
};

use super::{BookingDesk, journal::NotCommitted, people};

const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 1_000;
/// Read in one go: who has much to catch up on looks after everything else between.
const CHUNKS_MAX: usize = 8;

/// Reads what a journalled message says of an appointment in its sender's book; none if nothing. What the hub knows of
/// the message besides (its system, its place, the patient) is put in by whoever asks.
pub type Hears = fn(&Entry) -> Option<SystemWord>;

/// Who reads the journal for what systems say.
#[derive(Debug)]
pub(super) struct Listener {
    reader: LogReader,
    at: Position,
}

impl Listener {
    pub(super) fn new(desk: &BookingDesk, at: Position) -> Self {
        Self { reader: LogReader::new(std::sync::Arc::clone(desk.hub.journal.shared()), at), at }
    }
}

impl BookingDesk {
    /// Takes in what systems have said since. A word that cannot be put down now is heard again.
    pub(super) async fn listen(&self, listener: &mut Listener) {
        // Before it may sell, it cannot take what others have given away.
        if self.desk().ledger().may_sell().is_err() {
            return;
        }
        for _ in 0..CHUNKS_MAX {
            let chunk = match listener.reader.read(READ_BYTES, READ_ENTRIES) {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!(%error, "the journal cannot be followed; trying again");
                    return;
                }
            };
            if chunk.records.is_empty() && chunk.damaged_bytes == 0 {
                return;
            }
            for record in &chunk.records {
                let Some(word) = self.word_in(record) else { continue };
                match self.heed(&word).await {
                    Ok(()) => {}
                    // It will never fit: what comes after it must not wait for it.
                    Err(NotCommitted::TooLong) => {
                        tracing::error!(
                            system = word.system,
                            "what a system says cannot be put down: left out"
                        );
                    }
                    Err(error) => {
                        tracing::warn!(%error, system = word.system, "what a system says is heard again later");
                        *listener = Listener::new(self, listener.at);
                        return;
                    }
                }
            }
            listener.at = chunk.next;
            self.writer.lock().await.listened = chunk.next;
        }
    }

    /// Decides what follows from a system's word, and puts it down.
    pub(super) async fn heed(&self, word: &SystemWord) -> Result<(), NotCommitted> {
        let mut writer = self.writer.lock().await;
        let act = {
            let desk = self.desk();
            let resolve = self.resolver(&desk);
            let own = desk.hub().clone();
            desk.heed(
                crate::booking::desk::Situation {
                    now: self.hub.now(),
                    by: &word.system,
                    desk: &own,
                    resolve: &resolve,
                },
                word,
            )
        };
        self.commit(&mut writer, act).await.map(|_| ())
    }

    /// What an entry of the journal says of an appointment in its system's book.
    fn word_in(&self, record: &Record) -> Option<SystemWord> {
        record.placed.lane.class()?;
        if self.told.is_empty() {
            return None;
        }
        let entry = decode(&record.payload)?;
        if !self.told.iter().any(|told| told.name() == entry.system) {
            return None;
        }
        let word = (self.hears)(&entry)?;
        let when = WordTime {
            at: if word.when.at == Timestamp::default() { entry.at } else { word.when.at.min(entry.at) },
            place: (record.position.segment, record.position.offset),
        };
        let named = if word.filler.is_empty() { word.names.first()? } else { &word.filler };
        let id = own_name(self.desk().hub().as_str(), &entry.system, named);
        let word = SystemWord { system: entry.system.clone(), when, id, ..word };
        // Of the coming of patients whom nobody here expects, nothing more is read.
        if word.book.is_none() && self.desk().meant(&word).is_none() {
            return None;
        }
        let event = (self.hub.translate)(&entry);
        let person = event.as_ref().map(person_in).unwrap_or_default();
        let theirs = |event: &Event| {
            let mut own = event.identifiers.iter().filter(|one| one.authority != "NHS" && one.kind != "NH");
            own.next().map(|one| one.value.clone())
        };
        let patient = event.as_ref().and_then(theirs).unwrap_or_default();
        Some(SystemWord { person, patient, ..word })
    }
}

/// The name that an appointment of a system has here: always the same.
fn own_name(hub: &str, system: &str, name: &str) -> AppointmentId {
    let parts = ["appointment", hub, system, name];
    AppointmentId(u128::from_be_bytes(Identity::of(&parts.map(str::as_bytes), &[]).key))
}

/// Who a message is about: demographics alone.
fn person_in(event: &Event) -> Person {
    let fields = event.items.iter().find(|item| item.kind == ItemKind::Demographics).map(|item| &item.fields);
    let text = |name: &str| {
        let said = fields.into_iter().flatten().find(|(field, _)| *field == name);
        match said {
            Some((_, FieldChange::Set(text))) => text.clone(),
            _ => String::new(),
        }
    };
    people::person(event.nhs_number.ok(), text)
}
