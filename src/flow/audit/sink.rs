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
        name: note.name,
        roles: note.roles,
        deed: format!("access.{}", note.deed.replace([' ', ','], "-").to_lowercase()),
        outcome,
        handle: note.user,
        ground: if outcome == Outcome::Done { String::new() } else { note.outcome.to_owned() },
        ..Line::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{role::Role, secret::Secret},
        flow::{
            audit::fake::Bench,
            sign_in::fake::{PASSWORD, bench},
        },
    };

    #[tokio::test]
    async fn whoever_signs_in_is_on_record_with_name_and_roles_as_they_were() {
        let (trail, staff) = (Bench::new("north"), bench());
        staff.add("amara", "Amara Okafor", &[Role::Clinician]);
        staff.sign_in.sign_in("amara", Secret::new(PASSWORD), None).await.unwrap();
        staff.sign_in.set_roles("amara".parse().unwrap(), [Role::Reception].into(), "uid 7").unwrap();
        staff.sign_in.sign_in("amara", Secret::new("wrong"), None).await.unwrap_err();
        let audit = trail.start();
        staff.notes.take_whole().into_iter().for_each(|note| audit.note(note));
        audit.close().await;
        let deeds = audit.find_by_user("amara", None, 10).unwrap();
        let said: Vec<_> = deeds
            .iter()
            .map(|found| (found.line.deed.as_str(), found.line.roles.as_str(), found.line.outcome))
            .collect();
        let expected = [
            ("access.sign-in", "reception", Outcome::Refused),
            ("access.sign-in", "clinician", Outcome::Done),
        ];
        assert_eq!(said, expected);
        assert!(deeds.iter().all(|found| found.line.name == "Amara Okafor"));
        let operators = audit.find_by_user("uid 7", None, 10).unwrap();
        assert!(!operators.is_empty() && operators.iter().all(|found| found.line.handle == "amara"));
    }
}
