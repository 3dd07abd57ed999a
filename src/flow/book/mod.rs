//! Booking: one desk over the hub's own slots and the slots of all systems, one writer, the journal first.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::Notify;

use crate::{
    booking::{
        act::{Act, Down},
        catalogue::Catalogue,
        desk::{Desk, Trouble},
    },
    domain::{
        actor::{Organisation, Practitioner},
        booking::AppointmentId,
    },
    sys::counter::Counter,
};

use super::{
    alarm::AlarmCode,
    ask::{GpSystem, TakesBookings},
    hub::Hub,
};

mod ahead;
mod begin;
mod care;
mod drive;
mod journal;
mod listen;
mod people;
mod practice;
mod reception;
mod record;
mod reread;
mod tell;
#[cfg(test)]
pub(crate) mod tests;
mod unlock;

pub use journal::{BOOKING, Told};
pub use listen::Hears;
pub use reception::FrontDesk;
pub(super) use record::{act_in, event_of};
pub use unlock::{HeldSlots, UNLOCKED_MAX, Unlocking};

use practice::Practices;

/// What a desk is made of, besides the hub.
#[derive(Debug)]
pub struct Options {
    /// This hub's own services and sessions.
    pub catalogue: Catalogue,
    /// The practices' systems.
    pub practices: Vec<Arc<dyn GpSystem>>,
    /// Systems that take bookings as messages.
    pub told: Vec<Arc<dyn TakesBookings>>,
    /// How what those systems say of appointments is read.
    pub hears: Hears,
    /// In whose name practices are asked.
    pub organisation: Organisation,
    /// Where the desk is kept.
    pub directory: PathBuf,
    /// Whether people have said that no earlier box of this hub has sold anything.
    pub first: bool,
    /// Counts the desk's beginnings outside what a restored disk turns back.
    pub counter: Arc<dyn Counter>,
}

/// The desk of a hub. Shared by pages, other systems' requests, and what speaks to the systems.
#[derive(Debug)]
pub struct BookingDesk {
    hub: Arc<Hub>,
    desk: RwLock<Desk>,
    /// Held from deciding until it is durable and taken in: one deed at a time, so that no two are decided on the same
    /// state. A deed costs one wait for the disk.
    writer: tokio::sync::Mutex<journal::Writer>,
    practices: Practices,
    told: Vec<Arc<dyn TakesBookings>>,
    hears: Hears,
    organisation: Organisation,
    catalogue: Catalogue,
    first: bool,
    counter: Arc<dyn Counter>,
    /// Appointments about which a system is being asked now.
    under_way: Mutex<BTreeSet<AppointmentId>>,
    /// Appointments whose systems did not answer.
    waiting: Mutex<tell::Waiting>,
    /// Something may be due.
    wake: Notify,
    /// Something changed.
    changed: tokio::sync::watch::Sender<u64>,
}

impl BookingDesk {
    /// What the desk knows now.
    fn desk(&self) -> RwLockReadGuard<'_, Desk> {
        self.desk.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeSet<AppointmentId>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, tell::Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever the desk does: for pages that refresh themselves.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What was decided here is durable: from now on it is so.
    fn take_in(&self, act: &Act) {
        let troubles = self.desk.write().unwrap_or_else(PoisonError::into_inner).apply(act);
        self.raise(troubles);
        self.changed.send_modify(|count| *count += 1);
        self.wake.notify_one();
    }

    /// What others have decided; returns what is new.
    fn hear(&self, down: &Down) -> Vec<Told> {
        let heard = journal::take_down(&mut self.desk.write().unwrap_or_else(PoisonError::into_inner), down);
        if !heard.is_empty() {
            self.say_heard();
            self.changed.send_modify(|count| *count += 1);
            self.wake.notify_one();
        }
        let told = heard.into_iter().map(|(act, troubles)| {
            self.raise(troubles);
            Told { from: down.from.clone(), act }
        });
        told.collect()
    }

    /// Says how far others were heard, so that the centre sends on.
    fn say_heard(&self) {
        self.hub.heard.send_replace(Some(self.desk().heard_through()));
    }

    fn raise(&self, troubles: Vec<Trouble>) {
        for trouble in troubles {
            self.hub.alarms.raise(AlarmCode::BookingContradiction, "", trouble.words, self.hub.now());
        }
    }

    /// The program itself, where nobody asks.
    fn itself() -> Practitioner {
        Practitioner {
            id: "polygate".to_owned(),
            sds_user_id: None,
            sds_role_profile_id: None,
            job_role: String::new(),
            family_name: "polygate".to_owned(),
            given_name: String::new(),
            title: String::new(),
        }
    }
}
