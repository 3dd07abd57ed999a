//! A hub inside the test, on a simulated disk, with one connection to it: bytes in, bytes out.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use polygate::{
    codec::{
        cbor,
        mllp::{Deframer, encode},
    },
    domain::{entry::Entry, time::Timestamp},
    flow::{
        hub::{Hub, Identity, Parts},
        link::Link,
    },
    journal::{Journal, Log, LogReader, Options, PAYLOAD_BYTES_MAX},
    sys::{clock::SimulatedClock, entropy::Entropy, sim_disk::SimulatedDisk},
    systems::{hl7::respond, secondary_care, simulator::traffic::Message, translate_entry},
};

/// Where the hub's state is on its disk.
pub const STATE: &str = "/state";
/// What its clock shows when it starts.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A hub on a simulated disk, and one connection to it.
pub struct Life {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Its journal.
    pub journal: Journal,
    link: Arc<Link>,
    clock: Arc<SimulatedClock>,
    answers: u64,
}

impl Life {
    /// Starts as the hub does: three attempts, then without what cannot be read.
    pub fn start(disk: &SimulatedDisk, options: &Options) -> Option<Self> {
        let directory = Path::new(STATE).join("journal");
        let open = |attempt| {
            let options = Options { salvage: attempt == 3, ..options.clone() };
            Log::open(Arc::new(disk.clone()), &directory, options, NOW, Entropy::from_seed(attempt)).ok()
        };
        let (log, _) = (0..4).find_map(open)?;
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
        let hub = Hub::new(parts, Path::new(STATE), "nowhere").ok()?;
        let link = hub.add_link("pas", "hospital", "");
        Some(Self { hub, journal, link, clock, answers: 0 })
    }

    /// Sets its clock so much later than [`NOW`].
    pub fn set_clock(&self, since: Duration) {
        self.clock.set(NOW.plus(since));
    }

    /// Sends messages in one piece; returns the names of those that were answered AA.
    pub async fn send(&mut self, messages: &[&Message]) -> Vec<String> {
        let mut wire = BytesMut::new();
        messages.iter().for_each(|message| encode(&message.bytes, &mut wire));
        let mut deframer = Deframer::new(1 << 20);
        deframer.push(&wire);
        let frames = std::iter::from_fn(|| deframer.next_frame()).collect();
        let mut out = BytesMut::new();
        let mut next_id = || {
            self.answers += 1;
            self.answers.to_string()
        };
        respond(&self.hub, &self.link, &secondary_care::DIALECT, frames, &mut next_id, &mut out).await;
        let text = String::from_utf8(out.to_vec()).unwrap();
        let answers: Vec<[&str; 2]> = text
            .split(['\r', '\u{b}'])
            .filter_map(|segment| segment.strip_prefix("MSA|"))
            .map(|fields| std::array::from_fn(|number| fields.split('|').nth(number).unwrap_or_default()))
            .collect();
        let names: Vec<&str> = messages.iter().map(|message| message.control_id.as_str()).collect();
        assert_eq!(
            answers.iter().map(|[_, name]| *name).collect::<Vec<_>>(),
            names,
            "one answer each, in order"
        );
        assert!(answers.iter().all(|[code, _]| ["AA", "AE"].contains(code)), "{answers:?}");
        answers.iter().filter(|[code, _]| *code == "AA").map(|[_, name]| (*name).to_owned()).collect()
    }
}

/// How often each message is in the journal.
pub fn contents(mut reader: LogReader) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    loop {
        let chunk = reader.read(1 << 20, 1000).unwrap();
        if chunk.records.is_empty() {
            return counts;
        }
        for record in chunk.records {
            let payload: Bytes = record.payload;
            let entry: Entry = cbor::decode(&payload, PAYLOAD_BYTES_MAX).unwrap();
            *counts.entry(entry.source_id).or_default() += 1;
        }
    }
}
