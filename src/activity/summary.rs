//! A month in numbers, as commands print it: the same form at a hub and at the centre, so that the two can be compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{contact::Month, ids::HubId};

use super::funnel::{Cell, Funnel, Outcomes, Sum};

/// A month of one hub, or of all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MonthSummary {
    /// Which month.
    pub month: Month,
    /// Contacts of any state but withdrawn.
    pub contacts: i64,
    /// What was booked, and what became of it.
    pub booked: Outcomes,
    /// Walk-ins, cases, community contacts and diagnostics.
    pub unbooked: Outcomes,
    /// Attended.
    pub attended: i64,
    /// Of those, by the return into which they go.
    pub routed: BTreeMap<String, i64>,
    /// Of those, by why they go into none.
    pub excluded: BTreeMap<String, i64>,
    /// Of what is routed: accepted, rejected, not answered yet.
    pub accepted: i64,
    /// See there.
    pub rejected: i64,
    /// See there.
    pub awaiting: i64,
    /// Sums that do not come out; none, if all is well.
    pub residues: Vec<Residue>,
}

/// A sum that does not come out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Residue {
    /// At which hub.
    pub hub: HubId,
    /// At which service; none if unmapped.
    pub service: Option<HubId>,
    /// Which sum.
    pub sum: Sum,
    /// By how much.
    pub by: i64,
}

impl MonthSummary {
    /// A month of a funnel.
    pub fn of(funnel: &Funnel, month: Month) -> Self {
        let total = funnel.total(|key| key.month == month);
        let residues = funnel.residues().into_iter().filter(|(key, ..)| key.month == month);
        let residue = |(key, sum, by): (super::funnel::Key, Sum, i64)| Residue {
            hub: key.hub,
            service: key.service,
            sum,
            by,
        };
        let attended = total.attended();
        let Cell { booked, unbooked, routed, excluded, accepted, rejected, awaiting, .. } = total;
        Self {
            month,
            contacts: booked.opened + unbooked.opened,
            booked,
            unbooked,
            attended,
            routed: routed.into_iter().map(|(dataset, count)| (dataset.word().to_owned(), count)).collect(),
            excluded: excluded.into_iter().map(|(why, count)| (why.word().to_owned(), count)).collect(),
            accepted,
            rejected,
            awaiting,
            residues: residues.map(residue).collect(),
        }
    }

    /// Whether every sum comes out.
    pub fn adds_up(&self) -> bool {
        self.residues.is_empty()
    }
}
