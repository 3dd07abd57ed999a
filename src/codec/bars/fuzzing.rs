//! What the fuzz target calls: any bytes at all go in, and nothing may panic or contradict itself.

use crate::{
    codec::fhir::read_json,
    domain::{ids::HubId, time::Timestamp},
};

use super::{
    Service, SlotsWanted, accepted, appointment_id, appointment_of, essence, heard, is_acceptable,
    patient_wanted, read, slot_id, slot_of, slots,
};

const SERVICE: Service<'_> = Service { name: "Hub", id: "1", books: true };

/// A body, and the same bytes as every header, query and id.
///
/// # Panics
/// If an answer cannot be read as the messages we take in are, or an id is not written as it was read.
pub fn fuzz(data: &[u8]) {
    let home = "hub".parse::<HubId>().ok();
    if let Ok(text) = std::str::from_utf8(data) {
        drop(heard(|_| Some(text), &["1".to_owned()]));
        is_acceptable(Some(text));
        if let Ok(number) = patient_wanted(text) {
            assert_eq!(number.as_str().len(), 10);
        }
        search(text);
        if let Some(slot) = home.as_ref().and_then(|home| slot_of(text, home)) {
            assert_eq!(slot_id(&slot), text);
        }
        if let Some(id) = appointment_of(text) {
            assert_eq!(appointment_id(id), text.to_ascii_lowercase());
        }
    }
    let Ok(tree) = read_json(data) else { return };
    let Ok(message) = read(&tree) else { return };
    assert!(!essence(&tree).is_empty());
    for named in message.slots() {
        let slot = home.as_ref().and_then(|home| named.slot(home));
        assert!(slot.is_none_or(|slot| named.is(&slot)));
    }
    let answer = accepted(&message, SERVICE, None, Timestamp(0));
    assert_eq!(answer["entry"][1]["resource"]["id"], message.focus_id.as_str());
    assert_eq!(answer["entry"].as_array().map(Vec::len), Some(5));
}

/// What a search is said to have been understood as is understood the same again.
fn search(query: &str) {
    let Ok(wanted) = SlotsWanted::read(query, Timestamp(0)) else { return };
    drop(slots(&wanted, &[], false, SERVICE, "", Timestamp(0)));
    if let Ok(again) = SlotsWanted::read(&wanted.query(), Timestamp(0)) {
        assert_eq!((again.from, again.until, again.free), (wanted.from, wanted.until, wanted.free));
    }
}
