//! Decimals keep the digits they came with: 7.10 is not 7.1 (FHIR STU3, section 2.24, decimal).

use serde_json::{Number, Value};

/// A number as JSON if that writes it back the same, else as its text.
pub(super) fn number(text: &str) -> Value {
    let whole = || text.parse::<i64>().ok().map(Number::from);
    let decimal = || text.parse::<f64>().ok().and_then(Number::from_f64);
    match whole().or_else(decimal) {
        Some(number) if number.to_string() == text => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

/// Whether the text is a number as JSON writes one (RFC 8259, section 6).
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept() {
        for text in ["0", "-0", "7.1", "7.10", "0.50", "1e3", "12345678901234567890", "1.0"] {
            assert!(is_number(text), "{text}");
            let shown = match number(text) {
                Value::Number(number) => number.to_string(),
                Value::String(text) => text,
                other => panic!("{other}"),
            };
            assert_eq!(shown, text);
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "NaN", "+1", "1 "] {
            assert!(!is_number(text), "{text}");
        }
    }
}
