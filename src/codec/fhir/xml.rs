//! FHIR XML into the same tree as FHIR JSON (STU3, section 2.6.2): values from attributes, lists where STU3 has
//! them, narrative as its own source text. Document types are refused, so no entity can be defined.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use serde_json::{Map, Value};

use super::{
    FhirError,
    budget::{Budget, deeper},
    number,
    schema::{self, Field, Kind},
    text_of,
};

/// Where FHIR's elements live.
pub(super) const NAMESPACE: &str = "http://hl7.org/fhir";
/// Where narrative lives.
pub(super) const NARRATIVE_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
/// FHIR knows three attributes and a few declarations.
const ATTRIBUTES_MAX: usize = 32;

/// Reads a resource in XML.
///
/// # Errors
/// See [`FhirError`].
pub fn read_xml(bytes: &[u8]) -> Result<Value, FhirError> {
    let mut tree = Tree { xml: Reader::from_str(text_of(bytes)?), budget: Budget::new() };
    let mut resource = None;
    loop {
        let at = tree.at();
        match tree.event()? {
            Event::Start(start) if resource.is_none() => resource = Some(tree.resource(&start, false, 0)?),
            Event::Empty(start) if resource.is_none() => resource = Some(tree.resource(&start, true, 0)?),
            Event::Start(_) | Event::Empty(_) => {
                return Err(FhirError::Malformed { at, reason: "more follows after the resource" });
            }
            Event::Eof => return resource.ok_or(FhirError::NoResource),
            _ => {}
        }
    }
}

struct Tree<'a> {
    xml: Reader<&'a [u8]>,
    budget: Budget,
}

/// What an element turned out to hold.
#[derive(Default)]
struct Content {
    /// Its `value` attribute.
    value: Option<String>,
    /// Its other attributes and its elements.
    members: Map<String, Value>,
}

impl<'a> Tree<'a> {
    fn resource(&mut self, start: &BytesStart<'a>, empty: bool, depth: usize) -> Result<Value, FhirError> {
        let name = local_name(start);
        let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase());
        if !begins_well {
            return Err(FhirError::NoResource);
        }
        let mut content = self.content(start, empty, Some(&name), depth)?;
        content.members.insert("resourceType".to_owned(), Value::String(name));
        Ok(Value::Object(content.members))
    }

    fn content(
        &mut self,
        start: &BytesStart<'a>,
        empty: bool,
        of: Option<&str>,
        depth: usize,
    ) -> Result<Content, FhirError> {
        let depth = deeper(depth, self.at())?;
        let mut content = self.attributes(start)?;
        if empty {
            return Ok(content);
        }
        self.budget.object(self.at())?;
        loop {
            match self.event()? {
                Event::Start(child) => self.child(&mut content.members, &child, false, of, depth)?,
                Event::Empty(child) => self.child(&mut content.members, &child, true, of, depth)?,
                Event::End(_) => return Ok(content),
                Event::Eof => return Err(self.malformed("it ends early")),
                _ => {}
            }
        }
    }

    fn attributes(&mut self, start: &BytesStart<'a>) -> Result<Content, FhirError> {
        let mut content = Content::default();
        // The reader's own check for names given twice compares each with all before it.
        for (index, attribute) in start.attributes().with_checks(false).enumerate() {
            if index == ATTRIBUTES_MAX {
                return Err(FhirError::TooLarge(self.at()));
            }
            let attribute = attribute.map_err(|_| self.malformed("an attribute is written wrongly"))?;
            let name = attribute.key.0;
            if name == "xmlns" || name.contains(':') {
                continue;
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| self.malformed("an attribute uses an unknown entity"))?
                .into_owned();
            self.budget.text(value.len(), self.at())?;
            let before = if name == "value" {
                content.value.replace(value).is_some()
            } else {
                content.members.insert(name.to_owned(), Value::String(value)).is_some()
            };
            if before {
                return Err(FhirError::DuplicateName(self.at()));
            }
        }
        Ok(content)
    }

    fn child(
        &mut self,
        members: &mut Map<String, Value>,
        start: &BytesStart<'a>,
        empty: bool,
        of: Option<&str>,
        depth: usize,
    ) -> Result<(), FhirError> {
        let name = local_name(start);
        let at = self.at();
        self.budget.member(name.len(), at)?;
        self.budget.value(at)?;
        let field = of.and_then(|of| schema::field(of, &name));
        let kind = field.map(|field| field.kind);
        let repeats = field.map_or(name == "extension", |field| field.repeats);
        match kind {
            Some(Kind::Narrative) => {
                let text = self.narrative(start, empty)?;
                add(members, name, repeats, Value::String(text));
            }
            Some(Kind::Resource) => {
                if let Some(resource) = self.within(empty, depth)? {
                    add(members, name, repeats, resource);
                }
            }
            _ => {
                let below = match kind {
                    Some(Kind::Complex(below)) => Some(below),
                    None if name == "extension" => Some("Extension"),
                    _ => None,
                };
                let content = self.content(start, empty, below, depth)?;
                self.budget.object(at)?;
                place(members, name, repeats, field, content);
            }
        }
        Ok(())
    }

    /// The resource within an element such as `contained`.
    fn within(&mut self, empty: bool, depth: usize) -> Result<Option<Value>, FhirError> {
        let depth = deeper(depth, self.at())?;
        let mut found = None;
        if empty {
            return Ok(found);
        }
        loop {
            match self.event()? {
                Event::Start(start) if found.is_none() => found = Some(self.resource(&start, false, depth)?),
                Event::Empty(start) if found.is_none() => found = Some(self.resource(&start, true, depth)?),
                Event::Start(_) | Event::Empty(_) => {
                    return Err(self.malformed("two resources where one belongs"));
                }
                Event::End(_) => return Ok(found),
                Event::Eof => return Err(self.malformed("it ends early")),
                _ => {}
            }
        }
    }

    fn narrative(&mut self, start: &BytesStart<'a>, empty: bool) -> Result<String, FhirError> {
        let inner = if empty {
            String::new()
        } else {
            let text = self.xml.read_text(start.name());
            String::from(&*text.map_err(|_| FhirError::Malformed {
                at: position(&self.xml),
                reason: "the narrative does not end",
            })?)
        };
        self.budget.text(inner.len(), self.at())?;
        Ok(format!("<div xmlns=\"{NARRATIVE_NAMESPACE}\">{inner}</div>"))
    }

    fn event(&mut self) -> Result<Event<'a>, FhirError> {
        match self.xml.read_event() {
            Ok(Event::DocType(_)) => Err(FhirError::DocumentType),
            Ok(event) => Ok(event),
            Err(_) => Err(self.malformed("a tag is missing or written wrongly")),
        }
    }

    fn at(&self) -> usize {
        position(&self.xml)
    }

    fn malformed(&self, reason: &'static str) -> FhirError {
        FhirError::Malformed { at: self.at(), reason }
    }
}

fn position(xml: &Reader<&[u8]>) -> usize {
    usize::try_from(xml.buffer_position()).unwrap_or(usize::MAX)
}

fn local_name(start: &BytesStart<'_>) -> String {
    start.local_name().into_inner().to_owned()
}

/// Puts a value or a part where JSON has it: a simple value beside what extends it, under `_name`.
fn place(
    members: &mut Map<String, Value>,
    name: String,
    repeats: bool,
    field: Option<Field>,
    content: Content,
) {
    let simple = field.is_some_and(|field| !matches!(field.kind, Kind::Complex(_)));
    if content.value.is_none() && !simple {
        return add(members, name, repeats, Value::Object(content.members));
    }
    let index = members.get(&name).and_then(Value::as_array).map_or(0, Vec::len);
    let extended = format!("_{name}");
    if !content.members.is_empty() {
        let beside = Value::Object(content.members);
        if repeats {
            let list = members.entry(&*extended).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.resize(index.max(list.len()), Value::Null);
                list.push(beside);
            }
        } else {
            members.insert(extended, beside);
        }
    }
    match content.value {
        Some(text) => add(members, name, repeats, scalar(field.map(|field| field.kind), text)),
        None if repeats => add(members, name, repeats, Value::Null),
        None => {}
    }
}

fn scalar(kind: Option<Kind>, text: String) -> Value {
    match (kind, text.as_str()) {
        (Some(Kind::Boolean), "true") => Value::Bool(true),
        (Some(Kind::Boolean), "false") => Value::Bool(false),
        (Some(Kind::Number), digits) if number::is_number(digits) => number::number(digits),
        _ => Value::String(text),
    }
}

/// Adds to a list, or sets; a second value where only one belongs makes a list, so that nothing is lost.
fn add(members: &mut Map<String, Value>, name: String, repeats: bool, value: Value) {
    match members.get_mut(&name) {
        Some(Value::Array(list)) => list.push(value),
        Some(first) => {
            let first = first.take();
            members.insert(name, Value::Array(vec![first, value]));
        }
        None if repeats => {
            members.insert(name, Value::Array(vec![value]));
        }
        None => {
            members.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fhir::DEPTH_MAX;
    use serde_json::json;

    #[test]
    fn reads_a_resource_as_json_would_have_it() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <!-- made up -->
            <Patient xmlns="http://hl7.org/fhir">
              <id value="p1"/>
              <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">An <b>A&amp;E</b> <div/>note</div></text>
              <contained><Organization><id value="o"/><name value="O&apos;Brien &amp; Co&#10;x"/></Organization></contained>
              <extension url="urn:x"><extension url="y"><valueBoolean value="true"/></extension></extension>
              <identifier><system value="urn:n"/><value value="1"/></identifier>
              <active value="true"/>
              <name><family value="Lee"><extension url="urn:q"><valueCode value="z"/></extension></family>
                <given value="A"/><given value="B"><extension url="urn:q"><valueInteger value="2"/></extension></given></name>
              <birthDate value="1950-02"/>
              <unheardOf><part value="1"/></unheardOf>
            </Patient>"#;
        let expected = json!({
            "resourceType": "Patient", "id": "p1", "active": true, "birthDate": "1950-02",
            "text": {"status": "generated",
                     "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">An <b>A&amp;E</b> <div/>note</div>"},
            "contained": [{"resourceType": "Organization", "id": "o", "name": "O'Brien & Co\nx"}],
            "extension": [{"url": "urn:x", "extension": [{"url": "y", "valueBoolean": true}]}],
            "identifier": [{"system": "urn:n", "value": "1"}],
            "name": [{"family": "Lee", "_family": {"extension": [{"url": "urn:q", "valueCode": "z"}]},
                      "given": ["A", "B"],
                      "_given": [null, {"extension": [{"url": "urn:q", "valueInteger": 2}]}]}],
            "unheardOf": {"part": "1"}
        });
        assert_eq!(read_xml(xml.as_bytes()), Ok(expected));
    }

    #[test]
    fn decimals_keep_their_digits_and_prefixes_are_passed_over() {
        let xml = br#"<f:Observation xmlns:f="http://hl7.org/fhir"><f:valueQuantity><f:value value="7.10"/></f:valueQuantity></f:Observation>"#;
        assert_eq!(
            read_xml(xml),
            Ok(json!({"resourceType": "Observation", "valueQuantity": {"value": "7.10"}}))
        );
    }

    #[test]
    fn entities_cannot_be_defined_and_unknown_ones_are_refused() {
        let bomb = br#"<!DOCTYPE Patient [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><Patient><id value="&b;"/></Patient>"#;
        assert_eq!(read_xml(bomb), Err(FhirError::DocumentType));
        let unknown = br#"<Patient><id value="&b;"/></Patient>"#;
        assert!(matches!(read_xml(unknown), Err(FhirError::Malformed { .. })));
    }

    #[test]
    fn what_is_broken_or_deep_is_refused() {
        for broken in
            ["<Patient>", "<Patient></Bundle>", "<Patient><id value=1/></Patient>", "<Patient/><Patient/>"]
        {
            assert!(matches!(read_xml(broken.as_bytes()), Err(FhirError::Malformed { .. })), "{broken}");
        }
        let twice = read_xml(b"<Patient><id value='1' value='2'/></Patient>");
        assert!(matches!(twice, Err(FhirError::DuplicateName(_))), "{twice:?}");
        assert_eq!(read_xml(b"<html/>"), Err(FhirError::NoResource));
        assert_eq!(read_xml(b"<!-- nothing -->"), Err(FhirError::NoResource));
        let deep = format!("<Patient>{}", "<extension>".repeat(DEPTH_MAX + 1));
        assert!(matches!(read_xml(deep.as_bytes()), Err(FhirError::TooDeep(_))));
        let many = format!("<Patient>{}</Patient>", "<name/>".repeat(400_000));
        assert!(matches!(read_xml(many.as_bytes()), Err(FhirError::TooLarge(_))));
    }
}
