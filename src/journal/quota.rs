//! How much of the disk each lane may take: urgent ones last to be refused.

use super::Lane;

/// Each lane's reserved share of the capacity, in hundredths. A lane may take everything except what is
/// reserved for more urgent ones and not yet used by them, so telemetry is refused first and messages from
/// the centre and urgent results last. What is reserved for no one (a third) goes to whoever comes.
const RESERVED_HUNDREDTHS: [(Lane, u64); Lane::COUNT] = [
    (Lane::DOWN, 2),
    (Lane(0), 10),
    (Lane(1), 15),
    (Lane(2), 20),
    (Lane(3), 10),
    (Lane(4), 10),
    (Lane(5), 0),
    (Lane::SPARE, 0),
];

/// Whether a frame of `bytes` may be added to `lane`, given each lane's bytes on disk.
///
/// `used_bytes` is what all segments take, frames and headers; `capacity_bytes` what they may take.
pub(super) fn admits(
    lane: Lane,
    bytes: u64,
    lanes_used_bytes: &[u64; Lane::COUNT],
    used_bytes: u64,
    capacity_bytes: u64,
) -> bool {
    let more_urgent = RESERVED_HUNDREDTHS.iter().take_while(|(other, _)| *other != lane);
    let kept_free: u64 = more_urgent
        .map(|(other, hundredths)| {
            (capacity_bytes / 100 * hundredths).saturating_sub(lanes_used_bytes[other.index()])
        })
        .sum();
    used_bytes.saturating_add(bytes).saturating_add(kept_free) <= capacity_bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Class;

    /// Fills the journal with one class until it is refused; returns what it took.
    fn fill(class: Class, used: &mut [u64; Lane::COUNT], capacity: u64) -> u64 {
        let lane = Lane::of(class);
        let mut taken = 0;
        while admits(lane, 1000, used, used.iter().sum(), capacity) {
            used[lane.index()] += 1000;
            taken += 1000;
        }
        taken
    }

    #[test]
    fn a_flood_of_the_less_urgent_leaves_room_for_the_more_urgent() {
        let capacity = 1_000_000;
        let mut used = [0; Lane::COUNT];
        let least_first: Vec<u64> =
            Class::ALL.into_iter().rev().map(|class| fill(class, &mut used, capacity)).collect();
        assert_eq!(least_first, [330_000, 100_000, 100_000, 200_000, 150_000, 100_000]);
        assert!(admits(Lane::DOWN, 20_000, &used, used.iter().sum(), capacity));
    }

    #[test]
    fn the_urgent_may_use_what_nobody_more_urgent_needs() {
        let mut used = [0; Lane::COUNT];
        assert_eq!(fill(Class::Urgent, &mut used, 1_000_000), 980_000);
        assert_eq!(fill(Class::Clinical, &mut used, 1_000_000), 0);
    }

    #[test]
    fn never_goes_over_the_capacity() {
        assert!(!admits(Lane::DOWN, 1, &[0; Lane::COUNT], 100, 100));
        assert!(!admits(Lane::DOWN, u64::MAX, &[0; Lane::COUNT], 100, 1 << 40));
    }
}
