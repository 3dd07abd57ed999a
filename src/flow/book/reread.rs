//! Looking again at practices: what has become of the appointments that were booked there. Once a day for those to come,
//! and more often on the day, when patients come or do not.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::watch, time::sleep, time::timeout};

use crate::{
    domain::{
        booking::{
            Appointment, AppointmentId, Attendance, BookWord, OfferKey, Person, Standing, SystemWord,
            WordTime,
        },
        nhs_number::NhsNumber,
        slot::{AppointmentStatus, BookedAppointment},
        time::Timestamp,
    },
    flow::ask::GpSystem,
};

use super::BookingDesk;

/// How often to look whether a patient's appointments are to be read again.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Patients asked about in one go, each two questions to a practice: with a look a minute, 28,000 a day.
const PATIENTS_AT_ONCE: usize = 20;
/// Appointments to come are read again after this long.
const DAILY_MS: i64 = 24 * 60 * 60 * 1000;
/// From so long before until so long after, an appointment is read again more often.
const NEAR_MS: i64 = 2 * 60 * 60 * 1000;
/// Appointments of now are read again after this long.
const NEAR_EVERY_MS: i64 = 15 * 60 * 1000;
/// How long a practice may take over one patient.
const PATIENCE: Duration = Duration::from_secs(40);

/// When appointments were last read again. It need not outlive the program.
#[derive(Debug, Default)]
pub(super) struct Looked(BTreeMap<AppointmentId, Timestamp>);

impl BookingDesk {
    pub(super) async fn reread_on(&self, mut stop: watch::Receiver<bool>) {
        let mut looked = Looked::default();
        loop {
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            self.reread(&mut looked, &mut stop).await;
        }
    }

    /// Reads again what is due, and takes in what has changed.
    pub(super) async fn reread(&self, looked: &mut Looked, stop: &mut watch::Receiver<bool>) {
        let due = self.due_again(looked);
        let mut silent: Vec<String> = Vec::new();
        for ((system, number), appointments) in due.into_iter().take(PATIENTS_AT_ONCE) {
            let now = self.hub.now();
            looked.0.extend(appointments.iter().map(|one| (one.id, now)));
            let Some(practice) = self.practices.system(&system).filter(|_| !silent.contains(&system)) else {
                continue;
            };
            let reading = timeout(PATIENCE, self.read_again(practice.as_ref(), number, &appointments));
            let read = tokio::select! {
                read = reading => read,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Ok(Some(found)) = read else {
                silent.push(system);
                continue;
            };
            for one in &appointments {
                let there = found.iter().find(|there| reference_of(one) == Some(there.id.as_str()));
                let Some(word) = there.and_then(|there| self.word_of(one, there)) else { continue };
                if let Err(error) = self.heed(&word).await {
                    tracing::warn!(%error, system, "what a practice says is asked for again later");
                }
            }
        }
    }

    /// The appointments that are to be read again now, by practice and patient, those of now first.
    fn due_again(&self, looked: &mut Looked) -> Vec<((String, NhsNumber), Vec<Appointment>)> {
        let (desk, now) = (self.desk(), self.hub.now());
        let mut due: BTreeMap<(bool, String, NhsNumber), Vec<Appointment>> = BTreeMap::new();
        let mut known: BTreeMap<AppointmentId, Timestamp> = BTreeMap::new();
        for one in desk.appointments().filter(|one| one.hub == *desk.hub() && reference_of(one).is_some()) {
            let theirs = one.keys.iter().any(|key| matches!(key, OfferKey::System { .. }));
            let over = one.end.0.saturating_add(NEAR_MS) < now.0;
            let Some(number) = one.person.nhs_number.filter(|_| theirs && !over) else { continue };
            let near = one.start.0.saturating_sub(NEAR_MS) <= now.0;
            let every = if near { NEAR_EVERY_MS } else { DAILY_MS };
            // When it was booked, it was seen.
            let last = looked.0.get(&one.id).copied().unwrap_or(one.made);
            known.insert(one.id, last);
            if every <= now.0.abs_diff(last.0).try_into().unwrap_or(i64::MAX) {
                due.entry((!near, one.system.clone(), number)).or_default().push(one.clone());
            }
        }
        looked.0 = known;
        due.into_iter().map(|((_, system, number), ones)| ((system, number), ones)).collect()
    }

    async fn read_again(
        &self,
        practice: &dyn GpSystem,
        number: NhsNumber,
        appointments: &[Appointment],
    ) -> Option<Vec<BookedAppointment>> {
        let who = self.requester(&Self::itself());
        let last = appointments.iter().map(|one| one.end).max()?.max(self.hub.now());
        let until = jiff::Timestamp::from_millisecond(last.0).ok()?;
        let until = until.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
        let patient = practice.find_patient(&who, number).await.ok()?;
        practice.appointments(&who, &patient, &until).await.ok()
    }

    /// What a practice says of an appointment, if it is something else than it last said, or than is known here.
    fn word_of(&self, one: &Appointment, there: &BookedAppointment) -> Option<SystemWord> {
        let (book, attendance) = match there.status {
            AppointmentStatus::Cancelled => (BookWord::Cancelled, None),
            AppointmentStatus::Arrived => (BookWord::Stands, Some(Attendance::Arrived)),
            AppointmentStatus::Fulfilled => (BookWord::Stands, Some(Attendance::Done)),
            AppointmentStatus::NoShow => (BookWord::Stands, Some(Attendance::DidNotAttend)),
            AppointmentStatus::Booked | AppointmentStatus::Other => (BookWord::Stands, None),
        };
        let said_before = attendance.is_none() || self.desk().last_said(one.id) == attendance;
        if book == BookWord::Stands && said_before {
            return None;
        }
        Some(SystemWord {
            system: one.system.clone(),
            when: WordTime { at: self.hub.now(), place: (0, 0) },
            id: one.id,
            names: vec![one.id.to_string()],
            filler: there.id.clone(),
            book: Some(book),
            attendance: attendance.filter(|_| !said_before),
            start: None,
            end: None,
            sessions: Vec::new(),
            services: Vec::new(),
            person: Person::default(),
            patient: String::new(),
        })
    }
}

/// How a practice that has confirmed an appointment names it.
fn reference_of(appointment: &Appointment) -> Option<&str> {
    match &appointment.standing {
        Standing::Confirmed(reference) => Some(reference.id.as_str()),
        _ => None,
    }
}
