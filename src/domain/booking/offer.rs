//! What can be booked: services, and offers of times with all that a receptionist must be shown of them.

use serde::{Deserialize, Serialize};

use crate::domain::{
    ids::HubId,
    slot::{Clinician, Place},
    time::Timestamp,
};

use super::{appointment::Promise, names::OfferKey};

/// How an appointment takes place (GP Connect delivery channels).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// At the place.
    #[default]
    InPerson,
    /// By telephone.
    Telephone,
    /// By video.
    Video,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::InPerson, Self::Telephone, Self::Video];

    /// The word for it in GP Connect and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InPerson => "In-person",
            Self::Telephone => "Telephone",
            Self::Video => "Video",
        }
    }

    /// Read from what a system says; none if it says something else.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name().eq_ignore_ascii_case(text))
    }
}

/// A service of the polysystem, as a receptionist chooses it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its id, unique in the polysystem.
    pub id: HubId,
    /// Its name in plain words, such as `Podiatry`.
    pub name: String,
    /// Further words under which it is looked for, such as `foot`.
    pub words: Vec<String>,
    /// The hub that runs it, or through which its system is linked.
    pub hub: HubId,
    /// The system in whose book it is: `hub`, or a link's configured name.
    pub system: String,
    /// Who provides it, by name.
    pub organisation: String,
    /// Whom to phone when nothing else helps.
    pub telephone: String,
    /// Whether people may walk in and take a ticket.
    pub walk_in: Option<WalkInCard>,
}

/// How a service takes people without an appointment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct WalkInCard {
    /// The display it calls to.
    pub area: HubId,
    /// The letter before its ticket numbers.
    pub letter: char,
    /// How long one person takes, for the estimated wait.
    pub minutes: u16,
}

/// A time that can be booked, with every field that GP Connect says must be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// What exactly.
    pub key: OfferKey,
    /// The service's id, and its name.
    pub service: HubId,
    /// What it is, in its system's words.
    pub service_name: String,
    /// The session's sort or name, in its system's words; may be empty.
    pub session: String,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// How it takes place.
    pub channel: Channel,
    /// With whom; none if not said.
    pub clinician: Option<Clinician>,
    /// Languages spoken besides English, as names.
    pub languages: Vec<String>,
    /// Where.
    pub place: Place,
    /// Which room; may be empty.
    pub room: String,
    /// Whether it can be reached without steps; none if not said.
    pub step_free: Option<bool>,
    /// Who provides it.
    pub organisation: String,
    /// Whom to phone.
    pub telephone: String,
    /// The system in whose book it is: `hub`, or a link's configured name.
    pub system: String,
    /// When its system last said that it is free.
    pub seen: Timestamp,
    /// What booking it now would be worth.
    pub promise: Promise,
    /// Places free at this time in this session.
    pub free: u16,
}
