//! Checkpoints: what the trail comes to at a moment, signed. The text is C2SP tlog-checkpoint, in a C2SP signed note.

use std::fmt::{self, Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use crate::domain::{
    ids::HubId,
    time::{ClockQuality, Timestamp},
};

use super::Hash;

/// A note longer than this is none of ours, in bytes.
pub const NOTE_BYTES_MAX: usize = 4 << 10;
const ORIGIN: &str = "polygate/";
/// How a signature line begins: an em dash and a space (C2SP signed-note).
const SIGNATURE: &str = "\u{2014} ";
const KEY_ID_BYTES: usize = 4;

/// What a trail comes to. The trail of one incarnation is one log, with an origin of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Whose trail.
    pub hub: HubId,
    /// Which beginning of it: a new one when the disk was turned back or is damaged.
    pub incarnation: u64,
    /// Lines in it.
    pub size: u64,
    /// The tree's root over them.
    pub root: Hash,
    /// The number of the trail's start, from the counter that a restored disk does not turn back unnoticed.
    pub counter: u64,
    /// When, by the wall clock.
    pub time: Timestamp,
    /// How far that clock was to be trusted.
    pub clock: ClockQuality,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let clock = match self.clock {
            ClockQuality::Synchronised => "synchronised",
            ClockQuality::Unsynchronised => "unsynchronised",
        };
        format!(
            "{ORIGIN}{}/{}\n{}\n{}\ncounter {}\ntime {} {clock}\n",
            self.hub,
            self.incarnation,
            self.size,
            BASE64_STANDARD.encode(self.root),
            self.counter,
            self.time.0,
        )
    }

    /// Reads a text that [`Checkpoint::text`] wrote, and no other: one checkpoint has one form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (hub, incarnation) = lines.next()?.strip_prefix(ORIGIN)?.split_once('/')?;
        let size = lines.next()?.parse().ok()?;
        let root = BASE64_STANDARD.decode(lines.next()?).ok()?;
        let counter = lines.next()?.strip_prefix("counter ")?.parse().ok()?;
        let (time, clock) = lines.next()?.strip_prefix("time ")?.split_once(' ')?;
        let clock = match clock {
            "synchronised" => ClockQuality::Synchronised,
            _ => ClockQuality::Unsynchronised,
        };
        let read = Self {
            hub: hub.parse().ok()?,
            incarnation: incarnation.parse().ok()?,
            size,
            root: root.try_into().ok()?,
            counter,
            time: Timestamp(time.parse().ok()?),
            clock,
        };
        (read.text() == text).then_some(read)
    }

    /// The checkpoint as a signed note.
    ///
    /// # Errors
    /// The signer cannot sign.
    pub fn sign(&self, signer: &dyn Signer) -> Result<String, SignFailed> {
        let text = self.text();
        let mut signed = KeyName::of(&self.hub, signer.key()).id().to_vec();
        signed.extend(signer.sign(text.as_bytes())?);
        let mut note = text;
        let line = format!("\n{SIGNATURE}{ORIGIN}{} {}\n", self.hub, BASE64_STANDARD.encode(signed));
        note.push_str(&line);
        Ok(note)
    }
}

/// Signs checkpoints: a key in a file, or in a TPM.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The key that verifies.
    fn key(&self) -> &VerifyingKey;
    /// Signs a message. May block for as long as a TPM takes.
    ///
    /// # Errors
    /// The key cannot be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFailed>;
}

/// The key cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit trail's key cannot sign")]
pub struct SignFailed;

/// Says whether a signature of a message is a key's: algorithm, public key, message, signature.
pub type Verify = fn(u8, &[u8], &[u8], &[u8]) -> bool;

/// A public key with its algorithm's number in C2SP signed-note.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifyingKey {
    /// Which algorithm: 1 is Ed25519, and the only one yet; a TPM's P-256 would be the second.
    pub algorithm: u8,
    /// The key's bytes.
    pub public: Vec<u8>,
}

/// A key with the name of its hub, as it is pinned and written: `polygate/HUB+ID+BASE64` (C2SP signed-note).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyName {
    name: String,
    /// The key.
    pub key: VerifyingKey,
}

impl KeyName {
    /// A hub's key.
    pub fn of(hub: &HubId, key: &VerifyingKey) -> Self {
        Self { name: format!("{ORIGIN}{hub}"), key: key.clone() }
    }

    /// Reads a key that `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (_, encoded) = rest.split_once('+')?;
        name.strip_prefix(ORIGIN)?.parse::<HubId>().ok()?;
        let bytes = BASE64_STANDARD.decode(encoded).ok()?;
        let (algorithm, public) = bytes.split_first()?;
        let key = VerifyingKey { algorithm: *algorithm, public: public.to_vec() };
        let read = Self { name: name.to_owned(), key };
        (read.to_string() == text).then_some(read)
    }

    /// Whether it is this hub's.
    pub fn is_of(&self, hub: &HubId) -> bool {
        self.name.strip_prefix(ORIGIN) == Some(hub.as_str())
    }

    /// The first bytes of `SHA-256(name || 0x0A || algorithm || key)`.
    fn id(&self) -> [u8; KEY_ID_BYTES] {
        let hash = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', self.key.algorithm])
            .chain_update(&self.key.public)
            .finalize();
        hash.first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.key.algorithm];
        key.extend_from_slice(&self.key.public);
        let id = self.id().iter().try_fold(String::new(), |mut id, byte| {
            write!(id, "{byte:02x}")?;
            Ok::<_, fmt::Error>(id)
        })?;
        write!(f, "{}+{id}+{}", self.name, BASE64_STANDARD.encode(key))
    }
}

/// Why a note says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// It has not the form.
    #[error("it is no signed checkpoint")]
    Form,
    /// Its signature is of another key, or of another text.
    #[error("its signature is not this key's")]
    Signature,
}

/// A checkpoint whose signature was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    /// What it says.
    pub checkpoint: Checkpoint,
}

impl Opened {
    /// Reads a note and verifies that a key has signed it.
    ///
    /// # Errors
    /// See [`NoteError`].
    pub fn read(note: &str, key: &VerifyingKey, verify: Verify) -> Result<Self, NoteError> {
        let (checkpoint, text, signed) = parts(note).ok_or(NoteError::Form)?;
        let (id, signature) = signed.split_first_chunk::<KEY_ID_BYTES>().ok_or(NoteError::Form)?;
        if *id != KeyName::of(&checkpoint.hub, key).id()
            || !verify(key.algorithm, &key.public, text.as_bytes(), signature)
        {
            return Err(NoteError::Signature);
        }
        Ok(Self { checkpoint })
    }
}

/// The checkpoint that a note is about, its text, and what stands in its one signature line. Nothing is verified.
fn parts(note: &str) -> Option<(Checkpoint, &str, Vec<u8>)> {
    if NOTE_BYTES_MAX < note.len() {
        return None;
    }
    let (text, signatures) = note.split_at_checked(note.find("\n\n")? + 1)?;
    let checkpoint = Checkpoint::parse(text)?;
    let line = signatures.strip_prefix('\n')?.strip_suffix('\n')?;
    let (name, signed) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
    if name.strip_prefix(ORIGIN)? != checkpoint.hub.as_str() {
        return None;
    }
    // Strict: one signature has one form, so that no bit of a note can change unnoticed.
    let signed = BASE64_STANDARD.decode(signed).ok()?;
    Some((checkpoint, text, signed))
}

/// What a note claims, before its signature is verified: to know whose key to look for.
pub fn claimed(note: &str) -> Option<Checkpoint> {
    parts(note).map(|(checkpoint, _, _)| checkpoint)
}
