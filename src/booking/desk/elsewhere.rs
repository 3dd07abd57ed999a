//! What a desk knows of slots that move between hubs, from words that come in any order: the higher epoch counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{HubId, SlotId, Timestamp};

/// Who has a slot, and whether it is sold there, as far as was heard.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Elsewhere {
    slots: BTreeMap<SlotId, Word>,
}

/// The newest word on one slot. Within an epoch a slot is granted, then sold and freed in turn by one hub, whose words come
/// in order, and at last released.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Word {
    epoch: u32,
    /// None if the centre has it.
    owner: Option<HubId>,
    sold: bool,
}

impl Elsewhere {
    /// Who sells a slot: its home hub if nothing else was heard, and none if the centre.
    pub(super) fn owner(&self, slot: &SlotId) -> Option<HubId> {
        self.slots.get(slot).map_or_else(|| Some(slot.home.clone()), |word| word.owner.clone())
    }

    /// Whether its owner has said that it is sold.
    pub(super) fn is_sold(&self, slot: &SlotId) -> bool {
        self.slots.get(slot).is_some_and(|word| word.sold)
    }

    /// The slots that have moved, and to whom.
    pub(super) fn moved(&self) -> impl Iterator<Item = (&SlotId, Option<&HubId>)> {
        let moved = self.slots.iter().filter(|(slot, word)| word.owner.as_ref() != Some(&slot.home));
        moved.map(|(slot, word)| (slot, word.owner.as_ref()))
    }

    /// A hub has sold a slot, or freed it.
    pub(super) fn sold(&mut self, hub: &HubId, slot: &SlotId, epoch: u32, sold: bool) {
        self.hear(slot, Word { epoch, owner: Some(hub.clone()), sold });
    }

    /// A slot went to the centre.
    pub(super) fn released(&mut self, slot: &SlotId, epoch: u32) {
        self.hear(slot, Word { epoch, owner: None, sold: false });
    }

    /// A hub has a slot from now on.
    pub(super) fn granted(&mut self, to: &HubId, slot: &SlotId, epoch: u32) {
        // Heard of the centre and of the hub: whichever is later says nothing new.
        if self.slots.get(slot).is_none_or(|word| word.epoch < epoch) {
            self.hear(slot, Word { epoch, owner: Some(to.clone()), sold: false });
        }
    }

    pub(super) fn forget_before(&mut self, moment: Timestamp) {
        self.slots.retain(|slot, _| moment < slot.start);
    }

    fn hear(&mut self, slot: &SlotId, word: Word) {
        match self.slots.get(slot) {
            Some(known) if word.epoch < known.epoch => {}
            // Released is the last that happens in an epoch.
            Some(known) if word.epoch == known.epoch && known.owner.is_none() => {}
            _ => drop(self.slots.insert(slot.clone(), word)),
        }
    }
}
