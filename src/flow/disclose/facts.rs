//! What is known of a patient that decides who may see the record: from the record view and the desk, clinical content
//! left aside.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    access::policy::{Basis, Dissent, Facts, Relationship, Restriction},
    domain::{
        matching::is_verified, nhs_number::NhsNumber, one_record::Parts, record::ItemKind, time::Timestamp,
    },
    flow::{hub::Hub, operate::OperateError},
};

type Fields = BTreeMap<String, String>;

/// The facts. Somebody who is not known goes the same way as somebody who is. Reads the disk.
pub(super) fn of(hub: &Hub, number: &NhsNumber) -> Result<Facts, OperateError> {
    let parts = hub.parts_of(number)?;
    let (known, parts) = (parts.is_some(), parts.unwrap_or_default());
    let mut relationships = hub.related(number);
    relationships.extend(referrals(&parts, hub.now()));
    relationships.sort_by_key(|one| std::cmp::Reverse(one.since));
    let people: Vec<_> = demographics(&parts).collect();
    let said = |field: &str| people.iter().filter_map(|fields| fields.get(field)).collect::<Vec<_>>();
    let verified = said("nhs_number_status").into_iter().any(|status| is_verified(status) == Some(true));
    // Where systems differ, the person may be sitting there.
    let dead = |fields: &Fields| {
        fields.contains_key("death_date") || fields.get("death_indicator").is_some_and(|word| word == "Y")
    };
    let deceased = !people.is_empty() && people.iter().all(|fields| dead(fields));
    let marks = said("confidentiality");
    let restriction = marks
        .into_iter()
        .map(|code| Restriction::of_pds(Some(code), false))
        .fold(Restriction::of_pds(None, false), Ord::max);
    Ok(Facts { known, verified, restriction, deceased, dissent: Dissent::None, relationships })
}

/// The practices that say, or of which others say, that the patient is theirs, by ODS code. Reads the disk.
pub(super) fn practices(hub: &Hub, number: &NhsNumber) -> BTreeSet<String> {
    let Ok(Some(parts)) = hub.parts_of(number) else { return BTreeSet::new() };
    demographics(&parts).filter_map(|fields| fields.get("general_practice").cloned()).collect()
}

fn demographics(parts: &Parts) -> impl Iterator<Item = &Fields> {
    let told = parts.statements.iter().filter(|one| one.kind == ItemKind::Demographics && !one.withdrawn);
    let answered = parts.answers.iter().flat_map(|answer| &answer.items);
    let answered = answered.filter(|one| one.kind == ItemKind::Demographics && !one.withdrawn);
    told.map(|one| &one.fields).chain(answered.map(|one| &one.fields))
}

/// Referrals that systems here have sent.
fn referrals(parts: &Parts, now: Timestamp) -> Vec<Relationship> {
    let told = parts.statements.iter().filter(|one| one.kind == ItemKind::Referral && !one.withdrawn);
    let since = told.map(|one| one.source.received_at.min(now));
    since.map(|since| Relationship { basis: Basis::Referral, since, until: None }).collect()
}
