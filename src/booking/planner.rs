//! Visits: several services one after the other, found among what is free.

use std::collections::BTreeSet;

use crate::domain::{
    booking::{Offer, Plan, PlanWish, Promise},
    time::Timestamp,
};

/// Visits shown.
pub const PLANS_MAX: usize = 20;
/// Offers of one service that are tried: two weeks of a busy clinic, the earliest first.
const OFFERS_MAX: usize = 200;
/// Steps of the search: a fraction of a second, and then what was found is shown.
const STEPS_MAX: usize = 200_000;
/// Getting from one place to another, in minutes.
const WALK_MINUTES: i64 = 10;
const MINUTE_MS: i64 = 60_000;

/// Visits that would suit, best first: those that are sure, then the shortest, then with the least waiting, then the
/// earliest. `offers` has the free times of each service of the wish, in its order.
pub fn plan(wish: &PlanWish, offers: &[Vec<Offer>], now: Timestamp) -> Vec<Plan> {
    if offers.is_empty() || offers.len() != wish.services.len() {
        return Vec::new();
    }
    let mut candidates: Vec<Vec<&Offer>> = Vec::with_capacity(offers.len());
    for of_service in offers {
        let mut times: Vec<&Offer> = of_service.iter().filter(|offer| now < offer.start).collect();
        times.sort_by_key(|offer| (offer.start, offer.key.clone()));
        times.truncate(OFFERS_MAX);
        candidates.push(times);
    }
    let mut search = Search { wish, candidates, found: BTreeSet::new(), steps: 0 };
    search.extend(&mut Vec::new());
    let found = std::mem::take(&mut search.found);
    found.into_iter().take(PLANS_MAX).map(|found| search.plan(&found.chosen)).collect()
}

struct Search<'a> {
    wish: &'a PlanWish,
    candidates: Vec<Vec<&'a Offer>>,
    found: BTreeSet<Found>,
    steps: usize,
}

/// A visit by its worth, so that the best come first; `chosen` names service and offer, in the order of time.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Found {
    provisional: usize,
    span: i64,
    idle: i64,
    start: Timestamp,
    chosen: Vec<(usize, usize)>,
}

impl Search<'_> {
    fn extend(&mut self, chosen: &mut Vec<(usize, usize)>) {
        if chosen.len() == self.candidates.len() {
            self.keep(chosen);
            return;
        }
        for service in 0..self.candidates.len() {
            if chosen.iter().any(|(known, _)| *known == service) {
                continue;
            }
            let from = self.earliest(chosen, service);
            let count = self.candidates.get(service).map_or(0, Vec::len);
            for number in from..count {
                self.steps += 1;
                if STEPS_MAX < self.steps {
                    return;
                }
                match self.fit(chosen, service, number) {
                    Fit::TooLate => break,
                    Fit::No => {}
                    Fit::Yes => {
                        chosen.push((service, number));
                        self.extend(chosen);
                        chosen.pop();
                    }
                }
            }
        }
    }

    /// The first offer of a service that does not begin before the last chosen one ends.
    fn earliest(&self, chosen: &[(usize, usize)], service: usize) -> usize {
        let Some(last) = chosen.last().and_then(|chosen| self.offer(*chosen)) else { return 0 };
        self.candidates
            .get(service)
            .map_or(0, |offers| offers.partition_point(|offer| offer.start < last.end))
    }

    fn fit(&self, chosen: &[(usize, usize)], service: usize, number: usize) -> Fit {
        let Some(offer) = self.offer((service, number)) else { return Fit::TooLate };
        let (Some(first), Some(last)) = (
            chosen.first().and_then(|chosen| self.offer(*chosen)),
            chosen.last().and_then(|chosen| self.offer(*chosen)),
        ) else {
            return Fit::Yes;
        };
        let within = i64::from(self.wish.within_minutes) * MINUTE_MS;
        if within < offer.start.0 - first.start.0 {
            return Fit::TooLate;
        }
        let walk = if offer.place.id == last.place.id && offer.place.name == last.place.name {
            0
        } else {
            WALK_MINUTES
        };
        let gap = i64::from(self.wish.gap_minutes).max(walk) * MINUTE_MS;
        let in_time = last.end.0 + gap <= offer.start.0 && offer.end.0 - first.start.0 <= within;
        let again =
            chosen.iter().filter_map(|chosen| self.offer(*chosen)).any(|known| known.key == offer.key);
        if in_time && !again { Fit::Yes } else { Fit::No }
    }

    fn keep(&mut self, chosen: &[(usize, usize)]) {
        let offers: Vec<&Offer> = chosen.iter().filter_map(|chosen| self.offer(*chosen)).collect();
        let (Some(first), Some(last)) = (offers.first(), offers.last()) else { return };
        let span = last.end.0 - first.start.0;
        let busy: i64 = offers.iter().map(|offer| offer.end.0 - offer.start.0).sum();
        let provisional =
            offers.iter().filter(|offer| matches!(offer.promise, Promise::Provisional(_))).count();
        let start = first.start;
        self.found.insert(Found { provisional, span, idle: span - busy, start, chosen: chosen.to_vec() });
        if PLANS_MAX < self.found.len() {
            self.found.pop_last();
        }
    }

    fn offer(&self, (service, number): (usize, usize)) -> Option<&Offer> {
        self.candidates.get(service)?.get(number).copied()
    }

    fn plan(&self, chosen: &[(usize, usize)]) -> Plan {
        let parts: Vec<Offer> = chosen.iter().filter_map(|chosen| self.offer(*chosen)).cloned().collect();
        let pairs = parts.iter().zip(parts.iter().skip(1));
        let idle: i64 = pairs.map(|(one, next)| next.start.0 - one.end.0).sum();
        Plan { parts, idle_minutes: u32::try_from(idle / MINUTE_MS).unwrap_or(0) }
    }
}

enum Fit {
    Yes,
    No,
    TooLate,
}
