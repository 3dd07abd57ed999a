//! Deeds with accounts and sessions on record.

use std::sync::PoisonError;

use tokio::sync::mpsc::error::TrySendError;

use crate::{
    access::audit::{Line, Outcome},
    flow::sign_in::{AuditNote, AuditSink},
};

use super::{Audit, writer::Request};

impl AuditSink for Audit {
    /// Nobody waits: people sign in, and out, while the trail is stopped. What comes then is kept in memory and
    /// written later.
    fn note(&self, note: AuditNote) {
        self.note_line(line(note));
    }
}

impl Audit {
    /// Puts a deed on record that need not wait for it, because nothing is disclosed by it. It is durable within a
    /// moment; while the trail is stopped it is kept in memory.
    pub fn note_line(&self, line: Line) {
        if let Err(TrySendError::Full(_)) = self.requests.try_send(Request::Note(Box::new(line))) {
            self.status.lock().unwrap_or_else(PoisonError::into_inner).missed += 1;
        }
    }
}

/// What sign-in says, in the trail's words: who did it, and to whose account.
fn line(note: AuditNote) -> Line {
    let outcome = match note.outcome {
        "done" => Outcome::Done,
        "could not be written" => Outcome::Failed,
        _ => Outcome::Refused,
    };
    Line {
        at: note.at,
        user: note.by,
        deed: format!("access.{}", note.deed.replace([' ', ','], "-").to_lowercase()),
        outcome,
        handle: note.user,
        ground: if outcome == Outcome::Done { String::new() } else { note.outcome.to_owned() },
        ..Line::default()
    }
}
