//! A hub inside the test, on a simulated disk, with a clock that stands still.

use std::{path::Path, sync::Arc};

use bytes::BytesMut;
use polygate::{
    codec::{
        cbor,
        mllp::{Deframer, Frame},
    },
    domain::{entry::Entry, time::Timestamp},
    flow::{
        hub::{Hub, Identity, Parts},
        link::Link,
        operate::{FoundMessage, MessageFilter, Operate},
    },
    journal::{Journal, Log, LogReader, Options, PAYLOAD_BYTES_MAX, Position},
    sys::{clock::SimulatedClock, entropy::Entropy, sim_disk::SimulatedDisk},
    systems::{
        hl7::{Dialect, respond},
        translate_entry,
    },
};

const STATE: &str = "/state";

/// Wednesday, 18 November 2026, 11:06:40 in London.
pub const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// A hub on a simulated disk.
pub struct InnerHub {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Its clock.
    pub clock: Arc<SimulatedClock>,
    /// Its disk.
    pub disk: SimulatedDisk,
    journal: Journal,
    answers: u64,
}

impl InnerHub {
    /// An empty one, on an empty disk, at [`NOW`].
    pub fn start() -> Self {
        let disk = SimulatedDisk::default();
        let directory = Path::new(STATE).join("journal");
        // Small, for a disk that is memory.
        let options =
            Options { capacity_bytes: 256 << 20, floor_bytes: 0, ballast_bytes: 4096, ..Options::default() };
        let disk_of_log = Arc::new(disk.clone());
        let (log, _) = Log::open(disk_of_log, &directory, options, NOW, Entropy::from_seed(1)).unwrap();
        let clock = Arc::new(SimulatedClock::new(NOW));
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let identity =
            Identity { id: "soho".parse().unwrap(), ods: "5LC01".to_owned(), name: "Soho".to_owned() };
        let parts = Parts {
            identity,
            journal: journal.clone(),
            clock: Arc::clone(&clock) as _,
            disk: Arc::new(disk.clone()),
            translate: translate_entry,
        };
        let hub = Hub::new(parts, Path::new(STATE), "nowhere").unwrap();
        Self { hub, clock, disk, journal, answers: 0 }
    }

    /// Adds a link.
    pub fn link(&self, name: &str) -> Arc<Link> {
        self.hub.add_link(name, "test", "")
    }

    /// What a connection of an HL7 v2 system is answered for these bytes of its stream: one acknowledgement
    /// each, without its frame. The hub's own control ids count from 1.
    pub async fn answer_hl7(&mut self, link: &Link, dialect: &Dialect, stream: &[u8]) -> Vec<Vec<u8>> {
        let mut deframer = Deframer::new(16 << 20);
        deframer.push(stream);
        let frames = std::iter::from_fn(|| deframer.next_frame()).collect();
        let mut out = BytesMut::new();
        let mut next_id = || {
            self.answers += 1;
            self.answers.to_string()
        };
        respond(&self.hub, link, dialect, frames, &mut next_id, &mut out).await;
        let mut answers = Deframer::new(1 << 20);
        answers.push(&out);
        let frames = std::iter::from_fn(|| answers.next_frame());
        frames
            .map(|frame| match frame {
                Frame::Message(bytes) => bytes.to_vec(),
                other => panic!("the answer is framed wrongly: {other:?}"),
            })
            .collect()
    }

    /// Every entry of its journal, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), Position::default());
        let mut entries = Vec::new();
        loop {
            let chunk = reader.read(64 << 20, 1000).unwrap();
            if chunk.records.is_empty() {
                return entries;
            }
            entries.extend(
                chunk.records.into_iter().map(|record| {
                    cbor::decode::<Entry>(&record.payload, PAYLOAD_BYTES_MAX).expect("an entry")
                }),
            );
        }
    }

    /// What it keeps aside because it could not be taken in.
    pub fn quarantined(&self) -> Vec<FoundMessage> {
        let filter = MessageFilter { quarantined: true, limit: 1000, ..MessageFilter::default() };
        self.hub.find_messages(filter).unwrap()
    }
}
