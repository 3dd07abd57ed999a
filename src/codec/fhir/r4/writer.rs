//! A resource as bytes: decimals with the digits they came with, and nothing that says nothing.

use serde_json::{Map, Value};

use crate::codec::fhir::number::is_number;

/// The parts of a resource that are quantities, whose `value` is a decimal.
const QUANTITIES: [&str; 3] = ["valueQuantity", "low", "high"];

/// Writes a resource as `application/fhir+json`. Quantities whose value is a text of digits are written as numbers with
/// all their digits: 7.10 is not 7.1 (R4, section 2.24, decimal).
///
/// Takes as much memory as the resource has text, twice at most.
pub fn write(resource: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_value(resource, false, &mut bytes);
    bytes
}

fn write_value(value: &Value, is_quantity: bool, bytes: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            bytes.push(b'{');
            for (place, (name, member)) in members.iter().enumerate() {
                if 0 < place {
                    bytes.push(b',');
                }
                write_text(name, bytes);
                bytes.push(b':');
                match member {
                    Value::String(digits) if is_quantity && name == "value" && is_number(digits) => {
                        bytes.extend(digits.as_bytes());
                    }
                    _ => write_value(member, QUANTITIES.contains(&name.as_str()), bytes),
                }
            }
            bytes.push(b'}');
        }
        Value::Array(all) => {
            bytes.push(b'[');
            for (place, one) in all.iter().enumerate() {
                if 0 < place {
                    bytes.push(b',');
                }
                write_value(one, is_quantity, bytes);
            }
            bytes.push(b']');
        }
        Value::String(text) => write_text(text, bytes),
        other => bytes.extend(other.to_string().as_bytes()),
    }
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    // Writing text to memory cannot fail.
    if serde_json::to_writer(&mut *bytes, text).is_err() {
        bytes.extend(b"\"\"");
    }
}

/// Leaves out what FHIR does not allow to be there: nulls, blank texts, and lists and objects with nothing in them.
/// Of an object with a `resourceType`, that alone is something.
pub(super) fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::Array(all) => {
            let all: Vec<Value> = all.into_iter().filter_map(pruned).collect();
            (!all.is_empty()).then_some(Value::Array(all))
        }
        Value::Object(members) => {
            let kept: Map<String, Value> =
                members.into_iter().filter_map(|(name, member)| Some((name, pruned(member)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_keep_their_digits_and_texts_stay_texts() {
        let one = json!({"valueQuantity": {"value": "7.10", "unit": "1.0"}, "value": "7.10",
            "referenceRange": [{"low": {"value": "3.50"}, "text": "\"3.50\" \u{1}"}], "flag": true, "n": 3});
        let text = String::from_utf8(write(&one)).unwrap();
        assert_eq!(
            text,
            r#"{"flag":true,"n":3,"referenceRange":[{"low":{"value":3.50},"text":"\"3.50\" \u0001"}],"value":"7.10","valueQuantity":{"unit":"1.0","value":7.10}}"#
        );
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        let hostile = json!({"valueQuantity": {"value": "1,\"x\":2"}});
        assert_eq!(write(&hostile), hostile.to_string().into_bytes());
    }

    #[test]
    fn nothing_is_left_out_that_says_something() {
        let one =
            json!({"a": null, "b": "", "c": [], "d": {}, "e": [{"f": " "}], "g": false, "h": 0, "i": ["x"]});
        assert_eq!(pruned(one), Some(json!({"g": false, "h": 0, "i": ["x"]})));
        assert_eq!(pruned(json!({"a": [[]]})), None);
    }
}
