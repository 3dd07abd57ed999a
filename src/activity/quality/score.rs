//! The data quality maturity index: how much of each item is valid and complete, and how much was submitted at all.

use std::collections::BTreeMap;

use crate::domain::contact::{Contact, Dataset, FactName, NumberStatus};

use super::{Finding, is_valid};

/// How one item stands in a return.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Item {
    /// Records in which it is asked for.
    pub records: u64,
    /// Of those, where it is there and valid, defaults among them.
    pub valid: u64,
    /// Of those, where it is a default, such as "not stated".
    pub defaults: u64,
}

impl Item {
    /// The item's score, from 0 to 1: (valid − defaults beyond `threshold` × records) ÷ records. None without records.
    pub fn score(&self, threshold: f64) -> Option<f64> {
        if self.records == 0 {
            return None;
        }
        let [records, valid, defaults] = [self.records, self.valid, self.defaults].map(as_f64);
        let beyond = (defaults - threshold * records).max(0.0);
        Some(((valid - beyond) / records).clamp(0.0, 1.0))
    }
}

/// Counts of contacts, far below where a double is no longer exact.
#[expect(clippy::cast_precision_loss, reason = "counts of contacts are below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Periods submitted, of those expected; none if none was expected.
pub fn coverage(submitted: u32, expected: u32) -> Option<f64> {
    if expected == 0 { None } else { Some((f64::from(submitted) / f64::from(expected)).min(1.0)) }
}

/// The index, from 0 to 100: the mean of the items' scores by the mean of the coverages. None if either has none.
pub fn index(scores: &[f64], coverages: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| {
        let count = u32::try_from(values.len()).ok().filter(|count| 0 < *count)?;
        Some(values.iter().sum::<f64>() / f64::from(count))
    };
    Some(mean(scores)? * mean(coverages)? * 100.0)
}

/// The items that are scored, and the beginnings of codes that are defaults (to be confirmed).
pub const ITEMS: [(FactName, &[&str]); 10] = [
    (FactName::BirthDate, &[]),
    (FactName::Postcode, &["ZZ99"]),
    (FactName::Practice, &["V81999", "V81998", "V81997"]),
    (FactName::EthnicCategory, &["Z", "99"]),
    (FactName::Gender, &["0", "X"]),
    (FactName::TreatmentFunction, &[]),
    (FactName::MainSpecialty, &[]),
    (FactName::Commissioner, &["VPP00", "XMD00"]),
    (FactName::Mechanism, &[]),
    (FactName::ReferralReceived, &[]),
];

/// Every item of every return, gathered contact by contact.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scores {
    items: BTreeMap<(Dataset, FactName), Item>,
    numbers: BTreeMap<Dataset, Item>,
}

impl Scores {
    /// Counts a contact in its return.
    pub fn add(&mut self, contact: &Contact, dataset: Dataset, findings: &[Finding]) {
        for (name, defaults) in ITEMS {
            let item = self.items.entry((dataset, name)).or_default();
            item.records += 1;
            let Some(fact) = contact.facts.get(name).filter(|_| is_valid(name, findings)) else { continue };
            let shown = fact.value.to_string();
            item.valid += 1;
            item.defaults += u64::from(defaults.iter().any(|default| shown.starts_with(default)));
        }
        let number = self.numbers.entry(dataset).or_default();
        number.records += 1;
        number.valid += u64::from(contact.patient.status == Some(NumberStatus::Verified));
    }

    /// Items of a return with their scores, the worst first; the NHS number without a fact's name.
    pub fn of(&self, dataset: Dataset, threshold: f64) -> Vec<(Option<FactName>, Item, f64)> {
        let items = self.items.iter().filter(|((of, _), _)| *of == dataset);
        let items = items.map(|((_, name), item)| (Some(*name), *item));
        let number = self.numbers.get(&dataset).map(|item| (None, *item));
        let scored = items.chain(number);
        let mut all: Vec<(Option<FactName>, Item, f64)> = scored
            .filter_map(|(name, item)| item.score(threshold).map(|score| (name, item, score)))
            .collect();
        all.sort_by(|one, other| one.2.total_cmp(&other.2).then(one.0.cmp(&other.0)));
        all
    }
}
