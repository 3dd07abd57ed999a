//! What several integration tests need: a private directory, certificates, and brokers good and bad.
#![allow(dead_code, reason = "each test file uses a part of this module")]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test tells by panicking")]

pub mod bars_desk;
pub mod canned;
pub mod fake_broker;
pub mod hub;
pub mod mosquitto;
pub mod peers;
#[cfg(feature = "centre")]
pub mod postgres;
pub mod practice;
pub mod program;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

#[cfg(feature = "centre")]
use polygate::centre::pki::{self, Issue};
use polygate::{
    domain::{ids::HubId, time::Timestamp},
    sys::{
        clock::{Clock, SystemClock},
        tls::ClientFiles,
    },
};

/// A directory of this test's own, removed at the end.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("polygate-test-{}-{number}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Says that a test, or a part of it, cannot run here. The test runner may hide what tests print, so the reason
/// also goes to the file that `POLYGATE_SKIPPED` names; `tests/run` shows it at the end.
pub fn skipped(reason: &str) {
    told(&format!("skipped: {reason}"));
}

/// Says what a test has counted; `tests/run` shows it at the end.
pub fn counted(counts: &str) {
    told(&format!("counted: {counts}"));
}

fn told(line: &str) {
    use std::io::Write;
    println!("{line}");
    let Some(path) = std::env::var_os("POLYGATE_SKIPPED") else { return };
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// Now, by the machine's clock.
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// A hub's id.
pub fn hub(id: &str) -> HubId {
    id.parse().unwrap()
}

/// An authority in `directory` with certificates for a broker on loopback, the centre, and these hubs.
#[cfg(feature = "centre")]
pub fn issue_all(directory: &Path, hubs: &[&str]) {
    pki::init(directory, now()).unwrap();
    pki::issue_broker(directory, &[], true, Issue::new(now())).unwrap();
    pki::issue_centre(directory, Issue::new(now())).unwrap();
    for id in hubs {
        pki::issue_hub(directory, &hub(id), Issue::new(now())).unwrap();
    }
}

/// The files of whoever is called `name`.
pub fn files(directory: &Path, name: &str) -> ClientFiles {
    ClientFiles {
        ca: directory.join("ca.pem"),
        certificate: directory.join(format!("{name}.pem")),
        key: directory.join(format!("{name}.key")),
        revocation_list: None,
    }
}
