//! Who owns each slot that ever moved, as the centre knows it: the one place that gives a token to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    booking::{Deed, OfferKey, Owner, SlotId},
    ids::HubId,
    time::Timestamp,
};

use super::{
    act::{Act, ActPlace, Said},
    token::TokenEvent,
};

/// The epoch of a slot that never moved.
const FIRST_EPOCH: u32 = 1;

/// The centre's ledger. Pure: its keeper reads and writes it in the same transaction as the entries that changed it, so
/// that there is one of it however many workers there are.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct CentreLedger {
    owners: BTreeMap<SlotId, Held>,
}

/// One slot's owner and epoch.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
struct Held {
    owner: Owner,
    epoch: u32,
}

/// What a release came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Released {
    /// The centre has it now.
    Taken,
    /// It is an old one, come again.
    Old,
    /// Whoever released it did not have it. To be looked at by people; nothing has changed.
    Contradiction,
}

impl CentreLedger {
    /// Who owns a slot, and under which epoch.
    pub fn owner(&self, slot: &SlotId) -> (Owner, u32) {
        match self.owners.get(slot) {
            Some(held) => (held.owner.clone(), held.epoch),
            None => (Owner::Hub(slot.home.clone()), FIRST_EPOCH),
        }
    }

    /// A hub has let go of a slot: it can never sell it again under that epoch.
    pub fn released(&mut self, from: &HubId, slot: &SlotId, epoch: u32) -> Released {
        let (owner, current) = self.owner(slot);
        if epoch < current || (epoch == current && owner == Owner::Centre) {
            return Released::Old;
        }
        if epoch != current || owner != Owner::Hub(from.clone()) {
            return Released::Contradiction;
        }
        self.owners.insert(slot.clone(), Held { owner: Owner::Centre, epoch });
        Released::Taken
    }

    /// Gives a slot that the centre has to a hub, under a new epoch; none if the centre does not have it. Silence of an
    /// owner never makes it the centre's.
    pub fn grant(&mut self, slot: &SlotId, to: &HubId) -> Option<u32> {
        let (Owner::Centre, epoch) = self.owner(slot) else { return None };
        let epoch = epoch.checked_add(1)?;
        self.owners.insert(slot.clone(), Held { owner: Owner::Hub(to.clone()), epoch });
        Some(epoch)
    }

    /// Forgets slots for which this holds, once nobody can sell them any more.
    pub fn forget(&mut self, over: impl Fn(&SlotId) -> bool) {
        self.owners.retain(|slot, _| !over(slot));
    }
}

/// The centre's part in booking: it answers what hubs say with acts of its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CentreDesk {
    ledger: CentreLedger,
    /// How far each hub's acts were taken in.
    taken: BTreeMap<HubId, ActPlace>,
    /// The highest incarnation heard of each hub's ledger.
    incarnations: BTreeMap<HubId, u64>,
    spoken: u64,
}

impl CentreDesk {
    /// The name that the centre's own acts go by.
    pub const NAME: &str = "centre";

    /// How far a hub's acts were taken in.
    pub fn taken(&self, hub: &HubId) -> ActPlace {
        self.taken.get(hub).copied().unwrap_or_default()
    }

    /// What a hub's next act comes to: the centre's act, to be made durable before anybody hears of it, and then taken
    /// in by [`CentreDesk::apply`]. Nothing has changed meanwhile.
    pub fn answer(&self, from: &HubId, act: &Act, now: Timestamp) -> Act {
        let mut ledger = self.ledger.clone();
        let mut said = Vec::new();
        for word in &act.said {
            match word {
                Said::Token(TokenEvent::Released { slots }) => {
                    for (slot, epoch) in slots {
                        if ledger.released(from, slot, *epoch) == Released::Contradiction {
                            tracing::error!(hub = %from, %slot, epoch, "a hub has released what it does not have");
                        }
                    }
                }
                Said::Allot { to: Owner::Hub(to), slots } => {
                    said.extend(grants(&mut ledger, to, slots.iter()));
                }
                Said::WantBack { slots } => {
                    let own = slots.iter().filter(|slot| slot.home == *from);
                    said.extend(grants(&mut ledger, from, own));
                }
                Said::Please { of: Owner::Centre, deed, .. } => {
                    said.extend(wanted(&mut ledger, from, deed));
                }
                _ => {}
            }
        }
        self.own_act(format!("{from} {} {}", act.place.incarnation, act.place.number), said, now)
    }

    /// The centre's answer to a desk that asks whether it is the first of its hub; to be made durable before anybody
    /// hears of it. `earlier` says that there are signs of one before.
    ///
    /// A desk that is not the first goes on above every incarnation that any earlier one can have had: each start
    /// makes one, and there are fewer starts than seconds since 1970.
    pub fn answer_question(&self, from: &HubId, life: u64, earlier: bool, now: Timestamp) -> Act {
        let known = self.incarnations.get(from).copied().filter(|_| earlier).unwrap_or_default();
        let seconds = u64::try_from(now.0 / 1_000).unwrap_or_default();
        let incarnation = if earlier { known.saturating_add(1).max(seconds) } else { 0 };
        let said = vec![Said::Known { of: from.clone(), life, incarnation }];
        self.own_act(Self::answers_question(from, life), said, now)
    }

    /// Who an answer to a question is by: which question it answers.
    pub fn answers_question(from: &HubId, life: u64) -> String {
        format!("{from} asks {life:016x}")
    }

    fn own_act(&self, by: String, said: Vec<Said>, at: Timestamp) -> Act {
        let place = ActPlace { incarnation: 1, number: self.spoken + 1 };
        Act { v: Act::VERSION, place, request: None, at, by, said }
    }

    /// The centre has said this: what it says next comes after.
    pub fn spoke(&mut self, act: &Act) {
        self.spoken = self.spoken.max(act.place.number);
    }

    /// Whether an answer that was given before can be taken in now: what it grants is the centre's, once this act is
    /// taken in. If not, what another hub let go of must be taken in first.
    pub fn can_apply(&self, from: &HubId, act: &Act, answer: &Act) -> bool {
        let mut ledger = self.ledger.clone();
        for word in &act.said {
            if let Said::Token(TokenEvent::Released { slots }) = word {
                for (slot, epoch) in slots {
                    ledger.released(from, slot, *epoch);
                }
            }
        }
        answer.said.iter().all(|word| match word {
            Said::Grant { to, slots } => {
                slots.iter().all(|(slot, epoch)| ledger.grant(slot, to) == Some(*epoch))
            }
            _ => true,
        })
    }

    /// Takes in a hub's act and the centre's answer to it, once that is durable, if there is one.
    pub fn apply(&mut self, from: &HubId, act: &Act, answer: Option<&Act>) {
        self.taken.insert(from.clone(), act.place);
        for word in &act.said {
            match word {
                Said::Token(TokenEvent::Released { slots }) => {
                    for (slot, epoch) in slots {
                        self.ledger.released(from, slot, *epoch);
                    }
                }
                Said::Token(TokenEvent::Began { incarnation }) => {
                    let highest = self.incarnations.entry(from.clone()).or_default();
                    *highest = (*highest).max(*incarnation);
                }
                _ => {}
            }
        }
        let Some(answer) = answer else { return };
        self.spoke(answer);
        for word in &answer.said {
            if let Said::Grant { to, slots } = word {
                for (slot, _) in slots {
                    self.ledger.grant(slot, to);
                }
            }
        }
    }
}

/// Slots that the centre has are given on; others are left out.
fn grants<'a>(
    ledger: &mut CentreLedger,
    to: &HubId,
    slots: impl Iterator<Item = &'a SlotId>,
) -> Option<Said> {
    let granted = slots.filter_map(|slot| Some((slot.clone(), ledger.grant(slot, to)?)));
    let slots: Vec<_> = granted.collect();
    (!slots.is_empty()).then(|| Said::Grant { to: to.clone(), slots })
}

/// A hub wants to book slots of the centre's: it gets all of them, or none.
fn wanted(ledger: &mut CentreLedger, from: &HubId, deed: &Deed) -> Vec<Said> {
    let keys: Vec<&OfferKey> = match deed {
        Deed::Book(part) => part.keys.iter().collect(),
        Deed::BookVisit(parts) => parts.iter().flat_map(|part| &part.keys).collect(),
        Deed::Move { keys, .. } => keys.iter().collect(),
        _ => Vec::new(),
    };
    let slots: Vec<&SlotId> = keys
        .iter()
        .filter_map(|key| match key {
            OfferKey::Token(slot) => Some(slot),
            OfferKey::System { .. } => None,
        })
        .collect();
    let all = !slots.is_empty() && slots.iter().all(|slot| ledger.owner(slot).0 == Owner::Centre);
    if !all {
        let keys = keys.into_iter().cloned().collect();
        return vec![Said::NotGranted { to: from.clone(), keys }];
    }
    grants(ledger, from, slots.into_iter()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_moves_only_from_its_owner_and_never_back_in_time() {
        let slot: SlotId = "soho/feet@1000#1".parse().unwrap();
        let (soho, hackney): (HubId, HubId) = ("soho".parse().unwrap(), "hackney".parse().unwrap());
        let mut centre = CentreLedger::default();
        assert_eq!(centre.grant(&slot, &hackney), None, "its home hub has it");
        assert_eq!(centre.released(&hackney, &slot, 1), Released::Contradiction);
        assert_eq!(centre.released(&soho, &slot, 1), Released::Taken);
        assert_eq!(centre.released(&soho, &slot, 1), Released::Old, "the same again");
        assert_eq!(centre.grant(&slot, &hackney), Some(2));
        assert_eq!(centre.released(&soho, &slot, 1), Released::Old, "late");
        assert_eq!(centre.released(&soho, &slot, 2), Released::Contradiction);
        assert_eq!(centre.released(&hackney, &slot, 2), Released::Taken);
        assert_eq!(centre.grant(&slot, &soho), Some(3));
    }
}
