//! The whole of it from outside: the programs as their users run them.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

use std::process::{Command, Output};

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
        assert!(std::path::Path::new(&pki).join(name).is_file(), "{name}");
    }
    assert_ne!(
        polycentre(&["pki", "issue", &pki, "--hub", "north"]).status.code(),
        Some(0),
        "it is there already"
    );
}
