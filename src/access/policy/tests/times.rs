//! Bounds in time and length, at any moment.

use std::time::Duration;

use proptest::prelude::*;

use crate::{access::policy::*, domain::time::Timestamp};

use super::cases::{DAY, NOW, clinician};

const MILLISECONDS: std::ops::Range<i64> = -160 * DAY..40 * DAY;

fn moment(offset: i64) -> Timestamp {
    Timestamp(NOW.0 + offset)
}

fn usual() -> Plea {
    Plea { ground: Ground::Relationship, permission: PermissionToView::Given, purpose: Purpose::DirectCare }
}

fn patient(relationship: Relationship) -> Facts {
    Facts {
        known: true,
        verified: true,
        restriction: Restriction::None,
        relationships: vec![relationship],
        ..Facts::default()
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

proptest! {
    #[test]
    fn a_relationship_opens_within_its_window_and_at_no_other_time(
        basis in proptest::sample::select(Basis::ALL), since in MILLISECONDS, lasts in proptest::option::of(0..90 * DAY),
    ) {
        let bounds = Bounds::default();
        let until = lasts.map(|lasts| moment(since + lasts));
        let facts = patient(Relationship { basis, since: moment(since), until });
        let decision = decide(&clinician(), Deed::ViewRecord, &facts, &usual(), NOW, &bounds);
        let window = bounds.window(basis);
        let end = since + lasts.unwrap_or(milliseconds(window.open)) + milliseconds(window.after);
        let is_current = since - milliseconds(window.before) <= 0 && 0 <= end;
        match decision {
            Decision::Permit(grant) => {
                prop_assert!(is_current);
                let view = milliseconds(bounds.view);
                prop_assert_eq!(grant.until, moment(end.min(view)));
            }
            Decision::Refuse(refusal) => {
                prop_assert!(!is_current);
                prop_assert_eq!(refusal, Refusal::NoRelationship);
            }
        }
    }

    #[test]
    fn roles_are_believed_for_their_bound_and_no_permit_outlives_it(
        kept in proptest::sample::select(Kept::ALL), ago in -40 * DAY..40 * DAY,
    ) {
        let bounds = Bounds::default();
        let asker = Asker { roles_confirmed: moment(-ago), roles_kept: kept, ..clinician() };
        let facts = patient(Relationship { basis: Basis::Arrived, since: NOW, until: Some(NOW) });
        let left = milliseconds(bounds.roles(kept)) - ago;
        let is_set_back = ago < -milliseconds(bounds::CLOCKS_DIFFER_MAX);
        let decision = decide(&asker, Deed::ViewRecord, &facts, &usual(), NOW, &bounds);
        if left < 0 || is_set_back {
            prop_assert_eq!(decision, Decision::Refuse(Refusal::RolesStale { bound: bounds.roles(kept) }));
        } else {
            let Decision::Permit(grant) = decision else { return Err(TestCaseError::fail("refused")) };
            prop_assert_eq!(grant.until, moment(left.min(milliseconds(bounds.view))));
        }
    }

    #[test]
    fn a_reason_is_counted_in_characters_without_its_edges(reason in "[ a-zé]{0,20}|[a-zé]{480,520}") {
        let characters = reason.trim().chars().count();
        let plea = Plea { ground: Ground::Emergency { reason }, ..usual() };
        let facts = Facts { relationships: vec![], ..patient(Relationship { basis: Basis::Ticket, since: NOW, until: None }) };
        let bounds = Bounds::default();
        match decide(&clinician(), Deed::ViewRecord, &facts, &plea, NOW, &bounds) {
            Decision::Permit(grant) => {
                prop_assert!((10..=500).contains(&characters));
                prop_assert_eq!(grant.until, NOW.plus(bounds.emergency));
                prop_assert_eq!(grant.alert, Some(Alert::Emergency));
                prop_assert!(grant.checkpoint_first);
            }
            Decision::Refuse(refusal) => {
                prop_assert!(!(10..=500).contains(&characters));
                prop_assert_eq!(refusal, Refusal::ReasonMissing { characters_min: 10 });
            }
        }
    }

    #[test]
    fn no_moment_at_all_makes_it_panic(
        now in any::<i64>(), since in any::<i64>(), until in any::<Option<i64>>(), confirmed in any::<i64>(),
        basis in proptest::sample::select(Basis::ALL),
    ) {
        let asker = Asker { roles_confirmed: Timestamp(confirmed), ..clinician() };
        let facts = patient(Relationship { basis, since: Timestamp(since), until: until.map(Timestamp) });
        let bounds = Bounds::default();
        if let Decision::Permit(grant) = decide(&asker, Deed::ViewRecord, &facts, &usual(), Timestamp(now), &bounds) {
            prop_assert!(Timestamp(now) <= grant.until);
        }
    }
}

#[test]
fn the_bounds_that_are_shipped_are_within_what_may_be_set_and_no_further() {
    assert_eq!(Bounds::default().checked(), Ok(Bounds::default()));
    let day = Duration::from_secs(24 * 3600);
    let far = [
        Bounds { emergency: 9 * day, ..Bounds::default() },
        Bounds { legal: Duration::ZERO, ..Bounds::default() },
        Bounds { view: day, ..Bounds::default() },
        Bounds { roles_elsewhere: 4 * day, ..Bounds::default() },
        Bounds { roles_here: 93 * day, ..Bounds::default() },
        Bounds { reason_characters_min: 9, ..Bounds::default() },
        Bounds { booked: Window { before: 93 * day, after: day, open: day }, ..Bounds::default() },
        Bounds { ticket: Window { before: day, after: day, open: 401 * day }, ..Bounds::default() },
    ];
    for bounds in far {
        assert!(bounds.clone().checked().is_err(), "{bounds:?}");
    }
}

#[test]
fn more_relationships_than_are_looked_at_do_no_harm() {
    let past = super::cases::past();
    let mut facts = patient(past);
    facts.relationships = vec![past; RELATIONSHIPS_MAX];
    facts.relationships.push(super::cases::current());
    let decision = decide(&clinician(), Deed::ViewRecord, &facts, &usual(), NOW, &Bounds::default());
    assert_eq!(decision, Decision::Refuse(Refusal::NoRelationship));
}
