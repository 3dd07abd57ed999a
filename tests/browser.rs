//! The portal in Chromium, as the people who use it walk through it: each page on the way held to the rules of access
//! (axe-core), of HTML (html-validate), and to what must not be given away.
//!
//! `tests/browser/walk.py` does the walking, over the demonstration with all its systems.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test tells by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use support::{
    Directory, counted,
    peers::python,
    program::{Program, find},
    skipped,
};

/// The demonstration's portals are there within so many looks (two minutes) on a loaded machine.
const LOOKS: u32 = 1_200;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where axe-core and html-validate are; none, and said so, where they cannot be had.
fn rules() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/prepare");
    let prepared =
        Command::new(prepare).env("CARGO_TARGET_DIR", target).stdin(Stdio::null()).output().unwrap();
    if prepared.status.success() {
        return Some(target.join("browser/node_modules"));
    }
    let complaint =
        String::from_utf8_lossy(&prepared.stderr).trim().lines().last().unwrap_or_default().to_owned();
    skipped(&format!("the Node packages that pages are held to cannot be had: {complaint}"));
    None
}

/// The demonstration, and where the first hub's portal is.
fn demonstration(directory: &Directory) -> (Program, String) {
    let log = directory.path().join("demonstration.log");
    let temporary = format!("TMPDIR={}", directory.path().display());
    let arguments = [temporary.as_str(), env!("CARGO_BIN_EXE_polygate"), "demo", "--port", "0"];
    let program = Program::start(&find("env").unwrap(), &arguments, &log);
    let mut said = String::new();
    for _ in 0..LOOKS {
        said = fs::read_to_string(&log).unwrap();
        let portals = said.split_once("The portals").map(|(_, after)| after);
        let address =
            portals.and_then(|after| after.split_whitespace().find(|word| word.starts_with("http://")));
        // All of its words are there once it says how to end.
        if let (Some(address), true) = (address, said.contains("Ctrl-C")) {
            return (program, address.to_owned());
        }
        sleep(LOOK_EVERY);
    }
    panic!("the demonstration does not start: {said}");
}

/// Holds the pages that were seen to the rules of HTML.
fn validate(packages: &Path, pages: &Path) {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/html-validate.json");
    let output = Command::new(find("node").unwrap())
        .arg(packages.join("html-validate/bin/html-validate.mjs"))
        .args([Path::new("--config"), &configuration, pages])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "html-validate: {said}");
}

#[test]
fn people_walk_through_the_portal() {
    let Some(chromium) = find("chromium") else { return skipped("Chromium is not installed") };
    if find("npm").is_none() {
        return skipped("npm is not installed");
    }
    let (Some(packages), Some(python)) = (rules(), python(&["playwright==1.65.2"])) else { return };
    let directory = Directory::new();
    let (_demonstration, desk) = demonstration(&directory);
    let pages = directory.path().join("pages");
    let mut walk = Command::new(python);
    walk.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/walk.py"));
    walk.args(["--desk", &desk, "--chromium"]).arg(chromium);
    walk.arg("--axe").arg(packages.join("axe-core/axe.min.js")).arg("--pages").arg(&pages);
    if let Some(pictures) = std::env::var_os("POLYGATE_SCREENSHOTS") {
        walk.arg("--screenshots").arg(pictures);
    }
    let output = walk.env("TMPDIR", directory.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    validate(&packages, &pages);
    counted(&format!("Chromium: {}", said.trim().lines().last().unwrap_or_default()));
}
