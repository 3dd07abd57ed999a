//! Who asks another system for something on a patient's behalf, as audit trails at both ends name them.

use std::fmt;

/// A member of staff at a device of an organisation. Its `Debug` shows no name.
#[derive(Clone, Eq, PartialEq)]
pub struct Requester {
    /// Where the request comes from: the organisation giving the care, not the one hosting the hub.
    pub organisation: Organisation,
    /// Who asks.
    pub practitioner: Practitioner,
    /// With what.
    pub device: Device,
    /// What for. Nothing but direct care is asked for over these interfaces.
    pub reason: Reason,
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requester({}, {:?})", self.organisation.ods_code, self.practitioner)
    }
}

/// An organisation as others know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Organisation {
    /// Its ODS code.
    pub ods_code: String,
    /// Its name.
    pub name: String,
    /// Its kind by GPConnect-OrganisationType-1, such as `urgent-care` or `gp-practice`.
    pub kind: String,
    /// A telephone number at which it can be asked about a booking.
    pub telephone: String,
}

/// A member of staff. Its `Debug` shows the local id alone.
#[derive(Clone, Eq, PartialEq)]
pub struct Practitioner {
    /// The user's id at this hub: never one shared by several people.
    pub id: String,
    /// The user's id in the Spine Directory Service; none without a smartcard.
    pub sds_user_id: Option<String>,
    /// The id of the role profile in use there.
    pub sds_role_profile_id: Option<String>,
    /// The job role's code, such as `R8000`; empty if not known.
    pub job_role: String,
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// `Dr`, `Ms` and so on; may be empty.
    pub title: String,
}

impl fmt::Debug for Practitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Practitioner({})", self.id)
    }
}

/// What was used to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// Its id, such as the hub's.
    pub id: String,
    /// The program's name.
    pub model: String,
    /// The program's version.
    pub version: String,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Care of this patient, by somebody who gives it.
    DirectCare,
}

impl Reason {
    /// The word for it in tokens and audit trails.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectCare => "directcare",
        }
    }
}
