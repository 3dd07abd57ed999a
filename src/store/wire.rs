//! The view's own compact bytes: numbers of seven bits a byte, texts with their length before them.
//!
//! Not CBOR with named fields, because every stored value is written several times by sled, and names
//! would be half of it. The format number in the view's head stands for the whole layout.

use crate::domain::time::Timestamp;

/// Appends to a value.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, mut number: u64) -> &mut Self {
        while 0x80 <= number {
            self.0.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or(0));
        self
    }

    pub(super) fn count(&mut self, count: usize) -> &mut Self {
        self.number(count as u64)
    }

    pub(super) fn time(&mut self, time: Timestamp) -> &mut Self {
        // Zigzag, so that moments before 1970 stay short as well.
        let doubled = time.0.wrapping_shl(1) ^ (time.0 >> 63);
        self.number(doubled.cast_unsigned())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }
}

/// Takes a value apart; every step says `None` if the bytes are not as expected.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let digit = u64::from(byte & 0x7f);
            if (digit << shift) >> shift != digit {
                return None;
            }
            number |= digit << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number of things that take at least one byte each: never more than there are bytes left.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    pub(super) fn time(&mut self) -> Option<Timestamp> {
        let number = self.number()?;
        let half = (number >> 1).cast_signed();
        Some(Timestamp(if number & 1 == 0 { half } else { !half }))
    }

    pub(super) fn fixed(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        self.fixed(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// `Some` only at the end.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_texts_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::default();
            writer.number(number).text("né").time(Timestamp(-5));
            writer.time(Timestamp(i64::MIN)).time(Timestamp(i64::MAX)).time(Timestamp(1_795_000_000_123));
            let mut reader = Reader(&writer.0);
            assert_eq!(reader.number(), Some(number));
            assert_eq!(reader.text(), Some("né"));
            for time in [-5, i64::MIN, i64::MAX, 1_795_000_000_123] {
                assert_eq!(reader.time(), Some(Timestamp(time)));
            }
            assert_eq!(reader.end(), Some(()));
        }
    }

    #[test]
    fn refuses_what_does_not_end_or_does_not_fit() {
        assert_eq!(Reader(&[0x80]).number(), None);
        assert_eq!(Reader(&[0xff; 11]).number(), None);
        assert_eq!(Reader(&[5, b'a']).text(), None);
        assert_eq!(Reader(&[1, 0xff]).text(), None);
        assert_eq!(Reader(&[1]).end(), None);
    }
}
