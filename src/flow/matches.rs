//! Who is who: the cases that wait for people, and their decisions, which are journalled like messages.

use bytes::Bytes;

use crate::{
    codec::cbor,
    domain::{
        entry::{Entry, Summary},
        ids::Class,
        matching::{DECISION_KIND, DECISION_PERSONS_MAX, DECISION_REASON_BYTES_MAX, Decision},
    },
    journal::{Append, Identity, Lane, Verdict},
    store::{MatchDetail, Matches, View, ViewError},
};

use super::{hub::Hub, operate::OperateError};

/// The name under which the hub's own entries stand in the journal.
pub const OWN_SYSTEM: &str = "hub";
/// A decision names a few persons and a reason.
const DECISION_BYTES_MAX: usize = 64 << 10;

impl Hub {
    /// The cases in which people must decide who is who. Reads the disk.
    ///
    /// # Errors
    /// The record view is not open.
    pub fn matches(&self) -> Result<Matches, OperateError> {
        self.in_view(View::matches)
    }

    /// One case, with what each side's systems say. Reads the disk. To be shown only to who may see records.
    ///
    /// # Errors
    /// There is no such case, or the record view is not open.
    pub fn show_match(&self, id: &str) -> Result<MatchDetail, OperateError> {
        let found = self.in_view(|view| view.match_detail(id))?;
        found.ok_or_else(|| OperateError::NotFound(format!("the case {id}")))
    }

    /// Links the persons of a case to the holders of its number, or keeps them apart from it. It is durable when this
    /// returns, and counts once the record view has come to it, within a second. `by` and `reason` go on record.
    /// Blocks; to be called within the runtime, where blocking is allowed.
    ///
    /// # Errors
    /// There is no such case, no reason is given, or the journal does not take it.
    pub fn decide_match(&self, id: &str, link: bool, by: &str, reason: &str) -> Result<(), OperateError> {
        if reason.trim().is_empty() || DECISION_REASON_BYTES_MAX < reason.len() {
            let text = format!("say why, in at most {DECISION_REASON_BYTES_MAX} bytes");
            return Err(OperateError::Invalid(text));
        }
        let case = self.show_match(id)?.case;
        let holders = case.holders.iter().filter(|_| link);
        let persons: Vec<_> = case.persons.iter().chain(holders).map(|person| person.name.clone()).collect();
        if DECISION_PERSONS_MAX < persons.len() {
            return Err(OperateError::Conflict(format!(
                "more than {DECISION_PERSONS_MAX} persons have this number: repair it at their systems"
            )));
        }
        let decision = Decision {
            v: Decision::VERSION,
            nhs_number: case.nhs_number,
            persons,
            link,
            by: by.to_owned(),
            reason: reason.to_owned(),
            at: self.now(),
        };
        self.journal_decision(id, &decision)?;
        // The reason may name the patient: it is in the journal, and not here.
        tracing::warn!(case = id, by, link, "people decided who is who");
        Ok(())
    }

    fn journal_decision(&self, id: &str, decision: &Decision) -> Result<(), OperateError> {
        let failed = |what: &str, source: String| OperateError::Failed {
            what: what.to_owned(),
            source: source.into(),
        };
        let raw =
            cbor::encode(decision).map_err(|error| failed("encoding the decision", error.to_string()))?;
        let summary = Summary {
            format: DECISION_KIND.to_owned(),
            sender: decision.by.clone(),
            occurred: Some(decision.at),
            ..Summary::default()
        };
        let entry = Entry {
            kind: DECISION_KIND.to_owned(),
            system: OWN_SYSTEM.to_owned(),
            source_id: format!("{id}-{}", decision.at.0),
            patient: Some(decision.nhs_number),
            at: decision.at,
            clock: self.clock.quality(),
            body: cbor::encode(&summary).map(Bytes::from).unwrap_or_default(),
            raw: Some(raw.into()),
        };
        let payload =
            cbor::encode(&entry).map_err(|error| failed("encoding the entry", error.to_string()))?;
        let name = [self.identity.id.as_str(), OWN_SYSTEM, DECISION_KIND, &entry.source_id];
        let identity = Some(Identity::of(&name.map(str::as_bytes), &payload));
        let append = Append { lane: Lane::of(Class::Clinical), identity, payload: payload.into() };
        let journal = self.journal.clone();
        let verdicts = tokio::runtime::Handle::current()
            .block_on(async move { journal.append(vec![append]).await })
            .map_err(|error| failed("journalling the decision", error.to_string()))?;
        match verdicts.first() {
            Some(Verdict::Committed(_) | Verdict::Duplicate) => Ok(()),
            verdict => Err(OperateError::Conflict(format!("the journal does not take it: {verdict:?}"))),
        }
    }

    /// Does something with the record view, if it is open.
    pub(super) fn in_view<T>(
        &self,
        deed: impl FnOnce(&View) -> Result<T, ViewError>,
    ) -> Result<T, OperateError> {
        let view = self.records.load_full();
        let view =
            view.ok_or_else(|| OperateError::NotAvailable("the record view is not open yet".to_owned()))?;
        deed(&view).map_err(|error| OperateError::Failed {
            what: "reading the record view".to_owned(),
            source: error.into(),
        })
    }
}

/// The decision in a journalled entry, if this program made it and knows its version. Its format is the program's word:
/// no sender can give it to a message.
pub(super) fn decision_of(entry: &Entry) -> Option<Decision> {
    let summary: Summary = cbor::decode(&entry.body, DECISION_BYTES_MAX).ok()?;
    if entry.system != OWN_SYSTEM || summary.format != DECISION_KIND {
        return None;
    }
    let decision: Decision = cbor::decode(entry.raw.as_ref()?, DECISION_BYTES_MAX).ok()?;
    (decision.v == Decision::VERSION).then_some(decision)
}
