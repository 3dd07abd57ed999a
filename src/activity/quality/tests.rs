//! Each rule by an example, and the published example of the index.

use std::collections::BTreeSet;

use crate::{
    activity::{
        derive::{Ledger, Limits},
        maps::{ServiceKind, ServiceProfile},
        quality::month::{Expected, Review},
    },
    domain::{
        booking::CancelledBy,
        contact::{
            ConsultationType, Dataset, Evidence, EvidenceId, Facts, Mechanism, OutcomeOfAttendance, Patient,
            Reference as Name, ReferenceKind, Said, SlotType,
        },
        nhs_number::NhsNumber,
        time::Timestamp,
    },
};

use super::{score::Scores, *};

/// 2026-11-02T09:00:00Z, a Monday.
const NINE: i64 = 1_793_610_000_000;
const HOUR: i64 = 3_600_000;

fn maps() -> Maps {
    let profile = |id: &str, kind: ServiceKind, by_appointment: bool| ServiceProfile {
        id: id.parse().unwrap(),
        hub: "soho".parse().unwrap(),
        system: "pas".into(),
        kind,
        community_commissioned: true,
        treatment_time_measured: false,
        by_appointment,
        priced: false,
        main_specialty: None,
        treatment_function: None,
    };
    Maps::new(
        vec![
            profile("cardiology", ServiceKind::Consultant, true),
            profile("podiatry", ServiceKind::AlliedHealth, true),
            profile("urgent", ServiceKind::UrgentTreatment, false),
        ],
        Vec::new(),
    )
}

fn code(text: &str) -> Option<crate::domain::contact::Code> {
    text.parse().ok()
}

/// A statement of a contact against which nothing speaks.
fn good(said: Said) -> Evidence {
    Evidence {
        id: EvidenceId {
            hub: "soho".parse().unwrap(),
            system: "pas".into(),
            entry: said.kind().word().into(),
            part: 0,
        },
        at: Timestamp(if said == Said::Booked { NINE - 48 * HOUR } else { NINE + HOUR }),
        taken: Timestamp(if said == Said::Booked { NINE - 48 * HOUR } else { NINE + HOUR }),
        said,
        references: vec![Name { kind: ReferenceKind::Filler, issuer: "pas".into(), value: "1".into() }],
        replaces: Vec::new(),
        patient: Patient {
            nhs_number: NhsNumber::parse("9990000018").ok(),
            status: Some(NumberStatus::Verified),
            local: Vec::new(),
        },
        service: "cardiology".parse().ok(),
        slot_type: SlotType::default(),
        owner: None,
        start: Some(Timestamp(NINE)),
        day: None,
        facts: Facts {
            birth_date: "1950-03-01".parse().ok(),
            postcode: code("ZZ99 3VZ"),
            practice: code("D82809"),
            ethnic_category: code("A"),
            treatment_function: code("320"),
            main_specialty: code("320"),
            mechanism: Some(Mechanism::FaceToFace),
            consultation: Some(ConsultationType::Initial),
            outcome: Some(OutcomeOfAttendance::Discharged),
            referral: code("REF1"),
            referral_received: "2026-10-01".parse().ok(),
            ..Facts::default()
        },
        cleared: Vec::new(),
    }
}

use crate::domain::contact::NumberStatus;

fn contacts(statements: impl IntoIterator<Item = Evidence>) -> Vec<Contact> {
    let mut ledger = Ledger::new(Arc::new(maps()), Limits::default());
    let (_, left) = ledger.take_all(statements);
    assert!(left.is_empty());
    ledger.contacts().collect()
}

/// The rules broken by a contact whose attendance (or else) is stated so, looked at on a day.
fn broken_on(today: &str, said: Said, change: impl Fn(&mut Evidence)) -> BTreeSet<&'static str> {
    let mut statements = vec![good(Said::Booked)];
    if said != Said::Booked {
        statements.push(good(said));
    }
    statements.iter_mut().for_each(change);
    let contact = contacts(statements).remove(0);
    let (maps, lists, reference) = (maps(), CodeLists::standard(), Reference::default());
    let context =
        Context { maps: &maps, lists: &lists, reference: &reference, today: today.parse().unwrap() };
    check(&contact, &context).iter().map(|finding| finding.rule.id).collect()
}

fn broken(said: Said, change: impl Fn(&mut Evidence)) -> BTreeSet<&'static str> {
    broken_on("2026-11-10", said, change)
}

#[test]
fn nothing_speaks_against_a_good_contact() {
    assert_eq!(broken(Said::Attended, |_| {}), BTreeSet::new());
    assert_eq!(broken_on("2026-11-01", Said::Booked, |_| {}), BTreeSet::new());
}

#[test]
fn each_rule_of_one_contact_is_broken_by_its_example_and_no_other_is() {
    type Example = (&'static str, Said, fn(&mut Evidence));
    let examples: [Example; 21] = [
        ("DQ-002", Said::Attended, |said| said.patient.status = Some(NumberStatus::NotTraced)),
        ("DQ-003", Said::Attended, |said| said.facts.birth_date = "1879-12-31".parse().ok()),
        ("DQ-003", Said::Attended, |said| said.facts.birth_date = "2026-11-03".parse().ok()),
        ("DQ-004", Said::Attended, |said| said.facts.birth_date = None),
        ("DQ-005", Said::Attended, |said| said.facts.postcode = None),
        ("DQ-006", Said::Attended, |said| said.facts.practice = None),
        ("DQ-010", Said::Attended, |said| said.facts.treatment_function = code("999")),
        ("DQ-011", Said::Attended, |said| said.facts.main_specialty = code("999")),
        ("DQ-012", Said::Booked, |_| {}),
        ("DQ-014", Said::Attended, |said| said.facts.mechanism = Some(Mechanism::Email)),
        ("DQ-015", Said::Attended, |said| said.facts.outcome = None),
        ("DQ-016", Said::Attended, |said| said.facts.referral_received = "2026-11-03".parse().ok()),
        ("DQ-016", Said::Attended, |said| {
            said.facts.referral_received = None;
            said.facts.referral_source = code("03");
        }),
        ("DQ-017", Said::Attended, |said| said.facts.treatment_status = code("30")),
        ("DQ-018", Said::DidNotAttend, |said| {
            said.facts.procedures = Some(code("X11").into_iter().collect())
        }),
        ("DQ-019", Said::Attended, |said| {
            said.service = "podiatry".parse().ok();
            said.facts.referral = None;
        }),
        ("DQ-020", Said::Attended, |said| said.facts.ethnic_category = code("Z")),
        ("DQ-023", Said::Attended, |said| said.service = None),
        ("DQ-024", Said::Attended, |said| said.taken = Timestamp(said.taken.0 + 73 * HOUR)),
        ("DQ-026", Said::Cancelled(None), |_| {}),
        ("DQ-016", Said::Attended, |said| {
            said.facts.referral_received = None;
            said.facts.referral_source = code("15");
        }),
    ];
    for (rule, said, change) in examples {
        assert_eq!(broken(said, change), BTreeSet::from([rule]));
    }
    let without = |said: &mut Evidence| said.patient.nhs_number = None;
    assert_eq!(broken(Said::Attended, without), BTreeSet::from(["DQ-001", "DQ-002"]));
    assert_eq!(broken_on("2026-11-01", Said::Attended, |_| {}), BTreeSet::from(["DQ-013"]));
    assert_eq!(broken(Said::Cancelled(Some(CancelledBy::Provider)), |_| {}), BTreeSet::new());
}

#[test]
fn a_month_shows_what_one_contact_does_not() {
    let mut twin = good(Said::Attended);
    twin.references[0].value = "2".into();
    let mut later = good(Said::Attended);
    later.id.entry = "later".into();
    later.references[0].value = "3".into();
    later.start = Some(Timestamp(NINE + 48 * HOUR));
    let mut review = Review::default();
    let mut all = contacts([good(Said::Booked), good(Said::Attended), later]);
    all.extend(contacts([twin]));
    all.sort_by_key(|contact| contact.start);
    let found: Vec<Finding> = all.iter().flat_map(|contact| review.add(contact)).collect();
    assert_eq!(found.iter().map(|finding| finding.rule.id).collect::<Vec<_>>(), ["DQ-101"]);
    let day = |text: &str| text.parse::<Date>().unwrap();
    let expected = Expected {
        open: [("cardiology".parse().unwrap(), BTreeSet::from([day("2026-11-02"), day("2026-11-05")]))]
            .into(),
        usual: [("cardiology".parse().unwrap(), [1, 0, 0, 0, 0, 0, 0])].into(),
    };
    let found = review.finish("2026-11".parse().unwrap(), &expected);
    let ids: Vec<&str> = found.iter().map(|finding| finding.rule.id).collect();
    assert_eq!(ids, ["DQ-103", "DQ-104", "DQ-105"]);
}

#[test]
fn rules_have_names_of_their_own_and_words() {
    let ids: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    for rule in RULES {
        assert!(!rule.what.is_empty() && !rule.to_do.is_empty() && rule.what.ends_with('.'));
    }
    let marked: Vec<&str> = RULES.iter().filter(|rule| !rule.is_confirmed).map(|rule| rule.id).collect();
    assert_eq!(marked, ["DQ-005", "DQ-024", "DQ-026"]);
}

#[test]
fn the_index_is_that_of_the_published_example() {
    // Twelve items whose scores sum to 9.7, twelve coverages that sum to 7: 47.15, published as 47.2.
    let scores = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.7, 0.0, 0.0];
    let coverages = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let index = score::index(&scores, &coverages).unwrap();
    assert_eq!(format!("{index:.2}"), "47.15");
    assert_eq!(score::index(&[], &coverages), None);
    assert_eq!(score::coverage(9, 12), Some(0.75));
    assert_eq!(score::coverage(0, 0), None);
}

#[test]
fn defaults_beyond_the_threshold_lower_an_items_score() {
    let item = score::Item { records: 100, valid: 90, defaults: 20 };
    assert!((item.score(0.05).unwrap() - 0.75).abs() < 1e-9);
    assert!((item.score(0.5).unwrap() - 0.9).abs() < 1e-9);
    let mut scores = Scores::default();
    for contact in contacts([good(Said::Booked), good(Said::Attended)]) {
        scores.add(&contact, Dataset::Cds020, &[]);
    }
    let worst = scores.of(Dataset::Cds020, 0.0);
    assert_eq!(worst.len(), score::ITEMS.len() + 1);
    assert_eq!(worst.first().map(|(_, _, score)| *score), Some(0.0), "no commissioner, no gender");
}
