//! What a hub decides at its desk, as it is journalled, sent to the centre and heard by the other hubs.

use serde::{Deserialize, Serialize};

use crate::domain::{
    booking::{
        Appointment, AppointmentId, Attendance, BookWord, Deed, OfferKey, Owner, RequestId, SlotId, Task,
        Ticket, WaitingPerson, WordTime,
    },
    ids::HubId,
    time::Timestamp,
};

pub use crate::domain::booking::{ActPlace, HeardThrough};

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
    /// The ledger's incarnation after this act, and which of the desk's acts it is, from 1 without a hole: what orders
    /// a desk's acts whatever way they come. After a restored disk the second may repeat under a higher first.
    pub place: ActPlace,
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
    /// The system in whose book an appointment is has said something of it. What follows from it is said beside this.
    Heard {
        /// Of which.
        appointment: AppointmentId,
        /// Which of its words: older ones are not heard any more.
        when: WordTime,
        /// Whether it stands, if that was said.
        book: Option<BookWord>,
        /// Where the patient is, if that was said.
        attendance: Option<Came>,
    },
    /// The system in whose book an appointment is was told of a change, and has answered.
    Told {
        /// Of which appointment.
        appointment: AppointmentId,
        /// The hub whose act was told of.
        from: HubId,
        /// Which of its acts.
        place: ActPlace,
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
    /// Slots that were released with this act are for another: the centre grants them on.
    Allot {
        /// To whom.
        to: Owner,
        /// What.
        slots: Vec<SlotId>,
    },
    /// Slots of this hub's own sessions that the centre has, if it still has them.
    WantBack {
        /// What.
        slots: Vec<SlotId>,
    },
    /// The centre gives slots to a hub, each under its new epoch.
    Grant {
        /// To which.
        to: HubId,
        /// What.
        slots: Vec<(SlotId, u32)>,
    },
    /// The centre cannot give these to a hub: they are another's.
    NotGranted {
        /// To which.
        to: HubId,
        /// What.
        keys: Vec<OfferKey>,
    },
    /// A desk that knows of no earlier one asks the centre whether there was one: alone in an act, whose place is
    /// [`ActPlace::QUESTION`].
    Asking {
        /// Chosen at random by this desk, so that no answer to another is taken for its own.
        life: u64,
    },
    /// What the centre knows of earlier desks of a hub.
    Known {
        /// Whose.
        of: HubId,
        /// Which of its desks has asked.
        life: u64,
        /// Zero if it is the first; else at least the highest incarnation that any had.
        incarnation: u64,
    },
}

/// What a system says of a patient's coming.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Came {
    /// Where they are.
    pub attendance: Attendance,
    /// Since when that is so, against what is said at desks.
    pub since: Timestamp,
    /// Whether it is shown: not if something newer is known here, or the same more finely.
    pub shown: bool,
}

/// What the centre says to a hub of others (topic `polygate/1/{hub}/down/booking`): acts as their bytes were journalled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Down {
    /// [`Act::VERSION`].
    pub v: u8,
    /// Whose acts; `centre` for the centre's own.
    pub from: HubId,
    /// What lies before the first of these is not held any more: go on from here.
    pub jump: bool,
    /// The acts, in their order.
    pub acts: Vec<serde_bytes::ByteBuf>,
}
