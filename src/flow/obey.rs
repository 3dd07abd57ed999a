//! Taking in what the centre sends: durable here before the broker is told that it need not keep it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    codec::cbor,
    domain::time::Timestamp,
    journal::{Append, Closed, Identity, Lane, Verdict},
};

use super::hub::Hub;

/// The kind of what the centre tells of patients elsewhere.
const RECORD: &str = "record";

/// What the centre sent, as the journal keeps it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FromCentre {
    /// The topic's last level: `record`, `booking`, `config`, `command`, `update`.
    pub kind: String,
    /// When it came.
    pub at: Timestamp,
    /// The payload as it came.
    #[serde(with = "crate::domain::entry::byte_string")]
    pub payload: Bytes,
}

impl Hub {
    /// Keeps a message from the centre durably; the same message twice is kept once.
    ///
    /// # Errors
    /// The journal is closed or cannot write: the message must not be acknowledged.
    pub async fn take_from_centre(&self, kind: &str, payload: Bytes) -> Result<(), Closed> {
        if kind == RECORD {
            // Kept in files that end, never in the journal; what cannot be kept is not heard, and comes again.
            if let Some(elsewhere) = self.elsewhere.get() {
                elsewhere.offer(payload);
            }
            return Ok(());
        }
        let identity = Some(Identity::of(&[b"centre", kind.as_bytes(), &payload], &payload));
        let message = FromCentre { kind: kind.to_owned(), at: self.now(), payload };
        let payload = cbor::encode(&message).map(Bytes::from).unwrap_or_default();
        let verdicts = self.journal.append(vec![Append { lane: Lane::DOWN, identity, payload }]).await?;
        match verdicts.first() {
            Some(Verdict::Committed(_) | Verdict::Conflict | Verdict::Duplicate) => Ok(()),
            Some(Verdict::WrongSize) => {
                tracing::warn!(kind, "a message from the centre is too large to be kept: dropped");
                Ok(())
            }
            Some(Verdict::Failed | Verdict::Full) | None => Err(Closed),
        }
    }
}
