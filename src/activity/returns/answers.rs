//! What receivers say of records: their report comes in as CSV and goes back onto the contacts.
//!
//! The file has the columns `unique identifier`, `status` (`accepted` or `rejected`), `reason code` and `text`, in any
//! order; other columns are passed over. Receivers' own reports are brought into this form by whoever imports them.

use std::collections::BTreeMap;

use crate::{
    activity::codes::csv::{self, CsvError},
    domain::contact::{Acceptance, Code, ContactId},
};

use super::{Holding, Standing};

/// What a receiver says of one record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Of which contact.
    pub contact: ContactId,
    /// What it says.
    pub acceptance: Acceptance,
}

/// What a line says, or why it cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AnswerFault {
    /// Not `B`, our organisation and a contact's name.
    #[error("line {0}: the unique identifier is none of ours")]
    NotOurs(usize),
    /// Neither accepted nor rejected.
    #[error("line {0}: the status is neither accepted nor rejected")]
    Status(usize),
    /// A record that was never sent.
    #[error("line {0}: no such record was sent")]
    NeverSent(usize),
    /// Another line says otherwise.
    #[error("line {0}: an earlier line says otherwise of the same record")]
    Contradiction(usize),
}

/// A report: what can be taken, and which lines cannot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answers {
    /// By contact.
    pub answers: BTreeMap<ContactId, Acceptance>,
    /// Lines that are not taken; the others are.
    pub faults: Vec<AnswerFault>,
}

/// A reason of a receiver is cut after this many characters.
const REASON_LENGTH_MAX: usize = 200;

impl Answers {
    /// Reads a report on records that `provider` has sent, which are those of `holding`.
    ///
    /// # Errors
    /// If it is no such table at all; a line that cannot be taken is a fault in the result.
    pub fn read(bytes: &[u8], provider: Code, holding: &Holding) -> Result<Self, CsvError> {
        let mut report = Self::default();
        for (line, cells) in csv::read(bytes, &["unique identifier", "status", "reason code", "text"])? {
            let [identifier, status, reason, text] = cells.as_slice() else { continue };
            match answer(line, identifier, provider, status, reason, text) {
                Ok(answer) if !holding.records.contains_key(&answer.contact) => {
                    report.faults.push(AnswerFault::NeverSent(line));
                }
                Ok(answer) => match report.answers.get(&answer.contact) {
                    Some(earlier) if *earlier != answer.acceptance => {
                        report.faults.push(AnswerFault::Contradiction(line));
                    }
                    _ => drop(report.answers.insert(answer.contact, answer.acceptance)),
                },
                Err(fault) => report.faults.push(fault),
            }
        }
        Ok(report)
    }

    /// How many were accepted and how many rejected.
    pub fn counts(&self) -> (usize, usize) {
        let accepted = self.answers.values().filter(|answer| **answer == Acceptance::Accepted).count();
        (accepted, self.answers.len() - accepted)
    }

    /// Notes in a holding what was said: a rejected record is sent again with the next version.
    pub fn note(&self, holding: &mut Holding) {
        for (contact, acceptance) in &self.answers {
            if let Some(held) = holding.records.get_mut(contact) {
                held.standing = match acceptance {
                    Acceptance::Accepted => Standing::Accepted,
                    Acceptance::Rejected(_) => Standing::Rejected,
                    Acceptance::Awaiting => held.standing,
                };
            }
        }
    }
}

fn answer(
    line: usize,
    identifier: &str,
    provider: Code,
    status: &str,
    reason: &str,
    text: &str,
) -> Result<Answer, AnswerFault> {
    let rest = identifier.trim().strip_prefix('B').and_then(|rest| rest.strip_prefix(provider.as_str()));
    let contact = rest.and_then(|rest| rest.parse().ok()).ok_or(AnswerFault::NotOurs(line))?;
    let acceptance = match status.trim().to_ascii_lowercase().as_str() {
        "accepted" => Acceptance::Accepted,
        "rejected" => Acceptance::Rejected(without_numbers(&format!("{} {}", reason.trim(), text.trim()))),
        _ => return Err(AnswerFault::Status(line)),
    };
    Ok(Answer { contact, acceptance })
}

/// A receiver's reason without runs of ten and more digits, of which an NHS number is one: it is shown where contacts
/// are, to people who need not see patients.
fn without_numbers(text: &str) -> String {
    const DIGITS: usize = 10;
    let mut kept = String::new();
    let mut run = String::new();
    for character in text.chars().take(REASON_LENGTH_MAX).chain(['\n']) {
        if character.is_ascii_digit() || (!run.is_empty() && matches!(character, ' ' | '-')) {
            run.push(character);
            continue;
        }
        let is_number = DIGITS <= run.chars().filter(char::is_ascii_digit).count();
        kept.push_str(if is_number { "… " } else { &run });
        run.clear();
        if !character.is_control() {
            kept.push(character);
        }
    }
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{activity::returns::Held, domain::contact::Dataset};

    fn holding(ids: &[u128]) -> Holding {
        let held = Held {
            dataset: Dataset::Cds020,
            day: date(2026, 5, 4),
            digest: [0; 16],
            standing: Standing::Sent,
        };
        Holding { records: ids.iter().map(|id| (ContactId::of(*id), held)).collect(), applies: None }
    }

    #[test]
    fn each_line_is_taken_or_says_why_not() {
        let name = |bits| format!("B5LC01{}", ContactId::of(bits));
        let file = format!(
            "status,unique identifier,reason code,text\naccepted,{},,\nREJECTED,{},E101,birth date of 999 000 0018 is wrong\n\
             accepted,B5LC02X,,\nperhaps,{},,\naccepted,{},,\nrejected,{},X,\n",
            name(1),
            name(2),
            name(3),
            name(9),
            name(1),
        );
        let mut holding = holding(&[1, 2, 3]);
        let report = Answers::read(file.as_bytes(), "5LC01".parse().unwrap(), &holding).unwrap();
        let reason = Acceptance::Rejected("E101 birth date of … is wrong".to_owned());
        assert_eq!(report.answers[&ContactId::of(1)], Acceptance::Accepted);
        assert_eq!(report.answers[&ContactId::of(2)], reason);
        assert_eq!(
            report.faults,
            [
                AnswerFault::NotOurs(4),
                AnswerFault::Status(5),
                AnswerFault::NeverSent(6),
                AnswerFault::Contradiction(7)
            ]
        );
        assert_eq!(report.counts(), (1, 1));
        report.note(&mut holding);
        let standings: Vec<_> = holding.records.values().map(|held| held.standing).collect();
        assert_eq!(standings, [Standing::Accepted, Standing::Rejected, Standing::Sent]);
    }
}
