//! Addresses within the portal, and nowhere else.

use std::fmt::Write as _;

/// Longer addresses are nobody's page.
const BYTES_MAX: usize = 512;

/// A path of this portal, with its query: safe to send a browser to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LocalPath(String);

impl LocalPath {
    /// The path, or `/` if it leads elsewhere: browsers take `//host` and `/\host` for other sites.
    pub fn or_home(text: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let local = text.starts_with('/')
            && !text.starts_with("//")
            && text.len() <= BYTES_MAX
            && text.bytes().all(plain);
        Self(if local { text.to_owned() } else { "/".to_owned() })
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text as one value of a query (RFC 3986, section 2.3; `/` may stand in a query).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            write!(encoded, "%{byte:02X}").unwrap_or_default();
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_portal_are_gone_to() {
        for local in ["/", "/reception", "/book?step=2&slot=a%2Fb", "/a//b"] {
            assert_eq!(LocalPath::or_home(local).as_str(), local);
        }
        for foreign in [
            "",
            "reception",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/\tevil.example",
            "/a\r\nSet-Cookie: x=y",
            "/ä",
            " /reception",
            &format!("/{}", "a".repeat(512)),
        ] {
            assert_eq!(LocalPath::or_home(foreign).as_str(), "/", "{foreign:?}");
        }
    }

    #[test]
    fn a_value_of_a_query_holds_nothing_that_ends_it() {
        assert_eq!(encoded("/book?a=1&b=2#c"), "/book%3Fa%3D1%26b%3D2%23c");
    }
}
