//! Which refusals a receipt names, and how far it may speak then: pure.
//!
//! A hub erases what a receipt covers and keeps aside what it names as refused. A refusal that is covered and
//! not named would be erased unseen, so a receipt never speaks beyond the first refusal it has no room for.

use crate::domain::{
    entry::{Receipt, Refused},
    ids::{Sequence, SequenceRange},
};

/// What a receipt says of a stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Said {
    /// How far everything is durable, refused and named, or absent.
    pub through: Sequence,
    /// What is missing, and the first refusal that had no room: asked for again, it is named at once.
    pub gaps: Vec<SequenceRange>,
    /// Refusals by ascending number.
    pub refused: Vec<Refused>,
}

/// Composes it from the stream's state. `ahead` are the refusals above what the hub has confirmed, ascending,
/// one more than fits if there are as many; `behind` are others, which are named as far as there is room.
pub(super) fn say(
    through: Sequence,
    gaps: Vec<SequenceRange>,
    ahead: impl IntoIterator<Item = Refused>,
    behind: impl IntoIterator<Item = Refused>,
) -> Said {
    let mut ahead = ahead.into_iter();
    let mut refused: Vec<Refused> = ahead.by_ref().take(Receipt::REFUSED_MAX).collect();
    let mut said = Said { through, gaps, refused: Vec::new() };
    if let Some(unnamed) = ahead.next()
        && unnamed.seq <= through
    {
        said.through = unnamed.seq - 1;
        said.gaps.insert(0, SequenceRange { first: unnamed.seq, last: unnamed.seq });
        said.gaps.truncate(Receipt::GAPS_MAX);
    }
    let room = Receipt::REFUSED_MAX - refused.len();
    refused.extend(behind.into_iter().take(room));
    refused.sort_unstable_by_key(|one| one.seq);
    said.refused = refused;
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(numbers: impl IntoIterator<Item = Sequence>) -> Vec<Refused> {
        numbers.into_iter().map(|seq| Refused { seq, reason: "no".to_owned() }).collect()
    }

    #[test]
    fn speaks_no_further_than_it_names() {
        let gap = SequenceRange { first: 900, last: 901 };
        let said = say(800, vec![gap], refused(1..=257), []);
        assert_eq!((said.through, said.refused.len()), (256, 256));
        assert_eq!(said.gaps, [SequenceRange { first: 257, last: 257 }, gap]);
    }

    #[test]
    fn names_older_ones_where_there_is_room() {
        let said = say(800, vec![], refused([300, 500]), refused((1..=299).rev()));
        assert_eq!((said.through, said.refused.len()), (800, 256));
        assert_eq!((said.refused[0].seq, said.refused[255].seq), (46, 500));
    }

    #[test]
    fn a_refusal_beyond_a_gap_holds_nothing_back() {
        let said = say(10, vec![SequenceRange { first: 11, last: 11 }], refused(12..=300), []);
        assert_eq!((said.through, said.gaps.len()), (10, 1));
    }
}
