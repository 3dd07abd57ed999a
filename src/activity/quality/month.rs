//! What only shows when a month's contacts are looked at together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::civil::{Date, Weekday};

use crate::domain::{
    contact::{Code, ConsultationType, Contact, ContactId, Month, State},
    ids::HubId,
    nhs_number::NhsNumber,
    time::Timestamp,
};

use super::{Finding, finding, rules::rule};

/// A service's month may differ by so many per cent from what its weekdays had before.
const DIFFERENCE_PER_CENT: u64 = 20;

/// Gathers a month's contacts, one by one. Its memory grows with the contacts of the month alone.
#[derive(Default)]
pub struct Review {
    beginnings: HashMap<(NhsNumber, HubId, Timestamp), ContactId>,
    names: HashMap<String, ContactId>,
    /// The first attended day of each referral, so far.
    referrals: HashMap<Code, (Date, ContactId)>,
    firsts: Vec<(Code, Date, ContactId, Arc<str>)>,
    days: BTreeMap<HubId, BTreeMap<Date, u64>>,
}

/// What is known of services before the month: on which days they are open, and what a weekday usually has.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Open days.
    pub open: BTreeMap<HubId, BTreeSet<Date>>,
    /// Contacts that a weekday had on average before.
    pub usual: BTreeMap<HubId, [u64; 7]>,
}

impl Review {
    /// Looks at a contact; what it breaks together with those before it.
    pub fn add(&mut self, contact: &Contact) -> Vec<Finding> {
        if contact.state == State::Withdrawn {
            return Vec::new();
        }
        let mut broken = Vec::new();
        if let (Some(number), Some(service), Some(start)) =
            (contact.patient.nhs_number, &contact.service, contact.start)
        {
            let stands = !matches!(contact.state, State::CancelledByPatient | State::CancelledByProvider);
            let key = (number, service.clone(), start);
            if stands && self.beginnings.insert(key, contact.id).is_some_and(|other| other != contact.id) {
                broken.push("DQ-101");
            }
        }
        if self.names.insert(contact.id.short(), contact.id).is_some_and(|other| other != contact.id) {
            broken.push("DQ-102");
        }
        if let (Some(referral), State::Attended) = (contact.facts.referral, contact.state) {
            let first = self.referrals.entry(referral.value).or_insert((contact.day, contact.id));
            *first = (*first).min((contact.day, contact.id));
            let says_first =
                contact.facts.consultation.map(|fact| fact.value) == Some(ConsultationType::Initial);
            if says_first {
                self.firsts.push((referral.value, contact.day, contact.id, Arc::clone(&contact.owner)));
            }
        }
        if let Some(service) = &contact.service {
            *self.days.entry(service.clone()).or_default().entry(contact.day).or_default() += 1;
        }
        broken.iter().filter_map(|id| rule(id)).map(|rule| finding(rule, contact)).collect()
    }

    /// What the whole month breaks. Findings about services have no contact, and the service's id as their system.
    pub fn finish(&self, month: Month, expected: &Expected) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (referral, day, id, owner) in &self.firsts {
            let is_later = self.referrals.get(referral).is_some_and(|(first, of)| of != id && first < day);
            findings.extend(rule("DQ-103").filter(|_| is_later).map(|rule| Finding {
                rule,
                contact: Some(*id),
                system: Arc::clone(owner),
            }));
        }
        let of_service = |id: &str, service: &HubId| {
            rule(id).map(|rule| Finding { rule, contact: None, system: service.as_str().into() })
        };
        for (service, open) in &expected.open {
            let counted = self.days.get(service);
            let in_month = open.iter().filter(|day| Month::of(**day) == month);
            let empty = in_month.filter(|day| counted.is_none_or(|days| !days.contains_key(day)));
            findings.extend(empty.filter_map(|_| of_service("DQ-104", service)));
        }
        for (service, usual) in &expected.usual {
            let counted: u64 = self.days.get(service).map_or(0, |days| days.values().sum());
            let expected: u64 = days_of(month).map(|day| usual[weekday(day)]).sum();
            if counted.abs_diff(expected) * 100 > expected * DIFFERENCE_PER_CENT {
                findings.extend(of_service("DQ-105", service));
            }
        }
        findings
    }
}

fn days_of(month: Month) -> impl Iterator<Item = Date> {
    month.first_day().series(jiff::ToSpan::day(1)).take_while(move |day| *day <= month.last_day())
}

/// From Monday, 0.
fn weekday(day: Date) -> usize {
    match day.weekday() {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}
