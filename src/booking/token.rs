//! Slot tokens: who may sell a slot, and how that right moves without two ever having it.
//!
//! A slot is first its home hub's, under epoch 1. A hub sells a slot only with its token, once its journal has it.
//! A token leaves a hub in a `Released` that is durable before anybody hears of it, and comes back only under a higher
//! epoch. Silence moves nothing, and no clock takes part. A ledger that may have been turned back sells nothing that an
//! earlier one may have sold. `tests/model` explores these functions, and variants of them that fail.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::{
    booking::{AppointmentId, SlotId},
    ids::HubId,
    time::Timestamp,
};

/// Slots that one appointment may fill.
pub const SLOTS_MAX: usize = 16;
/// Slots are sold no further ahead: a ledger that is held is held for as long.
pub const HORIZON_MS: i64 = 366 * 24 * 60 * 60 * 1000;
/// The epoch of a home slot that never moved.
const FIRST_EPOCH: u32 = 1;

/// What has become of tokens at one hub. Durable before anybody is told of it, and applied in the order written.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenEvent {
    /// This hub's ledger begins, or goes on after a start. Higher than any before; bound to a counter that a restored
    /// disk does not turn back.
    Began {
        /// The incarnation.
        incarnation: u64,
    },
    /// The ledger may have been turned back: what it could have sold that begins before then is held.
    Held {
        /// Until when.
        until: Timestamp,
    },
    /// Slots are sold, each under the epoch of its token.
    Confirmed {
        /// To which appointment.
        appointment: AppointmentId,
        /// What; all or nothing.
        slots: Vec<(SlotId, u32)>,
    },
    /// Slots of a cancelled appointment are free again, under the same epochs.
    Freed {
        /// Whose they were.
        appointment: AppointmentId,
        /// What.
        slots: Vec<(SlotId, u32)>,
    },
    /// Unsold slots go to the centre, which may sell them or grant them to another hub.
    Released {
        /// What, with the epochs that end here.
        slots: Vec<(SlotId, u32)>,
    },
    /// Slots are this hub's from now on.
    Granted {
        /// What, with their new epochs.
        slots: Vec<(SlotId, u32)>,
    },
    /// People have decided, on evidence outside the software, that held slots are free.
    Unlocked {
        /// What, with the epochs that they are free under.
        slots: Vec<(SlotId, u32)>,
        /// Who decided: two different users.
        by: (String, String),
    },
}

/// What a counter outside the disk says of how often a ledger has begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Witness {
    /// So often.
    Number(u64),
    /// There never was a counter, or it is gone.
    Missing,
    /// The counter was put back with the disk, or is damaged.
    Foreign,
}

/// What a slot is to this hub.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenState {
    /// This hub may sell it.
    Free {
        /// Its token's epoch.
        epoch: u32,
    },
    /// This hub has sold it.
    Sold {
        /// Its token's epoch.
        epoch: u32,
        /// To which appointment.
        appointment: AppointmentId,
    },
    /// Another may sell it.
    Elsewhere {
        /// The highest epoch seen here; zero if none.
        epoch: u32,
    },
    /// Nobody may sell it until people have looked.
    Held {
        /// The epoch it is held under.
        epoch: u32,
    },
}

/// Why nothing is sold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The ledger has not begun in this run of the program.
    #[error("this hub's slots are not open yet: it is still finding out whether they may be sold")]
    NotBegun,
    /// Nobody has said that no earlier ledger of this hub sold anything.
    #[error(
        "this hub does not know whether an earlier box sold its slots: connect it to the centre, or say \
         first-box = true below [booking] if there was none"
    )]
    NotFirst,
    /// This slot is held.
    #[error("this time is held until people have looked whether it was sold: see PG-306 in the manual")]
    Held,
    /// It is sold.
    #[error("this time is sold")]
    Sold,
    /// Another has the token.
    #[error("another hub, or the centre, has this time")]
    Elsewhere,
    /// The list of slots is empty, too long, or names one twice.
    #[error("1 to {SLOTS_MAX} different times can be booked together")]
    List,
    /// The appointment has no slots.
    #[error("this appointment has no slots")]
    NoSuchAppointment,
    /// Two different people must decide.
    #[error("two different people must decide")]
    TwoPeople,
}

impl Refusal {
    /// Whether somebody else was simply first.
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Sold | Self::Elsewhere)
    }
}

/// An event that cannot be, after those before it. Its slots are held.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the ledger contradicts itself about {slot}: {what}; nobody sells it until people have looked")]
pub struct Contradiction {
    /// Which slot.
    pub slot: SlotId,
    /// How.
    pub what: &'static str,
}

/// A token that is not simply at home and free.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Token {
    Free(u32),
    Sold(u32, AppointmentId),
    Gone(u32),
    Held(u32),
}

/// One hub's tokens. Sparse: a slot that is not named is at home, free, under epoch 1.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct HubLedger {
    hub: HubId,
    incarnation: u64,
    tokens: BTreeMap<SlotId, Token>,
    sold: BTreeMap<AppointmentId, Vec<SlotId>>,
    /// Slots that begin before are forgotten, and never sold.
    forgotten: Timestamp,
    /// Slots that begin before are held, unless people have unlocked them.
    held_until: Timestamp,
    unlocked: BTreeSet<SlotId>,
    /// In memory alone: a ledger that was read from a disk sells nothing before its counter was looked at.
    #[serde(skip)]
    open: bool,
    /// In memory alone: slots of an act of which nobody knows whether the disk has it.
    #[serde(skip)]
    doubtful: BTreeSet<SlotId>,
}

impl HubLedger {
    /// A ledger that has never begun.
    pub const fn new(hub: HubId) -> Self {
        Self {
            hub,
            incarnation: 0,
            tokens: BTreeMap::new(),
            sold: BTreeMap::new(),
            forgotten: Timestamp(i64::MIN),
            held_until: Timestamp(i64::MIN),
            unlocked: BTreeSet::new(),
            open: false,
            doubtful: BTreeSet::new(),
        }
    }

    /// How often it has begun; zero if never.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What is to be put down at a start, before anything is sold. `damaged` says that acts may be missing, and `first`
    /// that no earlier ledger of this hub has sold anything. Once these are durable, the counter is set to the new
    /// incarnation, and then [`HubLedger::open`] is called: a power cut between leaves a ledger that is one ahead.
    ///
    /// # Errors
    /// The ledger is new, and nobody has said that it is the first.
    pub fn begin(
        &self,
        witness: Witness,
        damaged: bool,
        first: bool,
        now: Timestamp,
    ) -> Result<Vec<TokenEvent>, Refusal> {
        let known = self.incarnation;
        let (counted, turned_back) = match witness {
            Witness::Number(number) => (number, known < number),
            // A counter that is gone proves nothing, unless there never was one.
            Witness::Missing => (known, 1 < known),
            Witness::Foreign => (known, true),
        };
        if known == 0 && !turned_back && !first {
            return Err(Refusal::NotFirst);
        }
        let mut events = Vec::with_capacity(2);
        if turned_back || damaged {
            events.push(TokenEvent::Held { until: Timestamp(now.0.saturating_add(HORIZON_MS)) });
        }
        events.push(TokenEvent::Began { incarnation: known.max(counted) + 1 });
        Ok(events)
    }

    /// The counter outside the disk says the same as this ledger: it may sell.
    pub const fn open(&mut self) {
        self.open = true;
    }

    /// Whether it may sell anything.
    ///
    /// # Errors
    /// It may not, and why.
    pub const fn may_sell(&self) -> Result<(), Refusal> {
        if !self.open {
            return Err(if self.incarnation == 0 { Refusal::NotFirst } else { Refusal::NotBegun });
        }
        Ok(())
    }

    /// Until when slots are held, if they are.
    pub fn held_until(&self) -> Option<Timestamp> {
        (Timestamp(i64::MIN) < self.held_until).then_some(self.held_until)
    }

    /// What a slot is to this hub.
    pub fn owned(&self, slot: &SlotId) -> TokenState {
        let home = slot.home == self.hub;
        let state = match self.tokens.get(slot) {
            Some(Token::Sold(epoch, appointment)) => {
                return TokenState::Sold { epoch: *epoch, appointment: *appointment };
            }
            Some(Token::Gone(epoch)) => return TokenState::Elsewhere { epoch: *epoch },
            Some(Token::Held(epoch)) => return TokenState::Held { epoch: *epoch },
            Some(Token::Free(epoch)) => TokenState::Free { epoch: *epoch },
            None if home => TokenState::Free { epoch: FIRST_EPOCH },
            None => return TokenState::Elsewhere { epoch: 0 },
        };
        let held = slot.start < self.held_until && !self.unlocked.contains(slot);
        match state {
            TokenState::Free { epoch }
                if held || self.doubtful.contains(slot) || slot.start < self.forgotten =>
            {
                TokenState::Held { epoch }
            }
            state => state,
        }
    }

    /// Sells slots to an appointment: all or none.
    ///
    /// # Errors
    /// One of them cannot be sold by this hub now.
    pub fn confirm(&self, appointment: AppointmentId, slots: &[SlotId]) -> Result<TokenEvent, Refusal> {
        self.may_sell()?;
        let named: BTreeSet<&SlotId> = slots.iter().collect();
        if slots.is_empty() || SLOTS_MAX < slots.len() || named.len() != slots.len() {
            return Err(Refusal::List);
        }
        if self.sold.contains_key(&appointment) {
            return Err(Refusal::Sold);
        }
        let free = slots.iter().map(|slot| match self.owned(slot) {
            TokenState::Free { epoch } => Ok((slot.clone(), epoch)),
            TokenState::Sold { .. } => Err(Refusal::Sold),
            TokenState::Elsewhere { .. } => Err(Refusal::Elsewhere),
            TokenState::Held { .. } => Err(Refusal::Held),
        });
        Ok(TokenEvent::Confirmed { appointment, slots: free.collect::<Result<_, _>>()? })
    }

    /// Frees the slots of an appointment that is cancelled.
    ///
    /// # Errors
    /// It has none here.
    pub fn free(&self, appointment: AppointmentId) -> Result<TokenEvent, Refusal> {
        let slots = self.sold.get(&appointment).ok_or(Refusal::NoSuchAppointment)?;
        let epochs = slots.iter().filter_map(|slot| match self.owned(slot) {
            TokenState::Sold { epoch, .. } => Some((slot.clone(), epoch)),
            _ => None,
        });
        Ok(TokenEvent::Freed { appointment, slots: epochs.collect() })
    }

    /// Gives unsold slots back to the centre; those that are not this hub's to give are left out. None if nothing is left.
    pub fn release(&self, slots: &[SlotId]) -> Option<TokenEvent> {
        self.may_sell().ok()?;
        let free = slots.iter().filter_map(|slot| match self.owned(slot) {
            TokenState::Free { epoch } => Some((slot.clone(), epoch)),
            _ => None,
        });
        let slots: Vec<_> = free.collect();
        (!slots.is_empty()).then_some(TokenEvent::Released { slots })
    }

    /// Takes what the centre grants, as far as each epoch is higher than any seen of that slot. None if it is all old.
    pub fn grant(&self, slots: &[(SlotId, u32)]) -> Option<TokenEvent> {
        let newer = slots.iter().filter(|(slot, epoch)| self.seen(slot) < *epoch);
        let slots: Vec<_> = newer.cloned().collect();
        (!slots.is_empty()).then_some(TokenEvent::Granted { slots })
    }

    /// Frees held slots on two people's word.
    ///
    /// # Errors
    /// It is one person, or a slot is not held.
    pub fn unlock(&self, slots: &[SlotId], by: (String, String)) -> Result<TokenEvent, Refusal> {
        if by.0.is_empty() || by.1.is_empty() || by.0 == by.1 {
            return Err(Refusal::TwoPeople);
        }
        let held = slots.iter().map(|slot| match self.owned(slot) {
            TokenState::Held { epoch } => Ok((slot.clone(), epoch)),
            _ => Err(Refusal::Held),
        });
        Ok(TokenEvent::Unlocked { slots: held.collect::<Result<_, _>>()?, by })
    }

    /// Takes in an event that is durable. The same event again changes nothing.
    ///
    /// # Errors
    /// It contradicts what was before; its slots are held.
    pub fn apply(&mut self, event: &TokenEvent) -> Result<(), Contradiction> {
        let mut contradicted = None;
        match event {
            TokenEvent::Began { incarnation } => self.incarnation = self.incarnation.max(*incarnation),
            TokenEvent::Held { until } => {
                self.held_until = self.held_until.max(*until);
                self.unlocked.clear();
            }
            TokenEvent::Confirmed { appointment, slots } => {
                for (slot, epoch) in slots {
                    contradicted = contradicted.or(self.sell(*appointment, slot, *epoch));
                }
            }
            TokenEvent::Freed { appointment, slots } => {
                for (slot, epoch) in slots {
                    contradicted = contradicted.or(self.take_back(*appointment, slot, *epoch));
                }
                self.sold.remove(appointment);
            }
            TokenEvent::Released { slots } => {
                for (slot, epoch) in slots {
                    contradicted = contradicted.or(self.let_go(slot, *epoch));
                }
            }
            TokenEvent::Granted { slots } => {
                for (slot, epoch) in
                    slots.iter().filter(|(slot, epoch)| self.seen(slot) < *epoch).cloned().collect::<Vec<_>>()
                {
                    self.tokens.insert(slot, Token::Free(epoch));
                }
            }
            TokenEvent::Unlocked { slots, .. } => {
                for (slot, epoch) in slots {
                    self.tokens.insert(slot.clone(), Token::Free(*epoch));
                    self.unlocked.insert(slot.clone());
                }
            }
        }
        contradicted.map_or(Ok(()), Err)
    }

    /// Nobody knows whether the disk has this event: until the next start, its slots are nobody's.
    pub fn doubt(&mut self, event: &TokenEvent) {
        let slots = match event {
            TokenEvent::Confirmed { slots, .. }
            | TokenEvent::Released { slots }
            | TokenEvent::Freed { slots, .. }
            | TokenEvent::Granted { slots }
            | TokenEvent::Unlocked { slots, .. } => slots.as_slice(),
            TokenEvent::Began { .. } | TokenEvent::Held { .. } => &[],
        };
        self.doubtful.extend(slots.iter().map(|(slot, _)| slot.clone()));
    }

    /// Forgets slots that began before. They are never sold again, so no token can come to life by it.
    pub fn forget_before(&mut self, moment: Timestamp) {
        self.forgotten = self.forgotten.max(moment);
        let forgotten = self.forgotten;
        self.tokens.retain(|slot, _| forgotten <= slot.start);
        self.unlocked.retain(|slot| forgotten <= slot.start);
        self.sold.retain(|_, slots| slots.iter().any(|slot| forgotten <= slot.start));
    }

    /// The highest epoch seen of a slot.
    fn seen(&self, slot: &SlotId) -> u32 {
        match self.tokens.get(slot) {
            Some(Token::Free(epoch) | Token::Sold(epoch, _) | Token::Gone(epoch) | Token::Held(epoch)) => {
                *epoch
            }
            None if slot.home == self.hub => FIRST_EPOCH,
            None => 0,
        }
    }

    fn sell(&mut self, appointment: AppointmentId, slot: &SlotId, epoch: u32) -> Option<Contradiction> {
        match self.tokens.get(slot) {
            Some(Token::Sold(known, buyer)) if *known == epoch && *buyer == appointment => return None,
            Some(Token::Sold(..)) => return self.hold(slot, "it is sold twice"),
            Some(Token::Gone(_)) => return self.hold(slot, "it is sold after it was released"),
            _ if self.seen(slot) != epoch => {
                return self.hold(slot, "it is sold under an epoch that it does not have");
            }
            _ => {}
        }
        self.tokens.insert(slot.clone(), Token::Sold(epoch, appointment));
        let slots = self.sold.entry(appointment).or_default();
        if !slots.contains(slot) {
            slots.push(slot.clone());
        }
        None
    }

    fn take_back(&mut self, appointment: AppointmentId, slot: &SlotId, epoch: u32) -> Option<Contradiction> {
        match self.tokens.get(slot) {
            Some(Token::Sold(known, buyer)) if *known == epoch && *buyer == appointment => {
                self.tokens.insert(slot.clone(), Token::Free(epoch));
                None
            }
            Some(Token::Free(known)) if *known == epoch => None,
            _ => self.hold(slot, "it is freed by an appointment that does not have it"),
        }
    }

    fn let_go(&mut self, slot: &SlotId, epoch: u32) -> Option<Contradiction> {
        match self.tokens.get(slot) {
            Some(Token::Gone(known)) if epoch <= *known => None,
            Some(Token::Sold(..)) => self.hold(slot, "it is released while it is sold"),
            _ if self.seen(slot) != epoch => {
                self.hold(slot, "it is released under an epoch that it does not have")
            }
            _ => {
                self.tokens.insert(slot.clone(), Token::Gone(epoch));
                None
            }
        }
    }

    fn hold(&mut self, slot: &SlotId, what: &'static str) -> Option<Contradiction> {
        // What is sold stays the buyer's: it is only never sold to another.
        if !matches!(self.tokens.get(slot), Some(Token::Sold(..) | Token::Gone(_))) {
            let epoch = self.seen(slot);
            self.tokens.insert(slot.clone(), Token::Held(epoch));
        }
        Some(Contradiction { slot: slot.clone(), what })
    }
}
