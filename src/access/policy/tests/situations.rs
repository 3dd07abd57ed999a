//! Every situation that rows can meet: each row is reached, order matters between gates alone, and what no row allows
//! is refused.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::access::policy::{
    rows::{Asking, Backing, DissentsToAll, Gate, Number, Related, Standing, Then},
    *,
};

use super::documents::golden;

fn each(mut visit: impl FnMut(&Situation)) -> usize {
    let mut count = 0;
    for &class in Class::ALL {
        for &asking in Asking::ALL {
            for &purpose in Purpose::ALL {
                for &ground in GroundKind::ALL {
                    for &backing in Backing::ALL {
                        for &permission in Permission::ALL {
                            for &standing in Standing::ALL {
                                for &number in Number::ALL {
                                    for &related in Related::ALL {
                                        for &dissents in DissentsToAll::ALL {
                                            count += 1;
                                            visit(&Situation {
                                                class,
                                                asking,
                                                purpose,
                                                ground,
                                                backing,
                                                permission,
                                                standing,
                                                number,
                                                related,
                                                dissents,
                                            });
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    count
}

/// What was decided where, counted, and the cases that people look up.
#[test]
fn every_row_decides_something_and_the_summary_is_as_it_was() {
    let mut decided: BTreeMap<&str, usize> = BTreeMap::new();
    let all = each(|situation| {
        *decided.entry(row_for(situation).map_or("(no row)", |row| row.id)).or_default() += 1;
    });
    let mut text = format!("{all} situations\n\n");
    for row in table() {
        let count = decided.get(row.id).copied().unwrap_or(0);
        assert!(0 < count, "no situation is decided by {}", row.id);
        writeln!(text, "{count:>6} {}", row.id).unwrap();
    }
    writeln!(text, "{:>6} (no row: refused)", decided["(no row)"]).unwrap();
    assert_eq!(all, 96_768);
    println!("{text}");
    text.push_str(&usual_cases());
    golden("src/access/policy/tests/summary.golden", &text);
}

/// A known patient with a verified number who does not dissent, asked for with all that the ground needs.
fn usual_cases() -> String {
    let mut text = String::new();
    for &class in Class::ALL {
        for asking in [Asking::AsReception, Asking::AsClinician, Asking::AsAdministrator] {
            for &ground in GroundKind::ALL {
                writeln!(text, "\n{} as {} by {}", class.word(), asking.word(), ground.word()).unwrap();
                for &related in Related::ALL {
                    let cells = Permission::ALL.iter().map(|&permission| {
                        let situation = Situation {
                            class,
                            asking,
                            ground,
                            related,
                            permission,
                            purpose: Purpose::DirectCare,
                            backing: Backing::Enough,
                            standing: Standing::Open,
                            number: Number::Verified,
                            dissents: DissentsToAll::No,
                        };
                        let row = row_for(&situation);
                        let sign = match row.map(|row| row.then) {
                            Some(Then::Permit(opens)) if opens.alert.is_some() => '!',
                            Some(Then::Permit(_)) => '+',
                            _ => '-',
                        };
                        format!("{} {sign}{}", permission.word(), row.map_or("no-rule", |row| row.id))
                    });
                    let cells: Vec<String> = cells.collect();
                    writeln!(text, "  related {:<3} {}", related.word(), cells.join(", ")).unwrap();
                }
            }
        }
    }
    text
}

#[test]
fn rows_of_one_gate_that_fit_together_say_the_same() {
    let mut both = 0;
    each(|situation| {
        for gate in Gate::ALL {
            let mut fitting = table().filter(|row| row.gate == *gate && row.fits(situation));
            let Some(first) = fitting.next() else { continue };
            for other in fitting {
                assert_eq!(first.then, other.then, "{} and {} in {situation:?}", first.id, other.id);
                both += 1;
            }
        }
    });
    println!("{both} times two rows of one gate fit, and say the same");
}

#[test]
fn gates_stand_in_order_and_only_the_last_permits() {
    assert!(table().map(|row| row.gate).is_sorted());
    for row in table() {
        let permits = matches!(row.then, Then::Permit(_));
        assert!(!permits || row.gate == Gate::Right, "{}", row.id);
    }
}

#[test]
fn rows_have_names_of_their_own_and_say_why() {
    let mut names: Vec<&str> = table().map(|row| row.id).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for row in table() {
        assert!(row.why.ends_with('.') && !row.why.contains('|'), "{}", row.id);
        assert!(!row.conditions().is_empty(), "{} fits everything", row.id);
    }
}

#[test]
fn nothing_before_the_patient_depends_on_the_patient() {
    let of_patient = ["patient", "NHS number", "relationship", "dissents to all"];
    for row in table().filter(|row| row.gate < Gate::Patient) {
        let conditions = row.conditions();
        assert!(conditions.iter().all(|(what, _)| !of_patient.contains(what)), "{}", row.id);
    }
    // Nor does a hidden patient meet more than one answer, whoever they are.
    each(|situation| {
        let hidden = Situation { standing: Standing::Hidden, ..*situation };
        let row = row_for(&hidden).unwrap();
        assert!(row.id == "hidden" || row.gate < Gate::Patient, "{}", row.id);
    });
}
