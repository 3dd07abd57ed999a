//! What a privacy officer is told when somebody saw a record otherwise than in the usual way.

use super::{rbac::Activity, words::words};

words! {
    /// Why an alert is raised. Its text is fixed, so it can hold neither the patient nor the user: who it was stands
    /// on the audit line that the alert points to, and is read there by those who may.
    pub enum Alert {
        /// Somebody claimed a relationship that the systems do not show.
        SelfClaimed = "self-claimed",
        /// The same, and the patient could not be asked.
        SelfClaimedUnasked = "self-claimed-unasked",
        /// There is a relationship, but the patient could not be asked.
        Unasked = "unasked",
        /// Emergency access.
        Emergency = "emergency",
        /// Emergency access, after the patient had said no.
        EmergencyAgainstRefusal = "emergency-against-refusal",
        /// Legal access.
        Legal = "legal",
        /// Legal access, after the patient had said no.
        LegalAgainstRefusal = "legal-against-refusal",
    }
}

impl Alert {
    /// The text.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SelfClaimed => {
                "A record was viewed by someone who claimed a relationship that no booking, arrival, list, ticket or \
                 referral shows."
            }
            Self::SelfClaimedUnasked => {
                "A record was viewed by someone who claimed a relationship that nothing shows, and who said that the \
                 patient could not be asked."
            }
            Self::Unasked => "A record was viewed by someone who said that the patient could not be asked.",
            Self::Emergency => "A record was viewed under emergency access.",
            Self::EmergencyAgainstRefusal => {
                "A record was viewed under emergency access after the patient had refused permission."
            }
            Self::Legal => "A record was viewed under legal access.",
            Self::LegalAgainstRefusal => {
                "A record was viewed under legal access after the patient had refused permission."
            }
        }
    }

    /// Who gets it: everybody of the organisation's privacy officers, who hold this activity.
    pub const fn for_whom(self) -> Activity {
        match self {
            Self::SelfClaimed | Self::SelfClaimedUnasked => Activity::ReceiveSelfClaimedAlerts,
            Self::Unasked
            | Self::Emergency
            | Self::EmergencyAgainstRefusal
            | Self::Legal
            | Self::LegalAgainstRefusal => Activity::ReceiveEmergencyAlerts,
        }
    }
}
