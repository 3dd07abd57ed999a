//! A TOML file being read: its sections, and the faults found so far, each with its place.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, Fault};

/// A configuration file is a page or two.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a configuration file.
///
/// # Errors
/// It cannot be read, or is far too long to be one.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason| ConfigError::Unreadable { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if FILE_BYTES_MAX < length {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// A file being read: its sections, and the faults found so far.
pub(super) struct File<'a> {
    path: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
    /// Where each section that could be read stood, for faults that are found once its values are known.
    spans: Vec<(String, Spanned<DeValue<'a>>)>,
    faults: Vec<Fault>,
}

impl<'a> File<'a> {
    pub(super) fn parse(path: &'a Path, text: &'a str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut file = Self { path, text, table: table.into_inner(), spans: Vec::new(), faults: Vec::new() };
        for error in &errors {
            file.fault_of(error, 0);
        }
        file
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).to_owned()
    }

    pub(super) fn section<T: DeserializeOwned>(&mut self, name: &str, required: bool) -> Option<T> {
        let Some(value) = self.table.remove(name) else {
            if required && self.faults.is_empty() {
                self.fault_at(0, format!("the section [{name}] is missing"));
            }
            return None;
        };
        self.value(name, value)
    }

    pub(super) fn list<T: DeserializeOwned>(&mut self, name: &str) -> Vec<T> {
        let Some(value) = self.table.remove(name) else { return Vec::new() };
        let start = value.span().start;
        match value.into_inner() {
            DeValue::Array(items) => items.into_iter().filter_map(|item| self.value(name, item)).collect(),
            _ => {
                self.fault_at(start, format!("write [[{name}]] with two brackets: there may be several"));
                Vec::new()
            }
        }
    }

    fn value<T: DeserializeOwned>(&mut self, name: &str, value: Spanned<DeValue<'a>>) -> Option<T> {
        let start = value.span().start;
        match T::deserialize(toml::de::ValueDeserializer::from(value.clone())) {
            Ok(section) => {
                self.spans.push((name.to_owned(), value));
                Some(section)
            }
            Err(error) => {
                self.fault_of(&error, start);
                None
            }
        }
    }

    pub(super) fn refuse_the_rest(&mut self) {
        let unknown: Vec<(usize, String)> =
            self.table.keys().map(|key| (key.span().start, key.get_ref().to_string())).collect();
        for (start, key) in unknown {
            self.fault_at(start, format!("unknown section or key \"{key}\""));
        }
    }

    pub(super) fn check_broker(&mut self, section: &str, key: &str, url: &str) {
        if let Err(reason) = crate::sys::url::BrokerUrl::parse(url) {
            self.fault(section, key, &reason.to_string());
        }
    }

    /// A fault in a value that reads well and means something illegal.
    pub(super) fn fault(&mut self, section: &str, key: &str, reason: &str) {
        self.fault_in(section, 0, key, reason);
    }

    /// [`File::fault`] in the section of that name and number, from 0, of a list.
    pub(super) fn fault_in(&mut self, section: &str, number: usize, key: &str, reason: &str) {
        let place = self.spans.iter().filter(|(name, _)| name == section).nth(number).map(|(_, value)| {
            let table = value.get_ref().as_table();
            let found = table.and_then(|table| table.get(key)).map(Spanned::span);
            found.unwrap_or_else(|| value.span()).start
        });
        self.fault_at(place.unwrap_or(0), format!("{section}.{key}: {reason}"));
    }

    fn fault_of(&mut self, error: &toml::de::Error, otherwise: usize) {
        let start = error.span().map_or(otherwise, |span| span.start);
        self.fault_at(start, error.message().replace('\n', " "));
    }

    fn fault_at(&mut self, offset: usize, reason: String) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.faults.push(Fault { file: self.path.to_owned(), line, column, reason });
    }

    pub(super) fn finish<T>(mut self, config: Option<T>) -> Result<T, ConfigError> {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        match config {
            Some(config) if self.faults.is_empty() => Ok(config),
            _ => Err(ConfigError::Faults(self.faults)),
        }
    }
}
