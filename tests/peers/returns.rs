//! Returns: Python's own XML parser and pandas read the files that tests/returns holds ours to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::support::{peers, skipped};

const REQUIREMENTS: [&str; 2] = ["numpy==2.4.6", "pandas==3.1.1"];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/returns/golden")
}

fn named(extension: &str) -> Vec<String> {
    let paths = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.display().to_string())
        .collect();
    found.sort();
    found
}

#[test]
fn interchanges_have_the_shape_of_the_published_sample() {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let root = std::env::var_os("POLYGATE_FIXTURES").map_or_else(here, PathBuf::from);
    let samples: Vec<String> = ["ecds_basic_report.xml", "ecds_empty_report.xml"]
        .map(|name| root.join("cds-ecds-xml").join(name))
        .iter()
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    if samples.is_empty() {
        skipped("no ../shared/fixtures/cds-ecds-xml");
    }
    let Some(python) = peers::python(&REQUIREMENTS) else { return };
    let request = json!({ "interchanges": named("xml"), "samples": samples });
    let faults = peers::ask(&python, "returns_xml.py", &[], &request);
    assert_eq!(faults, json!([]));
}

#[test]
fn pandas_reads_every_table() {
    let Some(python) = peers::python(&REQUIREMENTS) else { return };
    let told = peers::ask(&python, "returns_tables.py", &[], &json!(named("csv")));
    assert_eq!(told["faults"], json!([]));
    assert!(20 <= told["tables"].as_u64().unwrap());
}
