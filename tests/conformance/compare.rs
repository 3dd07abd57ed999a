//! What was expected beside what was found.

use serde_json::Value;

/// What an expectation may say to the one who reads the case, and steers no comparison.
const WORDS: [&str; 5] = ["about", "deed", "link", "status", "supplier"];

/// Where they differ. An object is compared by the names that `expected` lists, `null` meaning that there is
/// none; an array by its length and every element; whatever else exactly.
pub fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare("", expected, found, &mut differences);
    differences
}

fn compare(path: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                if !path.is_empty() || !WORDS.contains(&name.as_str()) {
                    let other = found.get(name).unwrap_or(&Value::Null);
                    compare(&format!("{path}/{name}"), value, other, differences);
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (place, (value, other)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}/{place}"), value, other, differences);
            }
        }
        _ if expected == found => {}
        _ => differences.push(format!("{path}: expected {expected}, found {found}")),
    }
}

#[test]
fn tells_what_differs_and_nothing_else() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let found = json(r#"{"a": 1, "b": [1, {"c": "x", "d": null}], "e": {}}"#);
    for same in [r#"{"a": 1, "about": "it"}"#, r#"{"b": [1, {"c": "x", "z": null}]}"#, r#"{"z": null}"#] {
        assert!(differences(&json(same), &found).is_empty(), "{same}");
    }
    for (other, place) in [
        (r#"{"a": 2}"#, "/a"),
        (r#"{"a": null}"#, "/a"),
        (r#"{"b": [1]}"#, "/b"),
        (r#"{"b": [1, {"c": "y"}]}"#, "/b/1/c"),
        (r#"{"e": {"about": 1}}"#, "/e/about"),
        (r#"{"z": 1}"#, "/z"),
    ] {
        let told = differences(&json(other), &found);
        assert!(told.len() == 1 && told[0].starts_with(&format!("{place}: ")), "{other}: {told:?}");
    }
}
