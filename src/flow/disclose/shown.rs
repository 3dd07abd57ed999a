//! A record as one reader may see it: what is kept back is taken out of each statement before anything is put together.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::{
    access::{
        audit::Hash,
        policy::{Exclusions, Grant, GroundKind, Withheld, Withhold, sensitivity},
    },
    domain::{
        nhs_number::NhsNumber,
        one_record::{self, Answer, Notice, OneRecord, Parts},
        record::ItemKind,
        time::Timestamp,
    },
    flow::{
        audit::{LineId, Written},
        hub::Hub,
        operate::OperateError,
    },
};

/// The right to show one record once: a grant of the policy whose line is durable. Only [`super::Records`] makes one.
#[derive(Debug)]
pub struct Permit {
    grant: Grant,
    written: Written,
}

impl Permit {
    pub(super) const fn new(grant: Grant, written: Written) -> Self {
        Self { grant, written }
    }

    /// The line in the audit trail.
    pub const fn line(&self) -> LineId {
        self.written.id()
    }

    /// The row of the policy's table that decided.
    pub const fn row(&self) -> &'static str {
        self.grant.row
    }
}

/// A record as it is shown.
#[derive(Debug)]
pub struct Shown {
    /// On whose right.
    pub permit: Permit,
    /// Whose.
    pub patient: NhsNumber,
    /// What may be seen of it.
    pub record: OneRecord,
    /// How many statements are kept back, by why.
    pub withheld: BTreeMap<Withheld, usize>,
    /// Until when it is open.
    pub until: Timestamp,
    /// On what ground.
    pub ground: GroundKind,
}

/// The same, before its line is written.
pub(super) struct Gathered {
    pub(super) patient: NhsNumber,
    pub(super) digest: Hash,
    record: OneRecord,
    withheld: BTreeMap<Withheld, usize>,
}

impl Gathered {
    pub(super) fn shown(self, permit: Permit, until: Timestamp, ground: GroundKind) -> Shown {
        let Self { patient, record, withheld, .. } = self;
        Shown { permit, patient, record, withheld, until, ground }
    }
}

/// Puts together what may be seen. Reads the disk.
pub(super) fn gather(
    hub: &Hub,
    patient: &NhsNumber,
    (live, notices): (Vec<Answer>, Vec<Notice>),
    withhold: &Withhold,
    exclusions: &Exclusions,
) -> Result<Gathered, OperateError> {
    let mut parts = hub.parts_of(patient)?.unwrap_or_default();
    parts.nhs_number = Some(*patient);
    // What was answered just now takes the place of what is kept of an earlier answer.
    let fresh: BTreeSet<&str> = live.iter().map(|answer| answer.system.as_str()).collect();
    parts.answers.retain(|kept| !fresh.contains(kept.system.as_str()));
    parts.answers.extend(live);
    parts.notices.extend(notices);
    let mut sieve = Sieve { withhold, exclusions, withheld: BTreeMap::new() };
    sieve.strain(&mut parts);
    let withheld = sieve.withheld;
    let record = one_record::assemble(parts, hub.now());
    let digest = serde_json::to_vec(&record).map(|bytes| Sha256::digest(bytes).into()).unwrap_or_default();
    Ok(Gathered { patient: *patient, digest, record, withheld })
}

struct Sieve<'a> {
    withhold: &'a Withhold,
    exclusions: &'a Exclusions,
    withheld: BTreeMap<Withheld, usize>,
}

impl Sieve<'_> {
    fn strain(&mut self, parts: &mut Parts) {
        parts.statements.retain_mut(|one| self.keeps(one.kind, &one.source.system, &mut one.fields));
        for statement in &mut parts.statements {
            self.strip_source(&mut statement.source.author, &mut statement.source.organisation);
        }
        for answer in &mut parts.answers {
            let system = answer.system.clone();
            answer.items.retain_mut(|one| self.keeps(one.kind, &system, &mut one.fields));
            answer.identifiers.retain(|identifier| !self.withhold.hides_identifier(&identifier.authority));
        }
        parts.identifiers.retain(|(_, identifier)| !self.withhold.hides_identifier(&identifier.authority));
        if self.withhold.location {
            hide_systems(parts);
        }
    }

    /// Whether an item stays; what it may not tell is taken out of it.
    fn keeps(&mut self, kind: ItemKind, system: &str, fields: &mut BTreeMap<String, String>) -> bool {
        let sensitivity = {
            let one = fields
                .get("code")
                .map(|code| (fields.get("code_system").map_or("", String::as_str), code.as_str()));
            let codings = fields.get("codings").map_or("", String::as_str).lines().filter_map(|line| {
                let mut parts = line.splitn(3, '|');
                Some((parts.next()?, parts.next()?))
            });
            let marks = fields.get("confidentiality").map(String::as_str);
            sensitivity(one.into_iter().chain(codings), marks, self.exclusions)
        };
        if let Some(why) = self.withhold.item(kind, system, sensitivity) {
            *self.withheld.entry(why).or_default() += 1;
            return false;
        }
        fields.retain(|field, _| !self.withhold.hides_field(kind, field));
        true
    }

    fn strip_source(&self, author: &mut Option<String>, organisation: &mut Option<String>) {
        if self.withhold.location {
            (*author, *organisation) = (None, None);
        }
    }
}

/// The names of systems tell where somebody is seen: they are numbered instead.
fn hide_systems(parts: &mut Parts) {
    let told = parts.statements.iter().map(|one| &one.source.system);
    let answered = parts.answers.iter().map(|answer| &answer.system);
    let noticed = parts.notices.iter().map(|notice| &notice.system);
    let names: BTreeSet<String> =
        told.chain(answered).chain(noticed).filter(|name| !name.is_empty()).cloned().collect();
    let number = |name: &str| names.iter().position(|known| known == name).map_or(0, |place| place + 1);
    let hidden = |name: &mut String| {
        if !name.is_empty() {
            *name = format!("system {}", number(name));
        }
    };
    parts.statements.iter_mut().for_each(|one| hidden(&mut one.source.system));
    parts.answers.iter_mut().for_each(|answer| hidden(&mut answer.system));
    parts.notices.iter_mut().for_each(|notice| hidden(&mut notice.system));
    parts.identifiers.iter_mut().for_each(|(system, _)| hidden(system));
}
