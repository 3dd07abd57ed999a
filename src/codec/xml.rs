//! XML documents small enough to hold as a tree: decoded, bounded, without document types.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

/// The longest tag: attributes are compared with one another, so that there must be few.
const TAG_BYTES_MAX: usize = 4096;
/// How often `<` and `=` may be there, in text too: the reader sets room aside for each before it looks at one, some
/// tens of MiB for these.
const MARKS_MAX: usize = 500_000;
/// How far into the bytes the XML declaration can be.
const DECLARATION_BYTES_MAX: usize = 200;
/// Windows-1252 from 0x80 on: what documents declared as ISO 8859-1 in truth have there.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}',
    '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}',
    '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}',
    '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

/// Why text is no document.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed, or with a document type.
    #[error("it is not well-formed XML")]
    Malformed,
    /// More elements, or longer tags, than any real document has.
    #[error("it has more elements, or longer tags, than a real document")]
    TooLarge,
}

/// Text by what the XML declaration says, and by what the bytes can be.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some(text) = utf_16(bytes) {
        return Cow::Owned(text);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let declaration = bytes[..bytes.len().min(DECLARATION_BYTES_MAX)].to_ascii_lowercase();
    let declaration = declaration.split(|byte| *byte == b'>').next().unwrap_or_default();
    let declared = |name: &[u8]| memchr::memmem::find(declaration, name).is_some();
    let single = declared(b"8859-1") || declared(b"1252");
    match std::str::from_utf8(bytes) {
        Ok(text) if !single || bytes.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|byte| windows_1252(*byte)).collect()),
    }
}

/// Reads decoded text as a tree of at most `nodes_max` elements, attributes and pieces of text. Document types are
/// refused, and with them every entity but XML's own.
///
/// # Errors
/// See [`XmlError`].
pub fn parse(text: &str, nodes_max: u32) -> Result<Document<'_>, XmlError> {
    if !has_short_tags(text) {
        return Err(XmlError::TooLarge);
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: nodes_max, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => XmlError::TooLarge,
        _ => XmlError::Malformed,
    })
}

/// Whether every tag outside comments and CDATA sections ends soon, and there are not too many.
pub fn has_short_tags(text: &str) -> bool {
    let bytes = text.as_bytes();
    let many = |mark: u8| MARKS_MAX < memchr::memchr_iter(mark, bytes).count();
    if many(b'<') || many(b'=') {
        return false;
    }
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'<', &bytes[at..]) {
        let rest = &bytes[at + found..];
        let (end, most): (&[u8], usize) = match rest {
            [b'<', b'!', b'[', ..] => (b"]]>", usize::MAX),
            [b'<', b'!', b'-', ..] => (b"-->", usize::MAX),
            _ => (b">", TAG_BYTES_MAX),
        };
        let length = memchr::memmem::find(&rest[..rest.len().min(most)], end);
        let Some(length) = length else { return false };
        at += found + length + end.len();
    }
    true
}

/// The first child element of a local name, whatever its namespace: senders get those wrong.
pub fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    children(node, name).next()
}

/// Every child element of a local name.
pub fn children<'a, 'input, 'name>(
    node: Node<'a, 'input>,
    name: &'name str,
) -> impl Iterator<Item = Node<'a, 'input>> + use<'a, 'input, 'name> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The element at the end of a path of local names.
pub fn at<'a, 'input>(node: Node<'a, 'input>, path: &[&str]) -> Option<Node<'a, 'input>> {
    path.iter().try_fold(node, |node, name| child(node, name))
}

/// An element's own text without space around it; empty if there is none.
pub fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default().trim()
}

/// The text of the element at the end of a path; empty if there is none.
pub fn text_at<'a>(node: Node<'a, '_>, path: &[&str]) -> &'a str {
    at(node, path).map(text).unwrap_or_default()
}

/// An attribute by its local name, without space around it; empty if there is none.
pub fn attribute<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_default().trim()
}

/// Text as it stands in an element or between double quotes. Characters that XML cannot carry are left out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(character),
            control if control < ' ' || matches!(control, '\u{fffe}' | '\u{ffff}') => {}
            other => out.push(other),
        }
    }
    out
}

/// UTF-16 is known by its byte order mark, without which XML must not use it.
fn utf_16(bytes: &[u8]) -> Option<String> {
    let (unit, rest): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xff, 0xfe, rest @ ..] => (u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => (u16::from_be_bytes, rest),
        _ => return None,
    };
    let units = rest.as_chunks().0.iter().map(|pair| unit(*pair));
    Some(char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_the_encodings_that_come() {
        let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xa35 \x96 \xe9</a>";
        assert!(decode(latin).ends_with("<a>£5 – é</a>"));
        assert_eq!(decode("\u{feff}<a>é</a>".as_bytes()), "<a>é</a>");
        let wide: Vec<u8> = "\u{feff}<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide), "<a>é</a>");
    }

    #[test]
    fn bombs_and_giants_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\">]><a>&b;</a>";
        assert_eq!(parse(bomb, 100).unwrap_err(), XmlError::Malformed);
        assert_eq!(parse(&format!("<a>{}</a>", "<b/>".repeat(200)), 100).unwrap_err(), XmlError::TooLarge);
        assert_eq!(parse(&format!("<a b=\"{}\"/>", "x".repeat(9000)), 100).unwrap_err(), XmlError::TooLarge);
        let document = parse("<p:a xmlns:p='u'><b><c d=' 1 '> two </c></b></p:a>", 100).unwrap();
        let found = at(document.root_element(), &["b", "c"]).unwrap();
        assert_eq!((text(found), attribute(found, "d")), ("two", "1"));
        assert_eq!(escape("a<b>&\"c\u{1}"), "a&lt;b&gt;&amp;&quot;c");
    }
}
