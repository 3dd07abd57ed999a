//! Changes of items: field by field, the message whose event happened last has the word.

use super::{
    ViewError,
    bodies::Bodies,
    keys,
    state::{Message, State},
    value::{Content, Field, Item},
};
use crate::domain::record::{FieldChange, ItemChange};

/// Longest text of one field that stands in the item, in bytes; a longer one goes to a file.
const TEXT_BYTES_MAX: usize = 1024;

impl State {
    /// Applies what a message says of one item of a patient.
    pub(super) fn change(
        &mut self,
        message: &Message<'_>,
        patient: u64,
        change: &ItemChange,
    ) -> Result<(), ViewError> {
        let system = self.number_of_name(message.system);
        let mut said = Item {
            key: (!keys::is_short(&change.key)).then(|| change.key.clone()),
            first_seen: message.stamp.occurred,
            versions: 1,
            fields: Vec::with_capacity(change.fields.len()),
        };
        for (name, change) in &change.fields {
            let name = self.number_of_name(name);
            let field =
                Field { name, content: content(&self.shelf.bodies, change)?, stamp: message.stamp.clone() };
            match said.fields.binary_search_by_key(&name, |field| field.name) {
                Ok(index) => said.fields[index] = field,
                Err(index) => said.fields.insert(index, field),
            }
        }
        self.shelf.say(patient, keys::item(change.kind, system, &change.key), said);
        Ok(())
    }
}

fn content(bodies: &Bodies, change: &FieldChange) -> Result<Content, ViewError> {
    Ok(match change {
        FieldChange::Delete => Content::Deleted,
        FieldChange::Set(text) if text.len() <= TEXT_BYTES_MAX => Content::Text(text.clone()),
        FieldChange::Set(text) => Content::Body(bodies.put(text.as_bytes())?),
    })
}
