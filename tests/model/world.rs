//! Hubs, a centre, and a network that loses, repeats and delays: the driver around the production functions.

use std::collections::{BTreeMap, BTreeSet};

use polygate::{
    booking::{
        centre::CentreLedger,
        token::{HubLedger, TokenEvent, TokenState, Witness},
    },
    domain::{
        booking::{AppointmentId, SlotId},
        ids::HubId,
        time::Timestamp,
    },
};
use stateright::{Model, Property};

/// Long before every slot.
const NOW: Timestamp = Timestamp(0);
const START: i64 = 1_000_000;

/// How far it is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub hubs: usize,
    pub slots: u16,
    /// Grants of each slot.
    pub grants: u32,
    /// Bookings altogether.
    pub bookings: u8,
    /// Cancellations altogether.
    pub cancels: u8,
    /// Power cuts altogether.
    pub cuts: u8,
    /// Backups that are taken, and may be put back, altogether.
    pub backups: u8,
}

impl Bounds {
    pub const fn small() -> Self {
        Self { hubs: 3, slots: 2, grants: 2, bookings: 3, cancels: 1, cuts: 1, backups: 0 }
    }
}

/// How the driver around the production functions behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Variant {
    /// As it must.
    Right,
    /// The centre takes back a slot of a hub that it has not heard for long.
    LeaseRunsOut,
    /// Nothing outside the disk counts its beginnings.
    RestoreUnnoticed,
    /// A release is sent first and written later.
    ReleaseBeforeDurable,
    /// A grant is taken whatever was seen before.
    EpochUnchecked,
    /// A booking is said first and written later.
    SaidBeforeDurable,
    /// A hub is declared dead, and its slots are the centre's.
    DeadHubResold,
}

#[derive(Clone, Copy, Debug)]
pub struct World {
    pub variant: Variant,
    pub bounds: Bounds,
}

impl World {
    pub const fn of(bounds: Bounds) -> Self {
        Self { variant: Variant::Right, bounds }
    }

    fn hub(index: usize) -> HubId {
        ["soho", "hackney", "brent"][index].parse().unwrap()
    }

    /// Both slots are of the first hub's session: they may be booked together.
    fn slots(&self) -> Vec<SlotId> {
        let slot = |place| SlotId {
            home: Self::hub(0),
            session: "feet".parse().unwrap(),
            start: Timestamp(START),
            place,
        };
        (1..=self.bounds.slots).map(slot).collect()
    }
}

/// One hub: what it has in memory, what its disk has, what a backup has, and the counter outside.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Hub {
    memory: HubLedger,
    disk: HubLedger,
    backup: Option<HubLedger>,
    /// None if it was put back with the disk.
    counter: Option<u64>,
}

/// What is on its way; it stays there for ever, so it may come late and again, or never.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Message {
    Released { from: usize, slot: SlotId, epoch: u32 },
    Grant { to: usize, slot: SlotId, epoch: u32 },
}

/// All there is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    hubs: Vec<Hub>,
    centre: CentreLedger,
    network: BTreeSet<Message>,
    /// What patients were told and nobody has cancelled: by which hub, and what.
    told: BTreeMap<AppointmentId, (usize, Vec<SlotId>)>,
    bookings: u8,
    cancels: u8,
    cuts: u8,
    backups: u8,
    /// A slot was sold by another hub than its own: shows that the model reaches what it is about.
    sold_away: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    Book(usize, Vec<SlotId>),
    Cancel(AppointmentId),
    Release(usize, SlotId),
    Grant(SlotId, usize),
    Deliver(Message),
    PowerCut(usize),
    PowerCutAtStart(usize),
    Backup(usize),
    Restore(usize),
    TakeBack(SlotId),
}

impl Hub {
    fn new(index: usize) -> Self {
        let mut hub = Self {
            memory: HubLedger::new(World::hub(index)),
            disk: HubLedger::new(World::hub(index)),
            backup: None,
            counter: Some(0),
        };
        hub.start(true, Variant::Right, true);
        hub
    }

    /// Durable first, then taken in.
    fn commit(&mut self, event: &TokenEvent, variant: Variant) {
        for ledger in [&mut self.disk, &mut self.memory] {
            let applied = ledger.apply(event);
            assert!(applied.is_ok() || variant != Variant::Right, "{applied:?}");
        }
    }

    /// As `flow::book::begin` does it. `whole` is false if the power goes before the counter is set.
    fn start(&mut self, first: bool, variant: Variant, whole: bool) {
        // What is in memory alone is gone; a ledger read from a disk is not open.
        let bytes = serde_json::to_vec(&self.disk).unwrap();
        self.disk = serde_json::from_slice(&bytes).unwrap();
        self.memory = self.disk.clone();
        let witness = match self.counter {
            _ if variant == Variant::RestoreUnnoticed => Witness::Number(self.disk.incarnation()),
            None => Witness::Foreign,
            Some(0) => Witness::Missing,
            Some(number) => Witness::Number(number),
        };
        for event in self.memory.begin(witness, false, first, NOW).unwrap() {
            self.commit(&event, variant);
        }
        if whole {
            self.counter = Some(self.memory.incarnation());
            self.memory.open();
        }
    }
}

impl Model for World {
    type Action = Action;
    type State = State;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            hubs: (0..self.bounds.hubs).map(Hub::new).collect(),
            centre: CentreLedger::default(),
            network: BTreeSet::new(),
            told: BTreeMap::new(),
            bookings: 0,
            cancels: 0,
            cuts: 0,
            backups: 0,
            sold_away: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let slots = self.slots();
        for (index, hub) in state.hubs.iter().enumerate() {
            if state.bookings < self.bounds.bookings {
                actions.extend(slots.iter().map(|slot| Action::Book(index, vec![slot.clone()])));
                if 1 < slots.len() {
                    actions.push(Action::Book(index, slots.clone()));
                }
            }
            actions.extend(slots.iter().map(|slot| Action::Release(index, slot.clone())));
            if state.cuts < self.bounds.cuts {
                actions.extend([Action::PowerCut(index), Action::PowerCutAtStart(index)]);
            }
            if state.backups < self.bounds.backups && hub.backup.is_none() {
                actions.push(Action::Backup(index));
            }
            if hub.backup.is_some() {
                actions.push(Action::Restore(index));
            }
        }
        if state.cancels < self.bounds.cancels {
            actions.extend(state.told.keys().map(|appointment| Action::Cancel(*appointment)));
        }
        for slot in &slots {
            if state.centre.owner(slot).1 <= self.bounds.grants {
                actions.extend((0..self.bounds.hubs).map(|to| Action::Grant(slot.clone(), to)));
            }
            if matches!(self.variant, Variant::LeaseRunsOut | Variant::DeadHubResold) {
                actions.push(Action::TakeBack(slot.clone()));
            }
        }
        actions.extend(state.network.iter().cloned().map(Action::Deliver));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Book(hub, slots) => self.book(&mut state, hub, &slots)?,
            Action::Cancel(appointment) => {
                let (hub, _) = state.told.get(&appointment)?.clone();
                // A hub whose disk was put back may not know it; then people cancel it at the hub's desk, by paper.
                if let Ok(event) = state.hubs[hub].memory.free(appointment) {
                    state.hubs[hub].commit(&event, self.variant);
                }
                state.told.remove(&appointment);
                state.cancels += 1;
            }
            Action::Release(hub, slot) => {
                let event = state.hubs[hub].memory.release(std::slice::from_ref(&slot))?;
                let TokenEvent::Released { slots } = &event else { return None };
                let epoch = slots[0].1;
                if self.variant == Variant::ReleaseBeforeDurable {
                    state.hubs[hub].memory.apply(&event).unwrap();
                } else {
                    state.hubs[hub].commit(&event, self.variant);
                }
                state.network.insert(Message::Released { from: hub, slot, epoch });
            }
            Action::Grant(slot, to) => {
                let epoch = state.centre.grant(&slot, &Self::hub(to))?;
                state.network.insert(Message::Grant { to, slot, epoch });
            }
            Action::Deliver(message) => self.deliver(&mut state, message)?,
            Action::PowerCut(hub) => {
                state.hubs[hub].start(false, self.variant, true);
                state.cuts += 1;
            }
            Action::PowerCutAtStart(hub) => {
                // Once more right after: what began and was not counted must do no harm.
                state.hubs[hub].start(false, self.variant, false);
                state.hubs[hub].start(false, self.variant, true);
                state.cuts += 1;
            }
            Action::Backup(hub) => {
                state.hubs[hub].backup = Some(state.hubs[hub].disk.clone());
                state.backups += 1;
            }
            Action::Restore(hub) => {
                let backup = state.hubs[hub].backup.take()?;
                state.hubs[hub].disk = backup;
                state.hubs[hub].counter = None;
                state.hubs[hub].start(false, self.variant, true);
            }
            Action::TakeBack(slot) => {
                let (owner, epoch) = state.centre.owner(&slot);
                let polygate::domain::booking::Owner::Hub(owner) = owner else { return None };
                state.centre.released(&owner, &slot, epoch);
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::<Self>::always("no slot is sold twice", |_, state| {
            let mut sold = BTreeSet::new();
            state.told.values().flat_map(|(_, slots)| slots).all(|slot| sold.insert(slot))
        })];
        if self.variant == Variant::Right {
            properties.push(Property::<Self>::always(
                "what was said stands, or its slot is held",
                |_, state| {
                    state.told.iter().all(|(appointment, (hub, slots))| {
                        let ledger = &state.hubs[*hub].disk;
                        slots.iter().all(|slot| match ledger.owned(slot) {
                            // A disk that was put back may know an earlier buyer, or not yet the slot: it sells to nobody.
                            TokenState::Sold { appointment: known, .. } => {
                                known == *appointment || ledger.held_until().is_some()
                            }
                            TokenState::Held { .. } => true,
                            TokenState::Elsewhere { .. } => ledger.held_until().is_some(),
                            TokenState::Free { .. } => false,
                        })
                    })
                },
            ));
            properties.push(Property::<Self>::sometimes(
                "a slot is sold by a hub that it was granted to",
                |_, state| state.sold_away,
            ));
        }
        properties
    }
}

impl World {
    fn book(&self, state: &mut State, hub: usize, slots: &[SlotId]) -> Option<()> {
        let appointment = AppointmentId(u128::from(state.bookings) + 1);
        let event = state.hubs[hub].memory.confirm(appointment, slots).ok()?;
        if self.variant == Variant::SaidBeforeDurable {
            state.hubs[hub].memory.apply(&event).unwrap();
        } else {
            state.hubs[hub].commit(&event, self.variant);
        }
        state.told.insert(appointment, (hub, slots.to_vec()));
        state.bookings += 1;
        state.sold_away |= hub != 0;
        Some(())
    }

    fn deliver(&self, state: &mut State, message: Message) -> Option<()> {
        match message {
            Message::Released { from, slot, epoch } => {
                state.centre.released(&Self::hub(from), &slot, epoch);
            }
            Message::Grant { to, slot, epoch } => {
                let hub = &mut state.hubs[to];
                let event = if self.variant == Variant::EpochUnchecked {
                    // As if the epochs were not compared: whatever comes is newer than all that was seen.
                    let TokenState::Elsewhere { epoch: seen } = hub.memory.owned(&slot) else { return None };
                    TokenEvent::Granted { slots: vec![(slot, epoch.max(seen + 1))] }
                } else {
                    hub.memory.grant(&[(slot, epoch)])?
                };
                hub.commit(&event, self.variant);
            }
        }
        Some(())
    }
}
