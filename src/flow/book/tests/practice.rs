//! A practice's system that answers, is silent, is too late, or hangs up in the middle.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    domain::{
        actor::Requester,
        booking::{Appointment, OfferKey},
        nhs_number::NhsNumber,
        record::Snapshot,
        slot::{
            Amendment, AppointmentStatus, BookedAppointment, Booking, FreeSlot, PatientAtSystem, Place,
            Registration, SlotQuery,
        },
        time::Timestamp,
    },
    flow::{
        ask::{Asked, AtFault, GpSystem, Outcome, Refusal, Retry},
        read::tests::NOW,
    },
};

/// How a practice behaves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Mood {
    #[default]
    Answers,
    Silent,
    Taken,
    BooksAndHangsUp,
}

#[derive(Debug, Default)]
pub(super) struct Surgery(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    booked: Vec<BookedAppointment>,
    given_away: Vec<String>,
    amended: usize,
}

impl Surgery {
    pub(super) fn is(&self, mood: Mood) {
        self.state().mood = mood;
    }

    pub(super) fn booked(&self) -> usize {
        let standing = |one: &&BookedAppointment| one.status == AppointmentStatus::Booked;
        self.state().booked.iter().filter(standing).count()
    }

    /// What it has of the first that it booked.
    pub(super) fn first(&self) -> BookedAppointment {
        self.state().booked[0].clone()
    }

    /// How often it was told other words.
    pub(super) fn amended(&self) -> usize {
        self.state().amended
    }

    /// From now on it says this of all that it has booked.
    pub(super) fn says(&self, status: AppointmentStatus) {
        self.state().booked.iter_mut().for_each(|one| one.status = status);
    }

    /// Somebody else has it now.
    pub(super) fn give_away(&self, appointment: &Appointment) {
        let OfferKey::System { slot, .. } = &appointment.keys[0] else { panic!("no slot of a practice") };
        self.state().given_away.push(slot.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent(&self) -> Result<(), Refusal> {
        if self.state().mood == Mood::Silent {
            let again = Retry::After(std::time::Duration::from_secs(1));
            return Err(refusal("SILENT", again, Outcome::NotDone));
        }
        Ok(())
    }
}

fn refusal(code: &'static str, retry: Retry, outcome: Outcome) -> Refusal {
    Refusal { code, at_fault: AtFault::System, retry, outcome, words: "No.", detail: String::new() }
}

fn now<'a, T: Send + 'a>(answer: Result<T, Refusal>) -> Asked<'a, T> {
    Box::pin(async move { answer })
}

impl GpSystem for Surgery {
    fn name(&self) -> &str {
        "surgery"
    }

    fn practice(&self) -> &str {
        "E87001"
    }

    fn record<'a>(&'a self, _: &'a Requester, _: NhsNumber) -> Asked<'a, Snapshot> {
        now(Err(refusal("NOT_IMPLEMENTED", Retry::Never, Outcome::NotDone)))
    }

    fn find_patient<'a>(&'a self, _: &'a Requester, patient: NhsNumber) -> Asked<'a, PatientAtSystem> {
        now(self.silent().map(|()| PatientAtSystem {
            id: "1".to_owned(),
            nhs_number: patient,
            name: String::new(),
            birth_date: String::new(),
            gender: String::new(),
            registration: "R".to_owned(),
        }))
    }

    fn register<'a>(&'a self, _: &'a Requester, _: &'a Registration) -> Asked<'a, PatientAtSystem> {
        now(Err(refusal("NOT_IMPLEMENTED", Retry::Never, Outcome::NotDone)))
    }

    fn slots<'a>(&'a self, _: &'a Requester, _: &'a SlotQuery) -> Asked<'a, Vec<FreeSlot>> {
        let booked: Vec<String> = self.state().booked.iter().flat_map(|one| one.slots.clone()).collect();
        let slots = (1..=6).map(|hour| FreeSlot {
            id: format!("s{hour}"),
            schedule: "am".to_owned(),
            start: Timestamp(NOW.0 + hour * 3_600_000),
            end: Timestamp(NOW.0 + hour * 3_600_000 + 600_000),
            service: String::new(),
            session: "Surgery".to_owned(),
            delivery_channel: "In-person".to_owned(),
            location: Place::default(),
            practitioner: None,
        });
        let free = slots.filter(|slot| !booked.contains(&slot.id)).collect();
        now(self.silent().map(|()| free))
    }

    fn book<'a>(&'a self, _: &'a Requester, booking: &'a Booking) -> Asked<'a, BookedAppointment> {
        let mut state = self.state();
        let slot = &booking.slots[0];
        if state.mood == Mood::Taken || state.given_away.contains(&slot.id) {
            return now(Err(refusal("DUPLICATE_REJECTED", Retry::AfterFreshLook, Outcome::NotDone)));
        }
        let booked = BookedAppointment {
            id: format!("a{}", state.booked.len()),
            version: "1".to_owned(),
            patient: "1".to_owned(),
            status: AppointmentStatus::Booked,
            start: slot.start,
            end: slot.end,
            slots: vec![slot.id.clone()],
            description: booking.description.clone(),
            comment: booking.comment.clone(),
            created: String::new(),
            booked_by: String::new(),
            delivery_channel: String::new(),
            cancellation_reason: String::new(),
        };
        state.booked.push(booked.clone());
        if state.mood == Mood::BooksAndHangsUp {
            return now(Err(refusal("HUNG_UP", Retry::AfterFreshLook, Outcome::Unknown)));
        }
        now(Ok(booked))
    }

    fn appointments<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        _: &'a str,
    ) -> Asked<'a, Vec<BookedAppointment>> {
        let booked = self.state().booked.clone();
        now(self.silent().map(|()| booked))
    }

    fn read<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        id: &'a str,
    ) -> Asked<'a, BookedAppointment> {
        let found = self.state().booked.iter().find(|one| one.id == id).cloned();
        now(found.ok_or_else(|| refusal("NOT_FOUND", Retry::Never, Outcome::NotDone)))
    }

    fn amend<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        appointment: &'a BookedAppointment,
        amendment: &'a Amendment,
    ) -> Asked<'a, BookedAppointment> {
        let mut state = self.state();
        state.amended += 1;
        let Some(one) = state.booked.iter_mut().find(|one| one.id == appointment.id) else {
            return now(Err(refusal("NOT_FOUND", Retry::Never, Outcome::NotDone)));
        };
        if one.version != appointment.version {
            return now(Err(refusal("STALE", Retry::AfterFreshLook, Outcome::NotDone)));
        }
        let Amendment { description, comment } = amendment.clone();
        one.description = description.unwrap_or_else(|| one.description.clone());
        one.comment = comment.unwrap_or_else(|| one.comment.clone());
        one.version.push('\'');
        let amended = one.clone();
        if state.mood == Mood::BooksAndHangsUp {
            return now(Err(refusal("HUNG_UP", Retry::AfterFreshLook, Outcome::Unknown)));
        }
        now(Ok(amended))
    }

    fn cancel<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        appointment: &'a BookedAppointment,
        _: &'a str,
    ) -> Asked<'a, BookedAppointment> {
        let mut state = self.state();
        for one in state.booked.iter_mut().filter(|one| one.id == appointment.id) {
            one.status = AppointmentStatus::Cancelled;
        }
        now(Ok(appointment.clone()))
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}
