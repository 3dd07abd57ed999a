//! Which publications are in flight, and until when: sans-I/O.
//!
//! rumqttc does not say which packet identifier a publication gets when it is handed over. It takes them in
//! order, so the first without one belongs to the next identifier it announces. Its identifiers go round
//! 1 to `cycle`; where the next is still in flight it would park the publication and block everything behind
//! it, so nothing is handed over that would meet that.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::sync::uplink::Ticket;

/// Publications in flight on one connection.
#[derive(Debug)]
pub(super) struct Window {
    /// Oldest first; those without an identifier are at the end.
    entries: VecDeque<(Ticket, Option<u16>)>,
    size: usize,
    cycle: u16,
    last_id: u16,
    patience: Duration,
    deadline: Option<Instant>,
}

/// The client's account of packet identifiers and ours differ.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct OutOfStep;

impl Window {
    /// At most `size` in flight; identifiers from 1 to `cycle`, the last one used being `last_id`.
    pub(super) fn new(size: u16, cycle: u16, last_id: u16, patience: Duration) -> Self {
        let cycle = cycle.max(1);
        Self { entries: VecDeque::new(), size: usize::from(size), cycle, last_id, patience, deadline: None }
    }

    /// How many may be in flight.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether one more may be handed over.
    pub(super) fn has_room(&self) -> bool {
        let unsent = self.entries.iter().filter(|(_, id)| id.is_none()).count();
        let next = (usize::from(self.last_id) + unsent) % usize::from(self.cycle) + 1;
        let taken = |id: Option<u16>| id.is_some_and(|id| usize::from(id) == next);
        self.entries.len() < self.size && !self.entries.iter().any(|(_, id)| taken(*id))
    }

    /// A publication was handed over.
    pub(super) fn submitted(&mut self, ticket: Ticket, now: Instant) {
        self.entries.push_back((ticket, None));
        self.deadline.get_or_insert(now + self.patience);
    }

    /// The client announces that it sent the next one under this identifier.
    ///
    /// # Errors
    /// There is no next one, or the identifier is not the next.
    pub(super) fn sent(&mut self, packet_id: u16) -> Result<(), OutOfStep> {
        let expected = self.last_id % self.cycle + 1;
        let entry = self.entries.iter_mut().find(|(_, id)| id.is_none()).ok_or(OutOfStep)?;
        if packet_id != expected {
            return Err(OutOfStep);
        }
        entry.1 = Some(packet_id);
        self.last_id = packet_id;
        Ok(())
    }

    /// The broker answered this identifier. Returns whose it was.
    pub(super) fn answered(&mut self, packet_id: u16, now: Instant) -> Option<Ticket> {
        let place = self.entries.iter().position(|(_, id)| *id == Some(packet_id))?;
        let (ticket, _) = self.entries.remove(place)?;
        self.deadline = (!self.entries.is_empty()).then(|| now + self.patience);
        Some(ticket)
    }

    /// Data still goes out: a large batch on a slow line is no stall.
    pub(super) fn moved(&mut self, now: Instant) {
        self.deadline = (!self.entries.is_empty()).then(|| now + self.patience);
    }

    /// When it is time to ask whether anything moves.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How long nothing may be answered.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn answers_out_of_order_find_their_tickets() {
        let now = Instant::now();
        let mut window = Window::new(3, 12, 1, PATIENCE);
        for number in 0..3 {
            assert!(window.has_room());
            window.submitted(Ticket(number), now);
        }
        assert!(!window.has_room(), "three are in flight");
        for id in 2..5 {
            assert_eq!(window.sent(id), Ok(()), "the subscription took 1");
        }
        assert_eq!(window.answered(4, now), Some(Ticket(2)));
        assert_eq!(window.answered(2, now), Some(Ticket(0)));
        assert_eq!(window.answered(2, now), None, "answered twice");
        assert_eq!(window.answered(3, now), Some(Ticket(1)));
        assert_eq!(window.deadline(), None);
    }

    #[test]
    fn the_deadline_moves_with_every_answer_and_not_with_new_publications() {
        let start = Instant::now();
        let mut window = Window::new(3, 12, 0, PATIENCE);
        window.submitted(Ticket(1), start);
        let later = start + Duration::from_secs(10);
        window.submitted(Ticket(2), later);
        assert_eq!(window.deadline(), Some(start + PATIENCE));
        assert_eq!((window.sent(1), window.sent(2)), (Ok(()), Ok(())));
        window.answered(2, later);
        assert_eq!(window.deadline(), Some(later + PATIENCE), "the first one still waits");
    }

    #[test]
    fn another_identifier_than_the_next_is_out_of_step() {
        let mut window = Window::new(3, 12, 0, PATIENCE);
        assert_eq!(window.sent(1), Err(OutOfStep), "nothing was handed over");
    }

    proptest! {
        /// Against rumqttc's own rule for identifiers: none is handed over that is still in flight.
        #[test]
        fn identifiers_never_collide(size in 1_u16..8, extra in 0_u16..20, steps in proptest::collection::vec(any::<u8>(), 0..300)) {
            let now = Instant::now();
            let cycle = size + extra;
            let (mut window, mut last, mut ticket) = (Window::new(size, cycle, 0, PATIENCE), 0_u16, 0);
            let mut in_flight: Vec<(u16, Ticket)> = Vec::new();
            for step in steps {
                if step % 2 == 0 && window.has_room() {
                    ticket += 1;
                    window.submitted(Ticket(ticket), now);
                    let id = last + 1;
                    last = if id == cycle { 0 } else { id };
                    prop_assert!(in_flight.iter().all(|(other, _)| *other != id), "{id} is in flight");
                    prop_assert_eq!(window.sent(id), Ok(()));
                    in_flight.push((id, Ticket(ticket)));
                } else if !in_flight.is_empty() {
                    let (id, expected) = in_flight.remove(usize::from(step) % in_flight.len());
                    prop_assert_eq!(window.answered(id, now), Some(expected));
                }
                prop_assert!(in_flight.len() <= usize::from(size));
            }
        }
    }
}
