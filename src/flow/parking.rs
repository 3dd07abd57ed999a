//! Deciding about what was refused for good, by the centre or by a system that messages are delivered to: one list,
//! and the same deeds for both.

use std::{error::Error, sync::Arc};

use crate::{
    codec::cbor,
    domain::entry::Entry,
    journal::{Append, Identity, Lane, Verdict},
};

use super::{
    deliver::{Delivery, Parcel, ParkedMessage},
    hub::Hub,
    operate::{CENTRE, OperateError, ParkedEntry, Preview, Resend, ResendWhat, Reveal, printable},
    send::Parked,
};

/// A parked entry and where it is.
enum Place {
    /// Refused by the centre: its file's name, and what is in it.
    Centre(String, Parked),
    /// Refused by a system.
    System(Arc<Delivery>, ParkedMessage),
}

impl Hub {
    /// See [`Operate::parked`](super::operate::Operate::parked).
    pub(super) fn list_parked(&self) -> Vec<ParkedEntry> {
        let names = self.parked.names().unwrap_or_default();
        let mut entries: Vec<ParkedEntry> =
            names.iter().filter_map(|name| Some(at_centre(name, &self.parked.get(name)?))).collect();
        for delivery in self.deliveries() {
            entries.extend(delivery.parked().iter().map(|parked| at_system(&delivery, parked)));
        }
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// See [`Operate::parked_show`](super::operate::Operate::parked_show).
    pub(super) fn show_parked(&self, number: u64, reveal: Option<&Reveal>) -> Result<Preview, OperateError> {
        match self.place(number)? {
            Place::Centre(_, parked) => {
                let raw = parked.entry.raw.clone().unwrap_or_else(|| parked.entry.body.clone());
                Ok(preview(CENTRE, &parked.entry, Ok(&raw), reveal))
            }
            Place::System(delivery, parked) => {
                let parcel = parcel_of(&delivery, &parked, number)?;
                Ok(preview_at(&delivery, &parcel, reveal))
            }
        }
    }

    /// See [`Operate::parked_release`](super::operate::Operate::parked_release).
    pub(super) fn release_parked(&self, number: u64, by: &str) -> Result<(), OperateError> {
        match self.place(number)? {
            Place::Centre(name, parked) => {
                self.queue_again(&name, &parked)?;
                tracing::warn!(
                    number,
                    by,
                    source_id = parked.entry.source_id,
                    "parked entry queued once more"
                );
                self.parked.remove(&name).map_err(failed("removing the parked entry"))
            }
            Place::System(delivery, parked) => {
                if !delivery.release(&parked).map_err(failed("releasing the message"))? {
                    return Err(not_found(number));
                }
                let (to, source_id) = (delivery.name(), &parked.source_id);
                tracing::warn!(number, by, to, source_id, "parked message released");
                Ok(())
            }
        }
    }

    /// See [`Operate::parked_skip`](super::operate::Operate::parked_skip).
    pub(super) fn skip_parked(&self, number: u64, reason: &str, by: &str) -> Result<(), OperateError> {
        match self.place(number)? {
            Place::Centre(name, parked) => {
                tracing::warn!(
                    number,
                    by,
                    reason,
                    source_id = parked.entry.source_id,
                    "parked entry given up"
                );
                self.parked.remove(&name).map_err(failed("removing the parked entry"))
            }
            Place::System(delivery, parked) => {
                let (to, source_id) = (delivery.name(), &parked.source_id);
                tracing::warn!(number, by, reason, to, source_id, "parked message skipped");
                let done = delivery.skip(&parked).map_err(failed("giving up the message"))?;
                if done { Ok(()) } else { Err(not_found(number)) }
            }
        }
    }

    /// See [`Operate::resend`](super::operate::Operate::resend).
    pub(super) fn send_to_one(&self, resend: &Resend, by: &str) -> Result<Preview, OperateError> {
        let named = |delivery: &Arc<Delivery>| delivery.name() == resend.to;
        let to = self.deliveries().into_iter().find(named).ok_or_else(|| {
            OperateError::NotFound(format!("a system called {} that messages are delivered to", resend.to))
        })?;
        let parcel = self.parcel_to_resend(&resend.what)?;
        let preview = preview_at(&to, &parcel, resend.reveal.as_ref());
        if resend.confirmed {
            if !preview.fault.is_empty() {
                return Err(OperateError::Conflict(preview.fault));
            }
            let entry = Entry::clone(&parcel.entry);
            to.resend(&parcel.attempt_id, parcel.event.class, entry)
                .map_err(failed("keeping the message"))?;
            let (to, id, source_id) = (to.name(), parcel.attempt_id, &parcel.entry.source_id);
            tracing::warn!(by, to, id, source_id, "message sent once more to one system");
        }
        Ok(preview)
    }

    fn parcel_to_resend(&self, what: &ResendWhat) -> Result<Parcel, OperateError> {
        let (id, entry) = match what {
            ResendWhat::Parked(number) => match self.place(*number)? {
                Place::System(delivery, parked) => return parcel_of(&delivery, &parked, *number),
                Place::Centre(_, parked) => {
                    let name = [parked.entry.system.as_bytes(), parked.entry.source_id.as_bytes()];
                    (Identity::of(&name, b"").id(), parked.entry)
                }
            },
            ResendWhat::Message(id) => {
                let found = self.message(id)?;
                let (record, entry) = found.ok_or_else(|| OperateError::NotFound(format!("message {id}")))?;
                (record.identity.map(|identity| identity.id()).unwrap_or_default(), entry)
            }
        };
        let event = (self.translate)(&entry).ok_or_else(|| {
            OperateError::Conflict("the message says nothing that could be delivered".to_owned())
        })?;
        Ok(Parcel {
            entry: Arc::new(entry),
            event: Arc::new(event),
            attempt_id: id,
            position: Default::default(),
        })
    }

    /// Puts an entry that the centre refused into the journal once more.
    fn queue_again(&self, name: &str, parked: &Parked) -> Result<(), OperateError> {
        let payload = cbor::encode(&parked.entry).map_err(failed("encoding"))?;
        // Under a name of its own: the journal knows the entry already, and would call it a repetition.
        let identity = Identity::of(&[b"resent", name.as_bytes()], &payload);
        let append =
            Append { lane: Lane::of(parked.class), identity: Some(identity), payload: payload.into() };
        let journal = self.journal.clone();
        let appending = async move { journal.append(vec![append]).await };
        let verdicts =
            tokio::runtime::Handle::current().block_on(appending).map_err(failed("queueing the entry"))?;
        match verdicts.first() {
            Some(Verdict::Committed(_) | Verdict::Duplicate) => Ok(()),
            verdict => Err(OperateError::Conflict(format!("the journal does not take it: {verdict:?}"))),
        }
    }

    fn place(&self, number: u64) -> Result<Place, OperateError> {
        let names = self.parked.names().unwrap_or_default();
        if let Some(name) = names.into_iter().find(|name| number_of(CENTRE, name) == number)
            && let Some(parked) = self.parked.get(&name)
        {
            return Ok(Place::Centre(name, parked));
        }
        for delivery in self.deliveries() {
            let mut all = delivery.parked().into_iter();
            if let Some(parked) = all.find(|parked| number_of(delivery.name(), &parked.name) == number) {
                return Ok(Place::System(delivery, parked));
            }
        }
        Err(not_found(number))
    }
}

fn parcel_of(delivery: &Delivery, parked: &ParkedMessage, number: u64) -> Result<Parcel, OperateError> {
    let parcel = delivery.parcel(parked).map_err(failed("reading the message"))?;
    parcel.ok_or_else(|| not_found(number))
}

fn preview_at(delivery: &Delivery, parcel: &Parcel, reveal: Option<&Reveal>) -> Preview {
    let made = delivery.preview(parcel);
    preview(delivery.name(), &parcel.entry, made.as_ref().map_err(String::as_str), reveal)
}

/// What would be sent; that its content was shown goes on record first.
fn preview(
    destination: &str,
    entry: &Entry,
    made: Result<&bytes::Bytes, &str>,
    reveal: Option<&Reveal>,
) -> Preview {
    let content = reveal.zip(made.ok()).map(|(reveal, made)| {
        let (by, reason, source_id) = (&reveal.by, &reveal.reason, &entry.source_id);
        tracing::warn!(by, reason, destination, source_id, "a message's content was shown");
        printable(made)
    });
    Preview {
        destination: destination.to_owned(),
        kind: entry.kind.clone(),
        system: entry.system.clone(),
        source_id: entry.source_id.clone(),
        size_bytes: made.map_or(0, |made| made.len() as u64),
        fault: made.err().unwrap_or_default().to_owned(),
        content,
    }
}

fn at_centre(name: &str, parked: &Parked) -> ParkedEntry {
    let entry = &parked.entry;
    ParkedEntry {
        number: number_of(CENTRE, name),
        destination: CENTRE.to_owned(),
        class: parked.class,
        kind: entry.kind.clone(),
        system: entry.system.clone(),
        source_id: entry.source_id.clone(),
        reason: parked.reason.clone(),
        at: parked.at,
        behind: 0,
    }
}

fn at_system(delivery: &Delivery, parked: &ParkedMessage) -> ParkedEntry {
    ParkedEntry {
        number: number_of(delivery.name(), &parked.name),
        destination: delivery.name().to_owned(),
        class: parked.class,
        kind: parked.kind.clone(),
        system: parked.system.clone(),
        source_id: parked.source_id.clone(),
        reason: parked.reason.clone(),
        at: parked.at,
        behind: parked.behind,
    }
}

/// A parked entry's number for operators: short enough to type, the same as long as it is there.
fn number_of(destination: &str, name: &str) -> u64 {
    u64::from(crc32c::crc32c(format!("{destination}/{name}").as_bytes()))
}

fn not_found(number: u64) -> OperateError {
    OperateError::NotFound(format!("parked entry {number}"))
}

fn failed<E: Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> OperateError {
    move |error| OperateError::Failed { what: what.to_owned(), source: error.into() }
}
