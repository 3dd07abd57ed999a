//! The same contacts in any order, any batch, with any repetition, after a restart, and with months put away.

use proptest::{prelude::*, test_runner::TestCaseError};

use crate::domain::{booking::CancelledBy, contact::Mechanism};

use super::*;

/// A statement of two systems, three patients, few names and few times: so that they meet.
fn statement() -> impl Strategy<Value = Evidence> {
    let head = (0..3_usize, 0..3_usize, 0..6_usize, 0..14_usize);
    let times = (0..3_i64, -4000..4000_i64, 0..60_i64);
    (head, times, 0..40_u32, any::<bool>(), any::<bool>()).prop_map(
        |((system, person, name, said), (start, minutes, late), entry, has_local, has_number)| {
            let system = ["rio", "emis", "hub"][system];
            let said = match said {
                0..=3 => Said::Booked,
                4 | 5 => Said::Attended,
                6 => Said::DidNotAttend,
                7 => Said::Cancelled(Some(CancelledBy::Patient)),
                8 => Said::Cancelled(None),
                9 => Said::Moved,
                10 => Said::Withdrawn,
                11 => Said::Amended,
                12 => Said::Arrived,
                _ => Said::PatientMerged(Patient {
                    local: vec![local(system, &((person + 1) % 3).to_string())],
                    ..Patient::default()
                }),
            };
            let mut statement = say(system, &format!("{entry}-{minutes}-{name}"), said, minutes);
            statement.taken = at(minutes + late);
            statement.start = if start == 2 { None } else { Some(at(start * 24 * 60)) };
            statement.service = "podiatry".parse().ok();
            statement.patient = if has_number { patient(person) } else { Patient::default() };
            if has_local {
                statement.patient.local.push(local(system, &person.to_string()));
            }
            statement.facts.mechanism = Mechanism::ALL.get(usize::try_from(late).unwrap()).copied();
            match name {
                0 => statement,
                5 => {
                    let mut statement = filler(statement, "5");
                    statement.replaces.push(reference(ReferenceKind::Filler, system, "1"));
                    statement
                }
                name => filler(statement, &name.to_string()),
            }
        },
    )
}

/// Statements, and an order of them in which some come twice.
fn statements() -> impl Strategy<Value = (Vec<Evidence>, Vec<usize>)> {
    prop::collection::vec(statement(), 1..14).prop_flat_map(|mut statements| {
        // One identity, one content: what an adapter says of one entry does not change.
        statements.sort_by(|one, other| one.id.cmp(&other.id));
        statements.dedup_by(|one, other| one.id == other.id);
        let twice: Vec<usize> = (0..statements.len()).chain(0..statements.len()).collect();
        (Just(statements), Just(twice).prop_shuffle())
    })
}

fn same(one: &Ledger, other: &Ledger) -> Result<(), TestCaseError> {
    let (one, other) = (all(one), all(other));
    prop_assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (id, contact) in &one {
        prop_assert!(Some(contact) == other.get(id), "{contact:?} is {:?}: {contact:#?}", other.get(id));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn order_and_repetition_change_nothing((statements, order) in statements()) {
        let straight = taken(statements.clone());
        let other = taken(order.iter().map(|place| statements[*place].clone()));
        same(&straight, &other)?;
    }

    #[test]
    fn batches_and_what_is_told_of_them_come_to_the_same((statements, order) in statements(), size in 1..9_usize) {
        let straight = taken(statements.clone());
        let mut batched = ledger();
        let mut told: BTreeMap<String, Contact> = BTreeMap::new();
        for places in order.chunks(size) {
            let (changes, left) = batched.take_all(places.iter().map(|place| statements[*place].clone()));
            prop_assert!(left.is_empty());
            for change in &changes {
                if let Some(before) = &change.before {
                    let known = told.remove(&before.id.to_string());
                    prop_assert!(known.as_ref() == Some(&**before), "what was told before is what it was");
                }
                if let (Some(before), None) = (&change.before, &change.after) {
                    let leads = batched.contact(before.id).map(|contact| contact.id);
                    prop_assert!(change.into.is_some() && leads == change.into, "every name leads somewhere");
                }
            }
            for after in changes.into_iter().filter_map(|change| change.after) {
                prop_assert!(told.insert(after.id.to_string(), *after).is_none(), "told once");
            }
        }
        same(&straight, &batched)?;
        prop_assert!(told == all(&batched), "what was told is what is");
    }

    #[test]
    fn every_name_that_was_told_leads_to_a_contact_for_ever((statements, order) in statements()) {
        let mut ledger = ledger();
        let mut names = Vec::new();
        for place in order {
            let Ok(Taken::Changed(changes)) = ledger.take(statements[place].clone()) else { continue };
            names.extend(changes.iter().filter_map(|change| change.after.as_ref()).map(|after| after.id));
            for name in &names {
                prop_assert!(ledger.contact(*name).is_some());
            }
        }
    }

    #[test]
    fn a_restart_in_the_middle_changes_nothing((statements, order) in statements()) {
        let straight = taken(statements.clone());
        let (first, second) = order.split_at(order.len() / 2);
        let before = taken(first.iter().map(|place| statements[*place].clone()));
        let kept = serde_json::to_string(&before.kept()).unwrap();
        let open: Vec<Evidence> = before.statements().collect();
        let kept = serde_json::from_str(&kept).unwrap();
        let mut after = Ledger::restore(maps(), Limits::default(), kept, open).unwrap();
        same(&before, &after)?;
        for place in second {
            assert!(after.take(statements[*place].clone()).is_ok());
        }
        same(&straight, &after)?;
    }

    #[test]
    fn months_put_away_and_opened_again_change_nothing((statements, order) in statements()) {
        let straight = taken(statements.clone());
        let mut ledger = ledger();
        let mut shelves: BTreeMap<_, Shelf> = BTreeMap::new();
        let months = ["2026-10", "2026-11"].map(|month| month.parse().unwrap());
        for place in order {
            while let Taken::Closed(wanted) = ledger.take(statements[place].clone()).unwrap() {
                for month in wanted {
                    ledger.reopen(shelves.remove(&month).expect("it is on a shelf")).unwrap();
                }
            }
            for month in months {
                match (shelves.get_mut(&month), ledger.put_away(month)) {
                    (Some(shelf), Some(more)) => shelf.add(more),
                    (None, Some(shelf)) => drop(shelves.insert(month, shelf)),
                    (_, None) => {}
                }
            }
        }
        for shelf in shelves.into_values() {
            ledger.reopen(shelf).unwrap();
        }
        same(&straight, &ledger)?;
    }

    #[test]
    fn packed_statements_come_back(statements in prop::collection::vec(statement(), 0..6)) {
        prop_assert!(pack::unpack(&pack::pack(&statements)) == statements);
    }
}

#[test]
fn a_name_that_was_sent_to_somebody_stays() {
    let late = filler(say("emis", "1", Said::Booked, -1990), "E1");
    let early = filler(say("rio", "1", Said::Booked, -2000), "A1");
    let mut ledger = taken([late]);
    let sent = only(&ledger).id;
    assert!(ledger.pin(sent, at(0)).is_empty());
    assert!(matches!(ledger.take(early.clone()), Ok(Taken::Changed(changes)) if changes.len() == 1));
    assert_eq!(only(&ledger).id, sent);
    assert_eq!(ledger.contact(only(&taken([early])).id).map(|contact| contact.id), Some(sent));
}
