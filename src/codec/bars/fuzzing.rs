//! What the fuzz target calls: any bytes at all go in, and nothing may panic or contradict itself.

use crate::{codec::fhir::read_json, domain::time::Timestamp};

use super::{Service, accepted, essence, heard, is_acceptable, read};

/// A body, and the same bytes as every header.
///
/// # Panics
/// If an answer cannot be read as the messages we take in are.
pub fn fuzz(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(heard(|_| Some(text), &["1".to_owned()]));
        is_acceptable(Some(text));
    }
    let Ok(tree) = read_json(data) else { return };
    let Ok(message) = read(&tree) else { return };
    assert!(!essence(&tree).is_empty());
    let answer = accepted(&message, Service { name: "Hub", id: "1" }, Timestamp(0));
    assert_eq!(answer["entry"][1]["resource"]["id"], message.focus_id.as_str());
    assert_eq!(answer["entry"].as_array().map(Vec::len), Some(5));
}
