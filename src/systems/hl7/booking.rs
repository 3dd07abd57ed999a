//! Appointments in the book of a system that is told of them over HL7 v2: RiO and hospital systems.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::{
    codec::hl7v2::ErrorCode,
    domain::booking::Reference,
    flow::{
        ask::{Asked, AtFault, Contact, Outcome, Refusal, Retry, TakesBookings, Telling, Told},
        deliver::Answer,
    },
    sys::clock::Clock,
};

use super::{
    ack_policy::{Received, words},
    client::{Client, ClientOptions},
    outgoing::Address,
    scheduling::{Untellable, siu},
};

/// A system that did not answer, or has no room just now, is told again after this long.
const AGAIN: Retry = Retry::After(Duration::from_secs(60));

const REFUSED: &str = "The clinic's system has refused this booking: the time may be taken. Choose another time, or \
                       ring the clinic.";
const CHANGE_REFUSED: &str = "The clinic's system has not taken this change. Ring the clinic.";
const CANCELLATION_REFUSED: &str = "The clinic's system has not taken the cancellation. Ring the clinic.";
const NOT_UNDERSTOOD: &str = "The clinic's system does not take what this hub tells it. Ring the clinic, and tell the \
                              hub's support.";
const NOT_NOW: &str = "The clinic's system cannot take this just now. It is told again by itself.";
const SILENT: &str =
    "The clinic's system has not answered, and may or may not have this. It is told again by itself.";
const HAS_IT: &str = "The clinic's system says that it has an appointment of this name already. Ring the clinic to \
                      make sure.";
const NO_NUMBER: &str = "The clinic's system cannot be told of a patient without an NHS number. Find the number \
                         first, or ring the clinic.";
const OUR_DEFECT: &str =
    "This hub cannot tell the clinic's system. Ring the clinic, and tell the hub's support.";

/// One system that is told of appointments: one connection, one message under way.
#[derive(Debug)]
pub struct SiuBooking {
    name: String,
    address: Address,
    /// The longest that one telling may take, attempts on a stale connection included.
    patience: Duration,
    client: tokio::sync::Mutex<Client>,
    clock: Arc<dyn Clock>,
    lately: Mutex<Lately>,
}

#[derive(Debug, Default)]
struct Lately {
    contact: Contact,
    /// When it was last found silent, by a clock that nobody sets.
    silent: Option<Instant>,
}

impl SiuBooking {
    /// A system of this configured name, not connected yet. [`ClientOptions::for_bookings`] suits a desk.
    pub fn new(name: &str, options: ClientOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.to_owned(),
            address: options.addressing.clone(),
            patience: options.connect + options.write + options.answer,
            client: tokio::sync::Mutex::new(Client::new(options)),
            clock,
            lately: Mutex::default(),
        }
    }

    async fn told(&self, telling: &Telling) -> Result<Reference, Refusal> {
        let message = siu(telling, &self.address).map_err(|why| self.untellable(why))?;
        let waits_since = Instant::now();
        let mut client = self.client.lock().await;
        // Whoever queued behind one that got no answer would only wait as long again, and the desk with them.
        if self.lately().silent.is_some_and(|silent| waits_since < silent) {
            return Err(self.silence("it was silent to the message before"));
        }
        let answered = timeout(self.patience, client.ask(&message, telling.id.as_bytes())).await;
        let received = match answered {
            Ok(Ok(received)) => received,
            Ok(Err(why)) => return Err(self.is_silent(&why)),
            Err(_) => return Err(self.is_silent("no answer in time")),
        };
        let answer = client.policy().answer(&received);
        drop(client);
        self.lately().contact.answered = Some(self.clock.now());
        match self.meaning(telling.what, &received, answer) {
            None => {
                let id = received.filler.unwrap_or_else(|| telling.appointment.id.to_string());
                Ok(Reference { id, ..Reference::default() })
            }
            Some(refusal) => Err(refusal),
        }
    }

    /// What an answer means for the desk; none if it has taken it.
    fn meaning(&self, what: Told, received: &Received, answer: Answer) -> Option<Refusal> {
        let no = matches!(received.code.as_str(), "AE" | "AR" | "CE" | "CR");
        Some(match answer {
            Answer::Accepted => return None,
            // Nobody else makes names like ours: it may well have taken an earlier attempt, whose answer was lost.
            _ if received.error == Some(ErrorCode::DuplicateKey.number()) => Refusal {
                retry: AGAIN,
                outcome: Outcome::Unknown,
                ..self.refusal("SIU_DUPLICATE", AtFault::System, HAS_IT, &words(received))
            },
            // What is neither yes nor no says nothing of what was done.
            _ if !no => Refusal {
                retry: AGAIN,
                outcome: Outcome::Unknown,
                ..self.refusal("SIU_ANSWER_UNREADABLE", AtFault::System, SILENT, &words(received))
            },
            Answer::Again(detail) => {
                Refusal { retry: AGAIN, ..self.refusal("SIU_NOT_NOW", AtFault::System, NOT_NOW, &detail) }
            }
            Answer::Stop(detail) if is_about_the_message(received) => {
                self.refusal("SIU_NOT_UNDERSTOOD", AtFault::Hub, NOT_UNDERSTOOD, &detail)
            }
            Answer::Stop(detail) => {
                let words = match what {
                    Told::Booked => REFUSED,
                    Told::Amended | Told::DidNotAttend => CHANGE_REFUSED,
                    Told::Cancelled => CANCELLATION_REFUSED,
                };
                self.refusal("SIU_REFUSED", AtFault::Decision, words, &detail)
            }
        })
    }

    fn untellable(&self, why: Untellable) -> Refusal {
        let (code, at_fault, words) = match why {
            Untellable::NoNumber => ("SIU_NO_NUMBER", AtFault::Asker, NO_NUMBER),
            Untellable::NoControlId => ("SIU_NOT_MADE", AtFault::Hub, OUR_DEFECT),
        };
        self.refusal(code, at_fault, words, &why.to_string())
    }

    fn is_silent(&self, why: &str) -> Refusal {
        let refusal = self.silence(why);
        let mut lately = self.lately();
        lately.silent = Some(Instant::now());
        lately.contact.failed = Some((self.clock.now(), refusal.to_string()));
        refusal
    }

    /// It may have acted: on this attempt, or on one before whose answer was lost.
    fn silence(&self, why: &str) -> Refusal {
        Refusal {
            retry: AGAIN,
            outcome: Outcome::Unknown,
            ..self.refusal("SIU_NO_ANSWER", AtFault::Network, SILENT, why)
        }
    }

    fn refusal(&self, code: &'static str, at_fault: AtFault, words: &'static str, detail: &str) -> Refusal {
        let detail = format!("{}: {detail}", self.name);
        Refusal { code, at_fault, retry: Retry::Never, outcome: Outcome::NotDone, words, detail }
    }

    fn lately(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakesBookings for SiuBooking {
    fn name(&self) -> &str {
        &self.name
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> Asked<'a, Reference> {
        Box::pin(self.told(telling))
    }

    fn contact(&self) -> Contact {
        self.lately().contact.clone()
    }
}

/// Whether it is how the message is written that it does not take, or that it does not take such messages at all.
fn is_about_the_message(received: &Received) -> bool {
    received.error.is_some_and(|number| matches!(number, 100..=103 | 200..=203))
}

#[cfg(test)]
mod tests;
