//! A question put to the policy: who asks, what for, about whom, and on what ground.

use std::{collections::BTreeSet, fmt};

use crate::{access::Role, domain::time::Timestamp};

use super::{rbac::Activity, words::words};

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asker {
    /// The user's id: of the account, or the national one.
    pub user: String,
    /// The name, as at this time.
    pub name: String,
    /// What their work at the hub is. Someone of another hub or system has the role of their job role
    /// ([`super::Table::role_of`]).
    pub roles: Vec<Role>,
    /// The national job role, such as `R8000`; empty if there is none.
    pub job_role: String,
    /// All that they may do, with what is included in it: [`super::Table::activities`].
    pub activities: BTreeSet<Activity>,
    /// The ODS code of the organisation that they act for.
    pub organisation: String,
    /// When roles and activities were last confirmed by whoever keeps them.
    pub roles_confirmed: Timestamp,
    /// Who keeps them.
    pub roles_kept: Kept,
}

words! {
    /// Who keeps someone's roles, and with it how long they are believed.
    pub enum Kept {
        /// The hub: an administrator here sets and ends them.
        Here = "here",
        /// A national or federated sign-in: a role that ended there is not known here until it is asked again.
        Elsewhere = "elsewhere",
    }
}

words! {
    /// What is asked for. The words stand on audit lines.
    pub enum Deed {
        /// The page that opens first: problems, medicines, allergies, last contacts.
        ViewSummary = "record.summary",
        /// The sections of the record.
        ViewRecord = "record.view",
        /// Results by test and date.
        ViewResults = "record.results",
        /// A letter, a report or a scan.
        ViewDocument = "record.document",
        /// What systems say differently.
        ViewDisagreements = "record.disagreements",
        /// Everything by time.
        ViewTimeline = "record.timeline",
        /// The record as it was seen at a past moment.
        ViewAsSeen = "record.as-seen",
        /// Who has viewed the patient. Also the facade's `AuditEvent`.
        ViewViewers = "record.viewers",
        /// Which systems have how many items of which kind, without any content.
        ViewShape = "record.shape",
        /// Who the patient is and when they are booked. Also the facade's `Appointment`.
        ViewAppointments = "appointments.view",
        /// The record on paper.
        Print = "record.print",
        /// The summary as a document for another place.
        ExportSummary = "record.export",
        /// A resource of the record, for another system.
        FacadeRead = "facade.read",
        /// The summary, for another system.
        FacadeSummary = "facade.summary",
        /// Record that the patient dissents to sharing, or no longer does.
        RecordDissent = "dissent.record",
    }
}

words! {
    /// Deeds that the same rows decide on.
    pub enum Class {
        /// Clinical content, on a page or on paper here.
        View = "view",
        /// Clinical content as a document for another place.
        Export = "export",
        /// Clinical content for another system.
        Facade = "facade",
        /// Bookings, and who the patient is.
        Appointments = "appointments",
        /// What the patient says of sharing.
        Consent = "consent",
        /// Who has viewed.
        Viewers = "viewers",
        /// Counts and systems without content.
        Shape = "shape",
    }
}

impl Deed {
    /// The rows that decide on it.
    pub const fn class(self) -> Class {
        match self {
            Self::ViewSummary
            | Self::ViewRecord
            | Self::ViewResults
            | Self::ViewDocument
            | Self::ViewDisagreements
            | Self::ViewTimeline
            | Self::ViewAsSeen
            | Self::Print => Class::View,
            Self::ExportSummary => Class::Export,
            Self::FacadeRead | Self::FacadeSummary => Class::Facade,
            Self::ViewAppointments => Class::Appointments,
            Self::RecordDissent => Class::Consent,
            Self::ViewViewers => Class::Viewers,
            Self::ViewShape => Class::Shape,
        }
    }

    /// Whose work it is, and the activity that they need for it; the first that fits opens it. Nobody else may.
    pub const fn opened_by(self) -> &'static [(Role, Activity)] {
        match self {
            Self::ViewSummary | Self::Print | Self::ExportSummary | Self::FacadeSummary => {
                &[(Role::Clinician, Activity::ViewSummary)]
            }
            Self::ViewRecord
            | Self::ViewResults
            | Self::ViewDocument
            | Self::ViewDisagreements
            | Self::ViewTimeline
            | Self::ViewAsSeen
            | Self::FacadeRead => &[(Role::Clinician, Activity::ViewDetailed)],
            Self::ViewAppointments => &[
                (Role::Reception, Activity::ViewDemographics),
                (Role::Clinician, Activity::ViewDemographics),
            ],
            Self::RecordDissent => {
                &[(Role::Reception, Activity::ControlConsent), (Role::Clinician, Activity::ControlConsent)]
            }
            Self::ViewViewers => {
                &[(Role::Administrator, Activity::ViewSystemLogs), (Role::Clinician, Activity::ViewDetailed)]
            }
            Self::ViewShape => &[(Role::Administrator, Activity::Configure)],
        }
    }

    /// Whether what is shown leaves the hub's own screens: what is sensitive stays behind.
    pub const fn leaves(self) -> bool {
        matches!(self, Self::Print | Self::ExportSummary | Self::FacadeRead | Self::FacadeSummary)
    }
}

/// What is known of the patient. [`Facts::default`] is somebody unknown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// There is exactly one current record under what was asked for. A number that was superseded, invalidated or
    /// merged away is not known.
    pub known: bool,
    /// The NHS number is there, its check digit is right, and a source says that it was traced and verified.
    pub verified: bool,
    /// What the national demographics service says of showing the patient.
    pub restriction: Restriction,
    /// Every system that speaks of it says that the patient has died. Where they differ, this is false: the person
    /// may be sitting there.
    pub deceased: bool,
    /// What the patient says of sharing.
    pub dissent: Dissent,
    /// What joins the patient and the place where the asker works; at most [`RELATIONSHIPS_MAX`] are looked at.
    pub relationships: Vec<Relationship>,
}

/// Nobody is booked, waiting and referred more often at one place; the newest first, so that the rest does not matter.
pub const RELATIONSHIPS_MAX: usize = 64;

words! {
    /// How far a patient may be shown at all.
    #[derive(Default)]
    pub enum Restriction {
        /// Like anybody.
        None = "none",
        /// Not where they live or can be reached: PDS `R`.
        Location = "location",
        /// Not at all: PDS `V`, a code that nobody knows, or the sensitive flag.
        #[default]
        Denied = "denied",
    }
}

impl Restriction {
    /// The restriction of a PDS confidentiality code (`meta.security`) and of a practice's sensitive flag.
    ///
    /// No code means that no source said any: the hub itself has not asked the demographics service. An unknown code
    /// denies.
    pub fn of_pds(code: Option<&str>, is_sensitive: bool) -> Self {
        match code.map(str::trim) {
            _ if is_sensitive => Self::Denied,
            None | Some("U") => Self::None,
            Some("R") => Self::Location,
            Some(_) => Self::Denied,
        }
    }
}

/// What the patient says of sharing, as the systems recorded it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Dissent {
    /// Nothing against it.
    #[default]
    None,
    /// Not what these systems hold, by their configured names.
    Systems(BTreeSet<String>),
    /// Nothing clinical, of no system.
    Everywhere,
}

/// Something that makes it somebody's work to care for a patient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Relationship {
    /// What it is.
    pub basis: Basis,
    /// When it began: the appointment's start, the arrival, the day on the list.
    pub since: Timestamp,
    /// When it ended: the appointment's end, the day off the list; none while it goes on.
    pub until: Option<Timestamp>,
}

words! {
    /// What a legitimate relationship rests on.
    pub enum Basis {
        /// An appointment that was not cancelled.
        Booked = "booked",
        /// The patient came.
        Arrived = "arrived",
        /// On a waiting list here.
        WaitingList = "waiting-list",
        /// Holds a ticket of a queue here.
        Ticket = "ticket",
        /// Referred to a service here.
        Referral = "referral",
        /// Registered with the asker's practice.
        Registered = "registered",
    }
}

/// What the asker says for themselves. Its `Debug` shows no words of theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plea {
    /// The ground.
    pub ground: Ground,
    /// What the patient answered this time.
    pub permission: PermissionToView,
    /// What it is for.
    pub purpose: Purpose,
}

/// On what ground someone asks. Its `Debug` shows no reason.
#[derive(Clone, Eq, PartialEq)]
pub enum Ground {
    /// The relationship that the systems show.
    Relationship,
    /// A relationship that the systems do not show.
    SelfClaimed {
        /// The asker's own words.
        reason: String,
    },
    /// An emergency (B0168).
    Emergency {
        /// The asker's own words.
        reason: String,
    },
    /// The law demands it (B0082).
    Legal {
        /// The asker's own words: which order or duty.
        reason: String,
    },
}

words! {
    /// [`Ground`] without its reason.
    pub enum GroundKind {
        /// The relationship that the systems show.
        Relationship = "relationship",
        /// A relationship that the systems do not show.
        SelfClaimed = "self-claimed",
        /// An emergency.
        Emergency = "emergency",
        /// The law demands it.
        Legal = "legal",
    }
}

impl Ground {
    /// Which it is.
    pub const fn kind(&self) -> GroundKind {
        match self {
            Self::Relationship => GroundKind::Relationship,
            Self::SelfClaimed { .. } => GroundKind::SelfClaimed,
            Self::Emergency { .. } => GroundKind::Emergency,
            Self::Legal { .. } => GroundKind::Legal,
        }
    }

    /// The asker's reason; none for a relationship, which needs none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Relationship => None,
            Self::SelfClaimed { reason } | Self::Emergency { reason } | Self::Legal { reason } => {
                Some(reason)
            }
        }
    }
}

impl GroundKind {
    /// The activity without which nobody may plead it.
    pub const fn needs(self) -> Option<Activity> {
        match self {
            Self::Relationship | Self::SelfClaimed => None,
            Self::Emergency => Some(Activity::EmergencyAccess),
            Self::Legal => Some(Activity::LegalAccess),
        }
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().word())
    }
}

/// What the patient answered when asked, this time, whether their record may be viewed. Its `Debug` shows no reason.
#[derive(Clone, Eq, PartialEq)]
pub enum PermissionToView {
    /// Yes.
    Given,
    /// Nobody has asked.
    NotAsked,
    /// No.
    Refused,
    /// They cannot be asked: unconscious, or not here.
    CannotBeAsked {
        /// The asker's own words.
        reason: String,
    },
}

words! {
    /// [`PermissionToView`] without its reason.
    pub enum Permission {
        /// The patient said yes.
        Given = "given",
        /// Nobody has asked.
        NotAsked = "not-asked",
        /// The patient said no.
        Refused = "refused",
        /// The patient cannot be asked.
        CannotBeAsked = "cannot-be-asked",
    }
}

impl PermissionToView {
    /// Which it is.
    pub const fn kind(&self) -> Permission {
        match self {
            Self::Given => Permission::Given,
            Self::NotAsked => Permission::NotAsked,
            Self::Refused => Permission::Refused,
            Self::CannotBeAsked { .. } => Permission::CannotBeAsked,
        }
    }
}

impl fmt::Debug for PermissionToView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().word())
    }
}

words! {
    /// What a record is wanted for. That the law demands it is a ground, not a purpose: see [`Ground::Legal`].
    pub enum Purpose {
        /// Care of this patient. The word is the one of GP Connect's `reason_for_request`.
        DirectCare = "directcare",
        /// Anything else: planning, research, payment. Not on this path, whoever asks.
        Other = "other",
    }
}

impl Purpose {
    /// The purpose that a request names.
    pub fn of_word(word: &str) -> Self {
        if word == Self::DirectCare.word() { Self::DirectCare } else { Self::Other }
    }
}
