//! The right record to the right eyes: one pure function over a table that people can read and check.
//!
//! [`decide`] puts a question into the few words that the [table](rows) knows, and the first row that fits decides; what
//! no row allows is refused. What is permitted is a [`Grant`]: until when, what is [kept back](withhold), and who is
//! [told](alert). The table stands in docs/access.md, which a test keeps equal to the code.
//!
//! One answer for "unknown" and "not to be shown": both come to the same [`Situation`] before any row is read, every row
//! is then looked at whatever fits, and no refusal before it depends on the patient.

pub mod alert;
pub mod asking;
pub mod bounds;
pub mod document;
pub mod rbac;
pub mod rows;
pub mod withhold;
mod words;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use crate::{access::Role, domain::time::Timestamp};

pub use alert::Alert;
pub use asking::{
    Asker, Basis, Class, Deed, Dissent, Facts, Ground, GroundKind, Kept, Permission, PermissionToView, Plea,
    Purpose, RELATIONSHIPS_MAX, Relationship, Restriction,
};
pub use bounds::{Bounds, REASON_CHARACTERS_MAX, TooFar, Window};
pub use rbac::{Activity, Table};
pub use rows::{Row, Situation, table};
pub use withhold::{Exclusions, InvalidExclusions, Sensitivity, Shows, Withheld, Withhold, sensitivity};

use self::rows::{Asking, Backing, DissentsToAll, Number, Opens, Related, Standing, Then};

/// What comes of a question.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Decision {
    /// Yes, and how far.
    Permit(Grant),
    /// No, and why, as far as it may be told.
    Refuse(Refusal),
}

/// How far somebody may see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Nothing is shown after this moment: the time box, or the end of relationship or roles if that is sooner.
    pub until: Timestamp,
    /// What is kept back, and said to be.
    pub withhold: Withhold,
    /// What privacy officers are told; it must be durable before anything is shown.
    pub alert: Option<Alert>,
    /// The audit needs a checkpoint before anything is shown: access out of the usual way, or a patient whose
    /// whereabouts are restricted.
    pub checkpoint_first: bool,
    /// The row that decided.
    pub row: &'static str,
}

/// Why not. The text is for the asker's eyes, and holds nothing of the patient.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such patient, or none that may be shown. Nothing says which.
    #[error("no patient found")]
    NotAvailable,
    /// None of their roles has this for its work.
    #[error("your role does not allow this")]
    NoRole,
    /// They lack the activity.
    #[error("this needs the activity {} ({})", .0.code(), .0.title())]
    NoActivity(Activity),
    /// Their roles were confirmed longer ago than the bound.
    #[error("your roles were last confirmed more than {} ago; sign in again while the connection is up", words_for(*.bound))]
    RolesStale {
        /// How long they are believed.
        bound: Duration,
    },
    /// It is not for the patient's direct care.
    #[error("records are for direct care only")]
    PurposeNotAllowed,
    /// The ground cannot be pleaded here.
    #[error("this ground cannot be given here; use the record's page")]
    GroundNotAllowed,
    /// A reason is needed, of so many characters at least.
    #[error("say why, in {characters_min} to {REASON_CHARACTERS_MAX} characters")]
    ReasonMissing {
        /// The least; the most is [`REASON_CHARACTERS_MAX`].
        characters_min: usize,
    },
    /// No relationship is current. They may claim one, or plead another ground.
    #[error("nothing shows that you care for this patient; say why you do")]
    NoRelationship,
    /// The patient has not been asked.
    #[error("ask the patient whether you may view the record")]
    PermissionMissing,
    /// The patient said no.
    #[error("the patient has not agreed")]
    PermissionRefused,
    /// The patient dissents to all sharing; nobody overrides that here.
    #[error("the patient does not agree to sharing the record")]
    Dissent,
    /// No row allows it.
    #[error("this is not allowed")]
    NoRule,
}

impl Refusal {
    /// The word for it on audit lines; it never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotAvailable => "not-available",
            Self::NoRole => "no-role",
            Self::NoActivity(_) => "no-activity",
            Self::RolesStale { .. } => "roles-stale",
            Self::PurposeNotAllowed => "other-purpose",
            Self::GroundNotAllowed => "ground-not-allowed",
            Self::ReasonMissing { .. } => "no-reason",
            Self::NoRelationship => "no-relationship",
            Self::PermissionMissing => "permission-missing",
            Self::PermissionRefused => "permission-refused",
            Self::Dissent => "dissent",
            Self::NoRule => "no-rule",
        }
    }

    /// Whether another plea may be answered otherwise, so that a page should offer the form.
    pub const fn may_plead(self) -> bool {
        matches!(
            self,
            Self::NoRelationship
                | Self::PermissionMissing
                | Self::PermissionRefused
                | Self::ReasonMissing { .. }
        )
    }
}

/// A duration as people say it: whole hours, days or minutes.
fn words_for(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "no time".to_owned(),
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3_600),
        _ => format!("{} minutes", seconds / 60),
    }
}

/// Whether `asker` may do `deed` about the patient of `facts`, having said `plea`, and how far.
///
/// Pure: the same question at the same moment has the same answer. Whoever shows something makes the audit line
/// durable first; a refusal is audited too.
pub fn decide(
    asker: &Asker,
    deed: Deed,
    facts: &Facts,
    plea: &Plea,
    now: Timestamp,
    bounds: &Bounds,
) -> Decision {
    let question = Question { asker, deed, facts, plea, now, bounds };
    let related_until = question.related_until();
    let situation = question.situation(related_until);
    match row_for(&situation) {
        None => Decision::Refuse(Refusal::NoRule),
        Some(row) => match row.then {
            Then::Refuse(refusal) => Decision::Refuse(question.filled_in(refusal)),
            Then::Permit(opens) => Decision::Permit(question.grant(row.id, opens, related_until)),
        },
    }
}

/// The first row that fits. Every row is looked at, so that the work tells nothing of the answer.
pub fn row_for(situation: &Situation) -> Option<&'static Row> {
    table().rev().fold(None, |found, row| if row.fits(situation) { Some(row) } else { found })
}

struct Question<'a> {
    asker: &'a Asker,
    deed: Deed,
    facts: &'a Facts,
    plea: &'a Plea,
    now: Timestamp,
    bounds: &'a Bounds,
}

impl Question<'_> {
    fn situation(&self, related_until: Option<Timestamp>) -> Situation {
        Situation {
            class: self.deed.class(),
            asking: self.asking(),
            purpose: self.plea.purpose,
            ground: self.plea.ground.kind(),
            backing: self.backing(),
            permission: self.plea.permission.kind(),
            standing: self.standing(),
            number: if self.facts.verified { Number::Verified } else { Number::Unverified },
            related: if related_until.is_some() { Related::Yes } else { Related::No },
            dissents: match self.facts.dissent {
                Dissent::Everywhere => DissentsToAll::Yes,
                Dissent::None | Dissent::Systems(_) => DissentsToAll::No,
            },
        }
    }

    fn asking(&self) -> Asking {
        let mut opened_by = self.deed.opened_by().iter().filter(|(role, _)| self.asker.roles.contains(role));
        if opened_by.clone().next().is_none() {
            return Asking::RoleMissing;
        }
        let Some((role, _)) = opened_by.find(|(_, activity)| self.asker.activities.contains(activity)) else {
            return Asking::ActivityMissing;
        };
        if self.bounds.roles_until(self.asker, self.now).is_none() {
            return Asking::RolesStale;
        }
        match role {
            Role::Reception => Asking::AsReception,
            Role::Clinician => Asking::AsClinician,
            Role::Administrator => Asking::AsAdministrator,
            // No deed here is an analyst's work.
            Role::Analyst => Asking::RoleMissing,
        }
    }

    fn backing(&self) -> Backing {
        let ground = &self.plea.ground;
        if ground.kind().needs().is_some_and(|activity| !self.asker.activities.contains(&activity)) {
            return Backing::ActivityMissing;
        }
        // In an emergency and before the law nobody need also say why the patient was not asked.
        let unasked = match (&self.plea.permission, ground.kind()) {
            (
                PermissionToView::CannotBeAsked { reason },
                GroundKind::Relationship | GroundKind::SelfClaimed,
            ) => Some(reason.as_str()),
            _ => None,
        };
        let fit = |reason: Option<&str>| reason.is_none_or(|reason| self.bounds.is_reason(reason));
        if fit(ground.reason()) && fit(unasked) { Backing::Enough } else { Backing::ReasonUnfit }
    }

    fn standing(&self) -> Standing {
        if !self.facts.known | (self.facts.restriction == Restriction::Denied) {
            Standing::Hidden
        } else if self.facts.deceased {
            Standing::Deceased
        } else {
            Standing::Open
        }
    }

    /// Until when the longest of the current relationships is current.
    fn related_until(&self) -> Option<Timestamp> {
        let relationships = self.facts.relationships.iter().take(RELATIONSHIPS_MAX);
        relationships.filter_map(|one| self.bounds.current_until(one, self.now)).max()
    }

    fn filled_in(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::NoActivity(named) => Refusal::NoActivity(self.missing().unwrap_or(named)),
            Refusal::RolesStale { .. } => {
                Refusal::RolesStale { bound: self.bounds.roles(self.asker.roles_kept) }
            }
            Refusal::ReasonMissing { .. } => {
                Refusal::ReasonMissing { characters_min: self.bounds.reason_characters_min }
            }
            other => other,
        }
    }

    /// The activity that the asker lacks for the deed, of the first of their roles whose work it is; none if they hold
    /// one that opens it, and what is missing is for the ground.
    fn missing(&self) -> Option<Activity> {
        let mut opened_by = self.deed.opened_by().iter().filter(|(role, _)| self.asker.roles.contains(role));
        let first = opened_by.clone().next().map(|(_, activity)| *activity);
        let is_open = opened_by.any(|(_, activity)| self.asker.activities.contains(activity));
        first.filter(|_| !is_open)
    }

    fn grant(&self, row: &'static str, opens: Opens, related_until: Option<Timestamp>) -> Grant {
        let Opens { shows, lasts, sensitive, alert } = opens;
        let boxed = self.now.plus(lasts.duration(self.bounds));
        // Only what rests on the relationship ends with it.
        let rests_on_it = self.plea.ground.kind() == GroundKind::Relationship && shows == Shows::Record;
        let ends = [self.bounds.roles_until(self.asker, self.now), related_until.filter(|_| rests_on_it)];
        let location = self.facts.restriction == Restriction::Location;
        let systems = match &self.facts.dissent {
            Dissent::Systems(systems) => systems.clone(),
            Dissent::None | Dissent::Everywhere => BTreeSet::new(),
        };
        Grant {
            until: ends.into_iter().flatten().fold(boxed, Ord::min),
            withhold: Withhold { shows, systems, sensitive: !sensitive || self.deed.leaves(), location },
            alert,
            checkpoint_first: alert.is_some() || location,
            row,
        }
    }
}
