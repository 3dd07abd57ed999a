//! Every combination of what a question can hold, as plain values.

use std::collections::BTreeSet;

use crate::{
    access::{Role, policy::*},
    domain::time::Timestamp,
};

pub(super) const NOW: Timestamp = Timestamp(1_795_000_000_000);
pub(super) const DAY: i64 = 24 * 3600 * 1000;
pub(super) const FIT: &str = "seen at the walk-in desk just now";
pub(super) const UNFIT: &str = "   short   ";

pub(super) fn asker(roles: &[Role], activities: impl IntoIterator<Item = Activity>, is_stale: bool) -> Asker {
    Asker {
        user: "kestrel".to_owned(),
        name: "K. Kestrel".to_owned(),
        roles: roles.to_vec(),
        job_role: String::new(),
        activities: activities.into_iter().collect(),
        organisation: "X99999".to_owned(),
        roles_confirmed: Timestamp(NOW.0 - if is_stale { 31 * DAY } else { DAY }),
        roles_kept: Kept::Here,
    }
}

/// A clinician who may everything.
pub(super) fn clinician() -> Asker {
    asker(&[Role::Clinician], Activity::ALL.iter().copied(), false)
}

/// Somebody with each set of roles and each set of activities that makes a difference, fresh and stale.
pub(super) fn askers() -> Vec<Asker> {
    let all = || Activity::ALL.iter().copied();
    let but = |gone: &[Activity]| all().filter(|one| !gone.contains(one)).collect::<Vec<_>>();
    use Activity::*;
    let roles: [&[Role]; 7] = [
        &[],
        &[Role::Reception],
        &[Role::Clinician],
        &[Role::Analyst],
        &[Role::Administrator],
        &[Role::Clinician, Role::Reception],
        &[Role::Administrator, Role::Clinician],
    ];
    let activities = [all().collect(), but(&[EmergencyAccess, LegalAccess]), vec![]];
    let mut found = Vec::new();
    for roles in roles {
        for activities in &activities {
            found.push(asker(roles, activities.iter().copied(), false));
        }
        let usual = Table::default().activities("", roles, &BTreeSet::new());
        found.push(asker(roles, usual, false));
    }
    for gone in [vec![ViewDetailed], vec![ViewSummary], vec![EmergencyAccess], vec![LegalAccess]] {
        found.push(asker(&[Role::Clinician], but(&gone), false));
    }
    for roles in [&[Role::Clinician], &[Role::Reception], &[Role::Administrator]] {
        found.push(asker(roles, all(), true));
    }
    found
}

/// One of each reason there can be to show somebody or not.
pub(super) fn patients() -> Vec<Facts> {
    let mut found = Vec::new();
    for (known, verified, restriction, deceased) in [
        (false, true, Restriction::None, false),
        (false, false, Restriction::Denied, true),
        (true, true, Restriction::Denied, false),
        (true, false, Restriction::Denied, true),
        (true, true, Restriction::Location, false),
        (true, true, Restriction::None, false),
        (true, false, Restriction::None, false),
        (true, true, Restriction::None, true),
        (true, false, Restriction::Location, true),
    ] {
        found.push(Facts { known, verified, restriction, deceased, ..Facts::default() });
    }
    found
}

pub(super) fn dissents() -> Vec<Dissent> {
    vec![Dissent::None, Dissent::Systems(BTreeSet::from(["rio".to_owned()])), Dissent::Everywhere]
}

pub(super) fn current() -> Relationship {
    Relationship { basis: Basis::Booked, since: NOW, until: Some(Timestamp(NOW.0 + 1_200_000)) }
}

pub(super) fn past() -> Relationship {
    Relationship { since: Timestamp(NOW.0 - 40 * DAY), until: Some(Timestamp(NOW.0 - 40 * DAY)), ..current() }
}

pub(super) fn relationships() -> Vec<Vec<Relationship>> {
    vec![vec![], vec![past(), current()], vec![past()]]
}

pub(super) fn grounds() -> Vec<Ground> {
    let reasons = || [FIT, UNFIT].map(str::to_owned).into_iter();
    let mut found = vec![Ground::Relationship];
    found.extend(reasons().map(|reason| Ground::SelfClaimed { reason }));
    found.extend(reasons().map(|reason| Ground::Emergency { reason }));
    found.extend(reasons().map(|reason| Ground::Legal { reason }));
    found
}

pub(super) fn permissions() -> Vec<PermissionToView> {
    let mut found = vec![PermissionToView::Given, PermissionToView::NotAsked, PermissionToView::Refused];
    let cannot = |reason: &str| PermissionToView::CannotBeAsked { reason: reason.to_owned() };
    found.extend([FIT, UNFIT].map(cannot));
    found
}

pub(super) fn pleas() -> Vec<Plea> {
    let mut found = Vec::new();
    for ground in grounds() {
        for permission in permissions() {
            for purpose in Purpose::ALL {
                found.push(Plea {
                    ground: ground.clone(),
                    permission: permission.clone(),
                    purpose: *purpose,
                });
            }
        }
    }
    found
}

/// Every patient with every dissent and every relationship.
pub(super) fn facts() -> Vec<Facts> {
    let mut found = Vec::new();
    for patient in patients() {
        for dissent in dissents() {
            for relationships in relationships() {
                found.push(Facts { dissent: dissent.clone(), relationships, ..patient.clone() });
            }
        }
    }
    found
}

/// Deeds that stand for all: one of each class, of those whose work it is, and of leaving or not.
pub(super) fn deeds() -> Vec<Deed> {
    let mut found: Vec<Deed> = Vec::new();
    let what = |deed: Deed| (deed.class(), deed.opened_by(), deed.leaves());
    for deed in Deed::ALL {
        if !found.iter().any(|known| what(*known) == what(*deed)) {
            found.push(*deed);
        }
    }
    found
}
