//! The national codes: which there are, when each was valid, and how those of a contact follow from its facts.

pub mod csv;
pub mod derived;
mod lists;
pub mod reference;
mod specialties;
mod validity;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap};

use jiff::civil::Date;

use self::csv::CsvError;
pub use self::{
    lists::List,
    validity::{NotValid, Validity},
};

/// One code of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The code.
    pub code: Cow<'static, str>,
    /// What it means, in our own words.
    pub meaning: Cow<'static, str>,
    /// When it is valid.
    pub valid: Validity,
    /// Whether code and dates were seen in the NHS Data Dictionary. What was not is to be confirmed before live use.
    pub confirmed: bool,
}

/// Every list: as built in, or as loaded of an official release.
#[derive(Clone, Debug)]
pub struct CodeLists {
    lists: BTreeMap<List, Vec<Entry>>,
}

/// Why a file of codes cannot be taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// It is no such table.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// A value that cannot be what its column says.
    #[error("line {line}: {what}")]
    Value {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl CodeLists {
    /// The lists as they are built in.
    pub fn standard() -> Self {
        Self { lists: List::ALL.iter().map(|list| (*list, lists::entries(*list))).collect() }
    }

    /// Takes the lists of a CSV file with the columns `list,code,meaning,valid-from,valid-to` in place of those that
    /// are built in; a list that the file does not name stays. Gives how many codes were taken. A date may be empty.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        let mut taken: BTreeMap<List, Vec<Entry>> = BTreeMap::new();
        let mut count = 0;
        for (line, cells) in csv::read(file, &["list", "code", "meaning", "valid-from", "valid-to"])? {
            let fault = |what| LoadError::Value { line, what };
            let [list, code, meaning, from, to] = cells.as_slice() else { continue };
            let list = List::of(list).ok_or(fault("there is no such list"))?;
            let valid = Validity::parse(from, to).map_err(fault)?;
            let entries = taken.entry(list).or_default();
            if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(fault("a code has letters and digits"));
            }
            let alike = |entry: &&Entry| entry.code == code.as_str() && entry.valid.overlaps(valid);
            if entries.iter().any(|entry| alike(&entry)) {
                return Err(fault("the code is in the list twice for the same days"));
            }
            let (code, meaning) = (Cow::Owned(code.clone()), Cow::Owned(meaning.clone()));
            entries.push(Entry { code, meaning, valid, confirmed: true });
            count += 1;
        }
        self.lists.extend(taken);
        Ok(count)
    }

    /// The codes of a list, retired ones too.
    pub fn list(&self, list: List) -> &[Entry] {
        self.lists.get(&list).map(Vec::as_slice).unwrap_or_default()
    }

    /// The entry of a code that was valid on a day.
    ///
    /// # Errors
    /// Says why there is none: no such code, not yet, no longer.
    pub fn check(&self, list: List, code: &str, on: Date) -> Result<&Entry, NotValid> {
        let mut why = NotValid::Unknown;
        for entry in self.list(list).iter().filter(|entry| entry.code == code) {
            match entry.valid.check(on) {
                Ok(()) => return Ok(entry),
                Err(not) => why = not,
            }
        }
        Err(why)
    }
}

impl Default for CodeLists {
    fn default() -> Self {
        Self::standard()
    }
}
