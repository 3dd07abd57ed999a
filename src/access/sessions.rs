//! Who is signed in: sessions that live in this program's memory, known to browsers by a random token.
//!
//! Moments here are time elapsed since the program started, so that a clock that is set ends nobody's session
//! and lengthens none.

use std::{collections::HashMap, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::accounts::UserId;

/// A screen that nobody touched for so long is locked.
pub const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// A password is asked for again after so long, whatever is done meanwhile: longer than a shift.
pub const LIFE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// So many sessions at once; beyond it the one that was idle for longest ends.
pub const SESSIONS_MAX: usize = 1000;
/// A form that is kept while its session is locked, in bytes: the longest of the portal is shorter.
pub const FORM_BYTES_MAX: usize = 16 << 10;

/// Random bytes for one session, from a source that nobody can guess.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// What the browser will be known by.
    pub token: [u8; 32],
    /// What the session's forms will be known by.
    pub csrf: [u8; 32],
}

/// What the browser keeps: the only copy, for the hub keeps its hash.
#[derive(Clone, Eq, PartialEq)]
pub struct Token(String);

impl Token {
    /// The cookie's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A form that was sent when its session was locked already, kept to be sent once more.
#[derive(Clone, Eq, PartialEq)]
pub struct KeptForm {
    /// Where it was sent.
    pub path: String,
    /// What was in it, URL-encoded.
    pub body: Vec<u8>,
}

/// What a token stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Who.
    pub user: UserId,
    /// What the session's forms carry.
    pub csrf: String,
    /// Whether nothing may be shown until they prove again who they are.
    pub locked: bool,
}

/// Every session.
#[derive(Default)]
pub struct Sessions {
    all: HashMap<[u8; 32], Session>,
}

struct Session {
    user: UserId,
    csrf: String,
    used: Duration,
    ends: Duration,
    locked: bool,
    kept: Option<KeptForm>,
}

impl Sessions {
    /// Opens a session for someone who has just given a password.
    pub fn open(&mut self, user: UserId, fresh: Fresh, now: Duration) -> Token {
        self.insert(user, fresh, now, now + LIFE_MAX, None)
    }

    /// Whom a token stands for; this counts as use, unless the session is locked or has become so.
    pub fn visit(&mut self, token: &str, now: Duration) -> Option<Seen> {
        let seen = self.glance(token, now)?;
        if !seen.locked
            && let Some(session) = self.all.get_mut(&key(token))
        {
            session.used = now;
        }
        Some(seen)
    }

    /// The same for a page that refreshes itself: nobody's hand is behind it, so it keeps no session alive.
    pub fn glance(&mut self, token: &str, now: Duration) -> Option<Seen> {
        let key = key(token);
        let session = self.all.get_mut(&key)?;
        if session.ends <= now {
            self.all.remove(&key);
            return None;
        }
        if IDLE_MAX <= now.saturating_sub(session.used) {
            session.locked = true;
        }
        Some(Seen { user: session.user.clone(), csrf: session.csrf.clone(), locked: session.locked })
    }

    /// Locks a session, as if nobody had touched it for long.
    pub fn lock(&mut self, token: &str) {
        if let Some(session) = self.all.get_mut(&key(token)) {
            session.locked = true;
        }
    }

    /// Puts another session in a session's place, for someone who has just proved who they are with less than a
    /// password: it ends when the first would have. The old token is worth nothing from now on.
    pub fn renew(&mut self, token: &str, user: UserId, fresh: Fresh, now: Duration) -> Option<Token> {
        let before = self.all.remove(&key(token)).filter(|session| now < session.ends)?;
        let kept = before.kept.filter(|_| before.user == user);
        Some(self.insert(user, fresh, now, before.ends, kept))
    }

    /// Opens a session for someone who has just given a password, in place of the one that this browser had.
    pub fn replace(&mut self, token: &str, user: UserId, fresh: Fresh, now: Duration) -> Token {
        let before = self.all.remove(&key(token));
        let kept = before.filter(|session| session.user == user).and_then(|session| session.kept);
        self.insert(user, fresh, now, now + LIFE_MAX, kept)
    }

    /// Ends a session.
    pub fn close(&mut self, token: &str) {
        self.all.remove(&key(token));
    }

    /// Ends every session of someone.
    pub fn close_all_of(&mut self, user: &UserId) {
        self.all.retain(|_, session| session.user != *user);
    }

    /// How long ago someone proved who they are with more than a PIN.
    pub fn age(&self, token: &str, now: Duration) -> Option<Duration> {
        let session = self.all.get(&key(token))?;
        Some(LIFE_MAX.saturating_sub(session.ends.saturating_sub(now)))
    }

    /// Keeps a form that came when the session was locked; a longer one than [`FORM_BYTES_MAX`] is not kept.
    pub fn keep(&mut self, token: &str, form: KeptForm) {
        if let Some(session) = self.all.get_mut(&key(token))
            && form.path.len() + form.body.len() <= FORM_BYTES_MAX
        {
            session.kept = Some(form);
        }
    }

    /// Hands out a kept form, once.
    pub fn take_kept(&mut self, token: &str) -> Option<KeptForm> {
        self.all.get_mut(&key(token)).filter(|session| !session.locked)?.kept.take()
    }

    /// Whether a form is kept.
    pub fn has_kept(&self, token: &str) -> bool {
        self.all.get(&key(token)).is_some_and(|session| session.kept.is_some())
    }

    fn insert(
        &mut self,
        user: UserId,
        fresh: Fresh,
        now: Duration,
        ends: Duration,
        kept: Option<KeptForm>,
    ) -> Token {
        self.make_room(now);
        let token = Token(URL_SAFE_NO_PAD.encode(fresh.token));
        let csrf = URL_SAFE_NO_PAD.encode(fresh.csrf);
        let session = Session { user, csrf, used: now, ends, locked: false, kept };
        self.all.insert(key(token.as_str()), session);
        token
    }

    fn make_room(&mut self, now: Duration) {
        self.all.retain(|_, session| now < session.ends);
        if self.all.len() < SESSIONS_MAX {
            return;
        }
        let idlest = self.all.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key);
        if let Some(idlest) = idlest {
            self.all.remove(&idlest);
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("count", &self.all.len()).finish()
    }
}

/// Whoever reads this program's memory or a dump of it learns no token that a browser could send. That tokens are
/// found by their hash also makes the time of looking say nothing about them.
fn key(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether a form carries its session's own token, told in a time that does not depend on where they differ.
pub fn is_own_form(expected: &str, given: &str) -> bool {
    let (expected, given) = (key(expected), key(given));
    let differing = expected.iter().zip(&given).fold(0, |bits, (one, other)| bits | (one ^ other));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn fresh(number: u16) -> Fresh {
        let [high, low] = number.to_be_bytes();
        let mut token = [0; 32];
        (token[0], token[1]) = (high, low);
        Fresh { token, csrf: [!low; 32] }
    }

    fn joy() -> UserId {
        "joy".parse().unwrap()
    }

    fn form(length: usize) -> KeptForm {
        KeptForm { path: "/book".to_owned(), body: vec![b'a'; length] }
    }

    #[test]
    fn a_session_is_locked_when_idle_and_over_in_the_end() {
        for (uses, at, expected) in [
            (&[][..], 9, Some(false)),
            (&[], 10, Some(true)),
            (&[9, 18, 27], 36, Some(false)),
            (&[9, 20], 21, Some(true)),
            (&[], 719, Some(true)),
            (&[], 720, None),
        ] {
            let minutes = |count: u64| START + Duration::from_secs(60 * count);
            let mut sessions = Sessions::default();
            let token = sessions.open(joy(), fresh(1), START);
            for used in uses {
                sessions.visit(token.as_str(), minutes(*used));
            }
            let seen = sessions.visit(token.as_str(), minutes(at));
            assert_eq!(seen.map(|seen| seen.locked), expected, "used {uses:?}, looked at {at}");
        }
    }

    #[test]
    fn steady_use_does_not_outlast_the_longest_life() {
        let mut sessions = Sessions::default();
        let token = sessions.open(joy(), fresh(1), START);
        let mut now = START;
        while now < START + LIFE_MAX {
            assert!(sessions.visit(token.as_str(), now).is_some_and(|seen| !seen.locked));
            now += Duration::from_secs(300);
        }
        assert_eq!(sessions.visit(token.as_str(), now), None);
    }

    #[test]
    fn a_pin_renews_a_session_under_another_token_and_no_longer_a_life() {
        let mut sessions = Sessions::default();
        let first = sessions.open(joy(), fresh(1), START);
        let before = sessions.visit(first.as_str(), START).unwrap();
        let late = START + LIFE_MAX - Duration::from_secs(60);
        assert!(sessions.visit(first.as_str(), late).unwrap().locked);
        let second = sessions.renew(first.as_str(), joy(), fresh(2), late).unwrap();
        assert_eq!(sessions.visit(first.as_str(), late), None);
        let after = sessions.visit(second.as_str(), late).unwrap();
        assert!(!after.locked);
        assert_ne!(after.csrf, before.csrf);
        assert_eq!(sessions.visit(second.as_str(), START + LIFE_MAX), None);
        assert_eq!(sessions.renew(second.as_str(), joy(), fresh(3), START + LIFE_MAX), None);
    }

    #[test]
    fn a_kept_form_is_for_the_same_person_once_and_bounded() {
        let mut sessions = Sessions::default();
        let token = sessions.open(joy(), fresh(1), START);
        sessions.lock(token.as_str());
        sessions.keep(token.as_str(), form(FORM_BYTES_MAX));
        assert!(!sessions.has_kept(token.as_str()));
        sessions.keep(token.as_str(), form(100));
        assert!(sessions.take_kept(token.as_str()).is_none(), "while locked");
        let same = sessions.renew(token.as_str(), joy(), fresh(2), START).unwrap();
        assert!(sessions.take_kept(same.as_str()).is_some_and(|kept| kept == form(100)));
        assert!(sessions.take_kept(same.as_str()).is_none());
        sessions.keep(same.as_str(), form(100));
        let other = sessions.renew(same.as_str(), "ann".parse().unwrap(), fresh(3), START).unwrap();
        assert!(!sessions.has_kept(other.as_str()));
    }

    #[test]
    fn beyond_the_limit_the_idlest_session_ends() {
        let mut sessions = Sessions::default();
        let mut tokens = Vec::new();
        for number in 0..u16::try_from(SESSIONS_MAX).unwrap() {
            tokens.push(sessions.open(joy(), fresh(number), START + Duration::from_millis(number.into())));
        }
        let now = START + Duration::from_secs(2);
        assert!(sessions.visit(tokens[0].as_str(), now).is_some());
        let last = sessions.open(joy(), fresh(u16::MAX), now);
        assert_eq!(sessions.all.len(), SESSIONS_MAX);
        assert!(sessions.visit(tokens[1].as_str(), now).is_none());
        assert!(sessions.visit(tokens[0].as_str(), now).is_some());
        assert!(sessions.visit(last.as_str(), now).is_some());
    }

    #[test]
    fn someones_sessions_end_together() {
        let mut sessions = Sessions::default();
        let (one, two) = (sessions.open(joy(), fresh(1), START), sessions.open(joy(), fresh(2), START));
        let ann = sessions.open("ann".parse().unwrap(), fresh(3), START);
        sessions.close_all_of(&joy());
        assert_eq!([&one, &two].map(|token| sessions.visit(token.as_str(), START)), [None, None]);
        assert!(sessions.visit(ann.as_str(), START).is_some());
        sessions.close(ann.as_str());
        assert_eq!(sessions.visit(ann.as_str(), START), None);
    }

    #[test]
    fn a_token_is_256_bits_and_shown_nowhere() {
        let mut sessions = Sessions::default();
        let token = sessions.open(joy(), fresh(1), START);
        assert_eq!(token.as_str().len(), 43);
        assert_eq!(format!("{token:?} {sessions:?}"), "Token(…) Sessions { count: 1 }");
        for strange in ["", "x", &"A".repeat(43), &"A".repeat(10_000)] {
            assert_eq!(sessions.visit(strange, START), None);
        }
    }

    #[test]
    fn only_the_sessions_own_forms_pass() {
        let mut sessions = Sessions::default();
        let token = sessions.open(joy(), fresh(1), START);
        let other = sessions.open(joy(), fresh(2), START);
        let csrf = sessions.visit(token.as_str(), START).unwrap().csrf;
        assert!(is_own_form(&csrf, &csrf));
        for foreign in ["", "x", token.as_str(), &sessions.visit(other.as_str(), START).unwrap().csrf] {
            assert!(!is_own_form(&csrf, foreign));
        }
    }
}
