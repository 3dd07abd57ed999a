//! The slot protocol explored whole: every order of loss, repetition, delay, power cut, restore and cancellation, up to
//! stated bounds, over the functions that run in production; and six ways to get it wrong, each of which is caught.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test tells by panicking, and says how much it explored"
)]

mod clinics;
mod simulation;
mod world;

use stateright::{Checker, Model};

use world::{Bounds, Variant, World};

/// Explores all of it, and says how much that was.
fn explore(name: &str, world: World) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = world.checker().threads(threads).spawn_bfs().join();
    println!(
        "{name}: explored {} states ({} generated), depth {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
    assert!(checker.is_done());
}

/// Looks for a double booking in a variant that must have one, and shows the way there.
fn catches(name: &str, variant: Variant) {
    let world = World { variant, bounds: Bounds { hubs: 2, backups: 1, ..Bounds::small() } };
    let checker = world.checker().spawn_bfs().join();
    let path = checker.discovery("no slot is sold twice").unwrap_or_else(|| panic!("{name}: not caught"));
    println!("{name}: caught after {} states", checker.unique_state_count());
    for action in path.into_actions() {
        println!("    {action:?}");
    }
}

#[test]
fn one_slot_between_three_hubs() {
    explore(
        "one slot, three hubs, epochs to 3",
        World::of(Bounds { slots: 1, grants: 2, ..Bounds::small() }),
    );
}

#[test]
fn two_slots_and_appointments_of_both() {
    explore(
        "two slots, three hubs, epochs to 2",
        World::of(Bounds { grants: 1, bookings: 2, ..Bounds::small() }),
    );
}

#[test]
fn two_slots_power_cuts_and_a_restored_backup() {
    let bounds = Bounds { hubs: 2, backups: 1, cuts: 1, grants: 1, bookings: 2, ..Bounds::small() };
    explore("two slots, two hubs, a cut and a restore", World::of(bounds));
}

#[test]
fn one_slot_cut_restored_cancelled_and_sold_again() {
    let bounds = Bounds { hubs: 2, slots: 1, backups: 1, cuts: 2, grants: 2, bookings: 3, cancels: 2 };
    explore("one slot, two hubs, two cuts and a restore", World::of(bounds));
}

/// The same further: `MODEL=deep cargo test --test model -- --nocapture`.
#[test]
fn further_if_asked() {
    if std::env::var_os("MODEL").is_none_or(|value| value != "deep") {
        println!("explored to the usual bounds; MODEL=deep goes further");
        return;
    }
    let bounds = Bounds { backups: 1, cuts: 2, grants: 2, bookings: 3, cancels: 2, ..Bounds::small() };
    explore("two slots, three hubs, two cuts and a restore, epochs to 3", World::of(bounds));
}

#[test]
fn resale_after_a_lease_has_run_out_is_caught() {
    catches("lease", Variant::LeaseRunsOut);
}

#[test]
fn a_restore_that_nobody_notices_is_caught() {
    catches("restore", Variant::RestoreUnnoticed);
}

#[test]
fn a_release_sent_before_it_is_durable_is_caught() {
    catches("release", Variant::ReleaseBeforeDurable);
}

#[test]
fn grants_taken_whatever_their_epoch_are_caught() {
    catches("epoch", Variant::EpochUnchecked);
}

#[test]
fn a_booking_said_before_it_is_durable_is_caught() {
    catches("confirm", Variant::SaidBeforeDurable);
}

#[test]
fn slots_of_a_hub_given_up_for_dead_are_caught() {
    catches("dead hub", Variant::DeadHubResold);
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap())
}

/// Seeds as below.
#[test]
fn a_clinic_and_a_desk_that_book_at_once_end_in_the_same_book() {
    let (first, count) = (number("POLYGATE_SEED", 0), number("POLYGATE_SEEDS", 2000));
    let mut total = clinics::Counts::default();
    for seed in first..first + count {
        let counts = clinics::run(seed);
        total.confirmed += counts.confirmed;
        total.refused += counts.refused;
        total.theirs += counts.theirs;
        total.clashes += counts.clashes;
        total.cuts += counts.cuts;
        total.told += counts.told;
    }
    println!("{count} clinics: {total:?}, the same at the desk");
    let all = [total.confirmed, total.refused, total.theirs, total.clashes, total.cuts, total.told];
    assert!(count < 20 || all.iter().all(|happened| 0 < *happened), "{total:?}");
}

/// Seeds from `POLYGATE_SEED`, and as many as `POLYGATE_SEEDS` says: `POLYGATE_SEED=17 POLYGATE_SEEDS=1 cargo test --test
/// model polysystems` replays seed 17.
#[test]
fn polysystems_that_are_cut_off_book_nothing_twice_and_come_to_rest() {
    let (first, count) = (number("POLYGATE_SEED", 0), number("POLYGATE_SEEDS", 1000));
    let mut total = simulation::Counts::default();
    for seed in first..first + count {
        let counts = simulation::run(seed);
        total.booked += counts.booked;
        total.provisional += counts.provisional;
        total.taken += counts.taken;
        total.cancelled += counts.cancelled;
        total.cuts += counts.cuts;
        total.granted += counts.granted;
        total.tasks += counts.tasks;
    }
    println!("{count} polysystems: {total:?}, none booked twice");
    let all = [
        total.booked,
        total.provisional,
        total.taken,
        total.cancelled,
        total.cuts,
        total.granted,
        total.tasks,
    ];
    assert!(count < 20 || all.iter().all(|happened| 0 < *happened), "{total:?}");
}
