//! Sign-ins that have begun here and are at the identity provider now.

use std::{collections::HashMap, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// So long people may take at the provider: a forgotten smartcard is fetched from the car.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// So many at once; beyond it the oldest is forgotten. Ten minutes of a whole polysystem are far fewer.
pub const PENDING_MAX: usize = 4096;

/// Random bytes for one sign-in, from a source that nobody can guess.
#[derive(Clone, Copy)]
pub struct Seeds {
    /// For `state`.
    pub state: [u8; 32],
    /// For the browser's cookie.
    pub browser: [u8; 32],
    /// For `nonce`.
    pub nonce: [u8; 32],
    /// For PKCE's verifier.
    pub verifier: [u8; 32],
}

/// What leaves this machine when a sign-in begins.
#[derive(Clone)]
pub struct Begun {
    /// Comes back with the code.
    pub state: String,
    /// The browser's cookie: whoever has another did not begin this.
    pub browser: String,
    /// Comes back in the ID token.
    pub nonce: String,
    /// The verifier's hash (RFC 7636, section 4.2, `S256`).
    pub challenge: String,
}

/// What is kept of it, and needed when it ends.
#[derive(Clone)]
pub struct Pending {
    /// What the ID token must carry.
    pub nonce: String,
    /// What the code is good for only together with.
    pub verifier: String,
    /// Where to go then.
    pub next: String,
    /// The session that this browser had.
    pub before: Option<String>,
}

/// All of them.
#[derive(Default)]
pub struct PendingSignIns {
    all: HashMap<[u8; 32], Waiting>,
}

struct Waiting {
    pending: Pending,
    browser: [u8; 32],
    began: Duration,
}

impl PendingSignIns {
    /// Begins one.
    pub fn begin(&mut self, seeds: Seeds, next: String, before: Option<String>, now: Duration) -> Begun {
        let [state, browser, nonce, verifier] = [seeds.state, seeds.browser, seeds.nonce, seeds.verifier]
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        self.make_room(now);
        let challenge = URL_SAFE_NO_PAD.encode(hash(&verifier));
        let pending = Pending { nonce: nonce.clone(), verifier, next, before };
        self.all.insert(hash(&state), Waiting { pending, browser: hash(&browser), began: now });
        Begun { state, browser, nonce, challenge }
    }

    /// Ends one, once: a second answer with the same state finds nothing. Another browser's answer finds nothing either,
    /// and leaves it to the right one.
    pub fn take(&mut self, state: &str, browser: &str, now: Duration) -> Option<Pending> {
        let key = hash(state);
        let waiting = self.all.get(&key)?;
        // Hashes are compared: the time it takes says nothing about the cookie.
        if waiting.browser != hash(browser) {
            return None;
        }
        let waiting = self.all.remove(&key)?;
        (now.saturating_sub(waiting.began) < PATIENCE).then_some(waiting.pending)
    }

    fn make_room(&mut self, now: Duration) {
        if self.all.len() < PENDING_MAX {
            return;
        }
        self.all.retain(|_, waiting| now.saturating_sub(waiting.began) < PATIENCE);
        if PENDING_MAX <= self.all.len() {
            let oldest = self.all.iter().min_by_key(|(_, waiting)| waiting.began).map(|(key, _)| *key);
            oldest.and_then(|key| self.all.remove(&key));
        }
    }
}

impl fmt::Debug for PendingSignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIns").field("count", &self.all.len()).finish()
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(number: u16) -> Seeds {
        let [high, low] = number.to_be_bytes();
        let seed = |kind| {
            let mut bytes = [kind; 32];
            (bytes[0], bytes[1]) = (high, low);
            bytes
        };
        Seeds { state: seed(1), browser: seed(2), nonce: seed(3), verifier: seed(4) }
    }

    fn begin(all: &mut PendingSignIns, number: u16, at: u64) -> Begun {
        all.begin(seeds(number), "/book".to_owned(), None, Duration::from_secs(at))
    }

    #[test]
    fn a_sign_in_ends_once_in_its_own_browser_and_in_time() {
        let mut all = PendingSignIns::default();
        let (one, other) = (begin(&mut all, 1, 0), begin(&mut all, 2, 0));
        let now = Duration::from_secs(599);
        assert!(all.take(&one.state, &other.browser, now).is_none());
        assert!(all.take("", "", now).is_none());
        let pending = all.take(&one.state, &one.browser, now).unwrap();
        assert_eq!((pending.next.as_str(), pending.nonce), ("/book", one.nonce));
        assert_eq!(URL_SAFE_NO_PAD.encode(hash(&pending.verifier)), one.challenge);
        assert!(all.take(&one.state, &one.browser, now).is_none());
        assert!(all.take(&other.state, &other.browser, Duration::from_secs(600)).is_none());
    }

    #[test]
    fn beyond_the_limit_the_oldest_is_forgotten() {
        let mut all = PendingSignIns::default();
        let first = begin(&mut all, 0, 0);
        let second = begin(&mut all, 1, 1);
        for number in 2..=u16::try_from(PENDING_MAX).unwrap() {
            begin(&mut all, number, 2);
        }
        assert_eq!(all.all.len(), PENDING_MAX);
        assert!(all.take(&first.state, &first.browser, Duration::from_secs(3)).is_none());
        assert!(all.take(&second.state, &second.browser, Duration::from_secs(3)).is_some());
    }
}
