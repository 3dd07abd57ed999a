//! What people read is what the code says. `UPDATE_GOLDEN=1` writes it anew.

use std::{fs, path::Path};

use crate::access::policy::{Bounds, document};

const BEGIN: &str = "<!-- tables: written by the policy's tests -->\n";
const END: &str = "<!-- end of tables -->\n";

/// Compares a file of the repository with what it should hold.
pub(super) fn golden(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).position(|(found, text)| found != text);
    let name = path.display();
    assert!(
        found == text,
        "{name} is not what the code says, from line {}; UPDATE_GOLDEN=1 writes it anew",
        differs.unwrap_or(found.lines().count().min(text.lines().count())) + 1,
    );
}

#[test]
fn the_document_has_the_tables_of_the_code() {
    let path = "docs/access.md";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    golden(path, &format!("{before}{BEGIN}\n{}\n{END}{after}", document::markdown(&Bounds::default())));
}
