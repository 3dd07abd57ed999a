//! Accounts that are quick to hash, over a disk in memory, for the tests of whatever people sign in to.

pub mod provider;

use std::sync::{Arc, Mutex};

use crate::{
    access::{
        role::Role,
        secret::{Cost, Secret},
    },
    flow::fake::NOW,
    sys::{clock::SimulatedClock, sim_disk::SimulatedDisk},
};

use super::{AuditNote, AuditSink, NewUser, SignIn};

/// Everybody's password.
pub const PASSWORD: &str = "kettle heron quay";
/// Everybody's PIN, where one is set.
pub const PIN: &str = "2580";

/// A service with what it stands on.
pub struct Bench {
    /// The service.
    pub sign_in: Arc<SignIn>,
    /// Its disk.
    pub disk: SimulatedDisk,
    /// Its clock.
    pub clock: Arc<SimulatedClock>,
    /// What it handed to the audit trail.
    pub notes: Arc<Notes>,
}

/// Notes in the order they were made.
#[derive(Default)]
pub struct Notes(Mutex<Vec<AuditNote>>);

impl AuditSink for Notes {
    fn note(&self, note: AuditNote) {
        self.0.lock().unwrap().push(note);
    }
}

impl Notes {
    /// Each as `user deed: outcome`; takes them.
    pub fn take(&self) -> Vec<String> {
        let notes = self.take_whole();
        notes.iter().map(|note| format!("{} {}: {}", note.user, note.deed, note.outcome)).collect()
    }
}

impl Notes {
    /// They themselves, oldest first.
    pub fn take_whole(&self) -> Vec<AuditNote> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A service over an empty disk.
pub fn bench() -> Bench {
    over(SimulatedDisk::default())
}

/// A service over this disk.
pub fn over(disk: SimulatedDisk) -> Bench {
    let clock = Arc::new(SimulatedClock::new(NOW));
    let cheap = Cost { memory_kib: 8, passes: 1, lanes: 1 };
    let sign_in =
        SignIn::open_at_cost(Arc::new(disk.clone()), Arc::clone(&clock) as _, "state".as_ref(), cheap)
            .unwrap();
    let notes = Arc::new(Notes::default());
    sign_in.attach_audit(Arc::clone(&notes) as _);
    Bench { sign_in, disk, clock, notes }
}

impl Bench {
    /// Adds someone with [`PASSWORD`], good as it is.
    pub fn add(&self, user: &str, name: &str, roles: &[Role]) {
        let new = NewUser {
            user: user.parse().unwrap(),
            name: name.to_owned(),
            roles: roles.iter().copied().collect(),
            password: Some(Secret::new(PASSWORD)),
            must_change: false,
        };
        assert_eq!(self.sign_in.add_user(new, "uid 7").unwrap(), None);
    }

    /// Signs someone in with [`PASSWORD`]; gives the token.
    pub async fn enter(&self, user: &str) -> String {
        let token = self.sign_in.sign_in(user, Secret::new(PASSWORD), None).await.unwrap();
        token.as_str().to_owned()
    }

    /// Gives someone [`PIN`].
    pub async fn give_pin(&self, user: &str) {
        let token = self.enter(user).await;
        let (password, pin) = (Secret::new(PASSWORD), Some(Secret::new(PIN)));
        self.sign_in.change_pin(&token, password, pin).await.unwrap();
        self.sign_in.sign_out(&token);
    }
}
