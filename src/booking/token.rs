//! Slot tokens: who may sell a slot, and how that right moves without two ever having it.

use serde::{Deserialize, Serialize};

use crate::domain::booking::{AppointmentId, SlotId};

/// What has become of tokens at one hub. Durable before anybody is told of it, and applied in the order written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenEvent {
    /// This hub's ledger begins, or goes on after a start. Higher than any before; bound to a counter that a restored
    /// disk does not turn back.
    Began {
        /// The incarnation.
        incarnation: u64,
    },
    /// Slots are sold, each under the epoch of its token.
    Confirmed {
        /// To which appointment.
        appointment: AppointmentId,
        /// What; all or nothing.
        slots: Vec<(SlotId, u32)>,
    },
    /// Slots of a cancelled appointment are free again, under the same epochs.
    Freed {
        /// Whose they were.
        appointment: AppointmentId,
        /// What.
        slots: Vec<(SlotId, u32)>,
    },
    /// Unsold slots go to the centre, which may sell them or grant them to another hub.
    Released {
        /// What, with the epochs that end here.
        slots: Vec<(SlotId, u32)>,
    },
    /// Slots are this hub's from now on.
    Granted {
        /// What, with their new epochs.
        slots: Vec<(SlotId, u32)>,
    },
    /// People have decided, on evidence outside the software, that held slots are free or sold.
    Unlocked {
        /// What, with the epochs that they are free under.
        slots: Vec<(SlotId, u32)>,
        /// Who decided: two different users.
        by: (String, String),
    },
}
