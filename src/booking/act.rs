//! What a hub decides at its desk, as it is journalled, sent to the centre and heard by the other hubs.

use serde::{Deserialize, Serialize};

use crate::domain::{
    booking::{
        Appointment, AppointmentId, Attendance, Deed, OfferKey, Owner, RequestId, Task, Ticket, WaitingPerson,
    },
    ids::HubId,
    time::Timestamp,
};

use super::{catalogue::Catalogue, token::TokenEvent};

/// The kind of the entries that hold acts.
pub const ACT_KIND: &str = "booking.act";
/// The format of their bytes: an [`Act`] as CBOR.
pub const ACT_FORMAT: &str = "booking";
/// A visit of six services, with the longest words, is under 40 KB; a catalogue of 2,000 sessions under 2 MB.
pub const ACT_BYTES_MAX: usize = 4 << 20;

/// One decision: all that it says holds, or nothing of it. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// [`Act::VERSION`].
    pub v: u8,
    /// The request it carries out, if somebody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Asked>,
    /// When, by the hub's clock.
    pub at: Timestamp,
    /// By which user, or `polygate`.
    pub by: String,
    /// What is so from now on, in this order.
    pub said: Vec<Said>,
}

impl Act {
    /// The newest version that this program writes, and the only one it reads.
    pub const VERSION: u8 = 1;
}

/// A request, and what it asked for: the same name for something else is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name.
    pub id: RequestId,
    /// A hash of the deed.
    pub digest: u64,
}

/// One thing that is so from now on. `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// What became of this hub's tokens.
    Token(TokenEvent),
    /// An appointment as it is now, said by the hub that answers for it.
    Appointment(Box<Appointment>),
    /// Where a patient is, said by the hub where they are.
    Attendance {
        /// Whose appointment.
        appointment: AppointmentId,
        /// Where they are.
        attendance: Attendance,
    },
    /// An appointment that this hub has asked another for; as this hub sees it until that one answers.
    Pending(Box<Appointment>),
    /// Another is asked to do something.
    Please {
        /// Who.
        of: Owner,
        /// Under which name, so that it is done once.
        request: RequestId,
        /// What.
        deed: Box<Deed>,
    },
    /// Another's request has led to nothing.
    Declined {
        /// Which.
        request: RequestId,
        /// Why, in plain words.
        words: String,
    },
    /// Somebody waits for a slot.
    Waiting(Box<WaitingPerson>),
    /// Somebody waits no longer.
    WaitsNoLonger {
        /// Which entry of the list.
        waiting: AppointmentId,
    },
    /// A ticket as it is now.
    Ticket(Box<Ticket>),
    /// Something that people must do.
    Task(Box<Task>),
    /// It is done.
    TaskDone {
        /// Which.
        task: AppointmentId,
        /// What was done; may be empty.
        note: String,
    },
    /// This hub's services and sessions from now on.
    Catalogue(Box<Catalogue>),
}

/// What the centre and other hubs say to a hub (topic `polygate/1/{hub}/down/booking`). `Debug` shows no patient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heard {
    /// Another hub's act, as its bytes were journalled there.
    Act {
        /// Which hub's.
        from: HubId,
        /// The act.
        #[serde(with = "crate::domain::entry::byte_string")]
        act: bytes::Bytes,
    },
    /// The centre gives slots to this hub, each under its new epoch.
    Grant {
        /// What.
        slots: Vec<(crate::domain::booking::SlotId, u32)>,
    },
    /// The centre cannot give these: they are another's.
    NotGranted {
        /// What.
        keys: Vec<OfferKey>,
    },
    /// What the centre knows of this hub's ledger: whether it has ever heard of one.
    Known {
        /// The highest incarnation it has heard of; zero if of none.
        incarnation: u64,
    },
}
