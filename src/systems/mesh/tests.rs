//! Tests of a mailbox and of deliveries, against the simulated server and practice.

mod delivering;
mod receiving;

use std::{net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{net::TcpListener, sync::watch};

use super::{incoming::Opened, *};
use crate::{
    codec::{cbor, edifact::nhsack::Verdict, gzip, hl7v2},
    domain::{
        entry::Entry,
        ids::Class,
        nhs_number::NhsNumber,
        record::{Event, FieldChange, ItemChange, ItemKind},
    },
    flow::{
        alarm::AlarmCode,
        deliver::{Answer, Destination, Parcel},
        hub::{Hub, Identity, Parts},
        operate::{MessageFilter, Operate},
    },
    journal::{Journal, Log, LogReader, Options, PAYLOAD_BYTES_MAX, Position},
    sys::{
        clock::SimulatedClock,
        entropy::Entropy,
        http::{HttpClient, HttpLimits, HttpUrl},
        sim_disk::{Fault, FaultKind, SimulatedDisk},
    },
    systems::{
        hl7, secondary_care,
        simulator::{
            mesh::{
                MeshServer,
                laboratory::Laboratory,
                practice::SimulatedPractice,
                serve,
                store::{Standing, Stored},
            },
            people::Person,
        },
    },
};

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const DAY_MS: i64 = 24 * 3600 * 1000;
const HUB: &str = "X26HC001";
const LAB: &str = "RQ6OT001";
const PRACTICE: &str = "E87001OT001";

#[test]
fn londons_clocks_are_what_edifact_means() {
    for (moment, shown) in [
        (1_768_469_400_000, "2026-01-15T09:30:00"),
        (1_784_104_200_250, "2026-07-15T09:30:00"),
        (1_774_746_000_000, "2026-03-29T02:00:00"),
        (1_792_890_000_000, "2026-10-25T01:00:00"),
    ] {
        assert_eq!(local_time(Timestamp(moment)), shown);
    }
}

/// A hub, a server with three mailboxes, and what is in them.
struct Stage {
    hub: Arc<Hub>,
    journal: Journal,
    disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    server: Arc<MeshServer>,
    mailbox: Arc<Mailbox>,
    url: HttpUrl,
    _stop: watch::Sender<bool>,
}

fn credentials(mailbox: &str) -> Credentials {
    Credentials {
        mailbox: mailbox.to_owned(),
        password: format!("of {mailbox}"),
        shared_key: "key".to_owned(),
    }
}

impl Stage {
    async fn new() -> Self {
        let disk = SimulatedDisk::default();
        let options =
            Options { capacity_bytes: 256 << 20, floor_bytes: 0, ballast_bytes: 4096, ..Options::default() };
        let directory = Path::new("/state/journal");
        let log =
            Log::open(Arc::new(disk.clone()), directory, options, NOW, Entropy::from_seed(1)).unwrap().0;
        let clock = Arc::new(SimulatedClock::new(NOW));
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let identity =
            Identity { id: "soho".parse().unwrap(), ods: "5LC01".to_owned(), name: "Soho".to_owned() };
        let parts = Parts {
            identity,
            journal: journal.clone(),
            clock: Arc::clone(&clock) as _,
            disk: Arc::new(disk.clone()),
            translate: crate::systems::translate_entry,
        };
        let hub = Hub::new(parts, Path::new("/state"), "nowhere").unwrap();
        let server = MeshServer::new(Arc::clone(&clock) as _, [HUB, LAB, PRACTICE].map(credentials));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/messageexchange", listener.local_addr().unwrap());
        let url = HttpUrl::parse(&url).unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, Arc::clone(&server), stopped));
        let mut stage = Self {
            mailbox: open(&hub, &disk, &url, &clock),
            hub,
            journal,
            disk,
            clock,
            server,
            url,
            _stop: stop,
        };
        stage.restart();
        stage
    }

    /// The mailbox as it is after the hub was started again.
    fn restart(&mut self) {
        self.mailbox = open(&self.hub, &self.disk, &self.url, &self.clock);
    }

    fn client(&self, mailbox: &str) -> MeshClient {
        client(&self.url, mailbox, &self.clock)
    }

    async fn look(&self) {
        self.mailbox.look().await.unwrap();
    }

    /// Puts bytes into the hub's mailbox as the laboratory would.
    fn arrives(&self, workflow: &str, body: impl Into<Bytes>) -> String {
        self.server.put(Stored::new(LAB, HUB, workflow, "", body.into()))
    }

    fn is_acknowledged(&self, id: &str) -> bool {
        self.server.get(id).unwrap().standing == Standing::Acknowledged
    }

    fn entries(&self) -> Vec<Entry> {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), Position::default());
        let chunk = reader.read(64 << 20, 1000).unwrap();
        chunk.records.iter().map(|record| cbor::decode(&record.payload, PAYLOAD_BYTES_MAX).unwrap()).collect()
    }

    fn quarantined(&self) -> Vec<String> {
        let filter = MessageFilter { quarantined: true, limit: 1000, ..MessageFilter::default() };
        self.hub.find_messages(filter).unwrap().into_iter().map(|found| found.reason).collect()
    }

    /// What the laboratory's mailbox was sent.
    async fn answers(&self) -> Vec<crate::codec::edifact::nhsack::NhsAck> {
        let lab = self.client(LAB);
        let mut found = Vec::new();
        for id in lab.inbox().await.unwrap() {
            let message = lab.get(&id).await.unwrap().unwrap();
            let segments = crate::codec::edifact::Segments::of(&message.body).unwrap();
            let interchange = crate::codec::edifact::Interchange::of(&segments).unwrap();
            found.extend(crate::codec::edifact::nhsack::read_all(&interchange));
        }
        found
    }

    fn practice(&self) -> Arc<SimulatedPractice> {
        SimulatedPractice::new(self.client(PRACTICE), Arc::clone(&self.clock) as _, Duration::from_millis(20))
    }

    fn delivery(&self, patience: Duration) -> PracticeDelivery {
        let options = PracticeOptions::new(PRACTICE, "E87001", HUB, ("5LC01", "Soho polyclinic"));
        PracticeDelivery::new(Arc::clone(&self.mailbox), PracticeOptions { patience, ..options })
    }

    fn alarms(&self) -> Vec<AlarmCode> {
        self.hub.alarms().standing().into_iter().map(|alarm| alarm.code).collect()
    }
}

fn client(url: &HttpUrl, mailbox: &str, clock: &Arc<SimulatedClock>) -> MeshClient {
    let http = HttpClient::new(url.clone(), None, HttpLimits::default());
    MeshClient::new(http, credentials(mailbox), Arc::clone(clock) as _)
}

fn open(hub: &Arc<Hub>, disk: &SimulatedDisk, url: &HttpUrl, clock: &Arc<SimulatedClock>) -> Arc<Mailbox> {
    let ledger = Ledger::open(Arc::new(disk.clone()), Path::new("/state/mesh.json").to_owned()).unwrap();
    let link = hub.add_link("mesh", "MESH", "");
    Mailbox::new(Arc::clone(hub), link, client(url, HUB, clock), ledger, MailboxOptions::default())
}

fn report(number: u64) -> Bytes {
    let mut laboratory = Laboratory::new("800000000000001", "800000000000002", 7);
    let mut last = Bytes::new();
    for person in 0..=number {
        last = laboratory.report(&Person::of(person), "E87001", NOW);
    }
    last
}

const WORKFLOW: &str = "PATH_MEDRPT_V3";
