//! House rules that a machine can check: who may use whom, what a file and a function look like, what the project
//! says about itself. The table of rooms is read from ARCHITECTURE.md, so that the two cannot part.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Files longer than this have a second room in them.
const FILE_LINES_MAX: usize = 700;
/// Functions longer than this do not fit a screen.
const FUNCTION_LINES_MAX: usize = 80;
/// What may stand at the top of the repository.
const TOP_LEVEL: [&str; 24] = [
    ".cargo",
    ".ci",
    ".config",
    ".git",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "askama.toml",
    "benches",
    "board",
    "clippy.toml",
    "cross.toml",
    "deny.toml",
    "docs",
    "image",
    "rustfmt.toml",
    "src",
    "systemd",
    "tests",
];
/// Outside crates that are named in one room only.
const EXCLUSIVE: [(&str, &str); 13] = [
    ("aws_lc_rs", "sys"),
    ("argon2", "access"),
    ("sled", "store"),
    ("rumqttc", "sync"),
    ("rustls", "sys"),
    ("tokio_rustls", "sys"),
    ("rustix", "sys"),
    ("serialport", "sys"),
    ("serde_cbor", "codec"),
    ("tokio_postgres", "centre"),
    ("rcgen", "centre"),
    ("rmqtt", "centre"),
    ("clap", "cli"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The room of a file under src, or none for those that may use everything.
fn room(path: &Path) -> Option<String> {
    let below = path.strip_prefix(root().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["app", "bin", "cli", "config", "lib", "main"].contains(&name)).then(|| name.to_owned())
}

/// The table in ARCHITECTURE.md: room to the rooms it may use.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| room | may use |")).skip(2);
    let mut table = BTreeMap::new();
    for row in rows.take_while(|row| row.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = |text: &str| text.trim_matches('`').to_owned();
        let may =
            cells[2].split(',').map(|used| name(used.trim())).filter(|used| used != "nothing").collect();
        table.insert(name(cells[1]), may);
    }
    assert!(10 <= table.len(), "the table of rooms is gone from ARCHITECTURE.md");
    table
}

/// Words after `prefix` in the code of a file, comments and strings roughly left out.
fn named_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for after in line.split(prefix).skip(1) {
            let word: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.insert(word);
        }
    }
    found
}

/// The rooms that a file names: `crate::room`, and `use crate::{room::…, …}` over several lines.
fn rooms_used(text: &str, rooms: &BTreeSet<String>) -> BTreeSet<String> {
    let mut used: BTreeSet<String> = named_after(text, "crate::");
    for block in text.split("use crate::{").skip(1) {
        let mut depth = 1;
        let mut word = String::new();
        // Only the first name of a path is a room: `domain::booking` is not the room of that name.
        let mut is_first = true;
        for character in block.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && is_first && (character.is_alphanumeric() || character == '_') {
                word.push(character);
            } else if !word.is_empty() {
                used.insert(std::mem::take(&mut word));
                is_first = false;
            }
            is_first |= depth == 1 && character == ',';
            if depth == 0 {
                break;
            }
        }
    }
    used.intersection(rooms).cloned().collect()
}

#[test]
fn rooms_are_read_from_the_first_names_of_paths() {
    let rooms: BTreeSet<String> = ["booking", "domain", "flow", "store", "sys"].map(str::to_owned).into();
    let text =
        "use crate::{domain::booking::Offer, flow, store::{keys, cache}, sys::clock};\ncrate::domain::x();";
    let used: Vec<String> = rooms_used(text, &rooms).into_iter().collect();
    assert_eq!(used, ["domain", "flow", "store", "sys"]);
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let table = table();
    let rooms: BTreeSet<String> = table.keys().cloned().collect();
    let mut faults = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let Some(own) = room(&path) else { continue };
        let Some(allowed) = table.get(&own) else { panic!("{own} is not in the table of rooms") };
        // Tests may stand in for the neighbours.
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for used in rooms_used(text, &rooms) {
            if used != own && !allowed.contains(&used) {
                faults.push(format!("{}: {own} may not use {used}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_of_these_crates_is_named_in_one_room() {
    let mut faults = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let own = room(&path).unwrap_or_else(|| {
            path.strip_prefix(root().join("src"))
                .unwrap()
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_str()
                .unwrap()
                .to_owned()
        });
        let text = fs::read_to_string(&path).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for (name, home) in EXCLUSIVE {
            let used = code.contains(&format!("{name}::")) || code.contains(&format!("use {name};"));
            let is_own = code.contains(&format!("::{name}::")) && !code.contains(&format!(" {name}::"));
            if used && !is_own && own.trim_end_matches(".rs") != home {
                faults.push(format!("{}: {name} belongs to {home}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_and_functions_have_a_head_and_a_measure() {
    let mut faults = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if !text.starts_with("//!") {
            faults.push(format!("{name}: does not open with a sentence on what it is for"));
        }
        let lines = text.lines().count();
        if FILE_LINES_MAX < lines {
            faults.push(format!("{name}: {lines} lines"));
        }
        let mut start: Option<(usize, &str)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            if indent <= 4 && line.contains("fn ") && !line.trim_start().starts_with("//") {
                start = Some((number, line));
            }
            let ends = indent <= 4 && line.trim() == "}";
            if let (true, Some((from, head))) = (ends, start) {
                if FUNCTION_LINES_MAX < number - from {
                    faults.push(format!("{name}:{}: {} lines: {}", from + 1, number - from, head.trim()));
                }
                start = None;
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_top_level_is_as_described() {
    let listed = std::process::Command::new("git").args(["ls-files"]).current_dir(root()).output();
    let Ok(listed) = listed else {
        println!("skipped: git is not installed");
        return;
    };
    let text = String::from_utf8(listed.stdout).unwrap();
    let tops: BTreeSet<&str> = text.lines().filter_map(|path| path.split('/').next()).collect();
    let unknown: Vec<&&str> = tops.iter().filter(|top| !TOP_LEVEL.contains(top)).collect();
    assert!(unknown.is_empty(), "not in the layout: {unknown:?}");
}

#[test]
fn documents_point_to_what_exists() {
    let mut faults = Vec::new();
    let mut documents = files(&root().join("docs"), "md");
    documents.extend(["README.md", "ARCHITECTURE.md", "SECURITY.md"].map(|name| root().join(name)));
    for path in documents {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !path.parent().unwrap().join(target).exists() {
                faults.push(format!("{}: {target} does not exist", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Put together here, so that this file does not name them.
    let banned = [["/wo", "rk/"], ["/tm", "p/wt"], ["index.cra", "tes.io"], ["host", ".docker"]]
        .map(|parts| parts.concat());
    let mut faults = Vec::new();
    for extension in ["rs", "md", "toml", "sql", "service", "html", "css", "js"] {
        for path in files(&root(), extension) {
            let text = fs::read_to_string(&path).unwrap_or_default();
            for word in &banned {
                if text.contains(word.as_str()) {
                    faults.push(format!("{}: says {word}", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The crates a package is locked to use, by the lock file at a path.
fn locked(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let package = text.split("[[package]]").find(|part| part.contains("\nname = \"polygate\"\n")).unwrap();
    let (_, named) = package.split_once("dependencies = [").unwrap();
    let (named, _) = named.split_once(']').unwrap();
    named
        .split('"')
        .skip(1)
        .step_by(2)
        .filter_map(|entry| entry.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn side_locks_know_what_the_hub_is_built_of() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, needed) = manifest.split_once("\n[dependencies]\n").unwrap();
    let (needed, _) = needed.split_once("\n[").unwrap();
    let needed: BTreeSet<String> = needed
        .lines()
        .filter(|line| !line.contains("optional = true"))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert!(needed.len() > 20, "the dependencies were not found");
    for side in ["tests/fuzz", "benches/measure"] {
        let known = locked(&root().join(side).join("Cargo.lock"));
        let unknown: Vec<_> = needed.difference(&known).collect();
        assert!(unknown.is_empty(), "{side}: not locked: {unknown:?}; say `cargo update --workspace` there");
    }
}
