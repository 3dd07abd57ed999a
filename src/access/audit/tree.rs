//! The Merkle tree of RFC 6962, section 2.1: grown leaf by leaf, with proofs that cost a few hashes however long the
//! trail is.
//!
//! The tree keeps every node at height 8 and above, which is two hashes for 256 leaves (ten million lines: 2.5 MB),
//! and the leaves of the last incomplete 256. Whatever is lower is made from the 256 leaf hashes it stands on, which
//! the caller keeps.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::Hash;

/// The height at which nodes are kept.
const TILE_HEIGHT: u32 = 8;
/// Leaves under such a node.
pub const TILE_LEAVES: u64 = 1 << TILE_HEIGHT;

/// The hash of a leaf's data: `SHA-256(0x00 || data)`.
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// The hash of two nodes: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of no leaves at all.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Gives out leaf hashes that the tree has let go of.
pub trait Leaves {
    /// Why they cannot be given.
    type Error;
    /// The hashes of leaves `256 × tile` to `256 × tile + 255`, all of which exist.
    ///
    /// # Errors
    /// They cannot be read.
    fn tile(&self, tile: u64) -> Result<Vec<Hash>, Self::Error>;
}

/// A growing tree.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    size: u64,
    /// Leaves after the last whole tile.
    recent: Vec<Hash>,
    /// `whole[k][i]` is the node over leaves `i × 2^(8+k)` to `(i+1) × 2^(8+k) - 1`.
    whole: Vec<Vec<Hash>>,
}

impl Tree {
    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.size += 1;
        self.recent.push(leaf);
        if self.recent.len() as u64 == TILE_LEAVES {
            let mut node = whole_root(&self.recent);
            self.recent.clear();
            for level in 0.. {
                if self.whole.len() == level {
                    self.whole.push(Vec::new());
                }
                let Some(row) = self.whole.get_mut(level) else { return };
                row.push(node);
                match row.as_slice() {
                    [.., left, right] if row.len() % 2 == 0 => node = node_hash(left, right),
                    _ => return,
                }
            }
        }
    }

    /// The root over all leaves (MTH).
    pub fn root(&self) -> Hash {
        let mut peaks: Vec<Hash> = Vec::new();
        for row in self.whole.iter().rev() {
            if row.len() % 2 == 1 {
                peaks.extend(row.last());
            }
        }
        // The incomplete tile, from its largest whole part on.
        if !self.recent.is_empty() {
            peaks.push(partial_root(&self.recent));
        }
        fold_peaks(peaks)
    }

    /// The root that the first `size` leaves had.
    ///
    /// # Errors
    /// Leaves cannot be read.
    pub fn root_at<L: Leaves + ?Sized>(&self, size: u64, leaves: &L) -> Result<Option<Hash>, L::Error> {
        if self.size < size {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(empty_root()));
        }
        Nodes::new(self, leaves).range(0, size).map(Some)
    }

    /// PATH(index, D[size]): shows that a leaf is in the tree of the first `size` leaves. None if it is not.
    ///
    /// # Errors
    /// Leaves cannot be read.
    pub fn inclusion<L: Leaves + ?Sized>(
        &self,
        index: u64,
        size: u64,
        leaves: &L,
    ) -> Result<Option<Vec<Hash>>, L::Error> {
        if size <= index || self.size < size {
            return Ok(None);
        }
        let (mut nodes, mut path) = (Nodes::new(self, leaves), Vec::new());
        let (mut from, mut to) = (0, size);
        while 1 < to - from {
            let middle = from + split(to - from);
            if index < middle {
                path.push(nodes.range(middle, to)?);
                to = middle;
            } else {
                path.push(nodes.range(from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Ok(Some(path))
    }

    /// PROOF(old, D[new]): shows that the first `old` leaves are the same in both trees. None if either is beyond
    /// what there is. Empty if `old` is 0 or equal to `new`.
    ///
    /// # Errors
    /// Leaves cannot be read.
    pub fn consistency<L: Leaves + ?Sized>(
        &self,
        old: u64,
        new: u64,
        leaves: &L,
    ) -> Result<Option<Vec<Hash>>, L::Error> {
        if new < old || self.size < new {
            return Ok(None);
        }
        if old == 0 || old == new {
            return Ok(Some(Vec::new()));
        }
        let (mut nodes, mut proof) = (Nodes::new(self, leaves), Vec::new());
        let (mut from, mut to, mut is_known) = (0, new, true);
        while old != to {
            let middle = from + split(to - from);
            if old <= middle {
                proof.push(nodes.range(middle, to)?);
                to = middle;
            } else {
                proof.push(nodes.range(from, middle)?);
                from = middle;
                is_known = false;
            }
        }
        if !is_known {
            proof.push(nodes.range(from, to)?);
        }
        proof.reverse();
        Ok(Some(proof))
    }
}

/// Nodes of a tree, with the tiles that one question has read.
struct Nodes<'a, L: ?Sized> {
    tree: &'a Tree,
    leaves: &'a L,
    tiles: BTreeMap<u64, Vec<Hash>>,
}

impl<'a, L: Leaves + ?Sized> Nodes<'a, L> {
    const fn new(tree: &'a Tree, leaves: &'a L) -> Self {
        Self { tree, leaves, tiles: BTreeMap::new() }
    }

    /// MTH(D[from..to]) for a range that begins where a subtree does.
    fn range(&mut self, from: u64, to: u64) -> Result<Hash, L::Error> {
        let mut peaks = Vec::new();
        let mut at = from;
        while at < to {
            // The largest whole subtree that begins here and fits.
            let size = if at == 0 {
                largest_power(to)
            } else {
                largest_power(to - at).min(1 << at.trailing_zeros())
            };
            peaks.push(self.whole(at, size)?);
            at += size;
        }
        Ok(fold_peaks(peaks))
    }

    fn whole(&mut self, from: u64, size: u64) -> Result<Hash, L::Error> {
        let height = size.trailing_zeros();
        if TILE_HEIGHT <= height {
            let row = self.tree.whole.get(usize_of(u64::from(height - TILE_HEIGHT)));
            let node = row.and_then(|row| row.get(usize_of(from >> height)));
            // Every whole subtree within the tree's size is there.
            return Ok(node.copied().unwrap_or_default());
        }
        let tile = from / TILE_LEAVES;
        let leaves: &[Hash] = if tile == self.tree.size / TILE_LEAVES {
            &self.tree.recent
        } else {
            match self.tiles.entry(tile) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(unknown) => {
                    unknown.insert(self.leaves.tile(tile)?)
                }
            }
        };
        let start = usize_of(from % TILE_LEAVES);
        Ok(whole_root(leaves.get(start..start + usize_of(size)).unwrap_or_default()))
    }
}

/// Leaf hashes in memory.
impl Leaves for [Hash] {
    type Error = std::convert::Infallible;

    fn tile(&self, tile: u64) -> Result<Vec<Hash>, Self::Error> {
        let from = usize_of(tile * TILE_LEAVES);
        Ok(self.iter().skip(from).take(usize_of(TILE_LEAVES)).copied().collect())
    }
}

/// Whether a path shows that a leaf is number `index` (from 0) of a tree's first `size` leaves (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if size <= index {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            if place % 2 == 0 {
                let shift = place.trailing_zeros().min(63);
                place >>= shift;
                last >>= shift;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether a proof shows that a tree of `new` leaves begins with the leaves of one of `old` (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: u64, new: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> bool {
    root_of_consistency(old, new, old_root, proof).is_some_and(|root| root == *new_root)
}

/// The root that a tree of `new` leaves has if a proof is right; none if it does not fit the old root.
pub fn root_of_consistency(old: u64, new: u64, old_root: &Hash, proof: &[Hash]) -> Option<Hash> {
    if new < old {
        return None;
    }
    if old == new {
        return proof.is_empty().then_some(*old_root);
    }
    if old == 0 {
        // Any tree begins with nothing; whoever needs the new root must take it from the signature alone.
        return None;
    }
    let (mut place, mut last) = (old - 1, new - 1);
    let shift = place.trailing_ones();
    place >>= shift;
    last >>= shift;
    let mut rest = proof.iter();
    let start = if old.is_power_of_two() { *old_root } else { *rest.next()? };
    let (mut known, mut grown) = (start, start);
    for sibling in rest {
        if last == 0 {
            return None;
        }
        if place % 2 == 1 || place == last {
            known = node_hash(sibling, &known);
            grown = node_hash(sibling, &grown);
            if place % 2 == 0 {
                let shift = place.trailing_zeros().min(63);
                place >>= shift;
                last >>= shift;
            }
        } else {
            grown = node_hash(&grown, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0 && known == *old_root).then_some(grown)
}

/// The largest power of two below `size`, which is where RFC 6962 splits a tree.
const fn split(size: u64) -> u64 {
    largest_power(size - 1)
}

/// The largest power of two that is not above `size`; `size` is not 0.
const fn largest_power(size: u64) -> u64 {
    1 << size.ilog2()
}

/// The root over a number of leaves that is a power of two.
fn whole_root(leaves: &[Hash]) -> Hash {
    let mut row = leaves.to_vec();
    while 1 < row.len() {
        row = row.chunks_exact(2).filter_map(|pair| Some(node_hash(pair.first()?, pair.get(1)?))).collect();
    }
    row.first().copied().unwrap_or_default()
}

/// The root over any leaves, but none.
fn partial_root(leaves: &[Hash]) -> Hash {
    let (mut peaks, mut rest) = (Vec::new(), leaves);
    while !rest.is_empty() {
        let (whole, after) = rest.split_at(usize_of(largest_power(rest.len() as u64)));
        peaks.push(whole_root(whole));
        rest = after;
    }
    fold_peaks(peaks)
}

/// Joins whole subtrees, largest first, from the smallest on.
fn fold_peaks(peaks: Vec<Hash>) -> Hash {
    let joined = peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    joined.unwrap_or_else(empty_root)
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
