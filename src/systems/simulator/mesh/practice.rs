//! A practice with its own system behind a mailbox: it collects, files, and answers with NHSACK.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::{sync::watch, time::sleep};

use crate::{
    codec::{
        edifact::{
            Header, Interchange, Segments,
            nhsack::{MessageVerdict, NhsAck},
            pmip::{self, Kind, Report, Value},
        },
        kettering,
    },
    domain::time::Timestamp,
    sys::clock::Clock,
    systems::mesh::{Delivered, MeshClient, MeshError, Outgoing},
};

/// What is shown of what was filed; older ones are forgotten.
const FILED_MAX: usize = 1_000;

/// Something the practice has filed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Filed {
    /// When, by the practice's clock.
    pub at: Timestamp,
    /// `pathology`, `radiology`, `screening` or `letter`.
    pub kind: &'static str,
    /// The sender's number for it.
    pub number: String,
    /// The patient's NHS number as given.
    pub nhs_number: String,
    /// What it says, a line each.
    pub lines: Vec<String>,
}

/// A practice.
#[derive(Debug)]
pub struct SimulatedPractice {
    client: MeshClient,
    clock: Arc<dyn Clock>,
    poll: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    filed: VecDeque<Filed>,
    /// Interchanges and letters that were filed: a repeat is acknowledged alike and filed no second time.
    seen: BTreeSet<String>,
    repeated: u64,
    sequence: u32,
    /// NHS numbers of its patients; everybody's if there are none.
    registered: BTreeSet<String>,
}

impl SimulatedPractice {
    /// A practice that looks into its mailbox every `poll`.
    pub fn new(client: MeshClient, clock: Arc<dyn Clock>, poll: Duration) -> Arc<Self> {
        Arc::new(Self { client, clock, poll, state: Mutex::default() })
    }

    /// From here on only reports about these patients are accepted.
    pub fn register(&self, nhs_numbers: impl IntoIterator<Item = String>) {
        self.state().registered.extend(nhs_numbers);
    }

    /// What it has filed, newest first.
    pub fn filed(&self) -> Vec<Filed> {
        self.state().filed.iter().cloned().collect()
    }

    /// How many messages came that it had already.
    pub fn repeated(&self) -> u64 {
        self.state().repeated
    }

    /// Collects and files until `stop` changes.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.collect().await {
                tracing::debug!(%error, "a simulated practice cannot read its mailbox");
            }
            tokio::select! {
                () = sleep(self.poll) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Collects and files everything in its mailbox.
    ///
    /// # Errors
    /// The mailbox cannot be read.
    pub async fn collect(&self) -> Result<(), MeshError> {
        for id in self.client.inbox().await? {
            let Some(message) = self.client.get(&id).await? else { continue };
            if let Some((answer, workflow)) = self.file(&message) {
                let local_id = format!("ack-{id}");
                let outgoing = Outgoing {
                    to: &message.from,
                    workflow: &workflow,
                    local_id: &local_id,
                    content_type: "application/edifact",
                    body: Bytes::from(answer),
                };
                self.client.send(outgoing).await?;
            }
            self.client.acknowledge(&id).await?;
        }
        Ok(())
    }

    fn file(&self, message: &Delivered) -> Option<(Vec<u8>, String)> {
        if message.body.trim_ascii_start().starts_with(b"<") {
            self.file_letter(&message.body);
            return None;
        }
        let segments = Segments::of(&message.body).ok()?;
        let answer = match Interchange::of(&segments) {
            Ok(interchange) => self.file_interchange(&interchange),
            Err(refusal) => NhsAck::of_refusal(&refusal),
        };
        let answer = answer?;
        let now = crate::systems::mesh::local_digits(self.clock.now());
        let moment = (now.get(..8).unwrap_or_default(), now.get(8..12).unwrap_or_default());
        let mut state = self.state();
        state.sequence += 1;
        Some((answer.encode(state.sequence, moment, "NHSACK"), format!("{}_ACK", message.workflow)))
    }

    fn file_interchange(&self, interchange: &Interchange<'_>) -> Option<NhsAck> {
        let header = &interchange.header;
        let verdicts = interchange.messages.iter().map(|message| {
            let rejected = match pmip::read(message) {
                Ok((kind, report)) => self.file_report(header, &message.reference, kind, &report).err(),
                Err(error) => Some(error.to_string()),
            };
            MessageVerdict { reference: message.reference.clone(), rejected }
        });
        let verdicts: Vec<MessageVerdict> = verdicts.collect();
        header.acknowledgement_requested.then(|| NhsAck::of_messages(header, verdicts))
    }

    fn file_report(
        &self,
        header: &Header,
        reference: &str,
        kind: Kind,
        report: &Report,
    ) -> Result<(), String> {
        let mut state = self.state();
        let number = &report.patient.nhs_number;
        if !state.registered.is_empty() && !state.registered.contains(number) {
            return Err("the patient is not registered here".to_owned());
        }
        let name =
            format!("{}/{}/{}/{reference}", header.sender, header.control_reference, header.prepared.0);
        if !state.seen.insert(name) {
            state.repeated += 1;
            return Ok(());
        }
        let kind = match kind {
            Kind::PathologyOlder | Kind::Pathology => "pathology",
            Kind::Screening => "screening",
            Kind::Radiology => "radiology",
        };
        let lines = report.investigations.iter().map(line).collect();
        let (at, number) = (self.clock.now(), number.clone());
        state.add(Filed { at, kind, number: report.id.clone(), nhs_number: number, lines });
        Ok(())
    }

    fn file_letter(&self, body: &[u8]) {
        let Ok(letter) = kettering::read(body) else { return };
        let mut state = self.state();
        if !state.seen.insert(letter.message_id.clone()) {
            state.repeated += 1;
            return;
        }
        state.add(Filed {
            at: self.clock.now(),
            kind: "letter",
            number: letter.report_id,
            nhs_number: letter.patient.nhs_number,
            lines: letter.texts.into_iter().map(|text| text.block).collect(),
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, filed: Filed) {
        self.filed.push_front(filed);
        self.filed.truncate(FILED_MAX);
    }
}

fn line(one: &pmip::Investigation) -> String {
    let value = match &one.value {
        Value::None => String::new(),
        Value::Numeric(value, comparator, unit) => format!("{comparator}{value} {unit}"),
        Value::Coded(code) => code.name.clone(),
    };
    let text = std::iter::once(one.code.name.clone())
        .chain([value, one.flag.clone()])
        .chain(one.text.iter().cloned())
        .filter(|part| !part.trim().is_empty());
    text.collect::<Vec<_>>().join(" ").trim().to_owned()
}
