//! The real programs on loopback: a hub and, where wanted, a centre, with simulated systems that send.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread::sleep,
    time::Duration,
};

use polygate::{
    sys::clock::{Clock, SystemClock},
    systems::simulator::{
        sender::Sender,
        traffic::{Traffic, Voice},
    },
};
use serde_json::Value;
use tokio::{runtime::Runtime, sync::watch, task::JoinSet, time::Instant};

use crate::support::program::{Program, lasting_port};

/// How long a program may take to do what it must; for a slow machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_millis(25);

const POLYGATE: &str = env!("CARGO_BIN_EXE_polygate");
const POLYCENTRE: &str = env!("CARGO_BIN_EXE_polycentre");

/// A hub's program, its configuration and its ports, which stay the same.
#[derive(Debug)]
pub struct HubProgram {
    program: Option<Program>,
    config: PathBuf,
    log: PathBuf,
    /// The RiO link.
    pub rio: SocketAddr,
    /// The hospital link.
    pub pas: SocketAddr,
}

impl HubProgram {
    /// Writes the configuration of the hub `soho` to `directory`, where its certificates are. `broker` is a
    /// port; `journal` are lines for `[journal]`.
    pub fn prepare(directory: &Path, state: &Path, broker: u16, journal: &str) -> Self {
        let [rio, pas] = [lasting_port(), lasting_port()];
        let config = directory.join(format!("hub-{rio}.toml"));
        let text = format!(
            "[hub]\nid = \"soho\"\nods = \"5LC01\"\nname = \"Soho polyclinic\"\nstate = \"{}\"\n\n\
             [centre]\nbroker = \"mqtts://localhost:{broker}\"\nca = \"ca.pem\"\n\
             certificate = \"soho.pem\"\nkey = \"soho.key\"\n\n[journal]\n{journal}\n\n\
             [[rio]]\nname = \"rio\"\nlisten = \"127.0.0.1:{rio}\"\n\n\
             [[secondary-care]]\nname = \"pas\"\nlisten = \"127.0.0.1:{pas}\"\n",
            state.display(),
        );
        fs::write(&config, text).unwrap();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log = directory.join("hub.log");
        Self { program: None, config, log, rio: at(rio), pas: at(pas) }
    }

    /// Starts it, without waiting.
    pub fn start(&mut self) {
        assert!(self.program.is_none());
        let config = self.config.display().to_string();
        self.program = Some(Program::start(Path::new(POLYGATE), &["run", "--config", &config], &self.log));
    }

    /// Starts it, and returns once it listens.
    pub fn start_and_wait(&mut self) {
        self.start();
        let what = format!("the hub listens; {}", self.log.display());
        until(&what, || {
            assert!(self.program.as_mut().is_some_and(Program::runs), "the hub ended: {}", self.said());
            [self.rio, self.pas].iter().all(|address| TcpStream::connect(address).is_ok())
        });
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        self.program.take().unwrap().kill9();
    }

    /// Sends a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        signal(self.program.as_ref().unwrap(), name);
    }

    /// Whether it runs; false if it has ended of itself.
    pub fn runs(&mut self) -> bool {
        self.program.as_mut().is_some_and(Program::runs)
    }

    /// The last of what it has said.
    pub fn said(&self) -> String {
        tail(&self.log)
    }

    /// Everything it has said.
    pub fn said_all(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks the running hub; one JSON value for each line of the answer.
    pub fn ask(&self, command: &[&str]) -> Vec<Value> {
        let output = Command::new(POLYGATE)
            .args(command)
            .arg("--json")
            .arg("--config")
            .arg(&self.config)
            .output()
            .unwrap();
        // `status` of a degraded hub exits with a code of its own, and answers all the same.
        let text = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        lines.unwrap_or_else(|error| panic!("{command:?}: {error}: {text} {complaint}"))
    }
}

/// A centre's program and its configuration.
#[derive(Debug)]
pub struct CentreProgram {
    program: Option<Program>,
    config: PathBuf,
    log: PathBuf,
}

impl CentreProgram {
    /// Writes the configuration of a centre with two workers; `store` is the line for `[store]`.
    pub fn prepare(directory: &Path, broker: u16, store: &str) -> Self {
        let config = directory.join("polycentre.toml");
        let text = format!(
            "[broker]\nurl = \"mqtts://localhost:{broker}\"\nca = \"ca.pem\"\ncertificate = \"centre.pem\"\n\
             key = \"centre.key\"\nworkers = 2\n\n[store]\n{store}\n"
        );
        fs::write(&config, text).unwrap();
        Self { program: None, config, log: directory.join("centre.log") }
    }

    /// Starts it, without waiting. One that ends of itself, because its database is away, is started again.
    pub fn start(&mut self) {
        if self.program.as_mut().is_some_and(Program::runs) {
            return;
        }
        let config = self.config.display().to_string();
        self.program =
            Some(Program::start(Path::new(POLYCENTRE), &["serve", "--config", &config], &self.log));
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        drop(self.program.take());
    }

    /// The last of what it has said.
    pub fn said(&self) -> String {
        tail(&self.log)
    }

    /// What the centre makes of a hub's audit trail.
    pub fn trail(&self, hub: &str) -> Value {
        let output = Command::new(POLYCENTRE)
            .args(["audit", "verify", "--hub", hub, "--json", "--config"])
            .arg(&self.config)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Where the centre has each message: for its system and control id, the epochs and numbers.
    pub fn entries(&self) -> BTreeMap<(String, String), Vec<(u64, u64)>> {
        let output = Command::new(POLYCENTRE)
            .args(["entries", "--json", "--config"])
            .arg(&self.config)
            .output()
            .unwrap();
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let place = [&entry["epoch"], &entry["seq"]].map(|number| number.as_u64().unwrap());
            places.entry((text("system"), text("source_id"))).or_default().push(place.into());
        }
        places
    }
}

/// Messages that were answered AA: system and control id.
pub type Accepted = Arc<Mutex<BTreeSet<(String, String)>>>;

/// Simulated systems that send without a pause, each message until it is accepted.
#[derive(Debug)]
pub struct Load {
    runtime: Runtime,
    senders: JoinSet<u64>,
    stop: watch::Sender<bool>,
    /// What was accepted so far.
    pub accepted: Accepted,
}

impl Load {
    /// Two senders for each of the hub's two links; `prefix` begins every control id.
    pub fn start(hub: &HubProgram, prefix: &str, seed: u64, pause: Duration) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut load = Self {
            runtime,
            senders: JoinSet::new(),
            stop: watch::Sender::new(false),
            accepted: Accepted::default(),
        };
        for number in 0..4_u64 {
            let (system, voice, address) = match number % 2 {
                0 => ("rio", Voice::Rio, hub.rio),
                _ => ("pas", Voice::SecondaryCare, hub.pas),
            };
            let mut traffic = Traffic::new(voice, &format!("{prefix}{number}-"), 200, seed * 4 + number);
            let (accepted, stop) = (Arc::clone(&load.accepted), load.stop.subscribe());
            let sending = async move {
                let mut sender = Sender::new(address);
                while !*stop.borrow() {
                    let message = traffic.next(SystemClock.now());
                    sender.deliver(&message.control_id, &message.bytes).await;
                    accepted.lock().unwrap().insert((system.to_owned(), message.control_id));
                    tokio::time::sleep(pause).await;
                }
                sender.repeats
            };
            load.senders.spawn_on(sending, load.runtime.handle());
        }
        load
    }

    /// What is accepted by now.
    pub fn accepted_now(&self) -> BTreeSet<(String, String)> {
        self.accepted.lock().unwrap().clone()
    }

    /// Lets every sender finish its message; returns how often one had to repeat.
    pub fn finish(&mut self) -> u64 {
        self.stop.send_replace(true);
        let senders = std::mem::take(&mut self.senders);
        let all = async { tokio::time::timeout(PATIENCE, senders.join_all()).await };
        self.runtime.block_on(all).expect("a message is never accepted").into_iter().sum()
    }
}

/// Waits until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(LOOK_EVERY);
    }
}

fn signal(program: &Program, name: &str) {
    let done = Command::new("kill").arg(format!("-{name}")).arg(program.id().to_string()).status().unwrap();
    assert!(done.success());
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
