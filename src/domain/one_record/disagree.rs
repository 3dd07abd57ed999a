//! Demographics that systems say differently.

use std::collections::{BTreeMap, BTreeSet};

use super::{Disagreement, Dispute, DisputedClaim, Statement, normal};
use crate::domain::record::ItemKind;

/// The fields that are compared.
const COMPARED: [(&str, Dispute); 6] = [
    ("family_name", Dispute::FamilyName),
    ("given_name", Dispute::GivenName),
    ("birth_date", Dispute::BirthDate),
    ("gender", Dispute::Gender),
    ("postcode", Dispute::Postcode),
    ("general_practice", Dispute::GeneralPractice),
];

/// Lists what the systems' demographics say differently; what one does not say is no difference, but for death.
pub(super) fn demographics(statements: &[Statement]) -> Vec<Disagreement> {
    // A system may know one patient as two people, each with a statement of its own.
    let mut newest: BTreeMap<(&str, &str), &Statement> = BTreeMap::new();
    for statement in statements.iter().filter(|statement| statement.kind == ItemKind::Demographics) {
        let known = newest.entry((&statement.source.system, &statement.key)).or_insert(statement);
        if known.source.said_at < statement.source.said_at {
            *known = statement;
        }
    }
    let people: Vec<&Statement> = newest.into_values().collect();
    let mut found: Vec<Disagreement> =
        COMPARED.iter().filter_map(|(name, about)| compare(&people, name, *about)).collect();
    found.extend(death(&people));
    found
}

fn compare(people: &[&Statement], name: &str, about: Dispute) -> Option<Disagreement> {
    let said: Vec<(&Statement, &str)> = people
        .iter()
        .filter_map(|person| Some((*person, person.fields.get(name)?.as_str())))
        .filter(|(_, text)| !text.trim().is_empty())
        .collect();
    let different: BTreeSet<String> = said.iter().map(|(_, text)| plain(about, text)).collect();
    let claims = said.iter().map(|(person, text)| claim(person, text)).collect();
    (1 < different.len()).then_some(Disagreement { about, claims })
}

/// Case, spaces and punctuation are no difference; nor are a second given name and another word for a gender.
fn plain(about: Dispute, text: &str) -> String {
    let text = match about {
        Dispute::GivenName => text.split_whitespace().next().unwrap_or_default(),
        _ => text,
    };
    let letters: String =
        text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_uppercase).collect();
    match (about, letters.as_str()) {
        (Dispute::Gender, "M" | "MALE" | "1") => "M".to_owned(),
        (Dispute::Gender, "F" | "FEMALE" | "2") => "F".to_owned(),
        (Dispute::BirthDate, _) => letters.chars().take(8).collect(),
        _ => letters,
    }
}

/// Whether a system says that the patient has died.
fn has_died(person: &Statement) -> bool {
    let text = |name| person.fields.get(name).map(|text| normal::words(text)).unwrap_or_default();
    !text("death_date").is_empty() || ["y", "yes", "true", "1"].contains(&text("death_indicator").as_str())
}

/// That a system has not heard of a death is a difference: its appointments and letters still go out.
fn death(people: &[&Statement]) -> Option<Disagreement> {
    let died = people.iter().filter(|person| has_died(person)).count();
    let claims = people.iter().map(|person| {
        let fields = ["death_date", "death_indicator"].into_iter().filter_map(|name| person.fields.get(name));
        claim(person, fields.map(String::as_str).find(|text| !text.is_empty()).unwrap_or_default())
    });
    (0 < died && died < people.len())
        .then(|| Disagreement { about: Dispute::Death, claims: claims.collect() })
}

pub(super) fn claim(statement: &Statement, value: &str) -> DisputedClaim {
    DisputedClaim {
        system: statement.source.system.clone(),
        key: statement.source.key.clone(),
        value: value.to_owned(),
        said_at: statement.source.said_at,
    }
}
