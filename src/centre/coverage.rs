//! Which numbers of a stream the centre has: an interval set.

use std::collections::BTreeMap;

use crate::domain::ids::{Sequence, SequenceRange};

/// A set of numbers from 1, kept as ranges. Grows with its gaps, which a hub fills before it sends far
/// beyond them: a window of batches, so a few hundred ranges at most.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coverage(BTreeMap<Sequence, Sequence>);

impl Coverage {
    /// Adds a range; empty or zero-based ones add nothing.
    pub fn insert(&mut self, first: Sequence, last: Sequence) {
        if first == 0 || last < first {
            return;
        }
        let (mut first, mut last) = (first, last);
        let touching: Vec<Sequence> = self
            .0
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| first <= end.saturating_add(1))
            .map(|(start, _)| *start)
            .collect();
        for start in touching {
            let end = self.0.remove(&start).unwrap_or(last);
            (first, last) = (first.min(start), last.max(end));
        }
        self.0.insert(first, last);
    }

    /// Whether a number is in the set.
    pub fn contains(&self, number: Sequence) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| number <= *end)
    }

    /// The last number before the first gap; 0 if 1 is missing.
    pub fn through(&self) -> Sequence {
        self.0.get(&1).copied().unwrap_or(0)
    }

    /// The highest number; 0 if there is none.
    pub fn highest(&self) -> Sequence {
        self.0.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// The lowest gaps below the highest number, at most `count_max`.
    pub fn gaps(&self, count_max: usize) -> Vec<SequenceRange> {
        let mut expected = 1;
        let mut gaps = Vec::new();
        for (start, end) in &self.0 {
            if gaps.len() == count_max {
                break;
            }
            if expected < *start {
                gaps.push(SequenceRange { first: expected, last: start - 1 });
            }
            expected = end + 1;
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_set_of_numbers(ranges in proptest::collection::vec((0_u64..60, 0_u64..60), 0..30)) {
            let (mut coverage, mut set) = (Coverage::default(), BTreeSet::new());
            for (first, last) in ranges {
                coverage.insert(first, last);
                if first != 0 {
                    set.extend(first..=last);
                }
                let through = (1..).take_while(|number| set.contains(number)).count() as u64;
                prop_assert_eq!(coverage.through(), through);
                prop_assert_eq!(coverage.highest(), set.last().copied().unwrap_or(0));
                for number in 0..62 {
                    prop_assert_eq!(coverage.contains(number), set.contains(&number));
                }
                let missing: Vec<u64> = (1..coverage.highest()).filter(|number| !set.contains(number)).collect();
                let named: Vec<u64> = coverage.gaps(100).iter().flat_map(|gap| gap.first..=gap.last).collect();
                prop_assert_eq!(named, missing);
            }
        }
    }

    #[test]
    fn names_no_more_gaps_than_asked_for() {
        let mut coverage = Coverage::default();
        for number in (2..100).step_by(2) {
            coverage.insert(number, number);
        }
        assert_eq!(coverage.gaps(3).len(), 3);
    }
}
