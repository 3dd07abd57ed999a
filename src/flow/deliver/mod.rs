//! Delivery: what came from one system goes to the others that are to have it, each message once, each patient's in
//! order.
//!
//! A destination has a cursor in the journal of its own, so that one that is slow or down holds up nobody else.

mod delivery;
mod desk;
mod lanes;
pub mod registered;
mod round;
pub mod routes;
mod state;

use std::{fmt, pin::Pin, sync::Arc};

use bytes::Bytes;

use crate::domain::{entry::Entry, record::Event};

pub use crate::journal::Position;

pub use self::{
    delivery::{Delivery, Make, Options, ParkedMessage, consumer},
    lanes::Pace,
};

/// What a destination said of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It has it, durably as far as it says.
    Accepted,
    /// Not this time, for this reason: again later. No answer at all, and no connection, count as this.
    Again(String),
    /// Never, for this reason: park it. What comes later of the same patient waits behind it.
    Stop(String),
}

/// One message to deliver.
#[derive(Clone)]
pub struct Parcel {
    /// The message as it was taken in.
    pub entry: Arc<Entry>,
    /// What it says.
    pub event: Arc<Event>,
    /// 32 hexadecimal digits that name it: the same at every attempt, and after a restart.
    pub attempt_id: String,
    /// Where it stands in the journal.
    pub position: Position,
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({}, {})", self.attempt_id, self.entry.kind)
    }
}

/// What a [`Destination`] is doing about a parcel.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Where messages are delivered to: one connection, one message at a time.
pub trait Destination: Send {
    /// Sends a message and waits for what is said of it, no longer than the destination's own patience.
    ///
    /// The future may be dropped before it ends. What the destination then still says of this message must not be
    /// taken for an answer to the next one.
    fn send<'a>(&'a mut self, parcel: &'a Parcel) -> Sending<'a>;

    /// What would be sent, for a preview. The same bytes each time it is asked, as far as the protocol allows.
    ///
    /// # Errors
    /// Why nothing can be made of this message for this destination, in words without patient data.
    fn preview(&self, parcel: &Parcel) -> Result<Bytes, String>;
}
