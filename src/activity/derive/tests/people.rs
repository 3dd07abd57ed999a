//! Who is who: numbers that come late, merges, and numbers that are worth nothing.

use super::*;

fn in_rio(entry: &str, value: &str, numbers: Patient) -> Evidence {
    let mut statement = filler(say("rio", entry, Said::Booked, -2000), value);
    statement.patient = numbers;
    statement
}

fn in_emis(entry: &str, value: &str, numbers: Patient) -> Evidence {
    let mut statement = filler(say("emis", entry, Said::Booked, -1990), value);
    statement.patient = numbers;
    statement
}

fn with_local(number: Option<usize>, system: &str, value: &str) -> Patient {
    let known = number.map(patient).unwrap_or_default();
    Patient { local: vec![local(system, value)], ..known }
}

#[test]
fn a_number_that_is_traced_late_brings_contacts_together() {
    let unknown = in_emis("1", "E1", with_local(None, "emis", "17"));
    let known = in_rio("1", "A1", patient(0));
    let mut traced = in_emis("2", "E2", with_local(Some(0), "emis", "17"));
    traced.start = Some(at(5 * 24 * 60));
    let mut ledger = taken([unknown.clone(), known.clone()]);
    assert_eq!(all(&ledger).len(), 2);
    let Taken::Changed(changes) = ledger.take(traced.clone()).unwrap() else { panic!("it is new") };
    assert_eq!(all(&ledger).len(), 2, "the traced one, and the two that are one now");
    let gone = changes.iter().find(|change| change.after.is_none()).expect("one is gone");
    let into = gone.into.expect("and it is known where to");
    assert_eq!(ledger.contact(gone.before.as_ref().unwrap().id).unwrap().id, into);
    assert_eq!(all(&ledger), all(&taken([traced, known, unknown])));
}

#[test]
fn patients_that_a_system_merges_are_one() {
    let mut merged = say("rio", "3", Said::PatientMerged(with_local(None, "rio", "2")), -100);
    merged.patient = with_local(None, "rio", "1");
    merged.start = None;
    let own = in_rio("1", "A1", with_local(Some(0), "rio", "1"));
    let mut elsewhere = in_emis("2", "E1", with_local(None, "rio", "2"));
    elsewhere.patient.local.push(local("emis", "9"));
    let mut ledger = taken([own.clone(), elsewhere.clone()]);
    assert_eq!(all(&ledger).len(), 2);
    assert!(matches!(ledger.take(merged.clone()), Ok(Taken::Changed(changes)) if !changes.is_empty()));
    assert_eq!(only(&ledger).evidence.len(), 2);
    assert_eq!(all(&ledger), all(&taken([merged, elsewhere, own])));
}

#[test]
fn a_local_number_that_two_patients_have_joins_nobody() {
    let first = in_rio("1", "A1", with_local(Some(0), "emis", "0"));
    let mut second = in_rio("2", "A2", with_local(Some(1), "emis", "0"));
    second.start = Some(at(60));
    let nobody = in_emis("1", "E1", with_local(None, "emis", "0"));
    for order in [[&first, &second, &nobody], [&nobody, &second, &first], [&second, &nobody, &first]] {
        assert_eq!(all(&taken(order.map(Clone::clone))).len(), 3);
    }
}

#[test]
fn a_number_that_was_not_found_links_nobody() {
    let doubtful = Patient { status: Some(NumberStatus::NoMatch), ..patient(0) };
    let ledger = taken([in_rio("1", "A1", patient(0)), in_emis("1", "E1", doubtful)]);
    assert_eq!(all(&ledger).len(), 2);
}
