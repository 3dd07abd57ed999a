//! The tree as FHIR XML: elements in STU3's order, what STU3 does not know last.

use quick_xml::{Reader, escape::escape, events::Event};
use serde_json::{Map, Value};

use super::{
    DEPTH_MAX,
    schema::{self, Kind},
    xml::{NAMESPACE, NARRATIVE_NAMESPACE},
};

/// Writes a resource as XML. Parts below [`DEPTH_MAX`] levels are left out, as no reader takes them.
pub fn write_xml(resource: &Value) -> Vec<u8> {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    write_resource(&mut out, resource, Some(NAMESPACE), 0);
    out.into_bytes()
}

fn write_resource(out: &mut String, resource: &Value, namespace: Option<&str>, depth: usize) {
    let Some(members) = resource.as_object() else { return };
    let Some(name) = members.get("resourceType").and_then(Value::as_str) else { return };
    if !is_name(name) {
        return;
    }
    open(out, name, namespace);
    write_members(out, members, Some(name), depth);
    close(out, name);
}

fn write_members(out: &mut String, members: &Map<String, Value>, of: Option<&str>, depth: usize) {
    if DEPTH_MAX < depth {
        return;
    }
    let known = of.and_then(schema::fields).unwrap_or_default();
    let mut written = Vec::new();
    for field in known {
        match field.name.strip_suffix("[x]") {
            None => written.push(field.name),
            Some(stem) => written.extend(members.keys().map(String::as_str).filter(|name| {
                name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
            })),
        }
    }
    let is_unknown = |name: &&str| of.and_then(|of| schema::field(of, name)).is_none();
    let rest: Vec<&str> = members.keys().map(String::as_str).filter(is_unknown).collect();
    for name in written.iter().chain(&rest) {
        let is_element_id = *name == "id" && !members.contains_key("resourceType");
        let is_attribute = *name == "resourceType" || is_element_id || is_url(name, of);
        if !is_attribute && !name.starts_with('_') {
            write_member(out, members, name, of, depth);
        }
    }
}

fn is_url(name: &str, of: Option<&str>) -> bool {
    name == "url" && of == Some("Extension")
}

fn write_member(out: &mut String, members: &Map<String, Value>, name: &str, of: Option<&str>, depth: usize) {
    let kind = of.and_then(|of| schema::field(of, name)).map(|field| field.kind);
    let beside = members.get(&format!("_{name}"));
    match members.get(name) {
        Some(Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                write_one(out, name, value, beside.and_then(|beside| beside.get(index)), kind, depth);
            }
        }
        Some(value) => write_one(out, name, value, beside, kind, depth),
        None => {
            if beside.is_some() {
                write_one(out, name, &Value::Null, beside, kind, depth);
            }
        }
    }
}

fn write_one(
    out: &mut String,
    name: &str,
    value: &Value,
    beside: Option<&Value>,
    kind: Option<Kind>,
    depth: usize,
) {
    if !is_name(name) {
        return;
    }
    let text = match value {
        Value::Object(members) => {
            if kind == Some(Kind::Resource) {
                open(out, name, None);
                write_resource(out, value, None, depth + 1);
                return close(out, name);
            }
            let below = match kind {
                Some(Kind::Complex(below)) => Some(below),
                _ if name == "extension" => Some("Extension"),
                _ => None,
            };
            return write_element(out, name, None, members, below, depth + 1);
        }
        Value::String(text) if kind == Some(Kind::Narrative) => {
            if is_well_formed(text) {
                out.push_str(text);
            }
            return;
        }
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) => None,
    };
    let nothing = Map::new();
    let beside = beside.and_then(Value::as_object).unwrap_or(&nothing);
    if text.is_some() || !beside.is_empty() {
        write_element(out, name, text.as_deref(), beside, Some("Element"), depth + 1);
    }
}

fn write_element(
    out: &mut String,
    name: &str,
    value: Option<&str>,
    members: &Map<String, Value>,
    of: Option<&str>,
    depth: usize,
) {
    out.extend(["<", name]);
    let attribute = |name: &str| members.get(name).and_then(Value::as_str);
    let url = attribute("url").filter(|_| of == Some("Extension"));
    // An element's id is an attribute, a resource's an element.
    let id = attribute("id");
    for (key, text) in [("id", id), ("url", url), ("value", value)] {
        if let Some(text) = text {
            out.extend([" ", key, "=\"", &escaped(text), "\""]);
        }
    }
    out.push('>');
    write_members(out, members, of, depth);
    close(out, name);
}

fn open(out: &mut String, name: &str, namespace: Option<&str>) {
    out.extend(["<", name]);
    if let Some(namespace) = namespace {
        out.extend([" xmlns=\"", namespace, "\""]);
    }
    out.push('>');
}

fn close(out: &mut String, name: &str) {
    out.extend(["</", name, ">"]);
}

/// Line ends and tabs as references, for attributes lose them otherwise; characters XML forbids as the
/// replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in escape(text).chars() {
        match character {
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            control if u32::from(control) < 0x20 => out.push(char::REPLACEMENT_CHARACTER),
            other => out.push(other),
        }
    }
    out
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Narrative goes in as it is, so it must be a `div` that ends where it should and defines nothing.
fn is_well_formed(narrative: &str) -> bool {
    let mut xml = Reader::from_str(narrative);
    let mut depth = 0_usize;
    let mut roots = 0;
    loop {
        match xml.read_event() {
            Ok(Event::Start(start)) => {
                roots += usize::from(depth == 0);
                let is_div = start.name().0 == "div" && narrative.contains(NARRATIVE_NAMESPACE);
                if (depth == 0 && !is_div)
                    || start.attributes().with_checks(false).any(|attribute| attribute.is_err())
                {
                    return false;
                }
                depth += 1;
            }
            Ok(Event::Empty(_)) => roots += usize::from(depth == 0),
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) => return depth == 0 && roots == 1,
            Ok(Event::DocType(_) | Event::PI(_) | Event::Decl(_)) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fhir::read_xml;
    use serde_json::json;

    #[test]
    fn elements_come_in_stu3_order_and_values_survive() {
        let appointment = json!({
            "resourceType": "Appointment", "status": "booked", "id": "1", "comment": "a\n<b> \"c\"\t",
            "start": "2026-11-24T09:00:00+00:00", "end": "2026-11-24T09:10:00+00:00", "zzz": "kept",
            "contained": [{"resourceType": "Organization", "id": "1", "name": "X & Y"}],
            "extension": [{"url": "urn:a", "valueReference": {"reference": "#1"}}],
            "participant": [{"actor": {"reference": "Patient/2"}, "status": "accepted"}],
            "_created": {"extension": [{"url": "urn:b", "valueCode": "asked"}]},
            "minutesDuration": 10
        });
        let written = write_xml(&appointment);
        assert_eq!(read_xml(&written), Ok(appointment));
        let text = String::from_utf8(written).unwrap();
        let place = |name: &str| text.find(&format!("<{name}")).unwrap_or_else(|| panic!("{name}: {text}"));
        let order = [
            "id",
            "contained",
            "extension",
            "status",
            "start",
            "end",
            "created",
            "comment",
            "participant",
            "zzz",
        ];
        assert!(order.is_sorted_by_key(|name| place(name)), "{text}");
    }

    #[test]
    fn narrative_that_is_not_well_formed_is_left_out() {
        let with = |div: &str| json!({"resourceType": "List", "text": {"status": "generated", "div": div}});
        let good = with("<div xmlns=\"http://www.w3.org/1999/xhtml\">a<br/>b</div>");
        assert_eq!(read_xml(&write_xml(&good)), Ok(good));
        for bad in ["<div>x", "x", "<div xmlns=\"http://www.w3.org/1999/xhtml\"/></text><evil/>"] {
            let text = String::from_utf8(write_xml(&with(bad))).unwrap();
            assert!(!text.contains("div") && !text.contains("evil"), "{text}");
        }
    }

    #[test]
    fn a_resource_of_a_type_that_is_not_listed_keeps_its_id() {
        let binary = json!({"resourceType": "Binary", "id": "7", "contentType": "text/plain",
            "meta": {"versionId": "2"}, "securityContext": {"id": "e", "reference": "Patient/1"}});
        assert_eq!(read_xml(&write_xml(&binary)), Ok(binary));
    }

    #[test]
    fn names_that_are_none_are_not_written() {
        let odd = json!({"resourceType": "List", "a><b": "1", "status": "current"});
        assert_eq!(read_xml(&write_xml(&odd)), Ok(json!({"resourceType": "List", "status": "current"})));
    }
}
