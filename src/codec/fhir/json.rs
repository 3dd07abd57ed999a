//! FHIR JSON within limits (RFC 8259): no name twice in an object, decimals with all their digits.

use serde_json::{Map, Value};

use super::{
    FhirError,
    budget::{Budget, deeper},
    number, text_of,
};

/// FHIR's decimals have 18 digits at most (STU3, section 2.24).
const NUMBER_BYTES_MAX: usize = 64;

/// Reads a resource in JSON. A byte order mark is passed over, and line ends within strings are taken as they
/// are, for some systems write both.
///
/// # Errors
/// See [`FhirError`].
pub fn read_json(bytes: &[u8]) -> Result<Value, FhirError> {
    let text = text_of(bytes)?;
    let mut reader = Reader { text, at: 0, budget: Budget::new() };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.malformed("more follows after the resource"));
    }
    let is_resource = value.get("resourceType").is_some_and(Value::is_string);
    if is_resource { Ok(value) } else { Err(FhirError::NoResource) }
}

struct Reader<'a> {
    text: &'a str,
    /// Always between two characters.
    at: usize,
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, FhirError> {
        self.skip_space();
        self.budget.value(self.at)?;
        match self.peek() {
            Some(b'{') => self.object(deeper(depth, self.at)?),
            Some(b'[') => self.list(deeper(depth, self.at)?),
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.malformed("a value does not begin so")),
            None => Err(self.malformed("it ends early")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, FhirError> {
        self.budget.object(self.at)?;
        let mut members = Map::new();
        self.at += 1;
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.malformed("a name is missing"));
            }
            let name = self.string()?;
            self.budget.member(name.len(), at)?;
            if members.contains_key(&name) {
                return Err(FhirError::DuplicateName(at));
            }
            if !self.take(b':') {
                return Err(self.malformed("a colon is missing"));
            }
            let value = self.value(depth)?;
            members.insert(name, value);
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.malformed("a comma or brace is missing"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, FhirError> {
        let mut values = Vec::new();
        self.at += 1;
        if self.take(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.take(b']') {
                return Ok(Value::Array(values));
            }
            if !self.take(b',') {
                return Err(self.malformed("a comma or bracket is missing"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, FhirError> {
        let rest = self.rest();
        let part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().position(|byte| !part(byte)).unwrap_or(rest.len());
        let text = rest.get(..length).unwrap_or_default();
        if NUMBER_BYTES_MAX < length || !number::is_number(text) {
            return Err(self.malformed("a number is written wrongly"));
        }
        self.budget.text(length, self.at)?;
        self.at += length;
        Ok(number::number(text))
    }

    fn literal(&mut self, word: &'static str, value: Value) -> Result<Value, FhirError> {
        if !self.rest().starts_with(word) {
            return Err(self.malformed("a word other than true, false or null"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn string(&mut self) -> Result<String, FhirError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(plain) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) else {
                return Err(self.malformed("a string does not end"));
            };
            text.push_str(rest.get(..plain).unwrap_or_default());
            let ends = rest.as_bytes().get(plain) == Some(&b'"');
            self.at += plain + 1;
            if ends {
                self.budget.text(text.len(), self.at)?;
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, FhirError> {
        let byte = self.peek().ok_or_else(|| self.malformed("it ends early"))?;
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.malformed("an unknown escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `\uXXXX`, or a pair of them; half a pair becomes the replacement character.
    fn unicode(&mut self) -> Result<char, FhirError> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        if self.rest().starts_with("\\u") {
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let whole = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32, FhirError> {
        let digits = self.rest().get(..4).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
        let value = value.ok_or_else(|| self.malformed("four hexadecimal digits are missing"))?;
        self.at += 4;
        Ok(value)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    const fn malformed(&self, reason: &'static str) -> FhirError {
        FhirError::Malformed { at: self.at, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fhir::{DEPTH_MAX, DOCUMENT_BYTES_MAX};
    use proptest::prelude::*;

    fn of(body: &str) -> Result<Value, FhirError> {
        read_json(format!(r#"{{"resourceType":"Basic","x":{body}}}"#).as_bytes())
    }

    #[test]
    fn reads_what_serde_reads() {
        let text =
            r#" {"resourceType":"Basic","a":[1,-2.5,"x\n\u00e9\ud83d\ude00\/",null,true,{}],"b":{"c":[]}} "#;
        let ours = read_json(text.as_bytes()).unwrap();
        assert_eq!(ours, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_mark_a_raw_line_end_and_half_a_pair_are_borne() {
        assert!(read_json(b"\xef\xbb\xbf{\"resourceType\":\"Basic\"}").is_ok());
        assert_eq!(of("\"a\nb\"").unwrap()["x"], "a\nb");
        assert_eq!(of(r#""\ud800x""#).unwrap()["x"], "\u{fffd}x");
        assert_eq!(of(r#""\ud800\u0041""#).unwrap()["x"], "\u{fffd}A");
    }

    #[test]
    fn a_decimal_keeps_its_digits() {
        assert_eq!(of("7.10").unwrap()["x"], "7.10");
        assert_eq!(of("7.1").unwrap()["x"], 7.1);
        assert_eq!(of("28").unwrap()["x"], 28);
    }

    #[test]
    fn what_is_broken_is_refused_with_its_place() {
        assert!(matches!(of(r#"{"a":1,"a":2}"#), Err(FhirError::DuplicateName(_))));
        for broken in ["", "[1", "[1,]", "{\"a\"}", "tru", "01", "\"\\x\"", "\"\\u12\"", "1 2", "'a'"] {
            assert!(matches!(of(broken), Err(FhirError::Malformed { .. })), "{broken}");
        }
        assert_eq!(read_json(b"[]"), Err(FhirError::NoResource));
        assert_eq!(read_json(b"{}"), Err(FhirError::NoResource));
        assert!(matches!(read_json(b"{\"resourceType\":\"\xff\"}"), Err(FhirError::NotUtf8(_))));
    }

    #[test]
    fn depth_length_and_memory_have_limits() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(of(&nested(DEPTH_MAX - 1)).is_ok());
        assert!(matches!(of(&nested(DEPTH_MAX)), Err(FhirError::TooDeep(_))));
        assert!(matches!(of(&"[".repeat(1 << 20)), Err(FhirError::TooDeep(_))));
        assert_eq!(read_json(&vec![b' '; DOCUMENT_BYTES_MAX + 1]), Err(FhirError::TooLong));
        let many = format!("[{}{{}}]", "{},".repeat(1 << 20));
        assert!(matches!(of(&many), Err(FhirError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn takes_what_serde_takes_but_for_names_given_twice(text in r#"[\[\]{}":,a-c0-9\\ue.\- ]{0,60}"#) {
            let whole = format!(r#"{{"resourceType":"Basic","x":{text}}}"#);
            match (read_json(whole.as_bytes()), serde_json::from_str::<Value>(&whole)) {
                (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{}", error),
                (Err(error), Ok(_)) => prop_assert!(matches!(error, FhirError::DuplicateName(_)), "{}", error),
                _ => {}
            }
        }
    }
}
