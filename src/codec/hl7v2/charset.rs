//! Character sets by MSH-18 (HL7 table 0211).

use std::borrow::Cow;

/// A message's character set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charset {
    /// MSH-18 is empty. UTF-8 is taken where the bytes are valid UTF-8, else ISO 8859-1: nearly every
    /// message is plain ASCII, which is both.
    Absent,
    /// `ASCII`, `ISO IR6`: as [`Charset::Absent`], since senders that say so send accents all the same.
    Ascii,
    /// `8859/1`, and what senders write who mean Windows' own (1252): where ISO 8859-1 has control characters, which
    /// no message holds, that has quotes and dashes.
    Latin1,
    /// `8859/15`: ISO 8859-1 with the euro sign and seven letters more.
    Latin9,
    /// `UNICODE UTF-8`.
    Utf8,
    /// Anything else: kept as bytes; shown as UTF-8 where it is, with U+FFFD where it is not.
    Unknown,
}

impl Charset {
    /// The character set that the first repetition of MSH-18 names; spellings seen in the field included.
    pub fn of(name: &[u8]) -> Self {
        let name: Vec<u8> =
            name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect();
        match name.as_slice() {
            b"" => Self::Absent,
            b"ASCII" | b"USASCII" | b"ISOIR6" => Self::Ascii,
            b"88591" | b"ISO88591" | b"ISOIR100" | b"LATIN1" | b"WINDOWS1252" | b"CP1252" => Self::Latin1,
            b"885915" | b"ISO885915" | b"LATIN9" => Self::Latin9,
            b"UNICODEUTF8" | b"UTF8" | b"UNICODE" => Self::Utf8,
            _ => Self::Unknown,
        }
    }

    /// The bytes as text.
    pub fn decode<'a>(self, bytes: &'a [u8]) -> Cow<'a, str> {
        match (self, std::str::from_utf8(bytes)) {
            (Self::Latin1, _) if !bytes.is_ascii() => Cow::Owned(latin1(bytes)),
            (Self::Latin9, _) if !bytes.is_ascii() => Cow::Owned(latin1(bytes).chars().map(latin9).collect()),
            (_, Ok(text)) => Cow::Borrowed(text),
            (Self::Absent | Self::Ascii, Err(_)) => Cow::Owned(latin1(bytes)),
            (_, Err(_)) => String::from_utf8_lossy(bytes),
        }
    }
}

/// What Windows-1252 has from 0x80 to 0x9f; U+FFFD where it has nothing.
const WINDOWS: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}',
    '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

/// ISO 8859-1 is the first 256 code points of Unicode.
fn latin1(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        0x80..0xa0 => WINDOWS.get(usize::from(byte - 0x80)).copied().unwrap_or('\u{fffd}'),
        other => char::from(*other),
    };
    bytes.iter().map(one).collect()
}

/// Where ISO 8859-15 differs from ISO 8859-1.
fn latin9(latin1: char) -> char {
    match latin1 {
        '¤' => '€',
        '¦' => 'Š',
        '¨' => 'š',
        '´' => 'Ž',
        '¸' => 'ž',
        '¼' => 'Œ',
        '½' => 'œ',
        '¾' => 'Ÿ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_spellings_in_use() {
        for (name, charset) in [
            ("", Charset::Absent),
            ("ASCII", Charset::Ascii),
            ("8859/1", Charset::Latin1),
            ("ISO-8859-1", Charset::Latin1),
            ("UNICODE UTF-8", Charset::Utf8),
            ("UTF-8", Charset::Utf8),
            ("8859/15", Charset::Latin9),
            ("Windows-1252", Charset::Latin1),
            ("8859/2", Charset::Unknown),
            ("ISO IR87", Charset::Unknown),
        ] {
            assert_eq!(Charset::of(name.as_bytes()), charset, "{name}");
        }
    }

    #[test]
    fn decodes_accents_by_what_was_declared_or_sent() {
        let (utf8, latin1) = ("Zoë".as_bytes(), b"Zo\xeb".as_slice());
        for (charset, bytes, text) in [
            (Charset::Utf8, utf8, "Zoë"),
            (Charset::Utf8, latin1, "Zo\u{fffd}"),
            (Charset::Latin1, latin1, "Zoë"),
            (Charset::Latin1, utf8, "ZoÃ«"),
            (Charset::Absent, utf8, "Zoë"),
            (Charset::Absent, latin1, "Zoë"),
            (Charset::Ascii, latin1, "Zoë"),
            (Charset::Unknown, latin1, "Zo\u{fffd}"),
        ] {
            assert_eq!(charset.decode(bytes), text, "{charset:?}");
        }
    }
}
