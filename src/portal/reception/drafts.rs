//! Work in hand at the desk, by random names: so that no page's address says whom it is about, Back works, and
//! nothing is typed twice. In memory: a restart forgets it, and nothing has been booked by it.

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{domain::time::Timestamp, sys::entropy};

/// A desk with ten screens does not begin as many in a day; beyond it the one left alone longest is forgotten.
const DRAFTS_MAX: usize = 1_000;
/// Nobody comes back later than this to something they did not finish.
const KEPT: Duration = Duration::from_secs(2 * 60 * 60);
/// Times that were found take half a megabyte at most; so many of the latest are kept, the others are looked for anew.
const FINDINGS_MAX: usize = 64;

/// A draft's name: random, so that it says nothing and cannot be guessed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct DraftId(u128);

impl fmt::Display for DraftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for DraftId {
    type Err = NoSuchDraft;

    fn from_str(text: &str) -> Result<Self, NoSuchDraft> {
        let id = u128::from_str_radix(text, 16).map(Self).map_err(|_| NoSuchDraft)?;
        if id.to_string() == text { Ok(id) } else { Err(NoSuchDraft) }
    }
}

/// There is none of that name, or it is somebody else's, or it was left alone for too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoSuchDraft;

/// Something of which a large part may be forgotten, because it can be had again.
pub(super) trait Shed {
    /// Whether it has that part.
    fn is_large(&self) -> bool;
    /// Forgets it.
    fn shed(&mut self);
}

/// All drafts of a portal.
#[derive(Debug)]
pub(super) struct Drafts<T>(Mutex<HashMap<DraftId, Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    owner: String,
    touched: Timestamp,
    draft: Arc<T>,
}

impl<T> Default for Drafts<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Shed> Drafts<T> {
    /// Keeps a new draft of a user's.
    ///
    /// # Errors
    /// The kernel gives no random numbers.
    pub fn add(&self, owner: &str, now: Timestamp, draft: T) -> std::io::Result<DraftId> {
        let id = DraftId(random()?);
        let mut drafts = self.locked();
        drafts.retain(|_, kept| now.since(kept.touched) < KEPT);
        while DRAFTS_MAX <= drafts.len() {
            let oldest = drafts.iter().min_by_key(|(id, kept)| (kept.touched, id.0)).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            drafts.remove(&oldest);
        }
        drafts.insert(id, Kept { owner: owner.to_owned(), touched: now, draft: Arc::new(draft) });
        Ok(id)
    }

    /// A user's own draft.
    ///
    /// # Errors
    /// See [`NoSuchDraft`].
    pub fn get(&self, id: DraftId, owner: &str, now: Timestamp) -> Result<Arc<T>, NoSuchDraft> {
        self.change(id, owner, now, |_| ())
    }

    /// The same, after a change.
    ///
    /// # Errors
    /// See [`NoSuchDraft`].
    pub fn change<R>(
        &self,
        id: DraftId,
        owner: &str,
        now: Timestamp,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<Arc<T>, NoSuchDraft> {
        let mut drafts = self.locked();
        let kept = drafts.get_mut(&id).filter(|kept| kept.owner == owner).ok_or(NoSuchDraft)?;
        if KEPT <= now.since(kept.touched) {
            drafts.remove(&id);
            return Err(NoSuchDraft);
        }
        kept.touched = now;
        change(Arc::make_mut(&mut kept.draft));
        let draft = Arc::clone(&kept.draft);
        shed_older(&mut drafts);
        Ok(draft)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<DraftId, Kept<T>>> {
        // Whoever held it changes a draft in one step: nothing is half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the large part from all but the latest that have one.
fn shed_older<T: Clone + Shed>(drafts: &mut HashMap<DraftId, Kept<T>>) {
    let large = drafts.iter().filter(|(_, kept)| kept.draft.is_large());
    let mut large: Vec<_> = large.map(|(id, kept)| (kept.touched, *id)).collect();
    if large.len() <= FINDINGS_MAX {
        return;
    }
    large.sort_by_key(|(touched, _)| std::cmp::Reverse(*touched));
    for (_, id) in large.into_iter().skip(FINDINGS_MAX) {
        if let Some(kept) = drafts.get_mut(&id) {
            Arc::make_mut(&mut kept.draft).shed();
        }
    }
}

/// 128 bits that nobody can guess.
pub(super) fn random() -> std::io::Result<u128> {
    let secret = entropy::secret()?;
    Ok(secret.first_chunk().copied().map_or(0, u128::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Note(Option<u32>);

    impl Shed for Note {
        fn is_large(&self) -> bool {
            self.0.is_some()
        }

        fn shed(&mut self) {
            self.0 = None;
        }
    }

    #[test]
    fn a_draft_is_its_owners_and_lasts_while_it_is_used() {
        let drafts = Drafts::default();
        let hour = Duration::from_secs(3600);
        let id = drafts.add("amy", Timestamp(0), Note(Some(1))).unwrap();
        assert_eq!(drafts.get(id, "ben", Timestamp(0)).unwrap_err(), NoSuchDraft);
        let later = Timestamp(0).plus(hour);
        assert_eq!(drafts.change(id, "amy", later, |note| note.0 = Some(2)).unwrap().0, Some(2));
        let later = later.plus(hour);
        assert_eq!(drafts.get(id, "amy", later).unwrap().0, Some(2));
        assert!(drafts.get(id, "amy", later.plus(hour * 2)).is_err());
        assert!(drafts.get(id, "amy", later).is_err(), "what is gone stays gone");
    }

    #[test]
    fn there_is_a_limit_and_the_one_left_alone_longest_goes() {
        let drafts = Drafts::default();
        let add = |at| drafts.add("amy", Timestamp(at), Note::default()).unwrap();
        let ids: Vec<DraftId> = (0..=1_000).map(add).collect();
        let now = Timestamp(2_000);
        assert!(drafts.get(ids[0], "amy", now).is_err());
        assert!(ids[1..].iter().all(|id| drafts.get(*id, "amy", now).is_ok()));
    }

    #[test]
    fn only_the_latest_keep_what_they_found() {
        let drafts = Drafts::default();
        let ids: Vec<DraftId> = (0..=64)
            .map(|at| {
                let id = drafts.add("amy", Timestamp(at), Note::default()).unwrap();
                drafts.change(id, "amy", Timestamp(at), |note| note.0 = Some(1)).unwrap();
                id
            })
            .collect();
        let found = |id| drafts.get(id, "amy", Timestamp(100)).unwrap().0;
        assert_eq!((found(ids[0]), found(ids[1]), found(ids[64])), (None, Some(1), Some(1)));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let id = DraftId(7);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "7", "+0000000000000000000000000000007", &"G".repeat(32), &"A".repeat(32)] {
            assert_eq!(bad.parse::<DraftId>(), Err(NoSuchDraft), "{bad}");
        }
    }
}
