//! Passwords and PINs: what is asked of them, and the hashes that are kept instead of them.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::{Deserialize, Serialize};

use super::accounts::UserId;

/// A password is at least this long, in characters: length is what counts (NIST SP 800-63B, section 3.1.1).
pub const PASSWORD_CHARACTERS_MIN: usize = 10;
/// A password is at most this long, in bytes: room for any pass phrase, and a bound on what is hashed.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// A PIN has so many digits at least.
pub const PIN_DIGITS_MIN: usize = 4;
/// A PIN has so many digits at most.
pub const PIN_DIGITS_MAX: usize = 8;
/// Below this, someone types the same few keys again and again.
const DISTINCT_CHARACTERS_MIN: usize = 5;
/// Shorter ids and names occur within ordinary words.
const NAME_CHARACTERS_MIN: usize = 3;
/// What everybody tries first at a place like this, once digits and signs around it are left out.
const COMMON_WORDS: [&str; 14] = [
    "admin",
    "administrator",
    "changeme",
    "hospital",
    "iloveyou",
    "letmein",
    "login",
    "password",
    "polyclinic",
    "polygate",
    "reception",
    "secret",
    "summer",
    "welcome",
];
/// Keys that lie side by side, and the alphabet; runs of these are no passwords.
const ROWS: [&str; 5] = ["abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// What someone types to prove who they are. Shown nowhere.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What was typed, as it was typed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text: for showing a password once that was made up for someone.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it may be someone's password. There are no rules of composition: they make passwords that
    /// people write down.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check_password(&self, user: &UserId, name: &str) -> Result<(), Unfit> {
        if self.0.chars().count() < PASSWORD_CHARACTERS_MIN {
            return Err(Unfit::Short);
        }
        if PASSWORD_BYTES_MAX < self.0.len() {
            return Err(Unfit::Long);
        }
        let lower = self.0.to_lowercase();
        let holds = |part: &str| NAME_CHARACTERS_MIN <= part.chars().count() && lower.contains(part);
        if holds(user.as_str()) || name.to_lowercase().split_whitespace().any(holds) {
            return Err(Unfit::Named);
        }
        if is_guessable(&lower) { Err(Unfit::Common) } else { Ok(()) }
    }

    /// Whether it may be someone's PIN.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check_pin(&self) -> Result<(), UnfitPin> {
        let digits = self.0.as_bytes();
        if !(PIN_DIGITS_MIN..=PIN_DIGITS_MAX).contains(&digits.len())
            || !digits.iter().all(u8::is_ascii_digit)
        {
            return Err(UnfitPin::Digits);
        }
        let same_step = |step: i16| {
            digits.windows(2).all(|pair| matches!(pair, [a, b] if i16::from(*b) - i16::from(*a) == step))
        };
        if [-1, 0, 1].into_iter().any(same_step) { Err(UnfitPin::Common) } else { Ok(()) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// Too short.
    #[error("a password has at least {PASSWORD_CHARACTERS_MIN} characters")]
    Short,
    /// Too long.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    Long,
    /// It holds the user name or a part of the person's name.
    #[error("a password does not hold your user name or your name")]
    Named,
    /// It is among the first that would be tried.
    #[error("this password is easy to guess: three or four words that do not belong together are better")]
    Common,
}

/// Why a text cannot be a PIN.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnfitPin {
    /// Not digits, too few or too many.
    #[error("a PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")]
    Digits,
    /// One digit again and again, or digits in a row.
    #[error("a PIN is not one digit again and again, and not digits in a row")]
    Common,
}

fn is_guessable(lower: &str) -> bool {
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let word = lower.trim_matches(|character: char| !character.is_alphabetic());
    distinct.len() < DISTINCT_CHARACTERS_MIN || COMMON_WORDS.contains(&word) || is_run(lower)
}

/// Whether every key lies beside the one before it, in a row or in the alphabet, but for two leaps.
fn is_run(lower: &str) -> bool {
    let leaps = lower.chars().zip(lower.chars().skip(1)).filter(|(one, next)| !are_neighbours(*one, *next));
    leaps.count() <= 2
}

fn are_neighbours(one: char, next: char) -> bool {
    one == next
        || ROWS.iter().any(|row| {
            row.chars()
                .zip(row.chars().skip(1))
                .any(|(left, right)| (left, right) == (one, next) || (right, left) == (one, next))
        })
}

/// How much work a guess is made to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// The least that OWASP asks for (Password Storage Cheat Sheet, argon2id): 19 MiB, two passes, one lane.
    pub const STANDARD: Self = Self { memory_kib: 19 << 10, passes: 2, lanes: 1 };
    /// A damaged file must not make a sign-in take all memory: more than this is not computed.
    const MOST: Self = Self { memory_kib: 256 << 10, passes: 16, lanes: 4 };

    fn is_affordable(self) -> bool {
        self.memory_kib <= Self::MOST.memory_kib
            && self.passes <= Self::MOST.passes
            && self.lanes <= Self::MOST.lanes
    }
}

/// The memory that hashing takes, to be used again and again: taken and given back for each hash, 19 MiB would stay
/// with every thread that once hashed.
#[derive(Default)]
pub struct Memory(Vec<Block>);

/// A secret's argon2id hash (RFC 9106), with what it takes to compute it again.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct SecretHash {
    cost: Cost,
    #[serde(with = "serde_bytes")]
    salt: [u8; 16],
    #[serde(with = "serde_bytes")]
    digest: [u8; 32],
}

/// The secret could not be hashed: the cost makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the secret could not be hashed")]
pub struct HashFailed;

impl SecretHash {
    /// Hashes a secret; `salt` must be random. Takes tens of milliseconds and `cost.memory_kib` of memory.
    ///
    /// # Errors
    /// The cost is not one that argon2 knows, or more than this program computes.
    pub fn of(secret: &Secret, salt: [u8; 16], cost: Cost, memory: &mut Memory) -> Result<Self, HashFailed> {
        Ok(Self { cost, salt, digest: digest(secret, &salt, cost, memory).ok_or(HashFailed)? })
    }

    /// Whether this is the secret. Takes as long as [`SecretHash::of`], whatever comes out.
    pub fn matches(&self, secret: &Secret, memory: &mut Memory) -> bool {
        let Some(digest) = digest(secret, &self.salt, self.cost, memory) else { return false };
        let differing = digest.iter().zip(&self.digest).fold(0, |bits, (one, other)| bits | (one ^ other));
        std::hint::black_box(differing) == 0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretHash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

fn digest(secret: &Secret, salt: &[u8], cost: Cost, memory: &mut Memory) -> Option<[u8; 32]> {
    if !cost.is_affordable() {
        return None;
    }
    let parameters = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    memory.0.resize(memory.0.len().max(parameters.block_count()), Block::new());
    let blocks = memory.0.get_mut(..parameters.block_count())?;
    let mut digest = [0; 32];
    let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters).hash_password_into_with_memory(
        secret.0.as_bytes(),
        salt,
        &mut digest,
        &mut *blocks,
    );
    // What is left in memory was made of the secret.
    blocks.fill(Block::new());
    done.ok().map(|()| digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quick, for tests only.
    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    fn check(password: &str) -> Result<(), Unfit> {
        Secret::new(password).check_password(&"jokafor".parse().unwrap(), "Joy Okafor")
    }

    #[test]
    fn length_counts_and_composition_does_not() {
        for good in
            ["correct horse battery", "lampe vert chien", "ßüöäèéêñçøå", "Nine4Elms!Quay", "heron kettle"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check("kettlehen"), Err(Unfit::Short));
        assert_eq!(check(&"kettle heron ".repeat(20)), Err(Unfit::Long));
    }

    #[test]
    fn what_would_be_tried_first_is_refused() {
        for named in ["my name is jokafor", "OKAFOR-2026-x", "enJOYment is mine"] {
            assert_eq!(check(named), Err(Unfit::Named), "{named}");
        }
        for common in [
            "aaaaaaaaaaaa",
            "abababababab",
            "1234567890",
            "0987654321",
            "qwertyuiop",
            "qwertyuiopasdfghjkl",
            "abcdefghijkl",
            "Password2026!",
            "!!Polyclinic1",
            "Welcome12345",
        ] {
            assert_eq!(check(common), Err(Unfit::Common), "{common}");
        }
    }

    #[test]
    fn pins_are_digits_that_do_not_lie_in_a_row() {
        let pin = |text: &str| Secret::new(text).check_pin();
        for good in ["2580", "19283", "40417723"] {
            assert_eq!(pin(good), Ok(()), "{good}");
        }
        for bad in ["", "123", "123456789", "12a4", "١٢٣٤", " 258"] {
            assert_eq!(pin(bad), Err(UnfitPin::Digits), "{bad}");
        }
        for bad in ["0000", "1234", "87654321"] {
            assert_eq!(pin(bad), Err(UnfitPin::Common), "{bad}");
        }
    }

    #[test]
    fn a_hash_knows_its_secret_and_no_other() {
        let secret = Secret::new("correct horse battery");
        let hash = SecretHash::of(&secret, [7; 16], CHEAP, &mut Memory::default()).unwrap();
        assert!(hash.matches(&secret, &mut Memory::default()));
        assert!(!hash.matches(&Secret::new("correct horse batterz"), &mut Memory::default()));
        assert_ne!(hash, SecretHash::of(&secret, [8; 16], CHEAP, &mut Memory::default()).unwrap());
    }

    #[test]
    fn the_standard_cost_is_argon2id_as_published() {
        // As the reference program computes it; RFC 9106 has vectors with key and associated data only:
        // echo -n "correct horse battery" | argon2 polygate-testing -id -v 13 -k 19456 -t 2 -p 1 -l 32
        let salt = *b"polygate-testing";
        let hash = SecretHash::of(
            &Secret::new("correct horse battery"),
            salt,
            Cost::STANDARD,
            &mut Memory::default(),
        )
        .unwrap();
        let hex: String = hash.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "10f9355d3843ce554651f84c7fb811baeb5a314ea1e156427742d932e73e4d78");
    }

    #[test]
    fn a_hash_that_would_take_all_memory_matches_nothing() {
        let dear = Cost { memory_kib: u32::MAX, ..Cost::STANDARD };
        assert_eq!(SecretHash::of(&Secret::new("x"), [0; 16], dear, &mut Memory::default()), Err(HashFailed));
        let hash = SecretHash { cost: dear, salt: [0; 16], digest: [0; 32] };
        assert!(!hash.matches(&Secret::new("x"), &mut Memory::default()));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secret = Secret::new("correct horse battery");
        let hash = SecretHash::of(&secret, [7; 16], CHEAP, &mut Memory::default()).unwrap();
        let shown = format!("{secret:?} {hash:?}");
        assert_eq!(shown, "Secret(…) SecretHash { cost: Cost { memory_kib: 8, passes: 1, lanes: 1 }, .. }");
    }
}
