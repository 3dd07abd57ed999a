//! Deciding what to send next, and what to send again: sans-I/O.
//!
//! Told of the streams there are, of sessions, PUBACKs and receipts, it answers with the next [`Plan`] and
//! with the moment at which it wants to be asked again. It holds no entry, only numbers: what it forgets it
//! learns again from the journal and from receipts. The rules are those of `docs/protocol.md`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::domain::{
    entry::Receipt,
    ids::{Class, Epoch, Sequence, SequenceRange},
};

use super::uplink::Ticket;

/// Turns on the wire, as a ratio: a class with twice the weight may send twice the bytes while both have
/// something to send. Nobody starves.
const WEIGHTS: [u64; Class::ALL.len()] = [64, 16, 8, 4, 2, 1];

/// Limits and delays. All are bounds on what is in flight or on how often something is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A batch's entries together, in bytes before compression. Large enough that the round trip does not
    /// matter, small enough that an urgent entry does not wait behind it for long.
    pub batch_bytes_max: usize,
    /// A batch's entries.
    pub batch_entries_max: usize,
    /// Batches of one class sent and not confirmed by a receipt. With a centre that is down, this is all
    /// that the broker is burdened with.
    pub unconfirmed_batches_max: usize,
    /// How long to wait for a receipt before sending again, the first time; doubles with each time.
    pub receipt_overdue: Duration,
    /// The longest such wait.
    pub receipt_overdue_max: Duration,
    /// How long a gap named by a receipt must last before it is believed: with several workers at the centre
    /// a later batch may be stored before an earlier one.
    pub gap_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_bytes_max: 256 << 10,
            batch_entries_max: 1000,
            unconfirmed_batches_max: 32,
            receipt_overdue: Duration::from_secs(30),
            receipt_overdue_max: Duration::from_secs(3600),
            gap_patience: Duration::from_secs(2),
        }
    }
}

impl Limits {
    fn wait(&self, repeats: u32) -> Duration {
        let doubled = self.receipt_overdue.saturating_mul(2_u32.saturating_pow(repeats));
        doubled.min(self.receipt_overdue_max)
    }
}

/// What to send next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plan {
    /// From which class.
    pub class: Class,
    /// From which epoch.
    pub epoch: Epoch,
    /// The first number.
    pub first: Sequence,
    /// At most this many bytes of entries.
    pub bytes_max: usize,
    /// At most this many entries.
    pub entries_max: usize,
}

/// What a refusal by the broker comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AfterRefusal {
    /// The batch will be sent again in smaller ones.
    Split,
    /// This one entry is to be parked; the outbox goes on behind it, and sends its number as absent.
    Park(Class, Epoch, Sequence),
}

/// The outbox. Moments are durations since any fixed one.
#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    lanes: [Lane; Class::ALL.len()],
    in_flight: BTreeMap<Ticket, Sent>,
    connected: bool,
}

#[derive(Debug, Default)]
struct Lane {
    streams: BTreeMap<Epoch, Stream>,
    /// Bytes sent over weight: the lane with the least goes next.
    turn: u64,
}

#[derive(Debug, Default)]
struct Stream {
    last: Sequence,
    sent: Sequence,
    confirmed: Sequence,
    /// The last numbers of batches sent and not confirmed, ascending.
    unconfirmed: VecDeque<Sequence>,
    /// When to send again if no receipt comes, and how often that has happened in a row.
    overdue: Option<Duration>,
    repeats: u32,
    /// Ranges that the newest receipt says are missing, and since when.
    gaps: Vec<SequenceRange>,
    gaps_since: Option<Duration>,
    /// Ranges to be sent again now.
    again: VecDeque<SequenceRange>,
    /// Up to here entries go one by one, because a batch was refused.
    singly_through: Sequence,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    class: Class,
    epoch: Epoch,
    first: Sequence,
    last: Sequence,
}

impl Outbox {
    /// An outbox that knows of nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, lanes: Default::default(), in_flight: BTreeMap::new(), connected: false }
    }

    /// A session has begun: everything without a receipt is to be sent again, because brokers do lose what
    /// they acknowledged.
    pub fn connected(&mut self) {
        self.connected = true;
        self.in_flight.clear();
        for stream in self.lanes.iter_mut().flat_map(|lane| lane.streams.values_mut()) {
            stream.rewind();
        }
    }

    /// The session is over.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.in_flight.clear();
    }

    /// The class's epochs that still have entries without a receipt: (epoch, last number, confirmed through).
    pub fn set_streams(
        &mut self,
        class: Class,
        streams: impl IntoIterator<Item = (Epoch, Sequence, Sequence)>,
    ) {
        let known = &mut self.lanes[class.index()].streams;
        let mut present = Vec::new();
        for (epoch, last, confirmed) in streams {
            let stream = known.entry(epoch).or_default();
            stream.last = last;
            stream.confirm(confirmed);
            present.push(epoch);
        }
        known.retain(|epoch, _| present.contains(epoch));
    }

    /// What to send next; none if there is nothing, or no room in a window.
    pub fn plan(&mut self, now: Duration) -> Option<Plan> {
        if !self.connected {
            return None;
        }
        self.expire(now);
        let class = Class::ALL
            .into_iter()
            .filter(|class| self.candidate(*class).is_some())
            .min_by_key(|class| self.lanes[class.index()].turn)?;
        self.candidate(class)
    }

    /// A plan has been carried out: numbers `first` to `last` were handed to the session.
    pub fn sent(&mut self, ticket: Ticket, plan: &Plan, last: Sequence, bytes: usize, now: Duration) {
        let limits = self.limits;
        self.charge(plan.class, bytes);
        let Some(stream) = self.lanes[plan.class.index()].streams.get_mut(&plan.epoch) else { return };
        stream.sent_batch(plan.first, last);
        if stream.overdue.is_none() {
            stream.overdue = Some(now + limits.wait(stream.repeats));
        }
        let sent = Sent { class: plan.class, epoch: plan.epoch, first: plan.first, last };
        self.in_flight.insert(ticket, sent);
    }

    /// The broker has taken a batch.
    pub fn acknowledged(&mut self, ticket: Ticket) {
        self.in_flight.remove(&ticket);
    }

    /// The broker will not take a batch, whatever comes.
    pub fn refused(&mut self, ticket: Ticket) -> Option<AfterRefusal> {
        let sent = self.in_flight.remove(&ticket)?;
        let stream = self.lanes[sent.class.index()].streams.get_mut(&sent.epoch)?;
        if sent.first == sent.last {
            stream.go_back_to(sent.first);
            return Some(AfterRefusal::Park(sent.class, sent.epoch, sent.first));
        }
        stream.singly_through = stream.singly_through.max(sent.last);
        stream.go_back_to(sent.first);
        Some(AfterRefusal::Split)
    }

    /// The centre has spoken. `confirmed` is what the journal makes of `receipt.through`.
    pub fn receipt(&mut self, receipt: &Receipt, now: Duration) {
        let Some(stream) = self.lanes[receipt.class.index()].streams.get_mut(&receipt.epoch) else { return };
        let progress = stream.confirmed < receipt.through;
        stream.confirm(receipt.through.min(stream.last));
        if progress {
            stream.repeats = 0;
            let waiting = stream.confirmed < stream.sent;
            stream.overdue = waiting.then(|| now + self.limits.receipt_overdue);
        }
        let missing = |gap: &&SequenceRange| stream.confirmed < gap.last && gap.last <= stream.sent;
        stream.gaps = receipt.gaps.iter().filter(missing).copied().collect();
        if stream.gaps.is_empty() {
            stream.gaps_since = None;
        } else if progress || stream.gaps_since.is_none() {
            stream.gaps_since = Some(now);
        }
    }

    /// When [`Outbox::plan`] may have something new although nothing has happened.
    pub fn deadline(&self) -> Option<Duration> {
        if !self.connected {
            return None;
        }
        let streams = self.lanes.iter().flat_map(|lane| lane.streams.values());
        streams.flat_map(|stream| [stream.overdue, stream.gap_deadline(&self.limits)]).flatten().min()
    }

    /// Whether some batch has been sent again at least this often without a receipt.
    pub fn repeats(&self) -> u32 {
        let streams = self.lanes.iter().flat_map(|lane| lane.streams.values());
        streams.map(|stream| stream.repeats).max().unwrap_or(0)
    }

    /// Batches that await their PUBACK.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn candidate(&self, class: Class) -> Option<Plan> {
        let lane = &self.lanes[class.index()];
        lane.streams.iter().find_map(|(epoch, stream)| {
            let (first, count) = stream.next(&self.limits)?;
            // Each unanswered repetition halves the batch, so that one entry that the centre chokes on ends
            // up alone, where the centre can name it.
            let halved = self.limits.batch_entries_max >> stream.repeats.saturating_sub(1).min(20);
            let singly = first <= stream.singly_through;
            let entries_max = if singly { 1 } else { halved.max(1).min(count) };
            Some(Plan { class, epoch: *epoch, first, bytes_max: self.limits.batch_bytes_max, entries_max })
        })
    }

    /// Looks for receipts that are overdue and gaps that have lasted.
    fn expire(&mut self, now: Duration) {
        for stream in self.lanes.iter_mut().flat_map(|lane| lane.streams.values_mut()) {
            if stream.overdue.is_some_and(|overdue| overdue <= now) {
                stream.repeats = stream.repeats.saturating_add(1);
                stream.rewind();
                stream.overdue = Some(now + self.limits.wait(stream.repeats));
            }
            if stream.gap_deadline(&self.limits).is_some_and(|deadline| deadline <= now) {
                stream.again = std::mem::take(&mut stream.gaps).into();
                stream.gaps_since = None;
            }
        }
    }

    /// A lane that was idle starts with the others, not with the credit of its silence.
    fn charge(&mut self, class: Class, bytes: usize) {
        let weight = WEIGHTS[class.index()];
        let others =
            Class::ALL.into_iter().filter(|other| *other != class && self.candidate(*other).is_some());
        let floor = others.map(|other| self.lanes[other.index()].turn).min();
        let lane = &mut self.lanes[class.index()];
        let cost = (bytes as u64).max(1) * 64 / weight;
        let most = (1 << 20) * 64;
        lane.turn = lane.turn.max(floor.unwrap_or(0).saturating_sub(most)).saturating_add(cost);
    }
}

impl Stream {
    /// The next number to send and how many may go with it.
    fn next(&self, limits: &Limits) -> Option<(Sequence, usize)> {
        if let Some(range) = self.again.front() {
            let count = usize::try_from(range.last - range.first + 1).unwrap_or(usize::MAX);
            return Some((range.first, count));
        }
        let room = self.unconfirmed.len() < limits.unconfirmed_batches_max;
        (room && self.sent < self.last).then_some((self.sent + 1, usize::MAX))
    }

    fn sent_batch(&mut self, first: Sequence, last: Sequence) {
        if let Some(range) = self.again.front_mut().filter(|range| range.first == first) {
            range.first = last + 1;
            if range.last < range.first {
                self.again.pop_front();
            }
            return;
        }
        self.sent = self.sent.max(last);
        self.unconfirmed.push_back(last);
    }

    fn confirm(&mut self, through: Sequence) {
        self.confirmed = self.confirmed.max(through);
        self.sent = self.sent.max(self.confirmed);
        while self.unconfirmed.front().is_some_and(|last| *last <= self.confirmed) {
            self.unconfirmed.pop_front();
        }
        while self.again.front().is_some_and(|range| range.last <= self.confirmed) {
            self.again.pop_front();
        }
        if let Some(range) = self.again.front_mut() {
            range.first = range.first.max(self.confirmed + 1);
        }
        if self.confirmed == self.sent {
            self.overdue = None;
        }
    }

    /// Everything without a receipt is to be sent again.
    fn rewind(&mut self) {
        self.go_back_to(self.confirmed + 1);
        self.overdue = None;
        self.gaps.clear();
        self.gaps_since = None;
    }

    fn go_back_to(&mut self, first: Sequence) {
        let first = first.max(self.confirmed + 1);
        self.sent = self.sent.min(first - 1);
        while self.unconfirmed.back().is_some_and(|last| first <= *last) {
            self.unconfirmed.pop_back();
        }
        self.again.clear();
    }

    fn gap_deadline(&self, limits: &Limits) -> Option<Duration> {
        self.gaps_since.map(|since| since + limits.gap_patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{entry::WIRE_VERSION, time::Timestamp};

    const EPOCH: Epoch = Epoch(7);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn outbox(last: Sequence) -> Outbox {
        let limits = Limits { batch_entries_max: 10, unconfirmed_batches_max: 3, ..Limits::default() };
        let mut outbox = Outbox::new(limits);
        outbox.set_streams(Class::Clinical, [(EPOCH, last, 0)]);
        outbox.connected();
        outbox
    }

    /// Carries out plans of full batches until there are none; returns (first, last) of each.
    fn drain(outbox: &mut Outbox, last: Sequence, now: Duration, ticket: &mut u64) -> Vec<(u64, u64)> {
        let mut sent = Vec::new();
        while let Some(plan) = outbox.plan(now) {
            let end = last.min(plan.first + plan.entries_max as u64 - 1);
            *ticket += 1;
            outbox.sent(Ticket(*ticket), &plan, end, 1000, now);
            sent.push((plan.first, end));
            assert!(sent.len() < 1000, "it never ends");
        }
        sent
    }

    fn receipt(through: Sequence, gaps: &[(u64, u64)]) -> Receipt {
        Receipt {
            v: WIRE_VERSION,
            hub: "h".parse().unwrap(),
            class: Class::Clinical,
            epoch: EPOCH,
            through,
            gaps: gaps.iter().map(|(first, last)| SequenceRange { first: *first, last: *last }).collect(),
            at: Timestamp(0),
            refused: Vec::new(),
        }
    }

    #[test]
    fn sends_up_to_the_window_and_goes_on_with_receipts_alone() {
        let (mut outbox, mut ticket) = (outbox(45), 0);
        assert_eq!(drain(&mut outbox, 45, seconds(0), &mut ticket), [(1, 10), (11, 20), (21, 30)]);
        outbox.acknowledged(Ticket(1));
        assert_eq!(drain(&mut outbox, 45, seconds(0), &mut ticket), [], "a PUBACK opens no window");
        outbox.receipt(&receipt(20, &[]), seconds(1));
        assert_eq!(drain(&mut outbox, 45, seconds(1), &mut ticket), [(31, 40), (41, 45)]);
        outbox.receipt(&receipt(45, &[]), seconds(2));
        assert_eq!((outbox.plan(seconds(3)), outbox.deadline()), (None, None));
    }

    #[test]
    fn sends_again_after_a_new_session() {
        let (mut outbox, mut ticket) = (outbox(20), 0);
        drain(&mut outbox, 20, seconds(0), &mut ticket);
        outbox.receipt(&receipt(10, &[]), seconds(1));
        outbox.disconnected();
        assert_eq!(outbox.plan(seconds(2)), None);
        outbox.connected();
        assert_eq!(drain(&mut outbox, 20, seconds(2), &mut ticket), [(11, 20)]);
    }

    #[test]
    fn overdue_receipts_are_asked_for_ever_more_rarely_in_ever_smaller_batches() {
        let (mut outbox, mut ticket) = (outbox(10), 0);
        drain(&mut outbox, 10, seconds(0), &mut ticket);
        let mut waits = Vec::new();
        let mut batches = Vec::new();
        let mut now = seconds(0);
        for _ in 0..12 {
            let deadline = outbox.deadline().unwrap();
            waits.push((deadline - now).as_secs());
            now = deadline;
            batches.push(drain(&mut outbox, 10, now, &mut ticket).first().copied().unwrap());
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600, 3600]);
        assert_eq!(batches[0], (1, 10));
        assert_eq!(batches[1], (1, 5));
        assert_eq!(batches[11], (1, 1));
        outbox.receipt(&receipt(5, &[]), now);
        assert_eq!(outbox.repeats(), 0);
    }

    #[test]
    fn a_lasting_gap_is_sent_again_and_a_passing_one_is_not() {
        let (mut outbox, mut ticket) = (outbox(30), 0);
        drain(&mut outbox, 30, seconds(0), &mut ticket);
        outbox.receipt(&receipt(0, &[(1, 10)]), seconds(1));
        outbox.receipt(&receipt(30, &[]), seconds(2));
        assert_eq!(drain(&mut outbox, 30, seconds(9), &mut ticket), []);

        let (mut outbox, mut ticket) = (self::outbox(30), 0);
        drain(&mut outbox, 30, seconds(0), &mut ticket);
        outbox.receipt(&receipt(4, &[(5, 10)]), seconds(1));
        assert_eq!(drain(&mut outbox, 30, seconds(2), &mut ticket), []);
        assert_eq!(outbox.deadline(), Some(seconds(3)));
        assert_eq!(drain(&mut outbox, 10, seconds(3), &mut ticket), [(5, 10)]);
    }

    #[test]
    fn a_refused_batch_is_split_and_a_refused_entry_parked() {
        let (mut outbox, mut ticket) = (outbox(10), 0);
        drain(&mut outbox, 10, seconds(0), &mut ticket);
        assert_eq!(outbox.refused(Ticket(1)), Some(AfterRefusal::Split));
        let plan = outbox.plan(seconds(0)).unwrap();
        assert_eq!((plan.first, plan.entries_max), (1, 1));
        outbox.sent(Ticket(50), &plan, 1, 10, seconds(0));
        assert_eq!(outbox.refused(Ticket(50)), Some(AfterRefusal::Park(Class::Clinical, EPOCH, 1)));
        assert_eq!(outbox.plan(seconds(0)).unwrap().first, 1, "its number is still to be told, as absent");
        assert_eq!(outbox.refused(Ticket(999)), None);
    }

    #[test]
    fn the_urgent_go_first_and_nobody_starves() {
        let mut outbox = Outbox::new(Limits { unconfirmed_batches_max: 10_000, ..Limits::default() });
        for class in Class::ALL {
            outbox.set_streams(class, [(EPOCH, 1_000_000, 0)]);
        }
        outbox.connected();
        let mut turns = [0_u32; Class::ALL.len()];
        for ticket in 0..500 {
            let plan = outbox.plan(seconds(0)).unwrap();
            turns[plan.class.index()] += 1;
            let last = plan.first + 9;
            outbox.sent(Ticket(ticket), &plan, last, 100_000, seconds(0));
        }
        assert!(turns.is_sorted_by(|more, less| more >= less), "{turns:?}");
        assert!(turns.iter().all(|count| 3 <= *count), "{turns:?}");
    }

    #[test]
    fn older_epochs_go_first() {
        let mut outbox = outbox(10);
        outbox.set_streams(Class::Clinical, [(EPOCH, 10, 5), (Epoch(9), 3, 0)]);
        let mut ticket = 0;
        let first = outbox.plan(seconds(0)).unwrap();
        assert_eq!((first.epoch, first.first), (EPOCH, 6));
        outbox.sent(Ticket(0), &first, 10, 10, seconds(0));
        let sent = drain(&mut outbox, 3, seconds(0), &mut ticket);
        assert_eq!(sent, [(1, 3)]);
        outbox.set_streams(Class::Clinical, [(Epoch(9), 3, 0)]);
        assert_eq!(outbox.plan(seconds(0)), None);
    }
}
