//! A polysystem's year through the ledgers of two hubs and the centre: what is counted is what happened, exactly.
//!
//! `POLYGATE_YEAR=1000000 POLYGATE_SEED=7 cargo nextest run --release --test activity year` plays a year of a million
//! contacts; without the variables it is 20,000, of one seed.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod faults;
mod play;
mod year;

use play::{Play, Players};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn a_year_is_counted_exactly_at_the_hubs_and_at_the_centre() {
    let (contacts, seed) = (number("POLYGATE_YEAR", 20_000), number("POLYGATE_SEED", 1));
    let played = Play { seed, patients: contacts.div_ceil(year::TENTHS), fault: None }.run();
    println!("{}", played.summary());
    if let Err(why) = played.verdict() {
        panic!(
            "{why}\nplay it again: POLYGATE_YEAR={contacts} POLYGATE_SEED={seed} cargo nextest run --test activity year"
        );
    }
}

#[test]
fn small_years_of_many_seeds_are_counted_exactly() {
    for seed in 100..100 + number("POLYGATE_SEEDS", 12) {
        let played = Play { seed, patients: 60, fault: None }.run();
        if let Err(why) = played.verdict() {
            panic!(
                "{why}\nplay it again: POLYGATE_YEAR=600 POLYGATE_SEED={seed} cargo nextest run --test activity year"
            );
        }
    }
}

#[test]
fn every_planted_fault_is_caught() {
    let mut missed = Vec::new();
    for fault in faults::Fault::ALL {
        let played = Play { seed: 3, patients: 100, fault: Some(*fault) }.run();
        match played.verdict() {
            Ok(()) => missed.push(*fault),
            Err(why) => println!("{fault:?} is caught: {}", why.lines().next().unwrap()),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn a_year_without_a_fault_is_the_one_in_which_faults_are_planted() {
    let players: Players = Play { seed: 3, patients: 100, fault: None }.run();
    assert_eq!(players.verdict(), Ok(()));
}
