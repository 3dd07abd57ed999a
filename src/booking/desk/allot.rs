//! Allotments: places of this hub's sessions that others may sell, and their return before they would be lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::booking::Owner;

use super::{Desk, HubId, Said, SlotId, Timestamp, due::slots_of};
use crate::booking::{
    catalogue::{Session, SlotTime},
    token::TokenState,
};

/// Places are allotted so far ahead: as far as practices show theirs.
const AHEAD_MS: i64 = 14 * 24 * 60 * 60 * 1000;
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Slots let go of in one act.
const SLOTS_MAX: usize = 500;

impl Desk {
    /// What is to be let go of, given back or asked back now. Nothing moves but what its owner gives.
    pub fn allotments_due(&self, now: Timestamp) -> Vec<Said> {
        let mut said = Vec::new();
        if self.ledger.may_sell().is_err() {
            return said;
        }
        for (to, slots) in self.to_allot(now) {
            said.extend(self.let_go_of(slots, Some(to)));
        }
        for (home, slots) in self.to_give_back(now) {
            said.extend(self.let_go_of(slots, Some(Owner::Hub(home))));
        }
        let back = self.to_ask_back(now);
        if !back.is_empty() {
            said.push(Said::WantBack { slots: back });
        }
        said
    }

    /// Released, and for whom: the centre keeps what is for itself.
    fn let_go_of(&self, mut slots: Vec<SlotId>, to: Option<Owner>) -> Vec<Said> {
        slots.truncate(SLOTS_MAX);
        let Some(event) = self.ledger.release(&slots) else { return Vec::new() };
        let mut said = vec![Said::Token(event)];
        if let Some(to @ Owner::Hub(_)) = to {
            said.push(Said::Allot { to, slots });
        }
        said
    }

    /// Of each day's slots, the latest that are free, until as many are away as are allotted.
    fn to_allot(&self, now: Timestamp) -> BTreeMap<Owner, Vec<SlotId>> {
        let mut due: BTreeMap<Owner, Vec<SlotId>> = BTreeMap::new();
        let wanted = self.wanted();
        let sessions = self.catalogues.get(&self.hub).into_iter().flat_map(|catalogue| &catalogue.sessions);
        for session in sessions.filter(|session| !session.allotments.is_empty()) {
            let from = Timestamp(now.0.saturating_add(i64::from(session.sell_by_hours) * HOUR_MS));
            let mut days: BTreeMap<i64, Vec<SlotTime>> = BTreeMap::new();
            for time in session.times(from, Timestamp(now.0.saturating_add(AHEAD_MS))) {
                days.entry(time.start.0.div_euclid(DAY_MS)).or_default().push(time);
            }
            for times in days.values() {
                let mut taken: Vec<SlotId> = Vec::new();
                for (owner, places) in &session.allotments {
                    let slots = self.of_day(session, times);
                    let away = slots.iter().filter(|slot| self.is_away(slot, owner)).count();
                    let missing = usize::from(*places).saturating_sub(away);
                    let free = slots.into_iter().rev().filter(|slot| {
                        let kept = taken.contains(slot) || wanted.contains(slot);
                        !kept && matches!(self.ledger.owned(slot), TokenState::Free { .. })
                    });
                    let some: Vec<SlotId> = free.take(missing).collect();
                    taken.extend(some.iter().cloned());
                    if !some.is_empty() {
                        due.entry(owner.clone()).or_default().extend(some);
                    }
                }
            }
        }
        due
    }

    /// What was asked for here and has just come is not sent away again.
    fn wanted(&self) -> BTreeSet<SlotId> {
        self.unsettled.iter().filter_map(|id| self.appointments.get(id)).flat_map(slots_of).collect()
    }

    fn of_day(&self, session: &Session, times: &[SlotTime]) -> Vec<SlotId> {
        let places = times.iter().flat_map(|time| (1..=session.places).map(|place| (time.start, place)));
        places
            .map(|(start, place)| SlotId {
                home: self.hub.clone(),
                session: session.id.clone(),
                start,
                place,
            })
            .collect()
    }

    /// Whether a slot is with its new owner, or on its way there by the centre.
    fn is_away(&self, slot: &SlotId, owner: &Owner) -> bool {
        match (self.seller(slot), owner) {
            (None, _) => true,
            (Some(hub), Owner::Hub(owner)) => hub == *owner,
            _ => false,
        }
    }

    /// Others' slots that nobody here has bought, soon enough before they begin.
    fn to_give_back(&self, now: Timestamp) -> BTreeMap<HubId, Vec<SlotId>> {
        let mut due: BTreeMap<HubId, Vec<SlotId>> = BTreeMap::new();
        let wanted = self.wanted();
        for (slot, owner) in self.elsewhere.moved().filter(|(slot, _)| !wanted.contains(*slot)) {
            let ours = slot.home != self.hub && owner == Some(&self.hub);
            let free = matches!(self.ledger.owned(slot), TokenState::Free { .. });
            if ours && free && self.is_to_be_sold_at_home(slot, now) {
                due.entry(slot.home.clone()).or_default().push(slot.clone());
            }
        }
        due
    }

    /// This hub's slots that the centre still has, soon before they begin.
    fn to_ask_back(&self, now: Timestamp) -> Vec<SlotId> {
        let away = self.elsewhere.moved().filter(|(slot, owner)| slot.home == self.hub && owner.is_none());
        let due = away.filter(|(slot, _)| self.is_to_be_sold_at_home(slot, now));
        due.map(|(slot, _)| slot.clone()).take(SLOTS_MAX).collect()
    }

    fn is_to_be_sold_at_home(&self, slot: &SlotId, now: Timestamp) -> bool {
        let session = self.catalogues.get(&slot.home).and_then(|catalogue| catalogue.session(&slot.session));
        let hours = session.map_or(0, |session| i64::from(session.sell_by_hours));
        now < slot.start && slot.start.0 <= now.0.saturating_add(hours * HOUR_MS)
    }
}
