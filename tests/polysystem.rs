//! The whole of it from outside: the programs as their users run them.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use support::program::{Program, lasting_port};
use tokio::time::Instant;

fn polygate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_polygate")).args(arguments).output().unwrap()
}

fn polycentre(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_polycentre")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("polygate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn the_demonstration_loses_and_doubles_nothing_through_an_outage() {
    let output = polygate(&["demo", "--headless", "--seconds", "6"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}"));
    assert!(100 < number("accepted"), "{summary}");
    assert_eq!(number("at_centre"), number("accepted"), "{summary}");
    assert_eq!((number("lost"), number("duplicates")), (0, 0), "{summary}");
    assert!(10 < number("queued_max"), "the outage was none: {summary}");
    assert!(summary["outage_seconds"].is_number() && summary["drain_seconds"].is_number());
}

#[test]
fn init_writes_what_check_accepts() {
    let folder = Folder::new("init");
    let directory = folder.path("etc");
    let output = polygate(&["init", &directory, "--hub", "north"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let config = text(&output.stdout).trim().to_owned();
    assert_eq!(polygate(&["check", "--config", &config]).status.code(), Some(0));
    assert_eq!(
        polygate(&["init", &directory, "--hub", "north"]).status.code(),
        Some(6),
        "it is there already"
    );
}

#[test]
fn check_names_each_fault_with_its_place() {
    let folder = Folder::new("check");
    let path = folder.path("polygate.toml");
    std::fs::write(&path, "[hub]\nid = \"No\"\n[centre]\nbroker = \"x\"\nwrong = 1\n").unwrap();
    let output = polygate(&["check", "--config", &path]);
    assert_eq!(output.status.code(), Some(2));
    let faults = text(&output.stderr);
    assert!(faults.contains(&format!("{path}:2:6: ")), "{faults}");
    assert!(faults.contains(&format!("{path}:5:1: ")), "{faults}");
    assert_eq!(polygate(&["check", "--config", &folder.path("none")]).status.code(), Some(2));
}

#[test]
fn a_hub_that_does_not_run_is_unreachable_and_nonsense_is_usage() {
    let folder = Folder::new("unreachable");
    let socket = folder.path("none.sock");
    let output = polygate(&["status", "--socket", &socket]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("systemctl status"), "{}", text(&output.stderr));
    assert_eq!(polygate(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(polygate(&["--version"]).status.code(), Some(0));
    assert_eq!(polycentre(&["serve", "--config", &socket]).status.code(), Some(2));
}

#[test]
fn certificates_are_issued_where_the_contract_says() {
    let folder = Folder::new("pki");
    let pki = folder.path("pki");
    for arguments in [
        vec!["pki", "init", &pki],
        vec!["pki", "issue", &pki, "--hub", "north"],
        vec!["pki", "issue", &pki, "--centre"],
        vec!["pki", "issue", &pki, "--broker", "broker.example"],
    ] {
        let output = polycentre(&arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    }
    for name in
        ["ca.pem", "ca.key", "north.pem", "north.key", "centre.pem", "centre.key", "broker.pem", "broker.key"]
    {
        assert!(Path::new(&pki).join(name).is_file(), "{name}");
    }
    assert_ne!(
        polycentre(&["pki", "issue", &pki, "--hub", "north"]).status.code(),
        Some(0),
        "it is there already"
    );
}

/// How long the hub may take to start, and to take something into its record view.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hub with RiO's and a hospital's link, and how to operate it.
struct RunningHub {
    directory: support::Directory,
    _program: Program,
    rio: u16,
    pas: u16,
}

impl RunningHub {
    fn start() -> Self {
        let directory = support::Directory::new();
        support::issue_all(directory.path(), &["soho"]);
        let (rio, pas) = (lasting_port(), lasting_port());
        let config = format!(
            "[hub]\nid = \"soho\"\nods = \"5LC01\"\nname = \"Soho polyclinic\"\nstate = \"state\"\n\n\
             [centre]\nbroker = \"mqtts://localhost:{}\"\nca = \"ca.pem\"\ncertificate = \"soho.pem\"\nkey = \"soho.key\"\n\n\
             [journal]\ncapacity-mib = 64\nfloor-mib = 0\n\n[[rio]]\nname = \"rio\"\nlisten = \"127.0.0.1:{rio}\"\n\n\
             [[secondary-care]]\nname = \"pas\"\nlisten = \"127.0.0.1:{pas}\"\n",
            lasting_port(),
        );
        std::fs::write(directory.path().join("hub.toml"), config).unwrap();
        let path = directory.path().join("hub.toml").display().to_string();
        let log = directory.path().join("hub.log");
        let program =
            Program::start(Path::new(env!("CARGO_BIN_EXE_polygate")), &["run", "--config", &path], &log);
        let hub = Self { directory, _program: program, rio, pas };
        hub.until("it listens", || {
            [rio, pas].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()).then_some(())
        });
        hub
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("hub.log")).unwrap()
    }

    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Runs a command; what ended it, and all it said.
    fn operate(&self, command: &[&str]) -> (i32, String) {
        let config = self.directory.path().join("hub.toml").display().to_string();
        let output = polygate(&[command, &["--config", &config]].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }

    fn json(&self, command: &[&str]) -> serde_json::Value {
        let (exit, said) = self.operate(&[command, &["--json"]].concat());
        assert_eq!(exit, 0, "{command:?}: {said}");
        serde_json::from_str(&said).unwrap()
    }
}

/// Sends a message over MLLP; it is acknowledged once it is durable.
fn send(port: u16, segments: &[&str]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("\u{b}{}\r\u{1c}\r", segments.join("\r")).as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x1c\r") {
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "closed without an answer");
        answer.extend_from_slice(&chunk[..count]);
    }
    assert!(text(&answer).contains("MSA|AA|"), "{}", text(&answer));
}

/// Two systems' persons with one number that nobody has verified: twins, as far as the hub can tell.
fn two_in_doubt(hub: &RunningHub) {
    let patient = |local: &str, given: &str| {
        format!(
            "PID|1||{local}~9990000018^^^NHS^NH||Canaryname^{given}||19710203|F|||1 High Street^^LONDON^^W1A 1AA"
        )
    };
    let head = "MSH|^~\\&|RIO|RV5|POLYGATE|5LC01|20260105101500||ADT^A31^ADT_A05|M1|P|2.4";
    let event = "EVN|A31|20260105101500||||20260105101500";
    send(hub.rio, &[head, event, &patient("H7001^^^RV5^MR", "Canaryada")]);
    let head = "MSH|^~\\&|PAS|RQ6|POLYGATE|5LC01|20260105101600||ORU^R01|M2|P|2.4";
    let report = "OBR|1|P1|F1|UE^Urea and electrolytes^L|||20260105093000";
    let result = "OBX|1|NM|K^Canarypotassium^L||5.41|mmol/L|3.5-5.3|H|||F|||20260105093000";
    send(hub.pas, &[head, &patient("H7002^^^RQ6^MR", "Canarybob"), report, result]);
}

/// What must not be seen of them without a reason.
const CONTENT: [&str; 7] = ["99900", "999 000", "Canary", "CANARY", "H700", "19710203", "W1A"];
/// Of this too; in a log, so few digits may be a moment's.
const RESULT: &str = "5.41";

#[test]
fn people_decide_who_is_who_and_see_content_only_with_a_reason() {
    let hub = RunningHub::start();
    two_in_doubt(&hub);
    let case = hub.until("there is a case", || {
        let (exit, said) = hub.operate(&["match", "list", "--json"]);
        if exit != 0 || said.contains("nothing is") || said.trim().is_empty() {
            return None;
        }
        serde_json::from_str::<serde_json::Value>(&said).ok()
    });
    let id = case["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&case["persons"], &case["holders"]),
        (&serde_json::json!(["pas"]), &serde_json::json!(["rio"]))
    );

    let spaced = ["999", "000", "0018"];
    let of_one = hub.json(&[&["record", "show"][..], &spaced].concat());
    let systems = |record: &serde_json::Value| record["sections"][0]["items"].clone();
    assert_eq!(systems(&of_one), 1, "the other is kept apart: {of_one}");
    assert_eq!(of_one["notes"][0]["code"], "not-linked", "and the reader is told: {of_one}");
    for command in [
        &["match", "list"][..],
        &["match", "list", "--json"],
        &["match", "show", &id],
        &["match", "show", &id, "--json"],
        &["record", "show", "9990000018"],
        &["record", "show", "9990000018", "--json"],
        &["record", "show", "999 000 0018", "--kind", "result"],
    ] {
        let (exit, said) = hub.operate(command);
        assert_eq!(exit, 0, "{command:?}: {said}");
        for content in CONTENT.iter().chain([&RESULT]) {
            assert!(!said.contains(content), "{content} by {command:?}: {said}");
        }
    }
    for (command, exit) in [
        (&["record", "show", "9990000019"][..], 2),
        (&["record", "show", "99900000181"], 2),
        (&["record", "show", "9990000018", "--reveal", " "], 2),
        (&["record", "show", "9990000026"], 1),
        (&["match", "link", "ffffffffffffffff", "--reason", "a test"], 1),
        (&["match", "link", &id], 2),
    ] {
        let (ended, said) = hub.operate(command);
        assert_eq!(ended, exit, "{command:?}: {said}");
        assert!(!said.contains("99900000"), "{said}");
    }

    let (exit, said) = hub.operate(&["match", "link", &id, "--reason", "both spoke to the Canaryname ward"]);
    assert_eq!(exit, 0, "{said}");
    let record = hub.until("they are one", || {
        let record = hub.json(&["record", "show", "9990000018"]);
        (systems(&record) == 2).then_some(record)
    });
    assert_eq!(record["content"], serde_json::Value::Null);
    let differs = serde_json::json!([{"about": "given-name", "count": 1, "systems": ["pas", "rio"]}]);
    assert_eq!(record["disputes"], differs);
    assert_eq!(record["sections"][1]["kind"], "result");
    assert_eq!(hub.operate(&["match", "list"]), (0, "nothing is to be decided\n".to_owned()));
    let (exit, said) = hub.operate(&["record", "purge", "9990000018", "--reason", "ticket 4712"]);
    assert_eq!((exit, said.as_str()), (0, "no answers about this patient were kept\n"));
    let log = hub.log();
    assert!(log.contains("people decided who is who") && log.contains("ticket 4712"), "{log}");
    for content in CONTENT {
        assert!(!log.contains(content), "{content} in the log: {log}");
    }

    let (exit, said) = hub.operate(&["record", "show", "9990000018", "--reveal", "ticket 4711"]);
    assert_eq!(exit, 0, "{said}");
    for content in ["999 000 0018", "Canaryada", "Canarybob", "Canarypotassium", RESULT] {
        assert!(said.contains(content), "{content}: {said}");
    }
    let log = hub.log();
    assert!(log.lines().any(|line| line.contains("ticket 4711") && line.contains("uid ")), "{log}");
    for content in CONTENT {
        assert!(!log.contains(content), "{content} in the log: {log}");
    }
}
