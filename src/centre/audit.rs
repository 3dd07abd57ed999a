//! What the centre holds hubs' audit trails to: every checkpoint is signed with the key that was seen first, and goes on
//! from the one before, line by line.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::Mutex;

use crate::{
    access::audit::{Checkpoint, Contradiction, Hash, KeyName, Opened, Record, Tree, Witness},
    codec::cbor,
    domain::{
        audit::{PARCEL_BYTES_MAX, Parcel},
        ids::HubId,
    },
    sys::signing,
};

use super::store::{Store, StoreError};

/// Checkpoints of a hub that may come before the ones they follow: workers share a hub's batches, of which so many are
/// under way.
const WAITING_MAX: usize = 64;
/// Roots of a hub that are remembered, so that two for one size are noticed: ten weeks of them, 6 MB.
const SEEN_MAX: usize = 100_000;

/// More troubles of one hub than this nobody reads.
const TROUBLES_MAX: usize = 100;

/// Why a hub's trail is not what it was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// A parcel cannot be read.
    #[error("a checkpoint cannot be read")]
    Unreadable,
    /// A signature is not its key's.
    #[error("a checkpoint is not signed with the key that it names")]
    Signature,
    /// It contradicts what was seen.
    #[error("incarnation {incarnation}, line {size}: {source}")]
    Contradiction {
        /// Of which beginning.
        incarnation: u64,
        /// Up to which line.
        size: u64,
        /// How.
        source: Contradiction,
    },
    /// Its lines are not those that it signs.
    #[error("incarnation {incarnation}: lines {from} to {to} are not those that were signed")]
    Lines {
        /// Of which beginning.
        incarnation: u64,
        /// The first of them.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Lines never came.
    #[error(
        "incarnation {incarnation}: lines {from} to {to} are not here, and nothing shows what follows them"
    )]
    Missing {
        /// Of which beginning.
        incarnation: u64,
        /// The first of them.
        from: u64,
        /// The last.
        to: u64,
    },
}

/// The trails of all hubs that have sent a checkpoint since the centre began.
#[derive(Debug, Default)]
pub struct Trails(Mutex<BTreeMap<HubId, Trail>>);

impl Trails {
    /// Takes in a checkpoint that was stored. A hub's first one since the centre began has all of the store read first,
    /// so that a key and a checkpoint that were seen once hold for good. Says what is wrong.
    pub async fn see(&self, store: &Arc<Store>, hub: &HubId, raw: &[u8]) -> Vec<Trouble> {
        let mut trails = self.0.lock().await;
        if let Some(trail) = trails.get_mut(hub) {
            return trail.take(raw);
        }
        match verify(store, hub).await {
            Ok((trail, mut troubles)) => {
                // What is missing may be on its way: the command says so when it is not.
                troubles.retain(|trouble| !matches!(trouble, Trouble::Missing { .. }));
                trails.insert(hub.clone(), trail);
                troubles
            }
            Err(error) => {
                tracing::warn!(%error, %hub, "the hub's audit trail cannot be compared");
                Vec::new()
            }
        }
    }
}

/// Reads everything that a store holds of a hub's trail.
///
/// # Errors
/// The store cannot be read.
pub async fn verify(store: &Arc<Store>, hub: &HubId) -> Result<(Trail, Vec<Trouble>), StoreError> {
    let (store, hub) = (Arc::clone(store), hub.clone());
    let runtime = tokio::runtime::Handle::current();
    let read = tokio::task::spawn_blocking(move || {
        let (mut trail, mut troubles) = (Trail::new(hub.clone()), Vec::new());
        let each = |raw: &[u8]| {
            troubles.extend(trail.take(raw));
            troubles.len() < TROUBLES_MAX
        };
        runtime.block_on(store.checkpoints(&hub, each))?;
        troubles.extend(trail.settle());
        Ok((trail, troubles))
    });
    read.await.map_err(|error| StoreError(error.to_string()))?
}

/// One hub's trail as the centre has seen it.
#[derive(Debug)]
pub struct Trail {
    hub: HubId,
    witness: Option<Witness>,
    note: String,
    /// Over the lines of the newest incarnation.
    tree: Tree,
    lines: u64,
    seen: BTreeMap<(u64, u64), Hash>,
    waiting: BTreeMap<(u64, u64), Checked>,
}

#[derive(Debug)]
struct Checked {
    parcel: Parcel,
    key: KeyName,
    checkpoint: Checkpoint,
}

impl Trail {
    /// A hub of which nothing was seen.
    pub fn new(hub: HubId) -> Self {
        Self {
            hub,
            witness: None,
            note: String::new(),
            tree: Tree::default(),
            lines: 0,
            seen: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// The newest checkpoint that holds, as a signed note; none if nothing was seen.
    pub fn anchor(&self) -> Option<&str> {
        self.witness.as_ref().map(|_| self.note.as_str())
    }

    /// The key that was seen first.
    pub fn key(&self) -> Option<String> {
        self.witness.as_ref().map(|witness| witness.key.to_string())
    }

    /// Lines that were verified.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Takes in what an entry carries. What comes before what it follows waits for it.
    pub fn take(&mut self, raw: &[u8]) -> Vec<Trouble> {
        let checked = match check(raw) {
            Ok(checked) => checked,
            Err(trouble) => return vec![trouble],
        };
        let place = (checked.checkpoint.incarnation, checked.checkpoint.size);
        if let Some(root) = self.seen.get(&place) {
            let same = *root == checked.checkpoint.root;
            return if same { Vec::new() } else { vec![rewritten(&checked.checkpoint)] };
        }
        let mut troubles = Vec::new();
        if self.is_next(&checked) {
            self.follow(checked, &mut troubles);
        } else {
            self.waiting.insert((checked.checkpoint.incarnation, checked.parcel.before), checked);
        }
        self.go_on(&mut troubles);
        while WAITING_MAX < self.waiting.len() {
            self.jump(&mut troubles);
        }
        troubles
    }

    /// Says what is still missing: nothing more will come.
    pub fn settle(&mut self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        while !self.waiting.is_empty() {
            self.jump(&mut troubles);
        }
        troubles
    }

    /// Whether it follows what was seen, or contradicts it; if not, what is between may still come.
    fn is_next(&self, checked: &Checked) -> bool {
        let next = (checked.checkpoint.incarnation, checked.parcel.before);
        match &self.witness {
            None => checked.parcel.before == 0,
            Some(witness) => {
                let newest = &witness.newest;
                next <= (newest.incarnation, newest.size) || (newest.incarnation < next.0 && next.1 == 0)
            }
        }
    }

    fn go_on(&mut self, troubles: &mut Vec<Trouble>) {
        while let Some((place, _)) = self.waiting.first_key_value() {
            let place = *place;
            if !self.waiting.get(&place).is_some_and(|checked| self.is_next(checked)) {
                return;
            }
            if let Some(checked) = self.waiting.remove(&place) {
                self.follow(checked, troubles);
            }
        }
    }

    /// Gives up what is missing before the first that waits.
    fn jump(&mut self, troubles: &mut Vec<Trouble>) {
        let Some((_, checked)) = self.waiting.pop_first() else { return };
        let (incarnation, before) = (checked.checkpoint.incarnation, checked.parcel.before);
        let newest = self.witness.as_ref().map(|witness| &witness.newest);
        let known = newest.filter(|newest| newest.incarnation == incarnation).map_or(0, |newest| newest.size);
        troubles.push(Trouble::Missing { incarnation, from: known + 1, to: before });
        match &self.witness {
            Some(witness) if witness.key != checked.key => {
                let Checkpoint { incarnation, size, .. } = checked.checkpoint;
                let source = Contradiction::OtherKey;
                troubles.push(Trouble::Contradiction { incarnation, size, source });
            }
            _ => self.adopt(checked),
        }
        self.go_on(troubles);
    }

    /// Compares with what was seen, and with the lines themselves.
    fn follow(&mut self, checked: Checked, troubles: &mut Vec<Trouble>) {
        let Checked { parcel, key, checkpoint } = &checked;
        let (incarnation, size) = (checkpoint.incarnation, checkpoint.size);
        let contradiction = |source| Trouble::Contradiction { incarnation, size, source };
        if checkpoint.hub != self.hub {
            troubles.push(contradiction(Contradiction::OtherHub));
            return;
        }
        let proof: Option<Vec<Hash>> =
            parcel.proof.iter().map(|hash| hash.as_slice().try_into().ok()).collect();
        if let Some(witness) = &mut self.witness
            && let Err(source) = witness.see(key, checkpoint, &proof.unwrap_or_default())
        {
            troubles.push(contradiction(source));
            return;
        }
        let mut tree = if parcel.before == 0 { Tree::default() } else { std::mem::take(&mut self.tree) };
        let leaves = parcel.lines.iter().map(|line| Record::decode(line).map(|record| record.seal.hash()));
        let leaves: Vec<Hash> = leaves.filter_map(Result::ok).collect();
        // After a jump the tree is not known, and lines cannot be compared with it.
        let is_known = tree.size() == parcel.before;
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        let is_whole = leaves.len() as u64 == size.saturating_sub(parcel.before);
        if is_known && is_whole && tree.root() == checkpoint.root {
            self.lines += leaves.len() as u64;
            self.tree = tree;
        } else if is_known {
            troubles.push(Trouble::Lines { incarnation, from: parcel.before + 1, to: size });
        }
        self.adopt(checked);
    }

    fn adopt(&mut self, Checked { parcel, key, checkpoint }: Checked) {
        self.note = parcel.note;
        self.seen.insert((checkpoint.incarnation, checkpoint.size), checkpoint.root);
        if SEEN_MAX < self.seen.len() {
            self.seen.pop_first();
        }
        match &mut self.witness {
            Some(witness) => witness.newest = checkpoint,
            None => self.witness = Some(Witness { key, newest: checkpoint }),
        }
    }
}

fn rewritten(checkpoint: &Checkpoint) -> Trouble {
    let Checkpoint { incarnation, size, .. } = *checkpoint;
    Trouble::Contradiction { incarnation, size, source: Contradiction::Rewritten { size } }
}

fn check(raw: &[u8]) -> Result<Checked, Trouble> {
    let parcel: Parcel = cbor::decode(raw, PARCEL_BYTES_MAX).map_err(|_| Trouble::Unreadable)?;
    if parcel.v != Parcel::VERSION {
        return Err(Trouble::Unreadable);
    }
    let key = KeyName::parse(&parcel.key).ok_or(Trouble::Unreadable)?;
    let opened = Opened::read(&parcel.note, &key.key, signing::verify).map_err(|_| Trouble::Signature)?;
    if opened.checkpoint.size < parcel.before {
        return Err(Trouble::Unreadable);
    }
    Ok(Checked { parcel, key, checkpoint: opened.checkpoint })
}

#[cfg(test)]
mod tests;
