//! What evidence looks like when it is written down, and when it is shown.

use crate::domain::time::Timestamp;

use super::*;

fn evidence() -> Evidence {
    Evidence {
        id: EvidenceId {
            hub: "soho".parse().unwrap(),
            system: "rio".into(),
            entry: "RIO|4711".into(),
            part: 0,
        },
        said: Said::DidNotAttend,
        at: Timestamp(1_795_000_000_000),
        taken: Timestamp(1_795_000_060_000),
        references: vec![Reference {
            kind: ReferenceKind::Filler,
            issuer: "rio".into(),
            value: "A-99".into(),
        }],
        replaces: Vec::new(),
        patient: Patient {
            nhs_number: crate::domain::nhs_number::NhsNumber::parse("9990000018").ok(),
            status: Some(NumberStatus::Verified),
            local: vec![LocalId { system: "rio".into(), value: "R777".into() }],
        },
        service: None,
        slot_type: SlotType { clinic: "FOOT1".into(), slot: "".into() },
        owner: None,
        start: Some(Timestamp(1_795_000_000_000)),
        day: None,
        facts: Facts { treatment_function: "653".parse().ok(), ..Facts::default() },
        cleared: vec![FactName::Outcome],
    }
}

#[test]
fn evidence_reads_back_as_it_was_written() {
    let text = serde_json::to_string(&evidence()).unwrap();
    assert!(text.contains(r#""said":"did-not-attend""#), "{text}");
    assert!(text.contains(r#""facts":{"treatment-function":"653"}"#), "{text}");
    assert!(serde_json::from_str::<Evidence>(&text).unwrap() == evidence());
}

#[test]
fn debug_shows_no_patient() {
    let shown = format!("{:?} {:?}", evidence(), evidence().patient.local);
    assert!(!shown.contains("999") && !shown.contains("R777") && !shown.contains("653"), "{shown}");
}

#[test]
fn what_is_too_much_is_said() {
    assert_eq!(evidence().check(), Ok(()));
    let mut many = evidence();
    many.references = std::iter::repeat_n(many.references[0].clone(), 9).collect();
    assert_eq!(many.check(), Err(Shape::References));
    let mut long = evidence();
    long.references[0].value = "x".repeat(251).into();
    assert_eq!(long.check(), Err(Shape::Text));
    let mut coded = evidence();
    coded.facts.procedures = Some(std::iter::repeat_n("X".parse().unwrap(), CODES_MAX + 1).collect());
    assert_eq!(coded.check(), Err(Shape::Codes));
    let mut local = evidence();
    local.patient.local = std::iter::repeat_n(local.patient.local[0].clone(), 9).collect();
    assert_eq!(local.check(), Err(Shape::LocalIds));
}
