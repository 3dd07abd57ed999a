//! One patient's record for one reader: what the record view has and what is cached, put together.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use crate::{
    domain::{
        nhs_number::NhsNumber,
        one_record::{self, Notice, OneRecord, Parts, Source, Statement},
        record::ItemKind,
        time::Timestamp,
    },
    store::{
        FieldValue, PatientRecord, RecordItem,
        cache::{Cache, CacheError, CachePolicy, CacheTime},
    },
};

use super::{hub::Hub, matches::OWN_SYSTEM, operate::OperateError};

/// Who reads a record and what for: what goes on record about it. Whether they may is decided before.
#[derive(Clone, Eq, PartialEq)]
pub struct Purpose {
    /// Who reads: a user's id at this hub, or a program's name. Never a patient's.
    pub by: String,
    /// What for.
    pub reason: Reason,
}

impl fmt::Debug for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Purpose({}, {})", self.by, self.reason.name())
    }
}

/// What a record is read for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Care of this patient, by somebody who gives it.
    DirectCare,
    /// An emergency, in which the reader's relationship to the patient could not be shown first.
    Emergency,
    /// Deciding who is who.
    Matching,
    /// Running the hub: who says how much of a patient, and what they say where that is needed and stated.
    Administration,
    /// The demonstration's, a benchmark's or a test's invented people.
    Demonstration,
}

impl Reason {
    /// Its stable name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectCare => "direct-care",
            Self::Emergency => "emergency",
            Self::Matching => "matching",
            Self::Administration => "administration",
            Self::Demonstration => "demonstration",
        }
    }
}

impl Hub {
    /// A patient's record from all systems: what they sent, and what is cached of what they answered. Reads the disk.
    ///
    /// What was accepted a second ago is in it. That it was read goes to the log with [`Purpose`], and without the patient.
    ///
    /// # Errors
    /// Nothing is known of such a patient, or the record view is not open.
    pub(super) fn one_record(
        &self,
        number: &NhsNumber,
        purpose: &Purpose,
    ) -> Result<OneRecord, OperateError> {
        let parts = self.parts_of(number)?;
        tracing::info!(
            by = purpose.by,
            reason = purpose.reason.name(),
            found = parts.is_some(),
            "record read"
        );
        let parts =
            parts.ok_or_else(|| OperateError::NotFound("a patient with this NHS number".to_owned()))?;
        Ok(one_record::assemble(parts, self.now()))
    }

    /// What a patient's record is put together from; none if nothing is known of them. Reads the disk.
    ///
    /// # Errors
    /// The record view is not open, or fails.
    pub(super) fn parts_of(&self, number: &NhsNumber) -> Result<Option<Parts>, OperateError> {
        let answers = self.cache.get().map(|cache| cache.read(number, self.cache_time())).unwrap_or_default();
        let found = self.in_view(|view| match view.find_by_nhs_number(number)? {
            Some(patient) => view.record(patient),
            None => Ok(None),
        })?;
        let known = found.is_some() || !answers.is_empty();
        let mut parts = found.map(parts).unwrap_or_default();
        parts.nhs_number = Some(*number);
        parts.answers = answers;
        let known_elsewhere = self.add_elsewhere(number, &mut parts);
        if !known && !known_elsewhere {
            return Ok(None);
        }
        // The desk repeats what it was told of a person when it booked: it is a witness only where it is the only one.
        let is_repeated =
            |one: &Statement| one.kind == ItemKind::Demographics && one.source.system == OWN_SYSTEM;
        if parts.statements.iter().any(|one| one.kind == ItemKind::Demographics && !is_repeated(one)) {
            parts.statements.retain(|one| !is_repeated(one));
        }
        if self.view_status().rebuilding {
            parts.notices.push(about("", "incomplete", "the record view is being made anew"));
        }
        Ok(Some(parts))
    }

    /// Whether anything is known of a patient, and nothing more: for programs that wait until it is. Reads the disk.
    pub fn knows(&self, number: &NhsNumber) -> bool {
        self.parts_of(number).is_ok_and(|parts| parts.is_some())
    }

    /// Whether a result from a specimen is in a patient's record, and nothing more. Reads the disk.
    pub fn has_result(&self, number: &NhsNumber, specimen: &str) -> bool {
        let is_of = |one: &Statement| {
            one.kind == ItemKind::Result && one.fields.get("specimen").is_some_and(|of| of == specimen)
        };
        self.parts_of(number).is_ok_and(|parts| parts.is_some_and(|parts| parts.statements.iter().any(is_of)))
    }

    /// Opens the cache of answers in `directory` under a policy; without one, throws away whatever is there. Once, at
    /// the start. Reads and writes the disk.
    ///
    /// # Errors
    /// The policy is not complete, or the disk fails.
    pub fn open_cache(
        &self,
        directory: &Path,
        policy: Option<CachePolicy>,
    ) -> Result<Arc<Cache>, CacheError> {
        if let Some(policy) = &policy {
            tracing::info!(basis = policy.basis, hours = policy.keep.as_secs() / 3600, "answers are cached");
        }
        let cache = Cache::open(Arc::clone(&self.disk), directory, policy, self.cache_time())?;
        Ok(Arc::clone(self.cache.get_or_init(|| Arc::new(cache))))
    }

    /// Throws away what is cached of a patient, for there is no legitimate relationship any more; says how many answers
    /// that were. `by` is who asked.
    ///
    /// # Errors
    /// The disk fails: it must be tried again.
    pub fn purge_answers(&self, number: &NhsNumber, by: &str) -> Result<usize, CacheError> {
        let Some(cache) = self.cache.get() else { return Ok(0) };
        let count = cache.purge(number)?;
        tracing::info!(by, count, "cached answers of a patient thrown away");
        Ok(count)
    }

    /// The clocks, as the cache wants them.
    pub(super) fn cache_time(&self) -> CacheTime {
        CacheTime { wall: self.now(), elapsed: self.elapsed() }
    }
}

/// What the view says of a patient, for [`one_record::assemble`].
pub fn parts(record: PatientRecord) -> Parts {
    let mut notices = Vec::new();
    for (system, doubt) in &record.apart {
        notices.push(about(system, "not-linked", doubt.code()));
    }
    for disagreement in &record.disagreements {
        notices.push(about(&disagreement.system, "identity-disputed", disagreement.kind.code()));
    }
    if 1 < record.nhs_numbers.len() {
        notices.push(about("", "several-nhs-numbers", ""));
    }
    if record.truncated {
        notices.push(about("", "truncated", ""));
    }
    let identifiers = record.identifiers.into_iter().map(|known| (known.system, known.identifier));
    let statements = record
        .items
        .into_iter()
        .flat_map(|(kind, items)| items.into_iter().map(move |item| statement(kind, item)));
    Parts {
        nhs_number: record.nhs_number,
        identifiers: identifiers.collect(),
        statements: statements.collect(),
        answers: Vec::new(),
        notices,
    }
}

fn statement(kind: ItemKind, item: RecordItem) -> Statement {
    let newest = item.fields.values().max_by_key(|field| (field.occurred, field.received));
    let (said_at, received_at, source_id) = match (newest, &item.withdrawn) {
        (Some(field), _) => (field.occurred, field.received, field.source_id.clone()),
        (None, Some(source)) => (source.occurred, source.received, source.source_id.clone()),
        (None, None) => (item.first_seen, Timestamp::default(), String::new()),
    };
    let text = |(name, field): (String, FieldValue)| Some((name, field.value?));
    let fields: BTreeMap<String, String> = item.fields.into_iter().filter_map(text).collect();
    let source = Source {
        system: item.system,
        key: item.key.clone(),
        author: fields.get("author").cloned(),
        organisation: fields.get("organisation").cloned(),
        said_at,
        received_at,
        cached: false,
        source_id,
    };
    // Of two persons whom only the number joins, one system may use one key twice: both are shown.
    let key = if item.person == 0 { item.key } else { format!("{}#{}", item.key, item.person) };
    Statement { kind, key, fields, withdrawn: item.withdrawn.is_some(), source }
}

fn about(system: &str, code: &str, text: &str) -> Notice {
    Notice { system: system.to_owned(), code: code.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests;
