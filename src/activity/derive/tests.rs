//! Contacts of statements: each rule by an example, and the same contacts in whatever order, batch and number.

mod orders;
mod people;
mod rules;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    activity::maps::{MapRow, Maps, ServiceKind, ServiceProfile},
    domain::{
        contact::{
            Contact, Evidence, EvidenceId, Facts, LocalId, NumberStatus, Patient, Reference, ReferenceKind,
            Said, SlotType, State,
        },
        nhs_number::NhsNumber,
        time::Timestamp,
    },
};

use super::*;

/// 2026-11-02T09:00:00Z, a Monday.
const MONDAY_NINE: i64 = 1_793_610_000_000;
const MINUTE: i64 = 60_000;

/// A moment so many minutes after Monday's nine o'clock.
fn at(minutes: i64) -> Timestamp {
    Timestamp(MONDAY_NINE + minutes * MINUTE)
}

fn maps() -> Arc<Maps> {
    let service = |id: &str, system: &str| ServiceProfile {
        id: id.parse().unwrap(),
        hub: "soho".parse().unwrap(),
        system: system.into(),
        kind: ServiceKind::AlliedHealth,
        community_commissioned: true,
        treatment_time_measured: false,
        by_appointment: true,
        priced: true,
        main_specialty: None,
        treatment_function: None,
    };
    let row = |system: &str, clinic: &str, service: &str| MapRow {
        system: system.into(),
        clinic: Some(clinic.into()),
        slot: None,
        service: service.parse().unwrap(),
        from: "2020-01-01".parse().unwrap(),
        until: None,
    };
    let services = vec![service("podiatry", "rio"), service("dietetics", "rio"), service("minor", "emis")];
    let rows = vec![
        row("rio", "FOOT", "podiatry"),
        row("emis", "Feet", "podiatry"),
        row("rio", "DIET", "dietetics"),
        row("emis", "Minor", "minor"),
    ];
    Arc::new(Maps::new(services, rows))
}

fn ledger() -> Ledger {
    Ledger::new(maps(), Limits::default())
}

/// A statement of RiO about a podiatry appointment of patient 0 on Monday at nine, unless changed.
fn say(system: &str, entry: &str, said: Said, minutes: i64) -> Evidence {
    Evidence {
        id: EvidenceId { hub: "soho".parse().unwrap(), system: system.into(), entry: entry.into(), part: 0 },
        said,
        at: at(minutes),
        taken: at(minutes + 1),
        references: Vec::new(),
        replaces: Vec::new(),
        patient: patient(0),
        service: None,
        slot_type: SlotType {
            clinic: if system == "emis" { "Feet".into() } else { "FOOT".into() },
            slot: "".into(),
        },
        owner: None,
        start: Some(at(0)),
        day: None,
        facts: Facts::default(),
        cleared: Vec::new(),
    }
}

fn named(mut statement: Evidence, kind: ReferenceKind, issuer: &str, value: &str) -> Evidence {
    statement.references.push(reference(kind, issuer, value));
    statement
}

fn filler(statement: Evidence, value: &str) -> Evidence {
    let issuer = statement.id.system.clone();
    named(statement, ReferenceKind::Filler, &issuer, value)
}

fn reference(kind: ReferenceKind, issuer: &str, value: &str) -> Reference {
    Reference { kind, issuer: issuer.into(), value: value.into() }
}

fn patient(number: usize) -> Patient {
    let numbers = ["9990000018", "9990000026", "9990000034", "9990000042"];
    Patient {
        nhs_number: NhsNumber::parse(numbers[number]).ok(),
        status: Some(NumberStatus::Verified),
        local: Vec::new(),
    }
}

fn local(system: &str, value: &str) -> LocalId {
    LocalId { system: system.into(), value: value.into() }
}

fn taken(statements: impl IntoIterator<Item = Evidence>) -> Ledger {
    let mut ledger = ledger();
    for statement in statements {
        let taken = ledger.take(statement).unwrap();
        assert!(!matches!(taken, Taken::Closed(_)), "no month is put away here");
    }
    ledger
}

/// Every contact by its name.
fn all(ledger: &Ledger) -> BTreeMap<String, Contact> {
    let all: BTreeMap<String, Contact> =
        ledger.contacts().map(|contact| (contact.id.to_string(), contact)).collect();
    assert_eq!(all.len(), ledger.contacts().count(), "a name is of one contact");
    all
}

/// The only contact.
fn only(ledger: &Ledger) -> Contact {
    let mut all = all(ledger).into_values();
    let contact = all.next().expect("a contact");
    assert_eq!(all.count(), 0, "one contact");
    contact
}

fn states(ledger: &Ledger) -> Vec<State> {
    let mut states: Vec<State> = ledger.contacts().map(|contact| contact.state).collect();
    states.sort_unstable();
    states
}
