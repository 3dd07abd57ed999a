//! Public examples, folder by folder: each is claimed, and each file in it is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{adastra, bars, case::paths, edifact, gaps::Gaps, gp_connect, hl7v2, kettering, support};

/// What a file turned out to be.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It was read, and came out as it must.
    Right,
    /// It was read, and this is wrong.
    Wrong(String),
    /// It says what another file must come out as, or describes a format.
    Oracle,
    /// This version does not read it, for this reason.
    NotRead(&'static str),
}

/// Each file below a folder, by its path below that folder.
pub type Verdicts = BTreeMap<String, Verdict>;

/// Judges every file below a folder.
pub type Judge = fn(&Path) -> Verdicts;

/// Who judges which folder of the public examples.
pub const FOLDERS: [(&str, Judge); 12] = [
    ("bars-fhir-r4", bars::judge),
    ("cds-ecds-xml", commissioning),
    ("edifact-nhs-lab-results", edifact::judge),
    ("gpconnect-provider-testing-data", gp_connect::judge_tables),
    ("gpconnect-spec-stu3", gp_connect::judge_specification),
    ("gpconnect-structured-emis-tpp", gp_connect::judge_records),
    ("hl7v2-linuxforhealth", hl7v2::judge),
    ("hl7v2-microsoft", hl7v2::judge),
    ("itk-cda-nhs111", adastra::judge_reports),
    ("itk-spine-envelopes", adastra::judge_envelopes),
    ("kettering-xml", kettering::judge),
    ("vendor-xsd-emis-adastra-tpp", vendor),
];

/// Commissioning data sets, and the reports of the same program.
fn commissioning(folder: &Path) -> Verdicts {
    let verdict = Verdict::NotRead("commissioning data sets: hubs send none, and nobody sends them to hubs");
    files(folder).into_iter().map(|file| (file, verdict.clone())).collect()
}

/// Schemas that vendors have published, and tables of codes beside them.
fn vendor(folder: &Path) -> Verdicts {
    let judged = files(folder).into_iter().map(|file| {
        let verdict = match file.as_str() {
            // What our own cases are held to by `tests/peers`.
            _ if file.ends_with("AdastraCaseDataExport.xsd") => Verdict::Oracle,
            _ if file.ends_with(".xsd") => {
                Verdict::NotRead("interfaces of 2009 to 2014: GP Connect has taken their place")
            }
            _ if file.contains("ProtectedCodes") => {
                Verdict::NotRead("which codes are sensitive: practices leave those out themselves")
            }
            _ => Verdict::NotRead("codes of bulk extracts, which hubs do not take"),
        };
        (file, verdict)
    });
    judged.collect()
}

/// Where the public examples are, if they are here.
pub fn root() -> Option<PathBuf> {
    let root = std::env::var_os("POLYGATE_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    root.is_dir().then_some(root)
}

/// Folders that nobody claims.
pub fn unclaimed(root: &Path) -> Vec<String> {
    let folders = paths(root).into_iter().filter(|path| path.is_dir());
    let names = folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    names
        .filter(|name| !FOLDERS.iter().any(|(folder, _)| folder == name))
        .map(|name| format!("{name}: no protocol claims this folder of public examples"))
        .collect()
}

/// Files of a folder that were forgotten, or that are judged and not there.
pub fn unjudged(folder: &str, path: &Path, verdicts: &Verdicts) -> Vec<String> {
    let there: BTreeSet<String> = files(path).into_iter().collect();
    let judged: BTreeSet<String> = verdicts.keys().cloned().collect();
    let differing = there.symmetric_difference(&judged);
    differing.map(|file| format!("{folder}/{file}: not judged, or not there")).collect()
}

/// Counts a folder's verdicts, and tells those that are wrong and not known to be.
pub fn count(folder: &str, verdicts: &Verdicts, gaps: &mut Gaps) -> Vec<String> {
    let mut faults = Vec::new();
    let [mut right, mut known, mut wrong, mut oracles] = [0; 4];
    let mut not_read: BTreeMap<&str, u32> = BTreeMap::new();
    for (file, verdict) in verdicts {
        let name = format!("{folder}/{file}");
        match verdict {
            Verdict::Right => {
                right += 1;
                gaps.is_right(&name);
            }
            Verdict::Wrong(_) if gaps.covers(&name) => known += 1,
            Verdict::Wrong(why) => {
                wrong += 1;
                faults.push(format!("{name}: {why}"));
            }
            Verdict::Oracle => oracles += 1,
            Verdict::NotRead(why) => *not_read.entry(why).or_default() += 1,
        }
    }
    let read = right + known + wrong;
    support::counted(&format!(
        "{folder}: {read} read, {right} right, {known} known gaps, {oracles} to compare with"
    ));
    for (why, files) in not_read {
        support::counted(&format!("{folder}: {files} not read: {why}"));
    }
    faults
}

/// Every file below a folder, as paths below it with `/` between the parts; without the note on where the
/// folder came from.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in paths(&next) {
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("SOURCES.md") {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A file's bytes.
pub fn bytes(folder: &Path, file: &str) -> Vec<u8> {
    fs::read(folder.join(file)).unwrap()
}
