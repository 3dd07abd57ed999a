//! Suppression, attacked: every whole-number table that agrees with what is published is looked for.

use proptest::prelude::*;

use super::*;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

fn release(height: usize, width: usize, hubs: usize) -> Release {
    Release::new(vec![
        ("service".to_owned(), names("s", height)),
        ("month".to_owned(), names("m", width)),
        ("hub".to_owned(), names("h", hubs)),
    ])
}

fn table(name: &str, filter: Option<usize>, counts: Vec<Vec<u64>>) -> Table {
    Table {
        name: name.to_owned(),
        filter: filter.map(|hub| ("hub".to_owned(), format!("h{hub}"))).into_iter().collect(),
        rows: "service".to_owned(),
        columns: "month".to_owned(),
        counts,
    }
}

fn text(table: &SafeTable) -> Vec<String> {
    table.rows.iter().map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_small_cell_takes_three_others_with_it() {
    let mut all = release(3, 3, 1);
    all.add(table("all", None, vec![vec![20, 30, 40], vec![3, 25, 60], vec![50, 70, 80]])).unwrap();
    let safe = suppress(all, Rule::EXACT).unwrap();
    assert_eq!(text(&safe[0]), ["* * 40 90", "* * 60 88", "50 70 80 200", "73 125 180 378"]);
}

#[test]
fn zeros_and_large_counts_are_shown() {
    let mut all = release(2, 2, 1);
    all.add(table("all", None, vec![vec![0, 30], vec![6, 0]])).unwrap();
    let safe = suppress(all, Rule::EXACT).unwrap();
    assert_eq!(text(&safe[0]), ["0 30 30", "6 0 6", "6 30 36"]);
}

#[test]
fn what_two_tables_give_together_is_kept_back_too() {
    // One hub of two, and both: the other follows by subtraction, and it has a 2.
    let both = vec![vec![32, 40], vec![50, 60]];
    let one = vec![vec![30, 20], vec![25, 30]];
    let mut all = release(2, 2, 2);
    all.add(table("both", None, both)).unwrap();
    all.add(table("one", Some(0), one)).unwrap();
    let safe = suppress(all, Rule::EXACT).unwrap();
    let hidden =
        |table: &SafeTable| table.rows.iter().flatten().filter(|cell| **cell == Shown::Suppressed).count();
    let is_shown = |table: &SafeTable| table.rows[0][0] != Shown::Suppressed;
    assert!(!is_shown(&safe[0]) || !is_shown(&safe[1]), "32 - 30 is 2");
    assert!(3 < hidden(&safe[0]) + hidden(&safe[1]));
}

#[test]
fn rounding_comes_after_suppression() {
    let mut all = release(2, 3, 1);
    all.add(table("all", None, vec![vec![7, 33, 48], vec![52, 61, 70]])).unwrap();
    let safe = suppress(all, Rule::ROUNDED).unwrap();
    assert_eq!(safe[0].rows[0][0], Shown::Suppressed);
    let shown = safe[0].rows.iter().flatten().filter_map(|cell| match cell {
        Shown::Count(count) => Some(*count),
        Shown::Suppressed => None,
    });
    assert!(shown.clone().all(|count| count % 5 == 0) && 4 < shown.count());
}

#[test]
fn tables_that_disagree_are_not_published() {
    let mut all = release(2, 2, 2);
    all.add(table("all", None, vec![vec![1, 2], vec![3, 4]])).unwrap();
    assert!(matches!(
        all.add(table("again", None, vec![vec![1, 2], vec![3, 5]])),
        Err(ReleaseError::Disagrees(_))
    ));
    assert!(matches!(all.add(table("shape", None, vec![vec![1, 2]])), Err(ReleaseError::Shape(_))));
    assert!(matches!(
        all.add(table("hub", Some(7), vec![vec![1, 2], vec![3, 5]])),
        Err(ReleaseError::Value(_))
    ));
    all.add(table("part", Some(0), vec![vec![9, 2], vec![3, 4]])).unwrap();
    assert!(
        matches!(suppress(all, Rule::EXACT), Err(ReleaseError::Disagrees(_))),
        "a part is more than the whole"
    );
}

#[test]
fn a_year_of_thirty_services_at_three_hubs_is_made_safe() {
    // Counts as services have them: many small, some none, a few large; each hub's table, and that of all.
    let (services, months, hubs) = (30, 12, 3);
    let count = |hub: u64, service: u64, month: u64| match (hub * 7 + service * 13 + month * 5) % 9 {
        0 => 0,
        1 => 1 + month % 4,
        other => other * (service + 2) + month,
    };
    let counts = |hub: Option<u64>| -> Vec<Vec<u64>> {
        let one = |service, month| match hub {
            Some(hub) => count(hub, service, month),
            None => (0..3).map(|hub| count(hub, service, month)).sum(),
        };
        (0..30).map(|service| (0..12).map(|month| one(service, month)).collect()).collect()
    };
    let mut all = release(services, months, hubs);
    all.add(table("all", None, counts(None))).unwrap();
    for hub in 0..hubs {
        all.add(table("hub", Some(hub), counts(u64::try_from(hub).ok()))).unwrap();
    }
    let safe = suppress(all, Rule::EXACT).unwrap();
    let cells: Vec<&Shown> = safe.iter().flat_map(|table| table.rows.iter().flatten()).collect();
    let hidden = cells.iter().filter(|cell| ***cell == Shown::Suppressed).count();
    let is_small = |cell: &&&Shown| matches!(cell, Shown::Count(count) if (1..=5).contains(count));
    println!("{hidden} of {} cells are not shown", cells.len());
    assert_eq!(cells.iter().filter(is_small).count(), 0);
    // Most of what can be shown is.
    assert!(hidden * 2 < cells.len());
}

/// What somebody can find out who has the tables, knows the rule, and tries every table of whole numbers: the smallest
/// and the largest value of each inner cell, up to a bound. Shares no code with what suppresses.
struct Attack {
    height: usize,
    width: usize,
    /// What is published, totals last.
    shown: Vec<Vec<Option<u64>>>,
    most: Vec<u64>,
    found: Vec<(u64, u64)>,
    /// Cells whose range is looked for, and how wide it has to be: once all are, nothing more is learnt.
    sought: Vec<usize>,
    enough: u64,
}

impl Attack {
    fn ranges(safe: &SafeTable, slack: u64) -> Vec<(u64, u64)> {
        let value = |cell: &Shown| match cell {
            Shown::Count(count) => Some(*count),
            Shown::Suppressed => None,
        };
        let shown: Vec<Vec<_>> = safe.rows.iter().map(|row| row.iter().map(value).collect()).collect();
        let (height, width) = (shown.len() - 1, shown[0].len() - 1);
        let most = safe.of.counts.iter().flatten().map(|count| count + slack).collect();
        let found = vec![(u64::MAX, 0); height * width];
        let is_small = |(place, count): (usize, &u64)| (1..=slack).contains(count).then_some(place);
        let sought = safe.of.counts.iter().flatten().enumerate().filter_map(is_small).collect();
        let mut attack = Self { height, width, shown, most, found, sought, enough: slack };
        attack.fill(&mut vec![0; height * width], 0);
        attack.found
    }

    fn fill(&mut self, guess: &mut Vec<u64>, place: usize) {
        let is_wide = |(least, most): (u64, u64)| least <= most && self.enough <= most - least;
        if self.sought.iter().all(|place| is_wide(self.found[*place])) {
            return;
        }
        if place == guess.len() {
            if self.is_total(guess.iter().sum(), self.height, self.width) {
                for (found, value) in self.found.iter_mut().zip(guess.iter()) {
                    *found = (found.0.min(*value), found.1.max(*value));
                }
            }
            return;
        }
        let (row, column) = (place / self.width, place % self.width);
        let range = match self.shown[row][column] {
            Some(count) => count..=count,
            // Zeros are shown.
            None => 1..=self.most[place],
        };
        for value in range {
            guess[place] = value;
            let across: u64 = guess[row * self.width..=place].iter().sum();
            let down: u64 = (0..=row).map(|above| guess[above * self.width + column]).sum();
            let fits = |sum: u64, shown: Option<u64>, is_last: bool| {
                shown.is_none_or(|total| if is_last { sum == total } else { sum <= total })
                    && (!is_last || shown.is_some() || 0 < sum)
            };
            let is_across = fits(across, self.shown[row][self.width], column + 1 == self.width);
            let is_down = fits(down, self.shown[self.height][column], row + 1 == self.height);
            if is_across && is_down {
                self.fill(guess, place + 1);
            }
        }
        guess[place] = 0;
    }

    fn is_total(&self, sum: u64, row: usize, column: usize) -> bool {
        self.shown[row][column].is_none_or(|total| total == sum)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_small_cell_can_be_found_by_trying(
        counts in prop::collection::vec(prop::collection::vec(0_u64..11, 3), 2..4),
        small_max in 2_u64..4,
    ) {
        let mut all = release(counts.len(), 3, 1);
        all.add(table("all", None, counts.clone())).unwrap();
        let rule = Rule { small_max, round_to: 1 };
        let safe = suppress(all, rule).unwrap();
        let shown = safe[0].rows.iter().flatten().filter_map(|cell| match cell {
            Shown::Count(count) => Some(*count),
            Shown::Suppressed => None,
        });
        for count in shown {
            prop_assert!(!(1..=small_max).contains(&count));
        }
        let ranges = Attack::ranges(&safe[0], small_max);
        for (count, (least, most)) in counts.iter().flatten().zip(ranges) {
            if (1..=small_max).contains(count) {
                prop_assert!(least <= most, "something agrees with what is published");
                prop_assert!(small_max <= most - least, "{count} is known to be {least} to {most}: {:?}", text(&safe[0]));
            }
        }
    }

    #[test]
    fn nor_of_one_hub_and_all(one in prop::array::uniform4(0_u64..5), other in prop::array::uniform4(0_u64..5)) {
        let sum = |a: [u64; 4], b: [u64; 4]| [0, 1, 2, 3].map(|cell| a[cell] + b[cell]);
        let square = |[a, b, c, d]: [u64; 4]| vec![vec![a, b], vec![c, d]];
        let mut all = release(2, 2, 2);
        all.add(table("both", None, square(sum(one, other)))).unwrap();
        all.add(table("one", Some(0), square(one))).unwrap();
        let safe = suppress(all, Rule { small_max: 2, round_to: 1 }).unwrap();
        let agrees = |table: usize, [a, b, c, d]: [u64; 4]| {
            let all = [[a, b, a + b], [c, d, c + d], [a + c, b + d, a + b + c + d]];
            (0..9).all(|cell| match safe[table].rows[cell / 3][cell % 3] {
                Shown::Count(count) => count == all[cell / 3][cell % 3],
                Shown::Suppressed => 0 < all[cell / 3][cell % 3],
            })
        };
        // Every pair of hubs that agrees with what is published.
        let mut found = [[(u64::MAX, 0_u64); 4]; 2];
        for first in upto(one.map(|count| count + 2)).filter(|guess| agrees(1, *guess)) {
            for second in upto(other.map(|count| count + 2)).filter(|guess| agrees(0, sum(first, *guess))) {
                for (ranges, guess) in found.iter_mut().zip([first, second]) {
                    for (range, value) in ranges.iter_mut().zip(guess) {
                        *range = (range.0.min(value), range.1.max(value));
                    }
                }
            }
        }
        for (hub, counts) in [one, other].into_iter().enumerate() {
            for (count, (least, most)) in counts.iter().zip(found[hub]) {
                prop_assert!(least <= *count && *count <= most);
                if (1..=2).contains(count) {
                    prop_assert!(2 <= most - least, "hub {hub}: {count}: {:?} {:?}", text(&safe[0]), text(&safe[1]));
                }
            }
        }
    }
}

/// Every four numbers up to these.
fn upto([a, b, c, d]: [u64; 4]) -> impl Iterator<Item = [u64; 4]> {
    (0..=a).flat_map(move |a| {
        (0..=b).flat_map(move |b| (0..=c).flat_map(move |c| (0..=d).map(move |d| [a, b, c, d])))
    })
}
