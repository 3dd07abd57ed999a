//! What the product does not read rightly yet, with the reason: a list that may only shrink.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use crate::case;

const FILE: &str = "known_gaps.toml";

#[derive(Deserialize)]
struct Listed {
    /// How many there are. It was never more, and never will be.
    most: usize,
    #[serde(default)]
    gap: Vec<Gap>,
}

#[derive(Deserialize)]
struct Gap {
    /// The example, below the folder of fixtures.
    file: String,
    /// Why it is not read rightly.
    reason: String,
}

/// The list, and which of it was met.
pub struct Gaps {
    most: usize,
    reasons: BTreeMap<String, String>,
    met: BTreeMap<String, bool>,
    faults: Vec<String>,
}

impl Gaps {
    /// The committed list.
    pub fn load() -> Self {
        let text = fs::read_to_string(case::root().join(FILE)).unwrap();
        let listed: Listed = toml::from_str(&text).unwrap_or_else(|error| panic!("{FILE}: {error}"));
        let mut faults = Vec::new();
        let mut reasons = BTreeMap::new();
        for gap in listed.gap {
            if gap.reason.trim().is_empty() {
                faults.push(format!("{FILE}: {} has no reason", gap.file));
            }
            if reasons.insert(gap.file.clone(), gap.reason).is_some() {
                faults.push(format!("{FILE}: {} is listed twice", gap.file));
            }
        }
        Self { most: listed.most, reasons, met: BTreeMap::new(), faults }
    }

    /// Whether an example that came out wrong is known to.
    pub fn covers(&mut self, file: &str) -> bool {
        let known = self.reasons.contains_key(file);
        if known {
            self.met.insert(file.to_owned(), true);
        }
        known
    }

    /// An example came out right.
    pub fn is_right(&mut self, file: &str) {
        if self.reasons.contains_key(file) {
            self.faults.push(format!("{FILE}: {file} comes out right: remove it, and lower `most`"));
            self.met.insert(file.to_owned(), true);
        }
    }

    /// A folder is not here: its gaps cannot be met.
    pub fn pass_over(&mut self, folder: &str) {
        for file in self.reasons.keys().filter(|file| file.starts_with(&format!("{folder}/"))) {
            self.met.insert(file.clone(), true);
        }
    }

    /// What is wrong with the list, after every example was read.
    pub fn faults(self) -> Vec<String> {
        let mut faults = self.faults;
        for file in self.reasons.keys().filter(|file| !self.met.contains_key(*file)) {
            faults.push(format!("{FILE}: {file} is no example that is read"));
        }
        if self.most != self.reasons.len() {
            let count = self.reasons.len();
            faults
                .push(format!("{FILE}: `most` is {}, and {count} are listed; it only ever falls", self.most));
        }
        faults
    }
}
