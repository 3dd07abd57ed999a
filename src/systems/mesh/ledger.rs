//! What a mailbox must remember over restarts: numbers given out, what was sent and waits for its NHSACK, and when the
//! mailbox was last read. It holds no patient data.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    domain::time::Timestamp,
    sys::disk::{Disk, read_file, replace_file},
};

/// Sent and not settled: beyond this a partner has stopped answering, and more would only be lost from sight.
pub const AWAITED_MAX: usize = 2_000;
/// Settled and still remembered, so that a repeated attempt is recognised.
const SETTLED_MAX: usize = 500;
/// NHSACKs that were sent and are remembered, so that a repeated interchange gets the same number.
const ANSWERED_MAX: usize = 500;
/// The file at its fullest, with room for long words.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Control references have up to eight digits, and begin again after the last.
const REFERENCE_MAX: u32 = 99_999_999;

/// What became of something that was sent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It has a number and is not known to be at MESH.
    Prepared,
    /// MESH has it; the recipient's NHSACK is awaited.
    Awaited,
    /// MESH has it, and nothing more will be said of it: letters have no NHSACK.
    Delivered,
    /// The recipient has accepted it.
    Accepted,
    /// The recipient has rejected it, in these words.
    Rejected(String),
    /// MESH could not deliver it, in these words.
    NotDelivered(String),
}

impl Fate {
    /// Whether nothing more is expected.
    pub const fn is_settled(&self) -> bool {
        !matches!(self, Self::Prepared | Self::Awaited)
    }
}

/// Something that was sent, or is to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sent {
    /// The recipient's mailbox.
    pub mailbox: String,
    /// Our partner id and theirs, in this order.
    pub partners: (String, String),
    /// The control reference of its interchange, or the id of its letter.
    pub reference: String,
    /// The references of the messages in its interchange, which its NHSACK must answer; none of a letter.
    pub messages: Vec<String>,
    /// Where its message stood in the queue, segment and offset: the same at every attempt, and another once an
    /// operator sends the message again.
    pub position: (u64, u64),
    /// When it was first made: its time of preparation at every attempt.
    pub prepared: Timestamp,
    /// MESH's name for it, once MESH has it.
    #[serde(default)]
    pub message_id: String,
    /// What became of it.
    pub fate: Fate,
    /// Since when.
    pub since: Timestamp,
}

impl Sent {
    /// Whether this is still what an attempt from here is about, and not to be made anew.
    fn stands(&self, position: (u64, u64)) -> bool {
        match self.fate {
            Fate::Prepared => true,
            Fate::Awaited | Fate::Delivered | Fate::Accepted => self.position == position,
            Fate::Rejected(_) | Fate::NotDelivered(_) => false,
        }
    }
}

/// Whom something is for, and what is in it.
#[derive(Clone, Debug)]
pub struct Recipient<'a> {
    /// Their mailbox.
    pub mailbox: &'a str,
    /// Our partner id and theirs.
    pub partners: (&'a str, &'a str),
    /// The references of the messages that an NHSACK must answer.
    pub messages: Vec<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct State {
    /// When the mailbox was last read to its end.
    #[serde(default)]
    read: Option<Timestamp>,
    /// The last number given, by `from>to`.
    #[serde(default)]
    numbers: BTreeMap<String, u32>,
    /// NHSACK numbers by the incoming message's name at MESH, with an order of their own.
    #[serde(default)]
    answered: BTreeMap<String, (u64, u32)>,
    /// What was sent, by attempt.
    #[serde(default)]
    sent: BTreeMap<String, Sent>,
}

/// The memory of one mailbox. Everything changed is on disk before it is acted upon.
#[derive(Debug)]
pub struct Ledger {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    state: Mutex<State>,
}

/// What came of preparing an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Prepared {
    /// It has a number, and nothing of it was sent before.
    New(Sent),
    /// It was prepared before, and may have been sent.
    Known(Sent),
    /// Too many wait for an NHSACK.
    TooMany,
}

/// What a delivery stands at, without patient data.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Delivery {
    /// The attempt's name: also `Mex-LocalID`.
    pub attempt: String,
    /// What was sent.
    #[serde(flatten)]
    pub sent: Sent,
}

impl Ledger {
    /// Opens the memory kept at `path`, or begins one.
    ///
    /// # Errors
    /// The disk's; `InvalidData` if what is there cannot be read: numbers must not be given twice, so it has to be
    /// looked at.
    pub fn open(disk: Arc<dyn Disk>, path: PathBuf) -> io::Result<Self> {
        let state = match read_file(disk.as_ref(), &path, FILE_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| ErrorKind::InvalidData)?,
            Err(error) if error.kind() == ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { disk, path, state: Mutex::new(state) })
    }

    /// When the mailbox was last read to its end.
    pub fn last_read(&self) -> Option<Timestamp> {
        self.state().read
    }

    /// The mailbox was read to its end.
    ///
    /// # Errors
    /// The disk's.
    pub fn was_read(&self, now: Timestamp) -> io::Result<()> {
        self.change(|state| state.read = Some(now))
    }

    /// The number of the NHSACK for an incoming message: the same if it is asked again.
    ///
    /// # Errors
    /// The disk's.
    pub fn answer_number(&self, incoming: &str, from: &str, to: &str) -> io::Result<u32> {
        if let Some((_, number)) = self.state().answered.get(incoming) {
            return Ok(*number);
        }
        self.change(|state| {
            let number = next(&mut state.numbers, from, to);
            let order = state.answered.values().map(|(order, _)| order + 1).max().unwrap_or(0);
            state.answered.insert(incoming.to_owned(), (order, number));
            if ANSWERED_MAX < state.answered.len() {
                let oldest = state.answered.iter().min_by_key(|(_, (order, _))| *order);
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    state.answered.remove(&oldest);
                }
            }
            number
        })
    }

    /// What is known of an attempt.
    pub fn sent(&self, attempt: &str) -> Option<Sent> {
        self.state().sent.get(attempt).cloned()
    }

    /// Prepares an attempt: gives it a number if it has none yet. It gets a new one, and counts as new, if it failed
    /// before or an operator sends it again: under its old number the recipient would take it for what it has had.
    ///
    /// # Errors
    /// The disk's.
    pub fn prepare(
        &self,
        attempt: &str,
        position: (u64, u64),
        to: Recipient<'_>,
        now: Timestamp,
    ) -> io::Result<Prepared> {
        let Recipient { mailbox, partners, messages } = to;
        {
            let state = self.state();
            if let Some(sent) = state.sent.get(attempt).filter(|sent| sent.stands(position)) {
                return Ok(Prepared::Known(sent.clone()));
            }
            if AWAITED_MAX <= state.sent.values().filter(|sent| !sent.fate.is_settled()).count() {
                return Ok(Prepared::TooMany);
            }
        }
        self.change(|state| {
            let sent = Sent {
                mailbox: mailbox.to_owned(),
                partners: (partners.0.to_owned(), partners.1.to_owned()),
                reference: next(&mut state.numbers, partners.0, partners.1).to_string(),
                messages,
                position,
                prepared: now,
                message_id: String::new(),
                fate: Fate::Prepared,
                since: now,
            };
            state.sent.insert(attempt.to_owned(), sent.clone());
            Prepared::New(sent)
        })
    }

    /// MESH has an attempt under this name; `awaited` if an NHSACK is to come.
    ///
    /// # Errors
    /// The disk's.
    pub fn at_mesh(&self, attempt: &str, message_id: &str, awaited: bool, now: Timestamp) -> io::Result<()> {
        self.change(|state| {
            if let Some(sent) = state.sent.get_mut(attempt)
                && sent.fate == Fate::Prepared
            {
                message_id.clone_into(&mut sent.message_id);
                sent.fate = if awaited { Fate::Awaited } else { Fate::Delivered };
                sent.since = now;
            }
        })
    }

    /// The attempt that an NHSACK speaks of: partners, mailbox and reference must all be what was sent. None if
    /// nothing that is remembered fits, for then it must not be taken for anything else.
    pub fn matching(&self, mailbox: &str, partners: (&str, &str), reference: &str) -> Option<(String, Sent)> {
        let fits = |sent: &Sent| {
            sent.reference == reference
                && sent.mailbox.eq_ignore_ascii_case(mailbox)
                && (sent.partners.0.as_str(), sent.partners.1.as_str()) == partners
        };
        let state = self.state();
        // References begin again after the last; the newest is meant.
        let found = state.sent.iter().filter(|(_, sent)| fits(sent)).max_by_key(|(_, sent)| sent.prepared);
        found.map(|(attempt, sent)| (attempt.clone(), sent.clone()))
    }

    /// The attempt that MESH calls this, or that we called this.
    pub fn named(&self, message_id: &str, local_id: &str) -> Option<(String, Sent)> {
        let state = self.state();
        let is_named = |attempt: &str, sent: &Sent| {
            attempt == local_id || (!message_id.is_empty() && sent.message_id == message_id)
        };
        let found = state.sent.iter().find(|(attempt, sent)| is_named(attempt, sent));
        found.map(|(attempt, sent)| (attempt.clone(), sent.clone()))
    }

    /// Settles an attempt. A recipient's word is final: a later one changes nothing.
    ///
    /// # Errors
    /// The disk's.
    pub fn settle(&self, attempt: &str, fate: Fate, now: Timestamp) -> io::Result<()> {
        self.change(|state| {
            if let Some(sent) = state.sent.get_mut(attempt)
                && !matches!(sent.fate, Fate::Accepted | Fate::Rejected(_))
            {
                sent.fate = fate;
                sent.since = now;
            }
            forget_settled(&mut state.sent);
        })
    }

    /// Every delivery that is remembered.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let state = self.state();
        state
            .sent
            .iter()
            .map(|(attempt, sent)| Delivery { attempt: attempt.clone(), sent: sent.clone() })
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and makes it last. If it cannot last, what is in memory is ahead of the disk: a number is
    /// then left out after a restart, never given twice, because nothing was sent under it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let mut state = self.state();
        let made = change(&mut state);
        let bytes = serde_json::to_vec(&*state).map_err(|_| ErrorKind::InvalidData)?;
        replace_file(self.disk.as_ref(), &self.path, &bytes)?;
        Ok(made)
    }
}

fn next(numbers: &mut BTreeMap<String, u32>, from: &str, to: &str) -> u32 {
    let last = numbers.entry(format!("{from}>{to}")).or_default();
    *last = if REFERENCE_MAX <= *last { 1 } else { *last + 1 };
    *last
}

fn forget_settled(sent: &mut BTreeMap<String, Sent>) {
    let mut settled: Vec<(Timestamp, String)> = sent
        .iter()
        .filter(|(_, sent)| sent.fate.is_settled())
        .map(|(attempt, sent)| (sent.since, attempt.clone()))
        .collect();
    if SETTLED_MAX < settled.len() {
        settled.sort();
        for (_, attempt) in &settled[..settled.len() - SETTLED_MAX] {
            sent.remove(attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sys::sim_disk::SimulatedDisk;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn ledger(disk: &SimulatedDisk) -> Ledger {
        Ledger::open(Arc::new(disk.clone()), Path::new("/state").join("mesh.json")).unwrap()
    }

    fn to_gp() -> Recipient<'static> {
        Recipient { mailbox: "BOX", partners: ("us", "gp"), messages: vec!["1".to_owned()] }
    }

    fn disk() -> SimulatedDisk {
        let disk = SimulatedDisk::default();
        disk.create_directory(Path::new("/state")).unwrap();
        disk
    }

    #[test]
    fn numbers_go_on_after_a_restart_and_count_for_each_pair() {
        let disk = disk();
        let one = ledger(&disk);
        assert_eq!(one.answer_number("in1", "us", "lab").unwrap(), 1);
        assert_eq!(one.answer_number("in1", "us", "lab").unwrap(), 1, "the same message, the same number");
        assert_eq!(one.answer_number("in2", "us", "lab").unwrap(), 2);
        assert_eq!(one.answer_number("in3", "us", "other").unwrap(), 1);
        drop(one);
        assert_eq!(ledger(&disk).answer_number("in4", "us", "lab").unwrap(), 3);
    }

    #[test]
    fn an_attempt_keeps_its_number_and_is_matched_by_all_it_has() {
        let disk = disk();
        let ledger = ledger(&disk);
        let prepare = |attempt| match ledger.prepare(attempt, (0, 0), to_gp(), NOW).unwrap() {
            Prepared::New(sent) => (true, sent.reference),
            Prepared::Known(sent) => (false, sent.reference),
            Prepared::TooMany => panic!("there are few"),
        };
        assert_eq!(prepare("a"), (true, "1".to_owned()));
        assert_eq!(prepare("b"), (true, "2".to_owned()));
        assert_eq!(prepare("a"), (false, "1".to_owned()));
        ledger.at_mesh("a", "M1", true, NOW).unwrap();
        assert_eq!(ledger.matching("box", ("us", "gp"), "1").unwrap().0, "a");
        for (mailbox, partners, reference) in
            [("OTHER", ("us", "gp"), "1"), ("BOX", ("gp", "us"), "1"), ("BOX", ("us", "gp"), "3")]
        {
            assert_eq!(ledger.matching(mailbox, partners, reference), None);
        }
        assert_eq!(ledger.named("M1", "").unwrap().0, "a");
        assert_eq!(ledger.named("", "b").unwrap().0, "b");
        assert_eq!(ledger.named("", ""), None);
        ledger.settle("a", Fate::Rejected("IRA".to_owned()), NOW).unwrap();
        ledger.settle("a", Fate::NotDelivered("14".to_owned()), NOW).unwrap();
        assert_eq!(
            ledger.sent("a").unwrap().fate,
            Fate::Rejected("IRA".to_owned()),
            "the recipient's word stays"
        );
    }

    #[test]
    fn what_failed_or_is_sent_again_by_hand_gets_a_new_number() {
        let disk = disk();
        let ledger = ledger(&disk);
        let prepare = |position| match ledger.prepare("a", position, to_gp(), NOW).unwrap() {
            Prepared::New(sent) => format!("new {}", sent.reference),
            Prepared::Known(sent) => format!("known {}", sent.reference),
            Prepared::TooMany => panic!("there are few"),
        };
        assert_eq!((prepare((1, 8)), prepare((1, 8))), ("new 1".to_owned(), "known 1".to_owned()));
        ledger.at_mesh("a", "M1", true, NOW).unwrap();
        assert_eq!(prepare((1, 8)), "known 1");
        ledger.settle("a", Fate::Accepted, NOW).unwrap();
        assert_eq!(prepare((1, 8)), "known 1", "a repeated attempt");
        assert_eq!(prepare((2, 9)), "new 2", "an operator's");
        ledger.settle("a", Fate::Rejected("IRA".to_owned()), NOW).unwrap();
        assert_eq!(prepare((2, 9)), "new 3", "released after a rejection");
        assert!(ledger.matching("BOX", ("us", "gp"), "2").is_none());
    }

    #[test]
    fn what_is_settled_is_forgotten_in_time_and_what_is_not_is_bounded() {
        let disk = disk();
        let ledger = ledger(&disk);
        for number in 0..SETTLED_MAX + 20 {
            let attempt = format!("{number:05}");
            let at = Timestamp(NOW.0 + i64::try_from(number).unwrap());
            ledger.prepare(&attempt, (0, 0), to_gp(), at).unwrap();
            ledger.settle(&attempt, Fate::Accepted, at).unwrap();
        }
        assert_eq!(ledger.deliveries().len(), SETTLED_MAX);
        assert!(ledger.sent("00000").is_none() && ledger.sent("00400").is_some());
        let waiting = ledger.sent("00400").unwrap();
        for number in 0..AWAITED_MAX {
            ledger.state().sent.insert(format!("w{number}"), waiting.clone());
        }
        ledger.state().sent.values_mut().for_each(|sent| sent.fate = Fate::Awaited);
        assert_eq!(ledger.prepare("x", (0, 0), to_gp(), NOW).unwrap(), Prepared::TooMany);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_begun_anew() {
        let disk = disk();
        let path = Path::new("/state").join("mesh.json");
        replace_file(&disk, &path, b"{ broken").unwrap();
        let opened = Ledger::open(Arc::new(disk), path);
        assert_eq!(opened.err().map(|error| error.kind()), Some(ErrorKind::InvalidData));
    }
}
