//! One own case: a folder with what comes in and what must come of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// What came of a case.
pub struct Outcome {
    /// What was understood and answered, in the terms of `expected.json`.
    pub value: Value,
    /// What was said in answer: the name of the file in which a case may say what it must be, and the bytes.
    pub outputs: Vec<(&'static str, Vec<u8>)>,
}

impl From<Value> for Outcome {
    fn from(value: Value) -> Self {
        Self { value, outputs: Vec::new() }
    }
}

/// Puts a case through the product.
pub type Read = fn(&Case) -> Outcome;

/// A folder `tests/conformance/<protocol>/<case>`.
pub struct Case {
    path: PathBuf,
    name: String,
}

impl Case {
    /// What comes in: the files `input*`, in the order of their names.
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        let is_input = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("input");
        let inputs: Vec<Vec<u8>> =
            paths(&self.path).into_iter().filter(is_input).map(|path| fs::read(path).unwrap()).collect();
        assert!(!inputs.is_empty(), "{}: no input", self.name);
        inputs
    }

    /// The only input.
    pub fn input(&self) -> Vec<u8> {
        let inputs = self.inputs();
        assert_eq!(inputs.len(), 1, "{}: one input is read", self.name);
        inputs.into_iter().next().unwrap()
    }

    /// What must come of it.
    pub fn expected(&self) -> Value {
        let text = self.file("expected.json").unwrap_or_else(|| panic!("{}: no expected.json", self.name));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A word of `expected.json` that steers how the case is read.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.expected()[name].as_str().map(str::to_owned)
    }

    /// A file of the case, if it has it.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path.join(name)).ok()
    }

    /// A line about this case.
    pub fn says(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }

    /// Whether a line is about this case.
    pub fn is_of(&self, line: &str) -> bool {
        line.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with(": "))
    }
}

/// Where the cases are.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// A protocol's cases, in the order of their names.
pub fn all(protocol: &str) -> Vec<Case> {
    let folders = paths(&root().join(protocol)).into_iter().filter(|path| path.is_dir());
    folders
        .map(|path| {
            let name = format!("{protocol}/{}", path.file_name().unwrap().to_str().unwrap());
            Case { path, name }
        })
        .collect()
}

/// What is in a folder, sorted; nothing if there is no such folder.
pub fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
