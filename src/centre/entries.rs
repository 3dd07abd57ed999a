//! One received entry as `polycentre entries` shows it.

use serde::Serialize;

use crate::domain::{
    ids::{Class, Epoch, HubId, Sequence},
    time::Timestamp,
};

/// A received entry without its content. The field names are a contract.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredEntry {
    /// Whose.
    pub hub: HubId,
    /// Which class.
    pub class: Class,
    /// Which epoch.
    pub epoch: Epoch,
    /// Its number.
    pub seq: Sequence,
    /// Its id.
    pub id: String,
    /// The system at the hub.
    pub system: String,
    /// Its kind.
    pub kind: String,
    /// Its sender's own identifier for it.
    pub source_id: String,
    /// The patient's NHS number, if it has a valid one.
    pub patient: Option<String>,
    /// When the centre stored it.
    pub received_at: Timestamp,
}

#[derive(Serialize)]
struct Line<'a> {
    hub: &'a HubId,
    class: Class,
    epoch: Epoch,
    seq: Sequence,
    id: &'a str,
    system: &'a str,
    kind: &'a str,
    source_id: &'a str,
    patient: Option<&'a str>,
    received_at: String,
}

impl StoredEntry {
    /// The entry as one JSON object.
    pub fn to_json(&self) -> String {
        let line = Line {
            hub: &self.hub,
            class: self.class,
            epoch: self.epoch,
            seq: self.seq,
            id: &self.id,
            system: &self.system,
            kind: &self.kind,
            source_id: &self.source_id,
            patient: self.patient.as_deref(),
            received_at: self.received_at.to_string(),
        };
        // Text and numbers only: this does not fail.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_json_with_the_contracts_names() {
        let entry = StoredEntry {
            hub: "north".parse().unwrap(),
            class: Class::Urgent,
            epoch: Epoch(7),
            seq: 3,
            id: "00ff".to_owned(),
            system: "pas".to_owned(),
            kind: "ORU^R01".to_owned(),
            source_id: "M\"1\n".to_owned(),
            patient: None,
            received_at: Timestamp(0),
        };
        assert_eq!(
            entry.to_json(),
            r#"{"hub":"north","class":"urgent","epoch":7,"seq":3,"id":"00ff","system":"pas","kind":"ORU^R01","source_id":"M\"1\n","patient":null,"received_at":"1970-01-01T00:00:00.000Z"}"#
        );
    }
}
