//! Slots in practices' own books: asked for, kept with their age for when a practice is silent, booked and cancelled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    booking::desk::{Outcome, SOMEBODY_WAS_FIRST},
    domain::{
        actor::Requester,
        booking::{
            Appointment, Channel, Offer, OfferKey, Promise, Reference, Service, SlotSearch, Standing,
            SystemAnswer, WhyProvisional,
        },
        ids::HubId,
        slot::{
            Amendment, AppointmentStatus, BookedAppointment, Booking, DESCRIPTION_CHARACTERS_MAX, FreeSlot,
            PatientAtSystem, Registration, SlotQuery,
        },
        time::Timestamp,
    },
    flow::ask::{GpSystem, Refusal, Retry},
};

use super::drive::outcome_of;

/// How long a search waits for one practice; its older slots are shown after that.
const SEARCH_PATIENCE: Duration = Duration::from_secs(6);
/// Slots that are no older are not asked for again: several searches are one booking.
const FRESH_MS: i64 = 20_000;
/// Slots of one practice that are kept: two weeks of forty clinicians.
const SLOTS_MAX: usize = 20_000;
/// What a patient who books across practices is registered there as, if they are not known.
const UNKNOWN_PATIENT: &str = "PATIENT_NOT_FOUND";

/// All practices' systems, and what they last said was free.
#[derive(Debug)]
pub(super) struct Practices {
    systems: Vec<Arc<dyn GpSystem>>,
    shown: Mutex<BTreeMap<String, Shown>>,
}

/// What one practice last said was free.
#[derive(Debug, Default)]
struct Shown {
    from: Timestamp,
    until: Timestamp,
    seen: Option<Timestamp>,
    slots: BTreeMap<String, FreeSlot>,
    trouble: String,
}

impl Practices {
    pub(super) fn new(systems: Vec<Arc<dyn GpSystem>>) -> Self {
        Self { systems, shown: Mutex::default() }
    }

    /// Each practice as a service that can be chosen.
    pub(super) fn services(&self, hub: &HubId) -> Vec<Service> {
        let services = self.systems.iter().filter_map(|system| {
            Some(Service {
                id: system.name().parse().ok()?,
                name: format!("GP appointment, {}", self.organisation(system.as_ref())),
                words: ["gp", "doctor", "nurse", "practice"].map(str::to_owned).to_vec(),
                hub: hub.clone(),
                system: system.name().to_owned(),
                organisation: self.organisation(system.as_ref()),
                telephone: String::new(),
                walk_in: None,
            })
        });
        services.collect()
    }

    /// What the practices say is free, the older where they are silent, and how each answered.
    pub(super) async fn offers(
        &self,
        who: &Requester,
        search: &SlotSearch,
        now: Timestamp,
    ) -> (Vec<Offer>, Vec<SystemAnswer>) {
        let asked: Vec<_> = self
            .systems
            .iter()
            .filter(|system| search.service.as_ref().is_none_or(|service| service.as_str() == system.name()))
            .map(Arc::clone)
            .collect();
        let (mut offers, mut answers) = (Vec::new(), Vec::new());
        let mut asking = tokio::task::JoinSet::new();
        for system in asked {
            if !self.is_fresh(system.name(), search, now) {
                let (who, query) = (
                    who.clone(),
                    SlotQuery { from: search.from.max(now), until: search.until, filters: Vec::new() },
                );
                asking.spawn(async move {
                    let answer = timeout(SEARCH_PATIENCE, system.slots(&who, &query)).await;
                    (system.name().to_owned(), query, answer)
                });
                continue;
            }
            answers.push(self.read(system.name(), search, now, &mut offers));
        }
        while let Some(answered) = asking.join_next().await {
            let Ok((name, query, answer)) = answered else { continue };
            let answer = answer.map_err(|_| "It does not answer.".to_owned());
            let answer = answer.and_then(|answer| answer.map_err(|refusal| refusal.words.to_owned()));
            self.keep(&name, &query, answer, now);
            answers.push(self.read(&name, search, now, &mut offers));
        }
        answers.sort_by(|one, other| one.system.cmp(&other.system));
        (offers, answers)
    }

    /// The offer behind a key, as it was last shown.
    pub(super) fn offer(&self, system: &str, slot: &str) -> Option<Offer> {
        let shown = self.shown();
        let known = shown.get(system)?;
        self.offer_of(system, known, known.slots.get(slot)?)
    }

    /// Books an appointment at its practice, or finds it there from an earlier attempt.
    pub(super) async fn book(&self, who: &Requester, appointment: &Appointment) -> Outcome {
        let Some(system) = self.system(&appointment.system) else {
            let words = "This practice is no longer linked to this hub.".to_owned();
            return Outcome::Refused { words };
        };
        match self.try_to_book(system.as_ref(), who, appointment).await {
            Ok(outcome) => outcome,
            Err(refusal) => outcome_of(&refusal),
        }
    }

    async fn try_to_book(
        &self,
        system: &dyn GpSystem,
        who: &Requester,
        appointment: &Appointment,
    ) -> Result<Outcome, Refusal> {
        let Some(number) = appointment.person.nhs_number else {
            let words = "Practices book only for patients whose NHS number is known.".to_owned();
            return Ok(Outcome::Refused { words });
        };
        let patient = match system.find_patient(who, number).await {
            Err(refusal) if refusal.code == UNKNOWN_PATIENT => {
                system.register(who, &registration(appointment, number)).await?
            }
            found => found?,
        };
        let attempted = !matches!(appointment.standing, Standing::Provisional { attempts: 0, .. });
        if attempted && let Some(booked) = find(system, who, &patient, appointment).await? {
            return Ok(Outcome::Booked(reference(&booked, &patient)));
        }
        let slots = self.slots_of(system, who, appointment).await?;
        let Some(slots) = slots else {
            return Ok(Outcome::Refused { words: SOMEBODY_WAS_FIRST.to_owned() });
        };
        let booking = Booking {
            patient: patient.clone(),
            slots,
            // A practice wants a label; reception need not invent one.
            description: if appointment.description.is_empty() {
                appointment.service_name.chars().take(DESCRIPTION_CHARACTERS_MAX).collect()
            } else {
                appointment.description.clone()
            },
            comment: appointment.comment.clone(),
        };
        let booked = system.book(who, &booking).await?;
        self.forget_slots(appointment);
        Ok(Outcome::Booked(reference(&booked, &patient)))
    }

    /// Cancels an appointment at its practice; one that is not there is cancelled too.
    pub(super) async fn cancel(&self, who: &Requester, appointment: &Appointment) -> Outcome {
        let Some(system) = self.system(&appointment.system) else {
            let words = "This practice is no longer linked to this hub.".to_owned();
            return Outcome::Refused { words };
        };
        match try_to_cancel(system.as_ref(), who, appointment).await {
            Ok(()) => Outcome::Cancelled,
            Err(refusal) => outcome_of(&refusal),
        }
    }

    /// Gives an appointment the words that it has here, if its practice still has others.
    pub(super) async fn amend(&self, who: &Requester, appointment: &Appointment) -> Outcome {
        let Some(system) = self.system(&appointment.system) else {
            let words = "This practice is no longer linked to this hub.".to_owned();
            return Outcome::Refused { words };
        };
        match try_to_amend(system.as_ref(), who, appointment).await {
            Ok(outcome) => outcome,
            // It has changed there between reading and writing: it is looked at anew.
            Err(refusal) if refusal.retry == Retry::AfterFreshLook => {
                Outcome::Again { why: WhyProvisional::OutcomeUnknown }
            }
            Err(refusal) => outcome_of(&refusal),
        }
    }

    /// The free slots behind an appointment's keys; none if one is not free any more. Asks if they are not known.
    async fn slots_of(
        &self,
        system: &dyn GpSystem,
        who: &Requester,
        appointment: &Appointment,
    ) -> Result<Option<Vec<FreeSlot>>, Refusal> {
        let known = |shown: &BTreeMap<String, Shown>| {
            let shown = shown.get(&appointment.system)?;
            let slots = slot_names(appointment).map(|name| shown.slots.get(name).cloned());
            slots.collect::<Option<Vec<_>>>()
        };
        if let Some(slots) = known(&self.shown()) {
            return Ok(Some(slots));
        }
        let query = SlotQuery { from: appointment.start, until: appointment.end, filters: Vec::new() };
        let free = system.slots(who, &query).await?;
        let slots = slot_names(appointment).map(|name| free.iter().find(|slot| slot.id == name).cloned());
        Ok(slots.collect())
    }

    fn is_fresh(&self, system: &str, search: &SlotSearch, now: Timestamp) -> bool {
        self.shown().get(system).is_some_and(|shown| {
            let recent = shown.seen.is_some_and(|seen| (0..FRESH_MS).contains(&(now.0 - seen.0)));
            recent && shown.from <= search.from.max(now) && search.until <= shown.until
        })
    }

    fn keep(&self, system: &str, query: &SlotQuery, answer: Result<Vec<FreeSlot>, String>, now: Timestamp) {
        let mut all = self.shown();
        let shown = all.entry(system.to_owned()).or_default();
        match answer {
            Ok(slots) => {
                // What lies in the window is as just said; what lies beside it stays as it was, unless it is past.
                shown.slots.retain(|_, slot| {
                    now < slot.start && (slot.start < query.from || query.until <= slot.start)
                });
                shown.slots.extend(slots.into_iter().take(SLOTS_MAX).map(|slot| (slot.id.clone(), slot)));
                while SLOTS_MAX < shown.slots.len() {
                    shown.slots.pop_last();
                }
                (shown.from, shown.until, shown.seen) = (query.from, query.until, Some(now));
                shown.trouble = String::new();
            }
            Err(trouble) => shown.trouble = trouble,
        }
    }

    fn read(
        &self,
        system: &str,
        search: &SlotSearch,
        now: Timestamp,
        offers: &mut Vec<Offer>,
    ) -> SystemAnswer {
        let all = self.shown();
        let Some(shown) = all.get(system) else {
            let trouble = "It has not answered yet.".to_owned();
            return SystemAnswer { system: system.to_owned(), seen: None, trouble };
        };
        let wanted =
            |slot: &&FreeSlot| now < slot.start && search.from <= slot.start && slot.end <= search.until;
        let found = shown.slots.values().filter(wanted);
        offers.extend(found.filter_map(|slot| self.offer_of(system, shown, slot)));
        SystemAnswer { system: system.to_owned(), seen: shown.seen, trouble: shown.trouble.clone() }
    }

    fn offer_of(&self, system: &str, shown: &Shown, slot: &FreeSlot) -> Option<Offer> {
        let promise = if shown.trouble.is_empty() {
            Promise::BySystem
        } else {
            Promise::Provisional(WhyProvisional::SystemSilent)
        };
        let service_name = if slot.service.is_empty() { "GP appointment" } else { &slot.service };
        Some(Offer {
            key: OfferKey::System {
                system: system.to_owned(),
                schedule: slot.schedule.clone(),
                slot: slot.id.clone(),
            },
            service: system.parse().ok()?,
            service_name: service_name.to_owned(),
            session: slot.session.clone(),
            start: slot.start,
            end: slot.end,
            channel: Channel::of(&slot.delivery_channel).unwrap_or_default(),
            clinician: slot.practitioner.clone(),
            languages: Vec::new(),
            place: slot.location.clone(),
            room: String::new(),
            step_free: None,
            organisation: slot.location.organisation.clone(),
            telephone: String::new(),
            system: system.to_owned(),
            seen: shown.seen?,
            promise,
            free: 1,
        })
    }

    fn forget_slots(&self, appointment: &Appointment) {
        if let Some(shown) = self.shown().get_mut(&appointment.system) {
            for name in slot_names(appointment) {
                shown.slots.remove(name);
            }
        }
    }

    fn organisation(&self, system: &dyn GpSystem) -> String {
        let shown = self.shown();
        let known = shown.get(system.name()).and_then(|shown| shown.slots.values().next());
        let name = known.map(|slot| slot.location.organisation.clone()).filter(|name| !name.is_empty());
        name.unwrap_or_else(|| system.practice().to_owned())
    }

    pub(super) fn system(&self, name: &str) -> Option<Arc<dyn GpSystem>> {
        self.systems.iter().find(|system| system.name() == name).map(Arc::clone)
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn try_to_cancel(
    system: &dyn GpSystem,
    who: &Requester,
    appointment: &Appointment,
) -> Result<(), Refusal> {
    let Some(number) = appointment.person.nhs_number else { return Ok(()) };
    let patient = system.find_patient(who, number).await?;
    let known = match &appointment.standing {
        Standing::Cancelled(cancellation) => cancellation.reference.as_ref(),
        _ => None,
    };
    let booked = match known {
        Some(reference) => Some(system.read(who, &patient, &reference.id).await?),
        None => find(system, who, &patient, appointment).await?,
    };
    let Some(booked) = booked.filter(|booked| booked.status != AppointmentStatus::Cancelled) else {
        return Ok(());
    };
    let reason = match &appointment.standing {
        Standing::Cancelled(cancellation) => cancellation.reason.as_str(),
        _ => "Cancelled",
    };
    system.cancel(who, &patient, &booked, reason).await.map(|_| ())
}

async fn try_to_amend(
    system: &dyn GpSystem,
    who: &Requester,
    appointment: &Appointment,
) -> Result<Outcome, Refusal> {
    let (Some(number), Standing::Confirmed(known)) = (appointment.person.nhs_number, &appointment.standing)
    else {
        return Ok(Outcome::Refused { words: "The practice has not confirmed this appointment.".to_owned() });
    };
    let patient = system.find_patient(who, number).await?;
    let booked = system.read(who, &patient, &known.id).await?;
    if booked.status != AppointmentStatus::Booked {
        let words = "The appointment is over or cancelled at the practice.".to_owned();
        return Ok(Outcome::Refused { words });
    }
    let other = |there: &str, here: &str| (there != here).then(|| here.to_owned());
    let amendment = Amendment {
        // GP Connect asks for a label: one that was taken away here stays there.
        description: other(&booked.description, &appointment.description).filter(|text| !text.is_empty()),
        comment: other(&booked.comment, &appointment.comment),
    };
    if amendment.description.is_none() && amendment.comment.is_none() {
        return Ok(Outcome::Told(reference(&booked, &patient)));
    }
    let amended = system.amend(who, &patient, &booked, &amendment).await?;
    Ok(Outcome::Told(reference(&amended, &patient)))
}

/// An earlier attempt's appointment: booked, the same patient, the same slots.
async fn find(
    system: &dyn GpSystem,
    who: &Requester,
    patient: &PatientAtSystem,
    appointment: &Appointment,
) -> Result<Option<BookedAppointment>, Refusal> {
    let until = jiff::Timestamp::from_millisecond(appointment.end.0)
        .map(|end| end.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
        .unwrap_or_default();
    let booked = system.appointments(who, patient, &until).await?;
    let names: Vec<&str> = slot_names(appointment).collect();
    Ok(booked.into_iter().find(|booked| {
        booked.status == AppointmentStatus::Booked
            && booked.start == appointment.start
            && booked.slots.iter().any(|slot| names.contains(&slot.as_str()))
    }))
}

fn slot_names(appointment: &Appointment) -> impl Iterator<Item = &str> {
    appointment.keys.iter().filter_map(|key| match key {
        OfferKey::System { slot, .. } => Some(slot.as_str()),
        OfferKey::Token(_) => None,
    })
}

fn reference(booked: &BookedAppointment, patient: &PatientAtSystem) -> Reference {
    Reference { id: booked.id.clone(), version: booked.version.clone(), patient: patient.id.clone() }
}

fn registration(appointment: &Appointment, number: crate::domain::nhs_number::NhsNumber) -> Registration {
    let person = &appointment.person;
    let lines = person.address.split(',').map(|line| line.trim().to_owned());
    Registration {
        nhs_number: number,
        family_name: person.family_name.clone(),
        given_names: person.given_names.split_whitespace().map(str::to_owned).collect(),
        birth_date: person.birth_date.clone(),
        gender: person.gender.clone(),
        address_lines: lines.filter(|line| !line.is_empty()).collect(),
        postcode: person.postcode.clone(),
        telephone: person.telephone.clone(),
    }
}
