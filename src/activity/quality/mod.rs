//! Whether a contact would be taken and counted rightly: asked while the patient is still at the desk, and of a month.
//!
//! The rules are [`rules::RULES`]: data, with words for staff. [`check`] runs those on one contact, [`month::Review`] those
//! that need a month's contacts, and [`score`] is the national index of the same items.

pub mod month;
pub mod rules;
pub mod score;

use std::sync::Arc;

use jiff::civil::Date;

use crate::domain::contact::{Contact, ContactId, FactName};

use super::{
    codes::{CodeLists, reference::Reference},
    maps::Maps,
    route::{Route, route},
};

pub use rules::{Fix, RULES, Rule, Severity};

/// What rules look things up in.
pub struct Context<'a> {
    /// What services are.
    pub maps: &'a Maps,
    /// National codes.
    pub lists: &'a CodeLists,
    /// Organisations and postcodes, as far as loaded; what is not loaded is not checked.
    pub reference: &'a Reference,
    /// Today, in London.
    pub today: Date,
}

/// That a rule is broken. Holds nothing of the patient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Which rule.
    pub rule: &'static Rule,
    /// By which contact; none if by a service's month.
    pub contact: Option<ContactId>,
    /// The system in which it is to be put right, where that is not here.
    pub system: Arc<str>,
}

/// A contact as rules see it.
pub(super) struct Seen<'a> {
    contact: &'a Contact,
    route: &'a Route,
    context: &'a Context<'a>,
}

/// The rules that a contact breaks, errors first.
pub fn check(contact: &Contact, context: &Context<'_>) -> Vec<Finding> {
    check_routed(contact, &route(contact, context.maps), context)
}

/// [`check`] for a contact whose route is known.
pub fn check_routed(contact: &Contact, route: &Route, context: &Context<'_>) -> Vec<Finding> {
    let seen = Seen { contact, route, context };
    let broken = RULES.iter().filter(|rule| rule.breaks.is_some_and(|breaks| breaks(&seen)));
    let mut findings: Vec<Finding> = broken.map(|rule| finding(rule, contact)).collect();
    findings.sort_by_key(|finding| finding.rule.severity);
    findings
}

fn finding(rule: &'static Rule, contact: &Contact) -> Finding {
    Finding { rule, contact: Some(contact.id), system: Arc::clone(&contact.owner) }
}

/// Whether a contact has a fact and no rule of severity *error* speaks against it.
pub(super) fn is_valid(name: FactName, findings: &[Finding]) -> bool {
    !findings
        .iter()
        .any(|finding| finding.rule.about == Some(name) && finding.rule.severity == Severity::Error)
}

#[cfg(test)]
mod tests;
