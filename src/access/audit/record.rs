//! A line with its seal: the number, the clocks, the hash of the line before, and a commitment to the words.
//!
//! The seal holds no word of the line, so that a proof about it shows nothing of anybody. The commitment is salted:
//! whoever sees seals alone cannot try names and numbers until one fits.

use sha2::{Digest as _, Sha256};

use crate::domain::{
    ids::HubId,
    time::{ClockQuality, Timestamp},
};

use super::{
    Hash,
    bytes::{Reader, Writer},
    line::{LINE_BYTES_MAX, Line},
    tree::leaf_hash,
};

/// The form of a seal.
const VERSION: u8 = 1;
/// A seal's bytes: version, five numbers, the clock's quality, two hashes.
pub const SEAL_BYTES: usize = 1 + 5 * 8 + 1 + 2 * 32;
const SALT_BYTES: usize = 16;
/// A record at its longest.
pub const RECORD_BYTES_MAX: usize = SEAL_BYTES + SALT_BYTES + LINE_BYTES_MAX;

/// What goes before the first line of an incarnation: no line of another hub or incarnation can follow it.
pub fn genesis(hub: &HubId, incarnation: u64) -> Hash {
    leaf_hash(format!("polygate/{hub}/{incarnation}").as_bytes())
}

/// When a line was sealed. `start` and `elapsed_ms` order lines; the wall clock orders nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    /// The number of the trail's start, which only grows.
    pub start: u64,
    /// Milliseconds since that start, by the monotonic clock.
    pub elapsed_ms: u64,
    /// The wall clock.
    pub wall: Timestamp,
    /// How far it was to be trusted.
    pub clock: ClockQuality,
}

/// What of a line is hashed into the chain and the tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seal {
    /// The line's number in its incarnation, from 1, without a hole.
    pub number: u64,
    /// The highest number that was durable when this line was written; 0 if none. Whoever finds a line knows that
    /// everything up to here had been acknowledged before.
    pub durable: u64,
    /// When.
    pub moment: Moment,
    /// The hash of the line before.
    pub previous: Hash,
    /// SHA-256 of the salt and the line.
    pub commitment: Hash,
}

impl Seal {
    /// The bytes that are hashed.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer(Vec::with_capacity(SEAL_BYTES));
        writer.byte(VERSION);
        writer.number(self.number);
        writer.number(self.durable);
        writer.number(self.moment.start);
        writer.number(self.moment.elapsed_ms);
        writer.signed(self.moment.wall.0);
        writer.byte(u8::from(self.moment.clock == ClockQuality::Synchronised));
        writer.array(&self.previous);
        writer.array(&self.commitment);
        writer.0
    }

    /// Reads what [`Seal::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return None;
        }
        let (number, durable) = (reader.number()?, reader.number()?);
        let (start, elapsed_ms, wall) = (reader.number()?, reader.number()?, Timestamp(reader.signed()?));
        let clock = match reader.byte()? {
            0 => ClockQuality::Unsynchronised,
            1 => ClockQuality::Synchronised,
            _ => return None,
        };
        let moment = Moment { start, elapsed_ms, wall, clock };
        let (previous, commitment) = (reader.array()?, reader.array()?);
        reader.0.is_empty().then_some(Self { number, durable, moment, previous, commitment })
    }

    /// The line's name in the chain, and its leaf in the tree.
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.encode())
    }
}

/// A sealed line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its seal.
    pub seal: Seal,
    /// Makes the commitment unguessable.
    pub salt: [u8; SALT_BYTES],
    /// The line.
    pub line: Line,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Damage {
    /// They have not the form of one.
    #[error("it has not the form of a line")]
    Form,
    /// The seal is about other words.
    #[error("its words are not those that were sealed")]
    Words,
}

impl Record {
    /// Seals a line. `salt` must be random.
    pub fn seal(
        line: Line,
        number: u64,
        durable: u64,
        moment: Moment,
        previous: Hash,
        salt: [u8; 16],
    ) -> Self {
        let body = line.encode();
        let commitment = commitment(&salt, &body);
        // What was too long is kept as it is written.
        let line = Line::decode(&body).unwrap_or(line);
        Self { seal: Seal { number, durable, moment, previous, commitment }, salt, line }
    }

    /// The record's bytes: seal, salt, line.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.seal.encode();
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.line.encode());
        bytes
    }

    /// Reads what [`Record::encode`] wrote. The seal's own place in the chain is the caller's to check.
    ///
    /// # Errors
    /// The bytes are no record, or their words were changed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let (seal, rest) = bytes.split_at_checked(SEAL_BYTES).ok_or(Damage::Form)?;
        let (salt, body) = rest.split_first_chunk::<SALT_BYTES>().ok_or(Damage::Form)?;
        let seal = Seal::decode(seal).ok_or(Damage::Form)?;
        if commitment(salt, body) != seal.commitment {
            return Err(Damage::Words);
        }
        let line = Line::decode(body).ok_or(Damage::Form)?;
        Ok(Self { seal, salt: *salt, line })
    }
}

fn commitment(salt: &[u8; SALT_BYTES], body: &[u8]) -> Hash {
    Sha256::new().chain_update(salt).chain_update(body).finalize().into()
}
