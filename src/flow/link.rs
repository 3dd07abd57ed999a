//! One local system's link as the hub counts it; the edge that serves it reports, operators read.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::domain::time::Timestamp;

use super::status::{LinkState, LinkStatus};

/// A configured link. Counters are since the start.
#[derive(Debug)]
pub struct Link {
    name: String,
    kind: &'static str,
    connections: AtomicU64,
    accepted: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
    changing: Mutex<Changing>,
}

#[derive(Debug)]
struct Changing {
    address: String,
    state: LinkState,
    since: Timestamp,
    detail: String,
    last_message: Option<Timestamp>,
}

impl Link {
    /// A link that is not up yet.
    pub fn new(name: &str, kind: &'static str, address: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            changing: Mutex::new(Changing {
                address: address.to_owned(),
                state: LinkState::Down,
                since: now,
                detail: "starting".to_owned(),
                last_message: None,
            }),
        }
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port is open.
    pub fn listening(&self, address: &str, now: Timestamp) {
        let mut changing = self.changing();
        address.clone_into(&mut changing.address);
        changing.change(LinkState::Waiting, "", now);
    }

    /// The port cannot be opened.
    pub fn down(&self, detail: &str, now: Timestamp) {
        self.changing().change(LinkState::Down, detail, now);
    }

    /// A connection was made.
    pub fn connected(&self, now: Timestamp) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.changing().change(LinkState::Up, "", now);
    }

    /// A connection ended.
    pub fn disconnected(&self, now: Timestamp) {
        if self.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.changing().change(LinkState::Waiting, "", now);
        }
    }

    /// Messages were answered.
    pub fn answered(&self, accepted: u64, repeated: u64, refused: u64, now: Timestamp) {
        self.accepted.fetch_add(accepted + repeated, Ordering::Relaxed);
        self.repeated.fetch_add(repeated, Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
        self.changing().last_message = Some(now);
    }

    /// The link for operators.
    pub fn status(&self) -> LinkStatus {
        let changing = self.changing();
        LinkStatus {
            name: self.name.clone(),
            kind: self.kind,
            address: changing.address.clone(),
            state: changing.state,
            since: changing.since,
            detail: changing.detail.clone(),
            connections: self.connections.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            last_message: changing.last_message,
        }
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changing {
    fn change(&mut self, state: LinkState, detail: &str, now: Timestamp) {
        if self.state != state {
            self.since = now;
        }
        self.state = state;
        detail.clone_into(&mut self.detail);
    }
}
