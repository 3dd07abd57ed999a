//! Escape sequences (HL7 v2.4, section 2.9).

use std::borrow::Cow;

use memchr::memchr;

use super::Delimiters;

/// Replaces escape sequences by what they stand for.
///
/// `\F\ \S\ \T\ \R\ \E\` become the message's delimiters and `\Xhh…\` its bytes; `\.br\` becomes a line end
/// and `\.sp\` too; highlighting (`\H\ \N\`) goes. Whatever else stands between escape characters, and an
/// escape character that stands alone, stays as it is: nothing is invented and nothing is lost.
pub fn unescape<'a>(value: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let mark = delimiters.escape;
    if mark == 0 || memchr(mark, value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = memchr(mark, rest) {
        let (before, from) = rest.split_at(start);
        plain.extend_from_slice(before);
        let after = from.get(1..).unwrap_or_default();
        let sequence = memchr(mark, after).and_then(|end| after.get(..end));
        match sequence.and_then(|sequence| meaning(sequence, delimiters).map(|meaning| (sequence, meaning))) {
            Some((sequence, meaning)) => {
                plain.extend_from_slice(&meaning);
                rest = after.get(sequence.len() + 1..).unwrap_or_default();
            }
            None => {
                plain.push(mark);
                rest = after;
            }
        }
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

fn meaning(sequence: &[u8], delimiters: &Delimiters) -> Option<Vec<u8>> {
    let one = |byte: u8| (byte != 0).then(|| vec![byte]);
    match sequence {
        b"F" => one(delimiters.field),
        b"S" => one(delimiters.component),
        b"T" => one(delimiters.subcomponent),
        b"R" => one(delimiters.repetition),
        b"E" => one(delimiters.escape),
        b"H" | b"N" => Some(Vec::new()),
        b".br" | b".sp" => Some(vec![b'\n']),
        [b'X', digits @ ..] => hexadecimal(digits),
        _ => None,
    }
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.iter().all(u8::is_ascii_hexdigit).then(|| digits.chunks(2).map(pair).collect()).flatten()
}

/// Writes a value so that it means itself in a message with these delimiters. Line ends become `\.br\`, and control
/// characters, some of which end a message on the wire, `\Xhh\`.
pub fn escape<'a>(value: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let is_plain =
        |byte: &u8| (*byte == b'\t' || !byte.is_ascii_control()) && code(*byte, delimiters).is_none();
    if delimiters.escape == 0 || value.iter().all(is_plain) {
        return Cow::Borrowed(value);
    }
    let mut escaped = Vec::with_capacity(value.len() + 16);
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        // One line end, not two.
        rest = if *byte == b'\r' { after.strip_prefix(b"\n").unwrap_or(after) } else { after };
        if is_plain(byte) {
            escaped.push(*byte);
            continue;
        }
        escaped.push(delimiters.escape);
        match code(*byte, delimiters) {
            Some(code) => escaped.extend_from_slice(code),
            None => escaped.extend_from_slice(format!("X{byte:02X}").as_bytes()),
        }
        escaped.push(delimiters.escape);
    }
    Cow::Owned(escaped)
}

fn code(byte: u8, delimiters: &Delimiters) -> Option<&'static [u8]> {
    match byte {
        0 => None,
        b'\r' | b'\n' => Some(b".br"),
        byte if byte == delimiters.field => Some(b"F"),
        byte if byte == delimiters.component => Some(b"S"),
        byte if byte == delimiters.subcomponent => Some(b"T"),
        byte if byte == delimiters.repetition => Some(b"R"),
        byte if byte == delimiters.escape => Some(b"E"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn means_what_the_standard_says_and_leaves_the_rest() {
        for (escaped, plain) in [
            ("plain", "plain"),
            ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
            ("\\H\\bold\\N\\", "bold"),
            ("line\\.br\\two", "line\ntwo"),
            ("\\X414243\\", "ABC"),
            ("\\X4\\", "\\X4\\"),
            ("\\Xzz\\", "\\Xzz\\"),
            ("\\Zown\\", "\\Zown\\"),
            ("\\C2842\\", "\\C2842\\"),
            ("C:\\dir", "C:\\dir"),
            ("\\R\\'#$%^", "~'#$%^"),
            ("\\", "\\"),
            ("\\\\", "\\\\"),
            ("a\\b\\F\\", "a\\b|"),
            ("\\E\\F\\E\\", "\\F\\"),
            ("\\E\\.br\\E\\", "\\.br\\"),
            ("\\E\\E\\E\\", "\\E\\"),
            ("\\H\\a\\F\\b\\N\\c", "a|bc"),
            ("\\X0D0A\\", "\r\n"),
            ("\\XC3A9\\", "é"),
            ("\\.in+4\\\\.sp3\\", "\\.in+4\\\\.sp3\\"),
            ("\\Zx\\\\M2842\\", "\\Zx\\\\M2842\\"),
            ("\\f\\\\x41\\", "\\f\\\\x41\\"),
        ] {
            let found = unescape(escaped.as_bytes(), &Delimiters::default());
            assert_eq!(String::from_utf8_lossy(&found), plain, "{escaped}");
        }
    }

    #[test]
    fn what_would_break_the_wire_is_written_otherwise() {
        let escaped = escape(b"one\r\ntwo\rthree\nfour\x0b\x1c\x00\ttab", &Delimiters::default());
        let expected = "one\\.br\\two\\.br\\three\\.br\\four\\X0B\\\\X1C\\\\X00\\\ttab";
        assert_eq!(String::from_utf8_lossy(&escaped), expected);
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(value in proptest::collection::vec(any::<u8>().prop_filter("", |b| *b != b'\r'), 0..200)) {
            let delimiters = Delimiters::default();
            let escaped = escape(&value, &delimiters).into_owned();
            prop_assert!(escaped.iter().all(|byte| !b"|^~&\r\n\x0b\x1c".contains(byte)));
            let found = unescape(&escaped, &delimiters);
            prop_assert_eq!(found.as_ref(), &value[..]);
        }
    }
}
