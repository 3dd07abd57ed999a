//! Which statements of different systems are one and the same thing.
//!
//! | kind | the same | and equal, or missing in both | and equal where both have it |
//! |---|---|---|---|
//! | result, observation | a coding, the moment observed | value, comparator, units | specimen, status |
//! | medication | a coding, the day it started | dose | quantity, status, ended, prescription type |
//! | allergy | a coding | status, severity, certainty | category, reaction, onset |
//! | immunisation | a coding, the day given | | batch number, dose sequence, site, product |
//! | problem | a coding, the day of onset | status, significance | ended |
//! | document | the content, byte for byte | media type | created, type |
//!
//! Local codes mean something within their system only; codes of what lost its own code on the way from one system to
//! another ("transfer-degraded") mean nothing: what it is stands in its words alone. Two statements of one system are two things, unless they
//! have one key: then the newer has the word. Encounters, appointments, referrals, demographics and notices are each
//! system's own, and never folded.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{
    Coding, Disagreement, Dispute, Interpretation, OneItem, Statement, disagree,
    normal::{self, When},
};
use crate::domain::record::ItemKind;

/// Items of one code and day that a statement is compared with. A patient in intensive care has a few of each; more
/// stay apart, which is safe, and costs no more than this.
const NEAR_MAX: usize = 64;

/// What two statements are to each other.
enum Verdict {
    Same,
    /// Of one thing, and in contradiction.
    Contrary(Dispute, &'static [&'static str]),
    Apart,
}

/// The rules for a kind: see the table above.
struct Rules {
    equal: &'static [&'static str],
    agreeing: &'static [&'static str],
    /// If these differ where both have them, it is a contradiction, if all else fits.
    contrary: Option<(Dispute, &'static [&'static str])>,
}

fn rules(kind: ItemKind) -> Option<Rules> {
    let rules = |equal, agreeing, contrary| Some(Rules { equal, agreeing, contrary });
    match kind {
        ItemKind::Result => rules(
            &["value", "comparator", "units"],
            &["specimen", "status"],
            Some((Dispute::ResultValue, &["value", "comparator"])),
        ),
        ItemKind::Observation => rules(&["value", "comparator", "units"], &["specimen", "status"], None),
        ItemKind::Medication => rules(&["dose"], &["quantity", "status", "ended", "prescription_type"], None),
        ItemKind::Allergy => rules(
            &["status", "severity", "certainty"],
            &["category", "reaction", "onset"],
            Some((Dispute::Allergy, &["status", "severity", "certainty"])),
        ),
        ItemKind::Immunisation => {
            rules(&[], &["batch_number", "dose_sequence", "site", "product", "status"], None)
        }
        ItemKind::Problem => rules(&["status", "significance"], &["ended"], None),
        ItemKind::Document => rules(&["media_type"], &["created", "type"], None),
        ItemKind::Demographics
        | ItemKind::Encounter
        | ItemKind::Appointment
        | ItemKind::Referral
        | ItemKind::Notice => None,
    }
}

/// Folds statements to items, and lists what contradicts. The result depends on no order of the statements.
pub(super) fn fold(statements: Vec<Statement>) -> (Vec<OneItem>, Vec<Disagreement>) {
    let mut statements = newest_of_each(statements);
    // Those that say more come first, so that one that could be either of two finds both.
    statements.sort_by(|one, other| {
        (other.fields.len(), &one.source, one.kind).cmp(&(one.fields.len(), &other.source, other.kind))
    });
    let mut groups: Vec<Vec<(Statement, Vec<Coding>)>> = Vec::new();
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut disputes = Vec::new();
    for statement in statements {
        let codings = codings(&statement);
        let keys = identities(&statement, &codings);
        let mut near: Vec<usize> = keys.iter().filter_map(|key| places.get(key)).flatten().copied().collect();
        near.sort_unstable();
        near.dedup();
        near.truncate(NEAR_MAX);
        let mut same = Vec::new();
        for place in near {
            let group = &groups[place];
            if group.iter().any(|(known, _)| known.source.system == statement.source.system) {
                continue;
            }
            if group.iter().all(|(known, _)| matches!(compare(known, &statement), Verdict::Same)) {
                same.push(place);
            }
            let contrary = group.iter().filter_map(|(known, _)| match compare(known, &statement) {
                Verdict::Contrary(about, fields) => Some(dispute(about, fields, known, &statement)),
                Verdict::Same | Verdict::Apart => None,
            });
            disputes.extend(contrary);
        }
        let place = match same.as_slice() {
            [one] => *one,
            // None, or more than one it could be: it stays by itself.
            _ => {
                groups.push(Vec::new());
                groups.len() - 1
            }
        };
        for key in keys {
            let known = places.entry(key).or_default();
            if known.last() != Some(&place) {
                known.push(place);
            }
        }
        groups[place].push((statement, codings));
    }
    (groups.into_iter().map(item).collect(), disputes)
}

/// One statement for each system's key: the newest, with what only older ones said left out.
fn newest_of_each(statements: Vec<Statement>) -> Vec<Statement> {
    let mut newest: BTreeMap<(ItemKind, String, String), Statement> = BTreeMap::new();
    for statement in statements {
        let name = (statement.kind, statement.source.system.clone(), statement.key.clone());
        match newest.get(&name).map(|known| (known.source.said_at, &known.source)) {
            Some(known) if (statement.source.said_at, &statement.source) <= known => {}
            _ => {
                newest.insert(name, statement);
            }
        }
    }
    newest.into_values().collect()
}

/// What two statements must share to be looked at; empty if they can be no other system's.
fn identities(statement: &Statement, codings: &[Coding]) -> Vec<String> {
    let kind = statement.kind;
    let day =
        |name: &str| when(statement, name).filter(|when| when.is_day()).map(|when| when.day().to_string());
    let dated = match kind {
        ItemKind::Result | ItemKind::Observation => day("observed"),
        ItemKind::Medication => day("started"),
        ItemKind::Immunisation => day("given"),
        ItemKind::Problem => day("onset"),
        ItemKind::Allergy => Some(String::new()),
        ItemKind::Document => {
            let content = statement.fields.get("content").filter(|content| !content.is_empty());
            let hexadecimal = |byte: &u8| format!("{byte:02x}");
            let digest =
                |content: &String| Sha256::digest(content).iter().map(hexadecimal).collect::<String>();
            return content.map(digest).into_iter().collect();
        }
        _ => None,
    };
    let Some(dated) = dated else { return Vec::new() };
    // A code may be there twice, under two names of its system; a description of such a code is as empty as it is.
    let degraded: Vec<&str> =
        codings.iter().filter(|coding| is_degraded(coding)).map(|coding| coding.code.as_str()).collect();
    let means = |coding: &&Coding| {
        let is_lost = degraded.contains(&coding.code.as_str());
        let is_description = !degraded.is_empty() && coding.system.ends_with("#description");
        !matches!(coding.system.as_str(), "local" | "") && !is_lost && !is_description
    };
    let shared = codings.iter().filter(means);
    shared.map(|coding| format!("{kind:?} {dated} {}|{}", coding.system, coding.code)).collect()
}

/// SNOMED CT's codes for entries, medicines, drug allergies and other allergies that lost their own code when a record
/// moved between practices (GP2GP; GP Connect 1.6.0, degraded medications and allergies): two of them have nothing in
/// common.
const DEGRADED: [&str; 4] = ["196411000000103", "196421000000109", "196461000000101", "196471000000108"];

/// Whether a code says only that the code was lost.
fn is_degraded(coding: &Coding) -> bool {
    DEGRADED.contains(&coding.code.trim())
        || normal::words(&coding.display).replace('-', " ").starts_with("transfer degraded")
}

fn compare(one: &Statement, other: &Statement) -> Verdict {
    let Some(rules) = rules(one.kind).filter(|_| one.kind == other.kind) else { return Verdict::Apart };
    let timed = matches!(one.kind, ItemKind::Result | ItemKind::Observation);
    let moments = when(one, "observed").zip(when(other, "observed"));
    if timed && !moments.is_some_and(|(one, other)| one.is_same(other)) {
        return Verdict::Apart;
    }
    let text = |statement: &Statement, name: &str| plain(name, statement.fields.get(name));
    let agree = |name: &str, absent: bool| match (text(one, name), text(other, name)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => true,
        _ => absent,
    };
    if !rules.agreeing.iter().all(|name| agree(name, true)) {
        return Verdict::Apart;
    }
    if rules.equal.iter().all(|name| agree(name, false)) {
        return Verdict::Same;
    }
    let Some((about, fields)) = rules.contrary else { return Verdict::Apart };
    // On one day two measurements are two; only at one moment are they one with two values.
    let certain = !timed || moments.is_some_and(|(one, _)| one.has_time());
    let others_fit = rules.equal.iter().filter(|name| !fields.contains(name)).all(|name| agree(name, false));
    let differs = fields.iter().any(|name| !agree(name, true));
    if certain && others_fit && differs { Verdict::Contrary(about, fields) } else { Verdict::Apart }
}

/// A field in the form in which it is compared; none if it says nothing.
fn plain(name: &str, text: Option<&String>) -> Option<String> {
    let text = text.filter(|text| !text.trim().is_empty())?;
    Some(match name {
        "value" => normal::value(text),
        "units" => normal::units(text),
        "ended" | "onset" | "created" => match When::parse(text) {
            Some(when) => when.day().to_string(),
            None => text.clone(),
        },
        "status" => match normal::words(text).as_str() {
            "f" => "final".to_owned(),
            "p" => "preliminary".to_owned(),
            "c" => "corrected".to_owned(),
            other => other.to_owned(),
        },
        _ => normal::words(text),
    })
}

fn when(statement: &Statement, name: &str) -> Option<When> {
    When::parse(statement.fields.get(name)?)
}

fn dispute(about: Dispute, fields: &[&str], one: &Statement, other: &Statement) -> Disagreement {
    let said = |statement: &Statement| {
        let texts = fields.iter().filter_map(|name| statement.fields.get(*name)).map(String::as_str);
        disagree::claim(statement, &texts.collect::<Vec<_>>().join(", "))
    };
    let mut claims = vec![said(one), said(other)];
    claims.sort();
    Disagreement { about, claims }
}

/// The coded entries of a statement: `codings`, a line each, or else code, system and name.
fn codings(statement: &Statement) -> Vec<Coding> {
    let text = |name: &str| statement.fields.get(name).cloned().unwrap_or_default();
    let mut found: Vec<Coding> = text("codings")
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, '|').map(str::to_owned);
            let (system, code) = (parts.next()?, parts.next()?);
            Some(Coding { system, code, display: parts.next().unwrap_or_default() })
        })
        .filter(|coding| !coding.code.is_empty())
        .collect();
    let own = Coding { system: text("code_system"), code: text("code"), display: text("name") };
    let known = found.iter().any(|coding| coding.system == own.system && coding.code == own.code);
    if !own.code.is_empty() && !known {
        found.insert(0, own);
    }
    found
}

/// One item of statements that are the same thing.
fn item(mut group: Vec<(Statement, Vec<Coding>)>) -> OneItem {
    group.sort_by(|(one, _), (other, _)| {
        (other.source.said_at, &one.source).cmp(&(one.source.said_at, &other.source))
    });
    let mut item = OneItem {
        kind: group.first().map_or(ItemKind::Notice, |(first, _)| first.kind),
        fields: BTreeMap::new(),
        codings: Vec::new(),
        sources: Vec::with_capacity(group.len()),
        interpretation: None,
        disputed: false,
    };
    for (statement, codings) in group {
        let Statement { fields, source, .. } = statement;
        for (name, text) in fields {
            item.fields.entry(name).or_insert(text);
        }
        for coding in codings {
            if !item.codings.contains(&coding) {
                item.codings.push(coding);
            }
        }
        item.sources.push(source);
    }
    let interpreted = matches!(item.kind, ItemKind::Result | ItemKind::Observation);
    item.interpretation = interpreted.then(|| interpretation(&item.fields)).flatten();
    item
}

fn interpretation(fields: &BTreeMap<String, String>) -> Option<Interpretation> {
    let text = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let range = normal::range(text("reference_range"));
    let given = normal::flag(text("abnormal_flags"));
    // With a comparator, such as "<", the value is a bound and not a number to place.
    let plain = text("comparator").is_empty();
    let placed = range.as_ref().filter(|_| plain).and_then(|range| range.place(text("value")));
    let flag = given.or(placed);
    let from_range = given.is_none() && flag.is_some();
    (flag.is_some() || range.is_some()).then_some(Interpretation { flag, from_range, range })
}
