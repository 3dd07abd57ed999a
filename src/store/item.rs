//! One item of a record: fields, each with the moment its source said so.

use std::{collections::BTreeMap, io, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    codec::cbor,
    domain::{record::FieldChange, time::Timestamp},
    sys::disk::{Disk, replace_file},
};

/// A field longer than this is a file of its own: twenty of these stay under the 8 KiB that sled bears.
const FIELD_BYTES_MAX: usize = 256;
/// The folder of longer texts, named by their content.
pub(super) const BODIES: &str = "bodies";

/// What is known of one item.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Item {
    /// By the field's name.
    #[serde(rename = "f")]
    pub fields: BTreeMap<String, FieldValue>,
    /// How many messages have changed it.
    #[serde(rename = "n")]
    pub versions: u32,
    /// The sender's identifier of the newest message that changed it.
    #[serde(rename = "s")]
    pub source_id: String,
}

/// One field.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct FieldValue {
    /// What it is; none: it was deleted.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// When its source said so.
    #[serde(rename = "a")]
    pub at: Timestamp,
    /// Whether `value` names a file with the text.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_body: bool,
}

impl std::fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FieldValue(at {})", self.at)
    }
}

impl Item {
    /// Takes in what a message of the moment `at` says; returns whether that changed anything.
    ///
    /// A field keeps what was said last, by its source's clock and not by arrival; of two messages of the
    /// same moment the greater value stays, so that their order does not matter either.
    pub(super) fn change(
        &mut self,
        changes: &[(&'static str, FieldChange)],
        at: Timestamp,
        source_id: &str,
        mut body: impl FnMut(&str) -> io::Result<String>,
    ) -> io::Result<bool> {
        let mut changed = false;
        for (name, change) in changes {
            let value = match change {
                FieldChange::Delete => FieldValue { value: None, at, is_body: false },
                FieldChange::Set(text) if text.len() <= FIELD_BYTES_MAX => {
                    FieldValue { value: Some(text.clone()), at, is_body: false }
                }
                FieldChange::Set(text) => FieldValue { value: Some(body(text)?), at, is_body: true },
            };
            let newer = self
                .fields
                .get(*name)
                .is_none_or(|known| (known.at, &known.value) < (value.at, &value.value));
            if newer {
                self.fields.insert((*name).to_owned(), value);
                changed = true;
            }
        }
        if changed {
            self.versions += 1;
            source_id.clone_into(&mut self.source_id);
        }
        Ok(changed)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        cbor::decode(bytes, 64 << 10).ok()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Texts and numbers only: this does not fail.
        cbor::encode(self).unwrap_or_default()
    }
}

/// Keeps a long text as a file; the same text is kept once.
pub(super) fn keep_body(disk: &dyn Disk, directory: &Path, text: &str) -> io::Result<String> {
    let name: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = directory.join(BODIES).join(&name);
    if disk.open(&path).is_err() {
        replace_file(disk, &path, text.as_bytes())?;
    }
    Ok(name)
}
