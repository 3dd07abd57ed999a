//! Visits: several services one after the other, found among what is free.

use std::collections::BTreeSet;

use crate::domain::{
    booking::{Offer, Plan, PlanWish, Promise},
    time::Timestamp,
};

/// Visits shown.
pub const PLANS_MAX: usize = 20;
/// Offers that are looked at for visits with one beginning: each order of six services, and then some. What a longer
/// search would still find is hardly better.
const STEPS_MAX: usize = 4_000;
/// Visits with one beginning that are shown: people want other times to choose from, not the same one in other orders.
const SAME_START_MAX: usize = 2;
/// Getting from one place to another, in minutes.
const WALK_MINUTES: i64 = 10;
const MINUTE_MS: i64 = 60_000;

/// Visits that would suit, best first: those that are sure, then the shortest, then with the least waiting, then the
/// earliest. `offers` has the free times of each service of the wish, in its order.
///
/// Each offer is tried as the beginning. After it, of the offers of a service that are as sure and at the same place,
/// only the one that ends first is tried: any visit with a later one can be had with this one too, and is no longer.
pub fn plan(wish: &PlanWish, offers: &[Vec<Offer>], now: Timestamp) -> Vec<Plan> {
    if offers.is_empty() || offers.len() != wish.services.len() {
        return Vec::new();
    }
    let candidates = offers.iter().map(|of_service| {
        let mut times: Vec<&Offer> = of_service.iter().filter(|offer| now < offer.start).collect();
        times.sort_by_key(|offer| (offer.start, &offer.key));
        times
    });
    let candidates: Vec<Vec<&Offer>> = candidates.collect();
    let mut search = Search {
        wish,
        candidates: &candidates,
        found: BTreeSet::new(),
        steps: 0,
        worst: (usize::MAX, i64::MAX),
    };
    let starts: BTreeSet<Timestamp> = candidates.iter().flatten().map(|offer| offer.start).collect();
    let mut best = BTreeSet::new();
    for start in starts {
        search.begin_at(start);
        best.extend(std::mem::take(&mut search.found).into_iter().take(SAME_START_MAX));
        while PLANS_MAX < best.len() {
            best.pop_last();
        }
        if let Some(last) = best.last().filter(|_| best.len() == PLANS_MAX) {
            search.worst = (last.provisional, last.span);
        }
    }
    best.into_iter().map(|found| search.plan(&found.chosen)).collect()
}

struct Search<'a> {
    wish: &'a PlanWish,
    candidates: &'a [Vec<&'a Offer>],
    found: BTreeSet<Found>,
    steps: usize,
    /// How many unsure parts, and how long, the last visit that is shown so far is: what is worse is not gone on with.
    worst: (usize, i64),
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

impl<'a> Search<'a> {
    /// Finds the visits that begin at a moment.
    fn begin_at(&mut self, start: Timestamp) {
        self.steps = 0;
        for service in 0..self.candidates.len() {
            let numbers = self.candidates.get(service).map_or(0..0, |offers| {
                offers.partition_point(|offer| offer.start < start)
                    ..offers.partition_point(|offer| offer.start <= start)
            });
            for number in numbers {
                let long = self.offer((service, number)).map_or(0, |offer| offer.end.0 - offer.start.0);
                if long <= self.within() {
                    self.extend(&mut vec![(service, number)]);
                }
            }
        }
    }

    fn extend(&mut self, chosen: &mut Vec<(usize, usize)>) {
        if chosen.len() == self.candidates.len() {
            self.keep(chosen);
            return;
        }
        for service in 0..self.candidates.len() {
            if chosen.iter().any(|(known, _)| *known == service) {
                continue;
            }
            for number in self.next(chosen, service) {
                chosen.push((service, number));
                self.extend(chosen);
                chosen.pop();
            }
        }
    }

    /// The offers of a service to go on with: of those as sure and at the same place the one that ends first.
    fn next(&mut self, chosen: &[(usize, usize)], service: usize) -> Vec<usize> {
        let (Some(first), Some(last), Some(offers)) = (
            chosen.first().and_then(|chosen| self.offer(*chosen)),
            chosen.last().and_then(|chosen| self.offer(*chosen)),
            self.candidates.get(service),
        ) else {
            return Vec::new();
        };
        let unsure =
            chosen.iter().filter_map(|chosen| self.offer(*chosen)).filter(|offer| !is_sure(offer)).count();
        let mut earliest: Vec<(usize, &Offer)> = Vec::new();
        let from = offers.partition_point(|offer| offer.start < last.end);
        for (number, offer) in offers.iter().copied().enumerate().skip(from) {
            self.steps += 1;
            if self.within() < offer.start.0 - first.start.0 || STEPS_MAX < self.steps {
                break;
            }
            let in_time = last.end.0 + self.gap(last, offer) <= offer.start.0
                && offer.end.0 - first.start.0 <= self.within();
            let again =
                chosen.iter().any(|known| self.offer(*known).is_some_and(|known| known.key == offer.key));
            let worth = (unsure + usize::from(!is_sure(offer)), offer.end.0 - first.start.0);
            if !in_time || again || self.worst < worth {
                continue;
            }
            match earliest.iter_mut().find(|(_, known)| are_alike(known, offer)) {
                Some(known) if offer.end < known.1.end => *known = (number, offer),
                Some(_) => {}
                None => earliest.push((number, offer)),
            }
        }
        earliest.into_iter().map(|(number, _)| number).collect()
    }

    /// The longest visit, in milliseconds.
    fn within(&self) -> i64 {
        i64::from(self.wish.within_minutes) * MINUTE_MS
    }

    /// The least time between two, in milliseconds.
    fn gap(&self, one: &Offer, next: &Offer) -> i64 {
        let walk = if is_same_place(one, next) { 0 } else { WALK_MINUTES };
        i64::from(self.wish.gap_minutes).max(walk) * MINUTE_MS
    }

    fn keep(&mut self, chosen: &[(usize, usize)]) {
        let offers: Vec<&Offer> = chosen.iter().filter_map(|chosen| self.offer(*chosen)).collect();
        let (Some(first), Some(last)) = (offers.first(), offers.last()) else { return };
        let span = last.end.0 - first.start.0;
        let busy: i64 = offers.iter().map(|offer| offer.end.0 - offer.start.0).sum();
        let provisional = offers.iter().filter(|offer| !is_sure(offer)).count();
        let start = first.start;
        self.found.insert(Found { provisional, span, idle: span - busy, start, chosen: chosen.to_vec() });
        if SAME_START_MAX < self.found.len() {
            self.found.pop_last();
        }
    }

    fn offer(&self, (service, number): (usize, usize)) -> Option<&'a Offer> {
        self.candidates.get(service)?.get(number).copied()
    }

    fn plan(&self, chosen: &[(usize, usize)]) -> Plan {
        let parts: Vec<Offer> = chosen.iter().filter_map(|chosen| self.offer(*chosen)).cloned().collect();
        let pairs = parts.iter().zip(parts.iter().skip(1));
        let idle: i64 = pairs.map(|(one, next)| next.start.0 - one.end.0).sum();
        Plan { parts, idle_minutes: u32::try_from(idle / MINUTE_MS).unwrap_or(0) }
    }
}

/// Whether one can stand for the other in what comes after it.
fn are_alike(one: &Offer, other: &Offer) -> bool {
    is_sure(one) == is_sure(other) && is_same_place(one, other)
}

fn is_same_place(one: &Offer, other: &Offer) -> bool {
    one.place.id == other.place.id && one.place.name == other.place.name
}

const fn is_sure(offer: &Offer) -> bool {
    !matches!(offer.promise, Promise::Provisional(_))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        booking::{Channel, OfferKey, SlotSearch, WhyProvisional},
        slot::Place,
    };

    const NINE: Timestamp = Timestamp(1_795_424_400_000);

    /// Whose offers they are, then each one's beginning and length in minutes, its place, and whether it is sure.
    fn offers(service: usize, wanted: &[(i64, i64, u8, bool)]) -> Vec<Offer> {
        let one = |(number, (start, long, place, sure)): (usize, &(i64, i64, u8, bool))| Offer {
            key: OfferKey::System {
                system: "pas".to_owned(),
                schedule: service.to_string(),
                slot: number.to_string(),
            },
            service: "clinic".parse().unwrap(),
            service_name: String::new(),
            session: String::new(),
            start: Timestamp(NINE.0 + start * MINUTE_MS),
            end: Timestamp(NINE.0 + (start + long) * MINUTE_MS),
            channel: Channel::InPerson,
            clinician: None,
            languages: Vec::new(),
            place: Place { name: format!("building {place}"), ..Place::default() },
            room: String::new(),
            step_free: None,
            organisation: String::new(),
            telephone: String::new(),
            system: "pas".to_owned(),
            seen: NINE,
            promise: if *sure { Promise::Firm } else { Promise::Provisional(WhyProvisional::SystemSilent) },
            free: 1,
        };
        wanted.iter().enumerate().map(one).collect()
    }

    fn wish(services: usize, within_minutes: u16, gap_minutes: u16) -> PlanWish {
        PlanWish { services: vec![SlotSearch::default(); services], within_minutes, gap_minutes }
    }

    /// Every choice of one offer each, in every order, by the rules as they are told to people.
    fn best_of_all(wish: &PlanWish, offers: &[Vec<Offer>]) -> Option<(usize, i64)> {
        let mut choices: Vec<Vec<&Offer>> = vec![Vec::new()];
        for of_service in offers {
            choices = choices
                .iter()
                .flat_map(|chosen| of_service.iter().map(move |offer| [chosen.as_slice(), &[offer]].concat()))
                .collect();
        }
        let visits = choices.into_iter().filter_map(|mut parts| {
            parts.sort_by_key(|offer| offer.start);
            let fits = parts.windows(2).all(|pair| {
                let same = pair[0].place.name == pair[1].place.name;
                let gap = i64::from(wish.gap_minutes).max(if same { 0 } else { WALK_MINUTES });
                pair[0].end.0 + gap * MINUTE_MS <= pair[1].start.0
            });
            let span = parts.last()?.end.0 - parts.first()?.start.0;
            let unsure = parts.iter().filter(|offer| !is_sure(offer)).count();
            (fits && span <= i64::from(wish.within_minutes) * MINUTE_MS).then_some((unsure, span))
        });
        visits.min()
    }

    fn worth(plan: &Plan) -> (usize, i64) {
        let span = plan.parts.last().unwrap().end.0 - plan.parts.first().unwrap().start.0;
        (plan.parts.iter().filter(|offer| !is_sure(offer)).count(), span)
    }

    proptest! {
        #[test]
        fn no_visit_is_better_than_the_first_that_is_shown(
            wanted in proptest::collection::vec(
                proptest::collection::vec((0_i64..36, 1_i64..10, 0_u8..2, any::<bool>()), 0..7), 1..4),
            within in 5_u16..180,
            gap in 0_u16..15,
        ) {
            let wish = wish(wanted.len(), within, gap);
            let in_fives = |one: &Vec<(i64, i64, u8, bool)>| -> Vec<(i64, i64, u8, bool)> {
                one.iter().map(|(start, long, place, sure)| (start * 5, long * 5, *place, *sure)).collect()
            };
            let offers: Vec<Vec<Offer>> =
                wanted.iter().enumerate().map(|(service, one)| offers(service, &in_fives(one))).collect();
            let plans = plan(&wish, &offers, Timestamp(NINE.0 - 1));
            prop_assert_eq!(plans.first().map(worth), best_of_all(&wish, &offers));
            for plan in &plans {
                prop_assert_eq!(plan.parts.len(), wanted.len());
                prop_assert!(worth(plan).1 <= i64::from(within) * MINUTE_MS);
                let gap = i64::from(gap) * MINUTE_MS;
                prop_assert!(plan.parts.windows(2).all(|pair| pair[0].end.0 + gap <= pair[1].start.0));
            }
            prop_assert!(plans.windows(2).all(|pair| worth(&pair[0]) <= worth(&pair[1])));
        }
    }

    #[test]
    fn what_is_far_off_is_found_past_hundreds_that_do_not_fit() {
        let early: Vec<(i64, i64, u8, bool)> = (0..500).map(|number| (number * 5, 5, 0, true)).collect();
        let late = [(10_000, 20, 0, true)];
        let mut feet = offers(0, &early);
        feet.extend(offers(2, &[(10_025, 10, 0, true)]));
        let plans = plan(&wish(2, 60, 0), &[feet, offers(1, &late)], NINE);
        assert_eq!(plans.iter().map(worth).collect::<Vec<_>>(), [(0, 35 * MINUTE_MS)]);
    }

    #[test]
    fn going_to_another_building_takes_time() {
        let there = |place| [offers(0, &[(0, 10, 0, true)]), offers(1, &[(15, 10, place, true)])];
        assert_eq!(plan(&wish(2, 60, 0), &there(0), Timestamp(0)).len(), 1);
        assert_eq!(plan(&wish(2, 60, 0), &there(1), Timestamp(0)).len(), 0);
    }

    #[test]
    fn other_times_are_offered_not_the_same_one_in_other_orders() {
        let often: Vec<(i64, i64, u8, bool)> = (0..40).map(|number| (number * 10, 10, 0, true)).collect();
        let all: Vec<Vec<Offer>> = (0..4).map(|service| offers(service, &often)).collect();
        let plans = plan(&wish(4, 60, 0), &all, Timestamp(0));
        let starts: BTreeSet<Timestamp> = plans.iter().map(|plan| plan.parts[0].start).collect();
        assert_eq!((plans.len(), starts.len()), (PLANS_MAX, PLANS_MAX / SAME_START_MAX));
        assert!(plans.iter().all(|plan| plan.idle_minutes == 0));
    }

    #[test]
    fn a_wish_and_its_offers_that_do_not_match_come_to_nothing() {
        assert_eq!(plan(&wish(2, 60, 0), &[offers(0, &[(0, 10, 0, true)])], Timestamp(0)), []);
        assert_eq!(plan(&wish(0, 60, 0), &[], Timestamp(0)), []);
        let gone = offers(0, &[(0, 10, 0, true)]);
        assert_eq!(plan(&wish(1, 60, 0), &[gone], Timestamp(NINE.0 + 1)), []);
    }
}
