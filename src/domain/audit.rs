//! What of a hub's audit trail goes up to the centre: a signed checkpoint, and the lines that it signs.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The kind of entry that carries a checkpoint.
pub const CHECKPOINT_KIND: &str = "audit.checkpoint";
/// The format of its raw bytes, as its summary says.
pub const CHECKPOINT_FORMAT: &str = "audit";
/// A parcel at its longest, in bytes: a thousand of the longest lines.
pub const PARCEL_BYTES_MAX: usize = 12 << 20;

/// The raw bytes of an entry of kind [`CHECKPOINT_KIND`]. Its `Debug` shows no line.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Parcel {
    /// [`Parcel::VERSION`].
    pub v: u8,
    /// The key that signs, as `polygate/HUB+ID+BASE64` (C2SP signed-note).
    pub key: String,
    /// The checkpoint: a C2SP tlog-checkpoint in a signed note.
    pub note: String,
    /// Lines of the checkpoint's incarnation before the parcel's first: the size of the checkpoint before.
    pub before: u64,
    /// The consistency proof (RFC 6962) from that size to the checkpoint's; empty if that size is 0.
    pub proof: Vec<ByteBuf>,
    /// The records from there to the checkpoint, as they are sealed; at most a thousand.
    pub lines: Vec<ByteBuf>,
}

impl Parcel {
    /// The version that this program writes and reads.
    pub const VERSION: u8 = 1;
}

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parcel")
            .field("before", &self.before)
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}
