//! What someone outside the hub who saw its checkpoints holds it to: nothing signed may be taken back.

use super::{Checkpoint, Hash, checkpoint::KeyName, root_of_consistency};

/// What a witness remembers of a hub's trail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// The key it saw first.
    pub key: KeyName,
    /// The newest checkpoint it saw, its signature verified.
    pub newest: Checkpoint,
}

/// How a trail contradicts what was signed before.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Contradiction {
    /// It is signed with another key than before.
    #[error("it is signed with another key than before")]
    OtherKey,
    /// It is another hub's.
    #[error("it is the trail of another hub")]
    OtherHub,
    /// It goes back to an earlier incarnation.
    #[error("it goes back to incarnation {is}, after {was}: an old copy of the disk was put back")]
    OldIncarnation {
        /// What was seen.
        was: u64,
        /// What came.
        is: u64,
    },
    /// It goes back to an earlier start.
    #[error("its counter goes back to {is}, after {was}: an old copy of the disk was put back")]
    OldCounter {
        /// What was seen.
        was: u64,
        /// What came.
        is: u64,
    },
    /// Lines that were signed are not there.
    #[error("it ends at line {is} of its incarnation, and {was} were signed: its end was cut off")]
    Shorter {
        /// What was signed.
        was: u64,
        /// What is there.
        is: u64,
    },
    /// Its lines are not those that were signed.
    #[error("its first {size} lines are not those that were signed")]
    Rewritten {
        /// How many were signed.
        size: u64,
    },
}

impl Witness {
    /// Takes in the next checkpoint, whose signature by `key` is verified. `proof` shows that it goes on from the
    /// newest one. A checkpoint that was seen before changes nothing.
    ///
    /// # Errors
    /// It contradicts what was seen; what was seen stays.
    pub fn see(&mut self, key: &KeyName, next: &Checkpoint, proof: &[Hash]) -> Result<(), Contradiction> {
        let known = &self.newest;
        if next.hub != known.hub || !self.key.is_of(&next.hub) {
            return Err(Contradiction::OtherHub);
        }
        if *key != self.key {
            return Err(Contradiction::OtherKey);
        }
        if next.incarnation < known.incarnation {
            return Err(Contradiction::OldIncarnation { was: known.incarnation, is: next.incarnation });
        }
        if next.counter < known.counter {
            return Err(Contradiction::OldCounter { was: known.counter, is: next.counter });
        }
        if next.incarnation == known.incarnation {
            if next.size < known.size {
                return Err(Contradiction::Shorter { was: known.size, is: next.size });
            }
            let follows = known.size == 0
                || root_of_consistency(known.size, next.size, &known.root, proof) == Some(next.root);
            if !follows {
                return Err(Contradiction::Rewritten { size: known.size });
            }
        }
        self.newest = next.clone();
        Ok(())
    }
}

impl Checkpoint {
    /// Compares a hub's own trail with a checkpoint that is kept elsewhere: `newest` is the newest incarnation,
    /// counter and size there; `root_at` gives the root over the first lines of the anchor's own incarnation, if they
    /// are there.
    ///
    /// # Errors
    /// How the trail contradicts it.
    pub fn holds_for(
        &self,
        newest: Standing,
        root_at: impl FnOnce(u64) -> Result<Hash, u64>,
    ) -> Result<(), Contradiction> {
        if newest.incarnation < self.incarnation {
            return Err(Contradiction::OldIncarnation { was: self.incarnation, is: newest.incarnation });
        }
        if newest.counter < self.counter {
            return Err(Contradiction::OldCounter { was: self.counter, is: newest.counter });
        }
        match root_at(self.size) {
            Ok(root) if root == self.root => Ok(()),
            Ok(_) => Err(Contradiction::Rewritten { size: self.size }),
            Err(is) => Err(Contradiction::Shorter { was: self.size, is }),
        }
    }
}

/// Where a trail stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// Its newest incarnation.
    pub incarnation: u64,
    /// Its newest start.
    pub counter: u64,
    /// Lines in that incarnation.
    pub size: u64,
}
