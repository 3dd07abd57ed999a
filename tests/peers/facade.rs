//! FHIR R4: fhir.resources takes everything that the record's facade gives, the patient summary too.

use polygate::{
    codec::fhir::r4::{
        AuditLine, AuditOutcome, Author, Issue, Reading, audit_event, capability_statement, outcome, summary,
        write,
    },
    domain::{
        nhs_number::NhsNumber,
        one_record::{Parts, assemble},
    },
};

use serde_json::Value;

use crate::{
    chart::{self, AT, BASE, all, ids, withheld},
    fhir::hold_to,
};

/// Holds to R4 what is written, and not the tree it is written from.
fn hold(given: &[Value]) {
    let written: Vec<Value> = given.iter().map(|one| serde_json::from_slice(&write(one)).unwrap()).collect();
    hold_to("R4B", &written);
}

#[test]
fn everything_of_a_full_record_is_r4() {
    hold(&all(&chart::record(), &withheld()));
}

#[test]
fn summaries_of_nobody_knows_what_are_r4() {
    let (ids, withheld) = (ids(), withheld());
    let record = assemble(Parts::default(), AT);
    let nameless = Author { name: String::new(), organisation: String::new() };
    let given: Vec<_> = [&withheld[..], &[]]
        .map(|held| summary(&Reading::new(&record, held, BASE, &ids), &nameless, AT))
        .into();
    hold(&given);
}

#[test]
fn what_is_said_beside_records_is_r4() {
    let line = |outcome, deed: &str| AuditLine {
        number: 7,
        at: AT,
        user: "orla".to_owned(),
        name: "Orla Example".to_owned(),
        roles: "clinician".to_owned(),
        job_role: String::new(),
        organisation: "5LC01".to_owned(),
        device: "desk 3".to_owned(),
        deed: deed.to_owned(),
        outcome,
        patient: NhsNumber::parse("9990000018").ok(),
        ground: "relationship".to_owned(),
        reason: String::new(),
        hub: "soho".to_owned(),
    };
    let outcomes = [AuditOutcome::Done, AuditOutcome::Refused, AuditOutcome::Failed];
    let mut given: Vec<_> =
        outcomes.map(|outcome| audit_event(&line(outcome, "record.view"), BASE, &ids())).into();
    given.push(audit_event(
        &AuditLine { patient: None, ..line(AuditOutcome::Done, "sign-in") },
        BASE,
        &ids(),
    ));
    given.push(outcome(&[]));
    given.push(outcome(&[Issue::error("forbidden", "Not available")]));
    given.push(capability_statement("Soho", BASE, AT));
    hold(&given);
}
