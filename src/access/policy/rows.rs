//! The rows by which access is decided: data, in the order in which they are read.
//!
//! There are four gates: who asks, how they ask, about whom, and by what right. The first row that fits decides. Within
//! a gate the order never matters, which a test shows; between gates it does: nothing about the patient is answered
//! to someone who may not ask at all. What no row allows is refused.

use std::time::Duration;

use super::{
    Refusal,
    alert::Alert,
    asking::{Class, GroundKind, Permission, Purpose},
    bounds::Bounds,
    rbac::Activity,
    withhold::Shows,
    words::words,
};

words! {
    /// A part of the table; each is read after the one before.
    pub enum Gate {
        /// Whether the asker may ask such a thing of anybody.
        Asker = "1 asker",
        /// Whether they ask as one must. No row here depends on the patient.
        Plea = "2 plea",
        /// Whether there is a patient to speak of.
        Patient = "3 patient",
        /// By what right.
        Right = "4 right",
    }
}

words! {
    /// The asker, as far as the deed goes: the first of these that is so.
    pub enum Asking {
        /// None of their roles has this for its work.
        RoleMissing = "no role for it",
        /// They lack the activity.
        ActivityMissing = "no activity for it",
        /// Their roles were confirmed too long ago.
        RolesStale = "roles stale",
        /// They ask as reception.
        AsReception = "reception",
        /// They ask as a clinician.
        AsClinician = "clinician",
        /// They ask as an administrator.
        AsAdministrator = "administrator",
    }
}

words! {
    /// Whether what must be there for the ground is there.
    pub enum Backing {
        /// All of it.
        Enough = "enough",
        /// The ground's activity is not.
        ActivityMissing = "no activity for the ground",
        /// A reason is not, or says too little or too much.
        ReasonUnfit = "no fit reason",
    }
}

words! {
    /// The patient, as far as they may be spoken of at all.
    pub enum Standing {
        /// Unknown, or not to be shown: no row tells which.
        Hidden = "hidden",
        /// Has died.
        Deceased = "deceased",
        /// Known, alive, and to be shown.
        Open = "open",
    }
}

words! {
    /// Whether the NHS number is present and verified.
    pub enum Number {
        /// It is.
        Verified = "verified",
        /// It is not.
        Unverified = "unverified",
    }
}

words! {
    /// Whether a relationship is current.
    pub enum Related {
        /// One is.
        Yes = "yes",
        /// None is.
        No = "no",
    }
}

words! {
    /// Whether the patient dissents to all sharing; dissent to some systems is kept back in what is shown.
    pub enum DissentsToAll {
        /// They do.
        Yes = "yes",
        /// They do not.
        No = "no",
    }
}

/// Everything that rows look at, and nothing else. Unknown and restricted patients come to the same situation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Situation {
    /// What is asked for.
    pub class: Class,
    /// Who asks.
    pub asking: Asking,
    /// What for.
    pub purpose: Purpose,
    /// On what ground.
    pub ground: GroundKind,
    /// What backs the ground.
    pub backing: Backing,
    /// What the patient answered.
    pub permission: Permission,
    /// About whom.
    pub standing: Standing,
    /// How well they are known.
    pub number: Number,
    /// Whether a relationship is current.
    pub related: Related,
    /// Whether the patient dissents to all sharing.
    pub dissents: DissentsToAll,
}

/// A condition on each part of a [`Situation`]; an empty one is met by anything.
#[derive(Clone, Copy, Debug)]
struct When {
    class: &'static [Class],
    asking: &'static [Asking],
    purpose: &'static [Purpose],
    ground: &'static [GroundKind],
    backing: &'static [Backing],
    permission: &'static [Permission],
    standing: &'static [Standing],
    number: &'static [Number],
    related: &'static [Related],
    dissents: &'static [DissentsToAll],
}

/// How long a permit lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lasts {
    /// [`Bounds::view`].
    View,
    /// [`Bounds::emergency`].
    Emergency,
    /// [`Bounds::legal`].
    Legal,
}

impl Lasts {
    /// How long that is.
    pub const fn duration(self, bounds: &Bounds) -> Duration {
        match self {
            Self::View => bounds.view,
            Self::Emergency => bounds.emergency,
            Self::Legal => bounds.legal,
        }
    }
}

/// What a permitting row opens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opens {
    /// What of the record.
    pub shows: Shows,
    /// For how long.
    pub lasts: Lasts,
    /// Sensitive items too, if what is shown stays here.
    pub sensitive: bool,
    /// Who is told.
    pub alert: Option<Alert>,
}

/// What a row comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// Shown.
    Permit(Opens),
    /// Refused. Where a refusal names an activity or a bound, it is filled in from the question.
    Refuse(Refusal),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name on audit lines; never used again for another.
    pub id: &'static str,
    /// Where it stands.
    pub gate: Gate,
    when: When,
    /// What it comes to.
    pub then: Then,
    /// Why.
    pub why: &'static str,
}

impl Row {
    /// Whether a situation meets all its conditions. All are looked at, whatever the first says.
    pub fn fits(&self, situation: &Situation) -> bool {
        fn met<T: PartialEq>(allowed: &[T], found: &T) -> bool {
            allowed.is_empty() | allowed.contains(found)
        }
        let when = &self.when;
        met(when.class, &situation.class)
            & met(when.asking, &situation.asking)
            & met(when.purpose, &situation.purpose)
            & met(when.ground, &situation.ground)
            & met(when.backing, &situation.backing)
            & met(when.permission, &situation.permission)
            & met(when.standing, &situation.standing)
            & met(when.number, &situation.number)
            & met(when.related, &situation.related)
            & met(when.dissents, &situation.dissents)
    }

    /// Its conditions in words: what must be so, and which values it may have. Those met by anything are left out.
    pub fn conditions(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let when = &self.when;
        let words = [
            ("deed", when.class.iter().map(|one| one.word()).collect()),
            ("asker", when.asking.iter().map(|one| one.word()).collect()),
            ("purpose", when.purpose.iter().map(|one| one.word()).collect()),
            ("ground", when.ground.iter().map(|one| one.word()).collect()),
            ("backing", when.backing.iter().map(|one| one.word()).collect()),
            ("permission", when.permission.iter().map(|one| one.word()).collect()),
            ("patient", when.standing.iter().map(|one| one.word()).collect()),
            ("NHS number", when.number.iter().map(|one| one.word()).collect()),
            ("relationship", when.related.iter().map(|one| one.word()).collect()),
            ("dissents to all", when.dissents.iter().map(|one| one.word()).collect()),
        ];
        words.into_iter().filter(|(_, values): &(_, Vec<_>)| !values.is_empty()).collect()
    }
}

/// Every row, in the order in which they are read.
pub fn table() -> impl DoubleEndedIterator<Item = &'static Row> {
    ROWS.iter()
}

/// What a row permits without any alert.
const fn permit(shows: Shows, sensitive: bool) -> Then {
    Then::Permit(Opens { shows, lasts: Lasts::View, sensitive, alert: None })
}

/// What a row permits, and somebody is told.
const fn permit_alerting(lasts: Lasts, alert: Alert) -> Then {
    Then::Permit(Opens { shows: Shows::Record, lasts, sensitive: false, alert: Some(alert) })
}

const ANY: When = When {
    class: &[],
    asking: &[],
    purpose: &[],
    ground: &[],
    backing: &[],
    permission: &[],
    standing: &[],
    number: &[],
    related: &[],
    dissents: &[],
};
const CLINICAL: &[Class] = &[Class::View, Class::Export, Class::Facade];
const HERE: &[Class] = &[Class::View, Class::Export];
const SPEAKING: &[Standing] = &[Standing::Open, Standing::Deceased];
const NOT_REFUSED: &[Permission] = &[Permission::Given, Permission::NotAsked, Permission::CannotBeAsked];
/// On a page or as a document here, and nothing stands against it.
const SEEN_HERE: When = When {
    class: HERE,
    asking: &[Asking::AsClinician],
    purpose: &[Purpose::DirectCare],
    backing: &[Backing::Enough],
    standing: SPEAKING,
    dissents: &[DissentsToAll::No],
    ..ANY
};
/// By a current relationship.
const BY_RELATIONSHIP: When = When {
    class: CLINICAL,
    ground: &[GroundKind::Relationship],
    standing: &[Standing::Open],
    related: &[Related::Yes],
    ..SEEN_HERE
};
/// By a relationship that the asker claims.
const BY_CLAIM: When = When { ground: &[GroundKind::SelfClaimed], standing: &[Standing::Open], ..SEEN_HERE };

const fn row(id: &'static str, gate: Gate, when: When, then: Then, why: &'static str) -> Row {
    Row { id, gate, when, then, why }
}

static ROWS: [Row; 34] = [
    row(
        "no-role",
        Gate::Asker,
        When { asking: &[Asking::RoleMissing], ..ANY },
        Then::Refuse(Refusal::NoRole),
        "It is not the work of any of their roles. Reception, analysts and administrators never see clinical content.",
    ),
    row(
        "no-activity",
        Gate::Asker,
        When { asking: &[Asking::ActivityMissing], ..ANY },
        Then::Refuse(Refusal::NoActivity(Activity::ViewDetailed)),
        "The role alone is not enough: the national activity gates the function.",
    ),
    row(
        "roles-stale",
        Gate::Asker,
        When { asking: &[Asking::RolesStale], ..ANY },
        Then::Refuse(Refusal::RolesStale { bound: Duration::ZERO }),
        "Nobody has confirmed the roles within the bound, so one that was revoked would still work.",
    ),
    row(
        "other-purpose",
        Gate::Plea,
        When {
            class: &[Class::View, Class::Export, Class::Facade, Class::Appointments, Class::Consent],
            purpose: &[Purpose::Other],
            ..ANY
        },
        Then::Refuse(Refusal::PurposeNotAllowed),
        "Identified records are here for direct care alone.",
    ),
    row(
        "facade-ground",
        Gate::Plea,
        When {
            class: &[Class::Facade],
            purpose: &[Purpose::DirectCare],
            ground: &[GroundKind::SelfClaimed, GroundKind::Emergency, GroundKind::Legal],
            ..ANY
        },
        Then::Refuse(Refusal::GroundNotAllowed),
        "Another system cannot warn its user, nor take their reason, on our behalf: they come to the page.",
    ),
    row(
        "facade-unasked",
        Gate::Plea,
        When {
            class: &[Class::Facade],
            purpose: &[Purpose::DirectCare],
            ground: &[GroundKind::Relationship],
            permission: &[Permission::CannotBeAsked],
            ..ANY
        },
        Then::Refuse(Refusal::GroundNotAllowed),
        "That somebody cannot be asked is said with a reason, on the page.",
    ),
    row(
        "emergency-not-allowed",
        Gate::Plea,
        When {
            class: HERE,
            purpose: &[Purpose::DirectCare],
            ground: &[GroundKind::Emergency],
            backing: &[Backing::ActivityMissing],
            ..ANY
        },
        Then::Refuse(Refusal::NoActivity(Activity::EmergencyAccess)),
        "Emergency access is for those who hold B0168.",
    ),
    row(
        "legal-not-allowed",
        Gate::Plea,
        When {
            class: HERE,
            purpose: &[Purpose::DirectCare],
            ground: &[GroundKind::Legal],
            backing: &[Backing::ActivityMissing],
            ..ANY
        },
        Then::Refuse(Refusal::NoActivity(Activity::LegalAccess)),
        "Legal access is for those who hold B0082.",
    ),
    row(
        "no-reason",
        Gate::Plea,
        When { class: HERE, purpose: &[Purpose::DirectCare], backing: &[Backing::ReasonUnfit], ..ANY },
        Then::Refuse(Refusal::ReasonMissing { characters_min: 0 }),
        "Whoever leaves the usual way says why, in words that a privacy officer can judge.",
    ),
    row(
        "hidden",
        Gate::Patient,
        When { standing: &[Standing::Hidden], ..ANY },
        Then::Refuse(Refusal::NotAvailable),
        "Unknown, very restricted or flagged as sensitive: one answer, so that nobody learns which. Nothing overrides it.",
    ),
    row(
        "deceased-facade",
        Gate::Patient,
        When { class: &[Class::Facade], standing: &[Standing::Deceased], ..ANY },
        Then::Refuse(Refusal::NotAvailable),
        "To other systems a patient who has died is one who is not found.",
    ),
    row(
        "deceased",
        Gate::Patient,
        When {
            class: HERE,
            ground: &[GroundKind::Relationship, GroundKind::SelfClaimed],
            standing: &[Standing::Deceased],
            ..ANY
        },
        Then::Refuse(Refusal::NotAvailable),
        "Care has ended. Emergency access is left, for a death recorded wrongly, and legal access.",
    ),
    row(
        "unverified",
        Gate::Patient,
        When {
            class: &[Class::Export, Class::Facade],
            standing: SPEAKING,
            number: &[Number::Unverified],
            ..ANY
        },
        Then::Refuse(Refusal::NotAvailable),
        "Nothing goes to another place under a number that nobody has verified.",
    ),
    row(
        "unrelated-facade",
        Gate::Patient,
        When { class: &[Class::Facade], related: &[Related::No], ..ANY },
        Then::Refuse(Refusal::NotAvailable),
        "Another system does not learn who has been here by asking for everybody.",
    ),
    row(
        "dissent",
        Gate::Right,
        When { class: CLINICAL, dissents: &[DissentsToAll::Yes], ..ANY },
        Then::Refuse(Refusal::Dissent),
        "The patient dissents to sharing, and nobody at the point of care overrides that.",
    ),
    row(
        "related",
        Gate::Right,
        When { permission: &[Permission::Given], ..BY_RELATIONSHIP },
        permit(Shows::Record, true),
        "They care for the patient, who has said yes.",
    ),
    row(
        "related-not-asked",
        Gate::Right,
        When { permission: &[Permission::NotAsked], ..BY_RELATIONSHIP },
        Then::Refuse(Refusal::PermissionMissing),
        "The patient is asked each time.",
    ),
    row(
        "related-refused",
        Gate::Right,
        When { permission: &[Permission::Refused], ..BY_RELATIONSHIP },
        Then::Refuse(Refusal::PermissionRefused),
        "The patient has said no.",
    ),
    row(
        "related-unasked",
        Gate::Right,
        When { class: HERE, permission: &[Permission::CannotBeAsked], ..BY_RELATIONSHIP },
        permit_alerting(Lasts::View, Alert::Unasked),
        "They care for a patient who cannot be asked, and say why.",
    ),
    row(
        "unrelated",
        Gate::Right,
        When { class: HERE, related: &[Related::No], ..BY_RELATIONSHIP },
        Then::Refuse(Refusal::NoRelationship),
        "No booking, arrival, list, ticket or referral says that they care for the patient.",
    ),
    row(
        "self-claimed",
        Gate::Right,
        When { permission: &[Permission::Given], ..BY_CLAIM },
        permit_alerting(Lasts::View, Alert::SelfClaimed),
        "They say why they care for the patient, who has said yes; a privacy officer looks at it.",
    ),
    row(
        "self-claimed-not-asked",
        Gate::Right,
        When { permission: &[Permission::NotAsked], ..BY_CLAIM },
        Then::Refuse(Refusal::PermissionMissing),
        "The patient is asked each time.",
    ),
    row(
        "self-claimed-refused",
        Gate::Right,
        When { permission: &[Permission::Refused], ..BY_CLAIM },
        Then::Refuse(Refusal::PermissionRefused),
        "The patient has said no.",
    ),
    row(
        "self-claimed-unasked",
        Gate::Right,
        When { permission: &[Permission::CannotBeAsked], ..BY_CLAIM },
        permit_alerting(Lasts::View, Alert::SelfClaimedUnasked),
        "They say why they care for the patient, and why the patient cannot be asked; a privacy officer looks at it.",
    ),
    row(
        "emergency",
        Gate::Right,
        When { ground: &[GroundKind::Emergency], permission: NOT_REFUSED, ..SEEN_HERE },
        permit_alerting(Lasts::Emergency, Alert::Emergency),
        "A life may hang on it. Reason, time box, alert, and a checkpoint of the audit before anything is shown.",
    ),
    row(
        "emergency-against-refusal",
        Gate::Right,
        When { ground: &[GroundKind::Emergency], permission: &[Permission::Refused], ..SEEN_HERE },
        permit_alerting(Lasts::Emergency, Alert::EmergencyAgainstRefusal),
        "The same, and the alert says that the patient had refused.",
    ),
    row(
        "legal",
        Gate::Right,
        When { ground: &[GroundKind::Legal], permission: NOT_REFUSED, ..SEEN_HERE },
        permit_alerting(Lasts::Legal, Alert::Legal),
        "The law demands it: the reason names the order or the duty.",
    ),
    row(
        "legal-against-refusal",
        Gate::Right,
        When { ground: &[GroundKind::Legal], permission: &[Permission::Refused], ..SEEN_HERE },
        permit_alerting(Lasts::Legal, Alert::LegalAgainstRefusal),
        "The same, and the alert says that the patient had refused.",
    ),
    row(
        "appointments",
        Gate::Right,
        When {
            class: &[Class::Appointments],
            asking: &[Asking::AsReception, Asking::AsClinician],
            purpose: &[Purpose::DirectCare],
            standing: SPEAKING,
            ..ANY
        },
        permit(Shows::Appointments, false),
        "Bookings are how a relationship begins. Dissent to sharing does not apply to them.",
    ),
    row(
        "consent",
        Gate::Right,
        When {
            class: &[Class::Consent],
            asking: &[Asking::AsReception, Asking::AsClinician],
            purpose: &[Purpose::DirectCare],
            standing: SPEAKING,
            ..ANY
        },
        permit(Shows::Nothing, false),
        "A patient who dissents is heard at any desk. Nothing of the record is shown.",
    ),
    row(
        "viewers-audit",
        Gate::Right,
        When { class: &[Class::Viewers], asking: &[Asking::AsAdministrator], standing: SPEAKING, ..ANY },
        permit(Shows::Nothing, false),
        "Whoever looks after the audit sees who viewed, and nothing of what.",
    ),
    row(
        "viewers-related",
        Gate::Right,
        When {
            class: &[Class::Viewers],
            asking: &[Asking::AsClinician],
            standing: SPEAKING,
            related: &[Related::Yes],
            ..ANY
        },
        permit(Shows::Nothing, false),
        "Whoever cares for the patient can tell them who has viewed.",
    ),
    row(
        "viewers-unrelated",
        Gate::Right,
        When {
            class: &[Class::Viewers],
            asking: &[Asking::AsClinician],
            standing: SPEAKING,
            related: &[Related::No],
            ..ANY
        },
        Then::Refuse(Refusal::NoRelationship),
        "Who was here tells something of a patient too.",
    ),
    row(
        "shape",
        Gate::Right,
        When { class: &[Class::Shape], asking: &[Asking::AsAdministrator], standing: SPEAKING, ..ANY },
        permit(Shows::Nothing, false),
        "Counts of items by system and kind, to see that links work. No content.",
    ),
];
