//! Months that are put away: their statements leave memory, and what stays tells late evidence which month to open.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::contact::{Evidence, Month};

use super::{
    fold::Pins,
    pack::{pack, unpack},
    people::People,
};

/// A month's statements, to be kept elsewhere until the month is opened again.
pub struct Shelf {
    pub(super) month: Month,
    pub(super) bundles: Vec<Box<[u8]>>,
    pub(super) pins: Pins,
}

impl Shelf {
    /// Puts one together of what was kept elsewhere.
    pub fn new(month: Month, statements: impl IntoIterator<Item = Evidence>, pins: Pins) -> Self {
        let bundles = statements.into_iter().map(|statement| pack(&[statement])).collect();
        Self { month, bundles, pins }
    }

    /// What was put away later with the same month goes with it: a month is opened as a whole.
    pub fn add(&mut self, more: Self) {
        self.bundles.extend(more.bundles);
        self.pins.extend(more.pins);
    }

    /// Which month.
    pub const fn month(&self) -> Month {
        self.month
    }

    /// Its statements, one by one.
    pub fn statements(&self) -> impl Iterator<Item = Evidence> + '_ {
        self.bundles.iter().flat_map(|bundle| unpack(bundle))
    }

    /// Names under which its contacts were sent to somebody, and when.
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }
}

/// What a ledger must not forget of a month that is put away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shelved {
    /// Months whose days are in it: a contact that was moved from one month to the next is put away with the later.
    pub(super) touches: BTreeSet<Month>,
    /// Halves of the keys of its statements, sorted. One in four thousand millions is found by chance for each: then a
    /// month is opened for nothing.
    pub(super) keys: Vec<u32>,
}

impl Shelved {
    pub(super) fn has(&self, key: u64) -> bool {
        self.keys.binary_search(&half(key)).is_ok()
    }
}

/// Half of a key.
pub(super) fn half(key: u64) -> u32 {
    u32::try_from(key & u64::from(u32::MAX)).unwrap_or_default()
}

/// What a ledger knows besides its open statements: kept over a restart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    pub(super) people: People,
    pub(super) shelves: BTreeMap<Month, Shelved>,
    pub(super) pins: Pins,
}
