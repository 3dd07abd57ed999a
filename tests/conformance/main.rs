//! Every protocol over files: this repository's own cases, and public examples where they are at hand.
//!
//! An own case is a folder `tests/conformance/<protocol>/<case>` with what comes in (`input*`) and what must come
//! of it (`expected.json`, and whatever is said in answer, byte for byte, in a file of its own). Public examples
//! are looked for in `../shared/fixtures`, or where `POLYGATE_FIXTURES` points. What the product does not read
//! rightly yet is listed in `known_gaps.toml`, which may only shrink.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test tells by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod adastra;
mod bars;
mod case;
mod compare;
mod edifact;
mod event;
mod folding;
mod gaps;
mod gp_connect;
mod hl7v2;
mod kettering;
mod lis2;
mod poct1a;
mod shared;
mod together;

use std::{fs, path::Path};

use case::{Case, Read};

/// Each protocol's own folder of cases, and what reads them.
const PROTOCOLS: [(&str, Read); 8] = [
    ("adastra", adastra::read),
    ("bars", bars::read),
    ("edifact", edifact::read),
    ("gp-connect", gp_connect::read),
    ("hl7v2", hl7v2::read),
    ("kettering", kettering::read),
    ("lis2", lis2::read),
    ("poct1a", poct1a::read),
];

#[test]
fn every_own_case_comes_out_as_expected() {
    let mut faults = Vec::new();
    for (protocol, read) in PROTOCOLS {
        let cases = case::all(protocol);
        assert!(!cases.is_empty(), "{protocol} has no case");
        let wrong: Vec<String> = cases.iter().flat_map(|case| wrongs(case, read)).collect();
        let right = cases.len() - cases.iter().filter(|case| wrong.iter().any(|it| case.is_of(it))).count();
        support::counted(&format!("conformance/{protocol}: {} read, {right} right", cases.len()));
        faults.extend(wrong);
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// What is wrong with a case, each line beginning with its name.
fn wrongs(case: &Case, read: Read) -> Vec<String> {
    let outcome = read(case);
    let mut found = compare::differences(&case.expected(), &outcome.value);
    for (name, bytes) in &outcome.outputs {
        if let Some(expected) = case.file(name)
            && expected != *bytes
        {
            let shown = String::from_utf8_lossy(bytes).replace('\r', "\\r\n");
            found.push(format!("{name} is not what was said:\n{shown}"));
        }
    }
    found.into_iter().map(|what| case.says(&what)).collect()
}

#[test]
fn every_folder_of_cases_has_a_protocol() {
    let names = fs::read_dir(case::root()).unwrap().map(|entry| entry.unwrap().path());
    for path in names.filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_claimed = PROTOCOLS.iter().any(|(protocol, _)| *protocol == name);
        assert!(is_claimed || holds_only_source(&path), "no protocol reads tests/conformance/{name}");
    }
}

fn holds_only_source(path: &Path) -> bool {
    fs::read_dir(path).unwrap().all(|entry| entry.unwrap().path().extension().is_some_and(|it| it == "rs"))
}

#[test]
fn every_public_example_comes_out_as_expected() {
    let Some(root) = shared::root() else {
        support::skipped("no ../shared/fixtures (or set POLYGATE_FIXTURES)");
        return;
    };
    let mut gaps = gaps::Gaps::load();
    let mut faults = shared::unclaimed(&root);
    for (folder, judge) in shared::FOLDERS {
        let path = root.join(folder);
        if !path.is_dir() {
            support::skipped(&format!("no ../shared/fixtures/{folder}"));
            gaps.pass_over(folder);
            continue;
        }
        let verdicts = judge(&path);
        faults.extend(shared::unjudged(folder, &path, &verdicts));
        faults.extend(shared::count(folder, &verdicts, &mut gaps));
    }
    faults.extend(gaps.faults());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
