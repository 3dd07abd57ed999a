//! XML: xmlschema holds case exports to Adastra's own schema, where that is at hand.

use std::{
    fs,
    path::{Path, PathBuf},
};

use polygate::systems::simulator::{adastra::SimulatedAdastra, people::Person};
use serde_json::json;

use crate::support::{hub::NOW, peers, skipped};

const REQUIREMENT: &str = "xmlschema==4.3.2";
const FOLDER: &str = "vendor-xsd-emis-adastra-tpp";

fn schemas(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(schemas(&path));
        } else if path.extension().is_some_and(|it| it == "xsd") {
            found.push(path);
        }
    }
    found
}

#[test]
fn case_exports_are_what_adastras_schema_says() {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let root = std::env::var_os("POLYGATE_FIXTURES").map_or_else(here, PathBuf::from);
    let mut all = schemas(&root.join(FOLDER));
    let Some(own) = all.iter().position(|path| path.ends_with("AdastraCaseDataExport.xsd")) else {
        skipped(&format!("no ../shared/fixtures/{FOLDER}"));
        return;
    };
    all.swap(0, own);
    assert_eq!(all.len(), 9, "every schema loads");
    let Some(python) = peers::python(&[REQUIREMENT]) else { return };

    let mut adastra = SimulatedAdastra::new("ODS99", "5LC01", 5);
    let simulated = (0..50).map(|number| adastra.case(&Person::of(number), "Y99901", NOW).body);
    // Our own cases, other than those whose fault is that they are no cases.
    let folders =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/adastra")).unwrap();
    let inputs =
        folders.filter_map(|folder| fs::read_to_string(folder.unwrap().path().join("input.xml")).ok());
    let is_case = |text: &String| {
        text.contains("<adastraCaseDataExport ") && !text.contains("<adastraCaseReference></")
    };
    let cases = inputs.filter(is_case);
    let texts: Vec<String> = simulated.chain(cases).collect();
    assert!(55 <= texts.len());
    let paths: Vec<String> = all.iter().map(|path| path.display().to_string()).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let faults = peers::ask(&python, "xml_check.py", &paths, &json!(texts));
    let told: Vec<_> =
        faults.as_array().unwrap().iter().zip(&texts).filter(|(fault, _)| !fault.is_null()).collect();
    assert!(told.is_empty(), "{} of {}: {:#?}", told.len(), texts.len(), told.first());
}
