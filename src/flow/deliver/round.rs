//! What is under way at a destination: turns at its desk on a thread that may block, messages on its connections.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use tokio::{
    task::{self, JoinError, JoinSet},
    time::{Instant, timeout, timeout_at},
};

use crate::sys::entropy::Entropy;

use super::{Answer, Destination, Parcel, Position, delivery::Delivery, desk::Turn, lanes::Order};

/// A destination that says nothing at all for this long is cut off: its own patience should have ended long before.
const ANSWER_MAX: Duration = Duration::from_secs(600);
/// How long what is under way may take when the hub ends.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait when the disk failed, or when a patient's practice is not known yet.
const AGAIN: Duration = Duration::from_secs(1);
/// How long to wait at least when there is nothing else to do.
const SHORTEST: Duration = Duration::from_millis(10);
/// How often the place in the journal is made durable when nothing else makes it so.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// A task that has ended: whose it was, and the destination with what it said.
type Ended = Result<(task::Id, (Box<dyn Destination>, Answer)), JoinError>;

/// What is under way at a destination.
pub(super) struct Round {
    delivery: Arc<Delivery>,
    idle: Vec<Box<dyn Destination>>,
    pub(super) flying: JoinSet<(Box<dyn Destination>, Answer)>,
    orders: HashMap<task::Id, Order>,
    answers: Vec<(Order, Answer)>,
    entropy: Entropy,
    saved_at: Duration,
    /// What the journal was last told.
    told: Position,
}

impl Round {
    pub(super) fn new(delivery: &Arc<Delivery>) -> Self {
        Self {
            idle: (0..delivery.window).map(|_| (delivery.make)()).collect(),
            delivery: Arc::clone(delivery),
            flying: JoinSet::new(),
            orders: HashMap::new(),
            answers: Vec::new(),
            entropy: Entropy::from_system(),
            saved_at: Duration::ZERO,
            told: Position::default(),
        }
    }

    /// One turn at the desk; what it gives out goes on its way. Returns how long there is nothing else to do.
    pub(super) async fn turn(&mut self) -> Duration {
        let now = self.delivery.now();
        match self.at_desk().await {
            Ok(turn) => {
                for (order, parcel) in turn.parcels {
                    self.send(order, parcel);
                }
                let held_up = self.delivery.is_held_up();
                match (turn.more, turn.deadline) {
                    (true, _) => Duration::ZERO,
                    (false, deadline) => {
                        let longest = if held_up { AGAIN } else { SAVE_EVERY };
                        // Never at once: what is due already waits for something else, such as an answer.
                        let due = deadline.map_or(longest, |at| at.saturating_sub(now));
                        due.clamp(SHORTEST, longest)
                    }
                }
            }
            Err(error) => {
                let name = &self.delivery.name;
                tracing::error!(destination = name, %error, "delivery waits for the disk");
                self.delivery.is_held_up_by(format!("the disk failed: {error}"));
                AGAIN
            }
        }
    }

    /// Takes what has been answered to the desk, on a thread that may block.
    async fn at_desk(&mut self) -> io::Result<Turn> {
        let delivery = Arc::clone(&self.delivery);
        let (idle, mut entropy) = (self.idle.len(), Entropy::from_seed(self.entropy.next_u64()));
        let answers = std::mem::take(&mut self.answers);
        let now = delivery.now();
        let is_time_to_save = SAVE_EVERY <= now.saturating_sub(self.saved_at);
        if is_time_to_save {
            self.saved_at = now;
        }
        let work = move || {
            delivery.heard(&answers);
            let mut desk = delivery.desk();
            let moments = (now, delivery.hub.now());
            let turn = desk.turn(&answers, idle, moments, &mut entropy);
            if is_time_to_save {
                desk.save()?;
            }
            delivery.note(&desk);
            turn
        };
        let turn = task::spawn_blocking(work).await.map_err(io::Error::other)??;
        if self.told != turn.low {
            let (consumer, journal) = (&self.delivery.consumer, &self.delivery.hub.journal);
            journal.advance(consumer, turn.low).await.map_err(io::Error::other)?;
            self.told = turn.low;
        }
        Ok(turn)
    }

    fn send(&mut self, order: Order, parcel: Parcel) {
        let mut destination = self.idle.pop().unwrap_or_else(|| (self.delivery.make)());
        let sending = self.flying.spawn(async move {
            let answer = timeout(ANSWER_MAX, destination.send(&parcel)).await;
            let answer = answer.unwrap_or_else(|_| Answer::Again("it said nothing at all".to_owned()));
            (destination, answer)
        });
        self.orders.insert(sending.id(), order);
    }

    pub(super) fn landed(&mut self, ended: Ended) {
        let (id, answer) = match ended {
            Ok((id, (destination, answer))) => {
                self.idle.push(destination);
                (id, answer)
            }
            Err(error) => {
                tracing::error!(destination = self.delivery.name, %error, "sending a message failed");
                self.idle.push((self.delivery.make)());
                (error.id(), Answer::Again("the program failed over it".to_owned()))
            }
        };
        self.answers.extend(self.orders.remove(&id).map(|order| (order, answer)));
    }

    /// Waits a little for what is under way, so that it need not be sent again after the restart.
    pub(super) async fn end(mut self) {
        let until = Instant::now() + END_WITHIN;
        // The connections stay until what is under way has been answered.
        while let Ok(Some(ended)) = timeout_at(until, self.flying.join_next_with_id()).await {
            self.landed(ended);
        }
        self.idle.clear();
        self.flying.abort_all();
        let (delivery, answers) = (Arc::clone(&self.delivery), std::mem::take(&mut self.answers));
        let mut entropy = self.entropy.clone();
        let work = move || {
            let (now, at) = (delivery.now(), delivery.hub.now());
            let mut desk = delivery.desk();
            desk.turn(&answers, 0, (now, at), &mut entropy)?;
            let low = desk.save()?;
            delivery.note(&desk);
            delivery.hub.journal.advance_blocking(&delivery.consumer, low).map_err(io::Error::other)
        };
        let done = task::spawn_blocking(work).await.map_err(io::Error::other);
        if let Err(error) = done.and_then(|done| done) {
            tracing::error!(destination = self.delivery.name, %error, "delivery did not end in order");
        }
    }
}
