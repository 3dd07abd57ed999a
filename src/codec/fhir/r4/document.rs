//! Documents: what there is, and each one's content by itself.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::domain::record::ItemKind;

use super::{
    Reading, ResourceType, moment,
    reading::Told,
    terms::{absent, one_of},
    text::{clean, code},
    writer::pruned,
};

/// What a document is and where its content is to be had; the content itself is another question to the policy.
pub(super) fn reference(told: &Told<'_>) -> Value {
    let said = told.text("status");
    let known = one_of(said, &["current", "superseded", "entered-in-error"]);
    let state = doc_status(said);
    if known.is_none() && state.is_none() {
        told.tell("status", "Status");
    }
    let recorded = told.text("recorded").and_then(moment::instant);
    if recorded.is_none() {
        told.tell("recorded", "Recorded");
    }
    let concept = pruned(json!({
        "coding": told.concept()["coding"],
        "text": told.text("type").or_else(|| told.text("name")).map(clean),
    }));
    let body = json!({
        "status": known.unwrap_or("current"),
        "docStatus": state,
        "type": concept,
        "subject": told.reading.subject(),
        "date": recorded,
        "author": [told.author()],
        "description": told.text("title").or_else(|| told.text("name")).map(clean),
        "content": [{ "attachment": attachment(told) }],
    });
    told.resource(ResourceType::DocumentReference, body, false)
}

/// HL7 table 0085 and FHIR's own words, as far as FHIR has them for documents.
fn doc_status(text: Option<&str>) -> Option<&'static str> {
    one_of(text, &["preliminary", "final", "amended"]).or_else(|| match text?.trim() {
        "F" => Some("final"),
        "P" | "R" | "S" => Some("preliminary"),
        "C" | "A" => Some("amended"),
        _ => None,
    })
}

/// Where the content is, if the record has it; what it is called in any case.
fn attachment(told: &Told<'_>) -> Value {
    let content = content(told);
    let address = content.as_ref().map(|_| format!("{}/Binary/{}", told.reading.base, told.id));
    let size = content.and_then(|content| u32::try_from(content.bytes).ok());
    let attachment = json!({
        "contentType": media_type(told),
        "url": address,
        "size": size,
        "title": told.string("title"),
        "creation": told.date_time("created", "Created"),
    });
    pruned(attachment).unwrap_or_else(|| absent("unknown"))
}

fn media_type(told: &Told<'_>) -> Value {
    match told.text("media_type") {
        Some(media_type) => code(media_type),
        None if told.text("encoding") == Some("text") => json!("text/plain; charset=utf-8"),
        None => Value::Null,
    }
}

/// A document's content in base64 without spaces, and how many bytes that is.
struct Content {
    data: String,
    bytes: usize,
}

/// The content, if there is any that can be given as bytes.
fn content(told: &Told<'_>) -> Option<Content> {
    let text = told.item.fields.get("content").filter(|text| !text.is_empty())?;
    match told.text("encoding").unwrap_or("text").to_ascii_lowercase().as_str() {
        "base64" => {
            let data: String = text.split_ascii_whitespace().collect();
            let bytes = STANDARD.decode(&data).ok()?.len();
            Some(Content { data, bytes })
        }
        "text" => Some(Content { data: STANDARD.encode(text), bytes: text.len() }),
        _ => None,
    }
}

/// The content of the document of this id, as a `Binary`; none if the record has none of it.
///
/// Takes as much memory as the content four times over.
pub fn binary(reading: &Reading<'_>, id: &str) -> Option<Value> {
    let told = reading.items(ItemKind::Document).find(|told| told.id == id)?;
    let content = content(&told)?;
    let media_type = match media_type(&told) {
        Value::Null => json!("application/octet-stream"),
        known => known,
    };
    pruned(json!({
        "resourceType": ResourceType::Binary.name(),
        "id": told.id,
        "meta": reading.meta(told.item.sources.first(), told.item.disputed),
        "contentType": media_type,
        "securityContext": { "reference": format!("DocumentReference/{}", told.id) },
        "data": content.data,
    }))
}
