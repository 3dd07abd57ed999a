//! What a message was understood to say, in the terms of `expected.json`.

use polygate::domain::record::{Event, FieldChange, Identifier, ItemChange};
use serde_json::{Map, Value, json};

/// An event.
pub fn shown(event: &Event) -> Value {
    json!({
        "kind": event.kind,
        "class": format!("{:?}", event.class).to_lowercase(),
        "source_id": event.source_id,
        "sender": event.sender,
        "occurred": event.occurred.map(|at| at.to_string()),
        "nhs_number": match &event.nhs_number {
            Ok(number) => json!(number.as_str()),
            Err(why) => json!({ "none": format!("{why:?}") }),
        },
        "identifiers": identifiers(&event.identifiers),
        "merged": identifiers(&event.merged),
        "withdraws": event.withdraws,
        "faults": event.faults,
        "items": items(&event.items),
    })
}

/// Items: of each its kind, key, and the fields it sets and deletes.
pub fn items(items: &[ItemChange]) -> Value {
    items.iter().map(item).collect()
}

/// `value|authority|kind` of each.
pub fn identifiers(identifiers: &[Identifier]) -> Value {
    identifiers.iter().map(|one| json!(format!("{}|{}|{}", one.value, one.authority, one.kind))).collect()
}

fn item(item: &ItemChange) -> Value {
    let mut set = Map::new();
    let mut deleted = Vec::new();
    for (name, change) in &item.fields {
        match change {
            FieldChange::Set(value) => {
                let before = set.insert((*name).to_owned(), json!(value));
                assert_eq!(before, None, "{name} is set twice");
            }
            FieldChange::Delete => deleted.push(*name),
        }
    }
    json!({
        "kind": format!("{:?}", item.kind).to_lowercase(),
        "key": item.key,
        "part_of": item.part_of,
        "withdrawn": item.withdrawn,
        "set": set,
        "deleted": deleted,
    })
}
