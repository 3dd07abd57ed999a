//! What lies ahead at the desk: services, and what stands behind the keys of offers.

use std::hash::{Hash, Hasher};

use crate::{
    booking::{desk::Desk, search},
    codec::cbor,
    domain::{
        booking::{Deed, Offer, OfferKey, Promise, Service, SlotId, WhyProvisional},
        time::Timestamp,
    },
};

use super::BookingDesk;

impl BookingDesk {
    /// What stands behind a key now.
    pub(super) fn resolver<'a>(&'a self, desk: &'a Desk) -> impl Fn(&OfferKey) -> Option<Offer> + 'a {
        let now = self.hub.now();
        move |key| match key {
            OfferKey::Token(slot) => {
                let catalogue = desk.catalogues().get(&slot.home)?;
                search::offer_of(slot, catalogue, seen(desk, slot, now), worth(desk, slot))
            }
            OfferKey::System { system, slot, .. } => self.practices.offer(system, slot),
        }
    }

    /// Services of all hubs, and each practice, by name.
    pub(super) fn all_services(&self) -> Vec<Service> {
        let desk = self.desk();
        let mut services: Vec<Service> =
            desk.catalogues().values().flat_map(|catalogue| &catalogue.services).cloned().collect();
        services.extend(self.practices.services(desk.hub()));
        services.sort_by(|one, other| one.name.cmp(&other.name).then_with(|| one.id.cmp(&other.id)));
        services
    }
}

/// When it was last heard that a slot is free: now if this hub sells it.
pub(super) fn seen(desk: &Desk, slot: &SlotId, now: Timestamp) -> Timestamp {
    match desk.seller(slot) {
        Some(hub) if hub != *desk.hub() => desk.heard(&hub).unwrap_or_default(),
        _ => now,
    }
}

/// What booking a slot now is worth, whether it is free or not.
fn worth(desk: &Desk, slot: &SlotId) -> Promise {
    let own_book = desk
        .catalogues()
        .get(&slot.home)
        .and_then(|catalogue| catalogue.system_of(&slot.session))
        .is_some_and(|system| system == crate::booking::desk::OWN_BOOK);
    desk.promise(slot, own_book).unwrap_or(Promise::Provisional(WhyProvisional::OwnedElsewhere))
}

/// What a deed asks for, as a number: equal deeds have equal numbers. Stable within a version of the program, which is
/// as long as anybody sends the same form again.
pub(super) fn deed_digest(deed: &Deed) -> u64 {
    let bytes = cbor::encode(deed).unwrap_or_default();
    let mut hasher = std::hash::DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
