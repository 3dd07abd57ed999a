//! Who owns each slot that ever moved, as the centre knows it: the one place that gives a token to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    booking::{Owner, SlotId},
    ids::HubId,
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
