//! Reading the one box in which the desk says whom it means: an NHS number, a name, a date of birth, a telephone
//! number or a postcode, in any order.

use jiff::civil::Date;

use crate::{
    domain::nhs_number::{InvalidNhsNumber, NhsNumber},
    flow::reception::PersonSearch,
};

/// Nobody says more of a person than this, in bytes.
const BYTES_MAX: usize = 300;
/// A telephone number has so many digits in the United Kingdom.
const TELEPHONE_DIGITS: std::ops::RangeInclusive<usize> = 10..=11;
/// An NHS number has so many.
const NHS_NUMBER_DIGITS: usize = 10;

/// Why the words do not say whom is meant. Shows none of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unclear {
    #[error("Enter an NHS number, a name with date of birth, a telephone number or a postcode")]
    Nothing,
    #[error("Enter at most {BYTES_MAX} characters")]
    TooLong,
    #[error("Check the NHS number: its last digit does not agree with the others")]
    CheckDigit,
    #[error("Check the number: an NHS number has 10 digits, a telephone number 10 or 11 and begins with 0")]
    Digits,
    #[error("Enter the date of birth with a year of four digits, such as 18-Nov-1950")]
    Date,
    #[error("Enter at least two letters of the name")]
    ShortName,
    #[error("Enter one NHS number, one date, one telephone number and one postcode at most")]
    Twice,
}

/// What the words say.
pub(super) fn read(text: &str) -> Result<PersonSearch, Unclear> {
    if BYTES_MAX < text.len() {
        return Err(Unclear::TooLong);
    }
    let words: Vec<&str> =
        text.split([' ', ',', ';', '\t', '\n', '\r']).filter(|word| !word.is_empty()).collect();
    let mut search = PersonSearch::default();
    let mut names: Vec<&str> = Vec::new();
    let mut rest = words.as_slice();
    while let Some((first, after)) = rest.split_first() {
        rest = match part(rest, &mut search)? {
            Some(after) => after,
            None => {
                names.push(first);
                after
            }
        };
    }
    search.name = names.join(" ");
    if search == PersonSearch::default() {
        return Err(Unclear::Nothing);
    }
    if !search.name.is_empty() && search.name.chars().filter(|c| c.is_alphabetic()).count() < 2 {
        return Err(Unclear::ShortName);
    }
    Ok(search)
}

/// What is left after one part was read; none if there is no such part here.
type Rest<'a> = Option<&'a [&'a str]>;

/// The first part that is no name.
fn part<'a>(words: &'a [&'a str], search: &mut PersonSearch) -> Result<Rest<'a>, Unclear> {
    if let Some(after) = dated(words, search)? {
        return Ok(Some(after));
    }
    match numbered(words, search)? {
        Some(after) => Ok(Some(after)),
        None => posted(words, search),
    }
}

/// `18/11/1950`, `1950-11-18`, `18-Nov-1950`, or the last as three words.
fn dated<'a>(words: &'a [&'a str], search: &mut PersonSearch) -> Result<Rest<'a>, Unclear> {
    let [first, after @ ..] = words else { return Ok(None) };
    let parts: Vec<&str> = first.split(['/', '-', '.']).collect();
    if let [one, two, three] = parts.as_slice()
        && [one, three].iter().all(|part| (1..=4).contains(&part.len()) && is_digits(part))
        && (two.len() <= 2 && is_digits(two) || month(two).is_some())
    {
        let date = if one.len() == 4 { date(three, two, one) } else { date(one, two, three) };
        return set(&mut search.birth_date, date.ok_or(Unclear::Date)?.to_string()).map(|()| Some(after));
    }
    if let [one, two, three, after @ ..] = words
        && one.len() <= 2
        && is_digits(one)
        && is_digits(three)
        && month(two).is_some()
    {
        let date = date(one, two, three).ok_or(Unclear::Date)?;
        return set(&mut search.birth_date, date.to_string()).map(|()| Some(after));
    }
    Ok(None)
}

/// Words of digits in a row: an NHS number or a telephone number.
fn numbered<'a>(words: &'a [&'a str], search: &mut PersonSearch) -> Result<Rest<'a>, Unclear> {
    let international = words.first().and_then(|word| word.strip_prefix("+44"));
    let mut digits = String::new();
    let mut count = 0;
    for (index, word) in words.iter().enumerate() {
        let word = if index == 0 { international.unwrap_or(word) } else { word };
        let plain: String = word.chars().filter(|c| !matches!(c, '-' | '(' | ')')).collect();
        let prefix = index == 0 && international == Some("");
        if !is_digits(&plain) && !prefix {
            break;
        }
        digits.push_str(&plain);
        count = index + 1;
    }
    let after = words.get(count..).unwrap_or_default();
    if digits.is_empty() {
        return Ok(None);
    }
    if international.is_some() {
        digits.insert(0, '0');
    }
    match NhsNumber::parse(&digits) {
        Ok(_) if international.is_some() => {}
        Ok(number) => {
            if search.nhs_number.replace(number).is_some() {
                return Err(Unclear::Twice);
            }
            return Ok(Some(after));
        }
        Err(InvalidNhsNumber::CheckDigit)
            if digits.len() == NHS_NUMBER_DIGITS && !digits.starts_with('0') =>
        {
            return Err(Unclear::CheckDigit);
        }
        Err(_) => {}
    }
    if digits.starts_with('0') && TELEPHONE_DIGITS.contains(&digits.len()) {
        return set(&mut search.telephone, digits).map(|()| Some(after));
    }
    Err(Unclear::Digits)
}

/// `E1 4DG` or `E14DG`.
fn posted<'a>(words: &'a [&'a str], search: &mut PersonSearch) -> Result<Rest<'a>, Unclear> {
    for count in [2, 1] {
        if let Some((first, after)) = words.split_at_checked(count)
            && let Some(postcode) = postcode(&first.concat())
        {
            return set(&mut search.postcode, postcode).map(|()| Some(after));
        }
    }
    Ok(None)
}

/// A postcode as it is written, `E1 4DG`; none if the text has not the shape of one (BS 7666).
pub(super) fn postcode(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| *c != ' ').collect::<String>().to_ascii_uppercase();
    if !text.is_ascii() || !(5..=7).contains(&text.len()) {
        return None;
    }
    let (outward, inward) = text.split_at_checked(text.len() - 3)?;
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { 'A' }).collect();
    let known = ["A99AA", "A999AA", "AA99AA", "AA999AA", "A9A9AA", "AA9A9AA"];
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric()) && known.contains(&shape.as_str());
    legal.then(|| format!("{outward} {inward}"))
}

fn set(field: &mut String, value: String) -> Result<(), Unclear> {
    if !field.is_empty() {
        return Err(Unclear::Twice);
    }
    *field = value;
    Ok(())
}

/// The date that day, month and year name, a month by number or by the first letters of its name.
pub(super) fn date(day: &str, in_month: &str, year: &str) -> Option<Date> {
    let in_month = match month(in_month) {
        Some(month) => month,
        None => in_month.parse().ok()?,
    };
    if year.len() != 4 {
        return None;
    }
    Date::new(year.parse().ok()?, in_month, day.parse().ok()?).ok()
}

fn month(text: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = text.to_ascii_lowercase();
    let known = |name: &str| text.starts_with(name) && text.chars().all(|c| c.is_ascii_alphabetic());
    let index = MONTHS.iter().position(|name| known(name))?;
    i8::try_from(index + 1).ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<NhsNumber> {
        NhsNumber::parse(text).ok()
    }

    #[test]
    fn words_in_any_order_say_whom_is_meant() {
        let search = read("Okafor, Grace 18/11/1950 e1 4dg").unwrap();
        assert_eq!(search.name, "Okafor Grace");
        assert_eq!(search.birth_date, "1950-11-18");
        assert_eq!(search.postcode, "E1 4DG");
        assert_eq!(read("999 000 0018").unwrap().nhs_number, number("9990000018"));
        assert_eq!(read("999-000-0018").unwrap().nhs_number, number("9990000018"));
        let search = read("020 7946 0018 SW1A1AA").unwrap();
        assert_eq!((search.telephone.as_str(), search.postcode.as_str()), ("02079460018", "SW1A 1AA"));
        assert_eq!(read("+44 20 7946 0018").unwrap().telephone, "02079460018");
        let search = read("9990000026 07700 900123").map(|search| search.telephone);
        assert_eq!(search, Err(Unclear::Digits), "two numbers in a row cannot be told apart");
    }

    #[test]
    fn dates_are_read_as_people_write_them() {
        for text in
            ["18/11/1950", "18-11-1950", "18.11.1950", "1950-11-18", "18-Nov-1950", "18 november 1950"]
        {
            assert_eq!(read(text).unwrap().birth_date, "1950-11-18", "{text}");
        }
        for text in ["18/11/50", "31/02/1950", "18/13/1950"] {
            assert_eq!(read(text), Err(Unclear::Date), "{text}");
        }
    }

    #[test]
    fn names_are_left_alone() {
        for text in ["O'Neill-Smith Zoë", "May Jordan", "Ng"] {
            assert_eq!(read(text).unwrap().name, text);
        }
    }

    #[test]
    fn what_is_unclear_is_said_without_repeating_it() {
        for (text, unclear) in [
            ("", Unclear::Nothing),
            (" ,; ", Unclear::Nothing),
            ("N", Unclear::ShortName),
            ("9990000019", Unclear::CheckDigit),
            ("12345", Unclear::Digits),
            ("999 000 0018 x 999 000 0026", Unclear::Twice),
            (&"a".repeat(301), Unclear::TooLong),
        ] {
            assert_eq!(read(text), Err(unclear), "{text}");
            assert!(!unclear.to_string().contains("9990000019"));
        }
    }

    #[test]
    fn hostile_words_are_only_a_name() {
        for text in ["<script>alert(1)</script>", "\u{202e}ab", "é9é 9AA", "--", "1/2", "+44"] {
            let _either = read(text);
        }
        assert_eq!(postcode("é9 9AA"), None);
    }
}
