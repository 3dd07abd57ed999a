//! What a system's own appointment takes of the slots that this desk sells: each of them is taken if it is free, and if
//! not, it is known who had it.

use std::collections::BTreeSet;

use super::{
    Appointment, AppointmentId, Desk, OWN_BOOK, OfferKey, Said, SlotId, Standing, Timestamp, TokenEvent,
    due::slots_of, heed::made_there,
};
use crate::{
    booking::{
        catalogue::{Catalogue, Session, SlotTime},
        token::TokenState,
    },
    domain::booking::{Service, SystemWord, WhyProvisional},
};

/// What becomes of slots.
#[derive(Default)]
pub(super) struct Claim<'a> {
    pub(super) service: Option<&'a Service>,
    pub(super) session: Option<&'a Session>,
    /// What it takes, had or not.
    pub(super) keys: Vec<OfferKey>,
    /// When the last of it ends.
    pub(super) end: Timestamp,
    /// What happens to tokens.
    pub(super) tokens: Vec<Said>,
    /// Standing appointments of this desk that have some of it.
    pub(super) sold_to: Vec<&'a Appointment>,
    /// Some of it is not this hub's to take now.
    pub(super) elsewhere: bool,
}

impl Desk {
    /// Whether a word may be about a session of this desk's: it names one, or says nothing of what it takes.
    pub(super) fn concerns(&self, word: &SystemWord) -> bool {
        let any = self.catalogue_of(word).is_some();
        let says_nothing = word.sessions.is_empty() && word.services.is_empty();
        any && (says_nothing || !self.sessions_of(word, None).is_empty())
    }

    /// What an appointment takes from now on, instead of what it had.
    pub(super) fn claim(
        &self,
        id: AppointmentId,
        word: &SystemWord,
        (start, end): (Timestamp, Timestamp),
        known: Option<&Appointment>,
    ) -> Claim<'_> {
        let mut claim = Claim { end: start, ..Claim::default() };
        let mut slots: Vec<(SlotId, u32)> = Vec::new();
        let mut let_go: BTreeSet<AppointmentId> = BTreeSet::new();
        let sessions = self.sessions_of(word, known).into_iter();
        let within = sessions.map(|session| (session, overlapping(session, start, end)));
        let mut within: Vec<_> = within.filter(|(_, times)| !times.is_empty()).collect();
        // A service may have several sessions at a time: of those the first that has room.
        within.sort_by_key(|(session, times)| !self.has_room(id, session, times));
        if let Some((session, times)) = within.into_iter().next() {
            claim.session = Some(session);
            let catalogue = self.catalogues.get(&self.hub);
            claim.service = catalogue.and_then(|catalogue| catalogue.service(&session.service));
            for time in times {
                claim.end = claim.end.max(time.end);
                self.claim_time(id, session, time, &mut claim, &mut slots, &mut let_go);
            }
        }
        let mut freed = self.ledger.free(id).ok();
        if let Some(TokenEvent::Freed { slots: had, .. }) = &freed
            && had.iter().all(|one| slots.contains(one))
        {
            // All of it is kept: what is new comes beside.
            let kept = had.clone();
            slots.retain(|one| !kept.contains(one));
            freed = None;
        }
        claim.tokens.extend(let_go.iter().filter_map(|other| self.ledger.free(*other).ok()).map(Said::Token));
        if let Some(TokenEvent::Freed { slots: had, .. }) = &freed {
            let gone: Vec<_> = had.iter().filter(|one| !slots.contains(one)).cloned().collect();
            let handed_on = self.handed_on(id, &gone);
            claim.tokens.extend(freed.map(Said::Token));
            claim.tokens.extend(handed_on);
        }
        if !slots.is_empty() {
            claim.tokens.push(Said::Token(TokenEvent::Confirmed { appointment: id, slots }));
        }
        claim
    }

    /// One time of a session: a place that it has, else one that is free, else one of somebody's.
    fn claim_time<'a>(
        &'a self,
        id: AppointmentId,
        session: &Session,
        time: SlotTime,
        claim: &mut Claim<'a>,
        slots: &mut Vec<(SlotId, u32)>,
        let_go: &mut BTreeSet<AppointmentId>,
    ) {
        let places = self.places(session, time);
        let standing = |id: &AppointmentId| self.appointments.get(id).filter(|one| one.stands());
        let had = places.iter().find_map(|(slot, state)| match state {
            TokenState::Sold { epoch, appointment } if *appointment == id => Some((slot.clone(), *epoch)),
            _ => None,
        });
        let free = || {
            places.iter().find_map(|(slot, state)| match state {
                TokenState::Free { epoch } => Some((slot.clone(), *epoch)),
                _ => None,
            })
        };
        if let Some((slot, epoch)) = had.or_else(free) {
            claim.keys.push(OfferKey::Token(slot.clone()));
            slots.push((slot, epoch));
            return;
        }
        // What could not be had is nobody's: its system had given the time to whom this is about.
        let idle = places.iter().find_map(|(slot, state)| match state {
            TokenState::Sold { epoch, appointment } if standing(appointment).is_none() => {
                Some((slot.clone(), *epoch, *appointment))
            }
            _ => None,
        });
        if let Some((slot, epoch, other)) = idle {
            claim.keys.push(OfferKey::Token(slot.clone()));
            slots.push((slot, epoch));
            let_go.insert(other);
            return;
        }
        // Of several the one that its system has not confirmed, else the latest, is one too many.
        let holders = places.iter().filter_map(|(slot, state)| match state {
            TokenState::Sold { appointment, .. } => Some((slot, standing(appointment)?)),
            _ => None,
        });
        let asked = |one: &Appointment| matches!(one.standing, Standing::Provisional { .. });
        match holders.max_by_key(|(_, one)| (!made_there(one), asked(one), one.made, one.id)) {
            Some((slot, other)) => {
                claim.keys.push(OfferKey::Token(slot.clone()));
                if claim.sold_to.iter().all(|known| known.id != other.id) {
                    claim.sold_to.push(other);
                }
            }
            None => {
                claim.keys.extend(places.into_iter().next().map(|(slot, _)| OfferKey::Token(slot)));
                claim.elsewhere = true;
            }
        }
    }

    fn places(&self, session: &Session, time: SlotTime) -> Vec<(SlotId, TokenState)> {
        let (home, session_id) = (&self.hub, &session.id);
        let slot =
            |place| SlotId { home: home.clone(), session: session_id.clone(), start: time.start, place };
        let slots = (1..=session.places).map(slot);
        slots.map(|slot| (slot.clone(), self.ledger.owned(&slot))).collect()
    }

    fn has_room(&self, id: AppointmentId, session: &Session, times: &[SlotTime]) -> bool {
        let open = |state: &TokenState| match state {
            TokenState::Free { .. } => true,
            TokenState::Sold { appointment, .. } => *appointment == id,
            _ => false,
        };
        times.iter().all(|time| self.places(session, *time).iter().any(|(_, state)| open(state)))
    }

    /// Slots that were freed, and that another appointment's system has given to it: they go to that one at once.
    pub(super) fn handed_on(&self, from: AppointmentId, freed: &[(SlotId, u32)]) -> Vec<Said> {
        let mut given: BTreeSet<&SlotId> = BTreeSet::new();
        let mut said = Vec::new();
        if freed.is_empty() {
            return said;
        }
        for claimant in self.appointments.values().filter(|one| one.id != from && self.may_claim(one)) {
            let keys = slots_of(claimant);
            let theirs = freed.iter().filter(|(slot, _)| keys.contains(slot) && !given.contains(slot));
            let slots: Vec<(SlotId, u32)> = theirs.cloned().collect();
            if !slots.is_empty() {
                given.extend(freed.iter().map(|(slot, _)| slot).filter(|slot| keys.contains(slot)));
                said.push(Said::Token(TokenEvent::Confirmed { appointment: claimant.id, slots }));
            }
        }
        said
    }

    /// What could not be had is not offered again, for its system has refused it; but it goes to whom that has given it to.
    pub(super) fn left_to_another(&self, failed: &Appointment) -> Vec<Said> {
        let Ok(token) = self.ledger.free(failed.id) else { return Vec::new() };
        let TokenEvent::Freed { slots, .. } = &token else { return Vec::new() };
        let handed_on = self.handed_on(failed.id, slots);
        let freed = (!handed_on.is_empty()).then_some(Said::Token(token));
        freed.into_iter().chain(handed_on).collect()
    }

    /// Slots that systems have given to somebody and that have become free here since.
    pub fn claims_due(&self, now: Timestamp) -> Vec<Said> {
        let mut taken: BTreeSet<SlotId> = BTreeSet::new();
        let mut said = Vec::new();
        if self.ledger.may_sell().is_err() {
            return said;
        }
        for one in self.appointments.values().filter(|one| now < one.end && self.may_claim(one)) {
            let mut slots = Vec::new();
            for slot in slots_of(one) {
                if let TokenState::Free { epoch } = self.ledger.owned(&slot)
                    && taken.insert(slot.clone())
                {
                    slots.push((slot, epoch));
                }
            }
            if !slots.is_empty() {
                said.push(Said::Token(TokenEvent::Confirmed { appointment: one.id, slots }));
            }
        }
        said
    }

    /// Whether an appointment's own system has given it its time.
    fn may_claim(&self, one: &Appointment) -> bool {
        let theirs = one.system != OWN_BOOK && self.own(one);
        let elsewhere =
            matches!(one.standing, Standing::Provisional { why: WhyProvisional::OwnedElsewhere, .. });
        theirs && one.stands() && !elsewhere
    }

    /// This hub's catalogue, if it has a service in that system's book.
    fn catalogue_of(&self, word: &SystemWord) -> Option<&Catalogue> {
        let catalogue = self.catalogues.get(&self.hub)?;
        catalogue.services.iter().any(|service| service.system == word.system).then_some(catalogue)
    }

    /// The sessions in that system's book that a word names, by their ids, else by their service; those of what is known
    /// if it names none.
    fn sessions_of(&self, word: &SystemWord, known: Option<&Appointment>) -> Vec<&Session> {
        let Some(catalogue) = self.catalogue_of(word) else { return Vec::new() };
        let in_its_book = |session: &&Session| catalogue.system_of(&session.id) == Some(word.system.as_str());
        let theirs = || catalogue.sessions.iter().filter(in_its_book);
        let is = |code: &String, name: &str| code.eq_ignore_ascii_case(name);
        let named: Vec<&Session> = theirs()
            .filter(|session| word.sessions.iter().any(|code| is(code, session.id.as_str())))
            .collect();
        if !named.is_empty() {
            return named;
        }
        let of_service = |session: &&Session| {
            let name = catalogue.service(&session.service).map_or("", |service| service.name.as_str());
            word.services.iter().any(|code| is(code, session.service.as_str()) || is(code, name))
        };
        let by_service: Vec<&Session> = theirs().filter(of_service).collect();
        let says_nothing = word.sessions.is_empty() && word.services.is_empty();
        if !says_nothing {
            return by_service;
        }
        let slots = known.map(slots_of).unwrap_or_default();
        theirs().filter(|session| slots.iter().any(|slot| slot.session == session.id)).collect()
    }
}

/// The times of a session that lie in a window, wholly or in part; the one that it begins in if it has no length.
fn overlapping(session: &Session, start: Timestamp, end: Timestamp) -> Vec<SlotTime> {
    let length = std::time::Duration::from_secs(u64::from(session.minutes) * 60);
    let end = end.max(Timestamp(start.0.saturating_add(1)));
    let from = Timestamp(start.0.saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)));
    let times = session.times(from, end.plus(length)).into_iter();
    times.filter(|time| time.start < end && start < time.end).collect()
}
