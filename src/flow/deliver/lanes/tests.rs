//! Lanes by example, and against a receiver that answers as it likes.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn order(number: u64) -> Order {
    Order { position: Position { segment: 1, offset: number }, again: 0 }
}

fn key(name: &str) -> Key {
    crate::journal::Identity::of(&[name.as_bytes()], b"").key
}

struct Bench {
    lanes: Lanes,
    entropy: Entropy,
    now: Duration,
}

impl Bench {
    fn new(pace: Pace) -> Self {
        Self { lanes: Lanes::new(pace), entropy: Entropy::from_seed(1), now: Duration::ZERO }
    }

    fn add(&mut self, number: u64, keys: &[&str]) {
        self.lanes.add(order(number), Class::Clinical, keys.iter().map(|name| key(name)).collect());
    }

    fn next(&mut self) -> Option<u64> {
        self.lanes.next(self.now).map(|order| order.position.offset)
    }

    fn answer(&mut self, number: u64, answer: &Answer) -> Fate {
        self.lanes.answered(order(number), answer, self.now, &mut self.entropy)
    }

    fn accept(&mut self, number: u64) {
        assert_eq!(self.answer(number, &Answer::Accepted), Fate::Done);
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn again() -> Answer {
    Answer::Again("AE 206".to_owned())
}

fn stop() -> Answer {
    Answer::Stop("AR 101".to_owned())
}

fn window(window: usize) -> Pace {
    Pace { window, ..Pace::default() }
}

#[test]
fn one_patients_messages_go_one_after_another_and_different_patients_together() {
    let mut bench = Bench::new(window(3));
    for (number, name) in [(1, "a"), (2, "a"), (3, "b"), (4, "c"), (5, "d")] {
        bench.add(number, &[name]);
    }
    assert_eq!([bench.next(), bench.next(), bench.next(), bench.next()], [Some(1), Some(3), Some(4), None]);
    bench.accept(3);
    assert_eq!((bench.next(), bench.next()), (Some(5), None), "2 waits for 1");
    bench.accept(1);
    assert_eq!(bench.next(), Some(2));
}

#[test]
fn on_a_refusal_for_now_the_next_message_of_that_patient_does_not_overtake() {
    let mut bench = Bench::new(window(1));
    for (number, name) in [(1, "a"), (2, "a"), (3, "b")] {
        bench.add(number, &[name]);
    }
    assert_eq!(bench.next(), Some(1));
    assert_eq!(bench.answer(1, &again()), Fate::Again);
    assert_eq!(bench.next(), Some(3), "another patient need not wait");
    bench.accept(3);
    assert_eq!(bench.next(), None);
    bench.now = bench.lanes.deadline().unwrap();
    assert!(SECOND / 2 <= bench.now && bench.now <= SECOND, "{:?}", bench.now);
    assert_eq!(bench.next(), Some(1));
    bench.accept(1);
    assert_eq!(bench.next(), Some(2));
}

#[test]
fn a_poison_message_parks_its_patient_only_and_what_comes_later_waits_behind_it() {
    let mut bench = Bench::new(window(1));
    for (number, name) in [(1, "a"), (2, "b"), (3, "a")] {
        bench.add(number, &[name]);
    }
    assert_eq!(bench.next(), Some(1));
    assert_eq!(bench.answer(1, &stop()), Fate::Parked("AR 101".to_owned()));
    assert_eq!(bench.next(), Some(2));
    bench.accept(2);
    bench.add(4, &["a"]);
    assert_eq!((bench.next(), bench.lanes.deadline()), (None, None));
    assert_eq!(bench.lanes.behind(order(1)), 2);
    assert_eq!(bench.lanes.held().collect::<Vec<_>>(), [order(3), order(4)]);
    assert!(bench.lanes.release(order(1)));
    assert_eq!(bench.lanes.held().count(), 0);
    for number in [1, 3, 4] {
        assert_eq!(bench.next(), Some(number));
        bench.accept(number);
    }
    assert_eq!(bench.lanes.count(), 0);
}

#[test]
fn a_skipped_message_lets_the_next_one_go() {
    let mut bench = Bench::new(window(1));
    bench.add(1, &["a"]);
    bench.add(2, &["a"]);
    assert_eq!(bench.next(), Some(1));
    bench.answer(1, &stop());
    bench.lanes.remove(order(1));
    assert_eq!(bench.next(), Some(2));
}

#[test]
fn a_merge_waits_for_both_patients_and_both_wait_for_it() {
    let mut bench = Bench::new(window(9));
    for (number, keys) in
        [(1, &["old"][..]), (2, &["new"]), (3, &["new", "old"]), (4, &["old"]), (5, &["new"])]
    {
        bench.add(number, keys);
    }
    assert_eq!([bench.next(), bench.next(), bench.next()], [Some(1), Some(2), None]);
    bench.accept(1);
    assert_eq!(bench.next(), None);
    bench.accept(2);
    assert_eq!((bench.next(), bench.next()), (Some(3), None));
    bench.answer(3, &stop());
    bench.add(6, &["old", "third"]);
    bench.add(7, &["third"]);
    assert_eq!(bench.next(), None, "7 is behind 6, which is behind the merge");
    assert_eq!(bench.lanes.held().count(), 4);
}

#[test]
fn a_panic_value_goes_before_other_patients_messages() {
    let mut bench = Bench::new(window(1));
    bench.add(1, &["a"]);
    bench.add(2, &["b"]);
    bench.lanes.add(order(3), Class::Urgent, vec![key("c")]);
    bench.lanes.add(order(4), Class::Urgent, vec![key("b")]);
    let mut sent = Vec::new();
    while let Some(number) = bench.next() {
        sent.push(number);
        bench.accept(number);
    }
    assert_eq!(sent, [3, 1, 2, 4], "never before an earlier one of the same patient");
}

#[test]
fn a_destination_that_is_down_is_called_ever_more_seldom_not_once_for_each_patient() {
    let mut bench = Bench::new(window(1));
    for number in 0..1000 {
        bench.add(number, &[&format!("patient {number}")]);
    }
    let mut attempts = 0;
    while bench.now < Duration::from_secs(3600) {
        if let Some(number) = bench.next() {
            attempts += 1;
            assert_eq!(bench.answer(number, &again()), Fate::Again);
        } else {
            bench.now = bench.lanes.deadline().unwrap().max(bench.now + Duration::from_millis(1));
        }
    }
    assert!((15..60).contains(&attempts), "{attempts} attempts in an hour");
    let number = loop {
        match bench.next() {
            Some(number) => break number,
            None => bench.now = bench.lanes.deadline().unwrap(),
        }
    };
    bench.accept(number);
    assert!(bench.next().is_some(), "it is back: no more rest");
}

#[test]
fn a_message_that_others_overtake_for_a_day_is_parked() {
    let mut bench = Bench::new(Pace { attempts_max: 3, ..window(1) });
    bench.add(1, &["a"]);
    for attempt in 1..=5 {
        bench.now = bench.lanes.deadline().unwrap();
        assert_eq!(bench.next(), Some(1));
        assert_eq!(bench.answer(1, &again()), Fate::Again, "attempt {attempt}: nobody else was taken either");
    }
    bench.add(2, &["b"]);
    let mut attempts = 5;
    loop {
        bench.now = bench.lanes.deadline().unwrap().max(bench.now);
        match bench.next() {
            Some(1) => attempts += 1,
            Some(2) => {
                bench.accept(2);
                continue;
            }
            _ => continue,
        }
        if let Fate::Parked(reason) = bench.answer(1, &again()) {
            assert_eq!(reason, format!("not taken in {attempts} attempts: AE 206"));
            break;
        }
        assert!(attempts < 20);
    }
}

#[test]
fn the_rate_limit_spaces_what_is_sent() {
    let mut bench = Bench::new(Pace { per_minute: 30, ..window(4) });
    for number in 0..4 {
        bench.add(number, &[]);
    }
    let mut at = Vec::new();
    while bench.lanes.deadline().is_some() {
        bench.now = bench.lanes.deadline().unwrap().max(bench.now);
        let number = bench.next().unwrap();
        at.push(bench.now.as_secs());
        bench.accept(number);
    }
    assert_eq!(at, [0, 2, 4, 6]);
}

#[test]
fn an_answer_for_what_is_not_under_way_changes_nothing() {
    let mut bench = Bench::new(window(1));
    bench.add(1, &["a"]);
    assert_eq!(bench.answer(1, &Answer::Accepted), Fate::Stray);
    assert_eq!(bench.next(), Some(1));
    bench.accept(1);
    assert_eq!(bench.answer(1, &stop()), Fate::Stray);
    assert_eq!(bench.lanes.count(), 0);
}

#[test]
fn whatever_is_answered_nothing_overtakes_within_a_patient_and_all_arrive() {
    for seed in 0..200 {
        let mut bench = Bench::new(window(1 + index(seed) % 4));
        let mut dice = Entropy::from_seed(seed);
        let keys: Vec<Vec<String>> =
            (0..120).map(|_| (0..dice.below(3)).map(|_| format!("k{}", dice.below(12))).collect()).collect();
        for (number, names) in keys.iter().enumerate() {
            bench.add(number as u64, &names.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let (mut flying, mut accepted) = (Vec::new(), Vec::<usize>::new());
        while 0 < bench.lanes.count() {
            while let Some(number) = bench.next() {
                let number = index(number);
                let shares = |other: &usize| keys[*other].iter().any(|key| keys[number].contains(key));
                assert!(!flying.iter().any(shares), "two of one patient under way");
                flying.push(number);
            }
            if flying.is_empty() {
                match bench.lanes.deadline() {
                    Some(deadline) => bench.now = deadline.max(bench.now),
                    None => {
                        let parked: Vec<Order> = bench.lanes.parked().iter().copied().collect();
                        assert!(!parked.is_empty(), "seed {seed}: stuck");
                        assert!(bench.lanes.release(*dice.pick(&parked).unwrap()));
                    }
                }
                continue;
            }
            let number = flying.swap_remove(index(dice.below(flying.len() as u64)));
            let answer = [Answer::Accepted, again(), stop()][index(dice.below(3))].clone();
            if bench.answer(number as u64, &answer) == Fate::Done {
                for earlier in 0..number {
                    let shares = keys[earlier].iter().any(|key| keys[number].contains(key));
                    assert!(!shares || accepted.contains(&earlier), "{number} overtook {earlier}");
                }
                accepted.push(number);
            }
        }
        accepted.sort_unstable();
        assert_eq!(accepted, (0..120).collect::<Vec<_>>());
    }
}
