//! Every question, against the rules written a second time, without looking at any row.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    access::{
        Role,
        policy::{rows::Then, *},
    },
    domain::record::ItemKind,
};

use super::cases::*;

/// What must come of a question: how, if at all.
#[derive(Debug, Eq, PartialEq)]
enum Due {
    Refused,
    Shown,
    ShownAndTold,
}

fn due(asker: &Asker, deed: Deed, facts: &Facts, plea: &Plea, is_stale: bool) -> Due {
    let has = |role: Role, code: &str| {
        asker.roles.contains(&role) && asker.activities.iter().any(|activity| activity.code() == code)
    };
    let is_shown = facts.known && facts.restriction != Restriction::Denied;
    let for_care = plea.purpose == Purpose::DirectCare;
    let is_related = facts.relationships.contains(&current());
    let when = |may: bool| if may && is_shown && !is_stale { Due::Shown } else { Due::Refused };
    match deed {
        Deed::ViewAppointments => {
            when(for_care && (has(Role::Reception, "B0820") || has(Role::Clinician, "B0820")))
        }
        Deed::RecordDissent => {
            when(for_care && (has(Role::Reception, "B0020") || has(Role::Clinician, "B0020")))
        }
        Deed::ViewShape => when(has(Role::Administrator, "B0062")),
        Deed::ViewViewers => {
            when(has(Role::Administrator, "B0011") || (has(Role::Clinician, "B0370") && is_related))
        }
        Deed::ViewSummary | Deed::Print | Deed::ExportSummary | Deed::FacadeSummary => {
            let may = when(for_care && has(Role::Clinician, "B0360"));
            if may == Due::Shown { clinical(asker, deed, facts, plea, is_related) } else { may }
        }
        _ => {
            let may = when(for_care && has(Role::Clinician, "B0370"));
            if may == Due::Shown { clinical(asker, deed, facts, plea, is_related) } else { may }
        }
    }
}

fn clinical(asker: &Asker, deed: Deed, facts: &Facts, plea: &Plea, is_related: bool) -> Due {
    let is_facade = matches!(deed, Deed::FacadeRead | Deed::FacadeSummary);
    let goes_away = is_facade || deed == Deed::ExportSummary;
    if facts.dissent == Dissent::Everywhere || (goes_away && !facts.verified) {
        return Due::Refused;
    }
    let holds = |code: &str| asker.activities.iter().any(|activity| activity.code() == code);
    let told = |may: bool| if may { Due::ShownAndTold } else { Due::Refused };
    let is_unasked = matches!(&plea.permission, PermissionToView::CannotBeAsked { reason } if reason == FIT);
    let is_given = plea.permission == PermissionToView::Given;
    match &plea.ground {
        Ground::Relationship if facts.deceased || !is_related => Due::Refused,
        Ground::Relationship if is_given => Due::Shown,
        _ if is_facade => Due::Refused,
        Ground::Relationship => told(is_unasked),
        Ground::SelfClaimed { reason } => told(!facts.deceased && reason == FIT && (is_given || is_unasked)),
        Ground::Emergency { reason } => told(reason == FIT && holds("B0168")),
        Ground::Legal { reason } => told(reason == FIT && holds("B0082")),
    }
}

/// Every asker, deed, patient and plea.
fn each(mut visit: impl FnMut(&Asker, Deed, &Facts, &Plea, &Decision)) -> usize {
    let (facts, pleas, bounds) = (facts(), pleas(), Bounds::default());
    let mut count = 0;
    for asker in askers() {
        for deed in deeds() {
            for facts in &facts {
                for plea in &pleas {
                    count += 1;
                    visit(&asker, deed, facts, plea, &decide(&asker, deed, facts, plea, NOW, &bounds));
                }
            }
        }
    }
    count
}

fn is_clinical(deed: Deed) -> bool {
    !matches!(deed, Deed::ViewAppointments | Deed::RecordDissent | Deed::ViewShape | Deed::ViewViewers)
}

#[test]
fn every_question_is_answered_as_the_rules_say() {
    let mut permitted: BTreeMap<&str, usize> = BTreeMap::new();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let count = each(|asker, deed, facts, plea, decision| {
        let is_stale = asker.roles_confirmed.0 < NOW.0 - 30 * DAY;
        let due = due(asker, deed, facts, plea, is_stale);
        let found = match decision {
            Decision::Refuse(refusal) => {
                *refused.entry(refusal.word()).or_default() += 1;
                Due::Refused
            }
            Decision::Permit(grant) => {
                *permitted.entry(grant.row).or_default() += 1;
                holds_for_every_grant(asker, deed, facts, plea, grant);
                if grant.alert.is_some() { Due::ShownAndTold } else { Due::Shown }
            }
        };
        assert_eq!(found, due, "{deed:?} by {:?} of {facts:?} with {plea:?}", asker.roles);
    });
    println!("{count} questions");
    for (row, times) in &permitted {
        println!("{times:>8} permitted by {row}");
    }
    for (word, times) in &refused {
        println!("{times:>8} refused: {word}");
    }
    let permitting = table().filter(|row| matches!(row.then, Then::Permit(_)));
    for row in permitting {
        assert!(permitted.contains_key(row.id), "no question reaches {}", row.id);
    }
    // No question finds the table without a row for it, so `no-rule` is not among them.
    let all = [
        "dissent",
        "ground-not-allowed",
        "no-activity",
        "no-reason",
        "no-relationship",
        "no-role",
        "not-available",
        "other-purpose",
        "permission-missing",
        "permission-refused",
        "roles-stale",
    ];
    assert_eq!(refused.keys().copied().collect::<Vec<_>>(), all);
}

fn holds_for_every_grant(asker: &Asker, deed: Deed, facts: &Facts, plea: &Plea, grant: &Grant) {
    let withhold = &grant.withhold;
    assert!(NOW <= grant.until && grant.until <= NOW.plus(Duration::from_secs(3600)));
    assert!(facts.known && facts.restriction != Restriction::Denied);
    assert_eq!(withhold.location, facts.restriction == Restriction::Location);
    assert!(grant.checkpoint_first || (grant.alert.is_none() && !withhold.location));
    match &facts.dissent {
        Dissent::Systems(systems) => assert_eq!(&withhold.systems, systems),
        Dissent::None => assert!(withhold.systems.is_empty()),
        Dissent::Everywhere => assert!(!is_clinical(deed)),
    }
    if is_clinical(deed) {
        assert!(asker.roles.contains(&Role::Clinician) && plea.purpose == Purpose::DirectCare);
        assert_eq!(withhold.shows, Shows::Record);
        let is_usual = plea.ground == Ground::Relationship
            && plea.permission == PermissionToView::Given
            && !deed.leaves();
        assert_eq!(withhold.sensitive, !is_usual);
        assert_eq!(
            grant.alert.is_some(),
            plea.ground != Ground::Relationship || plea.permission != PermissionToView::Given
        );
    } else {
        assert!(grant.alert.is_none() && withhold.sensitive);
        for kind in ItemKind::ALL {
            let is_office = matches!(kind, ItemKind::Demographics | ItemKind::Appointment);
            let is_open = withhold.item(kind, "emis", Sensitivity::Ordinary).is_none();
            assert!(!is_open || (is_office && deed == Deed::ViewAppointments));
        }
    }
}

#[test]
fn unknown_and_not_to_be_shown_are_one_answer_to_everybody() {
    let bounds = Bounds::default();
    let hidden: Vec<Facts> = facts()
        .into_iter()
        .filter(|facts| !facts.known || facts.restriction == Restriction::Denied)
        .collect();
    let unknown = Facts::default();
    let mut count = 0;
    for asker in askers() {
        for deed in deeds() {
            for plea in pleas() {
                let one = decide(&asker, deed, &unknown, &plea, NOW, &bounds);
                let Decision::Refuse(refusal) = &one else { panic!("an unknown patient was shown") };
                for facts in &hidden {
                    let other = decide(&asker, deed, facts, &plea, NOW, &bounds);
                    assert_eq!(one, other);
                    let Decision::Refuse(other) = other else { panic!("a hidden patient was shown") };
                    assert_eq!((refusal.to_string(), refusal.word()), (other.to_string(), other.word()));
                    count += 1;
                }
            }
        }
    }
    println!("{count} pairs of an unknown and a hidden patient, each with one answer");
}

/// Nor does another system learn who has been here.
#[test]
fn a_facade_finds_nobody_who_is_not_cared_for_by_its_user() {
    let bounds = Bounds::default();
    for facts in facts().into_iter().filter(|facts| !facts.relationships.contains(&current())) {
        for plea in pleas() {
            for deed in [Deed::FacadeRead, Deed::FacadeSummary] {
                let found = decide(&clinician(), deed, &facts, &plea, NOW, &bounds);
                assert_eq!(found, decide(&clinician(), deed, &Facts::default(), &plea, NOW, &bounds));
            }
        }
    }
}

fn is_permitted(decision: &Decision) -> bool {
    matches!(decision, Decision::Permit(_))
}

/// Whoever loses an activity, a role, a relationship or the patient's word may afterwards nothing that they could not
/// before.
#[test]
fn less_never_allows_more() {
    let bounds = Bounds::default();
    let roles = [Role::Reception, Role::Clinician, Role::Administrator];
    let full = asker(&roles, Activity::ALL.iter().copied(), false);
    let mut lesser: Vec<Asker> = Vec::new();
    for gone in Activity::ALL {
        let left: BTreeSet<Activity> = full.activities.iter().copied().filter(|one| one != gone).collect();
        lesser.push(Asker { activities: left, ..full.clone() });
    }
    for gone in roles {
        let left: Vec<Role> = full.roles.iter().copied().filter(|one| *one != gone).collect();
        lesser.push(Asker { roles: left, ..full.clone() });
    }
    let mut lost = 0;
    for facts in facts() {
        let apart = Facts { relationships: vec![], ..facts.clone() };
        let dissenting = Facts { dissent: Dissent::Everywhere, ..facts.clone() };
        for plea in pleas() {
            let unasked = Plea { permission: PermissionToView::NotAsked, ..plea.clone() };
            for deed in deeds() {
                let before = is_permitted(&decide(&full, deed, &facts, &plea, NOW, &bounds));
                let others = lesser.iter().map(|asker| (asker, &facts, &plea));
                let more = [(&full, &apart, &plea), (&full, &dissenting, &plea)];
                for (asker, facts, plea) in others.chain(more) {
                    let after = is_permitted(&decide(asker, deed, facts, plea, NOW, &bounds));
                    assert!(before || !after, "{deed:?} {facts:?} {plea:?}");
                    lost += usize::from(before && !after);
                }
                // Not to have asked is never better than to have been told yes.
                if plea.permission == PermissionToView::Given {
                    let after = is_permitted(&decide(&full, deed, &facts, &unasked, NOW, &bounds));
                    assert!(before || !after);
                }
            }
        }
    }
    assert!(0 < lost);
    println!(
        "{lost} permits were lost with an activity, a role, a relationship or the patient's word; none was won"
    );
}

/// Reception by its baseline, and even with every activity there is.
#[test]
fn reception_analysts_and_administrators_have_no_way_to_clinical_content() {
    let bounds = Bounds::default();
    for roles in [
        vec![Role::Reception],
        vec![Role::Analyst],
        vec![Role::Administrator],
        vec![Role::Reception, Role::Analyst, Role::Administrator],
    ] {
        let asker = asker(&roles, Activity::ALL.iter().copied(), false);
        for deed in Deed::ALL.iter().copied().filter(|deed| is_clinical(*deed)) {
            for facts in facts() {
                for plea in pleas() {
                    let decision = decide(&asker, deed, &facts, &plea, NOW, &bounds);
                    assert_eq!(decision, Decision::Refuse(Refusal::NoRole));
                }
            }
        }
    }
}

#[test]
fn what_was_said_is_in_no_debug_output() {
    for plea in pleas() {
        let shown = format!("{plea:?}");
        assert!(!shown.contains("walk-in") && !shown.contains("short"), "{shown}");
    }
}

#[test]
fn alerts_have_no_room_for_anybody_s_name() {
    for alert in Alert::ALL {
        let text = alert.text();
        assert!(text.starts_with("A record was viewed") && !text.contains(char::is_numeric));
        for activity in [Activity::ReceiveEmergencyAlerts, Activity::ReceiveSelfClaimedAlerts] {
            let claimed = alert.word().starts_with("self-claimed");
            assert_eq!(
                alert.for_whom() == activity,
                (activity == Activity::ReceiveSelfClaimedAlerts) == claimed
            );
        }
    }
}

#[test]
fn a_refusal_says_what_is_missing() {
    let bounds = Bounds::default();
    let plea = Plea {
        ground: Ground::Relationship,
        permission: PermissionToView::Given,
        purpose: Purpose::DirectCare,
    };
    let facts = Facts::default();
    let of = |asker: &Asker, deed| match decide(asker, deed, &facts, &plea, NOW, &bounds) {
        Decision::Refuse(refusal) => refusal.to_string(),
        Decision::Permit(_) => panic!("an unknown patient was shown"),
    };
    let nobody = asker(&[Role::Clinician], [], false);
    assert_eq!(
        of(&nobody, Deed::ViewResults),
        "this needs the activity B0370 (view detailed health records)"
    );
    assert_eq!(of(&nobody, Deed::ViewSummary), "this needs the activity B0360 (view summary health records)");
    let stale = asker(&[Role::Clinician], Activity::ALL.iter().copied(), true);
    assert!(of(&stale, Deed::ViewResults).contains("more than 30 days ago"));
    let away = Asker { roles_kept: Kept::Elsewhere, ..stale };
    assert!(of(&away, Deed::ViewResults).contains("more than 12 hours ago"));
}

#[test]
fn pds_codes_that_nobody_knows_deny() {
    assert_eq!(Restriction::of_pds(None, false), Restriction::None);
    assert_eq!(Restriction::of_pds(Some("U"), false), Restriction::None);
    assert_eq!(Restriction::of_pds(Some("R"), false), Restriction::Location);
    for code in ["V", "REDACTED", "", "u", "X"] {
        assert_eq!(Restriction::of_pds(Some(code), false), Restriction::Denied, "{code}");
    }
    for code in [None, Some("U"), Some("R")] {
        assert_eq!(Restriction::of_pds(code, true), Restriction::Denied);
    }
    assert_eq!(Facts::default().restriction, Restriction::Denied);
}

#[test]
fn only_the_word_of_gp_connect_is_direct_care() {
    assert_eq!(Purpose::of_word("directcare"), Purpose::DirectCare);
    for word in ["", "DirectCare", "directcare ", "secondaryuses", "research"] {
        assert_eq!(Purpose::of_word(word), Purpose::Other, "{word}");
    }
}
