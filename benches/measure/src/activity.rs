//! Counting: a month of 100,000 contacts built from nothing, and one more statement for it.

#[path = "../../../tests/activity/year.rs"]
mod year;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polygate::{
    activity::{
        derive::{Ledger, Limits, Taken},
        funnel::{Funnel, Line},
        maps::Maps,
    },
    domain::contact::{Acceptance, Evidence},
};

/// Wanted for a month of 100,000 contacts.
const BUILD_SECONDS_MAX: f64 = 10.0;
/// Wanted for one statement.
const EACH_MS_MAX: f64 = 1.0;

/// Builds the first tenth of a year, `contacts` of them, and measures each statement.
pub(crate) fn all(contacts: u64) {
    let (services, rows) = year::maps();
    let maps = Arc::new(Maps::new(services, rows));
    let mut ledger = Ledger::new(Arc::clone(&maps), Limits::default());
    let mut funnel = Funnel::new(None);
    let before_kib = resident_kib();
    let mut spent = Duration::ZERO;
    let mut each: Vec<Duration> = Vec::new();
    let mut happened = 0;
    // Statements are made a few at a time, so that what the generator holds is not measured.
    for from in (0..contacts).step_by(500) {
        let mut told: Vec<Evidence> = Vec::new();
        for patient in from..contacts.min(from + 500) {
            let (truths, statements) = year::contacts(1, patient, 0);
            happened += truths.len();
            told.extend(statements);
        }
        let (now, late) = year::delivered(1, from, told);
        for statement in now.into_iter().chain(late) {
            let began = Instant::now();
            if let Ok(Taken::Changed(changes)) = ledger.take(statement) {
                for change in &changes {
                    let line = |contact: &_| Line::of(contact, &maps, &Acceptance::Awaiting);
                    let before = change.before.as_deref().map(line);
                    let after = change.after.as_deref().map(line);
                    funnel.change(before.as_ref(), after.as_ref());
                }
            }
            let took = began.elapsed();
            spent += took;
            each.push(took);
        }
    }
    each.sort_unstable();
    let at = |per_mille: usize| each[(each.len() - 1) * per_mille / 1000].as_secs_f64() * 1000.0;
    println!("activity_contacts {happened}");
    println!("activity_statements {}", ledger.open_statements());
    println!("activity_build_seconds {:.2}", spent.as_secs_f64());
    println!("activity_build_seconds_max {BUILD_SECONDS_MAX}");
    println!("activity_each_p50_ms {:.4}", at(500));
    println!("activity_each_p99_ms {:.4}", at(990));
    println!("activity_each_max_ms {:.4}", at(1000));
    println!("activity_each_ms_max {EACH_MS_MAX}");
    let times = u64::try_from(each.len() * size_of::<Duration>()).expect("a size") / 1024;
    println!("activity_resident_mib {:.1}", (resident_kib() - before_kib - times) as f64 / 1024.0);
    let began = Instant::now();
    let counted = ledger.contacts().count();
    println!("activity_made_again_seconds {:.2}", began.elapsed().as_secs_f64());
    assert_eq!(counted, happened, "counted is what happened");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or_default()
}
