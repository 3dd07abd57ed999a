//! Changes of items: field by field, the message whose event happened last has the word.

use super::{
    ViewError,
    keys::{self, Room},
    shelf::{Shelf, unpack},
    state::{Message, State},
    value::{Content, Field, Item},
};
use crate::domain::record::{FieldChange, ItemChange};

/// Longest text of one field that stands in the item, in bytes; a longer one goes to a file.
const TEXT_BYTES_MAX: usize = 1024;

/// What a message did to an item.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Effect {
    /// Nothing: it is older than what is known, or the same message again.
    None,
    /// It said again what is known, later.
    Again,
    /// It said something new.
    New,
}

impl State {
    /// Applies what a message says of one item of a patient.
    pub(super) fn change(
        &mut self,
        message: &Message<'_>,
        patient: u64,
        change: &ItemChange,
    ) -> Result<(), ViewError> {
        let system = self.number_of_name(message.system);
        let key = keys::item(patient, change.kind, system, &change.key);
        let touch_key = keys::touch(&key);
        let before = load(&self.shelf, &key)?;
        let is_new = before.is_none();
        let mut item = before.unwrap_or_else(|| Item {
            key: (!keys::is_short(&change.key)).then(|| change.key.clone()),
            first_seen: message.stamp.occurred,
            versions: 0,
            written: 0,
            fields: Vec::new(),
        });
        let mut effect = if is_new { Effect::New } else { Effect::None };
        if message.stamp.occurred < item.first_seen {
            item.first_seen = message.stamp.occurred;
            effect = effect.max(Effect::Again);
        }
        for (name, field) in &change.fields {
            let name = self.number_of_name(name);
            effect = effect.max(set(&self.shelf, &mut item, message, name, field)?);
        }
        if effect == Effect::None {
            return Ok(());
        }
        self.counts.items += usize::from(is_new);
        item.versions += 1;
        match item.encode_touch().filter(|_| effect == Effect::Again) {
            Some(touch) => self.shelf.put(touch_key, Some(touch)),
            None => {
                let packed = self.shelf.pack(&item.encode())?;
                self.shelf.put(key, Some(packed));
                if item.fields.iter().any(|field| field.again) || item.written != 0 {
                    self.forget_touch(touch_key)?;
                }
            }
        }
        Ok(())
    }

    fn forget_touch(&mut self, key: Vec<u8>) -> Result<(), ViewError> {
        if self.shelf.get(&key)?.is_some() {
            self.shelf.put(key, None);
        }
        Ok(())
    }
}

/// An item with everything that was said of it again.
pub(super) fn load(shelf: &Shelf, key: &[u8]) -> Result<Option<Item>, ViewError> {
    debug_assert_eq!(key.first(), Some(&Room::Item.letter()));
    let Some(packed) = shelf.get(key)? else { return Ok(None) };
    let touch = shelf.get(&keys::touch(key))?;
    decode(shelf, &packed, touch.as_deref()).map(Some)
}

/// An item from its bytes and its touch's.
pub(super) fn decode(shelf: &Shelf, packed: &[u8], touch: Option<&[u8]>) -> Result<Item, ViewError> {
    let damaged = ViewError::Damaged("an item cannot be read");
    let Some(mut item) = Item::decode(&unpack(&shelf.bodies, packed)?) else { return Err(damaged) };
    if let Some(touch) = touch
        && item.touch(touch).is_none()
    {
        return Err(damaged);
    }
    Ok(item)
}

fn set(
    shelf: &Shelf,
    item: &mut Item,
    message: &Message<'_>,
    name: u64,
    change: &FieldChange,
) -> Result<Effect, ViewError> {
    let at = item.fields.binary_search_by_key(&name, |field| field.name);
    if let Ok(index) = at
        && item.fields.get(index).is_some_and(|field| message.stamp.occurred < field.stamp.occurred)
    {
        return Ok(Effect::None);
    }
    let content = match change {
        FieldChange::Delete => Content::Deleted,
        FieldChange::Set(text) if text.len() <= TEXT_BYTES_MAX => Content::Text(text.clone()),
        FieldChange::Set(text) => Content::Body(shelf.bodies.put(text.as_bytes())?),
    };
    let stamp = message.stamp.clone();
    match at {
        Err(index) => {
            item.fields.insert(index, Field { name, content, stamp, again: false });
            Ok(Effect::New)
        }
        Ok(index) => Ok(item.fields.get_mut(index).map_or(Effect::None, |field| {
            let effect = match (field.content == content, field.stamp == stamp) {
                (true, true) => return Effect::None,
                (true, false) => Effect::Again,
                (false, _) => Effect::New,
            };
            *field = Field { name, content, stamp, again: true };
            effect
        })),
    }
}
