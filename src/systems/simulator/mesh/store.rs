//! What a server of mailboxes holds: mailboxes, messages, and what becomes of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{domain::time::Timestamp, sys::clock::Clock, systems::mesh::Credentials};

/// After this long unread, a message goes back: MESH's five days.
pub const EXPIRY: Duration = Duration::from_secs(5 * 24 * 3600);
/// Messages held at once: beyond it the oldest that were acknowledged are forgotten.
const MESSAGES_MAX: usize = 10_000;

/// A server of mailboxes, in memory.
#[derive(Debug)]
pub struct MeshServer {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    mailboxes: BTreeMap<String, Credentials>,
    messages: BTreeMap<String, Stored>,
    sequence: u64,
}

/// How a message stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// More chunks are to come.
    Uploading,
    /// In the recipient's mailbox.
    Accepted,
    /// The recipient has it.
    Acknowledged,
    /// The recipient did not collect it.
    Undeliverable,
}

impl Standing {
    /// MESH's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Uploading => "Uploading",
            Self::Accepted => "Accepted",
            Self::Acknowledged => "Acknowledged",
            Self::Undeliverable => "Undeliverable",
        }
    }
}

/// A message, as it was sent.
#[derive(Clone, Debug)]
pub struct Stored {
    /// MESH's name for it.
    pub id: String,
    /// Sender's mailbox.
    pub from: String,
    /// Recipient's mailbox.
    pub to: String,
    /// Workflow id.
    pub workflow: String,
    /// The sender's name for it.
    pub local_id: String,
    /// Media type.
    pub content_type: String,
    /// `gzip`, or nothing.
    pub encoding: String,
    /// How many chunks there will be.
    pub chunks_expected: usize,
    /// The chunks so far.
    pub chunks: Vec<Bytes>,
    /// When it came.
    pub at: Timestamp,
    /// How it stands.
    pub standing: Standing,
    /// For a report of MESH: the name of what was not delivered.
    pub report_on: Option<String>,
}

impl Stored {
    /// A message of one chunk, to be given to [`MeshServer::put`], which names it.
    pub fn new(from: &str, to: &str, workflow: &str, local_id: &str, body: Bytes) -> Self {
        Self {
            id: String::new(),
            from: from.to_owned(),
            to: to.to_owned(),
            workflow: workflow.to_owned(),
            local_id: local_id.to_owned(),
            content_type: "application/octet-stream".to_owned(),
            encoding: String::new(),
            chunks_expected: 1,
            chunks: vec![body],
            at: Timestamp(0),
            standing: Standing::Accepted,
            report_on: None,
        }
    }
}

impl MeshServer {
    /// A server with these mailboxes.
    pub fn new(clock: Arc<dyn Clock>, mailboxes: impl IntoIterator<Item = Credentials>) -> Arc<Self> {
        let mailboxes = mailboxes.into_iter().map(|one| (one.mailbox.clone(), one)).collect();
        Arc::new(Self { clock, state: Mutex::new(State { mailboxes, ..State::default() }) })
    }

    /// Whether a mailbox may do what it asks.
    pub fn authorises(&self, mailbox: &str, header: &str) -> bool {
        self.state().mailboxes.get(mailbox).is_some_and(|known| known.accepts(header))
    }

    /// Whether there is such a mailbox.
    pub fn has(&self, mailbox: &str) -> bool {
        self.state().mailboxes.contains_key(mailbox)
    }

    /// Puts a message into its recipient's mailbox; returns its name.
    pub fn put(&self, message: Stored) -> String {
        let at = self.clock.now();
        let mut state = self.state();
        state.sequence += 1;
        let id = format!("{:017}_{:06X}", at.0, state.sequence);
        let complete = message.chunks_expected <= message.chunks.len();
        let standing = if complete { Standing::Accepted } else { Standing::Uploading };
        state.messages.insert(id.clone(), Stored { id: id.clone(), at, standing, ..message });
        if MESSAGES_MAX < state.messages.len() {
            let forgotten = state.messages.iter().find(|(_, one)| one.standing == Standing::Acknowledged);
            if let Some(id) = forgotten.map(|(id, _)| id.clone()) {
                state.messages.remove(&id);
            }
        }
        id
    }

    /// Adds a chunk to a message of this sender; false if there is none that waits for it.
    pub fn put_chunk(&self, from: &str, id: &str, number: usize, chunk: Bytes) -> bool {
        let mut state = self.state();
        let Some(message) = state.messages.get_mut(id).filter(|one| one.from == from) else { return false };
        if message.standing != Standing::Uploading || number != message.chunks.len() + 1 {
            return false;
        }
        message.chunks.push(chunk);
        if message.chunks_expected == message.chunks.len() {
            message.standing = Standing::Accepted;
        }
        true
    }

    /// The names of what lies in a mailbox, oldest first, after expired messages have gone back.
    pub fn inbox(&self, mailbox: &str) -> Vec<String> {
        self.expire();
        let state = self.state();
        let waiting =
            state.messages.values().filter(|one| one.to == mailbox && one.standing == Standing::Accepted);
        waiting.map(|one| one.id.clone()).collect()
    }

    /// A message.
    pub fn get(&self, id: &str) -> Option<Stored> {
        self.state().messages.get(id).cloned()
    }

    /// Every message, oldest first.
    pub fn messages(&self) -> Vec<Stored> {
        self.state().messages.values().cloned().collect()
    }

    /// The recipient has a message.
    pub fn acknowledge(&self, mailbox: &str, id: &str) -> bool {
        let mut state = self.state();
        let Some(message) = state.messages.get_mut(id).filter(|one| one.to == mailbox) else { return false };
        message.standing = Standing::Acknowledged;
        true
    }

    /// What a sender sent under a name of its own.
    pub fn sent_as(&self, from: &str, local_id: &str) -> Vec<Stored> {
        let state = self.state();
        state.messages.values().filter(|one| one.from == from && one.local_id == local_id).cloned().collect()
    }

    /// Takes unread messages of five days out of their mailboxes, and tells their senders.
    fn expire(&self) {
        let now = self.clock.now();
        let mut reports = Vec::new();
        for message in self.state().messages.values_mut() {
            if message.standing == Standing::Accepted && EXPIRY < now.since(message.at) {
                message.standing = Standing::Undeliverable;
                if message.report_on.is_none() {
                    let (from, to) = (message.from.as_str(), message.local_id.as_str());
                    let mut report = Stored::new("", from, &message.workflow, to, Bytes::new());
                    report.report_on = Some(message.id.clone());
                    reports.push(report);
                }
            }
        }
        for report in reports {
            self.put(report);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
