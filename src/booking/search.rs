//! What can be booked: times of all hubs' sessions and what practices say is free, merged and ranked.

use std::collections::BTreeMap;

use crate::domain::{
    booking::{Offer, OfferKey, Promise, Service, SlotId, SlotSearch, SlotsFound, SystemAnswer},
    ids::HubId,
    time::Timestamp,
};

use super::catalogue::{Catalogue, Session, SlotTime};

/// What booking a slot now is worth, and when that was last heard; none if it is not free.
pub type Free<'a> = &'a dyn Fn(&SlotId, bool) -> Option<(Promise, Timestamp)>;

/// The name of the book that hubs' own sessions are in.
pub const OWN_BOOK: &str = "hub";

/// What can be booked, best first.
pub fn find(
    search: &SlotSearch,
    catalogues: &BTreeMap<HubId, Catalogue>,
    free: Free<'_>,
    others: &[Offer],
    now: Timestamp,
) -> SlotsFound {
    let wanted = Wanted::of(search);
    let mut offers: Vec<Offer> = Vec::new();
    let mut systems: BTreeMap<String, Timestamp> = BTreeMap::new();
    let from = search.from.max(Timestamp(now.0.saturating_add(1)));
    for (hub, catalogue) in catalogues {
        for session in &catalogue.sessions {
            let Some(service) = catalogue.service(&session.service) else { continue };
            if !wanted.service(service) || !wanted.session(session) {
                continue;
            }
            for time in session.times(from, search.until) {
                let places = places(hub, session, time, service.system == OWN_BOOK, free);
                let Some((slot, promise, seen)) = places.first else { continue };
                let mut offer = offer(&slot, service, session, time, promise);
                (offer.seen, offer.free) = (seen, places.free);
                let oldest = systems.entry(format!("{}, {hub}", service.system)).or_insert(seen);
                *oldest = seen.min(*oldest);
                offers.push(offer);
            }
        }
    }
    let beside = others.iter().filter(|offer| {
        let within = from <= offer.start && offer.end <= search.until;
        within && wanted.offer(offer)
    });
    offers.extend(beside.cloned());
    let rank = |offer: &Offer| {
        let provisional = matches!(offer.promise, Promise::Provisional(_));
        let theirs = !search.practice.is_empty() && offer.place.organisation == search.practice;
        (provisional, offer.start, !theirs, offer.service.clone(), offer.key.clone())
    };
    offers.sort_by_cached_key(rank);
    let more = SlotsFound::OFFERS_MAX < offers.len();
    offers.truncate(SlotsFound::OFFERS_MAX);
    let systems = systems.into_iter().map(|(system, seen)| {
        let trouble = String::new();
        SystemAnswer { system, seen: Some(seen), trouble }
    });
    SlotsFound { offers, more, systems: systems.collect() }
}

/// The offer behind a slot's name; none if its session does not make such a slot.
pub fn offer_of(slot: &SlotId, catalogue: &Catalogue, seen: Timestamp, promise: Promise) -> Option<Offer> {
    let session = catalogue.session(&slot.session).filter(|session| session.has(slot))?;
    let service = catalogue.service(&session.service)?;
    let mut offer = offer(slot, service, session, session.time_at(slot.start)?, promise);
    offer.seen = seen;
    Some(offer)
}

/// After a lost race: the three nearest in time to what was lost, confirmed ones first.
pub fn next_three(lost: &Offer, offers: &[Offer]) -> Vec<Offer> {
    let mut others: Vec<&Offer> =
        offers.iter().filter(|offer| offer.key != lost.key && offer.service == lost.service).collect();
    others.sort_by_key(|offer| {
        let provisional = matches!(offer.promise, Promise::Provisional(_));
        (provisional, offer.channel != lost.channel, offer.start.0.abs_diff(lost.start.0), offer.start)
    });
    others.into_iter().take(3).cloned().collect()
}

/// The free places at one time.
struct Places {
    first: Option<(SlotId, Promise, Timestamp)>,
    free: u16,
}

fn places(hub: &HubId, session: &Session, time: SlotTime, own_book: bool, free: Free<'_>) -> Places {
    let mut places = Places { first: None, free: 0 };
    for place in 1..=session.places {
        let slot = SlotId { home: hub.clone(), session: session.id.clone(), start: time.start, place };
        let Some((promise, seen)) = free(&slot, own_book) else { continue };
        places.free += 1;
        // A place that is sure comes before one that must be asked for.
        let better = match &places.first {
            None => true,
            Some((_, Promise::Provisional(_), _)) => !matches!(promise, Promise::Provisional(_)),
            Some(_) => false,
        };
        if better {
            places.first = Some((slot, promise, seen));
        }
    }
    places
}

fn offer(slot: &SlotId, service: &Service, session: &Session, time: SlotTime, promise: Promise) -> Offer {
    Offer {
        key: OfferKey::Token(slot.clone()),
        service: service.id.clone(),
        service_name: service.name.clone(),
        session: String::new(),
        start: time.start,
        end: time.end,
        channel: session.channel,
        clinician: session.clinician.clone(),
        languages: session.languages.clone(),
        place: session.place.clone(),
        room: session.room.clone(),
        step_free: session.step_free,
        organisation: service.organisation.clone(),
        telephone: service.telephone.clone(),
        system: service.system.clone(),
        seen: time.start,
        promise,
        free: 1,
    }
}

/// What a search wants, in a form that is quick to compare.
struct Wanted<'a> {
    search: &'a SlotSearch,
    words: Vec<String>,
    language: String,
}

impl<'a> Wanted<'a> {
    fn of(search: &'a SlotSearch) -> Self {
        let words = search.need.split_whitespace().map(plain).filter(|word| !word.is_empty()).collect();
        Self { search, words, language: plain(&search.language) }
    }

    fn service(&self, service: &Service) -> bool {
        let chosen = self.search.service.as_ref().is_none_or(|id| *id == service.id);
        let text = plain(&format!("{} {}", service.name, service.words.join(" ")));
        chosen && self.words.iter().all(|word| text.contains(word.as_str()))
    }

    fn session(&self, session: &Session) -> bool {
        let gender = session.clinician.as_ref().map_or("", |clinician| clinician.gender.as_str());
        self.channel_is(session.channel)
            && self.gender_is(gender)
            && self.speaks(&session.languages)
            && (!self.search.step_free || session.step_free == Some(true))
    }

    fn offer(&self, offer: &Offer) -> bool {
        let chosen = self.search.service.as_ref().is_none_or(|id| *id == offer.service);
        let text = plain(&format!("gp doctor nurse practice {} {}", offer.service_name, offer.session));
        let gender = offer.clinician.as_ref().map_or("", |clinician| clinician.gender.as_str());
        chosen
            && self.words.iter().all(|word| text.contains(word.as_str()))
            && self.channel_is(offer.channel)
            && self.gender_is(gender)
            && self.speaks(&offer.languages)
            && (!self.search.step_free || offer.step_free == Some(true))
    }

    fn channel_is(&self, channel: crate::domain::booking::Channel) -> bool {
        self.search.channel.is_none_or(|wanted| wanted == channel)
    }

    fn gender_is(&self, gender: &str) -> bool {
        self.search.gender.is_empty() || self.search.gender.eq_ignore_ascii_case(gender)
    }

    fn speaks(&self, languages: &[String]) -> bool {
        let english = self.language == "english";
        self.language.is_empty() || english || languages.iter().any(|spoken| plain(spoken) == self.language)
    }
}

/// Lower case, without the accents of European languages: what people type.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|character| match character {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
            'è' | 'é' | 'ê' | 'ë' => 'e',
            'ì' | 'í' | 'î' | 'ï' => 'i',
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' => 'o',
            'ù' | 'ú' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            other => other,
        })
        .collect()
}
