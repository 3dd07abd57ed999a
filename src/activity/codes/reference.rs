//! Reference files that change without us: organisations, SNOMED CT subsets, postcodes. Data that is loaded, not code.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::domain::contact::Code;

use super::{LoadError, NotValid, Validity, csv};

/// What is known of organisations, subsets and postcodes. What was never loaded cannot be checked, and is not.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    organisations: Option<BTreeMap<Code, Validity>>,
    subsets: BTreeMap<String, BTreeSet<Code>>,
    postcodes: Option<BTreeSet<String>>,
}

/// Nothing is loaded to check it against.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no reference file is loaded to check it against")]
pub struct NotLoaded;

/// SNOMED CT subsets that can be held at once.
const SUBSETS_MAX: usize = 1_000;

impl Reference {
    /// Loads organisations and sites from a CSV file with the columns `code,opened,closed`; dates may be empty. Says how
    /// many. Kinds of organisations are not told from their codes: since 2020 that cannot be done.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load_organisations(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        let mut organisations = BTreeMap::new();
        for (line, cells) in csv::read(file, &["code", "opened", "closed"])? {
            let [code, opened, closed] = cells.as_slice() else { continue };
            let valid = Validity::parse(opened, closed).map_err(|what| LoadError::Value { line, what })?;
            if organisations.insert(parse(line, code)?, valid).is_some() {
                return Err(LoadError::Value { line, what: "the organisation is there twice" });
            }
        }
        let count = organisations.len();
        self.organisations = Some(organisations);
        Ok(count)
    }

    /// Loads SNOMED CT subsets from a CSV file with the columns `subset,code`. Says how many codes.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load_subsets(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        let mut subsets: BTreeMap<String, BTreeSet<Code>> = BTreeMap::new();
        let mut count = 0;
        for (line, cells) in csv::read(file, &["subset", "code"])? {
            let [subset, code] = cells.as_slice() else { continue };
            if !is_snomed(code) {
                return Err(LoadError::Value { line, what: "it is not an identifier of SNOMED CT" });
            }
            count += usize::from(subsets.entry(subset.clone()).or_default().insert(parse(line, code)?));
            if SUBSETS_MAX < subsets.len() {
                return Err(LoadError::Value { line, what: "there are too many subsets" });
            }
        }
        self.subsets = subsets;
        Ok(count)
    }

    /// Loads postcodes from a CSV file with the column `postcode`. Says how many.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load_postcodes(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        let mut postcodes = BTreeSet::new();
        for (line, cells) in csv::read(file, &["postcode"])? {
            let postcode = bare(cells.first().map(String::as_str).unwrap_or_default());
            if !(5..=7).contains(&postcode.len())
                || !postcode.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                return Err(LoadError::Value { line, what: "it is not a postcode" });
            }
            postcodes.insert(postcode);
        }
        let count = postcodes.len();
        self.postcodes = Some(postcodes);
        Ok(count)
    }

    /// Whether an organisation or site was open on a day; an error of its own if no directory is loaded.
    ///
    /// # Errors
    /// [`NotLoaded`]; inside, why the organisation cannot be used.
    pub fn organisation(&self, code: Code, on: Date) -> Result<Result<(), NotValid>, NotLoaded> {
        let organisations = self.organisations.as_ref().ok_or(NotLoaded)?;
        Ok(organisations.get(&code).map_or(Err(NotValid::Unknown), |valid| valid.check(on)))
    }

    /// Whether a SNOMED CT code is in a subset.
    ///
    /// # Errors
    /// [`NotLoaded`] if that subset is not loaded.
    pub fn in_subset(&self, subset: &str, code: Code) -> Result<bool, NotLoaded> {
        self.subsets.get(subset).map(|codes| codes.contains(&code)).ok_or(NotLoaded)
    }

    /// Whether a postcode is known; pseudo postcodes that begin with ZZ99 always are (to be confirmed).
    ///
    /// # Errors
    /// [`NotLoaded`] if no postcodes are loaded.
    pub fn postcode(&self, postcode: &str) -> Result<bool, NotLoaded> {
        let postcode = bare(postcode);
        if postcode.starts_with("ZZ99") {
            return Ok(true);
        }
        self.postcodes.as_ref().map(|known| known.contains(&postcode)).ok_or(NotLoaded)
    }
}

/// Whether a text is an identifier of SNOMED CT: 6 to 18 digits, the last a check digit (Verhoeff).
pub fn is_snomed(text: &str) -> bool {
    if !(6..=18).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let check = text.bytes().rev().enumerate().fold(0, |check, (place, byte)| {
        let digit = usize::from(byte - b'0');
        dihedral(check, permuted(place % 8, digit))
    });
    check == 0
}

/// Multiplication in the dihedral group of the pentagon: below 5 the rotations, from 5 the reflections.
const fn dihedral(a: usize, b: usize) -> usize {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Verhoeff's permutation, so many times.
fn permuted(times: usize, digit: usize) -> usize {
    const ONCE: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    (0..times).fold(digit, |digit, _| ONCE.get(digit).copied().unwrap_or_default())
}

fn parse(line: usize, code: &str) -> Result<Code, LoadError> {
    code.parse().map_err(|_| LoadError::Value { line, what: "it is not a code" })
}

fn bare(postcode: &str) -> String {
    postcode.chars().filter(|character| !character.is_whitespace()).collect::<String>().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn organisations_are_open_on_days() {
        let mut reference = Reference::default();
        let practice: Code = "Y99901".parse().unwrap();
        assert_eq!(reference.organisation(practice, date(2026, 5, 1)), Err(NotLoaded));
        let file = b"code,name,opened,closed\nY99901,Invented practice,2001-04-01,2026-03-31\nA1B2C,Newer,2020-04-01,\n";
        assert_eq!(reference.load_organisations(file), Ok(2));
        assert_eq!(reference.organisation(practice, date(2026, 3, 31)), Ok(Ok(())));
        let retired = Ok(Err(NotValid::Retired(date(2026, 3, 31))));
        assert_eq!(reference.organisation(practice, date(2026, 4, 1)), retired);
        assert_eq!(
            reference.organisation("Y99909".parse().unwrap(), date(2026, 4, 1)),
            Ok(Err(NotValid::Unknown))
        );
        let twice = b"code,opened,closed\nY99901,,\nY99901,,\n";
        let fault = reference.load_organisations(twice).unwrap_err();
        assert_eq!(fault.to_string(), "line 3: the organisation is there twice");
        let date = reference.load_organisations(b"code,opened,closed\nY99901,1 April,\n").unwrap_err();
        assert_eq!(date.to_string(), "line 2: a date is written YYYY-MM-DD");
        assert_eq!(reference.organisation(practice, jiff::civil::date(2026, 3, 1)), Ok(Ok(())), "kept");
    }

    #[test]
    fn subsets_take_only_what_has_a_check_digit() {
        let mut reference = Reference::default();
        // Vectors of the SNOMED CT documentation: the root concept, one with a namespace, a module.
        for good in ["138875005", "1066271000000101", "900000000000207008"] {
            assert!(is_snomed(good), "{good}");
        }
        for bad in ["138875006", "138857005", "12345", "1388750o5", "1234567890123456789"] {
            assert!(!is_snomed(bad), "{bad}");
        }
        assert_eq!(reference.load_subsets(b"subset,code\nacuity,138875005\n"), Ok(1));
        assert_eq!(reference.in_subset("acuity", "138875005".parse().unwrap()), Ok(true));
        assert_eq!(reference.in_subset("acuity", "900000000000207008".parse().unwrap()), Ok(false));
        assert_eq!(reference.in_subset("arrival", "138875005".parse().unwrap()), Err(NotLoaded));
        let fault = reference.load_subsets(b"subset,code\nacuity,138875006\n").unwrap_err();
        assert_eq!(fault.to_string(), "line 2: it is not an identifier of SNOMED CT");
    }

    #[test]
    fn postcodes_are_compared_without_spaces() {
        let mut reference = Reference::default();
        assert_eq!(reference.postcode("ZZ99 3WZ"), Ok(true));
        assert_eq!(reference.postcode("SW1A 1AA"), Err(NotLoaded));
        assert_eq!(reference.load_postcodes(b"postcode\nSW1A 1AA\n"), Ok(1));
        assert_eq!(reference.postcode("sw1a1aa"), Ok(true));
        assert_eq!(reference.postcode("SW1A 2AA"), Ok(false));
        assert!(reference.load_postcodes(b"postcode\n<script>\n").is_err());
    }
}
