//! Taking a message in: durable first, then acknowledged.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    access::policy::{Exclusions, Restriction, Sensitivity, sensitivity},
    codec::cbor,
    domain::{
        entry::{Entry, Summary},
        record::{Event, FieldChange, ItemChange, ItemKind},
        time::Timestamp,
    },
    journal::{Append, Identity, Lane, PAYLOAD_BYTES_MAX, Verdict},
};

use super::{aside::Kept, hub::Hub, link::Link, status::RecentMessage};

/// A message that an edge has understood.
#[derive(Debug)]
pub struct Received {
    /// What it says.
    pub event: Event,
    /// What `raw` is, such as `hl7v2`.
    pub format: &'static str,
    /// The bytes as they came.
    pub raw: Bytes,
}

/// Proof that a message is durable. Only [`Hub::receive`] makes one, and only with it may an edge
/// acknowledge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Durable(());

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is durable, and will take effect.
    Accepted(Durable),
    /// It was durable already, from an earlier attempt of the same sender.
    Repeated(Durable),
    /// The sender has used its identifier for another message before.
    Conflict,
    /// There is no room for its class.
    Full,
    /// It is longer than the hub takes.
    TooLong,
    /// The disk failed; the sender must try again.
    Failed,
}

/// A message kept aside because it could not be taken in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Quarantined {
    /// When it came.
    pub at: Timestamp,
    /// From which system.
    pub system: String,
    /// Its kind, as far as it could be read.
    pub kind: String,
    /// Its sender's identifier for it, as far as it could be read.
    pub source_id: String,
    /// Why it could not be taken in, without its content.
    pub reason: String,
    /// The bytes as they came.
    #[serde(with = "crate::domain::entry::byte_string")]
    pub raw: Bytes,
}

impl Hub {
    /// Takes messages in together, in order. Returns once each is durable or cannot be.
    pub async fn receive(&self, link: &Link, messages: Vec<Received>) -> Vec<Outcome> {
        let messages = messages.into_iter().map(|message| (message.raw.clone(), message)).collect();
        self.receive_essence(link, messages).await
    }

    /// The same for protocols that dress a message anew at each attempt: with each, the bytes by which a repetition
    /// is known.
    pub async fn receive_essence(&self, link: &Link, messages: Vec<(Bytes, Received)>) -> Vec<Outcome> {
        let (now, quality) = (self.now(), self.clock.quality());
        let mut appends = Vec::with_capacity(messages.len());
        let mut notes = Vec::with_capacity(messages.len());
        for (essence, Received { event, format, raw }) in messages {
            let name = [self.identity.id.as_str(), link.name(), &event.sender, &event.source_id];
            let identity = Some(Identity::of(&name.map(str::as_bytes), &essence));
            let (lane, entry) = (Lane::of(event.class), entry(link, &event, format, raw, now));
            let entry = Entry { clock: quality, ..entry };
            // An entry that cannot be encoded becomes an empty payload, which the journal refuses.
            let payload = cbor::encode(&entry).map(Bytes::from).unwrap_or_default();
            appends.push(Append { lane, identity, payload });
            notes.push((entry.kind, entry.source_id));
        }
        let count = appends.len();
        let verdicts = self.journal.append(appends).await.unwrap_or_else(|_| vec![Verdict::Failed; count]);
        let outcomes: Vec<Outcome> = verdicts.iter().map(outcome).collect();
        self.count(link, notes, &outcomes, now);
        outcomes
    }

    /// Keeps a message aside that could not be taken in, so that someone can see what was wrong with it.
    /// Its sender is told no either way. Writes to disk: call it where blocking is allowed.
    pub fn quarantine(&self, message: &Quarantined) {
        self.keep_aside(message);
    }

    /// The same, and says whether the message is durable in the quarantine: false if that is full or the disk fails,
    /// and then an edge that would drop it must not. Writes to disk: call it where blocking is allowed.
    pub fn keep_aside(&self, message: &Quarantined) -> bool {
        let identity = Identity::of(&[message.system.as_bytes(), message.reason.as_bytes()], &message.raw);
        let name = format!("{:032x}", u128::from_be_bytes(identity.digest));
        self.note(RecentMessage {
            at: message.at,
            system: message.system.clone(),
            kind: message.kind.clone(),
            source_id: message.source_id.clone(),
            outcome: "refused",
        });
        let kept = self.quarantine.keep(&name, message);
        match &kept {
            Ok(Kept::Yes) => tracing::warn!(
                system = message.system,
                source_id = message.source_id,
                reason = message.reason,
                "message kept aside"
            ),
            Ok(Kept::No) => tracing::warn!(
                system = message.system,
                source_id = message.source_id,
                reason = message.reason,
                "message refused, and not kept aside: the quarantine is full"
            ),
            Err(error) => tracing::error!(%error, system = message.system, "message cannot be kept aside"),
        }
        matches!(kept, Ok(Kept::Yes))
    }

    fn count(&self, link: &Link, notes: Vec<(String, String)>, outcomes: &[Outcome], now: Timestamp) {
        let of =
            |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count() as u64;
        let accepted = of(|outcome| matches!(outcome, Outcome::Accepted(_)));
        let repeated = of(|outcome| matches!(outcome, Outcome::Repeated(_)));
        link.answered(accepted, repeated, outcomes.len() as u64 - accepted - repeated, now);
        // Of a burst only the newest is shown: nobody can read more, and the list costs a lock each.
        if let (Some((kind, source_id)), Some(last)) = (notes.into_iter().next_back(), outcomes.last()) {
            let outcome = match last {
                Outcome::Accepted(_) => "accepted",
                Outcome::Repeated(_) => "repeated",
                _ => "refused",
            };
            self.note(RecentMessage { at: now, system: link.name().to_owned(), kind, source_id, outcome });
        }
    }
}

/// Reads a journalled entry; none if its bytes are no entry of a version this program knows.
pub(super) fn decode(payload: &[u8]) -> Option<Entry> {
    cbor::decode(payload, PAYLOAD_BYTES_MAX).ok()
}

fn entry(link: &Link, event: &Event, format: &str, raw: Bytes, now: Timestamp) -> Entry {
    // Each once: a message that repeats one ten thousand times would have a summary that nobody reads again.
    let mut faults: Vec<String> = Vec::new();
    for fault in &event.faults {
        if !faults.iter().any(|known| known == fault) {
            faults.push((*fault).to_owned());
        }
    }
    let summary = Summary {
        format: format.to_owned(),
        sender: event.sender.clone(),
        occurred: event.occurred,
        unlinked: event.nhs_number.err(),
        faults,
        sealed: is_sealed(&event.items),
    };
    Entry {
        kind: event.kind.clone(),
        system: link.name().to_owned(),
        source_id: event.source_id.clone(),
        patient: event.nhs_number.ok(),
        at: now,
        clock: crate::domain::time::ClockQuality::default(),
        body: cbor::encode(&summary).map(Bytes::from).unwrap_or_default(),
        raw: Some(raw),
    }
}

/// Whether a source has marked anything as sealed, or the patient as one who is not to be shown.
fn is_sealed(items: &[ItemChange]) -> bool {
    let marks = items.iter().flat_map(|item| item.fields.iter().map(move |field| (item.kind, field)));
    marks.into_iter().any(|(kind, (name, change))| match change {
        FieldChange::Set(mark) if *name == "confidentiality" && kind == ItemKind::Demographics => {
            Restriction::of_pds(Some(mark), false) == Restriction::Denied
        }
        FieldChange::Set(mark) if *name == "confidentiality" => {
            sensitivity([], [mark.as_str()], &Exclusions::default()) == Sensitivity::Sealed
        }
        _ => false,
    })
}

const fn outcome(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Committed(_) => Outcome::Accepted(Durable(())),
        Verdict::Duplicate => Outcome::Repeated(Durable(())),
        Verdict::Conflict => Outcome::Conflict,
        Verdict::Full => Outcome::Full,
        Verdict::WrongSize => Outcome::TooLong,
        Verdict::Failed => Outcome::Failed,
    }
}
