//! A trail over a simulated disk, for the tests of whatever puts deeds on record.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{
    Audit, Options, Parts, Report, Verification, key::FileSigner, log::Log, opening::Acknowledged,
    shared::Shared, verify,
};
use crate::{
    access::audit::{Checkpoint, Line, Outcome, Signer},
    domain::{ids::HubId, nhs_number::NhsNumber, time::Timestamp},
    sys::{
        clock::{Clock, SimulatedClock},
        counter::{Counted, Counter},
        disk::Disk,
        signing::{self, FileKey},
        sim_disk::SimulatedDisk,
    },
};

/// Wednesday, 18 November 2026, 11:06:40 in London.
pub const NOW: Timestamp = Timestamp(1_795_000_000_000);
/// Where the trail is.
pub const FOLDER: &str = "/state/audit";

/// A counter outside the disk, as a TPM's would be.
#[derive(Debug, Default)]
pub struct Outside(pub Mutex<Option<u64>>);

impl Counter for Outside {
    fn read(&self) -> io::Result<Counted> {
        Ok(self.0.lock().unwrap().map_or(Counted::Missing, Counted::Number))
    }

    fn set(&self, number: u64) -> io::Result<()> {
        *self.0.lock().unwrap() = Some(number);
        Ok(())
    }
}

/// A trail with what it stands on.
pub struct Bench {
    /// Whose.
    pub hub: HubId,
    /// Its disk.
    pub disk: SimulatedDisk,
    /// Its clock.
    pub clock: Arc<SimulatedClock>,
    /// What counts its starts.
    pub counter: Arc<Outside>,
    /// What signs.
    pub signer: Arc<dyn Signer>,
    /// How it uses the disk.
    pub options: Options,
}

impl Bench {
    /// An empty one.
    pub fn new(hub: &str) -> Self {
        Self {
            hub: hub.parse().unwrap(),
            disk: SimulatedDisk::default(),
            clock: Arc::new(SimulatedClock::new(NOW)),
            counter: Arc::default(),
            signer: Arc::new(FileSigner::new(FileKey::fleeting().unwrap())),
            options: Options { segment_bytes: 64 << 10, ballast_bytes: 256 << 10, floor_bytes: 64 << 10 },
        }
    }

    /// What it is made of.
    pub fn parts(&self) -> Parts {
        let signer = Arc::clone(&self.signer);
        Parts {
            hub: self.hub.clone(),
            organisation: "5LC01".to_owned(),
            disk: Arc::new(self.disk.clone()),
            directory: PathBuf::from(FOLDER),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            counter: Arc::clone(&self.counter) as Arc<dyn Counter>,
            signer: Box::new(move || Ok(Arc::clone(&signer))),
            verify: signing::verify,
            options: self.options,
        }
    }

    /// Its handle, running.
    pub fn start(&self) -> Audit {
        Audit::start(self.parts()).unwrap()
    }

    /// The log alone, without its thread.
    pub(super) fn open(&self, acknowledged: Option<Acknowledged>) -> io::Result<Log> {
        let parts = Arc::new(self.parts());
        let shared =
            Arc::new(Shared::new(parts.hub.clone(), Arc::clone(&parts.disk), parts.directory.clone()));
        Log::open(&parts, &shared, acknowledged)
    }

    /// All of it verified.
    pub fn verify(&self, anchors: &[Checkpoint]) -> Report {
        verify_disk(&self.disk, Path::new(FOLDER), &self.hub, self.signer.key(), anchors)
    }

    /// The disk as it is now, with its own counter and clock.
    #[must_use]
    pub fn copy(&self, disk: SimulatedDisk) -> Self {
        Self {
            hub: self.hub.clone(),
            disk,
            clock: Arc::new(SimulatedClock::new(NOW)),
            counter: Arc::new(Outside(Mutex::new(*self.counter.0.lock().unwrap()))),
            signer: Arc::clone(&self.signer),
            options: self.options,
        }
    }
}

/// The trail on a disk verified.
pub fn verify_disk(
    disk: &dyn Disk,
    directory: &Path,
    hub: &HubId,
    key: &crate::access::audit::VerifyingKey,
    anchors: &[Checkpoint],
) -> Report {
    let what = Verification { disk, directory, hub, key, verify: signing::verify, anchors, until: None };
    verify::verify(&what).unwrap()
}

/// One of four people.
pub fn patient(number: usize) -> NhsNumber {
    let digits = ["9990000018", "9990000026", "9990000034", "9990000042"];
    NhsNumber::parse(digits[number % digits.len()]).unwrap()
}

/// A line that tells itself from others.
pub fn line(number: usize) -> Line {
    Line {
        at: NOW,
        user: format!("user-{}", number % 7),
        name: "Amara Okafor".to_owned(),
        roles: "clinician".to_owned(),
        deed: "record.view".to_owned(),
        outcome: Outcome::Done,
        patient: Some(patient(number)),
        handle: format!("p-{number}"),
        reason: "she is here".to_owned(),
        ..Line::default()
    }
}
