//! The copies that a desk keeps of messages it must wait with, each a small file of its own.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{entry::Entry, ids::Class, time::Timestamp},
    flow::{
        aside::Kept,
        deliver::{Position, lanes::Order},
    },
};

use super::{Desk, FINISHED_MAX, OVERTAKEN_AT_ONCE, keys};

/// A message put aside: its own copy, since the journal does not wait for decisions.
#[derive(Clone, Deserialize, Serialize)]
pub(in crate::flow::deliver) struct Copy {
    pub(in crate::flow::deliver) at: Timestamp,
    pub(in crate::flow::deliver) order: Order,
    pub(in crate::flow::deliver) id: String,
    pub(in crate::flow::deliver) class: Class,
    /// Why it is parked; none if it only waits for its turn.
    pub(in crate::flow::deliver) parked: Option<String>,
    pub(in crate::flow::deliver) entry: Entry,
}

/// What is remembered of a copy without reading it.
#[derive(Clone, Debug)]
pub(in crate::flow::deliver) struct Note {
    pub(in crate::flow::deliver) at: Timestamp,
    pub(in crate::flow::deliver) class: Class,
    pub(in crate::flow::deliver) kind: String,
    pub(in crate::flow::deliver) system: String,
    pub(in crate::flow::deliver) source_id: String,
    pub(in crate::flow::deliver) parked: Option<String>,
    /// Whether the copy is on disk; without one the message stays in the journal.
    pub(super) filed: bool,
}

impl Desk {
    /// In another journal the places of copies mean other messages: they become operators' repetitions, which come
    /// before anything in it.
    pub(super) fn rename_copies(&mut self) -> io::Result<()> {
        let names = self.folder.names()?;
        let (mut again, position) = (names.len() as u64, self.read);
        for name in names {
            let Some(copy) = self.folder.read::<Copy>(&name)? else { continue };
            again += 1;
            let order = Order { position, again };
            self.folder.replace(&name_of(order), &Copy { order, ..copy })?;
            self.folder.remove(&name)?;
        }
        Ok(())
    }

    pub(super) fn load_copies(&mut self) -> io::Result<()> {
        for name in self.folder.names()? {
            let Some(copy) = self.folder.read::<Copy>(&name)? else {
                tracing::error!(consumer = self.tools.consumer, name, "a copy to be delivered is damaged");
                self.counters.missed += 1;
                continue;
            };
            let finished = copy.order.again == 0 && self.finished.contains(&copy.order.position);
            if finished || self.discarded.contains(&copy.order) {
                self.discarded.insert(copy.order);
                continue;
            }
            self.resent = self.resent.max(copy.order.again);
            let event = (self.tools.translate)(&copy.entry);
            let keys = event.map(|event| keys(&copy.entry, &event)).unwrap_or_default();
            self.lanes.add(copy.order, copy.class, keys);
            if copy.parked.is_some() {
                self.lanes.park(copy.order);
            }
            self.copies.insert(copy.order, note_of(&copy));
        }
        Ok(())
    }

    /// Gives a message a copy of its own, or changes why it has one.
    pub(super) fn put_aside(
        &mut self,
        order: Order,
        at: Timestamp,
        parked: Option<String>,
    ) -> io::Result<Kept> {
        let copy = if self.has_copy(order) {
            let copy = self.folder.read::<Copy>(&name_of(order))?;
            copy.map(|copy| Copy { parked, ..copy })
        } else {
            let class = self.lanes.class(order).unwrap_or(Class::Clinical);
            let read = self.read_back(order.position)?;
            read.map(|(id, entry)| Copy { at, order, id, class, parked, entry })
        };
        let Some(copy) = copy else { return Err(io::ErrorKind::NotFound.into()) };
        // Even if it cannot be copied, those who decide about it can see it; it then stays in the journal too.
        let mut note = note_of(&copy);
        note.filed = self.has_copy(order);
        self.copies.insert(order, note.clone());
        let kept = self.folder.replace(&name_of(order), &copy)?;
        if kept == Kept::Yes {
            note.filed = true;
            self.copies.insert(order, note);
            self.pending.remove(&order.position);
            self.unsaved = true;
        }
        Ok(kept)
    }

    pub(super) fn has_copy(&self, order: Order) -> bool {
        self.copies.get(&order).is_some_and(|note| note.filed)
    }

    pub(super) fn copy_the_held(&mut self, at: Timestamp) -> io::Result<()> {
        let held: Vec<Order> = self.lanes.held().filter(|order| !self.has_copy(*order)).collect();
        for order in held {
            if self.put_aside(order, at, None)? == Kept::No {
                break;
            }
        }
        Ok(())
    }

    /// Copies the messages that others have overtaken, so that the snapshot's place can move on. False if the
    /// folder is full.
    pub(super) fn copy_the_overtaken(&mut self) -> io::Result<bool> {
        let Some(newest) = self.finished.last().copied() else { return Ok(true) };
        let overtaken = self.pending.range(..newest).map(|(position, at)| (*position, *at));
        let mut overtaken: Vec<(Position, Timestamp)> = overtaken.take(OVERTAKEN_AT_ONCE + 1).collect();
        if OVERTAKEN_AT_ONCE < overtaken.len() && self.finished.len() <= FINISHED_MAX {
            return Ok(true);
        }
        overtaken.truncate(OVERTAKEN_AT_ONCE);
        for (position, at) in overtaken {
            if self.put_aside(Order { position, again: 0 }, at, None)? == Kept::No {
                return Ok(false);
            }
        }
        self.save().map(|_| true)
    }
}

pub(super) fn note_of(copy: &Copy) -> Note {
    Note {
        at: copy.at,
        class: copy.class,
        kind: copy.entry.kind.clone(),
        system: copy.entry.system.clone(),
        source_id: copy.entry.source_id.clone(),
        parked: copy.parked.clone(),
        filed: true,
    }
}

impl Note {
    /// For a message that is parked and cannot be read.
    pub(super) fn unreadable() -> Self {
        Self {
            at: Timestamp::default(),
            class: Class::Clinical,
            kind: String::new(),
            system: String::new(),
            source_id: String::new(),
            parked: Some("it is parked, and cannot be read: see the log".to_owned()),
            filed: false,
        }
    }
}

/// The name of a copy's file.
pub(in crate::flow::deliver) fn name_of(order: Order) -> String {
    format!("{:016x}-{:016x}-{:x}", order.position.segment, order.position.offset, order.again)
}
