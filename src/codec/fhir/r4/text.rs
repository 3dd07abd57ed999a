//! Texts of any source as FHIR takes them: no control characters, nothing blank, nothing too long, and no markup.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::codec::xml;

/// The longest string that FHIR takes, in bytes (R4, section 2.24, string).
pub(super) const STRING_BYTES_MAX: usize = 1 << 20;
/// What stands at the end of a text that was longer.
const CUT: &str = " [cut: the rest is too long for FHIR]";

/// A text as a string; null if there is nothing in it.
pub(super) fn clean(text: &str) -> Value {
    let text = sound(text.trim());
    if text.is_empty() { Value::Null } else { json!(text) }
}

/// A text as a code: single spaces within, none around.
pub(super) fn code(text: &str) -> Value {
    let words: Vec<&str> = text.split_whitespace().collect();
    clean(&words.join(" "))
}

/// The text with a mark in the place of each control character, cut if it is too long.
pub(super) fn sound(text: &str) -> Cow<'_, str> {
    let is_bad = |character: char| {
        (character.is_control() && !matches!(character, '\t' | '\n' | '\r'))
            || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    let text = if text.contains(is_bad) {
        Cow::Owned(text.replace(is_bad, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    };
    if text.len() <= STRING_BYTES_MAX {
        return text;
    }
    let end = text.floor_char_boundary(STRING_BYTES_MAX - CUT.len());
    Cow::Owned(format!("{}{CUT}", text.get(..end).unwrap_or_default()))
}

/// The text as the text of an XHTML element.
pub(super) fn escaped(text: &str) -> String {
    xml::escape(&sound(text))
}

/// Paragraphs as a narrative's `div`.
pub(super) fn division(inner: &str) -> String {
    format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_made_sound() {
        assert_eq!(clean(" a\u{0}b\n\u{7}\u{85} "), json!("a\u{fffd}b\n\u{fffd}"));
        assert_eq!((clean(" \n"), code("a \n b")), (Value::Null, json!("a b")));
        assert_eq!(
            escaped("<script>alert('1')&\"\u{1}</script>"),
            "&lt;script&gt;alert('1')&amp;&quot;\u{fffd}&lt;/script&gt;"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let long = "é".repeat(STRING_BYTES_MAX);
        let cut = sound(&long);
        assert!(cut.len() <= STRING_BYTES_MAX && cut.ends_with(CUT));
        assert_eq!(sound("short"), Cow::Borrowed("short"));
    }
}
