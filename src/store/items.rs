//! Changes of items: field by field, the message whose event happened last has the word; and withdrawals.

use std::sync::Arc;

use super::{
    ViewError,
    bodies::Bodies,
    keys,
    state::{Message, State},
    value::{Content, Field, Item, Stamp},
    wire::{Reader, Writer},
};
use crate::domain::{
    one_record::When,
    record::{FieldChange, ItemChange, ItemKind},
};

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
        let stamp = Stamp { part: Arc::from(keys::part(&change.part_of)), ..message.stamp.clone() };
        let mut said = Item {
            key: (!keys::is_short(&change.key)).then(|| change.key.clone()),
            first_seen: stamp.occurred,
            versions: 1,
            asserted: if change.withdrawn { Vec::new() } else { vec![stamp.clone()] },
            withdrawn: change.withdrawn.then(|| stamp.clone()),
            fields: Vec::with_capacity(change.fields.len()),
        };
        for (name, change) in &change.fields {
            let name = self.number_of_name(name);
            let field = Field::new(name, content(&self.shelf.bodies, change)?, &stamp);
            match said.fields.binary_search_by_key(&name, |field| field.name) {
                Ok(index) => said.fields[index] = field,
                Err(index) => said.fields.insert(index, field),
            }
        }
        self.note_booking(message, patient, change);
        self.shelf.say(patient, keys::item(change.kind, system, &change.key), said);
        Ok(())
    }

    /// Notes on which day a person has an appointment, unless it is past, so that those booked for a day are found without
    /// reading all.
    fn note_booking(&mut self, message: &Message<'_>, patient: u64, change: &ItemChange) {
        if change.kind != ItemKind::Appointment {
            return;
        }
        let start = change.fields.iter().find_map(|(name, change)| match change {
            FieldChange::Set(text) if *name == "start" => When::parse(text),
            _ => None,
        });
        let today = When::of(message.received).map_or(0, When::day);
        if let Some(start) = start.filter(|start| start.is_day() && today <= start.day()) {
            self.shelf.put(keys::booked(start.day(), patient), Some(Vec::new()));
        }
    }

    /// Notes the documents and messages that a message withdraws, whether or not they have come yet.
    pub(super) fn withdraw(&mut self, message: &Message<'_>) -> Result<(), ViewError> {
        for identifier in message.event.withdraws.iter().filter(|identifier| !identifier.is_empty()) {
            let system = self.number_of_name(message.system);
            let key = keys::withdrawal(system, &keys::part(identifier));
            let known = self.withdrawal_at(&key)?;
            // The first that said so, whichever came first.
            let said = known.map_or(message.stamp.clone(), |known| known.min(message.stamp.clone()));
            let mut writer = Writer::default();
            said.write(&mut writer);
            self.shelf.put(key, Some(writer.0));
        }
        Ok(())
    }

    /// When a document or message was first said to be withdrawn, if it was.
    pub(super) fn withdrawal_at(&self, key: &[u8]) -> Result<Option<Stamp>, ViewError> {
        let Some(bytes) = self.shelf.get(key)? else { return Ok(None) };
        let stamp = Stamp::read(&mut Reader(&bytes));
        stamp.map(Some).ok_or(ViewError::Damaged("a withdrawal cannot be read"))
    }
}

fn content(bodies: &Bodies, change: &FieldChange) -> Result<Content, ViewError> {
    Ok(match change {
        FieldChange::Delete => Content::Deleted,
        FieldChange::Set(text) if text.len() <= TEXT_BYTES_MAX => Content::Text(text.clone()),
        FieldChange::Set(text) => Content::Body(bodies.put(text.as_bytes())?),
    })
}
