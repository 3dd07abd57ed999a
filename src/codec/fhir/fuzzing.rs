//! Whatever bytes come, reading ends, within bounds and without a panic: for fuzzers and for tests.

use serde_json::Value;

use super::{Bundle, DOCUMENT_BYTES_MAX, Element, Format, read, read_json, read_xml, write};

/// Reads the bytes as JSON and as XML, looks at what came out through every kind of view, writes it both ways
/// and reads it back.
///
/// # Panics
/// If what was written does not read back: that is a finding.
pub fn one_input(bytes: &[u8]) {
    for tree in [read_json(bytes), read_xml(bytes), read(bytes)].into_iter().flatten() {
        look(Element::of(&tree));
        if let Some(bundle) = Bundle::of(Element::of(&tree)) {
            bundle.entries().for_each(|(_, resource)| look(resource));
        }
        let json = write(&tree, Format::Json);
        match read_json(&json) {
            Ok(again) => assert_eq!(again, tree, "JSON that we wrote reads back otherwise"),
            // Escapes may make it longer than it came.
            Err(error) => {
                assert!(DOCUMENT_BYTES_MAX < json.len(), "JSON that we wrote does not read: {error}")
            }
        }
        let xml = write(&tree, Format::Xml);
        let kind = |tree: &Value| tree.get("resourceType").cloned();
        if let Ok(again) = read_xml(&xml) {
            assert_eq!(kind(&again), kind(&tree), "XML that we wrote is another resource");
        }
    }
}

fn look(element: Element<'_>) {
    let Some(members) = element.value().as_object() else { return };
    for (name, _) in members {
        for part in element.each(name) {
            drop((part.word(), part.moment(), part.is_true()));
            look(part);
        }
    }
}

/// Inputs that have broken readers elsewhere, each of `size` bytes or so.
pub fn hostile_inputs(size: usize) -> Vec<Vec<u8>> {
    let fill = |head: &str, unit: &str, tail: &str| {
        let count = size.saturating_sub(head.len() + tail.len()) / unit.len().max(1);
        format!("{head}{}{tail}", unit.repeat(count)).into_bytes()
    };
    let attributes = (0..size / 12).map(|number| format!(" a{number:x}=\"\"")).collect::<String>();
    let members = (0..size / 17).map(|number| format!(",\"value{number:X}\":1")).collect::<String>();
    vec![
        format!("<Bundle{attributes}/>").into_bytes(),
        format!("{{\"resourceType\":\"Observation\"{members}}}").into_bytes(),
        fill("", "[", ""),
        fill("{\"resourceType\":\"Bundle\",\"entry\":[", "{},", "{}]}"),
        fill("{\"resourceType\":\"Bundle\",\"entry\":[", "[[]],", "1]}"),
        fill("{\"resourceType\":\"Bundle\",\"x\":\"", "\\u0041", "\"}"),
        fill("{\"resourceType\":\"Bundle\",\"x\":", "1", "}"),
        fill("{\"a\":", "{\"a\":", "1"),
        fill("<Bundle>", "<entry>", ""),
        fill("<Bundle>", "<entry/>", "</Bundle>"),
        fill("<Bundle", " a=\"1\"", "/>"),
        fill("<Bundle><text><div>", "<div>", "</div></text></Bundle>"),
        fill("<!DOCTYPE x [<!ENTITY a \"", "lol", "\">]><Bundle><id value=\"&a;\"/></Bundle>"),
        fill("<Bundle><id value=\"", "&amp;", "\"/></Bundle>"),
        fill("<Bundle><!--", "-", "--></Bundle>"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_inputs_end_within_bounds() {
        for input in hostile_inputs(1 << 20) {
            one_input(&input);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            one_input(&bytes);
        }

        #[test]
        fn anything_like_fhir_ends(
            text in r#"(\{"resourceType":"(Slot|List)"(,"(id|extension|_id|text|div|zz)":("a"|7.10|\[\]|\{"url":"x"\}|\[null,"b"\]|true)){0,3}\})|(<Patient>(<(id|name|text|div|given) ?(value="a"|id="b")?/?>){0,4}(</name>)?</Patient>)"#
        ) {
            one_input(text.as_bytes());
        }
    }
}
