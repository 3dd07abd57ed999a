//! What can be booked: times of all hubs' sessions and what practices say is free, merged and ranked.

use std::{borrow::Cow, collections::BTreeMap};

use crate::domain::{
    booking::{Offer, OfferKey, Promise, Service, SlotId, SlotSearch, SlotsFound, SystemAnswer},
    ids::HubId,
    time::Timestamp,
};

use super::catalogue::{Catalogue, PLACES_MAX, Session, SlotTime, date_of, dates};

/// What booking a slot now is worth, and when that was last heard; none if it is not free.
pub type Free<'a> = &'a dyn Fn(&SlotId, bool) -> Option<(Promise, Timestamp)>;

/// The name of the book that hubs' own sessions are in.
pub const OWN_BOOK: &str = "hub";

/// What can be booked, best first: what is sure before what must be asked for; then the earliest; then what the
/// patient's own practice offers; then by service and key, so that the same search shows the same order.
///
/// It goes through the window a day at a time, and no further than is shown: looking up who has a slot is what costs.
pub fn find(
    search: &SlotSearch,
    catalogues: &BTreeMap<HubId, Catalogue>,
    free: Free<'_>,
    others: &[Offer],
    now: Timestamp,
) -> SlotsFound {
    let wanted = Wanted::of(search, now);
    let sessions = wanted.sessions(catalogues);
    let mut others = wanted.others(others).into_iter().peekable();
    let mut found = Found::default();
    for date in dates(wanted.from, search.until) {
        let mut day: Vec<Candidate<'_>> = Vec::new();
        for open in &sessions {
            let times = open.session.on(date).into_iter().filter(|time| wanted.has(time.start, time.end));
            let candidates = times.filter_map(|time| open.candidate(time, free));
            day.extend(candidates.inspect(|candidate| found.heard(open, candidate.seen)));
        }
        while let Some(offer) = others.next_if(|offer| date_of(offer.start).is_none_or(|on| on <= date)) {
            day.push(Candidate::of_practice(offer, &search.practice));
        }
        if found.take_in(day) {
            break;
        }
    }
    for open in &sessions {
        if found.has_heard(open) {
            continue;
        }
        // It may have something after the days that were looked at: it was asked all the same.
        let times = open.session.times(wanted.from, search.until).into_iter();
        let seen = times.filter_map(|time| open.candidate(time, free)).map(|candidate| candidate.seen).next();
        seen.into_iter().for_each(|seen| found.heard(open, seen));
    }
    found.finish()
}

/// The offer behind a slot's name; none if its session does not make such a slot.
pub fn offer_of(slot: &SlotId, catalogue: &Catalogue, seen: Timestamp, promise: Promise) -> Option<Offer> {
    let session = catalogue.session(&slot.session).filter(|session| session.has(slot))?;
    let service = catalogue.service(&session.service)?;
    let mut offer =
        offer(OfferKey::Token(slot.clone()), service, session, session.time_at(slot.start)?, promise);
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

/// A session that is wanted.
struct Open<'a> {
    hub: &'a HubId,
    service: &'a Service,
    session: &'a Session,
}

impl<'a> Open<'a> {
    /// The free places at one time as one; none if there are none. A place that is sure comes before one that must be
    /// asked for.
    fn candidate(&self, time: SlotTime, free: Free<'_>) -> Option<Candidate<'a>> {
        let mut first: Option<(SlotId, Promise, Timestamp)> = None;
        let mut count = 0_u16;
        for place in 1..=self.session.places.min(PLACES_MAX) {
            let (home, session) = (self.hub.clone(), self.session.id.clone());
            let slot = SlotId { home, session, start: time.start, place };
            let Some((promise, seen)) = free(&slot, self.service.system == OWN_BOOK) else { continue };
            count += 1;
            let better = first.as_ref().is_none_or(|(_, known, _)| is_sure(&promise) && !is_sure(known));
            if better {
                first = Some((slot, promise, seen));
            }
        }
        let (slot, promise, seen) = first?;
        Some(Candidate {
            start: time.start,
            theirs: false,
            service: &self.service.id,
            key: Cow::Owned(OfferKey::Token(slot)),
            sure: is_sure(&promise),
            seen,
            source: Source::Session {
                service: self.service,
                session: self.session,
                time,
                promise,
                free: count,
            },
        })
    }
}

/// What may be shown: as little of it as ranking needs, since most is not shown.
struct Candidate<'a> {
    start: Timestamp,
    theirs: bool,
    service: &'a HubId,
    key: Cow<'a, OfferKey>,
    sure: bool,
    seen: Timestamp,
    source: Source<'a>,
}

enum Source<'a> {
    Session { service: &'a Service, session: &'a Session, time: SlotTime, promise: Promise, free: u16 },
    Practice(&'a Offer),
}

impl<'a> Candidate<'a> {
    fn of_practice(offer: &'a Offer, practice: &str) -> Self {
        Self {
            start: offer.start,
            theirs: !practice.is_empty() && offer.place.organisation == practice,
            service: &offer.service,
            key: Cow::Borrowed(&offer.key),
            sure: is_sure(&offer.promise),
            seen: offer.seen,
            source: Source::Practice(offer),
        }
    }

    /// Its place among those that are as sure.
    fn rank(&self) -> impl Ord {
        (self.start, !self.theirs, self.service, &self.key)
    }

    fn offer(self) -> Offer {
        match self.source {
            Source::Session { service, session, time, promise, free } => {
                let key = self.key.into_owned();
                Offer { seen: self.seen, free, ..offer(key, service, session, time, promise) }
            }
            Source::Practice(offer) => offer.clone(),
        }
    }
}

/// What was found up to some day.
#[derive(Default)]
struct Found<'a> {
    sure: Vec<Candidate<'a>>,
    /// Those that must be asked for.
    unsure: Vec<Candidate<'a>>,
    /// Since when each book of each hub is known.
    systems: BTreeMap<(&'a str, &'a HubId), Timestamp>,
}

impl<'a> Found<'a> {
    fn heard(&mut self, open: &Open<'a>, seen: Timestamp) {
        let oldest = self.systems.entry((&open.service.system, open.hub)).or_insert(seen);
        *oldest = seen.min(*oldest);
    }

    fn has_heard(&self, open: &Open<'a>) -> bool {
        self.systems.contains_key(&(open.service.system.as_str(), open.hub))
    }

    /// Takes in what a later day has; whether that is enough, since what comes later still ranks behind.
    fn take_in(&mut self, day: Vec<Candidate<'a>>) -> bool {
        let (mut sure, mut unsure): (Vec<_>, Vec<_>) = day.into_iter().partition(|candidate| candidate.sure);
        for (new, known) in [(&mut sure, &mut self.sure), (&mut unsure, &mut self.unsure)] {
            if known.len() <= SlotsFound::OFFERS_MAX {
                new.sort_unstable_by(|one, other| one.rank().cmp(&other.rank()));
                known.append(new);
                // One more than is shown says that there are more.
                known.truncate(SlotsFound::OFFERS_MAX + 1);
            }
        }
        SlotsFound::OFFERS_MAX < self.sure.len()
    }

    fn finish(self) -> SlotsFound {
        let more = SlotsFound::OFFERS_MAX < self.sure.len() + self.unsure.len();
        let candidates = self.sure.into_iter().chain(self.unsure).take(SlotsFound::OFFERS_MAX);
        let systems = self.systems.into_iter().map(|((system, hub), seen)| SystemAnswer {
            system: format!("{system}, {hub}"),
            seen: Some(seen),
            trouble: String::new(),
        });
        SlotsFound { offers: candidates.map(Candidate::offer).collect(), more, systems: systems.collect() }
    }
}

const fn is_sure(promise: &Promise) -> bool {
    !matches!(promise, Promise::Provisional(_))
}

fn offer(key: OfferKey, service: &Service, session: &Session, time: SlotTime, promise: Promise) -> Offer {
    Offer {
        key,
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
    /// Nothing begins before.
    from: Timestamp,
    words: Vec<String>,
    language: String,
}

impl<'a> Wanted<'a> {
    fn of(search: &'a SlotSearch, now: Timestamp) -> Self {
        let words = search.need.split_whitespace().map(plain).filter(|word| !word.is_empty()).collect();
        let from = search.from.max(Timestamp(now.0.saturating_add(1)));
        Self { search, from, words, language: plain(&search.language) }
    }

    /// Whether it lies wholly within the window.
    fn has(&self, start: Timestamp, end: Timestamp) -> bool {
        self.from <= start && end <= self.search.until
    }

    /// The sessions that will do.
    fn sessions<'b>(&self, catalogues: &'b BTreeMap<HubId, Catalogue>) -> Vec<Open<'b>> {
        let mut sessions = Vec::new();
        for (hub, catalogue) in catalogues {
            let wanted: BTreeMap<&HubId, &Service> = catalogue
                .services
                .iter()
                .filter(|service| self.service(service))
                .map(|service| (&service.id, service))
                .collect();
            sessions.extend(catalogue.sessions.iter().filter_map(|session| {
                let service = *wanted.get(&session.service)?;
                self.session(session).then_some(Open { hub, service, session })
            }));
        }
        sessions
    }

    /// What practices offer that will do, by time.
    fn others<'b>(&self, offers: &'b [Offer]) -> Vec<&'b Offer> {
        let within = offers.iter().filter(|offer| self.has(offer.start, offer.end));
        let mut wanted: Vec<&Offer> = within.filter(|offer| self.offer(offer)).collect();
        if !self.words.is_empty() {
            // A practice has thousands of slots and a few names for them.
            let mut needed: BTreeMap<(&str, &str), bool> = BTreeMap::new();
            wanted.retain(|offer| {
                let names = (offer.service_name.as_str(), offer.session.as_str());
                *needed.entry(names).or_insert_with(|| {
                    self.needs(|| format!("gp doctor nurse practice {} {}", names.0, names.1))
                })
            });
        }
        wanted.sort_by_key(|offer| offer.start);
        wanted
    }

    fn service(&self, service: &Service) -> bool {
        let chosen = self.search.service.as_ref().is_none_or(|id| *id == service.id);
        chosen && self.needs(|| format!("{} {}", service.name, service.words.join(" ")))
    }

    fn session(&self, session: &Session) -> bool {
        let gender = session.clinician.as_ref().map_or("", |clinician| clinician.gender.as_str());
        self.channel_is(session.channel)
            && self.gender_is(gender)
            && self.speaks(&session.languages)
            && (!self.search.step_free || session.step_free == Some(true))
    }

    /// Whether all fits but the words.
    fn offer(&self, offer: &Offer) -> bool {
        let chosen = self.search.service.as_ref().is_none_or(|id| *id == offer.service);
        let gender = offer.clinician.as_ref().map_or("", |clinician| clinician.gender.as_str());
        chosen
            && self.channel_is(offer.channel)
            && self.gender_is(gender)
            && self.speaks(&offer.languages)
            && (!self.search.step_free || offer.step_free == Some(true))
    }

    /// Whether every word of the need is in a text, which is made only if there are any.
    fn needs(&self, text: impl FnOnce() -> String) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let text = plain(&text());
        self.words.iter().all(|word| text.contains(word.as_str()))
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
