//! How a system that takes bookings as messages is told, and when one that did not answer is told again.
//!
//! A telling's name and moment come from the act that caused it, so that it is the same bytes at every attempt, after a
//! restart too: the other side knows by them that it has had it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    booking::desk::{News, Outcome, ToTell, Work, WorkKind},
    domain::{
        booking::{Appointment, AppointmentId, Attendance, Standing},
        time::Timestamp,
    },
    flow::ask::{TakesBookings, Telling, Told},
    journal::Identity,
};

use super::drive::outcome_of;

/// The first pause before a system is told again of what it has not answered to; doubled each time.
const AGAIN_FIRST: Duration = Duration::from_secs(15);
/// The longest pause.
const AGAIN_MOST: Duration = Duration::from_secs(15 * 60);

/// Tells a system what a piece of work is about.
pub(super) async fn tell(system: &dyn TakesBookings, work: &Work) -> Outcome {
    let telling = match &work.news {
        Some(news) => telling_of(news),
        None => telling(work.kind, &work.appointment),
    };
    match system.tell(&telling).await {
        Ok(reference) => match work.kind {
            WorkKind::Cancel => Outcome::Cancelled,
            WorkKind::Tell => Outcome::Told(reference),
            _ => Outcome::Booked(reference),
        },
        Err(refusal) => match outcome_of(&refusal) {
            // It never confirmed it, and does not know it: then there is nothing to cancel.
            Outcome::Refused { .. }
                if work.kind == WorkKind::Cancel && was_never_confirmed(&work.appointment) =>
            {
                Outcome::Cancelled
            }
            outcome => outcome,
        },
    }
}

/// That it is booked, which happens once; or cancelled, which may happen again if its system has let it stand after all.
fn telling(kind: WorkKind, appointment: &Appointment) -> Telling {
    let (what, id, at) = match &appointment.standing {
        Standing::Cancelled(cancellation) if kind == WorkKind::Cancel => {
            let name = [&appointment.id.0.to_be_bytes()[..], &cancellation.at.0.to_be_bytes()];
            (Told::Cancelled, format!("C{}", short(&name)), cancellation.at)
        }
        _ => {
            let id = format!("B{:019x}", appointment.id.0 & ((1 << 76) - 1));
            (Told::Booked, id, appointment.made)
        }
    };
    Telling { what, appointment: appointment.clone(), id, at }
}

/// What happened to it since, named after the act in which that was put down.
fn telling_of(news: &ToTell) -> Telling {
    let appointment = (*news.appointment).clone();
    let (what, letter) = match (news.what, appointment.attendance) {
        (News::Attended, Attendance::DidNotAttend) => (Told::DidNotAttend, 'N'),
        (News::Attended, _) => (Told::Amended, 'A'),
        (News::Amended, _) => (Told::Amended, 'W'),
    };
    let (incarnation, number) = (news.place.incarnation.to_be_bytes(), news.place.number.to_be_bytes());
    let name = [news.from.as_str().as_bytes(), &incarnation, &number, &appointment.id.0.to_be_bytes()];
    Telling { what, appointment, id: format!("{letter}{}", short(&name)), at: news.at }
}

/// 76 bits of a name's hash: with a letter before it, as long as an MSH-10 may be.
fn short(name: &[&[u8]]) -> String {
    Identity::of(name, &[]).id().chars().take(19).collect()
}

fn was_never_confirmed(appointment: &Appointment) -> bool {
    matches!(&appointment.standing, Standing::Cancelled(cancellation) if cancellation.reference.is_none())
}

/// Whose systems did not answer, and when they are told again. It need not outlive the program: whoever starts anew may
/// try at once. As many as have something to be told.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<AppointmentId, (u32, Timestamp)>);

impl Waiting {
    /// Those for whom nothing is to be tried yet.
    pub(super) fn until_later(&mut self, now: Timestamp) -> BTreeSet<AppointmentId> {
        // A clock that was put back makes nobody wait for ever.
        let later = |until: &Timestamp| now < *until && *until <= now.plus(AGAIN_MOST);
        self.0.iter().filter(|(_, (_, until))| later(until)).map(|(id, _)| *id).collect()
    }

    /// What came of a piece of work. Bookings have their pauses in the desk.
    pub(super) fn note(&mut self, id: AppointmentId, kind: WorkKind, outcome: &Outcome, now: Timestamp) {
        let again = matches!(outcome, Outcome::Again { .. });
        if !again || !matches!(kind, WorkKind::Cancel | WorkKind::Tell) {
            self.0.remove(&id);
            return;
        }
        let (attempts, until) = self.0.entry(id).or_default();
        *until = now.plus(AGAIN_FIRST.saturating_mul(1 << (*attempts).min(10)).min(AGAIN_MOST));
        *attempts = attempts.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::booking::WhyProvisional;

    #[test]
    fn who_does_not_answer_is_told_again_ever_later_and_at_once_after_a_clock_went_back() {
        let (mut waiting, id) = (Waiting::default(), AppointmentId(1));
        let silent = Outcome::Again { why: WhyProvisional::SystemSilent };
        let mut now = Timestamp(1_795_000_000_000);
        for seconds in [15, 30, 60, 120, 240, 480, 900, 900] {
            waiting.note(id, WorkKind::Tell, &silent, now);
            let until = now.plus(Duration::from_secs(seconds));
            assert!(waiting.until_later(Timestamp(until.0 - 1)).contains(&id), "{seconds}");
            assert!(waiting.until_later(until).is_empty(), "{seconds}");
            now = until;
        }
        waiting.note(id, WorkKind::Cancel, &silent, now);
        assert!(waiting.until_later(Timestamp(now.0 - 3_600_000)).is_empty());
        waiting.note(id, WorkKind::Cancel, &Outcome::Cancelled, now);
        assert!(waiting.until_later(now).is_empty() && waiting.0.is_empty());
    }
}
