//! Independent peers, written in Python: programs that speak our protocols and share no code with us.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::skipped;

const PREPARE: &str = "tests/peers/prepare";
const REQUIREMENTS: &str = "tests/peers/requirements.txt";

/// A Python that has these packages, each written `name==version` as in `tests/peers/requirements.txt`; none,
/// and said so, where there is no Python or where its packages cannot be had. All tests share one environment.
pub fn python(requirements: &[&str]) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_to_string(root.join(REQUIREMENTS)).unwrap();
    for requirement in requirements {
        assert!(listed.lines().any(|line| line == *requirement), "{requirement} is not in {REQUIREMENTS}");
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let prepared =
        Command::new(root.join(PREPARE)).env("CARGO_TARGET_DIR", target).stdin(Stdio::null()).output();
    let why = match prepared {
        Ok(output) if output.status.success() => return Some(target.join("peers/venv/bin/python")),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let why = why.trim().lines().last().unwrap_or_default().to_owned();
    skipped(&format!("the Python packages of the independent peers cannot be had: {why}"));
    None
}

/// Runs a script of `tests/peers` to its end: a value goes in and a value comes out.
pub fn ask(python: &Path, script: &str, arguments: &[&str], request: &Value) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let mut child = Command::new(python)
        .arg("-B")
        .arg(path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The scripts read everything before they say anything.
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{script}: {error}: {complaint}"))
}
